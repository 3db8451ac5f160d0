//! One peer connection, without sockets, threads or clocks.
//!
//! `handle_*` takes what arrived, then [`Peer::poll_output`] is called until it says [`Output::Timeout`].
//! Wraps str0m: nobody else in the crate names a str0m type, but the client that plays the other side.
//!
//! A connection carries up at most one microphone, one camera and one screen (with or without its
//! sound), and down exactly one audio and one video track, plus the data channel `mixdown`.
//!
//! Every offer passes the gate in [`offer`]; every datagram must belong to the connection's own
//! authenticated ICE session, whatever the caller thinks of its source. What is malformed is
//! dropped and counted, and ends nothing but itself. The last output is [`Event::Closed`], with a
//! reason that says what to do about it.

mod accounts;
mod backlog;
mod channel;
mod doubt;
pub mod dtls;
mod events;
pub mod feed;
mod fill;
mod format;
pub mod fragment;
mod keyframes;
mod link;
mod lips;
pub mod offer;
mod pace;
pub mod packets;
mod path;
mod redundancy;
mod render;
mod roles;
mod sdp;
mod session;
mod settle;
pub mod simulcast;
mod stats;
pub mod stun;
mod tracks;
pub mod types;
mod upstream;

use crate::ids::Source;
use crate::media::{AudioOut, VideoOut};
use accounts::Accounts;
use backlog::Backlog;
use fill::Fill;
use link::Link;
pub use offer::OfferError;
use packets::{Packets, Sequence};
use path::Path;
use redundancy::Redundancy;
use session::Session;
pub use session::{REPAIR_AGE, REPAIR_PACKETS, REPAIR_SHARE};
use stats::Meter;
use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration, time::Instant};
use str0m::bwe::Bitrate;
use str0m::media::MediaTime;
use str0m::net::{Protocol, Receive};
use str0m::{Input, Rtc, RtcError};
use tracks::Tracks;
use types::{CloseReason, Config, Datagram, Event, Kind, Negotiated, Output, Stats, Transmit, Transport};

/// Who has been sent no picture for this long has none to be repaired: stills come more often.
const NO_VIDEO: Duration = Duration::from_secs(6);

/// One peer connection.
pub struct Peer {
    rtc: Rtc,
    config: Config,
    session: Session,
    link: Link,
    tracks: Tracks,
    channel: channel::Channel,
    meter: Meter,
    backlog: Backlog,
    accounts: Accounts,
    redundancy: Redundancy,
    path: Path,
    sequence: Sequence,
    /// When the last picture was sent.
    last_picture: Option<Instant>,
    fill: Fill,
    outputs: VecDeque<Output>,
    /// When the stack wants to be called.
    timeout: Instant,
    /// What events ask to be done once the stack is drained.
    closing: Option<CloseReason>,
    closed: bool,
    drained: bool,
    /// When something came last.
    heard: Option<Instant>,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It was an ICE check or the answer to one, and its integrity is right: its source belongs to this peer.
    Authenticated,
    /// It came from a source that belongs to this peer.
    Accepted,
    /// Nothing of this peer's; dropped without an answer. The text is the counter's reason.
    Refused(&'static str),
}

/// What became of a picture that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Sent,
    /// Not connected, another codec than agreed, or no receiver.
    Unfit,
    /// Earlier pictures still wait: the receiver's link carries less than this rendition.
    Congested,
}

impl Peer {
    /// Takes an offer and answers it. `now` begins the connect deadline.
    pub fn accept(config: &Config, kind: Kind, offer: &str, now: Instant) -> Result<(Self, types::Answer), OfferError> {
        let (mut rtc, session, answer) = Session::open(config, kind, offer, now)?;
        let tracks = Tracks::new(&rtc, &session);
        session::tune(&mut rtc, config);
        let mut peer = Self {
            rtc,
            config: config.clone(),
            link: Link::new(now, config.connect_deadline),
            session,
            tracks,
            channel: channel::Channel::default(),
            meter: Meter::default(),
            backlog: Backlog::default(),
            accounts: Accounts::default(),
            redundancy: Redundancy::default(),
            path: Path::default(),
            sequence: Sequence::default(),
            last_picture: None,
            fill: Fill::default(),
            outputs: VecDeque::new(),
            timeout: now,
            closing: None,
            closed: false,
            drained: true,
            heard: None,
        };
        peer.outputs.push_back(Output::Event(Event::Negotiated(peer.session.negotiated.clone())));
        peer.settle(now);
        Ok((peer, answer))
    }

