//! What the server spends, in its own account: processor time by stage, how long a stage takes, how late ticks come, how busy workers are.
//!
//! All of it is atomics that are there from the beginning: nothing that counts on a per-tick path allocates, locks or looks up a name. (The
//! `metrics` crate counts whole things alone, and its exporter keeps every sample of a histogram until the next upkeep.)
//! Knows no clock: it is told. [`render`] writes the process's part as text for Prometheus; a room's part is a [`Bill`], a rendition's an [`Account`].

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What takes processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Decode,
    /// Drawing the canvas, and scaling it to its smaller sizes.
    Compose,
    Encode,
    /// All sound: jitter buffers, decoders, sums, encoders.
    Mix,
    /// The threads of the hubs: sockets, WebRTC, fan-out and what is forwarded as it comes.
    Network,
    /// The beat of the views.
    Ticker,
    /// The threads of recordings.
    Record,
}

const STAGES: [Stage; 7] = [Stage::Decode, Stage::Compose, Stage::Encode, Stage::Mix, Stage::Network, Stage::Ticker, Stage::Record];

impl Stage {
    /// Those that a room is billed for.
    pub const OF_A_ROOM: [Self; 4] = [Self::Decode, Self::Compose, Self::Encode, Self::Mix];

    /// As metrics and the API say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Compose => "compose",
            Self::Encode => "encode",
            Self::Mix => "mix",
            Self::Network => "network",
            Self::Ticker => "ticker",
            Self::Record => "record",
        }
    }
}

/// Whose ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Video,
    Audio,
}

/// What one piece of work took.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// Processor time of the thread that did it.
    pub cpu: Duration,
    /// From begin to end.
    pub took: Duration,
    pub done: Instant,
}

/// Seconds that add up.
#[derive(Debug, Default)]
pub struct Seconds(AtomicU64);

impl Seconds {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}

/// What one view should do and does: its ticks, and what they take of a processor.
#[derive(Debug, Default)]
pub struct Pulse {
    due: AtomicU64,
    late: AtomicU64,
    done: AtomicU64,
    cpu: Seconds,
    /// What one of them took of late.
    each: AtomicU64,
}

/// What came of a view's ticks for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beats {
    pub due: u64,
    /// Of these, skipped or late.
    pub late: u64,
    pub done: u64,
    /// What one of them took; where none was done, one of those before.
    pub each: Duration,
}

impl Pulse {
    /// A tick is due.
    pub fn due(&self, late: bool) {
        self.due.fetch_add(1, Relaxed);
        self.late.fetch_add(u64::from(late), Relaxed);
    }

    /// One is done. `cpu`: what it took of the thread that took longest.
    pub fn done(&self, cpu: Duration) {
        self.done.fetch_add(1, Relaxed);
        self.cpu.add(cpu);
    }

    /// What came since it was asked for before; never more late than due, though the two are not read at one instant.
    pub fn take(&self) -> Beats {
        let take = |count: &AtomicU64| count.swap(0, Relaxed);
        let (due, done, cpu) = (take(&self.due), take(&self.done), take(&self.cpu.0));
        let each = cpu.checked_div(done).unwrap_or_else(|| self.each.load(Relaxed));
        self.each.store(each, Relaxed);
        Beats { due, late: take(&self.late).min(due), done, each: Duration::from_nanos(each) }
    }
}

impl Beats {
    /// How much of one processor all ticks that were due within `span` would have taken: above 1 they cannot all be done.
    pub fn demand(&self, span: Duration) -> f64 {
        let span = span.as_secs_f64();
        if span > 0.0 { self.each.as_secs_f64() * self.due.max(self.done) as f64 / span } else { 0.0 }
    }
}

/// What one room has cost since it began.
#[derive(Debug, Default)]
pub struct Bill {
    cpu: [Seconds; Stage::OF_A_ROOM.len()],
    /// Of its views that run.
    pulses: Mutex<Vec<Weak<Pulse>>>,
}

