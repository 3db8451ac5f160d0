//! The thread of one recording: wait, read the clock once, step the session, write what comes of it. And the handle by which
//! the media plane feeds it without ever waiting.

use super::disk::Disk;
use super::manifest::{Manifest, Reason, State};
use super::mp4::{Kind, Ticks};
use super::queue::{Command, Item, Need, Queue};
use super::session::{Output, Session};
use super::slate;
use super::store::{Lease, Store};
use super::timeline::{PauseMode, TimelineEvent};
use super::tracks::{Unit, stage};
use super::writer::{Fault, Totals, Writer};
use super::{Event, Report};
use crate::ids::RecordingId;
use crate::ledger;
use crate::media::{AudioOut, VideoOut};
use crate::room::Framing;
use crate::runtime::clock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the thread looks at what has come. Waking it for every packet would cost more than all else that it does.
const PERIOD: Duration = Duration::from_millis(200);

/// Feeds one recording. No method waits for the disk. Dropped, it stops the recording.
pub struct Recorder {
    id: RecordingId,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl Recorder {
    /// `epoch`: of the room's media time. Starts the thread, which makes the files in `folder` and says [`Event::Ready`], or ends.
    pub(super) fn start(
        store: &Store,
        manifest: Manifest,
        epoch: Instant,
        folder: impl FnOnce(&Store) -> io::Result<Box<dyn Disk>> + Send + 'static,
        report: Arc<dyn Report>,
    ) -> io::Result<Self> {
        let id = manifest.id;
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::new(store.settings().queue())), wake: Condvar::new() });
        let recorder = Self { id, shared: Arc::clone(&shared) };
        let (store, lease) = (store.clone(), store.lease(id).ok_or(io::ErrorKind::AlreadyExists)?);
        let thread = std::thread::Builder::new().name("record".into());
        thread.spawn(move || live(&shared, &store, lease, manifest, epoch, folder, report.as_ref()))?;
        Ok(recorder)
    }

    pub fn id(&self) -> RecordingId {
        self.id
    }

    /// Offers a picture. Where the answer is [`Need::Keyframe`], the encoder is to be asked for one.
    pub fn video(&self, picture: &VideoOut) -> Need {
        self.push(|queue| queue.video(picture))
    }

    /// Offers a packet of the mix.
    pub fn audio(&self, packet: &AudioOut) {
        self.push(|queue| queue.audio(packet));
    }

    /// Offers a picture or packet of a participant's own track. Where the answer is [`Need::Keyframe`], its sender is to be asked for one.
    pub fn unit(&self, unit: &Unit) -> Need {
        self.push(|queue| queue.unit(unit))
    }

    /// Puts an event into the timeline, at what the recording has come to.
    pub fn note(&self, event: TimelineEvent) {
        self.push(|queue| queue.note(event, None, clock::wall()));
    }

    /// Puts an event into the timeline at the picture with this RTP time (90 kHz).
    pub fn note_at(&self, event: TimelineEvent, rtp_time: u64) {
        self.push(|queue| queue.note(event, Some(rtp_time), clock::wall()));
    }

    /// False: it pauses already, or ends. `slate`: a coded keyframe of the recording's codec that stands meanwhile, only with
    /// [`PauseMode::Slate`]; `None`: one that says so.
    pub fn pause(&self, mode: PauseMode, slate: Option<Arc<[u8]>>) -> bool {
        self.push(|queue| queue.command(Command::Pause { mode, slate }, clock::wall()))
    }

    /// Notes in the manifest what it is of from now on. False: too much waits for the disk already.
    pub fn frame(&self, framing: Framing) -> bool {
        self.push(|queue| queue.command(Command::Frame(framing.into()), clock::wall()))
    }

    /// False: it does not pause.
    pub fn resume(&self) -> bool {
        self.push(|queue| queue.command(Command::Resume, clock::wall()))
    }

    /// False: it is stopped already. [`Event::Ended`] follows when all is closed.
    pub fn stop(&self, reason: Reason) -> bool {
        self.push(|queue| queue.command(Command::Stop(reason), clock::wall()))
    }

    fn push<T>(&self, into: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.shared.queue();
        let result = into(&mut queue);
        if queue.is_urgent() {
            self.shared.wake.notify_one();
        }
        result
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop(Reason::RoomEnded);
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let queue = self.queue();
        drop(self.wake.wait_timeout_while(queue, PERIOD, |queue| !queue.is_urgent()));
    }

    fn pop(&self) -> Option<Item> {
        self.queue().pop()
    }
}