    /// Takes a new offer on the running session. On `Err` the session goes on as before.
    pub fn offer(&mut self, offer: &str, now: Instant) -> Result<types::Answer, OfferError> {
        self.touch();
        let answer = self.session.renew(&mut self.rtc, &self.config, offer);
        if answer.is_ok() {
            self.renegotiated();
        }
        self.settle(now);
        answer
    }

    /// Takes a trickle fragment. `Ok(Some)`: it restarted ICE, and this is the fragment that answers it.
    pub fn trickle(&mut self, fragment: &str, now: Instant) -> Result<Option<types::Answer>, OfferError> {
        let fragment = fragment::parse(fragment)?;
        self.touch();
        let answer = match &fragment.ice {
            Some(ice) if *ice != self.session.remote.ice => {
                // Late candidates of before a restart: harmless, and useless.
                let late = self.session.is_past(ice);
                if late { Ok(None) } else { self.session.restart(&mut self.rtc, &self.config, ice).map(Some) }
            }
            _ => {
                self.session.add_candidates(&mut self.rtc, &self.config, &fragment.candidates);
                Ok(None)
            }
        };
        if matches!(answer, Ok(Some(_))) {
            self.session.add_candidates(&mut self.rtc, &self.config, &fragment.candidates);
            self.renegotiated();
        }
        self.settle(now);
        answer
    }

    fn renegotiated(&mut self) {
        self.tracks.update(&self.rtc, &self.session);
        self.outputs.push_back(Output::Event(Event::Negotiated(self.session.negotiated.clone())));
    }

    /// The stack is about to be changed: what the change before left in it must have been taken out.
    fn touch(&mut self) {
        debug_assert!(self.drained || self.closed, "the stack was not drained");
        self.drained = false;
    }

    /// Our ufrag: ICE checks for this peer carry it.
    pub fn ufrag(&self) -> &str {
        &self.session.local.ufrag
    }

    pub fn negotiated(&self) -> &Negotiated {
        &self.session.negotiated
    }

    /// ETag of the current ICE session, quoted.
    pub fn etag(&self) -> &str {
        &self.session.etag
    }

    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    pub fn stats(&self) -> Stats {
        self.meter.stats()
    }

    /// One packet from the network. Any bytes are allowed.
    pub fn handle_datagram(&mut self, datagram: &Datagram<'_>, now: Instant) -> Handled {
        let handled = self.take_datagram(datagram, now);
        if !matches!(handled, Handled::Refused(_)) {
            self.settle(now);
        }
        handled
    }

    /// One of several packets that were there at the same moment: what comes of them is known after [`Peer::settle`].
    pub fn take_datagram(&mut self, datagram: &Datagram<'_>, now: Instant) -> Handled {
        if self.closed {
            return Handled::Refused("closed");
        }
        let Some(kind) = stun::kind(datagram.contents) else { return Handled::Refused("demux") };
        let protocol = protocol(datagram.transport);
        let Ok(receive) = Receive::new(protocol, datagram.source, datagram.destination, datagram.contents) else {
            return Handled::Refused("malformed");
        };
        let authenticated = kind == stun::Kind::Stun && self.session.authenticates(datagram.contents);
        let input = Input::Receive(self.moment(datagram.contents, now), receive);
        if !self.rtc.accepts(&input) || (kind == stun::Kind::Stun && !authenticated) {
            return Handled::Refused(if kind == stun::Kind::Dtls { "dtls_unvalidated" } else { "not_accepted" });
        }
        if kind == stun::Kind::Rtp && !self.tracks.admit(datagram.contents, now) {
            return Handled::Refused("ssrc_cap");
        }
        self.meter.received(datagram.contents.len());
        self.link.heard(authenticated, now);
        if self.config.ice_lite {
            self.path.heard(datagram, now);
        }
        if accounts::is_account(datagram.contents) {
            if self.can_wait() && !self.is_thin() && self.accounts.wait(datagram, now) {
                return Handled::Accepted;
            }
            self.take_account();
        }
        self.drained = false;
        self.heard = Some(now);
        let result = self.rtc.handle_input(input);
        self.note(result, now);
        if kind == stun::Kind::Dtls {
            // The handshake's queue is short, and keys for the media behind it come of it.
            self.settle(now);
        }
        if authenticated { Handled::Authenticated } else { Handled::Accepted }
    }