impl Bill {
    /// A view comes. It is gone with what is returned.
    pub fn pulse(&self) -> Arc<Pulse> {
        let pulse = Arc::<Pulse>::default();
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&pulse));
        pulse
    }

    /// What came of each view's ticks since it was asked for before.
    pub fn beats(&self, mut each: impl FnMut(Beats)) {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).retain(|pulse| {
            let pulse = pulse.upgrade();
            if let Some(pulse) = &pulse {
                each(pulse.take());
            }
            pulse.is_some()
        });
    }

    /// Work of a stage, here and in the process's account.
    pub fn charge(&self, stage: Stage, spent: &Spent) {
        self.cpu(stage, spent.cpu);
        PROCESS.took(stage, spent.took);
    }

    /// Processor time alone: of work that is a part of a stage's.
    pub fn cpu(&self, stage: Stage, cpu: Duration) {
        if let Some(own) = self.cpu.get(stage as usize) {
            own.add(cpu);
        }
        charge(stage, cpu);
    }

    pub fn get(&self, stage: Stage) -> Duration {
        self.cpu.get(stage as usize).map_or(Duration::ZERO, Seconds::get)
    }
}

/// What one rendition has cost since it began.
#[derive(Debug, Default)]
pub struct Account {
    cpu: Seconds,
    pictures: AtomicU64,
    bytes: AtomicU64,
}

impl Account {
    pub fn cpu(&self, cpu: Duration) {
        self.cpu.add(cpu);
    }

    /// One coded picture.
    pub fn picture(&self, bytes: usize) {
        self.pictures.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Processor time, pictures and bytes.
    pub fn get(&self) -> (Duration, u64, u64) {
        (self.cpu.get(), self.pictures.load(Relaxed), self.bytes.load(Relaxed))
    }
}

/// A thread whose whole work is one stage. Reads the thread's clock a few times per second, not at each of its thousand wake-ups.
#[derive(Debug)]
pub struct Thread {
    stage: Stage,
    cpu: Duration,
    due: Option<Instant>,
}

impl Thread {
    const EVERY: Duration = Duration::from_millis(100);

    pub const fn new(stage: Stage) -> Self {
        Self { stage, cpu: Duration::ZERO, due: None }
    }

    /// Whenever it wakes. `cpu`: the thread's processor time so far.
    pub fn note(&mut self, now: Instant, cpu: impl FnOnce() -> Duration) {
        if self.due.is_none_or(|due| now >= due) {
            let cpu = cpu();
            charge(self.stage, cpu.saturating_sub(self.cpu));
            (self.cpu, self.due) = (cpu, Some(now + Self::EVERY));
        }
    }

    /// When it ends. `cpu`: as in [`Self::note`].
    pub fn end(self, cpu: Duration) {
        charge(self.stage, cpu.saturating_sub(self.cpu));
    }
}

/// Upper bounds of the histograms' buckets, in microseconds; beyond is one more.
const BOUNDS_US: [u64; 14] = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 33_000, 50_000, 100_000, 200_000, 500_000];

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum: Seconds,
}

impl Histogram {
    const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BOUNDS_US.len() + 1], sum: Seconds::new() }
    }

    fn note(&self, time: Duration) {
        let us = time.as_micros() as u64;
        let bucket = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.add(time);
    }
}

/// More workers than these share the last one's account.
const MOST_WORKERS: usize = 256;

/// What the whole process has spent.
struct Process {
    cpu: [Seconds; STAGES.len()],
    /// What no stage has said, and what children have taken, as far as it was shown: it must not fall.
    other: AtomicU64,
    children: AtomicU64,
    took: [Histogram; Stage::OF_A_ROOM.len()],
    picture: Histogram,
    late: [Histogram; 2],
    busy: [Seconds; MOST_WORKERS],
    workers: AtomicUsize,
}

static PROCESS: Process = Process {
    cpu: [const { Seconds::new() }; STAGES.len()],
    other: AtomicU64::new(0),
    children: AtomicU64::new(0),
    took: [const { Histogram::new() }; Stage::OF_A_ROOM.len()],
    picture: Histogram::new(),
    late: [const { Histogram::new() }; 2],
    busy: [const { Seconds::new() }; MOST_WORKERS],
    workers: AtomicUsize::new(0),
};

