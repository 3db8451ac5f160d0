//! ICE-TCP, passive side (RFC 6544) with RFC 4571 framing: for clients whose network lets no UDP through.
//!
//! A connection must begin with an ICE check within [`FIRST`]; connections are capped in all and per address,
//! and end when idle.

use super::hub::MAX_DATAGRAM;
use super::udp::Sockets;
use crate::peer::stun;
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const FIRST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(35);
const WRITE: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 1_024;
const MAX_PER_ADDRESS: usize = 32;
/// Frames that wait for a slow reader; beyond, they are dropped.
const QUEUE: usize = 512;

/// The way back into a connection.
pub type Writer = mpsc::Sender<Vec<u8>>;

/// One frame that has arrived.
pub struct Frame {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Bytes,
    pub writer: Writer,
}

/// Connections per address. Locked when one begins or ends.
#[derive(Default)]
struct Census(Mutex<(usize, HashMap<IpAddr, usize>)>);

/// Binds a listener beside every UDP socket.
pub async fn bind(sockets: &Sockets) -> io::Result<Vec<(TcpListener, SocketAddr)>> {
    let mut listeners = Vec::new();
    for socket in sockets.iter() {
        if let Some(advertised) = socket.advertised.first() {
            listeners.push((TcpListener::bind(socket.local).await?, *advertised));
        }
    }
    Ok(listeners)
}

/// Accepts connections for ever, and hands their frames to `frames`.
pub async fn accept(listeners: Vec<(TcpListener, SocketAddr)>, frames: mpsc::Sender<Frame>) {
    let census = Arc::new(Census::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (listener, destination) in listeners {
        tasks.spawn(listen(listener, destination, frames.clone(), Arc::clone(&census)));
    }
    while tasks.join_next().await.is_some() {}
}

async fn listen(listener: TcpListener, destination: SocketAddr, frames: mpsc::Sender<Frame>, census: Arc<Census>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, source)) => match Place::take(&census, source.ip()) {
                Some(place) => drop(connections.spawn(serve(stream, source, destination, frames.clone(), place))),
                None => count("tcp_cap"),
            },
            Err(_) => {
                // Out of descriptors, most likely: do not spin on it.
                count("tcp_accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A connection's place in the census; given back when it is dropped.
struct Place {
    census: Arc<Census>,
    address: IpAddr,
}

impl Place {
    fn take(census: &Arc<Census>, address: IpAddr) -> Option<Self> {
        let mut guard = census.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, addresses) = &mut *guard;
        let here = addresses.get(&address).copied().unwrap_or(0);
        if *total >= MAX_CONNECTIONS || here >= MAX_PER_ADDRESS {
            return None;
        }
        *total += 1;
        addresses.insert(address, here + 1);
        Some(Self { census: Arc::clone(census), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guard = self.census.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, addresses) = &mut *guard;
        *total = total.saturating_sub(1);
        match addresses.get_mut(&self.address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(addresses.remove(&self.address)),
        }
    }
}

async fn serve(stream: TcpStream, source: SocketAddr, destination: SocketAddr, frames: mpsc::Sender<Frame>, _place: Place) {
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let (sender, mut queue) = mpsc::channel::<Vec<u8>>(QUEUE);
    let write = async move {
        while let Some(contents) = queue.recv().await {
            let Ok(length) = u16::try_from(contents.len()) else { continue };
            let mut frame = Vec::with_capacity(contents.len() + 2);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&contents);
            if !matches!(timeout(WRITE, writer.write_all(&frame)).await, Ok(Ok(()))) {
                return;
            }
        }
    };
    let read = async move {
        let mut reader = BufReader::new(reader);
        let mut limit = FIRST;
        while let Ok(Ok(contents)) = timeout(limit, frame(&mut reader)).await {
            let first = limit == FIRST;
            if first && stun::parse(&contents).is_none_or(|message| message.class != stun::Class::Request) {
                return count("tcp_first");
            }
            limit = IDLE;
            if frames.send(Frame { source, destination, contents, writer: sender.clone() }).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

async fn frame(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Bytes> {
    let length = usize::from(reader.read_u16().await?);
    if length == 0 || length > MAX_DATAGRAM {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut contents = vec![0; length];
    reader.read_exact(&mut contents).await?;
    Ok(contents.into())
}

fn count(reason: &'static str) {
    metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
}
