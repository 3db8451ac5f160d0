//! `single`: one place for whoever would be large in `speaker`; nobody else.

use super::{Place, Stage, speaker};
use crate::Rect;

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    let whole = Rect::new(0, 0, stage.canvas.width, stage.canvas.height);
    speaker::large(stage).map(|seat| Place::new(seat, whole)).into_iter().collect()
}
