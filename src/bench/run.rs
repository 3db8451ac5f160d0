//! One run: rooms of senders and viewers against one server, and what was noted.
//!
//! Flow: rooms → senders → viewers, the reading one last → settle → measure → more viewers → leave → figures.

use super::clip::{Clip, FPS};
use super::figures::{self, Row, Window, percentile};
use super::guard::{self, Evidence, Guard, Why};
use super::meter::{Cost, Meter};
use super::sender::Sender;
use super::setup::Setup;
use super::viewer::Viewer;
use super::{datagrams, floor, quality};
use crate::client::{Config, Script, Session, Target, session, signalling};
use crate::demo::server::Usage;
use crate::runtime::clock;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// From the last join until counting begins.
const SETTLE: Duration = Duration::from_secs(4);
/// How long it is measured what more viewers cost.
const MORE_SECONDS: u64 = 15;
/// A server that takes only so many joins per second, or is starting, is asked again.
const TRIES: usize = 5;
/// For a room to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a run came to nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The server takes nobody more: less may do.
    #[error("{0}")]
    Full(String),
    /// It would be the same with less.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for Error {
    fn from(words: String) -> Self {
        Self::Failed(words)
    }
}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

/// What the server said to `what` was wanted of it.
fn refused(what: &str, error: &signalling::Error) -> Error {
    let words = format!("{what}: {error}");
    match error {
        signalling::Error::Refused { status: 503 | 507, .. } => Error::Full(words),
        _ => Error::Failed(words),
    }
}

/// What came of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub setup: Setup,
    pub figures: Vec<Row>,
    pub guards: Vec<Guard>,
    /// All guards that could be checked.
    pub held: bool,
    /// Processor milliseconds per second by stage, as the server accounts for them; empty where it does not.
    pub stages: BTreeMap<String, f64>,
    /// Processor milliseconds per second of the server; `None`: not known.
    pub cpu_ms: Option<f64>,
    /// Of a bare loop of the codecs that does the same; `None`: there is no picture, or it is no grid that is encoded once.
    pub floor_ms: Option<f64>,
    /// Memory beyond what the server has at rest.
    pub grown_mib: Option<f64>,
}

/// Who was in one room, and what they noted.
struct Room {
    senders: Vec<Sender>,
    viewers: Vec<Viewer>,
}

struct Measured {
    window: Window,
    cost: Cost,
    idle: Option<Usage>,
    /// What the server had estimated, in processor milliseconds per second.
    estimate: Option<f64>,
    per_viewer: Option<f64>,
    /// What the kernel alone takes to send a viewer its datagrams.
    sends: Option<f64>,
    rooms: Vec<Room>,
}

/// Runs `setup` against the server, in rooms whose names begin with that of the meter's target and which are gone afterwards. A guard
/// that breaks is no error.
///
/// # Errors
/// The server refuses somebody, or is gone.
pub async fn run(setup: &Setup, meter: &Meter, clips: &[Arc<Clip>], bar: &ProgressBar) -> Result<Run, Error> {
    let clips: Vec<_> = clips.iter().take(usize::from(setup.senders)).cloned().collect();
    let more = if setup.more_viewers > 0 { 3 * MORE_SECONDS + 2 * SETTLE.as_secs() + u64::from(datagrams::SECONDS) } else { 0 };
    bar.set_length(SETTLE.as_secs() + u64::from(setup.seconds) + more);
    bar.set_position(0);
    let mut made = Vec::new();
    let measured = Box::pin(measure(setup, meter, &clips, bar, &mut made)).await;
    clear(&made, bar).await;
    let measured = measured?;
    bar.set_message("looking at the quality");
    let setup = setup.clone();
    // Minutes of decoding in the worst case, which is nothing for a thread of the runtime.
    Ok(tokio::task::spawn_blocking(move || account(setup, &measured, &clips)).await.map_err(|error| error.to_string())?)
}

/// Ends the rooms, and with them whoever is still in one.
async fn clear(made: &[Target], bar: &ProgressBar) {
    for target in made {
        if let Err(error) = remove(target).await {
            bar.println(format!("room {} stays behind: {error}", target.room));
        }
    }
}

