//! Connections come up, stay, move and end, each end with its reason.

use crate::world::{RENDITION, Weather, World};
use mixdown::client::{Change, Config, Event as ClientEvent};
use mixdown::net::Command;
use mixdown::peer::types::{CloseReason, Event, Kind};
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::time::Duration;

#[test]
fn a_participant_connects_within_a_second_with_either_kind_of_ice() {
    for mut world in [World::new(1), World::full_ice(1)] {
        let ann = world.join(Kind::Participant, Config::default());
        world.until(1_000, |world| world.is_up(ann));
        world.run(1_000);
        let open = world.clients[ann].events.iter().any(|event| matches!(event, ClientEvent::ChannelOpen));
        assert!(open);
        assert!(world.seen(ann, |seen| seen.events.iter().any(|(_, event)| matches!(event, Event::ChannelOpen))));
    }
}

#[test]
fn connections_come_up_over_a_lossy_reordering_network() {
    for seed in 0..20 {
        let mut world = World::full_ice(seed);
        let ann = world.join(Kind::Participant, Config::default());
        world.clients[ann].weather = Weather { loss: 0.05, jitter_ms: 40, duplicate: 0.05, ..Weather::default() };
        world.until(12_000, |world| world.is_up(ann));
    }
}

#[test]
fn a_client_that_sends_no_check_is_closed_at_the_deadline_with_that_reason() {
    let mut world = World::new(2);
    let ann = world.join(Kind::Participant, Config::default());
    world.kill(ann);
    world.run(14_900);
    assert_eq!(world.seen(ann, |seen| seen.closed), None);
    world.run(200);
    let (at, reason) = world.seen(ann, |seen| seen.closed).unwrap();
    assert_eq!((at, reason), (Duration::from_secs(15), CloseReason::IceNoChecks));
    assert!(world.hub.is_empty());
}

#[test]
fn a_client_whose_handshake_never_arrives_is_closed_with_that_reason() {
    let mut world = World::new(3);
    let ann = world.join(Kind::Participant, Config::default());
    // Checks pass, DTLS does not.
    world.until(1_000, |world| world.sent.iter().any(|(_, first)| *first < 4));
    world.clients[ann].weather.blackout = true;
    world.run(15_000);
    let (_, reason) = world.seen(ann, |seen| seen.closed).unwrap();
    assert!(matches!(reason, CloseReason::DtlsTimeout | CloseReason::IceFailed), "{reason:?}");
}

#[test]
fn consent_is_lost_30_s_after_a_client_vanishes_and_the_silence_is_told_before() {
    for mut world in [World::new(4), World::full_ice(4)] {
        let ann = world.joined(Kind::Participant, Config::default());
        world.talk(ann, 3_000);
        let vanished = world.elapsed();
        world.kill(ann);
        world.run(33_500);
        let (at, reason) = world.seen(ann, |seen| seen.closed).unwrap();
        assert_eq!(reason, CloseReason::ConsentLost);
        let after = at - vanished;
        assert!((27..=33).contains(&after.as_secs()), "{after:?}");
        let silent =
            world.seen(ann, |seen| seen.events.iter().find(|(_, event)| matches!(event, Event::Reachable(false))).map(|(at, _)| *at));
        assert!(silent.unwrap() - vanished <= Duration::from_millis(3_100));
        assert!(world.hub.is_empty());
    }
}

#[test]
fn a_silent_but_living_client_is_never_closed() {
    for mut world in [World::new(5), World::full_ice(5)] {
        let ann = world.joined(Kind::Viewer, Config::viewer());
        world.run(300_000);
        assert!(world.is_up(ann));
        assert_eq!(world.seen(ann, |seen| seen.closed), None);
        let flaps = world.seen(ann, |seen| seen.events.iter().filter(|(_, event)| matches!(event, Event::Reachable(_))).count());
        assert_eq!(flaps, 0);
    }
}

#[test]
fn an_8_s_blackout_is_survived_in_the_same_session() {
    for mut world in [World::new(6), World::full_ice(6)] {
        let ann = world.joined(Kind::Participant, Config::default());
        world.talk(ann, 2_000);
        world.clients[ann].weather.blackout = true;
        world.talk(ann, 8_000);
        let heard = world.seen(ann, |seen| seen.audio.len());
        world.clients[ann].weather.blackout = false;
        world.talk(ann, 2_000);
        assert!(world.seen(ann, |seen| seen.audio.len()) >= heard + 90);
        assert_eq!(world.seen(ann, |seen| seen.closed), None);
        let reachable: Vec<_> = world.seen(ann, |seen| {
            seen.events.iter().filter_map(|(_, event)| if let Event::Reachable(up) = event { Some(*up) } else { None }).collect()
        });
        assert_eq!(reachable, [false, true]);
    }
}

