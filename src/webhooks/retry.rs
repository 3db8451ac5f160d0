//! When an endpoint that failed is asked again.
//!
//! The steps are those of Standard Webhooks up to an hour. Its longer ones are left out: events go out in order here, so that a
//! later one would wait behind the first for as long.

use std::time::Duration;

const STEPS: [Duration; 4] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(300), Duration::from_secs(1800)];
/// Every further step, and the longest wait that an endpoint may ask for.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// Waits differ by up to so much to either side, so that many senders do not come back at once.
const JITTER: f64 = 0.2;

/// The wait after the endpoint's `failures`th failure in a row. `random` is in 0…1; `asked` is what the endpoint said in
/// `Retry-After`.
pub fn delay(failures: u32, random: f64, asked: Option<Duration>) -> Duration {
    let step = STEPS.get(failures.saturating_sub(1) as usize).copied().unwrap_or(LONGEST);
    let factor = 1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0);
    step.mul_f64(factor).max(asked.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour_and_differ_by_a_fifth() {
        let middle: Vec<u64> = (1..=7).map(|failures| delay(failures, 0.5, None).as_secs()).collect();
        assert_eq!(middle, [5, 30, 300, 1800, 3600, 3600, 3600]);
        assert_eq!((delay(1, 0.0, None).as_secs(), delay(1, 1.0, None).as_secs()), (4, 6));
        assert_eq!(delay(u32::MAX, 1.0, None).as_secs(), 4320);
    }

    #[test]
    fn an_endpoint_may_ask_for_longer_but_not_for_ever() {
        let ask = |seconds| delay(1, 0.5, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!((ask(1), ask(90), ask(u64::MAX)), (5, 90, 3600));
    }
}
