//! All peers of some rooms, without sockets, threads or clocks.
//!
//! `handle_*` takes what arrived, then [`Hub::poll_output`] is called until it says [`Output::Timeout`].
//! Promises: a datagram reaches at most the peer that its authenticated ICE session names; what names
//! nobody is dropped, counted and never answered; a picture is cut into packets once, whose payloads all feeds of its rendition
//! share; a panic while one peer is stepped ends that peer alone.
//!
//! Flow: `Datagram → Table → Peer → Inlet | Observer`, `Command::Video → feeds → Peer → Transmit`.

use super::bucket::{Bucket, Limits, Strangers};
use super::slot::Slot;
use super::table::{Key, Proof, Table};
use super::{Command, Observer, Recipients, Reply, SessionError};
use crate::ids::{ParticipantId, RenditionId};
use crate::media::{AudioOut, VideoOut};
use crate::peer::feed::Feed;
use crate::peer::packets::Packets;
use crate::peer::types::{CloseReason, Datagram, Event, Transmit, Transport};
use crate::peer::{Handled, OfferError, Peer};
use crate::pipeline::Inlet;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Peers that want to be called are called together at the next beat: one by one the stack's many small timers would wake the hub
/// thousands of times per second. What is to be sent at once never waits for it.
const BEAT: Duration = Duration::from_millis(5);
/// Who waits for longer than `FAR` is called at every fourth.
const FAR: Duration = Duration::from_millis(80);
/// But for probes, which send a little every 2 ms and would find less than half of what a link carries if they were held up.
const PROBING: Duration = Duration::from_millis(2);

/// Longest datagram that is looked at.
pub const MAX_DATAGRAM: usize = 2_048;

#[derive(Debug)]
pub enum Output {
    /// Nothing more to do before this instant; `None`: before the next input.
    Timeout(Option<Instant>),
    Transmit(Transmit),
    /// For a router in front of several hubs.
    Route(Route),
}

/// What belongs to this hub from now on, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Ufrag(String),
    UfragGone(String),
    Source(Transport, SocketAddr),
    SourceGone(Transport, SocketAddr),
}

/// Owns peers, finds the peer of a datagram, fans coded media out, keeps feeds.
pub struct Hub {
    slots: Vec<Option<Slot>>,
    free: Vec<Key>,
    participants: HashMap<ParticipantId, Key>,
    table: Table,
    feeds: HashMap<RenditionId, Vec<Key>>,
    deadlines: BTreeSet<(Instant, Key)>,
    /// Peers that have taken datagrams at this moment, and may take more before they are settled.
    taking: Vec<Key>,
    taking_at: Option<Instant>,
    strangers: Strangers,
    limits: Limits,
    /// Beats are counted from here: the first instant that was told.
    epoch: Option<Instant>,
    transmits: VecDeque<Transmit>,
    routes: VecDeque<Route>,
}

