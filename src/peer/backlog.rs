//! Whether a link keeps up with what is sent: judged by what waits before it and how fast that goes out, which is known sooner than
//! any estimate. Pure.

use std::time::{Duration, Instant};

/// What went out is counted over this many parts of this length.
const PARTS: usize = 8;
const PART: Duration = Duration::from_millis(20);
/// A queue that is younger than this says nothing: a keyframe takes its time.
const YOUNG: Duration = Duration::from_millis(100);
/// What would take longer than this to go out is too much; so is what has waited longer than that.
const TOO_MUCH: Duration = Duration::from_millis(500);
const TOO_OLD: Duration = Duration::from_millis(700);
/// The room hears of one congestion no more often than this.
const TELL: Duration = Duration::from_millis(300);
/// For so long a link that did not keep up is one that may still have too much before it.
const RECENT: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub struct Backlog {
    epoch: Option<Instant>,
    /// Bytes by part of time; the number says which.
    parts: [(u64, u32); PARTS],
    told: Option<Instant>,
}

impl Backlog {
    pub fn sent(&mut self, bytes: usize, now: Instant) {
        let part = self.part(now);
        let entry = &mut self.parts[part as usize % PARTS];
        if entry.0 != part {
            *entry = (part, 0);
        }
        entry.1 = entry.1.saturating_add(bytes as u32);
    }

    /// Bits per second that went out of late.
    fn rate(&mut self, now: Instant) -> u32 {
        let part = self.part(now);
        let recent = |(number, _): &&(u64, u32)| *number < part && *number + PARTS as u64 > part;
        let bytes: u64 = self.parts.iter().filter(recent).map(|(_, bytes)| u64::from(*bytes)).sum();
        let window = PART * (PARTS as u32 - 1);
        (bytes * 8 * 1000 / window.as_millis() as u64) as u32
    }

    /// With `queued` bytes that wait since `since`: how much the link takes, if that is too little.
    pub fn is_too_long(&mut self, queued: usize, since: Instant, now: Instant) -> Option<u32> {
        let age = now.saturating_duration_since(since);
        if age < YOUNG {
            return None;
        }
        let rate = self.rate(now);
        let takes_ms = queued as u64 * 8 * 1000 / u64::from(rate.max(1_000));
        (age > TOO_OLD || takes_ms > TOO_MUCH.as_millis() as u64).then_some(rate)
    }

    /// True: the room shall hear of it.
    pub fn tell(&mut self, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| now >= told + TELL);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// What waited was too much, not long ago.
    pub fn was_too_long(&self, now: Instant) -> bool {
        self.told.is_some_and(|told| now < told + RECENT)
    }

    fn part(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        // From 1 on: 0 is a part that never was.
        1 + (now.saturating_duration_since(epoch).as_millis() / PART.as_millis()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A backlog after a second at so many bytes per 10 ms.
    fn after_a_second(bytes: usize) -> (Backlog, Instant) {
        let start = crate::runtime::clock::now();
        let mut backlog = Backlog::default();
        (0..100).for_each(|n| backlog.sent(bytes, start + ms(10 * n)));
        (backlog, start + ms(1000))
    }

    #[test]
    fn what_goes_out_in_time_is_no_congestion_however_much_it_is() {
        let (mut backlog, now) = after_a_second(2500);
        assert_eq!(backlog.is_too_long(60_000, now - ms(200), now), None, "a keyframe at 2 Mb/s");
        assert!(backlog.is_too_long(200_000, now - ms(200), now).is_some());
        assert!(backlog.is_too_long(1_000, now - ms(900), now).is_some(), "old is old");
    }

    #[test]
    fn a_link_that_gets_thin_is_noticed_after_a_tenth_of_a_second_and_measured() {
        let (mut backlog, now) = after_a_second(175);
        let rate = backlog.is_too_long(17_000, now - ms(100), now).expect("1 s at 140 kb/s");
        assert!((130_000..150_000).contains(&rate), "{rate}");
        assert_eq!(backlog.is_too_long(17_000, now - ms(90), now), None);
        assert!(!backlog.was_too_long(now));
        assert!(backlog.tell(now) && !backlog.tell(now + ms(299)) && backlog.tell(now + ms(300)));
        assert!(backlog.was_too_long(now + ms(3_299)) && !backlog.was_too_long(now + ms(3_300)));
    }
}
