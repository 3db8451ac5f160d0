//! The folder of all recordings: a folder for each, named by its id.
//!
//! At the start it says which recordings a dead process left unfinished; [`Store::recover`] closes them. It lists, opens and deletes,
//! and [`Store::sweep`] removes what is older than it may be. All of it reads and writes files and may wait for the disk: call it
//! where waiting is allowed. One server at a time has the folder.

use super::Settings;
use super::disk::{self, CHAPTERS, JOURNAL, Local, MANIFEST, MEDIA, THUMBNAIL, TIMELINE};
use super::manifest::{Manifest, Reason, State};
use super::mp4::{self, playlist, scan};
use super::thumbnail;
use super::timeline::{self, Timeline};
use super::tracks::{Stretch, files};
use super::upload::Bucket;
use super::writer::{self, Usage};
use crate::ids::{RecordingId, RoomId};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

pub const LOCK: &str = "lock";
/// In front of the name of a folder that is being removed.
const DELETED: &str = "deleted-";

/// Why the folder cannot be used. One line with key and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("recordings.folder: cannot use {folder}: {error}; name a folder that this user may write to", folder = .folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    #[error("recordings.folder: {folder} is in use by another server; give each its own", folder = .0.display())]
    Busy(PathBuf),
    #[error("{0}")]
    Upload(String),
}

/// Why a recording is not deleted or opened.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such recording, or it has no such file")]
    Unknown,
    /// Stop it first.
    #[error("the recording is not finished")]
    Running,
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// What can be read of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Media,
    Timeline,
    Chapters,
    Thumbnail,
    Manifest,
}

impl Part {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Media => MEDIA,
            Self::Timeline => TIMELINE,
            Self::Chapters => CHAPTERS,
            Self::Thumbnail => THUMBNAIL,
            Self::Manifest => MANIFEST,
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    settings: Settings,
    root: Local,
    usage: Arc<Usage>,
    /// Where recordings are sent as well.
    bucket: Option<Bucket>,
    running: Mutex<BTreeMap<RecordingId, Arc<Running>>>,
    changed: Condvar,
    /// Held as long as the store lives.
    _lock: File,
}

#[derive(Default)]
struct Running {
    /// Milliseconds of media so far.
    so_far: AtomicU64,
    tracks: Mutex<files::Seen>,
}

