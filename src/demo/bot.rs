//! A bot: a person, a voice, two encoders and the sense to follow what the connection says. Pure: a
//! [`Script`] on a beat of 30 pictures and 50 audio packets per second, counted from one epoch that all
//! bots of a room share, so that they take turns.

use super::marker::{self, Mark};
use super::person::{Articulation, Person};
use super::schedule::Schedule;
use super::voice::Voice;
use crate::cadence::Cadence;
use crate::client::{Event, Packet, Peer, Picture, Script};
use crate::ids::Source;
use crate::media::Orientation;
use mixdown_codecs::{AudioEncoder, EncoderConfig, I420Frame, Intra, VideoCodec, VideoEncoder, audio, video};
use std::time::{Duration, Instant};

const FPS: u32 = 30;
const AUDIO_RATE: u32 = 50;
const VIDEO_BPS: u32 = 600_000;
const LEAST_VIDEO_BPS: u32 = 100_000;
const AUDIO_BPS: u32 = 32_000;
/// Keyframes on request come no faster.
const BETWEEN_KEYFRAMES: Duration = Duration::from_millis(300);
/// What is later than this is left out.
const LATENESS: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub number: u8,
    /// Bots that take turns, this one included.
    pub people: u8,
    pub seed: u64,
    /// Draws the machine-readable marker over the face.
    pub marker: bool,
    pub video: bool,
    pub audio: bool,
}

pub struct Bot {
    settings: Settings,
    person: Person,
    voice: Voice,
    schedule: Schedule,
    pictures: Cadence,
    packets: Cadence,
    next_picture: u64,
    next_packet: u64,
    frame: I420Frame,
    pcm: Vec<f32>,
    articulation: Articulation,
    video: Option<Box<dyn VideoEncoder>>,
    sound: Option<Box<dyn AudioEncoder>>,
    bitrate: u32,
    keyframe_wanted: bool,
    last_keyframe: Option<Instant>,
    connected: bool,
    /// Pictures that an encoder or the connection refused.
    pub refused: u64,
}

impl Bot {
    pub fn new(settings: Settings, epoch: Instant) -> Self {
        Self {
            settings,
            person: Person::new(settings.number),
            voice: Voice::new(settings.number),
            schedule: Schedule::new(settings.seed, usize::from(settings.people)),
            pictures: Cadence::new(epoch, FPS),
            packets: Cadence::new(epoch, AUDIO_RATE),
            next_picture: 0,
            next_packet: 0,
            frame: I420Frame::black(Person::SIZE),
            pcm: Vec::with_capacity(2 * mixdown_codecs::FRAME_SAMPLES),
            articulation: Articulation::default(),
            video: None,
            sound: None,
            bitrate: VIDEO_BPS,
            keyframe_wanted: false,
            last_keyframe: None,
            connected: false,
            refused: 0,
        }
    }

