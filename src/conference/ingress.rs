//! What the server plays into a room: begun, paused, moved, ended; whether somebody sees or hears it, and who is told.
//!
//! An ingress is a participant without a connection. It appears when it is known what is in it, and leaves at its end. It does not keep the
//! room: where everybody has left, it ends with it.

use super::Conference;
use super::handle::{Answerer, Refusal};
use super::requests::answer;
use super::station::{Ingress, Show, Station, Ticket};
use super::{Inbox, Input};
use crate::ids::{IngressId, ParticipantId, Source, TrackId};
use crate::ingress::driver::{self, Start};
use crate::ingress::outlets::Outlets;
use crate::ingress::{Command, Event, Media, Report, State, Transport};
use crate::peer::types::{CloseReason, Codec, Kind, Negotiated};
use crate::pipeline::video::Track;
use crate::room::Arrival;
use crate::room::member::display_name;
use crate::room::sound::Gain;
use mixdown_codecs::{AudioCodec, Size};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the API asks of a room's ingresses.
#[derive(Debug)]
pub enum Request {
    Play { ingress: Box<NewIngress>, reply: Answerer<Ingress> },
    List(Answerer<Vec<Ingress>>),
    Get { ingress: IngressId, reply: Answerer<Ingress> },
    Patch { ingress: IngressId, patch: Box<IngressPatch>, if_match: Option<u64>, reply: Answerer<Ingress> },
    Stop { ingress: IngressId, if_match: Option<u64>, reply: Answerer<()> },
}

/// A request to play something.
#[derive(Debug, Clone)]
pub struct NewIngress {
    pub media: Media,
    /// How it is named afterwards.
    pub url: Option<String>,
    pub file: Option<String>,
    pub name: String,
    pub role: Option<String>,
    pub show: Show,
    pub looped: bool,
    pub start: Duration,
    pub playing: bool,
    pub gain: Gain,
    pub duck: Gain,
}

/// Merge-patch of an ingress: absent fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngressPatch {
    pub state: Option<Wish>,
    pub position_ms: Option<u64>,
    #[serde(rename = "loop")]
    pub looped: Option<bool>,
    pub gain_db: Option<Gain>,
    pub duck_db: Option<Gain>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Playing,
    Paused,
}

pub(super) struct Ingresses {
    station: Station,
    playing: BTreeMap<IngressId, Playing>,
}

struct Playing {
    commands: mpsc::Sender<Command>,
    ingress: Ingress,
    transport: Transport,
    /// It has been told that somebody sees or hears it.
    wanted: bool,
    opened: bool,
    _ticket: Ticket,
}

impl Ingresses {
    pub fn new(station: Station) -> Self {
        Self { station, playing: BTreeMap::new() }
    }
}

impl Report for Inbox {
    fn event(&self, ingress: IngressId, event: Event) {
        self.put(Input::Ingress(ingress, event));
    }
}

impl Conference {
    /// Begins to play; the participant appears when it is known what there is to see and hear.
    pub(super) fn handle_ingress(&mut self, request: Request) {
        match request {
            Request::Play { ingress, reply } => answer(reply, self.play(*ingress)),
            Request::List(reply) => answer(reply, Ok(self.ingresses())),
            Request::Get { ingress, reply } => answer(reply, self.ingress(ingress)),
            Request::Patch { ingress, patch, if_match, reply } => answer(reply, self.change_ingress(ingress, *patch, if_match)),
            Request::Stop { ingress, if_match, reply } => answer(reply, self.stop_ingress(ingress, if_match)),
        }
    }

    fn play(&mut self, new: NewIngress) -> Result<Ingress, Refusal> {
        let name = display_name(&new.name)?;
        let most = self.ingresses.station.settings().max_per_room;
        if self.ingresses.playing.len() >= most {
            return Err(Refusal::Busy(format!("ingress.max_per_room is {most}")));
        }
        let id = IngressId((self.next_id)().0);
        let ticket = self.ingresses.station.admit(id, self.room.id())?;
        let mut transport = Transport::new(new.start, new.looped);
        transport.playing = new.playing;
        let mut ingress = Ingress {
            id,
            room: self.room.id().clone(),
            participant: id.participant(),
            name,
            role: new.role,
            url: new.url,
            file: new.file,
            picture: matches!(new.media, Media::Picture(_)),
            show: new.show,
            state: if new.playing { State::Starting } else { State::Paused },
            reason: None,
            position_ms: 0,
            duration_ms: None,
            looped: new.looped,
            gain_db: new.gain,
            duck_db: new.duck,
            created_at: crate::runtime::clock::rfc3339(self.wall),
            etag: 1,
        };
        ingress.stand(&transport, self.now);
        let (track, sound) = (self.track_of(&ingress), ingress.show.sound());
        let outlets = Outlets::new(ingress.participant, track, self.mix.clone(), sound, self.epoch);
        let settings = Arc::clone(self.ingresses.station.settings());
        let commands = driver::start(settings, Start { id, media: new.media, transport }, outlets, Arc::new(self.inbox.clone()));
        tracing::info!(room = %self.room.id(), ingress = %id, "an ingress begins");
        let shown = ingress.clone();
        self.ingresses.playing.insert(id, Playing { commands, ingress, transport, wanted: false, opened: false, _ticket: ticket });
        self.note_ingress(&shown);
        self.publish("ingress.started", json!({"ingress": shown}));
        Ok(shown)
    }

