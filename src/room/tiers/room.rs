//! What links and windows of subscribers tell the room.

use super::{Pace, Wishes};
use crate::ids::ParticipantId;
use crate::room::model::Canvas;
use crate::room::plan::Plan;
use crate::room::{Member, Room};
use mixdown_layouts::scene::TileSource;
use mixdown_layouts::{Scene, Tile};
use std::time::Instant;

/// Whether most of a scene is a shared screen, and nobody beside it is promised a rate: signs are not read at five pictures per second, so size goes first.
pub(in crate::room) fn is_screen(scene: &Scene) -> bool {
    if scene.tiles.iter().any(|tile| tile.min_fps > 0 && tile.source.is_some()) {
        return false;
    }
    let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let most = |tile: &Tile| {
        tile.kind == TileSource::Screen && area(tile.rect.width, tile.rect.height) * 2 > area(scene.canvas.width, scene.canvas.height)
    };
    scene.tiles.iter().any(most)
}

impl Room {
    /// What a participant's link carries, by the connection's own estimate.
    pub fn estimate(&mut self, id: ParticipantId, bps: u32, now: Instant) {
        self.move_tier(id, |member, alone| member.tier.estimate(bps, alone, now));
    }

    /// What a participant's pictures took of late, keyframes aside.
    pub fn pictures(&mut self, id: ParticipantId, bps: u32, now: Instant) {
        self.move_tier(id, |member, alone| member.tier.pictures(bps, alone, now));
    }

    /// A participant's link does not keep up, and takes about this much.
    pub fn congested(&mut self, id: ParticipantId, bps: u32, now: Instant) {
        self.move_tier(id, |member, _| member.tier.congested(bps, now));
    }

    /// A participant has lost pictures. Where others receive the same, theirs are encoded apart from now on: nobody else pays for their repair.
    pub fn lost(&mut self, id: ParticipantId, now: Instant) {
        let apart = self.settings.repair_encodes;
        self.move_tier(id, |member, alone| member.tier.lost(apart && !alone, now));
    }

    /// A participant's window is hidden, or they want to save data. `None`: as before.
    pub fn presence(&mut self, id: ParticipantId, hidden: Option<bool>, save_data: Option<bool>) {
        let Some(member) = self.find(id) else { return };
        let (hidden, save_data) = (hidden.unwrap_or(member.hidden), save_data.unwrap_or(member.save_data));
        if (member.hidden, member.save_data) != (hidden, save_data) {
            (member.hidden, member.save_data) = (hidden, save_data);
            self.settle();
        }
    }

    /// When [`Room::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.members.iter().filter_map(|member| member.tier.deadline()).chain(self.calm_at()).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |member: &&Member| member.tier.deadline().is_some_and(|at| at <= now);
        let due: Vec<ParticipantId> = self.members.iter().filter(due).map(|member| member.id).collect();
        for id in due {
            self.move_tier(id, |member, alone| member.tier.handle_timeout(alone, now));
        }
        self.calm(now);
    }

    /// The plan is derived anew only where something came of it: estimates come from everybody, several times per second.
    fn move_tier(&mut self, id: ParticipantId, change: impl FnOnce(&mut Member, bool)) {
        let alone = self.plan.feeds.get(&id).is_some_and(|fed| self.plan.takers(*fed) == 1);
        let Some(member) = self.find(id) else { return };
        let steered = |member: &Member| alone || member.tier.rung().is_some_and(|rung| rung.pace == Pace::Slow);
        let state =
            |member: &Member| (member.tier.rung(), member.tier.grade(), member.tier.aim(), member.tier.steer().filter(|_| steered(member)));
        let before = state(member);
        change(member, alone);
        if state(member) != before {
            self.settle();
        }
    }

    /// Notes who sees a shared screen above all. True: that has changed for somebody.
    pub(in crate::room) fn look(&mut self, plan: &Plan) -> bool {
        let mut changed = false;
        for member in &mut self.members {
            let Some(canvas) = plan.screens.get(&member.id).and_then(|id| plan.canvases.get(id)) else { continue };
            let screen = is_screen(&canvas.scene);
            changed |= std::mem::replace(&mut member.screen, screen) != screen;
        }
        changed
    }

    /// Tells everybody's tier what they watch and wish.
    pub(in crate::room) fn place(&mut self) {
        let (hd_bps, step) = (self.settings.video_bitrate_bps, self.step());
        for at in 0..self.members.len() {
            let member = &self.members[at];
            let canvas: Option<Canvas> = self.views.get(self.shown_view(member)).map(|view| view.canvas.clone());
            if let (Some(canvas), Some(member)) = (canvas, self.members.get_mut(at)) {
                let wishes = Wishes { step, ..member.wishes() };
                member.tier.follow(&canvas, hd_bps, member.screen, wishes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixdown_codecs::Size;
    use mixdown_layouts::Rect;

    #[test]
    fn a_screen_beside_somebody_with_a_promised_rate_gives_up_size_before_motion() {
        let tile = |n, rect| Tile::plain(n, rect);
        let screen = Tile { kind: TileSource::Screen, ..tile(1, Rect::new(0, 0, 1000, 720)) };
        let scene =
            |min_fps| Scene::plain(Size::new(1280, 720), vec![screen.clone(), Tile { min_fps, ..tile(2, Rect::new(1000, 0, 280, 720)) }]);
        assert!(is_screen(&scene(0)));
        assert!(!is_screen(&scene(25)));
        let mut away = scene(25);
        away.tiles[1].source = None;
        assert!(is_screen(&away), "an avatar needs no rate");
    }
}
