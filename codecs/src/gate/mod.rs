//! The gate: what a coded unit claims to be, read in Rust before any C code sees it.
//!
//! Flow: unit from the network → [`inspect`] (stateless: keyframe? size?) → queue → decoder, which
//! passes the unit through [`h264::Stream::admit`] or [`vp8::parse`] → C code.
//!
//! Promises: any bytes give an answer, never a panic; no allocation in steady state; what is admitted
//! keeps the caller's [`Limits`] and is of a profile that the decoders are meant for.
//! Leaves out: the entropy-coded picture data itself; a damaged picture is for the decoder to notice.

mod bits;
pub mod h264;
mod sps;
pub mod vp8;

use crate::{Size, VideoCodec};
use std::time::{Duration, Instant};

/// Longest coded picture in bytes.
pub const MAX_UNIT: usize = 1 << 20;

/// What a stream may ask of a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest picture in luma pixels.
    pub max_pixels: u32,
    /// Longest side in luma pixels.
    pub max_side: u32,
}

impl Default for Limits {
    /// 1080p in either orientation, with room for odd ratios.
    fn default() -> Self {
        Self { max_pixels: 1920 * 1088, max_side: 2560 }
    }
}

impl Limits {
    /// `Err(TooLarge)` unless a picture of `size` is within the limits.
    pub fn check(self, size: Size) -> Result<(), Refusal> {
        let pixels = u64::from(size.width) * u64::from(size.height);
        let fits = size.width <= self.max_side && size.height <= self.max_side && pixels <= u64::from(self.max_pixels);
        if fits { Ok(()) } else { Err(Refusal::TooLarge) }
    }
}

/// What the header of a coded picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Decodable by itself: IDR (H.264) or keyframe (VP8).
    pub keyframe: bool,
    /// Display size where the unit carries it (SPS, VP8 keyframe header).
    pub size: Option<Size>,
    /// Nothing in it is beyond what every decoder of the codec knows (H.264: the baseline profile, in which pictures also come in the
    /// order in which they are shown).
    pub baseline: bool,
}

/// Why a unit must not reach a decoder. Drop the unit and ask for a keyframe; a stream that keeps
/// being [`Refusal::Unsupported`] or [`Refusal::TooLarge`] will not get better by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("truncated")]
    Truncated,
    #[error("malformed")]
    Malformed,
    #[error("profile or format not supported")]
    Unsupported,
    #[error("picture larger than the limit")]
    TooLarge,
}

impl From<Refusal> for crate::DecodeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Truncated => Self::Damaged("truncated header"),
            Refusal::Malformed => Self::Damaged("malformed header"),
            Refusal::Unsupported => Self::Unsupported("profile or format"),
            Refusal::TooLarge => Self::Unsupported("picture larger than the limit"),
        }
    }
}

/// Reads the header of one coded picture. `Err`: the unit must not reach a decoder.
///
/// H.264: parameter sets inside the unit are checked; what depends on earlier units is not (see [`h264::Stream`]).
pub fn inspect(codec: VideoCodec, unit: &[u8], limits: Limits) -> Result<Header, Refusal> {
    match codec {
        VideoCodec::H264 => h264::inspect(unit, limits),
        VideoCodec::Vp8 => vp8::parse(unit, limits).map(|frame| Header { keyframe: frame.keyframe, size: frame.size, baseline: true }),
    }
}

/// Limits how often a stream may change its picture size: at most [`SizeChanges::ALLOWED`] times per
/// [`SizeChanges::WINDOW`]. The first size is no change.
#[derive(Debug, Default)]
pub struct SizeChanges {
    size: Option<Size>,
    /// When the latest allowed changes happened, newest first.
    recent: [Option<Instant>; Self::ALLOWED],
}

impl SizeChanges {
    pub const ALLOWED: usize = 2;
    pub const WINDOW: Duration = Duration::from_secs(5);

    /// Whether a keyframe of `size` may be decoded at `now`. `false`: drop it, keep the last picture, back off.
    pub fn allow(&mut self, size: Size, now: Instant) -> bool {
        let changed = self.size.is_some_and(|known| known != size);
        if changed {
            let oldest = self.recent[Self::ALLOWED - 1];
            if oldest.is_some_and(|at| now.saturating_duration_since(at) < Self::WINDOW) {
                return false;
            }
            self.recent.rotate_right(1);
            self.recent[0] = Some(now);
        }
        self.size = Some(size);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary epoch for virtual time")]
    fn a_third_change_of_size_within_five_seconds_is_refused_and_a_later_one_is_not() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let (big, small) = (Size::new(1280, 720), Size::new(640, 360));
        let mut changes = SizeChanges::default();
        assert!(changes.allow(big, at(0)));
        assert!(changes.allow(big, at(10)));
        assert!(changes.allow(small, at(1000)));
        assert!(changes.allow(big, at(2000)));
        assert!(!changes.allow(small, at(5999)));
        assert!(changes.allow(big, at(5999)), "the size in use is no change");
        assert!(changes.allow(small, at(6000)));
        assert!(!changes.allow(big, at(6900)));
    }

    #[test]
    fn limits_count_pixels_and_sides() {
        let limits = Limits::default();
        assert_eq!(limits.check(Size::new(1080, 1920)), Ok(()));
        assert_eq!(limits.check(Size::new(2576, 16)), Err(Refusal::TooLarge));
        assert_eq!(limits.check(Size::new(2048, 1088)), Err(Refusal::TooLarge));
        assert_eq!(limits.check(Size::new(u32::MAX, u32::MAX)), Err(Refusal::TooLarge));
    }
}
