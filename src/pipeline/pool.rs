//! Where work runs: worker threads in the server, the caller's own thread in tests on virtual time.

use super::workers::{Job, Workers};
use crate::ledger::Spent;
use crate::runtime::clock;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub enum Pool {
    /// Worker threads, one per core by default.
    Threads(Arc<Threads>),
    /// At once, on the caller's thread: deterministic.
    Inline,
}

pub struct Threads {
    /// Step the strands.
    workers: Workers,
    /// Help a strand whose one step falls into equal parts, and sleep otherwise.
    helpers: rayon::ThreadPool,
}

impl Pool {
    /// # Errors
    /// The system has no thread left.
    pub fn threads(count: usize) -> io::Result<Self> {
        let helpers = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|n| format!("helper-{n}"));
        let helpers = helpers.build().map_err(io::Error::other)?;
        Ok(Self::Threads(Arc::new(Threads { workers: Workers::start(count)?, helpers })))
    }

    /// From now on all work together takes so many processors at most; `None`: as many as there are.
    pub fn allow(&self, processors: Option<f64>) {
        if let Self::Threads(threads) = self {
            threads.workers.allow(processors);
        }
    }

    fn run(&self, job: Arc<impl Job + 'static>) {
        match self {
            Self::Threads(threads) => threads.workers.push(job),
            Self::Inline => job.run(),
        }
    }

    /// Does a job for each item, on all cores that are free; the caller takes part and waits. Without a detour where there is one item.
    pub fn each<T: Send>(&self, items: &mut [T], job: impl Fn(&mut T) + Sync) {
        let job = &job;
        match (self, items) {
            (Self::Threads(threads), [first, others @ ..]) if !others.is_empty() => threads.helpers.in_place_scope(|scope| {
                for item in others {
                    scope.spawn(move |_| threads.workers.charge(measure(|| job(item)).1.cpu));
                }
                job(first);
            }),
            (_, items) => items.iter_mut().for_each(job),
        }
    }

    /// Does some work on this thread and says what it took. `None`: on virtual time work takes none.
    pub fn measure<R>(&self, work: impl FnOnce() -> R) -> (R, Option<Spent>) {
        let Self::Threads(_) = self else { return (work(), None) };
        let (result, spent) = measure(work);
        (result, Some(spent))
    }

    /// `None`: on virtual time, where whoever steps a stage says what time it is.
    pub fn now(&self) -> Option<Instant> {
        matches!(self, Self::Threads(_)).then(clock::now)
    }

    fn step<S: Stage>(&self, stage: &mut S, input: S::Input) {
        if !S::MEASURED {
            return stage.step(input);
        }
        if let ((), Some(spent)) = self.measure(|| stage.step(input)) {
            stage.spent(&spent);
        }
    }
}

/// Does some work on this thread and says what it took.
pub fn measure<R>(work: impl FnOnce() -> R) -> (R, Spent) {
    let (begun, cpu) = (clock::now(), clock::thread_cpu());
    let result = work();
    let (done, cpu) = (clock::now(), clock::thread_cpu().saturating_sub(cpu));
    (result, Spent { cpu, took: done.saturating_duration_since(begun), done })
}

/// What a strand steps: one stage with its private state.
pub trait Stage: Send + 'static {
    type Input: Send;

    fn step(&mut self, input: Self::Input);

    /// Whether it wants to know what its steps take.
    const MEASURED: bool = false;

    /// What the step before took. Told on worker threads alone: on virtual time work takes none.
    fn spent(&mut self, _spent: &Spent) {}

    /// It has panicked and is about to be dropped: tells whoever depends on it.
    fn failed(&self) {}
}

/// A stage with a bounded inbox whose inputs are stepped one after another, on whichever worker is free.
/// Strands never wait for each other; a panic ends the one stage, which then swallows its inputs.
pub struct Strand<S: Stage> {
    pool: Pool,
    inbox: Mutex<Inbox<S::Input>>,
    /// `None` after a panic. Only the one job in flight takes this lock.
    stage: Mutex<Option<S>>,
}

