//! `/v1/rooms/{room}/ingress` and `/v1/ingress`: files, streams and pictures that the server plays into rooms.
//!
//! What is asked for is looked at here (a folder, a URL's text, a picture's bytes), on threads that may wait for a disk; the room begins it. Whoever
//! may choose what the server fetches administers the room; participants never do.

use super::app::App;
use super::auth::Caller;
use super::body::Document;
use super::extract::{IfMatch, Ingress as Id, Query, Room, etag, json};
use super::json::{Check, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use crate::conference::handle::RoomHandle;
use crate::conference::ingress::{IngressPatch, NewIngress, Wish};
use crate::conference::station::{Ingress, Show, Station};
use crate::ids::IngressId;
use crate::ingress::{Media, Refused, Target, source};
use crate::room::sound::Gain;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use mixdown_layouts::draw::rgb;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A week: positions beyond it are mistakes.
const MAX_POSITION_MS: u64 = 7 * 86_400_000;
const MAX_URL: usize = 2048;
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    url: Option<String>,
    file: Option<String>,
    picture: Option<String>,
    name: Option<String>,
    role: Option<String>,
    show: Show,
    #[serde(rename = "loop")]
    looped: bool,
    start_ms: u64,
    state: Option<Wish>,
    gain_db: Gain,
    duck_db: Gain,
}

impl Check for Wanted {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        let mut wrong = |field: &str, detail: &str| errors.push(FieldError::new(format!("{at}{field}"), detail));
        if [&self.url, &self.file, &self.picture].into_iter().flatten().count() != 1 {
            wrong("", "exactly one of url, file and picture says what is played");
        }
        if self.url.as_ref().is_some_and(|url| url.len() > MAX_URL) {
            wrong("/url", "at most 2048 bytes");
        }
        if self.file.as_ref().is_some_and(|file| !(1..=512).contains(&file.len())) {
            wrong("/file", "1 to 512 bytes");
        }
        for (field, text, most) in [("/name", &self.name, 256), ("/role", &self.role, 64)] {
            if text.as_ref().is_some_and(|text| text.len() > most || text.chars().any(char::is_control)) {
                wrong(field, &format!("at most {most} bytes, no control characters"));
            }
        }
        if self.picture.is_some() && self.show == Show::Announcement {
            wrong("/show", "a picture makes no sound: camera or screen");
        }
        if self.start_ms > MAX_POSITION_MS {
            wrong("/start_ms", "at most 604800000");
        }
        if self.duck_db > Gain::UNITY {
            wrong("/duck_db", "-60 to 0 dB");
        }
    }
}

impl Check for IngressPatch {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if self.position_ms.is_some_and(|position| position > MAX_POSITION_MS) {
            errors.push(FieldError::new(format!("{at}/position_ms"), "at most 604800000"));
        }
        if self.duck_db.is_some_and(|duck| duck > Gain::UNITY) {
            errors.push(FieldError::new(format!("{at}/duck_db"), "-60 to 0 dB"));
        }
    }
}

/// Play a file, a stream or a picture into the room. It appears among the participants when it is known what is in it, and leaves at its
/// end. 503: there is no ffmpeg, or as many are played as may be.
#[utoipa::path(post, path = "/v1/rooms/{room}/ingress", tag = "ingress", params(schema::RoomPath), request_body = schema::NewIngress,
    responses((status = 201, body = schema::Ingress, headers(("Location" = String), ("ETag" = String)))))]
pub async fn create(State(app): State<App>, Room(room): Room, Document(document): Document) -> Result<Response, Problem> {
    let wanted: Wanted = read(document)?;
    let handle = app.room(&room)?;
    app.refuse_more()?;
    let station = app.rooms.station();
    let looking = tokio::task::spawn_blocking(move || look(&station, wanted)).await;
    let new = looking.map_err(|_| Problem::new(Code::Internal, "the request ended by an internal error"))??;
    let begun = handle.play(new).await?;
    let mut response = json(&begun, Some(&etag(begun.etag)));
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/ingress/{}", begun.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What is played into the room now.
#[utoipa::path(get, path = "/v1/rooms/{room}/ingress", tag = "ingress", params(schema::RoomPath, Paging),
    responses((status = 200, body = Page<schema::Ingress>)))]
pub async fn list(State(app): State<App>, Room(room): Room, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let all = app.room(&room)?.ingresses().await?;
    Ok(json(&paging.page(&format!("ingress:{room}"), all, |ingress| ingress.id.to_string())?, None))
}

/// One that is played, or has ended by itself of late.
#[utoipa::path(get, path = "/v1/ingress/{ingress}", tag = "ingress", params(schema::IngressPath),
    responses((status = 200, body = schema::Ingress, headers(("ETag" = String)))))]
pub async fn get(State(app): State<App>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    let ingress = match running(&app, &caller, id) {
        Ok(room) => room.ingress(id).await.ok(),
        Err(_) => None,
    };
    let ended = || app.rooms.station().ended(id).filter(|ingress| caller.reaches(ingress.room.as_str()));
    let ingress: Ingress = ingress.or_else(ended).ok_or_else(|| Problem::not_found("ingress"))?;
    Ok(json(&ingress, Some(&etag(ingress.etag))))
}

