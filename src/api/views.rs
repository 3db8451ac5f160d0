//! `/v1/rooms/{room}/views`: canvas, layout and a picture of what is composed.

use super::app::App;
use super::auth::Caller;
use super::body::Document;
use super::extract::{IfMatch, Query, Room, View, etag, json};
use super::join::check_view;
use super::json::{Check, merge, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::rooms::TRIES;
use super::schema;
use crate::conference::handle::{Refusal, RoomHandle};
use crate::ids::RoomId;
use crate::room::Expect;
use crate::room::model::{Selector, View as Model, ViewPatch};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mixdown_layouts::Layout;
use mixdown_layouts::draw::rgb::{Format, encode};
use mixdown_layouts::names::make_way;
use mixdown_layouts::preview::{Warning, slow_seats};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The room's views.
#[utoipa::path(get, path = "/v1/rooms/{room}/views", tag = "views", params(schema::RoomPath, Paging), responses((status = 200, body = Page<schema::View>)))]
pub async fn list(State(app): State<App>, Room(room): Room, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let views = app.room(&room)?.state().await?.views;
    Ok(json(&paging.page(&format!("views:{room}"), views, |view| view.name.clone())?, None))
}

/// Make a view. One that exists with the same settings is given back, with others it is a conflict.
#[utoipa::path(post, path = "/v1/rooms/{room}/views", tag = "views", params(schema::RoomPath), request_body = schema::NewView,
    responses((status = 201, body = schema::View, headers(("Location" = String), ("ETag" = String))), (status = 200, body = schema::View)))]
pub async fn create(State(app): State<App>, Room(room): Room, Document(mut document): Document) -> Result<Response, Problem> {
    let wrong = |detail| Problem::validation(vec![FieldError::new("/name", detail)]);
    let name = match document.as_object_mut().and_then(|fields| fields.remove("name")) {
        Some(Value::String(name)) => Ok(name),
        Some(_) => Err(wrong("must be a string")),
        None => Err(wrong("is missing")),
    };
    let (name, settings): (_, ViewPatch) = Problem::both(name, read(app.layouts.resolve_in(document)))?;
    let (view, made) = app.room(&room)?.put_view(name, settings, Expect::Absent).await?;
    Ok(shown(&room, &view, made))
}

/// Make a view, or give an existing one exactly these settings; what is absent takes its default.
#[utoipa::path(put, path = "/v1/rooms/{room}/views/{view}", tag = "views", params(schema::ViewPath), request_body = schema::ViewSettings,
    responses((status = 201, body = schema::View, headers(("Location" = String), ("ETag" = String))), (status = 200, body = schema::View)))]
pub async fn put(
    State(app): State<App>,
    Room(room): Room,
    View(name): View,
    if_match: IfMatch,
    Document(document): Document,
) -> Result<Response, Problem> {
    let settings: ViewPatch = read(app.layouts.resolve_in(document))?;
    let handle = app.room(&room)?;
    let expect = expected(&handle, &name, &if_match).await?;
    let (view, made) = handle.put_view(name, settings, expect).await?;
    Ok(shown(&room, &view, made))
}

/// Delete a view. Who watches it watches `main` from then on; `main` itself stays.
#[utoipa::path(delete, path = "/v1/rooms/{room}/views/{view}", tag = "views", params(schema::ViewPath), responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, Room(room): Room, View(name): View, if_match: IfMatch) -> Result<Response, Problem> {
    let handle = app.room(&room)?;
    let expect = expected(&handle, &name, &if_match).await?;
    handle.delete_view(name, expect).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The revision that `If-Match` names, if there is one.
async fn expected(room: &RoomHandle, name: &str, if_match: &IfMatch) -> Result<Expect, Problem> {
    if if_match.is_absent() {
        return Ok(Expect::Anything);
    }
    let missing = |_| Problem::new(Code::PreconditionFailed, "the view does not exist");
    let view = room.view(name.to_owned()).await.map_err(missing)?;
    if_match.check(&etag(view.etag))?;
    Ok(Expect::Revision(view.etag))
}

fn shown(room: &RoomId, view: &Model, made: bool) -> Response {
    let mut response = json(&Changed { now: view, warnings: slow(view, "/layout") }, Some(&etag(view.etag)));
    if made {
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/rooms/{room}/views/{}", view.name)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    response
}

/// One view.
#[utoipa::path(get, path = "/v1/rooms/{room}/views/{view}", tag = "views", params(schema::ViewPath),
    responses((status = 200, body = schema::View, headers(("ETag" = String)))))]
