//! Samples to fragments (`moof`, `mdat`). A fragment is cut when its time is full, and before every keyframe.
//!
//! The last sample of a track is held back until the next one says how long it lasts: times in the file are exact and
//! nothing adds up. At the end the caller says when that is.

use super::tables::{self, Form, Track};
use super::{Error, Kind, Ticks, entry};
use mixdown_codecs::{AudioCodec, VideoCodec};
use shiguredo_mp4::boxes::{MfhdBox, MoofBox, TfdtBox, TfhdBox, TrafBox, TrunBox, TrunSample};
use shiguredo_mp4::{Encode, SampleFlags};
use std::time::{Duration, SystemTime};

/// Bytes that end a fragment early.
const MOST_BYTES: usize = 4 << 20;

/// Some of the file, to be written in one piece.
#[derive(Debug, Clone)]
pub struct Fragment {
    pub bytes: Vec<u8>,
    /// When its first sample begins, and when its last one ends.
    pub start: Ticks,
    pub end: Ticks,
    /// Its first picture is a keyframe: players can begin here.
    pub keyframe: bool,
    pub pictures: u32,
    pub packets: u32,
}

/// The beginning of the file, and the size of the first picture.
#[derive(Debug, Clone)]
pub struct Head {
    pub bytes: Vec<u8>,
    pub width: u16,
    pub height: u16,
}

pub struct Fragmenter {
    /// `None`: sound alone.
    codec: Option<VideoCodec>,
    length: Ticks,
    video: Waiting,
    audio: Waiting,
    /// When what waits began, samples held back aside.
    start: Option<Ticks>,
    sequence: u32,
}

/// Samples of one track that wait for the end of their fragment.
#[derive(Default)]
struct Waiting {
    samples: Vec<Sample>,
    bytes: usize,
    /// Begin of the newest sample ever, in units of the track.
    newest: Option<u64>,
}

struct Sample {
    start: u64,
    keyframe: bool,
    data: Vec<u8>,
}

impl Fragmenter {
    /// `keyframe` is the first picture, which is to be handed in again as such.
    pub fn new(codec: VideoCodec, keyframe: &[u8], length: Duration, created: SystemTime) -> Result<(Self, Head), Error> {
        let picture = entry::of_keyframe(codec, keyframe)?;
        let (width, height) = entry::size(&picture).unwrap_or_default();
        let tracks = vec![Track::empty(Kind::Video, picture), Track::empty(Kind::Audio, entry::opus())];
        let (fragmenter, bytes) = Self::with(Some(codec), tracks, length, created)?;
        Ok((fragmenter, Head { bytes, width, height }))
    }

    /// Pictures alone, which are to be turned to stand upright.
    pub fn pictures(
        codec: VideoCodec,
        keyframe: &[u8],
        quarter_turns: u8,
        length: Duration,
        created: SystemTime,
    ) -> Result<(Self, Head), Error> {
        let picture = entry::of_keyframe(codec, keyframe)?;
        let (width, height) = entry::size(&picture).unwrap_or_default();
        let track = Track { quarter_turns, ..Track::empty(Kind::Video, picture) };
        let (fragmenter, bytes) = Self::with(Some(codec), vec![track], length, created)?;
        Ok((fragmenter, Head { bytes, width, height }))
    }

    /// Sound alone, and the beginning of its file.
    pub fn sound(codec: AudioCodec, length: Duration, created: SystemTime) -> Result<(Self, Vec<u8>), Error> {
        Self::with(None, vec![Track::empty(Kind::Audio, entry::sound(codec)?)], length, created)
    }

    fn with(codec: Option<VideoCodec>, tracks: Vec<Track>, length: Duration, created: SystemTime) -> Result<(Self, Vec<u8>), Error> {
        let mut bytes = tables::file_type(Form::Fragmented)?;
        bytes.extend(tables::movie(tracks, created, Form::Fragmented)?.encode_to_vec()?);
        let length = Ticks::from_ms(length.as_millis().clamp(100, 60_000) as u64);
        Ok((Self { codec, length, video: Waiting::default(), audio: Waiting::default(), start: None, sequence: 0 }, bytes))
    }

