//! Server-sent events of one room and of all, resumable by `Last-Event-ID`.
//!
//! A [`Log`] keeps the last events of every room and of all rooms together in bounded rings. Followers read
//! from a bounded channel; one that falls behind gets `slow_consumer` and the end of its stream, and takes
//! up again where it was. Nobody who reads slowly ever holds up a room.

use super::app::App;
use super::auth::Caller;
use super::extract::Room;
use super::problem::{Code, Problem};
use super::schema;
use crate::conference::handle::{RoomEvent, RoomHandle};
use crate::ids::RoomId;
use crate::runtime::clock::rfc3339;
use crate::webhooks;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt};

/// Events that a follower may lag behind.
const LAG: usize = 256;
/// Of events that belong to no life of a room.
const NO_LIFE: u64 = 0;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happens in the room from now on, or after the event that `Last-Event-ID` names.
#[utoipa::path(get, path = "/v1/rooms/{room}/events", tag = "events", params(schema::RoomPath,
    ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen.")),
    responses((status = 200, content_type = "text/event-stream", body = schema::Event)))]
pub async fn of_room(State(app): State<App>, Room(room): Room, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    app.room(&room)?;
    stream(&app, Some(&room), caller, &headers)
}

/// What happens in all rooms. Its ids are its own.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen.")),
    responses((status = 200, content_type = "text/event-stream", body = schema::Event)))]
pub async fn of_all(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    app.list();
    stream(&app, None, caller, &headers)
}

