//! A closed fragmented file written anew with all tables in front, so that players seek at once and servers need no index.
//!
//! The file stays whole, as the content of one `mdat` behind the tables, which point into it: whoever wants fragments
//! (HLS) finds them from [`scan::fragments`](super::scan::fragments) on. It takes a thousandth more than the samples alone would.
//!
//! One pass over the fragments' heads, one over the bytes, which are copied piece by piece: memory holds the tables
//! alone, about five bytes per sample. The result is written from front to back.

use super::scan::{Run, Walk};
use super::tables::{self, Form, Offsets};
use super::{Bytes, Error, Kind, entry};
use shiguredo_mp4::boxes::{Co64Box, SampleEntry, StcoBox, StscEntry, SttsEntry};
use shiguredo_mp4::{Either, Encode};
use std::io;
use std::num::NonZeroU32;
use std::time::SystemTime;

/// Bytes copied at a time.
const PIECE: usize = 256 << 10;

/// Writes `file`, which must be whole, to `write` from front to back, and gives the bytes written.
pub fn rewrite(file: &(impl Bytes + ?Sized), created: SystemTime, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<u64, Error> {
    let (tables, payload) = collect(file)?;
    let head = encode_head(tables, payload, created)?;
    write(&head)?;
    copy(file, payload, write)?;
    Ok(head.len() as u64 + payload)
}

/// What the rewriting of a file of so many bytes takes at most: tables are four bytes a sample, and samples of quiet sound are few more.
pub const fn room(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 16).saturating_add(1 << 20)
}

/// Both tracks' tables and the bytes of the file.
fn collect(file: &(impl Bytes + ?Sized)) -> Result<([Table; 2], u64), Error> {
    let mut walk = Walk::new(file)?;
    let (mut video, mut audio) =
        (Table::new(Kind::Video, walk.entry.clone().ok_or(Error::Format("it has no picture"))?), Table::new(Kind::Audio, entry::opus()));
    while let Some(runs) = walk.next_fragment()? {
        for run in &runs {
            let table = if run.kind == Kind::Video { &mut video } else { &mut audio };
            table.add(run, run.position)?;
        }
    }
    if walk.found.torn {
        return Err(Error::Format("its end is torn"));
    }
    Ok(([video, audio], walk.found.end))
}

