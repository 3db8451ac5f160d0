//! Pictures and sound go up and down, across loss, wrap-arounds and changes.

use crate::world::{RENDITION, Weather, World, number, picture};
use mixdown::client::{Camera, Change, Config, Event as ClientEvent, Packet, Picture, Screen};
use mixdown::ids::{RenditionId, Source, TrackId};
use mixdown::media::Orientation;
use mixdown::net::Command;
use mixdown::peer::types::{Codec, Event, Kind, Negotiated};
use mixdown_codecs::{AudioCodec, VideoCodec};

fn negotiated(world: &World, index: usize) -> Negotiated {
    let last = |(_, event): &(_, Event)| if let Event::Negotiated(negotiated) = event { Some(negotiated.clone()) } else { None };
    world.seen(index, |seen| seen.events.iter().rev().find_map(last)).unwrap()
}

fn keyframes_asked(world: &World, index: usize) -> usize {
    world.seen(index, |seen| {
        seen.events.iter().filter(|(_, event)| matches!(event, Event::KeyframeRequested | Event::KeyframeNeeded)).count()
    })
}

#[test]
fn pictures_and_sound_pass_both_ways_in_both_codecs() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut world = World::new(20);
        let ann = world.joined(Kind::Participant, Config { video_codecs: vec![codec], ..Config::default() });
        let agreed = negotiated(&world, ann);
        assert_eq!((agreed.video_down, agreed.audio_down), (Some(codec), Some(AudioCodec::Opus)));
        assert!(agreed.sends.contains(&(Source::Camera, Codec::Video(codec))));
        assert!(agreed.sends.contains(&(Source::Microphone, Codec::Audio(AudioCodec::Opus))));
        world.feed(ann, Some(RENDITION));
        for n in 0..60 {
            world.shoot(ann, n, n == 0);
            world.compose(RENDITION, codec, n, n == 0);
            world.mix(AudioCodec::Opus, n, &[ann]);
            let now = world.now;
            let packet = Packet { source: Source::Microphone, data: vec![n as u8; 60].into(), rtp_time: n * 960, level_dbov: Some(-30) };
            world.clients[ann].peer.send_audio(now, &packet).unwrap();
            world.run(33);
        }
        world.run(300);
        world.seen(ann, |seen| {
            assert_eq!(seen.video.iter().map(|picture| number(&picture.data)).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
            assert!(seen.video[0].keyframe && seen.video[0].size.is_some_and(|size| (size.width, size.height) == (640, 360)));
            assert!(seen.video.iter().all(|picture| picture.codec == codec && picture.contiguous && picture.source == Source::Camera));
            assert_eq!(seen.audio.len(), 60);
            assert!(seen.audio.iter().all(|packet| packet.level_dbov == Some(-30)));
            assert!(
                seen.audio.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1 && pair[1].rtp_time == pair[0].rtp_time + 960)
            );
        });
        let client = &world.clients[ann];
        assert_eq!(client.videos().iter().map(|video| number(&video.data)).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
        assert_eq!(client.audios().len(), 60);
        assert!(client.videos().windows(2).all(|pair| pair[1].rtp_time == pair[0].rtp_time + 3_000));
    }
}

