//! Recordings of whole rooms, decoded again: who is in which tile, which picture follows which, whose tone is in the sound.

use crate::content::{self, Code, loudness, tone};
use crate::guest::Profile;
use crate::recording_faults::plays;
use crate::world::{Options, World, small_canvas, soon};
use mixdown::conference::Action;
use mixdown::conference::handle::{NewRecording, Refusal, Request};
use mixdown::conference::library::Library;
use mixdown::ids::{ParticipantId, RecordingId};
use mixdown::record::mp4::scan::{self, Walk};
use mixdown::record::mp4::{From, Kind, Ticks};
use mixdown::record::timeline::Timeline;
use mixdown::record::tracks::Mode;
use mixdown::record::{Manifest, Part, PauseMode, Reason, Settings, State, Store, TimelineEvent};
use mixdown::room::model::{Canvas, Consent, ParticipantPatch, RoomPatch, ViewPatch};
use mixdown::room::{Expect, Framing, MAIN_VIEW};
use mixdown_codecs::{AudioCodec, FramePool, I420Frame, Size, audio, gate, video};
use mixdown_layouts::layout::{Kind as LayoutKind, Transition};
use mixdown_layouts::{Fit, Layout};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const PATIENCE: Duration = Duration::from_secs(3);

/// A world whose recordings lie in a folder, which is gone with it.
pub struct Studio {
    pub world: World,
    pub store: Store,
    library: Library,
    pub _folder: tempfile::TempDir,
}

pub fn studio(profiles: Vec<Profile>, change: impl FnOnce(&mut Settings)) -> Studio {
    studio_of(small_canvas(), profiles, change)
}

pub fn studio_of(canvas: Canvas, profiles: Vec<Profile>, change: impl FnOnce(&mut Settings)) -> Studio {
    let folder = tempfile::tempdir().unwrap();
    // Virtual time passes faster than a thread wakes.
    let (queue_bytes, queue_span) = (1 << 30, Duration::from_secs(3600));
    let mut settings =
        Settings { folder: folder.path().join("recordings"), queue_bytes, queue_span, reserve_bytes: 0, ..Settings::default() };
    change(&mut settings);
    let (store, _) = Store::open(settings).unwrap();
    let library = Library::new(store.clone(), 2, || SystemTime::UNIX_EPOCH);
    let mut world = World::with(Options { library: library.clone(), canvas, ..Options::default() });
    for profile in profiles {
        world.join(profile);
    }
    world.connect(PATIENCE);
    world.run_ms(1500);
    Studio { world, store, library, _folder: folder }
}

pub fn new() -> NewRecording {
    NewRecording { framing: Framing::default(), tracks: Mode::Composite }
}

/// Whose tiles a picture has, and what can be read in them.
type Tiles = Vec<(ParticipantId, Option<Code>)>;

/// A recording as a player has it.
pub struct Film {
    pub manifest: Manifest,
    timeline: Timeline,
    /// With their times in milliseconds.
    pub pictures: Vec<(u64, Arc<I420Frame>)>,
    /// Interleaved stereo at 48 kHz, from the beginning.
    sound: Vec<f32>,
}

impl Studio {
    pub fn stop(&mut self, id: RecordingId) -> Film {
        assert_eq!(self.world.act(id, Action::Stop), Ok(State::Stopping));
        self.world.await_end(id);
        self.film(id)
    }

    fn film(&self, id: RecordingId) -> Film {
        let mut bytes = Vec::new();
        self.store.reader(id, Part::Media).unwrap().read_to_end(&mut bytes).unwrap();
        let (pictures, sound) = decode(&bytes);
        Film { manifest: self.store.manifest(id).unwrap(), timeline: self.store.timeline(id).unwrap(), pictures, sound }
    }
}

