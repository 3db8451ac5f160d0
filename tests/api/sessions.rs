//! Joining, WHIP and WHEP, to the letter of docs/api.md, RFC 9725 and draft-ietf-wish-whep.

use crate::world::{CANDIDATES, OFFER, RESTART, World, call};
use axum::http::{Method, StatusCode};
use mixdown::config::{Config, IceServer, Mode, Secret};

const TRICKLE: &str = "application/trickle-ice-sdpfrag";
const MERGE: &str = "application/merge-patch+json";
const DOORS: [&str; 3] = ["/v1/rooms/standup/participants", "/whip/standup", "/whep/standup"];

#[tokio::test]
async fn a_join_is_answered_with_location_etag_and_the_answer() {
    let world = World::dev();
    for door in DOORS {
        let reply = world.send(call(Method::POST, &format!("{door}?name=Ann")).sdp(OFFER)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{door}");
        let location = reply.header("location");
        assert!(location.starts_with(&format!("{door}/pt_")), "root-relative: {location}");
        assert_eq!(reply.header("content-type"), "application/sdp");
        assert!(reply.header("etag").starts_with('"'));
        assert!(reply.text().starts_with("v=0"));
        assert!(reply.header("accept-patch").contains(TRICKLE));
    }
}

#[tokio::test]
async fn candidates_are_taken_with_204_without_body_or_etag() {
    let world = World::dev();
    for door in DOORS {
        let (session, etag) = world.join(door).await;
        let reply = world.send(call(Method::PATCH, &session).with("if-match", &etag).body(TRICKLE, CANDIDATES)).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{door}: {}", reply.text());
        assert!(reply.body.is_empty() && !reply.headers.contains_key("etag"));
    }
}

#[tokio::test]
async fn an_ice_restart_is_answered_with_200_and_a_new_etag_that_voids_the_old_one() {
    let world = World::dev();
    for door in DOORS {
        for star in ["*", "\"*\""] {
            let (session, old) = world.join(door).await;
            let reply = world.send(call(Method::PATCH, &session).with("if-match", star).body(TRICKLE, RESTART)).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.header("content-type"), TRICKLE);
            assert_ne!(reply.header("etag"), old);
            let stale = world.send(call(Method::PATCH, &session).with("if-match", &old).body(TRICKLE, CANDIDATES)).await;
            assert_eq!((stale.status, stale.problem().as_str()), (StatusCode::PRECONDITION_FAILED, "precondition-failed"));
        }
    }
}

#[tokio::test]
async fn a_patch_without_if_match_is_428_and_of_another_type_415_with_what_is_taken() {
    let world = World::dev();
    for door in DOORS {
        let (session, etag) = world.join(door).await;
        let reply = world.send(call(Method::PATCH, &session).body(TRICKLE, CANDIDATES)).await;
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (428, "precondition-required"));
        let reply = world.send(call(Method::PATCH, &session).with("if-match", &etag).body("text/plain", "x")).await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(reply.header("accept-patch").contains(TRICKLE));
        let reply = world.send(call(Method::PATCH, &session).with("if-match", &etag).body(TRICKLE, "rubbish")).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::BAD_REQUEST, "sdp"));
    }
}

#[tokio::test]
async fn whip_and_whep_sessions_take_no_new_offer_and_no_merge_patch() {
    let world = World::dev();
    for door in &DOORS[1..] {
        let (session, etag) = world.join(door).await;
        for (kind, body) in [("application/sdp", OFFER), (MERGE, "{}")] {
            let reply = world.send(call(Method::PATCH, &session).with("if-match", &etag).body(kind, body)).await;
            assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert_eq!(reply.header("accept-patch"), TRICKLE);
        }
    }
}

#[tokio::test]
async fn after_delete_everything_is_404() {
    let world = World::dev();
    for (door, gone) in DOORS.into_iter().zip([StatusCode::NO_CONTENT, StatusCode::OK, StatusCode::OK]) {
        let ((session, _), (second, _)) = (world.join(door).await, world.join(door).await);
        assert_ne!(session, second, "two are two where nobody says who he is");
        let first = world.send(call(Method::DELETE, &session).empty()).await;
        assert_eq!((first.status, first.body.len()), (gone, 0));
        assert_eq!(world.send(call(Method::DELETE, &session).empty()).await.status, StatusCode::NOT_FOUND);
        let reply = world.send(call(Method::PATCH, &session).with("if-match", "*").body(TRICKLE, CANDIDATES)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::NOT_FOUND, "not-found"));
    }
}

#[tokio::test]
async fn reserved_methods_are_405_and_options_says_what_is_taken() {
    let world = World::dev();
    let (session, _) = world.join("/whip/standup").await;
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        for path in ["/whip/standup", "/whep/standup", &session] {
            let reply = world.send(call(method.clone(), path).empty()).await;
            assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(reply.header("allow").contains(if path.len() > 20 { "PATCH" } else { "POST" }));
        }
    }
    for door in DOORS {
        let reply = world.send(call(Method::OPTIONS, door).empty()).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        assert_eq!(reply.header("accept-post"), "application/sdp");
        assert!(reply.header("allow").contains("POST"), "{}", reply.header("allow"));
    }
}

