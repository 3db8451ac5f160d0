//! The contract that is generated is the contract that is kept.

use crate::world::{OFFER, World, call};
use axum::http::{Method, StatusCode};
use mixdown::api::rules::{Need, RULES, find};
use serde_json::Value;
use std::collections::BTreeSet;

async fn document() -> Value {
    World::dev().get("/openapi.json").await.json()
}

fn operations(document: &Value) -> Vec<(Method, String)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("item").keys() {
            if let Ok(method) = method.to_uppercase().parse() {
                all.push((method, path.clone()));
            }
        }
    }
    all
}

#[tokio::test]
async fn it_is_openapi_3_1_and_every_reference_in_it_leads_somewhere() {
    let document = document().await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().expect("pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn every_operation_has_a_rule_and_every_rule_an_operation() {
    let document = document().await;
    let operations = operations(&document);
    for (method, path) in &operations {
        assert!(find(method, path).is_some(), "{method} {path} is open to nobody: add a line to RULES");
    }
    let undocumented = ["/", "/r/{room}", "/watch/{room}", "/admin", "/recordings", "/docs", "/web/{*file}", "/openapi.json"];
    for rule in RULES.iter().filter(|rule| !undocumented.contains(&rule.path)) {
        let known = operations.iter().any(|(method, path)| method.as_str() == rule.method && path == rule.path);
        assert!(known, "{} {} has no operation", rule.method, rule.path);
    }
}

#[tokio::test]
async fn every_operation_says_who_may_call_it_and_how_it_fails() {
    let document = document().await;
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        let open = find(&method, &path).map(|rule| rule.need) == Some(Need::Open);
        assert_eq!(operation["security"].is_array(), !open, "{method} {path}");
        assert!(operation["responses"]["default"]["content"]["application/problem+json"].is_object(), "{method} {path}");
        let ids: BTreeSet<&str> =
            operation["parameters"].as_array().into_iter().flatten().filter_map(|parameter| parameter["name"].as_str()).collect();
        for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
            assert!(ids.contains(name), "{method} {path} does not describe {name}");
        }
    }
}

#[tokio::test]
async fn operations_have_ids_of_their_own_and_every_answer_is_described() {
    let document = document().await;
    let all = operations(&document);
    let operation = |(method, path): &(Method, String)| document["paths"][path][method.as_str().to_lowercase()].clone();
    let ids: BTreeSet<String> = all.iter().filter_map(|each| operation(each)["operationId"].as_str().map(str::to_owned)).collect();
    assert_eq!(ids.len(), all.len(), "{ids:?}");
    for each in &all {
        for (status, response) in operation(each)["responses"].as_object().expect("responses") {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{each:?} {status}");
        }
    }
}

