//! What the HTTP side may ask of a running room. Every method sends one command and awaits one reply.

use super::Action;
use super::ingress::{self, IngressPatch, NewIngress};
use super::rights::Rights;
use super::station::Ingress;
use crate::egress;
use crate::ids::{EgressId, IngressId, ParticipantId, RecordingId, RoomId};
use crate::net::SessionError;
use crate::peer::types::{Answer, CloseReason, Kind, Stats};
use crate::record::Manifest;
use crate::record::tracks::Mode;
use crate::room::model::{Participant, ParticipantPatch, RoomPatch, RoomState, RoomStats, View, ViewPatch};
use crate::room::sound::{Sidebar, SidebarSettings};
use crate::room::{Audience, Expect, Framing};
use mixdown_codecs::I420Frame;
use mixdown_layouts::Layout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A request to join with an SDP offer.
#[derive(Debug, Clone)]
pub struct Join {
    pub kind: Kind,
    pub offer: String,
    pub name: String,
    /// Token subject; one identity has one connection: the newest wins.
    pub identity: Option<String>,
    pub view: Option<String>,
    pub role: Option<String>,
    /// Over the data channel as over REST.
    pub rights: Rights,
    /// What they want to be sent at most; nothing else of it counts.
    pub limits: ParticipantPatch,
}

/// A request to record a room.
#[derive(Debug, Clone)]
pub struct NewRecording {
    pub framing: Framing,
    pub tracks: Mode,
}

/// A request to send a view to other places.
#[derive(Debug, Clone)]
pub struct NewEgress {
    pub view: String,
    /// In place of the view's.
    pub layout: Option<Layout>,
    /// At least one.
    pub outputs: Vec<egress::Target>,
}

#[derive(Debug, Clone)]
pub struct Joined {
    pub participant: ParticipantId,
    pub answer: Answer,
}

/// Why a room refused. The API maps each to its status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// 400: the offer cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// 422: readable but not acceptable. `pointer` is a JSON pointer or empty.
    #[error("{detail}")]
    Unprocessable { pointer: &'static str, detail: String },
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 412: the ETag in If-Match is not the current one.
    #[error("the resource has changed: its ETag is now {current}")]
    Stale { current: String },
    /// 410: it was there, and has ended.
    #[error("{0}")]
    Gone(&'static str),
    /// 507: a disk or a quota is full. Names the setting.
    #[error("{0}")]
    NoSpace(String),
    /// 403, such as a locked room.
    #[error("{0}")]
    Forbidden(String),
    /// 503 with Retry-After: a limit is reached or the server drains. Names the limit.
    #[error("{0}")]
    Busy(String),
    /// 503 with Retry-After: the room has ended by an internal error several times.
    #[error("the room has ended by an internal error several times within a minute; its name rests for {} s", .0.as_secs())]
    Resting(std::time::Duration),
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Gone => Self::NotFound("session"),
            SessionError::Malformed(text) => Self::Malformed(text),
            SessionError::Unprocessable(detail) => Self::Unprocessable { pointer: "", detail },
        }
    }
}

impl From<crate::peer::OfferError> for Refusal {
    fn from(error: crate::peer::OfferError) -> Self {
        SessionError::from(error).into()
    }
}

/// One event of a room as `/events` and the log show it.
#[derive(Debug, Clone)]
pub struct RoomEvent {
    /// Counts up by one per room.
    pub id: u64,
    pub room: RoomId,
    /// Such as `participant.joined`.
    pub kind: &'static str,
    pub at: std::time::SystemTime,
    pub data: serde_json::Value,
}

/// A participant as GET shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ParticipantView {
    #[serde(flatten)]
    pub participant: Participant,
    pub stats: Option<Stats>,
    /// Of the ICE session; `None` once it has ended.
    #[serde(skip)]
    pub etag: Option<String>,
}

pub(super) type Answerer<T> = tokio::sync::oneshot::Sender<Result<T, Refusal>>;
/// Waits for a recording to begin.
pub type StartReply = Answerer<Manifest>;

