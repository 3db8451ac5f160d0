//! The embedded pages: plain files out of `web/`, under a strict content policy.

use super::extract::Room;
use super::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

#[derive(rust_embed::RustEmbed)]
#[folder = "web/"]
#[allow_missing = true]
struct Web;

/// Nothing but our own files; camera and microphone go to our own connections alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
     connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const DEVICES: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=(), payment=(), usb=()";

/// The join page.
pub async fn index() -> Result<Response, Problem> {
    page("index.html")
}

/// The room's page.
pub async fn room(Room(_): Room) -> Result<Response, Problem> {
    page("room.html")
}

/// The composite alone.
pub async fn watch(Room(_): Room) -> Result<Response, Problem> {
    page("watch.html")
}

/// The console.
pub async fn admin() -> Result<Response, Problem> {
    page("console.html")
}

/// What has been recorded.
pub async fn recordings() -> Result<Response, Problem> {
    page("console.html")
}

/// The documentation of the API.
pub async fn docs() -> Result<Response, Problem> {
    page("docs.html")
}

/// One file; modules may be imported from anywhere.
pub async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let mut response = serve(&name)?;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

/// A problem as a page, for who has followed a link to it; `None`: the page is missing.
pub fn problem(title: &str, detail: &str) -> Option<Response> {
    let mut response = page("problem.html").ok()?;
    let form = Web::get("problem.html")?;
    let mut letters = detail.chars();
    let sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).chain(['.']).collect();
    let text = String::from_utf8_lossy(&form.data).replace("{title}", &escaped(title)).replace("{detail}", &escaped(&sentence));
    *response.body_mut() = text.into();
    for name in [header::CONTENT_LENGTH, header::CACHE_CONTROL, header::ETAG] {
        response.headers_mut().remove(name);
    }
    Some(response)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(name: &str) -> Result<Response, Problem> {
    let mut response = serve(name)?;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("permissions-policy"), DEVICES),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn serve(name: &str) -> Result<Response, Problem> {
    let hidden = name.split('/').any(|part| part.starts_with('.') || part.is_empty());
    let file = Web::get(name).filter(|_| !hidden).ok_or_else(|| Problem::not_found("file"))?;
    let kind = match name.rsplit('.').next() {
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => file.metadata.mimetype(),
    };
    let mut response = file.data.clone().into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    // Names do not change with content: always ask again, cheaply.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", hex(&file.metadata.sha256_hash()))) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
