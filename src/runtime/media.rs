//! Puts the media plane together: sockets and hubs, worker pool, ticker, mix threads, and the
//! directory that makes rooms out of them.

use super::overload;
use crate::conference::directory::{Building, Directory};
use crate::conference::library::Library;
use crate::conference::station::Station;
use crate::config::Config;
use crate::egress::Board;
use crate::overload::Monitor;
use crate::pipeline::{mix, pool::Pool, ticker, video};
use crate::room::Settings;
use crate::{net, peer};
use mixdown_codecs::gate;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Bandwidth that a new subscriber is assumed to have until the estimate says otherwise.
const INITIAL_BITRATE: u32 = 1_000_000;

/// The media plane, running until it is dropped.
pub struct Running {
    pub directory: Arc<Directory>,
    pub net: net::Running,
    /// Looks at the load as long as it lives.
    _watchman: overload::Watchman,
}

/// Starts everything but the HTTP side. Must be called within a tokio runtime. `loopback`: clients of
/// this very machine are served too (`--dev`).
pub async fn start(config: &Config, loopback: bool, library: Library) -> io::Result<Running> {
    let limits = gate::Limits { max_pixels: config.video.max_pixels, max_side: config.video.max_side };
    let net = net::start(sockets(config, loopback)).await?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let pool = Pool::threads(cores)?;
    let (ticker, mixes) = (ticker::spawn()?, mix::Driver::spawn(cores)?);
    let load = Monitor::new(config.overload.settings());
    let watchman = overload::start(config.overload.settings(), load.clone(), mixes.punctuality(), pool.clone())?;
    let building = Building {
        settings: room(config),
        max_rooms: config.rooms.max_rooms as usize,
        linger: Some(Duration::from_millis(config.rooms.empty_timeout_ms)),
        peer: Arc::new(peer::types::Config {
            ice_lite: net.ice_lite,
            candidates: net.candidates.clone(),
            video_codecs: config.video.codecs.clone(),
            audio_codecs: config.audio.codecs.clone(),
            limits,
            connect_deadline: Duration::from_millis(config.net.connect_timeout_ms),
            initial_bitrate_bps: INITIAL_BITRATE.min(config.video.max_bitrate_bps),
            max_bitrate_bps: config.video.max_bitrate_bps,
        }),
        hubs: net.handles.clone(),
        stages: video::Shared { pool, ticker, limits },
        mixes,
        mix: mix::Settings { loudest: usize::from(config.audio.loudest), bitrate_bps: config.audio.bitrate_bps, ..Default::default() },
        library,
        station: Station::new(config.ingress.settings()),
        board: Board::new(config.egress.settings()),
        load,
    };
    Ok(Running { directory: Arc::new(Directory::new(building)), net, _watchman: watchman })
}

fn sockets(config: &Config, loopback: bool) -> net::Config {
    net::Config {
        bind: config.net.bind.clone(),
        port: config.net.port,
        advertised: config.net.advertised_addresses.clone(),
        loopback,
        tcp: config.net.tcp,
        ice_lite: config.net.ice_lite.fixed(),
        ..Default::default()
    }
}

fn room(config: &Config) -> Settings {
    Settings {
        max_participants: config.rooms.max_participants,
        max_views: config.rooms.max_views,
        max_private_pictures: config.rooms.max_private_pictures,
        forward_pictures: config.rooms.forward_pictures,
        repair_encodes: config.rooms.repair_encodes,
        waiting_room: config.rooms.waiting_room,
        self_unmute: config.rooms.self_unmute,
        auto_record: config.recordings.auto_record,
        recording_sign: config.recordings.sign,
        chat_history: config.rooms.chat_history as usize,
        canvas: config.rooms.canvas.clone(),
        layout: mixdown_layouts::Layout { kind: config.rooms.layout, ..Default::default() },
        audio: config.audio.room(),
        video_bitrate_bps: config.video.bitrate_bps,
        overload_tiles: config.overload.tiles,
    }
}