/// All pictures of a file with their times in milliseconds, and its sound as interleaved stereo at 48 kHz from its beginning on.
pub fn decode(bytes: &[u8]) -> (Vec<(u64, Arc<I420Frame>)>, Vec<f32>) {
    let (mut pictures, mut sound) = (Vec::new(), Vec::new());
    let mut picture = |ms, frame| pictures.push((ms, frame));
    let mut samples = |at: u64, samples: &[f32]| {
        sound.resize((at * 2) as usize, 0.0);
        sound.extend_from_slice(samples);
    };
    unreel(bytes, &mut picture, &mut samples);
    (pictures, sound)
}

/// Gives all pictures of a file with their times in milliseconds, and its sound with where it begins in samples, in order.
pub fn unreel(bytes: &[u8], picture: &mut dyn FnMut(u64, Arc<I420Frame>), sound: &mut dyn FnMut(u64, &[f32])) {
    let begin = scan::fragments(bytes).unwrap();
    let inner = From(bytes, begin);
    let mut walk = Walk::new(&inner).unwrap();
    let codec = walk.found.codec;
    let mut eyes = codec.map(|codec| video::decoder(codec, gate::Limits::default()).unwrap().unwrap());
    let mut ears = audio::decoder(AudioCodec::Opus).unwrap();
    let (mut pool, mut samples) = (FramePool::default(), Vec::new());
    while let Some(runs) = walk.next_fragment().unwrap() {
        for run in runs {
            let (mut at, mut place) = (run.start, (run.position + begin) as usize);
            for sample in &run.samples {
                let data = &bytes[place..place + sample.bytes as usize];
                let ticks = Ticks::of(run.kind, at);
                match (run.kind, &mut eyes) {
                    (Kind::Video, Some(eyes)) => {
                        let unit = mixdown::record::mp4::unit(codec.unwrap(), data.to_vec());
                        picture(ticks.ms(), eyes.decode(&unit, &mut pool).unwrap().unwrap());
                    }
                    _ => {
                        samples.clear();
                        ears.decode(data, &mut samples).unwrap();
                        sound(at, &samples);
                    }
                }
                at += u64::from(sample.duration);
                place += sample.bytes as usize;
            }
        }
    }
}

impl Film {
    /// How much later, in milliseconds, somebody is heard to sing than the picture in which they begin to is seen.
    pub fn skew(&self, person: u8, id: ParticipantId, frame: u16) -> i64 {
        let shown = self.shown(id, frame);
        let sound = |ms: u64| &self.sound[(ms * 96) as usize..(ms * 96 + 480) as usize];
        let near: Vec<(u64, f64)> = (shown.saturating_sub(200)..shown + 200).map(|ms| (ms, loudness(sound(ms), tone(person)))).collect();
        let most = near.iter().map(|(_, loud)| *loud).fold(0.0, f64::max);
        // Half of what is listened to at a time is enough.
        let sings = near.iter().find(|(_, loud)| *loud > most / 2.0).unwrap().0 + 2;
        sings as i64 - shown as i64
    }

    /// When the first picture is seen that is no older than this one of somebody's.
    fn shown(&self, id: ParticipantId, frame: u16) -> u64 {
        let begins = |codes: &Tiles| codes.iter().any(|(of, code)| *of == id && code.is_some_and(|code| code.frame >= frame));
        self.codes(0, u64::MAX).into_iter().find(|(_, codes)| begins(codes)).unwrap().0
    }

    /// The frames that were read in somebody's tile, in the order of the film.
    pub fn frames(&self, id: ParticipantId) -> Vec<u16> {
        let tiles = self.codes(0, u64::MAX).into_iter().flat_map(|(_, codes)| codes);
        tiles.filter(|(of, _)| *of == id).filter_map(|(_, code)| Some(code?.frame)).collect()
    }

