//! What can be fetched of a recording: media, timeline, chapters, playlist, thumbnail, participants' own tracks; also while it runs, as far as it has come.

use super::app::App;
use super::auth::Caller;
use super::extract::{File, Query, Recording, json};
use super::page::{Page, Paging};
use super::problem::{Code, Problem};
use super::recordings::{blocking, find};
use super::schema;
use crate::ids::RecordingId;
use crate::record::store::{Media, Refusal};
use crate::record::upload::{self, FRAGMENTS};
use crate::record::{Manifest, Part, Store};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::io::SeekFrom;
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// In which form media are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// `fragmented`: as it was written, also after it was rewritten with its tables in front.
    #[serde(default)]
    #[param(inline)]
    form: Option<WantedForm>,
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub enum WantedForm {
    Fragmented,
}

/// The media, as MP4. One range of bytes is served as such (206), none as all; beyond the end: 416.
#[utoipa::path(get, path = "/v1/recordings/{recording}/media", tag = "recordings", params(schema::RecordingPath, Wish,
    ("Range" = Option<String>, Header, description = "One range of bytes.")),
    responses((status = 200, content_type = "video/mp4", body = Vec<u8>), (status = 206, content_type = "video/mp4", body = Vec<u8>)))]
pub async fn media(
    State(app): State<App>,
    caller: Caller,
    Recording(id): Recording,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (store, manifest) = find(&app, &caller, id).await?;
    let (media, begin, length) = blocking(&store, move |store| open(store, id, wish.form.is_some())).await?;
    let etag = etag(&manifest, Part::Media.name()).filter(|_| wish.form.is_none());
    let started: String = manifest.started_at.chars().filter(char::is_ascii_digit).take(14).collect();
    let name = format!("{}-{started}.mp4", manifest.room);
    serve(&store, id, Served { media, begin, length, content_type: "video/mp4", name, etag }, &headers).await
}

/// Some of a file, of which it may be that it still grows.
struct Served {
    media: Media,
    begin: u64,
    length: u64,
    content_type: &'static str,
    /// Under which it is saved.
    name: String,
    etag: Option<String>,
}

async fn serve(store: &Store, id: RecordingId, served: Served, headers: &HeaderMap) -> Result<Response, Problem> {
    let Served { media, begin, length, content_type, name, etag } = served;
    let whole = headers.get(header::IF_RANGE).is_some_and(|wanted| etag.as_ref().is_none_or(|etag| wanted.as_bytes() != etag.as_bytes()));
    let wanted = headers.get(header::RANGE).filter(|_| !whole).and_then(|range| range.to_str().ok());
    let range = wanted.map_or(Ok(None), |wanted| range(wanted, length)).map_err(|Unsatisfiable| {
        let problem = Problem::new(Code::RangeNotSatisfiable, format!("it has {length} bytes"));
        problem.with_header(header::CONTENT_RANGE, &format!("bytes */{length}"))
    })?;
    let (first, end) = range.unwrap_or((0, length));
    let body = body(store, id, media, begin + first..begin + end).await?;
    let mut response = (if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, body).into_response();
    let mut set = |name, value: &str| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, content_type);
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CONTENT_LENGTH, &(end - first).to_string());
    set(header::CONTENT_DISPOSITION, &format!("inline; filename=\"{name}\""));
    if range.is_some() {
        set(header::CONTENT_RANGE, &format!("bytes {first}-{}/{length}", end - 1));
    }
    if let Some(etag) = etag {
        set(header::ETAG, &etag);
    }
    Ok(response)
}

/// Media, where in them the wanted form begins, and its length.
fn open(store: &Store, id: RecordingId, fragmented: bool) -> Result<(Media, u64, u64), Refusal> {
    let media = store.media(id)?;
    let (begin, bytes) = match &media {
        Media::Local(file) => (if fragmented { Store::fragments(file)? } else { 0 }, file.metadata()?.len()),
        Media::Remote { bytes, fragments } => (if fragmented { *fragments } else { 0 }, *bytes),
    };
    Ok((media, begin, bytes.saturating_sub(begin)))
}

/// A range of the file. What is in the bucket alone goes through this server: a browser may not read a bucket of another origin.
async fn body(store: &Store, id: RecordingId, media: Media, range: Range<u64>) -> Result<Body, Problem> {
    match (media, store.bucket()) {
        (Media::Local(file), _) => {
            let mut file = tokio::fs::File::from_std(file);
            file.seek(SeekFrom::Start(range.start)).await.map_err(Refusal::from)?;
            Ok(Body::from_stream(ReaderStream::with_capacity(file.take(range.end - range.start), PIECE)))
        }
        (Media::Remote { .. }, _) if range.is_empty() => Ok(Body::empty()),
        (Media::Remote { .. }, Some(bucket)) => match bucket.read(&format!("{id}/{}", Part::Media.name()), range).await {
            Ok(pieces) => Ok(Body::from_stream(pieces)),
            Err(upload::Fault::Unknown) => Err(Problem::not_found("recording")),
            Err(fault) => {
                tracing::error!(recording = %id, %fault, "media cannot be read from the bucket");
                Err(Problem::new(Code::Busy, "the bucket that has the media does not answer"))
            }
        },
        (Media::Remote { .. }, None) => Err(Problem::not_found("recording")),
    }
}

/// Participants' own tracks, in the order in which they began; also while it runs.
#[utoipa::path(get, path = "/v1/recordings/{recording}/tracks", tag = "recordings", params(schema::RecordingPath, Paging),
    responses((status = 200, body = Page<schema::RecordedTrack>)))]
