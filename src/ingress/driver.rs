//! One ingress as it runs: a task that starts the child, lets go of what is due, and tries again where it broke off.
//!
//! Everything that takes time (a name server, the child's end) is awaited beside what is due, never before it.

use super::arguments::{arguments, complaint, duration};
use super::child::{Prepared, Running, prepare, read};
use super::matroska::{Element, Tracks};
use super::outlets::Outlets;
use super::queue::{Queue, Unit};
use super::relay::Relay;
use super::source::{Media, scrubbed};
use super::transport::Transport;
use super::{Command, Event, Report, Settings, State};
use crate::ids::IngressId;
use crate::process::{self, Tail};
use crate::runtime::clock;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A canvas shows what is due at its next beat, half a picture late on average (17 ms), and the mix is placed by its look-ahead earlier (9); sound waits 4 to 24 for
/// packets to end where blocks do (`audio::jitter`). So much earlier are pictures due, and shown at the beat that is nearest to their sound.
const NEAREST: Duration = Duration::from_millis(12);
/// Commands that wait.
const COMMANDS: usize = 16;
/// How long a child runs for nobody.
const LINGER: Duration = Duration::from_secs(3);
/// How long a child may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Waits between tries double, from the first up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// What has flowed for so long has recovered.
const RECOVERED: Duration = Duration::from_secs(5);
/// A film that ends this much before its end was cut off.
const CUT_OFF: Duration = Duration::from_secs(2);

/// What is played, and how it begins.
#[derive(Debug, Clone)]
pub struct Start {
    pub id: IngressId,
    pub media: Media,
    pub transport: Transport,
}

/// Starts an ingress; it ends when the sender is dropped. Must be called on the tokio runtime.
pub fn start(settings: Arc<Settings>, start: Start, outlets: Outlets, report: Arc<dyn Report>) -> mpsc::Sender<Command> {
    let (sender, commands) = mpsc::channel(COMMANDS);
    tokio::spawn(Driver::new(settings, start, outlets, report).run(commands));
    sender
}

struct Driver {
    settings: Arc<Settings>,
    id: IngressId,
    media: Media,
    transport: Transport,
    outlets: Outlets,
    report: Arc<dyn Report>,
    queue: Queue,
    child: Option<Running>,
    /// What is being got ready: its address, its relay.
    preparing: Option<oneshot::Receiver<Result<Prepared, String>>>,
    relay: Option<Relay>,
    tracks: Option<Tracks>,
    /// A live stream is asked for again.
    again: bool,
    wanted: bool,
    unwanted_since: Instant,
    /// The picture at the position is wanted, though it pauses.
    cue: bool,
    /// The child has come to the end of what is played, and the rest is let go of.
    ending: bool,
    /// It has flowed.
    begun: bool,
    tries: u32,
    failing_since: Option<Instant>,
    next_try: Option<Instant>,
    reason: Option<String>,
    told: Option<(State, Transport)>,
}

enum Step {
    Command(Option<Command>),
    Line(Option<String>),
    Element(Option<Element>),
    Ended(Option<ExitStatus>),
    Prepared(Result<Prepared, String>),
    Time,
}

