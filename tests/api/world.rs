//! Rooms that answer as real ones do, without media, and a client for the router.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use mixdown::api::{self, App, Clock, Rooms};
use mixdown::conference::directory::Created;
use mixdown::conference::handle::{Joined, ParticipantView, Refusal, Request as Ask, RoomEvent, RoomHandle};
use mixdown::conference::ingress;
use mixdown::conference::library::Library;
use mixdown::conference::rights::{Removals, Rights};
use mixdown::conference::station::Station;
use mixdown::config::{Config, Key, Mode, Secret};
use mixdown::egress::Board;
use mixdown::ids::{ParticipantId, RoomId};
use mixdown::overload::Monitor;
use mixdown::peer::types::{Answer, CloseReason, Stats};
use mixdown::room::model::{RenditionStats, RoomPatch, RoomStats};
use mixdown::room::{Arrival, Room, Settings};
use mixdown::webhooks;
use mixdown_codecs::{I420Frame, Size};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, mpsc};
use tower::ServiceExt;

pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
pub const CANDIDATES: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
pub const RESTART: &str = "a=ice-ufrag:wxyz\r\na=ice-pwd:2109876543210987654321\r\n";
pub const SECRET: &str = "wIq7cC1nQ0gYx5uB2kR8sT4vZ9mE6hJ3";
pub const NOW: u64 = 1_800_000_000;

/// The time of all tests.
pub fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub fn now() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(mixdown::runtime::clock::now)
}

/// Rooms without media.
pub struct Stage {
    pub board: Board,
    pub load: Monitor,
    pub rooms: Arc<Mutex<BTreeMap<RoomId, RoomHandle>>>,
    pub draining: AtomicBool,
    pub removals: Arc<Removals>,
    pub max_rooms: Option<usize>,
    /// Answers nothing until told to: for requests in flight.
    pub hold: Arc<tokio::sync::Notify>,
    pub held: AtomicBool,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            board: Board::new(mixdown::config::Egress::default().settings()),
            load: Monitor::default(),
            rooms: Arc::default(),
            draining: AtomicBool::default(),
            removals: Arc::default(),
            max_rooms: None,
            hold: Arc::default(),
            held: AtomicBool::default(),
        }
    }
}

impl Rooms for Stage {
    fn find(&self, room: &RoomId) -> Option<RoomHandle> {
        self.rooms.lock().expect("lock").get(room).cloned()
    }

    fn open(&self, id: &RoomId, settings: RoomPatch) -> Result<(RoomHandle, Created), Refusal> {
        let mut rooms = self.rooms.lock().expect("lock");
        if let Some(room) = rooms.get(id) {
            return Ok((room.clone(), Created::Existing));
        }
        if self.max_rooms.is_some_and(|most| rooms.len() >= most) {
            return Err(Refusal::Busy("rooms.max_rooms is reached".into()));
        }
        let mut room = Room::new(id.clone(), Settings::default(), Arc::new(AtomicU64::new(1)));
        room.update(settings)?;
        let (requests, queue) = mpsc::channel(64);
        let (events, _) = broadcast::channel(64);
        let handle = RoomHandle::new(id.clone(), requests, events.clone());
        let hold = self.held.load(Ordering::Relaxed).then(|| Arc::clone(&self.hold));
        let actor = Actor {
            room,
            events,
            next: 1,
            etags: BTreeMap::new(),
            rights: BTreeMap::new(),
            removals: Arc::clone(&self.removals),
            closing: false,
            restarts: 0,
        };
        let (all, name) = (Arc::clone(&self.rooms), id.clone());
        tokio::spawn(async move {
            actor.run(queue, hold).await;
            all.lock().expect("lock").remove(&name);
        });
        rooms.insert(id.clone(), handle.clone());
        Ok((handle, Created::New))
    }

    fn list(&self) -> Vec<RoomHandle> {
        self.rooms.lock().expect("lock").values().cloned().collect()
    }

    fn removals(&self) -> Arc<Removals> {
        Arc::clone(&self.removals)
    }

    fn library(&self) -> Library {
        Library::disabled()
    }

    fn station(&self) -> Station {
        Station::new(Config::default().ingress.settings())
    }

    fn board(&self) -> Board {
        self.board.clone()
    }

    fn load(&self) -> Monitor {
        self.load.clone()
    }

    fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

struct Actor {
    room: Room,
    events: broadcast::Sender<RoomEvent>,
    next: u64,
    etags: BTreeMap<ParticipantId, String>,
    rights: BTreeMap<ParticipantId, Rights>,
    removals: Arc<Removals>,
    closing: bool,
    restarts: u32,
}

impl Actor {
    async fn run(mut self, mut queue: mpsc::Receiver<Ask>, hold: Option<Arc<tokio::sync::Notify>>) {
        self.publish("room.created", serde_json::json!({}));
        while let Some(ask) = queue.recv().await {
            if let Some(hold) = &hold {
                hold.notified().await;
            }
            self.answer(ask);
            if self.closing {
                return;
            }
        }
    }

    fn publish(&mut self, kind: &'static str, data: serde_json::Value) {
        let event = RoomEvent { id: self.next, room: self.room.id().clone(), kind, at: wall(), data };
        self.next += 1;
        let _ = self.events.send(event);
    }

    fn state(&self) -> mixdown::room::model::RoomState {
        mixdown::room::model::RoomState {
            room: self.room.id().clone(),
            created_at: "2027-01-15T08:00:00Z".into(),
            locked: self.room.locked(),
            waiting_room: self.room.settings().waiting_room,
            self_unmute: self.room.settings().self_unmute,
            max_participants: self.room.settings().max_participants,
            participants: self.room.members().len(),
            audio: self.room.audio(),
            auto_record: self.room.settings().auto_record,
            recording_sign: self.room.settings().recording_sign,
            recording: self.room.is_recorded(),
            active_speaker: None,
            views: self.room.views(),
            etag: self.room.revision(),
        }
    }

    fn view_of(&self, id: ParticipantId) -> Result<ParticipantView, Refusal> {
        let member = self.room.member(id).ok_or(Refusal::NotFound("participant"))?;
        Ok(ParticipantView { participant: member.describe(None), stats: Some(Stats::default()), etag: self.etags.get(&id).cloned() })
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Join(join, reply) => drop(reply.send(self.join(*join))),
            Ask::Offer { participant, sdp, reply } => drop(reply.send(self.offer(participant, &sdp))),
            Ask::Trickle { participant, fragment, if_match, reply } => drop(reply.send(self.trickle(participant, &fragment, if_match))),
            Ask::Patch { participant, patch, reply } => {
                let patched = self.room.patch(participant, *patch).map_err(Refusal::from);
                drop(reply.send(patched.and_then(|()| self.view_of(participant))));
            }
            Ask::Leave { participant, reason, reply } => {
                let identity = self.room.member(participant).map(|member| member.identity.clone());
                self.room.leave(participant, reason);
                self.publish("participant.left", serde_json::json!({"participant": participant, "reason_code": reason}));
                if let (Some(Some(identity)), CloseReason::Removed | CloseReason::Denied) = (&identity, reason) {
                    self.removals.remove(self.room.id(), identity, wall());
                }
                drop(reply.send(identity.map(drop).ok_or(Refusal::NotFound("participant"))));
            }
            Ask::Admit { participant, reply } => {
                let admitted = self.room.admit(participant).map_err(Refusal::from);
                drop(reply.send(admitted.and_then(|()| self.view_of(participant))));
            }
            Ask::Transfer { participant, to, token, reply } => {
                self.publish("transferred", serde_json::json!({"participant": participant, "to": to, "token": token}));
                drop(reply.send(Ok(())));
            }
            Ask::Admitted { identity, reply } => drop(reply.send(Ok(self.room.is_open_to(&identity)))),
            Ask::Present { identity, reply } => drop(reply.send(Ok(self.room.of_identity(Some(&identity)).next().is_some()))),
            Ask::Rights { participant, reply } => {
                drop(reply.send(self.rights.get(&participant).cloned().ok_or(Refusal::NotFound("participant"))))
            }
            Ask::Participant { participant, reply } => drop(reply.send(self.view_of(participant))),
            Ask::Participants(reply) => drop(reply.send(Ok(self.room.members().iter().map(|member| member.describe(None)).collect()))),
            Ask::Room(reply) => drop(reply.send(Ok(self.state()))),
            Ask::Stats(reply) => drop(reply.send(Ok(stats()))),
            Ask::PatchRoom { patch, if_match, reply } => {
                let patched = fresh(if_match, self.room.revision()).and_then(|()| Ok(self.room.update(*patch)?));
                drop(reply.send(patched.map(|()| self.state())));
            }
            Ask::View { view, reply } => drop(reply.send(self.room.view(&view).map_err(|_| Refusal::NotFound("view")))),
            Ask::PutView { view, settings, expect, reply } => {
                let put = self.room.put_view(&view, *settings, expect).and_then(|made| Ok((self.room.view(&view)?, made)));
                drop(reply.send(put.map_err(Refusal::from)));
            }
            Ask::DeleteView { view, expect, reply } => {
                drop(reply.send(self.room.delete_view(&view, expect).map_err(|error| match error {
                    mixdown::room::Error::NoView(_) => Refusal::NotFound("view"),
                    error => error.into(),
                })))
            }
            Ask::Sidebars(reply) => drop(reply.send(Ok(self.room.sidebars()))),
            Ask::PutSidebar { name, settings, expect, reply } => {
                let put = self.room.put_sidebar(&name, settings, expect).and_then(|made| Ok((self.room.sidebar(&name)?, made)));
                drop(reply.send(put.map_err(Refusal::from)));
            }
            Ask::DeleteSidebar { name, expect, reply } => {
                drop(reply.send(self.room.delete_sidebar(&name, expect).map_err(Refusal::from)));
            }
            Ask::Audience { view, reply } => {
                drop(reply.send(self.room.audience(&view).map(Box::new).map_err(|_| Refusal::NotFound("view"))));
            }
            Ask::Chat { from, text, reply } => {
                self.publish("chat.message", serde_json::json!({"name": from, "text": text}));
                drop(reply.send(Ok(())));
            }
            Ask::Banner { view, text, reply, .. } => {
                let shown = self.room.banner(&view, Some(text));
                drop(reply.send(shown.map_err(|error| Refusal::Unprocessable { pointer: "/view", detail: error.to_string() })));
            }
            Ask::Snapshot { reply, .. } => drop(reply.send(Ok(Arc::new(I420Frame::black(Size::new(320, 180)))))),
            Ask::Record { reply, .. } | Ask::ActOnRecording { reply, .. } => {
                drop(reply.send(Err(Refusal::Conflict("nothing is recorded here".into()))))
            }
            Ask::Ingress(ask) => match ask {
                ingress::Request::Play { reply, .. } => drop(reply.send(Err(Refusal::Conflict("nothing is played here".into())))),
                ingress::Request::List(reply) => drop(reply.send(Ok(Vec::new()))),
                ingress::Request::Get { reply, .. } | ingress::Request::Patch { reply, .. } => {
                    drop(reply.send(Err(Refusal::NotFound("ingress"))))
                }
                ingress::Request::Stop { reply, .. } => drop(reply.send(Err(Refusal::NotFound("ingress")))),
            },
            Ask::SendOut { reply, .. } => drop(reply.send(Err(Refusal::Busy("there is no egress here".into())))),
            Ask::EndEgress { reply, .. } => drop(reply.send(Err(Refusal::NotFound("egress")))),
            Ask::Close { reply, .. } => {
                self.closing = true;
                drop(reply.send(Ok(())));
            }
        }
    }

