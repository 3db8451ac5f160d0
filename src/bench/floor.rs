//! The floor: what the codecs alone would cost on this machine. One thread decodes the senders' pictures, scales each into a grid
//! and encodes that once; no network, no clock, no sound. A server that does the same is compared with this.

use super::clip::{Clip, FPS};
use mixdown_codecs::{EncoderConfig, FramePool, Intra, Size, VideoCodec, VideoDecoder, gate::Limits, video};
use mixdown_layouts::draw::{Canvas, Picture, Pictures};
use mixdown_layouts::presets::MAX_TILES;
use mixdown_layouts::{Rect, Scene, SourceId, Tile};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const CANVAS: Size = Size::new(1280, 720);
const COMPOSITE_BPS: u32 = 1_500_000;
/// Pictures that the loop runs for: five seconds.
const PICTURES: usize = 150;

/// Milliseconds of processor time per second of the conference; `None`: there is nothing to measure with. `simulcast` senders
/// are decoded in the size nearest to their tile. Takes seconds: not for a media thread.
pub fn cost(clips: &[Arc<Clip>], codec: VideoCodec) -> Option<f64> {
    // No picture shows more people.
    let clips = clips.get(..MAX_TILES).unwrap_or(clips);
    let scene = grid(clips.len());
    let tile = scene.tiles.first()?.rect.height;
    let layers: Vec<_> = clips.iter().map(|clip| clip.layer_for(tile)).collect::<Option<_>>()?;
    let decoder = || video::decoder(codec, Limits::default())?.ok();
    let mut decoders: Vec<Box<dyn VideoDecoder>> = layers.iter().map(|_| decoder()).collect::<Option<_>>()?;
    let mut pools: Vec<FramePool> = layers.iter().map(|_| FramePool::default()).collect();
    let settings = EncoderConfig { size: CANVAS, fps: FPS, bitrate_bps: COMPOSITE_BPS, screen: false, layered: false };
    let mut encoder = video::encoder(codec, settings)?.ok()?;
    let (mut canvas, mut shown) = (Canvas::new(CANVAS), Shown::default());
    let begin = thread_time()?;
    for n in 0..PICTURES {
        for (index, ((layer, decoder), pool)) in layers.iter().zip(&mut decoders).zip(&mut pools).enumerate() {
            let Some(Some((data, _))) = layer.pictures.get(n % layer.pictures.len().max(1)) else { continue };
            if let Some(frame) = decoder.decode(data, pool).ok()? {
                let picture = Picture { frame, sequence: n as u64 + 1, quarter_turns: 0, flip: false, scaled: None };
                shown.0.insert(SourceId(index as u64), picture);
            }
        }
        canvas.draw(&scene, &shown);
        encoder.encode(canvas.frame(), n as u64 * 1000 / u64::from(FPS), Intra::Auto).ok()?;
    }
    Some((thread_time()? - begin).as_secs_f64() * 1000.0 * f64::from(FPS) / PICTURES as f64)
}

#[derive(Default)]
struct Shown(BTreeMap<SourceId, Picture>);

impl Pictures for Shown {
    fn latest(&self, source: SourceId) -> Option<Picture> {
        self.0.get(&source).cloned()
    }
}

/// As many columns as rows, or one more.
fn columns(people: usize) -> usize {
    (1..).find(|side| side * side >= people).unwrap_or(1)
}

fn grid(people: usize) -> Scene {
    let side = columns(people) as u32;
    let (width, height) = ((CANVAS.width / side) & !1, (CANVAS.height / side) & !1);
    let tile = |n: u32| Tile::plain(n.into(), Rect::new(n % side * width, n / side * height, width, height));
    Scene::plain(CANVAS, (0..people as u32).map(tile).collect())
}

/// Processor time of this thread as the kernel counts it.
fn thread_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_room_for_all_and_is_square() {
        for (people, side) in [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (16, 4), (17, 5), (64, 8)] {
            assert_eq!(columns(people), side);
            let scene = grid(people);
            assert!(scene.tiles.len() == people && scene.tiles.iter().all(|tile| tile.rect.inside(CANVAS)));
        }
    }
}
