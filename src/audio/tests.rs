//! Stories of one sender and one playout on a virtual clock.

use super::fake::{Decoder, Faults, Sender, tone_level};
use super::jitter::{Jitter, Packet, Step};
use super::playout::{Playout, Stats, drift_rate};
use super::{BLOCK, MS, silence};
use crate::media::AudioIn;
use crate::runtime::clock;
use mixdown_codecs::AudioCodec;
use std::sync::Arc;
use std::time::Duration;

const TICK: i64 = 960;

struct Call {
    sender: Sender,
    playout: Playout,
    epoch: std::time::Instant,
    tick: i64,
    heard: Vec<f32>,
    keep: bool,
    /// Furthest deviation of the wait from its target, longest and shortest wait, since they were last reset (samples).
    deviation: i64,
    longest: i64,
    shortest: i64,
    /// How long pictures wait to be shown evenly.
    evenly: Duration,
    /// Greatest step between two samples.
    step: f32,
    last: f32,
}

impl Call {
    fn new(sender: Sender) -> Self {
        let playout = Playout::new(AudioCodec::Opus, Box::new(Decoder::default()));
        Self {
            sender,
            playout,
            epoch: clock::now(),
            tick: 0,
            heard: Vec::new(),
            keep: false,
            deviation: 0,
            longest: 0,
            shortest: i64::MAX,
            evenly: Duration::ZERO,
            step: 0.0,
            last: 0.0,
        }
    }

    fn run(&mut self, seconds: i64) -> Stats {
        let before = self.playout.stats();
        let mut out = silence();
        for _ in 0..seconds * 50 {
            self.tick += 1;
            let now = self.tick * TICK;
            for (arrival, packet) in self.sender.until(now, self.epoch) {
                self.playout.insert(AudioIn { evenly: self.evenly, ..packet }, arrival);
            }
            self.playout.render(now, &mut out);
            if let Some((wait, target)) = self.playout.wait(now + TICK) {
                self.deviation = self.deviation.max((wait - target).abs());
                (self.shortest, self.longest) = (self.shortest.min(wait), self.longest.max(wait));
            }
            for frame in out.chunks_exact(2) {
                self.step = self.step.max((frame[0] - self.last).abs());
                self.last = frame[0];
            }
            if self.keep {
                self.heard.extend_from_slice(&out[..]);
            }
        }
        self.playout.stats().since(&before)
    }

    fn forget(&mut self) {
        (self.deviation, self.longest, self.shortest, self.step) = (0, 0, i64::MAX, 0.0);
        self.heard.clear();
    }
}

fn share(samples: u64, seconds: i64) -> f64 {
    samples as f64 / (seconds as f64 * 48_000.0)
}

fn with(faults: Faults, seed: u64) -> Call {
    let mut sender = Sender::new(440.0, seed);
    sender.faults = faults;
    Call::new(sender)
}

/// Steepest step that the tone itself takes, with a tenth to spare.
fn natural_step(hz: f32, amplitude: f32) -> f32 {
    amplitude * hz * std::f32::consts::TAU / 48_000.0 * 1.1
}

#[test]
fn a_calm_sender_is_heard_whole_and_waits_no_longer_than_until_the_next_tick() {
    let mut waits = Vec::new();
    for phase in (0..20).step_by(4) {
        let mut call = with(Faults { jitter: MS, ..Faults::default() }, 1);
        call.sender.way = 10 * MS + phase * MS + 7;
        call.run(40);
        call.forget();
        let stats = call.run(20);
        assert_eq!(stats.concealed_samples + stats.recovered_samples + stats.silent_samples, 0, "{phase}: {stats:?}");
        assert_eq!(stats.stretched_samples, 0, "{phase}: {stats:?}");
        assert!((2 * MS..28 * MS).contains(&call.longest), "{phase}: {} ms", call.longest / MS);
        assert!(call.step < natural_step(440.0, 0.3));
        waits.push(call.longest);
    }
    let mean = waits.iter().sum::<i64>() / waits.len() as i64;
    assert!(mean < 16 * MS, "{} µs", mean * 1000 / MS);
}

