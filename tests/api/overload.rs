//! An overloaded server and who comes to it (docs/faults.md, F3).

use crate::world::{CANDIDATES, NOW, OFFER, RESTART, SECRET, World, call};
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header, encode};
use mixdown::overload::{Refusal, Status};
use serde_json::json;

const TRICKLE: &str = "application/trickle-ice-sdpfrag";

fn token(room: &str, identity: &str) -> String {
    let grants = json!({"room": room, "join": true, "publish": ["audio", "video"], "subscribe": true});
    let claims = json!({"iss": "main", "sub": identity, "exp": NOW + 600, "iat": NOW - 10, "mixdown": grants});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("signed")
}

/// As if the processor had been used up for a while, or no longer.
fn load(world: &World, refusal: Option<Refusal>) {
    let retry_after = std::time::Duration::from_secs(7);
    world.stage.load.set(Status { refusal, retry_after, ..Status::default() });
}

#[tokio::test]
async fn f3_an_overloaded_server_refuses_newcomers_and_who_is_there_goes_on() {
    let world = World::production();
    let join = async |door: &str, identity: &str| {
        let room = if door.contains("another") { "another" } else { "standup" };
        world.send(call(Method::POST, door).bearer(&token(room, identity)).sdp(OFFER)).await
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("main:{SECRET}")));
    let server = |method: Method, path: &str| call(method, path).with("authorization", &basic);
    let ann = join("/v1/rooms/standup/participants", "ann").await;
    assert_eq!(ann.status, StatusCode::CREATED, "{}", ann.text());
    load(&world, Some(Refusal::Processor { used: 0.97, most: 0.85 }));
    for door in ["/v1/rooms/standup/participants", "/v1/rooms/another/participants", "/whip/standup", "/whep/standup"] {
        let reply = join(door, "bob").await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "overloaded"), "{door}");
        assert_eq!(reply.header("retry-after"), "7", "{door}");
        assert!(reply.text().contains("overload.admission_cpu_percent is 85"), "{}", reply.text());
    }
    for (path, body) in [
        ("/v1/rooms", r#"{"room": "new"}"#),
        ("/v1/rooms/standup/egress", r#"{"outputs": [{"hls": {}}]}"#),
        ("/v1/rooms/standup/ingress", r#"{"url": "https://example.org/film.mp4"}"#),
        ("/v1/rooms/standup/recordings", r#"{"layout": {"type": "speaker"}}"#),
    ] {
        let reply = world.send(server(Method::POST, path).json(body)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "overloaded"), "{path}");
    }
    let reply = world.send(server(Method::POST, "/v1/rooms/standup/recordings").json("{}")).await;
    assert_eq!(reply.problem(), "conflict", "asked, and not refused: what is recorded as it is watched costs next to nothing");

    let session = ann.header("location");
    let mine = |method: Method| call(method, session).bearer(&token("standup", "ann"));
    let reply = world.send(mine(Method::PATCH).with("if-match", ann.header("etag")).body(TRICKLE, CANDIDATES)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let reply = world.send(mine(Method::PATCH).with("if-match", "*").body(TRICKLE, RESTART)).await;
    assert_eq!(reply.status, StatusCode::OK, "an ICE restart");
    let reply = world.send(mine(Method::PATCH).body("application/merge-patch+json", r#"{"muted_audio": true}"#)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(world.send(server(Method::PUT, "/v1/rooms/standup").json("{}")).await.status, StatusCode::OK);
    assert_eq!(join("/v1/rooms/standup/participants", "ann").await.status, StatusCode::CREATED, "takes their own place again");

    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
    let node = world.send(server(Method::GET, "/v1/node").empty()).await.json();
    assert_eq!((&node["state"], &node["refuses"], &node["effect"]), (&"overloaded".into(), &"processor".into(), &"whole".into()));
    load(&world, None);
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    assert_eq!(join("/whep/standup", "bob").await.status, StatusCode::CREATED);
}