#[test]
fn a_client_that_closes_is_gone_at_once() {
    let mut world = World::new(7);
    let ann = world.joined(Kind::Participant, Config::default());
    world.run(500);
    let now = world.now;
    world.clients[ann].peer.close(now);
    world.run(100);
    let (_, reason) = world.seen(ann, |seen| seen.closed).unwrap();
    assert_eq!(reason, CloseReason::ClosedByPeer);
    assert!(world.hub.is_empty());
}

#[test]
fn a_client_that_is_removed_is_told() {
    let mut world = World::new(8);
    let ann = world.joined(Kind::Participant, Config::default());
    world.run(500);
    let participant = world.clients[ann].participant;
    world.command(Command::Close { participant, reason: CloseReason::Removed });
    assert_eq!(world.seen(ann, |seen| seen.closed).unwrap().1, CloseReason::Removed);
    world.run(100);
    assert!(world.clients[ann].events.iter().any(|event| matches!(event, ClientEvent::Closed)));
}

#[test]
fn ice_restarts_by_offer_and_by_fragment_and_the_etag_changes_each_time() {
    for mut world in [World::new(9), World::full_ice(9)] {
        let ann = world.joined(Kind::Participant, Config::default());
        let first = world.clients[ann].answer.etag.clone();
        let now = world.now;
        let late = world.clients[ann].peer.add_candidate(now, "192.0.4.1:9".parse().unwrap()).unwrap();
        let offer = world.clients[ann].peer.reoffer(&[Change::IceRestart]).unwrap();
        let second = world.reoffer(ann, offer).unwrap();
        assert_ne!(second.etag, first);
        world.run(2_000);
        let fragment = world.clients[ann].peer.ice_restart().unwrap();
        let third = world.trickle(ann, fragment).unwrap().unwrap();
        assert!(![&first, &second.etag].contains(&&third.etag));
        assert!(third.sdp.contains("a=ice-ufrag:") && third.sdp.contains("a=candidate:"));
        let now = world.now;
        world.clients[ann].peer.accept_fragment(now, &third.sdp).unwrap();
        // A candidate of the first ICE session that arrives late restarts nothing.
        assert_eq!(world.trickle(ann, late), Ok(None));
        world.run(60_000);
        assert_eq!(world.seen(ann, |seen| seen.closed), None);
        assert!(world.clients[ann].peer.is_connected());
    }
}

#[test]
fn a_client_that_moves_to_another_address_restarts_ice_and_stays() {
    let mut world = World::new(10);
    let ann = world.joined(Kind::Participant, Config::default());
    let old = world.clients[ann].address;
    let now = world.now;
    world.clients[ann].address = "192.0.5.9:50000".parse().unwrap();
    let fragment = world.clients[ann].peer.ice_restart().unwrap();
    let answer = world.trickle(ann, fragment).unwrap().unwrap();
    world.clients[ann].peer.accept_fragment(now, &answer.sdp).unwrap();
    world.run(40_000);
    assert_eq!(world.seen(ann, |seen| seen.closed), None);
    let sent = world.sent.len();
    world.run(5_000);
    assert!(world.sent[sent..].iter().all(|(destination, _)| *destination != old));
}

/// F15: the client notices nothing, and goes on sending.
#[test]
fn a_client_whose_nat_gives_it_another_address_is_served_there_from_its_next_check_on() {
    let mut world = World::new(13);
    let ann = world.joined(Kind::Participant, Config::default());
    let mut times = Vec::new();
    let (mut moved, mut checked) = (None, None);
    for n in 0..1_000 {
        world.talk(ann, 20);
        world.mix(AudioCodec::Opus, n, &[ann]);
        let heard = world.seen(ann, |seen| seen.audio.len());
        if n == 200 {
            world.clients[ann].address = "192.0.5.9:50000".parse().unwrap();
            moved = Some((world.elapsed(), heard));
        }
        if checked.is_none() && moved.is_some_and(|(_, before)| heard > before + 1) {
            checked = Some(world.elapsed());
        }
        times.push((world.elapsed(), world.clients[ann].audios().len()));
    }
    let ((moved, _), checked) = (moved.unwrap(), checked.expect("heard from the new address"));
    let at_check = times.iter().find(|(at, _)| *at >= checked).unwrap().1;
    let back = times.iter().find(|(_, heard)| *heard > at_check).expect("served at the new address").0;
    println!("checked after {:?}, served after {:?}", checked - moved, back - moved);
    assert!(back - checked < Duration::from_millis(1_000), "{:?}", back - checked);
    assert_eq!(world.seen(ann, |seen| seen.closed), None);
    let late = times.last().unwrap().1 - at_check;
    let expected = times.iter().filter(|(at, _)| *at > checked).count();
    assert!(late * 100 >= expected * 95, "{late} of {expected}");
}

