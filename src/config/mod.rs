//! Settings: what the file may say, checked before anything starts.
//!
//! `config/mixdown.toml` is the commented form of [`Config::default`]. Values come from the file, then from
//! the environment (`MIXDOWN_<SECTION>_<KEY>`), and are refused with one line that names key and remedy.
//! Durations are `_ms`, rates `_bps`, sizes `_bytes`. Nothing here opens a socket or reads a clock.
//!
//! Flow: [`load()`] → [`Config::check`] → the parts take their section.

mod check;
mod egress;
mod ingress;
mod load;
mod overload;
mod recordings;
mod secret;
mod webhooks;

pub use check::{Fault, Mode};
pub use egress::Egress;
pub use ingress::Ingress;
pub use load::{load, parse};
pub use overload::Overload;
pub use recordings::Recordings;
pub use secret::Secret;
pub use webhooks::{Endpoint, Webhooks};

use crate::room::model::Canvas;
use crate::room::sound::RoomAudio;
use mixdown_codecs::{AudioCodec, VideoCodec};
use mixdown_layouts::layout::Kind as LayoutKind;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The commented file that equals the defaults.
pub const DEFAULT_FILE: &str = include_str!("../../config/mixdown.toml");

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub http: Http,
    pub net: Net,
    pub rooms: Rooms,
    pub video: Video,
    pub audio: Audio,
    pub auth: Auth,
    pub limits: Limits,
    pub overload: Overload,
    pub recordings: Recordings,
    pub ingress: Ingress,
    pub egress: Egress,
    pub webhooks: Webhooks,
    pub log: Log,
    pub drain: Drain,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub bind: SocketAddr,
    /// Exact origins that may call from other sites; empty: none.
    pub cors_origins: Vec<String>,
    pub body_limit_bytes: usize,
    /// Of documents that may carry a layout with pictures in it.
    pub layout_limit_bytes: usize,
    pub sdp_limit_bytes: usize,
    pub header_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub max_connections: usize,
    /// 0: no limit, for a server behind a proxy.
    pub max_connections_per_ip: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Net {
    /// Addresses to listen on for media; empty: all of this machine but loopback.
    pub bind: Vec<IpAddr>,
    /// The port, or the next free of the [`crate::net::PORTS`] from it on.
    pub port: u16,
    /// Addresses that clients are told, in place of those of the interfaces (1:1 NAT).
    pub advertised_addresses: Vec<IpAddr>,
    pub ice_lite: IceLite,
    /// ICE-TCP passive candidates on the same port number.
    pub tcp: bool,
    pub connect_timeout_ms: u64,
    pub ice_servers: Vec<IceServer>,
}

/// Whether the server plays ICE-lite. `Auto`: where every advertised address is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IceLite {
    #[default]
    Auto,
    Always,
    Never,
}

/// A STUN or TURN server that clients are told of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IceServer {
    pub urls: Vec<String>,
    /// Fixed credentials. Not together with `secret`.
    pub username: String,
    pub credential: Secret,
    /// Shared secret for time-limited credentials (coturn's `use-auth-secret`).
    pub secret: Secret,
    #[serde(default = "IceServer::default_ttl_ms")]
    pub ttl_ms: u64,
}

impl IceServer {
    fn default_ttl_ms() -> u64 {
        6 * 3600 * 1000
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    pub max_rooms: u32,
    pub create_on_join: bool,
    pub max_participants: u32,
    /// Of one room, `main` included.
    pub max_views: u32,
    /// Pictures of one subscriber's own in views with `"self": "exclude"`; further subscribers share.
    pub max_private_pictures: u32,
    /// One sender's picture alone goes on as it comes, where it fits.
    pub forward_pictures: bool,
    /// Who loses pictures again and again is served by an encode apart, while there is time.
    pub repair_encodes: bool,
    /// Of a new room: whether who joins waits until admitted, and whether people may unmute themselves after an operator muted them.
    pub waiting_room: bool,
    pub self_unmute: bool,
    /// Chat lines that those who join later are sent.
    pub chat_history: u32,
    /// How long a room without participants is kept.
    pub empty_timeout_ms: u64,
    pub layout: LayoutKind,
    /// A folder of PNG, JPEG and WebP files that layouts may name; empty: none.
    pub pictures: String,
    /// Where saved layouts are kept; empty: in memory alone.
    pub layouts_folder: std::path::PathBuf,
    pub canvas: Canvas,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Video {
    /// In order of preference; nothing else is offered.
    #[serde(with = "codecs::video")]
    pub codecs: Vec<VideoCodec>,
    /// Of a rendition of 1280×720 at 30 fps; others get their share.
    pub bitrate_bps: u32,
    /// Most that one subscriber is ever sent.
    pub max_bitrate_bps: u32,
    /// Largest picture a sender may send, in luma pixels, and its longest side.
    pub max_pixels: u32,
    pub max_side: u32,
    /// Font files or folders for names; empty: those of the system.
    pub fonts: Vec<std::path::PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audio {
    #[serde(with = "codecs::audio")]
    pub codecs: Vec<AudioCodec>,
    /// How many of the loudest are decoded and mixed.
    pub loudest: u8,
    pub bitrate_bps: u32,
    /// How rooms begin; each can be changed.
    pub noise_suppression: bool,
    pub auto_gain: bool,
    pub hold_music: bool,
    pub join_tones: bool,
}

impl Audio {
    /// What a room begins with.
    pub fn room(&self) -> RoomAudio {
        let Self { noise_suppression, auto_gain, hold_music, join_tones, .. } = *self;
        RoomAudio { noise_suppression, auto_gain, hold_music, join_tones }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub keys: Vec<Key>,
    /// Longest life of a token that is accepted.
    pub max_ttl_ms: u64,
}

/// An API key: signs and checks tokens, and authorises server-side callers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Key {
    pub id: String,
    pub secret: Secret,
    /// Read instead of `secret`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_file: String,
    /// RFC 3339; empty: for ever.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub not_after: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Joins per second from one address, with bursts of ten times as many; 0: no limit.
    pub joins_per_second_per_ip: u32,
    /// Streams of server-sent events at the same time.
    pub event_streams: usize,
    /// Events that are kept for resuming, per room and for all rooms together.
    pub event_history: usize,
    /// Answers kept for repeated `Idempotency-Key`s, and for how long.
    pub idempotency_keys: usize,
    pub idempotency_ttl_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// As tracing-subscriber's EnvFilter reads it.
    pub filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// How long running conferences may go on after SIGTERM.
    pub timeout_ms: u64,
    /// How long the end may take after a second SIGTERM.
    pub hard_timeout_ms: u64,
    /// What refused clients are told in `Retry-After`.
    pub retry_after_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            cors_origins: Vec::new(),
            body_limit_bytes: 64 * 1024,
            layout_limit_bytes: 6 * 1024 * 1024,
            sdp_limit_bytes: 256 * 1024,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            max_connections: 1024,
            max_connections_per_ip: 64,
        }
    }
}

impl Default for Net {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            port: 3478,
            advertised_addresses: Vec::new(),
            ice_lite: IceLite::Auto,
            tcp: true,
            connect_timeout_ms: 15_000,
            ice_servers: Vec::new(),
        }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            max_rooms: 1000,
            create_on_join: true,
            max_participants: 100,
            max_views: 16,
            max_private_pictures: 8,
            forward_pictures: true,
            repair_encodes: true,
            waiting_room: false,
            self_unmute: false,
            chat_history: 100,
            empty_timeout_ms: 60_000,
            layout: LayoutKind::Auto,
            pictures: String::new(),
            layouts_folder: std::path::PathBuf::new(),
            canvas: Canvas::default(),
        }
    }
}

