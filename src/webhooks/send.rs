//! One signed POST. Names are resolved here, filtered, and that very result is connected to.
//!
//! No redirects, no proxies, no cookies; certificates are always verified; 4 KiB of an answer are read and thrown away.

use super::journal::Message;
use super::outbox::Outcome;
use super::{Endpoint, sign};
use crate::address::{check, reach, resolve};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most that is read of an answer.
const MAX_ANSWER: usize = 4096;

/// Sends to one endpoint.
pub struct Sender {
    client: Client,
    endpoint: Endpoint,
}

impl Sender {
    pub fn new(endpoint: Endpoint) -> reqwest::Result<Self> {
        Self::with(endpoint, Arc::new(System))
    }

    /// With a look-up of names of one's own.
    pub fn with(endpoint: Endpoint, lookup: Arc<dyn Lookup>) -> reqwest::Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("Mixdown/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Guarded { private: endpoint.allow_private_networks, lookup }))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(endpoint.timeout)
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { client, endpoint })
    }

    /// Posts `message`, signed at `now`.
    pub async fn send(&self, message: &Message, now: SystemTime) -> Outcome {
        // An address in the URL itself is never looked up: it is checked here, whatever the configuration's check said.
        let Ok(url) = check(&self.endpoint.url, self.endpoint.allow_private_networks) else { return Outcome::Failed("address") };
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", sign::header(&self.endpoint.secrets, &message.id, timestamp, &message.body))
            .body(message.body.clone());
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => Outcome::Failed(why(&error)),
        }
    }
}

async fn answer(mut response: Response) -> Outcome {
    let status = response.status();
    let after = retry_after(response.headers());
    let mut read = 0;
    // Read to the end so that the connection can be used again; what is longer is cut off with it.
    while read < MAX_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        read += chunk.len();
    }
    if status.is_success() { Outcome::Taken(status.as_u16()) } else { Outcome::Refused { status: status.as_u16(), after } }
}

/// In seconds; the form with a date is not heeded.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn why(error: &reqwest::Error) -> &'static str {
    match error {
        error if is_refused(error) => "address",
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect",
        _ => "exchange",
    }
}

/// A name led to no address that may be asked.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that may be asked")]
struct Refused;

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;
}

/// A look-up of names for other requests: what it finds is filtered, and that very result is connected to.
pub fn guard(private: bool) -> Arc<dyn Resolve> {
    Arc::new(Guarded { private, lookup: Arc::new(System) })
}

/// Whether a request failed because it was to go where none may.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Refused>())
}

struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>> {
        Box::pin(async move { resolve(&name, 0, |_| true).await.map_err(std::io::Error::other) })
    }
}

struct Guarded {
    private: bool,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (private, found) = (self.private, self.lookup.lookup(name.as_str().to_owned()));
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found.await?.into_iter().filter(|at| reach(at.ip()).is_allowed(private)).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
