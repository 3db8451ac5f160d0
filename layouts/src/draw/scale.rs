//! One picture into one rectangle of the canvas: fit, crop, scale, turn.
//!
//! Ratios near an exact one (1:1, 3:2, 2:1, 5:2, 3:1, 4:1, 1:2) become exact by cropping up to three percent more, and
//! take a kernel of our own, so that gaps between tiles cost nothing; all others are bilinear by fast_image_resize, after halving or quartering by a kernel
//! where they shrink by that much. Turned and mirrored pictures are scaled first and turned afterwards, which moves
//! the fewer bytes.

use super::Picture;
use super::kernels::{self, Ratio};
use super::plane::{Plane, PlaneMut, planes, planes_mut};
use super::shared::Key;
use crate::{Fit, Rect};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use mixdown_codecs::{I420Frame, Size};

/// How much more than needed may be cropped for the sake of an exact ratio.
const EXACT_IS_WORTH: f64 = 1.03;

/// Scales pictures; keeps its buffers between them.
#[derive(Debug, Default)]
pub struct Scaler {
    resizer: Resizer,
    shrunk: Vec<u8>,
    resized: Vec<u8>,
    upright: Vec<u8>,
    columns: Vec<u16>,
}

/// The size of a picture once it stands upright.
pub fn upright(picture: &Picture) -> Size {
    let Size { width, height } = picture.frame.size();
    if picture.quarter_turns % 2 == 1 { Size::new(height, width) } else { Size::new(width, height) }
}

/// Whether drawing only copies rows, so that sharing would save nothing.
fn is_copy(picture: &Picture, target: Rect) -> bool {
    picture.quarter_turns.is_multiple_of(4)
        && !picture.flip
        && Cut::covering(picture.frame.size(), target.size()).ratio == Some(Ratio::Copy)
}

/// The part of `rect` that a picture of `size` fills: all of it, or for [`Fit::Contain`] the largest part of the
/// picture's ratio, in the middle and even.
pub fn target(size: Size, rect: Rect, fit: Fit) -> Rect {
    if fit != Fit::Contain || size.width == 0 || size.height == 0 {
        return rect;
    }
    let factor = f64::min(f64::from(rect.width) / f64::from(size.width), f64::from(rect.height) / f64::from(size.height));
    let side = |picture: u32, room: u32| ((f64::from(picture) * factor / 2.0).round() as u32 * 2).clamp(2, room);
    let (width, height) = (side(size.width, rect.width), side(size.height, rect.height));
    Rect::new(rect.x + (((rect.width - width) / 2) & !1), rect.y + (((rect.height - height) / 2) & !1), width, height)
}

impl Scaler {
    /// Fills `target` (even, inside the canvas) with the middle of `picture`, upright: from what another canvas has
    /// scaled, where pictures are shared.
    pub fn draw(&mut self, picture: &Picture, canvas: &mut I420Frame, target: Rect) {
        let Some(scaled) = picture.scaled.as_ref().filter(|_| !is_copy(picture, target)) else {
            return self.fill(picture, canvas, target);
        };
        let key = Key { sequence: picture.sequence, quarter_turns: picture.quarter_turns, flip: picture.flip };
        let (size, whole) = (target.size(), Rect::new(0, 0, target.width, target.height));
        let version = scaled.version(key, size, |frame| self.fill(picture, frame, whole));
        for (source, mut target) in planes(&version).into_iter().zip(planes_mut(canvas, target)) {
            kernels::copy(source, &mut target);
        }
    }

    /// Fills `target` of size `into` with the middle of a plane of `size`, cropped no more than needed. Both are packed. False: one of them is empty.
    pub fn cover(&mut self, plane: &[u8], size: Size, target: &mut [u8], into: Size) -> bool {
        let [plane_width, plane_height, width, height] = [size.width, size.height, into.width, into.height].map(|side| side as usize);
        let source = Plane::new(plane, plane_width, plane_width, plane_height);
        self.interpolate(source, Cut::middle(size, into), &mut PlaneMut::new(target, width, (0, 0, width, height)))
    }

    fn fill(&mut self, picture: &Picture, canvas: &mut I420Frame, target: Rect) {
        if picture.frame.size().pixels() == 0 || target.size().pixels() == 0 {
            return;
        }
        let swapped = picture.quarter_turns % 2 == 1;
        let size = if swapped { Size::new(target.height, target.width) } else { target.size() };
        let turned = !picture.quarter_turns.is_multiple_of(4) || picture.flip;
        let cut = Cut::covering(picture.frame.size(), size);
        let parts = planes(&picture.frame).into_iter().zip(planes_mut(canvas, target));
        for (index, (source, mut target)) in parts.enumerate() {
            let cut = if index == 0 { cut } else { cut.scaled(0.5) };
            if turned {
                let (width, height) = if swapped { (target.height, target.width) } else { (target.width, target.height) };
                let mut upright = std::mem::take(&mut self.upright);
                upright.resize(upright.len().max(width * height), 0);
                self.scale(source, cut, &mut PlaneMut::new(&mut upright, width, (0, 0, width, height)));
                kernels::turn(Plane::new(&upright, width, width, height), &mut target, picture.quarter_turns, picture.flip);
                self.upright = upright;
            } else {
                self.scale(source, cut, &mut target);
            }
        }
    }

    fn scale(&mut self, source: Plane<'_>, cut: Cut, target: &mut PlaneMut<'_>) {
        let Some(ratio) = cut.ratio else {
            return self.resize(source, cut, target);
        };
        let (width, height) = (ratio.source(target.width), ratio.source(target.height));
        ratio.scale(source.crop(cut.x as usize, cut.y as usize, width, height), target, &mut self.columns);
    }

