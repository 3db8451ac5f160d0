//! `presentation`: a screen large and whole, a thin strip of cameras. Without a screen the speaker is large.

use super::{Place, Stage, speaker, strip};

/// Thinner than the speaker's strip: what is written on a screen needs the room.
const FRACTIONS: strip::Fractions = &[6, 8];

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    speaker::arrange_with(stage, FRACTIONS)
}
