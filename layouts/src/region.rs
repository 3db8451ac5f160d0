//! Places of a `custom` layout: where they are and who may sit there.

use crate::fraction::Fraction;
use crate::image::Image;
use crate::{Fit, Rect};
use mixdown_codecs::Size;
use serde::{Deserialize, Serialize};

/// Who a region is for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// This person alone: a participant's id, or the identity they came with.
    Participant(String),
    /// Whoever has this role.
    Role(String),
    /// Who speaks; pinned people come before.
    ActiveSpeaker,
    /// Who spoke before.
    PreviousSpeaker,
    /// A shared screen.
    Screen,
    /// Pinned people.
    Pinned,
    /// Everybody who has found no seat elsewhere.
    #[default]
    Any,
    /// Nobody: a picture.
    Image(Image),
}

/// A rectangle in shares of the canvas, and who may be seen in it. What is not said takes its default: the whole canvas, anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Region {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub x: Fraction,
    pub y: Fraction,
    pub width: Fraction,
    pub height: Fraction,
    /// Higher ones lie over lower ones; those of one height stand apart.
    pub z: i32,
    /// In place of the layout's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    pub seat: Seat,
    /// How many people share the region, as a grid of their own.
    pub tiles: u32,
    /// 0: none. Others are filled first, and who sits here is not taken for another seat.
    pub min_fps: u32,
}

impl Default for Region {
    fn default() -> Self {
        Self {
            id: None,
            x: Fraction::ZERO,
            y: Fraction::ZERO,
            width: Fraction::ONE,
            height: Fraction::ONE,
            z: 0,
            fit: None,
            seat: Seat::default(),
            tiles: 1,
            min_fps: 0,
        }
    }
}

impl Region {
    /// On a canvas of even size. Edges are rounded, not sides: regions that touch in shares touch in pixels.
    pub fn rect(&self, canvas: Size) -> Rect {
        let (left, right) = (self.x.of(canvas.width), self.x.plus(self.width).of(canvas.width));
        let (top, bottom) = (self.y.of(canvas.height), self.y.plus(self.height).of(canvas.height));
        Rect::new(left, top, right.saturating_sub(left), bottom.saturating_sub(top))
    }

    /// Whether the two share any part of the canvas.
    pub fn overlaps(&self, other: &Self) -> bool {
        let apart = |start: Fraction, length: Fraction, other: Fraction, other_length: Fraction| {
            start.plus(length) <= other || other.plus(other_length) <= start
        };
        !apart(self.x, self.width, other.x, other.width) && !apart(self.y, self.height, other.y, other.height)
    }
}

/// Regions for up to so many people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    pub max: u32,
    pub regions: Vec<Region>,
}
