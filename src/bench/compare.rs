//! Other programs at the same work, in turn with the server, several rounds: what else runs on the machine then hits all alike, and
//! the medians can be compared. The scripts (benches/peers) are part of this program; programs that are missing are left out.

use super::Bench;
use super::child;
use super::clip::{Clip, FPS, SECONDS};
use super::figures::percentile;
use super::guard::Guard;
use super::run::Run;
use super::setup::Setup;
use crate::process;
use mixdown_codecs::VideoCodec;
use serde::Serialize;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// The scripts as files, by their place below a folder.
const FILES: [(&str, &str); 7] = [
    ("lib.sh", include_str!("../../benches/peers/lib.sh")),
    ("ffmpeg.sh", include_str!("../../benches/peers/ffmpeg.sh")),
    ("gstreamer.sh", include_str!("../../benches/peers/gstreamer.sh")),
    ("janus.py", include_str!("../../benches/peers/janus.py")),
    ("janus/janus.jcfg", include_str!("../../benches/peers/janus/janus.jcfg")),
    ("janus/janus.plugin.audiobridge.jcfg", include_str!("../../benches/peers/janus/janus.plugin.audiobridge.jcfg")),
    ("janus/janus.transport.http.jcfg", include_str!("../../benches/peers/janus/janus.transport.http.jcfg")),
];
/// How a script says that what it needs is not there.
const MISSING: i32 = 77;
const PATIENCE: Duration = Duration::from_secs(600);

/// What came of all rounds.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub setup: Setup,
    pub rounds: u16,
    pub entries: Vec<Entry>,
    /// Of the server's worst run.
    pub guards: Vec<Guard>,
    pub held: bool,
}

/// One contender.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Entry {
    pub name: String,
    /// Processor milliseconds per second of media, of each round.
    pub values: Vec<f64>,
    pub median: Option<f64>,
    /// How many times the server's cost.
    pub ratio: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Somebody else's program.
struct Contender {
    entry: Entry,
    program: &'static str,
    script: &'static str,
    encodes: u16,
}

/// All rounds.
///
/// # Errors
/// The server cannot be measured, or is not on this machine. What another program says is in its entry.
pub async fn run(bench: &Bench, setup: &Setup, rounds: u16) -> Result<Comparison, String> {
    if setup.rooms != 1 || (setup.sends_video() && (setup.codec != VideoCodec::H264 || setup.lines.len() != 1)) {
        return Err("--compare is for one room of senders of one size in H.264, or without cameras".into());
    }
    if setup.sends_video() && !setup.is_plain() {
        return Err(
            "--compare is for a grid in one rendition, because the other programs make nothing else: leave out --renditions and --layout"
                .into(),
        );
    }
    if bench.server.is_some() && bench.pid.is_none() {
        return Err("--compare needs --pid beside --server: there is nothing to compare without the server's processor time".into());
    }
    // In a bridge all hear all.
    let setup = &Setup { conference: setup.conference || !setup.sends_video(), ..setup.clone() };
    let clips = bench.clips(setup).await?;
    let folder = material(&clips).await?;
    let (mut own, mut floor) = (Entry::of("Mixdown"), Entry::of("the bare loop of its codecs"));
    let mut contenders = contenders(setup);
    let mut worst: Option<Run> = None;
    for round in 1..=rounds {
        let run = Box::pin(bench.with(setup, &clips)).await?;
        own.values.extend(run.cpu_ms);
        floor.values.extend(run.floor_ms);
        if worst.as_ref().is_none_or(|worst| worst.held) {
            worst = Some(run);
        }
        for contender in contenders.iter_mut().filter(|contender| contender.entry.note.is_empty()) {
            bench.bar.set_message(format!("round {round} of {rounds}: {}", contender.entry.name));
            match turn(contender, setup, folder.path()).await {
                Ok(ms) => contender.entry.values.push(ms),
                Err(reason) => contender.entry.note = reason,
            }
        }
    }
    let floor = setup.sends_video().then_some(floor);
    let entries = [own].into_iter().chain(floor).chain(contenders.into_iter().map(|contender| contender.entry)).collect();
    let (guards, held) = worst.map_or_else(Default::default, |run| (run.guards, run.held));
    Ok(Comparison { setup: setup.clone(), rounds, entries: settle(entries), guards, held })
}

