//! Strangers and hostile neighbours: what they send changes nothing for anybody else.

use crate::world::World;
use mixdown::client::{Config, Packet};
use mixdown::ids::Source;
use mixdown::peer::types::{CloseReason, Kind};
use mixdown_codecs::AudioCodec;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::net::SocketAddr;

/// A ClientHello that offers TLS_NULL_WITH_NULL_NULL alone.
fn null_hello() -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([0x11; 32]);
    body.extend([0, 0, 0, 2, 0, 0, 1, 0]);
    let length = body.len() as u8;
    let mut message = vec![1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
    message.extend(body);
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, message.len() as u8];
    record.extend(message);
    record
}

fn alert() -> Vec<u8> {
    vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]
}

#[test]
fn f31_forged_hellos_from_strangers_and_neighbours_stop_none_of_200_calls() {
    for mut world in [World::new(40), World::full_ice(40)] {
        let neighbour = world.joined(Kind::Participant, Config::default());
        let neighbour = world.clients[neighbour].address;
        let stranger: SocketAddr = "203.0.114.66:666".parse().unwrap();
        for call in 0..100 {
            let ann = world.join(Kind::Viewer, Config::viewer());
            let begun = world.elapsed();
            let own = world.clients[ann].address;
            while !world.is_up(ann) {
                for source in [stranger, neighbour] {
                    world.inject(source, &null_hello());
                    world.inject(source, &alert());
                }
                // Before the client's own address is validated, it is a stranger's too.
                if world.elapsed() == begun {
                    world.inject(own, &null_hello());
                }
                world.run(1);
                assert!(world.elapsed() - begun < std::time::Duration::from_secs(2), "call {call} does not connect");
            }
            let participant = world.clients[ann].participant;
            world.command(mixdown::net::Command::Close { participant, reason: mixdown::peer::types::CloseReason::Left });
            world.kill(ann);
        }
        assert!(world.sent.iter().all(|(destination, _)| *destination != stranger), "a stranger was answered");
    }
}

#[test]
fn f30_strangers_are_never_answered_and_cause_no_state() {
    let mut world = World::new(41);
    world.record = Some(Vec::new());
    let ann = world.joined(Kind::Participant, Config::default());
    let check = world.record.take().unwrap().into_iter().map(|(_, datagram)| datagram).find(|datagram| datagram[0] == 0).unwrap();
    let mut forged = check.clone();
    let length = forged.len();
    forged[length - 20] ^= 1;
    let mut rng = StdRng::seed_from_u64(41);
    for n in 0..20_000u32 {
        let source = SocketAddr::from(([203, 0, 114, (n % 200) as u8], 1_000 + (n % 5_000) as u16));
        let datagram: Vec<u8> = match n % 3 {
            0 => forged.clone(),
            1 => (0..rng.random_range(0..200)).map(|_| rng.random()).collect(),
            _ => vec![rng.random_range(128..192); 100],
        };
        world.inject(source, &datagram);
    }
    assert!(world.sent.iter().all(|(destination, _)| *destination == world.clients[ann].address));
    world.run(2_000);
    assert!(world.is_up(ann));
}

#[test]
fn f32_replayed_and_tampered_packets_are_not_heard_and_the_call_goes_on() {
    let mut world = World::new(42);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    let say = |world: &mut World, n: u64| {
        let now = world.now;
        let packet = Packet { source: Source::Microphone, data: vec![n as u8; 60].into(), rtp_time: n * 960, level_dbov: None };
        world.clients[ann].peer.send_audio(now, &packet).unwrap();
        world.run(20);
    };
    world.record = Some(Vec::new());
    (0..50).for_each(|n| say(&mut world, n));
    let heard = world.seen(ann, |seen| seen.audio.len());
    let packets: Vec<_> = world.record.take().unwrap().into_iter().filter(|(_, datagram)| datagram[0] >= 128).collect();
    assert!(packets.len() >= 49);
    let stranger = "203.0.114.66:666".parse().unwrap();
    for (source, datagram) in &packets {
        world.inject(*source, datagram);
        world.inject(stranger, datagram);
        for at in [1, 2, 8, datagram.len() / 2, datagram.len() - 1] {
            let mut tampered = datagram.clone();
            tampered[at] ^= 0x55;
            world.inject(*source, &tampered);
        }
        world.inject(*source, &datagram[..datagram.len() / 2]);
    }
    assert_eq!(world.seen(ann, |seen| seen.audio.len()), heard);
    (50..100).for_each(|n| say(&mut world, n));
    world.run(100);
    assert_eq!(world.seen(ann, |seen| seen.audio.len()), 100);
    assert_eq!(world.seen(ann, |seen| seen.closed), None);
}

