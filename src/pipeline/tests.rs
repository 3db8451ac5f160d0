//! The video stages together, on virtual time, with real codecs and nobody else.

use super::decode::Decode;
use super::pool::{Pool, Stage as _};
use super::ticker::{self, Schedule};
use super::video::{Shared, Video};
use super::{Outlet, StageEvent, Watch};
use crate::ids::{CanvasId, ParticipantId, RenditionId, Source, TrackId};
use crate::ledger::{Bill, Spent, Stage};
use crate::media::{AudioOut, Orientation, VideoIn, VideoOut};
use crate::room::member::source_id;
use crate::room::plan::RenditionKey;
use mixdown_codecs::{EncoderConfig, I420Frame, Intra, Size, VideoCodec, VideoEncoder, gate, video};
use mixdown_layouts::{Cast, Layout, Person, Scene};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CANVAS: Size = Size::new(320, 180);
const VIEW: CanvasId = CanvasId(1);
const RENDITION: RenditionId = RenditionId(1);

#[derive(Default)]
struct Recorder {
    pictures: Mutex<Vec<Arc<VideoOut>>>,
    requests: Mutex<Vec<TrackId>>,
    events: Mutex<Vec<StageEvent>>,
    /// Takes no pictures.
    full: AtomicBool,
}

impl Outlet for Recorder {
    fn video(&self, _: RenditionId, picture: Arc<VideoOut>) -> bool {
        let takes = !self.full.load(Ordering::Relaxed);
        if takes {
            self.pictures.lock().unwrap().push(picture);
        }
        takes
    }

    fn audio(&self, _: &Arc<[ParticipantId]>, _: Arc<AudioOut>) {}

    fn request_keyframe(&self, track: TrackId) {
        self.requests.lock().unwrap().push(track);
    }
}

impl Watch for Recorder {
    fn event(&self, event: StageEvent) {
        self.events.lock().unwrap().push(event);
    }
}

struct Bench {
    now: Instant,
    recorder: Arc<Recorder>,
    video: Video,
    schedule: Schedule,
    track: TrackId,
    sender: Box<dyn VideoEncoder>,
    sent: u64,
    bill: Arc<Bill>,
}

impl Bench {
    fn new() -> Self {
        Self::on(Pool::Inline)
    }

    fn on(pool: Pool) -> Self {
        let now = crate::runtime::clock::now();
        let recorder = Arc::new(Recorder::default());
        let (ticker, schedule) = ticker::schedule();
        let shared = Shared { pool, ticker, limits: gate::Limits::default() };
        let bill = Arc::<Bill>::default();
        let video =
            Video::new(shared, Arc::clone(&recorder) as _, Arc::clone(&recorder) as _, now, std::time::UNIX_EPOCH, Arc::clone(&bill));
        let track = TrackId { participant: ParticipantId(1), source: Source::Camera };
        let config = EncoderConfig { size: CANVAS, fps: 30, bitrate_bps: 300_000, screen: false, layered: false };
        let sender = video::encoder(VideoCodec::Vp8, config).unwrap().unwrap();
        Self { now, recorder, video, schedule, track, sender, sent: 0, bill }
    }

    fn scene(&self) -> Arc<Scene> {
        let source = mixdown_layouts::Source { id: source_id(self.track), size: Some(CANVAS) };
        let person = Person { camera: Some(source), ..Person::plain(1) };
        let layout = Layout { labels: false, ..Layout::default() };
        Arc::new(layout.arrange(&Cast { people: vec![person], ..Cast::default() }, CANVAS, [0, 0, 0]))
    }

    fn open(&mut self) {
        self.open_view(30);
        self.open_rendition(RENDITION, 30);
    }

    fn open_view(&mut self, fps: u32) {
        let scene = self.scene();
        self.video.open_view(VIEW, fps, &scene);
        self.video.set_scene(VIEW, scene, &[self.track]);
    }

    fn open_rendition(&mut self, id: RenditionId, fps: u32) {
        let key = RenditionKey { codec: VideoCodec::Vp8, size: CANVAS, fps, bitrate_bps: 300_000, screen: false, apart: false };
        self.video.open_rendition(VIEW, id, key, false);
    }

