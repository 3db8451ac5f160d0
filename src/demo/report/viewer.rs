//! Who receives while the report runs. Every viewer counts; one of them also decodes, reads the markers
//! of all tiles and listens for beeps.

use crate::client::{Event, Peer, Received, Script};
use crate::demo::beep::{Ear, Tone};
use crate::demo::marker::{self, Area};
use mixdown_codecs::{AudioCodec, AudioDecoder, FramePool, I420Frame, VideoCodec, VideoDecoder, audio, gate::Limits, video};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Pictures of the composite that are kept for measuring what encoding them costs.
const SAMPLES: usize = 30;

/// RTP time and arrival of the first packet of everything received.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub pictures: Vec<(u64, Instant)>,
    pub packets: Vec<(u64, Instant)>,
}

/// A frame of a sender seen for the first time.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    pub person: u8,
    pub frame: u16,
    pub at: Instant,
}

pub struct Viewer {
    pub counts: Counts,
    pub reader: Option<Reader>,
}

/// The one that decodes.
pub struct Reader {
    video: Option<Box<dyn VideoDecoder>>,
    audio: Option<Box<dyn AudioDecoder>>,
    pool: FramePool,
    tiles: Vec<[f32; 4]>,
    /// Last frame number seen of each person.
    last: [Option<u16>; 256],
    ears: Vec<Ear>,
    pcm: Vec<f32>,
    /// Stream position of a packet's first sample, and when it arrived.
    arrivals: VecDeque<(u64, Instant)>,
    heard: u64,
    pub sightings: Vec<Sighting>,
    /// Person, and when the beep's own sample arrived.
    pub beeps: Vec<(u8, Instant)>,
    pub samples: Vec<Arc<I420Frame>>,
    /// Pictures that could not be decoded.
    pub damaged: u64,
}

impl Viewer {
    pub fn counting() -> Self {
        Self { counts: Counts::default(), reader: None }
    }

    /// Reads the markers and hears the beeps of people 0 to `people` − 1.
    pub fn reading(people: u8) -> Self {
        let reader = Reader {
            video: None,
            audio: None,
            pool: FramePool::default(),
            tiles: Vec::new(),
            last: [None; 256],
            ears: (0..people.min(8)).map(|person| Ear::new(Tone::of(person).beep)).collect(),
            pcm: Vec::new(),
            arrivals: VecDeque::new(),
            heard: 0,
            sightings: Vec::new(),
            beeps: Vec::new(),
            samples: Vec::new(),
            damaged: 0,
        };
        Self { counts: Counts::default(), reader: Some(reader) }
    }
}

impl Script for Viewer {
    fn next(&self) -> Option<Instant> {
        None
    }

    fn play(&mut self, _now: Instant, _peer: &mut Peer) {}

    fn event(&mut self, now: Instant, event: Event, peer: &mut Peer) {
        match event {
            Event::Video(picture) => {
                self.counts.pictures.push((picture.rtp_time, picture.first_packet));
                if let Some(reader) = &mut self.reader
                    && !reader.look(&picture)
                {
                    peer.request_keyframe(now);
                }
            }
            Event::Audio(packet) => {
                self.counts.packets.push((packet.rtp_time, packet.first_packet));
                if let Some(reader) = &mut self.reader {
                    reader.listen(&packet);
                }
            }
            Event::Message(text) => {
                if let Some(reader) = &mut self.reader
                    && let Some(tiles) = tiles(&text)
                {
                    reader.tiles = tiles;
                }
            }
            _ => {}
        }
    }
}

impl Reader {
    /// False: only a keyframe helps.
    fn look(&mut self, picture: &Received<VideoCodec>) -> bool {
        if self.video.is_none() {
            self.video = video::decoder(picture.codec, Limits::default()).and_then(Result::ok);
        }
        let Some(decoder) = &mut self.video else { return true };
        let frame = match decoder.decode(&picture.data, &mut self.pool) {
            Ok(Some(frame)) => frame,
            Ok(None) => return true,
            Err(_) => {
                self.damaged += 1;
                return false;
            }
        };
        for tile in &self.tiles {
            let Some(mark) = read(&frame, *tile) else { continue };
            let last = &mut self.last[usize::from(mark.person)];
            if *last != Some(mark.frame) {
                *last = Some(mark.frame);
                self.sightings.push(Sighting { person: mark.person, frame: mark.frame, at: picture.first_packet });
            }
        }
        if self.samples.len() < SAMPLES && !self.sightings.is_empty() {
            self.samples.push(Arc::new(I420Frame::clone(&frame)));
        }
        true
    }

    fn listen(&mut self, packet: &Received<AudioCodec>) {
        if self.audio.is_none() {
            self.audio = audio::decoder(packet.codec).ok();
        }
        self.pcm.clear();
        let Some(Ok(samples)) = self.audio.as_mut().map(|decoder| decoder.decode(&packet.data, &mut self.pcm)) else { return };
        self.arrivals.push_back((self.heard, packet.first_packet));
        self.heard += samples as u64;
        if self.arrivals.len() > 64 {
            self.arrivals.pop_front();
        }
        let (arrivals, beeps) = (&self.arrivals, &mut self.beeps);
        for (person, ear) in self.ears.iter_mut().enumerate() {
            ear.listen(&self.pcm, |at| {
                let Some((begin, arrived)) = arrivals.iter().rev().find(|(begin, _)| *begin <= at) else { return };
                beeps.push((person as u8, *arrived + Duration::from_nanos((at - begin) * 1_000_000_000 / 48_000)));
            });
        }
    }
}

/// The marker of whoever is in a tile, whether the picture was cut to it or shown whole.
fn read(frame: &I420Frame, [x, y, w, h]: [f32; 4]) -> Option<marker::Mark> {
    let (width, height) = (frame.size().width as f32, frame.size().height as f32);
    let tile = Area { x: x * width, y: y * height, width: w * width, height: h * height };
    const RATIO: f32 = 16.0 / 9.0;
    marker::read(frame, tile.covered_by(RATIO)).or_else(|| marker::read(frame, tile.containing(RATIO)))
}

/// The tile map, where the message is one: x, y, width, height in fractions of the canvas.
fn tiles(text: &str) -> Option<Vec<[f32; 4]>> {
    let message: serde_json::Value = serde_json::from_str(text).ok()?;
    if message.get("type")?.as_str()? != "tiles" {
        return None;
    }
    let side = |tile: &serde_json::Value, name: &str| Some(tile.get(name)?.as_f64()? as f32);
    let tile = |tile: &serde_json::Value| Some([side(tile, "x")?, side(tile, "y")?, side(tile, "width")?, side(tile, "height")?]);
    Some(message.get("tiles")?.as_array()?.iter().filter_map(tile).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_map_is_told_from_other_messages() {
        let map = r#"{"type":"tiles","rtp_timestamp":1,"width":1280,"height":720,"tiles":[{"x":0,"y":0.5,"width":0.5,"height":0.25}]}"#;
        assert_eq!(tiles(map), Some(vec![[0.0, 0.5, 0.5, 0.25]]));
        assert_eq!(tiles(r#"{"type":"chat","text":"hi"}"#), None);
        assert_eq!(tiles("nonsense"), None);
    }
}