#[test]
fn a_thousand_joins_and_leaves_leave_nothing_behind() {
    let mut world = World::new(11);
    for round in 0..100 {
        let ann = world.joined(Kind::Participant, Config::default());
        let participant = world.clients[ann].participant;
        world.feed(ann, Some(crate::world::RENDITION));
        world.command(Command::Close { participant, reason: CloseReason::Left });
        world.kill(ann);
        world.forget();
        assert!(world.hub.is_empty(), "round {round}");
    }
    world.run(1_000);
    assert!(matches!(world.hub.poll_output(), mixdown::net::hub::Output::Timeout(None)));
}

#[test]
fn figures_of_a_connection_are_known_after_a_second() {
    let mut world = World::new(12);
    let ann = world.joined(Kind::Participant, Config::default());
    for n in 0..100 {
        world.mix(AudioCodec::Opus, n, &[ann]);
        world.run(20);
    }
    let stats = world.stats(ann).unwrap();
    assert!(stats.sent_packets > 100 && stats.received_packets > 10);
    assert!(stats.send_bitrate_bps > 30_000, "{stats:?}");
    assert!(stats.rtt_ms.is_some_and(|rtt| (15.0..60.0).contains(&rtt)), "{stats:?}");
}

#[test]
fn messages_pass_both_ways_and_what_is_too_long_closes_the_channel_alone() {
    let mut world = World::new(13);
    let ann = world.joined(Kind::Participant, Config::default());
    world.run(500);
    let (now, participant) = (world.now, world.clients[ann].participant);
    world.clients[ann].peer.send_message(now, "{\"type\":\"chat\"}").unwrap();
    world.command(Command::Message { to: mixdown::net::Recipients::One(participant), text: "{\"type\":\"hello\"}".into() });
    world.run(200);
    assert_eq!(world.clients[ann].messages(), ["{\"type\":\"hello\"}"]);
    let heard = |world: &World| world.seen(ann, |seen| seen.events.iter().filter(|(_, event)| matches!(event, Event::Message(_))).count());
    assert_eq!(heard(&world), 1);
    let now = world.now;
    let _ = world.clients[ann].peer.send_message(now, &"x".repeat(17_000));
    world.run(500);
    assert_eq!(heard(&world), 1);
    assert!(world.is_up(ann));
    assert_eq!(world.seen(ann, |seen| seen.closed), None);
}

#[test]
fn f16_at_20_percent_loss_95_of_100_connections_are_up_within_5_s() {
    for lite in [true, false] {
        let mut times: Vec<_> = (0..100)
            .map(|seed| {
                let mut world = if lite { World::new(seed) } else { World::full_ice(seed) };
                let ann = world.join(Kind::Participant, Config::default());
                world.clients[ann].weather = Weather { loss: 0.2, delay_ms: 25, jitter_ms: 40, duplicate: 0.05, ..Weather::default() };
                while !world.is_up(ann) && world.elapsed() < Duration::from_secs(14) {
                    world.run(20);
                }
                world.elapsed().as_millis()
            })
            .collect();
        times.sort_unstable();
        assert!(times[95] <= 5_000, "lite {lite}: {} ms", times[95]);
    }
}

#[test]
fn f11_where_datagrams_over_1200_bytes_are_lost_connections_are_up_within_3_s_and_everything_passes() {
    for mut world in [World::new(14), World::full_ice(14)] {
        let ann = world.join(Kind::Participant, Config::default());
        world.clients[ann].weather.mtu = 1_200;
        world.until(3_000, |world| world.is_up(ann));
        world.feed(ann, Some(RENDITION));
        for n in 0..60 {
            world.compose(RENDITION, VideoCodec::H264, n, n == 0);
            world.mix(AudioCodec::Opus, n, &[ann]);
            world.shoot(ann, n, n == 0);
            world.run(33);
        }
        world.run(100);
        assert!((1_000..=1_200).contains(&world.longest), "{} bytes", world.longest);
        assert_eq!(
            [world.clients[ann].videos().len(), world.clients[ann].audios().len(), world.seen(ann, |seen| seen.video.len())],
            [60; 3]
        );
    }
}
