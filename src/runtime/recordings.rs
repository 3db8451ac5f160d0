//! The folder of recordings: opened at the start, where what a dead process left is closed and told of; swept every hour; sent to
//! a bucket, where there is one; waited for at the end.

use super::clock;
use crate::conference::handle::Refusal;
use crate::conference::library::Library;
use crate::config::{Config, Mode};
use crate::ids::RecordingId;
use crate::record::store::{self, Error};
use crate::record::{Reason, Store, upload};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often what is too old is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// The library, and what a dead process left unfinished in it. On a developer's machine several servers may start in one
/// place: there, a folder that cannot be had costs the recordings alone.
pub fn open(config: &Config, mode: Mode) -> Result<(Library, Vec<RecordingId>), Error> {
    if !config.recordings.enabled {
        return Ok((Library::disabled(), Vec::new()));
    }
    match Store::open(config.recordings.settings()) {
        Ok((store, unfinished)) => Ok((Library::new(store, config.recordings.max_per_room as usize, clock::wall), unfinished)),
        Err(error) if mode == Mode::Dev => {
            tracing::warn!(%error, "there are no recordings");
            Ok((Library::closed(Refusal::Busy(error.to_string())), Vec::new()))
        }
        Err(error) => Err(error),
    }
}

/// Closes what was left, then sweeps, and sends to the bucket, until `stop`. What cannot be closed, for the disk refuses, is tried again with each sweep.
pub async fn keep(library: Library, unfinished: Vec<RecordingId>, stop: CancellationToken) {
    let Ok(store) = library.store().cloned() else { return };
    let mut left = recover(&library, &store, unfinished).await;
    tokio::spawn(upload::run(store.clone(), Arc::new(library.clone()), stop.clone()));
    loop {
        blocking(&store, |store| match store.sweep(clock::wall()) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(recordings = gone.len(), "recordings.retention_ms has passed: deleted"),
            Err(error) => tracing::error!(%error, "recordings cannot be swept"),
        })
        .await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        left = recover(&library, &store, left).await;
    }
}

/// Closes them; returns those that could not be.
async fn recover(library: &Library, store: &Store, unfinished: Vec<RecordingId>) -> Vec<RecordingId> {
    let mut left = Vec::new();
    for id in unfinished {
        let library = library.clone();
        let closed = blocking(store, move |store| match store.recover(id, Reason::Interrupted, clock::wall()) {
            Ok(manifest) => {
                library.tell(&manifest);
                None
            }
            // It has been deleted in the meantime.
            Err(store::Refusal::Unknown) => None,
            Err(error) => {
                tracing::error!(recording = %id, %error, "an interrupted recording cannot be closed yet");
                Some(id)
            }
        });
        left.extend(closed.await.flatten());
    }
    left
}

/// Waits until all are closed, or for so long.
pub async fn finish(library: &Library, most: Duration) {
    let Ok(store) = library.store().cloned() else { return };
    blocking(&store, move |store| match store.wait(most) {
        0 => {}
        left => tracing::warn!(recordings = left, "not all recordings were closed in time; the next start does it"),
    })
    .await;
}

async fn blocking<T: Send + 'static>(store: &Store, work: impl FnOnce(&Store) -> T + Send + 'static) -> Option<T> {
    let store = store.clone();
    // A panic in it has been counted where it happened, and ends nothing else.
    tokio::task::spawn_blocking(move || work(&store)).await.ok()
}
