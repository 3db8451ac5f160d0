//! A client peer against a bare engine that answers, in memory, on virtual time, with seeded loss. For tests.

use super::{Config, Event, Output, Peer, Picture};
use crate::ids::Source;
use crate::media::Orientation;
use crate::peer::types::{Datagram, Transport};
use mixdown_codecs::VideoCodec;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Input, Rtc, RtcConfig,
    change::SdpOffer,
    media::{Direction, MediaKind, MediaTime, Mid},
    net::{Protocol, Receive},
};

pub const CLIENT: &str = "10.0.0.1:1000";
pub const SERVER: &str = "10.0.0.2:2000";

/// One picture of about `size` bytes that names its number; no start code inside.
pub fn picture(codec: VideoCodec, number: u8, keyframe: bool, size: usize) -> Arc<[u8]> {
    let mut data = match (codec, keyframe) {
        (VideoCodec::H264, true) => vec![0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65],
        (VideoCodec::H264, false) => vec![0, 0, 0, 1, 0x41],
        (VideoCodec::Vp8, true) => vec![0x10, 2, 0, 0x9d, 1, 0x2a],
        (VideoCodec::Vp8, false) => vec![0x11, 2, 0],
    };
    data.extend(std::iter::repeat_n(number | 0x80, size));
    data.into()
}

pub fn number(data: &[u8]) -> u8 {
    data.last().copied().unwrap_or(0) & 0x7f
}

/// What the answering side saw.
#[derive(Default)]
pub struct Seen {
    pub media: Vec<(Mid, MediaKind, Direction)>,
    pub video_units: Vec<Arc<[u8]>>,
    pub audio_units: Vec<Arc<[u8]>>,
    pub pictures: Vec<(Mid, Option<String>, u8, u64)>,
    pub levels: Vec<Option<i8>>,
    pub messages: Vec<String>,
    pub keyframe_requests: usize,
    pub channel: Option<str0m::channel::ChannelId>,
    pub orientation: Option<str0m::rtp::VideoOrientation>,
    pub closed: bool,
}

pub struct World {
    pub now: Instant,
    /// Keeps the bytes of what arrives.
    pub keep_units: bool,
    pub peer: Peer,
    pub server: Rtc,
    pub seen: Seen,
    pub events: Vec<Event>,
    pub wire: VecDeque<(Instant, bool, Vec<u8>)>,
    pub rng: StdRng,
    pub loss: f64,
    pub server_timeout: Instant,
}

impl World {
    pub fn new(config: Config) -> Self {
        let now = crate::runtime::clock::now();
        let config = Config { candidates: vec![CLIENT.parse().unwrap()], ..config };
        let peer = Peer::new(config, now);
        let mut server = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .enable_vp8(true)
            .enable_opus(true, false)
            .enable_pcmu(true, false)
            .set_reordering_size_audio(0)
            .build(now);
        server.add_local_candidate(Candidate::host(SERVER.parse().unwrap(), "udp").unwrap());
        Self {
            now,
            keep_units: false,
            peer,
            server,
            seen: Seen::default(),
            events: Vec::new(),
            wire: VecDeque::new(),
            rng: StdRng::seed_from_u64(7),
            loss: 0.0,
            server_timeout: now,
        }
    }

    pub fn connected(config: Config) -> Self {
        let mut world = Self::new(config);
        let offer = world.peer.offer().unwrap();
        world.answer(&offer);
        for _ in 0..500 {
            if world.peer.is_connected() && world.server.is_connected() {
                return world;
            }
            world.run(10);
        }
        panic!("no connection within 5 s");
    }

    pub fn answer(&mut self, offer: &str) {
        let answer = self.server.sdp_api().accept_offer(SdpOffer::from_sdp_string(offer).unwrap()).unwrap().to_sdp_string();
        self.drain_server();
        self.peer.accept_answer(self.now, &answer).unwrap();
        self.drain_peer();
    }

