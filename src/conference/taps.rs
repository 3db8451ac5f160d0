//! Where the stages' results leave a room: to the network, and to those that record them or send them on.
//!
//! A tap is to a recording or an egress what a feed is to a peer: it says which rendition flows, changes over at a keyframe alone, and asks
//! for one as a peer does. Who has none pays for a look at two empty lists.
//!
//! Flow: `view, mix → Taps → Recorder, Egress` and `→ net::Handle`.

use super::{Inbox, Input};
use crate::egress::Egress;
use crate::ids::{ParticipantId, RenditionId, TrackId};
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
    recordings: ArcSwap<Vec<Arc<Tap<dyn Sink>>>>,
    egresses: ArcSwap<Vec<Arc<Tap<dyn Sink>>>>,
}

impl Taps {
    pub fn new(net: net::Handle) -> Self {
        Self { net, recordings: ArcSwap::default(), egresses: ArcSwap::default() }
    }

    /// These from now on and no others.
    pub(super) fn record(&self, taps: impl Iterator<Item = Arc<Tap<dyn Sink>>>) {
        self.recordings.store(Arc::new(taps.collect()));
    }

    /// These from now on and no others.
    pub(super) fn send_out(&self, taps: impl Iterator<Item = Arc<Tap<dyn Sink>>>) {
        self.egresses.store(Arc::new(taps.collect()));
    }
}

impl Outlet for Taps {
    fn video(&self, rendition: RenditionId, picture: Arc<VideoOut>) -> bool {
        for taps in [&self.recordings, &self.egresses] {
            taps.load().iter().for_each(|tap| tap.video(rendition, &picture));
        }
        self.net.video(rendition, picture)
    }

    fn audio(&self, listeners: &Arc<[ParticipantId]>, packet: Arc<AudioOut>) {
        let tapped: usize = [&self.recordings, &self.egresses]
            .map(|taps| taps.load().iter().filter(|tap| tap.audio(listeners, &packet)).count())
            .into_iter()
            .sum();
        if tapped < listeners.len() {
            self.net.audio(listeners, packet);
        }
    }

    fn request_keyframe(&self, track: TrackId) {
        self.net.request_keyframe(track);
    }
}

/// What takes what a tap lets through. Nobody waits in it.
pub(super) trait Sink: Send + Sync {
    fn listener(&self) -> ParticipantId;
    fn video(&self, picture: &VideoOut) -> Need;
    fn audio(&self, packet: &AudioOut);
    /// Tells the room that it needs a keyframe.
    fn needs_keyframe(&self) -> Input;
}

impl Sink for Recorder {
    fn listener(&self) -> ParticipantId {
        self.id().listener()
    }

    fn video(&self, picture: &VideoOut) -> Need {
        Self::video(self, picture)
    }

    fn audio(&self, packet: &AudioOut) {
        Self::audio(self, packet);
    }

    fn needs_keyframe(&self) -> Input {
        Input::KeyframeForRecording(self.id())
    }
}

impl Sink for Arc<Egress> {
    fn listener(&self) -> ParticipantId {
        self.id.listener()
    }

    fn video(&self, picture: &VideoOut) -> Need {
        Egress::video(self, picture)
    }

    fn audio(&self, packet: &AudioOut) {
        Egress::audio(self, packet);
    }

    fn needs_keyframe(&self) -> Input {
        Input::KeyframeForEgress(self.id)
    }
}

/// One sink's tap.
pub(super) struct Tap<S: ?Sized> {
    listener: ParticipantId,
    /// Locked only for pictures while somebody taps: two renditions come from two threads, and the one that is left must not
    /// follow the one that is gone over to.
    feed: Mutex<Feed>,
    /// The room has been asked for a keyframe and has not yet passed it on.
    asked: AtomicBool,
    inbox: Inbox,
    pub sink: S,
}

impl<S: Sink> Tap<S> {
    pub fn new(sink: S, inbox: Inbox) -> Self {
        Self { listener: sink.listener(), feed: Mutex::default(), asked: AtomicBool::new(false), inbox, sink }
    }
}

impl<S: Sink + ?Sized> Tap<S> {
    /// The rendition to take from its next keyframe on.
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
                self.sink.video(&VideoOut { rtp_time, ..picture.clone() })
            }
            Verdict::Drop if feed.missing() == Some(rendition) => Need::Keyframe,
            Verdict::Drop | Verdict::Skip => Need::Nothing,
        };
        drop(feed);
        if need == Need::Keyframe && !self.asked.swap(true, Ordering::Relaxed) {
            self.inbox.put(self.sink.needs_keyframe());
        }
    }

    /// False: the packet is not for it.
    fn audio(&self, listeners: &[ParticipantId], packet: &AudioOut) -> bool {
        let meant = listeners.contains(&self.listener);
        if meant {
            self.sink.audio(packet);
        }
        meant
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
