//! Plays sound a little faster or slower without a seam: 16-tap windowed sinc (Kaiser), 128 phases with linear
//! interpolation between them. For ratios near 1; it does not guard against aliasing beyond that.

use super::{BLOCK, Pcm};
use std::sync::OnceLock;

const TAPS: usize = 16;
const PHASES: usize = 128;
const BETA: f64 = 7.0;

/// Each weight twice, for the left and the right sample, as input lies.
type Kernel = [f32; 2 * TAPS];

/// Sums that grow side by side, so that one instruction adds many.
const LANES: usize = 8;

/// A reading position in interleaved stereo between two samples.
pub struct Resampler {
    kernels: &'static [Kernel; PHASES + 1],
    fraction: f64,
}

impl Default for Resampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Resampler {
    /// Frames (samples per channel) that must lie before the reading position.
    pub const HISTORY: usize = TAPS / 2 - 1;
    const AHEAD: usize = TAPS / 2;

    pub fn new() -> Self {
        Self { kernels: kernels(), fraction: 0.0 }
    }

    /// Forgets the position between two samples.
    pub fn reset(&mut self) {
        self.fraction = 0.0;
    }

    /// How far the reading position is past its sample, 0–1.
    pub fn fraction(&self) -> f64 {
        self.fraction
    }

    /// The step after which the reading position is at a sample: near 1, and 1 where it is there already.
    pub fn landing(&self) -> f64 {
        1.0 + (self.fraction.round() - self.fraction) / (BLOCK / 2) as f64
    }

    /// Frames that [`Self::process`] needs in its input at this step.
    pub fn needs(&self, step: f64) -> usize {
        Self::HISTORY + (self.fraction + step * (BLOCK / 2) as f64) as usize + Self::AHEAD + 1
    }

    /// Writes one block, reading `step` frames of input per frame of output. The reading position is at frame
    /// [`Self::HISTORY`] of `input`. Returns by how many frames it has moved. Missing input counts as silence. At a sample, at step 1, input is copied.
    pub fn process(&mut self, input: &[f32], step: f64, out: &mut Pcm) -> usize {
        if input.len() < self.needs(step) * 2 {
            out.fill(0.0);
            return 0;
        }
        if step == 1.0 && self.fraction == 0.0 {
            out.copy_from_slice(&input[Self::HISTORY * 2..][..BLOCK]);
            return BLOCK / 2;
        }
        for (n, frame) in out.chunks_exact_mut(2).enumerate() {
            let position = self.fraction + step * n as f64;
            let whole = position as usize;
            let phase = (position - whole as f64) * PHASES as f64;
            let below = (phase as usize).min(PHASES - 1);
            let kernels = (&self.kernels[below], &self.kernels[below + 1]);
            let (left, right) = convolve(&input[whole * 2..][..TAPS * 2], kernels, (phase - below as f64) as f32);
            frame[0] = left;
            frame[1] = right;
        }
        let end = self.fraction + step * (BLOCK / 2) as f64;
        // What is this near to a sample is there but for rounding.
        let end = if (end - end.round()).abs() < 1e-9 { end.round() } else { end };
        let moved = end as usize;
        self.fraction = end - moved as f64;
        moved
    }
}

fn convolve(input: &[f32], (below, above): (&Kernel, &Kernel), between: f32) -> (f32, f32) {
    let mut sums = [0.0; LANES];
    let (inputs, lows, highs) = (input.as_chunks::<LANES>().0, below.as_chunks::<LANES>().0, above.as_chunks::<LANES>().0);
    for ((input, low), high) in inputs.iter().zip(lows).zip(highs) {
        for (sum, (sample, (low, high))) in sums.iter_mut().zip(input.iter().zip(low.iter().zip(high))) {
            *sum += sample * (low + (high - low) * between);
        }
    }
    let of = |side: usize| sums.iter().skip(side).step_by(2).sum();
    (of(0), of(1))
}

