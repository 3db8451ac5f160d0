//! `mixdown join`: a participant on the command line, with a synthetic face and voice, that says once
//! per second what arrives.

use super::bot::{Bot, Settings};
use crate::client::{Camera, Config, Event, Peer, Script, Session, Stats, Target};
use crate::runtime::clock;
use mixdown_codecs::{AudioDecoder, Size, VideoCodec, audio, gate};
use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};

/// Settings of `mixdown join`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The room's page or its API address, such as http://127.0.0.1:8080/r/standup.
    pub url: String,
    /// The room, where the address names none.
    #[arg(long)]
    pub room: Option<String>,
    #[arg(long, default_value = "mixdown join")]
    pub name: String,
    #[arg(long, env = "MIXDOWN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The view to receive.
    #[arg(long)]
    pub view: Option<String>,
    /// What the picture is sent and preferably received as.
    #[arg(long, default_value = "h264", value_parser = codec)]
    pub codec: VideoCodec,
    /// Whose face and voice.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub face: u8,
    /// Send no picture.
    #[arg(long)]
    pub no_video: bool,
    /// Send no sound.
    #[arg(long)]
    pub no_audio: bool,
    /// Receive alone.
    #[arg(long)]
    pub watch: bool,
    /// End after so many seconds; else with Ctrl-C.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// One JSON line per second in place of text.
    #[arg(long)]
    pub json: bool,
}

pub fn codec(name: &str) -> Result<VideoCodec, String> {
    [VideoCodec::H264, VideoCodec::Vp8].into_iter().find(|codec| codec.name() == name).ok_or_else(|| "h264 or vp8".into())
}

/// Joins, reports and leaves.
pub async fn run(args: Args) -> Result<(), String> {
    let mut target = Target::new(&args.url, args.room.as_deref()).map_err(|error| error.to_string())?;
    target.name = Some(args.name.clone());
    target.view.clone_from(&args.view);
    target.token.clone_from(&args.token);
    let (video, audio) = (!args.no_video && !args.watch, !args.no_audio && !args.watch);
    let other = if args.codec == VideoCodec::H264 { VideoCodec::Vp8 } else { VideoCodec::H264 };
    let config = Config {
        video_codecs: vec![args.codec, other],
        camera: if video { Camera::Single } else { Camera::Off },
        microphone: audio,
        estimate_bps: Some(1_500_000),
        ..Config::default()
    };
    let settings = Settings { number: args.face, people: 1, seed: u64::from(args.face), marker: false, video, audio };
    let heard = Arc::new(Mutex::new(Heard::default()));
    let attendee = Attendee { bot: Bot::new(settings, clock::now()), decoder: None, pcm: Vec::new(), heard: Arc::clone(&heard) };
    let session = Session::join(&target, config, attendee).await.map_err(|error| error.to_string())?;
    let outcome = watch(&args, &session, &heard).await;
    session.leave().await;
    outcome
}

async fn watch(args: &Args, session: &Session<Attendee>, heard: &Mutex<Heard>) -> Result<(), String> {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    beat.tick().await;
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let (mut before, mut passed) = (Stats::default(), 0);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
        }
        if session.is_over() {
            return Err("the server has ended the session".into());
        }
        let stats = session.stats().await.map_err(|error| error.to_string())?;
        let line = Line::between(&before, &stats, std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner)));
        let text = if args.json { line.json(session.id()) } else { line.text() };
        if writeln!(std::io::stdout().lock(), "{text}").is_err() {
            return Ok(());
        }
        before = stats;
        passed += 1;
        if args.seconds.is_some_and(|seconds| passed >= seconds) {
            return Ok(());
        }
    }
}

/// What arrived in one second.
#[derive(Debug, Default, Clone, Copy)]
struct Heard {
    size: Option<Size>,
    codec: Option<VideoCodec>,
    /// Sum of squares and count of samples of the decoded mix.
    energy: f64,
    samples: usize,
}

/// A bot with eyes and ears.
struct Attendee {
    bot: Bot,
    decoder: Option<Box<dyn AudioDecoder>>,
    pcm: Vec<f32>,
    heard: Arc<Mutex<Heard>>,
}

