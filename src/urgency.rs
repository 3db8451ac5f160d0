//! Threads that must not wait for other programs: a mix comes every 20 ms, and what arrives has a time of arrival.
//!
//! They take little of a processor, and go before everything of usual urgency, pictures of this server included. Real-time scheduling (sched(7)) would
//! be surer of its turn, and stops the machine where it is wrong.

/// Above what is usual, as nice values go (setpriority(2)): ten times the share of a processor that is fought for.
pub const NICE: i32 = -10;

/// The calling thread is urgent from now on. False: the system does not let this process have that (CAP_SYS_NICE, RLIMIT_NICE), and it goes on as it is.
pub fn claim() -> bool {
    // Elsewhere this is about the whole process.
    cfg!(target_os = "linux") && rustix::process::setpriority_process(None, NICE).is_ok()
}
