//! Suppression of noise behind a voice: a small recurrent network over 22 bands (J.-M. Valin, "A Hybrid DSP/Deep Learning
//! Approach to Real-Time Full-Band Speech Enhancement", 2018), by nnnoiseless. Mono, 10 ms later.

use super::{BLOCK, Pcm};
use nnnoiseless::DenoiseState;

const FRAME: usize = DenoiseState::FRAME_SIZE;
const FRAMES: usize = BLOCK / 2 / FRAME;
/// The network was trained on 16-bit samples.
const SCALE: f32 = 32_768.0;

/// One voice's suppressor. Comes in and goes out over one block.
pub struct Denoise {
    state: Box<DenoiseState<'static>>,
    /// How much of what is heard is suppressed, 0–1.
    wet: f32,
    clean: [f32; FRAME],
    noisy: [f32; FRAME],
}

impl Default for Denoise {
    fn default() -> Self {
        Self { state: DenoiseState::new(), wet: 0.0, clean: [0.0; FRAME], noisy: [0.0; FRAME] }
    }
}

impl Denoise {
    /// Cleans one block in place. `active`: what is wanted from now on.
    pub fn process(&mut self, active: bool, pcm: &mut Pcm) {
        let to = f32::from(u8::from(active));
        let slope = (to - self.wet) / (FRAME * FRAMES) as f32;
        for part in pcm.chunks_exact_mut(FRAME * 2) {
            for (noisy, frame) in self.noisy.iter_mut().zip(part.chunks_exact(2)) {
                *noisy = (frame[0] + frame[1]) * (0.5 * SCALE);
            }
            self.state.process_frame(&mut self.clean, &self.noisy);
            for (clean, frame) in self.clean.iter().zip(part.chunks_exact_mut(2)) {
                self.wet = (self.wet + slope).clamp(0.0, 1.0);
                for sample in frame {
                    *sample += (clean / SCALE - *sample) * self.wet;
                }
            }
        }
        self.wet = to;
    }

    /// Nothing of it is heard any more.
    pub fn is_out(&self) -> bool {
        self.wet == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{fake::Dice, level, silence};

    #[test]
    fn steady_noise_is_suppressed() {
        let (mut denoise, mut dice) = (Denoise::default(), Dice(5));
        let (mut before, mut after) = (0.0, 0.0);
        for _ in 0..500 {
            let mut pcm = silence();
            pcm.chunks_exact_mut(2).for_each(|frame| frame.fill((dice.roll() as f32 - 0.5) * 0.1));
            before = level::dbov(&pcm[..]);
            denoise.process(true, &mut pcm);
            after = level::dbov(&pcm[..]);
        }
        assert!(after < before - 12.0, "{before} to {after} dBov");
    }

    #[test]
    fn switching_on_and_off_ends_where_it_began() {
        let mut denoise = Denoise::default();
        let tone = |block: usize| -> Box<Pcm> {
            Box::new(std::array::from_fn(|n| ((block * 960 + n / 2) as f32 / 200.0 * std::f32::consts::TAU).sin() * 0.2))
        };
        assert!(denoise.is_out());
        for block in 0..20 {
            let mut pcm = tone(block);
            denoise.process(block < 10, &mut pcm);
            assert!(pcm.iter().all(|sample| sample.is_finite() && sample.abs() < 1.0));
            assert!(block < 11 || pcm == tone(block), "block {block} passes unaltered");
        }
        assert!(denoise.is_out());
    }
}
