//! Overload: what is given up where the processor does not suffice, in which order, and who is still let in.
//!
//! [`Governor`] walks down the ladder of [`Step`]s while ticks come late or the processor is used up, and back once it has been calm.
//! [`Admission`] says whether newcomers are welcome. Both are pure: a [`Load`] and the time in, a decision out. [`Guard`] steps them together,
//! [`Punctuality`] counts ticks that come late, [`host`] reads what the kernel says, and [`Monitor`] is where the rooms and the API look.
//!
//! Deliberately absent: sound. Nothing here ever touches it.

mod admission;
mod governor;
mod guard;
pub mod host;
mod monitor;
mod punctuality;
mod step;

pub use admission::{Admission, Refusal};
pub use governor::Governor;
pub use guard::{Guard, Status};
pub use monitor::Monitor;
pub use punctuality::{Punctuality, Ticks};
pub use step::Step;

use std::time::Duration;

/// How often the load is looked at.
pub const PERIOD: Duration = Duration::from_millis(250);

/// What a process has to do with, since it was looked at before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Processor time used, as a share of what this process may use: 0–1. `None`: the system does not say.
    pub cpu: Option<f64>,
    /// Processors that it may use.
    pub cores: f64,
    /// Ticks of canvases and of mixes.
    pub pictures: Ticks,
    pub sounds: Ticks,
    /// Memory of this process's own, and the most that it may have.
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
}

/// When it is too much. Shares are 0–1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Whether pictures are made cheaper under load.
    pub governor: bool,
    /// Share of the processor from which on they are, and up to which they are made good again.
    pub down_cpu: f64,
    pub up_cpu: f64,
    /// Whether newcomers are refused under load.
    pub admission: bool,
    /// Share of the processor from which on they are.
    pub admission_cpu: f64,
    /// The most memory; `None`: nine tenths of what the machine or the container has.
    pub memory_bytes: Option<u64>,
    /// When who was refused shall ask again.
    pub retry_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            governor: true,
            down_cpu: 0.95,
            up_cpu: 0.7,
            admission: true,
            admission_cpu: 0.85,
            memory_bytes: None,
            retry_after: Duration::from_secs(10),
        }
    }
}