#[test]
fn what_arrives_at_one_moment_from_several_is_whole_and_in_order() {
    let mut world = World::new(31);
    let people = [world.joined(Kind::Participant, Config::default()), world.joined(Kind::Participant, Config::default())];
    for n in 0..30 {
        for person in people {
            world.shoot(person, n, n == 0);
            let packet = Packet { source: Source::Microphone, data: vec![n as u8; 60].into(), rtp_time: n * 960, level_dbov: Some(-30) };
            let now = world.now;
            world.clients[person].peer.send_audio(now, &packet).unwrap();
        }
        let sent = people.map(|person| world.outgoing(person));
        assert!(sent.iter().all(|datagrams| datagrams.len() >= 2), "a picture and a sound");
        for at in 0..sent.iter().map(Vec::len).max().unwrap() {
            for (person, datagrams) in people.into_iter().zip(&sent) {
                let source = world.clients[person].address;
                datagrams.get(at).into_iter().for_each(|datagram| world.arrive(source, datagram));
            }
        }
        world.run(33);
    }
    for person in people {
        world.seen(person, |seen| {
            assert_eq!(seen.video.iter().map(|picture| number(&picture.data)).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
            assert!(seen.video.iter().all(|picture| picture.contiguous));
            assert_eq!(seen.audio.iter().map(|packet| packet.data[0]).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
        });
    }
}

/// The stack's padding and the receiver's accounts of it would call for each other: twice as many packets.
#[test]
fn who_hears_silence_is_sent_hardly_any_padding() {
    let mut world = World::new(32);
    let ann = world.joined(Kind::Viewer, Config::default());
    world.feed(ann, Some(RENDITION));
    let address = world.clients[ann].address;
    let mut packets = 0;
    for n in 0..75 {
        // As Opus has it where nobody speaks, and a still now and then.
        world.mix(AudioCodec::Opus, n * 20, &[ann]);
        if n % 3 == 0 {
            world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        }
        let before = world.sent.len();
        world.run(400);
        let media = |(to, first): &&(std::net::SocketAddr, u8)| *to == address && (128..192).contains(first);
        packets += if n >= 25 { world.sent[before..].iter().filter(media).count() } else { 0 };
    }
    println!("{packets} packets in twenty seconds");
    assert!(packets < 20 * 10, "{packets} packets in twenty seconds");
}

/// What refers to a keyframe that was refused must not be decoded: it would look right, and be wrong.
#[test]
fn a_picture_after_a_keyframe_that_was_refused_follows_nothing() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut world = World::new(29);
        let ann = world.joined(Kind::Participant, Config { video_codecs: vec![codec], ..Config::default() });
        for n in 0..9 {
            if n == 4 {
                let data = picture(codec, n, true, 8_000, 8_000, 3_000);
                let orientation = Orientation::default();
                let huge = Picture { source: Source::Camera, rid: None, data, rtp_time: n * 3_000, orientation };
                let now = world.now;
                world.clients[ann].peer.send_video(now, &huge).unwrap();
            } else {
                world.shoot(ann, n, n == 0 || n == 7);
            }
            world.run(33);
        }
        world.run(300);
        world.seen(ann, |seen| {
            let contiguous: Vec<_> = seen.video.iter().map(|picture| (number(&picture.data), picture.contiguous)).collect();
            assert_eq!(contiguous, [(0, true), (1, true), (2, true), (3, true), (5, false), (6, true), (7, true), (8, true)]);
        });
    }
}

#[test]
fn g711_is_heard_both_ways() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma] {
        let mut world = World::new(21);
        let ann = world.joined(Kind::Participant, Config { audio_codecs: vec![codec], ..Config::default() });
        assert_eq!(negotiated(&world, ann).audio_down, Some(codec));
        for n in 0..20 {
            world.mix(codec, n, &[ann]);
            let now = world.now;
            let packet = Packet { source: Source::Microphone, data: vec![0x55; 160].into(), rtp_time: n * 160, level_dbov: None };
            world.clients[ann].peer.send_audio(now, &packet).unwrap();
            world.run(20);
        }
        world.run(100);
        assert_eq!(world.clients[ann].audios().len(), 20);
        world.seen(ann, |seen| assert!(seen.audio.len() == 20 && seen.audio.iter().all(|packet| packet.codec == codec)));
    }
}

#[test]
fn nothing_is_sent_before_a_keyframe_and_one_is_asked_for() {
    let mut world = World::new(22);
    let ann = world.join(Kind::Viewer, Config::viewer());
    world.feed(ann, Some(RENDITION));
    world.until(1_000, |world| world.is_up(ann));
    assert_eq!(keyframes_asked(&world, ann), 1);
    for n in 0..45 {
        world.compose(RENDITION, VideoCodec::H264, n, n == 40);
        world.run(33);
    }
    world.run(100);
    let received: Vec<_> = world.clients[ann].videos().iter().map(|video| number(&video.data)).collect();
    assert_eq!(received, [40, 41, 42, 43, 44]);
    assert_eq!(keyframes_asked(&world, ann), 2);
}

