//! Stand-ins for tests: a codec whose packets name a tone, and a sender behind a network with seeded faults.

use super::MS;
use crate::ids::Source;
use crate::media::AudioIn;
use mixdown_codecs::{AudioCodec, AudioDecodeError, AudioDecoder, AudioEncodeError, AudioEncoder};
use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Instant;

/// A packet: media time, samples, frequency in Hz, amplitude; padded so that it is no pause.
pub fn tone_packet(time: i64, samples: usize, hz: f32, amplitude: f32) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend(time.to_le_bytes());
    bytes.extend((samples as u32).to_le_bytes());
    bytes.extend(hz.to_le_bytes());
    bytes.extend(amplitude.to_le_bytes());
    bytes.into()
}

/// One byte: "nothing follows for a while".
pub fn pause_packet() -> Arc<[u8]> {
    vec![0xF8].into()
}

/// Decodes [`tone_packet`]; conceals by going on with the tone, recovers by computing backwards.
#[derive(Default)]
pub struct Decoder {
    time: i64,
    hz: f32,
    amplitude: f32,
    loudness: f32,
}

impl Decoder {
    fn play(&mut self, samples: usize, out: &mut Vec<f32>) -> usize {
        for n in 0..samples as i64 {
            let phase = self.time.wrapping_add(n) as f64 * f64::from(self.hz) / 48_000.0;
            self.loudness += (self.amplitude - self.loudness).clamp(-0.002, 0.002);
            let value = (phase.fract() * TAU).sin() as f32 * self.loudness;
            out.extend([value, value]);
        }
        self.time = self.time.wrapping_add(samples as i64);
        samples
    }
}

fn read<const N: usize>(packet: &[u8], at: usize) -> Result<[u8; N], AudioDecodeError> {
    packet.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or(AudioDecodeError::Malformed("short"))
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        if packet.len() <= 2 {
            self.amplitude = 0.0;
            return Ok(self.play(960, out));
        }
        let samples = self.duration(packet)?;
        self.time = i64::from_le_bytes(read(packet, 0)?);
        self.hz = f32::from_le_bytes(read(packet, 12)?);
        self.amplitude = f32::from_le_bytes(read(packet, 16)?);
        Ok(self.play(samples, out))
    }

    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        if next.len() > 2 {
            self.time = i64::from_le_bytes(read(next, 0)?).wrapping_sub(samples as i64);
        }
        Ok(self.play(samples, out))
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<usize, AudioDecodeError> {
        assert!(samples.is_multiple_of(120), "concealment comes in multiples of 2.5 ms");
        Ok(self.play(samples, out))
    }

    fn duration(&self, packet: &[u8]) -> Result<usize, AudioDecodeError> {
        if packet.len() <= 2 { Ok(960) } else { Ok(u32::from_le_bytes(read(packet, 8)?) as usize) }
    }
}

/// Sends samples as they are (i16, left then right), so that tests hear what listeners hear.
#[derive(Default)]
pub struct Encoder;

impl AudioEncoder for Encoder {
    fn encode(&mut self, pcm: &[f32]) -> Result<Option<Arc<[u8]>>, AudioEncodeError> {
        assert_eq!(pcm.len(), 1920);
        Ok(Some(pcm.iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect()))
    }

    fn set_loss(&mut self, _: f32) {}
    fn set_bitrate(&mut self, _: u32) {}
    fn restart(&mut self) {}
}

/// What [`Encoder`] sent.
pub fn heard(packet: &[u8]) -> Vec<f32> {
    packet.chunks_exact(2).map(|bytes| f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_767.0).collect()
}

/// Amplitude of `hz` in the left channel of interleaved samples (Goertzel).
pub fn tone_level(pcm: &[f32], hz: f64) -> f64 {
    let frames = pcm.len() / 2;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, frame) in pcm.chunks_exact(2).enumerate() {
        let phase = n as f64 * hz / 48_000.0 * TAU;
        let window = 1.0 - (n as f64 / frames as f64 * TAU).cos();
        re += f64::from(frame[0]) * phase.cos() * window;
        im += f64::from(frame[0]) * phase.sin() * window;
    }
    2.0 * (re * re + im * im).sqrt() / frames as f64
}

/// Seeded numbers.
pub struct Dice(pub u64);

impl Dice {
    /// 0–1.
    pub fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.roll() < share
    }
}

