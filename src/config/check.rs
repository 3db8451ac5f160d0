//! What a configuration must fulfil before anything starts.

use super::{Config, IceServer, Key};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::SystemTime;

/// One bad value, printed as one line. Never carries a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {fault}; {remedy}")]
pub struct Fault {
    pub key: String,
    pub fault: String,
    pub remedy: String,
}

impl Fault {
    /// Line breaks in any part become spaces: keys and messages quote what the file says.
    pub(super) fn new(key: &str, fault: impl Into<String>, remedy: &str) -> Self {
        Self { key: one_line(key), fault: one_line(&fault.into()), remedy: one_line(remedy) }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How the server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Loopback alone, open to anyone.
    Dev,
    Production,
}

impl Config {
    /// Everything that is wrong with it, at `now`; empty: it can be served.
    pub fn check(&self, mode: Mode, now: SystemTime) -> Vec<Fault> {
        let mut faults = Faults(Vec::new());
        self.check_http(&mut faults);
        self.check_net(&mut faults);
        self.check_rooms(&mut faults);
        self.check_media(&mut faults);
        self.check_limits(&mut faults);
        self.check_keys(mode, now, &mut faults);
        self.overload.check(&mut faults);
        self.recordings.check(&mut faults);
        self.ingress.check(&mut faults);
        self.egress.check(&mut faults);
        self.webhooks.check(&mut faults);
        if mode == Mode::Dev && !self.http.bind.ip().is_loopback() {
            faults.add(
                "http.bind",
                format!("{} is not a loopback address, and --dev opens the rooms to anyone", self.http.bind),
                "bind 127.0.0.1, or configure auth.keys and start without --dev",
            );
        }
        faults.0
    }

