//! Makes sound shorter or longer by whole periods of its pitch, so that neither its pitch nor its timbre changes.
//!
//! Looks for the lag at which the sound is most like itself (normalised cross-correlation, first at 12 kHz mono,
//! then exactly), and cross-fades over the cut. The idea is that of WSOLA and of NetEq's accelerate and
//! pre-emptive expand. Works in place on interleaved stereo, allocates nothing but room at the end.

/// Frames in one sample of the coarse search.
const COARSE: usize = 4;
/// Shortest and longest lag: 2.5–12.5 ms, 80–400 Hz and its harmonics.
const SHORTEST: usize = 120;
pub const LONGEST: usize = 600;
/// Frames of the cross-fade.
const FADE: usize = 240;
/// Longest stretch that is looked at: 40 ms.
const REGION: usize = 1_920;

/// Frames that the region must have at least.
pub const LEAST: usize = SHORTEST + FADE;

/// How alike the two ends of a cut must be, −1…1.
#[derive(Debug, Clone, Copy)]
pub struct Likeness(pub f32);

/// Takes at most `most` frames out of `pcm` after frame `start`. Returns how many.
pub fn shorten(pcm: &mut Vec<f32>, start: usize, most: usize, least: Likeness) -> usize {
    let Some((at, lag)) = find(pcm, start, most, least) else { return 0 };
    for n in 0..FADE {
        let later = n as f32 / FADE as f32;
        for side in 0..2 {
            let (one, other) = ((at + n) * 2 + side, (at + n + lag) * 2 + side);
            pcm[one] += (pcm[other] - pcm[one]) * later;
        }
    }
    pcm.copy_within((at + FADE + lag) * 2.., (at + FADE) * 2);
    pcm.truncate(pcm.len() - lag * 2);
    lag
}

/// Puts at most `most` frames into `pcm` after frame `start`. Returns how many.
pub fn lengthen(pcm: &mut Vec<f32>, start: usize, most: usize, least: Likeness) -> usize {
    let Some((at, lag)) = find(pcm, start, most, least) else { return 0 };
    let end = pcm.len();
    pcm.resize(end + lag * 2, 0.0);
    pcm.copy_within(at * 2..end, (at + lag) * 2);
    // What follows frame `at + lag` is now what followed `at`; the fade leads there from what was there before.
    for n in 0..FADE {
        let later = n as f32 / FADE as f32;
        for side in 0..2 {
            let (new, old) = ((at + lag + n) * 2 + side, (at + lag + lag + n) * 2 + side);
            pcm[new] = pcm[old] + (pcm[new] - pcm[old]) * later;
        }
    }
    lag
}

/// The best place and lag within the last frames of `pcm`.
fn find(pcm: &[f32], start: usize, most: usize, least: Likeness) -> Option<(usize, usize)> {
    let frames = pcm.len() / 2;
    let start = start.max(frames.saturating_sub(REGION));
    let length = frames.checked_sub(start).filter(|length| *length >= LEAST)?;
    let longest = LONGEST.min(most).min(length - FADE);
    if longest < SHORTEST {
        return None;
    }
    let mut coarse = [0.0f32; REGION / COARSE];
    let coarse = &mut coarse[..length / COARSE];
    for (value, frames) in coarse.iter_mut().zip(pcm[start * 2..].chunks_exact(COARSE * 2)) {
        *value = frames.iter().sum();
    }
    let lags = SHORTEST / COARSE..=(longest / COARSE).min(coarse.len().checked_sub(FADE / COARSE)?);
    let (rough, _) = best(lags, |lag| likeness(coarse, 1, FADE / COARSE, lag))?;
    let around = (rough * COARSE).saturating_sub(COARSE).max(SHORTEST)..=(rough * COARSE + COARSE).min(longest);
    let (lag, alike) = best(around, |lag| likeness(&pcm[start * 2..], 2, FADE, lag))?;
    (alike >= least.0).then_some((start, lag))
}

fn best(lags: std::ops::RangeInclusive<usize>, likeness: impl Fn(usize) -> f32) -> Option<(usize, f32)> {
    lags.map(|lag| (lag, likeness(lag))).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Normalised correlation of the first `length` frames with those `lag` later. Silence is like anything.
fn likeness(pcm: &[f32], channels: usize, length: usize, lag: usize) -> f32 {
    let (one, other) = (&pcm[..length * channels], &pcm[lag * channels..][..length * channels]);
    let (mut both, mut first, mut second) = (0.0f32, 0.0f32, 0.0f32);
    for (a, b) in one.iter().zip(other) {
        both += a * b;
        first += a * a;
        second += b * b;
    }
    let power = (first * second).sqrt();
    if power < 1e-9 { 1.0 } else { both / power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::fake::{Dice, tone_level};

    fn tone(frames: usize, hz: f64) -> Vec<f32> {
        (0..frames).flat_map(|n| [(n as f64 * hz / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.5; 2]).collect()
    }

    fn steepest(pcm: &[f32]) -> f32 {
        pcm.windows(3).step_by(2).map(|w| (w[2] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_tone_stays_that_tone_when_shortened_and_lengthened() {
        for hz in [110.0, 173.0, 440.0, 997.0, 3000.0] {
            let source = tone(48_000, hz);
            let (mut short, mut long) = (Vec::new(), Vec::new());
            let (mut taken, mut given) = (0, 0);
            for packet in source.chunks(1920) {
                short.extend_from_slice(packet);
                long.extend_from_slice(packet);
                let from = |pcm: &Vec<f32>| (pcm.len() / 2 - 960).max(16);
                let start = from(&short);
                taken += shorten(&mut short, start, 600, Likeness(0.9));
                let start = from(&long);
                given += lengthen(&mut long, start, 600, Likeness(0.9));
            }
            assert!(taken > 6_000 && given > 6_000, "{hz}: {taken}, {given}");
            assert_eq!(short.len(), (48_000 - taken) * 2);
            assert_eq!(long.len(), (48_000 + given) * 2);
            for pcm in [&short, &long] {
                assert!(steepest(pcm) < steepest(&source) * 1.15, "{hz}: {} and {}", steepest(pcm), steepest(&source));
                let level = tone_level(&pcm[..24_000], hz);
                assert!(level > 0.43, "{hz}: {level}");
            }
        }
    }

    #[test]
    fn noise_is_left_alone_unless_anything_goes() {
        let mut dice = Dice(1);
        let noise: Vec<f32> = (0..1920).map(|_| dice.roll() as f32 - 0.5).collect();
        let mut pcm = noise.clone();
        assert_eq!(shorten(&mut pcm, 0, 600, Likeness(0.9)), 0);
        assert_eq!(lengthen(&mut pcm, 0, 600, Likeness(0.9)), 0);
        assert_eq!(pcm, noise);
        assert!(shorten(&mut pcm, 0, 600, Likeness(-1.0)) > 0);
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        for frames in 0..LEAST {
            let mut pcm = tone(frames, 440.0);
            assert_eq!(shorten(&mut pcm, 0, 600, Likeness(-1.0)), 0);
        }
        let mut pcm = tone(960, 440.0);
        assert_eq!(shorten(&mut pcm, 0, 100, Likeness(-1.0)), 0);
        assert_eq!(shorten(&mut pcm, 2000, 600, Likeness(-1.0)), 0);
    }
}