#[test]
fn garbage_of_every_kind_from_the_own_address_ends_nothing() {
    let mut rng = StdRng::seed_from_u64(43);
    let mut world = World::full_ice(43);
    let ann = world.joined(Kind::Participant, Config::default());
    let own = world.clients[ann].address;
    for _ in 0..5_000 {
        let length = rng.random_range(0..1_500);
        let mut datagram: Vec<u8> = (0..length).map(|_| rng.random()).collect();
        if let Some(first) = datagram.first_mut() {
            *first = [0, 1, 20, 21, 22, 23, 25, 128, 144, 191][rng.random_range(0..10)];
        }
        world.inject(own, &datagram);
        if rng.random_bool(0.02) {
            world.run(20);
        }
    }
    world.inject(own, &null_hello());
    world.inject(own, &alert());
    world.run(40_000);
    assert!(world.is_up(ann));
    assert_eq!(world.seen(ann, |seen| seen.closed), None);
}

#[test]
fn two_clients_behind_one_address_do_not_disturb_each_other() {
    let mut world = World::new(44);
    let ann = world.joined(Kind::Participant, Config::default());
    let bob = world.joined(Kind::Participant, Config::default());
    assert_eq!(world.clients[ann].address.ip(), world.clients[bob].address.ip());
    world.run(40_000);
    assert!(world.is_up(ann) && world.is_up(bob));
    for n in 0..50 {
        for (index, mark) in [(ann, 1), (bob, 2)] {
            let now = world.now;
            let packet = Packet { source: Source::Microphone, data: vec![mark; 60].into(), rtp_time: n * 960, level_dbov: None };
            world.clients[index].peer.send_audio(now, &packet).unwrap();
        }
        world.mix(AudioCodec::Opus, n, &[ann]);
        world.run(20);
    }
    for (index, mark, heard) in [(ann, 1, 50), (bob, 2, 0)] {
        let sent = world.seen(index, |seen| seen.audio.iter().filter(|packet| packet.data.iter().all(|byte| *byte == mark)).count());
        assert!(sent >= 49 && world.seen(index, |seen| seen.audio.len()) == sent, "what one sends is nobody else's");
        assert_eq!(world.clients[index].audios().len(), heard, "what is for one reaches nobody else");
    }
}

#[test]
fn overlong_datagrams_are_dropped() {
    let mut world = World::new(45);
    let ann = world.joined(Kind::Participant, Config::default());
    let before = world.stats(ann).unwrap().received_packets;
    let own = world.clients[ann].address;
    world.inject(own, &[128; 2_049]);
    assert_eq!(world.stats(ann).unwrap().received_packets, before);
}

#[test]
fn f40_a_panic_while_one_peer_is_stepped_ends_that_peer_alone() {
    let mut world = World::new(46);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    let bob = world.joined(Kind::Publisher, Config::publisher());
    let say = |world: &mut World, index: usize, n: u64| {
        let now = world.now;
        let packet = Packet { source: Source::Microphone, data: vec![n as u8; 60].into(), rtp_time: n * 960, level_dbov: None };
        world.clients[index].peer.send_audio(now, &packet).unwrap();
    };
    world.seen(ann, |seen| seen.broken = true);
    for n in 0..50 {
        say(&mut world, ann, n);
        say(&mut world, bob, n);
        world.run(20);
    }
    world.run(100);
    assert_eq!(world.seen(ann, |seen| seen.closed).map(|(_, reason)| reason), Some(CloseReason::InternalError));
    assert_eq!(world.seen(bob, |seen| (seen.audio.len(), seen.closed)), (50, None));
    assert_eq!(world.hub.len(), 1);
}

#[test]
fn f7_a_flood_from_a_legitimate_address_is_dropped_before_any_cryptography() {
    let mut world = World::new(47);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    let bob = world.joined(Kind::Publisher, Config::publisher());
    let before = world.stats(ann).unwrap().received_packets;
    let flood: SocketAddr = world.clients[ann].address;
    let mut packet = vec![0x55; 200];
    packet[..2].copy_from_slice(&[128, 96]);
    for n in 0..1_000u32 {
        // 50 000 a second.
        for _ in 0..50 {
            world.inject(flood, &packet);
        }
        world.run(1);
        if n % 20 == 0 {
            let now = world.now;
            let packet = Packet { source: Source::Microphone, data: vec![1; 60].into(), rtp_time: u64::from(n) * 48, level_dbov: None };
            world.clients[bob].peer.send_audio(now, &packet).unwrap();
        }
    }
    world.run(100);
    let passed = world.stats(ann).unwrap().received_packets - before;
    assert!(passed < 13_000, "{passed} of 50 000");
    assert_eq!(world.seen(bob, |seen| seen.audio.len()), 50);
}

