//! An overloaded server and who comes to it (docs/faults.md, F3).

use crate::recordings::Process;
use crate::world::{CANDIDATES, NOW, OFFER, RESTART, SECRET, World, call};
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header, encode};
use mixdown::overload::host::usage_of;
use mixdown::overload::{Refusal, Status};
use mixdown::runtime::clock::now;
use mixdown::urgency::{self, Urgency};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TRICKLE: &str = "application/trickle-ice-sdpfrag";

fn token(room: &str, identity: &str) -> String {
    let grants = json!({"room": room, "join": true, "publish": ["audio", "video"], "subscribe": true});
    let claims = json!({"iss": "main", "sub": identity, "exp": NOW + 600, "iat": NOW - 10, "mixdown": grants});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("signed")
}

/// As if the processor had been used up for a while, or no longer.
fn load(world: &World, refusal: Option<Refusal>) {
    let retry_after = std::time::Duration::from_secs(7);
    world.stage.load.set(Status { refusal, retry_after, ..Status::default() });
}

#[tokio::test]
async fn f3_an_overloaded_server_refuses_newcomers_and_who_is_there_goes_on() {
    let world = World::production();
    let join = async |door: &str, identity: &str| {
        let room = if door.contains("another") { "another" } else { "standup" };
        world.send(call(Method::POST, door).bearer(&token(room, identity)).sdp(OFFER)).await
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("main:{SECRET}")));
    let server = |method: Method, path: &str| call(method, path).with("authorization", &basic);
    let ann = join("/v1/rooms/standup/participants", "ann").await;
    assert_eq!(ann.status, StatusCode::CREATED, "{}", ann.text());
    load(&world, Some(Refusal::Processor { used: 0.97, most: 0.85 }));
    for door in ["/v1/rooms/standup/participants", "/v1/rooms/another/participants", "/whip/standup", "/whep/standup"] {
        let reply = join(door, "bob").await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "overloaded"), "{door}");
        assert_eq!(reply.header("retry-after"), "7", "{door}");
        assert!(reply.text().contains("overload.admission_cpu_percent is 85"), "{}", reply.text());
    }
    for (path, body) in [
        ("/v1/rooms", r#"{"room": "new"}"#),
        ("/v1/rooms/standup/egress", r#"{"outputs": [{"hls": {}}]}"#),
        ("/v1/rooms/standup/ingress", r#"{"url": "https://example.org/film.mp4"}"#),
        ("/v1/rooms/standup/recordings", r#"{"layout": {"type": "speaker"}}"#),
    ] {
        let reply = world.send(server(Method::POST, path).json(body)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "overloaded"), "{path}");
    }
    let to = format!("{}/transfer", ann.header("location"));
    let reply = world.send(server(Method::POST, &to).json(r#"{"room": "another"}"#)).await;
    assert_eq!(reply.problem(), "overloaded", "who is sent to a room that takes nobody is in none");
    let reply = world.send(server(Method::POST, "/v1/rooms/standup/recordings").json("{}")).await;
    assert_eq!(reply.problem(), "conflict", "asked, and not refused: what is recorded as it is watched costs next to nothing");

    let session = ann.header("location");
    let mine = |method: Method| call(method, session).bearer(&token("standup", "ann"));
    let reply = world.send(mine(Method::PATCH).with("if-match", ann.header("etag")).body(TRICKLE, CANDIDATES)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let reply = world.send(mine(Method::PATCH).with("if-match", "*").body(TRICKLE, RESTART)).await;
    assert_eq!(reply.status, StatusCode::OK, "an ICE restart");
    let reply = world.send(mine(Method::PATCH).body("application/merge-patch+json", r#"{"muted_audio": true}"#)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(world.send(server(Method::PUT, "/v1/rooms/standup").json("{}")).await.status, StatusCode::OK);
    assert_eq!(join("/v1/rooms/standup/participants", "ann").await.status, StatusCode::CREATED, "takes their own place again");

    let node = world.send(server(Method::GET, "/v1/node").empty()).await.json();
    assert_eq!((&node["state"], &node["refuses"], &node["effect"]), (&"overloaded".into(), &"processor".into(), &"whole".into()));
    load(&world, None);
    assert_eq!(join("/whep/standup", "bob").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn f3_a_balancer_leaves_an_overloaded_server_to_those_who_are_there() {
    let world = World::production();
    load(&world, Some(Refusal::Processor { used: 0.97, most: 0.85 }));
    for path in ["/readyz", "/healthz"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
}

/// A group of processes with a quota, in whichever version of cgroups this machine has.
struct Group {
    folder: PathBuf,
    unified: bool,
}

impl Group {
    fn new() -> std::io::Result<Self> {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let root = if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/cpu" };
        let folder = Path::new(root).join(format!("mixdown-test-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let group = Self { folder, unified };
        group.allow(2000.0)?;
        Ok(group)
    }

    /// So many milliseconds of processor time per second from now on.
    fn allow(&self, ms: f64) -> std::io::Result<()> {
        let (quota, period) = ((ms * 100.0) as u64, 100_000);
        if self.unified {
            return std::fs::write(self.folder.join("cpu.max"), format!("{quota} {period}"));
        }
        std::fs::write(self.folder.join("cpu.cfs_period_us"), period.to_string())?;
        std::fs::write(self.folder.join("cpu.cfs_quota_us"), quota.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its process has been killed, and goes in a moment.
        let _ = (0..50).find(|_| {
            pause(20);
            std::fs::remove_dir(&self.folder).is_ok()
        });
    }
}

/// Somebody with a face; the first one has a voice too.
struct Person(Child);

impl Person {
    fn join(server: &Process, face: u8) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixdown"));
        command.args(["join", &format!("http://{}/r/busy", server.address), "--face", &face.to_string()]);
        command.args((face > 1).then_some("--no-audio"));
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs"))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets other processes go on.
fn pause(ms: u64) {
    let (_sender, nobody) = std::sync::mpsc::channel::<()>();
    let _ = nobody.recv_timeout(Duration::from_millis(ms));
}

/// How many times what there is pictures and sound need.
const OVERLOAD: f64 = 1.5;

/// F2 with a kernel's quota in place of a model.
#[test]
fn f2_a_server_with_too_little_processor_time_gives_up_pictures_and_no_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let on = [("MIXDOWN_OVERLOAD_GOVERNOR", "true"), ("MIXDOWN_OVERLOAD_ADMISSION", "true")];
    let group = match Group::new() {
        Ok(group) => group,
        Err(error) => return println!("skipped: a group with a quota cannot be made here: {error}"),
    };
    // It goes before its group.
    let server = Process::start_in(&group.folder, folder.path(), &["--no-demo"], &on);
    let pid = server.child.id();
    let _people: Vec<Person> = (1..=4).map(|face| Person::join(&server, face)).collect();
    server.until("/metrics", |metrics| metrics.contains("mixdown_feeds 4"));
    pause(1500);
    let used = || usage_of(pid).expect("it runs").cpu.as_millis() as f64;
    let (before, node) = (used(), || serde_json::from_str::<Value>(&server.ask("GET", "/v1/node", "")).expect("JSON"));
    pause(2000);
    let needs = (used() - before) / 2.0;
    // A machine that is busy with other things may have it on a step already.
    let first = node()["step"].as_u64().expect("a number");
    group.allow(needs / OVERLOAD).expect("a quota");
    let begun = now();
    let late = |state: &Value| state["late_sound_ticks_percent"].as_f64().expect("a number");
    // Until sound has been in time for a second. Pictures give way one step after the other, which takes as long as it takes.
    let (mut states, mut calm) = (Vec::<(Duration, Value)>::new(), 0);
    while states.last().is_none_or(|(at, _)| *at < Duration::from_secs(20)) && (states.len() < 16 || calm < 4) {
        pause(250);
        let state = node();
        calm = if late(&state) < 5.0 { calm + 1 } else { 0 };
        states.push((now().saturating_duration_since(begun), state));
    }
    let since = |ms| states.iter().filter(move |(at, _)| *at >= Duration::from_millis(ms));
    let step = |(_, state): &(Duration, Value)| state["step"].as_u64().expect("a number");
    let steps: Vec<u64> = states.iter().map(step).collect();
    println!("{needs:.0} ms per second are needed, {:.0} are there: {steps:?}", needs / OVERLOAD);
    assert!(steps.is_sorted() && steps.windows(2).all(|pair| pair[1] - pair[0] <= 1), "one after the other: {steps:?}");
    assert!(since(1500).all(|state| step(state) > first.min(6)), "decided within a second, and told: {first}, {steps:?}");
    println!("sound was in time again after {:?}", states.last().map(|(at, _)| *at));
    // Pictures that wait of themselves leave sound its time; where they do not, the kernel stops both, and two thirds of it are late.
    let lateness: Vec<f64> = since(1000).map(|(_, state)| late(state)).collect();
    let mean = lateness.iter().sum::<f64>() / lateness.len() as f64;
    println!("late after the first second: {mean:.1} %");
    assert!(mean < 20.0, "sound has what it needs while pictures give way: {lateness:?}");
    assert!(calm >= 4, "sound comes in time once pictures have given way: {states:?}");
}

/// The name and the urgency of each of a process's threads.
fn threads(pid: u32) -> Vec<(String, Urgency)> {
    const ROUND_ROBIN: &str = "2";
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    // The name may hold anything, parentheses as well (proc_pid_stat(5)).
    let split = |stat: String| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let urgency = match (*fields.get(38)?, *fields.get(16)?) {
            (ROUND_ROBIN, _) => Urgency::AtOnce,
            (_, "-10") => Urgency::Early,
            _ => Urgency::Usual,
        };
        Some((name.to_owned(), urgency))
    };
    stats.filter_map(split).collect()
}

/// Programs that take all that there is of every processor.
struct Neighbours(Vec<Child>);

impl Neighbours {
    fn new(count: usize) -> Self {
        let spin = || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().expect("runs");
        Self((0..count).map(|_| spin()).collect())
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// F2's other cause.
#[test]
fn f2_sound_comes_in_time_beside_programs_that_take_all_there_is() {
    let permitted = |urgency| std::thread::scope(|scope| scope.spawn(move || urgency::claim(urgency)).join()).expect("joined");
    let (at_once, early) = (permitted(Urgency::AtOnce), permitted(Urgency::Early));
    if early == Urgency::Usual {
        return println!("skipped: this system lets nobody go before others");
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::start(folder.path());
    let expected = |name: &str| match name {
        "ticker" => at_once,
        _ if name.strip_prefix("mix-").is_some_and(|n| cores == 1 || n != (cores - 1).to_string()) => at_once,
        _ if name.starts_with("mix-") => early,
        _ if name.starts_with("net") => early,
        _ => Urgency::Usual,
    };
    let threads = threads(server.child.id());
    assert!(threads.iter().all(|(name, urgency)| *urgency == expected(name)), "{threads:?}");
    assert!(["mix-0", "net", "ticker"].iter().all(|name| threads.iter().any(|(thread, _)| thread == name)), "{threads:?}");

    let _person = Person::join(&server, 1);
    server.until("/metrics", |metrics| metrics.contains("mixdown_feeds 1"));
    let _neighbours = Neighbours::new(cores * 3);
    pause(1000);
    let mut late = Vec::new();
    for _ in 0..16 {
        pause(250);
        let node = serde_json::from_str::<Value>(&server.ask("GET", "/v1/node", "")).expect("JSON");
        late.push(node["late_sound_ticks_percent"].as_f64().expect("a number"));
    }
    let mean = late.iter().sum::<f64>() / late.len() as f64;
    println!("{mean:.1} % of the ticks of sound were late: {late:?}");
    assert!(mean < 5.0, "{late:?}");
}
