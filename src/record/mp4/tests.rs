//! Files made of real coded material, read back by this module and, where they are installed, by ffprobe and ffmpeg.

use super::fixtures::{LARGE_H264, LARGE_VP8, SMALL_H264, SOUND, is_keyframe, units};
use super::fragment::{Fragment, Fragmenter};
use super::scan::{self, Walk};
use super::*;
use mixdown_codecs::VideoCodec;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);

/// A file as it grows.
struct Film {
    fragmenter: Fragmenter,
    bytes: Vec<u8>,
    fragments: Vec<Fragment>,
}

impl Film {
    fn new(codec: VideoCodec) -> Self {
        let pictures = units(if codec == VideoCodec::Vp8 { LARGE_VP8 } else { LARGE_H264 });
        let (fragmenter, head) = Fragmenter::new(codec, pictures[0], SECOND, SystemTime::UNIX_EPOCH).unwrap();
        Self { fragmenter, bytes: head.bytes, fragments: Vec::new() }
    }

    fn take(&mut self, fragment: Option<Fragment>) {
        if let Some(fragment) = fragment {
            self.bytes.extend_from_slice(&fragment.bytes);
            self.fragments.push(fragment);
        }
    }

    /// Pictures from tick `from` on (30 per second) and the sound of the same time.
    fn play(&mut self, pictures: &[&[u8]], vp8: bool, from: u64) {
        let sound = units(SOUND);
        let mut packet = from * 1600 / 960;
        for (tick, picture) in (from..).zip(pictures) {
            while packet * 960 < tick * 1600 {
                let fragment = self.fragmenter.audio(Ticks::of(Kind::Audio, packet * 960), sound[packet as usize % sound.len()]).unwrap();
                self.take(fragment);
                packet += 1;
            }
            let fragment = self.fragmenter.video(Ticks::of(Kind::Video, tick * 3000), picture, is_keyframe(picture, vp8)).unwrap();
            self.take(fragment);
        }
    }

    fn end(mut self, ticks: u64) -> Self {
        let fragment = self.fragmenter.flush(Ticks::of(Kind::Video, ticks * 3000)).unwrap();
        self.take(fragment);
        self
    }
}

fn film(codec: VideoCodec, rounds: usize) -> Film {
    let vp8 = codec == VideoCodec::Vp8;
    let pictures = units(if vp8 { LARGE_VP8 } else { LARGE_H264 }).repeat(rounds);
    let mut film = Film::new(codec);
    film.play(&pictures, vp8, 0);
    film.end(pictures.len() as u64)
}

/// So many times three seconds.
pub fn fragmented(rounds: usize) -> Vec<u8> {
    film(VideoCodec::H264, rounds).bytes
}

fn progressive(fragmented: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let written = progressive::rewrite(fragmented, SystemTime::UNIX_EPOCH, &mut |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    });
    assert_eq!(written.unwrap(), file.len() as u64);
    file
}

/// A file of this process's own, removed when dropped.
struct OnDisk(PathBuf);

impl OnDisk {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("mixdown-mp4-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What the program prints; `None`, with a reason, where it is not installed. Complaints of any kind fail the test.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{program} {arguments:?}: {complaints}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Time and checksum of every picture, decoded strictly; times in units of 1/90 000 s.
fn pictures(path: &Path) -> Option<Vec<(u64, String)>> {
    let path = path.to_str().unwrap();
    let text = output(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-xerror",
            "-i",
            path,
            "-map",
            "0:v",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1:90000",
            "-f",
            "framemd5",
            "-",
        ],
    )?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Some(lines.map(|line| (line.split(',').nth(2).unwrap().trim().parse().unwrap(), line.rsplit(' ').next().unwrap().to_owned())).collect())
}

/// Begin of every packet of a track in seconds, as ffprobe reads it.
fn packets(path: &Path, track: &str) -> Option<Vec<f64>> {
    let path = path.to_str().unwrap();
    let text = output("ffprobe", &["-v", "error", "-select_streams", track, "-show_entries", "packet=pts_time", "-of", "csv=p=0", path])?;
    Some(text.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect())
}

fn checksums(pictures: &[(u64, String)]) -> Vec<&str> {
    pictures.iter().map(|(_, checksum)| checksum.as_str()).collect()
}

#[test]
fn every_picture_plays_in_order_at_its_time_in_both_forms_and_both_codecs() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let film = film(codec, 2);
        let file = OnDisk::new(&format!("both-{}.mp4", codec.name()), &film.bytes);
        let rewritten = OnDisk::new(&format!("both-{}-progressive.mp4", codec.name()), &progressive(&film.bytes));
        let (Some(played), Some(again)) = (pictures(&file.0), pictures(&rewritten.0)) else { return };
        assert_eq!(played, again);
        assert_eq!(played.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (0..180).map(|n| n * 3000).collect::<Vec<_>>());
        let (first, second) = played.split_at(90);
        assert_eq!(checksums(first), checksums(second), "the same material twice");
        let distinct: std::collections::BTreeSet<_> = checksums(first).into_iter().collect();
        assert_eq!(distinct.len(), 90, "each picture is one of its own");
        for file in [&file, &rewritten] {
            let sound = packets(&file.0, "a").unwrap();
            assert_eq!(sound.len(), 299);
            for (n, at) in sound.iter().enumerate() {
                assert!((at - n as f64 * 0.02).abs() < 1e-5, "packet {n} at {at}");
            }
        }
    }
}

