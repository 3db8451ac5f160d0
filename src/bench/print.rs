//! What is said at the end: tables for people, JSON for programs. Each says whether all guards held.

use super::chart::Point;
use super::compare::Comparison;
use super::figures;
use super::guard::{self, Guard};
use super::ramp::Ramp;
use super::run::{Error, Run};
use super::setup::Axis;
use super::sweep::Sweep;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// One step of a ramp.
#[derive(Debug, Serialize)]
pub struct Step {
    pub count: u16,
    /// The guard that broke, or what the server said when it took nobody more; empty: all held.
    pub broke: String,
    #[serde(flatten)]
    pub run: Option<Run>,
}

impl Step {
    pub fn of(count: u16, run: Result<Run, Error>) -> Self {
        match run {
            Ok(run) => Self { count, broke: guard::broken(&run.guards).map(said).unwrap_or_default(), run: Some(run) },
            Err(error) => Self { count, broke: error.to_string(), run: None },
        }
    }
}

/// What a broken guard says.
pub fn said(guard: &Guard) -> String {
    let value = guard.value.map_or_else(|| guard.note.clone(), |value| format!("{value:.2}"));
    format!("{}: {value}, not {}", guard.name, guard.limit)
}

/// A closed pipe is the reader's choice.
fn out(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

fn machine() -> Value {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|pair| pair.1.to_owned()));
    json!({"version": env!("CARGO_PKG_VERSION"), "cores": cores, "processor": model, "optimised": !cfg!(debug_assertions)})
}

/// The machine and what was asked of it, before a table.
fn heading(what: &str) -> String {
    let machine = machine();
    let (cores, model) = (&machine["cores"], machine["processor"].as_str().unwrap_or("an unknown processor"));
    let slow = if cfg!(debug_assertions) { "; a build that is not optimised: its figures mean nothing" } else { "" };
    format!("{what}\n{cores} cores of {model}, which the load shares{slow}\n")
}

fn print(json: bool, value: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
    out(&if json { format!("{:#}", value()) } else { text() });
}

fn whole(machine: Value, rest: Value) -> Value {
    let (mut machine, rest) = (machine, rest);
    if let (Some(fields), Value::Object(rest)) = (machine.as_object_mut(), rest) {
        fields.extend(rest);
    }
    machine
}

/// One run.
pub fn run(run: &Run, json: bool) -> Result<bool, String> {
    print(
        json,
        || whole(machine(), json!(run)),
        || format!("{}\n{}", heading(&format!("{}, {} s", run.setup, run.setup.seconds)), table(run)),
    );
    Ok(run.held)
}

/// As `mixdown demo --report` says it.
pub fn report(run: &Run, json: bool) -> Result<(), String> {
    let setup = &run.setup;
    let (senders, viewers, codec) = (setup.senders, setup.viewers, setup.codec.name());
    let value = || {
        let own = json!({
            "senders": senders, "viewers": viewers, "seconds": setup.seconds, "codec": codec, "conference": setup.conference,
            "figures": run.figures, "guards": run.guards,
        });
        whole(machine(), own)
    };
    print(json, value, || format!("{}\n{}", heading(&format!("{setup}, {} s", setup.seconds)), table(run)));
    Ok(())
}

/// Figures, stages and guards.
fn table(run: &Run) -> String {
    let mut text = figures::table(&run.figures);
    if !run.stages.is_empty() {
        let _ = writeln!(text, "\nprocessor time per second by stage, as the server accounts for it");
        for (stage, ms) in &run.stages {
            let _ = writeln!(text, "  {stage:24} {ms:>9.2} ms");
        }
    }
    let _ = writeln!(text, "\nguards");
    for guard in &run.guards {
        let _ = writeln!(text, "  {guard}");
    }
    if !run.held {
        let _ = writeln!(text, "\nA guard has broken: these figures are of a server that did less than it should have.");
    }
    text
}

/// One step of a ramp, while it runs.
pub fn step(axis: Axis, step: &Step) -> Result<(), String> {
    let cpu = step.run.as_ref().and_then(|run| run.cpu_ms).map_or_else(|| "-".into(), |ms| format!("{ms:.0}"));
    let verdict = if step.broke.is_empty() { "held".into() } else { format!("BROKEN  {}", step.broke) };
    out(&format!("{:>5} {:10} {cpu:>6} ms per second  {verdict}", step.count, axis.name()));
    Ok(())
}

/// How far it went. Where nothing held at all, the guards have broken.
pub fn ramp(axis: Axis, ramp: &Ramp, steps: &[Step], json: bool) -> Result<bool, String> {
    let first = steps.iter().find(|step| Some(step.count) == ramp.broke() && !step.broke.is_empty());
    let value = || {
        let own = json!({
            "ramp": axis, "held": ramp.held(), "broke": ramp.broke(), "guard": first.map(|step| &step.broke), "steps": steps,
        });
        whole(machine(), own)
    };
    let text = || {
        let (name, held) = (axis.name(), ramp.held().unwrap_or(0));
        match (ramp.broke(), first) {
            (Some(broke), Some(step)) => format!("\n{held} {name} held, {broke} did not: {}", step.broke),
            _ => format!("\n{held} {name} held, and no more can be asked for"),
        }
    };
    print(json, value, text);
    Ok(ramp.held().is_some())
}

