//! The recordings of a room that run: begun, paused, ended; what they are fed with, and who is told of them.
//!
//! A recording joins the room's plan once its files are made, and leaves it while it pauses. What happens in the room is noted in its
//! timeline, but of those who do not allow to be recorded nothing is. A recording that somebody started keeps the room; one that the room
//! started by itself (`auto_record`) ends a while after the last one has left.

use super::handle::{NewRecording, Refusal, StartReply};
use super::library::{Library, kind_of_end, shown};
use super::station::Ingress;
use super::taps::{Permit, Tap, Tapped, Taps};
use super::{Conference, channel};
use crate::ids::{CanvasId, ParticipantId, RecordingId, RenditionId, Source};
use crate::pipeline::inlet::RoomInlet;
use crate::pipeline::keyframes::Need;
use crate::record::tracks::Mode;
use crate::record::{self, Manifest, PauseMode, Reason, Recorder, State, TimelineEvent};
use crate::room::member::Member;
use crate::room::model::Consent;
use crate::room::{Framing, MAIN_VIEW, Recording};
use mixdown_codecs::VideoCodec;
use mixdown_layouts::Scene;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a recording that began by itself goes on without anybody.
const ALONE: Duration = Duration::from_secs(60);

/// What may be asked of a running recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To know how it is.
    Look,
    /// Another view, layout or canvas.
    Frame(Box<Framing>),
    Pause(PauseMode),
    Resume,
    Stop,
}

pub(super) struct Recordings {
    library: Library,
    taps: Arc<Taps>,
    /// Where the room's media time begins.
    epoch: Instant,
    running: BTreeMap<RecordingId, Running>,
    /// Who is in the timelines, and under which name.
    known: BTreeMap<ParticipantId, String>,
    /// The room has begun one by itself since somebody came.
    automatic: bool,
    /// Since when nobody has been in.
    alone: Option<Instant>,
}

struct Running {
    tap: Arc<Tap<Recorder>>,
    manifest: Manifest,
    framing: Framing,
    codec: VideoCodec,
    /// Whoever asked for it and waits.
    reply: Option<StartReply>,
    automatic: bool,
    /// Its timeline knows who is here.
    introduced: bool,
    fed: bool,
}

impl Recordings {
    pub fn new(library: Library, taps: Arc<Taps>, epoch: Instant) -> Self {
        Self { library, taps, epoch, running: BTreeMap::new(), known: BTreeMap::new(), automatic: false, alone: None }
    }

    /// Somebody wants the room to go on.
    pub fn keep_the_room(&self) -> bool {
        self.running.values().any(|running| !running.automatic)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.alone.filter(|_| self.running.values().any(|running| running.automatic)).map(|since| since + ALONE)
    }

    fn note(&self, event: &TimelineEvent) {
        let introduced = self.running.values().filter(|running| running.introduced);
        introduced.for_each(|running| running.tap.sink.note(event.clone()));
    }

    fn connect(&self) {
        self.taps.record(self.running.values().map(|running| Arc::clone(&running.tap) as _));
        let tracked = self.running.values().filter(|running| running.manifest.tracks.has_tracks());
        self.taps.record_tracks(tracked.map(|running| Arc::clone(&running.tap)));
    }
}