    /// The codes in the tiles that the timeline names, between two times in milliseconds.
    pub fn codes(&self, from: u64, to: u64) -> Vec<(u64, Tiles)> {
        let of = |(at, frame): &(u64, Arc<I420Frame>)| {
            let states = self.timeline.events.iter().filter(|line| line.at_ms <= *at);
            let state =
                states.filter_map(|line| if let TimelineEvent::Layout { state } = &line.event { Some(state) } else { None }).next_back()?;
            let tile = |tile: &serde_json::Value| {
                let side = |key: &str, length: u32| (tile[key].as_f64().unwrap() * f64::from(length)).round() as usize;
                let (w, h) = (frame.size().width, frame.size().height);
                let area = (side("x", w), side("y", h), side("width", w), side("height", h));
                (tile["participant"].as_str().unwrap().parse().unwrap(), content::read(frame, area))
            };
            Some((*at, state["tiles"].as_array().unwrap().iter().map(tile).collect()))
        };
        self.pictures.iter().filter(|(at, _)| (from..to).contains(at)).filter_map(of).collect()
    }

    /// Who can be read in some picture.
    fn seen(&self, from: u64, to: u64) -> BTreeSet<u8> {
        self.codes(from, to).iter().flat_map(|(_, codes)| codes).filter_map(|(_, code)| code.map(|code| code.person)).collect()
    }

    pub fn hears(&self, person: u8, from: u64, to: u64) -> bool {
        let sample = |ms: u64| ((ms * 96) as usize).min(self.sound.len());
        loudness(&self.sound[sample(from)..sample(to)], tone(person)) > 0.05
    }

    /// The longest time between two pictures, in milliseconds.
    fn longest_gap(&self) -> u64 {
        self.pictures.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap()
    }

    fn notes(&self) -> Vec<&TimelineEvent> {
        self.timeline.events.iter().map(|line| &line.event).filter(|event| !matches!(event, TimelineEvent::Layout { .. })).collect()
    }
}

#[test]
fn a_recorded_room_is_in_the_file_as_it_was_seen_and_heard() {
    let mut second = Profile::vp8(2);
    second.sings_from = 4000;
    let mut studio = studio(vec![Profile::new(1), second], |_| {});
    let rendition = |world: &mut World| world.participant(0).unwrap().participant.feed.unwrap().rendition;
    let before = (rendition(&mut studio.world), studio.world.guests[0].record.keyframes);
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(4000);
    assert_eq!(rendition(&mut studio.world), before.0);
    assert_eq!(studio.world.guests[0].record.keyframes, before.1 + 1, "the recording begins with a keyframe of what is watched");
    let film = studio.stop(id);
    assert_eq!((film.manifest.state, film.manifest.reason), (State::Complete, Some(Reason::Requested)));
    assert_eq!((film.manifest.lost_pictures, film.manifest.lost_packets), (0, 0));
    assert!((3700..=4100).contains(&film.manifest.duration_ms), "{}", film.manifest.duration_ms);
    assert!(film.longest_gap() <= 34, "every tick: {}", film.longest_gap());
    let ids = [0, 1].map(|guest| studio.world.guests[guest].id.unwrap());
    for (person, id) in (1..).zip(ids) {
        let codes = film.codes(500, 4000);
        let frames: Vec<u16> = codes
            .iter()
            .flat_map(|(_, codes)| codes)
            .filter(|(of, _)| *of == id)
            .filter_map(|(_, code)| *code)
            .map(|code| {
                assert_eq!(code.person, person, "somebody else in this tile");
                code.frame
            })
            .collect();
        assert!(frames.len() > 90, "{person} is readable in {} of {} pictures", frames.len(), codes.len());
        assert!(frames.windows(2).all(|pair| pair[0] <= pair[1]), "in order");
        assert!(usize::from(frames[frames.len() - 1] - frames[0]) + 10 > frames.len(), "it moves on: {frames:?}");
    }
    assert!(film.hears(1, 1000, 3500), "the recording is nobody: it hears everybody");
    let skew = film.skew(2, ids[1], 120);
    assert!((-40..=40).contains(&skew), "sound comes {skew} ms after the picture");
    let named = |person: u8| TimelineEvent::Joined { participant: ids[usize::from(person) - 1], name: format!("person {person}") };
    assert!([1, 2].iter().all(|person| film.notes().contains(&&named(*person))), "{:?}", film.notes());
    assert!(film.notes().contains(&&TimelineEvent::Speaker { participant: Some(ids[0]) }));
    assert!(studio.store.thumbnail(id).unwrap().starts_with(&[0xFF, 0xD8]));
}

