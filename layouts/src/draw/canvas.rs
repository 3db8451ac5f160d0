//! One persistent picture on which scenes are drawn.

use super::fonts::Fonts;
use super::labels::Labels;
use super::lays::Lays;
use super::scale::Scaler;
use super::tile::{Brushes, Face, Shown};
use super::{Moment, Pictures, Yuv, plane};
use crate::layout::Transition;
use crate::{Rect, Scene};
use mixdown_codecs::{FramePool, I420Frame, Size};
use std::sync::Arc;

/// What one [`Canvas::draw`] changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// How many tiles were drawn.
    pub tiles: u32,
    /// How many overlays moved.
    pub overlays: u32,
    /// Whether the whole canvas was drawn, the background included.
    pub everything: bool,
}

impl Damage {
    /// Nothing changed: the encoder may skip this tick.
    pub fn is_empty(self) -> bool {
        self.tiles == 0 && self.overlays == 0 && !self.everything
    }
}

/// A canvas of even size that remembers what it shows, and on each [`Canvas::draw`] draws only what has changed.
pub struct Canvas {
    frame: I420Frame,
    scaler: Scaler,
    labels: Labels,
    /// What lay below a translucent tile.
    below: Vec<u8>,
    lays: Lays,
    /// The canvas without tiles, where that is more than one colour.
    backdrop: Option<I420Frame>,
    scene: Scene,
    shown: Vec<Shown>,
    /// Some tiles cover others.
    stacked: bool,
}

impl Canvas {
    /// A black canvas of `size`, rounded down to even; names are set in the system's fonts.
    pub fn new(size: Size) -> Self {
        Self::with_fonts(size, Fonts::system())
    }

    pub fn with_fonts(size: Size, fonts: Fonts) -> Self {
        let size = size.even();
        let scene = Scene {
            canvas: size,
            background: [0; 3],
            tiles: Vec::new(),
            overflow: 0,
            labels: false,
            transition: Transition::default(),
            overlays: Vec::new(),
        };
        let (frame, scaler, labels) = (I420Frame::black(size), Scaler::default(), Labels::new(fonts));
        Self { frame, scaler, labels, below: Vec::new(), lays: Lays::new(), backdrop: None, scene, shown: Vec::new(), stacked: false }
    }

    /// What was drawn last. Its size is that of the last scene.
    pub fn frame(&self) -> &I420Frame {
        &self.frame
    }

    /// A copy of [`Canvas::frame`] to give away, out of `pool`.
    pub fn copy(&self, pool: &mut FramePool) -> Arc<I420Frame> {
        let mut copy = pool.acquire(self.frame.size());
        match Arc::get_mut(&mut copy) {
            Some(frame) => frame.data_mut().copy_from_slice(self.frame.data()),
            None => copy = Arc::new(self.frame.clone()),
        }
        pool.share(copy)
    }

    /// Brings the canvas up to date with `scene` and the newest `pictures`, at no particular time.
    pub fn draw(&mut self, scene: &Scene, pictures: &dyn Pictures) -> Damage {
        self.draw_at(scene, pictures, Moment::default())
    }

    /// Brings the canvas up to date with `scene` and the newest `pictures`; clocks and tickers show `moment`.
    pub fn draw_at(&mut self, scene: &Scene, pictures: &dyn Pictures, moment: Moment) -> Damage {
        let everything = self.follow(scene);
        let overlays = self.advance(moment, everything);
        let mut tiles = 0;
        for (index, tile) in scene.tiles.iter().enumerate() {
            let picture = tile.source.and_then(|source| pictures.latest(source).map(|picture| (source, picture)));
            let face = picture.as_ref().map_or(Face::Initials, |(source, picture)| Face::of(*source, picture));
            let Some(shown) = self.shown.get_mut(index).filter(|shown| !shown.is(face)) else {
                continue;
            };
            let Self { frame, scaler, labels, below, lays, .. } = self;
            let is_last = index + 1 == scene.tiles.len();
            shown.paint(
                &mut Brushes { frame, scaler, labels, below, scene },
                tile,
                is_last,
                face,
                picture.as_ref().map(|(_, picture)| picture),
            );
            lays.blend(frame, tile.rect, false);
            self.uncover(index, tile.rect);
            tiles += 1;
        }
        let Self { frame, lays, .. } = self;
        for rect in lays.moved() {
            lays.blend(frame, *rect, false);
        }
        Damage { tiles, overlays, everything }
    }

