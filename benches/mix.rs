//! What a tick of a room's sound costs with the real codecs: 4, 16 and 50 participants of whom three talk and all listen, one
//! mix and three, and with noise suppression. A tick is 20 ms: 1 ms of it is 5 % of a core.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mixdown::ids::{ParticipantId, RenditionId, Source, TrackId};
use mixdown::media::{AudioIn, AudioOut, VideoOut};
use mixdown::pipeline::Outlet;
use mixdown::pipeline::mix::{Input, Mix, Settings};
use mixdown::room::sound::{Blend, MixId, Place, Voicing};
use mixdown::runtime::clock;
use mixdown_codecs::{AudioCodec, audio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TALKERS: u128 = 3;
const CLIP: usize = 100;

struct Nowhere;

impl Outlet for Nowhere {
    fn video(&self, _: RenditionId, _: Arc<VideoOut>) -> bool {
        true
    }
    fn audio(&self, _: &Arc<[ParticipantId]>, _: Arc<AudioOut>) {}
    fn request_keyframe(&self, _: TrackId) {}
}

struct Room {
    mix: Mix,
    epoch: Instant,
    people: u128,
    talk: Vec<Arc<[u8]>>,
    silence: Vec<Arc<[u8]>>,
    n: u64,
}

/// Two seconds of a buzz of about the voice's pitch, or of next to nothing.
fn clip(amplitude: f32) -> Vec<Arc<[u8]>> {
    let mut encoder = audio::encoder(AudioCodec::Opus, 32_000).unwrap();
    let block = |block: usize| -> Vec<f32> {
        let sample = |n: usize| {
            let t = (block * 960 + n / 2) as f32 / 48_000.0;
            let pitch = 120.0 + 20.0 * (t * 3.0).sin();
            (1..12).map(|k| (t * pitch * k as f32 * std::f32::consts::TAU).sin() / k as f32).sum::<f32>() * amplitude
        };
        (0..1920).map(sample).collect()
    };
    (0..CLIP).map(|n| encoder.encode(&block(n)).unwrap().unwrap_or_else(|| Arc::from([0xF8u8].as_slice()))).collect()
}

impl Room {
    fn new(people: u128, mixes: u128, voicing: Voicing) -> Self {
        let epoch = clock::now();
        let mut mix = Mix::new(Settings::default(), epoch, Arc::new(Nowhere));
        let blend: Arc<Blend> = Arc::new((0..people).map(|n| (ParticipantId(n), Place::default())).collect());
        for n in 0..mixes {
            mix.handle(Input::Mix { mix: MixId(n as u64), blend: Arc::clone(&blend) });
        }
        for n in 0..people {
            mix.handle(Input::Speaker { participant: ParticipantId(n), voicing });
            mix.handle(Input::Listener { participant: ParticipantId(n), codec: AudioCodec::Opus, mix: MixId((n % mixes) as u64) });
        }
        let mut room = Self { mix, epoch, people, talk: clip(0.1), silence: clip(0.0001), n: 0 };
        (0..200).for_each(|_| room.tick());
        room
    }

    fn tick(&mut self) {
        let now = self.epoch + Duration::from_millis(20 * self.n);
        for n in 0..self.people {
            let (clip, level) = if n < TALKERS { (&self.talk, -25) } else { (&self.silence, -80) };
            let packet = AudioIn {
                source: Source::Microphone,
                codec: AudioCodec::Opus,
                data: Arc::clone(&clip[self.n as usize % CLIP]),
                sequence: self.n,
                rtp_time: self.n * 960,
                level_dbov: Some(level),
                received: now,
                waits: std::time::Duration::ZERO,
                evenly: std::time::Duration::ZERO,
            };
            self.mix.handle(Input::Packet { from: ParticipantId(n), packet });
        }
        self.mix.tick(now, self.n, &mut |_| {});
        self.n += 1;
    }
}

fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mix");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    let cleaned = Voicing { noise_suppression: true, auto_gain: true, ..Voicing::default() };
    let rooms = [
        ("one mix", 4, 1, Voicing::default()),
        ("one mix", 16, 1, Voicing::default()),
        ("one mix", 50, 1, Voicing::default()),
        ("three mixes", 50, 3, Voicing::default()),
        ("noise suppressed", 50, 1, cleaned),
    ];
    for (name, people, mixes, voicing) in rooms {
        let mut room = Room::new(people, mixes, voicing);
        group.bench_function(BenchmarkId::new(name, people), |bencher| bencher.iter(|| room.tick()));
    }
    group.finish();
}

criterion_group!(benches, tick);
criterion_main!(benches);
