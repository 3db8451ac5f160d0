//! Whole canvases against stored pictures in `tests/pictures`. A picture that differs by more than the tolerance is
//! written beside the expected one as `actual_*.png`. `UPDATE_PICTURES=1` stores what is drawn now.
//!
//! All use the bundled font alone, so that they are the same on every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

use mixdown_codecs::{I420Frame, Size};
use mixdown_layouts::draw::{Canvas, Fonts, Picture, Pictures, rgb};
use mixdown_layouts::layout::{Kind, Strip};
use mixdown_layouts::{Cast, Layout, Person, PersonId, Source, SourceId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const CANVAS: Size = Size::new(640, 360);
const BACKGROUND: [u8; 3] = [0x10, 0x10, 0x14];
/// How much a byte may differ (other processors round differently), and the mean over the picture.
const WORST: u8 = 24;
const MEAN: f64 = 0.4;

struct Stills(BTreeMap<SourceId, Picture>);

impl Pictures for Stills {
    fn latest(&self, source: SourceId) -> Option<Picture> {
        self.0.get(&source).cloned()
    }
}

struct Room {
    cast: Cast,
    pictures: Stills,
}

/// A picture with an "F" of light on a coloured slope: shows turning, mirroring, cropping and the order of the planes.
fn marked(size: Size, hue: u8) -> I420Frame {
    let mut frame = I420Frame::black(size);
    let (width, height) = (size.width as usize, size.height as usize);
    let planes = frame.planes_mut();
    for (at, luma) in planes.y.iter_mut().enumerate() {
        let (x, y) = (at % width * 100 / width, at / width * 100 / height);
        let stem = (30..40).contains(&x) && (20..80).contains(&y);
        let bars = (30..70).contains(&x) && (20..30).contains(&y) || (30..60).contains(&x) && (45..55).contains(&y);
        let edge = !(2..98).contains(&x) || !(2..98).contains(&y);
        *luma = if stem || bars || edge { 220 } else { (50 + x + y / 2) as u8 };
    }
    planes.u.fill(hue);
    planes.v.fill(255 - hue);
    frame
}

impl Room {
    fn new(names: &[&str]) -> Self {
        let mut room = Self { cast: Cast::default(), pictures: Stills(BTreeMap::new()) };
        for (name, id) in names.iter().zip(1..) {
            room.cast.people.push(Person { name: (*name).into(), ..Person::plain(id) });
        }
        room
    }

    fn camera(&mut self, index: usize, size: Size, quarter_turns: u8, flip: bool) {
        let id = SourceId(index as u64);
        let upright = if quarter_turns % 2 == 1 { Size::new(size.height, size.width) } else { size };
        self.cast.people[index].camera = Some(Source { id, size: Some(upright) });
        let frame = Arc::new(marked(size, 60 + 20 * (index % 8) as u8));
        self.pictures.0.insert(id, Picture { frame, sequence: 1, quarter_turns, flip, scaled: None });
    }

    fn screen(&mut self, index: usize, size: Size) {
        let id = SourceId(100 + index as u64);
        self.cast.people[index].screen = Some(Source { id, size: Some(size) });
        self.pictures
            .0
            .insert(id, Picture { frame: Arc::new(marked(size, 128)), sequence: 1, quarter_turns: 0, flip: false, scaled: None });
    }

    fn draw(&self, layout: &Layout, canvas: Size) -> I420Frame {
        let scene = layout.arrange(&self.cast, canvas, BACKGROUND);
        let mut canvas = Canvas::with_fonts(canvas, Fonts::bundled());
        canvas.draw(&scene, &self.pictures);
        canvas.frame().clone()
    }
}

fn compare(name: &str, frame: &I420Frame) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let path = folder.join(format!("{name}.png"));
    let actual = rgb::encode(frame, None, rgb::Format::Png).unwrap();
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let rgb = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
    let expected = std::fs::read(&path).ok().map(|bytes| rgb(&bytes));
    let differences = expected.filter(|expected| expected.dimensions() == rgb(&actual).dimensions()).map(|expected| {
        let differences: Vec<u8> = expected.as_raw().iter().zip(rgb(&actual).as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = differences.iter().map(|&difference| f64::from(difference)).sum::<f64>() / differences.len() as f64;
        (differences.into_iter().max().unwrap_or(0), mean)
    });
    if !differences.is_some_and(|(worst, mean)| worst <= WORST && mean <= MEAN) {
        let written = folder.join(format!("actual_{name}.png"));
        std::fs::write(&written, actual).unwrap();
        panic!("{name} differs (worst, mean: {differences:?}); see {}", written.display());
    }
}

#[test]
fn a_grid_of_four_with_names_a_muted_person_a_speaker_and_initials() {
    let mut room =
        Room::new(&["Ann Archer", "Борис Иванов", "Chloé", "Δημήτρης with a name that is too long for the tile he has been given"]);
    room.camera(0, Size::new(320, 180), 0, false);
    room.camera(1, Size::new(640, 360), 0, false);
    room.camera(3, Size::new(360, 640), 0, false);
    room.cast.people[1].muted = true;
    room.cast.active_speaker = Some(PersonId(1));
    let layout = Layout { kind: Kind::Grid, ..Layout::default() };
    compare("grid", &room.draw(&layout, CANVAS));
}

#[test]
fn every_turn_and_flip_of_a_camera() {
    let mut room = Room::new(&["0", "1", "2", "3", "0 flip", "1 flip", "2 flip", "3 flip"]);
    for index in 0..8 {
        room.camera(index, Size::new(320, 180), index as u8 % 4, index >= 4);
    }
    let layout = Layout { kind: Kind::Grid, ..Layout::default() };
    compare("turned", &room.draw(&layout, CANVAS));
}

#[test]
fn a_screen_with_a_strip_of_cameras_and_the_count_of_who_found_no_place() {
    let names: Vec<String> = (1..13).map(|id| format!("Guest {id}")).collect();
    let mut room = Room::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    room.screen(2, Size::new(1280, 720));
    for index in 0..8 {
        room.camera(index, Size::new(320, 180), 0, false);
    }
    compare("presentation", &room.draw(&Layout { strip: Strip::Right, ..Layout::default() }, Size::new(960, 540)));
}

#[test]
fn a_speaker_above_a_strip() {
    let mut room = Room::new(&["Ann", "Bob", "Cleo", ""]);
    for index in 0..3 {
        room.camera(index, Size::new(640, 360), 0, false);
    }
    room.cast.active_speaker = Some(PersonId(2));
    compare("speaker", &room.draw(&Layout { kind: Kind::Speaker, ..Layout::default() }, CANVAS));
}

/// Five people, the second of whom speaks after the fourth; the last has no camera.
fn five() -> Room {
    let mut room = Room::new(&["Ann", "Bob", "Cleo", "Dora", "Emil"]);
    for index in 0..4 {
        room.camera(index, Size::new(640, 360), 0, false);
    }
    (room.cast.active_speaker, room.cast.previous_speaker) = (Some(PersonId(2)), Some(PersonId(4)));
    room
}

#[test]
fn a_picture_in_a_picture() {
    compare("pip", &five().draw(&Layout { kind: Kind::Pip, ..Layout::default() }, CANVAS));
}

#[test]
fn two_beside_each_other_one_of_them_upright() {
    let mut room = five();
    room.camera(3, Size::new(360, 640), 0, false);
    compare("side_by_side", &room.draw(&Layout { kind: Kind::SideBySide, ..Layout::default() }, CANVAS));
}

#[test]
fn regions_with_a_speaker_a_nested_grid_and_one_upon_another() {
    let json = r#"{"type":"custom","regions":[
        {"width":"2/3","height":1,"seat":"active_speaker"},
        {"x":"2/3","width":"1/3","height":1,"tiles":3},
        {"x":"1/24","y":"2/3","width":"1/5","height":"1/4","z":1,"seat":{"participant":"Emil"},"min_fps":5}]}"#;
    let mut room = five();
    room.cast.people[4].key = "Emil".into();
    compare("custom", &room.draw(&serde_json::from_str(json).unwrap(), CANVAS));
}

#[test]
fn a_speaker_and_a_grid_beside_on_a_very_wide_canvas() {
    compare("very_wide", &five().draw(&Layout { kind: Kind::Speaker, ..Layout::default() }, Size::new(960, 404)));
}

#[test]
fn an_empty_room_shows_its_background() {
    compare("empty", &Room::new(&[]).draw(&Layout::default(), Size::new(64, 36)));
}
