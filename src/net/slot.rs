//! One peer in a hub: what comes out of it, and which pictures go in.

use super::Observer;
use super::bucket::Bucket;
use super::hub::refuse;
use super::table::{Key, Table};
use crate::ids::{ParticipantId, RenditionId};
use crate::media::VideoOut;
use crate::peer::feed::{Feed, Verdict};
use crate::peer::packets::Packets;
use crate::peer::types::{Event, Output, Transmit};
use crate::peer::{Peer, Sent};
use crate::pipeline::Inlet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// One peer, what it is sent, and who is told of it.
pub struct Slot {
    pub participant: ParticipantId,
    pub peer: Box<Peer>,
    pub inlet: Box<dyn Inlet>,
    pub observer: Arc<dyn Observer>,
    pub feed: Feed,
    /// What flows, until the room has heard of it.
    pub untold: Option<RenditionId>,
    pub ufrag: String,
    pub bucket: Bucket,
    pub deadline: Option<Instant>,
    pub closed: bool,
}

impl Slot {
    /// Takes all outputs; returns when the peer wants to be called again.
    pub fn drain(&mut self, key: Key, now: Instant, transmits: &mut VecDeque<Transmit>, table: &mut Table) -> Option<Instant> {
        loop {
            match self.peer.poll_output() {
                Output::Timeout(at) => return Some(at),
                Output::Transmit(transmit) => {
                    table.checking(key, &transmit.contents, now);
                    transmits.push_back(transmit);
                }
                Output::Event(event) => self.event(event, now),
            }
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Video(picture) => return self.inlet.video(picture),
            Event::Audio(packet) => return self.inlet.audio(packet),
            Event::Closed(_) => self.closed = true,
            _ => {}
        }
        let connected = matches!(event, Event::Connected);
        self.observer.event(self.participant, event);
        if connected {
            self.ask(now);
        }
    }

    /// Asks for the keyframe that the feed waits for.
    pub fn ask(&mut self, now: Instant) {
        if self.peer.is_connected() && self.feed.ask(now) {
            self.observer.event(self.participant, Event::KeyframeNeeded);
        }
    }

    /// Sends one picture if the feed wants it. Returns the rendition that flows no more.
    pub fn picture(&mut self, rendition: RenditionId, picture: &VideoOut, packets: &Packets, now: Instant) -> Option<RenditionId> {
        if !self.peer.is_connected() {
            return None;
        }
        let (left, switches) = match self.feed.picture(rendition, picture.keyframe, picture.layer) {
            Verdict::Skip => return None,
            Verdict::Drop => {
                self.ask(now);
                return None;
            }
            Verdict::Send => (None, false),
            Verdict::Switch { left } => (left, true),
        };
        if switches {
            self.peer.begin_anew(now);
        }
        let rtp_time = self.feed.stamp(picture.rtp_time);
        match self.peer.send_video(picture, packets, rtp_time, now) {
            Sent::Sent => {
                if switches {
                    self.untold = Some(rendition);
                }
                // A room that is too busy to hear of it is told with the next picture.
                self.untold = self.untold.filter(|flows| !self.observer.event(self.participant, Event::Flows(*flows)));
                return left;
            }
            Sent::Unfit => {
                refuse("video_unfit");
                self.feed.interrupt();
            }
            Sent::Congested if picture.layer > 0 => {
                refuse("video_congested");
                return left;
            }
            Sent::Congested => {
                refuse("video_congested");
                self.feed.pause(now);
            }
        }
        left.or(Some(rendition).filter(|rendition| self.feed.missing() != Some(*rendition)))
    }
}