#[test]
fn a_subscriber_changes_renditions_at_a_keyframe_and_time_does_not_jump() {
    let other = RenditionId(8);
    let mut world = World::new(23);
    let ann = world.joined(Kind::Viewer, Config::viewer());
    world.feed(ann, Some(RENDITION));
    for n in 0..60 {
        if n == 20 {
            world.feed(ann, Some(other));
        }
        // The other rendition is told apart by its size.
        world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        let keyframe = n == 30;
        let data = picture(VideoCodec::H264, n, keyframe, 1_280, 720, 500);
        let picture =
            mixdown::media::VideoOut { codec: VideoCodec::H264, data, keyframe, layer: 0, rtp_time: n * 3_000, wallclock: world.now };
        world.command(Command::Video { rendition: other, picture: picture.into() });
        world.run(33);
    }
    world.run(100);
    let videos = world.clients[ann].videos();
    // Both renditions have a picture of the tick at which they change over.
    assert_eq!(videos.iter().map(|video| number(&video.data)).collect::<Vec<_>>(), (0..=30).chain(30..60).collect::<Vec<_>>());
    assert!(videos[..=30].iter().all(|video| video.data.len() > 2_000) && videos[31..].iter().all(|video| video.data.len() < 2_000));
    let steps: std::collections::BTreeSet<_> = videos.windows(2).map(|pair| pair[1].rtp_time - pair[0].rtp_time).collect();
    assert_eq!(steps.into_iter().collect::<Vec<_>>(), [1, 2_999, 3_000]);
}

#[test]
fn all_packets_of_a_picture_leave_at_once() {
    let mut world = World::new(1);
    let viewer = world.join(Kind::Viewer, Config::viewer());
    world.run(1_000);
    world.feed(viewer, Some(RENDITION));
    world.compose(RENDITION, VideoCodec::H264, 0, true);
    world.run(500);
    let answer = world.clients[viewer].answer.sdp.clone();
    let composite =
        answer.lines().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" H264/90000")?.parse::<u8>().ok()).unwrap();
    for n in 1..60 {
        world.payloads.clear();
        world.compose(RENDITION, VideoCodec::H264, n, false);
        let at_once = world.payloads.get(&composite).copied().unwrap_or_default();
        world.run(4);
        assert!(at_once >= 3, "picture {n}: {at_once} packets");
        assert_eq!(world.payloads.get(&composite), Some(&at_once), "picture {n}: packets that waited");
        world.run(29);
    }
}

#[test]
fn a_picture_of_another_codec_than_agreed_is_not_sent() {
    let mut world = World::new(24);
    let ann = world.joined(Kind::Viewer, Config { video_codecs: vec![VideoCodec::Vp8], ..Config::viewer() });
    world.feed(ann, Some(RENDITION));
    for n in 0..10 {
        world.compose(RENDITION, VideoCodec::H264, n, true);
        world.run(33);
    }
    assert!(world.clients[ann].videos().is_empty());
}

#[test]
fn a_receiver_that_loses_a_keyframe_asks_and_the_room_hears_of_it() {
    let mut world = World::new(25);
    let ann = world.joined(Kind::Viewer, Config::viewer());
    world.feed(ann, Some(RENDITION));
    world.compose(RENDITION, VideoCodec::H264, 0, true);
    world.run(200);
    let before = keyframes_asked(&world, ann);
    let now = world.now;
    assert!(world.clients[ann].peer.request_keyframe(now));
    world.run(200);
    assert_eq!(keyframes_asked(&world, ann), before + 1);
}

