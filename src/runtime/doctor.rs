//! `mixdown doctor`: whether this machine can run the server well, and what to do where it cannot.

use crate::config::{Config, Fault, Mode};
use crate::urgency::Urgency;
use mixdown_codecs::versions::{self, Assembly};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do next; empty where nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Good,
    /// Runs, but not as well as it could.
    Warning,
    Bad,
}

fn good(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, outcome: Outcome::Good, found: found.into(), next: String::new() }
}

fn warning(name: &'static str, found: impl Into<String>, next: impl Into<String>) -> Check {
    Check { name, outcome: Outcome::Warning, found: found.into(), next: next.into() }
}

fn bad(name: &'static str, found: impl Into<String>, next: impl Into<String>) -> Check {
    Check { name, outcome: Outcome::Bad, found: found.into(), next: next.into() }
}

/// Looks at everything. `now` twice, read at the same moment: whether the clocks go is looked at by the caller's clock alone.
pub fn examine(config: &Config, mode: Mode, wall: SystemTime, clock: impl Fn() -> Instant) -> Vec<Check> {
    let mut checks = vec![configuration(&config.check(mode, wall)), processor(), urgency(), assembly()];
    checks.extend([
        http_port(config),
        media_port(config),
        addresses(config),
        fonts(config),
        recordings(config),
        ffmpeg(config),
        file_limit(),
        socket_buffers(),
        time(wall, clock),
    ]);
    checks
}

fn configuration(faults: &[Fault]) -> Check {
    match faults {
        [] => good("configuration", "is complete"),
        [first, rest @ ..] => bad("configuration", format!("{}: {} (and {} more)", first.key, first.fault, rest.len()), &first.remedy),
    }
}

fn processor() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("avx2") {
        return warning("processor", format!("{cores} cores, no AVX2"), "scaling and codecs run slower; choose a host with AVX2");
    }
    match cores {
        1 => warning("processor", "1 core", "sound and picture share it; give the server at least 2"),
        _ => good("processor", format!("{cores} cores, {}", std::env::consts::ARCH)),
    }
}

fn urgency() -> Check {
    const NAME: &str = "urgency";
    // Of a thread that ends: this one stays as it is.
    let claimed = std::thread::scope(|scope| scope.spawn(|| crate::urgency::claim(Urgency::AtOnce)).join());
    match claimed.unwrap_or(Urgency::Usual) {
        Urgency::AtOnce => good(NAME, "sound goes before other programs, at once"),
        Urgency::Early => good(NAME, "sound goes before other programs"),
        Urgency::Usual => warning(
            NAME,
            "sound waits its turn among all programs of this machine",
            "LimitRTPRIO=1 and LimitNICE=-10 in the service, or ulimits: { rtprio: 1, nice: 30 } of the container",
        ),
    }
}

fn assembly() -> Check {
    match versions::h264_assembly() {
        Some(Assembly::Whole) => good("codecs", "built with their assembly"),
        Some(Assembly::WithoutAvx2) => warning(
            "codecs",
            "H.264 is built without its AVX2 routines: it costs an eighth more",
            "build in the project's own folder, whose .cargo/config.toml asks for them",
        ),
        Some(Assembly::Missing) => bad(
            "codecs",
            "H.264 is built without its assembly: encoding costs 2.4 times as much",
            "apt install nasm, cargo clean -p openh264-sys2, and build again",
        ),
        None if cfg!(feature = "h264") => good("codecs", "whether they have their assembly cannot be told here"),
        None => good("codecs", "without H.264"),
    }
}

fn http_port(config: &Config) -> Check {
    let address = config.http.bind;
    match TcpListener::bind(address) {
        Ok(_) => good("http port", format!("{address} is free")),
        Err(error) => bad("http port", format!("{address}: {error}"), "end what listens there (a running server?), or set http.bind"),
    }
}

fn media_port(config: &Config) -> Check {
    let net = &config.net;
    let ip = net.bind.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let free = |port: u16| {
        let address = SocketAddr::new(ip, port);
        UdpSocket::bind(address).is_ok() && (!net.tcp || TcpListener::bind(address).is_ok())
    };
    let mut ports = net.port..net.port.saturating_add(crate::net::PORTS);
    match ports.find(|port| free(*port)) {
        Some(port) if port == net.port => good("media port", format!("{port} is free for UDP{}", if net.tcp { " and TCP" } else { "" })),
        Some(port) => {
            warning("media port", format!("{} is taken, {port} would be used", net.port), "open that port in the firewall, or set net.port")
        }
        None => bad("media port", format!("{} and those behind it are taken", net.port), "set net.port to a free one"),
    }
}