/// What a conference is told from outside.
#[derive(Debug)]
pub enum Request {
    Join(Box<Join>, Answerer<Joined>),
    /// Re-offer on a running session.
    Offer {
        participant: ParticipantId,
        sdp: String,
        reply: Answerer<Answer>,
    },
    /// `if_match` as sent; `"*"` and `*` match anything; `None` is allowed (the API enforces 428 where its text wants it).
    Trickle {
        participant: ParticipantId,
        fragment: String,
        if_match: Option<String>,
        reply: Answerer<Option<Answer>>,
    },
    Patch {
        participant: ParticipantId,
        patch: Box<ParticipantPatch>,
        reply: Answerer<ParticipantView>,
    },
    Leave {
        participant: ParticipantId,
        /// [`CloseReason::Removed`] and [`CloseReason::Denied`]: and not back with a token of before.
        reason: CloseReason,
        reply: Answerer<()>,
    },
    /// Opens the room to somebody who waits.
    Admit {
        participant: ParticipantId,
        reply: Answerer<ParticipantView>,
    },
    /// Sends somebody to another room, with a token for it where one is needed.
    Transfer {
        participant: ParticipantId,
        to: RoomId,
        token: Option<String>,
        reply: Answerer<()>,
    },
    /// Whether the room is open to an identity: no waiting room, or let in by a moderator.
    Admitted {
        identity: String,
        reply: Answerer<bool>,
    },
    /// Whether somebody of an identity is in the room, connected or silent: they may take their place again.
    Present {
        identity: String,
        reply: Answerer<bool>,
    },
    /// What a session may do.
    Rights {
        participant: ParticipantId,
        reply: Answerer<Rights>,
    },
    Participant {
        participant: ParticipantId,
        reply: Answerer<ParticipantView>,
    },
    Participants(Answerer<Vec<Participant>>),
    Room(Answerer<RoomState>),
    /// What it costs.
    Stats(Answerer<RoomStats>),
    PatchRoom {
        patch: Box<RoomPatch>,
        if_match: Option<u64>,
        reply: Answerer<RoomState>,
    },
    View {
        view: String,
        reply: Answerer<View>,
    },
    /// Makes the view (`true`) or replaces it.
    PutView {
        view: String,
        settings: Box<ViewPatch>,
        expect: Expect,
        reply: Answerer<(View, bool)>,
    },
    DeleteView {
        view: String,
        expect: Expect,
        reply: Answerer<()>,
    },
    Sidebars(Answerer<Vec<Sidebar>>),
    /// Makes the sidebar (`true`) or replaces it.
    PutSidebar {
        name: String,
        settings: SidebarSettings,
        expect: Expect,
        reply: Answerer<(Sidebar, bool)>,
    },
    DeleteSidebar {
        name: String,
        expect: Expect,
        reply: Answerer<()>,
    },
    /// What a layout of the view would be applied to.
    Audience {
        view: String,
        reply: Answerer<Box<Audience>>,
    },
    /// Chat text into the room from outside of it (`from`: a display name).
    Chat {
        from: String,
        text: String,
        reply: Answerer<()>,
    },
    /// Lays a text over the view's picture for a while.
    Banner {
        view: String,
        text: String,
        time: Duration,
        reply: Answerer<()>,
    },
    /// The view's canvas as composed last, or composed now where nobody watches.
    Snapshot {
        view: String,
        reply: Answerer<Arc<I420Frame>>,
    },
    /// Answered when the recording's files are made.
    Record {
        recording: Box<NewRecording>,
        reply: StartReply,
    },
    ActOnRecording {
        recording: RecordingId,
        action: Action,
        reply: Answerer<Manifest>,
    },
    Ingress(ingress::Request),
    SendOut {
        egress: Box<NewEgress>,
        reply: Answerer<egress::Shown>,
    },
    EndEgress {
        egress: EgressId,
        reply: Answerer<()>,
    },
    Close {
        reason: CloseReason,
        reply: Answerer<()>,
    },
}

/// A running room: cheap to clone.
#[derive(Clone)]
pub struct RoomHandle {
    pub id: RoomId,
    requests: tokio::sync::mpsc::Sender<Request>,
    events: tokio::sync::broadcast::Sender<RoomEvent>,
    first_events: Arc<std::sync::Mutex<Option<tokio::sync::broadcast::Receiver<RoomEvent>>>>,
    kept: Arc<AtomicBool>,
}

