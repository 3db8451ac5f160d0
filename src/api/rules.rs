//! Who may do what: one line per operation. An operation without a line is refused to everybody.

use super::app::App;
use super::auth::{Caller, Grants};
use super::problem::{Code, Problem};
use crate::config::Mode;
use axum::RequestPartsExt;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

/// What a caller must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Open,
    /// An API key, or a token that administers all rooms.
    Server,
    /// `admin`.
    Admin,
    /// Any grant that lets one into the room.
    Member,
    Join,
    Publish,
    Subscribe,
    /// `subscribe` or `admin`. The handler asks for the view.
    Watch,
    /// As [`Need::Watch`]; of a public stream, nothing.
    Stream,
    /// `join` with `publish: data`, or `admin`; the handler asks for `layout` or `admin` where a banner is shown.
    Chat,
    /// `layout` or `admin`.
    Layout,
    /// `record` or `admin`. The handler asks whose room it is.
    Record,
    /// The session is the caller's own, or `admin`. The handler asks the room whose it is.
    Session,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub method: &'static str,
    pub path: &'static str,
    pub need: Need,
    /// What it answers with; empty: nothing, or anything.
    pub produces: &'static str,
}

const fn rule(method: &'static str, path: &'static str, need: Need, produces: &'static str) -> Rule {
    Rule { method, path, need, produces }
}

pub const JSON: &str = "application/json";
const SDP: &str = "application/sdp";

