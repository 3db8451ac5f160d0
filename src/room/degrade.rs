//! What the room gives up where the server is overloaded: see [`crate::overload`].
//!
//! Rate: a canvas makes fewer pictures; no encode begins anew for it. Size: everybody, recordings and egresses too (an encode of their own would cost more than
//! it saves), is on a rung of fewer lines. Tiles: all but the most active cameras and screens are avatars, in the same places. Video: a still
//! picture of avatars that says so. A seat's `min_fps` holds until then, and who sits there is among the last to become an avatar.

use super::Room;
use super::plan::Plan;
use crate::ids::{Source, TrackId};
use crate::overload::Step;
use mixdown_layouts::scene::TileSource;
use mixdown_layouts::{PersonId, Scene, Tile};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What pictures say where there is no video any more.
pub(super) const SLATE: &str = "Video is paused: the server is overloaded";

/// What is given up now.
#[derive(Debug, Clone, Default)]
pub(super) struct Degraded {
    step: Step,
    /// From [`Step::FewTiles`] on: what is decoded still.
    kept: BTreeSet<TrackId>,
}

impl Room {
    /// Gives up as much as this step says.
    pub fn degrade(&mut self, step: Step) {
        if std::mem::replace(&mut self.degraded.step, step) != step {
            self.settle();
        }
    }

    pub fn step(&self) -> Step {
        self.degraded.step
    }

    /// Pictures per second that are made of a scene on a canvas of this rate.
    pub(super) fn pace(&self, scene: &Scene, fps: u32) -> u32 {
        let step = self.degraded.step;
        let seats = scene.tiles.iter().filter(|tile| tile.source.is_some() && step < Step::NoVideo);
        let least = seats.map(|tile| tile.min_fps).max().unwrap_or(0);
        step.fps().max(least).min(fps)
    }

    /// Makes avatars of whom there is no decoding for.
    pub(super) fn shed(&self, scene: &mut Scene) {
        if self.degraded.step < Step::FewTiles {
            return;
        }
        for tile in &mut scene.tiles {
            tile.source = tile.source.filter(|_| self.track_of(tile).is_some_and(|track| self.degraded.kept.contains(&track)));
        }
    }

    /// Chooses what is decoded still. True: that has changed.
    pub(super) fn keep(&mut self, plan: &Plan) -> bool {
        let most = match self.degraded.step {
            Step::FewTiles => self.settings.overload_tiles as usize,
            _ => 0,
        };
        let kept = if most == 0 { BTreeSet::new() } else { self.most_active(plan).into_iter().take(most).collect() };
        std::mem::replace(&mut self.degraded.kept, kept.clone()) != kept
    }

    /// The tracks that are in some picture, whom to see matters most first.
    fn most_active(&self, plan: &Plan) -> Vec<TrackId> {
        let tiles = || plan.canvases.values().flat_map(|canvas| &canvas.scene.tiles);
        let firm: BTreeSet<PersonId> = tiles().filter(|tile| tile.min_fps > 0).map(|tile| tile.person).collect();
        let shown: BTreeSet<TrackId> = tiles().filter_map(|tile| self.track_of(tile)).collect();
        let mut tracks: Vec<TrackId> = shown.into_iter().filter(|track| self.has_picture(*track)).collect();
        tracks.sort_by_cached_key(|track| {
            let index = self.members.iter().position(|member| member.id == track.participant);
            let member = index.and_then(|index| self.members.get(index));
            let (pinned, seated) = member.map_or((false, false), |member| (member.pinned, firm.contains(&member.person())));
            let speaks = self.speaker == Some(track.participant);
            let spoke = member.map_or(0, |member| member.last_spoke);
            (track.source != Source::Screen, !pinned, !seated, !speaks, Reverse(spoke), index)
        });
        tracks
    }

    /// Whether there is a picture to be decoded.
    fn has_picture(&self, track: TrackId) -> bool {
        let person = self.member(track.participant).map(super::Member::cast);
        person.is_some_and(|person| if track.source == Source::Screen { person.screen.is_some() } else { person.camera.is_some() })
    }

    /// Whose picture a tile has a place for.
    pub fn track_of(&self, tile: &Tile) -> Option<TrackId> {
        let source = match tile.kind {
            TileSource::Camera => Source::Camera,
            TileSource::Screen => Source::Screen,
        };
        Some(TrackId { participant: self.by_person(tile.person)?.id, source })
    }
}
