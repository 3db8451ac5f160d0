//! A thin pen over tiny-skia: shapes with soft shading on a transparent canvas.

use super::look::Rgb;
use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point, RadialGradient, Rect,
    Shader, SpreadMode, Stroke, Transform,
};

/// What a shape is filled with.
#[derive(Debug, Clone, Copy)]
pub enum Fill {
    Flat(Rgb, f32),
    /// From the first point's colour to the second's.
    Down((f32, f32), Rgb, (f32, f32), Rgb),
    /// From the centre's colour, seen from `centre` with `radius`, to the rim's.
    Round {
        centre: (f32, f32),
        radius: f32,
        inside: Rgb,
        outside: Rgb,
    },
    /// A colour that fades away from `centre`: blush, light, shadow.
    Glow {
        centre: (f32, f32),
        radius: f32,
        colour: Rgb,
        strength: f32,
    },
}

/// A drawing of one part of the picture.
pub struct Brush {
    pixmap: Option<Pixmap>,
    place: Transform,
}

impl Brush {
    /// A canvas over `corner` and `size` of the picture; what is drawn elsewhere is cut off.
    pub fn new(corner: (i32, i32), size: (u32, u32)) -> Self {
        Self { pixmap: Pixmap::new(size.0, size.1), place: Transform::from_translate(-corner.0 as f32, -corner.1 as f32) }
    }

    /// The drawing; `None`: the canvas had no area.
    pub fn into_pixmap(self) -> Option<Pixmap> {
        self.pixmap
    }

    pub fn ellipse(&mut self, centre: (f32, f32), radii: (f32, f32), fill: Fill) -> &mut Self {
        let rect = Rect::from_xywh(centre.0 - radii.0, centre.1 - radii.1, 2.0 * radii.0, 2.0 * radii.1);
        self.fill(rect.and_then(PathBuilder::from_oval), fill)
    }

    pub fn rect(&mut self, corner: (f32, f32), size: (f32, f32), radius: f32, fill: Fill) -> &mut Self {
        self.fill(rounded(corner, size, radius), fill)
    }

    /// `steps` draws with `M`, `L`, `C` as in SVG path data, absolute coordinates, closed at the end.
    pub fn shape(&mut self, steps: &str, fill: Fill) -> &mut Self {
        self.fill(path(steps, true), fill)
    }

    pub fn line(&mut self, steps: &str, width: f32, colour: Rgb, opacity: f32) -> &mut Self {
        let path = path(steps, false);
        self.stroke(path, width, Fill::Flat(colour, opacity))
    }

    pub fn frame(&mut self, corner: (f32, f32), size: (f32, f32), radius: f32, width: f32, colour: Rgb) -> &mut Self {
        self.stroke(rounded(corner, size, radius), width, Fill::Flat(colour, 1.0))
    }

    fn fill(&mut self, path: Option<Path>, fill: Fill) -> &mut Self {
        if let (Some(pixmap), Some(path)) = (self.pixmap.as_mut(), path) {
            pixmap.fill_path(&path, &paint(fill), FillRule::Winding, self.place, None);
        }
        self
    }

    fn stroke(&mut self, path: Option<Path>, width: f32, fill: Fill) -> &mut Self {
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        if let (Some(pixmap), Some(path)) = (self.pixmap.as_mut(), path) {
            pixmap.stroke_path(&path, &paint(fill), &stroke, self.place, None);
        }
        self
    }
}

/// `colour` lighter (towards white) or, below zero, darker.
pub fn shade(colour: Rgb, by: f32) -> Rgb {
    let one = |c: u8| {
        let target = if by < 0.0 { 0.0 } else { 255.0 };
        (f32::from(c) + (target - f32::from(c)) * by.abs()) as u8
    };
    (one(colour.0), one(colour.1), one(colour.2))
}

/// `a` and `b` mixed, `part` of `b`.
pub fn mix(a: Rgb, b: Rgb, part: f32) -> Rgb {
    let one = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * part) as u8;
    (one(a.0, b.0), one(a.1, b.1), one(a.2, b.2))
}

fn colour(rgb: Rgb, opacity: f32) -> Color {
    let alpha = (opacity.clamp(0.0, 1.0) * 255.0) as u8;
    Color::from_rgba8(rgb.0, rgb.1, rgb.2, alpha)
}

fn paint(fill: Fill) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    let radial = |(x, y): (f32, f32), radius: f32, inside: Color, outside: Color| {
        let stops = vec![GradientStop::new(0.0, inside), GradientStop::new(1.0, outside)];
        let centre = Point::from_xy(x, y);
        RadialGradient::new(centre, 0.0, centre, radius, stops, SpreadMode::Pad, Transform::identity())
    };
    let shader = match fill {
        Fill::Flat(rgb, opacity) => Some(Shader::SolidColor(colour(rgb, opacity))),
        Fill::Down(from, first, to, second) => {
            let stops = vec![GradientStop::new(0.0, colour(first, 1.0)), GradientStop::new(1.0, colour(second, 1.0))];
            let (from, to) = (Point::from_xy(from.0, from.1), Point::from_xy(to.0, to.1));
            LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity())
        }
        Fill::Round { centre, radius, inside, outside } => radial(centre, radius, colour(inside, 1.0), colour(outside, 1.0)),
        Fill::Glow { centre, radius, colour: rgb, strength } => radial(centre, radius, colour(rgb, strength), colour(rgb, 0.0)),
    };
    if let Some(shader) = shader {
        paint.shader = shader;
    }
    paint
}

fn rounded((x, y): (f32, f32), (w, h): (f32, f32), r: f32) -> Option<Path> {
    let (r, k) = (r.min(w / 2.0).min(h / 2.0), r.min(w / 2.0).min(h / 2.0) * 0.45);
    let mut b = PathBuilder::new();
    b.move_to(x + r, y);
    b.line_to(x + w - r, y);
    b.cubic_to(x + w - k, y, x + w, y + k, x + w, y + r);
    b.line_to(x + w, y + h - r);
    b.cubic_to(x + w, y + h - k, x + w - k, y + h, x + w - r, y + h);
    b.line_to(x + r, y + h);
    b.cubic_to(x + k, y + h, x, y + h - k, x, y + h - r);
    b.line_to(x, y + r);
    b.cubic_to(x, y + k, x + k, y, x + r, y);
    b.close();
    b.finish()
}

/// Letters and numbers apart by blanks or commas. What cannot be read ends the path.
fn path(steps: &str, close: bool) -> Option<Path> {
    let mut words = steps.split([' ', ',', '\n']).filter(|word| !word.is_empty()).peekable();
    let mut builder = PathBuilder::new();
    let mut letter = "M";
    while let Some(word) = words.peek() {
        if let "M" | "L" | "C" = *word {
            letter = words.next()?;
        }
        let mut number = || words.next().and_then(|word| word.parse::<f32>().ok());
        match letter {
            "M" => builder.move_to(number()?, number()?),
            "L" => builder.line_to(number()?, number()?),
            _ => builder.cubic_to(number()?, number()?, number()?, number()?, number()?, number()?),
        }
    }
    if close {
        builder.close();
    }
    builder.finish()
}
