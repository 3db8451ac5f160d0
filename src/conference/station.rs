//! Everything that is played on this server, as rooms and the API reach it: how it may be, how many there are, in which room each is,
//! and for a while how each has ended.

use super::handle::Refusal;
use crate::ids::{IngressId, ParticipantId, RoomId};
use crate::ingress::{Settings, State, Transport};
use crate::process;
use crate::room::sound::Gain;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Those that have ended by themselves and can still be asked for.
const REMEMBERED: usize = 256;

/// An ingress as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ingress {
    pub id: IngressId,
    pub room: RoomId,
    pub participant: ParticipantId,
    pub name: String,
    pub role: Option<String>,
    /// What is played: one of these; of a URL without user, password and query.
    pub url: Option<String>,
    pub file: Option<String>,
    pub picture: bool,
    pub show: Show,
    pub state: State,
    /// Why it is tried again, or has ended.
    pub reason: Option<String>,
    pub position_ms: u64,
    /// `None`: live, or not known yet.
    pub duration_ms: Option<u64>,
    #[serde(rename = "loop")]
    pub looped: bool,
    pub gain_db: Gain,
    /// Of all others while an announcement sounds.
    pub duck_db: Gain,
    pub created_at: String,
    #[serde(skip)]
    pub etag: u64,
}

impl Ingress {
    /// What a recording's timeline says of it: enough to lay its file beside the tracks, and no address, which is for those alone who may steer it.
    pub fn noted(&self) -> serde_json::Value {
        let Self { id, participant, name, file, show, state, position_ms, duration_ms, .. } = self;
        serde_json::json!({
            "id": id, "participant": participant, "name": name, "file": file, "show": show, "state": state,
            "position_ms": position_ms, "duration_ms": duration_ms,
        })
    }
}

/// As what it is in the room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// In a tile as people are.
    #[default]
    Camera,
    /// Where a shared screen is.
    Screen,
    /// As a sound for everybody, without a tile.
    Announcement,
}

impl Ingress {
    /// As it stands at `now`.
    pub fn stand(&mut self, transport: &Transport, now: Instant) {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (self.position_ms, self.duration_ms, self.looped) =
            (ms(transport.position(now)), transport.duration.map(ms), transport.is_looped());
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Station(Arc<Shelf>);

struct Shelf {
    settings: Arc<Settings>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    rooms: BTreeMap<IngressId, RoomId>,
    ended: VecDeque<Ingress>,
}

impl Station {
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shelf { settings: Arc::new(settings), known: Mutex::default() }))
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.0.settings
    }

    /// Whether films and streams can be played at all.
    pub fn check(&self) -> Result<(), Refusal> {
        let program = &self.settings().ffmpeg;
        let missing = || Refusal::Busy(format!("there is no {program} on this server: install ffmpeg, or set ingress.ffmpeg"));
        process::find(program).map(drop).ok_or_else(missing)
    }

    /// The room in which it is played.
    pub fn room_of(&self, id: IngressId) -> Option<RoomId> {
        self.known().rooms.get(&id).cloned()
    }

    /// One that has ended.
    pub fn ended(&self, id: IngressId) -> Option<Ingress> {
        self.known().ended.iter().find(|ingress| ingress.id == id).cloned()
    }

    /// Room for one more, until the ticket is dropped.
    pub(super) fn admit(&self, id: IngressId, room: &RoomId) -> Result<Ticket, Refusal> {
        let mut known = self.known();
        if known.rooms.len() >= self.settings().max {
            return Err(Refusal::Busy(format!("ingress.max is {}", self.settings().max)));
        }
        known.rooms.insert(id, room.clone());
        metrics::gauge!("mixdown_ingress").set(known.rooms.len() as f64);
        Ok(Ticket { id, station: self.clone() })
    }

    pub(super) fn remember(&self, ingress: Ingress) {
        let mut known = self.known();
        if known.ended.len() == REMEMBERED {
            known.ended.pop_front();
        }
        known.ended.push_back(ingress);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to play.
pub(super) struct Ticket {
    id: IngressId,
    station: Station,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut known = self.station.known();
        known.rooms.remove(&self.id);
        metrics::gauge!("mixdown_ingress").set(known.rooms.len() as f64);
    }
}
