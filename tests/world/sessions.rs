//! Sessions that change while media flow: new networks, new offers, other clocks, many comings and goings
//! (docs/faults.md, F4, F15, F19, F26).

use crate::guest::Profile;
use crate::network::Link;
use crate::world::World;
use mixdown::client::{Change, Screen};
use mixdown::ids::Source;
use std::time::{Duration, Instant};

fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join(Profile::new(1));
    world.join(Profile::vp8(2));
    world.connect(Duration::from_secs(3));
    world.run_ms(2000);
    world
}

/// Everything is as it should be over two seconds from now.
fn assert_well(world: &mut World) {
    let from = world.now;
    world.run_ms(2000);
    for (viewer, shown) in [(0, 1), (1, 0)] {
        let quality = world.quality(viewer, shown, from);
        assert!(quality.share > 0.95 && quality.wrong == 0, "{viewer} sees {shown}: {quality:?}");
        assert!(world.hears(viewer, shown, 1000) > 0.08, "{viewer} hears {shown}");
    }
}

/// F15: by fragment and by offer.
#[test]
fn an_ice_restart_interrupts_neither_picture_nor_sound() {
    let mut world = pair(41);
    let id = world.guests[0].id;
    let from = world.now;
    let fragment = world.guests[0].peer.ice_restart().unwrap();
    let answer = world.trickle(0, fragment).expect("it is answered");
    let now = world.now;
    world.guests[0].peer.accept_fragment(now, &answer.sdp).unwrap();
    world.run_ms(1500);
    world.reoffer(0, &[Change::IceRestart]);
    world.run_ms(1500);
    for (viewer, shown) in [(0, 1), (1, 0)] {
        let quality = world.quality(viewer, shown, from);
        assert!(quality.longest_freeze < Duration::from_millis(300), "{quality:?}");
    }
    assert_eq!(world.guests[0].id, id);
    assert_eq!(world.participant(0).unwrap().participant.state, mixdown::room::model::State::Connected);
    assert_well(&mut world);
}

/// F15: another network altogether, with an ICE restart.
#[test]
fn a_client_that_moves_to_another_network_is_back_within_a_second_and_a_half() {
    let mut world = pair(43);
    let id = world.guests[0].id;
    let moved = "10.7.7.7:7000".parse().unwrap();
    (world.guests[0].address, world.guests[0].public) = (moved, moved);
    let now = world.now;
    world.guests[0].peer.add_candidate(now, moved).unwrap();
    world.reoffer(0, &[Change::IceRestart]);
    world.run_ms(1500);
    assert_well(&mut world);
    assert_eq!(world.guests[0].id, id);
}

#[test]
fn a_screen_is_added_and_the_camera_dropped_and_the_screen_takes_the_larger_tile() {
    let mut world = pair(44);
    world.reoffer(0, &[Change::Screen(Screen::Video)]);
    world.guests[0].show(Source::Screen);
    world.run_ms(2000);
    let area = |tile: &serde_json::Value| tile["width"].as_f64().unwrap() * tile["height"].as_f64().unwrap();
    let tiles = world.guests[1].messages_of("tiles").last().unwrap()["tiles"].as_array().unwrap().clone();
    let screen = tiles.iter().find(|tile| tile["source"] == "screen").unwrap_or_else(|| panic!("no screen in {tiles:?}"));
    assert!(tiles.iter().all(|tile| tile["source"] == "screen" || area(tile) < area(screen) / 2.0), "{tiles:?}");
    world.reoffer(0, &[Change::Camera(false)]);
    world.run_ms(1500);
    let tracks = world.participant(0).unwrap().participant.tracks;
    assert!(
        tracks.iter().any(|track| track.source == Source::Screen) && tracks.iter().all(|track| track.source != Source::Camera),
        "{tracks:?}"
    );
    let from = world.now;
    world.run_ms(1500);
    assert!(world.quality(1, 0, from).share > 0.95, "the screen shows: {:?}", world.quality(1, 0, from));
    world.reoffer(0, &[Change::Screen(Screen::Off), Change::Camera(true)]);
    world.guests[0].show(Source::Camera);
    world.run_ms(2000);
    assert_well(&mut world);
}

/// F19: half of a coded picture is missing although every packet arrived.
#[test]
fn a_damaged_picture_is_never_shown_and_the_tile_moves_again_within_a_second() {
    for mut world in [pair(45), {
        let mut world = pair(46);
        world.guests.swap(0, 1);
        world
    }] {
        let before = world.guests[0].peer.stats().keyframe_requests_received;
        let from = world.now;
        world.guests[0].cut_next = true;
        world.run_ms(100);
        assert!(world.guests[0].peer.stats().keyframe_requests_received > before, "a keyframe is asked for at once");
        world.run_ms(1900);
        let quality = world.quality(1, 0, from);
        assert!(quality.wrong == 0 && quality.longest_freeze < Duration::from_millis(400), "{quality:?}");
        assert!(!world.sights(1, from).any(|sight| sight.green));
    }
}

/// F26.
#[test]
fn sample_clocks_that_drift_by_100_ppm_are_followed_without_a_gap() {
    let mut world = World::new(47);
    for (person, ppm) in [(1, 100.0), (2, -100.0)] {
        let size = mixdown_codecs::Size::new(160, 90);
        world.join(Profile { drift_ppm: ppm, size, ..Profile::new(person) });
    }
    world.connect(Duration::from_secs(3));
    world.run_ms(2000);
    for minute in 0..2 {
        let from = world.now;
        let mut weak = 0;
        for second in 0..60 {
            world.run_ms(1000);
            for (listener, singer) in [(0, 1), (1, 0)] {
                // A tone that pauses within the second is weaker, and one that is stretched by 20 ms, as every few minutes.
                let heard = world.hears(listener, singer, 1000);
                assert!(heard > 0.05, "{minute}:{second}: {listener} hears {heard} of {singer}");
                weak += usize::from(heard < 0.12);
            }
        }
        assert!(weak <= 3, "{weak} weak seconds in minute {minute}");
        for (viewer, shown) in [(0, 1), (1, 0)] {
            let quality = world.quality(viewer, shown, from);
            assert!(quality.share > 0.98 && quality.median_age_ms < 100.0, "minute {minute}: {quality:?}");
        }
        world.guests.iter_mut().for_each(|guest| guest.record.forget());
    }
}

