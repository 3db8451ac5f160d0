use super::super::mp4::fixtures::{LARGE_H264, units};
use super::super::mp4::{Bytes, Kind};
use super::super::queue::{Command, Item};
use super::super::session::{self, Session};
use super::super::testing::{Fake, Medium, media, packet, picture};
use super::*;
use crate::ids::{ParticipantId, RecordingId};

const WALL: SystemTime = SystemTime::UNIX_EPOCH;
const OPTIONS: Options = Options { sync_every: Duration::from_secs(5), reserve: Reserve { bytes: 4096, percent: 100 }, progressive: true };

/// A writer with its session, on virtual time.
struct Desk {
    session: Session,
    writer: Writer,
    now: Instant,
}

fn manifest() -> Manifest {
    Manifest::new(RecordingId(1), &"standup".parse().unwrap(), "main", "1970-01-01T00:00:00.000Z".into())
}

fn desk_with(disk: &Fake, options: Options, usage: Arc<Usage>) -> Result<Desk, Fault> {
    let now = crate::runtime::clock::now();
    let writer = Writer::begin(Box::new(disk.clone()), options, usage, manifest(), now)?;
    let (fragment, sound_late) = (Duration::from_secs(1), Ticks::default());
    let session = Session::new(session::Options { fragment, max_duration: None, tracks: Default::default(), sound_late });
    Ok(Desk { session, writer, now })
}

fn desk(disk: &Fake) -> Desk {
    desk_with(disk, OPTIONS, Usage::new(0, 0)).unwrap()
}

impl Desk {
    fn handle(&mut self, item: Item) -> Result<(), Fault> {
        self.session.handle(item, WALL);
        while let Some(output) = self.session.poll_output() {
            self.writer.write(&output, self.now, WALL)?;
        }
        Ok(())
    }

    fn play(&mut self, from_ms: u64, to_ms: u64) -> Result<(), Fault> {
        let start = self.now;
        for medium in media(from_ms, to_ms) {
            match medium {
                Medium::Picture(tick) => self.handle(Item::Picture { picture: picture(tick), lost: 0 })?,
                Medium::Packet(tick) => {
                    self.now = start + Duration::from_millis(tick * 20 - from_ms);
                    self.handle(Item::Packet { packet: packet(tick), lost: 0 })?;
                }
            }
        }
        Ok(())
    }

    fn speak(&mut self, name: &str) {
        let participant = ParticipantId(9);
        for event in [TimelineEvent::Joined { participant, name: name.into() }, TimelineEvent::Speaker { participant: Some(participant) }] {
            self.handle(Item::Note { event, rtp_time: None, wall: WALL }).unwrap();
        }
    }

    fn finish(self, reason: Reason) -> Manifest {
        let ((pictures, lost_pictures), (packets, lost_packets)) = (self.session.count(Kind::Video), self.session.count(Kind::Audio));
        let totals = Totals { reason, duration: self.session.duration(), pictures, packets, lost_pictures, lost_packets };
        self.writer.finish(totals, WALL)
    }

