//! The end: a first signal drains, a second one ends at once.
//!
//! Draining: nobody joins (503), `/readyz` says so, running conferences go on until all are empty or
//! `drain.timeout_ms` has passed. Then everybody left is disconnected with the reason, within
//! `drain.hard_timeout_ms`. Both ends are good ends: exit code 0.

use crate::api::Rooms;
use crate::config::Drain;
use crate::peer::types::CloseReason;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the rooms are asked whether anybody is left.
const LOOK: Duration = Duration::from_millis(250);

/// SIGTERM and SIGINT, one message each.
pub fn signals() -> std::io::Result<mpsc::Receiver<&'static str>> {
    let (sender, receiver) = mpsc::channel(4);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        for (kind, name) in [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")] {
            let (mut stream, sender) = (signal(kind)?, sender.clone());
            tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(name).await.is_ok() {} });
        }
    }
    #[cfg(not(unix))]
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send("interrupt").await.is_ok() {} });
    Ok(receiver)
}

/// Waits for the first signal, drains, and disconnects who is left.
pub async fn run(mut signals: mpsc::Receiver<&'static str>, rooms: &dyn Rooms, drain: &Drain) {
    let Some(signal) = signals.recv().await else { return };
    rooms.drain();
    metrics::gauge!("mixdown_draining").set(1.0);
    tracing::info!(signal, timeout_ms = drain.timeout_ms, "draining: nobody joins any more; a second signal ends at once");
    tokio::select! {
        () = empty(rooms) => tracing::info!("everybody has left"),
        () = tokio::time::sleep(drain.timeout()) => tracing::warn!("drain.timeout_ms has passed"),
        Some(signal) = signals.recv() => tracing::warn!(signal, "ending at once"),
    }
    if tokio::time::timeout(drain.hard_timeout(), close(rooms)).await.is_err() {
        tracing::warn!("drain.hard_timeout_ms has passed before all rooms were closed");
    }
}

async fn empty(rooms: &dyn Rooms) {
    while occupied(rooms).await {
        tokio::time::sleep(LOOK).await;
    }
}

async fn occupied(rooms: &dyn Rooms) -> bool {
    for room in rooms.list() {
        if room.state().await.is_ok_and(|state| state.participants > 0) {
            return true;
        }
    }
    false
}

async fn close(rooms: &dyn Rooms) {
    for room in rooms.list() {
        // A room that is gone already is closed.
        let _ = room.close(CloseReason::Shutdown).await;
    }
}
