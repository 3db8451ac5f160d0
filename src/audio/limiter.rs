//! Keeps a sum of voices inside −1…1 without clipping and without pumping.
//!
//! Looks ahead by one step of 2.5 ms: the gain glides down before a peak arrives, so that every sample of a
//! step is played with a gain that suits the step's own peak, whatever came before. It stays down for 25 ms,
//! then returns with a time constant of 300 ms. Sound that needs no limiting passes unaltered, 2.5 ms later.

use super::{BLOCK, Pcm};

/// Interleaved samples in one step.
const STEP: usize = 240;
const STEPS: usize = BLOCK / STEP;
/// −0.26 dB: room for what codecs add.
const CEILING: f32 = 0.97;
const HOLD: u32 = 10;
/// Share of the way back to 1 that is gone in one step.
const RELEASE: f32 = 2.5 / 300.0;
/// Close enough to 1 to be 1.
const OPEN: f32 = 0.9995;

/// One output's limiter. Cloning it hands the output over to another encoder without a seam.
#[derive(Clone)]
pub struct Limiter {
    /// The step that waits, and the gain it can bear.
    waiting: [f32; STEP],
    bearable: f32,
    gain: f32,
    hold: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// Delay in samples per channel.
    pub const DELAY: usize = STEP / 2;

    pub fn new() -> Self {
        Self { waiting: [0.0; STEP], bearable: 1.0, gain: 1.0, hold: 0 }
    }

    /// Limits one block in place.
    pub fn process(&mut self, pcm: &mut Pcm) {
        let mut incoming = [0.0; STEP];
        for step in 0..STEPS {
            let block = &mut pcm[step * STEP..][..STEP];
            incoming.copy_from_slice(block);
            let next = bearable(&incoming);
            let from = self.gain;
            let to = self.next_gain(next);
            if from == 1.0 && to == 1.0 {
                block.copy_from_slice(&self.waiting);
            } else {
                ramp(&self.waiting, from, to, block);
            }
            self.waiting = incoming;
            self.bearable = next;
        }
    }

    /// The gain at the end of the waiting step: what both it and the step after it can bear.
    fn next_gain(&mut self, next: f32) -> f32 {
        let most = self.bearable.min(next);
        if most < self.gain {
            self.hold = HOLD;
            self.gain = most;
        } else if self.hold > 0 {
            self.hold -= 1;
        } else {
            let released = self.gain + (1.0 - self.gain) * RELEASE;
            self.gain = most.min(if released > OPEN { 1.0 } else { released });
        }
        self.gain
    }
}

fn bearable(step: &[f32; STEP]) -> f32 {
    let peak = step.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    if peak > CEILING { CEILING / peak } else { 1.0 }
}

fn ramp(from: &[f32; STEP], start: f32, end: f32, to: &mut [f32]) {
    let slope = (end - start) / (STEP / 2) as f32;
    for (n, (out, sample)) in to.chunks_exact_mut(2).zip(from.chunks_exact(2)).enumerate() {
        let gain = start + slope * n as f32;
        out[0] = (sample[0] * gain).clamp(-1.0, 1.0);
        out[1] = (sample[1] * gain).clamp(-1.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::silence;
    use proptest::prelude::*;

    fn sine(start: usize, period: f32, amplitude: f32) -> Box<Pcm> {
        let mut pcm = silence();
        for (n, frame) in pcm.chunks_exact_mut(2).enumerate() {
            let value = ((start + n) as f32 * std::f32::consts::TAU / period).sin() * amplitude;
            frame.fill(value);
        }
        pcm
    }

    proptest! {
        #[test]
        fn nothing_gets_past_the_limiter(seed in 0u32..1000, loudness in 0.1f32..60.0) {
            let mut limiter = Limiter::new();
            let mut state = seed;
            for _ in 0..12 {
                let mut pcm = silence();
                let gate = state % 3;
                for sample in pcm.iter_mut() {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                    *sample = if gate == 0 { noise * 0.1 } else { noise * loudness };
                }
                limiter.process(&mut pcm);
                prop_assert!(pcm.iter().all(|s| s.abs() <= 0.98), "peak");
            }
        }
    }

    #[test]
    fn quiet_sound_passes_unaltered_one_step_later() {
        let mut limiter = Limiter::new();
        let input = sine(0, 109.0, 0.9);
        let mut output = input.clone();
        limiter.process(&mut output);
        assert_eq!(output[STEP..], input[..BLOCK - STEP]);
    }

    #[test]
    fn fifty_full_scale_talkers_come_out_as_a_steady_tone() {
        let mut limiter = Limiter::new();
        let mut peaks = Vec::new();
        for block in 0..100 {
            let mut pcm = sine(block * 960, 480.0, 50.0);
            limiter.process(&mut pcm);
            peaks.push(pcm.iter().fold(0.0f32, |peak, s| peak.max(s.abs())));
        }
        let settled = &peaks[5..];
        assert!(settled.iter().all(|peak| (0.9..=0.98).contains(peak)), "{settled:?}");
    }

    #[test]
    fn the_gain_returns_after_a_shout_without_jumping() {
        let mut limiter = Limiter::new();
        let mut shout = sine(0, 100.0, 4.0);
        limiter.process(&mut shout);
        let mut last = 0.0f32;
        let mut peak = 0.0f32;
        for block in 1..100 {
            let mut pcm = sine(block * 960, 100.0, 0.5);
            limiter.process(&mut pcm);
            peak = pcm.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
            assert!(block < 3 || peak >= last - 0.01, "{last} to {peak}");
            assert!(block < 3 || peak - last < 0.06, "{last} to {peak}");
            last = peak;
        }
        assert!((peak - 0.5).abs() < 0.001);
    }
}