#[test]
fn a_sender_is_asked_for_a_keyframe_at_once_and_then_ever_more_slowly() {
    let mut world = World::new(26);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    for n in 0..10 {
        world.shoot(ann, n, n == 0);
        world.run(33);
    }
    let track = TrackId { participant: world.clients[ann].participant, source: Source::Camera };
    for n in 10..340 {
        world.command(Command::RequestKeyframe(track));
        world.shoot(ann, n, false);
        world.run(33);
    }
    let asked = world.clients[ann].keyframe_requests();
    assert!((4..=6).contains(&asked), "{asked} requests in 11 s");
    world.shoot(ann, 340, true);
    world.run(100);
    let asked = world.clients[ann].keyframe_requests();
    for n in 341..500 {
        world.shoot(ann, n, false);
        world.run(33);
    }
    assert_eq!(world.clients[ann].keyframe_requests(), asked);
}

#[test]
fn of_three_layers_the_one_nearest_above_the_tile_is_forwarded() {
    let rids = ["q", "h", "f"];
    let sizes = [(320u16, 180u16), (640, 360), (1_280, 720)];
    let mut world = World::new(27);
    let simulcast = Camera::Simulcast(rids.map(str::to_owned).to_vec());
    let ann = world.joined(Kind::Participant, Config { camera: simulcast, video_codecs: vec![VideoCodec::Vp8], ..Config::default() });
    let track = TrackId { participant: world.clients[ann].participant, source: Source::Camera };
    let mut wanted = [0; 3];
    for n in 0..240u64 {
        match n {
            60 => world.command(Command::Want { track, height: 720 }),
            120 => world.command(Command::Want { track, height: 100 }),
            _ => {}
        }
        for layer in 0..3 {
            let asked = world.clients[ann]
                .events
                .iter()
                .filter(|event| matches!(event, ClientEvent::KeyframeRequested { rid: Some(rid), .. } if rid == rids[layer]))
                .count();
            let keyframe = n == 0 || asked > wanted[layer];
            wanted[layer] = asked;
            let (width, height) = sizes[layer];
            // The largest layer stops at the end.
            if layer == 0 && n >= 180 {
                continue;
            }
            let data = picture(VideoCodec::Vp8, n, keyframe, width, height, 400);
            let picture =
                Picture { source: Source::Camera, rid: Some(rids[layer]), data, rtp_time: n * 3_000, orientation: Orientation::default() };
            let now = world.now;
            world.clients[ann].peer.send_video(now, &picture).unwrap();
        }
        world.run(33);
    }
    world.run(200);
    let heights: Vec<_> = world.seen(ann, |seen| {
        let mut size = None;
        let heights = seen.video.iter().map(|picture| {
            size = picture.size.or(size);
            (picture.rtp_time, size.unwrap().height)
        });
        heights.collect()
    });
    let start = heights[0].0;
    let height_at = |n: u64| heights.iter().filter(|(time, _)| *time <= start + n * 3_000).map(|(_, height)| *height).next_back().unwrap();
    assert_eq!([height_at(50), height_at(110), height_at(170), height_at(235)], [360, 720, 180, 360]);
    assert!(heights.windows(2).all(|pair| pair[1].0 > pair[0].0), "time goes up, one layer at a time");
}

#[test]
fn the_composite_goes_down_on_a_line_that_sends_simulcast_as_browsers_offer_it() {
    let mut world = World::new(28);
    let simulcast = Camera::Simulcast(["q", "h", "f"].map(str::to_owned).to_vec());
    let config = Config { camera: simulcast, receive_video: false, ..Config::default() };
    let edit = |offer: String| {
        // str0m as a client cannot offer sendrecv with layers; a browser does.
        let (before, after) = offer.split_once("m=video").unwrap();
        format!("{before}m=video{}", after.replacen("a=sendonly", "a=sendrecv", 1))
    };
    let ann = world.try_join(Kind::Participant, config, edit).unwrap();
    world.until(2_000, |world| world.is_up(ann));
    assert!(world.clients[ann].answer.sdp.contains("a=simulcast:recv q;h;f"));
    assert_eq!(negotiated(&world, ann).video_down, Some(VideoCodec::H264));
    world.feed(ann, Some(RENDITION));
    let before = world.stats(ann).unwrap().sent_bytes;
    for n in 0..10 {
        world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        world.run(33);
    }
    let sent = world.stats(ann).unwrap().sent_bytes - before;
    assert!(sent > 10 * 2_500, "{sent} bytes left for ten pictures of 2 500");
}

