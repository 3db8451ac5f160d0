//! When an output that failed is tried again, and when no more.
//!
//! Waits double from a second to a minute and differ by a fifth to either side. An output that has run for a while begins anew with the shortest; one
//! that has not come up for as long as it may try is given up.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Waits differ by up to so much to either side, so that many outputs do not come back at once.
const JITTER: f64 = 0.2;
/// Who has run for so long has not failed in a row.
const STEADY: Duration = Duration::from_secs(30);

/// What became of an attempt. Their names are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing answers there.
    Connect,
    /// The name leads nowhere, or to no address that may be asked.
    Address,
    Timeout,
    /// The other side does not want it: credentials, name or codec.
    Refused,
    /// No certificate that can be trusted.
    Tls,
    /// It ran, and the other side has ended it.
    Closed,
    /// The other side takes less than there is.
    Slow,
    /// The program that sends it could not be run, or ended for reasons of its own.
    Program,
    Requested,
    RoomEnded,
    Shutdown,
    InternalError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EgressState)]
pub enum State {
    #[default]
    Starting,
    Active,
    /// It is tried again.
    Interrupted,
    Stopping,
    Complete,
    /// It was given up.
    Failed,
}

impl State {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }
}

/// The life of one output.
#[derive(Debug, Clone)]
pub struct Life {
    state: State,
    reason: Option<Reason>,
    /// In a row.
    failures: u32,
    /// When it began, or was active last.
    alive: Instant,
    active_since: Option<Instant>,
    give_up: Duration,
}

impl Life {
    /// `give_up`: how long it may try without coming up.
    pub fn new(give_up: Duration, now: Instant) -> Self {
        Self { state: State::Starting, reason: None, failures: 0, alive: now, active_since: None, give_up }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Why it is not active.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Attempts that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It has come up. False: it is up, or has ended.
    pub fn up(&mut self, now: Instant) -> bool {
        if self.state.is_final() || self.state == State::Active {
            return false;
        }
        (self.state, self.reason, self.active_since) = (State::Active, None, Some(now));
        true
    }

    /// An attempt has ended. The wait until the next one; `None`: there is none. `random` is in 0…1.
    pub fn down(&mut self, now: Instant, reason: Reason, random: f64) -> Option<Duration> {
        if self.state.is_final() {
            return None;
        }
        if let Some(since) = self.active_since.take() {
            self.alive = now;
            if now.saturating_duration_since(since) >= STEADY {
                self.failures = 0;
            }
        }
        self.failures += 1;
        self.reason = Some(reason);
        if now.saturating_duration_since(self.alive) >= self.give_up {
            self.state = State::Failed;
            return None;
        }
        self.state = State::Interrupted;
        Some(delay(self.failures, random))
    }

    /// The end that was wished for, or one without remedy.
    pub fn end(&mut self, state: State, reason: Reason) {
        if !self.state.is_final() {
            (self.state, self.reason) = (state, Some(reason));
        }
    }
}

fn delay(failures: u32, random: f64) -> Duration {
    let step = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    step.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn life() -> (Life, Instant) {
        let start = crate::runtime::clock::now();
        (Life::new(secs(600), start), start)
    }

    #[test]
    fn waits_double_to_a_minute_and_differ_by_a_fifth() {
        let middle: Vec<u64> = (1..=9).map(|failures| delay(failures, 0.5).as_secs()).collect();
        assert_eq!(middle, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!((delay(2, 0.0).as_millis(), delay(2, 1.0).as_millis()), (1600, 2400));
        assert_eq!(delay(u32::MAX, 0.5), secs(60));
    }

    #[test]
    fn who_has_run_for_a_while_is_tried_at_once_again_and_who_flaps_ever_later() {
        let (mut life, start) = life();
        assert_eq!(life.down(start, Reason::Connect, 0.5), Some(secs(1)));
        assert_eq!((life.state(), life.reason(), life.failures()), (State::Interrupted, Some(Reason::Connect), 1));
        assert!(life.up(start + secs(1)) && !life.up(start + secs(2)));
        assert_eq!((life.state(), life.reason()), (State::Active, None));
        assert_eq!(life.down(start + secs(3), Reason::Closed, 0.5), Some(secs(2)), "two seconds are no while");
        assert!(life.up(start + secs(5)));
        assert_eq!(life.down(start + secs(40), Reason::Closed, 0.5), Some(secs(1)));
    }

    #[test]
    fn what_never_comes_up_is_given_up_and_what_ran_has_its_time_anew() {
        let (mut life, start) = life();
        assert!(life.down(start + secs(599), Reason::Connect, 0.5).is_some());
        assert!(life.up(start + secs(599)));
        assert!(life.down(start + secs(700), Reason::Closed, 0.5).is_some());
        assert!(life.down(start + secs(1299), Reason::Refused, 0.5).is_some());
        assert_eq!(life.down(start + secs(1300), Reason::Refused, 0.5), None);
        assert_eq!((life.state(), life.reason()), (State::Failed, Some(Reason::Refused)));
        assert!(!life.up(start + secs(1301)));
        life.end(State::Complete, Reason::Requested);
        assert_eq!(life.state(), State::Failed, "the first end counts");
    }
}
