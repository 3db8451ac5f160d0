//! Ways in: a file, a stream or a picture that the server itself plays into a room.
//!
//! An installed ffmpeg fetches and decodes; what it writes (whole pictures and samples, [`matroska`]) goes straight into the track's slot and the
//! room's mix, each at its time ([`queue`]). Nothing is encoded on the way, and nothing waits: the child is read by a thread of its own, a
//! little ahead, and a child that stops is waited for by nobody. Where nobody sees or hears it, and while it pauses, there is no child at all;
//! a seek is a new child ([`transport`] says where it stands).
//!
//! Requests leave for addresses that [`crate::address`] lets pass: HTTP through [`relay`], RTSP by the address that was checked. Leaves out: what
//! ffmpeg is told inside of an RTSP session.
//!
//! Flow: `ffmpeg → Reader (thread) → Queue → Track, mix`, one task per ingress ([`driver`]).

pub mod arguments;
mod child;
pub mod driver;
pub mod matroska;
pub mod outlets;
pub mod queue;
pub mod relay;
pub mod source;
pub mod transport;

pub use source::{Media, Refused, Target};
pub use transport::Transport;

use crate::ids::IngressId;
use mixdown_codecs::Size;
use std::path::PathBuf;
use std::time::Duration;

/// How media are played, and what may be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, by name or path.
    pub ffmpeg: String,
    /// Where files come from; `None`: nowhere.
    pub folder: Option<PathBuf>,
    /// Whether URLs may be played, and also from this machine and its network.
    pub urls: bool,
    pub private: bool,
    /// Pictures are scaled down to this, and left out beyond this rate.
    pub size: Size,
    pub fps: u32,
    /// The largest picture that is decoded.
    pub max_pixels: u32,
    /// Of each child.
    pub threads: u32,
    pub memory_bytes: u64,
    /// A child that says nothing for so long hangs.
    pub stall: Duration,
    /// How long a stream that failed is tried again.
    pub retry: Duration,
    pub max_per_room: usize,
    pub max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ffmpeg: "ffmpeg".into(),
            folder: None,
            urls: true,
            private: false,
            size: Size::new(1280, 720),
            fps: 30,
            max_pixels: 4096 * 2304,
            threads: 2,
            memory_bytes: 2 << 30,
            stall: Duration::from_secs(10),
            retry: Duration::from_secs(120),
            max_per_room: 8,
            max: 32,
        }
    }
}

/// What an ingress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Play,
    Pause,
    Seek(Duration),
    Loop(bool),
    /// Whether somebody sees or hears it.
    Wanted(bool),
}

/// What it does. `starting`: nothing has come yet; `reconnecting`: it broke off and is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IngressState)]
pub enum State {
    /// Nothing has come yet, or what was due has not.
    Starting,
    Playing,
    Paused,
    /// It broke off, and is tried again.
    Reconnecting,
    /// Has come to its end, or was stopped.
    Complete,
    Failed,
}

impl State {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }
}

/// What it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What is in it.
    Opened {
        picture: Option<Size>,
        sound: bool,
    },
    Changed {
        state: State,
        transport: Transport,
        reason: Option<String>,
    },
    /// The last that it tells.
    Ended {
        state: State,
        transport: Transport,
        reason: String,
    },
}

/// Receives what it tells. Never blocks.
pub trait Report: Send + Sync {
    fn event(&self, ingress: IngressId, event: Event);
}