    fn stop(mut self) -> Manifest {
        self.handle(Item::Command { command: Command::Stop(Reason::Requested), wall: WALL }).unwrap();
        self.finish(Reason::Requested)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stored(disk: &Fake) -> Manifest {
    serde_json::from_slice(&disk.file(MANIFEST).unwrap()).unwrap()
}

fn check_files(disk: &Fake, manifest: &Manifest) {
    let names = [CHAPTERS, MANIFEST, MEDIA, THUMBNAIL, TIMELINE].into_iter().filter(|name| *name != THUMBNAIL || manifest.pictures > 0);
    assert_eq!(disk.names(), names.collect::<Vec<_>>(), "{manifest:?}");
    assert_eq!(&stored(disk), manifest);
    for file in &manifest.files {
        let bytes = disk.file(&file.name).unwrap();
        assert_eq!((file.bytes, &file.sha256), (bytes.len() as u64, &sha256(&bytes)), "{}", file.name);
    }
    assert_eq!(manifest.files.len(), disk.names().len() - 1);
    let timeline: Timeline = serde_json::from_slice(&disk.file(TIMELINE).unwrap()).unwrap();
    assert_eq!(timeline.duration_ms, manifest.duration_ms);
}

#[test]
fn a_clean_stop_leaves_a_progressive_file_with_all_that_belongs_to_it() {
    let disk = Fake::default();
    let usage = Usage::new(0, 0);
    let mut desk = desk_with(&disk, OPTIONS, Arc::clone(&usage)).unwrap();
    assert_eq!(stored(&disk).state, State::Starting);
    desk.play(0, 3000).unwrap();
    desk.speak("Ann");
    desk.play(3000, 6000).unwrap();
    assert_eq!(stored(&disk).state, State::Active);
    let manifest = desk.stop();
    assert_eq!((manifest.state, manifest.form, manifest.reason), (State::Complete, Form::Progressive, Some(Reason::Requested)));
    assert_eq!((manifest.duration_ms, manifest.pictures, manifest.packets), (6000, 180, 300));
    assert_eq!(manifest.video, Some(Video { codec: "h264".into(), width: 160, height: 120 }));
    check_files(&disk, &manifest);
    assert!(String::from_utf8(disk.file(CHAPTERS).unwrap()).unwrap().contains("00:00:06.000\nAnn"));
    assert_eq!(usage.bytes(), manifest.bytes());
}

#[test]
fn data_are_synced_every_five_seconds() {
    let disk = Fake::default();
    let mut desk = desk(&disk);
    desk.play(0, 1000).unwrap();
    let before = disk.syncs();
    desk.play(1000, 4900).unwrap();
    assert_eq!(disk.syncs(), before);
    desk.play(4900, 6100).unwrap();
    assert_eq!(disk.syncs(), before + 2, "media and timeline");
    desk.writer.tick(desk.now + Duration::from_secs(60)).unwrap();
    desk.writer.tick(desk.now + Duration::from_secs(120)).unwrap();
    assert_eq!(disk.syncs(), before + 3, "what is synced is not synced again");
}

/// Fifty places with a fixed seed.
fn places(end: usize) -> impl Iterator<Item = usize> {
    (1..=50u64).map(move |n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % end)
}

#[test]
fn a_killed_process_leaves_what_is_closed_later_up_to_the_last_seconds() {
    let disk = Fake::default();
    let mut desk = desk(&disk);
    desk.play(0, 4000).unwrap();
    desk.speak("Ann");
    desk.play(4000, 8000).unwrap();
    let whole = disk.file(MEDIA).unwrap();
    assert!(scan::scan(whole.as_slice()).unwrap().duration >= Ticks::from_ms(6900), "a second waits in memory");
    for cut in places(whole.len()) {
        let left = disk.killed(MEDIA, cut);
        let manifest = recover(&left, manifest(), Reason::Interrupted, WALL).unwrap();
        assert_eq!((manifest.state, manifest.reason), (State::Interrupted, Some(Reason::Interrupted)));
        check_files(&left, &manifest);
        let media = left.file(MEDIA).unwrap();
        match scan::scan(media.as_slice()) {
            Ok(found) => assert_eq!((found.duration.ms(), found.torn), (manifest.duration_ms, false), "cut at {cut}"),
            Err(_) => assert_eq!(manifest.duration_ms, 0, "cut at {cut}"),
        }
        assert_eq!(recover(&left, super::tests::manifest(), Reason::Interrupted, WALL).unwrap(), manifest, "once is enough");
    }
}

#[test]
fn a_recording_whose_manifest_is_lost_is_closed_all_the_same() {
    let disk = Fake::default();
    let mut desk = desk(&disk);
    desk.play(0, 3000).unwrap();
    for length in [0, 10] {
        let left = disk.killed(MANIFEST, length);
        let manifest = recover(&left, manifest(), Reason::Interrupted, WALL).unwrap();
        assert_eq!((manifest.state, manifest.room.as_str()), (State::Interrupted, "standup"));
        assert!(manifest.duration_ms >= 1900);
    }
}

#[test]
fn a_process_that_is_killed_while_it_closes_has_stopped() {
    let disk = Fake::default();
    let mut desk = desk(&disk);
    desk.play(0, 3000).unwrap();
    let running = disk.killed("", 0);
    let done = desk.stop();
    // Just before the rewritten file took its place, and just after.
    let stopping = Manifest { state: State::Stopping, form: Form::Fragmented, files: Vec::new(), ..done.clone() };
    for media in [running.file(MEDIA).unwrap(), disk.file(MEDIA).unwrap()] {
        let left = Fake::default();
        for (name, bytes) in [
            (MEDIA, media.as_slice()),
            (MANIFEST, &stopping.json()),
            (JOURNAL, &running.file(JOURNAL).unwrap()),
            ("media.mp4.new", b"half"),
        ] {
            left.create(name).unwrap().append(bytes).unwrap();
        }
        let manifest = recover(&left, super::tests::manifest(), Reason::Interrupted, WALL).unwrap();
        assert_eq!((manifest.state, manifest.reason), (State::Complete, Some(Reason::Requested)));
        assert_eq!(manifest.form == Form::Progressive, media == disk.file(MEDIA).unwrap());
        check_files(&left, &manifest);
    }
}

/// The closing must not take more than was free, and leaves a file that plays.
fn check_failed(disk: &Fake, manifest: &Manifest, reason: Reason) {
    assert_eq!((manifest.state, manifest.reason, manifest.form), (State::Failed, Some(reason), Form::Fragmented));
    check_files(disk, manifest);
    let found = scan::scan(disk.file(MEDIA).unwrap().as_slice()).unwrap();
    assert_eq!((found.torn, found.duration.ms(), found.pictures), (false, manifest.duration_ms, manifest.pictures));
    assert!(found.pictures > 0);
    let timeline: Timeline = serde_json::from_slice(&disk.file(TIMELINE).unwrap()).unwrap();
    let last = timeline.events.last().unwrap();
    assert_eq!(last.event, TimelineEvent::Stopped { reason: reason.name().into() });
}

#[test]
fn a_disk_is_left_before_it_is_full() {
    let disk = Fake::with_capacity((1 << 20) + 40_000);
    let mut desk = desk(&disk);
    let fault = desk.play(0, 60_000).unwrap_err();
    assert!(disk.space().unwrap().free >= OPTIONS.reserve.bytes, "{:?}", disk.space());
    let manifest = desk.finish(fault.reason());
    check_failed(&disk, &manifest, Reason::NoSpace);
}

#[test]
fn a_disk_that_others_fill_leaves_a_file_that_plays_and_room_to_close_it() {
    for others in 0..30 {
        let disk = Fake::default();
        let mut desk = desk(&disk);
        desk.play(0, 4000).unwrap();
        // The check sees room enough; the write does not fit.
        let used = (1u64 << 40) - disk.space().unwrap().free;
        desk.writer.options.reserve = Reserve { bytes: 0, percent: 0 };
        disk.set_capacity_unseen(used as usize + others * 257);
        let fault = desk.play(4000, 60_000).unwrap_err();
        let manifest = desk.finish(fault.reason());
        check_failed(&disk, &manifest, Reason::NoSpace);
    }
}

#[test]
fn a_disk_that_refuses_ends_the_recording_and_spoils_nothing() {
    let disk = Fake::default();
    let mut desk = desk(&disk);
    desk.play(0, 3000).unwrap();
    disk.break_with(Some(io::ErrorKind::Other));
    let fault = desk.play(3000, 6000).unwrap_err();
    assert_eq!(fault.reason(), Reason::DiskError);
    let manifest = desk.finish(fault.reason());
    assert_eq!((manifest.state, manifest.reason), (State::Failed, Some(Reason::DiskError)));
    // Nothing could be written; the next start closes it.
    disk.break_with(None);
    let manifest = recover(&disk, super::tests::manifest(), Reason::Interrupted, WALL).unwrap();
    check_files(&disk, &manifest);
    assert!(manifest.duration_ms >= 1900);
}

#[test]
fn all_recordings_together_keep_to_the_quota() {
    let disk = Fake::default();
    let usage = Usage::new(1_000_000, 2_080_000);
    let mut desk = desk_with(&disk, OPTIONS, Arc::clone(&usage)).unwrap();
    let fault = desk.play(0, 60_000).unwrap_err();
    assert!(usage.bytes() <= 2_080_000);
    let manifest = desk.finish(fault.reason());
    check_failed(&disk, &manifest, Reason::Quota);
    assert_eq!(usage.bytes(), 1_000_000 + manifest.bytes(), "what it had set aside is given back");
    assert!(matches!(desk_with(&Fake::default(), OPTIONS, Usage::new(5, 5)), Err(Fault::Quota)));
}

#[test]
fn nothing_begins_on_a_disk_that_is_full() {
    assert!(matches!(desk_with(&Fake::with_capacity(1000), OPTIONS, Usage::new(0, 0)), Err(Fault::NoSpace)));
    let reserve = Reserve { bytes: 1 << 30, percent: 5 };
    assert_eq!((reserve.of(4 << 20), reserve.of(1 << 40)), ((4 << 20) / 100 * 5, 1 << 30));
}

#[test]
fn where_there_is_no_room_for_a_second_file_the_first_stays() {
    let disk = Fake::with_capacity((1 << 20) + 28_000);
    let mut desk = desk(&disk);
    desk.play(0, 3000).unwrap();
    let manifest = desk.stop();
    assert_eq!((manifest.state, manifest.form), (State::Complete, Form::Fragmented));
    check_files(&disk, &manifest);
    assert!(disk.file(MEDIA).unwrap().as_slice().length().unwrap() > units(LARGE_H264).len() as u64);
}

#[test]
fn a_recording_without_a_picture_has_no_media() {
    let disk = Fake::default();
    let mut desk = desk(&disk);
    desk.handle(Item::Command { command: Command::Stop(Reason::Requested), wall: WALL }).unwrap();
    let manifest = desk.finish(Reason::NoPicture);
    assert_eq!((manifest.state, manifest.files.len(), manifest.duration_ms), (State::Failed, 2, 0));
}
