//! Levels as RFC 6464 counts them: dBov, 0 for the loudest square wave, −127 for silence.

/// Silence, or no sound at all.
pub const SILENCE: f32 = -127.0;

/// Level of interleaved samples (−1…1) in dBov, −127…0. A full-scale sine is −3.
pub fn dbov(pcm: &[f32]) -> f32 {
    if pcm.is_empty() {
        return SILENCE;
    }
    let mut lanes = [0.0f32; 8];
    let chunks = pcm.chunks_exact(lanes.len());
    let rest: f32 = chunks.remainder().iter().map(|s| s * s).sum();
    for chunk in chunks {
        for (lane, sample) in lanes.iter_mut().zip(chunk) {
            *lane += sample * sample;
        }
    }
    from_power((lanes.iter().sum::<f32>() + rest) / pcm.len() as f32)
}

/// Level of a mean square.
pub fn from_power(power: f32) -> f32 {
    if power.is_nan() {
        return SILENCE;
    }
    (10.0 * power.max(1e-13).log10()).clamp(SILENCE, 0.0)
}

/// A level that rises at once and falls slowly.
#[derive(Debug, Clone, Copy)]
pub struct Smooth {
    level: f32,
    fall: f32,
}

impl Smooth {
    /// `fall`: dB per step.
    pub fn new(fall: f32) -> Self {
        Self { level: SILENCE, fall }
    }

    pub fn step(&mut self, level: f32) -> f32 {
        self.level = level.max(self.level - self.fall).max(SILENCE);
        self.level
    }

    pub fn get(&self) -> f32 {
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_points_of_rfc_6464_hold() {
        let square: Vec<f32> = (0..1920).map(|n| if n % 40 < 20 { 1.0 } else { -1.0 }).collect();
        let sine: Vec<f32> = (0..1920).map(|n| (n as f32 * std::f32::consts::TAU / 96.0).sin()).collect();
        let tenth: Vec<f32> = sine.iter().map(|s| s * 0.1).collect();
        assert!(dbov(&square).abs() < 0.01);
        assert!((dbov(&sine) + 3.01).abs() < 0.01);
        assert!((dbov(&tenth) + 23.01).abs() < 0.01);
        assert_eq!(dbov(&[0.0; 1920]), SILENCE);
        assert_eq!(dbov(&[]), SILENCE);
    }

    #[test]
    fn what_is_no_number_is_silence_and_what_is_too_loud_is_zero() {
        assert_eq!(dbov(&[f32::NAN; 16]), SILENCE);
        assert_eq!(dbov(&[9.0; 16]), 0.0);
    }

    #[test]
    fn a_smooth_level_rises_at_once_and_falls_slowly() {
        let mut smooth = Smooth::new(0.5);
        assert_eq!(smooth.step(-20.0), -20.0);
        assert_eq!(smooth.step(-90.0), -20.5);
        assert_eq!(smooth.step(-10.0), -10.0);
    }
}