pub const RULES: &[Rule] = &[
    rule("POST", "/v1/rooms/{room}/participants", Need::Join, SDP),
    rule("GET", "/v1/rooms/{room}/participants", Need::Member, JSON),
    rule("GET", "/v1/rooms/{room}/participants/{id}", Need::Member, JSON),
    rule("PATCH", "/v1/rooms/{room}/participants/{id}", Need::Session, ""),
    rule("DELETE", "/v1/rooms/{room}/participants/{id}", Need::Session, ""),
    rule("POST", "/v1/rooms/{room}/participants/{id}/admit", Need::Admin, JSON),
    rule("POST", "/v1/rooms/{room}/participants/{id}/deny", Need::Admin, ""),
    rule("POST", "/v1/rooms/{room}/participants/{id}/transfer", Need::Server, ""),
    rule("GET", "/v1/rooms/{room}/removed", Need::Admin, JSON),
    rule("DELETE", "/v1/rooms/{room}/removed/{identity}", Need::Admin, ""),
    rule("POST", "/whip/{room}", Need::Publish, SDP),
    rule("PATCH", "/whip/{room}/{id}", Need::Session, ""),
    rule("DELETE", "/whip/{room}/{id}", Need::Session, ""),
    rule("POST", "/whep/{room}", Need::Subscribe, SDP),
    rule("PATCH", "/whep/{room}/{id}", Need::Session, ""),
    rule("DELETE", "/whep/{room}/{id}", Need::Session, ""),
    rule("GET", "/v1/rooms", Need::Server, JSON),
    rule("POST", "/v1/rooms", Need::Server, JSON),
    rule("GET", "/v1/rooms/{room}", Need::Member, JSON),
    rule("GET", "/v1/rooms/{room}/stats", Need::Member, JSON),
    rule("PUT", "/v1/rooms/{room}", Need::Admin, JSON),
    rule("PATCH", "/v1/rooms/{room}", Need::Admin, JSON),
    rule("DELETE", "/v1/rooms/{room}", Need::Admin, ""),
    rule("GET", "/v1/rooms/{room}/views", Need::Member, JSON),
    rule("GET", "/v1/rooms/{room}/views/{view}", Need::Member, JSON),
    rule("POST", "/v1/rooms/{room}/views", Need::Layout, JSON),
    rule("PUT", "/v1/rooms/{room}/views/{view}", Need::Layout, JSON),
    rule("PATCH", "/v1/rooms/{room}/views/{view}", Need::Layout, JSON),
    rule("DELETE", "/v1/rooms/{room}/views/{view}", Need::Layout, ""),
    rule("GET", "/v1/rooms/{room}/views/{view}/layout", Need::Member, JSON),
    rule("PUT", "/v1/rooms/{room}/views/{view}/layout", Need::Layout, JSON),
    rule("PATCH", "/v1/rooms/{room}/views/{view}/layout", Need::Layout, JSON),
    rule("POST", "/v1/rooms/{room}/views/{view}/layout/preview", Need::Layout, ""),
    rule("GET", "/v1/rooms/{room}/views/{view}/snapshot.jpg", Need::Watch, "image/jpeg"),
    rule("GET", "/v1/rooms/{room}/views/{view}/snapshot.png", Need::Watch, "image/png"),
    rule("GET", "/v1/rooms/{room}/sidebars", Need::Member, JSON),
    rule("GET", "/v1/rooms/{room}/sidebars/{sidebar}", Need::Member, JSON),
    rule("PUT", "/v1/rooms/{room}/sidebars/{sidebar}", Need::Admin, JSON),
    rule("DELETE", "/v1/rooms/{room}/sidebars/{sidebar}", Need::Admin, ""),
    rule("GET", "/v1/layouts", Need::Layout, JSON),
    rule("GET", "/v1/layouts/{name}", Need::Layout, JSON),
    rule("PUT", "/v1/layouts/{name}", Need::Server, JSON),
    rule("DELETE", "/v1/layouts/{name}", Need::Server, ""),
    rule("POST", "/v1/rooms/{room}/recordings", Need::Record, JSON),
    rule("GET", "/v1/recordings", Need::Record, JSON),
    rule("GET", "/v1/recordings/{recording}", Need::Record, JSON),
    rule("PATCH", "/v1/recordings/{recording}", Need::Record, JSON),
    rule("DELETE", "/v1/recordings/{recording}", Need::Record, ""),
    rule("POST", "/v1/recordings/{recording}/pause", Need::Record, JSON),
    rule("POST", "/v1/recordings/{recording}/resume", Need::Record, JSON),
    rule("POST", "/v1/recordings/{recording}/stop", Need::Record, JSON),
    rule("GET", "/v1/recordings/{recording}/media", Need::Record, "video/mp4"),
    rule("GET", "/v1/recordings/{recording}/timeline.json", Need::Record, JSON),
    rule("GET", "/v1/recordings/{recording}/chapters.vtt", Need::Record, "text/vtt"),
    rule("GET", "/v1/recordings/{recording}/playlist.m3u8", Need::Record, ""),
    rule("GET", "/v1/recordings/{recording}/thumbnail.jpg", Need::Record, "image/jpeg"),
    rule("GET", "/v1/recordings/{recording}/tracks", Need::Record, JSON),
    rule("GET", "/v1/recordings/{recording}/tracks/{file}", Need::Record, ""),
    rule("GET", "/v1/rooms/{room}/ingress", Need::Admin, JSON),
    rule("POST", "/v1/rooms/{room}/ingress", Need::Admin, JSON),
    rule("GET", "/v1/ingress/{ingress}", Need::Admin, JSON),
    rule("PATCH", "/v1/ingress/{ingress}", Need::Admin, JSON),
    rule("DELETE", "/v1/ingress/{ingress}", Need::Admin, ""),
    rule("POST", "/v1/rooms/{room}/egress", Need::Record, JSON),
    rule("GET", "/v1/rooms/{room}/egress", Need::Record, JSON),
    rule("GET", "/v1/egress", Need::Record, JSON),
    rule("GET", "/v1/egress/{egress}", Need::Record, JSON),
    rule("DELETE", "/v1/egress/{egress}", Need::Record, ""),
    rule("GET", "/v1/egress/{egress}/hls/index.m3u8", Need::Stream, ""),
    rule("GET", "/v1/egress/{egress}/hls/{part}", Need::Stream, ""),
    rule("GET", "/v1/egress/{egress}/image.jpg", Need::Watch, "image/jpeg"),
    rule("GET", "/v1/rooms/{room}/events", Need::Member, "text/event-stream"),
    rule("GET", "/v1/events", Need::Server, "text/event-stream"),
    rule("POST", "/v1/rooms/{room}/messages", Need::Chat, ""),
    rule("GET", "/v1/webhooks", Need::Server, JSON),
    rule("GET", "/v1/webhooks/{webhook}/deliveries", Need::Server, JSON),
    rule("POST", "/v1/webhooks/{webhook}/deliveries/{delivery}/retry", Need::Server, JSON),
    rule("POST", "/v1/webhooks/{webhook}/test", Need::Server, JSON),
    rule("POST", "/v1/estimate", Need::Layout, JSON),
    rule("POST", "/v1/tokens", Need::Server, JSON),
    rule("GET", "/v1/node", Need::Server, JSON),
    rule("POST", "/v1/node/drain", Need::Server, JSON),
    rule("GET", "/healthz", Need::Open, ""),
    rule("GET", "/readyz", Need::Open, ""),
    rule("GET", "/metrics", Need::Open, ""),
    rule("GET", "/version", Need::Open, JSON),
    rule("GET", "/openapi.json", Need::Open, JSON),
    rule("GET", "/problems/{code}", Need::Open, JSON),
    rule("GET", "/", Need::Open, "text/html"),
    rule("GET", "/r/{room}", Need::Open, "text/html"),
    rule("GET", "/watch/{room}", Need::Open, "text/html"),
    rule("GET", "/admin", Need::Open, "text/html"),
    rule("GET", "/recordings", Need::Open, "text/html"),
    rule("GET", "/docs", Need::Open, "text/html"),
    rule("GET", "/web/{*file}", Need::Open, ""),
];

