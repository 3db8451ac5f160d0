//! In steady state a tick allocates nothing but what leaves the stages: the bytes of a coded picture or packet, and the envelope that all who
//! are sent it share. Both live as long as somebody sends or records them, so that no stage can use them again.
//!
//! A process of its own, because what counts is the allocator. Foreign code (libvpx, OpenH264, libopus) has its own and is not counted.
#![expect(clippy::unwrap_used, reason = "tests")]

use metrics_exporter_prometheus::PrometheusBuilder;
use mixdown::ids::{CanvasId, ParticipantId, RenditionId, Source, TrackId};
use mixdown::media::{AudioIn, AudioOut, Orientation, VideoIn, VideoOut};
use mixdown::pipeline::mix::{Input, Mix, Settings};
use mixdown::pipeline::pool::Pool;
use mixdown::pipeline::ticker::{self, Schedule};
use mixdown::pipeline::video::{Shared, Track, Video};
use mixdown::pipeline::{Outlet, StageEvent, Watch};
use mixdown::room::member::source_id;
use mixdown::room::plan::RenditionKey;
use mixdown::room::sound::{Blend, MixId, Place, Voicing};
use mixdown::runtime::clock;
use mixdown_codecs::{AudioCodec, EncoderConfig, I420Frame, Intra, Size, VideoCodec, gate, video};
use mixdown_layouts::{Cast, Layout, Person, PersonId, Scene};
use std::alloc::{GlobalAlloc, Layout as Shape, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

// SAFETY: hands everything on to the system's allocator as it came; the count is a plain cell of the calling thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, shape: Shape) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(shape) }
    }

    unsafe fn dealloc(&self, at: *mut u8, shape: Shape) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, shape) }
    }

    unsafe fn realloc(&self, at: *mut u8, shape: Shape, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, shape, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Bytes and envelope.
const PER_UNIT: u64 = 2;

/// Counts what leaves, and lets go of it.
#[derive(Default)]
struct Way {
    pictures: AtomicU64,
    packets: AtomicU64,
}

impl Outlet for Way {
    fn video(&self, _: RenditionId, _: Arc<VideoOut>) -> bool {
        self.pictures.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn audio(&self, _: &Arc<[ParticipantId]>, _: Arc<AudioOut>) {
        self.packets.fetch_add(1, Ordering::Relaxed);
    }

    fn request_keyframe(&self, _: TrackId) {}
}

impl Watch for Way {
    fn event(&self, _: StageEvent) {}
}

const PEOPLE: u64 = 4;
const CANVAS: Size = Size::new(640, 360);
const CAMERA: Size = Size::new(320, 180);

/// Four cameras in a grid that is encoded in two sizes.
struct Pictures {
    now: Instant,
    way: Arc<Way>,
    video: Video,
    schedule: Schedule,
    tracks: Vec<Track>,
    film: Vec<Arc<[u8]>>,
    sent: u64,
}

fn track(person: u64) -> TrackId {
    TrackId { participant: ParticipantId(u128::from(person)), source: Source::Camera }
}

fn film(codec: VideoCodec) -> Vec<Arc<[u8]>> {
    let config = EncoderConfig { size: CAMERA, fps: 30, bitrate_bps: 300_000, screen: false, layered: false };
    let mut encoder = video::encoder(codec, config).unwrap().unwrap();
    let mut frame = I420Frame::black(CAMERA);
    let picture = |n: u64| {
        for (at, value) in (0u64..).zip(frame.data_mut().iter_mut()) {
            *value = ((at + n * 3) / 9 * 13) as u8;
        }
        let intra = if n == 0 { Intra::Force } else { Intra::Auto };
        encoder.encode(&frame, n * 33, intra).unwrap().map(|picture| picture.data)
    };
    (0..30).filter_map(picture).collect()
}

fn scene() -> Arc<Scene> {
    let person = |n: u64| Person {
        id: PersonId(n),
        key: String::new(),
        identity: None,
        name: format!("Person {n}"),
        role: None,
        camera: Some(mixdown_layouts::Source { id: source_id(track(n)), size: Some(CAMERA) }),
        screen: None,
        muted: false,
        pinned: false,
        last_spoke: 0,
    };
    Arc::new(Layout::default().arrange(&Cast { people: (1..=PEOPLE).map(person).collect(), ..Cast::default() }, CANVAS, [0; 3]))
}

impl Pictures {
    fn new(codec: VideoCodec) -> Self {
        let (now, way, (ticker, schedule)) = (clock::now(), Arc::new(Way::default()), ticker::schedule());
        let shared = Shared { pool: Pool::Inline, ticker, limits: gate::Limits::default() };
        let mut video = Video::new(shared, Arc::clone(&way) as _, Arc::clone(&way) as _, now, std::time::UNIX_EPOCH, Arc::default());
        let mut tracks = Vec::new();
        for person in 1..=PEOPLE {
            let [camera, _] = video.open_tracks(track(person).participant);
            video.set_visible(track(person), true);
            tracks.push(camera);
        }
        let scene = scene();
        video.open_view(CanvasId(1), 30, &scene);
        video.set_scene(CanvasId(1), scene, &(1..=PEOPLE).map(track).collect::<Vec<_>>());
        for (id, size) in [(1, CANVAS), (2, CAMERA)] {
            let key = RenditionKey { codec, size, fps: 30, bitrate_bps: 6_000_000, screen: false, apart: false };
            video.open_rendition(CanvasId(1), RenditionId(id), key, false);
        }
        Self { now, way, video, schedule, tracks, film: film(codec), sent: 0 }
    }

    /// A picture of everybody, if `live`, and one tick.
    fn tick(&mut self, codec: VideoCodec, live: bool) {
        if live {
            let n = self.sent as usize % self.film.len();
            for track in &self.tracks {
                track.push(VideoIn {
                    source: Source::Camera,
                    codec,
                    size: (n == 0).then_some(CAMERA),
                    data: Arc::clone(&self.film[n]),
                    keyframe: n == 0,
                    baseline: true,
                    contiguous: true,
                    orientation: Orientation::default(),
                    rtp_time: self.sent * 3_000,
                    received: self.now,
                    waits: std::time::Duration::ZERO,
                    for_sound: std::time::Duration::ZERO,
                });
            }
            self.sent += 1;
        }
        self.now = self.schedule.step(self.now);
    }

    fn pictures(&self) -> u64 {
        self.way.pictures.load(Ordering::Relaxed)
    }
}

#[test]
fn a_tick_of_pictures_allocates_nothing_but_what_leaves() {
    let _ = PrometheusBuilder::new().install_recorder();
    for codec in [VideoCodec::Vp8, VideoCodec::H264] {
        let mut world = Pictures::new(codec);
        for live in [true, false] {
            (0..150).for_each(|_| world.tick(codec, live));
            let (before, sent) = (allocations(), world.pictures());
            (0..150).for_each(|_| world.tick(codec, live));
            let (made, left) = (allocations() - before, world.pictures() - sent);
            println!("{codec:?}, live {live}: {made} allocations in 150 ticks with {left} pictures coded");
            assert!(left >= if live { 200 } else { 1 }, "{left} pictures");
            assert!(made <= PER_UNIT * left, "{codec:?}, live {live}: {made} allocations, {left} pictures");
        }
        assert!(world.video.account(CanvasId(1), RenditionId(1)).is_some());
    }
}

/// Four who talk and six who listen.
struct Sound {
    epoch: Instant,
    way: Arc<Way>,
    mix: Mix,
    film: Vec<Arc<[u8]>>,
    n: u64,
}

impl Sound {
    fn new() -> Self {
        let (epoch, way) = (clock::now(), Arc::new(Way::default()));
        let mut mix = Mix::new(Settings::default(), epoch, Arc::clone(&way) as _);
        let people = || (1..=10).map(ParticipantId);
        people().take(PEOPLE as usize).for_each(|participant| mix.handle(Input::Speaker { participant, voicing: Voicing::default() }));
        let blend: Blend = people().take(PEOPLE as usize).map(|id| (id, Place::default())).collect();
        mix.handle(Input::Mix { mix: MixId(1), blend: Arc::new(blend) });
        people().for_each(|participant| mix.handle(Input::Listener { participant, codec: AudioCodec::Opus, mix: MixId(1) }));
        let mut encoder = mixdown_codecs::audio::encoder(AudioCodec::Opus, 48_000).unwrap();
        let packet = |n: usize| {
            let pcm: Vec<f32> = (0..1_920).map(|at| ((n * 960 + at / 2) as f32 * 0.03).sin() * 0.2).collect();
            encoder.encode(&pcm).unwrap()
        };
        Self { epoch, way, mix, film: (0..100).filter_map(packet).collect(), n: 0 }
    }

    /// A packet of everybody who speaks, if `live`, and one tick.
    fn tick(&mut self, live: bool) {
        let now = self.epoch + Duration::from_millis(self.n * 20);
        for person in (1..=PEOPLE).filter(|_| live) {
            let packet = AudioIn {
                source: Source::Microphone,
                codec: AudioCodec::Opus,
                data: Arc::clone(&self.film[self.n as usize % self.film.len()]),
                sequence: self.n,
                rtp_time: self.n * 960,
                level_dbov: Some(-20),
                received: now,
                waits: std::time::Duration::ZERO,
                evenly: std::time::Duration::ZERO,
            };
            self.mix.handle(Input::Packet { from: ParticipantId(u128::from(person)), packet });
        }
        self.mix.tick(now, self.n, &mut |_| ());
        self.n += 1;
    }
}

#[test]
fn a_tick_of_sound_allocates_nothing_but_what_leaves() {
    let _ = PrometheusBuilder::new().install_recorder();
    let mut world = Sound::new();
    for live in [true, false] {
        (0..200).for_each(|_| world.tick(live));
        let (before, sent) = (allocations(), world.way.packets.load(Ordering::Relaxed));
        (0..200).for_each(|_| world.tick(live));
        let (made, left) = (allocations() - before, world.way.packets.load(Ordering::Relaxed) - sent);
        println!("live {live}: {made} allocations in 200 ticks with {left} packets coded");
        assert!(left >= if live { 1_000 } else { 1 }, "{left} packets");
        assert!(made <= PER_UNIT * left, "live {live}: {made} allocations, {left} packets");
    }
}
