//! `/v1/egress`, and how a room begins one; its HLS stream and its stills.
//!
//! A token with the grant `record` or `admin` starts, shows and ends what leaves its own room; who may watch the view may fetch the stream
//! and the stills, and of a public stream everybody who knows its address. Keys and tokens that were given are never shown.

use super::app::App;
use super::auth::Caller;
use super::body::Document;
use super::extract::{Egress, Part, Query, Room, json};
use super::join::check_view;
use super::json::{Check, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::{rules, schema};
use crate::address::check_rtmp;
use crate::conference::handle::NewEgress;
use crate::config;
use crate::egress::target::{Hls, Images, Whip};
use crate::egress::{self, Output, Shown, Target};
use crate::ids::EgressId;
use crate::room::MAIN_VIEW;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use mixdown_layouts::Layout;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// How long whoever comes first waits for the first segment, or the first still.
const FIRST: Duration = Duration::from_secs(8);
/// How long a segment may be kept by caches: as its number, it never changes.
const SEGMENT_SECONDS: u64 = 3600;
/// Stills come at least once a day.
const LONGEST_INTERVAL_MS: u64 = 86_400_000;
const MOST_URL: usize = 2048;
const MOST_TOKEN: usize = 8192;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default = "main")]
    view: String,
    #[serde(default)]
    layout: Option<Layout>,
    outputs: Vec<WantedOutput>,
}

fn main() -> String {
    MAIN_VIEW.to_owned()
}