#[test]
fn ten_thousand_stream_sources_are_capped() {
    let mut world = World::new(48);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    let own = world.clients[ann].address;
    let before = world.stats(ann).unwrap().received_packets;
    for ssrc in 0..3_000u32 {
        let mut packet = vec![0x55; 60];
        packet[..2].copy_from_slice(&[128, 111]);
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        world.inject(own, &packet);
    }
    let passed = world.stats(ann).unwrap().received_packets - before;
    assert!(passed <= 40, "{passed} sources reached the stack");
}

/// A record of DTLS before there are keys.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, body.len() as u8];
    record.extend(body);
    record
}

/// Alerts, heartbeats, changes of keys and data, all in the clear.
fn plain_records() -> [Vec<u8>; 5] {
    [record(21, &[2, 40]), record(21, &[1, 0]), record(24, &[1, 0, 16]), record(20, &[1]), record(23, &[7; 40])]
}

#[test]
fn records_in_the_clear_under_the_own_address_neither_stop_a_call_nor_end_one() {
    for mut world in [World::new(49), World::full_ice(49)] {
        let ann = world.join(Kind::Publisher, Config::publisher());
        let own = world.clients[ann].address;
        while !world.is_up(ann) {
            plain_records().iter().for_each(|record| world.inject(own, record));
            world.run(1);
            assert!(world.elapsed() < std::time::Duration::from_secs(3), "{:?}", world.seen(ann, |seen| seen.closed));
        }
        for _ in 0..200 {
            plain_records().iter().for_each(|record| world.inject(own, record));
            // A renegotiation, or a client that begins anew without an ICE restart.
            world.inject(own, &null_hello());
            world.run(10);
        }
        let now = world.now;
        let packet = Packet { source: Source::Microphone, data: vec![1; 60].into(), rtp_time: 960, level_dbov: None };
        world.clients[ann].peer.send_audio(now, &packet).unwrap();
        world.run(100);
        assert_eq!(world.seen(ann, |seen| (seen.audio.len(), seen.closed)), (1, None));
    }
}

#[test]
fn a_hello_that_cannot_be_met_costs_its_own_sender_alone() {
    let mut world = World::new(50);
    let bob = world.joined(Kind::Participant, Config::default());
    let ann = world.join(Kind::Participant, Config::default());
    let own = world.clients[ann].address;
    for _ in 0..16_000 {
        world.inject(own, &null_hello());
        world.run(1);
        if world.is_up(ann) {
            break;
        }
    }
    let closed = world.seen(ann, |seen| seen.closed).map(|(_, reason)| reason);
    let told = matches!(closed, Some(CloseReason::DtlsFailed | CloseReason::DtlsTimeout));
    assert!(world.is_up(ann) || told, "{closed:?}");
    world.run(2_000);
    assert!(world.is_up(bob) && world.seen(bob, |seen| seen.closed).is_none());
}

#[test]
fn wild_times_and_empty_packets_of_a_legitimate_sender_end_nothing() {
    let mut world = World::new(51);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    let mut rng = StdRng::seed_from_u64(51);
    for n in 0..300u64 {
        let now = world.now;
        let wild = n < 200;
        let (length, rtp_time) = if wild { (rng.random_range(0..3), rng.random()) } else { (60, n * 960) };
        let packet = Packet { source: Source::Microphone, data: vec![n as u8; length].into(), rtp_time, level_dbov: None };
        // Our own client's stack may refuse to send it.
        let _ = world.clients[ann].peer.send_audio(now, &packet);
        world.shoot(ann, if wild { rng.random_range(0..1 << 40) } else { n }, n % 50 == 0);
        world.run(20);
    }
    world.run(300);
    let heard = world.seen(ann, |seen| seen.audio.iter().filter(|packet| packet.data.len() == 60).count());
    assert!(heard >= 99 && world.is_up(ann), "{heard} of 100, {:?}", world.seen(ann, |seen| seen.closed));
}
