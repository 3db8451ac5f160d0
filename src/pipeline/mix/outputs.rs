//! The listening side of a room: its mixes, and who hears which. One encode per mix and codec for all who are not audible in
//! it, one for each who is.
//!
//! When somebody moves between encodes, the one they move to makes its next packet independent of earlier ones and
//! their limiter goes with them, so that the change is not heard.

use super::Settings;
use super::blended::Blended;
use super::encode::{Encode, Tick};
use crate::audio::limiter::Limiter;
use crate::audio::{Pcm, silence};
use crate::ids::ParticipantId;
use crate::room::sound::{Blend, Grade, MixId};
use mixdown_codecs::AudioCodec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// FEC beyond this costs more than it saves.
const MOST_LOSS: f32 = 0.25;

struct Listener {
    mix: MixId,
    codec: AudioCodec,
    /// What the link carries, whatever the codec.
    grade: Grade,
    loss: f32,
    own: Option<Own>,
    audible: bool,
}

/// The mix without oneself.
struct Own {
    encode: Encode,
    limiter: Limiter,
}

/// All mixes of a room and everybody who listens.
pub struct Outputs {
    listeners: BTreeMap<ParticipantId, Listener>,
    mixes: BTreeMap<MixId, Blended>,
    /// Lists or losses have changed.
    stale: bool,
    /// Encoders that somebody comes back to in this tick.
    returned: Vec<(MixId, AudioCodec)>,
    pcm: Box<Pcm>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { listeners: BTreeMap::new(), mixes: BTreeMap::new(), stale: false, returned: Vec::new(), pcm: silence() }
    }
}

impl Outputs {
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    pub fn blend(&mut self, mix: MixId, blend: &Blend) {
        self.mixes.entry(mix).or_default().blend(blend);
    }

    /// Forgets the mix; who still hears it hears silence.
    pub fn close(&mut self, mix: MixId) {
        self.mixes.remove(&mix);
        self.stale = true;
    }

    /// Somebody listens from now on, to another mix, or in another codec.
    pub fn join(&mut self, participant: ParticipantId, codec: AudioCodec, mix: MixId) {
        let before = self.listeners.remove(&participant);
        if !before.as_ref().is_some_and(|before| before.codec == codec && before.mix == mix) {
            self.mixes.entry(mix).or_default().restart(codec);
            self.stale = true;
        }
        let listener = match before {
            Some(before) if before.codec == codec => Listener { mix, ..before },
            Some(before) => Listener { mix, codec, own: None, audible: false, ..before },
            None => Listener { mix, codec, grade: Grade::Whole, loss: 0.0, own: None, audible: false },
        };
        self.listeners.insert(participant, listener);
    }

    pub fn leave(&mut self, participant: ParticipantId) {
        self.stale |= self.listeners.remove(&participant).is_some();
        if self.is_empty() {
            // No tick is begun for nobody.
            self.refresh();
        }
    }

    pub fn loss(&mut self, participant: ParticipantId, loss: f32) {
        let loss = if loss.is_finite() { loss.clamp(0.0, MOST_LOSS) } else { 0.0 };
        if let Some(listener) = self.listeners.get_mut(&participant) {
            self.stale |= (listener.loss - loss).abs() > 0.005;
            listener.loss = loss;
        }
    }

    /// More or less of the sound from now on.
    pub fn grade(&mut self, participant: ParticipantId, grade: Grade) {
        let Some(listener) = self.listeners.get_mut(&participant) else { return };
        if listener.grade != grade {
            listener.grade = grade;
            self.stale = true;
            self.mixes.entry(listener.mix).or_default().restart(listener.codec);
        }
    }

    /// Begins a tick.
    pub fn begin(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.refresh();
        }
        self.mixes.values_mut().for_each(Blended::begin);
    }

    /// Whether a voice of `id` is heard: in some mix it is among the `most` loudest. Voices come in order of loudness.
    pub fn admit(&mut self, id: ParticipantId, most: usize) -> bool {
        let admitted = self.mixes.values().any(|mix| mix.admits(id, most));
        if admitted {
            self.mixes.values_mut().for_each(|mix| mix.count(id));
        }
        admitted
    }

    /// Adds what a participant contributes, wherever they are heard.
    pub fn add(&mut self, id: ParticipantId, own: &Pcm) {
        self.mixes.values_mut().for_each(|mix| mix.add(id, own));
    }

    /// Adds what everybody hears.
    pub fn add_all(&mut self, pcm: &Pcm) {
        self.mixes.values_mut().for_each(|mix| mix.add_all(pcm));
    }

    /// Encodes and sends one tick. `own`: what a participant contributes, if they are audible.
    pub fn send<'p>(&mut self, tick: &Tick<'_>, own: impl Fn(ParticipantId) -> Option<&'p Pcm>) {
        self.sort(tick.settings, |id| own(id).is_some());
        let pcm = &mut self.pcm;
        for (id, listener) in self.listeners.iter_mut().filter(|(_, listener)| listener.audible) {
            let (Some(output), Some(sound), Some(mix)) = (&mut listener.own, own(*id), self.mixes.get(&listener.mix)) else { continue };
            mix.without(*id, sound, pcm);
            output.encode.set_grade(graded(listener.codec, listener.grade), tick.settings);
            output.limiter.process(pcm);
            output.encode.send(tick, pcm);
        }
        self.mixes.values_mut().filter(|mix| mix.is_heard()).for_each(|mix| mix.send(tick));
    }

    /// Moves those whose audibility has changed, then brings lists and losses up to date.
    fn sort(&mut self, settings: &Settings, audible: impl Fn(ParticipantId) -> bool) {
        for (id, listener) in &mut self.listeners {
            let Some(mix) = self.mixes.get(&listener.mix) else { continue };
            let now = mix.has(*id) && audible(*id);
            if now == listener.audible {
                continue;
            }
            listener.audible = now;
            self.stale = true;
            if now {
                let encode = || Encode::new(listener.codec, graded(listener.codec, listener.grade), Arc::new([*id]));
                let fresh = || Own { encode: encode(), limiter: Limiter::new() };
                let own = listener.own.get_or_insert_with(fresh);
                own.limiter.clone_from(&mix.limiter);
                own.encode.begin(settings);
            } else if !self.returned.iter().any(|(mix, codec)| *mix == listener.mix && *codec == listener.codec) {
                self.returned.push((listener.mix, listener.codec));
            }
        }
        for (mix, codec) in self.returned.drain(..) {
            if let Some(mix) = self.mixes.get_mut(&mix) {
                mix.restart(codec);
            }
        }
        if std::mem::take(&mut self.stale) {
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        for (id, mix) in &mut self.mixes {
            let those = || self.listeners.iter().filter(|(_, listener)| listener.mix == *id);
            mix.set_heard(those().next().is_some());
            mix.serve(|codec, grade| {
                let shares = |listener: &Listener| listener.codec == codec && graded(codec, listener.grade) == grade && !listener.audible;
                let those = || those().filter(|(_, listener)| shares(listener));
                (those().map(|(id, _)| *id).collect(), those().map(|(_, listener)| listener.loss).fold(0.0, f32::max))
            });
        }
        for listener in self.listeners.values_mut() {
            if let Some(own) = &mut listener.own {
                own.encode.set_loss(listener.loss);
            }
        }
    }
}

/// Codecs of one rate have one grade.
fn graded(codec: AudioCodec, grade: Grade) -> Grade {
    if codec == AudioCodec::Opus { grade } else { Grade::Whole }
}
