//! The task that sends recordings to the bucket: look what there is, send what can be sent, come again; after a failure ever more rarely.
//!
//! Each recording has a task of its own while there is something to send; few parts are in memory at a time.

use super::bucket::{Bucket, Fault};
use super::plan::{self, Part, Session, Source, Step};
use super::{Settings, State, Upload};
use crate::ids::RecordingId;
use crate::record::disk::{MANIFEST, MEDIA};
use crate::record::mp4::{Bytes as _, scan};
use crate::record::store::{Refusal, Store, Work};
use crate::record::{Manifest, mp4};
use crate::runtime::clock;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the folder is looked through.
const PERIOD: Duration = Duration::from_secs(1);
/// Parts that are in memory at a time.
const AT_ONCE: usize = 4;
/// After so many failures in a row an upload in parts is given up for a new one, if the bucket begins one.
const PATIENCE: u32 = 4;

/// Hears of uploads that are complete, and of those that fail for the first time in a row: the manifest's `upload` says which.
pub trait Told: Send + Sync {
    fn upload(&self, manifest: &Manifest);
}

/// Sends until `stop`. Without a bucket there is nothing to do.
pub async fn run(store: Store, told: Arc<dyn Told>, stop: CancellationToken) {
    let (Some(bucket), Some(settings)) = (store.bucket().cloned(), store.settings().upload.clone()) else { return };
    let carrier = Carrier { store, bucket, settings, told, permits: Arc::new(Semaphore::new(AT_ONCE)), failed: 0 };
    let mut driver = Driver { carrier, tasks: JoinSet::new(), busy: BTreeSet::new(), settled: BTreeSet::new(), failures: BTreeMap::new() };
    let mut beat = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(done) = driver.tasks.join_next() => driver.done(done),
            _ = beat.tick() => driver.begin().await,
        }
    }
}

struct Driver {
    carrier: Carrier,
    tasks: JoinSet<(RecordingId, Result<Progress, Fault>)>,
    busy: BTreeSet<RecordingId>,
    /// Of these there is nothing left to do.
    settled: BTreeSet<RecordingId>,
    /// How often in a row, and when to try again.
    failures: BTreeMap<RecordingId, (u32, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There will be more.
    Open,
    Settled,
}

impl Driver {
    async fn begin(&mut self) {
        let work = match blocking(&self.carrier.store, |store| Ok(store.bucket_work()?)).await {
            Ok(work) => work,
            Err(fault) => return tracing::error!(%fault, "the folder of recordings cannot be read"),
        };
        let now = clock::now();
        let (mut waiting, mut alive) = (0, BTreeSet::new());
        for work in work {
            let (Work::Send(id) | Work::Erase(id)) = work;
            alive.insert(id);
            let settled = self.settled.contains(&id) && matches!(work, Work::Send(_));
            waiting += u32::from(!settled);
            let due = self.failures.get(&id).is_none_or(|(_, due)| *due <= now);
            if settled || !due || !self.busy.insert(id) {
                continue;
            }
            let failed = self.failures.get(&id).map_or(0, |(count, _)| count + 1);
            let carrier = Carrier { failed, ..self.carrier.clone() };
            self.tasks.spawn(async move {
                match work {
                    Work::Send(_) => (id, carrier.attempt(id).await),
                    Work::Erase(_) => (id, carrier.erase(id).await),
                }
            });
        }
        self.settled.retain(|id| alive.contains(id));
        self.failures.retain(|id, _| alive.contains(id));
        metrics::gauge!("mixdown_uploads_waiting").set(f64::from(waiting));
    }

