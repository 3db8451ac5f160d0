//! What leaves a server that runs: HLS as ffprobe and ffmpeg read it, RTMP into a listener that dies and comes back, WHIP into another server, stills.

use crate::world::SECRET;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const RED: &str = r##"{"canvas":{"width":640,"height":360,"background":"#e02020"}}"##;

/// A process that is gone with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    base: String,
    http: Client,
    _process: Process,
    _folder: tempfile::TempDir,
}

/// A port that nobody has.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("address").port()
}

impl Server {
    async fn start(port: u16, settings: &[(&str, &str)]) -> Self {
        Self::serve(port, &["--dev"], settings).await
    }

    async fn serve(port: u16, mode: &[&str], settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixdown"));
        command.arg("serve").args(mode).args(["--bind", &format!("127.0.0.1:{port}")]).current_dir(folder.path());
        command.env("MIXDOWN_OVERLOAD_GOVERNOR", "false").env("MIXDOWN_OVERLOAD_ADMISSION", "false");
        command.env("MIXDOWN_NET_PORT", "0").envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(folder.path().join("log")).expect("a log"));
        let process = Process(command.spawn().expect("runs"));
        let http = Client::builder().no_proxy().build().expect("a client");
        let server = Self { base: format!("http://127.0.0.1:{port}"), http, _process: process, _folder: folder };
        for _ in 0..1000 {
            if server.http.get(format!("{}/readyz", server.base)).send().await.is_ok_and(|reply| reply.status() == StatusCode::OK) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server comes up");
    }

    /// One that may send to this machine.
    async fn private() -> Self {
        Self::start(port(), &[("MIXDOWN_EGRESS_ALLOW_PRIVATE_NETWORKS", "true")]).await
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = if body.is_empty() { request } else { request.header("content-type", "application/json").body(body.to_owned()) };
        request.send().await.expect("answered")
    }

    async fn get(&self, path: &str) -> Value {
        serde_json::from_slice(&self.send(Method::GET, path, "").await.bytes().await.expect("a body")).expect("JSON")
    }

    /// A room in red, and where its egress is.
    async fn send_out(&self, outputs: &Value) -> String {
        assert!(self.send(Method::PUT, "/v1/rooms/source", RED).await.status().is_success());
        let begun = self.send(Method::POST, "/v1/rooms/source/egress", &json!({"outputs": outputs}).to_string()).await;
        let (status, location) = (begun.status(), begun.headers().get("location").cloned());
        assert_eq!(status, StatusCode::CREATED, "{}", begun.text().await.expect("text"));
        location.expect("a location").to_str().expect("text").to_owned()
    }

    /// All events so far, up to the first of this kind.
    async fn followed(&self, last: &str) -> Vec<Value> {
        let request = self.http.get(format!("{}/v1/events", self.base)).header("last-event-id", "0");
        let (mut reply, mut text) = (request.send().await.expect("answered"), String::new());
        while !text.contains(&format!("event: {last}\n")) || !text.ends_with("\n\n") {
            let chunk = tokio::time::timeout(Duration::from_secs(10), reply.chunk()).await.expect("in time");
            text.push_str(&String::from_utf8_lossy(&chunk.expect("a stream").expect("more")));
        }
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
    }

    /// Asks until `path` fulfils something.
    async fn until(&self, path: &str, what: &str, fulfilled: impl Fn(&Value) -> bool) -> Value {
        let mut shown = Value::Null;
        for _ in 0..1500 {
            shown = self.get(path).await;
            if fulfilled(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what}: {shown}");
    }

    /// Whether most of a view's picture is red.
    async fn is_red(&self, room: &str) -> bool {
        let reply = self.send(Method::GET, &format!("/v1/rooms/{room}/views/main/snapshot.png?width=320"), "").await;
        let picture = image::load_from_memory(&reply.bytes().await.expect("a body")).expect("a picture").to_rgb8();
        let red = picture.pixels().filter(|pixel| pixel.0[0] > 150 && pixel.0[1] < 90).count();
        red * 2 > picture.pixels().len()
    }
}

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    if output.is_err() {
        println!("skipped: {program} is not installed");
    }
    output.ok()
}