/// F4, F14: people come and go, some without a word.
#[test]
fn fifty_comings_and_goings_leave_nothing_behind() {
    let mut world = World::new(48);
    for n in 0..50 {
        let mut profile = if n % 2 == 0 { Profile::new(1) } else { Profile::vp8(2) };
        profile.looks = false;
        let guest = world.join(profile);
        world.connect(Duration::from_secs(3));
        world.run_ms(200);
        if n % 5 == 0 {
            world.guests[guest].gone = true;
        } else {
            world.leave(guest);
        }
    }
    world.run_ms(31_500);
    assert!(world.hub.is_empty());
    assert_eq!(world.ask(mixdown::conference::handle::Request::Participants).unwrap().len(), 0);
    let before = world.network.carried;
    world.run_ms(5000);
    assert_eq!(world.network.carried, before, "nothing is sent to anybody");
    // And the room is as good as new.
    world.join(Profile::new(1));
    world.join(Profile::vp8(2));
    world.connect(Duration::from_secs(3));
    world.run_ms(1500);
    let from = world.now;
    world.run_ms(1500);
    assert!(world.quality(50, 51, from).share > 0.95 && world.quality(51, 50, from).share > 0.95);
}

/// By how many milliseconds the sound of each second comes earlier than its picture, by the timestamps that receivers go by.
fn leads(world: &World, viewer: usize, shown: usize, from: Instant) -> Vec<f64> {
    let (record, sender) = (&world.guests[viewer].record, &world.guests[shown]);
    let life = |rtp_time: u64, rate: f64| rtp_time as f64 / rate - (sender.born() - world.start).as_secs_f64();
    let pictures = world.sights(viewer, from).filter_map(|sight| {
        let code = sight.codes.iter().find(|(tile, _)| Some(*tile) == sender.id)?.1?;
        Some((f64::from(code.frame) / f64::from(sender.profile.fps), life(sight.rtp_time, 90_000.0)))
    });
    let pictures: Vec<(f64, f64)> = pictures.collect();
    let mut quiet = 0;
    let mut leads = Vec::new();
    for ((at, rtp_time), samples) in record.sound_packets.iter().zip(record.sound.chunks(1920)) {
        for (n, sample) in samples.iter().step_by(2).enumerate() {
            if sample.abs() > 0.04 && quiet > 14_400 && *at >= from {
                let heard = life(rtp_time + n as u64, 48_000.0);
                let beep = heard.floor();
                let mut late: Vec<f64> =
                    pictures.iter().filter(|(taken, _)| (taken - beep).abs() < 0.1).map(|(taken, seen)| seen - taken).collect();
                late.sort_by(f64::total_cmp);
                leads.extend(late.get(late.len() / 2).map(|late| (late - (heard - beep)) * 1000.0));
            }
            quiet = if sample.abs() > 0.04 { 0 } else { quiet + 1 };
        }
    }
    leads
}

/// The first packets come all at once, when the connection has come about.
#[test]
fn sound_and_picture_are_together_from_the_first_seconds_on() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let viewer = world.join(Profile::viewer(2));
        world.connect(Duration::from_secs(3));
        let sender = world.join(Profile { beeps: true, watches: false, ..Profile::new(1) });
        let link = Link { delay: Duration::from_millis(5 + 3 * seed), ..Link::default() };
        world.links(sender, link.clone(), link);
        world.connect(Duration::from_secs(3));
        let from = world.now + Duration::from_millis(700);
        world.run_ms(8_000);
        let leads = leads(&world, viewer, sender, from);
        println!("{seed}: sound leads by {leads:.0?}");
        assert!(leads.len() >= 6, "{leads:?}");
        assert!(leads.iter().all(|lead| lead.abs() <= 30.0), "{leads:?}");
    }
}

/// F27: pictures that leave 200 ms after the sound of the same moment, over a bad link.
#[test]
fn f27_sound_and_picture_meet_though_pictures_leave_late_and_both_are_lost_and_shaken_on_the_way() {
    let bad = Link { jitter: Duration::from_millis(100), ..Link::lossy(0.05) };
    for (coding, link) in [(0, Link::default()), (200, Link::default()), (200, bad)] {
        let mut world = World::new(49);
        let sender = world.join(Profile { beeps: true, coding: Duration::from_millis(coding), watches: false, ..Profile::new(1) });
        let viewer = world.join(Profile::viewer(2));
        world.links(sender, link, Link::default());
        world.connect(Duration::from_secs(3));
        world.run_ms(15_000);
        let from = world.now;
        world.run_ms(20_000);
        let mut leads = leads(&world, viewer, sender, from);
        leads.sort_by(f64::total_cmp);
        println!("pictures {coding} ms later: sound leads by {leads:.0?}");
        assert!(leads.len() >= 18, "{leads:?}");
        let within = leads.iter().filter(|lead| lead.abs() <= 60.0).count();
        assert!(within * 100 >= leads.len() * 95, "{leads:?}");
        assert!(leads[0] >= -185.0 && *leads.last().unwrap() <= 90.0, "{leads:?}");
    }
}
