//! Plays a clip in a loop on a beat and notes when each picture and each beep has left. Pure.
//!
//! RTP times are those of the beat, whatever the clip does: a request for a keyframe makes the clip, in all its sizes, go on from
//! its next keyframe, as if the person had moved suddenly.

use super::clip::{AUDIO_RATE, Clip, FPS};
use crate::cadence::Cadence;
use crate::client::{Event, Packet, Peer, Picture, Script};
use crate::ids::Source;
use crate::media::Orientation;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Names of the layers of a simulcast camera, the smallest first.
pub const RIDS: [&str; 3] = ["q", "h", "f"];

pub struct Sender {
    clip: Arc<Clip>,
    pictures: Cadence,
    packets: Cadence,
    next_picture: u64,
    next_packet: u64,
    /// Where the clip is.
    picture: usize,
    packet: usize,
    keyframe_wanted: bool,
    connected: bool,
    /// Picture that was handed over but has not left yet.
    leaving: Option<u16>,
    /// Number of the picture in the clip, and when its last packet had left.
    pub sent: Vec<(u16, Instant)>,
    /// When each beep's own sample left.
    pub beeps: Vec<Instant>,
}

impl Sender {
    pub fn new(clip: Arc<Clip>, epoch: Instant) -> Self {
        Self {
            clip,
            pictures: Cadence::new(epoch, FPS),
            packets: Cadence::new(epoch, AUDIO_RATE),
            next_picture: 0,
            next_packet: 0,
            picture: 0,
            packet: 0,
            keyframe_wanted: false,
            connected: false,
            leaving: None,
            sent: Vec::with_capacity(1 << 10),
            beeps: Vec::with_capacity(1 << 6),
        }
    }

    fn show(&mut self, now: Instant, peer: &mut Peer) {
        if std::mem::take(&mut self.keyframe_wanted) {
            self.picture = self.clip.keyframe_after(self.picture);
        }
        let n = self.picture;
        self.picture = (n + 1) % self.clip.length().max(1);
        let rtp_time = self.pictures.rtp_time(self.next_picture, 90_000);
        let simulcast = self.clip.layers.len() > 1;
        for (layer, rid) in self.clip.layers.iter().zip(RIDS) {
            let Some(Some((data, _))) = layer.pictures.get(n) else { continue };
            let (rid, orientation) = (simulcast.then_some(rid), Orientation::default());
            let picture = Picture { source: Source::Camera, rid, data: data.clone(), rtp_time, orientation };
            if peer.send_video(now, &picture).is_ok() {
                self.leaving = Some(n as u16);
            }
        }
    }

    fn sound(&mut self, now: Instant, peer: &mut Peer) {
        let n = self.packet;
        self.packet = (n + 1) % self.clip.packets.len().max(1);
        let (Some(data), Some(level)) = (self.clip.packets.get(n), self.clip.levels.get(n)) else { return };
        if data.is_empty() {
            return;
        }
        let rtp_time = self.packets.rtp_time(self.next_packet, 48_000);
        let packet = Packet { source: Source::Microphone, data: data.clone(), rtp_time, level_dbov: Some(*level) };
        if peer.send_audio(now, &packet).is_ok() {
            let within = self.clip.beeps.iter().filter(|beep| beep.0 == n);
            self.beeps.extend(within.map(|beep| now + Duration::from_nanos(beep.1 * 1_000_000_000 / 48_000)));
        }
    }
}

impl Script for Sender {
    fn next(&self) -> Option<Instant> {
        let packet = self.packets.time(self.next_packet);
        let first = if self.clip.layers.is_empty() { packet } else { packet.min(self.pictures.time(self.next_picture)) };
        self.connected.then_some(first)
    }

    fn play(&mut self, now: Instant, peer: &mut Peer) {
        if self.packets.time(self.next_packet) <= now {
            self.sound(now, peer);
            self.next_packet += 1;
        } else if self.pictures.time(self.next_picture) <= now && !self.clip.layers.is_empty() {
            self.show(now, peer);
            self.next_picture += 1;
        }
    }

