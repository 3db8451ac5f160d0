//! What is known of a recording, in `manifest.json` beside its media: written at the start, whenever its state changes, and
//! at the end with sizes and checksums. Fields of later versions are kept.

use super::tracks::Mode;
use crate::ids::{RecordingId, RoomId};
use crate::room::Framing;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// How far a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecordingState)]
pub enum State {
    /// Waits for its first picture.
    Starting,
    Active,
    Paused,
    Stopping,
    /// Stopped and whole.
    Complete,
    /// The process ended before it did; plays up to its last moments.
    Interrupted,
    /// Ended by a fault (see the reason); plays up to it.
    Failed,
}

impl State {
    /// Nothing will be added any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Interrupted | Self::Failed)
    }
}

/// Why a recording ended or could not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody stopped it.
    Requested,
    /// Its room has ended.
    RoomEnded,
    /// The server shuts down.
    Shutdown,
    /// It is as long as a recording may be.
    MaxDuration,
    /// The disk is full, or nearly.
    NoSpace,
    /// All recordings together are as large as they may be.
    Quota,
    /// The disk refused.
    DiskError,
    /// The process ended while it ran.
    Interrupted,
    /// Not one picture came.
    NoPicture,
    InternalError,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::RoomEnded => "room_ended",
            Self::Shutdown => "shutdown",
            Self::MaxDuration => "max_duration",
            Self::NoSpace => "no_space",
            Self::Quota => "quota",
            Self::DiskError => "disk_error",
            Self::Interrupted => "interrupted",
            Self::NoPicture => "no_picture",
            Self::InternalError => "internal_error",
        }
    }

    /// What a recording that ends for this reason is.
    pub const fn state(self) -> State {
        match self {
            Self::Requested | Self::RoomEnded | Self::Shutdown | Self::MaxDuration => State::Complete,
            Self::Interrupted => State::Interrupted,
            Self::NoSpace | Self::Quota | Self::DiskError | Self::NoPicture | Self::InternalError => State::Failed,
        }
    }
}

/// The form of the media file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Fragments of a second: as it was written.
    Fragmented,
    /// All tables in front.
    Progressive,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub id: RecordingId,
    pub room: String,
    pub view: String,
    /// What stands in place of the view's, as it was at last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layout: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canvas: Option<serde_json::Value>,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    pub form: Form,
    /// What is written.
    #[serde(default)]
    pub tracks: Mode,
    /// RFC 3339, UTC.
    pub started_at: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<String>,
    pub duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub video: Option<Video>,
    pub pictures: u64,
    pub packets: u64,
    /// Pictures and packets that were lost between media and disk; the timeline says where.
    pub lost_pictures: u64,
    pub lost_packets: u64,
    /// With checksums once the state is final.
    pub files: Vec<File>,
    /// How the files are encrypted; always null so far.
    pub encryption: Option<serde_json::Value>,
    /// How far its upload is, where there is one; kept in a file of its own.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub upload: Option<super::upload::Shown>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Video {
    /// `h264` or `vp8`.
    pub codec: String,
    /// Of the first picture.
    pub width: u16,
    pub height: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub name: String,
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    pub fn new(id: RecordingId, room: &RoomId, view: &str, started_at: String) -> Self {
        Self {
            version: 1,
            id,
            room: room.to_string(),
            view: view.to_owned(),
            layout: None,
            canvas: None,
            state: State::Starting,
            reason: None,
            form: Form::Fragmented,
            tracks: Mode::Composite,
            started_at,
            ended_at: None,
            duration_ms: 0,
            video: None,
            pictures: 0,
            packets: 0,
            lost_pictures: 0,
            lost_packets: 0,
            files: Vec::new(),
            encryption: None,
            upload: None,
            more: BTreeMap::new(),
        }
    }

    /// What it is of from now on.
    pub fn frame(&mut self, framing: &Framing) {
        framing.view.clone_into(&mut self.view);
        self.layout = framing.layout.as_ref().map(|layout| serde_json::json!(layout));
        self.canvas = framing.canvas.as_ref().map(|canvas| serde_json::json!(canvas));
    }

    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    pub fn started(&self) -> Option<SystemTime> {
        parse(&self.started_at)
    }

    pub fn ended(&self) -> Option<SystemTime> {
        parse(self.ended_at.as_ref()?)
    }

    /// Bytes of all files that are listed.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }
}

fn parse(text: &str) -> Option<SystemTime> {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_later_version_survive_a_reader_of_this_one() {
        let manifest = Manifest::new(RecordingId(7), &"standup".parse().unwrap(), "main", "2026-11-23T00:00:00Z".into());
        let mut later: serde_json::Value = serde_json::from_slice(&manifest.json()).unwrap();
        later["version"] = 2.into();
        later["region"] = "north".into();
        let read: Manifest = serde_json::from_value(later.clone()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&read.json()).unwrap(), later);
    }

    #[test]
    fn reasons_are_named_as_they_are_written() {
        for reason in [Reason::Requested, Reason::RoomEnded, Reason::MaxDuration, Reason::NoSpace, Reason::DiskError, Reason::InternalError]
        {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
            assert!(reason.state().is_final());
        }
    }
}
