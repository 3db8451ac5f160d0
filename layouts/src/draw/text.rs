//! One line of text: cleaned, shaped (bidirectional, with fallback fonts), ellipsised and rasterised.

use super::fonts::Fonts;
use cosmic_text::{Align, Attrs, Buffer, Color, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, Metrics, Shaping, SwashCache, Wrap};
use tiny_skia::Pixmap;
use unicode_segmentation::UnicodeSegmentation;

/// Longer names are cut.
pub const MAX_GRAPHEMES: usize = 256;
/// Enough for the longest emoji and Indic syllables; piled-up marks are cut.
const MAX_CHARS_PER_GRAPHEME: usize = 12;
/// Glyph images kept before all are forgotten.
const MAX_GLYPHS: usize = 1024;
/// Line height over font size.
const LEADING: f32 = 1.4;

/// Shapes and rasterises lines; keeps what it has learnt about the fonts.
pub struct Typesetter {
    fonts: FontSystem,
    glyphs: SwashCache,
    family: String,
}

/// White text on nothing.
pub struct Line {
    /// Premultiplied RGBA.
    pub pixels: Pixmap,
    /// Pixels from the top to where the letters stand.
    pub baseline: f32,
}

impl Typesetter {
    pub fn new(fonts: &Fonts) -> Self {
        Self {
            // A fixed locale: it decides which shapes Chinese characters take, and pictures must not depend on the host.
            fonts: FontSystem::new_with_locale_and_db("en-US".into(), fonts.faces().clone()),
            glyphs: SwashCache::new(),
            family: fonts.family().into(),
        }
    }

    /// `text` at `size` pixels per em, at most `room` pixels wide; `None` where nothing is left to draw.
    pub fn line(&mut self, text: &str, size: f32, room: f32) -> Option<Line> {
        if self.glyphs.image_cache.len() > MAX_GLYPHS {
            self.glyphs.image_cache.clear();
        }
        let height = (size * LEADING).ceil();
        let mut buffer = Buffer::new_empty(Metrics::new(size, height));
        buffer.set_wrap(Wrap::None);
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(1)));
        buffer.set_size(Some(room), Some(height));
        let attributes = Attrs::new().family(Family::Name(&self.family));
        buffer.set_text(text, &attributes, Shaping::Advanced, Some(Align::Left));
        buffer.shape_until_scroll(&mut self.fonts, false);
        let width = buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max).min(room);
        let baseline = buffer.layout_runs().next()?.line_y;
        let mut pixels = Pixmap::new(width.ceil() as u32, height as u32)?;
        let (columns, rows) = (pixels.width() as i32, pixels.height() as i32);
        let data = pixels.data_mut();
        buffer.draw(&mut self.fonts, &mut self.glyphs, Color::rgb(255, 255, 255), |x, y, _, _, colour| {
            if (0..columns).contains(&x) && (0..rows).contains(&y) {
                over(&mut data[(y * columns + x) as usize * 4..][..4], colour);
            }
        });
        Some(Line { pixels, baseline })
    }
}

/// Puts `colour` over one premultiplied pixel.
fn over(pixel: &mut [u8], colour: Color) {
    let alpha = u32::from(colour.a());
    let parts = [colour.r(), colour.g(), colour.b(), 255];
    for (below, part) in pixel.iter_mut().zip(parts) {
        *below = ((u32::from(part) * alpha + u32::from(*below) * (255 - alpha) + 127) / 255) as u8;
    }
}