#[test]
fn sound_decodes_without_a_complaint() {
    let fragmented = film(VideoCodec::H264, 1).bytes;
    for (name, bytes) in [("sound.mp4", progressive(&fragmented)), ("sound-fragmented.mp4", fragmented)] {
        let file = OnDisk::new(name, &bytes);
        let path = file.0.to_str().unwrap();
        let Some(text) = output("ffmpeg", &["-v", "error", "-xerror", "-i", path, "-f", "null", "-", "-f", "md5", "-"]) else { return };
        assert!(text.contains("MD5="), "{text}");
    }
}

#[test]
fn fragments_last_a_second_at_most_and_begin_with_keyframes_where_there_are_any() {
    let film = film(VideoCodec::H264, 4);
    for fragment in &film.fragments {
        // One sample that was held back may belong to it.
        assert!(fragment.end.since(fragment.start) <= Ticks::from_ms(1000 + 40), "{:?} to {:?}", fragment.start, fragment.end);
    }
    let mut walk = Walk::new(film.bytes.as_slice()).unwrap();
    let mut inside = 0;
    while let Some(runs) = walk.next_fragment().unwrap() {
        for run in runs.iter().filter(|run| run.kind == Kind::Video) {
            inside += run.samples.iter().skip(1).filter(|sample| sample.keyframe).count();
        }
    }
    assert_eq!(inside, 0, "keyframes that do not begin a fragment");
}

/// The kinds of the boxes that a file consists of.
fn tops(file: &[u8]) -> Vec<[u8; 4]> {
    let (mut at, mut kinds) = (0, Vec::new());
    while at < file.len() {
        kinds.push(file[at + 4..at + 8].try_into().unwrap());
        at += match u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) {
            1 => u64::from_be_bytes(file[at + 8..at + 16].try_into().unwrap()) as usize,
            size => size as usize,
        };
    }
    kinds
}

#[test]
fn a_keyframe_right_after_a_cut_begins_a_fragment_too() {
    let pictures = units(LARGE_H264);
    let mut film = Film::new(VideoCodec::H264);
    film.play(&pictures[..31], false, 0);
    film.play(&pictures[..5], false, 31);
    let film = film.end(36).bytes;
    let mut walk = Walk::new(film.as_slice()).unwrap();
    let begins = std::iter::from_fn(|| walk.next_fragment().unwrap());
    let begins: Vec<u64> = begins.flatten().filter(|run| run.kind == Kind::Video && run.samples[0].keyframe).map(|run| run.start).collect();
    assert_eq!(begins, [0, 31 * 3000]);
}

#[test]
fn a_rewritten_file_still_has_its_fragments_for_a_playlist() {
    let film = film(VideoCodec::H264, 6).bytes;
    let file = progressive(&film);
    let begin = scan::fragments(file.as_slice()).unwrap();
    assert_eq!((&file[begin as usize..], scan::fragments(film.as_slice()).unwrap()), (film.as_slice(), 0));
    let (inner, whole) = (From(file.as_slice(), begin), playlist::write(film.as_slice(), "media", true).unwrap());
    assert_eq!(playlist::write(&inner, "media", true).unwrap(), whole);
    let ranges: Vec<(usize, usize)> = whole
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@'))
        .map(|(bytes, at)| (at.parse().unwrap(), bytes.parse().unwrap()))
        .collect();
    let (first, last) = (ranges[0], ranges[ranges.len() - 1]);
    assert!(ranges.len() > 1 && ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "without a gap: {whole}");
    assert!(whole.contains(&format!("#EXT-X-MAP:URI=\"media\",BYTERANGE=\"{}@0\"", first.0)) && last.0 + last.1 == film.len());
    assert!(ranges.iter().all(|(at, _)| &film[at + 4..at + 8] == b"moof"));
    let seconds = whole.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse::<f64>().ok());
    let lasts = scan::scan(film.as_slice()).unwrap().duration.ms() as f64 / 1000.0;
    assert!((seconds.sum::<f64>() - lasts).abs() < 0.05 && whole.ends_with("#EXT-X-ENDLIST\n"), "{whole}");
    let growing = playlist::write(film.as_slice(), "media", false).unwrap();
    assert_eq!(growing.matches("#EXTINF").count() + 1, ranges.len(), "what may still grow is not listed");
    assert!(growing.contains("TYPE:EVENT") && !growing.contains("ENDLIST"));
}