#[tokio::test]
async fn offers_that_cannot_be_read_are_400_and_unusable_ones_422() {
    let world = World::dev();
    for door in DOORS {
        let post = |kind: &'static str, body: &'static str| world.send(call(Method::POST, door).body(kind, body));
        for body in ["", "  \r\n", "{}", "hello", "v=0\r\n\0"] {
            let reply = post("application/sdp", body).await;
            assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::BAD_REQUEST, "sdp"), "{body:?}");
        }
        let mut request = call(Method::POST, door).body("application/sdp", "");
        *request.body_mut() = b"v=0\r\ns=\xff\r\n".to_vec().into();
        let reply = world.send(request).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::BAD_REQUEST, "sdp"), "no UTF-8");
        let reply = post("application/sdp", "v=0\r\nunusable\r\n").await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "unusable-offer"));
        let reply = post("application/json", "{}").await;
        assert_eq!((reply.status, reply.header("accept-post")), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/sdp"));
    }
}

#[tokio::test]
async fn a_session_is_found_behind_its_own_door_alone() {
    let world = World::dev();
    let (session, _) = world.join("/whip/standup").await;
    for other in [session.replace("/whip/", "/whep/"), session.replace("/whip/standup", "/whip/elsewhere")] {
        assert_eq!(world.send(call(Method::DELETE, &other).empty()).await.status, StatusCode::NOT_FOUND, "{other}");
    }
    let as_participant = session.replace("/whip/standup", "/v1/rooms/standup/participants");
    assert_eq!(world.send(call(Method::DELETE, &as_participant).empty()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&as_participant).await.status, StatusCode::OK, "but it is shown there");
}

