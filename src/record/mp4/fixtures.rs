//! Small coded material: x264 and libvpx at 160x120 (`large`) and 96x64, 30 pictures per second with a keyframe every 45, and Opus.

/// 90 pictures; every one differs from all others.
pub const LARGE_H264: &[u8] = include_bytes!("../fixtures/large.h264");
/// 30 pictures.
pub const SMALL_H264: &[u8] = include_bytes!("../fixtures/small.h264");
/// 90 pictures; every one differs from all others.
pub const LARGE_VP8: &[u8] = include_bytes!("../fixtures/large.vp8");
/// 151 packets of 20 ms.
pub const SOUND: &[u8] = include_bytes!("../fixtures/sound.opus");

/// The units of a fixture: each a big-endian length of 32 bits and so many bytes.
pub fn units(mut file: &'static [u8]) -> Vec<&'static [u8]> {
    let mut units = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        units.push(unit);
        file = rest;
    }
    units
}

pub fn is_keyframe(unit: &[u8], vp8: bool) -> bool {
    if vp8 { unit[0] & 1 == 0 } else { unit[4] & 0x1f == 7 }
}
