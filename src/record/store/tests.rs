use super::super::manifest::State;
use super::super::testing::{Medium, media, packet, picture};
use super::super::{Event, Recorder, Report, Start, mp4};
use super::*;
use crate::record::tracks::Mode;
use crate::record::upload;
use crate::room::Framing;
use crate::runtime::clock;
use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};

const LONG: Duration = Duration::from_secs(30);

struct Said(Sender<Event>);

impl Report for Said {
    fn event(&self, _: RecordingId, event: Event) {
        // The test may have seen enough.
        let _ = self.0.send(event);
    }
}

fn settings(folder: &tempfile::TempDir) -> Settings {
    let (reserve_bytes, retention) = (1 << 20, Some(Duration::from_secs(3600)));
    Settings { folder: folder.path().join("recordings"), reserve_bytes, retention, ..Settings::default() }
}

fn start(store: &Store, id: u128) -> (Recorder, Receiver<Event>) {
    let (said, events) = channel();
    let start = Start {
        id: RecordingId(id),
        room: "standup".parse().unwrap(),
        framing: Framing::default(),
        wall: crate::runtime::clock::wall(),
        tracks: Mode::Composite,
        epoch: clock::now(),
    };
    (store.start(start, Arc::new(Said(said))).unwrap(), events)
}

fn play(recorder: &Recorder, from_ms: u64, to_ms: u64) {
    for medium in media(from_ms, to_ms) {
        match medium {
            Medium::Picture(tick) => drop(recorder.video(&picture(tick))),
            Medium::Packet(tick) => recorder.audio(&packet(tick)),
        }
    }
}

fn ended(events: &Receiver<Event>) -> Manifest {
    loop {
        if let Event::Ended(manifest) = events.recv_timeout(LONG).expect("an event") {
            return *manifest;
        }
    }
}

#[test]
fn media_in_another_bucket_than_the_one_that_is_set_are_not_taken_from_that() {
    let folder = tempfile::tempdir().unwrap();
    let upload = upload::Settings {
        url: "s3://films/a".into(),
        endpoint: "http://127.0.0.1:9".into(),
        region: "x".into(),
        path_style: true,
        access_key_id: "k".into(),
        secret_access_key: upload::Hidden("s".into()),
        service_account_file: String::new(),
        part_bytes: 5 << 20,
        timeout: Duration::from_secs(5),
        keep_local: false,
        delete_unconfirmed: false,
        retry: (LONG, LONG),
    };
    let (store, _) = Store::open(Settings { upload: Some(upload), ..settings(&folder) }).unwrap();
    let id = RecordingId(1);
    store.create_folder(id).unwrap();
    for (bucket, there) in [("films", true), ("other", false)] {
        let url = format!("s3://{bucket}/a/{id}/media.mp4");
        let confirmed = [("media.mp4".to_owned(), 77)].into();
        store.note_upload(id, &upload::Upload { url, confirmed, remote: Some(3), ..Default::default() }).unwrap();
        let found = store.media(id);
        match there {
            true => assert!(matches!(found, Ok(Media::Remote { bytes: 77, fragments: 3 })), "{bucket}"),
            false => assert!(matches!(found, Err(Refusal::Unknown)), "{bucket}"),
        }
    }
}

#[test]
fn a_recording_is_made_listed_read_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (store, unfinished) = Store::open(settings(&folder)).unwrap();
    assert!(unfinished.is_empty());
    let (recorder, events) = start(&store, 7);
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Ready)));
    play(&recorder, 0, 3000);
    assert!(matches!(store.delete(recorder.id()), Err(Refusal::Running)));
    assert!(recorder.stop(Reason::Requested));
    assert!(!recorder.stop(Reason::Requested));
    let manifest = ended(&events);
    assert_eq!((manifest.state, manifest.duration_ms, manifest.pictures), (State::Complete, 3000, 90));
    assert_eq!(store.wait(LONG), 0);
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&manifest));
    assert_eq!(store.bytes(), manifest.bytes());
    let mut media = Vec::new();
    store.reader(manifest.id, Part::Media).unwrap().read_to_end(&mut media).unwrap();
    assert_eq!(media.len() as u64, manifest.files[0].bytes);
    assert!(store.reader(manifest.id, Part::Chapters).is_ok() && store.reader(manifest.id, Part::Timeline).is_ok());
    store.delete(manifest.id).unwrap();
    assert!(matches!(store.manifest(manifest.id), Err(Refusal::Unknown)));
    assert!(matches!(store.delete(manifest.id), Err(Refusal::Unknown)));
    assert_eq!((store.list().unwrap().len(), store.bytes()), (0, 0));
    assert_eq!(std::fs::read_dir(folder.path().join("recordings")).unwrap().count(), 1, "the lock alone");
}