#[test]
fn a_pause_is_cut_out_or_shows_a_slate_and_time_goes_on_without_a_hole() {
    let mut studio = studio(vec![Profile::new(1)], |_| {});
    let ids = [PauseMode::Cut, PauseMode::Slate].map(|mode| (studio.world.record(new()).unwrap(), mode));
    studio.world.run_ms(2000);
    for (id, mode) in ids {
        assert_eq!(studio.world.act(id, Action::Pause(mode)), Ok(State::Paused));
        assert!(matches!(studio.world.act(id, Action::Pause(mode)), Err(Refusal::Conflict(_))));
    }
    studio.world.run_ms(3000);
    for (id, _) in ids {
        assert_eq!(studio.world.act(id, Action::Resume), Ok(State::Active));
        assert!(matches!(studio.world.act(id, Action::Resume), Err(Refusal::Conflict(_))));
    }
    studio.world.run_ms(2000);
    let [cut, slate] = ids.map(|(id, _)| studio.stop(id));
    assert!(
        (3700..=4100).contains(&cut.manifest.duration_ms) && cut.longest_gap() < 120,
        "{} {}",
        cut.manifest.duration_ms,
        cut.longest_gap()
    );
    assert!((6700..=7100).contains(&slate.manifest.duration_ms), "{}", slate.manifest.duration_ms);
    assert_eq!(
        (cut.seen(0, 9000), slate.seen(0, 1800), slate.seen(5300, 9000)),
        (BTreeSet::from([1]), BTreeSet::from([1]), BTreeSet::from([1]))
    );
    let standing = slate.pictures.windows(2).find(|pair| pair[1].0 - pair[0].0 > 2000).expect("one picture stands");
    assert_eq!(content::read(&standing[0].1, (0, 0, 640, 360)), None, "and shows nobody");
    assert!(cut.hears(1, 500, 3500) && !slate.hears(1, 2500, 4500), "a pause is silent");
    assert_eq!((cut.timeline.pauses.len(), slate.timeline.pauses.len()), (1, 1));
}

#[test]
fn consent_holds_in_the_recording_alone_and_can_be_changed_while_it_runs() {
    let mut studio = studio(vec![Profile::new(1), Profile::new(2), Profile::viewer(3)], |_| {});
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    for consent in [Consent::Avatar, Consent::AudioOnly, Consent::Deny, Consent::Allow] {
        studio.world.patch(1, ParticipantPatch { recording: Some(consent), ..Default::default() });
        let from = studio.world.now + Duration::from_millis(300);
        studio.world.run_ms(1000);
        let live: BTreeSet<u8> =
            studio.world.sights(2, from).flat_map(|sight| &sight.codes).filter_map(|(_, code)| code.map(|code| code.person)).collect();
        assert_eq!(live, BTreeSet::from([1, 2]), "what people see is theirs: {consent:?}");
        assert!(studio.world.hears(2, 1, 500) > 0.1);
    }
    let film = studio.stop(id);
    assert!(film.longest_gap() <= 100, "going over costs no time: {}", film.longest_gap());
    for (n, seen, tiles, heard) in
        [(0, vec![1, 2], 2, true), (1, vec![1], 2, true), (2, vec![1], 1, true), (3, vec![1], 1, false), (4, vec![1, 2], 2, true)]
    {
        let (from, to) = (n * 1000 + 500, n * 1000 + 950);
        assert_eq!(film.seen(from, to), seen.into_iter().collect(), "part {n}");
        assert!(film.codes(from, to).iter().all(|(_, codes)| codes.len() == tiles), "part {n}");
        assert_eq!((film.hears(1, from, to), film.hears(2, from, to)), (true, heard), "part {n}");
    }
    let second = studio.world.guests[1].id.unwrap();
    assert!(film.notes().contains(&&TimelineEvent::Left { participant: second }), "who denies is in no timeline");
}

