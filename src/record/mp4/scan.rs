//! How much of a fragmented file is whole: what a killed process, a power cut or a full disk left behind.
//!
//! Reads boxes' heads and the tables of fragments, and of the last few fragments also the samples: what was not yet
//! synced when the power went may have its place but not its bytes.

use super::tables;
use super::{Bytes, Error, Kind, Ticks, entry};
use mixdown_codecs::VideoCodec;
use shiguredo_mp4::Decode;
use shiguredo_mp4::boxes::{HdlrBox, MoofBox, MoovBox, SampleEntry, TrafBox};
use std::collections::VecDeque;
use std::ops::Range;

/// Longest head and longest `moof` that is read.
const MOST_TABLE: u64 = 4 << 20;
/// A `moov` has one box for itself, one for each track, and one that says that fragments follow.
const MOST_CHILDREN: usize = 16;
/// Fragments at the end whose samples are looked at: more than are written between two syncs.
const DOUBTED: usize = 32;

/// A fragmented file, as far as it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None`: sound alone.
    pub codec: Option<VideoCodec>,
    /// Of the first picture.
    pub width: u16,
    pub height: u16,
    /// Bytes of the head, and of the file up to the end of its last whole fragment.
    pub head: u64,
    pub end: u64,
    /// The file goes on after `end`.
    pub torn: bool,
    pub fragments: u32,
    pub pictures: u64,
    pub packets: u64,
    /// When the last sample ends.
    pub duration: Ticks,
}

/// The samples of one track in one fragment: one after another from `position` on.
#[derive(Debug, Clone)]
pub struct Run {
    pub kind: Kind,
    /// When it begins, in units of the track.
    pub start: u64,
    pub position: u64,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub duration: u32,
    pub bytes: u32,
    pub keyframe: bool,
}

impl Run {
    pub fn bytes(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.bytes)).sum()
    }

    fn end(&self) -> Ticks {
        let units = self.samples.iter().fold(self.start, |at, sample| at.saturating_add(u64::from(sample.duration)));
        Ticks::of(self.kind, units)
    }
}

/// Finds the end of the last whole fragment. `Err`: not even the head is there, or reading failed.
pub fn scan(file: &(impl Bytes + ?Sized)) -> Result<Found, Error> {
    let mut walk = Walk::new(file)?;
    // What was found before each of the last fragments, and where its samples are.
    let mut recent: VecDeque<(Found, Vec<Run>)> = VecDeque::new();
    loop {
        let before = walk.found.clone();
        let Some(runs) = walk.next_fragment()? else { break };
        if recent.len() == DOUBTED {
            recent.pop_front();
        }
        recent.push_back((before, runs));
    }
    for (before, runs) in recent {
        if !are_sound(file, before.codec, &runs)? {
            return Ok(Found { torn: true, ..before });
        }
    }
    Ok(walk.found)
}

/// Where in a file its fragmented form begins: at once, or behind the tables of a progressive one. Those grow with its length and are not read.
pub fn fragments(file: &(impl Bytes + ?Sized)) -> Result<u64, Error> {
    let length = file.length()?;
    let whole = |at, kind| box_at(file, at, length)?.filter(|found| found.is(kind)).ok_or(Error::Format("its head is not whole"));
    let ftyp = whole(0, b"ftyp")?;
    let moov = whole(ftyp.size, b"moov")?;
    let end = ftyp.size + moov.size;
    if has_child(file, ftyp.size + moov.head..end, b"mvex")? {
        return Ok(0);
    }
    let mdat = box_at(file, end, length)?.filter(|found| found.is(b"mdat")).ok_or(Error::Format("it has no samples"))?;
    Ok(end + mdat.head)
}

/// Whether a box of this kind is in what `content` spans, of which the first few are looked at.
fn has_child(file: &(impl Bytes + ?Sized), content: Range<u64>, kind: &[u8; 4]) -> Result<bool, Error> {
    let mut at = content.start;
    for _ in 0..MOST_CHILDREN {
        match box_at(file, at, content.end)? {
            Some(child) if child.is(kind) => return Ok(true),
            Some(child) => at += child.size,
            None => break,
        }
    }
    Ok(false)
}

