//! Sample entries and samples from coded units.

use super::Error;
use mixdown_codecs::{AudioCodec, VideoCodec};
use shiguredo_mp4::bitstream::h264::{self, H264SampleEntryConfig, LengthSize};
use shiguredo_mp4::bitstream::opus::{ChannelCount, OpusSampleEntryConfig, build_opus_box};
use shiguredo_mp4::bitstream::vp8::{Vp8SampleEntryConfig, build_vp08_box, parse_frame_header};
use shiguredo_mp4::boxes::{SampleEntry, UnknownBox};
use shiguredo_mp4::{BoxSize, BoxType};

const NAL_SLICES: std::ops::RangeInclusive<u8> = 1..=5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;

/// Of a keyframe as the encoder gives it: H.264 in Annex B with its parameter sets, or VP8.
pub fn of_keyframe(codec: VideoCodec, keyframe: &[u8]) -> Result<SampleEntry, Error> {
    match codec {
        VideoCodec::H264 => of_sample(codec, &sample(codec, keyframe)?),
        VideoCodec::Vp8 => of_sample(codec, keyframe),
    }
}

/// Of a keyframe as it stands in the file.
pub fn of_sample(codec: VideoCodec, sample: &[u8]) -> Result<SampleEntry, Error> {
    match codec {
        VideoCodec::H264 => {
            let (sps, pps) = parameter_sets(sample);
            let entry = h264::build_avc1_box(&sps, &pps, &H264SampleEntryConfig { length_size: LengthSize::FourBytes });
            entry.map(SampleEntry::Avc1).map_err(|error| Error::Unit(error.to_string()))
        }
        VideoCodec::Vp8 => {
            let (width, height) = vp8_size(sample).ok_or_else(|| Error::Unit("no VP8 keyframe".into()))?;
            Ok(SampleEntry::Vp08(build_vp08_box(&Vp8SampleEntryConfig {
                video_full_range_flag: false,
                colour_primaries: Vp8SampleEntryConfig::COLOUR_PRIMARIES_UNSPECIFIED,
                transfer_characteristics: Vp8SampleEntryConfig::TRANSFER_CHARACTERISTICS_UNSPECIFIED,
                matrix_coefficients: Vp8SampleEntryConfig::MATRIX_COEFFICIENTS_UNSPECIFIED,
                width,
                height,
            })))
        }
    }
}

/// Stereo at 48 kHz. Nothing is skipped at the beginning: recordings join a running stream, and packets keep their times.
pub fn opus() -> SampleEntry {
    SampleEntry::Opus(build_opus_box(&OpusSampleEntryConfig {
        channel_count: ChannelCount::Stereo,
        pre_skip: 0,
        input_sample_rate: super::AUDIO_SCALE,
        output_gain: 0,
    }))
}

/// Of packets as a participant sends them.
pub fn sound(codec: AudioCodec) -> Result<SampleEntry, Error> {
    match codec {
        AudioCodec::Opus => Ok(opus()),
        AudioCodec::Pcmu => Ok(g711(*b"ulaw")),
        AudioCodec::Pcma => Ok(g711(*b"alaw")),
        AudioCodec::L16 => Err(Error::Unit("nobody sends it over a connection".into())),
    }
}

/// An AudioSampleEntry (14496-12 §12.2.3) with the four letters of QuickTime, which ISO has none for: mono at 8 kHz.
fn g711(kind: [u8; 4]) -> SampleEntry {
    let mut payload = vec![0; 28];
    for (at, bytes) in [(6, [0, 1]), (16, [0, 1]), (18, [0, 16]), (24, 8000u16.to_be_bytes())] {
        payload.splice(at..at + 2, bytes);
    }
    let size = payload.len() as u32 + 8;
    SampleEntry::Unknown(UnknownBox { box_type: BoxType::Normal(kind), box_size: BoxSize::U32(size), payload })
}

/// Width and height.
pub fn size(entry: &SampleEntry) -> Option<(u16, u16)> {
    match entry {
        SampleEntry::Avc1(entry) => Some((entry.visual.width, entry.visual.height)),
        SampleEntry::Vp08(entry) => Some((entry.visual.width, entry.visual.height)),
        _ => None,
    }
}

pub fn codec(entry: &SampleEntry) -> Option<VideoCodec> {
    match entry {
        SampleEntry::Avc1(_) => Some(VideoCodec::H264),
        SampleEntry::Vp08(_) => Some(VideoCodec::Vp8),
        _ => None,
    }
}

