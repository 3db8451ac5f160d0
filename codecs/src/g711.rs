//! G.711 (ITU-T G.711, RFC 3551): µ-law and A-law at 8 kHz mono, brought to 48 kHz stereo and back.
//!
//! Between the rates stands a linear-phase low-pass (Hann-windowed sinc, 3.6 kHz) of 192 taps, taken apart into six
//! phases upwards: 2 ms of delay each way, images and aliases 60 dB down. Lost packets are concealed by
//! repeating the last pitch period (after G.711 Appendix I, without its overlap of two periods), fading to silence in 60 ms.

use crate::{AudioCodec, AudioDecodeError, AudioDecoder, AudioEncodeError, AudioEncoder, FRAME_SAMPLES, audio::CHANNELS};
use std::sync::{Arc, LazyLock};

/// Between 8 and 48 kHz.
const RATIO: usize = 6;
/// Taps per phase.
const TAPS: usize = 32;
const LOW_PASS_HZ: f32 = 3_600.0;
/// Longest packet: 120 ms.
const MAX_PACKET: usize = 960;
/// What concealment remembers, in samples at 8 kHz.
const HISTORY: usize = 480;
/// Pitch periods looked for: 66 to 200 Hz … as in the standard.
const PITCH: std::ops::RangeInclusive<usize> = 40..=120;
/// Samples over which pitch candidates are compared.
const WINDOW: usize = 160;
const FADE_SAMPLES: f32 = 480.0;
/// Samples over which sound returns after concealment: 4 ms.
const RETURN: usize = 32;

/// Value of a µ-law byte, −32 124 to 32 124.
fn expand_mu(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i16::from(byte & 0x0f) << 3) + 132) << (byte >> 4 & 7)) - 132;
    if byte & 0x80 != 0 { -magnitude } else { magnitude }
}

/// Value of an A-law byte, −32 256 to 32 256.
fn expand_a(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = (byte >> 4 & 7, i16::from(byte & 0x0f) << 4);
    let magnitude = if segment == 0 { step + 8 } else { (step + 264) << (segment - 1) };
    if byte & 0x80 != 0 { magnitude } else { -magnitude }
}

fn compress_mu(value: i16) -> u8 {
    let sign = if value < 0 { 0x80 } else { 0 };
    let magnitude = value.unsigned_abs().min(32_635) + 132;
    let segment = 8 - magnitude.leading_zeros();
    !(sign | (segment << 4) as u8 | (magnitude >> (segment + 3) & 0x0f) as u8)
}

fn compress_a(value: i16) -> u8 {
    let sign = if value < 0 { 0 } else { 0x80 };
    let magnitude = if value < 0 { !value as u16 } else { value as u16 };
    let segment = 16 - (magnitude >> 8).leading_zeros();
    let step = if segment == 0 { magnitude >> 4 } else { magnitude >> (segment + 3) } & 0x0f;
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

/// The low-pass at 48 kHz, of sum 1.
static LOW_PASS: LazyLock<[f32; RATIO * TAPS]> = LazyLock::new(|| {
    let length = (RATIO * TAPS) as f64;
    let cutoff = 2.0 * f64::from(LOW_PASS_HZ) / 48_000.0;
    let mut taps = [0.0; RATIO * TAPS];
    for (n, tap) in taps.iter_mut().enumerate() {
        let x = n as f64 - (length - 1.0) / 2.0;
        let window = 0.5 - 0.5 * (std::f64::consts::TAU * (n as f64 + 0.5) / length).cos();
        let angle = std::f64::consts::PI * cutoff * x;
        *tap = (angle.sin() / (std::f64::consts::PI * x) * window) as f32;
    }
    let sum: f32 = taps.iter().sum();
    taps.map(|tap| tap / sum)
});

/// Decodes one sender's packets.
pub struct Decoder {
    expand: fn(u8) -> i16,
    /// The last samples at 8 kHz, oldest first.
    history: [f32; HISTORY],
    /// Samples concealed since the last packet.
    concealed: usize,
    /// The pitch period that is being repeated.
    period: usize,
}

impl Decoder {
    /// A decoder of A-law for [`AudioCodec::Pcma`], of µ-law otherwise.
    pub fn new(codec: AudioCodec) -> Self {
        let expand = if codec == AudioCodec::Pcma { expand_a } else { expand_mu };
        Self { expand, history: [0.0; HISTORY], concealed: 0, period: *PITCH.end() }
    }

    /// Takes one sample at 8 kHz and appends six stereo ones.
    fn push(&mut self, sample: f32, out: &mut Vec<f32>) {
        self.history.copy_within(1.., 0);
        self.history[HISTORY - 1] = sample;
        for phase in 0..RATIO {
            let taps = LOW_PASS[phase..].iter().step_by(RATIO);
            let sum: f32 = self.history.iter().rev().zip(taps).map(|(sample, tap)| sample * tap).sum();
            out.extend([sum * RATIO as f32; CHANNELS]);
        }
    }

    /// The next sample of the repeated period, fading.
    fn repeat(&mut self) -> f32 {
        if self.concealed == 0 {
            self.period = pitch(&self.history);
        }
        self.concealed += 1;
        let loudness = (1.0 - self.concealed as f32 / FADE_SAMPLES).max(0.0);
        // What is repeated has been faded already, by one sample's share less for each sample of the period.
        let before = (1.0 - (self.concealed.saturating_sub(self.period)) as f32 / FADE_SAMPLES).max(f32::EPSILON);
        self.history[HISTORY - self.period] * (loudness / before).min(1.0)
    }
}

/// The lag at which the end of the history is most like what came before.
fn pitch(history: &[f32; HISTORY]) -> usize {
    let end = &history[HISTORY - WINDOW..];
    let likeness = |lag: usize| {
        let earlier = &history[HISTORY - WINDOW - lag..HISTORY - lag];
        let (product, energy) = end.iter().zip(earlier).fold((0.0, 1e-9), |(p, e), (a, b)| (p + a * b, e + b * b));
        product / f32::sqrt(energy)
    };
    let scored = PITCH.map(|lag| (lag, likeness(lag)));
    scored.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(*PITCH.end(), |(lag, _)| lag)
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let samples = self.duration(packet)?;
        let concealed = self.concealed > 0;
        for (n, &byte) in packet.iter().enumerate() {
            let mut sample = f32::from((self.expand)(byte)) / 32_768.0;
            if concealed && n < RETURN {
                let share = (n + 1) as f32 / (RETURN + 1) as f32;
                sample = sample * share + self.repeat() * (1.0 - share);
            }
            self.push(sample, out);
        }
        self.concealed = 0;
        Ok(samples)
    }

    fn recover(&mut self, _next: &[u8], samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        self.conceal(samples, out)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let samples = samples.min(MAX_PACKET * RATIO);
        let start = out.len();
        for _ in 0..samples.div_ceil(RATIO) {
            let sample = self.repeat();
            self.push(sample, out);
        }
        out.truncate(start + samples * CHANNELS);
        Ok(samples)
    }

    fn duration(&self, packet: &[u8]) -> Result<usize, AudioDecodeError> {
        match packet.len() {
            0 => Err(AudioDecodeError::Malformed("empty")),
            bytes if bytes > MAX_PACKET => Err(AudioDecodeError::Malformed("longer than 120 ms")),
            bytes => Ok(bytes * RATIO),
        }
    }
}

