//! `/v1/recordings` against real rooms: begun, fetched in every way, refused, ended by a kill.

use crate::world::{Reply, SECRET, Stage, World, call, keyed, send_to};
use axum::http::{Method, StatusCode};
use jsonwebtoken::{EncodingKey, Header, encode};
use mixdown::api::{self, App, Clock};
use mixdown::conference::library::Library;
use mixdown::config::{Config, Mode};
use mixdown::overload::{Refusal, Status};
use mixdown::record::Store;
use mixdown::runtime::media;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Rooms with media, without clients.
struct Server {
    router: axum::Router,
    _media: media::Running,
    _folder: tempfile::TempDir,
}

async fn server(mut config: Config, mode: Mode) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    config.recordings.folder = folder.path().join("recordings");
    config.recordings.reserve_bytes = 0;
    (config.net.bind, config.net.port, config.net.tcp) = (vec!["127.0.0.1".parse().expect("address")], 0, false);
    let (store, unfinished) = Store::open(config.recordings.settings()).expect("opened");
    assert!(unfinished.is_empty());
    let library = Library::new(store, 8, crate::world::wall);
    let running = media::start(&config, true, library).await.expect("started");
    let clock = Clock { now: crate::world::now, wall: crate::world::wall, cpu: || Duration::ZERO };
    let app = App::new(config, mode, Arc::clone(&running.directory) as _, clock, Box::new(String::new), Default::default());
    Server { router: api::router(app), _media: running, _folder: folder }
}

async fn dev() -> Server {
    server(Config::default(), Mode::Dev).await
}

impl Server {
    async fn send(&self, request: axum::http::Request<axum::body::Body>) -> Reply {
        send_to(&self.router, request).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(call(Method::GET, path).empty()).await
    }

    async fn post(&self, path: &str, body: &str) -> Reply {
        self.send(call(Method::POST, path).json(body)).await
    }

    /// A room, and where its recording is.
    async fn record(&self, room: &str) -> String {
        assert_eq!(self.send(call(Method::PUT, &format!("/v1/rooms/{room}")).json("{}")).await.status, StatusCode::CREATED);
        let begun = self.post(&format!("/v1/rooms/{room}/recordings"), "{}").await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
        begun.header("location").to_owned()
    }