/// Processor time of a stage.
fn charge(stage: Stage, cpu: Duration) {
    PROCESS.cpu[stage as usize].add(cpu);
}

/// What pictures have taken: decoded, composed, encoded.
pub fn pictures() -> Duration {
    [Stage::Decode, Stage::Compose, Stage::Encode].iter().map(|stage| PROCESS.cpu[*stage as usize].get()).sum()
}

/// How long after its time a tick began.
pub fn late(beat: Beat, late: Duration) {
    PROCESS.late[beat as usize].note(late);
}

/// From the arrival of a picture's last packet until the composite that first shows it was handed to the network.
pub fn picture(took: Duration) {
    PROCESS.picture.note(took);
}

/// How long a worker was not asleep: at work, or waiting for those who help it. What these do is in no worker's account.
pub fn busy(worker: usize, time: Duration) {
    let worker = worker.min(MOST_WORKERS - 1);
    PROCESS.workers.fetch_max(worker + 1, Relaxed);
    PROCESS.busy[worker].add(time);
}

/// The process's account as text for Prometheus. `cpu`: what the kernel says the whole process has taken; what no stage has said is `other`. `children`: the same
/// of the programs that it has started.
pub fn render(cpu: Duration, children: Duration) -> String {
    let mut text = String::with_capacity(8_192);
    PROCESS.render(cpu, &mut text);
    PROCESS.render_children(children, &mut text);
    text
}

impl Process {
    fn took(&self, stage: Stage, time: Duration) {
        if let Some(histogram) = self.took.get(stage as usize) {
            histogram.note(time);
        }
    }

    fn render_children(&self, cpu: Duration, text: &mut String) {
        const NAME: &str = "mixdown_children_cpu_seconds_total";
        head(text, NAME, "counter", "Processor time of programs that the server has started (ffmpeg).");
        line(text, format_args!("{NAME} {}", most(&self.children, cpu).as_secs_f64()));
    }

    fn render(&self, cpu: Duration, text: &mut String) {
        let known: Duration = self.cpu.iter().map(Seconds::get).sum();
        let other = most(&self.other, cpu.saturating_sub(known));
        head(text, "mixdown_cpu_seconds_total", "counter", "Processor time by stage; other: what no stage accounts for, the API among it.");
        let stages = STAGES.iter().map(|stage| (stage.name(), self.cpu[*stage as usize].get()));
        for (stage, time) in stages.chain([("other", other)]) {
            line(text, format_args!("mixdown_cpu_seconds_total{{stage=\"{stage}\"}} {}", time.as_secs_f64()));
        }
        head(
            text,
            "mixdown_worker_busy_seconds_total",
            "counter",
            "How long each worker was busy, waiting for helpers included; what these do is not.",
        );
        for (worker, busy) in self.busy.iter().enumerate().take(self.workers.load(Relaxed)) {
            line(text, format_args!("mixdown_worker_busy_seconds_total{{worker=\"{worker}\"}} {}", busy.get().as_secs_f64()));
        }
        head(text, "mixdown_stage_seconds", "histogram", "How long a stage takes for one picture or tick.");
        for stage in Stage::OF_A_ROOM {
            histogram(text, "mixdown_stage_seconds", &format!("stage=\"{}\"", stage.name()), &self.took[stage as usize]);
        }
        let help = "From a picture's last packet until the composite that first shows it is handed to the network.";
        head(text, "mixdown_picture_seconds", "histogram", help);
        histogram(text, "mixdown_picture_seconds", "", &self.picture);
        head(text, "mixdown_tick_lateness_seconds", "histogram", "How long after its time a tick begins.");
        for (beat, name) in [(Beat::Video, "video"), (Beat::Audio, "audio")] {
            histogram(text, "mixdown_tick_lateness_seconds", &format!("kind=\"{name}\""), &self.late[beat as usize]);
        }
    }
}

/// The most that it has ever been.
fn most(known: &AtomicU64, time: Duration) -> Duration {
    let time = time.as_nanos() as u64;
    Duration::from_nanos(known.fetch_max(time, Relaxed).max(time))
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = writeln!(text, "{line}");
}

