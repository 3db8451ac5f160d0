//! One track of sound in a room's mix: its playout, how loud it is, and whether its word about that can be trusted.
//!
//! The level that a sender claims (RFC 6464) is known before its packet is played, so that a voice is decoded from its
//! first word on without decoding silence. Claims are checked wherever decoded sound is at hand, and everybody who is
//! not decoded is listened into from time to time. Whoever claims nothing, or falsely, is always decoded and measured.

use super::Settings;
use crate::audio::denoise::Denoise;
use crate::audio::level::{self, SILENCE, Smooth};
use crate::audio::levelling::Levelling;
use crate::audio::mixer::add_gliding;
use crate::audio::playout::{Playout, Stats};
use crate::audio::{Pcm, silence};
use crate::media::AudioIn;
use crate::room::sound::Voicing;
use mixdown_codecs::{AudioCodec, AudioDecodeError};

/// Loudness falls by this many dB per tick: 20 dB per second.
const FALL: f32 = 0.4;
/// Ticks that a voice stays open after it was last above the gate.
const HOLD: u64 = 75;
/// Ticks that a claim is good for.
const CLAIM: u64 = 4;
/// dB by which a claim may be wrong. A wrong one weighs as much as two right ones, and this is too much.
const TOLERANCE: f32 = 20.0;
const SUSPECT: u32 = 16;
/// Samples per channel in which a voice comes in.
const ATTACK: usize = 240;
const RELEASE: usize = 960;

/// One sender's microphone or screen sound.
pub struct Voice {
    playout: Playout,
    pcm: Box<Pcm>,
    /// Both are kept until they have gone without a seam.
    denoise: Option<Denoise>,
    levelling: Option<Levelling>,
    voicing: Voicing,
    /// Factor in the mix when chosen, and now.
    factor: f32,
    weight: f32,
    chosen: bool,
    rendered: bool,
    /// Level of the tick: measured where decoded, else claimed; and as it was before any treatment.
    level: f32,
    measured: f32,
    loudness: Smooth,
    open_until: u64,
    claim: Option<(u64, f32)>,
    claims: bool,
    suspicion: u32,
    distrusted: bool,
    reported: Stats,
}

impl Voice {
    pub fn new(settings: &Settings, codec: AudioCodec) -> Result<Self, AudioDecodeError> {
        Ok(Self {
            playout: Playout::new(codec, (settings.codecs.decoder)(codec)?),
            pcm: silence(),
            denoise: None,
            levelling: None,
            voicing: Voicing::default(),
            factor: 1.0,
            weight: 0.0,
            chosen: false,
            rendered: false,
            level: SILENCE,
            measured: SILENCE,
            loudness: Smooth::new(FALL),
            open_until: 0,
            claim: None,
            claims: false,
            suspicion: 0,
            distrusted: false,
            reported: Stats::default(),
        })
    }

    pub fn codec(&self) -> AudioCodec {
        self.playout.codec()
    }

    /// Takes a packet in the tick `n` that arrived at `arrival` (samples).
    pub fn insert(&mut self, n: u64, packet: AudioIn, arrival: i64) {
        self.claims = packet.level_dbov.is_some();
        if let Some(level) = packet.level_dbov {
            let level = f32::from(level.clamp(-127, 0));
            let louder = self.claim.filter(|(at, _)| *at == n).map_or(level, |(_, before)| before.max(level));
            self.claim = Some((n, louder));
        }
        self.playout.insert(packet, arrival);
    }

    /// Begins the tick `n` at `now`: measures those whose word is not enough.
    pub fn begin(&mut self, n: u64, now: i64, settings: &Settings) {
        self.rendered = false;
        if self.must_be_measured() {
            self.render(now);
        } else {
            self.level = self.claim.filter(|(at, _)| n.saturating_sub(*at) < CLAIM).map_or(SILENCE, |(_, level)| level);
        }
        self.loudness.step(self.level);
        if self.level > settings.gate_dbov {
            self.open_until = n + HOLD;
        }
    }

    /// How it ranks among the voices; `None`: not to be heard.
    pub fn rank(&self, n: u64) -> Option<f32> {
        let bonus = if self.voicing.announcement {
            f32::from(u8::MAX)
        } else if self.chosen {
            6.0
        } else {
            0.0
        };
        (n < self.open_until).then(|| self.loudness.get() + self.voicing.gain.db() + bonus)
    }

