//! A synthetic person in front of a camera, 640×360: breathes, sways, blinks, looks about, and moves
//! the mouth with its voice. Pure: the same number, time and voice give the same picture.
//!
//! The parts are drawn once (about 60 ms); a frame moves them by fractions of a pixel into the picture.

use super::layer::Shift;
use super::look::Look;
use super::paint::{LIDS, MOUTH_OPENINGS, MOUTH_SHAPES, Parts, SIZE};
use mixdown_codecs::{I420Frame, Size};
use std::f32::consts::TAU;

/// What the voice does to the face in this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Articulation {
    /// Is having the floor.
    pub speaking: bool,
    /// Mouth from closed 0 to wide open 1.
    pub open: f32,
    /// Lips from spread 0 to rounded 1.
    pub round: f32,
}

pub struct Person {
    look: Look,
    parts: Parts,
    /// Sets this one's rhythms apart from the others'.
    phase: f32,
    /// How much the body shows that it speaks, 0–1: rises and falls slowly.
    lively: f32,
    last_seconds: f64,
}

impl Person {
    pub const SIZE: Size = SIZE;

    pub fn new(number: u8) -> Self {
        let look = Look::of(number);
        let parts = Parts::draw(&look);
        Self { look, parts, phase: f32::from(number) * 1.7, lively: 0.0, last_seconds: 0.0 }
    }

    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Draws the picture of time `seconds` into `frame`, which must be 640×360; another size stays as it is.
    pub fn draw(&mut self, seconds: f64, voice: Articulation, frame: &mut I420Frame) {
        if frame.size() != SIZE {
            return;
        }
        let step = (seconds - self.last_seconds).clamp(0.0, 0.2) as f32;
        self.last_seconds = seconds;
        self.lively += (f32::from(u8::from(voice.speaking)) - self.lively) * (step * 3.0).min(1.0);
        let pose = Pose::at(seconds, self.phase, self.lively, voice);
        frame.data_mut().copy_from_slice(self.parts.room.data());
        let parts = &self.parts;
        let (head, face) = (pose.head, pose.head.plus(pose.turn.0, pose.turn.1));
        parts.hair_behind.blend(frame, head.plus(-0.5 * pose.turn.0, -0.5 * pose.turn.1));
        parts.body.blend(frame, pose.body);
        parts.head.blend(frame, head);
        if let Some(mouth) = parts.mouths.get(pose.mouth.0).and_then(|shapes| shapes.get(pose.mouth.1)) {
            mouth.blend(frame, face);
        }
        if let (Some(lids), Some(eyes)) = (parts.lids.get(pose.lids), parts.eyes.get(pose.lids)) {
            lids.blend(frame, face);
            eyes.blend(frame, face.plus(pose.gaze.0, pose.gaze.1));
        }
        parts.brows.blend(frame, face.plus(0.0, -pose.brows));
        if let Some(glasses) = &parts.glasses {
            glasses.blend(frame, face.plus(0.3 * pose.turn.0, 0.0));
        }
        parts.fringe.blend(frame, head.plus(0.4 * pose.turn.0, 0.4 * pose.turn.1));
    }
}

/// Where everything is in one moment.
struct Pose {
    body: Shift,
    head: Shift,
    /// How far the face has turned, in pixels that its features move on the head.
    turn: (f32, f32),
    gaze: (f32, f32),
    brows: f32,
    mouth: (usize, usize),
    lids: usize,
}

impl Pose {
    fn at(seconds: f64, phase: f32, lively: f32, voice: Articulation) -> Self {
        // The slow rhythms repeat after an hour, which keeps `f32` exact.
        let t = (seconds % 3600.0) as f32 + phase;
        let wave = |period: f32, shift: f32| ((t / period + shift) * TAU).sin();
        let breath = wave(4.1, 0.0) * 1.4;
        let sway = wave(7.3, 0.2) * 7.0 + wave(3.1, 0.6) * (1.2 + 3.0 * lively);
        let body = Shift { x: 0.55 * sway, y: 1.5 + breath, lean: 0.004 * sway, pivot: 360.0 };
        // Listening: a nod now and then. Speaking: the head goes with the stress.
        let nodding = (wave(9.7, 0.35) - 0.72).max(0.0) * 3.5 * (1.0 - lively);
        let nod = nodding * (t * 9.0).sin().max(0.0) * 5.0 + lively * (wave(1.13, 0.1) * 1.6 + voice.open * 1.8);
        let tilt = wave(5.9, 0.45) * 0.028 + wave(2.3, 0.0) * 0.020 * lively;
        let head = Shift { x: sway, y: 1.0 + breath * 1.2 + nod, lean: tilt, pivot: 240.0 };
        let look = glance(t);
        let turn = (look.0 * 5.0 + wave(6.7, 0.8) * 3.0, look.1 * 2.0 + nod * 0.35);
        Self {
            body,
            head,
            turn,
            gaze: (look.0 * 2.6, look.1 * 1.6),
            brows: lively * (1.2 + 2.0 * wave(1.9, 0.3).max(0.0)) + nodding,
            mouth: mouth(voice),
            lids: lids(t),
        }
    }
}

