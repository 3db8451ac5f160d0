//! Looks at the load four times a second, tells rooms and the API what comes of it, and says so.

use super::clock;
use crate::overload::host::{Limits, Usage};
use crate::overload::{Guard, Load, Monitor, PERIOD, Punctuality, Settings, Status, Step, Ticks, host};
use crate::pipeline::pool::Pool;
use crate::{ledger, process};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do about it, for the log.
const REMEDY: &str =
    "give it more processors or a larger quota, move rooms to another server, or lower rooms.canvas and rooms.max_participants";

/// How much of a quota is used at most, and how much of it pictures get at least.
const OF_QUOTA: f64 = 0.95;
const LEAST_OF_QUOTA: f64 = 0.1;
/// What the process may use is in a dozen files, and seldom changes. Where ticks come late it may just have.
const LIMITS_AGE: Duration = Duration::from_secs(1);

/// The thread ends when this is dropped.
pub struct Watchman {
    _end: Sender<()>,
}

/// `pool`: those who make pictures, who are told how much of a quota they may take.
///
/// # Errors
/// The system has no thread left.
pub fn start(settings: Settings, monitor: Monitor, sounds: Arc<Punctuality>, pool: Pool) -> io::Result<Watchman> {
    let (sender, end) = crossbeam_channel::bounded(0);
    let gauge = Gauge { settings, sounds, limits: (clock::now(), host::limits()), before: None, others: 0.0 };
    std::thread::Builder::new().name("watchman".into()).spawn(move || run(gauge, &monitor, &pool, &end))?;
    Ok(Watchman { _end: sender })
}

fn run(mut gauge: Gauge, monitor: &Monitor, pool: &Pool, end: &Receiver<()>) {
    let mut guard = Guard::new(gauge.settings);
    let mut before = clock::now();
    while end.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        let now = clock::now();
        let pictures = monitor.look(now.saturating_duration_since(std::mem::replace(&mut before, now)), now);
        let load = gauge.read(pictures, now);
        pool.allow(allowance(&load, gauge.limits.1.quota, gauge.others, gauge.settings.up_cpu));
        let status = guard.handle(load, now);
        tell(&monitor.set(status), &status);
    }
}

/// Reads what there is to know.
struct Gauge {
    settings: Settings,
    sounds: Arc<Punctuality>,
    /// When they were read, and what they were.
    limits: (Instant, Limits),
    /// When it was read, and the processor time used until then: all of it, and for pictures.
    before: Option<(Instant, Duration, Duration)>,
    /// What all else than pictures took, in processors.
    others: f64,
}

impl Gauge {
    /// What the load has been since it was read before. Where the system does not say, ticks alone count.
    fn read(&mut self, pictures: Ticks, now: Instant) -> Load {
        let sounds = self.sounds.take();
        if pictures.late + sounds.late > 0 || now >= self.limits.0 + LIMITS_AGE {
            self.limits = (now, host::limits());
        }
        let (usage, Limits { cores, memory_bytes, .. }) = (host::usage_of(std::process::id()), self.limits.1);
        let used = usage.map(|usage| (now, usage.cpu + children(&usage), ledger::pictures()));
        let before = std::mem::replace(&mut self.before, used);
        let took = |of: fn(&(Instant, Duration, Duration)) -> Duration| {
            let (before, used) = (before.as_ref()?, used.as_ref()?);
            processors((before.0, of(before)), (used.0, of(used)))
        };
        let (all, pictures_took) = (took(|used| used.1), took(|used| used.2));
        self.others = (all.unwrap_or(0.0) - pictures_took.unwrap_or(0.0)).max(0.0);
        Load {
            cpu: all.map(|all| (all / cores).min(1.0)),
            cores,
            pictures,
            sounds,
            memory_bytes: usage.map_or(0, |usage| usage.resident_bytes),
            memory_limit_bytes: self.settings.memory_bytes.unwrap_or(memory_bytes),
        }
    }
}

/// What the programs that this process has started have taken.
pub fn children_cpu() -> Duration {
    host::usage_of(std::process::id()).map(|own| children(&own)).unwrap_or_default()
}

/// `own`: what the kernel says of this process. Those that run are looked up one by one.
fn children(own: &Usage) -> Duration {
    let me = std::process::id();
    let running = |id: u32| host::usage_of(id).filter(|usage| usage.parent == me).map(|usage| usage.cpu + usage.ended);
    own.ended + process::sum(running)
}

