//! Thin links: the rate ladder at work (docs/faults.md, F12).

use crate::guest::Profile;
use crate::network::Link;
use crate::world::{Options, World, small_canvas};
use mixdown::client::{Change, Screen};
use mixdown::ids::Source;
use mixdown::room::model::{Canvas, ParticipantPatch};
use mixdown_codecs::{Size, VideoCodec};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// A sender, and viewers behind these links, in a room of this canvas.
fn room(seed: u64, canvas: Canvas, links: &[Link]) -> World {
    room_of(seed, canvas, Profile::new(1), links)
}

fn room_of(seed: u64, canvas: Canvas, sender: Profile, links: &[Link]) -> World {
    let mut world = World::with(Options { seed, canvas, ..Options::default() });
    world.join(sender);
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
    // What the link carries is found out first.
    world.run_ms(5000);
    let before = mark(&world, 1);
    let from = world.now;
    world.run_ms(3000);
    let whole = rate(&world, 1, before);
    assert_eq!(world.guests[1].record.sights.last().unwrap().size.height, 720);

    world.guests[1].down.link.rate_bps = Some(150_000);
    world.run_ms(1000);
    let feed = world.participant(1).unwrap().participant.feed.unwrap();
    assert!(feed.height.unwrap() < 720, "a second later it is on a lower rung: {feed:?}");
    world.run_ms(2000);
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
    for _ in 0..3 {
        let mark = mark(&world, 1);
        world.run_ms(2000);
        let now = rate(&world, 1, mark);
        assert!((0.7 * whole..1.3 * whole).contains(&now), "{now} of {whole}: it stays there");
    }
    assert_eq!(world.guests[1].record.sights.last().unwrap().size.height, 720);
    assert_eq!(world.quality(1, 0, from).backwards, 0);
    let times: Vec<(Instant, u64)> = world.sights(1, from).map(|sight| (sight.at, sight.rtp_time)).collect();
    assert!(times.windows(2).all(|pair| pair[0].1 < pair[1].1), "time goes on over all changes");
    let [first, last] = [times[0], *times.last().unwrap()];
    let (passed, told) = ((last.0 - first.0).as_secs_f64(), (last.1 - first.1) as f64 / 90_000.0);
    assert!((passed - told).abs() < 0.3, "{told} s by timestamps in {passed} s");
    let (gap, packets) = sound_gap(&world, 1, from);
    assert!(gap < Duration::from_millis(600), "no sound for {gap:?}");
    let expected = (world.now - from).as_millis() / 20;
    assert!(packets as u128 >= expected * 97 / 100, "{packets} of {expected}");
}

/// What a viewer is sent on 150 kb/s after three seconds, and, once the second that waited before the link is through, over ten more the longest wait, the
/// fewest pictures in two seconds and the longest silence.
fn broken_down(world: &mut World) -> (f64, Duration, usize, Duration) {
    world.guests[1].down.link.rate_bps = Some(150_000);
    world.run_ms(3000);
    let offered = world.guests[1].down.offered;
    world.run_ms(2000);
    let sent = (world.guests[1].down.offered - offered) as f64 * 8.0 / 2.0;
    world.run_ms(1000);
    let thin = world.now;
    world.run_ms(10_000);
    let late = world.guests[1].down.longest_since(thin);
    let second = |n: u64| thin + Duration::from_millis(n * 500);
    let within = |from: Instant| world.sights(1, from).take_while(|sight| sight.at < from + Duration::from_secs(2)).count();
    let fewest = (0..17).map(|n| within(second(n))).min().unwrap();
    let (gap, _) = sound_gap(world, 1, thin);
    (sent, late, fewest, gap)
}