    /// Pictures that come within a time.
    fn count(&mut self, time: Duration) -> usize {
        let before = self.pictures().len();
        self.run(time);
        self.pictures().len() - before
    }

    fn picture(&mut self, intra: Intra) -> VideoIn {
        let mut frame = I420Frame::black(CANVAS);
        frame.fill(60 + (self.sent % 100) as u8, 100, 150);
        let coded = self.sender.encode(&frame, self.sent * 33, intra).unwrap().unwrap();
        self.sent += 1;
        VideoIn {
            source: Source::Camera,
            codec: VideoCodec::Vp8,
            size: coded.keyframe.then_some(CANVAS),
            data: coded.data,
            keyframe: coded.keyframe,
            baseline: true,
            contiguous: true,
            orientation: Orientation::default(),
            rtp_time: self.sent * 3000,
            received: self.now,
            waits: Duration::ZERO,
            for_sound: Duration::ZERO,
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.schedule.step(self.now);
            while self.schedule.is_busy() {
                std::thread::yield_now();
            }
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
        }
    }

    fn pictures(&self) -> Vec<Arc<VideoOut>> {
        self.recorder.pictures.lock().unwrap().clone()
    }

    fn requests(&self) -> usize {
        self.recorder.requests.lock().unwrap().len()
    }
}

#[test]
fn a_view_ticks_at_its_rate_and_its_rtp_time_follows_the_ticks() {
    let mut bench = Bench::new();
    let [camera, _] = bench.video.open_tracks(bench.track.participant);
    bench.video.set_visible(bench.track, true);
    bench.open();
    for _ in 0..30 {
        let picture = bench.picture(Intra::Auto);
        camera.push(picture);
        bench.run(Duration::from_nanos(33_333_333));
    }
    let pictures = bench.pictures();
    assert!((29..=31).contains(&pictures.len()), "{}", pictures.len());
    assert!(pictures[0].keyframe && !pictures[1].keyframe);
    assert!(pictures.windows(2).all(|pair| pair[1].rtp_time - pair[0].rtp_time == 3000));
}

/// Receivers ask for a keyframe after a second without a picture.
#[test]
fn a_canvas_that_stands_still_is_encoded_once_a_second_whatever_its_rates_and_whenever_it_came_to_rest() {
    for (canvas, paced, rendition) in [(30, 30, 30), (30, 30, 15), (30, 30, 10), (30, 30, 5), (10, 10, 10), (30, 10, 30), (30, 10, 15)] {
        for phase in 0..6 {
            let mut bench = Bench::new();
            bench.open_view(canvas);
            bench.video.pace_view(VIEW, paced);
            bench.run(Duration::from_secs(phase) / paced);
            bench.open_rendition(RENDITION, rendition);
            bench.run(Duration::from_secs(4));
            let idle = bench.count(Duration::from_secs(10));
            assert!(
                (8..=12).contains(&idle),
                "{canvas} fps paced to {paced}, {rendition} of them, from tick {phase} on: {idle} in ten seconds"
            );
        }
    }
}

#[test]
fn a_canvas_that_stands_still_is_not_coded_anew_for_a_scene_that_it_shows_but_is_for_a_rendition_that_is_opened() {
    let mut bench = Bench::new();
    bench.open();
    bench.run(Duration::from_secs(3));
    let scene = bench.scene();
    bench.video.set_scene(VIEW, scene, &[bench.track]);
    let again = bench.count(Duration::from_secs(1));
    assert!(again <= 2, "{again} pictures because the scene was told again");
    bench.open_rendition(RenditionId(2), 30);
    let begins = bench.count(Duration::from_secs(1));
    assert!((29..=33).contains(&begins), "{begins} pictures in the first second of a rendition");
    let rests = bench.count(Duration::from_secs(5));
    assert!(rests <= 14, "{rests} pictures of two renditions that rest");
}

