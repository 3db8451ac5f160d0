//! The edge between the media plane and a recording's thread, which may wait for a disk. Nobody waits on this side.
//!
//! When it is full, pictures go first: from the one that does not fit to the next keyframe for which half of it is free, so
//! that what is taken can be decoded. Sound has a share of its own and goes last. What was lost is counted and told with
//! the next unit of the same track. The queue also says when the recording needs a keyframe.

use super::manifest::Reason;
use super::mp4::Kind;
use super::timeline::{PauseMode, TimelineEvent};
use super::tracks::gate::{Gates, Taken};
use super::tracks::{self, Unit};
use crate::ids::TrackId;
use crate::media::{AudioOut, VideoOut};
use crate::room::Framing;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Timeline events that wait at most, and commands.
const MOST_NOTES: usize = 1024;
const MOST_COMMANDS: usize = 64;
/// Shares of the mix that the sound of all tracks has.
const SOUND_OF_TRACKS: usize = 4;
const VIDEO_SCALE: u64 = 90_000;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of coded media that wait; a 32nd of it is for sound alone.
    pub bytes: usize,
    /// How long pictures wait at most.
    pub span: Duration,
    /// How often a keyframe is asked for: where players may begin.
    pub keyframe_every: Duration,
}

/// What a recording asks of whoever hands it pictures.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// It takes nothing before a keyframe, or is due one. Ask the encoder, as often as this is answered.
    Keyframe,
}

#[derive(Debug, Clone)]
pub enum Item {
    Picture {
        picture: VideoOut,
        lost: u64,
    },
    Packet {
        packet: AudioOut,
        lost: u64,
    },
    /// Of a participant's own track.
    Unit {
        unit: Unit,
        lost: u64,
    },
    /// What was lost before a pause or the end.
    Lost {
        track: Kind,
        units: u64,
    },
    /// Of the timeline. `rtp_time`: of the picture that it belongs to, at 90 kHz; `None`: now.
    Note {
        event: TimelineEvent,
        rtp_time: Option<u64>,
        wall: SystemTime,
    },
    Command {
        command: Command,
        wall: SystemTime,
    },
}

#[derive(Debug, Clone)]
pub enum Command {
    /// `slate`: a coded keyframe that stands while the recording pauses, of the same codec; only with [`PauseMode::Slate`].
    Pause {
        mode: PauseMode,
        slate: Option<Arc<[u8]>>,
    },
    Resume,
    /// What it is of has changed; media flow on.
    Frame(Box<Framing>),
    Stop(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Nothing was lost, but a keyframe comes first.
    Fresh,
    /// Pictures were lost.
    Broken,
    /// Paused or stopped: media are not for the recording.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    items: VecDeque<Item>,
    gate: Gate,
    stopped: bool,
    video: Load,
    audio: Load,
    tracks: Gates,
    notes: usize,
    commands: usize,
    /// RTP time of the newest keyframe that was taken.
    keyframe: u64,
    /// As what lost pictures and packets are counted.
    reasons: [&'static str; 2],
}

#[derive(Debug, Default)]
struct Load {
    bytes: usize,
    /// Not yet told.
    lost: u64,
}

impl Queue {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            gate: Gate::Fresh,
            stopped: false,
            video: Load::default(),
            audio: Load::default(),
            tracks: Gates::default(),
            notes: 0,
            commands: 0,
            keyframe: 0,
            reasons: ["recording_queue_video", "recording_queue_audio"],
        }
    }

