//! The smaller pictures of a canvas: scaled from it, once per size, tick and change, and only for renditions that are encoded now.

use super::pool::Pool;
use crate::ledger::{Bill, Stage};
use mixdown_codecs::{I420Frame, Size};
use mixdown_layouts::draw::Reducer;

#[derive(Debug, Default)]
pub struct Sizes {
    smaller: Vec<Smaller>,
}

#[derive(Debug)]
struct Smaller {
    frame: I420Frame,
    reducer: Reducer,
    /// The canvas has changed since.
    stale: bool,
    wanted: bool,
}

impl Sizes {
    /// The canvas has changed.
    pub fn spoil(&mut self) {
        self.smaller.iter_mut().for_each(|smaller| smaller.stale = true);
    }

    /// Has these sizes ready; other sizes that nobody named in `kept` go.
    pub fn prepare(
        &mut self,
        canvas: &I420Frame,
        wanted: impl Iterator<Item = Size>,
        kept: impl Fn(Size) -> bool,
        pool: &Pool,
        bill: &Bill,
    ) {
        self.smaller.retain(|smaller| kept(smaller.frame.size()) && smaller.frame.size() != canvas.size());
        self.smaller.iter_mut().for_each(|smaller| smaller.wanted = false);
        for size in wanted.filter(|size| *size != canvas.size()) {
            match self.smaller.iter_mut().find(|smaller| smaller.frame.size() == size) {
                Some(smaller) => smaller.wanted = true,
                None => {
                    let (frame, reducer) = (I420Frame::black(size), Reducer::default());
                    self.smaller.push(Smaller { frame, reducer, stale: true, wanted: true });
                }
            }
        }
        pool.each(&mut self.smaller, |smaller| {
            if smaller.wanted && std::mem::take(&mut smaller.stale) {
                let (_, spent) = pool.measure(|| smaller.reducer.reduce(canvas, &mut smaller.frame));
                bill.cpu(Stage::Compose, spent.map(|spent| spent.cpu).unwrap_or_default());
            }
        });
    }

    /// The canvas in this size, if it has been prepared.
    pub fn get<'a>(&'a self, canvas: &'a I420Frame, size: Size) -> Option<&'a I420Frame> {
        if canvas.size() == size {
            return Some(canvas);
        }
        self.smaller.iter().map(|smaller| &smaller.frame).find(|frame| frame.size() == size)
    }
}
