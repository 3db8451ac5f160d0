//! The video side of one room: its tracks and views as running strands.

use super::decode::{self, Decode};
use super::keyframes::Need;
use super::pool::{Pool, Strand};
use super::slot::{Shown, Slot};
use super::ticker::{self, Ticker};
use super::view::{self, Seen, SnapshotReply, View};
use super::{Outlet, Watch};
use crate::cadence::Cadence;
use crate::ids::{CanvasId, ParticipantId, RenditionId, Source, TrackId};
use crate::ledger::{Account, Bill};
use crate::media::VideoIn;
use crate::room::member::source_id;
use crate::room::plan::RenditionKey;
use mixdown_codecs::gate::Limits;
use mixdown_layouts::Scene;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// Coded pictures that wait for a decoder; beyond it the track starts again at a keyframe.
/// Room for the bunch that arrives when a packet that was waited for comes at last.
const PICTURES_WAITING: usize = 30;
/// Commands and ticks that wait for a view.
const VIEW_INBOX: usize = 256;

/// What all rooms of a process have in common.
#[derive(Clone)]
pub struct Shared {
    pub pool: Pool,
    pub ticker: Ticker,
    pub limits: Limits,
}

pub struct Video {
    shared: Shared,
    outlet: Arc<dyn Outlet>,
    watch: Arc<dyn Watch>,
    epoch: Instant,
    wall: SystemTime,
    bill: Arc<Bill>,
    tracks: BTreeMap<TrackId, Track>,
    views: BTreeMap<CanvasId, RunningView>,
}

struct RunningView {
    id: u64,
    strand: Arc<Strand<View>>,
    accounts: BTreeMap<RenditionId, Arc<Account>>,
}

/// One video track: the inbox of its decoder and the slot that it fills.
#[derive(Clone)]
pub struct Track {
    strand: Arc<Strand<Decode>>,
    slot: Arc<Slot>,
    visible: Arc<AtomicBool>,
    /// Pictures were dropped since the last one that was handed over.
    gap: Arc<AtomicBool>,
}

impl Track {
    /// Hands a coded picture to the decoder, or drops it: nobody sees the track, or its inbox is full.
    pub fn push(&self, mut picture: VideoIn) {
        if !self.visible.load(Ordering::Relaxed) {
            self.gap.store(true, Ordering::Relaxed);
            return;
        }
        if self.gap.swap(false, Ordering::Relaxed) {
            picture.contiguous = false;
        }
        if self.strand.push(decode::Input::Picture(picture)).is_err() {
            self.gap.store(true, Ordering::Relaxed);
            metrics::counter!("mixdown_drops_total", "reason" => "decoder_busy").increment(1);
        }
    }

    /// Shows a picture that needs no decoder, or lets go of it: nobody sees the track.
    pub fn show(&self, picture: Shown) {
        if self.visible.load(Ordering::Relaxed) {
            self.slot.put(picture);
        }
    }

    fn set_visible(&self, visible: bool) {
        self.visible.store(visible, Ordering::Relaxed);
        // A full inbox is as good: the stage looks with each input.
        let _ = self.strand.push(decode::Input::Visibility);
    }
}

impl Video {
    /// `epoch`: where the room's media time begins; `wall`: the same moment on the calendar, for clocks in the picture; `bill`: the room's.
    pub fn new(shared: Shared, outlet: Arc<dyn Outlet>, watch: Arc<dyn Watch>, epoch: Instant, wall: SystemTime, bill: Arc<Bill>) -> Self {
        Self { shared, outlet, watch, epoch, wall, bill, tracks: BTreeMap::new(), views: BTreeMap::new() }
    }

    /// Makes the camera's and the screen's track of a participant.
    pub fn open_tracks(&mut self, participant: ParticipantId) -> [Track; 2] {
        [Source::Camera, Source::Screen].map(|source| self.open_track(TrackId { participant, source }))
    }

    fn open_track(&mut self, id: TrackId) -> Track {
        let slot = Arc::new(Slot::default());
        let visible: Arc<AtomicBool> = Arc::default();
        let (outlet, watch) = (Arc::clone(&self.outlet), Arc::clone(&self.watch));
        let stage = Decode::new(id, self.shared.limits, Arc::clone(&visible), Arc::clone(&slot), outlet, watch, Arc::clone(&self.bill));
        let strand = Strand::new(self.shared.pool.clone(), stage, PICTURES_WAITING);
        let track = Track { strand, slot, visible, gap: Arc::default() };
        self.tracks.insert(id, track.clone());
        track
    }

