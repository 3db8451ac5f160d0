//! Whether a sudden fall of an estimate is believed.
//!
//! After a moment in which a receiver stood still an estimator goes by what got through of late. Where little of the link was in use, that is far less than it
//! carries; so it is asked again by a probe (as libwebrtc does after a large drop, probe_controller.cc), and until that is answered what was known
//! counts, unless packets wait or get lost. Pure.

use std::time::{Duration, Instant};

/// A fall to less than this share of what was known of late is sudden.
const FALL: f32 = 0.66;
const OF_LATE: Duration = Duration::from_secs(3);
/// Of what was known, more in use than this share says what the link carries.
const IN_USE: f32 = 0.6;
/// How long a probe may take until a report tells of it, and how soon another fall may be doubted.
const ANSWER: Duration = Duration::from_millis(1_200);
const PAUSE: Duration = Duration::from_secs(5);

/// What is known of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// What the room counts on, what was sent in the second before, and what the link shall be found to carry, in bits per second.
    pub bps: u32,
    pub sent_bps: u32,
    pub wanted_bps: u32,
    /// Packets neither waited nor got lost, and when that was seen.
    pub calm: bool,
    pub at: Instant,
}

#[derive(Debug, Default)]
pub struct Doubt {
    /// The most that the room counted on of late, and when.
    most: Option<(u32, Instant)>,
    /// A fall that is to be asked about once packets wait no longer, if that is soon.
    fell: Option<Instant>,
    /// What was found when it was asked about, which the estimator is to begin with anew.
    asked: Option<(u32, Instant)>,
    until: Option<Instant>,
    /// No fall is doubted before.
    next: Option<Instant>,
}

impl Doubt {
    /// What counts now that the link was found to carry `found` bits per second.
    pub fn weigh(&mut self, found: u32, known: Known, now: Instant) -> u32 {
        let most = self.most.filter(|(most, at)| *most > known.bps && now < *at + OF_LATE).unwrap_or((known.bps, now));
        self.most = Some(most);
        let falls = (found as f32) < most.0 as f32 * FALL && found < known.bps.min(known.wanted_bps);
        let unused = (known.sent_bps as f32) < most.0 as f32 * IN_USE;
        // At first the stack looks for itself, and what it counts on has not been found.
        let next = *self.next.get_or_insert(now + PAUSE);
        if falls && unused && now >= next {
            (self.fell, self.next) = (Some(now), Some(now + PAUSE));
        }
        self.fell = self.fell.filter(|fell| now < *fell + OF_LATE);
        self.until = self.until.filter(|until| now < *until);
        let holds = falls && known.calm && (self.fell.is_some() || self.until.is_some());
        if known.calm && self.fell.take_if(|fell| *fell < known.at).is_some() {
            // What the estimator begins with is probed for six times over: that is to be what was known. And what is sent goes on meanwhile.
            let begins = found.max(most.0 / 7).max(known.sent_bps);
            (self.asked, self.until) = (Some((begins, now)), Some(now + ANSWER));
        }
        if holds { known.bps } else { found }
    }

    /// What the estimator is to begin with anew, and look for more at once; `None`: it is not to.
    pub fn asked(&mut self) -> Option<u32> {
        self.asked.take().map(|(bps, _)| bps)
    }

