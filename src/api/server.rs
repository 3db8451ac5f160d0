//! The listener: connections in, requests to the router, within limits.
//!
//! HTTP/1.1 alone. A client gets `http.header_timeout_ms` for its headers; connections are capped, all together
//! and per address. Out of file descriptors, accepting pauses and goes on.

use super::extract::ClientAddress;
use crate::config;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// How long accepting rests when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(100);
const FULL: &str = r#"{"type":"/problems/busy","title":"No capacity now","status":503,"detail":"too many connections"}"#;

/// Serves until `stop`; then finishes what has begun, within `grace`.
pub async fn serve(listener: TcpListener, router: Router, limits: &config::Http, stop: CancellationToken, grace: Duration) {
    let connections = Arc::new(Connections::new(limits));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => match Connections::open(&connections, address.ip()) {
                Some(open) => drop(tasks.spawn(connection(stream, open, router.clone(), limits.header_timeout(), stop.clone()))),
                None => refuse(&stream),
            },
            Err(error) => {
                metrics::counter!("mixdown_http_accept_errors_total").increment(1);
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections were still open at the end");
    }
}

async fn connection(stream: TcpStream, open: Open, router: Router, header_timeout: Duration, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let client = ClientAddress(open.client);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(client);
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if ended.is_err() {
        metrics::counter!("mixdown_http_connection_errors_total").increment(1);
    }
}

/// Best effort: the client may not even be listening.
fn refuse(stream: &TcpStream) {
    metrics::counter!("mixdown_drops_total", "reason" => "http_connections").increment(1);
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\nConnection: close";
    let _ = stream.try_write(format!("{head}\r\nContent-Length: {}\r\n\r\n{FULL}", FULL.len()).as_bytes());
}

/// How many connections are open.
struct Connections {
    most: usize,
    most_per_ip: usize,
    open: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// One open connection: counted until it is dropped.
struct Open {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Connections {
    fn new(limits: &config::Http) -> Self {
        let most_per_ip = if limits.max_connections_per_ip == 0 { usize::MAX } else { limits.max_connections_per_ip };
        Self { most: limits.max_connections, most_per_ip, open: Mutex::default() }
    }

    fn open(connections: &Arc<Self>, client: IpAddr) -> Option<Open> {
        let client = client.to_canonical();
        let mut open = connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_ip) = &mut *open;
        let of_client = by_ip.get(&client).copied().unwrap_or(0);
        if *all >= connections.most || of_client >= connections.most_per_ip {
            return None;
        }
        *all += 1;
        by_ip.insert(client, of_client + 1);
        metrics::gauge!("mixdown_http_connections").set(*all as f64);
        Some(Open { connections: Arc::clone(connections), client })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_ip) = &mut *open;
        *all -= 1;
        if let Some(of_client) = by_ip.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                by_ip.remove(&self.client);
            }
        }
        metrics::gauge!("mixdown_http_connections").set(*all as f64);
    }
}
