//! Who receives. Every viewer notes what arrives when, which costs next to nothing; one of them also decodes, reads the markers
//! of all tiles, listens for beeps, and keeps a stretch of pictures whose quality is looked at afterwards. Pure but for the codecs.

use super::clip::EARS;
use crate::client::{Event, Peer, Received, Script};
use crate::demo::beep::{Ear, Tone};
use crate::demo::marker::{self, Area, Mark};
use mixdown_codecs::{AudioCodec, AudioDecoder, FramePool, I420Frame, VideoCodec, VideoDecoder, audio, gate::Limits, video};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Successive pictures that are kept: two seconds.
pub const SAMPLES: usize = 60;

/// RTP time and arrival of the first packet of everything received.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub pictures: Vec<(u64, Instant)>,
    pub packets: Vec<(u64, Instant)>,
    /// Pictures before which others were lost on the way.
    pub broken: u64,
}

/// A frame of a sender seen for the first time.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    pub mark: Mark,
    pub at: Instant,
    /// Of the composite, 90 kHz.
    pub rtp_time: u64,
}

/// A beep that was heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    pub person: u8,
    /// When the beep's own sample arrived.
    pub at: Instant,
    /// Of that sample, 48 kHz.
    pub rtp_time: u64,
}

/// A composite and what is in it.
pub struct Sample {
    pub frame: I420Frame,
    /// Tiles in fractions of the canvas, and who is seen there.
    pub seen: Vec<([f32; 4], Mark)>,
    /// Of the coded picture.
    pub bytes: usize,
}

pub struct Viewer {
    pub counts: Counts,
    pub reader: Option<Box<Reader>>,
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
    /// Stream position and RTP time of a packet's first sample, and when it arrived.
    arrivals: VecDeque<(u64, u64, Instant)>,
    heard: u64,
    /// From when pictures are kept.
    sampling: Option<Instant>,
    pub sightings: Vec<Sighting>,
    pub beeps: Vec<Heard>,
    pub samples: Vec<Sample>,
    /// Pictures that could not be decoded.
    pub damaged: u64,
}

impl Viewer {
    pub fn counting() -> Self {
        Self { counts: Counts::default(), reader: None }
    }

    /// Reads markers, hears the beeps of people 0 to `talkers` − 1, and keeps [`SAMPLES`] pictures from `sampling` on.
    pub fn reading(talkers: u8, sampling: Option<Instant>) -> Self {
        let reader = Reader {
            video: None,
            audio: None,
            pool: FramePool::default(),
            tiles: Vec::new(),
            last: [None; 256],
            ears: (0..talkers.min(EARS)).map(|person| Ear::new(Tone::of(person).beep)).collect(),
            pcm: Vec::new(),
            arrivals: VecDeque::new(),
            heard: 0,
            sampling,
            sightings: Vec::new(),
            beeps: Vec::new(),
            samples: Vec::new(),
            damaged: 0,
        };
        Self { counts: Counts::default(), reader: Some(Box::new(reader)) }
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
                self.counts.broken += u64::from(!picture.contiguous);
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
        let seen: Vec<_> = self.tiles.iter().filter_map(|tile| Some((*tile, read(&frame, *tile)?))).collect();
        for (_, mark) in &seen {
            let last = &mut self.last[usize::from(mark.person)];
            if *last != Some(mark.frame) {
                *last = Some(mark.frame);
                self.sightings.push(Sighting { mark: *mark, at: picture.first_packet, rtp_time: picture.rtp_time });
            }
        }
        self.keep(picture, &frame, seen);
        true
    }

    /// Keeps a picture whose tiles are all known; one that is not begins the stretch anew.
    fn keep(&mut self, picture: &Received<VideoCodec>, frame: &I420Frame, seen: Vec<([f32; 4], Mark)>) {
        if self.samples.len() == SAMPLES || self.sampling.is_none_or(|from| picture.first_packet < from) {
            return;
        }
        let same = |sample: &Sample| sample.seen.iter().map(|seen| seen.0).eq(seen.iter().map(|seen| seen.0));
        let whole = !seen.is_empty() && seen.len() == self.tiles.len() && picture.contiguous;
        if !whole || !self.samples.last().is_none_or(same) {
            self.samples.clear();
            return;
        }
        self.samples.push(Sample { frame: frame.clone(), seen, bytes: picture.data.len() });
    }

    fn listen(&mut self, packet: &Received<AudioCodec>) {
        if self.audio.is_none() {
            self.audio = audio::decoder(packet.codec).ok();
        }
        self.pcm.clear();
        let Some(Ok(samples)) = self.audio.as_mut().map(|decoder| decoder.decode(&packet.data, &mut self.pcm)) else { return };
        self.arrivals.push_back((self.heard, packet.rtp_time, packet.first_packet));
        self.heard += samples as u64;
        if self.arrivals.len() > 64 {
            self.arrivals.pop_front();
        }
        let (arrivals, beeps) = (&self.arrivals, &mut self.beeps);
        for (person, ear) in self.ears.iter_mut().enumerate() {
            ear.listen(&self.pcm, |at| {
                let Some((begin, rtp_time, arrived)) = arrivals.iter().rev().find(|(begin, ..)| *begin <= at) else { return };
                let within = at - begin;
                let arrived = *arrived + Duration::from_nanos(within * 1_000_000_000 / 48_000);
                beeps.push(Heard { person: person as u8, at: arrived, rtp_time: rtp_time + within });
            });
        }
    }
}

/// The marker of whoever is in a tile, whether the picture was cut to it or shown whole.
fn read(frame: &I420Frame, [x, y, w, h]: [f32; 4]) -> Option<Mark> {
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

    #[test]
    fn a_stretch_of_samples_is_unbroken() {
        let now = crate::runtime::clock::now();
        let mut viewer = Viewer::reading(0, Some(now));
        let reader = viewer.reader.as_mut().unwrap();
        reader.tiles = vec![[0.0, 0.0, 1.0, 1.0]];
        let picture = |contiguous| Received {
            codec: VideoCodec::Vp8,
            data: std::sync::Arc::from(&[0_u8; 9][..]),
            keyframe: false,
            contiguous,
            rtp_time: 0,
            sequence: 0,
            level_dbov: None,
            first_packet: now,
        };
        let frame = I420Frame::black(mixdown_codecs::Size::new(2, 2));
        let seen = |frame| vec![([0.0, 0.0, 1.0, 1.0], Mark { person: 0, frame })];
        reader.keep(&picture(true), &frame, seen(1));
        reader.keep(&picture(true), &frame, seen(2));
        assert_eq!(reader.samples.len(), 2);
        reader.keep(&picture(false), &frame, seen(3));
        assert!(reader.samples.is_empty());
        (0..100).for_each(|n| reader.keep(&picture(true), &frame, seen(n)));
        assert_eq!((reader.samples.len(), reader.samples[0].bytes), (SAMPLES, 9));
        let mut later = Viewer::reading(0, Some(now + Duration::from_secs(1)));
        let reader = later.reader.as_mut().unwrap();
        reader.tiles = vec![[0.0, 0.0, 1.0, 1.0]];
        reader.keep(&picture(true), &frame, seen(1));
        assert!(reader.samples.is_empty());
    }
}
