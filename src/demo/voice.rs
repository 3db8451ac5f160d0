//! Synthetic babble: a glottal pulse and breath through three formant resonators that move from vowel
//! to vowel, in syllables, words and phrases with a falling melody. No word of any language.
//!
//! 48 kHz, frames of 20 ms, interleaved stereo with a place in the room per person. Levels stay well
//! below full scale (about −24 dBFS while talking), so that three voices mix without a limiter.

use super::person::Articulation;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::f32::consts::{PI, TAU};

const RATE: f32 = 48_000.0;
const FRAME: usize = mixdown_codecs::FRAME_SAMPLES;
/// Samples between two steps of pitch, formants and gains.
const STEP: usize = 48;

/// Formants in Hz of a vowel, how far the mouth opens for it and how round the lips are.
const VOWELS: [([f32; 3], f32, f32); 7] = [
    ([730.0, 1_150.0, 2_500.0], 0.95, 0.1),
    ([560.0, 1_800.0, 2_550.0], 0.60, 0.0),
    ([310.0, 2_200.0, 2_950.0], 0.30, 0.0),
    ([480.0, 880.0, 2_450.0], 0.65, 0.8),
    ([330.0, 820.0, 2_300.0], 0.32, 1.0),
    ([520.0, 1_450.0, 2_450.0], 0.50, 0.3),
    ([660.0, 1_650.0, 2_450.0], 0.75, 0.0),
];

/// One voice.
pub struct Voice {
    rng: StdRng,
    pitch: f32,
    /// Longer or shorter vocal tract: multiplies the formants.
    tract: f32,
    /// Gains of the left and right channel.
    pan: (f32, f32),
    phase: f32,
    time: f32,
    formants: [Resonator; 3],
    hiss: Resonator,
    syllable: Syllable,
    targets: [f32; 3],
    gain: f32,
    noise_gain: f32,
    mouth: (f32, f32),
    /// Syllables left in the phrase: the melody falls towards its end.
    left: u32,
    level: f32,
}

/// What is being said.
#[derive(Debug, Clone, Copy)]
struct Syllable {
    vowel: usize,
    /// Seconds since it began and how long it lasts.
    at: f32,
    length: f32,
    consonant: Consonant,
    stress: f32,
    /// Nothing sounds: a gap between words or phrases.
    rest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Consonant {
    None,
    Stop,
    Hiss,
    Hum,
}

impl Voice {
    /// The voice of bot `number`.
    pub fn new(number: u8) -> Self {
        let mut rng = StdRng::seed_from_u64(0x0070_1ce5 + u64::from(number));
        let (pitch, tract) = match number {
            0 => (205.0, 1.14),
            1 => (112.0, 0.97),
            2 => (178.0, 1.08),
            _ if number.is_multiple_of(2) => (rng.random_range(165.0..230.0), rng.random_range(1.05..1.18)),
            _ => (rng.random_range(95.0..135.0), rng.random_range(0.92..1.02)),
        };
        let place = [-0.35, 0.3, 0.0, -0.6, 0.6, -0.15, 0.45, 0.1][usize::from(number) % 8];
        let angle = (place + 1.0) * PI / 4.0;
        let rest = Syllable { vowel: 0, at: 0.0, length: 0.05, consonant: Consonant::None, stress: 1.0, rest: true };
        Self {
            rng,
            pitch,
            tract,
            pan: (angle.cos(), angle.sin()),
            phase: 0.0,
            time: 0.0,
            formants: [Resonator::default(); 3],
            hiss: Resonator::tuned(4_800.0, 1_800.0),
            syllable: rest,
            targets: VOWELS[5].0,
            gain: 0.0,
            noise_gain: 0.0,
            mouth: (0.0, 0.0),
            left: 0,
            level: -127.0,
        }
    }

    /// Appends one frame (2 × 960 samples) to `out` and says what the mouth does at its end.
    pub fn frame(&mut self, speaking: bool, out: &mut Vec<f32>) -> Articulation {
        let mut power = 0.0;
        for _ in 0..FRAME / STEP {
            self.step(speaking);
            for _ in 0..STEP {
                let sample = self.sample().clamp(-0.95, 0.95);
                power += sample * sample;
                out.push(sample * self.pan.0);
                out.push(sample * self.pan.1);
            }
        }
        self.level = 10.0 * (power / FRAME as f32).max(1e-13).log10();
        Articulation { speaking, open: self.mouth.0, round: self.mouth.1 }
    }

