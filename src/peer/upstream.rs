//! How much one sender is asked to send at most: what the tiles that show their pictures are worth.
//!
//! Told by REMB (draft-alvestrand-rmcat-remb §2.2), which senders take as a bound on what they find out by themselves: a browser's encoder
//! stays below it, and of a simulcast camera it lets go of the layers that do not fit. It bounds all that a connection sends. Pure.

use crate::ids::Source;
use std::time::{Duration, Instant};

/// A limit is told again after this long: reports get lost.
const REPEAT: Duration = Duration::from_secs(2);
/// Of a picture with 720 lines and 30 pictures per second.
const HD_BPS: f64 = 2_500_000.0;
/// For a picture that nobody sees: enough to be there, small, when it is wanted. With what a microphone leaves of the sound's share it must be too little
/// for the second layer of a simulcast camera, which begins at 150 kb/s.
const UNSEEN_BPS: u32 = 150_000;
/// A microphone, and a screen's sound beside it, with redundancy.
const SOUND_BPS: u32 = 100_000;
const SCREEN_SOUND_BPS: u32 = 200_000;
/// A simulcast sender gives to its smaller layers first.
const LAYERED: f64 = 1.35;
/// Text must be sharp, whatever the size of its tile.
const SCREEN_BPS: u32 = 2_500_000;

/// What is known of one of a sender's pictures.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    pub source: Source,
    /// Lines of the largest tile, 0: nowhere seen; `None`: nobody has said.
    pub height: Option<u32>,
    pub layered: bool,
}

impl Shown {
    fn worth_bps(self) -> Option<u32> {
        let height = self.height?;
        Some(match self.source {
            _ if height == 0 => UNSEEN_BPS,
            Source::Screen => SCREEN_BPS,
            _ => {
                let share = (f64::from(height) / 720.0).powf(1.5) * if self.layered { LAYERED } else { 1.0 };
                (HD_BPS * share) as u32
            }
        })
    }
}

/// The limit of all pictures together with their sound; `None`: there is none.
pub fn limit(shown: impl Iterator<Item = Shown>) -> Option<u32> {
    let with_sound = |shown: Shown| {
        let sound = if shown.source == Source::Screen { SCREEN_SOUND_BPS } else { 0 };
        shown.worth_bps().map(|bps| bps.saturating_add(sound))
    };
    shown.map(with_sound).sum::<Option<u32>>().filter(|bps| *bps > 0).map(|bps| bps.saturating_add(SOUND_BPS))
}

/// When one sender is told what limit.
#[derive(Debug, Default)]
pub struct Upstream {
    limit: Option<u32>,
    due: Option<Instant>,
}

impl Upstream {
    /// The limit as of now. A new one is told at once.
    pub fn limit(&mut self, limit: Option<u32>, now: Instant) {
        if self.limit != limit {
            self.limit = limit;
            self.due = limit.map(|_| now);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What to tell now, in bits per second.
    pub fn poll(&mut self, now: Instant) -> Option<u32> {
        self.due.filter(|due| *due <= now)?;
        self.due = Some(now + REPEAT);
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(height: u32, layered: bool) -> Shown {
        Shown { source: Source::Camera, height: Some(height), layered }
    }

    #[test]
    fn larger_tiles_are_worth_more_and_unseen_ones_next_to_nothing() {
        let of = |shown: Shown| limit([shown].into_iter()).unwrap();
        let worth: Vec<u32> = [0, 180, 360, 720, 1080].map(|height| of(camera(height, false))).to_vec();
        assert!(worth.is_sorted_by(|a, b| a < b), "{worth:?}");
        assert!(of(camera(360, true)) > of(camera(360, false)));
        assert!(of(Shown { source: Source::Screen, ..camera(180, false) }) > of(camera(360, false)), "text stays sharp in a small tile");
        assert_eq!(limit([Shown { height: None, ..camera(0, false) }, camera(0, false)].into_iter()), None, "unknown is unlimited");
        assert_eq!(limit(std::iter::empty()), None);
    }

    #[test]
    fn a_limit_is_told_at_once_and_repeated_for_what_was_lost() {
        let start = crate::runtime::clock::now();
        let mut upstream = Upstream::default();
        let mut told = Vec::new();
        for ms in (0..7_000).step_by(100) {
            let now = start + Duration::from_millis(ms);
            upstream.limit(Some(if ms < 2_500 { 500_000 } else { 900_000 }), now);
            told.extend(upstream.poll(now).map(|bps| (ms, bps)));
        }
        assert_eq!(told, [(0, 500_000), (2_000, 500_000), (2_500, 900_000), (4_500, 900_000), (6_500, 900_000)]);
        assert_eq!(upstream.poll(start), None);
    }
}
