//! What may leave for other places, how much of it, and where to.

use super::check::Faults;
use crate::egress;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What waits for an output at most; beyond it pictures are left out.
const QUEUE_BYTES: usize = 8 << 20;
const QUEUE_SPAN: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// Of this server at the same time; 0: none.
    pub max: u32,
    /// Of one room.
    pub max_per_room: u32,
    /// Of one egress.
    pub max_outputs: u32,
    /// Whether WHIP and RTMP may go to addresses that are not public, to other ports, and over http://.
    pub allow_private_networks: bool,
    /// The program that speaks RTMP.
    pub ffmpeg: String,
    /// What a segment of HLS lasts, and how far back players can go.
    pub hls_segment_ms: u64,
    pub hls_window_ms: u64,
    /// Memory for the segments of all HLS streams together.
    pub hls_bytes: u64,
    /// Bytes of a segment that has not ended, whatever its bitrate; one that is larger is let go.
    pub hls_segment_bytes: u64,
    /// Stills come no more often.
    pub images_min_interval_ms: u64,
    /// How long an output is tried again without success.
    pub give_up_ms: u64,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            max: 16,
            max_per_room: 4,
            max_outputs: 8,
            allow_private_networks: false,
            ffmpeg: "ffmpeg".into(),
            hls_segment_ms: 2000,
            hls_window_ms: 600_000,
            hls_bytes: 256 << 20,
            hls_segment_bytes: 16 << 20,
            images_min_interval_ms: 1000,
            give_up_ms: 3_600_000,
        }
    }
}

impl Egress {
    pub fn settings(&self) -> egress::Settings {
        egress::Settings {
            most: self.max as usize,
            most_per_room: self.max_per_room as usize,
            private_networks: self.allow_private_networks,
            ffmpeg: self.ffmpeg.clone(),
            hls: egress::hls::Limits {
                segment: Duration::from_millis(self.hls_segment_ms),
                window: Duration::from_millis(self.hls_window_ms),
                open_bytes: usize::try_from(self.hls_segment_bytes).unwrap_or(usize::MAX),
            },
            hls_bytes: self.hls_bytes,
            give_up: Duration::from_millis(self.give_up_ms),
            queue_bytes: QUEUE_BYTES,
            queue_span: QUEUE_SPAN,
        }
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        faults.range("egress.max", self.max, 0..=1000);
        faults.range("egress.max_per_room", self.max_per_room, 1..=64);
        faults.range("egress.max_outputs", self.max_outputs, 1..=32);
        faults.range("egress.hls_segment_ms", self.hls_segment_ms, 1000..=10_000);
        faults.range("egress.hls_window_ms", self.hls_window_ms, 30_000..=4 * 3_600_000);
        faults.range("egress.hls_bytes", self.hls_bytes, 1 << 20..=64 << 30);
        faults.range("egress.hls_segment_bytes", self.hls_segment_bytes, 64 << 10..=1 << 30);
        faults.range("egress.images_min_interval_ms", self.images_min_interval_ms, 200..=3_600_000);
        faults.range("egress.give_up_ms", self.give_up_ms, 1000..=30 * 86_400_000);
        if self.ffmpeg.trim().is_empty() {
            faults.add("egress.ffmpeg", "is empty", "write \"ffmpeg\", or the path of the program");
        }
    }
}
