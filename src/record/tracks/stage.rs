//! Units of participants to fragments of their files, without I/O.

use super::clock::Clock;
use super::{Begun, Gap, Medium, Unit, micros, source_name};
use crate::ids::TrackId;
use crate::media::{AudioIn, VideoIn};
use crate::record::mp4::fragment::Fragmenter;
use crate::record::mp4::{Error, Kind, Ticks};
use mixdown_codecs::gate::SizeChanges;
use mixdown_codecs::{AudioCodec, Size, VideoCodec};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Files of one recording; a sender that changes its size all the time does not get more.
pub const MOST_FILES: u32 = 4096;
/// Packets that wait for one that has not come.
const MOST_WAITING: usize = 15;
/// A track that is silent for so long has its fragment written, and its file closed.
const IDLE: Ticks = Ticks::from_ms(2000);
const OVER: Ticks = Ticks::from_ms(30_000);
/// What a unit lasts where nothing follows it.
const PICTURE: Ticks = Ticks::from_ms(33);
const PACKET: Ticks = Ticks::from_ms(20);
/// Numbers that are further apart are no loss, but another count.
const MOST_LOST: u64 = 3000;

/// What is to be done, in order.
#[derive(Debug, Clone)]
pub enum Output {
    Begin {
        number: u32,
        begun: Begun,
        head: Vec<u8>,
    },
    Fragment {
        number: u32,
        bytes: Vec<u8>,
    },
    Gap {
        number: u32,
        gap: Gap,
    },
    Close {
        number: u32,
    },
    /// The track's next picture must be a keyframe.
    Broken(TrackId),
}

/// See the module.
pub struct Tracks {
    fragment: Duration,
    tracks: BTreeMap<TrackId, Track>,
    begun: u32,
    end: Ticks,
    outputs: VecDeque<Output>,
}

struct Track {
    name: Arc<str>,
    clock: Clock,
    file: Option<File>,
    sizes: SizeChanges,
    /// Sound that came before its turn, and whose turn it is.
    waiting: BTreeMap<u64, (AudioIn, Ticks)>,
    turn: Option<u64>,
    /// Not yet told.
    lost: u64,
    /// A picture was not used: nothing before a keyframe.
    broken: bool,
    came: Ticks,
}

struct File {
    number: u32,
    format: Format,
    fragmenter: Fragmenter,
    /// The recording's time at which the file's is zero.
    begin: Ticks,
    /// When the newest unit begins, and when it ends at the latest.
    newest: Ticks,
    end: Ticks,
    dirty: bool,
}

/// What one file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Pictures { codec: VideoCodec, size: Size, quarter_turns: u8 },
    Sound(AudioCodec),
}

impl Tracks {
    /// `fragment`: of a file, at most.
    pub fn new(fragment: Duration) -> Self {
        Self { fragment, tracks: BTreeMap::new(), begun: 0, end: Ticks::default(), outputs: VecDeque::new() }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When on the recording's clock the last unit ends.
    pub fn end(&self) -> Ticks {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.begun == 0
    }

    /// `place` gives the recording's time of one of the room, where it has one; `wall` is now.
    pub fn handle(&mut self, unit: Unit, lost: u64, place: &dyn Fn(Ticks) -> Option<Ticks>, wall: SystemTime) {
        let id = unit.track();
        let kind = unit.kind();
        let slew = if kind == Kind::Video { 50 } else { 200 };
        let track = self.tracks.entry(id).or_insert_with(|| Track::new(slew));
        (track.came, track.lost, track.name) = (unit.at, track.lost + lost, unit.name);
        match unit.medium {
            Medium::Picture(picture) => {
                let at = track.clock.place(Ticks::of(Kind::Video, picture.rtp_time), unit.at);
                match place(at) {
                    Some(at) => self.picture(id, &picture, at, wall),
                    None => {
                        track.broken = true;
                        self.outputs.push_back(Output::Broken(id));
                    }
                }
            }
            Medium::Packet(packet) => {
                if unit.resumes {
                    // What was withheld is no loss, and none of it may come after all.
                    self.sound(id, usize::MAX, place, wall);
                    self.tracks.get_mut(&id).into_iter().for_each(|track| track.turn = Some(packet.sequence));
                }
                let Some(track) = self.tracks.get_mut(&id) else { return };
                let per_unit = Ticks::PER_SECOND / u64::from(packet.codec.clock_rate().max(1));
                let at = track.clock.place(Ticks(packet.rtp_time.saturating_mul(per_unit)), unit.at);
                // A second copy, or too late.
                if track.turn.is_some_and(|turn| packet.sequence < turn && turn - packet.sequence < MOST_LOST) {
                    return;
                }
                if track.turn.is_some_and(|turn| packet.sequence.abs_diff(turn) >= MOST_LOST) {
                    self.sound(id, usize::MAX, place, wall);
                    self.tracks.get_mut(&id).into_iter().for_each(|track| track.turn = None);
                }
                let Some(track) = self.tracks.get_mut(&id) else { return };
                track.waiting.insert(packet.sequence, (packet, at));
                self.sound(id, 0, place, wall);
            }
        }
    }

    /// Writes what waits of tracks that have fallen silent; `now` on the room's clock.
    pub fn tick(&mut self, now: Ticks, wall: SystemTime, place: &dyn Fn(Ticks) -> Option<Ticks>) {
        let silent = |track: &Track, time: Ticks| now.since(track.came) >= time;
        let idle: Vec<TrackId> = self.tracks.iter().filter(|(_, track)| silent(track, IDLE)).map(|(id, _)| *id).collect();
        for id in idle {
            self.sound(id, usize::MAX, place, wall);
            let over = self.tracks.get(&id).is_some_and(|track| silent(track, OVER));
            self.flush(id, over);
            if over {
                self.tracks.remove(&id);
            }
        }
    }

    /// The recording pauses: what comes next may be of any time. Pictures begin with a keyframe then.
    pub fn pause(&mut self, place: &dyn Fn(Ticks) -> Option<Ticks>, wall: SystemTime) {
        for id in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.sound(id, usize::MAX, place, wall);
            self.flush(id, false);
            self.tracks.get_mut(&id).into_iter().for_each(|track| track.turn = None);
        }
    }