pub async fn get(State(app): State<App>, Room(room): Room, View(view): View) -> Result<Response, Problem> {
    let view = app.room(&room)?.view(view).await?;
    Ok(json(&view, Some(&etag(view.etag))))
}

/// Change some settings (RFC 7396).
#[utoipa::path(patch, path = "/v1/rooms/{room}/views/{view}", tag = "views", params(schema::ViewPath),
    request_body(content = schema::ViewSettings, content_type = "application/merge-patch+json"),
    responses((status = 200, body = schema::View, headers(("ETag" = String)))))]
pub async fn patch(
    State(app): State<App>,
    Room(room): Room,
    View(view): View,
    if_match: IfMatch,
    Document(patch): Document,
) -> Result<Response, Problem> {
    let room = app.room(&room)?;
    let changed = change(&room, &view, &if_match, |view| {
        let (mut document, mut warnings) = (settings(view), Vec::new());
        let mut patch = patch.clone();
        if let Some(layout) = patch.as_object_mut().and_then(|fields| fields.remove("layout")) {
            (document["layout"], warnings) = over(&app, "/layout", json!(view.layout), layout);
        }
        merge(&mut document, patch);
        // What the patch takes away takes its default.
        Ok((read(document)?, warnings))
    });
    let (view, mut warnings) = changed.await?;
    warnings.extend(slow(&view, "/layout"));
    Ok(json(&Changed { now: &view, warnings }, Some(&etag(view.etag))))
}

/// The view's layout.
#[utoipa::path(get, path = "/v1/rooms/{room}/views/{view}/layout", tag = "views", params(schema::ViewPath),
    responses((status = 200, body = schema::Layout, headers(("ETag" = String)))))]
pub async fn layout(State(app): State<App>, Room(room): Room, View(view): View) -> Result<Response, Problem> {
    let view = app.room(&room)?.view(view).await?;
    Ok(json(&view.layout, Some(&etag(view.etag))))
}

/// Replace the layout; what is absent takes its default.
#[utoipa::path(put, path = "/v1/rooms/{room}/views/{view}/layout", tag = "views", params(schema::ViewPath), request_body = schema::Layout,
    responses((status = 200, body = schema::Layout, headers(("ETag" = String)))))]
pub async fn put_layout(
    State(app): State<App>,
    Room(room): Room,
    View(view): View,
    if_match: IfMatch,
    Document(layout): Document,
) -> Result<Response, Problem> {
    let layout = app.layouts.resolve(layout).0;
    change_layout(&app.room(&room)?, &view, &if_match, |_| (layout.clone(), Vec::new())).await
}

/// Change the layout (RFC 7396). What has no effect on a new type goes.
#[utoipa::path(patch, path = "/v1/rooms/{room}/views/{view}/layout", tag = "views", params(schema::ViewPath),
    request_body(content = schema::Layout, content_type = "application/merge-patch+json"),
    responses((status = 200, body = schema::Layout, headers(("ETag" = String)))))]
pub async fn patch_layout(
    State(app): State<App>,
    Room(room): Room,
    View(view): View,
    if_match: IfMatch,
    Document(patch): Document,
) -> Result<Response, Problem> {
    let merged = |layout: &Layout| over(&app, "", json!(layout), patch.clone());
    change_layout(&app.room(&room)?, &view, &if_match, merged).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Scaled down to so many pixels, 16 to 3840.
    #[param(minimum = 16, maximum = 3840)]
    width: Option<u32>,
}

/// The view as composed last, as JPEG.
#[utoipa::path(get, path = "/v1/rooms/{room}/views/{view}/snapshot.jpg", tag = "views", params(schema::ViewPath, Picture),
    responses((status = 200, content_type = "image/jpeg", body = [u8])))]
pub async fn snapshot_jpg(state: State<App>, room: Room, view: View, caller: Caller, picture: Query<Picture>) -> Result<Response, Problem> {
    snapshot(state, room, view, &caller, picture, Format::Jpeg).await
}

/// The view as composed last, as PNG.
#[utoipa::path(get, path = "/v1/rooms/{room}/views/{view}/snapshot.png", tag = "views", params(schema::ViewPath, Picture),
    responses((status = 200, content_type = "image/png", body = [u8])))]
pub async fn snapshot_png(state: State<App>, room: Room, view: View, caller: Caller, picture: Query<Picture>) -> Result<Response, Problem> {
    snapshot(state, room, view, &caller, picture, Format::Png).await
}