    fn join(&mut self, join: mixdown::conference::handle::Join) -> Result<Joined, Refusal> {
        if !join.offer.starts_with("v=0") {
            return Err(Refusal::Malformed("line 1 is not v=0".into()));
        }
        if join.offer.contains("unusable") {
            return Err(Refusal::Unprocessable { pointer: "", detail: "no codec in common: ours are h264, vp8, opus".into() });
        }
        let id = ParticipantId(rand::random());
        let arrival = Arrival {
            id,
            kind: join.kind,
            name: join.name,
            identity: join.identity.clone(),
            role: join.role,
            view: join.view,
            waits: !join.rights.admitted,
            negotiated: Default::default(),
        };
        self.room.join(arrival)?;
        self.room.patch(id, join.limits)?;
        let etag = format!("\"ice-{}\"", self.next);
        self.etags.insert(id, etag.clone());
        self.rights.insert(id, join.rights);
        self.room.link(id, mixdown::room::member::Link::Up);
        self.publish("participant.joined", serde_json::json!({"participant": id}));
        Ok(Joined { participant: id, answer: Answer { sdp: "v=0\r\nanswer\r\n".into(), etag } })
    }

    fn offer(&mut self, id: ParticipantId, sdp: &str) -> Result<Answer, Refusal> {
        let etag = self.etags.get(&id).cloned().ok_or(Refusal::NotFound("session"))?;
        if sdp.contains("unusable") {
            return Err(Refusal::Unprocessable { pointer: "", detail: "the order of m-lines has changed".into() });
        }
        Ok(Answer { sdp: "v=0\r\nagain\r\n".into(), etag })
    }

