//! What a second of a whole room costs the server, everything included but the machine's own network: 4, 9 and 16 people of 640×360 and 30 pictures per
//! second, who all speak and all watch one composite of 1280×720, on virtual time and on one core. What the guests take is not counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

#[path = "../tests/world/content.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod content;
#[path = "../tests/world/guest.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod guest;
#[path = "../tests/world/network.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod network;
#[path = "../tests/world/trace.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod trace;
#[path = "../tests/world/world.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod world;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use guest::Profile;
use mixdown::room::model::Canvas;
use mixdown::runtime::clock;
use mixdown_codecs::Size;
use std::time::Duration;
use world::{Options, World};

fn room(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("room");
    group.sample_size(10);
    for people in [4, 9, 16] {
        let mut world = World::with(Options { canvas: Canvas::default(), ..Options::default() });
        for person in 0..people {
            world.join(Profile { size: Size::new(640, 360), looks: false, ..Profile::new(person) });
        }
        world.connect(Duration::from_secs(10));
        world.run_ms(5_000);
        group.bench_function(BenchmarkId::new("second", people), |bencher| {
            bencher.iter_custom(|rounds| {
                let (began, guests) = (clock::now(), world.guests_took);
                for _ in 0..rounds {
                    world.run_ms(1_000);
                    world.guests.iter_mut().for_each(|guest| guest.record.forget());
                }
                clock::now() - began - (world.guests_took - guests)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, room);
criterion_main!(benches);