/// `labels`: without braces, none or some.
fn histogram(text: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let comma = if labels.is_empty() { "" } else { "," };
    let bounds = BOUNDS_US.iter().map(|us| (*us as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
    let mut count = 0;
    for (bound, bucket) in bounds.zip(&histogram.buckets) {
        count += bucket.load(Relaxed);
        line(text, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"));
    }
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    line(text, format_args!("{name}_sum{braced} {}", histogram.sum.get().as_secs_f64()));
    line(text, format_args!("{name}_count{braced} {count}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_room_s_bill_and_the_process_s_account_grow_together_and_the_rest_is_other() {
        let (bill, done) = (Bill::default(), crate::runtime::clock::now());
        bill.charge(Stage::Decode, &Spent { cpu: ms(3), took: ms(4), done });
        bill.cpu(Stage::Decode, ms(2));
        bill.cpu(Stage::Mix, ms(1));
        assert_eq!(Stage::OF_A_ROOM.map(|stage| bill.get(stage).as_millis()), [5, 0, 0, 1]);
        let text = render(ms(10), ms(7));
        let has = |line: &str| assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        has("mixdown_cpu_seconds_total{stage=\"decode\"} 0.005");
        has("mixdown_cpu_seconds_total{stage=\"other\"} 0.004");
        has("mixdown_children_cpu_seconds_total 0.007");
        has("mixdown_stage_seconds_bucket{stage=\"decode\",le=\"0.002\"} 0");
        has("mixdown_stage_seconds_bucket{stage=\"decode\",le=\"0.005\"} 1");
        has("mixdown_stage_seconds_bucket{stage=\"decode\",le=\"+Inf\"} 1");
        has("mixdown_stage_seconds_count{stage=\"decode\"} 1");
        has("mixdown_picture_seconds_count 0");
        let later = render(ms(7), ms(5));
        assert!(later.contains("stage=\"other\"} 0.004") && later.contains("children_cpu_seconds_total 0.007"), "counters do not fall");
    }

    #[test]
    fn what_a_view_would_need_of_a_processor_is_known_though_ticks_are_skipped() {
        let bill = Bill::default();
        let (heavy, light) = (bill.pulse(), bill.pulse());
        // Every second tick of 60 a second is skipped, because one takes 25 ms.
        (0..15).for_each(|n| heavy.due(n % 2 == 1));
        (0..8).for_each(|_| heavy.done(ms(25)));
        light.due(false);
        drop(light);
        let mut seen = Vec::new();
        bill.beats(|beats| seen.push(beats));
        assert_eq!(seen, [Beats { due: 15, late: 7, done: 8, each: ms(25) }], "a view that has gone is in no sum");
        assert!((1.45..1.55).contains(&seen[0].demand(ms(250))), "{}", seen[0].demand(ms(250)));
        assert_eq!(heavy.take().demand(ms(250)), 0.0);
        heavy.due(true);
        assert_eq!(heavy.take().demand(ms(10)), 2.5, "a tick that is due and not done costs what those before did");
    }

    #[test]
    fn a_thread_is_charged_what_it_took_and_its_clock_is_not_read_at_each_wake_up() {
        let start = crate::runtime::clock::now();
        let mut thread = Thread::new(Stage::Network);
        let mut reads = 0;
        for n in 0..1_000 {
            thread.note(start + ms(n), || {
                reads += 1;
                ms(n / 2)
            });
        }
        assert_eq!(reads, 10);
        assert_eq!(PROCESS.cpu[Stage::Network as usize].get(), ms(450));
        thread.end(ms(520));
        assert_eq!(PROCESS.cpu[Stage::Network as usize].get(), ms(520), "nothing of it is left out");
    }

    #[test]
    fn the_stages_of_a_room_come_first() {
        assert_eq!(STAGES[..4], Stage::OF_A_ROOM);
        assert!(STAGES.iter().enumerate().all(|(index, stage)| *stage as usize == index));
    }
}