    /// Lets `ms` milliseconds pass, with 20 ms of delay on the wire each way.
    pub fn run(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        loop {
            self.drain_peer();
            self.drain_server();
            let next_packet = self.wire.front().map(|packet| packet.0);
            let next = [Some(self.server_timeout), next_packet, self.peer_timeout()].into_iter().flatten().min().unwrap();
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            if next_packet.is_some_and(|at| at <= self.now) {
                let (_, up, bytes) = self.wire.pop_front().unwrap();
                self.deliver(up, &bytes);
            } else {
                self.peer.handle_timeout(self.now);
                self.server.handle_input(Input::Timeout(self.now)).unwrap();
            }
        }
        self.now = until;
    }

    pub fn peer_timeout(&mut self) -> Option<Instant> {
        match self.peer.poll_output() {
            Output::Timeout(at) => Some(at),
            _ => panic!("drained"),
        }
    }

    pub fn deliver(&mut self, up: bool, bytes: &[u8]) {
        let (client, server): (SocketAddr, SocketAddr) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        if up {
            let input = Input::Receive(self.now, Receive::new(Protocol::Udp, client, server, bytes).unwrap());
            if self.server.accepts(&input) {
                self.server.handle_input(input).unwrap();
            }
        } else {
            let datagram = Datagram { transport: Transport::Udp, source: server, destination: client, contents: bytes };
            self.peer.handle_datagram(self.now, &datagram);
        }
    }

    pub fn send(&mut self, up: bool, bytes: Vec<u8>) {
        if !self.rng.random_bool(self.loss) {
            self.wire.push_back((self.now + Duration::from_millis(20), up, bytes));
        }
    }

    pub fn drain_peer(&mut self) {
        loop {
            match self.peer.poll_output() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => self.send(true, transmit.contents.to_vec()),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub fn drain_server(&mut self) {
        use str0m::{Event as E, Output as O};
        loop {
            match self.server.poll_output().unwrap() {
                O::Timeout(at) => {
                    self.server_timeout = at;
                    return;
                }
                O::Transmit(transmit) => self.send(false, transmit.contents.into()),
                O::Event(E::MediaAdded(added)) => self.seen.media.push((added.mid, added.kind, added.direction)),
                O::Event(E::MediaData(data)) if data.params.spec().codec.is_video() => {
                    self.seen.orientation = data.ext_vals.video_orientation;
                    if self.keep_units {
                        self.seen.video_units.push(data.data.clone());
                    }
                    self.seen.pictures.push((data.mid, data.rid.map(|rid| rid.to_string()), number(&data.data), data.time.numer()));
                }
                O::Event(E::MediaData(data)) => {
                    self.seen.levels.push(data.ext_vals.audio_level);
                    if self.keep_units {
                        self.seen.audio_units.push(data.data);
                    }
                }
                O::Event(E::ChannelOpen(id, _)) => self.seen.channel = Some(id),
                O::Event(E::ChannelData(data)) => self.seen.messages.push(String::from_utf8(data.data).unwrap()),
                O::Event(E::KeyframeRequest(_)) => self.seen.keyframe_requests += 1,
                O::Event(E::Closed) => self.seen.closed = true,
                O::Event(_) => {}
            }
        }
    }

    pub fn camera(&mut self, n: u64, keyframe: bool, rid: Option<&str>) {
        let codec = self.peer.video_codec().unwrap();
        let data = picture(codec, (n % 128) as u8, keyframe, 3_000);
        let orientation = Orientation { quarter_turns: 1, flip: false };
        let picture = Picture { source: Source::Camera, rid, data, rtp_time: (1 << 32) - 90_000 + n * 3_000, orientation };
        self.peer.send_video(self.now, &picture).unwrap();
    }

    /// One picture from the server on the line `mid`.
    pub fn composite(&mut self, mid: Mid, n: u64, keyframe: bool) {
        let writer = self.server.writer(mid).unwrap();
        let pt = writer.payload_params().next().unwrap().pt();
        let codec = if pt == 96.into() { VideoCodec::Vp8 } else { VideoCodec::H264 };
        let data = picture(codec, (n % 128) as u8, keyframe, 5_000);
        writer.write(pt, self.now, MediaTime::from_90khz(n * 3_000), data).unwrap();
        self.server.handle_input(Input::Timeout(self.now)).unwrap();
        self.drain_server();
    }

    pub fn received(&self) -> Vec<u8> {
        self.events.iter().filter_map(|event| if let Event::Video(video) = event { Some(number(&video.data)) } else { None }).collect()
    }
}
