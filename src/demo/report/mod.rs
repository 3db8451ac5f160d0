//! `mixdown demo --report`: a room of senders and viewers against a server process of its own, and the
//! figures that come out, each beside its goal.
//!
//! Senders play clips that were coded beforehand; every viewer counts, one reads markers and hears beeps.
//! Flow: code clips → start the server → join → let it settle → measure → add viewers → measure the
//! difference → leave → print.

mod clip;
mod figures;
mod floor;
mod sender;
pub mod server;
mod viewer;

use super::Args;
use crate::client::{Camera, Config, Session, Target, signalling};
use crate::runtime::clock;
use clip::Clip;
use figures::{Row, Window, percentile};
use indicatif::{ProgressBar, ProgressStyle};
use mixdown_codecs::VideoCodec;
use sender::Sender;
use server::{Server, Usage, metric};
use std::{io::Write, sync::Arc, time::Duration};
use viewer::Viewer;

/// Length of the clips.
const CLIP_SECONDS: usize = 10;
/// From the last join until counting begins.
const SETTLE: Duration = Duration::from_secs(4);
/// Viewers that are added to see what one costs, and for how long. Many: what the room costs without them varies by more than one of them costs.
const MORE_VIEWERS: u32 = 30;
const MORE_SECONDS: u64 = 15;
const ROOM: &str = "report";

/// What was noted about the server over the main stretch.
struct Measured {
    window: Window,
    begin: Usage,
    end: Usage,
    idle: Usage,
    /// Ticks missed and all ticks as the server counts them.
    ticks: Option<(f64, f64)>,
    sharing: Option<f64>,
    /// Processor time per second of each additional viewer.
    per_viewer: Option<f64>,
}

/// Runs the report and prints it.
pub async fn run(args: &Args) -> Result<(), String> {
    let (senders, viewers) = (u8::try_from(args.senders).unwrap_or(u8::MAX), args.viewers.max(1));
    let seconds = args.seconds.unwrap_or(60).max(5);
    let bar = ProgressBar::new(u64::from(senders) * 300 + seconds + 3 * MORE_SECONDS + 20);
    bar.set_style(ProgressStyle::with_template("{bar:32} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    let clips = code(senders, args.codec, &bar)?;
    let server = Server::start("127.0.0.1:0").await?;
    let outcome = room(args, &server, &clips, viewers, seconds, &bar).await;
    server.stop().await;
    bar.set_message("measuring what the codecs alone cost");
    let (measured, senders, viewers) = outcome?;
    let rows = rows(&measured, &senders, &viewers, &clips, args.codec);
    bar.finish_and_clear();
    print(args, &rows);
    Ok(())
}

fn code(senders: u8, codec: VideoCodec, bar: &ProgressBar) -> Result<Vec<Arc<Clip>>, String> {
    bar.set_message("coding what the senders will send");
    (0..senders).map(|number| Clip::code(number, CLIP_SECONDS, codec, || bar.inc(1)).map(Arc::new)).collect()
}

type Outcome = (Measured, Vec<Sender>, Vec<Viewer>);

async fn room(args: &Args, server: &Server, clips: &[Arc<Clip>], viewers: u16, seconds: u64, bar: &ProgressBar) -> Result<Outcome, String> {
    let target = Target::new(&server.address, Some(ROOM)).map_err(|error| error.to_string())?;
    let idle = server.usage().ok_or("the server has ended")?;
    bar.set_message("joining");
    let mut senders = Vec::new();
    for (number, clip) in clips.iter().enumerate() {
        // Their pictures come at different moments of a tick.
        let epoch = clock::now() + Duration::from_millis(number as u64 * 33 / clips.len().max(1) as u64);
        senders.push(join(&target, &format!("Sender {number}"), sending(args), Sender::new(Arc::clone(clip), epoch)).await?);
    }
    let mut watching = Vec::new();
    for number in 0..viewers {
        let script = if number == 0 { Viewer::reading(clips.len() as u8) } else { Viewer::counting() };
        watching.push(join(&target, &format!("Viewer {number}"), receiving(args), script).await?);
    }
    pass(SETTLE, "settling", bar).await;
    let (from, begin, ticks) = (clock::now(), server.usage().ok_or("the server has ended")?, ticks(&target).await);
    pass(Duration::from_secs(seconds), "measuring", bar).await;
    let (to, end, later) = (clock::now(), server.usage().ok_or("the server has ended")?, self::ticks(&target).await);
    let text = metrics(&target).await.unwrap_or_default();
    let per_viewer = more_viewers(args, server, &target, bar).await?;
    bar.set_message("leaving");
    let mut played = Vec::new();
    for session in senders {
        played.extend(session.leave().await.map(|ended| ended.script));
    }
    let mut seen = Vec::new();
    for session in watching {
        seen.extend(session.leave().await.map(|ended| ended.script));
    }
    let ticks = ticks.zip(later).map(|(before, after)| (after.0 - before.0, after.1 - before.1));
    let sharing = metric(&text, "mixdown_encode_sharing_ratio");
    Ok((Measured { window: Window { from, to }, begin, end, idle, ticks, sharing, per_viewer }, played, seen))
}

fn sending(args: &Args) -> Config {
    let down = args.conference;
    Config { video_codecs: vec![args.codec], receive_video: down, receive_audio: down, channel: down, ..Config::default() }
}

fn receiving(args: &Args) -> Config {
    Config { video_codecs: vec![args.codec], microphone: false, camera: Camera::Off, ..Config::default() }
}

async fn join<S: crate::client::Script + 'static>(target: &Target, name: &str, config: Config, script: S) -> Result<Session<S>, String> {
    let target = Target { name: Some(name.into()), ..target.clone() };
    Session::join(&target, config, script).await.map_err(|error| format!("{name} could not join: {error}"))
}

async fn pass(duration: Duration, what: &'static str, bar: &ProgressBar) {
    bar.set_message(what);
    for _ in 0..duration.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bar.inc(1);
    }
}

