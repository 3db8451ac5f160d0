//! Opus (RFC 6716) over libopus: 48 kHz stereo both ways, in-band FEC, concealment, DTX.
//!
//! Packets are read in Rust first ([`duration`]): a malformed one never reaches the library, and no
//! packet yields more than 5 760 samples per channel. Mono senders come out on both channels.

use crate::{AudioDecodeError, AudioDecoder, AudioEncodeError, AudioEncoder, FRAME_SAMPLES, SAMPLE_RATE, audio::CHANNELS};
use opus::{Application, Bitrate, Channels, Signal};
use std::sync::Arc;

/// Samples per channel in 120 ms, the longest packet.
pub const MAX_SAMPLES: usize = 5_760;
/// Six frames of 20 ms, each of the largest size, with their lengths and the TOC byte.
const MAX_PACKET: usize = 6 * (1275 + 2) + 2;
/// Concealment works in steps of 2.5 ms.
const STEP: usize = 120;
/// Bytes of the largest 20 ms packet.
const MAX_CODED: usize = 1275 + 1;
/// A packet this short says nothing but "still silent".
const DTX_BYTES: usize = 2;
/// Below −70 dBFS there is nothing to hear. The library's own detector would also stop sending held notes and tones.
const QUIET: f32 = 0.000_3;
const COMPLEXITY: i32 = 5;
/// From this rate on voices come out closer to what they were in the library's music mode, which takes less than half of the work. Its other
/// mode is for thin links, and for lossy ones: FEC is in it alone.
const AMPLE: u32 = 48_000;
/// Packets without any loss after which the other mode is left.
const CALM: u32 = 500;
const BITRATES: std::ops::RangeInclusive<u32> = 8_000..=256_000;

/// The linked library's version.
pub fn version() -> &'static str {
    opus::version()
}

/// Duration of a packet in samples per channel at 48 kHz (RFC 6716, 3.1 and 3.2).
pub fn duration(packet: &[u8]) -> Result<usize, AudioDecodeError> {
    let (&toc, rest) = packet.split_first().ok_or(AudioDecodeError::Malformed("empty"))?;
    if packet.len() > MAX_PACKET {
        return Err(AudioDecodeError::Malformed("too long"));
    }
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(rest.first().ok_or(AudioDecodeError::Malformed("no frame count"))? & 0x3f),
    };
    match frame * frames {
        0 => Err(AudioDecodeError::Malformed("no frames")),
        samples if samples > MAX_SAMPLES => Err(AudioDecodeError::Malformed("longer than 120 ms")),
        samples => Ok(samples),
    }
}

/// Decodes the packets of one sender.
pub struct Decoder {
    library: opus::Decoder,
}

impl Decoder {
    pub fn new() -> Result<Self, AudioDecodeError> {
        let library = opus::Decoder::new(SAMPLE_RATE, Channels::Stereo).map_err(|_| AudioDecodeError::Failed("cannot create"))?;
        Ok(Self { library })
    }

    /// Appends `samples` per channel that the library makes of `packet`.
    fn append(&mut self, packet: &[u8], samples: usize, fec: bool, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let start = out.len();
        out.resize(start + samples * CHANNELS, 0.0);
        match self.library.decode_float(packet, &mut out[start..], fec) {
            Ok(decoded) if decoded == samples => Ok(samples),
            Ok(_) => {
                out.truncate(start);
                Err(AudioDecodeError::Malformed("other duration than announced"))
            }
            Err(_) => {
                out.truncate(start);
                Err(AudioDecodeError::Malformed("refused by the library"))
            }
        }
    }
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let samples = duration(packet)?;
        self.append(packet, samples, false, out)
    }

    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let fits = samples > 0 && samples <= MAX_SAMPLES && samples.is_multiple_of(STEP);
        if fits && duration(next).is_ok() && self.append(next, samples, true, out).is_ok() {
            return Ok(samples);
        }
        self.conceal(samples, out)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        let samples = samples.min(MAX_SAMPLES);
        let start = out.len();
        let mut left = samples.next_multiple_of(STEP);
        while left > 0 {
            // The library conceals at most one of its frames at full quality per call.
            let step = left.min(FRAME_SAMPLES);
            self.append(&[], step, false, out).map_err(|_| AudioDecodeError::Failed("cannot conceal"))?;
            left -= step;
        }
        out.truncate(start + samples * CHANNELS);
        Ok(samples)
    }

    fn duration(&self, packet: &[u8]) -> Result<usize, AudioDecodeError> {
        duration(packet)
    }
}

