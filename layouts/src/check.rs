//! What a layout must fulfil beyond its types: everything that is wrong, at once.

use crate::Layout;
use crate::draw::text::{MAX_GRAPHEMES, sanitise};
use crate::fraction::Fraction;
use crate::image::Image;
use crate::layout::Kind;
use crate::names::name_of;
use crate::overlay::Overlay;
use crate::presets::MAX_TILES;
use crate::region::{Group, Region, Seat};
use unicode_segmentation::UnicodeSegmentation;

/// More groups than these are not kept apart by anybody.
const MAX_GROUPS: usize = 16;
/// The longest id, role or participant.
const MAX_NAME: usize = 128;
const MAX_Z: i32 = 100;

const MAX_OVERLAYS: usize = 16;
/// Of all pictures of a layout together: 64 MiB decoded.
const MAX_PIXELS: usize = 16 << 20;

/// One thing that is wrong with a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// RFC 6901, from the layout on.
    pub pointer: String,
    pub detail: String,
    pub kind: FaultKind,
}

/// What a preview can show all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultKind {
    /// Nothing: the value has no meaning.
    #[default]
    Value,
    /// A region lies partly off the canvas.
    OffCanvas,
    /// Two regions of one height overlap.
    Overlap,
}

/// Collects faults.
#[derive(Default)]
struct Faults {
    found: Vec<Fault>,
    /// Of all pictures so far.
    pixels: usize,
}

