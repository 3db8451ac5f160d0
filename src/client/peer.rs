//! The client's side of one peer connection, without sockets, threads or clocks.
//!
//! [`Peer::offer`] → the server's answer → [`Peer::accept_answer`]; then `handle_*` takes what
//! arrived, `send_*` what goes up, and [`Peer::poll_output`] is called until it says
//! [`Output::Timeout`]. Every input is followed by a full drain of the engine into the output queue,
//! so outputs never get lost and the order of calls does not matter.
//!
//! Wraps str0m as [`crate::peer`] does for the server; the two share nothing but plain types.

use super::lines::{Line, NewLine, audio_codec, engine, orientation, turn, video_codec};
use super::sdp;
use super::types::{Camera, Change, Config, Error, Event, Output, Packet, Picture, Received, Screen, Stats};
use crate::ids::Source;
use crate::peer::types::{Datagram, Transmit, Transport};
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Input, Rtc,
    bwe::{Bitrate, BweKind},
    change::{SdpAnswer, SdpApi, SdpPendingOffer},
    channel::ChannelId,
    media::{Frequency, KeyframeRequestKind, MediaData, MediaKind, MediaTime, Rid},
    net::{Protocol, Receive},
};

/// Polls of the engine after one input before it counts as spinning.
const MAX_POLLS: usize = 20_000;
const CHANNEL: &str = "mixdown";

/// One client connection.
pub struct Peer {
    rtc: Rtc,
    config: Config,
    lines: Vec<Line>,
    pending: Option<SdpPendingOffer>,
    offer: String,
    answer: String,
    channel: Option<ChannelId>,
    outputs: VecDeque<Output>,
    timeout: Instant,
    now: Instant,
    closed: bool,
    stats: Stats,
}

