//! Stories of whole recordings on their threads: disks that stall, panics.

use super::disk::{self, Disk};
use super::queue::Need;
use super::testing::{Fake, Medium, media, packet, picture};
use super::timeline::Timeline;
use super::*;
use crate::runtime::clock;
use std::sync::mpsc::{Receiver, Sender, channel};

const LONG: Duration = Duration::from_secs(30);

struct Said(Sender<Event>);

impl Report for Said {
    fn event(&self, _: RecordingId, event: Event) {
        // The test may have seen enough.
        let _ = self.0.send(event);
    }
}

struct Stage {
    _folder: tempfile::TempDir,
    store: Store,
    recorder: Recorder,
    events: Receiver<Event>,
}

/// A recording on a disk of the test's.
fn stage(disk: impl Disk + 'static) -> Stage {
    stage_with(disk, Settings::default())
}

fn stage_with(disk: impl Disk + 'static, settings: Settings) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(Settings { folder: folder.path().join("recordings"), ..settings }).unwrap();
    let (said, events) = channel();
    let manifest = Manifest::new(RecordingId(1), &"standup".parse().unwrap(), "main", clock::rfc3339(clock::wall()));
    let recorder = Recorder::start(&store, manifest, clock::now(), move |_| Ok(Box::new(disk)), Arc::new(Said(said))).unwrap();
    Stage { _folder: folder, store, recorder, events }
}

impl Stage {
    /// How often a keyframe was asked for.
    fn play(&self, from_ms: u64, to_ms: u64) -> usize {
        let asked = media(from_ms, to_ms).into_iter().filter(|medium| match medium {
            Medium::Picture(tick) => self.recorder.video(&picture(*tick)) == Need::Keyframe,
            Medium::Packet(tick) => {
                self.recorder.audio(&packet(*tick));
                false
            }
        });
        asked.count()
    }

    fn next(&self) -> Event {
        self.events.recv_timeout(LONG).expect("an event")
    }

    fn ended(&self) -> Manifest {
        loop {
            if let Event::Ended(manifest) = self.next() {
                return *manifest;
            }
        }
    }
}

#[test]
fn a_disk_that_stalls_holds_nobody_up_and_costs_pictures_before_sound() {
    let disk = Fake::default();
    let stage = stage(disk.clone());
    assert!(matches!(stage.next(), Event::Ready));
    disk.stall(true);
    stage.play(0, 2000);
    disk.wait_for_a_waiter();
    // Twenty seconds while nothing can be written: this returns at once, and asks for nothing that would be lost.
    assert_eq!(stage.play(2000, 22_000), 0);
    disk.stall(false);
    stage.recorder.stop(Reason::Requested);
    let manifest = stage.ended();
    assert_eq!(
        (manifest.state, manifest.duration_ms, manifest.packets),
        (State::Complete, 21_991, 1100),
        "the last packet ends 9 ms earlier than its time says"
    );
    assert_eq!((manifest.lost_packets, manifest.pictures + manifest.lost_pictures), (0, 660));
    assert!((150..=210).contains(&manifest.pictures), "five seconds waited: {}", manifest.pictures);
    let timeline: Timeline = serde_json::from_slice(&disk.file(disk::TIMELINE).unwrap()).unwrap();
    let [gap] = timeline.gaps.as_slice() else { panic!("{:?}", timeline.gaps) };
    assert_eq!((gap.track, gap.to_ms, gap.lost), (mp4::Kind::Video, manifest.duration_ms, manifest.lost_pictures));
}

