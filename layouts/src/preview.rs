//! What a layout would look like, without anything being changed: who would be where, and what an operator should know.

use crate::draw::{Canvas, Picture, Pictures};
use crate::layout::Corner;
use crate::presets::custom;
use crate::region::{Region, Seat};
use crate::scene::{Content, Lay, TileSource};
use crate::{Cast, FaultKind, Layout, PersonId, Rect, Scene, SourceId, Tile};
use mixdown_codecs::{I420Frame, Size};
use serde::Serialize;

/// Letters lower than this many pixels are hard to read on a phone.
const LEAST_LETTERS: u32 = 12;
/// Tiles lower or narrower than this carry no name.
const LEAST_TILE: Size = Size::new(64, 48);

/// A layout applied to a cast.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub scene: Scene,
    pub places: Vec<Place>,
    pub warnings: Vec<Warning>,
    /// Signs in the regions that nobody fills.
    free: Vec<Lay>,
}

/// One rectangle and who is seen in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Of a custom layout: which of its regions this is, or who is seen here sits in.
    pub region: Option<usize>,
    pub person: Option<PersonId>,
    pub kind: Option<TileSource>,
    /// In canvas pixels.
    pub rect: Rect,
}

/// Something that is allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// RFC 6901, from the layout on.
    pub pointer: String,
    pub code: Code,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// One region lies over another.
    Overlap,
    /// Too small to hold a pixel of each plane, or cut off at the edge.
    OffCanvas,
    TextTooSmall,
    /// Nobody in the cast can sit there: no such person, role, screen or pin.
    SeatEmpty,
    /// People who want to be seen find no place.
    Overflow,
    /// The canvas has fewer pictures per second than a seat is promised.
    FrameRate,
    /// An option went that has no effect on the new type.
    Dropped,
}

/// Applies `layout` to `cast` on an even `canvas` with `fps` pictures per second. Of [faults](Layout::faults) it may have those of
/// geometry: they are warned of.
pub fn preview(layout: &Layout, cast: &Cast, canvas: Size, fps: u32, background: [u8; 3]) -> Preview {
    let scene = layout.arrange(cast, canvas, background);
    let mut warnings = Warnings(Vec::new());
    let (mut regions, mut seated): (&[Region], _) = (&[], Vec::new());
    if layout.kind == crate::layout::Kind::Custom {
        (regions, seated) = (layout.regions(cast.people.len()), custom::seated(layout, cast, scene.canvas));
        warnings.faults(layout);
        warnings.regions(layout, cast, canvas);
        warnings.0.extend(slow_seats(layout, fps, ""));
    }
    warnings.texts(layout, &scene);
    if scene.overflow > 0 {
        warnings.add("", Code::Overflow, format!("{} people find no place", scene.overflow));
    }
    let sits =
        |tile: &Tile| seated.iter().find(|(_, seats)| seats.iter().any(|seat| (seat.person.id, seat.kind) == (tile.person, tile.kind)));
    let people = scene.tiles.iter().map(|tile| Place {
        region: sits(tile).map(|(index, _)| *index),
        person: Some(tile.person),
        kind: Some(tile.kind),
        rect: tile.rect,
    });
    let mut places: Vec<Place> = people.collect();
    let free = |index: &usize| !places.iter().any(|place| place.region == Some(*index));
    let free: Vec<usize> = (0..regions.len()).filter(free).collect();
    places.extend(free.iter().map(|index| Place { region: Some(*index), person: None, kind: None, rect: regions[*index].rect(canvas) }));
    let told = scene.overlays.iter().filter(|lay| !matches!(lay.content, Content::Notice { .. }));
    places.extend(told.map(|lay| Place { region: None, person: None, kind: None, rect: lay.area }));
    let free = free.into_iter().filter_map(|index| sign(index, &regions[index], canvas)).collect();
    Preview { places, scene, warnings: warnings.0, free }
}

/// The seats, of all groups, that are promised more pictures per second than a canvas of `fps` has. Pointers begin with `at`.
pub fn slow_seats(layout: &Layout, fps: u32, at: &str) -> Vec<Warning> {
    let groups = layout.groups.iter().enumerate().map(|(index, group)| (format!("{at}/groups/{index}"), &group.regions));
    let lists = groups.chain([(at.to_owned(), &layout.regions)]);
    let regions =
        lists.flat_map(|(at, regions)| regions.iter().enumerate().map(move |(index, region)| (format!("{at}/regions/{index}"), region)));
    let slow = regions.filter(|(_, region)| region.min_fps > fps);
    let warning = |at: String| Warning {
        pointer: format!("{at}/min_fps"),
        code: Code::FrameRate,
        detail: format!("the canvas has {fps} pictures per second, and so has the seat"),
    };
    slow.map(|(at, _)| warning(at)).collect()
}

