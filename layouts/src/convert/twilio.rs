//! Twilio Video compositions: `{"video_layout": {"main": {"x_pos", "y_pos", "width", "height", "z_pos", "max_columns",
//! "max_rows", "cells_excluded", "reuse", "video_sources", "video_sources_excluded"}}, "resolution": "1280x720"}`, or the
//! `video_layout` alone.

use super::{Converted, Refused, json};
use crate::fraction::Fraction;
use crate::layout::Kind;
use crate::presets::MAX_TILES;
use crate::region::{Region, Seat};
use crate::{Fit, Layout};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The tiles of a region that sets no bound, until they are shared out.
const UNBOUNDED: u32 = 0;
/// What a composition has when nothing is said.
const USUAL: (u32, u32) = (640, 480);

/// One region as Twilio writes it; lengths in pixels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wire {
    x_pos: Option<u32>,
    y_pos: Option<u32>,
    z_pos: i32,
    width: Option<u32>,
    height: Option<u32>,
    max_columns: Option<u32>,
    max_rows: Option<u32>,
    cells_excluded: Vec<u32>,
    reuse: String,
    video_sources: Vec<String>,
    video_sources_excluded: Vec<String>,
}

impl Default for Wire {
    fn default() -> Self {
        let (x_pos, y_pos, width, height, max_columns, max_rows) = Default::default();
        let reuse = "show_oldest".into();
        let (cells_excluded, video_sources, video_sources_excluded) = Default::default();
        Self { x_pos, y_pos, z_pos: 0, width, height, max_columns, max_rows, cells_excluded, reuse, video_sources, video_sources_excluded }
    }
}

pub(super) fn convert(text: &str) -> Result<Converted, Refused> {
    let whole = json(text)?;
    let (layout, at) = match whole.get("video_layout") {
        Some(Value::Object(layout)) => (layout, "/video_layout"),
        Some(_) => return Err(Refused::new("/video_layout", "is not an object")),
        None => (&whole, ""),
    };
    let (resolution, mut notes) = (resolution(&whole)?, Vec::new());
    if !whole.contains_key("resolution") {
        notes.push(format!("no resolution is given: the rectangles are taken to be of {}x{}", USUAL.0, USUAL.1));
    }
    notes.push(format!("the canvas should be {}x{}, or of that ratio", resolution.0, resolution.1));
    let mut regions = Vec::new();
    for (name, region) in layout {
        let at = format!("{at}/{name}");
        let wire = Wire::deserialize(region).map_err(|error| Refused::new(&at, error.to_string()))?;
        regions.push(wire.region(name, &at, resolution, &mut notes)?);
    }
    if regions.is_empty() {
        return Err(Refused::new(at, "has no region"));
    }
    // Twilio lays one region over another without being asked; here the upper one has a higher z.
    regions.sort_by_key(|region| region.z);
    let mut placed: Vec<Region> = Vec::new();
    for mut region in regions {
        let lower = placed.iter().filter(|other| other.overlaps(&region)).map(|other| other.z + 1).max();
        region.z = lower.map_or(region.z, |lower| lower.max(region.z));
        placed.push(region);
    }
    share_out(&mut placed);
    notes.dedup();
    let layout = Layout { kind: Kind::Custom, fit: Fit::Contain, gap: 0, labels: false, regions: placed, ..Layout::default() };
    Ok(Converted { name: None, layout, notes })
}

/// Regions without bounds share what the others leave of the tiles.
fn share_out(regions: &mut [Region]) {
    let bounded: u32 = regions.iter().filter(|region| region.tiles != UNBOUNDED).map(|region| region.tiles).sum();
    let unbounded = regions.iter().filter(|region| region.tiles == UNBOUNDED).count().max(1) as u32;
    let share = ((MAX_TILES as u32).saturating_sub(bounded) / unbounded).max(1);
    for region in regions.iter_mut().filter(|region| region.tiles == UNBOUNDED) {
        region.tiles = share;
    }
}

fn resolution(whole: &Map<String, Value>) -> Result<(u32, u32), Refused> {
    let Some(value) = whole.get("resolution") else { return Ok(USUAL) };
    let text = value.as_str().and_then(|text| text.split_once('x'));
    let sides = text.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|(width, height)| (16..=4096).contains(width) && (16..=4096).contains(height))
        .ok_or_else(|| Refused::new("/resolution", "is not {width}x{height}"))
}

impl Wire {
    fn region(&self, name: &str, at: &str, (width, height): (u32, u32), notes: &mut Vec<String>) -> Result<Region, Refused> {
        let (x, y) = (self.x_pos.unwrap_or(0), self.y_pos.unwrap_or(0));
        // What is not said reaches to the edge.
        let (wide, high) = (self.width.unwrap_or(width.saturating_sub(x)), self.height.unwrap_or(height.saturating_sub(y)));
        for (field, start, length, most) in [("width", x, wide, width), ("height", y, high, height)] {
            if length == 0 || start.saturating_add(length) > most {
                return Err(Refused::new(
                    format!("{at}/{field}"),
                    format!("{start} and {length} are more than the {most} of the resolution, or nothing"),
                ));
            }
        }
        if !self.cells_excluded.is_empty() {
            notes.push(format!("{name}: cells_excluded has no counterpart: the grid of a region is made for those who are there"));
        }
        if self.reuse != "none" {
            notes.push(format!("{name}: reuse {} is for recordings: here a place is free again as soon as somebody leaves", self.reuse));
        }
        if !self.video_sources_excluded.is_empty() {
            notes.push(format!("{name}: video_sources_excluded has no counterpart in a layout: exclude people from the view"));
        }
        let seat = self.seat(name, at, notes)?;
        let most = MAX_TILES as u32;
        let tiles = match (self.max_columns, self.max_rows) {
            _ if matches!(seat, Seat::Participant(_)) => 1,
            (None, None) => UNBOUNDED,
            (columns, rows) => columns.unwrap_or(rows.unwrap_or(1)).saturating_mul(rows.unwrap_or(columns.unwrap_or(1))).clamp(1, most),
        };
        let share = |part, whole| Fraction::new(part, whole);
        let (x, y, width, height) = (share(x, width), share(y, height), share(wide, width), share(high, height));
        Ok(Region { id: Some(name.into()), x, y, width, height, z: self.z_pos.clamp(-100, 99), seat, tiles, ..Region::default() })
    }

    fn seat(&self, name: &str, at: &str, notes: &mut Vec<String>) -> Result<Seat, Refused> {
        let [source] = self.video_sources.as_slice() else {
            let what = if self.video_sources.is_empty() { "no video_sources" } else { "several video_sources" };
            if self.video_sources.is_empty() {
                return Err(Refused::new(format!("{at}/video_sources"), "is missing or empty"));
            }
            notes.push(format!("{name}: {what}: anybody may sit there"));
            return Ok(Seat::Any);
        };
        Ok(match source.as_str() {
            "*" => Seat::Any,
            "screen" | "screen*" => Seat::Screen,
            pattern if pattern.contains('*') => {
                let role = pattern.trim_end_matches('*').trim_end_matches(['-', '_']);
                notes.push(format!("{name}: {pattern:?} becomes the role {role:?}: give it to those people"));
                Seat::Role(role.into())
            }
            track => {
                notes.push(format!("{name}: the track {track:?} becomes the participant of that identity"));
                Seat::Participant(track.into())
            }
        })
    }
}
