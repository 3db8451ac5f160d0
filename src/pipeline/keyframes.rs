//! Keyframe economy of one rendition: all who ask share one, at most one per half second.

use mixdown_codecs::Intra;
use std::time::{Duration, Instant};

/// The least time between two forced keyframes of a rendition (RFC 4585 leaves it to us; docs/faults.md, F6).
pub const SPACING: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub struct Coalescer {
    last: Option<Instant>,
    wanted: bool,
}

impl Coalescer {
    /// Somebody needs a keyframe.
    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// Whether the next picture, encoded at `now`, must be a keyframe.
    pub fn next(&self, now: Instant) -> Intra {
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= SPACING);
        if self.wanted && due { Intra::Force } else { Intra::Auto }
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// A keyframe went out at `now`, asked for or not: it answers everybody who asked before.
    pub fn sent(&mut self, now: Instant) {
        self.last = Some(now);
        self.wanted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_requests_a_second_cost_two_keyframes_a_second() {
        let start = crate::runtime::clock::now();
        let mut coalescer = Coalescer::default();
        let mut keyframes = 0;
        for tick in 0..300 {
            let now = start + Duration::from_millis(tick * 1000 / 30);
            (0..33).for_each(|_| coalescer.request());
            if coalescer.next(now) == Intra::Force {
                keyframes += 1;
                coalescer.sent(now);
            }
        }
        assert!((19..=20).contains(&keyframes), "{keyframes} in ten seconds");
    }

    #[test]
    fn a_request_during_the_pause_is_answered_after_it() {
        let start = crate::runtime::clock::now();
        let mut coalescer = Coalescer::default();
        coalescer.sent(start);
        coalescer.request();
        assert_eq!(coalescer.next(start + Duration::from_millis(499)), Intra::Auto);
        assert_eq!(coalescer.next(start + SPACING), Intra::Force);
    }
}
