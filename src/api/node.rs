//! The server itself: health, metrics, versions, draining.

use super::app::App;
use super::extract::json;
use super::problem::{Code, Problem};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "node", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// New participants are welcome.
#[utoipa::path(get, path = "/readyz", tag = "node", responses((status = 200, content_type = "text/plain", body = String), (status = 503)))]
pub async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    app.refuse_while_draining().map(|()| "ready\n")
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "node", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (app.metrics)()).into_response()
}

/// Versions of the server and of the codecs in it.
#[utoipa::path(get, path = "/version", tag = "node", responses((status = 200, body = serde_json::Value)))]
pub async fn version() -> Response {
    json(&crate::runtime::version::report(), None)
}

/// From now on nobody joins; running conferences go on.
#[utoipa::path(post, path = "/v1/node/drain", tag = "node", responses((status = 202, body = serde_json::Value)))]
pub async fn drain(State(app): State<App>) -> Response {
    tracing::info!("draining by request");
    app.rooms.drain();
    let mut response = json(&json!({"state": "draining", "rooms": app.list().len()}), None);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// What a problem's `type` means.
#[utoipa::path(get, path = "/problems/{code}", tag = "node", params(("code" = String, Path)), responses((status = 200, body = serde_json::Value)))]
pub async fn problem(Path(code): Path<String>) -> Result<Response, Problem> {
    let found = Code::ALL.iter().find(|known| known.as_str() == code).ok_or_else(|| Problem::not_found("problem"))?;
    let body = json!({"type": format!("/problems/{code}"), "title": found.title(), "status": found.status().as_u16()});
    Ok(json(&body, None))
}
