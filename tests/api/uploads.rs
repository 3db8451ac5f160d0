//! Recordings that go to an S3 server while they are made: content, faults of the server and of the line, restarts, deletion.

#[path = "../../src/record/mp4/fixtures.rs"]
#[allow(dead_code, reason = "shared with the unit tests, which use all of it")]
mod fixtures;

use crate::recordings::Process;
use crate::s3::{BUCKET, Line, S3, free_port, program};
use fixtures::{LARGE_H264, SOUND, is_keyframe, units};
use mixdown::ids::{ParticipantId, RecordingId, Source};
use mixdown::media::{AudioOut, Orientation, VideoIn, VideoOut};
use mixdown::record::mp4::Ticks;
use mixdown::record::store::Media;
use mixdown::record::tracks::{Medium, Mode, Unit};
use mixdown::record::upload::{self, FRAGMENTS, Hidden, State, Told, Upload};
use mixdown::record::{Event, Manifest, Part, Reason, Recorder, Report, Settings, Start, Store};
use mixdown::room::Framing;
use mixdown::runtime::clock;
use mixdown_codecs::{AudioCodec, Size, VideoCodec};
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_stream::StreamExt;
use tokio_util::sync::{CancellationToken, DropGuard};

const LONG: Duration = Duration::from_secs(30);
const PART: u64 = 32 << 10;

/// A store with its uploads running.
struct Desk {
    folder: tempfile::TempDir,
    settings: upload::Settings,
    store: Store,
    stop: CancellationToken,
    _guard: DropGuard,
    told: Arc<Heard>,
}

#[derive(Default)]
struct Heard(Mutex<Vec<upload::Shown>>);

impl Told for Heard {
    fn upload(&self, manifest: &Manifest) {
        self.0.lock().expect("whole").extend(manifest.upload.clone());
    }
}

struct Said(Sender<Event>);

impl Report for Said {
    fn event(&self, _: RecordingId, event: Event) {
        // The test may have seen enough.
        let _ = self.0.send(event);
    }
}

fn desk(port: u16, change: impl FnOnce(&mut upload::Settings)) -> Desk {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = upload::Settings {
        url: format!("s3://{BUCKET}/a/b"),
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "us-east-1".into(),
        path_style: true,
        access_key_id: "AKIAEXAMPLE".into(),
        secret_access_key: Hidden("sesame".into()),
        service_account_file: String::new(),
        part_bytes: PART,
        timeout: LONG,
        keep_local: true,
        delete_unconfirmed: false,
        retry: (Duration::from_millis(50), Duration::from_millis(500)),
    };
    change(&mut settings);
    let store = open(&folder, &settings);
    let stop = CancellationToken::new();
    let mut desk = Desk { folder, settings, store, _guard: stop.clone().drop_guard(), stop, told: Arc::default() };
    desk.begin();
    desk
}

fn open(folder: &tempfile::TempDir, upload: &upload::Settings) -> Store {
    let settings = Settings {
        folder: folder.path().join("recordings"),
        reserve_bytes: 0,
        // Media come faster than they are played.
        queue_bytes: 1 << 30,
        queue_span: Duration::from_secs(36_000),
        retention: Some(Duration::from_secs(3600)),
        upload: Some(upload.clone()),
        ..Settings::default()
    };
    Store::open(settings).expect("opened").0
}

impl Desk {
    fn begin(&mut self) {
        self.stop = CancellationToken::new();
        self._guard = self.stop.clone().drop_guard();
        tokio::spawn(upload::run(self.store.clone(), Arc::clone(&self.told) as _, self.stop.clone()));
    }

    /// As after the end of the process: nothing goes on but what stands in the folder.
    async fn restart(self) -> Self {
        let Self { folder, settings, store, stop, _guard, told } = self;
        stop.cancel();
        drop(store);
        for _ in 0..1000 {
            // What was about to be read or written still holds the folder.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let lock = std::fs::File::options().write(true).open(folder.path().join("recordings/lock")).expect("a lock");
            if lock.try_lock().is_ok() {
                break;
            }
        }
        let store = open(&folder, &settings);
        Self { folder, settings, store, stop, _guard, told }
    }

    fn record(&self, id: u128) -> (Recorder, Receiver<Event>) {
        self.record_as(id, Mode::Composite)
    }

    fn record_as(&self, id: u128, tracks: Mode) -> (Recorder, Receiver<Event>) {
        let (said, events) = channel();
        let start = Start {
            id: RecordingId(id),
            room: "standup".parse().expect("a room"),
            framing: Framing::default(),
            wall: clock::wall(),
            tracks,
            epoch: clock::now(),
        };
        let recorder = self.store.start(start, Arc::new(Said(said))).expect("begun");
        assert!(matches!(events.recv_timeout(LONG), Ok(Event::Ready)));
        (recorder, events)
    }

