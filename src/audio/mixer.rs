//! N-1 by one shared sum: everybody is added once, and whoever is audible hears the sum less their own sound.
//!
//! How much of somebody is in a sum is their [`Share`]. What is taken off is computed exactly as what was added, so that nothing
//! of one's own is left, whatever gains glide meanwhile.

use super::{BLOCK, Pcm, silence};

/// Samples per channel in one block.
const FRAMES: usize = BLOCK / 2;

/// Gains of left and right at the beginning and the end of a block; in between they glide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub from: [f32; 2],
    pub to: [f32; 2],
}

impl Share {
    pub const WHOLE: Self = Self { from: [1.0; 2], to: [1.0; 2] };
    pub const NOTHING: Self = Self { from: [0.0; 2], to: [0.0; 2] };

    /// Of the block that follows, which ends at `to`.
    pub fn next(self, to: [f32; 2]) -> Self {
        Self { from: self.to, to }
    }

    fn steps(self) -> [f32; 2] {
        [0, 1].map(|side| (self.to[side] - self.from[side]) / FRAMES as f32)
    }
}

/// The sum of one tick. Not limited: values may lie outside of −1…1.
pub struct Mixer {
    sum: Box<Pcm>,
}

impl Default for Mixer {
    fn default() -> Self {
        Self::new()
    }
}

impl Mixer {
    pub fn new() -> Self {
        Self { sum: silence() }
    }

    /// Begins a tick.
    pub fn clear(&mut self) {
        self.sum.fill(0.0);
    }

    /// Adds `share` of what one participant contributes.
    pub fn add(&mut self, own: &Pcm, share: Share) {
        if share == Share::WHOLE {
            return self.sum.iter_mut().zip(own).for_each(|(sum, sample)| *sum += sample);
        }
        let steps = share.steps();
        for (n, (sum, own)) in self.sum.chunks_exact_mut(2).zip(own.chunks_exact(2)).enumerate() {
            sum[0] += own[0] * (share.from[0] + steps[0] * n as f32);
            sum[1] += own[1] * (share.from[1] + steps[1] * n as f32);
        }
    }

    /// The mix of everybody.
    pub fn full(&self) -> &Pcm {
        &self.sum
    }

    /// The mix of everybody but the one who contributed `share` of `own`.
    pub fn without(&self, own: &Pcm, share: Share, out: &mut Pcm) {
        if share == Share::WHOLE {
            return out.iter_mut().zip(self.sum.iter().zip(own)).for_each(|(out, (sum, own))| *out = sum - own);
        }
        let steps = share.steps();
        let both = self.sum.chunks_exact(2).zip(own.chunks_exact(2));
        for (n, (out, (sum, own))) in out.chunks_exact_mut(2).zip(both).enumerate() {
            out[0] = sum[0] - own[0] * (share.from[0] + steps[0] * n as f32);
            out[1] = sum[1] - own[1] * (share.from[1] + steps[1] * n as f32);
        }
    }
}

/// Adds `voice` to `out` with a gain that glides from `from` to `to` in the first `glide` samples per channel.
pub fn add_gliding(voice: &Pcm, from: f32, to: f32, glide: usize, out: &mut Pcm) {
    if from == 1.0 && to == 1.0 {
        for (sum, sample) in out.iter_mut().zip(voice) {
            *sum += sample;
        }
        return;
    }
    let slope = (to - from) / glide.max(1) as f32;
    for (n, (sum, sample)) in out.chunks_exact_mut(2).zip(voice.chunks_exact(2)).enumerate() {
        let gain = if n < glide { from + slope * n as f32 } else { to };
        sum[0] += sample[0] * gain;
        sum[1] += sample[1] * gain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn voice(seed: u32) -> Box<Pcm> {
        let mut pcm = silence();
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        for sample in pcm.iter_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
        }
        pcm
    }

    fn share() -> impl Strategy<Value = Share> {
        let gain = || prop_oneof![Just(0.0f32), Just(1.0), 0.001f32..4.0];
        let placed = (gain(), gain(), gain(), gain()).prop_map(|(a, b, c, d)| Share { from: [a, b], to: [c, d] });
        prop_oneof![Just(Share::WHOLE), Just(Share::NOTHING), placed]
    }

    proptest! {
        #[test]
        fn n_minus_1_plus_own_is_the_full_sum(
            people in proptest::collection::vec((any::<u32>(), share()), 1..50),
            who in any::<prop::sample::Index>(),
        ) {
            let voices: Vec<_> = people.iter().map(|(seed, share)| (voice(*seed), *share)).collect();
            let (mut mixer, mut alone) = (Mixer::new(), Mixer::new());
            voices.iter().for_each(|(voice, share)| mixer.add(voice, *share));
            let (own, share) = &voices[who.index(voices.len())];
            let mut rest = silence();
            mixer.without(own, *share, &mut rest);
            alone.add(own, *share);
            for n in 0..BLOCK {
                let again = rest[n] + alone.full()[n];
                prop_assert!((again - mixer.full()[n]).abs() < 1e-4);
            }
        }

        #[test]
        fn alone_one_hears_nothing_whatever_the_gain(seed in any::<u32>(), share in share()) {
            let own = voice(seed);
            let mut mixer = Mixer::new();
            mixer.add(&own, share);
            let mut rest = silence();
            mixer.without(&own, share, &mut rest);
            prop_assert!(rest.iter().all(|s| *s == 0.0));
        }
    }

    #[test]
    fn a_share_glides_from_where_it_was() {
        let ones = Box::new([1.0; BLOCK]);
        let mut mixer = Mixer::new();
        let share = Share::NOTHING.next([1.0, 0.5]);
        mixer.add(&ones, share);
        let (left, right) = (mixer.full()[BLOCK - 2], mixer.full()[BLOCK - 1]);
        assert_eq!(mixer.full()[0], 0.0);
        assert!((left - 1.0).abs() < 0.002 && (right - 0.5).abs() < 0.002);
        assert_eq!(share.next([1.0, 0.5]), Share { from: [1.0, 0.5], to: [1.0, 0.5] });
    }

    #[test]
    fn a_glide_begins_and_ends_where_it_should() {
        let ones = Box::new([1.0; BLOCK]);
        let mut out = silence();
        add_gliding(&ones, 0.0, 1.0, 240, &mut out);
        assert_eq!(out[0], 0.0);
        assert_eq!(out[480], 1.0);
        assert!(out.windows(4).all(|w| (w[2] - w[0]).abs() <= 1.0 / 239.0));
    }
}
