//! The rule: a layout as the API spells it in JSON.
//!
//! Reading takes the names of other systems as `type` too ([`names`](crate::names)) and normalises them; what was read is
//! held against its limits by [`Layout::faults`].

use crate::names::Named;
use crate::overlay::Overlay;
use crate::region::{Group, Region};
use crate::{Cast, Scene};
use mixdown_codecs::Size;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Fill the tile, cropping what stands over.
    Cover,
    /// Show everything, leaving bars.
    Contain,
    /// Cameras cover where little is lost; screens and odd ratios are contained.
    #[default]
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Presentation while somebody shares a screen, else a grid.
    #[default]
    Auto,
    Grid,
    Speaker,
    Presentation,
    SideBySide,
    Pip,
    Single,
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Joined,
    Name,
    Activity,
}

/// The side of the small tiles; of `auto`, `speaker` and `presentation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Strip {
    #[default]
    Bottom,
    Top,
    Left,
    Right,
}

/// Where the small tile of `pip` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    #[default]
    BottomRight,
}

/// How the active speaker is chosen and marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActiveSpeaker {
    /// How long somebody must speak before the picture follows.
    pub attack_ms: u32,
    /// How long the picture stays with a speaker at least.
    pub hold_ms: u32,
    /// Sounds below this level never count (RFC 6464: 0 loudest, −127 silence).
    pub min_level_dbov: i8,
    /// Draw a border around who speaks.
    pub border: bool,
}

impl Default for ActiveSpeaker {
    fn default() -> Self {
        Self { attack_ms: 600, hold_ms: 2000, min_level_dbov: -50, border: true }
    }
}

/// How rectangles and opacity go from one scene to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transition {
    /// 0: at once.
    pub ms: u32,
    pub easing: Easing,
}

impl Default for Transition {
    fn default() -> Self {
        Self { ms: 250, easing: Easing::EaseInOut }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Easing {
    Linear,
    EaseIn,
    EaseOut,
    #[default]
    EaseInOut,
}

impl Easing {
    /// How much is done after `time` of the way, both from 0 to 1.
    pub fn at(self, time: f64) -> f64 {
        match self {
            Self::Linear => time,
            Self::EaseIn => time * time,
            Self::EaseOut => time * (2.0 - time),
            Self::EaseInOut => time * time * (3.0 - 2.0 * time),
        }
    }
}

/// A layout: the rule that turns a cast into a scene.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Wire")]
pub struct Layout {
    pub kind: Kind,
    pub fit: Fit,
    pub max_tiles: u32,
    /// Pixels between tiles.
    pub gap: u32,
    pub labels: bool,
    pub order: Order,
    pub strip: Strip,
    pub corner: Corner,
    pub active_speaker: ActiveSpeaker,
    pub transition: Transition,
    /// What the canvas says while nobody is in the picture; nothing where this is empty.
    pub empty: String,
    /// Bottom to top.
    pub overlays: Vec<Overlay>,
    /// Of `custom`, unless there are groups.
    pub regions: Vec<Region>,
    /// Of `custom`: the first whose `max` is not below the number of people, else the last.
    pub groups: Vec<Group>,
    /// What was written beside a type on which it has no effect: a fault, never kept.
    pub idle: Vec<&'static str>,
}

impl Kind {
    /// Fields that have no effect on this type. Regions and groups are apart: none of them is always allowed.
    pub(crate) const fn idle(self) -> &'static [&'static str] {
        match self {
            Self::Auto | Self::Speaker | Self::Presentation => &["corner"],
            Self::Grid => &["strip", "corner"],
            Self::SideBySide | Self::Custom => &["max_tiles", "strip", "corner"],
            Self::Pip => &["max_tiles", "gap", "strip"],
            Self::Single => &["max_tiles", "gap", "order", "strip", "corner"],
        }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            kind: Kind::Auto,
            fit: Fit::Auto,
            max_tiles: 25,
            gap: 4,
            labels: true,
            order: Order::Joined,
            strip: Strip::Bottom,
            corner: Corner::BottomRight,
            active_speaker: ActiveSpeaker::default(),
            transition: Transition::default(),
            empty: "Waiting for others".into(),
            overlays: Vec::new(),
            regions: Vec::new(),
            groups: Vec::new(),
            idle: Vec::new(),
        }
    }
}

