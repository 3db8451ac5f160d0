//! Where packets go of a client whose address changes under way: a NAT that forgot it, another cell, without an ICE restart.
//!
//! An ICE-lite server sends no checks; the client's say which way to use (RFC 8445 §8.1.1). Of two nominated ways of equal priority the
//! stack stays with the older one, which is dead after such a change. So once the way in use has fallen silent, a nomination that came another
//! way counts. Only authenticated checks are looked at. Pure.

use super::stun;
use super::types::{Datagram, Transport};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A way that has been silent for this long may be left.
const SILENT: Duration = Duration::from_millis(400);

#[derive(Debug, Default)]
pub struct Path {
    /// Where the stack sends to.
    stack: Option<SocketAddr>,
    /// Where that goes in truth.
    moved: Option<SocketAddr>,
    /// When something came the way that is in use.
    heard: Option<Instant>,
}

impl Path {
    /// Something of this peer's has arrived; checks are authenticated.
    pub fn heard(&mut self, datagram: &Datagram<'_>, now: Instant) {
        let Some(used) = self.moved.or(self.stack).filter(|_| datagram.transport == Transport::Udp) else { return };
        if datagram.source == used {
            self.heard = Some(now);
            return;
        }
        let silent = self.heard.is_none_or(|heard| now >= heard + SILENT);
        if silent && stun::parse(datagram.contents).is_some_and(|check| check.nominates) {
            self.moved = Some(datagram.source).filter(|source| Some(*source) != self.stack);
            self.heard = Some(now);
        }
    }

    /// Where a packet goes that the stack sends to `to`. Answers to checks go back the way that these came.
    pub fn destination(&mut self, transport: Transport, to: SocketAddr, contents: &[u8]) -> SocketAddr {
        if transport != Transport::Udp || stun::kind(contents) == Some(stun::Kind::Stun) {
            return to;
        }
        if self.stack.replace(to) != Some(to) {
            self.moved = None;
        }
        self.moved.unwrap_or(to)
    }
}