#[test]
fn packets_of_any_length_wait_for_the_tick_alone() {
    for (samples, phase) in [(120, 0), (480, 13), (960, 0), (1920, 13), (2880, 0), (2880, 13), (5760, 0), (5760, 13)] {
        let mut sender = Sender::new(440.0, 1);
        sender.samples = samples;
        sender.way = 10 * MS + phase * MS;
        let mut call = Call::new(sender);
        call.run(40);
        call.forget();
        let stats = call.run(20);
        assert_eq!(stats.concealed_samples + stats.silent_samples, 0, "{samples}: {stats:?}");
        assert!(stats.stretched_samples == 0 || samples >= 2880, "{samples}: {stats:?}");
        // Long packets are few to learn from.
        let most = if samples >= 2880 { 45 } else { 28 };
        assert!(call.longest < most * MS, "{samples}, {phase}: {} ms", call.longest / MS);
    }
}

#[test]
fn losses_are_recovered_or_concealed_within_their_share() {
    for (loss, most, seed) in [(0.01, 0.015, 1), (0.05, 0.06, 2), (0.10, 0.12, 1), (0.20, 0.25, 2)] {
        let mut call = with(Faults { loss, jitter: 3 * MS, ..Faults::default() }, seed);
        call.run(5);
        let stats = call.run(60);
        let (concealed, recovered) = (share(stats.concealed_samples, 60), share(stats.recovered_samples, 60));
        assert!(concealed + recovered <= most, "{loss}: {concealed} concealed, {recovered} recovered");
        let lost = share(stats.lost * 960, 60);
        assert!((concealed + recovered - lost).abs() < 0.003, "{loss}: {concealed} concealed, {recovered} recovered, {lost} lost");
        assert!(loss < 0.05 || recovered > 2.0 * concealed, "{loss}: {concealed} concealed, {recovered} recovered");
    }
}

#[test]
fn jitter_of_200_ms_is_met_within_3_s_and_forgotten_within_30_s() {
    for seed in 0..4 {
        let mut call = with(Faults { jitter: MS, ..Faults::default() }, seed);
        call.run(10);
        call.sender.faults.jitter = 200 * MS;
        call.run(3);
        call.forget();
        let stats = call.run(10);
        assert!(call.longest <= 300 * MS, "{} ms", call.longest / MS);
        assert!(share(stats.concealed_samples + stats.recovered_samples, 10) < 0.04, "{stats:?}");
        call.sender.faults.jitter = MS;
        call.run(30);
        call.forget();
        call.run(1);
        assert!(call.longest < 120 * MS, "{} ms", call.longest / MS);
    }
}

#[test]
fn what_came_in_a_burst_when_the_connection_came_about_makes_nothing_late() {
    for seed in 0..4 {
        let mut call = with(Faults { jitter: MS, ..Faults::default() }, seed);
        let mut held = Vec::new();
        for _ in 0..4 {
            call.tick += 1;
            held.extend(call.sender.until(call.tick * TICK, call.epoch));
            call.playout.render(call.tick * TICK, &mut silence());
        }
        let came = call.tick * TICK - MS;
        held.into_iter().for_each(|(_, packet)| call.playout.insert(packet, came));
        call.run(1);
        call.forget();
        call.run(1);
        assert!(call.longest <= 55 * MS, "{} ms, of which the block takes 20", call.longest / MS);
    }
}

#[test]
fn sound_waits_as_long_as_its_pictures_do_and_no_longer_once_these_come_evenly() {
    let mut call = with(Faults { jitter: MS, ..Faults::default() }, 1);
    call.evenly = Duration::from_millis(150);
    call.run(5);
    call.forget();
    let stats = call.run(5);
    assert!(call.shortest >= 150 * MS && call.longest <= 200 * MS, "{} to {} ms", call.shortest / MS, call.longest / MS);
    assert_eq!(stats.concealed_samples, 0, "{stats:?}");
    call.evenly = Duration::ZERO;
    call.run(20);
    call.forget();
    call.run(5);
    assert!(call.longest <= 60 * MS, "{} ms", call.longest / MS);
}

#[test]
fn reordering_and_duplicates_conceal_nothing_once_they_are_known() {
    for seed in 0..4 {
        let mut call = with(Faults { reorder: 0.05, duplicate: 0.05, ..Faults::default() }, seed);
        call.run(10);
        let stats = call.run(30);
        assert_eq!(stats.concealed_samples + stats.recovered_samples + stats.silent_samples, 0, "{seed}: {stats:?}");
        assert!(stats.duplicate > 30);
        assert_eq!(stats.lost, 0);
    }
}

