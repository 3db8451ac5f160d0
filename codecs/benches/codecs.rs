//! What one picture and one packet cost, per codec, direction and size.
//! `cargo bench -p mixdown-codecs` for all, `… -- decode/h264` for some.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

#[path = "../tests/scene/mod.rs"]
mod scene;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixdown_codecs::{
    AudioCodec, EncodedPicture, EncoderConfig, FRAME_SAMPLES, FramePool, I420Frame, Intra, Size, VideoCodec, audio, gate, video,
};
use scene::{CODECS, config, encoder, film, picture};
use std::{hint::black_box, time::Duration};

/// Size and a bitrate that suits it.
const SIZES: [(u32, u32, u32); 3] = [(1280, 720, 1_500_000), (640, 360, 600_000), (320, 180, 150_000)];
const PICTURES: u32 = 60;

fn name(codec: VideoCodec, width: u32, height: u32) -> BenchmarkId {
    BenchmarkId::new(codec.name(), format!("{width}x{height}"))
}

/// One iteration decodes the whole film; the throughput is in pictures.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(u64::from(PICTURES)));
    for &codec in CODECS {
        for (width, height, rate) in SIZES {
            let film: Vec<EncodedPicture> =
                film(codec, config(Size::new(width, height), 30, rate), PICTURES).into_iter().flatten().collect();
            let start = || (video::decoder(codec, gate::Limits::default()).unwrap().unwrap(), FramePool::default());
            group.bench_function(name(codec, width, height), |bencher| {
                bencher.iter_batched_ref(
                    start,
                    |(decoder, pool)| {
                        for coded in &film {
                            black_box(decoder.decode(&coded.data, pool).unwrap());
                        }
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

/// One iteration encodes one picture; keyframes apart.
fn encode(criterion: &mut Criterion) {
    for (label, intra, layered) in
        [("encode", Intra::Auto, false), ("encode_layered", Intra::Auto, true), ("encode_keyframe", Intra::Force, false)]
    {
        let mut group = criterion.benchmark_group(label);
        group.throughput(Throughput::Elements(1));
        for &codec in CODECS {
            for (width, height, rate) in SIZES {
                let size = Size::new(width, height);
                let pictures: Vec<I420Frame> = (0..PICTURES).map(|n| picture(size, n)).collect();
                // There and back again, so that no cut disturbs.
                let order = (0..pictures.len()).chain((1..pictures.len() - 1).rev());
                let mut film = order.cycle().zip(0u64..);
                let mut encoder = encoder(codec, EncoderConfig { layered, ..config(size, 30, rate) });
                group.bench_function(name(codec, width, height), |bencher| {
                    bencher.iter(|| {
                        let (picture, n) = film.next().unwrap();
                        black_box(encoder.encode(&pictures[picture], n * 1000 / 30, intra).unwrap())
                    });
                });
            }
        }
    }
}

fn inspect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gate");
    for &codec in CODECS {
        let film = film(codec, config(Size::new(640, 360), 30, 600_000), 2);
        for coded in film.into_iter().flatten() {
            let kind = if coded.keyframe { "keyframe" } else { "inter" };
            group.throughput(Throughput::Bytes(coded.data.len() as u64));
            group.bench_function(BenchmarkId::new(codec.name(), kind), |bencher| {
                bencher.iter(|| black_box(gate::inspect(codec, &coded.data, gate::Limits::default()).unwrap()));
            });
        }
    }
}

/// A second of something like a voice, in 20 ms frames.
fn voice() -> Vec<Vec<f32>> {
    let sample = |n: usize| {
        let t = n as f32 / 48_000.0;
        let syllable = 0.55 + 0.45 * (19.0 * t).sin();
        (1..12).map(|k| (817.0 * k as f32 * t).sin() / k as f32).sum::<f32>() * 0.12 * syllable
    };
    let frame = |start: usize| (start..start + FRAME_SAMPLES).flat_map(|n| [sample(n); 2]).collect();
    (0..50).map(|n| frame(n * FRAME_SAMPLES)).collect()
}

/// One iteration is one 20 ms packet.
fn sound(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sound");
    let pcm = voice();
    for (codec, rate) in [(AudioCodec::Opus, 48_000), (AudioCodec::Pcmu, 64_000)] {
        let mut encoder = audio::encoder(codec, rate).unwrap();
        let packets: Vec<_> = pcm.iter().map(|frame| encoder.encode(frame).unwrap().expect("not silent")).collect();
        let mut frames = pcm.iter().cycle();
        group.bench_function(BenchmarkId::new("encode", codec.name()), |bencher| {
            bencher.iter(|| black_box(encoder.encode(frames.next().unwrap()).unwrap()));
        });
        let (mut decoder, mut heard) = (audio::decoder(codec).unwrap(), Vec::new());
        let mut cycle = packets.iter().cycle();
        group.bench_function(BenchmarkId::new("decode", codec.name()), |bencher| {
            bencher.iter(|| {
                heard.clear();
                black_box(decoder.decode(cycle.next().unwrap(), &mut heard).unwrap())
            });
        });
        let mut turn = 0;
        group.bench_function(BenchmarkId::new("decode_conceal_in_turn", codec.name()), |bencher| {
            bencher.iter(|| {
                heard.clear();
                turn += 1;
                let result = match turn % 2 {
                    0 => decoder.decode(cycle.next().unwrap(), &mut heard),
                    _ => decoder.conceal(FRAME_SAMPLES, &mut heard),
                };
                black_box(result.unwrap())
            });
        });
    }
}

criterion_group! {
    name = all;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = decode, encode, inspect, sound
}
criterion_main!(all);
