//! `custom`: regions, each with a seat.
//!
//! Seats are filled from the firmest to the loosest: those with a `min_fps`, then people and roles by name, screens,
//! pinned people, who speaks, who spoke before, anybody. Nobody is seen twice, so whoever sits firmly stays there while
//! speaking, and the large place of the speaker goes to who spoke before. Among `any`, a change of speaker moves nobody but
//! those who change places.

use super::seats::{self, Seat};
use super::{Place, Stage, grid};
use crate::layout::Corner;
use crate::region::{self, Region};
use crate::scene::{Content, Lay, TileSource};
use crate::{Cast, Fit, Layout, Person, PersonId, Rect};
use mixdown_codecs::Size;
use std::cmp::Reverse;

pub(super) fn arrange<'a>(stage: &Stage<'a>) -> Vec<Place<'a>> {
    let regions = stage.layout.regions(stage.cast.people.len());
    let mut places: Vec<(i32, Place<'a>)> = Vec::new();
    for (index, seats) in seated(stage.layout, stage.cast, stage.canvas) {
        let region = &regions[index];
        let rects = grid::cells(seats.len(), region.rect(stage.canvas), if seats.len() > 1 { stage.gap } else { 0 });
        let place = |(seat, rect)| Place { seat, rect, fit: region.fit, min_fps: region.min_fps };
        places.extend(seats.into_iter().zip(rects).map(|pair| (region.z, place(pair))));
    }
    places.sort_by_key(|(z, _)| *z);
    places.into_iter().map(|(_, place)| place).collect()
}

/// The regions that have room, by their index, and who sits there. Others seat nobody: people go where they can be seen.
pub(crate) fn seated<'a>(layout: &Layout, cast: &'a Cast, canvas: Size) -> Vec<(usize, Vec<Seat<'a>>)> {
    let regions = layout.regions(cast.people.len()).iter().enumerate();
    let has_room = |region: &Region| matches!(region.rect(canvas), Rect { width: 2.., height: 2.., .. });
    let (indices, regions): (Vec<usize>, Vec<&Region>) = regions.filter(|(_, region)| has_room(region)).unzip();
    indices.into_iter().zip(fill(&regions, cast, layout.order)).collect()
}

/// The pictures among the regions: below the people where one of these is higher there, else above.
pub(super) fn pictures(stage: &Stage<'_>) -> Vec<Lay> {
    let regions = stage.layout.regions(stage.cast.people.len());
    let is_picture = |region: &Region| matches!(region.seat, region::Seat::Image(_));
    let lay = |region: &Region| {
        let region::Seat::Image(image) = &region.seat else { return None };
        let content = Content::Image { image: image.clone(), fit: region.fit.unwrap_or(Fit::Contain) };
        let below = regions.iter().any(|other| !is_picture(other) && other.z > region.z && other.overlaps(region));
        let area = region.rect(stage.canvas);
        (area.width >= 2 && area.height >= 2).then_some(Lay { content, area, corner: Corner::TopLeft, opacity: u8::MAX, below })
    };
    let mut pictures: Vec<&Region> = regions.iter().filter(|region| is_picture(region)).collect();
    pictures.sort_by_key(|region| region.z);
    pictures.into_iter().filter_map(lay).collect()
}

/// Who sits in each of `regions`.
pub(crate) fn fill<'a>(regions: &[&Region], cast: &'a Cast, order: crate::layout::Order) -> Vec<Vec<Seat<'a>>> {
    let all = seats::all(cast, order);
    let mut filled: Vec<Vec<Seat<'a>>> = vec![Vec::new(); regions.len()];
    let mut taken: Vec<Seat<'a>> = Vec::new();
    let mut floating: Vec<Seat<'a>> = Vec::new();
    let mut displaced = false;
    let is_loose = |region: &Region| region.seat == region::Seat::Any && region.min_fps == 0;
    let mut firm: Vec<usize> = (0..regions.len()).filter(|&index| !is_loose(regions[index])).collect();
    firm.sort_by_key(|&index| (regions[index].min_fps == 0, rank(&regions[index].seat)));
    for index in firm {
        let region = regions[index];
        let free = candidates(&region.seat, cast, &all, displaced).into_iter().filter(|seat| !taken.contains(seat));
        filled[index] = free.take(region.tiles as usize).collect();
        taken.extend(&filled[index]);
        if matches!(region.seat, region::Seat::ActiveSpeaker | region::Seat::PreviousSpeaker) {
            floating.extend(&filled[index]);
            displaced = filled[index].iter().any(|seat| seat.person.pinned && cast.active_speaker != Some(seat.person.id));
        }
    }
    let firmly = |seat: &Seat<'a>| taken.contains(seat) && !floating.contains(seat);
    let others = seats::stand_in(all.iter().filter(|seat| !firmly(seat)).copied().collect(), &floating);
    let room = regions.iter().filter(|region| is_loose(region)).map(|region| region.tiles as usize).sum();
    let mut others = seats::choose(others, room, seats::pinned_first).into_iter();
    for (region, seats) in regions.iter().zip(&mut filled).filter(|(region, _)| is_loose(region)) {
        seats.extend(others.by_ref().take(region.tiles as usize));
    }
    filled
}

fn rank(seat: &region::Seat) -> u8 {
    match seat {
        region::Seat::Participant(_) => 0,
        region::Seat::Role(_) => 1,
        region::Seat::Screen => 2,
        region::Seat::Pinned => 3,
        region::Seat::ActiveSpeaker => 4,
        region::Seat::PreviousSpeaker => 5,
        region::Seat::Any | region::Seat::Image(_) => 6,
    }
}

/// Who may take the seat, the best first. `displaced`: a pinned person has the active speaker's seat.
fn candidates<'a>(seat: &region::Seat, cast: &'a Cast, all: &[Seat<'a>], displaced: bool) -> Vec<Seat<'a>> {
    let cameras = || all.iter().filter(|seat| seat.kind == TileSource::Camera).copied();
    match seat {
        region::Seat::Participant(name) => cameras().filter(|seat| seat.person.is_called(name)).collect(),
        region::Seat::Role(role) => cameras().filter(|seat| seat.person.role.as_deref() == Some(role)).collect(),
        region::Seat::Screen => {
            let mut screens: Vec<_> = all.iter().filter(|seat| seat.kind == TileSource::Screen).copied().collect();
            screens.sort_by_key(|seat| !seat.person.pinned);
            screens
        }
        region::Seat::Pinned => cameras().filter(|seat| seat.person.pinned).collect(),
        region::Seat::PreviousSpeaker if !displaced => speakers(cast, cameras().collect(), [cast.previous_speaker, None]),
        region::Seat::ActiveSpeaker | region::Seat::PreviousSpeaker => {
            speakers(cast, cameras().collect(), [cast.active_speaker, cast.previous_speaker])
        }
        region::Seat::Any => all.to_vec(),
        region::Seat::Image(_) => Vec::new(),
    }
}

/// Pinned people, then `first`, then whoever spoke last, then the others in their order.
fn speakers<'a>(cast: &'a Cast, mut cameras: Vec<Seat<'a>>, first: [Option<PersonId>; 2]) -> Vec<Seat<'a>> {
    let turn = |person: &Person| first.iter().position(|id| *id == Some(person.id)).unwrap_or(first.len());
    // Of those who wait for a turn at all: the speaker of now is no previous speaker while others have spoken.
    let speaks_now = |person: &Person| cast.active_speaker == Some(person.id);
    cameras.sort_by_key(|Seat { person, .. }| (!person.pinned, turn(person), speaks_now(person), Reverse(person.last_spoke)));
    cameras
}
