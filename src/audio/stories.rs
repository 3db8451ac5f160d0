//! Stories with real codecs: what senders do to a stream, and how it sounds.

use super::fake::{Dice, tone_level};
use super::playout::{Playout, Stats};
use super::{MS, level, silence};
use crate::ids::Source;
use crate::media::AudioIn;
use crate::runtime::clock;
use mixdown_codecs::{AudioCodec, AudioEncoder, audio};
use std::sync::Arc;

const HZ: f64 = 440.0;

/// One sender with a real encoder, and whoever plays it.
struct Line {
    codec: AudioCodec,
    encoder: Box<dyn AudioEncoder>,
    playout: Playout,
    sequence: u64,
    /// Blocks coded, packets that wait to be sent as one.
    n: u64,
    waiting: Vec<Arc<[u8]>>,
    /// Blocks per packet.
    length: usize,
    wave: Box<dyn FnMut(u64) -> f32>,
    heard: Vec<f32>,
    levels: Vec<f32>,
    dice: Dice,
    loss: f64,
}

impl Line {
    fn new(codec: AudioCodec, wave: impl FnMut(u64) -> f32 + 'static) -> Self {
        Self {
            codec,
            encoder: audio::encoder(codec, 32_000).unwrap(),
            playout: Playout::new(codec, audio::decoder(codec).unwrap()),
            sequence: 10,
            n: 0,
            waiting: Vec::new(),
            length: 1,
            wave: Box::new(wave),
            heard: Vec::new(),
            levels: Vec::new(),
            dice: Dice(3),
            loss: 0.0,
        }
    }

