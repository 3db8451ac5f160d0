//! One recording as it runs: which media belong to it, and when in it they are.
//!
//! A recording begins with its first keyframe. Times are the room's own ticks, moved as a whole: picture and sound stay in
//! step, nothing adds up, and clocks play no part. A pause that is cut out moves them once more; one that shows a slate does
//! not. Sound that belongs to the first picture comes before it (pictures take longer to encode) and is kept for it.
//!
//! Flow: `handle(item) → poll_output()*`. After [`Output::End`] nothing is taken any more. Knows no file, thread or clock.

use super::manifest::{Reason, State, Video};
use super::mp4::fragment::{Fragment, Fragmenter};
use super::mp4::{Error, Kind, Ticks};
use super::queue::{Command, Item};
use super::timeline::{Line, PauseMode, TimelineEvent};
use super::tracks::stage::{self, Tracks};
use super::tracks::{Medium, Mode, Unit};
use crate::media::{AudioOut, VideoOut};
use crate::room::Framing;
use crate::runtime::clock::rfc3339;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// Packets kept while the first picture is waited for: two seconds.
const MOST_HELD: usize = 100;
/// What a packet of the mix lasts.
const PACKET: Ticks = Ticks::from_ms(20);
/// In silence the mix sends a packet now and then (DTX). Players that put each packet's sound right behind the one before would be ahead of the picture from
/// then on, so what is missing between two is written: holes up to this long.
const SILENT: Ticks = Ticks::from_ms(1_000);
/// 20 ms of it, stereo (RFC 6716 §3.1: CELT, full band).
const SILENCE: &[u8] = &[0xfc, 0xff, 0xfe];
/// What a picture lasts at most where nothing follows it.
const PICTURE: Ticks = Ticks::from_ms(100);
/// [`Options::sound_late`] of a room's mix: the look-ahead of its limiter (2.5 ms) and of Opus (6.5 ms).
pub const MIX_LATE: Ticks = Ticks::from_ms(9);
/// By which the first unit of a recording without composite may still turn out to be earlier.
const EARLIER: Ticks = Ticks::from_ms(100);

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Of a fragment, at most.
    pub fragment: Duration,
    /// The recording ends by itself.
    pub max_duration: Option<Duration>,
    pub tracks: Mode,
    /// How much later than its packets' times the mix is heard; its packets are placed so much earlier.
    pub sound_late: Ticks,
}

/// What is to be done, in order.
#[derive(Debug, Clone)]
pub enum Output {
    /// The file begins.
    Head {
        bytes: Vec<u8>,
        video: Video,
    },
    Fragment(Fragment),
    /// Of participants' own tracks.
    Track(stage::Output),
    Line(Line),
    State(State),
    /// A picture could not be used; the next one must be a keyframe.
    Broken,
    /// All is told.
    /// What it is of from now on.
    Framing(Box<Framing>),
    End {
        reason: Reason,
        duration: Ticks,
    },
}

/// See the module.
pub struct Session {
    options: Options,
    phase: Phase,
    file: Option<(VideoCodec, Fragmenter)>,
    /// The room's time at which the media's time is `base`.
    origin: Ticks,
    base: Ticks,
    held: VecDeque<AudioOut>,
    video: Track,
    audio: Track,
    tracks: Tracks,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For a keyframe.
    Waiting(Begin),
    Running,
    /// And how it will begin again.
    Paused(Begin),
    Ended,
}

/// When in the media the next keyframe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    First,
    /// At once after what there is.
    Next,
    /// At its own time.
    AsBefore,
}

#[derive(Debug, Default)]
struct Track {
    /// When the newest unit begins and ends; `None`: there is none.
    newest: Option<(Ticks, Ticks)>,
    /// Nothing before a keyframe.
    broken: bool,
    /// Not yet told.
    lost: u64,
    units: u64,
    lost_in_all: u64,
}

impl Session {
    pub fn new(options: Options) -> Self {
        Self {
            tracks: Tracks::new(options.fragment),
            options,
            phase: Phase::Waiting(Begin::First),
            file: None,
            origin: Ticks::default(),
            base: Ticks::default(),
            held: VecDeque::new(),
            video: Track::default(),
            audio: Track::default(),
            outputs: VecDeque::new(),
        }
    }