#[test]
fn the_tables_stand_in_front_after_rewriting() {
    let file = progressive(&film(VideoCodec::H264, 1).bytes);
    let place = |kind: &[u8]| file.windows(4).position(|four| four == kind).unwrap();
    assert!(place(b"moov") < place(b"mdat"));
    assert_eq!(tops(&file), [*b"ftyp", *b"moov", *b"mdat"], "fragments are content, not structure");
    assert!(matches!(scan::scan(file.as_slice()), Err(Error::Format(_))));
}

/// A small generator with a fixed seed: where to cut, without a dependency.
fn places(count: usize, end: usize) -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % end
    })
    .take(count)
}

#[test]
fn a_file_cut_anywhere_plays_to_within_two_seconds_of_the_cut() {
    let film = film(VideoCodec::H264, 5);
    let whole = pictures(&OnDisk::new("whole.mp4", &film.bytes).0);
    let head = scan::scan(film.bytes.as_slice()).unwrap().head as usize;
    for cut in places(50, film.bytes.len()) {
        let cut = cut.max(head);
        let found = scan::scan(&film.bytes[..cut]).unwrap();
        // How far the media had come at the cut: all that stood in fragments, even the torn one.
        let mut written = head;
        let reached = film.fragments.iter().take_while(|fragment| {
            let begun = written < cut;
            written += fragment.bytes.len();
            begun
        });
        let reached = reached.map(|fragment| fragment.end).max().unwrap_or_default();
        assert!(reached.since(found.duration) <= Ticks::from_ms(2000), "cut at {cut}: {:?} of {reached:?}", found.duration);
        assert_eq!(found.torn, cut as u64 != found.end);
        if found.pictures == 0 {
            continue;
        }
        let Some(whole) = &whole else { continue };
        let repaired = &film.bytes[..found.end as usize];
        let played = pictures(&OnDisk::new("cut.mp4", repaired).0).unwrap();
        assert_eq!(played.len() as u64, found.pictures, "cut at {cut}");
        assert_eq!(played, whole[..played.len()]);
    }
}

#[test]
fn every_prefix_of_a_file_is_understood_or_refused() {
    let film = film(VideoCodec::Vp8, 1);
    let ends: Vec<usize> = film
        .fragments
        .iter()
        .rev()
        .scan(film.bytes.len(), |end, fragment| {
            let this = *end;
            *end -= fragment.bytes.len();
            Some(this)
        })
        .collect();
    let head = film.bytes.len() - film.fragments.iter().map(|fragment| fragment.bytes.len()).sum::<usize>();
    for cut in 0..film.bytes.len() {
        let found = scan::scan(&film.bytes[..cut]);
        if cut < head {
            assert!(found.is_err(), "cut at {cut}");
        } else {
            let whole = ends.iter().copied().filter(|end| *end <= cut).max().unwrap_or(head);
            assert_eq!(found.unwrap().end, whole as u64, "cut at {cut}");
        }
    }
}

#[test]
fn places_without_their_bytes_are_not_taken_for_samples() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut film = film(codec, 2);
        let last = film.fragments.last().unwrap().bytes.len();
        let (before, end) = (film.bytes.len() - last, film.bytes.len());
        let mut earlier = film.bytes.clone();
        let third = film.fragments.iter().rev().take(3).map(|fragment| fragment.bytes.len()).sum::<usize>();
        let payload = earlier[end - third..].windows(4).position(|four| four == b"mdat").unwrap() + 4;
        earlier[end - third + payload..][..100].fill(0);
        assert_eq!(scan::scan(earlier.as_slice()).unwrap().end, (end - third) as u64, "{codec:?}, with whole ones behind it");
        film.bytes[end - last / 2..].fill(0);
        assert_eq!(scan::scan(film.bytes.as_slice()).unwrap().end, before as u64, "{codec:?}");
        film.bytes[before..].fill(0);
        assert_eq!(scan::scan(film.bytes.as_slice()).unwrap().end, before as u64, "{codec:?}");
    }
}

