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

/// A second of a room, without its pictures' and sounds' making: each picture is of three packets.
fn room(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("room");
    group.sample_size(10);
    let rooms = [("live", 4, 4, true), ("silent", 4, 0, false), ("three talk", 50, 3, false)];
    for (name, people, talkers, pictures) in rooms {
        let mut room = Room::new(people);
        room.second(pictures, talkers);
        group.bench_function(BenchmarkId::new(name, people), |bencher| {
            bencher.iter_custom(|rounds| {
                room.world.spent = std::time::Duration::ZERO;
                (0..rounds).for_each(|_| room.second(pictures, talkers));
                room.world.spent
            });
        });
    }
    group.finish();
}

struct Room {
    world: World,
    senders: Vec<usize>,
    viewers: Vec<usize>,
    n: u64,
}

impl Room {
    fn new(people: usize) -> Self {
        let mut world = World::new(1);
        let senders: Vec<_> = (0..people).map(|_| world.join(Kind::Participant, Config::publisher())).collect();
        let viewers: Vec<_> = (0..people).map(|_| world.join(Kind::Viewer, Config::viewer())).collect();
        world.run(1_000);
        viewers.iter().for_each(|viewer| world.feed(*viewer, Some(RENDITION)));
        world.compose(RENDITION, VideoCodec::H264, 0, true);
        Self { world, senders, viewers, n: 0 }
    }

    /// Senders speak whether they are heard or not, and what nobody says is not sent.
    fn second(&mut self, pictures: bool, talkers: usize) {
        for hundredths in 0..100u64 {
            let (n, world) = (self.n * 100 + hundredths, &mut self.world);
            if hundredths % 2 == 0 {
                let rtp_time = n * 480;
                for sender in &self.senders {
                    let (length, level) = if *sender < talkers { (80, -30) } else { (8, -80) };
                    world.say(*sender, length, level, rtp_time);
                }
                if talkers > 0 || hundredths % 40 == 0 {
                    world.mix(AudioCodec::Opus, n / 2, &self.viewers);
                }
            }
            if hundredths % 3 == 0 && pictures {
                let n = self.n * 34 + hundredths / 3;
                self.senders.iter().for_each(|sender| world.shoot(*sender, n, n == 0));
                world.compose(RENDITION, VideoCodec::H264, n + 1, false);
            }
            world.run(10);
        }
        self.n += 1;
        self.world.sent.clear();
        self.world.forget();
        for sender in &self.senders {
            self.world.seen(*sender, |seen| {
                seen.video.clear();
                seen.audio.clear();
            });
        }
    }
}

criterion_group!(benches, fan_out, room, join);
criterion_main!(benches);