    /// What is lost is counted with these reasons: of pictures, and of packets.
    pub fn counted_as(self, reasons: [&'static str; 2]) -> Self {
        Self { reasons, ..self }
    }

    pub fn video(&mut self, picture: &VideoOut) -> Need {
        let room = self.room_for(picture);
        match self.gate {
            Gate::Closed => return Need::Nothing,
            Gate::Open if room == Room::None => {
                self.gate = Gate::Broken;
                self.lose_picture();
                return Need::Nothing;
            }
            Gate::Fresh if !picture.keyframe => return Need::Keyframe,
            Gate::Broken if !picture.keyframe || room != Room::Plenty => {
                self.lose_picture();
                return if room == Room::Plenty { Need::Keyframe } else { Need::Nothing };
            }
            Gate::Open | Gate::Fresh | Gate::Broken => {}
        }
        self.gate = Gate::Open;
        self.video.bytes += picture.data.len();
        let lost = std::mem::take(&mut self.video.lost);
        self.items.push_back(Item::Picture { picture: picture.clone(), lost });
        if picture.keyframe {
            self.keyframe = picture.rtp_time;
        }
        let due = picture.rtp_time.saturating_sub(self.keyframe) >= units(self.limits.keyframe_every);
        if due { Need::Keyframe } else { Need::Nothing }
    }

    pub fn audio(&mut self, packet: &AudioOut) {
        if self.gate == Gate::Closed {
            return;
        }
        if self.audio.bytes + packet.data.len() > self.sound_share() {
            self.audio.lost += 1;
            metrics::counter!("mixdown_drops_total", "reason" => self.reasons[1]).increment(1);
            return;
        }
        self.audio.bytes += packet.data.len();
        let lost = std::mem::take(&mut self.audio.lost);
        self.items.push_back(Item::Packet { packet: packet.clone(), lost });
    }

    /// Takes a participant's picture or packet. Pictures go first here too; sound has a share of its own.
    pub fn unit(&mut self, unit: &Unit) -> Need {
        if self.gate == Gate::Closed {
            return Need::Nothing;
        }
        let (kind, bytes) = (unit.kind(), unit.bytes());
        let fits = match kind {
            Kind::Video => self.video.bytes + bytes <= self.picture_share(),
            Kind::Audio => self.audio.bytes + bytes <= self.sound_share() * SOUND_OF_TRACKS,
        };
        if !fits {
            metrics::counter!("mixdown_drops_total", "reason" => tracks::gate::reason(kind)).increment(1);
        }
        let (taken, need) = self.tracks.offer(unit, fits, self.limits.keyframe_every);
        if let Some(Taken { lost, resumes }) = taken {
            let load = if kind == Kind::Video { &mut self.video } else { &mut self.audio };
            load.bytes += bytes;
            self.items.push_back(Item::Unit { unit: Unit { resumes, ..unit.clone() }, lost });
        }
        need
    }

    /// The recording could not use a track's picture.
    pub fn break_track(&mut self, track: TrackId) {
        self.tracks.break_off(track);
    }

    pub fn note(&mut self, event: TimelineEvent, rtp_time: Option<u64>, wall: SystemTime) {
        if self.stopped {
            return;
        }
        if self.notes == MOST_NOTES {
            metrics::counter!("mixdown_drops_total", "reason" => "recording_queue_timeline").increment(1);
            return;
        }
        self.notes += 1;
        self.items.push_back(Item::Note { event, rtp_time, wall });
    }

    /// False: it has no effect: that is how things are already, the recording ends, or far too many came at once.
    pub fn command(&mut self, command: Command, wall: SystemTime) -> bool {
        let is_stop = matches!(command, Command::Stop(_));
        if self.stopped || (self.commands >= MOST_COMMANDS && !is_stop) {
            return false;
        }
        match command {
            Command::Frame(_) => {
                self.commands += 1;
                self.items.push_back(Item::Command { command, wall });
                return true;
            }
            Command::Pause { .. } if self.gate == Gate::Closed => return false,
            Command::Pause { .. } => self.gate = Gate::Closed,
            Command::Resume if self.gate == Gate::Closed => self.gate = Gate::Fresh,
            Command::Resume => return false,
            Command::Stop(_) => (self.gate, self.stopped) = (Gate::Closed, true),
        }
        for (track, load) in [(Kind::Video, &mut self.video), (Kind::Audio, &mut self.audio)] {
            let units = std::mem::take(&mut load.lost);
            if units > 0 {
                self.items.push_back(Item::Lost { track, units });
            }
        }
        self.tracks.clear();
        self.commands += 1;
        self.items.push_back(Item::Command { command, wall });
        true
    }

    /// The recording could not use a picture: the next one must be a keyframe.
    pub fn break_off(&mut self) {
        if self.gate == Gate::Open {
            self.gate = Gate::Broken;
        }
    }

    /// Nobody fetches any more: nothing is taken, and what waits is let go.
    pub fn close(&mut self) {
        (self.gate, self.stopped) = (Gate::Closed, true);
        while self.pop().is_some() {}
    }

    pub fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        match &item {
            Item::Picture { picture, .. } => self.video.bytes -= picture.data.len(),
            Item::Packet { packet, .. } => self.audio.bytes -= packet.data.len(),
            Item::Unit { unit, .. } if unit.kind() == Kind::Video => self.video.bytes -= unit.bytes(),
            Item::Unit { unit, .. } => self.audio.bytes -= unit.bytes(),
            Item::Lost { .. } => {}
            Item::Note { .. } => self.notes -= 1,
            Item::Command { .. } => self.commands -= 1,
        }
        Some(item)
    }