/// One of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WantedOutput {
    hls: Option<WantedHls>,
    whip: Option<WantedWhip>,
    rtmp: Option<WantedRtmp>,
    images: Option<WantedImages>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedHls {
    #[serde(default)]
    public: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedWhip {
    url: String,
    #[serde(default)]
    token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRtmp {
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedImages {
    interval_ms: u64,
}

impl Check for Wanted {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if let Some(layout) = &self.layout {
            Check::check(layout, &format!("{at}/layout"), errors);
        }
    }
}

impl Wanted {
    /// The outputs as they will run, or all that is wrong with them.
    fn targets(self, config: &config::Egress) -> Result<(String, Option<Layout>, Vec<Target>), Problem> {
        let mut errors = Vec::new();
        let most = config.max_outputs as usize;
        if self.outputs.is_empty() || self.outputs.len() > most {
            errors.push(FieldError::new("/outputs", format!("1 to {most} (egress.max_outputs)")));
        }
        let (mut hls, mut images) = (0, 0);
        for (index, output) in self.outputs.iter().enumerate() {
            hls += u32::from(output.hls.is_some());
            images += u32::from(output.images.is_some());
            if (hls > 1 && output.hls.is_some()) || (images > 1 && output.images.is_some()) {
                errors.push(FieldError::new(format!("/outputs/{index}"), "one hls and one images of an egress are enough"));
            }
        }
        let mut targets = Vec::new();
        for (index, output) in self.outputs.into_iter().take(most).enumerate() {
            match output.target(config) {
                Ok(target) => targets.push(target),
                Err((field, detail)) => errors.push(FieldError::new(format!("/outputs/{index}{field}"), detail)),
            }
        }
        if errors.is_empty() { Ok((self.view, self.layout, targets)) } else { Err(Problem::validation(errors)) }
    }
}

impl WantedOutput {
    /// What is wrong, where in the output it is and why.
    fn target(self, config: &config::Egress) -> Result<Target, (&'static str, String)> {
        let private = config.allow_private_networks;
        match self {
            Self { hls: Some(WantedHls { public }), whip: None, rtmp: None, images: None } => Ok(Target::Hls(Hls { public })),
            Self { hls: None, whip: Some(whip), rtmp: None, images: None } => whip.target(private),
            Self { hls: None, whip: None, rtmp: Some(rtmp), images: None } => rtmp.target(private, &config.ffmpeg),
            Self { hls: None, whip: None, rtmp: None, images: Some(images) } => images.target(config.images_min_interval_ms),
            _ => Err(("", "one of hls, whip, rtmp and images".into())),
        }
    }
}

impl WantedWhip {
    fn target(self, private: bool) -> Result<Target, (&'static str, String)> {
        if self.url.len() > MOST_URL {
            return Err(("/whip/url", format!("at most {MOST_URL} bytes")));
        }
        if self.token.as_deref().is_some_and(|token| !is_token(token)) {
            return Err(("/whip/token", format!("1 to {MOST_TOKEN} printable ASCII characters without spaces")));
        }
        Whip::check(&self.url, self.token, private).map(Target::Whip).map_err(|why| ("/whip/url", why.to_string()))
    }
}

impl WantedRtmp {
    fn target(&self, private: bool, ffmpeg: &str) -> Result<Target, (&'static str, String)> {
        if self.url.len() > MOST_URL {
            return Err(("/rtmp/url", format!("at most {MOST_URL} bytes")));
        }
        let stream = check_rtmp(&self.url, private).map_err(|why| ("/rtmp/url", why.to_string()))?;
        if crate::process::find(ffmpeg).is_none() {
            return Err(("/rtmp", format!("needs the program {ffmpeg} (egress.ffmpeg), which is not installed here")));
        }
        Ok(Target::Rtmp(stream))
    }
}

impl WantedImages {
    fn target(&self, least: u64) -> Result<Target, (&'static str, String)> {
        if !(least..=LONGEST_INTERVAL_MS).contains(&self.interval_ms) {
            return Err(("/images/interval_ms", format!("{least} (egress.images_min_interval_ms) to {LONGEST_INTERVAL_MS}")));
        }
        Ok(Target::Images(Images { interval: Duration::from_millis(self.interval_ms) }))
    }
}

fn is_token(token: &str) -> bool {
    (1..=MOST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Send a view to other places. It keeps the room, also when everybody leaves; outputs that fail are tried again.
#[utoipa::path(post, path = "/v1/rooms/{room}/egress", tag = "egress", params(schema::RoomPath), request_body = schema::NewEgress,
    responses((status = 201, body = schema::Egress, headers(("Location" = String)))))]
pub async fn create(State(app): State<App>, Room(room): Room, Document(document): Document) -> Result<Response, Problem> {
    let wanted: Wanted = read(app.layouts.resolve_in(document))?;
    let (view, layout, outputs) = wanted.targets(&app.config.egress)?;
    let handle = app.room(&room)?;
    app.refuse_more()?;
    let shown = handle.send_out(NewEgress { view, layout, outputs }).await?;
    let mut response = json(&shown, None);
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/egress/{}", shown.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What leaves one room.
#[utoipa::path(get, path = "/v1/rooms/{room}/egress", tag = "egress", params(schema::RoomPath, Paging),
    responses((status = 200, body = Page<schema::Egress>)))]
pub async fn list_of_room(State(app): State<App>, Room(room): Room, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    app.room(&room)?;
    let all: Vec<Shown> = app.rooms.board().list().iter().filter(|egress| egress.room == room).map(|egress| egress.shown()).collect();
    Ok(json(&paging.page(&format!("egress:{room}"), all, |shown| shown.id.to_string())?, None))
}

/// What leaves this server; with a token what leaves its room.
#[utoipa::path(get, path = "/v1/egress", tag = "egress", params(Paging), responses((status = 200, body = Page<schema::Egress>)))]
pub async fn list(State(app): State<App>, caller: Caller, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let all = app.rooms.board().list();
    let all: Vec<Shown> = all.iter().filter(|egress| caller.reaches(egress.room.as_str())).map(|egress| egress.shown()).collect();
    Ok(json(&paging.page("egress", all, |shown| shown.id.to_string())?, None))
}

/// One egress, with the state of each output.
#[utoipa::path(get, path = "/v1/egress/{egress}", tag = "egress", params(schema::EgressPath), responses((status = 200, body = schema::Egress)))]
pub async fn get(State(app): State<App>, caller: Caller, Egress(id): Egress) -> Result<Response, Problem> {
    Ok(json(&find(&app, &caller, id)?.shown(), None))
}

/// End it. The outputs say goodbye where they go.
#[utoipa::path(delete, path = "/v1/egress/{egress}", tag = "egress", params(schema::EgressPath), responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, caller: Caller, Egress(id): Egress) -> Result<Response, Problem> {
    let egress = find(&app, &caller, id)?;
    let unknown = || Problem::not_found("egress");
    app.rooms.find(&egress.room).ok_or_else(unknown)?.end_egress(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The live playlist (RFC 8216) of the newest segments. Whoever comes first waits for the first of them.
#[utoipa::path(get, path = "/v1/egress/{egress}/hls/index.m3u8", tag = "egress", params(schema::EgressPath),
    responses((status = 200, content_type = "application/vnd.apple.mpegurl", body = String)))]
