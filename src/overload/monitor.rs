//! Where rooms and the API see how the server stands.

use super::{Status, Step};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Cheap to clone. Until something is [set](Monitor::set), nothing is given up and everybody is welcome.
#[derive(Debug, Clone, Default)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Status>,
    step: watch::Sender<Step>,
}

impl Monitor {
    pub fn status(&self) -> Status {
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step to be on, now and whenever it changes.
    pub fn steps(&self) -> watch::Receiver<Step> {
        self.0.step.subscribe()
    }

    /// Tells everybody, and returns how it stood before.
    pub fn set(&self, status: Status) -> Status {
        let before = std::mem::replace(&mut *self.0.status.lock().unwrap_or_else(PoisonError::into_inner), status);
        self.0.step.send_if_modified(|step| std::mem::replace(step, status.step) != status.step);
        before
    }
}
