//! Keyframe economy of one rendition: all who wait share one, at most one per half second; and those who have lost something
//! wait until the budget allows for it, so that a lossy link does not take the bits of all others.

use mixdown_codecs::Intra;
use std::time::{Duration, Instant};

/// The least time between two forced keyframes of a rendition (RFC 4585 leaves it to us; docs/faults.md, F6).
pub const SPACING: Duration = Duration::from_millis(500);
/// The share of a rendition's bits that keyframes may take over …
const BUDGET: f64 = 0.1;
/// … so many parts of time of this length.
const PARTS: usize = 10;
const PART: Duration = Duration::from_secs(1);
/// Who has lost something waits no longer than this, whatever the budget says.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Between two repairs: twice as long each time that the next one is wanted at once, since a link that goes on losing is not
/// helped by keyframes, and everybody pays for them.
const REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(16);

/// Why somebody needs a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// They have no picture of the rendition yet: soon.
    Joins,
    /// They have lost one: when it can be afforded.
    Repairs,
}

/// Bytes of one part of time.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: u64,
    keyframes: u64,
    all: u64,
}

#[derive(Debug, Default)]
pub struct Coalescer {
    epoch: Option<Instant>,
    last: Option<Instant>,
    joins: bool,
    repairs: bool,
    /// Since when a repair is waited for.
    waits: Option<Instant>,
    parts: [Part; PARTS],
    /// Bytes of the keyframe before.
    size: u64,
    /// No repair before, and how long the rest was.
    rests: Option<(Instant, Duration)>,
}

impl Coalescer {
    /// Somebody needs a keyframe.
    pub fn request(&mut self, need: Need) {
        match need {
            Need::Joins => self.joins = true,
            Need::Repairs => self.repairs = true,
        }
    }

    /// Whether the next picture, encoded at `now`, must be a keyframe.
    pub fn next(&mut self, now: Instant) -> Intra {
        if self.repairs {
            self.waits.get_or_insert(now);
        }
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= SPACING);
        let tired = self.waits.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        let rested = self.rests.is_none_or(|(until, _)| now >= until);
        let wanted = self.joins || (self.repairs && rested && (tired || self.share(now) <= BUDGET));
        if wanted && due { Intra::Force } else { Intra::Auto }
    }

    /// Somebody waits.
    pub fn is_wanted(&self) -> bool {
        self.joins || self.repairs
    }

    /// A picture went out at `now`. A keyframe, asked for or not, answers everybody who asked before.
    pub fn sent(&mut self, bytes: usize, keyframe: bool, now: Instant) {
        let number = self.part(now);
        let part = &mut self.parts[number as usize % PARTS];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part.all += bytes as u64;
        if keyframe {
            part.keyframes += bytes as u64;
            self.size = bytes as u64;
            self.last = Some(now);
            if self.repairs {
                // A repair that was not wanted while the one before rested begins anew.
                let before = self.rests.filter(|(until, rest)| now < *until + *rest).map_or(REST / 2, |(_, rest)| rest);
                let rest = (before * 2).min(LONGEST_REST);
                self.rests = Some((now + rest, rest));
            }
            (self.joins, self.repairs, self.waits) = (false, false, None);
        }
    }

    /// The keyframes' share of the bits that went out of late, with one more.
    fn share(&mut self, now: Instant) -> f64 {
        let now = self.part(now);
        let recent = || self.parts.iter().filter(move |part| part.number + PARTS as u64 > now);
        let all: u64 = recent().map(|part| part.all).sum();
        let keyframes: u64 = recent().map(|part| part.keyframes).sum();
        (keyframes + self.size) as f64 / (all + self.size).max(1) as f64
    }

    fn part(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        PARTS as u64 + now.saturating_duration_since(epoch).as_secs() / PART.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keyframes in so many seconds at 30 pictures per second, with a wish before each picture.
    fn storm(need: Need, seconds: u64, keyframe_bytes: usize) -> (u32, f64) {
        let start = crate::runtime::clock::now();
        let mut coalescer = Coalescer::default();
        let (mut keyframes, mut bytes) = (0u32, 0);
        for tick in 0..seconds * 30 {
            let now = start + Duration::from_millis(tick * 1000 / 30);
            (0..33).for_each(|_| coalescer.request(need));
            let forced = coalescer.next(now) == Intra::Force;
            let size = if forced { keyframe_bytes } else { 2_000 };
            coalescer.sent(size, forced, now);
            keyframes += u32::from(forced);
            bytes += size;
        }
        (keyframes, keyframes as f64 * keyframe_bytes as f64 / bytes as f64)
    }

    #[test]
    fn a_thousand_who_join_in_a_second_cost_two_keyframes_a_second() {
        assert!((19..=20).contains(&storm(Need::Joins, 10, 20_000).0));
    }

    #[test]
    fn a_thousand_who_lost_something_cost_a_tenth_of_the_bits() {
        let (keyframes, share) = storm(Need::Repairs, 60, 15_000);
        assert!(share < 0.1 && keyframes >= 4, "{keyframes} {share}");
    }

    #[test]
    fn nobody_waits_for_ever_however_large_keyframes_are() {
        let (keyframes, _) = storm(Need::Repairs, 60, 300_000);
        assert!((4..=7).contains(&keyframes), "{keyframes}");
    }

    #[test]
    fn a_request_during_the_pause_is_answered_after_it() {
        let start = crate::runtime::clock::now();
        let mut coalescer = Coalescer::default();
        coalescer.sent(1_000, true, start);
        coalescer.request(Need::Joins);
        assert_eq!(coalescer.next(start + Duration::from_millis(499)), Intra::Auto);
        assert_eq!(coalescer.next(start + SPACING), Intra::Force);
    }
}
