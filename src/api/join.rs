//! Joining and running sessions: what `/v1/…/participants`, WHIP and WHEP have in common.

use super::app::App;
use super::auth::Caller;
use super::body::{SDP, Sdp, TRICKLE};
use super::extract::{ClientAddress, IfMatch};
use super::ice_servers;
use super::problem::{Code, FieldError, Problem};
use crate::conference::handle::{Join, ParticipantView, RoomHandle};
use crate::ids::{ParticipantId, RoomId};
use crate::peer::types::{Answer, CloseReason, Kind};
use crate::room::model::{ParticipantKind, ParticipantPatch, State};
use axum::Extension;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// What the query of a join may say.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// Display name, at most 256 bytes.
    #[serde(default)]
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub name: Option<String>,
    /// The view to receive; `main` if absent.
    #[serde(default)]
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    pub view: Option<String>,
}

/// What the query of a WHEP player may say: it has no data channel to say it on.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PlayerWishes {
    /// Display name, at most 256 bytes.
    #[serde(default)]
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub name: Option<String>,
    /// The view to receive; `main` if absent.
    #[serde(default)]
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    pub view: Option<String>,
    /// The picture must not be wider, in pixels, from 64 on.
    #[serde(default)]
    #[param(minimum = 64, maximum = 4294967294u32)]
    pub max_width: Option<u32>,
    /// Nor higher.
    #[serde(default)]
    #[param(minimum = 64, maximum = 4294967294u32)]
    pub max_height: Option<u32>,
    /// Picture and sound together, in bits per second, from 30 000 on.
    #[serde(default)]
    #[param(minimum = 30000, maximum = 4294967294u32)]
    pub max_bitrate_bps: Option<u32>,
}

impl PlayerWishes {
    /// Refuses what no player can be held to.
    fn limits(&self) -> Result<ParticipantPatch, Problem> {
        let fields =
            [("?max_width", self.max_width, 64), ("?max_height", self.max_height, 64), ("?max_bitrate_bps", self.max_bitrate_bps, 30_000)];
        let small = |(field, value, least): (&'static str, Option<u32>, u32)| {
            value.filter(|value| *value < least).map(|value| FieldError::new(field, format!("{value} is too little: {least} or more")))
        };
        let faults: Vec<FieldError> = fields.into_iter().filter_map(small).collect();
        if !faults.is_empty() {
            return Err(Problem::validation(faults));
        }
        let Self { max_width, max_height, max_bitrate_bps, .. } = *self;
        Ok(ParticipantPatch { max_width, max_height, max_bitrate_bps, ..ParticipantPatch::default() })
    }
}

impl TryFrom<PlayerWishes> for (Wishes, ParticipantPatch) {
    type Error = Problem;

    fn try_from(wishes: PlayerWishes) -> Result<Self, Problem> {
        let limits = wishes.limits()?;
        Ok((Wishes { name: wishes.name, view: wishes.view }, limits))
    }
}

/// One of the three doors into a room.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    pub kind: Kind,
    /// What PATCH takes on the sessions behind it.
    pub accept_patch: &'static str,
    /// The methods of the door itself.
    pub allow: &'static str,
}

pub const PARTICIPANTS: Door = Door {
    kind: Kind::Participant,
    accept_patch: "application/sdp, application/trickle-ice-sdpfrag, application/merge-patch+json",
    allow: "GET,HEAD,POST,OPTIONS",
};
pub const WHIP: Door = Door { kind: Kind::Publisher, accept_patch: TRICKLE, allow: "POST,OPTIONS" };
pub const WHEP: Door = Door { kind: Kind::Viewer, accept_patch: TRICKLE, allow: "POST,OPTIONS" };

/// Who comes, from where, with what.
pub struct Arrival {
    pub caller: Caller,
    pub client: Option<Extension<ClientAddress>>,
    pub wishes: Wishes,
    /// What a player is sent at most.
    pub limits: ParticipantPatch,
    pub offer: Sdp,
}

impl Door {
    fn session(self, room: &RoomId, id: ParticipantId) -> String {
        match self.kind {
            Kind::Participant | Kind::Ingress | Kind::Announcement => format!("/v1/rooms/{room}/participants/{id}"),
            Kind::Publisher => format!("/whip/{room}/{id}"),
            Kind::Viewer => format!("/whep/{room}/{id}"),
        }
    }

    /// POST: 201 with the answer. The whole of it succeeds or nothing does.
    pub async fn enter(self, app: &App, room: RoomId, arrival: Arrival) -> Result<Response, Problem> {
        app.joins.take(arrival.client.map(|Extension(client)| client.0), app.now())?;
        let Arrival { caller, wishes, limits, offer: Sdp(offer), .. } = arrival;
        check_view(&caller, wishes.view.as_deref())?;
        let join = Join {
            kind: self.kind,
            offer,
            name: name(&wishes, &caller)?,
            identity: caller.identity().map(str::to_owned),
            view: wishes.view.or_else(|| caller.grants()?.view.clone().filter(|view| view != "*")),
            role: None,
            rights: caller.rights(),
            limits,
        };
        let handle = app.enter(&room, caller.identity()).await?;
        let joined = handle.join(join).await?;
        let mut response = answer(StatusCode::CREATED, SDP, joined.answer);
        let headers = response.headers_mut();
        set(headers, header::LOCATION, &self.session(&room, joined.participant));
        set(headers, HeaderName::from_static("accept-patch"), self.accept_patch);
        let identity = caller.identity().map_or_else(|| joined.participant.to_string(), str::to_owned);
        ice_servers::link(headers, &app.config.net.ice_servers, &identity, app.wall());
        Ok(response)
    }