/// A keyframe as a decoder takes it: the first that begins after the `nth` part of the whole, else the last; `None`: there is none yet.
pub fn keyframe(file: &(impl Bytes + ?Sized), nth: u64) -> Result<Option<(VideoCodec, Vec<u8>)>, Error> {
    let mut walk = Walk::new(file)?;
    let mut found: Vec<(Ticks, u64, u32)> = Vec::new();
    while let Some(runs) = walk.next_fragment()? {
        for run in runs.iter().filter(|run| run.kind == Kind::Video) {
            let first = run.samples.first().filter(|sample| sample.keyframe);
            found.extend(first.map(|sample| (Ticks::of(run.kind, run.start), run.position, sample.bytes)));
        }
    }
    let after = walk.found.duration.0 / nth.max(1);
    let Some(codec) = walk.found.codec else { return Ok(None) };
    let Some((_, position, bytes)) = found.iter().find(|(at, ..)| at.0 >= after).or(found.last()) else { return Ok(None) };
    let mut sample = vec![0; *bytes as usize];
    file.read_at(&mut sample, *position)?;
    Ok(Some((codec, entry::unit(codec, sample))))
}

/// Goes from fragment to fragment.
pub struct Walk<'a, B: ?Sized> {
    file: &'a B,
    length: u64,
    /// Of the pictures; `None`: sound alone.
    pub entry: Option<SampleEntry>,
    pub found: Found,
}

impl<'a, B: Bytes + ?Sized> Walk<'a, B> {
    pub fn new(file: &'a B) -> Result<Self, Error> {
        let length = file.length()?;
        let (head, moov) = head(file, length)?;
        if moov.mvex_box.is_none() {
            return Err(Error::Format("it is not fragmented"));
        }
        let entry = video_entry(&moov).cloned();
        let codec = entry.as_ref().map(|entry| entry::codec(entry).ok_or(Error::Format("its pictures are neither H.264 nor VP8")));
        let codec = codec.transpose()?;
        let (width, height) = entry.as_ref().and_then(entry::size).unwrap_or_default();
        let (torn, duration) = (head < length, Ticks::default());
        let found = Found { codec, width, height, head, end: head, torn, fragments: 0, pictures: 0, packets: 0, duration };
        Ok(Self { file, length, entry, found })
    }

    /// The same, from where an earlier walk through the same file had come to.
    pub fn resume(self, found: Found) -> Self {
        if found.end > self.length { self } else { Self { found: Found { torn: found.end < self.length, ..found }, ..self } }
    }

    /// The next fragment's samples; `None` after the last whole fragment.
    pub fn next_fragment(&mut self) -> Result<Option<Vec<Run>>, Error> {
        let Some((runs, end)) = self.fragment()? else { return Ok(None) };
        let found = &mut self.found;
        for run in &runs {
            let samples = run.samples.len() as u64;
            match run.kind {
                Kind::Video => found.pictures += samples,
                Kind::Audio => found.packets += samples,
            }
            found.duration = found.duration.max(run.end());
        }
        (found.end, found.torn, found.fragments) = (end, end < self.length, found.fragments + 1);
        Ok(Some(runs))
    }

    fn fragment(&self) -> Result<Option<(Vec<Run>, u64)>, Error> {
        let at = self.found.end;
        let Some(moof) = box_at(self.file, at, self.length)?.filter(|found| found.is(b"moof") && found.size <= MOST_TABLE) else {
            return Ok(None);
        };
        let Some(mdat) = box_at(self.file, at + moof.size, self.length)?.filter(|found| found.is(b"mdat")) else { return Ok(None) };
        let mut bytes = vec![0; moof.size as usize];
        self.file.read_at(&mut bytes, at)?;
        let Ok((boxes, _)) = MoofBox::decode(&bytes) else { return Ok(None) };
        let (first, end) = (at + moof.size + mdat.head, at + moof.size + mdat.size);
        let runs =
            boxes.traf_boxes.iter().map(|traf| run(traf, at).filter(|run| run.position >= first && run.position + run.bytes() <= end));
        Ok(runs.collect::<Option<Vec<_>>>().map(|runs| (runs, end)))
    }
}

