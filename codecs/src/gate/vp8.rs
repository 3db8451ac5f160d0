//! VP8 frame headers (RFC 6386, sections 9 and 19.2): frame tag, keyframe size, and, through the
//! boolean decoder, as far as the number of token partitions, whose sizes must fit the unit.

use super::{Limits, MAX_UNIT, Refusal};
use crate::Size;

const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// What the header of one VP8 frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub keyframe: bool,
    /// Whether the frame is meant to be seen.
    pub shown: bool,
    /// Keyframes only.
    pub size: Option<Size>,
}

/// Checks the header of one frame. `Err`: the frame must not reach a decoder.
pub fn parse(unit: &[u8], limits: Limits) -> Result<Frame, Refusal> {
    if unit.len() > MAX_UNIT {
        return Err(Refusal::TooLarge);
    }
    let (&[a, b, c], rest) = unit.split_first_chunk().ok_or(Refusal::Truncated)?;
    let tag = u32::from_le_bytes([a, b, c, 0]);
    let (keyframe, version, shown, first_size) = (tag & 1 == 0, tag >> 1 & 7, tag >> 4 & 1 == 1, (tag >> 5) as usize);
    if version > 3 {
        return Err(Refusal::Unsupported);
    }
    let (size, partitions) = if keyframe { key_header(rest, limits).map(|(size, rest)| (Some(size), rest))? } else { (None, rest) };
    let (first, tokens) = partitions.split_at_checked(first_size).ok_or(Refusal::Truncated)?;
    let count = token_partitions(first, keyframe)?;
    check_partitions(tokens, count)?;
    Ok(Frame { keyframe, shown, size })
}

fn key_header(rest: &[u8], limits: Limits) -> Result<(Size, &[u8]), Refusal> {
    let (header, rest) = rest.split_first_chunk::<7>().ok_or(Refusal::Truncated)?;
    if header[..3] != START_CODE {
        return Err(Refusal::Malformed);
    }
    let (width, height) = (u16::from_le_bytes([header[3], header[4]]), u16::from_le_bytes([header[5], header[6]]));
    if width >> 14 != 0 || height >> 14 != 0 {
        return Err(Refusal::Unsupported); // upscaling by the viewer
    }
    let size = Size::new(u32::from(width), u32::from(height));
    if width == 0 || height == 0 {
        return Err(Refusal::Malformed);
    }
    limits.check(size)?;
    Ok((size, rest))
}

/// Number of token partitions, from the first partition's header (19.2 up to log2_nbr_of_dct_partitions).
fn token_partitions(first: &[u8], keyframe: bool) -> Result<usize, Refusal> {
    let mut bits = BoolDecoder::new(first)?;
    if keyframe {
        bits.literal(2)?; // colour space, clamping
    }
    if bits.flag()? {
        segmentation(&mut bits)?;
    }
    bits.literal(10)?; // loop filter: type, level, sharpness
    if bits.flag()? && bits.flag()? {
        for _ in 0..8 {
            if bits.flag()? {
                bits.literal(7)?;
            }
        }
    }
    Ok(1 << bits.literal(2)?)
}

fn segmentation(bits: &mut BoolDecoder<'_>) -> Result<(), Refusal> {
    let (map, data) = (bits.flag()?, bits.flag()?);
    if data {
        bits.flag()?;
        for width in [8, 8, 8, 8, 7, 7, 7, 7] {
            if bits.flag()? {
                bits.literal(width)?;
            }
        }
    }
    if map {
        for _ in 0..3 {
            if bits.flag()? {
                bits.literal(8)?;
            }
        }
    }
    Ok(())
}

/// `tokens`: three bytes of size for each partition but the last, then the partitions (9.5).
fn check_partitions(tokens: &[u8], count: usize) -> Result<(), Refusal> {
    let (sizes, data) = tokens.split_at_checked(3 * (count - 1)).ok_or(Refusal::Truncated)?;
    let sum: usize = sizes.chunks_exact(3).map(|size| usize::from(size[0]) | usize::from(size[1]) << 8 | usize::from(size[2]) << 16).sum();
    if sum > data.len() { Err(Refusal::Truncated) } else { Ok(()) }
}

/// The boolean entropy decoder (RFC 6386, 7.3), for values of even probability; a zero byte follows the end,
/// as in the reference decoder, but no more than that.
#[derive(Debug)]
struct BoolDecoder<'a> {
    data: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
    beyond: u32,
}

impl<'a> BoolDecoder<'a> {
    fn new(data: &'a [u8]) -> Result<Self, Refusal> {
        let (&[high, low], data) = data.split_first_chunk().ok_or(Refusal::Truncated)?;
        Ok(Self { data, value: u32::from(high) << 8 | u32::from(low), range: 255, shifted: 0, beyond: 0 })
    }

    fn flag(&mut self) -> Result<bool, Refusal> {
        let split = 1 + (((self.range - 1) * 128) >> 8);
        let set = self.value >= split << 8;
        if set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                self.value |= self.next_byte()?;
            }
        }
        Ok(set)
    }

    fn next_byte(&mut self) -> Result<u32, Refusal> {
        if let Some((&byte, rest)) = self.data.split_first() {
            self.data = rest;
            return Ok(u32::from(byte));
        }
        self.beyond += 1;
        if self.beyond > 2 { Err(Refusal::Truncated) } else { Ok(0) }
    }

    fn literal(&mut self, width: u32) -> Result<u32, Refusal> {
        let mut value = 0;
        for _ in 0..width {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }
}