    /// `wall`: the time on the wall, for the timeline of what has none of its own.
    pub fn handle(&mut self, item: Item, wall: SystemTime) {
        match item {
            _ if self.phase == Phase::Ended => {}
            Item::Picture { picture, lost } => self.picture(&picture, lost, wall),
            Item::Packet { packet, lost } => self.packet(packet, lost, wall),
            Item::Unit { unit, lost } => self.unit(unit, lost, wall),
            Item::Lost { track: Kind::Video, units } => self.video.lose(units),
            Item::Lost { track: Kind::Audio, units } => self.audio.lose(units),
            Item::Note { event, rtp_time, wall } => {
                let at = rtp_time.and_then(|time| self.place(Ticks::of(Kind::Video, time)));
                self.tell(at.unwrap_or(self.duration()), event, wall);
            }
            Item::Command { command: Command::Pause { mode, slate }, wall } => self.pause(mode, slate.as_deref(), wall),
            Item::Command { command: Command::Resume, .. } => self.resume(),
            Item::Command { command: Command::Frame(framing), .. } => self.outputs.push_back(Output::Framing(framing)),
            Item::Command { command: Command::Stop(reason), wall } => self.stop(reason, wall),
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How long the media are so far.
    pub fn duration(&self) -> Ticks {
        let own = if self.options.tracks.has_composite() { Ticks::default() } else { self.tracks.end() };
        self.video.end().max(self.audio.end()).max(own)
    }

    /// Looks after tracks that have fallen silent; `now` on the room's clock.
    pub fn tick(&mut self, now: Ticks, wall: SystemTime) {
        if self.phase == Phase::Running {
            let (origin, base) = (self.origin, self.base);
            self.tracks.tick(now, wall, &|room| place(origin, base, room));
            self.tell_tracks();
        }
    }

    /// Pictures or packets so far: taken, and lost.
    pub fn count(&self, kind: Kind) -> (u64, u64) {
        let track = if kind == Kind::Video { &self.video } else { &self.audio };
        (track.units, track.lost_in_all)
    }

    fn picture(&mut self, picture: &VideoOut, lost: u64, wall: SystemTime) {
        let room = Ticks::of(Kind::Video, picture.rtp_time);
        let begin = match self.phase {
            Phase::Waiting(_) if !picture.keyframe => return,
            Phase::Waiting(begin) => Some(begin),
            Phase::Running => None,
            Phase::Paused(_) | Phase::Ended => return,
        };
        self.video.lose(lost);
        if self.video.broken && !picture.keyframe {
            return self.refuse(Kind::Video, "recording_broken");
        }
        if begin == Some(Begin::First) && !self.open(picture, wall) {
            return self.refuse(Kind::Video, "recording_unit");
        }
        if let Some(begin) = begin {
            self.anchor(begin, room);
        }
        let Some((_, fragmenter)) = self.file.as_mut().filter(|(codec, _)| *codec == picture.codec) else {
            return self.refuse(Kind::Video, "recording_codec");
        };
        let Some(at) = place(self.origin, self.base, room) else { return self.refuse(Kind::Video, "recording_order") };
        let result = fragmenter.video(at, &picture.data, picture.keyframe);
        if !self.accept(Kind::Video, at, result, wall) {
            return;
        }
        self.video.broken = false;
        if let Some(begin) = begin.filter(|_| self.phase != Phase::Ended) {
            self.phase = Phase::Running;
            let event = if begin == Begin::First { TimelineEvent::Started } else { TimelineEvent::Resumed };
            self.tell(at, event, wall);
            self.outputs.push_back(Output::State(State::Active));
            std::mem::take(&mut self.held).iter().for_each(|packet| self.sound(packet, wall));
        }
    }

    /// A participant's own. Where there is no composite, the recording begins with the first of them.
    fn unit(&mut self, unit: Unit, lost: u64, wall: SystemTime) {
        let begins = !matches!(&unit.medium, Medium::Picture(picture) if !picture.keyframe);
        match self.phase {
            Phase::Running => {}
            Phase::Waiting(begin) if begins && !self.options.tracks.has_composite() => {
                self.anchor(begin, unit.at.since(EARLIER));
                self.phase = Phase::Running;
                let event = if begin == Begin::First { TimelineEvent::Started } else { TimelineEvent::Resumed };
                self.tell(self.duration(), event, wall);
                self.outputs.push_back(Output::State(State::Active));
            }
            Phase::Waiting(_) => return self.outputs.push_back(Output::Track(stage::Output::Broken(unit.track()))),
            Phase::Paused(_) | Phase::Ended => return,
        }
        let (origin, base) = (self.origin, self.base);
        self.tracks.handle(unit, lost, &|room| place(origin, base, room), wall);
        self.tell_tracks();
        self.end_in_time(wall);
    }

    fn tell_tracks(&mut self) {
        while let Some(output) = self.tracks.poll_output() {
            self.outputs.push_back(Output::Track(output));
        }
    }

    fn end_in_time(&mut self, wall: SystemTime) {
        if self.options.max_duration.is_some_and(|most| self.duration() >= Ticks::from_ms(most.as_millis() as u64)) {
            self.stop(Reason::MaxDuration, wall);
        }
    }

    /// Makes the file. False: the keyframe cannot be read.
    fn open(&mut self, picture: &VideoOut, wall: SystemTime) -> bool {
        if self.file.is_some() {
            return true;
        }
        let Ok((fragmenter, head)) = Fragmenter::new(picture.codec, &picture.data, self.options.fragment, wall) else { return false };
        let video = Video { codec: picture.codec.name().to_owned(), width: head.width, height: head.height };
        self.file = Some((picture.codec, fragmenter));
        self.outputs.push_back(Output::Head { bytes: head.bytes, video });
        true
    }

    fn anchor(&mut self, begin: Begin, room: Ticks) {
        if begin == Begin::AsBefore {
            return;
        }
        // Whole units in both tracks: neither is ever rounded.
        self.origin = Ticks(room.0 / Ticks::COMMON * Ticks::COMMON);
        self.base = Ticks(self.duration().0.next_multiple_of(Ticks::COMMON));
    }

    fn place(&self, room: Ticks) -> Option<Ticks> {
        place(self.origin, self.base, room).filter(|_| self.file.is_some())
    }

    fn packet(&mut self, packet: AudioOut, lost: u64, wall: SystemTime) {
        if packet.codec != AudioCodec::Opus {
            return self.refuse(Kind::Audio, "recording_codec");
        }
        match self.phase {
            Phase::Waiting(_) => {
                if self.held.len() == MOST_HELD {
                    self.held.pop_front();
                }
                self.held.push_back(packet);
            }
            Phase::Running => {
                self.audio.lose(lost);
                self.sound(&packet, wall);
            }
            Phase::Paused(_) | Phase::Ended => {}
        }
    }

    /// Sound from before the first picture is no part of the recording.
    fn sound(&mut self, packet: &AudioOut, wall: SystemTime) {
        let heard = Ticks::of(Kind::Audio, packet.rtp_time).since(self.options.sound_late);
        let Some(at) = self.place(heard) else { return };
        self.fill(at, wall);
        let Some((_, fragmenter)) = &mut self.file else { return };
        let result = fragmenter.audio(at, &packet.data);
        self.accept(Kind::Audio, at, result, wall);
    }

    /// Writes the silence before `at`. What was lost is no silence, and told of.
    fn fill(&mut self, at: Ticks, wall: SystemTime) {
        while let Some((_, end)) = self.audio.newest.filter(|(_, end)| end.plus(PACKET) <= at && at.since(*end) <= SILENT) {
            let Some((_, fragmenter)) = self.file.as_mut().filter(|_| self.audio.lost == 0) else { return };
            let result = fragmenter.audio(end, SILENCE);
            if !self.accept(Kind::Audio, end, result, wall) {
                return;
            }
        }
    }

    /// False: the unit is no part of the recording.
    fn accept(&mut self, kind: Kind, at: Ticks, result: Result<Option<Fragment>, Error>, wall: SystemTime) -> bool {
        let fragment = match result {
            Ok(fragment) => fragment,
            Err(Error::Unit(_)) => {
                self.refuse(kind, "recording_unit");
                return false;
            }
            Err(Error::Order) => {
                self.refuse(kind, "recording_order");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "a recording cannot go on");
                self.end(Reason::InternalError);
                return false;
            }
        };
        let (track, longest) = if kind == Kind::Video { (&mut self.video, PICTURE) } else { (&mut self.audio, PACKET) };
        let (from, lost) = (track.end(), std::mem::take(&mut track.lost));
        let gap = track.newest.filter(|_| lost > 0);
        let step = track.newest.map_or(longest, |(begin, _)| at.since(begin).min(longest));
        track.newest = Some((at, at.plus(step)));
        track.units += 1;
        self.outputs.extend(fragment.map(Output::Fragment));
        if gap.is_some() {
            let event = TimelineEvent::Gap { track: kind, from_ms: from.ms().min(at.ms()), to_ms: at.ms(), lost };
            self.tell(at, event, wall);
        }
        self.end_in_time(wall);
        true
    }

    fn refuse(&mut self, kind: Kind, reason: &'static str) {
        metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
        match kind {
            Kind::Video => {
                self.video.lose(1);
                self.video.broken = true;
                self.outputs.push_back(Output::Broken);
            }
            Kind::Audio => self.audio.lose(1),
        }
    }

    fn pause(&mut self, mode: PauseMode, slate: Option<&[u8]>, wall: SystemTime) {
        let begin = match (self.phase, mode) {
            (Phase::Waiting(Begin::First), _) => Begin::First,
            (Phase::Waiting(Begin::Next), _) | (Phase::Waiting(Begin::AsBefore) | Phase::Running, PauseMode::Cut) => Begin::Next,
            (Phase::Waiting(Begin::AsBefore) | Phase::Running, PauseMode::Slate) => Begin::AsBefore,
            (Phase::Paused(_) | Phase::Ended, _) => return,
        };
        let at = self.duration();
        if self.phase == Phase::Running {
            let (origin, base) = (self.origin, self.base);
            self.tracks.pause(&|room| place(origin, base, room), wall);
            self.tell_tracks();
            self.flush(at, wall);
            if let Some(slate) = slate.filter(|_| mode == PauseMode::Slate) {
                self.show(slate, at);
            }
        }
        if self.phase == Phase::Ended {
            return;
        }
        self.held.clear();
        self.phase = Phase::Paused(begin);
        self.tell(at, TimelineEvent::Paused { mode }, wall);
        self.outputs.push_back(Output::State(State::Paused));
    }

    fn show(&mut self, slate: &[u8], at: Ticks) {
        let Some((_, fragmenter)) = &mut self.file else { return };
        match fragmenter.video(at, slate, true) {
            Ok(fragment) => {
                self.video.newest = Some((at, at));
                self.video.units += 1;
                self.outputs.extend(fragment.map(Output::Fragment));
            }
            Err(_) => metrics::counter!("mixdown_drops_total", "reason" => "recording_slate").increment(1),
        }
    }

    fn resume(&mut self) {
        let Phase::Paused(begin) = self.phase else { return };
        self.phase = Phase::Waiting(begin);
        let state = if begin == Begin::First { State::Starting } else { State::Active };
        self.outputs.push_back(Output::State(state));
    }

    fn stop(&mut self, reason: Reason, wall: SystemTime) {
        let (origin, base) = (self.origin, self.base);
        self.tracks.stop(&|room| place(origin, base, room), wall);
        self.tell_tracks();
        let at = self.duration();
        self.flush(at, wall);
        if self.phase == Phase::Ended {
            return;
        }
        let nothing = self.file.is_none() && self.tracks.is_empty();
        let reason = if nothing && reason.state() == State::Complete { Reason::NoPicture } else { reason };
        self.tell(at, TimelineEvent::Stopped { reason: reason.name().to_owned() }, wall);
        self.end(reason);
    }

    /// All that waits lasts until `at`; what was lost since is told.
    fn flush(&mut self, at: Ticks, wall: SystemTime) {
        for (track, kind) in [(&mut self.video, Kind::Video), (&mut self.audio, Kind::Audio)] {
            let lost = std::mem::take(&mut track.lost);
            if lost > 0 && track.newest.is_some() {
                let event = TimelineEvent::Gap { track: kind, from_ms: track.end().ms(), to_ms: at.ms(), lost };
                self.outputs.push_back(line(at, event, wall));
            }
        }
        let Some((_, fragmenter)) = &mut self.file else { return };
        match fragmenter.flush(at) {
            Ok(fragment) => self.outputs.extend(fragment.map(Output::Fragment)),
            Err(error) => {
                tracing::error!(%error, "a recording cannot go on");
                self.end(Reason::InternalError);
            }
        }
    }

    fn end(&mut self, reason: Reason) {
        self.phase = Phase::Ended;
        self.held.clear();
        self.outputs.push_back(Output::End { reason, duration: self.duration() });
    }

    fn tell(&mut self, at: Ticks, event: TimelineEvent, wall: SystemTime) {
        self.outputs.push_back(line(at, event, wall));
    }
}

fn line(at: Ticks, event: TimelineEvent, wall: SystemTime) -> Output {
    Output::Line(Line { at_ms: at.ms(), wall: rfc3339(wall), event })
}

impl Track {
    fn end(&self) -> Ticks {
        self.newest.map_or(Ticks::default(), |(_, end)| end)
    }

    fn lose(&mut self, lost: u64) {
        self.lost += lost;
        self.lost_in_all += lost;
    }
}

/// The media's time of a time of the room; `None`: before the beginning.
fn place(origin: Ticks, base: Ticks, room: Ticks) -> Option<Ticks> {
    (room >= origin).then(|| base.plus(room.since(origin)))
}

#[cfg(test)]
mod tests;