async fn remove(target: &Target) -> Result<(), String> {
    let url = target.base.join(&format!("v1/rooms/{}", target.room)).map_err(|error| error.to_string())?;
    // Never through a proxy of the environment, as those who joined.
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    let request = match &target.token {
        Some(token) => client.delete(url).bearer_auth(token),
        None => client.delete(url),
    };
    let status = request.send().await.map_err(|error| error.to_string())?.status();
    // It may have gone with the last who left.
    if status.is_success() || status == reqwest::StatusCode::NOT_FOUND { Ok(()) } else { Err(status.to_string()) }
}

async fn measure(setup: &Setup, meter: &Meter, clips: &[Arc<Clip>], bar: &ProgressBar, made: &mut Vec<Target>) -> Result<Measured, Error> {
    let (idle, estimate) = (meter.read().await.usage, meter.estimate(setup).await);
    let mut rooms = Vec::new();
    for number in 0..setup.rooms {
        bar.set_message(format!("{setup}: joining room {}", number + 1));
        let target = Target { room: format!("{}-{}", meter.target.room, number + 1), ..meter.target.clone() };
        made.push(target.clone());
        prepare(&target, setup).await?;
        rooms.push((target.clone(), senders(&target, setup, clips, number).await?, Vec::new()));
    }
    for (index, (target, _, viewers)) in rooms.iter_mut().enumerate() {
        // The first viewer of the first room reads: it comes last, so that it knows when all have settled.
        for number in u16::from(index == 0)..setup.viewers {
            viewers.push(watch(target, setup, number, Viewer::counting()).await?);
        }
    }
    let sampling = setup.sends_video().then(|| clock::now() + SETTLE + Duration::from_millis(500));
    if let Some((target, _, viewers)) = rooms.first_mut() {
        viewers.push(watch(target, setup, 0, Viewer::reading(setup.talkers.min(255) as u8, sampling)).await?);
    }
    pass(SETTLE, &format!("{setup}: settling"), bar).await;
    let before = meter.read().await;
    pass(Duration::from_secs(setup.seconds.into()), &format!("{setup}: measuring"), bar).await;
    let after = meter.read().await;
    if meter.pid.is_some() && after.usage.is_none() {
        return Err(Error::Failed("the server has ended".into()));
    }
    let per_viewer = match rooms.first() {
        Some((target, ..)) if setup.more_viewers > 0 => more_viewers(setup, meter, target, bar).await?,
        _ => None,
    };
    // Beside the same load, where viewers are sent what is sent there.
    let sends = match per_viewer {
        Some(_) if setup.sends_video() && setup.is_plain() => datagrams::cost(setup.more_viewers).await.ok(),
        _ => None,
    };
    bar.set_message(format!("{setup}: leaving"));
    let mut left = Vec::new();
    for (_, senders, viewers) in rooms {
        left.push(Room { viewers: leave(viewers).await, senders: leave(senders).await });
    }
    let window = Window { from: before.at, to: after.at };
    Ok(Measured { window, cost: Cost::between(&before, &after), idle, estimate, per_viewer, sends, rooms: left })
}

/// Makes the room.
async fn prepare(target: &Target, setup: &Setup) -> Result<(), Error> {
    let path = format!("v1/rooms/{}", target.room);
    let url = target.base.join(&path).map_err(|error| error.to_string())?;
    signalling::put(url, target.token.as_deref(), &setup.room()).await.map_err(|error| refused(&format!("PUT /{path}"), &error))
}

async fn senders(target: &Target, setup: &Setup, clips: &[Arc<Clip>], room: u16) -> Result<Vec<Session<Sender>>, Error> {
    let mut senders = Vec::new();
    for (number, clip) in clips.iter().enumerate() {
        // Their pictures come at different moments of a tick, in each room at others.
        let shift = (number as u64 * 33 / clips.len().max(1) as u64 + u64::from(room) * 7) % 33;
        let script = || Sender::new(Arc::clone(clip), clock::now() + Duration::from_millis(shift));
        senders.push(join(target, &format!("Sender {number}"), setup.sending(), script).await?);
    }
    Ok(senders)
}

