//! How much sooner than its nominal time a view's tick comes: when the pictures are there that it shows. They wait no longer than they must, and
//! none is shown twice or never for coming now before and now after the tick. What the tick is called stays, so sound and picture stay together.
//!
//! When pictures come is a point on a circle, once around which is one tick: its mean has a direction, and a length that says how steadily they come
//! (directional statistics; Mardia and Jupp, 2000). Pure.

use std::f64::consts::TAU;
use std::time::Duration;

/// What one picture weighs against what is known of a source.
const NEWS: f64 = 1.0 / 32.0;
/// Pictures before a source counts.
const ENOUGH: u32 = 20;
/// The mean's length where a source is steady: they come within about a seventh of a tick around it. Others wait as long wherever the tick is.
const STEADY: f64 = 0.7;
/// After the mean: so many deviations, and this.
const DEVIATIONS: f64 = 2.0;
const SPARE: Duration = Duration::from_millis(1);
/// The mean wait becomes shorter by that before the tick goes elsewhere.
const WORTH: Duration = Duration::from_millis(3);
/// How far a tick may go beyond a whole period before it comes back to its nominal time: who jitters around that is followed without a walk all the way
/// to and fro.
const BEYOND: f64 = 0.25;
/// Slower ticks stay where they are: what comes so much sooner would be called by a time far off.
const LONGEST: Duration = Duration::from_millis(50);
/// A tick this near to where a source's pictures have come follows it; nearer than the second, it stays.
const NEAR: f64 = 1.0 / 12.0;
const THERE: f64 = 1.0 / 100.0;

/// When the pictures of one source come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrivals {
    mean: (f64, f64),
    seen: u32,
}

impl Arrivals {
    /// A picture could be shown from then on: `turn` ticks after an even time, of which the fraction counts.
    pub fn note(&mut self, turn: f64) {
        self.seen = self.seen.saturating_add(1);
        let news = (1.0 / f64::from(self.seen)).max(NEWS);
        let (sin, cos) = (turn.fract() * TAU).sin_cos();
        self.mean.0 += (cos - self.mean.0) * news;
        self.mean.1 += (sin - self.mean.1) * news;
    }

    /// From when on all but few are there, as a part of `period`; `None`: that cannot be said.
    fn there(&self, period: Duration) -> Option<f64> {
        let length = self.mean.0.hypot(self.mean.1);
        if self.seen < ENOUGH || length < STEADY {
            return None;
        }
        let deviation = (-2.0 * length.min(1.0).ln()).max(0.0).sqrt() / TAU;
        let mean = self.mean.1.atan2(self.mean.0) / TAU;
        Some((mean + deviation * DEVIATIONS + SPARE.div_duration_f64(period)).rem_euclid(1.0))
    }
}

/// How much sooner than nominally ticks of `period` should come, where they come so much `sooner` now: up to [`BEYOND`] more than a period. `None`: as they do.
/// `sources` have a weight each.
pub fn best<'a>(sources: impl Iterator<Item = (f64, &'a Arrivals)> + Clone, period: Duration, sooner: Duration) -> Option<Duration> {
    let followed = |_: &(f64, &Arrivals)| period <= LONGEST;
    let there = sources.filter(followed).filter_map(|(weight, arrivals)| Some((weight, arrivals.there(period)?)));
    let now = -sooner.div_duration_f64(period);
    let wait = |at: f64| {
        let waits = there.clone().map(|(weight, from)| (weight * (at - from).rem_euclid(1.0), weight));
        let (sum, weights) = waits.fold((0.0, 0.0), |(sum, all), (wait, weight)| (sum + wait, all + weight));
        sum / weights
    };
    let places = there.clone().map(|(_, from)| from);
    let shortest = places.clone().min_by(|a, b| wait(*a).total_cmp(&wait(*b)))?;
    let here = places.min_by(|a, b| apart(now, *a).total_cmp(&apart(now, *b))).filter(|place| apart(now, *place) < NEAR);
    let gains = wait(here.unwrap_or(now)) - wait(shortest) > WORTH.div_duration_f64(period);
    let place = if gains { shortest } else { here? };
    if apart(now, place) <= THERE {
        return None;
    }
    let once = (-place).rem_euclid(1.0);
    // The nearer one of the two that come to the same.
    let further = once <= BEYOND && once + 0.5 < -now;
    Some(period.mul_f64(if further { once + 1.0 } else { once }))
}