#[test]
fn a_keyframe_request_reaches_a_canvas_that_stands_still() {
    let mut bench = Bench::new();
    bench.open();
    bench.run(Duration::from_secs(5));
    let before = bench.pictures().len();
    bench.video.request_keyframe(VIEW, RENDITION, super::keyframes::Need::Joins);
    bench.run(Duration::from_millis(40));
    assert!(bench.pictures()[before..].iter().any(|picture| picture.keyframe));
}

/// Receivers could not tell: what they get is numbered without a gap.
#[test]
fn after_a_picture_that_the_network_did_not_take_comes_a_keyframe() {
    let mut bench = Bench::new();
    let [camera, _] = bench.video.open_tracks(bench.track.participant);
    bench.video.set_visible(bench.track, true);
    bench.open();
    for n in 0..24 {
        let picture = bench.picture(Intra::Auto);
        camera.push(picture);
        bench.recorder.full.store((5..7).contains(&n), Ordering::Relaxed);
        bench.run(Duration::from_nanos(33_333_333));
    }
    let pictures = bench.pictures();
    let after = pictures.windows(2).position(|pair| pair[1].rtp_time - pair[0].rtp_time > 3000).unwrap() + 1;
    let keyframes: Vec<_> = (0..pictures.len()).filter(|n| pictures[*n].keyframe).collect();
    assert_eq!(keyframes, [0, after]);
}

#[test]
fn what_nobody_sees_is_not_decoded() {
    let mut bench = Bench::new();
    let [camera, _] = bench.video.open_tracks(bench.track.participant);
    let picture = bench.picture(Intra::Force);
    camera.push(picture);
    assert!(bench.recorder.events.lock().unwrap().is_empty(), "a picture was decoded");
    bench.video.set_visible(bench.track, true);
    assert_eq!(bench.requests(), 1, "a track that becomes visible asks for a keyframe");
    let picture = bench.picture(Intra::Force);
    camera.push(picture);
    assert!(matches!(bench.recorder.events.lock().unwrap()[..], [StageEvent::TrackSize { size: CANVAS, .. }]));
}

#[test]
fn after_a_loss_nothing_is_shown_before_the_next_keyframe() {
    let mut bench = Bench::new();
    let [camera, _] = bench.video.open_tracks(bench.track.participant);
    bench.video.set_visible(bench.track, true);
    let scene = bench.scene();
    bench.video.open_view(VIEW, 30, &scene);
    bench.video.set_scene(VIEW, scene, &[bench.track]);
    for n in 0..6 {
        let mut picture = bench.picture(if n == 4 { Intra::Force } else { Intra::Auto });
        picture.contiguous = n != 2;
        camera.push(picture);
        let shown = luma(&mut bench);
        // sent: 60, 61, 62 …; 2 follows a gap, 3 builds on it, 4 is a keyframe
        let expected = 60 + [0, 1, 1, 1, 4, 5][n];
        assert!(shown.abs_diff(expected) <= 2, "picture {n}: shows {shown} instead of {expected}");
    }
    assert!(bench.requests() >= 2);
}

/// Luma in the middle of the canvas now.
fn luma(bench: &mut Bench) -> u8 {
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.video.snapshot(VIEW, bench.now, Box::new(move |frame| sender.send(frame).unwrap()));
    bench.run(Duration::from_millis(34));
    let frame = receiver.try_recv().unwrap();
    frame.planes().y[90 * 320 + 160]
}

#[test]
fn a_broken_stream_is_given_up_and_the_room_is_told() {
    let mut bench = Bench::new();
    let [camera, _] = bench.video.open_tracks(bench.track.participant);
    bench.video.set_visible(bench.track, true);
    for _ in 0..5 {
        let mut picture = bench.picture(Intra::Force);
        // a key frame header that claims 16383 x 16383
        picture.data = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0].into();
        picture.size = None;
        camera.push(picture);
    }
    let events = bench.recorder.events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, StageEvent::TrackQuarantined { .. })), "{events:?}");
}

#[test]
fn a_process_that_was_stopped_does_not_make_up_for_missed_ticks() {
    let mut bench = Bench::new();
    bench.open();
    bench.run(Duration::from_millis(200));
    let before = bench.pictures().len();
    bench.now += Duration::from_secs(30);
    bench.schedule.step(bench.now);
    let burst = bench.pictures().len() - before;
    assert!(burst <= 16, "{burst} pictures at once");
}

