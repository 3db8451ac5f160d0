//! Plays a clip in a loop on a beat and notes when each picture and each beep has left.

use super::clip::{AUDIO_RATE, Clip, FPS};
use crate::cadence::Cadence;
use crate::client::{Event, Packet, Peer, Picture, Script};
use crate::ids::Source;
use crate::media::Orientation;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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
            sent: Vec::with_capacity(1 << 13),
            beeps: Vec::with_capacity(1 << 8),
        }
    }

    fn show(&mut self, now: Instant, peer: &mut Peer) {
        if std::mem::take(&mut self.keyframe_wanted) {
            self.picture = self.clip.keyframe_after(self.picture);
        }
        let n = self.picture;
        self.picture = (n + 1) % self.clip.pictures.len().max(1);
        let Some(Some((data, _))) = self.clip.pictures.get(n) else { return };
        let rtp_time = self.pictures.rtp_time(self.next_picture, 90_000);
        let picture = Picture { source: Source::Camera, rid: None, data: data.clone(), rtp_time, orientation: Orientation::default() };
        if peer.send_video(now, &picture).is_ok() {
            self.leaving = Some(n as u16);
        }
    }

    fn sound(&mut self, now: Instant, peer: &mut Peer) {
        let n = self.packet;
        self.packet = (n + 1) % self.clip.packets.len().max(1);
        let (Some(data), Some(level)) = (self.clip.packets.get(n), self.clip.levels.get(n)) else { return };
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
        self.connected.then(|| self.pictures.time(self.next_picture).min(self.packets.time(self.next_packet)))
    }

    fn play(&mut self, now: Instant, peer: &mut Peer) {
        if self.packets.time(self.next_packet) <= now {
            self.sound(now, peer);
            self.next_packet += 1;
        } else if self.pictures.time(self.next_picture) <= now {
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