    fn resize(&mut self, source: Plane<'_>, cut: Cut, target: &mut PlaneMut<'_>) {
        let shrinks = f64::min(cut.width / target.width as f64, cut.height / target.height as f64);
        let (ratio, step) = match shrinks {
            4.0.. => (Ratio::Quarter, 4),
            2.0.. => (Ratio::Half, 2),
            _ => {
                self.interpolate(source, cut, target);
                return;
            }
        };
        let (x, y) = (cut.x as usize, cut.y as usize);
        // Whole steps, or what is left over at the end would be lost and everything before it drawn too wide.
        let length = |start: usize, end: f64, room: usize| {
            let whole = ((end.ceil() as usize).min(room) - start).next_multiple_of(step);
            (start + whole <= room).then_some(whole)
        };
        let lengths = length(x, cut.x + cut.width, source.width).zip(length(y, cut.y + cut.height, source.height));
        let Some((across, down)) = lengths else {
            self.interpolate(source, cut, target);
            return;
        };
        let part = source.crop(x, y, across, down);
        let side = |length: usize| (length as f64 * ratio.factor()) as usize;
        let (width, height) = (side(part.width), side(part.height));
        let mut shrunk = std::mem::take(&mut self.shrunk);
        shrunk.resize(shrunk.len().max(width * height), 0);
        ratio.scale(part, &mut PlaneMut::new(&mut shrunk, width, (0, 0, width, height)), &mut self.columns);
        let cut = cut.within(x, y).scaled(ratio.factor());
        self.interpolate(Plane::new(&shrunk, width, width, height), cut, target);
        self.shrunk = shrunk;
    }

    /// False: source or target is empty.
    fn interpolate(&mut self, source: Plane<'_>, cut: Cut, target: &mut PlaneMut<'_>) -> bool {
        let (width, height) = (target.width, target.height);
        self.resized.resize(self.resized.len().max(width * height), 0);
        let from = TypedImageRef::<U8>::from_buffer(source.width as u32, source.height as u32, source.packed());
        let into = TypedImage::<U8>::from_buffer(width as u32, height as u32, &mut self.resized);
        let (Ok(from), Ok(mut into)) = (from, into) else {
            return false;
        };
        let room = (source.width as f64, source.height as f64);
        let (x, y) = (cut.x.min(room.0 - 1.0).max(0.0), cut.y.min(room.1 - 1.0).max(0.0));
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(x, y, cut.width.min(room.0 - x), cut.height.min(room.1 - y))
            .use_alpha(false);
        let done = self.resizer.resize_typed(&from, &mut into, &options).is_ok();
        if done {
            kernels::copy(Plane::new(&self.resized, width, width, height), target);
        }
        done
    }
}

/// Makes whole pictures smaller.
#[derive(Debug, Default)]
pub struct Reducer(Scaler);

impl Reducer {
    /// Fills `target` with all of `source` (but for at most three percent at its edges, where that makes the ratio exact).
    pub fn reduce(&mut self, source: &I420Frame, target: &mut I420Frame) {
        if source.size().pixels() == 0 || target.size().pixels() == 0 {
            return;
        }
        let size = target.size();
        let cut = Cut::covering(source.size(), size);
        let parts = planes(source).into_iter().zip(planes_mut(target, Rect::new(0, 0, size.width, size.height)));
        for (index, (source, mut target)) in parts.enumerate() {
            self.0.scale(source, if index == 0 { cut } else { cut.scaled(0.5) }, &mut target);
        }
    }
}

/// The part of a source plane that is shown, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    ratio: Option<Ratio>,
}

impl Cut {
    /// The middle of a `source` that covers `target`, both not empty. Exact cuts begin at even pixels.
    fn covering(source: Size, target: Size) -> Self {
        let (width, height) = (f64::from(source.width), f64::from(source.height));
        let needed = f64::max(f64::from(target.width) / width, f64::from(target.height) / height);
        let exact = Ratio::ALL.into_iter().find(|ratio| {
            let fits = |target: u32, source: u32| ratio.source(target as usize) <= source as usize;
            fits(target.width, source.width) && fits(target.height, source.height) && ratio.factor() <= needed * EXACT_IS_WORTH
        });
        if let Some(ratio) = exact {
            let side = |target: u32| ratio.source(target as usize) as u32;
            let start = |source: u32, part: u32| f64::from(((source - part) / 2) & !1);
            let part = (side(target.width), side(target.height));
            return Self {
                x: start(source.width, part.0),
                y: start(source.height, part.1),
                width: f64::from(part.0),
                height: f64::from(part.1),
                ratio: Some(ratio),
            };
        }
        Self::middle(source, target)
    }

    /// The same, and no more is cropped than needed.
    fn middle(source: Size, target: Size) -> Self {
        let (width, height) = (f64::from(source.width), f64::from(source.height));
        let needed = f64::max(f64::from(target.width) / width, f64::from(target.height) / height);
        let part = ((f64::from(target.width) / needed).min(width), (f64::from(target.height) / needed).min(height));
        Self { x: (width - part.0) / 2.0, y: (height - part.1) / 2.0, width: part.0, height: part.1, ratio: None }
    }

    /// The same part of a plane that is smaller by `factor`.
    fn scaled(self, factor: f64) -> Self {
        Self { x: self.x * factor, y: self.y * factor, width: self.width * factor, height: self.height * factor, ratio: self.ratio }
    }

    /// The same part seen from (x, y).
    fn within(self, x: usize, y: usize) -> Self {
        Self { x: self.x - x as f64, y: self.y - y as f64, ..self }
    }
}

#[cfg(test)]
mod tests;