fn encode_head(tables: [Table; 2], payload: u64, created: SystemTime) -> Result<Vec<u8>, Error> {
    let tables: Vec<Table> = tables.into_iter().filter(|table| !table.sizes.is_empty()).collect();
    // Wide offsets where narrow ones might not do; which of them says how long the head is, and so where samples begin.
    let wide = payload > u64::from(u32::MAX) - (256 << 20);
    let places: Vec<Vec<u64>> = tables.iter().map(|table| table.places.clone()).collect();
    let mut moov = tables::movie(tables.into_iter().map(|table| table.finish(wide)).collect(), created, Form::Progressive)?;
    let mut bytes = tables::file_type(Form::Progressive)?;
    let begin = (bytes.len() + moov.encode_to_vec()?.len() + MDAT_HEAD) as u64;
    for (track, places) in moov.trak_boxes.iter_mut().zip(places) {
        track.mdia_box.minf_box.stbl_box.stco_or_co64_box = offsets(places.iter().map(|place| begin + place), wide)?;
    }
    bytes.extend(moov.encode_to_vec()?);
    bytes.extend_from_slice(&1u32.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    bytes.extend_from_slice(&(MDAT_HEAD as u64 + payload).to_be_bytes());
    Ok(bytes)
}

/// With a 64-bit size.
const MDAT_HEAD: usize = 16;

fn offsets(places: impl Iterator<Item = u64>, wide: bool) -> Result<Offsets, Error> {
    if wide {
        return Ok(Either::B(Co64Box { chunk_offsets: places.collect() }));
    }
    let narrow = places.map(u32::try_from).collect::<Result<_, _>>().map_err(|_| Error::Tables("an offset above 4 GiB"))?;
    Ok(Either::A(StcoBox { chunk_offsets: narrow }))
}

fn copy(file: &(impl Bytes + ?Sized), end: u64, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    while at < end {
        let length = (end - at).min(PIECE as u64) as usize;
        let part = piece.get_mut(..length).unwrap_or_default();
        file.read_at(part, at)?;
        write(part)?;
        at += length as u64;
    }
    Ok(())
}

/// One track's tables while they grow.
struct Table {
    kind: Kind,
    entry: SampleEntry,
    start: Option<u64>,
    /// When the next sample should begin, in units of the track.
    next: u64,
    deltas: Vec<SttsEntry>,
    sizes: Vec<u32>,
    keyframes: Vec<NonZeroU32>,
    /// Where chunks begin in the fragmented file.
    places: Vec<u64>,
    chunks: Vec<StscEntry>,
}

impl Table {
    fn new(kind: Kind, entry: SampleEntry) -> Self {
        Self {
            kind,
            entry,
            start: None,
            next: 0,
            deltas: Vec::new(),
            sizes: Vec::new(),
            keyframes: Vec::new(),
            places: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Adds one chunk, whose samples begin at `place`.
    fn add(&mut self, run: &Run, place: u64) -> Result<(), Error> {
        match self.start {
            None => (self.start, self.next) = (Some(run.start), run.start),
            Some(_) => self.stretch_to(run.start)?,
        }
        for sample in &run.samples {
            let number = u32::try_from(self.sizes.len() + 1).ok().and_then(NonZeroU32::new).ok_or(Error::Tables("too many samples"))?;
            self.sizes.push(sample.bytes);
            self.push_delta(sample.duration);
            self.next = self.next.saturating_add(u64::from(sample.duration));
            if self.kind == Kind::Video && sample.keyframe {
                self.keyframes.push(number);
            }
        }
        self.places.push(place);
        let number = u32::try_from(self.places.len()).ok().and_then(NonZeroU32::new).ok_or(Error::Tables("too many chunks"))?;
        let samples = run.samples.len() as u32;
        if self.chunks.last().is_none_or(|last| last.sample_per_chunk != samples) {
            self.chunks.push(StscEntry { first_chunk: number, sample_per_chunk: samples, sample_description_index: NonZeroU32::MIN });
        }
        Ok(())
    }

    fn push_delta(&mut self, delta: u32) {
        match self.deltas.last_mut() {
            Some(last) if last.sample_delta == delta => last.sample_count += 1,
            _ => self.deltas.push(SttsEntry { sample_count: 1, sample_delta: delta }),
        }
    }

    /// The newest sample lasts until `start`, when the next one begins.
    fn stretch_to(&mut self, start: u64) -> Result<(), Error> {
        if start == self.next {
            return Ok(());
        }
        let last = self.deltas.pop().ok_or(Error::Tables("no sample to stretch"))?;
        let began = self.next - u64::from(last.sample_delta);
        let delta = start.checked_sub(began).filter(|delta| *delta > 0).and_then(|delta| u32::try_from(delta).ok());
        let delta = delta.ok_or(Error::Tables("a sample that ends before it begins, or lasts for hours"))?;
        if last.sample_count > 1 {
            self.deltas.push(SttsEntry { sample_count: last.sample_count - 1, ..last });
        }
        self.push_delta(delta);
        self.next = start;
        Ok(())
    }

    fn finish(self, wide: bool) -> tables::Track {
        let start = self.start.unwrap_or_default();
        let all_keyframes = self.kind == Kind::Audio || self.keyframes.len() == self.sizes.len();
        let empty = if wide {
            Either::B(Co64Box { chunk_offsets: vec![0; self.places.len()] })
        } else {
            Either::A(StcoBox { chunk_offsets: vec![0; self.places.len()] })
        };
        tables::Track {
            quarter_turns: 0,
            kind: self.kind,
            entry: self.entry,
            start,
            duration: self.next - start,
            deltas: self.deltas,
            chunks: self.chunks,
            offsets: empty,
            sizes: self.sizes,
            keyframes: (!all_keyframes).then_some(self.keyframes),
        }
    }
}