impl Store {
    /// Opens the folder, and makes it where it is missing. Gives the recordings that were not finished.
    pub fn open(settings: Settings) -> Result<(Self, Vec<RecordingId>), Error> {
        let folder = settings.folder.clone();
        let fault = |error| Error::Folder { folder: folder.clone(), error };
        let root = Local::root(&settings.folder).map_err(fault)?;
        let lock = root.lock_file(LOCK).map_err(fault)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy(folder.clone()),
            TryLockError::Error(error) => fault(error),
        })?;
        let names = root.names().map_err(fault)?;
        for name in names.iter().filter(|name| name.starts_with(DELETED)) {
            remove(&root, name).map_err(fault)?;
        }
        uploads::strip_erased(&root, &names).map_err(fault)?;
        let bucket = settings.upload.as_ref().map(Bucket::open).transpose().map_err(Error::Upload)?;
        let ids: Vec<RecordingId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let bytes = ids.iter().filter_map(|id| root.open_folder(&id.to_string()).and_then(|folder| folder.bytes()).ok()).sum();
        let usage = Usage::new(bytes, settings.max_bytes);
        let (running, changed) = Default::default();
        let inner = Inner { settings, root, usage, bucket, running, changed, _lock: lock };
        let store = Self(Arc::new(inner));
        let unfinished = ids.into_iter().filter(|id| !store.manifest(*id).is_ok_and(|manifest| manifest.state.is_final()));
        let unfinished = unfinished.collect();
        Ok((store, unfinished))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Bytes of all recordings together.
    pub fn bytes(&self) -> u64 {
        self.0.usage.bytes()
    }

    /// Closes a recording that was left unfinished, marks it and gives its manifest. Reads all of it for the checksum.
    pub fn recover(&self, id: RecordingId, reason: Reason, wall: SystemTime) -> Result<Manifest, Refusal> {
        if self.is_running(id) {
            return Err(Refusal::Running);
        }
        let folder = self.folder(id)?;
        let unknown: Option<RoomId> = "unknown".parse().ok();
        let fallback = unknown.map(|room| Manifest::new(id, &room, "", crate::runtime::clock::rfc3339(wall))).ok_or(Refusal::Unknown)?;
        let before = folder.bytes()?;
        let manifest = writer::recover(&folder, fallback, reason, wall)?;
        if !self.manifest(id)?.state.is_final() {
            return Err(io::Error::other("its manifest cannot be written").into());
        }
        self.0.usage.give_back(before);
        self.0.usage.add(manifest.bytes());
        metrics::counter!("mixdown_recordings_total", "state" => "interrupted").increment(1);
        tracing::warn!(recording = %id, duration_ms = manifest.duration_ms, "a recording was interrupted");
        Ok(manifest)
    }

    pub fn manifest(&self, id: RecordingId) -> Result<Manifest, Refusal> {
        let folder = self.folder(id)?;
        let text = disk::read(&folder, MANIFEST).map_err(unknown_or_disk)?;
        let mut manifest: Manifest = serde_json::from_slice(&text).map_err(|error| Refusal::Disk(error.into()))?;
        manifest.upload = self.shown_upload(id, &folder);
        match self.running().get(&id) {
            // Its thread is about to let go of it.
            Some(_) if manifest.state.is_final() => manifest.state = State::Stopping,
            Some(running) => manifest.duration_ms = running.so_far.load(Ordering::Relaxed),
            None => {}
        }
        Ok(manifest)
    }

    /// What has happened; of one that runs so far.
    pub fn timeline(&self, id: RecordingId) -> Result<Timeline, Refusal> {
        let folder = self.folder(id)?;
        match disk::read(&folder, TIMELINE).map_err(unknown_or_disk) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| Refusal::Disk(error.into())),
            Err(Refusal::Unknown) => {
                let (lines, _) = timeline::read(&disk::read(&folder, JOURNAL).map_err(unknown_or_disk)?);
                Ok(Timeline::new(lines, self.manifest(id)?.duration_ms))
            }
            Err(error) => Err(error),
        }
    }

    /// An HLS playlist that names `media` for the file's [fragmented form](Store::fragments); `ended`: nothing will be added to it.
    pub fn playlist(&self, id: RecordingId, media: &str, ended: bool) -> Result<String, Refusal> {
        if let Some(kept) = self.kept_playlist(id, media)? {
            return Ok(kept);
        }
        let file = self.reader(id, Part::Media)?;
        let begin = scan::fragments(&file).map_err(unreadable)?;
        playlist::write(&mp4::From(&file, begin), media, ended).map_err(unreadable)
    }

    /// Where in a media file its fragmented form begins; it goes to the end.
    pub fn fragments(media: &File) -> Result<u64, Refusal> {
        scan::fragments(media).map_err(unreadable)
    }

    /// Participants' own tracks, so far where it runs.
    pub fn tracks(&self, id: RecordingId) -> Result<Vec<Stretch>, Refusal> {
        self.with_seen(id, |folder, seen| files::list(folder, seen))
    }

    /// One of these for reading. Only what is listed is opened, whatever the name.
    pub fn track(&self, id: RecordingId, name: &str) -> Result<(Stretch, File), Refusal> {
        let track = self.with_seen(id, |folder, seen| files::find(folder, name, seen))?.ok_or(Refusal::Unknown)?;
        let file = self.folder(id)?.reader(&track.begun.file).map_err(unknown_or_disk)?;
        Ok((track, file))
    }

    /// Of one that runs with what is known of its tracks already.
    fn with_seen<T>(&self, id: RecordingId, look: impl FnOnce(&Local, &mut files::Seen) -> io::Result<T>) -> Result<T, Refusal> {
        let folder = self.folder(id)?;
        let running = self.running().get(&id).cloned().unwrap_or_default();
        let mut seen = running.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        look(&folder, &mut seen).map_err(unknown_or_disk)
    }

    /// A picture out of it as JPEG.
    pub fn thumbnail(&self, id: RecordingId) -> Result<Vec<u8>, Refusal> {
        match disk::read(&self.folder(id)?, THUMBNAIL).map_err(unknown_or_disk) {
            Err(Refusal::Unknown) => {
                let file = self.reader(id, Part::Media)?;
                let begin = scan::fragments(&file).map_err(unreadable)?;
                thumbnail::draw(&mp4::From(&file, begin)).ok_or(Refusal::Unknown)
            }
            read => read,
        }
    }

    /// All that can be read, the newest first.
    pub fn list(&self) -> io::Result<Vec<Manifest>> {
        let ids = self.0.root.names()?.into_iter().filter_map(|name| name.parse().ok());
        let mut manifests: Vec<Manifest> = ids.filter_map(|id| self.manifest(id).ok()).collect();
        manifests.sort_by(|a, b| (&b.started_at, b.id).cmp(&(&a.started_at, a.id)));
        Ok(manifests)
    }

    /// A file for reading. While the recording runs its media grow.
    pub fn reader(&self, id: RecordingId, part: Part) -> Result<File, Refusal> {
        self.folder(id)?.reader(part.name()).map_err(unknown_or_disk)
    }

    /// What of it is in a bucket is deleted soon after.
    pub fn delete(&self, id: RecordingId) -> Result<(), Refusal> {
        let name = id.to_string();
        let folder = self.folder(id)?;
        // With a bucket it may just be about to be.
        let is_sent = self.bucket().is_some() || uploads::is_sent(&folder);
        let gone = format!("{}{name}", if is_sent { uploads::ERASED } else { DELETED });
        {
            let running = self.running();
            if running.contains_key(&id) {
                return Err(Refusal::Running);
            }
            disk::Disk::rename(&self.0.root, &name, &gone)?;
        }
        self.0.usage.give_back(folder.bytes()?);
        if is_sent {
            return Ok(uploads::strip(&folder)?);
        }
        Ok(remove(&self.0.root, &gone)?)
    }

    /// Deletes what ended longer ago than recordings are kept; what a bucket is to have and has not confirmed stays, unless set otherwise.
    pub fn sweep(&self, wall: SystemTime) -> io::Result<Vec<RecordingId>> {
        let Some(limit) = self.0.settings.retention.and_then(|retention| wall.checked_sub(retention)) else { return Ok(Vec::new()) };
        let is_old = |manifest: &Manifest| manifest.state.is_final() && manifest.ended().is_some_and(|ended| ended < limit);
        let old = self.list()?.into_iter().filter(|manifest| is_old(manifest) && self.may_sweep(manifest)).map(|manifest| manifest.id);
        Ok(old.filter(|id| self.delete(*id).inspect_err(|error| tracing::warn!(%error, recording = %id, "not deleted")).is_ok()).collect())
    }

    /// Waits until no recording runs any more, or for so long; gives how many still do.
    pub fn wait(&self, timeout: Duration) -> usize {
        let idle = self.0.changed.wait_timeout_while(self.running(), timeout, |running| !running.is_empty());
        let (running, _) = idle.unwrap_or_else(PoisonError::into_inner);
        running.len()
    }

    fn folder(&self, id: RecordingId) -> Result<Local, Refusal> {
        self.0.root.open_folder(&id.to_string()).map_err(unknown_or_disk)
    }

    fn is_running(&self, id: RecordingId) -> bool {
        self.running().contains_key(&id)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<RecordingId, Arc<Running>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn usage(&self) -> Arc<Usage> {
        Arc::clone(&self.0.usage)
    }

    pub(super) fn create_folder(&self, id: RecordingId) -> io::Result<Local> {
        self.0.root.create_folder(&id.to_string())
    }

    /// Until the lease is dropped nobody else touches the recording. `None`: somebody has it.
    pub(super) fn lease(&self, id: RecordingId) -> Option<Lease> {
        let mut running = self.running();
        if running.contains_key(&id) {
            return None;
        }
        let shared = Arc::clone(running.entry(id).or_default());
        metrics::gauge!("mixdown_recordings").set(running.len() as f64);
        Some(Lease { store: self.clone(), id, running: shared })
    }

    /// Removes the folder of a recording that could not begin.
    pub(super) fn discard(&self, id: RecordingId) {
        match remove(&self.0.root, &id.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(recording = %id, %error, "the folder of a recording that could not begin stays");
            }
            _ => {}
        }
    }
}

