//! The socket driver over real sockets on loopback: seconds of real time, so few and short.

use mixdown::client::{self, Config};
use mixdown::ids::{ParticipantId, RenditionId};
use mixdown::media::{AudioIn, VideoIn, VideoOut};
use mixdown::net::{self, Command, Handle, Observer};
use mixdown::peer::types::{CloseReason, Datagram, Event, Kind, Transport};
use mixdown::peer::{Peer, types};
use mixdown::pipeline::{Inlet, Outlet};
use mixdown::runtime::clock;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Observer for Seen {
    fn event(&self, _: ParticipantId, event: Event) -> bool {
        self.0.lock().unwrap().push(format!("{event:?}"));
        true
    }
}

struct Nothing;

impl Inlet for Nothing {
    fn video(&self, _: VideoIn) {}
    fn audio(&self, _: AudioIn) {}
}

async fn start(hubs: usize) -> (net::Running, types::Config) {
    let config = net::Config { bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], port: 0, hubs, ..net::Config::default() };
    let running = net::start(config).await.unwrap();
    let peer = types::Config { ice_lite: running.ice_lite, candidates: running.candidates.clone(), ..crate::world::config() };
    (running, peer)
}

fn open(handle: &Handle, config: &types::Config, id: u128, client: &mut client::Peer, transport: Transport) -> Arc<Seen> {
    let config = types::Config { candidates: config.candidates.iter().copied().filter(|c| c.0 == transport).collect(), ..config.clone() };
    let now = clock::now();
    let (peer, answer) = Peer::accept(&config, Kind::Viewer, &client.offer().unwrap(), now).unwrap();
    let seen = Arc::new(Seen::default());
    let participant = ParticipantId(id);
    let observer: Arc<dyn Observer> = seen.clone();
    assert!(handle.send(Command::Open { participant, peer: Box::new(peer), inlet: Box::new(Nothing), observer }).is_ok());
    assert!(handle.send(Command::Feed { participant, rendition: Some(RenditionId(1)) }).is_ok());
    client.accept_answer(now, &answer.sdp).unwrap();
    seen
}

/// Plays the client over UDP until it has received `pictures`; the driver sends one every 20 ms.
async fn watch(socket: &UdpSocket, client: &mut client::Peer, handle: &Handle, pictures: usize) {
    let local = socket.local_addr().unwrap();
    let mut buffer = [0; 2_048];
    let mut received = 0;
    let mut n = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while received < pictures {
        assert!(tokio::time::Instant::now() < end, "{received} pictures within 10 s");
        let timeout = loop {
            match client.poll_output() {
                client::Output::Transmit(transmit) => drop(socket.send_to(&transmit.contents, transmit.destination).await),
                client::Output::Event(client::Event::Video(_)) => received += 1,
                client::Output::Event(_) => {}
                client::Output::Timeout(at) => break at,
            }
        };
        tokio::select! {
            Ok((length, source)) = socket.recv_from(&mut buffer) => {
                client.handle_datagram(clock::now(), &Datagram { transport: Transport::Udp, source, destination: local, contents: &buffer[..length] });
            }
            () = tokio::time::sleep_until(timeout.into()) => client.handle_timeout(clock::now()),
            _ = tick.tick() => {
                handle.video(RenditionId(1), picture(n));
                n += 1;
            }
        }
    }
}

fn picture(n: u64) -> Arc<VideoOut> {
    let data = crate::world::picture(VideoCodec::Vp8, n, true, 640, 360, 3_000);
    Arc::new(VideoOut { codec: VideoCodec::Vp8, data, keyframe: true, layer: 0, rtp_time: n * 1_800, wallclock: clock::now() })
}

fn viewer(address: SocketAddr) -> client::Peer {
    let config =
        Config { candidates: vec![address], video_codecs: vec![VideoCodec::Vp8], audio_codecs: vec![AudioCodec::Opus], ..Config::viewer() };
    client::Peer::new(config, clock::now())
}

