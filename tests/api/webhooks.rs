//! `/v1/webhooks`: who is posted to, what became of it.

use crate::world::{Stage, World, call, keyed};
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use mixdown::config::{Config, Endpoint, Mode, Secret};
use mixdown::webhooks::{self, Running};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

async fn world(name: &str, status: &Arc<AtomicU16>) -> (World, Running, std::path::PathBuf) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook?key=abc", listener.local_addr().expect("bound"));
    let status = Arc::clone(status);
    let answer = move || async move { StatusCode::from_u16(status.load(Ordering::Relaxed)).expect("a status") };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(answer))).await });
    let mut config = Config::default();
    config.webhooks.outbox = std::env::temp_dir().join(format!("mixdown-api-webhooks-{name}-{}", std::process::id()));
    let secrets = vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    config.webhooks.endpoints = vec![Endpoint { id: "crm".into(), url, secrets, allow_private_networks: true, ..Endpoint::default() }];
    assert_eq!(config.check(Mode::Dev, crate::world::wall()), []);
    let folder = config.webhooks.outbox.clone();
    let (handle, running) = webhooks::start(config.webhooks.settings()).expect("started");
    (World::with_webhooks(config, Mode::Dev, Arc::new(Stage::default()), handle), running, folder)
}

/// Asks until the endpoint has so many events that wait.
async fn endpoint(world: &World, pending: u64) -> serde_json::Value {
    for _ in 0..2000 {
        let endpoint = world.get("/v1/webhooks").await.json()["items"][0].clone();
        if endpoint["pending"] == pending && (pending == 0 || endpoint["next_attempt_at"].is_string()) {
            return endpoint;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{}", world.get("/v1/webhooks").await.text());
}

#[tokio::test]
async fn what_happens_in_a_room_is_posted_and_a_failure_can_be_looked_at_and_mended() {
    let status = Arc::new(AtomicU16::new(500));
    let (world, running, folder) = world("rooms", &status).await;
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    world.send(call(Method::POST, "/v1/rooms/standup/messages").json(r#"{"text":"hello"}"#)).await;
    let shown = endpoint(&world, 2).await;
    assert_eq!((shown["id"].as_str(), shown["state"].as_str()), (Some("crm"), Some("failing")));
    assert!(shown["url"].as_str().is_some_and(|url| url.ends_with("/hook")), "without its query: {shown}");
    let first = world.get("/v1/webhooks/crm/deliveries?limit=1").await.json();
    assert_eq!((first["items"][0]["type"].as_str(), first["items"][0]["state"].as_str()), (Some("chat.message"), Some("pending")));
    let second = format!("/v1/webhooks/crm/deliveries?cursor={}", first["next_cursor"].as_str().expect("more"));
    let oldest = world.get(&second).await.json()["items"][0].clone();
    assert_eq!(
        (oldest["type"].as_str(), oldest["status"].as_u64(), oldest["attempts"].as_u64()),
        (Some("room.created"), Some(500), Some(1))
    );
    let test = world.send(call(Method::POST, "/v1/webhooks/crm/test").empty()).await.json();
    assert_eq!((test["delivered"].as_bool(), test["status"].as_u64()), (Some(false), Some(500)));
    status.store(204, Ordering::Relaxed);
    let id = oldest["id"].as_str().expect("an id");
    let retried = world.send(call(Method::POST, &format!("/v1/webhooks/crm/deliveries/{id}/retry")).empty()).await;
    assert_eq!((retried.status, retried.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("pending")));
    let shown = endpoint(&world, 0).await;
    assert_eq!((shown["state"].as_str(), shown["delivered"].as_u64()), (Some("ok"), Some(2)));
    let done = world.get("/v1/webhooks/crm/deliveries").await.json();
    assert!(done["items"].as_array().expect("items").iter().all(|delivery| delivery["state"] == "delivered"), "{done}");
    running.end().await;
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn unknown_webhooks_and_deliveries_are_404_and_a_server_without_any_lists_none() {
    let (world, running, folder) = world("unknown", &Arc::new(AtomicU16::new(204))).await;
    for (method, path) in [
        (Method::GET, "/v1/webhooks/other/deliveries"),
        (Method::POST, "/v1/webhooks/other/test"),
        (Method::POST, "/v1/webhooks/crm/deliveries/msg_none/retry"),
        (Method::POST, "/v1/webhooks/other/deliveries/msg_none/retry"),
    ] {
        let reply = world.send(call(method, path).empty()).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::NOT_FOUND, "not-found"), "{path}");
    }
    let none = World::new(keyed(), Mode::Dev, Stage::default());
    assert_eq!(none.get("/v1/webhooks").await.json(), serde_json::json!({"items": [], "next_cursor": null}));
    assert_eq!(none.get("/v1/webhooks/crm/deliveries").await.status, StatusCode::NOT_FOUND);
    running.end().await;
    std::fs::remove_dir_all(folder).expect("removed");
}