impl Default for Video {
    fn default() -> Self {
        let gate = mixdown_codecs::gate::Limits::default();
        Self {
            codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
            bitrate_bps: 1_500_000,
            max_bitrate_bps: 4_000_000,
            max_pixels: gate.max_pixels,
            max_side: gate.max_side,
            fonts: Vec::new(),
        }
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            codecs: vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma],
            loudest: 5,
            bitrate_bps: 48_000,
            noise_suppression: false,
            auto_gain: false,
            hold_music: false,
            join_tones: false,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self { keys: Vec::new(), max_ttl_ms: 6 * 3600 * 1000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { joins_per_second_per_ip: 10, event_streams: 256, event_history: 512, idempotency_keys: 1024, idempotency_ttl_ms: 600_000 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { timeout_ms: 300_000, hard_timeout_ms: 10_000, retry_after_ms: 10_000 }
    }
}

impl Http {
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }
}

impl Rooms {
    pub fn layouts_folder(&self) -> Option<&std::path::Path> {
        (!self.layouts_folder.as_os_str().is_empty()).then_some(&self.layouts_folder)
    }
}

impl IceLite {
    /// `None`: where every advertised address is public.
    pub fn fixed(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Always => Some(true),
            Self::Never => Some(false),
        }
    }
}

impl Drain {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub fn hard_timeout(&self) -> Duration {
        Duration::from_millis(self.hard_timeout_ms)
    }

    /// Whole seconds, as `Retry-After` wants them; at least 1.
    pub fn retry_after_seconds(&self) -> u64 {
        self.retry_after_ms.div_ceil(1000).max(1)
    }
}

impl Serialize for IceLite {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for IceLite {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = IceLite;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"auto\", true or false")
            }

            fn visit_bool<E>(self, lite: bool) -> Result<IceLite, E> {
                Ok(if lite { IceLite::Always } else { IceLite::Never })
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<IceLite, E> {
                match text {
                    "auto" => Ok(IceLite::Auto),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Codecs by name.
mod codecs {
    macro_rules! names {
        ($module:ident, $codec:ty, $all:expr) => {
            pub mod $module {
                use serde::{Deserialize, Deserializer, Serializer, de::Error};

                pub fn serialize<S: Serializer>(codecs: &[$codec], serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_seq(codecs.iter().map(|codec| codec.name()))
                }

                pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<$codec>, D::Error> {
                    let find = |name: &String| {
                        let names: Vec<_> = $all.iter().map(|codec: &$codec| codec.name()).collect();
                        let codec = $all.into_iter().find(|codec: &$codec| codec.name() == name);
                        codec.ok_or_else(|| D::Error::custom(format!("unknown codec {name:?}, expected one of {}", names.join(", "))))
                    };
                    Vec::<String>::deserialize(deserializer)?.iter().map(find).collect()
                }
            }
        };
    }
    names!(video, mixdown_codecs::VideoCodec, [mixdown_codecs::VideoCodec::H264, mixdown_codecs::VideoCodec::Vp8]);
    names!(
        audio,
        mixdown_codecs::AudioCodec,
        [mixdown_codecs::AudioCodec::Opus, mixdown_codecs::AudioCodec::Pcmu, mixdown_codecs::AudioCodec::Pcma]
    );
}
