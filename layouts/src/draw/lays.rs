//! The overlays of one canvas: made when they change, laid over what was drawn, moved with the time.
//!
//! A ticker is opaque: it is laid down anew with every step and leaves nothing behind. A clock is translucent: where its
//! text changes, what lies below has to be painted again first. All others rest.

use super::fonts::Fonts;
use super::overlay::Overlay;
use super::scale::{self, Scaler};
use super::text::{Typesetter, sanitise};
use super::{Moment, signs};
use crate::image::Artwork;
use crate::scene::{Content, Lay, corner_of};
use crate::{Fit, Rect};
use mixdown_codecs::{I420Frame, Size};
use tiny_skia::{IntSize, Pixmap};

/// What lies over and below the tiles of one canvas.
pub struct Lays {
    laid: Vec<Laid>,
    /// Where translucent things have changed.
    stale: Vec<Rect>,
    /// Where opaque things have moved.
    moved: Vec<Rect>,
}

struct Laid {
    lay: Lay,
    overlay: Option<Overlay>,
    at: (i32, i32),
    /// What of the canvas it covers.
    rect: Rect,
    hands: Hands,
}

/// What the time moves.
enum Hands {
    None,
    /// Minutes or seconds since 1970 that are shown.
    Clock(Option<i64>),
    /// Pixels that have run past the left edge, of so many until all begins again.
    Ticker {
        shift: u32,
        period: u32,
    },
}

impl Lays {
    pub fn new() -> Self {
        Self { laid: Vec::new(), stale: Vec::new(), moved: Vec::new() }
    }

    /// Makes what is new in `lays`. `true`: the canvas has to be drawn anew.
    pub fn follow(&mut self, lays: &[Lay], typesetter: &mut Option<Typesetter>, fonts: &Fonts) -> bool {
        if self.laid.iter().map(|laid| &laid.lay).eq(lays) {
            return false;
        }
        let mut before = std::mem::take(&mut self.laid);
        for lay in lays {
            let kept = before.iter().position(|laid| laid.lay == *lay).map(|index| before.swap_remove(index));
            self.laid.push(kept.unwrap_or_else(|| Laid::new(lay, typesetter.get_or_insert_with(|| Typesetter::new(fonts)))));
        }
        true
    }

    /// Moves everything to `moment`. [`Lays::stale`] and [`Lays::moved`] then say where the canvas is no longer right.
    pub fn advance(&mut self, moment: Moment, typesetter: &mut Option<Typesetter>, fonts: &Fonts) {
        self.stale.clear();
        self.moved.clear();
        for laid in &mut self.laid {
            match laid.lay.content {
                Content::Clock { size, seconds, utc_offset_minutes } => {
                    let hands = (moment.unix_s + 60 * i64::from(utc_offset_minutes)).div_euclid(if seconds { 1 } else { 60 });
                    if matches!(laid.hands, Hands::Clock(shown) if shown != Some(hands)) {
                        let typesetter = typesetter.get_or_insert_with(|| Typesetter::new(fonts));
                        self.stale.push(laid.rect);
                        laid.set(signs::label(typesetter, &time(hands, seconds), false, size as f32, laid.lay.area.width as f32));
                        laid.hands = Hands::Clock(Some(hands));
                        self.stale.push(laid.rect);
                    }
                }
                Content::Ticker { speed, .. } => {
                    if let Hands::Ticker { shift, period } = &mut laid.hands {
                        let run = moment.ms.saturating_mul(speed.into()) / 1000 % u64::from((*period).max(1));
                        let run = run as u32 & !1;
                        if *shift != run {
                            *shift = run;
                            self.moved.push(laid.rect);
                        }
                    }
                }
                Content::Plate { .. } | Content::Image { .. } | Content::Notice { .. } => {}
            }
        }
    }

    /// Where what lies below has to be painted again.
    pub fn stale(&self) -> &[Rect] {
        &self.stale
    }

    /// Where laying down anew is enough.
    pub fn moved(&self) -> &[Rect] {
        &self.moved
    }

    /// Whether any of them lies behind the tiles.
    pub fn has_below(&self) -> bool {
        self.laid.iter().any(|laid| laid.lay.below)
    }

    /// Lays down what covers a part of `clip`, there alone: those behind the tiles, or those over them.
    pub fn blend(&self, frame: &mut I420Frame, clip: Rect, below: bool) {
        for laid in self.laid.iter().filter(|laid| laid.lay.below == below && laid.rect.overlaps(clip)) {
            laid.blend(frame, clip);
        }
    }
}

