//! The stages as they run: bounded edges, the threads that step the stages, and the two borders of
//! the media plane, [`Inlet`] (network → stages) and [`Outlet`] (stages → network).
//!
//! Video: `Inlet::video → Queue → decode (worker pool, in per-track order) → slot of the picture that is due →
//! [tick] compose → encode per rendition → Outlet::video`.
//! Sound: `Inlet::audio → jitter buffer → [20 ms tick, own thread] decode → mix → encode → Outlet::audio`.

mod allowance;
mod cost;
pub mod decode;
pub mod forward;
pub mod inlet;
pub mod keyframes;
pub mod mix;
mod phase;
pub mod pool;
pub mod quote;
mod rendition;
mod sizes;
pub mod slot;
pub mod stall;
pub mod ticker;
pub mod video;
pub mod view;
mod workers;

use crate::ids::{CanvasId, ParticipantId, RenditionId, TrackId};
use crate::media::{AudioIn, AudioOut, Facts, VideoIn, VideoOut};
use mixdown_codecs::Size;
use mixdown_layouts::Scene;
use std::sync::Arc;

/// Where one peer's coded media enter the stages. Never blocks; what does not fit is dropped and counted.
pub trait Inlet: Send {
    fn video(&self, picture: VideoIn);
    fn audio(&self, packet: AudioIn);
}

/// Where the stages' results leave for the network. Never blocks; what does not fit is dropped and counted.
pub trait Outlet: Send + Sync {
    /// One coded picture for all feeds on `rendition`. False: it was dropped, and nothing that refers to it may follow.
    fn video(&self, rendition: RenditionId, picture: Arc<VideoOut>) -> bool;
    /// One packet for the listeners of one mix.
    fn audio(&self, listeners: &Arc<[ParticipantId]>, packet: Arc<AudioOut>);
    /// A decoder needs a keyframe from the sender.
    fn request_keyframe(&self, track: TrackId);
}

/// What the stages tell their room. Only changes, never something per picture.
#[derive(Debug, Clone)]
pub enum StageEvent {
    /// Upright size of a track's pictures from now on.
    TrackSize {
        track: TrackId,
        size: Size,
    },
    /// What a track's pictures are like, as they come.
    Facts {
        track: TrackId,
        facts: Facts,
    },
    /// A track's decoder failed too often and rests.
    TrackQuarantined {
        track: TrackId,
        reason: &'static str,
    },
    /// The picture with this RTP time (90 kHz) is the first that shows the scene.
    SceneShown {
        canvas: CanvasId,
        scene: Arc<Scene>,
        rtp_time: u64,
    },
    Mix(mix::Event),
    /// The room's mix or one of its views has ended by an internal error: the room cannot go on.
    Failed(&'static str),
}

/// Receives what the stages tell. Never blocks.
pub trait Watch: Send + Sync {
    fn event(&self, event: StageEvent);
}

#[cfg(test)]
mod tests;
