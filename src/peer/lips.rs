//! How long a sender's sound waits for the picture of the same moment, or the picture for the sound.
//!
//! Pictures take their time to be coded and leave later than the sound of the same moment; some microphones are later still. Sender reports
//! (RFC 3550 §6.4.1) say when each was taken on the sender's own clock. What matters is the difference between the two ways, each as fast as it
//! was of late: jitter is met elsewhere. Trifles are left as they are, and nothing waits for long, whatever a sender says. Pure.

use std::time::{Duration, Instant, SystemTime};

/// The fastest way is that of the last one to two of these.
const WINDOW: Duration = Duration::from_secs(3);
/// After which it is known how fast a way is.
const KNOWN: Duration = Duration::from_secs(1);
/// What nobody notices.
const TRIFLE_US: i64 = 5_000;
/// Sound waits no longer than this.
const MOST_US: i64 = 300_000;
/// A change by less than this is none.
const STEP_US: i64 = 5_000;
/// A way that is longer or shorter by so much from one unit to the next is that of another stream.
const ANOTHER_US: u64 = 1_000_000;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sound,
    Picture,
}

/// What a unit says of its time.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// On the track's own clock, from wherever it counts.
    pub media: Duration,
    /// When it was taken by the sender's clock, once a report has said that.
    pub taken: Option<SystemTime>,
}

/// How long units of one track take, in µs: fastest in the window, and in the one before. On the track's own clock, so that what came before the
/// first report counts too.
#[derive(Debug, Default)]
struct Way {
    began: Option<Instant>,
    since: Option<Instant>,
    fastest: [Option<i64>; 2],
    last_us: Option<i64>,
    /// From the track's own clock to the sender's.
    shift_us: Option<i64>,
}

/// One sender's camera and microphone, or screen and its sound.
#[derive(Debug, Default)]
pub struct Lips {
    /// One moment on both clocks.
    epoch: Option<(Instant, SystemTime)>,
    start: Option<Instant>,
    sound: Way,
    picture: Way,
    /// How much later the picture comes, µs.
    lag_us: i64,
}

impl Lips {
    /// A unit has arrived at `now`: how long it waits, more than it would alone.
    pub fn arrived(&mut self, kind: Kind, stamp: Stamp, now: Instant) -> Duration {
        self.forget(now);
        let media = micros(stamp.media);
        let arrival = micros(now.saturating_duration_since(*self.start.get_or_insert(now)));
        let shift = stamp.taken.map(|taken| self.taken_us(taken, now) - media);
        let way = if kind == Kind::Sound { &mut self.sound } else { &mut self.picture };
        way.note(arrival - media, shift, now);
        if shift.is_some() {
            self.settle(now);
        }
        let waits = match kind {
            Kind::Sound => self.lag_us,
            Kind::Picture => -self.lag_us,
        };
        Duration::from_micros(u64::try_from(waits).unwrap_or(0))
    }

    /// Nobody waits for a track that comes no more.
    fn forget(&mut self, now: Instant) {
        for way in [&mut self.sound, &mut self.picture] {
            if way.since.is_some_and(|since| now >= since + WINDOW * 3) {
                *way = Way::default();
                self.lag_us = 0;
            }
        }
    }

    fn taken_us(&mut self, taken: SystemTime, now: Instant) -> i64 {
        let (at, began) = *self.epoch.get_or_insert((now, taken));
        let start = micros(at.saturating_duration_since(*self.start.get_or_insert(now)));
        start + taken.duration_since(began).map_or_else(|before| -micros(before.duration()), micros)
    }

    fn settle(&mut self, now: Instant) {
        let (Some(sound), Some(picture)) = (self.sound.fastest(now), self.picture.fastest(now)) else { return };
        let apart = (picture - sound).clamp(-MOST_US - TRIFLE_US, MOST_US + TRIFLE_US);
        let lag = apart.signum() * (apart.abs() - TRIFLE_US).max(0);
        if (lag - self.lag_us).abs() >= STEP_US || lag == 0 {
            self.lag_us = lag;
        }
    }
}

impl Way {
    fn note(&mut self, way_us: i64, shift_us: Option<i64>, now: Instant) {
        let another = self.last_us.is_some_and(|last| last.abs_diff(way_us) > ANOTHER_US);
        match (self.shift_us, shift_us) {
            // Layers of one camera count from wherever they like.
            (Some(before), Some(now)) => self.fastest.iter_mut().flatten().for_each(|fastest| *fastest += now - before),
            (Some(_), None) if another => return,
            _ if another => *self = Self::default(),
            _ => {}
        }
        (self.last_us, self.shift_us) = (Some(way_us), shift_us.or(self.shift_us));
        self.began.get_or_insert(now);
        let since = *self.since.get_or_insert(now);
        if now >= since + WINDOW {
            self.fastest = [None, self.fastest[0]];
            self.since = Some(now);
        }
        self.fastest[0] = Some(self.fastest[0].map_or(way_us, |fastest| fastest.min(way_us)));
    }

