//! What a session may do, and who may not come back.

use crate::ids::{RoomId, Source};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// People who were removed and are remembered; beyond it the oldest removal is forgotten.
const MAX_REMOVALS: usize = 10_000;

/// What the holder of a session may do: decided once, when they join, and asked for every command on the data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    pub publish_audio: bool,
    pub publish_video: bool,
    pub subscribe: bool,
    pub chat: bool,
    /// Mute, remove and admit others, pin.
    pub admin: bool,
    /// Pin, and choose among all views.
    pub layout: bool,
    /// Passes the waiting room.
    pub admitted: bool,
    pub views: Views,
}

/// Which views may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Views {
    All,
    /// `main`, and this one.
    Main(Option<String>),
}

impl Rights {
    /// Everything: for rooms that are open to anyone.
    pub fn all() -> Self {
        Self {
            publish_audio: true,
            publish_video: true,
            subscribe: true,
            chat: true,
            admin: true,
            layout: true,
            admitted: true,
            views: Views::All,
        }
    }

    pub fn may_publish(&self, source: Source) -> bool {
        match source {
            Source::Camera | Source::Screen => self.publish_video,
            Source::Microphone | Source::ScreenAudio => self.publish_audio,
        }
    }

    pub fn may_watch(&self, view: &str) -> bool {
        match &self.views {
            Views::All => true,
            Views::Main(other) => view == crate::room::MAIN_VIEW || other.as_deref() == Some(view),
        }
    }
}

/// Who was removed from which room, and when: tokens that were made before are void in that room. Shared by all rooms and the
/// API, since a removal outlives the room's idle time. The lock is held for look-ups alone.
#[derive(Debug, Default)]
pub struct Removals(Mutex<BTreeMap<(RoomId, String), SystemTime>>);

impl Removals {
    pub fn remove(&self, room: &RoomId, identity: &str, now: SystemTime) {
        let mut removed = self.lock();
        if removed.len() >= MAX_REMOVALS
            && let Some(oldest) = removed.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone())
        {
            metrics::counter!("mixdown_drops_total", "reason" => "removals").increment(1);
            removed.remove(&oldest);
        }
        removed.insert((room.clone(), identity.to_owned()), now);
    }

    /// Lets `identity` come back. `false`: nobody of this identity was removed.
    pub fn allow(&self, room: &RoomId, identity: &str) -> bool {
        self.lock().remove(&(room.clone(), identity.to_owned())).is_some()
    }

    pub fn removed_at(&self, room: &RoomId, identity: &str) -> Option<SystemTime> {
        self.lock().get(&(room.clone(), identity.to_owned())).copied()
    }

    /// Everybody who was removed from `room`, by identity.
    pub fn of(&self, room: &RoomId) -> Vec<(String, SystemTime)> {
        self.lock().iter().filter(|((of, _), _)| of == room).map(|((_, identity), at)| (identity.clone(), *at)).collect()
    }

    /// Forgets removals before `time`: no token that old is still alive.
    pub fn forget(&self, time: SystemTime) {
        self.lock().retain(|_, at| *at > time);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(RoomId, String), SystemTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn removals_are_of_one_room_and_are_taken_back_or_forgotten() {
        let (removals, at) = (Removals::default(), |s| UNIX_EPOCH + Duration::from_secs(s));
        let [a, b] = ["a", "b"].map(|room| room.parse::<RoomId>().unwrap());
        removals.remove(&a, "ann", at(5));
        removals.remove(&a, "bob", at(9));
        assert_eq!((removals.removed_at(&a, "ann"), removals.removed_at(&b, "ann")), (Some(at(5)), None));
        removals.forget(at(5));
        assert_eq!(removals.of(&a), [("bob".to_owned(), at(9))]);
        assert!(removals.allow(&a, "bob") && !removals.allow(&a, "bob"));
    }

    #[test]
    fn the_memory_of_removals_is_bounded() {
        let (removals, room) = (Removals::default(), "a".parse().unwrap());
        for n in 0..MAX_REMOVALS as u64 + 10 {
            removals.remove(&room, &n.to_string(), UNIX_EPOCH + Duration::from_secs(n));
        }
        assert_eq!(removals.of(&room).len(), MAX_REMOVALS);
        assert_eq!(removals.removed_at(&room, "3"), None, "the oldest go first");
    }
}
