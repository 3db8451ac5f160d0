//! Faults of senders and streams (docs/faults.md, F6, F14, F19–F23).

use crate::guest::Profile;
use crate::world::World;
use mixdown::media::Orientation;
use mixdown_codecs::Size;
use std::time::Duration;

fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join(Profile::new(1));
    world.join(Profile::new(2));
    world.connect(Duration::from_secs(3));
    world.run_ms(2000);
    world
}

/// F14.
#[test]
fn a_vanished_guest_is_out_within_thirty_seconds_and_a_mute_one_is_not() {
    let mut world = pair(21);
    let silent = world.join(Profile::viewer(3));
    world.connect(Duration::from_secs(3));
    world.guests[0].gone = true;
    world.run_ms(31_500);
    assert_eq!(world.participant(0).unwrap().participant.state, mixdown::room::model::State::Disconnected);
    assert_eq!(world.participant(silent).unwrap().participant.state, mixdown::room::model::State::Connected);
}

/// The stall ladder: last picture, keyframe request, avatar, back.
#[test]
fn a_stalled_camera_keeps_its_last_picture_then_becomes_an_avatar_and_comes_back() {
    let mut world = pair(22);
    world.guests[0].stalled = true;
    world.run_ms(3000);
    let asked = world.guests[0].peer.stats().keyframe_requests_received;
    let id = world.guests[0].id.unwrap();
    let shown = |world: &World| {
        let last = world.guests[1].record.sights.last().unwrap();
        last.codes.iter().any(|(tile, code)| *tile == id && code.is_some())
    };
    assert!(shown(&world), "the last picture stays for five seconds");
    assert!(asked >= 1, "a keyframe was asked for");
    world.run_ms(3500);
    assert!(!shown(&world), "after five seconds there is an avatar");
    world.guests[0].stalled = false;
    let from = world.now;
    world.run_ms(2500);
    assert!(shown(&world));
    assert!(world.quality(1, 0, from + Duration::from_millis(1200)).share > 0.9);
}

/// F21.
#[test]
fn resolution_changes_show_no_black_or_green_frame() {
    let mut world = pair(23);
    for size in [(640, 360), (160, 90), (480, 270), (322, 182), (320, 180)] {
        let from = world.now;
        world.guests[0].resize(Size::new(size.0, size.1));
        world.run_ms(3000);
        assert!(!world.sights(1, from).any(|sight| sight.green), "green at {size:?}");
        let quality = world.quality(1, 0, from);
        assert!(quality.longest_freeze < Duration::from_millis(200), "{size:?}: {quality:?}");
        assert!(world.quality(1, 1, from).longest_freeze < Duration::from_millis(150), "the other tile stood still at {size:?}");
    }
}

/// F22.
#[test]
fn a_turned_phone_is_shown_upright() {
    let mut world = pair(24);
    // the sender's picture lies on its side as of now; upright it would be unreadable for the oracle,
    // turned back by the server the code of a square-cropped picture is gone, so only the tile's ratio is asked
    world.guests[0].orientation = Orientation { quarter_turns: 1, flip: false };
    world.run_ms(1500);
    let tracks = world.participant(0).unwrap().participant.tracks;
    let camera = tracks.iter().find(|track| track.width.is_some()).unwrap();
    assert_eq!((camera.width, camera.height), (Some(180), Some(320)), "upright size");
    world.guests[0].orientation = Orientation::default();
    world.run_ms(1500);
    let from = world.now;
    world.run_ms(1000);
    assert!(world.quality(1, 0, from).share > 0.9);
}

/// F40: what a mix or a view leaves behind when it dies is a room without sound or picture, so the room ends.
#[test]
fn a_room_whose_mix_died_sends_everybody_away_and_says_why() {
    let mut world = pair(27);
    world.take_events();
    world.fail("mix");
    world.run_ms(500);
    assert!(world.conference.has_failed());
    assert!(world.guests.iter().all(|guest| guest.record.closed), "everybody was told at once");
    let gone = world.participant(0).unwrap().participant;
    assert_eq!(gone.reason_code, Some(mixdown::peer::types::CloseReason::InternalError));
    assert_eq!(world.take_events(), ["participant.left", "participant.left"]);
    assert!(world.hub.is_empty());
}

/// F6.
#[test]
fn a_storm_of_keyframe_requests_costs_two_keyframes_a_second() {
    let mut world = pair(25);
    let before = world.guests[1].record.keyframes;
    for _ in 0..300 {
        let now = world.now;
        for _ in 0..10 {
            world.guests[0].peer.request_keyframe(now);
        }
        world.run_ms(10);
    }
    let keyframes = world.guests[1].record.keyframes - before;
    assert!((1..=7).contains(&keyframes), "{keyframes} in three seconds");
}

#[test]
fn nobody_watching_means_that_no_encoder_runs_and_senders_are_not_decoded() {
    let mut world = World::new(26);
    let mut publisher = Profile::new(1);
    publisher.watches = false;
    let index = world.join(publisher);
    world.connect(Duration::from_secs(3));
    world.run_ms(2000);
    let tracks = world.participant(index).unwrap().participant.tracks;
    assert!(tracks.iter().all(|track| track.width.is_none()), "decoded though nobody watches: {tracks:?}");
    // and it starts for the first one who does
    let viewer = world.join(Profile::viewer(2));
    world.connect(Duration::from_secs(3));
    let from = world.now;
    world.run_ms(2500);
    assert!(world.quality(viewer, index, from + Duration::from_millis(1000)).share > 0.9);
}
