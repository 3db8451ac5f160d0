//! What a server costs, read from outside: the kernel's account of its process, and its own metrics.

use super::setup::Setup;
use crate::client::{Target, signalling};
use crate::demo::server::{Usage, metric, usage_of};
use crate::runtime::clock;
use std::collections::BTreeMap;
use std::time::Instant;

/// The server that is loaded.
#[derive(Debug, Clone)]
pub struct Meter {
    pub target: Target,
    /// `None`: it is on another machine, or nobody said which process it is.
    pub pid: Option<u32>,
}

/// What both say at one moment.
#[derive(Debug, Clone)]
pub struct Reading {
    pub at: Instant,
    pub usage: Option<Usage>,
    /// Text of `/metrics`; `None`: it does not answer.
    pub metrics: Option<String>,
}

impl Meter {
    pub async fn read(&self) -> Reading {
        let (at, usage) = (clock::now(), self.pid.and_then(usage_of));
        let metrics = match self.target.base.join("metrics") {
            Ok(url) => signalling::get(url, self.target.token.as_deref()).await.ok(),
            Err(_) => None,
        };
        Reading { at, usage, metrics }
    }

    /// What the server says that rooms of this shape cost, in processor milliseconds per second; `None`: it says nothing, or knows no such shape.
    pub async fn estimate(&self, setup: &Setup) -> Option<f64> {
        let url = self.target.base.join("v1/estimate").ok()?;
        let quote = signalling::post(url, self.target.token.as_deref(), &setup.shape()?).await.ok()?;
        Some(quote.get("cpu_ms_per_s")?.as_f64()? * f64::from(setup.rooms))
    }
}

/// What happened between two readings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// Processor milliseconds per second, all threads.
    pub cpu_ms: Option<f64>,
    pub resident_bytes: Option<u64>,
    /// Ticks that the server says it missed, in percent of all.
    pub missed: Option<f64>,
    /// Processor milliseconds per second by stage, where the server accounts for them.
    pub stages: BTreeMap<String, f64>,
    pub sharing: Option<f64>,
}

impl Cost {
    pub fn between(before: &Reading, after: &Reading) -> Self {
        let seconds = after.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
        let cpu = |(before, after): (Usage, Usage)| after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1000.0 / seconds;
        // A counter that has never counted is not listed; one that was not read is not known.
        let both = before.metrics.as_deref().zip(after.metrics.as_deref());
        let grown = |name: &str| both.and_then(|(before, after)| Some(metric(after, name)? - metric(before, name).unwrap_or(0.0)));
        let ticks = grown("mixdown_ticks_total").filter(|ticks| *ticks > 0.0);
        let missed = grown("mixdown_ticks_missed_total").unwrap_or(0.0);
        let (before_stages, after_stages) = both.map(|(before, after)| (stages(before), stages(after))).unwrap_or_default();
        let stage = |(name, seconds_of): (String, f64)| {
            let ms = (seconds_of - before_stages.get(&name).unwrap_or(&0.0)) * 1000.0 / seconds;
            (ms > 0.0).then_some((name, ms))
        };
        Self {
            cpu_ms: before.usage.zip(after.usage).map(cpu),
            resident_bytes: after.usage.map(|usage| usage.resident_bytes),
            missed: ticks.map(|ticks| 100.0 * missed / ticks),
            stages: after_stages.into_iter().filter_map(stage).collect(),
            sharing: both.and_then(|(_, after)| metric(after, "mixdown_encode_sharing_ratio")),
        }
    }
}

/// Every counter of processor seconds that has a stage: whatever its name, `…cpu_seconds_total{stage="…"}`.
fn stages(metrics: &str) -> BTreeMap<String, f64> {
    let mut stages = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("mixdown_")) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Some((name, labels)) = series.split_once('{') else { continue };
        if !name.ends_with("cpu_seconds_total") {
            continue;
        }
        let stage = labels.split_once("stage=\"").and_then(|(_, rest)| rest.split('"').next());
        if let (Some(stage), Ok(value)) = (stage, value.parse::<f64>()) {
            *stages.entry(stage.to_owned()).or_default() += value;
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn reading(at: Instant, cpu_ms: u64, metrics: &str) -> Reading {
        let usage = Usage { cpu: Duration::from_millis(cpu_ms), resident_bytes: 5, ..Usage::default() };
        Reading { at, usage: Some(usage), metrics: Some(metrics.into()) }
    }

    #[test]
    fn a_cost_is_the_difference_of_two_readings_per_second() {
        let from = clock::now();
        let before = "mixdown_ticks_total 100\nmixdown_cpu_seconds_total{stage=\"decode\"} 1\n";
        let after = "mixdown_ticks_total 300\nmixdown_ticks_missed_total 1\nmixdown_encode_sharing_ratio 4\n\
            mixdown_cpu_seconds_total{room=\"a\",stage=\"decode\"} 1.5\nmixdown_cpu_seconds_total{stage=\"encode\"} 2\nother_cpu_seconds_total{stage=\"x\"} 9\n";
        let cost = Cost::between(&reading(from, 100, before), &reading(from + Duration::from_secs(10), 3_100, after));
        assert_eq!((cost.cpu_ms, cost.resident_bytes, cost.missed, cost.sharing), (Some(300.0), Some(5), Some(0.5), Some(4.0)));
        assert_eq!(cost.stages, BTreeMap::from([("decode".into(), 50.0), ("encode".into(), 200.0)]));
    }

    #[test]
    fn a_server_that_says_nothing_is_not_measured() {
        let silent = Reading { at: clock::now(), usage: None, metrics: None };
        assert_eq!(Cost::between(&silent, &silent), Cost::default());
        let text = "mixdown_ticks_total 300\nmixdown_encode_sharing_ratio 4\nmixdown_cpu_seconds_total{stage=\"decode\"} 1\n";
        let late = reading(silent.at + Duration::from_secs(10), 100, text);
        let cost = Cost::between(&silent, &late);
        assert_eq!((cost.missed, cost.sharing, cost.stages.len()), (None, None, 0), "what was before is not known");
    }
}
