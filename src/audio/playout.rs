//! One sender's packets as steady blocks of 20 ms.
//!
//! [`Playout::insert`] whenever a packet comes, then every 20 ms either [`Playout::render`] or, where nobody wants to
//! hear it, [`Playout::skip`]. Follows the sender's clock and the jitter buffer's target by playing up to 0.1 % faster
//! or slower until they are met, and then as it is until they are 2 ms off; where the target has moved further, by taking
//! out or putting in whole periods of the voice's pitch and by leaving out or doubling quiet packets.
//! Where two pieces of sound do not belong together the step between them is smoothed, so that nothing clicks.
//! Allocates nothing once its buffers have grown to the sender's packet size.
//!
//! `AudioIn → Jitter → AudioDecoder → fifo → Resampler → block`

use super::jitter::{Inserted, Jitter, LONGEST_CONCEALMENT, Packet, Step};
use super::offset::{Offset, sanitise};
use super::resample::Resampler;
use super::{BLOCK, MS, Pcm, level, stretch};
use crate::media::AudioIn;
use mixdown_codecs::{AudioCodec, AudioDecodeError, AudioDecoder};
use std::time::Duration;

/// 120 ms: no packet is longer.
const LONGEST_PACKET: usize = 5_760;
/// Timestamps beyond this (a thousand years) are nonsense.
const LATEST: i64 = 1 << 57;
/// Concealment keeps its loudness this long before it fades.
const FADE_AFTER: i64 = 40 * MS;
/// Frames over which a seam is smoothed and a faded voice comes back.
const SEAM: usize = 120;
const RETURN: usize = 240;
/// Packets below this may be left out or doubled.
const QUIET_DBOV: f32 = -55.0;
/// Deviation from the target that is left to the resampler, and that beyond which the wait is stretched more often.
const TOLERANCE: i64 = 10 * MS;
const HASTE: i64 = 40 * MS;
/// Sound between two stretches.
const SELDOM: i64 = 60 * MS;
const OFTEN: i64 = 20 * MS;
/// Steps in one block: 20 ms of packets of 2.5 ms are 8.
const MOST_STEPS: usize = 64;

/// Greatest deviation from the sender's speed, and the least one.
const DRIFT_RATE: f64 = 0.001;
const LEAST_RATE: f64 = 0.000_2;
/// A wait that is this far from its target is steered towards it, until it is that near: meanwhile sound passes as it is, at no cost.
const FAR: i64 = 2 * MS;
const NEAR: i64 = MS / 4;

/// What happened, in samples per channel at 48 kHz and in packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub decoded_samples: u64,
    pub recovered_samples: u64,
    pub concealed_samples: u64,
    pub comfort_samples: u64,
    pub silent_samples: u64,
    /// Taken out or put in to change the wait.
    pub stretched_samples: u64,
    pub packets: u64,
    pub late: u64,
    pub duplicate: u64,
    pub malformed: u64,
    pub restarts: u64,
    pub lost: u64,
    pub trimmed: u64,
}

impl Stats {
    /// What happened after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            decoded_samples: self.decoded_samples - before.decoded_samples,
            recovered_samples: self.recovered_samples - before.recovered_samples,
            concealed_samples: self.concealed_samples - before.concealed_samples,
            comfort_samples: self.comfort_samples - before.comfort_samples,
            silent_samples: self.silent_samples - before.silent_samples,
            stretched_samples: self.stretched_samples - before.stretched_samples,
            packets: self.packets - before.packets,
            late: self.late - before.late,
            duplicate: self.duplicate - before.duplicate,
            malformed: self.malformed - before.malformed,
            restarts: self.restarts - before.restarts,
            lost: self.lost - before.lost,
            trimmed: self.trimmed - before.trimmed,
        }
    }
}