#[test]
fn a_screen_is_added_and_the_camera_dropped_by_new_offers() {
    let mut world = World::new(29);
    let ann = world.joined(Kind::Participant, Config::default());
    world.feed(ann, Some(RENDITION));
    let offer = world.clients[ann].peer.reoffer(&[Change::Screen(Screen::VideoAndAudio)]).unwrap();
    world.reoffer(ann, offer).unwrap();
    let sources = |world: &World| negotiated(world, ann).sends.into_iter().map(|(source, _)| source).collect::<Vec<_>>();
    assert_eq!(sources(&world), [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio]);
    for n in 0..20 {
        let now = world.now;
        let data = picture(VideoCodec::H264, n, n == 0, 1_280, 720, 4_000);
        let picture = Picture { source: Source::Screen, rid: None, data, rtp_time: n * 3_000, orientation: Orientation::default() };
        world.clients[ann].peer.send_video(now, &picture).unwrap();
        world.shoot(ann, n, n == 0);
        world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        world.run(33);
    }
    world.run(200);
    let count = |world: &World, source| world.seen(ann, |seen| seen.video.iter().filter(|picture| picture.source == source).count());
    assert_eq!((count(&world, Source::Screen), count(&world, Source::Camera)), (20, 20));
    let offer = world.clients[ann].peer.reoffer(&[Change::Camera(false)]).unwrap();
    world.reoffer(ann, offer).unwrap();
    assert_eq!(sources(&world), [Source::Microphone, Source::Screen, Source::ScreenAudio]);
    assert_eq!(negotiated(&world, ann).video_down, Some(VideoCodec::H264));
    let before = world.clients[ann].videos().len();
    for n in 20..30 {
        world.compose(RENDITION, VideoCodec::H264, n, false);
        world.run(33);
    }
    world.run(100);
    assert_eq!(world.clients[ann].videos().len(), before + 10);
}

#[test]
fn lost_packets_are_repeated_and_pictures_arrive_whole() {
    for seed in 0..5 {
        let mut world = World::new(300 + seed);
        let ann = world.joined(Kind::Participant, Config::default());
        world.feed(ann, Some(RENDITION));
        world.clients[ann].weather = Weather { loss: 0.05, delay_ms: 25, ..Weather::default() };
        for n in 0..120 {
            world.shoot(ann, n, n == 0);
            world.compose(RENDITION, VideoCodec::H264, n, n == 0);
            world.run(33);
        }
        world.run(1_000);
        let up = world.seen(ann, |seen| seen.video.len());
        let down = world.clients[ann].videos().len();
        assert!(up >= 114 && down >= 114, "seed {seed}: {up} up, {down} down of 120");
    }
}

