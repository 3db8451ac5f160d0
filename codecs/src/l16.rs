//! Uncoded sound: 16-bit little-endian samples, 48 kHz, stereo interleaved.

use crate::audio::CHANNELS;
use crate::{AudioDecodeError, AudioDecoder};

/// Bytes of one sample of both channels.
const FRAME: usize = 2 * CHANNELS;
/// 120 ms, as with every other codec.
const MAX_SAMPLES: usize = 5_760;

/// Has no memory: what is lost is silence.
#[derive(Debug, Default)]
pub struct Decoder;

impl AudioDecoder for Decoder {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let samples = self.duration(packet)?;
        let sample = |pair: &[u8; 2]| f32::from(i16::from_le_bytes(*pair)) / 32_768.0;
        out.extend(packet.as_chunks().0.iter().map(sample));
        Ok(samples)
    }

    fn recover(&mut self, _: &[u8], samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        self.conceal(samples, out)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        out.resize(out.len() + samples * CHANNELS, 0.0);
        Ok(samples)
    }

    fn duration(&self, packet: &[u8]) -> Result<usize, AudioDecodeError> {
        match packet.len() / FRAME {
            samples @ 1..=MAX_SAMPLES if packet.len().is_multiple_of(FRAME) => Ok(samples),
            _ => Err(AudioDecodeError::Malformed("not whole samples of up to 120 ms")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_they_were_and_half_ones_are_refused() {
        let mut out = Vec::new();
        let packet = [0, 0x40, 0, 0xc0, 0xff, 0x7f, 0, 0x80];
        assert_eq!(Decoder.decode(&packet, &mut out).unwrap(), 2);
        assert_eq!((out[0], out[1], out[3]), (0.5, -0.5, -1.0));
        assert_eq!((Decoder.conceal(120, &mut out).unwrap(), out.len()), (120, 244));
        assert!(Decoder.duration(&packet[..6]).is_err() && Decoder.duration(&[]).is_err());
        assert!(Decoder.duration(&vec![0; 5_761 * 4]).is_err());
    }
}
