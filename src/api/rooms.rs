//! `/v1/rooms`.

use super::app::App;
use super::body::Document;
use super::extract::{IfMatch, Query, Room, etag, json, room_id};
use super::json::{Check, merge, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use super::views::{Changed, over, slow};
use crate::conference::directory::Created;
use crate::conference::handle::{Refusal, RoomHandle};
use crate::ids::RoomId;
use crate::peer::types::CloseReason;
use crate::room::MAIN_VIEW;
use crate::room::model::{Canvas, RoomPatch, RoomState};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mixdown_layouts::Layout;
use mixdown_layouts::preview::Warning;
use serde_json::{Value, json};

/// How often a change is tried again when somebody else changed the room in between.
pub const TRIES: usize = 4;

/// All rooms, by id.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", params(Paging), responses((status = 200, body = Page<schema::Room>)))]
pub async fn list(State(app): State<App>, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let page = paging.page("rooms", app.list(), |room| room.id.to_string())?;
    let mut items = Vec::with_capacity(page.items.len());
    for room in page.items {
        // A room that has ended in between is no error.
        items.extend(room.state().await.ok());
    }
    Ok(json(&Page { items, next_cursor: page.next_cursor }, None))
}

/// Make a room, which stays until it is deleted. One that exists with the same settings is given back, with others it is a conflict.
#[utoipa::path(post, path = "/v1/rooms", tag = "rooms", request_body = schema::NewRoom,
    responses((status = 201, body = schema::Room, headers(("Location" = String), ("ETag" = String))), (status = 200, body = schema::Room)))]
pub async fn create(State(app): State<App>, Document(mut document): Document) -> Result<Response, Problem> {
    let id = take_id(&mut document);
    let (id, wanted): (_, RoomPatch) = Problem::both(id, read(app.layouts.resolve_in(document)))?;
    let (room, created) = app.open(&id, wanted.clone())?;
    let state = room.state().await?;
    if created == Created::Existing && !fulfils(&state, &wanted) {
        return Err(Problem::new(Code::Conflict, "a room of this id exists with other settings; change it by PATCH"));
    }
    room.keep();
    Ok(shown(&state, created, slow_seats(&state)))
}

/// One room.
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms", params(schema::RoomPath),
    responses((status = 200, body = schema::Room, headers(("ETag" = String)))))]
pub async fn get(State(app): State<App>, Room(room): Room) -> Result<Response, Problem> {
    let state = app.room(&room)?.state().await?;
    Ok(shown(&state, Created::Existing, Vec::new()))
}

/// What the room costs: processor time by stage, and by rendition. What is done for all rooms together (network, API) is in `/metrics` alone.
#[utoipa::path(get, path = "/v1/rooms/{room}/stats", tag = "rooms", params(schema::RoomPath), responses((status = 200, body = schema::RoomStats)))]
pub async fn stats(State(app): State<App>, Room(room): Room) -> Result<Response, Problem> {
    Ok(json(&app.room(&room)?.stats().await?, None))
}

/// Make a room, or give an existing one exactly these settings; what is absent takes its default. It stays until it is deleted.
#[utoipa::path(put, path = "/v1/rooms/{room}", tag = "rooms", params(schema::RoomPath), request_body = schema::RoomSettings,
    responses((status = 200, body = schema::Room), (status = 201, body = schema::Room)))]
pub async fn put(State(app): State<App>, Room(id): Room, if_match: IfMatch, Document(document): Document) -> Result<Response, Problem> {
    let wanted = whole(&app, read(app.layouts.resolve_in(document))?);
    if !if_match.is_absent() && app.rooms.find(&id).is_none() {
        return Err(Problem::new(Code::PreconditionFailed, "the room does not exist"));
    }
    let (room, created) = app.open(&id, wanted.clone())?;
    let shown = match created {
        Created::New => {
            let state = room.state().await?;
            shown(&state, Created::New, slow_seats(&state))
        }
        Created::Existing => change(&room, &if_match, |_| Ok((wanted.clone(), Vec::new()))).await?,
    };
    // Who was refused has prepared nothing.
    room.keep();
    Ok(shown)
}

/// Change some settings (RFC 7396).
#[utoipa::path(patch, path = "/v1/rooms/{room}", tag = "rooms", params(schema::RoomPath),
    request_body(content = schema::RoomSettings, content_type = "application/merge-patch+json"),
    responses((status = 200, body = schema::Room, headers(("ETag" = String)))))]
pub async fn patch(State(app): State<App>, Room(id): Room, if_match: IfMatch, Document(patch): Document) -> Result<Response, Problem> {
    let room = app.room(&id)?;
    change(&room, &if_match, |state| {
        let (mut settings, mut warnings) = (settings(state), Vec::new());
        let mut patch = patch.clone();
        if let Some(layout) = patch.as_object_mut().and_then(|fields| fields.remove("layout")) {
            (settings["layout"], warnings) = over(&app, "/layout", settings["layout"].take(), layout);
        }
        merge(&mut settings, patch);
        // What the patch takes away takes its default.
        Ok((whole(&app, read(settings)?), warnings))
    })
    .await
}

/// End the room: everybody in it is disconnected.
#[utoipa::path(delete, path = "/v1/rooms/{room}", tag = "rooms", params(schema::RoomPath), responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, Room(id): Room, if_match: IfMatch) -> Result<Response, Problem> {
    let room = app.room(&id)?;
    if !if_match.is_absent() {
        if_match.check(&etag(room.state().await?.etag))?;
    }
    room.close(CloseReason::Removed).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads, computes, writes; again where somebody else was faster and the caller did not ask for one state.