/// Processor milliseconds per second that one more viewer costs.
async fn more_viewers(args: &Args, server: &Server, target: &Target, bar: &ProgressBar) -> Result<Option<f64>, String> {
    let load = async |what: &'static str, bar: &ProgressBar| {
        let (begin, from) = (server.usage()?, clock::now());
        pass(Duration::from_secs(MORE_SECONDS), what, bar).await;
        let span = clock::now().saturating_duration_since(from).as_secs_f64();
        Some((server.usage()?.cpu.saturating_sub(begin.cpu)).as_secs_f64() * 1000.0 / span)
    };
    let before = load("measuring before more viewers", bar).await;
    let mut more = Vec::new();
    for number in 0..MORE_VIEWERS {
        more.push(join(target, &format!("More {number}"), receiving(args), Viewer::counting()).await?);
    }
    pass(SETTLE, "more viewers", bar).await;
    let with = load("measuring with more viewers", bar).await;
    for session in more {
        session.leave().await;
    }
    pass(SETTLE, "without them again", bar).await;
    let again = load("measuring without them again", bar).await;
    let without = before.zip(again).map(|(before, again)| f64::midpoint(before, again));
    Ok(without.zip(with).map(|(without, with)| (with - without) / f64::from(MORE_VIEWERS)))
}

async fn metrics(target: &Target) -> Option<String> {
    signalling::get(target.base.join("/metrics").ok()?, None).await.ok()
}

async fn ticks(target: &Target) -> Option<(f64, f64)> {
    let text = metrics(target).await?;
    let total = metric(&text, "mixdown_ticks_total")?;
    Some((metric(&text, "mixdown_ticks_missed_total").unwrap_or(0.0), total))
}

