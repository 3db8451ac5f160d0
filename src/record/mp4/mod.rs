//! Coded pictures and sound in MP4 (ISO/IEC 14496-12), without I/O of its own.
//!
//! While a recording runs the file is `ftyp moov (moof mdat)*`: [`fragment`] makes one fragment per second, each of
//! which stands for itself, so that every prefix of the file plays up to its last whole fragment, which [`scan`] finds.
//! [`progressive`] puts all tables in front of a closed file, which stays whole behind them. Pictures are H.264 (`avc1`) or VP8 (`vp08`) at
//! 90 kHz, sound is Opus (`Opus`, `dOps`) at 48 kHz; a sample lasts until the next one of its track, whatever was lost between.
//!
//! Picture sizes may change. Each H.264 keyframe keeps its parameter sets, beside those in the one sample entry, and players follow
//! them; VP8 keyframes carry their size anyway. Further sample entries are not written: a fragmented file's head
//! stands when they would be known, and Chromium stretches pictures of a second entry to the proportions of the first.
//!
//! Boxes are encoded and decoded by shiguredo_mp4. Its muxers are not used: they know neither a track that begins later
//! than the other nor edit lists, and copy all their tables for each fragment.
//!
//! Flow: `fragment::Fragmenter → file → scan → progressive`.

pub mod entry;
pub mod fragment;
pub mod playlist;
pub mod progressive;
pub mod scan;
mod tables;

pub use entry::unit;

use std::io;

/// Width and height of a coded keyframe as the encoder gives it; `None`: it is none that a file can hold.
pub fn picture_size(codec: mixdown_codecs::VideoCodec, keyframe: &[u8]) -> Option<(u16, u16)> {
    entry::size(&entry::of_keyframe(codec, keyframe).ok()?)
}

pub const VIDEO_SCALE: u32 = 90_000;
pub const AUDIO_SCALE: u32 = 48_000;
/// Track ids in every file.
const VIDEO_ID: u32 = 1;
const AUDIO_ID: u32 = 2;

/// A track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Video,
    Audio,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    /// Units per second of the track.
    pub const fn scale(self) -> u32 {
        match self {
            Self::Video => VIDEO_SCALE,
            Self::Audio => AUDIO_SCALE,
        }
    }

    /// What one unit of the track lasts, in [`Ticks`].
    pub const fn ticks_per_unit(self) -> u64 {
        Ticks::PER_SECOND / self.scale() as u64
    }
}

/// A time in units of 1/720 000 s, of which both tracks' units are whole multiples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ticks(pub u64);

impl Ticks {
    pub const PER_SECOND: u64 = 720_000;
    /// The shortest time that is a whole number of units in both tracks.
    pub const COMMON: u64 = 120;

    /// `units`: of the track's own scale.
    pub const fn of(kind: Kind, units: u64) -> Self {
        Self(units.saturating_mul(kind.ticks_per_unit()))
    }

    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(Self::PER_SECOND / 1000))
    }

    /// In units of the track, rounded down.
    pub const fn units(self, kind: Kind) -> u64 {
        self.0 / kind.ticks_per_unit()
    }

    pub const fn ms(self) -> u64 {
        self.0 / (Self::PER_SECOND / 1000)
    }

    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// Why something does not go into a file or does not come out of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Drop the unit; after a picture ask for a keyframe.
    #[error("the unit cannot be read: {0}")]
    Unit(String),
    /// Drop the unit.
    #[error("not later than the unit before")]
    Order,
    /// Not a file of ours, or damaged before its first fragment.
    #[error("not a recording: {0}")]
    Format(&'static str),
    /// The file stays as it is, fragmented, and plays.
    #[error("the tables cannot hold it: {0}")]
    Tables(&'static str),
    #[error("{0}")]
    Boxes(shiguredo_mp4::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl std::convert::From<shiguredo_mp4::Error> for Error {
    fn from(error: shiguredo_mp4::Error) -> Self {
        Self::Boxes(error)
    }
}

/// The part of a file from a position on.
pub struct From<'a, B: ?Sized>(pub &'a B, pub u64);

impl<B: Bytes + ?Sized> Bytes for From<'_, B> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.length()?.saturating_sub(self.1))
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_at(buffer, at.saturating_add(self.1))
    }
}

/// A file that can be read anywhere.
pub trait Bytes {
    fn length(&self) -> io::Result<u64>;
    /// Fills `buffer` from position `at`; fails where the file ends before.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

impl Bytes for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = at.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(at..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
pub mod tests;