/// What stands in a region that nobody fills.
fn sign(index: usize, region: &Region, canvas: Size) -> Option<Lay> {
    let seat = match &region.seat {
        Seat::Participant(who) => format!("participant {who}"),
        Seat::Role(role) => format!("role {role}"),
        Seat::ActiveSpeaker => "active speaker".to_owned(),
        Seat::PreviousSpeaker => "previous speaker".to_owned(),
        Seat::Screen => "screen".to_owned(),
        Seat::Pinned => "pinned".to_owned(),
        Seat::Any => "anybody".to_owned(),
        Seat::Image(_) => return None,
    };
    let text = region.id.clone().unwrap_or_else(|| format!("region {index}"));
    let content = Content::Plate { text: format!("{text}: {seat}"), subtitle: String::new(), size: canvas.height / 30 };
    Some(Lay { content, area: region.rect(canvas), corner: Corner::TopLeft, opacity: u8::MAX, below: false })
}

impl Warning {
    /// An option of the layout before that a change of its type has taken away.
    pub fn dropped(at: &str, field: &str, kind: &str) -> Self {
        let detail = format!("was taken away: it has no effect with the type `{kind}`");
        Self { pointer: format!("{at}/{field}"), code: Code::Dropped, detail }
    }
}

impl Preview {
    /// The scene with everybody's initials in place of pictures, and signs in free regions; clocks show midnight.
    pub fn draw(&self) -> I420Frame {
        let mut canvas = Canvas::new(self.scene.canvas);
        let mut scene = self.scene.clone();
        scene.overlays.extend(self.free.iter().cloned());
        canvas.draw(&scene, &NoPictures);
        canvas.frame().clone()
    }
}

struct NoPictures;

impl Pictures for NoPictures {
    fn latest(&self, _: SourceId) -> Option<Picture> {
        None
    }
}

struct Warnings(Vec<Warning>);

impl Warnings {
    fn add(&mut self, pointer: impl Into<String>, code: Code, detail: impl Into<String>) {
        self.0.push(Warning { pointer: pointer.into(), code, detail: detail.into() });
    }

    /// What a preview shows though it cannot be set.
    fn faults(&mut self, layout: &Layout) {
        for fault in layout.faults() {
            let code = match fault.kind {
                FaultKind::Value => continue,
                FaultKind::OffCanvas => Code::OffCanvas,
                FaultKind::Overlap => Code::Overlap,
            };
            self.add(fault.pointer, code, format!("cannot be set so: {}", fault.detail));
        }
    }

    fn regions(&mut self, layout: &Layout, cast: &Cast, canvas: Size) {
        let regions = layout.regions(cast.people.len());
        let group = layout.groups.iter().position(|group| std::ptr::eq(group.regions.as_slice(), regions));
        let at = |index: usize| group.map_or(format!("/regions/{index}"), |group| format!("/groups/{group}/regions/{index}"));
        let all: Vec<&Region> = regions.iter().collect();
        let filled = custom::fill(&all, cast, layout.order);
        for (index, (region, seats)) in regions.iter().zip(filled).enumerate() {
            let rect = region.rect(canvas);
            if rect.width < 2 || rect.height < 2 {
                self.add(at(index), Code::OffCanvas, format!("the region has {}x{} pixels", rect.width, rect.height));
            }
            if let Some(other) = regions.iter().take(index).position(|other| other.z != region.z && other.overlaps(region)) {
                self.add(at(index), Code::Overlap, format!("overlaps region {other}"));
            }
            let particular = matches!(region.seat, Seat::Participant(_) | Seat::Role(_) | Seat::Screen | Seat::Pinned);
            if particular && seats.is_empty() {
                self.add(format!("{}/seat", at(index)), Code::SeatEmpty, "nobody here can sit there");
            }
        }
    }

