//! The rungs of one canvas, from all of it down to a voice.

use super::{LEAN_BPS, SOUND_BPS, THIN_BPS};
use crate::overload::Step;
use crate::room::model::Canvas;
use crate::room::plan::RenditionKey;
use crate::room::sound::Grade;
use mixdown_codecs::video::BASE_SHARE;
use mixdown_codecs::{Size, VideoCodec};

/// Shorter sides of the smaller pictures.
const SIDES: [u32; 6] = [1080, 720, 540, 360, 270, 180];
/// A rung that takes more than this share of the bits of the one above is none.
const STEP: f64 = 0.8;
/// What a moving picture gets at least, and what it gets at most on the lowest rung, in bits per second.
const LEAST_BPS: u32 = 40_000;
const SLOW_BPS: u32 = 110_000;
/// Beside the least of a moving picture there is a lean sound from here on, and a thin one below.
pub(super) const LEAN_FROM_BPS: u32 = LEAST_BPS + LEAN_BPS;
/// One still picture every few seconds.
pub(super) const STILL_BPS: u32 = 15_000;
/// Below this many pictures per second the rate is not halved.
const LEAST_FPS: u32 = 10;
/// Of a shared screen the rate goes down by these before its size does, which goes no lower than this.
const CALMER: [u32; 2] = [3, 6];
const LEGIBLE: u32 = 360;

/// How a rung moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Every picture of the rendition.
    Whole,
    /// Every second picture of the rendition above: no encode of its own.
    Halved,
    /// A rendition of its own at half the rate, as thin as its subscribers need it.
    Slow,
    /// A picture every few seconds beside the sound.
    Still,
    /// No picture, and a thin voice.
    Voice,
}

/// One step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    pub pace: Pace,
    pub size: Size,
    /// Of the rendition; 0: a still now and then.
    pub fps: u32,
    /// Of the rendition.
    pub bitrate_bps: u32,
    /// What picture and sound need of a link.
    pub needs_bps: u32,
    /// Of a shared screen.
    pub screen: bool,
    /// For those who lose packets, apart from all others.
    pub apart: bool,
}

impl Rung {
    /// The rendition of this rung; `None`: there is no picture.
    pub fn key(&self, codec: VideoCodec) -> Option<RenditionKey> {
        let Self { size, fps, bitrate_bps, screen, apart, .. } = *self;
        (self.pace != Pace::Voice).then_some(RenditionKey { codec, size, fps, bitrate_bps, screen, apart })
    }

    /// A still for whom there is no video: one that can be read, for as many bits.
    pub(super) fn slate(self, size: Size) -> Self {
        Self { size, ..self }
    }

    /// The shorter side of its pictures.
    pub fn lines(&self) -> u32 {
        self.size.width.min(self.size.height)
    }

    /// How much of the sound goes with it at least.
    pub fn grade(&self) -> Grade {
        match self.pace {
            Pace::Whole | Pace::Halved => Grade::Whole,
            Pace::Slow => Grade::Lean,
            Pace::Still | Pace::Voice => Grade::Thin,
        }
    }

    /// The least that the rendition's encoder may be steered to.
    pub fn least_bps(&self) -> u32 {
        match self.pace {
            Pace::Slow => LEAST_BPS.min(self.bitrate_bps),
            _ => self.bitrate_bps / 10 * 7,
        }
    }
}

/// What a canvas gets when nothing limits it; `hd_bps` is that of 1280 × 720 at 30 pictures per second. By pixels to the power
/// of ¾ (larger pictures cost less per pixel at equal quality) and by the square root of the frame rate.
pub fn bitrate(size: Size, fps: u32, hd_bps: u32) -> u32 {
    let pixels = f64::from(size.width) * f64::from(size.height) / (1280.0 * 720.0);
    let share = pixels.powf(0.75) * (f64::from(fps) / 30.0).sqrt();
    ((f64::from(hd_bps) * share / 10_000.0).round() as u32 * 10_000).max(LEAST_BPS)
}

/// The best rung of a ladder that an overloaded server has time for.
pub fn best(rungs: &[Rung], step: Step) -> Option<Rung> {
    let mut whole = rungs.iter().filter(|rung| rung.pace == Pace::Whole);
    let smallest = whole.clone().next_back();
    let best = whole.find(|rung| rung.lines() <= step.lines()).or(smallest).copied()?;
    Some(if step == Step::NoVideo { rungs.get(still(rungs))?.slate(best.size) } else { best })
}

/// Where the stills are.
pub(super) fn still(rungs: &[Rung]) -> usize {
    rungs.iter().position(|rung| rung.pace == Pace::Still).unwrap_or(0)
}

