//! The way from one scene to the next: rectangles and opacity ease over the time that the new scene asks for.
//!
//! [`Motion::change`] takes a new scene, [`Motion::at`] says what to draw at a time. A change while another is under way
//! starts from what is seen then. At rest the scene itself is handed out, and nothing is computed.
//!
//! In between, people who are in both scenes move from place to place, those who come fade in at their place, and those
//! who go fade out at theirs, below all others. Names and signs wait until their tile has arrived. What does not move
//! (names, who speaks, overlays) changes at once.
//!
//! Times are milliseconds of the caller's clock, which never runs backwards.

use crate::layout::Transition;
use crate::{Rect, Scene, Tile};
use std::sync::Arc;

/// One view's scene, at rest or on its way.
#[derive(Debug)]
pub struct Motion {
    target: Arc<Scene>,
    way: Option<Way>,
}

#[derive(Debug)]
struct Way {
    from: Vec<Tile>,
    start_ms: u64,
    /// What was handed out last.
    between: Scene,
}

impl Motion {
    /// At rest in `scene`.
    pub fn new(scene: Arc<Scene>) -> Self {
        Self { target: scene, way: None }
    }

    /// From `now_ms` on to `scene`, at its pace.
    pub fn change(&mut self, scene: Arc<Scene>, now_ms: u64) {
        let old = std::mem::replace(&mut self.target, scene);
        if same_places(&old, &self.target) {
            return;
        }
        let scene = &self.target;
        let jumps = scene.transition.ms == 0 || scene.canvas != old.canvas || old.tiles.is_empty() || scene.tiles.is_empty();
        self.way = if jumps {
            None
        } else {
            let from = match self.way.take() {
                Some(way) => way.tiles(&old, now_ms),
                None => old.tiles.clone(),
            };
            Some(Way { from, start_ms: now_ms, between: (**scene).clone() })
        };
    }

    /// The scene to draw at `now_ms`.
    pub fn at(&mut self, now_ms: u64) -> &Scene {
        if self.way.as_ref().is_some_and(|way| now_ms >= way.start_ms + u64::from(self.target.transition.ms)) {
            self.way = None;
        }
        match &mut self.way {
            None => &self.target,
            Some(way) => {
                let tiles = way.tiles(&self.target, now_ms);
                way.between.clone_from(&self.target);
                way.between.tiles = tiles;
                &way.between
            }
        }
    }

    /// Whether the last [`Motion::at`] was somewhere on the way.
    pub fn is_moving(&self) -> bool {
        self.way.is_some()
    }

    /// Where it rests in the end.
    pub fn target(&self) -> &Arc<Scene> {
        &self.target
    }
}

impl Way {
    /// What is seen at `now_ms`: those who go, then all of `target`.
    fn tiles(&self, target: &Scene, now_ms: u64) -> Vec<Tile> {
        let progress = target.transition.progress(now_ms.saturating_sub(self.start_ms));
        let is = |a: &Tile, b: &Tile| (a.person, a.kind) == (b.person, b.kind);
        let goes = self.from.iter().filter(|tile| !target.tiles.iter().any(|other| is(tile, other)));
        let going = goes.map(|tile| Tile { opacity: blend(tile.opacity.into(), 0, progress) as u8, moving: true, ..tile.clone() });
        let coming = target.tiles.iter().map(|tile| match self.from.iter().find(|other| is(tile, other)) {
            Some(from) if from.rect == tile.rect && from.opacity == tile.opacity => tile.clone(),
            Some(from) => Tile {
                rect: between(from.rect, tile.rect, progress),
                opacity: blend(from.opacity.into(), tile.opacity.into(), progress) as u8,
                moving: true,
                ..tile.clone()
            },
            None => Tile { opacity: blend(0, tile.opacity.into(), progress) as u8, moving: true, ..tile.clone() },
        });
        going.filter(|tile| tile.opacity > 0).chain(coming).collect()
    }
}

impl Transition {
    /// How much of the way is done after `elapsed_ms`, 0 to 1.
    fn progress(self, elapsed_ms: u64) -> f64 {
        let time = (elapsed_ms as f64 / f64::from(self.ms.max(1))).min(1.0);
        self.easing.at(time)
    }
}

fn same_places(a: &Scene, b: &Scene) -> bool {
    let places = |scene: &Scene| scene.tiles.iter().map(|tile| (tile.person, tile.kind, tile.rect)).collect::<Vec<_>>();
    a.canvas == b.canvas && places(a) == places(b)
}

fn blend(from: u32, to: u32, progress: f64) -> u32 {
    (f64::from(from) + (f64::from(to) - f64::from(from)) * progress).round() as u32
}

