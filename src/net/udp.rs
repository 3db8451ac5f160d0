//! UDP sockets, one per address, all on the same port. A system call costs more than the encryption of a packet: datagrams that
//! belong together leave and arrive together where the kernel can do that (UDP_SEGMENT, UDP_GRO, recvmmsg).

use super::addresses::Listen;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::array::from_fn;
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::task::Poll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes that the kernel may hold for us in each direction.
const KERNEL_BUFFER: usize = 4 * 1024 * 1024;
/// Messages that are read by one system call; each holds datagrams of one source.
const MESSAGES: usize = 8;
/// Longest message, in bytes.
const MESSAGE: usize = 65_536;
/// System calls for one socket before others get their turn.
const ROUNDS: usize = 8;
/// Longest batch, in bytes: below what a UDP length can say.
const LONGEST_BATCH: usize = 60_000;

pub struct Socket {
    /// Whether it may be written to is asked of nobody: whoever waits for that is woken by each datagram that has left.
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    /// Where it is bound.
    pub local: SocketAddr,
    /// How clients know it; datagrams are noted as having arrived at the first.
    pub advertised: Vec<SocketAddr>,
}

pub struct Sockets(Vec<Socket>);

impl Sockets {
    /// Binds all of `listen` on `port`; 0: on one that is free.
    pub fn bind(listen: &[Listen], mut port: u16) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(listen.len());
        for entry in listen {
            let io = bind(SocketAddr::new(entry.bind, port))?;
            let local = io.get_ref().local_addr()?;
            port = local.port();
            let advertised = entry.advertised.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
            let state = UdpSocketState::new(io.get_ref().into())?;
            sockets.push(Socket { io, state, local, advertised });
        }
        Ok(Self(sockets))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.0.iter()
    }

    /// Waits until a socket may have something to receive.
    pub async fn readable(&self) {
        poll_fn(|context| {
            let ready = self.0.iter().filter(|socket| socket.io.poll_read_ready(context).is_ready()).count();
            if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes what is there, up to a share of each socket: `take(source, destination, contents)`.
    pub fn receive(&self, inbox: &mut Inbox, mut take: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        for socket in &self.0 {
            let Some(destination) = socket.advertised.first().copied() else { continue };
            for _ in 0..ROUNDS {
                match inbox.read(socket) {
                    Ok(count) => {
                        inbox.datagrams(count, |source, contents| take(source, destination, contents));
                        if inbox.is_last(count) {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An ICMP answer to something we sent earlier; it says nothing about the next datagram.
                    Err(_) => metrics::counter!("mixdown_socket_errors_total", "direction" => "in").increment(1),
                }
            }
        }
    }

    /// Sends from the socket that clients know as `source`. What the kernel has no room for is dropped and counted.
    fn send(&self, batch: &Batch) {
        let Some((source, destination)) = batch.way else { return };
        let Some(socket) = self.0.iter().find(|socket| socket.advertised.contains(&source)) else {
            return drop_datagrams("no_socket", batch.count);
        };
        match socket.send(destination, &batch.bytes, (batch.count > 1).then_some(batch.segment)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop_datagrams("send_full", batch.count),
            // Not every network card takes batches; the state remembers that.
            Err(_) if batch.count > 1 => batch.bytes.chunks(batch.segment).for_each(|datagram| {
                if socket.send(destination, datagram, None).is_err() {
                    metrics::counter!("mixdown_socket_errors_total", "direction" => "out").increment(1);
                }
            }),
            Err(_) => metrics::counter!("mixdown_socket_errors_total", "direction" => "out").increment(1),
        }
    }

    /// Datagrams that may leave together.
    fn longest(&self) -> usize {
        self.0.iter().map(|socket| socket.state.max_gso_segments()).min().unwrap_or(1)
    }
}

impl Socket {
    fn send(&self, destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        self.state.try_send(self.io.get_ref().into(), &transmit)
    }
}

/// Where datagrams are read to.
pub struct Inbox {
    bytes: Box<[u8]>,
    meta: [RecvMeta; MESSAGES],
    /// The kernel has been seen to give several messages at once.
    several: bool,
}

impl Inbox {
    pub fn new() -> Self {
        Self { bytes: vec![0; MESSAGES * MESSAGE].into(), meta: [RecvMeta::default(); MESSAGES], several: false }
    }

    /// Returns how many messages were read. After the last ones the socket counts as empty: what comes next is news to whoever waits for it.
    fn read(&mut self, socket: &Socket) -> io::Result<usize> {
        let mut parts = self.bytes.chunks_exact_mut(MESSAGE);
        let mut slices: [_; MESSAGES] = from_fn(|_| IoSliceMut::new(parts.next().unwrap_or_default()));
        let mut count = 0;
        let result = socket.io.try_io(Interest::READABLE, |io| {
            count = socket.state.recv(io.into(), &mut slices, &mut self.meta)?;
            self.several |= count > 1;
            // To hear it from the kernel would be another system call.
            if self.several && count < MESSAGES { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if count > 0 { Ok(count) } else { result.map(|()| 0) }
    }

    /// Whether nothing is left after so many messages.
    fn is_last(&self, count: usize) -> bool {
        self.several && count < MESSAGES
    }

    fn datagrams(&self, count: usize, mut take: impl FnMut(SocketAddr, &[u8])) {
        for (meta, message) in self.meta.iter().zip(self.bytes.chunks_exact(MESSAGE)).take(count) {
            let contents = message.get(..meta.len).unwrap_or_default();
            contents.chunks(meta.stride.max(1)).for_each(|datagram| take(meta.addr, datagram));
        }
    }
}

/// What is about to be sent: datagrams to one destination are collected for as long as they can leave together.
#[derive(Default)]
pub struct Outbox(Batch);

impl Outbox {
    pub fn send(&mut self, sockets: &Sockets, source: SocketAddr, destination: SocketAddr, contents: &[u8]) {
        if !self.0.add((source, destination), contents, sockets.longest()) {
            self.flush(sockets);
            self.0.add((source, destination), contents, 1);
        }
    }

    /// Nothing waits here longer than until everything that was to be sent at this moment has been handed over.
    pub fn flush(&mut self, sockets: &Sockets) {
        sockets.send(&self.0);
        self.0.clear();
    }
}

/// Datagrams on one way, equally long but for the last, which may be shorter.
#[derive(Default)]
struct Batch {
    /// From, to.
    way: Option<(SocketAddr, SocketAddr)>,
    /// Bytes of each but the last.
    segment: usize,
    count: usize,
    bytes: Vec<u8>,
}

impl Batch {
    /// False: this one does not go with those that are there.
    fn add(&mut self, way: (SocketAddr, SocketAddr), contents: &[u8], longest: usize) -> bool {
        if self.count > 0 {
            let whole = self.bytes.len() == self.segment * self.count;
            let fits = self.count < longest && contents.len() <= self.segment && self.bytes.len() + contents.len() <= LONGEST_BATCH;
            if self.way != Some(way) || contents.is_empty() || !whole || !fits {
                return false;
            }
        } else {
            self.way = Some(way);
            self.segment = contents.len();
        }
        self.bytes.extend_from_slice(contents);
        self.count += 1;
        true
    }

    fn clear(&mut self) {
        self.way = None;
        self.count = 0;
        self.bytes.clear();
    }
}

#[expect(deprecated, reason = "what is wrong with it are types that do not keep their descriptor; the standard library's socket does")]
fn bind(address: SocketAddr) -> io::Result<AsyncFd<UdpSocket>> {
    let socket = RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel grants what its limits allow.
    let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
    let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
    socket.bind(&address.into())?;
    AsyncFd::with_interest(socket.into(), Interest::READABLE)
}

fn drop_datagrams(reason: &'static str, count: usize) {
    metrics::counter!("mixdown_drops_total", "reason" => reason).increment(count as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn way(port: u16) -> (SocketAddr, SocketAddr) {
        (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn datagrams_leave_together_while_they_go_one_way_and_are_equally_long_but_for_the_last() {
        let mut batch = Batch::default();
        assert!(batch.add(way(5), &[1; 1_200], 64) && batch.add(way(5), &[2; 1_200], 64));
        assert!(!batch.add(way(6), &[3; 1_200], 64), "another way");
        assert!(!batch.add(way(5), &[3; 1_201], 64), "longer");
        assert!(batch.add(way(5), &[3; 700], 64), "the last may be shorter");
        assert!(!batch.add(way(5), &[4; 700], 64), "after the last");
        let parts: Vec<_> = batch.bytes.chunks(batch.segment).map(|part| (part[0], part.len())).collect();
        assert_eq!((batch.count, parts), (3, vec![(1, 1_200), (2, 1_200), (3, 700)]));
        batch.clear();
        assert!(batch.add(way(6), &[5; 1], 64));
    }

    #[test]
    fn a_batch_ends_where_the_kernel_takes_no_more() {
        let mut batch = Batch::default();
        assert!(batch.add(way(5), &[0; 100], 2) && batch.add(way(5), &[0; 100], 2) && !batch.add(way(5), &[0; 100], 2));
        let mut batch = Batch::default();
        let count = (0..100).take_while(|_| batch.add(way(5), &[0; 1_200], 100)).count();
        assert!(count < 100 && batch.bytes.len() <= LONGEST_BATCH);
        let mut single = Batch::default();
        assert!(single.add(way(5), &[0; 100], 1) && !single.add(way(5), &[0; 100], 1), "a kernel without batches");
    }

    #[tokio::test]
    async fn what_is_sent_as_one_batch_arrives_as_the_datagrams_that_it_was() {
        let listen = [Listen { bind: [127, 0, 0, 1].into(), advertised: vec![[127, 0, 0, 1].into()] }];
        let (from, to) = (Sockets::bind(&listen, 0).unwrap(), Sockets::bind(&listen, 0).unwrap());
        let (source, destination) = (from.0[0].local, to.0[0].local);
        let lengths = [1_200, 1_200, 1_200, 900, 40, 1_200, 1_200, 1];
        let mut outbox = Outbox::default();
        for (n, length) in lengths.iter().enumerate() {
            outbox.send(&from, source, destination, &vec![n as u8; *length]);
        }
        outbox.flush(&from);
        let (mut inbox, mut seen) = (Inbox::new(), Vec::new());
        while seen.len() < lengths.len() {
            to.readable().await;
            to.receive(&mut inbox, |origin, at, contents| {
                assert_eq!((origin, at), (source, destination));
                assert!(contents.iter().all(|byte| usize::from(*byte) == seen.len()));
                seen.push(contents.len());
            });
        }
        assert_eq!(seen, lengths);
    }

    #[tokio::test]
    async fn nothing_stays_behind_in_the_kernel_and_nobody_is_told_of_what_has_left() {
        let listen = [Listen { bind: [127, 0, 0, 1].into(), advertised: vec![[127, 0, 0, 1].into()] }];
        let sockets = Sockets::bind(&listen, 0).unwrap();
        let destination = sockets.0[0].local;
        let others: Vec<_> = (0..3 * MESSAGES).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let mut inbox = Inbox::new();
        let (quiet, long) = (Duration::from_millis(20), Duration::from_secs(5));
        for burst in [1, 2, MESSAGES - 1, MESSAGES, MESSAGES + 1, 1, others.len(), 1] {
            others.iter().take(burst).for_each(|other| assert!(other.send_to(&[1], destination).is_ok()));
            let mut seen = 0;
            while seen < burst {
                timeout(long, sockets.readable()).await.expect("something waits");
                sockets.receive(&mut inbox, |_, _, _| seen += 1);
            }
            assert_eq!(seen, burst);
            let mut outbox = Outbox::default();
            outbox.send(&sockets, destination, others[0].local_addr().unwrap(), &[2]);
            outbox.flush(&sockets);
            let told = timeout(quiet, poll_fn(|context| sockets.0[0].io.poll_write_ready(context).map(drop))).await;
            assert!(told.is_err());
        }
    }
}
