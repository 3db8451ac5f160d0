//! `/v1/rooms/{room}/participants`.

use super::app::App;
use super::auth::Caller;
use super::body::{Document, MERGE_PATCH, SDP, Sdp, TRICKLE, media_type, unsupported};
use super::extract::{ClientAddress, IfMatch, Participant, Query, Room, json};
use super::join::{Arrival, PARTICIPANTS, Session, Wishes};
use super::json::{Check, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use crate::room::model::ParticipantPatch;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

/// Join the room with an SDP offer.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants", tag = "participants", params(schema::RoomPath, Wishes),
    request_body(content = String, content_type = "application/sdp", description = "An offer: up at most one microphone, one camera and one screen; down one audio and one video track."),
    responses((status = 201, content_type = "application/sdp", body = String, description = "The answer.", headers(
        ("Location" = String, description = "The participant, for PATCH, GET and DELETE."),
        ("ETag" = String, description = "Of the ICE session."),
        ("Link" = String, description = "ICE servers, RFC 9725 §4.6.")))))]
pub async fn join(
    State(app): State<App>,
    Room(room): Room,
    caller: Caller,
    client: Option<Extension<ClientAddress>>,
    Query(wishes): Query<Wishes>,
    offer: Sdp,
) -> Result<Response, Problem> {
    PARTICIPANTS.enter(&app, room, Arrival { caller, client, wishes, limits: Default::default(), offer }).await
}

/// Everybody in the room, in order of joining.
#[utoipa::path(get, path = "/v1/rooms/{room}/participants", tag = "participants", params(schema::RoomPath, Paging),
    responses((status = 200, body = Page<schema::Participant>)))]
pub async fn list(State(app): State<App>, Room(room): Room, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let everybody = app.room(&room)?.participants().await?;
    let page = paging.page(&format!("participants:{room}"), everybody, |participant| participant.id.to_string())?;
    Ok(json(&page, None))
}

/// One participant: state, tracks, what they receive, and the figures of their connection.
#[utoipa::path(get, path = "/v1/rooms/{room}/participants/{id}", tag = "participants", params(schema::ParticipantPath),
    responses((status = 200, body = schema::Participant)))]
pub async fn get(State(app): State<App>, Room(room): Room, Participant(id): Participant) -> Result<Response, Problem> {
    let view = app.room(&room)?.participant(id).await?;
    Ok(json(&view, view.etag.as_deref()))
}

/// Change a session: by its type the body is a new offer, candidates or an ICE restart, or a merge-patch.
#[utoipa::path(patch, path = "/v1/rooms/{room}/participants/{id}", tag = "participants", params(schema::ParticipantPath),
    request_body(content(
        (String = "application/sdp"), (String = "application/trickle-ice-sdpfrag"), (schema::ParticipantPatch = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "The answer, the restarted ICE session's fragment, or the participant.", content(
            (String = "application/sdp"), (String = "application/trickle-ice-sdpfrag"), (schema::Participant = "application/json"))),
        (status = 204, description = "Candidates were taken.")))]
pub async fn patch(
    State(app): State<App>,
    Room(room): Room,
    Participant(id): Participant,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let kind = media_type(&parts.headers);
    if ![SDP, TRICKLE, MERGE_PATCH].contains(&kind.as_str()) {
        return Err(unsupported(&Method::PATCH, PARTICIPANTS.accept_patch));
    }
    let session = PARTICIPANTS.session_of(&app, &caller, &room, id).await?;
    match kind.as_str() {
        SDP => session.offer(&app, &parts.headers, body).await,
        TRICKLE => session.trickle(&app, &parts.headers, body).await,
        _ => merge_patch(&app, &caller, &session, &parts.headers, body).await,
    }
}

/// Leave, or remove somebody.
#[utoipa::path(delete, path = "/v1/rooms/{room}/participants/{id}", tag = "participants", params(schema::ParticipantPath),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, Room(room): Room, Participant(id): Participant, caller: Caller) -> Result<Response, Problem> {
    PARTICIPANTS.session_of(&app, &caller, &room, id).await?.end(StatusCode::NO_CONTENT).await
}

async fn merge_patch(app: &App, caller: &Caller, session: &Session, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    IfMatch::of(headers).check(session.view.etag.as_deref().unwrap_or_default())?;
    let Document(mut document) = Document::read(app, headers, body, app.config.http.body_limit_bytes).await?;
    reset(&mut document)?;
    let mut patch: ParticipantPatch = read(document)?;
    // Where nobody is asked who he is, everybody speaks for himself.
    patch.operator = !session.own && *caller != Caller::Anyone;
    permit(caller, &patch)?;
    let view = session.handle.patch(session.id, patch).await?;
    Ok(json(&view, view.etag.as_deref()))
}

/// `null` takes a value back (RFC 7396): no role, no limit. What everybody has cannot be taken away.
fn reset(document: &mut Value) -> Result<(), Problem> {
    let Value::Object(fields) = document else { return Ok(()) };
    let mut errors = Vec::new();
    for (field, value) in fields.iter_mut().filter(|(_, value)| value.is_null()) {
        match field.as_str() {
            "role" => *value = Value::String(String::new()),
            "gain_db" => *value = Value::from(0),
            // The room's own setting holds again.
            "noise_suppression" | "auto_gain" => {}
            "max_width" | "max_height" | "max_bitrate_bps" => *value = Value::from(u32::MAX),
            _ => errors.push(FieldError::new(format!("/{field}"), "cannot be removed")),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

/// What changes the room for others needs more than being oneself.
fn permit(caller: &Caller, patch: &ParticipantPatch) -> Result<(), Problem> {
    if matches!(caller, Caller::Anyone | Caller::Server) {
        return Ok(());
    }
    let missing = |grant: &str| Err(Problem::new(Code::MissingGrant, format!("this needs the grant {grant}")));
    if patch.role.is_some() && !caller.holds(|grants| grants.admin) {
        return missing("admin (role)");
    }
    if patch.pinned.is_some() && !caller.holds(|grants| grants.admin || grants.layout) {
        return missing("layout (pinned)");
    }
    if patch.gain_db.is_some() && !caller.holds(|grants| grants.admin) {
        return missing("admin (gain_db)");
    }
    super::join::check_view(caller, patch.view.as_deref())
}

impl Check for ParticipantPatch {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        let mut text = |field: &str, text: Option<&String>, most: usize| {
            let Some(text) = text else { return };
            if text.len() > most || text.chars().any(char::is_control) {
                errors.push(FieldError::new(format!("{at}/{field}"), format!("at most {most} bytes, no control characters")));
            }
        };
        text("name", self.name.as_ref(), 256);
        text("role", self.role.as_ref(), 64);
        text("view", self.view.as_ref(), 64);
        for (field, value, least) in
            [("max_width", self.max_width, 64), ("max_height", self.max_height, 64), ("max_bitrate_bps", self.max_bitrate_bps, 30_000)]
        {
            if value.is_some_and(|value| value < least) {
                errors.push(FieldError::new(format!("{at}/{field}"), format!("at least {least}")));
            }
        }
    }
}
