//! When each of one sender's pictures is shown, so that they are shown as evenly as they were taken.
//!
//! Where packets are lost and sent again, or the way takes now longer and now shorter, pictures arrive late and in
//! bunches, and a canvas that showed the newest would leave most of a bunch out. So all pictures wait until hardly one would
//! come after its time: a delay that follows how often and how much pictures are late, up at once and down by a few per
//! cent of the speed. On a steady way it is zero, and a picture is due when it arrives.
//!
//! Flow: `(RTP time, arrival) → lateness over the fastest way of late → histogram that forgets → delay → wait`.
//! Knows no clock and no pictures; one of these costs a few hundred bytes and never allocates.

use std::time::{Duration, Instant};

/// Microseconds per bin of the histogram; the last one holds everything later.
const BIN_US: i64 = 10_000;
/// So many: pictures wait 300 ms at most.
const BINS: usize = 30;
/// How late pictures may be against their time on average: much for rare trifles, little for what freezes a picture.
const LATE_US: f32 = 250.0;
/// Share of one picture in the histogram: a late second is forgotten within half a minute.
const SHARE: f32 = 1.0 / 192.0;
/// A delay up to here is none: a canvas looks only every 33 ms.
const STEADY_BINS: usize = 2;
/// How much sooner than the one before a picture may be due when the delay falls.
const FALL_US: i64 = 1_000;
/// The fastest way is that of the last one to two of these: a sender's clock may run 100 ppm faster or slower than ours.
const WINDOW: Duration = Duration::from_secs(5);
/// A picture that is later than this has not waited on the way: its sender's time has begun anew.
const SAME_CLOCK_US: i64 = 500_000;
/// Pictures come no more.
const GONE: Duration = Duration::from_secs(5);

/// The pace of one sender's pictures.
#[derive(Debug)]
pub struct Pace {
    start: Option<Start>,
    /// Share of pictures by lateness, in all 1.
    histogram: [f32; BINS],
    delay_us: i64,
    /// Of the delay, what is waited for the sound.
    sound_us: i64,
}

/// What lateness is measured against.
#[derive(Debug, Clone, Copy)]
struct Start {
    rtp_time: u64,
    at: Instant,
    last: u64,
    heard: Instant,
    /// Shortest way since `since`, and in the window before, in µs against the first picture's.
    fastest: [i64; 2],
    since: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        let mut histogram = [0.0; BINS];
        histogram[0] = 1.0;
        Self { start: None, histogram, delay_us: 0, sound_us: 0 }
    }
}

impl Pace {
    /// One picture of `rtp_time` (90 kHz, unwrapped) arrived at `received`, and waits so long for its sound: how long it waits in all until it is shown.
    pub fn waits(&mut self, rtp_time: u64, for_sound: Duration, received: Instant) -> Duration {
        let Some(late_us) = self.lateness(rtp_time, received) else { return Duration::ZERO };
        self.note(late_us);
        self.sound_us = i64::try_from(for_sound.as_micros()).unwrap_or(0);
        self.delay_us = (self.target_us() + self.sound_us).max(self.delay_us - FALL_US);
        Duration::from_micros(u64::try_from(self.delay_us - late_us).unwrap_or(0))
    }

