//! A client on the real network: joins over HTTP, owns one UDP socket, drives a [`Peer`] and a [`Script`].
//!
//! One task per session: wait → read the clock once → step → flush. The handle talks to it over a bounded
//! channel. [`Session::leave`] closes the connection, deletes the session on the server and gives the script back.

use super::peer::Peer;
use super::script::Script;
use super::sdp;
pub use super::signalling::Door;
use super::signalling::{self, Resource, Target};
use super::types::{Change, Config, Event, Output, Stats};
use crate::address::resolve;
use crate::peer::types::{Datagram, Transport};
use crate::runtime::clock;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// From the answer until ICE and DTLS must be up.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);
/// Datagrams taken from the socket before what they caused is sent.
const BATCH: usize = 64;
/// Bytes the kernel keeps for us while we are busy encoding.
const RECEIVE_BUFFER: usize = 2 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Signalling(#[from] signalling::Error),
    #[error("no socket: {0}")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Peer(#[from] super::types::Error),
    #[error("the connection did not come up within 15 s")]
    Deadline,
    #[error("the session has ended")]
    Ended,
}

/// A running session of the script `S`.
pub struct Session<S> {
    commands: mpsc::Sender<Command>,
    resource: Resource,
    task: JoinHandle<Ended<S>>,
}

/// What is left of a session.
pub struct Ended<S> {
    pub script: S,
    pub stats: Stats,
}

enum Command {
    Offer(Vec<Change>, oneshot::Sender<Result<String, super::types::Error>>),
    IceRestart(oneshot::Sender<Result<String, super::types::Error>>),
    Answer(String, oneshot::Sender<Result<(), super::types::Error>>),
    Fragment(String, oneshot::Sender<Result<(), super::types::Error>>),
    Message(String),
    Play,
    Stats(oneshot::Sender<Stats>),
    Close,
}

impl<S: Script + 'static> Session<S> {
    /// Joins and returns once the connection is up.
    pub async fn join(target: &Target, config: Config, script: S) -> Result<Self, Error> {
        Box::pin(Self::open(Door::of(target)?, config, script, CancellationToken::new())).await
    }

    /// As [`Self::join`], at any endpoint that takes an offer. `stop` ends it before the connection is up, with [`Error::Ended`]: a session that has
    /// been asked for is waited for and deleted. Dropped, it would leave that behind.
    pub async fn open(door: Door, config: Config, script: S, stop: CancellationToken) -> Result<Self, Error> {
        let (host, port) = door.host();
        let found = tokio::select! {
            found = resolve(&host, port, &door.may_reach) => found.map_err(io::Error::other)?,
            () = stop.cancelled() => return Err(Error::Ended),
        };
        let server = found.first().copied().ok_or(Error::Ended)?;
        let (socket, local) = open(server)?;
        let config = Config { candidates: vec![local], ..config };
        let mut peer = Box::new(Peer::new(config, clock::now()));
        let offer = peer.offer()?;
        let (resource, answer) = Resource::create(&door, offer).await?;
        let answer = sdp::with_candidates(&answer, &door.may_reach);
        if let Err(error) = peer.accept_answer(clock::now(), &answer) {
            let _ = resource.delete().await;
            return Err(error.into());
        }
        let (commands, inbox) = mpsc::channel(64);
        let (connected, up) = oneshot::channel();
        let driver = Driver { socket, local, peer, script, connected: Some(connected), buffer: vec![0; 2048] };
        let session = Self { commands, resource, task: tokio::spawn(driver.run(inbox)) };
        let error = tokio::select! {
            outcome = timeout(CONNECT_DEADLINE, up) => match outcome {
                Ok(Ok(())) => return Ok(session),
                Ok(Err(_)) => Error::Ended,
                Err(_) => Error::Deadline,
            },
            () = stop.cancelled() => Error::Ended,
        };
        session.leave().await;
        Err(error)
    }

    /// The participant's id.
    pub fn id(&self) -> &str {
        self.resource.id()
    }

    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    pub async fn stats(&self) -> Result<Stats, Error> {
        let (reply, stats) = oneshot::channel();
        self.commands.send(Command::Stats(reply)).await.map_err(|_| Error::Ended)?;
        stats.await.map_err(|_| Error::Ended)
    }

    /// A new offer for `changes`, and its answer.
    pub async fn reoffer(&mut self, changes: &[Change]) -> Result<(), Error> {
        let offer = self.ask(|reply| Command::Offer(changes.to_vec(), reply)).await?;
        let answer = self.resource.offer(offer).await?;
        self.ask(|reply| Command::Answer(answer, reply)).await
    }

    pub async fn ice_restart(&mut self) -> Result<(), Error> {
        let fragment = self.ask(Command::IceRestart).await?;
        let answer = self.resource.trickle(fragment, true).await?.ok_or(signalling::Error::Incomplete("ICE fragment"))?;
        self.ask(|reply| Command::Fragment(answer, reply)).await
    }

    pub async fn message(&self, text: String) -> Result<(), Error> {
        self.commands.send(Command::Message(text)).await.map_err(|_| Error::Ended)
    }

    /// The script has something to do. Where it is busy it comes to that anyway.
    pub fn nudge(&self) {
        let _ = self.commands.try_send(Command::Play);
    }

    /// True once the server has ended the session.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends the session on both sides. `None`: its task has failed.
    pub async fn leave(self) -> Option<Ended<S>> {
        let _ = self.commands.send(Command::Close).await;
        let ended = self.task.await.ok();
        let _ = self.resource.delete().await;
        ended
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, super::types::Error>>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Ended)?;
        Ok(answer.await.map_err(|_| Error::Ended)??)
    }
}

