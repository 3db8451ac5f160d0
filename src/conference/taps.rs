//! Where the stages' results leave a room: to the network, and to those that record them or send them on.
//!
//! A tap is to a recording or an egress what a feed is to a peer: it says which rendition flows, changes over at a keyframe alone, and asks
//! for one as a peer does. Who has none pays for a look at two empty lists.
//!
//! Participants' own tracks are tapped where they enter the room ([`Tapped`]), as far as it is permitted.
//!
//! Flow: `view, mix → Taps → Recorder, Egress` and `→ net::Handle`; `net → Tapped → Recorder` and `→ stages`.

use super::{Inbox, Input};
use crate::egress::Egress;
use crate::ids::{ParticipantId, RenditionId, Source, TrackId};
use crate::media::{AudioIn, AudioOut, VideoIn, VideoOut};
use crate::net;
use crate::peer::feed::{Feed, Verdict};
use crate::pipeline::inlet::RoomInlet;
use crate::pipeline::{Inlet, Outlet};
use crate::record::mp4::Ticks;
use crate::record::tracks::{Medium, Unit};
use crate::record::{Need, Recorder};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The outlet of one room.
pub struct Taps {
    net: net::Handle,
    recordings: ArcSwap<Vec<Arc<Tap<dyn Sink>>>>,
    egresses: ArcSwap<Vec<Arc<Tap<dyn Sink>>>>,
    /// Those of the recordings that take participants' own tracks.
    tracks: ArcSwap<Vec<Arc<Tap<Recorder>>>>,
    permits: ArcSwap<BTreeMap<ParticipantId, Permit>>,
}

impl Taps {
    pub fn new(net: net::Handle) -> Self {
        Self { net, recordings: ArcSwap::default(), egresses: ArcSwap::default(), tracks: ArcSwap::default(), permits: ArcSwap::default() }
    }

    /// These from now on and no others.
    pub(super) fn record(&self, taps: impl Iterator<Item = Arc<Tap<dyn Sink>>>) {
        self.recordings.store(Arc::new(taps.collect()));
    }

    /// These take participants' own tracks from now on, and no others.
    pub(super) fn record_tracks(&self, taps: impl Iterator<Item = Arc<Tap<Recorder>>>) {
        self.tracks.store(Arc::new(taps.collect()));
    }

    /// These from now on and no others.
    pub(super) fn send_out(&self, taps: impl Iterator<Item = Arc<Tap<dyn Sink>>>) {
        self.egresses.store(Arc::new(taps.collect()));
    }

    /// What of whom may be recorded as it comes, from now on and nothing else.
    pub(super) fn permit(&self, permits: BTreeMap<ParticipantId, Permit>) {
        if **self.permits.load() != permits {
            self.permits.store(Arc::new(permits));
        }
    }
}

/// What of a participant may be recorded as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permit {
    pub name: Arc<str>,
    pub camera: bool,
    pub microphone: bool,
    pub screen: bool,
    pub screen_audio: bool,
}

impl Permit {
    const fn covers(&self, source: Source) -> bool {
        match source {
            Source::Camera => self.camera,
            Source::Microphone => self.microphone,
            Source::Screen => self.screen,
            Source::ScreenAudio => self.screen_audio,
        }
    }
}

/// One participant's way into the room, where recordings listen.
pub struct Tapped {
    participant: ParticipantId,
    /// Where the room's media time begins.
    epoch: Instant,
    taps: Arc<Taps>,
    stages: RoomInlet,
    /// By source: something passed that was not permitted.
    withheld: [AtomicBool; 4],
}

impl Tapped {
    pub(super) fn new(participant: ParticipantId, epoch: Instant, taps: Arc<Taps>, stages: RoomInlet) -> Self {
        Self { participant, epoch, taps, stages, withheld: Default::default() }
    }

    fn tap(&self, source: Source, received: Instant, medium: impl FnOnce(bool) -> Medium) {
        let taps = self.taps.tracks.load();
        if taps.is_empty() {
            return;
        }
        let (permits, withheld) = (self.taps.permits.load(), &self.withheld[source as usize]);
        let Some(permit) = permits.get(&self.participant).filter(|permit| permit.covers(source)) else {
            return withheld.store(true, Ordering::Relaxed);
        };
        let since = received.saturating_duration_since(self.epoch).as_micros() * u128::from(Ticks::PER_SECOND) / 1_000_000;
        let at = Ticks(u64::try_from(since).unwrap_or(u64::MAX));
        let medium = medium(withheld.swap(false, Ordering::Relaxed));
        let unit = Unit { participant: self.participant, name: Arc::clone(&permit.name), at, medium };
        let needs = taps.iter().filter(|tap| tap.sink.unit(&unit) == Need::Keyframe).count();
        if needs > 0 {
            self.taps.net.request_keyframe(unit.track());
        }
    }
}

impl Inlet for Tapped {
    fn video(&self, picture: VideoIn) {
        self.tap(picture.source, picture.received, |withheld| {
            Medium::Picture(VideoIn { contiguous: picture.contiguous && !withheld, ..picture.clone() })
        });
        self.stages.video(picture);
    }

    fn audio(&self, packet: AudioIn) {
        self.tap(packet.source, packet.received, |_| Medium::Packet(packet.clone()));
        self.stages.audio(packet);
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
