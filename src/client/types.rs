//! What goes into a client peer and what comes out of it.

use crate::ids::Source;
use crate::media::Orientation;
use crate::peer::types::Transmit;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// What the client offers.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses of the client's socket, offered as host candidates. May be empty: the server then
    /// learns the address from the first ICE check.
    pub candidates: Vec<SocketAddr>,
    /// In order of preference, in both directions; the first that is negotiated is sent.
    pub video_codecs: Vec<VideoCodec>,
    /// As `video_codecs`.
    pub audio_codecs: Vec<AudioCodec>,
    pub microphone: bool,
    pub camera: Camera,
    pub screen: Screen,
    pub receive_video: bool,
    pub receive_audio: bool,
    /// Opens the data channel `mixdown`.
    pub channel: bool,
    /// Bandwidth to start from. `Some` estimates the bandwidth upwards and paces what is sent; `None`
    /// sends every packet at once (load generators, tests of exact times).
    pub estimate_bps: Option<u32>,
    /// Offers redundant Opus (RFC 2198), as Chromium does, and sends it where it is taken.
    pub redundant: bool,
}

impl Default for Config {
    /// A participant with a microphone and one camera stream who sees and hears the room.
    fn default() -> Self {
        Self {
            candidates: Vec::new(),
            video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
            audio_codecs: vec![AudioCodec::Opus],
            microphone: true,
            camera: Camera::Single,
            screen: Screen::Off,
            receive_video: true,
            receive_audio: true,
            channel: true,
            estimate_bps: None,
            redundant: false,
        }
    }
}

impl Config {
    /// Receives alone, as a WHEP player does.
    pub fn viewer() -> Self {
        Self { microphone: false, camera: Camera::Off, channel: false, ..Self::default() }
    }

    /// Sends alone, as a WHIP publisher does.
    pub fn publisher() -> Self {
        Self { receive_video: false, receive_audio: false, channel: false, ..Self::default() }
    }
}

/// How the camera is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Camera {
    Off,
    Single,
    /// One stream per restriction id (RFC 8853), such as `q h f`. The composite then has an m-line of its own.
    Simulcast(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Off,
    Video,
    VideoAndAudio,
}

/// A change that needs a new offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Screen(Screen),
    /// Sends the camera or stops sending it; the m-line goes on receiving where it did.
    Camera(bool),
    Microphone(bool),
    IceRestart,
}

/// One coded picture to send.
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    /// [`Source::Camera`] or [`Source::Screen`].
    pub source: Source,
    /// The simulcast layer, where the camera has layers.
    pub rid: Option<&'a str>,
    /// H.264: one Annex B access unit. VP8: one frame.
    pub data: Arc<[u8]>,
    /// 90 kHz. The low 32 bits travel; it may start anywhere and must go up.
    pub rtp_time: u64,
    pub orientation: Orientation,
}

/// One audio packet to send.
#[derive(Debug, Clone)]
pub struct Packet {
    /// [`Source::Microphone`] or [`Source::ScreenAudio`].
    pub source: Source,
    pub data: Arc<[u8]>,
    /// At the codec's clock rate.
    pub rtp_time: u64,
    /// RFC 6464 level in dBov, −127 (silence) to 0.
    pub level_dbov: Option<i8>,
}

/// One whole coded unit of the composite or of the mix.
#[derive(Debug, Clone)]
pub struct Received<C> {
    pub codec: C,
    pub data: Arc<[u8]>,
    /// Video: decodable by itself. Audio: always false.
    pub keyframe: bool,
    /// False when units before this one were lost.
    pub contiguous: bool,
    /// RTP timestamp, unwrapped upwards from the first one.
    pub rtp_time: u64,
    /// RTP sequence number of the first packet, unwrapped.
    pub sequence: u64,
    /// RFC 6464 level in dBov, where the server says it (audio).
    pub level_dbov: Option<i8>,
    /// When the first packet arrived.
    pub first_packet: Instant,
}

#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are up.
    Connected,
    /// The connection went silent or came back.
    Reachable(bool),
    /// A picture of the composite.
    Video(Received<VideoCodec>),
    /// A packet of the mix.
    Audio(Received<AudioCodec>),
    /// The server wants a keyframe of what is sent here.
    KeyframeRequested { source: Source, rid: Option<String> },
    /// The data channel is open.
    ChannelOpen,
    /// One text message of the data channel.
    Message(String),
    /// Bandwidth estimate upwards in bits per second.
    Estimate(u32),
    /// The last event: the server ended the connection, or [`close`](super::Peer::close) is done.
    Closed,
}

#[derive(Debug)]
pub enum Output {
    /// Nothing more to do before this instant.
    Timeout(Instant),
    Transmit(Transmit),
    Event(Event),
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text cannot be read or does not fit the offer. The session goes on as before.
    #[error("{0}")]
    Sdp(String),
    /// The answer left this source or codec out, or no answer is there yet. Do not send it.
    #[error("{0:?} was not negotiated")]
    NotNegotiated(Source),
    /// The data channel is not open or its buffer is full. Send later.
    #[error("the data channel takes no message now")]
    ChannelBusy,
    /// The connection's engine refused. Close the peer when it repeats.
    #[error("{0}")]
    Engine(#[from] str0m::RtcError),
}

/// Figures since the beginning, brought up to date once a second where they come from reports.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Datagrams and their bytes, everything included.
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub received_packets: u64,
    pub received_bytes: u64,
    pub pictures: u64,
    pub keyframes: u64,
    pub audio_packets: u64,
    /// Share lost on the way here and on the way to the server in the last interval, 0–1, where known.
    pub loss_down: Option<f32>,
    pub loss_up: Option<f32>,
    pub rtt: Option<Duration>,
    pub estimate_bps: Option<u32>,
    pub nacks_sent: u64,
    pub nacks_received: u64,
    pub keyframe_requests_sent: u64,
    pub keyframe_requests_received: u64,
    /// Datagrams of strangers, and ones that could not be read.
    pub refused_datagrams: u64,
    /// Errors of the engine that it went on from.
    pub engine_errors: u64,
}
