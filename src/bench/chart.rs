//! A curve as a picture: what the server costs by the number of something. Pure.

use mixdown_layouts::draw::{Fonts, Typesetter};
use serde::Serialize;
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, PixmapPaint, PremultipliedColorU8, Rect, Stroke, StrokeDash, Transform};

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    pub count: u16,
    /// Processor milliseconds per second.
    pub cpu_ms: f64,
    /// All guards.
    pub held: bool,
}

/// What is drawn.
pub struct Chart<'a> {
    /// What there is more and more of, in the plural.
    pub axis: &'a str,
    /// Everything else about the runs.
    pub about: String,
    pub points: &'a [Point],
    pub slope: Option<f64>,
    /// Of the machine.
    pub cores: usize,
}

const WIDTH: u32 = 960;
const HEIGHT: u32 = 540;
/// The field: left, top, right, bottom.
const FIELD: (f32, f32, f32, f32) = (90.0, 90.0, 930.0, 470.0);
const INK: [u8; 3] = [0x1c, 0x1f, 0x26];
const FAINT: [u8; 3] = [0xd4, 0xd7, 0xde];
const LINE: [u8; 3] = [0x1f, 0x6f, 0xd6];
const BROKEN: [u8; 3] = [0xd1, 0x2b, 0x2b];

/// Milliseconds for each one more, by least squares over the runs whose guards held; `None`: there are fewer than two.
pub fn slope(points: &[Point]) -> Option<f64> {
    let held: Vec<(f64, f64)> = points.iter().filter(|point| point.held).map(|point| (f64::from(point.count), point.cpu_ms)).collect();
    let n = (held.len() > 1).then_some(held.len() as f64)?;
    let (x, y) = (held.iter().map(|p| p.0).sum::<f64>() / n, held.iter().map(|p| p.1).sum::<f64>() / n);
    let spread = held.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    (spread > 0.0).then(|| held.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread)
}

/// A PNG; `None`: there are no points.
pub fn draw(chart: &Chart<'_>) -> Option<Vec<u8>> {
    let most = chart.points.iter().map(|point| point.cpu_ms).fold(0.0, f64::max);
    let step = step(most);
    let (top, right) = ((most / step).ceil().max(1.0) * step, f64::from(chart.points.iter().map(|point| point.count).max()?));
    let mut sheet = Sheet::new()?;
    let x = |count: f64| FIELD.0 + (count / right) as f32 * (FIELD.2 - FIELD.0);
    let y = |ms: f64| FIELD.3 - (ms / top) as f32 * (FIELD.3 - FIELD.1);
    for n in 0..=(top / step).round() as u32 {
        let ms = f64::from(n) * step;
        sheet.line(&[(FIELD.0, y(ms)), (FIELD.2, y(ms))], FAINT, 1.0, false);
        sheet.text(&format!("{ms:.0}"), 15.0, INK, (FIELD.0 - 10.0, y(ms) - 11.0), 1.0);
    }
    for point in chart.points {
        sheet.text(&point.count.to_string(), 15.0, INK, (x(point.count.into()), FIELD.3 + 8.0), 0.5);
    }
    let all = chart.cores as f64 * 1000.0;
    if all <= top {
        sheet.line(&[(FIELD.0, y(all)), (FIELD.2, y(all))], BROKEN, 1.5, true);
        sheet.text(&format!("all {} cores", chart.cores), 14.0, BROKEN, (FIELD.2, y(all) - 22.0), 1.0);
    }
    let places: Vec<_> = chart.points.iter().map(|point| (x(point.count.into()), y(point.cpu_ms))).collect();
    sheet.line(&places, LINE, 2.5, false);
    for (point, place) in chart.points.iter().zip(places) {
        sheet.dot(place, if point.held { LINE } else { BROKEN });
    }
    sheet.text(&format!("Mixdown: processor time by {}", chart.axis), 24.0, INK, (FIELD.0, 14.0), 0.0);
    sheet.text(&chart.about, 15.0, INK, (FIELD.0, 48.0), 0.0);
    sheet.text("ms per second", 14.0, INK, (8.0, 66.0), 0.0);
    let slope = chart.slope.map_or_else(String::new, |slope| format!("{slope:.1} ms for each one more"));
    let broken = if chart.points.iter().all(|point| point.held) { "" } else { "red: a guard broke" };
    let note = [slope.as_str(), broken].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    sheet.text(&note, 15.0, INK, (FIELD.0, 500.0), 0.0);
    sheet.text(chart.axis, 15.0, INK, (FIELD.2, 500.0), 1.0);
    sheet.pixels.encode_png().ok()
}

