//! Rooms alive. [`Conference`] turns the changes of one [`Room`] into running decoders, canvases,
//! mixes, encoders and feeds, and what these and the peers report back into commands for the room.
//!
//! Without thread and clock: [`actor`] steps it in the server, the virtual world in tests. [`directory`] makes and finds rooms, [`handle`] is what the API sees.
//!
//! Flow: `Request | peer::Event | StageEvent → Room → Change → stages and hub; Notice → events and data channels`.

pub mod actor;
mod adapt;
pub mod channel;
mod commands;
mod deaths;
mod degrade;
mod describe;
pub mod directory;
mod egress;
pub mod handle;
pub mod ingress;
pub mod library;
mod notices;
mod passing;
mod recordings;
mod requests;
pub mod rights;
mod session;
pub mod sharing;
pub mod station;
pub mod taps;
mod wanted;

pub use describe::tracks as tracks_of;
pub use recordings::Action;

use crate::egress::Board;
use crate::ids::{CanvasId, EgressId, IngressId, ParticipantId, RecordingId, RoomId, TrackId};
use crate::ledger::Bill;
use crate::net::{self, Observer, Recipients};
use crate::peer::types::{CloseReason, Event};
use crate::pipeline::keyframes::Need;
use crate::pipeline::video::{Shared, Video};
use crate::pipeline::{Outlet, StageEvent, Watch, mix};
use crate::record;
use crate::room::Room;
use crate::room::member::Link;
use crate::room::plan::Change;
use crossbeam_channel::Sender;
use egress::Egresses;
use handle::RoomEvent;
use ingress::Ingresses;
use library::Library;
use mixdown_layouts::Scene;
use recordings::Recordings;
use rights::Removals;
use session::{Departed, Session};
use sharing::{Share, Sharing};
use station::Station;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use taps::Taps;
use tokio::sync::{broadcast, mpsc};

/// Rosters and speaker signs go out at most this often.
const ROSTER_EVERY: Duration = Duration::from_millis(100);
/// How long a view is composed for snapshots after the last one was asked for.
const OBSERVED_FOR: Duration = Duration::from_secs(5);

/// What reaches a conference from its peers and stages.
#[derive(Debug)]
pub enum Input {
    Peer(ParticipantId, Event),
    Stage(StageEvent),
    /// The hub answered a re-offer or an ICE restart: the session's ETag is now this.
    Etag(ParticipantId, String),
    Recording(RecordingId, record::Event),
    KeyframeForRecording(RecordingId),
    Ingress(IngressId, crate::ingress::Event),
    /// The state of an egress has changed.
    Egress(EgressId),
    KeyframeForEgress(EgressId),
}

/// The bounded inbox that peers and stages write to.
#[derive(Clone)]
pub struct Inbox(pub mpsc::Sender<Input>);

impl Inbox {
    /// False: the room is too busy, and the input is lost.
    fn put(&self, input: Input) -> bool {
        let taken = self.0.try_send(input).is_ok();
        if !taken {
            metrics::counter!("mixdown_drops_total", "reason" => "conference_busy").increment(1);
        }
        taken
    }
}

impl Observer for Inbox {
    fn event(&self, participant: ParticipantId, event: Event) -> bool {
        self.put(Input::Peer(participant, event))
    }
}

impl Watch for Inbox {
    fn event(&self, event: StageEvent) {
        self.put(Input::Stage(event));
    }
}

/// What a conference is made of.
pub struct Parts {
    pub room: Room,
    pub stages: Shared,
    pub net: net::Handle,
    /// Where the room's stages and its mix send their results.
    pub taps: Arc<Taps>,
    pub library: Library,
    pub station: Station,
    pub board: Board,
    /// The room's mix.
    pub mix: Sender<mix::Input>,
    pub inbox: Inbox,
    pub events: broadcast::Sender<RoomEvent>,
    pub peer: Arc<crate::peer::types::Config>,
    /// What the room costs; its mix is charged to the same.
    pub bill: Arc<Bill>,
    pub sharing: Arc<Sharing>,
    pub removals: Arc<Removals>,
    /// Where media time begins; the mix uses the same.
    pub epoch: Instant,
    pub created: SystemTime,
    /// Fresh random ids.
    pub next_id: Box<dyn FnMut() -> ParticipantId + Send>,
}