async fn change(
    room: &RoomHandle,
    if_match: &IfMatch,
    compute: impl Fn(&RoomState) -> Result<(RoomPatch, Vec<Warning>), Problem>,
) -> Result<Response, Problem> {
    for _ in 0..TRIES {
        let state = room.state().await?;
        if_match.check(&etag(state.etag))?;
        let (settings, mut warnings) = compute(&state)?;
        match room.patch_room(settings, Some(state.etag)).await {
            Ok(state) => {
                warnings.extend(slow_seats(&state));
                return Ok(shown(&state, Created::Existing, warnings));
            }
            Err(Refusal::Stale { .. }) if if_match.is_absent() => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Err(Problem::new(Code::Conflict, "the room changes too quickly; try again"))
}

/// Of the room's own layout, which is that of its main view.
fn slow_seats(state: &RoomState) -> Vec<Warning> {
    state.views.iter().find(|view| view.name == MAIN_VIEW).map(|view| slow(view, "/layout")).unwrap_or_default()
}

fn shown(state: &RoomState, created: Created, warnings: Vec<Warning>) -> Response {
    let mut response = json(&Changed { now: state, warnings }, Some(&etag(state.etag)));
    if created == Created::New {
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/rooms/{}", state.room)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    response
}

fn take_id(document: &mut Value) -> Result<RoomId, Problem> {
    let missing = |detail| Problem::validation(vec![FieldError::new("/room", detail)]);
    let id = match document {
        Value::Object(fields) => fields.remove("room").ok_or_else(|| missing("is missing"))?,
        _ => return Err(Problem::validation(vec![FieldError::new("", "must be an object")])),
    };
    let Value::String(id) = id else { return Err(missing("must be a string")) };
    id.parse().map_err(|error: crate::ids::IdError| room_id(&error))
}

/// The settings as a document, for merging into.
fn settings(state: &RoomState) -> Value {
    let main = state.views.iter().find(|view| view.name == MAIN_VIEW);
    let mut settings = json!({
        "locked": state.locked,
        "waiting_room": state.waiting_room,
        "self_unmute": state.self_unmute,
        "max_participants": state.max_participants,
        "audio": state.audio,
        "auto_record": state.auto_record,
        "recording_sign": state.recording_sign,
    });
    if let Some(main) = main {
        settings["canvas"] = json!(main.canvas);
        settings["layout"] = json!(main.layout);
    }
    settings
}

/// `wanted` with the configured defaults where it says nothing.
fn whole(app: &App, wanted: RoomPatch) -> RoomPatch {
    let defaults = &app.config.rooms;
    RoomPatch {
        locked: wanted.locked.or(Some(false)),
        waiting_room: wanted.waiting_room.or(Some(defaults.waiting_room)),
        self_unmute: wanted.self_unmute.or(Some(defaults.self_unmute)),
        max_participants: wanted.max_participants.or(Some(defaults.max_participants)),
        audio: wanted.audio.or(Some(app.config.audio.room())),
        auto_record: wanted.auto_record.or(Some(app.config.recordings.auto_record)),
        recording_sign: wanted.recording_sign.or(Some(app.config.recordings.sign)),
        canvas: wanted.canvas.or_else(|| Some(defaults.canvas.clone())),
        layout: wanted.layout.or_else(|| Some(Layout { kind: defaults.layout, ..Layout::default() })),
    }
}

/// Whether the room already is what is wanted.
fn fulfils(state: &RoomState, wanted: &RoomPatch) -> bool {
    let main = state.views.iter().find(|view| view.name == MAIN_VIEW);
    wanted.locked.is_none_or(|locked| locked == state.locked)
        && wanted.waiting_room.is_none_or(|waiting_room| waiting_room == state.waiting_room)
        && wanted.self_unmute.is_none_or(|self_unmute| self_unmute == state.self_unmute)
        && wanted.max_participants.is_none_or(|most| most == state.max_participants)
        && wanted.audio.is_none_or(|audio| audio == state.audio)
        && wanted.auto_record.is_none_or(|auto_record| auto_record == state.auto_record)
        && wanted.recording_sign.is_none_or(|sign| sign == state.recording_sign)
        && wanted.canvas.as_ref().is_none_or(|canvas| main.is_some_and(|main| main.canvas == *canvas))
        && wanted.layout.as_ref().is_none_or(|layout| main.is_some_and(|main| main.layout == *layout))
}

impl Check for RoomPatch {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if self.max_participants.is_some_and(|most| !(1..=10_000).contains(&most)) {
            errors.push(FieldError::new(format!("{at}/max_participants"), "1 to 10000"));
        }
        if let Some(canvas) = &self.canvas {
            Check::check(canvas, &format!("{at}/canvas"), errors);
        }
        if let Some(layout) = &self.layout {
            Check::check(layout, &format!("{at}/layout"), errors);
        }
    }
}

impl Check for Canvas {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        for (field, side) in [("width", self.width), ("height", self.height)] {
            if !(64..=3840).contains(&side) || side % 2 != 0 {
                errors.push(FieldError::new(format!("{at}/{field}"), "even, 64 to 3840"));
            }
        }
        if u64::from(self.width) * u64::from(self.height) > 3840 * 2160 {
            errors.push(FieldError::new(at, "width x height is at most 3840x2160"));
        }
        if !(1..=60).contains(&self.fps) {
            errors.push(FieldError::new(format!("{at}/fps"), "1 to 60"));
        }
        let digits = self.background.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            errors.push(FieldError::new(format!("{at}/background"), "a colour as #rrggbb"));
        }
    }
}

impl Check for Layout {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        errors.extend(self.faults().into_iter().map(|fault| FieldError::new(format!("{at}{}", fault.pointer), fault.detail)));
    }
}
