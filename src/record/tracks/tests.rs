//! Tracks from units to files and back, on a disk in memory.

use super::files::{self, Files, INDEX};
use super::stage::{Output, Tracks};
use super::*;
use crate::record::disk::{Disk, DiskFile, Space};
use crate::record::mp4::scan::Walk;
use crate::record::testing::{self, Fake};
use mixdown_codecs::{AudioCodec, Size, VideoCodec};
use std::io;
use std::time::{Duration, SystemTime};

const ANN: ParticipantId = ParticipantId(1);
const CAMERA: TrackId = TrackId { participant: ANN, source: Source::Camera };
const WALL: SystemTime = SystemTime::UNIX_EPOCH;

struct Room {
    tracks: Tracks,
    files: Files,
    disk: Fake,
    broken: usize,
}

impl Room {
    fn new() -> Self {
        Self { tracks: Tracks::new(Duration::from_secs(1)), files: Files::default(), disk: Fake::default(), broken: 0 }
    }

    fn drain(&mut self) {
        while let Some(output) = self.tracks.poll_output() {
            self.broken += usize::from(matches!(output, Output::Broken(_)));
            self.files.write(&self.disk, &output).unwrap();
        }
    }

    fn unit(&mut self, at_ms: u64, medium: Medium) {
        self.unit_that(false, at_ms, medium);
    }

    fn unit_that(&mut self, resumes: bool, at_ms: u64, medium: Medium) {
        let unit = Unit { participant: ANN, name: "Ann".into(), at: Ticks::from_ms(at_ms), resumes, medium };
        self.tracks.handle(unit, 0, &Some, WALL);
        self.drain();
    }

    fn picture(&mut self, at_ms: u64, tick: u64, size: Option<Size>) {
        self.unit(at_ms, Medium::Picture(picture(tick, size)));
    }

    fn packet(&mut self, at_ms: u64, n: u64) {
        self.unit(at_ms, Medium::Packet(packet(n)));
    }

    fn end(mut self) -> (Vec<Stretch>, Fake) {
        self.tracks.stop(&Some, WALL);
        self.drain();
        self.files.sync(&self.disk).unwrap();
        (files::conclude(&self.disk).unwrap(), self.disk)
    }
}

/// Keyframes have a size, which need not be what the bytes say.
fn picture(tick: u64, size: Option<Size>) -> VideoIn {
    let coded = testing::picture(tick);
    VideoIn {
        source: Source::Camera,
        codec: VideoCodec::H264,
        data: coded.data,
        keyframe: coded.keyframe,
        size: coded.keyframe.then_some(size.unwrap_or(Size::new(160, 120))),
        baseline: true,
        contiguous: true,
        orientation: Default::default(),
        rtp_time: 900_000 + tick * 3000,
        received: coded.wallclock,
        waits: std::time::Duration::ZERO,
        for_sound: std::time::Duration::ZERO,
    }
}

fn packet(n: u64) -> AudioIn {
    let coded = testing::packet(n);
    AudioIn {
        source: Source::Microphone,
        codec: AudioCodec::Opus,
        data: coded.data,
        sequence: 7000 + n,
        rtp_time: 48_000 + n * 960,
        level_dbov: None,
        received: coded.wallclock,
        waits: std::time::Duration::ZERO,
        evenly: std::time::Duration::ZERO,
    }
}

fn starts(disk: &Fake, file: &str) -> Vec<u64> {
    let bytes = disk.file(file).unwrap();
    let mut walk = Walk::new(bytes.as_slice()).unwrap();
    let mut starts = Vec::new();
    while let Some(runs) = walk.next_fragment().unwrap() {
        for run in runs {
            let mut at = run.start;
            for sample in run.samples {
                starts.push(Ticks::of(run.kind, at).ms());
                at += u64::from(sample.duration);
            }
        }
    }
    starts
}