impl Conference {
    /// Begins a recording; the answer follows when its files are made, or cannot be.
    pub(super) fn record(&mut self, new: NewRecording, reply: StartReply) {
        match self.begin(new, false) {
            Ok(id) => {
                if let Some(running) = self.recordings.running.get_mut(&id) {
                    running.reply = Some(reply);
                }
            }
            // Nobody waits any more: that is their choice.
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    fn begin(&mut self, new: NewRecording, automatic: bool) -> Result<RecordingId, Refusal> {
        self.room.check_framing(&new.framing)?;
        let most = self.recordings.library.store().map(|_| self.recordings.library.most())?;
        if self.recordings.running.len() >= most {
            return Err(Refusal::Busy(format!("recordings.max_per_room is {most}")));
        }
        let id = RecordingId((self.next_id)().0);
        let NewRecording { framing, tracks } = new;
        let (room, wall, epoch) = (self.room.id().clone(), self.wall, self.recordings.epoch);
        let start = record::Start { id, room, framing: framing.clone(), wall, tracks, epoch };
        let manifest = start.manifest();
        let recorder = self.recordings.library.start(self.inbox.clone(), start)?;
        let h264 = cfg!(feature = "h264") && self.peer.video_codecs.contains(&VideoCodec::H264);
        let running = Running {
            tap: Arc::new(Tap::new(recorder, self.inbox.clone())),
            manifest,
            framing,
            codec: if h264 { VideoCodec::H264 } else { VideoCodec::Vp8 },
            reply: None,
            automatic,
            introduced: false,
            fed: false,
        };
        tracing::info!(room = %self.room.id(), recording = %id, automatic, "a recording begins");
        self.recordings.running.insert(id, running);
        self.recordings.connect();
        Ok(id)
    }

    /// Pauses, resumes or stops, and gives the recording as it is then.
    pub(super) fn act_on_recording(&mut self, id: RecordingId, action: Action) -> Result<Manifest, Refusal> {
        let running = self.recordings.running.get_mut(&id).ok_or(Refusal::Gone("the recording has ended"))?;
        let recorder = &running.tap.sink;
        let conflict = |detail: &str| Err(Refusal::Conflict(detail.to_owned()));
        let state = match &action {
            Action::Look => running.manifest.state,
            Action::Frame(_) | Action::Pause(_) | Action::Resume if running.manifest.state == State::Stopping => {
                return conflict("the recording ends");
            }
            Action::Frame(framing) => {
                self.room.check_framing(framing)?;
                if !recorder.frame(framing.as_ref().clone()) {
                    return Err(Refusal::Busy("the recording waits for its disk; try again".into()));
                }
                running.manifest.frame(framing);
                running.framing = framing.as_ref().clone();
                running.manifest.state
            }
            Action::Pause(mode) if recorder.pause(*mode, None) => State::Paused,
            Action::Pause(_) => return conflict("the recording pauses already"),
            Action::Resume if recorder.resume() => State::Active,
            Action::Resume => return conflict("the recording does not pause"),
            // Twice is as good as once.
            Action::Stop => {
                recorder.stop(Reason::Requested);
                State::Stopping
            }
        };
        running.manifest.state = state;
        let manifest = running.manifest.clone();
        match action {
            Action::Look => return Ok(manifest),
            Action::Frame(framing) => {
                self.room.frame_recording(id, *framing)?;
                self.publish("recording.updated", shown(&manifest));
            }
            Action::Stop => self.room.end_recording(id),
            Action::Pause(_) | Action::Resume => self.room.pause_recording(id, state == State::Paused),
        }
        self.settle();
        self.tell_recordings();
        Ok(manifest)
    }

    /// What a recording's thread tells.
    pub(super) fn recording_event(&mut self, id: RecordingId, event: record::Event) {
        match event {
            record::Event::Ready => self.recording_ready(id),
            record::Event::State(state) => {
                let Some(running) = self.recordings.running.get_mut(&id) else { return };
                if running.manifest.state == State::Stopping {
                    return;
                }
                running.manifest.state = state;
                let data = shown(&running.manifest);
                self.publish("recording.updated", data);
                self.tell_recordings();
            }
            record::Event::Ended(manifest) => self.recording_ended(*manifest),
        }
    }

    fn recording_ready(&mut self, id: RecordingId) {
        let Some(running) = self.recordings.running.get_mut(&id) else { return };
        if let Some(reply) = running.reply.take()
            && reply.send(Ok(running.manifest.clone())).is_err()
        {
            // A POST succeeds or fails as a whole: nobody knows of this one.
            running.tap.sink.stop(Reason::Requested);
            running.manifest.state = State::Stopping;
            return;
        }
        let paused = running.manifest.state == State::Paused;
        let composite = running.manifest.tracks.has_composite();
        let mut recording = Recording { id, framing: running.framing.clone(), codec: running.codec, paused, composite };
        let data = shown(&running.manifest);
        if self.room.view(&recording.framing.view).is_err() {
            MAIN_VIEW.clone_into(&mut recording.framing.view);
        }
        // `main` always exists.
        let _ = self.room.record(recording);
        self.introduce(id);
        self.publish("recording.started", data);
        self.tell_recordings();
    }

    fn recording_ended(&mut self, manifest: Manifest) {
        let Some(running) = self.recordings.running.remove(&manifest.id) else { return };
        self.recordings.connect();
        self.room.end_recording(manifest.id);
        if running.fed {
            self.sharing.feeds(-1);
        }
        tracing::info!(room = %self.room.id(), recording = %manifest.id, state = ?manifest.state, reason = ?manifest.reason, "a recording has ended");
        if let Some(reply) = running.reply {
            let name = manifest.reason.map_or("", Reason::name);
            let refusal = match manifest.reason {
                Some(Reason::NoSpace) => Refusal::NoSpace("no space is left on the disk but its reserve (recordings.reserve_bytes)".into()),
                Some(Reason::Quota) => Refusal::NoSpace("all recordings together have recordings.max_bytes".into()),
                _ => Refusal::Busy(format!("the recording could not begin: {name}")),
            };
            let _ = reply.send(Err(refusal));
        }
        self.publish(kind_of_end(manifest.state), shown(&manifest));
        self.tell_recordings();
        if self.sessions.is_empty() && !self.recordings.keep_the_room() {
            self.empty_since = Some(self.now);
        }
    }

    /// Ends all of them; they are told of when they are closed.
    pub(super) fn stop_recordings(&mut self, reason: Reason) {
        let ids: Vec<RecordingId> = self.recordings.running.keys().copied().collect();
        for id in ids {
            if let Some(running) = self.recordings.running.get_mut(&id) {
                running.tap.sink.stop(reason);
                running.manifest.state = State::Stopping;
            }
            self.room.end_recording(id);
        }
    }

    /// The room is no more: what still runs ends, and tells the library.
    pub(super) fn drop_recordings(&mut self) {
        self.stop_recordings(Reason::RoomEnded);
        self.recordings.running.clear();
        self.recordings.connect();
    }

    /// The plan says what a recording is of.
    pub(super) fn feed_recording(&mut self, id: RecordingId, rendition: Option<RenditionId>) {
        let Some(running) = self.recordings.running.get_mut(&id) else { return };
        running.tap.want(rendition);
        let had = std::mem::replace(&mut running.fed, rendition.is_some());
        self.sharing.feeds(i64::from(rendition.is_some()) - i64::from(had));
        self.request_keyframe_for(id);
        let canvas = rendition.and_then(|rendition| self.room.plan().encoded(rendition)).map(|(canvas, ..)| canvas);
        if let Some(canvas) = canvas {
            self.tell_scene_again(canvas);
        }
    }

    pub(super) fn request_keyframe_for(&self, id: RecordingId) {
        let Some(running) = self.recordings.running.get(&id) else { return };
        running.tap.passed_on();
        if let Some((canvas, _, rendition)) = self.room.plan().recorded.get(&id).and_then(|id| self.room.plan().encoded(*id)) {
            self.video.request_keyframe(canvas, rendition, Need::Joins);
        }
    }

    /// Begins by itself what the room is set to, and ends it when nobody is left.
    pub(super) fn record_by_itself(&mut self) {
        let wanted = self.room.settings().auto_record;
        if self.room.members().iter().any(|member| member.is_in() && member.has_connection()) {
            self.recordings.alone = None;
            let begins = wanted && !std::mem::replace(&mut self.recordings.automatic, wanted);
            if begins && let Err(refusal) = self.begin(NewRecording { framing: Framing::default(), tracks: Mode::Composite }, true) {
                tracing::warn!(room = %self.room.id(), %refusal, "the room cannot record itself");
                self.publish("recording.failed", json!({"recording": null, "reason": refusal.to_string()}));
            }
            return;
        }
        let since = *self.recordings.alone.get_or_insert(self.now);
        let running = self.recordings.running.values().filter(|running| running.automatic && running.manifest.state != State::Stopping);
        let ids: Vec<RecordingId> = running.map(|running| running.manifest.id).collect();
        if self.now >= since + ALONE || ids.is_empty() {
            self.recordings.automatic = false;
            ids.into_iter().for_each(|id| _ = self.act_on_recording(id, Action::Stop));
        }
    }

    /// Who is here goes into a timeline that begins.
    fn introduce(&mut self, id: RecordingId) {
        self.note_people();
        let played = self.ingresses();
        let Recordings { running, known, .. } = &mut self.recordings;
        let Some(running) = running.get_mut(&id) else { return };
        running.introduced = true;
        for (participant, name) in &*known {
            running.tap.sink.note(TimelineEvent::Joined { participant: *participant, name: name.clone() });
        }
        for ingress in played {
            running.tap.sink.note(TimelineEvent::Ingress { state: ingress.noted() });
        }
        if let Some(speaker) = self.room.speaker().filter(|speaker| known.contains_key(speaker)) {
            running.tap.sink.note(TimelineEvent::Speaker { participant: Some(speaker) });
        }
    }

    /// Notes who has come, gone, or taken another name.
    pub(super) fn note_people(&mut self) {
        if self.recordings.running.is_empty() {
            return;
        }
        let willing = self.room.members().iter().filter(|member| member.is_in() && member.consent() != Consent::Deny);
        let here: BTreeMap<ParticipantId, String> = willing.map(|member| (member.id, member.name.clone())).collect();
        for participant in self.recordings.known.keys().filter(|id| !here.contains_key(id)) {
            self.recordings.note(&TimelineEvent::Left { participant: *participant });
        }
        for (participant, name) in &here {
            let (participant, name) = (*participant, name.clone());
            match self.recordings.known.get(&participant) {
                Some(known) if *known == name => {}
                Some(_) => self.recordings.note(&TimelineEvent::Renamed { participant, name }),
                None => self.recordings.note(&TimelineEvent::Joined { participant, name }),
            }
        }
        self.recordings.known = here;
    }

    pub(super) fn note_speaker(&self, id: ParticipantId) {
        let participant = Some(id).filter(|id| self.recordings.known.contains_key(id));
        self.recordings.note(&TimelineEvent::Speaker { participant });
    }

    pub(super) fn note_chat(&self, from: Option<ParticipantId>, name: &str, text: &str) {
        if from.is_none_or(|from| self.recordings.known.contains_key(&from)) {
            self.recordings.note(&TimelineEvent::Chat { participant: from, name: name.to_owned(), text: text.to_owned() });
        }
    }

    /// What was recorded of a view that is no more goes on with `main`, as the room has it: it is said so.
    pub(super) fn reframe_recordings(&mut self, view: &str) {
        let mut updated = Vec::new();
        for running in self.recordings.running.values_mut().filter(|running| running.framing.view == view) {
            MAIN_VIEW.clone_into(&mut running.framing.view);
            running.tap.sink.frame(running.framing.clone());
            running.manifest.frame(&running.framing);
            updated.push(shown(&running.manifest));
        }
        for recording in updated {
            self.publish("recording.updated", recording);
        }
    }

    pub(super) fn note_ingress(&self, ingress: &Ingress) {
        self.recordings.note(&TimelineEvent::Ingress { state: ingress.noted() });
    }

    pub(super) fn note_scene(&self, canvas: CanvasId, scene: &Scene, rtp_time: u64) {
        let plan = self.room.plan();
        let of_canvas = |id: &RecordingId| plan.recorded.get(id).and_then(|id| plan.encoded(*id)).is_some_and(|(of, ..)| of == canvas);
        for running in self.recordings.running.values().filter(|running| of_canvas(&running.manifest.id)) {
            let state = channel::tile_map(scene, rtp_time, &|person| self.room.by_person(person));
            running.tap.sink.note_at(TimelineEvent::Layout { state }, rtp_time);
        }
    }

    /// What participants' own tracks may be recorded: of those who are in and allow it, what the room hears and sees of them.
    pub(super) fn permit_tracks(&self) {
        let taken = self.recordings.running.values().any(|running| running.manifest.tracks.has_tracks());
        let permit = |member: &Member| {
            let sound = !member.muted_audio && !self.room.is_private(member.id);
            let pictures = member.consent() == Consent::Allow;
            Permit {
                name: member.name.as_str().into(),
                microphone: sound && member.sends(Source::Microphone),
                screen_audio: sound && member.sends(Source::ScreenAudio),
                camera: pictures && !member.muted_video && member.sends(Source::Camera),
                screen: pictures && member.sends(Source::Screen),
            }
        };
        let willing = self.room.members().iter().filter(|member| taken && member.is_in() && member.consent() != Consent::Deny);
        for track in self.recordings.taps.permit(willing.map(|member| (member.id, permit(member))).collect()) {
            self.ask(track, self.room.plan().wanted.get(&track).copied().unwrap_or_default());
        }
    }

    fn tell_recordings(&self) {
        self.send(self.channels(), self.recordings_message().into());
    }

    /// For the data channel: whether the room is recorded.
    pub(super) fn recordings_message(&self) -> String {
        let running = self.recordings.running.values().filter(|running| running.reply.is_none());
        channel::recording(self.room.is_recorded(), running.map(|running| &running.manifest))
    }

    /// Where a participant's media enter the room, and its recordings.
    pub(super) fn inlet(&self, participant: ParticipantId, stages: RoomInlet) -> Tapped {
        Tapped::new(participant, self.recordings.epoch, Arc::clone(&self.recordings.taps), stages, self.inbox.clone())
    }

    pub(super) fn has_recordings(&self) -> bool {
        !self.recordings.running.is_empty()
    }
}
