//! The beat of all views: hands each its ticks at their nominal times.
//!
//! [`Schedule`] is without threads; [`spawn`] runs one on a thread of its own. A view that has not
//! finished the tick before is skipped and the miss counted; after a stop of the whole process the
//! missed ticks are not made up for.

use super::pool::Strand;
use super::view::{Input, View};
use crate::cadence::Cadence;
use crate::ledger;
use crate::runtime::clock;
use crossbeam_channel::{Receiver, Sender};
use metrics::Counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The longest wait where there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// A view that wants ticks.
pub struct Entry {
    /// Unique in this process.
    pub id: u64,
    pub view: Arc<Strand<View>>,
    pub cadence: Cadence,
    pub pending: Arc<AtomicU32>,
}

pub enum Command {
    Add(Entry),
    Remove(u64),
}

/// The way to a schedule.
#[derive(Clone)]
pub struct Ticker(Sender<Command>);

impl Ticker {
    pub fn send(&self, command: Command) {
        // The schedule ends with the process, after all rooms: nobody is left to tell.
        let _ = self.0.send(command);
    }
}

/// Which view ticks when.
pub struct Schedule {
    commands: Receiver<Command>,
    entries: Vec<(u64, Entry)>,
    ticks: Counter,
    missed: Counter,
}

/// A schedule and the way to it.
pub fn schedule() -> (Ticker, Schedule) {
    let (sender, commands) = crossbeam_channel::bounded(1024);
    let [ticks, missed] = [metrics::counter!("mixdown_ticks_total"), metrics::counter!("mixdown_ticks_missed_total")];
    (Ticker(sender), Schedule { commands, entries: Vec::new(), ticks, missed })
}

impl Schedule {
    /// Applies what was sent, ticks what is due, and says when to come again.
    pub fn step(&mut self, now: Instant) -> Instant {
        while let Ok(command) = self.commands.try_recv() {
            self.apply(command, now);
        }
        for (next, entry) in &mut self.entries {
            while entry.cadence.time(*next) <= now {
                let n = *next;
                *next += 1;
                self.ticks.increment(1);
                if entry.cadence.time(*next) <= now || !tick(entry, n, now) {
                    self.missed.increment(1);
                }
                let behind = now.saturating_duration_since(entry.cadence.time(*next));
                if behind > Duration::from_millis(500) {
                    *next = entry.cadence.next(now);
                }
            }
        }
        self.entries.iter().map(|(next, entry)| entry.cadence.time(*next)).min().unwrap_or(now + IDLE)
    }

    fn apply(&mut self, command: Command, now: Instant) {
        match command {
            Command::Add(entry) => self.entries.push((entry.cadence.next(now), entry)),
            Command::Remove(id) => self.entries.retain(|(_, entry)| entry.id != id),
        }
    }
}

/// Hands tick `n` over, unless the view is still busy with the one before.
fn tick(entry: &Entry, n: u64, now: Instant) -> bool {
    if entry.pending.load(Ordering::Acquire) > 0 {
        return false;
    }
    entry.pending.fetch_add(1, Ordering::AcqRel);
    let handed = entry.view.push(Input::Tick { n, now }).is_ok();
    if !handed {
        entry.pending.fetch_sub(1, Ordering::AcqRel);
    }
    handed
}

/// Runs a schedule on its own thread until all [`Ticker`]s are dropped.
pub fn spawn() -> std::io::Result<Ticker> {
    let (ticker, mut schedule) = schedule();
    std::thread::Builder::new().name("ticker".into()).spawn(move || {
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
