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
}

impl Encode {
    pub fn new(codec: AudioCodec, grade: Grade, listeners: Arc<[ParticipantId]>) -> Self {
        Self { codec, grade, encoder: None, listeners, loss: 0.0 }
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
        if let Some(encoder) = &mut self.encoder {
            encoder.restart();
        }
    }

    pub fn send(&mut self, tick: &Tick<'_>, pcm: &Pcm) {
        if self.encoder.is_none() && self.build(tick.settings).is_err() {
            tick.counters.failures.increment(1);
        }
        let Some(encoder) = &mut self.encoder else { return };
        tick.counters.encodes.increment(1);
        match encoder.encode(&pcm[..]) {
            Ok(Some(data)) => {
                let rtp_time = tick.cadence.rtp_time(tick.n, self.codec.clock_rate());
                let packet = AudioOut { codec: self.codec, data, rtp_time, wallclock: tick.cadence.time(tick.n) };
                tick.outlet.audio(&self.listeners, Arc::new(packet));
            }
            Ok(None) => {}
            Err(_) => {
                tick.counters.failures.increment(1);
                self.encoder = None;
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
