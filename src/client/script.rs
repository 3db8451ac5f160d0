//! What a client does with its connection: pure, stepped by [`super::session`] or by a test.

use super::peer::Peer;
use super::types::Event;
use std::time::Instant;

/// Plays one client: sends on a beat, takes what arrives. Never waits and never reads a clock.
pub trait Script: Send {
    /// When [`Self::play`] wants to be called next; `None`: only events matter.
    fn next(&self) -> Option<Instant>;
    /// The time of [`Self::next`] has come.
    fn play(&mut self, now: Instant, peer: &mut Peer);
    /// Something arrived. May answer through `peer`.
    fn event(&mut self, now: Instant, event: Event, peer: &mut Peer);
    /// Everything sent so far has left the socket.
    fn flushed(&mut self, _now: Instant) {}
}

/// Sends nothing and takes everything silently.
#[derive(Debug, Default, Clone, Copy)]
pub struct Idle;

impl Script for Idle {
    fn next(&self) -> Option<Instant> {
        None
    }

    fn play(&mut self, _now: Instant, _peer: &mut Peer) {}

    fn event(&mut self, _now: Instant, _event: Event, _peer: &mut Peer) {}
}