/// The line of an operation. HEAD asks as GET.
pub fn find(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    RULES.iter().find(|rule| rule.method == method && rule.path == path)
}

/// Lets a request through, with its [`Caller`] as an extension, or refuses it.
pub async fn enforce(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some(rule) = find(&parts.method, &path) else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    if !acceptable(&parts.headers, rule.produces) {
        return Err(Problem::new(Code::NotAcceptable, format!("this answers with {}", rule.produces)));
    }
    let params = parts.extract::<RawPathParams>().await.map_err(|_| Problem::new(Code::BadPath, "the path is not UTF-8"))?;
    let room = params.iter().find(|(name, _)| *name == "room").map(|(_, room)| room);
    let egress = || params.iter().find(|(name, _)| *name == "egress").and_then(|(_, id)| app.rooms.board().find(id.parse().ok()?));
    let caller = match (rule.need, app.mode) {
        (Need::Open, _) | (_, Mode::Dev) => Caller::Anyone,
        (Need::Stream, _) if egress().is_some_and(|egress| egress.is_public()) => Caller::Anyone,
        _ => app.keys.authenticate(&parts.headers, app.wall())?,
    };
    allow(&caller, rule.need, room)?;
    if matches!(rule.need, Need::Member | Need::Watch | Need::Chat) {
        let id = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id);
        let_in(&app, &caller, room, id).await?;
    }
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Whether `caller` has what is needed in `room`. The answer depends on the token alone, never on
/// whether the room exists.
pub fn allow(caller: &Caller, need: Need, room: Option<&str>) -> Result<(), Problem> {
    let Caller::Token(claims) = caller else { return Ok(()) };
    let missing = |grant: &str| Err(Problem::new(Code::MissingGrant, format!("this needs the grant {grant}")));
    let Some(grants) = &claims.mixdown else { return missing("mixdown: the token carries none") };
    if room.is_some_and(|room| grants.room.as_deref() != Some(room)) {
        return Err(Problem::new(Code::WrongRoom, "the token is for another room"));
    }
    if need == Need::Server {
        return missing("admin for all rooms, or an API key");
    }
    let member = |grants: &Grants| grants.join || grants.subscribe || grants.admin || grants.layout || !grants.publish.is_empty();
    let (held, name) = match need {
        Need::Open | Need::Server => (true, ""),
        Need::Admin => (grants.admin, "admin"),
        Need::Member | Need::Session => (member(grants), "join, publish, subscribe, layout or admin"),
        Need::Join => (grants.join, "join"),
        Need::Publish => (!grants.publish.is_empty(), "publish"),
        Need::Subscribe | Need::Watch | Need::Stream => (grants.subscribe || grants.admin, "subscribe"),
        Need::Chat => (caller.rights().chat || grants.layout, "join with publish: data"),
        Need::Layout => (grants.layout || grants.admin, "layout"),
        Need::Record => (grants.record || grants.admin, "record"),
    };
    if held { Ok(()) } else { missing(name) }
}

/// Who waits at a room's door, or has not even knocked, neither reads the room nor speaks into it: only their own session is theirs.
pub async fn let_in(app: &App, caller: &Caller, room: Option<&str>, id: Option<&str>) -> Result<(), Problem> {
    let (Some(identity), false) = (caller.identity(), caller.holds(|grants| grants.admin || grants.layout)) else { return Ok(()) };
    let Some(handle) = room.and_then(|room| app.rooms.find(&room.parse().ok()?)) else { return Ok(()) };
    // A room that has just ended is the handler's business.
    if handle.admitted(identity.to_owned()).await.unwrap_or(true) {
        return Ok(());
    }
    if let Some(id) = id.and_then(|id| id.parse().ok())
        && handle.participant(id).await.is_ok_and(|view| view.participant.identity.as_deref() == Some(identity))
    {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, "a moderator has not let you in yet"))
}

/// Whether `Accept` lets through what is produced (RFC 9110 §12.5.1; weights other than 0 count alike).
fn acceptable(headers: &HeaderMap, produces: &str) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if produces.is_empty() || values.peek().is_none() {
        return true;
    }
    let (kind, _) = produces.split_once('/').unwrap_or((produces, ""));
    let fits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default();
        let refused = parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused
            && (range == "*/*"
                || range.eq_ignore_ascii_case(produces)
                || range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(kind)))
    };
    values.any(|value| value.to_str().is_ok_and(|text| text.split(',').any(fits)))
}