    /// The recording ends.
    pub fn stop(&mut self, place: &dyn Fn(Ticks) -> Option<Ticks>, wall: SystemTime) {
        self.pause(place, wall);
        for id in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.flush(id, true);
        }
        self.tracks.clear();
    }

    fn picture(&mut self, id: TrackId, picture: &VideoIn, at: Ticks, wall: SystemTime) {
        let Some(track) = self.tracks.get_mut(&id) else { return };
        let allowed = picture.size.is_none_or(|size| track.sizes.allow(size, picture.received));
        if !allowed || (!picture.keyframe && (track.broken || !track.continues(picture.codec))) {
            track.lost += 1;
            track.broken = true;
            return self.outputs.push_back(Output::Broken(id));
        }
        if let Some(size) = picture.size.filter(|_| picture.keyframe) {
            let format = Format::Pictures { codec: picture.codec, size, quarter_turns: picture.orientation.quarter_turns };
            if !self.turn_to(id, format, &picture.data, at, wall) {
                return;
            }
        }
        self.write(id, Kind::Video, at, &picture.data, picture.keyframe);
    }

    /// Writes the sound whose turn it is. What is missing is waited for until [`MOST_WAITING`] packets wait, of which `pressure` counts as some.
    fn sound(&mut self, id: TrackId, pressure: usize, place: &dyn Fn(Ticks) -> Option<Ticks>, wall: SystemTime) {
        loop {
            let Some(track) = self.tracks.get_mut(&id) else { return };
            let Some((sequence, _)) = track.waiting.first_key_value() else { return };
            let (sequence, full) = (*sequence, track.waiting.len().saturating_add(pressure) > MOST_WAITING);
            match track.turn {
                // The first to come need not be the first that was sent.
                None if !full && track.waiting.len() < 2 => return,
                Some(turn) if turn != sequence && !full => return,
                Some(turn) => track.lost += sequence.saturating_sub(turn),
                None => {}
            }
            let Some((sequence, (packet, at))) = track.waiting.pop_first() else { return };
            track.turn = Some(sequence + 1);
            let Some(at) = place(at) else { continue };
            if self.turn_to(id, Format::Sound(packet.codec), &[], at, wall) {
                self.write(id, Kind::Audio, at, &packet.data, true);
            }
        }
    }

    /// Begins another file where this one holds something else. False: there is none.
    fn turn_to(&mut self, id: TrackId, format: Format, keyframe: &[u8], at: Ticks, wall: SystemTime) -> bool {
        let Some(track) = self.tracks.get(&id) else { return false };
        let before = track.file.as_ref();
        if before.is_some_and(|file| file.format == format) {
            return true;
        }
        let name = track.name.to_string();
        let at = before.map_or(at, |file| at.max(file.newest.plus(Ticks::from_ms(1))));
        self.flush(id, true);
        if self.begun == MOST_FILES {
            metrics::counter!("mixdown_drops_total", "reason" => "recording_tracks_full").increment(1);
            return false;
        }
        let made = match format {
            Format::Pictures { codec, quarter_turns, .. } => Fragmenter::pictures(codec, keyframe, quarter_turns, self.fragment, wall)
                .map(|(fragmenter, head)| (fragmenter, head.bytes, Some((head.width, head.height)))),
            Format::Sound(codec) => Fragmenter::sound(codec, self.fragment, wall).map(|(fragmenter, head)| (fragmenter, head, None)),
        };
        let Ok((fragmenter, head, size)) = made else {
            metrics::counter!("mixdown_drops_total", "reason" => "recording_unit").increment(1);
            self.outputs.push_back(Output::Broken(id));
            return false;
        };
        self.begun += 1;
        let (number, begin) = (self.begun, Ticks(at.0 / Ticks::COMMON * Ticks::COMMON));
        let begun = Begun {
            file: format!("{}-{number:04}.mp4", source_name(id.source)),
            participant: id.participant,
            name,
            source: source_name(id.source).to_owned(),
            codec: format.codec().to_owned(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            quarter_turns: format.turns(),
            offset_us: micros(begin),
        };
        self.outputs.push_back(Output::Begin { number, begun, head });
        if let Some(track) = self.tracks.get_mut(&id) {
            track.lost = 0;
            track.file = Some(File { number, format, fragmenter, begin, newest: begin, end: begin, dirty: false });
        }
        true
    }

    fn write(&mut self, id: TrackId, kind: Kind, at: Ticks, data: &[u8], keyframe: bool) {
        let Some(track) = self.tracks.get_mut(&id) else { return };
        let Some(file) = &mut track.file else { return };
        let step = Ticks(kind.ticks_per_unit());
        // Never before the one before: a clock that is corrected may step back a little.
        let at = if file.dirty { at.max(file.newest.plus(step)) } else { at.max(file.end) };
        let gap = Gap { from_us: micros(file.end.min(at)), to_us: micros(at), lost: std::mem::take(&mut track.lost) };
        let result = match kind {
            Kind::Video => file.fragmenter.video(at.since(file.begin), data, keyframe),
            Kind::Audio => file.fragmenter.audio(at.since(file.begin), data),
        };
        let fragment = match result {
            Ok(fragment) => fragment,
            Err(error) => {
                let reason = if matches!(error, Error::Order) { "recording_order" } else { "recording_unit" };
                metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
                track.lost = gap.lost + 1;
                if kind == Kind::Video {
                    track.broken = true;
                    self.outputs.push_back(Output::Broken(id));
                }
                return;
            }
        };
        track.broken = false;
        let number = file.number;
        (file.newest, file.end, file.dirty) = (at, at.plus(if kind == Kind::Video { PICTURE } else { PACKET }), true);
        self.end = self.end.max(file.end);
        self.outputs.extend(fragment.map(|fragment| Output::Fragment { number, bytes: fragment.bytes }));
        if gap.lost > 0 {
            self.outputs.push_back(Output::Gap { number, gap });
        }
    }

    /// Writes all that waits of a track, and closes its file.
    fn flush(&mut self, id: TrackId, close: bool) {
        let Some(track) = self.tracks.get_mut(&id) else { return };
        let Some(file) = &mut track.file else { return };
        let number = file.number;
        if std::mem::take(&mut file.dirty) {
            match file.fragmenter.flush(file.end.since(file.begin)) {
                Ok(fragment) => self.outputs.extend(fragment.map(|fragment| Output::Fragment { number, bytes: fragment.bytes })),
                Err(error) => tracing::error!(%error, "a fragment of a track is lost"),
            }
        }
        if close {
            track.file = None;
            self.outputs.push_back(Output::Close { number });
        }
    }
}

impl Track {
    fn new(slew: i64) -> Self {
        Self {
            name: Arc::default(),
            clock: Clock::new(slew),
            file: None,
            sizes: SizeChanges::default(),
            waiting: BTreeMap::new(),
            turn: None,
            lost: 0,
            broken: false,
            came: Ticks::default(),
        }
    }

    fn continues(&self, with: VideoCodec) -> bool {
        self.file.as_ref().is_some_and(|file| matches!(file.format, Format::Pictures { codec, .. } if codec == with))
    }
}

impl Format {
    const fn codec(self) -> &'static str {
        match self {
            Self::Pictures { codec, .. } => codec.name(),
            Self::Sound(codec) => codec.name(),
        }
    }

    const fn turns(self) -> Option<u8> {
        match self {
            Self::Pictures { quarter_turns, .. } => Some(quarter_turns),
            Self::Sound(_) => None,
        }
    }
}