#[test]
fn a_recorder_that_is_let_go_closes_its_recording() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(settings(&folder)).unwrap();
    let (recorder, events) = start(&store, 8);
    play(&recorder, 0, 2000);
    drop(recorder);
    let manifest = ended(&events);
    assert_eq!((manifest.state, manifest.reason, manifest.duration_ms), (State::Complete, Some(Reason::RoomEnded), 2000));
}

#[test]
fn an_id_is_used_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(settings(&folder)).unwrap();
    let (first, events) = start(&store, 9);
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Ready)));
    let (said, _events) = channel();
    let again = Start {
        id: first.id(),
        room: "standup".parse().unwrap(),
        framing: Framing::default(),
        wall: SystemTime::UNIX_EPOCH,
        tracks: Mode::Composite,
        epoch: clock::now(),
    };
    assert_eq!(store.start(again, Arc::new(Said(said))).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    assert!(matches!(store.delete(first.id()), Err(Refusal::Running)), "the first still runs");
    play(&first, 0, 1000);
    drop(first);
    assert_eq!(ended(&events).state, State::Complete);
}

#[test]
fn what_a_dead_process_left_is_found_closed_and_marked_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(settings(&folder)).unwrap();
    let (recorder, events) = start(&store, 10);
    play(&recorder, 0, 4000);
    recorder.stop(Reason::Requested);
    let whole = ended(&events);
    drop((recorder, store));
    // As it was before the end: running, fragmented, in the middle of a fragment.
    let place = folder.path().join("recordings").join(whole.id.to_string());
    let film = mp4::tests::fragmented(2);
    std::fs::write(place.join(disk::MEDIA), &film[..film.len() - 7]).unwrap();
    std::fs::write(place.join(disk::RESERVE), [0; 100]).unwrap();
    let running = Manifest { state: State::Active, reason: None, ended_at: None, files: Vec::new(), ..whole };
    std::fs::write(place.join(MANIFEST), running.json()).unwrap();
    std::fs::create_dir(folder.path().join("recordings/deleted-rec_1")).unwrap();
    std::fs::write(folder.path().join("recordings/deleted-rec_1/media.mp4"), "x").unwrap();
    std::fs::create_dir(folder.path().join("recordings/somebody else's")).unwrap();

    let (store, unfinished) = Store::open(settings(&folder)).unwrap();
    assert_eq!(unfinished, [running.id]);
    assert!(!folder.path().join("recordings/deleted-rec_1").exists());
    let manifest = store.recover(running.id, Reason::Interrupted, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((manifest.state, manifest.room.as_str()), (State::Interrupted, "standup"));
    assert!((4500..6000).contains(&manifest.duration_ms), "{}", manifest.duration_ms);
    assert_eq!(store.bytes(), manifest.bytes());
    drop(store);
    assert!(Store::open(settings(&folder)).unwrap().1.is_empty());
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(settings(&folder)).unwrap();
    assert!(matches!(Store::open(settings(&folder)), Err(Error::Busy(_))));
    drop(first);
    assert!(Store::open(settings(&folder)).is_ok());
}

#[test]
fn what_is_older_than_it_may_be_goes_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(settings(&folder)).unwrap();
    let (recorder, events) = start(&store, 11);
    play(&recorder, 0, 1000);
    drop(recorder);
    let manifest = ended(&events);
    let (running, events) = start(&store, 12);
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Ready)));
    let now = crate::runtime::clock::wall();
    assert!(store.sweep(now).unwrap().is_empty());
    assert_eq!(store.sweep(now + Duration::from_secs(3700)).unwrap(), [manifest.id]);
    assert_eq!(store.list().unwrap().len(), 1, "one that runs has no age");
    drop(running);
}

#[test]
fn a_link_in_a_recording_s_place_is_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(settings(&folder)).unwrap();
    let id = RecordingId(13);
    std::os::unix::fs::symlink("/etc", folder.path().join("recordings").join(id.to_string())).unwrap();
    assert!(matches!(store.reader(id, Part::Media), Err(Refusal::Unknown)));
    assert!(matches!(store.delete(id), Err(Refusal::Unknown)));
    assert!(matches!(store.recover(id, Reason::Interrupted, SystemTime::UNIX_EPOCH), Err(Refusal::Unknown)));
}