impl Peer {
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rtc = engine(&config).build(now);
        for address in &config.candidates {
            if let Ok(candidate) = Candidate::host(*address, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        Self {
            rtc,
            config,
            lines: Vec::new(),
            pending: None,
            offer: String::new(),
            answer: String::new(),
            channel: None,
            outputs: VecDeque::new(),
            timeout: now,
            now,
            closed: false,
            stats: Stats::default(),
        }
    }

    /// The first offer.
    pub fn offer(&mut self) -> Result<String, Error> {
        let mut lines = Vec::new();
        let mut api = self.rtc.sdp_api();
        let mut add = |api: &mut SdpApi<'_>, line: NewLine<'_>| lines.extend(line.add(api));
        add(&mut api, NewLine::audio(Source::Microphone, self.config.microphone, self.config.receive_audio));
        match &self.config.camera {
            Camera::Off => add(&mut api, NewLine::video(Source::Camera, false, self.config.receive_video)),
            Camera::Single => add(&mut api, NewLine::video(Source::Camera, true, self.config.receive_video)),
            Camera::Simulcast(rids) => {
                add(&mut api, NewLine { rids, ..NewLine::video(Source::Camera, true, false) });
                let composite = NewLine { source: None, ..NewLine::video(Source::Camera, false, self.config.receive_video) };
                add(&mut api, composite);
            }
        }
        add(&mut api, NewLine::video(Source::Screen, self.config.screen != Screen::Off, false));
        add(&mut api, NewLine::audio(Source::ScreenAudio, self.config.screen == Screen::VideoAndAudio, false));
        if self.config.channel {
            self.channel = Some(api.add_channel(CHANNEL.into()));
        }
        let applied = api.apply();
        self.lines = lines;
        self.describe(applied)
    }

    /// A new offer on a running session. At most one is under way: the next replaces it.
    pub fn reoffer(&mut self, changes: &[Change]) -> Result<String, Error> {
        let mut api = self.rtc.sdp_api();
        for change in changes {
            match *change {
                Change::IceRestart => {
                    api.ice_restart(true);
                }
                Change::Camera(on) => turn(&mut api, &self.lines, Source::Camera, on),
                Change::Microphone(on) => turn(&mut api, &self.lines, Source::Microphone, on),
                Change::Screen(screen) => {
                    let wanted = [(Source::Screen, screen != Screen::Off), (Source::ScreenAudio, screen == Screen::VideoAndAudio)];
                    for (source, on) in wanted {
                        if self.lines.iter().any(|line| line.source == Some(source)) {
                            turn(&mut api, &self.lines, source, on);
                        } else {
                            let line = if source == Source::Screen { NewLine::video } else { NewLine::audio };
                            self.lines.extend(line(source, on, false).add(&mut api));
                        }
                    }
                }
            }
        }
        let applied = api.apply();
        self.describe(applied)
    }

    /// The trickle fragment of an ICE restart (RFC 9725 §4.3.3); its answer goes to [`Self::accept_fragment`].
    pub fn ice_restart(&mut self) -> Result<String, Error> {
        Ok(sdp::fragment(&self.reoffer(&[Change::IceRestart])?))
    }

    fn describe(&mut self, applied: Option<(str0m::change::SdpOffer, SdpPendingOffer)>) -> Result<String, Error> {
        let Some((offer, pending)) = applied else {
            return Err(Error::Sdp("nothing to offer".into()));
        };
        self.pending = Some(pending);
        let slides: Vec<String> =
            self.lines.iter().filter(|line| line.source == Some(Source::Screen)).map(|line| line.mid.to_string()).collect();
        self.offer = sdp::mark_slides(&offer.to_sdp_string(), &slides);
        Ok(self.offer.clone())
    }

    /// The offer as made last.
    pub fn local_description(&self) -> &str {
        &self.offer
    }

    /// The answer as taken last.
    pub fn remote_description(&self) -> &str {
        &self.answer
    }

    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), Error> {
        let Some(pending) = self.pending.take() else {
            return Err(Error::Sdp("an answer without an offer".into()));
        };
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| Error::Sdp(error.to_string()))?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        self.answer = sdp.to_owned();
        let rids = if let Camera::Simulcast(rids) = &self.config.camera { rids.as_slice() } else { &[] };
        self.lines.iter_mut().for_each(|line| line.set_up_repair(&mut self.rtc, rids));
        if let Some(bps) = self.config.estimate_bps {
            let desired = Bitrate::from(u64::from(bps).max(2_500_000));
            self.rtc.bwe().set_bitrate(Bitrate::ZERO, desired);
        }
        self.handle_timeout(now);
        Ok(())
    }

    /// The answer to [`Self::ice_restart`].
    pub fn accept_fragment(&mut self, now: Instant, fragment: &str) -> Result<(), Error> {
        let answer =
            sdp::restarted_answer(&self.answer, fragment).ok_or_else(|| Error::Sdp("the fragment carries no ICE credentials".into()))?;
        self.accept_answer(now, &answer)
    }

    /// Adds an address of the client's own, such as after a change of network. The fragment to trickle it.
    pub fn add_candidate(&mut self, now: Instant, address: std::net::SocketAddr) -> Result<String, Error> {
        let candidate = Candidate::host(address, "udp").map_err(|error| Error::Sdp(error.to_string()))?;
        self.rtc.add_local_candidate(candidate);
        self.handle_timeout(now);
        Ok(sdp::candidate_fragment(&self.offer, address))
    }

    /// What this side would send a source as; `None`: not negotiated.
    pub fn video_codec(&mut self) -> Option<VideoCodec> {
        let line = self.lines.iter().find(|line| line.kind == MediaKind::Video && line.source.is_some())?;
        self.rtc.writer(line.mid)?.payload_params().find_map(|p| video_codec(p.spec().codec))
    }

    /// As [`Self::video_codec`], of the microphone.
    pub fn audio_codec(&mut self) -> Option<AudioCodec> {
        let line = self.lines.iter().find(|line| line.source == Some(Source::Microphone))?;
        self.rtc.writer(line.mid)?.payload_params().find_map(|p| audio_codec(p.spec().codec))
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.step(Input::Timeout(now), now);
    }

    /// A datagram that is not for this connection is counted and dropped.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) {
        self.stats.received_packets += 1;
        self.stats.received_bytes += datagram.contents.len() as u64;
        let Ok(receive) = Receive::new(Protocol::Udp, datagram.source, datagram.destination, datagram.contents) else {
            self.stats.refused_datagrams += 1;
            return;
        };
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) {
            self.stats.refused_datagrams += 1;
            return;
        }
        self.step(input, now);
    }

    /// Sends one picture. Before the connection is up it is dropped silently, as the engine does.
    pub fn send_video(&mut self, now: Instant, picture: &Picture<'_>) -> Result<(), Error> {
        self.send_video_of(now, now, picture)
    }

    /// As [`Self::send_video`], of a picture that was taken at `taken`: reports map its RTP time to that.
    pub fn send_video_of(&mut self, now: Instant, taken: Instant, picture: &Picture<'_>) -> Result<(), Error> {
        let missing = Error::NotNegotiated(picture.source);
        let Some(line) = self.lines.iter().find(|line| line.source == Some(picture.source)) else { return Err(missing) };
        if line.simulcast != picture.rid.is_some() {
            return Err(missing);
        }
        let Some(writer) = self.rtc.writer(line.mid) else { return Err(missing) };
        let Some(pt) = writer.payload_params().find(|p| video_codec(p.spec().codec).is_some()).map(|p| p.pt()) else {
            return Err(missing);
        };
        let mut writer = writer.video_orientation(orientation(picture.orientation.quarter_turns));
        if let Some(rid) = picture.rid {
            writer = writer.rid(Rid::from(rid));
        }
        writer.write(pt, taken, MediaTime::from_90khz(picture.rtp_time), picture.data.clone())?;
        self.handle_timeout(now);
        Ok(())
    }

    pub fn send_audio(&mut self, now: Instant, packet: &Packet) -> Result<(), Error> {
        self.send_audio_of(now, now, packet)
    }

    /// As [`Self::send_video_of`].
    pub fn send_audio_of(&mut self, now: Instant, taken: Instant, packet: &Packet) -> Result<(), Error> {
        let missing = Error::NotNegotiated(packet.source);
        let Some(line) = self.lines.iter().find(|line| line.source == Some(packet.source)) else { return Err(missing) };
        let Some(writer) = self.rtc.writer(line.mid) else { return Err(missing) };
        let Some((pt, codec)) = writer.payload_params().find_map(|p| Some((p.pt(), audio_codec(p.spec().codec)?))) else {
            return Err(missing);
        };
        let frequency = if codec.clock_rate() == 48_000 { Frequency::FORTY_EIGHT_KHZ } else { Frequency::EIGHT_KHZ };
        let writer = match packet.level_dbov {
            Some(level) => writer.audio_level(level.clamp(-127, 0), level > -50),
            None => writer,
        };
        writer.write(pt, taken, MediaTime::new(packet.rtp_time, frequency), packet.data.clone())?;
        self.handle_timeout(now);
        Ok(())
    }

    /// Asks the server for a keyframe of the composite (PLI). False: no picture has arrived yet.
    pub fn request_keyframe(&mut self, now: Instant) -> bool {
        let Some(mid) = self.lines.iter().find(|line| line.kind == MediaKind::Video && line.receives).map(|line| line.mid) else {
            return false;
        };
        let asked = self.rtc.writer(mid).is_some_and(|mut writer| writer.request_keyframe(None, KeyframeRequestKind::Pli).is_ok());
        self.handle_timeout(now);
        asked
    }

    /// One text message on the data channel.
    pub fn send_message(&mut self, now: Instant, text: &str) -> Result<(), Error> {
        let mut channel = self.channel.and_then(|id| self.rtc.channel(id)).ok_or(Error::ChannelBusy)?;
        let accepted = channel.write(false, text.as_bytes())?;
        self.handle_timeout(now);
        if accepted { Ok(()) } else { Err(Error::ChannelBusy) }
    }

    /// Begins to close: DTLS close_notify and RTCP BYE come out of [`Self::poll_output`], then [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        if self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
        self.drain();
        self.handle_timeout(now);
    }

    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Timeout(self.timeout))
    }

    fn step(&mut self, input: Input<'_>, now: Instant) {
        self.now = self.now.max(now);
        if self.rtc.handle_input(input).is_err() {
            self.stats.engine_errors += 1;
        }
        self.drain();
        // What was just written is packetised by a timeout that is already due.
        for _ in 0..8 {
            if self.timeout > self.now || self.closed {
                return;
            }
            if self.rtc.handle_input(Input::Timeout(self.now)).is_err() {
                self.stats.engine_errors += 1;
            }
            self.drain();
        }
        self.timeout = self.timeout.max(self.now + Duration::from_millis(1));
    }

    fn drain(&mut self) {
        for _ in 0..MAX_POLLS {
            match self.rtc.poll_output() {
                Ok(str0m::Output::Timeout(at)) => {
                    self.timeout = at;
                    break;
                }
                Ok(str0m::Output::Transmit(transmit)) => {
                    let contents: Vec<u8> = transmit.contents.into();
                    self.stats.sent_packets += 1;
                    self.stats.sent_bytes += contents.len() as u64;
                    self.outputs.push_back(Output::Transmit(Transmit {
                        transport: Transport::Udp,
                        source: transmit.source,
                        destination: transmit.destination,
                        contents,
                    }));
                }
                Ok(str0m::Output::Event(event)) => self.event(event),
                Err(_) => self.stats.engine_errors += 1,
            }
        }
        if !self.rtc.is_alive() && !self.closed {
            self.closed = true;
            self.outputs.push_back(Output::Event(Event::Closed));
        }
    }

    fn event(&mut self, event: str0m::Event) {
        use str0m::{Event as E, IceConnectionState as Ice};
        let event = match event {
            E::Connected => Event::Connected,
            E::IceConnectionStateChange(Ice::Disconnected) => Event::Reachable(false),
            E::IceConnectionStateChange(Ice::Connected | Ice::Completed) => Event::Reachable(true),
            E::MediaData(data) => match self.received(data) {
                Some(event) => event,
                None => return,
            },
            E::KeyframeRequest(request) => {
                self.stats.keyframe_requests_received += 1;
                let Some(source) = self.lines.iter().find(|line| line.mid == request.mid).and_then(|line| line.source) else {
                    return;
                };
                Event::KeyframeRequested { source, rid: request.rid.map(|rid| rid.to_string()) }
            }
            E::ChannelOpen(id, _) => {
                self.channel = Some(id);
                Event::ChannelOpen
            }
            E::ChannelData(data) => Event::Message(String::from_utf8_lossy(&data.data).into_owned()),
            E::EgressBitrateEstimate(BweKind::Twcc { estimate, .. } | BweKind::Remb { estimate, .. }) => {
                let bps = u32::try_from(estimate.as_u64()).unwrap_or(u32::MAX);
                self.stats.estimate_bps = Some(bps);
                Event::Estimate(bps)
            }
            E::PeerStats(stats) => {
                self.stats.loss_down = stats.ingress_loss_fraction;
                self.stats.loss_up = stats.egress_loss_fraction;
                self.stats.rtt = stats.rtt.or(stats.selected_candidate_pair.and_then(|pair| pair.current_round_trip_time));
                return;
            }
            E::MediaIngressStats(stats) => {
                self.stats.nacks_sent = stats.nacks.max(self.stats.nacks_sent);
                self.stats.keyframe_requests_sent = (stats.plis + stats.firs).max(self.stats.keyframe_requests_sent);
                return;
            }
            E::MediaEgressStats(stats) => {
                self.stats.nacks_received = stats.nacks.max(self.stats.nacks_received);
                return;
            }
            E::Closed => {
                self.closed = true;
                Event::Closed
            }
            _ => return,
        };
        self.outputs.push_back(Output::Event(event));
    }

    fn received(&mut self, data: MediaData) -> Option<Event> {
        let codec = data.params.spec().codec;
        if let Some(codec) = video_codec(codec) {
            self.stats.pictures += 1;
            self.stats.keyframes += u64::from(data.is_keyframe());
            return Some(Event::Video(unit(data, codec)));
        }
        let codec = audio_codec(codec)?;
        self.stats.audio_packets += 1;
        Some(Event::Audio(unit(data, codec)))
    }
}

fn unit<C>(data: MediaData, codec: C) -> Received<C> {
    Received {
        codec,
        keyframe: data.is_keyframe(),
        contiguous: data.contiguous,
        rtp_time: data.time.numer(),
        sequence: **data.seq_range.start(),
        level_dbov: data.ext_vals.audio_level,
        first_packet: data.network_time,
        data: data.data,
    }
}
