//! Scaled pictures for several canvases: what one has scaled, the others copy.

use mixdown_codecs::{I420Frame, Size};
use std::sync::{Arc, Mutex, PoisonError};

/// Tile sizes kept per source.
const CAPACITY: usize = 8;

/// The scaled versions of one source's newest picture, one per tile size. Whoever holds the source's pictures makes
/// one and hands it out with each of them ([`Picture::scaled`](super::Picture::scaled)) when more than one canvas is drawn.
///
/// The lock belongs to this one source and is held while a version is made: a second canvas waits for it rather
/// than doing the work twice.
#[derive(Debug, Default)]
pub struct Scaled {
    versions: Mutex<Vec<Version>>,
}

#[derive(Debug)]
struct Version {
    picture: Key,
    frame: Arc<I420Frame>,
}

/// Which picture, and how it is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub sequence: u64,
    pub quarter_turns: u8,
    pub flip: bool,
}

impl Scaled {
    /// The version of `picture` at `size`; `make` fills it (from any content) if it does not exist yet.
    pub(super) fn version(&self, picture: Key, size: Size, make: impl FnOnce(&mut I420Frame)) -> Arc<I420Frame> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match versions.iter().position(|version| version.frame.size() == size) {
            Some(index) if versions[index].picture == picture => return Arc::clone(&versions[index].frame),
            Some(index) => index,
            None => {
                if versions.len() >= CAPACITY {
                    // The one that has been kept up to date the longest ago.
                    let oldest = versions.iter().enumerate().min_by_key(|(_, version)| version.picture.sequence);
                    let oldest = oldest.map_or(0, |(index, _)| index);
                    versions.swap_remove(oldest);
                }
                versions.push(Version { picture, frame: Arc::new(I420Frame::black(size)) });
                versions.len() - 1
            }
        };
        let version = &mut versions[index];
        match Arc::get_mut(&mut version.frame) {
            Some(frame) => make(frame),
            None => {
                let mut frame = I420Frame::black(size);
                make(&mut frame);
                version.frame = Arc::new(frame);
            }
        }
        version.picture = picture;
        Arc::clone(&version.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const SIZE: Size = Size::new(4, 4);

    fn key(sequence: u64) -> Key {
        Key { sequence, quarter_turns: 0, flip: false }
    }

    #[test]
    fn a_version_is_made_once_per_picture_and_size() {
        let (scaled, made) = (Scaled::default(), Cell::new(0));
        let ask = |picture, size| scaled.version(picture, size, |_| made.set(made.get() + 1));
        for _ in 0..3 {
            ask(key(1), SIZE);
            ask(key(1), Size::new(8, 8));
        }
        assert_eq!(made.get(), 2);
        ask(key(2), SIZE);
        ask(Key { flip: true, ..key(2) }, SIZE);
        assert_eq!(made.get(), 4);
    }

    #[test]
    fn a_version_that_is_still_held_is_not_overwritten_and_a_free_one_is_used_again() {
        let scaled = Scaled::default();
        let first = scaled.version(key(1), SIZE, |frame| frame.fill(50, 1, 1));
        let second = scaled.version(key(2), SIZE, |frame| frame.fill(60, 1, 1));
        assert_eq!((first.data()[0], second.data()[0]), (50, 60));
        let address = Arc::as_ptr(&second);
        drop(second);
        assert_eq!(Arc::as_ptr(&scaled.version(key(3), SIZE, |_| ())), address);
    }

    #[test]
    fn sizes_that_nobody_asks_for_any_more_make_room() {
        let scaled = Scaled::default();
        for side in 1..40 {
            scaled.version(key(u64::from(side)), Size::new(2 * side, 2), |_| ());
        }
        assert_eq!(scaled.versions.lock().unwrap().len(), CAPACITY);
    }
}