    pub fn close_tracks(&mut self, participant: ParticipantId) {
        self.tracks.retain(|id, _| id.participant != participant);
    }

    pub fn set_visible(&self, track: TrackId, visible: bool) {
        if let Some(track) = self.tracks.get(&track) {
            track.set_visible(visible);
        }
    }

    pub fn open_view(&mut self, canvas: CanvasId, fps: u32, scene: &Scene) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let cadence = Cadence::new(self.epoch, fps);
        let (pending, sooner) = (Arc::new(AtomicU32::new(0)), Arc::<AtomicU64>::default());
        let pulse = self.bill.pulse();
        let (outlet, watch) = (Arc::clone(&self.outlet), Arc::clone(&self.watch));
        let parts = view::Parts {
            id: canvas,
            cadence,
            sooner: Arc::clone(&sooner),
            pool: self.shared.pool.clone(),
            pending: Arc::clone(&pending),
            pulse: Arc::clone(&pulse),
            outlet,
            watch,
            wall: self.wall,
            bill: Arc::clone(&self.bill),
            canvas: view::canvas(scene.canvas),
        };
        let stage = View::new(parts);
        let strand = Strand::new(self.shared.pool.clone(), stage, VIEW_INBOX);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.shared.ticker.send(ticker::Command::Add(ticker::Entry { id, view: Arc::clone(&strand), cadence, sooner, pending, pulse }));
        self.views.insert(canvas, RunningView { id, strand, accounts: BTreeMap::new() });
    }

    /// So many pictures per second of it from now on, where its cadence has more.
    pub fn pace_view(&self, canvas: CanvasId, fps: u32) {
        if let Some(view) = self.views.get(&canvas) {
            self.shared.ticker.send(ticker::Command::Pace(view.id, fps));
        }
    }

    pub fn close_view(&mut self, canvas: CanvasId) {
        if let Some(view) = self.views.remove(&canvas) {
            self.shared.ticker.send(ticker::Command::Remove(view.id));
        }
    }

    pub fn set_scene(&self, canvas: CanvasId, scene: Arc<Scene>, tracks: &[TrackId]) {
        let seen = |id: &TrackId| {
            let slot = Arc::clone(&self.tracks.get(id)?.slot);
            Some(Seen { source: source_id(*id), track: *id, slot })
        };
        self.tell(canvas, view::Input::Scene { scene, sources: tracks.iter().filter_map(seen).collect() });
    }

    /// `patient`: its first picture waits until the canvas shows all whom it has a place for.
    pub fn open_rendition(&mut self, canvas: CanvasId, id: RenditionId, key: RenditionKey, patient: bool) {
        let Some(view) = self.views.get_mut(&canvas) else { return };
        let account = Arc::clone(view.accounts.entry(id).or_default());
        self.tell(canvas, view::Input::Open { id, key, patient, account });
    }

    pub fn close_rendition(&mut self, canvas: CanvasId, id: RenditionId) {
        if let Some(view) = self.views.get_mut(&canvas) {
            view.accounts.remove(&id);
        }
        self.tell(canvas, view::Input::Close(id));
    }

    pub fn request_keyframe(&self, canvas: CanvasId, id: RenditionId, need: Need) {
        self.tell(canvas, view::Input::Keyframe(id, need));
    }

    /// What a rendition has cost.
    pub fn account(&self, canvas: CanvasId, id: RenditionId) -> Option<&Account> {
        self.views.get(&canvas)?.accounts.get(&id).map(Arc::as_ref)
    }

    /// Whether every second picture must be dispensable.
    pub fn set_layered(&self, canvas: CanvasId, id: RenditionId, layered: bool) {
        self.tell(canvas, view::Input::Layers(id, layered));
    }

    pub fn set_bitrate(&self, canvas: CanvasId, id: RenditionId, bitrate_bps: u32) {
        self.tell(canvas, view::Input::Rate(id, bitrate_bps));
    }

    /// Answers with the view's canvas as soon as it is complete. The view must be open.
    pub fn snapshot(&self, canvas: CanvasId, now: Instant, reply: SnapshotReply) {
        self.tell(canvas, view::Input::Snapshot { asked: now, reply });
    }

    fn tell(&self, canvas: CanvasId, input: view::Input) {
        let Some(view) = self.views.get(&canvas) else { return };
        if view.strand.push(input).is_err() {
            metrics::counter!("mixdown_drops_total", "reason" => "view_busy").increment(1);
            tracing::error!("a view's command queue is full: its worker is stuck");
        }
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        for view in self.views.values() {
            self.shared.ticker.send(ticker::Command::Remove(view.id));
        }
    }
}
