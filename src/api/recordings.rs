//! `/v1/recordings`, and how a room begins one.
//!
//! What a room does with its recordings is asked of the room; what lies on the disk is read on threads that may wait for it. A token with
//! the grant `record` or `admin` reaches the recordings of its own room, also when the room has ended; another room's do not exist for it.

use super::app::App;
use super::auth::Caller;
use super::body::{Document, JSON, collect, media_type, unsupported};
use super::extract::{Query, Recording, Room, json};
use super::json::{Check, merge, parse, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use super::views::{Changed, over};
use crate::conference::Action;
use crate::conference::handle::{NewRecording, RoomHandle};
use crate::ids::RecordingId;
use crate::record::store::Refusal;
use crate::record::tracks::Mode;
use crate::record::{Manifest, PauseMode, Store};
use crate::room::model::Canvas;
use crate::room::{Framing, MAIN_VIEW};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mixdown_layouts::Layout;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a disk may take to make the files of a new recording.
const START_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    view: String,
    layout: Option<Layout>,
    canvas: Option<Canvas>,
    tracks: Mode,
    format: Format,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { view: MAIN_VIEW.to_owned(), layout: None, canvas: None, tracks: Mode::Composite, format: Format::Mp4 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Mp4,
}

impl Check for Wanted {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        let Self { view: _, layout, canvas, tracks, format: Format::Mp4 } = self;
        check_own(layout.as_ref(), canvas.as_ref(), at, errors);
        errors.extend(
            uncomposed(*tracks, layout.is_some(), canvas.is_some()).map(|field| FieldError::new(format!("{at}{field}"), UNCOMPOSED)),
        );
    }
}

impl Check for Framing {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        check_own(self.layout.as_ref(), self.canvas.as_ref(), at, errors);
    }
}

fn check_own(layout: Option<&Layout>, canvas: Option<&Canvas>, at: &str, errors: &mut Vec<FieldError>) {
    if let Some(layout) = layout {
        Check::check(layout, &format!("{at}/layout"), errors);
    }
    if let Some(canvas) = canvas {
        Check::check(canvas, &format!("{at}/canvas"), errors);
    }
}

const UNCOMPOSED: &str = "with tracks each there is no composite to arrange: leave it out, or ask for both";

/// The fields that have no effect on a recording without a composite.
fn uncomposed(tracks: Mode, layout: bool, canvas: bool) -> impl Iterator<Item = &'static str> {
    let own = [("/layout", layout), ("/canvas", canvas)];
    own.into_iter().filter(move |(_, given)| *given && !tracks.has_composite()).map(|(field, _)| field)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Pause {
    mode: Option<PauseMode>,
}

impl Check for Pause {
    fn check(&self, _: &str, _: &mut Vec<FieldError>) {}
}

/// Begin to record a view. It keeps the room, also when everybody leaves. 507: there is no space for it.
#[utoipa::path(post, path = "/v1/rooms/{room}/recordings", tag = "recordings", params(schema::RoomPath), request_body = schema::NewRecording,
    responses((status = 201, body = schema::Recording, headers(("Location" = String)))))]
pub async fn create(State(app): State<App>, Room(room): Room, Document(document): Document) -> Result<Response, Problem> {
    let Wanted { view, layout, canvas, tracks, format: Format::Mp4 } = read(app.layouts.resolve_in(document))?;
    let framing = Framing { view, layout, canvas };
    let handle = app.room(&room)?;
    // What somebody watches is composed anyway, and what is not recorded is lost.
    if framing.is_its_own() {
        app.refuse_more()?
    } else {
        app.refuse_while_draining()?
    }
    let begun = handle.record(NewRecording { framing, tracks });
    let begun = tokio::time::timeout(START_WITHIN, begun).await;
    let manifest = begun.map_err(|_| Problem::new(Code::Busy, "the disk takes too long to begin a recording"))??;
    let mut response = json(&manifest, None);
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/recordings/{}", manifest.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// All recordings, the newest first; with a token those of its room.
#[utoipa::path(get, path = "/v1/recordings", tag = "recordings", params(Paging), responses((status = 200, body = Page<schema::Recording>)))]
pub async fn list(State(app): State<App>, caller: Caller, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let all = match app.rooms.library().store() {
        Ok(store) => blocking(store, |store| Ok(store.list()?)).await?,
        Err(_) => Vec::new(),
    };
    let all = all.into_iter().filter(|manifest| caller.reaches(&manifest.room)).collect();
    Ok(json(&paging.page("recordings", all, |manifest| manifest.id.to_string())?, None))
}

/// One recording.
#[utoipa::path(get, path = "/v1/recordings/{recording}", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, body = schema::Recording)))]
pub async fn get(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    let (_, manifest) = find(&app, &caller, id).await?;
    Ok(json(&manifest, None))
}

/// Change what a running recording is of (RFC 7396), from the next picture on and in the same file: another view, a layout or a canvas of
/// its own; `null` takes the view's. One that has ended: 410.
#[utoipa::path(patch, path = "/v1/recordings/{recording}", tag = "recordings", params(schema::RecordingPath),
    request_body(content = schema::RecordingFraming, content_type = "application/merge-patch+json"), responses((status = 200, body = schema::Recording)))]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Recording(id): Recording,
    Document(mut patch): Document,
) -> Result<Response, Problem> {
    let (manifest, room) = running(&app, &caller, id).await?;
    let now = room.act_on_recording(id, Action::Look).await?;
    let was_its_own = now.layout.is_some() || now.canvas.is_some();
    let (mut document, mut warnings) = (json!({"view": now.view, "layout": now.layout, "canvas": now.canvas}), Vec::new());
    if let Some(layout) = patch.get_mut("layout").filter(|layout| layout.is_object()) {
        let before = now.layout.unwrap_or_else(|| json!({}));
        (document["layout"], warnings) = over(&app, "/layout", before, layout.take());
        patch.as_object_mut().and_then(|fields| fields.remove("layout"));
    }
    merge(&mut document, patch);
    let framing: Framing = read(document)?;
    let idle = uncomposed(manifest.tracks, framing.layout.is_some(), framing.canvas.is_some());
    let idle: Vec<FieldError> = idle.map(|field| FieldError::new(field, UNCOMPOSED)).collect();
    if !idle.is_empty() {
        return Err(Problem::validation(idle));
    }
    // What has an encode of its own already costs no further one.
    if framing.is_its_own() && !was_its_own {
        app.refuse_more()?;
    }
    let Manifest { view, layout, canvas, state, .. } = room.act_on_recording(id, Action::Frame(framing.into())).await?;
    Ok(json(&Changed { now: &Manifest { view, layout, canvas, state, ..manifest }, warnings }, None))
}