fn rows(m: &Measured, senders: &[Sender], viewers: &[Viewer], clips: &[Arc<Clip>], codec: VideoCodec) -> Vec<Row> {
    let span = m.window.to.saturating_duration_since(m.window.from).as_secs_f64();
    let received: Vec<_> = viewers.iter().filter_map(|viewer| figures::reception(&viewer.counts, m.window, clip::FPS)).collect();
    let complete = (received.len() == viewers.len()).then_some(&received);
    let worst = |of: fn(&figures::Reception) -> f64, choose: fn(f64, f64) -> f64| complete?.iter().map(of).reduce(choose);
    let reader = viewers.iter().find_map(|viewer| viewer.reader.as_ref());
    let video = reader.map(|reader| figures::video_latency(senders, reader, m.window)).unwrap_or_default();
    let audio = reader.map(|reader| figures::audio_latency(senders, reader, m.window)).unwrap_or_default();
    let cpu = m.end.cpu.saturating_sub(m.begin.cpu).as_secs_f64() * 1000.0 / span;
    let floor = reader.and_then(|reader| floor::cost(clips, &reader.samples, codec));
    let mib = m.end.resident_bytes.saturating_sub(m.idle.resident_bytes) as f64 / f64::from(1 << 20);
    let missed = m.ticks.filter(|ticks| ticks.1 > 0.0).map(|(missed, all)| 100.0 * missed / all);
    vec![
        Row::judged("frame rate, slowest viewer", "fps", worst(|r| r.fps, f64::min), "30 ± 1 %", |fps| (fps - 30.0).abs() <= 0.3),
        Row::judged("ticks without a picture", "%", worst(|r| 100.0 * r.missed, f64::max), "≤ 0.5 %", |missed| missed <= 0.5),
        Row::judged("ticks missed by the server", "%", missed, "≤ 0.5 %", |missed| missed <= 0.5),
        Row::plain("freezes over 150 ms", "", worst(|r| r.freezes as f64, f64::max)),
        Row::plain("longest gap between pictures", "ms", worst(|r| r.longest_gap.as_secs_f64() * 1000.0, f64::max)),
        Row::judged("audio packets missing", "", worst(|r| r.audio_gaps as f64, f64::max), "0", |gaps| gaps == 0.0),
        Row::judged("added latency of pictures, p50", "ms", percentile(&video, 0.5), "≤ 30 ms", |ms| ms <= 30.0),
        Row::judged("added latency of pictures, p99", "ms", percentile(&video, 0.99), "≤ 60 ms", |ms| ms <= 60.0),
        Row::judged("added latency of sound, p50", "ms", percentile(&audio, 0.5), "≤ 50 ms", |ms| ms <= 50.0),
        Row::plain("added latency of sound, p99", "ms", percentile(&audio, 0.99)),
        Row::plain("processor time per second", "ms", Some(cpu)),
        Row::plain("of that, decoding and encoding alone would take", "ms", floor),
        Row::judged("ratio of the two", "×", floor.map(|floor| cpu / floor), "≤ 1.6 of the floor", |ratio| ratio <= 1.6),
        Row::judged("memory per sender", "MiB", Some(mib / senders.len().max(1) as f64), "≤ 12 MiB", |mib| mib <= 12.0),
        Row::judged("an additional viewer, per second", "ms", m.per_viewer, "≤ 2 ms", |ms| ms <= 2.0),
        Row::plain("feeds per encode", "", m.sharing),
        Row::plain("pictures whose latency was read", "", Some(video.len() as f64)),
        Row::plain("beeps whose latency was read", "", Some(audio.len() as f64)),
    ]
}

fn print(args: &Args, rows: &[Row]) {
    let mut out = std::io::stdout().lock();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    // A closed pipe is the reader's choice.
    let _ = if args.json {
        let report = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "cores": cores, "senders": args.senders, "viewers": args.viewers,
            "seconds": args.seconds.unwrap_or(60), "codec": args.codec.name(), "conference": args.conference, "figures": rows,
        });
        writeln!(out, "{report:#}")
    } else {
        writeln!(
            out,
            "{} senders of 640x360@30 in {}, {} viewers, {} s, {cores} cores\n\n{}",
            args.senders,
            args.codec.name(),
            args.viewers,
            args.seconds.unwrap_or(60),
            figures::table(rows)
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_an_empty_run_say_that_nothing_was_measured() {
        let now = clock::now();
        let window = Window { from: now, to: now + Duration::from_secs(1) };
        let usage = Usage::default();
        let measured = Measured { window, begin: usage, end: usage, idle: usage, ticks: None, sharing: None, per_viewer: None };
        let rows = rows(&measured, &[], &[Viewer::reading(1)], &[], VideoCodec::Vp8);
        assert!(rows.iter().take(9).all(|row| row.value.is_none() && row.reached.is_none()), "{}", figures::table(&rows));
    }
}
