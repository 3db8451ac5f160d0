//! A server that records is killed at random moments: every file plays up to two seconds before.

use crate::recordings::{Process, plays};
use crate::s3::{BUCKET, Line, S3, free_port, program};
use mixdown::record::mp4::scan;
use mixdown::record::timeline::{self, TimelineEvent};
use mixdown::runtime::clock;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Recordings that one kill hits, each at another moment of its own.
const AT_ONCE: u64 = 5;
/// What a kill may cost.
const MOST_LOST: Duration = Duration::from_secs(2);

#[test]
fn f33_a_server_that_is_killed_at_random_moments_leaves_files_that_play_up_to_two_seconds_before() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (kills, seed) = (number("MIXDOWN_TEST_KILLS", 10), number("MIXDOWN_TEST_SEED", 1));
    println!("MIXDOWN_TEST_KILLS={kills} MIXDOWN_TEST_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let mut left = Vec::new();
    while (left.len() as u64) < kills {
        left.extend(kill(folder.path(), &mut chance));
    }
    let worst = left.iter().map(|left| left.lost).max().unwrap_or_default();
    let empty = left.iter().filter(|left| left.plays == Duration::ZERO).count();
    println!(
        "{} files, {empty} of them killed before their first fragment; the most that a kill took: {} ms",
        left.len(),
        worst.as_millis()
    );
    assert!(worst <= MOST_LOST && empty * 2 < left.len(), "{left:#?}");
    let next = Process::start_with(folder.path(), &["--no-demo"], &[]);
    for Left { media, plays: whole, .. } in &left {
        let id = media.parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned();
        let found = next.until(&format!("/v1/recordings/{id}"), |answer| answer.contains("\"interrupted\""));
        let found: Value = serde_json::from_str(&found).expect("JSON");
        assert_eq!(
            (&found["state"], found["duration_ms"].as_u64()),
            (&Value::from("interrupted"), Some(whole.as_millis() as u64)),
            "{found}"
        );
        if !whole.is_zero() {
            plays(media);
        }
    }
}

/// A media file that a killed server has left.
#[derive(Debug)]
struct Left {
    media: PathBuf,
    plays: Duration,
    /// Of the time that it ran.
    lost: Duration,
}

/// Kills a server that records its demo room.
fn kill(folder: &Path, chance: &mut StdRng) -> Vec<Left> {
    let server = Process::start_with(folder, &[], &[]);
    server.until("/v1/rooms/demo", |answer| answer.contains("\"participants\":3"));
    let mut ids = Vec::new();
    for _ in 0..AT_ONCE {
        let begun: Value = serde_json::from_str(&server.ask("POST", "/v1/rooms/demo/recordings", "{}")).expect("JSON");
        ids.push(begun["id"].as_str().expect("an id").to_owned());
        pause(chance.random_range(0..300));
    }
    for id in &ids {
        server.until(&format!("/v1/recordings/{id}"), |answer| answer.contains("\"active\""));
    }
    pause(chance.random_range(0..3000));
    let killed = clock::wall();
    drop(server);
    ids.iter().map(|id| left(&folder.join("recordings").join(id), killed)).collect()
}

/// What can be played, after the file was decoded as a whole.
fn left(recording: &Path, killed: SystemTime) -> Left {
    let media = recording.join("media.mp4");
    let (lines, _) = timeline::read(&std::fs::read(recording.join("timeline.jsonl")).expect("a journal"));
    let started = lines.iter().find(|line| matches!(line.event, TimelineEvent::Started)).expect("it has started");
    let started = time::OffsetDateTime::parse(&started.wall, &time::format_description::well_known::Rfc3339).expect("a time");
    let ran = killed.duration_since(SystemTime::from(started)).expect("it was killed later");
    let whole = scan::scan(&std::fs::File::open(&media).expect("media")).map_or(0, |found| found.duration.ms());
    if whole > 0 {
        plays(&media);
    }
    let whole = Duration::from_millis(whole);
    Left { media, plays: whole, lost: ran.saturating_sub(whole) }
}

/// One recording is being sent, another is being made when the server is killed: the next one sends all of both.
#[test]
fn f33_a_server_that_is_killed_while_it_uploads_goes_on_at_its_next_start() {
    let Some(program) = program() else { return };
    let (bucket, folder) = (S3::start(&program, free_port(), None), tempfile::tempdir().expect("a folder"));
    let line = Line::to(bucket.port);
    line.cut_after(20_000);
    let (url, endpoint) = (format!("s3://{BUCKET}/a"), format!("http://127.0.0.1:{}", line.port));
    let environment = [
        ("MIXDOWN_RECORDINGS_UPLOAD_URL", url.as_str()),
        ("MIXDOWN_RECORDINGS_UPLOAD_ENDPOINT", &endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "sesame"),
    ];
    let killed = Process::start_with(folder.path(), &[], &environment);
    killed.until("/v1/rooms/demo", |answer| answer.contains("\"participants\":3"));
    let json = |answer: &str| serde_json::from_str::<Value>(answer).expect("JSON");
    let ids = [(); 2].map(|()| json(&killed.ask("POST", "/v1/rooms/demo/recordings", "{}"))["id"].as_str().expect("an id").to_owned());
    let path = |id: &str| format!("/v1/recordings/{id}");
    killed.until(&path(&ids[1]), |answer| json(answer)["duration_ms"].as_u64() > Some(2500));
    killed.ask("POST", &format!("{}/stop", path(&ids[0])), "");
    // The line is cut in the middle of the media, whenever that is.
    for _ in 0..3000 {
        if line.sent() > 10_000 {
            break;
        }
        pause(10);
    }
    drop(killed);
    let object = |id: &str, name: &str| bucket.object(&format!("a/{id}/{name}"));
    assert!(line.sent() > 10_000 && ids.iter().all(|id| object(id, "media.mp4").is_none()), "{} bytes were sent", line.sent());
    line.cut_after(i64::MAX);
    let next = Process::start_with(folder.path(), &["--no-demo"], &environment);
    for (id, state) in ids.iter().zip(["complete", "interrupted"]) {
        let shown = next.until(&path(id), |answer| json(answer)["upload"]["state"] == "complete");
        assert_eq!(json(&shown)["state"], state, "{shown}");
        for name in ["media.mp4", "timeline.json"] {
            let local = std::fs::read(folder.path().join("recordings").join(id).join(name)).expect("read");
            assert!(object(id, name).is_some_and(|there| there == local), "{name}");
        }
    }
}

fn pause(ms: u64) {
    let (pause, patience) = std::sync::mpsc::channel::<()>();
    // Nobody sends: this waits.
    let _ = patience.recv_timeout(Duration::from_millis(ms));
    drop(pause);
}
