//! `mixdown recording list|repair|verify`.

use super::output::{fail, out};
use super::settings::Settings;
use clap::{Args, Subcommand};
use mixdown::record::{Manifest, Reason, Store, verify};
use mixdown::runtime::clock;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Say which recordings there are.
    List(Place),
    /// Close what a dead server left unfinished, so that it plays. The server does so too when it starts.
    Repair(Place),
    /// Hold all files against their checksums, and see whether they lead from their beginning to their end.
    Verify(Place),
}

#[derive(Args)]
pub struct Place {
    /// The folder of all recordings, or (verify) of one; recordings.folder of the settings without it.
    folder: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// JSON in place of text.
    #[arg(long)]
    json: bool,
}

pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::List(place) => with_folder(place, list),
        Command::Repair(place) => with_folder(place, repair),
        Command::Verify(place) => with_folder(place, verify_all),
    }
}

fn with_folder(place: &Place, work: impl FnOnce(&Place, &Path) -> ExitCode) -> ExitCode {
    let folder = match (&place.folder, place.settings.load()) {
        (Some(folder), _) => folder.clone(),
        (None, Ok(config)) => config.recordings.folder,
        (None, Err(fault)) => return fail(2, fault),
    };
    if !folder.is_dir() {
        return fail(2, format_args!("{}: there is no such folder; name one, or the server's settings by --config", folder.display()));
    }
    work(place, &folder)
}

fn list(place: &Place, folder: &Path) -> ExitCode {
    let all = match verify::list(folder) {
        Ok(all) => all,
        Err(error) => return fail(1, format_args!("{}: cannot be read: {error}", folder.display())),
    };
    if place.json {
        return out(&(json!({"recordings": all}).to_string() + "\n"));
    }
    let line = |found: &verify::Found| match &found.manifest {
        Some(manifest) => format!(
            "{}  {}  {:<11}  {:>9}  {:>12}  {}\n",
            found.id,
            manifest.started_at,
            state(manifest),
            length(manifest.duration_ms),
            found.bytes,
            manifest.room
        ),
        None => format!("{}  has no manifest that can be read; → mixdown recording repair {}\n", found.id, folder.display()),
    };
    out(&all.iter().map(line).collect::<String>())
}

fn repair(place: &Place, folder: &Path) -> ExitCode {
    if folder.join("manifest.json").is_file() {
        return fail(2, format_args!("{}: is one recording; name the folder around it", folder.display()));
    }
    let settings = match place.settings.load() {
        Ok(config) => mixdown::record::Settings { folder: folder.to_owned(), ..config.recordings.settings() },
        Err(fault) => return fail(2, fault),
    };
    let (store, unfinished) = match Store::open(settings) {
        Ok(opened) => opened,
        Err(error) => return fail(1, format_args!("{error}; a server that runs repairs by itself")),
    };
    let (mut closed, mut code) = (Vec::new(), 0);
    for id in unfinished {
        match store.recover(id, Reason::Interrupted, clock::wall()) {
            Ok(manifest) => closed.push(manifest),
            Err(error) => {
                code = 1;
                fail(1, format_args!("{id}: cannot be closed: {error}; free some space, or see who owns its files"));
            }
        }
    }
    if place.json {
        let _ = out(&(json!({"good": code == 0, "repaired": closed}).to_string() + "\n"));
    } else if closed.is_empty() && code == 0 {
        let _ = out("nothing to repair\n");
    } else {
        let line = |manifest: &Manifest| format!("{}  {}  {}\n", manifest.id, state(manifest), length(manifest.duration_ms));
        let _ = out(&closed.iter().map(line).collect::<String>());
    }
    ExitCode::from(code)
}

fn verify_all(place: &Place, folder: &Path) -> ExitCode {
    let is_one = folder.join("manifest.json").is_file();
    let folders = if is_one {
        vec![folder.to_owned()]
    } else {
        match verify::list(folder) {
            Ok(all) => all.iter().map(|found| folder.join(found.id.to_string())).collect(),
            Err(error) => return fail(1, format_args!("{}: cannot be read: {error}", folder.display())),
        }
    };
    let around = folder.canonicalize().ok().and_then(|whole| whole.parent().map(Path::to_owned));
    let running = verify::is_in_use(around.as_deref().filter(|_| is_one).unwrap_or(folder));
    let (mut reports, mut bad, mut open) = (Vec::new(), 0, false);
    for one in &folders {
        let findings = match verify::verify(one, running) {
            Ok(findings) => findings,
            Err(error) => vec![verify::Finding { file: String::new(), problem: format!("cannot be read: {error}") }],
        };
        bad += usize::from(!findings.is_empty());
        open |= findings.iter().any(|finding| finding.file == "manifest.json");
        if !place.json {
            for finding in &findings {
                let _ = out(&format!("{}: {}: {}\n", one.display(), finding.file, finding.problem));
            }
        }
        reports.push(json!({"folder": one.display().to_string(), "good": findings.is_empty(), "findings": findings}));
    }
    if place.json {
        let _ = out(&(json!({"good": bad == 0, "recordings": reports}).to_string() + "\n"));
    } else if bad == 0 {
        let _ = out(&format!("{} recordings are good\n", folders.len()));
    } else if open {
        fail(1, format_args!("{bad} of {} recordings are not good; → mixdown recording repair, then verify again", folders.len()));
    } else {
        fail(
            1,
            format_args!("{bad} of {} recordings are not good; → restore these files from a copy, or delete the recordings", folders.len()),
        );
    }
    ExitCode::from(u8::from(bad > 0))
}

fn state(manifest: &Manifest) -> String {
    let state = serde_json::to_value(manifest.state).unwrap_or_default();
    state.as_str().unwrap_or_default().to_owned()
}

/// `h:mm:ss`
pub fn length(ms: u64) -> String {
    format!("{}:{:02}:{:02}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60)
}