/// Of a picture that takes all the bits there are: losses in the queue that overflows are asked for again and again, and estimates follow what little is sent.
#[test]
fn a_picture_that_takes_all_bits_goes_on_moving_on_a_link_that_breaks_down_and_is_whole_again_when_it_comes_back() {
    let busy = Profile { busy: true, size: Size::new(640, 360), ..Profile::new(1) };
    let mut world = room_of(71, hd(), busy, &[link(2_000)]);
    world.run_ms(6000);
    let before = mark(&world, 1);
    world.run_ms(3000);
    let whole = rate(&world, 1, before);
    assert!(whole > 1_300_000.0, "{whole}");
    for n in 0..3 {
        let (sent, late, fewest, gap) = broken_down(&mut world);
        println!("{n}: {sent:.0} bit/s, {late:?} in the queue, {fewest} pictures in the slowest two seconds, {gap:?} without sound");
        assert!(sent < 150_000.0, "{n}: after three seconds {sent} bit/s are sent");
        assert!(late < Duration::from_millis(400), "{n}: {late:?} in the queue");
        assert!(fewest >= 14, "{n}: {fewest} pictures in two seconds");
        assert!(gap < Duration::from_millis(200), "{n}: no sound for {gap:?}");
        world.guests[1].down.link.rate_bps = Some(2_000_000);
        let back = (1..=20).find(|_| {
            let mark = mark(&world, 1);
            world.run_ms(1000);
            rate(&world, 1, mark) >= 0.8 * whole
        });
        println!("{n}: back after {back:?} s");
        assert!(back.is_some(), "{n}: 20 seconds later it is not back");
        world.run_ms(2000 + 137 * n);
    }
}

/// Its machine has something else to do: packets come later and later for `ms`, and then all at once.
fn stands_still(world: &mut World, viewer: usize, ms: u64) {
    let delay = world.guests[viewer].down.link.delay;
    for passed in (0..ms).step_by(10) {
        world.guests[viewer].down.link.delay = delay + Duration::from_millis((ms - passed).min(3 * passed / 4));
        world.run_ms(10);
    }
    world.guests[viewer].down.link.delay = delay;
}

/// What gets through in that moment says nothing of the link: a picture that needs little would be made small for a while.
#[test]
fn a_receiver_that_stands_still_for_a_moment_keeps_its_picture() {
    let mut world = room(73, hd(), &[Link::default()]);
    world.run_ms(8000);
    let feed = |world: &mut World| world.participant(1).unwrap().participant.feed.unwrap().height;
    assert_eq!(feed(&mut world), Some(720));
    for n in 0..6 {
        stands_still(&mut world, 1, 150 + n * 50);
        let mut seconds = Vec::new();
        for _ in 0..6 {
            world.run_ms(1000);
            seconds.push((feed(&mut world), world.estimate(1)));
        }
        assert!(seconds.iter().all(|(height, _)| *height == Some(720)), "{n}: {seconds:?}");
    }
}

fn limit(world: &mut World, viewer: usize, bps: u32) {
    world.patch(viewer, ParticipantPatch { max_bitrate_bps: Some(bps), ..Default::default() });
}

fn say(world: &mut World, viewer: usize, text: &str) {
    let now = world.now;
    world.guests[viewer].peer.send_message(now, text).unwrap();
    world.run_ms(100);
}

fn rendition(world: &mut World, viewer: usize) -> Option<String> {
    world.participant(viewer).unwrap().participant.feed.unwrap().rendition
}

#[test]
fn half_the_frame_rate_is_the_same_encode_with_every_second_picture_and_needs_no_keyframe() {
    let mut world = room(62, small_canvas(), &[Link::default(), Link::default()]);
    limit(&mut world, 1, 300_000);
    limit(&mut world, 2, 200_000);
    world.run_ms(1500);
    assert_eq!(rendition(&mut world, 1), rendition(&mut world, 2));
    let feed = world.participant(2).unwrap().participant.feed.unwrap();
    assert_eq!((feed.height, feed.fps), (Some(180), Some(15)));
    let (from, keyframes) = (world.now, [1, 2].map(|viewer| world.guests[viewer].record.keyframes));
    world.run_ms(2000);
    let shown = [1, 2].map(|viewer| world.sights(viewer, from).count());
    assert!((57..=62).contains(&shown[0]) && (28..=32).contains(&shown[1]), "{shown:?}");
    assert!(world.quality(2, 0, from).share > 0.45 && world.quality(2, 0, from).wrong == 0, "{:?}", world.quality(2, 0, from));
    let from = world.now;
    limit(&mut world, 2, 300_000);
    world.run_ms(1000);
    assert!(world.sights(2, from).count() >= 27, "taken up again at once");
    assert_eq!(keyframes, [1, 2].map(|viewer| world.guests[viewer].record.keyframes));
}