#[test]
fn six_hours_of_drift_keep_the_wait_bounded_and_lose_nothing() {
    for drift in [1e-4, -1e-4] {
        let mut sender = Sender::new(440.0, 3);
        sender.drift = drift;
        sender.faults.jitter = 2 * MS;
        let (mut jitter, mut queued, mut steps, mut before) = (Jitter::new(), 0.0, 0, 0);
        for tick in 1..6 * 3600 * 50 {
            let now = tick * TICK;
            for (arrival, time, sequence) in sender.headers(now) {
                jitter.insert(Packet { sequence, time, duration: 960, level_dbov: None, data: Arc::clone(&sender.payload) }, arrival);
            }
            let (wait, target) = (jitter.wait(now, queued as i64), jitter.target());
            steps += u32::from((target - before).abs() > 10 * MS);
            before = target;
            let rate = if jitter.is_playing() { drift_rate(wait, target) } else { 0.0 };
            while queued < 960.0 * (1.0 + rate) {
                queued += match jitter.step(now, queued as i64, 960) {
                    Step::Decode { packet, skip, .. } => (packet.duration - skip) as f64,
                    Step::Silence { samples } if tick < 10 => samples as f64,
                    step => panic!("{step:?} in tick {tick}"),
                };
            }
            queued -= 960.0 * (1.0 + rate);
            // What is more than the resampler's is the stretcher's: a period of pitch, up to every 60 ms.
            if (wait - target).abs() > 10 * MS && tick % 3 == 0 {
                queued -= ((wait - target).signum() * 5 * MS) as f64;
            }
            assert!(tick < 3000 || (2 * MS..32 * MS).contains(&wait), "{} and {} ms in tick {tick}", wait / MS, target / MS);
            assert!(rate.abs() <= 0.001);
        }
        assert_eq!(jitter.lost(), 0);
        assert!((100..=130).contains(&steps), "20 ms of drift are a step of the target: {steps} steps in 2.16 s of drift");
    }
}

#[test]
fn drift_is_followed_without_a_click_and_costs_a_stretch_of_20_ms_every_few_minutes() {
    for drift in [1e-4, -1e-4] {
        let mut sender = Sender::new(440.0, 3);
        sender.drift = drift;
        sender.faults.jitter = 2 * MS;
        let mut call = Call::new(sender);
        call.run(30);
        call.forget();
        let stats = call.run(400);
        assert!(call.deviation <= 25 * MS && call.longest < 32 * MS, "{} and {} ms", call.deviation / MS, call.longest / MS);
        assert_eq!(stats.concealed_samples + stats.recovered_samples + stats.silent_samples, 0, "{stats:?}");
        assert!(stats.stretched_samples < 50 * MS as u64, "{stats:?}");
        assert!(call.step < natural_step(440.0, 0.3) * 1.15, "{}", call.step);
    }
}

#[test]
fn a_pause_makes_no_click_and_speech_after_it_begins_at_the_target() {
    let mut call = with(Faults::default(), 4);
    call.run(3);
    call.forget();
    for round in 0..20 {
        call.sender.announcing = true;
        let stats = call.run(2);
        assert_eq!(stats.concealed_samples, 0, "{round}: {stats:?}");
        call.sender.pausing = false;
        let stats = call.run(1);
        assert_eq!(stats.concealed_samples + stats.recovered_samples, 0, "{round}: {stats:?}");
        assert!(call.longest < 50 * MS, "{round}: {} ms", call.longest / MS);
    }
    assert!(call.step < 0.3 / 120.0 + natural_step(440.0, 0.3), "{}", call.step);
}

#[test]
fn a_sender_that_just_stops_fades_within_120_ms() {
    let mut call = with(Faults::default(), 5);
    call.run(3);
    call.forget();
    call.sender.pausing = true;
    call.keep = true;
    let stats = call.run(1);
    assert!(stats.concealed_samples <= 140 * MS as u64, "{stats:?}");
    assert!(call.heard[200 * MS as usize * 2..].iter().all(|s| *s == 0.0));
    call.sender.pausing = false;
    call.run(1);
    assert!(call.step < natural_step(440.0, 0.3) * 1.5, "{}", call.step);
}

