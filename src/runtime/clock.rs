//! The one place that reads the time. Everything else takes it as a parameter.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// Monotonic time: media, timers, deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time: logs, tokens, event stamps.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Processor time that this thread has taken so far. A system call, of a third of a microsecond.
pub fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

/// Processor time that all threads of this process have taken so far.
pub fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// A wall-clock time as RFC 3339 in UTC with milliseconds.
pub fn rfc3339(at: SystemTime) -> String {
    let at = time::OffsetDateTime::from(at);
    let millis = at.nanosecond() / 1_000_000 * 1_000_000;
    let at = at.replace_nanosecond(millis).unwrap_or(at);
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
