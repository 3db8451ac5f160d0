//! The room that was recorded, once more: its people come, send and go on a clock that is stepped.

use super::source::{Codec, Reel, Sample};
use super::{Error, Options};
use crate::cadence::Cadence;
use crate::conference::tracks_of;
use crate::ids::{ParticipantId, RecordingId, RenditionId, Source, TrackId};
use crate::media::{AudioIn, AudioOut, Orientation, VideoIn, VideoOut};
use crate::peer::types::{self, CloseReason, Kind, Negotiated};
use crate::pipeline::keyframes::Need;
use crate::pipeline::mix::{self, Mix, TICKS_PER_SECOND};
use crate::pipeline::pool::Pool;
use crate::pipeline::ticker::{self, Schedule};
use crate::pipeline::video::{Shared, Track, Video};
use crate::pipeline::{Outlet, StageEvent, Watch};
use crate::record::mp4::Ticks;
use crate::record::queue::Item;
use crate::room::member::Link;
use crate::room::plan::Change;
use crate::room::{Arrival, Framing, Recording, Room, Settings};
use crossbeam_channel::{Receiver, Sender};
use mixdown_codecs::{VideoCodec, gate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The one who watches and hears.
const FILM: RecordingId = RecordingId(u128::MAX);
/// Where players may begin.
const KEYFRAME_EVERY: Ticks = Ticks::from_ms(5000);
/// By which sound is handed over earlier than it came: what the jitter buffer, the mix and its encoder take.
const SOUND_EARLIER: Ticks = Ticks::from_ms(20);
/// Who sends nothing for longer than this has stopped: their camera is off.
const PAUSE: Ticks = Ticks::from_ms(1000);
/// Results and reports that wait between two steps: far more than there are.
const WAITING: usize = 65_536;

/// See the module.
pub struct Studio {
    reel: Reel,
    room: Room,
    video: Video,
    mix: Mix,
    schedule: Schedule,
    epoch: Instant,
    cadence: Cadence,
    /// Ticks of the mix that were made.
    n: u64,
    /// Up to when the picture is drawn.
    drawn: Instant,
    end: Ticks,
    made: Receiver<Made>,
    reports: Receiver<StageEvent>,
    inlets: BTreeMap<ParticipantId, [Track; 2]>,
    sending: BTreeMap<ParticipantId, BTreeSet<(Source, usize)>>,
    sequences: BTreeMap<(ParticipantId, Source), u64>,
    rendition: Option<RenditionId>,
    keyframe: Ticks,
}

enum Made {
    Picture(RenditionId, Arc<VideoOut>),
    Packet(Arc<AudioOut>),
}

struct Results(Sender<Made>);

impl Outlet for Results {
    fn video(&self, rendition: RenditionId, picture: Arc<VideoOut>) -> bool {
        self.0.try_send(Made::Picture(rendition, picture)).is_ok()
    }

    fn audio(&self, _: &Arc<[ParticipantId]>, packet: Arc<AudioOut>) {
        // Taken after every step.
        let _ = self.0.try_send(Made::Packet(packet));
    }

    /// Nobody is there who could be asked.
    fn request_keyframe(&self, _: TrackId) {}
}

struct Reports(Sender<StageEvent>);

impl Watch for Reports {
    fn event(&self, event: StageEvent) {
        // Taken after every step.
        let _ = self.0.try_send(event);
    }
}

impl Studio {
    pub fn new(options: &Options, reel: Reel, epoch: Instant, wall: SystemTime) -> Result<Self, Error> {
        let refused = |error: crate::room::Error| Error::Room(error.to_string());
        options.canvas.check("--canvas").map_err(refused)?;
        let settings = Settings {
            max_participants: u32::MAX,
            canvas: options.canvas.clone(),
            layout: options.layout.clone(),
            recording_sign: false,
            video_bitrate_bps: options.bitrate_bps,
            ..Settings::default()
        };
        let id = "compose".parse().map_err(|error: crate::ids::IdError| Error::Room(error.to_string()))?;
        let (results, made) = crossbeam_channel::bounded(WAITING);
        let (reporter, reports) = crossbeam_channel::bounded(WAITING);
        let (outlet, watch): (Arc<dyn Outlet>, Arc<dyn Watch>) = (Arc::new(Results(results)), Arc::new(Reports(reporter)));
        let (ticker, schedule) = ticker::schedule();
        let shared = Shared { pool: Pool::Inline, ticker, limits: gate::Limits::default() };
        // Nobody's processor is saved by leaving somebody out.
        let sound = mix::Settings { loudest: 32, ..mix::Settings::default() };
        let end = reel.tracks.iter().map(|track| track.end).max().unwrap_or_default();
        let mut studio = Self {
            reel,
            room: Room::new(id, settings, Arc::default()),
            video: Video::new(shared, Arc::clone(&outlet), watch, epoch, wall, Arc::default()),
            mix: Mix::new(sound, epoch, outlet),
            schedule,
            epoch,
            cadence: Cadence::new(epoch, TICKS_PER_SECOND),
            n: 0,
            drawn: epoch,
            end,
            made,
            reports,
            inlets: BTreeMap::new(),
            sending: BTreeMap::new(),
            sequences: BTreeMap::new(),
            rendition: None,
            keyframe: Ticks::default(),
        };
        let codec = if cfg!(feature = "h264") { VideoCodec::H264 } else { VideoCodec::Vp8 };
        let film = Recording { id: FILM, framing: Framing::default(), codec, paused: false, composite: true };
        studio.room.record(film).map_err(refused)?;
        studio.settle();
        Ok(studio)
    }

    pub fn people(&self) -> usize {
        self.reel.tracks.iter().map(|track| track.participant).collect::<BTreeSet<_>>().len()
    }

    /// Lives through the next 20 ms; gives the milliseconds that have passed, `None` where all is over.
    pub fn step(&mut self) -> Result<Option<u64>, Error> {
        let (now, at) = (self.cadence.time(self.n), Ticks::from_ms(self.n * 1000 / u64::from(TICKS_PER_SECOND)));
        if at >= self.end {
            return Ok(None);
        }
        self.come_and_go(at)?;
        while let Some(sample) = self.reel.next(at.plus(SOUND_EARLIER))? {
            self.receive(sample);
        }
        let mut heard = Vec::new();
        self.mix.tick(now, self.n, &mut |event| heard.push(event));
        heard.into_iter().for_each(|event| self.report(StageEvent::Mix(event)));
        self.settle();
        self.draw(now);
        if at.since(self.keyframe) >= KEYFRAME_EVERY {
            self.keyframe = at;
            self.request_keyframe();
        }
        self.n += 1;
        Ok(Some(at.ms()))
    }

    /// Ticks the picture at each of its times up to `now`.
    fn draw(&mut self, now: Instant) {
        loop {
            let next = self.schedule.step(self.drawn);
            self.settle();
            if next > now {
                self.drawn = now;
                return;
            }
            self.drawn = next;
        }
    }

    /// What was made since the last call.
    pub fn take(&mut self) -> Vec<Item> {
        let item = |made| match made {
            Made::Picture(rendition, picture) => {
                (Some(rendition) == self.rendition).then(|| Item::Picture { picture: (*picture).clone(), lost: 0 })
            }
            Made::Packet(packet) => Some(Item::Packet { packet: (*packet).clone(), lost: 0 }),
        };
        self.made.try_iter().filter_map(item).collect()
    }

    /// Files that begin and end now: who comes, what they send, who goes.
    fn come_and_go(&mut self, now: Ticks) -> Result<(), Error> {
        let soon = now.plus(SOUND_EARLIER);
        let mut changed = BTreeSet::new();
        for (index, track) in self.reel.tracks.iter().enumerate() {
            let open = track.begin <= soon && now < track.end.plus(PAUSE);
            let sending = self.sending.entry(track.participant).or_default();
            let entry = (track.source, index);
            if open != sending.contains(&entry) {
                if open {
                    sending.insert(entry)
                } else {
                    sending.remove(&entry)
                };
                changed.insert(track.participant);
            }
        }
        let first = |id: &ParticipantId| self.reel.tracks.iter().filter(|track| track.participant == *id).map(|track| track.begin).min();
        let mut changed: Vec<ParticipantId> = changed.into_iter().collect();
        changed.sort_by_key(|id| (first(id), *id));
        for participant in changed {
            let Some(sending) = self.sending.get(&participant) else { continue };
            let sends: BTreeMap<Source, usize> = sending.iter().copied().collect();
            let mine = || self.reel.tracks.iter().filter(|track| track.participant == participant);
            let codec = |index: &usize| match self.reel.tracks.get(*index)?.codec {
                Codec::Video(codec) => Some(types::Codec::Video(codec)),
                Codec::Audio(codec) => Some(types::Codec::Audio(codec)),
            };
            let sends = sends.iter().filter_map(|(source, index)| Some((*source, codec(index)?))).collect();
            let negotiated = Negotiated { sends, video_down: None, audio_down: None };
            let over = mine().all(|track| track.end <= now);
            let name = mine().next().map(|track| track.name.clone()).unwrap_or_default();
            self.present(participant, name, negotiated, over)?;
        }
        Ok(())
    }

    fn present(&mut self, id: ParticipantId, name: String, negotiated: Negotiated, over: bool) -> Result<(), Error> {
        if over && negotiated.sends.is_empty() {
            self.room.leave(id, CloseReason::Left);
            self.settle();
            self.video.close_tracks(id);
            self.inlets.remove(&id);
            return Ok(());
        }
        if self.inlets.contains_key(&id) {
            self.room.negotiated(id, negotiated);
        } else {
            self.inlets.insert(id, self.video.open_tracks(id));
            let arrival = Arrival { id, kind: Kind::Publisher, name, identity: None, role: None, view: None, waits: false, negotiated };
            self.room.join(arrival).map_err(|error| Error::Room(error.to_string()))?;
            self.room.link(id, Link::Up);
            // A file has no keyframe to ask for: whoever is hidden is decoded all the same, and is there when their turn comes.
            for source in [Source::Camera, Source::Screen] {
                self.video.set_visible(TrackId { participant: id, source }, true);
            }
        }
        self.settle();
        Ok(())
    }

    fn receive(&mut self, sample: Sample) {
        let Some(track) = self.reel.tracks.get(sample.track) else { return };
        let (from, source) = (track.participant, track.source);
        let received = self.epoch + Duration::from_micros(sample.at.0.saturating_mul(100) / 72);
        match track.codec {
            Codec::Video(codec) => {
                let Some([camera, screen]) = self.inlets.get(&from) else { return };
                let picture = VideoIn {
                    source,
                    codec,
                    data: sample.data,
                    keyframe: sample.keyframe,
                    size: None,
                    baseline: true,
                    contiguous: true,
                    orientation: Orientation { quarter_turns: track.quarter_turns, flip: false },
                    rtp_time: sample.at.units(crate::record::mp4::Kind::Video),
                    received,
                    waits: Duration::ZERO,
                    for_sound: Duration::ZERO,
                };
                if source == Source::Screen { screen.push(picture) } else { camera.push(picture) }
            }
            Codec::Audio(codec) => {
                let number = self.sequences.entry((from, source)).or_insert(1000);
                *number += 1;
                let rtp_time = sample.at.0 * u64::from(codec.clock_rate()) / Ticks::PER_SECOND;
                let earlier = received.checked_sub(Duration::from_millis(SOUND_EARLIER.ms())).unwrap_or(received);
                let packet = AudioIn {
                    source,
                    codec,
                    data: sample.data,
                    sequence: *number,
                    rtp_time,
                    level_dbov: None,
                    received: earlier,
                    waits: Duration::ZERO,
                    evenly: Duration::ZERO,
                };
                self.mix.handle(mix::Input::Packet { from, packet });
            }
        }
    }

    /// Runs what the room decided, until it has decided everything.
    fn settle(&mut self) {
        loop {
            let changes = self.room.take_changes();
            self.room.take_notices();
            let reports: Vec<StageEvent> = self.reports.try_iter().collect();
            if changes.is_empty() && reports.is_empty() {
                return;
            }
            changes.into_iter().for_each(|change| self.run(change));
            reports.into_iter().for_each(|report| self.report(report));
        }
    }

    fn report(&mut self, event: StageEvent) {
        match event {
            StageEvent::TrackSize { track, size } => self.room.track_size(track, size),
            StageEvent::Mix(mix::Event::ActiveSpeaker { rule, participant }) => self.room.floor_passed(rule, participant),
            StageEvent::Mix(mix::Event::Speaking { participant, speaking }) => self.room.speaking(participant, speaking),
            StageEvent::Mix(mix::Event::Level { participant, dbov }) => self.room.level(participant, dbov),
            StageEvent::TrackQuarantined { track, reason } => {
                tracing::warn!(participant = %track.participant, reason, "a track cannot be decoded and rests");
            }
            StageEvent::SceneShown { .. } | StageEvent::Facts { .. } | StageEvent::Failed(_) => {}
        }
    }

    fn run(&mut self, change: Change) {
        match change {
            Change::CanvasOpened { canvas, fps } => {
                if let Some(plan) = self.room.plan().canvases.get(&canvas) {
                    self.video.open_view(canvas, fps, &plan.scene);
                }
            }
            Change::CanvasClosed { canvas } => self.video.close_view(canvas),
            Change::Scene { canvas, scene } => {
                let tracks = tracks_of(&self.room, &scene);
                self.video.set_scene(canvas, scene, &tracks);
            }
            Change::RenditionOpened { canvas, id, key } => self.video.open_rendition(canvas, id, key, false),
            Change::RenditionClosed { canvas, id } => self.video.close_rendition(canvas, id),
            Change::Record { rendition, .. } => {
                self.rendition = rendition;
                self.request_keyframe();
            }
            Change::Layers { canvas, id, layered } => self.video.set_layered(canvas, id, layered),
            Change::Rate { canvas, id, bitrate_bps } => self.video.set_bitrate(canvas, id, bitrate_bps),
            Change::Speaker { participant, voicing } => self.mix.handle(mix::Input::Speaker { participant, voicing }),
            Change::SpeakerLeft(id) => self.mix.handle(mix::Input::SpeakerLeft(id)),
            Change::Mix { mix, blend } => self.mix.handle(mix::Input::Mix { mix, blend }),
            Change::MixClosed(mix) => self.mix.handle(mix::Input::MixClosed(mix)),
            Change::Listener { participant, codec, mix } => self.mix.handle(mix::Input::Listener { participant, codec, mix }),
            Change::ListenerLeft(id) => self.mix.handle(mix::Input::ListenerLeft(id)),
            Change::Floors(rules) => self.mix.handle(mix::Input::Floors(rules)),
            _ => {}
        }
    }

    fn request_keyframe(&self) {
        if let Some((canvas, _, id)) = self.rendition.and_then(|rendition| self.room.plan().encoded(rendition)) {
            self.video.request_keyframe(canvas, id, Need::Joins);
        }
    }
}
