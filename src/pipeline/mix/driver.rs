//! The mix threads: each serves some rooms, ticks them at their deadlines, and sleeps in between.

use super::{Input, Mix, Settings, channel};
use crate::cadence::Cadence;
use crate::ledger::{self, Beat, Bill};
use crate::overload::Punctuality;
use crate::pipeline::pool::measure;
use crate::pipeline::{Outlet, StageEvent, Watch};
use crate::runtime::clock;
use crate::urgency::{self, Urgency};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Ticks missed by more than this are not made up for (a stopped process, a suspended machine).
const GIVE_UP: Duration = Duration::from_millis(500);
/// The longest wait where there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);
/// Rooms that may wait for a thread to take them.
const ROOMS: usize = 1024;

/// A tick that is later than this is late: receivers begin to wait for it.
const LATE: Duration = Duration::from_millis(10);

/// The mix threads of this process.
pub struct Driver {
    threads: Vec<Thread>,
    punctuality: Arc<Punctuality>,
}

struct Thread {
    rooms: Sender<Running>,
    load: Arc<AtomicUsize>,
}

impl Driver {
    /// Starts `threads` threads, "mix-0" and so on. They end when the driver is dropped.
    pub fn spawn(threads: usize) -> std::io::Result<Self> {
        let start = |n: usize| {
            let (rooms, incoming) = crossbeam_channel::bounded(ROOMS);
            let load = Arc::new(AtomicUsize::new(0));
            let worker = Worker { rooms: Vec::new(), load: Arc::clone(&load) };
            std::thread::Builder::new().name(format!("mix-{n}")).spawn(move || {
                // Where sound is all that there is time for, a processor is left to what sends it.
                urgency::claim(if n + 1 < threads || threads == 1 { Urgency::AtOnce } else { Urgency::Early });
                run(worker, &incoming)
            })?;
            Ok(Thread { rooms, load })
        };
        Ok(Self { threads: (0..threads.max(1)).map(start).collect::<std::io::Result<_>>()?, punctuality: Arc::default() })
    }

    /// How many ticks came in time.
    pub fn punctuality(&self) -> Arc<Punctuality> {
        Arc::clone(&self.punctuality)
    }

    /// Mixes a room from now on, with media time from `epoch`, on the thread that has the fewest. It ends when every
    /// sender of the returned channel is gone; when it ends by itself (a fault), sending on the channel fails. `bill`: what its sound costs.
    pub fn add(
        &self,
        settings: Settings,
        epoch: Instant,
        outlet: Arc<dyn Outlet>,
        watch: Arc<dyn Watch>,
        bill: Arc<Bill>,
    ) -> Sender<Input> {
        let (sender, inputs) = channel();
        let mix = Mix::new(settings, epoch, outlet);
        if let Some(thread) = self.threads.iter().min_by_key(|thread| thread.load.load(Ordering::Relaxed)) {
            thread.load.fetch_add(1, Ordering::Relaxed);
            let punctuality = Arc::clone(&self.punctuality);
            let running = Running { cadence: mix.cadence(), next: None, mix, inputs, watch, bill, punctuality };
            if let Err(refused) = thread.rooms.try_send(running) {
                tracing::error!("the mix threads take no more rooms");
                refused.into_inner().watch.event(StageEvent::Failed("mix"));
            }
        }
        sender
    }
}

/// One room on a thread.
struct Running {
    mix: Mix,
    inputs: Receiver<Input>,
    watch: Arc<dyn Watch>,
    bill: Arc<Bill>,
    cadence: Cadence,
    next: Option<u64>,
    punctuality: Arc<Punctuality>,
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Goes,
    Ends,
}

