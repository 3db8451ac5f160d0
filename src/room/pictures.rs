//! Which canvases must be composed, and who watches which.
//!
//! Views of the same content (canvas, layout, people) share one canvas whatever their names are. A canvas keeps its id while its
//! content is asked for under any name; a view whose content changes goes on in its canvas where nobody else stays
//! on it, so that a change of layout costs no keyframe.

use super::degrade::SLATE;
use super::egress::Egress;
use super::model::{Canvas, Selector, SelfView};
use super::recordings::{Discretion, Recording};
use super::views::ViewState;
use super::{Error, Member, Room};
use crate::ids::{CanvasId, EgressId, ParticipantId, RecordingId, Source, TrackId};
use crate::overload::Step;
use mixdown_codecs::{Size, VideoCodec};
use mixdown_layouts::overlay::{self, Overlay};
use mixdown_layouts::scene::TileSource;
use mixdown_layouts::{Cast, Fraction, Layout, Person, PersonId, Scene};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// What pictures say while they are recorded.
const SIGN: &str = "REC";

/// What a canvas is composed of. Equal contents are one canvas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub canvas: Canvas,
    pub layout: Layout,
    include: Vec<Selector>,
    exclude: Vec<Selector>,
    /// Whose own picture it is: they are not in it.
    without: Option<ParticipantId>,
    /// Of what is recorded.
    discretion: Discretion,
}

/// A view, or somebody's own picture of it; a recording's or an egress's under its [listener's id](RecordingId::listener).
pub type Name = (String, Option<ParticipantId>);

