//! A number that survives scaling, cropping and coding: two rows of sixteen black and white blocks in
//! the middle of the picture carry who it is (8 bits), which frame (16 bits) and a check (8 bits).
//!
//! The middle 40 % × 16 % of a picture stay visible however a layout crops it, and a block is still
//! four pixels wide in a picture of 160. Reading tells "no marker" from "damaged" only by the check:
//! one of 256 random patterns of full contrast passes.

use mixdown_codecs::I420Frame;

/// What a marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    pub person: u8,
    /// Wraps around.
    pub frame: u16,
}

/// A rectangle in luma pixels; it may reach beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

const COLUMNS: usize = 16;
const ROWS: usize = 2;
const LEFT: f32 = 0.30;
const TOP: f32 = 0.42;
const WIDTH: f32 = 0.40;
const HEIGHT: f32 = 0.16;
const BLACK: u8 = 20;
const WHITE: u8 = 225;

impl Area {
    pub fn whole(frame: &I420Frame) -> Self {
        Self { x: 0.0, y: 0.0, width: frame.size().width as f32, height: frame.size().height as f32 }
    }

    /// Where the whole of a source of `ratio` (width by height) lies when it is cut to cover this tile.
    pub fn covered_by(self, ratio: f32) -> Self {
        self.fitted(ratio, f32::max)
    }

    /// Where a source of `ratio` lies when it is shown whole inside of this tile.
    pub fn containing(self, ratio: f32) -> Self {
        self.fitted(ratio, f32::min)
    }

    fn fitted(self, ratio: f32, choose: fn(f32, f32) -> f32) -> Self {
        let height = choose(self.height, self.width / ratio);
        let width = height * ratio;
        Self { x: self.x + (self.width - width) / 2.0, y: self.y + (self.height - height) / 2.0, width, height }
    }

    /// Corners of block (column, row), shrunk to its middle by `margin` on each side (share of the block).
    fn block(self, column: usize, row: usize, margin: f32) -> (f32, f32, f32, f32) {
        let (w, h) = (self.width * WIDTH / COLUMNS as f32, self.height * HEIGHT / ROWS as f32);
        let (x, y) = (self.x + self.width * LEFT + w * column as f32, self.y + self.height * TOP + h * row as f32);
        (x + w * margin, y + h * margin, x + w * (1.0 - margin), y + h * (1.0 - margin))
    }
}

/// Draws `mark` over the middle of the picture.
pub fn write(frame: &mut I420Frame, mark: Mark) {
    let (area, bits) = (Area::whole(frame), pack(mark));
    let (width, height) = (frame.size().width as usize, frame.size().height as usize);
    let planes = frame.planes_mut();
    let cell = |column: usize, row: usize| {
        let (x0, y0, x1, y1) = area.block(column, row, 0.0);
        (x0.round() as usize, y0.round() as usize, (x1.round() as usize).min(width), (y1.round() as usize).min(height))
    };
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let (x0, y0, x1, y1) = cell(column, row);
            let value = if bits >> (row * COLUMNS + column) & 1 == 1 { WHITE } else { BLACK };
            planes.y.chunks_mut(width).take(y1).skip(y0).for_each(|line| line[x0..x1].fill(value));
        }
    }
    let (x0, y0, ..) = cell(0, 0);
    let (.., x1, y1) = cell(COLUMNS - 1, ROWS - 1);
    for chroma in [planes.u, planes.v] {
        chroma.chunks_mut(planes.uv_stride).take(y1 / 2).skip(y0 / 2).for_each(|line| line[x0 / 2..x1 / 2].fill(128));
    }
}

/// Reads the marker of the picture whose whole lies at `area` of a composed picture.
pub fn read(frame: &I420Frame, area: Area) -> Option<Mark> {
    let mut means = [0.0_f32; COLUMNS * ROWS];
    for (i, mean) in means.iter_mut().enumerate() {
        *mean = average(frame, area.block(i % COLUMNS, i / COLUMNS, 0.28))?;
    }
    let low = means.iter().copied().fold(f32::MAX, f32::min);
    let high = means.iter().copied().fold(f32::MIN, f32::max);
    if high - low < 90.0 {
        return None;
    }
    let middle = (low + high) / 2.0;
    // Every block must take a side.
    if means.iter().any(|mean| (mean - middle).abs() < 0.12 * (high - low)) {
        return None;
    }
    unpack(means.iter().enumerate().fold(0, |bits, (i, mean)| bits | (u32::from(*mean > middle) << i)))
}

fn average(frame: &I420Frame, (x0, y0, x1, y1): (f32, f32, f32, f32)) -> Option<f32> {
    let (width, height) = (frame.size().width as f32, frame.size().height as f32);
    if x0 < 0.0 || y0 < 0.0 || x1 > width || y1 > height {
        return None;
    }
    // At least the pixel in the middle.
    let span = |from: f32, to: f32| {
        let (first, last) = (from.ceil() as usize, to.floor() as usize);
        if first < last { first..last } else { ((from + to) / 2.0) as usize..((from + to) / 2.0) as usize + 1 }
    };
    let planes = frame.planes();
    let (mut sum, mut count) = (0_u32, 0_u32);
    for y in span(y0, y1) {
        for pixel in planes.y.get(y * planes.y_stride..)?.get(span(x0, x1))? {
            (sum, count) = (sum + u32::from(*pixel), count + 1);
        }
    }
    (count > 0).then(|| sum as f32 / count as f32)
}

