//! Logs: text for people, JSON for machines, to standard error. No SDP, no tokens, no names.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Starts logging for the whole process; the second call and those after it do nothing.
pub fn start(log: &Log) {
    let filter: Targets = log.filter.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let layer = match log.format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => fmt::layer().with_writer(std::io::stderr).json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
