//! The room as a state machine: commands in, changes out. Knows no pictures, sockets, threads or clocks.
//!
//! The [`Room`] keeps who is here and what was asked for. After every command it derives the [`Plan`]
//! (what must run because of it: scenes, renditions, feeds, wanted tracks, speakers, listeners) and
//! emits the difference to the plan before. Nothing is opened or closed anywhere else, so any order of
//! joins, leaves and changes that ends in an empty room ends with everything closed.

mod degrade;
mod egress;
mod ingress;
pub mod member;
mod mixes;
pub mod model;
mod passing;
mod pictures;
pub mod plan;
mod recordings;
mod settings;
mod sidebars;
pub mod sound;
pub mod speaker;
pub mod tiers;
mod views;

pub use egress::Egress;
pub use pictures::Audience;
pub use recordings::{Framing, Recording};
pub use settings::Settings;
pub use views::{Expect, MAIN_VIEW};

use crate::ids::{ParticipantId, RoomId};
use crate::peer::types::{CloseReason, Kind, Negotiated};
use member::{Link, Member};
use mixdown_codecs::Size;
use mixdown_layouts::PersonId;
use model::{ParticipantPatch, RoomPatch, ViewPatch};
use plan::{Change, Plan};
use sidebars::SidebarState;
use sound::{Chime, RoomAudio};
use speaker::Rule;
use std::collections::BTreeMap;
use std::sync::Arc;
use views::ViewState;

/// Why the room refused a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no such participant")]
    NoParticipant,
    #[error("no view named {0:?}: PUT it first, or use \"main\"")]
    NoView(String),
    #[error("no sidebar named {0:?}")]
    NoSidebar(String),
    #[error("a view named {0:?} exists with other settings; change it by PATCH")]
    ViewExists(String),
    /// Carries the current revision.
    #[error("the resource has changed")]
    Stale(u64),
    #[error("main always exists")]
    MainView,
    #[error("the room has as many views as it may: rooms.max_views is {0}")]
    TooManyViews(u32),
    #[error("the room is full: max_participants is {0}")]
    Full(u32),
    #[error("the room is locked")]
    Locked,
    #[error("others can be muted, not unmuted")]
    Unmute,
    #[error("an operator muted you, and has to let you speak again")]
    Held,
    /// A value outside of its limits. `pointer` is its JSON pointer.
    #[error("{detail}")]
    Invalid { pointer: &'static str, detail: String },
}

/// A person who wants to come in.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub id: ParticipantId,
    pub kind: Kind,
    pub name: String,
    pub identity: Option<String>,
    pub role: Option<String>,
    pub view: Option<String>,
    /// Has to be admitted where the room has a waiting room.
    pub waits: bool,
    pub negotiated: Negotiated,
}

/// What the outside is told; media consequences come as [`Change`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Joined(ParticipantId),
    Connected(ParticipantId),
    /// Is connected and waits to be admitted.
    Waiting(ParticipantId),
    Admitted(ParticipantId),
    Updated(ParticipantId),
    Left(ParticipantId, CloseReason),
    ActiveSpeaker(ParticipantId),
    RoomUpdated,
    ViewCreated(String),
    ViewUpdated(String),
    ViewDeleted(String),
    SidebarUpdated(String),
    SidebarDeleted(String),
}

/// Who has the floor and who had it before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub speaker: Option<ParticipantId>,
    pub previous: Option<ParticipantId>,
}

pub struct Room {
    id: RoomId,
    settings: Settings,
    locked: bool,
    /// In order of joining.
    members: Vec<Member>,
    views: BTreeMap<String, ViewState>,
    audio: RoomAudio,
    sidebars: BTreeMap<String, SidebarState>,
    recordings: Vec<Recording>,
    egresses: Vec<Egress>,
    speaker: Option<ParticipantId>,
    previous_speaker: Option<ParticipantId>,
    /// The same by other rules than that of `main`.
    floors: BTreeMap<Rule, Floor>,
    turns: u64,
    revision: u64,
    plan: Plan,
    changes: Vec<Change>,
    notices: Vec<Notice>,
    next_rendition: Arc<std::sync::atomic::AtomicU64>,
    passing: passing::Passing,
    degraded: degrade::Degraded,
}

impl Room {
    /// `next_rendition` is shared by all rooms of the process, so that rendition ids are unique in it.
    pub fn new(id: RoomId, settings: Settings, next_rendition: Arc<std::sync::atomic::AtomicU64>) -> Self {
        let main = ViewState::new(&settings, 1);
        Self {
            id,
            audio: settings.audio,
            sidebars: BTreeMap::new(),
            recordings: Vec::new(),
            egresses: Vec::new(),
            settings,
            locked: false,
            members: Vec::new(),
            views: BTreeMap::from([(MAIN_VIEW.to_owned(), main)]),
            speaker: None,
            previous_speaker: None,
            floors: BTreeMap::new(),
            turns: 0,
            revision: 1,
            plan: Plan::default(),
            changes: Vec::new(),
            notices: Vec::new(),
            next_rendition,
            passing: passing::Passing::default(),
            degraded: degrade::Degraded::default(),
        }
    }

