//! Sequence and picture parameter sets (H.264, 7.3.2.1, 7.3.2.2 and annex E), read whole so far as a
//! decoder would act on them.

use super::{Limits, Refusal, bits::Bits};
use crate::Size;

/// Macroblocks that a decoded picture buffer may hold: MaxDpbMbs of level 4.1 (table A-1).
const MAX_DPB_MACROBLOCKS: u32 = 32_768;
const EXTENDED_SAR: u32 = 255;

/// What later units and the decoder need to know of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sps {
    pub id: u8,
    pub profile: u8,
    /// Display size: coded size less cropping.
    pub size: Size,
    pub macroblocks: u32,
    /// log2_max_frame_num.
    pub frame_num_bits: u32,
    pub gaps_allowed: bool,
}

impl Sps {
    /// `payload`: the NAL unit without its header byte.
    pub(super) fn parse(payload: &[u8], limits: Limits) -> Result<Self, Refusal> {
        let mut bits = Bits::new(payload);
        let profile = bits.bits(8)?;
        if !matches!(profile, 66 | 77 | 100) {
            return Err(Refusal::Unsupported);
        }
        bits.bits(8)?; // constraint flags
        let level = bits.bits(8)?;
        if !(9..=52).contains(&level) {
            return Err(Refusal::Unsupported);
        }
        let id = bits.ue_up_to(31)?;
        if profile == 100 {
            high_profile_formats(&mut bits)?;
        }
        let frame_num_bits = bits.ue_up_to(12)? + 4;
        picture_order_count(&mut bits)?;
        let references = bits.ue_up_to(16)?;
        let gaps_allowed = bits.flag()?;
        let (size, macroblocks) = picture_size(&mut bits, limits)?;
        if references.saturating_mul(macroblocks) > MAX_DPB_MACROBLOCKS {
            return Err(Refusal::TooLarge);
        }
        if bits.flag()? {
            usability_information(&mut bits)?;
        }
        Ok(Self { id: id as u8, profile: profile as u8, size, macroblocks, frame_num_bits, gaps_allowed })
    }
}

/// The part that only high profiles carry: 4:2:0 with 8 bits or refused.
fn high_profile_formats(bits: &mut Bits<'_>) -> Result<(), Refusal> {
    let chroma_format = bits.ue_up_to(3)?;
    if chroma_format != 1 {
        return Err(Refusal::Unsupported);
    }
    let (luma_depth, chroma_depth, lossless) = (bits.ue_up_to(6)?, bits.ue_up_to(6)?, bits.flag()?);
    if (luma_depth, chroma_depth, lossless) != (0, 0, false) {
        return Err(Refusal::Unsupported);
    }
    if bits.flag()? {
        for list in 0..8 {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(())
}

fn scaling_list(bits: &mut Bits<'_>, length: usize) -> Result<(), Refusal> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..length {
        if next != 0 {
            next = (last + bits.se_within(-128..=127)?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn picture_order_count(bits: &mut Bits<'_>) -> Result<(), Refusal> {
    match bits.ue_up_to(2)? {
        0 => bits.ue_up_to(12).map(drop),
        1 => {
            bits.flag()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue_up_to(255)? {
                bits.se()?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Display size and macroblocks per picture.
fn picture_size(bits: &mut Bits<'_>, limits: Limits) -> Result<(Size, u32), Refusal> {
    let wide = bits.ue()?.checked_add(1).ok_or(Refusal::TooLarge)?;
    let high = bits.ue()?.checked_add(1).ok_or(Refusal::TooLarge)?;
    if !bits.flag()? {
        return Err(Refusal::Unsupported); // interlaced
    }
    bits.flag()?; // direct_8x8_inference
    let coded = Size::new(wide.saturating_mul(16), high.saturating_mul(16));
    limits.check(coded)?;
    if !bits.flag()? {
        return Ok((coded, wide * high));
    }
    // 4:2:0, progressive: all crop units are two luma pixels.
    let mut side = |coded: u32| {
        let cropped = bits.ue()?.saturating_add(bits.ue()?).saturating_mul(2);
        if cropped >= coded { Err(Refusal::Malformed) } else { Ok(coded - cropped) }
    };
    let size = Size::new(side(coded.width)?, side(coded.height)?);
    Ok((size, wide * high))
}

fn usability_information(bits: &mut Bits<'_>) -> Result<(), Refusal> {
    if bits.flag()? && bits.bits(8)? == EXTENDED_SAR {
        bits.bits(32)?;
    }
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate
    }
    if bits.flag()? {
        bits.bits(4)?; // video_format, full range
        if bits.flag()? {
            bits.bits(24)?; // primaries, transfer, matrix
        }
    }
    if bits.flag()? {
        bits.ue_up_to(5)?;
        bits.ue_up_to(5)?;
    }
    if bits.flag()? {
        bits.bits(32)?;
        bits.bits(32)?;
        bits.flag()?;
    }
    let (nal, vcl) = (bits.flag()? && hypothetical_decoder(bits)?, bits.flag()? && hypothetical_decoder(bits)?);
    if nal || vcl {
        bits.flag()?; // low_delay
    }
    bits.flag()?; // pic_struct_present
    if bits.flag()? {
        bits.flag()?;
        for most in [16, 16, 16, 16] {
            bits.ue_up_to(most)?;
        }
        let (reorder, buffering) = (bits.ue()?, bits.ue_up_to(16)?);
        if reorder > buffering {
            return Err(Refusal::Malformed);
        }
    }
    Ok(())
}

/// Reads hrd_parameters; always true, so that it can stand behind its flag.
fn hypothetical_decoder(bits: &mut Bits<'_>) -> Result<bool, Refusal> {
    let buffers = bits.ue_up_to(31)? + 1;
    bits.bits(8)?;
    for _ in 0..buffers {
        bits.ue()?;
        bits.ue()?;
        bits.flag()?;
    }
    bits.bits(20)?;
    Ok(true)
}

/// What slices need to know of a picture parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pps {
    pub id: u8,
    pub sps: u8,
}

impl Pps {
    /// `payload`: the NAL unit without its header byte. Flexible macroblock ordering, which only plain
    /// Baseline has and nobody sends, is refused.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let mut bits = Bits::new(payload);
        let (id, sps) = (bits.ue_up_to(255)?, bits.ue_up_to(31)?);
        bits.bits(2)?; // entropy coding mode, bottom field order present
        if bits.ue_up_to(7)? != 0 {
            return Err(Refusal::Unsupported);
        }
        bits.ue_up_to(31)?;
        bits.ue_up_to(31)?;
        bits.flag()?; // weighted prediction
        if bits.bits(2)? > 2 {
            return Err(Refusal::Malformed);
        }
        bits.se_within(-26..=25)?;
        bits.se_within(-26..=25)?;
        bits.se_within(-12..=12)?;
        bits.bits(3)?; // deblocking control, constrained intra, redundant pictures
        Ok(Self { id: id as u8, sps: sps as u8 })
    }
}