/// A canvas that must be composed.
pub(super) struct Wish {
    pub content: Content,
    pub names: Vec<Name>,
    /// In order of joining.
    pub watchers: Vec<(Watcher, VideoCodec)>,
    /// Somebody looks at the canvas itself: a snapshot, stills.
    pub observed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watcher {
    Participant(ParticipantId),
    Recording(RecordingId),
    Egress(EgressId),
}

/// What a layout of a view would be applied to.
#[derive(Debug, Clone)]
pub struct Audience {
    pub canvas: Canvas,
    pub cast: Cast,
    /// Who the people of the cast are.
    pub people: Vec<(PersonId, ParticipantId)>,
    /// Encodes that run, and who receives them.
    pub renditions: usize,
    pub viewers: usize,
}

impl Room {
    pub fn audience(&self, view: &str) -> Result<Audience, Error> {
        let state = self.views.get(view).ok_or_else(|| Error::NoView(view.to_owned()))?;
        let canvas = self.plan.shared(view).and_then(|id| self.plan.canvases.get(&id));
        Ok(Audience {
            canvas: state.canvas.clone(),
            cast: Content::of(self, state, None).cast(self),
            people: self.members.iter().map(|member| (member.person(), member.id)).collect(),
            renditions: canvas.map_or(0, |canvas| canvas.renditions.len()),
            viewers: self.members.iter().filter(|member| member.watches().is_some() && self.shown_view(member) == view).count(),
        })
    }
}

/// Everything that is watched or observed now, equal contents together.
pub(super) fn wishes(room: &Room) -> Vec<Wish> {
    let mut watchers: BTreeMap<&str, Vec<(&Member, VideoCodec)>> = BTreeMap::new();
    for member in &room.members {
        if let Some(codec) = member.watches() {
            watchers.entry(room.shown_view(member)).or_default().push((member, codec));
        }
    }
    let mut wishes: Vec<Wish> = Vec::new();
    let mut left = room.settings.max_private_pictures as usize;
    for (name, state) in &room.views {
        let watchers = watchers.remove(name.as_str()).unwrap_or_default();
        let visible = if state.own == SelfView::Exclude && !watchers.is_empty() { visible(room, state) } else { BTreeSet::new() };
        if state.observed {
            wish(&mut wishes, Content::of(room, state, None), (name.clone(), None), None);
        }
        for (member, codec) in watchers {
            let private = left > 0 && visible.contains(&member.person());
            left -= usize::from(private);
            let without = private.then_some(member.id);
            wish(&mut wishes, Content::of(room, state, without), (name.clone(), without), Some((Watcher::Participant(member.id), codec)));
        }
    }
    for recording in room.composites() {
        let Some(state) = room.views.get(&recording.framing.view) else { continue };
        let name = (recording.framing.view.clone(), Some(recording.id.listener()));
        wish(&mut wishes, Content::recorded(room, state, recording), name, Some((Watcher::Recording(recording.id), recording.codec)));
    }
    for egress in room.egresses() {
        let Some(state) = room.views.get(&egress.view) else { continue };
        let name = (egress.view.clone(), Some(egress.id.listener()));
        let watcher = egress.codec.map(|codec| (Watcher::Egress(egress.id), codec));
        wish(&mut wishes, Content::sent(room, state, egress), name, watcher);
    }
    wishes
}

fn wish(wishes: &mut Vec<Wish>, content: Content, name: Name, watcher: Option<(Watcher, VideoCodec)>) {
    let index = wishes.iter().position(|wish| wish.content == content).unwrap_or_else(|| {
        wishes.push(Wish { content, names: Vec::new(), watchers: Vec::new(), observed: false });
        wishes.len() - 1
    });
    let wish = &mut wishes[index];
    if !wish.names.contains(&name) {
        wish.names.push(name);
    }
    wish.observed |= watcher.is_none();
    wish.watchers.extend(watcher);
}

/// Where everybody who has a tile in the view stands, −80 (left) to 80 (right): nobody is all on one side.
pub(super) fn positions(room: &Room, state: &ViewState) -> BTreeMap<ParticipantId, i8> {
    let scene = Content::of(room, state, None).arrange(room);
    let width = i64::from(scene.canvas.width.max(1));
    let place = |tile: &mixdown_layouts::Tile| {
        let id = room.by_person(tile.person)?.id;
        let middle = 2 * i64::from(tile.rect.x) + i64::from(tile.rect.width);
        let position = (80 * (middle - width) / width).clamp(-80, 80);
        Some((id, i8::try_from(position).ok()?))
    };
    scene.tiles.iter().filter(|tile| tile.kind == TileSource::Camera).filter_map(place).collect()
}

/// The layout with what lies over it for a while: a banner, the sign of a recording, that there is no video.
fn adorned(room: &Room, state: &ViewState, layout: &Layout) -> Layout {
    let mut layout = layout.clone();
    if let Some(text) = &state.banner {
        layout.overlays.push(Overlay { kind: overlay::Kind::LowerThird, text: Some(text.clone()), ..Overlay::default() });
    }
    if room.step() == Step::NoVideo {
        layout.overlays.push(Overlay { kind: overlay::Kind::LowerThird, text: Some(SLATE.to_owned()), ..Overlay::default() });
    }
    if room.settings.recording_sign && room.is_recorded() {
        let size = Some(Fraction::new(1, 32));
        layout.overlays.push(Overlay { kind: overlay::Kind::Text, text: Some(SIGN.to_owned()), size, ..Overlay::default() });
    }
    layout
}

/// Everybody who has a tile in the picture that all share.
fn visible(room: &Room, state: &ViewState) -> BTreeSet<PersonId> {
    Content::of(room, state, None).arrange(room).tiles.iter().map(|tile| tile.person).collect()
}

/// The canvas of each wish: who did not change keeps his, then changed views go on in theirs.
pub(super) fn identify(room: &Room, wishes: &[Wish]) -> Vec<CanvasId> {
    let old = &room.plan;
    let mut taken = BTreeSet::new();
    let mut ids: Vec<Option<CanvasId>> = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let same = old.canvases.iter().find(|(_, canvas)| *canvas.content == wish.content).map(|(id, _)| *id);
        ids.push(same.filter(|id| taken.insert(*id)));
    }
    for (wish, id) in wishes.iter().zip(&mut ids).filter(|(_, id)| id.is_none()) {
        let rate = |id: &CanvasId| old.canvases.get(id).map(|canvas| canvas.content.canvas.fps);
        let before = wish.names.iter().filter_map(|name| old.names.get(name).copied());
        // A canvas has one frame rate for life: another rate is another canvas to the stages.
        *id = before.filter(|id| rate(id) == Some(wish.content.canvas.fps)).find(|id| taken.insert(*id));
    }
    let fresh = || CanvasId(room.next_rendition.fetch_add(1, Ordering::Relaxed));
    ids.into_iter().map(|id| id.unwrap_or_else(fresh)).collect()
}

