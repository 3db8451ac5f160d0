//! Both video codecs, both directions, through the traits alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod scene;

use mixdown_codecs::{
    DecodeError, EncodedPicture, EncoderConfig, FramePool, I420Frame, Intra, Size, VideoCodec, VideoDecoder, gate, video,
};
use scene::{CODECS, config, encoder, film, picture, psnr};
use std::sync::Arc;

fn decoder(codec: VideoCodec) -> Box<dyn VideoDecoder> {
    video::decoder(codec, gate::Limits::default()).expect("built in").expect("starts")
}

#[test]
fn a_film_survives_the_round_trip() {
    for &codec in CODECS {
        let (size, mut decoder, mut pool) = (Size::new(640, 360), decoder(codec), FramePool::default());
        let mut worst = 99.0f64;
        let mut shown = 0;
        for (n, coded) in film(codec, config(size, 30, 1_000_000), 60).into_iter().enumerate() {
            let Some(coded) = coded else { continue };
            let frame = decoder.decode(&coded.data, &mut pool).unwrap().expect("shows each picture at once");
            worst = worst.min(psnr(&frame, &picture(size, n as u32)));
            shown += 1;
        }
        println!("{}: {shown} pictures, worst {worst:.1} dB", codec.name());
        assert!(shown >= 55, "{codec:?} skipped too much: {shown}");
        assert!(worst > 30.0, "{codec:?}: {worst} dB");
    }
}

