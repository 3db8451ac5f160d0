//! Tokens and grants: the table of what is refused how, and every operation against every role.

use crate::world::{CANDIDATES, NOW, OFFER, SECRET, Stage, World, call, keyed};
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use mixdown::api::rules::{Need, RULES};
use mixdown::config::{Key, Mode, Secret};
use serde_json::{Value, json};

fn signed(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("signed")
}

fn token(grants: &Value) -> String {
    signed(&Header::default(), &claims("ann", grants), SECRET)
}

fn claims(sub: &str, grants: &Value) -> Value {
    json!({"iss": "main", "sub": sub, "exp": NOW + 600, "iat": NOW - 10, "mixdown": grants})
}

fn member() -> Value {
    json!({"room": "standup", "join": true, "publish": ["audio", "video", "data"], "subscribe": true})
}

/// Claims with one thing changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims("ann", &member());
    change(&mut claims);
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("signature"))
}

#[tokio::test]
async fn every_kind_of_bad_token_is_401_with_its_code() {
    let good = claims("ann", &member());
    let sign = |claims: &Value| signed(&Header::default(), claims, SECRET);
    let header = |change: fn(&mut Header)| {
        let mut header = Header::default();
        change(&mut header);
        signed(&header, &claims("ann", &member()), SECRET)
    };
    let cases: Vec<(&str, String, &str)> = vec![
        ("27 alg none", unsigned(&json!({"alg": "none"}), &good), "invalid-token"),
        ("27 alg None", unsigned(&json!({"alg": "None"}), &good), "invalid-token"),
        ("27 alg RS256", unsigned(&json!({"alg": "RS256"}), &good), "invalid-token"),
        ("27 alg unknown", unsigned(&json!({"alg": "XX1"}), &good), "invalid-token"),
        ("27 alg HS512, rightly signed", signed(&Header::new(Algorithm::HS512), &good, SECRET), "invalid-token"),
        ("27 unknown key", sign(&changed(|claims| claims["iss"] = json!("other"))), "invalid-token"),
        ("27 key id with a path", sign(&changed(|claims| claims["iss"] = json!("../main"))), "invalid-token"),
        ("27 key id with SQL", sign(&changed(|claims| claims["iss"] = json!("main' OR 1=1--"))), "invalid-token"),
        ("27 kid of another key", header(|header| header.kid = Some("../../dev/null".into())), "invalid-token"),
        ("27 jku", header(|header| header.jku = Some("http://127.0.0.1:1/keys".into())), "invalid-token"),
        ("27 x5u", header(|header| header.x5u = Some("http://127.0.0.1:1/cert".into())), "invalid-token"),
        ("27 x5c", header(|header| header.x5c = Some(vec!["AAAA".into()])), "invalid-token"),
        ("27 wrong secret", signed(&Header::default(), &good, "another secret of at least 32 bytes!"), "invalid-token"),
        ("27 empty secret", signed(&Header::default(), &good, ""), "invalid-token"),
        ("28 expired", sign(&changed(|claims| claims["exp"] = json!(NOW - 31))), "token-expired"),
        ("28 long expired", sign(&changed(|claims| claims["exp"] = json!(0))), "token-expired"),
        ("28 nbf in the future", sign(&changed(|claims| claims["nbf"] = json!(NOW + 31))), "invalid-token"),
        ("28 iat in the future", sign(&changed(|claims| claims["iat"] = json!(NOW + 31))), "invalid-token"),
        ("28 exp missing", sign(&changed(|claims| drop(claims.as_object_mut().expect("object").remove("exp")))), "invalid-token"),
        ("28 exp beyond the longest life", sign(&changed(|claims| claims["exp"] = json!(NOW + 6 * 3600 + 31))), "invalid-token"),
        ("28 exp without end", sign(&changed(|claims| claims["exp"] = json!(u64::MAX))), "invalid-token"),
        ("28 exp near the end of time", sign(&changed(|claims| claims["exp"] = json!(i64::MAX))), "invalid-token"),
        ("28 exp as text", sign(&changed(|claims| claims["exp"] = json!("2100"))), "invalid-token"),
        ("28 exp negative", sign(&changed(|claims| claims["exp"] = json!(-1))), "invalid-token"),
        ("28 sub missing", sign(&changed(|claims| drop(claims.as_object_mut().expect("object").remove("sub")))), "invalid-token"),
        ("32 16 KiB", "x".repeat(16 * 1024), "invalid-token"),
        ("26 no dots", "abc".into(), "invalid-token"),
        ("26 empty parts", "..".into(), "invalid-token"),
        ("26 not base64", "!!.!!.!!".into(), "invalid-token"),
        ("33 retired key", signed(&Header::default(), &changed(|claims| claims["iss"] = json!("old")), SECRET), "revoked"),
    ];
    let mut config = keyed();
    config.auth.keys.push(Key {
        id: "old".into(),
        secret: Secret::new(SECRET),
        not_after: "2026-01-01T00:00:00Z".into(),
        ..Key::default()
    });
    let world = World::new(config, Mode::Production, Stage::default());
    for (case, token, code) in cases {
        let reply = world.send(call(Method::POST, "/whip/standup").bearer(&token).sdp(OFFER)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::UNAUTHORIZED, code), "{case}: {}", reply.text());
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{case}");
        assert!(!reply.text().contains(SECRET) && (token.len() < 8 || !reply.text().contains(&token)), "{case}");
    }
    for claims in [
        changed(|claims| claims["exp"] = json!(NOW - 29)),
        changed(|claims| claims["nbf"] = json!(NOW + 29)),
        changed(|claims| claims["iat"] = json!(NOW + 29)),
        changed(|claims| claims["aud"] = json!("whoever")),
        good.clone(),
    ] {
        let reply = world.send(call(Method::POST, "/whip/standup").bearer(&sign(&claims)).sdp(OFFER)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "within the leeway: {claims} {}", reply.text());
    }
}

