//! The whole way, to a receiver on loopback.

use super::outbox::{Limits, Outcome, State as Settled};
use super::send::{Lookup, Sender};
use super::*;
use crate::runtime::clock;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use jsonwebtoken::{Algorithm, DecodingKey};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Takes what is posted, and answers with `status`.
#[derive(Clone)]
struct Receiver {
    at: SocketAddr,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    news: Arc<tokio::sync::Notify>,
}

impl Receiver {
    async fn new(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("bound");
        let receiver = Self { at, status: Arc::new(AtomicU16::new(status)), taken: Arc::default(), news: Arc::default() };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/hook?key=abc", self.at)
    }

    /// The first `count` requests, once they have come.
    async fn requests(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        let wait = async {
            while self.taken.lock().expect("lock").len() < count {
                self.news.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("requests");
        self.taken.lock().expect("lock")[..count].to_vec()
    }

    async fn texts(&self, count: usize) -> Vec<String> {
        let body = |(_, body): &(HeaderMap, Bytes)| serde_json::from_slice::<serde_json::Value>(body).expect("JSON");
        let text = |body: serde_json::Value| body["data"]["text"].as_str().unwrap_or_default().to_owned();
        self.requests(count).await.iter().map(body).map(text).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> (StatusCode, [(header::HeaderName, String); 1]) {
    receiver.taken.lock().expect("lock").push((headers, body));
    receiver.news.notify_one();
    let status = StatusCode::from_u16(receiver.status.load(Ordering::Relaxed)).expect("a status");
    (status, [(header::LOCATION, receiver.url())])
}

fn endpoint(url: String) -> Endpoint {
    Endpoint {
        id: "crm".into(),
        url,
        secrets: vec![sign::Secret::parse(&format!("whsec_{SECRET}")).expect("a secret")],
        events: Filter::default(),
        allow_private_networks: true,
        timeout: Duration::from_secs(20),
    }
}

fn settings(name: &str, endpoints: Vec<Endpoint>) -> Settings {
    let folder = std::env::temp_dir().join(format!("mixdown-webhooks-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    Settings { folder, limits: Limits { max_bytes: 1 << 20, max_age: Duration::from_secs(86_400), history: 8 }, endpoints }
}

fn room() -> RoomId {
    "standup".parse().expect("an id")
}

fn say(handle: &Handle, text: &str) {
    handle.offer(&room(), "chat.message", clock::wall(), &serde_json::json!({"text": text}));
}

/// Asks until `wanted` waits and nothing is under way.
async fn settled(handle: &Handle, wanted: usize) -> Summary {
    for _ in 0..2000 {
        let summary = handle.list().await.expect("a list").remove(0);
        if summary.figures.pending == wanted && (wanted == 0 || summary.next.is_some()) {
            return summary;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", handle.list().await);
}

#[tokio::test]
async fn an_event_arrives_signed_and_others_do_not() {
    let receiver = Receiver::new(204).await;
    let settings = settings("signed", vec![endpoint(receiver.url())]);
    let (handle, running) = start(settings.clone()).expect("started");
    handle.offer(&room(), "speaker.changed", clock::wall(), &serde_json::json!({}));
    handle.offer(&room(), "chat.message", std::time::UNIX_EPOCH, &serde_json::json!({"text": "grüß <Gott>"}));
    let (headers, body) = receiver.requests(1).await.remove(0);
    let text = |name: &str| headers[name].to_str().expect("text").to_owned();
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let signed = format!("{}.{}.{body}", text("webhook-id"), text("webhook-timestamp"));
    let signature =
        text("webhook-signature").strip_prefix("v1,").expect("a version").trim_end_matches('=').replace('+', "-").replace('/', "_");
    let key = DecodingKey::from_base64_secret(SECRET).expect("a key");
    assert!(jsonwebtoken::crypto::verify(&signature, signed.as_bytes(), &key, Algorithm::HS256).expect("checked"));
    assert!(text("webhook-id").starts_with("msg_") && text("content-type") == "application/json");
    let seconds = clock::wall().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(seconds - text("webhook-timestamp").parse::<u64>().expect("a number") < 300);
    let expected = serde_json::json!({"type": "chat.message", "timestamp": "1970-01-01T00:00:00Z", "room": "standup", "data": {"text": "grüß <Gott>"}});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).expect("JSON"), expected);
    let summary = settled(&handle, 0).await;
    assert_eq!((summary.figures.delivered, summary.url), (1, receiver.url().replace("?key=abc", "")));
    running.end().await;
    assert_eq!(receiver.taken.lock().expect("lock").len(), 1, "the active speaker is nobody's business unless asked for");
    std::fs::remove_dir_all(settings.folder).expect("removed");
}

#[tokio::test]
async fn a_failing_endpoint_gets_everything_later_in_order_under_the_same_ids() {
    let receiver = Receiver::new(500).await;
    let settings = settings("retry", vec![endpoint(receiver.url())]);
    let (handle, running) = start(settings.clone()).expect("started");
    ["one", "two", "three"].iter().for_each(|text| say(&handle, text));
    let summary = settled(&handle, 3).await;
    assert_eq!((summary.figures.failures, receiver.texts(1).await), (1, vec!["one".to_owned()]));
    let waiting = handle.deliveries("crm").await.expect("known");
    let first = waiting.last().expect("the oldest");
    assert_eq!((first.attempts, first.last.and_then(|(_, outcome)| outcome.status())), (1, Some(500)));
    receiver.status.store(200, Ordering::Relaxed);
    handle.retry("crm", &first.message.id).await.expect("known");
    assert_eq!(receiver.texts(4).await, ["one", "one", "two", "three"]);
    let requests = receiver.requests(4).await;
    assert_eq!(requests[0].0["webhook-id"], requests[1].0["webhook-id"]);
    let summary = settled(&handle, 0).await;
    assert_eq!((summary.figures.delivered, summary.figures.failures), (3, 0));
    assert!(handle.deliveries("crm").await.expect("known").iter().all(|delivery| delivery.state == Settled::Delivered));
    assert_eq!(handle.deliveries("other").await.expect_err("unknown"), Fault::Unknown("webhook"));
    running.end().await;
    std::fs::remove_dir_all(settings.folder).expect("removed");
}

#[tokio::test]
async fn what_waits_survives_a_restart_even_with_a_half_written_journal() {
    let receiver = Receiver::new(503).await;
    let settings = settings("restart", vec![endpoint(receiver.url())]);
    let (handle, running) = start(settings.clone()).expect("started");
    ["one", "two"].iter().for_each(|text| say(&handle, text));
    settled(&handle, 2).await;
    let ids: Vec<String> = handle.deliveries("crm").await.expect("known").iter().map(|waiting| waiting.message.id.clone()).collect();
    running.end().await;
    let journal = settings.folder.join("journal");
    let text = std::fs::read(&journal).expect("read");
    assert!(String::from_utf8_lossy(&text).contains(&ids[0]), "written before it is sent");
    std::fs::write(&journal, [&text[..], b"{\"queued\":{\"message\":{\"id\":\"msg_half"].concat()).expect("written");
    receiver.status.store(200, Ordering::Relaxed);
    let (handle, running) = start(settings.clone()).expect("started again");
    say(&handle, "three");
    assert_eq!(receiver.texts(4).await[1..], ["one", "two", "three"]);
    let again: Vec<_> = receiver.requests(4).await[1..3].iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    assert_eq!(again, [&ids[1], &ids[0]]);
    settled(&handle, 0).await;
    running.end().await;
    let (handle, running) = start(settings.clone()).expect("started a third time");
    assert_eq!(settled(&handle, 0).await.figures.pending, 0, "what was taken is not sent again");
    running.end().await;
    assert_eq!(receiver.taken.lock().expect("lock").len(), 4);
    std::fs::remove_dir_all(settings.folder).expect("removed");
}

#[tokio::test]
async fn a_test_goes_past_what_waits_and_hurries_it_when_it_is_taken() {
    let receiver = Receiver::new(500).await;
    let settings = settings("test", vec![endpoint(receiver.url())]);
    let (handle, running) = start(settings.clone()).expect("started");
    say(&handle, "one");
    settled(&handle, 1).await;
    assert_eq!(handle.test("crm").await.expect("tested").outcome, Outcome::Refused { status: 500, after: None });
    receiver.status.store(204, Ordering::Relaxed);
    assert_eq!(handle.test("crm").await.expect("tested").outcome, Outcome::Taken(204));
    assert_eq!(receiver.texts(4).await, ["one", "", "", "one"]);
    assert_eq!(handle.test("other").await.expect_err("unknown"), Fault::Unknown("webhook"));
    running.end().await;
    std::fs::remove_dir_all(settings.folder).expect("removed");
}

#[tokio::test]
async fn nobody_waits_for_a_full_queue() {
    let receiver = Receiver::new(500).await;
    let settings = settings("full", vec![endpoint(receiver.url())]);
    let (handle, running) = start(settings.clone()).expect("started");
    // The task does not run in between: this thread never waits.
    (0..10_000).for_each(|n| say(&handle, &n.to_string()));
    let summary = settled(&handle, 4096).await;
    assert_eq!(summary.figures.dropped, 0, "what did not fit never came in");
    running.end().await;
    std::fs::remove_dir_all(settings.folder).expect("removed");
}

/// Leads every name to the same addresses, and counts how often it is asked.
struct Leads(Vec<SocketAddr>, AtomicUsize);

impl Lookup for Leads {
    fn lookup(&self, _: String) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

async fn send(endpoint: Endpoint, lookup: Arc<Leads>) -> Outcome {
    let message = journal::Message::new([1; 16], "webhook.test", "", clock::wall(), "now", &serde_json::json!({}));
    Sender::with(endpoint, lookup).expect("a client").send(&message, clock::wall()).await
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to_and_one_that_may_is_looked_up_once() {
    let receiver = Receiver::new(204).await;
    let port = receiver.at.port();
    for inside in ["127.0.0.1:0", "10.0.0.1:0", "169.254.169.254:0", "[::1]:0", "[::ffff:127.0.0.1]:0", "0.0.0.0:0"] {
        let leads = Arc::new(Leads(vec![inside.parse().expect("an address")], AtomicUsize::new(0)));
        let public = Endpoint { allow_private_networks: false, ..endpoint("https://example.org:8443/hook".into()) };
        assert_eq!(send(public, leads).await, Outcome::Failed("address"), "{inside}");
    }
    // The operator's own network may be allowed; its metadata service never is, though it comes first.
    let leads = vec!["169.254.169.254:0".parse().expect("an address"), SocketAddr::from(([127, 0, 0, 1], 0))];
    let leads = Arc::new(Leads(leads, AtomicUsize::new(0)));
    let own = endpoint(format!("http://crm.internal:{port}/hook"));
    assert_eq!(send(own, Arc::clone(&leads)).await, Outcome::Taken(204));
    assert_eq!(leads.1.load(Ordering::Relaxed), 1, "what was checked is what is connected to");
    for url in
        [format!("https://127.0.0.1:{port}/hook"), format!("http://127.0.0.1:{port}/hook"), format!("https://[::ffff:7f00:1]:{port}/hook")]
    {
        let literal = Endpoint { allow_private_networks: false, ..endpoint(url) };
        assert_eq!(send(literal, Arc::clone(&leads)).await, Outcome::Failed("address"));
    }
    assert_eq!(receiver.taken.lock().expect("lock").len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Receiver::new(302).await;
    let leads = Arc::new(Leads(Vec::new(), AtomicUsize::new(0)));
    assert_eq!(send(endpoint(inside.url()), leads).await, Outcome::Refused { status: 302, after: None });
    assert_eq!(inside.taken.lock().expect("lock").len(), 1);
}

/// A server that speaks `head` and then `more` for ever, or nothing at all.
async fn stubborn(head: &'static str, more: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(head.as_bytes()).await;
        while !more.is_empty() && stream.write_all(more).await.is_ok() {}
        std::future::pending::<()>().await;
    });
    at
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_one_that_does_not_come_is_not_waited_for() {
    let leads = || Arc::new(Leads(Vec::new(), AtomicUsize::new(0)));
    let endless = stubborn("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n").await;
    let before = clock::now();
    let outcome = send(endpoint(format!("http://{endless}/")), leads()).await;
    assert!(matches!(outcome, Outcome::Taken(200)), "{outcome:?}");
    assert!(clock::now() - before < Duration::from_secs(20));
    let long = stubborn("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", &[b'x'; 4096]).await;
    assert_eq!(send(endpoint(format!("http://{long}/")), leads()).await, Outcome::Taken(200));
    let silent = stubborn("", b"").await;
    let hasty = Endpoint { timeout: Duration::from_millis(50), ..endpoint(format!("http://{silent}/")) };
    assert_eq!(send(hasty, leads()).await, Outcome::Failed("timeout"));
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    assert_eq!(send(endpoint(format!("http://{nobody}/")), leads()).await, Outcome::Failed("connect"));
}
