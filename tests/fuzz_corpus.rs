//! Replays the fuzz corpora, and seeded mutations of every seed, through the same entries as the fuzz targets.
//! What a fuzzer finds goes into `fuzz/corpus/TARGET/` and stays here for good.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

#[path = "../fuzz/entries.rs"]
mod entries;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Mutations per seed. More by MIXDOWN_MUTATIONS, for an evening's run.
fn mutations() -> u64 {
    std::env::var("MIXDOWN_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// One to four small damages: a bit, a byte of the awkward kind, a cut, a repeated or a foreign piece.
fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    const AWKWARD: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'-', b'9', b'\n'];
    let mut data = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        let length = random.below(16.min(data.len() - at.min(data.len())).max(1));
        match random.below(6) {
            0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            1 if !data.is_empty() => data[at] = AWKWARD[random.below(AWKWARD.len())],
            2 => data.truncate(at),
            3 if !data.is_empty() => drop(data.drain(at..at + length)),
            4 if !data.is_empty() => data.extend_from_within(at..at + length),
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + 24).min(other.len())];
                data.splice(at..at, piece.iter().copied());
            }
        }
    }
    data
}

fn replay(target: &str) {
    let (_, entry) = entries::ALL.iter().find(|(name, _)| *name == target).unwrap();
    let seeds = corpus(target);
    assert!(!seeds.is_empty());
    for (index, (name, seed)) in seeds.iter().enumerate() {
        for round in 0..=mutations() {
            let mut random = Random(((index as u64) << 32) + round);
            let other = &seeds[random.below(seeds.len())].1;
            let data = if round == 0 { seed.clone() } else { mutate(seed, other, &mut random) };
            if catch_unwind(AssertUnwindSafe(|| entry(&data))).is_err() {
                let kept = std::env::temp_dir().join(format!("mixdown-{target}-{name}-{round}"));
                std::fs::write(&kept, &data).unwrap();
                panic!("{target}: seed {name}, mutation {round}; the input is in {}", kept.display());
            }
        }
    }
}

#[test]
fn every_corpus_has_a_target_and_every_target_a_corpus() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut folders: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let mut targets: Vec<String> = entries::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    if !cfg!(feature = "h264") {
        targets.push("h264".into());
    }
    folders.sort();
    targets.sort();
    assert_eq!(folders, targets);
}

#[test]
fn the_well_formed_streams_of_the_corpora_decode() {
    use mixdown_codecs::{FramePool, VideoCodec, gate::Limits, video};
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let Some(decoder) = video::decoder(codec, Limits::default()) else { continue };
        let mut decoder = decoder.unwrap();
        let (_, stream) = corpus(codec.name()).into_iter().find(|(name, _)| name == "stream").unwrap();
        let mut pool = FramePool::default();
        let pictures = entries::units(&stream).filter_map(|unit| decoder.decode(unit, &mut pool).unwrap()).count();
        assert_eq!(pictures, 6, "{codec:?}");
    }
}

#[test]
fn the_well_formed_films_of_the_corpora_are_read() {
    use mixdown::ingress::matroska::{Element, Reader};
    let film = |target: &str| corpus(target).into_iter().find(|(name, _)| name == "film").unwrap().1;
    let found = mixdown::record::mp4::scan::scan(film("mp4").as_slice()).unwrap();
    assert_eq!((found.fragments, found.pictures, found.packets, found.torn), (3, 9, 6, false));
    let bytes = film("matroska");
    let mut reader = Reader::new(bytes.as_slice());
    let all: Vec<Element> = std::iter::from_fn(|| reader.element().unwrap()).collect();
    let pictures = all.iter().filter(|element| matches!(element, Element::Picture(..))).count();
    assert!(pictures == 2 && all.len() > 5, "{} elements", all.len());
}

#[test]
fn a_panic_inside_an_entry_is_seen() {
    assert!(catch_unwind(|| entries::run("json", &[])).is_ok());
    assert!(catch_unwind(|| panic!("as an entry would")).is_err());
}

#[test]
fn mutations_are_the_same_in_every_run_and_differ_from_each_other() {
    let make = |round| mutate(b"0123456789", b"abcdef", &mut Random(round));
    assert_eq!(make(7), make(7));
    let distinct: std::collections::BTreeSet<_> = (0..100).map(make).collect();
    assert!(distinct.len() > 80, "{}", distinct.len());
}

macro_rules! replays {
    ($($(#[$attribute:meta])* $test:ident = $target:literal;)*) => {
        $($(#[$attribute])* #[test] fn $test() { replay($target); })*
    };
}

replays! {
    #[cfg(feature = "h264")] hostile_h264_is_refused_or_decoded_within_limits = "h264";
    hostile_vp8_is_refused_or_decoded_within_limits = "vp8";
    hostile_opus_is_concealed_or_decoded_to_numbers = "opus";
    hostile_g711_is_decoded_to_numbers = "g711";
    hostile_json_is_refused_or_fits_the_canvas = "json";
    broken_settings_give_faults_of_one_line = "config";
    hostile_channel_messages_are_refused_or_clean = "channel";
    what_a_hostile_film_makes_ffmpeg_write_is_bounded = "matroska";
    what_is_left_of_a_recording_is_whole_up_to_where_it_is_said_to_be = "mp4";
    a_hostile_offer_is_refused_or_answered_line_by_line = "offer";
    a_hostile_fragment_leads_no_check_inside = "fragment";
    a_stranger_s_datagram_is_neither_answered_nor_remembered = "datagram";
    hostile_headers_are_refused_and_no_token_is_forged = "header";
    a_hostile_address_leads_nowhere_inside = "address";
    a_hostile_layout_of_another_system_is_refused_or_without_fault = "convert";
    a_hostile_picture_is_refused_or_of_the_size_that_it_says = "picture";
    half_written_journals_are_read_as_far_as_they_are_whole = "journal";
}