async fn viewers_over_udp(hubs: usize) {
    let (running, config) = start(hubs).await;
    assert_eq!(running.handles.len(), hubs);
    for (n, handle) in running.handles.iter().enumerate() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut client = viewer(socket.local_addr().unwrap());
        let seen = open(handle, &config, n as u128 + 1, &mut client, Transport::Udp);
        watch(&socket, &mut client, handle, 10).await;
        assert!(handle.send(Command::Close { participant: ParticipantId(n as u128 + 1), reason: CloseReason::Left }).is_ok());
        tokio::time::timeout(Duration::from_secs(2), async {
            while !seen.0.lock().unwrap().iter().any(|event| event.contains("Closed(Left)")) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn a_viewer_watches_over_udp_with_one_hub() {
    viewers_over_udp(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_three_hubs_watch_over_the_same_port() {
    viewers_over_udp(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_watches_over_tcp_on_the_same_port_number() {
    for hubs in [1, 2] {
        let (running, config) = start(hubs).await;
        let handle = &running.handles[hubs - 1];
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, running.port));
        let mut stream = TcpStream::connect(server).await.unwrap();
        let local = stream.local_addr().unwrap();
        let config = types::Config { ice_lite: true, ..config };
        let mut client = tcp_client(local);
        let seen = open_tcp(handle, &config, &mut client, server);
        let mut buffer = Vec::new();
        let mut chunk = [0; 4_096];
        let end = tokio::time::Instant::now() + Duration::from_secs(10);
        while !seen.0.lock().unwrap().iter().any(|event| event == "Connected") {
            assert!(tokio::time::Instant::now() < end, "not connected within 10 s");
            let mut timeout = clock::now() + Duration::from_millis(20);
            while let Ok(output) = client.poll_output() {
                match output {
                    str0m::Output::Transmit(transmit) => {
                        let length = u16::try_from(transmit.contents.len()).unwrap();
                        stream.write_all(&[&length.to_be_bytes()[..], &transmit.contents].concat()).await.unwrap();
                    }
                    str0m::Output::Event(_) => {}
                    str0m::Output::Timeout(at) => {
                        timeout = timeout.min(at);
                        break;
                    }
                }
            }
            tokio::select! {
                length = stream.read(&mut chunk) => buffer.extend_from_slice(&chunk[..length.unwrap()]),
                () = tokio::time::sleep_until(timeout.into()) => {}
            }
            let now = clock::now();
            while buffer.len() > 2 && buffer.len() >= 2 + usize::from(u16::from_be_bytes([buffer[0], buffer[1]])) {
                let length = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
                let frame: Vec<u8> = buffer.drain(..length + 2).skip(2).collect();
                let receive = str0m::net::Receive::new(str0m::net::Protocol::Tcp, server, local, &frame).unwrap();
                client.handle_input(str0m::Input::Receive(now, receive)).unwrap();
                while !matches!(client.poll_output(), Ok(str0m::Output::Timeout(_))) {}
            }
            client.handle_input(str0m::Input::Timeout(now)).unwrap();
        }
        running.stop().await;
    }
}

/// The project's client speaks UDP alone: the bare stack plays this one.
fn tcp_client(local: SocketAddr) -> str0m::Rtc {
    let mut client = str0m::RtcConfig::new().build(clock::now());
    let candidate = str0m::Candidate::builder().tcp().host(local).tcptype(str0m::net::TcpType::Active).build().unwrap();
    client.add_local_candidate(candidate);
    client
}

fn open_tcp(handle: &Handle, config: &types::Config, client: &mut str0m::Rtc, server: SocketAddr) -> Arc<Seen> {
    let mut api = client.sdp_api();
    api.add_media(str0m::media::MediaKind::Video, str0m::media::Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    let config =
        types::Config { candidates: config.candidates.iter().copied().filter(|c| c.0 == Transport::Tcp).collect(), ..config.clone() };
    let (peer, answer) = Peer::accept(&config, Kind::Viewer, &offer.to_sdp_string(), clock::now()).unwrap();
    assert!(answer.sdp.contains(" tcp ") && answer.sdp.contains("tcptype passive"), "{}", answer.sdp);
    assert!(answer.sdp.contains(&server.port().to_string()));
    client.sdp_api().accept_answer(pending, str0m::change::SdpAnswer::from_sdp_string(&answer.sdp).unwrap()).unwrap();
    let seen = Arc::new(Seen::default());
    let observer: Arc<dyn Observer> = seen.clone();
    assert!(handle.send(Command::Open { participant: ParticipantId(9), peer: Box::new(peer), inlet: Box::new(Nothing), observer }).is_ok());
    seen
}

#[tokio::test]
async fn a_tcp_connection_that_does_not_begin_with_a_check_is_closed() {
    let (running, _) = start(1).await;
    let mut stream = TcpStream::connect(("127.0.0.1", running.port)).await.unwrap();
    stream.write_all(b"\x00\x20GET / HTTP/1.1\r\nHost: a\r\n\r\n      ").await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
    running.stop().await;
}

#[tokio::test]
async fn a_port_in_use_gives_way_to_the_next() {
    let (first, _) = start(1).await;
    let config = net::Config { bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], port: first.port, hubs: 1, ..net::Config::default() };
    let second = net::start(config).await.unwrap();
    assert!(second.port > first.port && second.port <= first.port + 32);
}