#[test]
fn what_each_stage_and_each_encode_takes_is_charged_on_workers_and_nothing_is_on_virtual_time() {
    for (pool, charged) in [(Pool::threads(2).unwrap(), true), (Pool::Inline, false)] {
        let mut bench = Bench::on(pool);
        let tracks = bench.video.open_tracks(bench.track.participant);
        bench.video.set_visible(bench.track, true);
        bench.open();
        for n in 1..=10 {
            let picture = bench.picture(if n == 1 { Intra::Force } else { Intra::Auto });
            tracks[0].push(picture);
            while bench.pictures().len() < n {
                bench.run(Duration::from_millis(34));
                std::thread::yield_now();
            }
        }
        let (cpu, pictures, bytes) = bench.video.account(VIEW, RENDITION).unwrap().get();
        assert!(pictures >= 10 && bytes > 100, "{pictures} pictures, {bytes} bytes");
        assert_eq!(!cpu.is_zero(), charged);
        for stage in [Stage::Decode, Stage::Compose, Stage::Encode] {
            assert_eq!(!bench.bill.get(stage).is_zero(), charged, "{stage:?}");
        }
        assert!(cpu <= bench.bill.get(Stage::Encode));
    }
}

/// A picture that somebody else has seen for a while says nothing of how long pictures take.
#[test]
fn the_time_that_a_picture_takes_is_not_noted_for_one_that_was_there_when_its_sender_came_into_the_view() {
    let noted = || {
        let text = crate::ledger::render(Duration::ZERO, Duration::ZERO);
        let count = text.lines().find_map(|line| line.strip_prefix("mixdown_picture_seconds_count "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let mut bench = Bench::on(Pool::threads(1).unwrap());
    let [camera, _] = bench.video.open_tracks(bench.track.participant);
    bench.video.set_visible(bench.track, true);
    let decoded = |bench: &mut Bench, intra| {
        let before = bench.bill.get(Stage::Decode);
        camera.push(bench.picture(intra));
        while bench.bill.get(Stage::Decode) == before {
            std::thread::yield_now();
        }
    };
    decoded(&mut bench, Intra::Force);
    bench.open();
    bench.run(Duration::from_millis(100));
    assert!(!bench.pictures().is_empty());
    assert_eq!(noted(), 0);
    decoded(&mut bench, Intra::Auto);
    bench.run(Duration::from_millis(34));
    assert_eq!(noted(), 1);
}

/// Where the machine has too much to do, everybody's pictures take long.
#[test]
fn a_sender_whose_pictures_wait_for_a_core_is_not_given_up_and_one_whose_pictures_take_it_is() {
    let bench = Bench::new();
    let recorder = &bench.recorder;
    let (outlet, watch) = (Arc::clone(recorder) as Arc<dyn Outlet>, Arc::clone(recorder) as Arc<dyn Watch>);
    let mut decode = Decode::new(bench.track, gate::Limits::default(), Arc::default(), Arc::default(), outlet, watch, Arc::default());
    let (short, long) = (Duration::from_millis(5), Duration::from_millis(600));
    for n in 0..100 {
        decode.spent(&Spent { cpu: short, took: long, done: bench.now + long * n });
    }
    assert!(bench.recorder.events.lock().unwrap().is_empty());
    decode.spent(&Spent { cpu: long, took: long, done: bench.now + long * 100 });
    assert!(matches!(bench.recorder.events.lock().unwrap()[..], [StageEvent::TrackQuarantined { reason: "too_slow", .. }]));
}

#[test]
fn a_view_that_nobody_sees_is_charged_and_is_no_picture_that_was_composed() {
    let mut bench = Bench::on(Pool::threads(1).unwrap());
    bench.open_view(30);
    while bench.bill.get(Stage::Compose).is_zero() {
        bench.run(Duration::from_millis(34));
        std::thread::yield_now();
    }
    let text = crate::ledger::render(Duration::ZERO, Duration::ZERO);
    assert!(text.contains("mixdown_stage_seconds_count{stage=\"compose\"} 0\n"), "{text}");
}