/// What has an effect on the type: so that what is read can be written back.
impl Serialize for Layout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            #[serde(rename = "type")]
            kind: Kind,
            fit: Fit,
            #[serde(skip_serializing_if = "Option::is_none")]
            max_tiles: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            gap: Option<u32>,
            labels: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            order: Option<Order>,
            #[serde(skip_serializing_if = "Option::is_none")]
            strip: Option<Strip>,
            #[serde(skip_serializing_if = "Option::is_none")]
            corner: Option<Corner>,
            active_speaker: ActiveSpeaker,
            transition: Transition,
            empty: &'a str,
            overlays: &'a [Overlay],
            regions: &'a [Region],
            groups: &'a [Group],
        }
        let works = |field: &str| !self.kind.idle().contains(&field);
        let written = Written {
            kind: self.kind,
            fit: self.fit,
            max_tiles: works("max_tiles").then_some(self.max_tiles),
            gap: works("gap").then_some(self.gap),
            labels: self.labels,
            order: works("order").then_some(self.order),
            strip: works("strip").then_some(self.strip),
            corner: works("corner").then_some(self.corner),
            active_speaker: self.active_speaker,
            transition: self.transition,
            empty: &self.empty,
            overlays: &self.overlays,
            regions: &self.regions,
            groups: &self.groups,
        };
        written.serialize(serializer)
    }
}

impl Layout {
    /// Applies the rule. `canvas` is even; `background` is red, green, blue.
    pub fn arrange(&self, cast: &Cast, canvas: Size, background: [u8; 3]) -> Scene {
        crate::presets::arrange(self, cast, canvas, background)
    }

    /// The regions of `custom` for so many people.
    pub fn regions(&self, people: usize) -> &[Region] {
        let fitting = self.groups.iter().find(|group| group.max as usize >= people);
        fitting.or(self.groups.last()).map_or(&self.regions, |group| &group.regions)
    }
}

/// A layout as it is written: what a named `type` brings along gives way to what is said beside it.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Wire {
    #[serde(rename = "type")]
    named: Named,
    #[serde(deserialize_with = "given")]
    fit: Option<Fit>,
    #[serde(deserialize_with = "given")]
    max_tiles: Option<u32>,
    #[serde(deserialize_with = "given")]
    gap: Option<u32>,
    #[serde(deserialize_with = "given")]
    labels: Option<bool>,
    #[serde(deserialize_with = "given")]
    order: Option<Order>,
    #[serde(deserialize_with = "given")]
    strip: Option<Strip>,
    #[serde(deserialize_with = "given")]
    corner: Option<Corner>,
    active_speaker: ActiveSpeaker,
    transition: Transition,
    #[serde(deserialize_with = "given")]
    empty: Option<String>,
    overlays: Vec<Overlay>,
    #[serde(deserialize_with = "given")]
    regions: Option<Vec<Region>>,
    #[serde(deserialize_with = "given")]
    groups: Option<Vec<Group>>,
}

/// `null` is no value.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Wire {
    /// What was said though it has no effect.
    fn idle(&self) -> Vec<&'static str> {
        let said = [
            ("max_tiles", self.max_tiles.is_some()),
            ("gap", self.gap.is_some()),
            ("order", self.order.is_some()),
            ("strip", self.strip.is_some()),
            ("corner", self.corner.is_some()),
        ];
        let idle = self.named.kind.idle();
        said.into_iter().filter(|(field, said)| *said && idle.contains(field)).map(|(field, _)| field).collect()
    }
}

impl From<Named> for Layout {
    fn from(named: Named) -> Self {
        Wire { named, ..Wire::default() }.into()
    }
}

impl From<Wire> for Layout {
    fn from(wire: Wire) -> Self {
        let idle = wire.idle();
        let Named { kind, fit, max_tiles, strip, regions, groups } = wire.named;
        let usual = Self::default();
        Self {
            kind,
            fit: wire.fit.or(fit).unwrap_or(usual.fit),
            max_tiles: wire.max_tiles.or(max_tiles).unwrap_or(usual.max_tiles),
            gap: wire.gap.unwrap_or(usual.gap),
            labels: wire.labels.unwrap_or(usual.labels),
            order: wire.order.unwrap_or(usual.order),
            strip: wire.strip.or(strip).unwrap_or(usual.strip),
            corner: wire.corner.unwrap_or(usual.corner),
            active_speaker: wire.active_speaker,
            transition: wire.transition,
            empty: wire.empty.unwrap_or(usual.empty),
            overlays: wire.overlays,
            regions: wire.regions.unwrap_or(regions),
            groups: wire.groups.unwrap_or(groups),
            idle,
        }
    }
}