/// How many processors were used from one look to the next; `None`: no time has passed.
fn processors(before: (Instant, Duration), now: (Instant, Duration)) -> Option<f64> {
    let passed = now.0.saturating_duration_since(before.0).as_secs_f64();
    (passed > 0.0).then(|| now.1.saturating_sub(before.1).as_secs_f64() / passed)
}

/// How many processors pictures may take: under a quota that is nearly used up, what `others` leave of it. At its end the kernel would stop sound too.
fn allowance(load: &Load, limit: Option<f64>, others: f64, most: f64) -> Option<f64> {
    let limit = limit.filter(|_| load.cpu.is_some_and(|cpu| cpu > most))?;
    Some((limit * OF_QUOTA - others).max(limit * LEAST_OF_QUOTA))
}

/// One line for each change, and the figures.
fn tell(before: &Status, now: &Status) {
    metrics::gauge!("mixdown_governor_step").set(f64::from(now.step.number()));
    metrics::gauge!("mixdown_processor_used_ratio").set(now.load.cpu.unwrap_or(f64::NAN));
    metrics::gauge!("mixdown_admission_closed").set(f64::from(u8::from(now.refusal.is_some())));
    let percent = |share: f64| (share * 100.0).round();
    let cpu = now.load.cpu.map(percent);
    let (pictures, sounds) = (percent(now.load.pictures.lateness()), percent(now.load.sounds.lateness()));
    if now.step > before.step {
        metrics::counter!("mixdown_governor_changes_total", "direction" => "down").increment(1);
        tracing::warn!(
            cpu_percent = cpu,
            late_pictures_percent = pictures,
            late_sounds_percent = sounds,
            "overloaded: {}; {REMEDY}",
            now.step
        );
    } else if now.step < before.step {
        metrics::counter!("mixdown_governor_changes_total", "direction" => "up").increment(1);
        tracing::info!(
            cpu_percent = cpu,
            "{}: {}",
            if now.step == Step::Whole { "no longer overloaded" } else { "less overloaded" },
            now.step
        );
    }
    match (before.refusal, now.refusal) {
        (None, Some(refusal)) => tracing::warn!("newcomers are refused: {refusal}; {REMEDY}"),
        (Some(_), None) => tracing::info!("newcomers are welcome again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_children_take_is_counted_while_they_run_and_when_they_have_ended() {
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; exec sleep 1000";
        let (child, mut out) = process::start(std::path::Path::new("/bin/sh"), &["-c", script], &[], 256 << 20).unwrap();
        std::io::Read::read_exact(&mut out, &mut [0; 4]).unwrap();
        let took = children_cpu();
        assert!(took >= Duration::from_millis(20), "{took:?}");
        child.end(Duration::ZERO).await;
        assert!((took..took * 2).contains(&children_cpu()), "{took:?}, then {:?}: once", children_cpu());
        assert_eq!(process::sum(|_| Some(Duration::from_secs(1))), Duration::ZERO, "it is forgotten");
    }

    #[test]
    fn what_is_used_is_in_processors_and_unknown_where_no_time_has_passed() {
        let (at, ms) = (clock::now(), Duration::from_millis);
        assert_eq!(processors((at, ms(100)), (at + ms(250), ms(350))), Some(1.0));
        assert_eq!(processors((at, ms(100)), (at, ms(100))), None);
    }

    #[test]
    fn under_a_quota_that_is_nearly_used_up_pictures_may_take_what_others_leave() {
        let load = |cpu| Load { cpu, ..Load::default() };
        let rate = allowance(&load(Some(0.9)), Some(0.6), 0.2, 0.7);
        assert!(rate.is_some_and(|rate| (rate - 0.37).abs() < 1e-9), "{rate:?}");
        assert_eq!(allowance(&load(Some(1.0)), Some(0.6), 0.7, 0.7), Some(0.06), "never nothing");
        for (cpu, limit) in [(Some(0.7), Some(0.6)), (None, Some(0.6)), (Some(1.0), None)] {
            assert_eq!(allowance(&load(cpu), limit, 0.1, 0.7), None, "{cpu:?} of {limit:?}");
        }
    }
}
