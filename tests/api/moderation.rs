//! Waiting room, operator's mutes, removals, transfers, keys that change.

use crate::world::{NOW, OFFER, SECRET, Stage, World, call, keyed};
use axum::http::{Method, StatusCode};
use jsonwebtoken::{EncodingKey, Header, encode};
use mixdown::config::{Key, Mode, Secret};
use serde_json::{Value, json};

fn token_of(key: &str, secret: &str, sub: &str, grants: &Value) -> String {
    let claims = json!({"iss": key, "sub": sub, "exp": NOW + 600, "iat": NOW - 10, "mixdown": grants});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).expect("signed")
}

fn member(sub: &str) -> String {
    token_of("main", SECRET, sub, &json!({"room": "standup", "join": true, "publish": ["audio", "video", "data"], "subscribe": true}))
}

fn admin() -> String {
    token_of("main", SECRET, "eve", &json!({"room": "standup", "join": true, "subscribe": true, "admin": true}))
}

fn server() -> String {
    token_of("main", SECRET, "root", &json!({"admin": true}))
}

async fn join(world: &World, token: &str) -> String {
    let reply = world.send(call(Method::POST, "/v1/rooms/standup/participants").bearer(token).sdp(OFFER)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    reply.header("location").to_owned()
}

async fn post(world: &World, path: &str, token: &str, body: &'static str) -> crate::world::Reply {
    world.send(call(Method::POST, path).bearer(token).json(body)).await
}

async fn patch(world: &World, path: &str, token: &str, body: &'static str) -> crate::world::Reply {
    world.send(call(Method::PATCH, path).bearer(token).body("application/merge-patch+json", body)).await
}

async fn state(world: &World, session: &str) -> Value {
    world.send(call(Method::GET, session).bearer(&admin()).empty()).await.json()["state"].clone()
}

#[tokio::test]
async fn who_joins_a_room_with_a_waiting_room_waits_until_admitted_or_turned_away() {
    let world = World::production();
    world.send(call(Method::PUT, "/v1/rooms/standup").bearer(&admin()).json(r#"{"waiting_room":true}"#)).await;
    let (ann, bob, eve) = (join(&world, &member("ann")).await, join(&world, &member("bob")).await, join(&world, &admin()).await);
    assert_eq!([state(&world, &ann).await, state(&world, &bob).await, state(&world, &eve).await], ["waiting", "waiting", "connected"]);
    assert_eq!(post(&world, &format!("{ann}/admit"), &member("ann"), "{}").await.problem(), "missing-grant", "nobody admits himself");
    assert_eq!(post(&world, &format!("{ann}/admit"), &admin(), "{}").await.json()["state"], "connected");
    assert_eq!(post(&world, &format!("{bob}/deny"), &admin(), "{}").await.status, StatusCode::NO_CONTENT);
    let again = world.send(call(Method::POST, "/v1/rooms/standup/participants").bearer(&member("bob")).sdp(OFFER)).await;
    assert_eq!(again.problem(), "revoked", "who was turned away does not ask again with the same token");
    let carl = join(&world, &member("carl")).await;
    patch(&world, "/v1/rooms/standup", &admin(), r#"{"waiting_room":false}"#).await;
    assert_eq!(state(&world, &carl).await, "connected", "the waiting room is closed, and all who waited are in");
}

#[tokio::test]
async fn whom_an_operator_muted_an_operator_lets_speak_again_and_nobody_opens_anothers_microphone() {
    let world = World::production();
    let ann = join(&world, &member("ann")).await;
    let muted = patch(&world, &ann, &admin(), r#"{"muted_audio":true}"#).await.json();
    assert_eq!((&muted["muted_audio"], &muted["operator_muted_audio"]), (&json!(true), &json!(true)));
    let refused = patch(&world, &ann, &member("ann"), r#"{"muted_audio":false,"name":"Zoe"}"#).await;
    assert_eq!((refused.status, refused.problem().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
    let let_go = patch(&world, &ann, &admin(), r#"{"muted_audio":false}"#).await.json();
    assert_eq!((&let_go["muted_audio"], &let_go["operator_muted_audio"]), (&json!(true), &json!(false)), "the microphone stays shut");
    assert_eq!(let_go["name"], "ann", "a patch that was refused changed nothing");
    assert_eq!(patch(&world, &ann, &admin(), r#"{"muted_audio":false}"#).await.problem(), "forbidden");
    assert_eq!(patch(&world, &ann, &member("ann"), r#"{"muted_audio":false}"#).await.json()["muted_audio"], false);
    patch(&world, "/v1/rooms/standup", &admin(), r#"{"self_unmute":true}"#).await;
    patch(&world, &ann, &admin(), r#"{"muted_video":true}"#).await;
    let free = patch(&world, &ann, &member("ann"), r#"{"muted_video":false}"#).await.json();
    assert_eq!((&free["muted_video"], &free["operator_muted_video"]), (&json!(false), &json!(false)), "the room lets people decide");
}

#[tokio::test]
async fn a_removal_is_listed_and_can_be_taken_back() {
    let world = World::production();
    let ann = join(&world, &member("ann")).await;
    assert_eq!(world.send(call(Method::DELETE, &ann).bearer(&admin()).empty()).await.status, StatusCode::NO_CONTENT);
    let door = || world.send(call(Method::POST, "/v1/rooms/standup/participants").bearer(&member("ann")).sdp(OFFER));
    assert_eq!(door().await.problem(), "revoked");
    assert_eq!(world.send(call(Method::GET, "/v1/rooms/standup").bearer(&member("ann")).empty()).await.problem(), "revoked", "nor look in");
    let list = || world.send(call(Method::GET, "/v1/rooms/standup/removed").bearer(&admin()).empty());
    assert_eq!(list().await.json()["items"][0]["identity"], "ann");
    let allow = || world.send(call(Method::DELETE, "/v1/rooms/standup/removed/ann").bearer(&admin()).empty());
    assert_eq!((allow().await.status, allow().await.status), (StatusCode::NO_CONTENT, StatusCode::NOT_FOUND));
    assert_eq!((door().await.status, list().await.json()["items"].as_array().map(Vec::len)), (StatusCode::CREATED, Some(0)));
}

#[tokio::test]
async fn a_locked_room_keeps_strangers_out_and_lets_people_come_back_to_their_place() {
    let world = World::production();
    world.send(call(Method::PUT, "/v1/rooms/standup").bearer(&admin()).json(r#"{"max_participants":1}"#)).await;
    join(&world, &member("ann")).await;
    patch(&world, "/v1/rooms/standup", &admin(), r#"{"locked":true}"#).await;
    let door = async |token: String| world.send(call(Method::POST, "/v1/rooms/standup/participants").bearer(&token).sdp(OFFER)).await;
    assert_eq!(door(member("bob")).await.problem(), "forbidden");
    assert_eq!(door(member("ann")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn who_is_sent_to_another_room_gets_a_token_with_the_same_rights_for_it() {
    let world = World::production();
    let ann = join(&world, &member("ann")).await;
    let mut events = world.stage.rooms.lock().expect("lock").values().next().expect("room").events();
    let to = |token: String, body: &'static str| {
        let (world, path) = (&world, format!("{ann}/transfer"));
        async move { post(world, &path, &token, body).await }
    };
    assert_eq!(to(admin(), r#"{"room":"lounge"}"#).await.problem(), "missing-grant", "an admin of one room opens no other");
    assert_eq!(to(server(), r#"{"room":"a b"}"#).await.json()["errors"][0]["pointer"], "/room");
    assert_eq!(to(server(), r#"{"room":"lounge"}"#).await.status, StatusCode::ACCEPTED);
    let told = events.try_recv().expect("told").data;
    let token = told["token"].as_str().expect("token");
    let other = world.send(call(Method::POST, "/v1/rooms/lounge/participants").bearer(token).sdp(OFFER)).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text());
    assert_eq!(world.send(call(Method::DELETE, "/v1/rooms/lounge").bearer(token).empty()).await.problem(), "missing-grant");
}

#[tokio::test]
async fn to_publish_data_is_to_chat() {
    let world = World::production();
    join(&world, &member("ann")).await;
    let silent = token_of("main", SECRET, "ann", &json!({"room": "standup", "join": true, "publish": ["audio"], "subscribe": true}));
    assert_eq!(post(&world, "/v1/rooms/standup/messages", &silent, r#"{"text":"x"}"#).await.problem(), "missing-grant");
    assert_eq!(post(&world, "/v1/rooms/standup/messages", &member("ann"), r#"{"text":"x"}"#).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn keys_are_exchanged_while_the_server_runs_and_no_join_fails() {
    const NEXT: &str = "jR5tW0yK7pL3vB9nD1fG6hS8aQ2xZ4cE";
    let key = |id: &str, secret: &str| Key { id: id.into(), secret: Secret::new(secret), ..Key::default() };
    let world = World::new(keyed(), Mode::Production, Stage::default());
    let grants = json!({"room": "standup", "publish": ["video"]});
    let (old, new) = (token_of("main", SECRET, "ann", &grants), token_of("next", NEXT, "bob", &grants));
    let status = async |token: String| world.send(call(Method::POST, "/whip/standup").bearer(&token).sdp(OFFER)).await.status;
    assert_eq!((status(old.clone()).await, status(new.clone()).await), (StatusCode::CREATED, StatusCode::UNAUTHORIZED));
    assert!(world.app.keys.replace(&[key("main", SECRET), key("next", NEXT)]));
    assert!(!world.app.keys.replace(&[key("main", SECRET), key("next", NEXT)]), "nothing has changed");
    assert_eq!((status(old.clone()).await, status(new.clone()).await), (StatusCode::CREATED, StatusCode::CREATED));
    let made = post(&world, "/v1/tokens", &server(), r#"{"identity":"carl","room":"standup","publish":["audio"]}"#).await.json();
    world.app.keys.replace(&[key("next", NEXT)]);
    assert_eq!((status(old).await, status(new).await), (StatusCode::UNAUTHORIZED, StatusCode::CREATED));
    assert_eq!(status(made["token"].as_str().expect("token").to_owned()).await, StatusCode::CREATED, "new tokens are of the newest key");
}

#[tokio::test]
async fn who_waits_at_the_door_or_has_not_knocked_neither_reads_the_room_nor_speaks_into_it() {
    let world = World::production();
    world.send(call(Method::PUT, "/v1/rooms/standup").bearer(&admin()).json(r#"{"waiting_room":true}"#)).await;
    let ann = join(&world, &member("ann")).await;
    let shut = ["", "/participants", "/views", "/views/main", "/views/main/layout", "/views/main/snapshot.png", "/sidebars", "/events"];
    for token in [member("ann"), member("stranger")] {
        for path in shut {
            let reply = world.send(call(Method::GET, &format!("/v1/rooms/standup{path}")).bearer(&token).empty()).await;
            assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{path}");
        }
        assert_eq!(post(&world, "/v1/rooms/standup/messages", &token, r#"{"text":"hi"}"#).await.problem(), "forbidden");
    }
    let own = world.send(call(Method::GET, &ann).bearer(&member("ann")).empty()).await;
    assert_eq!(own.json()["state"], "waiting", "one's own state is one's own");
    assert_eq!(world.send(call(Method::GET, &ann).bearer(&member("stranger")).empty()).await.problem(), "forbidden");
    post(&world, &format!("{ann}/admit"), &admin(), "{}").await;
    for path in shut.iter().filter(|path| !path.ends_with("events")) {
        let reply = world.send(call(Method::GET, &format!("/v1/rooms/standup{path}")).bearer(&member("ann")).empty()).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
    }
}
