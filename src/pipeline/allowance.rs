//! How much of the processor pictures may take where a quota has been used up. Pure: time and what was taken in, a wait out.
//!
//! Under a quota the kernel stops a whole process, its sound too, for the rest of each period (a tenth of a second) in which it has taken too
//! much. Workers that wait by themselves, a few milliseconds at a time, leave sound what it needs.

use std::time::{Duration, Instant};

/// What may be taken at once, as so much time of the rate.
const BURST: Duration = Duration::from_millis(10);

/// A bucket of processor time that fills at a rate.
#[derive(Debug, Default)]
pub struct Allowance {
    /// Processors; `None`: no end to it.
    rate: Option<f64>,
    /// Seconds of a processor that are left; below 0: owed.
    left: f64,
    filled: Option<Instant>,
}

impl Allowance {
    pub fn set(&mut self, rate: Option<f64>) {
        if self.rate.is_none() {
            (self.left, self.filled) = (0.0, None);
        }
        self.rate = rate;
    }

    /// So much was taken.
    pub fn take(&mut self, cpu: Duration) {
        if self.rate.is_some() {
            self.left -= cpu.as_secs_f64();
        }
    }

    /// How long to wait before more is taken; `None`: not at all.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        let before = self.filled.replace(now).unwrap_or(now);
        let filled = self.left + rate * now.saturating_duration_since(before).as_secs_f64();
        self.left = filled.min(rate * BURST.as_secs_f64());
        // A rate of next to nothing is no reason to sleep through a change of it.
        (self.left < 0.0).then(|| Duration::from_secs_f64((-self.left / rate).clamp(0.0001, 0.02)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Takes jobs of so many ms one after the other for a second; returns what was taken of it, and the most in any tenth of it, in ms.
    fn greedy(rate: Option<f64>, job: u64) -> (u64, u64) {
        let start = crate::runtime::clock::now();
        let (mut allowance, mut now, mut taken) = (Allowance::default(), start, Vec::new());
        allowance.set(rate);
        while now < start + ms(1000) {
            match allowance.wait(now) {
                Some(wait) => now += wait,
                None => {
                    now += ms(job);
                    allowance.take(ms(job));
                    taken.push(now - start);
                }
            }
        }
        let within = |from: u64| taken.iter().filter(|at| (ms(from)..ms(from + 100)).contains(*at)).count() as u64 * job;
        (taken.len() as u64 * job, (0..900).map(within).max().unwrap())
    }

    #[test]
    fn what_is_taken_keeps_to_the_rate_in_each_tenth_of_a_second_and_without_one_nobody_waits() {
        for (rate, job) in [(0.5, 1), (0.5, 8), (0.2, 15)] {
            let (all, most) = greedy(Some(rate), job);
            let fair = (rate * 1000.0) as u64;
            assert!((fair - job..=fair + job + 10).contains(&all), "{rate} {job}: {all}");
            assert!(most <= fair / 10 + 10 + job, "{rate} {job}: {most}");
        }
        assert_eq!(greedy(None, 8).0, 1000);
    }
}
