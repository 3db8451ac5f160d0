//! When a link that is thought to be thin is filled up with padding, up to what it is thought to carry.
//!
//! What an estimator believes of a link grows with what gets through (to half as much again; to a fifth more after losses), and an encoder that is
//! content with less would hold it down for ever. So for a moment after more has been asked for, the rest is filled. Where what is sent uses the
//! link up nothing would be gained, and nothing is sent beside it. Pure.

use std::time::{Duration, Instant};

/// Links that are thought to carry more are found out about by probes alone.
const THIN_BPS: u32 = 500_000;
const FILL: Duration = Duration::from_millis(700);
/// Of what a link is thought to carry, the share in use from which on padding adds next to nothing.
const IN_USE: f32 = 0.9;

#[derive(Debug, Default)]
pub struct Fill {
    /// What the link shall be found to carry, in bits per second.
    pub aim: u32,
    until: Option<Instant>,
}

impl Fill {
    /// The link shall be found to carry so much from now on. `estimate_bps`: what it is thought to carry, where that is known; `sent_bps` are sent.
    pub fn aim(&mut self, bps: u32, estimate_bps: Option<u32>, sent_bps: u32, now: Instant) {
        let gains = |estimate: u32| estimate < THIN_BPS && (sent_bps as f32) < estimate as f32 * IN_USE;
        let begins = bps > self.aim && estimate_bps.is_some_and(gains);
        self.until = begins.then_some(now + FILL);
        self.aim = bps;
    }

    pub fn is_on(&self) -> bool {
        self.until.is_some()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// True: it ends now.
    pub fn ends(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_link_is_filled_for_a_moment_after_more_has_been_asked_for() {
        let now = crate::runtime::clock::now();
        let mut fill = Fill::default();
        let known = Some(90_000);
        for (what, bps, estimate, sent, fills) in [
            ("nothing is known of it", 60_000, None, 0, false),
            ("it is not thin", 1_500_000, Some(900_000), 0, false),
            ("less is asked for", 60_000, known, 0, false),
            ("it is used up", 1_400_000, known, 82_000, false),
            ("there is room", 1_500_000, known, 60_000, true),
        ] {
            fill.aim(bps, estimate, sent, now);
            assert_eq!(fill.is_on(), fills, "{what}");
        }
        assert!(!fill.ends(now + Duration::from_millis(699)) && fill.ends(now + Duration::from_millis(700)));
        assert!(!fill.is_on() && fill.deadline().is_none());
    }
}
