//! Stories of a client peer.

use super::testing::{CLIENT, World, picture};
use super::*;
use crate::ids::Source;
use crate::media::Orientation;
use crate::peer::types::{Datagram, Transport};
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::net::SocketAddr;
use str0m::{
    change::SdpOffer,
    media::{Direction, KeyframeRequestKind, MediaKind},
};

#[test]
fn pictures_sound_and_messages_go_both_ways_through_ten_per_cent_of_loss() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut world = World::connected(Config { video_codecs: vec![codec], ..Config::default() });
        let video = world.seen.media.iter().find(|media| media.1 == MediaKind::Video).unwrap().0;
        world.run(500);
        world.loss = 0.1;
        for n in 0..90 {
            if n == 85 {
                world.loss = 0.0; // what is lost last is missed by nobody
            }
            world.camera(n, n == 0, None);
            world.composite(video, n, n == 0);
            let packet = Packet { source: Source::Microphone, data: vec![1; 80].into(), rtp_time: n * 960, level_dbov: Some(-23) };
            world.peer.send_audio(world.now, &packet).unwrap();
            world.run(33);
        }
        world.peer.send_message(world.now, r#"{"type":"chat"}"#).unwrap();
        world.run(2_000);
        let up: Vec<u8> = world.seen.pictures.iter().map(|picture| picture.2).collect();
        assert_eq!(up, (0..90).collect::<Vec<u8>>(), "every picture up arrived, in order");
        assert_eq!(world.received(), (0..90).collect::<Vec<u8>>(), "every picture down arrived, in order");
        assert_eq!(world.seen.pictures[40].3 - world.seen.pictures[0].3, 40 * 3_000, "the timestamp wraps without a jump");
        assert_eq!(world.seen.orientation, Some(str0m::rtp::VideoOrientation::Deg270));
        assert!(world.seen.levels.len() > 70 && world.seen.levels.iter().all(|level| *level == Some(-23)));
        assert_eq!(world.seen.messages, [r#"{"type":"chat"}"#]);
        assert!(world.peer.stats().nacks_sent > 0);
        assert_eq!(world.peer.stats().pictures, 90);
    }
}

#[test]
fn keyframe_requests_reach_the_other_side_in_both_directions() {
    let mut world = World::connected(Config::default());
    let video = world.seen.media.iter().find(|media| media.1 == MediaKind::Video).unwrap().0;
    world.camera(0, true, None);
    world.composite(video, 0, true);
    world.run(100);
    assert!(world.peer.request_keyframe(world.now));
    world.server.writer(video).unwrap().request_keyframe(None, KeyframeRequestKind::Pli).unwrap();
    world.run(1_000);
    assert_eq!(world.seen.keyframe_requests, 1);
    let asked = world.events.iter().any(|e| matches!(e, Event::KeyframeRequested { source: Source::Camera, rid: None }));
    assert!(asked);
}

#[test]
fn a_simulcast_camera_sends_each_layer_and_receives_the_composite_on_a_line_of_its_own() {
    let rids = ["q", "h", "f"].map(String::from).to_vec();
    let mut world = World::connected(Config { camera: Camera::Simulcast(rids.clone()), ..Config::default() });
    let down = world.seen.media.iter().find(|m| m.1 == MediaKind::Video && m.2 == Direction::SendOnly).unwrap().0;
    for n in 0..30 {
        for rid in &rids {
            world.camera(n, n == 0, Some(rid));
        }
        world.composite(down, n, n == 0);
        world.run(33);
    }
    world.run(500);
    for rid in &rids {
        let layer = world.seen.pictures.iter().filter(|picture| picture.1.as_deref() == Some(rid)).count();
        assert!(layer >= 28, "layer {rid}: {layer} of 30");
    }
    assert_eq!(world.received().len(), 30);
    let bare = Picture { source: Source::Camera, rid: None, data: vec![0].into(), rtp_time: 0, orientation: Orientation::default() };
    assert!(matches!(world.peer.send_video(world.now, &bare), Err(Error::NotNegotiated(Source::Camera))));
}

#[test]
fn a_screen_comes_by_a_new_offer_marked_as_slides_and_the_camera_goes_while_the_composite_stays() {
    let mut world = World::connected(Config::default());
    let camera = world.seen.media.iter().find(|media| media.1 == MediaKind::Video).unwrap().0;
    let offer = world.peer.reoffer(&[Change::Screen(Screen::Video), Change::Camera(false)]).unwrap();
    assert_eq!(offer.matches("a=content:slides").count(), 1);
    world.answer(&offer);
    world.run(100);
    let data = picture(VideoCodec::H264, 9, true, 20_000);
    let shown = Picture { source: Source::Screen, rid: None, data, rtp_time: 0, orientation: Orientation::default() };
    world.peer.send_video(world.now, &shown).unwrap();
    world.composite(camera, 3, true);
    world.run(500);
    let screen = world.seen.media.iter().filter(|media| media.1 == MediaKind::Video).nth(1).unwrap().0;
    assert_eq!(world.seen.pictures.last().map(|picture| (picture.0, picture.2)), Some((screen, 9)));
    assert_eq!(world.received(), [3]);
    assert_eq!(world.server.media(camera).unwrap().direction(), Direction::SendOnly);
    let offer = world.peer.reoffer(&[Change::Screen(Screen::Off), Change::Camera(true)]).unwrap();
    world.answer(&offer);
    assert_eq!(world.server.media(screen).unwrap().direction(), Direction::Inactive);
    assert_eq!(world.server.media(camera).unwrap().direction(), Direction::SendRecv);
}

#[test]
fn an_ice_restart_by_fragment_changes_the_credentials_and_media_go_on() {
    let mut world = World::connected(Config::default());
    world.camera(0, true, None);
    world.run(200);
    let fragment = world.peer.ice_restart().unwrap();
    assert!(fragment.starts_with("a=ice-ufrag:") && fragment.contains("a=candidate:"));
    let offer = SdpOffer::from_sdp_string(world.peer.local_description()).unwrap();
    let answer = world.server.sdp_api().accept_offer(offer).unwrap().to_sdp_string();
    world.drain_server();
    world.peer.accept_fragment(world.now, &sdp::fragment(&answer)).unwrap();
    world.run(2_000);
    assert!(world.peer.is_connected());
    world.camera(1, false, None);
    world.run(200);
    assert_eq!(world.seen.pictures.len(), 2);
}

#[test]
fn closing_tells_the_other_side_at_once() {
    let mut world = World::connected(Config::default());
    world.run(200);
    world.peer.close(world.now);
    world.run(100);
    assert!(world.seen.closed);
    assert!(world.peer.is_closed());
    assert_eq!(world.events.iter().filter(|event| matches!(event, Event::Closed)).count(), 1);
}

#[test]
fn a_publisher_offers_no_way_down_and_a_viewer_no_way_up() {
    let now = crate::runtime::clock::now();
    let publisher = Peer::new(Config::publisher(), now).offer().unwrap();
    assert_eq!((publisher.matches("a=sendonly").count(), publisher.matches("a=sendrecv").count()), (2, 0));
    let viewer = Peer::new(Config::viewer(), now).offer().unwrap();
    assert_eq!((viewer.matches("a=recvonly").count(), viewer.matches("m=").count()), (2, 2));
}

#[test]
fn the_order_of_preference_chooses_the_codec_and_pcmu_works() {
    let config =
        Config { video_codecs: vec![VideoCodec::Vp8, VideoCodec::H264], audio_codecs: vec![AudioCodec::Pcmu], ..Config::default() };
    let mut world = World::connected(config);
    assert_eq!(world.peer.video_codec(), Some(VideoCodec::Vp8));
    assert_eq!(world.peer.audio_codec(), Some(AudioCodec::Pcmu));
    let packet = Packet { source: Source::Microphone, data: vec![0x7f; 160].into(), rtp_time: 0, level_dbov: None };
    world.peer.send_audio(world.now, &packet).unwrap();
    world.run(100);
    assert_eq!(world.seen.levels, [None]);
}

#[test]
fn datagrams_of_strangers_are_counted_and_change_nothing() {
    let mut world = World::connected(Config::default());
    let stranger: SocketAddr = "192.0.2.66:6".parse().unwrap();
    for contents in [&[][..], &[22, 254, 253, 0, 0], &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 5], &[255; 40]] {
        let datagram = Datagram { transport: Transport::Udp, source: stranger, destination: CLIENT.parse().unwrap(), contents };
        world.peer.handle_datagram(world.now, &datagram);
    }
    world.run(200);
    assert_eq!(world.peer.stats().refused_datagrams, 4);
    assert!(world.peer.is_connected());
}
