//! `grid`: equal tiles in rows, screens first, the last row centred.
//!
//! Rows and columns are chosen so that pictures of 16:9 come out largest on this canvas. A cell that is nearly
//! 16:9 becomes a tile as it is; any other holds a tile of exactly 16:9, so that nothing of a usual camera is cropped.
//!
//! Tiles are as large as gaps let them be, a little below exact fractions of what senders send; what is drawn is then an exact
//! fraction all the same, of a picture that loses two or three of a hundred pixels at its edges (`draw::scale`).

use super::{Place, Stage, centred, fit_ratio, seats};
use crate::Rect;
use mixdown_codecs::Size;

/// The ratio that tiles aim for.
const TILE_RATIO: (u32, u32) = (16, 9);
/// Cells from 16:10 to 2:1 are used whole.
const NEARLY: std::ops::RangeInclusive<f64> = 1.6..=2.0;
/// Arrangements whose tiles are smaller than the best ones' by less than this count as equally good.
const AS_GOOD: f64 = 0.97;

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    let seats = seats::all(stage.cast, stage.layout.order);
    let fitting = (stage.canvas.width as usize / 2).saturating_mul(stage.canvas.height as usize / 2);
    let seats = seats::choose(seats, stage.max_tiles.min(fitting), seats::pinned_first);
    let rects = cells(seats.len(), Rect::new(0, 0, stage.canvas.width, stage.canvas.height), stage.gap);
    seats.into_iter().zip(rects).map(|(seat, rect)| Place::new(seat, rect)).collect()
}

/// `count` equal rectangles in `whole`, row by row. Without the gap where there is no room for it; none where there is
/// no room for all.
pub(super) fn cells(count: usize, whole: Rect, gap: u32) -> Vec<Rect> {
    let canvas = whole.size();
    if count <= 1 {
        return vec![whole; count];
    }
    let Some((shape, gap)) = best(count, canvas, gap).map(|shape| (shape, gap)).or_else(|| best(count, canvas, 0).map(|shape| (shape, 0)))
    else {
        return Vec::new();
    };
    let block = centred(whole, Size::new(span(shape.columns, shape.tile.width, gap), span(shape.rows, shape.tile.height, gap)));
    let count = count as u32;
    (0..count)
        .map(|index| {
            let (row, column) = (index / shape.columns, index % shape.columns);
            let in_row = shape.columns.min(count - row * shape.columns);
            let row_rect = Rect::new(block.x, block.y + row * (shape.tile.height + gap), block.width, shape.tile.height);
            let row_rect = centred(row_rect, Size::new(span(in_row, shape.tile.width, gap), shape.tile.height));
            Rect::new(row_rect.x + column * (shape.tile.width + gap), row_rect.y, shape.tile.width, shape.tile.height)
        })
        .collect()
}

/// The length of `count` tiles in a row.
fn span(count: u32, tile: u32, gap: u32) -> u32 {
    count * tile + gap * count.saturating_sub(1)
}

#[derive(Clone, Copy)]
struct Shape {
    columns: u32,
    rows: u32,
    tile: Size,
}

impl Shape {
    /// The width of a 16:9 picture shown whole in one tile.
    fn picture_width(self) -> f64 {
        f64::from(self.tile.width).min(f64::from(self.tile.height) * f64::from(TILE_RATIO.0) / f64::from(TILE_RATIO.1))
    }
}

/// Among the arrangements with (nearly) the largest pictures: the fewest empty cells, then the more columns on a
/// wide canvas and the fewer on a tall one.
fn best(count: usize, canvas: Size, gap: u32) -> Option<Shape> {
    let shapes: Vec<Shape> = (1..=count as u32).filter_map(|columns| shape(count as u32, columns, canvas, gap)).collect();
    let largest = shapes.iter().map(|shape| shape.picture_width()).fold(0.0, f64::max);
    let wide = canvas.width >= canvas.height;
    shapes
        .into_iter()
        .filter(|shape| shape.picture_width() >= largest * AS_GOOD)
        .min_by_key(|shape| (shape.columns * shape.rows, if wide { shape.rows } else { shape.columns }))
}

fn shape(count: u32, columns: u32, canvas: Size, gap: u32) -> Option<Shape> {
    let rows = count.div_ceil(columns);
    let side = |whole: u32, parts: u32| whole.checked_sub(gap * (parts - 1)).map(|rest| (rest / parts) & !1).filter(|&side| side >= 2);
    let cell = Size::new(side(canvas.width, columns)?, side(canvas.height, rows)?);
    Some(Shape { columns, rows, tile: tile_in(cell) })
}

/// The cell itself where it is nearly 16:9, else the largest 16:9 inside.
pub(super) fn tile_in(cell: Size) -> Size {
    let nearly = NEARLY.contains(&(f64::from(cell.width) / f64::from(cell.height)));
    if nearly { cell } else { fit_ratio(cell, TILE_RATIO) }
}
