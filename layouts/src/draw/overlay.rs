//! Small translucent pictures, ready to be laid over I420.

use super::colour::coefficients;
use super::plane::planes_mut;
use crate::Rect;
use mixdown_codecs::{I420Frame, Size};
use tiny_skia::Pixmap;

/// Premultiplied YUV with transparency, converted once and blended often. Even width × height; U, V and their
/// transparency at half of both. Rows are tightly packed.
#[derive(Debug)]
pub struct Overlay {
    size: Size,
    luma: Layer,
    u: Layer,
    v: Layer,
}

/// One plane: what is added, and what is left of what lies below (255 all of it, 0 nothing).
#[derive(Debug)]
struct Layer {
    colour: Vec<u8>,
    below: Vec<u8>,
}

impl Overlay {
    /// Converts premultiplied RGBA; an odd last column or row is dropped.
    pub fn new(pixels: &Pixmap) -> Self {
        let size = Size::new(pixels.width() & !1, pixels.height() & !1);
        let stride = pixels.width() as usize;
        let at = |x: usize, y: usize| {
            pixels
                .pixels()
                .get(y * stride + x)
                .map_or([0.0; 4], |pixel| [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()].map(f32::from))
        };
        let (columns, rows) = (size.width as usize, size.height as usize);
        let mut overlay =
            Self { size, luma: Layer::new(columns * rows), u: Layer::new(columns * rows / 4), v: Layer::new(columns * rows / 4) };
        for y in 0..rows {
            for x in 0..columns {
                let [red, green, blue, alpha] = at(x, y);
                overlay.luma.push(coefficients(red, green, blue)[0] + 16.0 * alpha / 255.0, alpha);
            }
        }
        for y in (0..rows).step_by(2) {
            for x in (0..columns).step_by(2) {
                let square = [at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1)];
                let [red, green, blue, alpha] = [0, 1, 2, 3].map(|part| square.iter().map(|pixel| pixel[part]).sum::<f32>() / 4.0);
                let [_, u, v] = coefficients(red, green, blue);
                overlay.u.push(u + 128.0 * alpha / 255.0, alpha);
                overlay.v.push(v + 128.0 * alpha / 255.0, alpha);
            }
        }
        overlay
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Lays it over `frame` with its upper left corner at (x, y), both even; nothing happens where it would stand over.
    pub fn blend(&self, frame: &mut I420Frame, (x, y): (u32, u32)) {
        let rect = Rect::new(x, y, self.size.width, self.size.height);
        for (mut plane, layer) in planes_mut(frame, rect).into_iter().zip([&self.luma, &self.u, &self.v]) {
            let width = plane.width.max(1);
            let rows = layer.colour.chunks_exact(width).zip(layer.below.chunks_exact(width));
            for (y, (colour, below)) in rows.enumerate().take(plane.height) {
                blend_row(plane.row(y), colour, below);
            }
        }
    }

    /// Lays over `frame` what of it lies within `clip`, its upper left corner at (x, y), which may be off the canvas; all even.
    pub fn blend_within(&self, frame: &mut I420Frame, (x, y): (i32, i32), clip: Rect) {
        let start = |at: i32, clip: u32| (clip as i32 - at).max(0);
        let (left, top) = (start(x, clip.x), start(y, clip.y));
        let end = |at: i32, clip: u32, length: u32| (clip as i32 - at).min(length as i32);
        let (right, bottom) = (end(x, clip.right(), self.size.width), end(y, clip.bottom(), self.size.height));
        if right <= left || bottom <= top {
            return;
        }
        // Not negative: the clip begins on the canvas.
        let rect = Rect::new((x + left) as u32, (y + top) as u32, (right - left) as u32, (bottom - top) as u32);
        let parts = planes_mut(frame, rect).into_iter().zip([&self.luma, &self.u, &self.v]);
        for (index, (mut plane, layer)) in parts.enumerate() {
            let shrink = if index == 0 { 1 } else { 2 };
            let (left, top, stride) = (left as usize / shrink, top as usize / shrink, self.size.width as usize / shrink);
            for row in 0..plane.height {
                let start = (top + row) * stride + left;
                let part = start..start + plane.width;
                if let (Some(colour), Some(below)) = (layer.colour.get(part.clone()), layer.below.get(part)) {
                    blend_row(plane.row(row), colour, below);
                }
            }
        }
    }
}