/// One sender's sound.
pub struct Playout {
    codec: AudioCodec,
    decoder: Box<dyn AudioDecoder>,
    broken: bool,
    jitter: Jitter,
    /// Decoded stereo: [`Resampler::HISTORY`] frames that have been played, then what comes.
    fifo: Vec<f32>,
    resampler: Resampler,
    /// The wait is being brought to its target.
    steers: bool,
    offset: Offset,
    gain: f32,
    concealed: i64,
    seam: bool,
    /// Samples since sound was stretched last.
    unaltered: i64,
    /// Header level of the packet decoded last, and whether the block was decoded throughout.
    header: Option<i8>,
    whole: bool,
    stats: Stats,
}

impl Playout {
    pub fn new(codec: AudioCodec, decoder: Box<dyn AudioDecoder>) -> Self {
        let mut fifo = Vec::with_capacity((3 * LONGEST_PACKET + BLOCK) * 2);
        fifo.resize(Resampler::HISTORY * 2, 0.0);
        Self {
            codec,
            decoder,
            broken: false,
            jitter: Jitter::new(),
            fifo,
            resampler: Resampler::new(),
            steers: false,
            offset: Offset::default(),
            gain: 0.0,
            concealed: 0,
            seam: true,
            unaltered: 0,
            header: None,
            whole: false,
            stats: Stats::default(),
        }
    }

    pub fn codec(&self) -> AudioCodec {
        self.codec
    }

    /// Takes a packet that arrived at `arrival` (samples since the epoch).
    pub fn insert(&mut self, packet: AudioIn, arrival: i64) {
        self.stats.packets += 1;
        self.jitter.wait_for_picture(samples(packet.waits), samples(packet.evenly));
        let inserted = self.packet(packet).map(|packet| self.jitter.insert(packet, arrival));
        match inserted {
            None => self.stats.malformed += 1,
            Some(Inserted::Late) => self.stats.late += 1,
            Some(Inserted::Duplicate) => self.stats.duplicate += 1,
            Some(Inserted::Restarted) => self.stats.restarts += 1,
            Some(Inserted::Stored | Inserted::Held) => {}
        }
    }

    fn packet(&self, packet: AudioIn) -> Option<Packet> {
        let duration = self.decoder.duration(&packet.data).ok().filter(|duration| (1..=LONGEST_PACKET).contains(duration))?;
        let scale = i64::from(48_000 / self.codec.clock_rate());
        let time = i64::try_from(packet.rtp_time).ok().filter(|time| *time < LATEST)? * scale;
        Some(Packet { sequence: packet.sequence, time, duration: duration as i64, level_dbov: packet.level_dbov, data: packet.data })
    }

    /// Writes the block that begins at `now` (samples since the epoch) and returns its level in dBov.
    pub fn render(&mut self, now: i64, out: &mut Pcm) -> f32 {
        let step = self.steer(now);
        let needs = self.resampler.needs(step);
        self.whole = true;
        for _ in 0..MOST_STEPS {
            let Some(missing) = needs.checked_sub(self.fifo.len() / 2).filter(|missing| *missing > 0) else { break };
            self.extend(now, missing as i64);
        }
        if self.fifo.len() < needs * 2 {
            self.fifo.resize(needs * 2, 0.0);
        }
        let moved = self.resampler.process(&self.fifo, step, out);
        self.fifo.drain(..moved * 2);
        self.offset.process(out);
        level::dbov(out)
    }

    /// Lets a block pass unheard. Sound begins anew at the next [`Self::render`].
    pub fn skip(&mut self, now: i64) {
        self.jitter.skip(now + (BLOCK / 2) as i64);
        self.fifo.truncate(Resampler::HISTORY * 2);
        self.fifo.fill(0.0);
        self.resampler.reset();
        self.gain = 1.0;
        self.concealed = 0;
        self.seam = true;
        self.whole = false;
    }

    /// How much later than possible sound is played (samples), and what it should be; `None` while silent.
    pub fn wait(&self, now: i64) -> Option<(i64, i64)> {
        self.jitter.is_playing().then(|| (self.jitter.wait(now, self.queued()), self.jitter.target()))
    }

    /// RFC 6464 level that belongs to the block rendered last, where the sender said it and nothing was concealed.
    pub fn header_level(&self) -> Option<i8> {
        self.header.filter(|_| self.whole)
    }