    fn trickle(&mut self, id: ParticipantId, fragment: &str, if_match: Option<String>) -> Result<Option<Answer>, Refusal> {
        let current = self.etags.get(&id).filter(|_| self.room.member(id).is_some()).cloned().ok_or(Refusal::NotFound("session"))?;
        if if_match.is_some_and(|wanted| !matches!(wanted.as_str(), "*" | "\"*\"") && wanted != current) {
            return Err(Refusal::Stale { current });
        }
        if !fragment.contains("a=ice-ufrag") {
            return Err(Refusal::Malformed("the fragment has no a=ice-ufrag".into()));
        }
        if !fragment.contains("wxyz") {
            return Ok(None);
        }
        self.restarts += 1;
        let etag = format!("\"ice-again-{}\"", self.restarts);
        self.etags.insert(id, etag.clone());
        Ok(Some(Answer { sdp: "a=ice-ufrag:new\r\n".into(), etag }))
    }
}

fn fresh(if_match: Option<u64>, current: u64) -> Result<(), Refusal> {
    match if_match {
        Some(wanted) if wanted != current => Err(Refusal::Stale { current: format!("\"{current}\"") }),
        _ => Ok(()),
    }
}

/// One server without sockets.
pub struct World {
    pub app: App,
    pub stage: Arc<Stage>,
    router: axum::Router,
}

pub fn keyed() -> Config {
    let mut config = Config::default();
    config.auth.keys = vec![Key { id: "main".into(), secret: Secret::new(SECRET), ..Key::default() }];
    config
}

impl World {
    /// Open to anyone.
    pub fn dev() -> Self {
        Self::new(Config::default(), Mode::Dev, Stage::default())
    }

    /// One API key, named `main`.
    pub fn production() -> Self {
        Self::new(keyed(), Mode::Production, Stage::default())
    }

    pub fn new(config: Config, mode: Mode, stage: Stage) -> Self {
        let stage = Arc::new(stage);
        Self::with_webhooks(config, mode, stage, webhooks::Handle::default())
    }

    pub fn with_webhooks(config: Config, mode: Mode, stage: Arc<Stage>, webhooks: webhooks::Handle) -> Self {
        let rooms: Arc<dyn Rooms> = Arc::clone(&stage) as _;
        let app =
            App::new(config, mode, rooms, Clock { now, wall, cpu: || Duration::ZERO }, Box::new(|| "mixdown_rooms 0\n".into()), webhooks);
        Self { router: api::router(app.clone()), app, stage }
    }

    pub fn router(&self) -> axum::Router {
        self.router.clone()
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        send_to(&self.router, request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(call(Method::GET, path).empty()).await
    }

    /// Joins `path` and gives the session's location and ETag.
    pub async fn join(&self, path: &str) -> (String, String) {
        let reply = self.send(call(Method::POST, path).sdp(OFFER)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        (reply.header("location").to_owned(), reply.header("etag").to_owned())
    }
}

/// Asks a router, and waits for the whole answer.
pub async fn send_to(router: &axum::Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    Reply { status: parts.status, headers: parts.headers, body }
}

/// A request in the making.
pub struct Call(axum::http::request::Builder);

pub fn call(method: Method, path: &str) -> Call {
    Call(Request::builder().method(method).uri(path))
}

impl Call {
    pub fn with(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub fn body(self, content_type: &str, body: impl Into<Body>) -> Request<Body> {
        self.with("content-type", content_type).0.body(body.into()).expect("request")
    }

    pub fn sdp(self, body: &str) -> Request<Body> {
        self.body("application/sdp", body.to_owned())
    }

    pub fn json(self, body: &str) -> Request<Body> {
        self.body("application/json", body.to_owned())
    }

    pub fn empty(self) -> Request<Body> {
        self.0.body(Body::empty()).expect("request")
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().expect("text")
    }

    /// The code of a problem, after checking that it is a whole one.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()),
            Some(&b"application/problem+json"[..]),
            "{}",
            self.text()
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        assert!(body["instance"].as_str().is_some_and(|id| id.starts_with("urn:request:")), "{body}");
        body["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/")).expect("type").to_owned()
    }
}

fn stats() -> RoomStats {
    let rendition = RenditionStats {
        id: "1".into(),
        views: vec!["main".into()],
        codec: "h264",
        width: 1280,
        height: 720,
        fps: 30,
        bitrate_bps: 1_500_000,
        subscribers: 2,
        cpu_seconds: 1.5,
        pictures: 300,
        bytes: 1_000_000,
    };
    let stages = ["decode", "compose", "encode", "mix"];
    RoomStats { step: 0, effect: "whole", cpu_seconds: stages.into_iter().map(|stage| (stage, 0.5)).collect(), renditions: vec![rendition] }
}
