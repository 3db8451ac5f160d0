//! What a recording leaves on its disk, and when: the stage between [`super::session`] and the files.
//!
//! Media are written fragment by fragment and synced every few seconds; the timeline line by line. Nothing depends on closing:
//! [`recover`] makes of what a dead process left the same files that [`Writer::finish`] makes. Before the disk is full it stops, and closing takes no
//! space but what was set aside at the beginning.
//!
//! Time is a parameter; the disk is a trait. Whatever fails is told once; the file stays whole up to its last fragment.

use super::disk::{self, CHAPTERS, Disk, DiskFile, JOURNAL, MANIFEST, MEDIA, RESERVE, THUMBNAIL, TIMELINE};
use super::manifest::{File, Form, Manifest, Reason, State, Video};
use super::mp4::{self, Error, Ticks, progressive, scan};
use super::session::Output;
use super::thumbnail;
use super::timeline::{self, Line, Timeline, TimelineEvent};
use super::tracks::files::{self, Files, INDEX};
use super::tracks::stage;
use crate::runtime::clock::rfc3339;
use mixdown_codecs::VideoCodec;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What closing takes: timeline, chapters, manifest.
const CLOSING: u64 = 1 << 20;
/// Bytes of the journal; further events are dropped.
const MOST_JOURNAL: u64 = 64 << 20;
const PIECE: usize = 256 << 10;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often data are synced.
    pub sync_every: Duration,
    /// What must stay free on the disk.
    pub reserve: Reserve,
    /// Whether a recording that ended well is rewritten with its tables in front.
    pub progressive: bool,
}

/// The smaller of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    pub bytes: u64,
    pub percent: u8,
}

impl Reserve {
    pub fn of(self, total: u64) -> u64 {
        self.bytes.min(total / 100 * u64::from(self.percent.min(100)))
    }
}

/// What all recordings of a folder take together.
#[derive(Debug)]
pub struct Usage {
    bytes: AtomicU64,
    /// 0: no limit.
    most: u64,
    /// Held while a file is written anew beside itself: each takes of the room that the one before has left.
    rewriting: Mutex<()>,
}

impl Usage {
    pub fn new(bytes: u64, most: u64) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(bytes), most, rewriting: Mutex::new(()) })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn give_back(&self, bytes: u64) {
        // Never below zero, whatever was removed behind our back.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.most == 0 || self.bytes().saturating_add(bytes) <= self.most
    }
}

/// Why a recording cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Stop, and tell the operator.
    #[error("the disk has no space left but its reserve")]
    NoSpace,
    /// Delete recordings or raise the quota.
    #[error("all recordings together are as large as they may be")]
    Quota,
    /// Stop; the file is whole up to its last fragment.
    #[error("the disk refuses: {0}")]
    Disk(io::Error),
}

impl Fault {
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoSpace => Reason::NoSpace,
            Self::Quota => Reason::Quota,
            Self::Disk(_) => Reason::DiskError,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Disk(error),
        }
    }
}

/// See the module.
pub struct Writer {
    disk: Box<dyn Disk>,
    options: Options,
    usage: Arc<Usage>,
    manifest: Manifest,
    media: Option<Media>,
    tracks: Files,
    journal: Box<dyn DiskFile>,
    journal_bytes: u64,
    /// The journal has lines that are not synced.
    journal_dirty: bool,
    synced: Instant,
    /// Bytes that this recording has in `usage`.
    used: u64,
}

struct Media {
    file: Box<dyn DiskFile>,
    /// Something is not synced.
    dirty: bool,
    created: SystemTime,
}

/// What the session knows at the end.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    pub reason: Reason,
    pub duration: Ticks,
    pub pictures: u64,
    pub packets: u64,
    pub lost_pictures: u64,
    pub lost_packets: u64,
}

