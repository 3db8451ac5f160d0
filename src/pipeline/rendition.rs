//! One encode of a canvas: at the canvas's rate or half of it, or a keyframe every few seconds; its bitrate follows what it is told.

use super::Outlet;
use super::keyframes::{Coalescer, Need};
use crate::ids::RenditionId;
use crate::media::VideoOut;
use crate::room::plan::RenditionKey;
use mixdown_codecs::{EncodeError, EncoderConfig, I420Frame, Intra, Size, VideoEncoder};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two still pictures.
const STILL_EVERY: Duration = Duration::from_secs(4);
/// Between two that somebody waits for.
const STILL_SPACING: Duration = Duration::from_secs(1);

/// The tick that is encoded.
pub struct Tick {
    pub n: u64,
    /// Of the canvas.
    pub fps: u32,
    /// Nothing has changed for a while, and this tick may be left out.
    pub idle: bool,
    pub now: Instant,
    pub rtp_time: u64,
    pub time_ms: u64,
    pub wallclock: Instant,
}

pub struct Rendition {
    pub id: RenditionId,
    /// In the tick that is being encoded.
    pub due: bool,
    key: RenditionKey,
    encoder: Option<Box<dyn VideoEncoder>>,
    keyframes: Coalescer,
    /// The network did not take the picture before: whatever refers to it must not follow.
    broken: bool,
    bitrate_bps: u32,
    /// Every second picture must be dispensable; and whether the encoder makes it so.
    layered: bool,
    has_layers: bool,
    still: Option<Instant>,
}

impl Rendition {
    pub fn new(id: RenditionId, key: RenditionKey) -> Self {
        let bitrate_bps = key.bitrate_bps;
        let (keyframes, layered, has_layers) = (Coalescer::default(), false, false);
        Self { id, due: false, key, encoder: None, keyframes, broken: false, bitrate_bps, layered, has_layers, still: None }
    }

    pub fn size(&self) -> Size {
        self.key.size
    }

    pub fn request_keyframe(&mut self, need: Need) {
        self.keyframes.request(need);
    }

    /// Layers come with a keyframe at once. They go with the next one that is needed anyway.
    pub fn set_layered(&mut self, layered: bool) {
        self.layered = layered;
        if layered && !self.has_layers {
            self.encoder = None;
        }
    }

    /// A new rate, without a keyframe.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.bitrate_bps = bitrate_bps;
        let fps = self.key.encoder().fps;
        if let Some(encoder) = &mut self.encoder
            && encoder.set_rate(bitrate_bps, fps).is_err()
        {
            metrics::counter!("mixdown_encode_errors_total").increment(1);
            self.encoder = None;
        }
    }

    /// Whether this tick is encoded.
    pub fn is_due(&mut self, tick: &Tick) -> bool {
        if self.key.fps == 0 {
            let wait = if self.keyframes.is_wanted() { STILL_SPACING } else { STILL_EVERY };
            return self.still.is_none_or(|still| tick.now.saturating_duration_since(still) >= wait);
        }
        let beat = |n: u64| n * u64::from(self.key.fps) / u64::from(tick.fps.max(1));
        let on_beat = self.key.fps >= tick.fps || tick.n == 0 || beat(tick.n) != beat(tick.n - 1);
        on_beat && (!tick.idle || self.keyframes.next(tick.now) == Intra::Force)
    }

    /// Encodes a picture of this rendition's size.
    pub fn encode(&mut self, picture: &I420Frame, tick: &Tick, outlet: &dyn Outlet) {
        if picture.size() != self.key.size {
            return; // the canvas has just changed its size; this rendition is about to be closed
        }
        let intra = if self.key.fps == 0 { Intra::Force } else { self.keyframes.next(tick.now) };
        if self.broken && intra != Intra::Force {
            return;
        }
        match self.encode_picture(picture, tick, intra) {
            Ok(Some(picture)) => {
                self.broken = !outlet.video(self.id, Arc::new(picture));
                if self.broken {
                    self.keyframes.request(Need::Joins);
                }
            }
            Ok(None) => metrics::counter!("mixdown_encoder_skips_total").increment(1),
            Err(error) => {
                metrics::counter!("mixdown_encode_errors_total").increment(1);
                tracing::warn!(rendition = %self.id, %error, "encoder rebuilt");
                self.encoder = None;
            }
        }
    }

    fn encode_picture(&mut self, picture: &I420Frame, tick: &Tick, intra: Intra) -> Result<Option<VideoOut>, EncodeError> {
        if intra == Intra::Force && self.has_layers != self.layered {
            self.encoder = None;
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => {
                self.has_layers = self.layered;
                let config = EncoderConfig { bitrate_bps: self.bitrate_bps, layered: self.layered, ..self.key.encoder() };
                let built = mixdown_codecs::video::encoder(self.key.codec, config);
                self.encoder.insert(built.ok_or(EncodeError::Settings("codec not in this build"))??)
            }
        };
        let coded = encoder.encode(picture, tick.time_ms, intra)?;
        let Some(coded) = coded else { return Ok(None) };
        metrics::counter!("mixdown_encodes_total", "kind" => "video").increment(1);
        metrics::counter!("mixdown_video_bytes_total").increment(coded.data.len() as u64);
        self.keyframes.sent(coded.data.len(), coded.keyframe, tick.now);
        if coded.keyframe {
            self.still = Some(tick.now);
            metrics::counter!("mixdown_keyframes_total").increment(1);
            metrics::counter!("mixdown_keyframe_bytes_total").increment(coded.data.len() as u64);
        }
        let (codec, rtp_time, wallclock) = (self.key.codec, tick.rtp_time, tick.wallclock);
        Ok(Some(VideoOut { codec, data: coded.data, keyframe: coded.keyframe, layer: coded.layer, rtp_time, wallclock }))
    }
}
