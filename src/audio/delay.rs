//! How late a sender's packets are: the slack that a buffer must keep so that nearly all of them are there in time.
//!
//! The *baseline* is the fastest way that packets took lately (smallest arrival minus media time in a
//! window of 2.5 s); it follows the drift between the two clocks and changes of the route. The delays above it
//! fill a histogram that forgets with a time constant of 200 packets; its 99th percentile is what the
//! network asks for. The scheme is that of WebRTC's NetEq delay manager, with percentile and
//! forgetting of our own. Leaves out what a buffer makes of it: that is [`super::jitter`] and [`super::playout`].

use super::MS;

const BUCKET: i64 = 2 * MS;
const BUCKETS: usize = 160;
/// Share of packets that shall be in time.
const QUANTILE: f32 = 0.99;
/// What one packet adds to the histogram in the long run.
const FORGET: f32 = 1.0 / 200.0;
/// How many packets the first guess counts for.
const GUESS_WEIGHT: f32 = 20.0;
const GUESS: usize = 5;
/// Of those that come within this time after the first, one that is so much faster than all before it says that these were held up.
const FIRST: i64 = 500 * MS;
const HELD_UP: i64 = 10 * MS;

const SLOTS: usize = 10;
const SLOT: i64 = 250 * MS;

/// What is added for those beyond the share.
const SPARE: i64 = MS;
/// The slack never exceeds this.
pub const MOST: i64 = 280 * MS;

/// Measures one sender's way through the network.
pub struct Delay {
    /// Smallest offset by stretch of arrival time: (number of the stretch, offset).
    slots: [(i64, i64); SLOTS],
    baseline: i64,
    /// Offset at which bucket 0 begins.
    origin: i64,
    histogram: [f32; BUCKETS],
    seen: f32,
    /// When the first packet of all came.
    began: Option<i64>,
    slack: i64,
}

impl Default for Delay {
    fn default() -> Self {
        Self::new()
    }
}

impl Delay {
    pub fn new() -> Self {
        let mut histogram = [0.0; BUCKETS];
        histogram[GUESS] = 1.0;
        let mut delay =
            Self { slots: [(i64::MIN, i64::MAX); SLOTS], baseline: 0, origin: 0, histogram, seen: GUESS_WEIGHT, began: None, slack: 0 };
        delay.slack = delay.quantile();
        delay
    }

    /// Begins anew at `offset`, for another stream over the same network.
    pub fn rebase(&mut self, arrival: i64, offset: i64) {
        self.slots = [(i64::MIN, i64::MAX); SLOTS];
        self.origin = offset;
        self.baseline = offset;
        self.note(arrival, offset);
    }

    /// Takes a packet's `offset` (arrival minus media time, in samples) into account.
    pub fn observe(&mut self, arrival: i64, offset: i64) {
        let began = *self.began.get_or_insert(arrival);
        if arrival - began < FIRST && offset + HELD_UP < self.baseline {
            // A connection that comes about lets go of what it has held up all at once: that says nothing of what follows.
            *self = Self { began: self.began, ..Self::new() };
            self.rebase(arrival, offset);
        }
        self.note(arrival, offset);
        self.shift_to_baseline();
        let above = offset.saturating_sub(self.origin).max(0) / BUCKET;
        let bucket = usize::try_from(above).unwrap_or(0).min(BUCKETS - 1);
        self.seen += 1.0;
        let share = FORGET.max(1.0 / self.seen);
        for mass in &mut self.histogram {
            *mass *= 1.0 - share;
        }
        self.histogram[bucket] += share;
        self.slack = self.quantile();
    }

    /// Offset of the fastest packets of late.
    pub fn baseline(&self) -> i64 {
        self.baseline
    }

    /// By how much the slowest packets of note come later than the fastest, 1–280 ms, in samples.
    pub fn slack(&self) -> i64 {
        self.slack
    }

    fn note(&mut self, arrival: i64, offset: i64) {
        let stretch = arrival.div_euclid(SLOT);
        let slot = &mut self.slots[stretch.rem_euclid(SLOTS as i64) as usize];
        *slot = if slot.0 == stretch { (stretch, slot.1.min(offset)) } else { (stretch, offset) };
        let oldest = stretch - SLOTS as i64;
        let recent = self.slots.iter().filter(|(number, _)| *number > oldest);
        self.baseline = recent.map(|(_, offset)| *offset).min().unwrap_or(offset);
    }

    /// Keeps old delays where they were when the baseline moves.
    fn shift_to_baseline(&mut self) {
        let buckets = (self.baseline - self.origin) / BUCKET;
        if buckets == 0 {
            return;
        }
        self.origin += buckets * BUCKET;
        let by = usize::try_from(buckets.unsigned_abs()).unwrap_or(BUCKETS).min(BUCKETS - 1);
        if buckets > 0 {
            let fallen: f32 = self.histogram[..by].iter().sum();
            self.histogram.copy_within(by.., 0);
            self.histogram[BUCKETS - by..].fill(0.0);
            self.histogram[0] += fallen;
        } else {
            let risen: f32 = self.histogram[BUCKETS - by..].iter().sum();
            self.histogram.copy_within(..BUCKETS - by, by);
            self.histogram[..by].fill(0.0);
            self.histogram[BUCKETS - 1] += risen;
        }
    }

