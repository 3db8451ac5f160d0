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

/// The server serves: it is not about to end. An overloaded one is ready too, for all who are there: `GET /v1/node` and each refused join tell.
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

/// How the server stands: its load, what is given up for lack of time, and whether newcomers are refused.
#[utoipa::path(get, path = "/v1/node", tag = "node", responses((status = 200, body = super::schema::Node)))]
pub async fn node(State(app): State<App>) -> Response {
    let status = app.rooms.load().status();
    let state = match status.refusal {
        _ if app.rooms.is_draining() => "draining",
        Some(_) => "overloaded",
        None => "ready",
    };
    let load = &status.load;
    let body = json!({
        "state": state,
        "rooms": app.rooms.list().len(),
        "step": status.step.number(),
        "effect": status.step.name(),
        "refuses": status.refusal.map(crate::overload::Refusal::name),
        "cpu_percent": load.cpu.map(|cpu| (cpu * 1000.0).round() / 10.0),
        "late_picture_ticks_percent": (load.pictures.lateness() * 1000.0).round() / 10.0,
        "late_sound_ticks_percent": (load.sounds.lateness() * 1000.0).round() / 10.0,
        "memory_bytes": load.memory_bytes,
        "memory_limit_bytes": load.memory_limit_bytes,
    });
    json(&body, None)
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
