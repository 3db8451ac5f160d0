//! The beat of all views: hands each its ticks at their nominal times, or sooner where the view says that what it shows is there ([`super::phase`]).
//!
//! [`Schedule`] is without threads; [`spawn`] runs one on a thread of its own. A view that has not
//! finished the tick before is skipped and the miss counted; after a stop of the whole process the
//! missed ticks are not made up for. A view that is to make fewer pictures is handed fewer ticks, evenly.

use super::pool::Strand;
use super::view::{Input, View};
use crate::cadence::Cadence;
use crate::ledger::{self, Pulse};
use crate::runtime::clock;
use crate::urgency::{self, Urgency};
use crossbeam_channel::{Receiver, Sender};
use metrics::Counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest wait where there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);
/// A tick that is handed over later than this is late.
const LATE: Duration = Duration::from_millis(20);
/// By so much of a tick the next one may come sooner or later: 29.8 in place of 30 per second.
const STEP: u32 = 150;

/// A view that wants ticks.
pub struct Entry {
    /// Unique in this process.
    pub id: u64,
    pub view: Arc<Strand<View>>,
    pub cadence: Cadence,
    /// How much sooner than nominally the view wants its ticks, in nanoseconds.
    pub sooner: Arc<AtomicU64>,
    pub pending: Arc<AtomicU32>,
    /// What becomes of its ticks.
    pub pulse: Arc<Pulse>,
}

pub enum Command {
    Add(Entry),
    Remove(u64),
    /// From now on so many ticks per second, where that is less than the cadence has.
    Pace(u64, u32),
}

/// The way to a schedule.
#[derive(Clone)]
pub struct Ticker {
    commands: Sender<Command>,
}

impl Ticker {
    pub fn send(&self, command: Command) {
        // The schedule ends with the process, after all rooms: nobody is left to tell.
        let _ = self.commands.send(command);
    }
}

/// Which view ticks when.
pub struct Schedule {
    commands: Receiver<Command>,
    entries: Vec<Ticked>,
    ticks: Counter,
    missed: Counter,
}

struct Ticked {
    next: u64,
    entry: Entry,
    fps: u32,
    /// How much sooner than nominally its ticks come.
    sooner: Duration,
}

impl Ticked {
    /// When the next tick is to come.
    fn due(&self) -> Instant {
        let at = self.entry.cadence.time(self.next);
        at.checked_sub(self.sooner).unwrap_or(at)
    }

    /// One step towards where the view wants its ticks.
    fn settle(&mut self) {
        let (wanted, step) = (Duration::from_nanos(self.entry.sooner.load(Ordering::Relaxed)), self.entry.cadence.period() / STEP);
        self.sooner = wanted.clamp(self.sooner.saturating_sub(step), self.sooner + step);
    }
}

/// A schedule and the way to it.
pub fn schedule() -> (Ticker, Schedule) {
    let (sender, commands) = crossbeam_channel::bounded(1024);
    let [ticks, missed] = [metrics::counter!("mixdown_ticks_total"), metrics::counter!("mixdown_ticks_missed_total")];
    (Ticker { commands: sender }, Schedule { commands, entries: Vec::new(), ticks, missed })
}

impl Schedule {
    /// Applies what was sent, ticks what is due, and says when to come again.
    pub fn step(&mut self, now: Instant) -> Instant {
        while let Ok(command) = self.commands.try_recv() {
            self.apply(command, now);
        }
        for ticked in &mut self.entries {
            while ticked.due() <= now {
                let (n, due, cadence) = (ticked.next, ticked.due(), ticked.entry.cadence);
                ticked.next = beat(cadence, n + 1, ticked.fps);
                ticked.settle();
                self.ticks.increment(1);
                let handed = ticked.due() > now && tick(&ticked.entry, n, due, now);
                if !handed {
                    self.missed.increment(1);
                }
                ticked.entry.pulse.due(!handed || now > due + LATE);
                if now.saturating_duration_since(ticked.due()) > Duration::from_millis(500) {
                    ticked.next = beat(cadence, cadence.next(now + ticked.sooner), ticked.fps);
                }
            }
        }
        self.entries.iter().map(Ticked::due).min().unwrap_or(now + IDLE)
    }

    /// Whether a view still works on a tick: virtual time must not run away from it.
    #[cfg(test)]
    pub fn is_busy(&self) -> bool {
        self.entries.iter().any(|ticked| ticked.entry.pending.load(Ordering::Acquire) > 0)
    }

    fn apply(&mut self, command: Command, now: Instant) {
        match command {
            Command::Add(entry) => {
                self.entries.push(Ticked { next: entry.cadence.next(now), entry, fps: u32::MAX, sooner: Duration::ZERO })
            }
            Command::Remove(id) => self.entries.retain(|ticked| ticked.entry.id != id),
            Command::Pace(id, fps) => {
                for ticked in self.entries.iter_mut().filter(|ticked| ticked.entry.id == id) {
                    (ticked.next, ticked.fps) = (beat(ticked.entry.cadence, ticked.next, fps), fps);
                }
            }
        }
    }
}

/// The first of `fps` beats per second from tick `n` on.
fn beat(cadence: Cadence, n: u64, fps: u32) -> u64 {
    (n..).find(|n| cadence.is_beat(*n, fps.max(1))).unwrap_or(n)
}

/// Hands tick `n` over, unless the view is still busy with the one before.
fn tick(entry: &Entry, n: u64, due: Instant, now: Instant) -> bool {
    if entry.pending.load(Ordering::Acquire) > 0 {
        return false;
    }
    entry.pending.fetch_add(1, Ordering::AcqRel);
    let handed = entry.view.push(Input::Tick { n, due, now }).is_ok();
    if !handed {
        entry.pending.fetch_sub(1, Ordering::AcqRel);
    }
    handed
}

/// Runs a schedule on its own thread until all [`Ticker`]s are dropped.
pub fn spawn() -> std::io::Result<Ticker> {
    let (ticker, mut schedule) = schedule();
    std::thread::Builder::new().name("ticker".into()).spawn(move || {
        urgency::claim(Urgency::AtOnce);
        let mut account = ledger::Thread::new(ledger::Stage::Ticker);
        loop {
            let now = clock::now();
            account.note(now, clock::thread_cpu);
            let next = schedule.step(now);
            match schedule.commands.recv_deadline(next) {
                Ok(command) => schedule.apply(command, clock::now()),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return,
            }
        }
    })?;
    Ok(ticker)
}
