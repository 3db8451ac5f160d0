//! When within its period a canvas ticks: where pictures have just come, so that they wait as little as can be.
//!
//! Cameras take pictures evenly, and those of one come at the same place in the period of a canvas of their rate, wherever that
//! is. A tick right after it shows them at once, one right before it a whole period later. Where several people are seen the
//! best place is a compromise; who speaks counts more than the others.
//! Flow: `(place of a picture in the period, weight) → histogram that forgets → mean wait for each place → the least, where it is worth it`.
//! Pure; a few hundred bytes, and nothing is allocated.

use std::time::Duration;

/// Parts of a period: a millisecond at 30 fps.
const BINS: usize = 32;
/// What passes until a picture that is there is sure to be seen.
const MARGIN: Duration = Duration::from_millis(2);
/// Share that is forgotten with every tick: what was four seconds ago counts a third.
const FORGOTTEN: f32 = 1.0 / 128.0;
/// Ticks between two looks.
const LOOK: u32 = 32;
/// A change is made for this much of a period less to wait on average.
const WORTH: f32 = 0.08;

/// The place of one canvas's ticks.
#[derive(Debug)]
pub struct Phase {
    period: Duration,
    /// Weight of the pictures that came in each part of the period.
    bins: [f32; BINS],
    /// The part at whose begin it ticks.
    at: usize,
    ticks: u32,
}

impl Phase {
    pub fn new(period: Duration) -> Self {
        Self { period: period.max(Duration::from_micros(BINS as u64)), bins: [0.0; BINS], at: 0, ticks: 0 }
    }

    /// A picture that is shown for the first time was there `after` the nominal time of a tick, of any: places are the same in all periods.
    pub fn note(&mut self, after: Duration, weight: f32) {
        let place = (after + MARGIN).as_nanos() % self.period.as_nanos();
        let bin = (place * BINS as u128 / self.period.as_nanos()) as usize;
        self.bins[bin.min(BINS - 1)] += weight;
    }

    /// Once per tick: how long after their nominal times ticks shall be from now on, less than a period. `None`: as before.
    pub fn tick(&mut self) -> Option<Duration> {
        self.bins.iter_mut().for_each(|weight| *weight *= 1.0 - FORGOTTEN);
        self.ticks += 1;
        if self.ticks < LOOK {
            return None;
        }
        self.ticks = 0;
        let best = (0..BINS).min_by(|a, b| self.waits(*a).total_cmp(&self.waits(*b)))?;
        let worth = self.bins.iter().sum::<f32>() * BINS as f32 * WORTH;
        if self.waits(self.at) - self.waits(best) <= worth {
            return None;
        }
        self.at = best;
        Some(self.period * best as u32 / BINS as u32)
    }

    /// How long all of the pictures would wait together for a tick at the begin of part `at`.
    fn waits(&self, at: usize) -> f32 {
        let wait = |bin: usize| (at + BINS - 1 - bin) % BINS;
        self.bins.iter().enumerate().map(|(bin, weight)| weight * wait(bin) as f32).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_nanos(33_333_333);
    const MS: Duration = Duration::from_millis(1);

    /// Ten seconds in which the pictures of each come `(after, weight)`. The last word on when to tick.
    fn run(phase: &mut Phase, pictures: impl Fn(u32) -> Vec<(Duration, f32)>) -> Option<Duration> {
        (0..300)
            .filter_map(|n| {
                pictures(n).into_iter().for_each(|(after, weight)| phase.note(after, weight));
                phase.tick()
            })
            .last()
    }

    #[test]
    fn a_canvas_of_one_ticks_right_after_the_picture() {
        for place in 0..33 {
            let mut phase = Phase::new(PERIOD);
            let after = MS * place;
            let at = run(&mut phase, |_| vec![(after, 1.0)]).unwrap_or_default();
            let wait = (at + PERIOD - after).as_micros() % PERIOD.as_micros();
            assert!((2_000..6_000).contains(&wait), "at {place} ms: {wait} µs");
        }
    }

    #[test]
    fn whom_more_is_seen_of_waits_least_and_otherwise_the_sum_counts() {
        let at = |speaker| run(&mut Phase::new(PERIOD), |_| vec![(MS * 5, speaker), (MS * 20, 1.0), (MS * 22, 1.0)]).unwrap_or_default();
        assert!((MS * 24..MS * 28).contains(&at(1.0)), "{:?}", at(1.0));
        assert!((MS * 7..MS * 11).contains(&at(4.0)), "{:?}", at(4.0));
    }

    #[test]
    fn pictures_that_come_now_here_and_now_there_move_nothing() {
        let mut phase = Phase::new(PERIOD);
        assert_eq!(run(&mut phase, |n| vec![(MS * (n * 7 % 33), 1.0)]), None);
    }

    #[test]
    fn unsteady_pictures_are_waited_for() {
        let at = run(&mut Phase::new(PERIOD), |n| vec![(MS * 10 + MS * (n * 5 % 8), 1.0)]).unwrap_or_default();
        assert!((MS * 19..MS * 23).contains(&at), "{at:?}");
    }

    #[test]
    fn a_sender_whose_clock_drifts_is_followed_and_not_at_every_look() {
        let mut phase = Phase::new(PERIOD);
        let (mut at, mut changes, mut waits) = (Duration::ZERO, 0, Duration::ZERO);
        // 200 ppm: once around in 167 seconds.
        let ticks = 30 * 600;
        for n in 0..ticks {
            let after = Duration::from_nanos(u64::from(n) * 6_667 % PERIOD.as_nanos() as u64);
            phase.note(after, 1.0);
            if let Some(to) = phase.tick() {
                (at, changes) = (to, changes + 1);
            }
            waits += Duration::from_nanos(((at + PERIOD - after).as_nanos() % PERIOD.as_nanos()) as u64);
        }
        assert!(changes < 150 && waits / ticks < MS * 7, "{changes} changes, {:?} to wait", waits / ticks);
    }
}
