//! Chooses the one simulcast layer of a sender that is decoded: the nearest above the wanted height.
//!
//! A change waits for a keyframe of the new layer, and the old one is forwarded until then; a
//! layer that falls silent is left for the best one that still flows. Knows no RTP: layers are numbered in
//! the order of the offer.

use std::time::{Duration, Instant};

/// A layer that has sent nothing for this long has stalled.
pub const STALL: Duration = Duration::from_millis(1_000);
/// Until the room says how large a tile is.
const DEFAULT_HEIGHT: u32 = 360;

#[derive(Debug, Clone, Copy, Default)]
struct Layer {
    /// Picture height, once a keyframe has said it.
    height: Option<u32>,
    heard: Option<Instant>,
}

/// What to do with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Forward,
    /// The first picture of another layer than before: a keyframe.
    Switch,
    Drop,
}

#[derive(Debug)]
pub struct Selector {
    layers: Vec<Layer>,
    wanted: u32,
    active: Option<usize>,
}

impl Selector {
    pub fn new(layers: usize) -> Self {
        Self { layers: vec![Layer::default(); layers], wanted: DEFAULT_HEIGHT, active: None }
    }

    /// Height of the largest tile in pixels; 0: nowhere seen.
    pub fn want(&mut self, height: u32) {
        self.wanted = height;
    }

    /// One picture of `layer` has arrived; `height` where it is a keyframe.
    pub fn picture(&mut self, layer: usize, keyframe: Option<u32>, now: Instant) -> Verdict {
        let Some(entry) = self.layers.get_mut(layer) else { return Verdict::Drop };
        entry.heard = Some(now);
        entry.height = keyframe.or(entry.height);
        if self.active == Some(layer) {
            return Verdict::Forward;
        }
        if keyframe.is_some() && self.target(now) == Some(layer) || (keyframe.is_some() && self.active.is_none()) {
            self.active = Some(layer);
            return Verdict::Switch;
        }
        Verdict::Drop
    }

    /// The layer that is forwarded now.
    pub fn active(&self) -> Option<usize> {
        self.active
    }

    /// The layer whose keyframe is needed to change over; `None`: the right one is forwarded.
    pub fn missing(&self, now: Instant) -> Option<usize> {
        self.target(now).filter(|target| self.active != Some(*target))
    }

    fn target(&self, now: Instant) -> Option<usize> {
        let flowing = |layer: &Layer| layer.heard.is_some_and(|heard| now < heard + STALL);
        let known =
            || self.layers.iter().enumerate().filter(|(_, layer)| flowing(layer)).filter_map(|(at, layer)| Some((layer.height?, at)));
        let above = known().filter(|(height, _)| *height >= self.wanted).min();
        above.or_else(|| known().max()).map(|(_, at)| at).or_else(|| self.layers.iter().position(flowing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHTS: [u32; 3] = [180, 360, 720];

    fn started(now: Instant, wanted: u32) -> Selector {
        let mut selector = Selector::new(3);
        selector.want(wanted);
        for (layer, height) in HEIGHTS.into_iter().enumerate() {
            selector.picture(layer, Some(height), now);
        }
        for (layer, height) in HEIGHTS.into_iter().enumerate() {
            selector.picture(layer, Some(height), now);
        }
        selector
    }

    #[test]
    fn the_layer_nearest_above_the_tile_is_forwarded_and_no_other() {
        let now = crate::runtime::clock::now();
        for (wanted, active) in [(0, 0), (90, 0), (180, 0), (181, 1), (360, 1), (361, 2), (720, 2), (1080, 2)] {
            let mut selector = started(now, wanted);
            assert_eq!(selector.active(), Some(active), "wanted {wanted}");
            for layer in 0..3 {
                let forwarded = selector.picture(layer, None, now) == Verdict::Forward;
                assert_eq!(forwarded, layer == active);
            }
        }
    }

    #[test]
    fn the_old_layer_flows_until_the_keyframe_of_the_new_one() {
        let now = crate::runtime::clock::now();
        let mut selector = started(now, 180);
        selector.want(720);
        assert_eq!(selector.missing(now), Some(2));
        assert_eq!(selector.picture(2, None, now), Verdict::Drop);
        assert_eq!(selector.picture(0, None, now), Verdict::Forward);
        assert_eq!(selector.picture(2, Some(720), now), Verdict::Switch);
        assert_eq!(selector.picture(0, None, now), Verdict::Drop);
        assert_eq!(selector.missing(now), None);
    }

    #[test]
    fn a_stalled_layer_is_left_for_the_best_that_flows_and_taken_up_again() {
        let start = crate::runtime::clock::now();
        let mut selector = started(start, 720);
        let later = start + STALL + Duration::from_millis(1);
        selector.picture(1, None, later);
        selector.picture(0, None, later);
        assert_eq!(selector.missing(later), Some(1));
        assert_eq!(selector.picture(1, Some(360), later), Verdict::Switch);
        selector.picture(2, None, later);
        assert_eq!(selector.missing(later), Some(2));
    }

    #[test]
    fn the_first_keyframe_of_any_layer_begins_the_stream() {
        let now = crate::runtime::clock::now();
        let mut selector = Selector::new(3);
        assert_eq!(selector.picture(2, None, now), Verdict::Drop);
        assert_eq!(selector.picture(0, Some(180), now), Verdict::Switch);
    }
}
