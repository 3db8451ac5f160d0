//! WHIP to another server: the same coded pictures and packets, over a connection that this side offers.
//!
//! The other side asks for keyframes as every subscriber does. Requests go where the guard allows, candidates of its answer too; redirects are
//! not followed.

use super::driver::up;
use super::life::Reason;
use super::output::{Output, Work};
use super::target::Whip;
use crate::address::{check, reach};
use crate::client::session::{self, Door};
use crate::client::types::{Camera, Config, Event, Packet, Picture};
use crate::client::{Peer, Script, Session, signalling};
use crate::ids::Source;
use crate::media::Orientation;
use crate::record::queue::Item;
use crate::webhooks::guard;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// For a whole exchange over HTTP.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the way may be silent.
const SILENCE: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(250);

pub async fn run(work: &Work, output: &Output, whip: &Whip) -> Reason {
    let private = work.settings.private_networks;
    let Some(codec) = first_codec(work, output).await else { return Reason::Requested };
    // Until the connection is up nothing is taken.
    output.edge.close();
    let http = reqwest::Client::builder()
        .user_agent(concat!("Mixdown/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(guard(private))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .build();
    let Ok(http) = http else { return Reason::InternalError };
    let door = Door {
        http,
        url: whip.url.clone(),
        token: whip.token.clone(),
        may_ask: Box::new(move |url| check(url.as_str(), private).is_ok()),
        may_reach: Box::new(move |address| reach(address).is_allowed(private)),
    };
    let config = Config { video_codecs: vec![codec], audio_codecs: vec![AudioCodec::Opus], camera: Camera::Single, ..Config::publisher() };
    let script = Pump { egress: Arc::clone(&work.egress), index: work.index, silent_since: None, unusable: false };
    let session = match Box::pin(Session::open(door, config, script, work.stop().clone())).await {
        Ok(session) => session,
        Err(error) => return why(&error),
    };
    output.edge.open();
    up(work, output);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = output.edge.filled() => session.nudge(),
            _ = look.tick() => {
                if session.is_over() {
                    let over = session.leave().await;
                    return if over.is_some_and(|ended| ended.script.unusable) { Reason::Refused } else { Reason::Closed };
                }
            }
            () = work.stop().cancelled() => {
                session.leave().await;
                return Reason::Requested;
            }
        }
    }
}

/// The codec of what there is to send; `None`: the egress ends before anything comes.
async fn first_codec(work: &Work, output: &Output) -> Option<VideoCodec> {
    loop {
        while let Some(item) = output.edge.pop() {
            if let Item::Picture { picture, .. } = item {
                return Some(picture.codec);
            }
        }
        tokio::select! {
            () = output.edge.filled() => {}
            () = work.stop().cancelled() => return None,
        }
    }
}

fn why(error: &session::Error) -> Reason {
    match error {
        session::Error::Signalling(signalling::Error::Unreachable(_)) => Reason::Connect,
        session::Error::Signalling(signalling::Error::Address(_)) | session::Error::Socket(_) => Reason::Address,
        session::Error::Signalling(_) | session::Error::Peer(_) => Reason::Refused,
        session::Error::Deadline => Reason::Timeout,
        session::Error::Ended => Reason::Closed,
    }
}

/// Sends what comes over the edge as soon as it has come.
struct Pump {
    egress: Arc<super::Egress>,
    index: usize,
    silent_since: Option<Instant>,
    /// The other side takes no such pictures.
    unusable: bool,
}

impl Script for Pump {
    fn next(&self) -> Option<Instant> {
        self.silent_since.map(|since| since + SILENCE)
    }

    fn play(&mut self, now: Instant, peer: &mut Peer) {
        if self.silent_since.is_some_and(|since| now >= since + SILENCE) {
            self.silent_since = None;
            return peer.close(now);
        }
        let Some(output) = self.egress.outputs().get(self.index) else { return };
        while let Some(item) = output.edge.pop() {
            let sent = match item {
                Item::Picture { picture, .. } => {
                    let (data, rtp_time) = (picture.data, picture.rtp_time);
                    let picture_ = Picture { source: Source::Camera, rid: None, data, rtp_time, orientation: Orientation::default() };
                    peer.send_video_of(now, picture.wallclock, &picture_)
                }
                Item::Packet { packet, .. } => {
                    let (data, rtp_time) = (packet.data, packet.rtp_time);
                    let packet_ = Packet { source: Source::Microphone, data, rtp_time, level_dbov: None };
                    // Who takes no sound is sent pictures alone.
                    let _ = peer.send_audio_of(now, packet.wallclock, &packet_);
                    Ok(())
                }
                Item::Unit { .. } | Item::Lost { .. } | Item::Note { .. } | Item::Command { .. } => Ok(()),
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "the other side takes no pictures");
                self.unusable = true;
                return peer.close(now);
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event, _peer: &mut Peer) {
        match event {
            Event::KeyframeRequested { .. } => {
                if let Some(output) = self.egress.outputs().get(self.index) {
                    output.edge.want_keyframe();
                }
            }
            Event::Reachable(true) => self.silent_since = None,
            Event::Reachable(false) => self.silent_since = Some(now),
            _ => {}
        }
    }
}
