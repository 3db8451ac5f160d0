//! How many ticks came in time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Ticks that were due, and of these how many were skipped or came late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    pub due: u64,
    pub late: u64,
}

impl Ticks {
    /// The share that was late: 0–1.
    pub fn lateness(self) -> f64 {
        if self.due == 0 { 0.0 } else { self.late as f64 / self.due as f64 }
    }
}

impl std::ops::Add for Ticks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { due: self.due + other.due, late: self.late + other.late }
    }
}

/// Counts the ticks of many; shared between the threads that tick and whoever looks.
#[derive(Debug, Default)]
pub struct Punctuality {
    due: AtomicU64,
    late: AtomicU64,
}

impl Punctuality {
    pub fn note(&self, late: bool) {
        self.due.fetch_add(1, Ordering::Relaxed);
        self.late.fetch_add(u64::from(late), Ordering::Relaxed);
    }

    /// So many ticks were skipped.
    pub fn skip(&self, ticks: u64) {
        self.due.fetch_add(ticks, Ordering::Relaxed);
        self.late.fetch_add(ticks, Ordering::Relaxed);
    }

    /// What was counted since it was asked for before; never more late than due, though the two are not read at one instant.
    pub fn take(&self) -> Ticks {
        let due = self.due.swap(0, Ordering::Relaxed);
        Ticks { due, late: self.late.swap(0, Ordering::Relaxed).min(due) }
    }
}
