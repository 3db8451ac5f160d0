//! Draws a few scenes as PNG files, to look at: `cargo run -p mixdown-layouts --example showcase -- FOLDER`

use mixdown_codecs::{I420Frame, Size};
use mixdown_layouts::draw::{Canvas, Moment, Picture, Pictures, rgb};
use mixdown_layouts::layout::Kind;
use mixdown_layouts::motion::Motion;
use mixdown_layouts::{Cast, Layout, Person, PersonId, Scene, Source, SourceId};
use std::path::Path;
use std::sync::Arc;

const HD: Size = Size::new(1280, 720);
const NAMES: [&str; 16] = [
    "Ann Archer",
    "محمد علي",
    "דנה כהן",
    "王小明 (Wáng Xiǎomíng)",
    "さくら 田中",
    "김민준",
    "Νίκος Παπαδόπουλος",
    "Ольга Смирнова",
    "नेहा शर्मा",
    "สมชาย ใจดี",
    "Zoë 🎉",
    "José María de la Concepción Hernández y Rodríguez de los Monteros",
    "",
    "אבי Cohen מנהל",
    "Ωmega",
    "x",
];

struct People(Vec<Picture>);

impl Pictures for People {
    fn latest(&self, source: SourceId) -> Option<Picture> {
        self.0.get(source.0 as usize).cloned()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let pictures = People((0..100).map(|id| still(id, Size::new(640, 360))).chain((100..102).map(|_| slide())).collect());
    let scenes: [(&str, Kind, usize, bool, Size); 10] = [
        ("one", Kind::Auto, 1, false, HD),
        ("two", Kind::Auto, 2, false, HD),
        ("four", Kind::Grid, 4, false, HD),
        ("nine", Kind::Grid, 9, false, HD),
        ("sixteen", Kind::Grid, 16, false, HD),
        ("speaker", Kind::Speaker, 6, false, HD),
        ("presentation", Kind::Auto, 12, true, HD),
        ("side_by_side", Kind::SideBySide, 5, true, HD),
        ("pip", Kind::Pip, 3, false, HD),
        ("portrait", Kind::Speaker, 7, false, Size::new(720, 1280)),
    ];
    for (name, kind, count, shares, size) in scenes {
        let scene = Layout { kind, ..Layout::default() }.arrange(&cast(count, shares), size, BACKGROUND);
        draw(&folder, name, &scene, &pictures)?;
    }
    for (name, json) in [("news", NEWS), ("interpreter", INTERPRETER), ("up3", r#"{"type":"3up+4"}"#)] {
        let layout: Layout = serde_json::from_str(json)?;
        assert_eq!(layout.faults(), []);
        draw(&folder, name, &layout.arrange(&cast(7, false), HD, BACKGROUND), &pictures)?;
    }
    let from = Layout::default().arrange(&cast(3, false), HD, BACKGROUND);
    let to = Layout { kind: Kind::Speaker, ..Layout::default() }.arrange(&cast(5, false), HD, BACKGROUND);
    let mut motion = Motion::new(Arc::new(from));
    motion.change(Arc::new(to), 0);
    for ms in [50, 125, 200] {
        draw(&folder, &format!("moving_{ms}"), motion.at(ms), &pictures)?;
    }
    Ok(())
}

const BACKGROUND: [u8; 3] = [0x10, 0x10, 0x14];

/// Texts, a clock and a ticker over a talk.
const NEWS: &str = r##"{"type":"speaker","strip":"right","overlays":[
    {"type":"lower_third","text":"Ann Archer","subtitle":"Chief of Something Important"},
    {"type":"clock","seconds":true},
    {"type":"ticker","text":"What a ticker says runs from right to left, again and again · و بالعربية · 日本語も"},
    {"type":"text","text":"LIVE","x":"1/40","y":"1/20"}]}"##;

