//! The socket driver: a short loop around each hub, and the tasks that feed it.
//!
//! With one hub its loop reads the sockets itself. With several, one task reads them and hands every
//! datagram to the hub that it is for, over bounded channels; what does not fit is dropped and counted. Hubs send by themselves.

use super::addresses::{self, Wishes};
use super::bucket::Limits;
use super::hub::{Hub, Output, Route};
use super::route::{Router, Target};
use super::tcp::{self, Frame, Writer};
use super::threads::Thread;
use super::udp::{Inbox, Outbox, Sockets};
use super::{Command, Handle};
use crate::ledger;
use crate::peer::types::{Datagram, Transmit, Transport};
use crate::runtime::clock;
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Commands that wait for a hub.
const COMMANDS: usize = 4_096;
/// Datagrams that wait for a hub.
const PACKETS: usize = 4_096;
/// Frames that wait from all TCP connections together; full, they wait in the kernel.
const FRAMES: usize = 256;
/// Things of one kind that are done before others get their turn.
const BATCH: usize = 64;
/// Ports that are tried after the wished one.
pub const PORTS: u16 = 32;
/// Datagrams between the routing task and the hubs are copied into blocks of this size.
const ARENA: usize = 256 * 1024;
const IDLE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct Config {
    /// Listen on these addresses alone; empty: on all of the machine.
    pub bind: Vec<IpAddr>,
    /// The port for UDP and ICE-TCP, or the next free one; 0: any.
    pub port: u16,
    /// Addresses to tell clients instead of the machine's own (1:1 NAT).
    pub advertised: Vec<IpAddr>,
    /// Listen on loopback too.
    pub loopback: bool,
    pub tcp: bool,
    /// `None`: lite when an address is publicly reachable.
    pub ice_lite: Option<bool>,
    /// 0: one per two cores.
    pub hubs: usize,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            port: 3478,
            advertised: Vec::new(),
            loopback: false,
            tcp: true,
            ice_lite: None,
            hubs: 0,
            limits: Limits::default(),
        }
    }
}

/// The network side, running until it is dropped or stopped.
pub struct Running {
    /// One per hub. All peers of one room go to the same.
    pub handles: Vec<Handle>,
    /// (transport, advertised address, bound address): for [`crate::peer::types::Config`].
    pub candidates: Vec<(Transport, SocketAddr, SocketAddr)>,
    pub ice_lite: bool,
    pub port: u16,
    tasks: JoinSet<()>,
    _threads: Vec<Thread>,
}

