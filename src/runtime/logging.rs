//! Logs: text for people, JSON for machines, to standard error. No SDP, no tokens, no names.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Crates of the WebRTC stack, which write down keys, descriptions and packets when they are asked for much.
const TELLTALES: [&str; 6] = ["str0m", "is", "dimpl", "sctp_proto", "str0m_proto", "str0m_aws_lc_rs"];

fn tells_secrets(target: &str, level: tracing::Level) -> bool {
    level > tracing::Level::INFO && TELLTALES.contains(&target.split("::").next().unwrap_or_default())
}

/// Starts logging for the whole process; the second call and those after it do nothing.
pub fn start(log: &Log) {
    let filter: Targets = log.filter.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let layer = match log.format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => fmt::layer().with_writer(std::io::stderr).json().flatten_event(true).boxed(),
    };
    let discreet = filter_fn(|event| !tells_secrets(event.target(), *event.level()));
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter.and(discreet))).try_init();
}
