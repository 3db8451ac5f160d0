//! What is drawn over tiles, made once and kept: [`Overlay`]s by what they say and how large they are.

use super::fonts::Fonts;
use super::overlay::Overlay;
use super::signs;
use super::text::{Typesetter, initials, sanitise};
use crate::scene::TileSource;
use crate::{Rect, Tile};
use std::collections::HashMap;
use std::sync::Arc;

/// Overlays kept; the least recently used one makes room.
const CAPACITY: usize = 256;
/// Smaller tiles carry no text.
const MIN_HEIGHT: u32 = 48;
const MIN_WIDTH: u32 = 64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Label { name: String, muted: bool, size: u32, room: u32 },
    Overflow { count: u32, size: u32, room: u32 },
    Avatar { initials: String, colour: u64, size: u32 },
}

/// Makes and keeps the overlays of one canvas.
pub struct Labels {
    fonts: Fonts,
    typesetter: Option<Typesetter>,
    kept: HashMap<Key, Kept>,
    uses: u64,
}

struct Kept {
    overlay: Option<Arc<Overlay>>,
    used: u64,
}

/// An overlay and where its upper left corner stands on the canvas.
#[derive(Debug, Clone)]
pub struct Placed {
    pub overlay: Arc<Overlay>,
    pub at: (u32, u32),
}

impl Placed {
    pub fn rect(&self) -> Rect {
        let size = self.overlay.size();
        Rect::new(self.at.0, self.at.1, size.width, size.height)
    }
}

impl Labels {
    pub fn new(fonts: Fonts) -> Self {
        Self { fonts, typesetter: None, kept: HashMap::new(), uses: 0 }
    }

    /// The plate in the lower left corner: the muted sign, and the name if `named`.
    pub fn label(&mut self, tile: &Tile, named: bool) -> Option<Placed> {
        let name = if named { sanitise(&tile.name) } else { String::new() };
        let (size, margin) = metrics(tile)?;
        let room = tile.rect.width.saturating_sub(2 * margin);
        // Whether who shares a screen is muted stands on that person's camera tile.
        let muted = tile.muted && tile.kind == TileSource::Camera;
        let overlay = self.keep(Key::Label { name, muted, size, room })?;
        let y = tile.rect.bottom().checked_sub(margin + overlay.size().height)?;
        Some(Placed { at: (tile.rect.x + margin, y), overlay })
    }

    /// "+N" in the upper right corner.
    pub fn overflow(&mut self, tile: &Tile, count: u32) -> Option<Placed> {
        let (size, margin) = metrics(tile)?;
        let room = tile.rect.width.saturating_sub(2 * margin);
        let overlay = self.keep(Key::Overflow { count, size: size * 5 / 4, room })?;
        let x = tile.rect.right().checked_sub(margin + overlay.size().width)?;
        Some(Placed { at: (x, tile.rect.y + margin), overlay })
    }

    /// The person's initials in the middle.
    pub fn avatar(&mut self, tile: &Tile) -> Option<Placed> {
        // Few sizes on the way from place to place: each is drawn anew.
        let size = (tile.rect.width.min(tile.rect.height) * 9 / 20).min(400);
        let size = if tile.moving { size / 32 * 32 } else { size.next_multiple_of(4) };
        if size < 16 {
            return None;
        }
        let overlay = self.keep(Key::Avatar { initials: initials(&tile.name), colour: tile.person.0 % signs::AVATAR_COLOURS, size })?;
        let middle = |start: u32, length: u32| start + (((length - size.min(length)) / 2) & !1);
        Some(Placed { overlay, at: (middle(tile.rect.x, tile.rect.width), middle(tile.rect.y, tile.rect.height)) })
    }

    /// The typesetter, if it has been needed yet, and the fonts to make it from.
    pub fn typesetter(&mut self) -> (&mut Option<Typesetter>, &Fonts) {
        (&mut self.typesetter, &self.fonts)
    }

