//! What is played into rooms.

use crate::ingress::State as IngressState;
use utoipa::ToSchema;

/// Exactly one of `url`, `file` and `picture` is there.
#[derive(ToSchema)]
pub struct NewIngress {
    /// `http`, `https`, `rtsp` or `rtsps`; from public addresses, unless `ingress.allow_private_networks` says otherwise.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// The name of a film, a sound or a picture in `ingress.folder`.
    #[schema(min_length = 1, max_length = 512)]
    file: Option<String>,
    /// `data:image/…;base64,…` of a PNG, JPEG or WebP file.
    picture: Option<String>,
    /// As participants have it; if absent, what is played without folder and ending, or `picture`.
    #[schema(max_length = 256)]
    name: Option<String>,
    #[schema(max_length = 64)]
    role: Option<String>,
    #[schema(required = false)]
    show: Show,
    #[schema(required = false, default = false)]
    r#loop: bool,
    /// Where it begins. At most a week.
    #[schema(required = false, default = 0, maximum = 604800000)]
    start_ms: u64,
    #[schema(required = false)]
    state: IngressWish,
    #[schema(required = false)]
    gain_db: super::Decibels,
    /// Of all others while an announcement sounds; −60 to 0.
    #[schema(required = false, minimum = -60, maximum = 0)]
    duck_db: f64,
}

/// `camera`: in a tile as people are; `screen`: where a shared screen is; `announcement`: a sound for everybody, also in sidebars, without a tile.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Show {
    Camera,
    Screen,
    Announcement,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum IngressWish {
    Playing,
    Paused,
}

#[derive(ToSchema)]
pub struct Ingress {
    /// `in_` and 32 hexadecimal digits.
    #[schema(pattern = "^in_[0-9a-f]{32}$")]
    id: String,
    room: String,
    /// As whom it is in the room.
    participant: super::ParticipantId,
    name: String,
    role: Option<String>,
    /// Without user, password and query.
    url: Option<String>,
    file: Option<String>,
    /// A picture is shown, without sound and without end.
    picture: bool,
    show: Show,
    state: IngressState,
    /// Why it is tried again, or has ended.
    reason: Option<String>,
    position_ms: u64,
    /// `null`: a live stream or a picture, or not known yet.
    duration_ms: Option<u64>,
    r#loop: bool,
    gain_db: super::Decibels,
    duck_db: super::Decibels,
    created_at: String,
}

/// Absent fields stay.
#[derive(ToSchema)]
pub struct IngressPatch {
    #[schema(required = false)]
    state: IngressWish,
    /// Where to go on. What has no length goes nowhere: 409.
    #[schema(required = false, maximum = 604800000)]
    position_ms: u64,
    r#loop: Option<bool>,
    /// `null`: 0.
    gain_db: Option<super::Decibels>,
    #[schema(minimum = -60, maximum = 0)]
    duck_db: Option<f64>,
}
