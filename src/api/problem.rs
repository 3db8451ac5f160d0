//! Errors as RFC 9457 problems: one stable code each, with the status that belongs to it.
//!
//! A handler returns `Err(Problem)`; the outermost layer puts the request's id into `instance`.
//! `detail` names the field and the limit, never a secret, a path of this machine or another room.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;

use crate::conference::handle::Refusal;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($status:ident, $code:literal, $title:literal);)*) => {
        /// What went wrong. The text form is part of the contract: `/problems/<code>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    BadRequest = (BAD_REQUEST, "bad-request", "The request cannot be read");
    BadPath = (BAD_REQUEST, "bad-path", "The path cannot be read");
    BadCursor = (BAD_REQUEST, "bad-cursor", "The cursor does not belong to this list");
    MalformedJson = (BAD_REQUEST, "malformed-json", "The body is not JSON");
    DuplicateKey = (BAD_REQUEST, "duplicate-key", "A key stands twice in an object");
    TooDeep = (BAD_REQUEST, "too-deep", "The JSON is nested too deeply");
    Sdp = (BAD_REQUEST, "sdp", "The SDP cannot be read");
    Unauthenticated = (UNAUTHORIZED, "unauthenticated", "Credentials are needed");
    InvalidToken = (UNAUTHORIZED, "invalid-token", "The token is not valid");
    TokenExpired = (UNAUTHORIZED, "token-expired", "The token has expired");
    Revoked = (UNAUTHORIZED, "revoked", "The token was revoked");
    WrongRoom = (FORBIDDEN, "wrong-room", "The token is not for this room");
    MissingGrant = (FORBIDDEN, "missing-grant", "The token lacks a grant");
    Forbidden = (FORBIDDEN, "forbidden", "Not allowed");
    NotFound = (NOT_FOUND, "not-found", "No such resource");
    MethodNotAllowed = (METHOD_NOT_ALLOWED, "method-not-allowed", "The resource does not have this method");
    NotAcceptable = (NOT_ACCEPTABLE, "not-acceptable", "No acceptable representation");
    RequestTimeout = (REQUEST_TIMEOUT, "request-timeout", "The body did not arrive in time");
    Conflict = (CONFLICT, "conflict", "The resource is in another state");
    Gone = (GONE, "gone", "The resource has ended");
    RangeNotSatisfiable = (RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "The resource has no such bytes");
    PreconditionFailed = (PRECONDITION_FAILED, "precondition-failed", "The resource has changed");
    TooLarge = (PAYLOAD_TOO_LARGE, "too-large", "The body is too large");
    UnsupportedMediaType = (UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body has the wrong type");
    RoomId = (UNPROCESSABLE_ENTITY, "room-id", "Not a room id");
    Validation = (UNPROCESSABLE_ENTITY, "validation", "Some values are not acceptable");
    UnknownField = (UNPROCESSABLE_ENTITY, "unknown-field", "Some fields are unknown");
    UnusableOffer = (UNPROCESSABLE_ENTITY, "unusable-offer", "The offer cannot be accepted");
    IdempotencyMismatch = (UNPROCESSABLE_ENTITY, "idempotency-mismatch", "The Idempotency-Key was used for another request");
    PreconditionRequired = (PRECONDITION_REQUIRED, "precondition-required", "If-Match is needed");
    RateLimited = (TOO_MANY_REQUESTS, "rate-limited", "Too many requests");
    Internal = (INTERNAL_SERVER_ERROR, "internal", "An internal error");
    /// A limit of the server or of a room is reached.
    Busy = (SERVICE_UNAVAILABLE, "busy", "No capacity now");
    /// The processor or the memory does not suffice.
    Overloaded = (SERVICE_UNAVAILABLE, "overloaded", "The server is overloaded");
    NoSpace = (INSUFFICIENT_STORAGE, "no-space", "No space for recordings");
    Draining = (SERVICE_UNAVAILABLE, "draining", "The server is about to end");
}

/// One bad value of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// RFC 6901 pointer into the body, or `?name` for a query parameter.
    pub pointer: String,
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// An error that is a response.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: Code,
    pub detail: Cow<'static, str>,
    pub errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    pub fn not_found(what: &'static str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// 422 with everything that is wrong at once.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let unknown = !errors.is_empty() && errors.iter().all(|error| error.detail.starts_with("unknown field"));
        let detail = errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect::<Vec<_>>().join("; ");
        let code = if unknown { Code::UnknownField } else { Code::Validation };
        Self { errors, ..Self::new(code, detail) }
    }

    /// Both, or what is wrong with either.
    pub fn both<A, B>(one: Result<A, Self>, other: Result<B, Self>) -> Result<(A, B), Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(one), Err(other)) if one.errors == other.errors => Err(one),
            (Err(one), Err(other)) if !one.errors.is_empty() && !other.errors.is_empty() => {
                Err(Self::validation([one.errors, other.errors].concat()))
            }
            (Err(problem), _) | (_, Err(problem)) => Err(problem),
        }
    }

    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        self.with_header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// The body as JSON. `instance` is the request's id.
    pub fn body(&self, instance: Option<&str>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'static str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            instance: Option<&'a str>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let body = Body {
            r#type: format!("/problems/{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            instance,
            errors: &self.errors,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body(None)));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(what) => Self::not_found(what),
            Refusal::Malformed(detail) => Self::new(Code::Sdp, detail),
            Refusal::Unprocessable { pointer: "", detail } => Self::new(Code::UnusableOffer, detail),
            Refusal::Unprocessable { pointer, detail } => Self::validation(vec![FieldError::new(pointer, detail)]),
            Refusal::Conflict(detail) => Self::new(Code::Conflict, detail),
            Refusal::Stale { current } => Self::new(Code::PreconditionFailed, format!("If-Match does not name the current ETag {current}"))
                .with_header(header::ETAG, &current),
            Refusal::Gone(detail) => Self::new(Code::Gone, detail),
            Refusal::NoSpace(detail) => Self::new(Code::NoSpace, detail),
            Refusal::Forbidden(detail) => Self::new(Code::Forbidden, detail),
            Refusal::Busy(detail) => Self::new(Code::Busy, detail),
            Refusal::Resting(rest) => Self::new(Code::Busy, refusal.to_string()).retry_after(rest.as_secs()),
        }
    }
}