impl Running {
    /// Stops at once; peers are not told (close them first).
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// A datagram on its way to a hub.
struct Packet {
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    contents: Bytes,
    writer: Option<Writer>,
}

/// Binds the sockets and starts the hubs, on threads of their own.
pub async fn start(config: Config) -> io::Result<Running> {
    let wishes = Wishes { bind: &config.bind, advertised: &config.advertised, loopback: config.loopback };
    let listen = addresses::plan(&wishes, &addresses::own());
    let front = Thread::start("net".into())?;
    let (own, wished) = (config.clone(), listen.clone());
    let (sockets, listeners) = front.run(async move { bind(&own, &wished).await }).await?;
    let port = sockets.iter().next().map_or(config.port, |socket| socket.local.port());
    let mut candidates = Vec::new();
    for socket in sockets.iter() {
        candidates.extend(socket.advertised.iter().map(|advertised| (Transport::Udp, *advertised, socket.local)));
        if config.tcp {
            candidates.extend(socket.advertised.first().map(|advertised| (Transport::Tcp, *advertised, socket.local)));
        }
    }
    let ice_lite = config.ice_lite.unwrap_or_else(|| addresses::is_public(&listen));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hubs = if config.hubs == 0 { cores.div_ceil(2) } else { config.hubs };
    let (frames, incoming) = mpsc::channel(FRAMES);
    let mut tasks = JoinSet::new();
    if config.tcp {
        tasks.spawn_on(tcp::accept(listeners, frames), &front.tasks);
    }
    let mut threads = vec![front];
    if hubs > 1 {
        threads.extend((0..hubs).map(|n| Thread::start(format!("net-{n}"))).collect::<io::Result<Vec<_>>>()?);
    }
    let handles = spawn(&mut tasks, &threads, Arc::new(sockets), incoming, config.limits);
    tracing::info!(port, ice_lite, hubs, tcp = config.tcp, "media network is up");
    Ok(Running { handles, candidates, ice_lite, port, tasks, _threads: threads })
}

async fn bind(config: &Config, listen: &[addresses::Listen]) -> io::Result<(Sockets, Vec<(tokio::net::TcpListener, SocketAddr)>)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for attempt in 0..PORTS {
        let port = if config.port == 0 { 0 } else { config.port.saturating_add(attempt) };
        let bound = match Sockets::bind(listen, port) {
            Ok(sockets) if config.tcp => tcp::bind(&sockets).await.map(|listeners| (sockets, listeners)),
            other => other.map(|sockets| (sockets, Vec::new())),
        };
        match bound {
            Ok(bound) => return Ok(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// The first of `threads` has the sockets; the others, where there are any, a hub each.
fn spawn(
    tasks: &mut JoinSet<()>,
    threads: &[Thread],
    sockets: Arc<Sockets>,
    incoming: mpsc::Receiver<Frame>,
    limits: Limits,
) -> Vec<Handle> {
    let [front, others @ ..] = threads else { return Vec::new() };
    let places = if others.is_empty() { threads } else { others };
    let mut handles = Vec::new();
    let mut ways = Vec::new();
    let (learn, routes) = mpsc::channel(PACKETS);
    let mut incoming = Some(incoming);
    for (index, place) in places.iter().enumerate() {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (packets, inbound) = mpsc::channel(PACKETS);
        handles.push(Handle::new(commands));
        ways.push(packets);
        let io = Io { sockets: Arc::clone(&sockets), outbox: Outbox::default(), writers: HashMap::new() };
        let routes = (!others.is_empty()).then(|| (index, learn.clone()));
        let own = if others.is_empty() { incoming.take() } else { None };
        let source = match own {
            Some(frames) => Source::Sockets { frames, inbox: Box::new(Inbox::new()) },
            None => Source::Router(inbound),
        };
        tasks.spawn_on(Driver { hub: Hub::new(limits), io, routes }.run(queue, source), &place.tasks);
    }
    if let Some(incoming) = incoming {
        tasks.spawn_on(route(sockets, incoming, routes, ways), &front.tasks);
    }
    handles
}

/// The sending side of one hub.
struct Io {
    sockets: Arc<Sockets>,
    outbox: Outbox,
    writers: HashMap<SocketAddr, Writer>,
}

impl Io {
    fn send(&mut self, transmit: Transmit) {
        let Transmit { transport, source, destination, contents } = transmit;
        if transport == Transport::Udp {
            return self.outbox.send(&self.sockets, source, destination, &contents);
        }
        let sent = self.writers.get(&destination).is_some_and(|writer| writer.try_send(contents).is_ok());
        if !sent {
            count("tcp_send");
        }
    }

    /// The way back to whom a frame came from.
    fn note(&mut self, source: SocketAddr, writer: Writer) {
        if self.writers.get(&source).is_some_and(|known| known.same_channel(&writer)) {
            return;
        }
        if self.writers.len() > 64 {
            self.writers.retain(|_, writer| !writer.is_closed());
        }
        self.writers.insert(source, writer);
    }
}

/// Where a hub's datagrams come from.
enum Source {
    Sockets { frames: mpsc::Receiver<Frame>, inbox: Box<Inbox> },
    Router(mpsc::Receiver<Packet>),
}

/// What woke a hub's loop.
enum Wake {
    Command(Option<Command>),
    Readable,
    Packet(Option<Packet>),
    Time,
}

struct Driver {
    hub: Hub,
    io: Io,
    routes: Option<(usize, mpsc::Sender<(usize, Route)>)>,
}

impl Driver {
    /// Wait, read the clock once, step, flush.
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut source: Source) {
        let mut account = ledger::Thread::new(ledger::Stage::Network);
        loop {
            let deadline = self.flush().await;
            let wake = tokio::select! {
                command = commands.recv() => Wake::Command(command),
                wake = source.wait(&self.io.sockets) => wake,
                () = sleep_until(deadline) => Wake::Time,
            };
            let now = clock::now();
            account.note(now, clock::thread_cpu);
            match wake {
                Wake::Command(None) => return,
                Wake::Command(Some(command)) => {
                    self.hub.handle_command(now, command);
                    for _ in 1..BATCH {
                        let Ok(command) = commands.try_recv() else { break };
                        self.hub.handle_command(now, command);
                    }
                }
                Wake::Readable => {
                    let Source::Sockets { inbox, .. } = &mut source else { continue };
                    let hub = &mut self.hub;
                    self.io.sockets.receive(inbox, |source, destination, contents| {
                        hub.handle_datagram(now, &Datagram { transport: Transport::Udp, source, destination, contents });
                    });
                }
                Wake::Packet(None) => return,
                Wake::Packet(Some(packet)) => {
                    self.packet(now, packet);
                    for _ in 1..BATCH {
                        let Some(packet) = source.try_packet() else { break };
                        self.packet(now, packet);
                    }
                }
                Wake::Time => {}
            }
            self.hub.handle_timeout(now);
        }
    }

    fn packet(&mut self, now: std::time::Instant, packet: Packet) {
        let Packet { transport, source, destination, contents, writer } = packet;
        if let Some(writer) = writer {
            self.io.note(source, writer);
        }
        self.hub.handle_datagram(now, &Datagram { transport, source, destination, contents: &contents });
    }

    async fn flush(&mut self) -> Instant {
        loop {
            match self.hub.poll_output() {
                Output::Transmit(transmit) => self.io.send(transmit),
                Output::Route(route) => {
                    if let Some((index, routes)) = &self.routes {
                        let _ = routes.send((*index, route)).await;
                    }
                }
                Output::Timeout(at) => {
                    self.io.outbox.flush(&self.io.sockets);
                    return Instant::from_std(at.unwrap_or_else(|| clock::now() + IDLE));
                }
            }
        }
    }
}

impl Source {
    async fn wait(&mut self, sockets: &Sockets) -> Wake {
        match self {
            Self::Router(packets) => Wake::Packet(packets.recv().await),
            Self::Sockets { frames, .. } => tokio::select! {
                () = sockets.readable() => Wake::Readable,
                Some(frame) = frames.recv() => Wake::Packet(Some(frame.into())),
            },
        }
    }

    fn try_packet(&mut self) -> Option<Packet> {
        match self {
            Self::Router(packets) => packets.try_recv().ok(),
            Self::Sockets { frames, .. } => frames.try_recv().ok().map(Packet::from),
        }
    }
}

impl From<Frame> for Packet {
    fn from(frame: Frame) -> Self {
        let Frame { source, destination, contents, writer } = frame;
        Self { transport: Transport::Tcp, source, destination, contents, writer: Some(writer) }
    }
}

/// The task in front of several hubs.
async fn route(
    sockets: Arc<Sockets>,
    mut frames: mpsc::Receiver<Frame>,
    mut routes: mpsc::Receiver<(usize, Route)>,
    ways: Vec<mpsc::Sender<Packet>>,
) {
    let mut router = Router::default();
    let mut inbox = Inbox::new();
    let mut arena = BytesMut::new();
    let mut account = ledger::Thread::new(ledger::Stage::Network);
    loop {
        account.note(clock::now(), clock::thread_cpu);
        tokio::select! {
            biased;
            Some((hub, route)) = routes.recv() => router.learn(hub, route),
            Some(frame) = frames.recv() => deliver(&router, &ways, frame.into()),
            () = sockets.readable() => sockets.receive(&mut inbox, |source, destination, contents| {
                if router.find(Transport::Udp, source, contents) == Target::Nobody {
                    return count("stranger");
                }
                if arena.capacity() < contents.len() {
                    arena.reserve(ARENA);
                }
                arena.extend_from_slice(contents);
                let contents = arena.split().freeze();
                deliver(&router, &ways, Packet { transport: Transport::Udp, source, destination, contents, writer: None });
            }),
        }
    }
}

fn deliver(router: &Router, ways: &[mpsc::Sender<Packet>], packet: Packet) {
    let full = match router.find(packet.transport, packet.source, &packet.contents) {
        Target::Hub(hub) => ways.get(hub).is_none_or(|way| way.try_send(packet).is_err()),
        Target::All => ways.iter().any(|way| way.try_send(packet.copy()).is_err()),
        Target::Nobody => return count("stranger"),
    };
    if full {
        count("hub_full_packet");
    }
}

impl Packet {
    fn copy(&self) -> Self {
        let Self { transport, source, destination, contents, writer } = self;
        Self { transport: *transport, source: *source, destination: *destination, contents: contents.clone(), writer: writer.clone() }
    }
}

fn count(reason: &'static str) {
    metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
}