pub async fn playlist(State(app): State<App>, caller: Caller, Egress(id): Egress) -> Result<Response, Problem> {
    let egress = watched(&app, &caller, id).await?;
    let output = egress.hls().ok_or_else(|| Problem::not_found("HLS stream"))?;
    let playlist = output.playlist(FIRST).await;
    let playlist = playlist.ok_or_else(|| Problem::new(Code::Busy, "the stream has no segment yet").retry_after(2))?;
    Ok(media("application/vnd.apple.mpegurl", playlist.into(), 1, egress.is_public()))
}

/// A part of the stream that the playlist names: `init-N.mp4` or `segment-N.m4s`. One that has left the window is 404.
#[utoipa::path(get, path = "/v1/egress/{egress}/hls/{part}", tag = "egress",
    params(schema::EgressPath, ("part" = String, Path, description = "As the playlist names it.")),
    responses((status = 200, content_type = "video/mp4", body = Vec<u8>)))]
pub async fn part(State(app): State<App>, caller: Caller, Egress(id): Egress, Part(part): Part) -> Result<Response, Problem> {
    let egress = watched(&app, &caller, id).await?;
    let bytes = egress.hls().and_then(|output| bytes_of(output, &part)).ok_or_else(|| Problem::not_found("part of the stream"))?;
    Ok(media("video/mp4", bytes, SEGMENT_SECONDS, egress.is_public()))
}

fn bytes_of(output: &Output, part: &str) -> Option<Bytes> {
    let number = |text: &str| Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok());
    match (part.strip_prefix("init-"), part.strip_prefix("segment-")) {
        (Some(rest), _) => output.init(number(rest.strip_suffix(".mp4")?)?),
        (_, Some(rest)) => output.segment(number(rest.strip_suffix(".m4s")?)?),
        _ => None,
    }
}

/// The newest still. Whoever comes first waits for it.
#[utoipa::path(get, path = "/v1/egress/{egress}/image.jpg", tag = "egress", params(schema::EgressPath),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>, headers(("ETag" = String)))))]
pub async fn image(State(app): State<App>, caller: Caller, Egress(id): Egress) -> Result<Response, Problem> {
    let egress = watched(&app, &caller, id).await?;
    let output = egress.images().ok_or_else(|| Problem::not_found("still"))?;
    let still = output.still(FIRST).await;
    let still = still.ok_or_else(|| Problem::new(Code::Busy, "there is no still yet").retry_after(2))?;
    let mut response = ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "no-cache, private")], still.jpeg).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", still.number)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

fn media(kind: &'static str, bytes: Bytes, seconds: u64, public: bool) -> Response {
    let scope = if public { "public" } else { "private" };
    let immutable = if seconds == SEGMENT_SECONDS { ", immutable" } else { "" };
    let caching = format!("{scope}, max-age={seconds}{immutable}");
    let mut response = ([(header::CONTENT_TYPE, kind.to_owned()), (header::CACHE_CONTROL, caching)], bytes).into_response();
    if public {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

fn find(app: &App, caller: &Caller, id: EgressId) -> Result<Arc<egress::Egress>, Problem> {
    let found = app.rooms.board().find(id).filter(|egress| caller.reaches(egress.room.as_str()));
    found.ok_or_else(|| Problem::not_found("egress"))
}

/// As whom a snapshot of the view would be shown to; a public stream is everybody's.
async fn watched(app: &App, caller: &Caller, id: EgressId) -> Result<Arc<egress::Egress>, Problem> {
    let egress = find(app, caller, id)?;
    check_view(caller, Some(&egress.view))?;
    rules::let_in(app, caller, Some(egress.room.as_str()), None).await?;
    Ok(egress)
}