impl Laid {
    fn new(lay: &Lay, typesetter: &mut Typesetter) -> Self {
        let hands = match lay.content {
            Content::Clock { .. } => Hands::Clock(None),
            Content::Ticker { .. } => Hands::Ticker { shift: 0, period: 0 },
            Content::Plate { .. } | Content::Image { .. } | Content::Notice { .. } => Hands::None,
        };
        let (area, nowhere) = (lay.area, Rect::new(lay.area.x, lay.area.y, 0, 0));
        let mut laid = Self { lay: lay.clone(), overlay: None, at: (0, 0), rect: nowhere, hands };
        match &lay.content {
            Content::Clock { .. } => {}
            Content::Plate { text, subtitle, size } => {
                laid.set(signs::plates(typesetter, &sanitise(text), &sanitise(subtitle), *size as f32, area.width as f32));
            }
            Content::Notice { text, size } => laid.set(signs::notice(typesetter, &sanitise(text), *size as f32, area.width as f32)),
            Content::Ticker { text, size, .. } => {
                if let Some(strip) = signs::strip(typesetter, &sanitise(text), *size as f32, area.height) {
                    laid.hands = Hands::Ticker { shift: 0, period: strip.width() & !1 };
                    laid.overlay = Some(Overlay::new(&strip));
                    (laid.at, laid.rect) = ((area.x as i32, area.y as i32), area);
                }
            }
            Content::Image { image, fit } => {
                if let Some((pixels, rect)) = image.artwork().and_then(|artwork| picture(artwork, area, *fit, lay.opacity)) {
                    laid.overlay = Some(Overlay::new(&pixels));
                    (laid.at, laid.rect) = ((rect.x as i32, rect.y as i32), rect);
                }
            }
        }
        laid
    }

    /// Takes over what is drawn in the area's corner.
    fn set(&mut self, pixels: Option<Pixmap>) {
        self.overlay = pixels.map(|pixels| Overlay::new(&pixels));
        let area = self.lay.area;
        let size = self.overlay.as_ref().map_or(Size::new(0, 0), Overlay::size);
        let rect = if matches!(self.lay.content, Content::Notice { .. }) {
            let shift = |outer: u32, inner: u32| outer.saturating_sub(inner) / 2;
            Rect::new(area.x + shift(area.width, size.width), area.y + shift(area.height, size.height), size.width, size.height)
        } else {
            corner_of(area, size, self.lay.corner)
        };
        let even = Rect::new((rect.x + 1) & !1, (rect.y + 1) & !1, rect.width, rect.height);
        // What is too high for its area moves up; too high for all above it, it is cut off below.
        let even = Rect { y: even.y.min(area.bottom().saturating_sub(even.height) & !1), ..even };
        self.rect = Rect::new(even.x, even.y, even.width.min(area.right() - even.x), even.height.min(area.bottom() - even.y));
        self.at = (even.x as i32, even.y as i32);
    }

    fn blend(&self, frame: &mut I420Frame, clip: Rect) {
        let Some(overlay) = &self.overlay else { return };
        let Some(clip) = self.rect.intersection(clip) else { return };
        let Hands::Ticker { shift, period } = self.hands else {
            return overlay.blend_within(frame, self.at, clip);
        };
        let mut x = self.at.0 - shift as i32;
        while x < clip.right() as i32 && period > 0 {
            overlay.blend_within(frame, (x, self.at.1), clip);
            x += period as i32;
        }
    }
}

/// Minutes or seconds since 1970 as a time of day.
fn time(hands: i64, seconds: bool) -> String {
    let part = |unit: i64, of: i64| hands.div_euclid(unit).rem_euclid(of);
    if seconds {
        format!("{:02}:{:02}:{:02}", part(3600, 24), part(60, 60), part(1, 60))
    } else {
        format!("{:02}:{:02}", part(60, 24), part(1, 60))
    }
}

/// `artwork` as it stands in `area`, and where.
fn picture(artwork: &Artwork, area: Rect, fit: Fit, opacity: u8) -> Option<(Pixmap, Rect)> {
    let rect = scale::target(artwork.size, area, if fit == Fit::Cover { Fit::Cover } else { Fit::Contain });
    let mut pixels = vec![0; rect.size().pixels() * 4];
    let (mut scaler, mut scaled) = (Scaler::default(), vec![0; rect.size().pixels()]);
    // Red, green, blue and alpha, each a plane.
    for part in 0..4 {
        let plane: Vec<u8> = artwork.pixels.chunks_exact(4).map(|pixel| pixel[part]).collect();
        scaler.cover(&plane, artwork.size, &mut scaled, rect.size()).then_some(())?;
        pixels.chunks_exact_mut(4).zip(&scaled).for_each(|(pixel, scaled)| pixel[part] = *scaled);
    }
    if opacity < u8::MAX {
        for part in &mut pixels {
            *part = ((u32::from(*part) * u32::from(opacity) + 127) / 255) as u8;
        }
    }
    Some((Pixmap::from_vec(pixels, IntSize::from_wh(rect.width, rect.height)?)?, rect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_told_on_either_side_of_1970() {
        assert_eq!(
            (time(0, true), time(86_399, true), time(86_400, true), time(-1, true)),
            ("00:00:00".into(), "23:59:59".into(), "00:00:00".into(), "23:59:59".into())
        );
        assert_eq!((time(61, false), time(-1, false)), ("01:01".into(), "23:59".into()));
    }
}
