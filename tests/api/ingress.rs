//! Files, streams, pictures and announcements played into real rooms by a real ffmpeg, and read back out of a recording: which colour was
//! seen and which tone was heard, when.

use crate::world::{Reply, call, send_to};
use axum::http::{Method, StatusCode};
use mixdown::api::{self, App, Clock};
use mixdown::conference::library::Library;
use mixdown::config::{Config, Mode};
use mixdown::record::Store;
use mixdown::runtime::media;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// What the test film shows, a second each, with a tone for each.
const COLOURS: [&str; 6] = ["red", "lime", "blue", "yellow", "magenta", "cyan"];

fn tone(index: usize) -> f64 {
    500.0 + 250.0 * index as f64
}

fn ffmpeg_is_here() -> bool {
    let here = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !here {
        eprintln!("skipped: there is no ffmpeg");
    }
    here
}

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let done = Command::new("ffmpeg").args(["-nostdin", "-hide_banner", "-loglevel", "error"]).args(arguments).output().expect("ffmpeg");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// Six seconds of [`COLOURS`] and tones.
fn film(path: &Path, more: &[&str]) {
    let pictures: String = COLOURS.iter().map(|colour| format!("color=c={colour}:s=320x180:r=30:d=1,format=yuv420p[{colour}];")).collect();
    let sounds: String = (0..6).map(|n| format!("sine=f={}:r=48000:d=1,volume=2[t{n}];", tone(n))).collect();
    let order: String = (0..6).map(|n| format!("[{}][t{n}]", COLOURS[n])).collect();
    let graph = format!("{pictures}{sounds}{order}concat=n=6:v=1:a=1[v][a]");
    let codecs =
        ["-filter_complex", &graph, "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-c:a", "aac"];
    ffmpeg(&[&codecs[..], more, &["-y", path.to_str().expect("path")]].concat());
}

struct Server {
    router: axum::Router,
    _media: media::Running,
    folder: tempfile::TempDir,
}

async fn server(change: impl FnOnce(&mut Config)) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("media")).expect("made");
    let mut config = Config::default();
    config.recordings.folder = folder.path().join("recordings");
    config.recordings.reserve_bytes = 0;
    config.recordings.sign = false;
    config.ingress.folder = folder.path().join("media");
    config.rooms.canvas.width = 640;
    config.rooms.canvas.height = 360;
    // A machine that is busy with other tests is no server that is overloaded.
    (config.overload.governor, config.overload.admission) = (false, false);
    (config.net.bind, config.net.port, config.net.tcp) = (vec!["127.0.0.1".parse().expect("address")], 0, false);
    change(&mut config);
    let (store, _) = Store::open(config.recordings.settings()).expect("opened");
    let running = media::start(&config, true, Library::new(store, 8, crate::world::wall)).await.expect("started");
    let clock = Clock { now: crate::world::now, wall: crate::world::wall, cpu: || Duration::ZERO };
    let app = App::new(config, Mode::Dev, Arc::clone(&running.directory) as _, clock, Box::new(String::new), Default::default());
    Server { router: api::router(app), _media: running, folder }
}

impl Server {
    fn media(&self) -> std::path::PathBuf {
        self.folder.path().join("media")
    }

    async fn send(&self, request: axum::http::Request<axum::body::Body>) -> Reply {
        send_to(&self.router, request).await
    }

    async fn get(&self, path: &str) -> Value {
        self.send(call(Method::GET, path).empty()).await.json()
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(call(Method::POST, path).json(&body.to_string())).await
    }

    async fn patch(&self, path: &str, body: Value) -> Value {
        let reply = self.send(call(Method::PATCH, path).body("application/merge-patch+json", body.to_string())).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()
    }