fn stream(app: &App, room: Option<&RoomId>, caller: Caller, headers: &HeaderMap) -> Result<Response, Problem> {
    let permit = Arc::clone(&app.events.streams).try_acquire_owned().map_err(|_| {
        let most = app.config.limits.event_streams;
        Problem::new(Code::Busy, format!("limits.event_streams is {most}")).retry_after(app.config.drain.retry_after_seconds())
    })?;
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let followed = app.events.follow(room, after).ok_or_else(|| Problem::not_found("room"))?;
    let mut response =
        Sse::new(written(followed, permit, entitled(app, caller))).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies must not gather the stream.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Whether the caller may still read, asked before each event: a token ends, and its holder can be removed.
fn entitled(app: &App, caller: Caller) -> impl Fn() -> bool + use<> {
    let app = app.clone();
    move || match &caller {
        Caller::Token(claims) => app.keys.is_still_good(claims, app.wall()),
        Caller::Anyone | Caller::Server => true,
    }
}

fn written(followed: Followed, permit: OwnedSemaphorePermit, entitled: impl Fn() -> bool) -> impl Stream<Item = Result<Event, Infallible>> {
    let Followed { lost, missed, live } = followed;
    let lost = lost.then(|| Ok(Event::default().event("lost").data("{}")));
    let mut ended = false;
    let live = BroadcastStream::new(live).map_while(move |entry| {
        let _held = &permit;
        if ended || !entitled() {
            return None;
        }
        Some(Ok(match entry {
            Ok(entry) => entry.event(),
            Err(BroadcastStreamRecvError::Lagged(missed)) => {
                ended = true;
                metrics::counter!("mixdown_drops_total", "reason" => "slow_consumer").increment(missed);
                Event::default().event("slow_consumer").data(format!("{{\"missed\":{missed}}}"))
            }
        }))
    });
    tokio_stream::iter(lost.into_iter().chain(missed.into_iter().map(|entry| Ok(entry.event())))).chain(live)
}

/// What a follower is given.
struct Followed {
    /// Events between the last one that was seen and these are kept no more: ask for the state anew.
    lost: bool,
    missed: Vec<Arc<Entry>>,
    live: Live,
}

/// Events as they come.
type Live = broadcast::Receiver<Arc<Entry>>;

/// One event with its number in its ring.
#[derive(Debug)]
pub struct Entry {
    id: u64,
    event: RoomEvent,
}

impl Entry {
    fn event(&self) -> Event {
        let RoomEvent { room, kind, at, data, .. } = &self.event;
        let text = serde_json::json!({"id": self.id, "type": kind, "room": room, "at": rfc3339(*at), "data": data}).to_string();
        Event::default().id(self.id.to_string()).event(*kind).data(text)
    }
}

pub struct Log {
    history: usize,
    streams: Arc<Semaphore>,
    rings: Mutex<Rings>,
    webhooks: webhooks::Handle,
}

struct Rings {
    /// `None` once the server ends.
    all: Option<Ring>,
    rooms: BTreeMap<RoomId, Ring>,
    last: u64,
    lives: u64,
}

struct Ring {
    /// Tells apart the lives of a room that ended and was made again.
    life: u64,
    kept: VecDeque<Arc<Entry>>,
    live: broadcast::Sender<Arc<Entry>>,
}

impl Log {
    /// Whatever is recorded is offered to `webhooks` too.
    pub fn new(history: usize, streams: usize, webhooks: webhooks::Handle) -> Self {
        let rings = Rings { all: Some(Ring::new(0)), rooms: BTreeMap::new(), last: 0, lives: 0 };
        Self { history, streams: Arc::new(Semaphore::new(streams)), rings: Mutex::new(rings), webhooks }
    }

    /// Records the room's events from now on; does nothing where it already does.
    pub fn watch(self: &Arc<Self>, room: &RoomHandle) {
        let mut rings = self.lock();
        let Some(mut events) = room.first_events() else { return };
        rings.lives += 1;
        let (log, id, life) = (Arc::clone(self), room.id.clone(), rings.lives);
        rings.rooms.insert(id.clone(), Ring::new(life));
        drop(rings);
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => log.record(event, life),
                    Err(RecvError::Lagged(missed)) => metrics::counter!("mixdown_drops_total", "reason" => "event_log").increment(missed),
                    Err(RecvError::Closed) => break,
                }
            }
            log.forget(&id, life);
        });
    }

    /// Records events that no running room tells, from now on.
    pub fn take_in(self: &Arc<Self>, mut events: broadcast::Receiver<RoomEvent>) {
        let log = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => log.record(event, NO_LIFE),
                    Err(RecvError::Lagged(missed)) => metrics::counter!("mixdown_drops_total", "reason" => "event_log").increment(missed),
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }

    /// Ends all streams: the server is about to go.
    pub fn close(&self) {
        let mut rings = self.lock();
        rings.all = None;
        rings.rooms.clear();
    }

    fn forget(&self, room: &RoomId, life: u64) {
        let mut rings = self.lock();
        if rings.rooms.get(room).is_some_and(|ring| ring.life == life) {
            rings.rooms.remove(room);
        }
    }

    fn record(&self, event: RoomEvent, life: u64) {
        self.webhooks.offer(&event.room, event.kind, event.at, &event.data);
        let mut rings = self.lock();
        rings.last += 1;
        let id = rings.last;
        if let Some(all) = &mut rings.all {
            all.push(Entry { id, event: event.clone() }, self.history);
        }
        if let Some(ring) = rings.rooms.get_mut(&event.room).filter(|ring| ring.life == life) {
            ring.push(Entry { id: event.id, event }, self.history);
        }
    }

    /// The events after `after` that are still kept, and those to come. An `after` that lies ahead is of an
    /// earlier life of the room: everything kept is new then, and what came between is lost.
    fn follow(&self, room: Option<&RoomId>, after: Option<u64>) -> Option<Followed> {
        let rings = self.lock();
        let ring = match room {
            Some(room) => rings.rooms.get(room)?,
            None => rings.all.as_ref()?,
        };
        let newest = ring.kept.back().map_or(0, |entry| entry.id);
        let oldest = ring.kept.front().map_or(newest + 1, |entry| entry.id);
        let (lost, missed) = match after {
            None => (false, Vec::new()),
            Some(after) if after > newest => (true, ring.kept.iter().cloned().collect()),
            Some(after) => (after + 1 < oldest, ring.kept.iter().filter(|entry| entry.id > after).cloned().collect()),
        };
        Some(Followed { lost, missed, live: ring.live.subscribe() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn new(life: u64) -> Self {
        Self { life, kept: VecDeque::new(), live: broadcast::Sender::new(LAG) }
    }

    fn push(&mut self, entry: Entry, most: usize) {
        let entry = Arc::new(entry);
        if self.kept.len() >= most {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::clone(&entry));
        // Nobody listens: nothing to tell.
        let _ = self.live.send(entry);
    }
}
