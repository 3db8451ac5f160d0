//! Ways out: a view that is sent on to other places, by HLS, RTMP, WHIP and as stills.
//!
//! An egress is a subscriber without a connection, as a recording is: it takes the coded pictures and packets that a rendition and a mix make anyway
//! and hands the same bytes to any number of outputs. Each output has an [`edge`] of its own and a task behind it, so that none waits for
//! another and nobody on the media plane waits for any. One that fails is tried again ever more slowly ([`life`]).
//!
//! Promises: an output that is slow, refused or gone costs its own pictures and nothing else; requests leave for addresses that
//! [`crate::address`] lets pass and for no others; keys and tokens are neither shown nor logged. Leaves out: what a view shows, who may send it
//! on, and who is told: `conference` and `api`.
//!
//! Flow: `Egress → Edge → (task) Mux → hls::Window` or `→ ffmpeg`, or `→ client::Session`, back by [`Report`].

pub mod board;
mod driver;
mod edge;
pub mod hls;
mod images;
pub mod life;
mod mux;
mod output;
mod rtmp;
pub mod target;
mod whip;

pub use board::Board;
pub use output::{Egress, Output, Shown, Still};
pub use target::Target;

use crate::ids::{EgressId, RoomId};
use std::time::{Duration, SystemTime};

#[derive(Debug, Clone)]
pub struct Settings {
    /// Of this server, and of one room, at the same time.
    pub most: usize,
    pub most_per_room: usize,
    /// Whether outputs may go to addresses that are not public.
    pub private_networks: bool,
    /// The program that speaks RTMP.
    pub ffmpeg: String,
    pub hls: hls::Limits,
    /// Memory for the windows of all HLS streams together.
    pub hls_bytes: u64,
    /// How long an output is tried again without success.
    pub give_up: Duration,
    /// What waits for an output at most.
    pub queue_bytes: usize,
    pub queue_span: Duration,
}

/// What a new egress is of.
#[derive(Debug, Clone)]
pub struct Start {
    /// Random.
    pub id: EgressId,
    pub room: RoomId,
    pub view: String,
    pub wall: SystemTime,
}

/// Receives what outputs tell. Never blocks.
pub trait Report: Send + Sync {
    /// The state of an output has changed.
    fn changed(&self, egress: EgressId);
}

#[cfg(test)]
mod tests;