    fn check_http(&self, faults: &mut Faults) {
        let http = &self.http;
        faults.range("http.body_limit_bytes", http.body_limit_bytes, 1024..=16 * 1024 * 1024);
        faults.range("http.layout_limit_bytes", http.layout_limit_bytes, 1024..=64 * 1024 * 1024);
        faults.range("http.sdp_limit_bytes", http.sdp_limit_bytes, 4096..=4 * 1024 * 1024);
        faults.range("http.header_timeout_ms", http.header_timeout_ms, 100..=600_000);
        faults.range("http.body_timeout_ms", http.body_timeout_ms, 100..=600_000);
        faults.range("http.max_connections", http.max_connections, 1..=1_000_000);
        faults.range("http.max_connections_per_ip", http.max_connections_per_ip, 0..=1_000_000);
        for (index, origin) in http.cors_origins.iter().enumerate() {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' ', '?', '#'])) {
                let key = format!("http.cors_origins[{index}]");
                faults.add(&key, format!("{origin:?} is not an origin"), "write scheme, host and port alone: https://meet.example.org");
            }
        }
    }

    fn check_net(&self, faults: &mut Faults) {
        let net = &self.net;
        faults.range("net.connect_timeout_ms", net.connect_timeout_ms, 1000..=120_000);
        if net.tcp && net.port != 0 && net.port == self.http.bind.port() && overlap(&net.bind, self.http.bind.ip()) {
            faults.add(
                "net.port",
                format!("{} is the port of http.bind too, and net.tcp needs it", net.port),
                "choose another port for one of them",
            );
        }
        for (index, address) in net.advertised_addresses.iter().enumerate() {
            if address.is_unspecified() || address.is_multicast() {
                let key = format!("net.advertised_addresses[{index}]");
                faults.add(&key, format!("{address} is not an address that clients can reach"), "write the public address of this server");
            }
        }
        for (index, server) in net.ice_servers.iter().enumerate() {
            check_ice_server(index, server, faults);
        }
    }

    fn check_rooms(&self, faults: &mut Faults) {
        let rooms = &self.rooms;
        faults.range("rooms.max_rooms", rooms.max_rooms, 1..=1_000_000);
        faults.range("rooms.max_participants", rooms.max_participants, 1..=10_000);
        faults.range("rooms.max_views", rooms.max_views, 1..=1000);
        faults.range("rooms.max_private_pictures", rooms.max_private_pictures, 0..=1000);
        faults.range("rooms.chat_history", rooms.chat_history, 0..=1000);
        faults.range("rooms.empty_timeout_ms", rooms.empty_timeout_ms, 0..=86_400_000);
        if rooms.layout == super::LayoutKind::Custom {
            faults.add("rooms.layout", "custom needs regions", "choose another, and set regions by the API");
        }
        if let Some(folder) = rooms.layouts_folder().filter(|folder| !folder.is_dir()) {
            faults.add(
                "rooms.layouts_folder",
                format!("{} is not a folder", folder.display()),
                "make it, or name one that this user can write",
            );
        }
        let canvas = &rooms.canvas;
        for (key, side) in [("rooms.canvas.width", canvas.width), ("rooms.canvas.height", canvas.height)] {
            faults.range(key, side, 64..=3840);
            if side % 2 != 0 {
                faults.add(key, format!("{side} is odd"), "write an even number");
            }
        }
        faults.range("rooms.canvas.fps", canvas.fps, 1..=60);
        let digits = canvas.background.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            faults.add("rooms.canvas.background", format!("{:?} is not a colour", canvas.background), "write it as #rrggbb");
        }
    }

    fn check_media(&self, faults: &mut Faults) {
        let (video, audio) = (&self.video, &self.audio);
        if video.codecs.is_empty() {
            faults.add("video.codecs", "is empty", "name at least one of h264, vp8");
        }
        if !cfg!(feature = "h264") && video.codecs == [mixdown_codecs::VideoCodec::H264] {
            faults.add("video.codecs", "this build has no H.264", "add vp8");
        }
        if audio.codecs.is_empty() {
            faults.add("audio.codecs", "is empty", "name at least one of opus, pcmu, pcma");
        }
        faults.range("video.bitrate_bps", video.bitrate_bps, 50_000..=50_000_000);
        faults.range("video.max_bitrate_bps", video.max_bitrate_bps, 50_000..=100_000_000);
        faults.range("video.max_pixels", video.max_pixels, 128 * 96..=3840 * 2160);
        faults.range("video.max_side", video.max_side, 128..=3840);
        for (index, path) in video.fonts.iter().enumerate() {
            if !path.exists() {
                faults.add(
                    &format!("video.fonts[{index}]"),
                    format!("{} does not exist", path.display()),
                    "name a font file or a folder of fonts",
                );
            }
        }
        faults.range("audio.loudest", audio.loudest, 1..=32);
        faults.range("audio.bitrate_bps", audio.bitrate_bps, 8_000..=256_000);
    }

    fn check_limits(&self, faults: &mut Faults) {
        let limits = &self.limits;
        faults.range("limits.joins_per_second_per_ip", limits.joins_per_second_per_ip, 0..=100_000);
        faults.range("limits.event_streams", limits.event_streams, 0..=100_000);
        faults.range("limits.event_history", limits.event_history, 1..=65_536);
        faults.range("limits.idempotency_keys", limits.idempotency_keys, 1..=100_000);
        faults.range("limits.idempotency_ttl_ms", limits.idempotency_ttl_ms, 1000..=86_400_000);
        faults.range("drain.timeout_ms", self.drain.timeout_ms, 0..=86_400_000);
        faults.range("drain.hard_timeout_ms", self.drain.hard_timeout_ms, 0..=60_000);
        faults.range("drain.retry_after_ms", self.drain.retry_after_ms, 1000..=3_600_000);
        if let Err(error) = self.log.filter.parse::<tracing_subscriber::filter::Targets>() {
            faults.add("log.filter", format!("cannot be read: {error}"), "write error, warn, info, debug or trace");
        }
    }

    fn check_keys(&self, mode: Mode, now: SystemTime, faults: &mut Faults) {
        faults.range("auth.max_ttl_ms", self.auth.max_ttl_ms, 60_000..=30 * 86_400_000);
        let mut ids = std::collections::BTreeSet::new();
        for (index, key) in self.auth.keys.iter().enumerate() {
            check_key(index, key, faults);
            if !ids.insert(&key.id) {
                faults.add(&format!("auth.keys[{index}].id"), format!("{:?} stands there twice", key.id), "give every key its own id");
            }
        }
        let alive = self.auth.keys.iter().any(|key| key.valid_at(now));
        if mode == Mode::Production && !alive {
            let fault = if self.auth.keys.is_empty() { "there is no API key" } else { "every API key is past its not_after" };
            let remedy = "set MIXDOWN_AUTH_KEYS=id:secret (openssl rand -base64 48 makes a secret), or start with --dev on loopback";
            faults.add("auth.keys", fault, remedy);
        }
    }
}