    /// Moves the overlays to `moment`, and where they were translucent makes way for them. Says how many moved.
    fn advance(&mut self, moment: Moment, everything: bool) -> u32 {
        let Self { frame, labels, lays, backdrop, scene, shown, .. } = self;
        let (typesetter, fonts) = labels.typesetter();
        lays.advance(moment, typesetter, fonts);
        if everything {
            lays.blend(frame, Rect::new(0, 0, scene.canvas.width, scene.canvas.height), false);
            return 0;
        }
        for rect in lays.stale().iter().filter(|rect| rect.width > 0) {
            match backdrop {
                Some(backdrop) => plane::copy(backdrop, frame, *rect),
                None => plane::fill(frame, *rect, Yuv::from_rgb(scene.background)),
            }
            lays.blend(frame, *rect, false);
            for (_, shown) in scene.tiles.iter().zip(&mut *shown).filter(|(tile, _)| tile.rect.overlaps(*rect)) {
                shown.spoil();
            }
        }
        (lays.moved().len() + lays.stale().len().div_ceil(2)) as u32
    }

    /// Takes over `scene` and marks what it changes; true if that is the whole canvas.
    fn follow(&mut self, scene: &Scene) -> bool {
        if *scene == self.scene {
            // A translucent tile must not come to lie upon itself.
            let anew = scene.tiles.iter().any(|tile| tile.opacity < u8::MAX);
            if anew {
                self.clear();
            }
            return anew;
        }
        let old = std::mem::replace(&mut self.scene, scene.clone());
        let places = |scene: &Scene| scene.tiles.iter().map(|tile| (tile.rect, tile.opacity)).collect::<Vec<_>>();
        let Self { lays, labels, .. } = self;
        let (typesetter, fonts) = labels.typesetter();
        let relaid = lays.follow(&scene.overlays, typesetter, fonts);
        if relaid || places(&old) != places(scene) || old.canvas != scene.canvas || old.background != scene.background {
            self.clear();
            return true;
        }
        let last = scene.tiles.len().saturating_sub(1);
        for (index, ((shown, old_tile), tile)) in self.shown.iter_mut().zip(&old.tiles).zip(&scene.tiles).enumerate() {
            let badge_changed = index == last && old.overflow != scene.overflow;
            if old_tile != tile || old.labels != scene.labels || badge_changed {
                *shown = Shown::default();
            }
        }
        false
    }

    fn clear(&mut self) {
        let scene = &self.scene;
        if self.frame.size() != scene.canvas.even() {
            self.frame = I420Frame::black(scene.canvas.even());
        }
        let Yuv { y, u, v } = Yuv::from_rgb(scene.background);
        self.frame.fill(y, u, v);
        self.backdrop = None;
        if self.lays.has_below() {
            self.lays.blend(&mut self.frame, Rect::new(0, 0, scene.canvas.width, scene.canvas.height), true);
            self.backdrop = Some(self.frame.clone());
        }
        self.shown.clear();
        self.shown.resize_with(scene.tiles.len(), Shown::default);
        let rects = || scene.tiles.iter().map(|tile| tile.rect).enumerate();
        self.stacked = rects().any(|(index, rect)| rects().skip(index + 1).any(|(_, other)| rect.overlaps(other)));
    }

    /// Whatever lies upon the tile just drawn has to be drawn again.
    fn uncover(&mut self, index: usize, rect: Rect) {
        if !self.stacked {
            return;
        }
        for (tile, shown) in self.scene.tiles.iter().zip(&mut self.shown).skip(index + 1) {
            if tile.rect.overlaps(rect) {
                shown.spoil();
            }
        }
    }
}

#[cfg(test)]
mod tests;