impl Driver {
    fn new(settings: Arc<Settings>, start: Start, outlets: Outlets, report: Arc<dyn Report>) -> Self {
        Self {
            settings,
            id: start.id,
            media: start.media,
            transport: start.transport,
            outlets,
            report,
            queue: Queue::default(),
            child: None,
            preparing: None,
            relay: None,
            tracks: None,
            again: false,
            wanted: false,
            unwanted_since: clock::now(),
            cue: !start.transport.playing,
            ending: false,
            begun: false,
            tries: 0,
            failing_since: None,
            next_try: None,
            reason: None,
            told: None,
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        if let Media::Picture(frame) = &self.media {
            let (size, frame) = (frame.size(), Arc::clone(frame));
            self.report.event(self.id, Event::Opened { picture: Some(size), sound: false });
            self.outlets.show(frame, clock::now(), clock::now());
            self.transport.run(clock::now());
            self.begun = true;
        }
        let (state, reason) = loop {
            let now = clock::now();
            if let Some(end) = self.step(now) {
                break end;
            }
            self.tell();
            let step = self.wait(&mut commands, now).await;
            let now = clock::now();
            let end = match step {
                Step::Command(None) => Some((State::Complete, "stopped".to_owned())),
                Step::Command(Some(command)) => self.command(command, now),
                Step::Line(line) => self.line(line),
                Step::Element(Some(element)) => self.element(element, now),
                Step::Element(None) => self.closes(),
                Step::Ended(status) => self.ended(status, now),
                Step::Prepared(Ok(prepared)) => self.launch(prepared, now),
                Step::Prepared(Err(reason)) => self.fail(reason, now),
                Step::Time => None,
            };
            if let Some(end) = end {
                break end;
            }
        };
        self.transport.hold(clock::now());
        self.report.event(self.id, Event::Ended { state, transport: self.transport, reason });
    }

    /// Waits for what comes next.
    async fn wait(&mut self, commands: &mut mpsc::Receiver<Command>, now: Instant) -> Step {
        let wake = self.next(now);
        let wants = self.queue.wants(now);
        let (lines, elements, end) = match &mut self.child {
            Some(Running { child, elements, end, .. }) => (
                child.as_mut().map(|child| &mut child.lines).filter(|lines| !lines.is_closed() || !lines.is_empty()),
                elements.as_mut().filter(|_| wants),
                end.as_mut(),
            ),
            None => (None, None, None),
        };
        tokio::select! {
            biased;
            command = commands.recv() => Step::Command(command),
            prepared = answer(self.preparing.as_mut()) => {
                self.preparing = None;
                Step::Prepared(prepared.unwrap_or_else(|| Err("an internal error".into())))
            }
            line = next(lines) => Step::Line(line),
            element = next(elements) => Step::Element(element),
            status = answer(end) => Step::Ended(status.flatten()),
            () = tokio::time::sleep_until(wake.into()) => Step::Time,
        }
    }

    /// When [`Self::step`] has something to do next.
    fn next(&self, now: Instant) -> Instant {
        let stalls = self.child.as_ref().filter(|child| child.elements.is_some()).map(|child| child.heard + self.settings.stall);
        let idles = self.child.as_ref().filter(|_| !self.wanted).map(|_| self.unwanted_since + LINGER);
        let due = [stalls, idles, self.outlets.next(), self.queue.next(), self.next_try, self.transport.end()];
        // What is due now has been done.
        due.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(now + Duration::from_secs(3600))
    }

    /// Does what is due. `Some`: it is over.
    fn step(&mut self, now: Instant) -> Option<(State, String)> {
        if let Some(child) = self.child.as_mut().filter(|_| !self.queue.wants(now)) {
            // It is not read: it can say nothing.
            child.heard = now;
        }
        self.play(now);
        self.outlets.show_again(now);
        if matches!(self.media, Media::Picture(_)) {
            return None;
        }
        let reading = self.child.as_ref().filter(|child| child.elements.is_some());
        if reading.is_some_and(|child| self.queue.wants(now) && child.heard + self.settings.stall <= now) {
            return self.fail(format!("nothing came for {} ms", self.settings.stall.as_millis()), now);
        }
        let (busy, over) = (self.child.is_some() || self.preparing.is_some(), self.ending && self.queue.is_over());
        if over && self.transport.is_looped() {
            self.transport.seek(Duration::ZERO);
            self.drop_child();
        } else if over || (!busy && !self.ending && self.transport.is_over(now)) {
            return Some((State::Complete, "end".to_owned()));
        }
        self.next_try = self.next_try.filter(|at| *at > now);
        match self.shall_run(now) {
            true if !busy && !self.ending && self.next_try.is_none() => self.prepare(),
            false if busy => {
                self.drop_child();
                // Nobody sees it: time goes on all the same.
                self.transport.run(now);
            }
            _ => {}
        }
        None
    }

    /// A stream that has been opened and did not say how long it is.
    fn is_live(&self) -> bool {
        self.tracks.is_some() && self.transport.duration.is_none() && matches!(self.media, Media::Url(_))
    }

    fn shall_run(&self, now: Instant) -> bool {
        let somebody = self.wanted || self.tracks.is_none() || now < self.unwanted_since + LINGER;
        self.cue || (self.transport.playing && somebody)
    }

    /// Lets go of what is due.
    fn play(&mut self, now: Instant) {
        if self.cue && !self.transport.playing {
            if let Some(frame) = self.queue.peek().cloned() {
                self.outlets.show(frame, now, now);
                (self.cue, self.reason) = (false, None);
            }
            return;
        }
        if self.queue.begin(now) {
            self.transport.run(now);
            (self.begun, self.cue, self.reason) = (true, false, None);
            if let Some(child) = &mut self.child {
                child.flows.get_or_insert(now);
            }
        }
        self.forgive(now);
        if self.queue.runs_dry(now) {
            self.transport.hold(now);
        }
        while let Some((due, unit)) = self.queue.pop(now) {
            match unit {
                Unit::Picture(frame) => self.outlets.show(frame, now, due.checked_sub(NEAREST).unwrap_or(due).max(now)),
                Unit::Sound(samples) => self.outlets.sound(samples, due, now),
            }
        }
    }

    fn command(&mut self, command: Command, now: Instant) -> Option<(State, String)> {
        match command {
            Command::Play => self.transport.playing = true,
            Command::Pause => {
                self.transport.pause(now);
                // Nothing is tried any more.
                (self.reason, self.tries, self.failing_since) = (None, 0, None);
                self.drop_child();
            }
            Command::Seek(position) => {
                self.transport.seek(position);
                self.drop_child();
                self.cue = true;
            }
            Command::Loop(looped) => self.transport.set_looped(looped, now),
            Command::Wanted(wanted) => {
                if self.wanted && !wanted {
                    self.unwanted_since = now;
                }
                self.wanted = wanted;
            }
        }
        None
    }

    /// Finds out where the child shall go to, beside everything else.
    fn prepare(&mut self) {
        let (sender, receiver) = oneshot::channel();
        let (media, private, relay) = (self.media.clone(), self.settings.private, self.relay.take());
        tokio::spawn(async move {
            // Nobody waits any more: that is their choice.
            let _ = sender.send(prepare(media, private, relay).await.map_err(|error| error.to_string()));
        });
        self.preparing = Some(receiver);
    }

    /// Starts the child.
    fn launch(&mut self, prepared: Prepared, now: Instant) -> Option<(State, String)> {
        self.relay = prepared.relay;
        let Some(program) = process::find(&self.settings.ffmpeg) else {
            return Some((State::Failed, format!("there is no {}: install ffmpeg, or set ingress.ffmpeg", self.settings.ffmpeg)));
        };
        self.again = self.is_live();
        let base = if self.again { Duration::ZERO } else { self.transport.position(now) };
        let proxy = self.relay.as_ref().map(|relay| format!("http://{}", relay.address)).unwrap_or_default();
        let environment = [("http_proxy", proxy.as_str())];
        let environment = if proxy.is_empty() { &[][..] } else { &environment[..] };
        let arguments = arguments(&self.settings, &prepared.media, base, self.outlets.shows());
        let started =
            process::start(&program, &arguments, environment, self.settings.memory_bytes).and_then(|(child, out)| Ok((child, read(out)?)));
        match started {
            Ok((child, elements)) => {
                metrics::counter!("mixdown_ingress_starts_total").increment(1);
                self.transport.hold(now);
                self.queue = Queue::new(self.tracks.is_some_and(|tracks| tracks.sound));
                self.child = Some(Running {
                    child: Some(child),
                    elements: Some(elements),
                    end: None,
                    tail: Tail::default(),
                    base,
                    newest: Duration::ZERO,
                    heard: now,
                    flows: None,
                });
                None
            }
            Err(error) => self.fail(format!("{}: {error}", self.settings.ffmpeg), now),
        }
    }

    /// What has flowed for a while has recovered from what failed before.
    fn forgive(&mut self, now: Instant) {
        if self.child.as_ref().and_then(|child| child.flows).is_some_and(|since| since + RECOVERED <= now) {
            (self.tries, self.failing_since) = (0, None);
        }
    }

    fn drop_child(&mut self) {
        (self.child, self.preparing, self.next_try, self.ending) = (None, None, None, false);
        self.queue = Queue::new(self.tracks.is_some_and(|tracks| tracks.sound));
    }

    fn line(&mut self, line: Option<String>) -> Option<(State, String)> {
        let (Some(line), Some(child)) = (line, &mut self.child) else { return None };
        if let Some(duration) = duration(&line) {
            if self.again {
                // What has a length now is what it left behind.
                return Some((State::Complete, "the stream has ended".to_owned()));
            }
            self.transport.duration.get_or_insert(duration);
        }
        if let Some(text) = complaint(&line) {
            child.tail.push(scrubbed(text));
        }
        None
    }

    fn element(&mut self, element: Element, now: Instant) -> Option<(State, String)> {
        let Some(child) = &mut self.child else { return None };
        child.heard = now;
        match element {
            Element::Tracks(found) => {
                let picture = found.picture.filter(|_| self.outlets.shows());
                if picture.is_none() && !found.sound {
                    return Some((State::Failed, "there is neither picture nor sound in it".to_owned()));
                }
                if self.tracks.replace(found).is_none() {
                    self.unwanted_since = now;
                }
                self.queue = Queue::new(found.sound);
                self.cue &= picture.is_some();
                self.report.event(self.id, Event::Opened { picture, sound: found.sound });
            }
            Element::Picture(time, frame) => {
                child.newest = child.newest.max(time);
                if self.outlets.shows() {
                    self.queue.push(time, Unit::Picture(frame));
                }
            }
            Element::Sound(time, samples) => {
                child.newest = child.newest.max(time);
                self.queue.push(time, Unit::Sound(samples));
            }
        }
        None
    }

    /// The child writes no more: it is waited for, while the rest is played.
    fn closes(&mut self) -> Option<(State, String)> {
        self.queue.end();
        let Some(running) = &mut self.child else { return None };
        running.elements = None;
        let mut child = running.child.take()?;
        // What it said last comes before its end.
        while let Ok(line) = child.lines.try_recv() {
            if let Some(text) = complaint(&line) {
                running.tail.push(scrubbed(text));
            }
        }
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move { _ = sender.send(child.end(END_WITHIN).await) });
        running.end = Some(receiver);
        None
    }