#[test]
fn a_change_of_size_plays_on_in_both_forms() {
    let mut film = Film::new(VideoCodec::H264);
    let (large, small) = (units(LARGE_H264), units(SMALL_H264));
    film.play(&large[..60], false, 0);
    film.play(&small, false, 60);
    film.play(&large[45..60], false, 90);
    let film = film.end(105);
    let rewritten = progressive(&film.bytes);
    for (name, bytes) in [("sizes.mp4", &film.bytes), ("sizes-progressive.mp4", &rewritten)] {
        let file = OnDisk::new(name, bytes);
        let path = file.0.to_str().unwrap();
        let arguments = ["-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0", path];
        let Some(text) = output("ffprobe", &arguments) else { return };
        let sizes: Vec<&str> = text.lines().map(|line| line.trim_end_matches(',')).filter(|line| !line.is_empty()).collect();
        let expected = [["160,120"; 60].as_slice(), &["96,64"; 30], &["160,120"; 15]].concat();
        assert_eq!(sizes, expected, "{name}");
        let played = output("ffmpeg", &["-v", "error", "-xerror", "-i", path, "-map", "0:v", "-f", "null", "-"]);
        assert!(played.is_some());
    }
}

#[test]
fn sound_that_begins_later_or_pauses_keeps_its_time() {
    let (pictures, sound) = (units(LARGE_H264), units(SOUND));
    let mut film = Film::new(VideoCodec::H264);
    for (tick, picture) in (0u64..).zip(&pictures) {
        // Every 60 ms of the time that has sound.
        let packet = tick * 3 / 5;
        if ((4..20).contains(&packet) || packet > 40) && tick * 3 % 5 < 3 {
            let fragment = film.fragmenter.audio(Ticks::of(Kind::Audio, packet * 2880 + 77), sound[packet as usize]).unwrap();
            film.take(fragment);
        }
        let fragment = film.fragmenter.video(Ticks::of(Kind::Video, tick * 3000), picture, is_keyframe(picture, false)).unwrap();
        film.take(fragment);
    }
    let film = film.end(90);
    let times: Vec<f64> = (4..20).chain(41..54).map(|packet| f64::from(packet * 2880 + 77) / 48_000.0).collect();
    for (name, bytes) in [("late.mp4", film.bytes.clone()), ("late-progressive.mp4", progressive(&film.bytes))] {
        let file = OnDisk::new(name, &bytes);
        let Some(found) = packets(&file.0, "a") else { return };
        assert_eq!(found.len(), times.len(), "{name}");
        for (at, expected) in found.iter().zip(&times) {
            assert!((at - expected).abs() < 1e-4, "{name}: {at} in place of {expected}");
        }
    }
}

#[test]
fn a_time_without_media_stays_as_long_in_both_forms() {
    let pictures = units(LARGE_H264);
    let mut film = Film::new(VideoCodec::H264);
    film.play(&pictures[..45], false, 0);
    let fragment = film.fragmenter.flush(Ticks::from_ms(1500)).unwrap();
    film.take(fragment);
    film.play(&pictures[45..], false, 150);
    let film = film.end(195);
    let expected: Vec<f64> = (0..45).chain(150..195).map(|tick| f64::from(tick) / 30.0).collect();
    for (name, bytes) in [("hole.mp4", film.bytes.clone()), ("hole-progressive.mp4", progressive(&film.bytes))] {
        let file = OnDisk::new(name, &bytes);
        let Some(found) = packets(&file.0, "v") else { return };
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(&expected).all(|(at, expected)| (at - expected).abs() < 1e-4), "{name}: {found:?}");
    }
}

