//! What passes the gate and what does not: the catalogue of exotic and hostile headers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bits;
mod scene;

use bits::{Sps, pps, slice};
use mixdown_codecs::{
    Size, VideoCodec,
    gate::{Header, Limits, MAX_UNIT, Refusal, h264::Stream, inspect, vp8},
};
use proptest::prelude::*;
use scene::{config, film};

fn look(unit: &[u8]) -> Result<Header, Refusal> {
    inspect(VideoCodec::H264, unit, Limits::default())
}

/// A keyframe unit under `sps`.
fn keyframe(sps: &Sps) -> Vec<u8> {
    [sps.nal(), pps(0, sps.id, 1), slice(true, 0, 7, 0, 0)].concat()
}

fn admit(stream: &mut Stream, unit: &[u8]) -> Result<Option<bool>, Refusal> {
    stream.admit(unit, &mut Vec::new()).map(|admitted| admitted.map(|picture| picture.keyframe))
}

#[test]
fn a_plain_keyframe_passes_with_its_display_size() {
    assert_eq!(look(&keyframe(&Sps::default())), Ok(Header { keyframe: true, size: Some(Size::new(640, 360)), baseline: true }));
    for profile in [77, 100] {
        assert!(look(&keyframe(&Sps { profile, ..Sps::default() })).is_ok_and(|header| !header.baseline));
    }
    let mut stream = Stream::new(Limits::default());
    assert_eq!(admit(&mut stream, &keyframe(&Sps::default())), Ok(Some(true)));
    assert_eq!(admit(&mut stream, &slice(false, 0, 5, 0, 1)), Ok(Some(false)));
}

#[test]
fn formats_that_are_not_for_conferences_are_unsupported() {
    let good = Sps::default();
    for (what, sps) in [
        ("extended profile", Sps { profile: 88, ..good.clone() }),
        ("4:4:4", Sps { profile: 244, chroma_format: 3, ..good.clone() }),
        ("10 bits", Sps { profile: 110, bit_depth: 10, ..good.clone() }),
        ("monochrome", Sps { profile: 100, chroma_format: 0, ..good.clone() }),
        ("4:2:2 in high", Sps { profile: 100, chroma_format: 2, ..good.clone() }),
        ("10 bits in high", Sps { profile: 100, bit_depth: 10, ..good.clone() }),
        ("level 6.2", Sps { level: 62, ..good.clone() }),
        ("interlaced", Sps { progressive: false, ..good.clone() }),
    ] {
        assert_eq!(look(&keyframe(&sps)), Err(Refusal::Unsupported), "{what}");
    }
    let groups = [good.nal(), pps(0, 0, 2), slice(true, 0, 7, 0, 0)].concat();
    assert_eq!(look(&groups), Err(Refusal::Unsupported), "flexible macroblock ordering");
}

#[test]
fn pictures_after_a_refused_parameter_set_are_refused_for_the_same_reason() {
    let mut stream = Stream::new(Limits::default());
    assert_eq!(admit(&mut stream, &keyframe(&Sps { progressive: false, ..Sps::default() })), Err(Refusal::Unsupported));
    assert_eq!(admit(&mut stream, &slice(false, 0, 5, 0, 1)), Err(Refusal::Unsupported));
    assert_eq!(admit(&mut stream, &keyframe(&Sps::default())), Ok(Some(true)));
}

#[test]
fn bombs_are_too_large_or_malformed() {
    let good = Sps::default();
    for (what, sps, refusal) in [
        ("4096x2304", Sps { macroblocks: (256, 144), crop: None, ..good.clone() }, Refusal::TooLarge),
        ("2^32 macroblocks", Sps { macroblocks: (0xffff_ffff, 1), crop: None, ..good.clone() }, Refusal::TooLarge),
        ("16 full HD references", Sps { macroblocks: (120, 68), references: 16, ..good.clone() }, Refusal::TooLarge),
        ("17 references", Sps { references: 17, ..good.clone() }, Refusal::Malformed),
        ("cropped to nothing", Sps { crop: Some([160, 160, 0, 0]), ..good.clone() }, Refusal::Malformed),
        ("crop overflow", Sps { crop: Some([0xffff_fffe; 4]), ..good.clone() }, Refusal::Malformed),
        ("identifier 32", Sps { id: 32, ..good.clone() }, Refusal::Malformed),
        ("reorder 16 of 4", Sps { reorder: Some((16, 4)), ..good.clone() }, Refusal::Malformed),
    ] {
        assert_eq!(look(&keyframe(&sps)), Err(refusal), "{what}");
    }
    assert!(look(&keyframe(&Sps { reorder: Some((2, 4)), ..good })).is_ok());
    assert_eq!(look(&vec![0; MAX_UNIT + 1]), Err(Refusal::TooLarge));
}