/// Play, pause, go to a position, loop, amplify. One that has ended: 404.
#[utoipa::path(patch, path = "/v1/ingress/{ingress}", tag = "ingress", params(schema::IngressPath),
    request_body(content = schema::IngressPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = schema::Ingress, headers(("ETag" = String)))))]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    if_match: IfMatch,
    Document(mut document): Document,
) -> Result<Response, Problem> {
    reset(&mut document)?;
    let patch: IngressPatch = read(document)?;
    let room = running(&app, &caller, id)?;
    let expected = expected(&room, id, &if_match).await?;
    let ingress = room.patch_ingress(id, patch, expected).await?;
    Ok(json(&ingress, Some(&etag(ingress.etag))))
}

/// Stop. It leaves the room.
#[utoipa::path(delete, path = "/v1/ingress/{ingress}", tag = "ingress", params(schema::IngressPath),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, caller: Caller, Id(id): Id, if_match: IfMatch) -> Result<Response, Problem> {
    let room = running(&app, &caller, id)?;
    let expected = expected(&room, id, &if_match).await?;
    room.stop_ingress(id, expected).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The revision that `If-Match` names, if there is one.
async fn expected(room: &RoomHandle, id: IngressId, if_match: &IfMatch) -> Result<Option<u64>, Problem> {
    if if_match.is_absent() {
        return Ok(None);
    }
    let current = room.ingress(id).await?.etag;
    if_match.check(&etag(current))?;
    Ok(Some(current))
}

/// The room in which it is played, if the caller may command it.
fn running(app: &App, caller: &Caller, id: IngressId) -> Result<RoomHandle, Problem> {
    let room = app.rooms.station().room_of(id).filter(|room| caller.reaches(room.as_str()));
    room.and_then(|room| app.room(&room).ok()).ok_or_else(|| Problem::not_found("ingress"))
}

/// `null` takes a value back (RFC 7396).
fn reset(document: &mut Value) -> Result<(), Problem> {
    let Value::Object(fields) = document else { return Ok(()) };
    let mut errors = Vec::new();
    for (field, value) in fields.iter_mut().filter(|(_, value)| value.is_null()) {
        match field.as_str() {
            "gain_db" | "duck_db" => *value = Value::from(0),
            "loop" => *value = Value::from(false),
            _ => errors.push(FieldError::new(format!("/{field}"), "cannot be removed")),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

/// Looks at what is wanted. Reads the disk.
fn look(station: &Station, wanted: Wanted) -> Result<NewIngress, Problem> {
    let (media, fallback) = media(station, &wanted)?;
    if !matches!(media, Media::Picture(_)) {
        station.check()?;
    } else if wanted.show == Show::Announcement {
        return Err(Problem::validation(vec![FieldError::new("/show", "a picture makes no sound: camera or screen")]));
    }
    let url = if let Media::Url(target) = &media { Some(target.shown()) } else { None };
    Ok(NewIngress {
        url,
        file: wanted.file,
        name: wanted.name.unwrap_or(fallback),
        role: wanted.role.filter(|role| !role.is_empty()),
        show: wanted.show,
        looped: wanted.looped,
        start: Duration::from_millis(wanted.start_ms),
        playing: wanted.state != Some(Wish::Paused),
        gain: wanted.gain_db,
        duck: wanted.duck_db,
        media,
    })
}

/// What is played, and its name where it has no other.
fn media(station: &Station, wanted: &Wanted) -> Result<(Media, String), Problem> {
    let settings = station.settings();
    let refuse = |field: &str, detail: String| Problem::validation(vec![FieldError::new(field, detail)]);
    if let Some(url) = &wanted.url {
        let target = Target::parse(settings, url).map_err(|refused| refuse("/url", refused.to_string()))?;
        let name = target.shown().split('/').rfind(|part| !part.is_empty()).map(stem).unwrap_or_default();
        return Ok((Media::Url(target), name));
    }
    if let Some(name) = &wanted.file {
        let path = source::file(settings, name).map_err(|refused| refuse("/file", refused.to_string()))?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if !PICTURES.contains(&ending.as_str()) {
            return Ok((Media::File(path), stem(name)));
        }
        let bytes = bounded(&path).map_err(|_| refuse("/file", Refused::NoFile.to_string()))?;
        let frame = rgb::decode(&bytes, [0; 3]).map_err(|error| refuse("/file", error.to_string()))?;
        return Ok((Media::Picture(Arc::new(frame)), stem(name)));
    }
    let form = || refuse("/picture", "is written as data:image/…;base64,…".into());
    let text = wanted.picture.as_deref().and_then(|text| text.strip_prefix("data:image/")?.split_once(";base64,")).ok_or_else(form)?.1;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| form())?;
    let frame = rgb::decode(&bytes, [0; 3]).map_err(|error| refuse("/picture", error.to_string()))?;
    Ok((Media::Picture(Arc::new(frame)), "picture".to_owned()))
}

/// No more of a file than a picture may have.
fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(rgb::MAX_IMAGE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A name without folder and ending, as far as it fits a participant's.
fn stem(name: &str) -> String {
    let name = Path::new(name).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}
