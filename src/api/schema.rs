//! Shapes for `/openapi.json` whose types live below the API. They are never made; a test holds them against
//! what is really sent and taken. What has names alone (states, kinds) is described where it lives.
#![expect(dead_code, reason = "read by the derive alone")]

mod egress;
mod ingress;
mod layout;
mod path;
mod recording;
mod stats;

pub use egress::{Egress, NewEgress};
pub use ingress::{Ingress, IngressPatch, NewIngress};
pub use layout::Layout;
pub use path::{
    EgressPath, IdentityPath, IngressPath, LayoutPath, ParticipantPath, RecordingPath, RoomPath, SidebarPath, TrackPath, ViewPath,
};
pub use recording::{NewRecording, PauseRecording, RecordedTrack, Recording, RecordingFraming};
pub use stats::RoomStats;

use crate::room::model::{Consent, ParticipantKind as Kind, SelfView, State};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `pt_` and 32 hexadecimal digits.
#[derive(serde::Serialize, ToSchema)]
#[schema(pattern = "^pt_[0-9a-f]{32}$")]
pub struct ParticipantId(String);

/// The name of a view: 1–64 of `A-Za-z0-9._-`, beginning with a letter or digit.
#[derive(ToSchema)]
#[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
pub struct ViewName(String);

/// −60 to 12.
#[derive(ToSchema)]
#[schema(minimum = -60, maximum = 12)]
pub struct Decibels(f64);

/// RFC 9457.
#[derive(ToSchema)]
pub struct Problem {
    /// `/problems/<code>`.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    instance: Option<String>,
    errors: Option<Vec<FieldError>>,
}

#[derive(ToSchema)]
pub struct FieldError {
    /// RFC 6901 pointer into the body, or `?name` for a query parameter.
    pointer: String,
    detail: String,
}

#[derive(ToSchema)]
pub struct Canvas {
    /// Even, 64 to 3840.
    #[schema(required = false, minimum = 64, maximum = 3840, multiple_of = 2)]
    width: u32,
    /// Even, 64 to 3840.
    #[schema(required = false, minimum = 64, maximum = 3840, multiple_of = 2)]
    height: u32,
    /// 1 to 60.
    #[schema(required = false, minimum = 1, maximum = 60)]
    fps: u32,
    /// `#rrggbb`.
    #[schema(required = false, pattern = "^#[0-9a-fA-F]{6}$")]
    background: String,
}

/// Whom an entry of a filter means: an id (`pt_…`), or an object with one of `participant`, `identity`, `role`, `kind`.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum Selector {
    Id(ParticipantId),
    By(SelectorBy),
}

/// Exactly one of these.
#[derive(serde::Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelectorBy {
    Participant(ParticipantId),
    /// A token's subject.
    Identity(Label),
    Role(Label),
    Kind(Kind),
}

/// 1 to 256 bytes.
#[derive(serde::Serialize, ToSchema)]
#[schema(min_length = 1, max_length = 256)]
pub struct Label(String);

#[derive(ToSchema)]
pub struct GainOf {
    who: Selector,
    gain_db: Decibels,
}

/// The mix of a view. Views whose mixes consist of the same share one.
#[derive(ToSchema)]
pub struct ViewAudio {
    /// Who may be heard; absent or empty: everybody. At most 256.
    #[schema(required = false, max_items = 256)]
    include: Vec<Selector>,
    /// Who is not heard all the same. At most 256.
    #[schema(required = false, max_items = 256)]
    exclude: Vec<Selector>,
    /// Of the whole mix, −60 to 12.
    #[schema(required = false, minimum = -60, maximum = 12)]
    gain_db: f64,
    /// Of those meant by each entry, on top; the first that means somebody counts. At most 256.
    #[schema(required = false, max_items = 256)]
    gains: Vec<GainOf>,
    /// Everybody is heard from where their tile is.
    #[schema(required = false)]
    stereo: bool,
}

/// Options of a room's sound.
#[derive(ToSchema)]
pub struct RoomAudio {
    /// Of everybody who does not have it otherwise.
    #[schema(required = false)]
    noise_suppression: bool,
    #[schema(required = false)]
    auto_gain: bool,
    /// A soft chord for the one who waits alone, instead of silence.
    #[schema(required = false)]
    hold_music: bool,
    /// Two notes for all when somebody comes or goes.
    #[schema(required = false)]
    join_tones: bool,
}

/// Participants who hear each other alone.
#[derive(ToSchema)]
pub struct Sidebar {
    name: String,
    participants: Vec<ParticipantId>,
    heard_by_all: bool,
}

#[derive(ToSchema)]
pub struct SidebarSettings {
    /// Ids of people in the room who are in no other sidebar. At most 256.
    #[schema(required = false, max_items = 256)]
    participants: Vec<ParticipantId>,
    /// Everybody else hears them; they hear each other alone.
    #[schema(required = false)]
    heard_by_all: bool,
}

