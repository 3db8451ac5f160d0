//! Who has the floor: dominant speaker identification over three windows, after I. Volfin and I. Cohen,
//! "Dominant speaker identification for multipoint videoconferencing", Computer Speech & Language 27 (2013).
//!
//! Every 20 ms each participant's level becomes an activity of 0–13. From it come three scores, the log-likelihood
//! ratio of speech against none: *immediate* (this frame), *medium* (the last 100 ms) and *long* (the last second).
//! A challenger gets the floor who beats the holder in all three, has spoken for `attack_ms` in all (breaths
//! between words do not count, longer pauses count against them), while the holder has had the floor for `hold_ms`.
//! So interjections do not pass it, nor does talking at the same time.
//!
//! Counts frames instead of reading a clock. Says nothing about whose sound is mixed.

use crate::ids::ParticipantId;
use mixdown_layouts::layout::ActiveSpeaker;
use std::collections::BTreeMap;

const FRAME_MS: u32 = 20;
/// Frames in a medium block, blocks in the long window.
const MEDIUM: usize = 5;
const LONG: usize = 10;
const IMMEDIATE: u32 = 13;
/// Activity from which a frame speaks for its block, and active frames from which the block speaks for the window.
const ACTIVE: u32 = 4;
const ACTIVE_FRAMES: u32 = 3;

/// Means of the exponential that stands for "no speech" in each window.
const LAMBDA_IMMEDIATE: f64 = 0.78;
const LAMBDA_MEDIUM: f64 = 24.0;
const LAMBDA_LONG: f64 = 47.0;
/// Logarithms of the ratio to the holder's score that a challenger must exceed.
const LEAD_IMMEDIATE: f64 = 3.0;
const LEAD_MEDIUM: f64 = 2.0;
const LEAD_LONG: f64 = 0.0;
const LEAST_SCORE: f64 = 1e-10;

/// Silence between words that is still speech, in frames.
const BREATH: u32 = 10;
/// The sign comes on after this many active frames in a row, off after this many others.
const SIGN_ON: u32 = 4;
const SIGN_OFF: u32 = 30;

/// Room noise is learnt up to this level and must be exceeded by a margin.
const LOUDEST_NOISE: f32 = -45.0;
const MARGIN: f32 = 6.0;
const NOISE_RISE: f32 = 0.04;
const NOISE_FALL: f32 = 0.3;
/// Activity is full this far above its threshold.
const SPAN: f32 = 26.0;

/// How the floor is passed on. Views with equal rules have the same speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub attack_ms: u32,
    pub hold_ms: u32,
    pub min_level_dbov: i8,
}

impl From<ActiveSpeaker> for Rule {
    fn from(ActiveSpeaker { attack_ms, hold_ms, min_level_dbov, border: _ }: ActiveSpeaker) -> Self {
        Self { attack_ms, hold_ms, min_level_dbov }
    }
}

/// What became different in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The floor has passed on.
    Floor(ParticipantId),
    Speaking(ParticipantId, bool),
}

/// Finds the active speaker of one room by one rule.
#[derive(Clone)]
pub struct Detector {
    rule: Rule,
    people: BTreeMap<ParticipantId, Voice>,
    holder: Option<ParticipantId>,
    held: u32,
}

impl Detector {
    pub fn new(rule: Rule) -> Self {
        Self { rule, people: BTreeMap::new(), holder: None, held: 0 }
    }

    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// One that has heard the same and goes on by another rule.
    pub fn by(&self, rule: Rule) -> Self {
        Self { rule, ..self.clone() }
    }

    pub fn join(&mut self, participant: ParticipantId) {
        self.people.entry(participant).or_default();
    }

    /// Nobody has the floor when its holder leaves, until somebody takes it.
    pub fn leave(&mut self, participant: ParticipantId) {
        self.people.remove(&participant);
        if self.holder == Some(participant) {
            self.holder = None;
        }
    }

    /// Level of this frame in dBov (RFC 6464). Whoever is not heard in a frame is silent in it.
    pub fn hear(&mut self, participant: ParticipantId, level_dbov: f32) {
        if let Some(voice) = self.people.get_mut(&participant) {
            voice.level = voice.level.max(level_dbov);
        }
    }