pub async fn tracks(
    State(app): State<App>,
    caller: Caller,
    Recording(id): Recording,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (store, _) = find(&app, &caller, id).await?;
    let tracks = blocking(&store, move |store| store.tracks(id)).await?;
    Ok(json(&paging.page("tracks", tracks, |track| track.begun.file.clone())?, None))
}

/// One of these files, as MP4. One range of bytes is served as such (206), none as all; beyond the end: 416.
#[utoipa::path(get, path = "/v1/recordings/{recording}/tracks/{file}", tag = "recordings", params(schema::TrackPath,
    ("Range" = Option<String>, Header, description = "One range of bytes.")),
    responses((status = 200, content((Vec<u8> = "video/mp4"), (Vec<u8> = "audio/mp4"))), (status = 206, content((Vec<u8> = "video/mp4"), (Vec<u8> = "audio/mp4")))))]
pub async fn track(
    State(app): State<App>,
    caller: Caller,
    Recording(id): Recording,
    File(name): File,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (store, manifest) = find(&app, &caller, id).await?;
    let etag = etag(&manifest, &name);
    let (track, file) = blocking(&store, move |store| store.track(id, &name)).await?;
    let content_type = if track.begun.width.is_some() { "video/mp4" } else { "audio/mp4" };
    let name = format!("{}-{}", manifest.room, track.begun.file);
    serve(&store, id, Served { media: Media::Local(file), begin: 0, length: track.bytes, content_type, name, etag }, &headers).await
}

/// What happened: joins, leaves, who spoke, who stood where, chat, pauses, gaps.
#[utoipa::path(get, path = "/v1/recordings/{recording}/timeline.json", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, body = serde_json::Value)))]
pub async fn timeline(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    let (store, manifest) = find(&app, &caller, id).await?;
    let timeline = blocking(&store, move |store| store.timeline(id)).await?;
    Ok(json(&timeline, etag(&manifest, Part::Timeline.name()).as_deref()))
}

/// Chapters by speaker, as WebVTT.
#[utoipa::path(get, path = "/v1/recordings/{recording}/chapters.vtt", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, content_type = "text/vtt", body = String)))]
pub async fn chapters(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    let (store, manifest) = find(&app, &caller, id).await?;
    let timeline = blocking(&store, move |store| store.timeline(id)).await?;
    Ok(file("text/vtt; charset=utf-8", timeline.chapters().into_bytes(), etag(&manifest, Part::Chapters.name())))
}

/// An HLS playlist of the media's byte ranges; it grows while the recording runs.
#[utoipa::path(get, path = "/v1/recordings/{recording}/playlist.m3u8", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, content_type = "application/vnd.apple.mpegurl", body = String)))]
pub async fn playlist(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    let (store, manifest) = find(&app, &caller, id).await?;
    let ended = manifest.state.is_final();
    let playlist = blocking(&store, move |store| store.playlist(id, FRAGMENTS, ended)).await?;
    Ok(file("application/vnd.apple.mpegurl", playlist.into_bytes(), None))
}

/// A picture out of the recording.
#[utoipa::path(get, path = "/v1/recordings/{recording}/thumbnail.jpg", tag = "recordings", params(schema::RecordingPath),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>)))]
pub async fn thumbnail(State(app): State<App>, caller: Caller, Recording(id): Recording) -> Result<Response, Problem> {
    let (store, manifest) = find(&app, &caller, id).await?;
    let picture = blocking(&store, move |store| store.thumbnail(id)).await?;
    Ok(file("image/jpeg", picture, etag(&manifest, Part::Thumbnail.name())))
}

fn file(content_type: &'static str, bytes: Vec<u8>, etag: Option<String>) -> Response {
    let mut response = ([(header::CONTENT_TYPE, content_type)], bytes).into_response();
    if let Some(etag) = etag.and_then(|etag| etag.parse().ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Of a file that will not change any more.
fn etag(manifest: &Manifest, name: &str) -> Option<String> {
    let file = manifest.files.iter().find(|file| file.name == name)?;
    manifest.state.is_final().then(|| format!("\"{}\"", file.sha256))
}

/// No byte of the range is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsatisfiable;

/// The first byte and the one after the last of a `Range` (RFC 9110 §14.2); `None`: to be ignored, for it is none of bytes, or more than one.
pub fn range(text: &str, length: u64) -> Result<Option<(u64, u64)>, Unsatisfiable> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else { return Ok(None) };
    let number =
        |text: &str| Some(text).filter(|text| text.bytes().all(|digit| digit.is_ascii_digit())).and_then(|text| text.parse::<u64>().ok());
    let (first, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Some(first), None) if last.is_empty() => (first, length),
        (None, Some(last)) if first.is_empty() => (length - last.min(length), length),
        _ => return Ok(None),
    };
    if first < end { Ok(Some((first, end))) } else { Err(Unsatisfiable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_served_and_what_is_none_is_ignored() {
        for (text, expected) in [
            ("bytes=0-9", Ok(Some((0, 10)))),
            ("bytes=90-", Ok(Some((90, 100)))),
            ("bytes=90-1000", Ok(Some((90, 100)))),
            ("bytes=99-99", Ok(Some((99, 100)))),
            ("bytes=-10", Ok(Some((90, 100)))),
            ("bytes=-1000", Ok(Some((0, 100)))),
            ("bytes=0-18446744073709551615", Ok(Some((0, 100)))),
            ("bytes=100-", Err(Unsatisfiable)),
            ("bytes=100-200", Err(Unsatisfiable)),
            ("bytes=-0", Err(Unsatisfiable)),
            ("bytes=9-3", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=+1-2", Ok(None)),
            ("bytes=-", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("lines=0-9", Ok(None)),
            ("", Ok(None)),
        ] {
            assert_eq!(range(text, 100), expected, "{text:?}");
        }
        assert_eq!(range("bytes=0-", 0), Err(Unsatisfiable));
    }
}