    fn done(&mut self, done: Result<(RecordingId, Result<Progress, Fault>), tokio::task::JoinError>) {
        let Ok((id, result)) = done else {
            // Whose it was is not known: what is done already is found to be so.
            metrics::counter!("mixdown_panics_total", "unit" => "upload").increment(1);
            return self.busy.clear();
        };
        self.busy.remove(&id);
        match result {
            Ok(progress) => {
                self.failures.remove(&id);
                if progress == Progress::Settled {
                    self.settled.insert(id);
                }
            }
            Err(_) => {
                let (first, most) = self.carrier.settings.retry;
                let count = self.failures.get(&id).map_or(0, |(count, _)| count + 1);
                let pause = first.saturating_mul(1 << count.min(16)).min(most);
                self.failures.insert(id, (count, clock::now() + pause));
            }
        }
    }
}

#[derive(Clone)]
struct Carrier {
    store: Store,
    bucket: Bucket,
    settings: Settings,
    told: Arc<dyn Told>,
    permits: Arc<Semaphore>,
    /// Attempts in a row that have failed before this one.
    failed: u32,
}

fn key(id: RecordingId, name: &str) -> String {
    format!("{id}/{name}")
}

impl Carrier {
    /// Sends what there is, and writes down what became of it.
    async fn attempt(&self, id: RecordingId) -> Result<Progress, Fault> {
        let result = self.send(id).await;
        let Err(fault) = &result else { return result };
        // Deleted meanwhile: its folder says what to erase.
        let Ok(Some(mut upload)) = blocking(&self.store, move |store| Ok(Some(store.upload(id)?.unwrap_or_default()))).await else {
            return Ok(Progress::Open);
        };
        metrics::counter!("mixdown_upload_failures_total").increment(1);
        let url = self.bucket.url(&key(id, MEDIA));
        if upload.url != url {
            upload = Upload { url, ..Upload::default() };
        }
        (upload.state, upload.error) = (State::Retrying, Some(fault.to_string()));
        let noted = self.note(id, &upload).await;
        if self.failed == 0 && noted.is_ok() {
            tracing::warn!(recording = %id, %fault, "an upload fails and is tried again");
            self.tell(id).await;
        }
        result
    }

    async fn send(&self, id: RecordingId) -> Result<Progress, Fault> {
        let look = move |store: &Store| {
            let manifest = store.manifest(id)?;
            let growing = if manifest.state.is_final() { Vec::new() } else { store.growing(id)? };
            Ok((manifest, store.upload(id)?, growing))
        };
        let (manifest, known, growing) = match blocking(&self.store, look).await {
            // It is just being made, or deleted.
            Err(Fault::Unknown) => return Ok(Progress::Open),
            found => found?,
        };
        let url = self.bucket.url(&key(id, MEDIA));
        let mut upload = known.unwrap_or_default();
        if upload.state == State::Complete {
            // Also what a process that died while it released them has left here.
            let has_media = blocking(&self.store, move |store| Ok(store.file(id, MEDIA).is_ok())).await?;
            if has_media && !self.settings.keep_local && upload.url == url {
                self.release(id, &mut upload).await?;
            }
            return Ok(Progress::Settled);
        }
        if upload.url != url {
            upload = Upload { url, ..Upload::default() };
        }
        let whole = manifest.state.is_final();
        let has_media = manifest.files.iter().any(|file| file.name == MEDIA);
        let names = match whole {
            true => manifest.files.iter().map(|file| file.name.clone()).collect(),
            false => {
                let due = |(name, bytes): &(String, u64)| plan::may_send(upload.sessions.get(name), *bytes, self.settings.part_bytes);
                growing.into_iter().filter(due).map(|(name, _)| name).collect::<Vec<_>>()
            }
        };
        self.send_files(id, &mut upload, &names, whole).await?;
        if !whole {
            return Ok(Progress::Open);
        }
        // The last: where it is, all is.
        let text = Bytes::from(Manifest { upload: None, ..manifest }.json());
        let bytes = text.len() as u64;
        self.announce(id, &mut upload, MANIFEST).await?;
        self.bucket.put(&key(id, MANIFEST), text).await?;
        self.confirm(id, &mut upload, MANIFEST, bytes).await?;
        (upload.state, upload.error) = (State::Complete, None);
        self.note(id, &upload).await?;
        if !self.settings.keep_local && has_media {
            self.release(id, &mut upload).await?;
        }
        tracing::info!(recording = %id, url = upload.url, bytes = upload.shown().uploaded_bytes, "uploaded");
        metrics::counter!("mixdown_uploads_total").increment(1);
        self.tell(id).await;
        Ok(Progress::Settled)
    }

    /// What grows is never all there, and what grows beside it does not wait for that; nor for one that fails.
    async fn send_files(&self, id: RecordingId, upload: &mut Upload, names: &[String], whole: bool) -> Result<(), Fault> {
        let mut failed = Ok(());
        for name in names {
            if upload.confirmed.contains_key(name) {
                continue;
            }
            let sent = self.send_file(id, upload, name, whole).await;
            let silent = matches!(sent, Err(Fault::Silent(_)));
            failed = failed.and(sent);
            if silent {
                // The next one would wait as long.
                break;
            }
        }
        failed
    }