/// Encodes one mix: 160 bytes per 20 ms, always.
pub struct Encoder {
    compress: fn(i16) -> u8,
    /// The end of the last frame in mono, then the present frame.
    mono: Vec<f32>,
}

impl Encoder {
    /// An encoder to A-law for [`AudioCodec::Pcma`], to µ-law otherwise.
    pub fn new(codec: AudioCodec) -> Self {
        let compress = if codec == AudioCodec::Pcma { compress_a } else { compress_mu };
        Self { compress, mono: vec![0.0; RATIO * TAPS] }
    }
}

impl AudioEncoder for Encoder {
    fn encode(&mut self, pcm: &[f32]) -> Result<Option<Arc<[u8]>>, AudioEncodeError> {
        if pcm.len() != FRAME_SAMPLES * CHANNELS {
            return Err(AudioEncodeError::Settings("a frame is 2 × 960 samples"));
        }
        self.mono.drain(..self.mono.len() - RATIO * TAPS);
        self.mono.extend(pcm.chunks_exact(CHANNELS).map(|both| 0.5 * (both[0] + both[1])));
        let coded: Arc<[u8]> = (1..=FRAME_SAMPLES / RATIO)
            .map(|n| {
                let window = &self.mono[n * RATIO..n * RATIO + RATIO * TAPS];
                let sum: f32 = window.iter().zip(LOW_PASS.iter()).map(|(sample, tap)| sample * tap).sum();
                (self.compress)((sum * 32_768.0).round() as i16)
            })
            .collect();
        Ok(Some(coded))
    }

    fn set_loss(&mut self, _loss: f32) {}

    fn set_bitrate(&mut self, _bitrate_bps: u32) {}

    fn restart(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_mean_what_the_tables_of_the_standard_say() {
        for (byte, value) in [(0x00, -32_124), (0x80, 32_124), (0x7f, 0), (0xff, 0), (0x0f, -16_764), (0xf0, 120)] {
            assert_eq!(expand_mu(byte), value, "{byte:#x}");
        }
        for (byte, value) in [(0x2a, -32_256), (0xaa, 32_256), (0x55, -8), (0xd5, 8), (0x45, -264)] {
            assert_eq!(expand_a(byte), value, "{byte:#x}");
        }
    }

    #[test]
    fn every_byte_is_the_code_of_its_own_value() {
        for byte in 0..=255 {
            let (mu, a) = (compress_mu(expand_mu(byte)), compress_a(expand_a(byte)));
            assert!(mu == byte || (byte == 0x7f && mu == 0xff), "µ-law {byte:#x} became {mu:#x}");
            assert_eq!(a, byte, "A-law");
        }
    }

    #[test]
    fn codes_are_nearest_or_next_to_it_everywhere() {
        for value in i16::MIN..=i16::MAX {
            for (expand, compress) in [(expand_mu as fn(u8) -> i16, compress_mu as fn(i16) -> u8), (expand_a, compress_a)] {
                let back = i32::from(expand(compress(value)));
                let error = (back - i32::from(value)).abs();
                assert!(error <= 8 + i32::from(value).abs() / 32 + 644 * i32::from(value.unsigned_abs() > 32_124), "{value} → {back}");
            }
        }
    }
}