    /// The decoder has failed: nothing but silence comes until it is replaced.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn replace_decoder(&mut self, decoder: Box<dyn AudioDecoder>) {
        self.decoder = decoder;
        self.broken = false;
        self.seam = true;
    }

    pub fn stats(&self) -> Stats {
        Stats { lost: self.jitter.lost(), trimmed: self.jitter.trimmed(), ..self.stats }
    }

    fn queued(&self) -> i64 {
        (self.fifo.len() / 2) as i64 - Resampler::HISTORY as i64 - self.resampler.fraction().round() as i64
    }

    /// The speed that brings the wait to its target, or past a sample's fraction to 1.
    fn steer(&mut self, now: i64) -> f64 {
        let wait = self.wait(now).filter(|(wait, target)| (wait - target).abs() > if self.steers { NEAR } else { FAR });
        self.steers = wait.is_some();
        wait.map_or_else(|| self.resampler.landing(), |(wait, target)| 1.0 + drift_rate(wait, target))
    }

    /// Appends the next stretch of sound; at least one frame.
    fn extend(&mut self, now: i64, missing: i64) {
        let start = self.fifo.len();
        match self.jitter.step(now, self.queued(), missing) {
            Step::Decode { packet, skip, cut } => {
                self.seam |= cut;
                self.decode(now, packet, skip);
            }
            Step::Recover { next, samples } => {
                let done = self.decoder.recover(&next, frames(samples), &mut self.fifo);
                self.settle(start, samples, done);
                self.stats.recovered_samples += samples as u64;
                self.finish(start, 1.0, RETURN);
            }
            Step::Conceal { samples, lost } => {
                self.whole = false;
                self.conceal(samples);
                let counter = if lost { &mut self.stats.concealed_samples } else { &mut self.stats.comfort_samples };
                *counter += samples as u64;
            }
            Step::Comfort { samples } => {
                self.whole = false;
                let done = self.decoder.conceal(frames(samples), &mut self.fifo);
                self.settle(start, samples, done);
                self.stats.comfort_samples += samples as u64;
                self.finish(start, 1.0, RETURN);
            }
            Step::Silence { samples } => {
                self.whole = false;
                self.stats.silent_samples += samples as u64;
                self.settle(start, samples, Ok(0));
                self.seam = true;
                self.finish(start, 1.0, 0);
                self.seam = true;
            }
        }
    }

    fn decode(&mut self, now: i64, packet: Packet, skip: i64) {
        let start = self.fifo.len();
        let done = self.decoder.decode(&packet.data, &mut self.fifo);
        if let Err(error) = &done {
            self.note(error);
            self.fifo.truncate(start);
            self.whole = false;
            self.conceal(packet.duration - skip);
            self.stats.concealed_samples += (packet.duration - skip) as u64;
            return;
        }
        self.settle(start, packet.duration, done);
        if sanitise(&mut self.fifo[start..]) {
            self.stats.malformed += 1;
        }
        self.fifo.drain(start..start + frames(skip) * 2);
        self.header = packet.level_dbov;
        self.concealed = 0;
        self.stats.decoded_samples += (packet.duration - skip) as u64;
        self.finish(start, 1.0, RETURN);
        self.adapt(now, start);
    }

    /// Brings the wait to its target where the target has moved: leaves quiet packets out or plays them twice, and takes
    /// whole periods of pitch out of others or puts some in.
    fn adapt(&mut self, now: i64, start: usize) {
        let played = ((self.fifo.len() - start) / 2) as i64;
        self.unaltered += played;
        let Some((wait, target)) = self.wait(now) else { return };
        let surplus = wait - target;
        if surplus.abs() < TOLERANCE || self.fifo.len() + (frames(played) + stretch::LONGEST) * 2 > self.fifo.capacity() {
            return;
        }
        let quiet = level::dbov(&self.fifo[start..]) < QUIET_DBOV;
        if quiet && surplus.abs() > played * 3 / 4 {
            self.shift_in_quiet(surplus, start);
        } else if self.unaltered >= if surplus.abs() < HASTE { SELDOM } else { OFTEN } {
            self.stretch(surplus, frames(played));
        }
    }

    fn shift_in_quiet(&mut self, surplus: i64, start: usize) {
        if surplus < 0 {
            let end = self.fifo.len();
            self.fifo.extend_from_within(start..);
            self.seam = true;
            self.smooth(end);
        } else if self.jitter.span() > 0 {
            self.fifo.truncate(start);
            self.seam = true;
        }
    }

    fn stretch(&mut self, surplus: i64, played: usize) {
        let least = stretch::Likeness(match surplus.abs() / MS {
            ..40 => 0.9,
            40..80 => 0.7,
            80..120 => 0.4,
            _ => -1.0,
        });
        let fixed = 2 * Resampler::HISTORY + 2;
        let start = (self.fifo.len() / 2).saturating_sub(played.max(2 * stretch::LEAST)).max(fixed);
        let most = frames(surplus.abs() - TOLERANCE / 2);
        let done = if surplus > 0 {
            stretch::shorten(&mut self.fifo, start, most, least)
        } else {
            stretch::lengthen(&mut self.fifo, start, most, least)
        };
        if done > 0 {
            self.unaltered = 0;
            self.stats.stretched_samples += done as u64;
        }
    }

    fn conceal(&mut self, samples: i64) {
        let start = self.fifo.len();
        let whole = (frames(samples)).next_multiple_of(120);
        let done = self.decoder.conceal(whole, &mut self.fifo);
        self.settle(start, samples, done);
        self.concealed += samples;
        let faded = (self.concealed - FADE_AFTER) as f32 / (LONGEST_CONCEALMENT - FADE_AFTER) as f32;
        self.finish(start, 1.0 - faded.clamp(0.0, 1.0), frames(samples));
    }

    /// Makes what was appended exactly `samples` long, whatever the decoder did.
    fn settle(&mut self, start: usize, samples: i64, done: Result<usize, AudioDecodeError>) {
        if let Err(error) = &done {
            self.note(error);
        }
        self.fifo.resize(start + frames(samples) * 2, 0.0);
    }

    fn note(&mut self, error: &AudioDecodeError) {
        self.stats.malformed += 1;
        self.broken |= matches!(error, AudioDecodeError::Failed(_));
    }

    /// Brings the new sound from the present loudness to `gain` within `glide` frames, and smooths the seam before it.
    fn finish(&mut self, start: usize, gain: f32, glide: usize) {
        if self.gain != 1.0 || gain != 1.0 {
            let (from, slope) = (self.gain, (gain - self.gain) / glide.max(1) as f32);
            for (n, frame) in self.fifo[start..].chunks_exact_mut(2).enumerate() {
                let now = if n < glide { from + slope * n as f32 } else { gain };
                frame[0] *= now;
                frame[1] *= now;
            }
            self.gain = gain;
        }
        self.smooth(start);
    }

    /// Lets the step before frame `start` fade away within 2.5 ms.
    fn smooth(&mut self, start: usize) {
        if !self.seam || start < 2 || start + 2 > self.fifo.len() {
            return;
        }
        self.seam = false;
        let (left, right) = (self.fifo[start - 2] - self.fifo[start], self.fifo[start - 1] - self.fifo[start + 1]);
        for (n, frame) in self.fifo[start..].chunks_exact_mut(2).take(SEAM).enumerate() {
            let rest = 1.0 - n as f32 / SEAM as f32;
            frame[0] += left * rest;
            frame[1] += right * rest;
        }
    }
}

/// How much faster than the room's clock to play where the wait is not at its target.
pub(super) fn drift_rate(wait: i64, target: i64) -> f64 {
    let surplus = wait - target;
    (surplus.abs() as f64 / TOLERANCE as f64 * DRIFT_RATE).clamp(LEAST_RATE, DRIFT_RATE) * surplus.signum() as f64
}

fn samples(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(0) * MS / 1000
}

fn frames(samples: i64) -> usize {
    usize::try_from(samples).unwrap_or(0)
}
