//! How long a sender's sound waits for the picture of the same moment, or the picture for the sound.
//!
//! Pictures take their time to be coded and leave later than the sound of the same moment; some microphones are later still. Sender reports
//! (RFC 3550 §6.4.1) say when each was taken on the sender's own clock. What matters is the difference between the two ways, each as fast as it
//! was of late. Jitter is met by each in its own way, and where pictures wait to be shown evenly ([`super::pace`]) their sound does as well.
//! Trifles are left as they are, and nothing waits for long, whatever a sender says. Pure.

use super::pace::Pace;
use std::time::{Duration, Instant, SystemTime};

/// The fastest way is that of the last one to two of these.
const WINDOW: Duration = Duration::from_secs(3);
/// What nobody notices.
const TRIFLE_US: i64 = 10_000;
/// Sound waits no longer than this.
const MOST_US: i64 = 300_000;
/// A change by less than this is none.
const STEP_US: i64 = 10_000;
/// By so much sound may come earlier than pictures that are held up on the way, and hardly anybody notices (ITU-R BT.1359: 45 ms).
const EARLIER: Duration = Duration::from_millis(30);

/// How long units of one track take from being taken to their arrival, in µs: fastest in the window, and in the one before.
#[derive(Debug, Default)]
struct Way {
    since: Option<Instant>,
    fastest: [Option<i64>; 2],
}

/// One sender's camera and microphone, or screen and its sound.
#[derive(Debug, Default)]
pub struct Lips {
    /// One moment on both clocks.
    epoch: Option<(Instant, SystemTime)>,
    sound: Way,
    picture: Way,
    /// How much later the picture comes, µs.
    lag_us: i64,
    pace: Pace,
}

impl Lips {
    /// A packet of sound that was taken at `taken` by the sender's clock, if that is known, has arrived at `now`: how long it waits for its picture, more
    /// than it would by itself, and how long it waits by itself at least.
    pub fn sound(&mut self, taken: Option<SystemTime>, now: Instant) -> (Duration, Duration) {
        self.forget(now);
        if let Some(taken) = taken {
            let way = self.way_us(taken, now);
            self.sound.note(way, now);
            self.settle();
        }
        (micros(self.lag_us), self.pace.delay().saturating_sub(EARLIER))
    }

    /// The same of a picture, of any layer: how long it waits for its sound.
    pub fn picture(&mut self, taken: Option<SystemTime>, now: Instant) -> Duration {
        self.forget(now);
        if let Some(taken) = taken {
            let way = self.way_us(taken, now);
            self.picture.note(way, now);
            self.settle();
        }
        micros(-self.lag_us)
    }

    /// How long a picture that is forwarded waits for its sound and to be shown evenly. `rtp_time`: at 90 kHz, unwrapped.
    pub fn evenly(&mut self, rtp_time: u64, waits: Duration, now: Instant) -> Duration {
        self.pace.waits(rtp_time, waits, now)
    }

    /// The same of one that is not to be shown evenly: nor does its sound wait for that.
    pub fn unevenly(&mut self, waits: Duration) -> Duration {
        self.pace = Pace::default();
        waits
    }

    /// Nobody waits for a track that comes no more.
    fn forget(&mut self, now: Instant) {
        for way in [&mut self.sound, &mut self.picture] {
            if way.since.is_some_and(|since| now >= since + WINDOW * 3) {
                *way = Way::default();
                self.lag_us = 0;
            }
        }
        self.pace.forget(now);
    }

    fn way_us(&mut self, taken: SystemTime, now: Instant) -> i64 {
        let (at, began) = *self.epoch.get_or_insert((now, taken));
        let passed = i64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(i64::MAX / 4);
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4);
        passed - taken.duration_since(began).map_or_else(|before| -micros(before.duration()), micros)
    }

    fn settle(&mut self) {
        let (Some(sound), Some(picture)) = (self.sound.fastest(), self.picture.fastest()) else { return };
        let apart = (picture - sound).clamp(-MOST_US - TRIFLE_US, MOST_US + TRIFLE_US);
        let lag = apart.signum() * (apart.abs() - TRIFLE_US).max(0);
        if (lag - self.lag_us).abs() >= STEP_US || lag == 0 {
            self.lag_us = lag;
        }
    }
}

fn micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

