//! What every audio codec offers. Sound inside Mixdown is `f32`, 48 kHz, stereo, interleaved,
//! in frames of 20 ms; codecs with other rates or channel counts convert at this border.

use std::sync::Arc;

/// Samples per second and channel.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples per channel in one 20 ms frame.
pub const FRAME_SAMPLES: usize = 960;
/// Interleaved channels (left, right).
pub const CHANNELS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioCodec {
    /// RFC 6716 / 7587.
    Opus,
    /// G.711 µ-law, 8 kHz mono.
    Pcmu,
    /// G.711 A-law, 8 kHz mono.
    Pcma,
    /// Uncoded: 16 bits, little-endian, 48 kHz stereo. From files and streams that are played here; never on the wire.
    L16,
}

impl AudioCodec {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
            Self::L16 => "l16",
        }
    }

    /// RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::L16 => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AudioDecodeError {
    /// The packet is malformed. Conceal it as if it were lost.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The decoder is broken. Drop it and build a new one.
    #[error("decoder failed: {0}")]
    Failed(&'static str),
}

#[derive(Debug, thiserror::Error)]
pub enum AudioEncodeError {
    /// The settings are outside of what the codec can do. Correct them.
    #[error("encoder refuses the settings: {0}")]
    Settings(&'static str),
    /// The encoder is broken. Drop it and build a new one.
    #[error("encoder failed: {0}")]
    Failed(&'static str),
}

/// Turns packets of one sender into sound. All methods append interleaved stereo samples at 48 kHz
/// to `out` and return the number of samples per channel that they appended (at most 5 760).
pub trait AudioDecoder: Send {
    /// Decodes one packet.
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<usize, AudioDecodeError>;
    /// Rebuilds the lost packet before `next` from the redundancy that `next` carries (Opus in-band
    /// FEC); falls back to concealment where there is none. `samples`: per channel, a multiple of 120.
    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError>;
    /// Conceals `samples` samples per channel for which nothing arrived.
    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError>;
    /// Duration of a packet in samples per channel at 48 kHz, without decoding it.
    fn duration(&self, packet: &[u8]) -> Result<usize, AudioDecodeError>;
}

/// Turns the mix into packets.
pub trait AudioEncoder: Send {
    /// Encodes exactly one 20 ms frame (2 × 960 interleaved samples, −1…1). `Ok(None)`: nothing needs sending (DTX).
    fn encode(&mut self, pcm: &[f32]) -> Result<Option<Arc<[u8]>>, AudioEncodeError>;
    /// Share of packets that listeners lose, 0–1: steers in-band FEC.
    fn set_loss(&mut self, loss: f32);
    /// Target rate; ignored by codecs of fixed rate.
    fn set_bitrate(&mut self, bitrate_bps: u32);
    /// Makes the next packet independent of earlier ones: call it when a listener changes over to this encoder.
    fn restart(&mut self);
}

/// A decoder for `codec`.
pub fn decoder(codec: AudioCodec) -> Result<Box<dyn AudioDecoder>, AudioDecodeError> {
    Ok(match codec {
        AudioCodec::Opus => Box::new(crate::opus::Decoder::new()?),
        AudioCodec::Pcmu | AudioCodec::Pcma => Box::new(crate::g711::Decoder::new(codec)),
        AudioCodec::L16 => Box::new(crate::l16::Decoder),
    })
}

/// An encoder for `codec`.
pub fn encoder(codec: AudioCodec, bitrate_bps: u32) -> Result<Box<dyn AudioEncoder>, AudioEncodeError> {
    Ok(match codec {
        AudioCodec::Opus => Box::new(crate::opus::Encoder::new(bitrate_bps)?),
        AudioCodec::Pcmu | AudioCodec::Pcma => Box::new(crate::g711::Encoder::new(codec)),
        AudioCodec::L16 => return Err(AudioEncodeError::Settings("nothing is sent uncoded")),
    })
}