    /// Waits until the upload fulfils something.
    async fn until(&self, id: RecordingId, fulfilled: impl Fn(&Upload) -> bool) -> Upload {
        let mut last = None;
        for _ in 0..3000 {
            last = self.store.upload(id).ok().flatten();
            if let Some(upload) = last.as_ref().filter(|upload| fulfilled(upload)) {
                return upload.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{last:#?}");
    }

    async fn complete(&self, id: RecordingId) -> Upload {
        self.until(id, |upload| upload.state == State::Complete).await
    }

    fn local(&self, id: RecordingId, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.store.file(id, name).expect("a file").read_to_end(&mut bytes).expect("read");
        bytes
    }

    /// Everything that is here is there, byte for byte.
    fn compare(&self, server: &S3, id: RecordingId) {
        let manifest = self.store.manifest(id).expect("a manifest");
        assert!(manifest.files.len() >= 3, "{manifest:?}");
        for name in manifest.files.iter().map(|file| file.name.as_str()) {
            assert!(server.object(&key(id, name)).is_some_and(|there| there == self.local(id, name)), "{name}");
        }
        let there: Value = serde_json::from_slice(&server.object(&key(id, "manifest.json")).expect("a manifest")).expect("JSON");
        assert_eq!((there["id"].as_str(), there.get("upload")), (Some(id.to_string().as_str()), None));
        assert!(!server.listed().1.contains("<UploadId>"), "nothing is left of uploads in parts: {}", server.listed().1);
    }
}

fn key(id: RecordingId, name: &str) -> String {
    format!("a/b/{id}/{name}")
}

/// Seconds `from..to` of a film, about 4 kB each.
fn play(recorder: &Recorder, from: u64, to: u64) {
    let (pictures, packets) = (units(LARGE_H264), units(SOUND));
    let wallclock = clock::now();
    for tick in from * 150..to * 150 {
        if tick % 3 == 0 {
            let data = packets[(tick / 3) as usize % packets.len()];
            recorder.audio(&AudioOut { codec: AudioCodec::Opus, data: data.into(), rtp_time: tick / 3 * 960, wallclock });
        }
        if tick % 5 == 0 {
            let data = pictures[(tick / 5) as usize % pictures.len()];
            let (keyframe, rtp_time) = (is_keyframe(data, false), tick / 5 * 3000);
            let _ = recorder.video(&VideoOut { codec: VideoCodec::H264, data: data.into(), keyframe, layer: 0, rtp_time, wallclock });
        }
    }
}

/// The same seconds as a participant's own.
fn speak(recorder: &Recorder, from: u64, to: u64) {
    let pictures = units(LARGE_H264);
    for tick in from * 30..to * 30 {
        let data = pictures[tick as usize % pictures.len()];
        let keyframe = is_keyframe(data, false);
        let medium = Medium::Picture(VideoIn {
            source: Source::Camera,
            codec: VideoCodec::H264,
            data: data.into(),
            keyframe,
            size: keyframe.then_some(Size::new(640, 360)),
            baseline: true,
            contiguous: true,
            orientation: Orientation::default(),
            rtp_time: tick * 3000,
            received: clock::now(),
            waits: std::time::Duration::ZERO,
            for_sound: std::time::Duration::ZERO,
        });
        let (participant, name, at) = (ParticipantId(1), "Ann".into(), Ticks::from_ms(tick * 100 / 3));
        let _ = recorder.unit(&Unit { participant, name, at, resumes: false, medium });
    }
}

fn end(recorder: &Recorder, events: &Receiver<Event>) -> Manifest {
    recorder.stop(Reason::Requested);
    loop {
        if let Event::Ended(manifest) = events.recv_timeout(LONG).expect("an event") {
            return *manifest;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_is_sent_while_it_grows_and_the_object_is_the_file_that_is_left() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let line = Line::to(server.port);
    let desk = desk(line.port, |_| {});
    let (recorder, events) = desk.record(1);
    play(&recorder, 0, 60);
    let growing = desk.until(recorder.id(), |upload| upload.sessions.values().any(|session| session.parts.len() > 4)).await;
    let shown = desk.store.manifest(recorder.id()).expect("a manifest");
    assert!(!shown.state.is_final() && growing.state == State::Uploading, "it is sent while it runs");
    assert!(shown.upload.is_some_and(
        |upload| upload.uploaded_bytes >= 4 * PART && upload.url == format!("s3://{BUCKET}/{}", key(recorder.id(), "media.mp4"))
    ));
    play(&recorder, 60, 120);
    let manifest = end(&recorder, &events);
    let upload = desk.complete(manifest.id).await;
    desk.compare(&server, manifest.id);
    let (bytes, sent) = (manifest.bytes(), line.sent());
    assert!(sent < bytes + 2 * PART + 64_000, "{sent} bytes were sent of {bytes}: once, but for the first part");
    assert_eq!((upload.sessions.len(), upload.remote), (0, None), "the local media stay");
    assert_eq!(desk.told.0.lock().expect("whole").iter().map(|told| told.state).collect::<Vec<_>>(), [State::Complete]);
    // A short one goes at once, one without a picture as what it is.
    let (recorder, events) = desk.record(2);
    play(&recorder, 0, 1);
    let short = end(&recorder, &events);
    let (recorder, events) = desk.record(3);
    let without = end(&recorder, &events);
    desk.complete(short.id).await;
    desk.complete(without.id).await;
    desk.compare(&server, short.id);
    assert!(server.object(&key(without.id, "manifest.json")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_are_sent_while_they_grow_with_and_without_a_composite_beside_them() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let line = Line::to(server.port);
    let desk = desk(line.port, |_| {});
    for (id, tracks) in [(1, Mode::Each), (2, Mode::Both)] {
        let (recorder, events) = desk.record_as(id, tracks);
        let before = line.sent();
        if tracks.has_composite() {
            play(&recorder, 0, 1);
        }
        speak(&recorder, 0, 60);
        let has_parts = |upload: &Upload| upload.sessions.get("camera-0001.mp4").is_some_and(|session| session.parts.len() > 4);
        desk.until(recorder.id(), has_parts).await;
        speak(&recorder, 60, 90);
        let manifest = end(&recorder, &events);
        desk.complete(manifest.id).await;
        desk.compare(&server, manifest.id);
        let (bytes, sent) = (manifest.bytes(), line.sent() - before);
        assert!(sent < bytes + 2 * PART + 64_000, "{sent} bytes were sent of {bytes}: once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_sent_holds_up_no_other() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let mut desk = desk(server.port, |_| {});
    desk.stop.cancel();
    let (recorder, events) = desk.record_as(1, Mode::Both);
    play(&recorder, 0, 2);
    speak(&recorder, 0, 2);
    let manifest = end(&recorder, &events);
    let [first, others @ ..] = &manifest.files[..] else { panic!("{manifest:?}") };
    std::fs::remove_file(desk.folder.path().join("recordings").join(manifest.id.to_string()).join(&first.name)).expect("it was there");
    desk.begin();
    let has_others = |upload: &Upload| others.iter().all(|file| upload.confirmed.contains_key(&file.name));
    let failing = desk.until(manifest.id, |upload| upload.state == State::Retrying && has_others(upload)).await;
    assert!(failing.error.is_some_and(|error| error.contains("not in the recording's folder")) && others.len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_costs_one_wait_and_not_one_for_each_file() {
    let (silence, asked) = (TcpListener::bind("127.0.0.1:0").expect("bound"), Arc::new(Mutex::new(Vec::new())));
    let (port, held) = (silence.local_addr().expect("address").port(), Arc::clone(&asked));
    // Whoever asks is heard, and gets no answer.
    std::thread::spawn(move || silence.incoming().flatten().for_each(|line| held.lock().expect("whole").push(line)));
    let mut desk = desk(port, |settings| {
        settings.timeout = Duration::from_millis(300);
        settings.retry = (LONG, LONG);
    });
    desk.stop.cancel();
    let (recorder, events) = desk.record_as(1, Mode::Both);
    play(&recorder, 0, 2);
    speak(&recorder, 0, 2);
    let manifest = end(&recorder, &events);
    desk.begin();
    let failing = desk.until(manifest.id, |upload| upload.state == State::Retrying).await;
    assert!(failing.error.is_some_and(|error| error.contains("does not answer")), "the first of them says so");
    // A request is repeated once.
    let asked = asked.lock().expect("whole").len();
    assert!((1..=2).contains(&asked) && manifest.files.len() > 4, "{asked} requests for {} files", manifest.files.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_cut_off_goes_on_after_a_restart_where_it_was() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let line = Line::to(server.port);
    line.cut_after(6 * PART as i64);
    let desk = desk(line.port, |_| {});
    let (recorder, events) = desk.record(1);
    play(&recorder, 0, 120);
    let id = recorder.id();
    let failing = desk.until(id, |upload| upload.state == State::Retrying).await;
    let error = failing.error.expect("an error");
    assert!(error.starts_with("the bucket does not take it: ") && error.lines().count() == 1, "{error}");
    // Written first, told afterwards.
    while !desk.told.0.lock().expect("whole").iter().any(|told| told.state == State::Retrying) {
        tokio::task::yield_now().await;
    }
    let parts = failing.sessions["media.mp4"].parts.len();
    assert!((2..6).contains(&parts), "{parts}");
    end(&recorder, &events);
    drop(recorder);
    let mut desk = desk.restart().await;
    line.cut_after(i64::MAX);
    let before = line.sent();
    desk.begin();
    desk.complete(id).await;
    desk.compare(&server, id);
    let (sent, left) = (line.sent() - before, desk.local(id, "media.mp4").len() as u64 - (parts as u64 - 1) * PART);
    assert!(sent < left + 64_000, "{sent} bytes were sent, {left} were left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_and_has_forgotten_all_gets_all_of_it_again() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let port = server.port;
    let desk = desk(port, |_| {});
    let (recorder, events) = desk.record(1);
    play(&recorder, 0, 60);
    let id = recorder.id();
    desk.until(id, |upload| upload.sessions.values().any(|session| session.parts.len() > 2)).await;
    drop(server);
    play(&recorder, 60, 120);
    let failing = desk.until(id, |upload| upload.state == State::Retrying).await;
    assert!(failing.sessions.contains_key("media.mp4"), "it would go on");
    let manifest = end(&recorder, &events);
    assert_eq!((manifest.lost_pictures, manifest.lost_packets), (0, 0), "the recording never waits");
    let server = S3::start(&program, port, None);
    desk.complete(id).await;
    desk.compare(&server, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_left_in_mid_upload_is_closed_and_sent() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let desk = desk(server.port, |_| {});
    let (recorder, events) = desk.record(1);
    play(&recorder, 0, 60);
    let id = recorder.id();
    desk.until(id, |upload| upload.sessions.values().any(|session| session.parts.len() > 4)).await;
    // The folder as a kill leaves it, in the middle of a fragment.
    desk.stop.cancel();
    let place = desk.folder.path().join("recordings").join(id.to_string());
    let kept: Vec<_> = ["media.mp4", "manifest.json", "timeline.jsonl", "upload.json"]
        .map(|name| (name, std::fs::read(place.join(name)).expect("read")))
        .into();
    end(&recorder, &events);
    drop(recorder);
    for name in std::fs::read_dir(&place).expect("a folder") {
        std::fs::remove_file(name.expect("an entry").path()).expect("removed");
    }
    for (name, bytes) in &kept {
        let length = if *name == "media.mp4" { bytes.len() - 7 } else { bytes.len() };
        std::fs::write(place.join(name), &bytes[..length]).expect("written");
    }
    let mut desk = desk.restart().await;
    let manifest = desk.store.recover(id, Reason::Interrupted, clock::wall()).expect("closed");
    assert_eq!(manifest.state, mixdown::record::State::Interrupted);
    desk.begin();
    desk.complete(id).await;
    desk.compare(&server, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_said_in_one_line_and_nothing_is_deleted_meanwhile() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), Some(1));
    let desk = desk(server.port, |settings| settings.keep_local = false);
    let (recorder, events) = desk.record(1);
    play(&recorder, 0, 2);
    let manifest = end(&recorder, &events);
    let failing = desk.until(manifest.id, |upload| upload.state == State::Retrying).await;
    let error = failing.error.expect("an error");
    assert!(error.contains("credentials") && error.contains("recordings.upload.access_key_id") && error.lines().count() == 1, "{error}");
    assert!(!error.contains("sesame") && !format!("{:?}", desk.settings).contains("sesame"), "{error}");
    let later = clock::wall() + Duration::from_secs(7200);
    assert!(desk.store.sweep(later).expect("swept").is_empty(), "what the bucket has not confirmed is not too old");
    assert!(!desk.local(manifest.id, "media.mp4").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_are_in_the_bucket_alone_are_read_from_there_and_a_deletion_reaches_it() {
    let Some(program) = program() else { return };
    let server = S3::start(&program, free_port(), None);
    let desk = desk(server.port, |settings| settings.keep_local = false);
    let (recorder, events) = desk.record(1);
    play(&recorder, 0, 60);
    desk.until(recorder.id(), |upload| !upload.sessions.is_empty()).await;
    let manifest = end(&recorder, &events);
    let id = manifest.id;
    desk.until(id, |upload| upload.remote.is_some()).await;
    let object = server.object(&key(id, "media.mp4")).expect("media");
    let Ok(Media::Remote { bytes, fragments }) = desk.store.media(id) else { panic!("the local media are gone") };
    assert_eq!(bytes, object.len() as u64);
    assert!(matches!(desk.store.reader(id, Part::Media), Err(mixdown::record::store::Refusal::Unknown)));
    assert!(desk.store.bytes() < bytes, "they take no space here");
    let playlist = desk.store.playlist(id, "x", true).expect("a playlist");
    assert!(playlist.contains("\nx\n") && !playlist.contains(FRAGMENTS), "{playlist}");
    assert_eq!(&object[fragments as usize + 4..fragments as usize + 8], b"ftyp");
    let bucket = desk.store.bucket().expect("a bucket");
    let mut pieces = bucket.read(&format!("{id}/media.mp4"), 1000..51_000).await.expect("read");
    let mut read = Vec::new();
    while let Some(piece) = pieces.next().await {
        read.extend_from_slice(&piece.expect("a piece"));
    }
    assert_eq!(read, object[1000..51_000]);
    desk.store.delete(id).expect("deleted");
    for _ in 0..1000 {
        if !server.listed().0.contains("<Key>") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (keys, uploads) = server.listed();
    assert!(!keys.contains("<Key>") && !uploads.contains("<UploadId>"), "{keys} {uploads}");
}

#[test]
fn a_server_records_into_a_bucket_and_serves_from_it() {
    let Some(program) = program() else { return };
    let bucket = S3::start(&program, free_port(), None);
    let folder = tempfile::tempdir().expect("a folder");
    let (url, endpoint) = (format!("s3://{BUCKET}/a/b"), format!("http://127.0.0.1:{}", bucket.port));
    let server = Process::start_with(
        folder.path(),
        &["--no-demo"],
        &[
            ("MIXDOWN_RECORDINGS_UPLOAD_URL", &url),
            ("MIXDOWN_RECORDINGS_UPLOAD_ENDPOINT", &endpoint),
            ("MIXDOWN_RECORDINGS_UPLOAD_KEEP_LOCAL", "false"),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "sesame"),
        ],
    );
    server.ask("PUT", "/v1/rooms/standup", "{}");
    let begun: Value = serde_json::from_str(&server.ask("POST", "/v1/rooms/standup/recordings", "{}")).expect("JSON");
    let id = begun["id"].as_str().expect("an id");
    let path = format!("/v1/recordings/{id}");
    server.until(&path, |answer| serde_json::from_str::<Value>(answer).expect("JSON")["duration_ms"].as_u64() > Some(1500));
    let while_it_runs = server.ask("GET", &format!("{path}/playlist.m3u8"), "");
    assert!(while_it_runs.contains("EXT-X-MAP"), "{while_it_runs}");
    server.ask("POST", &format!("{path}/stop"), "");
    let shown = server.until(&path, |answer| answer.contains("\"local\":false"));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let url = format!("s3://{BUCKET}/a/b/{id}/media.mp4");
    assert_eq!((&shown["upload"]["state"], &shown["upload"]["url"]), (&json!("complete"), &json!(url)), "{shown}");
    server.hears("event: recording.uploaded");
    assert!(!folder.path().join("recordings").join(id).join("media.mp4").exists());
    let object = bucket.object(&format!("a/b/{id}/media.mp4")).expect("media");
    let media = server.fetch(&format!("{path}/media"), None);
    assert!(media.0.starts_with("HTTP/1.1 200") && media.1 == object, "{}", media.0);
    let part = server.fetch(&format!("{path}/media"), Some("bytes=4-7"));
    assert!(
        part.0.starts_with("HTTP/1.1 206") && part.1 == b"ftyp" && part.0.contains(&format!("content-range: bytes 4-7/{}", object.len())),
        "{}",
        part.0
    );
    let playlist = server.ask("GET", &format!("{path}/playlist.m3u8"), "");
    let (bytes, at) = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@')).expect("a segment");
    let (bytes, at): (u64, u64) = (bytes.parse().expect("bytes"), at.parse().expect("place"));
    let segment = server.fetch(&format!("{path}/{FRAGMENTS}"), Some(&format!("bytes={at}-{}", at + bytes - 1)));
    assert!(segment.0.starts_with("HTTP/1.1 206") && &segment.1[4..8] == b"moof", "{}", segment.0);
    server.ask("DELETE", &path, "");
    server.until("/healthz", |_| !bucket.listed().0.contains("<Key>"));
}
