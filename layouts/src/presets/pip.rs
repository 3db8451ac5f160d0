//! `pip`: one place over the whole canvas and a small one upon it, in a corner.
//!
//! Whoever would be large in `speaker` is large; the small place goes to the one who would be next.

use super::grid::tile_in;
use super::{Place, Stage, seats, speaker};
use crate::Rect;
use crate::layout::Corner;
use mixdown_codecs::Size;

/// The small place is this fraction of the canvas each way …
const SMALL: u32 = 4;
/// … and stands this fraction of the canvas's shorter side from its edges.
const MARGIN: u32 = 36;

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    let Some(large) = speaker::large(stage) else {
        return Vec::new();
    };
    let whole = Rect::new(0, 0, stage.canvas.width, stage.canvas.height);
    let others: Vec<_> = seats::all(stage.cast, stage.layout.order).into_iter().filter(|seat| *seat != large).collect();
    let small = seats::choose(others, 1, |seat| speaker::rank(stage, seat)).into_iter();
    std::iter::once(Place::new(large, whole)).chain(small.zip(corner(stage)).map(|(seat, rect)| Place::new(seat, rect))).collect()
}

/// The small place; none on a canvas too small for one.
fn corner(stage: &Stage<'_>) -> Option<Rect> {
    let Size { width, height } = stage.canvas;
    let cell = Size::new((width / SMALL) & !1, (height / SMALL) & !1);
    let margin = (width.min(height) / MARGIN) & !1;
    if cell.width < 2 || cell.height < 2 {
        return None;
    }
    let tile = tile_in(cell);
    let (right, bottom) = (width - tile.width - margin, height - tile.height - margin);
    let (x, y) = match stage.layout.corner {
        Corner::TopLeft => (margin, margin),
        Corner::TopRight => (right, margin),
        Corner::BottomLeft => (margin, bottom),
        Corner::BottomRight => (right, bottom),
    };
    Some(Rect::new(x, y, tile.width, tile.height))
}
