//! What happens around every request: an id, CORS, safe headers, a count, and errors that are problems
//! whatever went wrong.

use super::app::App;
use super::pages;
use super::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const EXPOSED: &str =
    "Location, ETag, Link, Retry-After, Accept-Patch, Accept-Post, Accept-Ranges, Content-Disposition, Content-Range, Idempotency-Key";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match, If-Range, Idempotency-Key, Last-Event-ID, Range";
/// What these show changes more often than the ETag that `If-Match` takes.
const LIVE: [&str; 2] = ["/v1/rooms/{room}", "/v1/rooms/{room}/participants/{id}"];
const PREFLIGHT_SECONDS: &str = "600";

/// The outermost layer.
pub async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = method == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    // Browsers say so where a person has followed a link.
    let visitor = request.headers().get("sec-fetch-dest").is_some_and(|wanted| wanted == "document");
    let start = app.now();
    let mut response = finish(next.run(request).await, &id, visitor);
    if method == Method::GET && !LIVE.contains(&route.as_str()) && unchanged(&response, known.as_ref()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
    }
    allow_origin(&app, response.headers_mut(), origin.as_ref(), preflight);
    let seconds = app.now().saturating_duration_since(start).as_secs_f64();
    let status = response.status().as_u16();
    metrics::counter!("mixdown_http_requests_total", "method" => method.as_str().to_owned(), "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("mixdown_http_request_seconds", "route" => route.clone()).record(seconds);
    // Neither query (names) nor headers (tokens) nor bodies (SDP) belong in a log.
    tracing::debug!(request = %id, %method, route, status, seconds, "request");
    response
}

/// Puts the request's id into problems and the headers that every answer has. To a visitor a problem is a page.
fn finish(mut response: Response, id: &str, visitor: bool) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = Body::from(problem.body(Some(&format!("urn:request:{id}"))));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        if problem.code == Code::Busy {
            response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("5"));
        }
        if let Some(page) = visitor.then(|| pages::problem(problem.code.title(), &problem.detail)).flatten() {
            let (parts, body) = page.into_parts();
            *response.body_mut() = body;
            response.headers_mut().extend(parts.headers);
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn unchanged(response: &Response, known: Option<&HeaderValue>) -> bool {
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let (Some(tag), Some(known)) = (tag, known.and_then(|known| known.to_str().ok())) else { return false };
    response.status() == StatusCode::OK
        && known.split(',').any(|candidate| matches!(candidate.trim(), "*") || candidate.trim().trim_start_matches("W/") == tag)
}

/// Exact origins from the configuration; never credentials, never `*`.
fn allow_origin(app: &App, headers: &mut HeaderMap, origin: Option<&HeaderValue>, preflight: bool) {
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let listed = |origin: &&HeaderValue| app.config.http.cors_origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes());
    let Some(origin) = origin.filter(listed) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if preflight {
        // The router adds `Allow` outside of this layer; a browser only needs to know that its method is none of the odd ones.
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
    }
}

/// A handler that panics costs one request.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    metrics::counter!("mixdown_panics_total", "unit" => "request").increment(1);
    Problem::new(Code::Internal, "the request ended by an internal error").into_response()
}

/// Another method than the route has: OPTIONS says which, all else is 405. The router adds `Allow`.
pub async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(Code::MethodNotAllowed, "Allow names the methods of this resource").into_response()
}

pub async fn nothing_here() -> Problem {
    Problem::not_found("resource")
}