    /// Whether something is to be done at the [`deadline`](Self::deadline).
    pub fn is_open(&self) -> bool {
        self.asked.is_some() || self.until.is_some()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.asked.map(|(_, at)| at).or(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At so many ms.
    struct Story(Instant, Doubt);

    impl Story {
        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }

        /// What is known by a report of that time.
        fn known(&self, ms: u64) -> Known {
            Known { bps: 1_600_000, sent_bps: 250_000, wanted_bps: 2_000_000, calm: true, at: self.at(ms) }
        }

        fn weigh(&mut self, ms: u64, found: u32, known: Known) -> (u32, Option<u32>) {
            (self.1.weigh(found, known, self.at(ms)), self.1.asked())
        }
    }

    fn story() -> Story {
        let now = crate::runtime::clock::now();
        Story(now, Doubt { next: Some(now), ..Doubt::default() })
    }

    #[test]
    fn a_fall_that_what_is_sent_explains_is_asked_about_after_the_next_report_and_believed_a_moment_later() {
        let mut story = story();
        let [before, after] = [0, 900].map(|ms| story.known(ms));
        assert_eq!(story.weigh(0, 1_500_000, before), (1_500_000, None));
        assert_eq!(story.weigh(100, 212_000, before), (1_600_000, None));
        assert_eq!(story.weigh(900, 220_000, after), (1_600_000, Some(250_000)));
        assert!(story.1.is_open());
        assert_eq!(story.weigh(2_099, 230_000, after), (1_600_000, None));
        assert_eq!((story.weigh(2_100, 230_000, after), story.1.is_open()), ((230_000, None), false));
        let thin = Known { bps: 230_000, ..after };
        assert_eq!(story.weigh(2_200, 150_000, thin), (150_000, None), "once");
    }

    #[test]
    fn a_probe_that_finds_what_was_known_ends_it() {
        let mut story = story();
        let [before, after] = [0, 900].map(|ms| story.known(ms));
        story.weigh(100, 212_000, before);
        story.weigh(900, 212_000, after);
        assert_eq!(story.weigh(1_200, 1_200_000, after), (1_200_000, None));
    }

    #[test]
    fn what_is_found_at_first_is_believed() {
        let mut story = story();
        story.1 = Doubt::default();
        let known = story.known(0);
        assert_eq!(story.weigh(0, 1_500_000, known), (1_500_000, None));
        assert_eq!(story.weigh(2_500, 212_000, known), (212_000, None));
        assert_eq!(story.weigh(5_000, 212_000, known), (1_600_000, None));
    }

    #[test]
    fn an_average_that_falls_in_steps_is_a_fall_too() {
        let mut story = story();
        let known = story.known(0);
        assert_eq!(story.weigh(0, 1_300_000, known), (1_300_000, None));
        let fallen = Known { bps: 1_300_000, ..known };
        assert_eq!(story.weigh(1_000, 1_000_000, fallen), (1_300_000, None));
    }

    #[test]
    fn a_link_that_is_used_or_not_wanted_is_believed_at_once() {
        let usual = story().known(0);
        for known in [Known { sent_bps: 1_000_000, ..usual }, Known { wanted_bps: 200_000, ..usual }] {
            let mut story = story();
            assert_eq!(story.weigh(100, 212_000, Known { at: story.at(0), ..known }), (212_000, None), "{known:?}");
            assert_eq!(story.weigh(900, 212_000, Known { at: story.at(900), ..known }), (212_000, None), "{known:?}");
        }
    }

    #[test]
    fn a_link_on_which_packets_wait_is_believed_and_asked_about_when_they_no_longer_do() {
        let mut story = story();
        let [before, full, after] = [0, 900, 1_900].map(|ms| story.known(ms));
        let full = Known { calm: false, ..full };
        assert_eq!(story.weigh(100, 212_000, before), (1_600_000, None));
        assert_eq!(story.weigh(900, 212_000, full), (212_000, None));
        assert_eq!(story.weigh(1_900, 220_000, Known { bps: 212_000, ..after }), (220_000, Some(250_000)));
        assert_eq!(story.weigh(2_100, 900_000, Known { bps: 220_000, ..after }), (900_000, None));
    }

    #[test]
    fn an_estimator_begins_with_what_is_sent_or_with_a_seventh_of_what_was_known() {
        for (sent_bps, begins) in [(250_000, 250_000), (100_000, 1_600_000 / 7)] {
            let mut story = story();
            let [before, after] = [0, 900].map(|ms| Known { sent_bps, ..story.known(ms) });
            story.weigh(100, 212_000, before);
            assert_eq!(story.weigh(900, 212_000, after), (1_600_000, Some(begins)));
        }
    }

    #[test]
    fn a_link_that_was_full_for_long_is_not_asked_about() {
        let mut story = story();
        let [full, after] = [0, 3_100].map(|ms| story.known(ms));
        assert_eq!(story.weigh(100, 212_000, Known { calm: false, ..full }), (212_000, None));
        assert_eq!(story.weigh(3_100, 220_000, Known { bps: 212_000, ..after }), (220_000, None));
    }
}
