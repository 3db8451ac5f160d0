//! Who is shown: every camera and every screen is a seat; when there are more seats than tiles, some are chosen.

use crate::layout::Order;
use crate::scene::TileSource;
use crate::{Cast, Person, Source};
use std::cmp::Reverse;

/// One person's camera (or initials) or screen, as a candidate for a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat<'a> {
    pub person: &'a Person,
    pub kind: TileSource,
}

impl<'a> Seat<'a> {
    pub fn camera(person: &'a Person) -> Self {
        Self { person, kind: TileSource::Camera }
    }

    pub fn screen(person: &'a Person) -> Self {
        Self { person, kind: TileSource::Screen }
    }

    pub fn source(self) -> Option<Source> {
        match self.kind {
            TileSource::Camera => self.person.camera,
            TileSource::Screen => self.person.screen,
        }
    }
}

/// Every seat of the cast: the screens first, then one camera seat per person; each group in `order`.
pub(super) fn all(cast: &Cast, order: Order) -> Vec<Seat<'_>> {
    let people = sorted(cast, order);
    let screens = people.iter().filter(|person| person.screen.is_some()).map(|person| Seat::screen(person));
    screens.chain(people.iter().map(|person| Seat::camera(person))).collect()
}

fn sorted(cast: &Cast, order: Order) -> Vec<&Person> {
    let mut people: Vec<&Person> = cast.people.iter().collect();
    match order {
        Order::Joined => {}
        Order::Name => people.sort_by_cached_key(|person| person.name.to_lowercase()),
        Order::Activity => people.sort_by_key(|person| Reverse(person.last_spoke)),
    }
    people
}

/// Keeps `count` of `seats`: those of the lowest `rank` and among equals the first; in their old order.
pub(super) fn choose<'a>(seats: Vec<Seat<'a>>, count: usize, rank: impl Fn(&Seat<'a>) -> u8) -> Vec<Seat<'a>> {
    if seats.len() <= count {
        return seats;
    }
    let mut chosen: Vec<usize> = (0..seats.len()).collect();
    chosen.sort_by_key(|&index| seats.get(index).map(&rank));
    chosen.truncate(count);
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|index| seats.get(index).copied()).collect()
}

/// `all` without those in `large`, who have places of their own. Where one of these would stand, one of the first stands in:
/// a change of who is large moves only those who change places.
pub(super) fn stand_in<'a>(all: Vec<Seat<'a>>, large: &[Seat<'a>]) -> Vec<Seat<'a>> {
    let count = all.iter().filter(|seat| large.contains(seat)).count();
    let (first, others) = all.split_at(count);
    let mut free = first.iter().filter(|seat| !large.contains(seat));
    others.iter().filter_map(|seat| if large.contains(seat) { free.next() } else { Some(seat) }).copied().collect()
}

/// Pinned people and screens come before all others.
pub(super) fn pinned_first(seat: &Seat<'_>) -> u8 {
    u8::from(!seat.person.pinned && seat.kind == TileSource::Camera)
}