async fn watch(target: &Target, setup: &Setup, number: u16, script: Viewer) -> Result<Session<Viewer>, Error> {
    let (config, wish) = setup.receiving(number);
    let mut script = Some(script);
    let session = join(target, &format!("Viewer {number}"), config, || script.take().unwrap_or_else(Viewer::counting)).await?;
    if let Some(wish) = wish {
        session.resource().patch(&wish).await.map_err(|error| refused(&format!("viewer {number} cannot ask for {wish}"), &error))?;
    }
    Ok(session)
}

async fn join<S: Script + 'static>(
    target: &Target,
    name: &str,
    config: Config,
    mut script: impl FnMut() -> S,
) -> Result<Session<S>, Error> {
    let target = Target { name: Some(name.into()), ..target.clone() };
    let mut tries = 0;
    loop {
        tries += 1;
        match Session::join(&target, config.clone(), script()).await {
            Ok(session) => return Ok(session),
            Err(session::Error::Signalling(signalling::Error::Refused { status: 429, .. })) if tries < TRIES => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                let what = format!("{name} cannot join {}", target.room);
                return Err(match &error {
                    session::Error::Signalling(error) => refused(&what, error),
                    error => Error::Failed(format!("{what}: {error}")),
                });
            }
        }
    }
}

async fn leave<S: Script + 'static>(sessions: Vec<Session<S>>) -> Vec<S> {
    let mut scripts = Vec::new();
    for session in sessions {
        scripts.extend(session.leave().await.map(|ended| ended.script));
    }
    scripts
}

async fn pass(duration: Duration, what: &str, bar: &ProgressBar) {
    bar.set_message(what.to_owned());
    for _ in 0..duration.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bar.inc(1);
    }
}

/// Processor milliseconds per second that one more viewer costs: many are added, because what a room costs varies by more than
/// one of them costs, and what it costs without them is measured before and after.
async fn more_viewers(setup: &Setup, meter: &Meter, target: &Target, bar: &ProgressBar) -> Result<Option<f64>, Error> {
    let load = async |what: &str| {
        let before = meter.read().await;
        pass(Duration::from_secs(MORE_SECONDS), what, bar).await;
        Cost::between(&before, &meter.read().await).cpu_ms
    };
    let before = load("measuring before more viewers").await;
    let mut more = Vec::new();
    for _ in 0..setup.more_viewers {
        more.push(watch(target, setup, 0, Viewer::counting()).await?);
    }
    pass(SETTLE, "more viewers", bar).await;
    let with = load("measuring with more viewers").await;
    leave(more).await;
    pass(SETTLE, "without them again", bar).await;
    let again = load("measuring without them again").await;
    let without = before.zip(again).map(|(before, again)| f64::midpoint(before, again));
    Ok(without.zip(with).map(|(without, with)| (with - without) / f64::from(setup.more_viewers)))
}

/// From what was noted to figures and guards.
fn account(setup: Setup, measured: &Measured, clips: &[Arc<Clip>]) -> Run {
    let quality = if setup.sends_video() { look(&setup, measured, clips) } else { Err(Why::Unchecked("there are no pictures".into())) };
    let evidence = evidence(&setup, measured, quality);
    let guards = guard::judge(&evidence);
    // Renditions are of all sizes and layouts of all shapes; the loop makes one grid, and a ratio to another work would be none.
    let comparable = setup.sends_video() && setup.is_plain();
    let floor_ms = comparable.then(|| floor::cost(clips, setup.codec)).flatten();
    let floor_ms = floor_ms.map(|ms| ms * f64::from(setup.rooms));
    let figures = rows(&setup, measured, clips, &evidence, floor_ms);
    let held = guard::broken(&guards).is_none();
    let (stages, cpu_ms) = (measured.cost.stages.clone(), measured.cost.cpu_ms);
    Run { setup, figures, guards, held, stages, cpu_ms, floor_ms, grown_mib: grown_mib(measured) }
}

fn look(setup: &Setup, measured: &Measured, clips: &[Arc<Clip>]) -> Result<(f64, f64), Why> {
    let reader = measured.rooms.iter().flat_map(|room| &room.viewers).find_map(|viewer| viewer.reader.as_ref());
    quality::compare(&reader.ok_or_else(nobody)?.samples, clips, setup.codec)
}

