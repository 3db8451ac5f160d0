//! What every video codec offers.

use crate::{FramePool, I420Frame, Size};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoCodec {
    /// Constrained baseline, Annex B access units.
    H264,
    Vp8,
}

impl VideoCodec {
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Vp8 => "vp8",
        }
    }
}

/// Whether the next picture must be decodable by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intra {
    Auto,
    Force,
}

/// One coded picture.
#[derive(Debug, Clone)]
pub struct EncodedPicture {
    /// H.264: one Annex B access unit (SPS and PPS before every IDR). VP8: one frame (RFC 6386).
    pub data: Arc<[u8]>,
    pub keyframe: bool,
    /// Temporal layer: 0, or 1 for a picture that no other one refers to.
    pub layer: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderConfig {
    /// Even width and height.
    pub size: Size,
    pub fps: u32,
    pub bitrate_bps: u32,
    /// Screen content (slides, text) rather than a camera.
    pub screen: bool,
    /// Two temporal layers: without the pictures of layer 1 remains a stream of half the frame rate, and a receiver may leave
    /// them out and take them up again at any picture. VP8 loses about half a decibel by it, so only where somebody needs it.
    pub layered: bool,
}

/// Share of a layered stream's bits that its layer 0 takes.
pub const BASE_SHARE: f32 = 0.6;

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The unit is damaged or refers to pictures that are missing. Drop it and ask for a keyframe.
    #[error("damaged or undecodable unit: {0}")]
    Damaged(&'static str),
    /// The stream uses a profile, format or size that is refused before any decoder sees it. Drop it; do not retry before a keyframe.
    #[error("unsupported stream: {0}")]
    Unsupported(&'static str),
    /// The decoder itself is broken. Drop it and build a new one.
    #[error("decoder failed: {0}")]
    Failed(&'static str),
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The settings are outside of what the codec can do. Correct them.
    #[error("encoder refuses the settings: {0}")]
    Settings(&'static str),
    /// The picture's size is not that of the settings. Rebuild the encoder or scale the picture.
    #[error("picture is {got}, the encoder was built for {wanted}")]
    Size { got: Size, wanted: Size },
    /// The encoder is broken. Drop it and build a new one.
    #[error("encoder failed: {0}")]
    Failed(&'static str),
}

/// Turns coded pictures of one track into raw ones. Belongs to one sender.
pub trait VideoDecoder: Send {
    /// Decodes one whole coded picture. `Ok(None)`: the unit was accepted and showed no picture.
    fn decode(&mut self, unit: &[u8], pool: &mut FramePool) -> Result<Option<Arc<I420Frame>>, DecodeError>;
}

/// Turns raw pictures into coded ones. Real-time, no B-pictures, no look-ahead.
pub trait VideoEncoder: Send {
    /// Encodes one picture shown at `time_ms` since an arbitrary epoch. `Ok(None)`: rate control skipped it.
    fn encode(&mut self, picture: &I420Frame, time_ms: u64, intra: Intra) -> Result<Option<EncodedPicture>, EncodeError>;
    /// Changes target rate and frame rate from the next picture on, without a keyframe.
    fn set_rate(&mut self, bitrate_bps: u32, fps: u32) -> Result<(), EncodeError>;
}

/// A decoder for `codec`; `None` when this build leaves the codec out.
pub fn decoder(codec: VideoCodec, limits: crate::gate::Limits) -> Option<Result<Box<dyn VideoDecoder>, DecodeError>> {
    match codec {
        #[cfg(feature = "h264")]
        VideoCodec::H264 => Some(crate::h264::Decoder::new(limits).map(|d| Box::new(d) as _)),
        #[cfg(not(feature = "h264"))]
        VideoCodec::H264 => None,
        VideoCodec::Vp8 => Some(crate::vp8::Decoder::new(limits).map(|d| Box::new(d) as _)),
    }
}

/// An encoder for `codec`; `None` when this build leaves the codec out.
pub fn encoder(codec: VideoCodec, config: EncoderConfig) -> Option<Result<Box<dyn VideoEncoder>, EncodeError>> {
    match codec {
        #[cfg(feature = "h264")]
        VideoCodec::H264 => Some(crate::h264::Encoder::new(config).map(|e| Box::new(e) as _)),
        #[cfg(not(feature = "h264"))]
        VideoCodec::H264 => None,
        VideoCodec::Vp8 => Some(crate::vp8::Encoder::new(config).map(|e| Box::new(e) as _)),
    }
}
