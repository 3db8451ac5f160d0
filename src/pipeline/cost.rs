//! What one sender's pictures may cost: a decode that takes half a second, or four seconds of work within five, is
//! more than any picture that is allowed through needs. Work is the processor's time: a picture that waits for a core, for the machine has too much to do, is not its
//! sender's fault. Knows no clock: it is told.

use std::time::{Duration, Instant};

/// The most work for one picture.
const ONE: Duration = Duration::from_millis(500);
/// The most work within [`WINDOW`].
const MOST: Duration = Duration::from_secs(4);
const WINDOW: Duration = Duration::from_secs(5);
/// How long a sender rests who went over it: longer each time, unless [`FORGIVEN`] lies between.
const RESTS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];
const FORGIVEN: Duration = Duration::from_secs(300);

/// The work for one sender's pictures.
#[derive(Debug, Default)]
pub struct Cost {
    since: Option<Instant>,
    spent: Duration,
    over: usize,
    last: Option<Instant>,
}

impl Cost {
    /// One picture has cost `work`, of the processor, and was done at `now`. `Some`: too much, and for how long the sender rests.
    pub fn spent(&mut self, work: Duration, now: Instant) -> Option<Duration> {
        if self.since.is_none_or(|since| now >= since + WINDOW) {
            (self.since, self.spent) = (Some(now), Duration::ZERO);
        }
        self.spent += work;
        if work < ONE && self.spent < MOST {
            return None;
        }
        if self.last.is_some_and(|last| now >= last + FORGIVEN) {
            self.over = 0;
        }
        let rest = RESTS[self.over.min(RESTS.len() - 1)];
        *self = Self { since: None, spent: Duration::ZERO, over: self.over + 1, last: Some(now) };
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Pictures every 33 ms, each of which costs `work`, for `time`. When it was too much, and for how long it rests.
    fn run(cost: &mut Cost, start: Instant, work: Duration, time: Duration) -> Option<(Duration, Duration)> {
        (0..time.as_millis() as u64 / 33).find_map(|n| Some((ms(n * 33), cost.spent(work, start + ms(n * 33))?)))
    }

    #[test]
    fn ordinary_pictures_cost_less_for_ever() {
        let start = crate::runtime::clock::now();
        assert_eq!(run(&mut Cost::default(), start, ms(20), ms(3_600_000)), None);
    }

    #[test]
    fn a_sender_who_keeps_a_core_busy_rests_longer_each_time() {
        let start = crate::runtime::clock::now();
        let mut cost = Cost::default();
        for (n, rest) in [10, 30, 60, 60].into_iter().enumerate() {
            let (after, rests) = run(&mut cost, start + ms(n as u64 * 60_000), ms(30), ms(10_000)).unwrap();
            assert!(after <= ms(5_000), "{after:?}");
            assert_eq!(rests, ms(rest * 1000));
        }
        assert_eq!(run(&mut cost, start + ms(900_000), ms(30), ms(10_000)).unwrap().1, ms(10_000), "forgiven");
    }

    #[test]
    fn one_picture_of_half_a_second_is_enough() {
        let start = crate::runtime::clock::now();
        assert_eq!(Cost::default().spent(ms(499), start), None);
        assert_eq!(Cost::default().spent(ms(500), start), Some(ms(10_000)));
    }
}
