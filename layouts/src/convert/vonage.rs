//! Vonage (OpenTok) archive and broadcast layouts: `{"type": "bestFit", "screenshareType": "pip"}`.

use super::{Converted, Refused, json};
use crate::Layout;
use crate::layout::Kind;
use crate::names::named;
use serde_json::Value;

const TYPES: [&str; 4] = ["bestFit", "pip", "verticalPresentation", "horizontalPresentation"];

pub(super) fn convert(text: &str) -> Result<Converted, Refused> {
    let object = json(text)?;
    if let Some(unknown) = object.keys().find(|key| !matches!(key.as_str(), "type" | "screenshareType" | "stylesheet")) {
        return Err(Refused::new(format!("/{unknown}"), "is no field of a Vonage layout"));
    }
    let kind = text_of(&object, "type")?.unwrap_or("bestFit");
    if kind == "custom" || object.contains_key("stylesheet") {
        return Err(Refused::new("/stylesheet", "style sheets cannot be converted: write the rectangles as regions of a custom layout"));
    }
    let mut layout = of(kind).ok_or_else(|| unknown("/type", kind))?;
    let mut notes = Vec::new();
    match text_of(&object, "screenshareType")? {
        None if kind == "bestFit" => {}
        None => notes.push("a shared screen takes the large place".to_owned()),
        Some(shared) => {
            let with_screen = of(shared).ok_or_else(|| unknown("/screenshareType", shared))?;
            if kind != "bestFit" {
                return Err(Refused::new("/screenshareType", "goes with the type bestFit alone"));
            }
            if with_screen.kind == Kind::Presentation {
                // Exactly what auto does: a grid, and a presentation while a screen is shared.
                layout = Layout { kind: Kind::Auto, ..with_screen };
            } else {
                notes.push(format!("{shared} while a screen is shared has no counterpart: the screen comes first in the grid"));
            }
        }
    }
    if matches!(layout.kind, Kind::Presentation | Kind::Pip) {
        notes.push("the class `focus` or `full` becomes `pinned` of a participant; without a pin the speaker is large".to_owned());
    }
    Ok(Converted { name: None, layout, notes })
}

fn of(name: &str) -> Option<Layout> {
    TYPES.contains(&name).then(|| named(name))?.map(Layout::from)
}

fn unknown(pointer: &str, name: &str) -> Refused {
    Refused::new(pointer, format!("{name:?} is none of {}", TYPES.join(", ")))
}

fn text_of<'a>(object: &'a serde_json::Map<String, Value>, key: &str) -> Result<Option<&'a str>, Refused> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refused::new(format!("/{key}"), "is not a string")),
    }
}
