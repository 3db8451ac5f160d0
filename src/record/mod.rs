//! Recordings that are never lost.
//!
//! A recording is a subscriber: it takes the coded pictures and packets that a rendition and a mix make anyway ([`VideoOut`],
//! [`AudioOut`]) and writes them as they are. Each has a folder of its own with `media.mp4` (see [`mp4`]), `timeline.json`,
//! `chapters.vtt` (see [`timeline`]), `thumbnail.jpg` and `manifest.json` (see [`manifest`]); where they are wanted, also participants' own
//! tracks (see [`tracks`]).
//!
//! Promises: nobody on the media plane ever waits for a disk ([`queue`]); what was written plays, whenever and however the
//! process ends, up to its last second or two; picture and sound stay in step, whatever is lost and however often it pauses
//! ([`session`]); a disk is left before it is full ([`writer`]). Leaves out: which pictures a recording shows, who may
//! start one, and who is told: `conference` and `api`.
//!
//! Flow: `Recorder → Queue → (thread) Session → Writer → Disk`, back by [`Report`]; `Disk → (task) upload → bucket`.
//!
//! ```text
//! let (store, unfinished) = Store::open(settings)?;              // at the start; close the unfinished on a thread
//! for id in unfinished { tell(store.recover(id, Reason::Interrupted, wall)?) }
//!
//! let recorder = store.start(Start { id, room, framing, … }, report)?; // Event::Ready, or Event::Ended with a reason
//! if recorder.video(&picture) == Need::Keyframe { … }            // for every picture of its rendition
//! recorder.audio(&packet);                                       // for every packet of its mix
//! recorder.note(TimelineEvent::Speaker { participant });
//! recorder.frame(framing);                                      // what it is of has changed
//! recorder.pause(PauseMode::Cut, None);  recorder.resume();      // Event::State
//! recorder.stop(Reason::Requested);                              // Event::Ended(manifest) when all is closed
//! store.wait(timeout);                                           // at the end of the process
//! ```
//!
//! [`VideoOut`]: crate::media::VideoOut
//! [`AudioOut`]: crate::media::AudioOut

pub mod disk;
mod driver;
pub mod manifest;
pub mod mp4;
pub mod queue;
pub mod session;
mod slate;
pub mod store;
mod thumbnail;
pub mod timeline;
pub mod tracks;
pub mod upload;
pub mod verify;
pub mod writer;

pub use driver::Recorder;
pub use manifest::{Manifest, Reason, State};
pub use queue::Need;
pub use store::{Part, Store};
pub use timeline::{PauseMode, TimelineEvent};

use crate::ids::{RecordingId, RoomId};
use crate::room::Framing;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub folder: PathBuf,
    /// Longest fragment: what a killed process loses at most, and half a second more.
    pub fragment: Duration,
    /// How often data are synced: what a power cut loses at most.
    pub sync_every: Duration,
    /// How often a keyframe is asked for, where players can begin.
    pub keyframe_every: Duration,
    /// Bytes of all recordings together; 0: no limit.
    pub max_bytes: u64,
    /// What stays free on the disk: the smaller of the two.
    pub reserve_bytes: u64,
    pub reserve_percent: u8,
    /// How long finished recordings are kept; `None`: until they are deleted.
    pub retention: Option<Duration>,
    /// A recording that is as long ends; `None`: none does.
    pub max_duration: Option<Duration>,
    /// What waits for the disk at most.
    pub queue_bytes: usize,
    pub queue_span: Duration,
    /// Rewrite what ended well with its tables in front, where there is room.
    pub progressive: bool,
    /// Where recordings are sent as well.
    pub upload: Option<upload::Settings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folder: "mixdown-recordings".into(),
            fragment: Duration::from_secs(1),
            sync_every: Duration::from_secs(5),
            keyframe_every: Duration::from_secs(10),
            max_bytes: 0,
            reserve_bytes: 1 << 30,
            reserve_percent: 5,
            retention: None,
            max_duration: None,
            queue_bytes: 8 << 20,
            queue_span: Duration::from_secs(5),
            progressive: true,
            upload: None,
        }
    }
}

impl Settings {
    fn queue(&self) -> queue::Limits {
        queue::Limits { bytes: self.queue_bytes, span: self.queue_span, keyframe_every: self.keyframe_every }
    }

    fn session(&self, tracks: tracks::Mode) -> session::Options {
        session::Options { fragment: self.fragment, max_duration: self.max_duration, tracks, sound_late: session::MIX_LATE }
    }

    /// What stays free on a disk of so many bytes.
    pub fn reserve(&self, total: u64) -> u64 {
        writer::Reserve { bytes: self.reserve_bytes, percent: self.reserve_percent }.of(total)
    }

    fn writer(&self) -> writer::Options {
        let reserve = writer::Reserve { bytes: self.reserve_bytes, percent: self.reserve_percent };
        writer::Options { sync_every: self.sync_every, reserve, progressive: self.progressive }
    }
}

/// What a recording tells.
#[derive(Debug, Clone)]
pub enum Event {
    /// Its files are made; it waits for its first picture.
    Ready,
    /// [`State::Active`], [`State::Paused`] or [`State::Starting`].
    State(State),
    /// All is closed: `complete`, or `failed` with a reason.
    Ended(Box<Manifest>),
}

/// Receives what recordings tell. Never blocks.
pub trait Report: Send + Sync {
    fn event(&self, recording: RecordingId, event: Event);
}

/// What a new recording is of.
#[derive(Debug, Clone)]
pub struct Start {
    /// Random.
    pub id: RecordingId,
    pub room: RoomId,
    pub framing: Framing,
    pub wall: SystemTime,
    pub tracks: tracks::Mode,
    /// Where the room's media time begins.
    pub epoch: Instant,
}

impl Start {
    /// As it begins.
    pub fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::new(self.id, &self.room, &self.framing.view, crate::runtime::clock::rfc3339(self.wall));
        manifest.tracks = self.tracks;
        manifest.frame(&self.framing);
        manifest
    }
}

impl Store {
    /// Begins a recording on a thread of its own; does not wait for the disk. `Err`: the system gives no thread, or the id is in use.
    pub fn start(&self, start: Start, report: Arc<dyn Report>) -> io::Result<Recorder> {
        let (id, epoch, manifest) = (start.id, start.epoch, start.manifest());
        Recorder::start(self, manifest, epoch, move |store| Ok(Box::new(store.create_folder(id)?)), report)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