#[test]
fn each_track_is_a_file_that_says_when_it_begins() {
    let mut room = Room::new();
    for n in 0..90 {
        room.picture(1000 + n * 1000 / 30, n, None);
    }
    for n in 0..100 {
        room.packet(2500 + n * 20, n);
    }
    let (tracks, disk) = room.end();
    let [camera, microphone] = tracks.as_slice() else { panic!("{tracks:?}") };
    assert_eq!((camera.begun.file.as_str(), camera.begun.name.as_str(), camera.units), ("camera-0001.mp4", "Ann", 90));
    assert_eq!((camera.begun.codec.as_str(), camera.begun.width, camera.begun.offset_us), ("h264", Some(160), 1_000_000));
    assert!(camera.duration_us.abs_diff(3_000_000) < 2000, "{}", camera.duration_us);
    assert_eq!((microphone.begun.source.as_str(), microphone.begun.codec.as_str(), microphone.units), ("microphone", "opus", 100));
    assert!(microphone.begun.offset_us.abs_diff(2_500_000) < 1000 && microphone.duration_us.abs_diff(2_000_000) < 1000, "{microphone:?}");
    assert!(disk.file(INDEX).is_some() && disk.file(files::JOURNAL).is_none());
    assert!(files::end_ms(&tracks).abs_diff(4500) <= 2);
}

#[test]
fn another_size_is_another_file_and_a_sender_that_never_rests_gets_no_more() {
    let mut room = Room::new();
    let sizes = [(160, 120), (320, 240), (160, 120), (320, 240)];
    for n in 0..180 {
        let (width, height) = sizes[n as usize / 45];
        room.picture(n * 1000 / 30, n, Some(Size::new(width, height)));
    }
    assert!(room.broken > 0, "the third change within five seconds asks for another keyframe, later");
    let (tracks, disk) = room.end();
    assert_eq!(tracks.iter().map(|track| track.units).collect::<Vec<_>>(), [45, 45, 45]);
    assert!(tracks.windows(2).all(|pair| pair[0].begun.offset_us + pair[0].duration_us <= pair[1].begun.offset_us + 1000), "{tracks:?}");
    assert_eq!(starts(&disk, "camera-0002.mp4")[0], 0, "times in a file are its own");
}

#[test]
fn another_codec_is_another_file_that_begins_with_its_keyframe() {
    let mut room = Room::new();
    let vp8 = |n: u64, unit: u64| {
        let coded = testing::vp8_picture(unit);
        let size = coded.keyframe.then_some(Size::new(160, 120));
        Medium::Picture(VideoIn { codec: VideoCodec::Vp8, data: coded.data, keyframe: coded.keyframe, size, ..picture(n, None) })
    };
    (0..45).for_each(|n| room.picture(n * 1000 / 30, n, None));
    room.unit(1500, vp8(45, 46));
    assert_eq!(room.broken, 1, "none of the other codec before a keyframe");
    (46..90).for_each(|n| room.unit(n * 1000 / 30, vp8(n, n - 46)));
    (90..120).for_each(|n| room.picture(n * 1000 / 30, n, None));
    let (tracks, _) = room.end();
    let files: Vec<_> = tracks.iter().map(|track| (track.begun.file.as_str(), track.begun.codec.as_str(), track.units)).collect();
    assert_eq!(files, [("camera-0001.mp4", "h264", 45), ("camera-0002.mp4", "vp8", 44), ("camera-0003.mp4", "h264", 30)]);
    let begins = tracks.iter().map(|track| track.begun.offset_us / 1000);
    assert!(begins.zip([0, 1533, 3000]).all(|(begin, at)| begin.abs_diff(at) <= 2), "{tracks:?}");
}

#[test]
fn sound_out_of_order_is_put_in_order_and_what_is_lost_is_told() {
    let mut room = Room::new();
    let order = [0, 1, 3, 2, 4, 5, 5, 8, 9, 10];
    for n in order.into_iter().chain(11..60) {
        room.packet(1000 + n * 20, n);
    }
    let (tracks, disk) = room.end();
    assert_eq!((tracks[0].units, tracks[0].gaps.len(), tracks[0].gaps[0].lost), (58, 1, 2), "{tracks:?}");
    let starts = starts(&disk, &tracks[0].begun.file);
    assert!(starts.is_sorted() && starts[5] <= 101 && starts[6].abs_diff(160) <= 2, "{starts:?}");
    let gap = tracks[0].gaps[0];
    assert!(gap.from_us.abs_diff(1_120_000) < 2000 && gap.to_us.abs_diff(1_160_000) < 2000, "{gap:?}");
}

