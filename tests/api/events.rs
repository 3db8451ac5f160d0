//! Server-sent events: live, resumable, bounded.

use crate::world::{NOW, OFFER, SECRET, World, call};
use axum::body::{Body, BodyDataStream};
use axum::http::{Method, Request, StatusCode};
use std::time::Duration;
use tokio_stream::StreamExt;
use tower::ServiceExt;

struct Follower {
    body: BodyDataStream,
    text: String,
}

impl Follower {
    async fn of(world: &World, request: Request<Body>) -> Self {
        let response = world.router().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event's name and data; `None`: the stream has ended.
    async fn next(&mut self) -> Option<(String, serde_json::Value)> {
        loop {
            if let Some((event, rest)) = self.text.clone().split_once("\n\n") {
                self.text = rest.to_owned();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
                if let (Some(kind), Some(data)) = (field("event:"), field("data:")) {
                    return Some((kind, serde_json::from_str(&data).expect("JSON")));
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.body.next()).await.expect("an event")?;
            self.text += std::str::from_utf8(&chunk.expect("chunk")).expect("text");
        }
    }
}

async fn say(world: &World, text: &str) {
    let body = format!(r#"{{"text":"{text}"}}"#);
    let reply = world.send(call(Method::POST, "/v1/rooms/standup/messages").json(&body)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text());
}

#[tokio::test]
async fn followers_of_a_room_and_of_all_rooms_see_what_happens() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let mut room = Follower::of(&world, call(Method::GET, "/v1/rooms/standup/events").empty()).await;
    let mut all = Follower::of(&world, call(Method::GET, "/v1/events").empty()).await;
    world.send(call(Method::POST, "/whip/standup").sdp(OFFER)).await;
    say(&world, "hello").await;
    for follower in [&mut room, &mut all] {
        let (kind, joined) = follower.next().await.expect("event");
        assert_eq!(
            (kind.as_str(), joined["room"].as_str(), joined["type"].as_str()),
            ("participant.joined", Some("standup"), Some("participant.joined"))
        );
        assert!(joined["data"]["participant"].as_str().is_some_and(|id| id.starts_with("pt_")));
        assert_eq!(follower.next().await.expect("event").1["data"]["text"], "hello");
    }
}

#[tokio::test]
async fn a_stream_is_taken_up_after_the_last_event_that_was_seen() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let mut first = Follower::of(&world, call(Method::GET, "/v1/rooms/standup/events").with("last-event-id", "0").empty()).await;
    assert_eq!(first.next().await.expect("event").0, "room.created", "what came before the stream is kept");
    say(&world, "one").await;
    let seen = first.next().await.expect("event").1["id"].as_u64().expect("id");
    drop(first);
    say(&world, "two").await;
    say(&world, "three").await;
    tokio::task::yield_now().await;
    let resumed = call(Method::GET, "/v1/rooms/standup/events").with("last-event-id", &seen.to_string());
    let mut again = Follower::of(&world, resumed.empty()).await;
    for (text, id) in [("two", seen + 1), ("three", seen + 2)] {
        let (_, event) = again.next().await.expect("event");
        assert_eq!((event["data"]["text"].as_str(), event["id"].as_u64()), (Some(text), Some(id)));
    }
    let ahead = call(Method::GET, "/v1/rooms/standup/events").with("last-event-id", "999");
    let mut ahead = Follower::of(&world, ahead.empty()).await;
    assert_eq!(ahead.next().await.expect("event").0, "lost", "what happened in between is gone");
    assert_eq!(ahead.next().await.expect("event").0, "room.created", "an id of an earlier life gets all that is kept");
}

#[tokio::test]
async fn the_history_is_bounded() {
    let mut config = mixdown::config::Config::default();
    config.limits.event_history = 3;
    let world = World::new(config, mixdown::config::Mode::Dev, Default::default());
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    for n in 0..10 {
        say(&world, &n.to_string()).await;
        tokio::task::yield_now().await;
    }
    let mut late = Follower::of(&world, call(Method::GET, "/v1/rooms/standup/events").with("last-event-id", "1").empty()).await;
    assert_eq!(late.next().await.expect("event").0, "lost", "the gap is told");
    assert_eq!(late.next().await.expect("event").1["data"]["text"], "7");
}

#[tokio::test]
async fn a_follower_that_does_not_read_is_told_so_and_cut_off_while_the_room_goes_on() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let mut slow = Follower::of(&world, call(Method::GET, "/v1/rooms/standup/events").empty()).await;
    for n in 0..400 {
        say(&world, &n.to_string()).await;
        tokio::task::yield_now().await;
    }
    let (kind, data) = slow.next().await.expect("event");
    assert_eq!(kind, "slow_consumer");
    assert!(data["missed"].as_u64().is_some_and(|missed| missed > 0));
    assert!(slow.next().await.is_none());
}

#[tokio::test]
async fn streams_are_counted_and_end_with_the_room_and_with_the_server() {
    let mut config = mixdown::config::Config::default();
    config.limits.event_streams = 2;
    let world = World::new(config, mixdown::config::Mode::Dev, Default::default());
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let mut room = Follower::of(&world, call(Method::GET, "/v1/rooms/standup/events").empty()).await;
    let mut all = Follower::of(&world, call(Method::GET, "/v1/events").empty()).await;
    let reply = world.get("/v1/rooms/standup/events").await;
    assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    world.send(call(Method::DELETE, "/v1/rooms/standup").empty()).await;
    assert!(room.next().await.is_none());
    drop(room);
    world.app.events.close();
    assert!(all.next().await.is_none());
    assert_eq!(world.get("/v1/rooms/standup/events").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_is_removed_reads_on_no_longer() {
    let world = World::production();
    let token = |sub: &str, grants: serde_json::Value| {
        let claims = serde_json::json!({"iss": "main", "sub": sub, "exp": NOW + 600, "iat": NOW - 10, "mixdown": grants});
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()))
            .expect("signed")
    };
    let admin = token("eve", serde_json::json!({"room": "standup", "admin": true}));
    world.send(call(Method::PUT, "/v1/rooms/standup").bearer(&admin).json("{}")).await;
    let member = token("ann", serde_json::json!({"room": "standup", "join": true, "publish": ["data"]}));
    let mut stream = Follower::of(&world, call(Method::GET, "/v1/rooms/standup/events").bearer(&member).empty()).await;
    world.app.rooms.removals().remove(&"standup".parse().expect("id"), "ann", crate::world::wall());
    let said = world.send(call(Method::POST, "/v1/rooms/standup/messages").bearer(&admin).json(r#"{"text":"secret"}"#)).await;
    assert_eq!(said.status, StatusCode::NO_CONTENT, "{}", said.text());
    assert!(stream.next().await.is_none());
}
