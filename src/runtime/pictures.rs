//! The stored pictures that layouts name: the files of one folder, read and decoded at the start.

use mixdown_layouts::draw::rgb::MAX_IMAGE_BYTES;
use mixdown_layouts::image::{self, Artwork};
use std::collections::BTreeMap;
use std::io::{Error, Read};
use std::path::Path;
use std::sync::Arc;

/// More than these are no collection of logos.
const MAX_FILES: usize = 64;
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// Makes the PNG, JPEG and WebP files of `folder` known to layouts by their names; without a folder, none.
pub fn store(folder: Option<&Path>) -> Result<(), Error> {
    let Some(folder) = folder else { return Ok(()) };
    let mut pictures = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| ENDINGS.contains(&ending.as_str())) else {
            continue;
        };
        if pictures.len() == MAX_FILES {
            return Err(Error::other(format!("there are more than {MAX_FILES} pictures")));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&path)?.take(MAX_IMAGE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let artwork = Artwork::decode(&bytes).map_err(|error| Error::other(format!("{name}: {error}")))?;
        pictures.insert(name.to_owned(), Arc::new(artwork));
    }
    tracing::info!(count = pictures.len(), "stored pictures");
    image::store(pictures);
    Ok(())
}
