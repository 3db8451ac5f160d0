//! Pictures that are forwarded as they come: where a canvas shows one sender's picture over all of it and nothing else, whoever
//! takes its codec and its rate needs neither decoder, canvas nor encoder.
//!
//! A canvas must have rested in such a scene for a while. Then its subscribers are told to take the sender's pictures; the composite flows
//! to each until the sender's keyframe has come ([`Room::flows`]), and the other way round. Without time and pictures, as all of the room.

use super::plan::Plan;
use super::{Member, Room};
use crate::ids::{CanvasId, ParticipantId, RenditionId, Source, TrackId};
use crate::media::Facts;
use mixdown_codecs::VideoCodec;
use mixdown_layouts::scene::TileSource;
use mixdown_layouts::{Rect, Scene};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a canvas rests in a scene before its one picture is forwarded.
pub const CALM: Duration = Duration::from_secs(2);

/// What the room keeps for it: the scenes that canvases have come to rest in, and what flows to whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Passing {
    resting: BTreeMap<CanvasId, Rest>,
    pub flowing: BTreeMap<ParticipantId, RenditionId>,
}

/// The scene that a canvas rests in.
#[derive(Debug, Clone)]
struct Rest {
    scene: Arc<Scene>,
    since: Instant,
    passes: bool,
}

impl Room {
    /// A canvas has come to rest in this scene.
    pub fn rests(&mut self, canvas: CanvasId, scene: &Arc<Scene>, now: Instant) {
        if self.passing.resting.get(&canvas).is_none_or(|rest| rest.scene != *scene) {
            self.passing.resting.insert(canvas, Rest { scene: Arc::clone(scene), since: now, passes: false });
        }
        let plan = &self.plan;
        self.passing.resting.retain(|canvas, _| plan.canvases.contains_key(canvas));
    }

    /// What a track's pictures are like from now on; `None`: none come any more.
    pub fn facts(&mut self, track: TrackId, facts: Option<Facts>) {
        let Some(member) = self.find(track.participant) else { return };
        let before = match facts {
            Some(facts) => member.facts.insert(track.source, facts),
            None => member.facts.remove(&track.source),
        };
        if before != facts && self.passing.resting.values().any(|rest| rest.passes) {
            self.settle();
        }
    }

    /// What flows to a participant from now on.
    pub fn flows(&mut self, participant: ParticipantId, rendition: RenditionId) {
        if self.member(participant).is_some()
            && self.passing.flowing.insert(participant, rendition) != Some(rendition)
            && !self.plan.passes.is_empty()
        {
            self.settle();
        }
    }

    /// Whether somebody goes over to this rendition from forwarded pictures.
    pub fn is_gone_over_to(&self, rendition: RenditionId) -> bool {
        let passes = |id: &RenditionId| self.plan.passes.values().any(|pass| pass == id);
        let goes_over = |participant| !self.plan.cut.contains(participant) && self.passing.flowing.get(participant).is_some_and(passes);
        self.plan.feeds.iter().any(|(participant, fed)| *fed == rendition && goes_over(participant))
    }

    /// When a canvas has rested for long enough.
    pub(super) fn calm_at(&self) -> Option<Instant> {
        let waits = |rest: &&Rest| !rest.passes && whole(&rest.scene).is_some();
        self.passing.resting.values().filter(waits).map(|rest| rest.since + CALM).min()
    }

    pub(super) fn calm(&mut self, now: Instant) {
        let mut changed = false;
        for rest in self.passing.resting.values_mut().filter(|rest| !rest.passes && now >= rest.since + CALM) {
            rest.passes = true;
            changed |= whole(&rest.scene).is_some();
        }
        if changed {
            self.settle();
        }
    }

    /// The track whose pictures are all that the canvas shows, and what they are like.
    pub(super) fn forwarded(&self, canvas: CanvasId, scene: &Arc<Scene>) -> Option<(TrackId, Facts)> {
        let rest = self.passing.resting.get(&canvas).filter(|rest| rest.passes && self.settings.forward_pictures)?;
        if !Arc::ptr_eq(&rest.scene, scene) && rest.scene != *scene {
            return None;
        }
        let tile = whole(scene)?;
        let member = self.by_person(tile.person)?;
        let source = if tile.kind == TileSource::Camera { Source::Camera } else { Source::Screen };
        let facts = *member.facts.get(&source)?;
        let (size, canvas) = (facts.size, scene.canvas);
        let [across, down] = [u64::from(size.width) * u64::from(canvas.height), u64::from(size.height) * u64::from(canvas.width)];
        // One per cent of a stretch is not seen.
        let fits = size.width <= canvas.width && size.height <= canvas.height && across.abs_diff(down) * 100 <= across;
        let track = TrackId { participant: member.id, source };
        (member.link == super::member::Link::Up && facts.plain && fits).then_some((track, facts))
    }

    /// Whether a participant who takes `codec` can be sent these pictures.
    pub(super) fn takes(&self, participant: ParticipantId, codec: VideoCodec, track: TrackId, facts: Facts) -> bool {
        let already = self.plan.passes.get(&track).is_some_and(|id| self.plan.feeds.get(&participant) == Some(id));
        let fits = |member: &Member| member.tier.takes(facts.bitrate_bps, already);
        facts.codec == codec && self.member(participant).is_some_and(fits)
    }
}

impl Plan {
    /// The track that a rendition is the pictures of, as they come.
    pub fn passed(&self, rendition: RenditionId) -> Option<TrackId> {
        self.passes.iter().find(|(_, id)| **id == rendition).map(|(track, _)| *track)
    }
}

/// The one tile of a scene that shows nothing but a picture.
fn whole(scene: &Scene) -> Option<&mixdown_layouts::Tile> {
    let [tile] = scene.tiles.as_slice() else { return None };
    let canvas = Rect::new(0, 0, scene.canvas.width, scene.canvas.height);
    let plain = tile.source.is_some() && tile.rect == canvas && tile.opacity == 255 && !tile.speaking && !tile.moving;
    let named = scene.labels || (tile.muted && tile.kind == TileSource::Camera);
    (plain && !named && scene.overflow == 0 && scene.overlays.is_empty()).then_some(tile)
}