    /// RFC 6464 level of the last frame in dBov: −127 (silence) to 0.
    pub fn level_dbov(&self) -> i8 {
        self.level.clamp(-127.0, 0.0) as i8
    }

    /// A millisecond further: pitch, formants and gains.
    fn step(&mut self, speaking: bool) {
        let dt = STEP as f32 / RATE;
        self.time += dt;
        self.syllable.at += dt;
        if self.syllable.at >= self.syllable.length {
            self.next_syllable(speaking);
        }
        let s = self.syllable;
        let (formants, open, round) = VOWELS[s.vowel];
        let glide = 1.0 - (-dt / 0.028).exp();
        for (now, target) in self.targets.iter_mut().zip(formants) {
            *now += (target * self.tract - *now) * glide;
        }
        for (i, width) in [75.0, 100.0, 150.0].into_iter().enumerate() {
            self.formants[i].tune(self.targets[i], width);
        }
        let onset = if s.consonant == Consonant::None { 0.0 } else { 0.055 };
        // Rises after the consonant, falls before the end.
        let shape = ((s.at - onset) / 0.03).clamp(0.0, 1.0) * ((s.length - s.at) / 0.05).clamp(0.0, 1.0);
        let hum = if s.consonant == Consonant::Hum && s.at < onset { 0.35 } else { 0.0 };
        let voiced = if s.rest { 0.0 } else { shape.max(hum) * s.stress };
        let hissing = match s.consonant {
            Consonant::Hiss if !s.rest => (PI * (s.at / onset).clamp(0.0, 1.0)).sin() * 0.5,
            Consonant::Stop if !s.rest && (0.035..onset).contains(&s.at) => 0.45,
            _ => 0.0,
        };
        let follow = 1.0 - (-dt / 0.008).exp();
        self.gain += (voiced - self.gain) * follow;
        self.noise_gain += (hissing - self.noise_gain) * follow;
        let lips = 1.0 - (-dt / 0.035).exp();
        let wanted = if s.rest { (0.0, 0.0) } else { (open * (0.25 + 0.75 * shape), round) };
        self.mouth.0 += (wanted.0 - self.mouth.0) * lips;
        self.mouth.1 += (wanted.1 - self.mouth.1) * lips;
    }

    fn next_syllable(&mut self, speaking: bool) {
        let rng = &mut self.rng;
        let rest = |length: f32| Syllable { vowel: 5, at: 0.0, length, consonant: Consonant::None, stress: 0.0, rest: true };
        if !speaking {
            self.left = 0;
            self.syllable = rest(0.03);
            return;
        }
        if self.left == 0 {
            self.left = rng.random_range(5..12);
            self.syllable = rest(if self.syllable.rest { 0.02 } else { rng.random_range(0.16..0.34) });
            return;
        }
        // Between words.
        if !self.syllable.rest && rng.random_bool(0.28) {
            self.syllable = rest(rng.random_range(0.03..0.07));
            return;
        }
        self.left -= 1;
        let stressed = rng.random_bool(0.35);
        let consonant = match rng.random_range(0..10) {
            0..=3 => Consonant::Stop,
            4..=5 => Consonant::Hiss,
            6..=8 => Consonant::Hum,
            _ => Consonant::None,
        };
        let stretch = if self.left == 0 { 1.4 } else { 1.0 };
        let length = rng.random_range(0.12..0.19) * if stressed { 1.35 } else { 1.0 } * stretch;
        let vowel = rng.random_range(0..VOWELS.len());
        let stress = if stressed { 1.0 } else { rng.random_range(0.6..0.8) };
        self.syllable = Syllable { vowel, at: 0.0, length, consonant, stress, rest: false };
    }