#[test]
fn what_was_withheld_is_no_loss_and_none_of_it_comes_after_all() {
    let mut room = Room::new();
    (0..30).for_each(|n| room.packet(1000 + n * 20, n));
    room.unit_that(true, 3000, Medium::Packet(packet(100)));
    // Late, from while it was withheld; then one is lost.
    [99, 101, 102, 104].into_iter().chain(105..130).for_each(|n| room.packet(1000 + n * 20, n));
    let (tracks, disk) = room.end();
    assert_eq!((tracks[0].units, tracks[0].gaps.len(), tracks[0].gaps[0].lost), (59, 1, 1), "{tracks:?}");
    let starts = starts(&disk, &tracks[0].begun.file);
    assert!(starts[29].abs_diff(580) <= 2 && starts[30].abs_diff(2000) <= 2, "{starts:?}");
}

#[test]
fn a_queue_that_is_full_when_a_track_resumes_says_so_with_what_it_takes_next_and_loses_nothing_twice() {
    let mut gates = gate::Gates::default();
    let mut offer = |resumes, fits| {
        let medium = Medium::Packet(packet(0));
        let unit = Unit { participant: ANN, name: "Ann".into(), at: Ticks::from_ms(0), resumes, medium };
        gates.offer(&unit, fits, Duration::from_secs(10)).0.map(|taken| (taken.lost, taken.resumes))
    };
    let taken = [(true, false), (false, false), (false, true), (false, true)].map(|(resumes, fits)| offer(resumes, fits));
    assert_eq!(taken, [None, None, Some((0, true)), Some((0, false))], "the numbers say what is lost");
}

#[test]
fn silence_writes_what_waits_then_closes_the_file_and_who_comes_back_has_another() {
    let mut room = Room::new();
    for n in 0..20 {
        room.packet(n * 20, n);
    }
    let before = room.disk.file("microphone-0001.mp4").unwrap().len();
    room.tracks.tick(Ticks::from_ms(2500), WALL, &Some);
    room.drain();
    assert!(room.disk.file("microphone-0001.mp4").unwrap().len() > before);
    room.tracks.tick(Ticks::from_ms(40_000), WALL, &Some);
    room.drain();
    for n in 20..40 {
        room.packet(50_000 + n * 20, n);
    }
    let (tracks, _) = room.end();
    assert_eq!(tracks.iter().map(|track| track.units).collect::<Vec<_>>(), [20, 20]);
    assert!(tracks[1].begun.offset_us.abs_diff(50_400_000) < 1000);
}

#[test]
fn a_file_begins_with_a_keyframe_and_units_before_the_recording_are_none_of_it() {
    let mut room = Room::new();
    room.picture(100, 1, None);
    assert_eq!(room.broken, 1);
    let unit =
        Unit { participant: ANN, name: "Ann".into(), at: Ticks::from_ms(200), resumes: false, medium: Medium::Picture(picture(0, None)) };
    room.tracks.handle(unit, 0, &|_| None, WALL);
    room.drain();
    assert_eq!((room.broken, room.tracks.is_empty()), (2, true));
}

#[test]
fn what_a_killed_process_leaves_is_whole_up_to_its_last_fragment() {
    let mut room = Room::new();
    for n in 0..150 {
        room.picture(n * 1000 / 30, n, None);
        room.packet(n * 1000 / 30, n);
    }
    let length = room.disk.file("camera-0001.mp4").unwrap().len();
    for cut in [0, 30, 700, length / 3, length / 2, length - 1, length] {
        let left = room.disk.killed("camera-0001.mp4", cut);
        let tracks = files::conclude(&left).unwrap();
        let camera = tracks.iter().find(|track| track.begun.source == "camera");
        match camera {
            Some(camera) => assert_eq!(left.file("camera-0001.mp4").unwrap().len() as u64, camera.bytes, "cut at {cut}"),
            None => assert!(cut < length / 3 && left.file("camera-0001.mp4").is_none(), "cut at {cut}"),
        }
        if cut == length {
            assert!(camera.unwrap().duration_us > 3_500_000, "{camera:?}");
        }
        assert_eq!(files::conclude(&left).unwrap(), tracks, "once is enough");
        let _ = left.sync();
    }
}