#[test]
fn f35_a_disk_that_stalls_again_and_again_costs_groups_of_pictures_and_only_after_minutes_sound() {
    let disk = Fake::default();
    let stage = stage(disk.clone());
    assert!(matches!(stage.next(), Event::Ready));
    for round in 0..3 {
        disk.stall(true);
        // What comes in the very moment of resuming is still covered by the slate.
        stage.play(round * 12_000 + 100 * round.min(1), round * 12_000 + 2000);
        disk.wait_for_a_waiter();
        stage.play(round * 12_000 + 2000, round * 12_000 + 12_000);
        disk.stall(false);
        assert!(stage.recorder.pause(PauseMode::Slate, None));
        while !matches!(stage.next(), Event::State(State::Paused)) {}
        assert!(stage.recorder.resume());
    }
    disk.stall(true);
    stage.play(36_100, 38_000);
    disk.wait_for_a_waiter();
    stage.play(38_000, 400_000);
    disk.stall(false);
    stage.recorder.stop(Reason::Requested);
    let manifest = stage.ended();
    let timeline: Timeline = serde_json::from_slice(&disk.file(disk::TIMELINE).unwrap()).unwrap();
    let of = |kind| timeline.gaps.iter().filter(move |gap| gap.track == kind).collect::<Vec<_>>();
    let (video, audio) = (of(mp4::Kind::Video), of(mp4::Kind::Audio));
    assert_eq!((video.len(), audio.len()), (4, 1), "{:?}", timeline.gaps);
    assert!(audio[0].from_ms > video[3].from_ms + 60_000, "sound goes last: {:?}", timeline.gaps);
    assert_eq!(video.iter().map(|gap| gap.lost).sum::<u64>(), manifest.lost_pictures);
    assert_eq!((audio[0].lost, manifest.state), (manifest.lost_packets, State::Complete));
}

#[test]
fn after_a_stall_pictures_go_on_with_a_keyframe_that_was_asked_for() {
    let disk = Fake::default();
    let stage = stage(disk.clone());
    assert!(matches!(stage.next(), Event::Ready));
    disk.stall(true);
    stage.play(0, 2000);
    disk.wait_for_a_waiter();
    stage.play(2000, 12_000);
    disk.stall(false);
    // A pause waits until all before it is written, whatever the machine's speed.
    assert!(stage.recorder.pause(PauseMode::Slate, None));
    while !matches!(stage.next(), Event::State(State::Paused)) {}
    assert!(stage.recorder.resume());
    assert!(stage.play(12_100, 15_000) > 0, "a keyframe is asked for");
    stage.recorder.stop(Reason::Requested);
    let manifest = stage.ended();
    assert_eq!((manifest.state, manifest.duration_ms), (State::Complete, 15_000));
    let timeline: Timeline = serde_json::from_slice(&disk.file(disk::TIMELINE).unwrap()).unwrap();
    assert_eq!((timeline.gaps.len(), timeline.pauses.len()), (1, 1));
    assert_eq!(timeline.pauses[0].to_ms, 13_500, "the next keyframe");
}

#[test]
fn media_are_fetched_without_a_command_and_all_at_a_time() {
    let stage = stage_with(Fake::default(), Settings { max_duration: Some(Duration::from_secs(2)), ..Settings::default() });
    stage.play(0, 3000);
    let manifest = stage.ended();
    assert_eq!((manifest.state, manifest.reason), (State::Complete, Some(Reason::MaxDuration)));
    assert!((2000..2040).contains(&manifest.duration_ms));
}

/// A disk whose user panics.
struct Trap;

impl Disk for Trap {
    fn create(&self, _: &str) -> io::Result<Box<dyn disk::DiskFile>> {
        panic!("a trap")
    }

    fn open(&self, _: &str) -> io::Result<Box<dyn disk::DiskFile>> {
        panic!("a trap")
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        panic!("a trap")
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        panic!("a trap")
    }

    fn sync(&self) -> io::Result<()> {
        panic!("a trap")
    }

    fn space(&self) -> io::Result<disk::Space> {
        Ok(disk::Space { free: u64::MAX, total: u64::MAX })
    }
}

#[test]
fn a_panic_ends_the_one_recording() {
    let stage = stage(Trap);
    let manifest = stage.ended();
    assert_eq!((manifest.state, manifest.reason), (State::Failed, Some(Reason::InternalError)));
    assert_eq!(stage.store.wait(LONG), 0);
    stage.play(0, 1000);
    assert!(!stage.recorder.stop(Reason::Requested), "it has ended");
}

#[test]
fn a_disk_that_breaks_while_it_runs_is_told_within_two_seconds_of_media() {
    let disk = Fake::default();
    let stage = stage(disk.clone());
    assert!(matches!(stage.next(), Event::Ready));
    stage.play(0, 1000);
    while !matches!(stage.next(), Event::State(State::Active)) {}
    disk.break_with(Some(io::ErrorKind::StorageFull));
    stage.play(1000, 3000);
    let manifest = stage.ended();
    assert_eq!((manifest.state, manifest.reason), (State::Failed, Some(Reason::NoSpace)));
}
