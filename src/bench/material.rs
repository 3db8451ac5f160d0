//! Where clips come from: people painted here, or a film of the user's own; coded once per person, codec and size, and kept
//! in the user's cache.

use super::clip::{self, Clip, FPS, Layer, SECONDS};
use super::ivf;
use crate::demo::person::{Articulation, Person};
use crate::process;
use indicatif::ProgressBar;
use mixdown_codecs::{I420Frame, Size, VideoCodec};
use mixdown_layouts::draw::Reducer;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

/// What clips show changes with this number.
const EDITION: u32 = 2;
/// What a film is decoded as.
const FILM: Size = Size::new(1280, 720);

/// What the senders show and say.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub people: u8,
    /// How many of them talk.
    pub talkers: u8,
    pub codec: VideoCodec,
    /// The smallest first.
    pub sizes: Vec<Size>,
    /// In place of painted people.
    pub film: Option<PathBuf>,
}

/// Where clips are kept: `$XDG_CACHE_HOME/mixdown/bench`, or below `~/.cache`.
pub fn folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("mixdown").join("bench")
}

/// The clips of all people, out of the cache where they are there. Takes seconds per person where they are not.
///
/// # Errors
/// In words, with what to do.
pub fn clips(wanted: &Wanted, folder: &Path, bar: &ProgressBar) -> Result<Vec<Arc<Clip>>, String> {
    let source = match &wanted.film {
        Some(path) => format!("film-{}", digest(path)?),
        None => "person".into(),
    };
    let mut film = None;
    let mut clips = Vec::new();
    for number in 0..wanted.people {
        let mut layers = Vec::new();
        for size in &wanted.sizes {
            let file = folder.join(format!("{source}-{number}-{}-{size}-{SECONDS}s-{EDITION}.ivf", wanted.codec.name()));
            let layer = match load(&file, wanted.codec, *size) {
                Some(layer) => layer,
                None => {
                    if let (Some(path), None) = (&wanted.film, &film) {
                        bar.set_message("decoding the film");
                        film = Some(frames(path)?);
                    }
                    bar.set_message(format!("coding clips, once: person {} of {}, {size}", number + 1, wanted.people));
                    make(&file, wanted.codec, number, *size, film.as_deref())?
                }
            };
            layers.push(layer);
            bar.tick();
        }
        clips.push(Arc::new(Clip::new(layers, number, SECONDS, number < wanted.talkers)?));
    }
    Ok(clips)
}

fn load(file: &Path, codec: VideoCodec, size: Size) -> Option<Layer> {
    let pictures = ivf::read(&std::fs::read(file).ok()?, codec)?;
    Layer::new(codec, size, pictures).filter(|layer| layer.pictures.len() == SECONDS * FPS as usize)
}

fn make(file: &Path, codec: VideoCodec, number: u8, size: Size, film: Option<&[I420Frame]>) -> Result<Layer, String> {
    let mut reducer = Reducer::default();
    let pictures = if let Some(film) = film {
        // Two people of one film are at different places of it.
        let begin = usize::from(number) * 37;
        let mut draw = |n: usize, frame: &mut I420Frame| {
            if let Some(whole) = film.get((begin + n) % film.len().max(1)) {
                reducer.reduce(whole, frame);
            }
        };
        clip::code(codec, number, SECONDS, size, &mut draw)?
    } else {
        let (mut person, mut whole) = (Person::new(number), I420Frame::black(Person::SIZE));
        let mut draw = |n: usize, frame: &mut I420Frame| {
            let t = n as f64 / f64::from(FPS);
            let open = (0.5 + 0.5 * (t * 11.0).sin()) as f32;
            person.draw(t, Articulation { speaking: true, open, round: 0.3 }, &mut whole);
            reducer.reduce(&whole, frame);
            grain(frame, n);
        };
        clip::code(codec, number, SECONDS, size, &mut draw)?
    };
    // Without a cache it is coded again the next time.
    if let Err(error) = keep(file, &ivf::write(codec, size, FPS, &pictures)) {
        tracing::warn!(%error, file = %file.display(), "a clip is not kept");
    }
    Layer::new(codec, size, pictures).ok_or_else(|| "the encoder made what is no picture".into())
}

/// What the sensor of a camera adds to every picture, and a painter does not: without it a codec would have nothing to do where
/// nothing moves.
fn grain(frame: &mut I420Frame, n: usize) {
    let mut state = (n as u32).wrapping_mul(0x9e37_79b9) | 1;
    for byte in frame.planes_mut().y {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = byte.saturating_add_signed((state % 11) as i8 - 5).clamp(16, 235);
    }
}

fn keep(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = file.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, file)
}

fn digest(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("--clip {}: {error}", path.display()))?;
    Ok(Sha256::digest(&bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

/// The film's first seconds as ffmpeg decodes them, scaled and padded.
fn frames(path: &Path) -> Result<Vec<I420Frame>, String> {
    let ffmpeg = process::find("ffmpeg").ok_or("--clip needs ffmpeg: install it, or leave --clip out")?;
    let Size { width, height } = FILM;
    let filter = format!("fps={FPS},scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}");
    let output = std::process::Command::new(ffmpeg)
        .args(["-v", "error", "-nostdin", "-stream_loop", "-1", "-i"])
        .arg(path)
        .args(["-an", "-vf", &filter, "-frames:v", &(SECONDS * FPS as usize).to_string()])
        .args(["-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("ffmpeg: {error}"))?;
    let bytes = FILM.pixels() * 3 / 2;
    let film: Vec<I420Frame> = output.stdout.chunks_exact(bytes).map(frame).collect();
    if film.is_empty() { Err(format!("--clip {}: ffmpeg found no pictures in it", path.display())) } else { Ok(film) }
}

fn frame(bytes: &[u8]) -> I420Frame {
    let mut frame = I420Frame::black(FILM);
    frame.data_mut().copy_from_slice(bytes);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_comes_from_the_cache_the_second_time_and_a_damaged_one_is_coded_anew() {
        let folder = tempfile::tempdir().unwrap();
        let size = Size::new(64, 36);
        let wanted = Wanted { people: 1, talkers: 1, codec: VideoCodec::Vp8, sizes: vec![size], film: None };
        let bar = ProgressBar::hidden();
        let first = clips(&wanted, folder.path(), &bar).unwrap();
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let again = clips(&wanted, folder.path(), &bar).unwrap();
        assert_eq!(first[0].layers[0].pictures, again[0].layers[0].pictures);
        std::fs::write(&file, &bytes[..100]).unwrap();
        assert_eq!(clips(&wanted, folder.path(), &bar).unwrap()[0].length(), SECONDS * 30);
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }

    #[test]
    fn a_film_that_is_not_there_is_named() {
        let wanted = Wanted { people: 1, talkers: 1, codec: VideoCodec::Vp8, sizes: vec![FILM], film: Some("/no/such.mp4".into()) };
        let refused = clips(&wanted, Path::new("/nowhere"), &ProgressBar::hidden()).err().unwrap();
        assert!(refused.contains("/no/such.mp4"), "{refused}");
    }
}