impl Key {
    /// Whether it may still be used at `now`. An unreadable `not_after` counts as past.
    pub fn valid_at(&self, now: SystemTime) -> bool {
        self.not_after.is_empty() || self.expiry().is_some_and(|expiry| now < expiry)
    }

    fn expiry(&self) -> Option<SystemTime> {
        let format = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(&self.not_after, format).ok().map(SystemTime::from)
    }
}

fn check_key(index: usize, key: &Key, faults: &mut Faults) {
    let name = |field: &str| format!("auth.keys[{index}].{field}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if key.id.is_empty() || key.id.len() > 64 || !key.id.chars().all(plain) {
        faults.add(&name("id"), "must be 1 to 64 of A-Z a-z 0-9 . _ -", "give the key such an id");
    }
    if let Some(weakness) = key.secret.weakness() {
        faults.add(&name("secret"), weakness, "make one with: openssl rand -base64 48");
    }
    if !key.not_after.is_empty() && key.expiry().is_none() {
        faults.add(&name("not_after"), "is not a time", "write it as 2027-12-31T00:00:00Z");
    }
}

fn check_ice_server(index: usize, server: &IceServer, faults: &mut Faults) {
    let name = |field: &str| format!("net.ice_servers[{index}].{field}");
    if server.urls.is_empty() {
        faults.add(&name("urls"), "is empty", "name at least one stun:, turn: or turns: URL");
    }
    let turn = server.urls.iter().any(|url| url.starts_with("turn"));
    for url in &server.urls {
        let host = ["stun:", "stuns:", "turn:", "turns:"].iter().find_map(|scheme| url.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/') || host.contains(['<', '>', '"', ' ', '\r', '\n'])) {
            faults.add(&name("urls"), format!("{url:?} is not a STUN or TURN URL"), "write it as turn:host:port?transport=udp");
        }
    }
    let fixed = !server.username.is_empty() || !server.credential.is_empty();
    if fixed && !server.secret.is_empty() {
        faults.add(&name("secret"), "stands beside username and credential", "keep the secret or the fixed credentials");
    }
    if turn && !fixed && server.secret.is_empty() {
        faults.add(&name("secret"), "is missing for a TURN server", "set secret, or username and credential");
    }
    if fixed && (server.username.is_empty() || server.credential.is_empty()) {
        faults.add(&name("username"), "username and credential belong together", "set both");
    }
    faults.range(&name("ttl_ms"), server.ttl_ms, 60_000..=7 * 86_400_000);
}

fn overlap(media: &[IpAddr], http: IpAddr) -> bool {
    media.is_empty() || http.is_unspecified() || media.iter().any(|ip| *ip == http || ip.is_unspecified())
}

pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, key: &str, fault: impl Into<String>, remedy: &str) {
        self.0.push(Fault::new(key, fault, remedy));
    }

    pub(super) fn range<T: PartialOrd + std::fmt::Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            self.add(key, format!("{value} is out of range"), &format!("write {} to {}", allowed.start(), allowed.end()));
        }
    }
}
