//! When a link that is thought to be thin is filled up with padding, up to what it is thought to carry.
//!
//! What an estimator believes of a link grows with what gets through (to half as much again; to a fifth more after losses), and an encoder that is
//! content with less would hold it down for ever. So where more is asked for, the rest is filled for a moment, and only then it is probed: both
//! at once would hold the sound up. Where what is sent uses the link up nothing would be gained, and nothing is sent beside it. Pure.

use std::ops::Range;
use std::time::{Duration, Instant};

/// Links that are thought to carry more are found out about by probes alone; on those that carry less, padding would be felt by the voice.
const THIN_BPS: Range<u32> = 80_000..500_000;
const FILL: Duration = Duration::from_millis(600);
/// How much of it is filled; and of what it is thought to carry, the share in use from which on that adds next to nothing.
const FULL: f32 = 0.95;
const IN_USE: f32 = 0.9;

#[derive(Debug, Default)]
pub struct Fill {
    /// What the link shall be found to carry, in bits per second.
    aim: u32,
    /// Until when, and up to what.
    filling: Option<(Instant, u32)>,
}

impl Fill {
    /// The link shall be found to carry so much from now on. `estimate_bps`: what it is thought to carry, where that is known; `sent_bps` are sent.
    pub fn aim(&mut self, bps: u32, estimate_bps: Option<u32>, sent_bps: u32, now: Instant) {
        let gains = |estimate: &u32| THIN_BPS.contains(estimate) && (sent_bps as f32) < *estimate as f32 * IN_USE;
        let begins = estimate_bps.filter(|estimate| bps > self.aim.max(*estimate)).filter(gains);
        self.filling = begins.map(|estimate| (now + FILL, (estimate as f32 * FULL) as u32));
        self.aim = bps;
    }

    /// What is sent at least, with padding, and what is probed for, in bits per second.
    pub fn bounds(&self) -> (u32, u32) {
        self.filling.map_or((0, self.aim), |(_, bps)| (bps, bps))
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.filling.map(|(until, _)| until)
    }

    /// True: it ends now.
    pub fn ends(&mut self, now: Instant) -> bool {
        self.filling.take_if(|(until, _)| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_link_is_filled_for_a_moment_before_it_is_probed_for_more() {
        let now = crate::runtime::clock::now();
        let mut fill = Fill::default();
        let known = Some(100_000);
        for (what, bps, estimate, sent) in [
            ("nothing is known of it", 600_000, None, 0),
            ("it is not thin", 1_100_000, Some(900_000), 0),
            ("it carries a voice and no more", 1_200_000, Some(70_000), 0),
            ("less is asked for", 600_000, known, 0),
            ("it is used up", 1_400_000, known, 91_000),
        ] {
            fill.aim(bps, estimate, sent, now);
            assert_eq!((fill.bounds(), fill.deadline()), ((0, bps), None), "{what}");
        }
        fill.aim(1_500_000, known, 60_000, now);
        assert_eq!(fill.bounds(), (95_000, 95_000), "there is room");
        assert!(!fill.ends(now + Duration::from_millis(599)) && fill.ends(now + FILL));
        assert_eq!((fill.bounds(), fill.deadline()), ((0, 1_500_000), None));
    }
}
