//! One tile of the canvas: what it shows, and how that is painted.

use super::labels::{Labels, Placed};
use super::scale::{self, Scaler};
use super::{Picture, Yuv, colour, plane};
use crate::{Rect, Scene, SourceId, Tile};
use mixdown_codecs::{I420Frame, Size};

/// What marks the active speaker.
const BORDER: [u8; 3] = [0x4c, 0xc3, 0x8a];
/// Luma of the lines beside it: whatever a camera shows is far from either.
const OUTLINE: u8 = 16;

/// What one tile shows now.
#[derive(Debug, Default)]
pub struct Shown {
    /// `None`: has to be painted.
    face: Option<Face>,
    /// The bars around this rectangle are as they should be.
    bars: Option<Rect>,
    /// What lies over the picture; `None` until it is made.
    dress: Option<Dress>,
}

#[derive(Debug)]
struct Dress {
    label: Option<Placed>,
    overflow: Option<Placed>,
}

/// What a tile looks like but for what lies over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Picture { source: SourceId, sequence: u64, size: Size, quarter_turns: u8, flip: bool },
    Initials,
}

/// What painting needs besides the tile.
pub struct Brushes<'a> {
    pub frame: &'a mut I420Frame,
    pub scaler: &'a mut Scaler,
    pub labels: &'a mut Labels,
    pub below: &'a mut Vec<u8>,
    pub scene: &'a Scene,
}

impl Face {
    pub fn of(source: SourceId, picture: &Picture) -> Self {
        let Picture { frame, sequence, quarter_turns, flip, .. } = picture;
        Self::Picture { source, sequence: *sequence, size: frame.size(), quarter_turns: *quarter_turns, flip: *flip }
    }
}

impl Shown {
    pub fn is(&self, face: Face) -> bool {
        self.face == Some(face)
    }

    /// Has to be painted again although nothing about the tile has changed.
    pub fn spoil(&mut self) {
        (self.face, self.bars) = (None, None);
    }

    /// Paints the whole tile. `picture` is what `face` says.
    pub fn paint(&mut self, brushes: &mut Brushes<'_>, tile: &Tile, is_last: bool, face: Face, picture: Option<&Picture>) {
        let background = Yuv::from_rgb(colour::tile_background(brushes.scene.background));
        if tile.opacity < u8::MAX {
            plane::save(brushes.frame, tile.rect, brushes.below);
        }
        match picture {
            Some(picture) => {
                let target = scale::target(scale::upright(picture), tile.rect, tile.fit);
                if self.bars != Some(target) {
                    fill_around(brushes.frame, tile.rect, target, background);
                }
                brushes.scaler.draw(picture, brushes.frame, target);
                self.bars = Some(target);
            }
            None => {
                plane::fill(brushes.frame, tile.rect, background);
                lay(brushes.frame, brushes.labels.avatar(tile).as_ref());
                self.bars = None;
            }
        }
        self.face = Some(face);
        if tile.moving {
            self.bars = None;
        } else {
            self.paint_over(brushes, tile, is_last);
        }
        if tile.opacity < u8::MAX {
            plane::mix(brushes.frame, tile.rect, brushes.below, tile.opacity);
            self.bars = None;
        }
    }

    fn paint_over(&mut self, brushes: &mut Brushes<'_>, tile: &Tile, is_last: bool) {
        if tile.speaking {
            paint_border(brushes.frame, tile.rect);
        }
        let Brushes { frame, labels, scene, .. } = brushes;
        let dress = self.dress.get_or_insert_with(|| Dress {
            label: labels.label(tile, scene.labels),
            overflow: if is_last && scene.overflow > 0 { labels.overflow(tile, scene.overflow) } else { None },
        });
        for placed in [&dress.label, &dress.overflow] {
            lay(frame, placed.as_ref());
        }
        // What is translucent must not come to lie twice on the same bars.
        let inside = |placed: &Placed| self.bars.is_some_and(|picture| picture.contains(placed.rect()));
        if ![&dress.label, &dress.overflow].into_iter().flatten().all(inside) {
            self.bars = None;
        }
    }
}

fn lay(frame: &mut I420Frame, placed: Option<&Placed>) {
    if let Some(Placed { overlay, at }) = placed {
        overlay.blend(frame, *at);
    }
}

/// A bright border with dark lines: it shows on any picture, and an encoder sees that it comes and goes in each block that it touches. OpenH264 takes what
/// differs by less than a quarter of white from the picture before for a background that rests, and left a border of one brightness on walls that have it too.
fn paint_border(frame: &mut I420Frame, rect: Rect) {
    let thickness = match rect.height {
        0..120 => 2,
        120..240 => 4,
        _ => 6,
    };
    if rect.width > 2 * thickness && rect.height > 2 * thickness {
        let inner = Rect::new(rect.x + thickness, rect.y + thickness, rect.width - 2 * thickness, rect.height - 2 * thickness);
        fill_around(frame, rect, inner, Yuv::from_rgb(BORDER));
        outline(frame, rect, thickness as usize - 1);
        if thickness > 2 {
            outline(frame, rect, 0);
        }
    }
}

/// A line of one pixel, `inset` pixels within `rect`, in luma alone: colour has half of its resolution.
fn outline(frame: &mut I420Frame, rect: Rect, inset: usize) {
    let [mut luma, ..] = plane::planes_mut(frame, rect);
    let (right, bottom) = (luma.width.saturating_sub(inset), luma.height.saturating_sub(inset));
    for y in inset..bottom {
        let row = &mut luma.row(y)[inset..right];
        match row {
            _ if y == inset || y + 1 == bottom => row.fill(OUTLINE),
            [first, .., last] => (*first, *last) = (OUTLINE, OUTLINE),
            _ => {}
        }
    }
}

/// Fills what of `outer` lies around `inner`, both even.
fn fill_around(frame: &mut I420Frame, outer: Rect, inner: Rect, colour: Yuv) {
    let below = outer.bottom() - inner.bottom();
    let right = outer.right() - inner.right();
    plane::fill(frame, Rect::new(outer.x, outer.y, outer.width, inner.y - outer.y), colour);
    plane::fill(frame, Rect::new(outer.x, inner.bottom(), outer.width, below), colour);
    plane::fill(frame, Rect::new(outer.x, inner.y, inner.x - outer.x, inner.height), colour);
    plane::fill(frame, Rect::new(inner.right(), inner.y, right, inner.height), colour);
}