    /// Sends of a file what can be sent now; of a whole one all, until the bucket has confirmed it.
    async fn send_file(&self, id: RecordingId, upload: &mut Upload, name: &str, whole: bool) -> Result<(), Fault> {
        let key = key(id, name);
        loop {
            let _permit = self.permits.acquire().await;
            let Some((file, source)) = self.source(id, name, whole).await? else { return Ok(()) };
            let total = source.head + source.payload;
            match (plan::next(upload.sessions.get_mut(name), source, self.settings.part_bytes), upload.sessions.get_mut(name)) {
                (Step::Wait, _) => return Ok(()),
                (Step::Single, _) => {
                    let bytes = self.read(file, 0..total).await?;
                    self.announce(id, upload, name).await?;
                    self.bucket.put(&key, bytes).await?;
                    metrics::counter!("mixdown_upload_bytes_total").increment(total);
                    return self.confirm(id, upload, name, total).await;
                }
                (Step::Put { index, range }, Some(session)) => {
                    let begin = if index == 0 { 0 } else { source.head + range.start };
                    let bytes = self.read(file, begin..source.head + range.end).await?;
                    let sent = self.put_part(session, &key, index, bytes, range).await;
                    self.kept(id, upload, name, sent).await?;
                    self.proceed(id, upload).await?;
                }
                (Step::Complete, Some(session)) => {
                    let completed = self.complete(session, &key, total).await;
                    self.kept(id, upload, name, completed).await?;
                    return self.confirm(id, upload, name, total).await;
                }
                (Step::Begin | Step::Put { .. } | Step::Complete, _) => self.begin(id, upload, name, &key).await?,
            }
        }
    }

    async fn begin(&self, id: RecordingId, upload: &mut Upload, name: &str, key: &str) -> Result<(), Fault> {
        self.announce(id, upload, name).await?;
        let session = Session { id: self.bucket.begin(key).await?, parts: Vec::new() };
        upload.sessions.insert(name.to_owned(), session.clone());
        let noted = self.proceed(id, upload).await;
        if noted.is_err() {
            // Nobody would know of it any more.
            self.bucket.abort(key, &session.id).await?;
        }
        noted
    }

    /// What the bucket no longer knows is begun anew by the next attempt; so is what it goes on refusing while it begins others.
    async fn kept(&self, id: RecordingId, upload: &mut Upload, name: &str, result: Result<(), Fault>) -> Result<(), Fault> {
        if matches!(result, Err(Fault::Forgotten)) {
            upload.sessions.remove(name);
            self.note(id, upload).await?;
        }
        if matches!(result, Err(Fault::Refused(_))) && self.failed >= PATIENCE {
            let given_up = upload.sessions.get(name).map(|session| session.id.clone());
            self.begin(id, upload, name, &key(id, name)).await?;
            if let Some(session) = given_up {
                // Where that fails too, the bucket's own rules end it.
                let _ = self.bucket.abort(&key(id, name), &session).await;
            }
        }
        result
    }

    /// `bytes`: `range` of the fragmented form; of the first part with what stands in front of it.
    async fn put_part(&self, session: &mut Session, key: &str, index: usize, bytes: Bytes, range: Range<u64>) -> Result<(), Fault> {
        let length = bytes.len() as u64;
        let tag = self.bucket.put_part(key, &session.id, index, bytes).await?;
        metrics::counter!("mixdown_upload_bytes_total").increment(length);
        let head = length - (range.end - range.start);
        session.sent(index, Part { head, from: range.start, to: range.end, tag });
        Ok(())
    }

    /// Puts an object together, or finds that a process that died meanwhile has done it.
    async fn complete(&self, session: &Session, key: &str, bytes: u64) -> Result<(), Fault> {
        let tags = session.parts.iter().map(|part| part.tag.clone());
        match self.bucket.complete(key, &session.id, tags).await {
            Err(Fault::Forgotten) if self.bucket.size(key).await.is_ok_and(|size| size == bytes) => Ok(()),
            done => done,
        }
    }

    /// Asks the bucket whether it has all of a file, and writes that down.
    async fn confirm(&self, id: RecordingId, upload: &mut Upload, name: &str, bytes: u64) -> Result<(), Fault> {
        // Whatever the answer is: this upload in parts is over.
        upload.sessions.remove(name);
        match self.bucket.size(&key(id, name)).await? {
            size if size == bytes => {
                upload.confirmed.insert(name.to_owned(), bytes);
                self.proceed(id, upload).await
            }
            size => {
                self.note(id, upload).await?;
                Err(Fault::Refused(format!("the bucket has {size} of the {bytes} bytes of {name}: it is sent again")))
            }
        }
    }