    /// Takes a coded picture (H.264: an Annex B access unit, with parameter sets where it is a keyframe).
    /// Gives the fragment that it ends, to which it does not belong.
    pub fn video(&mut self, at: Ticks, picture: &[u8], keyframe: bool) -> Result<Option<Fragment>, Error> {
        self.video.check(Kind::Video, at)?;
        let codec = self.codec.ok_or_else(|| Error::Unit("a picture among sound".into()))?;
        let data = entry::sample(codec, picture)?;
        if keyframe {
            entry::of_sample(codec, &data)?;
        }
        let fragment = self.cut_before(Kind::Video, at, keyframe)?;
        self.video.push(Sample { start: at.units(Kind::Video), keyframe, data });
        Ok(fragment)
    }

    /// Takes an Opus packet. Gives the fragment that it ends, to which it does not belong.
    pub fn audio(&mut self, at: Ticks, packet: &[u8]) -> Result<Option<Fragment>, Error> {
        self.audio.check(Kind::Audio, at)?;
        if packet.is_empty() {
            return Err(Error::Unit("an empty packet".into()));
        }
        let fragment = self.cut_before(Kind::Audio, at, false)?;
        self.audio.push(Sample { start: at.units(Kind::Audio), keyframe: true, data: packet.to_vec() });
        Ok(fragment)
    }

    /// All that waits, as lasting until `end`.
    pub fn flush(&mut self, end: Ticks) -> Result<Option<Fragment>, Error> {
        self.start = None;
        self.fragment(Some(end), Some(end))
    }

    fn cut_before(&mut self, kind: Kind, at: Ticks, keyframe: bool) -> Result<Option<Fragment>, Error> {
        let start = *self.start.get_or_insert(at);
        let age = at.since(start);
        // However short it is: whoever jumps to a fragment can begin there. Keyframes are no more than two in a second.
        let before_keyframe = keyframe && !self.video.samples.is_empty();
        if !before_keyframe && age < self.length && self.video.bytes + self.audio.bytes < MOST_BYTES {
            return Ok(None);
        }
        self.start = Some(at);
        match kind {
            Kind::Video => self.fragment(Some(at), None),
            Kind::Audio => self.fragment(None, Some(at)),
        }
    }

    /// Of each track all that waits where it is known when that ends, or all but its newest sample.
    fn fragment(&mut self, video_end: Option<Ticks>, audio_end: Option<Ticks>) -> Result<Option<Fragment>, Error> {
        let tracks = [(Kind::Video, self.video.take(Kind::Video, video_end)), (Kind::Audio, self.audio.take(Kind::Audio, audio_end))];
        let tracks: Vec<Run> = tracks.into_iter().filter_map(|(kind, (samples, end))| Run::new(kind, samples, end)).collect();
        if tracks.is_empty() {
            return Ok(None);
        }
        self.sequence += 1;
        let times = tracks.iter().flat_map(|run| [Ticks::of(run.kind, run.start()), Ticks::of(run.kind, run.end)]);
        let (start, end) = times.fold((Ticks(u64::MAX), Ticks(0)), |(from, to), time| (from.min(time), to.max(time)));
        let count = |kind| tracks.iter().filter(|run| run.kind == kind).map(|run| run.samples.len() as u32).sum();
        let (pictures, packets) = (count(Kind::Video), count(Kind::Audio));
        let begins = tracks.iter().find(|run| run.kind == Kind::Video).and_then(|run| run.samples.first());
        let keyframe = begins.is_some_and(|sample| sample.keyframe);
        Ok(Some(Fragment { bytes: encode(self.sequence, &tracks)?, start, end, keyframe, pictures, packets }))
    }
}

