//! The presets: each turns a [`Layout`] and a [`Cast`] into places, and this module turns places into a [`Scene`].
//!
//! One file per preset, each with one function `arrange(&Stage) -> Vec<Place>`:
//! [`grid`], [`speaker`], [`presentation`], [`auto`], [`side_by_side`], [`pip`], [`single`], [`custom`]. What they share lives in [`seats`] (who is chosen, in which
//! order) and [`strip`] (one large place and a strip of small ones). A further preset is a further file and one
//! arm in [`arrange`].
//!
//! Promised by every preset, whatever the cast and the canvas: places are even, at least 2 × 2, inside the canvas
//! and apart from each other (but for the small one of `pip` and regions of unlike `z`); nobody has two; where a layout
//! is for everybody, everybody has a tile or is counted in [`Scene::overflow`]; and being muted, leaving the camera off or
//! speaking moves nobody within a grid or a strip but those who change places with who is large.
//!
//! A scene is the same for all who watch. So that nobody watches themselves large, a view without oneself leaves that
//! person out of the cast: the place of the active speaker then goes to who spoke before.

mod auto;
pub(crate) mod custom;
mod grid;
mod pip;
mod presentation;
mod seats;
mod side_by_side;
mod single;
mod speaker;
mod strip;

use crate::layout::{Corner, Kind};
use crate::scene::{Content, Lay, TileSource};
use crate::{Cast, Fit, Layout, Rect, Scene, Tile};
use mixdown_codecs::Size;
use seats::Seat;

/// The most tiles any scene has: what one glance still takes in, and a bound for the cost of drawing.
pub const MAX_TILES: usize = 49;

/// The letters of a notice are this fraction of the canvas's shorter side.
const NOTICE: u32 = 20;
/// Smaller letters cannot be read.
const LEAST_NOTICE: u32 = 8;

/// What a camera may lose to cropping before [`Fit::Auto`] shows it whole, in percent.
const MAX_CROP_PERCENT: u64 = 30;

/// What a preset works with.
struct Stage<'a> {
    layout: &'a Layout,
    cast: &'a Cast,
    canvas: Size,
    /// Even, and never more than a sixteenth of the canvas.
    gap: u32,
    max_tiles: usize,
}

/// A seat and where it stands.
struct Place<'a> {
    seat: Seat<'a>,
    rect: Rect,
    /// In place of the layout's.
    fit: Option<Fit>,
    min_fps: u32,
}

impl<'a> Place<'a> {
    fn new(seat: Seat<'a>, rect: Rect) -> Self {
        Self { seat, rect, fit: None, min_fps: 0 }
    }
}

pub(crate) fn arrange(layout: &Layout, cast: &Cast, canvas: Size, background: [u8; 3]) -> Scene {
    let canvas = canvas.even();
    let stage = Stage {
        layout,
        cast,
        canvas,
        gap: layout.gap.min(canvas.width.min(canvas.height) / 16).next_multiple_of(2),
        max_tiles: (layout.max_tiles as usize).clamp(1, MAX_TILES),
    };
    let places = match layout.kind {
        Kind::Auto => auto::arrange(&stage),
        Kind::Grid => grid::arrange(&stage),
        Kind::Speaker => speaker::arrange(&stage),
        Kind::Presentation => presentation::arrange(&stage),
        Kind::SideBySide => side_by_side::arrange(&stage),
        Kind::Pip => pip::arrange(&stage),
        Kind::Single => single::arrange(&stage),
        Kind::Custom => custom::arrange(&stage),
    };
    let seated = |person: &&crate::Person| places.iter().any(|place| place.seat.person.id == person.id);
    let overflow = if is_for_all(layout, cast) { cast.people.iter().filter(|person| !seated(person)).count() } else { 0 };
    let overlays = overlays(&stage, places.is_empty());
    Scene {
        canvas,
        background,
        tiles: places.into_iter().map(|place| stage.tile(place)).collect(),
        overflow: u32::try_from(overflow).unwrap_or(u32::MAX),
        labels: layout.labels,
        transition: layout.transition,
        overlays,
    }
}

