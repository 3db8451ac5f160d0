//! The network side of running rooms.
//!
//! * [`Hub`] — without I/O: owns peers, finds the peer of a datagram, fans coded media out, keeps feeds.
//! * the socket driver — a short tokio loop around a hub: one UDP port, ICE-TCP on the same port number.
//!
//! All peers of one room live in one hub, so that a coded picture crosses to the network once.

mod addresses;
mod bucket;
mod driver;
pub mod hub;
mod route;
mod slot;
mod table;
mod tcp;
mod threads;
mod udp;

use crate::ids::{ParticipantId, RenditionId, TrackId};
use crate::media::{AudioOut, VideoOut};
use crate::peer::OfferError;
use crate::peer::types::{Answer, CloseReason, Event, Stats};
use crate::pipeline::{Inlet, Outlet};
use std::ops::Range;
use std::sync::Arc;

pub use bucket::{Limits, Rate};
pub use driver::{Config, PORTS, Running, start};
pub use hub::Hub;
pub(crate) use {addresses::Listen, udp::Outbox, udp::Sockets};

/// Called once with the result. Runs on the hub's task: must not block.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// Receives what happens to peers (never their media). Must not block.
pub trait Observer: Send + Sync {
    /// False: it was lost.
    fn event(&self, participant: ParticipantId, event: Event) -> bool;
}

/// Who gets a data-channel message.
#[derive(Debug, Clone)]
pub enum Recipients {
    One(ParticipantId),
    Many(Arc<[ParticipantId]>),
}

/// What a hub is told.
pub enum Command {
    Open {
        participant: ParticipantId,
        peer: Box<crate::peer::Peer>,
        inlet: Box<dyn Inlet>,
        observer: Arc<dyn Observer>,
    },
    Close {
        participant: ParticipantId,
        reason: CloseReason,
    },
    /// The rendition that this subscriber shall receive; it changes over at that rendition's next keyframe.
    Feed {
        participant: ParticipantId,
        rendition: Option<RenditionId>,
    },
    /// The subscriber may not see any more what flows: where another rendition is waited for, nothing flows until it comes.
    Cut(ParticipantId),
    /// Of its rendition the subscriber shall receive every second picture alone, where that has such layers.
    Halve {
        participant: ParticipantId,
        halved: bool,
    },
    /// What the connection is to send at least and shall find out that it carries, in bits per second.
    Aim {
        participant: ParticipantId,
        bitrate_bps: Range<u32>,
    },
    Video {
        rendition: RenditionId,
        picture: Arc<VideoOut>,
    },
    Audio {
        listeners: Arc<[ParticipantId]>,
        packet: Arc<AudioOut>,
    },
    /// Ask the sender of `track` for a keyframe of the layer in use.
    RequestKeyframe(TrackId),
    /// How large the track's largest tile is (pixels of height, 0: nowhere seen): chooses the simulcast layer.
    Want {
        track: TrackId,
        height: u32,
    },
    Message {
        to: Recipients,
        text: Arc<str>,
    },
    Offer {
        participant: ParticipantId,
        sdp: String,
        reply: Reply<Result<Answer, SessionError>>,
    },
    /// A trickle fragment (RFC 8840). `Ok(Some)`: it was an ICE restart, and this is the answer's fragment.
    Trickle {
        participant: ParticipantId,
        fragment: String,
        reply: Reply<Result<Option<Answer>, SessionError>>,
    },
    Stats {
        participant: ParticipantId,
        reply: Reply<Option<Stats>>,
    },
}

/// Why a request about a running session was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("no such session")]
    Gone,
    /// The text cannot be read. 400.
    #[error("{0}")]
    Malformed(String),
    /// Readable, but not acceptable. 422.
    #[error("{0}")]
    Unprocessable(String),
}

impl From<OfferError> for SessionError {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::Malformed(detail) => Self::Malformed(detail),
            OfferError::Unprocessable(detail) => Self::Unprocessable(detail),
        }
    }
}

/// The way to a hub: cheap to clone, never blocks. A full hub refuses.
#[derive(Clone)]
pub struct Handle {
    commands: tokio::sync::mpsc::Sender<Command>,
}

impl Handle {
    pub fn new(commands: tokio::sync::mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    /// `Err` gives the command back: the hub is full or gone. Media are then dropped and counted; requests are answered with 503.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.commands.try_send(command).map_err(|error| error.into_inner())
    }

    fn send_or_count(&self, command: Command, reason: &'static str) -> bool {
        let sent = self.send(command).is_ok();
        if !sent {
            metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
        }
        sent
    }
}

impl Outlet for Handle {
    fn video(&self, rendition: RenditionId, picture: Arc<VideoOut>) -> bool {
        self.send_or_count(Command::Video { rendition, picture }, "hub_full_video")
    }

    fn audio(&self, listeners: &Arc<[ParticipantId]>, packet: Arc<AudioOut>) {
        self.send_or_count(Command::Audio { listeners: Arc::clone(listeners), packet }, "hub_full_audio");
    }

    fn request_keyframe(&self, track: TrackId) {
        self.send_or_count(Command::RequestKeyframe(track), "hub_full_keyframe");
    }
}
