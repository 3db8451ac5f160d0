//! What is drawn over tiles, as RGBA: name plates, the muted sign, the overflow badge, initials.

use super::text::{Line, Typesetter};
use tiny_skia::{BlendMode, Color, FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Rect, Stroke, Transform};

const PLATE: [u8; 4] = [12, 12, 16, 172];
const MUTED: [u8; 4] = [255, 107, 107, 255];
/// The bar of a lower third.
const ACCENT: [u8; 4] = [0x4c, 0xc3, 0x8a, 255];
/// The longest line of a ticker in pixels.
const MAX_STRIP: f32 = 16_384.0;
const NOTICE_GREY: u32 = 0x88;
const WHITE: [u8; 4] = [255, 255, 255, 255];
/// Behind initials: medium tones on which white reads well.
const AVATARS: [[u8; 3]; 10] = [
    [0x5b, 0x6e, 0xe1],
    [0x2f, 0x8f, 0x83],
    [0xb4, 0x53, 0x6f],
    [0x8a, 0x63, 0xc9],
    [0xb8, 0x6a, 0x2c],
    [0x3f, 0x83, 0xb8],
    [0x6b, 0x8c, 0x3a],
    [0xc0, 0x56, 0x4b],
    [0x4b, 0x7a, 0x9b],
    [0x9a, 0x5c, 0x9e],
];

/// How many colours [`avatar`] has.
pub const AVATAR_COLOURS: u64 = AVATARS.len() as u64;

/// A rounded dark plate with the muted sign, the name, or both; at most `room` pixels wide. `None` if neither fits.
pub fn label(typesetter: &mut Typesetter, name: &str, muted: bool, size: f32, room: f32) -> Option<Pixmap> {
    let padding = (size * 0.45).round();
    let sign = if muted { (size * 1.2).round() } else { 0.0 };
    let gap = if muted && !name.is_empty() { (size * 0.25).round() } else { 0.0 };
    let left = room - 2.0 * padding - sign - gap;
    let line = if name.is_empty() || left < size { None } else { typesetter.line(name, size, left) };
    if line.is_none() && !muted {
        return None;
    }
    let gap = if line.is_some() { gap } else { 0.0 };
    let text_width = line.as_ref().map_or(0, |line| line.pixels.width());
    let height = even(size * 1.55);
    let mut pixels = plate(even(2.0 * padding + sign + gap + text_width as f32), height)?;
    if let Some(sign) = microphone(sign as u32) {
        place(&mut pixels, &sign, padding, (height as f32 - sign.height() as f32) / 2.0);
    }
    if let Some(line) = line {
        place(&mut pixels, &line.pixels, padding + sign + gap, (height as f32 - line.pixels.height() as f32) / 2.0);
    }
    Some(pixels)
}

/// A line in a grey that reads on dark and on light, at most `room` pixels wide.
pub fn notice(typesetter: &mut Typesetter, text: &str, size: f32, room: f32) -> Option<Pixmap> {
    let mut line = typesetter.line(text, size, room)?.pixels;
    for part in line.data_mut().chunks_exact_mut(4).flat_map(|pixel| pixel.iter_mut().take(3)) {
        *part = ((u32::from(*part) * NOTICE_GREY + 127) / 255) as u8;
    }
    Some(line)
}

/// One or two lines on a plate, the second smaller; with two lines a coloured bar on the left.
pub fn plates(typesetter: &mut Typesetter, text: &str, subtitle: &str, size: f32, room: f32) -> Option<Pixmap> {
    if subtitle.is_empty() {
        return label(typesetter, text, false, size, room);
    }
    let (padding, bar) = ((size * 0.5).round(), (size * 0.2).round());
    let left = room - 2.0 * padding - 2.0 * bar;
    let lines = [typesetter.line(text, size, left)?, typesetter.line(subtitle, size * 0.65, left)?];
    let width = lines.iter().map(|line| line.pixels.width()).max()?;
    let heights = lines.iter().map(|line| line.pixels.height()).sum::<u32>() as f32;
    let mut pixels = plate(even(2.0 * (padding + bar) + width as f32), even(heights + padding))?;
    let stripe = rounded(Rect::from_xywh(bar, padding * 0.7, bar, pixels.height() as f32 - 1.4 * padding)?, bar / 2.0)?;
    fill(&mut pixels, &stripe, ACCENT);
    let mut y = padding / 2.0;
    for line in lines {
        place(&mut pixels, &line.pixels, padding + 2.0 * bar, y);
        y += line.pixels.height() as f32;
    }
    Some(pixels)
}

/// A line on an opaque band of `height`, with a stretch of band behind it.
pub fn strip(typesetter: &mut Typesetter, text: &str, size: f32, height: u32) -> Option<Pixmap> {
    let line = typesetter.line(text, size, MAX_STRIP)?;
    let mut pixels = Pixmap::new(even(line.pixels.width() as f32 + size * 4.0), height)?;
    let [red, green, blue, _] = PLATE;
    pixels.fill(Color::from_rgba8(red, green, blue, 255));
    place(&mut pixels, &line.pixels, 0.0, (height as f32 - line.pixels.height() as f32) / 2.0);
    Some(pixels)
}

/// "+N" on a plate.
pub fn overflow(typesetter: &mut Typesetter, count: u32, size: f32, room: f32) -> Option<Pixmap> {
    label(typesetter, &format!("+{count}"), false, size, room)
}

