//! Charts of what was measured: curves over a common axis, in panels below each other, as a PNG. Data in, bytes out; it knows nothing of
//! what it shows.

use mixdown_layouts::draw::{Fonts, Typesetter};
use tiny_skia::{Color, Paint, PathBuilder, Pixmap, PixmapPaint, Rect, Stroke, Transform};

const WIDTH: u32 = 1000;
const PANEL: u32 = 170;
/// One that stands alone.
const ALONE: u32 = 430;
const HEAD: u32 = 36;
const FOOT: u32 = 34;
const LEFT: f32 = 86.0;
const RIGHT: f32 = 16.0;
/// Above and below a panel's curves.
const GAP: f32 = 24.0;
const TEXT: f32 = 13.0;
const COLOURS: [[u8; 3]; 6] = [[96, 165, 250], [251, 146, 60], [74, 222, 128], [244, 114, 182], [250, 204, 21], [167, 139, 250]];

/// One picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    pub title: String,
    /// What goes from left to right, with its unit.
    pub across: String,
    pub panels: Vec<Panel>,
}

/// Curves of one unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// What goes upwards, with its unit. It begins at zero.
    pub up: String,
    pub curves: Vec<Curve>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    pub name: String,
    /// From left to right; what is not finite breaks the curve.
    pub points: Vec<(f64, f64)>,
}

/// The chart cannot be drawn. Nothing is owed: the figures are elsewhere too.
#[derive(Debug, thiserror::Error)]
#[error("the chart could not be drawn: {0}")]
pub struct Error(String);

/// Draws the chart.
pub fn png(chart: &Chart) -> Result<Vec<u8>, Error> {
    let panel = if chart.panels.len() == 1 { ALONE } else { PANEL };
    let height = HEAD + panel * chart.panels.len().clamp(1, 20) as u32 + FOOT;
    let mut sheet = Sheet {
        panel,
        pixels: Pixmap::new(WIDTH, height).ok_or_else(|| Error("it has no extent".into()))?,
        typesetter: Typesetter::new(&Fonts::bundled()),
    };
    sheet.pixels.fill(Color::from_rgba8(18, 18, 24, 255));
    sheet.write(&chart.title, 8.0, 8.0, TEXT + 3.0);
    let points = chart.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.points);
    let (from, to) = extent(points.map(|(x, _)| *x));
    for (index, panel) in chart.panels.iter().take(20).enumerate() {
        sheet.panel(panel, (from, to), (HEAD + sheet.panel * index as u32) as f32);
    }
    let foot = (height - FOOT) as f32 + 4.0;
    for mark in marks(from, to) {
        sheet.write(&figure(mark), sheet.across(mark, (from, to)) - 8.0, foot - GAP + 4.0, TEXT);
    }
    sheet.write(&chart.across, LEFT, foot + 8.0, TEXT);
    sheet.pixels.encode_png().map_err(|error| Error(error.to_string()))
}

struct Sheet {
    /// Height of each.
    panel: u32,
    pixels: Pixmap,
    typesetter: Typesetter,
}

impl Sheet {
    fn across(&self, x: f64, (from, to): (f64, f64)) -> f32 {
        LEFT + ((x - from) / (to - from)) as f32 * (WIDTH as f32 - LEFT - RIGHT)
    }