impl RoomHandle {
    /// Make the handle before the room's task starts: events sent earlier reach nobody.
    pub fn new(id: RoomId, requests: tokio::sync::mpsc::Sender<Request>, events: tokio::sync::broadcast::Sender<RoomEvent>) -> Self {
        let first_events = Arc::new(std::sync::Mutex::new(Some(events.subscribe())));
        Self { id, requests, events, first_events, kept: Arc::default() }
    }

    async fn ask<T>(&self, request: impl FnOnce(Answerer<T>) -> Request) -> Result<T, Refusal> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.requests.try_send(request(reply)).map_err(|error| match error {
            tokio::sync::mpsc::error::TrySendError::Full(_) => Refusal::Busy("the room's command queue is full".into()),
            tokio::sync::mpsc::error::TrySendError::Closed(_) => Refusal::NotFound("room"),
        })?;
        answer.await.unwrap_or(Err(Refusal::NotFound("room")))
    }

    pub async fn join(&self, join: Join) -> Result<Joined, Refusal> {
        self.ask(|reply| Request::Join(Box::new(join), reply)).await
    }

    pub async fn offer(&self, participant: ParticipantId, sdp: String) -> Result<Answer, Refusal> {
        self.ask(|reply| Request::Offer { participant, sdp, reply }).await
    }

    pub async fn trickle(&self, participant: ParticipantId, fragment: String, if_match: Option<String>) -> Result<Option<Answer>, Refusal> {
        self.ask(|reply| Request::Trickle { participant, fragment, if_match, reply }).await
    }

    pub async fn patch(&self, participant: ParticipantId, patch: ParticipantPatch) -> Result<ParticipantView, Refusal> {
        self.ask(|reply| Request::Patch { participant, patch: Box::new(patch), reply }).await
    }

    pub async fn leave(&self, participant: ParticipantId, reason: CloseReason) -> Result<(), Refusal> {
        self.ask(|reply| Request::Leave { participant, reason, reply }).await
    }

    pub async fn admit(&self, participant: ParticipantId) -> Result<ParticipantView, Refusal> {
        self.ask(|reply| Request::Admit { participant, reply }).await
    }

    pub async fn transfer(&self, participant: ParticipantId, to: RoomId, token: Option<String>) -> Result<(), Refusal> {
        self.ask(|reply| Request::Transfer { participant, to, token, reply }).await
    }

    pub async fn admitted(&self, identity: String) -> Result<bool, Refusal> {
        self.ask(|reply| Request::Admitted { identity, reply }).await
    }

    pub async fn is_present(&self, identity: String) -> Result<bool, Refusal> {
        self.ask(|reply| Request::Present { identity, reply }).await
    }

    pub async fn rights(&self, participant: ParticipantId) -> Result<Rights, Refusal> {
        self.ask(|reply| Request::Rights { participant, reply }).await
    }

    pub async fn participant(&self, participant: ParticipantId) -> Result<ParticipantView, Refusal> {
        self.ask(|reply| Request::Participant { participant, reply }).await
    }

    pub async fn participants(&self) -> Result<Vec<Participant>, Refusal> {
        self.ask(Request::Participants).await
    }

    pub async fn state(&self) -> Result<RoomState, Refusal> {
        self.ask(Request::Room).await
    }

    pub async fn stats(&self) -> Result<RoomStats, Refusal> {
        self.ask(Request::Stats).await
    }

    pub async fn patch_room(&self, patch: RoomPatch, if_match: Option<u64>) -> Result<RoomState, Refusal> {
        self.ask(|reply| Request::PatchRoom { patch: Box::new(patch), if_match, reply }).await
    }

    pub async fn view(&self, view: String) -> Result<View, Refusal> {
        self.ask(|reply| Request::View { view, reply }).await
    }

    /// Makes the view (`true`) or gives an existing one exactly these settings.
    pub async fn put_view(&self, view: String, settings: ViewPatch, expect: Expect) -> Result<(View, bool), Refusal> {
        self.ask(|reply| Request::PutView { view, settings: Box::new(settings), expect, reply }).await
    }

    pub async fn delete_view(&self, view: String, expect: Expect) -> Result<(), Refusal> {
        self.ask(|reply| Request::DeleteView { view, expect, reply }).await
    }

    pub async fn sidebars(&self) -> Result<Vec<Sidebar>, Refusal> {
        self.ask(Request::Sidebars).await
    }

    /// Makes the sidebar (`true`) or gives an existing one exactly these settings.
    pub async fn put_sidebar(&self, name: String, settings: SidebarSettings, expect: Expect) -> Result<(Sidebar, bool), Refusal> {
        self.ask(|reply| Request::PutSidebar { name, settings, expect, reply }).await
    }

    pub async fn delete_sidebar(&self, name: String, expect: Expect) -> Result<(), Refusal> {
        self.ask(|reply| Request::DeleteSidebar { name, expect, reply }).await
    }

    pub async fn audience(&self, view: String) -> Result<Box<Audience>, Refusal> {
        self.ask(|reply| Request::Audience { view, reply }).await
    }

    pub async fn chat(&self, from: String, text: String) -> Result<(), Refusal> {
        self.ask(|reply| Request::Chat { from, text, reply }).await
    }

    pub async fn banner(&self, view: String, text: String, time: Duration) -> Result<(), Refusal> {
        self.ask(|reply| Request::Banner { view, text, time, reply }).await
    }

    pub async fn snapshot(&self, view: String) -> Result<Arc<I420Frame>, Refusal> {
        self.ask(|reply| Request::Snapshot { view, reply }).await
    }

    /// Begins a recording and waits until its files are made.
    pub async fn record(&self, recording: NewRecording) -> Result<Manifest, Refusal> {
        self.ask(|reply| Request::Record { recording: Box::new(recording), reply }).await
    }

    pub async fn act_on_recording(&self, recording: RecordingId, action: Action) -> Result<Manifest, Refusal> {
        self.ask(|reply| Request::ActOnRecording { recording, action, reply }).await
    }

    /// Begins to play something.
    pub async fn play(&self, ingress: NewIngress) -> Result<Ingress, Refusal> {
        self.ask(|reply| Request::Ingress(ingress::Request::Play { ingress: Box::new(ingress), reply })).await
    }

    pub async fn ingresses(&self) -> Result<Vec<Ingress>, Refusal> {
        self.ask(|reply| Request::Ingress(ingress::Request::List(reply))).await
    }

    pub async fn ingress(&self, ingress: IngressId) -> Result<Ingress, Refusal> {
        self.ask(|reply| Request::Ingress(ingress::Request::Get { ingress, reply })).await
    }

    pub async fn patch_ingress(&self, ingress: IngressId, patch: IngressPatch, if_match: Option<u64>) -> Result<Ingress, Refusal> {
        let patch = Box::new(patch);
        self.ask(|reply| Request::Ingress(ingress::Request::Patch { ingress, patch, if_match, reply })).await
    }

    pub async fn stop_ingress(&self, ingress: IngressId, if_match: Option<u64>) -> Result<(), Refusal> {
        self.ask(|reply| Request::Ingress(ingress::Request::Stop { ingress, if_match, reply })).await
    }

    pub async fn send_out(&self, egress: NewEgress) -> Result<egress::Shown, Refusal> {
        self.ask(|reply| Request::SendOut { egress: Box::new(egress), reply }).await
    }

    pub async fn end_egress(&self, egress: EgressId) -> Result<(), Refusal> {
        self.ask(|reply| Request::EndEgress { egress, reply }).await
    }

    pub async fn close(&self, reason: CloseReason) -> Result<(), Refusal> {
        self.ask(|reply| Request::Close { reason, reply }).await
    }

    /// The room stays when everybody has left, until it is deleted: somebody has prepared it.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Whether [`RoomHandle::keep`] was called, also later on.
    pub fn kept(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.kept)
    }

    /// Events from now on; a receiver that falls behind is told how many it missed.
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<RoomEvent> {
        self.events.subscribe()
    }

    /// Events since the room began, for the one log that keeps them: `None` from the second call on.
    pub fn first_events(&self) -> Option<tokio::sync::broadcast::Receiver<RoomEvent>> {
        self.first_events.lock().ok()?.take()
    }
}
