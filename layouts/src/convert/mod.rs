//! Layouts that were written for other systems, as layouts of ours.
//!
//! A text goes in, a [`Layout`] comes out, with notes on what has no counterpart here. Nothing is guessed silently: what
//! would look different is either noted or refused.

mod freeswitch;
mod twilio;
mod vonage;
mod xml;

use crate::Layout;

/// Whose layout it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Twilio,
    Vonage,
    FreeSwitch,
}

/// A layout of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// What the other system calls it, where it has a name.
    pub name: Option<String>,
    pub layout: Layout,
    /// What is different from the original, one sentence each.
    pub notes: Vec<String>,
}

/// The text is no layout of that system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Refused {
    /// A JSON pointer, or a line.
    pub place: String,
    pub fault: String,
}

impl Refused {
    fn new(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { place: place.into(), fault: fault.into() }
    }
}

/// The layouts in `text`; of a FreeSWITCH file all, else one.
pub fn convert(system: System, text: &str) -> Result<Vec<Converted>, Refused> {
    let layouts = match system {
        System::Twilio => vec![twilio::convert(text)?],
        System::Vonage => vec![vonage::convert(text)?],
        System::FreeSwitch => freeswitch::convert(text)?,
    };
    for converted in &layouts {
        if let Some(fault) = converted.layout.faults().into_iter().next() {
            return Err(Refused::new(
                converted.name.clone().unwrap_or_else(|| "the layout".into()),
                format!("cannot be had here: {}: {}", fault.pointer, fault.detail),
            ));
        }
    }
    Ok(layouts)
}

/// `text` as a JSON object.
fn json(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, Refused> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refused::new("/", "is not a JSON object")),
        Err(error) => Err(Refused::new(format!("line {}", error.line()), format!("is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests;