    pub fn id(&self) -> &RoomId {
        &self.id
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn speaker(&self) -> Option<ParticipantId> {
        self.speaker
    }

    /// What must be opened, closed and changed since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// What happened since the last call, for events.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub fn member(&self, id: ParticipantId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The participant whom the layouts know by this number.
    pub fn by_person(&self, person: PersonId) -> Option<&Member> {
        self.members.iter().find(|member| member.person() == person)
    }

    /// Whether somebody may come in. Who is in already under the same identity takes their own place again: no lock
    /// and no cap keeps them out.
    pub fn admits(&self, identity: Option<&str>, view: Option<&str>) -> Result<(), Error> {
        let replaced = self.of_identity(identity).count();
        if self.locked && replaced == 0 {
            return Err(Error::Locked);
        }
        if self.members.len() - replaced >= self.settings.max_participants as usize {
            return Err(Error::Full(self.settings.max_participants));
        }
        self.known_view(view.unwrap_or(MAIN_VIEW))
    }

    /// Whether somebody of this identity may see and hear the room: there is no waiting room, or they have been let in.
    pub fn is_open_to(&self, identity: &str) -> bool {
        !self.settings.waiting_room || self.of_identity(Some(identity)).any(|member| !member.waiting)
    }

    /// Everybody of this identity; nobody where there is none.
    pub fn of_identity(&self, identity: Option<&str>) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| identity.is_some() && member.identity.as_deref() == identity)
    }

    pub fn join(&mut self, arrival: Arrival) -> Result<(), Error> {
        self.admits(arrival.identity.as_deref(), arrival.view.as_deref())?;
        let (id, waiting) = (arrival.id, arrival.waits && self.settings.waiting_room);
        self.members.push(Member { waiting, ..Member::new(arrival) });
        self.notices.push(Notice::Joined(id));
        self.settle();
        Ok(())
    }

    /// Removes the participant; unknown ones are ignored, since a leave can be told twice.
    pub fn leave(&mut self, id: ParticipantId, reason: CloseReason) {
        let Some(index) = self.members.iter().position(|member| member.id == id) else { return };
        let member = self.members.remove(index);
        self.leave_sidebar(id);
        self.passing.flowing.remove(&id);
        self.chime(&member, Chime::Left);
        if self.speaker == Some(id) {
            self.speaker = None;
        }
        if self.previous_speaker == Some(id) {
            self.previous_speaker = None;
        }
        for floor in self.floors.values_mut() {
            floor.speaker = floor.speaker.filter(|speaker| *speaker != id);
            floor.previous = floor.previous.filter(|previous| *previous != id);
        }
        self.notices.push(Notice::Left(id, reason));
        self.settle();
    }

    /// The connection came up, went silent or came back.
    pub fn link(&mut self, id: ParticipantId, link: Link) {
        let Some(member) = self.find(id) else { return };
        if member.link == link {
            return;
        }
        let first = member.link == Link::Connecting && link == Link::Up;
        member.link = link;
        let waiting = member.waiting;
        if first && !waiting {
            let member = member.clone();
            self.chime(&member, Chime::Joined);
        }
        self.notices.push(match (first, waiting) {
            (true, true) => Notice::Waiting(id),
            (true, false) => Notice::Connected(id),
            (false, _) => Notice::Updated(id),
        });
        self.settle();
    }

    pub fn negotiated(&mut self, id: ParticipantId, negotiated: Negotiated) {
        let Some(member) = self.find(id) else { return };
        if member.negotiated == negotiated {
            return;
        }
        member.negotiated = negotiated;
        self.notices.push(Notice::Updated(id));
        self.settle();
    }

    /// Upright size of the pictures of a track, as decoded.
    pub fn track_size(&mut self, track: crate::ids::TrackId, size: Size) {
        let Some(member) = self.find(track.participant) else { return };
        if member.sizes.insert(track.source, size) != Some(size) {
            self.settle();
        }
    }

    /// Opens the room to somebody who waits; does nothing to others.
    pub fn admit(&mut self, id: ParticipantId) -> Result<(), Error> {
        let member = self.find(id).ok_or(Error::NoParticipant)?;
        if std::mem::take(&mut member.waiting) {
            let member = member.clone();
            if member.is_in() {
                self.chime(&member, Chime::Joined);
            }
            self.notices.push(Notice::Admitted(id));
            self.settle();
        }
        Ok(())
    }

    pub fn patch(&mut self, id: ParticipantId, patch: ParticipantPatch) -> Result<(), Error> {
        if let Some(view) = &patch.view {
            self.known_view(view)?;
        }
        let self_unmute = self.settings.self_unmute;
        let member = self.find(id).ok_or(Error::NoParticipant)?;
        if member.apply(patch, self_unmute)? {
            self.notices.push(Notice::Updated(id));
            self.settle();
        }
        Ok(())
    }

    /// The size in which the participant shows the picture; `u32::MAX`: of unknown extent.
    pub fn hint(&mut self, id: ParticipantId, size: Size) {
        let Some(member) = self.find(id) else { return };
        if member.hint.replace(size) != Some(size) {
            self.settle();
        }
    }

    /// By this rule, the floor has passed to `id`.
    pub fn floor_passed(&mut self, rule: Rule, id: ParticipantId) {
        if rule == self.rule_of(MAIN_VIEW) {
            return self.active_speaker(id);
        }
        if self.member(id).is_none() || !self.plan.sound.floors.contains(&rule) {
            return;
        }
        let used = Arc::clone(&self.plan.sound.floors);
        self.floors.retain(|rule, _| used.contains(rule));
        let floor = self.floors.entry(rule).or_default();
        if floor.speaker != Some(id) {
            floor.previous = floor.speaker.replace(id);
            self.settle();
        }
    }

    /// Who has the floor where it is passed by this rule.
    pub(crate) fn floor(&self, rule: Rule) -> Floor {
        let main = Floor { speaker: self.speaker, previous: self.previous_speaker };
        self.floors.get(&rule).filter(|_| rule != self.rule_of(MAIN_VIEW)).copied().unwrap_or(main)
    }

    /// The floor has passed to `id`.
    pub fn active_speaker(&mut self, id: ParticipantId) {
        if self.speaker == Some(id) || self.member(id).is_none() {
            return;
        }
        self.previous_speaker = self.speaker.replace(id);
        self.turns += 1;
        let turn = self.turns;
        if let Some(member) = self.find(id) {
            member.last_spoke = turn;
        }
        self.notices.push(Notice::ActiveSpeaker(id));
        self.settle();
    }

    pub fn speaking(&mut self, id: ParticipantId, speaking: bool) {
        let Some(member) = self.find(id) else { return };
        if member.speaking != speaking {
            member.speaking = speaking;
            self.settle();
        }
    }

    /// How loud somebody is, dBov: for those who ask.
    pub fn level(&mut self, id: ParticipantId, dbov: i8) {
        if let Some(member) = self.find(id) {
            member.level = Some(dbov);
        }
    }

    pub fn update(&mut self, patch: RoomPatch) -> Result<(), Error> {
        if let Some(canvas) = &patch.canvas {
            canvas.check("/canvas")?;
        }
        if patch.max_participants == Some(0) {
            return Err(Error::Invalid { pointer: "/max_participants", detail: "max_participants must be at least 1".into() });
        }
        self.locked = patch.locked.unwrap_or(self.locked);
        self.settings.self_unmute = patch.self_unmute.unwrap_or(self.settings.self_unmute);
        self.settings.auto_record = patch.auto_record.unwrap_or(self.settings.auto_record);
        self.settings.recording_sign = patch.recording_sign.unwrap_or(self.settings.recording_sign);
        self.settings.waiting_room = patch.waiting_room.unwrap_or(self.settings.waiting_room);
        if !self.settings.waiting_room {
            let waiting: Vec<ParticipantId> = self.members.iter().filter(|member| member.waiting).map(|member| member.id).collect();
            waiting.into_iter().try_for_each(|id| self.admit(id))?;
        }
        self.settings.max_participants = patch.max_participants.unwrap_or(self.settings.max_participants);
        self.audio = patch.audio.unwrap_or(self.audio);
        if patch.canvas.is_some() || patch.layout.is_some() {
            self.update_view(MAIN_VIEW, ViewPatch { canvas: patch.canvas, layout: patch.layout, ..ViewPatch::default() })?;
        }
        self.next_revision();
        self.notices.push(Notice::RoomUpdated);
        self.settle();
        Ok(())
    }

    pub fn audio(&self) -> RoomAudio {
        self.audio
    }

    pub fn locked(&self) -> bool {
        self.locked
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Views count with the room, so that a change of either shows in the room's ETag and no view that is made
    /// again has an ETag of its life before.
    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Lets everybody hear that somebody comes or goes. Those who merely watch do so in silence.
    fn chime(&mut self, member: &Member, chime: Chime) {
        if self.audio.join_tones && matches!(member.kind, Kind::Participant | Kind::Publisher) && (chime == Chime::Joined || member.is_in())
        {
            self.changes.push(Change::Chime(chime));
        }
    }

    fn find(&mut self, id: ParticipantId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Derives the plan anew and emits what is different.
    fn settle(&mut self) {
        self.place();
        let mut next = plan::derive(self);
        if self.look(&next) | self.keep(&next) {
            self.place();
            next = plan::derive(self);
        }
        plan::difference(&self.plan, &next, &mut self.changes);
        self.plan = next;
    }
}

#[cfg(test)]
mod tests;