#[test]
fn who_hides_the_picture_is_sent_sound_alone_and_has_it_back_within_a_second() {
    let mut world = room(63, small_canvas(), &[Link::default()]);
    say(&mut world, 1, r#"{"type":"hint","hidden":true}"#);
    let from = world.now;
    world.run_ms(2000);
    assert_eq!(world.sights(1, from).count(), 0);
    assert!(sound_gap(&world, 1, from).0 < Duration::from_millis(100));
    let from = world.now;
    say(&mut world, 1, r#"{"type":"hint","hidden":false,"width":320,"height":180}"#);
    world.run_ms(900);
    assert!(world.sights(1, from).count() >= 15, "{}", world.sights(1, from).count());
    assert_eq!(world.sights(1, from).last().unwrap().size.height, 180, "no more than it is shown");
    say(&mut world, 1, r#"{"type":"hint","width":1280,"height":720}"#);
    world.run_ms(900);
    assert_eq!(world.guests[1].record.sights.last().unwrap().size.height, 360);
    say(&mut world, 1, r#"{"type":"hint","save_data":true}"#);
    world.run_ms(900);
    assert_eq!(world.guests[1].record.sights.last().unwrap().size.height, 180);
}

#[test]
fn who_hides_the_picture_on_a_thin_link_is_sent_no_padding_beyond_the_sound() {
    let mut world = room(72, hd(), &[link(300)]);
    world.run_ms(4000);
    say(&mut world, 1, r#"{"type":"hint","hidden":true}"#);
    world.run_ms(2000);
    for _ in 0..30 {
        let mark = mark(&world, 1);
        world.run_ms(600);
        let rate = rate(&world, 1, mark);
        assert!(rate < 110_000.0, "{rate}");
    }
}

/// Eight others, one of whom looks; the ninth may lose a fifth of its packets, and then asks for a keyframe every second. What the one who looks is sent.
fn beside_a_link(codec: VideoCodec, bad: bool) -> Vec<u64> {
    let mut world = World::new(64);
    world.join(Profile { codec, ..Profile::new(1) });
    for n in 0..9 {
        world.join(Profile { codec, looks: n == 0, ..Profile::viewer(n + 2) });
    }
    world.connect(PATIENCE);
    world.run_ms(1000);
    let ask = |world: &mut World| {
        let now = world.now;
        world.guests[9].peer.request_keyframe(now);
    };
    // As browsers do who have just come.
    ask(&mut world);
    world.run_ms(4000);
    world.guests[9].down.link = if bad { Link::lossy(0.2) } else { Link::default() };
    let (from, keyframes) = (world.now, world.guests[1].record.keyframes);
    for _ in 0..8 {
        if bad {
            ask(&mut world);
        }
        world.run_ms(1000);
    }
    let quality = world.quality(1, 0, from);
    assert!(quality.share > 0.97 && quality.longest_freeze < Duration::from_millis(120), "{quality:?}");
    assert_eq!(world.guests[1].record.keyframes, keyframes, "no keyframe for somebody else's losses");
    let renditions: std::collections::BTreeSet<_> = (1..10).map(|viewer| rendition(&mut world, viewer)).collect();
    assert_eq!(renditions.len(), if bad { 2 } else { 1 }, "{renditions:?}");
    if bad {
        assert!(world.guests[9].record.keyframes > 2, "who loses pictures is served");
    }
    world.sights(1, from).map(|sight| sight.digest).collect()
}

/// In VP8 a keyframe for all would cost them up to 2 dB.
#[test]
fn one_bad_link_among_ten_costs_the_others_nothing_in_either_codec() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let [calm, beside] = [false, true].map(|bad| beside_a_link(codec, bad));
        assert!(calm.len() >= 238 && calm == beside, "{codec:?}: the others are sent the very same pictures, bit for bit");
    }
}

#[test]
fn on_150_kbps_and_50_ms_the_sound_has_no_gap_and_the_picture_can_be_read() {
    let mut world = room(65, hd(), &[link(150)]);
    world.run_ms(7000);
    let from = world.now;
    world.run_ms(10_000);
    let (gap, packets) = sound_gap(&world, 1, from);
    println!("{packets} packets, the longest gap {gap:?}, {} pictures, {:?}", world.sights(1, from).count(), world.quality(1, 0, from));
    assert!(gap < Duration::from_millis(120) && packets >= 490, "{packets} packets, {gap:?} without");
    let (shown, quality) = (world.sights(1, from).count(), world.quality(1, 0, from));
    assert!(shown >= 70 && quality.wrong == 0 && quality.share > 0.2, "{shown} pictures, {quality:?}");
}

#[test]
fn below_what_a_moving_picture_needs_there_are_stills_beside_the_sound_and_then_sound_alone() {
    let mut world = room(68, small_canvas(), &[link(76), link(45)]);
    // A look for more goes well or does not, and the next one comes seconds later.
    world.run_ms(24_000);
    let from = world.now;
    let marks = [1, 2].map(|viewer| mark(&world, viewer));
    world.run_ms(12_000);
    let shown = [1, 2].map(|viewer| world.sights(viewer, from).count());
    println!("{shown:?} pictures in twelve seconds");
    // A look that goes well for a moment may bring one.
    assert!((2..=6).contains(&shown[0]) && shown[1] <= 1, "{shown:?} pictures");
    assert_eq!(world.quality(1, 0, from).wrong, 0);
    for (viewer, most) in [(1, 76_000.0), (2, 45_000.0)] {
        let (gap, packets) = sound_gap(&world, viewer, from);
        // A probe of a few packets takes its time here.
        assert!(gap < Duration::from_millis(300) && packets >= 570, "viewer {viewer}: {packets} packets, {gap:?} without");
        assert!(rate(&world, viewer, marks[viewer - 1]) < most, "viewer {viewer}: {}", rate(&world, viewer, marks[viewer - 1]));
        assert!(world.guests[viewer].down.longest_since(from) < Duration::from_millis(400), "viewer {viewer}");
    }
}

#[test]
fn ten_feeds_on_three_rungs_cost_three_encodes() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let mut world = World::new(66);
        world.join(Profile { watches: false, ..Profile::new(1) });
        for person in 2..12 {
            world.join(Profile { looks: false, ..Profile::viewer(person) });
        }
        world.connect(PATIENCE);
        let sizes = [(640, 360), (480, 270), (320, 180)];
        for viewer in 1..11 {
            let (width, height) = sizes[viewer % 3];
            world.patch(viewer, ParticipantPatch { max_width: Some(width), max_height: Some(height), ..Default::default() });
        }
        world.run_ms(4000);
        let encodes = || {
            let text = metrics.render();
            let line = text.lines().find_map(|line| line.strip_prefix("mixdown_encodes_total{kind=\"video\"}")).unwrap();
            line.trim().parse::<u32>().unwrap()
        };
        let before = encodes();
        world.run_ms(2000);
        let renditions: std::collections::BTreeSet<_> = (1..11).map(|viewer| rendition(&mut world, viewer)).collect();
        let coded = encodes() - before;
        assert_eq!(renditions.len(), 3, "{renditions:?}");
        assert!((175..=183).contains(&coded), "{coded} pictures in two seconds");
    });
}

#[test]
fn of_a_shared_screen_motion_is_given_up_before_letters() {
    let mut world = room(67, small_canvas(), &[Link::default()]);
    limit(&mut world, 1, 350_000);
    world.run_ms(2000);
    let from = world.now;
    world.run_ms(1000);
    assert!(world.sights(1, from).all(|sight| sight.size.height < 360) && world.sights(1, from).count() >= 28, "a camera stays smooth");
    world.reoffer(0, &[Change::Screen(Screen::Video)]);
    world.guests[0].show(Source::Screen);
    world.run_ms(3000);
    let from = world.now;
    world.run_ms(2000);
    let shown = world.sights(1, from).count();
    assert!(world.sights(1, from).all(|sight| sight.size.height == 360), "{:?}", world.sights(1, from).next());
    assert!((8..=22).contains(&shown), "{shown} pictures in two seconds");
    assert_eq!(world.quality(1, 0, from).wrong, 0);
}
