//! One large place and a strip of small ones along a side of the canvas; on a square or tall canvas a grid of them above or below,
//! on a very wide one a grid to its right (for `bottom` and `right`) or left.

use super::grid::tile_in;
use super::{Place, Seat, Stage, centred, fit_ratio, grid, seats};
use crate::layout::Strip;
use crate::{Fit, Rect};
use mixdown_codecs::Size;

/// Small tiles are this fraction of the canvas: the first that holds everybody. On a 16:9 canvas the usual
/// camera sizes then scale by exact ratios (1280×720: 320×180, 213×120 and 160×90 tiles).
pub(super) type Fractions = &'static [u32];

/// `large` in the large place, as many of `others` as fit in the strip (lowest `rank` first when choosing).
pub(super) fn arrange<'a>(
    stage: &Stage<'a>,
    large: Seat<'a>,
    others: Vec<Seat<'a>>,
    fractions: Fractions,
    rank: impl Fn(&Seat<'a>) -> u8,
) -> Vec<Place<'a>> {
    let wanted = others.len().min(stage.max_tiles - 1);
    if wanted > 0
        && let Some((main, small)) = beside(stage, large, wanted)
    {
        let small = seats::choose(others, small.len(), rank).into_iter().zip(small);
        return std::iter::once(Place::new(large, main)).chain(small.map(|(seat, rect)| Place::new(seat, rect))).collect();
    }
    let split = Split::new(stage.canvas, stage.gap, stage.layout.strip, wanted, fractions);
    let chosen = seats::choose(others, split.count as usize, rank);
    let main = tighten(stage, large, split.main);
    let mut places = vec![Place::new(large, main)];
    let count = chosen.len() as u32;
    places.extend(chosen.into_iter().zip(0..).map(|(seat, index)| Place::new(seat, split.small(index, count))));
    places
}

/// The large place and `wanted` small ones in a grid beside it, where a strip along an edge would leave bars; none elsewhere.
fn beside(stage: &Stage<'_>, large: Seat<'_>, wanted: usize) -> Option<(Rect, Vec<Rect>)> {
    let [main, rest] = parts(stage, large)?;
    // One or two are no larger than three would be, so that the large one stays the largest.
    let widest = grid::cells(3, rest, stage.gap).first().map_or(2, |tile| tile.width);
    let rest = if wanted < 3 { centred(rest, Size::new(widest, rest.height)) } else { rest };
    let small = grid::cells(wanted, rest, stage.gap);
    let small = if wanted == 1 { small.into_iter().map(|alone| centred(alone, tile_in(alone.size()))).collect() } else { small };
    (small.len() == wanted).then_some((main, small))
}

/// A canvas much taller or wider than a picture, in two: the large place, and what it leaves.
fn parts(stage: &Stage<'_>, large: Seat<'_>) -> Option<[Rect; 2]> {
    let Size { width, height } = stage.canvas;
    let picture = large.source().and_then(|source| source.size).map_or((16, 9), |size| (size.width, size.height));
    let first = matches!(stage.layout.strip, Strip::Bottom | Strip::Right);
    // Where a picture as wide as the canvas leaves a third of it free; along its other sides a strip fits.
    if width * 9 / 16 <= height * 2 / 3 && matches!(stage.layout.strip, Strip::Bottom | Strip::Top) {
        let main = fit_ratio(Size::new(width, height * 2 / 3), picture);
        let parts = divide(height, main.height, stage.gap, first)?;
        let [whole, rest] = parts.map(|(y, height)| Rect::new(0, y, width, height));
        return Some([centred(whole, main), rest]);
    }
    // Where one as tall as the canvas leaves a quarter free. Who is filmed upright gets no narrower place, so that
    // nobody moves when somebody else speaks.
    if height * 16 / 9 <= width * 3 / 4 {
        let ratio = if picture.0 * 9 < picture.1 * 16 { (16, 9) } else { picture };
        let main = fit_ratio(Size::new(width * 3 / 4, height), ratio).width;
        let [whole, rest] = divide(width, main, stage.gap, first)?.map(|(x, width)| Rect::new(x, 0, width, height));
        return Some([tighten(stage, large, whole), rest]);
    }
    None
}

