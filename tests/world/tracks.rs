//! Participants' own tracks: who is in which file and when, what consent leaves of them, and what is composed of them afterwards.

use crate::content::{self, Code, loudness, tone};
use crate::guest::Profile;
use crate::recording_faults::plays;
use crate::recordings::{Studio, decode, new, studio};
use mixdown::compose::{self, Options};
use mixdown::conference::Action;
use mixdown::conference::handle::NewRecording;
use mixdown::ids::RecordingId;
use mixdown::media::Orientation;
use mixdown::record::tracks::{Mode, Stretch};
use mixdown::record::verify::verify;
use mixdown::record::{PauseMode, State};
use mixdown::room::model::{Canvas, Consent, ParticipantPatch};
use mixdown_codecs::{AudioCodec, I420Frame, Size};
use mixdown_layouts::layout::{Kind as LayoutKind, Transition};
use mixdown_layouts::{Cast, Layout, Person, Source, SourceId};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// A track as a player has it, with times in milliseconds on the recording's clock.
struct Heard {
    stretch: Stretch,
    pictures: Vec<(u64, Arc<I420Frame>)>,
    sound: Vec<f32>,
}

impl Heard {
    fn begin(&self) -> u64 {
        self.stretch.begun.offset_us / 1000
    }

    fn codes(&self) -> Vec<(u64, Code)> {
        let of = |(at, frame): &(u64, Arc<I420Frame>)| {
            let size = frame.size();
            Some((*at + self.begin(), content::read(frame, (0, 0, size.width as usize, size.height as usize))?))
        };
        self.pictures.iter().filter_map(of).collect()
    }

    /// The first 20 ms in which somebody's tone is heard.
    fn sings(&self, person: u8) -> Option<u64> {
        first_tone(&self.sound, person).map(|ms| ms + self.begin())
    }
}

fn first_tone(sound: &[f32], person: u8) -> Option<u64> {
    let last = (sound.len() / 96) as u64;
    (0..last.saturating_sub(20)).step_by(5).find(|ms| hears(sound, person, *ms, *ms + 20))
}

fn hears(sound: &[f32], person: u8, from: u64, to: u64) -> bool {
    let sample = |ms: u64| ((ms * 96) as usize).min(sound.len());
    loudness(&sound[sample(from)..sample(to)], tone(person)) > 0.05
}

fn end(studio: &mut Studio, id: RecordingId) -> Vec<Heard> {
    assert_eq!(studio.world.act(id, Action::Stop), Ok(State::Stopping));
    studio.world.await_end(id);
    assert_eq!(verify(&folder(studio, id), false).unwrap(), [], "all is as the manifest says");
    let read = |stretch: Stretch| {
        let mut bytes = Vec::new();
        studio.store.track(id, &stretch.begun.file).unwrap().1.read_to_end(&mut bytes).unwrap();
        // Sound that is not Opus is for others to decode.
        let is_other = ["pcmu", "pcma"].contains(&stretch.begun.codec.as_str());
        let (pictures, sound) = if is_other { Default::default() } else { decode(&bytes) };
        Heard { stretch, pictures, sound }
    };
    studio.store.tracks(id).unwrap().into_iter().map(read).collect()
}

fn folder(studio: &Studio, id: RecordingId) -> PathBuf {
    studio._folder.path().join("recordings").join(id.to_string())
}

fn of<'a>(tracks: &'a [Heard], studio: &Studio, guest: usize, source: &str) -> Vec<&'a Heard> {
    let id = studio.world.guests[guest].id.unwrap();
    tracks.iter().filter(|track| track.stretch.begun.participant == id && track.stretch.begun.source == source).collect()
}

fn with(tracks: Mode) -> NewRecording {
    NewRecording { tracks, ..new() }
}

/// Two people, whose clocks go wrong in both directions; the second begins to sing with a picture that is known.
fn two() -> Studio {
    let first = Profile { drift_ppm: 100.0, ..Profile::new(1) };
    let second = Profile { drift_ppm: -100.0, sings_from: 4000, ..Profile::vp8(2) };
    studio(vec![first, second], |_| {})
}