impl Way {
    fn note(&mut self, way_us: i64, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now >= since + WINDOW {
            self.fastest = [None, self.fastest[0]];
            self.since = Some(now);
        }
        self.fastest[0] = Some(self.fastest[0].map_or(way_us, |fastest| fastest.min(way_us)));
    }

    /// Once a window has passed.
    fn fastest(&self) -> Option<i64> {
        Some(self.fastest[1]?.min(self.fastest[0]?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// How long sound and picture wait after twenty seconds, of which each takes so long, give or take some jitter.
    fn waits(sound_ms: u64, picture_ms: u64, ppm: f64) -> (u128, u128) {
        let (start, wall) = (crate::runtime::clock::now(), SystemTime::UNIX_EPOCH + MS(1 << 40));
        let mut lips = Lips::default();
        let mut found = (0, 0);
        for n in 0..1_000 {
            let taken = Some(wall + Duration::from_secs_f64(n as f64 * 0.02 * (1.0 + ppm * 1e-6)));
            let arrives = |ms: u64| start + MS(n * 20 + ms + n * 67 % 90);
            found.0 = lips.sound(taken, arrives(sound_ms)).0.as_millis();
            found.1 = lips.picture(taken, arrives(picture_ms)).as_millis();
        }
        found
    }

    #[test]
    fn who_comes_earlier_waits_for_the_other_but_not_for_trifles_and_not_for_long() {
        assert_eq!(waits(20, 28, 0.0), (0, 0));
        assert_eq!(waits(20, 220, 0.0), (190, 0));
        assert_eq!(waits(150, 30, 0.0), (0, 110));
        assert_eq!(waits(20, 5_000, 0.0), (300, 0));
        let (sound, _) = waits(20, 220, 200.0);
        assert!((180..=200).contains(&sound), "whatever the sender's clock does: {sound}");
    }

    #[test]
    fn nobody_waits_for_a_track_that_comes_no_more() {
        let (start, wall) = (crate::runtime::clock::now(), SystemTime::UNIX_EPOCH + MS(1 << 40));
        let mut lips = Lips::default();
        let at = |n: u64, late| (Some(wall + MS(n * 20)), start + MS(n * 20 + late));
        let sound = |lips: &mut Lips, n| {
            let (taken, now) = at(n, 20);
            lips.sound(taken, now).0.as_millis()
        };
        for n in 0..500 {
            sound(&mut lips, n);
            let (taken, now) = at(n, 220);
            lips.picture(taken, now);
        }
        assert_eq!(sound(&mut lips, 500), 190);
        let waits: Vec<_> = (501..1_500).map(|n| sound(&mut lips, n)).collect();
        assert_eq!((waits[0], waits[998]), (190, 0), "the camera is off");
    }

    #[test]
    fn without_reports_nothing_waits() {
        let now = crate::runtime::clock::now();
        let mut lips = Lips::default();
        for n in 0..1_000 {
            assert_eq!(lips.sound(None, now + MS(n * 20)), (Duration::ZERO, Duration::ZERO));
            assert_eq!(lips.picture(Some(SystemTime::UNIX_EPOCH), now + MS(n * 20 + 7)), Duration::ZERO);
        }
    }

    #[test]
    fn where_pictures_wait_to_be_shown_evenly_their_sound_does_until_they_come_no_more() {
        let start = crate::runtime::clock::now();
        let mut lips = Lips::default();
        for n in 0..600 {
            lips.evenly(1 + n * 3_000, Duration::ZERO, start + MS(n * 33 + n * 67 % 200));
        }
        let end = start + MS(20_000);
        let least = lips.sound(None, end).1.as_millis();
        assert!((100..=180).contains(&least), "{least}");
        lips.evenly(2_000_000, Duration::ZERO, end + MS(50));
        assert_eq!(lips.sound(None, end + MS(9_000)).1, Duration::ZERO);
        for n in 0..600 {
            lips.evenly(3_000_000 + n * 3_000, Duration::ZERO, end + MS(10_000 + n * 33 + n * 67 % 200));
        }
        assert_ne!(lips.sound(None, end + MS(30_000)).1, Duration::ZERO);
        assert_eq!((lips.unevenly(MS(7)), lips.sound(None, end + MS(30_000)).1), (MS(7), Duration::ZERO), "nobody sees them");
    }
}