    pub fn name(&self) -> &'static str {
        self.person.look().name
    }

    /// The codec that bot `number` prefers: every third speaks VP8.
    pub fn codecs(number: u8) -> Vec<VideoCodec> {
        if number % 3 == 2 { vec![VideoCodec::Vp8, VideoCodec::H264] } else { vec![VideoCodec::H264, VideoCodec::Vp8] }
    }

    fn start(&mut self, now: Instant, peer: &mut Peer) {
        self.connected = true;
        self.next_picture = self.pictures.next(now);
        self.next_packet = self.packets.next(now);
        self.keyframe_wanted = true;
        let settings = EncoderConfig { size: Person::SIZE, fps: FPS, bitrate_bps: self.bitrate, screen: false, layered: false };
        self.video = self.settings.video.then(|| peer.video_codec()).flatten().and_then(|codec| video::encoder(codec, settings)?.ok());
        let codec = self.settings.audio.then(|| peer.audio_codec()).flatten();
        self.sound = codec.and_then(|codec| audio::encoder(codec, AUDIO_BPS).ok());
    }

    fn speak(&mut self, now: Instant, peer: &mut Peer) {
        let at = self.packets.time(self.next_packet).saturating_duration_since(self.packets.epoch());
        // Whoever is alone has the floor, whatever their number.
        let person = self.settings.number % self.settings.people.max(1);
        let speaking = self.schedule.is_speaking(usize::from(person), at);
        self.pcm.clear();
        self.articulation = self.voice.frame(speaking, &mut self.pcm);
        let (Some(sound), Some(codec)) = (&mut self.sound, peer.audio_codec()) else { return };
        let Ok(Some(data)) = sound.encode(&self.pcm) else { return };
        let rtp_time = self.packets.rtp_time(self.next_packet, codec.clock_rate());
        let packet = Packet { source: Source::Microphone, data, rtp_time, level_dbov: Some(self.voice.level_dbov()) };
        if peer.send_audio(now, &packet).is_err() {
            self.refused += 1;
        }
    }

    fn show(&mut self, now: Instant, peer: &mut Peer) {
        let Some(encoder) = &mut self.video else { return };
        let since = self.pictures.time(self.next_picture).saturating_duration_since(self.pictures.epoch());
        self.person.draw(since.as_secs_f64(), self.articulation, &mut self.frame);
        if self.settings.marker {
            marker::write(&mut self.frame, Mark { person: self.settings.number, frame: self.next_picture as u16 });
        }
        let rested = self.last_keyframe.is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_KEYFRAMES);
        let intra = if self.keyframe_wanted && rested { Intra::Force } else { Intra::Auto };
        let Ok(coded) = encoder.encode(&self.frame, since.as_millis() as u64, intra) else {
            self.refused += 1;
            return;
        };
        let Some(coded) = coded else { return };
        if coded.keyframe {
            self.keyframe_wanted = false;
            self.last_keyframe = Some(now);
        }
        let rtp_time = self.pictures.rtp_time(self.next_picture, 90_000);
        let picture = Picture { source: Source::Camera, rid: None, data: coded.data, rtp_time, orientation: Orientation::default() };
        if peer.send_video(now, &picture).is_err() {
            self.refused += 1;
        }
    }

    /// Down at once, up in steps that are worth it.
    fn follow(&mut self, estimate: u32) {
        let wanted = (estimate / 10 * 9).saturating_sub(AUDIO_BPS + 16_000).clamp(LEAST_VIDEO_BPS, VIDEO_BPS);
        if wanted >= self.bitrate && wanted < self.bitrate / 10 * 11 && wanted != VIDEO_BPS {
            return;
        }
        if let Some(encoder) = &mut self.video
            && wanted != self.bitrate
            && encoder.set_rate(wanted, FPS).is_ok()
        {
            self.bitrate = wanted;
        }
    }
}

impl Script for Bot {
    fn next(&self) -> Option<Instant> {
        self.connected.then(|| self.pictures.time(self.next_picture).min(self.packets.time(self.next_packet)))
    }

    fn play(&mut self, now: Instant, peer: &mut Peer) {
        if self.packets.time(self.next_packet) <= now {
            if self.packets.time(self.next_packet) + LATENESS < now {
                self.next_packet = self.packets.next(now);
            }
            self.speak(now, peer);
            self.next_packet += 1;
        }
        if self.pictures.time(self.next_picture) <= now {
            // Only the picture of this moment is worth drawing.
            self.next_picture = self.next_picture.max(self.pictures.next(now).saturating_sub(1));
            self.show(now, peer);
            self.next_picture += 1;
        }
    }

