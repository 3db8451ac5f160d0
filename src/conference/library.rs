//! The recordings of this server, as rooms and the API reach them.
//!
//! Rooms start recordings here; whoever lists, reads or deletes them takes the [`Store`]. What a room does no longer tell of its
//! recordings because it has ended, and what is found at the start of the server, is told on [`Library::events`].

use super::handle::{Refusal, RoomEvent};
use super::{Inbox, Input};
use crate::ids::RecordingId;
use crate::record::{self, Manifest, Recorder, Report, Start, State, Store, upload};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::broadcast;

/// Events that wait for the one log that keeps them.
const EVENTS: usize = 256;

/// Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Shelf>);

struct Shelf {
    store: Result<Store, Refusal>,
    /// Of one room at the same time.
    most: usize,
    events: broadcast::Sender<RoomEvent>,
    wall: fn() -> SystemTime,
}

impl Library {
    /// `most`: recordings of one room at the same time.
    pub fn new(store: Store, most: usize, wall: fn() -> SystemTime) -> Self {
        Self(Arc::new(Shelf { store: Ok(store), most, events: broadcast::Sender::new(EVENTS), wall }))
    }

    /// Without recordings: whoever asks for one is refused so.
    pub fn closed(refusal: Refusal) -> Self {
        Self(Arc::new(Shelf { store: Err(refusal), most: 0, events: broadcast::Sender::new(EVENTS), wall: || SystemTime::UNIX_EPOCH }))
    }

    /// By the configuration.
    pub fn disabled() -> Self {
        Self::closed(Refusal::Conflict("recordings.enabled is false on this server".into()))
    }

    pub fn store(&self) -> Result<&Store, Refusal> {
        self.0.store.as_ref().map_err(Clone::clone)
    }

    pub fn most(&self) -> usize {
        self.0.most
    }

    /// What no room tells, from now on.
    pub fn events(&self) -> broadcast::Receiver<RoomEvent> {
        self.0.events.subscribe()
    }

    /// Tells that a recording has ended of which no room tells it.
    pub fn tell(&self, manifest: &Manifest) {
        self.send(kind_of_end(manifest.state), manifest);
    }

    fn send(&self, kind: &'static str, manifest: &Manifest) {
        let Ok(room) = manifest.room.parse() else { return };
        let event = RoomEvent { id: 0, room, kind, at: (self.0.wall)(), data: shown(manifest) };
        // Nobody keeps events: there is nobody to tell.
        let _ = self.0.events.send(event);
    }

    /// Begins a recording; does not wait for the disk.
    pub(super) fn start(&self, inbox: Inbox, start: Start) -> Result<Recorder, Refusal> {
        let report = Reporter { inbox, library: self.clone() };
        self.store()?.start(start, Arc::new(report)).map_err(|error| Refusal::Busy(format!("no recording can be started: {error}")))
    }
}

impl upload::Told for Library {
    fn upload(&self, manifest: &Manifest) {
        let complete = manifest.upload.as_ref().is_some_and(|upload| upload.state == upload::State::Complete);
        self.send(if complete { "recording.uploaded" } else { "recording.upload_failed" }, manifest);
    }
}

/// The kind of the event that tells of a recording's end.
pub(super) fn kind_of_end(state: State) -> &'static str {
    match state {
        State::Interrupted => "recording.interrupted",
        State::Failed => "recording.failed",
        _ => "recording.ended",
    }
}

/// A recording in an event.
pub(super) fn shown(manifest: &Manifest) -> serde_json::Value {
    serde_json::json!({"recording": manifest, "reason": manifest.reason})
}

/// From a recording's thread to its room, or past it where it has ended.
struct Reporter {
    inbox: Inbox,
    library: Library,
}

impl Report for Reporter {
    fn event(&self, recording: RecordingId, event: record::Event) {
        let record::Event::Ended(manifest) = event else {
            self.inbox.put(Input::Recording(recording, event));
            return;
        };
        // The last act of a thread of its own: it may wait for a room that is busy, and must not be lost.
        let last = Input::Recording(recording, record::Event::Ended(manifest.clone()));
        if self.inbox.0.blocking_send(last).is_err() {
            self.library.tell(&manifest);
        }
    }
}
