//! Damaged streams: what must never be seen.
//!
//! Missing and truncated units must be noticed every time. Flipped bits and bytes lost inside a unit cannot be: neither
//! codec carries a checksum, and many such units are valid ones that say something else. On the wire SRTP's
//! authentication excludes them. What is asked of them here is that no picture without content (grey, green)
//! appears; how many go unnoticed is printed, not judged.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod scene;

use mixdown_codecs::{DecodeError, EncodedPicture, FramePool, I420Frame, Size, VideoCodec, gate, video};
use scene::{CODECS, config, encoder, film, picture, psnr};

const SIZE: Size = Size::new(320, 180);
const PICTURES: u32 = 24;
const SEEDS: u64 = 40;

/// xorshift64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What became of the pictures from the damaged one on.
#[derive(Debug, Default)]
struct Outcome {
    absent: usize,
    /// PSNR of each picture that was shown.
    shown: Vec<f64>,
}

impl Outcome {
    fn worst(&self) -> f64 {
        self.shown.iter().copied().fold(99.0, f64::min)
    }
}

/// PSNR of the best picture without content: the mean of the truth everywhere. What is shown must be nearer than that.
fn without_content() -> f64 {
    (0..PICTURES)
        .map(|n| picture(SIZE, n))
        .map(|truth| {
            let luma = truth.planes().y;
            let mean = luma.iter().map(|&value| u64::from(value)).sum::<u64>() / luma.len() as u64;
            let mut flat = I420Frame::black(SIZE);
            flat.fill(mean as u8, 128, 128);
            psnr(&flat, &truth)
        })
        .fold(0.0, f64::max)
}

/// Plays the film once per seed with one unit (never the keyframe) damaged by `damage`.
fn play(codec: VideoCodec, damage: impl Fn(&mut Vec<u8>, &mut Random)) -> Outcome {
    let film = film(codec, config(SIZE, 30, 500_000), PICTURES);
    let truth: Vec<I420Frame> = (0..PICTURES).map(|n| picture(SIZE, n)).collect();
    let coded: Vec<(&EncodedPicture, &I420Frame)> =
        film.iter().zip(&truth).filter_map(|(coded, truth)| Some((coded.as_ref()?, truth))).collect();
    let mut outcome = Outcome::default();
    for seed in 1..=SEEDS {
        let mut random = Random::new(seed);
        let mut decoder = video::decoder(codec, gate::Limits::default()).unwrap().unwrap();
        let mut pool = FramePool::default();
        let victim = 1 + random.below(coded.len() / 2);
        for (n, (coded, truth)) in coded.iter().enumerate() {
            let mut unit = coded.data.to_vec();
            if n == victim {
                damage(&mut unit, &mut random);
            }
            match decoder.decode(&unit, &mut pool) {
                Ok(Some(frame)) if n >= victim => outcome.shown.push(psnr(&frame, truth)),
                Ok(Some(_)) => {}
                Ok(None) | Err(DecodeError::Damaged(_) | DecodeError::Unsupported(_)) => outcome.absent += 1,
                Err(error) => panic!("{codec:?}: {error}"),
            }
        }
    }
    let near = outcome.shown.iter().filter(|&&db| db >= 30.0).count();
    let (absent, shown) = (outcome.absent, outcome.shown.len());
    println!("{codec:?}: {absent} absent, {shown} shown, {near} of them within 30 dB, worst {:.1} dB", outcome.worst());
    outcome
}

#[test]
fn a_picture_without_content_is_far_from_the_truth() {
    let flat = without_content();
    println!("without content: {flat:.1} dB");
    assert!(flat < 20.0, "the other tests would prove nothing at {flat} dB");
}

#[test]
fn nothing_is_shown_after_a_truncated_picture() {
    for &codec in CODECS {
        let outcome = play(codec, |unit, random| unit.truncate(random.below(unit.len())));
        assert!(outcome.shown.is_empty(), "{codec:?}: {:?}", outcome.shown);
    }
}

#[test]
fn flipped_bits_never_show_a_picture_without_content() {
    for &codec in CODECS {
        let flip = |unit: &mut Vec<u8>, random: &mut Random| {
            let bit = random.below(unit.len() * 8);
            unit[bit / 8] ^= 1 << (bit % 8);
        };
        let outcome = play(codec, flip);
        assert!(outcome.worst() > without_content(), "{codec:?}: {} dB", outcome.worst());
    }
}

#[test]
fn bytes_missing_inside_a_picture_never_show_one_without_content() {
    for &codec in CODECS {
        let outcome = play(codec, |unit, random| {
            let start = random.below(unit.len());
            let length = (1 + random.below(200)).min(unit.len() - start);
            unit.drain(start..start + length);
        });
        assert!(outcome.worst() > without_content(), "{codec:?}: {} dB", outcome.worst());
    }
}

#[test]
fn after_damage_the_next_keyframe_is_shown_at_once() {
    for &codec in CODECS {
        let mut encoder = encoder(codec, config(SIZE, 30, 500_000));
        let mut decoder = video::decoder(codec, gate::Limits::default()).unwrap().unwrap();
        let mut pool = FramePool::default();
        for round in 0..5u32 {
            let mut unit = |n: u32, intra| encoder.encode(&picture(SIZE, n), u64::from(n) * 33, intra).unwrap();
            let n = round * 10;
            let key = unit(n, mixdown_codecs::Intra::Force).expect("keyframes are never skipped");
            let frame = decoder.decode(&key.data, &mut pool).unwrap().expect("shown at once");
            assert!(psnr(&frame, &picture(SIZE, n)) > 28.0);
            let broken = unit(n + 1, mixdown_codecs::Intra::Auto).map(|coded| coded.data[..coded.data.len() / 2].to_vec());
            assert!(decoder.decode(&broken.unwrap_or_default(), &mut pool).is_err());
            if let Some(orphan) = unit(n + 2, mixdown_codecs::Intra::Auto) {
                assert!(matches!(decoder.decode(&orphan.data, &mut pool), Err(DecodeError::Damaged(_))));
            }
        }
    }
}

#[test]
fn any_bytes_leave_the_decoder_alive() {
    for &codec in CODECS {
        let film: Vec<EncodedPicture> = film(codec, config(Size::new(64, 48), 30, 100_000), 8).into_iter().flatten().collect();
        let mut decoder = video::decoder(codec, gate::Limits::default()).unwrap().unwrap();
        let mut pool = FramePool::default();
        for seed in 1..=1500 {
            let mut random = Random::new(seed);
            let mut unit = film[random.below(film.len())].data.to_vec();
            for _ in 0..1 + random.below(12) {
                let at = random.below(unit.len());
                unit[at] = random.below(256) as u8;
            }
            if let Err(error) = decoder.decode(&unit, &mut pool) {
                assert!(!matches!(error, DecodeError::Failed(_)), "{codec:?} seed {seed}: {error}");
            }
        }
        assert!(decoder.decode(&film[0].data, &mut pool).unwrap().is_some());
    }
}