    /// The child has ended: at the end of what is played, or not.
    fn ended(&mut self, status: Option<ExitStatus>, now: Instant) -> Option<(State, String)> {
        self.child.as_mut()?.end = None;
        let running = self.child.as_ref()?;
        // A film over the network that ends early, with a word about it, was cut off.
        let early = self.transport.duration.is_some_and(|duration| running.base + running.newest + CUT_OFF < duration);
        let cut_off = early && running.tail.last().is_some() && matches!(self.media, Media::Url(_));
        let whole = self.tracks.is_some() && !cut_off && !self.is_live();
        let how = match status {
            Some(status) if status.success() && whole => return self.rest(now),
            Some(status) if status.success() => "it broke off".to_owned(),
            Some(status) => format!("{} has ended: {status}", self.settings.ffmpeg),
            None => format!("{} had to be killed", self.settings.ffmpeg),
        };
        let reason = running.tail.last().map_or(how.clone(), |said| format!("{how}: {said}"));
        self.fail(reason, now)
    }

    /// Plays what is left, then begins again or is over.
    fn rest(&mut self, now: Instant) -> Option<(State, String)> {
        let running = self.child.take()?;
        self.transport.duration.get_or_insert(running.base + running.newest);
        self.ending = true;
        self.play(now);
        None
    }

