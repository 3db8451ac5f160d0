//! Bodies: read within a size and a time, of the type that the operation takes.

use super::app::App;
use super::json::{self, Check};
use super::problem::{Code, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub const SDP: &str = "application/sdp";
pub const TRICKLE: &str = "application/trickle-ice-sdpfrag";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const JSON: &str = "application/json";

/// The media type without parameters, in lower case; empty where there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// 415 that says what is taken instead.
pub fn unsupported(method: &Method, accepted: &str) -> Problem {
    let name = if method == Method::PATCH { "accept-patch" } else { "accept-post" };
    Problem::new(Code::UnsupportedMediaType, format!("send Content-Type: {accepted}"))
        .with_header(header::HeaderName::from_static(name), accepted)
}

/// The whole body, at most `limit` bytes, within the body timeout.
pub async fn collect(app: &App, headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body without Content-Encoding"));
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_large(limit));
    }
    let timeout = app.config.http.body_timeout();
    let late = || Problem::new(Code::RequestTimeout, format!("the body takes longer than {} ms", timeout.as_millis()));
    match tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await {
        Err(_) => Err(late().with_header(header::CONNECTION, "close")),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest, "the body broke off")),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body has at most {limit} bytes")).with_header(header::CONNECTION, "close")
}

/// An SDP offer.
pub struct Sdp(pub String);

impl FromRequest<App> for Sdp {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if media_type(&parts.headers) != SDP {
            return Err(unsupported(&parts.method, SDP));
        }
        Self::read(app, &parts.headers, body).await
    }
}

impl Sdp {
    /// SDP or a trickle fragment, whatever its media type was found to be.
    pub async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let bytes = collect(app, headers, body, app.config.http.sdp_limit_bytes).await?;
        let text = String::from_utf8(bytes.into()).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
            Problem::new(Code::Sdp, format!("line {line} is not UTF-8"))
        })?;
        if text.trim().is_empty() {
            return Err(Problem::new(Code::Sdp, "the body is empty"));
        }
        if let Some(at) = text.find('\0') {
            let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
            return Err(Problem::new(Code::Sdp, format!("line {line} has a NUL")));
        }
        Ok(Self(text))
    }
}

/// A JSON document that may carry a layout, pictures included; syntax checked.
pub struct Document(pub Value);

impl FromRequest<App> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Self::take(request, app, app.config.http.layout_limit_bytes).await
    }
}

impl Document {
    async fn take(request: Request, app: &App, limit: usize) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = media_type(&parts.headers);
        let patch = parts.method == Method::PATCH;
        if kind != JSON && !(patch && kind == MERGE_PATCH) {
            return Err(unsupported(&parts.method, if patch { "application/merge-patch+json, application/json" } else { JSON }));
        }
        Self::read(app, &parts.headers, body, limit).await
    }

    pub async fn read(app: &App, headers: &HeaderMap, body: Body, limit: usize) -> Result<Self, Problem> {
        let bytes = collect(app, headers, body, limit).await?;
        json::parse(&bytes).map(Self)
    }
}

/// A JSON document that was read into `T`.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Check> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let Document(value) = Document::take(request, app, app.config.http.body_limit_bytes).await?;
        json::read(value).map(Self)
    }
}
