//! `pip`: one place over the whole canvas and a small one upon it, in a corner.
//!
//! Whoever would be large in `speaker` is large; the small place goes to the one who would be next.

use super::grid::tile_in;
use super::{Place, Seat, Stage, fit_ratio, seats, speaker};
use crate::Rect;
use crate::layout::Corner;
use mixdown_codecs::Size;

/// The small place is at most this fraction of the canvas's height, and of its width where that is the longer side.
const SMALL: u32 = 4;
/// A canvas that is less wide than this (width, height) has a place of more of its width: a third, upright two fifths.
const WIDE: (u32, u32) = (4, 3);
/// … and stands this fraction of the canvas's shorter side from its edges.
const MARGIN: u32 = 36;

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    let Some(large) = speaker::large(stage) else {
        return Vec::new();
    };
    let whole = Rect::new(0, 0, stage.canvas.width, stage.canvas.height);
    let others: Vec<_> = seats::all(stage.cast, stage.layout.order).into_iter().filter(|seat| *seat != large).collect();
    let small = seats::choose(others, 1, |seat| speaker::rank(stage, seat)).into_iter();
    let small = small.filter_map(|seat| Some(Place::new(seat, corner(stage, seat)?)));
    std::iter::once(Place::new(large, whole)).chain(small).collect()
}

/// The small place; none on a canvas too small for one.
fn corner(stage: &Stage<'_>, seat: Seat<'_>) -> Option<Rect> {
    let Size { width, height } = stage.canvas;
    let across = match (width, height) {
        _ if width * WIDE.1 >= height * WIDE.0 => width / SMALL,
        _ if width >= height => width / 3,
        _ => width * 2 / 5,
    };
    let cell = Size::new(across & !1, (if width >= height { height * across / width } else { height / SMALL }) & !1);
    let margin = (width.min(height) / MARGIN) & !1;
    if cell.width < 2 || cell.height < 2 {
        return None;
    }
    // Who is filmed upright is seen upright, in as large a place.
    let tile = match seat.source().and_then(|source| source.size) {
        Some(picture) if picture.height > picture.width => {
            let most = Size::new(cell.width, (cell.height * 3 / 2).min(height / 2));
            fit_ratio(most, (picture.width, picture.height))
        }
        _ => tile_in(cell),
    };
    let (right, bottom) = (width - tile.width - margin, height - tile.height - margin);
    let (x, y) = match stage.layout.corner {
        Corner::TopLeft => (margin, margin),
        Corner::TopRight => (right, margin),
        Corner::BottomLeft => (margin, bottom),
        Corner::BottomRight => (right, bottom),
    };
    Some(Rect::new(x, y, tile.width, tile.height))
}
