//! What other systems call their layouts: each name stands for a layout of ours.
//!
//! Vonage (OpenTok) archive layouts, RFC 6505 §4.2.1.4.2.1 video layouts, and the layouts of FreeSWITCH's
//! `conference_layouts.conf`, whose canvas is 360 units wide and high.

use crate::fraction::Fraction;
use crate::layout::{Kind, Strip};
use crate::region::{Group, Region, Seat};
use crate::{Fit, Layout};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A `type` and what its name says beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    pub kind: Kind,
    pub fit: Option<Fit>,
    pub max_tiles: Option<u32>,
    pub strip: Option<Strip>,
    pub regions: Vec<Region>,
    pub groups: Vec<Group>,
}

/// Our own names, in the order in which they are offered.
const OWN: [(&str, Kind); 8] = [
    ("auto", Kind::Auto),
    ("grid", Kind::Grid),
    ("speaker", Kind::Speaker),
    ("presentation", Kind::Presentation),
    ("side_by_side", Kind::SideBySide),
    ("pip", Kind::Pip),
    ("single", Kind::Single),
    ("custom", Kind::Custom),
];

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        named(&name).ok_or_else(|| {
            let own: Vec<String> = OWN.iter().map(|(name, _)| format!("`{name}`")).collect();
            D::Error::custom(format!(
                "unknown layout `{name}`, expected one of {}, or a name of Vonage, RFC 6505 or FreeSWITCH",
                own.join(", ")
            ))
        })
    }
}

impl Named {
    /// What stands for it in JSON beside the `type`.
    fn brings(&self) -> impl Iterator<Item = &'static str> {
        let brought = [
            ("fit", self.fit.is_some()),
            ("max_tiles", self.max_tiles.is_some()),
            ("strip", self.strip.is_some()),
            ("regions", self.kind != Kind::Custom || !self.regions.is_empty() || !self.groups.is_empty()),
            ("groups", self.kind != Kind::Custom || !self.regions.is_empty() || !self.groups.is_empty()),
        ];
        brought.into_iter().filter(|(_, brings)| *brings).map(|(field, _)| field)
    }
}

/// Takes from `document`, a layout as JSON, what a change of `type` by the merge-patch `patch` replaces: so that
/// `{"type": "quad-view"}` has its four tiles, and what has no effect on the new type goes with the old one. Gives the fields
/// that went although somebody had chosen them.
pub fn make_way(document: &mut Value, patch: &Value) -> Vec<&'static str> {
    let new = patch.get("type").and_then(Value::as_str).and_then(named);
    let (Some(fields), Some(new)) = (document.as_object_mut(), new) else { return Vec::new() };
    for field in new.brings() {
        fields.remove(field);
    }
    let usual = serde_json::to_value(Layout { kind: Kind::Speaker, ..Layout::default() }).unwrap_or_default();
    // The corner's usual value is written for its own type alone.
    let usual = |field: &str| if field == "corner" { Some("bottom_right".into()) } else { usual.get(field).cloned() };
    let gone = new.kind.idle().iter().filter_map(|field| fields.remove(*field).map(|value| (*field, value)));
    gone.filter(|(field, value)| usual(field).as_ref() != Some(value)).map(|(field, _)| field).collect()
}

/// Our name of a kind.
pub(crate) fn name_of(kind: Kind) -> &'static str {
    OWN.iter().find(|(_, own)| *own == kind).map_or("", |(name, _)| name)
}

/// The layout that goes by `name`, ours or another system's.
pub fn named(name: &str) -> Option<Named> {
    let own = OWN.iter().find(|(own, _)| *own == name).map(|(_, kind)| Named::of(*kind));
    own.or_else(|| vonage(name)).or_else(|| rfc6505(name)).or_else(|| freeswitch(name))
}

