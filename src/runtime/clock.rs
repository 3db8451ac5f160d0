//! The one place that reads the time. Everything else takes it as a parameter.

use std::time::{Instant, SystemTime};

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

/// A wall-clock time as RFC 3339 in UTC with milliseconds.
pub fn rfc3339(at: SystemTime) -> String {
    let at = time::OffsetDateTime::from(at);
    let millis = at.nanosecond() / 1_000_000 * 1_000_000;
    let at = at.replace_nanosecond(millis).unwrap_or(at);
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