#[test]
fn a_forced_keyframe_is_one_and_a_fresh_decoder_begins_there() {
    for &codec in CODECS {
        let size = Size::new(320, 180);
        let mut encoder = encoder(codec, config(size, 30, 400_000));
        let mut late = decoder(codec);
        let mut pool = FramePool::default();
        for n in 0..40u32 {
            let intra = if n == 20 { Intra::Force } else { Intra::Auto };
            let Some(coded) = encoder.encode(&picture(size, n), u64::from(n) * 33, intra).unwrap() else { continue };
            assert_eq!(coded.keyframe, n == 0 || n == 20, "{codec:?} picture {n}");
            let header = gate::inspect(codec, &coded.data, gate::Limits::default()).unwrap();
            assert_eq!(header.keyframe, coded.keyframe);
            assert_eq!(header.size, coded.keyframe.then_some(size));
            if n == 0 {
                continue;
            }
            match late.decode(&coded.data, &mut pool) {
                Err(DecodeError::Damaged(_)) => assert!(n < 20),
                Ok(Some(frame)) => assert!(n >= 20 && psnr(&frame, &picture(size, n)) > 28.0, "{codec:?} picture {n}"),
                other => panic!("{codec:?} picture {n}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_new_rate_takes_effect_without_a_keyframe() {
    let size = Size::new(320, 180);
    let pictures: Vec<I420Frame> = (0..45).map(|n| noisy(size, n)).collect();
    for &codec in CODECS {
        for (before, after) in [(600_000u32, 200_000u32), (200_000, 600_000)] {
            let mut encoder = encoder(codec, config(size, 30, before));
            let (mut bits, mut keyframes) = (0, 0);
            for n in 0..300u32 {
                if n == 90 {
                    encoder.set_rate(after, 30).unwrap();
                }
                let Some(coded) = encoder.encode(&pictures[n as usize % 45], u64::from(n) * 1000 / 30, Intra::Auto).unwrap() else {
                    continue;
                };
                keyframes += u32::from(coded.keyframe);
                // A second for the rate control to turn.
                bits += if n >= 120 { coded.data.len() * 8 } else { 0 };
            }
            let rate = bits as f64 / 6.0;
            println!("{}: {before} → {after}: {rate:.0} bit/s", codec.name());
            assert_eq!(keyframes, 1, "{codec:?}");
            assert!((rate / f64::from(after) - 1.0).abs() < 0.25, "{codec:?} {before} → {after}: {rate}");
        }
    }
}

/// What a receiver sees who is sent only what `takes` lets pass, by picture.
fn seen(codec: VideoCodec, film: &[Option<EncodedPicture>], takes: impl Fn(usize, u8) -> bool) -> Vec<(usize, f64)> {
    let (size, mut decoder, mut pool) = (Size::new(320, 180), decoder(codec), FramePool::default());
    let sent = film.iter().enumerate().filter_map(|(n, coded)| Some((n, coded.as_ref()?))).filter(|(n, coded)| takes(*n, coded.layer));
    sent.map(|(n, coded)| {
        let frame = decoder.decode(&coded.data, &mut pool).expect("nothing refers to what was left out").expect("shown at once");
        (n, psnr(&frame, &picture(size, n as u32)))
    })
    .collect()
}

#[test]
fn without_the_upper_layer_every_second_picture_remains_and_it_is_taken_up_again_anywhere() {
    for &codec in CODECS {
        let config = EncoderConfig { layered: true, ..config(Size::new(320, 180), 30, 400_000) };
        let film = film(codec, config, 90);
        for (n, coded) in film.iter().enumerate().filter_map(|(n, coded)| Some((n, coded.as_ref()?))) {
            assert_eq!(usize::from(coded.layer), n % 2, "{codec:?} picture {n}");
            let prefix = coded.data.windows(4).any(|four| four[..3] == [0, 0, 1] && four[3] & 31 == 14);
            assert!(codec != VideoCodec::H264 || !prefix, "a prefix NAL unit, which receivers of plain H.264 stumble over");
        }
        let half = seen(codec, &film, |_, layer| layer == 0);
        assert!(half.len() >= 42 && half.iter().all(|(_, psnr)| *psnr > 28.0), "{codec:?}: {half:?}");
        let whole = seen(codec, &film, |_, _| true);
        for (n, psnr) in &half {
            let same = whole.iter().find(|(other, _)| other == n).unwrap().1;
            assert_eq!(same, *psnr, "{codec:?}: picture {n} is another one to whoever sees all");
        }
        // Half of it for a second, from the middle of a pair on.
        let mixed = seen(codec, &film, |n, layer| layer == 0 || !(31..60).contains(&n));
        assert!(mixed.len() >= 71 && mixed.iter().all(|(_, psnr)| *psnr > 28.0), "{codec:?}: {mixed:?}");
        let bytes =
            |layer: u8| film.iter().flatten().skip(1).filter(|coded| coded.layer == layer).map(|coded| coded.data.len()).sum::<usize>();
        let share = bytes(0) as f64 / (bytes(0) + bytes(1)) as f64;
        println!("{}: layer 0 takes {:.0} % of the bits", codec.name(), share * 100.0);
        assert!((0.5..0.75).contains(&share), "{codec:?}: {share}");
    }
}

#[test]
fn a_layered_stream_takes_a_new_rate_and_stays_whole() {
    for &codec in CODECS {
        let size = Size::new(320, 180);
        let mut encoder = encoder(codec, EncoderConfig { layered: true, ..config(size, 30, 400_000) });
        let (mut decoder, mut pool) = (decoder(codec), FramePool::default());
        let mut bytes = [0; 2];
        for n in 0..120u32 {
            if n == 60 {
                encoder.set_rate(100_000, 30).unwrap();
            }
            let coded = encoder.encode(&noisy(size, n), u64::from(n) * 1000 / 30, Intra::Auto).unwrap();
            let Some(coded) = coded else { continue };
            bytes[usize::from(n >= 90)] += coded.data.len() * usize::from(n >= 90 || (30..60).contains(&n));
            assert!(decoder.decode(&coded.data, &mut pool).is_ok(), "{codec:?}: picture {n} of layer {}", coded.layer);
        }
        assert!(bytes[1] * 2 < bytes[0], "{codec:?}: {bytes:?}");
    }
}

#[test]
fn a_layered_stream_whose_rate_control_drops_many_pictures_stays_whole() {
    let size = Size::new(320, 180);
    let busy = |n: u64| {
        let mut frame = I420Frame::black(size);
        for (y, row) in (0u64..).zip(frame.planes_mut().y.chunks_exact_mut(320)) {
            for (x, value) in (0u64..).zip(row) {
                *value = (60 + ((x + n) / 7 % 2 + y / 5 % 2) * 30 + (x * y / 64 + n) % 40) as u8;
            }
        }
        frame
    };
    for &codec in CODECS {
        let mut encoder = encoder(codec, EncoderConfig { layered: true, ..config(size, 30, 400_000) });
        let (mut decoder, mut pool, mut dropped) = (decoder(codec), FramePool::default(), 0);
        for n in 30..150u64 {
            if n == 60 {
                encoder.set_rate(100_000, 30).unwrap();
            }
            match encoder.encode(&busy(n), n * 1000 / 30, Intra::Auto).unwrap() {
                Some(coded) => assert!(decoder.decode(&coded.data, &mut pool).is_ok(), "{codec:?}: picture {n} of layer {}", coded.layer),
                None => dropped += 1,
            }
        }
        println!("{}: {dropped} dropped", codec.name());
        assert!(codec == VideoCodec::H264 || dropped > 20, "{codec:?}: {dropped}");
    }
}

#[test]
fn layers_cost_less_than_a_decibel_and_none_are_made_where_none_are_asked_for() {
    for &codec in CODECS {
        let mean = |layered: bool| {
            let film = film(codec, EncoderConfig { layered, ..config(Size::new(320, 180), 30, 300_000) }, 120);
            assert!(layered || film.iter().flatten().all(|coded| coded.layer == 0));
            let bytes: usize = film.iter().flatten().map(|coded| coded.data.len()).sum();
            let seen = seen(codec, &film, |_, _| true);
            (seen.iter().map(|(_, psnr)| psnr).sum::<f64>() / seen.len() as f64, bytes, seen.len())
        };
        let (plain, layered) = (mean(false), mean(true));
        println!("{}: {plain:?} without and {layered:?} with layers (dB, bytes, pictures)", codec.name());
        assert!(plain.0 - layered.0 < 1.0, "{codec:?}");
    }
}

/// Too busy to fall under the target rate.
fn noisy(size: Size, n: u32) -> I420Frame {
    let mut frame = picture(size, n);
    let mut state = n.wrapping_mul(2_654_435_761) | 1;
    for value in frame.planes_mut().y {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *value = value.wrapping_add((state & 15) as u8);
    }
    frame
}

#[test]
fn the_size_may_change_at_a_keyframe() {
    for &codec in CODECS {
        let (mut decoder, mut pool) = (decoder(codec), FramePool::default());
        for size in [(1280, 720), (640, 360), (320, 180), (322, 242), (1280, 720), (180, 320)].map(|(w, h)| Size::new(w, h)) {
            for (n, coded) in film(codec, config(size, 30, 1_500_000), 5).into_iter().enumerate() {
                let Some(coded) = coded else { continue };
                let frame = decoder.decode(&coded.data, &mut pool).unwrap().expect("no gap at the change");
                assert_eq!(frame.size(), size);
                assert!(psnr(&frame, &picture(size, n as u32)) > 28.0, "{codec:?} {size} picture {n}");
            }
        }
    }
}

#[test]
fn odd_sizes_are_shown_whole() {
    let even = Size::new(322, 242);
    let mut key = film(VideoCodec::Vp8, config(even, 30, 800_000), 1)[0].clone().unwrap().data.to_vec();
    // As many macroblocks, one line and one column less to be shown.
    key[6..10].copy_from_slice(&[321u16.to_le_bytes(), 241u16.to_le_bytes()].concat());
    let frame = decoder(VideoCodec::Vp8).decode(&key, &mut FramePool::default()).unwrap().unwrap();
    assert_eq!(frame.size(), Size::new(321, 241));
    let (shown, truth) = (frame.planes(), picture(even, 0));
    let truth = truth.planes();
    for row in [0, 100, 240] {
        let (a, b) = (&shown.y[row * 321..][..321], &truth.y[row * 322..][..321]);
        let error: u32 = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
        assert!(error < 321 * 12, "row {row}: {error}");
    }
    assert_eq!((shown.u.len(), shown.v.len()), (161 * 121, 161 * 121));
}

#[test]
fn a_lost_picture_is_noticed_and_the_next_keyframe_repairs_it() {
    for &codec in CODECS {
        if codec == VideoCodec::Vp8 {
            continue; // carries no counter: its packets' picture ids do
        }
        let (size, mut decoder, mut pool) = (Size::new(320, 180), decoder(codec), FramePool::default());
        let mut encoder = encoder(codec, config(size, 30, 600_000));
        for n in 0..40u32 {
            let intra = if n == 30 { Intra::Force } else { Intra::Auto };
            let coded = encoder.encode(&picture(size, n), u64::from(n) * 33, intra).unwrap().expect("rate is ample");
            if n == 10 {
                continue;
            }
            let result = decoder.decode(&coded.data, &mut pool);
            assert_eq!(matches!(result, Ok(Some(_))), !(10..30).contains(&n), "picture {n}: {result:?}");
        }
    }
}

#[test]
fn pictures_are_recycled() {
    for &codec in CODECS {
        let (size, mut decoder, mut pool) = (Size::new(320, 180), decoder(codec), FramePool::default());
        let mut places = std::collections::BTreeSet::new();
        for coded in film(codec, config(size, 30, 600_000), 20).into_iter().flatten() {
            let frame = decoder.decode(&coded.data, &mut pool).unwrap().unwrap();
            places.insert(Arc::as_ptr(&frame) as usize);
        }
        assert_eq!(places.len(), 1, "one picture in use at a time needs one buffer");
    }
}

#[cfg(feature = "h264")]
#[test]
fn h264_says_constrained_baseline_and_the_level_of_its_size() {
    for (size, fps, level) in [((320, 180), 30, 0x1f), ((1280, 720), 30, 0x1f), ((1280, 720), 60, 0x20), ((1920, 1080), 30, 0x28)] {
        let coded = film(VideoCodec::H264, config(Size::new(size.0, size.1), fps, 1_500_000), 1)[0].clone().unwrap();
        let sps = coded.data.windows(5).find(|five| five[..4] == [0, 0, 1, 0x67]).expect("an SPS");
        let at = sps.as_ptr() as usize - coded.data.as_ptr() as usize + 4;
        let [profile, constraints, found] = coded.data[at..at + 3].try_into().unwrap();
        assert_eq!((profile, constraints & 0x40, found), (66, 0x40, level), "{size:?} at {fps}");
        assert!(coded.data.windows(4).any(|four| four == [0, 0, 1, 0x68]), "a PPS");
    }
}

#[test]
fn a_still_screen_costs_next_to_nothing_and_needs_no_keyframe() {
    for &codec in CODECS {
        let size = Size::new(640, 360);
        let mut encoder = encoder(codec, EncoderConfig { screen: true, ..config(size, 15, 600_000) });
        let slide = picture(size, 0);
        let coded: Vec<_> = (0..45).map(|n| encoder.encode(&slide, n * 67, Intra::Auto).unwrap()).collect();
        assert!(coded[0].as_ref().unwrap().keyframe);
        assert!(coded[1..].iter().flatten().all(|coded| !coded.keyframe), "{codec:?}");
        let bytes: usize = coded[30..].iter().flatten().map(|coded| coded.data.len()).sum();
        println!("{}: {bytes} bytes in the third second of a still screen", codec.name());
        assert!(bytes < 4_000, "{codec:?}: {bytes}");
    }
}

#[test]
fn settings_out_of_range_are_refused_and_a_wrong_size_names_both() {
    for &codec in CODECS {
        let good = config(Size::new(320, 180), 30, 300_000);
        for bad in [
            config(Size::new(321, 180), 30, 300_000),
            config(Size::new(2, 2), 30, 300_000),
            config(Size::new(8192, 180), 30, 300_000),
            config(good.size, 0, 300_000),
            config(good.size, 30, 0),
        ] {
            assert!(video::encoder(codec, bad).unwrap().is_err(), "{codec:?} {bad:?}");
        }
        let error = encoder(codec, good).encode(&picture(Size::new(640, 360), 0), 0, Intra::Auto).unwrap_err();
        assert_eq!(error.to_string(), "picture is 640x360, the encoder was built for 320x180");
    }
}