    /// The session behind this door, if the caller may command it.
    pub async fn session_of(self, app: &App, caller: &Caller, room: &RoomId, id: ParticipantId) -> Result<Session, Problem> {
        let handle = app.room(room).map_err(|_| Problem::not_found("session"))?;
        let view = handle.participant(id).await?;
        let participant = &view.participant;
        // What the server itself plays is commanded as a participant is.
        let hosted = matches!(participant.kind, ParticipantKind::Ingress | ParticipantKind::Announcement);
        let ours = participant.kind == ParticipantKind::from(self.kind) || (hosted && self.kind == Kind::Participant);
        if !ours || participant.state == State::Disconnected {
            return Err(Problem::not_found("session"));
        }
        let own = caller.identity().is_some() && caller.identity() == participant.identity.as_deref();
        if !own && !caller.holds(|grants| grants.admin) {
            return Err(Problem::new(Code::MissingGrant, "the session is somebody else's: this needs the grant admin"));
        }
        Ok(Session { handle, id, view, own })
    }
}

/// A running session that the caller may command.
pub struct Session {
    pub handle: RoomHandle,
    pub id: ParticipantId,
    pub view: ParticipantView,
    /// It is the caller's own.
    pub own: bool,
}

impl Session {
    /// Candidates (204) or an ICE restart (200), RFC 9725 §4.3.
    pub async fn trickle(&self, app: &App, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        let if_match = IfMatch::of(headers);
        if if_match.is_absent() {
            return Err(Problem::new(Code::PreconditionRequired, "send If-Match with the session's ETag, or * for an ICE restart"));
        }
        let Sdp(fragment) = Sdp::read(app, headers, body).await?;
        Ok(match self.handle.trickle(self.id, fragment, if_match.0).await? {
            None => StatusCode::NO_CONTENT.into_response(),
            Some(restarted) => answer(StatusCode::OK, TRICKLE, restarted),
        })
    }

    /// A new offer on the running session.
    pub async fn offer(&self, app: &App, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        IfMatch::of(headers).check(self.view.etag.as_deref().unwrap_or_default())?;
        let Sdp(offer) = Sdp::read(app, headers, body).await?;
        Ok(answer(StatusCode::OK, SDP, self.handle.offer(self.id, offer).await?))
    }

    /// Ends the session. Somebody else's: its holder's token is void from now on.
    pub async fn end(&self, status: StatusCode) -> Result<Response, Problem> {
        self.handle.leave(self.id, if self.own { CloseReason::Left } else { CloseReason::Removed }).await?;
        Ok(status.into_response())
    }
}

/// OPTIONS on a door: what it takes, and, for those who may enter, the ICE servers (RFC 9725 §4.6).
pub fn options(app: &App, door: Door, need: super::rules::Need, room: &str, headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set(response.headers_mut(), header::ALLOW, door.allow);
    set(response.headers_mut(), HeaderName::from_static("accept-post"), SDP);
    set(response.headers_mut(), HeaderName::from_static("accept-patch"), door.accept_patch);
    let caller = match app.mode {
        crate::config::Mode::Dev => Ok(Caller::Anyone),
        crate::config::Mode::Production => app.keys.authenticate(headers, app.wall()),
    };
    if let Some(caller) = caller.ok().filter(|caller| super::rules::allow(caller, need, Some(room)).is_ok()) {
        ice_servers::link(response.headers_mut(), &app.config.net.ice_servers, caller.identity().unwrap_or("guest"), app.wall());
    }
    response
}

fn answer(status: StatusCode, content_type: &'static str, answer: Answer) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], answer.sdp).into_response();
    set(response.headers_mut(), header::ETAG, &answer.etag);
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The display name: as wished, else the token's identity.
fn name(wishes: &Wishes, caller: &Caller) -> Result<String, Problem> {
    let name = wishes.name.as_deref().or(caller.identity()).unwrap_or_default().trim();
    let fault = |detail| Err(Problem::validation(vec![FieldError::new("?name", detail)]));
    match () {
        () if name.len() > 256 => fault("a name has at most 256 bytes"),
        () if name.chars().any(char::is_control) => fault("a name has no control characters"),
        () => Ok(name.to_owned()),
    }
}

/// `main` is for everybody in the room; another view needs the grant `view`.
pub fn check_view(caller: &Caller, view: Option<&str>) -> Result<(), Problem> {
    let Some(view) = view.filter(|view| *view != "main") else { return Ok(()) };
    if caller.rights().may_watch(view) {
        return Ok(());
    }
    Err(Problem::new(Code::MissingGrant, "another view than main needs the grant view"))
}