#[tokio::test]
async fn settings_refuse_unknown_fields_and_patches_of_them_take_null() {
    let document = document().await;
    let schemas = &document["components"]["schemas"];
    for name in ["RoomSettings", "ViewSettings", "Layout", "Canvas", "Message", "TokenRequest", "ParticipantPatch", "LayoutPatch"] {
        assert_eq!(schemas[name]["additionalProperties"], false, "{name}");
    }
    assert!(schemas["Room"].get("additionalProperties").is_none(), "answers may grow");
    let body = &document["paths"]["/v1/rooms/{room}"]["patch"]["requestBody"]["content"]["application/merge-patch+json"];
    assert_eq!(body["schema"]["$ref"], "#/components/schemas/RoomSettingsPatch");
    assert_eq!(schemas["LayoutPatch"]["properties"]["gap"]["type"], serde_json::json!(["integer", "null"]));
    assert_eq!(schemas["Layout"]["properties"]["gap"]["type"], "integer");
    let canvas = &schemas["RoomSettingsPatch"]["properties"]["canvas"]["oneOf"];
    assert_eq!(canvas[0]["$ref"], "#/components/schemas/CanvasPatch", "{canvas}");
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// Every key that is sent is described; what is described and absent is optional.
fn described(document: &Value, name: &str, sent: &Value) {
    let schema = &document["components"]["schemas"][name];
    let properties = keys(&schema["properties"]);
    let sent = keys(sent);
    assert!(sent.is_subset(&properties), "{name}: {:?} is not described", sent.difference(&properties));
    let required: BTreeSet<String> =
        schema["required"].as_array().into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect();
    assert!(required.is_subset(&sent), "{name}: {:?} is not sent", required.difference(&sent));
}

#[tokio::test]
async fn what_is_sent_is_what_is_described() {
    let (world, document) = (World::dev(), document().await);
    let session = world.send(call(Method::POST, "/v1/rooms/standup/participants?name=Ann").sdp(OFFER)).await.header("location").to_owned();
    let room = world.get("/v1/rooms/standup").await.json();
    let stats = world.get("/v1/rooms/standup/stats").await.json();
    described(&document, "Room", &room);
    described(&document, "View", &room["views"][0]);
    described(&document, "Canvas", &room["views"][0]["canvas"]);
    described(&document, "RoomAudio", &room["audio"]);
    described(&document, "ViewAudio", &room["views"][0]["audio"]);
    let sidebar = world.send(call(Method::PUT, "/v1/rooms/standup/sidebars/x").json("{}")).await.json();
    described(&document, "Sidebar", &sidebar);
    described(&document, "Layout", &room["views"][0]["layout"]);
    described(&document, "ActiveSpeaker", &room["views"][0]["layout"]["active_speaker"]);
    let participant = world.get(&session).await.json();
    described(&document, "Participant", &participant);
    described(&document, "Stats", &participant["stats"]);
    described(&document, "RoomStats", &stats);
    described(&document, "CpuSeconds", &stats["cpu_seconds"]);
    described(&document, "RenditionStats", &stats["renditions"][0]);
    described(&document, "Problem", &world.get("/v1/rooms/none").await.json());
    // What has no effect on a type is not sent: between them these two have everything.
    let pip = world.send(call(Method::PUT, "/v1/rooms/standup/views/main/layout").json(r#"{"type":"pip"}"#)).await.json();
    let sent: BTreeSet<String> = keys(&room["views"][0]["layout"]).union(&keys(&pip)).cloned().collect();
    assert_eq!(sent, keys(&document["components"]["schemas"]["Layout"]["properties"]), "a layout is described in full");
}

#[tokio::test]
async fn every_described_setting_is_taken() {
    let (world, document) = (World::dev(), document().await);
    let session = world.send(call(Method::POST, "/v1/rooms/standup/participants?name=Ann").sdp(OFFER)).await.header("location").to_owned();
    for (name, path) in [
        ("ParticipantPatch", session.as_str()),
        ("RoomSettings", "/v1/rooms/standup"),
        ("ViewSettings", "/v1/rooms/standup/views/main"),
        ("Layout", "/v1/rooms/standup/views/main/layout"),
    ] {
        for key in keys(&document["components"]["schemas"][name]["properties"]) {
            // Of no type that a setting has: what is known is named for its type, not as unknown.
            let reply = world.send(call(Method::PATCH, path).body("application/merge-patch+json", format!(r#"{{"{key}":[{{}}]}}"#))).await;
            assert_eq!(
                (reply.status, reply.problem().as_str()),
                (StatusCode::UNPROCESSABLE_ENTITY, "validation"),
                "{name} {key}: {}",
                reply.text()
            );
        }
    }
}

#[tokio::test]
async fn every_described_field_of_what_is_posted_is_known_and_nothing_else_is() {
    let (world, document) = (World::dev(), document().await);
    let session = world.send(call(Method::POST, "/v1/rooms/standup/participants?name=Ann").sdp(OFFER)).await.header("location").to_owned();
    for (name, method, path) in [
        ("NewRoom", Method::POST, "/v1/rooms"),
        ("NewView", Method::POST, "/v1/rooms/standup/views"),
        ("RoomSettings", Method::PUT, "/v1/rooms/standup"),
        ("ViewSettings", Method::PUT, "/v1/rooms/standup/views/main"),
        ("Layout", Method::PUT, "/v1/layouts/wide"),
        ("Message", Method::POST, "/v1/rooms/standup/messages"),
        ("TokenRequest", Method::POST, "/v1/tokens"),
        ("Estimate", Method::POST, "/v1/estimate"),
        ("NewRecording", Method::POST, "/v1/rooms/standup/recordings"),
        ("NewIngress", Method::POST, "/v1/rooms/standup/ingress"),
        ("Transfer", Method::POST, &format!("{session}/transfer")),
    ] {
        let described = keys(&document["components"]["schemas"][name]["properties"]);
        assert!(!described.is_empty(), "{name} is not described");
        for key in described.iter().map(String::as_str).chain(["nonsense"]) {
            // Of no type that a field has: what is known is named for its type, not as unknown.
            let mut body = match name {
                "NewRoom" => serde_json::json!({"room": "a"}),
                "NewView" => serde_json::json!({"name": "a"}),
                _ => serde_json::json!({}),
            };
            body[key] = serde_json::json!([[[]]]);
            let reply = world.send(call(method.clone(), path).json(&body.to_string())).await;
            assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{name} {key}: {}", reply.text());
            let errors = reply.json()["errors"].as_array().expect("errors").clone();
            let of_key = errors.iter().filter(|error| error["pointer"].as_str().is_some_and(|at| at.starts_with(&format!("/{key}"))));
            let unknown = of_key.filter(|error| error["detail"].as_str().is_some_and(|detail| detail.starts_with("unknown field"))).count();
            assert_eq!(unknown > 0, key == "nonsense", "{name} {key}: {}", reply.text());
        }
    }
}
