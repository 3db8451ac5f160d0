//! Participants' own tracks and the programs around recordings, with a real server, real people and somebody else's decoder.

use crate::recordings::{Process, plays};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

struct People(Child);

impl People {
    /// Two who talk in the room.
    fn come(server: &Process, room: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixdown"));
        command
            .args(["demo", "--server", &format!("http://{}", server.address), "--room", room, "--people", "2"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("runs"))
    }
}

impl Drop for People {
    fn drop(&mut self) {
        // They may have gone already.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn mixdown(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixdown"));
    command.args(args).env_clear().stdin(Stdio::null()).output().expect("runs")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn last_line(output: &Output) -> Value {
    json(String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn f33_tracks_of_a_killed_server_play_are_listed_repaired_verified_and_composed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("recordings");
    let shown = |path: &Path| path.display().to_string();
    let killed = Process::start(folder.path());
    killed.ask("PUT", "/v1/rooms/standup", "{}");
    let people = People::come(&killed, "standup");
    let begun = json(&killed.ask("POST", "/v1/rooms/standup/recordings", r#"{"tracks":"both"}"#));
    assert_eq!(begun["tracks"], "both");
    let id = begun["id"].as_str().expect("an id").to_owned();
    let tracks = format!("/v1/recordings/{id}/tracks");
    killed.until(&tracks, |answer| {
        let long = |track: &Value| track["duration_us"].as_u64() > Some(2_500_000);
        json(answer)["items"].as_array().is_some_and(|tracks| tracks.iter().filter(|track| long(track)).count() >= 4)
    });
    drop(killed);
    drop(people);
    let one = store.join(&id);
    let files: Vec<String> = std::fs::read_dir(&one)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".mp4"))
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    files.iter().for_each(|file| plays(&one.join(file)));

    let bad = mixdown(&["recording", "verify", &shown(&store)]);
    assert_eq!(bad.status.code(), Some(1), "{}", said(&bad));
    assert!(said(&bad).contains("mixdown recording repair"), "{}", said(&bad));
    let repaired = mixdown(&["recording", "repair", &shown(&store), "--json"]);
    assert_eq!((repaired.status.code(), &last_line(&repaired)["repaired"][0]["state"]), (Some(0), &Value::from("interrupted")));
    let good = mixdown(&["recording", "verify", &shown(&store), "--json"]);
    assert_eq!((good.status.code(), &last_line(&good)["good"]), (Some(0), &Value::from(true)), "{}", said(&good));
    let list = mixdown(&["recording", "list", &shown(&store)]);
    assert!(said(&list).contains(&id) && said(&list).contains("interrupted"), "{}", said(&list));

    let film = folder.path().join("again.mp4");
    let composed = mixdown(&["compose", &shown(&one), "--layout", "speaker", "--canvas", "640x360", "-o", &shown(&film), "--json"]);
    assert!(composed.status.success(), "{}", said(&composed));
    assert_eq!(last_line(&composed)["summary"]["people"], 2);
    plays(&film);
    for (args, code) in [
        (vec!["compose", "/nowhere", "-o", "x.mp4"], 1),
        (vec!["compose", "/nowhere", "-o", "x.mp4", "--layout", "heap"], 2),
        (vec!["compose", "/nowhere", "-o", "x.mp4", "--canvas", "big"], 2),
        (vec!["recording", "list", "/nowhere"], 2),
    ] {
        assert_eq!(mixdown(&args).status.code(), Some(code), "{args:?}");
    }
    rest(&Process::start(folder.path()), &tracks, &one);
}

/// A server has them, whole and in parts; a changed byte is found; `mixdown record` goes from the beginning to a file.
fn rest(server: &Process, tracks: &str, one: &Path) {
    let listed = json(&server.ask("GET", tracks, ""));
    let track = listed["items"].as_array().and_then(|all| all.iter().find(|track| track["source"] == "camera")).expect("a camera").clone();
    let file = track["file"].as_str().expect("a name");
    let length = std::fs::metadata(one.join(file)).expect("a file").len();
    assert_eq!((track["bytes"].as_u64(), track["codec"].as_str()), (Some(length), Some("h264")));
    assert!(server.ask("GET", &format!("{tracks}/{file}"), "").contains("ftyp"));
    let range = |range: &str| {
        let (head, body) = server.fetch(&format!("{tracks}/{file}"), Some(range));
        (head.split(' ').nth(1).expect("a status").to_owned(), head, body)
    };
    let whole = std::fs::read(one.join(file)).expect("read");
    let (status, head, body) = range("bytes=4-7");
    assert!(status == "206" && body == b"ftyp" && head.contains(&format!("content-range: bytes 4-7/{length}")), "{head}");
    let (status, _, body) = range("bytes=-100");
    assert!(status == "206" && body == whole[whole.len() - 100..]);
    let (status, head, _) = range(&format!("bytes={length}-"));
    assert!(status == "416" && head.contains(&format!("content-range: bytes */{length}")), "{head}");
    let (status, _, body) = range("bytes=0-1,4-7");
    assert!(status == "200" && body == whole, "of several ranges none");
    for wrong in ["camera-9999.mp4", "manifest.json", "..%2Fmanifest.json"] {
        assert!(server.ask("GET", &format!("{tracks}/{wrong}"), "").contains("not-found"), "{wrong}");
    }
    let _people = People::come(server, "lounge");
    server.until("/v1/rooms/lounge/participants", |answer| answer.matches("\"connected\"").count() >= 2);
    let (out, url) = (one.with_file_name("x.mp4"), format!("http://{}", server.address));
    let out_shown = out.display().to_string();
    let record = ["record", "--room", "lounge", "-o", &out_shown, "--url", &url, "--duration", "2s", "--json"];
    let recorded = mixdown(&record);
    assert!(recorded.status.success(), "{}", said(&recorded));
    assert!(last_line(&recorded)["duration_ms"].as_u64() > Some(1000), "{}", said(&recorded));
    plays(&out);
    let refused = mixdown(&["record", "--room", "nobody", "-o", &out_shown, "--url", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("404"), "{}", said(&refused));
    std::fs::write(one.join(file), "changed").expect("written");
    let bad = mixdown(&["recording", "verify", &one.display().to_string()]);
    assert_eq!(bad.status.code(), Some(1), "{}", said(&bad));
    assert!(said(&bad).contains(file), "{}", said(&bad));
}