/// Pictures of regions, what an empty canvas says, then what the layout lays over all.
fn overlays(stage: &Stage<'_>, empty: bool) -> Vec<Lay> {
    let pictures = if stage.layout.kind == Kind::Custom { custom::pictures(stage) } else { Vec::new() };
    let notice = (empty && pictures.is_empty()).then(|| notice(stage)).flatten();
    pictures.into_iter().chain(notice).chain(stage.layout.overlays.iter().filter_map(|overlay| overlay.lay(stage.canvas))).collect()
}

/// What stands on a canvas without people, so that it does not look broken; nothing where it could not be read.
fn notice(stage: &Stage<'_>) -> Option<Lay> {
    let Size { width, height } = stage.canvas;
    let size = width.min(height) / NOTICE;
    let content = Content::Notice { text: stage.layout.empty.clone(), size };
    let area = Rect::new(0, 0, width, height);
    let lay = Lay { content, area, corner: Corner::TopLeft, opacity: u8::MAX, below: true };
    (size >= LEAST_NOTICE && !stage.layout.empty.is_empty()).then_some(lay)
}

/// Whether the layout means to show everybody, so that those who are not seen are missed.
fn is_for_all(layout: &Layout, cast: &Cast) -> bool {
    match layout.kind {
        Kind::Auto | Kind::Grid | Kind::Speaker | Kind::Presentation => true,
        Kind::SideBySide | Kind::Pip | Kind::Single => false,
        Kind::Custom => layout.regions(cast.people.len()).iter().any(|region| region.seat == crate::region::Seat::Any),
    }
}

impl Stage<'_> {
    fn tile(&self, place: Place<'_>) -> Tile {
        let Seat { person, kind } = place.seat;
        let speaks = kind == TileSource::Camera && self.cast.active_speaker == Some(person.id);
        Tile {
            person: person.id,
            kind,
            source: place.seat.source().map(|source| source.id),
            rect: place.rect,
            fit: self.fit(place.seat, place.rect.size(), place.fit.unwrap_or(self.layout.fit)),
            name: person.name.clone(),
            muted: person.muted,
            speaking: speaks && self.layout.active_speaker.border,
            min_fps: place.min_fps,
            opacity: u8::MAX,
            moving: false,
        }
    }

    /// How `seat` fills a tile of `size`: what is `wanted`, or for [`Fit::Auto`] whole for screens, and for
    /// cameras covering unless too much would be cropped.
    fn fit(&self, seat: Seat<'_>, size: Size, wanted: Fit) -> Fit {
        let picture = seat.source().and_then(|source| source.size);
        match (wanted, seat.kind, picture) {
            (Fit::Auto, TileSource::Screen, _) => Fit::Contain,
            (Fit::Auto, TileSource::Camera, Some(picture)) if cropped_percent(picture, size) >= MAX_CROP_PERCENT => Fit::Contain,
            (Fit::Auto, TileSource::Camera, _) => Fit::Cover,
            (fit, _, _) => fit,
        }
    }
}

/// The share of `picture` that is cut away when it covers `tile`.
fn cropped_percent(picture: Size, tile: Size) -> u64 {
    let across = u64::from(picture.width) * u64::from(tile.height);
    let down = u64::from(picture.height) * u64::from(tile.width);
    let (shown, whole) = (across.min(down), across.max(down).max(1));
    100 - shown * 100 / whole
}

/// The largest even rectangle size of `ratio` (width, height) that fits into `area`, at least 2 × 2.
fn fit_ratio(area: Size, ratio: (u32, u32)) -> Size {
    let (across, down) = (u64::from(ratio.0.max(1)), u64::from(ratio.1.max(1)));
    let (width, height) = (u64::from(area.width), u64::from(area.height));
    let size = if width * down > height * across { (height * across / down, height) } else { (width, width * down / across) };
    // Both sides are at most those of `area`, so they fit into 32 bits.
    Size::new(size.0 as u32, size.1 as u32).even()
}

/// A rectangle of `size` in the middle of `area`, on even coordinates. `size` must not exceed `area`.
fn centred(area: Rect, size: Size) -> Rect {
    let shift = |outer: u32, inner: u32| (outer.saturating_sub(inner) / 2) & !1;
    Rect::new(area.x + shift(area.width, size.width), area.y + shift(area.height, size.height), size.width, size.height)
}

#[cfg(test)]
mod tests;
