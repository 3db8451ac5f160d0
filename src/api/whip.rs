//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): the same sessions behind narrower doors.
//!
//! GET, HEAD and PUT stay reserved (405), as their texts want it.

use super::app::App;
use super::auth::Caller;
use super::body::{Sdp, TRICKLE, media_type, unsupported};
use super::extract::{ClientAddress, Participant, Query, Room};
use super::join::{Arrival, Door, PlayerWishes, WHEP, WHIP, Wishes};
use super::problem::Problem;
use super::schema;
use crate::ids::{ParticipantId, RoomId};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;

/// Publish into the room (RFC 9725).
#[utoipa::path(post, path = "/whip/{room}", tag = "whip", params(schema::RoomPath, Wishes),
    request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, content_type = "application/sdp", body = String, description = "The answer.", headers(
        ("Location" = String, description = "The session."), ("ETag" = String), ("Link" = String)))))]
pub async fn publish(
    State(app): State<App>,
    Room(room): Room,
    caller: Caller,
    client: Option<Extension<ClientAddress>>,
    Query(wishes): Query<Wishes>,
    offer: Sdp,
) -> Result<Response, Problem> {
    WHIP.enter(&app, room, Arrival { caller, client, wishes, limits: Default::default(), offer }).await
}

/// Candidates or an ICE restart of a publishing session.
#[utoipa::path(patch, path = "/whip/{room}/{id}", tag = "whip", params(schema::ParticipantPath),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = 204, description = "Candidates were taken."),
        (status = 200, content_type = "application/trickle-ice-sdpfrag", body = String, description = "ICE was restarted.")))]
pub async fn patch_publisher(
    State(app): State<App>,
    Room(room): Room,
    Participant(id): Participant,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    patch(WHIP, &app, &caller, &room, id, request).await
}

/// End a publishing session.
#[utoipa::path(delete, path = "/whip/{room}/{id}", tag = "whip", params(schema::ParticipantPath), responses((status = 200, description = "Gone.")))]
pub async fn end_publisher(
    State(app): State<App>,
    Room(room): Room,
    Participant(id): Participant,
    caller: Caller,
) -> Result<Response, Problem> {
    WHIP.session_of(&app, &caller, &room, id).await?.end(StatusCode::OK).await
}

/// Watch a view as one stream (draft-ietf-wish-whep).
#[utoipa::path(post, path = "/whep/{room}", tag = "whep", params(schema::RoomPath, PlayerWishes),
    request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, content_type = "application/sdp", body = String, description = "The answer.", headers(
        ("Location" = String, description = "The session."), ("ETag" = String), ("Link" = String)))))]
pub async fn watch(
    State(app): State<App>,
    Room(room): Room,
    caller: Caller,
    client: Option<Extension<ClientAddress>>,
    Query(wishes): Query<PlayerWishes>,
    offer: Sdp,
) -> Result<Response, Problem> {
    let (wishes, limits) = wishes.try_into()?;
    WHEP.enter(&app, room, Arrival { caller, client, wishes, limits, offer }).await
}

/// Candidates or an ICE restart of a watching session.
#[utoipa::path(patch, path = "/whep/{room}/{id}", tag = "whep", params(schema::ParticipantPath),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = 204, description = "Candidates were taken."),
        (status = 200, content_type = "application/trickle-ice-sdpfrag", body = String, description = "ICE was restarted.")))]
pub async fn patch_viewer(
    State(app): State<App>,
    Room(room): Room,
    Participant(id): Participant,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    patch(WHEP, &app, &caller, &room, id, request).await
}

/// End a watching session.
#[utoipa::path(delete, path = "/whep/{room}/{id}", tag = "whep", params(schema::ParticipantPath), responses((status = 200, description = "Gone.")))]
pub async fn end_viewer(
    State(app): State<App>,
    Room(room): Room,
    Participant(id): Participant,
    caller: Caller,
) -> Result<Response, Problem> {
    WHEP.session_of(&app, &caller, &room, id).await?.end(StatusCode::OK).await
}

async fn patch(door: Door, app: &App, caller: &Caller, room: &RoomId, id: ParticipantId, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if media_type(&parts.headers) != TRICKLE {
        return Err(unsupported(&Method::PATCH, door.accept_patch));
    }
    door.session_of(app, caller, room, id).await?.trickle(app, &parts.headers, body).await
}