impl Layout {
    /// Everything that is wrong with the values; empty: the layout can be used.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        for field in &self.idle {
            faults.add(format!("/{field}"), format!("has no effect with the type `{}`", name_of(self.kind)));
        }
        for (field, value, least, most) in [("max_tiles", self.max_tiles, 1, MAX_TILES as i64), ("gap", self.gap, 0, 200)] {
            if !self.idle.contains(&field) {
                faults.range(&format!("/{field}"), value.into(), least, most);
            }
        }
        faults.range("/active_speaker/attack_ms", self.active_speaker.attack_ms.into(), 0, 10_000);
        faults.range("/active_speaker/hold_ms", self.active_speaker.hold_ms.into(), 0, 60_000);
        faults.range("/active_speaker/min_level_dbov", self.active_speaker.min_level_dbov.into(), -127, 0);
        faults.range("/transition/ms", self.transition.ms.into(), 0, 5000);
        if self.empty.graphemes(true).count() > MAX_GRAPHEMES {
            faults.add("/empty", format!("more than {MAX_GRAPHEMES} characters"));
        }
        faults.overlays(&self.overlays);
        self.check_places(&mut faults);
        faults.found
    }

    fn check_places(&self, faults: &mut Faults) {
        if self.kind != Kind::Custom {
            let idle = [("/regions", self.regions.is_empty()), ("/groups", self.groups.is_empty())];
            for (pointer, _) in idle.iter().filter(|(_, empty)| !empty) {
                faults.add(*pointer, "has no effect but with the type `custom`");
            }
            return;
        }
        match (self.regions.is_empty(), self.groups.is_empty()) {
            (true, true) => faults.add("/regions", "a custom layout has regions or groups"),
            (false, false) => faults.add("/groups", "a custom layout has regions or groups, not both"),
            _ => {}
        }
        faults.regions("/regions", &self.regions);
        faults.groups(&self.groups);
    }
}

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.fault(FaultKind::Value, pointer, detail);
    }

    fn fault(&mut self, kind: FaultKind, pointer: impl Into<String>, detail: impl Into<String>) {
        self.found.push(Fault { pointer: pointer.into(), detail: detail.into(), kind });
    }

    fn range(&mut self, pointer: &str, value: i64, least: i64, most: i64) {
        if !(least..=most).contains(&value) {
            self.add(pointer, format!("{value} is not {least} to {most}"));
        }
    }

    fn name(&mut self, pointer: String, name: &str) {
        let length = name.chars().count();
        if !(1..=MAX_NAME).contains(&length) || name.chars().any(char::is_control) {
            self.add(pointer, format!("1 to {MAX_NAME} characters, no control characters"));
        }
    }

    fn groups(&mut self, groups: &[Group]) {
        if groups.len() > MAX_GROUPS {
            self.add("/groups", format!("{} groups, at most {MAX_GROUPS}", groups.len()));
            return;
        }
        let mut before = 0;
        for (index, group) in groups.iter().enumerate() {
            let at = format!("/groups/{index}");
            if group.max <= before {
                self.add(
                    format!("{at}/max"),
                    format!("{} is not more than {before}: the number of people up to which the group is used", group.max),
                );
            }
            before = before.max(group.max);
            if group.regions.is_empty() {
                self.add(format!("{at}/regions"), "a group has regions");
            }
            self.regions(&format!("{at}/regions"), &group.regions);
        }
    }

    fn regions(&mut self, at: &str, regions: &[Region]) {
        if regions.len() > MAX_TILES {
            self.add(at, format!("{} regions, at most {MAX_TILES}", regions.len()));
            return;
        }
        for (index, region) in regions.iter().enumerate() {
            self.region(&format!("{at}/{index}"), region);
            let earlier = || regions.iter().take(index).enumerate();
            if region.id.is_some() && earlier().any(|(_, other)| other.id == region.id) {
                self.add(format!("{at}/{index}/id"), "another region has this id");
            }
            if let Some((other, _)) = earlier().find(|(_, other)| other.z == region.z && other.overlaps(region)) {
                self.fault(
                    FaultKind::Overlap,
                    format!("{at}/{index}"),
                    format!("overlaps region {other}: give the upper one a higher z, or write edges as fractions such as \"1/3\""),
                );
            }
        }
        let tiles: u64 = regions.iter().map(|region| u64::from(region.tiles)).sum();
        if tiles > MAX_TILES as u64 {
            self.add(at, format!("{tiles} tiles in all, at most {MAX_TILES}"));
        }
    }

    fn overlays(&mut self, overlays: &[Overlay]) {
        if overlays.len() > MAX_OVERLAYS {
            self.add("/overlays", format!("{} overlays, at most {MAX_OVERLAYS}", overlays.len()));
            return;
        }
        for (index, overlay) in overlays.iter().enumerate() {
            let at = format!("/overlays/{index}");
            let fields = overlay.kind.fields();
            if let Some(needed @ ("text" | "image")) = fields.first().copied()
                && !overlay.given().any(|field| field == needed)
            {
                self.add(format!("{at}/{needed}"), "is missing");
            }
            for field in overlay.given().filter(|field| !fields.contains(field)) {
                self.add(format!("{at}/{field}"), format!("has no effect here, where only {} have one", fields.join(", ")));
            }
            if overlay.id.is_some() && overlays.iter().take(index).any(|other| other.id == overlay.id) {
                self.add(format!("{at}/id"), "another overlay has this id");
            }
            self.overlay(&at, overlay);
        }
    }

    fn overlay(&mut self, at: &str, overlay: &Overlay) {
        if let Some(id) = &overlay.id {
            self.name(format!("{at}/id"), id);
        }
        for (field, text) in [("text", &overlay.text), ("subtitle", &overlay.subtitle)] {
            let Some(text) = text else { continue };
            if text.graphemes(true).count() > MAX_GRAPHEMES {
                self.add(format!("{at}/{field}"), format!("more than {MAX_GRAPHEMES} characters"));
            } else if sanitise(text).is_empty() {
                self.add(format!("{at}/{field}"), "nothing in it can be seen");
            }
        }
        let (zero, one) = (Fraction::ZERO, Fraction::ONE);
        for (field, share) in [("x", overlay.x), ("y", overlay.y), ("opacity", overlay.opacity)] {
            if share.is_some_and(|share| share < zero || share > one) {
                self.add(format!("{at}/{field}"), "0 to 1");
            }
        }
        for (field, share) in [("width", overlay.width), ("height", overlay.height), ("size", overlay.size), ("speed", overlay.speed)] {
            if share.is_some_and(|share| share <= zero || share > one) {
                self.add(format!("{at}/{field}"), "above 0 and at most 1");
            }
        }
        for (field, start, length) in [("width", overlay.x, overlay.width), ("height", overlay.y, overlay.height)] {
            if start.unwrap_or(zero).plus(length.unwrap_or(zero)) > one && length.is_some_and(|length| length <= one) {
                self.add(format!("{at}/{field}"), "the overlay lies partly off the canvas");
            }
        }
        if overlay.utc_offset_minutes.is_some_and(|minutes| !(-18 * 60..=18 * 60).contains(&minutes)) {
            self.add(format!("{at}/utc_offset_minutes"), "-1080 to 1080");
        }
        if let Some(image) = &overlay.image {
            self.image(format!("{at}/image"), image);
        }
    }

    /// Decodes the picture, so that drawing finds it ready.
    fn image(&mut self, pointer: String, image: &Image) {
        match image.load() {
            Ok(artwork) => {
                self.pixels += artwork.size.pixels();
                if self.pixels > MAX_PIXELS {
                    self.add(pointer, format!("all pictures together have more than {MAX_PIXELS} pixels"));
                }
            }
            Err(error) => self.add(pointer, error.to_string()),
        }
    }

    fn region(&mut self, at: &str, region: &Region) {
        for (side, start, length) in [("width", ("x", region.x), region.width), ("height", ("y", region.y), region.height)] {
            let (start_name, start) = start;
            if start.is_negative() || start >= Fraction::ONE {
                self.fault(
                    FaultKind::OffCanvas,
                    format!("{at}/{start_name}"),
                    format!("{start} is not from 0 to below 1: the region would lie off the canvas"),
                );
            }
            if length <= Fraction::ZERO || length > Fraction::ONE {
                self.add(format!("{at}/{side}"), format!("{length} is not above 0 and at most 1"));
            } else if start.plus(length) > Fraction::ONE {
                self.fault(
                    FaultKind::OffCanvas,
                    format!("{at}/{side}"),
                    format!("{start_name} and {side} make {}, more than 1: the region lies partly off the canvas", start.plus(length)),
                );
            }
        }
        self.range(&format!("{at}/z"), region.z.into(), (-MAX_Z).into(), MAX_Z.into());
        self.range(&format!("{at}/min_fps"), region.min_fps.into(), 0, 60);
        self.range(&format!("{at}/tiles"), region.tiles.into(), 1, MAX_TILES as i64);
        if let Some(id) = &region.id {
            self.name(format!("{at}/id"), id);
        }
        let one = match &region.seat {
            Seat::Participant(name) => {
                self.name(format!("{at}/seat/participant"), name);
                true
            }
            Seat::Role(name) => {
                self.name(format!("{at}/seat/role"), name);
                false
            }
            Seat::Image(image) => {
                self.image(format!("{at}/seat/image"), image);
                true
            }
            Seat::ActiveSpeaker | Seat::PreviousSpeaker => true,
            Seat::Screen | Seat::Pinned | Seat::Any => false,
        };
        if one && region.tiles > 1 {
            self.add(format!("{at}/tiles"), "the seat is for one");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Layout;

    fn pointers(json: &str) -> Vec<String> {
        let layout: Layout = serde_json::from_str(json).unwrap();
        layout.faults().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let json = r#"{"type":"custom","max_tiles":0,"gap":201,"transition":{"ms":5001},"regions":[
            {"x":-0.1,"width":0,"z":101},
            {"id":"a","x":"1/2","width":"2/3","seat":{"participant":""},"tiles":2},
            {"id":"a","y":1,"min_fps":61,"z":5}]}"#;
        assert_eq!(
            pointers(json),
            [
                "/max_tiles",
                "/gap",
                "/transition/ms",
                "/regions/0/x",
                "/regions/0/width",
                "/regions/0/z",
                "/regions/1/width",
                "/regions/1/seat/participant",
                "/regions/1/tiles",
                "/regions/2/y",
                "/regions/2/height",
                "/regions/2/min_fps",
                "/regions/2/id",
            ]
        );
    }

    #[test]
    fn regions_of_one_height_stand_apart_and_thirds_may_touch() {
        let thirds = r#"{"type":"custom","regions":[{"width":"1/3"},{"x":"1/3","width":"1/3"},{"x":"2/3","width":"1/3"}]}"#;
        assert!(pointers(thirds).is_empty());
        assert_eq!(pointers(r#"{"type":"custom","regions":[{},{"x":0.5,"width":0.5}]}"#), ["/regions/1"]);
        assert!(pointers(r#"{"type":"custom","regions":[{},{"x":0.5,"width":0.5,"z":1}]}"#).is_empty());
    }

    #[test]
    fn places_belong_to_custom_layouts_which_have_one_kind_of_them() {
        assert_eq!(pointers(r#"{"type":"custom"}"#), ["/regions"]);
        assert_eq!(pointers(r#"{"type":"grid","regions":[{}],"groups":[{"max":1,"regions":[{}]}]}"#), ["/regions", "/groups"]);
        assert_eq!(pointers(r#"{"type":"custom","regions":[{}],"groups":[{"max":1,"regions":[{}]}]}"#), ["/groups"]);
        assert_eq!(
            pointers(r#"{"type":"custom","groups":[{"max":4,"regions":[{}]},{"max":4,"regions":[]}]}"#),
            ["/groups/1/max", "/groups/1/regions"]
        );
    }

    #[test]
    fn an_option_without_effect_on_its_type_is_a_fault_and_is_never_written() {
        assert_eq!(pointers(r#"{"type":"grid","strip":"bottom","corner":"top_left","gap":8}"#), ["/strip", "/corner"]);
        assert_eq!(pointers(r#"{"type":"speaker","strip":"left","corner":"top_left"}"#), ["/corner"]);
        assert_eq!(pointers(r#"{"type":"pip","max_tiles":3,"gap":2,"strip":"top","corner":"top_left"}"#), ["/max_tiles", "/gap", "/strip"]);
        assert_eq!(pointers(r#"{"type":"bestFit","strip":"left"}"#), ["/strip"]);
        let all = ["max_tiles", "gap", "order", "strip", "corner"];
        for kind in ["auto", "grid", "speaker", "presentation", "side_by_side", "pip", "single"] {
            let bare: Layout = serde_json::from_str(&format!(r#"{{"type":"{kind}"}}"#)).unwrap();
            let written = serde_json::to_value(&bare).unwrap();
            let faults = |field: &str, value: &str| !pointers(&format!(r#"{{"type":"{kind}","{field}":{value}}}"#)).is_empty();
            for (field, value) in all.iter().zip(["4", "4", r#""name""#, r#""left""#, r#""top_left""#]) {
                assert_eq!(faults(field, value), written.get(field).is_none(), "{kind} {field}");
            }
            assert_eq!(serde_json::from_value::<Layout>(written).unwrap(), bare, "{kind}");
        }
    }

    #[test]
    fn overlays_take_what_has_an_effect_and_need_what_they_show() {
        let json = r#"{"overlays":[
            {"type":"text","text":"\u0007","corner":"top_left"},
            {"type":"lower_third"},
            {"type":"ticker","text":"x","speed":0,"x":0.5},
            {"type":"clock","utc_offset_minutes":2000,"id":"a"},
            {"type":"image","image":"http://127.0.0.1/a.png","x":0.5,"width":0.6,"id":"a"},
            {"type":"watermark","opacity":2}]}"#;
        assert_eq!(
            pointers(json),
            [
                "/overlays/0/corner",
                "/overlays/0/text",
                "/overlays/1/text",
                "/overlays/2/x",
                "/overlays/2/speed",
                "/overlays/3/utc_offset_minutes",
                "/overlays/4/id",
                "/overlays/4/width",
                "/overlays/4/image",
                "/overlays/5/image",
                "/overlays/5/opacity",
            ]
        );
        assert_eq!(pointers(&format!(r#"{{"overlays":[{{"text":"{}"}}]}}"#, "x".repeat(257))), ["/overlays/0/text"]);
        assert_eq!(pointers(&format!(r#"{{"overlays":[{}]}}"#, vec![r#"{"text":"x"}"#; 17].join(","))), ["/overlays"]);
    }

    #[test]
    fn ten_thousand_regions_are_one_fault() {
        let regions = vec!["{}"; 10_000].join(",");
        assert_eq!(pointers(&format!(r#"{{"type":"custom","regions":[{regions}]}}"#)), ["/regions"]);
        assert_eq!(pointers(r#"{"type":"custom","regions":[{"tiles":25},{"z":1,"tiles":25}]}"#), ["/regions"]);
    }
}