/// A socket on all addresses of the server's family, and the address the server sees it under.
fn open(server: SocketAddr) -> io::Result<(UdpSocket, SocketAddr)> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connecting a datagram socket sends nothing; it asks for the route.
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(server)?;
    let own = probe.local_addr()?.ip();
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    // The kernel gives less where its limit is lower.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    let local = SocketAddr::new(own, socket.local_addr()?.port());
    Ok((UdpSocket::from_std(socket)?, local))
}

struct Driver<S> {
    socket: UdpSocket,
    local: SocketAddr,
    peer: Box<Peer>,
    script: S,
    connected: Option<oneshot::Sender<()>>,
    buffer: Vec<u8>,
}

impl<S: Script> Driver<S> {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) -> Ended<S> {
        let mut timeout = self.flush();
        while !self.peer.is_closed() {
            let wake = self.script.next().map_or(timeout, |next| next.min(timeout));
            tokio::select! {
                ready = self.socket.readable() => {
                    if ready.is_ok() {
                        self.receive();
                    }
                }
                () = sleep_until(wake.into()) => self.turn(timeout),
                command = inbox.recv() => self.command(command.unwrap_or(Command::Close)),
            }
            timeout = self.flush();
        }
        self.flush();
        Ended { script: self.script, stats: self.peer.stats() }
    }

    fn turn(&mut self, timeout: Instant) {
        let now = clock::now();
        if timeout <= now {
            self.peer.handle_timeout(now);
        }
        // A script that fell behind catches up beat by beat, but never for long.
        for _ in 0..8 {
            if self.script.next().is_none_or(|next| next > now) {
                break;
            }
            self.script.play(now, &mut self.peer);
        }
    }

    fn receive(&mut self) {
        for _ in 0..BATCH {
            // Errors such as a refused port concern an earlier datagram of ours.
            let Ok((length, source)) = self.socket.try_recv_from(&mut self.buffer) else { break };
            let Some(contents) = self.buffer.get(..length) else { break };
            let datagram = Datagram { transport: Transport::Udp, source, destination: self.local, contents };
            self.peer.handle_datagram(clock::now(), &datagram);
        }
    }

    fn command(&mut self, command: Command) {
        let now = clock::now();
        match command {
            Command::Offer(changes, reply) => drop(reply.send(self.peer.reoffer(&changes))),
            Command::IceRestart(reply) => drop(reply.send(self.peer.ice_restart())),
            Command::Answer(sdp, reply) => drop(reply.send(self.peer.accept_answer(now, &sdp))),
            Command::Fragment(text, reply) => drop(reply.send(self.peer.accept_fragment(now, &text))),
            Command::Message(text) => {
                if let Err(error) = self.peer.send_message(now, &text) {
                    tracing::debug!(%error, "a message was not sent");
                }
            }
            Command::Play => self.script.play(now, &mut self.peer),
            Command::Stats(reply) => drop(reply.send(self.peer.stats())),
            Command::Close => self.peer.close(now),
        }
    }

    /// Sends and hands out everything; when to come back.
    fn flush(&mut self) -> Instant {
        let mut sent = false;
        loop {
            match self.peer.poll_output() {
                Output::Timeout(at) => {
                    if sent {
                        self.script.flushed(clock::now());
                    }
                    return at;
                }
                Output::Transmit(transmit) => {
                    sent = true;
                    // A full or refused socket loses the datagram as a network would.
                    let _ = self.socket.try_send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(event) => {
                    if matches!(event, Event::Connected) {
                        self.connected.take().map(|connected| connected.send(()));
                    }
                    self.script.event(clock::now(), event, &mut self.peer);
                }
            }
        }
    }
}
