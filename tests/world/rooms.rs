//! A conference as it should be.

use crate::guest::Profile;
use crate::world::World;
use mixdown::room::model::ParticipantPatch;
use mixdown_codecs::{AudioCodec, Size};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Connects `profiles` and lets the room settle for two seconds.
fn room(profiles: Vec<Profile>) -> World {
    let mut world = World::new(7);
    for profile in profiles {
        world.join(profile);
    }
    world.connect(PATIENCE);
    world.run_ms(2000);
    world
}

#[test]
fn everybody_sees_everybody_in_the_tile_that_the_map_names() {
    let mut world = room(vec![Profile::new(1), Profile::vp8(2), Profile::new(3)]);
    let from = world.now;
    world.run_ms(3000);
    for viewer in 0..3 {
        let sights: Vec<_> = world.sights(viewer, from).collect();
        assert!(sights.windows(2).all(|pair| pair[0].rtp_time < pair[1].rtp_time), "time goes on");
        assert!(sights.iter().all(|sight| sight.size == Size::new(640, 360)));
        for shown in 0..3 {
            let quality = world.quality(viewer, shown, from);
            assert_eq!(quality.wrong, 0, "{viewer} sees somebody else in {shown}'s tile");
            assert!(quality.share > 0.95, "{viewer} sees {shown}: {quality:?}");
            assert!(quality.longest_freeze < Duration::from_millis(150), "{viewer} sees {shown}: {quality:?}");
            assert_eq!(quality.backwards, 0);
            assert!(quality.median_age_ms < 120.0, "{viewer} sees {shown}: {quality:?}");
        }
    }
}

#[test]
fn everybody_hears_the_others_and_not_themselves() {
    let mut pcmu = Profile::new(3);
    pcmu.audio = AudioCodec::Pcmu;
    let mut world = room(vec![Profile::new(1), Profile::vp8(2), pcmu]);
    world.run_ms(2000);
    for listener in 0..3 {
        for singer in 0..3 {
            let loudness = world.hears(listener, singer, 1000);
            if listener == singer {
                assert!(loudness < 0.01, "{listener} hears himself at {loudness}");
            } else {
                assert!(loudness > 0.1, "{listener} hears {singer} at {loudness}");
            }
        }
    }
}

#[test]
fn a_late_joiner_sees_a_picture_within_a_second_of_being_connected() {
    let mut world = room(vec![Profile::new(1), Profile::new(2)]);
    let late = world.join(Profile::vp8(3));
    world.connect(PATIENCE);
    world.run_ms(1500);
    let record = &world.guests[late].record;
    let wait = record.first_picture.unwrap() - record.connected.unwrap();
    assert!(wait <= Duration::from_secs(1), "waited {wait:?}");
}

#[test]
fn equal_subscribers_cost_one_encode_and_one_keyframe() {
    let mut world = room(vec![Profile::new(1), Profile::new(2), Profile::viewer(3), Profile::viewer(4)]);
    let feeds: Vec<_> = (0..4).map(|guest| world.participant(guest).unwrap().participant.feed.unwrap().rendition.unwrap()).collect();
    assert!(feeds.iter().all(|feed| *feed == feeds[0]), "{feeds:?}");
}

#[test]
fn a_muted_participant_is_neither_heard_nor_seen() {
    let mut world = room(vec![Profile::new(1), Profile::new(2)]);
    world.patch(0, ParticipantPatch { muted_audio: Some(true), muted_video: Some(true), ..Default::default() });
    world.run_ms(500);
    let from = world.now;
    let heard = world.guests[1].record.sound.len();
    world.run_ms(1500);
    let sound = &world.guests[1].record.sound[heard..];
    assert!(crate::content::loudness(sound, crate::content::tone(1)) < 0.01, "still heard");
    assert!(world.quality(1, 0, from).share < 0.01, "the camera is still shown");
    assert!(world.quality(1, 1, from).share > 0.9);
    world.patch(0, ParticipantPatch { muted_audio: Some(false), muted_video: Some(false), ..Default::default() });
    world.run_ms(1500);
    let from = world.now;
    world.run_ms(1500);
    assert!(world.hears(1, 0, 1000) > 0.1);
    assert!(world.quality(1, 0, from).share > 0.9);
}

#[test]
fn leaving_frees_the_tile_at_once_and_the_others_go_on() {
    let mut world = room(vec![Profile::new(1), Profile::new(2), Profile::new(3)]);
    world.leave(2);
    world.run_ms(300);
    let from = world.now;
    world.run_ms(1500);
    assert!(world.sights(0, from).all(|sight| sight.codes.len() == 2));
    let quality = world.quality(0, 1, from);
    assert!(quality.share > 0.95 && quality.longest_freeze < Duration::from_millis(150), "{quality:?}");
    assert!(world.participant(2).is_err(), "left participants are gone");
}

#[test]
fn a_simulcast_sender_is_decoded_in_the_layer_that_the_tile_needs() {
    let mut sender = Profile::new(1);
    sender.simulcast = true;
    sender.size = Size::new(640, 360);
    let mut world = room(vec![sender, Profile::new(2), Profile::new(3), Profile::new(4)]);
    let from = world.now;
    world.run_ms(2000);
    assert!(world.quality(1, 0, from).share > 0.9, "{:?}", world.quality(1, 0, from));
    let tracks = world.participant(0).unwrap().participant.tracks;
    let camera = tracks.iter().find(|track| track.width.is_some()).unwrap();
    assert_eq!(camera.height, Some(180), "four tiles of a 360p canvas need 180 lines: {tracks:?}");
}

#[test]
fn chat_reaches_everybody_and_late_comers_too() {
    let mut world = room(vec![Profile::new(1), Profile::new(2)]);
    let now = world.now;
    world.guests[0].peer.send_message(now, r#"{"type":"chat","text":"hello"}"#).unwrap();
    world.run_ms(500);
    assert!(
        world.guests[1]
            .messages_of("chat")
            .any(|message| message["text"] == "hello" && message["name"] == "person 1" && message["history"] == false)
    );
    let late = world.join(Profile::viewer(3));
    world.connect(PATIENCE);
    world.run_ms(500);
    assert!(world.guests[late].messages_of("chat").any(|message| message["text"] == "hello" && message["history"] == true));
    assert!(world.guests[late].messages_of("hello").next().is_some());
    let roster = world.guests[late].messages_of("roster").last().unwrap();
    assert_eq!(roster["participants"].as_array().unwrap().len(), 3);
}

#[test]
fn the_floor_passes_to_who_speaks_and_not_to_an_interjection() {
    let mut first = Profile::new(1);
    (first.sings_from, first.sings_to) = (0, 6000);
    let mut second = Profile::new(2);
    (second.sings_from, second.sings_to) = (8000, 20_000);
    let mut cough = Profile::new(3);
    (cough.sings_from, cough.sings_to) = (12_000, 12_300);
    let mut world = World::new(3);
    for profile in [first, second, cough] {
        world.join(profile);
    }
    world.connect(PATIENCE);
    let speaker = |world: &World| {
        let last = world.guests[0].messages_of("speaker").last().map(|message| message["participant"].as_str().unwrap().to_owned());
        last.and_then(|id| world.guests.iter().position(|guest| guest.id.unwrap().to_string() == id))
    };
    world.run_ms(4000);
    assert_eq!(speaker(&world), Some(0));
    world.run_ms(7000);
    assert_eq!(speaker(&world), Some(1));
    world.run_ms(4000);
    assert_eq!(speaker(&world), Some(1), "a cough took the floor");
}