/// Where on a side of `length` the large part of `main` pixels and the rest begin, and how long they are.
fn divide(length: u32, main: u32, gap: u32, main_first: bool) -> Option<[(u32, u32); 2]> {
    let rest = length.checked_sub(main + gap).filter(|&rest| rest >= 2)?;
    Some(if main_first { [(0, main), (length - rest, rest)] } else { [(length - main, main), (0, rest)] })
}

/// The large place without the bars it would have: labels and borders then sit on the picture.
fn tighten(stage: &Stage<'_>, seat: Seat<'_>, area: Rect) -> Rect {
    match seat.source().and_then(|source| source.size) {
        Some(size) if stage.fit(seat, area.size(), stage.layout.fit) == Fit::Contain => {
            centred(area, fit_ratio(area.size(), (size.width, size.height)))
        }
        _ => area,
    }
}

/// How the canvas is divided.
struct Split {
    main: Rect,
    /// The whole side of the canvas that the strip may use.
    strip: Rect,
    tile: Size,
    gap: u32,
    /// How many small tiles there are at most.
    count: u32,
    along_width: bool,
}

impl Split {
    fn new(canvas: Size, gap: u32, side: Strip, wanted: usize, fractions: Fractions) -> Self {
        let along_width = matches!(side, Strip::Bottom | Strip::Top);
        let whole = Rect::new(0, 0, canvas.width, canvas.height);
        let alone = Self { main: whole, strip: Rect::new(0, 0, 0, 0), tile: Size::new(2, 2), gap, count: 0, along_width };
        let candidates = fractions.iter().filter_map(|&fraction| {
            let tile = tile(canvas, gap, fraction)?;
            let (length, step) = if along_width { (canvas.width, tile.width) } else { (canvas.height, tile.height) };
            Some((tile, (length + gap) / (step + gap)))
        });
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut chosen = None;
        for (tile, room) in candidates {
            chosen = Some((tile, room));
            if room >= wanted {
                break;
            }
        }
        let Some((tile, room)) = chosen.filter(|_| wanted > 0) else {
            return alone;
        };
        let (width, height) = (canvas.width, canvas.height);
        let thick = if along_width { tile.height } else { tile.width };
        let Some(rest) = (if along_width { height } else { width }).checked_sub(thick + gap).filter(|&rest| rest >= thick) else {
            return alone;
        };
        let (main, strip) = match side {
            Strip::Bottom => (Rect::new(0, 0, width, rest), Rect::new(0, rest + gap, width, thick)),
            Strip::Top => (Rect::new(0, thick + gap, width, rest), Rect::new(0, 0, width, thick)),
            Strip::Right => (Rect::new(0, 0, rest, height), Rect::new(rest + gap, 0, thick, height)),
            Strip::Left => (Rect::new(thick + gap, 0, rest, height), Rect::new(0, 0, thick, height)),
        };
        Self { main, strip, tile, gap, count: room.min(wanted), along_width }
    }

    /// Small tile `index` of `count`; the strip's tiles stand together in its middle.
    fn small(&self, index: u32, count: u32) -> Rect {
        let length = |tile: u32| count * tile + self.gap * count.saturating_sub(1);
        let Size { width, height } = self.tile;
        if self.along_width {
            let block = centred(self.strip, Size::new(length(width), height));
            Rect::new(block.x + index * (width + self.gap), block.y, width, height)
        } else {
            let block = centred(self.strip, Size::new(width, length(height)));
            Rect::new(block.x, block.y + index * (height + self.gap), width, height)
        }
    }
}

/// A tile of a `fraction` of the canvas each way, gaps taken off.
fn tile(canvas: Size, gap: u32, fraction: u32) -> Option<Size> {
    let part = |whole: u32| whole.checked_sub(gap * (fraction - 1)).map(|rest| (rest / fraction) & !1).filter(|&part| part >= 2);
    Some(tile_in(Size::new(part(canvas.width)?, part(canvas.height)?)))
}
