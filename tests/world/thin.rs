//! Thin links: the rate ladder at work (docs/faults.md, F11, F12).

use crate::guest::Profile;
use crate::network::Link;
use crate::world::{Options, World};
use mixdown::room::model::Canvas;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// A sender, and viewers behind these links, in a room of this canvas.
fn room(seed: u64, canvas: Canvas, links: &[Link]) -> World {
    let mut world = World::with(Options { seed, canvas, ..Options::default() });
    world.join(Profile::new(1));
    for (n, link) in links.iter().enumerate() {
        let index = world.join(Profile::viewer(n as u8 + 2));
        world.links(index, Link { delay: link.delay, ..Link::default() }, link.clone());
    }
    world.connect(PATIENCE);
    world.run_ms(3000);
    world
}

fn link(kbps: u64) -> Link {
    Link { rate_bps: Some(kbps * 1000), delay: Duration::from_millis(25), queue: Duration::from_millis(1000), ..Link::default() }
}

fn hd() -> Canvas {
    Canvas::default()
}

/// The longest time between two packets of sound since `from`, and how many there were.
fn sound_gap(world: &World, viewer: usize, from: Instant) -> (Duration, usize) {
    let times: Vec<Instant> = world.guests[viewer].record.sound_packets.iter().map(|(at, _)| *at).filter(|at| *at >= from).collect();
    (times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX), times.len())
}

/// Bits per second that reached the viewer since `mark`.
fn rate(world: &World, viewer: usize, mark: (Instant, u64)) -> f64 {
    let bytes = world.guests[viewer].down.carried - mark.1;
    bytes as f64 * 8.0 / (world.now - mark.0).as_secs_f64()
}

fn mark(world: &World, viewer: usize) -> (Instant, u64) {
    (world.now, world.guests[viewer].down.carried)
}

#[test]
fn a_link_that_breaks_down_and_comes_back_is_followed_both_ways_and_the_sound_never_stops() {
    let mut world = room(61, hd(), &[link(2_000)]);
    let before = mark(&world, 1);
    let from = world.now;
    world.run_ms(3000);
    let whole = rate(&world, 1, before);
    assert_eq!(world.guests[1].record.sights.last().unwrap().size.height, 720);

    world.guests[1].down.link.rate_bps = Some(150_000);
    world.run_ms(3000);
    let thin = mark(&world, 1);
    let offered = world.guests[1].down.offered;
    world.run_ms(2000);
    let sent = (world.guests[1].down.offered - offered) as f64 * 8.0 / 2.0;
    assert!(sent < 150_000.0, "after three seconds {sent} bit/s are sent");
    let seen = world.now;
    world.run_ms(8000);
    assert!(world.guests[1].down.waits(world.now) < Duration::from_millis(400));
    let late = world.guests[1].down.longest_since(seen);
    assert!(late < Duration::from_millis(400), "{late:?} in the queue");
    assert!(rate(&world, 1, thin) < 150_000.0);
    let shown = world.sights(1, seen).count();
    assert!(shown >= 7 * 8, "{shown} pictures in eight seconds");
    let quality = world.quality(1, 0, seen);
    assert!(quality.wrong == 0 && quality.share > 0.2, "{quality:?}");

    world.guests[1].down.link.rate_bps = Some(2_000_000);
    world.run_ms(12_000);
    let back = mark(&world, 1);
    world.run_ms(3000);
    assert!(rate(&world, 1, back) >= 0.8 * whole, "{} of {whole}", rate(&world, 1, back));
    assert_eq!(world.guests[1].record.sights.last().unwrap().size.height, 720);
    let (gap, packets) = sound_gap(&world, 1, from);
    assert!(gap < Duration::from_millis(600), "no sound for {gap:?}");
    let expected = (world.now - from).as_millis() / 20;
    assert!(packets as u128 >= expected * 97 / 100, "{packets} of {expected}");
}