    fn keep(&mut self, key: Key) -> Option<Arc<Overlay>> {
        self.uses += 1;
        if let Some(kept) = self.kept.get_mut(&key) {
            kept.used = self.uses;
            return kept.overlay.clone();
        }
        if self.kept.len() >= CAPACITY {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.kept.remove(&oldest));
        }
        let typesetter = self.typesetter.get_or_insert_with(|| Typesetter::new(&self.fonts));
        let pixels = match &key {
            Key::Label { name, muted, size, room } => signs::label(typesetter, name, *muted, *size as f32, *room as f32),
            Key::Overflow { count, size, room } => signs::overflow(typesetter, *count, *size as f32, *room as f32),
            Key::Avatar { initials, colour, size } => signs::avatar(typesetter, initials, *colour, *size),
        };
        let overlay = pixels.map(|pixels| Arc::new(Overlay::new(&pixels)));
        self.kept.insert(key, Kept { overlay: overlay.clone(), used: self.uses });
        overlay
    }
}

/// Font size and margin for a tile; `None` for one too small for text.
fn metrics(tile: &Tile) -> Option<(u32, u32)> {
    let rect = tile.rect;
    if rect.height < MIN_HEIGHT || rect.width < MIN_WIDTH {
        return None;
    }
    let largest = if tile.kind == TileSource::Screen { 16 } else { 24 };
    let size = (rect.height / 18).clamp(11, largest);
    Some((size, if rect.height < 120 { 4 } else { 8 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(name: &str) -> Tile {
        Tile { source: None, name: name.into(), ..Tile::plain(1, Rect::new(10, 20, 320, 180)) }
    }

    fn labels() -> Labels {
        Labels::new(Fonts::bundled())
    }

    #[test]
    fn a_label_is_made_once_and_another_tile_of_that_size_has_the_same() {
        let mut labels = labels();
        let first = labels.label(&tile("Ann"), true).unwrap();
        let moved = Tile { rect: Rect::new(400, 20, 320, 180), ..tile("Ann") };
        let second = labels.label(&moved, true).unwrap();
        assert!(Arc::ptr_eq(&first.overlay, &second.overlay));
        assert_eq!((second.at.0 - first.at.0, second.at.1), (390, first.at.1));
        assert!(!Arc::ptr_eq(&first.overlay, &labels.label(&tile("Bob"), true).unwrap().overlay));
    }

    #[test]
    fn labels_badges_and_initials_stay_inside_their_tile_however_long_the_name() {
        let mut labels = labels();
        let name = "A very long name ".repeat(20);
        for (width, height) in [(64, 48), (90, 160), (152, 86), (320, 180), (1280, 720)] {
            let tile = Tile { rect: Rect::new(2, 4, width, height), muted: true, ..tile(&name) };
            let placed = [labels.label(&tile, true), labels.overflow(&tile, 48), labels.avatar(&tile)];
            for placed in placed.into_iter().flatten() {
                assert!(tile.rect.contains(placed.rect()), "{:?} in {:?}", placed.rect(), tile.rect);
                assert!((placed.at.0 | placed.at.1).is_multiple_of(2));
            }
        }
    }

    #[test]
    fn without_names_only_who_is_muted_has_a_plate() {
        let mut labels = labels();
        assert!(labels.label(&tile("Ann"), false).is_none());
        let muted = labels.label(&Tile { muted: true, ..tile("Ann") }, false).unwrap();
        assert!(muted.rect().width < 40);
        let screen = Tile { muted: true, kind: TileSource::Screen, ..tile("Ann") };
        assert!(labels.label(&screen, false).is_none());
    }

    #[test]
    fn a_thousand_names_keep_256_overlays() {
        let mut labels = labels();
        for id in 0..1000 {
            labels.label(&tile(&format!("{id}")), true);
            // Asked for all the time, so it is never the one that goes.
            labels.label(&tile("Ann"), true);
        }
        assert_eq!(labels.kept.len(), CAPACITY);
        assert!(labels.kept.keys().any(|key| matches!(key, Key::Label { name, .. } if name == "Ann")));
    }
}