fn live(
    shared: &Shared,
    store: &Store,
    lease: Lease,
    manifest: Manifest,
    epoch: Instant,
    folder: impl FnOnce(&Store) -> io::Result<Box<dyn Disk>>,
    report: &dyn Report,
) {
    let id = manifest.id;
    let mut failed = manifest.clone();
    let ended = catch_unwind(AssertUnwindSafe(|| record(shared, &lease, store, manifest, epoch, folder, report)));
    // Nobody feeds what is no more.
    shared.queue().close();
    drop(lease);
    let manifest = ended.unwrap_or_else(|_| {
        metrics::counter!("mixdown_panics_total", "unit" => "recorder").increment(1);
        (failed.state, failed.reason) = (State::Failed, Some(Reason::InternalError));
        store.recover(id, Reason::InternalError, clock::wall()).unwrap_or(failed)
    });
    let state = if manifest.state == State::Complete { "complete" } else { "failed" };
    metrics::counter!("mixdown_recordings_total", "state" => state).increment(1);
    report.event(id, Event::Ended(Box::new(manifest)));
}

/// From the first file to the last.
fn record(
    shared: &Shared,
    lease: &Lease,
    store: &Store,
    manifest: Manifest,
    epoch: Instant,
    folder: impl FnOnce(&Store) -> io::Result<Box<dyn Disk>>,
    report: &dyn Report,
) -> Manifest {
    let mut failed = manifest.clone();
    let options = store.settings().writer();
    let begun = folder(store).map_err(Fault::from).and_then(|disk| Writer::begin(disk, options, store.usage(), manifest, clock::now()));
    let mut writer = match begun {
        Ok(writer) => writer,
        Err(fault) => {
            tracing::error!(recording = %failed.id, %fault, "a recording cannot begin");
            (failed.state, failed.reason) = (State::Failed, Some(fault.reason()));
            store.discard(failed.id);
            return failed;
        }
    };
    report.event(failed.id, Event::Ready);
    let mut session = Session::new(store.settings().session(failed.tracks));
    let mut account = ledger::Thread::new(ledger::Stage::Record);
    let reason = loop {
        shared.wait();
        account.note(clock::now(), clock::thread_cpu);
        match step(shared, &mut session, &mut writer, epoch, report) {
            Ok(None) => lease.progress(session.duration().ms()),
            Ok(Some(reason)) => break reason,
            Err(fault) => {
                tracing::error!(recording = %failed.id, %fault, "a recording ends");
                break fault.reason();
            }
        }
    };
    shared.queue().close();
    let manifest = writer.finish(totals(&session, reason), clock::wall());
    account.end(clock::thread_cpu());
    manifest
}

/// Takes all that has come. The reason where the recording ends.
fn step(shared: &Shared, session: &mut Session, writer: &mut Writer, epoch: Instant, report: &dyn Report) -> Result<Option<Reason>, Fault> {
    let (now, wall) = (clock::now(), clock::wall());
    while let Some(mut item) = shared.pop() {
        if let Item::Command { command: Command::Pause { mode: PauseMode::Slate, slate: slate @ None }, .. } = &mut item {
            *slate = writer.manifest().video.as_ref().and_then(slate::draw);
        }
        session.handle(item, wall);
        if let Some(reason) = drain(shared, session, writer, now, report)? {
            return Ok(Some(reason));
        }
    }
    let since = now.saturating_duration_since(epoch).as_micros() * u128::from(Ticks::PER_SECOND) / 1_000_000;
    session.tick(Ticks(u64::try_from(since).unwrap_or(u64::MAX)), wall);
    let reason = drain(shared, session, writer, now, report)?;
    writer.tick(now)?;
    Ok(reason)
}

fn drain(shared: &Shared, session: &mut Session, writer: &mut Writer, now: Instant, report: &dyn Report) -> Result<Option<Reason>, Fault> {
    while let Some(output) = session.poll_output() {
        writer.write(&output, now, clock::wall())?;
        match output {
            Output::End { reason, .. } => return Ok(Some(reason)),
            Output::Broken => shared.queue().break_off(),
            Output::Track(stage::Output::Broken(track)) => shared.queue().break_track(track),
            Output::State(state) => report.event(writer.manifest().id, Event::State(state)),
            Output::Head { .. } | Output::Fragment(_) | Output::Track(_) | Output::Line(_) | Output::Framing(_) => {}
        }
    }
    Ok(None)
}

fn totals(session: &Session, reason: Reason) -> Totals {
    let ((pictures, lost_pictures), (packets, lost_packets)) = (session.count(Kind::Video), session.count(Kind::Audio));
    Totals { reason, duration: session.duration(), pictures, packets, lost_pictures, lost_packets }
}