#[test]
fn what_was_seen_of_a_file_that_grows_is_not_looked_at_again_nor_are_others() {
    let mut room = Room::new();
    let mut seen = files::Seen::default();
    let mut read = |room: &Room, look: &mut dyn FnMut(&Fake, &mut files::Seen) -> u64| {
        let before = room.disk.read();
        (look(&room.disk, &mut seen), room.disk.read() - before)
    };
    let mut list =
        |disk: &Fake, seen: &mut files::Seen| -> u64 { files::list(disk, seen).unwrap().iter().map(|track| track.duration_us).sum() };
    (0..600).for_each(|n| room.packet(n * 20, n));
    (0..900).for_each(|n| room.picture(n * 1000 / 30, n, None));
    let (first, all) = read(&room, &mut list);
    (900..960).for_each(|n| room.picture(n * 1000 / 30, n, None));
    let (second, more) = read(&room, &mut list);
    assert!(second >= first + 1_000_000 && more < all / 3, "{first} µs and {second} µs, {all} and {more} bytes");
    let (found, one) = read(&room, &mut |disk, seen| files::find(disk, "camera-0002.mp4", seen).unwrap().unwrap().duration_us);
    assert!(found > 29_000_000 && one < more, "{found} µs, {one} and {more} bytes");
    let (none, _) = read(&room, &mut |disk, seen| u64::from(files::find(disk, "../x", seen).unwrap().is_some()));
    assert_eq!(none, 0);
    let (tracks, disk) = room.end();
    assert_eq!(files::list(&disk, &mut files::Seen::default()).unwrap(), tracks);
}

#[test]
fn a_gate_asks_at_the_beginning_after_a_loss_and_every_ten_seconds_but_not_all_the_time() {
    use crate::record::queue::Need;
    let mut gates = gate::Gates::default();
    let offer = |gates: &mut gate::Gates, at_ms: u64, keyframe: bool, contiguous: bool| {
        let picture = VideoIn { keyframe, contiguous, ..picture(0, None) };
        let unit =
            Unit { participant: ANN, name: "Ann".into(), at: Ticks::from_ms(at_ms), resumes: false, medium: Medium::Picture(picture) };
        let (taken, need) = gates.offer(&unit, true, Duration::from_secs(10));
        (taken.map(|taken| taken.lost), need == Need::Keyframe)
    };
    assert_eq!(offer(&mut gates, 0, false, true), (None, true));
    assert_eq!(offer(&mut gates, 33, false, true), (None, false));
    assert_eq!(offer(&mut gates, 533, false, true), (None, true));
    assert_eq!(offer(&mut gates, 600, true, true), (Some(0), false));
    assert_eq!(offer(&mut gates, 633, false, true), (Some(0), false));
    assert_eq!(offer(&mut gates, 666, false, false), (None, true));
    assert_eq!(offer(&mut gates, 700, false, true), (None, false), "nothing after a loss");
    assert_eq!(offer(&mut gates, 800, true, true), (Some(2), false));
    assert_eq!(offer(&mut gates, 10_800, false, true), (Some(0), true));
    gates.break_off(CAMERA);
    assert_eq!(offer(&mut gates, 10_833, false, true).0, None);
}

/// A recording that ends right after it was looked whether it has.
struct Ends(Fake);

impl Disk for Ends {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let found = self.0.open(name);
        if name == INDEX {
            files::conclude(&self.0)?;
        }
        found
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }
}

#[test]
fn tracks_are_listed_also_while_their_recording_ends() {
    let mut room = Room::new();
    (0..90).for_each(|n| room.picture(n * 1000 / 30, n, None));
    let tracks = files::list(&Ends(room.disk), &mut files::Seen::default()).unwrap();
    assert_eq!(tracks.iter().map(|track| track.begun.file.as_str()).collect::<Vec<_>>(), ["camera-0001.mp4"]);
}
