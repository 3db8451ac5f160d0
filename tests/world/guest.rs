//! A guest of the virtual world: a real peer connection, real codecs, machine-readable content, and
//! a record of everything that it saw and heard.

use crate::content::{self, Code};
use crate::network::Channel;
use mixdown::client::{Camera, Config, Event, Output, Packet, Peer, Picture};
use mixdown::ids::{ParticipantId, Source};
use mixdown::media::Orientation;
use mixdown::peer::types::{Datagram, Transport};
use mixdown_codecs::{
    AudioCodec, AudioDecoder, AudioEncoder, DecodeError, EncoderConfig, FramePool, I420Frame, Intra, Size, VideoCodec, VideoDecoder,
    VideoEncoder, audio, gate, video,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a guest is and sends.
#[derive(Debug, Clone)]
pub struct Profile {
    pub person: u8,
    pub codec: VideoCodec,
    pub audio: AudioCodec,
    pub camera: bool,
    pub microphone: bool,
    pub watches: bool,
    pub size: Size,
    pub fps: u32,
    pub simulcast: bool,
    /// With noise below the code, which takes all the bits that there are.
    pub busy: bool,
    /// Sings its tone from here on (ms of the guest's life) …
    pub sings_from: u64,
    /// … to here.
    pub sings_to: u64,
    /// And that for the first 100 ms of each second alone.
    pub beeps: bool,
    /// Between a picture and its departure.
    pub coding: Duration,
    /// First RTP time of both tracks: near a wrap-around by default.
    pub rtp_start: u64,
    /// Sample clock against the world's, in parts per million.
    pub drift_ppm: f64,
    /// Decodes what arrives. Off for guests nobody asks.
    pub looks: bool,
}

impl Profile {
    pub fn new(person: u8) -> Self {
        Self {
            person,
            codec: VideoCodec::H264,
            audio: AudioCodec::Opus,
            camera: true,
            microphone: true,
            watches: true,
            size: Size::new(320, 180),
            fps: 30,
            simulcast: false,
            busy: false,
            sings_from: 0,
            sings_to: u64::MAX,
            beeps: false,
            coding: Duration::ZERO,
            rtp_start: (1 << 32) - 90_000,
            drift_ppm: 0.0,
            looks: true,
        }
    }

    pub fn vp8(person: u8) -> Self {
        Self { codec: VideoCodec::Vp8, ..Self::new(person) }
    }

    pub fn viewer(person: u8) -> Self {
        Self { camera: false, microphone: false, ..Self::new(person) }
    }
}

/// One picture as a guest saw it.
#[derive(Debug, Clone)]
pub struct Sight {
    pub at: Instant,
    pub rtp_time: u64,
    /// Whose code stood in which tile; `None` where no valid code could be read.
    pub codes: Vec<(ParticipantId, Option<Code>)>,
    pub green: bool,
    pub size: Size,
    /// Of the coded picture.
    pub digest: u64,
}

/// What arrived, decoded.
#[derive(Default)]
pub struct Record {
    pub connected: Option<Instant>,
    pub first_picture: Option<Instant>,
    pub sights: Vec<Sight>,
    /// Interleaved stereo at 48 kHz, in order of arrival, since the first packet.
    pub sound: Vec<f32>,
    pub sound_packets: Vec<(Instant, u64)>,
    pub messages: Vec<serde_json::Value>,
    pub keyframes: u32,
    /// Pictures that did not follow the one before.
    pub gaps: u32,
    pub closed: bool,
    pub last_picture: Option<I420Frame>,
}

impl Record {
    /// Forgets what was seen and heard, but for the last picture: long runs would fill the memory.
    pub fn forget(&mut self) {
        self.sights.clear();
        self.sound.clear();
        self.sound_packets.clear();
    }
}

struct Layer {
    rid: Option<&'static str>,
    encoder: Box<dyn VideoEncoder>,
    picture: I420Frame,
    force: bool,
}

pub struct Guest {
    pub profile: Profile,
    pub address: SocketAddr,
    /// Where its packets come from, as the server sees it: another address behind a NAT.
    pub public: SocketAddr,
    pub peer: Peer,
    pub id: Option<ParticipantId>,
    pub up: Channel,
    pub down: Channel,
    pub record: Record,
    /// Stops sending pictures while true: a stalled camera.
    pub stalled: bool,
    pub gone: bool,
    /// The next picture loses its second half before it is sent.
    pub cut_next: bool,
    /// Digests of the coded pictures that it sent.
    pub sent: std::collections::BTreeSet<u64>,
    /// What the pictures are sent as.
    source: Source,
    pub orientation: Orientation,
    /// When the peer wants to be called next.
    pub timeout: Instant,
    born: Instant,
    pictures: u64,
    blocks: u64,
    layers: Vec<Layer>,
    voice: Option<Box<dyn AudioEncoder>>,
    eyes: Option<(VideoCodec, Box<dyn VideoDecoder>)>,
    pool: FramePool,
    /// Shows nothing before the next keyframe.
    blind: bool,
    asked: Option<Instant>,
    ears: Option<(AudioCodec, Box<dyn AudioDecoder>)>,
    /// Tile maps by the RTP time from which they hold.
    tiles: BTreeMap<u64, Vec<(ParticipantId, [f64; 4])>>,
}

const RIDS: [(&str, u32); 3] = [("q", 4), ("h", 2), ("f", 1)];

impl Guest {
    pub fn new(profile: Profile, address: SocketAddr, now: Instant) -> Self {
        let camera = match (profile.camera, profile.simulcast) {
            (false, _) => Camera::Off,
            (true, false) => Camera::Single,
            (true, true) => Camera::Simulcast(RIDS.iter().map(|(rid, _)| (*rid).to_owned()).collect()),
        };
        let config = Config {
            candidates: vec![address],
            video_codecs: vec![profile.codec],
            audio_codecs: vec![profile.audio],
            microphone: profile.microphone,
            camera,
            receive_video: profile.watches,
            receive_audio: profile.watches,
            ..Config::default()
        };
        let rids: Vec<(Option<&'static str>, u32)> =
            if profile.simulcast { RIDS.iter().map(|(rid, part)| (Some(*rid), *part)).collect() } else { vec![(None, 1)] };
        let layer = |(rid, part): (Option<&'static str>, u32)| {
            let size = Size::new(profile.size.width / part, profile.size.height / part).even();
            Layer { rid, encoder: encoder(profile.codec, size, profile.fps), picture: content::picture(size), force: false }
        };
        Self {
            layers: if profile.camera { rids.into_iter().map(layer).collect() } else { Vec::new() },
            voice: profile.microphone.then(|| audio::encoder(profile.audio, 32_000).unwrap()),
            peer: Peer::new(config, now),
            profile,
            address,
            public: address,
            sent: Default::default(),
            source: Source::Camera,
            cut_next: false,
            id: None,
            up: Channel::default(),
            down: Channel::default(),
            record: Record::default(),
            stalled: false,
            gone: false,
            orientation: Orientation::default(),
            timeout: now,
            born: now,
            pictures: 0,
            blocks: 0,
            eyes: None,
            pool: FramePool::default(),
            blind: true,
            asked: None,
            ears: None,
            tiles: BTreeMap::new(),
        }
    }

    /// Changes the picture size in mid-stream.
    pub fn resize(&mut self, size: Size) {
        self.profile.size = size;
        for layer in &mut self.layers {
            layer.encoder = encoder(self.profile.codec, size, self.profile.fps);
            layer.picture = content::picture(size);
        }
    }

    /// Sends its pictures as this from now on.
    pub fn show(&mut self, source: Source) {
        self.source = source;
        self.layers.iter_mut().for_each(|layer| layer.force = true);
    }

    /// When this guest wants to send next.
    pub fn next_send(&self) -> Option<Instant> {
        if self.gone {
            return None;
        }
        let picture = self.profile.camera.then(|| self.picture_time(self.pictures) + self.profile.coding);
        let block = self.profile.microphone.then(|| self.block_time(self.blocks));
        picture.into_iter().chain(block).min()
    }

    /// When it began to live, and to count.
    pub fn born(&self) -> Instant {
        self.born
    }

    fn picture_time(&self, n: u64) -> Instant {
        self.born + Duration::from_nanos(n * 1_000_000_000 / u64::from(self.profile.fps))
    }

    fn block_time(&self, n: u64) -> Instant {
        self.born + Duration::from_secs_f64(n as f64 * 0.02 / (1.0 + self.profile.drift_ppm * 1e-6))
    }

    /// Sends what is due.
    pub fn send(&mut self, now: Instant) {
        while !self.gone && self.profile.camera && self.picture_time(self.pictures) + self.profile.coding <= now {
            self.send_picture(now);
            self.pictures += 1;
        }
        while !self.gone && self.profile.microphone && self.block_time(self.blocks) <= now {
            self.send_block(now);
            self.blocks += 1;
        }
    }

    /// The frame number that is due at `at`.
    pub fn frame_at(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.born).as_nanos() * u128::from(self.profile.fps) / 1_000_000_000) as u64
    }

    fn send_picture(&mut self, now: Instant) {
        if self.stalled || !self.peer.is_connected() {
            return;
        }
        let (n, taken) = (self.pictures, self.picture_time(self.pictures));
        for layer in &mut self.layers {
            content::draw(&mut layer.picture, self.profile.person, n as u16);
            if self.profile.busy {
                content::noise(&mut layer.picture, n);
            }
            let intra = if std::mem::take(&mut layer.force) { Intra::Force } else { Intra::Auto };
            let time_ms = n * 1000 / u64::from(self.profile.fps);
            let Ok(Some(coded)) = layer.encoder.encode(&layer.picture, time_ms, intra) else { continue };
            let rtp_time = self.profile.rtp_start + n * 90_000 / u64::from(self.profile.fps);
            let data = if std::mem::take(&mut self.cut_next) { coded.data[..coded.data.len() / 2].into() } else { coded.data };
            self.sent.insert(digest(&data));
            let picture = Picture { source: self.source, rid: layer.rid, data, rtp_time, orientation: self.orientation };
            let _ = self.peer.send_video_of(now, taken, &picture);
        }
    }

    fn send_block(&mut self, now: Instant) {
        let Some(voice) = &mut self.voice else { return };
        let ms = self.blocks * 20;
        let mut pcm = Vec::with_capacity(1920);
        let sings = (self.profile.sings_from..self.profile.sings_to).contains(&ms) && (!self.profile.beeps || ms % 1000 < 100);
        if sings {
            content::sing(self.profile.person, self.blocks * 960, &mut pcm);
        } else {
            pcm.resize(1920, 0.0);
        }
        let Ok(Some(data)) = voice.encode(&pcm) else { return };
        let rtp_time = self.profile.rtp_start + self.blocks * u64::from(self.profile.audio.clock_rate()) / 50;
        let level_dbov = Some(if sings { -17 } else { -127 });
        let _ = self.peer.send_audio(now, &Packet { source: Source::Microphone, data, rtp_time, level_dbov });
    }

    pub fn receive(&mut self, now: Instant, from: SocketAddr, contents: &[u8]) {
        let datagram = Datagram { transport: Transport::Udp, source: from, destination: self.address, contents };
        self.peer.handle_datagram(now, &datagram);
    }

    /// Takes what the peer has to say; packets to the network come back.
    pub fn drain(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut packets = Vec::new();
        loop {
            match self.peer.poll_output() {
                Output::Timeout(at) => {
                    self.timeout = at;
                    return packets;
                }
                Output::Transmit(transmit) => packets.push((transmit.destination, transmit.contents.to_vec())),
                Output::Event(event) => self.event(now, event),
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.record.connected = self.record.connected.or(Some(now)),
            Event::Video(unit) => self.look(now, unit.codec, &unit.data, unit.keyframe, unit.contiguous, unit.rtp_time),
            Event::Audio(packet) => self.listen(now, packet.codec, &packet.data, packet.rtp_time),
            Event::KeyframeRequested { rid, .. } => {
                for layer in self.layers.iter_mut().filter(|layer| layer.rid == rid.as_deref() || rid.is_none()) {
                    layer.force = true;
                }
            }
            Event::Message(text) => self.message(&text),
            Event::Closed => self.record.closed = true,
            Event::Reachable(_) | Event::ChannelOpen | Event::Estimate(_) => {}
        }
    }

    fn look(&mut self, now: Instant, codec: VideoCodec, data: &Arc<[u8]>, keyframe: bool, contiguous: bool, rtp_time: u64) {
        self.record.first_picture = self.record.first_picture.or(Some(now));
        self.record.keyframes += u32::from(keyframe);
        self.record.gaps += u32::from(!contiguous);
        if !self.profile.looks {
            return;
        }
        if self.eyes.as_ref().is_none_or(|(built, _)| *built != codec) {
            self.eyes = Some((codec, video::decoder(codec, gate::Limits::default()).unwrap().unwrap()));
        }
        let Some((_, eyes)) = &mut self.eyes else { return };
        self.blind = !keyframe && (self.blind || !contiguous);
        let decoded = if self.blind { Err(DecodeError::Damaged("pictures were lost")) } else { eyes.decode(data, &mut self.pool) };
        let frame = match decoded {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(_) => {
                self.blind = true;
                if self.asked.is_none_or(|asked| now >= asked + Duration::from_millis(500)) {
                    self.asked = Some(now);
                    self.peer.request_keyframe(now);
                }
                return;
            }
        };
        let tiles = self.tiles.range(..=rtp_time & 0xFFFF_FFFF).next_back().map(|(_, tiles)| tiles.clone()).unwrap_or_default();
        let size = frame.size();
        let areas: Vec<_> = tiles.iter().map(|(id, fractions)| (*id, area(size, fractions))).collect();
        let codes = areas.iter().map(|(id, area)| (*id, content::read(&frame, *area))).collect();
        let green = areas.iter().any(|(_, area)| content::is_green(&frame, *area));
        self.record.sights.push(Sight { at: now, rtp_time, codes, green, size, digest: digest(data) });
        self.record.last_picture = Some((*frame).clone());
    }

    fn listen(&mut self, now: Instant, codec: AudioCodec, data: &[u8], rtp_time: u64) {
        self.record.sound_packets.push((now, rtp_time));
        if !self.profile.looks {
            return;
        }
        if self.ears.as_ref().is_none_or(|(built, _)| *built != codec) {
            self.ears = Some((codec, audio::decoder(codec).unwrap()));
        }
        let Some((_, ears)) = &mut self.ears else { return };
        let _ = ears.decode(data, &mut self.record.sound);
    }

    fn message(&mut self, text: &str) {
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        if message["type"] == "tiles" {
            let fraction = |tile: &serde_json::Value, key: &str| tile[key].as_f64().unwrap();
            let tile = |tile: &serde_json::Value| {
                let id: ParticipantId = tile["participant"].as_str().unwrap().parse().unwrap();
                (id, ["x", "y", "width", "height"].map(|key| fraction(tile, key)))
            };
            let tiles = message["tiles"].as_array().unwrap().iter().map(tile).collect();
            self.tiles.insert(message["rtp_timestamp"].as_u64().unwrap(), tiles);
        }
        self.record.messages.push(message);
    }

    pub fn messages_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a serde_json::Value> {
        self.record.messages.iter().filter(move |message| message["type"] == kind)
    }
}

fn digest(data: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

fn encoder(codec: VideoCodec, size: Size, fps: u32) -> Box<dyn VideoEncoder> {
    let bitrate_bps = (size.pixels() as u32 * 5).max(100_000);
    video::encoder(codec, EncoderConfig { size: size.even(), fps, bitrate_bps, screen: false, layered: false }).unwrap().unwrap()
}

fn area(size: Size, [x, y, width, height]: &[f64; 4]) -> content::Area {
    let (w, h) = (f64::from(size.width), f64::from(size.height));
    ((x * w).round() as usize, (y * h).round() as usize, (width * w).round() as usize, (height * h).round() as usize)
}