struct Inbox<I> {
    waiting: VecDeque<I>,
    capacity: usize,
    running: bool,
}

/// The inbox was full: the input comes back.
#[derive(Debug)]
pub struct Full<I>(pub I);

impl<S: Stage> Strand<S> {
    pub fn new(pool: Pool, stage: S, capacity: usize) -> Arc<Self> {
        let inbox = Inbox { waiting: VecDeque::with_capacity(capacity), capacity, running: false };
        Arc::new(Self { pool, inbox: Mutex::new(inbox), stage: Mutex::new(Some(stage)) })
    }

    /// Hands over an input. Never blocks on the stage's work.
    pub fn push(self: &Arc<Self>, input: S::Input) -> Result<(), Full<S::Input>> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if inbox.waiting.len() >= inbox.capacity {
            return Err(Full(input));
        }
        inbox.waiting.push_back(input);
        let idle = !std::mem::replace(&mut inbox.running, true);
        drop(inbox);
        if idle {
            self.pool.run(Arc::clone(self));
        }
        Ok(())
    }

    /// Whether inputs wait or are being stepped.
    pub fn is_busy(&self) -> bool {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).running
    }
}

impl<S: Stage> Job for Strand<S> {
    /// Steps the stage until the inbox is empty.
    fn run(&self) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = {
                let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                let next = inbox.waiting.pop_front();
                inbox.running = next.is_some();
                next
            };
            let Some(input) = next else { return };
            let Some(alive) = stage.as_mut() else { continue };
            let pool = &self.pool;
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.step(alive, input))).is_err() {
                metrics::counter!("mixdown_panics_total", "unit" => "stage").increment(1);
                alive.failed();
                *stage = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Record(mpsc::Sender<u32>);

    impl Stage for Record {
        type Input = u32;

        fn step(&mut self, input: u32) {
            assert!(input != 13, "this input is poison");
            self.0.send(input).unwrap();
        }

        const MEASURED: bool = true;

        fn spent(&mut self, _: &Spent) {
            self.0.send(u32::MAX).unwrap();
        }

        fn failed(&self) {
            self.0.send(0).unwrap();
        }
    }

    #[test]
    fn inputs_are_stepped_in_order_on_many_threads() {
        let (sender, receiver) = mpsc::channel();
        let strand = Strand::new(Pool::threads(4).unwrap(), Record(sender), 10_000);
        (100..5_000).for_each(|n| strand.push(n).unwrap());
        let seen: Vec<u32> = receiver.iter().filter(|n| *n != u32::MAX).take(4_900).collect();
        assert!(seen.is_sorted());
    }

    #[test]
    fn a_panic_ends_the_stage_alone_which_tells_of_it() {
        let (sender, receiver) = mpsc::channel();
        let strand = Strand::new(Pool::Inline, Record(sender), 4);
        for n in [1, 13, 2] {
            strand.push(n).unwrap();
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn each_item_is_worked_on_once() {
        for pool in [Pool::threads(2).unwrap(), Pool::Inline] {
            let mut items = [1, 2, 3, 4, 5];
            pool.each(&mut items, |item| *item *= 10);
            assert_eq!(items, [10, 20, 30, 40, 50]);
        }
    }

    #[test]
    fn work_is_measured_on_worker_threads_alone() {
        for (pool, told) in [(Pool::threads(1).unwrap(), true), (Pool::Inline, false)] {
            let (sender, receiver) = mpsc::channel();
            let strand = Strand::new(pool, Record(sender), 4);
            strand.push(1).unwrap();
            strand.push(2).unwrap();
            let seen: Vec<u32> = receiver.iter().take(if told { 3 } else { 2 }).collect();
            assert_eq!(seen[1] == u32::MAX, told);
        }
    }
}