    fn track_of(&mut self, ingress: &Ingress) -> Option<Track> {
        let [camera, screen] = self.video.open_tracks(ingress.participant);
        match ingress.show {
            Show::Camera => Some(camera),
            Show::Screen => Some(screen),
            Show::Announcement => {
                self.video.close_tracks(ingress.participant);
                None
            }
        }
    }

    pub(super) fn ingresses(&self) -> Vec<Ingress> {
        self.ingresses.playing.values().map(|playing| self.standing(playing)).collect()
    }

    fn ingress(&self, id: IngressId) -> Result<Ingress, Refusal> {
        self.ingresses.playing.get(&id).map(|playing| self.standing(playing)).ok_or(Refusal::NotFound("ingress"))
    }

    fn standing(&self, playing: &Playing) -> Ingress {
        let mut ingress = playing.ingress.clone();
        ingress.stand(&playing.transport, self.now);
        if let Some(member) = self.room.member(ingress.participant) {
            (ingress.name, ingress.role, ingress.gain_db) = (member.name.clone(), member.role.clone(), member.gain);
        }
        ingress
    }

    /// Plays, pauses, moves and amplifies, all of it or nothing.
    fn change_ingress(&mut self, id: IngressId, patch: IngressPatch, if_match: Option<u64>) -> Result<Ingress, Refusal> {
        let now = self.now;
        let playing = self.ingresses.playing.get_mut(&id).ok_or(Refusal::NotFound("ingress"))?;
        let etag = playing.ingress.etag;
        if if_match.is_some_and(|wanted| wanted != etag) {
            return Err(Refusal::Stale { current: format!("\"{etag}\"") });
        }
        let position = patch.position_ms.map(Duration::from_millis);
        let still = playing.ingress.picture || (playing.opened && playing.transport.duration.is_none());
        if position.is_some() && still {
            return Err(Refusal::Conflict("it has no length: a live stream or a picture has no position to go to".into()));
        }
        if let (Some(position), Some(duration)) = (position, playing.transport.duration)
            && position > duration
        {
            let detail = format!("it is {} ms long", duration.as_millis());
            return Err(Refusal::Unprocessable { pointer: "/position_ms", detail });
        }
        let commands = [
            patch.looped.map(Command::Loop),
            // A pause comes before a move, so that nothing of what is moved to is heard.
            patch.state.filter(|wish| *wish == Wish::Paused).map(|_| Command::Pause),
            position.map(Command::Seek),
            patch.state.filter(|wish| *wish == Wish::Playing).map(|_| Command::Play),
        ];
        let commands: Vec<Command> = commands.into_iter().flatten().collect();
        if playing.commands.capacity() < commands.len() {
            return Err(Refusal::Busy("the ingress has not yet done what it was told before".into()));
        }
        for command in commands {
            // There is room for it; one that ends just now does nothing more.
            let _ = playing.commands.try_send(command);
            match command {
                Command::Play => playing.transport.playing = true,
                Command::Pause => playing.transport.pause(now),
                Command::Seek(position) => playing.transport.seek(position),
                Command::Loop(looped) => playing.transport.set_looped(looped, now),
                Command::Wanted(_) => {}
            }
        }
        match patch.state {
            Some(Wish::Paused) => playing.ingress.state = State::Paused,
            Some(Wish::Playing) if playing.ingress.state == State::Paused => playing.ingress.state = State::Playing,
            _ => {}
        }
        playing.ingress.duck_db = patch.duck_db.unwrap_or(playing.ingress.duck_db);
        playing.ingress.gain_db = patch.gain_db.unwrap_or(playing.ingress.gain_db);
        playing.ingress.etag += 1;
        let gain = patch.gain_db;
        if let Some(gain) = gain {
            self.room.amplify(id.participant(), gain);
        }
        self.duck(id);
        let shown = self.ingress(id)?;
        self.note_ingress(&shown);
        self.publish("ingress.updated", json!({"ingress": shown}));
        Ok(shown)
    }

    /// Ends it by somebody's wish.
    pub(super) fn stop_ingress(&mut self, id: IngressId, if_match: Option<u64>) -> Result<(), Refusal> {
        let playing = self.ingresses.playing.get(&id).ok_or(Refusal::NotFound("ingress"))?;
        let (etag, transport) = (playing.ingress.etag, playing.transport);
        if if_match.is_some_and(|wanted| wanted != etag) {
            return Err(Refusal::Stale { current: format!("\"{etag}\"") });
        }
        self.ingress_ended(id, State::Complete, transport, "stopped".into(), CloseReason::Left);
        Ok(())
    }

    /// Whether this participant is something that is played.
    pub(super) fn is_ingress(&self, participant: ParticipantId) -> bool {
        self.ingresses.playing.contains_key(&IngressId(participant.0))
    }

