//! One encoder with what it was told and whom it serves. Built when first needed, and again after it failed.

use super::Settings;
use crate::audio::Pcm;
use crate::cadence::Cadence;
use crate::ids::ParticipantId;
use crate::media::AudioOut;
use crate::pipeline::Outlet;
use crate::room::sound::Grade;
use metrics::Counter;
use mixdown_codecs::{AudioCodec, AudioEncodeError, AudioEncoder};
use std::sync::Arc;

/// Ticks between two packets of silence in Opus: a receiver that hears nothing for longer cannot tell silence from loss (as libopus has it).
const REFRESH: u64 = 20;

/// When a tick is encoded, how, and where it goes.
pub struct Tick<'a> {
    pub n: u64,
    pub cadence: &'a Cadence,
    pub settings: &'a Settings,
    pub outlet: &'a dyn Outlet,
    pub counters: &'a Counters,
}

/// Handles, looked up once.
pub struct Counters {
    encodes: Counter,
    failures: Counter,
}

impl Counters {
    pub fn new() -> Self {
        Self {
            encodes: metrics::counter!("mixdown_encodes_total", "kind" => "audio"),
            failures: metrics::counter!("mixdown_codec_failures_total", "kind" => "audio_encode"),
        }
    }
}

pub struct Encode {
    pub codec: AudioCodec,
    encoder: Option<Box<dyn AudioEncoder>>,
    pub grade: Grade,
    pub listeners: Arc<[ParticipantId]>,
    loss: f32,
    /// The packet that is sent again while nothing is heard; and whether it was, so that the encoder knows nothing of what its listeners heard last.
    silence: Option<Arc<[u8]>>,
    repeated: bool,
}

impl Encode {
    pub fn new(codec: AudioCodec, grade: Grade, listeners: Arc<[ParticipantId]>) -> Self {
        Self { codec, grade, encoder: None, listeners, loss: 0.0, silence: None, repeated: false }
    }

    pub fn set_loss(&mut self, loss: f32) {
        if self.loss != loss {
            self.loss = loss;
            if let Some(encoder) = &mut self.encoder {
                encoder.set_loss(loss);
            }
        }
    }

    /// More or less of the sound from the next packet on.
    pub fn set_grade(&mut self, grade: Grade, settings: &Settings) {
        if self.grade != grade {
            self.grade = grade;
            if let Some(encoder) = &mut self.encoder {
                encoder.set_bitrate(grade.bitrate(settings.bitrate_bps));
            }
        }
    }

    /// Readies the encoder for a listener who comes from another.
    pub fn begin(&mut self, settings: &Settings) {
        match &mut self.encoder {
            Some(encoder) => encoder.restart(),
            // Where that fails it is tried again, and counted, at the next packet.
            None => self.build(settings).unwrap_or_default(),
        }
    }

    pub fn restart(&mut self) {
        self.silence = None;
        if let Some(encoder) = &mut self.encoder {
            encoder.restart();
        }
    }

    /// Encodes and sends one tick.
    pub fn send(&mut self, tick: &Tick<'_>, pcm: &Pcm) {
        self.silence = None;
        if std::mem::take(&mut self.repeated) {
            self.restart();
        }
        if let Some(data) = self.encode(tick, pcm) {
            self.hand_over(tick, data);
        }
    }

    /// Nothing is heard, and nothing has been for a while: what was made of it once is sent again, in Opus only so often that receivers hear
    /// that the line lives. `silence`: one tick of it.
    pub fn rest(&mut self, tick: &Tick<'_>, silence: &Pcm) {
        if let Some(data) = &self.silence {
            self.repeated = true;
            if self.codec != AudioCodec::Opus || tick.n.is_multiple_of(REFRESH) {
                let data = Arc::clone(data);
                self.hand_over(tick, data);
            }
        } else if let Some(data) = self.encode(tick, silence) {
            self.silence = Some(Arc::clone(&data));
            self.hand_over(tick, data);
        }
    }

    fn hand_over(&self, tick: &Tick<'_>, data: Arc<[u8]>) {
        let rtp_time = tick.cadence.rtp_time(tick.n, self.codec.clock_rate());
        let packet = AudioOut { codec: self.codec, data, rtp_time, wallclock: tick.cadence.time(tick.n) };
        tick.outlet.audio(&self.listeners, Arc::new(packet));
    }

    fn encode(&mut self, tick: &Tick<'_>, pcm: &Pcm) -> Option<Arc<[u8]>> {
        if self.encoder.is_none() && self.build(tick.settings).is_err() {
            tick.counters.failures.increment(1);
        }
        let encoder = self.encoder.as_mut()?;
        tick.counters.encodes.increment(1);
        match encoder.encode(&pcm[..]) {
            Ok(data) => data,
            Err(_) => {
                tick.counters.failures.increment(1);
                self.encoder = None;
                None
            }
        }
    }

    fn build(&mut self, settings: &Settings) -> Result<(), AudioEncodeError> {
        let mut encoder = (settings.codecs.encoder)(self.codec, self.grade.bitrate(settings.bitrate_bps))?;
        encoder.set_loss(self.loss);
        self.encoder = Some(encoder);
        Ok(())
    }
}
