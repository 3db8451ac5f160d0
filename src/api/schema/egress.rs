//! What leaves a room for other places.

use super::Layout;
use crate::egress::life::State as EgressState;
use utoipa::ToSchema;

#[derive(ToSchema)]
pub struct NewEgress {
    /// `main` if absent.
    #[schema(required = false)]
    view: super::ViewName,
    /// In place of the view's.
    layout: Option<Layout>,
    /// One `hls` and one `images` at most.
    #[schema(min_items = 1, max_items = 32)]
    outputs: Vec<NewOutput>,
}

/// Where it goes: one of these.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum NewOutput {
    Hls(NewHls),
    Whip(NewWhip),
    Rtmp(NewRtmp),
    Images(NewImages),
}

#[derive(ToSchema)]
pub struct NewHls {
    /// Whoever knows the address may watch, without credentials and from any site.
    #[schema(required = false)]
    public: bool,
}

#[derive(ToSchema)]
pub struct NewWhip {
    /// A WHIP endpoint: `https://`, on port 443 or 8443 of a public host, unless `egress.allow_private_networks` is set.
    #[schema(max_length = 2048, pattern = "^https?://")]
    url: String,
    /// Sent as Bearer; never shown again.
    #[schema(min_length = 1, max_length = 8192, pattern = "^[!-~]+$")]
    token: Option<String>,
}

#[derive(ToSchema)]
pub struct NewRtmp {
    /// `rtmp://` or `rtmps://host/application/stream`; what follows the application is never shown again.
    #[schema(max_length = 2048, pattern = "^rtmps?://")]
    url: String,
}

#[derive(ToSchema)]
pub struct NewImages {
    /// Not below `egress.images_min_interval_ms`.
    #[schema(minimum = 200, maximum = 86400000)]
    interval_ms: u64,
}

#[derive(ToSchema)]
pub struct Egress {
    #[schema(pattern = "^eg_[0-9a-f]{32}$")]
    id: String,
    room: String,
    view: String,
    /// The best that an output is in.
    state: EgressState,
    /// Of that output: `connect`, `address`, `timeout`, `refused`, `tls`, `closed`, `slow`, `program`; at the end `requested`, `room_ended`,
    /// `shutdown` or `internal_error`.
    reason: Option<String>,
    started_at: String,
    /// In the order in which they were wished for.
    outputs: Vec<EgressOutput>,
}

#[derive(ToSchema)]
pub struct EgressOutput {
    /// `hls`, `whip`, `rtmp` or `images`.
    r#type: String,
    state: EgressState,
    reason: Option<String>,
    /// Attempts that failed in a row.
    failures: u32,
    /// When it is tried again.
    retry_at: Option<String>,
    /// Where it goes, without what may be secret, or where it can be fetched.
    url: String,
    /// Whoever knows `url` may fetch it, without credentials.
    public: bool,
}