fn kernels() -> &'static [Kernel; PHASES + 1] {
    static KERNELS: OnceLock<Box<[Kernel; PHASES + 1]>> = OnceLock::new();
    KERNELS.get_or_init(|| {
        let mut kernels = Box::new([[0.0; 2 * TAPS]; PHASES + 1]);
        for (phase, kernel) in kernels.iter_mut().enumerate() {
            let fraction = phase as f64 / PHASES as f64;
            let weights: [f64; TAPS] = std::array::from_fn(|tap| weight(tap as f64 - Resampler::HISTORY as f64 - fraction));
            let sum: f64 = weights.iter().sum();
            *kernel = std::array::from_fn(|at| (weights[at / 2] / sum) as f32);
        }
        kernels
    })
}

fn weight(x: f64) -> f64 {
    let half = (TAPS / 2) as f64;
    let window = bessel(BETA * (1.0 - (x / half).powi(2)).max(0.0).sqrt()) / bessel(BETA);
    let angle = std::f64::consts::PI * x;
    if x.abs() < 1e-9 { 1.0 } else { angle.sin() / angle * window }
}

/// Modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..30 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::silence;

    fn tone(frames: usize, hz: f64) -> Vec<f32> {
        (0..frames).flat_map(|n| [(n as f64 * hz / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.5; 2]).collect()
    }

    #[test]
    fn at_step_1_sound_passes_unaltered() {
        let input = tone(1200, 1000.0);
        let mut resampler = Resampler::new();
        let mut out = silence();
        assert_eq!(resampler.process(&input, 1.0, &mut out), 960);
        for n in 0..BLOCK {
            assert!((out[n] - input[Resampler::HISTORY * 2 + n]).abs() < 1e-5);
        }
    }

    #[test]
    fn the_reading_position_lands_at_a_sample_within_one_block_and_sound_passes_untouched_from_then_on() {
        let input = tone(3000, 1000.0);
        for step in [1.000_1, 1.000_7, 0.999_6, 1.0] {
            let (mut resampler, mut out) = (Resampler::new(), silence());
            let mut at = resampler.process(&input, step, &mut out);
            let landing = resampler.landing();
            assert!((landing - 1.0).abs() <= 0.5 / 960.0 + 1e-9, "{landing}");
            at += resampler.process(&input[at * 2..], landing, &mut out);
            assert_eq!((resampler.fraction(), resampler.landing()), (0.0, 1.0));
            assert_eq!(resampler.process(&input[at * 2..], 1.0, &mut out), 960);
            assert_eq!(out[..], input[(at + Resampler::HISTORY) * 2..][..BLOCK]);
        }
    }

    #[test]
    fn an_offset_clock_is_followed_within_a_thousandth() {
        for (hz, worst) in [(440.0, 1e-4), (5_000.0, 3e-4), (15_000.0, 2e-3)] {
            let step = 1.000_3;
            let input = tone(48_000, hz);
            let mut resampler = Resampler::new();
            let mut out = silence();
            let mut at = 0;
            let mut played = 0.0;
            while input.len() / 2 - at > resampler.needs(step) {
                let moved = resampler.process(&input[at * 2..], step, &mut out);
                for (n, frame) in out.chunks_exact(2).enumerate() {
                    let time = Resampler::HISTORY as f64 + (played + n as f64) * step;
                    let ideal = (time * hz / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.5;
                    assert!((frame[0] - ideal).abs() < worst, "{hz} Hz: {} instead of {ideal}", frame[0]);
                }
                played += 960.0;
                at += moved;
            }
            assert!(played > 40_000.0);
        }
    }

    #[test]
    fn missing_input_is_silence() {
        let mut out = Box::new([1.0; BLOCK]);
        assert_eq!(Resampler::new().process(&[0.5; 100], 1.0, &mut out), 0);
        assert!(out.iter().all(|s| *s == 0.0));
    }
}
