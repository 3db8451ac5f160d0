//! The HTTP side: REST, WHIP, WHEP, events, pages.
//!
//! Handlers parse, ask a [`RoomHandle`](crate::conference::handle::RoomHandle) and write; they hold no state
//! of rooms. Every refusal is a typed [`problem::Problem`]. Who may do what is one table, [`rules`].
//! Leaves out: TLS (a proxy's work) and HTTP/2.
//!
//! Flow: `server → layers → rules → idempotency → handler → RoomHandle`.

pub mod app;
pub mod auth;
mod body;
mod egress;
pub mod estimate;
pub mod events;
mod extract;
mod ice_servers;
mod idempotency;
mod ingress;
mod join;
pub mod json;
mod layers;
pub mod layouts;
mod messages;
mod moderation;
mod node;
pub mod openapi;
pub mod page;
mod pages;
mod participants;
mod preview;
pub mod problem;
mod query;
mod rate;
pub mod recorded;
mod recordings;
mod rooms;
pub mod rules;
mod schema;
pub mod server;
mod sidebars;
pub mod tokens;
mod views;
mod webhooks;
mod whip;

pub use app::{App, Clock, Rooms};
pub use extract::ClientAddress;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, options};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// All routes, with everything around them.
pub fn router(app: App) -> Router {
    let (router, document) = documented().split_for_parts();
    let known = query::Known::of(document.clone());
    let document: Arc<str> = openapi::document(document).into();
    router
        .route("/openapi.json", get(move || async move { ([("content-type", "application/json")], document.to_string()) }))
        .route("/", get(pages::index))
        .route("/r/{room}", get(pages::room))
        .route("/watch/{room}", get(pages::watch))
        .route("/admin", get(pages::admin))
        .route("/recordings", get(pages::recordings))
        .route("/docs", get(pages::docs))
        .route("/web/{*file}", get(pages::file))
        .merge(doors())
        .method_not_allowed_fallback(layers::other_method)
        .route_layer(from_fn_with_state(app.clone(), idempotency::layer))
        .route_layer(from_fn_with_state(known, query::refuse_unknown))
        .route_layer(from_fn_with_state(app.clone(), rules::enforce))
        .fallback(layers::nothing_here)
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn_with_state(app.clone(), layers::around))
        .with_state(app)
}

/// The operations that `/openapi.json` describes.
pub fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .routes(routes!(participants::join, participants::list))
        .routes(routes!(participants::get, participants::patch, participants::delete))
        .routes(routes!(moderation::admit))
        .routes(routes!(moderation::deny))
        .routes(routes!(moderation::transfer))
        .routes(routes!(moderation::removed))
        .routes(routes!(moderation::allow))
        .routes(routes!(whip::publish))
        .routes(routes!(whip::patch_publisher, whip::end_publisher))
        .routes(routes!(whip::watch))
        .routes(routes!(whip::patch_viewer, whip::end_viewer))
        .routes(routes!(rooms::list, rooms::create))
        .routes(routes!(rooms::stats))
        .routes(routes!(rooms::get, rooms::put, rooms::patch, rooms::delete))
        .routes(routes!(views::list, views::create))
        .routes(routes!(views::get, views::put, views::patch, views::delete))
        .routes(routes!(views::layout, views::put_layout, views::patch_layout))
        .routes(routes!(preview::show))
        .routes(routes!(views::snapshot_jpg))
        .routes(routes!(views::snapshot_png))
        .routes(routes!(sidebars::list))
        .routes(routes!(sidebars::get, sidebars::put, sidebars::delete))
        .routes(routes!(layouts::list))
        .routes(routes!(layouts::get, layouts::put, layouts::delete))
        .routes(routes!(recordings::create))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::get, recordings::patch, recordings::delete))
        .routes(routes!(recordings::pause))
        .routes(routes!(recordings::resume))
        .routes(routes!(recordings::stop))
        .routes(routes!(recorded::media))
        .routes(routes!(recorded::timeline))
        .routes(routes!(recorded::chapters))
        .routes(routes!(recorded::playlist))
        .routes(routes!(recorded::thumbnail))
        .routes(routes!(recorded::tracks))
        .routes(routes!(recorded::track))
        .routes(routes!(ingress::list, ingress::create))
        .routes(routes!(ingress::get, ingress::patch, ingress::delete))
        .routes(routes!(egress::create, egress::list_of_room))
        .routes(routes!(egress::list))
        .routes(routes!(egress::get, egress::delete))
        .routes(routes!(egress::playlist))
        .routes(routes!(egress::part))
        .routes(routes!(egress::image))
        .routes(routes!(events::of_room))
        .routes(routes!(events::of_all))
        .routes(routes!(messages::say))
        .routes(routes!(webhooks::list))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::retry))
        .routes(routes!(webhooks::test))
        .routes(routes!(estimate::estimate))
        .routes(routes!(tokens::create))
        .routes(routes!(node::node))
        .routes(routes!(node::drain))
        .routes(routes!(node::healthz))
        .routes(routes!(node::readyz))
        .routes(routes!(node::metrics))
        .routes(routes!(node::version))
        .routes(routes!(node::problem))
}

/// OPTIONS of the three doors: `Accept-Post`, and ICE servers for those who may enter.
fn doors() -> Router<App> {
    let door = |door: join::Door, need: rules::Need| -> MethodRouter<App> {
        options(move |State(app): State<App>, Path(room): Path<String>, headers: HeaderMap| async move {
            join::options(&app, door, need, &room, &headers)
        })
    };
    Router::new()
        .route("/v1/rooms/{room}/participants", door(join::PARTICIPANTS, rules::Need::Join))
        .route("/whip/{room}", door(join::WHIP, rules::Need::Publish))
        .route("/whep/{room}", door(join::WHEP, rules::Need::Subscribe))
}
