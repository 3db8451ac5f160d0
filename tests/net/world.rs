//! One hub, some clients, and a network with delay, loss and reordering, on virtual time: one seed, one run.

use mixdown::client;
use mixdown::ids::{ParticipantId, RenditionId, Source};
use mixdown::media::{AudioIn, AudioOut, Orientation, VideoIn, VideoOut};
use mixdown::net::hub::{Hub, Output};
use mixdown::net::{Command, Limits, Observer, SessionError};
use mixdown::peer::types::{Answer, CloseReason, Config, Datagram, Event, Kind, Stats, Transmit, Transport};
use mixdown::peer::{OfferError, Peer};
use mixdown::pipeline::Inlet;
use mixdown::runtime::clock;
use mixdown_codecs::{AudioCodec, VideoCodec};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

pub const SERVER: &str = "192.0.3.1:3478";
pub const RENDITION: RenditionId = RenditionId(7);

pub fn server() -> SocketAddr {
    SERVER.parse().unwrap()
}

/// A point in time long after the process began, the same for all worlds of it.
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| clock::now() + Duration::from_secs(1_000))
}

pub fn config() -> Config {
    Config {
        ice_lite: true,
        candidates: vec![(Transport::Udp, server(), server())],
        video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
        audio_codecs: vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma],
        limits: mixdown_codecs::gate::Limits::default(),
        connect_deadline: Duration::from_secs(15),
        initial_bitrate_bps: 1_000_000,
        max_bitrate_bps: 4_000_000,
    }
}

/// What the server side of one client saw.
#[derive(Default)]
pub struct Seen {
    pub events: Vec<(Duration, Event)>,
    pub video: Vec<VideoIn>,
    pub audio: Vec<AudioIn>,
    pub closed: Option<(Duration, CloseReason)>,
    pub connected: Option<Duration>,
    /// The entrance for its media is broken.
    pub broken: bool,
    /// Its room is too busy to hear of anything.
    pub busy: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<BTreeMap<ParticipantId, Seen>>>, Arc<Mutex<Duration>>);

impl Observer for Shared {
    fn event(&self, participant: ParticipantId, event: Event) -> bool {
        let at = *self.1.lock().unwrap();
        let mut seen = self.0.lock().unwrap();
        let seen = seen.entry(participant).or_default();
        if seen.busy {
            return false;
        }
        match event {
            Event::Connected => seen.connected = Some(at),
            Event::Closed(reason) => seen.closed = Some((at, reason)),
            _ => {}
        }
        seen.events.push((at, event));
        true
    }
}

struct Entrance(Shared, ParticipantId);

impl Inlet for Entrance {
    fn video(&self, picture: VideoIn) {
        self.0.0.lock().unwrap().entry(self.1).or_default().video.push(picture);
    }

    fn audio(&self, packet: AudioIn) {
        let broken = self.0.0.lock().unwrap().entry(self.1).or_default().broken;
        assert!(!broken, "this entrance is broken");
        self.0.0.lock().unwrap().entry(self.1).or_default().audio.push(packet);
    }
}

/// How the network treats datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub delay_ms: u64,
    pub jitter_ms: u64,
    pub loss: f64,
    pub duplicate: f64,
    /// Lets nothing through.
    pub blackout: bool,
    /// The longest datagram that passes, in bytes.
    pub mtu: usize,
}

impl Default for Weather {
    fn default() -> Self {
        Self { delay_ms: 10, jitter_ms: 0, loss: 0.0, duplicate: 0.0, blackout: false, mtu: usize::MAX }
    }
}

pub struct Client {
    pub peer: client::Peer,
    pub address: SocketAddr,
    pub participant: ParticipantId,
    pub events: Vec<client::Event>,
    pub answer: Answer,
    pub weather: Weather,
    gone: bool,
}

/// A datagram under way, in order of arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Reverse<Instant>,
    number: Reverse<u64>,
    up: bool,
    source: SocketAddr,
    destination: SocketAddr,
    contents: Vec<u8>,
}