#[test]
fn packaging_is_refused_and_extras_are_stripped() {
    let good = keyframe(&Sps::default());
    for kind in [0u8, 2, 3, 4, 24, 25, 28, 29, 30, 31] {
        let unit = [&good[..], &[0, 0, 1, kind, 1, 2, 3]].concat();
        assert_eq!(look(&unit), Err(Refusal::Unsupported), "NAL type {kind}");
    }
    let mut stream = Stream::new(Limits::default());
    let (mut plain, mut stripped) = (Vec::new(), Vec::new());
    stream.admit(&good, &mut plain).unwrap();
    let mut unit = vec![0, 0, 0, 1, 9, 0xf0];
    for kind in [6u8, 12, 13, 14, 15, 19, 20] {
        unit.extend([0, 0, 1, kind, 0x80, 0x55]);
    }
    unit.extend_from_slice(&good);
    Stream::new(Limits::default()).admit(&unit, &mut stripped).unwrap();
    assert_eq!(plain, stripped);
    assert_eq!(plain, good, "and nothing else is changed");
    assert_eq!(look(&[&good[..], &[0, 0, 1, 0x85, 1]].concat()), Err(Refusal::Malformed), "forbidden bit");
    assert_eq!(look(&[0, 0, 1]), Err(Refusal::Truncated));
    assert_eq!(look(&[1, 2, 3, 0, 0, 1, 0x65]), Err(Refusal::Malformed), "bytes before the first start code");
    assert_eq!(look(b"no start code"), Err(Refusal::Malformed));
    assert_eq!(look(&[]), Err(Refusal::Malformed));
}

#[test]
fn slices_need_their_parameter_sets_first() {
    let (sps, idr) = (Sps::default().nal(), slice(true, 0, 7, 0, 0));
    let mut stream = Stream::new(Limits::default());
    assert_eq!(admit(&mut stream, &idr), Err(Refusal::Malformed), "none at all");
    assert_eq!(admit(&mut stream, &[pps(0, 0, 1), idr.clone()].concat()), Err(Refusal::Malformed), "PPS for an absent SPS");
    assert_eq!(admit(&mut stream, &[idr.clone(), sps.clone(), pps(0, 0, 1)].concat()), Err(Refusal::Malformed), "too late");
    let mut stream = Stream::new(Limits::default());
    assert_eq!(admit(&mut stream, &[sps, pps(0, 0, 1)].concat()), Ok(None), "ahead in a unit of their own");
    assert_eq!(admit(&mut stream, &slice(false, 0, 5, 0, 1)), Err(Refusal::Malformed), "no IDR yet");
    let mut out = Vec::new();
    assert!(stream.admit(&idr, &mut out).unwrap().unwrap().keyframe);
    assert!(out.ends_with(&idr) && out.len() > idr.len(), "the sets are put in front");
}

#[test]
fn slices_of_other_kinds_and_outside_of_the_picture_are_refused() {
    let mut stream = Stream::new(Limits::default());
    admit(&mut stream, &keyframe(&Sps::default())).unwrap();
    for (what, unit, refusal) in [
        ("B", slice(false, 0, 6, 0, 1), Refusal::Unsupported),
        ("SP", slice(false, 0, 3, 0, 1), Refusal::Unsupported),
        ("SI", slice(false, 0, 9, 0, 1), Refusal::Unsupported),
        ("type 10", slice(false, 0, 10, 0, 1), Refusal::Malformed),
        ("P in an IDR", slice(true, 0, 5, 0, 0), Refusal::Malformed),
        ("beyond the picture", slice(false, 40 * 23, 5, 0, 1), Refusal::Malformed),
        ("unknown PPS", slice(false, 0, 5, 7, 1), Refusal::Malformed),
        ("IDR and P in one unit", [slice(true, 0, 7, 0, 0), slice(false, 20, 5, 0, 1)].concat(), Refusal::Malformed),
    ] {
        assert_eq!(admit(&mut stream, &unit), Err(refusal), "{what}");
    }
    assert_eq!(admit(&mut stream, &slice(false, 0, 5, 0, 1)), Ok(Some(false)));
}

