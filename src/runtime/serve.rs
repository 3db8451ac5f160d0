//! The server as a whole: configuration in, exit out.

use super::{clock, media, metrics, overload, pictures, recordings, reload, shutdown};
use crate::api::{self, App, Clock, Rooms};
use crate::config::{Config, Mode};
use crate::ids::RecordingId;
use crate::ledger;
use crate::webhooks;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Why the server did not start. One line that names key and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("http.bind: cannot listen on {address}: {error}; end what listens there, or choose another address")]
    Http { address: SocketAddr, error: std::io::Error },
    #[error("net.port: cannot listen for media: {0}; end what listens there, or choose another port")]
    Media(std::io::Error),
    #[error(transparent)]
    Recordings(#[from] crate::record::store::Error),
    #[error(transparent)]
    Webhooks(#[from] webhooks::Error),
    #[error("rooms.pictures: {folder} cannot be used: {error}; correct the folder, or leave it empty")]
    Pictures { folder: String, error: std::io::Error },
    #[error("signals: cannot be taken: {0}; start from a shell or a service manager")]
    Signals(std::io::Error),
}

/// Runs until a signal ends it. `read` gives the settings as they are now, for keys that change; `ready` is called once with the address of the API.
pub async fn serve(config: Config, mode: Mode, read: reload::Read, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    crate::process::open_files();
    let signals = shutdown::signals().map_err(Error::Signals)?;
    let hangups = reload::hangups().map_err(Error::Signals)?;
    let folder = config.rooms.pictures.clone();
    let named = (!folder.is_empty()).then(|| std::path::Path::new(&folder));
    pictures::store(named).map_err(|error| Error::Pictures { folder: folder.clone(), error })?;
    let listener = listen(&config).await?;
    let recorder = metrics::install();
    let (library, unfinished) = recordings::open(&config, mode)?;
    let media = media::start(&config, mode == Mode::Dev, library).await.map_err(Error::Media)?;
    tracing::info!(port = media.net.port, ice_lite = media.net.ice_lite, "media");
    let (webhooks, posting) = webhooks::start(config.webhooks.settings())?;
    let rooms: Arc<dyn Rooms> = media.directory.clone();
    let outside = Outside { listener, signals, hangups, read, recorder, webhooks, unfinished };
    run(config, mode, rooms, outside, ready).await;
    posting.end().await;
    media.net.stop().await;
    Ok(())
}

/// What reaches the server from its surroundings.
struct Outside {
    listener: TcpListener,
    signals: mpsc::Receiver<&'static str>,
    hangups: mpsc::Receiver<()>,
    read: reload::Read,
    /// Installed before anything counts; `None`: this process has another one.
    recorder: Option<PrometheusHandle>,
    webhooks: webhooks::Handle,
    /// Recordings that a dead process left.
    unfinished: Vec<RecordingId>,
}

/// Everything but the media side.
async fn run(config: Config, mode: Mode, rooms: Arc<dyn Rooms>, outside: Outside, ready: impl FnOnce(SocketAddr)) {
    let Outside { listener, signals, hangups, read, recorder, webhooks, unfinished } = outside;
    let stop = CancellationToken::new();
    if let Some(recorder) = &recorder {
        tokio::spawn(metrics::keep(recorder.clone(), stop.clone()));
    }
    let account = || ledger::render(clock::process_cpu(), overload::children_cpu());
    let render = move || recorder.as_ref().map(|recorder| recorder.render() + &account()).unwrap_or_default();
    let drain = drain(&config, mode);
    let (http, grace) = (config.http.clone(), drain.hard_timeout());
    let app = App::new(
        config,
        mode,
        Arc::clone(&rooms),
        Clock { now: clock::now, wall: clock::wall, cpu: clock::thread_cpu },
        Box::new(render),
        webhooks,
    );
    let (events, library, board) = (Arc::clone(&app.events), rooms.library(), rooms.board());
    events.take_in(library.events());
    tokio::spawn(recordings::keep(library.clone(), unfinished, stop.clone()));
    let (keyed, measured) = (app.clone(), app.clone());
    tokio::spawn(reload::keep(move |keys| keyed.keys.replace(keys), mode, read, hangups, stop.clone()));
    let address = listener.local_addr();
    let (router, stopped) = (api::router(app), stop.clone());
    let server = tokio::spawn(async move { api::server::serve(listener, router, &http, stopped, grace).await });
    // Before rooms take the processor, and without anybody waiting for it.
    tokio::spawn(async move { api::estimate::costs(&measured).await.map(|costs| tracing::info!(?costs, "measured this host")).is_ok() });
    if let Ok(address) = address {
        tracing::info!(%address, dev = mode == Mode::Dev, "listening");
        ready(address);
    }
    shutdown::run(signals, &*rooms, &drain).await;
    tokio::join!(recordings::finish(&library, drain.hard_timeout()), board.finish(drain.hard_timeout()));
    events.close();
    stop.cancel();
    let _ = server.await;
    tracing::info!("ended");
}

/// On a developer's machine nobody waits for a drain.
fn drain(config: &Config, mode: Mode) -> crate::config::Drain {
    let mut drain = config.drain.clone();
    if mode == Mode::Dev {
        drain.timeout_ms = 0;
    }
    drain
}

async fn listen(config: &Config) -> Result<TcpListener, Error> {
    let address = config.http.bind;
    TcpListener::bind(address).await.map_err(|error| Error::Http { address, error })
}