#[tokio::test]
async fn credentials_of_the_wrong_form_are_401_and_the_query_is_not_looked_at() {
    let world = World::production();
    let good = token(&member());
    for value in ["", "Bearer", "Bearer ", "Digest x", "Basic !!!", "Basic bWFpbg==", "bearer\tx"] {
        let reply = world.send(call(Method::GET, "/v1/rooms/standup").with("authorization", value).empty()).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{value:?}");
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
    for path in [format!("/v1/rooms/standup?token={good}"), format!("/v1/rooms/standup?access_token={good}")] {
        assert_eq!(world.get(&path).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.get("/v1/rooms/standup").await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_grant_that_is_missing_is_named_and_a_token_without_grants_is_403() {
    let world = World::production();
    let bare = signed(&Header::default(), &json!({"iss": "main", "sub": "ann", "exp": NOW + 60}), SECRET);
    let only_joins = token(&json!({"room": "standup", "join": true}));
    for (token, method, path, named) in [
        (&bare, Method::POST, "/whip/standup", "carries none"),
        (&bare, Method::GET, "/v1/rooms/standup", "carries none"),
        (&token(&Value::Null), Method::POST, "/whip/standup", "carries none"),
        (&token(&json!({})), Method::POST, "/whip/standup", ""),
        (&only_joins, Method::POST, "/whip/standup", "publish"),
        (&only_joins, Method::POST, "/v1/rooms/standup/recordings", "record"),
        (&only_joins, Method::PATCH, "/v1/rooms/standup", "admin"),
        (&only_joins, Method::PATCH, "/v1/rooms/standup/views/main/layout", "layout"),
    ] {
        let request = call(method, path).bearer(token);
        let reply = world.send(if path.starts_with("/whip") { request.sdp(OFFER) } else { request.json("{}") }).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}: {}", reply.text());
        let detail = reply.json()["detail"].as_str().expect("detail").to_owned();
        assert!(detail.contains(named), "{path}: {detail}");
    }
}

#[tokio::test]
async fn an_api_key_makes_tokens_and_a_token_does_not() {
    let world = World::production();
    let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let body = r#"{"identity":"ann","room":"standup","join":true,"publish":["audio","video"],"subscribe":true}"#;
    let ask = |credentials: String| world.send(call(Method::POST, "/v1/tokens").with("authorization", &credentials).json(body));
    let made = ask(basic("main", SECRET)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let minted = made.json()["token"].as_str().expect("token").to_owned();
    assert_eq!(world.send(call(Method::POST, "/whip/standup").bearer(&minted).sdp(OFFER)).await.status, StatusCode::CREATED);
    for (id, secret) in [("main", "wrong"), ("main", ""), ("", SECRET), ("other", SECRET), ("main", &SECRET[..31])] {
        assert_eq!(ask(basic(id, secret)).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(format!("Bearer {minted}")).await.problem(), "missing-grant");
    let room_admin = token(&json!({"room": "standup", "admin": true}));
    assert_eq!(ask(format!("Bearer {room_admin}")).await.status, StatusCode::FORBIDDEN, "an admin of one room makes no tokens");
    let admin = token(&json!({"admin": true}));
    assert_eq!(ask(format!("Bearer {admin}")).await.status, StatusCode::CREATED, "an admin of all rooms does");
}

#[tokio::test]
async fn token_requests_are_checked() {
    let world = World::dev();
    let keyed = World::production();
    let credentials = format!("Basic {}", STANDARD.encode(format!("main:{SECRET}")));
    for (body, pointer) in [
        (r#"{"identity":"","room":"a"}"#, "/identity"),
        (r#"{"identity":"a"}"#, "/room"),
        (r#"{"identity":"a","room":"a b"}"#, "/room"),
        (r#"{"identity":"a","room":"a","publish":["smell"]}"#, "/publish"),
        (r#"{"identity":"a","room":"a","ttl_ms":1}"#, "/ttl_ms"),
        (r#"{"identity":"a","room":"a","ttl_ms":99999999999}"#, "/ttl_ms"),
        (r#"{"identity":"a","room":"a","root":true}"#, "/root"),
    ] {
        let reply = keyed.send(call(Method::POST, "/v1/tokens").with("authorization", &credentials).json(body)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer);
    }
    let bad = r#"{"publish":["smell"],"ttl_ms":1}"#;
    let reply = keyed.send(call(Method::POST, "/v1/tokens").with("authorization", &credentials).json(bad)).await;
    let errors = reply.json()["errors"].clone();
    let pointers: Vec<_> = errors.as_array().expect("errors").iter().map(|error| error["pointer"].as_str().expect("pointer")).collect();
    assert_eq!(pointers, ["/identity", "/ttl_ms", "/room", "/publish"], "what is missing and what is wrong, at once: {errors}");
    let reply = world.send(call(Method::POST, "/v1/tokens").json(r#"{"identity":"a","room":"a"}"#)).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "without a key there is nothing to sign with");
}

#[tokio::test]
async fn another_room_answers_alike_whether_it_exists_or_not() {
    let world = World::production();
    let other = token(&json!({"room": "secret", "join": true, "publish": ["video"], "subscribe": true, "admin": true}));
    let secret = world.send(call(Method::POST, "/whip/secret").bearer(&other).sdp(OFFER)).await;
    let session = secret.header("location").to_owned();
    let mine = token(&json!({"room": "standup", "join": true, "publish": ["video"], "subscribe": true, "admin": true, "layout": true}));
    for rule in RULES.iter().filter(|rule| rule.path.contains("{room}") && rule.need != Need::Open) {
        let path = |room: &str| {
            let id = session.rsplit('/').next().expect("id");
            rule.path.replace("{room}", room).replace("{id}", id).replace("{view}", "main").replace("{sidebar}", "x")
        };
        let method = Method::from_bytes(rule.method.as_bytes()).expect("method");
        let ask = |room: &'static str| world.send(call(method.clone(), &path(room)).bearer(&mine).body("application/json", "{}"));
        let (existing, missing) = (ask("secret").await, ask("missing").await);
        assert_eq!((existing.status, existing.problem().as_str()), (StatusCode::FORBIDDEN, "wrong-room"), "{rule:?}");
        let strip = |reply: &crate::world::Reply| {
            let mut body = reply.json();
            body.as_object_mut().expect("object").remove("instance");
            body
        };
        assert_eq!((existing.status, strip(&existing)), (missing.status, strip(&missing)), "{rule:?}");
    }
}

/// Which roles may do an operation, by what it needs.
fn may(need: Need, role: &str) -> bool {
    match need {
        Need::Open => true,
        Need::Server => role == "server",
        Need::Admin => matches!(role, "server" | "admin"),
        Need::Member => role != "nobody" && role != "no grants" && role != "recorder",
        Need::Session => matches!(role, "server" | "admin" | "owner"),
        Need::Join => matches!(role, "server" | "participant" | "owner"),
        Need::Publish => matches!(role, "server" | "publisher" | "participant" | "owner"),
        Need::Subscribe | Need::Watch | Need::Stream => matches!(role, "server" | "viewer" | "participant" | "owner" | "admin"),
        Need::Chat => matches!(role, "server" | "participant" | "owner" | "admin"),
        Need::Layout => matches!(role, "server" | "admin" | "designer"),
        Need::Record => matches!(role, "server" | "admin" | "recorder"),
    }
}

/// A server that Ann has joined, and her session, where the path is one of sessions.
async fn with_ann(path: &str) -> (World, String) {
    let world = World::production();
    let ann = signed(&Header::default(), &claims("ann", &member()), SECRET);
    let door =
        if path.starts_with("/v1") { "/v1/rooms/standup/participants" } else { &path.replace("{room}", "standup").replace("/{id}", "") };
    let joinable = ["/v1/rooms/standup/participants", "/whip/standup", "/whep/standup"].contains(&door);
    let session = if joinable {
        world.send(call(Method::POST, door).bearer(&ann).sdp(OFFER)).await.header("location").to_owned()
    } else {
        String::new()
    };
    (world, session)
}

#[tokio::test]
async fn every_operation_is_open_to_exactly_the_roles_that_may() {
    // whoever is not the owner is somebody else
    let other = |grants: &Value| signed(&Header::default(), &claims("bob", grants), SECRET);
    let roles: Vec<(&str, Option<String>)> = vec![
        ("nobody", None),
        ("no grants", Some(signed(&Header::default(), &json!({"iss": "main", "sub": "x", "exp": NOW + 60}), SECRET))),
        ("recorder", Some(other(&json!({"room": "standup", "record": true})))),
        ("viewer", Some(other(&json!({"room": "standup", "subscribe": true})))),
        ("publisher", Some(other(&json!({"room": "standup", "publish": ["video"]})))),
        ("participant", Some(signed(&Header::default(), &claims("bob", &member()), SECRET))),
        ("owner", Some(token(&member()))),
        ("designer", Some(other(&json!({"room": "standup", "layout": true})))),
        ("admin", Some(signed(&Header::default(), &claims("eve", &json!({"room": "standup", "admin": true})), SECRET))),
        ("server", Some(token(&json!({"admin": true})))),
    ];
    for rule in RULES {
        // Whoever is refused has changed nothing.
        let mut untouched = None;
        for (role, token) in &roles {
            let (world, session) = match untouched.take() {
                Some(kept) => kept,
                None => with_ann(rule.path).await,
            };
            let id = session.rsplit('/').next().unwrap_or_default();
            let path = rule
                .path
                .replace("{room}", "standup")
                .replace("{id}", id)
                .replace("{view}", "main")
                .replace("{sidebar}", "x")
                .replace("{code}", "busy")
                .replace("{identity}", "ann")
                .replace("{name}", "wide")
                .replace("{recording}", "rec_0123456789abcdef0123456789abcdef")
                .replace("{egress}", "eg_0123456789abcdef0123456789abcdef")
                .replace("{part}", "segment-0.m4s")
                .replace("{*file}", "mixdown.js")
                .replace("{file}", "camera-0001.mp4");
            let mut request = call(Method::from_bytes(rule.method.as_bytes()).expect("method"), &path);
            if let Some(token) = token {
                request = request.bearer(token);
            }
            let trickle = rule.need == Need::Session && rule.method == "PATCH";
            let request = match (rule.produces, rule.method) {
                ("application/sdp", _) => request.sdp(OFFER),
                _ if trickle => request.with("if-match", "*").body("application/trickle-ice-sdpfrag", CANDIDATES),
                _ if rule.path.ends_with("/recordings") => request.json("{}"),
                _ => request.json(r#"{"text":"x"}"#),
            };
            // An event stream has no end to wait for.
            let status = if rule.produces == "text/event-stream" {
                use tower::ServiceExt;
                world.router().oneshot(request).await.expect("infallible").status()
            } else {
                world.send(request).await.status
            };
            let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            assert_eq!(!refused, may(rule.need, role), "{role}: {} {} gave {status}", rule.method, rule.path);
            untouched = refused.then_some((world, session));
        }
    }
}

#[tokio::test]
async fn somebody_elses_session_needs_admin_and_a_failure_hurts_the_caller_alone() {
    let world = World::production();
    let ann = signed(&Header::default(), &claims("ann", &member()), SECRET);
    let bob = signed(&Header::default(), &claims("bob", &member()), SECRET);
    let session =
        world.send(call(Method::POST, "/v1/rooms/standup/participants").bearer(&ann).sdp(OFFER)).await.header("location").to_owned();
    assert_eq!(world.send(call(Method::DELETE, &session).bearer(&bob).empty()).await.problem(), "missing-grant");
    let patch = |token: &str, body: &'static str| {
        world.send(call(Method::PATCH, &session).bearer(token).body("application/merge-patch+json", body))
    };
    assert_eq!(patch(&bob, r#"{"muted_audio":true}"#).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.get(&session).await.status, StatusCode::UNAUTHORIZED, "an invalid caller evicts nobody");
    let shown = world.send(call(Method::GET, &session).bearer(&bob).empty()).await.json();
    assert_eq!((shown["identity"].as_str(), shown["muted_audio"].as_bool()), (Some("ann"), Some(false)));
    assert_eq!(patch(&ann, r#"{"muted_audio":true}"#).await.status, StatusCode::OK);
    for body in [r#"{"role":"speaker"}"#, r#"{"pinned":true}"#, r#"{"view":"backstage"}"#] {
        assert_eq!(patch(&ann, body).await.problem(), "missing-grant", "{body}");
    }
    let eve = signed(&Header::default(), &claims("eve", &json!({"room": "standup", "admin": true})), SECRET);
    assert_eq!(patch(&eve, r#"{"muted_audio":false}"#).await.problem(), "forbidden", "nobody opens another's microphone");
    assert_eq!(patch(&eve, r#"{"role":"speaker","pinned":true}"#).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_was_removed_does_not_come_back_with_the_same_token() {
    let world = World::production();
    let ann = signed(&Header::default(), &claims("ann", &member()), SECRET);
    let join = |token: &str| world.send(call(Method::POST, "/whip/standup").bearer(token).sdp(OFFER));
    let session = join(&ann).await.header("location").to_owned();
    let eve = signed(&Header::default(), &claims("eve", &json!({"room": "standup", "admin": true})), SECRET);
    assert_eq!(world.send(call(Method::DELETE, &session).bearer(&eve).empty()).await.status, StatusCode::OK);
    assert_eq!(join(&ann).await.problem(), "revoked");
    let bob = signed(&Header::default(), &claims("bob", &member()), SECRET);
    assert_eq!(join(&bob).await.status, StatusCode::CREATED, "others are not hurt");
    let anew = signed(&Header::default(), &changed(|claims| claims["iat"] = json!(NOW + 5)), SECRET);
    assert_eq!(join(&anew).await.status, StatusCode::CREATED, "a token made afterwards counts");
    let own = join(&bob).await.header("location").to_owned();
    world.send(call(Method::DELETE, &own).bearer(&bob).empty()).await;
    assert_eq!(join(&bob).await.status, StatusCode::CREATED, "who leaves may come back");
}

#[tokio::test]
async fn no_answer_ever_sets_a_cookie() {
    let world = World::dev();
    for path in ["/", "/v1/rooms", "/version", "/metrics", "/nowhere"] {
        assert!(!world.get(path).await.headers.contains_key("set-cookie"));
    }
}
