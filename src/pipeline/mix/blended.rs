//! One distinct mix: who is in it, the sum of a tick, and the encodes that its listeners share.

use super::encode::{Encode, Tick};
use crate::audio::limiter::Limiter;
use crate::audio::mixer::{Mixer, Share};
use crate::audio::{Pcm, silence};
use crate::ids::ParticipantId;
use crate::room::sound::{Blend, Grade};
use mixdown_codecs::AudioCodec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is encoded for those who share it.
const SHARED: [(AudioCodec, Grade); 5] = [
    (AudioCodec::Opus, Grade::Whole),
    (AudioCodec::Opus, Grade::Lean),
    (AudioCodec::Opus, Grade::Thin),
    (AudioCodec::Pcmu, Grade::Whole),
    (AudioCodec::Pcma, Grade::Whole),
];

/// How much of somebody is in the mix in this tick, and shall be in the next.
#[derive(Clone, Copy)]
struct Part {
    share: Share,
    goal: [f32; 2],
}

/// Ticks without any sound after which nothing of what was is left in the limiter, and listeners are sent the same silence again and again.
const RESTS: u32 = 150;

/// One mix.
pub struct Blended {
    parts: BTreeMap<ParticipantId, Part>,
    sum: Mixer,
    pub limiter: Limiter,
    encodes: [Encode; SHARED.len()],
    /// Somebody listens.
    heard: bool,
    /// Ticks without any sound, this one included; 0: there is some.
    silent: u32,
    /// Voices chosen in this tick.
    chosen: usize,
    pcm: Box<Pcm>,
}

impl Default for Blended {
    fn default() -> Self {
        Self {
            parts: BTreeMap::new(),
            sum: Mixer::new(),
            limiter: Limiter::new(),
            encodes: SHARED.map(|(codec, grade)| Encode::new(codec, grade, Arc::new([]))),
            heard: false,
            silent: 0,
            chosen: 0,
            pcm: silence(),
        }
    }
}

impl Blended {
    /// Who is in it from the next tick on.
    pub fn blend(&mut self, blend: &Blend) {
        for (id, part) in &mut self.parts {
            if !blend.contains_key(id) {
                part.goal = [0.0; 2];
            }
        }
        for (id, place) in blend {
            self.parts.entry(*id).or_insert(Part { share: Share::NOTHING, goal: [0.0; 2] }).goal = place.factors();
        }
    }

    /// Whether somebody listens from now on. Who comes first hears nothing of what was left when the last one went.
    pub fn set_heard(&mut self, heard: bool) {
        if !std::mem::replace(&mut self.heard, heard) && heard {
            (self.limiter, self.silent) = (Limiter::new(), 0);
        }
    }

    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// Begins a tick.
    pub fn begin(&mut self) {
        self.parts.retain(|_, part| {
            part.share = part.share.next(part.goal);
            part.share != Share::NOTHING
        });
        if self.silent == 0 {
            self.sum.clear();
        }
        self.silent = self.silent.saturating_add(1);
        self.chosen = 0;
    }

    /// Whether a voice of `id` may be heard in this mix, of which `most` are.
    pub fn admits(&self, id: ParticipantId, most: usize) -> bool {
        self.heard && self.chosen < most && self.parts.contains_key(&id)
    }

    pub fn count(&mut self, id: ParticipantId) {
        self.chosen += usize::from(self.parts.contains_key(&id));
    }

    pub fn add(&mut self, id: ParticipantId, own: &Pcm) {
        if let Some(part) = self.parts.get(&id).filter(|_| self.heard) {
            self.sum.add(own, part.share);
            self.silent = 0;
        }
    }

    /// Adds what belongs to nobody.
    pub fn add_all(&mut self, pcm: &Pcm) {
        self.sum.add(pcm, Share::WHOLE);
        self.silent = 0;
    }

    /// Whether `id` is in it at all.
    pub fn has(&self, id: ParticipantId) -> bool {
        self.parts.contains_key(&id)
    }

    /// The mix without `id`, who contributes `own`.
    pub fn without(&self, id: ParticipantId, own: &Pcm, out: &mut Pcm) {
        let share = self.parts.get(&id).map_or(Share::NOTHING, |part| part.share);
        self.sum.without(own, share, out);
    }

    /// Encodes and sends the tick to those who share the mix.
    pub fn send(&mut self, tick: &Tick<'_>) {
        let rests = self.silent > RESTS;
        if !rests {
            self.pcm.copy_from_slice(self.sum.full());
            self.limiter.process(&mut self.pcm);
        }
        for encode in self.encodes.iter_mut().filter(|encode| !encode.listeners.is_empty()) {
            if rests { encode.rest(tick, &self.pcm) } else { encode.send(tick, &self.pcm) }
        }
    }

    /// The next packet of `codec` is independent of earlier ones: somebody comes who did not hear them.
    pub fn restart(&mut self, codec: AudioCodec) {
        self.encodes.iter_mut().filter(|encode| encode.codec == codec).for_each(Encode::restart);
    }

    /// Who shares each encode, by codec and grade, and the worst loss of these.
    pub fn serve(&mut self, listeners: impl Fn(AudioCodec, Grade) -> (Arc<[ParticipantId]>, f32)) {
        for encode in &mut self.encodes {
            let (who, loss) = listeners(encode.codec, encode.grade);
            encode.listeners = who;
            encode.set_loss(loss);
        }
    }
}
