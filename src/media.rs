//! Coded media on its way between the peers and the stages: plain data, shared by reference count.

use crate::ids::Source;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far a picture must be turned clockwise to stand upright (CVO, 3GPP TS 26.114 §7.4.5), and whether it is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orientation {
    pub quarter_turns: u8,
    pub flip: bool,
}

/// One whole coded picture from a sender, out of the depacketiser.
#[derive(Debug, Clone)]
pub struct VideoIn {
    pub source: Source,
    pub codec: VideoCodec,
    pub data: Arc<[u8]>,
    pub keyframe: bool,
    /// Display size before turning, where the unit carries it (keyframes).
    pub size: Option<mixdown_codecs::Size>,
    /// What the unit says of itself is known to every decoder of the codec.
    pub baseline: bool,
    /// False when pictures before this one were lost.
    pub contiguous: bool,
    pub orientation: Orientation,
    /// RTP timestamp at 90 kHz, unwrapped.
    pub rtp_time: u64,
    /// When its last packet arrived.
    pub received: Instant,
    /// How long it waits, so that it is shown as evenly as it was taken and together with its sound.
    pub waits: Duration,
    /// How long for its sound alone: what goes on as it comes waits no longer.
    pub for_sound: Duration,
}

/// What one track's pictures are like, as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub codec: VideoCodec,
    /// As coded.
    pub size: mixdown_codecs::Size,
    /// To be shown as it is by whoever takes the codec: without a turn, of the baseline profile.
    pub plain: bool,
    pub bitrate_bps: u32,
}

/// One audio packet from a sender, in order of arrival (the jitter buffer orders).
#[derive(Debug, Clone)]
pub struct AudioIn {
    pub source: Source,
    pub codec: AudioCodec,
    pub data: Arc<[u8]>,
    /// RTP sequence number, unwrapped.
    pub sequence: u64,
    /// RTP timestamp at the codec's clock rate, unwrapped.
    pub rtp_time: u64,
    /// RFC 6464 level in dBov, −127 (silence) to 0, where the sender says it.
    pub level_dbov: Option<i8>,
    pub received: Instant,
    /// How long it waits for the picture of the same moment, which comes later: longer than it would by itself.
    pub waits: Duration,
    /// How long it waits by itself at least: its pictures do, so as to be shown evenly.
    pub evenly: Duration,
}

/// One coded picture of a rendition: the same bytes for all of its feeds.
#[derive(Debug, Clone)]
pub struct VideoOut {
    pub codec: VideoCodec,
    pub data: Arc<[u8]>,
    pub keyframe: bool,
    /// Temporal layer; pictures above 0 may be left out.
    pub layer: u8,
    /// 90 kHz, `tick · 90000 / fps`.
    pub rtp_time: u64,
    /// The tick's nominal time: maps RTP time to the common clock in sender reports.
    pub wallclock: Instant,
}

/// One audio packet of a mix.
#[derive(Debug, Clone)]
pub struct AudioOut {
    pub codec: AudioCodec,
    pub data: Arc<[u8]>,
    /// At the codec's clock rate.
    pub rtp_time: u64,
    /// The tick's nominal time.
    pub wallclock: Instant,
}
