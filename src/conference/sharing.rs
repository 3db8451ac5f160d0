//! How many subscribers share how many encodes, over all rooms: `mixdown_encode_sharing_ratio`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Debug, Default)]
pub struct Sharing {
    feeds: AtomicI64,
    renditions: AtomicI64,
}

impl Sharing {
    fn change(&self, feeds: i64, renditions: i64) {
        self.feeds.fetch_add(feeds, Ordering::Relaxed);
        self.renditions.fetch_add(renditions, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        let feeds = self.feeds.load(Ordering::Relaxed) as f64;
        let renditions = self.renditions.load(Ordering::Relaxed) as f64;
        metrics::gauge!("mixdown_feeds").set(feeds);
        metrics::gauge!("mixdown_renditions").set(renditions);
        metrics::gauge!("mixdown_encode_sharing_ratio").set(if renditions > 0.0 { feeds / renditions } else { 0.0 });
    }
}

/// One room's part in it; given back when it is dropped, however the room ends.
#[derive(Debug)]
pub struct Share {
    all: Arc<Sharing>,
    feeds: i64,
    renditions: i64,
}

impl Share {
    pub fn new(all: Arc<Sharing>) -> Self {
        Self { all, feeds: 0, renditions: 0 }
    }

    pub fn feeds(&mut self, change: i64) {
        self.feeds += change;
        self.all.change(change, 0);
    }

    pub fn renditions(&mut self, change: i64) {
        self.renditions += change;
        self.all.change(0, change);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.change(-self.feeds, -self.renditions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_ends_in_any_way_leaves_nothing_in_the_figures() {
        let all = Arc::new(Sharing::default());
        let mut share = Share::new(Arc::clone(&all));
        share.feeds(3);
        share.renditions(2);
        assert_eq!((all.feeds.load(Ordering::Relaxed), all.renditions.load(Ordering::Relaxed)), (3, 2));
        drop(share);
        assert_eq!((all.feeds.load(Ordering::Relaxed), all.renditions.load(Ordering::Relaxed)), (0, 0));
    }
}