/// Edges move, so that neighbours stay neighbours; even, and at least 2 × 2 as its ends are.
fn between(from: Rect, to: Rect, progress: f64) -> Rect {
    let even = |from: u32, to: u32| (blend(from, to, progress) + 1) & !1;
    let (left, top) = (even(from.x, to.x), even(from.y, to.y));
    let (right, bottom) = (even(from.right(), to.right()), even(from.bottom(), to.bottom()));
    Rect::new(left, top, (right - left.min(right)).max(2), (bottom - top.min(bottom)).max(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Easing, Kind};
    use crate::{Cast, Layout, Person, PersonId, Source, SourceId};
    use mixdown_codecs::Size;
    use proptest::prelude::*;

    const HD: Size = Size::new(1280, 720);

    fn scene(people: &[u64], kind: Kind, ms: u32) -> Arc<Scene> {
        let person =
            |&id: &u64| Person { name: format!("P{id}"), camera: Some(Source { id: SourceId(id), size: None }), ..Person::plain(id) };
        let cast = Cast { people: people.iter().map(person).collect(), ..Cast::default() };
        let transition = Transition { ms, easing: Easing::Linear };
        Arc::new(Layout { kind, gap: 0, transition, ..Layout::default() }.arrange(&cast, HD, [0; 3]))
    }

    fn tile(scene: &Scene, id: u64) -> &Tile {
        scene.tiles.iter().find(|tile| tile.person == PersonId(id)).unwrap()
    }

    #[test]
    fn people_move_come_and_go_and_arrive_exactly_where_the_new_scene_has_them() {
        let (two, three) = (scene(&[1, 2], Kind::Grid, 200), scene(&[2, 3], Kind::Speaker, 200));
        let mut motion = Motion::new(Arc::clone(&two));
        assert_eq!(motion.at(0), &*two);
        assert!(!motion.is_moving());
        motion.change(Arc::clone(&three), 1000);
        assert_eq!(tile(motion.at(1000), 2).rect, tile(&two, 2).rect);
        let middle = motion.at(1100).clone();
        assert!(motion.is_moving());
        assert_eq!((tile(&middle, 1).opacity, tile(&middle, 3).opacity, tile(&middle, 2).opacity), (128, 128, 255));
        assert_eq!(middle.tiles[0].person, PersonId(1), "those who go are below");
        let (from, to) = (tile(&two, 2).rect, tile(&three, 2).rect);
        assert_eq!(tile(&middle, 2).rect.x, (from.x + to.x) / 2);
        assert_eq!(motion.at(1200), &*three);
        assert!(!motion.is_moving());
    }

    #[test]
    fn a_change_on_the_way_starts_from_what_is_seen() {
        let scenes = [scene(&[1, 2], Kind::Grid, 200), scene(&[1, 2], Kind::Speaker, 200), scene(&[1, 2], Kind::Pip, 200)];
        let mut motion = Motion::new(Arc::clone(&scenes[0]));
        motion.change(Arc::clone(&scenes[1]), 0);
        let seen = motion.at(90).clone();
        motion.change(Arc::clone(&scenes[2]), 90);
        for id in [1, 2] {
            assert_eq!(tile(motion.at(90), id).rect, tile(&seen, id).rect);
        }
        assert_eq!(motion.at(290), &*scenes[2]);
    }

    #[test]
    fn who_speaks_changes_at_once_and_does_not_hold_up_what_moves() {
        let (one, two) = (scene(&[1, 2], Kind::Grid, 200), scene(&[1, 2], Kind::Speaker, 200));
        let mut speaking = (*two).clone();
        speaking.tiles[1].speaking = true;
        let mut motion = Motion::new(one);
        motion.change(two, 0);
        motion.change(Arc::new(speaking.clone()), 150);
        assert!(tile(motion.at(150), 2).speaking);
        assert_eq!(motion.at(200), &speaking);
    }

    #[test]
    fn nothing_moves_without_time_or_from_nothing_or_to_another_canvas() {
        let small = Arc::new(Layout::default().arrange(&Cast::default(), Size::new(640, 360), [0; 3]));
        for (from, to) in [
            (scene(&[1, 2], Kind::Grid, 200), scene(&[1], Kind::Grid, 0)),
            (scene(&[], Kind::Grid, 200), scene(&[1], Kind::Grid, 200)),
            (small, scene(&[1], Kind::Grid, 200)),
        ] {
            let mut motion = Motion::new(from);
            motion.change(Arc::clone(&to), 50);
            assert_eq!(motion.at(51), &*to);
            assert!(!motion.is_moving());
        }
    }

    #[test]
    fn easing_begins_at_nothing_ends_at_everything_and_never_turns_back() {
        for easing in [Easing::Linear, Easing::EaseIn, Easing::EaseOut, Easing::EaseInOut] {
            let steps: Vec<f64> = (0..=100u32).map(|step| easing.at(f64::from(step) / 100.0)).collect();
            assert_eq!((steps[0], steps[100]), (0.0, 1.0));
            assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{easing:?}");
        }
    }

    proptest! {
        #[test]
        fn on_any_way_tiles_are_even_and_inside(
            kinds in prop::collection::vec((prop::sample::select(vec![Kind::Grid, Kind::Speaker, Kind::Pip, Kind::SideBySide]), 1u64..12, 0u64..300), 1..6),
            ms in 1u32..400,
        ) {
            let mut motion = Motion::new(scene(&[1, 2, 3], Kind::Grid, ms));
            let mut now = 0;
            for (kind, people, wait) in kinds {
                let target = scene(&(0..people).collect::<Vec<_>>(), kind, ms);
                motion.change(Arc::clone(&target), now);
                for step in 0..8 {
                    let seen = motion.at(now + wait * step / 8);
                    for tile in &seen.tiles {
                        let rect = tile.rect;
                        prop_assert!(rect.inside(HD) && rect.width >= 2 && rect.height >= 2, "{:?}", rect);
                        prop_assert!((rect.x | rect.y | rect.width | rect.height).is_multiple_of(2), "{:?}", rect);
                    }
                    prop_assert!(target.tiles.iter().all(|tile| seen.tiles.iter().any(|other| (other.person, other.kind) == (tile.person, tile.kind))));
                }
                now += wait;
            }
            let target = Arc::clone(motion.target());
            prop_assert_eq!(motion.at(now + u64::from(ms)), &*target);
        }
    }
}