#[test]
fn what_comes_late_or_cannot_be_read_is_refused_and_changes_nothing() {
    let pictures = units(LARGE_H264);
    let mut film = Film::new(VideoCodec::H264);
    film.play(&pictures[..10], false, 0);
    let refused = |result: Result<Option<Fragment>, Error>| result.err().unwrap();
    assert!(matches!(refused(film.fragmenter.video(Ticks::of(Kind::Video, 9 * 3000), pictures[10], false)), Error::Order));
    assert!(matches!(refused(film.fragmenter.video(Ticks::of(Kind::Video, 90_000), &[], false)), Error::Unit(_)));
    assert!(matches!(refused(film.fragmenter.video(Ticks::of(Kind::Video, 90_000), &[1, 2, 3], false)), Error::Unit(_)));
    assert!(
        matches!(refused(film.fragmenter.video(Ticks::of(Kind::Video, 90_000), pictures[10], true)), Error::Unit(_)),
        "no parameter sets"
    );
    assert!(matches!(refused(film.fragmenter.audio(Ticks::of(Kind::Audio, 48_000), &[])), Error::Unit(_)));
    film.play(&pictures[10..], false, 10);
    let found = scan::scan(film.end(90).bytes.as_slice()).unwrap();
    assert_eq!((found.pictures, found.duration), (90, Ticks::from_ms(3000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// NAL units between start codes of either length come out with their lengths, as shiguredo_mp4 reads them too.
    #[test]
    fn start_codes_become_lengths(unit in prop::collection::vec(prop::sample::select(vec![0u8, 0, 0, 1, 2, 0x41, 0xff]), 0..60)) {
        use shiguredo_mp4::bitstream::h264::{LengthSize, annexb_to_length_prefixed};
        for unit in [unit.clone(), [&[0, 0, 1], unit.as_slice()].concat(), [&[0, 0, 0, 1, 0x41], unit.as_slice(), &[0x41]].concat()] {
            let expected = annexb_to_length_prefixed(&unit, LengthSize::FourBytes).ok().filter(|sample| !sample.is_empty());
            prop_assert_eq!(entry::sample(VideoCodec::H264, &unit).ok(), expected, "{:?}", unit);
        }
    }

    /// Whatever the gaps between samples are: the file holds all of them, at their times, without overlap, in both forms.
    #[test]
    fn times_are_kept_whatever_they_are(steps in prop::collection::vec((any::<bool>(), 1u64..200_000, any::<bool>()), 1..120)) {
        let (pictures, sound) = (units(LARGE_H264), units(SOUND));
        let mut film = Film::new(VideoCodec::H264);
        let mut expected = [Vec::new(), Vec::new()];
        let mut at = Ticks(0);
        for (video, step, keyframe) in steps {
            at = at.plus(Ticks(step.max(15)));
            let kind = if video { Kind::Video } else { Kind::Audio };
            expected[usize::from(!video)].push(at.units(kind));
            let fragment = match kind {
                Kind::Video => film.fragmenter.video(at, pictures[usize::from(!keyframe)], keyframe),
                Kind::Audio => film.fragmenter.audio(at, sound[0]),
            };
            film.take(fragment.unwrap());
        }
        let fragment = film.fragmenter.flush(at.plus(Ticks(720))).unwrap();
        film.take(fragment);
        let mut found = [Vec::new(), Vec::new()];
        let mut walk = Walk::new(film.bytes.as_slice()).unwrap();
        while let Some(runs) = walk.next_fragment().unwrap() {
            for run in runs {
                let times = &mut found[usize::from(run.kind == Kind::Audio)];
                let mut at = run.start;
                for sample in &run.samples {
                    times.push((at, sample.duration));
                    at += u64::from(sample.duration);
                }
            }
        }
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(&found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
            for pair in found.windows(2) {
                prop_assert_eq!(pair[0].0 + u64::from(pair[0].1), pair[1].0);
            }
        }
        if !expected[0].is_empty() {
            let file = progressive(&film.bytes);
            prop_assert!(file.windows(4).any(|four| four == b"moov"));
        }
    }
}

/// Tables of nine hours: their length is no limit.
#[test]
fn fragments_are_found_behind_tables_of_any_length() {
    let of = |kind: &[u8; 4], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat();
    let tables = of(b"trak", &vec![0; 9 << 20]);
    let file = |moov: &[u8]| [of(b"ftyp", b"isom"), of(b"moov", moov), of(b"mdat", b"media")].concat();
    let progressive = file(&tables);
    assert_eq!(scan::fragments(progressive.as_slice()).unwrap(), progressive.len() as u64 - 5);
    let fragmented = file(&[tables, of(b"mvex", b"")].concat());
    assert_eq!(scan::fragments(fragmented.as_slice()).unwrap(), 0);
    assert!(scan::fragments(&progressive[..progressive.len() - 1]).is_err());
    // Boxes that lead nowhere.
    assert!(scan::fragments(file(&[0; 64]).as_slice()).is_ok());
}