/// One run per track, as they are written here. `moof`: where the fragment begins.
fn run(traf: &TrafBox, moof: u64) -> Option<Run> {
    let kind = [Kind::Video, Kind::Audio].into_iter().find(|kind| tables::id(*kind) == traf.tfhd_box.track_id)?;
    let start = traf.tfdt_box.as_ref()?.base_media_decode_time;
    let [trun] = traf.trun_boxes.as_slice() else { return None };
    let position = moof.checked_add(u64::try_from(trun.data_offset?).ok()?)?;
    let samples = trun.samples.iter().map(|sample| {
        let keyframe = sample.flags?.get() & NON_SYNC == 0;
        Some(Sample { duration: sample.duration?, bytes: sample.size?, keyframe })
    });
    Some(Run { kind, start, position, samples: samples.collect::<Option<_>>()? })
}

/// sample_is_non_sync_sample (14496-12 §8.8.3.1).
const NON_SYNC: u32 = 0x1_0000;

struct BoxAt {
    kind: [u8; 4],
    /// Bytes of the head alone, and with the content.
    head: u64,
    size: u64,
}

impl BoxAt {
    fn is(&self, kind: &[u8; 4]) -> bool {
        self.kind == *kind
    }
}

/// The box at `at`, where all of it is there.
fn box_at(file: &(impl Bytes + ?Sized), at: u64, length: u64) -> Result<Option<BoxAt>, Error> {
    if at.saturating_add(8) > length {
        return Ok(None);
    }
    let (mut size, mut kind, mut long) = ([0; 4], [0; 4], [0; 8]);
    file.read_at(&mut size, at)?;
    file.read_at(&mut kind, at + 4)?;
    let (head, size) = match u32::from_be_bytes(size) {
        1 if at.saturating_add(16) <= length => {
            file.read_at(&mut long, at + 8)?;
            (16, u64::from_be_bytes(long))
        }
        size => (8, u64::from(size)),
    };
    let is_whole = size >= head && at.checked_add(size).is_some_and(|end| end <= length);
    Ok(is_whole.then_some(BoxAt { kind, head, size }))
}

/// Reads `ftyp` and `moov`, and says where they end.
fn head(file: &(impl Bytes + ?Sized), length: u64) -> Result<(u64, MoovBox), Error> {
    let whole = |at| box_at(file, at, length)?.filter(|found| found.size <= MOST_TABLE).ok_or(Error::Format("its head is not whole"));
    let ftyp = whole(0)?;
    let moov = whole(ftyp.size)?;
    if !ftyp.is(b"ftyp") || !moov.is(b"moov") {
        return Err(Error::Format("it does not begin with ftyp and moov"));
    }
    let mut bytes = vec![0; moov.size as usize];
    file.read_at(&mut bytes, ftyp.size)?;
    let (boxes, _) = MoovBox::decode(&bytes)?;
    Ok((ftyp.size + moov.size, boxes))
}

fn video_entry(moov: &MoovBox) -> Option<&SampleEntry> {
    let track = moov.trak_boxes.iter().find(|track| track.mdia_box.hdlr_box.handler_type == HdlrBox::HANDLER_TYPE_VIDE)?;
    track.mdia_box.minf_box.stbl_box.stsd_box.entries.first()
}

fn are_sound(file: &(impl Bytes + ?Sized), codec: Option<VideoCodec>, runs: &[Run]) -> Result<bool, Error> {
    for run in runs {
        let codec = codec.filter(|_| run.kind == Kind::Video);
        let mut at = run.position;
        for sample in &run.samples {
            let mut bytes = vec![0; sample.bytes as usize];
            file.read_at(&mut bytes, at)?;
            if !entry::is_sound(codec, &bytes) {
                return Ok(false);
            }
            at += u64::from(sample.bytes);
        }
    }
    Ok(true)
}