/// Of two places on the circle, the shorter way.
fn apart(a: f64, b: f64) -> f64 {
    ((b - a + 0.5).rem_euclid(1.0) - 0.5).abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERIOD: Duration = Duration::from_nanos(33_333_333);

    fn source(ms: f64, jitter_ms: f64) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for n in 0..100 {
            arrivals.note(f64::from(n) + (ms + jitter_ms * f64::from(n % 5 - 2)) / 33.333);
        }
        arrivals
    }

    /// In milliseconds.
    fn go(sources: &[(f64, Arrivals)], sooner_ms: f64) -> Option<f64> {
        let sources = sources.iter().map(|(weight, arrivals)| (*weight, arrivals));
        best(sources, PERIOD, Duration::from_secs_f64(sooner_ms / 1e3)).map(|sooner| sooner.as_secs_f64() * 1e3)
    }

    #[track_caller]
    fn near(found: Option<f64>, ms: f64) {
        assert!(found.is_some_and(|found| (found - ms).abs() < 0.1), "{found:?} in place of {ms}");
    }

    #[test]
    fn the_tick_comes_when_the_pictures_are_there() {
        near(go(&[(1.0, source(10.0, 0.0))], 0.0), 33.333 - 11.0);
        near(go(&[(1.0, source(33.0, 0.0))], 15.0), 33.333 - 0.667);
        assert_eq!(go(&[(1.0, source(10.0, 0.0))], 22.3), None, "it does");
        let unsteady = go(&[(1.0, source(10.0, 2.0))], 5.0);
        assert!(unsteady.is_some_and(|found| (16.3..17.3).contains(&found)), "after two deviations of 2.8 ms: {unsteady:?}");
    }

    #[test]
    fn it_follows_a_source_whose_clock_is_another_in_either_direction() {
        for later in [-2.0, 2.0] {
            near(go(&[(1.0, source(10.0 + later, 0.0))], 22.3), 22.333 - later);
        }
    }

    #[test]
    fn who_jitters_around_the_nominal_time_is_followed_without_a_walk_to_and_fro() {
        let (mut sooner, mut walks) = (0.5, 0);
        for n in 0..300 {
            let now = [-3.0, 2.0, 0.5, -1.5, 3.0][n % 5];
            if let Some(found) = go(&[(1.0, source(now, 0.0))], sooner) {
                walks += u32::from((found - sooner).abs() > 16.7);
                sooner = found;
            }
        }
        assert!(walks <= 1, "{walks}");
    }

    #[test]
    fn slow_ticks_stay_where_they_are() {
        let slow = Duration::from_millis(200);
        let mut arrivals = Arrivals::default();
        (0..100).for_each(|n| arrivals.note(f64::from(n) + 0.3));
        assert_eq!(best([(1.0, &arrivals)].into_iter(), slow, Duration::ZERO), None);
    }

    #[test]
    fn of_several_it_finds_where_they_wait_least_and_goes_there_only_where_that_is_worth_it() {
        let three = [source(5.0, 0.0), source(7.0, 0.0), source(25.0, 0.0)].map(|arrivals| (1.0, arrivals));
        near(go(&three, 13.0), 33.333 - 8.0);
        near(go(&three, 7.0), 33.333 - 8.0);
        let even = [source(0.0, 0.0), source(16.0, 0.0)].map(|arrivals| (1.0, arrivals));
        assert_eq!(go(&even, 32.3), None, "the other place is no better");
        let speaks = [(1.0, source(0.0, 0.0)), (3.0, source(12.0, 0.0))];
        near(go(&speaks, 32.3), 33.333 - 13.0);
    }

    #[test]
    fn nobody_is_followed_who_comes_whenever_or_who_is_not_known() {
        let mut turns = Arrivals::default();
        (0..100).for_each(|n| turns.note(f64::from(n) * 1.2));
        let mut new = Arrivals::default();
        new.note(0.3);
        assert_eq!((go(&[(1.0, turns)], 0.0), go(&[(1.0, new)], 0.0), go(&[], 5.0)), (None, None, None));
        near(go(&[(1.0, turns), (1.0, source(10.0, 0.0))], 0.0), 22.333);
    }

    proptest! {
        #[test]
        fn the_tick_comes_within_a_period_and_stays_once_it_is_there(places in proptest::collection::vec(0.0..33.3f64, 1..6), sooner in 0.0..41.6f64) {
            let sources: Vec<_> = places.iter().map(|place| (1.0, source(*place, 0.0))).collect();
            if let Some(found) = go(&sources, sooner) {
                prop_assert!((0.0..=33.334 * (1.0 + BEYOND)).contains(&found));
                prop_assert_eq!(go(&sources, found), None);
                // Somebody's pictures have just come.
                let just = |place: &f64| { let wait = (-found - place).rem_euclid(33.333); !(0.9..32.4).contains(&wait) || wait < 1.1 };
                prop_assert!(places.iter().any(just));
            }
        }
    }
}
