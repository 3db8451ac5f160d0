//! Which rendition a subscriber receives now, and when it changes over: only at a keyframe.

use crate::ids::RenditionId;
use std::time::{Duration, Instant};

/// How often a keyframe is asked for again while the subscriber waits for one.
const REPEAT: Duration = Duration::from_millis(1_000);
/// How much longer a subscriber on a slow link waits before it asks, at first.
const PAUSE: Duration = Duration::from_millis(500);
/// A link that was fast enough for so long is no longer one that is too slow.
const CALM: Duration = Duration::from_secs(30);
/// A time that is further back than this (10 s) is of another clock.
const SAME_CLOCK: u64 = 900_000;

/// The feed of one subscriber.
#[derive(Debug, Default)]
pub struct Feed {
    /// Flows: a keyframe of it has been sent.
    current: Option<RenditionId>,
    /// Shall flow.
    wanted: Option<RenditionId>,
    asked: Option<Instant>,
    /// How often the link has been too slow for this rendition of late, and when last.
    pauses: u32,
    paused: Option<Instant>,
    /// The link carries half of the pictures.
    halved: bool,
    /// RTP time of the picture that was sent last.
    sent: Option<u64>,
}

/// What to do with a coded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// Send it; the rendition that flowed before flows no more.
    Switch {
        left: Option<RenditionId>,
    },
    Drop,
    /// Leave it out: nothing refers to it.
    Skip,
}

impl Feed {
    /// The rendition that the subscriber shall receive; `None`: none.
    pub fn want(&mut self, rendition: Option<RenditionId>) {
        self.wanted = rendition;
        (self.asked, self.pauses) = (None, 0);
        if rendition.is_none() {
            self.current = None;
        }
    }

    /// What flows and is not what shall flow ends now. Returns it.
    pub fn cut(&mut self) -> Option<RenditionId> {
        self.current.take_if(|current| self.wanted != Some(*current))
    }

    /// Whether the pictures of upper layers are left out. They refer to the picture of layer 0 before them alone, so that
    /// they can be taken up again at any time.
    pub fn halve(&mut self, halved: bool) {
        self.halved = halved;
    }

    /// A picture was left out: nothing flows before the next keyframe.
    pub fn interrupt(&mut self) {
        self.current = None;
    }

    /// As [`Feed::interrupt`], because the subscriber's link is too slow: its wish for a keyframe, which all on the rendition
    /// pay for, waits ever longer. Meanwhile the room looks for a thinner rendition.
    pub fn pause(&mut self, now: Instant) {
        self.interrupt();
        if self.paused.replace(now).is_some_and(|paused| now > paused + CALM) {
            self.pauses = 0;
        }
        self.asked = Some(now + PAUSE * (1 << self.pauses.min(4)));
        self.pauses += 1;
    }

    /// Renditions whose pictures concern this feed: the one that flows, and the one that is waited for.
    pub fn renditions(&self) -> impl Iterator<Item = RenditionId> {
        self.current.into_iter().chain(self.wanted.filter(|wanted| self.current != Some(*wanted)))
    }

    /// The rendition whose keyframe is waited for.
    pub fn missing(&self) -> Option<RenditionId> {
        self.wanted.filter(|wanted| self.current != Some(*wanted))
    }