impl Running {
    /// Ticks that are due.
    fn step(&mut self, now: Instant) -> Fate {
        let mut next = self.next.unwrap_or_else(|| self.cadence.next(now));
        if self.cadence.time(next) + GIVE_UP < now {
            let skipped = self.cadence.next(now) - next;
            metrics::counter!("mixdown_mix_ticks_skipped_total").increment(skipped);
            self.punctuality.skip(skipped);
            next += skipped;
        }
        while self.cadence.time(next) <= now {
            let (fate, spent) = measure(|| self.tick(now, next));
            // Rooms before this one on the thread have taken their time since `now`.
            let late = (spent.done - spent.took).max(now).saturating_duration_since(self.cadence.time(next));
            ledger::late(Beat::Audio, late);
            self.bill.charge(ledger::Stage::Mix, &spent);
            if fate == Fate::Ends {
                return fate;
            }
            self.punctuality.note(late > LATE);
            next += 1;
        }
        self.next = Some(next);
        Fate::Goes
    }

    fn tick(&mut self, now: Instant, n: u64) -> Fate {
        if !self.drain() {
            return Fate::Ends;
        }
        let watch = &self.watch;
        self.mix.tick(now, n, &mut |event| watch.event(StageEvent::Mix(event)));
        Fate::Goes
    }

    /// Takes what waits, no more than fits the channel. `false`: nobody can send any more.
    fn drain(&mut self) -> bool {
        for _ in 0..=super::INPUTS {
            match self.inputs.try_recv() {
                Ok(input) => self.mix.handle(input),
                Err(error) => return !error.is_disconnected(),
            }
        }
        true
    }

    fn deadline(&self, now: Instant) -> Instant {
        self.next.map_or(now, |next| self.cadence.time(next))
    }
}

/// The rooms of one thread, without the thread.
struct Worker {
    rooms: Vec<Running>,
    load: Arc<AtomicUsize>,
}

impl Worker {
    /// Steps all rooms and says when to come again. A room that panics is dropped; the others go on.
    fn step(&mut self, now: Instant) -> Instant {
        let before = self.rooms.len();
        self.rooms.retain_mut(|room| match catch_unwind(AssertUnwindSafe(|| room.step(now))) {
            Ok(fate) => fate == Fate::Goes,
            Err(_) => {
                metrics::counter!("mixdown_panics_total", "unit" => "mix").increment(1);
                tracing::error!("the mix of a room ended by an internal error");
                room.watch.event(StageEvent::Failed("mix"));
                false
            }
        });
        self.load.fetch_sub(before - self.rooms.len(), Ordering::Relaxed);
        self.rooms.iter().map(|room| room.deadline(now)).min().unwrap_or(now + IDLE)
    }
}