    /// Somebody waits for an answer, or there is so much that it should be fetched now.
    pub fn is_urgent(&self) -> bool {
        self.commands > 0 || self.video.bytes > self.picture_share() / 4
    }

    /// Bytes of media that wait.
    pub fn bytes(&self) -> usize {
        self.video.bytes + self.audio.bytes
    }

    fn sound_share(&self) -> usize {
        self.limits.bytes / 32
    }

    fn picture_share(&self) -> usize {
        self.limits.bytes - self.sound_share()
    }

    fn lose_picture(&mut self) {
        self.video.lost += 1;
        metrics::counter!("mixdown_drops_total", "reason" => self.reasons[0]).increment(1);
    }

    fn room_for(&self, picture: &VideoOut) -> Room {
        let bytes = self.video.bytes + picture.data.len();
        let oldest = self.items.iter().find_map(|item| match item {
            Item::Picture { picture, .. } => Some(picture.rtp_time),
            _ => None,
        });
        let span = oldest.map_or(0, |oldest| picture.rtp_time.saturating_sub(oldest));
        let (most_bytes, most_span) = (self.picture_share(), units(self.limits.span));
        if bytes > most_bytes || span >= most_span {
            Room::None
        } else if bytes > most_bytes / 2 || span >= most_span / 2 {
            Room::Some
        } else {
            Room::Plenty
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    None,
    Some,
    /// Half of the queue is free.
    Plenty,
}

fn units(time: Duration) -> u64 {
    time.as_millis() as u64 * VIDEO_SCALE / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixdown_codecs::{AudioCodec, VideoCodec};

    const LIMITS: Limits = Limits { bytes: 32_000, span: Duration::from_secs(5), keyframe_every: Duration::from_secs(10) };

    fn picture(tick: u64, bytes: usize, keyframe: bool) -> VideoOut {
        let wallclock = crate::runtime::clock::now();
        VideoOut { codec: VideoCodec::H264, data: vec![0; bytes].into(), keyframe, layer: 0, rtp_time: tick * 3000, wallclock }
    }

    fn packet(tick: u64, bytes: usize) -> AudioOut {
        let wallclock = crate::runtime::clock::now();
        AudioOut { codec: AudioCodec::Opus, data: vec![0; bytes].into(), rtp_time: tick * 960, wallclock }
    }

    /// Ticks of the pictures that came out, and how many were lost before each.
    fn drain(queue: &mut Queue) -> Vec<(u64, u64)> {
        let items = std::iter::from_fn(|| queue.pop());
        let tick = |item| match item {
            Item::Picture { picture, lost } => Some((picture.rtp_time / 3000, lost)),
            _ => None,
        };
        items.filter_map(tick).collect()
    }

    #[test]
    fn nothing_is_taken_before_a_keyframe_and_one_is_asked_for_regularly() {
        let mut queue = Queue::new(LIMITS);
        assert_eq!(queue.video(&picture(0, 10, false)), Need::Keyframe);
        assert_eq!(queue.video(&picture(1, 10, true)), Need::Nothing);
        assert_eq!(queue.video(&picture(2, 10, false)), Need::Nothing);
        assert_eq!(drain(&mut queue), [(1, 0), (2, 0)]);
        assert_eq!(queue.video(&picture(300, 10, false)), Need::Nothing);
        assert_eq!(queue.video(&picture(301, 10, false)), Need::Keyframe);
        assert_eq!(queue.video(&picture(302, 10, true)), Need::Nothing);
        assert_eq!(queue.video(&picture(303, 10, false)), Need::Nothing);
    }

    #[test]
    fn a_full_queue_loses_pictures_up_to_a_keyframe_for_which_half_of_it_is_free() {
        let mut queue = Queue::new(LIMITS);
        let _ = queue.video(&picture(0, 1000, true));
        for tick in 1..40 {
            assert_eq!(queue.video(&picture(tick, 1000, false)), Need::Nothing, "no keyframe is asked for while there is no room");
        }
        assert_eq!(queue.video(&picture(40, 1000, true)), Need::Nothing, "too full still");
        let mut kept: Vec<()> = (0..5).filter_map(|_| queue.pop()).map(drop).collect();
        assert_eq!(queue.video(&picture(40, 1000, true)), Need::Nothing, "there is room for it, but not for what follows");
        while queue.video.bytes > 14_000 {
            kept.extend(queue.pop().map(|_| ()));
        }
        assert_eq!(kept.len(), 17, "31 had fitted");
        assert_eq!(queue.video(&picture(41, 1000, false)), Need::Keyframe);
        assert_eq!(queue.video(&picture(42, 1000, true)), Need::Nothing);
        let taken = drain(&mut queue);
        assert_eq!(taken.first(), Some(&(17, 0)));
        assert_eq!(taken[taken.len() - 2..], [(30, 0), (42, 12)]);
    }

    #[test]
    fn pictures_that_would_wait_five_seconds_are_not_taken_and_sound_is() {
        let mut queue = Queue::new(LIMITS);
        let _ = queue.video(&picture(0, 10, true));
        let _ = queue.video(&picture(149, 10, false));
        let _ = queue.video(&picture(150, 10, false));
        for tick in 0..400 {
            queue.audio(&packet(tick, 2));
        }
        assert_eq!(queue.bytes(), 820);
        assert_eq!(drain(&mut queue), [(0, 0), (149, 0)]);
    }

    #[test]
    fn sound_has_its_own_share_and_says_what_it_lost() {
        let mut queue = Queue::new(LIMITS);
        let _ = queue.video(&picture(0, 31_000, true));
        for tick in 0..25 {
            queue.audio(&packet(tick, 50));
        }
        assert!(queue.bytes() <= LIMITS.bytes);
        while queue.pop().is_some() {}
        queue.audio(&packet(25, 50));
        let Some(Item::Packet { lost, .. }) = queue.pop() else { panic!() };
        assert_eq!(lost, 5);
    }

    #[test]
    fn a_pause_takes_no_media_and_a_resumed_recording_begins_with_a_keyframe() {
        let wall = SystemTime::UNIX_EPOCH;
        let mut queue = Queue::new(LIMITS);
        assert!(!queue.command(Command::Resume, wall), "it runs");
        let _ = queue.video(&picture(0, 10, true));
        assert!(queue.command(Command::Pause { mode: PauseMode::Cut, slate: None }, wall));
        assert!(!queue.command(Command::Pause { mode: PauseMode::Slate, slate: None }, wall), "it pauses already");
        assert!(queue.is_urgent());
        assert_eq!(queue.video(&picture(1, 10, true)), Need::Nothing);
        queue.audio(&packet(1, 10));
        assert!(queue.command(Command::Resume, wall));
        assert_eq!(queue.video(&picture(2, 10, false)), Need::Keyframe);
        assert_eq!(queue.video(&picture(3, 10, true)), Need::Nothing);
        assert!(queue.command(Command::Stop(Reason::Requested), wall));
        assert!(!queue.command(Command::Stop(Reason::Requested), wall));
        assert_eq!(drain(&mut queue), [(0, 0), (3, 0)], "a pause loses nothing");
        assert_eq!(queue.bytes(), 0);
    }
}