    /// Ends all of them.
    pub(super) fn stop_ingresses(&mut self) {
        let ids: Vec<IngressId> = self.ingresses.playing.keys().copied().collect();
        ids.into_iter().for_each(|id| _ = self.stop_ingress(id, None));
    }

    pub(super) fn ingress_event(&mut self, id: IngressId, event: Event) {
        match event {
            Event::Opened { picture, sound } => self.ingress_opened(id, picture, sound),
            Event::Changed { state, transport, reason } => self.ingress_changed(id, state, transport, reason),
            Event::Ended { state, transport, reason } => {
                let close = if state == State::Failed { CloseReason::PlaybackFailed } else { CloseReason::Finished };
                self.ingress_ended(id, state, transport, reason, close);
            }
        }
    }

    fn ingress_opened(&mut self, id: IngressId, picture: Option<Size>, sound: bool) {
        let Some(playing) = self.ingresses.playing.get_mut(&id) else { return };
        playing.opened = true;
        let Ingress { participant, name, role, show, gain_db, .. } = playing.ingress.clone();
        let source = show.picture();
        let mut sends: Vec<(Source, Codec)> = source.filter(|_| picture.is_some()).map(|source| (source, Codec::Raw)).into_iter().collect();
        sends.extend(sound.then_some((show.sound(), Codec::Audio(AudioCodec::L16))));
        let negotiated = Negotiated { sends, ..Negotiated::default() };
        if self.room.member(participant).is_some() {
            self.room.negotiated(participant, negotiated);
        } else {
            let kind = if show == Show::Announcement { Kind::Announcement } else { Kind::Ingress };
            let arrival = Arrival { id: participant, kind, name, identity: None, role, view: None, waits: false, negotiated };
            // `main` always exists.
            let _ = self.room.host(arrival);
            self.room.amplify(participant, gain_db);
        }
        if let (Some(source), Some(size)) = (source, picture) {
            self.room.track_size(TrackId { participant, source }, size);
        }
        self.duck(id);
    }

    fn ingress_changed(&mut self, id: IngressId, state: State, transport: Transport, reason: Option<String>) {
        let Some(playing) = self.ingresses.playing.get_mut(&id) else { return };
        let news = (playing.ingress.state, &playing.ingress.reason) != (state, &reason) || playing.transport.duration != transport.duration;
        playing.transport = transport;
        (playing.ingress.state, playing.ingress.reason) = (state, reason);
        if news {
            playing.ingress.etag += 1;
            self.duck(id);
            if let Ok(shown) = self.ingress(id) {
                self.note_ingress(&shown);
                self.publish("ingress.updated", json!({"ingress": shown}));
            }
        }
    }

    fn ingress_ended(&mut self, id: IngressId, state: State, transport: Transport, reason: String, close: CloseReason) {
        let Some(mut playing) = self.ingresses.playing.remove(&id) else { return };
        playing.transport = transport;
        (playing.ingress.state, playing.ingress.reason) = (state, Some(reason.clone()));
        let mut shown = self.standing(&playing);
        shown.etag += 1;
        self.video.close_tracks(id.participant());
        self.lingering.retain(|track, _| track.participant != id.participant());
        self.room.leave(id.participant(), close);
        tracing::info!(room = %self.room.id(), ingress = %id, ?state, reason, "an ingress has ended");
        if close != CloseReason::Left {
            // What somebody has deleted is no more.
            self.ingresses.station.remember(shown.clone());
        }
        let kind = if state == State::Failed { "ingress.failed" } else { "ingress.ended" };
        self.note_ingress(&shown);
        self.publish(kind, json!({"ingress": shown, "reason": reason}));
    }

    /// While an announcement sounds all others are quieter.
    fn duck(&mut self, id: IngressId) {
        let Some(playing) = self.ingresses.playing.get(&id).filter(|playing| playing.ingress.show == Show::Announcement) else { return };
        let others = if playing.ingress.state == State::Playing { playing.ingress.duck_db } else { Gain::UNITY };
        self.room.duck(id.participant(), others);
    }

    /// Tells each whether somebody sees or hears it now.
    pub(super) fn want_ingresses(&mut self) {
        let (room, lingering) = (&self.room, &self.lingering);
        for playing in self.ingresses.playing.values_mut().filter(|playing| playing.opened) {
            let participant = playing.ingress.participant;
            let track = playing.ingress.show.picture().map(|source| TrackId { participant, source });
            let seen = track.is_some_and(|track| room.plan().wanted.contains_key(&track) || lingering.contains_key(&track));
            let wanted = seen || room.is_heard(participant);
            if wanted != playing.wanted && playing.commands.try_send(Command::Wanted(wanted)).is_ok() {
                playing.wanted = wanted;
            }
        }
    }
}

impl Show {
    fn picture(self) -> Option<Source> {
        match self {
            Self::Camera => Some(Source::Camera),
            Self::Screen => Some(Source::Screen),
            Self::Announcement => None,
        }
    }

    fn sound(self) -> Source {
        match self {
            Self::Camera => Source::Microphone,
            Self::Screen | Self::Announcement => Source::ScreenAudio,
        }
    }
}