pub struct Conference {
    room: Room,
    video: Video,
    net: net::Handle,
    mix: Sender<mix::Input>,
    inbox: Inbox,
    events: broadcast::Sender<RoomEvent>,
    peer: Arc<crate::peer::types::Config>,
    bill: Arc<Bill>,
    sharing: Share,
    removals: Arc<Removals>,
    epoch: Instant,
    created: SystemTime,
    next_id: Box<dyn FnMut() -> ParticipantId + Send>,
    sessions: BTreeMap<ParticipantId, Session>,
    recordings: Recordings,
    ingresses: Ingresses,
    egresses: Egresses,
    taps: Arc<Taps>,
    departed: Departed,
    /// The scene that each canvas shows since which RTP time.
    shown: BTreeMap<CanvasId, (Arc<Scene>, u64)>,
    observed: BTreeMap<String, Instant>,
    /// Tracks that no canvas shows any more and that are decoded still, and until when.
    lingering: BTreeMap<TrackId, Instant>,
    /// Views that a text lies over, and until when.
    banners: BTreeMap<String, Instant>,
    /// When to look whether what is forwarded still comes.
    watch_passes: Option<Instant>,
    roster_due: Option<Instant>,
    next_event: u64,
    chat: std::collections::VecDeque<Arc<str>>,
    empty_since: Option<Instant>,
    /// A part that the room cannot be without has ended by an internal error.
    failed: bool,
    /// Now, as of the input that is being handled.
    now: Instant,
    wall: SystemTime,
}

impl Conference {
    pub fn new(parts: Parts) -> Self {
        let outlet: Arc<dyn Outlet> = parts.taps.clone();
        let watch: Arc<dyn Watch> = Arc::new(parts.inbox.clone());
        Self {
            video: Video::new(parts.stages, outlet, watch, parts.epoch, parts.created, Arc::clone(&parts.bill)),
            room: parts.room,
            net: parts.net,
            mix: parts.mix,
            inbox: parts.inbox,
            events: parts.events,
            peer: parts.peer,
            bill: parts.bill,
            sharing: Share::new(parts.sharing),
            removals: parts.removals,
            epoch: parts.epoch,
            created: parts.created,
            next_id: parts.next_id,
            sessions: BTreeMap::new(),
            ingresses: Ingresses::new(parts.station),
            recordings: Recordings::new(parts.library, Arc::clone(&parts.taps), parts.epoch),
            egresses: Egresses::new(parts.board, Arc::clone(&parts.taps)),
            taps: parts.taps,
            departed: Departed::default(),
            shown: BTreeMap::new(),
            observed: BTreeMap::new(),
            lingering: BTreeMap::new(),
            banners: BTreeMap::new(),
            watch_passes: None,
            roster_due: None,
            next_event: 1,
            chat: std::collections::VecDeque::new(),
            empty_since: Some(parts.epoch),
            failed: false,
            now: parts.epoch,
            wall: parts.created,
        }
    }

    pub fn id(&self) -> &RoomId {
        self.room.id()
    }

    /// Since when nobody has been here, and nobody has wanted the room recorded or sent on.
    pub fn empty_since(&self) -> Option<Instant> {
        self.empty_since.filter(|_| !self.recordings.keep_the_room() && self.egresses.is_empty())
    }

    /// Whether the room must end: its sound or a view has ended by an internal error, and everybody has been sent away.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Ends the room after an internal error: everybody is out, and told why.
    pub fn fail(&mut self) {
        self.failed = true;
        self.empty(CloseReason::InternalError);
        self.settle();
    }