    /// Ends the frame of 20 ms.
    pub fn step(&mut self, mut changed: impl FnMut(Change)) {
        let least = f32::from(self.rule.min_level_dbov);
        for (id, voice) in &mut self.people {
            if let Some(speaking) = voice.step(least) {
                changed(Change::Speaking(*id, speaking));
            }
        }
        self.held = self.held.saturating_add(1);
        if let Some(next) = self.challenger() {
            self.holder = Some(next);
            self.held = 0;
            changed(Change::Floor(next));
        }
    }

    pub fn holder(&self) -> Option<ParticipantId> {
        self.holder
    }

    fn challenger(&self) -> Option<ParticipantId> {
        let holder = self.holder.and_then(|id| self.people.get(&id));
        if holder.is_some() && self.held < self.rule.hold_ms / FRAME_MS {
            return None;
        }
        let silent = Scores::default();
        let bar = holder.map_or(&silent, |voice| &voice.scores);
        let attack = self.rule.attack_ms.div_ceil(FRAME_MS);
        let mut best: Option<(ParticipantId, &Scores)> = None;
        for (id, voice) in &self.people {
            let able = Some(*id) != self.holder && voice.spoken >= attack.max(1) && voice.scores.beats(bar);
            if able && best.is_none_or(|(_, scores)| voice.scores.medium > scores.medium) {
                best = Some((*id, &voice.scores));
            }
        }
        best.map(|(id, _)| id)
    }
}

/// Log-likelihood ratios of speech, at least [`LEAST_SCORE`].
#[derive(Clone)]
struct Scores {
    immediate: f64,
    medium: f64,
    long: f64,
}

impl Default for Scores {
    fn default() -> Self {
        Self { immediate: LEAST_SCORE, medium: LEAST_SCORE, long: LEAST_SCORE }
    }
}

impl Scores {
    fn beats(&self, other: &Self) -> bool {
        (self.immediate / other.immediate).ln() > LEAD_IMMEDIATE
            && (self.medium / other.medium).ln() > LEAD_MEDIUM
            && (self.long / other.long).ln() > LEAD_LONG
    }
}

#[derive(Clone)]
struct Voice {
    level: f32,
    noise: f32,
    /// Activities of the last second, newest at `at - 1`.
    recent: [u32; MEDIUM * LONG],
    at: usize,
    scores: Scores,
    /// Frames spoken in one go, and frames of silence since.
    spoken: u32,
    silent: u32,
    active: u32,
    sign: bool,
}

impl Default for Voice {
    fn default() -> Self {
        Self {
            level: f32::NEG_INFINITY,
            noise: -90.0,
            recent: [0; MEDIUM * LONG],
            at: 0,
            scores: Scores::default(),
            spoken: 0,
            silent: 0,
            active: 0,
            sign: false,
        }
    }
}

impl Voice {
    /// Ends a frame; `Some` when the speaking sign changes.
    fn step(&mut self, least: f32) -> Option<bool> {
        let level = std::mem::replace(&mut self.level, f32::NEG_INFINITY).max(-127.0);
        let towards = if level < self.noise { (level - self.noise) * NOISE_FALL } else { NOISE_RISE };
        let threshold = least.max(self.noise + MARGIN);
        self.noise = (self.noise + towards).min(LOUDEST_NOISE);
        let above = ((level - threshold) / SPAN).clamp(0.0, 1.0);
        let activity = if level <= threshold { 0 } else { ACTIVE + (above * (IMMEDIATE - ACTIVE) as f32) as u32 };
        self.recent[self.at] = activity;
        self.at = (self.at + 1) % self.recent.len();
        self.score(activity);
        self.count(activity >= ACTIVE)
    }

    fn score(&mut self, activity: u32) {
        let length = self.recent.len();
        let frame = |age: usize| u32::from(self.recent[(self.at + length - 1 - age) % length] >= ACTIVE);
        let block = |n: usize| (n * MEDIUM..(n + 1) * MEDIUM).map(frame).sum::<u32>();
        let blocks = (0..LONG).filter(|n| block(*n) >= ACTIVE_FRAMES).count() as u32;
        let medium = block(0);
        self.scores = Scores {
            immediate: likelihood(activity, IMMEDIATE, LAMBDA_IMMEDIATE),
            medium: likelihood(medium, MEDIUM as u32, LAMBDA_MEDIUM),
            long: likelihood(blocks, LONG as u32, LAMBDA_LONG),
        };
    }

