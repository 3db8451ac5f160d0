//! What drawing costs: scaling one picture by each ratio (against fast_image_resize on the same planes), a whole
//! canvas of 4 to 25 new pictures, blending labels, and making them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use mixdown_codecs::{I420Frame, Size};
use mixdown_layouts::draw::{Canvas, Fonts, Picture, Pictures};
use mixdown_layouts::layout::Kind;
use mixdown_layouts::{Cast, Layout, Person, PersonId, Rect, Scene, Source, SourceId, Tile};
use std::cell::Cell;
use std::sync::Arc;

/// The same picture for everybody, new each time it is asked for.
struct Fresh {
    frame: Arc<I420Frame>,
    sequence: Cell<u64>,
    quarter_turns: u8,
}

impl Fresh {
    fn new(size: Size) -> Self {
        Self { frame: Arc::new(noise(size)), sequence: Cell::new(0), quarter_turns: 0 }
    }
}

impl Pictures for Fresh {
    fn latest(&self, _: SourceId) -> Option<Picture> {
        self.sequence.set(self.sequence.get() + 1);
        let (frame, quarter_turns) = (Arc::clone(&self.frame), self.quarter_turns);
        Some(Picture { frame, sequence: self.sequence.get(), quarter_turns, flip: false, scaled: None })
    }
}

fn noise(size: Size) -> I420Frame {
    let mut frame = I420Frame::black(size);
    let mut state = 1u32;
    for value in frame.data_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = (state >> 24) as u8;
    }
    frame
}

fn one_tile(size: Size) -> Scene {
    Scene::plain(size, vec![Tile::plain(1, Rect::new(0, 0, size.width, size.height))])
}

fn scaling(criterion: &mut Criterion) {
    let sizes = [
        ("1:1 360p", (640, 360), (640, 360)),
        ("3:2 360p", (640, 360), (426, 240)),
        ("2:1 360p", (640, 360), (320, 180)),
        ("2:1 720p", (1280, 720), (640, 360)),
        ("3:1 720p", (1280, 720), (426, 240)),
        ("4:1 720p", (1280, 720), (320, 180)),
        ("1:2 360p", (640, 360), (1280, 720)),
        ("5:2 360p", (640, 360), (256, 144)),
        ("4:3 720p", (1280, 720), (960, 540)),
        ("5:4 180p", (320, 180), (256, 144)),
        ("18:5 360p", (640, 360), (178, 100)),
        ("3:4 360p", (640, 360), (852, 480)),
    ];
    let mut group = criterion.benchmark_group("scale");
    for (name, source, target) in sizes {
        let (source, target) = (Size::new(source.0, source.1), Size::new(target.0, target.1));
        let (scene, pictures) = (one_tile(target), Fresh::new(source));
        let mut canvas = Canvas::with_fonts(target, Fonts::bundled());
        group.bench_function(BenchmarkId::new("canvas", name), |bencher| bencher.iter(|| canvas.draw(&scene, &pictures)));
        let (mut resizer, mut out) = (Resizer::new(), I420Frame::black(target));
        group.bench_function(BenchmarkId::new("fast_image_resize", name), |bencher| {
            bencher.iter(|| resize(&mut resizer, &pictures.frame, &mut out));
        });
    }
    let (scene, pictures) = (one_tile(Size::new(320, 180)), Fresh { quarter_turns: 1, ..Fresh::new(Size::new(360, 640)) });
    let mut canvas = Canvas::with_fonts(scene.canvas, Fonts::bundled());
    group.bench_function("turned 90° 2:1 360p", |bencher| bencher.iter(|| canvas.draw(&scene, &pictures)));
    group.finish();
}

fn resize(resizer: &mut Resizer, from: &I420Frame, into: &mut I420Frame) {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    let (size, target) = (from.size(), into.size());
    let (planes, out) = (from.planes(), into.planes_mut());
    let all = [
        (planes.y, out.y, size, target),
        (planes.u, out.u, size.chroma(), target.chroma()),
        (planes.v, out.v, size.chroma(), target.chroma()),
    ];
    for (from, into, size, target) in all {
        let from = TypedImageRef::<U8>::from_buffer(size.width, size.height, from).expect("a plane has its size");
        let mut into = TypedImage::<U8>::from_buffer(target.width, target.height, into).expect("a plane has its size");
        resizer.resize_typed(&from, &mut into, &options).expect("sizes are not zero");
    }
}

fn people(count: u64) -> Cast {
    let person = |id| Person {
        name: format!("Somebody Number {id}"),
        camera: Some(Source { id: SourceId(id), size: Some(Size::new(640, 360)) }),
        muted: id % 2 == 0,
        ..Person::plain(id)
    };
    Cast { people: (0..count).map(person).collect(), active_speaker: Some(PersonId(1)), previous_speaker: None }
}

fn composing(criterion: &mut Criterion) {
    let size = Size::new(1280, 720);
    let mut group = criterion.benchmark_group("compose 720p");
    for count in [4, 9, 16, 25] {
        for labels in [false, true] {
            let layout = Layout { kind: Kind::Grid, labels, ..Layout::default() };
            let (scene, pictures) = (layout.arrange(&people(count), size, [16, 16, 20]), Fresh::new(Size::new(640, 360)));
            let mut canvas = Canvas::with_fonts(size, Fonts::bundled());
            let name = if labels { "with names" } else { "without names" };
            group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(|| canvas.draw(&scene, &pictures)));
        }
    }
    group.finish();
    let layout = Layout { kind: Kind::Grid, ..Layout::default() };
    let cast = people(16);
    criterion.bench_function("arrange 16", |bencher| bencher.iter(|| layout.arrange(&cast, size, [16, 16, 20])));
}

fn labels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("label");
    for (name, fonts, text) in [
        ("bundled font", Fonts::bundled(), "Ann Archer"),
        ("system fonts", Fonts::system(), "Ann Archer"),
        ("Arabic", Fonts::system(), "محمد علي"),
        ("Chinese", Fonts::system(), "王小明"),
        ("no font has it", Fonts::system(), "\u{1f9ff}\u{10ffff}\u{e123}"),
    ] {
        let size = Size::new(640, 360);
        let (mut scene, pictures) = (one_tile(size), Fresh::new(size));
        scene.labels = true;
        let mut canvas = Canvas::with_fonts(size, fonts.clone());
        let mut count = 0u64;
        group.bench_function(BenchmarkId::new("new name", name), |bencher| {
            bencher.iter(|| {
                count += 1;
                scene.tiles[0].name = format!("{text} {count}");
                canvas.draw(&scene, &pictures)
            });
        });
        group.bench_function(BenchmarkId::new("first name of a canvas", name), |bencher| {
            bencher.iter(|| Canvas::with_fonts(size, fonts.clone()).draw(&scene, &pictures));
        });
    }
    group.finish();
}

criterion_group! {
    name = draw;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_millis(800)).warm_up_time(std::time::Duration::from_millis(200));
    targets = scaling, composing, labels
}
criterion_main!(draw);
