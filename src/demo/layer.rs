//! A picture cut-out in I420 with alpha, drawn once and moved by fractions of a pixel ever after.

use mixdown_codecs::I420Frame;
use tiny_skia::Pixmap;

/// How a layer stands in one frame, relative to where it was drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Shift {
    /// Luma pixels to the right and down.
    pub x: f32,
    pub y: f32,
    /// Lean to the right in pixels per pixel above `pivot`: a small turn about it.
    pub lean: f32,
    /// Luma row that a lean leaves in place.
    pub pivot: f32,
}

impl Shift {
    pub fn plus(self, x: f32, y: f32) -> Self {
        Self { x: self.x + x, y: self.y + y, ..self }
    }
}

/// Premultiplied Y, U, V with their alphas, cropped to what is not empty, with an empty rim.
#[derive(Debug, Clone)]
pub struct Layer {
    left: i32,
    top: i32,
    luma: Plane,
    u: Plane,
    v: Plane,
}

#[derive(Debug, Clone)]
struct Plane {
    width: usize,
    height: usize,
    value: Vec<u8>,
    alpha: Vec<u8>,
    /// First and one past the last column that is not empty, per row.
    spans: Vec<(usize, usize)>,
}

impl Layer {
    /// Cuts the drawn part out of a drawing whose corner lies at `corner` (even) of the picture.
    pub fn cut(pixmap: &Pixmap, corner: (i32, i32)) -> Self {
        let (left, top, width, height) = bounds(pixmap);
        let (columns, pixels) = (pixmap.width() as i32, pixmap.data());
        let at = |x: usize, y: usize| -> [i32; 4] {
            let (x, y) = (left + x as i32, top + y as i32);
            if x < 0 || y < 0 || x >= columns {
                return [0; 4];
            }
            let i = 4 * (y * columns + x) as usize;
            pixels.get(i..i + 4).map_or([0; 4], |p| [p[0], p[1], p[2], p[3]].map(i32::from))
        };
        let mut luma = Plane::empty(width, height);
        let (mut u, mut v) = (Plane::empty(width / 2, height / 2), Plane::empty(width / 2, height / 2));
        for y in 0..height {
            for x in 0..width {
                let [r, g, b, a] = at(x, y);
                luma.set(x, y, (16 * a * 256 / 255 + 66 * r + 129 * g + 25 * b + 128) >> 8, a);
            }
        }
        for y in 0..height / 2 {
            for x in 0..width / 2 {
                let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| at(2 * x + dx, 2 * y + dy));
                let [r, g, b, a] = [0, 1, 2, 3].map(|channel| four.iter().map(|pixel| pixel[channel]).sum::<i32>() / 4);
                let middle = 128 * a * 256 / 255 + 128;
                u.set(x, y, (middle - 38 * r - 74 * g + 112 * b) >> 8, a);
                v.set(x, y, (middle + 112 * r - 94 * g - 18 * b) >> 8, a);
            }
        }
        [&mut luma, &mut u, &mut v].into_iter().for_each(Plane::measure);
        Self { left: left + corner.0, top: top + corner.1, luma, u, v }
    }

    /// Draws the layer over `frame`; parts outside of it are cut off.
    pub fn blend(&self, frame: &mut I420Frame, shift: Shift) {
        let (x, y) = (self.left as f32 + shift.x, self.top as f32 + shift.y);
        let (width, half_width) = (frame.size().width as usize, frame.size().chroma().width as usize);
        let planes = frame.planes_mut();
        let half = Shift { x: x / 2.0, y: y / 2.0, pivot: shift.pivot / 2.0, ..shift };
        self.luma.blend(planes.y, width, Shift { x, y, ..shift });
        self.u.blend(planes.u, half_width, half);
        self.v.blend(planes.v, half_width, half);
    }
}

/// The drawn part with even position and size and at least two empty rows and columns around it.
fn bounds(pixmap: &Pixmap) -> (i32, i32, usize, usize) {
    let (width, height) = (pixmap.width() as i32, pixmap.height() as i32);
    let (mut left, mut top, mut right, mut bottom) = (width, height, 0, 0);
    for (y, row) in pixmap.data().chunks_exact(4 * pixmap.width() as usize).enumerate() {
        let drawn = |pixel: &[u8]| pixel[3] > 0;
        let (Some(first), Some(last)) = (row.chunks_exact(4).position(drawn), row.chunks_exact(4).rposition(drawn)) else { continue };
        (left, right) = (left.min(first as i32), right.max(last as i32 + 1));
        (top, bottom) = (top.min(y as i32), bottom.max(y as i32 + 1));
    }
    if right <= left {
        return (0, 0, 4, 4);
    }
    let (left, top) = ((left & !1) - 2, (top & !1) - 2);
    let even = |length: i32| ((length + 1) & !1) as usize + 2;
    (left, top, even(right - left), even(bottom - top))
}

impl Plane {
    fn empty(width: usize, height: usize) -> Self {
        Self { width, height, value: vec![0; width * height], alpha: vec![0; width * height], spans: Vec::new() }
    }

    fn set(&mut self, x: usize, y: usize, value: i32, alpha: i32) {
        let at = y * self.width + x;
        self.value[at] = value.clamp(0, 255) as u8;
        self.alpha[at] = alpha.clamp(0, 255) as u8;
    }

    fn measure(&mut self) {
        let span = |row: &[u8]| match row.iter().position(|a| *a > 0) {
            Some(first) => (first, row.iter().rposition(|a| *a > 0).map_or(first, |last| last + 1)),
            None => (0, 0),
        };
        self.spans = self.alpha.chunks(self.width).map(span).collect();
    }

