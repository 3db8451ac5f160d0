//! In front of several hubs: which of them a datagram is for. Learns only what hubs say about themselves.

use super::hub::Route;
use crate::peer::stun::{self, Class};
use crate::peer::types::Transport;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Sources that are remembered: far more than peers fit into one process.
const MAX_SOURCES: usize = 65_536;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Hub(usize),
    /// Nobody knows: only the hub that asked can tell whether this is an answer to it.
    All,
    Nobody,
}

#[derive(Debug, Default)]
pub struct Router {
    ufrags: HashMap<String, usize>,
    sources: HashMap<(Transport, SocketAddr), usize>,
}

impl Router {
    /// A hub says what is its own.
    pub fn learn(&mut self, hub: usize, route: Route) {
        match route {
            Route::Ufrag(ufrag) => drop(self.ufrags.insert(ufrag, hub)),
            Route::UfragGone(ufrag) => drop(self.ufrags.remove(&ufrag)),
            Route::Source(transport, source) => {
                if self.sources.len() < MAX_SOURCES {
                    self.sources.insert((transport, source), hub);
                }
            }
            // The source may be another hub's by now.
            Route::SourceGone(transport, source) => {
                if self.sources.get(&(transport, source)) == Some(&hub) {
                    self.sources.remove(&(transport, source));
                }
            }
        }
    }

    pub fn find(&self, transport: Transport, source: SocketAddr, contents: &[u8]) -> Target {
        let known = || self.sources.get(&(transport, source)).copied();
        match stun::kind(contents) {
            Some(stun::Kind::Stun) => match stun::parse(contents) {
                Some(message) if message.class == Class::Request => {
                    message.receiver_ufrag().and_then(|ufrag| self.ufrags.get(ufrag)).map_or(Target::Nobody, |hub| Target::Hub(*hub))
                }
                Some(_) => known().map_or(Target::All, Target::Hub),
                None => Target::Nobody,
            },
            Some(_) => known().map_or(Target::Nobody, Target::Hub),
            None => Target::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_find_the_hub_that_proved_their_source_and_strangers_find_none() {
        let source = "192.0.2.1:1000".parse().unwrap();
        let (udp, media) = (Transport::Udp, [128; 40]);
        let mut router = Router::default();
        assert_eq!(router.find(udp, source, &media), Target::Nobody);
        router.learn(1, Route::Source(udp, source));
        assert_eq!(router.find(udp, source, &media), Target::Hub(1));
        assert_eq!(router.find(Transport::Tcp, source, &media), Target::Nobody);
        router.learn(2, Route::Source(udp, source));
        router.learn(1, Route::SourceGone(udp, source));
        assert_eq!(router.find(udp, source, &media), Target::Hub(2));
        router.learn(2, Route::SourceGone(udp, source));
        assert_eq!(router.find(udp, source, &media), Target::Nobody);
    }
}
