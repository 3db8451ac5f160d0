//! Governor and admission, stepped together.

use super::{Admission, Governor, Load, Refusal, Settings, Step};
use std::time::{Duration, Instant};

/// How the server stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Status {
    pub step: Step,
    /// Why newcomers are refused.
    pub refusal: Option<Refusal>,
    /// When who was refused shall ask again.
    pub retry_after: Duration,
    pub load: Load,
}

#[derive(Debug, Clone)]
pub struct Guard {
    governor: Governor,
    admission: Admission,
    retry_after: Duration,
}

impl Guard {
    pub fn new(settings: Settings) -> Self {
        Self { governor: Governor::new(settings), admission: Admission::new(settings), retry_after: settings.retry_after }
    }

    /// What the load has been until `now`, every [`PERIOD`](super::PERIOD).
    pub fn handle(&mut self, load: Load, now: Instant) -> Status {
        let step = self.governor.handle(&load, now);
        Status { step, refusal: self.admission.handle(&load, step, now), retry_after: self.retry_after, load }
    }
}
