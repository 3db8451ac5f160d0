//! Rectangles of one plane: rows of bytes, some stride apart.

use crate::Rect;
use mixdown_codecs::{I420Frame, Size};

/// A readable rectangle of a plane.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    data: &'a [u8],
    stride: usize,
    pub width: usize,
    pub height: usize,
}

/// A writable rectangle of a plane.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    data: &'a mut [u8],
    stride: usize,
    pub width: usize,
    pub height: usize,
}

/// The bytes from (x, y) on that hold `height` rows of `width`, or nothing where they do not exist.
fn extent(length: usize, stride: usize, (x, y, width, height): (usize, usize, usize, usize)) -> Option<std::ops::Range<usize>> {
    if width == 0 || height == 0 || x + width > stride {
        return None;
    }
    let start = y * stride + x;
    let end = start + (height - 1) * stride + width;
    (end <= length).then_some(start..end)
}

impl<'a> Plane<'a> {
    /// `height` rows of `width` bytes, `stride` apart; empty if `data` does not hold that much.
    pub fn new(data: &'a [u8], stride: usize, width: usize, height: usize) -> Self {
        Self { data: &[], stride, width: 0, height: 0 }.filled(data, stride, (0, 0, width, height))
    }

    /// The rectangle at (x, y); empty if it does not lie inside.
    pub fn crop(self, x: usize, y: usize, width: usize, height: usize) -> Self {
        if x + width > self.width || y + height > self.height {
            return Self { data: &[], stride: self.stride, width: 0, height: 0 };
        }
        Self { data: &[], ..self }.filled(self.data, self.stride, (x, y, width, height))
    }

    fn filled(self, data: &'a [u8], stride: usize, area: (usize, usize, usize, usize)) -> Self {
        match extent(data.len(), stride, area).and_then(|range| data.get(range)) {
            Some(data) => Self { data, stride, width: area.2, height: area.3 },
            None => Self { data: &[], stride, width: 0, height: 0 },
        }
    }

    /// All bytes from the first row's first to the last row's last, what lies between the rows included.
    pub fn packed(&self) -> &'a [u8] {
        self.data
    }

    /// Row `y`, which must be below `height`.
    pub fn row(&self, y: usize) -> &'a [u8] {
        let start = y * self.stride;
        &self.data[start..start + self.width]
    }
}

impl<'a> PlaneMut<'a> {
    /// The rectangle at (x, y) of a plane; empty if it does not lie inside.
    pub fn new(data: &'a mut [u8], stride: usize, area: (usize, usize, usize, usize)) -> Self {
        match extent(data.len(), stride, area) {
            Some(range) => Self { data: &mut data[range], stride, width: area.2, height: area.3 },
            None => Self { data: &mut [], stride, width: 0, height: 0 },
        }
    }

    /// Row `y`, which must be below `height`.
    pub fn row(&mut self, y: usize) -> &mut [u8] {
        let start = y * self.stride;
        &mut self.data[start..start + self.width]
    }

    pub fn fill(&mut self, value: u8) {
        for y in 0..self.height {
            self.row(y).fill(value);
        }
    }
}

/// The Y, U and V planes of a whole picture.
pub fn planes(frame: &I420Frame) -> [Plane<'_>; 3] {
    let (size, chroma) = (frame.size(), frame.size().chroma());
    let planes = frame.planes();
    let plane = |data, stride, size: Size| Plane::new(data, stride, size.width as usize, size.height as usize);
    [plane(planes.y, planes.y_stride, size), plane(planes.u, planes.uv_stride, chroma), plane(planes.v, planes.uv_stride, chroma)]
}

/// The Y, U and V planes within `rect`, which is even.
pub fn planes_mut(frame: &mut I420Frame, rect: Rect) -> [PlaneMut<'_>; 3] {
    let planes = frame.planes_mut();
    let [x, y, width, height] = [rect.x, rect.y, rect.width, rect.height].map(|side| side as usize);
    let half = (x / 2, y / 2, width / 2, height / 2);
    [
        PlaneMut::new(planes.y, planes.y_stride, (x, y, width, height)),
        PlaneMut::new(planes.u, planes.uv_stride, half),
        PlaneMut::new(planes.v, planes.uv_stride, half),
    ]
}

/// Fills `rect` with one colour.
pub fn fill(frame: &mut I420Frame, rect: Rect, colour: super::Yuv) {
    for (mut plane, value) in planes_mut(frame, rect).into_iter().zip([colour.y, colour.u, colour.v]) {
        plane.fill(value);
    }
}

/// Copies what is in `rect` from another frame of the same size.
pub fn copy(from: &I420Frame, frame: &mut I420Frame, rect: Rect) {
    let halves = [1, 2, 2];
    for ((source, mut target), shrink) in planes(from).into_iter().zip(planes_mut(frame, rect)).zip(halves) {
        let (x, y) = (rect.x as usize / shrink, rect.y as usize / shrink);
        let source = source.crop(x, y, target.width, target.height);
        for y in 0..target.height.min(source.height) {
            target.row(y).copy_from_slice(source.row(y));
        }
    }
}

/// Copies what is in `rect` to the end of an emptied `into`.
pub fn save(frame: &mut I420Frame, rect: Rect, into: &mut Vec<u8>) {
    into.clear();
    for mut plane in planes_mut(frame, rect) {
        for y in 0..plane.height {
            into.extend_from_slice(plane.row(y));
        }
    }
}

/// Leaves `opacity` / 255 of what is in `rect`, over what was [`save`]d of it.
pub fn mix(frame: &mut I420Frame, rect: Rect, below: &[u8], opacity: u8) {
    let (upper, lower) = (u32::from(opacity), u32::from(u8::MAX - opacity));
    let mut rows = below;
    for mut plane in planes_mut(frame, rect) {
        for y in 0..plane.height {
            let (row, rest) = rows.split_at(plane.width.min(rows.len()));
            rows = rest;
            for (out, below) in plane.row(y).iter_mut().zip(row) {
                *out = ((u32::from(*out) * upper + u32::from(*below) * lower + 127) / 255) as u8;
            }
        }
    }
}