fn mouth(voice: Articulation) -> (usize, usize) {
    let step = |part: f32, steps: usize| (part.clamp(0.0, 1.0) * (steps - 1) as f32).round() as usize;
    (step(voice.open, MOUTH_OPENINGS), step(voice.round, MOUTH_SHAPES))
}

/// Shut for a moment every 2.4–5 s, at times twice.
fn lids(t: f32) -> usize {
    let slot = (t / 3.7).floor();
    let within = t - slot * 3.7;
    let start = 0.2 + 2.2 * noise(slot, 1);
    let twice = noise(slot, 2) > 0.8;
    let blink = |begin: f32| {
        let since = within - begin;
        if !(0.0..0.20).contains(&since) {
            return 0;
        }
        let shut = 1.0 - ((since - 0.09) / 0.10).abs();
        ((shut * LIDS as f32).round() as usize).min(LIDS - 1)
    };
    blink(start).max(if twice { blink(start + 0.32) } else { 0 })
}

/// Where the eyes rest, −1…1 each way; moves on every 2.6 s within a sixth of a second.
fn glance(t: f32) -> (f32, f32) {
    let slot = (t / 2.6).floor();
    let target = |slot: f32| {
        // Two times of three into the camera.
        if noise(slot, 3) < 0.62 { (0.0, 0.0) } else { (2.0 * noise(slot, 4) - 1.0, 1.2 * noise(slot, 5) - 0.6) }
    };
    let (from, to) = (target(slot - 1.0), target(slot));
    let x = ((t - slot * 2.6) / 0.16).clamp(0.0, 1.0);
    let part = x * x * (3.0 - 2.0 * x);
    (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
}

/// 0–1, the same for the same slot and use.
fn noise(slot: f32, usage: u32) -> f32 {
    let mut x = (slot as i32 as u32).wrapping_mul(0x9e37_79b9) ^ usage.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    (x >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(a: &I420Frame, b: &I420Frame) -> f64 {
        let sum: u64 = a.data().iter().zip(b.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / a.data().len() as f64
    }

    #[test]
    fn the_same_moment_gives_the_same_picture_and_another_one_a_different_picture() {
        let draw = |seconds: f64| {
            let mut frame = I420Frame::black(Person::SIZE);
            Person::new(0).draw(seconds, Articulation::default(), &mut frame);
            frame
        };
        assert_eq!(draw(1.0), draw(1.0));
        assert!(difference(&draw(1.0), &draw(1.5)) > 0.1);
    }

    #[test]
    fn an_open_mouth_and_shut_eyes_change_the_face_alone() {
        let mut person = Person::new(2);
        let (mut closed, mut open) = (I420Frame::black(Person::SIZE), I420Frame::black(Person::SIZE));
        person.draw(0.0, Articulation::default(), &mut closed);
        person.draw(0.0, Articulation { open: 1.0, ..Articulation::default() }, &mut open);
        let rows = |frame: &I420Frame, from: usize, to: usize| frame.planes().y[from * 640..to * 640].to_vec();
        assert_ne!(rows(&closed, 200, 240), rows(&open, 200, 240));
        assert_eq!(rows(&closed, 0, 30), rows(&open, 0, 30));
    }

    #[test]
    fn any_two_of_nine_people_can_be_told_apart() {
        let frames: Vec<I420Frame> = (0..9)
            .map(|number| {
                let mut frame = I420Frame::black(Person::SIZE);
                Person::new(number).draw(0.0, Articulation::default(), &mut frame);
                frame
            })
            .collect();
        for a in 0..9 {
            for b in a + 1..9 {
                assert!(difference(&frames[a], &frames[b]) > 4.0, "{a} and {b} look alike");
            }
        }
    }

    #[test]
    fn eyes_are_open_most_of_the_time_and_shut_now_and_then() {
        let shut = (0..6_000).filter(|n| lids(*n as f32 / 100.0) == LIDS - 1).count();
        assert!((20..400).contains(&shut), "{shut} of 6000");
        let open = (0..6_000).filter(|n| lids(*n as f32 / 100.0) == 0).count();
        assert!(open > 5_000, "{open} of 6000");
    }

    #[test]
    fn another_size_is_left_alone() {
        let mut frame = I420Frame::black(Size::new(320, 180));
        Person::new(0).draw(0.0, Articulation::default(), &mut frame);
        assert_eq!(frame, I420Frame::black(Size::new(320, 180)));
    }
}