async fn snapshot(
    State(app): State<App>,
    Room(room): Room,
    View(view): View,
    caller: &Caller,
    Query(picture): Query<Picture>,
    format: Format,
) -> Result<Response, Problem> {
    if picture.width.is_some_and(|width| !(16..=3840).contains(&width)) {
        return Err(Problem::validation(vec![FieldError::new("?width", "16 to 3840")]));
    }
    check_view(caller, Some(&view))?;
    let frame = app.room(&room)?.snapshot(view).await?;
    let encoded = tokio::task::spawn_blocking(move || encode(&frame, picture.width, format)).await;
    let bytes = encoded.ok().and_then(Result::ok).ok_or_else(|| Problem::new(Code::Internal, "the picture cannot be written"))?;
    let kind = match format {
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
    };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// `patch` over `layout`, or over the saved layout that its type names; and what of `layout` went for the sake of a new type, with
/// pointers that begin with `at`.
pub fn over(app: &App, at: &str, mut layout: Value, patch: Value) -> (Value, Vec<Warning>) {
    let (patch, saved) = app.layouts.resolve(patch);
    if saved {
        return (patch, Vec::new());
    }
    let gone = make_way(&mut layout, &patch);
    // What the patch names itself is refused, not dropped.
    let gone = gone.into_iter().filter(|field| patch.get(*field).is_none());
    let kind = patch.get("type").and_then(Value::as_str).unwrap_or_default();
    let warnings = gone.map(|field| Warning::dropped(at, field, kind)).collect();
    merge(&mut layout, patch);
    (layout, warnings)
}

/// Seats of a view that are promised more than its canvas has. `at`: where the answer has the layout.
pub fn slow(view: &Model, at: &str) -> Vec<Warning> {
    slow_seats(&view.layout, view.canvas.fps, at)
}

/// What was changed, and what else came of it.
#[derive(Serialize)]
pub struct Changed<'a, T> {
    #[serde(flatten)]
    pub now: &'a T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

async fn change_layout(
    room: &RoomHandle,
    view: &str,
    if_match: &IfMatch,
    document: impl Fn(&Layout) -> (Value, Vec<Warning>),
) -> Result<Response, Problem> {
    let changed = change(room, view, if_match, |view| {
        let (document, warnings) = document(&view.layout);
        Ok((ViewPatch { layout: Some(read::<Layout>(document)?), ..view.into() }, warnings))
    });
    let (view, mut warnings) = changed.await?;
    warnings.extend(slow(&view, ""));
    Ok(json(&Changed { now: &view.layout, warnings }, Some(&etag(view.etag))))
}

/// Reads, computes, writes; again where somebody else was faster and the caller did not ask for one state.
async fn change(
    room: &RoomHandle,
    name: &str,
    if_match: &IfMatch,
    compute: impl Fn(&Model) -> Result<(ViewPatch, Vec<Warning>), Problem>,
) -> Result<(Model, Vec<Warning>), Problem> {
    for _ in 0..TRIES {
        let view = room.view(name.to_owned()).await?;
        if_match.check(&etag(view.etag))?;
        let (settings, warnings) = compute(&view)?;
        match room.put_view(name.to_owned(), settings, Expect::Revision(view.etag)).await {
            Err(Refusal::Stale { .. }) if if_match.is_absent() => {}
            done => return Ok((done?.0, warnings)),
        }
    }
    Err(Problem::new(Code::Conflict, "the view changes too quickly; try again"))
}

/// The settings as a document, for merging into.
fn settings(view: &Model) -> Value {
    let mut settings = json!(view);
    if let Value::Object(fields) = &mut settings {
        fields.remove("name");
    }
    settings
}

impl Check for ViewPatch {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if let Some(canvas) = &self.canvas {
            Check::check(canvas, &format!("{at}/canvas"), errors);
        }
        if let Some(layout) = &self.layout {
            Check::check(layout, &format!("{at}/layout"), errors);
        }
        let heard = self.audio.as_ref();
        let lists = [
            ("include", self.include.as_deref()),
            ("exclude", self.exclude.as_deref()),
            ("audio/include", heard.map(|audio| audio.include.as_slice())),
            ("audio/exclude", heard.map(|audio| audio.exclude.as_slice())),
        ];
        let gains = heard.into_iter().flat_map(|audio| audio.gains.iter().enumerate());
        let gains = gains.map(|(index, entry)| (format!("audio/gains/{index}/who"), &entry.who));
        let listed = lists.into_iter().flat_map(|(field, selectors)| {
            selectors.into_iter().flatten().enumerate().map(move |(index, selector)| (format!("{field}/{index}"), selector))
        });
        for (place, selector) in listed.chain(gains) {
            if let Selector::Identity(text) | Selector::Role(text) = selector
                && (text.is_empty() || text.len() > 256)
            {
                errors.push(FieldError::new(format!("{at}/{place}"), "1 to 256 bytes"));
            }
        }
    }
}