    fn sample(&mut self) -> f32 {
        let melody = 1.0 + 0.022 * (self.left as f32 - 4.0) + 0.10 * (self.syllable.stress - 0.7);
        let vibrato = 1.0 + 0.006 * (TAU * 5.3 * self.time).sin() + 0.008 * (TAU * 0.83 * self.time).sin();
        self.phase += self.pitch * melody * vibrato / RATE;
        self.phase -= self.phase.floor();
        let white = self.rng.random_range(-1.0_f32..1.0);
        let source = glottis(self.phase) * self.gain + white * 0.03 * self.gain;
        let [f1, f2, f3] = &mut self.formants;
        // Neighbours with opposite signs: no notch between them.
        let voiced = f1.run(source) - 2.4 * f2.run(source) + 2.2 * f3.run(source);
        2.2 * voiced + 0.30 * self.hiss.run(white) * self.noise_gain
    }
}

/// Derivative of a Rosenberg pulse: opens slowly, shuts fast, rests for a third. Mean zero.
fn glottis(phase: f32) -> f32 {
    const OPEN: f32 = 0.46;
    const SHUT: f32 = 0.11;
    if phase < OPEN {
        0.5 * (PI * phase / OPEN).sin() * SHUT / OPEN
    } else if phase < OPEN + SHUT {
        -(PI * (phase - OPEN) / SHUT).sin() * 0.5
    } else {
        0.0
    }
}

/// A band-pass of second order with gain 1 at its centre.
#[derive(Debug, Clone, Copy, Default)]
struct Resonator {
    gain: f32,
    a1: f32,
    a2: f32,
    y1: f32,
    y2: f32,
    x1: f32,
    x2: f32,
}

impl Resonator {
    fn tuned(frequency: f32, width: f32) -> Self {
        let mut resonator = Self::default();
        resonator.tune(frequency, width);
        resonator
    }

    fn tune(&mut self, frequency: f32, width: f32) {
        let r = (-PI * width / RATE).exp();
        self.a1 = 2.0 * r * (TAU * frequency / RATE).cos();
        self.a2 = -r * r;
        self.gain = (1.0 - r * r) / 2.0;
    }

    fn run(&mut self, x: f32) -> f32 {
        let y = self.gain * (x - self.x2) + self.a1 * self.y1 + self.a2 * self.y2;
        (self.x2, self.x1) = (self.x1, x);
        (self.y2, self.y1) = (self.y1, y);
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u8, seconds: usize, speaking: bool) -> (Vec<f32>, Vec<Articulation>) {
        let (mut voice, mut out, mut mouth) = (Voice::new(number), Vec::new(), Vec::new());
        for _ in 0..50 * seconds {
            mouth.push(voice.frame(speaking, &mut out));
        }
        (out, mouth)
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn a_voice_stays_within_bounds_and_is_neither_silent_nor_loud() {
        for number in 0..12 {
            let (samples, _) = seconds(number, 5, true);
            assert_eq!(samples.len(), 5 * 96_000);
            assert!(samples.iter().all(|s| s.is_finite() && s.abs() < 0.95), "voice {number} is bounded");
            let level = 20.0 * rms(&samples).log10();
            assert!((-36.0..-18.0).contains(&level), "voice {number} is at {level:.1} dBFS");
        }
    }

    #[test]
    fn who_does_not_talk_is_silent_with_a_closed_mouth() {
        let (samples, mouth) = seconds(0, 1, false);
        assert!(samples.iter().all(|s| s.abs() < 1e-6));
        assert!(mouth.iter().all(|m| m.open < 0.01));
        let mut voice = Voice::new(0);
        voice.frame(false, &mut Vec::new());
        assert_eq!(voice.level_dbov(), -127);
    }

    #[test]
    fn the_mouth_opens_and_shuts_with_the_syllables() {
        let (_, mouth) = seconds(1, 5, true);
        let openings = mouth.windows(2).filter(|pair| pair[0].open < 0.3 && pair[1].open >= 0.3).count();
        assert!((8..45).contains(&openings), "{openings} openings in 5 s");
    }

    #[test]
    fn a_voice_stops_within_a_quarter_of_a_second() {
        let (mut voice, mut out) = (Voice::new(2), Vec::new());
        for _ in 0..100 {
            voice.frame(true, &mut out);
        }
        out.clear();
        for _ in 0..25 {
            voice.frame(false, &mut out);
        }
        assert!(rms(&out[out.len() - 20_000..]) < 1e-4);
    }

    #[test]
    fn the_same_number_gives_the_same_voice_and_others_differ() {
        assert_eq!(seconds(0, 1, true).0, seconds(0, 1, true).0);
        assert_ne!(seconds(0, 1, true).0, seconds(1, 1, true).0);
    }
}