    /// How much later than the fastest ones pictures are shown, but for what they wait for their sound.
    pub fn delay(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.delay_us - self.sound_us).unwrap_or(0))
    }

    /// What has not come for long says nothing of what comes.
    pub fn forget(&mut self, now: Instant) {
        if self.start.is_some_and(|start| now >= start.heard + GONE) {
            *self = Self::default();
        }
    }

    /// How much longer than the fastest one of late the picture took, in µs. `None`: a clock begins.
    fn lateness(&mut self, rtp_time: u64, received: Instant) -> Option<i64> {
        let begin = Start { rtp_time, at: received, last: rtp_time, heard: received, fastest: [0, i64::MAX], since: received };
        let Some(start) = self.start.as_mut().filter(|start| rtp_time > start.last) else {
            self.start = Some(begin);
            return None;
        };
        let passed = i64::try_from(received.saturating_duration_since(start.at).as_micros()).unwrap_or(i64::MAX / 2);
        let sent = i64::try_from((rtp_time - start.rtp_time).saturating_mul(100) / 9).unwrap_or(i64::MAX / 2);
        let way = passed - sent;
        (start.last, start.heard) = (rtp_time, received);
        if received >= start.since + WINDOW {
            start.fastest = [way, start.fastest[0]];
            start.since = received;
        }
        start.fastest[0] = start.fastest[0].min(way);
        let late = way - start.fastest[0].min(start.fastest[1]);
        if late > SAME_CLOCK_US {
            self.start = Some(begin);
            return None;
        }
        Some(late)
    }

    fn note(&mut self, late_us: i64) {
        for share in &mut self.histogram {
            *share *= 1.0 - SHARE;
        }
        let bin = usize::try_from(late_us / BIN_US).unwrap_or(0).min(BINS - 1);
        self.histogram[bin] += SHARE;
    }

    /// The shortest delay after which pictures are late by no more than [`LATE_US`] on average.
    fn target_us(&self) -> i64 {
        let (mut later, mut late_us) = (0.0, 0.0);
        let needed = self.histogram.iter().rposition(|share| {
            later += share;
            late_us += later * BIN_US as f32;
            late_us > LATE_US
        });
        let bins = needed.map_or(0, |bin| bin + 1);
        if bins <= STEADY_BINS { 0 } else { bins as i64 * BIN_US }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE_US: u64 = 33_333;
    const LONGEST: Duration = Duration::from_millis(300);

    /// Runs `seconds` of pictures at 30 fps from picture `from` on, each late by `late(n)` ms. The waits in ms.
    fn run(pace: &mut Pace, start: Instant, from: u64, seconds: u64, late: impl Fn(u64) -> u64) -> Vec<u64> {
        let picture = |n: u64| {
            let received = start + Duration::from_micros(n * PICTURE_US + late(n) * 1000);
            pace.waits((1 << 32) - 90_000 + n * 3000, Duration::ZERO, received).as_millis() as u64
        };
        (from..from + seconds * 30).map(picture).collect()
    }

    #[test]
    fn on_a_steady_way_nothing_waits() {
        let start = crate::runtime::clock::now();
        for late in [|n| n * 7 % 19, |n| if n % 60 == 0 { 30 } else { n % 5 }] {
            let waits = run(&mut Pace::default(), start, 0, 60, late);
            assert!(waits.iter().all(|wait| *wait == 0), "{waits:?}");
        }
    }

    #[test]
    fn where_one_picture_in_ten_comes_80_ms_late_all_are_shown_90_ms_after_the_fastest() {
        let start = crate::runtime::clock::now();
        let mut pace = Pace::default();
        let waits = run(&mut pace, start, 0, 30, |n| if n % 10 == 3 { 80 } else { 0 });
        let settled = &waits[300..];
        assert!(settled.iter().enumerate().all(|(n, wait)| *wait == if n % 10 == 3 { 10 } else { 90 }), "{settled:?}");
    }

    #[test]
    fn the_delay_is_gone_half_a_minute_after_the_last_late_picture_and_never_falls_by_more_than_a_millisecond_a_picture() {
        let start = crate::runtime::clock::now();
        let mut pace = Pace::default();
        run(&mut pace, start, 0, 30, |n| n * 67 % 200);
        assert!(pace.delay_us >= 180_000, "{}", pace.delay_us);
        let waits = run(&mut pace, start, 900, 60, |_| 0);
        assert!(waits[900] <= 120 && *waits.last().unwrap() == 0, "{waits:?}");
        assert!(waits.windows(2).skip(1).all(|pair| pair[0] <= pair[1] + 2), "{waits:?}");
    }

    #[test]
    fn nothing_waits_longer_than_the_longest() {
        let start = crate::runtime::clock::now();
        let waits = run(&mut Pace::default(), start, 0, 60, |n| n * 67 % 900);
        assert!(waits.iter().all(|wait| u128::from(*wait) <= LONGEST.as_millis()), "{waits:?}");
    }

    #[test]
    fn pictures_wait_for_their_sound_and_no_longer_once_it_comes_with_them() {
        let start = crate::runtime::clock::now();
        let mut pace = Pace::default();
        let mut picture = |n: u64, for_sound| pace.waits(n * 3000, for_sound, start + Duration::from_micros(n * PICTURE_US)).as_millis();
        let late: Vec<u128> = (1..300).map(|n| picture(n, Duration::from_millis(120))).collect();
        assert!(late[1..].iter().all(|wait| *wait == 120), "{late:?}");
        assert_eq!((300..600).map(|n| picture(n, Duration::ZERO)).last(), Some(0));
        assert_eq!(pace.delay(), Duration::ZERO);
    }

    #[test]
    fn a_sender_s_clock_that_drifts_is_no_lateness() {
        let start = crate::runtime::clock::now();
        for ppm in [-200.0, 200.0] {
            let mut pace = Pace::default();
            for n in 0..30 * 3600 {
                let received = start + Duration::from_secs_f64(n as f64 / 30.0 * (1.0 + ppm * 1e-6));
                assert_eq!(pace.waits(1_000_000 + n * 3000, Duration::ZERO, received), Duration::ZERO, "picture {n} at {ppm} ppm");
            }
        }
    }

    #[test]
    fn a_sender_who_begins_its_time_anew_is_shown_at_once() {
        let start = crate::runtime::clock::now();
        let mut pace = Pace::default();
        run(&mut pace, start, 0, 10, |_| 0);
        for rtp_time in [5, 9_000_000_000, 9_000_003_000] {
            let received = start + Duration::from_secs(11) + Duration::from_micros(rtp_time);
            assert!(pace.waits(rtp_time, Duration::ZERO, received) <= LONGEST);
        }
        let at = start + Duration::from_secs(20);
        assert_eq!(pace.waits(7, Duration::ZERO, at), Duration::ZERO);
    }
}