fn addresses(config: &Config) -> Check {
    if !config.net.advertised_addresses.is_empty() {
        let list: Vec<String> = config.net.advertised_addresses.iter().map(ToString::to_string).collect();
        return good("addresses", format!("clients are told {}", list.join(", ")));
    }
    let own: Vec<IpAddr> = if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip).collect();
    let outside: Vec<String> = own.iter().filter(|ip| !ip.is_loopback()).map(ToString::to_string).collect();
    let public = own.iter().any(|ip| is_public(*ip));
    match outside.as_slice() {
        [] => warning("addresses", "loopback alone", "only this machine can join; connect a network"),
        _ if public => good("addresses", outside.join(", ")),
        _ => warning(
            "addresses",
            format!("{}: all private", outside.join(", ")),
            "for clients outside set net.advertised_addresses to the public address",
        ),
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

fn fonts(config: &Config) -> Check {
    if !config.video.fonts.is_empty() {
        return good("fonts", "those of video.fonts");
    }
    let places = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts"];
    if places.iter().any(|place| has_font(std::path::Path::new(place), 4)) {
        return good("fonts", "those of the system");
    }
    let next = "apt install fonts-noto-core fonts-noto-cjk, or set video.fonts";
    warning("fonts", "the built-in one alone: names in many scripts show as boxes", next)
}

/// The folder of recordings, or what it will be made in.
fn recordings(config: &Config) -> Check {
    const NAME: &str = "recordings";
    let settings = &config.recordings;
    if !settings.enabled {
        return good(NAME, "are switched off");
    }
    let place = settings.folder.ancestors().find(|place| place.is_dir()).unwrap_or(std::path::Path::new("."));
    if rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_err() {
        let next = "name a folder that this user can write in recordings.folder, or set recordings.enabled = false";
        return bad(NAME, format!("{} cannot be written", place.display()), next);
    }
    match rustix::fs::statvfs(place) {
        Ok(space) => {
            let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
            let reserve = settings.settings().reserve(bytes(space.f_blocks));
            let left = bytes(space.f_bavail).saturating_sub(reserve) >> 20;
            let found = format!("{left} MiB are left in {}", place.display());
            if left < 1024 {
                warning(NAME, found, "make room, or name a folder on another disk in recordings.folder")
            } else {
                good(NAME, found)
            }
        }
        Err(error) => warning(NAME, format!("the space of {} is not known: {error}", place.display()), "look at the disk"),
    }
}

/// What plays files and streams into rooms.
fn ffmpeg(config: &Config) -> Check {
    const NAME: &str = "ffmpeg";
    let program = &config.ingress.ffmpeg;
    match crate::process::find(program) {
        Some(path) => good(NAME, path.display().to_string()),
        None => warning(
            NAME,
            format!("there is no {program}: no files and streams can be played into rooms"),
            "apt install ffmpeg, or set ingress.ffmpeg",
        ),
    }
}

fn has_font(place: &std::path::Path, depth: u8) -> bool {
    let Ok(entries) = std::fs::read_dir(place) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        let font = path.extension().is_some_and(|end| ["ttf", "otf", "ttc"].iter().any(|kind| end.eq_ignore_ascii_case(kind)));
        font || (depth > 0 && path.is_dir() && has_font(&path, depth - 1))
    })
}

fn file_limit() -> Check {
    match crate::process::open_files() {
        Some(limit @ 0..4096) => {
            warning("open files", format!("at most {limit}"), "raise it: ulimit -Hn 65536, or LimitNOFILE=65536 in the service")
        }
        Some(limit) => good("open files", format!("at most {limit}")),
        None => good("open files", "as many as it likes"),
    }
}

fn socket_buffers() -> Check {
    let read = |path: &str| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match read("/proc/sys/net/core/rmem_max") {
        Some(bytes) if bytes < 1_048_576 => warning(
            "socket buffers",
            format!("net.core.rmem_max is {bytes}"),
            "bursts may be lost with many participants: sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304",
        ),
        Some(bytes) => good("socket buffers", format!("net.core.rmem_max is {bytes}")),
        None => good("socket buffers", "the system does not say"),
    }
}

/// The wall clock is plausible, and the monotonic one is fine enough for ticks.
fn time(wall: SystemTime, clock: impl Fn() -> Instant) -> Check {
    // 2026-01-01: a machine that lives before this source does has lost its clock.
    let earliest = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    if wall < earliest {
        return bad("clock", "the wall clock lies in the past: tokens are refused", "set it, and run an NTP client");
    }
    let start = clock();
    let step = std::iter::repeat_with(&clock).take(1_000_000).map(|now| now.saturating_duration_since(start)).find(|step| !step.is_zero());
    match step {
        Some(step) if step < Duration::from_millis(1) => good("clock", "set, and fine enough"),
        _ => bad(
            "clock",
            "the monotonic clock moves in steps of a millisecond or more",
            "choose another clock source (see /sys/devices/system/clocksource)",
        ),
    }
}