#[test]
fn everybody_s_own_tracks_lie_beside_the_composite_as_they_came_and_line_up() {
    let mut studio = two();
    let id = studio.world.record(with(Mode::Both)).unwrap();
    studio.world.run_ms(5000);
    let tracks = end(&mut studio, id);
    assert_eq!(tracks.len(), 4, "{:?}", tracks.iter().map(|track| &track.stretch).collect::<Vec<_>>());
    for (guest, person, codec) in [(0, 1, "h264"), (1, 2, "vp8")] {
        let [camera] = of(&tracks, &studio, guest, "camera")[..] else { panic!() };
        assert_eq!((camera.stretch.begun.codec.as_str(), camera.stretch.begun.name.as_str()), (codec, format!("person {person}").as_str()));
        assert_eq!((camera.stretch.begun.width, camera.stretch.begun.height), (Some(320), Some(180)));
        let codes = camera.codes();
        assert!(codes.len() > 120 && codes.iter().all(|(_, code)| code.person == person), "{} of {person}", codes.len());
        assert!(codes.windows(2).all(|pair| pair[1].1.frame > pair[0].1.frame), "in order");
        let pace = camera.pictures.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(pace.clone().all(|ms| (25..=42).contains(&ms)), "{:?}", pace.collect::<Vec<_>>());
        let [microphone] = of(&tracks, &studio, guest, "microphone")[..] else { panic!() };
        assert!(microphone.begin() < 900 && microphone.stretch.gaps.is_empty(), "{:?}", microphone.stretch);
    }
    let (camera, microphone) = (of(&tracks, &studio, 1, "camera")[0], of(&tracks, &studio, 1, "microphone")[0]);
    let sings = microphone.sings(2).unwrap() as i64;
    let shown = camera.codes().into_iter().find(|(_, code)| code.frame >= 120).unwrap().0 as i64;
    assert!((sings - shown).abs() <= 40, "sound at {sings} ms, its picture at {shown} ms");
    let manifest = studio.store.manifest(id).unwrap();
    assert!(
        tracks
            .iter()
            .all(|track| manifest.files.iter().any(|file| file.name == track.stretch.begun.file && file.bytes == track.stretch.bytes))
    );
    assert!(manifest.files.iter().any(|file| file.name == "media.mp4"));
    studio.store.delete(id).unwrap();
    assert_eq!((studio.store.bytes(), folder(&studio, id).exists()), (0, false));
}

#[test]
fn consent_decides_what_is_written_of_somebody_at_once_and_without_a_composite_too() {
    let mut studio = studio(vec![Profile::new(1), Profile::new(2)], |_| {});
    let id = studio.world.record(with(Mode::Each)).unwrap();
    studio.world.run_ms(1000);
    for consent in [Consent::Avatar, Consent::Deny, Consent::Allow] {
        studio.world.patch(1, ParticipantPatch { recording: Some(consent), ..Default::default() });
        studio.world.run_ms(1000);
    }
    studio.world.patch(1, ParticipantPatch { muted_audio: Some(true), ..Default::default() });
    studio.world.run_ms(1000);
    let tracks = end(&mut studio, id);
    let pictures: Vec<u64> = of(&tracks, &studio, 1, "camera").iter().flat_map(|track| track.codes()).map(|(at, _)| at).collect();
    let within = |from: u64, to: u64| pictures.iter().filter(|at| (from..to).contains(at)).count();
    assert!(within(100, 1000) > 20 && within(1250, 3050) == 0 && within(3500, 4000) > 10, "{pictures:?}");
    let heard = |from: u64, to: u64| {
        of(&tracks, &studio, 1, "microphone").iter().any(|track| {
            let begin = track.begin();
            to > begin && hears(&track.sound, 2, from.saturating_sub(begin), to - begin)
        })
    };
    let parts = [(300, 900), (1300, 1900), (2300, 2900), (3300, 3900), (4300, 4900)].map(|(from, to)| heard(from, to));
    assert_eq!(parts, [true, true, false, true, false], "avatar is heard, deny and muted are not");
    let lost: Vec<_> = of(&tracks, &studio, 1, "microphone").iter().flat_map(|track| &track.stretch.gaps).collect();
    assert!(lost.is_empty(), "what was withheld is not lost: {lost:?}");
    assert!(of(&tracks, &studio, 0, "camera")[0].codes().len() > 140, "the other is not concerned");
    let manifest = studio.store.manifest(id).unwrap();
    assert!((4700..=5300).contains(&manifest.duration_ms), "{}", manifest.duration_ms);
    assert!(manifest.files.iter().all(|file| file.name != "media.mp4"), "each: no composite");
}

