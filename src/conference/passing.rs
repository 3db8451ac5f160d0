//! Pictures that go on to subscribers as they come. What is forwarded and to whom is the room's decision ([`crate::room`]); here
//! senders are connected with the renditions that their pictures are, and looked after.

use super::Conference;
use super::taps::Pass;
use crate::ids::{ParticipantId, RenditionId, Source, TrackId};
use crate::pipeline::keyframes::Need;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether pictures come, and what a camera's pause is that others would see.
const LOOK: Duration = Duration::from_secs(1);
const STALLED: Duration = Duration::from_secs(3);
/// Between two keyframes for those who lost something.
const REPAIRS: Duration = Duration::from_secs(2);

impl Conference {
    /// A track's pictures go on as this rendition, or no longer.
    pub(super) fn pass(&mut self, track: TrackId, rendition: Option<RenditionId>) {
        let mut passes = self.taps.passes();
        match rendition {
            Some(rendition) => passes.insert(track, Arc::new(Pass::new(rendition, self.now))),
            None => passes.remove(&track),
        };
        self.watch_passes = (!passes.is_empty()).then_some(self.now + LOOK);
        self.taps.forward(passes);
    }

    /// The track whose pictures a participant is sent as they come.
    pub(super) fn passed_to(&self, participant: ParticipantId) -> Option<TrackId> {
        let plan = self.room.plan();
        plan.passed(*plan.feeds.get(&participant)?)
    }

    /// Whether a subscriber's wish for a keyframe goes on to the sender. Those of one who loses packets again and again, which all pay
    /// for, do so now and then.
    pub(super) fn may_ask(&self, track: TrackId, need: Need) -> bool {
        need == Need::Joins || self.taps.passes().get(&track).is_some_and(|pass| pass.repair(self.now, REPAIRS))
    }

    /// A camera whose pictures have stopped is composed again, which shows it as somebody who is not there. A screen may rest.
    pub(super) fn watch_passes(&mut self) {
        if self.watch_passes.is_none_or(|due| self.now < due) {
            return;
        }
        let now = self.now;
        self.watch_passes = Some(now + LOOK);
        let stalled = |(track, pass): (&TrackId, &Arc<Pass>)| {
            let silent: Instant = pass.heard() + STALLED;
            (track.source == Source::Camera && now >= silent).then_some(*track)
        };
        let stalled: Vec<TrackId> = self.taps.passes().iter().filter_map(stalled).collect();
        for track in stalled {
            self.room.facts(track, None);
        }
    }
}