fn nobody() -> Why {
    Why::Unread("the viewer who reads was lost".into())
}

/// Skew and beeps per second, as the first room's reading viewer has them. Where somebody talks, both can be read.
fn read(setup: &Setup, m: &Measured) -> (Result<f64, Why>, Result<f64, Why>) {
    if setup.talkers == 0 {
        let why = Why::Unchecked("nobody talks".into());
        return (Err(why.clone()), Err(why));
    }
    let reader = m.rooms.first().and_then(|room| Some((room, room.viewers.iter().find_map(|viewer| viewer.reader.as_ref())?)));
    let Some((room, reader)) = reader else { return (Err(nobody()), Err(nobody())) };
    let pictures = figures::video_latency(&room.senders, reader, m.window).len();
    let beeps = figures::audio_latency(&room.senders, reader, m.window).len();
    let unread = || {
        Why::Unread(match (pictures, beeps) {
            (0, 0) => "no marker was read and no beep was heard".into(),
            (0, _) => "no marker was read".into(),
            _ => "no beep was heard".into(),
        })
    };
    let skew = figures::skew(&room.senders, reader, m.window).ok_or_else(unread);
    let silent = || Why::Unread("no beep was heard".into());
    let seconds = m.window.to.saturating_duration_since(m.window.from).as_secs_f64().max(0.001);
    (skew, (beeps > 0).then_some(beeps as f64 / seconds).ok_or_else(silent))
}

fn evidence(setup: &Setup, m: &Measured, psnr: Result<(f64, f64), Why>) -> Evidence {
    let viewers = || m.rooms.iter().flat_map(|room| &room.viewers);
    let expected = usize::from(setup.rooms) * usize::from(setup.viewers);
    let received: Vec<_> = viewers().filter_map(|viewer| figures::reception(&viewer.counts, m.window, FPS)).collect();
    let complete = (received.len() == expected).then_some(&received);
    let extreme = |choose: fn(f64, f64) -> f64| complete?.iter().map(|reception| reception.fps).reduce(choose);
    let unseen = complete.and_then(|all| all.iter().map(|reception| 100.0 * reception.missed).reduce(f64::max));
    let gaps: Vec<_> = viewers().filter_map(|viewer| figures::audio_gaps(&viewer.counts, m.window)).collect();
    let (skew, beeps) = read(setup, m);
    Evidence {
        video: setup.sends_video(),
        rests: setup.idle,
        fps: extreme(f64::min).zip(extreme(f64::max)),
        missed: unseen.map(|unseen| unseen.max(m.cost.missed.unwrap_or(0.0))),
        audio_gaps: (gaps.len() == expected).then(|| gaps.iter().copied().max().unwrap_or(0) as f64),
        skew,
        beeps,
        psnr,
    }
}

fn rows(setup: &Setup, m: &Measured, clips: &[Arc<Clip>], evidence: &Evidence, floor_ms: Option<f64>) -> Vec<Row> {
    let mut rows = Vec::new();
    if setup.sends_video() {
        rows.extend(moving(m, clips, evidence));
    }
    rows.push(Row::judged("audio packets missing", "", evidence.audio_gaps, "0", |gaps| gaps == 0.0));
    rows.extend(delays(setup, m));
    rows.extend(costs(setup, m, floor_ms));
    rows
}

