//! Pictures that are forwarded as they come, where a view shows nothing but one sender's.

use crate::guest::Profile;
use crate::network::Link;
use crate::world::World;
use metrics_exporter_prometheus::PrometheusBuilder;
use mixdown::conference::handle::Request;
use mixdown::room::model::{ParticipantPatch, Selector, ViewPatch};
use mixdown::room::{Expect, MAIN_VIEW};
use mixdown_codecs::{Size, VideoCodec};
use mixdown_layouts::Layout;
use mixdown_layouts::layout::{ActiveSpeaker, Kind, Transition};
use std::time::{Duration, Instant};

const PICTURE: Duration = Duration::from_micros(33_334);

fn bare(labels: bool) -> Layout {
    let active_speaker = ActiveSpeaker { border: false, ..ActiveSpeaker::default() };
    let transition = Transition { ms: 0, ..Transition::default() };
    Layout { kind: Kind::Single, labels, active_speaker, transition, ..Layout::default() }
}

fn show(world: &mut World, labels: bool) {
    let layout = bare(labels);
    put(world, MAIN_VIEW, ViewPatch { layout: Some(layout), ..ViewPatch::default() });
}

fn put(world: &mut World, view: &str, settings: ViewPatch) {
    let view = view.to_owned();
    world.ask(|reply| Request::PutView { view, settings: Box::new(settings), expect: Expect::Anything, reply }).unwrap();
}

/// One who shows, two who watch, and nothing over the picture.
fn room(codec: VideoCodec) -> World {
    let mut world = World::new(71);
    world.join(Profile { codec, size: Size::new(640, 360), watches: false, ..Profile::new(1) });
    for person in [2, 3] {
        world.join(Profile { codec, ..Profile::viewer(person) });
    }
    show(&mut world, false);
    world.connect(Duration::from_secs(3));
    world.run_ms(5000);
    world
}

/// How many pictures since `from` are the sender's own, and how many there are.
fn own(world: &World, viewer: usize, from: Instant) -> (usize, usize) {
    let sent = &world.guests[0].sent;
    (world.sights(viewer, from).filter(|sight| sent.contains(&sight.digest)).count(), world.sights(viewer, from).count())
}

/// The longest time without a picture since `from`, and whether each showed the sender.
fn steady(world: &World, viewer: usize, from: Instant) -> (Duration, bool) {
    let times: Vec<Instant> = world.sights(viewer, from).map(|sight| sight.at).collect();
    let seen = world.sights(viewer, from).all(|sight| sight.codes.iter().all(|(_, code)| code.is_some_and(|code| code.person == 1)));
    (times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX), seen)
}

#[test]
fn a_sender_s_pictures_are_forwarded_as_they_come_with_nothing_decoded_or_encoded() {
    for codec in [VideoCodec::Vp8, VideoCodec::H264] {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let mut world = room(codec);
            let count = |kind: &str| {
                let text = metrics.render();
                let line = text.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or("0");
                line.trim().parse::<u64>().unwrap()
            };
            let (encodes, decodes) = ("mixdown_encodes_total{kind=\"video\"}", "mixdown_decodes_total{kind=\"video\"}");
            let before = [count(encodes), count(decodes)];
            assert!(before.iter().all(|count| *count > 0), "composed at first: {before:?}");
            let from = world.now;
            world.run_ms(3000);
            assert_eq!([count(encodes), count(decodes)], before, "{codec:?}: nothing is coded");
            for viewer in [1, 2] {
                let (own, all) = own(&world, viewer, from);
                assert!(all >= 89, "{codec:?}: {all} pictures in three seconds");
                // The depacketiser writes start codes of its own into H.264.
                assert!(own == all || codec == VideoCodec::H264, "{own} of {all} are the sender's");
                assert_eq!(world.quality(viewer, 0, from).wrong, 0);
            }
            let asked = world.guests[0].peer.stats().keyframe_requests_received;
            for _ in 0..4 {
                let now = world.now;
                world.guests[1].peer.request_keyframe(now);
                world.run_ms(1000);
            }
            let asked = world.guests[0].peer.stats().keyframe_requests_received - asked;
            assert_eq!(asked, 2, "{codec:?}: who lost something asks the sender, but not all the time");
        });
    }
}

