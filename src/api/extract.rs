//! What handlers take from path, query and headers, parsed once.

use super::app::App;
use super::auth::Caller;
use super::problem::{Code, FieldError, Problem};
use crate::ids::{EgressId, IngressId, ParticipantId, RecordingId, RoomId};
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::{HeaderMap, header, request::Parts};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where a request comes from; the server puts it there.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub std::net::IpAddr);

async fn param(parts: &mut Parts, wanted: &str) -> Result<String, Problem> {
    let params = parts.extract::<RawPathParams>().await.map_err(|_| Problem::new(Code::BadPath, "the path is not UTF-8"))?;
    Ok(params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned()).unwrap_or_default())
}

/// `{room}` of the path.
pub struct Room(pub RoomId);

impl FromRequestParts<App> for Room {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "room").await?.parse().map(Self).map_err(|error: crate::ids::IdError| room_id(&error))
    }
}

pub fn room_id(error: &crate::ids::IdError) -> Problem {
    Problem::new(Code::RoomId, error.to_string())
}

/// `{id}` of the path. Whatever is no id names nobody.
pub struct Participant(pub ParticipantId);

impl FromRequestParts<App> for Participant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "id").await?.parse().map(Self).map_err(|_| Problem::not_found("participant"))
    }
}

/// `{recording}` of the path. Whatever is no id names none.
pub struct Recording(pub RecordingId);

impl FromRequestParts<App> for Recording {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "recording").await?.parse().map(Self).map_err(|_| Problem::not_found("recording"))
    }
}

/// `{ingress}` of the path. Whatever is no id names none.
pub struct Ingress(pub IngressId);

impl FromRequestParts<App> for Ingress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "ingress").await?.parse().map(Self).map_err(|_| Problem::not_found("ingress"))
    }
}

/// `{egress}` of the path. Whatever is no id names none.
pub struct Egress(pub EgressId);

impl FromRequestParts<App> for Egress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "egress").await?.parse().map(Self).map_err(|_| Problem::not_found("egress"))
    }
}

/// `{part}` of the path.
pub struct Part(pub String);

impl FromRequestParts<App> for Part {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "part").await.map(Self)
    }
}

/// `{file}` of the path. Whatever is not listed names none.
pub struct File(pub String);

impl FromRequestParts<App> for File {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "file").await.map(Self)
    }
}

/// `{identity}` of the path.
pub struct Identity(pub String);

impl FromRequestParts<App> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "identity").await.map(Self)
    }
}

/// `{name}` of the path.
pub struct LayoutName(pub String);

impl FromRequestParts<App> for LayoutName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "name").await.map(Self)
    }
}

/// `{view}` of the path.
pub struct View(pub String);

impl FromRequestParts<App> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "view").await.map(Self)
    }
}

/// `{webhook}` of the path.
pub struct Webhook(pub String);

impl FromRequestParts<App> for Webhook {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "webhook").await.map(Self)
    }
}

/// `{sidebar}` of the path.
pub struct Sidebar(pub String);

impl FromRequestParts<App> for Sidebar {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        param(parts, "sidebar").await.map(Self)
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        // A route without a line in the table reaches nobody.
        parts.extensions.get().cloned().ok_or_else(|| Problem::new(Code::Forbidden, "nobody may do this"))
    }
}

/// The query, with 422 for what does not fit.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            let text = error.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            let (field, detail) = detail.split_once(": ").unwrap_or(("", detail));
            Problem::validation(vec![FieldError::new(format!("?{field}"), detail)])
        })
    }
}

/// `If-Match` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(pub Option<String>);

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::IF_NONE_MATCH) {
            return Err(Problem::new(Code::BadRequest, "If-None-Match has an effect on GET alone; POST makes what must not exist yet"));
        }
        Ok(Self::of(&parts.headers))
    }
}

impl IfMatch {
    pub fn of(headers: &HeaderMap) -> Self {
        // One that is no text names no ETag of ours, but it is a condition all the same.
        let values: Vec<_> = headers.get_all(header::IF_MATCH).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        Self((!values.is_empty()).then(|| values.join(", ")))
    }

    /// Whether the request may go on against the resource whose ETag is `current` (RFC 9110 §13.1.1:
    /// strong comparison; `"*"` is taken for `*`).
    pub fn check(&self, current: &str) -> Result<(), Problem> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        if wanted.split(',').map(str::trim).any(|tag| matches!(tag, "*" | "\"*\"") || tag == current) {
            return Ok(());
        }
        let detail = format!("If-Match does not name the current ETag {current}");
        Err(Problem::new(Code::PreconditionFailed, detail).with_header(header::ETAG, current))
    }

    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

/// A revision as an ETag.
pub fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// 200 with JSON and, where the resource has one, its ETag.
pub fn json<T: Serialize>(value: &T, etag: Option<&str>) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
            if let Some(etag) = etag.and_then(|etag| etag.parse().ok()) {
                response.headers_mut().insert(header::ETAG, etag);
            }
            response
        }
        Err(_) => Problem::new(Code::Internal, "the answer cannot be written").into_response(),
    }
}