    fn panel(&mut self, panel: &Panel, span: (f64, f64), top: f32) {
        let (_, most) = extent(panel.curves.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y).chain([0.0]));
        let (upper, lower) = (top + GAP, top + self.panel as f32 - GAP);
        let place = |sheet: &Self, (x, y): (f64, f64)| (sheet.across(x, span), lower - (y.max(0.0) / most) as f32 * (lower - upper));
        for mark in marks(0.0, most) {
            let (_, y) = place(self, (span.0, mark));
            self.line(&[(LEFT, y), (WIDTH as f32 - RIGHT, y)], [52, 52, 62], 1.0);
            self.write(&figure(mark), 8.0, y - 9.0, TEXT);
        }
        self.write(&panel.up, LEFT, top + 2.0, TEXT);
        let mut legend = LEFT + 220.0;
        for (curve, colour) in panel.curves.iter().zip(COLOURS.into_iter().cycle()) {
            for part in curve.points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|part| !part.is_empty()) {
                let part: Vec<_> = part.iter().map(|point| place(self, *point)).collect();
                self.line(&part, colour, 1.6);
            }
            self.line(&[(legend, top + 12.0), (legend + 18.0, top + 12.0)], colour, 3.0);
            legend += 24.0 + self.write(&curve.name, legend + 24.0, top + 2.0, TEXT) + 20.0;
        }
    }

    fn line(&mut self, points: &[(f32, f32)], [red, green, blue]: [u8; 3], width: f32) {
        let mut paint = Paint::default();
        paint.set_color_rgba8(red, green, blue, 255);
        if let [(x, y)] = points {
            if let Some(dot) = Rect::from_xywh(x - 3.0, y - 3.0, 6.0, 6.0) {
                self.pixels.fill_rect(dot, &paint, Transform::identity(), None);
            }
            return;
        }
        let mut path = PathBuilder::new();
        for (index, (x, y)) in points.iter().enumerate() {
            if index == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
        }
        if let Some(path) = path.finish() {
            let stroke = Stroke { width, ..Stroke::default() };
            self.pixels.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
        }
    }

    /// Writes a line of text and says how wide it is.
    fn write(&mut self, text: &str, x: f32, y: f32, size: f32) -> f32 {
        let Some(line) = self.typesetter.line(text, size, WIDTH as f32) else { return 0.0 };
        self.pixels.draw_pixmap(x as i32, y as i32, line.pixels.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
        line.pixels.width() as f32
    }
}

/// The least and the most of some figures, never the same.
fn extent(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = figures.filter(|figure| figure.is_finite()).fold((f64::MAX, f64::MIN), |(a, b), f| (a.min(f), b.max(f)));
    if least > most { (0.0, 1.0) } else { (least, if most > least { most } else { least + 1.0 }) }
}

/// Four to ten round figures from one to the other.
fn marks(from: f64, to: f64) -> Vec<f64> {
    let rough = (to - from) / 5.0;
    let ten = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|part| part * ten).into_iter().find(|step| *step >= rough).unwrap_or(ten * 10.0);
    let first = (from / step).ceil();
    (0..12).map(|n| (first + f64::from(n)) * step).take_while(|mark| *mark <= to + step * 1e-6).collect()
}

/// Short, with k and M for thousands and millions.
fn figure(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    format!("{}{unit}", (value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GenericImageView, Rgba};

    fn has(picture: &image::DynamicImage, colour: [u8; 3], rows: std::ops::Range<u32>) -> bool {
        rows.flat_map(|y| (LEFT as u32 + 400..WIDTH).map(move |x| (x, y))).any(|(x, y)| {
            let Rgba([r, g, b, _]) = picture.get_pixel(x, y);
            [r, g, b].into_iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 60)
        })
    }

    #[test]
    fn curves_stand_in_their_panels_and_a_chart_of_nothing_is_one_too() {
        let curve = |value: f64| Curve { name: "rate".into(), points: (0..60).map(|x| (f64::from(x), value)).collect() };
        let chart = Chart {
            title: "a link that gets thin".into(),
            across: "seconds".into(),
            panels: vec![
                Panel { up: "bit/s".into(), curves: vec![curve(100_000.0), curve(2_000_000.0)] },
                Panel { up: "pictures".into(), curves: vec![Curve { points: vec![(f64::NAN, 1.0), (3.0, f64::INFINITY)], ..curve(0.0) }] },
            ],
        };
        let picture = image::load_from_memory(&png(&chart).unwrap()).unwrap();
        assert_eq!(picture.dimensions(), (WIDTH, HEAD + 2 * PANEL + FOOT));
        assert!(has(&picture, COLOURS[1], HEAD + 20..HEAD + 40), "the larger one stands above");
        assert!(has(&picture, COLOURS[0], HEAD + 120..HEAD + 150) && !has(&picture, COLOURS[0], HEAD + PANEL + 20..HEAD + 2 * PANEL));
        assert!(!png(&Chart::default()).unwrap().is_empty());
    }

    #[test]
    fn marks_are_round_and_figures_short() {
        assert_eq!(marks(0.0, 2_000_000.0), [0.0, 500_000.0, 1_000_000.0, 1_500_000.0, 2_000_000.0]);
        assert_eq!(marks(3.0, 33.0), [10.0, 20.0, 30.0]);
        assert_eq!([0.0, 0.25, 150_000.0, 2_500_000.0].map(figure), ["0", "0.25", "150k", "2.5M"]);
    }
}
