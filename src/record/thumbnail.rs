//! A still out of a recording: a keyframe from its first tenth, decoded and scaled down.
//!
//! Costs one decode. Keyframes alone are looked at, so nothing before it is needed.

use super::mp4::{self, Bytes};
use mixdown_codecs::{FramePool, gate, video};
use mixdown_layouts::draw::rgb::{Format, encode};

const WIDTH: u32 = 320;
/// The largest canvas there is.
const LIMITS: gate::Limits = gate::Limits { max_pixels: 3840 * 2160, max_side: 3840 };

/// JPEG; `None`: it has no picture yet, or none that can be decoded.
pub fn draw(media: &(impl Bytes + ?Sized)) -> Option<Vec<u8>> {
    let (codec, keyframe) = mp4::scan::keyframe(media, 10).ok()??;
    let mut decoder = video::decoder(codec, LIMITS)?.ok()?;
    let frame = decoder.decode(&keyframe, &mut FramePool::default()).ok()??;
    encode(&frame, Some(WIDTH), Format::Jpeg).ok()
}