    /// Rows and columns of the target are those of the source, moved by a whole number and blended with the
    /// row above and the column before by the fraction.
    fn blend(&self, target: &mut [u8], width: usize, shift: Shift) {
        let (whole_y, down) = split(shift.y);
        for row in 1..self.height {
            let y = whole_y + row as i32;
            if y < 0 {
                continue;
            }
            let Some(line) = target.chunks_exact_mut(width).nth(y as usize) else { return };
            let (above, here) = (self.spans[row - 1], self.spans[row]);
            let span = match (above.0 < above.1, here.0 < here.1) {
                (true, true) => (above.0.min(here.0), above.1.max(here.1)),
                (true, false) => above,
                (false, true) => here,
                (false, false) => continue,
            };
            let (whole_x, right) = split(shift.x + shift.lean * (shift.pivot - y as f32));
            // One column more, for the fraction; the rim keeps both in range.
            let first = span.0.max(1).max(usize::try_from(-whole_x).unwrap_or(0));
            let last = (span.1 + 1).min(self.width).min(usize::try_from(width as i32 - whole_x).unwrap_or(0));
            if first >= last {
                continue;
            }
            let begin = (first as i32 + whole_x) as usize;
            let rows = Rows { plane: self, row, first, last };
            rows.blend(&mut line[begin..begin + last - first], right, down);
        }
    }
}

/// Two neighbouring rows of a plane between two columns.
struct Rows<'a> {
    plane: &'a Plane,
    row: usize,
    first: usize,
    last: usize,
}

impl Rows<'_> {
    fn cut<'b>(&self, data: &'b [u8], up: usize, back: usize) -> &'b [u8] {
        let base = (self.row - up) * self.plane.width;
        &data[base + self.first - back..base + self.last - back]
    }

    fn blend(&self, target: &mut [u8], right: u32, down: u32) {
        let weights = [(256 - right) * (256 - down), right * (256 - down), (256 - right) * down, right * down].map(|w| w >> 8);
        let weights = [256 - weights[1] - weights[2] - weights[3], weights[1], weights[2], weights[3]].map(|w| w as u16);
        let corners = |data| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(up, back)| self.cut(data, up, back));
        let ([v0, v1, v2, v3], [a0, a1, a2, a3]) = (corners(&self.plane.value), corners(&self.plane.alpha));
        let [w0, w1, w2, w3] = weights;
        let n = target.len();
        let (v0, v1, v2, v3) = (&v0[..n], &v1[..n], &v2[..n], &v3[..n]);
        let (a0, a1, a2, a3) = (&a0[..n], &a1[..n], &a2[..n], &a3[..n]);
        for i in 0..n {
            // Four weights of 256 together: no sum leaves 16 bits.
            let mix = |p0: u8, p1: u8, p2: u8, p3: u8| {
                let weigh = |p: u8, w: u16| u16::from(p).wrapping_mul(w);
                weigh(p0, w0).wrapping_add(weigh(p1, w1)).wrapping_add(weigh(p2, w2)).wrapping_add(weigh(p3, w3)) >> 8
            };
            let value = mix(v0[i], v1[i], v2[i], v3[i]);
            let alpha = mix(a0[i], a1[i], a2[i], a3[i]);
            let keep = 256_u16.wrapping_sub(alpha.wrapping_add(alpha >> 7));
            target[i] = value.wrapping_add(u16::from(target[i]).wrapping_mul(keep) >> 8).min(255) as u8;
        }
    }
}

/// Whole pixels (rounded down) and the rest in 256ths.
fn split(position: f32) -> (i32, u32) {
    let whole = position.floor();
    (whole as i32, ((position - whole) * 256.0) as u32 & 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixdown_codecs::Size;
    use tiny_skia::{Color, Paint, Rect, Transform};

    fn white_square() -> Layer {
        let mut pixmap = Pixmap::new(64, 64).unwrap();
        let mut paint = Paint::default();
        paint.set_color(Color::WHITE);
        pixmap.fill_rect(Rect::from_xywh(20.0, 20.0, 20.0, 20.0).unwrap(), &paint, Transform::identity(), None);
        Layer::cut(&pixmap, (0, 0))
    }

    fn luma(frame: &I420Frame, x: usize, y: usize) -> u8 {
        frame.planes().y[y * frame.planes().y_stride + x]
    }

    #[test]
    fn an_opaque_layer_covers_what_is_below_it_and_nothing_else() {
        let mut frame = I420Frame::black(Size::new(64, 64));
        white_square().blend(&mut frame, Shift::default());
        assert!(luma(&frame, 30, 30) >= 233);
        assert_eq!((luma(&frame, 18, 30), luma(&frame, 42, 30), luma(&frame, 30, 17), luma(&frame, 30, 42)), (16, 16, 16, 16));
        assert!(luma(&frame, 20, 20) > 220 && luma(&frame, 39, 39) > 220);
    }

    #[test]
    fn half_a_pixel_shares_an_edge_between_two_columns() {
        let mut frame = I420Frame::black(Size::new(64, 64));
        white_square().blend(&mut frame, Shift { x: 0.5, ..Shift::default() });
        let edge = luma(&frame, 20, 30);
        assert!((115..=140).contains(&edge), "{edge}");
        let edge = luma(&frame, 40, 30);
        assert!((115..=140).contains(&edge), "{edge}");
    }

    #[test]
    fn a_layer_may_leave_the_picture_on_any_side() {
        for (x, y) in [(-30.0, 0.0), (40.0, 0.0), (0.0, -30.0), (0.0, 40.0), (-500.0, -500.0), (500.0, 500.0), (-20.4, 43.9)] {
            let mut frame = I420Frame::black(Size::new(64, 64));
            white_square().blend(&mut frame, Shift { x, y, lean: 0.3, pivot: 40.0 });
        }
    }
}