    fn fastest(&self, now: Instant) -> Option<i64> {
        let shift = self.shift_us.filter(|_| self.began.is_some_and(|began| now >= began + KNOWN))?;
        let [newest, before] = self.fastest;
        Some(newest.into_iter().chain(before).min()? - shift)
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + MS(1 << 40)
    }

    /// Taken so long after the beginning; its track's clock counts from somewhere.
    fn stamp(kind: Kind, after: Duration, reported: bool) -> Stamp {
        let from = if kind == Kind::Sound { MS(7_000_000) } else { MS(12_345) };
        Stamp { media: from + after, taken: reported.then(|| wall() + after) }
    }

    /// How long sound and picture wait after so many units 20 ms apart, of which each takes so long, give or take some jitter. The last is the
    /// first of the sound that a report speaks of.
    fn waits_after(units: u64, sound_ms: u64, picture_ms: u64, ppm: f64) -> (u128, u128) {
        let start = crate::runtime::clock::now();
        let mut lips = Lips::default();
        let mut found = (0, 0);
        for n in 0..units {
            let after = Duration::from_secs_f64(n as f64 * 0.02 * (1.0 + ppm * 1e-6));
            let arrives = |ms: u64| start + MS(n * 20 + ms + n * 67 % 90);
            found.0 = lips.arrived(Kind::Sound, stamp(Kind::Sound, after, n + 1 == units || n > 300), arrives(sound_ms)).as_millis();
            found.1 = lips.arrived(Kind::Picture, stamp(Kind::Picture, after, n > 25), arrives(picture_ms)).as_millis();
        }
        found
    }

    #[test]
    fn who_comes_earlier_waits_for_the_other_but_not_for_trifles_and_not_for_long() {
        // With the first report, and for good.
        for units in [125, 1_000] {
            let waits = |sound, picture| waits_after(units, sound, picture, 0.0);
            assert_eq!(waits(20, 24), (0, 0));
            assert_eq!(waits(20, 220), (195, 0));
            assert_eq!(waits(150, 30), (0, 115));
        }
        assert_eq!(waits_after(1_000, 20, 5_000, 0.0), (300, 0));
        let (sound, _) = waits_after(1_000, 20, 220, 200.0);
        assert!((185..=205).contains(&sound), "whatever the sender's clock does: {sound}");
    }

    #[test]
    fn a_stream_that_counts_anew_is_measured_anew_and_its_picture_waits_as_before_until_then() {
        let start = crate::runtime::clock::now();
        let mut lips = Lips::default();
        let mut waits = Vec::new();
        for n in 0..600 {
            let mut sound = stamp(Kind::Sound, MS(n * 20), n > 100 && !(300..400).contains(&n));
            sound.media += if n < 300 { Duration::ZERO } else { MS(5_000_000) };
            lips.arrived(Kind::Sound, sound, start + MS(n * 20 + 150));
            waits.push(lips.arrived(Kind::Picture, stamp(Kind::Picture, MS(n * 20), true), start + MS(n * 20 + 30)).as_millis());
        }
        assert!(waits[102..].iter().all(|waits| *waits == 115), "{waits:?}");
    }

    #[test]
    fn layers_of_a_camera_count_each_for_itself_and_are_one_way() {
        let start = crate::runtime::clock::now();
        let mut lips = Lips::default();
        for n in 0..300 {
            for (layer, from) in [(0, MS(50_000)), (1, MS(9_000_000))] {
                let picture = stamp(Kind::Picture, MS(n * 20), n > 30 + layer * 40);
                lips.arrived(Kind::Picture, Stamp { media: picture.media + from, ..picture }, start + MS(n * 20 + 120 + layer * 5));
            }
            let wait = lips.arrived(Kind::Sound, stamp(Kind::Sound, MS(n * 20), n >= 90), start + MS(n * 20 + 20)).as_millis();
            assert!(n < 90 || wait == 95, "{wait} at {n}");
        }
    }

    #[test]
    fn nobody_waits_for_a_track_that_comes_no_more() {
        let start = crate::runtime::clock::now();
        let mut lips = Lips::default();
        let mut at = |n: u64, kind, late| lips.arrived(kind, stamp(kind, MS(n * 20), true), start + MS(n * 20 + late)).as_millis();
        for n in 0..500 {
            at(n, Kind::Sound, 20);
            at(n, Kind::Picture, 220);
        }
        assert_eq!(at(500, Kind::Sound, 20), 195);
        let waits: Vec<_> = (501..1_500).map(|n| at(n, Kind::Sound, 20)).collect();
        assert_eq!((waits[0], waits[998]), (195, 0), "the camera is off");
    }

    #[test]
    fn without_reports_nothing_waits() {
        let now = crate::runtime::clock::now();
        let mut lips = Lips::default();
        for n in 0..1_000 {
            assert_eq!(lips.arrived(Kind::Sound, stamp(Kind::Sound, MS(n * 20), false), now + MS(n * 20)), Duration::ZERO);
            assert_eq!(lips.arrived(Kind::Picture, stamp(Kind::Picture, MS(n * 20), true), now + MS(n * 20 + 70)), Duration::ZERO);
        }
    }
}