    fn texts(&mut self, layout: &Layout, scene: &Scene) {
        let nameless = scene.tiles.iter().filter(|tile| tile.rect.width < LEAST_TILE.width || tile.rect.height < LEAST_TILE.height).count();
        if layout.labels && nameless > 0 {
            self.add("/labels", Code::TextTooSmall, format!("{nameless} tiles are too small for a name"));
        }
        for (index, overlay) in layout.overlays.iter().enumerate() {
            match overlay.lay(scene.canvas).map(|lay| lay.content) {
                None => self.add(format!("/overlays/{index}"), Code::OffCanvas, "has no room on the canvas"),
                Some(Content::Plate { size, .. } | Content::Ticker { size, .. } | Content::Clock { size, .. }) if size < LEAST_LETTERS => {
                    self.add(format!("/overlays/{index}/size"), Code::TextTooSmall, format!("letters of {size} pixels"));
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Person;

    fn cast(count: u64) -> Cast {
        let person = |id| Person::plain(id);
        Cast { people: (0..count).map(person).collect(), ..Cast::default() }
    }

    fn warnings(json: &str, people: u64, canvas: Size) -> Vec<(String, Code)> {
        let layout: Layout = serde_json::from_str(json).unwrap();
        assert!(layout.faults().iter().all(|fault| fault.kind != FaultKind::Value));
        let preview = preview(&layout, &cast(people), canvas, 15, [0; 3]);
        preview.warnings.into_iter().map(|warning| (warning.pointer, warning.code)).collect()
    }

    #[test]
    fn what_is_probably_not_meant_is_named_with_its_place() {
        let json = r#"{"type":"custom","overlays":[{"text":"small","size":0.01}],"regions":[
            {"seat":"any"},
            {"x":0.9,"y":0.9,"width":0.01,"height":0.01,"z":1,"seat":{"role":"host"},"min_fps":25}]}"#;
        assert_eq!(
            warnings(json, 1, Size::new(128, 72)),
            [
                ("/regions/1".into(), Code::OffCanvas),
                ("/regions/1".into(), Code::Overlap),
                ("/regions/1/seat".into(), Code::SeatEmpty),
                ("/regions/1/min_fps".into(), Code::FrameRate),
                ("/overlays/0/size".into(), Code::TextTooSmall),
            ]
        );
        assert_eq!(warnings(r#"{"type":"3up_plus"}"#, 9, Size::new(1280, 720)), []);
        let cannot = r#"{"type":"custom","regions":[{"x":0.5},{"x":0.25,"width":0.5}]}"#;
        assert_eq!(
            warnings(cannot, 2, Size::new(1280, 720)),
            [("/regions/0/width".into(), Code::OffCanvas), ("/regions/1".into(), Code::Overlap)]
        );
        let groups = r#"{"type":"custom","groups":[{"max":2,"regions":[{}]},{"max":9,"regions":[{"seat":"screen"}]}]}"#;
        assert_eq!(warnings(groups, 5, Size::new(1280, 720))[0], ("/groups/1/regions/0/seat".into(), Code::SeatEmpty));
        assert_eq!(warnings(r#"{"max_tiles":4}"#, 6, Size::new(1280, 720)), [(String::new(), Code::Overflow)]);
        assert_eq!(warnings("{}", 40, Size::new(320, 180)), [("/labels".into(), Code::TextTooSmall), (String::new(), Code::Overflow)]);
    }

    #[test]
    fn each_place_says_its_region_and_free_regions_are_shown_with_their_seat() {
        let json = r#"{"type":"custom","overlays":[{"text":"hi"}],"regions":[{"width":0.5},{"x":0.5,"width":0.5,"seat":"screen"}]}"#;
        let layout: Layout = serde_json::from_str(json).unwrap();
        let preview = preview(&layout, &cast(1), Size::new(1280, 720), 30, [0; 3]);
        let places: Vec<_> = preview.places.iter().map(|place| (place.region, place.person.is_some())).collect();
        assert_eq!(places, [(Some(0), true), (Some(1), false), (None, false)]);
        let nested = r#"{"type":"custom","regions":[{"tiles":4},{"width":0.5,"height":0.5,"z":1,"seat":"screen"}]}"#;
        let above = super::preview(&serde_json::from_str(nested).unwrap(), &cast(4), Size::new(1280, 720), 30, [0; 3]);
        let regions: Vec<_> = above.places.iter().map(|place| place.region).collect();
        assert_eq!(regions, [Some(0), Some(0), Some(0), Some(0), Some(1)], "whoever is seen below the empty region does not sit in it");
        let drawn = preview.draw();
        let bright = |x: usize| (0..60).any(|y| drawn.planes().y[y * 1280 + x..][..200].iter().any(|y| *y > 180));
        assert!(bright(640), "the free region has a sign");
    }
}