/// Encodes one mix: 20 ms packets, variable bitrate, speech first.
pub struct Encoder {
    library: opus::Encoder,
    coded: Box<[u8]>,
    /// The next packet must not refer to earlier ones.
    independent: bool,
    /// DTX is on: the sound is too quiet to hear.
    quiet: bool,
    loss_percent: i32,
    bitrate_bps: u32,
    signal: Signal,
    /// Packets since there was loss.
    calm: u32,
}

impl Encoder {
    /// `bitrate_bps` is brought into 8 to 256 kb/s; 32 to 64 kb/s suit a conference.
    pub fn new(bitrate_bps: u32) -> Result<Self, AudioEncodeError> {
        let failed = |_| AudioEncodeError::Failed("cannot create");
        let mut library = opus::Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Voip).map_err(failed)?;
        let refused = |_| AudioEncodeError::Settings("refused by the library");
        library.set_bitrate(bitrate(bitrate_bps)).map_err(refused)?;
        let signal = signal(bitrate_bps, CALM);
        library.set_signal(signal).map_err(refused)?;
        library.set_complexity(COMPLEXITY).map_err(refused)?;
        library.set_vbr(true).map_err(refused)?;
        library.set_inband_fec(false).map_err(refused)?;
        let coded = vec![0; MAX_CODED].into();
        Ok(Self { library, coded, independent: false, quiet: false, loss_percent: 0, bitrate_bps, signal, calm: CALM })
    }

    /// Changes over to the mode that suits.
    fn tune(&mut self) -> opus::Result<()> {
        self.calm = if self.loss_percent > 0 { 0 } else { CALM.min(self.calm + 1) };
        let signal = signal(self.bitrate_bps, self.calm);
        if signal != self.signal {
            self.library.set_signal(signal)?;
            self.signal = signal;
        }
        Ok(())
    }
}

fn signal(bitrate_bps: u32, calm: u32) -> Signal {
    if bitrate_bps >= AMPLE && calm >= CALM { Signal::Music } else { Signal::Auto }
}

fn bitrate(bps: u32) -> Bitrate {
    Bitrate::Bits(bps.clamp(*BITRATES.start(), *BITRATES.end()) as i32)
}

impl AudioEncoder for Encoder {
    fn encode(&mut self, pcm: &[f32]) -> Result<Option<Arc<[u8]>>, AudioEncodeError> {
        if pcm.len() != FRAME_SAMPLES * CHANNELS {
            return Err(AudioEncodeError::Settings("a frame is 2 × 960 samples"));
        }
        let failed = |_| AudioEncodeError::Failed("cannot encode");
        self.tune().map_err(failed)?;
        let quiet = pcm.iter().all(|sample| sample.abs() < QUIET);
        if quiet != self.quiet {
            self.library.set_dtx(quiet).map_err(failed)?;
            self.quiet = quiet;
        }
        let independent = std::mem::take(&mut self.independent);
        if independent {
            self.library.set_prediction_disabled(true).map_err(failed)?;
        }
        let length = self.library.encode_float(pcm, &mut self.coded).map_err(failed)?;
        if independent {
            self.library.set_prediction_disabled(false).map_err(failed)?;
        }
        Ok((length > DTX_BYTES).then(|| Arc::from(&self.coded[..length.min(MAX_CODED)])))
    }

    fn set_loss(&mut self, loss: f32) {
        let percent = if loss.is_finite() { (loss.clamp(0.0, 1.0) * 100.0).round() as i32 } else { 0 };
        if percent != self.loss_percent {
            self.loss_percent = percent;
            // Both values are in range: the library has nothing to refuse.
            let _ = self.library.set_packet_loss_perc(percent);
            let _ = self.library.set_inband_fec(percent > 0);
        }
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.bitrate_bps = bitrate_bps;
        let _ = self.library.set_bitrate(bitrate(bitrate_bps));
    }

    fn restart(&mut self) {
        self.independent = true;
    }
}
