//! Participants' own tracks of a recording, composed again afterwards: another layout, canvas or frame rate, as fast as the machine can.
//!
//! It is the room that was recorded, held once more on virtual time: the same state machine, decoders, canvas, mix, speaker detector and encoders,
//! fed with what was received when it was received, stepped on the caller's thread. Equal tracks and options give equal bytes.
//!
//! Leaves out: who had which rights, chat, what a view showed at the time. Whoever has a file is there from its begin to its end.
//!
//! Flow: `tracks.json → source::Reel → studio::Studio → record::session → MP4`.

mod source;
mod studio;

use crate::record::disk::{self, Local, MANIFEST};
use crate::record::manifest::{Manifest, Reason};
use crate::record::mp4::progressive;
use crate::record::queue::{Command, Item};
use crate::record::session::{self, Output, Session};
use crate::record::tracks::{Mode, files};
use crate::room::model::Canvas;
use mixdown_layouts::Layout;
use source::Reel;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use studio::Studio;

/// How it is composed.
#[derive(Debug, Clone)]
pub struct Options {
    pub layout: Layout,
    pub canvas: Canvas,
    pub bitrate_bps: u32,
}

/// Why it is not. One line each, with what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}: cannot be read: {1}; name the folder of one recording (rec_…)")]
    Folder(PathBuf, io::Error),
    #[error("{0}: has no tracks; record with tracks each or both")]
    NoTracks(PathBuf),
    #[error("{0}: cannot be read: {1}; `mixdown recording verify` says what is wrong with it")]
    Track(String, crate::record::mp4::Error),
    #[error("{0}: cannot be written: {1}; choose another place with -o")]
    Output(PathBuf, io::Error),
    #[error("cannot be composed: {0}")]
    Room(String),
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    pub duration_ms: u64,
    pub bytes: u64,
    pub pictures: u64,
    /// Who is in it.
    pub people: usize,
}

/// Composes the tracks in `folder` into `out`, which is replaced when all is done. `now`: any instant. `progress` is told the milliseconds that
/// are done, and those of the whole.
pub fn compose(folder: &Path, options: &Options, out: &Path, now: Instant, progress: &mut dyn FnMut(u64, u64)) -> Result<Summary, Error> {
    let unreadable = |error| Error::Folder(folder.to_owned(), error);
    if !std::fs::metadata(folder).map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::NotADirectory.into()));
    }
    let disk = Local::root(folder).map_err(unreadable)?;
    let tracks = files::list(&disk, &mut files::Seen::default()).map_err(unreadable)?;
    if tracks.is_empty() {
        return Err(Error::NoTracks(folder.to_owned()));
    }
    let began = disk::read(&disk, MANIFEST).ok().and_then(|text| serde_json::from_slice::<Manifest>(&text).ok());
    let wall = began.and_then(|manifest| manifest.started()).unwrap_or(SystemTime::UNIX_EPOCH);
    let total = files::end_ms(&tracks).max(1);
    let reel = Reel::open(&disk, tracks)?;
    let mut studio = Studio::new(options, reel, now, wall)?;
    let part = beside(out, "part");
    let result = (|| {
        let mut film = Film::create(&part, wall).map_err(|error| Error::Output(part.clone(), error))?;
        let written = |error| Error::Output(part.clone(), error);
        let mut told = 0;
        while let Some(at_ms) = studio.step()? {
            for made in studio.take() {
                film.add(made).map_err(written)?;
            }
            if at_ms >= told {
                progress(at_ms.min(total), total);
                told = at_ms + 1000;
            }
        }
        film.end().map_err(written)?;
        progress(total, total);
        film.publish(out, wall, studio.people())
    })();
    // What is left of a failure helps nobody.
    let _ = std::fs::remove_file(&part);
    result
}

fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    out.with_file_name(name)
}

/// The film while it is made: fragmented.
struct Film {
    session: Session,
    file: File,
    wall: SystemTime,
}

impl Film {
    fn create(path: &Path, wall: SystemTime) -> io::Result<Self> {
        let options = session::Options {
            fragment: Duration::from_secs(1),
            max_duration: None,
            tracks: Mode::Composite,
            sound_late: session::MIX_LATE,
        };
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Self { session: Session::new(options), file, wall })
    }

    fn add(&mut self, item: Item) -> io::Result<()> {
        self.session.handle(item, self.wall);
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Head { bytes, .. } => self.file.write_all(&bytes)?,
                Output::Fragment(fragment) => self.file.write_all(&fragment.bytes)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.add(Item::Command { command: Command::Stop(Reason::Requested), wall: self.wall })
    }

    /// Puts it in its place with its tables in front.
    fn publish(self, out: &Path, wall: SystemTime, people: usize) -> Result<Summary, Error> {
        let new = beside(out, "new");
        let refused = |error| Error::Output(new.clone(), error);
        let mut to = File::create(&new).map_err(refused)?;
        let rewritten = progressive::rewrite(&self.file, wall, &mut |bytes| to.write_all(bytes));
        let moved = rewritten.map_err(|error| Error::Track(out.display().to_string(), error)).and_then(|bytes| {
            to.sync_all().and_then(|()| std::fs::rename(&new, out)).map_err(refused)?;
            Ok(bytes)
        });
        let bytes = moved.inspect_err(|_| drop(std::fs::remove_file(&new)))?;
        let (pictures, _) = self.session.count(crate::record::mp4::Kind::Video);
        Ok(Summary { duration_ms: self.session.duration().ms(), bytes, pictures, people })
    }
}
