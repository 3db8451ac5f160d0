//! Automatic gain: brings quiet and loud speakers to about the same loudness, slowly enough that nobody hears it work.
//!
//! Only speech moves the gain: blocks well above the noise between words. It rises by 3 dB a second at most, falls by 12, and
//! never lifts noise above what is quiet. Works block by block of 20 ms.

use super::{BLOCK, Pcm};

/// Loudness of speech that is aimed at, in dBov.
const TARGET: f32 = -24.0;
const MOST: f32 = 18.0;
const LEAST: f32 = -12.0;
/// dB per block.
const RISE: f32 = 0.06;
const FALL: f32 = 0.24;
const BACK: f32 = 1.0;
/// Speech stands this far above the noise and is at least this loud.
const MARGIN: f32 = 9.0;
const QUIETEST: f32 = -60.0;
/// Noise is followed down at once and up slowly, and never lifted above this.
const NOISE_RISE: f32 = 0.02;
const LOUDEST_NOISE: f32 = -50.0;
/// Of a block in the loudness of speech.
const WEIGHT: f32 = 0.02;

/// One speaker's gain.
#[derive(Debug)]
pub struct Levelling {
    noise: f32,
    speech: Option<f32>,
    gain: f32,
    factor: f32,
}

impl Default for Levelling {
    fn default() -> Self {
        Self { noise: QUIETEST, speech: None, gain: 0.0, factor: 1.0 }
    }
}

impl Levelling {
    /// dB that are added now.
    pub fn gain(&self) -> f32 {
        self.gain
    }

    /// Levels one block in place. `active`: whether that is wanted; the gain goes back to 0 where not. `level`: its own in dBov.
    pub fn process(&mut self, active: bool, level: f32, pcm: &mut Pcm) {
        if active {
            self.follow(level);
        } else {
            self.gain -= self.gain.clamp(-BACK, BACK);
        }
        let (from, to) = (self.factor, 10f32.powf(self.gain / 20.0));
        let slope = (to - from) / (BLOCK / 2) as f32;
        for (n, frame) in pcm.chunks_exact_mut(2).enumerate() {
            let factor = from + slope * n as f32;
            frame[0] *= factor;
            frame[1] *= factor;
        }
        self.factor = to;
    }

    fn follow(&mut self, level: f32) {
        self.noise = if level < self.noise { level.max(-90.0) } else { self.noise + NOISE_RISE };
        if level < QUIETEST || level < self.noise + MARGIN {
            return;
        }
        let speech = self.speech.map_or(level, |speech| speech + (level - speech) * WEIGHT);
        self.speech = Some(speech);
        let most = (LOUDEST_NOISE - self.noise).clamp(0.0, MOST);
        let wanted = (TARGET - speech).clamp(LEAST, most);
        self.gain += (wanted - self.gain).clamp(-FALL, RISE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level;

    /// Speaks for `seconds` at an amplitude: 300 ms of sound, 100 ms of breath. Level of the last word.
    fn speak(levelling: &mut Levelling, seconds: usize, amplitude: f32, noise: f32) -> f32 {
        let mut last = 0.0;
        for block in 0..seconds * 50 {
            let loud = if block % 20 < 15 { amplitude } else { noise };
            let mut pcm: Box<Pcm> =
                Box::new(std::array::from_fn(|n| (((block * 960 + n / 2) as f32) / 48.0 * std::f32::consts::TAU).sin() * loud));
            levelling.process(true, level::dbov(&pcm[..]), &mut pcm);
            if loud == amplitude {
                last = level::dbov(&pcm[..]);
            }
        }
        last
    }

    #[test]
    fn quiet_and_loud_speakers_come_out_alike() {
        let (mut quiet, mut loud) = (Levelling::default(), Levelling::default());
        let (quiet, loud) = (speak(&mut quiet, 20, 0.02, 0.000_1), speak(&mut loud, 20, 0.5, 0.000_1));
        assert!((quiet - loud).abs() < 4.0, "{quiet} and {loud} dBov");
        assert!((-28.0..-18.0).contains(&quiet), "{quiet}");
    }

    #[test]
    fn noise_and_silence_are_not_lifted() {
        let mut levelling = Levelling::default();
        speak(&mut levelling, 30, 0.002, 0.002);
        assert!(levelling.gain() < 1.0, "{}", levelling.gain());
        let mut levelling = Levelling::default();
        speak(&mut levelling, 20, 0.02, 0.003);
        assert!(levelling.gain() < 6.0, "the fan behind a quiet voice stays quiet: {}", levelling.gain());
    }

    #[test]
    fn the_gain_moves_by_no_more_than_3_db_a_second_up() {
        let mut levelling = Levelling::default();
        speak(&mut levelling, 2, 0.02, 0.000_1);
        assert!((1.0..6.5).contains(&levelling.gain()), "{}", levelling.gain());
    }
}