#[test]
fn a_recording_goes_on_without_anybody_takes_in_who_comes_late_and_survives_another_size() {
    let mut studio = studio(vec![Profile::new(1)], |_| {});
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    studio.world.leave(0);
    assert_eq!(studio.world.conference.empty_since(), None, "the room stays as long as it is recorded");
    studio.world.run_ms(2000);
    let late = studio.world.join(Profile::new(2));
    studio.world.connect(PATIENCE);
    studio.world.run_ms(1500);
    let patch = RoomPatch { canvas: Some(Canvas { width: 480, height: 270, ..Canvas::default() }), ..RoomPatch::default() };
    studio.world.ask(|reply| Request::PatchRoom { patch: Box::new(patch), if_match: None, reply }).unwrap();
    studio.world.run_ms(1500);
    studio.world.leave(late);
    let film = studio.stop(id);
    assert!(studio.world.conference.empty_since().is_some());
    assert_eq!(film.manifest.state, State::Complete);
    assert!((5700..=7500).contains(&film.manifest.duration_ms), "{}", film.manifest.duration_ms);
    assert_eq!((film.seen(0, 1000), film.seen(1500, 2800)), (BTreeSet::from([1]), BTreeSet::new()));
    let sizes: BTreeSet<(u32, u32)> = film.pictures.iter().map(|(_, frame)| (frame.size().width, frame.size().height)).collect();
    assert_eq!(sizes, BTreeSet::from([(480, 270), (640, 360)]));
    let end = film.manifest.duration_ms;
    let small: BTreeSet<u8> =
        film.codes(end - 1000, end).iter().flat_map(|(_, codes)| codes).filter_map(|(_, code)| code.map(|code| code.person)).collect();
    assert_eq!((small, film.pictures.last().unwrap().1.size()), (BTreeSet::from([2]), Size::new(480, 270)));
}

#[test]
fn a_view_that_changes_its_layout_and_canvas_while_it_is_recorded_is_one_film_in_order() {
    let mut studio = studio(vec![Profile::new(1), Profile::vp8(2)], |settings| settings.progressive = false);
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    for (kind, width, height) in
        [(LayoutKind::Speaker, 640, 360), (LayoutKind::Grid, 480, 270), (LayoutKind::Single, 640, 360), (LayoutKind::Grid, 320, 180)]
    {
        let layout = Layout { kind, transition: Transition { ms: 0, ..Transition::default() }, ..Layout::default() };
        let canvas = Canvas { width, height, ..Canvas::default() };
        let patch = RoomPatch { canvas: Some(canvas), layout: Some(layout), ..RoomPatch::default() };
        studio.world.ask(|reply| Request::PatchRoom { patch: Box::new(patch), if_match: None, reply }).unwrap();
        studio.world.run_ms(1000);
    }
    let film = studio.stop(id);
    assert_eq!((film.manifest.state, film.manifest.lost_pictures), (State::Complete, 0));
    assert!(film.pictures.windows(2).all(|pair| pair[0].0 < pair[1].0) && film.longest_gap() <= 120, "{}", film.longest_gap());
    let mut sizes: Vec<u32> = film.pictures.iter().map(|(_, frame)| frame.size().width).collect();
    sizes.dedup();
    assert_eq!(sizes, [640, 480, 640, 320]);
    assert_eq!(film.seen(2400, 2800), BTreeSet::from([1, 2]), "the timeline says where they are in the grid");
    for guest in [0, 1] {
        let frames = film.frames(studio.world.guests[guest].id.unwrap());
        assert!(frames.len() > 60 && frames.is_sorted(), "{frames:?}");
    }
    plays(&studio._folder.path().join("recordings").join(id.to_string()).join("media.mp4"));
}

