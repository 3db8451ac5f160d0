//! Takes away what nobody hears and every sum suffers from: a constant offset (DC), and values that are no sound at all.

use super::{BLOCK, Pcm};

/// Of a block in the estimate of the offset: 95 % of one is gone within 1.2 s.
const WEIGHT: f32 = 0.05;
/// An offset below this is left alone: it would not be told from what low voices leave.
const LEAST: f32 = 0.003;
/// Codecs overshoot a little; beyond this it is no sound.
const LOUDEST: f32 = 4.0;

/// One voice's offset.
#[derive(Debug, Default)]
pub struct Offset {
    estimate: [f32; 2],
    taken: [f32; 2],
}

impl Offset {
    /// Centres one block in place.
    pub fn process(&mut self, pcm: &mut Pcm) {
        let mut sum = [0.0f32; 2];
        for frame in pcm.chunks_exact(2) {
            sum[0] += frame[0];
            sum[1] += frame[1];
        }
        let frames = (BLOCK / 2) as f32;
        for (estimate, sum) in self.estimate.iter_mut().zip(sum) {
            *estimate += (sum / frames - *estimate) * WEIGHT;
        }
        let before = std::mem::replace(&mut self.taken, self.estimate.map(|offset| if offset.abs() < LEAST { 0.0 } else { offset }));
        if before == [0.0; 2] && self.taken == [0.0; 2] {
            return;
        }
        let step = [0, 1].map(|side| (self.taken[side] - before[side]) / frames);
        for (n, frame) in pcm.chunks_exact_mut(2).enumerate() {
            frame[0] -= before[0] + step[0] * n as f32;
            frame[1] -= before[1] + step[1] * n as f32;
        }
    }
}

/// Silences what is no number or far beyond full scale. `true`: there was something.
pub fn sanitise(pcm: &mut [f32]) -> bool {
    let sound = |sample: f32| sample.abs() <= LOUDEST;
    if pcm.iter().all(|sample| sound(*sample)) {
        return false;
    }
    pcm.iter_mut().filter(|sample| !sound(**sample)).for_each(|sample| *sample = 0.0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: usize, offset: f32) -> Box<Pcm> {
        Box::new(std::array::from_fn(|at| ((n * 960 + at / 2) as f32 / 96.0 * std::f32::consts::TAU).sin() * 0.3 + offset))
    }

    #[test]
    fn an_offset_is_gone_after_two_seconds_and_nothing_else_is() {
        let mut offset = Offset::default();
        let mut last = block(0, 0.0);
        for n in 0..100 {
            last = block(n, 0.4);
            offset.process(&mut last);
        }
        let plain = block(99, 0.0);
        assert!(last.iter().zip(plain.iter()).all(|(a, b)| (a - b).abs() < 0.006));
    }

    #[test]
    fn what_is_no_sound_is_silence() {
        let mut pcm = [0.5, f32::NAN, f32::INFINITY, -1.2, 1e30, -0.1];
        assert!(sanitise(&mut pcm));
        assert_eq!(pcm, [0.5, 0.0, 0.0, -1.2, 0.0, -0.1]);
        assert!(!sanitise(&mut pcm));
    }
}
