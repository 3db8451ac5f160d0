//! One view: composes its canvas at every tick and encodes each of its renditions once.
//!
//! Flow per tick: `latest pictures → stall ladder → Motion::at → Canvas::draw → smaller sizes → each rendition's encoder → Outlet`.
//! A canvas on which nothing changes is encoded only now and then. A new scene is reported once the canvas rests in it.

use super::keyframes::Need;
use super::phase::{self, Arrivals};
use super::pool::{Pool, Stage};
use super::rendition::{Rendition, Tick};
use super::sizes::Sizes;
use super::slot::{Shown, Slot};
use super::stall::Stall;
use super::{Outlet, StageEvent, Watch};
use crate::cadence::Cadence;
use crate::ids::{CanvasId, RenditionId, Source, TrackId};
use crate::ledger::{self, Account, Beat, Bill, Pulse};
use crate::room::plan::RenditionKey;
use mixdown_codecs::{I420Frame, Size};
use mixdown_layouts::draw::{Canvas, Damage, Moment, Picture, Pictures};
use mixdown_layouts::motion::Motion;
use mixdown_layouts::{Scene, SourceId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest that a snapshot waits for pictures that are still missing.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(1);
/// Whose pictures have not come for so long waits for none of them.
const OF_LATE: Duration = Duration::from_secs(1);
/// As much as so many others the one who speaks counts where ticks are set by when pictures come.
const SPEAKER: f64 = 3.0;

/// Where the pictures of one source come from.
#[derive(Clone)]
pub struct Seen {
    pub source: SourceId,
    pub track: TrackId,
    pub slot: Arc<Slot>,
}

pub type SnapshotReply = Box<dyn FnOnce(Arc<I420Frame>) + Send>;

pub enum Input {
    /// Compose tick `n` at `now`; it was to come at `due`, its nominal time or a little sooner.
    Tick {
        n: u64,
        due: Instant,
        now: Instant,
    },
    Scene {
        scene: Arc<Scene>,
        sources: Vec<Seen>,
    },
    Open {
        id: RenditionId,
        key: RenditionKey,
        /// Its first picture waits until all are there who are in it.
        patient: bool,
        /// What it costs.
        account: Arc<Account>,
    },
    Close(RenditionId),
    Keyframe(RenditionId, Need),
    Layers(RenditionId, bool),
    Rate(RenditionId, u32),
    Snapshot {
        asked: Instant,
        reply: SnapshotReply,
    },
}

/// What a view is made of.
pub struct Parts {
    pub id: CanvasId,
    pub cadence: Cadence,
    /// How much sooner than nominally it wants its ticks, in nanoseconds.
    pub sooner: Arc<AtomicU64>,
    /// Where several renditions are encoded side by side.
    pub pool: Pool,
    /// Ticks handed over and not yet composed; the ticker skips a view that is behind.
    pub pending: Arc<AtomicU32>,
    /// What its ticks take.
    pub pulse: Arc<Pulse>,
    pub outlet: Arc<dyn Outlet>,
    pub watch: Arc<dyn Watch>,
    /// The cadence's epoch on the calendar.
    pub wall: SystemTime,
    /// What the room costs.
    pub bill: Arc<Bill>,
    pub canvas: Canvas,
}

pub struct View {
    parts: Parts,
    /// The epoch on the calendar, in seconds since 1970.
    epoch_unix_s: i64,
    /// Comes into force with the next tick.
    next: Option<Arc<Scene>>,
    motion: Option<Motion>,
    /// The scene has not been reported yet.
    fresh: bool,
    sources: Vec<Visible>,
    /// Of the scene before; their last pictures are seen until the canvas has come to rest.
    leaving: Vec<Visible>,
    renditions: Vec<Rendition>,
    sizes: Sizes,
    snapshots: Vec<(Instant, SnapshotReply)>,
    /// Ticks since something was painted.
    unchanged: u32,
    /// When the pictures arrived that this tick shows first.
    fresh_pictures: Vec<Instant>,
    /// The longest encode of this tick, in nanoseconds of a processor.
    longest: AtomicU64,
}

struct Visible {
    seen: Seen,
    stall: Stall,
    arrivals: Arrivals,
    shown: Option<Shown>,
}

impl View {
    pub fn new(parts: Parts) -> Self {
        Self {
            epoch_unix_s: parts.wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
            parts,
            next: None,
            motion: None,
            fresh: false,
            sources: Vec::new(),
            leaving: Vec::new(),
            renditions: Vec::new(),
            sizes: Sizes::default(),
            snapshots: Vec::new(),
            unchanged: 0,
            fresh_pictures: Vec::new(),
            longest: AtomicU64::new(0),
        }
    }

    fn tick(&mut self, n: u64, due: Instant, now: Instant) {
        let time_ms = self.parts.cadence.time(n).saturating_duration_since(self.parts.cadence.epoch()).as_millis() as u64;
        self.follow(time_ms);
        let pool = self.parts.pool.clone();
        if let Some(begun) = pool.now() {
            ledger::late(Beat::Video, begun.saturating_duration_since(due));
        }
        let (damage, spent) = pool.measure(|| self.draw(now, time_ms));
        let drawn = spent.map(|spent| spent.cpu);
        match spent {
            Some(spent) if self.is_seen() => self.parts.bill.charge(ledger::Stage::Compose, &spent),
            Some(spent) => self.parts.bill.cpu(ledger::Stage::Compose, spent.cpu),
            None => {}
        }
        let Some(motion) = &self.motion else { return };
        let (scene, resting) = (Arc::clone(motion.target()), !motion.is_moving());
        if damage.is_empty() {
            self.unchanged = self.unchanged.saturating_add(1);
        } else {
            self.unchanged = 0;
            self.sizes.spoil();
        }
        let rtp_time = self.parts.cadence.rtp_time(n, 90_000);
        if resting && std::mem::take(&mut self.fresh) {
            self.leaving.clear();
            self.parts.watch.event(StageEvent::SceneShown { canvas: self.parts.id, scene: Arc::clone(&scene), rtp_time });
        }
        self.answer_snapshots(now);
        if n.is_multiple_of(u64::from(self.parts.cadence.ticks_per_second())) {
            self.settle(&scene, self.parts.cadence.time(n).saturating_duration_since(due), now);
        }
        let (cadence, unchanged) = (&self.parts.cadence, self.unchanged);
        self.encode(&Tick { n, fps: cadence.ticks_per_second(), unchanged, now, rtp_time, time_ms, wallclock: cadence.time(n) });
        if let Some(drawn) = drawn {
            let encoded = Duration::from_nanos(std::mem::take(self.longest.get_mut()));
            self.parts.pulse.done(drawn + encoded);
        }
    }

    /// Nobody looks where everybody is sent pictures as they come.
    fn is_seen(&self) -> bool {
        !self.renditions.is_empty() || !self.snapshots.is_empty()
    }

    /// Paints what has changed.
    fn draw(&mut self, now: Instant, time_ms: u64) -> Damage {
        let seen = self.is_seen();
        if seen {
            self.look(now);
        }
        let Some(motion) = &mut self.motion else { return Damage::default() };
        let scene = motion.at(time_ms);
        if !seen {
            return Damage::default();
        }
        let moment = Moment { ms: time_ms, unix_s: self.epoch_unix_s + (time_ms / 1000) as i64 };
        self.parts.canvas.draw_at(scene, &Latest(&self.sources, &self.leaving), moment)
    }

    /// Encodes each rendition that is due, in its size.
    fn encode(&mut self, tick: &Tick) {
        let Parts { canvas, outlet, pool, bill, .. } = &self.parts;
        let (canvas, outlet) = (canvas.frame(), &**outlet);
        let mut any = false;
        let complete = self.sources.iter().all(|visible| visible.shown.is_some());
        for rendition in &mut self.renditions {
            rendition.due = rendition.is_ready(complete, tick.now) && rendition.is_due(tick);
            any |= rendition.due;
        }
        if !any {
            return;
        }
        let renditions = &self.renditions;
        let wanted = renditions.iter().filter(|rendition| rendition.due).map(Rendition::size);
        self.sizes.prepare(canvas, wanted, |size| renditions.iter().any(|rendition| rendition.size() == size), pool, bill);
        let (sizes, longest) = (&self.sizes, &self.longest);
        pool.each(&mut self.renditions, |rendition| {
            let picture = sizes.get(canvas, rendition.size());
            if let Some(picture) = picture.filter(|_| rendition.due) {
                let ((), spent) = pool.measure(|| rendition.encode(picture, tick, outlet));
                if let Some(spent) = spent {
                    longest.fetch_max(spent.cpu.as_nanos() as u64, Ordering::Relaxed);
                    // In this order: no rendition has cost more than the room.
                    bill.charge(ledger::Stage::Encode, &spent);
                    rendition.account.cpu(spent.cpu);
                }
            }
        });
        if let Some(done) = pool.now() {
            self.fresh_pictures.drain(..).for_each(|received| ledger::picture(done.saturating_duration_since(received)));
        }
    }

    /// Sets out for the scene that has come in since the last tick.
    fn follow(&mut self, time_ms: u64) {
        let Some(scene) = self.next.take() else { return };
        match &mut self.motion {
            Some(motion) => motion.change(scene, time_ms),
            None => self.motion = Some(Motion::new(scene)),
        }
    }

    /// Takes the latest pictures and walks the stall ladder of each source.
    fn look(&mut self, now: Instant) {
        self.fresh_pictures.clear();
        for visible in &mut self.sources {
            let latest = visible.seen.slot.latest(now);
            let rung = visible.stall.check(latest.as_ref().map(|shown| shown.received), now);
            if rung.request_keyframe {
                self.parts.outlet.request_keyframe(visible.seen.track);
            }
            let shown = latest.filter(|_| rung.show);
            let before = visible.shown.as_ref().map(|shown| shown.sequence);
            // The first one that is seen of somebody may have been there for long.
            let is_next = |shown: &&Shown| before.is_some_and(|before| before != shown.sequence);
            if let Some(shown) = shown.as_ref().filter(is_next) {
                self.fresh_pictures.push(shown.received);
                if shown.due <= shown.received {
                    visible.arrivals.note(self.parts.cadence.turns(shown.ready));
                } else {
                    // Those that wait to be shown evenly are in no hurry.
                    visible.arrivals = Arrivals::default();
                }
            }
            visible.shown = shown;
        }
    }

    /// Says when its ticks should come, by when the pictures come that it shows; whoever speaks is looked at.
    fn settle(&self, scene: &Scene, sooner: Duration, now: Instant) {
        let comes = |visible: &&Visible| visible.shown.as_ref().is_some_and(|shown| now < shown.received + OF_LATE);
        let speaks = |visible: &Visible| scene.tiles.iter().any(|tile| tile.speaking && tile.source == Some(visible.seen.source));
        let weighed = self.sources.iter().filter(comes).map(|visible| (if speaks(visible) { SPEAKER } else { 1.0 }, &visible.arrivals));
        if let Some(sooner) = phase::best(weighed, self.parts.cadence.period(), sooner) {
            self.parts.sooner.store(sooner.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    fn set_scene(&mut self, scene: Arc<Scene>, sources: Vec<Seen>) {
        let mut before = std::mem::take(&mut self.sources);
        let keep = |seen: Seen| match before.iter().position(|old| old.seen.track == seen.track) {
            Some(index) => Visible { seen, ..before.swap_remove(index) },
            None => {
                let stall = Stall::new(seen.track.source == Source::Screen, self.parts.cadence.epoch());
                Visible { seen, stall, arrivals: Arrivals::default(), shown: None }
            }
        };
        self.sources = sources.into_iter().map(keep).collect();
        self.leaving.retain(|old| self.sources.iter().all(|new| new.seen.track != old.seen.track));
        self.leaving.append(&mut before);
        self.next = Some(scene);
        self.fresh = true;
    }

    fn rendition(&mut self, id: RenditionId, change: impl FnOnce(&mut Rendition)) {
        if let Some(rendition) = self.renditions.iter_mut().find(|rendition| rendition.id == id) {
            change(rendition);
        }
    }

    fn answer_snapshots(&mut self, now: Instant) {
        if self.snapshots.is_empty() {
            return;
        }
        let complete = self.sources.iter().all(|visible| visible.shown.is_some());
        let ready = |asked: &Instant| complete || now.saturating_duration_since(*asked) >= SNAPSHOT_PATIENCE;
        let mut frame = None;
        for index in (0..self.snapshots.len()).rev() {
            if ready(&self.snapshots[index].0) {
                let copy = frame.get_or_insert_with(|| Arc::new(self.parts.canvas.frame().clone()));
                let (_, reply) = self.snapshots.swap_remove(index);
                reply(Arc::clone(copy));
            }
        }
    }
}

impl Stage for View {
    type Input = Input;

    fn step(&mut self, input: Input) {
        match input {
            Input::Tick { n, due, now } => {
                self.tick(n, due, now);
                self.parts.pending.fetch_sub(1, Ordering::Release);
            }
            Input::Scene { scene, sources } => self.set_scene(scene, sources),
            Input::Open { id, key, patient, account } => self.renditions.push(Rendition::new(id, key, patient, account)),
            Input::Close(id) => self.renditions.retain(|rendition| rendition.id != id),
            Input::Layers(id, layered) => self.rendition(id, |rendition| rendition.set_layered(layered)),
            Input::Rate(id, bitrate_bps) => self.rendition(id, |rendition| rendition.set_bitrate(bitrate_bps)),
            Input::Keyframe(id, need) => self.rendition(id, |rendition| rendition.request_keyframe(need)),
            Input::Snapshot { asked, reply } => self.snapshots.push((asked, reply)),
        }
    }

    fn failed(&self) {
        self.parts.watch.event(StageEvent::Failed("view"));
    }
}

struct Latest<'a>(&'a [Visible], &'a [Visible]);

impl Pictures for Latest<'_> {
    fn latest(&self, source: SourceId) -> Option<Picture> {
        let shown = self.0.iter().chain(self.1).find(|visible| visible.seen.source == source)?.shown.as_ref()?;
        Some(Picture {
            frame: Arc::clone(&shown.frame),
            sequence: shown.sequence,
            quarter_turns: shown.orientation.quarter_turns,
            flip: shown.orientation.flip,
            scaled: None,
        })
    }
}

/// A canvas for a view of this size.
pub fn canvas(size: Size) -> Canvas {
    Canvas::new(size)
}