pub struct World {
    pub now: Instant,
    pub hub: Hub,
    pub config: Config,
    pub clients: Vec<Client>,
    /// All datagrams that left the server: destination and first byte.
    pub sent: Vec<(SocketAddr, u8)>,
    /// And the length of the longest.
    pub longest: usize,
    /// Of those that are RTP, how many there are by payload type.
    pub payloads: BTreeMap<u8, usize>,
    /// All datagrams that reached the server, where asked for.
    pub record: Option<Vec<(SocketAddr, Vec<u8>)>>,
    /// Real time that the server's side took.
    pub spent: Duration,
    /// How often the server's side was called because its time had come.
    pub calls: usize,
    shared: Shared,
    flights: BinaryHeap<Flight>,
    flown: u64,
    rng: StdRng,
    deadline: Option<Instant>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            now: epoch(),
            hub: Hub::new(Limits::default()),
            config: config(),
            clients: Vec::new(),
            sent: Vec::new(),
            longest: 0,
            payloads: BTreeMap::new(),
            record: None,
            spent: Duration::ZERO,
            calls: 0,
            shared: Shared::default(),
            flights: BinaryHeap::new(),
            flown: 0,
            rng: StdRng::seed_from_u64(seed),
            deadline: None,
        }
    }

    pub fn full_ice(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.config.ice_lite = false;
        world
    }

    /// A client joins; its index.
    pub fn join(&mut self, kind: Kind, config: client::Config) -> usize {
        self.try_join(kind, config, |offer| offer).unwrap()
    }

    /// A client joins with an offer that `edit` has changed on the way.
    pub fn try_join(&mut self, kind: Kind, config: client::Config, edit: impl FnOnce(String) -> String) -> Result<usize, OfferError> {
        let index = self.clients.len();
        let address = SocketAddr::from(([192, 0, 4, 1], 40_000 + u16::try_from(index).unwrap()));
        let mut peer = client::Peer::new(client::Config { candidates: vec![address], ..config }, self.now);
        let offer = edit(peer.offer().unwrap());
        let (server, answer) = Peer::accept(&self.config, kind, &offer, self.now)?;
        let participant = ParticipantId(index as u128 + 1);
        self.shared.0.lock().unwrap().entry(participant).or_default();
        let inlet = Box::new(Entrance(self.shared.clone(), participant));
        self.command(Command::Open { participant, peer: Box::new(server), inlet, observer: Arc::new(self.shared.clone()) });
        peer.accept_answer(self.now, &answer.sdp).unwrap();
        self.clients.push(Client { peer, address, participant, events: Vec::new(), answer, weather: Weather::default(), gone: false });
        Ok(index)
    }

    pub fn joined(&mut self, kind: Kind, config: client::Config) -> usize {
        let index = self.join(kind, config);
        self.until(5_000, |world| world.is_up(index));
        index
    }

    pub fn is_up(&self, index: usize) -> bool {
        self.clients[index].peer.is_connected() && self.seen(index, |seen| seen.connected.is_some())
    }

    pub fn command(&mut self, command: Command) {
        let begun = clock::now();
        self.hub.handle_command(self.now, command);
        self.spent += clock::now() - begun;
        self.flush();
    }

    pub fn seen<R>(&self, index: usize, look: impl FnOnce(&mut Seen) -> R) -> R {
        let participant = self.clients[index].participant;
        look(self.shared.0.lock().unwrap().entry(participant).or_default())
    }

    /// Sends `offer` on a running session and gives the answer to the client.
    pub fn reoffer(&mut self, index: usize, offer: String) -> Result<Answer, SessionError> {
        let participant = self.clients[index].participant;
        let answer = self.ask(|reply| Command::Offer { participant, sdp: offer, reply });
        if let Ok(answer) = &answer {
            self.clients[index].peer.accept_answer(self.now, &answer.sdp).unwrap();
        }
        answer
    }

    pub fn trickle(&mut self, index: usize, fragment: String) -> Result<Option<Answer>, SessionError> {
        let participant = self.clients[index].participant;
        self.ask(|reply| Command::Trickle { participant, fragment, reply })
    }

    pub fn stats(&mut self, index: usize) -> Option<Stats> {
        let participant = self.clients[index].participant;
        self.ask(|reply| Command::Stats { participant, reply })
    }

    fn ask<T: Send + 'static>(&mut self, command: impl FnOnce(Box<dyn FnOnce(T) + Send>) -> Command) -> T {
        let slot = Arc::new(Mutex::new(None));
        let result = Arc::clone(&slot);
        self.command(command(Box::new(move |value| *slot.lock().unwrap() = Some(value))));
        result.lock().unwrap().take().unwrap()
    }

    /// Lets a datagram of anybody's arrive at the server now.
    pub fn inject(&mut self, source: SocketAddr, contents: &[u8]) {
        self.arrive(source, contents);
        self.flush();
    }

    /// The same, and others may arrive at this moment.
    pub fn arrive(&mut self, source: SocketAddr, contents: &[u8]) {
        let begun = clock::now();
        self.hub.handle_datagram(self.now, &Datagram { transport: Transport::Udp, source, destination: server(), contents });
        self.spent += clock::now() - begun;
    }

    /// What a client sends now, taken off the network.
    pub fn outgoing(&mut self, index: usize) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.clients[index].take()).map(|transmit| transmit.contents).collect()
    }

    /// Kills a client: it sends nothing more and takes nothing.
    pub fn kill(&mut self, index: usize) {
        self.clients[index].gone = true;
    }

    /// Forgets what was seen.
    pub fn forget(&mut self) {
        self.clients.iter_mut().for_each(|client| client.events.clear());
        self.shared.0.lock().unwrap().values_mut().for_each(|seen| seen.events.clear());
    }

    pub fn elapsed(&self) -> Duration {
        self.now - epoch()
    }

    pub fn until(&mut self, ms: u64, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_millis(ms);
        while !done(self) {
            assert!(self.now < end, "not within {ms} ms");
            self.run(5);
        }
    }

    pub fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            self.flush();
            let mut next = self.flights.peek().map_or(end, |flight| flight.at.0);
            next = next.min(self.deadline.unwrap_or(end));
            for client in self.clients.iter_mut().filter(|client| !client.gone) {
                if let client::Output::Timeout(at) = client.peer.poll_output() {
                    next = next.min(at);
                }
            }
            if next >= end {
                break;
            }
            self.now = self.now.max(next);
            *self.shared.1.lock().unwrap() = self.elapsed();
            self.step();
        }
        self.now = end;
        *self.shared.1.lock().unwrap() = self.elapsed();
    }

    fn step(&mut self) {
        let mut landed = false;
        while let Some(flight) = self.flights.peek().is_some_and(|flight| flight.at.0 <= self.now).then(|| self.flights.pop()).flatten() {
            self.land(flight);
            landed = true;
        }
        let due = self.deadline.is_some_and(|at| at <= self.now);
        self.calls += usize::from(due);
        // As the driver does when it has taken all that was there.
        if landed || due {
            let begun = clock::now();
            self.hub.handle_timeout(self.now);
            self.spent += clock::now() - begun;
        }
        if landed {
            return self.flush();
        }
        for client in self.clients.iter_mut().filter(|client| !client.gone) {
            if let client::Output::Timeout(at) = client.peer.poll_output()
                && at <= self.now
            {
                client.peer.handle_timeout(self.now);
            }
        }
    }

    fn land(&mut self, flight: Flight) {
        let Flight { up, source, destination, contents, .. } = flight;
        if up {
            if let Some(record) = &mut self.record {
                record.push((source, contents.clone()));
            }
            return self.arrive(source, &contents);
        }
        let now = self.now;
        if let Some(client) = self.clients.iter_mut().find(|client| client.address == destination && !client.gone) {
            client.peer.handle_datagram(now, &Datagram { transport: Transport::Udp, source, destination, contents: &contents });
        }
    }

    /// Takes everything out of the hub and the clients.
    pub fn flush(&mut self) {
        loop {
            match self.hub.poll_output() {
                Output::Transmit(Transmit { source, destination, contents, .. }) => {
                    self.sent.push((destination, contents[0]));
                    self.longest = self.longest.max(contents.len());
                    if (128..192).contains(&contents[0]) {
                        *self.payloads.entry(contents[1] & 127).or_default() += 1;
                    }
                    let weather = self.clients.iter().find(|client| client.address == destination).map(|client| client.weather);
                    self.fly(weather.unwrap_or_default(), false, source, destination, contents);
                }
                Output::Route(_) => {}
                Output::Timeout(at) => {
                    self.deadline = at;
                    break;
                }
            }
        }
        for index in 0..self.clients.len() {
            while let Some(transmit) = self.clients[index].take() {
                let weather = self.clients[index].weather;
                self.fly(weather, true, self.clients[index].address, transmit.destination, transmit.contents);
            }
        }
    }

    fn fly(&mut self, weather: Weather, up: bool, source: SocketAddr, destination: SocketAddr, contents: Vec<u8>) {
        if weather.blackout || contents.len() > weather.mtu || self.rng.random_bool(weather.loss) {
            return;
        }
        let copies = 1 + usize::from(self.rng.random_bool(weather.duplicate));
        for _ in 0..copies {
            let jitter = if weather.jitter_ms > 0 { self.rng.random_range(0..weather.jitter_ms * 1_000) } else { 0 };
            let at = self.now + Duration::from_millis(weather.delay_ms) + Duration::from_micros(jitter);
            self.flown += 1;
            let (at, number) = (Reverse(at), Reverse(self.flown));
            self.flights.push(Flight { at, number, up, source, destination, contents: contents.clone() });
        }
    }

    /// The composite's picture `n` of 30 per second goes to all feeds.
    pub fn compose(&mut self, rendition: RenditionId, codec: VideoCodec, n: u64, keyframe: bool) {
        let picture = VideoOut {
            codec,
            data: picture(codec, n, keyframe, 640, 360, 2_500),
            keyframe,
            layer: 0,
            rtp_time: n * 3_000,
            wallclock: self.now,
        };
        self.command(Command::Video { rendition, picture: Arc::new(picture) });
    }

    /// Packet `n` of the mix goes to these clients.
    pub fn mix(&mut self, codec: AudioCodec, n: u64, listeners: &[usize]) {
        let listeners: Arc<[ParticipantId]> = listeners.iter().map(|index| self.clients[*index].participant).collect();
        let rtp_time = n * u64::from(codec.clock_rate()) / 50;
        let packet = AudioOut { codec, data: vec![n as u8; 80].into(), rtp_time, wallclock: self.now };
        self.command(Command::Audio { listeners, packet: Arc::new(packet) });
    }

    pub fn feed(&mut self, index: usize, rendition: Option<RenditionId>) {
        let participant = self.clients[index].participant;
        self.command(Command::Feed { participant, rendition });
    }

    /// As [`World::run`], while the client speaks: a packet every 20 ms.
    pub fn talk(&mut self, index: usize, ms: u64) {
        for _ in 0..ms / 20 {
            let rtp_time = u64::try_from(self.elapsed().as_millis()).unwrap() * 48;
            self.say(index, 60, -30, rtp_time);
            self.run(20);
        }
    }

    /// The client sends one packet of sound.
    pub fn say(&mut self, index: usize, length: usize, level_dbov: i8, rtp_time: u64) {
        let packet = client::Packet { source: Source::Microphone, data: vec![1; length].into(), rtp_time, level_dbov: Some(level_dbov) };
        self.clients[index].peer.send_audio(self.now, &packet).unwrap();
    }

    /// The client sends camera picture `n`.
    pub fn shoot(&mut self, index: usize, n: u64, keyframe: bool) {
        let now = self.now;
        let client = &mut self.clients[index].peer;
        let Some(codec) = client.video_codec() else { panic!("no camera was negotiated") };
        let data = picture(codec, n, keyframe, 640, 360, 3_000);
        let picture = client::Picture { source: Source::Camera, rid: None, data, rtp_time: n * 3_000, orientation: Orientation::default() };
        client.send_video(now, &picture).unwrap();
    }
}