    fn event(&mut self, now: Instant, event: Event, peer: &mut Peer) {
        match event {
            Event::Connected => self.start(now, peer),
            Event::KeyframeRequested { source: Source::Camera, .. } => self.keyframe_wanted = true,
            Event::Estimate(bps) => self.follow(bps),
            Event::Closed => self.connected = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Config, testing::World};
    use mixdown_codecs::{AudioCodec, FramePool, gate::Limits};

    const QUIET: Settings = Settings { number: 0, people: 1, seed: 1, marker: true, video: true, audio: true };

    /// A bot in a world of its own, for so many milliseconds.
    fn live(settings: Settings, milliseconds: u64, mut each: impl FnMut(&mut World, &mut Bot, u64)) -> World {
        let config = Config { video_codecs: Bot::codecs(settings.number), ..Config::default() };
        let mut world = World::connected(config);
        world.keep_units = true;
        let mut bot = Bot::new(settings, world.now);
        bot.event(world.now, Event::Connected, &mut world.peer);
        for n in 0..milliseconds {
            each(&mut world, &mut bot, n);
            while bot.next().is_some_and(|next| next <= world.now) {
                bot.play(world.now, &mut world.peer);
            }
            world.run(1);
        }
        assert_eq!(bot.refused, 0);
        world.run(200);
        world
    }

    #[test]
    fn what_a_bot_sends_can_be_decoded_and_carries_its_marker_in_both_codecs() {
        for number in [0, 2] {
            let world = live(Settings { number, ..QUIET }, 1_000, |_, _, _| {});
            let codec = Bot::codecs(number)[0];
            let (mut decoder, mut pool) = (video::decoder(codec, Limits::default()).unwrap().unwrap(), FramePool::default());
            let mut frames = Vec::new();
            for unit in &world.seen.video_units {
                let picture = decoder.decode(unit, &mut pool).unwrap().unwrap();
                assert_eq!(picture.size(), Person::SIZE);
                let mark = marker::read(&picture, marker::Area::whole(&picture)).expect("the marker survives coding");
                assert_eq!(mark.person, number);
                frames.push(mark.frame);
            }
            assert!(frames.len() >= 28, "{} pictures in a second", frames.len());
            assert!(frames.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }
    }

    #[test]
    fn whoever_is_alone_speaks() {
        for number in [0, 3] {
            let world = live(Settings { number, video: false, ..QUIET }, 3_000, |_, _, _| {});
            assert!(world.seen.levels.iter().flatten().any(|level| *level > -40), "{number}");
        }
    }

    #[test]
    fn a_bot_speaks_opus_at_fifty_packets_a_second_with_levels() {
        let world = live(Settings { video: false, ..QUIET }, 3_000, |_, _, _| {});
        let packets = world.seen.audio_units.len();
        assert!(packets <= 151);
        let mut decoder = audio::decoder(AudioCodec::Opus).unwrap();
        let mut sound = Vec::new();
        world.seen.audio_units.iter().for_each(|unit| drop(decoder.decode(unit, &mut sound)));
        assert!(sound.iter().any(|sample| sample.abs() > 0.02), "somebody talks");
        assert!(world.seen.levels.iter().flatten().any(|level| *level > -40));
        assert!(world.seen.pictures.is_empty());
    }

    #[test]
    fn a_keyframe_request_is_answered_within_a_picture_and_a_storm_of_them_is_not() {
        let world = live(QUIET, 2_000, |world, bot, n| {
            if (500..1_000).contains(&n) {
                bot.event(world.now, Event::KeyframeRequested { source: Source::Camera, rid: None }, &mut world.peer);
            }
        });
        let keyframes = world.seen.video_units.iter().filter(|unit| is_idr(unit)).count();
        assert!((3..=4).contains(&keyframes), "{keyframes} keyframes");
    }

    fn is_idr(unit: &[u8]) -> bool {
        unit.windows(4).any(|window| window[..3] == [0, 0, 1] && window[3] & 31 == 5)
    }

    #[test]
    fn a_bot_sends_less_when_the_estimate_falls_and_more_when_it_recovers() {
        let mut bytes = Vec::new();
        live(QUIET, 6_000, |world, bot, n| {
            match n {
                2_000 => bot.event(world.now, Event::Estimate(200_000), &mut world.peer),
                4_000 => bot.event(world.now, Event::Estimate(2_000_000), &mut world.peer),
                _ => {}
            }
            if n % 2_000 == 1_999 {
                bytes.push(world.seen.video_units.drain(..).map(|unit| unit.len()).sum::<usize>());
            }
        });
        assert!(bytes[1] * 2 < bytes[0], "{bytes:?}");
        assert!(bytes[2] > bytes[1], "{bytes:?}");
    }

    #[test]
    fn a_bot_that_was_held_up_goes_on_with_the_present() {
        let config = Config::default();
        let mut world = World::connected(config);
        let mut bot = Bot::new(QUIET, world.now);
        bot.event(world.now, Event::Connected, &mut world.peer);
        world.run(5_000);
        let mut plays = 0;
        while bot.next().is_some_and(|next| next <= world.now) {
            bot.play(world.now, &mut world.peer);
            plays += 1;
        }
        assert!(plays <= 3, "{plays} beats to catch up");
    }
}
