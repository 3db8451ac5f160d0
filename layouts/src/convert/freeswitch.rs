//! FreeSWITCH's `conference_layouts.conf.xml`: layouts of images on a grid of 360 × 360, and groups of layouts.

use super::xml::{Event, events};
use super::{Converted, Refused};
use crate::fraction::Fraction;
use crate::layout::Kind;
use crate::presets::MAX_TILES;
use crate::region::{Group, Region, Seat};
use crate::{Fit, Layout};

/// Units of the grid, both ways.
const GRID: u32 = 360;

/// All layouts of the file, then all groups.
pub(super) fn convert(text: &str) -> Result<Vec<Converted>, Refused> {
    let mut file = File::default();
    for (line, event) in events(text)? {
        file.take(line, event)?;
    }
    if file.layouts.is_empty() {
        return Err(Refused::new("the file", "has no <layout> with an <image>"));
    }
    let mut converted: Vec<Converted> = file.layouts.iter().map(Found::layout).collect();
    for (line, name, members) in &file.groups {
        converted.push(group(*line, name, members, &file.layouts)?);
    }
    Ok(converted)
}

#[derive(Default)]
struct File {
    layouts: Vec<Found>,
    /// Line, name, names of layouts.
    groups: Vec<(usize, String, Vec<String>)>,
    in_group: bool,
    in_layout: bool,
}

struct Found {
    name: String,
    regions: Vec<Region>,
    notes: Vec<String>,
}

impl File {
    fn take(&mut self, line: usize, event: Event<'_>) -> Result<(), Refused> {
        let fail = |fault: String| Refused::new(format!("line {line}"), fault);
        match event {
            Event::Open { name: "layout", attributes, closed } if !self.in_group => {
                let name = attributes.into_iter().find(|(key, _)| *key == "name").map(|(_, name)| name);
                let name = name.ok_or_else(|| fail("a layout has no name".into()))?;
                self.layouts.push(Found { name, regions: Vec::new(), notes: Vec::new() });
                self.in_layout = !closed;
            }
            Event::Close { name: "layout" } => self.in_layout = false,
            Event::Open { name: "image", attributes, .. } => {
                let Some(layout) = self.layouts.last_mut().filter(|_| self.in_layout) else {
                    return Err(fail("an image stands outside of a layout".into()));
                };
                layout.image(&attributes).map_err(fail)?;
            }
            Event::Open { name: "group", attributes, closed } => {
                let name = attributes.into_iter().find(|(key, _)| *key == "name").map(|(_, name)| name);
                self.groups.push((line, name.ok_or_else(|| fail("a group has no name".into()))?, Vec::new()));
                self.in_group = !closed;
            }
            Event::Close { name: "group" } => self.in_group = false,
            Event::Text(name) if self.in_group => {
                if let Some((_, _, members)) = self.groups.last_mut() {
                    members.push(name);
                }
            }
            Event::Open { .. } | Event::Close { .. } | Event::Text(_) => {}
        }
        Ok(())
    }
}

impl Found {
    /// One image: a rectangle and who is seen in it.
    fn image(&mut self, attributes: &[(&str, String)]) -> Result<(), String> {
        let (mut region, mut scale, mut across, mut floor) = (Region { height: Fraction::ZERO, ..Region::default() }, None, None, false);
        let number = |key: &str, value: &str| {
            value.parse::<u32>().ok().filter(|number| *number <= GRID).ok_or_else(|| format!("{key} is {value:?}: it must be 0 to {GRID}"))
        };
        let share = |units| Fraction::new(units, GRID);
        for (key, value) in attributes {
            match *key {
                "x" => region.x = share(number(key, value)?),
                "y" => region.y = share(number(key, value)?),
                "scale" => scale = Some(number(key, value)?),
                "hscale" => across = Some(number(key, value)?),
                "floor" | "floor-only" => floor = value == "true",
                "reservation_id" => region.seat = Seat::Role(value.clone()),
                "overlap" => region.z = i32::from(value == "true"),
                "zoom" => region.fit = (value == "true").then_some(Fit::Cover),
                other => self.note(format!("{other} has no counterpart")),
            }
        }
        let scale = scale.ok_or("an image has no scale")?;
        (region.width, region.height) = (share(scale), share(across.unwrap_or(scale)));
        match (&region.seat, floor) {
            (Seat::Role(role), _) => self.note(format!("the reservation {role:?} becomes a role: give it to a participant")),
            (_, true) => region.seat = Seat::ActiveSpeaker,
            _ => {}
        }
        // Images that overlap each other are laid one over the other in their order.
        let lower = self.regions.iter().filter(|other| other.overlaps(&region)).map(|other| other.z + 1).max();
        region.z = lower.map_or(region.z, |lower| lower.max(region.z));
        self.regions.push(region);
        Ok(())
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn layout(&self) -> Converted {
        let mut notes = self.notes.clone();
        let layout = if self.regions.len() > MAX_TILES {
            notes.push(format!("{} images are more than a canvas has here: it becomes a grid of at most {MAX_TILES}", self.regions.len()));
            Layout { kind: Kind::Grid, gap: 0, max_tiles: MAX_TILES as u32, ..Layout::default() }
        } else {
            Layout { kind: Kind::Custom, gap: 0, regions: self.regions.clone(), ..Layout::default() }
        };
        Converted { name: Some(self.name.clone()), layout, notes }
    }
}

fn group(line: usize, name: &str, members: &[String], layouts: &[Found]) -> Result<Converted, Refused> {
    let (mut groups, mut notes) = (Vec::<Group>::new(), Vec::new());
    for member in members {
        let found = layouts.iter().find(|layout| layout.name == *member);
        let found = found.ok_or_else(|| {
            Refused::new(format!("line {line}"), format!("the group {name:?} names {member:?}, which is no layout of this file"))
        })?;
        let max = u32::try_from(found.regions.len()).unwrap_or(u32::MAX);
        if found.regions.len() > MAX_TILES {
            notes.push(format!("{member} has {max} images, more than a canvas has here: it is left out"));
        } else if groups.last().is_none_or(|last| last.max < max) {
            groups.push(Group { max, regions: found.regions.clone() });
        } else {
            notes.push(format!("{member} is for no more people than the one before: it is left out"));
        }
        notes.extend(found.notes.iter().cloned());
    }
    if groups.is_empty() {
        return Err(Refused::new(format!("line {line}"), format!("the group {name:?} has no layout")));
    }
    notes.dedup();
    Ok(Converted { name: Some(name.to_owned()), layout: Layout { kind: Kind::Custom, gap: 0, groups, ..Layout::default() }, notes })
}
