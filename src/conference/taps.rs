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
use crate::pipeline::forward::{Forward, Passed};
use crate::pipeline::inlet::RoomInlet;
use crate::pipeline::{Inlet, Outlet, StageEvent};
use crate::record::mp4::Ticks;
use crate::record::tracks::{Medium, Unit};
use crate::record::{Need, Recorder};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The outlet of one room.
pub struct Taps {
    net: net::Handle,
    recordings: ArcSwap<Vec<Arc<Tap<dyn Sink>>>>,
    egresses: ArcSwap<Vec<Arc<Tap<dyn Sink>>>>,
    /// Those of the recordings that take participants' own tracks.
    tracks: ArcSwap<Vec<Arc<Tap<Recorder>>>>,
    permits: ArcSwap<BTreeMap<ParticipantId, Permit>>,
    /// Tracks that subscribers are sent as they come.
    passes: ArcSwap<BTreeMap<TrackId, Arc<Pass>>>,
}

impl Taps {
    pub fn new(net: net::Handle) -> Self {
        Self {
            net,
            recordings: ArcSwap::default(),
            egresses: ArcSwap::default(),
            tracks: ArcSwap::default(),
            permits: ArcSwap::default(),
            passes: ArcSwap::default(),
        }
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

    /// What of whom may be recorded as it comes, from now on and nothing else. The pictures of which that is new, or over.
    pub(super) fn permit(&self, permits: BTreeMap<ParticipantId, Permit>) -> Vec<TrackId> {
        let before = self.permits.load();
        if **before == permits {
            return Vec::new();
        }
        let known: BTreeSet<ParticipantId> = before.keys().chain(permits.keys()).copied().collect();
        let pictures = known.iter().flat_map(|id| [Source::Camera, Source::Screen].map(|source| TrackId { participant: *id, source }));
        let changed = pictures.filter(|track| covered(&before, *track) != covered(&permits, *track)).collect();
        self.permits.store(Arc::new(permits));
        changed
    }

    /// These tracks go on as they come, from now on and no others.
    pub(super) fn forward(&self, passes: BTreeMap<TrackId, Arc<Pass>>) {
        self.passes.store(Arc::new(passes));
    }

    pub(super) fn passes(&self) -> BTreeMap<TrackId, Arc<Pass>> {
        BTreeMap::clone(&self.passes.load())
    }

    /// Whether somebody records the track as it comes.
    pub(super) fn records(&self, track: TrackId) -> bool {
        covered(&self.permits.load(), track)
    }
}

/// A track that goes on as it comes.
#[derive(Debug)]
pub(super) struct Pass {
    rendition: RenditionId,
    since: Instant,
    /// When the last picture came, in milliseconds since then.
    heard_ms: AtomicU64,
    /// From when on a keyframe may be asked for by somebody who lost something, likewise.
    repairs_ms: AtomicU64,
}

impl Pass {
    pub fn new(rendition: RenditionId, now: Instant) -> Self {
        Self { rendition, since: now, heard_ms: AtomicU64::new(0), repairs_ms: AtomicU64::new(0) }
    }

    /// When a picture came last.
    pub fn heard(&self) -> Instant {
        self.since + Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// True: somebody who lost something may have a keyframe, and the next one after `pause`.
    pub fn repair(&self, now: Instant, pause: Duration) -> bool {
        let may = self.ms(now) >= self.repairs_ms.load(Ordering::Relaxed);
        if may {
            self.repairs_ms.store(self.ms(now + pause), Ordering::Relaxed);
        }
        may
    }

    fn hear(&self, now: Instant) {
        self.heard_ms.store(self.ms(now), Ordering::Relaxed);
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
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

fn covered(permits: &BTreeMap<ParticipantId, Permit>, track: TrackId) -> bool {
    permits.get(&track.participant).is_some_and(|permit| permit.covers(track.source))
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
    /// Camera and screen as they come; of the hub's thread alone.
    forwards: [Mutex<Forward>; 2],
    inbox: Inbox,
}

impl Tapped {
    pub(super) fn new(participant: ParticipantId, epoch: Instant, taps: Arc<Taps>, stages: RoomInlet, inbox: Inbox) -> Self {
        let forwards = [(); 2].map(|()| Mutex::new(Forward::new(epoch)));
        Self { participant, epoch, taps, stages, withheld: Default::default(), forwards, inbox }
    }

    fn tap(&self, source: Source, received: Instant, medium: impl FnOnce() -> Medium) {
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
        let resumes = withheld.swap(false, Ordering::Relaxed);
        let unit = Unit { participant: self.participant, name: Arc::clone(&permit.name), at, resumes, medium: medium() };
        let needs = taps.iter().filter(|tap| tap.sink.unit(&unit) == Need::Keyframe).count();
        if needs > 0 {
            self.taps.net.request_keyframe(unit.track());
        }
    }
}

impl Tapped {
    /// Sends a picture on as it is, where the room wants that, and tells what it is like.
    fn forward(&self, picture: &VideoIn) {
        let track = TrackId { participant: self.participant, source: picture.source };
        let forward = &self.forwards[usize::from(picture.source == Source::Screen)];
        let mut forward = forward.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = forward.measure(picture) {
            self.inbox.put(Input::Stage(StageEvent::Facts { track, facts }));
        }
        let passes = self.taps.passes.load();
        let Some(pass) = passes.get(&track) else { return forward.interrupt() };
        pass.hear(picture.received);
        match forward.picture(picture) {
            Passed::Picture(picture) => {
                metrics::counter!("mixdown_forwarded_pictures_total").increment(1);
                if !self.taps.net.video(pass.rendition, Arc::new(picture)) {
                    forward.interrupt();
                }
            }
            Passed::KeyframeNeeded => self.taps.net.request_keyframe(track),
        }
    }
}

impl Inlet for Tapped {
    fn video(&self, picture: VideoIn) {
        self.tap(picture.source, picture.received, || Medium::Picture(picture.clone()));
        self.forward(&picture);
        self.stages.video(picture);
    }

    fn audio(&self, packet: AudioIn) {
        self.tap(packet.source, packet.received, || Medium::Packet(packet.clone()));
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
        if need == Need::Keyframe && !self.asked.swap(true, Ordering::Relaxed) && !self.inbox.put(self.sink.needs_keyframe()) {
            self.passed_on();
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