#[test]
fn reordering_and_duplicates_alone_cause_no_keyframe_request_and_lose_nothing() {
    for seed in 0..5 {
        let mut world = World::new(320 + seed);
        let ann = world.joined(Kind::Participant, Config::default());
        for n in 0..120 {
            // The very first packets of a stream cannot be told from late ones.
            if n == 3 {
                world.clients[ann].weather = Weather { jitter_ms: 60, duplicate: 0.05, ..Weather::default() };
            }
            world.shoot(ann, n, n == 0);
            world.run(33);
        }
        world.run(500);
        let numbers: Vec<_> = world.seen(ann, |seen| seen.video.iter().map(|picture| number(&picture.data)).collect());
        assert_eq!(numbers, (0..120).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(world.clients[ann].keyframe_requests(), 0, "seed {seed}");
    }
}

#[test]
fn orientation_comes_with_the_pictures_it_belongs_to() {
    let mut world = World::new(33);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    for n in 0..8 {
        let now = world.now;
        let orientation = Orientation { quarter_turns: (n % 4) as u8, flip: false };
        let data = picture(VideoCodec::H264, n, n == 0, 640, 360, 3_000);
        world.clients[ann]
            .peer
            .send_video(now, &Picture { source: Source::Camera, rid: None, data, rtp_time: n * 3_000, orientation })
            .unwrap();
        world.run(33);
    }
    world.run(100);
    let turns: Vec<_> = world.seen(ann, |seen| seen.video.iter().map(|picture| picture.orientation.quarter_turns).collect());
    assert_eq!(turns, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn time_goes_up_across_the_wrap_of_32_bits() {
    let mut world = World::new(34);
    let ann = world.joined(Kind::Publisher, Config::publisher());
    let start = (1u64 << 32) - 30_000;
    for n in 0..30 {
        let now = world.now;
        let data = picture(VideoCodec::H264, n, n == 0, 640, 360, 1_000);
        let rtp_time = start + n * 3_000;
        world.clients[ann]
            .peer
            .send_video(now, &Picture { source: Source::Camera, rid: None, data, rtp_time, orientation: Orientation::default() })
            .unwrap();
        world.run(33);
    }
    world.run(100);
    let times: Vec<_> = world.seen(ann, |seen| seen.video.iter().map(|picture| picture.rtp_time).collect());
    assert!(times.len() == 30 && times.windows(2).all(|pair| pair[1] == pair[0] + 3_000), "{times:?}");
}

#[test]
fn an_estimate_is_told_after_pictures_flow() {
    let mut world = World::new(35);
    let ann = world.joined(Kind::Viewer, Config::viewer());
    world.feed(ann, Some(RENDITION));
    for n in 0..200 {
        world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        world.run(33);
    }
    let estimates = world.seen(ann, |seen| seen.events.iter().filter(|(_, event)| matches!(event, Event::Estimate(_))).count());
    assert!(estimates > 0);
    assert!(world.stats(ann).unwrap().estimate_bps.is_some_and(|bps| bps > 900_000));
}

#[test]
fn a_unit_with_an_unknown_nal_type_costs_itself_alone() {
    let mut world = World::new(36);
    let ann = world.joined(Kind::Publisher, Config { video_codecs: vec![VideoCodec::H264], ..Config::publisher() });
    for n in 0..30 {
        if n == 10 {
            let now = world.now;
            let data: std::sync::Arc<[u8]> = vec![0, 0, 0, 1, 0x1e, 1, 2, 3, 4].into();
            let picture = Picture { source: Source::Camera, rid: None, data, rtp_time: n * 3_000, orientation: Orientation::default() };
            world.clients[ann].peer.send_video(now, &picture).unwrap();
        } else {
            world.shoot(ann, n, n == 0);
        }
        world.run(33);
    }
    world.run(500);
    world.seen(ann, |seen| {
        assert!(seen.video.len() >= 28);
        let next = seen.video.iter().find(|picture| number(&picture.data) == 11).unwrap();
        assert!(!next.contiguous, "what follows the lost unit says so");
    });
    assert!(world.is_up(ann));
}

#[test]
fn sound_and_picture_come_in_one_stream_so_that_receivers_synchronise_them() {
    let mut world = World::new(37);
    let ann = world.joined(Kind::Participant, Config::default());
    let sdp = &world.clients[ann].answer.sdp;
    let streams: Vec<_> = sdp.lines().filter_map(|line| line.strip_prefix("a=msid:")?.split(' ').next()).collect();
    assert_eq!(streams, ["mixdown", "mixdown"], "{sdp}");
}

#[test]
fn a_subscriber_whose_link_is_too_slow_is_left_out_instead_of_served_late() {
    let mut world = World::new(38);
    world.config.initial_bitrate_bps = 100_000;
    world.config.max_bitrate_bps = 100_000;
    let ann = world.joined(Kind::Viewer, Config::viewer());
    world.feed(ann, Some(RENDITION));
    let asked = keyframes_asked(&world, ann);
    let mut sent = Vec::new();
    for n in 0..300u64 {
        sent.push(world.now);
        // 2.4 Mb/s.
        let data = picture(VideoCodec::H264, n, n % 60 == 0, 640, 360, 10_000);
        let picture = mixdown::media::VideoOut {
            codec: VideoCodec::H264,
            data,
            keyframe: n % 60 == 0,
            layer: 0,
            rtp_time: n * 3_000,
            wallclock: world.now,
        };
        world.command(Command::Video { rendition: RENDITION, picture: picture.into() });
        world.run(33);
    }
    let videos = world.clients[ann].videos();
    let first = videos[0].rtp_time;
    assert!(videos.len() < 250, "{}", videos.len());
    for video in videos {
        let n = usize::try_from((video.rtp_time - first) / 3_000).unwrap();
        let late = video.first_packet - sent[n];
        assert!(late.as_millis() < 2_500, "picture {n} is {late:?} late");
    }
    assert!(keyframes_asked(&world, ann) - asked <= 3);
}

/// How many different moments of a hundred are there.
fn moments(times: impl Iterator<Item = u64>) -> usize {
    times.collect::<std::collections::BTreeSet<_>>().len()
}

/// F8: as Chromium offers it.
#[test]
fn redundant_sound_fills_single_losses_both_ways_and_goes_to_lossy_receivers_alone() {
    let arrived = |redundant: bool, loss: f64| {
        let mut world = World::new(34);
        let ann = world.joined(Kind::Participant, Config { redundant, ..Config::default() });
        let answer = world.clients[ann].answer.sdp.clone();
        assert_eq!(answer.contains("red/48000/2"), redundant, "{answer}");
        assert!(answer.contains("minptime=10;useinbandfec=1;usedtx=1;stereo=1;sprop-stereo=1"), "{answer}");
        world.clients[ann].weather = Weather { loss, ..Weather::default() };
        for n in 0..700 {
            let now = world.now;
            let packet = Packet { source: Source::Microphone, data: vec![n as u8; 60].into(), rtp_time: n * 960, level_dbov: Some(-30) };
            world.clients[ann].peer.send_audio(now, &packet).unwrap();
            world.mix(AudioCodec::Opus, n, &[ann]);
            world.run(20);
            // Reports of losses come within seconds.
            if n == 400 {
                world.payloads.clear();
            }
        }
        let red = answer.lines().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" red/48000/2")?.parse().ok());
        let repeated = red.map_or(0, |red: u8| world.payloads.get(&red).copied().unwrap_or_default());
        let up = world.seen(ann, |seen| moments(seen.audio.iter().map(|packet| packet.rtp_time).filter(|time| *time >= 400 * 960)));
        let down = moments(world.clients[ann].audios().iter().map(|packet| packet.rtp_time).filter(|time| *time >= 400 * 960));
        (up, down, repeated)
    };
    let (plain, filled, calm) = (arrived(false, 0.1), arrived(true, 0.1), arrived(true, 0.0));
    println!("of 300: plain {plain:?}, redundant {filled:?}, without loss {calm:?}");
    assert!(plain.0 < 285 && plain.1 < 285, "the way loses a tenth: {plain:?}");
    assert!(filled.0 >= 293 && filled.1 >= 293, "a hundredth is left of it: {filled:?}");
    assert!(filled.2 >= 290 && plain.2 == 0, "{plain:?} {filled:?}");
    assert_eq!(calm, (300, 300, 0), "who loses nothing pays nothing");
}

#[test]
fn a_sender_is_asked_for_no_more_than_its_tile_is_worth() {
    let mut world = World::new(35);
    let ann = world.joined(Kind::Participant, Config { video_codecs: vec![VideoCodec::Vp8], estimate_bps: None, ..Config::default() });
    let track = TrackId { participant: world.clients[ann].participant, source: Source::Camera };
    let mut limits = Vec::new();
    for n in 0..450u64 {
        match n {
            30 => world.command(Command::Want { track, height: 720 }),
            120 => world.command(Command::Want { track, height: 180 }),
            210 => world.command(Command::Want { track, height: 0 }),
            300 => world.command(Command::Want { track, height: 360 }),
            _ => {}
        }
        world.shoot(ann, n, n == 0);
        world.run(33);
        if [29, 119, 209, 299, 449].contains(&n) {
            let told = |event: &ClientEvent| if let ClientEvent::Estimate(bps) = event { Some(*bps) } else { None };
            limits.push(world.clients[ann].events.iter().rev().find_map(told));
        }
    }
    let [None, Some(whole), Some(small), Some(unseen), Some(half)] = limits[..] else { panic!("{limits:?}") };
    assert!(whole > 2_000_000 && unseen < 500_000 && unseen < small && small < half && half < whole, "{limits:?}");
}

/// Left to itself the stack fills quiet links up to 50 kb/s, with the smallest of packets.
#[test]
fn a_link_on_which_little_goes_is_not_filled_up() {
    let mut world = World::new(1);
    let viewer = world.join(Kind::Viewer, Config::viewer());
    world.run(1_000);
    world.feed(viewer, Some(RENDITION));
    let participant = world.clients[viewer].participant;
    world.command(Command::Aim { participant, bitrate_bps: 0..100_000 });
    let mut seconds = Vec::new();
    for n in 0..20 {
        world.sent.clear();
        world.compose(RENDITION, VideoCodec::H264, n * 30, n == 0);
        for packet in 0..2 {
            world.mix(AudioCodec::Opus, n * 50 + packet * 25, &[viewer]);
            world.run(500);
        }
        seconds.push(world.sent.iter().filter(|(_, first)| (128..192).contains(first)).count());
    }
    println!("{seconds:?}");
    assert!(seconds[10..].iter().all(|packets| *packets < 25), "{seconds:?}");
}

/// The stack's bandwidth estimator wants to be called 50 times a second where there is nothing to estimate.
#[test]
fn who_sends_a_little_sound_is_not_looked_after_more_often_than_that() {
    let mut world = World::new(1);
    let quiet = world.joined(Kind::Participant, Config::default());
    let mut seconds = Vec::new();
    for second in 0..20 {
        world.calls = 0;
        world.sent.clear();
        for packet in 0..10 {
            world.say(quiet, 20, -90, (second * 10 + packet) * 4_800);
            world.run(100);
        }
        seconds.push((world.calls, world.sent.len()));
    }
    println!("{seconds:?}");
    assert!(seconds[10..].iter().all(|(calls, _)| *calls <= 20), "{seconds:?}");
    assert!(seconds.iter().all(|(_, sent)| *sent >= 5), "what came is told: {seconds:?}");
}

#[test]
fn a_room_that_was_too_busy_to_hear_what_flows_is_told_again() {
    let mut world = World::new(39);
    let ann = world.joined(Kind::Viewer, Config::viewer());
    world.seen(ann, |seen| seen.busy = true);
    world.feed(ann, Some(RENDITION));
    let told = |world: &World| world.seen(ann, |seen| seen.events.iter().filter(|(_, event)| matches!(event, Event::Flows(_))).count());
    for n in 0..30 {
        world.seen(ann, |seen| seen.busy = n < 15);
        world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        world.run(33);
        assert_eq!(told(&world), usize::from(n >= 15), "after picture {n}");
    }
}

#[test]
fn what_may_not_be_seen_any_more_ends_before_the_next_rendition_has_come() {
    let other = RenditionId(8);
    let mut world = World::new(40);
    let viewers = [0, 1].map(|_| world.joined(Kind::Viewer, Config::viewer()));
    viewers.iter().for_each(|viewer| world.feed(*viewer, Some(RENDITION)));
    for n in 0..60 {
        if n == 20 {
            world.feed(viewers[0], Some(other));
            world.command(Command::Cut(world.clients[viewers[0]].participant));
        }
        world.compose(RENDITION, VideoCodec::H264, n, n == 0);
        if n >= 40 {
            world.compose(other, VideoCodec::H264, n, n == 40);
        }
        world.run(33);
    }
    world.run(100);
    let numbers = |index: usize| world.clients[index].videos().iter().map(|video| number(&video.data)).collect::<Vec<_>>();
    assert_eq!(numbers(viewers[0]), (0..20).chain(40..60).collect::<Vec<_>>());
    assert_eq!(numbers(viewers[1]), (0..60).collect::<Vec<_>>(), "who may see it goes on seeing it");
}