/// What a network does to a sender's packets.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub loss: f64,
    pub jitter: i64,
    pub reorder: f64,
    pub duplicate: f64,
}

/// A sender of one tone and its network, by the room's clock in samples.
pub struct Sender {
    pub hz: f32,
    pub amplitude: f32,
    pub samples: i64,
    /// The sender's clock runs this much slower (+) or faster than the room's.
    pub drift: f64,
    pub faults: Faults,
    pub sequence: u64,
    /// Media time of the first packet; its clock rate is 48 kHz.
    pub base: i64,
    pub level_dbov: Option<i8>,
    pub codec: AudioCodec,
    /// How long a packet is on its way at least.
    pub way: i64,
    /// Media sent so far.
    pub sent: i64,
    pub dice: Dice,
    pub payload: Arc<[u8]>,
    /// Sends nothing, though media time goes on.
    pub pausing: bool,
    /// The next packet announces a pause.
    pub announcing: bool,
    flying: Vec<(i64, AudioIn)>,
}

impl Sender {
    pub fn new(hz: f32, seed: u64) -> Self {
        Self {
            hz,
            amplitude: 0.3,
            samples: 960,
            drift: 0.0,
            faults: Faults::default(),
            sequence: 65_500,
            base: (1 << 32) - 90_000,
            level_dbov: None,
            codec: AudioCodec::Opus,
            way: 10 * MS,
            sent: 0,
            dice: Dice(seed),
            payload: Arc::new([0; 100]),
            pausing: false,
            announcing: false,
            flying: Vec::new(),
        }
    }

    /// Hands over everything that arrives before `now`: (arrival, packet).
    pub fn until(&mut self, now: i64, epoch: Instant) -> Vec<(i64, AudioIn)> {
        loop {
            let leaves = ((self.sent + self.samples) as f64 * (1.0 + self.drift)) as i64 + self.way;
            if leaves >= now {
                break;
            }
            self.send(leaves, epoch);
        }
        let (mut arrived, flying): (Vec<_>, Vec<_>) = self.flying.drain(..).partition(|(arrival, _)| *arrival < now);
        self.flying = flying;
        arrived.sort_by_key(|(arrival, _)| *arrival);
        arrived
    }

    /// Like [`Self::until`] for a sender that always sends: (arrival, media time, number).
    pub fn headers(&mut self, now: i64) -> Vec<(i64, i64, u64)> {
        let mut arrived = Vec::new();
        loop {
            let leaves = ((self.sent + self.samples) as f64 * (1.0 + self.drift)) as i64 + self.way;
            let arrival = leaves + (self.dice.roll() * self.faults.jitter as f64) as i64;
            if leaves >= now {
                return arrived;
            }
            self.sequence += 1;
            arrived.push((arrival, self.base + self.sent, self.sequence));
            self.sent += self.samples;
        }
    }

    fn send(&mut self, leaves: i64, epoch: Instant) {
        let time = self.base.wrapping_add(self.sent);
        self.sent += self.samples;
        if self.pausing {
            return;
        }
        self.sequence = self.sequence.wrapping_add(1);
        if self.dice.chance(self.faults.loss) {
            return;
        }
        let mut arrival = leaves + (self.dice.roll() * self.faults.jitter as f64) as i64;
        if self.dice.chance(self.faults.reorder) {
            arrival += 5 * self.samples + MS;
        }
        let data = match std::mem::take(&mut self.announcing) {
            true => pause_packet(),
            false => tone_packet(time, self.samples as usize, self.hz, self.amplitude),
        };
        self.pausing = data.len() == 1;
        let copies = 1 + usize::from(self.dice.chance(self.faults.duplicate));
        for copy in 0..copies {
            let arrival = arrival + copy as i64 * 7 * MS;
            self.flying.push((arrival, self.packet(data.clone(), time, arrival, epoch)));
        }
    }

    fn packet(&self, data: Arc<[u8]>, time: i64, arrival: i64, epoch: Instant) -> AudioIn {
        AudioIn {
            source: Source::Microphone,
            codec: self.codec,
            data,
            sequence: self.sequence,
            rtp_time: time as u64 / u64::from(48_000 / self.codec.clock_rate()),
            level_dbov: self.level_dbov,
            received: epoch + std::time::Duration::from_nanos(arrival.max(0) as u64 * 1_000_000 / 48),
            waits: std::time::Duration::ZERO,
            evenly: std::time::Duration::ZERO,
        }
    }
}
