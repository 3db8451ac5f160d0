//! Which peer a datagram is for. Entries come into being by authenticated STUN alone.
//!
//! Three ways in: a check by the ufrag that it carries, an answer by the transaction that it answers,
//! everything else by its source. No way scans the peers.

use crate::peer::stun::{self, Class, Transaction};
use crate::peer::types::Transport;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Index of a peer's slot in its hub.
pub type Key = u32;

/// Sources of one peer that are known at a time.
const MAX_SOURCES: usize = 16;
/// A source that authenticated itself within this time is not given to another peer.
const HELD: Duration = Duration::from_secs(5);
/// Checks that wait for their answer, of all peers.
const MAX_TRANSACTIONS: usize = 16_384;
const TRANSACTION_LIFE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    proved: Instant,
}

/// What a peer's proof of a source came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The source is new to the peer; its oldest one made room where it had too many.
    New {
        evicted: Option<(Transport, SocketAddr)>,
    },
    Known,
    /// Another peer's, who was heard from there just now.
    Held,
}

#[derive(Debug, Default)]
pub struct Table {
    sources: HashMap<(Transport, SocketAddr), Entry>,
    ufrags: HashMap<String, Key>,
    transactions: HashMap<Transaction, Key>,
    /// In order of time, to forget them.
    sent: VecDeque<(Instant, Transaction)>,
}

impl Table {
    /// The peer of a datagram, if its kind and origin name one.
    pub fn find(&self, transport: Transport, source: SocketAddr, contents: &[u8]) -> Option<Key> {
        if stun::kind(contents) != Some(stun::Kind::Stun) {
            return self.of_source(transport, source);
        }
        let message = stun::parse(contents)?;
        match message.class {
            Class::Request => self.ufrags.get(message.receiver_ufrag()?).copied(),
            Class::Success | Class::Error => self.transactions.get(&message.transaction).copied(),
        }
    }

    pub fn of_source(&self, transport: Transport, source: SocketAddr) -> Option<Key> {
        self.sources.get(&(transport, source)).map(|entry| entry.key)
    }

    /// A peer has proved that `source` is its own.
    pub fn prove(&mut self, key: Key, transport: Transport, source: SocketAddr, now: Instant) -> Proof {
        let entry = self.sources.entry((transport, source)).or_insert(Entry { key, proved: now });
        if entry.key == key {
            let new = entry.proved == now;
            entry.proved = now;
            return if new { Proof::New { evicted: self.evict(key) } } else { Proof::Known };
        }
        if now < entry.proved + HELD {
            return Proof::Held;
        }
        *entry = Entry { key, proved: now };
        Proof::New { evicted: self.evict(key) }
    }

    /// Keeps the number of a peer's sources below the limit; rare, so it may look at all.
    fn evict(&mut self, key: Key) -> Option<(Transport, SocketAddr)> {
        let own = self.sources.iter().filter(|(_, entry)| entry.key == key);
        if own.clone().count() <= MAX_SOURCES {
            return None;
        }
        let oldest = own.min_by_key(|(_, entry)| entry.proved).map(|(source, _)| *source)?;
        self.sources.remove(&oldest);
        Some(oldest)
    }

    /// Our check has left: its answer is for `key`.
    pub fn checking(&mut self, key: Key, contents: &[u8], now: Instant) {
        let Some(message) = stun::parse(contents).filter(|message| message.class == Class::Request) else { return };
        while let Some((sent, oldest)) = self.sent.front().copied() {
            if self.sent.len() < MAX_TRANSACTIONS && now < sent + TRANSACTION_LIFE {
                break;
            }
            self.sent.pop_front();
            self.transactions.remove(&oldest);
        }
        self.transactions.insert(message.transaction, key);
        self.sent.push_back((now, message.transaction));
    }

    pub fn set_ufrag(&mut self, key: Key, before: &str, ufrag: &str) {
        self.ufrags.remove(before);
        self.ufrags.insert(ufrag.to_owned(), key);
    }

    /// The peer is gone: `gone` is told its sources.
    pub fn forget(&mut self, key: Key, ufrag: &str, mut gone: impl FnMut(Transport, SocketAddr)) {
        self.ufrags.remove(ufrag);
        self.sources.retain(|(transport, source), entry| {
            if entry.key == key {
                gone(*transport, *source);
            }
            entry.key != key
        });
        self.transactions.retain(|_, owner| *owner != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_wanders_keeps_its_newest_sources_and_the_router_hears_of_the_others() {
        let start = crate::runtime::clock::now();
        let mut table = Table::default();
        let source = |n: u64| SocketAddr::from(([192, 0, 2, 1], 1_000 + n as u16));
        for n in 0..100 {
            let now = start + Duration::from_millis(n);
            let evicted = n.checked_sub(MAX_SOURCES as u64).map(|old| (Transport::Udp, source(old)));
            assert_eq!(table.prove(1, Transport::Udp, source(n), now), Proof::New { evicted });
            assert_eq!(table.prove(1, Transport::Udp, source(n), now + Duration::from_micros(1)), Proof::Known);
        }
        assert_eq!(table.sources.len(), MAX_SOURCES);
        assert_eq!(table.of_source(Transport::Udp, source(99)), Some(1));
        assert_eq!(table.of_source(Transport::Udp, source(0)), None);
        let mut gone = 0;
        table.forget(1, "", |_, _| gone += 1);
        assert_eq!((gone, table.sources.len()), (MAX_SOURCES, 0));
    }

    #[test]
    fn a_source_is_not_taken_from_a_peer_that_was_heard_from_it_just_now() {
        let start = crate::runtime::clock::now();
        let mut table = Table::default();
        let source = "192.0.2.1:1000".parse().unwrap();
        assert_eq!(table.prove(1, Transport::Udp, source, start), Proof::New { evicted: None });
        assert_eq!(table.prove(2, Transport::Udp, source, start + Duration::from_secs(4)), Proof::Held);
        assert_eq!(table.prove(2, Transport::Udp, source, start + HELD), Proof::New { evicted: None });
        assert_eq!(table.of_source(Transport::Udp, source), Some(2));
    }
}