impl Entry {
    fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

fn contenders(setup: &Setup) -> Vec<Contender> {
    let of = |name: &str, program, script, encodes| Contender { entry: Entry::of(name), program, script, encodes };
    if !setup.sends_video() {
        return vec![of("Janus AudioBridge", "python3", "janus.py", 0)];
    }
    vec![
        of("ffmpeg, x264 ultrafast", "bash", "ffmpeg.sh", 1),
        of("GStreamer, x264 ultrafast", "bash", "gstreamer.sh", 1),
        of(&format!("GStreamer, an encode for each of {} viewers", setup.viewers), "bash", "gstreamer.sh", setup.viewers),
    ]
}

/// Medians, and ratios to the first entry.
fn settle(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.iter_mut().for_each(|entry| entry.median = percentile(&entry.values, 0.5));
    let own = entries.first().and_then(|own| own.median).filter(|own| *own > 0.0);
    entries.iter_mut().for_each(|entry| entry.ratio = entry.median.zip(own).map(|(theirs, own)| theirs / own));
    entries
}

/// Milliseconds per second of media, or why there are none.
async fn turn(contender: &Contender, setup: &Setup, folder: &Path) -> Result<f64, String> {
    let program = process::find(contender.program).ok_or_else(|| format!("{} is not installed", contender.program))?;
    let media = if setup.sends_video() { SECONDS as u16 } else { setup.seconds };
    let mut script = Command::new(program);
    script.arg(folder.join(contender.script));
    // What a script leaves when it is killed goes with the folder.
    script.env("INPUTS", folder).env("TMPDIR", folder);
    script.env("SENDERS", setup.senders.to_string()).env("ENCODES", contender.encodes.to_string()).env("MEDIA_S", media.to_string());
    let output = child::output(script, PATIENCE).await?;
    let words = String::from_utf8_lossy(&output.stderr).lines().next_back().unwrap_or("failed without a word").to_owned();
    match output.status.code() {
        Some(0) => cost(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| "said nothing that is a cost".into()),
        Some(MISSING) => Err(words),
        _ => Err(format!("failed: {words}")),
    }
}

/// "CPU_SECONDS MEDIA_SECONDS" as milliseconds per second.
fn cost(line: &str) -> Option<f64> {
    let (cpu, media) = line.trim().split_once(' ')?;
    let (cpu, media) = (cpu.parse::<f64>().ok()?, media.parse::<f64>().ok()?);
    (media > 0.0).then(|| cpu * 1000.0 / media)
}

/// A folder that goes with whoever holds it.
struct Folder(PathBuf);

impl Folder {
    /// A new one that nobody else can read, under a name that nobody can have foreseen.
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("mixdown-bench-{:032x}", rand::random::<u128>()));
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The scripts, and what the senders send as files that other programs read.
async fn material(clips: &[Arc<Clip>]) -> Result<Folder, String> {
    let folder = Folder::new()?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, bytes)
    };
    let failed = |error: std::io::Error| format!("{}: {error}", folder.path().display());
    FILES.iter().try_for_each(|(name, text)| write(name, text.as_bytes())).map_err(failed)?;
    for (number, clip) in clips.iter().enumerate() {
        write(&format!("{number}.opus"), &voice(clip)).map_err(failed)?;
        let Some(layer) = clip.layers.first() else { continue };
        let pictures: Vec<u8> = layer.pictures.iter().flatten().flat_map(|(data, _)| data.to_vec()).collect();
        write(&format!("{number}.h264"), &pictures).map_err(failed)?;
        if let Err(why) = wrap(folder.path(), number).await {
            // The scripts say so: it is theirs to do without.
            write(&format!("{number}.why"), why.as_bytes()).map_err(failed)?;
        }
    }
    Ok(folder)
}

/// Each packet after its length; one of none is silence that is not sent.
fn voice(clip: &Clip) -> Vec<u8> {
    clip.packets.iter().flat_map(|packet| [&(packet.len() as u16).to_be_bytes()[..], packet].concat()).collect()
}

/// H.264 in MP4, with times.
async fn wrap(folder: &Path, number: usize) -> Result<(), String> {
    let ffmpeg = process::find("ffmpeg").ok_or("ffmpeg, which makes the clips, is not installed")?;
    let file = |end: &str| folder.join(format!("{number}.{end}"));
    let mut command = Command::new(ffmpeg);
    command.args(["-v", "error", "-nostdin", "-y", "-framerate", &FPS.to_string(), "-f", "h264", "-i"]).arg(file("h264"));
    command.args(["-c", "copy"]).arg(file("mp4"));
    let output = child::output(command, PATIENCE).await?;
    if output.status.success() {
        return Ok(());
    }
    // Half a file is none.
    let _ = std::fs::remove_file(file("mp4"));
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ffmpeg makes no clip: {}", said.lines().next().unwrap_or("it says nothing")))
}

