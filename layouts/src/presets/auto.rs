//! `auto`: a presentation while somebody shares a screen, else a grid.

use super::{Place, Stage, grid, presentation};

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    if stage.cast.people.iter().any(|person| person.screen.is_some()) { presentation::arrange(stage) } else { grid::arrange(stage) }
}