/// A recording that runs.
pub(super) struct Lease {
    store: Store,
    id: RecordingId,
    running: Arc<Running>,
}

impl Lease {
    /// Says how long the media are so far.
    pub fn progress(&self, ms: u64) {
        self.running.so_far.store(ms, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut running = self.store.running();
        running.remove(&self.id);
        metrics::gauge!("mixdown_recordings").set(running.len() as f64);
        drop(running);
        self.store.0.changed.notify_all();
    }
}

/// Media that are none yet have nothing to be read.
fn unreadable(error: mp4::Error) -> Refusal {
    match error {
        mp4::Error::Io(error) => unknown_or_disk(error),
        _ => Refusal::Unknown,
    }
}

fn unknown_or_disk(error: io::Error) -> Refusal {
    // Links and whatever else is in a folder's or a file's place is none of ours.
    let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    match error.kind() {
        _ if is_link => Refusal::Unknown,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => Refusal::Unknown,
        _ => Refusal::Disk(error),
    }
}

fn remove(root: &Local, name: &str) -> io::Result<()> {
    let folder = root.open_folder(name)?;
    for file in folder.names()? {
        disk::remove_if_there(&folder, &file)?;
    }
    root.remove_folder(name)
}

mod uploads;
pub use uploads::{Media, Work};

#[cfg(test)]
mod tests;