    /// Writes down that there may be an object of this name from now on: whoever deletes the recording deletes it too.
    async fn announce(&self, id: RecordingId, upload: &mut Upload, name: &str) -> Result<(), Fault> {
        if upload.begun.insert(name.to_owned()) { self.note(id, upload).await } else { Ok(()) }
    }

    /// Writes down that something has been done.
    async fn proceed(&self, id: RecordingId, upload: &mut Upload) -> Result<(), Fault> {
        (upload.state, upload.error) = (State::Uploading, None);
        self.note(id, upload).await
    }

    async fn note(&self, id: RecordingId, upload: &Upload) -> Result<(), Fault> {
        let upload = upload.clone();
        blocking(&self.store, move |store| store.note_upload(id, &upload)).await
    }

    async fn release(&self, id: RecordingId, upload: &mut Upload) -> Result<(), Fault> {
        let mut released = upload.clone();
        *upload = blocking(&self.store, move |store| store.release_media(id, &mut released).map(|()| released)).await?;
        Ok(())
    }

    async fn tell(&self, id: RecordingId) {
        if let Ok(manifest) = blocking(&self.store, move |store| store.manifest(id)).await {
            self.told.upload(&manifest);
        }
    }

    /// A file as it is, and itself, for another may take its name; `None`: it is not there yet, or not yet what it will be.
    async fn source(&self, id: RecordingId, name: &str, whole: bool) -> Result<Option<(File, Source)>, Fault> {
        let name = name.to_owned();
        let source = blocking(&self.store, move |store| {
            let file = store.file(id, &name)?;
            let head = if name == MEDIA { scan::fragments(&file) } else { Ok(0) };
            let length = file.length()?;
            Ok(match head {
                Ok(head) => Some((file, Source { head, payload: length.saturating_sub(head), whole })),
                // Media that cannot be read are sent all the same, as they are.
                Err(_) if whole => Some((file, Source { head: 0, payload: length, whole })),
                Err(_) => None,
            })
        });
        match source.await {
            Err(Fault::Unknown) if !whole => Ok(None),
            Err(Fault::Unknown) => Err(Fault::Refused("a file that the manifest lists is not in the recording's folder".into())),
            source => source,
        }
    }

    async fn read(&self, file: File, range: Range<u64>) -> Result<Bytes, Fault> {
        let read = move |_: &Store| {
            // The bucket gets nothing that a power cut takes away here.
            file.sync_data()?;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            mp4::Bytes::read_at(&file, &mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        };
        blocking(&self.store, read).await
    }

    /// Deletes in the bucket what was deleted here, and says where that fails.
    async fn erase(&self, id: RecordingId) -> Result<Progress, Fault> {
        let result = self.delete(id).await;
        if let Err(fault) = &result {
            metrics::counter!("mixdown_upload_failures_total").increment(1);
            if self.failed == 0 {
                tracing::warn!(recording = %id, %fault, "a deletion in the bucket fails and is tried again; may this server delete there?");
            }
        }
        result
    }

    async fn delete(&self, id: RecordingId) -> Result<Progress, Fault> {
        let upload = blocking(&self.store, move |store| store.erased(id)).await?.unwrap_or_default();
        let is_empty = upload.begun.is_empty() && upload.sessions.is_empty() && upload.confirmed.is_empty();
        if is_empty {
            // It was deleted before anything was sent.
        } else if upload.url != self.bucket.url(&key(id, MEDIA)) {
            tracing::warn!(recording = %id, url = upload.url, "deleted here; what is in another bucket stays there: delete it by hand");
        } else {
            for (name, session) in &upload.sessions {
                self.bucket.abort(&key(id, name), &session.id).await?;
            }
            for name in upload.begun.iter().chain(upload.confirmed.keys()).collect::<BTreeSet<_>>() {
                self.bucket.delete(&key(id, name)).await?;
            }
            tracing::info!(recording = %id, "deleted in the bucket");
        }
        blocking(&self.store, move |store| store.forget_erased(id)).await?;
        Ok(Progress::Settled)
    }
}

/// Does what may wait for a disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(store: &Store, work: impl FnOnce(&Store) -> Result<T, Refusal> + Send + 'static) -> Result<T, Fault> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Refusal::Unknown)) => Err(Fault::Unknown),
        Ok(Err(refusal)) => Err(Fault::Refused(format!("the local disk refuses: {refusal}"))),
        Err(_) => Err(Fault::Refused("an internal error".into())),
    }
}
