//! A whole room on virtual time: the server's own parts (hub, conference, stages, mix) without their
//! threads, guests with real peer connections, and a network between them. One seed is one run.

use crate::guest::{Guest, Profile, Sight};
use crate::network::{Dice, Link, Network, Packet};
use crate::trace::Traces;
use mixdown::cadence::Cadence;
use mixdown::conference::handle::{Join, Joined, NewRecording, ParticipantView, Refusal, Request, RoomEvent};
use mixdown::conference::library::Library;
use mixdown::conference::rights::Rights;
use mixdown::conference::station::Station;
use mixdown::conference::taps::Taps;
use mixdown::conference::{Action, Conference, Inbox, Input, Parts};
use mixdown::egress::Board;
use mixdown::ids::{ParticipantId, RecordingId};
use mixdown::net::{self, hub};
use mixdown::peer::types::{Config, Datagram, Kind, Transport};
use mixdown::pipeline::mix::{self, Mix};
use mixdown::pipeline::pool::Pool;
use mixdown::pipeline::ticker::{self, Schedule};
use mixdown::pipeline::{StageEvent, Watch, video};
use mixdown::room::model::{Canvas, ParticipantPatch};
use mixdown::room::{Room, Settings};
use mixdown_codecs::{AudioCodec, VideoCodec, gate};
use mixdown_layouts::Layout;
use mixdown_layouts::layout::Transition;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot};

pub const SERVER: &str = "10.0.0.1:3478";

/// The smallest canvas that keeps codes readable for a few guests: cheap to encode and decode.
pub fn small_canvas() -> Canvas {
    Canvas { width: 640, height: 360, ..Canvas::default() }
}

pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub guests: Vec<Guest>,
    pub network: Network,
    pub hub: hub::Hub,
    hub_timeout: Option<Instant>,
    pub conference: Conference,
    events: broadcast::Receiver<RoomEvent>,
    schedule: Schedule,
    mix: Mix,
    mix_inputs: crossbeam_channel::Receiver<mix::Input>,
    mix_cadence: Cadence,
    mix_tick: u64,
    watch: Arc<dyn Watch>,
    inputs: mpsc::Receiver<Input>,
    commands: mpsc::Receiver<net::Command>,
    traces: Traces,
    /// Real time that has gone into the guests: the rest is the server's.
    pub guests_took: Duration,
}

impl Drop for World {
    fn drop(&mut self) {
        self.traces.write();
    }
}

