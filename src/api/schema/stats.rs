//! What rooms cost, as the API shows it.

use utoipa::ToSchema;

/// What a room has cost since it began, and what is given up in it now.
#[derive(ToSchema)]
pub struct RoomStats {
    /// As `GET /v1/node` has them: the server's step, or one of the room's own, 0 (nothing) to 7.
    step: u8,
    effect: String,
    cpu_seconds: CpuSeconds,
    renditions: Vec<RenditionStats>,
}

/// Processor time by stage.
#[derive(ToSchema)]
pub struct CpuSeconds {
    decode: f64,
    /// Drawing the canvases, and scaling them.
    compose: f64,
    encode: f64,
    /// All sound.
    mix: f64,
}

/// One encode, and what it has cost since it began.
#[derive(ToSchema)]
pub struct RenditionStats {
    id: String,
    /// Views that it is of; none: a picture of somebody's own.
    views: Vec<String>,
    codec: String,
    width: u32,
    height: u32,
    /// 0: a still every few seconds.
    fps: u32,
    bitrate_bps: u32,
    /// Subscribers, recordings and egresses.
    subscribers: u64,
    cpu_seconds: f64,
    pictures: u64,
    bytes: u64,
}