fn state(shown: &Value) -> &str {
    shown["outputs"][0]["state"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_is_there_for_whoever_comes_first_and_decodes_without_a_fault() {
    let server = Server::private().await;
    let path = server.send_out(&json!([{"hls": {}}])).await;
    let url = format!("{path}/hls/index.m3u8");
    let first = server.send(Method::GET, &url, "").await;
    assert_eq!(first.status(), StatusCode::OK, "it waits for the first segment");
    assert_eq!(first.headers()["content-type"], "application/vnd.apple.mpegurl");
    assert_eq!(first.headers()["cache-control"], "private, max-age=1");
    let text = first.text().await.expect("text");
    assert!(text.contains("init-0.mp4") && text.contains("segment-0.m4s"), "{text}");
    let segment = server.send(Method::GET, &format!("{path}/hls/segment-0.m4s"), "").await;
    assert_eq!(
        (segment.status(), segment.headers()["cache-control"].to_str().ok()),
        (StatusCode::OK, Some("private, max-age=3600, immutable"))
    );
    for part in ["segment-999999.m4s", "segment-0.mp4", "segment-+0.m4s", "init-1.mp4", "x", "segment-99999999999999999999.m4s"] {
        assert_eq!(server.send(Method::GET, &format!("{path}/hls/{part}"), "").await.status(), StatusCode::NOT_FOUND, "{part}");
    }
    assert_eq!(server.get("/v1/egress").await["items"][0]["state"], "active");
    assert_eq!(server.get("/v1/rooms/source/egress").await["items"][0]["outputs"][0]["url"], url);
    let whole = format!("{}{url}", server.base);
    if let Some(probed) = run("ffprobe", &["-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", &whole]) {
        let text = String::from_utf8_lossy(&probed.stdout).into_owned();
        assert!(text.contains("h264,640") && text.contains("opus"), "{text}{}", String::from_utf8_lossy(&probed.stderr));
    }
    if let Some(decoded) = run("ffmpeg", &["-v", "error", "-xerror", "-t", "6", "-i", &whole, "-f", "null", "-"]) {
        assert!(decoded.status.success() && decoded.stderr.is_empty(), "{}", String::from_utf8_lossy(&decoded.stderr));
    }
    assert_eq!(server.send(Method::DELETE, &path, "").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.send(Method::DELETE, &path, "").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.send(Method::GET, &url, "").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.get("/v1/egress").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_for_those_who_may_watch_and_a_public_one_for_everybody() {
    let key = format!("main:{SECRET}");
    let server = Server::serve(port(), &[], &[("MIXDOWN_AUTH_KEYS", &key), ("MIXDOWN_NET_BIND", "127.0.0.1")]).await;
    let ask = async |method: Method, path: &str, body: Option<Value>, token: Option<&str>| {
        let request = server.http.request(method, format!("{}{path}", server.base));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request.basic_auth("main", Some(SECRET)),
        };
        let request = if let Some(body) = body { request.json(&body) } else { request };
        request.send().await.expect("answered")
    };
    assert!(ask(Method::PUT, "/v1/rooms/source", Some(json!({})), None).await.status().is_success());
    let mut paths = Vec::new();
    for public in [false, true] {
        let body = json!({"outputs": [{"hls": {"public": public}}]});
        let begun = ask(Method::POST, "/v1/rooms/source/egress", Some(body), None).await;
        paths.push(begun.headers()["location"].to_str().expect("text").to_owned());
    }
    let token = async |grants: Value| {
        let mut body = json!({"identity": "ann", "ttl_ms": 60_000});
        body.as_object_mut().expect("an object").extend(grants.as_object().expect("grants").clone());
        let made: Value = ask(Method::POST, "/v1/tokens", Some(body), None).await.json().await.expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    };
    let viewer = token(json!({"room": "source", "subscribe": true})).await;
    let other = token(json!({"room": "elsewhere", "subscribe": true})).await;
    let [private, public] = [0, 1].map(|at: usize| format!("{}/hls/index.m3u8", paths[at]));
    assert_eq!(server.send(Method::GET, &private, "").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Method::GET, &private, None, Some(&viewer)).await.status(), StatusCode::OK);
    assert_eq!(ask(Method::GET, &private, None, Some(&other)).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        ask(Method::GET, &paths[0], None, Some(&viewer)).await.status(),
        StatusCode::FORBIDDEN,
        "who watches does not see where it goes"
    );
    let open = server.send(Method::GET, &public, "").await;
    assert_eq!(open.status(), StatusCode::OK);
    assert_eq!(
        (&open.headers()["access-control-allow-origin"], &open.headers()["cache-control"]),
        (&"*".parse().unwrap(), &"public, max-age=1".parse().unwrap())
    );
    assert_eq!(server.send(Method::GET, &format!("{}/hls/init-0.mp4", paths[1]), "").await.status(), StatusCode::OK);
    assert_eq!(server.send(Method::GET, &paths[1], "").await.status(), StatusCode::UNAUTHORIZED, "the rest of it is not public");
}

#[tokio::test(flavor = "multi_thread")]
async fn stills_show_the_view_and_change_their_etag() {
    let server = Server::private().await;
    let path = server.send_out(&json!([{"images": {"interval_ms": 1000}}])).await;
    let first = server.send(Method::GET, &format!("{path}/image.jpg"), "").await;
    let etag = first.headers()["etag"].clone();
    let picture = image::load_from_memory(&first.bytes().await.expect("a body")).expect("a picture").to_rgb8();
    assert_eq!((picture.width(), picture.get_pixel(5, 5).0[0] > 150), (640, true), "in the canvas' red");
    for _ in 0..200 {
        let next =
            server.http.get(format!("{}{path}/image.jpg", server.base)).header("if-none-match", &etag).send().await.expect("answered");
        if next.status() == StatusCode::OK {
            return;
        }
        assert_eq!(next.status(), StatusCode::NOT_MODIFIED);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a second still in time");
}

/// Takes the webhooks of a server with these settings, and keeps what they say.
async fn hook(folder: &std::path::Path) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let take = move |body: String| async move { keep.lock().expect("no panic").push(serde_json::from_str(&body).expect("JSON")) };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", axum::routing::post(take))).await });
    let settings = format!(
        "[webhooks]\noutbox = {:?}\n[[webhooks.endpoints]]\nid = \"test\"\nurl = {url:?}\nallow_private_networks = true\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n",
        folder.join("outbox")
    );
    let file = folder.join("mixdown.toml");
    std::fs::write(&file, settings).expect("written");
    (file.to_str().expect("text").to_owned(), told)
}

/// What is told of an egress: kind, and the state of its first output.
fn story<'a>(told: impl IntoIterator<Item = &'a Value>) -> Vec<(String, String)> {
    let egress = told.into_iter().filter(|event| event["type"].as_str().is_some_and(|kind| kind.starts_with("egress.")));
    egress.map(|event| (event["type"].as_str().unwrap_or_default().to_owned(), state(&event["data"]["egress"]).to_owned())).collect()
}

/// An RTMP server that takes one stream into a file.
fn listener(port: u16, file: &std::path::Path) -> Option<Process> {
    let url = format!("rtmp://127.0.0.1:{port}/live/secret-key");
    let mut command = Command::new("ffmpeg");
    command
        .args([
            "-v",
            "error",
            "-y",
            "-analyzeduration",
            "0",
            "-fpsprobesize",
            "0",
            "-listen",
            "1",
            "-f",
            "flv",
            "-i",
            &url,
            "-c",
            "copy",
            "-flush_packets",
            "1",
            "-f",
            "flv",
        ])
        .arg(file);
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if process.is_err() {
        println!("skipped: ffmpeg is not installed");
    }
    process.ok().map(Process)
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmp_comes_back_when_the_other_side_does_and_its_key_is_shown_nowhere() {
    let server = Server::private().await;
    let (folder, port) = (tempfile::tempdir().expect("a folder"), port());
    let (one, two) = (folder.path().join("one.flv"), folder.path().join("two.flv"));
    let Some(first) = listener(port, &one) else { return };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let path = server.send_out(&json!([{"rtmp": {"url": format!("rtmp://127.0.0.1:{port}/live/secret-key")}}])).await;
    let shown = server.until(&path, "it comes up", |shown| state(shown) == "active").await;
    assert_eq!(shown["outputs"][0]["url"], format!("rtmp://127.0.0.1:{port}/live/…"));
    assert!(!shown.to_string().contains("secret-key"), "{shown}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(first);
    let shown = server.until(&path, "its end is noticed", |shown| state(shown) == "interrupted").await;
    assert!(["closed", "connect"].contains(&shown["outputs"][0]["reason"].as_str().expect("a reason")), "{shown}");
    assert!(shown["outputs"][0]["retry_at"].is_string(), "{shown}");
    let _second = listener(port, &two);
    server.until(&path, "it comes back", |shown| state(shown) == "active").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(server.send(Method::DELETE, &path, "").await.status(), StatusCode::NO_CONTENT);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for file in [one, two] {
        let arguments = ["-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", file.to_str().expect("text")];
        let Some(probed) = run("ffprobe", &arguments) else { return };
        let text = String::from_utf8_lossy(&probed.stdout).into_owned();
        assert!(text.contains("h264,640") && text.contains("aac"), "{text}{}", String::from_utf8_lossy(&probed.stderr));
    }
    let log = std::fs::read_to_string(server._folder.path().join("log")).expect("a log");
    assert!(!log.contains("secret-key"), "{log}");
}

/// What ends TLS before a port of this machine: prints a line once it listens.
const TERMINATOR: &str = "
import socket, ssl, sys, threading
folder, port, to = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + '/certificate.pem', folder + '/key.pem')
def carry(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(client):
    try:
        client = context.wrap_socket(client, server_side=True)
        there = socket.create_connection(('127.0.0.1', to))
    except OSError:
        return
    threading.Thread(target=carry, args=(there, client), daemon=True).start()
    carry(client, there)
listener = socket.create_server(('127.0.0.1', port))
print('listens', flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";

/// RTMPS for `localhost` before a port of this machine, with a certificate of its own.
fn terminator(folder: &std::path::Path, to: u16) -> Option<(Process, u16)> {
    let (place, port) = (folder.to_str().expect("text"), port());
    let (key, certificate) = (format!("{place}/key.pem"), format!("{place}/certificate.pem"));
    let named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let kept = ["-keyout", key.as_str(), "-out", certificate.as_str()];
    let arguments = [&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"][..], &named, &kept].concat();
    let made = run("openssl", &arguments)?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = Command::new("python3");
    command.args(["-c", TERMINATOR, place, &port.to_string(), &to.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    let Ok(process) = command.spawn() else {
        println!("skipped: python3 is not installed");
        return None;
    };
    let mut process = Process(process);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.0.stdout.take().expect("piped")), &mut line).expect("a line");
    assert_eq!(line.trim(), "listens");
    Some((process, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmps_goes_to_whom_a_trusted_authority_vouches_for_and_to_nobody_else() {
    let (folder, plain) = (tempfile::tempdir().expect("a folder"), port());
    let Some((_tls, port_of_tls)) = terminator(folder.path(), plain) else { return };
    let outputs = json!([{"rtmp": {"url": format!("rtmps://localhost:{port_of_tls}/live/secret-key")}}]);
    let stranger = Server::private().await;
    let path = stranger.send_out(&outputs).await;
    let shown = stranger.until(&path, "it is no certificate to trust", |shown| state(shown) == "interrupted").await;
    assert_eq!(shown["outputs"][0]["reason"], "tls", "{shown}");
    drop(stranger);

    // It takes one connection, and who looks at certificates after the handshake has made one.
    let film = folder.path().join("film.flv");
    let Some(_listener) = listener(plain, &film) else { return };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let authority = folder.path().join("certificate.pem");
    let settings = [("MIXDOWN_EGRESS_ALLOW_PRIVATE_NETWORKS", "true"), ("SSL_CERT_FILE", authority.to_str().expect("text"))];
    let server = Server::start(port(), &settings).await;
    let path = server.send_out(&outputs).await;
    server.until(&path, "it comes up", |shown| state(shown) == "active").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.send(Method::DELETE, &path, "").await.status(), StatusCode::NO_CONTENT);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let arguments = ["-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", film.to_str().expect("text")];
    let Some(probed) = run("ffprobe", &arguments) else { return };
    let text = String::from_utf8_lossy(&probed.stdout).into_owned();
    assert!(text.contains("h264,640") && text.contains("aac"), "{text}{}", String::from_utf8_lossy(&probed.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn whip_shows_the_view_in_another_server_and_comes_back_when_that_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (settings, told) = hook(folder.path()).await;
    let private = [("MIXDOWN_EGRESS_ALLOW_PRIVATE_NETWORKS", "true")];
    let server = Server::serve(port(), &["--dev", "--config", &settings], &private).await;
    let far = port();
    let path = server
        .send_out(&json!([{"whip": {"url": format!("http://127.0.0.1:{far}/whip/there?name=Source"), "token": "secret-token"}}]))
        .await;
    let shown = server.until(&path, "nothing answers", |shown| state(shown) == "interrupted").await;
    assert_eq!(shown["outputs"][0]["reason"], "connect", "{shown}");
    assert!(!shown.to_string().contains("secret-token"), "{shown}");
    for round in 0..2 {
        let remote = Server::start(far, &[]).await;
        server.until(&path, "it comes up", |shown| state(shown) == "active").await;
        let people = "/v1/rooms/there/participants";
        let there = remote.until(people, "it is there", |shown| shown["items"][0]["state"] == "connected").await;
        assert_eq!(
            (there["items"][0]["kind"].as_str(), there["items"][0]["name"].as_str()),
            (Some("publisher"), Some("Source")),
            "{there}"
        );
        let mut red = false;
        for _ in 0..200 {
            red = remote.is_red("there").await;
            if red {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(red, "the other server shows this room's canvas");
        if round == 0 {
            drop(remote);
            server.until(&path, "its end is noticed", |shown| state(shown) == "interrupted").await;
        } else {
            assert_eq!(server.send(Method::DELETE, &path, "").await.status(), StatusCode::NO_CONTENT);
            remote
                .until(people, "the session was deleted", |shown| {
                    shown["items"].as_array().is_none_or(|items| items.iter().all(|item| item["state"] == "disconnected"))
                })
                .await;
        }
    }
    let log = std::fs::read_to_string(server._folder.path().join("log")).expect("a log");
    assert!(!log.contains("secret-token"), "{log}");
    // Who follows events and who is posted to hear of all of it, in order.
    for _ in 0..500 {
        if story(&*told.lock().expect("no panic")).iter().any(|(kind, _)| kind == "egress.ended") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let posted = story(&*told.lock().expect("no panic"));
    let changes: Vec<&str> = posted.iter().filter(|(kind, _)| kind == "egress.updated").map(|(_, state)| state.as_str()).collect();
    let mut turns = changes.clone();
    turns.retain(|state| ["active", "interrupted"].contains(state));
    turns.dedup();
    assert_eq!(turns, ["interrupted", "active", "interrupted", "active"], "{posted:?}");
    let ends = [posted.first(), posted.last()].map(|event| event.map(|(kind, _)| kind.as_str()));
    assert_eq!(ends, [Some("egress.started"), Some("egress.ended")], "{posted:?}");
    assert_eq!(story(&server.followed("egress.ended").await), posted, "events say the same");
    assert!(!format!("{:?}", told.lock()).contains("secret-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_with_the_field_and_the_limit() {
    let server = Server::start(port(), &[("MIXDOWN_EGRESS_FFMPEG", "no-such-program")]).await;
    assert!(server.send(Method::PUT, "/v1/rooms/source", RED).await.status().is_success());
    for (outputs, pointer, detail) in [
        (json!([]), "/outputs", "1 to 8"),
        (json!([{"hls": {}}, {"hls": {}}]), "/outputs/1", "one hls and one images"),
        (json!([{"images": {"interval_ms": 999}}]), "/outputs/0/images/interval_ms", "egress.images_min_interval_ms"),
        (json!([{"whip": {"url": "https://127.0.0.1/whip/x"}}]), "/outputs/0/whip/url", "no address that may be asked"),
        (json!([{"whip": {"url": "http://example.org/whip/x"}}]), "/outputs/0/whip/url", "https://"),
        (json!([{"whip": {"url": "https://example.org/x", "token": "a b"}}]), "/outputs/0/whip/token", "printable"),
        (json!([{"rtmp": {"url": "rtmp://169.254.169.254/live/key"}}]), "/outputs/0/rtmp/url", "no address that may be asked"),
        (json!([{"rtmp": {"url": "file:///etc/passwd"}}]), "/outputs/0/rtmp/url", "rtmp://"),
        (json!([{"rtmp": {"url": "rtmp://example.org/live/key"}}]), "/outputs/0/rtmp", "no-such-program"),
        (json!([{"hls": {"extra": 1}}]), "/outputs/0/hls/extra", "unknown field"),
        (json!([{"srt": {}}]), "/outputs/0/srt", "unknown field"),
        (json!([{}]), "/outputs/0", "one of hls"),
        (json!([{"hls": {}, "images": {"interval_ms": 1000}}]), "/outputs/0", "one of hls"),
    ] {
        let reply = server.send(Method::POST, "/v1/rooms/source/egress", &json!({"outputs": outputs}).to_string()).await;
        let (status, text) = (reply.status(), reply.text().await.expect("text"));
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{outputs}: {text}");
        let problem: Value = serde_json::from_str(&text).expect("JSON");
        let told = problem["errors"].as_array().expect("errors").iter().any(|error| {
            error["pointer"].as_str().is_some_and(|at| at.starts_with(pointer))
                && error["detail"].as_str().is_some_and(|text| text.contains(detail))
        });
        assert!(told, "{outputs}: {text}");
    }
    let reply = server.send(Method::POST, "/v1/rooms/source/egress", r#"{"view":"nowhere","outputs":[{"hls":{}}]}"#).await;
    assert_eq!(reply.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let reply = server.send(Method::POST, "/v1/rooms/nowhere/egress", r#"{"outputs":[{"hls":{}}]}"#).await;
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    for id in ["eg_0123456789abcdef0123456789abcdef", "eg_1", "x"] {
        assert_eq!(server.send(Method::GET, &format!("/v1/egress/{id}"), "").await.status(), StatusCode::NOT_FOUND);
    }
}