    fn quantile(&self) -> i64 {
        let mut rest = 1.0 - QUANTILE;
        let mut bucket = BUCKETS - 1;
        while bucket > 0 && self.histogram[bucket] < rest {
            rest -= self.histogram[bucket];
            bucket -= 1;
        }
        // Within the bucket as if its packets were spread evenly.
        let within = (1.0 - rest / self.histogram[bucket].max(rest).max(f32::MIN_POSITIVE)) * BUCKET as f32;
        (self.origin - self.baseline + bucket as i64 * BUCKET + within as i64 + SPARE).clamp(SPARE, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: i64 = 20 * MS;

    /// Feeds `count` packets from number `from` on, each late by what `late` says (samples).
    fn feed(delay: &mut Delay, from: i64, count: i64, mut late: impl FnMut(i64) -> i64) {
        for n in from..from + count {
            let offset = late(n);
            delay.observe(n * PACKET + offset, offset);
        }
    }

    /// 0…`most`, the same in each run.
    fn noise(n: i64, most: i64) -> i64 {
        let mixed = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        mixed as i64 % (most + 1)
    }

    #[test]
    fn a_calm_sender_waits_little() {
        let mut delay = Delay::new();
        feed(&mut delay, 0, 1500, |n| noise(n, MS));
        assert!((2 * MS..=6 * MS).contains(&delay.slack()), "{} ms", delay.slack() / MS);
    }

    #[test]
    fn what_comes_in_a_burst_at_the_beginning_makes_nothing_late() {
        let mut delay = Delay::new();
        delay.rebase(4 * PACKET, 4 * PACKET);
        for n in 0..4 {
            delay.observe(4 * PACKET, (4 - n) * PACKET);
        }
        feed(&mut delay, 5, 20, |_| 0);
        assert_eq!(delay.baseline(), 0);
        assert!(delay.slack() <= 14 * MS, "{} ms", delay.slack() / MS);
        feed(&mut delay, 25, 50, |n| if n % 10 == 0 { 60 * MS } else { 0 });
        assert!(delay.slack() > 50 * MS, "later bursts count: {} ms", delay.slack() / MS);
    }

    #[test]
    fn the_first_guess_is_moderate() {
        assert!((10 * MS..=20 * MS).contains(&Delay::new().slack()));
    }

    #[test]
    fn jitter_of_200_ms_raises_the_slack_within_3_s_and_30_s_of_calm_lower_it() {
        let mut delay = Delay::new();
        feed(&mut delay, 0, 500, |n| noise(n, MS));
        feed(&mut delay, 500, 150, |n| noise(n, 200 * MS));
        assert!((180 * MS..=280 * MS).contains(&delay.slack()), "{} ms", delay.slack() / MS);
        feed(&mut delay, 650, 1500, |n| noise(n, MS));
        assert!(delay.slack() < 40 * MS, "{} ms", delay.slack() / MS);
    }

    #[test]
    fn one_late_packet_does_not_raise_the_slack_but_a_habit_does() {
        let mut delay = Delay::new();
        feed(&mut delay, 0, 1000, |_| 0);
        let calm = delay.slack();
        feed(&mut delay, 1000, 1, |_| 150 * MS);
        assert_eq!(delay.slack(), calm);
        feed(&mut delay, 1001, 100, |n| if n % 20 == 0 { 100 * MS } else { 0 });
        assert!(delay.slack() > 100 * MS);
    }

    #[test]
    fn drift_moves_the_baseline_and_not_the_slack() {
        let mut delay = Delay::new();
        feed(&mut delay, 0, 1500, |_| 0);
        let calm = delay.slack();
        feed(&mut delay, 1500, 180_000, |n| (n - 1500) * PACKET / 10_000);
        assert!((delay.slack() - calm).abs() <= 4 * MS);
        assert!((delay.baseline() - 180_000 * PACKET / 10_000).abs() < MS);
        feed(&mut delay, 181_500, 180_000, |n| (181_500 + 180_000 - n) * PACKET / 10_000);
        assert!((delay.slack() - calm).abs() <= 4 * MS);
    }

    #[test]
    fn a_longer_route_is_no_jitter_once_it_stays() {
        let mut delay = Delay::new();
        feed(&mut delay, 0, 1000, |_| 0);
        feed(&mut delay, 1000, 300, |_| 150 * MS);
        assert!((delay.baseline() - 150 * MS).abs() < MS);
        assert!(delay.slack() < 20 * MS, "{} ms", delay.slack() / MS);
    }
}
