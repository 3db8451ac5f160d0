//! Threads that take jobs from one queue, oldest first, and sleep while there are none.
//!
//! A media server's workers are idle between any two pictures. A pool made for short bursts of computation (rayon's) looks for more
//! work for a while each time before it sleeps, which cost a room of four a tenth of its processor time; here an idle thread sleeps at once.

use super::allowance::Allowance;
use super::pool::measure;
use crate::ledger;
use crate::runtime::clock;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What is to be done, on one worker.
pub trait Job: Send + Sync {
    fn run(&self);
}

/// Ends its threads when dropped; what they are doing is done first, what waits is not.
pub struct Workers(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// A job has come, or the end.
    news: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Arc<dyn Job>>,
    allowance: Allowance,
    ended: bool,
}

impl Workers {
    /// # Errors
    /// The system has no thread left.
    pub fn start(count: usize) -> io::Result<Self> {
        let workers = Self(Arc::default());
        for n in 0..count {
            let queue = Arc::clone(&workers.0);
            thread::Builder::new().name(format!("worker-{n}")).spawn(move || queue.work(n))?;
        }
        Ok(workers)
    }

    /// Hands over a job. Never waits for the work.
    pub fn push(&self, job: Arc<dyn Job>) {
        self.0.state().jobs.push_back(job);
        self.0.news.notify_one();
    }

    /// So many processors from now on; `None`: as many as there are.
    pub fn allow(&self, processors: Option<f64>) {
        self.0.state().allowance.set(processors);
        self.0.news.notify_all();
    }

    /// Somebody else has taken this in place of a worker.
    pub fn charge(&self, cpu: Duration) {
        self.0.state().allowance.take(cpu);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.news.notify_all();
    }
}

impl Queue {
    fn work(&self, worker: usize) {
        let mut taken = Duration::ZERO;
        while let Some(job) = self.next(taken) {
            let ((), spent) = measure(|| job.run());
            ledger::busy(worker, spent.took);
            taken = spent.cpu;
        }
    }

    /// `taken`: processor time of the job before. `None`: it is over.
    fn next(&self, taken: Duration) -> Option<Arc<dyn Job>> {
        let mut state = self.state();
        state.allowance.take(taken);
        while !state.ended {
            let wait = if state.jobs.is_empty() { None } else { Some(state.allowance.wait(clock::now())) };
            state = match wait {
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Some(wait)) => self.news.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                Some(None) => {
                    let job = state.jobs.pop_front();
                    // Whoever was told of it may have had to wait.
                    if !state.jobs.is_empty() {
                        self.news.notify_one();
                    }
                    return job;
                }
            };
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc::{Sender, channel};

    struct Meet(Barrier, Sender<Option<String>>);

    impl Job for Meet {
        fn run(&self) {
            self.0.wait();
            self.1.send(thread::current().name().map(str::to_owned)).unwrap();
        }
    }

    #[test]
    fn jobs_run_side_by_side_and_threads_end_with_the_pool() {
        let (sender, receiver) = channel();
        let workers = Workers::start(2).unwrap();
        // Neither gets past the barrier alone.
        let meet: Arc<dyn Job> = Arc::new(Meet(Barrier::new(2), sender));
        workers.push(Arc::clone(&meet));
        workers.push(meet);
        let mut names = [receiver.recv().unwrap().unwrap(), receiver.recv().unwrap().unwrap()];
        names.sort();
        assert_eq!(names, ["worker-0", "worker-1"]);
        drop(workers);
        // The last sender goes with the last thread.
        assert!(receiver.recv().is_err());
    }
}