    /// Closes all connections without looking at anything else: the last act after an internal error.
    pub fn abandon(&self) {
        for participant in self.sessions.keys() {
            self.tell_net(net::Command::Close { participant: *participant, reason: CloseReason::InternalError });
        }
    }

    /// Something happened at a peer or in a stage.
    pub fn handle_input(&mut self, now: Instant, wall: SystemTime, input: Input) {
        (self.now, self.wall) = (now, wall);
        match input {
            Input::Peer(participant, event) => self.peer_event(participant, event),
            Input::Stage(event) => self.stage_event(event),
            Input::Etag(participant, etag) => {
                if let Some(session) = self.sessions.get_mut(&participant) {
                    session.etag = etag;
                }
            }
            Input::Recording(id, event) => self.recording_event(id, event),
            Input::KeyframeForRecording(id) => self.request_keyframe_for(id),
            Input::Ingress(id, event) => self.ingress_event(id, event),
            Input::Egress(id) => self.egress_changed(id),
            Input::KeyframeForEgress(id) => self.request_keyframe_for_egress(id),
        }
        self.settle();
    }

    /// When [`Conference::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let leaving = self.sessions.values().filter_map(|session| session.leaves_at);
        let lingering = self.lingering.values();
        let due = self.observed.values().chain(self.banners.values()).chain(lingering).copied();
        let due = due.chain(self.roster_due).chain(leaving);
        due.chain(self.watch_passes)
            .chain(self.recordings.poll_timeout())
            .chain(self.egresses.poll_timeout())
            .chain(self.room.poll_timeout())
            .min()
    }

    pub fn handle_timeout(&mut self, now: Instant, wall: SystemTime) {
        (self.now, self.wall) = (now, wall);
        if self.roster_due.is_some_and(|due| due <= now) {
            self.roster_due = None;
            self.send_roster();
            self.tell_waiting();
        }
        self.close_transferred();
        // A view that is gone needs neither observer nor banner.
        for view in over(&mut self.observed, now) {
            let _ = self.room.observe(&view, false);
        }
        for view in over(&mut self.banners, now) {
            let _ = self.room.banner(&view, None);
        }
        for track in over(&mut self.lingering, now) {
            self.unwanted(track);
        }
        self.room.handle_timeout(now);
        self.watch_passes();
        self.take_stills();
        self.departed.forget(now);
        self.settle();
    }

    fn peer_event(&mut self, participant: ParticipantId, event: Event) {
        match event {
            Event::Connected => self.room.link(participant, Link::Up),
            Event::Reachable(true) => self.reachable(participant, Link::Up),
            Event::Reachable(false) => self.reachable(participant, Link::Silent),
            Event::Negotiated(mut negotiated) => {
                let Some(session) = self.sessions.get(&participant) else { return };
                negotiated.sends.retain(|(source, _)| session.rights.may_publish(*source));
                if !session.rights.subscribe {
                    (negotiated.video_down, negotiated.audio_down) = (None, None);
                }
                self.room.negotiated(participant, negotiated);
            }
            Event::ChannelOpen => self.greet(participant),
            Event::Message(text) => self.channel_message(participant, &text),
            Event::KeyframeRequested => {
                self.room.lost(participant, self.now);
                self.request_keyframe(participant, Need::Repairs);
            }
            Event::KeyframeNeeded => self.request_keyframe(participant, Need::Joins),
            Event::Flows(rendition) => self.room.flows(participant, rendition),
            Event::Estimate(bps) => self.room.estimate(participant, bps, self.now),
            Event::Congested(bps) => self.room.congested(participant, bps, self.now),
            Event::Report { loss, pictures_bps, .. } => self.reported(participant, loss, pictures_bps),
            Event::Closed(reason) => self.closed(participant, reason),
            Event::Video(_) | Event::Audio(_) => {} // media go to the inlet
        }
    }

    /// Silence and return only matter once the connection has been up.
    fn reachable(&mut self, participant: ParticipantId, link: Link) {
        if self.room.member(participant).is_some_and(|member| member.link != Link::Connecting) {
            self.room.link(participant, link);
        }
    }

    fn stage_event(&mut self, event: StageEvent) {
        match event {
            StageEvent::TrackSize { track, size } => self.room.track_size(track, size),
            StageEvent::TrackQuarantined { track, reason } => {
                tracing::warn!(room = %self.room.id(), participant = %track.participant, reason, "a track cannot be decoded and rests");
                self.publish(
                    "track.quarantined",
                    serde_json::json!({"participant": track.participant, "source": track.source, "reason": reason}),
                );
            }
            StageEvent::SceneShown { canvas, scene, rtp_time } => {
                let text: Arc<str> = channel::tiles(&scene, rtp_time, &|person| self.room.by_person(person)).into();
                self.send(self.channels_of(canvas), text);
                self.note_scene(canvas, &scene, rtp_time);
                self.room.rests(canvas, &scene, self.now);
                self.shown.insert(canvas, (scene, rtp_time));
            }
            StageEvent::Facts { track, facts } => self.room.facts(track, Some(facts)),
            StageEvent::Mix(mix::Event::ActiveSpeaker { rule, participant }) => self.room.floor_passed(rule, participant),
            StageEvent::Failed(unit) => {
                tracing::error!(room = %self.room.id(), unit, "the room ends by an internal error");
                self.fail();
            }
            StageEvent::Mix(mix::Event::Level { participant, dbov }) => self.room.level(participant, dbov),
            StageEvent::Mix(mix::Event::Speaking { participant, speaking }) => {
                self.room.speaking(participant, speaking);
                self.mark_roster();
            }
        }
    }

    /// The connection has ended: of itself, or because we closed it.
    fn closed(&mut self, participant: ParticipantId, reason: CloseReason) {
        let Some(session) = self.sessions.remove(&participant) else { return };
        let reason = session.closing.unwrap_or(reason);
        if let Some(member) = self.room.member(participant) {
            tracing::info!(room = %self.room.id(), %participant, connected = member.link != Link::Connecting, "participant out: {reason}");
            self.departed.remember(self.now, member.describe(None), reason);
        }
        self.video.close_tracks(participant);
        self.lingering.retain(|track, _| track.participant != participant);
        self.room.leave(participant, reason);
        if self.sessions.is_empty() {
            self.empty_since = Some(self.now);
        }
    }

    /// Runs what the room decided and tells the world what happened.
    fn settle(&mut self) {
        for change in self.room.take_changes() {
            self.run(change);
        }
        for notice in self.room.take_notices() {
            self.notify(notice);
        }
        self.permit_tracks();
        self.record_by_itself();
        self.want_ingresses();
    }

    fn run(&mut self, change: Change) {
        match change {
            Change::CanvasOpened { canvas, fps } => {
                if let Some(plan) = self.room.plan().canvases.get(&canvas) {
                    self.video.open_view(canvas, fps, &plan.scene);
                }
            }
            Change::CanvasClosed { canvas } => {
                self.video.close_view(canvas);
                self.shown.remove(&canvas);
            }
            Change::Scene { canvas, scene } => self.set_scene(canvas, scene),
            Change::RenditionOpened { canvas, id, key } => {
                self.sharing.renditions(1);
                self.video.open_rendition(canvas, id, key, self.room.is_gone_over_to(id));
            }
            Change::RenditionClosed { canvas, id } => {
                self.sharing.renditions(-1);
                self.video.close_rendition(canvas, id);
            }
            Change::Feed { participant, rendition } => self.feed(participant, rendition),
            Change::Cut(participant) => self.tell_net(net::Command::Cut(participant)),
            Change::Record { recording, rendition } => self.feed_recording(recording, rendition),
            Change::Send { egress, rendition } => self.feed_egress(egress, rendition),
            Change::Pass { track, rendition } => self.pass(track, rendition),
            Change::Decode { track, decoded } => self.video.set_visible(track, decoded && self.is_wanted(track)),
            Change::Wanted { track, height } => self.want(track, height),
            Change::Speaker { participant, voicing } => self.tell_mix(mix::Input::Speaker { participant, voicing }),
            Change::SpeakerLeft(id) => self.tell_mix(mix::Input::SpeakerLeft(id)),
            Change::Mix { mix, blend } => self.tell_mix(mix::Input::Mix { mix, blend }),
            Change::MixClosed(mix) => self.tell_mix(mix::Input::MixClosed(mix)),
            Change::Listener { participant, codec, mix } => self.tell_mix(mix::Input::Listener { participant, codec, mix }),
            Change::Floors(rules) => self.tell_mix(mix::Input::Floors(rules)),
            Change::Hold(holding) => self.tell_mix(mix::Input::Hold(holding)),
            Change::Chime(chime) => self.tell_mix(mix::Input::Chime(chime)),
            Change::ListenerLeft(id) => self.tell_mix(mix::Input::ListenerLeft(id)),
            Change::Pace { .. }
            | Change::Halve { .. }
            | Change::Aim { .. }
            | Change::Layers { .. }
            | Change::Rate { .. }
            | Change::Grade { .. } => self.adapt(&change),
        }
    }

    fn feed(&mut self, participant: ParticipantId, rendition: Option<crate::ids::RenditionId>) {
        if let Some(session) = self.sessions.get_mut(&participant) {
            let had = std::mem::replace(&mut session.fed, rendition.is_some());
            self.sharing.feeds(i64::from(rendition.is_some()) - i64::from(had));
        } else if rendition.is_none() {
            self.sharing.feeds(-1);
        }
        self.tell_net(net::Command::Feed { participant, rendition });
        if rendition.is_some() {
            self.request_keyframe(participant, Need::Joins);
            self.tell_tiles(participant);
        }
    }

    /// Who comes to a canvas that is already shown learns who is where in it: it is told anew with its next picture,
    /// which for them begins with a keyframe.
    fn tell_tiles(&self, participant: ParticipantId) {
        let Some(canvas) = self.room.plan().screens.get(&participant) else { return };
        self.tell_scene_again(*canvas);
    }

    fn tell_scene_again(&self, canvas: CanvasId) {
        if let Some(plan) = self.room.plan().canvases.get(&canvas).filter(|_| self.shown.contains_key(&canvas)) {
            self.set_scene(canvas, Arc::clone(&plan.scene));
        }
    }

    fn set_scene(&self, canvas: CanvasId, scene: Arc<Scene>) {
        let tracks = describe::tracks(&self.room, &scene);
        self.video.set_scene(canvas, scene, &tracks);
    }

    fn send(&self, to: Arc<[ParticipantId]>, text: Arc<str>) {
        if !to.is_empty() {
            self.tell_net(net::Command::Message { to: Recipients::Many(to), text });
        }
    }

    fn tell_net(&self, command: net::Command) {
        if self.net.send(command).is_err() {
            metrics::counter!("mixdown_drops_total", "reason" => "hub_busy").increment(1);
            tracing::error!(room = %self.room.id(), "the hub's command queue is full");
        }
    }

    fn tell_mix(&self, input: mix::Input) {
        if self.mix.try_send(input).is_err() {
            metrics::counter!("mixdown_drops_total", "reason" => "mix_busy").increment(1);
            tracing::error!(room = %self.room.id(), "the mix's command queue is full");
        }
    }
}

/// Takes out what has come to its end.
fn over<K: Ord>(until: &mut BTreeMap<K, Instant>, now: Instant) -> Vec<K> {
    until.extract_if(.., |_, until| *until <= now).map(|(key, _)| key).collect()
}
