//! One sender's clock on the room's.
//!
//! Senders' timestamps are regular, arrivals are on the right clock: the distance between them is that of whoever came fastest within the last
//! seconds, and is followed slowly, so that neither jitter nor drift is heard or seen. A sender that begins to count anew is believed.

use crate::record::mp4::Ticks;

/// Arrivals of so long are compared.
const WINDOW: i64 = 2 * Ticks::PER_SECOND as i64;
/// A distance that changes by more than this is no drift.
const JUMP: i64 = Ticks::PER_SECOND as i64 / 2;

/// See the module.
#[derive(Debug)]
pub struct Clock {
    /// Parts of passing time by which the distance is corrected at most: one in so many.
    slew: i64,
    /// From the sender's time to the room's.
    distance: i64,
    /// The least that was seen in the window before, and in this one.
    before: i64,
    least: i64,
    window: i64,
    /// The sender's time of the newest unit.
    last: Option<i64>,
}

impl Clock {
    /// `slew`: see the field; 50 is not seen, 200 is not heard.
    pub fn new(slew: i64) -> Self {
        Self { slew, distance: 0, before: i64::MAX, least: i64::MAX, window: 0, last: None }
    }

    /// When a unit is on the room's clock: `sent` by its sender's clock, `came` on the room's.
    pub fn place(&mut self, sent: Ticks, came: Ticks) -> Ticks {
        let (sent, came) = (signed(sent), signed(came));
        let now = came - sent;
        let Some(last) = self.last else {
            (self.distance, self.least, self.window, self.last) = (now, now, came, Some(sent));
            return unsigned(sent + now);
        };
        if came - self.window >= WINDOW {
            (self.before, self.least, self.window) = (self.least, now, came);
        }
        self.least = self.least.min(now);
        let wanted = self.least.min(self.before);
        let off = wanted - self.distance;
        if off.abs() > JUMP {
            self.distance = wanted;
            // What was seen before is of another count.
            (self.before, self.least) = (i64::MAX, now);
            self.distance = if off < 0 { now } else { self.distance };
        } else {
            let most = ((sent - last).abs() / self.slew).min(JUMP);
            self.distance += off.clamp(-most, most);
        }
        self.last = Some(sent);
        unsigned(sent + self.distance)
    }
}

fn signed(ticks: Ticks) -> i64 {
    i64::try_from(ticks.0).unwrap_or(i64::MAX / 4)
}

fn unsigned(ticks: i64) -> Ticks {
    Ticks(u64::try_from(ticks).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = Ticks::PER_SECOND / 1000;

    #[test]
    fn two_hours_at_a_hundred_ppm_with_jitter_stay_within_five_milliseconds() {
        for ppm in [-100i64, 100] {
            let (mut clock, mut worst, mut before) = (Clock::new(200), 0, 0);
            for n in 0..2 * 3600 * 50u64 {
                let truth = n * 20 * MS + 1000 * MS;
                let sent = (truth as i64 + truth as i64 / 1_000_000 * ppm) as u64 + 77 * Ticks::PER_SECOND;
                let jitter = n.wrapping_mul(2_654_435_761) % 25 * MS;
                let at = clock.place(Ticks(sent), Ticks(truth + jitter)).0;
                assert!(at > before, "in order");
                before = at;
                if n > 500 {
                    worst = worst.max(at.abs_diff(truth));
                }
            }
            assert!(worst <= 5 * MS, "{ppm} ppm: {} ms", worst / MS);
        }
    }

    #[test]
    fn a_burst_after_a_stall_keeps_its_times_and_a_sender_that_counts_anew_is_believed() {
        let mut clock = Clock::new(50);
        for n in 0..100 {
            clock.place(Ticks(n * 33 * MS), Ticks(n * 33 * MS + 5 * MS));
        }
        let late = clock.place(Ticks(100 * 33 * MS), Ticks(100 * 33 * MS + 405 * MS));
        assert!(late.0.abs_diff(100 * 33 * MS + 5 * MS) < 2 * MS, "it is late, not the clock");
        for n in 0..100 {
            let came = (4000 + n * 33) * MS;
            let at = clock.place(Ticks(900_000 * MS + n * 33 * MS), Ticks(came));
            assert!(at.0.abs_diff(came) <= 40 * MS, "{n}: {}", at.0.abs_diff(came) / MS);
        }
    }
}
