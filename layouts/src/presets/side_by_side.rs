//! `side_by_side`: two equal places, beside each other on a wide canvas and above each other on one that is less wide than 4:3.
//!
//! They go to screens, pinned people, who speaks and who spoke before; whoever of the two comes first in the order
//! stays on the left, whoever speaks.

use super::{Place, Seat, Stage, centred, fit_ratio, seats, speaker};
use crate::{Fit, Rect};
use mixdown_codecs::Size;

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    let all = seats::all(stage.cast, stage.layout.order);
    let chosen = seats::choose(all, 2, |seat| speaker::rank(stage, seat));
    if chosen.len() < 2 {
        return speaker::arrange(stage);
    }
    let halves = halves(stage.canvas, stage.gap).or_else(|| halves(stage.canvas, 0));
    let Some(halves) = halves else {
        return chosen.into_iter().take(1).map(|seat| Place::new(seat, whole(stage.canvas))).collect();
    };
    chosen.into_iter().zip(halves).map(|(seat, half)| Place::new(seat, tighten(stage, seat, half))).collect()
}

fn whole(canvas: Size) -> Rect {
    Rect::new(0, 0, canvas.width, canvas.height)
}

fn halves(canvas: Size, gap: u32) -> Option<[Rect; 2]> {
    let Size { width, height } = canvas;
    let half = |length: u32| length.checked_sub(gap).map(|rest| (rest / 2) & !1).filter(|&half| half >= 2);
    Some(if width * 3 >= height * 4 {
        let half = half(width)?;
        [Rect::new(0, 0, half, height), Rect::new(width - half, 0, half, height)]
    } else {
        let half = half(height)?;
        [Rect::new(0, 0, width, half), Rect::new(0, height - half, width, half)]
    })
}

/// The half itself where pictures are to cover it; else what a picture fills of it.
fn tighten(stage: &Stage<'_>, seat: Seat<'_>, half: Rect) -> Rect {
    if stage.layout.fit == Fit::Cover {
        return half;
    }
    let ratio = seat.source().and_then(|source| source.size).map_or((16, 9), |size| (size.width, size.height));
    centred(half, fit_ratio(half.size(), ratio))
}