/// All rungs, the best first; the last one always fits. `screen`: most of the canvas is a shared screen, of which letters shall stay
/// legible: the rate of pictures goes before their size.
pub fn ladder(canvas: &Canvas, hd_bps: u32, screen: bool) -> Vec<Rung> {
    let fps = canvas.fps;
    let whole = |size: Size, fps: u32| {
        let bitrate_bps = bitrate(size, fps, hd_bps);
        Rung { pace: Pace::Whole, size, fps, bitrate_bps, needs_bps: bitrate_bps + SOUND_BPS, screen, apart: false }
    };
    let mut last = whole(Size::new(canvas.width, canvas.height), fps);
    let mut rungs = vec![last];
    let calmer = CALMER.into_iter().filter(|part| screen && fps / part > 0).map(|part| whole(last.size, fps / part)).collect::<Vec<_>>();
    let calm = calmer.last().map_or(fps, |rung| rung.fps);
    let least = if screen { LEGIBLE } else { 0 };
    let smaller = SIDES.into_iter().filter(|side| (least..canvas.width.min(canvas.height)).contains(side));
    for lower in calmer.into_iter().chain(smaller.map(|side| whole(scaled(canvas, side), calm))) {
        if f64::from(lower.bitrate_bps) < f64::from(last.bitrate_bps) * STEP {
            rungs.push(lower);
            last = lower;
        }
    }
    if screen {
        return down_to_a_voice(rungs, last, calm);
    }
    let base = (last.bitrate_bps as f32 * BASE_SHARE) as u32;
    if fps >= LEAST_FPS && base > LEAST_BPS {
        rungs.push(Rung { pace: Pace::Halved, needs_bps: base + SOUND_BPS, ..last });
    }
    let slow = if fps >= LEAST_FPS { fps / 2 } else { fps };
    down_to_a_voice(rungs, last, slow)
}

/// The rungs below the last of which all is sent: a picture as thin as it is needed, stills, a voice.
fn down_to_a_voice(mut rungs: Vec<Rung>, last: Rung, slow: u32) -> Vec<Rung> {
    let base = (last.bitrate_bps as f32 * BASE_SHARE) as u32;
    let bitrate_bps = SLOW_BPS.min(base).max(LEAST_BPS);
    if f64::from(bitrate_bps) < f64::from(last.bitrate_bps) * STEP {
        rungs.push(Rung { pace: Pace::Slow, fps: slow, bitrate_bps, needs_bps: LEAST_BPS + THIN_BPS, ..last });
    }
    rungs.push(Rung { pace: Pace::Still, fps: 0, bitrate_bps: STILL_BPS, needs_bps: STILL_BPS + THIN_BPS, ..last });
    rungs.push(Rung { pace: Pace::Voice, fps: 0, bitrate_bps: 0, needs_bps: 0, ..last });
    rungs
}

/// The canvas made smaller, so that its shorter side is `side`.
fn scaled(canvas: &Canvas, side: u32) -> Size {
    let short = canvas.width.min(canvas.height).max(1);
    let scale = |length: u32| ((u64::from(length) * u64::from(side) / u64::from(short)) as u32 & !1).max(16);
    Size::new(scale(canvas.width), scale(canvas.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_goes_from_the_whole_canvas_to_a_voice_and_every_step_is_worth_it() {
        for (width, height, fps, sizes) in [
            (1920, 1080, 30, vec![1080, 720, 540, 360, 270, 180]),
            (1280, 720, 30, vec![720, 540, 360, 270, 180]),
            (720, 1280, 30, vec![720, 540, 360, 270, 180]),
            (640, 360, 60, vec![360, 270, 180]),
            (320, 180, 5, vec![180]),
            (64, 64, 1, vec![64]),
        ] {
            let rungs = ladder(&Canvas { width, height, fps, ..Canvas::default() }, 1_500_000, false);
            let whole: Vec<u32> =
                rungs.iter().filter(|rung| rung.pace == Pace::Whole).map(|rung| rung.size.width.min(rung.size.height)).collect();
            assert_eq!(whole, sizes, "{width}x{height}");
            assert!(rungs.is_sorted_by(|a, b| a.needs_bps > b.needs_bps && a.pace <= b.pace), "{rungs:#?}");
            assert!(rungs.iter().all(|rung| rung.size == rung.size.even()));
            let paces: Vec<Pace> = rungs.iter().map(|rung| rung.pace).filter(|pace| *pace != Pace::Whole).collect();
            let all = [Pace::Halved, Pace::Slow, Pace::Still, Pace::Voice];
            assert_eq!(paces, all[if fps >= LEAST_FPS { 0 } else { 1 + usize::from(width == 64) }..], "{width}x{height}");
            assert_eq!(rungs.last().unwrap().needs_bps, 0);
        }
    }

    #[test]
    fn a_shared_screen_gives_up_motion_before_letters() {
        let rungs = ladder(&Canvas { width: 1920, height: 1080, ..Canvas::default() }, 1_500_000, true);
        let whole: Vec<_> = rungs.iter().filter(|rung| rung.pace == Pace::Whole).map(|rung| (rung.size.height, rung.fps)).collect();
        assert_eq!(whole, [(1080, 30), (1080, 10), (1080, 5), (720, 5), (540, 5), (360, 5)]);
        assert!(rungs.iter().all(|rung| rung.screen && rung.size.height >= 360));
        assert!(rungs.is_sorted_by(|a, b| a.needs_bps > b.needs_bps && a.pace <= b.pace), "{rungs:#?}");
        assert!(ladder(&Canvas { fps: 2, ..Canvas::default() }, 1_500_000, true).iter().all(|rung| rung.fps <= 2));
    }

    #[test]
    fn half_the_frame_rate_is_of_the_same_encode_and_the_slow_one_is_not() {
        let rungs = ladder(&Canvas::default(), 1_500_000, false);
        let key = |pace| rungs.iter().rfind(|rung| rung.pace == pace).unwrap().key(VideoCodec::H264);
        assert_eq!(key(Pace::Halved), key(Pace::Whole));
        assert_ne!(key(Pace::Slow), key(Pace::Whole));
        assert_eq!(key(Pace::Voice), None);
    }
}
