//! A layout applied to a cast: who is in which rectangle.

use crate::image::Image;
use crate::layout::{Corner, Transition};
use crate::{Fit, PersonId, Rect, SourceId};
use mixdown_codecs::Size;

/// What one view shows, complete: drawing needs nothing else but the pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Even width × height.
    pub canvas: Size,
    /// Red, green, blue.
    pub background: [u8; 3],
    /// Bottom to top.
    pub tiles: Vec<Tile>,
    /// People who found no tile though the layout is for everybody; drawn as "+N" in the last tile's corner.
    pub overflow: u32,
    /// Whether names are drawn.
    pub labels: bool,
    /// How this scene comes after another.
    pub transition: Transition,
    /// Bottom to top; those not [below](Lay::below) lie over all tiles.
    pub overlays: Vec<Lay>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileSource {
    Camera,
    Screen,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    pub person: PersonId,
    pub kind: TileSource,
    /// The pictures to show; `None` shows initials.
    pub source: Option<SourceId>,
    /// Inside the canvas, even.
    pub rect: Rect,
    /// Never [`Fit::Auto`]: the rule has decided.
    pub fit: Fit,
    pub name: String,
    pub muted: bool,
    /// Draws the active-speaker border.
    pub speaking: bool,
    /// What the seat is promised; 0: nothing. Whoever saves work elsewhere leaves these tiles at this rate.
    pub min_fps: u32,
    /// 255 hides what lies below, 0 is invisible. Less than 255 only on the way between two scenes.
    pub opacity: u8,
    /// On the way between two scenes: shown without name, signs and border.
    pub moving: bool,
}

impl Scene {
    /// These tiles on black and nothing else.
    pub fn plain(canvas: Size, tiles: Vec<Tile>) -> Self {
        let (background, transition) = ([0; 3], Transition::default());
        Self { canvas, background, tiles, overflow: 0, labels: false, transition, overlays: Vec::new() }
    }
}

impl Tile {
    /// The camera of one person, who has their number, without name and signs.
    pub fn plain(number: u64, rect: Rect) -> Self {
        Self {
            person: PersonId(number),
            kind: TileSource::Camera,
            source: Some(SourceId(number)),
            rect,
            fit: Fit::Cover,
            name: String::new(),
            muted: false,
            speaking: false,
            min_fps: 0,
            opacity: u8::MAX,
            moving: false,
        }
    }
}

/// Something that is no person: a text or a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lay {
    pub content: Content,
    /// Inside the canvas, even: what it may cover at most.
    pub area: Rect,
    /// Where in its area it stands.
    pub corner: Corner,
    /// 255 hides what lies below.
    pub opacity: u8,
    /// Behind all tiles.
    pub below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One or two lines; `size` in pixels per em.
    Plate {
        text: String,
        subtitle: String,
        size: u32,
    },
    /// Fills its area; `speed` in pixels per second.
    Ticker {
        text: String,
        size: u32,
        speed: u32,
    },
    /// Hours and minutes, and seconds if wanted.
    Clock {
        size: u32,
        seconds: bool,
        utc_offset_minutes: i32,
    },
    Image {
        image: Image,
        fit: Fit,
    },
    /// One quiet line in the middle of its area, without a plate.
    Notice {
        text: String,
        size: u32,
    },
}

/// A rectangle of `size` in a corner of `area`, which is no smaller; even where both are.
pub fn corner_of(area: Rect, size: Size, corner: Corner) -> Rect {
    let (right, bottom) = (area.right() - size.width.min(area.width), area.bottom() - size.height.min(area.height));
    let (x, y) = match corner {
        Corner::TopLeft => (area.x, area.y),
        Corner::TopRight => (right, area.y),
        Corner::BottomLeft => (area.x, bottom),
        Corner::BottomRight => (right, bottom),
    };
    Rect::new(x, y, size.width, size.height)
}