/// A picture as decoders take it, out of one as files hold it: H.264 with start codes in place of lengths.
pub fn unit(codec: VideoCodec, mut sample: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while codec == VideoCodec::H264
        && let Some(head) = sample.get_mut(at..at + 4)
        && let Ok(length) = <[u8; 4]>::try_from(&*head)
    {
        head.copy_from_slice(&[0, 0, 0, 1]);
        at += 4 + u32::from_be_bytes(length) as usize;
    }
    sample
}

/// A coded picture as files hold it: H.264 with lengths in place of start codes.
pub fn sample(codec: VideoCodec, picture: &[u8]) -> Result<Vec<u8>, Error> {
    match codec {
        VideoCodec::H264 => with_lengths(picture),
        VideoCodec::Vp8 if picture.is_empty() => Err(Error::Unit("an empty picture".into())),
        VideoCodec::Vp8 => Ok(picture.to_vec()),
    }
}

/// Annex B to lengths (14496-15 §5.2.3). The crate's own looks at every byte several times, which was a fifth of what a recording costs.
fn with_lengths(unit: &[u8]) -> Result<Vec<u8>, Error> {
    let malformed = |what: &str| Err(Error::Unit(what.to_owned()));
    let Some((before, mut rest)) = split_at_start_code(unit) else { return malformed("no start code") };
    if before.iter().any(|byte| *byte != 0) {
        return malformed("something before the first start code");
    }
    let mut sample = Vec::with_capacity(unit.len() + 16);
    loop {
        let (nal, after) = split_at_start_code(rest).map_or((rest, None), |(nal, after)| (nal, Some(after)));
        let zeros = nal.iter().rev().take_while(|byte| **byte == 0).count();
        let nal = nal.get(..nal.len() - zeros).unwrap_or_default();
        let Ok(length) = u32::try_from(nal.len()) else { return malformed("a NAL unit of gigabytes") };
        if length == 0 {
            return malformed("an empty NAL unit");
        }
        sample.extend_from_slice(&length.to_be_bytes());
        sample.extend_from_slice(nal);
        match after {
            Some(after) => rest = after,
            None => return Ok(sample),
        }
    }
}

/// What stands before and after the first 00 00 01.
fn split_at_start_code(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 2;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            1 if bytes.get(at - 2..at) == Some(&[0, 0]) => return Some((bytes.get(..at - 2)?, bytes.get(at + 1..)?)),
            0 => 1,
            _ => 3,
        };
    }
    None
}

/// Whether bytes that a power cut may have spoilt still look like a sample.
pub fn is_sound(codec: Option<VideoCodec>, sample: &[u8]) -> bool {
    match codec {
        Some(VideoCodec::H264) => is_chain_of_nals(sample),
        Some(VideoCodec::Vp8) => parse_frame_header(sample).is_ok() && sample.iter().any(|byte| *byte != 0),
        // Opus silence has few bits set, but never none for longer than this.
        None => sample.len() < 8 || sample.iter().any(|byte| *byte != 0),
    }
}

fn is_chain_of_nals(mut rest: &[u8]) -> bool {
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some(nal) = after.get(..u32::from_be_bytes(*length) as usize) else { return false };
        if nal.first().is_none_or(|header| header & 0x80 != 0 || header & 0x1f == 0) {
            return false;
        }
        rest = after.get(nal.len()..).unwrap_or_default();
    }
    rest.is_empty()
}

/// SPS and PPS in front of the first slice.
fn parameter_sets(mut rest: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut sps, mut pps) = (Vec::new(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some(nal) = after.get(..u32::from_be_bytes(*length) as usize) else { break };
        match nal.first().map(|header| header & 0x1f) {
            Some(NAL_SPS) => sps.push(nal.to_vec()),
            Some(NAL_PPS) => pps.push(nal.to_vec()),
            Some(kind) if NAL_SLICES.contains(&kind) => break,
            _ => {}
        }
        rest = after.get(nal.len()..).unwrap_or_default();
    }
    (sps, pps)
}

/// RFC 6386 §9.1: tag, start code, 14 bits each of width and height. `None`: no keyframe.
fn vp8_size(sample: &[u8]) -> Option<(u16, u16)> {
    let head = sample.first_chunk::<10>()?;
    if head[0] & 1 != 0 || head[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    let (width, height) = (side(head[6], head[7]), side(head[8], head[9]));
    (width > 0 && height > 0).then_some((width, height))
}