#[cfg(test)]
mod tests {
    use super::super::setup::tests::setup;
    use super::*;

    #[test]
    fn medians_are_compared_with_the_first() {
        let entry = |values: &[f64]| Entry { values: values.to_vec(), ..Entry::of("x") };
        let settled = settle(vec![entry(&[90.0, 100.0, 400.0]), entry(&[150.0, 10.0, 200.0]), entry(&[])]);
        let found: Vec<_> = settled.iter().map(|entry| (entry.median, entry.ratio)).collect();
        assert_eq!(found, [(Some(100.0), Some(1.0)), (Some(150.0), Some(1.5)), (None, None)]);
        assert_eq!((cost("1.500 10\n"), cost("x 1"), cost("1 0"), cost("")), (Some(150.0), None, None, None));
    }

    #[tokio::test]
    async fn a_script_that_misses_something_says_what() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("none.sh"), "echo 'no such thing' >&2; exit 77").unwrap();
        std::fs::write(folder.path().join("good.sh"), "echo $SENDERS $MEDIA_S").unwrap();
        let contender = |script| Contender { entry: Entry::of("x"), program: "sh", script, encodes: 1 };
        let setup = setup("--senders 5");
        assert_eq!(turn(&contender("none.sh"), &setup, folder.path()).await, Err("no such thing".into()));
        assert_eq!(turn(&contender("good.sh"), &setup, folder.path()).await, Ok(500.0));
        let missing = Contender { program: "no-such-program", ..contender("good.sh") };
        assert_eq!(turn(&missing, &setup, folder.path()).await, Err("no-such-program is not installed".into()));
    }

    #[test]
    fn a_folder_is_new_private_and_gone_afterwards() {
        use std::os::unix::fs::PermissionsExt;
        let (one, other) = (Folder::new().unwrap(), Folder::new().unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(std::fs::metadata(one.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_ffmpeg_cannot_wrap_is_said_and_leaves_no_clip() {
        let folder = Folder::new().unwrap();
        std::fs::write(folder.path().join("0.h264"), "nonsense").unwrap();
        let why = wrap(folder.path(), 0).await.unwrap_err();
        assert!(why.contains("ffmpeg") && !folder.path().join("0.mp4").exists(), "{why}");
    }

    #[tokio::test]
    async fn a_clip_that_is_missing_is_named_by_the_scripts() {
        if process::find("bash").is_none() {
            println!("skipped: bash is not installed");
            return;
        }
        let folder = material(&[]).await.unwrap();
        std::fs::write(folder.path().join("1.why"), "ffmpeg makes no clip: no reason").unwrap();
        std::fs::write(folder.path().join("0.mp4"), "a clip").unwrap();
        for contender in contenders(&setup("--senders 2")) {
            let reason = turn(&contender, &setup("--senders 2"), folder.path()).await.unwrap_err();
            let lacks = ["is not installed", "has no", "ffmpeg makes no clip: no reason"];
            assert!(lacks.iter().any(|lack| reason.contains(lack)) && !reason.starts_with("failed"), "{reason}");
        }
    }

    #[tokio::test]
    async fn ffmpeg_and_gstreamer_do_the_same_work_where_they_are_there() {
        let size = mixdown_codecs::Size::new(128, 72);
        if cfg!(not(feature = "h264")) || process::find("ffmpeg").is_none() {
            println!("skipped: no H.264, or ffmpeg is not installed");
            return;
        }
        let clip = Arc::new(super::super::clip::tests::clip(0, 1, VideoCodec::H264, size));
        let folder = material(&[Arc::clone(&clip), clip]).await.unwrap();
        for contender in contenders(&setup("--senders 2 --viewers 2")) {
            match turn(&contender, &setup("--senders 2"), folder.path()).await {
                Ok(ms) => assert!(ms > 1.0 && ms < 10_000.0, "{}: {ms}", contender.entry.name),
                Err(reason) if !reason.starts_with("failed") => println!("skipped: {}: {reason}", contender.entry.name),
                Err(reason) => panic!("{}: {reason}", contender.entry.name),
            }
        }
    }
}
