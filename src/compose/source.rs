//! All samples of all files in the order of the recording's clock, read as they are needed.

use super::Error;
use crate::ids::{ParticipantId, Source};
use crate::record::disk::Local;
use crate::record::mp4::scan::Walk;
use crate::record::mp4::{self, Bytes, Kind, Ticks};
use crate::record::tracks::Stretch;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

/// One file's contents.
pub struct Track {
    pub participant: ParticipantId,
    pub name: String,
    pub source: Source,
    pub codec: Codec,
    pub quarter_turns: u8,
    pub begin: Ticks,
    pub end: Ticks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Video(VideoCodec),
    Audio(AudioCodec),
}

/// A coded picture or packet as it was received.
pub struct Sample {
    /// Index of its track.
    pub track: usize,
    pub at: Ticks,
    pub keyframe: bool,
    pub data: Arc<[u8]>,
}

/// See the module.
pub struct Reel {
    pub tracks: Vec<Track>,
    cursors: Vec<Cursor>,
}

struct Cursor {
    file: File,
    /// Bytes of the file that were looked at; the next fragment begins here.
    end: u64,
    name: String,
    next: VecDeque<(Ticks, bool, u64, u32)>,
    over: bool,
}

impl Reel {
    pub fn open(disk: &Local, stretches: Vec<Stretch>) -> Result<Self, Error> {
        let (mut tracks, mut cursors) = (Vec::new(), Vec::new());
        for stretch in stretches {
            let (Some(source), Some(codec)) = (source(&stretch.begun.source), codec(&stretch.begun.codec)) else {
                tracing::warn!(file = stretch.begun.file, "left out: of an unknown source or codec");
                continue;
            };
            let file = disk.reader(&stretch.begun.file).map_err(|error| Error::Track(stretch.begun.file.clone(), error.into()))?;
            let ticks = |micros: u64| Ticks(micros.saturating_mul(72) / 100);
            tracks.push(Track {
                participant: stretch.begun.participant,
                name: stretch.begun.name,
                source,
                codec,
                quarter_turns: stretch.begun.quarter_turns.unwrap_or_default(),
                begin: ticks(stretch.begun.offset_us),
                end: ticks(stretch.begun.offset_us + stretch.duration_us),
            });
            cursors.push(Cursor { file, end: 0, name: stretch.begun.file, next: VecDeque::new(), over: false });
        }
        Ok(Self { tracks, cursors })
    }

    /// The next sample that is not later than `until`.
    pub fn next(&mut self, until: Ticks) -> Result<Option<Sample>, Error> {
        let mut first: Option<(Ticks, usize)> = None;
        for (index, (track, cursor)) in self.tracks.iter().zip(&mut self.cursors).enumerate() {
            if track.begin > until || cursor.over {
                continue;
            }
            cursor.fill(track.begin)?;
            if let Some((at, ..)) = cursor.next.front()
                && *at <= until
                && first.is_none_or(|(earliest, _)| *at < earliest)
            {
                first = Some((*at, index));
            }
        }
        let Some((_, index)) = first else { return Ok(None) };
        let (Some(track), Some(cursor)) = (self.tracks.get(index), self.cursors.get_mut(index)) else { return Ok(None) };
        let Some((at, keyframe, position, bytes)) = cursor.next.pop_front() else { return Ok(None) };
        let mut data = vec![0; bytes as usize];
        cursor.file.read_at(&mut data, position).map_err(|error| Error::Track(cursor.name.clone(), error.into()))?;
        let data = match track.codec {
            Codec::Video(codec) => mp4::unit(codec, data),
            Codec::Audio(_) => data,
        };
        Ok(Some(Sample { track: index, at, keyframe, data: data.into() }))
    }
}

impl Cursor {
    fn fill(&mut self, begin: Ticks) -> Result<(), Error> {
        if !self.next.is_empty() || self.over {
            return Ok(());
        }
        let unreadable = |error| Error::Track(self.name.clone(), error);
        let mut walk = Walk::new(&self.file).map_err(unreadable)?;
        walk.found.end = walk.found.end.max(self.end);
        let Some(runs) = walk.next_fragment().map_err(unreadable)? else {
            self.over = true;
            return Ok(());
        };
        self.end = walk.found.end;
        for run in runs {
            let (mut at, mut position) = (run.start, run.position);
            for sample in run.samples {
                let keyframe = run.kind == Kind::Audio || sample.keyframe;
                self.next.push_back((begin.plus(Ticks::of(run.kind, at)), keyframe, position, sample.bytes));
                at += u64::from(sample.duration);
                position += u64::from(sample.bytes);
            }
        }
        Ok(())
    }
}

fn source(name: &str) -> Option<Source> {
    [Source::Camera, Source::Microphone, Source::Screen, Source::ScreenAudio]
        .into_iter()
        .find(|source| crate::record::tracks::source_name(*source) == name)
}

fn codec(name: &str) -> Option<Codec> {
    let video = [VideoCodec::H264, VideoCodec::Vp8].into_iter().find(|codec| codec.name() == name).map(Codec::Video);
    let audio = || [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma].into_iter().find(|codec| codec.name() == name);
    video.or_else(|| audio().map(Codec::Audio))
}
