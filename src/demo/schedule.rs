//! Who talks when: turns of 3–6 s with short pauses or overlaps, and an interjection at times. The same
//! seed gives every bot the same schedule, so they take turns without a word between them.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::VecDeque, time::Duration};

/// A stretch of talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub person: usize,
    pub begin: Duration,
    pub end: Duration,
}

/// The turns of a conversation without end, in order of time.
#[derive(Debug)]
pub struct Schedule {
    rng: StdRng,
    people: usize,
    /// End of the last main turn.
    planned: Duration,
    last: usize,
    turns: VecDeque<Turn>,
}

impl Schedule {
    pub fn new(seed: u64, people: usize) -> Self {
        let first = Duration::from_millis(600);
        Self { rng: StdRng::seed_from_u64(seed), people: people.max(1), planned: first, last: 0, turns: VecDeque::new() }
    }

    /// Whether `person` talks at `at`. `at` must not go back by more than a turn.
    pub fn is_speaking(&mut self, person: usize, at: Duration) -> bool {
        while self.planned <= at + Duration::from_secs(10) {
            self.plan();
        }
        while self.turns.front().is_some_and(|turn| turn.end + Duration::from_secs(10) < at) {
            self.turns.pop_front();
        }
        self.turns.iter().any(|turn| turn.person == person && turn.begin <= at && at < turn.end)
    }

    fn plan(&mut self) {
        let millis = |rng: &mut StdRng, from: u64, to: u64| Duration::from_millis(rng.random_range(from..to));
        let length = millis(&mut self.rng, 3_000, 6_000);
        let person = match self.people {
            1 => 0,
            people => (self.last + self.rng.random_range(1..people)) % people,
        };
        // Up to 0.2 s before the last turn's end, up to 0.5 s after it.
        let begin = (self.planned + millis(&mut self.rng, 0, 700)).saturating_sub(Duration::from_millis(200));
        self.turns.push_back(Turn { person, begin, end: begin + length });
        if self.people > 1 && self.rng.random_bool(0.3) {
            let other = (person + self.rng.random_range(1..self.people)) % self.people;
            let begin = begin + length / 2 + millis(&mut self.rng, 0, 800);
            let end = begin + millis(&mut self.rng, 280, 520);
            self.turns.push_back(Turn { person: other, begin, end });
        }
        self.last = person;
        self.planned = begin + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(seed: u64, people: usize) -> Vec<Vec<bool>> {
        let mut schedule = Schedule::new(seed, people);
        (0..3_000).map(|n| (0..people).map(|p| schedule.is_speaking(p, Duration::from_millis(20 * n))).collect()).collect()
    }

    #[test]
    fn the_same_seed_gives_everybody_the_same_schedule() {
        assert_eq!(minute(5, 3), minute(5, 3));
        assert_ne!(minute(5, 3), minute(6, 3));
        // A bot that asks for itself alone sees the same.
        let mut alone = Schedule::new(5, 3);
        let mine: Vec<bool> = (0..3_000).map(|n| alone.is_speaking(1, Duration::from_millis(20 * n))).collect();
        assert_eq!(mine, minute(5, 3).iter().map(|all| all[1]).collect::<Vec<bool>>());
    }

    #[test]
    fn everybody_has_a_say_and_there_is_hardly_ever_silence_or_a_quarrel() {
        let minute = minute(11, 3);
        for person in 0..3 {
            assert!(minute.iter().filter(|all| all[person]).count() > 300, "person {person}");
        }
        let talking = |n: usize| minute.iter().filter(|all| all.iter().filter(|s| **s).count() == n).count();
        assert!(talking(0) < 300, "{} of 3000 silent", talking(0));
        assert!(talking(2) < 300 && talking(3) == 0);
        assert!(talking(2) > 0, "somebody interjects");
    }

    #[test]
    fn one_person_alone_talks_with_pauses() {
        let minute = minute(1, 1);
        let talking = minute.iter().filter(|all| all[0]).count();
        assert!((2_000..3_000).contains(&talking));
    }
}
