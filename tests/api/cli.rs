//! The command line, as a shell sees it.

use crate::world::SECRET;
use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output, Stdio};

fn mixdown(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixdown"));
    command.args(args).env_clear().current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    mixdown(args).output().expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn exit_codes_are_0_for_good_and_2_for_wrong_use() {
    for (args, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["--version", "--verbose"], 0),
        (&["--version", "--json"], 0),
        (&["config", "default"], 0),
        (&["config", "check", "--dev", "config/mixdown.toml"], 0),
        (&["config", "check", "config/mixdown.toml"], 2),
        (&["config", "check", "no/such/file.toml"], 2),
        (&[], 2),
        (&["bogus"], 2),
        (&["serve", "--bogus"], 2),
        (&["bench", "--size", "240"], 2),
        (&["serve"], 2),
        (&["serve", "--dev", "--bind", "0.0.0.0:0"], 2),
        (&["token", "create", "--room", "standup"], 2),
        (&["token", "create", "--room", "a b"], 2),
        (&["token", "create", "--ttl", "soon"], 2),
        (&["--verbose"], 2),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn a_bad_start_says_one_line() {
    let output = run(&["serve"]);
    let line = text(&output.stderr);
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    assert!(line.contains("auth.keys") && line.contains("MIXDOWN_AUTH_KEYS"), "{line}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("address").to_string();
    let output = mixdown(&["serve", "--dev", "--bind", &address]).env("MIXDOWN_LOG_FILTER", "error").output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    let line = text(&output.stderr);
    assert!(line.starts_with("mixdown: http.bind: ") && line.trim_end().lines().count() == 1, "{line}");
}

#[test]
fn a_server_measures_its_host_for_estimates_when_it_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = mixdown(&["serve", "--dev", "--no-demo", "--bind", "127.0.0.1:0"]);
    server.current_dir(folder.path()).env("MIXDOWN_NET_PORT", "0").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = server.spawn().expect("runs");
    let log = std::io::BufReader::new(server.stderr.take().expect("piped"));
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
    let mut lines = std::iter::from_fn(|| heard.recv_timeout(std::time::Duration::from_secs(30)).ok());
    let measured = lines.any(|line| line.contains("measured this host"));
    server.kill().expect("ends");
    server.wait().expect("ended");
    assert!(measured, "nobody has asked for an estimate");
}

/// One request; what came back, whole.
fn exchange(address: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all((head + body).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn logs_tell_neither_session_descriptions_nor_secrets_however_much_they_tell() {
    const OFFER: &str = include_str!("../../fuzz/corpus/offer/browser");
    const TRICKLE: &str = "application/trickle-ice-sdpfrag";
    let keys = format!("main:{SECRET}");
    let args = ["token", "create", "--room", "standup", "--join", "--subscribe", "--publish", "audio,video", "--identity", "ann"];
    let token = text(&mixdown(&args).env("MIXDOWN_AUTH_KEYS", &keys).output().expect("runs").stdout).trim().to_owned();
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = mixdown(&["serve", "--bind", "127.0.0.1:0", "--port", "0"]);
        server
            .current_dir(folder.path())
            .env("MIXDOWN_AUTH_KEYS", &keys)
            .env("MIXDOWN_LOG_FILTER", "trace")
            .env("MIXDOWN_LOG_FORMAT", format);
        server.env("MIXDOWN_NET_BIND", "127.0.0.1").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = server.spawn().expect("runs");
        let mut log = std::io::BufReader::new(server.stderr.take().expect("piped"));
        let mut told = String::new();
        let address = loop {
            let from = told.len();
            assert!(log.read_line(&mut told).expect("text") > 0, "it has ended: {told}");
            let line = &told[from..];
            if line.contains("listening") {
                let at = line.find("127.0.0.1:").expect("an address");
                break line[at..]
                    .split(|c: char| !c.is_ascii_digit() && !".:".contains(c))
                    .next()
                    .and_then(|text| text.parse().ok())
                    .expect("one");
            }
        };
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            log.read_to_string(&mut rest).map(|_| rest)
        });
        let bearer = format!("Bearer {token}");
        let with = |kind: &'static str| [("Content-Type", kind), ("Authorization", bearer.as_str()), ("If-Match", "*")];
        let joined = exchange(address, "POST /v1/rooms/standup/participants?name=Ann", &with("application/sdp"), OFFER);
        assert!(joined.starts_with("HTTP/1.1 201"), "{joined}");
        let session = joined.lines().find_map(|line| line.strip_prefix("location: ")).expect("a session").to_owned();
        let secret = joined.lines().find_map(|line| line.strip_prefix("a=ice-pwd:")).expect("a password").to_owned();
        let candidate =
            "a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlMZ\r\na=candidate:1 1 udp 2122260223 192.0.2.77 50000 typ host\r\n";
        assert!(exchange(address, &format!("PATCH {session}"), &with(TRICKLE), candidate).starts_with("HTTP/1.1 20"));
        exchange(address, &format!("PATCH {session}"), &with("application/sdp"), &OFFER.replace("a=mid:1", "a=mid:0"));
        exchange(address, "POST /whip/standup", &with("application/sdp"), &OFFER.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"));
        exchange(address, "GET /v1/rooms", &[("Authorization", &format!("Bearer {token}x"))], "");
        exchange(address, &format!("DELETE {session}"), &with("application/sdp"), "");
        server.kill().expect("ends");
        server.wait().expect("ended");
        told += &rest.join().expect("read").expect("text");
        assert!(told.contains("participant joins"), "{told}");
        for hidden in [token.as_str(), SECRET, &secret, "2/1muCWoOi3uLifh0NuRHlMZ", "7B:8B:F0:65", "a=ice-", "a=fingerprint", "m=audio"] {
            let leaks: Vec<&str> = told.lines().filter(|line| line.contains(hidden)).collect();
            assert!(leaks.is_empty(), "{format}: {hidden} in {leaks:#?}");
        }
    }
}

#[test]
fn the_default_settings_are_the_commented_file() {
    assert_eq!(text(&run(&["config", "default"]).stdout), mixdown::config::DEFAULT_FILE);
}

#[test]
fn the_verbose_version_names_the_codecs() {
    let all = text(&run(&["--version", "--verbose"]).stdout);
    for part in ["mixdown ", "libvpx", "opus"] {
        assert!(all.contains(part), "{part} in {all}");
    }
    let json: serde_json::Value = serde_json::from_slice(&run(&["--version", "--json"]).stdout).expect("JSON");
    assert_eq!(json["mixdown"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_token_from_the_command_line_is_one_that_the_server_takes() {
    let keys = format!("main:{SECRET}");
    let args = ["token", "create", "--room", "standup", "--join", "--publish", "audio,video", "--identity", "ann", "--ttl", "1h"];
    let output = mixdown(&args).env("MIXDOWN_AUTH_KEYS", &keys).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let config = mixdown::config::parse("", &[("MIXDOWN_AUTH_KEYS".into(), keys)]).expect("good");
    let claims = mixdown::api::auth::Keys::new(&config.auth).verify(text(&output.stdout).trim(), mixdown::runtime::clock::wall());
    let grants = claims.expect("valid").mixdown.expect("grants");
    assert_eq!((grants.room.as_deref(), grants.join, grants.subscribe, grants.publish.len()), (Some("standup"), true, false, 2));
}

#[test]
fn a_reader_who_goes_away_is_no_failure() {
    for args in [&["config", "default"][..], &["--help"], &["serve", "--help"], &["--version", "--verbose"]] {
        let mut child = mixdown(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        drop(child.stdout.take());
        let mut complaint = String::new();
        child.stderr.take().expect("stderr").read_to_string(&mut complaint).expect("text");
        assert_eq!((child.wait().expect("ended").code(), complaint.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn the_doctor_says_what_to_do_where_something_is_wrong() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("address").to_string();
    let sick = mixdown(&["doctor", "--dev", "--json"]).env("MIXDOWN_HTTP_BIND", &address).output().expect("runs");
    assert_eq!(sick.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&sick.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks");
    assert!(checks.iter().any(|check| check["name"] == "http port" && check["outcome"] == "bad"));
    for check in checks {
        assert_eq!(check["outcome"] != "good", check["next"].is_string(), "what is not good says what to do: {check}");
    }
    let table = mixdown(&["doctor", "--dev"]).env("MIXDOWN_HTTP_BIND", &address).output().expect("runs");
    assert!(text(&table.stdout).contains("BAD"));
}

#[test]
fn layouts_of_other_systems_are_converted_to_a_body_that_can_be_put() {
    let convert = |from: &str, text: &str| {
        let mut child = mixdown(&["layout", "convert", "--from", from, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), text.as_bytes()).expect("taken");
        child.wait_with_output().expect("ends")
    };
    let output = convert("vonage", r#"{"type": "pip"}"#);
    let layout: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &layout["type"]), (Some(0), &serde_json::json!("pip")));
    let output = convert("twilio", r#"{"main": {"video_sources": ["*"], "wdith": 1}}"#);
    assert_eq!(output.status.code(), Some(2));
    let line = text(&output.stderr);
    assert!(line.starts_with("mixdown: -: /main: unknown field `wdith`") && line.trim_end().lines().count() == 1, "{line}");
    let output = convert("freeswitch", r#"<layout name="a"><image x="0" y="0" scale="360" floor="true"/></layout>"#);
    let layouts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(layouts["a"]["regions"][0]["seat"], "active_speaker");
}

#[test]
fn a_bench_measures_a_server_of_its_own_and_says_which_guards_held() {
    let cache = tempfile::tempdir().expect("folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let codec = if cfg!(feature = "h264") { "h264" } else { "vp8" };
    let line = ["bench", "--json", "--senders", "2", "--viewers", "1", "--size", "180", "--duration", "3", "--codec", codec];
    let output = mixdown(&line).env("XDG_CACHE_HOME", cache.path()).env("PATH", path).output().expect("runs");
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    let report: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{complaint}"));
    let guards = report["guards"].as_array().expect("guards");
    let held = guards.iter().all(|guard| guard["held"] != false);
    // A loaded machine may well break a guard; then it must say so.
    assert_eq!((report["held"].as_bool(), output.status.code()), (Some(held), Some(i32::from(!held))), "{report:#}");
    assert_eq!(guards.len(), 5, "{report:#}");
    let figure = |name: &str| {
        let figures = report["figures"].as_array().expect("figures");
        figures.iter().find(|row| row["name"] == name).and_then(|row| row["value"].as_f64()).unwrap_or_else(|| panic!("{name}: {report:#}"))
    };
    assert!(figure("frame rate, slowest viewer") > 20.0, "{report:#}");
    assert!(figure("pictures whose latency was read") > 60.0, "{report:#}");
    assert!(figure("beeps whose latency was read") >= 2.0, "{report:#}");
    assert!((1.0..200.0).contains(&figure("added latency of pictures, p50")), "{report:#}");
    assert!((1.0..300.0).contains(&figure("added latency of sound, p50")), "{report:#}");
    assert!(figure("picture later than its sound").abs() < 150.0, "{report:#}");
    assert!((1.0..2_000.0).contains(&figure("processor time per second")), "{report:#}");
    assert!(figure("people seen going back in time") < 1.0, "{report:#}");
    let kept = std::fs::read_dir(cache.path().join("mixdown/bench")).expect("the clips are kept").count();
    assert_eq!(kept, 2);
}