impl Content {
    fn of(room: &Room, state: &ViewState, without: Option<ParticipantId>) -> Self {
        Self {
            canvas: state.canvas.clone(),
            layout: adorned(room, state, &state.layout),
            include: state.include.clone(),
            exclude: state.exclude.clone(),
            without,
            discretion: Discretion::default(),
        }
    }

    /// What `recording` is of: the view as it is watched, unless it has a layout or canvas of its own or somebody does not allow it.
    fn recorded(room: &Room, state: &ViewState, recording: &Recording) -> Self {
        let layout = adorned(room, state, recording.framing.layout.as_ref().unwrap_or(&state.layout));
        let canvas = recording.framing.canvas.as_ref().unwrap_or(&state.canvas).clone();
        let watched = Self::of(room, state, None);
        Self { canvas, layout, discretion: room.discretion(|member| watched.shows(member)), ..watched }
    }

    /// What `egress` shows: the view as it is watched, or in a layout of its own.
    fn sent(room: &Room, state: &ViewState, egress: &Egress) -> Self {
        let layout = adorned(room, state, egress.layout.as_ref().unwrap_or(&state.layout));
        Self { layout, ..Self::of(room, state, None) }
    }

    pub fn size(&self) -> Size {
        Size::new(self.canvas.width, self.canvas.height)
    }

    fn floor(&self, room: &Room) -> super::Floor {
        room.floor(self.layout.active_speaker.into())
    }

    /// The scene as of now.
    pub(super) fn arrange(&self, room: &Room) -> Scene {
        let mut scene = self.layout.arrange(&self.cast(room), self.size(), self.canvas.rgb());
        let speaker = self.floor(room).speaker.and_then(|id| room.member(id)).filter(|member| member.speaking).map(Member::person);
        for tile in &mut scene.tiles {
            tile.speaking = Some(tile.person) == speaker && self.layout.active_speaker.border && tile.kind == TileSource::Camera;
        }
        room.shed(&mut scene);
        scene
    }

    /// Whether the picture may show this participant.
    fn shows(&self, member: &Member) -> bool {
        let listed = |selectors: &[Selector]| selectors.iter().any(|selector| member.is_meant_by(selector));
        let withheld = self.without == Some(member.id) || self.discretion.hidden.contains(&member.id);
        member.is_seen() && !withheld && (self.include.is_empty() || listed(&self.include)) && !listed(&self.exclude)
    }

    /// Whether this picture may be in it, if the layout has a place for it.
    pub(super) fn may_show(&self, room: &Room, track: TrackId) -> bool {
        let person = room.member(track.participant).filter(|member| self.shows(member)).map(|member| self.person(member));
        person.is_some_and(|person| match track.source {
            Source::Camera => person.camera.is_some(),
            Source::Screen => person.screen.is_some(),
            _ => false,
        })
    }

    fn person(&self, member: &Member) -> Person {
        let person = member.cast();
        if self.discretion.masked.contains(&member.id) { Person { camera: None, screen: None, ..person } } else { person }
    }

    fn cast(&self, room: &Room) -> Cast {
        let person = |id: Option<ParticipantId>| id.and_then(|id| room.member(id)).filter(|member| self.shows(member)).map(Member::person);
        let floor = self.floor(room);
        let previous_speaker = person(floor.previous);
        // Who has the floor sees in his own picture who had it before.
        let active_speaker = person(floor.speaker).or(previous_speaker.filter(|_| floor.speaker.is_some()));
        let people = room.members.iter().filter(|member| self.shows(member)).map(|member| self.person(member)).collect();
        Cast { people, active_speaker, previous_speaker }
    }
}
