//! The catalogue of bad inputs (`tests/bad_inputs/http.toml`), row by row.

use crate::server::{Server, status_of};
use crate::world::{Reply, World, call};
use axum::http::Method;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Catalogue {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default = "once")]
    repeat: usize,
    raw: Option<String>,
    status: u16,
    code: Option<String>,
    pointer: Option<String>,
    header: Option<String>,
}

fn once() -> usize {
    1
}

fn catalogue() -> Vec<Case> {
    let text = include_str!("../bad_inputs/http.toml");
    toml::from_str::<Catalogue>(text).expect("the catalogue").case
}

#[tokio::test]
async fn every_bad_request_is_refused_as_the_catalogue_says() {
    let world = World::dev();
    let (session, _) = world.join("/v1/rooms/standup/participants?name=Ann").await;
    let (whip, _) = world.join("/whip/standup").await;
    let before = world.get("/v1/rooms/standup").await.body;
    for case in catalogue().iter().filter(|case| case.raw.is_none()) {
        let path = case.path.replace("{session}", &session).replace("{whip}", &whip);
        let mut request = call(Method::from_bytes(case.method.as_bytes()).expect("method"), &path);
        for (name, value) in case.headers.iter().filter(|(name, value)| *name != "content-type" || !value.is_empty()) {
            request = request.with(name, value);
        }
        if !case.headers.contains_key("content-type") {
            request = request.with("content-type", "application/json");
        }
        let mut request = request.empty();
        *request.body_mut() = case.body.repeat(case.repeat).into();
        judge(case, &world.send(request).await);
    }
    assert_eq!(world.get("/v1/rooms/standup").await.body, before, "nothing was changed by any of them");
    assert_eq!(world.get("/v1/rooms").await.json()["items"].as_array().map(Vec::len), Some(1), "and no room was made");
}

fn judge(case: &Case, reply: &Reply) {
    let id = &case.id;
    assert_eq!(reply.status.as_u16(), case.status, "{id}: {}", reply.text());
    assert_eq!(Some(reply.problem()), case.code, "{id}: {}", reply.text());
    if let Some(pointer) = &case.pointer {
        let errors = reply.json()["errors"].clone();
        assert!(errors.as_array().into_iter().flatten().any(|error| error["pointer"] == *pointer), "{id}: {errors}");
    }
    if let Some(header) = &case.header {
        let (name, value) = header.split_once(": ").map_or((header.as_str(), None), |(name, value)| (name, Some(value)));
        let found = reply.header(name);
        assert!(value.is_none_or(|value| value == found), "{id}: {name}: {found}");
    }
}

#[tokio::test]
async fn every_bad_connection_is_answered_and_closed_as_the_catalogue_says() {
    let server = Server::start(|_| {}).await;
    for case in catalogue() {
        let Some(raw) = case.raw.as_deref().map(expand) else { continue };
        let answer = server.exchange(raw.as_bytes()).await;
        assert_eq!(status_of(&answer), Some(case.status), "{}: {answer}", case.id);
        if let Some(code) = &case.code {
            assert!(answer.contains(&format!("/problems/{code}")), "{}: {answer}", case.id);
        }
    }
    assert_eq!(status_of(&server.exchange(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await), Some(200));
}

/// `{text*n}` stands for the text, n times.
fn expand(raw: &str) -> String {
    let Some((before, rest)) = raw.split_once('{').filter(|(_, rest)| rest.contains('*') && rest.contains('}')) else {
        return raw.to_owned();
    };
    let (inner, after) = rest.split_once('}').expect("closed");
    let (text, times) = inner.rsplit_once('*').expect("times");
    format!("{before}{}{after}", text.repeat(times.parse().expect("a number")))
}

#[test]
fn ids_are_unique() {
    let cases = catalogue();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), cases.len());
}
