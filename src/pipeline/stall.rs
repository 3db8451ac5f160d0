//! The stall ladder of one visible source: last picture → after 1 s ask for a keyframe, and every
//! second again → after 5 s the avatar → back with the next picture.

use std::time::{Duration, Instant};

pub const ASK_AFTER: Duration = Duration::from_secs(1);
pub const AVATAR_AFTER: Duration = Duration::from_secs(5);

/// What a source's silence calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    pub show: bool,
    pub request_keyframe: bool,
}

#[derive(Debug)]
pub struct Stall {
    /// Screens stand still for long with good reason: their last picture stays.
    keep_last: bool,
    since: Instant,
    asked: Option<Instant>,
}

impl Stall {
    /// `now`: when the source became visible.
    pub fn new(keep_last: bool, now: Instant) -> Self {
        Self { keep_last, since: now, asked: None }
    }

    /// `received`: when the latest picture arrived, if there is one.
    pub fn check(&mut self, received: Option<Instant>, now: Instant) -> Rung {
        let last = received.map_or(self.since, |received| received.max(self.since));
        let silence = now.saturating_duration_since(last);
        if silence < ASK_AFTER {
            self.asked = None;
            return Rung { show: received.is_some(), request_keyframe: false };
        }
        let ask = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AFTER);
        if ask {
            self.asked = Some(now);
        }
        Rung { show: received.is_some() && (self.keep_last || silence < AVATAR_AFTER), request_keyframe: ask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_goes_last_picture_keyframe_request_avatar_and_back() {
        let start = crate::runtime::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stall = Stall::new(false, start);
        let received = Some(at(100));
        assert_eq!(stall.check(received, at(900)), Rung { show: true, request_keyframe: false });
        assert_eq!(stall.check(received, at(1100)), Rung { show: true, request_keyframe: true });
        assert_eq!(stall.check(received, at(1133)), Rung { show: true, request_keyframe: false });
        assert_eq!(stall.check(received, at(2200)), Rung { show: true, request_keyframe: true });
        assert!(!stall.check(received, at(5200)).show);
        assert_eq!(stall.check(Some(at(6000)), at(6010)), Rung { show: true, request_keyframe: false });
    }

    #[test]
    fn a_screen_keeps_its_last_picture() {
        let start = crate::runtime::clock::now();
        let mut stall = Stall::new(true, start);
        assert!(stall.check(Some(start), start + Duration::from_secs(60)).show);
    }
}
