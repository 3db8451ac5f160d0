//! Recordings.

use super::Layout;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What of somebody goes into recordings: everything; their sound and a tile with their name; their sound alone; nothing.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Consent {
    Allow,
    Avatar,
    AudioOnly,
    Deny,
}

#[derive(ToSchema)]
pub struct NewRecording {
    /// `main` if absent.
    #[schema(required = false)]
    view: super::ViewName,
    /// In place of the view's.
    layout: Option<Layout>,
    #[schema(required = false)]
    tracks: Tracks,
    #[schema(required = false)]
    format: Format,
}

/// What is written: the composite.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Tracks {
    Composite,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Format {
    Mp4,
}

#[derive(ToSchema)]
pub struct PauseRecording {
    mode: Option<PauseMode>,
}

/// `cut` leaves the time of the pause out; with `slate` time goes on, over a still picture and silence.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum PauseMode {
    Cut,
    Slate,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum RecordingState {
    /// Waits for its first picture.
    Starting,
    Active,
    Paused,
    Stopping,
    Complete,
    /// The process ended before the recording did; it plays up to its last moments.
    Interrupted,
    /// Ended by a fault (see the reason); it plays up to it.
    Failed,
}

#[derive(ToSchema)]
pub struct Recording {
    version: u32,
    #[schema(pattern = "^rec_[0-9a-f]{32}$")]
    id: String,
    room: String,
    view: String,
    state: RecordingState,
    /// Why it ended: `requested`, `room_ended`, `shutdown`, `max_duration`, `no_space`, `quota`, `disk_error`, `interrupted`, `no_picture` or
    /// `internal_error`.
    reason: Option<String>,
    /// `fragmented`, as it is written, or `progressive`.
    form: String,
    started_at: String,
    ended_at: Option<String>,
    /// Of the media so far.
    duration_ms: u64,
    video: Option<RecordedVideo>,
    pictures: u64,
    packets: u64,
    /// Pictures and packets that were lost between media and disk; the timeline says where.
    lost_pictures: u64,
    lost_packets: u64,
    /// Once it has ended.
    files: Vec<RecordedFile>,
    encryption: Option<BTreeMap<String, serde_json::Value>>,
    /// Where recordings go to a bucket as well.
    #[schema(required = false)]
    upload: RecordingUpload,
}

#[derive(ToSchema)]
pub struct RecordingUpload {
    state: UploadState,
    /// Of the media's object.
    url: String,
    uploaded_bytes: u64,
    /// Why the last attempt failed; it is repeated by itself.
    error: Option<String>,
    /// Whether the media lie on this server too.
    local: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum UploadState {
    Waiting,
    Uploading,
    Retrying,
    /// The bucket has confirmed all of it.
    Complete,
}

#[derive(ToSchema)]
pub struct RecordedVideo {
    codec: String,
    /// Of the first picture.
    width: u16,
    height: u16,
}

#[derive(ToSchema)]
pub struct RecordedFile {
    name: String,
    bytes: u64,
    sha256: String,
}
