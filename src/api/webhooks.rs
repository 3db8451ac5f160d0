//! `/v1/webhooks`: what the configured endpoints have taken, and what waits for them.

use super::app::App;
use super::extract::{Query, Webhook, json};
use super::page::{Page, Paging};
use super::problem::{Code, Problem};
use crate::runtime::clock::rfc3339;
use crate::webhooks::outbox::{Delivery, Outcome, State as Settled};
use crate::webhooks::{Fault, Summary};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::time::SystemTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    Ok,
    /// The last attempt has failed; what waits is tried again.
    Failing,
}

/// A configured endpoint. The figures are those since the start of the server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookEndpoint {
    id: String,
    /// Without its query.
    url: String,
    /// The configured filter; empty: all but `speaker.changed`.
    events: Vec<String>,
    state: WebhookState,
    pending: usize,
    delivered: u64,
    /// They waited longer than `webhooks.max_age_ms`.
    given_up: u64,
    /// They did not fit into `webhooks.max_bytes`.
    dropped: u64,
    /// Failed attempts in a row.
    failures: u32,
    last_success_at: Option<String>,
    /// Absent: nothing waits, or an attempt is under way.
    next_attempt_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    Delivered,
    GivenUp,
    Dropped,
}

/// One event on its way to one endpoint.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookDelivery {
    /// The request's `webhook-id`.
    id: String,
    r#type: String,
    room: String,
    /// When it happened.
    at: String,
    state: DeliveryState,
    attempts: u32,
    last_attempt_at: Option<String>,
    /// HTTP status of the last attempt.
    status: Option<u16>,
    /// Why the last attempt had no answer: `address`, `connect`, `timeout`, `exchange`, `internal`.
    error: Option<String>,
}

/// How a test went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WebhookTest {
    /// The endpoint has answered with 2xx.
    delivered: bool,
    status: Option<u16>,
    /// `address`, `connect`, `timeout`, `exchange`, `internal`.
    error: Option<String>,
    duration_ms: u64,
}

/// The configured endpoints.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", params(Paging), responses((status = 200, body = Page<WebhookEndpoint>)))]
pub async fn list(State(app): State<App>, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let all = app.webhooks.list().await?;
    let page = paging.page("webhooks", all, |endpoint| endpoint.id.clone())?;
    Ok(json(&Page { items: page.items.into_iter().map(WebhookEndpoint::from).collect(), next_cursor: page.next_cursor }, None))
}

/// What waits for an endpoint and what was settled lately, the newest first. After a restart: what still waits.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/deliveries", tag = "webhooks", params(("webhook" = String, Path), Paging),
    responses((status = 200, body = Page<WebhookDelivery>)))]
pub async fn deliveries(State(app): State<App>, Webhook(id): Webhook, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let all = app.webhooks.deliveries(&id).await?;
    let page = paging.page("deliveries", all, |delivery| delivery.message.id.clone())?;
    Ok(json(&Page { items: page.items.into_iter().map(WebhookDelivery::from).collect(), next_cursor: page.next_cursor }, None))
}

/// Send a delivery again: at once if it waits, behind the others if it is settled. Same id, fresh signature.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/deliveries/{delivery}/retry", tag = "webhooks",
    params(("webhook" = String, Path), ("delivery" = String, Path)), responses((status = 202, body = WebhookDelivery)))]
pub async fn retry(State(app): State<App>, Path((webhook, delivery)): Path<(String, String)>) -> Result<Response, Problem> {
    let delivery = app.webhooks.retry(&webhook, &delivery).await?;
    let mut response = json(&WebhookDelivery::from(delivery), None);
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// Post a `webhook.test` now, past all that waits, and tell how it went. If it is taken, what waits follows at once.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/test", tag = "webhooks", params(("webhook" = String, Path)),
    responses((status = 200, body = WebhookTest)))]
pub async fn test(State(app): State<App>, Webhook(id): Webhook) -> Result<Response, Problem> {
    let tested = app.webhooks.test(&id).await?;
    let duration_ms = u64::try_from(tested.took.as_millis()).unwrap_or(u64::MAX);
    let delivered = matches!(tested.outcome, Outcome::Taken(_));
    Ok(json(&WebhookTest { delivered, status: tested.outcome.status(), error: reason(tested.outcome), duration_ms }, None))
}

fn reason(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Failed(reason) => Some(reason.to_owned()),
        Outcome::Taken(_) | Outcome::Refused { .. } => None,
    }
}

fn time(at: Option<SystemTime>) -> Option<String> {
    at.map(rfc3339)
}

impl From<Summary> for WebhookEndpoint {
    fn from(summary: Summary) -> Self {
        let figures = summary.figures;
        Self {
            id: summary.id,
            url: summary.url,
            events: summary.events,
            state: if figures.failures == 0 { WebhookState::Ok } else { WebhookState::Failing },
            pending: figures.pending,
            delivered: figures.delivered,
            given_up: figures.given_up,
            dropped: figures.dropped,
            failures: figures.failures,
            last_success_at: time(figures.last_success),
            next_attempt_at: time(summary.next),
        }
    }
}

impl From<Delivery> for WebhookDelivery {
    fn from(delivery: Delivery) -> Self {
        let last = delivery.last.map(|(_, outcome)| outcome);
        Self {
            id: delivery.message.id.clone(),
            r#type: delivery.message.kind.clone(),
            room: delivery.message.room.clone(),
            at: rfc3339(delivery.message.at()),
            state: match delivery.state {
                Settled::Pending => DeliveryState::Pending,
                Settled::Delivered => DeliveryState::Delivered,
                Settled::GivenUp => DeliveryState::GivenUp,
                Settled::Dropped => DeliveryState::Dropped,
            },
            attempts: delivery.attempts,
            last_attempt_at: time(delivery.last.map(|(at, _)| at)),
            status: last.and_then(Outcome::status),
            error: last.and_then(reason),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unknown(what) => Self::not_found(what),
            Fault::Busy => Self::new(Code::Busy, "the webhooks' queue of questions is full").retry_after(1),
        }
    }
}