#[derive(ToSchema)]
pub struct View {
    name: String,
    canvas: Canvas,
    layout: Layout,
    audio: ViewAudio,
    include: Vec<Selector>,
    exclude: Vec<Selector>,
    #[schema(rename = "self")]
    own: SelfView,
    alternatives: Vec<String>,
}

#[derive(ToSchema)]
pub struct SavedLayout {
    name: String,
    layout: Layout,
}

#[derive(ToSchema)]
pub struct ViewSettings {
    canvas: Option<Canvas>,
    layout: Option<Layout>,
    audio: Option<ViewAudio>,
    /// Who may be shown; absent or empty: everybody. At most 256.
    #[schema(max_items = 256)]
    include: Option<Vec<Selector>>,
    /// Who is not shown all the same. At most 256.
    #[schema(max_items = 256)]
    exclude: Option<Vec<Selector>>,
    #[schema(rename = "self")]
    own: Option<SelfView>,
    /// Views that subscribers may be shown instead where these suit their screen better. At most 8.
    #[schema(max_items = 8)]
    alternatives: Option<Vec<ViewName>>,
}

#[derive(ToSchema)]
pub struct NewView {
    name: ViewName,
    canvas: Option<Canvas>,
    layout: Option<Layout>,
    audio: Option<ViewAudio>,
    #[schema(max_items = 256)]
    include: Option<Vec<Selector>>,
    #[schema(max_items = 256)]
    exclude: Option<Vec<Selector>>,
    #[schema(rename = "self")]
    own: Option<SelfView>,
    #[schema(max_items = 8)]
    alternatives: Option<Vec<ViewName>>,
}

#[derive(ToSchema)]
pub struct Room {
    room: String,
    created_at: String,
    locked: bool,
    waiting_room: bool,
    self_unmute: bool,
    max_participants: u32,
    participants: u64,
    audio: RoomAudio,
    auto_record: bool,
    recording_sign: bool,
    /// Whether it is recorded now.
    recording: bool,
    active_speaker: Option<String>,
    views: Vec<View>,
}

#[derive(ToSchema)]
pub struct RoomSettings {
    /// Nobody new comes in.
    locked: Option<bool>,
    /// Who joins waits until admitted, but for admins; `false` admits everybody who waits.
    waiting_room: Option<bool>,
    /// Whether people may unmute themselves after an operator muted them.
    self_unmute: Option<bool>,
    /// 1 to 10000.
    #[schema(minimum = 1, maximum = 10000)]
    max_participants: Option<u32>,
    audio: Option<RoomAudio>,
    /// Whether it records `main` whenever somebody is here.
    auto_record: Option<bool>,
    /// Whether pictures say that they are recorded.
    recording_sign: Option<bool>,
    /// Of the view `main`.
    canvas: Option<Canvas>,
    /// Of the view `main`.
    layout: Option<Layout>,
}

#[derive(ToSchema)]
pub struct NewRoom {
    /// 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
    locked: Option<bool>,
    waiting_room: Option<bool>,
    self_unmute: Option<bool>,
    #[schema(minimum = 1, maximum = 10000)]
    max_participants: Option<u32>,
    audio: Option<RoomAudio>,
    auto_record: Option<bool>,
    recording_sign: Option<bool>,
    canvas: Option<Canvas>,
    layout: Option<Layout>,
}

#[derive(ToSchema)]
pub struct Track {
    /// `camera`, `microphone`, `screen` or `screen-audio`.
    source: String,
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
}

/// What a participant receives now.
#[derive(ToSchema)]
pub struct Feed {
    view: String,
    rendition: Option<String>,
    video_codec: Option<String>,
    audio_codec: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    fps: Option<u32>,
    bitrate_bps: Option<u32>,
}

#[derive(ToSchema)]
pub struct Participant {
    id: String,
    name: String,
    identity: Option<String>,
    kind: Kind,
    role: Option<String>,
    state: State,
    /// Why the state is `disconnected`, in words.
    reason: Option<String>,
    reason_code: Option<String>,
    muted_audio: bool,
    muted_video: bool,
    /// −60 to 12, in all mixes.
    gain_db: f64,
    /// `null`: as the room has it.
    noise_suppression: Option<bool>,
    auto_gain: Option<bool>,
    /// Muted by an operator, who alone can take it back.
    operator_muted_audio: bool,
    operator_muted_video: bool,
    pinned: bool,
    speaking: bool,
    /// How loud the microphone has been in the last second, −127 (silence) to 0; `null`: there is none, or it is muted.
    #[schema(minimum = -127, maximum = 0)]
    level_dbov: Option<i8>,
    /// The limits that they asked for: width and height choose among the view's alternatives, the bitrate a rendition.
    max_width: Option<u64>,
    max_height: Option<u64>,
    max_bitrate_bps: Option<u64>,
    /// The stricter of what they said and what an operator said.
    recording: Consent,
    tracks: Vec<Track>,
    feed: Option<Feed>,
    /// Figures of the connection; of one participant alone.
    stats: Option<Stats>,
}

