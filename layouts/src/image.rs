//! Pictures that a layout names: written into it as a `data:` URI, or stored ones that were hung up at the start.
//!
//! Nothing is ever fetched. A picture is decoded once, when its layout is checked, by a decoder with bounds: never while a
//! canvas is drawn.

use crate::draw::rgb::{self, DecodeError};
use mixdown_codecs::Size;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The longest side of a picture in a layout.
pub const MAX_SIDE: u32 = 4096;

/// The stored pictures of this process.
static STORED: OnceLock<BTreeMap<String, Arc<Artwork>>> = OnceLock::new();

/// A picture as a layout names it. Clones share what was decoded; equal names are equal pictures.
#[derive(Debug, Clone)]
pub struct Image {
    name: Arc<str>,
    artwork: Arc<OnceLock<Arc<Artwork>>>,
}

/// A decoded picture.
#[derive(Debug)]
pub struct Artwork {
    pub size: Size,
    /// Premultiplied RGBA, rows without gaps.
    pub pixels: Vec<u8>,
}

/// Why a picture cannot be used: refuse the layout that names it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("a picture is written as data:image/…;base64,… or is the name of a stored one; nothing is fetched")]
    Form,
    #[error("no picture of this name is stored")]
    Unknown,
    #[error("the picture is not base64 (RFC 4648)")]
    Base64,
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Image {
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), artwork: Arc::default() }
    }

    /// Decodes the picture, unless that was done.
    pub fn load(&self) -> Result<&Artwork, Unusable> {
        if let Some(artwork) = self.artwork.get() {
            return Ok(artwork);
        }
        let artwork = match self.name.strip_prefix("data:image/") {
            Some(data) => {
                let (_, text) = data.split_once(";base64,").ok_or(Unusable::Form)?;
                Arc::new(Artwork::decode(&base64(text).ok_or(Unusable::Base64)?)?)
            }
            None if self.name.contains(':') => return Err(Unusable::Form),
            None => STORED.get().and_then(|stored| stored.get(&*self.name)).cloned().ok_or(Unusable::Unknown)?,
        };
        Ok(self.artwork.get_or_init(|| artwork))
    }

    /// What [`Image::load`] has decoded.
    pub fn artwork(&self) -> Option<&Artwork> {
        self.artwork.get().map(|artwork| &**artwork)
    }
}

impl Artwork {
    /// A PNG, JPEG or WebP file of at most [`MAX_SIDE`] pixels each way.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut image = rgb::open(bytes, MAX_SIDE)?.into_rgba8();
        for pixel in image.pixels_mut() {
            let alpha = u32::from(pixel.0[3]);
            for part in &mut pixel.0[..3] {
                *part = ((u32::from(*part) * alpha + 127) / 255) as u8;
            }
        }
        Ok(Self { size: Size::new(image.width(), image.height()), pixels: image.into_raw() })
    }
}

/// Makes pictures known by name, once per process; `false` if that was done before.
pub fn store(pictures: BTreeMap<String, Arc<Artwork>>) -> bool {
    STORED.set(pictures).is_ok()
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Image {}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::named(&name))
    }
}

/// RFC 4648 §4, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let value = |byte: u8| {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.chunks(4) {
        if four.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for index in 0..4 {
            bits = bits << 6 | four.get(index).map_or(Some(0), |&byte| value(byte))?;
        }
        bytes.extend_from_slice(bits.to_be_bytes().get(1..four.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A red PNG of 2 × 2 pixels.
    pub const RED: &str =
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==";

    #[test]
    fn base64_is_read_as_rfc_4648_gives_it() {
        for (text, expected) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(base64(text).as_deref(), Some(expected.as_bytes()), "{text}");
        }
        assert_eq!((base64("Z"), base64("Zm 9"), base64("Zm9\n")), (None, None, None));
    }

    #[test]
    fn a_picture_in_the_layout_is_decoded_once_and_shared() {
        let image = Image::named(RED);
        let clone = image.clone();
        assert!(clone.artwork().is_none());
        let artwork = image.load().unwrap();
        assert_eq!((artwork.size, &artwork.pixels[..4]), (Size::new(2, 2), &[255, 0, 0, 255][..]));
        assert!(std::ptr::eq(clone.artwork().unwrap(), artwork));
    }

    #[test]
    fn what_is_no_picture_is_refused_and_nothing_is_fetched() {
        let refused = |name: &str| Image::named(name).load().unwrap_err().to_string();
        assert!(refused("https://example.org/a.png").contains("nothing is fetched"));
        assert!(refused("data:image/png,abc").contains("base64"));
        assert!(refused("data:image/png;base64,????").contains("RFC 4648"));
        assert!(refused("data:image/png;base64,Zm9v").contains("PNG"));
        assert!(refused("nobody hung this up").contains("stored"));
    }
}