    /// True: ask for a keyframe of the missing rendition now.
    pub fn ask(&mut self, now: Instant) -> bool {
        let due = self.missing().is_some() && self.asked.is_none_or(|asked| now >= asked + REPEAT);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// The RTP time to send a picture with: its own, but past the one before. Where the feed changes
    /// over, both renditions have a picture of the same tick.
    pub fn stamp(&mut self, rtp_time: u64) -> u64 {
        let stamp = match self.sent {
            Some(sent) if (rtp_time..rtp_time.saturating_add(SAME_CLOCK)).contains(&sent) => sent + 1,
            _ => rtp_time,
        };
        self.sent = Some(stamp);
        stamp
    }

    /// One coded picture.
    pub fn picture(&mut self, rendition: RenditionId, keyframe: bool, layer: u8) -> Verdict {
        if self.current == Some(rendition) {
            return if self.halved && layer > 0 { Verdict::Skip } else { Verdict::Send };
        }
        if self.wanted != Some(rendition) || !keyframe {
            return Verdict::Drop;
        }
        self.asked = None;
        Verdict::Switch { left: self.current.replace(rendition) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RenditionId = RenditionId(1);
    const B: RenditionId = RenditionId(2);

    #[test]
    fn nothing_flows_before_a_keyframe() {
        let mut feed = Feed::default();
        feed.want(Some(A));
        assert_eq!(feed.picture(A, false, 0), Verdict::Drop);
        assert_eq!(feed.picture(B, true, 0), Verdict::Drop);
        assert_eq!(feed.picture(A, true, 0), Verdict::Switch { left: None });
        assert_eq!(feed.picture(A, false, 0), Verdict::Send);
    }

    #[test]
    fn the_old_rendition_flows_until_the_keyframe_of_the_new_one() {
        let mut feed = Feed::default();
        feed.want(Some(A));
        feed.picture(A, true, 0);
        feed.want(Some(B));
        assert_eq!(feed.renditions().collect::<Vec<_>>(), [A, B]);
        assert_eq!(feed.picture(A, false, 0), Verdict::Send);
        assert_eq!(feed.picture(B, false, 0), Verdict::Drop);
        assert_eq!(feed.picture(B, true, 0), Verdict::Switch { left: Some(A) });
        assert_eq!(feed.picture(A, true, 0), Verdict::Drop);
        assert_eq!(feed.renditions().collect::<Vec<_>>(), [B]);
    }

    #[test]
    fn a_keyframe_is_asked_for_at_once_and_then_once_a_second() {
        let start = crate::runtime::clock::now();
        let mut feed = Feed::default();
        feed.want(Some(A));
        let asked: Vec<_> = (0..2_500).filter(|ms| feed.ask(start + Duration::from_millis(*ms))).collect();
        assert_eq!(asked, [0, 1_000, 2_000]);
        feed.picture(A, true, 0);
        assert!(!feed.ask(start + Duration::from_secs(9)));
    }

    #[test]
    fn a_slow_link_waits_ever_longer_and_one_that_was_fast_for_a_while_does_not() {
        let start = crate::runtime::clock::now();
        let mut feed = Feed::default();
        feed.want(Some(A));
        let mut wait = |at_s: u64| {
            let now = start + Duration::from_secs(at_s);
            feed.picture(A, true, 0);
            feed.pause(now);
            (0..20_000).find(|ms| feed.ask(now + Duration::from_millis(*ms))).unwrap()
        };
        assert_eq!([0, 20, 40, 60, 80, 100].map(&mut wait), [1_500, 2_000, 3_000, 5_000, 9_000, 9_000]);
        assert_eq!([131, 200].map(wait), [1_500, 1_500]);
    }

    #[test]
    fn time_goes_up_over_a_change_within_one_tick() {
        let mut feed = Feed::default();
        assert_eq!([3_000, 6_000, 6_000, 9_000].map(|time| feed.stamp(time)), [3_000, 6_000, 6_001, 9_000]);
        assert_eq!(feed.stamp(1), 9_001);
        assert_eq!(Feed { sent: Some(90_000_000), ..Feed::default() }.stamp(1), 1);
    }

    #[test]
    fn after_an_interruption_nothing_flows_before_a_keyframe() {
        let mut feed = Feed::default();
        feed.want(Some(A));
        feed.picture(A, true, 0);
        feed.interrupt();
        assert_eq!(feed.picture(A, false, 0), Verdict::Drop);
        assert_eq!(feed.picture(A, true, 0), Verdict::Switch { left: None });
        feed.want(None);
        feed.want(Some(A));
        assert_eq!(feed.picture(A, false, 0), Verdict::Drop);
    }

    #[test]
    fn upper_layers_are_left_out_at_once_and_taken_up_again_without_a_keyframe() {
        let mut feed = Feed::default();
        feed.want(Some(A));
        feed.picture(A, true, 0);
        assert_eq!(feed.picture(A, false, 1), Verdict::Send);
        feed.halve(true);
        assert_eq!([1, 0, 1, 0].map(|layer| feed.picture(A, false, layer)), [Verdict::Skip, Verdict::Send, Verdict::Skip, Verdict::Send]);
        assert_eq!(feed.missing(), None, "nothing is waited for");
        feed.halve(false);
        assert_eq!(feed.picture(A, false, 1), Verdict::Send);
    }
}
