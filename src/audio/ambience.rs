//! Sounds of the room's own: a soft chord for the one who waits alone, two notes when somebody comes or goes.
//!
//! Added to the sum after the voices, the same for all. Everything glides, so that nothing clicks.

use super::{BLOCK, Pcm};
use std::f32::consts::TAU;

const RATE: f32 = 48_000.0;
/// Hz: an open chord on A, each note with a breath of its own.
const CHORD: [(f32, f32); 4] = [(110.0, 0.071), (164.81, 0.093), (220.0, 0.053), (277.18, 0.117)];
/// Of each note at its loudest: the chord stays below −24 dBFS.
const NOTE: f32 = 0.022;
/// Seconds in which the chord comes and goes.
const SWELL: f32 = 1.5;
/// Notes of the signals, and how long each sounds (samples).
const HIGH: f32 = 880.0;
const LOW: f32 = 659.26;
const LENGTH: u32 = 5_760;
const SIGNAL: f32 = 0.08;
const RAMP: f32 = 480.0;

/// The room's own sounds. Phases are kept in turns (0–1), so that hours change nothing.
#[derive(Debug, Default)]
pub struct Ambience {
    holding: bool,
    loudness: f32,
    phases: [(f32, f32); CHORD.len()],
    /// Notes that are played now, and samples played of both.
    signal: Option<([f32; 2], u32)>,
}

impl Ambience {
    /// Plays the chord from now on, or lets it fade.
    pub fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// Two rising notes. While notes are played, others are left out.
    pub fn joined(&mut self) {
        self.signal.get_or_insert(([LOW, HIGH], 0));
    }

    /// Two falling notes.
    pub fn left(&mut self) {
        self.signal.get_or_insert(([HIGH, LOW], 0));
    }

    /// Writes the next block. `false`: silence, and `out` is as it was.
    pub fn render(&mut self, out: &mut Pcm) -> bool {
        let silent = !self.holding && self.loudness == 0.0 && self.signal.is_none();
        if silent {
            return false;
        }
        out.fill(0.0);
        if self.holding || self.loudness > 0.0 {
            self.chord(out);
        }
        self.notes(out);
        true
    }

    fn chord(&mut self, out: &mut Pcm) {
        let step = (1.0 / (SWELL * RATE)) * if self.holding { 1.0 } else { -1.0 };
        for frame in out.chunks_exact_mut(2) {
            self.loudness = (self.loudness + step).clamp(0.0, 1.0);
            for (n, ((hz, breath), (tone, slow))) in CHORD.iter().zip(&mut self.phases).enumerate() {
                *tone = (*tone + hz / RATE).fract();
                *slow = (*slow + breath / RATE).fract();
                let swell = 0.6 + 0.4 * (*slow * TAU).sin();
                let note = (*tone * TAU).sin() * swell * NOTE * self.loudness;
                // The notes stand a little apart.
                let aside = (n as f32 - 1.5) * 0.2;
                frame[0] += note * (1.0 - aside);
                frame[1] += note * (1.0 + aside);
            }
        }
    }

    fn notes(&mut self, out: &mut Pcm) {
        let Some((notes, played)) = &mut self.signal else { return };
        for frame in out.chunks_exact_mut(2) {
            let Some(hz) = notes.get((*played / LENGTH) as usize) else { break };
            let into = (*played % LENGTH) as f32;
            let left = LENGTH as f32 - into;
            let envelope = (into / RAMP).min(1.0) * (left / LENGTH as f32).powi(2);
            let value = (into * hz / RATE * TAU).sin() * envelope * SIGNAL;
            frame[0] += value;
            frame[1] += value;
            *played += 1;
        }
        if *played >= 2 * LENGTH {
            self.signal = None;
        }
    }
}

/// Samples per channel of a signal.
pub const SIGNAL_FRAMES: usize = 2 * LENGTH as usize;
const _: () = assert!(SIGNAL_FRAMES.is_multiple_of(BLOCK / 2), "a signal is whole blocks");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{fake::tone_level, silence};

    fn play(ambience: &mut Ambience, blocks: usize) -> Vec<f32> {
        let mut heard = Vec::new();
        let mut block = silence();
        for _ in 0..blocks {
            block.fill(0.0);
            ambience.render(&mut block);
            heard.extend_from_slice(&block[..]);
        }
        heard
    }

    fn steepest(pcm: &[f32]) -> f32 {
        pcm.windows(3).step_by(2).map(|w| (w[2] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn the_chord_is_soft_swells_and_fades_into_silence() {
        let mut ambience = Ambience::default();
        let mut block = Box::new([0.5; BLOCK]);
        assert!(!ambience.render(&mut block) && block[0] == 0.5, "nothing is nothing");
        ambience.hold(true);
        let heard = play(&mut ambience, 500);
        let loudest = heard.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        assert!((0.02..0.12).contains(&loudest), "{loudest}");
        assert!(tone_level(&heard[48_000 * 4..], 220.0) > 0.005);
        ambience.hold(false);
        let end = play(&mut ambience, 100);
        assert!(steepest(&heard).max(steepest(&end)) < 0.005);
        assert!(end[end.len() - 1920..].iter().all(|s| *s == 0.0));
        assert!(!ambience.render(&mut block));
    }

    #[test]
    fn coming_rises_and_going_falls_and_one_signal_at_a_time() {
        let mut ambience = Ambience::default();
        ambience.joined();
        ambience.left();
        let heard = play(&mut ambience, 12);
        let (first, second) = heard.split_at(heard.len() / 2);
        assert!(tone_level(first, 659.26) > 4.0 * tone_level(first, 880.0));
        assert!(tone_level(second, 880.0) > 4.0 * tone_level(second, 659.26));
        assert!(play(&mut ambience, 1).iter().all(|s| *s == 0.0), "the second was left out");
        assert!(steepest(&heard) < 0.012);
        ambience.left();
        let falls = play(&mut ambience, 6);
        assert!(tone_level(&falls, 880.0) > tone_level(&falls, 659.26));
    }
}