impl Attendee {
    fn look(&self, video: &crate::client::Received<VideoCodec>) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.codec = Some(video.codec);
        if let Ok(header) = gate::inspect(video.codec, &video.data, gate::Limits::default()) {
            heard.size = header.size.or(heard.size);
        }
    }

    fn listen(&mut self, packet: &crate::client::Received<mixdown_codecs::AudioCodec>) {
        if self.decoder.is_none() {
            self.decoder = audio::decoder(packet.codec).ok();
        }
        self.pcm.clear();
        let Some(Ok(_)) = self.decoder.as_mut().map(|decoder| decoder.decode(&packet.data, &mut self.pcm)) else { return };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.energy += self.pcm.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum::<f64>();
        heard.samples += self.pcm.len();
    }
}

impl Script for Attendee {
    fn next(&self) -> Option<Instant> {
        self.bot.next()
    }

    fn play(&mut self, now: Instant, peer: &mut Peer) {
        self.bot.play(now, peer);
    }

    fn event(&mut self, now: Instant, event: Event, peer: &mut Peer) {
        match &event {
            Event::Video(video) => self.look(video),
            Event::Audio(packet) => self.listen(packet),
            _ => {}
        }
        self.bot.event(now, event, peer);
    }
}

/// One line of the status.
#[derive(Debug, PartialEq)]
struct Line {
    size: Option<Size>,
    codec: Option<VideoCodec>,
    fps: u64,
    kbps_down: u64,
    kbps_up: u64,
    /// dBFS of the mix; `None`: silence or nothing.
    level: Option<f64>,
    loss: Option<f32>,
    rtt_ms: Option<f64>,
}

impl Line {
    fn between(before: &Stats, after: &Stats, heard: Heard) -> Self {
        let level = 10.0 * (heard.energy / heard.samples.max(1) as f64).max(1e-12).log10();
        Self {
            size: heard.size,
            codec: heard.codec,
            fps: after.pictures - before.pictures,
            kbps_down: (after.received_bytes - before.received_bytes) * 8 / 1000,
            kbps_up: (after.sent_bytes - before.sent_bytes) * 8 / 1000,
            level: (level > -90.0).then_some(level),
            loss: after.loss_down,
            rtt_ms: after.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
        }
    }

    fn text(&self) -> String {
        let size = self.size.map_or_else(|| "(no keyframe)".into(), |size| size.to_string());
        let codec = self.codec.map_or("no picture", VideoCodec::name);
        let level = self.level.map_or_else(|| "silent".into(), |level| format!("{level:.0} dBFS"));
        let loss = self.loss.map_or_else(|| "-".into(), |loss| format!("{:.1} %", 100.0 * loss));
        let rtt = self.rtt_ms.map_or_else(|| "-".into(), |rtt| format!("{rtt:.1} ms"));
        format!(
            "{codec} {size} {} fps | down {} kb/s, up {} kb/s | sound {level} | loss {loss}, rtt {rtt}",
            self.fps, self.kbps_down, self.kbps_up
        )
    }

    fn json(&self, participant: &str) -> String {
        serde_json::json!({
            "participant": participant,
            "width": self.size.map(|size| size.width),
            "height": self.size.map(|size| size.height),
            "codec": self.codec.map(VideoCodec::name),
            "fps": self.fps,
            "receive_bitrate_bps": self.kbps_down * 1000,
            "send_bitrate_bps": self.kbps_up * 1000,
            "level_dbfs": self.level,
            "loss": self.loss,
            "rtt_ms": self.rtt_ms,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_the_difference_of_two_readings() {
        let before = Stats { pictures: 100, received_bytes: 1_000_000, ..Stats::default() };
        let after = Stats { pictures: 130, received_bytes: 1_125_000, loss_down: Some(0.015), ..before };
        let heard = Heard { size: Some(Size::new(1280, 720)), codec: Some(VideoCodec::Vp8), energy: 960.0, samples: 96_000 };
        let line = Line::between(&before, &after, heard);
        assert_eq!((line.fps, line.kbps_down, line.kbps_up), (30, 1_000, 0));
        assert_eq!(line.text(), "vp8 1280x720 30 fps | down 1000 kb/s, up 0 kb/s | sound -20 dBFS | loss 1.5 %, rtt -");
    }

    #[test]
    fn nothing_received_is_said_as_such() {
        let line = Line::between(&Stats::default(), &Stats::default(), Heard::default());
        assert_eq!(line.text(), "no picture (no keyframe) 0 fps | down 0 kb/s, up 0 kb/s | sound silent | loss -, rtt -");
        assert!(line.json("pt_1").contains(r#""level_dbfs":null"#));
    }
}