#[tokio::test]
async fn a_new_offer_on_a_running_session_is_answered() {
    let world = World::dev();
    let (session, etag) = world.join(DOORS[0]).await;
    let reply = world.send(call(Method::PATCH, &session).with("if-match", &etag).sdp(OFFER)).await;
    assert_eq!((reply.status, reply.text().as_str()), (StatusCode::OK, "v=0\r\nagain\r\n"));
    let reply = world.send(call(Method::PATCH, &session).with("if-match", "\"old\"").sdp(OFFER)).await;
    assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED);
    let reply = world.send(call(Method::PATCH, &session).sdp("v=0\r\nunusable\r\n")).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "and the session goes on");
    assert_eq!(world.get(&session).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_merge_patch_changes_what_it_names() {
    let world = World::dev();
    let (session, _) = world.join("/v1/rooms/standup/participants?name=Ann").await;
    let patch = |body: &'static str| world.send(call(Method::PATCH, &session).body(MERGE, body));
    let reply = patch(r#"{"name":"Änne","muted_audio":true,"role":"speaker","max_height":360}"#).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let shown = world.get(&session).await.json();
    assert_eq!(
        (shown["name"].as_str(), shown["muted_audio"].as_bool(), shown["role"].as_str()),
        (Some("Änne"), Some(true), Some("speaker"))
    );
    assert_eq!(patch(r#"{"role":null,"max_height":null}"#).await.json()["role"], serde_json::Value::Null);
    let reply = patch(r#"{"name":null,"muted_audio":"yes","bogus":1}"#).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reply = patch(r#"{"view":"nowhere"}"#).await;
    assert_eq!((reply.status, reply.json()["errors"][0]["pointer"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("/view")));
}

#[tokio::test]
async fn ice_servers_come_one_link_per_url_with_fresh_credentials() {
    let mut config = Config::default();
    config.net.ice_servers = vec![
        IceServer { urls: vec!["stun:stun.example.org".into()], ttl_ms: 60_000, ..IceServer::default() },
        IceServer {
            urls: vec!["turn:turn.example.org?transport=udp".into(), "turns:turn.example.org".into()],
            secret: Secret::new("north"),
            ttl_ms: 3_600_000,
            ..IceServer::default()
        },
    ];
    let world = World::new(config, Mode::Dev, Default::default());
    let reply = world.send(call(Method::POST, "/whip/standup").sdp(OFFER)).await;
    let links: Vec<&str> = reply.headers.get_all("link").iter().map(|link| link.to_str().expect("text")).collect();
    assert_eq!(links.len(), 3);
    assert_eq!(links[0], "<stun:stun.example.org>; rel=\"ice-server\"");
    assert!(links[1].contains("username=\"1800003600:pt_") && links[1].contains("credential-type=\"password\""), "{}", links[1]);
    let options = world.send(call(Method::OPTIONS, "/whip/standup").empty()).await;
    assert_eq!(options.headers.get_all("link").iter().count(), 3, "before the offer, for clients that gather first");
}

#[tokio::test]
async fn names_and_room_ids_are_checked() {
    let world = World::dev();
    for name in ["%00", "%1b%5b31m", &"x".repeat(257)] {
        let reply = world.send(call(Method::POST, &format!("/whip/standup?name={name}")).sdp(OFFER)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "validation"), "{name}");
        assert_eq!(reply.json()["errors"][0]["pointer"], "?name");
    }
    for room in ["%20", "a%2Fb", "%F0%9F%98%80", &"a".repeat(129), ".hidden", "%2e%2e", "%E2%80%AEa"] {
        for door in ["/v1/rooms/{}/participants", "/whip/{}", "/whep/{}"] {
            let reply = world.send(call(Method::POST, &door.replace("{}", room)).sdp(OFFER)).await;
            assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "room-id"), "{door} {room}");
        }
    }
}

#[tokio::test]
async fn full_and_draining_are_503_with_retry_after_and_running_sessions_go_on() {
    let stage = crate::world::Stage { max_rooms: Some(1), ..Default::default() };
    let world = World::new(Config::default(), Mode::Dev, stage);
    let (session, etag) = world.join("/whip/standup").await;
    let reply = world.send(call(Method::POST, "/whip/another").sdp(OFFER)).await;
    assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    assert_eq!(world.send(call(Method::POST, "/v1/node/drain").empty()).await.status, StatusCode::ACCEPTED);
    let reply = world.send(call(Method::POST, "/whip/standup").sdp(OFFER)).await;
    assert_eq!((reply.status, reply.problem().as_str(), reply.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "draining", "10"));
    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
    let reply = world.send(call(Method::PATCH, &session).with("if-match", &etag).body(TRICKLE, CANDIDATES)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_join_needs_an_existing_room_where_the_configuration_says_so() {
    let mut config = Config::default();
    config.rooms.create_on_join = false;
    let world = World::new(config, Mode::Dev, Default::default());
    assert_eq!(world.send(call(Method::POST, "/whip/standup").sdp(OFFER)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await.status, StatusCode::CREATED);
    world.join("/whip/standup").await;
}

#[tokio::test]
async fn a_repeated_join_with_the_same_idempotency_key_makes_one_participant() {
    let world = World::dev();
    let join = |body: &'static str| world.send(call(Method::POST, DOORS[0]).with("idempotency-key", "k1").sdp(body));
    let (first, second) = (join(OFFER).await, join(OFFER).await);
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((first.header("location"), first.header("etag")), (second.header("location"), second.header("etag")));
    assert_eq!(first.body, second.body);
    assert_eq!(world.get(DOORS[0]).await.json()["items"].as_array().map(Vec::len), Some(1));
    let reply = join("v=0\r\nother\r\n").await;
    assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch"));
}

#[tokio::test]
async fn a_repeated_join_whose_first_answer_is_not_there_yet_is_409() {
    let stage = crate::world::Stage::default();
    stage.held.store(true, std::sync::atomic::Ordering::Relaxed);
    let world = World::new(Config::default(), Mode::Dev, stage);
    let join = || world.send(call(Method::POST, DOORS[0]).with("idempotency-key", "k1").sdp(OFFER));
    let (first, second) = tokio::join!(join(), async {
        tokio::task::yield_now().await;
        let second = join().await;
        world.stage.hold.notify_one();
        second
    });
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((second.status, second.problem().as_str()), (StatusCode::CONFLICT, "conflict"));
}

#[tokio::test]
async fn the_roster_comes_in_pages() {
    let world = World::dev();
    for n in 0..5 {
        world.join(&format!("{}?name=p{n}", DOORS[0])).await;
    }
    let (mut names, mut path) = (Vec::new(), format!("{}?limit=2", DOORS[0]));
    loop {
        let page = world.get(&path).await.json();
        names.extend(page["items"].as_array().expect("items").iter().map(|item| item["name"].as_str().expect("name").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{}?limit=2&cursor={cursor}", DOORS[0]);
    }
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4"]);
}

#[tokio::test]
async fn a_whep_player_says_in_the_query_what_it_is_sent_at_most() {
    let world = World::dev();
    let reply = world.send(call(Method::POST, "/whep/standup?max_width=640&max_height=360&max_bitrate_bps=200000").sdp(OFFER)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let people = world.send(call(Method::GET, "/v1/rooms/standup/participants").empty()).await.text();
    for limit in [r#""max_width":640"#, r#""max_height":360"#, r#""max_bitrate_bps":200000"#] {
        assert!(people.contains(limit), "no {limit} in {people}");
    }
    for (query, pointer) in [("max_width=63", "?max_width"), ("max_height=0", "?max_height"), ("max_bitrate_bps=29999", "?max_bitrate_bps")]
    {
        let reply = world.send(call(Method::POST, &format!("/whep/standup?{query}")).sdp(OFFER)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(reply.text().contains(pointer), "{}", reply.text());
    }
    // A publisher is sent nothing.
    let reply = world.send(call(Method::POST, "/whip/standup?max_width=640").sdp(OFFER)).await;
    assert!(reply.status.is_client_error(), "{}", reply.status);
}