impl Hub {
    pub fn new(limits: Limits) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            participants: HashMap::new(),
            table: Table::default(),
            feeds: HashMap::new(),
            deadlines: BTreeSet::new(),
            taking: Vec::new(),
            taking_at: None,
            strangers: Strangers::new(limits.stranger),
            limits,
            epoch: None,
            transmits: VecDeque::new(),
            routes: VecDeque::new(),
        }
    }

    /// Peers that are open.
    pub fn len(&self) -> usize {
        self.participants.len()
    }

    pub fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    /// One packet from the network. Any bytes are allowed.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) {
        if self.taking_at != Some(now) {
            self.settle();
        }
        let Datagram { transport, source, contents, .. } = *datagram;
        if contents.len() > MAX_DATAGRAM || crate::peer::stun::kind(contents).is_none() {
            return refuse("demux");
        }
        let owner = self.table.of_source(transport, source);
        if owner.is_none() && !self.strangers.take(source, now) {
            return refuse("stranger_rate");
        }
        let Some(key) = self.table.find(transport, source, contents) else { return refuse("stranger") };
        let Some(slot) = self.slots.get_mut(key as usize).and_then(Option::as_mut) else { return refuse("stranger") };
        if !slot.bucket.take(self.limits.peer, now) {
            return refuse("peer_rate");
        }
        let handled = self.step(key, now, |slot| slot.peer.take_datagram(datagram, now));
        if !matches!(handled, Some(Handled::Refused(_))) {
            self.taking_at = Some(now);
            if self.taking.last() != Some(&key) {
                self.taking.push(key);
            }
        }
        match handled {
            Some(Handled::Authenticated) => {
                if self.slot(key).is_some()
                    && let Proof::New { evicted } = self.table.prove(key, transport, source, now)
                {
                    self.routes.push_back(Route::Source(transport, source));
                    self.routes.extend(evicted.map(|(transport, source)| Route::SourceGone(transport, source)));
                }
            }
            Some(Handled::Refused(reason)) => refuse(reason),
            Some(Handled::Accepted) | None => {}
        }
    }

    /// Lets peers that have taken datagrams say what comes of them: once for all that came at one moment.
    fn settle(&mut self) {
        let Some(now) = self.taking_at.take() else { return };
        let mut peers = std::mem::take(&mut self.taking);
        peers.sort_unstable();
        peers.dedup();
        for key in peers.drain(..) {
            self.step(key, now, |slot| slot.peer.settle(now));
        }
        self.taking = peers;
    }

    /// Time has come, at or after what [`Output::Timeout`] said.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle();
        // A peer that is due again at once waits for the next call.
        let mut budget = self.deadlines.len();
        while let Some((at, key)) = self.deadlines.first().copied() {
            if at > now || budget == 0 {
                return;
            }
            budget -= 1;
            self.deadlines.pop_first();
            if let Some(slot) = self.slot(key) {
                slot.deadline = None;
            }
            self.step(key, now, |slot| slot.peer.handle_timeout(now));
        }
    }

    pub fn handle_command(&mut self, now: Instant, command: Command) {
        self.settle();
        match command {
            Command::Open { participant, peer, inlet, observer } => self.open(now, participant, peer, inlet, observer),
            Command::Close { participant, reason } => {
                self.with(participant, now, |slot| slot.peer.close(reason, now));
            }
            Command::Feed { participant, rendition } => self.feed(now, participant, rendition),
            Command::Cut(participant) => self.cut(participant),
            Command::Halve { participant, halved } => {
                self.with(participant, now, |slot| slot.feed.halve(halved));
            }
            Command::Aim { participant, bitrate_bps } => {
                self.with(participant, now, |slot| slot.peer.aim(bitrate_bps, now));
            }
            Command::Video { rendition, picture } => self.video(now, rendition, &picture),
            Command::Audio { listeners, packet } => self.audio(now, &listeners, &packet),
            Command::RequestKeyframe(track) => {
                self.with(track.participant, now, |slot| slot.peer.request_keyframe(track.source, now));
            }
            Command::Want { track, height } => {
                self.with(track.participant, now, |slot| slot.peer.want(track.source, height, now));
            }
            Command::Message { to: Recipients::One(participant), text } => self.message(now, participant, &text),
            Command::Message { to: Recipients::Many(participants), text } => {
                participants.iter().for_each(|participant| self.message(now, *participant, &text));
            }
            Command::Offer { participant, sdp, reply } => {
                let result = self.with(participant, now, |slot| slot.peer.offer(&sdp, now));
                self.answer(participant, result, reply);
            }
            Command::Trickle { participant, fragment, reply } => {
                let result = self.with(participant, now, |slot| slot.peer.trickle(&fragment, now));
                self.answer(participant, result, reply);
            }
            Command::Stats { participant, reply } => {
                let key = self.participants.get(&participant).copied();
                reply(key.and_then(|key| self.slot(key)).map(|slot| slot.peer.stats()));
            }
        }
    }

    pub fn poll_output(&mut self) -> Output {
        self.settle();
        if let Some(transmit) = self.transmits.pop_front() {
            return Output::Transmit(transmit);
        }
        if let Some(route) = self.routes.pop_front() {
            return Output::Route(route);
        }
        Output::Timeout(self.deadlines.first().map(|(at, _)| *at))
    }

    fn open(&mut self, now: Instant, participant: ParticipantId, peer: Box<Peer>, inlet: Box<dyn Inlet>, observer: Arc<dyn Observer>) {
        if self.participants.contains_key(&participant) {
            self.with(participant, now, |slot| slot.peer.close(CloseReason::DuplicateIdentity, now));
        }
        let ufrag = peer.ufrag().to_owned();
        let slot = Slot {
            participant,
            peer,
            inlet,
            observer,
            feed: Feed::default(),
            untold: None,
            ufrag: ufrag.clone(),
            bucket: Bucket::new(self.limits.peer, now),
            deadline: None,
            closed: false,
        };
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Key
        });
        self.slots[key as usize] = Some(slot);
        self.participants.insert(participant, key);
        self.table.set_ufrag(key, "", &ufrag);
        self.routes.push_back(Route::Ufrag(ufrag));
        metrics::gauge!("mixdown_peers").increment(1);
        self.step(key, now, |_| ());
    }

    fn feed(&mut self, now: Instant, participant: ParticipantId, rendition: Option<RenditionId>) {
        let Some(key) = self.participants.get(&participant).copied() else { return };
        let Some(slot) = self.slot(key) else { return };
        let before: Vec<_> = slot.feed.renditions().collect();
        slot.feed.want(rendition);
        let after: Vec<_> = slot.feed.renditions().collect();
        for left in before.into_iter().filter(|before| !after.contains(before)) {
            self.unlist(left, key);
        }
        if let Some(rendition) = rendition {
            let feeds = self.feeds.entry(rendition).or_default();
            if !feeds.contains(&key) {
                feeds.push(key);
            }
        }
        self.step(key, now, |slot| slot.ask(now));
    }

    fn cut(&mut self, participant: ParticipantId) {
        let Some(key) = self.participants.get(&participant).copied() else { return };
        if let Some(left) = self.slot(key).and_then(|slot| slot.feed.cut()) {
            self.unlist(left, key);
        }
    }

    fn video(&mut self, now: Instant, rendition: RenditionId, picture: &VideoOut) {
        if !self.feeds.contains_key(&rendition) {
            return;
        }
        let packets = Packets::of(picture);
        let mut at = 0;
        // By index: a step may change the list, and the list must not be copied for it.
        while let Some(key) = self.feeds.get(&rendition).and_then(|feeds| feeds.get(at)).copied() {
            if let Some(Some(left)) = self.step(key, now, |slot| slot.picture(rendition, picture, &packets, now)) {
                self.unlist(left, key);
            }
            let still_there = self.feeds.get(&rendition).and_then(|feeds| feeds.get(at)) == Some(&key);
            at += usize::from(still_there);
        }
    }

    fn audio(&mut self, now: Instant, listeners: &[ParticipantId], packet: &AudioOut) {
        for listener in listeners {
            self.with(*listener, now, |slot| slot.peer.send_audio(packet, now));
        }
    }

    fn message(&mut self, now: Instant, participant: ParticipantId, text: &str) {
        if self.with(participant, now, |slot| slot.peer.send_message(text, now)) == Some(false) {
            refuse("message_unsent");
        }
    }

    fn answer<T>(&mut self, participant: ParticipantId, result: Option<Result<T, OfferError>>, reply: Reply<Result<T, SessionError>>) {
        if let Some(key) = self.participants.get(&participant).copied()
            && let Some(slot) = self.slots.get_mut(key as usize).and_then(Option::as_mut)
            && slot.peer.ufrag() != slot.ufrag
        {
            let before = std::mem::replace(&mut slot.ufrag, slot.peer.ufrag().to_owned());
            self.table.set_ufrag(key, &before, &slot.ufrag);
            self.routes.push_back(Route::UfragGone(before));
            self.routes.push_back(Route::Ufrag(slot.ufrag.clone()));
        }
        reply(result.map_or(Err(SessionError::Gone), |result| result.map_err(SessionError::from)));
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key as usize)?.as_mut()
    }

    fn with<R>(&mut self, participant: ParticipantId, now: Instant, step: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let key = self.participants.get(&participant).copied()?;
        self.step(key, now, step)
    }

    /// Steps one peer and takes everything out of it. A panic on the way ends this peer and no other.
    fn step<R>(&mut self, key: Key, now: Instant, step: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let epoch = *self.epoch.get_or_insert(now);
        let slot = self.slots.get_mut(key as usize)?.as_mut()?;
        let (transmits, table) = (&mut self.transmits, &mut self.table);
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            let result = step(slot);
            let deadline = slot.drain(key, now, transmits, table);
            (result, deadline.map(|at| if at <= now + PROBING { at } else { beat(epoch, at, now) }))
        }));
        let Ok((result, deadline)) = stepped else {
            metrics::counter!("mixdown_peer_panics_total").increment(1);
            slot.closed = true;
            let (participant, observer) = (slot.participant, Arc::clone(&slot.observer));
            self.remove(key);
            observer.event(participant, Event::Closed(CloseReason::InternalError));
            return None;
        };
        if slot.closed {
            self.remove(key);
            return Some(result);
        }
        if slot.deadline != deadline {
            if let Some(before) = slot.deadline {
                self.deadlines.remove(&(before, key));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, key));
            }
            slot.deadline = deadline;
        }
        Some(result)
    }

    fn unlist(&mut self, rendition: RenditionId, key: Key) {
        if let Some(feeds) = self.feeds.get_mut(&rendition) {
            feeds.retain(|known| *known != key);
            if feeds.is_empty() {
                self.feeds.remove(&rendition);
            }
        }
    }

    fn remove(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(key as usize).and_then(Option::take) else { return };
        if let Some(at) = slot.deadline {
            self.deadlines.remove(&(at, key));
        }
        for rendition in slot.feed.renditions() {
            self.unlist(rendition, key);
        }
        if self.participants.get(&slot.participant) == Some(&key) {
            self.participants.remove(&slot.participant);
        }
        let routes = &mut self.routes;
        self.table.forget(key, &slot.ufrag, |transport, source| routes.push_back(Route::SourceGone(transport, source)));
        self.routes.push_back(Route::UfragGone(slot.ufrag));
        self.free.push(key);
        metrics::gauge!("mixdown_peers").decrement(1);
    }
}

/// The first beat at or after `at`.
fn beat(epoch: Instant, at: Instant, now: Instant) -> Instant {
    let beat = if at > now + FAR { BEAT * 4 } else { BEAT };
    let beats = at.saturating_duration_since(epoch).as_nanos().div_ceil(beat.as_nanos());
    // In nanoseconds, which reach for centuries: so many beats are over in months.
    epoch + Duration::from_nanos(u64::try_from(beats * beat.as_nanos()).unwrap_or(u64::MAX))
}

pub(super) fn refuse(reason: &'static str) {
    metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_the_next_one_however_long_the_server_has_run() {
        let epoch = crate::runtime::clock::now();
        for days in [0, 249, 4_000] {
            let now = epoch + Duration::from_secs(days * 86_400) + Duration::from_millis(1);
            assert_eq!(beat(epoch, now + Duration::from_millis(3), now), now + Duration::from_millis(4), "{days}");
            assert_eq!(beat(epoch, now + Duration::from_millis(90), now), now + Duration::from_millis(99), "{days}");
        }
    }
}
