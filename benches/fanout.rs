//! What a subscriber costs: one picture of a rendition to 1, 10 and 100 peers, everything of the
//! server's side included (packets, encryption, pacing, feedback, ICE), and what a join costs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up shall say so")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixdown::client::{self, Config};
use mixdown::peer::Peer;
use mixdown::peer::types::Kind;
use mixdown_codecs::{AudioCodec, VideoCodec};
use world::{RENDITION, World};

#[path = "../tests/net/world.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod world;

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fanout");
    group.sample_size(10);
    for peers in [1, 10, 100] {
        group.throughput(Throughput::Elements(peers));
        let mut world = World::new(1);
        let viewers: Vec<_> = (0..peers).map(|_| world.join(Kind::Viewer, Config::viewer())).collect();
        world.run(1_000);
        for viewer in &viewers {
            world.feed(*viewer, Some(RENDITION));
        }
        world.compose(RENDITION, VideoCodec::H264, 0, true);
        let mut n = 0;
        group.bench_function(BenchmarkId::new("picture of 2.5 kB", peers), |bencher| {
            bencher.iter_custom(|rounds| {
                world.spent = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    n += 1;
                    world.compose(RENDITION, VideoCodec::H264, n, false);
                    world.run(33);
                    world.sent.clear();
                    world.forget();
                }
                world.spent
            });
        });
        group.bench_function(BenchmarkId::new("packet of the mix", peers), |bencher| {
            bencher.iter_custom(|rounds| {
                world.spent = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    n += 1;
                    world.mix(AudioCodec::Opus, n, &viewers);
                    world.run(20);
                    world.sent.clear();
                    world.forget();
                }
                world.spent
            });
        });
    }
    group.finish();
}

fn join(criterion: &mut Criterion) {
    let offer = client::Peer::new(Config::default(), world::epoch()).offer().unwrap();
    criterion.bench_function("accept an offer, with a certificate of its own", |bencher| {
        bencher.iter(|| Peer::accept(&world::config(), Kind::Participant, &offer, world::epoch()).unwrap());
    });
}

criterion_group!(benches, fan_out, join);
criterion_main!(benches);
