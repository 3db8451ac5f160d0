//! Ticks and media time. A tick's number is the only source of RTP timestamps: video n·90000/fps,
//! audio n·960, both counted from one epoch per room, so that sound and picture are in step by construction.

use std::time::{Duration, Instant};

/// A regular beat from an epoch on.
#[derive(Debug, Clone, Copy)]
pub struct Cadence {
    epoch: Instant,
    /// Ticks per `per` seconds, kept as a ratio so that no error adds up.
    ticks_per_second: u32,
}

impl Cadence {
    /// `ticks_per_second`: at least 1.
    pub fn new(epoch: Instant, ticks_per_second: u32) -> Self {
        Self { epoch, ticks_per_second: ticks_per_second.max(1) }
    }

    /// From one tick to the next.
    pub fn period(&self) -> Duration {
        Duration::from_secs(1) / self.ticks_per_second
    }

    /// How many ticks after the epoch a moment is.
    pub fn turns(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.epoch).as_secs_f64() * f64::from(self.ticks_per_second)
    }

    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    pub fn ticks_per_second(&self) -> u32 {
        self.ticks_per_second
    }

    /// Nominal time of tick `n`.
    pub fn time(&self, n: u64) -> Instant {
        let rate = u64::from(self.ticks_per_second);
        let nanos = (n % rate) * 1_000_000_000 / rate;
        self.epoch + Duration::from_secs(n / rate) + Duration::from_nanos(nanos)
    }

    /// The first tick whose nominal time is not before `now`.
    pub fn next(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        let rate = u128::from(self.ticks_per_second);
        let whole = (since.as_nanos() * rate).div_ceil(1_000_000_000);
        let mut n = u64::try_from(whole).unwrap_or(u64::MAX);
        while n > 0 && self.time(n - 1) >= now {
            n -= 1;
        }
        n
    }

    /// Whether tick `n` is one of `fps` per second, as even as they can be.
    pub fn is_beat(&self, n: u64, fps: u32) -> bool {
        let (rate, fps) = (u64::from(self.ticks_per_second), u64::from(fps));
        fps >= rate || n == 0 || n * fps / rate != (n - 1) * fps / rate
    }

    /// RTP time of tick `n` at `clock_rate` Hz.
    pub fn rtp_time(&self, n: u64, clock_rate: u32) -> u64 {
        n * u64::from(clock_rate) / u64::from(self.ticks_per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_ticks_has_no_drift() {
        let epoch = crate::runtime::clock::now();
        let cadence = Cadence::new(epoch, 30);
        assert_eq!(cadence.time(30 * 3600), epoch + Duration::from_secs(3600));
        assert_eq!(cadence.rtp_time(30 * 3600, 90_000), 3600 * 90_000);
    }

    #[test]
    fn beats_are_as_many_as_they_should_be_and_evenly_apart() {
        let cadence = Cadence::new(crate::runtime::clock::now(), 30);
        for fps in [1, 7, 10, 15, 25, 29, 30, 60] {
            let beats: Vec<u64> = (0..300).filter(|n| cadence.is_beat(*n, fps)).collect();
            assert_eq!(beats.len(), 10 * fps.min(30) as usize, "{fps}");
            let gaps = beats.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(gaps.clone().max().unwrap() - gaps.min().unwrap() <= 1, "{fps}");
        }
    }

    #[test]
    fn next_tick_is_never_in_the_past_and_never_more_than_one_period_away() {
        let epoch = crate::runtime::clock::now();
        let cadence = Cadence::new(epoch, 30);
        for micros in [0, 1, 33_332, 33_333, 33_334, 66_666, 1_000_000, 999_999] {
            let now = epoch + Duration::from_micros(micros);
            let n = cadence.next(now);
            assert!(cadence.time(n) >= now);
            assert!(n == 0 || cadence.time(n - 1) < now);
        }
    }
}
