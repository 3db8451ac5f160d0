//! The listener, over real sockets: slow clients, many clients, ends.

use crate::world::{Stage, now, wall};
use mixdown::api::{self, App, Clock, Rooms};
use mixdown::config::{Config, Mode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    pub app: App,
}

impl Server {
    pub async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.http.header_timeout_ms = 2000;
        config.http.body_timeout_ms = 2000;
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let (address, stop, http) = (listener.local_addr().expect("address"), CancellationToken::new(), config.http.clone());
        let rooms: Arc<dyn Rooms> = Arc::new(Stage::default());
        let app =
            App::new(config, Mode::Dev, rooms, Clock { now, wall, cpu: || Duration::ZERO }, Box::new(String::new), Default::default());
        let (router, stopped) = (api::router(app.clone()), stop.clone());
        let task = tokio::spawn(async move { api::server::serve(listener, router, &http, stopped, Duration::from_secs(5)).await });
        Self { address, stop, task, app }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// Sends `bytes` and reads until the server closes.
    pub async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read all.
        let _ = stream.write_all(bytes).await;
        read_all(&mut stream).await
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server did not close; it said {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn status_of(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[tokio::test]
async fn slow_headers_are_cut_off_and_a_slow_body_is_408() {
    let server = Server::start(|config| {
        config.http.header_timeout_ms = 300;
        config.http.body_timeout_ms = 300;
    })
    .await;
    let mut headers = server.connect().await;
    headers.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.expect("sent");
    let mut body = server.connect().await;
    body.write_all(b"POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        .await
        .expect("sent");
    let (headers, body) = (read_all(&mut headers).await, read_all(&mut body).await);
    assert!(matches!(status_of(&headers), None | Some(408)), "{headers}");
    assert_eq!(status_of(&body), Some(408), "{body}");
    assert!(body.contains("/problems/request-timeout"), "{body}");
}

#[tokio::test]
async fn a_connection_that_only_idles_is_closed() {
    let server = Server::start(|config| config.http.header_timeout_ms = 300).await;
    let mut silent = server.connect().await;
    assert_eq!(read_all(&mut silent).await, "");
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let answer = read_all(&mut idle).await;
    assert_eq!(status_of(&answer), Some(200), "answered, kept for a while, then closed");
}

#[tokio::test]
async fn one_address_cannot_take_all_connections_and_they_come_back() {
    let server = Server::start(|config| config.http.max_connections_per_ip = 8).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("sent");
        held.push(stream);
    }
    // The eighth is accepted once the ninth is refused.
    let mut refused = server.connect().await;
    let answer = read_all(&mut refused).await;
    assert_eq!(status_of(&answer), Some(503), "{answer}");
    assert!(answer.contains("Retry-After") && answer.contains("/problems/busy"));
    drop(held);
    let mut status = None;
    for _ in 0..200 {
        status = status_of(&server.exchange(HEALTH).await);
        if status == Some(200) {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(status, Some(200));
}

#[tokio::test]
async fn others_are_served_promptly_while_slow_clients_hang_on() {
    let server = Server::start(|config| config.http.max_connections_per_ip = 300).await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect().await;
        stream.write_all(b"POST /v1/rooms HTTP/1.1\r\nContent-Length: 10\r\nX: ").await.expect("sent");
        held.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(status_of(&server.exchange(HEALTH).await), Some(200));
    }
}

#[tokio::test]
async fn the_end_lets_requests_finish_and_closes_idle_connections_and_streams() {
    let server = Server::start(|_| {}).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("headers");
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut half = server.connect().await;
    half.write_all(
        b"PUT /v1/rooms/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    )
    .await
    .expect("sent");
    let mut go_on = [0; 25];
    half.read_exact(&mut go_on).await.expect("100 Continue");
    idle.read_exact(&mut first).await.expect("answered");
    server.app.events.close();
    server.stop.cancel();
    half.write_all(b"{}").await.expect("sent");
    assert_eq!(status_of(&read_all(&mut half).await), Some(201), "what has begun is finished");
    read_all(&mut idle).await;
    read_all(&mut stream).await;
    tokio::time::timeout(PATIENCE, server.task).await.expect("ended").expect("no panic");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_join_storm_from_one_address_is_429_after_the_burst() {
    use crate::world::{OFFER, World, call};
    let mut config = Config::default();
    config.limits.joins_per_second_per_ip = 1;
    let world = World::new(config, Mode::Dev, Stage::default());
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let mut request = call(axum::http::Method::POST, "/whip/standup").sdp(OFFER);
        request.extensions_mut().insert(mixdown::api::ClientAddress("192.0.2.1".parse().expect("address")));
        let reply = world.send(request).await;
        if reply.status == 429 {
            assert_eq!((reply.problem().as_str(), reply.header("retry-after")), ("rate-limited", "1"));
            let told = ["limit", "remaining", "reset"].map(|name| reply.header(&format!("ratelimit-{name}")).to_owned());
            assert_eq!(told, ["10", "0", "1"]);
        }
        statuses.push(reply.status.as_u16());
    }
    assert_eq!((statuses.iter().filter(|status| **status == 201).count(), statuses.last()), (10, Some(&429)));
}
