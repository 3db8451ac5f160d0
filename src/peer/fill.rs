//! When a link that is thought to be thin is filled up with padding, up to what it is thought to carry.
//!
//! What an estimator believes of a link grows with what gets through (to half as much again; to a fifth more after losses), and an encoder that is
//! content with less would hold it down for ever. So where more is asked for, the rest is filled for a moment, and only then it is probed: both
//! at once would hold the sound up. As long as that helps it is done again. Where what is sent uses the link up nothing would be gained, and
//! nothing is sent beside it. Pure.

use std::ops::Range;
use std::time::{Duration, Instant};

/// Links that are thought to carry more are found out about by probes alone; on those that carry less, padding would be felt by the voice.
const THIN_BPS: Range<u32> = 80_000..1_200_000;
const FILL: Duration = Duration::from_millis(600);
/// How long the answer to a probe is waited for.
const PROBE: Duration = Duration::from_millis(500);
/// How much of it is filled; and of what it is thought to carry, the share in use from which on that adds next to nothing.
const FULL: f32 = 0.95;
const IN_USE: f32 = 0.9;
/// An estimate that has grown by this shows that it helps.
const GAIN: f32 = 1.1;

#[derive(Debug, Default)]
pub struct Fill {
    /// What is to be sent at least, and what the link shall be found to carry, in bits per second.
    least: u32,
    aim: u32,
    step: Option<Step>,
}

#[derive(Debug)]
struct Step {
    until: Instant,
    /// What the link was thought to carry when it began.
    from: u32,
    probes: bool,
}

impl Fill {
    /// So much is to be sent at least, and the link shall be found to carry so much, from now on. `estimate`: what it is thought to carry, where that is
    /// known; `sent_bps` are sent.
    pub fn aim(&mut self, bps: Range<u32>, estimate: Option<u32>, sent_bps: u32, now: Instant) {
        self.least = bps.start;
        let before = std::mem::replace(&mut self.aim, bps.end);
        if bps.end == before {
            return;
        }
        let rises = bps.end > before;
        let unused = |estimate: &u32| (sent_bps as f32) < *estimate as f32 * IN_USE;
        self.step = estimate.filter(|_| rises).filter(unused).and_then(|estimate| self.fill(estimate, now));
    }

    fn fill(&self, estimate: u32, now: Instant) -> Option<Step> {
        let gains = THIN_BPS.contains(&estimate) && estimate < self.aim;
        gains.then_some(Step { until: now + FILL, from: estimate, probes: false })
    }

    /// What is sent at least, with padding, and what is probed for, in bits per second.
    pub fn bounds(&self) -> (u32, u32) {
        let level = self.step.as_ref().filter(|step| !step.probes).map(|step| (step.from as f32 * FULL) as u32);
        let level = level.map(|level| level.max(self.least));
        level.map_or((self.least, self.aim), |level| (level, level))
    }

    /// More is sent than there is, or soon will be.
    pub fn fills(&self) -> bool {
        self.least > 0 || self.step.is_some()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.step.as_ref().map(|step| step.until)
    }

    /// True: the bounds are others now.
    pub fn handle_timeout(&mut self, estimate: Option<u32>, now: Instant) -> bool {
        let Some(step) = self.step.take_if(|step| now >= step.until) else { return false };
        let helps = |estimate: &u32| *estimate as f32 >= step.from as f32 * GAIN;
        self.step = if step.probes {
            estimate.filter(helps).and_then(|estimate| self.fill(estimate, now))
        } else {
            Some(Step { until: now + PROBE, probes: true, ..step })
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Option<u32> = Some(100_000);

    #[test]
    fn a_thin_link_is_filled_for_a_moment_before_it_is_probed_for_more_as_long_as_that_helps() {
        let mut now = crate::runtime::clock::now();
        let mut fill = Fill::default();
        fill.aim(0..1_500_000, KNOWN, 60_000, now);
        assert_eq!(fill.bounds(), (95_000, 95_000));
        assert!(!fill.handle_timeout(KNOWN, now + Duration::from_millis(599)));
        now += FILL;
        assert!(fill.handle_timeout(KNOWN, now));
        assert_eq!(fill.bounds(), (0, 1_500_000), "a probe");
        now += PROBE;
        assert!(fill.handle_timeout(Some(200_000), now));
        assert_eq!(fill.bounds(), (190_000, 190_000), "it has helped");
        now += FILL + PROBE;
        assert!(fill.handle_timeout(Some(200_000), now) && fill.handle_timeout(Some(210_000), now + PROBE));
        assert_eq!((fill.bounds(), fill.deadline()), ((0, 1_500_000), None), "it has not");
    }

    #[test]
    fn what_a_better_rung_needs_is_sent_before_it_is_taken_and_disturbs_no_step() {
        let now = crate::runtime::clock::now();
        let mut fill = Fill::default();
        fill.aim(0..1_500_000, KNOWN, 60_000, now);
        fill.aim(270_000..1_500_000, Some(300_000), 60_000, now);
        assert_eq!(fill.bounds(), (270_000, 270_000));
        assert!(fill.handle_timeout(Some(300_000), now + FILL));
        assert_eq!(fill.bounds(), (270_000, 1_500_000));
        fill.aim(0..1_500_000, Some(300_000), 270_000, now + FILL);
        assert_eq!((fill.bounds(), fill.fills()), ((0, 1_500_000), true), "a probe");
    }

    #[test]
    fn nothing_is_filled_up_where_that_gains_nothing() {
        let now = crate::runtime::clock::now();
        let mut fill = Fill::default();
        for (what, bps, estimate, sent) in [
            ("nothing is known of it", 600_000, None, 0),
            ("it is not thin", 1_400_000, Some(1_300_000), 0),
            ("it carries a voice and no more", 1_500_000, Some(70_000), 0),
            ("less is asked for", 600_000, KNOWN, 0),
            ("it is used up", 1_400_000, KNOWN, 91_000),
        ] {
            fill.aim(0..bps, estimate, sent, now);
            assert_eq!((fill.bounds(), fill.deadline()), ((0, bps), None), "{what}");
        }
    }
}