/// What was received of the picture.
fn moving(m: &Measured, clips: &[Arc<Clip>], evidence: &Evidence) -> Vec<Row> {
    let viewers = || m.rooms.iter().flat_map(|room| &room.viewers);
    let received: Vec<_> = viewers().filter_map(|viewer| figures::reception(&viewer.counts, m.window, FPS)).collect();
    let worst = |of: fn(&figures::Reception) -> f64| received.iter().map(of).reduce(f64::max);
    let broken: u64 = viewers().map(|viewer| viewer.counts.broken).sum();
    let length = clips.first().map_or(1, |clip| clip.length());
    let reader = viewers().find_map(|viewer| viewer.reader.as_ref());
    let back = reader.map(|reader| figures::backward(reader, m.window, length) as f64);
    let unseen = worst(|reception| 100.0 * reception.missed);
    let psnr = evidence.psnr.as_ref().ok();
    let samples = reader.map(|reader| &reader.samples).filter(|samples| !samples.is_empty());
    let rate = samples.map(|samples| quality::bitrate(samples) as f64 / 1000.0);
    vec![
        Row::judged("frame rate, slowest viewer", "fps", evidence.fps.map(|fps| fps.0), "30 ± 1 %", |fps| (fps - 30.0).abs() <= 0.3),
        Row::judged("ticks without a picture", "%", unseen, "≤ 0.5 %", |missed| missed <= 0.5),
        Row::judged("ticks missed by the server", "%", m.cost.missed, "≤ 0.5 %", |missed| missed <= 0.5),
        Row::plain("freezes over 150 ms", "", worst(|reception| reception.freezes as f64)),
        Row::plain("longest gap between pictures", "ms", worst(|reception| reception.longest_gap.as_secs_f64() * 1000.0)),
        Row::judged("pictures after lost ones", "", Some(broken as f64), "0", |broken| broken == 0.0),
        Row::judged("people seen going back in time", "", back, "0", |back| back == 0.0),
        Row::plain("bitrate of the composite", "kb/s", rate),
        Row::plain("PSNR of the composite", "dB", psnr.map(|psnr| psnr.0)),
        Row::plain("PSNR of x264 superfast at its bitrate", "dB", psnr.map(|psnr| psnr.1)),
    ]
}

/// How late everything comes, in the first room.
fn delays(setup: &Setup, m: &Measured) -> Vec<Row> {
    let room = m.rooms.first();
    let reader = room.and_then(|room| room.viewers.iter().find_map(|viewer| viewer.reader.as_ref()));
    let senders = room.map_or(&[][..], |room| &room.senders);
    let video = reader.map(|reader| figures::video_latency(senders, reader, m.window)).unwrap_or_default();
    let audio = reader.map(|reader| figures::audio_latency(senders, reader, m.window)).unwrap_or_default();
    let skew = reader.and_then(|reader| figures::skew(senders, reader, m.window));
    let mut rows = Vec::new();
    if setup.sends_video() {
        rows.extend([
            Row::judged("added latency of pictures, p50", "ms", percentile(&video, 0.5), "≤ 30 ms", |ms| ms <= 30.0),
            Row::judged("added latency of pictures, p99", "ms", percentile(&video, 0.99), "≤ 60 ms", |ms| ms <= 60.0),
            Row::judged("picture later than its sound", "ms", skew, "within 40 ms", |ms| ms.abs() <= 40.0),
            Row::plain("pictures whose latency was read", "", Some(video.len() as f64)),
        ]);
    }
    rows.extend([
        Row::judged("added latency of sound, p50", "ms", percentile(&audio, 0.5), "≤ 50 ms", |ms| ms <= 50.0),
        Row::plain("added latency of sound, p99", "ms", percentile(&audio, 0.99)),
        Row::plain("beeps whose latency was read", "", Some(audio.len() as f64)),
    ]);
    rows
}

fn grown_mib(m: &Measured) -> Option<f64> {
    let grown = |(now, idle): (u64, Usage)| now.saturating_sub(idle.resident_bytes) as f64 / f64::from(1 << 20);
    m.cost.resident_bytes.zip(m.idle).map(grown)
}