pub struct Options {
    pub seed: u64,
    pub canvas: Canvas,
    pub library: Library,
    pub board: Board,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            canvas: small_canvas(),
            library: Library::disabled(),
            board: Board::new(mixdown::config::Egress::default().settings()),
        }
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(Options { seed, ..Options::default() })
    }

    pub fn with(options: Options) -> Self {
        // Its clock stands still while others run, who have none of their own.
        let _ = rustix::process::setpriority_process(None, 19);
        let start = mixdown::runtime::clock::now();
        let address: SocketAddr = SERVER.parse().unwrap();
        let config = Config {
            ice_lite: true,
            candidates: vec![(Transport::Udp, address, address)],
            video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
            audio_codecs: vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma],
            limits: gate::Limits::default(),
            connect_deadline: Duration::from_secs(15),
            initial_bitrate_bps: 1_000_000,
            max_bitrate_bps: 3_000_000,
        };
        let (command_sender, commands) = mpsc::channel(65_536);
        let net = net::Handle::new(command_sender);
        let (input_sender, inputs) = mpsc::channel(8192);
        let inbox = Inbox(input_sender);
        let (events, event_receiver) = broadcast::channel(8192);
        let (ticker, schedule) = ticker::schedule();
        let (mix_sender, mix_inputs) = mix::channel();
        // What people receive is held against what was sent, tile by tile: nothing is on its way between places.
        let transition = Transition { ms: 0, ..Transition::default() };
        let layout = Layout { transition, ..Layout::default() };
        let settings = Settings { canvas: options.canvas, layout, ..Settings::default() };
        let mut dice = Dice::new(options.seed);
        let taps = Arc::new(Taps::new(net.clone()));
        let conference = Conference::new(Parts {
            room: Room::new("world".parse().unwrap(), settings, Arc::default()),
            stages: video::Shared { pool: Pool::Inline, ticker, limits: gate::Limits::default() },
            net,
            taps: Arc::clone(&taps),
            library: options.library,
            station: Station::new(mixdown::config::Config::default().ingress.settings()),
            board: options.board,
            mix: mix_sender,
            inbox: inbox.clone(),
            events,
            peer: Arc::new(config),
            bill: Arc::default(),
            sharing: Arc::default(),
            removals: Arc::default(),
            epoch: start,
            created: SystemTime::UNIX_EPOCH,
            next_id: Box::new(move || ParticipantId(u128::from(dice.next()) << 64 | u128::from(dice.next()))),
        });
        Self {
            now: start,
            start,
            guests: Vec::new(),
            network: Network::new(options.seed),
            hub: hub::Hub::new(net::Limits::default()),
            hub_timeout: None,
            conference,
            events: event_receiver,
            schedule,
            mix: Mix::new(mix::Settings::default(), start, taps),
            mix_inputs,
            mix_cadence: Cadence::new(start, 50),
            mix_tick: 0,
            watch: Arc::new(inbox),
            inputs,
            commands,
            traces: Traces::new(),
            guests_took: Duration::ZERO,
        }
    }

    pub fn at(&self) -> Duration {
        self.now - self.start
    }

    /// A guest offers, is answered and begins to connect. Returns its index.
    pub fn join(&mut self, profile: Profile) -> usize {
        self.join_as(profile, Rights::all())
    }

    pub fn join_as(&mut self, profile: Profile, rights: Rights) -> usize {
        let index = self.guests.len();
        let address = SocketAddr::from(([10, 0, 1, index as u8 + 1], 5000));
        let mut guest = Guest::new(profile, address, self.now);
        let offer = guest.peer.offer().unwrap();
        let joined = self.try_join(&format!("person {}", guest.profile.person), offer, rights).unwrap();
        guest.id = Some(joined.participant);
        guest.peer.accept_answer(self.now, &joined.answer.sdp).unwrap();
        self.guests.push(guest);
        self.settle();
        index
    }

    pub fn try_join(&mut self, name: &str, offer: String, rights: Rights) -> Result<Joined, Refusal> {
        let join = Join {
            kind: Kind::Participant,
            offer,
            name: name.into(),
            identity: None,
            view: None,
            role: None,
            rights,
            limits: Default::default(),
        };
        self.ask(|reply| Request::Join(Box::new(join), reply))
    }

    /// Asks the conference as the API does.
    pub fn ask<T>(&mut self, request: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Request) -> Result<T, Refusal> {
        let (reply, mut answer) = oneshot::channel();
        self.conference.handle_request(self.now, SystemTime::UNIX_EPOCH + self.at(), request(reply));
        self.settle();
        answer.try_recv().expect("answered at once")
    }

    /// Begins to record `main`, waiting for the thread that does it.
    pub fn record(&mut self, new: NewRecording) -> Result<RecordingId, Refusal> {
        let (reply, mut answer) = oneshot::channel();
        let request = Request::Record { recording: Box::new(new), reply };
        self.conference.handle_request(self.now, SystemTime::UNIX_EPOCH + self.at(), request);
        self.settle();
        loop {
            if let Ok(begun) = answer.try_recv() {
                return begun.map(|manifest| manifest.id);
            }
            self.await_recording();
        }
    }

    pub fn act(&mut self, recording: RecordingId, action: Action) -> Result<mixdown::record::State, Refusal> {
        self.ask(|reply| Request::ActOnRecording { recording, action, reply }).map(|manifest| manifest.state)
    }

    /// Waits until a recording that was stopped is closed, and gives the events of recordings on the way.
    pub fn await_end(&mut self, recording: RecordingId) -> Vec<RoomEvent> {
        let mut told = Vec::new();
        loop {
            let events = std::iter::from_fn(|| self.events.try_recv().ok()).filter(|event| event.kind.starts_with("recording."));
            told.extend(events);
            let ended = |event: &RoomEvent| event.data["recording"]["id"] == recording.to_string() && event.data["reason"].is_string();
            if told.iter().any(ended) {
                return told;
            }
            self.await_recording();
        }
    }

    /// Waits until a recording that nobody asked for has begun.
    pub fn await_first_recording(&mut self) {
        while !self.take_events().contains(&"recording.started") {
            self.await_recording();
        }
    }

    /// Takes the next thing that a recording's thread tells.
    fn await_recording(&mut self) {
        let input = soon(self.inputs.recv()).expect("the conference holds the other end");
        self.conference.handle_input(self.now, SystemTime::UNIX_EPOCH + self.at(), input);
        self.settle();
    }

    /// The room ends, and takes all that is in it along.
    pub fn end(mut self) {
        self.inputs.close();
        self.conference.ended(SystemTime::UNIX_EPOCH + self.at(), false);
    }

    pub fn participant(&mut self, guest: usize) -> Result<ParticipantView, Refusal> {
        let participant = self.guests[guest].id.unwrap();
        self.ask(|reply| Request::Participant { participant, reply })
    }

    /// What the server believes a guest's link to carry.
    pub fn estimate(&mut self, guest: usize) -> Option<u32> {
        let (sender, answer) = std::sync::mpsc::channel();
        let reply = Box::new(move |stats: Option<mixdown::peer::types::Stats>| _ = sender.send(stats));
        let participant = self.guests[guest].id?;
        self.hub.handle_command(self.now, net::Command::Stats { participant, reply });
        answer.try_recv().ok()??.estimate_bps
    }

    /// A new offer with these changes, and its answer.
    pub fn reoffer(&mut self, guest: usize, changes: &[mixdown::client::Change]) {
        let participant = self.guests[guest].id.unwrap();
        let sdp = self.guests[guest].peer.reoffer(changes).unwrap();
        let answer = self.ask(|reply| Request::Offer { participant, sdp, reply }).unwrap();
        self.guests[guest].peer.accept_answer(self.now, &answer.sdp).unwrap();
        self.settle();
    }

    pub fn trickle(&mut self, guest: usize, fragment: String) -> Option<mixdown::peer::types::Answer> {
        let participant = self.guests[guest].id.unwrap();
        self.ask(|reply| Request::Trickle { participant, fragment, if_match: None, reply }).unwrap()
    }

    pub fn patch(&mut self, guest: usize, patch: ParticipantPatch) {
        let participant = self.guests[guest].id.unwrap();
        self.ask(|reply| Request::Patch { participant, patch: Box::new(patch), reply }).unwrap();
    }

    pub fn leave(&mut self, guest: usize) {
        let participant = self.guests[guest].id.unwrap();
        self.ask(|reply| Request::Leave { participant, reason: mixdown::peer::types::CloseReason::Left, reply }).unwrap();
        self.guests[guest].gone = true;
    }

    /// A stage that the room cannot be without has died.
    pub fn fail(&mut self, unit: &'static str) {
        self.watch.event(StageEvent::Failed(unit));
        self.settle();
    }

    pub fn links(&mut self, guest: usize, up: Link, down: Link) {
        self.guests[guest].up.link = up;
        self.guests[guest].down.link = down;
    }

    /// Runs for this long.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
            if self.traces.due(self.now) {
                let mut traces = std::mem::replace(&mut self.traces, Traces::new());
                traces.note(self);
                self.traces = traces;
            }
        }
        self.now = end;
        self.step();
    }

    pub fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Runs until everybody is connected; panics after `patience`.
    pub fn connect(&mut self, patience: Duration) {
        let end = self.now + patience;
        while self.guests.iter().any(|guest| !guest.gone && guest.record.connected.is_none()) {
            assert!(self.now < end, "not everybody connected within {patience:?}");
            self.run_ms(20);
        }
    }

    fn next(&mut self) -> Option<Instant> {
        let guests = self.guests.iter().filter(|guest| !guest.gone);
        let guests = guests.flat_map(|guest| guest.next_send().into_iter().chain(Some(guest.timeout)));
        let next = guests.min();
        let mix = self.mix_cadence.time(self.mix_tick);
        let view = self.schedule.step(self.now);
        [next, self.network.next_arrival(), self.hub_timeout, self.conference.poll_timeout(), Some(mix), Some(view)]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(packet) = self.network.deliver(now) {
            self.deliver(packet);
        }
        self.of_guests(|world| {
            for guest in world.guests.iter_mut().filter(|guest| !guest.gone) {
                guest.send(now);
                guest.peer.handle_timeout(now);
            }
        });
        // As the driver does, whatever was there.
        self.hub.handle_timeout(now);
        if self.conference.poll_timeout().is_some_and(|at| at <= now) {
            self.conference.handle_timeout(now, SystemTime::UNIX_EPOCH + self.at());
        }
        while self.mix_cadence.time(self.mix_tick) <= now {
            self.mix_once();
        }
        self.schedule.step(now);
        self.settle();
    }

    fn mix_once(&mut self) {
        while let Ok(input) = self.mix_inputs.try_recv() {
            self.mix.handle(input);
        }
        let watch = Arc::clone(&self.watch);
        self.mix.tick(self.now, self.mix_tick, &mut |event| watch.event(StageEvent::Mix(event)));
        self.mix_tick += 1;
    }

    fn deliver(&mut self, packet: Packet) {
        let server: SocketAddr = SERVER.parse().unwrap();
        if packet.to == server {
            let datagram = Datagram { transport: Transport::Udp, source: packet.from, destination: server, contents: &packet.contents };
            self.hub.handle_datagram(self.now, &datagram);
            return;
        }
        self.of_guests(|world| {
            if let Some(guest) = world.guests.iter_mut().find(|guest| guest.public == packet.to && !guest.gone) {
                guest.receive(world.now, packet.from, &packet.contents);
            }
        });
    }

    /// Does what is not the server's work.
    fn of_guests(&mut self, work: impl FnOnce(&mut Self)) {
        let began = mixdown::runtime::clock::now();
        work(self);
        self.guests_took += mixdown::runtime::clock::now() - began;
    }

    /// Moves everything that is ready until nothing is.
    fn settle(&mut self) {
        let (now, wall) = (self.now, SystemTime::UNIX_EPOCH + self.at());
        loop {
            let mut moved = false;
            while let Ok(command) = self.commands.try_recv() {
                self.hub.handle_command(now, command);
                moved = true;
            }
            while let Ok(input) = self.inputs.try_recv() {
                self.conference.handle_input(now, wall, input);
                moved = true;
            }
            self.transmit();
            if !moved {
                return;
            }
        }
    }

    fn transmit(&mut self) {
        let now = self.now;
        loop {
            let transmit = match self.hub.poll_output() {
                hub::Output::Transmit(transmit) => transmit,
                hub::Output::Route(_) => continue,
                hub::Output::Timeout(at) => {
                    self.hub_timeout = at;
                    break;
                }
            };
            let packet = Packet { from: transmit.source, to: transmit.destination, contents: transmit.contents.to_vec() };
            if let Some(guest) = self.guests.iter_mut().find(|guest| guest.public == packet.to) {
                self.network.send(now, &mut guest.down, packet);
            }
        }
        self.of_guests(|world| {
            for guest in world.guests.iter_mut().filter(|guest| !guest.gone) {
                for (to, contents) in guest.drain(now) {
                    let packet = Packet { from: guest.public, to, contents };
                    world.network.send(now, &mut guest.up, packet);
                }
            }
        });
    }

    /// What `viewer` saw since `from`.
    pub fn sights(&self, viewer: usize, from: Instant) -> impl Iterator<Item = &Sight> {
        self.guests[viewer].record.sights.iter().filter(move |sight| sight.at >= from)
    }

    /// How well `viewer` sees `shown` since `from`.
    pub fn quality(&self, viewer: usize, shown: usize, from: Instant) -> Quality {
        let id = self.guests[shown].id.unwrap();
        let fps = self.guests[shown].profile.fps as f64;
        let mut frames: Vec<(Instant, u16)> = Vec::new();
        let mut wrong = 0;
        for sight in self.sights(viewer, from) {
            for (_, code) in sight.codes.iter().filter(|(tile, _)| *tile == id) {
                match code {
                    Some(code) if code.person != self.guests[shown].profile.person => wrong += 1,
                    Some(code) if frames.last().is_none_or(|(_, frame)| *frame != code.frame) => frames.push((sight.at, code.frame)),
                    Some(_) | None => {}
                }
            }
        }
        let end = self.now;
        let times: Vec<Instant> = std::iter::once(from).chain(frames.iter().map(|(at, _)| *at)).chain([end]).collect();
        let longest_freeze = times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default();
        let seconds = (end - from).as_secs_f64();
        let ages: Vec<f64> = frames
            .iter()
            .map(|(at, frame)| {
                let sent = self.guests[shown].frame_at(*at) as i64;
                ((sent - i64::from(*frame)).rem_euclid(4096)) as f64 * 1000.0 / fps
            })
            .collect();
        let mut sorted = ages.clone();
        sorted.sort_by(f64::total_cmp);
        Quality {
            share: frames.len() as f64 / (seconds * fps),
            longest_freeze,
            // A number that was never sent, or long ago, is that of a picture put together from several.
            wrong: wrong + ages.iter().filter(|age| **age > 3000.0).count(),
            median_age_ms: sorted.get(sorted.len() / 2).copied().unwrap_or(f64::MAX),
            backwards: frames.windows(2).filter(|pair| (pair[1].1.wrapping_sub(pair[0].1) & 4095) > 2048).count(),
        }
    }

    /// Amplitude of `singer`'s tone in `listener`'s ear over the last `ms`.
    pub fn hears(&self, listener: usize, singer: usize, ms: usize) -> f64 {
        let sound = &self.guests[listener].record.sound;
        let tail = &sound[sound.len().saturating_sub(ms * 96)..];
        crate::content::loudness(tail, crate::content::tone(self.guests[singer].profile.person))
    }

    /// Names of the room's events so far that were not yet taken.
    pub fn take_events(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.events.try_recv().ok()).map(|event| event.kind).collect()
    }
}

/// Waits in real time, for threads that know no other.
pub fn soon<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.expect("within 30 s") })
}

/// How one sender looks in somebody's composite.
#[derive(Debug, Clone, Copy)]
pub struct Quality {
    /// Different frames seen, as a share of those sent.
    pub share: f64,
    pub longest_freeze: Duration,
    /// Valid codes of somebody else in this tile, or of no picture that was sent of late.
    pub wrong: usize,
    pub median_age_ms: f64,
    /// Times that an older frame followed a newer one.
    pub backwards: usize,
}