    /// How it is treated from now on.
    pub fn treat(&mut self, voicing: Voicing) {
        self.voicing = voicing;
        self.factor = voicing.gain.factor();
        if voicing.noise_suppression && self.denoise.is_none() {
            self.denoise = Some(Denoise::default());
        }
        if voicing.auto_gain && self.levelling.is_none() {
            self.levelling = Some(Levelling::default());
        }
    }

    pub fn choose(&mut self, chosen: bool) {
        self.chosen = chosen;
    }

    /// Plays the tick into `out`, or lets it pass. `audit`: listen into it though nobody will hear it.
    pub fn play(&mut self, now: i64, audit: bool, gate: f32, out: &mut Pcm) {
        let (from, to) = (self.weight, if self.chosen { self.factor } else { 0.0 });
        if !self.rendered {
            if from > 0.0 || to > 0.0 || audit {
                self.render(now);
            } else {
                self.playout.skip(now);
            }
        }
        self.weight = to;
        if from > 0.0 || to > 0.0 {
            add_gliding(&self.pcm, from, to, if to > from { ATTACK } else { RELEASE }, out);
        }
        self.check_claim(gate);
    }

    /// Plays the tick that is its last.
    pub fn fade(&mut self, now: i64, gate: f32, out: &mut Pcm) {
        (self.rendered, self.chosen) = (false, false);
        self.play(now, false, gate, out);
    }

    /// Lets the tick pass where nobody listens.
    pub fn pass(&mut self, n: u64, now: i64) {
        self.rendered = false;
        self.level = self.claim.filter(|(at, _)| n.saturating_sub(*at) < CLAIM && !self.distrusted).map_or(SILENCE, |(_, level)| level);
        self.weight = 0.0;
        self.playout.skip(now);
    }

    /// dBov in this tick.
    /// Loudness as it was in the last moments, dBov: it rises at once and falls by 20 dB per second.
    pub fn loudness(&self) -> f32 {
        self.loudness.get()
    }

    pub fn level(&self) -> f32 {
        self.level
    }

    pub fn is_rendered(&self) -> bool {
        self.rendered
    }

    pub fn is_audible(&self) -> bool {
        self.weight > 0.0
    }

    /// What happened since the last call.
    pub fn news(&mut self) -> Stats {
        let stats = self.playout.stats();
        let news = stats.since(&self.reported);
        self.reported = stats;
        news
    }

    pub fn is_broken(&self) -> bool {
        self.playout.is_broken()
    }

    pub fn repair(&mut self, settings: &Settings) {
        if let Ok(decoder) = (settings.codecs.decoder)(self.codec()) {
            self.playout.replace_decoder(decoder);
        }
    }

    fn must_be_measured(&self) -> bool {
        !self.claims || self.distrusted
    }

    fn render(&mut self, now: i64) {
        self.measured = self.playout.render(now, &mut self.pcm);
        self.level = self.measured;
        self.rendered = true;
        if let Some(denoise) = &mut self.denoise {
            denoise.process(self.voicing.noise_suppression, &mut self.pcm);
            self.level = level::dbov(&self.pcm[..]);
            if denoise.is_out() && !self.voicing.noise_suppression {
                self.denoise = None;
            }
        }
        if let Some(levelling) = &mut self.levelling {
            levelling.process(self.voicing.auto_gain, self.level, &mut self.pcm);
            if levelling.gain() == 0.0 && !self.voicing.auto_gain {
                self.levelling = None;
            }
        }
    }

    fn check_claim(&mut self, gate: f32) {
        let Some(claim) = self.playout.header_level().filter(|_| self.rendered && !self.distrusted) else { return };
        let claim = f32::from(claim);
        let wrong = (claim - self.measured).abs() > TOLERANCE && claim.max(self.measured) > gate;
        self.suspicion = if wrong { self.suspicion + 2 } else { self.suspicion.saturating_sub(1) };
        if self.suspicion >= SUSPECT {
            self.distrusted = true;
            metrics::counter!("mixdown_audio_levels_distrusted_total").increment(1);
        }
    }
}
