//! A thread for each hub, and one for what stands before several: media waits for no request to the API and is not handed from one
//! worker to the next, which costs two system calls each time.

use crate::urgency::{self, Urgency};
use std::future::Future;
use std::io;
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own. Its tasks end with it; it ends when this is dropped.
pub struct Thread {
    pub tasks: Handle,
    _running: oneshot::Sender<()>,
}

impl Thread {
    /// # Errors
    /// The system has no thread or no descriptor left.
    pub fn start(name: String) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let tasks = runtime.handle().clone();
        let (running, end) = oneshot::channel::<()>();
        thread::Builder::new().name(name).spawn(move || {
            urgency::claim(Urgency::Early);
            runtime.block_on(async { drop(end.await) });
        })?;
        Ok(Self { tasks, _running: running })
    }

    /// Runs there what opens sockets: they are served where they were opened.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = io::Result<T>> + Send + 'static) -> io::Result<T> {
        self.tasks.spawn(work).await.map_err(io::Error::other)?
    }
}