/// Everybody's cost, and how many times the server's it is.
pub fn comparison(comparison: &Comparison, json: bool) -> Result<bool, String> {
    let text = || {
        let rounds = if comparison.rounds == 1 { "one round".into() } else { format!("medians of {} rounds", comparison.rounds) };
        let setup = format!("{}, {} s, {rounds}", comparison.setup, comparison.setup.seconds);
        let mut text = heading(&setup);
        for entry in &comparison.entries {
            let ms = entry.median.map_or_else(|| "-".into(), |ms| format!("{ms:.0}"));
            let ratio = entry.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} ×"));
            let _ = writeln!(text, "{:44} {ms:>7} ms per second  {ratio:>8}  {}", entry.name, entry.note);
        }
        let more = if comparison.setup.sends_video() { "WebRTC, sound and a clock" } else { "WebRTC" };
        let _ = writeln!(text, "\nThe ratio is each one's cost by Mixdown's, which has {more} on top.");
        comparison.guards.iter().filter(|guard| guard.held != Some(true)).for_each(|guard| {
            let _ = writeln!(text, "  {guard}");
        });
        text
    };
    print(json, || whole(machine(), json!(comparison)), text);
    Ok(comparison.held)
}

/// The curves as numbers.
pub fn sweeps(sweeps: &[Sweep], json: bool) -> Result<bool, String> {
    let text = || {
        let mut text = heading("scaling");
        for sweep in sweeps {
            let _ = writeln!(text, "\n{}: {}", sweep.axis.name(), sweep.file.display());
            let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"));
            for Point { count, cpu_ms, grown_mib, broke } in &sweep.points {
                let (cpu, memory) = (shown(*cpu_ms, 0), shown(*grown_mib, 0));
                let _ = writeln!(text, "{}", format!("{count:>7} {cpu:>9} ms per second {memory:>7} MiB  {broke}").trim_end());
            }
            if let Some(slope) = sweep.slope {
                let memory = shown(sweep.memory_slope, 1);
                let _ = writeln!(text, "{slope:>17.1} ms per second {memory:>7} MiB for each one more");
            }
        }
        text
    };
    print(json, || whole(machine(), json!({"curves": sweeps})), text);
    Ok(sweeps.iter().all(|sweep| sweep.points.iter().all(Point::held)))
}

#[cfg(test)]
mod tests {
    use super::super::guard::{Evidence, Why, judge};
    use super::super::setup::tests::setup;
    use super::*;

    fn a_run(fps: f64) -> Run {
        let evidence = Evidence {
            video: true,
            rests: false,
            fps: Some((fps, fps)),
            missed: Some(0.0),
            audio_gaps: Some(0.0),
            skew: Ok(1.0),
            beeps: Ok(3.0),
            psnr: Err(Why::Unchecked("ffmpeg is not installed".into())),
        };
        let guards = judge(&evidence);
        let held = guard::broken(&guards).is_none();
        let figures = vec![figures::Row::plain("processor time per second", "ms", Some(250.0))];
        Run {
            setup: setup(""),
            figures,
            guards,
            held,
            stages: [("decode".to_owned(), 12.0)].into(),
            cpu_ms: Some(250.0),
            floor_ms: None,
            grown_mib: None,
        }
    }

    #[test]
    fn json_has_the_machine_the_setup_figures_and_every_guard() {
        let value = whole(machine(), json!(a_run(30.0)));
        for key in ["version", "cores", "setup", "figures", "guards", "held", "stages", "cpu_ms"] {
            assert!(value.get(key).is_some(), "{key} in {value:#}");
        }
        assert_eq!(value["guards"].as_array().unwrap().len(), 5);
        assert_eq!((value["guards"][2]["held"].clone(), value["held"].clone()), (Value::Null, json!(true)));
        assert_eq!(value["setup"]["codec"], "h264");
    }

    #[test]
    fn a_table_says_which_guard_broke_and_what_that_means() {
        let broken = table(&a_run(28.0));
        assert!(broken.contains("frame rate") && broken.contains("BROKEN") && broken.contains("A guard has broken"), "{broken}");
        let good = table(&a_run(30.0));
        assert!(!good.contains("BROKEN") && good.contains("unchecked (ffmpeg is not installed)") && good.contains("decode"), "{good}");
    }

    #[test]
    fn a_step_names_the_guard_or_what_the_server_said() {
        assert_eq!(Step::of(3, Ok(a_run(28.0))).broke, "frame rate: 28.00, not 30 ± 1 %");
        assert_eq!(Step::of(3, Ok(a_run(30.0))).broke, "");
        let value = json!(Step::of(3, Err(Error::Full("503: full".into()))));
        assert_eq!(value, json!({"count": 3, "broke": "503: full"}));
    }
}
