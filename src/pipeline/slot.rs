//! The slot between a track's decoder and the canvases: the newest picture whose time has come wins, readers never
//! wait for a decoder.
//!
//! As a rule a picture's time comes with the picture, and the slot holds that one alone. Where pictures arrive
//! unevenly ([`crate::peer`] says when each is due) a few wait in order; beyond [`MAX_WAITING`] pictures or [`MAX_PIXELS`] the oldest goes.

use crate::media::Orientation;
use mixdown_codecs::I420Frame;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Pictures that wait for their time: those of the longest delay at 30 fps, and a few more.
const MAX_WAITING: usize = 12;
/// Luma pixels of all that wait together: three of 1080p, all of 640×360.
const MAX_PIXELS: usize = 6_500_000;

/// A decoded picture of a track.
#[derive(Debug, Clone)]
pub struct Shown {
    pub frame: Arc<I420Frame>,
    pub orientation: Orientation,
    /// Counts up with every picture of the track.
    pub sequence: u64,
    /// When its last packet arrived.
    pub received: Instant,
    /// From when on it is shown.
    pub due: Instant,
    /// From when on it could be: decoded, as long as that takes as a rule.
    pub ready: Instant,
}

#[derive(Debug, Default)]
pub struct Slot(Mutex<Pictures>);

#[derive(Debug, Default)]
struct Pictures {
    latest: Option<Shown>,
    waiting: VecDeque<Shown>,
}

impl Slot {
    /// Puts a newer picture in. One that is due at once drops all before it.
    pub fn put(&self, shown: Shown) {
        let mut pictures = self.lock();
        if shown.due <= shown.received {
            pictures.waiting.clear();
            pictures.latest = Some(shown);
            return;
        }
        let fits = (MAX_PIXELS / shown.frame.size().pixels().max(1)).clamp(1, MAX_WAITING);
        pictures.waiting.push_back(shown);
        while pictures.waiting.len() > fits {
            pictures.latest = pictures.waiting.pop_front();
            metrics::counter!("mixdown_drops_total", "reason" => "pictures_waiting").increment(1);
        }
    }

    /// The newest picture whose time has come at `now`.
    pub fn latest(&self, now: Instant) -> Option<Shown> {
        let mut pictures = self.lock();
        if let Some(at) = pictures.waiting.iter().rposition(|shown| shown.due <= now) {
            let newest = pictures.waiting.drain(..=at).next_back();
            pictures.latest = newest;
        }
        pictures.latest.clone()
    }

    pub fn clear(&self) {
        *self.lock() = Pictures::default();
    }

    fn lock(&self) -> MutexGuard<'_, Pictures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixdown_codecs::Size;
    use std::time::Duration;

    fn picture(sequence: u64, size: Size, received: Instant, wait_ms: u64) -> Shown {
        let frame = Arc::new(I420Frame::black(size));
        let due = received + Duration::from_millis(wait_ms);
        Shown { frame, orientation: Orientation::default(), sequence, received, due, ready: due }
    }

    fn seen(slot: &Slot, now: Instant) -> Option<u64> {
        slot.latest(now).map(|shown| shown.sequence)
    }

    #[test]
    fn the_newest_picture_wins_and_those_before_it_are_gone() {
        let now = crate::runtime::clock::now();
        let slot = Slot::default();
        let size = Size::new(16, 16);
        slot.put(picture(1, size, now, 50));
        slot.put(picture(2, size, now, 0));
        assert_eq!(seen(&slot, now), Some(2));
        assert_eq!(seen(&slot, now + Duration::from_secs(1)), Some(2));
        slot.clear();
        assert_eq!(seen(&slot, now), None);
    }

    #[test]
    fn pictures_that_arrive_in_a_bunch_are_shown_one_after_another() {
        let now = crate::runtime::clock::now();
        let slot = Slot::default();
        for n in 0..4 {
            slot.put(picture(n, Size::new(16, 16), now, 10 + n * 33));
        }
        let at = |ms| seen(&slot, now + Duration::from_millis(ms));
        assert_eq!([0, 16, 49, 82, 115].map(at), [None, Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn few_large_pictures_wait_and_the_oldest_makes_room() {
        let now = crate::runtime::clock::now();
        for (size, most) in [(Size::new(1920, 1088), 3), (Size::new(640, 360), MAX_WAITING)] {
            let slot = Slot::default();
            for n in 0..20 {
                slot.put(picture(n, size, now, 100));
            }
            assert_eq!(slot.lock().waiting.len(), most);
            assert_eq!(seen(&slot, now), Some(19 - most as u64));
        }
    }
}