/// Delete a recording that has ended, with all its files. One that runs: 409.
#[utoipa::path(delete, path = "/v1/recordings/{recording}", tag = "recordings", params(schema::RecordingPath),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    let (store, _) = find(&app, &caller, id).await?;
    blocking(&store, move |store| store.delete(id)).await?;
    tracing::info!(recording = %id, "deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Pause. One that pauses: 409; one that has ended: 410.
#[utoipa::path(post, path = "/v1/recordings/{recording}/pause", tag = "recordings", params(schema::RecordingPath),
    request_body = Option<schema::PauseRecording>, responses((status = 200, body = schema::Recording)))]
pub async fn pause(State(app): State<App>, caller: Caller, Recording(id): Recording, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = collect(&app, &parts.headers, body, app.config.http.body_limit_bytes).await?;
    if !bytes.is_empty() && media_type(&parts.headers) != JSON {
        return Err(unsupported(&Method::POST, JSON));
    }
    let document = if bytes.is_empty() { Value::Null } else { parse(&bytes)? };
    let Pause { mode } = if document.is_null() { Pause::default() } else { read(document)? };
    act(&app, &caller, id, Action::Pause(mode.unwrap_or(PauseMode::Cut))).await
}

/// Go on after a pause, with the next keyframe. One that does not pause: 409; one that has ended: 410.
#[utoipa::path(post, path = "/v1/recordings/{recording}/resume", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, body = schema::Recording)))]
pub async fn resume(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    act(&app, &caller, id, Action::Resume).await
}

/// Stop. Its files are closed a moment later; then it is `complete`. One that has ended: 410.
#[utoipa::path(post, path = "/v1/recordings/{recording}/stop", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, body = schema::Recording)))]
pub async fn stop(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    act(&app, &caller, id, Action::Stop).await
}

async fn act(app: &App, caller: &Caller, id: RecordingId, action: Action) -> Result<Response, Problem> {
    let (manifest, room) = running(app, caller, id).await?;
    let state = room.act_on_recording(id, action).await?.state;
    Ok(json(&Manifest { state, ..manifest }, None))
}

/// One that has not ended, and its room.
async fn running(app: &App, caller: &Caller, id: RecordingId) -> Result<(Manifest, RoomHandle), Problem> {
    let (_, manifest) = find(app, caller, id).await?;
    let ended = || Problem::new(Code::Gone, "the recording has ended");
    if manifest.state.is_final() {
        return Err(ended());
    }
    let room = manifest.room.parse().ok().and_then(|room| app.rooms.find(&room)).ok_or_else(ended)?;
    Ok((manifest, room))
}

/// The recording, if there is one that the caller may reach.
pub async fn find(app: &App, caller: &Caller, id: RecordingId) -> Result<(Store, Manifest), Problem> {
    let library = app.rooms.library();
    let unknown = || Problem::not_found("recording");
    let store = library.store().map_err(|_| unknown())?;
    let manifest = blocking(store, move |store| store.manifest(id)).await?;
    if caller.reaches(&manifest.room) { Ok((store.clone(), manifest)) } else { Err(unknown()) }
}

/// Does what may wait for a disk where nobody else waits for it.
pub async fn blocking<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Problem::new(Code::Internal, "the request ended by an internal error")),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::not_found("recording"),
            Refusal::Running => Self::new(Code::Conflict, "the recording has not ended: stop it first"),
            Refusal::Disk(error) => {
                tracing::error!(%error, "the folder of recordings cannot be used");
                Self::new(Code::Internal, "the disk refuses")
            }
        }
    }
}
