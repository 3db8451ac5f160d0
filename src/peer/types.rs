//! What goes into a peer and what comes out of it.

use crate::ids::{RenditionId, Source};
use crate::media::{AudioIn, VideoIn};
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    /// ICE-TCP, RFC 6544 passive, RFC 4571 framing (done by the socket side).
    Tcp,
}

/// A packet from the network.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    pub transport: Transport,
    pub source: SocketAddr,
    /// The local candidate's base address it arrived on, as advertised.
    pub destination: SocketAddr,
    pub contents: &'a [u8],
}

/// A packet to the network.
#[derive(Debug, Clone)]
pub struct Transmit {
    pub transport: Transport,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

/// What the session is for: decides which m-lines an offer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sends and receives.
    Participant,
    /// WHIP, RFC 9725: sends only.
    Publisher,
    /// WHEP: receives only.
    Viewer,
    /// Has no connection: a file, a stream or a picture that the server itself shows.
    Ingress,
    /// Has no connection and no tile: a sound that everybody hears.
    Announcement,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub ice_lite: bool,
    /// Local host candidates: (transport, advertised address, base address of the socket).
    pub candidates: Vec<(Transport, SocketAddr, SocketAddr)>,
    /// In order of preference. Nothing else is ever offered or answered.
    pub video_codecs: Vec<VideoCodec>,
    pub audio_codecs: Vec<AudioCodec>,
    pub limits: mixdown_codecs::gate::Limits,
    /// From the answer until ICE and DTLS are up.
    pub connect_deadline: Duration,
    /// Bandwidth that a new connection is assumed to have, and the most that is ever sent.
    pub initial_bitrate_bps: u32,
    pub max_bitrate_bps: u32,
}

/// Answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub sdp: String,
    /// ETag of the ICE session (RFC 9725 §4.3.3), quoted: changes with every ICE restart.
    pub etag: String,
}

/// Which tracks the remote side sends and can receive now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Negotiated {
    /// Sent to us.
    pub sends: Vec<(Source, Codec)>,
    /// What the composite is sent as; `None`: cannot receive video.
    pub video_down: Option<VideoCodec>,
    /// What the mix is sent as; `None`: cannot receive audio.
    pub audio_down: Option<AudioCodec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Video(VideoCodec),
    Audio(AudioCodec),
    /// Whole pictures, of an ingress.
    Raw,
}

/// Why a connection ended or never began. The text is for the participant's state, the event and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    #[error("left")]
    Left,
    #[error("removed by an operator")]
    Removed,
    #[error("not admitted to the room")]
    Denied,
    #[error("sent to another room")]
    Transferred,
    #[error("the other side closed the connection")]
    ClosedByPeer,
    #[error(
        "no ICE check arrived within the connect deadline: the client cannot reach the advertised addresses, or its answer was never applied"
    )]
    IceNoChecks,
    #[error("ICE checks arrived but no pair was nominated within the connect deadline")]
    IceFailed,
    #[error("ICE is up but the DTLS handshake did not finish within the connect deadline")]
    DtlsTimeout,
    #[error("the DTLS handshake failed; a client that presents an RSA certificate must use ECDSA P-256 instead")]
    DtlsFailed,
    #[error("the client's certificate does not match the fingerprint in its offer")]
    FingerprintMismatch,
    #[error("consent to send was lost: nothing came back for 30 s")]
    ConsentLost,
    #[error("the server is shutting down")]
    Shutdown,
    #[error("an internal error ended this connection")]
    InternalError,
    #[error("replaced by a newer connection of the same identity")]
    DuplicateIdentity,
    #[error("the session is over its limits")]
    LimitExceeded,
    #[error("what was played has come to its end")]
    Finished,
    #[error("what was played broke off, or could not be played")]
    PlaybackFailed,
}

impl CloseReason {
    /// A client that joined again by itself would only undo what was decided.
    pub fn is_for_good(self) -> bool {
        matches!(self, Self::Removed | Self::Denied | Self::Transferred | Self::DuplicateIdentity)
    }
}

#[derive(Debug)]
pub enum Output {
    /// Nothing more to do before this instant.
    Timeout(Instant),
    Transmit(Transmit),
    Event(Event),
}

#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are up. The time since the answer is the set-up time.
    Connected,
    /// The connection went silent or came back (ICE disconnected / connected).
    Reachable(bool),
    Negotiated(Negotiated),
    Video(VideoIn),
    Audio(AudioIn),
    /// The data channel `mixdown` is open.
    ChannelOpen,
    /// One text message of the data channel, at most 16 KiB.
    Message(String),
    /// The receiver asks for a keyframe of its composite (PLI or FIR): it has lost something.
    KeyframeRequested,
    /// The subscriber's feed waits for a keyframe of its rendition.
    KeyframeNeeded,
    /// The subscriber's feed has changed over: this rendition flows from now on.
    Flows(RenditionId),
    /// Send-side bandwidth estimate in bits per second.
    Estimate(u32),
    /// Pictures wait for the link, which takes this many bits per second.
    Congested(u32),
    /// Share of sent packets that the receiver reports lost, 0–1, and round-trip time, where known; and what pictures took in the second before, unless a
    /// keyframe was among them.
    Report {
        loss: f32,
        rtt: Option<Duration>,
        pictures_bps: Option<u32>,
    },
    /// The last output of this peer.
    Closed(CloseReason),
}

/// Figures of a connection for the API and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Stats {
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub received_packets: u64,
    pub sent_packets: u64,
    /// Share lost on the way to the client, 0–1.
    pub loss_down: f32,
    /// Share lost on the way to the server, 0–1.
    pub loss_up: f32,
    pub rtt_ms: Option<f32>,
    pub estimate_bps: Option<u32>,
    pub send_bitrate_bps: u32,
    pub receive_bitrate_bps: u32,
}
