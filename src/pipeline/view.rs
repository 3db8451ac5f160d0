//! One view: composes its canvas at every tick and encodes each of its renditions once.
//!
//! Flow per tick: `latest pictures → stall ladder → Motion::at → Canvas::draw → each rendition's encoder → Outlet`.
//! A canvas on which nothing changes is encoded only now and then. A new scene is reported once the canvas rests in it.

use super::keyframes::Coalescer;
use super::pool::{Pool, Stage};
use super::slot::{Shown, Slot};
use super::stall::Stall;
use super::{Outlet, StageEvent, Watch};
use crate::cadence::Cadence;
use crate::ids::{CanvasId, RenditionId, Source, TrackId};
use crate::media::VideoOut;
use crate::room::plan::RenditionKey;
use mixdown_codecs::{EncodeError, I420Frame, Intra, Size, VideoEncoder};
use mixdown_layouts::draw::{Canvas, Moment, Picture, Pictures};
use mixdown_layouts::motion::Motion;
use mixdown_layouts::{Scene, SourceId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// After this many ticks without a change (the picture has then reached its quality) …
const SETTLED: u32 = 30;
/// … only every so many ticks are encoded, so that receivers see that the stream lives.
const IDLE_EVERY: u32 = 15;
/// The longest that a snapshot waits for pictures that are still missing.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(1);

/// Where the pictures of one source come from.
#[derive(Clone)]
pub struct Seen {
    pub source: SourceId,
    pub track: TrackId,
    pub slot: Arc<Slot>,
}

pub type SnapshotReply = Box<dyn FnOnce(Arc<I420Frame>) + Send>;

pub enum Input {
    /// Compose tick `n` at `now`.
    Tick {
        n: u64,
        now: Instant,
    },
    Scene {
        scene: Arc<Scene>,
        sources: Vec<Seen>,
    },
    Open {
        id: RenditionId,
        key: RenditionKey,
    },
    Close(RenditionId),
    Keyframe(RenditionId),
    Snapshot {
        asked: Instant,
        reply: SnapshotReply,
    },
}

/// What a view is made of.
pub struct Parts {
    pub id: CanvasId,
    pub cadence: Cadence,
    /// Where several renditions are encoded side by side.
    pub pool: Pool,
    /// Ticks handed over and not yet composed; the ticker skips a view that is behind.
    pub pending: Arc<AtomicU32>,
    pub outlet: Arc<dyn Outlet>,
    pub watch: Arc<dyn Watch>,
    /// The cadence's epoch on the calendar.
    pub wall: SystemTime,
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
    snapshots: Vec<(Instant, SnapshotReply)>,
    unchanged: u32,
}

struct Visible {
    seen: Seen,
    stall: Stall,
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
            snapshots: Vec::new(),
            unchanged: 0,
        }
    }

    fn tick(&mut self, n: u64, now: Instant) {
        let time_ms = self.parts.cadence.time(n).saturating_duration_since(self.parts.cadence.epoch()).as_millis() as u64;
        self.follow(time_ms);
        self.look(now);
        let Some(motion) = &mut self.motion else { return };
        let moment = Moment { ms: time_ms, unix_s: self.epoch_unix_s + (time_ms / 1000) as i64 };
        let damage = self.parts.canvas.draw_at(motion.at(time_ms), &Latest(&self.sources, &self.leaving), moment);
        let (scene, resting) = (Arc::clone(motion.target()), !motion.is_moving());
        self.unchanged = if damage.is_empty() { self.unchanged.saturating_add(1) } else { 0 };
        let rtp_time = self.parts.cadence.rtp_time(n, 90_000);
        if resting && std::mem::take(&mut self.fresh) {
            self.leaving.clear();
            self.parts.watch.event(StageEvent::SceneShown { canvas: self.parts.id, scene, rtp_time });
        }
        self.answer_snapshots(now);
        let idle = self.unchanged > SETTLED && !self.unchanged.is_multiple_of(IDLE_EVERY);
        let tick = Tick { now, rtp_time, time_ms, wallclock: self.parts.cadence.time(n) };
        let (canvas, outlet) = (self.parts.canvas.frame(), &*self.parts.outlet);
        self.parts.pool.each(&mut self.renditions, |rendition| {
            if !idle || rendition.keyframes.is_wanted() {
                rendition.encode(canvas, &tick, outlet);
            }
        });
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
        for visible in &mut self.sources {
            let latest = visible.seen.slot.latest(now);
            let rung = visible.stall.check(latest.as_ref().map(|shown| shown.received), now);
            if rung.request_keyframe {
                self.parts.outlet.request_keyframe(visible.seen.track);
            }
            visible.shown = latest.filter(|_| rung.show);
        }
    }

    fn set_scene(&mut self, scene: Arc<Scene>, sources: Vec<Seen>) {
        let mut before = std::mem::take(&mut self.sources);
        let keep = |seen: Seen| match before.iter().position(|old| old.seen.track == seen.track) {
            Some(index) => Visible { seen, ..before.swap_remove(index) },
            None => {
                let stall = Stall::new(seen.track.source == Source::Screen, self.parts.cadence.epoch());
                Visible { seen, stall, shown: None }
            }
        };
        self.sources = sources.into_iter().map(keep).collect();
        self.leaving.retain(|old| self.sources.iter().all(|new| new.seen.track != old.seen.track));
        self.leaving.append(&mut before);
        self.next = Some(scene);
        self.fresh = true;
        self.unchanged = 0;
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
            Input::Tick { n, now } => {
                self.tick(n, now);
                self.parts.pending.fetch_sub(1, Ordering::Release);
            }
            Input::Scene { scene, sources } => self.set_scene(scene, sources),
            Input::Open { id, key } => self.renditions.push(Rendition::new(id, key)),
            Input::Close(id) => self.renditions.retain(|rendition| rendition.id != id),
            Input::Keyframe(id) => {
                if let Some(rendition) = self.renditions.iter_mut().find(|rendition| rendition.id == id) {
                    rendition.keyframes.request();
                }
            }
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

struct Tick {
    now: Instant,
    rtp_time: u64,
    time_ms: u64,
    wallclock: Instant,
}

/// One encode of the view.
struct Rendition {
    id: RenditionId,
    key: RenditionKey,
    encoder: Option<Box<dyn VideoEncoder>>,
    keyframes: Coalescer,
    /// The network did not take the picture before: whatever refers to it must not follow.
    broken: bool,
}

impl Rendition {
    fn new(id: RenditionId, key: RenditionKey) -> Self {
        Self { id, key, encoder: None, keyframes: Coalescer::default(), broken: false }
    }

    fn encode(&mut self, canvas: &I420Frame, tick: &Tick, outlet: &dyn Outlet) {
        if canvas.size() != self.key.size {
            return; // the canvas has just changed its size; this rendition is about to be closed
        }
        if self.broken && self.keyframes.next(tick.now) != Intra::Force {
            return;
        }
        match self.encode_picture(canvas, tick) {
            Ok(Some(picture)) => {
                self.broken = !outlet.video(self.id, Arc::new(picture));
                if self.broken {
                    self.keyframes.request();
                }
            }
            Ok(None) => metrics::counter!("mixdown_encoder_skips_total").increment(1),
            Err(error) => {
                metrics::counter!("mixdown_encode_errors_total").increment(1);
                tracing::warn!(rendition = %self.id, %error, "encoder rebuilt");
                self.encoder = None;
            }
        }
    }

    fn encode_picture(&mut self, canvas: &I420Frame, tick: &Tick) -> Result<Option<VideoOut>, EncodeError> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => {
                let built = mixdown_codecs::video::encoder(self.key.codec, self.key.encoder());
                self.encoder.insert(built.ok_or(EncodeError::Settings("codec not in this build"))??)
            }
        };
        let coded = encoder.encode(canvas, tick.time_ms, self.keyframes.next(tick.now))?;
        let Some(coded) = coded else { return Ok(None) };
        metrics::counter!("mixdown_encodes_total", "kind" => "video").increment(1);
        if coded.keyframe {
            self.keyframes.sent(tick.now);
            metrics::counter!("mixdown_keyframes_total").increment(1);
        }
        let (rtp_time, wallclock) = (tick.rtp_time, tick.wallclock);
        Ok(Some(VideoOut { codec: self.key.codec, data: coded.data, keyframe: coded.keyframe, rtp_time, wallclock }))
    }
}

/// A canvas for a view of this size.
pub fn canvas(size: Size) -> Canvas {
    Canvas::new(size)
}
