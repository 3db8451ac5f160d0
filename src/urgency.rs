//! Threads that must not wait for other programs: a mix comes every 20 ms, and what arrives has a time of arrival.
//!
//! They take little of a processor, and go before everything of usual urgency, pictures of this server included. What is asked for and refused is left:
//! the thread goes on as it is. A system lets root have it, who has CAP_SYS_NICE, and others within RLIMIT_RTPRIO and RLIMIT_NICE.

/// How urgent a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Its turn comes as that of all programs does.
    Usual,
    /// Ten times the share of a processor that is fought for, and mostly an early turn: nice −10 (setpriority(2)).
    Early,
    /// Its turn comes at once: real time, round robin (sched(7)). Quotas of groups do not stop it; the kernel leaves others a twentieth of its processor.
    AtOnce,
}

/// Of the hundred priorities in real time the lowest: before all that is not, behind whatever else a machine has in it.
#[cfg(target_os = "linux")]
const PRIORITY: u8 = 1;
#[cfg(target_os = "linux")]
const NICE: i32 = -10;

/// The calling thread is as urgent as that from now on, or as far as the system permits. For what runs for a moment at a time and waits in between;
/// what strangers can keep busy has no business in real time.
#[cfg(target_os = "linux")]
pub fn claim(urgency: Urgency) -> Urgency {
    use thread_priority::{RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy};
    let at_once = || {
        let priority = ThreadPriority::Crossplatform(ThreadPriorityValue::try_from(PRIORITY).ok()?);
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
        thread_priority::set_thread_priority_and_policy(thread_priority::thread_native_id(), priority, policy).ok()
    };
    let early = || rustix::process::setpriority_process(None, NICE).is_ok();
    match urgency {
        Urgency::AtOnce if at_once().is_some() => Urgency::AtOnce,
        Urgency::AtOnce | Urgency::Early if early() => Urgency::Early,
        _ => Urgency::Usual,
    }
}

/// Elsewhere than on Linux threads stay as they are.
#[cfg(not(target_os = "linux"))]
pub fn claim(_: Urgency) -> Urgency {
    Urgency::Usual
}