#[test]
fn a_camera_in_layers_that_is_turned_is_recorded_in_one_of_them_and_as_it_was_held() {
    let simulcast = Profile { simulcast: true, size: Size::new(640, 360), ..Profile::new(1) };
    let phone = Profile { audio: AudioCodec::Pcma, ..Profile::vp8(2) };
    let mut studio = studio(vec![simulcast, phone], |_| {});
    let id = studio.world.record(with(Mode::Each)).unwrap();
    studio.world.run_ms(2000);
    studio.world.guests[1].orientation = Orientation { quarter_turns: 1, flip: false };
    studio.world.run_ms(2000);
    let tracks = end(&mut studio, id);
    let cameras = of(&tracks, &studio, 0, "camera");
    let codes: Vec<Code> = cameras.iter().flat_map(|track| track.codes()).map(|(_, code)| code).collect();
    let sizes: Vec<_> = cameras.iter().map(|track| (track.stretch.begun.width.unwrap(), track.stretch.gaps.len())).collect();
    assert!(codes.len() > 110 && codes.windows(2).all(|pair| pair[0].frame < pair[1].frame), "{} pictures, {sizes:?}", codes.len());
    assert!(sizes.len() <= 2 && sizes.iter().all(|(_, gaps)| *gaps == 0), "{sizes:?}");
    let turned: Vec<_> = of(&tracks, &studio, 1, "camera").iter().map(|track| track.stretch.begun.quarter_turns).collect();
    assert_eq!(turned, [Some(0), Some(1)], "another turn is another file");
    let [microphone] = of(&tracks, &studio, 1, "microphone")[..] else { panic!() };
    assert_eq!((microphone.stretch.begun.codec.as_str(), microphone.stretch.gaps.len()), ("pcma", 0));
    assert!(microphone.stretch.units > 190 && microphone.stretch.duration_us.abs_diff(microphone.stretch.units * 20_000) < 40_000);
    plays(&folder(&studio, id).join(&microphone.stretch.begun.file));
}

#[test]
fn a_pause_is_cut_out_of_tracks_and_who_comes_back_has_files_of_their_own() {
    let mut studio = studio(vec![Profile::new(1)], |_| {});
    let id = studio.world.record(with(Mode::Each)).unwrap();
    studio.world.run_ms(1500);
    studio.world.act(id, Action::Pause(PauseMode::Cut)).unwrap();
    studio.world.run_ms(3000);
    studio.world.act(id, Action::Resume).unwrap();
    studio.world.run_ms(1500);
    studio.world.leave(0);
    studio.world.run_ms(500);
    studio.world.join(Profile::new(3));
    studio.world.connect(std::time::Duration::from_secs(3));
    studio.world.run_ms(1500);
    let tracks = end(&mut studio, id);
    let codes: Vec<(u64, Code)> = of(&tracks, &studio, 0, "camera").iter().flat_map(|track| track.codes()).collect();
    let jump = codes.windows(2).find(|pair| pair[1].1.frame - pair[0].1.frame > 60).expect("the pause");
    assert!(jump[1].0 - jump[0].0 < 400, "frames {} and {} are {} ms apart", jump[0].1.frame, jump[1].1.frame, jump[1].0 - jump[0].0);
    let [late] = of(&tracks, &studio, 1, "camera")[..] else { panic!() };
    assert!(late.begin() > 3000 && late.codes().iter().all(|(_, code)| code.person == 3), "{:?}", late.stretch);
}