#[test]
fn what_is_watched_is_encoded_as_often_as_before_while_it_is_recorded() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let mut studio = studio(vec![Profile::new(1), Profile::new(2)], |_| {});
        let encodes = |kind: &str| -> u64 {
            let line = format!("mixdown_encodes_total{{kind=\"{kind}\"}} ");
            handle.render().lines().find_map(|text| text.strip_prefix(&line)?.parse().ok()).unwrap()
        };
        let count = |studio: &mut Studio| {
            let before = ["video", "audio"].map(encodes);
            studio.world.run_ms(2000);
            [encodes("video") - before[0], encodes("audio") - before[1]]
        };
        let unrecorded = count(&mut studio);
        let id = studio.world.record(new()).unwrap();
        let recorded = count(&mut studio);
        // Ticks that come sooner and sooner are a few more. Each hears the room less themselves; whoever records hears all of it.
        let pictures = [unrecorded[0], recorded[0]];
        assert!(pictures.iter().all(|pictures| (60..=62).contains(pictures)), "{pictures:?}");
        assert_eq!(recorded[1], unrecorded[1] + 100);
        studio.stop(id);
    });
}

#[test]
fn one_with_its_own_layout_shows_that_and_the_watched_view_stays_as_it_is() {
    let mut studio = studio(vec![Profile::new(1), Profile::new(2)], |_| {});
    let layout = Layout { kind: LayoutKind::Single, transition: Transition { ms: 0, ..Transition::default() }, ..Layout::default() };
    let id = studio.world.record(NewRecording { framing: Framing { layout: Some(layout), ..Framing::default() }, ..new() }).unwrap();
    let from = studio.world.now + Duration::from_millis(500);
    studio.world.run_ms(2000);
    assert!(studio.world.sights(0, from).all(|sight| sight.codes.len() == 2));
    let film = studio.stop(id);
    assert!(film.codes(500, 1900).iter().all(|(_, codes)| codes.len() == 1));
    assert!(film.hears(1, 500, 1900) && film.hears(2, 500, 1900), "but hears everybody");
}

#[test]
fn what_a_recording_is_of_changes_while_it_runs_and_what_is_watched_does_not() {
    let mut studio = studio(vec![Profile::new(1), Profile::new(2)], |settings| settings.progressive = false);
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    let from = studio.world.now + Duration::from_millis(500);
    let layout = Layout { kind: LayoutKind::Single, transition: Transition { ms: 0, ..Transition::default() }, ..Layout::default() };
    for (canvas, layout) in [((360, 640, 15), Some(layout)), ((640, 360, 30), None)] {
        let (width, height, fps) = canvas;
        let canvas = Canvas { width, height, fps, ..Canvas::default() };
        let framing = Framing { layout, canvas: Some(canvas), ..Framing::default() };
        studio.world.act(id, Action::Frame(framing.into())).unwrap();
        studio.world.run_ms(1500);
    }
    assert!(studio.world.sights(0, from).all(|sight| sight.codes.len() == 2), "who watches sees both all the time");
    let film = studio.stop(id);
    assert_eq!((film.manifest.canvas.as_ref().unwrap()["height"].as_u64(), film.manifest.layout.is_none()), (Some(360), true));
    let people = |from, to| film.codes(from, to).iter().map(|(_, codes)| codes.len()).collect::<BTreeSet<_>>();
    assert_eq!([people(0, 900), people(1300, 2400), people(2800, 3900)], [2, 1, 2].map(|people| BTreeSet::from([people])));
    let sizes: Vec<Size> = film.pictures.iter().map(|(_, frame)| frame.size()).collect::<Vec<_>>();
    assert!(sizes.contains(&Size::new(360, 640)) && sizes.last() == Some(&Size::new(640, 360)), "{sizes:?}");
    assert!(film.pictures.is_sorted_by_key(|(at, _)| *at), "in order; of the tick of a change both canvases have a picture");
    assert!(film.hears(1, 300, 3700) && film.hears(2, 300, 3700) && film.longest_gap() <= 140, "{}", film.longest_gap());
    assert!(studio.world.act(id, Action::Frame(Framing::default().into())).is_err(), "it has ended");
    plays(&studio._folder.path().join("recordings").join(id.to_string()).join("media.mp4"));
}