#[test]
fn it_goes_over_to_the_composite_and_back_without_a_seam() {
    for codec in [VideoCodec::Vp8, VideoCodec::H264] {
        let mut world = room(codec);
        let (start, gaps) = (world.now, world.guests[1].record.gaps);
        world.run_ms(500);
        for labels in [true, false] {
            show(&mut world, labels);
            let from = world.now;
            world.run_ms(5000);
            for viewer in [1, 2] {
                let (gap, seen) = steady(&world, viewer, from);
                assert!(seen, "{codec:?}, labels {labels}: no picture without the sender");
                assert!(gap <= PICTURE * 2, "{codec:?}, labels {labels}: no picture for {gap:?}");
                let quality = world.quality(viewer, 0, from);
                assert!(quality.longest_freeze <= PICTURE * 5 / 2 && quality.backwards == 0, "{codec:?}, labels {labels}: {quality:?}");
            }
            let (own, all) = own(&world, 1, world.now - Duration::from_secs(1));
            assert!(codec == VideoCodec::H264 || own == if labels { 0 } else { all }, "labels {labels}: {own} of {all} are the sender's");
        }
        let times: Vec<u64> = world.sights(1, start).map(|sight| sight.rtp_time).collect();
        assert!(times.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] < 9_000), "{codec:?}: time goes on");
        assert_eq!(world.guests[1].record.gaps, gaps, "{codec:?}: numbers go on");
    }
}

#[test]
fn losses_on_the_way_up_and_a_camera_that_stops_are_seen_as_in_the_composite() {
    let mut world = room(VideoCodec::Vp8);
    world.links(0, Link::lossy(0.05), Link::default());
    let from = world.now;
    world.run_ms(6000);
    let quality = world.quality(1, 0, from);
    let (own, all) = own(&world, 1, from);
    assert!(own * 10 >= all * 9, "{own} of {all} are forwarded");
    assert!(quality.wrong == 0 && quality.share > 0.9 && quality.longest_freeze < Duration::from_millis(500), "{quality:?}");
    world.links(0, Link::default(), Link::default());
    world.guests[0].stalled = true;
    world.run_ms(7000);
    let last = world.guests[1].record.sights.last().unwrap();
    assert!(last.codes.iter().all(|(_, code)| code.is_none()) && world.now - last.at < Duration::from_secs(1), "an avatar: {last:?}");
    world.guests[0].stalled = false;
    world.run_ms(6000);
    let from = world.now;
    world.run_ms(1000);
    let (own, all) = self::own(&world, 1, from);
    assert!(own == all && all >= 29, "{own} of {all}");
}

#[test]
fn a_thin_link_is_served_apart() {
    let mut world = World::new(72);
    world.join(Profile { size: Size::new(640, 360), watches: false, ..Profile::vp8(1) });
    for person in [2, 3] {
        world.join(Profile { codec: VideoCodec::Vp8, ..Profile::viewer(person) });
    }
    world.links(2, Link::default(), Link { rate_bps: Some(400_000), queue: Duration::from_secs(1), ..Link::default() });
    show(&mut world, false);
    world.connect(Duration::from_secs(3));
    world.run_ms(8000);
    let from = world.now;
    world.run_ms(3000);
    let (forwarded, all) = own(&world, 1, from);
    assert!(forwarded == all && all >= 89, "{forwarded} of {all} go to whom they fit");
    let (forwarded, all) = own(&world, 2, from);
    assert!(forwarded == 0 && all >= 30, "{forwarded} of {all} go to whom they do not");
}

#[test]
fn who_may_not_see_the_sender_any_more_sees_nothing_of_them_from_that_moment_on_and_the_others_go_on() {
    let mut world = room(VideoCodec::Vp8);
    let apart = ViewPatch { layout: Some(bare(false)), ..ViewPatch::default() };
    put(&mut world, "apart", apart.clone());
    world.patch(2, ParticipantPatch { view: Some("apart".into()), ..Default::default() });
    // Nothing is on its way for long.
    world.links(2, Link { delay: Duration::ZERO, ..Link::default() }, Link { delay: Duration::ZERO, ..Link::default() });
    world.run_ms(5000);
    let from = world.now;
    world.run_ms(1000);
    for viewer in [1, 2] {
        let (own, all) = own(&world, viewer, from);
        assert!(own == all && all >= 29, "{own} of {all} are forwarded");
    }
    // Whenever that falls between two pictures of hers and two of the composite.
    for _ in 0..6 {
        world.run_ms(6);
        let exclude = Some(vec![Selector::Participant(world.guests[0].id.unwrap())]);
        put(&mut world, "apart", ViewPatch { exclude, ..apart.clone() });
        world.run_ms(1);
        let from = world.now;
        world.run_ms(2000);
        let (forwarded, all) = own(&world, 2, from);
        assert!(forwarded == 0 && all >= 1, "{forwarded} of {all} are of somebody who may not be seen");
        let first = world.sights(2, from).next().unwrap().at - from;
        assert!(first < Duration::from_millis(500), "{first:?} without a picture");
        let (forwarded, all) = own(&world, 1, from);
        assert!(forwarded == all && all >= 59, "{forwarded} of {all}: nobody else notices");
        put(&mut world, "apart", ViewPatch { exclude: Some(Vec::new()), ..apart.clone() });
        world.run_ms(5000);
    }
}