impl Waiting {
    fn check(&self, kind: Kind, at: Ticks) -> Result<(), Error> {
        if self.newest.is_some_and(|newest| at.units(kind) <= newest) { Err(Error::Order) } else { Ok(()) }
    }

    fn push(&mut self, sample: Sample) {
        self.newest = Some(sample.start);
        self.bytes += sample.data.len();
        self.samples.push(sample);
    }

    /// The samples whose end is known, and the end of the last of them in units of the track.
    fn take(&mut self, kind: Kind, end: Option<Ticks>) -> (Vec<Sample>, u64) {
        let held = if end.is_some() { None } else { self.samples.pop() };
        let end = match (&held, end) {
            (Some(held), _) => held.start,
            (None, end) => end.unwrap_or_default().units(kind),
        };
        self.bytes = held.as_ref().map_or(0, |held| held.data.len());
        (std::mem::replace(&mut self.samples, held.into_iter().collect()), end)
    }
}

/// Samples of one track in one fragment; at least one.
struct Run {
    kind: Kind,
    samples: Vec<Sample>,
    end: u64,
}

impl Run {
    fn new(kind: Kind, samples: Vec<Sample>, end: u64) -> Option<Self> {
        let last = samples.last()?.start;
        Some(Self { kind, samples, end: end.max(last + 1) })
    }

    fn start(&self) -> u64 {
        self.samples.first().map_or(self.end, |sample| sample.start)
    }

    fn bytes(&self) -> usize {
        self.samples.iter().map(|sample| sample.data.len()).sum()
    }

    fn boxes(&self, data_offset: i32) -> TrafBox {
        let ends = self.samples.iter().skip(1).map(|sample| sample.start).chain([self.end]);
        let samples = self.samples.iter().zip(ends).map(|(sample, end)| TrunSample {
            duration: Some(u32::try_from(end - sample.start).unwrap_or(u32::MAX)),
            size: Some(sample.data.len() as u32),
            flags: Some(flags(sample.keyframe)),
            composition_time_offset: None,
        });
        TrafBox {
            tfhd_box: TfhdBox {
                track_id: tables::id(self.kind),
                base_data_offset: None,
                sample_description_index: None,
                default_sample_duration: None,
                default_sample_size: None,
                default_sample_flags: None,
                duration_is_empty: false,
                default_base_is_moof: true,
            },
            tfdt_box: Some(TfdtBox { version: 1, base_media_decode_time: self.start() }),
            trun_boxes: vec![TrunBox { data_offset: Some(data_offset), first_sample_flags: None, samples: samples.collect() }],
            unknown_boxes: Vec::new(),
        }
    }
}

/// 14496-12 §8.8.3.1: depends on no other sample, or depends on others and is no place to begin.
fn flags(keyframe: bool) -> SampleFlags {
    if keyframe { SampleFlags::from_fields(0, 2, 0, 0, 0, false, 0) } else { SampleFlags::from_fields(0, 1, 0, 0, 0, true, 0) }
}

fn encode(sequence_number: u32, tracks: &[Run]) -> Result<Vec<u8>, Error> {
    let moof = |data: usize| {
        let mut at = data;
        let traf_boxes = tracks.iter().map(|run| {
            let boxes = run.boxes(at as i32);
            at += run.bytes();
            boxes
        });
        MoofBox { mfhd_box: MfhdBox { sequence_number }, traf_boxes: traf_boxes.collect(), unknown_boxes: Vec::new() }.encode_to_vec()
    };
    // Its length does not depend on the offsets in it.
    let head = moof(0)?.len() + MDAT_HEAD;
    let payload: usize = tracks.iter().map(Run::bytes).sum();
    let mut bytes = moof(head)?;
    bytes.reserve_exact(MDAT_HEAD + payload);
    bytes.extend_from_slice(&((MDAT_HEAD + payload) as u32).to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    for sample in tracks.iter().flat_map(|run| &run.samples) {
        bytes.extend_from_slice(&sample.data);
    }
    Ok(bytes)
}

const MDAT_HEAD: usize = 8;
