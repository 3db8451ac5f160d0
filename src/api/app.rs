//! What all handlers share.

use super::auth::Keys;
use super::events;
use super::idempotency;
use super::layouts;
use super::problem::{Code, Problem};
use super::rate::Buckets;
use crate::conference::directory::{Created, Directory};
use crate::conference::handle::{Refusal, RoomHandle};
use crate::conference::library::Library;
use crate::conference::rights::Removals;
use crate::conference::station::Station;
use crate::config::{Config, Mode};
use crate::egress::Board;
use crate::ids::RoomId;
use crate::overload::Monitor;
use crate::pipeline::quote::Costs;
use crate::room::model::RoomPatch;
use crate::webhooks;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The rooms as the API sees them: [`Directory`] in the server, a stand-in in tests.
pub trait Rooms: Send + Sync {
    /// The room, if it runs.
    fn find(&self, room: &RoomId) -> Option<RoomHandle>;
    /// The room; made with `settings` where it does not run.
    fn open(&self, room: &RoomId, settings: RoomPatch) -> Result<(RoomHandle, Created), Refusal>;
    fn list(&self) -> Vec<RoomHandle>;
    /// Who was removed from which room.
    fn removals(&self) -> Arc<Removals>;
    fn library(&self) -> Library;
    fn station(&self) -> Station;
    fn board(&self) -> Board;
    /// How this server stands: what is given up for lack of time, and whether newcomers are refused.
    fn load(&self) -> Monitor;
    /// From now on nobody joins and no room is made.
    fn drain(&self);
    fn is_draining(&self) -> bool;
}

impl Rooms for Directory {
    fn find(&self, room: &RoomId) -> Option<RoomHandle> {
        self.find(room)
    }

    fn open(&self, room: &RoomId, settings: RoomPatch) -> Result<(RoomHandle, Created), Refusal> {
        self.open(room, settings)
    }

    fn list(&self) -> Vec<RoomHandle> {
        self.list()
    }

    fn removals(&self) -> Arc<Removals> {
        Arc::clone(self.removals())
    }

    fn library(&self) -> Library {
        self.library().clone()
    }

    fn station(&self) -> Station {
        self.station().clone()
    }

    fn board(&self) -> Board {
        self.board().clone()
    }

    fn load(&self) -> Monitor {
        self.load().clone()
    }

    fn drain(&self) {
        self.drain();
    }

    fn is_draining(&self) -> bool {
        self.is_draining()
    }
}

/// The time, given from outside: the server hands in the one clock, tests their own.
#[derive(Clone, Copy)]
pub struct Clock {
    pub now: fn() -> Instant,
    pub wall: fn() -> SystemTime,
    /// Processor time that the calling thread has taken.
    pub cpu: fn() -> Duration,
}

/// Renders the metrics in the text format of Prometheus.
pub type RenderMetrics = Box<dyn Fn() -> String + Send + Sync>;

/// State of the HTTP side: cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

pub struct Shared {
    pub config: Config,
    pub mode: Mode,
    pub rooms: Arc<dyn Rooms>,
    pub clock: Clock,
    pub keys: Keys,
    pub events: Arc<events::Log>,
    pub idempotency: idempotency::Store,
    pub layouts: layouts::Store,
    /// What this host's stages cost, once somebody has asked.
    pub costs: tokio::sync::OnceCell<Costs>,
    pub joins: Buckets,
    pub metrics: RenderMetrics,
    pub webhooks: webhooks::Handle,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub fn new(
        config: Config,
        mode: Mode,
        rooms: Arc<dyn Rooms>,
        clock: Clock,
        metrics: RenderMetrics,
        webhooks: webhooks::Handle,
    ) -> Self {
        let limits = config.limits.clone();
        Self(Arc::new(Shared {
            keys: Keys::new(&config.auth).with_removals(rooms.removals()),
            events: Arc::new(events::Log::new(limits.event_history, limits.event_streams, webhooks.clone())),
            idempotency: idempotency::Store::new(limits.idempotency_keys, Duration::from_millis(limits.idempotency_ttl_ms)),
            layouts: layouts::Store::open(config.rooms.layouts_folder()),
            costs: tokio::sync::OnceCell::new(),
            joins: Buckets::new(limits.joins_per_second_per_ip),
            config,
            mode,
            rooms,
            clock,
            metrics,
            webhooks,
        }))
    }

    pub fn now(&self) -> Instant {
        (self.clock.now)()
    }

    pub fn wall(&self) -> SystemTime {
        (self.clock.wall)()
    }

    /// The running room, or 404.
    pub fn room(&self, id: &RoomId) -> Result<RoomHandle, Problem> {
        let room = self.rooms.find(id).ok_or_else(|| Problem::not_found("room"))?;
        self.events.watch(&room);
        Ok(room)
    }

    /// All running rooms, in order of their ids.
    pub fn list(&self) -> Vec<RoomHandle> {
        let mut rooms = self.rooms.list();
        rooms.iter().for_each(|room| self.events.watch(room));
        rooms.sort_by(|a, b| a.id.cmp(&b.id));
        rooms
    }

    /// The room, made where it does not run. Draining, or overloaded where it would be made: 503.
    pub fn open(&self, id: &RoomId, settings: RoomPatch) -> Result<(RoomHandle, Created), Problem> {
        self.refuse_while_draining()?;
        if self.rooms.find(id).is_none() {
            self.refuse_while_overloaded()?;
        }
        let (room, created) = self.rooms.open(id, settings)?;
        self.events.watch(&room);
        Ok((room, created))
    }

    /// The room that somebody wants to join: made where the configuration allows it. Draining, or overloaded where they are not there
    /// already: 503.
    pub async fn enter(&self, id: &RoomId, identity: Option<&str>) -> Result<RoomHandle, Problem> {
        self.refuse_while_draining()?;
        if self.overload().is_some()
            && let Some(room) = self.rejoin(id, identity).await
        {
            return Ok(room);
        }
        self.refuse_while_overloaded()?;
        if self.config.rooms.create_on_join {
            return Ok(self.open(id, RoomPatch::default())?.0);
        }
        self.room(id)
    }

    /// The room, if somebody of this identity is in it: who takes their own place again adds nothing.
    async fn rejoin(&self, id: &RoomId, identity: Option<&str>) -> Option<RoomHandle> {
        let (room, identity) = (self.room(id).ok()?, identity?);
        room.is_present(identity.to_owned()).await.is_ok_and(|present| present).then_some(room)
    }

    /// Nothing that costs more than what runs: 503 while draining or overloaded.
    pub fn refuse_more(&self) -> Result<(), Problem> {
        self.refuse_while_draining()?;
        self.refuse_while_overloaded()
    }

    fn refuse_while_overloaded(&self) -> Result<(), Problem> {
        let Some(problem) = self.overload() else { return Ok(()) };
        metrics::counter!("mixdown_drops_total", "reason" => "overloaded").increment(1);
        Err(problem)
    }

    /// What newcomers are told now, if they are not welcome.
    fn overload(&self) -> Option<Problem> {
        let status = self.rooms.load().status();
        let problem = Problem::new(Code::Overloaded, status.refusal?.to_string());
        Some(problem.retry_after(status.retry_after.as_secs().max(1)))
    }

    pub fn refuse_while_draining(&self) -> Result<(), Problem> {
        if self.rooms.is_draining() {
            let problem = Problem::new(Code::Draining, "the server is about to end and takes nobody new");
            return Err(problem.retry_after(self.config.drain.retry_after_seconds()));
        }
        Ok(())
    }
}