/// A round number of which three to eight make `most`.
fn step(most: f64) -> f64 {
    let rough = (most / 6.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(power)
}

struct Sheet {
    pixels: Pixmap,
    letters: Typesetter,
}

impl Sheet {
    fn new() -> Option<Self> {
        let mut pixels = Pixmap::new(WIDTH, HEIGHT)?;
        pixels.fill(Color::WHITE);
        Some(Self { pixels, letters: Typesetter::new(&Fonts::bundled()) })
    }

    fn line(&mut self, places: &[(f32, f32)], colour: [u8; 3], width: f32, dashed: bool) {
        let mut path = PathBuilder::new();
        for (n, (x, y)) in places.iter().enumerate() {
            if n == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
        }
        let Some(path) = path.finish() else { return };
        let dash = if dashed { StrokeDash::new(vec![8.0, 6.0], 0.0) } else { None };
        let stroke = Stroke { width, dash, ..Stroke::default() };
        self.pixels.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), None);
    }

    fn dot(&mut self, (x, y): (f32, f32), colour: [u8; 3]) {
        let circle = Rect::from_xywh(x - 6.0, y - 6.0, 12.0, 12.0).and_then(PathBuilder::from_oval);
        if let Some(circle) = circle {
            self.pixels.fill_path(&circle, &paint(colour), FillRule::Winding, Transform::identity(), None);
        }
    }

    /// `share` of the text stands left of the place.
    fn text(&mut self, text: &str, size: f32, colour: [u8; 3], (x, y): (f32, f32), share: f32) {
        let Some(mut line) = self.letters.line(text, size, WIDTH as f32) else { return };
        for pixel in line.pixels.pixels_mut() {
            let alpha = pixel.alpha();
            let part = |colour: u8| (u16::from(colour) * u16::from(alpha) / 255) as u8;
            *pixel = PremultipliedColorU8::from_rgba(part(colour[0]), part(colour[1]), part(colour[2]), alpha).unwrap_or(*pixel);
        }
        let left = (x - share * line.pixels.width() as f32).round() as i32;
        self.pixels.draw_pixmap(left, y.round() as i32, line.pixels.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
    }
}

fn paint([red, green, blue]: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(count: u16, cpu_ms: f64, held: bool) -> Point {
        Point { count, cpu_ms, held }
    }

    #[test]
    fn the_slope_is_of_what_held_alone() {
        let line = [point(1, 110.0, true), point(4, 140.0, true), point(16, 260.0, true)];
        assert!((slope(&line).unwrap() - 10.0).abs() < 1e-9);
        assert!((slope(&[line[0], line[1], point(16, 150.0, false)]).unwrap() - 10.0).abs() < 1e-9);
        assert_eq!((slope(&line[..1]), slope(&[])), (None, None));
    }

    #[test]
    fn steps_are_round_and_few() {
        for (most, expected) in [(0.0, 1.0), (7.0, 2.0), (100.0, 20.0), (1_150.0, 200.0), (2_900.0, 500.0), (31_000.0, 10_000.0)] {
            assert_eq!(step(most), expected, "{most}");
        }
    }

    #[test]
    fn a_curve_is_drawn_where_its_points_are_and_a_broken_one_is_red() {
        let points = [point(1, 250.0, true), point(2, 500.0, true), point(4, 1_000.0, false)];
        let chart = Chart { axis: "senders", about: "in a test".into(), points: &points, slope: Some(250.0), cores: 1 };
        let png = draw(&chart).unwrap();
        let picture = Pixmap::decode_png(&png).unwrap();
        let at = |x: f32, y: f32| picture.pixel(x as u32, y as u32).map(|p| [p.red(), p.green(), p.blue()]).unwrap();
        let across = FIELD.2 - FIELD.0;
        let down = FIELD.3 - FIELD.1;
        assert_eq!(at(FIELD.0 + across / 4.0, FIELD.3 - down / 4.0), LINE);
        assert_eq!(at(FIELD.0 + across / 2.0, FIELD.3 - down / 2.0), LINE);
        assert_eq!(at(FIELD.2 - 2.0, FIELD.1 + 1.0), BROKEN);
        assert_eq!(at(FIELD.2 - 10.0, FIELD.3 - 10.0), [255; 3], "nothing is where no point is");
        let dark = (0..HEIGHT * WIDTH).filter(|n| at((n % WIDTH) as f32, (n / WIDTH) as f32) == INK).count();
        assert!(dark > 500, "{dark} pixels of letters");
        assert_eq!(draw(&Chart { points: &[], ..chart }), None);
    }
}