fn pack(mark: Mark) -> u32 {
    let data = u32::from(mark.person) | u32::from(mark.frame) << 8;
    data | u32::from(check(data)) << 24
}

fn unpack(bits: u32) -> Option<Mark> {
    let data = bits & 0xff_ffff;
    (check(data) == (bits >> 24) as u8).then_some(Mark { person: data as u8, frame: (data >> 8) as u16 })
}

/// CRC-8 (polynomial 0x2f) of three bytes, begun with ones: neither all black nor all white is valid.
fn check(data: u32) -> u8 {
    data.to_le_bytes()[..3]
        .iter()
        .fold(0xff, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { (crc << 1) ^ 0x2f } else { crc << 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::person::{Articulation, Person};
    use mixdown_codecs::Size;
    use proptest::prelude::*;

    /// Nearest-neighbour scaling of one picture into a rectangle of another.
    fn paste(source: &I420Frame, canvas: &mut I420Frame, area: Area) {
        let (sw, sh) = (source.size().width as f32, source.size().height as f32);
        let stride = canvas.size().width as usize;
        for y in 0..canvas.size().height as usize {
            for x in 0..stride {
                let (u, v) = ((x as f32 + 0.5 - area.x) / area.width, (y as f32 + 0.5 - area.y) / area.height);
                if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                    let at = (v * sh) as usize * sw as usize + (u * sw) as usize;
                    canvas.planes_mut().y[y * stride + x] = source.planes().y[at];
                }
            }
        }
    }

    fn marked(mark: Mark) -> I420Frame {
        let mut frame = I420Frame::black(Person::SIZE);
        Person::new(1).draw(2.0, Articulation::default(), &mut frame);
        write(&mut frame, mark);
        frame
    }

    #[test]
    fn a_marker_is_read_from_any_usual_tile_of_a_canvas() {
        let mark = Mark { person: 7, frame: 51_234 };
        let source = marked(mark);
        let tiles =
            [(640, 360, 0, 0), (426, 240, 427, 240), (320, 180, 960, 540), (256, 144, 512, 288), (160, 90, 37, 51), (1280, 720, 0, 0)];
        for (w, h, x, y) in tiles {
            let area = Area { x: x as f32, y: y as f32, width: w as f32, height: h as f32 };
            let mut canvas = I420Frame::black(Size::new(1280, 720));
            paste(&source, &mut canvas, area);
            assert_eq!(read(&canvas, area), Some(mark), "{w}x{h} at {x},{y}");
        }
    }

    #[test]
    fn a_marker_survives_being_cut_to_a_tall_or_wide_tile() {
        let mark = Mark { person: 3, frame: 9 };
        let source = marked(mark);
        for tile in [Area { x: 0.0, y: 0.0, width: 640.0, height: 720.0 }, Area { x: 0.0, y: 300.0, width: 1280.0, height: 280.0 }] {
            let whole = tile.covered_by(16.0 / 9.0);
            let mut canvas = I420Frame::black(Size::new(1280, 720));
            paste(&source, &mut canvas, whole);
            assert_eq!(read(&canvas, whole), Some(mark));
            let boxed = tile.containing(16.0 / 9.0);
            let mut canvas = I420Frame::black(Size::new(1280, 720));
            paste(&source, &mut canvas, boxed);
            assert_eq!(read(&canvas, boxed), Some(mark));
        }
    }

    #[test]
    fn pictures_without_a_marker_are_not_read_as_one() {
        for number in 0..4 {
            let mut frame = I420Frame::black(Person::SIZE);
            Person::new(number).draw(1.0, Articulation::default(), &mut frame);
            assert_eq!(read(&frame, Area::whole(&frame)), None);
        }
        let black = I420Frame::black(Size::new(64, 64));
        assert_eq!(read(&black, Area::whole(&black)), None);
        assert_eq!(read(&black, Area { x: -5.0, y: 0.0, width: 10_000.0, height: 64.0 }), None);
    }

    #[test]
    fn a_single_wrong_block_is_noticed() {
        let bits = pack(Mark { person: 200, frame: 4_000 });
        for bit in 0..32 {
            assert_eq!(unpack(bits ^ 1 << bit), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(person: u8, frame: u16, width in 80_u32..400, height in 60_u32..300) {
            let mut picture = I420Frame::black(Size::new(width * 2, height * 2));
            write(&mut picture, Mark { person, frame });
            prop_assert_eq!(read(&picture, Area::whole(&picture)), Some(Mark { person, frame }));
        }
    }
}