impl Named {
    fn of(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    fn grid(most: u32) -> Self {
        Self { max_tiles: Some(most), ..Self::of(Kind::Grid) }
    }

    fn custom(regions: Vec<Region>) -> Self {
        Self { regions, ..Self::of(Kind::Custom) }
    }

    fn fitting(self, fit: Fit) -> Self {
        Self { fit: Some(fit), ..self }
    }
}

fn vonage(name: &str) -> Option<Named> {
    let presentation = |strip| Named { strip: Some(strip), ..Named::of(Kind::Presentation) };
    match name {
        "bestFit" => Some(Named::of(Kind::Grid)),
        "verticalPresentation" => Some(presentation(Strip::Left)),
        "horizontalPresentation" => Some(presentation(Strip::Bottom)),
        _ => None,
    }
}

fn rfc6505(name: &str) -> Option<Named> {
    let (plain, fit) = name.strip_suffix("-crop").map_or((name, Fit::Contain), |plain| (plain, Fit::Cover));
    let dual = match plain {
        "dual-view" | "dual-view-2x1" => Some(Named::of(Kind::SideBySide)),
        "dual-view-1x2" => freeswitch("1x2"),
        _ => None,
    };
    if let Some(dual) = dual {
        return Some(dual.fitting(fit));
    }
    match name {
        "single-view" => Some(Named::of(Kind::Single)),
        "quad-view" => Some(Named::grid(4)),
        "multiple-3x3" => Some(Named::grid(9)),
        "multiple-4x4" => Some(Named::grid(16)),
        "multiple-5x1" => freeswitch("1up_top_left+5"),
        _ => None,
    }
}

fn freeswitch(name: &str) -> Option<Named> {
    Some(match name {
        "1x1" => Named::of(Kind::Single),
        "2x1" => Named::of(Kind::SideBySide),
        "2x2" => Named::grid(4),
        "3x3" => Named::grid(9),
        "4x4" => Named::grid(16),
        "5x5" => Named::grid(25),
        "6x6" => Named::grid(36),
        "8x8" => Named::grid(49),
        "1up_top_left_plus" => groups(&["1up_top_left+5", "1up_top_left+7", "1up_top_left+9"]),
        "3up_plus" => groups(&["3up+4", "3up+9"]),
        "grid-zoom" => groups(&["1x1", "2x1-zoom", "3x1-zoom", "2x2", "5-grid-zoom", "3x2-zoom", "7-grid-zoom", "4x2-zoom", "3x3"]),
        name => Named::custom(images(name)?),
    })
}

/// The images of one of FreeSWITCH's layouts, as regions.
fn images(name: &str) -> Option<Vec<Region>> {
    let speaker = |x, y, side| unit(x, y, side, Seat::ActiveSpeaker);
    let previous = |x, y, side| unit(x, y, side, Seat::PreviousSpeaker);
    let presents = || Seat::Role("presenter".into());
    let presenter = |x, y, side| Region { z: 1, ..unit(x, y, side, presents()) };
    let full = || speaker(0, 0, 360);
    Some(match name {
        "1x1" => vec![any(0, 0, 360)],
        "1x2" => vec![any(90, 0, 180), any(90, 180, 180)],
        "2x2" => [row(0, 0, 180, 2), row(0, 180, 180, 2)].concat(),
        "3x3" => [row(0, 0, 120, 3), row(0, 120, 120, 3), row(0, 240, 120, 3)].concat(),
        "1x1+2x1" => [vec![any(90, 0, 180)], row(0, 180, 180, 2)].concat(),
        "2x1-zoom" => zoomed(0, 360, 2),
        "3x1-zoom" => zoomed(0, 360, 3),
        "5-grid-zoom" => [row(0, 0, 180, 2), zoomed(180, 180, 3)].concat(),
        "3x2-zoom" => [zoomed(0, 180, 3), zoomed(180, 180, 3)].concat(),
        "7-grid-zoom" => [zoomed(0, 180, 3), zoomed(180, 180, 4)].concat(),
        "4x2-zoom" => [zoomed(0, 180, 4), zoomed(180, 180, 4)].concat(),
        "2x1-presenter-zoom" => {
            let seats = [Seat::ActiveSpeaker, presents()];
            zoomed(0, 360, 2).into_iter().zip(seats).map(|(region, seat)| Region { seat, ..region }).collect()
        }
        "1up_top_left+5" => one_up(3),
        "1up_top_left+7" => one_up(4),
        "1up_top_left+9" => one_up(5),
        "2up_top+8" => [vec![speaker(0, 0, 180), previous(180, 0, 180)], row(0, 180, 90, 4), row(0, 270, 90, 4)].concat(),
        "2up_middle+8" => [vec![speaker(0, 90, 180), previous(180, 90, 180)], row(0, 0, 90, 4), row(0, 270, 90, 4)].concat(),
        "2up_bottom+8" => [vec![speaker(0, 180, 180), previous(180, 180, 180)], row(0, 0, 90, 4), row(0, 90, 90, 4)].concat(),
        "3up+4" => [three_up(), row(180, 180, 90, 2), row(180, 270, 90, 2)].concat(),
        "3up+9" => [three_up(), row(180, 180, 60, 3), row(180, 240, 60, 3), row(180, 300, 60, 3)].concat(),
        "presenter-dual-vertical" => vec![speaker(90, 0, 180), presenter(90, 180, 180)],
        "presenter-dual-horizontal" => vec![speaker(0, 90, 180), presenter(180, 90, 180)],
        "presenter-overlap-small-top-right" => vec![full(), presenter(300, 0, 60)],
        "presenter-overlap-small-bot-right" => vec![full(), presenter(300, 300, 60)],
        "presenter-overlap-large-top-right" => vec![full(), presenter(180, 0, 180)],
        "presenter-overlap-large-bot-right" => vec![full(), presenter(180, 180, 180)],
        "overlaps" => {
            let small = (0..6).map(|place| Region { z: 1, ..any(300 - 60 * place, 300, 60) });
            std::iter::once(full()).chain(small).collect()
        }
        _ => return None,
    })
}

/// A square of FreeSWITCH's grid of 360 units: a rectangle of the canvas's own ratio.
fn unit(x: u32, y: u32, side: u32, seat: Seat) -> Region {
    let [x, y, width, height] = [x, y, side, side].map(|length| Fraction::new(length, 360));
    Region { x, y, width, height, seat, ..Region::default() }
}

fn any(x: u32, y: u32, side: u32) -> Region {
    unit(x, y, side, Seat::Any)
}

fn row(x: u32, y: u32, side: u32, count: u32) -> Vec<Region> {
    (0..count).map(|index| any(x + index * side, y, side)).collect()
}

/// `count` regions that share the canvas's width, covered whole.
fn zoomed(y: u32, height: u32, count: u32) -> Vec<Region> {
    let [share, high, y] = [360 / count, height, y].map(|units| Fraction::new(units, 360));
    let place = |index| Fraction::new(index * (360 / count), 360);
    (0..count).map(|index| Region { x: place(index), y, width: share, height: high, fit: Some(Fit::Cover), ..Region::default() }).collect()
}

/// The speaker in the upper left, the others along the right and the bottom, `parts` to a side.
fn one_up(parts: u32) -> Vec<Region> {
    let side = 360 / parts;
    let large = side * (parts - 1);
    let right = (0..parts - 1).map(|index| any(large, index * side, side));
    std::iter::once(unit(0, 0, large, Seat::ActiveSpeaker)).chain(right).chain(row(0, large, side, parts)).collect()
}

fn three_up() -> Vec<Region> {
    vec![unit(0, 0, 180, Seat::ActiveSpeaker), unit(180, 0, 180, Seat::PreviousSpeaker), any(0, 180, 180)]
}

/// The named layouts, each for as many people as it has regions.
fn groups(names: &[&str]) -> Named {
    let regions = names.iter().filter_map(|name| images(name));
    let groups = regions.map(|regions| Group { max: u32::try_from(regions.len()).unwrap_or(u32::MAX), regions }).collect();
    Named { groups, ..Named::of(Kind::Custom) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [&str; 47] = [
        "bestFit",
        "verticalPresentation",
        "horizontalPresentation",
        "single-view",
        "dual-view",
        "dual-view-crop",
        "dual-view-2x1",
        "dual-view-2x1-crop",
        "dual-view-1x2",
        "dual-view-1x2-crop",
        "quad-view",
        "multiple-5x1",
        "multiple-3x3",
        "multiple-4x4",
        "1x1",
        "1x2",
        "2x1",
        "2x2",
        "3x3",
        "4x4",
        "5x5",
        "6x6",
        "8x8",
        "1up_top_left+5",
        "1x1+2x1",
        "2x1-zoom",
        "3x1-zoom",
        "5-grid-zoom",
        "3x2-zoom",
        "7-grid-zoom",
        "4x2-zoom",
        "2x1-presenter-zoom",
        "grid-zoom",
        "1up_top_left+7",
        "1up_top_left+9",
        "1up_top_left_plus",
        "2up_top+8",
        "2up_middle+8",
        "2up_bottom+8",
        "3up+4",
        "3up+9",
        "3up_plus",
        "presenter-dual-vertical",
        "presenter-dual-horizontal",
        "presenter-overlap-small-top-right",
        "presenter-overlap-small-bot-right",
        "overlaps",
    ];

    fn layout(json: &str) -> Layout {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_name_is_a_layout_without_fault_that_survives_being_written() {
        for name in OTHERS.into_iter().chain(OWN.into_iter().map(|(name, _)| name).filter(|name| *name != "custom")) {
            let layout = layout(&format!(r#"{{"type":"{name}"}}"#));
            assert_eq!(layout.faults(), [], "{name}");
            let written = serde_json::to_string(&layout).unwrap();
            assert_eq!(serde_json::from_str::<Layout>(&written).unwrap(), layout, "{name}");
        }
    }

    #[test]
    fn what_is_said_beside_a_name_counts_more_than_the_name() {
        assert_eq!(layout(r#"{"type":"quad-view"}"#).max_tiles, 4);
        assert_eq!(layout(r#"{"type":"quad-view","max_tiles":3}"#).max_tiles, 3);
        let presentation = layout(r#"{"type":"verticalPresentation"}"#);
        assert_eq!((presentation.kind, presentation.strip), (Kind::Presentation, Strip::Left));
        assert_eq!(layout(r#"{"type":"dual-view-crop"}"#).fit, Fit::Cover);
    }

    #[test]
    fn a_patched_type_replaces_what_its_name_stands_for_and_leaves_the_rest() {
        let patched = |before: &str, patch: &str| {
            let (mut document, patch) =
                (serde_json::to_value(layout(before)).unwrap(), serde_json::from_str::<serde_json::Value>(patch).unwrap());
            make_way(&mut document, &patch);
            document.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
            serde_json::from_value::<Layout>(document).unwrap()
        };
        assert_eq!(
            patched(r#"{"type":"grid","max_tiles":9,"gap":8}"#, r#"{"type":"speaker"}"#),
            layout(r#"{"type":"speaker","max_tiles":9,"gap":8}"#)
        );
        assert_eq!(patched(r#"{"type":"grid","gap":8}"#, r#"{"type":"quad-view"}"#), layout(r#"{"type":"quad-view","gap":8}"#));
        assert_eq!(patched(r#"{"type":"3up+4"}"#, r#"{"type":"grid"}"#).faults(), []);
        assert_eq!(patched(r#"{"type":"3up_plus"}"#, r#"{"type":"1up_top_left+5"}"#), layout(r#"{"type":"1up_top_left+5"}"#));
        assert_eq!(patched(r#"{"type":"3up+4"}"#, r#"{"type":"custom","gap":2}"#).regions, layout(r#"{"type":"3up+4"}"#).regions);
    }

    #[test]
    fn what_has_no_effect_on_a_new_type_goes_and_is_told_unless_it_was_nobodys_choice() {
        let gone = |before: &str, patch: &str| {
            let mut document = serde_json::to_value(layout(before)).unwrap();
            make_way(&mut document, &serde_json::from_str(patch).unwrap())
        };
        let chosen = r#"{"type":"speaker","strip":"left","gap":8,"max_tiles":9,"order":"name"}"#;
        assert_eq!(gone(chosen, r#"{"type":"single"}"#), ["max_tiles", "gap", "order", "strip"]);
        assert_eq!(gone(chosen, r#"{"type":"grid"}"#), ["strip"]);
        assert_eq!(gone(chosen, r#"{"gap":2}"#), Vec::<&str>::new());
        assert_eq!(gone(r#"{"type":"speaker"}"#, r#"{"type":"single"}"#), Vec::<&str>::new());
        assert_eq!(gone(r#"{"type":"pip"}"#, r#"{"type":"grid"}"#), Vec::<&str>::new());
        assert_eq!(gone(r#"{"type":"pip","corner":"top_left"}"#, r#"{"type":"grid"}"#), ["corner"]);
    }

    #[test]
    fn a_name_that_nobody_uses_is_refused_with_ours() {
        let error = serde_json::from_str::<Layout>(r#"{"type":"mosaic"}"#).unwrap_err().to_string();
        assert!(error.contains("`mosaic`") && error.contains("`auto`, `grid`, `speaker`"), "{error}");
    }

    #[test]
    fn one_large_and_five_small_fill_the_canvas() {
        let regions = named("multiple-5x1").unwrap().regions;
        let area: u64 = regions.iter().map(|region| region.rect(mixdown_codecs::Size::new(1260, 720)).size().pixels() as u64).sum();
        assert_eq!((regions.len(), area), (6, 1260 * 720));
    }
}