/// Where two people stand in a grid of 640x360.
fn grid_of_two() -> [(usize, usize, usize, usize); 2] {
    let person = |n: u64| Person {
        key: n.to_string(),
        name: format!("person {n}"),
        camera: Some(Source { id: SourceId(n), size: Some(Size::new(320, 180)) }),
        ..Person::plain(n)
    };
    let cast = Cast { people: vec![person(1), person(2)], ..Cast::default() };
    let scene = Layout { kind: LayoutKind::Grid, ..Layout::default() }.arrange(&cast, Size::new(640, 360), [0; 3]);
    let area = |tile: usize| {
        let rect = scene.tiles[tile].rect;
        (rect.x as usize, rect.y as usize, rect.width as usize, rect.height as usize)
    };
    [area(0), area(1)]
}

#[test]
fn tracks_are_composed_again_in_another_layout_with_names_sound_and_the_speaker_in_step() {
    let mut studio = two();
    let id = studio.world.record(with(Mode::Each)).unwrap();
    studio.world.run_ms(6000);
    drop(end(&mut studio, id));
    let out = studio._folder.path().join("again.mp4");
    let film = |kind: LayoutKind| {
        let layout = Layout { kind, transition: Transition { ms: 0, ..Transition::default() }, ..Layout::default() };
        let options = Options { layout, canvas: Canvas { width: 640, height: 360, ..Canvas::default() }, bitrate_bps: 2_000_000 };
        let mut told = Vec::new();
        let now = mixdown::runtime::clock::now();
        let summary = compose::compose(&folder(&studio, id), &options, &out, now, &mut |done, total| told.push((done, total))).unwrap();
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!((summary.bytes, summary.people), (bytes.len() as u64, 2));
        assert!(told.len() >= 5 && told.is_sorted() && told.last().unwrap().0 == told[0].1, "{told:?}");
        (bytes, summary)
    };
    let (bytes, summary) = film(LayoutKind::Grid);
    assert!((5500..=6200).contains(&summary.duration_ms), "{summary:?}");
    assert_eq!(film(LayoutKind::Grid).0, bytes, "the same again");
    let (pictures, sound) = decode(&bytes);
    let codes: Vec<(u64, [Option<Code>; 2])> =
        pictures.iter().map(|(at, frame)| (*at, grid_of_two().map(|area| content::read(frame, area)))).collect();
    let mut people = BTreeSet::new();
    for tile in [0, 1] {
        let seen: Vec<Code> = codes.iter().filter(|(at, _)| *at > 700).filter_map(|(_, tiles)| tiles[tile]).collect();
        assert!(seen.len() > 120 && seen.iter().all(|code| code.person == seen[0].person), "{} pictures in tile {tile}", seen.len());
        assert!(seen.windows(2).all(|pair| pair[0].frame <= pair[1].frame), "in order");
        people.insert(seen[0].person);
    }
    assert_eq!(people, BTreeSet::from([1, 2]));
    assert!(hears(&sound, 1, 1000, 2000) && hears(&sound, 2, 4000, 5000));
    let sings = first_tone(&sound, 2).unwrap() as i64;
    let shown = codes.iter().find(|(_, tiles)| tiles.iter().flatten().any(|code| code.person == 2 && code.frame >= 120)).unwrap().0 as i64;
    assert!((sings - shown).abs() <= 40, "sound at {sings} ms, its picture at {shown} ms");
    let (single, _) = decode(&film(LayoutKind::Single).0);
    let size = single[0].1.size();
    let whole = (0, 0, size.width as usize, size.height as usize);
    let people: BTreeSet<u8> = single
        .iter()
        .filter(|(at, _)| (1500..2200).contains(at))
        .filter_map(|(_, frame)| content::read(frame, whole))
        .map(|code| code.person)
        .collect();
    assert_eq!(people, BTreeSet::from([1]), "one speaks, and alone is seen");
}
