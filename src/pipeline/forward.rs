//! One sender's pictures as they come, for subscribers who see nothing else: no decoder, no canvas and no encoder between.
//!
//! What is forwarded lies on the room's clock as what is composed does, so that a subscriber changes between both at a keyframe and
//! time goes on. After a loss nothing passes before the next keyframe: a subscriber could not tell that pictures are missing.
//! What the pictures are like is measured all the time, also while they are not forwarded.
//!
//! Flow: `VideoIn → measure → Facts`, `VideoIn → picture → VideoOut`.

use crate::media::{Facts, Orientation, VideoIn, VideoOut};
use mixdown_codecs::Size;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rates are measured over this long.
const WINDOW: Duration = Duration::from_secs(1);
/// A rate that differs by less than this share is the same.
const SAME_RATE: f32 = 0.2;
/// After a pause as long as this it is all told again.
const PAUSE: Duration = Duration::from_secs(2);
/// RTP time of the room, and how much of it (100 µs) one picture may be moved by where the sender's clock drifts.
const CLOCK: u128 = 90_000;
const STEP: i64 = 9;
/// Beyond half a second the sender's time has begun anew.
const SAME_START: i64 = 45_000;

/// What becomes of a picture.
#[derive(Debug)]
pub enum Passed {
    Picture(VideoOut),
    /// What it refers to is missing: ask the sender for a keyframe.
    KeyframeNeeded,
}

/// One track.
#[derive(Debug)]
pub struct Forward {
    /// Where the room's media time begins.
    epoch: Instant,
    /// Room time less the sender's.
    offset: Option<i64>,
    last: u64,
    /// Nothing passes before the next keyframe.
    blind: bool,
    size: Option<Size>,
    baseline: bool,
    window: Option<(Instant, u64)>,
    heard: Option<Instant>,
    told: Option<Facts>,
}