const INTERPRETER: &str = r#"{"type":"custom","gap":4,"regions":[
    {"id":"stage","width":"3/4","height":"3/4","seat":"active_speaker"},
    {"id":"sign","x":"3/4","width":"1/4","height":"3/8","seat":{"role":"interpreter"},"min_fps":25},
    {"id":"others","y":"3/4","width":1,"height":"1/4","seat":"any","tiles":8}]}"#;

fn cast(count: usize, shares: bool) -> Cast {
    let mut cast = Cast { people: (0..count).map(person).collect(), active_speaker: Some(PersonId(1)), previous_speaker: None };
    if shares {
        cast.people[2].screen = Some(Source { id: SourceId(100), size: Some(HD) });
    }
    cast
}

fn draw(folder: &str, name: &str, scene: &Scene, pictures: &People) -> Result<(), Box<dyn std::error::Error>> {
    let mut canvas = Canvas::new(scene.canvas);
    canvas.draw_at(scene, pictures, Moment { ms: 4000, unix_s: 1_700_000_000 });
    std::fs::write(Path::new(folder).join(format!("{name}.png")), rgb::encode(canvas.frame(), None, rgb::Format::Png)?)?;
    Ok(())
}

fn person(index: usize) -> Person {
    let camera = Source { id: SourceId(index as u64), size: Some(Size::new(640, 360)) };
    Person {
        name: NAMES[index % NAMES.len()].into(),
        role: (index == 4).then(|| "interpreter".into()),
        camera: (index % 4 != 3).then_some(camera),
        muted: index % 3 == 2,
        ..Person::plain(index as u64)
    }
}

/// Somebody before a wall: a head, shoulders, and light from one side.
fn still(id: usize, size: Size) -> Picture {
    let mut frame = I420Frame::black(size);
    let (width, height) = (size.width as usize, size.height as usize);
    let middle = 0.5 + (id as f32 * 2.4).sin() * 0.12;
    let part = |x: usize, y: usize, width: usize, height: usize| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let (across, down) = ((x - middle) * 16.0 / 9.0, y - 0.42);
        let head = (across / 0.16).powi(2) + (down / 0.21).powi(2) < 1.0;
        let body = (across / 0.36).powi(2) + ((y - 1.05) / 0.42).powi(2) < 1.0;
        (x, y, head, body && !head)
    };
    let planes = frame.planes_mut();
    for (at, luma) in planes.y.iter_mut().enumerate() {
        let (x, y, head, body) = part(at % width, at / width, width, height);
        let light = 40.0 * x + 10.0 * (1.0 - y);
        *luma = if head {
            150.0 + light * 0.6
        } else if body {
            60.0 + light * 0.5
        } else {
            90.0 + light + (id % 5) as f32 * 10.0
        } as u8;
    }
    for (at, (u, v)) in planes.u.iter_mut().zip(planes.v.iter_mut()).enumerate() {
        let (_, _, head, body) = part(at % (width / 2), at / (width / 2), width / 2, height / 2);
        let wall = (id as u8).wrapping_mul(37) % 40;
        (*u, *v) = if head {
            (108, 150)
        } else if body {
            (100 + wall * 2, 150 - wall)
        } else {
            (118 + wall / 2, 138 - wall / 2)
        };
    }
    Picture { frame: Arc::new(frame), sequence: 1, quarter_turns: 0, flip: false, scaled: None }
}

/// A white page with lines of "text".
fn slide() -> Picture {
    let mut frame = I420Frame::black(HD);
    let planes = frame.planes_mut();
    planes.y.fill(235);
    for (at, luma) in planes.y.iter_mut().enumerate() {
        let (x, y) = (at % 1280, at / 1280);
        let line = y > 120 && (y - 120) % 40 < 14 && x > 120 && x < 600 + (y * 37) % 500 && (x / 9 + y / 40) % 7 != 0;
        if line {
            *luma = 50;
        }
    }
    Picture { frame: Arc::new(frame), sequence: 1, quarter_turns: 0, flip: false, scaled: None }
}
