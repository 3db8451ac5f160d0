//! Participants' own tracks, as they are received: next to a recording's composite or in its place.
//!
//! Each stretch of a track is a fragmented MP4 of its own, beside the composite: a new one begins where codec, size or orientation change,
//! for players take one sample entry alone. Times in a file begin at zero; its `offset_us` says when that is on the recording's
//! clock, which the composite's times count in too. Nothing is transcoded, and no decoder runs for it.
//!
//! Promises: a file of pictures begins with a keyframe, and what was lost is followed by one; sound is in order; senders' clocks are followed
//! ([`clock`]), so that two hours at 100 ppm stay within some milliseconds; every file is whole up to its last second, however the process ends.
//! Leaves out: who may be recorded (`conference::taps`), pauses (`session`).
//!
//! Flow: `Unit → stage::Tracks → Output → files::Files`, and in the end `files::conclude → tracks.json`.

pub mod clock;
pub mod files;
pub mod gate;
pub mod stage;

use super::mp4::{Kind, Ticks};
use crate::ids::{ParticipantId, Source, TrackId};
use crate::media::{AudioIn, VideoIn};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a recording writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The composed picture and the mix.
    #[default]
    Composite,
    /// Everybody's own tracks alone.
    Each,
    Both,
}

impl Mode {
    pub const fn has_composite(self) -> bool {
        !matches!(self, Self::Each)
    }

    pub const fn has_tracks(self) -> bool {
        !matches!(self, Self::Composite)
    }
}

/// One coded picture or packet from a participant.
#[derive(Debug, Clone)]
pub struct Unit {
    pub participant: ParticipantId,
    pub name: Arc<str>,
    /// When it came, on the room's clock.
    pub at: Ticks,
    /// It does not follow the one before: what came between was withheld, and is no loss.
    pub resumes: bool,
    pub medium: Medium,
}

#[derive(Debug, Clone)]
pub enum Medium {
    Picture(VideoIn),
    Packet(AudioIn),
}

impl Unit {
    pub fn track(&self) -> TrackId {
        let source = match &self.medium {
            Medium::Picture(picture) => picture.source,
            Medium::Packet(packet) => packet.source,
        };
        TrackId { participant: self.participant, source }
    }

    pub fn bytes(&self) -> usize {
        match &self.medium {
            Medium::Picture(picture) => picture.data.len(),
            Medium::Packet(packet) => packet.data.len(),
        }
    }

    pub fn kind(&self) -> Kind {
        match &self.medium {
            Medium::Picture(_) => Kind::Video,
            Medium::Packet(_) => Kind::Audio,
        }
    }
}

/// A file that begins: a line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its name in the recording's folder.
    pub file: String,
    pub participant: ParticipantId,
    /// When it began.
    pub name: String,
    /// `camera`, `microphone`, `screen` or `screen-audio`.
    pub source: String,
    /// `h264`, `vp8`, `opus`, `pcmu` or `pcma`.
    pub codec: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u16>,
    /// Clockwise, until its pictures stand upright; the file says so too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quarter_turns: Option<u8>,
    /// Microseconds on the recording's clock at which the file's time is zero.
    pub offset_us: u64,
}

/// Units that did not arrive, on the recording's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from_us: u64,
    pub to_us: u64,
    /// Pictures or packets that are known to be missing.
    pub lost: u64,
}

/// A file as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    #[serde(flatten)]
    pub begun: Begun,
    pub duration_us: u64,
    pub bytes: u64,
    /// Pictures or packets in it.
    pub units: u64,
    pub gaps: Vec<Gap>,
}

/// `tracks.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub version: u32,
    pub tracks: Vec<Stretch>,
}

pub(super) fn micros(ticks: Ticks) -> u64 {
    ticks.0.saturating_mul(100) / 72
}

/// As in a file's name.
pub const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Camera => "camera",
        Source::Microphone => "microphone",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen-audio",
    }
}

#[cfg(test)]
mod tests;