#[test]
fn a_sequence_changes_at_an_idr_and_nowhere_else() {
    let (small, big) = (Sps::default(), Sps { macroblocks: (80, 45), crop: None, ..Sps::default() });
    let mut stream = Stream::new(Limits::default());
    let mut out = Vec::new();
    assert!(stream.admit(&keyframe(&small), &mut out).unwrap().unwrap().new_sequence);
    assert!(!stream.admit(&keyframe(&small), &mut out).unwrap().unwrap().new_sequence);
    let sneaky = [big.nal(), slice(false, 0, 5, 0, 1)].concat();
    assert_eq!(admit(&mut stream, &sneaky), Err(Refusal::Malformed));
    let picture = stream.admit(&keyframe(&big), &mut out).unwrap().unwrap();
    assert!(picture.new_sequence);
    assert_eq!(picture.size, Size::new(1280, 720));
}

#[test]
fn parameter_sets_may_not_churn_without_bound() {
    let mut stream = Stream::new(Limits::default());
    let many: Vec<u8> = (0..17).flat_map(|n| [Sps::default().nal(), pps(n, 0, 1)].concat()).collect();
    assert_eq!(admit(&mut stream, &many), Err(Refusal::Unsupported), "in one unit");
    let mut stream = Stream::new(Limits::default());
    let accepted = (0..32).take_while(|&id| admit(&mut stream, &Sps { id, ..Sps::default() }.nal()).is_ok()).count();
    assert_eq!(accepted, 8, "sequence parameter sets");
    let accepted = (0..256).take_while(|&id| admit(&mut stream, &pps(id, 0, 1)).is_ok()).count();
    assert_eq!(accepted, 32, "picture parameter sets");
}

#[test]
fn gaps_in_frame_num_count_as_losses_even_where_they_are_allowed() {
    let mut stream = Stream::new(Limits::default());
    admit(&mut stream, &keyframe(&Sps { gaps: true, ..Sps::default() })).unwrap();
    for n in 1..40 {
        assert_eq!(admit(&mut stream, &slice(false, 0, 5, 0, n % 16)), Ok(Some(false)), "{n}");
    }
    assert_eq!(admit(&mut stream, &slice(false, 0, 5, 0, 10)), Err(Refusal::Malformed));
}

fn vp8_key(width: u16, height: u16, body: &[u8]) -> Vec<u8> {
    let tag = (body.len() as u32) << 5 | 0x10;
    let mut unit = tag.to_le_bytes()[..3].to_vec();
    unit.extend([0x9d, 0x01, 0x2a]);
    unit.extend(width.to_le_bytes());
    unit.extend(height.to_le_bytes());
    unit.extend(body);
    unit
}

#[test]
fn vp8_keyframes_are_checked_down_to_their_partitions() {
    let parse = |unit: &[u8]| vp8::parse(unit, Limits::default());
    let good = vp8_key(640, 360, &[0; 16]);
    assert_eq!(parse(&good), Ok(vp8::Frame { keyframe: true, shown: true, size: Some(Size::new(640, 360)) }));
    for (what, unit, refusal) in [
        ("16383x16383", vp8_key(16_383, 16_383, &[0; 16]), Refusal::TooLarge),
        ("scaling", vp8_key(640 | 1 << 14, 360, &[0; 16]), Refusal::Unsupported),
        ("no width", vp8_key(0, 360, &[0; 16]), Refusal::Malformed),
        ("no first partition", vp8_key(640, 360, &[]), Refusal::Truncated),
        ("first partition beyond the end", good[..good.len() - 1].to_vec(), Refusal::Truncated),
        ("empty", vec![], Refusal::Truncated),
        ("tag alone", good[..3].to_vec(), Refusal::Truncated),
        ("version 7", [&[good[0] | 0x0e], &good[1..]].concat(), Refusal::Unsupported),
    ] {
        assert_eq!(parse(&unit), Err(refusal), "{what}");
    }
    let mut bad_code = good;
    bad_code[3] = 0x9c;
    assert_eq!(parse(&bad_code), Err(Refusal::Malformed));
}