impl Layer {
    fn new(pixels: usize) -> Self {
        Self { colour: Vec::with_capacity(pixels), below: Vec::with_capacity(pixels) }
    }

    fn push(&mut self, colour: f32, alpha: f32) {
        self.colour.push(colour.round().clamp(0.0, 255.0) as u8);
        self.below.push((255.0 - alpha).round() as u8);
    }
}

/// `row = colour + row · below / 255`, rounded to nearest; exact where `below` is 0 or 255.
fn blend_row(row: &mut [u8], colour: &[u8], below: &[u8]) {
    for ((out, &colour), &below) in row.iter_mut().zip(colour).zip(below) {
        let product = u16::from(*out) * u16::from(below) + 128;
        *out = colour.saturating_add(((product + (product >> 8)) >> 8) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiny_skia::Color;

    fn flat(red: u8, green: u8, blue: u8, alpha: u8) -> Overlay {
        let mut pixels = Pixmap::new(8, 6).unwrap();
        pixels.fill(Color::from_rgba8(red, green, blue, alpha));
        Overlay::new(&pixels)
    }

    fn grey(y: u8) -> I420Frame {
        let mut frame = I420Frame::black(Size::new(16, 16));
        frame.fill(y, 100, 150);
        frame
    }

    #[test]
    fn division_by_255_is_exact_for_every_product() {
        for value in 0..=255u8 {
            for below in 0..=255u8 {
                let mut row = [value];
                blend_row(&mut row, &[0], &[below]);
                assert_eq!(u32::from(row[0]), (u32::from(value) * u32::from(below) * 2 + 255) / 510);
            }
        }
    }

    #[test]
    fn an_opaque_overlay_replaces_and_a_transparent_one_changes_nothing() {
        let mut frame = grey(77);
        flat(0, 0, 0, 0).blend(&mut frame, (4, 4));
        assert_eq!(frame, grey(77));
        flat(255, 0, 0, 255).blend(&mut frame, (4, 4));
        let planes = frame.planes();
        assert_eq!((planes.y[5 * 16 + 5], planes.u[3 * 8 + 3], planes.v[3 * 8 + 3]), (81, 90, 240));
        assert_eq!((planes.y[4 * 16 + 3], planes.y[3 * 16 + 4], planes.u[8 + 1]), (77, 77, 100));
    }

    #[test]
    fn half_black_halves_the_distance_to_black() {
        let mut frame = grey(216);
        flat(0, 0, 0, 128).blend(&mut frame, (0, 0));
        assert!(frame.planes().y[0].abs_diff(116) <= 1, "{}", frame.planes().y[0]);
        assert!(frame.planes().u[0].abs_diff(114) <= 1);
    }

    #[test]
    fn parts_laid_side_by_side_are_the_whole_and_what_is_off_the_canvas_is_cut_off() {
        let overlay = flat(255, 0, 0, 100);
        let (mut whole, mut parts) = (grey(90), grey(90));
        overlay.blend(&mut whole, (4, 2));
        for (x, y) in [(0, 0), (6, 0), (0, 4), (6, 4)] {
            overlay.blend_within(&mut parts, (4, 2), Rect::new(x, y, if x == 0 { 6 } else { 10 }, if y == 0 { 4 } else { 12 }));
        }
        assert_eq!(whole, parts);
        let mut cut = grey(90);
        overlay.blend_within(&mut cut, (-4, -2), Rect::new(0, 0, 16, 16));
        assert_eq!((cut.planes().y[0] == 90, cut.planes().y[4], cut.planes().y[4 * 16]), (false, 90, 90));
    }

    #[test]
    fn an_overlay_that_stands_over_the_edge_is_not_drawn() {
        let mut frame = grey(50);
        flat(255, 255, 255, 255).blend(&mut frame, (10, 0));
        assert_eq!(frame, grey(50));
    }
}