fn run(mut worker: Worker, incoming: &Receiver<Running>) {
    loop {
        let next = worker.step(clock::now());
        match incoming.recv_deadline(next) {
            Ok(room) => worker.rooms.push(room),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ParticipantId, RenditionId, TrackId};
    use crate::media::{AudioOut, VideoOut};
    use crate::pipeline::mix::Codecs;
    use crate::room::sound::{Blend, MixId};
    use mixdown_codecs::{AudioCodec, AudioEncodeError, AudioEncoder};
    use std::sync::Mutex;

    #[derive(Default)]
    struct World {
        times: Mutex<Vec<u64>>,
        failures: AtomicUsize,
    }

    impl Outlet for World {
        fn video(&self, _: RenditionId, _: Arc<VideoOut>) -> bool {
            true
        }
        fn audio(&self, _: &Arc<[ParticipantId]>, packet: Arc<AudioOut>) {
            self.times.lock().unwrap().push(packet.rtp_time / 960);
        }
        fn request_keyframe(&self, _: TrackId) {}
    }

    impl Watch for World {
        fn event(&self, event: StageEvent) {
            self.failures.fetch_add(usize::from(matches!(event, StageEvent::Failed("mix"))), Ordering::Relaxed);
        }
    }

    fn sound(codec: AudioCodec, _: u32) -> Result<Box<dyn AudioEncoder>, AudioEncodeError> {
        assert_ne!(codec, AudioCodec::Pcma, "a fault in a codec");
        Ok(Box::new(crate::audio::fake::Encoder))
    }

    /// A room with one listener, on a worker without a thread.
    fn room(epoch: Instant, codec: AudioCodec) -> (Running, Sender<Input>, Arc<World>) {
        let world = Arc::new(World::default());
        let (sender, inputs) = channel();
        let settings = Settings { codecs: Codecs { encoder: sound, ..Codecs::default() }, ..Settings::default() };
        let mix = Mix::new(settings, epoch, Arc::clone(&world) as Arc<dyn Outlet>);
        sender.send(Input::Mix { mix: MixId(1), blend: Arc::new(Blend::new()) }).unwrap();
        sender.send(Input::Listener { participant: ParticipantId(1), codec, mix: MixId(1) }).unwrap();
        let watch = Arc::clone(&world) as Arc<dyn Watch>;
        let punctuality = Arc::default();
        (Running { cadence: mix.cadence(), next: None, mix, inputs, watch, bill: Arc::default(), punctuality }, sender, world)
    }

    fn worker(rooms: Vec<Running>) -> Worker {
        let load = Arc::new(AtomicUsize::new(rooms.len()));
        Worker { rooms, load }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_room_is_ticked_at_its_times_and_says_when_it_comes_next() {
        let epoch = clock::now();
        let (room, _sender, world) = room(epoch, AudioCodec::Opus);
        let mut worker = worker(vec![room]);
        let mut now = epoch;
        for _ in 0..10 {
            now = worker.step(now);
        }
        assert_eq!(*world.times.lock().unwrap(), (0..10).collect::<Vec<u64>>());
        assert_eq!(now, epoch + ms(200));
        assert_eq!(worker.step(epoch + ms(190)), epoch + ms(200), "too early is no tick");
    }

    #[test]
    fn a_short_stall_is_made_up_for_and_a_long_one_is_skipped() {
        let epoch = clock::now();
        let (room, _sender, world) = room(epoch, AudioCodec::Opus);
        let mut worker = worker(vec![room]);
        worker.step(epoch);
        worker.step(epoch + ms(400));
        let ticks = worker.rooms[0].punctuality.take();
        assert_eq!((ticks.due, ticks.late), (21, 19), "the first and the last were in time");
        assert_eq!(*world.times.lock().unwrap(), (0..=20).collect::<Vec<u64>>());
        let next = worker.step(epoch + ms(30_000));
        let ticks = worker.rooms[0].punctuality.take();
        assert_eq!((ticks.due, ticks.late), (1480, 1479), "what is skipped is late");
        worker.step(next);
        assert_eq!(world.times.lock().unwrap()[21..], [1500, 1501], "media time goes on with the clock");
    }

    #[test]
    fn a_room_ends_with_its_senders_and_frees_its_place() {
        let epoch = clock::now();
        let (first, sender, _) = room(epoch, AudioCodec::Opus);
        let (second, _other, world) = room(epoch, AudioCodec::Opus);
        let mut worker = worker(vec![first, second]);
        worker.step(epoch);
        drop(sender);
        worker.step(epoch + ms(20));
        assert_eq!((worker.rooms.len(), worker.load.load(Ordering::Relaxed)), (1, 1));
        assert_eq!(world.times.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_fault_in_one_room_s_sound_ends_that_room_alone_and_is_told() {
        let epoch = clock::now();
        let (broken, sender, failed) = room(epoch, AudioCodec::Pcma);
        let (whole, _other, world) = room(epoch, AudioCodec::Opus);
        let mut worker = worker(vec![broken, whole]);
        worker.step(epoch);
        worker.step(epoch + ms(20));
        assert_eq!((worker.rooms.len(), worker.load.load(Ordering::Relaxed)), (1, 1));
        assert_eq!((failed.failures.load(Ordering::Relaxed), world.failures.load(Ordering::Relaxed)), (1, 0));
        assert_eq!(world.times.lock().unwrap().len(), 2);
        assert!(sender.send(Input::ListenerLeft(ParticipantId(1))).is_err(), "who sends to it notices");
    }

    #[test]
    fn what_fits_no_channel_is_refused_at_once() {
        let (_room, sender, _) = room(clock::now(), AudioCodec::Opus);
        let more = std::iter::repeat_with(|| sender.try_send(Input::Hold(false)).is_ok()).take_while(|sent| *sent).count();
        assert_eq!(more + 2, crate::pipeline::mix::INPUTS);
    }
}