impl Forward {
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, offset: None, last: 0, blind: true, size: None, baseline: false, window: None, heard: None, told: None }
    }

    /// What is new about the pictures, with this one.
    pub fn measure(&mut self, picture: &VideoIn) -> Option<Facts> {
        let now = picture.received;
        if picture.size.is_some() {
            (self.size, self.baseline) = (picture.size, picture.baseline);
        }
        if self.heard.replace(now).is_some_and(|heard| now >= heard + PAUSE) {
            (self.window, self.told) = (None, None);
        }
        let (since, bytes) = self.window.get_or_insert((now, 0));
        let passed = now.saturating_duration_since(*since);
        let rate = (passed >= WINDOW).then(|| (*bytes as f64 * 8.0 / passed.as_secs_f64()) as u32);
        if rate.is_some() {
            (*since, *bytes) = (now, 0);
        }
        *bytes += picture.data.len() as u64;
        let known = self.told.map(|told| told.bitrate_bps);
        let near = |rate: &u32| known.is_none_or(|known| rate.abs_diff(known) as f32 > known as f32 * SAME_RATE);
        let bitrate_bps = rate.filter(near).or(known)?;
        let plain = self.baseline && picture.orientation == Orientation::default();
        let facts = Facts { codec: picture.codec, size: self.size?, plain, bitrate_bps };
        (self.told.replace(facts) != Some(facts)).then_some(facts)
    }

    /// One picture to forward.
    pub fn picture(&mut self, picture: &VideoIn) -> Passed {
        if picture.keyframe {
            self.blind = false;
        } else if self.blind || !picture.contiguous {
            self.blind = true;
            return Passed::KeyframeNeeded;
        }
        let rtp_time = self.place(picture);
        let wallclock = self.epoch + Duration::from_micros(rtp_time * 100 / 9);
        Passed::Picture(VideoOut {
            codec: picture.codec,
            data: Arc::clone(&picture.data),
            keyframe: picture.keyframe,
            layer: 0,
            rtp_time,
            wallclock,
        })
    }

    /// A picture was not forwarded, or did not get through: nothing that refers to it may follow.
    pub fn interrupt(&mut self) {
        self.blind = true;
    }

    /// The picture's place in the room's time: as the sender spaces them, and following when they come.
    fn place(&mut self, picture: &VideoIn) -> u64 {
        let due = picture.received + picture.for_sound;
        let since = due.saturating_duration_since(self.epoch).as_micros() * CLOCK / 1_000_000;
        let come = i64::try_from(since).unwrap_or(i64::MAX / 2);
        let sent = (picture.rtp_time & i64::MAX as u64) as i64;
        let offset = self.offset.filter(|offset| come.wrapping_sub(sent.wrapping_add(*offset)).saturating_abs() < SAME_START);
        let offset = offset.unwrap_or(come.wrapping_sub(sent));
        let late = come - sent.wrapping_add(offset);
        self.offset = Some(offset + late.clamp(-STEP, STEP));
        let time = u64::try_from(sent.wrapping_add(offset)).unwrap_or(0).max(self.last + 1);
        self.last = time;
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Source;
    use mixdown_codecs::VideoCodec;

    fn picture(n: u64, start: Instant, keyframe: bool) -> VideoIn {
        VideoIn {
            source: Source::Camera,
            codec: VideoCodec::Vp8,
            data: vec![n as u8; 5_000].into(),
            keyframe,
            size: keyframe.then_some(Size::new(640, 360)),
            baseline: true,
            contiguous: true,
            orientation: Orientation::default(),
            rtp_time: (1 << 32) - 45_000 + n * 3_000,
            received: start + Duration::from_micros(n * 1_000_000 / 30),
            waits: Duration::ZERO,
            for_sound: Duration::ZERO,
        }
    }

    fn time(passed: Passed) -> Option<u64> {
        if let Passed::Picture(picture) = passed { Some(picture.rtp_time) } else { None }
    }

    #[test]
    fn pictures_keep_their_spacing_and_follow_a_clock_that_drifts() {
        let epoch = crate::runtime::clock::now();
        let mut forward = Forward::new(epoch);
        let start = epoch + Duration::from_secs(10);
        let mut last = 0;
        for n in 0..30 * 600 {
            let mut picture = picture(n, start, n == 0);
            picture.received = start + Duration::from_secs_f64(n as f64 / 30.0 * 1.0001) + Duration::from_millis(n * 7 % 20);
            let time = time(forward.picture(&picture)).unwrap();
            assert!(n == 0 || (2_950..3_050).contains(&(time - last)), "{n}: {}", time - last);
            last = time;
        }
        let come = (10.0 + 599.97 * 1.0001) * 90_000.0;
        assert!((last as f64 - come).abs() < 0.03 * 90_000.0, "{last} {come}");
    }

    #[test]
    fn after_a_loss_nothing_passes_before_a_keyframe() {
        let epoch = crate::runtime::clock::now();
        let mut forward = Forward::new(epoch);
        let passes: Vec<bool> = (0..9)
            .map(|n| {
                let contiguous = n != 3;
                time(forward.picture(&VideoIn { contiguous, ..picture(n, epoch, n == 1 || n == 6) })).is_some()
            })
            .collect();
        assert_eq!(passes, [false, true, true, false, false, false, true, true, true]);
        forward.interrupt();
        assert!(time(forward.picture(&picture(9, epoch, false))).is_none());
    }

    #[test]
    fn what_pictures_are_like_is_told_once_and_again_when_it_changes() {
        let epoch = crate::runtime::clock::now();
        let mut forward = Forward::new(epoch);
        let mut told = Vec::new();
        for n in (0..300).chain(450..550) {
            let mut picture = picture(n, epoch, n == 0);
            if n >= 150 {
                picture.data = vec![0; 2_000].into();
            }
            if n >= 500 {
                (picture.size, picture.baseline) = (Some(Size::new(640, 360)), false);
            }
            if (200..450).contains(&n) {
                picture.orientation.quarter_turns = 1;
            }
            told.extend(forward.measure(&picture).map(|facts| (n, facts.bitrate_bps / 100_000, facts.plain)));
        }
        assert_eq!(told.first().map(|(n, rate, plain)| (*n, *rate, *plain)), Some((30, 12, true)), "{told:?}");
        assert!(told.iter().any(|(n, rate, _)| (150..190).contains(n) && *rate < 6) && told.contains(&(200, 4, false)), "{told:?}");
        assert_eq!(told.last(), Some(&(500, 4, false)), "of another profile");
        assert!(
            told.len() <= 7 && told.iter().any(|(n, _, plain)| (450..500).contains(n) && *plain),
            "after a pause it is told anew: {told:?}"
        );
    }
}