    /// It broke off: it is tried again from where it stood, or given up.
    fn fail(&mut self, reason: String, now: Instant) -> Option<(State, String)> {
        self.forgive(now);
        self.drop_child();
        self.transport.hold(now);
        metrics::counter!("mixdown_ingress_failures_total").increment(1);
        tracing::info!(ingress = %self.id, reason, "an ingress broke off");
        let since = *self.failing_since.get_or_insert(now);
        let hopeless = self.tracks.is_none() && matches!(self.media, Media::File(_));
        let wait = (FIRST_WAIT * 2u32.saturating_pow(self.tries.min(8))).min(LONGEST_WAIT);
        if hopeless || now + wait >= since + self.settings.retry {
            return Some((State::Failed, reason));
        }
        self.tries += 1;
        self.next_try = Some(now + wait);
        self.reason = Some(reason);
        None
    }

    fn state(&self) -> State {
        match () {
            () if self.reason.is_some() => State::Reconnecting,
            () if !self.transport.playing => State::Paused,
            () if self.begun => State::Playing,
            () => State::Starting,
        }
    }

    /// Tells what has changed.
    fn tell(&mut self) {
        let told = (self.state(), self.transport);
        if self.told != Some(told) {
            self.told = Some(told);
            self.report.event(self.id, Event::Changed { state: told.0, transport: told.1, reason: self.reason.clone() });
        }
    }
}

async fn next<T>(from: Option<&mut mpsc::Receiver<T>>) -> Option<T> {
    match from {
        Some(from) => from.recv().await,
        None => std::future::pending().await,
    }
}

async fn answer<T>(from: Option<&mut oneshot::Receiver<T>>) -> Option<T> {
    match from {
        Some(from) => from.await.ok(),
        None => std::future::pending().await,
    }
}