    fn tone() -> Self {
        Self::new(AudioCodec::Opus, |n| (n as f64 * HZ / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.2)
    }

    fn run(&mut self, blocks: u64) -> Stats {
        let before = self.playout.stats();
        self.heard.clear();
        self.levels.clear();
        let mut out = silence();
        for _ in 0..blocks {
            let pcm: Vec<f32> = (0..960).flat_map(|n| [(self.wave)(self.n * 960 + n); 2]).collect();
            let begin = self.n + 1 - self.waiting.len() as u64;
            let coded = self.encoder.encode(&pcm).unwrap();
            self.n += 1;
            self.send(coded, begin);
            let now = self.n as i64 * 960 + 5 * MS;
            self.playout.render(now - now % 960, &mut out);
            self.levels.push(level::dbov(&out[..]));
            self.heard.extend_from_slice(&out[..]);
        }
        self.playout.stats().since(&before)
    }

    /// Sends what was coded, several blocks as one packet where that is so; nothing in a pause.
    fn send(&mut self, coded: Option<Arc<[u8]>>, _: u64) {
        match coded {
            Some(data) => self.waiting.push(data),
            None => {
                let first = self.n - self.waiting.len() as u64 - 1;
                self.flush(first);
                return;
            }
        }
        let joinable = self.waiting.windows(2).all(|pair| pair[0][0] == pair[1][0] && pair[0][0] & 3 == 0);
        if self.waiting.len() >= self.length || !joinable || self.waiting[0][0] & 3 != 0 {
            let first = self.n - self.waiting.len() as u64;
            self.flush(first);
        }
    }

    fn flush(&mut self, first: u64) {
        let packets = std::mem::take(&mut self.waiting);
        let joinable = packets.len() > 1 && packets.iter().all(|packet| packet[0] == packets[0][0] && packet[0] & 3 == 0);
        let (joined, each) = if joinable { (vec![join(&packets)], packets.len() as u64) } else { (packets, 1) };
        for (index, data) in joined.into_iter().enumerate() {
            self.sequence += 1;
            if self.dice.chance(self.loss) {
                continue;
            }
            let time = (first + index as u64 * each) * 960;
            let rtp_time = time / u64::from(48_000 / self.codec.clock_rate());
            let packet = AudioIn {
                source: Source::Microphone,
                codec: self.codec,
                data,
                sequence: self.sequence,
                rtp_time,
                level_dbov: None,
                received: clock::now(),
                waits: std::time::Duration::ZERO,
                evenly: std::time::Duration::ZERO,
            };
            self.playout.insert(packet, self.n as i64 * 960);
        }
    }

    fn loudest_step(&self) -> f32 {
        self.heard.windows(3).step_by(2).map(|w| (w[2] - w[0]).abs()).fold(0.0, f32::max)
    }
}

/// Frames of equal configuration as one packet (RFC 6716 §3.2.5, code 3, variable).
fn join(packets: &[Arc<[u8]>]) -> Arc<[u8]> {
    let mut joined = vec![packets[0][0] | 3, 0x80 | packets.len() as u8];
    for packet in &packets[..packets.len() - 1] {
        let length = packet.len() - 1;
        if length >= 252 {
            joined.push(252 + (length & 3) as u8);
            joined.push(((length - 252 - (length & 3)) / 4) as u8);
        } else {
            joined.push(length as u8);
        }
    }
    packets.iter().for_each(|packet| joined.extend_from_slice(&packet[1..]));
    joined.into()
}

/// Steepest step of the tone, with what a codec adds.
fn natural() -> f32 {
    0.2 * HZ as f32 * std::f32::consts::TAU / 48_000.0 * 1.6
}

#[test]
fn packets_of_60_and_120_ms_and_changes_between_them_play_whole() {
    let mut line = Line::tone();
    for (length, settle) in [(3, 100), (6, 200), (1, 200), (2, 100), (6, 200)] {
        line.length = length;
        line.run(settle);
        let stats = line.run(300);
        assert_eq!(stats.concealed_samples + stats.recovered_samples + stats.silent_samples, 0, "{length} blocks: {stats:?}");
        assert!(line.levels.iter().all(|level| (level + 17.0).abs() < 1.5), "{length} blocks: {:?}", line.levels);
        assert!(line.loudest_step() < natural(), "{length} blocks: {}", line.loudest_step());
    }
}

#[test]
fn a_pause_is_silent_and_speech_before_and_after_it_whole() {
    let mut line = Line::new(AudioCodec::Opus, |n| {
        let talking = n / 48_000 % 4 < 2;
        if talking { (n as f64 * HZ / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.2 } else { 0.0 }
    });
    line.run(50);
    line.run(200 * 5);
    let (mut loud, mut quiet) = (0, 0);
    for (n, level) in line.levels.iter().enumerate() {
        match (n + 50) % 200 {
            10..90 => loud += usize::from((level + 20.0).abs() < 4.0),
            120..195 => quiet += usize::from(*level < -60.0),
            _ => {}
        }
    }
    assert!(loud >= 5 * 80 - 10, "{loud} of 400 blocks of speech");
    assert!(quiet >= 5 * 75 - 10, "{quiet} of 375 blocks of silence");
    assert!(line.loudest_step() < natural() + 0.2 / 60.0, "{}", line.loudest_step());
}

#[test]
fn bursts_of_loss_leave_no_click_and_the_voice_is_back_at_once() {
    for codec in [AudioCodec::Opus, AudioCodec::Pcmu] {
        let mut line = Line::new(codec, |n| (n as f64 * HZ / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 0.2);
        line.encoder.set_loss(0.2);
        line.run(150);
        for burst in [1, 2, 3, 5, 10] {
            line.loss = 1.0;
            let stats = line.run(burst);
            line.loss = 0.0;
            let after = line.run(25);
            let gone = (stats.concealed_samples + after.concealed_samples + after.recovered_samples) as i64;
            assert!(gone <= (burst as i64 * 20 + 45) * MS, "{codec:?}, {burst} packets: {} ms", gone / MS);
            // −30 dBFS beyond what the tone itself does.
            assert!(line.loudest_step() < natural() + 0.032, "{codec:?}, {burst} packets: {}", line.loudest_step());
            let back = &line.levels[10..];
            assert!(back.iter().all(|level| (level + 17.0).abs() < 4.0), "{codec:?}, {burst} packets: {back:?}");
        }
    }
}

#[test]
fn a_fifth_lost_at_random_is_mostly_rebuilt_and_sounds_on() {
    let mut line = Line::new(AudioCodec::Opus, {
        let mut dice = Dice(8);
        let mut low = 0.0;
        move |n| {
            // A voice of a kind: noise and a buzz, in words.
            low += (dice.roll() as f32 - 0.5 - low) * 0.2;
            let buzz = (n as f64 * 150.0 / 48_000.0).fract() as f32 - 0.5;
            if n / 9_600 % 5 < 4 { buzz * 0.2 + low * 0.1 } else { 0.0 }
        }
    });
    line.encoder.set_loss(0.2);
    line.run(250);
    line.loss = 0.2;
    let stats = line.run(1000);
    let share = |samples: u64| samples as f64 / (1000.0 * 960.0);
    assert!(share(stats.concealed_samples + stats.recovered_samples) < 0.25, "{stats:?}");
    assert!(share(stats.silent_samples) < 0.005, "{stats:?}");
    let words = line.levels.iter().enumerate().filter(|(n, _)| (n + 250) % 50 % 10 < 7);
    let (mut heard, mut all) = (0, 0);
    words.for_each(|(_, level)| {
        heard += usize::from(*level > -45.0);
        all += 1;
    });
    assert!(heard * 100 > all * 80, "{heard} of {all} blocks");
}

#[test]
fn clipped_and_offset_sound_plays_and_leaves_no_offset() {
    let mut line = Line::new(AudioCodec::Pcmu, |n| {
        let wave = (n as f64 * HZ / 48_000.0 * std::f64::consts::TAU).sin() as f32 * 3.0;
        (wave + 0.4).clamp(-1.0, 1.0)
    });
    line.run(200);
    line.run(50);
    let mean = line.heard.iter().sum::<f32>() / line.heard.len() as f32;
    assert!(mean.abs() < 0.02, "{mean}");
    assert!(line.heard.iter().all(|sample| sample.is_finite() && sample.abs() < 2.0));
    assert!(tone_level(&line.heard, HZ) > 0.8);
}

#[test]
fn changes_of_band_and_channels_make_no_gap() {
    // Loudness, bandwidth and likeness of the sides drive the encoder through its modes.
    let mut dice = Dice(11);
    let mut line = Line::new(AudioCodec::Opus, move |n| {
        let t = n as f64 / 48_000.0;
        let tone = |hz: f64| (t * hz * std::f64::consts::TAU).sin() as f32;
        match n / 24_000 % 4 {
            0 => tone(200.0) * 0.2,
            1 => tone(5_000.0) * 0.1,
            2 => (dice.roll() as f32 - 0.5) * 0.2,
            _ => (1..8).map(|k| tone(180.0 * f64::from(k)) / k as f32).sum::<f32>() * 0.1,
        }
    });
    for bitrate in [16_000, 64_000, 12_000, 24_000, 96_000] {
        line.encoder.set_bitrate(bitrate);
        line.run(50);
        let stats = line.run(100);
        assert_eq!(stats.concealed_samples + stats.silent_samples + stats.malformed, 0, "{bitrate}: {stats:?}");
        assert!(line.levels.iter().filter(|level| **level > -50.0).count() > 90, "{bitrate}");
    }
}