/// What it costs.
fn costs(setup: &Setup, m: &Measured, floor_ms: Option<f64>) -> Vec<Row> {
    let people = f64::from(setup.senders) * f64::from(setup.rooms);
    let mut rows = vec![Row::plain("processor time per second", "ms", m.cost.cpu_ms)];
    if setup.sends_video() {
        if setup.is_plain() {
            let ratio = m.cost.cpu_ms.zip(floor_ms).map(|(cpu, floor)| cpu / floor);
            rows.push(Row::plain("of that, a bare loop of the codecs would take", "ms", floor_ms));
            rows.push(Row::judged("ratio of the two", "×", ratio, "≤ 1.6 of the floor", |ratio| ratio <= 1.6));
        }
        if let Some(estimate) = m.estimate {
            let off = m.cost.cpu_ms.map(|cpu| 100.0 * (estimate / cpu - 1.0));
            rows.push(Row::plain("what the server had estimated", "ms", Some(estimate)));
            rows.push(Row::judged("estimate beyond what it took", "%", off, "within 15 %", |off| off.abs() <= 15.0));
        }
        rows.push(Row::plain("feeds per encode", "", m.cost.sharing));
    }
    rows.push(Row::judged("memory per sender", "MiB", grown_mib(m).map(|mib| mib / people), "≤ 12 MiB", |mib| mib <= 12.0));
    if setup.more_viewers > 0 {
        let most = datagrams::goal(m.sends, floor_ms);
        let goal = "≤ 2 ms, as machines go";
        rows.push(Row::judged("an additional viewer, per second", "ms", m.per_viewer, goal, |ms| ms <= most));
        if m.sends.is_some() {
            rows.push(Row::plain("of that, the kernel would take for its datagrams", "ms", m.sends));
            rows.push(Row::plain("what it may take on this machine", "ms", Some(most)));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::setup::tests::setup;
    use super::*;

    #[test]
    fn the_rows_of_an_empty_run_say_that_nothing_was_measured_and_its_guards_break() {
        let reading = super::super::meter::Reading { at: clock::now(), usage: None, metrics: None };
        let window = Window { from: reading.at, to: reading.at + Duration::from_secs(1) };
        let cost = Cost::between(&reading, &reading);
        let rooms = vec![Room { senders: Vec::new(), viewers: vec![Viewer::reading(1, None)] }];
        let measured = Measured { window, cost, idle: None, estimate: None, per_viewer: None, sends: None, rooms };
        let run = account(setup("--viewers 1"), &measured, &[]);
        let broken: Vec<_> = run.guards.iter().filter(|guard| guard.held == Some(false)).map(|guard| guard.name).collect();
        assert_eq!(broken, run.guards.iter().map(|guard| guard.name).collect::<Vec<_>>(), "a server that shows and says nothing");
        let counted = ["pictures after lost ones", "people seen going back in time"];
        let counts = |row: &Row| row.name.ends_with("read") || counted.contains(&row.name);
        assert!(run.figures.iter().filter(|row| !counts(row)).all(|row| row.value.is_none()), "{}", figures::table(&run.figures));
        assert!(!run.held && run.cpu_ms.is_none());
        assert_eq!(guard::broken(&run.guards).map(|guard| guard.name), Some("frame rate"));
        let sound = account(setup("--audio-only --viewers 1"), &measured, &[]);
        assert!(sound.figures.iter().all(|row| !row.name.contains("picture")), "{}", figures::table(&sound.figures));
        assert_eq!(guard::broken(&sound.guards).map(|guard| guard.note.as_str()), Some("no beep was heard"));
        let silent = account(setup("--talkers 0 --viewers 1"), &measured, &[]);
        let notes = |held| silent.guards.iter().filter(move |guard| guard.held == held).map(|guard| guard.note.clone());
        assert_eq!(notes(None).collect::<Vec<_>>(), ["nobody talks"; 2], "neither skew nor missing packets");
        assert!(notes(Some(false)).any(|note| note.contains("markers")), "what is seen is judged all the same");
        let other = account(setup("--layout spotlight --viewers 1"), &measured, &[]);
        let ratio = |run: &Run| run.figures.iter().any(|row| row.name == "ratio of the two");
        assert!(ratio(&run) && !ratio(&other), "the loop makes a grid");
    }

    #[test]
    fn a_server_that_is_full_is_told_from_one_that_refuses() {
        let of = |status| refused("Ann cannot join", &signalling::Error::Refused { status, detail: "no".into() });
        assert_eq!(of(503), Error::Full("Ann cannot join: 503: no".into()));
        assert_eq!(of(507), Error::Full("Ann cannot join: 507: no".into()));
        assert_eq!(of(401), Error::Failed("Ann cannot join: 401: no".into()));
        let gone = refused("Ann cannot join", &signalling::Error::Unreachable("no route".into()));
        assert!(matches!(gone, Error::Failed(_)));
    }
}
