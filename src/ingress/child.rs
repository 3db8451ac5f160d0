//! The child of an ingress: where it is sent to, what is read of it, and what is known of it.

use super::matroska::{Element, Reader};
use super::relay::Relay;
use super::source::{Media, Refused};
use crate::process::{Child, Tail};
use std::fs::File;
use std::io::BufReader;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// What the thread has read and the task has not taken.
const READ_AHEAD: usize = 2;

pub struct Running {
    /// Until it is waited for.
    pub child: Option<Child>,
    /// Until it writes no more.
    pub elements: Option<mpsc::Receiver<Element>>,
    /// Its end, once it is waited for.
    pub end: Option<oneshot::Receiver<Option<ExitStatus>>>,
    pub tail: Tail,
    /// Its time 0 in the media, and the latest time that it has come to.
    pub base: Duration,
    pub newest: Duration,
    /// When it last said something, and since when it flows.
    pub heard: Instant,
    pub flows: Option<Instant>,
}

/// What the child is told to ask, and its way there.
pub struct Prepared {
    pub media: Media,
    pub relay: Option<Relay>,
}

/// RTSP gets the address that was checked, HTTP a relay that checks.
pub async fn prepare(media: Media, private: bool, relay: Option<Relay>) -> Result<Prepared, Refused> {
    let Media::Url(target) = &media else { return Ok(Prepared { media, relay: None }) };
    if target.is_rtsp() {
        return Ok(Prepared { media: Media::Url(target.resolved(private).await?), relay: None });
    }
    let relay = match relay {
        Some(relay) => relay,
        None => Relay::start(private).await.map_err(|_| Refused::Unknown)?,
    };
    Ok(Prepared { media, relay: Some(relay) })
}

/// Reads what the child writes, on a thread that it may keep waiting.
pub fn read(out: File) -> std::io::Result<mpsc::Receiver<Element>> {
    let (sender, elements) = mpsc::channel(READ_AHEAD);
    std::thread::Builder::new().name("ingress".into()).spawn(move || {
        let mut reader = Reader::new(BufReader::with_capacity(1 << 16, out));
        while let Ok(Some(element)) = reader.element() {
            if sender.blocking_send(element).is_err() {
                return;
            }
        }
    })?;
    Ok(elements)
}
