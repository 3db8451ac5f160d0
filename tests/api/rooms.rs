//! Rooms, views, layouts, snapshots.

use crate::world::{OFFER, World, call};
use axum::http::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn a_room_is_made_once_and_the_same_again_is_no_error() {
    let world = World::dev();
    let post = |body: &'static str| world.send(call(Method::POST, "/v1/rooms").json(body));
    let first = post(r#"{"room":"standup","max_participants":4}"#).await;
    assert_eq!((first.status, first.header("location")), (StatusCode::CREATED, "/v1/rooms/standup"));
    assert_eq!(post(r#"{"room":"standup","max_participants":4}"#).await.status, StatusCode::OK);
    let other = post(r#"{"room":"standup","max_participants":5}"#).await;
    assert_eq!((other.status, other.problem().as_str()), (StatusCode::CONFLICT, "conflict"));
    let state = world.get("/v1/rooms/standup").await;
    assert_eq!((state.json()["max_participants"].as_u64(), state.json()["room"].as_str()), (Some(4), Some("standup")));
    assert_eq!(state.json()["views"][0]["name"], "main");
}

#[tokio::test]
async fn put_makes_or_replaces_and_delete_ends() {
    let world = World::dev();
    let put = |body: &'static str| world.send(call(Method::PUT, "/v1/rooms/standup").json(body));
    assert_eq!(put(r#"{"locked":true,"max_participants":4}"#).await.status, StatusCode::CREATED);
    let replaced = put("{}").await;
    assert_eq!(replaced.status, StatusCode::OK);
    assert_eq!((replaced.json()["locked"].as_bool(), replaced.json()["max_participants"].as_u64()), (Some(false), Some(100)));
    assert_eq!(world.send(call(Method::DELETE, "/v1/rooms/standup").empty()).await.status, StatusCode::NO_CONTENT);
    tokio::task::yield_now().await;
    assert_eq!(world.get("/v1/rooms/standup").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_patch_merges_deeply_and_keeps_what_it_does_not_name() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json(r#"{"canvas":{"width":640,"height":360,"fps":15}}"#)).await;
    let reply =
        world.send(call(Method::PATCH, "/v1/rooms/standup/views/main").json(r#"{"canvas":{"fps":25},"layout":{"type":"grid"}}"#)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let view = reply.json();
    assert_eq!(
        (view["canvas"]["width"].as_u64(), view["canvas"]["fps"].as_u64(), view["layout"]["type"].as_str()),
        (Some(640), Some(25), Some("grid"))
    );
    let reply = world.send(call(Method::PATCH, "/v1/rooms/standup/views/main/layout").json(r#"{"active_speaker":{"hold_ms":3000}}"#)).await;
    assert_eq!((reply.json()["type"].as_str(), reply.json()["active_speaker"]["hold_ms"].as_u64()), (Some("grid"), Some(3000)));
    assert_eq!(reply.json()["active_speaker"]["attack_ms"], view["layout"]["active_speaker"]["attack_ms"]);
    let reply = world.send(call(Method::PUT, "/v1/rooms/standup/views/main/layout").json(r#"{"type":"speaker"}"#)).await;
    assert_eq!((reply.json()["type"].as_str(), reply.json()["active_speaker"]["hold_ms"].as_u64()), (Some("speaker"), Some(2000)));
}

#[tokio::test]
async fn views_are_made_replaced_and_deleted_and_main_stays() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let views = "/v1/rooms/standup/views";
    let post = |body: &'static str| world.send(call(Method::POST, views).json(body));
    let made = post(r#"{"name":"stage","include":[{"role":"speaker"}],"self":"exclude","canvas":{"width":640,"height":360}}"#).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/v1/rooms/standup/views/stage"), "{}", made.text());
    assert_eq!((&made.json()["include"], &made.json()["self"]), (&json!([{"role": "speaker"}]), &json!("exclude")));
    let same = post(r#"{"name":"stage","include":[{"role":"speaker"}],"self":"exclude","canvas":{"width":640,"height":360}}"#).await;
    assert_eq!((same.status, same.header("etag")), (StatusCode::OK, made.header("etag")), "the same again is no error");
    assert_eq!(post(r#"{"name":"stage"}"#).await.problem(), "conflict");
    let put = |path: &'static str, body: &'static str| world.send(call(Method::PUT, path).json(body));
    let replaced = put("/v1/rooms/standup/views/stage", r#"{"alternatives":["main"]}"#).await;
    assert_eq!(
        (replaced.status, &replaced.json()["include"], &replaced.json()["alternatives"]),
        (StatusCode::OK, &json!([]), &json!(["main"]))
    );
    assert_eq!(put("/v1/rooms/standup/views/phone", "{}").await.status, StatusCode::CREATED);
    let patched = world
        .send(
            call(Method::PATCH, "/v1/rooms/standup/views/stage")
                .json(r#"{"alternatives":["phone"],"exclude":["pt_00000000000000000000000000000001",{"kind":"publisher"}]}"#),
        )
        .await;
    assert_eq!(patched.json()["exclude"], json!(["pt_00000000000000000000000000000001", {"kind": "publisher"}]), "{}", patched.text());
    let reset = world.send(call(Method::PATCH, "/v1/rooms/standup/views/stage").json(r#"{"exclude":null}"#)).await;
    assert_eq!((&reset.json()["exclude"], &reset.json()["alternatives"]), (&json!([]), &json!(["phone"])), "null takes back one thing");
    let delete = |name: &str| world.send(call(Method::DELETE, &format!("{views}/{name}")).empty());
    assert_eq!(delete("phone").await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&format!("{views}/stage")).await.json()["alternatives"], json!([]), "what is deleted is no alternative");
    assert_eq!((delete("phone").await.status, delete("main").await.status), (StatusCode::NOT_FOUND, StatusCode::CONFLICT));
    let names: Vec<String> =
        world.get(views).await.json()["items"].as_array().expect("items").iter().map(|view| view["name"].to_string()).collect();
    assert_eq!(names, [r#""main""#, r#""stage""#]);
}

#[tokio::test]
async fn a_view_that_cannot_be_is_refused_with_the_place_of_the_fault() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    for (name, body, pointer) in [
        ("a b", "{}", "/name"),
        ("x", r#"{"self":"mirror"}"#, "/self"),
        ("x", r#"{"include":["ann"]}"#, "/include/0"),
        ("x", r#"{"exclude":[{"role":"a"},{"shoe":"b"}]}"#, "/exclude/1"),
        ("x", r#"{"exclude":[{"role":""}]}"#, "/exclude/0"),
        ("x", r#"{"alternatives":["nothing"]}"#, "/alternatives"),
        ("main", r#"{"alternatives":["main"]}"#, "/alternatives"),
        ("x", r#"{"canvas":{"width":63}}"#, "/canvas/width"),
        ("x", r#"{"colour":"red"}"#, "/colour"),
    ] {
        let path = format!("/v1/rooms/standup/views/{}", name.replace(' ', "%20"));
        let reply = world.send(call(Method::PUT, &path).json(body)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
        assert!(reply.json()["errors"][0]["pointer"].as_str().is_some_and(|at| at.starts_with(pointer)), "{body}: {}", reply.text());
    }
    let nobody = world.send(call(Method::PUT, "/v1/rooms/standup/views/x").json(r#"{"exclude":[{}]}"#)).await;
    assert!(
        nobody.json()["errors"][0]["detail"].as_str().is_some_and(|detail| detail.contains("participant, identity, role, kind")),
        "{}",
        nobody.text()
    );
    for n in 0..15 {
        assert_eq!(world.send(call(Method::PUT, &format!("/v1/rooms/standup/views/v{n}")).json("{}")).await.status, StatusCode::CREATED);
    }
    let full = world.send(call(Method::PUT, "/v1/rooms/standup/views/more").json("{}")).await;
    assert!(full.status == StatusCode::SERVICE_UNAVAILABLE && full.text().contains("rooms.max_views is 16"), "{}", full.text());
}

#[tokio::test]
async fn of_two_operators_on_one_view_one_gets_412_and_nothing_is_lost() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let path = "/v1/rooms/standup/views/main";
    let (view, room) = (world.get(path).await.header("etag").to_owned(), world.get("/v1/rooms/standup").await.header("etag").to_owned());
    let patch =
        |path: &'static str, tag: String, body: &'static str| async move { call(Method::PATCH, path).with("if-match", &tag).json(body) };
    let first = world.send(patch(path, view.clone(), r#"{"layout":{"gap":8}}"#).await).await;
    let second = world.send(patch(path, view.clone(), r#"{"layout":{"type":"speaker"}}"#).await).await;
    assert_eq!((first.status, second.problem().as_str()), (StatusCode::OK, "precondition-failed"));
    let third = world.send(patch("/v1/rooms/standup", room, r#"{"layout":{"type":"speaker"}}"#).await).await;
    assert_eq!(third.problem(), "precondition-failed", "the room's ETag counts its views' changes");
    let again = world.send(patch(path, second.header("etag").to_owned(), r#"{"layout":{"type":"speaker"}}"#).await).await;
    assert_eq!((&again.json()["layout"]["gap"], &again.json()["layout"]["type"]), (&json!(8), &json!("speaker")));
    world.send(call(Method::PUT, "/v1/rooms/standup/views/x").json("{}")).await;
    let of_old_life = world.get("/v1/rooms/standup/views/x").await.header("etag").to_owned();
    world.send(call(Method::DELETE, "/v1/rooms/standup/views/x").empty()).await;
    let put = |tag: String| world.send(call(Method::PUT, "/v1/rooms/standup/views/x").with("if-match", &tag).json("{}"));
    assert_eq!(put(of_old_life.clone()).await.status, StatusCode::PRECONDITION_FAILED, "what does not exist has no ETag");
    world.send(call(Method::PUT, "/v1/rooms/standup/views/x").json("{}")).await;
    assert_eq!(put(of_old_life).await.status, StatusCode::PRECONDITION_FAILED, "a view that is made again is another one");
}

#[tokio::test]
async fn a_saved_layout_stands_wherever_a_layout_does_and_is_taken_as_a_copy() {
    let world = World::dev();
    let put = |path: &'static str, body: &'static str| world.send(call(Method::PUT, path).json(body));
    let saved = put("/v1/layouts/wide", r#"{"type":"speaker","gap":20,"strip":"left"}"#).await;
    assert_eq!((saved.status, &saved.json()["gap"]), (StatusCode::CREATED, &json!(20)), "{}", saved.text());
    assert_eq!(put("/v1/layouts/grid", "{}").await.json()["errors"][0]["pointer"], "/name", "grid is a type by itself");
    assert_eq!(put("/v1/layouts/bad", r#"{"gap":-1}"#).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let room = put("/v1/rooms/standup", r#"{"layout":{"type":"wide","gap":7}}"#).await.json();
    let layout = |room: &serde_json::Value| {
        let layout = &room["views"][0]["layout"];
        [layout["type"].clone(), layout["gap"].clone(), layout["strip"].clone()]
    };
    assert_eq!(layout(&room), [json!("speaker"), json!(7), json!("left")], "what is said besides goes over it");
    put("/v1/layouts/wide", r#"{"type":"grid"}"#).await;
    assert_eq!(layout(&world.get("/v1/rooms/standup").await.json())[0], "speaker", "rooms keep what they took");
    let patched = world.send(call(Method::PATCH, "/v1/rooms/standup/views/main/layout").json(r#"{"type":"wide"}"#)).await.json();
    assert_eq!((&patched["type"], &patched["gap"]), (&json!("grid"), &json!(4)), "nothing of the layout before is left");
    let patched =
        world.send(call(Method::PATCH, "/v1/rooms/standup/views/main").json(r#"{"layout":{"type":"wide","gap":9}}"#)).await.json();
    assert_eq!((&patched["layout"]["type"], &patched["layout"]["gap"]), (&json!("grid"), &json!(9)));
    let names = world.get("/v1/layouts").await.json();
    assert_eq!(names["items"].as_array().map(Vec::len), Some(1));
    let tag = world.get("/v1/layouts/wide").await.header("etag").to_owned();
    let tagged = |method: Method, tag: &str| world.send(call(method, "/v1/layouts/wide").with("if-match", tag).json("{}"));
    assert_eq!(tagged(Method::PUT, "\"0\"").await.problem(), "precondition-failed");
    assert_eq!(tagged(Method::PUT, &tag).await.status, StatusCode::OK);
    assert_eq!(tagged(Method::DELETE, &tag).await.problem(), "precondition-failed");
    let mut request = call(Method::DELETE, "/v1/layouts/wide").empty();
    request.headers_mut().insert("if-match", axum::http::HeaderValue::from_bytes(b"\xe4").expect("bytes"));
    assert_eq!(world.send(request).await.problem(), "precondition-failed", "a condition that is no text is a condition");
    assert_eq!(world.send(call(Method::DELETE, "/v1/layouts/wide").empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(put("/v1/rooms/standup/views/main/layout", r#"{"type":"wide"}"#).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_parameter_that_an_operation_does_not_have_is_refused_by_all_that_answer_with_json() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let reply = world.send(call(Method::PATCH, "/v1/rooms/standup?lockd=true&if=%C3%A4").json("{}")).await;
    let pointers: Vec<_> = reply.json()["errors"].as_array().expect("errors").iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!((reply.status, pointers), (StatusCode::UNPROCESSABLE_ENTITY, vec!["?lockd".into(), "?if".into()]));
    for rule in mixdown::api::rules::RULES.iter().filter(|rule| rule.path.starts_with("/v1/") && rule.produces == "application/json") {
        let path = rule.path.replace("{room}", "standup").replace("{view}", "main");
        let reply = world.send(call(rule.method.parse().expect("method"), &format!("{path}?nonsense=1")).json("{}")).await;
        assert_eq!(reply.json()["errors"][0]["pointer"], "?nonsense", "{rule:?} {}", reply.text());
    }
    for path in ["/v1/rooms?limit=1", "/v1/rooms/standup/views/main/snapshot.jpg?width=64"] {
        assert!(!world.send(call(Method::GET, path).empty()).await.text().contains("unknown field"), "{path}");
    }
}

#[tokio::test]
async fn an_idempotency_key_takes_nothing_away_from_how_large_a_layout_may_be() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let body = format!(r#"{{"name":"wide"{}}}"#, " ".repeat(400 << 10));
    let post = |key: &'static str| world.send(call(Method::POST, "/v1/rooms/standup/views").with("idempotency-key", key).json(&body));
    assert_eq!(post("a").await.status, StatusCode::CREATED);
    assert_eq!(post("a").await.status, StatusCode::CREATED, "the answer again");
}

#[tokio::test]
async fn a_preview_shows_regions_warnings_and_cost_and_changes_nothing() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let before = world.get("/v1/rooms/standup/views/main").await;
    let path = "/v1/rooms/standup/views/main/layout/preview";
    let post = |query: &str, body: &'static str| world.send(call(Method::POST, &format!("{path}{query}")).json(body));
    let shown = post("?people=4", r#"{"type":"grid"}"#).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    let regions = shown.json()["regions"].as_array().expect("regions").clone();
    assert_eq!(regions.len(), 4);
    assert!(regions.iter().all(|region| region["width"].as_f64().is_some_and(|width| width > 0.4 && width <= 0.5)), "{regions:?}");
    assert!(shown.json()["cost"]["cpu_ms_per_s"].as_f64().is_some_and(|cost| cost > 0.0));
    let layout = r#"{"type":"custom","regions":[{"seat":{"role":"host"}},{"x":0.5,"width":0.5,"z":1}]}"#;
    let warned = post("?people=1", layout).await.json();
    let codes: Vec<&str> =
        warned["warnings"].as_array().expect("warnings").iter().map(|warning| warning["code"].as_str().expect("code")).collect();
    assert_eq!(codes, ["seat_empty", "overlap"], "{warned}");
    let picture = post("?format=png&people=3", "{}").await;
    assert_eq!((picture.status, picture.header("content-type")), (StatusCode::OK, "image/png"));
    assert_eq!(image::load_from_memory(&picture.body).expect("picture").width(), 1280);
    for (query, body) in [("?people=101", "{}"), ("?format=gif", "{}"), ("?size=1", "{}"), ("", r#"{"gap":-1}"#)] {
        assert_eq!(post(query, body).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{query} {body}");
    }
    let after = world.get("/v1/rooms/standup/views/main").await;
    assert_eq!((after.header("etag"), after.json()), (before.header("etag"), before.json()));
}

#[tokio::test]
async fn a_banner_needs_a_view_and_what_has_no_effect_is_refused() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let post = |body: &'static str| world.send(call(Method::POST, "/v1/rooms/standup/messages").json(body));
    assert_eq!(post(r#"{"type":"banner","text":"Back at ten","duration_ms":5000}"#).await.status, StatusCode::NO_CONTENT);
    for (body, pointer) in [
        (r#"{"type":"banner","text":"x","view":"none"}"#, "/view"),
        (r#"{"type":"banner","text":"x","duration_ms":1}"#, "/duration_ms"),
        (r#"{"type":"banner","text":"a\nb"}"#, "/text"),
        (r#"{"type":"banner","text":"x","from":"me"}"#, "/from"),
        (r#"{"text":"x","view":"main"}"#, "/view"),
        (r#"{"text":"x","duration_ms":5000}"#, "/duration_ms"),
    ] {
        assert_eq!(post(body).await.json()["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_stale_etag_is_412_for_rooms_views_and_layouts() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    for (path, body) in [
        ("/v1/rooms/standup", r#"{"max_participants":7}"#),
        ("/v1/rooms/standup/views/main", r#"{"canvas":{"fps":20}}"#),
        ("/v1/rooms/standup/views/main/layout", r#"{"gap":8}"#),
    ] {
        let etag = world.get(path).await.header("etag").to_owned();
        let patch = |tag: &str| world.send(call(Method::PATCH, path).with("if-match", tag).json(body));
        let changed = patch(&etag).await;
        assert_eq!(changed.status, StatusCode::OK, "{path}: {}", changed.text());
        assert_ne!(changed.header("etag"), etag);
        let stale = patch(&etag).await;
        assert_eq!((stale.status, stale.problem().as_str()), (StatusCode::PRECONDITION_FAILED, "precondition-failed"));
        assert_eq!(stale.header("etag"), changed.header("etag"));
        assert_eq!(
            patch(&format!("W/{}", changed.header("etag"))).await.status,
            StatusCode::PRECONDITION_FAILED,
            "weak tags match nothing"
        );
        assert_eq!(patch("*").await.status, StatusCode::OK);
        assert_eq!(patch("\"nope\", *").await.status, StatusCode::OK);
    }
    for (path, known) in [("/v1/rooms/standup/views/main", StatusCode::NOT_MODIFIED), ("/v1/rooms/standup", StatusCode::OK)] {
        let get = call(Method::GET, path).with("if-none-match", world.get(path).await.header("etag"));
        let reply = world.send(get.empty()).await;
        assert_eq!(
            (reply.status, reply.body.is_empty()),
            (known, known == StatusCode::NOT_MODIFIED),
            "{path}: who is in a room comes and goes"
        );
    }
}

#[tokio::test]
async fn two_patches_at_once_both_take_effect() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let patch = |body: &'static str| world.send(call(Method::PATCH, "/v1/rooms/standup").json(body));
    let (a, b, c) = tokio::join!(patch(r#"{"max_participants":7}"#), patch(r#"{"locked":true}"#), patch(r#"{"layout":{"gap":2}}"#));
    assert!([a, b, c].iter().all(|reply| reply.status == StatusCode::OK));
    let room = world.get("/v1/rooms/standup").await.json();
    assert_eq!((&room["max_participants"], &room["locked"], &room["views"][0]["layout"]["gap"]), (&json!(7), &json!(true), &json!(2)));
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let world = World::dev();
    let body = r#"{"max_participants":0,"canvas":{"width":63,"fps":0,"hieght":2},"layout":{"type":"mosaic","gap":-1}}"#;
    let reply = world.send(call(Method::PUT, "/v1/rooms/standup").json(body)).await;
    assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "validation"));
    let errors = reply.json()["errors"].clone();
    let pointers: std::collections::BTreeSet<&str> =
        errors.as_array().expect("errors").iter().map(|error| error["pointer"].as_str().expect("pointer")).collect();
    for pointer in ["/max_participants", "/canvas/width", "/canvas/fps", "/canvas/hieght", "/layout/type", "/layout/gap"] {
        assert!(pointers.contains(pointer), "{pointer} in {pointers:?}");
    }
    assert!(errors.to_string().contains("`auto`, `grid`, `speaker`"), "the allowed list: {errors}");
    let told = async |path: &str, body: &str| {
        let errors = world.send(call(Method::POST, path).json(body)).await.json()["errors"].clone();
        errors.as_array().into_iter().flatten().filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(told("/v1/rooms", r#"{"locked":3,"max_participants":0}"#).await, ["/room", "/locked", "/max_participants"]);
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let view = r#"{"audio":{"gains":[{"gain_db":1}]},"canvas":{"width":3},"self":"x"}"#;
    let mut pointers = told("/v1/rooms/standup/views", view).await;
    pointers.sort_unstable();
    assert_eq!(pointers, ["/audio/gains/0/who", "/canvas/width", "/name", "/self"]);
}

#[tokio::test]
async fn a_custom_layout_is_taken_as_a_whole_or_refused_with_all_its_faults() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let path = "/v1/rooms/standup/views/main/layout";
    let bad = r#"{"type":"custom","regions":[{"width":2,"seat":"nobody"},{"x":"1/0","z":1,"tiles":0},{"hight":1,"z":2}],"overlays":[{"type":"clock","text":"x"}]}"#;
    let reply = world.send(call(Method::PUT, path).json(bad)).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = reply.json()["errors"].to_string();
    for pointer in ["/regions/0/seat", "/regions/0/width", "/regions/1/x", "/regions/1/tiles", "/regions/2/hight", "/overlays/0/text"] {
        assert!(errors.contains(&format!("\"{pointer}\"")), "{pointer} in {errors}");
    }
    let good = r#"{"type":"custom","regions":[{"width":"1/3","seat":{"role":"host"}},{"x":"1/3","width":"2/3","seat":"any","tiles":9}]}"#;
    let reply = world.send(call(Method::PUT, path).json(good)).await;
    assert_eq!((reply.status, &reply.json()["regions"][1]["width"]), (StatusCode::OK, &json!("2/3")));
    let reply = world.send(call(Method::PATCH, path).json(r#"{"type":"quad-view"}"#)).await;
    assert_eq!((reply.status, &reply.json()["type"], &reply.json()["max_tiles"]), (StatusCode::OK, &json!("grid"), &json!(4)));
    assert_eq!(reply.json()["regions"], json!([]), "regions go with the custom layout that they belonged to");
}

#[tokio::test]
async fn an_option_without_effect_is_refused_and_one_that_loses_its_effect_goes_and_is_told() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let path = "/v1/rooms/standup/views/main/layout";
    let send = |method: Method, path: &'static str, body: &str| world.send(call(method, path).json(body));
    let refused = send(Method::PUT, path, r#"{"type":"grid","strip":"left","corner":"top_left"}"#).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let pointers: Vec<_> = refused.json()["errors"].as_array().expect("errors").iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/strip", "/corner"]);
    let kept = send(Method::PUT, path, r#"{"type":"speaker","strip":"left","gap":8,"max_tiles":9}"#).await;
    assert_eq!((kept.status, kept.json().get("warnings")), (StatusCode::OK, None));
    let read = world.get(path).await.text();
    assert_eq!(send(Method::PUT, path, &read).await.status, StatusCode::OK, "what is read can be written");
    let named = send(Method::PATCH, path, r#"{"type":"grid","strip":"left"}"#).await;
    assert_eq!((named.status, &named.json()["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/strip")));
    let changed = send(Method::PATCH, path, r#"{"type":"grid"}"#).await;
    assert_eq!((changed.status, changed.json().get("strip")), (StatusCode::OK, None));
    let warnings = changed.json()["warnings"].clone();
    assert_eq!(warnings.as_array().map(Vec::len), Some(1), "{warnings}");
    assert_eq!((&warnings[0]["pointer"], &warnings[0]["code"]), (&json!("/strip"), &json!("dropped")));
    let view = send(Method::PATCH, "/v1/rooms/standup/views/main", r#"{"layout":{"type":"single"}}"#).await.json();
    let pointers: Vec<_> = view["warnings"].as_array().expect("warnings").iter().map(|warning| warning["pointer"].clone()).collect();
    assert_eq!(pointers, ["/layout/max_tiles", "/layout/gap"]);
    let room = send(Method::PATCH, "/v1/rooms/standup", r#"{"layout":{"type":"pip"}}"#).await.json();
    assert_eq!((&room["views"][0]["layout"]["corner"], room.get("warnings")), (&json!("bottom_right"), None), "nobody had chosen anything");
}

#[tokio::test]
async fn a_seat_that_is_promised_more_than_its_canvas_has_is_told_of_wherever_that_is_set() {
    let world = World::dev();
    let seat = r#"{"type":"custom","regions":[{"width":0.5},{"x":0.5,"width":0.5,"min_fps":25}]}"#;
    let (room, view) = ("/v1/rooms/standup", "/v1/rooms/standup/views/main");
    let layout = format!("{view}/layout");
    for (method, path, body, pointer) in [
        (Method::PUT, room, format!(r#"{{"canvas":{{"fps":15}},"layout":{seat}}}"#), Some("/layout/regions/1/min_fps")),
        (Method::PATCH, room, r#"{"locked":true}"#.into(), Some("/layout/regions/1/min_fps")),
        (Method::PATCH, view, r#"{"canvas":{"fps":25}}"#.into(), None),
        (Method::PUT, view, format!(r#"{{"canvas":{{"fps":20}},"layout":{seat}}}"#), Some("/layout/regions/1/min_fps")),
        (Method::PATCH, &layout, r#"{"gap":8}"#.into(), Some("/regions/1/min_fps")),
        (
            Method::PUT,
            &layout,
            r#"{"type":"custom","groups":[{"max":3,"regions":[{}]},{"max":9,"regions":[{"min_fps":60}]}]}"#.into(),
            Some("/groups/1/regions/0/min_fps"),
        ),
        (Method::PUT, &layout, r#"{"type":"grid"}"#.into(), None),
    ] {
        let reply = world.send(call(method.clone(), path).json(&body)).await;
        assert!(reply.status.is_success(), "{path} {body}: {}", reply.text());
        let warnings = reply.json().get("warnings").cloned();
        let told = warnings.as_ref().map(|all| (all[0]["pointer"].as_str(), all[0]["code"].as_str()));
        assert_eq!(told, pointer.map(|at| (Some(at), Some("frame_rate"))), "{method} {path} {body}");
    }
    assert_eq!(world.get(room).await.json().get("warnings"), None, "what is read is what is set");
}

#[tokio::test]
async fn rooms_come_in_pages_in_order() {
    let world = World::dev();
    for n in [3, 1, 2, 0] {
        world.send(call(Method::PUT, &format!("/v1/rooms/r{n}")).json("{}")).await;
    }
    let page = world.get("/v1/rooms?limit=3").await.json();
    let names: Vec<&str> = page["items"].as_array().expect("items").iter().map(|room| room["room"].as_str().expect("id")).collect();
    assert_eq!(names, ["r0", "r1", "r2"]);
    let rest = world.get(&format!("/v1/rooms?cursor={}", page["next_cursor"].as_str().expect("more"))).await.json();
    assert_eq!((rest["items"].as_array().map(Vec::len), &rest["next_cursor"]), (Some(1), &json!(null)));
}

#[tokio::test]
async fn snapshots_are_pictures_of_the_wanted_size() {
    let world = World::dev();
    world.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    for (end, kind, magic) in [("jpg", "image/jpeg", &b"\xff\xd8\xff"[..]), ("png", "image/png", b"\x89PNG")] {
        let reply = world.get(&format!("/v1/rooms/standup/views/main/snapshot.{end}?width=160")).await;
        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, kind));
        assert!(reply.body.starts_with(magic));
        let picture = image::load_from_memory(&reply.body).expect("picture");
        assert_eq!((picture.width(), picture.height()), (160, 90));
    }
    assert_eq!(world.get("/v1/rooms/standup/views/main/snapshot.jpg?width=0").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(world.get("/v1/rooms/nowhere/views/main/snapshot.jpg").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_have_a_strict_policy_and_modules_can_be_imported_from_anywhere() {
    let world = World::dev();
    for path in ["/", "/r/standup", "/watch/standup"] {
        let page = world.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"), "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    }
    let module = world.get("/web/mixdown.js").await;
    assert_eq!(module.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(module.header("access-control-allow-origin"), "*");
    for path in ["/web/nothing.js", "/web/../Cargo.toml", "/web/%2e%2e/Cargo.toml", "/web/", "/web/.eslintrc", "/web//mixdown.js"] {
        assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn cors_answers_listed_origins_exactly_and_nobody_else() {
    let mut config = mixdown::config::Config::default();
    config.http.cors_origins = vec!["https://meet.example.org".into()];
    let world = World::new(config, mixdown::config::Mode::Dev, Default::default());
    let preflight = |origin: &'static str, path: &'static str| {
        world.send(call(Method::OPTIONS, path).with("origin", origin).with("access-control-request-method", "PATCH").empty())
    };
    for path in ["/whip/standup", "/v1/rooms/standup"] {
        let listed = preflight("https://meet.example.org", path).await;
        assert_eq!(listed.header("access-control-allow-origin"), "https://meet.example.org");
        assert!(listed.header("access-control-allow-headers").contains("If-Match"));
        assert!(listed.header("access-control-allow-methods").contains(if path == "/whip/standup" { "POST" } else { "PATCH" }));
        for stranger in ["https://evil.example", "https://meet.example.org.evil.example", "null", "http://meet.example.org"] {
            let reply = preflight(stranger, path).await;
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{stranger}");
        }
    }
    let reply = world.send(call(Method::GET, "/v1/rooms").with("origin", "https://meet.example.org").empty()).await;
    for header in ["Location", "ETag", "Link", "Retry-After", "Accept-Patch"] {
        assert!(reply.header("access-control-expose-headers").contains(header));
    }
    assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    assert!(reply.headers.get_all("vary").iter().any(|vary| vary == "Origin"));
}

#[tokio::test]
async fn sound_is_directed_and_what_cannot_be_is_refused_with_its_place() {
    let world = World::dev();
    let ann = world.send(call(Method::POST, "/v1/rooms/standup/participants?name=Ann").sdp(OFFER)).await.header("location").to_owned();
    let patch = |path: &str, body: &str| world.send(call(Method::PATCH, path).body("application/merge-patch+json", body.to_owned()));
    let told = patch(&ann, r#"{"gain_db":-6.04,"noise_suppression":true,"auto_gain":false}"#).await.json();
    assert_eq!((&told["gain_db"], &told["noise_suppression"], &told["auto_gain"]), (&json!(-6.0), &json!(true), &json!(false)));
    let reset = patch(&ann, r#"{"gain_db":null,"noise_suppression":null}"#).await.json();
    assert_eq!((&reset["gain_db"], &reset["noise_suppression"], &reset["auto_gain"]), (&json!(0.0), &json!(null), &json!(false)));
    let room = patch("/v1/rooms/standup", r#"{"audio":{"hold_music":true}}"#).await.json();
    assert_eq!(room["audio"], json!({"noise_suppression": false, "auto_gain": false, "hold_music": true, "join_tones": false}));
    let main = "/v1/rooms/standup/views/main";
    let view =
        patch(main, r#"{"audio":{"exclude":[{"role":"original"}],"gains":[{"who":{"role":"interpreter"},"gain_db":3}],"stereo":true}}"#)
            .await;
    assert_eq!(view.json()["audio"]["gains"], json!([{"who": {"role": "interpreter"}, "gain_db": 3.0}]), "{}", view.text());
    let merged = patch(main, r#"{"audio":{"gain_db":-3}}"#).await.json();
    assert_eq!((&merged["audio"]["stereo"], &merged["audio"]["gain_db"]), (&json!(true), &json!(-3.0)));
    for (path, body, pointers) in [
        (ann.as_str(), r#"{"gain_db":13,"auto_gain":1}"#, vec!["/auto_gain", "/gain_db"]),
        ("/v1/rooms/standup", r#"{"audio":{"hold_music":"jazz","tones":true}}"#, vec!["/audio/hold_music", "/audio/tones"]),
        (
            main,
            r#"{"audio":{"gain_db":-61,"include":[{"shoe":"b"}],"gains":[{"who":{"role":""},"gain_db":0}]}}"#,
            vec!["/audio/gain_db", "/audio/gains/0/who", "/audio/include/0"],
        ),
    ] {
        let reply = patch(path, body).await;
        let found = reply.json();
        let mut found: Vec<&str> =
            found["errors"].as_array().expect("errors").iter().filter_map(|error| error["pointer"].as_str()).collect();
        found.sort_unstable();
        let told = pointers.iter().all(|pointer| found.contains(pointer))
            && found.iter().all(|found| pointers.iter().any(|pointer| found.starts_with(pointer)));
        assert!(told && reply.status == StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
    }
}

#[tokio::test]
async fn sidebars_are_made_changed_and_ended_and_everybody_is_in_one_at_most() {
    let world = World::dev();
    let mut people = Vec::new();
    for name in ["Ann", "Bob"] {
        let session = world.send(call(Method::POST, &format!("/v1/rooms/standup/participants?name={name}")).sdp(OFFER)).await;
        people.push(session.header("location").rsplit('/').next().expect("id").to_owned());
    }
    let path = "/v1/rooms/standup/sidebars/whisper";
    let both = json!({"participants": people}).to_string();
    let made = world.send(call(Method::PUT, path).json(&both)).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, path), "{}", made.text());
    let tag = made.header("etag").to_owned();
    let changed = world
        .send(call(Method::PUT, path).with("if-match", &tag).json(&json!({"participants": [people[0]], "heard_by_all": true}).to_string()))
        .await;
    assert_eq!((changed.status, &changed.json()["heard_by_all"]), (StatusCode::OK, &json!(true)));
    let stale = world.send(call(Method::PUT, path).with("if-match", &tag).json("{}")).await;
    assert_eq!(stale.problem(), "precondition-failed");
    let other = world.send(call(Method::PUT, "/v1/rooms/standup/sidebars/other").json(&both)).await;
    assert!(other.status == StatusCode::UNPROCESSABLE_ENTITY && other.text().contains("is in the sidebar"), "{}", other.text());
    let stranger = r#"{"participants":["pt_00000000000000000000000000000001"]}"#;
    let refused = world.send(call(Method::PUT, path).json(stranger)).await;
    assert_eq!(refused.json()["errors"][0]["pointer"], json!("/participants"), "{}", refused.text());
    world.send(call(Method::DELETE, &format!("/v1/rooms/standup/participants/{}", people[0])).empty()).await;
    assert_eq!(world.get(path).await.json()["participants"], json!([]), "who has left is in no sidebar");
    assert_eq!(world.get("/v1/rooms/standup/sidebars").await.json()["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.send(call(Method::DELETE, path).empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        (world.get(path).await.status, world.send(call(Method::DELETE, path).empty()).await.status),
        (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND)
    );
}

#[tokio::test]
async fn an_estimate_knows_that_more_costs_more_and_what_is_wrong_with_a_question() {
    let world = World::dev();
    let ask = |body: &'static str| world.send(call(Method::POST, "/v1/estimate").json(body));
    let nothing = ask(r#"{"views":1001}"#).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    for pointer in ["/senders", "/viewers", "/views"] {
        assert!(nothing.json()["errors"].to_string().contains(&format!("\"{pointer}\"")), "{pointer} in {}", nothing.text());
    }
    let few = ask(r#"{"senders":4,"viewers":4}"#).await;
    assert_eq!(few.status, StatusCode::OK, "{}", few.text());
    let many =
        ask(r#"{"senders":16,"sender_size":"1280x720","viewers":100,"views":2,"renditions":2,"canvas":"1920x1080","fps":60}"#).await.json();
    for field in ["cpu_ms_per_s", "memory_bytes", "ingress_bps", "egress_bps"] {
        assert!(few.json()[field].as_f64() < many[field].as_f64(), "{field}: {} {many}", few.text());
    }
    assert!(few.json()["fits"].is_boolean());
    let wrong = ask(r#"{"senders":99999,"viewers":1,"sender_size":"big","fps":0,"canvas":"1x1","budget":1}"#).await.json();
    let mut pointers: Vec<&str> =
        wrong["errors"].as_array().expect("errors").iter().map(|error| error["pointer"].as_str().expect("pointer")).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/budget", "/canvas", "/fps", "/sender_size", "/senders"]);
    assert_eq!(ask("{}").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn who_follows_a_wrong_link_in_a_browser_sees_a_page_and_a_program_a_problem() {
    let world = World::dev();
    for (path, status) in [("/r/a%20b", 422), ("/nothing", 404), ("/v1/rooms?%3Cb%3Ebold=1", 422), ("/v1/rooms/none", 404)] {
        let get = || call(Method::GET, path);
        let page = world.send(get().with("sec-fetch-dest", "document").empty()).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (status, "text/html; charset=utf-8"), "{path}");
        assert!(page.header("content-security-policy").contains("default-src 'none'") && page.header("cache-control") == "no-store");
        let text = page.text();
        assert!(text.contains("Back to the start") && !text.contains("{detail}") && !text.contains("<b>"), "{text}");
        let problem = world.send(get().with("sec-fetch-dest", "empty").empty()).await;
        assert_eq!((problem.status.as_u16(), problem.header("content-type")), (status, "application/problem+json"), "{path}");
        assert_eq!(world.get(path).await.header("content-type"), "application/problem+json");
    }
}