impl Client {
    fn take(&mut self) -> Option<Transmit> {
        loop {
            match self.peer.poll_output() {
                client::Output::Transmit(transmit) if !self.gone => return Some(transmit),
                client::Output::Transmit(_) => {}
                client::Output::Event(event) => self.events.push(event),
                client::Output::Timeout(_) => return None,
            }
        }
    }

    pub fn videos(&self) -> Vec<&client::Received<VideoCodec>> {
        self.events.iter().filter_map(|event| if let client::Event::Video(video) = event { Some(video) } else { None }).collect()
    }

    pub fn audios(&self) -> Vec<&client::Received<AudioCodec>> {
        self.events.iter().filter_map(|event| if let client::Event::Audio(audio) = event { Some(audio) } else { None }).collect()
    }

    pub fn keyframe_requests(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, client::Event::KeyframeRequested { .. })).count()
    }

    pub fn messages(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| if let client::Event::Message(text) = event { Some(text.as_str()) } else { None }).collect()
    }
}

/// A coded picture whose headers are right and whose content is its number.
pub fn picture(codec: VideoCodec, n: u64, keyframe: bool, width: u16, height: u16, size: usize) -> Arc<[u8]> {
    let mut data = match (codec, keyframe) {
        (VideoCodec::H264, true) => h264_key(u32::from(width), u32::from(height)),
        (VideoCodec::H264, false) => vec![0, 0, 0, 1, 0x41, 0x9a],
        (VideoCodec::Vp8, true) => {
            let [w, h] = [width.to_le_bytes(), height.to_le_bytes()];
            // A first partition of 16 bytes that says: no segments, one token partition.
            let mut key = vec![0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, w[0], w[1], h[0], h[1]];
            key.extend([0; 16]);
            key
        }
        (VideoCodec::Vp8, false) => vec![0x11, 0x02, 0x00],
    };
    data.resize(data.len() + size, 0x80);
    data.extend_from_slice(&n.to_be_bytes().map(|byte| byte | 0x80));
    data.into()
}

