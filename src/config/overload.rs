//! What is given up where the processor does not suffice, and who is still let in.

use super::check::Faults;
use crate::overload::Settings;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overload {
    /// Whether pictures are made cheaper under load.
    pub governor: bool,
    /// Of the processor time that the server may use: from here on they are, and up to here they are made good again.
    pub down_cpu_percent: u32,
    pub up_cpu_percent: u32,
    /// Cameras and screens of a room that are decoded on the last step but one.
    pub tiles: u32,
    /// Whether newcomers are refused under load.
    pub admission: bool,
    /// From here on for five seconds they are.
    pub admission_cpu_percent: u32,
    /// 0: nine tenths of what the machine or the container has.
    pub max_memory_bytes: u64,
    /// What refused clients are told in `Retry-After`.
    pub retry_after_ms: u64,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            governor: true,
            down_cpu_percent: 95,
            up_cpu_percent: 70,
            tiles: 4,
            admission: true,
            admission_cpu_percent: 85,
            max_memory_bytes: 0,
            retry_after_ms: 10_000,
        }
    }
}

impl Overload {
    pub fn settings(&self) -> Settings {
        let share = |percent: u32| f64::from(percent) / 100.0;
        Settings {
            governor: self.governor,
            down_cpu: share(self.down_cpu_percent),
            up_cpu: share(self.up_cpu_percent),
            admission: self.admission,
            admission_cpu: share(self.admission_cpu_percent),
            memory_bytes: (self.max_memory_bytes > 0).then_some(self.max_memory_bytes),
            retry_after: Duration::from_millis(self.retry_after_ms),
        }
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        faults.range("overload.down_cpu_percent", self.down_cpu_percent, 10..=100);
        faults.range("overload.up_cpu_percent", self.up_cpu_percent, 1..=99);
        if self.up_cpu_percent >= self.down_cpu_percent {
            let fault = format!("{} is not below overload.down_cpu_percent", self.up_cpu_percent);
            faults.add("overload.up_cpu_percent", fault, "write a smaller one, such as three quarters of it");
        }
        faults.range("overload.tiles", self.tiles, 0..=100);
        faults.range("overload.admission_cpu_percent", self.admission_cpu_percent, 10..=100);
        faults.range("overload.retry_after_ms", self.retry_after_ms, 1000..=3_600_000);
    }
}