    fn count(&mut self, active: bool) -> Option<bool> {
        if active {
            self.spoken = self.spoken.saturating_add(1);
            self.active += 1;
            self.silent = 0;
        } else {
            self.active = 0;
            self.silent = self.silent.saturating_add(1);
            if self.silent > BREATH {
                self.spoken = self.spoken.min(500).saturating_sub(1);
            }
            if self.silent > 5 * BREATH {
                self.spoken = 0;
            }
        }
        let sign = if self.sign { self.silent < SIGN_OFF } else { self.active >= SIGN_ON };
        (std::mem::replace(&mut self.sign, sign) != sign).then_some(sign)
    }
}

/// Logarithm of how much better `active` of `all` units fit speech (binomial, even odds) than silence (exponential).
fn likelihood(active: u32, all: u32, lambda: f64) -> f64 {
    let mut ways = 1.0f64;
    for k in 0..active.min(all - active) {
        ways *= f64::from(all - k) / f64::from(k + 1);
    }
    let speech = ways.ln() + f64::from(all) * 0.5f64.ln();
    let silence = lambda.ln() - lambda * f64::from(active);
    (speech - silence).max(LEAST_SCORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ParticipantId = ParticipantId(1);
    const B: ParticipantId = ParticipantId(2);
    const C: ParticipantId = ParticipantId(3);

    struct Room {
        detector: Detector,
        changes: Vec<(u32, Change)>,
        frame: u32,
    }

    impl Room {
        fn new() -> Self {
            let mut detector = Detector::new(ActiveSpeaker::default().into());
            for id in [A, B, C] {
                detector.join(id);
            }
            Self { detector, changes: Vec::new(), frame: 0 }
        }

        /// Lets people sound at levels (dBov) for a while; others are silent.
        fn run(&mut self, ms: u32, sounds: &[(ParticipantId, f32)]) -> &mut Self {
            for _ in 0..ms / FRAME_MS {
                for (id, level) in sounds {
                    self.detector.hear(*id, *level);
                }
                let (frame, changes) = (self.frame, &mut self.changes);
                self.detector.step(|change| changes.push((frame * FRAME_MS, change)));
                self.frame += 1;
            }
            self
        }

        /// Speaks in words: 300 ms of sound, 120 ms of breath.
        fn talk(&mut self, id: ParticipantId, words: u32) -> &mut Self {
            for _ in 0..words {
                self.run(300, &[(id, -25.0)]).run(120, &[(id, -70.0)]);
            }
            self
        }

        fn floors(&self) -> Vec<ParticipantId> {
            self.changes.iter().filter_map(|(_, change)| if let Change::Floor(id) = change { Some(*id) } else { None }).collect()
        }

        fn took_floor(&self, who: ParticipantId) -> u32 {
            self.changes.iter().find(|(_, change)| *change == Change::Floor(who)).map_or(u32::MAX, |(at, _)| *at)
        }
    }

    #[test]
    fn whoever_speaks_gets_the_floor_after_the_attack_time() {
        let mut room = Room::new();
        room.run(3000, &[(A, -25.0)]);
        assert_eq!(room.floors(), [A]);
        assert!((580..=700).contains(&room.took_floor(A)), "{}", room.took_floor(A));
    }

    #[test]
    fn the_floor_passes_when_another_goes_on_speaking() {
        let mut room = Room::new();
        room.talk(A, 10);
        let turn = room.frame * FRAME_MS;
        room.talk(B, 8);
        assert_eq!(room.floors(), [A, B]);
        let delay = room.took_floor(B) - turn;
        assert!((580..=1700).contains(&delay), "{delay} ms");
    }

    #[test]
    fn interjections_under_600_ms_do_not_switch() {
        for length in (100..=580).step_by(20) {
            for gap in [200, 900, 2500] {
                let mut room = Room::new();
                room.talk(A, 10);
                for _ in 0..5 {
                    room.run(length, &[(B, -15.0)]).run(gap, &[]).talk(A, 4);
                }
                assert_eq!(room.floors(), [A], "{length} ms, then {gap} ms of silence");
            }
        }
    }

    #[test]
    fn an_interjection_into_speech_does_not_switch_however_long() {
        let mut room = Room::new();
        room.talk(A, 10).run(3000, &[(A, -25.0), (B, -20.0)]);
        assert_eq!(room.floors(), [A]);
    }

    #[test]
    fn two_who_begin_at_once_are_no_tug_of_war() {
        let mut room = Room::new();
        room.run(30_000, &[(B, -25.0), (A, -25.0), (C, -25.0)]);
        assert_eq!(room.floors(), [A]);
    }

    #[test]
    fn a_holder_stays_for_the_hold_time() {
        let mut room = Room::new();
        room.run(700, &[(A, -25.0)]).run(4000, &[(B, -25.0)]);
        assert!(room.took_floor(B) - room.took_floor(A) >= 2000);
    }

    #[test]
    fn sounds_below_the_least_level_never_count() {
        let mut room = Room::new();
        room.run(10_000, &[(A, -51.0)]);
        assert!(room.changes.is_empty());
    }

    #[test]
    fn a_fan_is_learnt_as_noise_and_speech_above_it_still_counts() {
        let mut room = Room::new();
        room.run(40_000, &[(A, -48.0)]);
        let fan = room.changes.len();
        room.run(10_000, &[(A, -48.0)]);
        assert_eq!(room.changes.len(), fan);
        assert!(
            room.changes.contains(&(0, Change::Floor(A))) || room.changes.last().is_some_and(|(_, c)| *c == Change::Speaking(A, false))
        );
        room.run(2000, &[(B, -25.0)]);
        assert_eq!(room.detector.holder(), Some(B));
    }

    #[test]
    fn rules_say_how_long_one_must_speak_may_stay_and_how_loud_one_must_be() {
        let rule = |attack_ms, hold_ms, min_level_dbov| Rule { attack_ms, hold_ms, min_level_dbov };
        for (rule, level, floors, attack) in [
            (rule(200, 2000, -50), -25.0, vec![A], 180..=260),
            (rule(3000, 0, -50), -25.0, vec![], 0..=0),
            (rule(1500, 0, -50), -25.0, vec![A], 1480..=1560),
            (rule(600, 2000, -20), -25.0, vec![], 0..=0),
        ] {
            let mut room = Room::new();
            room.detector = room.detector.by(rule);
            room.run(2500, &[(A, level)]);
            assert_eq!(room.floors(), floors, "{rule:?}");
            assert!(floors.is_empty() || attack.contains(&room.took_floor(A)), "{rule:?}: {}", room.took_floor(A));
        }
        for (hold_ms, least) in [(0, 500), (4000, 4000)] {
            let mut room = Room::new();
            room.detector = room.detector.by(rule(600, hold_ms, -50));
            room.run(1000, &[(A, -25.0)]).run(6000, &[(B, -25.0)]);
            let held = room.took_floor(B) - room.took_floor(A);
            assert!((least..least + 1200).contains(&held), "held for {held} of {hold_ms} ms");
        }
    }

    #[test]
    fn a_changed_rule_takes_the_floor_from_nobody() {
        let mut room = Room::new();
        room.talk(A, 5);
        room.detector = room.detector.by(Rule { attack_ms: 100, hold_ms: 500, min_level_dbov: -60 });
        assert_eq!(room.detector.holder(), Some(A));
        room.talk(A, 5);
        assert_eq!(room.floors(), [A]);
    }

    #[test]
    fn the_floor_is_free_when_its_holder_leaves() {
        let mut room = Room::new();
        room.talk(A, 5);
        room.detector.leave(A);
        assert_eq!(room.detector.holder(), None);
        room.run(1000, &[(B, -25.0)]);
        assert_eq!(room.detector.holder(), Some(B));
    }

    #[test]
    fn the_speaking_sign_bridges_breaths_and_goes_out_after_600_ms() {
        let mut room = Room::new();
        room.talk(A, 10).run(2000, &[]);
        let signs: Vec<_> = room.changes.iter().filter(|(_, change)| matches!(change, Change::Speaking(..))).collect();
        assert_eq!(signs.len(), 2, "{signs:?}");
        assert_eq!(signs[0].1, Change::Speaking(A, true));
        assert!(signs[0].0 <= 100);
        assert!((4080 + 580 - 120..=4200 + 600).contains(&signs[1].0), "{signs:?}");
    }
}