    /// Makes room `a`, records it, and gives the recording's path.
    async fn record(&self) -> String {
        assert_eq!(self.send(call(Method::PUT, "/v1/rooms/a").json("{}")).await.status, StatusCode::CREATED);
        let begun = self.post("/v1/rooms/a/recordings", json!({})).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
        let path = begun.header("location").to_owned();
        self.until(&path, "recorded", |shown| shown["state"] == "active").await;
        path
    }

    /// Plays something into room `a`, and gives its path.
    async fn play(&self, body: Value) -> String {
        let begun = self.post("/v1/rooms/a/ingress", body).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
        assert_eq!(begun.header("location"), format!("/v1/ingress/{}", begun.json()["id"].as_str().expect("id")));
        begun.header("location").to_owned()
    }

    async fn until(&self, path: &str, what: &str, fulfilled: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..3000 {
            let shown = self.get(path).await;
            if fulfilled(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {what}: {}", self.get(path).await);
    }

    /// Stops the recording and reads it.
    async fn tape(&self, recording: &str) -> Tape {
        self.post(&format!("{recording}/stop"), json!({})).await;
        self.until(recording, "closed", |shown| shown["state"] == "complete").await;
        let file = self.folder.path().join("tape.mp4");
        std::fs::write(&file, &self.send(call(Method::GET, &format!("{recording}/media")).empty()).await.body).expect("written");
        Tape::read(&file)
    }
}

/// A recording, in blocks of 20 ms: the colour in the middle of the picture, and the tone.
#[derive(Debug)]
struct Tape {
    colours: Vec<Option<usize>>,
    tones: Vec<Option<usize>>,
}

impl Tape {
    fn read(file: &Path) -> Self {
        let file = file.to_str().expect("path");
        let pixels =
            ffmpeg(&["-i", file, "-vf", "fps=50:start_time=0,crop=iw/8:ih/8,scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
        let samples = ffmpeg(&["-i", file, "-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", "48000", "-f", "f32le", "-"]);
        let samples: Vec<f32> = samples.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Self { colours: pixels.chunks_exact(3).map(colour).collect(), tones: samples.chunks_exact(960).map(heard).collect() }
    }

    /// Colours in their order, with the blocks for which each was seen.
    fn seen(&self) -> Vec<(Option<usize>, usize)> {
        runs(&self.colours)
    }

    fn heard(&self) -> Vec<(Option<usize>, usize)> {
        runs(&self.tones)
    }
}

/// Equal ones together; what lasts no longer than two blocks is a transition and no more.
fn runs(blocks: &[Option<usize>]) -> Vec<(Option<usize>, usize)> {
    let mut runs: Vec<(Option<usize>, usize)> = Vec::new();
    for run in blocks.chunk_by(|a, b| a == b).filter(|run| run.len() > 2) {
        match runs.last_mut().filter(|last| last.0 == run[0]) {
            Some(last) => last.1 += run.len(),
            None => runs.push((run[0], run.len())),
        }
    }
    runs
}

fn colour(pixel: &[u8]) -> Option<usize> {
    let bright = [pixel[0] > 128, pixel[1] > 128, pixel[2] > 128];
    let codes =
        [[true, false, false], [false, true, false], [false, false, true], [true, true, false], [true, false, true], [false, true, true]];
    codes.iter().position(|code| *code == bright)
}

fn heard(block: &[f32]) -> Option<usize> {
    let stereo: Vec<f32> = block.iter().flat_map(|sample| [*sample, *sample]).collect();
    let loudest = (0..6).map(|n| (n, loudness(&stereo, tone(n)))).max_by(|a, b| a.1.total_cmp(&b.1));
    loudest.filter(|(_, loudness)| *loudness > 0.02).map(|(n, _)| n)
}

/// Amplitude of `hz` (Goertzel).
fn loudness(pcm: &[f32], hz: f64) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * hz / 48_000.0).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in pcm.iter().step_by(2) {
        let s0 = f64::from(*sample) + coefficient * s1 - s2;
        (s2, s1) = (s1, s0);
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    2.0 * power.max(0.0).sqrt() / (pcm.len() / 2).max(1) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_seen_and_heard_pauses_is_moved_and_leaves_at_its_end() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|_| {}).await;
    // Uncoded sound, which begins where it says.
    film(&server.media().join("film.mkv"), &["-c:a", "pcm_s16le"]);
    let recording = server.record().await;
    let path = server.play(json!({"file": "film.mkv", "role": "cinema"})).await;
    let playing = server.until(&path, "playing", |shown| shown["state"] == "playing" && shown["position_ms"].as_u64() >= Some(1500)).await;
    assert_eq!((playing["duration_ms"].as_u64().map(|ms| ms / 100), playing["name"].as_str()), (Some(60), Some("film")));
    let people = server.get("/v1/rooms/a/participants").await;
    let person = &people["items"][0];
    assert_eq!(
        (person["kind"].as_str(), person["role"].as_str(), &person["id"]),
        (Some("ingress"), Some("cinema"), &playing["participant"])
    );
    assert_eq!(server.get("/v1/rooms/a/ingress").await["items"][0]["id"], playing["id"]);

    let paused = server.patch(&path, json!({"state": "paused"})).await;
    assert_eq!(paused["state"], "paused");
    tokio::time::sleep(Duration::from_millis(800)).await;
    let position = |shown: &Value| shown["position_ms"].as_u64().expect("position");
    assert!(position(&server.get(&path).await) < position(&paused) + 60, "it stands still");
    let moved = server.patch(&path, json!({"state": "playing", "position_ms": 4000})).await;
    assert!((4000..4100).contains(&position(&moved)), "{moved}");

    let ended = server.until(&path, "over", |shown| shown["state"] == "complete").await;
    assert_eq!(ended["reason"], "end");
    assert_eq!(server.get("/v1/rooms/a/participants").await["items"], json!([]));
    let gone = server.send(call(Method::PATCH, &path).body("application/merge-patch+json", "{}")).await;
    assert_eq!(gone.problem(), "not-found");
    tokio::time::sleep(Duration::from_millis(500)).await;

    let tape = server.tape(&recording).await;
    // It has no track of its own: what was played when is in the timeline.
    let timeline = server.get(&format!("{recording}/timeline.json")).await;
    let told =
        timeline["events"].as_array().expect("events").iter().filter(|event| event["type"] == "ingress").map(|event| &event["state"]);
    let told: Vec<_> =
        told.map(|state| (state["state"].as_str().expect("state"), state["position_ms"].as_u64().expect("position"))).collect();
    assert!(told.iter().any(|(state, at)| *state == "paused" && at.abs_diff(position(&paused)) < 60), "{told:?}");
    assert!(told.iter().any(|(state, at)| *state == "playing" && (4000..4100).contains(at)), "{told:?}");
    assert!(
        told.first().is_some_and(|(state, _)| *state == "starting") && told.last().is_some_and(|(state, _)| *state == "complete"),
        "{told:?}"
    );
    assert!(!timeline.to_string().contains("\"url\""), "addresses are for those who steer it");
    let (seen, heard) = (tape.seen(), tape.heard());
    // Until its first picture is there, it has initials in a colour of its own, for a moment.
    let order: Vec<usize> = seen.iter().filter(|(_, frames)| *frames > 10).filter_map(|(colour, _)| *colour).collect();
    assert_eq!(order, [0, 1, 4, 5], "{seen:?}");
    let blocks = |runs: &[(Option<usize>, usize)], wanted: usize| {
        runs.iter().filter(|(what, _)| *what == Some(wanted)).map(|run| run.1).sum::<usize>()
    };
    assert!(blocks(&seen, 0).abs_diff(50) <= 4 && blocks(&seen, 4).abs_diff(50) <= 4, "{seen:?}");
    assert!(blocks(&seen, 1) >= 25 + 38, "the pause freezes the picture: {seen:?}");
    assert!(blocks(&heard, 1).abs_diff(25) <= 10, "and silences it: {heard:?}");
    let tones: Vec<usize> = heard.iter().filter_map(|(tone, _)| *tone).collect();
    assert_eq!(tones, [0, 1, 4, 5], "{heard:?}");
    for (before, after) in [(0, 1), (4, 5)] {
        let begins = |run: &[Option<usize>]| run[0] != Some(after) && run[1..].iter().all(|what| *what == Some(after));
        let change = |blocks: &[Option<usize>]| blocks.windows(6).position(begins).expect("a change");
        let (picture, sound) = (change(&tape.colours), change(&tape.tones));
        println!("{before} to {after}: picture {} ms, sound {} ms", picture * 20, sound * 20);
        // A frame lasts almost two blocks.
        assert!(picture.abs_diff(sound) <= 3, "picture and sound are in step: {picture} {sound}");
    }
    assert_eq!((tape.colours.last(), tape.tones.last()), (Some(&None), Some(&None)), "nobody is left");
}

/// Serves the files of a folder over HTTP, one request per connection; `/moved/…` leads to `…`.
async fn web(folder: std::path::PathBuf) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let folder = folder.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let text = String::from_utf8_lossy(&head).into_owned();
                let path = text.split([' ', '?']).nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
                let answer = match (path.strip_prefix("moved/"), std::fs::read(folder.join(&path))) {
                    (Some(other), _) => {
                        format!("HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
                    }
                    (None, Err(_)) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
                    (None, Ok(body)) => {
                        let range =
                            text.lines().find_map(|line| line.strip_prefix("Range: bytes=")?.split('-').next()?.parse::<usize>().ok());
                        let (from, all) = (range.unwrap_or(0).min(body.len()), body.len());
                        let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
                        let last = all.saturating_sub(1);
                        let head = format!(
                            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\nContent-Range: bytes {from}-{last}/{all}\r\nConnection: close\r\n\r\n",
                            all - from
                        );
                        [head.as_bytes(), &body[from..]].concat()
                    }
                };
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    address
}

/// Blocks of each colour and tone, however often they came.
fn amounts(blocks: &[Option<usize>]) -> [usize; 6] {
    std::array::from_fn(|index| blocks.iter().filter(|what| **what == Some(index)).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn films_and_hls_are_played_over_http_and_only_from_where_that_is_allowed() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|config| config.ingress.allow_private_networks = true).await;
    let folder = server.folder.path().join("web");
    std::fs::create_dir(&folder).expect("made");
    film(&folder.join("film.mp4"), &["-movflags", "faststart"]);
    film(&folder.join("list.m3u8"), &["-f", "hls", "-hls_time", "1", "-hls_list_size", "0"]);
    let address = web(folder).await;
    let recording = server.record().await;
    let film =
        server.play(json!({"url": format!("http://ann:secret@{address}/moved/http://{address}/film.mp4?key=1"), "start_ms": 3000})).await;
    let ended = server.until(&film, "over", |shown| shown["state"] == "complete").await;
    assert_eq!((ended["reason"].as_str(), ended["duration_ms"].as_u64().map(|ms| ms / 100)), (Some("end"), Some(60)));
    assert!(!ended.to_string().contains("secret") && !ended.to_string().contains("key="), "{ended}");
    let list = server.play(json!({"url": format!("http://{address}/list.m3u8")})).await;
    let ended = server.until(&list, "over", |shown| shown["state"] == "complete" || shown["state"] == "failed").await;
    assert_eq!(ended["reason"], "end", "{ended}");
    let tape = server.tape(&recording).await;
    let (seen, heard) = (amounts(&tape.colours), amounts(&tape.tones));
    for (index, seconds) in [1, 1, 1, 2, 2, 2].into_iter().enumerate() {
        assert!(seen[index].abs_diff(50 * seconds) <= 8 && heard[index].abs_diff(50 * seconds) <= 8, "{seen:?} {heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_from_this_machine_unless_that_is_allowed() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|config| config.ingress.retry_ms = 0).await;
    film(&server.media().join("film.mp4"), &[]);
    let address = web(server.media()).await;
    server.record().await;
    let refused = server.post("/v1/rooms/a/ingress", json!({"url": format!("http://{address}/film.mp4")})).await;
    assert_eq!((refused.status.as_u16(), refused.json()["errors"][0]["pointer"].as_str()), (422, Some("/url")), "{}", refused.text());
    // A name says nothing until it is looked up.
    let named = server.play(json!({"url": format!("http://localhost:{}/film.mp4", address.port())})).await;
    let failed = server.until(&named, "failed", |shown| shown["state"] == "failed").await;
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("403")), "{failed}");
    let camera = server.play(json!({"url": "rtsp://localhost/camera"})).await;
    let failed = server.until(&camera, "failed", |shown| shown["state"] == "failed").await;
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("allow_private_networks")), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_played_is_refused_or_fails_with_its_reason() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|config| (config.ingress.max_per_room, config.ingress.max) = (1, 1)).await;
    std::fs::write(server.media().join("noise.mp4"), "this is no film").expect("written");
    std::fs::write(server.media().join("list.m3u8"), "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n").expect("written");
    server.record().await;
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"file": "a", "url": "http://example.org"}), ""),
        (json!({"file": "../a.mp4"}), "/file"),
        (json!({"file": "nothing.mp4"}), "/file"),
        (json!({"url": "file:///etc/passwd"}), "/url"),
        (json!({"picture": "data:image/png;base64,AAAA"}), "/picture"),
        (json!({"file": "noise.mp4", "duck_db": 3}), "/duck_db"),
        (json!({"file": "noise.mp4", "show": "tv"}), "/show"),
    ] {
        let refused = server.post("/v1/rooms/a/ingress", body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["errors"][0]["pointer"].as_str()),
            (422, Some(pointer)),
            "{body}: {}",
            refused.text()
        );
    }
    for name in ["noise.mp4", "list.m3u8"] {
        let path = server.play(json!({"file": name})).await;
        let failed = server.until(&path, "failed", |shown| shown["state"] == "failed").await;
        assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("Invalid data")), "{failed}");
    }
    let pixel =
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==";
    server.play(json!({"picture": pixel})).await;
    let one_too_many = server.post("/v1/rooms/a/ingress", json!({"picture": pixel})).await;
    assert!(one_too_many.status == StatusCode::SERVICE_UNAVAILABLE && one_too_many.text().contains("ingress.max_per_room is 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_ffmpeg_films_are_refused_and_pictures_are_not() {
    let server = server(|config| config.ingress.ffmpeg = "no-such-ffmpeg".into()).await;
    std::fs::write(server.media().join("film.mp4"), "a film").expect("written");
    assert_eq!(server.send(call(Method::PUT, "/v1/rooms/a").json("{}")).await.status, StatusCode::CREATED);
    let refused = server.post("/v1/rooms/a/ingress", json!({"file": "film.mp4"})).await;
    assert!(refused.status == StatusCode::SERVICE_UNAVAILABLE && refused.text().contains("install ffmpeg"), "{}", refused.text());
    let pixel =
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==";
    let path = server.play(json!({"picture": pixel, "name": "Back soon"})).await;
    server.until("/v1/rooms/a/participants", "shown", |people| people["items"][0]["name"] == "Back soon").await;
    let shown = server.send(call(Method::GET, &path).empty()).await;
    let stale = server.send(call(Method::DELETE, &path).with("if-match", "\"999\"").empty()).await;
    assert_eq!(stale.problem(), "precondition-failed");
    let seek = server.send(call(Method::PATCH, &path).body("application/merge-patch+json", r#"{"position_ms": 5}"#)).await;
    assert_eq!(seek.problem(), "conflict");
    let stopped = server.send(call(Method::DELETE, &path).with("if-match", shown.header("etag")).empty()).await;
    assert_eq!(stopped.status, StatusCode::NO_CONTENT);
    assert_eq!(server.send(call(Method::GET, &path).empty()).await.problem(), "not-found");
}

/// The ffmpegs of this process that play `file`.
fn children(file: &str) -> Vec<u32> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").expect("proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |pid: &u32| {
        let read = |what: &str| std::fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
        read("cmdline").contains(file) && read("stat").rsplit(')').next().and_then(|rest| rest.split(' ').nth(2)) == Some(&*own)
    };
    processes.filter(ours).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_child_is_told_of_and_started_again_where_it_stood_and_none_runs_for_nobody() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|_| {}).await;
    film(&server.media().join("killed.mp4"), &[]);
    let recording = server.record().await;
    let path = server.play(json!({"file": "killed.mp4", "loop": true})).await;
    server.until(&path, "playing", |shown| shown["position_ms"].as_u64() >= Some(1200)).await;
    let pids = children("killed.mp4");
    assert_eq!(pids.len(), 1);
    assert!(Command::new("kill").args(["-9", &pids[0].to_string()]).status().is_ok_and(|status| status.success()));
    let broken = server.until(&path, "broken off", |shown| shown["state"] == "reconnecting").await;
    assert!(broken["reason"].as_str().is_some_and(|reason| reason.contains("signal: 9")), "{broken}");
    let again = server.until(&path, "going on", |shown| shown["state"] == "playing").await;
    let (before, after) = (broken["position_ms"].as_u64().expect("a position"), again["position_ms"].as_u64().expect("a position"));
    assert!((before..before + 700).contains(&after), "{before} {after}");

    // It pauses: there is no child. It plays for nobody: neither.
    server.patch(&path, json!({"state": "paused"})).await;
    let gone = || async {
        for _ in 0..500 {
            if children("killed.mp4").is_empty() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    };
    assert!(gone().await, "while it pauses");
    server.patch(&path, json!({"state": "playing"})).await;
    server.until(&path, "playing", |_| !children("killed.mp4").is_empty()).await;
    server.tape(&recording).await;
    assert!(gone().await, "when nobody sees and hears it");
    let alone = server.get(&path).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.get(&path).await["position_ms"] != alone["position_ms"], "time goes on");
    assert_eq!(server.send(call(Method::DELETE, &path).empty()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_heard_over_what_it_ducks_and_has_no_tile() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|_| {}).await;
    let folder = server.media();
    film(&folder.join("film.mp4"), &[]);
    // The tone of the last colour, which the film has not come to when it sounds.
    ffmpeg(&["-f", "lavfi", "-i", &format!("sine=f={}:d=2,volume=2", tone(5)), "-y", folder.join("gong.ogg").to_str().expect("path")]);
    let recording = server.record().await;
    let film = server.play(json!({"file": "film.mp4", "loop": true})).await;
    server.until(&film, "playing", |shown| shown["position_ms"].as_u64() >= Some(500)).await;
    let gong = server.play(json!({"file": "gong.ogg", "show": "announcement", "duck_db": -40, "name": "Gong"})).await;
    let sounding = server.until(&gong, "playing", |shown| shown["state"] == "playing").await;
    let people = server.get("/v1/rooms/a/participants").await;
    assert!(
        people["items"].as_array().is_some_and(|all| all.iter().any(|one| one["kind"] == "announcement" && one["name"] == "Gong")),
        "{people}"
    );
    assert_eq!(sounding["duck_db"], -40.0);
    server.until(&gong, "over", |shown| shown["state"] == "complete").await;
    server.until(&film, "going on", |shown| shown["position_ms"].as_u64() >= Some(4000)).await;
    let tape = server.tape(&recording).await;
    let (seen, heard) = (amounts(&tape.colours), amounts(&tape.tones));
    assert!(heard[5].abs_diff(100) <= 15, "two seconds: {heard:?}");
    assert!(heard[1] + heard[2] < seen[1] + seen[2] - 60, "the film is ducked meanwhile: {heard:?} {seen:?}");
    assert!(heard[3] > 30, "and no longer: {heard:?}");
    assert!(seen[1] > 40 && seen[2] > 40 && seen[5] < 10, "it has no tile: {seen:?}");
}

/// A camera: whoever asks it over RTSP gets the stream (MPEG-TS in RTP, interleaved) from its beginning, at its pace, and then the end of the connection.
async fn camera(stream: Vec<u8>, seconds: f64) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:track1\r\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let stream = stream.clone();
            tokio::spawn(async move {
                loop {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { return };
                        head.push(byte);
                    }
                    let text = String::from_utf8_lossy(&head).into_owned();
                    let sequence = text.lines().find(|line| line.to_ascii_lowercase().starts_with("cseq")).unwrap_or_default().to_owned();
                    let more = match text.split(' ').next().unwrap_or_default() {
                        "OPTIONS" => "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".to_owned(),
                        "DESCRIBE" => format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len()),
                        "SETUP" => "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n".to_owned(),
                        _ => "Session: 1\r\n\r\n".to_owned(),
                    };
                    let _ = socket.write_all(format!("RTSP/1.0 200 OK\r\n{sequence}\r\n{more}").as_bytes()).await;
                    if text.starts_with("PLAY") {
                        break;
                    }
                }
                let packets: Vec<&[u8]> = stream.chunks(7 * 188).collect();
                let step = Duration::from_secs_f64(seconds / packets.len() as f64);
                let mut pace = tokio::time::interval(step);
                for (n, packet) in packets.iter().enumerate() {
                    pace.tick().await;
                    let time = (step.as_secs_f64() * n as f64 * 90_000.0) as u32;
                    let head = [
                        &[0x24, 0][..],
                        &(packet.len() as u16 + 12).to_be_bytes(),
                        &[0x80, 33],
                        &(n as u16).to_be_bytes(),
                        &time.to_be_bytes(),
                        &[0, 0, 0, 1],
                    ];
                    if socket.write_all(&[&head.concat()[..], packet].concat()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_over_rtsp_is_live_and_is_asked_again_when_it_breaks_off() {
    if !ffmpeg_is_here() {
        return;
    }
    let server = server(|config| config.ingress.allow_private_networks = true).await;
    let file = server.folder.path().join("camera.ts");
    film(&file, &["-bf", "0", "-f", "mpegts"]);
    let address = camera(std::fs::read(&file).expect("read"), 6.0).await;
    let recording = server.record().await;
    let path = server.play(json!({"url": format!("rtsp://localhost:{}/cam", address.port())})).await;
    let playing = server.until(&path, "playing", |shown| shown["state"] == "playing").await;
    assert_eq!(playing["duration_ms"], Value::Null);
    let seek = server.send(call(Method::PATCH, &path).body("application/merge-patch+json", r#"{"position_ms": 5}"#)).await;
    assert_eq!(seek.problem(), "conflict", "nobody goes back in what is live");
    let broken = server.until(&path, "broken off", |shown| shown["state"] == "reconnecting").await;
    assert!(broken["reason"].as_str().is_some_and(|reason| reason.contains("broke off")), "{broken}");
    server.until(&path, "there again", |shown| shown["state"] == "playing").await;
    server.until(&path, "broken off again", |shown| shown["state"] == "reconnecting").await;
    assert_eq!(server.send(call(Method::DELETE, &path).empty()).await.status, StatusCode::NO_CONTENT);
    let tape = server.tape(&recording).await;
    let (seen, heard) = (amounts(&tape.colours), amounts(&tape.tones));
    assert!(seen[4].abs_diff(100) <= 12 && heard[4].abs_diff(100) <= 12, "twice a second of it: {seen:?} {heard:?}");
}
