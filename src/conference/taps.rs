//! Where the stages' results leave a room: to the network, and to those that record them.
//!
//! A tap is to a recording what a feed is to a peer: it says which rendition flows, changes over at a keyframe alone, and asks
//! for one as a peer does. Who records nothing pays for one look at an empty list.
//!
//! Flow: `view, mix → Taps → Recorder` and `→ net::Handle`.

use super::{Inbox, Input};
use crate::ids::{ParticipantId, RecordingId, RenditionId, TrackId};
use crate::media::{AudioOut, VideoOut};
use crate::net;
use crate::peer::feed::{Feed, Verdict};
use crate::pipeline::Outlet;
use crate::record::{Need, Recorder};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The outlet of one room.
pub struct Taps {
    net: net::Handle,
    taps: ArcSwap<Vec<Arc<Tap>>>,
}

impl Taps {
    pub fn new(net: net::Handle) -> Self {
        Self { net, taps: ArcSwap::default() }
    }

    /// These from now on and no others.
    pub(super) fn set(&self, taps: impl Iterator<Item = Arc<Tap>>) {
        self.taps.store(Arc::new(taps.collect()));
    }
}

impl Outlet for Taps {
    fn video(&self, rendition: RenditionId, picture: Arc<VideoOut>) -> bool {
        self.taps.load().iter().for_each(|tap| tap.video(rendition, &picture));
        self.net.video(rendition, picture)
    }

    fn audio(&self, listeners: &Arc<[ParticipantId]>, packet: Arc<AudioOut>) {
        let tapped = self.taps.load().iter().filter(|tap| tap.audio(listeners, &packet)).count();
        if tapped < listeners.len() {
            self.net.audio(listeners, packet);
        }
    }

    fn request_keyframe(&self, track: TrackId) {
        self.net.request_keyframe(track);
    }
}

/// One recording's tap.
pub(super) struct Tap {
    pub recorder: Recorder,
    listener: ParticipantId,
    /// Locked only for pictures while somebody records: two renditions come from two threads, and the one that is left must not
    /// follow the one that is gone over to.
    feed: Mutex<Feed>,
    /// The room has been asked for a keyframe and has not yet passed it on.
    asked: AtomicBool,
    inbox: Inbox,
}

impl Tap {
    pub fn new(recorder: Recorder, inbox: Inbox) -> Self {
        let listener = recorder.id().listener();
        Self { recorder, listener, feed: Mutex::default(), asked: AtomicBool::new(false), inbox }
    }

    pub fn id(&self) -> RecordingId {
        self.recorder.id()
    }

    /// The rendition to record from its next keyframe on.
    pub fn want(&self, rendition: Option<RenditionId>) {
        self.feed().want(rendition);
    }

    /// The room has asked the encoder.
    pub fn passed_on(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    fn video(&self, rendition: RenditionId, picture: &VideoOut) {
        let mut feed = self.feed();
        let need = match feed.picture(rendition, picture.keyframe, picture.layer) {
            Verdict::Send | Verdict::Switch { .. } => {
                // Where it is gone over, both renditions have a picture of the same tick.
                let rtp_time = feed.stamp(picture.rtp_time);
                self.recorder.video(&VideoOut { rtp_time, ..picture.clone() })
            }
            Verdict::Drop if feed.missing() == Some(rendition) => Need::Keyframe,
            Verdict::Drop | Verdict::Skip => Need::Nothing,
        };
        drop(feed);
        if need == Need::Keyframe && !self.asked.swap(true, Ordering::Relaxed) {
            self.inbox.put(Input::KeyframeForRecording(self.id()));
        }
    }

    /// False: the packet is not for it.
    fn audio(&self, listeners: &[ParticipantId], packet: &AudioOut) -> bool {
        let meant = listeners.contains(&self.listener);
        if meant {
            self.recorder.audio(packet);
        }
        meant
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
