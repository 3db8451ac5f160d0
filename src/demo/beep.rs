//! Test sound: a steady tone per person with a short beep each second, and the ear that finds beeps in a
//! mix. The beep's time in and out measures latency; the tone tells who is heard.

use mixdown_codecs::{FRAME_SAMPLES, SAMPLE_RATE};
use std::f32::consts::TAU;

/// Samples per channel of one beep.
pub const LENGTH: u64 = 1_920;
/// Samples of a listening window, and between two of them.
const WINDOW: usize = 240;
const HOP: usize = 60;

/// A tone with a beep at the beginning of each second.
#[derive(Debug, Clone)]
pub struct Tone {
    /// Hz; 0: silence between the beeps.
    pub tone: f32,
    /// Hz, well apart from the tones.
    pub beep: f32,
    /// Samples after the full second at which the beep begins.
    pub offset: u64,
    sample: u64,
}

impl Tone {
    /// Person `number`'s: tones from 300 Hz and beeps from 2 kHz; eight beeps can be told apart.
    pub fn of(number: u8) -> Self {
        Self { tone: 300.0 + 55.0 * f32::from(number), beep: 2_000.0 + 600.0 * f32::from(number % 8), offset: 0, sample: 0 }
    }

    /// Appends one frame (2 × 960 samples) to `out`.
    pub fn frame(&mut self, out: &mut Vec<f32>) {
        for _ in 0..FRAME_SAMPLES {
            let t = self.sample as f64 / f64::from(SAMPLE_RATE);
            let wave = |frequency: f32| ((t * f64::from(frequency)).fract() as f32 * TAU).sin();
            let into = (self.sample + u64::from(SAMPLE_RATE) - self.offset) % u64::from(SAMPLE_RATE);
            let ramp = (into.min(LENGTH.saturating_sub(into)) as f32 / 48.0).min(1.0);
            let sample = 0.06 * wave(self.tone) + if into < LENGTH { 0.25 * ramp * wave(self.beep) } else { 0.0 };
            out.extend([sample, sample]);
            self.sample += 1;
        }
    }
}

/// Finds the beginnings of beeps of one frequency in a stream of sound.
#[derive(Debug, Clone)]
pub struct Ear {
    coefficient: f32,
    /// Hann.
    window: Vec<f32>,
    samples: Vec<f32>,
    /// Stream position (samples per channel) of `samples[0]`.
    position: u64,
    /// Hops that must stay quiet before the next beep counts.
    deaf: usize,
}

impl Ear {
    pub fn new(frequency: f32) -> Self {
        let coefficient = 2.0 * (TAU * frequency / SAMPLE_RATE as f32).cos();
        let window = (0..WINDOW).map(|i| 0.5 - 0.5 * (TAU * (i as f32 + 0.5) / WINDOW as f32).cos()).collect();
        Self { coefficient, window, samples: Vec::new(), position: 0, deaf: 0 }
    }

    /// Takes interleaved stereo and calls `found` with the stream position at which each beep begins, ± 1 ms.
    pub fn listen(&mut self, stereo: &[f32], mut found: impl FnMut(u64)) {
        self.samples.extend(stereo.chunks_exact(2).map(|pair| 0.5 * (pair[0] + pair[1])));
        let mut at = 0;
        while at + WINDOW <= self.samples.len() {
            let loud = self.power(&self.samples[at..at + WINDOW]) > 0.0012;
            if loud && self.deaf == 0 {
                // The window passes the threshold when the beep fills about 30 % of it.
                found(self.position + (at + WINDOW * 7 / 10) as u64);
            }
            self.deaf = if loud { 200 * 48 / HOP } else { self.deaf.saturating_sub(1) };
            at += HOP;
        }
        self.samples.drain(..at);
        self.position += at as u64;
    }

    /// Goertzel: power of the frequency in the window, 1 for a full-scale sine.
    fn power(&self, window: &[f32]) -> f32 {
        let (mut s1, mut s2) = (0.0_f32, 0.0_f32);
        for (sample, weight) in window.iter().zip(&self.window) {
            (s1, s2) = (sample * weight + self.coefficient * s1 - s2, s1);
        }
        let n = window.len() as f32 / 4.0;
        (s1 * s1 + s2 * s2 - self.coefficient * s1 * s2) / (n * n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(sound: &[f32], beep: f32) -> Vec<u64> {
        let (mut ear, mut found) = (Ear::new(beep), Vec::new());
        sound.chunks(1_920).for_each(|frame| ear.listen(frame, |at| found.push(at)));
        found
    }

    #[test]
    fn a_beep_each_second_is_found_to_the_millisecond() {
        let (mut tone, mut sound) = (Tone { offset: 12_345, ..Tone::of(3) }, Vec::new());
        (0..200).for_each(|_| tone.frame(&mut sound));
        let found = listen(&sound, tone.beep);
        assert_eq!(found.len(), 4, "{found:?}");
        for (n, at) in found.iter().enumerate() {
            let true_at = 12_345 + 48_000 * n as u64;
            assert!(at.abs_diff(true_at) <= 96, "{at} for {true_at}");
        }
    }

    #[test]
    fn the_beeps_of_four_people_are_told_apart_in_their_mix() {
        let mut mix = vec![0.0; 150 * 1_920];
        for number in 0..4 {
            let (mut tone, mut sound) = (Tone { offset: u64::from(number) * 12_000, ..Tone::of(number) }, Vec::new());
            (0..150).for_each(|_| tone.frame(&mut sound));
            mix.iter_mut().zip(&sound).for_each(|(sum, sample)| *sum += 0.8 * sample);
        }
        for number in 0..4 {
            let found = listen(&mix, Tone::of(number).beep);
            assert_eq!(found.len(), 3, "person {number}: {found:?}");
            assert!(found[1].abs_diff(48_000 + u64::from(number) * 12_000) <= 96);
        }
    }

    #[test]
    fn silence_and_other_tones_are_no_beeps() {
        assert!(listen(&vec![0.0; 96_000], 2_000.0).is_empty());
        let (mut tone, mut sound) = (Tone { beep: 0.0, ..Tone::of(0) }, Vec::new());
        (0..100).for_each(|_| tone.frame(&mut sound));
        assert!(listen(&sound, 2_000.0).is_empty());
    }
}