#[test]
fn packets_of_all_lengths_play_whole() {
    for samples in [120, 240, 480, 960, 1920, 2880, 5760] {
        let mut sender = Sender::new(440.0, 6);
        sender.samples = samples;
        let mut call = Call::new(sender);
        call.run(5);
        call.forget();
        let stats = call.run(20);
        assert_eq!(stats.concealed_samples + stats.recovered_samples + stats.silent_samples, 0, "{samples}: {stats:?}");
        assert!(call.step < natural_step(440.0, 0.3), "{samples}");
    }
}

#[test]
fn a_new_stream_is_followed_within_100_ms() {
    let mut call = with(Faults::default(), 7);
    call.run(3);
    for (sequence, base) in [(12u64, 5_000i64), (900_000, 1 << 40), (3, 77)] {
        call.sender.sequence = sequence;
        call.sender.base = base - call.sender.sent;
        let stats = call.run(1);
        assert_eq!(stats.restarts, 1);
        assert!(stats.decoded_samples > 44_000 - 5_000, "{stats:?}");
        call.forget();
        let stats = call.run(1);
        assert_eq!(stats.concealed_samples + stats.silent_samples, 0, "{stats:?}");
    }
}

#[test]
fn a_stall_of_100_ms_is_heard_late_rather_than_lost() {
    let mut call = with(Faults::default(), 8);
    call.run(5);
    call.sender.faults.jitter = 0;
    let now = (call.tick + 5) * TICK;
    let burst = call.sender.until(now, call.epoch);
    let mut out = silence();
    for _ in 0..5 {
        call.tick += 1;
        call.playout.render(call.tick * TICK, &mut out);
    }
    for (_, packet) in burst {
        call.playout.insert(packet, now);
    }
    let before = call.playout.stats();
    call.run(20);
    let after = call.playout.stats();
    assert_eq!(after.lost, before.lost);
    assert_eq!(after.late, before.late);
    call.forget();
    call.run(1);
    assert!(call.longest < 130 * MS, "{} ms", call.longest / MS);
}

#[test]
fn tones_keep_their_pitch_and_level() {
    let mut call = with(Faults { jitter: MS, ..Faults::default() }, 9);
    call.run(60);
    call.keep = true;
    call.run(1);
    let level = tone_level(&call.heard, 440.0);
    assert!((level - 0.3).abs() < 0.003, "{level}");
    assert!(tone_level(&call.heard, 880.0) < 0.001);
    assert_eq!(call.heard.len(), 50 * BLOCK);
}

#[test]
fn skipping_and_coming_back_resumes_at_the_target() {
    let mut call = with(Faults { jitter: MS, ..Faults::default() }, 10);
    call.run(3);
    for _ in 0..200 {
        call.tick += 1;
        let now = call.tick * TICK;
        for (arrival, packet) in call.sender.until(now, call.epoch) {
            call.playout.insert(packet, arrival);
        }
        call.playout.skip(now);
    }
    call.forget();
    call.last = 0.0;
    let stats = call.run(1);
    assert!(call.longest < 45 * MS, "{} ms", call.longest / MS);
    assert!(stats.decoded_samples >= 45_000, "{stats:?}");
    assert_eq!(stats.concealed_samples, 0);
    assert!(call.step < natural_step(440.0, 0.3) * 1.5, "{}", call.step);
}

#[test]
fn any_packet_at_any_time_is_survived() {
    for seed in 0..6 {
        let mut call = with(Faults { jitter: 50 * MS, loss: 0.1, reorder: 0.2, duplicate: 0.2 }, seed);
        let mut dice = super::fake::Dice(seed + 1000);
        for _ in 0..60 {
            match (dice.roll() * 8.0) as u32 {
                0 => call.sender.sequence = (dice.roll() * 1e18) as u64,
                1 => call.sender.base = (dice.roll() * 1e18) as i64,
                2 => call.sender.samples = [120, 960, 5760][(dice.roll() * 3.0) as usize],
                3 => call.sender.announcing = true,
                4 => call.sender.pausing = false,
                5 => call.tick += (dice.roll() * 100.0) as i64,
                6 => call.sender.base = i64::MAX - 100_000,
                _ => call.sender.sequence = u64::MAX - 1000,
            }
            call.run(1);
        }
    }
}