#[derive(ToSchema)]
pub struct Stats {
    received_bytes: u64,
    sent_bytes: u64,
    received_packets: u64,
    sent_packets: u64,
    loss_down: f32,
    loss_up: f32,
    rtt_ms: Option<f32>,
    estimate_bps: Option<u32>,
    send_bitrate_bps: u32,
    receive_bitrate_bps: u32,
}

/// What a layout would look like.
#[derive(ToSchema)]
pub struct Preview {
    canvas: Canvas,
    /// Tiles from bottom to top, regions that nobody fills, then overlays.
    regions: Vec<PreviewRegion>,
    /// People who would find no place.
    overflow: u32,
    warnings: Vec<PreviewWarning>,
    /// Of this view as it would run, one encode at least.
    cost: Quote,
}

/// A rectangle in fractions of the canvas, and who is seen in it.
#[derive(ToSchema)]
pub struct PreviewRegion {
    /// Of a custom layout: the number of its region from 0 on, and the region's id.
    region: Option<u32>,
    id: Option<String>,
    participant: Option<String>,
    name: Option<String>,
    /// `camera` or `screen`; absent of overlays.
    source: Option<String>,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Something that is allowed and probably not meant.
#[derive(ToSchema)]
pub struct PreviewWarning {
    /// RFC 6901 pointer into the layout.
    pointer: String,
    /// `overlap`, `off_canvas`, `text_too_small`, `seat_empty`, `overflow`, `frame_rate` or `dropped`.
    code: String,
    detail: String,
}

/// What a token lets one publish.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Publish {
    Audio,
    Video,
    Data,
}

/// How the server stands.
#[derive(ToSchema)]
pub struct Node {
    /// `ready`, `overloaded` (newcomers are refused) or `draining`.
    state: String,
    rooms: u32,
    /// What is given up for lack of time, in order: 0 `whole` (nothing), 1 `fps_25`, 2 `fps_15`, 3 `fps_10`, 4 `lines_540`, 5 `lines_360`,
    /// 6 `few_tiles`, 7 `no_video`.
    #[schema(maximum = 7)]
    step: u8,
    effect: String,
    /// Why newcomers are refused: `processor`, `memory` or `degraded`.
    refuses: Option<String>,
    /// Of the processor time that this server may use, in the last quarter of a second, as all that follows; null: the system does not say.
    cpu_percent: Option<f64>,
    /// Skipped, or 20 ms late.
    late_picture_ticks_percent: f64,
    /// 10 ms late.
    late_sound_ticks_percent: f64,
    memory_bytes: u64,
    /// 0: not known.
    memory_limit_bytes: u64,
}

/// What a room costs.
#[derive(ToSchema)]
pub struct Quote {
    /// Milliseconds of one core per second.
    cpu_ms_per_s: f64,
    memory_bytes: u64,
    ingress_bps: u64,
    egress_bps: u64,
    /// Whether four fifths of all cores of this host can do it.
    fits: bool,
}

#[derive(ToSchema)]
pub struct ParticipantPatch {
    /// At most 256 bytes.
    #[schema(required = false, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    name: String,
    #[schema(required = false)]
    muted_audio: bool,
    #[schema(required = false)]
    muted_video: bool,
    /// −60 to 12, in all mixes; `null`: 0.
    #[schema(minimum = -60, maximum = 12)]
    gain_db: Option<f64>,
    /// `null`: as the room has it.
    noise_suppression: Option<bool>,
    /// `null`: as the room has it.
    auto_gain: Option<bool>,
    /// At most 64 bytes; `null`: none.
    #[schema(max_length = 64, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    role: Option<String>,
    #[schema(required = false)]
    pinned: bool,
    #[schema(required = false)]
    view: ViewName,
    /// At least 64; `null` takes the limit back.
    #[schema(minimum = 64, maximum = 4_294_967_295_u32)]
    max_width: Option<u64>,
    /// At least 64; `null` takes the limit back.
    #[schema(minimum = 64, maximum = 4_294_967_295_u32)]
    max_height: Option<u64>,
    /// At least 30000; `null` takes the limit back.
    #[schema(minimum = 30000, maximum = 4_294_967_295_u32)]
    max_bitrate_bps: Option<u64>,
    /// What of them goes into recordings. An operator can make it stricter than the participant says, not laxer.
    #[schema(required = false)]
    recording: Consent,
}

/// The `data` of one server-sent event; its `event` is the `type`.
#[derive(ToSchema)]
pub struct Event {
    id: u64,
    r#type: String,
    room: String,
    at: String,
    data: BTreeMap<String, serde_json::Value>,
}
