//! `mixdown record`: a recording on a running server, from its beginning to a file here.

use super::output::out;
use super::recording::length;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, Method, Response, StatusCode, Url, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};

/// Requests that take longer have failed; a download only where nothing comes for so long.
const PATIENCE: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(1);
/// So many in a row say nothing yet.
const MOST_FAILURES: u32 = 10;
/// How often a recording that was stopped is asked whether it is closed, and how many times.
const CLOSING: (Duration, u32) = (Duration::from_millis(250), 480);

#[derive(Args)]
pub struct Record {
    #[arg(long)]
    room: mixdown::ids::RoomId,
    /// Where it goes in the end.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// With the grant record or admin.
    #[arg(long, env = "MIXDOWN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The view to record.
    #[arg(long, default_value = "main")]
    view: String,
    /// In place of the view's: a kind such as grid or speaker, or a file with a layout as JSON.
    #[arg(long)]
    layout: Option<String>,
    /// In place of the view's.
    #[arg(long, value_name = "WxH", value_parser = super::compose::size)]
    canvas: Option<(u32, u32)>,
    /// Of that canvas.
    #[arg(long, default_value_t = 30, value_name = "N", requires = "canvas")]
    fps: u32,
    /// End after so long, such as 90s, 10m or 6h; else with Ctrl-C.
    #[arg(long, value_parser = super::token::duration)]
    duration: Option<Duration>,
    /// One JSON line per second in place of text.
    #[arg(long)]
    json: bool,
}

/// The text says what to do next.
pub async fn run(args: Record) -> Result<(), String> {
    if args.output.file_name().is_none() || args.output.is_dir() {
        return Err(format!("{}: is no file; name one with -o", args.output.display()));
    }
    let wanted = wanted(&args)?;
    let client = Client::builder().read_timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    let server = Server { client, base: args.url.clone(), token: args.token.clone() };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    // The second one ends also what the first has begun.
    let both = signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt_again, mut terminate_again) = both.map_err(|error| error.to_string())?;
    let begun = server.json(Method::POST, &format!("v1/rooms/{}/recordings", args.room), Some(wanted)).await?;
    let id = begun["id"].as_str().ok_or("the server's answer names no recording; is it a Mixdown?")?.to_owned();
    let line = Line::new(args.json);
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = async { match args.duration { Some(duration) => tokio::time::sleep(duration).await, None => std::future::pending().await } } => {}
        }
    };
    tokio::pin!(stop);
    let mut failures = 0;
    let ended = loop {
        tokio::select! {
            () = &mut stop => break false,
            () = tokio::time::sleep(EVERY) => {}
        }
        let now = match server.recording(&id).await {
            Ok(now) => now,
            Err(_) if failures < MOST_FAILURES => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(left(&id, &error)),
        };
        failures = 0;
        line.show(&now, server.bytes(&id).await);
        if is_final(&now) {
            break true;
        }
    };
    if !ended {
        // It may have ended in this moment: then there is nothing to stop.
        let _ = server.json(Method::POST, &format!("v1/recordings/{id}/stop"), None).await;
    }
    let fetched = async {
        let manifest = server.closed(&id, &line).await?;
        let bytes = server.download(&id, &manifest, &args.output).await?;
        Ok::<_, String>((manifest, bytes))
    };
    let (manifest, bytes) = tokio::select! {
        fetched = fetched => fetched.map_err(|error| left(&id, &error))?,
        _ = interrupt_again.recv() => return Err(left(&id, "interrupted")),
        _ = terminate_again.recv() => return Err(left(&id, "interrupted")),
    };
    line.end();
    let duration_ms = manifest["duration_ms"].as_u64().unwrap_or_default();
    let shown = args.output.display().to_string();
    let _ = match args.json {
        true => out(&(json!({"output": shown, "recording": id, "duration_ms": duration_ms, "bytes": bytes}).to_string() + "\n")),
        false => out(&format!("{shown}: {}, {bytes} bytes; {id} stays on the server until it is deleted\n", length(duration_ms))),
    };
    Ok(())
}

/// The body of the request that begins it.
fn wanted(args: &Record) -> Result<Value, String> {
    let mut wanted = json!({"view": args.view});
    if let Some(text) = &args.layout {
        wanted["layout"] = json!(super::compose::layout(text).map_err(|problem| format!("--layout: {problem}"))?);
    }
    if let Some((width, height)) = args.canvas {
        wanted["canvas"] = json!({"width": width, "height": height, "fps": args.fps});
    }
    Ok(wanted)
}

struct Server {
    client: Client,
    base: Url,
    token: Option<String>,
}

