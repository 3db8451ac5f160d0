//! Wiring: the one clock, logs, metrics, shutdown, and the server as a whole.

pub mod clock;
pub mod doctor;
pub mod logging;
pub mod media;
pub mod metrics;
mod overload;
mod pictures;
mod recordings;
pub mod reload;
pub mod serve;
pub mod shutdown;
pub mod version;