    /// When a packet is said to have come. With the first of a moment the stack does all that it does with time; for media that come with it, it need not do so
    /// again, and does not where time does not go on. What RTCP asks for is done then.
    fn moment(&self, contents: &[u8], now: Instant) -> Instant {
        let again = self.heard == Some(now) && stun::is_media(contents);
        now.checked_sub(Duration::from_nanos(1)).filter(|_| again).unwrap_or(now)
    }

    /// Hands the stack the account that waits, if there is one.
    fn take_account(&mut self) {
        let Some((account, arrived)) = self.accounts.take() else { return };
        let receive = Receive::new(protocol(account.transport), account.source, account.destination, account.contents);
        let result = receive.map(|receive| self.rtc.handle_input(Input::Receive(arrived, receive)));
        self.note(result.unwrap_or(Ok(())), arrived);
    }

    /// Time has come, at or after what [`Output::Timeout`] said.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.touch();
        if self.fill.handle_timeout(self.meter.stats().estimate_bps, now) {
            session::aim(&mut self.rtc, self.fill.bounds());
        }
        if let Some(bps) = self.meter.asks(now) {
            self.rtc.bwe().reset(Bitrate::bps(u64::from(bps)));
        }
        self.take_account();
        let result = self.rtc.handle_input(Input::Timeout(now));
        self.note(result, now);
        self.settle(now);
        // After what the stack had to say.
        let news = self.meter.handle_timeout(now);
        self.outputs.extend(news.map(|bps| Output::Event(Event::Estimate(bps))));
    }

    /// The next output; [`Output::Timeout`] when there is nothing more to do before its instant.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let own = [self.link.deadline(), self.tracks.deadline(), self.fill.deadline(), self.meter.deadline(), self.accounts.deadline()];
        Output::Timeout(own.into_iter().flatten().fold(self.timeout, Instant::min))
    }

    /// Sends one picture of the composite, cut into `packets`, with this RTP time. Anything but [`Sent::Sent`]: it was left out.
    pub fn send_video(&mut self, picture: &VideoOut, packets: &Packets, rtp_time: u64, now: Instant) -> Sent {
        let Some(down) = self.session.video_down.filter(|down| down.codec == picture.codec && self.is_connected()) else {
            return Sent::Unfit;
        };
        if let Some(bps) = self.is_congested(down.mid, now) {
            if self.backlog.tell(now) {
                self.outputs.push_back(Output::Event(Event::Congested(bps)));
            }
            // Nothing goes on from what was sent before.
            self.forget(now);
            return Sent::Congested;
        }
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(down.mid, None) else { return Sent::Unfit };
        self.sequence.write(stream, packets, down.payload_type, rtp_time, earlier(picture.wallclock));
        self.meter.picture(picture.data.len(), picture.keyframe);
        self.last_picture = Some(now);
        self.written(Ok(()), now);
        Sent::Sent
    }

    /// A keyframe is next, and whoever has that needs nothing of what was sent before.
    pub fn begin_anew(&mut self, now: Instant) {
        if self.backlog.was_too_long(now) {
            self.forget(now);
        }
    }

    /// What was sent before is sent again no more. Receivers go on asking, each round trip once more, and on a thin link their repairs would go before all
    /// that is new.
    fn forget(&mut self, now: Instant) {
        self.touch();
        self.session.forget(&mut self.rtc);
        self.settle(now);
    }

    /// What the link takes, if that is too little for what waits already.
    fn is_congested(&mut self, mid: str0m::media::Mid, now: Instant) -> Option<u32> {
        let mut api = self.rtc.direct_api();
        let queue = api.stream_tx_by_mid(mid, None)?.queue_info()?;
        let (queued, since) = (queue.byte_size(), queue.first_unsent()?);
        self.backlog.is_too_long(queued, since, now)
    }

    /// What is to be sent at least, with padding, and what the connection shall find out that it carries, in bits per second.
    pub fn aim(&mut self, bps: Range<u32>, now: Instant) {
        self.touch();
        if self.last_picture.is_none_or(|last| now > last + NO_VIDEO) {
            // Probes send again what is kept: small packets alone hold no sound up on a thin link.
            self.session.forget(&mut self.rtc);
        }
        let stats = self.meter.stats();
        let estimate = stats.estimate_bps.filter(|_| self.session.transport_cc);
        let [least, most] = [bps.start, bps.end].map(|bps| bps.min(self.config.max_bitrate_bps));
        // What a receiver estimates no probe of ours can ask about.
        self.meter.aim(if self.session.transport_cc { most } else { 0 });
        self.fill.aim(least..most, estimate, stats.send_bitrate_bps, now);
        session::aim(&mut self.rtc, self.fill.bounds());
        self.settle(now);
    }

    /// Sends one packet of the mix. False: dropped, as with video.
    pub fn send_audio(&mut self, packet: &AudioOut, now: Instant) -> bool {
        let Some(down) = self.session.audio_down.filter(|down| down.codec == packet.codec && self.is_connected()) else {
            return false;
        };
        let time = MediaTime::new(packet.rtp_time, session::frequency(packet.codec));
        let Some(writer) = self.rtc.writer(down.mid) else { return false };
        let result = writer.write(down.payload_type, earlier(packet.wallclock), time, Arc::clone(&packet.data));
        self.written(result, now)
    }

    fn written(&mut self, result: Result<(), RtcError>, now: Instant) -> bool {
        let sent = result.is_ok();
        self.touch();
        self.note(result, now);
        // What was written waits for this call: to be asked for it first would cost as much as to send it.
        let result = self.rtc.handle_input(Input::Timeout(now));
        self.note(result, now);
        self.take_account();
        self.settle(now);
        sent
    }

    /// Sends one text on the data channel. False: there is none, or it does not read.
    pub fn send_message(&mut self, text: &str, now: Instant) -> bool {
        self.touch();
        let sent = self.channel.send(&mut self.rtc, text);
        self.settle(now);
        sent
    }

    /// A decoder needs a keyframe of `source` from the sender.
    pub fn request_keyframe(&mut self, source: Source, now: Instant) {
        self.tracks.request_keyframe(source, now);
        self.settle(now);
    }

    /// Height of the largest tile that shows `source`; 0: nowhere seen.
    pub fn want(&mut self, source: Source, height: u32, now: Instant) {
        self.tracks.want(source, height, now);
        self.settle(now);
    }

    /// Ends the connection, and tells the other side.
    pub fn close(&mut self, reason: CloseReason, now: Instant) {
        self.closing.get_or_insert(reason);
        self.settle(now);
    }

    fn transmit(&mut self, transmit: str0m::net::Transmit, now: Instant) {
        let transport = match transmit.proto {
            Protocol::Udp => Transport::Udp,
            _ => Transport::Tcp,
        };
        self.meter.sent(transmit.contents.len());
        self.backlog.sent(transmit.contents.len(), now);
        self.outputs.push_back(Output::Transmit(Transmit {
            transport,
            source: transmit.source,
            destination: self.path.destination(transport, transmit.destination, &transmit.contents),
            contents: transmit.contents.into(),
        }));
    }

    fn finish(&mut self, reason: CloseReason, now: Instant) {
        if self.rtc.close().is_ok() {
            self.drained = false;
            self.drain(now);
        }
        debug_assert!(self.drained || !self.rtc.is_alive());
        self.rtc.disconnect();
        self.closed = true;
        self.fill = Fill::default();
        self.accounts = Accounts::default();
        self.meter.end();
        self.timeout = now + Duration::from_secs(86_400);
        self.link.end();
        self.tracks.end();
        self.outputs.push_back(Output::Event(Event::Closed(reason)));
    }

    /// Judges an error of the stack: most end the packet that caused them, few the connection.
    fn note(&mut self, result: Result<(), RtcError>, now: Instant) {
        let Err(error) = result else { return };
        let reason = match &error {
            RtcError::Packet(mid, ..) => {
                self.tracks.damaged(*mid);
                "packet"
            }
            RtcError::Dtls(_) => {
                self.link.dtls_failed(&error.to_string(), now);
                "dtls"
            }
            RtcError::RemoteSdp(text) if text.contains("fingerprint") => {
                self.closing.get_or_insert(CloseReason::FingerprintMismatch);
                "fingerprint"
            }
            RtcError::Sctp(_) => "sctp",
            RtcError::WriteWithoutPoll => "write_queue",
            _ => "other",
        };
        tracing::debug!(%error, "the WebRTC stack refused something");
        metrics::counter!("mixdown_peer_errors_total", "kind" => reason).increment(1);
        if !self.rtc.is_alive() {
            let reason = if reason == "dtls" { CloseReason::DtlsFailed } else { CloseReason::InternalError };
            self.closing.get_or_insert(reason);
        }
    }
}

/// The stack's sender reports know moments of the past alone, and a picture that waits for its sound is of the near future. Receivers go by differences: all
/// that is sent was so much earlier.
fn earlier(wallclock: Instant) -> Instant {
    wallclock.checked_sub(Duration::from_secs(1)).unwrap_or(wallclock)
}

fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp => Protocol::Udp,
        Transport::Tcp => Protocol::Tcp,
    }
}
