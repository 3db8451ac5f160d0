//! One participant's sound in a room's mix: microphone and screen, and what they add together in a tick.

use super::Settings;
use super::voice::Voice;
use crate::audio::level::SILENCE;
use crate::audio::playout::Stats;
use crate::audio::{Pcm, silence};
use crate::ids::Source;
use crate::media::AudioIn;
use crate::room::sound::Voicing;

/// Packets of one sender that one tick takes: 20 ms in packets of 2.5 ms, and a burst of half a second.
const MOST_PACKETS: u32 = 64;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    Taken,
    Muted,
    /// More than a sender needs.
    Flood,
    /// No decoder could be made.
    Failed,
}

pub struct Speaker {
    voicing: Voicing,
    pub microphone: Option<Voice>,
    pub screen: Option<Voice>,
    /// Voices that are heard once more, fading: of somebody muted, gone, or with another codec since.
    ending: Vec<Voice>,
    gone: bool,
    /// What it adds to the sums in this tick.
    pub own: Box<Pcm>,
    pub audible: bool,
    packets: u32,
    /// The level that was told last, dBov.
    told: i8,
}

impl Default for Speaker {
    fn default() -> Self {
        Self {
            voicing: Voicing::default(),
            microphone: None,
            screen: None,
            ending: Vec::with_capacity(2),
            gone: false,
            own: silence(),
            audible: false,
            packets: 0,
            told: i8::MIN + 1,
        }
    }
}

impl Speaker {
    /// How this participant is treated from now on.
    pub fn treat(&mut self, voicing: Voicing) {
        self.voicing = voicing;
        self.gone = false;
        if voicing.muted {
            return self.end();
        }
        for (voice, source) in [(&mut self.microphone, Source::Microphone), (&mut self.screen, Source::ScreenAudio)] {
            if let Some(voice) = voice {
                voice.treat(treatment(voicing, source));
            }
        }
    }

    /// Fades within the next tick; then [`Self::is_over`].
    pub fn leave(&mut self) {
        self.gone = true;
        self.end();
    }

    /// Whether the room may notice who speaks.
    pub fn is_public(&self) -> bool {
        !self.voicing.private && !self.voicing.announcement
    }

    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Nothing of it will be heard again.
    pub fn is_over(&self) -> bool {
        self.gone && self.ending.is_empty()
    }

    /// Takes a packet that arrived at `arrival` (samples) before tick `n`.
    pub fn packet(&mut self, n: u64, packet: AudioIn, arrival: i64, settings: &Settings) -> Reception {
        self.packets += 1;
        if self.voicing.muted {
            return Reception::Muted;
        }
        if self.packets > MOST_PACKETS {
            return Reception::Flood;
        }
        let (slot, source) = match packet.source {
            Source::Microphone | Source::Camera => (&mut self.microphone, Source::Microphone),
            Source::ScreenAudio | Source::Screen => (&mut self.screen, Source::ScreenAudio),
        };
        if slot.as_ref().is_none_or(|voice| voice.codec() != packet.codec) {
            let Ok(mut voice) = Voice::new(settings, packet.codec) else { return Reception::Failed };
            voice.treat(treatment(self.voicing, source));
            let before = slot.replace(voice);
            // One per source and tick is heard out; whoever changes codecs faster is cut short.
            self.ending.extend(before.filter(|_| self.ending.len() < 2));
        }
        if let Some(voice) = slot {
            voice.insert(n, packet, arrival);
        }
        Reception::Taken
    }

    pub fn voices(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.microphone.iter_mut().chain(&mut self.screen)
    }

    /// Plays a tick: whatever is chosen or fades goes into `own`. `over` takes the last figures of voices that end, `repaired`
    /// counts decoders that failed.
    pub fn play(&mut self, now: i64, audit: bool, settings: &Settings, over: impl Fn(&Stats), repaired: impl Fn()) {
        self.audible = false;
        self.own.fill(0.0);
        for mut voice in self.ending.drain(..) {
            self.audible |= voice.is_audible();
            voice.fade(now, settings.gate_dbov, &mut self.own);
            over(&voice.news());
        }
        for voice in self.microphone.iter_mut().chain(&mut self.screen) {
            let fading = voice.is_audible();
            voice.play(now, audit, settings.gate_dbov, &mut self.own);
            self.audible |= fading || voice.is_audible();
            if voice.is_broken() {
                repaired();
                voice.repair(settings);
            }
        }
    }

    /// Lets a tick pass where nobody listens.
    pub fn pass(&mut self, n: u64, now: i64) {
        self.audible = false;
        self.ending.clear();
        self.voices().for_each(|voice| voice.pass(n, now));
    }

    /// How loud the microphone is, dBov, where that is another level than this told before.
    pub fn news(&mut self) -> Option<i8> {
        let level = self.microphone.as_ref().map_or(SILENCE, Voice::loudness).clamp(SILENCE, 0.0).round() as i8;
        (std::mem::replace(&mut self.told, level) != level).then_some(level)
    }

    /// Ends a tick.
    pub fn rest(&mut self) {
        self.packets = 0;
    }

    fn end(&mut self) {
        self.ending.extend(self.microphone.take().into_iter().chain(self.screen.take()));
    }
}

/// A voice's share of what its participant is treated with: what cleans voices would ruin a film's sound.
fn treatment(voicing: Voicing, source: Source) -> Voicing {
    match source {
        Source::Microphone => voicing,
        _ => Voicing { noise_suppression: false, auto_gain: false, ..voicing },
    }
}