#[test]
fn vp8_token_partitions_must_fit_the_frame() {
    // A first partition that says "eight token partitions": fourteen zeros and two ones, boolean-coded.
    let first = [0x00, 0x03, 0xff, 0xff];
    let frame = |sizes: &[u8], data: usize| {
        let mut unit = vp8_key(64, 48, &first);
        unit.extend(sizes);
        unit.extend(vec![0; data]);
        vp8::parse(&unit, Limits::default()).map(|frame| frame.keyframe)
    };
    let sizes = [2, 0, 0].repeat(7);
    assert_eq!(frame(&sizes, 14), Ok(true));
    assert_eq!(frame(&sizes, 13), Err(Refusal::Truncated));
    assert_eq!(frame(&sizes[..20], 0), Err(Refusal::Truncated));
    assert_eq!(frame(&[0xff; 21], 14), Err(Refusal::Truncated));
}

#[test]
fn every_truncation_of_a_real_frame_is_answered() {
    for &codec in scene::CODECS {
        let coded: Vec<_> = film(codec, config(Size::new(64, 48), 30, 200_000), 3).into_iter().flatten().collect();
        for picture in &coded {
            assert_eq!(inspect(codec, &picture.data, Limits::default()).unwrap().keyframe, picture.keyframe);
            for end in 0..picture.data.len() {
                let _ = inspect(codec, &picture.data[..end], Limits::default());
                let _ = Stream::new(Limits::default()).admit(&picture.data[..end], &mut Vec::new());
            }
        }
    }
}

/// Annex B units of arbitrary NAL units, some of them well-formed.
fn units() -> impl Strategy<Value = Vec<u8>> {
    let random =
        (0u8..32, proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(kind, body)| [vec![0, 0, 1, kind | 0x60], body].concat());
    let near = (any::<u32>(), any::<u32>(), 0u32..40, any::<[u32; 4]>(), any::<bool>()).prop_map(|(w, h, references, crop, flag)| {
        let crop = flag.then_some(crop.map(|c| c % 100));
        Sps { macroblocks: (w % 200 + 1, h % 200 + 1), references, crop, progressive: w % 5 > 0, ..Sps::default() }.nal()
    });
    let set = (0u32..40, 0u32..4).prop_map(|(id, sps)| pps(id, sps, 1));
    let picture =
        (any::<bool>(), any::<u32>(), 0u32..10, 0u32..4, 0u32..16).prop_map(|(idr, at, kind, pps, n)| slice(idr, at % 2000, kind, pps, n));
    proptest::collection::vec(prop_oneof![random, near, set, picture], 1..8).prop_map(|nals| nals.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_get_an_answer(unit in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = inspect(VideoCodec::H264, &unit, Limits::default());
        let _ = inspect(VideoCodec::Vp8, &unit, Limits::default());
        let _ = Stream::new(Limits::default()).admit(&unit, &mut Vec::new());
    }

    #[test]
    fn whatever_is_admitted_keeps_the_limits(units in proptest::collection::vec(units(), 1..6)) {
        let limits = Limits { max_pixels: 640 * 368, max_side: 1000 };
        let mut stream = Stream::new(limits);
        let mut out = Vec::new();
        for unit in &units {
            if let Ok(Some(picture)) = stream.admit(unit, &mut out) {
                prop_assert!(limits.check(picture.size).is_ok());
                prop_assert!(!out.is_empty());
                // What was let through once is let through again, unchanged, when it stands by itself.
                if picture.keyframe {
                    let mut again = Vec::new();
                    prop_assert!(Stream::new(limits).admit(&out, &mut again).is_ok());
                    prop_assert_eq!(&out, &again);
                }
            }
        }
    }
}