    /// Asks until `path` fulfils something.
    async fn until(&self, path: &str, fulfilled: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..2000 {
            let shown = self.get(path).await.json();
            if fulfilled(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", self.get(path).await.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_begun_paused_stopped_fetched_in_every_form_and_deleted() {
    let server = dev().await;
    let path = server.record("standup").await;
    assert!(path.starts_with("/v1/recordings/rec_"));
    let running = server.until(&path, |shown| shown["state"] == "active" && shown["duration_ms"].as_u64() > Some(1200)).await;
    assert_eq!((running["room"].as_str(), running["view"].as_str()), (Some("standup"), Some("main")));
    assert_eq!(server.get("/v1/rooms/standup").await.json()["recording"], true);
    assert_eq!(server.get("/v1/recordings").await.json()["items"][0]["id"], running["id"]);
    assert_eq!(server.send(call(Method::DELETE, &path).empty()).await.problem(), "conflict", "it runs");
    let timeline = server.get(&format!("{path}/timeline.json")).await.json();
    assert!(timeline["events"].as_array().is_some_and(|events| events.iter().any(|event| event["type"] == "started")), "{timeline}");
    assert!(server.get(&format!("{path}/playlist.m3u8")).await.text().contains("EVENT"));
    for (action, body, state, status) in [
        ("pause", r#"{"mode":"slate"}"#, "paused", 200),
        ("pause", "{}", "", 409),
        ("pause", "null", "", 409),
        ("pause", "[]", "", 422),
        ("pause", r#"{"mode":"dance"}"#, "", 422),
        ("resume", "{}", "active", 200),
        ("resume", "{}", "", 409),
        ("stop", "{}", "stopping", 200),
    ] {
        let reply = server.post(&format!("{path}/{action}"), body).await;
        assert_eq!(reply.status, status, "{action}: {}", reply.text());
        assert!(state.is_empty() || reply.json()["state"] == state, "{action}: {}", reply.text());
    }
    let ended = server.until(&path, |shown| shown["state"] == "complete").await;
    assert_eq!((ended["reason"].as_str(), ended["form"].as_str()), (Some("requested"), Some("progressive")));
    for action in ["pause", "resume", "stop"] {
        assert_eq!(server.post(&format!("{path}/{action}"), "").await.status, StatusCode::GONE, "{action}");
    }
    fetch_media(&server, &path, &ended).await;
    fetch_the_rest(&server, &path).await;
    assert_eq!(server.send(call(Method::DELETE, &path).empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path).await.problem(), "not-found");
    assert_eq!(server.get("/v1/recordings").await.json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_recording_is_of_is_patched_and_of_an_ended_one_is_not() {
    let server = dev().await;
    let path = server.record("standup").await;
    server.until(&path, |shown| shown["state"] == "active").await;
    let patch = async |body: &str| {
        let request = call(Method::PATCH, &path).body("application/merge-patch+json", body.to_owned());
        server.send(request).await
    };
    let own = patch(r#"{"layout": {"type": "speaker", "gap": 8}, "canvas": {"width": 640, "height": 360}}"#).await.json();
    assert_eq!((&own["layout"]["type"], &own["layout"]["gap"], &own["canvas"]["fps"]), (&json!("speaker"), &json!(8), &json!(30)), "{own}");
    let kept = patch(r#"{"layout": {"gap": 2}}"#).await.json();
    assert_eq!(
        (&kept["layout"]["type"], &kept["layout"]["gap"], &kept["canvas"]),
        (&json!("speaker"), &json!(2), &own["canvas"]),
        "{kept}"
    );
    for (body, pointer) in [
        (r#"{"view": "nowhere"}"#, "/view"),
        (r#"{"canvas": {"width": 63}}"#, "/canvas/width"),
        (r#"{"layout": {"type": "dance"}}"#, "/layout/type"),
        (r#"{"state": "paused"}"#, "/state"),
    ] {
        let refused = patch(body).await;
        assert_eq!(
            (refused.status, &refused.json()["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)),
            "{body}"
        );
    }
    server.until(&path, |shown| shown["layout"]["gap"] == 2 && shown["canvas"]["width"] == 640).await;
    let back = patch(r#"{"layout": null, "canvas": null}"#).await.json();
    assert!(back["layout"].is_null() && back["canvas"].is_null(), "{back}");
    let stage = "/v1/rooms/standup/views/stage";
    assert!(server.send(call(Method::PUT, stage).json(r#"{"layout": {"type": "speaker"}}"#)).await.status.is_success());
    assert_eq!(patch(r#"{"view": "stage"}"#).await.json()["view"], "stage");
    assert!(server.send(call(Method::DELETE, stage).empty()).await.status.is_success());
    server.until(&path, |shown| shown["view"] == "main").await;
    assert_eq!(patch(r#"{"layout": null}"#).await.status, StatusCode::OK, "of a view that is no more");
    assert_eq!(server.post(&format!("{path}/stop"), "").await.status, StatusCode::OK);
    server.until(&path, |shown| shown["state"] == "complete" && shown["canvas"].is_null()).await;
    assert_eq!(patch("{}").await.status, StatusCode::GONE);
    let with = server.post("/v1/rooms/standup/recordings", r#"{"canvas": {"width": 360, "height": 640}}"#).await.json();
    assert_eq!((&with["canvas"]["height"], &with["view"]), (&json!(640), &json!("main")), "{with}");
    let each = server.post("/v1/rooms/standup/recordings", r#"{"tracks": "each", "canvas": {}}"#).await;
    assert_eq!(each.json()["errors"][0]["pointer"], "/canvas", "there is no picture to compose");
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_under_overload_a_recording_is_refused_a_view_of_its_own_and_one_that_has_it_is_changed_freely() {
    let server = dev().await;
    let path = server.record("standup").await;
    server.until(&path, |shown| shown["state"] == "active").await;
    let stage = "/v1/rooms/standup/views/stage";
    assert!(server.send(call(Method::PUT, stage).json(r#"{"layout": {"type": "speaker"}}"#)).await.status.is_success());
    let overload = Some(Refusal::Processor { used: 0.97, most: 0.85 });
    let patch = async |refusal: Option<Refusal>, body: &str| {
        // The server looks for itself four times a second.
        server._media.directory.load().set(Status { refusal, retry_after: Duration::from_secs(7), ..Status::default() });
        let reply = server.send(call(Method::PATCH, &path).body("application/merge-patch+json", body.to_owned())).await;
        if reply.status == StatusCode::OK { "changed".to_owned() } else { reply.problem() }
    };
    for body in [r#"{"layout": {"type": "speaker"}}"#, r#"{"canvas": {"width": 640, "height": 360}}"#] {
        assert_eq!(patch(overload, body).await, "overloaded", "{body}");
    }
    for body in ["{}", r#"{"layout": null}"#, r#"{"view": "stage"}"#, r#"{"view": "main"}"#] {
        assert_eq!(patch(overload, body).await, "changed", "{body}");
    }
    assert_eq!(patch(None, r#"{"layout": {"type": "speaker"}}"#).await, "changed");
    for body in
        [r#"{"layout": {"type": "grid"}}"#, r#"{"canvas": {"width": 640, "height": 360}}"#, r#"{"layout": null}"#, r#"{"canvas": null}"#]
    {
        assert_eq!(patch(overload, body).await, "changed", "{body}");
    }
    assert_eq!(patch(overload, r#"{"layout": {"type": "grid"}}"#).await, "overloaded", "it is as it is watched again");
}

async fn fetch_media(server: &Server, path: &str, shown: &Value) {
    let (url, files) = (format!("{path}/media"), shown["files"].as_array().expect("files"));
    let file = files.iter().find(|file| file["name"] == "media.mp4").expect("media");
    let whole = server.get(&url).await;
    assert_eq!((whole.header("content-type"), whole.header("accept-ranges")), ("video/mp4", "bytes"));
    assert!(whole.header("content-disposition").contains("filename=\"standup-2"), "{}", whole.header("content-disposition"));
    assert_eq!(whole.body.len() as u64, file["bytes"].as_u64().expect("bytes"));
    let etag = whole.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", file["sha256"].as_str().expect("sum")));
    let ranged = async |range: &str, condition: Option<&str>| {
        let request = call(Method::GET, &url).with("range", range);
        let request = if let Some(etag) = condition { request.with("if-range", etag) } else { request };
        server.send(request.empty()).await
    };
    let part = ranged("bytes=4-7", None).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"ftyp"[..]));
    assert_eq!(part.header("content-range"), format!("bytes 4-7/{}", whole.body.len()));
    let tail = ranged("bytes=-100", Some(&etag)).await;
    assert_eq!((tail.status, &tail.body[..]), (StatusCode::PARTIAL_CONTENT, &whole.body[whole.body.len() - 100..]));
    let stale = ranged("bytes=4-7", Some("\"other\"")).await;
    assert_eq!((stale.status, stale.body.len()), (StatusCode::OK, whole.body.len()), "another file than was begun with");
    let beyond = ranged("bytes=999999999-", None).await;
    assert_eq!((beyond.status, beyond.problem().as_str()), (StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable"));
    assert_eq!(beyond.header("content-range"), format!("bytes */{}", whole.body.len()));
    let known = server.send(call(Method::GET, &url).with("if-none-match", &etag).empty()).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

async fn fetch_the_rest(server: &Server, path: &str) {
    let playlist = server.get(&format!("{path}/playlist.m3u8")).await;
    assert_eq!(playlist.header("content-type"), "application/vnd.apple.mpegurl");
    let text = playlist.text();
    let (bytes, at) = text.lines().find_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@')).expect("a segment");
    let (bytes, at): (u64, u64) = (bytes.parse().expect("bytes"), at.parse().expect("place"));
    let uri = text.lines().find(|line| !line.starts_with('#')).expect("a URI");
    let request = call(Method::GET, &format!("{path}/{uri}")).with("range", &format!("bytes={at}-{}", at + bytes - 1));
    let segment = server.send(request.empty()).await;
    assert_eq!((segment.status, segment.body.len() as u64, &segment.body[4..8]), (StatusCode::PARTIAL_CONTENT, bytes, &b"moof"[..]));
    assert!(text.ends_with("#EXT-X-ENDLIST\n"));
    let timeline = server.get(&format!("{path}/timeline.json")).await.json();
    assert_eq!(timeline["pauses"].as_array().map(Vec::len), Some(1), "{timeline}");
    let chapters = server.get(&format!("{path}/chapters.vtt")).await;
    assert!(chapters.text().starts_with("WEBVTT\n") && chapters.header("content-type").starts_with("text/vtt"));
    let thumbnail = server.get(&format!("{path}/thumbnail.jpg")).await;
    assert!(thumbnail.header("content-type") == "image/jpeg" && thumbnail.body.starts_with(&[0xFF, 0xD8]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_refused_with_its_reason() {
    let mut config = Config::default();
    config.recordings.max_bytes = 1000;
    let server = server(config, Mode::Dev).await;
    assert_eq!(server.post("/v1/rooms/standup/recordings", "{}").await.problem(), "not-found");
    server.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    for (body, pointer) in [
        (r#"{"view":"nowhere"}"#, "/view"),
        (r#"{"tracks":"each","layout":{}}"#, "/layout"),
        (r#"{"tracks":"all"}"#, "/tracks"),
        (r#"{"format":"avi"}"#, "/format"),
        (r#"{"layout":{"type":"grid","max_tiles":1000}}"#, "/layout/max_tiles"),
    ] {
        let reply = server.post("/v1/rooms/standup/recordings", body).await;
        assert_eq!(
            (reply.status, reply.json()["errors"][0]["pointer"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(pointer)),
            "{}",
            reply.text()
        );
    }
    let full = server.post("/v1/rooms/standup/recordings", "{}").await;
    assert_eq!((full.status, full.problem().as_str()), (StatusCode::INSUFFICIENT_STORAGE, "no-space"));
    assert!(full.text().contains("recordings.max_bytes"), "{}", full.text());
    assert_eq!(server.get("/v1/recordings").await.json()["items"], json!([]));
    for path in ["/v1/recordings/rec_0123456789abcdef0123456789abcdef", "/v1/recordings/rec_1", "/v1/recordings/..%2F..%2Fetc"] {
        assert_eq!(server.get(path).await.problem(), "not-found", "{path}");
    }
    let without = World::new(Config::default(), Mode::Dev, Stage::default());
    assert_eq!(without.get("/v1/recordings").await.json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_post_again_is_the_same_recording() {
    let server = dev().await;
    server.send(call(Method::PUT, "/v1/rooms/standup").json("{}")).await;
    let post = || server.send(call(Method::POST, "/v1/rooms/standup/recordings").with("idempotency-key", "once").json("{}"));
    let ids = [post().await.json()["id"].clone(), post().await.json()["id"].clone()];
    assert_eq!(ids[0], ids[1]);
    assert_eq!(server.get("/v1/recordings").await.json()["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reaches_the_recordings_of_its_own_room_alone_and_also_when_the_room_has_ended() {
    let server = server(keyed(), Mode::Production).await;
    let token = |grants: Value| {
        let claims = json!({"iss": "main", "sub": "ann", "exp": crate::world::NOW + 600, "mixdown": grants});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("signed")
    };
    let all = token(json!({"admin": true}));
    let [own, other] = ["standup", "lounge"].map(|room| token(json!({"room": room, "record": true})));
    let ask = async |token: &str, method: Method, path: &str, body: &str| server.send(call(method, path).bearer(token).json(body)).await;
    ask(&all, Method::PUT, "/v1/rooms/standup", "{}").await;
    assert_eq!(ask(&other, Method::POST, "/v1/rooms/standup/recordings", "{}").await.problem(), "wrong-room");
    let begun = ask(&own, Method::POST, "/v1/rooms/standup/recordings", "{}").await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let path = begun.header("location").to_owned();
    assert_eq!(ask(&all, Method::DELETE, "/v1/rooms/standup", "").await.status, StatusCode::NO_CONTENT);
    for end in ["", "/media", "/timeline.json", "/chapters.vtt", "/playlist.m3u8", "/thumbnail.jpg", "/tracks", "/tracks/camera-0001.mp4"] {
        assert_eq!(ask(&other, Method::GET, &format!("{path}{end}"), "").await.problem(), "not-found", "{end}");
    }
    for action in ["pause", "resume", "stop"] {
        assert_eq!(ask(&other, Method::POST, &format!("{path}/{action}"), "").await.problem(), "not-found", "{action}");
    }
    assert_eq!(ask(&other, Method::DELETE, &path, "").await.problem(), "not-found");
    let count = |reply: Reply| reply.json()["items"].as_array().map(Vec::len);
    assert_eq!(count(ask(&other, Method::GET, "/v1/recordings", "").await), Some(0));
    assert_eq!(count(ask(&own, Method::GET, "/v1/recordings", "").await), Some(1));
    assert_eq!(ask(&own, Method::GET, &path, "").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reaches_the_egress_of_its_own_room_alone() {
    let server = server(keyed(), Mode::Production).await;
    let token = |grants: Value| {
        let claims = json!({"iss": "main", "sub": "ann", "exp": crate::world::NOW + 600, "mixdown": grants});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("signed")
    };
    let [own, other] = ["standup", "lounge"].map(|room| token(json!({"room": room, "record": true, "subscribe": true, "admin": true})));
    let ask = async |token: &str, method: Method, path: &str, body: &str| server.send(call(method, path).bearer(token).json(body)).await;
    ask(&own, Method::PUT, "/v1/rooms/standup", "{}").await;
    let begun = ask(&own, Method::POST, "/v1/rooms/standup/egress", r#"{"outputs":[{"hls":{}},{"images":{"interval_ms":1000}}]}"#).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let path = begun.header("location").to_owned();
    for (method, end) in [(Method::GET, ""), (Method::GET, "/hls/index.m3u8"), (Method::GET, "/image.jpg"), (Method::DELETE, "")] {
        assert_eq!(ask(&other, method, &format!("{path}{end}"), "").await.problem(), "not-found", "{end}");
    }
    let count = |reply: Reply| reply.json()["items"].as_array().map(Vec::len);
    assert_eq!(count(ask(&other, Method::GET, "/v1/egress", "").await), Some(0));
    assert_eq!(count(ask(&own, Method::GET, "/v1/egress", "").await), Some(1));
    assert_eq!(ask(&own, Method::DELETE, &path, "").await.status, StatusCode::NO_CONTENT);
}

/// A server process of its own, killed when it is dropped.
pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
}

impl Process {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &["--no-demo"], &[])
    }

    /// With further arguments and settings in the environment.
    pub fn start_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_mixdown")), folder, arguments, environment)
    }

    /// In a group of processes from the first moment on, as in a container.
    pub fn start_in(group: &Path, folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(group.join("cgroup.procs")).arg(env!("CARGO_BIN_EXE_mixdown"));
        Self::run(command, folder, arguments, environment)
    }

    fn run(mut command: Command, folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = taken.local_addr().expect("address");
        drop(taken);
        command.args(["serve", "--dev", "--bind", &address.to_string()]).args(arguments).env_clear().current_dir(folder);
        command.env("MIXDOWN_RECORDINGS_FOLDER", folder.join("recordings")).env("MIXDOWN_RECORDINGS_RESERVE_BYTES", "0");
        // A machine that is busy with other tests is no server that is overloaded.
        command.env("MIXDOWN_OVERLOAD_GOVERNOR", "false").env("MIXDOWN_OVERLOAD_ADMISSION", "false");
        command.env("MIXDOWN_LOG_FILTER", "error").envs(environment.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        let process = Self { child, address };
        process.until("/readyz", |answer| answer.starts_with("ready"));
        process
    }

    /// Head, in small letters but for its first line, and body.
    pub fn fetch(&self, path: &str, range: Option<&str>) -> (String, Vec<u8>) {
        let range = range.map_or(String::new(), |range| format!("Range: {range}\r\n"));
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{range}\r\n").as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let body = answer.split_off(head);
        (String::from_utf8_lossy(&answer).into_owned(), body)
    }

    /// The body of an answer; empty where there is none.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = Vec::new();
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            // A server that is not there yet closes early.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Waits for an event, from the start of the server on.
    pub fn hears(&self, event: &str) {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n\r\n").expect("sent");
        let (mut heard, mut piece) = (String::new(), [0; 4096]);
        while !heard.contains(event) {
            let bytes = stream.read(&mut piece).expect("another event");
            assert!(bytes > 0, "the stream has ended: {heard}");
            heard += &String::from_utf8_lossy(&piece[..bytes]);
        }
    }

    pub fn until(&self, path: &str, fulfilled: impl Fn(&str) -> bool) -> String {
        let (pause, patience) = std::sync::mpsc::channel::<()>();
        for _ in 0..2000 {
            let answer = self.ask("GET", path, "");
            if fulfilled(&answer) {
                return answer;
            }
            // Nobody sends: this waits.
            let _ = patience.recv_timeout(Duration::from_millis(10));
        }
        drop(pause);
        panic!("{path}: {}", self.ask("GET", path, ""));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[test]
fn f33_what_a_killed_server_was_recording_plays_and_the_next_start_says_that_it_was_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let killed = Process::start(folder.path());
    killed.ask("PUT", "/v1/rooms/standup", "{}");
    let begun: Value = serde_json::from_str(&killed.ask("POST", "/v1/rooms/standup/recordings", "{}")).expect("JSON");
    let path = format!("/v1/recordings/{}", begun["id"].as_str().expect("an id"));
    let duration = |answer: &str| serde_json::from_str::<Value>(answer).expect("JSON")["duration_ms"].as_u64().expect("a duration");
    let before = duration(&killed.until(&path, |answer| duration(answer) > 2500));
    drop(killed);
    let media = folder.path().join("recordings").join(begun["id"].as_str().expect("an id")).join("media.mp4");
    plays(&media);
    let next = Process::start(folder.path());
    let found: Value = serde_json::from_str(&next.until(&path, |answer| answer.contains("interrupted"))).expect("JSON");
    assert_eq!(
        (found["state"].as_str(), found["reason"].as_str(), found["room"].as_str()),
        (Some("interrupted"), Some("interrupted"), Some("standup"))
    );
    next.hears("event: recording.interrupted");
    let after = found["duration_ms"].as_u64().expect("a duration");
    assert!(after + 2000 >= before && after > 0, "{after} ms of {before} are left");
    assert!(next.ask("GET", &format!("{path}/timeline.json"), "").contains("started"));
    plays(&media);
    ends_in_order(next, folder.path());
}

/// A signal ends a recording as it should end.
fn ends_in_order(mut server: Process, folder: &Path) {
    server.ask("PUT", "/v1/rooms/lounge", "{}");
    let begun: Value = serde_json::from_str(&server.ask("POST", "/v1/rooms/lounge/recordings", "{}")).expect("JSON");
    let id = begun["id"].as_str().expect("an id");
    server.until(&format!("/v1/recordings/{id}"), |answer| answer.contains("\"active\""));
    let told = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().expect("runs");
    assert!(told.success() && server.child.wait().expect("ended").success());
    let manifest = std::fs::read(folder.join("recordings").join(id).join("manifest.json")).expect("written");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!((manifest["state"].as_str(), manifest["reason"].as_str()), (Some("complete"), Some("shutdown")));
}

/// A full decode by somebody else's decoder, where there is one.
pub fn plays(media: &Path) {
    let mut command = Command::new("ffmpeg");
    // At the times of the file, however near pictures are to each other.
    command.args(["-v", "error", "-xerror", "-i"]).arg(media).args(["-enc_time_base", "-1", "-f", "null", "-"]);
    match command.output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skipped: ffmpeg cannot be run: {error}"),
    }
}
