//! Names of rooms that die again and again: after three internal errors within a minute the name rests for a minute, so that
//! whatever kills the room does not cost everybody else. Holds a bounded number of names, each for a minute.

use crate::ids::RoomId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Deaths within [`WINDOW`] after which a name rests for [`REST`].
const DEATHS: usize = 3;
const WINDOW: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_secs(60);
/// Names that are remembered; rooms that die beyond it are not.
const NAMES: usize = 1024;

#[derive(Debug, Default)]
pub struct Deaths(BTreeMap<RoomId, Entry>);

#[derive(Debug, Default)]
struct Entry {
    died: Vec<Instant>,
    rests_until: Option<Instant>,
}

impl Entry {
    fn is_current(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until) || self.died.last().is_some_and(|last| now < *last + WINDOW)
    }
}

impl Deaths {
    /// `room` has ended by an internal error.
    pub fn note(&mut self, room: &RoomId, now: Instant) {
        self.0.retain(|_, entry| entry.is_current(now));
        if self.0.len() >= NAMES && !self.0.contains_key(room) {
            return;
        }
        let entry = self.0.entry(room.clone()).or_default();
        entry.died.retain(|died| now < *died + WINDOW);
        entry.died.push(now);
        if entry.died.len() >= DEATHS {
            entry.died.clear();
            entry.rests_until = Some(now + REST);
        }
    }

    /// How long `room` must not be made yet, in whole seconds; `None`: it may.
    pub fn rest(&self, room: &RoomId, now: Instant) -> Option<Duration> {
        let until = self.0.get(room)?.rests_until?;
        let left = until.saturating_duration_since(now);
        (!left.is_zero()).then(|| Duration::from_secs(left.as_millis().div_ceil(1000) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_rests_after_three_deaths_within_a_minute_and_is_then_as_before() {
        let start = crate::runtime::clock::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let (room, other): (RoomId, RoomId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut deaths = Deaths::default();
        for s in [0, 30, 65] {
            deaths.note(&room, at(s));
            assert_eq!(deaths.rest(&room, at(s)), None, "two within any minute");
        }
        deaths.note(&room, at(80));
        assert_eq!(deaths.rest(&room, at(80)), Some(REST));
        assert_eq!(deaths.rest(&other, at(80)), None);
        assert_eq!(deaths.rest(&room, at(139) + Duration::from_millis(1)), Some(Duration::from_secs(1)));
        assert_eq!(deaths.rest(&room, at(140)), None);
        deaths.note(&other, at(141));
        assert_eq!(deaths.0.len(), 1, "a name is forgotten when nothing holds it");
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let now = crate::runtime::clock::now();
        let mut deaths = Deaths::default();
        (0..2 * NAMES).for_each(|n| deaths.note(&format!("r{n}").parse().unwrap(), now));
        assert_eq!(deaths.0.len(), NAMES);
    }
}
