//! All egresses of this server.

use super::hls::Budget;
use super::life::Reason;
use super::output::{Egress, Work};
use super::target::Target;
use super::{Report, Settings, Start, driver};
use crate::ids::EgressId;
use crate::runtime::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Cheap to clone.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    budget: Arc<Budget>,
    running: Mutex<BTreeMap<EgressId, Arc<Egress>>>,
    tasks: TaskTracker,
}

/// As many run as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("egress.max is {0}")]
pub struct Full(pub usize);

impl Board {
    pub fn new(settings: Settings) -> Self {
        let budget = Budget::new(settings.hls_bytes);
        Self(Arc::new(Inner { settings: Arc::new(settings), budget, running: Mutex::default(), tasks: TaskTracker::new() }))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Begins an egress, whose outputs come up on tasks of their own. Must be called within a tokio runtime.
    pub fn start(&self, start: Start, targets: Vec<Target>, report: &Arc<dyn Report>) -> Result<Arc<Egress>, Full> {
        let mut running = self.running();
        let most = self.0.settings.most;
        if running.len() >= most {
            return Err(Full(most));
        }
        let egress = Arc::new(Egress::new(start, targets, &self.0.settings, &self.0.budget, clock::now()));
        running.insert(egress.id, Arc::clone(&egress));
        metrics::gauge!("mixdown_egresses").set(running.len() as f64);
        for index in 0..egress.outputs().len() {
            let (settings, report) = (Arc::clone(&self.0.settings), Arc::clone(report));
            self.0.tasks.spawn(driver::live(Arc::new(Work { egress: Arc::clone(&egress), index, settings, report })));
        }
        Ok(egress)
    }

    pub fn find(&self, id: EgressId) -> Option<Arc<Egress>> {
        self.running().get(&id).cloned()
    }

    /// In order of their ids.
    pub fn list(&self) -> Vec<Arc<Egress>> {
        self.running().values().cloned().collect()
    }

    /// Ends one and takes it from the board; its outputs end a moment later.
    pub fn end(&self, id: EgressId, reason: Reason) {
        let mut running = self.running();
        if let Some(egress) = running.remove(&id) {
            egress.end(reason);
        }
        metrics::gauge!("mixdown_egresses").set(running.len() as f64);
    }

    /// Ends all and waits until their outputs have ended, or for so long.
    pub async fn finish(&self, most: Duration) {
        let all: Vec<EgressId> = self.running().keys().copied().collect();
        all.into_iter().for_each(|id| self.end(id, Reason::Shutdown));
        self.0.tasks.close();
        if tokio::time::timeout(most, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(outputs = self.0.tasks.len(), "not all outputs had ended in time");
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<EgressId, Arc<Egress>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