#[test]
fn who_has_a_seat_with_a_frame_rate_keeps_it_in_the_recording_while_speaking_and_while_somebody_else_is_pinned() {
    let silent = |person| Profile { sings_from: u64::MAX, ..Profile::new(person) };
    let mut studio = studio(vec![silent(1), silent(2), Profile::new(3)], |_| ());
    let interpreter = studio.world.guests[2].id.unwrap();
    let layout = format!(
        r#"{{"type": "custom", "transition": {{"ms": 0}}, "regions": [
            {{"width": "1/2", "height": "1/2", "seat": "active_speaker"}},
            {{"x": "1/2", "width": "1/2", "height": "1/2", "seat": "pinned"}},
            {{"x": "1/2", "y": "1/2", "width": "1/2", "height": "1/2", "seat": {{"participant": "{interpreter}"}}, "min_fps": 25}}]}}"#
    );
    let framing = Framing { layout: Some(serde_json::from_str(&layout).unwrap()), ..Framing::default() };
    let id = studio.world.record(NewRecording { framing, ..new() }).unwrap();
    studio.world.run_ms(1500);
    studio.world.patch(0, ParticipantPatch { pinned: Some(true), ..ParticipantPatch::default() });
    studio.world.run_ms(1000);
    studio.world.patch(2, ParticipantPatch { pinned: Some(true), ..ParticipantPatch::default() });
    studio.world.run_ms(1000);
    let film = studio.stop(id);
    assert!(film.pictures.len() > 90, "{}", film.pictures.len());
    for (at, picture) in film.pictures.iter().filter(|(at, _)| *at > 200) {
        let person = |x, y| content::read(picture, (x, y, 320, 180)).map(|code| code.person);
        assert_eq!(person(320, 180), Some(3), "at {at} ms somebody else has the interpreter's seat");
        assert!(person(0, 0).is_some_and(|person| person != 3), "at {at} ms the interpreter is seen twice");
        assert!(*at < 1800 || person(320, 0) == Some(1), "at {at} ms");
    }
}

#[test]
fn a_recording_shows_the_way_from_one_layout_to_the_next() {
    const WAY_MS: u64 = 600;
    let mut studio = studio(vec![Profile::new(1), Profile::new(2), Profile::new(3)], |_| ());
    let layout = |kind| Layout {
        kind,
        fit: Fit::Contain,
        transition: Transition { ms: WAY_MS as u32, ..Transition::default() },
        ..Layout::default()
    };
    let put = |studio: &mut Studio, layout: Layout| {
        let settings = Box::new(ViewPatch { layout: Some(layout), ..ViewPatch::default() });
        studio.world.ask(|reply| Request::PutView { view: MAIN_VIEW.into(), settings, expect: Expect::Anything, reply }).unwrap();
    };
    let (before, after) = (layout(LayoutKind::Grid), layout(LayoutKind::Speaker));
    put(&mut studio, before.clone());
    studio.world.run_ms(1500);
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    put(&mut studio, after.clone());
    studio.world.run_ms(1500);
    let film = studio.stop(id);
    let first = |is: &dyn Fn(&I420Frame) -> bool| film.pictures.iter().find(|(_, picture)| is(picture)).map(|(at, _)| *at);
    let left = first(&|picture| !content::is_composed_as(picture, &before, 3)).expect("it begins");
    let came = first(&|picture| content::is_composed_as(picture, &after, 3)).expect("it ends");
    assert!(left > 800 && (WAY_MS - 150..=WAY_MS + 70).contains(&(came - left)), "on the way from {left} to {came} ms");
}

#[test]
fn everybody_is_told_that_and_for_how_long_it_is_recorded() {
    let mut studio = studio(vec![Profile::new(1)], |_| {});
    assert_eq!(studio.world.guests[0].messages_of("recording").count(), 0);
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(500);
    let told = |world: &World, guest: usize| {
        let message = world.guests[guest].messages_of("recording").last().cloned().unwrap();
        (message["active"].as_bool().unwrap(), message["recordings"].as_array().unwrap().len())
    };
    assert_eq!(told(&studio.world, 0), (true, 1));
    let late = studio.world.join(Profile::viewer(2));
    studio.world.connect(PATIENCE);
    studio.world.run_ms(500);
    assert_eq!(told(&studio.world, late), (true, 1), "who comes later is told too");
    studio.world.act(id, Action::Pause(PauseMode::Cut)).unwrap();
    studio.world.run_ms(300);
    assert_eq!(told(&studio.world, 0), (false, 1));
    studio.world.act(id, Action::Stop).unwrap();
    let events = studio.world.await_end(id);
    let kinds: Vec<&str> = events.iter().map(|event| event.kind).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("recording.started", "recording.ended"), "{kinds:?}");
    studio.world.run_ms(300);
    assert_eq!(told(&studio.world, 0), (false, 0));
}