/// A coloured circle of `size` pixels with `initials`, or with a figure where there are none.
pub fn avatar(typesetter: &mut Typesetter, initials: &str, colour: u64, size: u32) -> Option<Pixmap> {
    let mut pixels = Pixmap::new(size, size)?;
    let middle = size as f32 / 2.0;
    let [red, green, blue] = AVATARS[(colour % AVATAR_COLOURS) as usize];
    let circle = PathBuilder::from_circle(middle, middle, middle - 0.5)?;
    fill(&mut pixels, &circle, [red, green, blue, 255]);
    let line = if initials.is_empty() { None } else { typesetter.line(initials, size as f32 * 0.42, size as f32 * 0.8) };
    match line.as_ref().and_then(|line| centre(line, initials).map(|centre| (line, centre))) {
        Some((line, (x, y))) => place(&mut pixels, &line.pixels, middle - x, middle - y),
        None => figure(&mut pixels, middle),
    }
    Some(pixels)
}

/// The middle of what is drawn on a line; of capitals without what hangs below.
fn centre(line: &Line, text: &str) -> Option<(f32, f32)> {
    let width = line.pixels.width() as usize;
    let marked = || line.pixels.pixels().iter().enumerate().filter(|(_, pixel)| pixel.alpha() > 64).map(|(at, _)| (at % width, at / width));
    let (left, right) = (marked().map(|at| at.0).min()?, marked().map(|at| at.0).max()?);
    let (top, bottom) = (marked().map(|at| at.1).min()?, marked().map(|at| at.1).max()?);
    let bottom = if text.chars().any(char::is_uppercase) { (bottom as f32 + 1.0).min(line.baseline) } else { bottom as f32 + 1.0 };
    Some(((left + right + 1) as f32 / 2.0, (top as f32 + bottom) / 2.0))
}

fn even(length: f32) -> u32 {
    (length / 2.0).ceil() as u32 * 2
}

fn plate(width: u32, height: u32) -> Option<Pixmap> {
    let mut pixels = Pixmap::new(width, height)?;
    let path = rounded(Rect::from_xywh(0.0, 0.0, width as f32, height as f32)?, height as f32 * 0.28)?;
    fill(&mut pixels, &path, PLATE);
    Some(pixels)
}

fn rounded(rect: Rect, radius: f32) -> Option<Path> {
    let radius = radius.min(rect.width() / 2.0).min(rect.height() / 2.0);
    let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.quad_to(right, top, right, top + radius);
    path.line_to(right, bottom - radius);
    path.quad_to(right, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.quad_to(left, bottom, left, bottom - radius);
    path.line_to(left, top + radius);
    path.quad_to(left, top, left + radius, top);
    path.close();
    path.finish()
}

fn paint([red, green, blue, alpha]: [u8; 4]) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(Color::from_rgba8(red, green, blue, alpha));
    paint
}

fn fill(pixels: &mut Pixmap, path: &Path, colour: [u8; 4]) {
    pixels.fill_path(path, &paint(colour), FillRule::Winding, Transform::identity(), None);
}

fn stroke(pixels: &mut Pixmap, path: &Path, paint: &Paint<'_>, width: f32) {
    let stroke = Stroke { width, line_cap: LineCap::Round, ..Stroke::default() };
    pixels.stroke_path(path, paint, &stroke, Transform::identity(), None);
}

fn place(pixels: &mut Pixmap, upper: &Pixmap, x: f32, y: f32) {
    pixels.draw_pixmap(x.round() as i32, y.round() as i32, upper.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
}

/// A crossed-out microphone of `side` × `side`; `None` for no size.
fn microphone(side: u32) -> Option<Pixmap> {
    let mut pixels = Pixmap::new(side, side)?;
    let side = side as f32;
    let thin = side * 0.085;
    let body = rounded(Rect::from_xywh(0.37 * side, 0.08 * side, 0.26 * side, 0.5 * side)?, 0.13 * side)?;
    fill(&mut pixels, &body, MUTED);
    let mut stand = PathBuilder::new();
    stand.move_to(0.22 * side, 0.46 * side);
    stand.cubic_to(0.22 * side, 0.84 * side, 0.78 * side, 0.84 * side, 0.78 * side, 0.46 * side);
    stand.move_to(0.5 * side, 0.75 * side);
    stand.line_to(0.5 * side, 0.93 * side);
    stroke(&mut pixels, &stand.finish()?, &paint(MUTED), thin);
    let mut slash = PathBuilder::new();
    slash.move_to(0.14 * side, 0.12 * side);
    slash.line_to(0.86 * side, 0.88 * side);
    let slash = slash.finish()?;
    stroke(&mut pixels, &slash, &Paint { blend_mode: BlendMode::Clear, ..paint(MUTED) }, thin * 3.0);
    stroke(&mut pixels, &slash, &paint(MUTED), thin);
    Some(pixels)
}

/// Head and shoulders, for people without a name.
fn figure(pixels: &mut Pixmap, middle: f32) {
    if let Some(head) = PathBuilder::from_circle(middle, middle * 0.74, middle * 0.26) {
        fill(pixels, &head, WHITE);
    }
    let shoulders = Rect::from_xywh(middle * 0.5, middle * 1.1, middle, middle * 0.52).and_then(|rect| rounded(rect, middle * 0.3));
    if let Some(shoulders) = shoulders {
        fill(pixels, &shoulders, WHITE);
    }
}
