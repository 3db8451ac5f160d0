//! When to ask a sender for a keyframe: at once, never twice within 500 ms, and again after
//! 0.5, 1, 2, 4, 4 … s while none arrives.

use std::time::{Duration, Instant};

/// Requests of one track within this time are one.
pub const COALESCE: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(4);

/// Keyframe requests of one incoming track.
#[derive(Debug, Default)]
pub struct Requests {
    last: Option<Instant>,
    due: Option<Instant>,
    wait: Duration,
}

impl Requests {
    /// Somebody needs a keyframe.
    pub fn want(&mut self, now: Instant) {
        let free = self.last.map_or(now, |last| last + COALESCE).max(now);
        if self.due.is_none() {
            self.wait = COALESCE;
            self.due = Some(free);
        }
    }

    /// A keyframe has arrived.
    pub fn satisfied(&mut self) {
        self.due = None;
    }

    /// When [`Requests::poll`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// True: send a request now.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.last = Some(now);
        self.due = Some(now + self.wait);
        self.wait = (self.wait * 2).min(SLOWEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(requests: &mut Requests, start: Instant, until_ms: u64) -> Vec<u64> {
        (0..until_ms).filter(|ms| requests.poll(start + Duration::from_millis(*ms))).collect()
    }

    #[test]
    fn a_request_without_an_answer_is_repeated_ever_more_slowly() {
        let start = crate::runtime::clock::now();
        let mut requests = Requests::default();
        requests.want(start);
        assert_eq!(sent(&mut requests, start, 16_000), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500]);
    }

    #[test]
    fn a_storm_of_wishes_is_one_request_per_half_second_at_most() {
        let start = crate::runtime::clock::now();
        let mut requests = Requests::default();
        let mut sent = 0;
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            requests.want(now);
            if requests.poll(now) {
                sent += 1;
                requests.satisfied();
            }
        }
        assert_eq!(sent, 20);
    }

    #[test]
    fn an_arrived_keyframe_ends_the_repetition() {
        let start = crate::runtime::clock::now();
        let mut requests = Requests::default();
        requests.want(start);
        assert!(requests.poll(start));
        requests.satisfied();
        assert_eq!(sent(&mut requests, start, 10_000), [0; 0]);
        assert_eq!(requests.deadline(), None);
    }
}