#[test]
fn without_space_a_recording_is_refused_and_the_room_goes_on() {
    let mut studio = studio(vec![Profile::new(1)], |settings| settings.max_bytes = 1000);
    let refused = studio.world.record(new());
    assert!(matches!(&refused, Err(Refusal::NoSpace(detail)) if detail.contains("recordings.max_bytes")), "{refused:?}");
    assert!(studio.world.take_events().contains(&"recording.failed"));
    assert_eq!(studio.store.list().unwrap().len(), 0, "nothing is left of it");
    let from = studio.world.now;
    studio.world.run_ms(1000);
    assert!(studio.world.quality(0, 0, from).share > 0.9);
}

#[test]
fn a_room_has_only_so_many_at_a_time_and_one_that_has_ended_is_gone() {
    let mut studio = studio(vec![Profile::new(1)], |_| {});
    let ids = [(); 2].map(|()| studio.world.record(new()).unwrap());
    assert!(matches!(studio.world.record(new()), Err(Refusal::Busy(detail)) if detail.contains("max_per_room")));
    assert!(matches!(
        studio.world.record(NewRecording { framing: Framing { view: "nowhere".into(), ..Framing::default() }, ..new() }),
        Err(Refusal::Unprocessable { pointer: "/view", .. })
    ));
    studio.world.run_ms(500);
    studio.stop(ids[0]);
    assert_eq!(studio.world.act(ids[0], Action::Resume), Err(Refusal::Gone("the recording has ended")));
    assert!(studio.world.record(new()).is_ok());
}

#[test]
fn a_room_that_is_set_to_records_itself_while_somebody_is_there() {
    let mut studio = studio(vec![], |_| {});
    let patch = RoomPatch { auto_record: Some(true), ..RoomPatch::default() };
    studio.world.ask(|reply| Request::PatchRoom { patch: Box::new(patch), if_match: None, reply }).unwrap();
    studio.world.run_ms(500);
    assert!(studio.store.list().unwrap().is_empty(), "nobody is there");
    studio.world.join(Profile::new(1));
    studio.world.connect(PATIENCE);
    studio.world.await_first_recording();
    studio.world.run_ms(2000);
    let [running] = studio.store.list().unwrap().try_into().unwrap();
    studio.world.leave(0);
    assert!(studio.world.conference.empty_since().is_some(), "it does not keep the room");
    studio.world.run_ms(61_000);
    studio.world.await_end(running.id);
    let film = studio.film(running.id);
    assert_eq!(film.seen(0, 1500), BTreeSet::from([1]));
    assert!((61_000..64_500).contains(&film.manifest.duration_ms), "{}", film.manifest.duration_ms);
}

#[test]
fn a_recording_outlives_its_room_and_is_told_of_all_the_same() {
    let mut studio = studio(vec![Profile::new(1)], |_| {});
    let mut told = studio.library.events();
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1500);
    let Studio { world, store, _folder, .. } = studio;
    world.end();
    let event = soon(told.recv()).unwrap();
    assert_eq!((event.kind, event.room.as_str(), event.data["reason"].as_str()), ("recording.ended", "world", Some("room_ended")));
    let manifest = store.manifest(id).unwrap();
    assert_eq!((manifest.state, manifest.reason), (State::Complete, Some(Reason::RoomEnded)));
    assert!((1200..1600).contains(&manifest.duration_ms), "{}", manifest.duration_ms);
}