/// The number of a picture made by [`picture`], modulo 128.
pub fn number(data: &[u8]) -> u64 {
    u64::from(data[data.len() - 1] & 0x7f)
}

/// SPS (constrained baseline, level 3.1), PPS and the beginning of an IDR slice.
fn h264_key(width: u32, height: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    for value in [0, 0, 2, 1] {
        // seq_parameter_set_id, log2_max_frame_num - 4, pic_order_cnt_type, max_num_ref_frames
        bits.golomb(value);
    }
    bits.bit(0);
    bits.golomb(width.div_ceil(16) - 1);
    bits.golomb(height.div_ceil(16) - 1);
    bits.bit(1);
    bits.bit(1);
    let crop = height.div_ceil(16) * 16 - height;
    bits.bit(u32::from(crop > 0));
    if crop > 0 {
        for value in [0, 0, 0, crop / 2] {
            bits.golomb(value);
        }
    }
    bits.bit(0);
    bits.bit(1);
    let mut data = vec![0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f];
    data.extend(bits.bytes());
    data.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65, 0xb8]);
    data
}

#[derive(Default)]
struct Bits(Vec<u32>);

impl Bits {
    fn bit(&mut self, bit: u32) {
        self.0.push(bit);
    }

    fn golomb(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.0.extend(std::iter::repeat_n(0, length as usize));
        self.0.extend((0..=length).rev().map(|at| (value + 1) >> at & 1));
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.chunks(8).map(|chunk| chunk.iter().enumerate().fold(0, |byte, (at, bit)| byte | (*bit as u8) << (7 - at))).collect()
    }
}
