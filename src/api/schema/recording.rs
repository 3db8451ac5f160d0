//! Recordings.

use super::{Canvas, Layout};
use crate::record::manifest::State as RecordingState;
use crate::record::timeline::PauseMode;
use crate::record::upload::State as UploadState;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(ToSchema)]
pub struct NewRecording {
    /// `main` if absent.
    #[schema(required = false)]
    view: super::ViewName,
    /// In place of the view's; not where there is no composite.
    layout: Option<Layout>,
    /// In place of the view's; not where there is no composite.
    canvas: Option<Canvas>,
    #[schema(required = false)]
    tracks: Tracks,
    #[schema(required = false)]
    format: Format,
}

/// What a recording is of: a view, and what stands in place of its own; `null`: the view's.
#[derive(ToSchema)]
pub struct RecordingFraming {
    #[schema(required = false)]
    view: super::ViewName,
    layout: Option<Layout>,
    canvas: Option<Canvas>,
}

/// What is written: the composed picture and the mix; everybody's own tracks as they come, without it; both.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Tracks {
    Composite,
    Each,
    Both,
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

#[derive(ToSchema)]
pub struct Recording {
    version: u32,
    #[schema(pattern = "^rec_[0-9a-f]{32}$")]
    id: String,
    room: String,
    view: String,
    /// What stands in place of the view's.
    #[schema(value_type = Option<Object>, required = false)]
    layout: Option<serde_json::Value>,
    #[schema(required = false)]
    canvas: Option<Canvas>,
    state: RecordingState,
    /// Why it ended: `requested`, `room_ended`, `shutdown`, `max_duration`, `no_space`, `quota`, `disk_error`, `interrupted`, `no_picture` or
    /// `internal_error`.
    reason: Option<String>,
    /// `fragmented`, as it is written, or `progressive`.
    form: String,
    tracks: Tracks,
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
pub struct RecordedVideo {
    codec: String,
    /// Of the first picture.
    width: u16,
    height: u16,
}

/// A stretch of one participant's track, in a file of its own: a new one begins where codec, size or orientation change, and after a silence.
#[derive(ToSchema)]
pub struct RecordedTrack {
    /// Its name, as in `/v1/recordings/{recording}/tracks/{file}`.
    #[schema(pattern = "^[a-z-]+-[0-9]{4}\\.mp4$")]
    file: String,
    #[schema(pattern = "^pt_[0-9a-f]{32}$")]
    participant: String,
    /// When it began.
    name: String,
    /// `camera`, `microphone`, `screen` or `screen-audio`.
    source: String,
    /// `h264`, `vp8`, `opus`, `pcmu` or `pcma`.
    codec: String,
    width: Option<u16>,
    height: Option<u16>,
    /// Clockwise, until its pictures stand upright; the file says so too.
    quarter_turns: Option<u8>,
    /// Microseconds on the recording's clock at which the file's time is zero.
    offset_us: u64,
    duration_us: u64,
    bytes: u64,
    /// Pictures or packets.
    units: u64,
    gaps: Vec<TrackGap>,
}

/// What did not arrive, on the recording's clock.
#[derive(ToSchema)]
pub struct TrackGap {
    from_us: u64,
    to_us: u64,
    lost: u64,
}

#[derive(ToSchema)]
pub struct RecordedFile {
    name: String,
    bytes: u64,
    sha256: String,
}
