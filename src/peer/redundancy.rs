//! Whether the mix is sent redundantly (RFC 2198): each packet carries the one before it once more. It mends single losses for twice the
//! bits, so only whoever loses packets gets it, and only on a link that is not thin: there it would cost the picture, and what is lost is
//! rebuilt by the codec's own redundancy. Pure.

use std::time::{Duration, Instant};

/// Losses from which on it is worth its bits, and from which on it is not.
const WORTH: f32 = 0.03;
const WORTHLESS: f32 = 0.01;
/// How long losses must have been few.
const CALM: Duration = Duration::from_secs(10);
/// What a link carries at least, in bits per second.
const LEAST_BPS: u32 = 300_000;

#[derive(Debug, Default)]
pub struct Redundancy {
    on: bool,
    /// Since when there has been hardly a loss.
    calm: Option<Instant>,
}

impl Redundancy {
    /// The receiver reports this loss, 0–1, on a link that carries so much, as far as is known. True: it begins or ends now.
    pub fn report(&mut self, loss: f32, link_bps: Option<u32>, now: Instant) -> bool {
        let fits = link_bps.is_none_or(|bps| bps >= LEAST_BPS);
        if loss >= WORTHLESS {
            self.calm = None;
        }
        let calm = *self.calm.get_or_insert(now);
        let on = fits && (loss >= WORTH || (self.on && now < calm + CALM));
        std::mem::replace(&mut self.on, on) != on
    }

    pub fn is_on(&self) -> bool {
        self.on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redundancy_comes_with_losses_at_once_and_goes_after_ten_calm_seconds() {
        let start = crate::runtime::clock::now();
        let mut redundancy = Redundancy::default();
        let mut changes = Vec::new();
        for second in 0..60 {
            let loss = match second {
                5 | 20 => 0.05,
                6..20 => 0.02,
                _ => 0.0,
            };
            if redundancy.report(loss, Some(1_000_000), start + Duration::from_secs(second)) {
                changes.push((second, redundancy.is_on()));
            }
        }
        assert_eq!(changes, [(5, true), (30, false)]);
    }

    #[test]
    fn a_thin_link_is_not_filled_with_repetitions() {
        let now = crate::runtime::clock::now();
        let mut redundancy = Redundancy::default();
        assert!(!redundancy.report(0.2, Some(150_000), now) && redundancy.report(0.2, None, now));
        assert!(redundancy.report(0.2, Some(150_000), now) && !redundancy.is_on());
    }
}