/// `text` fit to be drawn: one line, no control characters, nothing that turns the direction of what follows,
/// at most 256 graphemes of at most 12 characters each.
pub fn sanitise(text: &str) -> String {
    let visible: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|&c| !is_hidden(c)).collect();
    let mut clean = String::new();
    for grapheme in visible.graphemes(true).take(MAX_GRAPHEMES) {
        if grapheme == " " && (clean.is_empty() || clean.ends_with(' ')) {
            continue;
        }
        clean.extend(grapheme.chars().take(MAX_CHARS_PER_GRAPHEME));
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Controls, bidirectional embeddings, overrides and isolates, tags, byte order marks and non-characters.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// One or two letters that stand for a person: the first of the first and of the last word where the script has
/// capitals, else the first alone (two would join or run together). Empty for an empty name.
pub fn initials(name: &str) -> String {
    let name = sanitise(name);
    let mut words = name.split(' ').filter_map(|word| word.graphemes(true).find(|grapheme| grapheme.chars().any(char::is_alphanumeric)));
    let Some(first) = words.next() else {
        return name.graphemes(true).next().unwrap_or_default().into();
    };
    let has_case = |grapheme: &str| grapheme.chars().any(|c| c.is_lowercase() || c.is_uppercase());
    let last = words.next_back().filter(|last| has_case(first) && has_case(last)).unwrap_or_default();
    format!("{}{}", first.to_uppercase(), last.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lose_controls_overrides_and_doubled_spaces() {
        assert_eq!(sanitise("  Ann\t\n B\u{202e}ob\u{7} \u{2066}X\u{2069} "), "Ann Bob X");
        assert_eq!(sanitise("\u{feff}\u{0}"), "");
        assert_eq!(sanitise("שלום"), "שלום");
        assert_eq!(sanitise("👨‍👩‍👧‍👦"), "👨‍👩‍👧‍👦");
    }

    #[test]
    fn long_names_and_piled_up_marks_are_cut() {
        assert_eq!(sanitise(&"é".repeat(1000)).graphemes(true).count(), 256);
        let zalgo = format!("Z{}", "\u{0301}".repeat(500));
        assert_eq!(sanitise(&zalgo).chars().count(), MAX_CHARS_PER_GRAPHEME);
    }

    #[test]
    fn initials_are_the_first_letters_of_the_first_and_last_words() {
        for (name, expected) in [
            ("ann", "A"),
            ("Ann Marie de Vries", "AV"),
            ("élodie ångström", "ÉÅ"),
            ("Иван Петров", "ИП"),
            ("王小明", "王"),
            ("王 小明", "王"),
            ("أحمد علي", "أ"),
            ("דנה כהן", "ד"),
            ("(Bob) Smith", "BS"),
            ("R2 D2", "RD"),
            ("😀", "😀"),
            ("", ""),
            (" \u{202e} ", ""),
        ] {
            assert_eq!(initials(name), expected, "{name}");
        }
    }

    #[test]
    fn a_line_is_as_wide_as_its_text_and_never_wider_than_its_room() {
        let mut typesetter = Typesetter::new(&Fonts::bundled());
        let short = typesetter.line("Ann", 18.0, 500.0).unwrap().pixels.width();
        let long = typesetter.line("Ann Ann Ann", 18.0, 500.0).unwrap().pixels.width();
        assert!(short * 3 < long && long < 200, "{short} {long}");
        let cut = typesetter.line(&"Ann ".repeat(50), 18.0, 100.0).unwrap().pixels;
        assert!((80..=100).contains(&cut.width()), "{}", cut.width());
        assert!(typesetter.line("", 18.0, 100.0).is_none());
    }

    /// The glyphs of `text` from left to right: (first byte, glyph, advance). `None`, said aloud, where no font has them.
    fn shaped(typesetter: &mut Typesetter, text: &str) -> Option<Vec<(usize, u16, f32)>> {
        let mut buffer = Buffer::new_empty(Metrics::new(20.0, 28.0));
        buffer.set_text(text, &Attrs::new().family(Family::Name(&typesetter.family)), Shaping::Advanced, Some(Align::Left));
        buffer.shape_until_scroll(&mut typesetter.fonts, false);
        let mut glyphs: Vec<_> = buffer.layout_runs().flat_map(|run| run.glyphs.to_vec()).collect();
        glyphs.sort_by(|a, b| a.x.total_cmp(&b.x));
        let glyphs: Vec<_> = glyphs.into_iter().map(|glyph| (glyph.start, glyph.glyph_id, glyph.w)).collect();
        let found = glyphs.iter().all(|(_, glyph, _)| *glyph != 0);
        if !found {
            println!("skipped: no font of this system has {text}");
        }
        found.then_some(glyphs)
    }

    #[test]
    fn arabic_letters_join_where_a_font_has_them() {
        let mut typesetter = Typesetter::new(&Fonts::system());
        let (Some(word), Some(letter)) = (shaped(&mut typesetter, "ببب"), shaped(&mut typesetter, "ب")) else { return };
        let glyphs: Vec<u16> = word.iter().map(|(_, glyph, _)| *glyph).collect();
        assert_eq!(glyphs.len(), 3);
        assert!(glyphs[0] != glyphs[1] && glyphs[1] != glyphs[2] && !glyphs.contains(&letter[0].1), "{word:?} {letter:?}");
    }

    #[test]
    fn hebrew_runs_from_right_to_left_and_latin_within_it_does_not() {
        let Some(glyphs) = shaped(&mut Typesetter::new(&Fonts::system()), "אב Li") else { return };
        let starts: Vec<usize> = glyphs.iter().map(|(start, _, _)| *start).collect();
        assert_eq!(starts, [5, 6, 4, 2, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_too_strange_to_be_drawn(text in any::<String>(), size in 8.0f32..60.0, room in 1.0f32..400.0) {
            let mut typesetter = Typesetter::new(&Fonts::bundled());
            let clean = sanitise(&text);
            prop_assert!(clean.graphemes(true).count() <= MAX_GRAPHEMES);
            prop_assert_eq!(&sanitise(&clean), &clean);
            let line = typesetter.line(&clean, size, room);
            prop_assert!(line.is_none_or(|line| line.pixels.width() <= room.ceil() as u32));
            initials(&text);
        }
    }
}
