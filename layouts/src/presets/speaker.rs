//! `speaker`: one large place and a strip with everybody else.
//!
//! The large place goes to the first of: a pinned person's screen, any screen, a pinned person's camera, the
//! active speaker, who spoke before, the first person. A change of who is large moves nobody in the strip but the
//! one who was large and, where the first person stood in, that one.

use super::{Place, Seat, Stage, seats, strip};
use crate::Person;

const FRACTIONS: strip::Fractions = &[4, 6, 8];

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    arrange_with(stage, FRACTIONS)
}

/// The same for any strip sizes.
pub(super) fn arrange_with<'a>(stage: &Stage<'a>, fractions: strip::Fractions) -> Vec<Place<'a>> {
    let all = seats::all(stage.cast, stage.layout.order);
    let Some(large) = large(stage) else {
        return Vec::new();
    };
    let others = seats::stand_in(all, &[large]);
    strip::arrange(stage, large, others, fractions, |seat| rank(stage, seat))
}

/// Whose place is the large one; `None` without people.
pub(super) fn large<'a>(stage: &Stage<'a>) -> Option<Seat<'a>> {
    let people = &stage.cast.people;
    let screens = || people.iter().filter(|person| person.screen.is_some());
    let find = |id: Option<crate::PersonId>| people.iter().find(|person| Some(person.id) == id);
    let screen = screens().find(|person| person.pinned).or_else(|| screens().next()).map(Seat::screen);
    let camera = || -> Option<&'a Person> {
        let pinned = people.iter().find(|person| person.pinned);
        pinned.or_else(|| find(stage.cast.active_speaker)).or_else(|| find(stage.cast.previous_speaker)).or_else(|| people.first())
    };
    screen.or_else(|| camera().map(Seat::camera))
}

/// Who is seen where there are too few places: pinned people and screens, then who speaks, then who spoke, then the others.
pub(super) fn rank(stage: &Stage<'_>, seat: &Seat<'_>) -> u8 {
    let is = |id: Option<crate::PersonId>| id == Some(seat.person.id);
    match seats::pinned_first(seat) {
        0 => 0,
        _ if is(stage.cast.active_speaker) => 1,
        _ if is(stage.cast.previous_speaker) => 2,
        _ => 3,
    }
}
