//! All rooms of this process.

use super::actor::{End, Linger};
use super::deaths::Deaths;
use super::handle::{Refusal, RoomHandle};
use super::library::Library;
use super::rights::Removals;
use super::sharing::Sharing;
use super::station::Station;
use super::taps::Taps;
use super::{Conference, Inbox, Parts, actor};
use crate::egress::Board;
use crate::ids::{ParticipantId, RoomId};
use crate::ledger::Bill;
use crate::overload::Monitor;
use crate::pipeline::{mix, video};
use crate::room::model::RoomPatch;
use crate::room::{Room, Settings};
use crate::runtime::clock;
use crate::{net, peer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};

/// Requests that wait for a room; beyond it callers get 503.
const REQUESTS: usize = 256;
/// What peers and stages report and the room has not yet handled.
const INPUTS: usize = 8192;
/// Events that a slow subscriber may lag behind.
const EVENTS: usize = 1024;

/// What every room is made from.
pub struct Building {
    pub settings: Settings,
    pub max_rooms: usize,
    /// How long a room that came with its first participant stays after the last one has left; `None`: until it is deleted.
    pub linger: Option<Duration>,
    pub peer: Arc<peer::types::Config>,
    /// One hub per core; each room lives in one.
    pub hubs: Vec<net::Handle>,
    pub stages: video::Shared,
    pub mixes: mix::Driver,
    pub mix: mix::Settings,
    pub library: Library,
    pub station: Station,
    pub board: Board,
    /// What is given up for lack of time.
    pub load: Monitor,
}

/// Finds rooms and makes them. Shared by all requests; the lock is held for look-ups alone.
pub struct Directory {
    building: Building,
    rooms: Arc<Mutex<BTreeMap<RoomId, RoomHandle>>>,
    deaths: Arc<Mutex<Deaths>>,
    draining: AtomicBool,
    next_hub: AtomicUsize,
    next_rendition: Arc<AtomicU64>,
    sharing: Arc<Sharing>,
    removals: Arc<Removals>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    New,
    Existing,
}

impl Directory {
    pub fn new(building: Building) -> Self {
        Self {
            building,
            rooms: Arc::default(),
            deaths: Arc::default(),
            draining: AtomicBool::new(false),
            next_hub: AtomicUsize::new(0),
            next_rendition: Arc::new(AtomicU64::new(1)),
            sharing: Arc::default(),
            removals: Arc::default(),
        }
    }

    /// The room, if it runs.
    pub fn find(&self, room: &RoomId) -> Option<RoomHandle> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).get(room).cloned()
    }

    /// The room; made with the defaults and `settings` where it does not run. 503 at the limit of rooms, while draining, and
    /// while the name rests after several internal errors.
    /// Must be called on the tokio runtime.
    pub fn open(&self, room: &RoomId, settings: RoomPatch) -> Result<(RoomHandle, Created), Refusal> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = rooms.get(room) {
            return Ok((handle.clone(), Created::Existing));
        }
        if self.is_draining() {
            return Err(Refusal::Busy("the server is draining".into()));
        }
        if rooms.len() >= self.building.max_rooms {
            return Err(Refusal::Busy(format!("rooms.max_rooms is {}", self.building.max_rooms)));
        }
        if let Some(rest) = self.deaths.lock().unwrap_or_else(PoisonError::into_inner).rest(room, clock::now()) {
            return Err(Refusal::Resting(rest));
        }
        let mut state = Room::new(room.clone(), self.building.settings.clone(), Arc::clone(&self.next_rendition));
        state.update(settings)?;
        let handle = self.start(room, state);
        rooms.insert(room.clone(), handle.clone());
        metrics::gauge!("mixdown_rooms").set(rooms.len() as f64);
        Ok((handle, Created::New))
    }

    pub fn list(&self) -> Vec<RoomHandle> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Who was removed from which room.
    pub fn removals(&self) -> &Arc<Removals> {
        &self.removals
    }

    /// The recordings of this server.
    pub fn library(&self) -> &Library {
        &self.building.library
    }

    /// What is played on this server.
    pub fn station(&self) -> &Station {
        &self.building.station
    }

    /// What leaves this server's rooms for other places.
    pub fn board(&self) -> &Board {
        &self.building.board
    }

    /// How this server stands.
    pub fn load(&self) -> &Monitor {
        &self.building.load
    }

    /// From now on nobody joins and no room is made; running conferences go on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Builds the conference around the room and lets it run.
    fn start(&self, id: &RoomId, room: Room) -> RoomHandle {
        let building = &self.building;
        let (requests, request_queue) = mpsc::channel(REQUESTS);
        let (inputs, input_queue) = mpsc::channel(INPUTS);
        let (events, _) = broadcast::channel(EVENTS);
        let handle = RoomHandle::new(id.clone(), requests, events.clone());
        let inbox = Inbox(inputs);
        let hub = self.next_hub.fetch_add(1, Ordering::Relaxed) % building.hubs.len().max(1);
        let Some(net) = building.hubs.get(hub).cloned() else { return handle };
        let epoch = clock::now();
        let taps = Arc::new(Taps::new(net.clone()));
        let bill = Arc::<Bill>::default();
        let steps = building.load.enter(id.as_str(), &bill);
        let mix = building.mixes.add(building.mix.clone(), epoch, taps.clone(), Arc::new(inbox.clone()), Arc::clone(&bill));
        let conference = Conference::new(Parts {
            room,
            stages: building.stages.clone(),
            net,
            taps,
            library: building.library.clone(),
            station: building.station.clone(),
            board: building.board.clone(),
            mix,
            inbox,
            events,
            peer: Arc::clone(&building.peer),
            bill,
            sharing: Arc::clone(&self.sharing),
            removals: Arc::clone(&self.removals),
            epoch,
            created: clock::wall(),
            next_id: Box::new(|| ParticipantId(rand::random())),
        });
        let (rooms, deaths, id) = (Arc::clone(&self.rooms), Arc::clone(&self.deaths), id.clone());
        let task = actor::run(conference, request_queue, input_queue, steps, Linger { time: building.linger, kept: handle.kept() });
        tokio::spawn(async move {
            if task.await == End::Failed {
                deaths.lock().unwrap_or_else(PoisonError::into_inner).note(&id, clock::now());
            }
            let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.remove(&id);
            metrics::gauge!("mixdown_rooms").set(rooms.len() as f64);
        });
        handle
    }
}