    fn event(&mut self, now: Instant, event: Event, _peer: &mut Peer) {
        match event {
            Event::Connected => {
                self.connected = true;
                self.next_picture = self.pictures.next(now);
                self.next_packet = self.packets.next(now);
            }
            Event::KeyframeRequested { .. } => self.keyframe_wanted = true,
            Event::Closed => self.connected = false,
            _ => {}
        }
    }

    fn flushed(&mut self, now: Instant) {
        if let Some(picture) = self.leaving.take() {
            self.sent.push((picture, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clip::{Layer, tests::clip};
    use super::*;
    use crate::client::testing::World;
    use crate::client::{Camera, Config};
    use mixdown_codecs::{Size, VideoCodec};

    fn play(world: &mut World, sender: &mut Sender, ms: u64) {
        for _ in 0..ms {
            while sender.next().is_some_and(|next| next <= world.now) {
                sender.play(world.now, &mut world.peer);
                world.drain_peer();
                sender.flushed(world.now);
            }
            world.run(1);
        }
    }

    #[test]
    fn a_clip_is_replayed_on_an_even_beat_beyond_its_end_and_jumps_to_a_keyframe_when_asked() {
        let config = Config { video_codecs: vec![VideoCodec::Vp8], ..Config::publisher() };
        let mut world = World::connected(config);
        world.keep_units = true;
        let clip = Arc::new(clip(3, 3, VideoCodec::Vp8, Size::new(64, 36)));
        let mut sender = Sender::new(Arc::clone(&clip), world.now);
        sender.event(world.now, Event::Connected, &mut world.peer);
        play(&mut world, &mut sender, 1_000);
        let asked = Event::KeyframeRequested { source: Source::Camera, rid: None };
        sender.event(world.now, asked, &mut world.peer);
        play(&mut world, &mut sender, 2_500);
        world.run(200);
        let numbers: Vec<u16> = sender.sent.iter().map(|sent| sent.0).collect();
        let played = |from: u16, to: u16| (from..to).collect::<Vec<u16>>();
        assert_eq!(numbers[..30], played(0, 30));
        assert_eq!(numbers[30..60], played(60, 90), "it goes on from the keyframe");
        assert_eq!(numbers[60..104], played(0, 44), "and begins again");
        let times: Vec<u64> = world.seen.pictures.iter().map(|picture| picture.3).collect();
        assert!(times.len() > 100 && times.windows(2).all(|pair| pair[1] - pair[0] == 3_000), "{times:?}");
        assert_eq!(world.seen.video_units[30].as_ref(), clip.layers[0].pictures[60].as_ref().unwrap().0.as_ref());
        assert!((170..=176).contains(&world.seen.levels.len()), "{} packets of sound", world.seen.levels.len());
        assert_eq!(sender.beeps.len(), 4, "one a second, at its own moment");
    }

    #[test]
    fn the_layers_of_a_simulcast_camera_go_out_together() {
        let (small, large) = (clip(1, 2, VideoCodec::Vp8, Size::new(64, 36)), clip(1, 2, VideoCodec::Vp8, Size::new(128, 72)));
        let layers: Vec<Layer> = small.layers.into_iter().chain(large.layers).collect();
        let both = Arc::new(Clip::new(layers, 1, 2, false).unwrap());
        assert_eq!(both.layer_for(36).map(|layer| layer.size.height), Some(36));
        assert_eq!(both.layer_for(40).map(|layer| layer.size.height), Some(72));
        assert_eq!(both.layer_for(400).map(|layer| layer.size.height), Some(72));
        let camera = Camera::Simulcast(RIDS[..2].iter().map(|rid| (*rid).to_owned()).collect());
        let mut world = World::connected(Config { video_codecs: vec![VideoCodec::Vp8], camera, ..Config::publisher() });
        let mut sender = Sender::new(both, world.now);
        sender.event(world.now, Event::Connected, &mut world.peer);
        play(&mut world, &mut sender, 500);
        world.run(200);
        let of = |rid: &str| world.seen.pictures.iter().filter(|picture| picture.1.as_deref() == Some(rid)).count();
        assert_eq!((of("q"), of("h")), (15, 15));
        assert_eq!(sender.sent.len(), 15, "one picture in two sizes");
    }
}
