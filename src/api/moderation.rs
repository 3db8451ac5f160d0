//! The waiting room, removals and transfers.

use super::app::App;
use super::body::Json;
use super::extract::{Identity, Participant, Query, Room, json};
use super::json::Check;
use super::page::{Page, Paging};
use super::problem::{FieldError, Problem};
use super::schema;
use super::tokens::{DEFAULT_TTL_MS, TokenRequest};
use crate::conference::rights::{Rights, Views};
use crate::ids::RoomId;
use crate::peer::types::CloseReason;
use crate::runtime::clock::rfc3339;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// Open the room to somebody who waits; without effect on others.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{id}/admit", tag = "participants", params(schema::ParticipantPath),
    responses((status = 200, body = schema::Participant)))]
pub async fn admit(State(app): State<App>, Room(room): Room, Participant(id): Participant) -> Result<Response, Problem> {
    let view = app.room(&room)?.admit(id).await?;
    Ok(json(&view, view.etag.as_deref()))
}

/// Turn somebody away who waits. Tokens they hold are void in this room.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{id}/deny", tag = "participants", params(schema::ParticipantPath),
    responses((status = 204, description = "Gone.")))]
pub async fn deny(State(app): State<App>, Room(room): Room, Participant(id): Participant) -> Result<Response, Problem> {
    app.room(&room)?.leave(id, CloseReason::Denied).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The room to go to.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
}

impl Check for Transfer {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if let Err(error) = self.room.parse::<RoomId>() {
            errors.push(FieldError::new(format!("{at}/room"), error.to_string()));
        }
    }
}

/// Send somebody to another room, with what they may do here. Their client is told over its data channel, with a token where
/// tokens are needed; a connection that is still here 10 s later is closed. Draining or overloaded: 503, for
/// the other room would not take them.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{id}/transfer", tag = "participants", params(schema::ParticipantPath), request_body = Transfer,
    responses((status = 202, description = "Told.")))]
pub async fn transfer(
    State(app): State<App>,
    Room(room): Room,
    Participant(id): Participant,
    Json(transfer): Json<Transfer>,
) -> Result<Response, Problem> {
    // Who is sent to a room that does not take them is in none.
    app.refuse_more()?;
    let handle = app.room(&room)?;
    let to: RoomId = transfer.room.parse::<RoomId>().map_err(|error| super::extract::room_id(&error))?;
    let (rights, person) = (handle.rights(id).await?, handle.participant(id).await?.participant);
    let identity = person.identity.unwrap_or_else(|| id.to_string());
    handle.transfer(id, to.clone(), pass(&app, &to, identity, &rights)).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// A token for `room` with these rights; `None` where the server has no key, and needs none.
fn pass(app: &App, room: &RoomId, identity: String, rights: &Rights) -> Option<String> {
    let publish = [("audio", rights.publish_audio), ("video", rights.publish_video), ("data", rights.chat)];
    let request = TokenRequest {
        identity,
        ttl_ms: DEFAULT_TTL_MS,
        room: Some(room.to_string()),
        join: true,
        publish: publish.into_iter().filter(|(_, granted)| *granted).map(|(kind, _)| kind.to_owned()).collect(),
        subscribe: rights.subscribe,
        record: false,
        admin: rights.admin,
        layout: rights.layout,
        view: match &rights.views {
            Views::All => Some("*".into()),
            Views::Main(other) => other.clone(),
        },
    };
    let now = app.wall();
    app.keys.sign(&request.claims(&app.keys.newest(now)?, now))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Removed {
    identity: String,
    removed_at: String,
}

/// Who was removed and cannot come back with a token of before.
#[utoipa::path(get, path = "/v1/rooms/{room}/removed", tag = "participants", params(schema::RoomPath, Paging),
    responses((status = 200, body = Page<Removed>)))]
pub async fn removed(State(app): State<App>, Room(room): Room, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let removed = app.keys.removed(&room, app.wall()).into_iter();
    let removed: Vec<Removed> = removed.map(|(identity, at)| Removed { identity, removed_at: rfc3339(at) }).collect();
    Ok(json(&paging.page(&format!("removed:{room}"), removed, |removed| removed.identity.clone())?, None))
}

/// Let somebody come back who was removed.
#[utoipa::path(delete, path = "/v1/rooms/{room}/removed/{identity}", tag = "participants", params(schema::IdentityPath),
    responses((status = 204, description = "Their tokens count again.")))]
pub async fn allow(State(app): State<App>, Room(room): Room, Identity(identity): Identity) -> Result<Response, Problem> {
    if app.keys.allow(&room, &identity) { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::not_found("removal")) }
}
