//! What lies over the people, or below them: texts, a clock, pictures; as the API spells it in JSON.

use crate::fraction::Fraction;
use crate::image::Image;
use crate::layout::Corner;
use crate::scene::{Content, Lay};
use crate::{Fit, Rect};
use mixdown_codecs::Size;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One line on a plate.
    #[default]
    Text,
    /// One or two lines on a plate, in the lower left.
    LowerThird,
    /// A line that runs from right to left over the whole width, again and again.
    Ticker,
    Clock,
    /// A picture in a rectangle.
    Image,
    /// A small picture in a corner.
    Watermark,
    /// A picture behind all people.
    Background,
}

/// One overlay. Which fields a type takes: [`Kind::fields`]; lengths are shares of the canvas.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overlay {
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The second line of a lower third.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<Fraction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<Fraction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Fraction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<Fraction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corner: Option<Corner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// 1 hides what lies below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opacity: Option<Fraction>,
    /// Height of the letters, of the canvas's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Fraction>,
    /// Of a ticker: widths of the canvas per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Fraction>,
    /// Of a clock: minutes east of Greenwich.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utc_offset_minutes: Option<i32>,
    /// Of a clock: whether it shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<bool>,
}

impl Kind {
    /// The fields that have an effect besides `type` and `id`; the first is needed.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["text", "x", "y", "size"],
            Self::LowerThird => &["text", "subtitle", "x", "y", "size"],
            Self::Ticker => &["text", "y", "size", "speed"],
            Self::Clock => &["corner", "size", "seconds", "utc_offset_minutes"],
            Self::Image => &["image", "x", "y", "width", "height", "fit", "opacity"],
            Self::Watermark => &["image", "corner", "width", "opacity"],
            Self::Background => &["image", "fit", "opacity"],
        }
    }
}

impl Overlay {
    /// The fields that are given, but for `type` and `id`.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("text", self.text.is_some()),
            ("subtitle", self.subtitle.is_some()),
            ("image", self.image.is_some()),
            ("x", self.x.is_some()),
            ("y", self.y.is_some()),
            ("width", self.width.is_some()),
            ("height", self.height.is_some()),
            ("corner", self.corner.is_some()),
            ("fit", self.fit.is_some()),
            ("opacity", self.opacity.is_some()),
            ("size", self.size.is_some()),
            ("speed", self.speed.is_some()),
            ("utc_offset_minutes", self.utc_offset_minutes.is_some()),
            ("seconds", self.seconds.is_some()),
        ];
        fields.into_iter().filter(|(_, given)| *given).map(|(field, _)| field)
    }

    /// What it is on an even `canvas`; `None` where it has no room or lacks what it needs.
    pub fn lay(&self, canvas: Size) -> Option<Lay> {
        let share = |given: Option<Fraction>, numerator, denominator| given.unwrap_or(Fraction::new(numerator, denominator));
        let size = |numerator, denominator| share(self.size, numerator, denominator).of(canvas.height).max(2);
        let text = || self.text.clone();
        let from = |x: Fraction, y: Fraction| {
            let (x, y) = (x.of(canvas.width), y.of(canvas.height));
            Rect::new(x, y, canvas.width - x, canvas.height - y)
        };
        let whole = Rect::new(0, 0, canvas.width, canvas.height);
        let margin = Fraction::new(1, 36).of(canvas.width.min(canvas.height));
        let inner = Rect::new(margin, margin, canvas.width - 2 * margin, canvas.height - 2 * margin);
        let opacity = |numerator, denominator| (share(self.opacity, numerator, denominator).of(510) / 2) as u8;
        let lay = |content, area, corner| Lay { content, area, corner, opacity: u8::MAX, below: false };
        let lay = match self.kind {
            Kind::Text => {
                let content = Content::Plate { text: text()?, subtitle: String::new(), size: size(1, 18) };
                lay(content, from(share(self.x, 1, 36), share(self.y, 1, 36)), Corner::TopLeft)
            }
            Kind::LowerThird => {
                let content = Content::Plate { text: text()?, subtitle: self.subtitle.clone().unwrap_or_default(), size: size(1, 16) };
                let area = from(share(self.x, 1, 24), share(self.y, 0, 1));
                // Without a place of its own it leaves room for a ticker below.
                let foot = Fraction::new(7, 8).of(canvas.height);
                if self.y.is_some() {
                    lay(content, area, Corner::TopLeft)
                } else {
                    lay(content, Rect { height: foot, ..area }, Corner::BottomLeft)
                }
            }
            Kind::Ticker => {
                let size = size(1, 24);
                let band = (size * 9 / 5).next_multiple_of(2).min(canvas.height);
                let y = self.y.map_or(canvas.height, |y| y.of(canvas.height)).min(canvas.height - band);
                let speed = share(self.speed, 1, 10).of(canvas.width);
                lay(Content::Ticker { text: text()?, size, speed }, Rect::new(0, y, canvas.width, band), Corner::TopLeft)
            }
            Kind::Clock => {
                let (seconds, offset) = (self.seconds.unwrap_or(false), self.utc_offset_minutes.unwrap_or(0));
                let content = Content::Clock { size: size(1, 20), seconds, utc_offset_minutes: offset };
                lay(content, inner, self.corner.unwrap_or(Corner::TopRight))
            }
            Kind::Image => {
                let area = from(share(self.x, 0, 1), share(self.y, 0, 1));
                let (width, height) = (share(self.width, 1, 1).of(canvas.width), share(self.height, 1, 1).of(canvas.height));
                let area = Rect::new(area.x, area.y, width.min(area.width), height.min(area.height));
                let content = Content::Image { image: self.image.clone()?, fit: self.fit.unwrap_or(Fit::Contain) };
                Lay { opacity: opacity(1, 1), ..lay(content, area, Corner::TopLeft) }
            }
            Kind::Watermark => {
                let image = self.image.clone()?;
                let picture = image.artwork()?.size;
                let width = share(self.width, 1, 8).of(canvas.width).clamp(2, inner.width.max(2));
                let height = u64::from(width) * u64::from(picture.height) / u64::from(picture.width.max(1));
                let height = (height.min(inner.height.into()) as u32).next_multiple_of(2).min(inner.height & !1);
                let area = crate::scene::corner_of(inner, Size::new(width, height), self.corner.unwrap_or(Corner::BottomRight));
                Lay { opacity: opacity(1, 2), ..lay(Content::Image { image, fit: Fit::Contain }, area, Corner::TopLeft) }
            }
            Kind::Background => {
                let content = Content::Image { image: self.image.clone()?, fit: self.fit.unwrap_or(Fit::Cover) };
                Lay { opacity: opacity(1, 1), below: true, ..lay(content, whole, Corner::TopLeft) }
            }
        };
        (lay.area.width >= 2 && lay.area.height >= 2).then_some(lay)
    }
}
