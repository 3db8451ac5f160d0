//! Raw pictures: planar I420 (BT.601 limited range unless said otherwise), and the pool that
//! recycles them so that the steady state allocates nothing.

use std::sync::Arc;

/// Width × height in luma pixels. Decoded pictures may be odd; canvases and tiles are even.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Width × height of each chroma plane: half, rounded up.
    pub const fn chroma(self) -> Self {
        Self { width: self.width.div_ceil(2), height: self.height.div_ceil(2) }
    }

    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The same size with both sides rounded down to even numbers, at least 2 × 2.
    pub fn even(self) -> Self {
        Self { width: (self.width & !1).max(2), height: (self.height & !1).max(2) }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// One picture: Y (width × height), then U and V (each ⌈width/2⌉ × ⌈height/2⌉), tightly packed
/// (stride = plane width) in one buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct I420Frame {
    size: Size,
    data: Box<[u8]>,
}

/// The three planes of a picture, read-only, with their strides in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    pub y: &'a [u8],
    pub u: &'a [u8],
    pub v: &'a [u8],
    pub y_stride: usize,
    pub uv_stride: usize,
}

/// The three planes of a picture, writable; strides as in [`Planes`].
#[derive(Debug)]
pub struct PlanesMut<'a> {
    pub y: &'a mut [u8],
    pub u: &'a mut [u8],
    pub v: &'a mut [u8],
    pub y_stride: usize,
    pub uv_stride: usize,
}

impl I420Frame {
    /// A black picture (Y 16, U and V 128).
    pub fn black(size: Size) -> Self {
        let mut frame = Self { size, data: vec![16; size.pixels() + 2 * size.chroma().pixels()].into() };
        frame.data[size.pixels()..].fill(128);
        frame
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// All three planes in one slice: Y, U, V.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    pub fn planes(&self) -> Planes<'_> {
        let (y, uv) = self.data.split_at(self.size.pixels());
        let (u, v) = uv.split_at(self.size.chroma().pixels());
        Planes { y, u, v, y_stride: self.size.width as usize, uv_stride: self.size.chroma().width as usize }
    }

    pub fn planes_mut(&mut self) -> PlanesMut<'_> {
        let (y, uv) = self.data.split_at_mut(self.size.pixels());
        let (u, v) = uv.split_at_mut(self.size.chroma().pixels());
        PlanesMut { y, u, v, y_stride: self.size.width as usize, uv_stride: self.size.chroma().width as usize }
    }

    /// Fills the whole picture with one colour.
    pub fn fill(&mut self, y: u8, u: u8, v: u8) {
        let planes = self.planes_mut();
        planes.y.fill(y);
        planes.u.fill(u);
        planes.v.fill(v);
    }
}

impl std::fmt::Debug for I420Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "I420Frame({})", self.size)
    }
}

/// Recycles pictures of one size: a picture comes back by itself when its last reader drops it.
///
/// [`FramePool::acquire`] hands out a picture nobody else holds; fill it through [`Arc::get_mut`],
/// then [`FramePool::share`] it. The pool keeps at most [`FramePool::CAPACITY`] pictures, gives back to the system what
/// it has not needed for [`FramePool::ROUND`] pictures, and forgets them all when another size is asked for.
#[derive(Debug, Default)]
pub struct FramePool {
    frames: Vec<Arc<I420Frame>>,
    /// Pictures handed out in this round, and the fewest that lay unused meanwhile.
    acquired: usize,
    unused: usize,
}

impl FramePool {
    pub const CAPACITY: usize = 12;
    /// Two seconds of a usual sender.
    pub const ROUND: usize = 60;

    /// A picture of `size` with undefined content and exactly one owner.
    pub fn acquire(&mut self, size: Size) -> Arc<I420Frame> {
        if self.frames.first().is_some_and(|frame| frame.size() != size) {
            self.frames.clear();
        }
        self.trim();
        match self.frames.iter().position(|frame| Arc::strong_count(frame) == 1) {
            Some(free) => self.frames.swap_remove(free),
            None => Arc::new(I420Frame::black(size)),
        }
    }

    /// After a burst that needed many pictures only as many stay as are in use, and one.
    fn trim(&mut self) {
        let unused = self.frames.iter().filter(|frame| Arc::strong_count(frame) == 1).count();
        self.unused = if self.acquired == 0 { unused } else { self.unused.min(unused) };
        self.acquired += 1;
        if self.acquired < Self::ROUND {
            return;
        }
        self.acquired = 0;
        // One is for the picture that comes now, one for the next longer wait.
        for _ in 3..=self.unused {
            if let Some(free) = self.frames.iter().position(|frame| Arc::strong_count(frame) == 1) {
                self.frames.swap_remove(free);
            }
        }
    }

    /// Keeps a second handle to `frame`, so that it can be used again once all others are dropped.
    pub fn share(&mut self, frame: Arc<I420Frame>) -> Arc<I420Frame> {
        if self.frames.len() < Self::CAPACITY {
            self.frames.push(Arc::clone(&frame));
        }
        frame
    }
}

/// Copies a plane of `size` whose rows lie `stride` bytes apart into the tightly packed `target`.
pub(crate) fn copy_plane(source: &[u8], stride: usize, target: &mut [u8], size: Size) {
    let width = size.width as usize;
    for (from, to) in source.chunks(stride).zip(target.chunks_exact_mut(width)) {
        to.copy_from_slice(&from[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_pictures_have_rounded_up_chroma() {
        let frame = I420Frame::black(Size::new(321, 241));
        assert_eq!(frame.data().len(), 321 * 241 + 2 * 161 * 121);
        assert_eq!(frame.planes().uv_stride, 161);
    }

    #[test]
    fn a_dropped_picture_is_used_again_and_a_held_one_is_not() {
        let mut pool = FramePool::default();
        let size = Size::new(4, 4);
        let first = pool.acquire(size);
        let first = pool.share(first);
        let address = Arc::as_ptr(&first);
        let second = pool.acquire(size);
        assert_ne!(address, Arc::as_ptr(&second));
        drop(first);
        let third = pool.acquire(size);
        assert_eq!(address, Arc::as_ptr(&third));
    }

    #[test]
    fn what_a_burst_needed_is_given_back_and_what_is_in_use_stays() {
        let mut pool = FramePool::default();
        let size = Size::new(4, 4);
        let burst: Vec<_> = (0..9).map(|_| pool.acquire(size)).collect();
        let burst: Vec<_> = burst.into_iter().map(|frame| pool.share(frame)).collect();
        drop(burst);
        let mut shown = std::collections::VecDeque::new();
        for _ in 0..3 * FramePool::ROUND {
            let frame = pool.acquire(size);
            shown.push_back(pool.share(frame));
            if shown.len() > 2 {
                shown.pop_front();
            }
        }
        assert_eq!(pool.frames.len(), 4, "two in use, the one that is drawn, and one");
    }
}