impl Writer {
    /// `disk`: a new, empty folder.
    pub fn begin(disk: Box<dyn Disk>, options: Options, usage: Arc<Usage>, manifest: Manifest, now: Instant) -> Result<Self, Fault> {
        check_space(disk.as_ref(), options.reserve, &usage, CLOSING)?;
        disk.create(RESERVE)?.allocate(CLOSING)?;
        let journal = disk.create(JOURNAL)?;
        disk::replace(disk.as_ref(), MANIFEST, &manifest.json())?;
        usage.add(CLOSING);
        Ok(Self {
            disk,
            options,
            usage,
            manifest,
            media: None,
            tracks: Files::default(),
            journal,
            journal_bytes: 0,
            journal_dirty: false,
            synced: now,
            used: CLOSING,
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Does what is to be done with files. After an error only [`Writer::finish`] may follow.
    pub fn write(&mut self, output: &Output, now: Instant, wall: SystemTime) -> Result<(), Fault> {
        match output {
            Output::Head { bytes, video } => self.open_media(bytes, video, wall),
            Output::Fragment(fragment) => self.write_fragment(&fragment.bytes, now),
            Output::Track(output) => self.write_track(output),
            Output::Line(line) => self.write_line(&timeline::write(line)),
            Output::State(state) => {
                self.manifest.state = *state;
                self.write_manifest()
            }
            Output::Framing(framing) => {
                self.manifest.frame(framing);
                self.write_manifest()
            }
            Output::Broken | Output::End { .. } => Ok(()),
        }
    }

    fn write_manifest(&self) -> Result<(), Fault> {
        Ok(disk::replace(self.disk.as_ref(), MANIFEST, &self.manifest.json())?)
    }

    /// Syncs what is due.
    pub fn tick(&mut self, now: Instant) -> Result<(), Fault> {
        if now.saturating_duration_since(self.synced) < self.options.sync_every {
            return Ok(());
        }
        self.synced = now;
        if let Some(media) = &mut self.media
            && std::mem::take(&mut media.dirty)
        {
            media.file.sync()?;
        }
        self.tracks.sync(self.disk.as_ref())?;
        if std::mem::take(&mut self.journal_dirty) {
            self.journal.sync()?;
        }
        Ok(())
    }

    fn write_track(&mut self, output: &stage::Output) -> Result<(), Fault> {
        let cost = Files::cost(output);
        if cost > 0 {
            check_space(self.disk.as_ref(), self.options.reserve, &self.usage, cost)?;
        }
        let written = self.tracks.write(self.disk.as_ref(), output)?;
        self.take(written);
        Ok(())
    }

    fn open_media(&mut self, head: &[u8], video: &Video, wall: SystemTime) -> Result<(), Fault> {
        check_space(self.disk.as_ref(), self.options.reserve, &self.usage, head.len() as u64)?;
        let mut file = self.disk.create(MEDIA)?;
        file.append(head)?;
        file.sync()?;
        self.disk.sync()?;
        self.take(head.len() as u64);
        self.media = Some(Media { file, dirty: false, created: wall });
        self.manifest.video = Some(video.clone());
        Ok(())
    }

    fn write_fragment(&mut self, bytes: &[u8], now: Instant) -> Result<(), Fault> {
        check_space(self.disk.as_ref(), self.options.reserve, &self.usage, bytes.len() as u64)?;
        let Some(media) = &mut self.media else { return Ok(()) };
        media.file.append(bytes)?;
        media.dirty = true;
        self.take(bytes.len() as u64);
        self.tick(now)
    }

    fn write_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if self.journal_bytes + line.len() as u64 > MOST_JOURNAL {
            metrics::counter!("mixdown_drops_total", "reason" => "recording_timeline_full").increment(1);
            return Ok(());
        }
        self.journal.append(line)?;
        self.journal_dirty = true;
        self.journal_bytes += line.len() as u64;
        self.take(line.len() as u64);
        Ok(())
    }

    fn take(&mut self, bytes: u64) {
        self.used += bytes;
        self.usage.add(bytes);
    }

    /// Closes all files and gives the manifest as it stands then, whatever the disk does.
    pub fn finish(mut self, totals: Totals, wall: SystemTime) -> Manifest {
        let manifest = &mut self.manifest;
        (manifest.state, manifest.reason, manifest.duration_ms) = (State::Stopping, Some(totals.reason), totals.duration.ms());
        (manifest.pictures, manifest.packets) = (totals.pictures, totals.packets);
        (manifest.lost_pictures, manifest.lost_packets) = (totals.lost_pictures, totals.lost_packets);
        manifest.ended_at = Some(rfc3339(wall));
        let is_whole = totals.reason.state() == State::Complete;
        report("give its reserve back", disk::remove_if_there(self.disk.as_ref(), RESERVE));
        let mut created = wall;
        if let Some(mut media) = self.media.take() {
            created = media.created;
            let closed = media.file.sync();
            // A fragment that did not fit is half there.
            let closed = if is_whole { closed } else { recover_media(media.file, &mut self.manifest) };
            report("close its media", closed);
        }
        if !is_whole {
            let event = TimelineEvent::Stopped { reason: totals.reason.name().to_owned() };
            let line = Line { at_ms: self.manifest.duration_ms, wall: rfc3339(wall), event };
            report("say in its timeline why it ends", self.journal.append(&timeline::write(&line)));
        }
        report("sync its timeline", self.journal.sync());
        report("sync its tracks", self.tracks.sync(self.disk.as_ref()));
        let disk = self.disk.as_ref();
        // From here on it is known to be stopped, whatever becomes of the process.
        report("note that it is stopped", disk::replace(disk, MANIFEST, &self.manifest.json()));
        if is_whole && self.options.progressive {
            let _one = self.usage.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
            let room = disk.space().map(|space| space.free.saturating_sub(self.options.reserve.of(space.total)));
            self.manifest.form = rewrite(disk, created, room.unwrap_or_default());
        }
        let manifest = close(disk, self.manifest);
        self.usage.give_back(self.used);
        self.usage.add(manifest.bytes());
        manifest
    }
}

fn check_space(disk: &dyn Disk, reserve: Reserve, usage: &Usage, bytes: u64) -> Result<(), Fault> {
    if !usage.has_room(bytes) {
        return Err(Fault::Quota);
    }
    let space = disk.space()?;
    if space.free < reserve.of(space.total).saturating_add(bytes) { Err(Fault::NoSpace) } else { Ok(()) }
}

fn report(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        metrics::counter!("mixdown_recording_disk_errors_total").increment(1);
        tracing::error!(%error, "a recording could not {what}");
    }
}

/// Puts a progressive file in the place of the fragmented one, where there is room for both.
fn rewrite(disk: &dyn Disk, created: SystemTime, room: u64) -> Form {
    let new = format!("{MEDIA}.new");
    let rewritten = (|| -> Result<(), Error> {
        let file = disk.open(MEDIA)?;
        if progressive::room(file.length()?) > room {
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        disk::remove_if_there(disk, &new)?;
        let mut to = disk.create(&new)?;
        progressive::rewrite(&*file, created, &mut |bytes| to.append(bytes))?;
        to.sync()?;
        disk.rename(&new, MEDIA)?;
        Ok(disk.sync()?)
    })();
    match rewritten {
        Ok(()) => Form::Progressive,
        Err(error) => {
            tracing::warn!(%error, "a recording stays fragmented");
            report("remove what was rewritten", disk::remove_if_there(disk, &new));
            Form::Fragmented
        }
    }
}

/// A picture of it, where one can be drawn.
fn illustrate(disk: &dyn Disk) -> io::Result<()> {
    let drawn = match disk.open(MEDIA) {
        Ok(file) => thumbnail::draw(&mp4::From(&*file, mp4::scan::fragments(&*file).unwrap_or_default())),
        Err(_) => None,
    };
    drawn.map_or(Ok(()), |picture| disk::replace(disk, THUMBNAIL, &picture))
}

/// Timeline, chapters, thumbnail, checksums, manifest.
fn close(disk: &dyn Disk, mut manifest: Manifest) -> Manifest {
    let reason = manifest.reason.unwrap_or(Reason::Interrupted);
    (manifest.state, manifest.reason) = (reason.state(), Some(reason));
    let mut names: Vec<String> = [MEDIA, TIMELINE, CHAPTERS, THUMBNAIL].map(str::to_owned).into();
    if manifest.tracks.has_tracks() {
        let tracks = files::conclude(disk).unwrap_or_else(|error| {
            report("list its tracks", Err(error));
            Vec::new()
        });
        if !manifest.tracks.has_composite() {
            manifest.duration_ms = files::end_ms(&tracks);
        }
        names.push(INDEX.to_owned());
        names.extend(tracks.into_iter().map(|track| track.begun.file));
    }
    match disk::read(disk, JOURNAL) {
        Ok(journal) => {
            let (lines, broken) = timeline::read(&journal);
            metrics::counter!("mixdown_drops_total", "reason" => "recording_timeline_line").increment(broken as u64);
            let timeline = Timeline::new(lines, manifest.duration_ms);
            let written = disk::replace(disk, TIMELINE, &timeline.json());
            let written = written.and_then(|()| disk::replace(disk, CHAPTERS, timeline.chapters().as_bytes()));
            report("write its timeline", written.and_then(|()| disk.remove(JOURNAL)));
        }
        // It was closed before, up to its manifest.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => report("read its timeline", Err(error)),
    }
    report("draw its thumbnail", illustrate(disk));
    manifest.files = names.iter().filter_map(|name| checksum(disk, name).ok()).collect();
    report("write its manifest", disk::replace(disk, MANIFEST, &manifest.json()));
    manifest
}

pub fn checksum(disk: &dyn Disk, name: &str) -> io::Result<File> {
    let file = disk.open(name)?;
    let bytes = file.length()?;
    let (mut hash, mut piece, mut at) = (Sha256::new(), vec![0; PIECE], 0);
    while at < bytes {
        let length = (bytes - at).min(PIECE as u64) as usize;
        let part = piece.get_mut(..length).unwrap_or_default();
        file.read_at(part, at)?;
        hash.update(&*part);
        at += length as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(File { name: name.to_owned(), bytes, sha256 })
}

/// Closes what a process or a thread left behind that is no more, for `reason`. `fallback`: where there is no manifest that
/// can be read. `Err`: the disk refuses; try again later.
pub fn recover(disk: &dyn Disk, fallback: Manifest, reason: Reason, wall: SystemTime) -> io::Result<Manifest> {
    let mut manifest = match disk::read(disk, MANIFEST) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or(fallback),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fallback,
        Err(error) => return Err(error),
    };
    if manifest.state.is_final() {
        return Ok(manifest);
    }
    for name in
        [RESERVE, "media.mp4.new", "manifest.json.new", "timeline.json.new", "chapters.vtt.new", "thumbnail.jpg.new", "tracks.json.new"]
    {
        disk::remove_if_there(disk, name)?;
    }
    if manifest.state != State::Stopping {
        manifest.reason = Some(reason);
        manifest.ended_at = Some(rfc3339(wall));
    }
    match disk.open(MEDIA) {
        Ok(file) => recover_media(file, &mut manifest)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => manifest.duration_ms = 0,
        Err(error) => return Err(error),
    }
    Ok(close(disk, manifest))
}

fn recover_media(mut file: Box<dyn DiskFile>, manifest: &mut Manifest) -> io::Result<()> {
    match scan::scan(&*file) {
        Ok(found) => {
            if found.torn {
                file.truncate(found.end)?;
                file.sync()?;
            }
            manifest.form = Form::Fragmented;
            manifest.duration_ms = found.duration.ms();
            (manifest.pictures, manifest.packets) = (found.pictures, found.packets);
            let video = |codec: VideoCodec| Video { codec: codec.name().to_owned(), width: found.width, height: found.height };
            manifest.video = manifest.video.take().or(found.codec.map(video));
        }
        // It was rewritten, and the process ended before it could say so.
        Err(Error::Format(_)) if manifest.state == State::Stopping => manifest.form = Form::Progressive,
        Err(Error::Io(error)) => return Err(error),
        Err(error) => {
            tracing::error!(%error, recording = %manifest.id, "the media of an interrupted recording cannot be read");
            manifest.duration_ms = 0;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