impl Server {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>, range: Option<&str>) -> Result<Response, String> {
        let url = self.base.join(path).map_err(|error| format!("--url: {error}"))?;
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let answer = request.send().await;
        let response = answer.map_err(|_| format!("{} does not answer; see whether the server runs, and name it by --url", self.base))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem: Value = response.json().await.unwrap_or_default();
        let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no reason given").to_owned();
        Err(format!("the server refuses ({}): {detail}{}", status.as_u16(), next(status)))
    }

    async fn json(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        self.ask(method, path, body, None).await?.json().await.map_err(|error| format!("the server's answer cannot be read: {error}"))
    }

    async fn recording(&self, id: &str) -> Result<Value, String> {
        self.json(Method::GET, &format!("v1/recordings/{id}"), None).await
    }

    /// Of the media so far.
    async fn bytes(&self, id: &str) -> u64 {
        let answer = self.ask(Method::GET, &format!("v1/recordings/{id}/media"), None, Some("bytes=0-0")).await;
        let range = answer.ok().and_then(|response| Some(response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?.to_owned()));
        range.and_then(|range| range.rsplit('/').next()?.parse().ok()).unwrap_or_default()
    }

    /// Waits until its files are closed.
    async fn closed(&self, id: &str, line: &Line) -> Result<Value, String> {
        for _ in 0..CLOSING.1 {
            let now = self.recording(id).await?;
            line.show(&now, 0);
            if is_final(&now) {
                return Ok(now);
            }
            tokio::time::sleep(CLOSING.0).await;
        }
        Err(format!("the server does not close {id}; fetch it later from v1/recordings/{id}/media"))
    }

    /// All of it or nothing: beside the file first, and in its place once its checksum is right.
    async fn download(&self, id: &str, manifest: &Value, to: &std::path::Path) -> Result<u64, String> {
        let files = manifest["files"].as_array().cloned().unwrap_or_default();
        let Some(media) = files.iter().find(|file| file["name"] == "media.mp4") else {
            let reason = manifest["reason"].as_str().unwrap_or("unknown");
            return Err(format!("{id} has no media (reason: {reason}); see whether somebody is in the room, and record again"));
        };
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = to.with_file_name(name);
        let fetched = self.fetch(id, &part).await;
        let checked = fetched.and_then(|(bytes, sha256)| match sha256 == media["sha256"].as_str().unwrap_or_default() {
            true => std::fs::rename(&part, to).map(|()| bytes).map_err(|error| error.to_string()),
            false => Err("its checksum is wrong".to_owned()),
        });
        checked.map_err(|error| {
            // Half a file helps nobody.
            let _ = std::fs::remove_file(&part);
            format!("{}: {error}; nothing is lost: fetch {}v1/recordings/{id}/media", to.display(), self.base)
        })
    }

    async fn fetch(&self, id: &str, part: &std::path::Path) -> Result<(u64, String), String> {
        let mut response = self.ask(Method::GET, &format!("v1/recordings/{id}/media"), None, None).await?;
        let mut file = tokio::fs::File::create(part).await.map_err(|error| error.to_string())?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
            hash.update(&chunk);
            bytes += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(|error| error.to_string())?;
        }
        file.sync_all().await.map_err(|error| error.to_string())?;
        Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// What went wrong, and that the recording may still run.
fn left(id: &str, error: &str) -> String {
    format!("{error}; {id} is on the server, and may still run: POST /v1/recordings/{id}/stop ends it")
}

fn is_final(recording: &Value) -> bool {
    matches!(recording["state"].as_str(), Some("complete" | "interrupted" | "failed"))
}

/// What helps against a refusal.
fn next(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; give a --token with the grant record: mixdown token create --record --room …"
        }
        StatusCode::NOT_FOUND => "; see whether the room's name is right, and whether somebody is in",
        StatusCode::INSUFFICIENT_STORAGE => "; delete recordings, or raise the limit",
        StatusCode::SERVICE_UNAVAILABLE => "; try again later",
        _ => "",
    }
}

/// What can be seen of it meanwhile.
struct Line {
    bar: ProgressBar,
    json: bool,
}

impl Line {
    fn new(json: bool) -> Self {
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { bar, json }
    }

    fn show(&self, recording: &Value, bytes: u64) {
        let (state, duration_ms) = (recording["state"].as_str().unwrap_or("?"), recording["duration_ms"].as_u64().unwrap_or_default());
        if self.json {
            let _ = out(&(json!({"state": state, "duration_ms": duration_ms, "bytes": bytes}).to_string() + "\n"));
        }
        self.bar.set_message(format!("{state}  {}  {} KiB", length(duration_ms), bytes / 1024));
        self.bar.tick();
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
