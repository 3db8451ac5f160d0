//! Which pictures of senders are wanted, and how large: decoded while somebody sees them, and asked for accordingly.

use super::Conference;
use crate::ids::TrackId;
use crate::net;
use crate::overload::Step;
use std::time::Duration;

/// How long a track that no canvas shows any more goes on being decoded: who comes back into the picture, as the next speaker or with the
/// next layout, is there at once, and not after a keyframe.
const LINGER: Duration = Duration::from_secs(10);
/// Lines of a track that is recorded as it comes.
const WHOLE: u32 = 1080;

impl Conference {
    /// Somebody sees the track, in a tile of this height; 0: nobody any more, which counts after [`LINGER`], where there is time for that.
    pub(super) fn want(&mut self, track: TrackId, height: u32) {
        if height == 0 && !self.room.plan().canvases.is_empty() && self.room.step() < Step::FewTiles {
            self.lingering.insert(track, self.now + LINGER);
            return;
        }
        self.lingering.remove(&track);
        self.video.set_visible(track, height > 0 && !self.room.plan().untouched.contains(&track));
        self.ask(track, height);
    }

    pub(super) fn unwanted(&self, track: TrackId) {
        self.video.set_visible(track, false);
        self.ask(track, 0);
    }

    /// Whether somebody sees the track, or did a moment ago.
    pub(super) fn is_wanted(&self, track: TrackId) -> bool {
        self.room.plan().wanted.contains_key(&track) || self.lingering.contains_key(&track)
    }

    /// Tells a track's sender how many lines of it are seen. Recorded as it comes it is wanted whole.
    pub(super) fn ask(&self, track: TrackId, height: u32) {
        let height = if self.taps.records(track) { height.max(WHOLE) } else { height };
        self.tell_net(net::Command::Want { track, height });
    }
}
