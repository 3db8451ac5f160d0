//! The fonts that names are set in: one bundled face, those of the system, and those somebody points at.

use cosmic_text::fontdb::{Database, Source, Style, Weight};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The family of the bundled face.
const BUNDLED: &str = "Noto Sans";

/// A fixed set of fonts. Clones share it.
///
/// The bundled face (Noto Sans, SIL Open Font License 1.1) has Latin, Greek and Cyrillic, so that names show
/// even where the system has no font at all. Arabic, Hebrew, Indic scripts, Chinese, Japanese, Korean and
/// emoji show where a font of the system or a given one has them (Debian: `fonts-noto-core`, `fonts-noto-cjk`,
/// `fonts-noto-color-emoji`), else as empty boxes.
#[derive(Clone)]
pub struct Fonts {
    faces: Arc<Database>,
    family: Arc<str>,
}

/// A font file or folder that was asked for cannot be used: tell whoever configured it.
#[derive(Debug, thiserror::Error)]
#[error("no font in {}", .path.display())]
pub struct NoFont {
    pub path: PathBuf,
}

impl Fonts {
    /// The bundled face alone: the same picture on every machine.
    pub fn bundled() -> Self {
        let mut faces = Database::new();
        faces.load_font_source(Source::Binary(Arc::new(notosans::REGULAR_TTF)));
        Self::of(faces, BUNDLED)
    }

    /// The bundled face and the system's, which are looked for once per process (some 100 ms).
    pub fn system() -> Self {
        static SYSTEM: OnceLock<Fonts> = OnceLock::new();
        SYSTEM
            .get_or_init(|| {
                let mut faces = (*Self::bundled().faces).clone();
                faces.load_system_fonts();
                Self::of(faces, BUNDLED)
            })
            .clone()
    }

    /// Like [`Fonts::system`], and before all others those in `paths`: font files, or folders of them. The first
    /// family found there is used wherever it has the letters.
    pub fn with_paths(paths: &[impl AsRef<Path>]) -> Result<Self, NoFont> {
        let mut faces = Database::new();
        for path in paths.iter().map(AsRef::as_ref) {
            let before = faces.len();
            if path.is_dir() {
                faces.load_fonts_dir(path);
            } else if faces.load_font_file(path).is_err() {
                return Err(NoFont { path: path.into() });
            }
            if faces.len() == before {
                return Err(NoFont { path: path.into() });
            }
        }
        let first = faces.faces().find(|face| face.weight == Weight::NORMAL && face.style == Style::Normal);
        let family = first.and_then(|face| face.families.first()).map_or(BUNDLED.into(), |(name, _)| name.clone());
        for face in Self::system().faces.faces() {
            faces.push_face_info(face.clone());
        }
        Ok(Self::of(faces, &family))
    }

    /// Keeps the upright faces of normal weight. Every other one could only be found by opening it, while a tick waits.
    fn of(mut faces: Database, family: &str) -> Self {
        let wanted = |style, weight| style == Style::Normal && weight == Weight::NORMAL;
        let unwanted: Vec<_> = faces.faces().filter(|face| !wanted(face.style, face.weight)).map(|face| face.id).collect();
        for id in unwanted {
            faces.remove_face(id);
        }
        Self { faces: Arc::new(faces), family: family.into() }
    }

    pub(super) fn faces(&self) -> &Database {
        &self.faces
    }

    pub(super) fn family(&self) -> &str {
        &self.family
    }
}
