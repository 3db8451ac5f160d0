//! What leaves whole rooms, decoded again: who is in which tile of an HLS stream and whose tone is in it, and that it costs nobody anything.

use crate::content::{self, loudness, tone};
use crate::guest::Profile;
use crate::recordings::decode;
use crate::world::{Options, World};
use mixdown::conference::handle::{NewEgress, Refusal, Request};
use mixdown::config;
use mixdown::egress::life::State;
use mixdown::egress::target::{Hls, Images};
use mixdown::egress::{Board, Egress, Settings, Target};
use mixdown::ids::EgressId;
use mixdown::room::MAIN_VIEW;
use mixdown::room::model::{Canvas, RoomPatch};
use mixdown_codecs::I420Frame;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);
const HLS: Target = Target::Hls(Hls { public: false });

/// A room with these people, whose outputs run on the threads of a runtime: virtual time passes faster than these wake, so that they may be late by much.
fn room(profiles: Vec<Profile>) -> (World, Board) {
    let settings = Settings { queue_bytes: 1 << 30, queue_span: Duration::from_secs(3600), ..config::Egress::default().settings() };
    let board = Board::new(settings);
    let mut world = World::with(Options { board: board.clone(), ..Options::default() });
    for profile in profiles {
        world.join(profile);
    }
    world.connect(PATIENCE);
    world.run_ms(1500);
    (world, board)
}

fn send_out(world: &mut World, outputs: Vec<Target>) -> Result<EgressId, Refusal> {
    let egress = NewEgress { view: MAIN_VIEW.into(), layout: None, outputs };
    world.ask(|reply| Request::SendOut { egress: Box::new(egress), reply }).map(|shown| shown.id)
}

/// The playlist once it has so many segments.
async fn playlist(egress: &Egress, segments: usize) -> String {
    for _ in 0..1000 {
        let text = egress.hls().unwrap().playlist(Duration::from_secs(30)).await.expect("a playlist");
        if text.matches("#EXTINF").count() >= segments {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{segments} segments in time");
}

/// What a player fetches: the beginnings that the playlist names, each with its segments.
fn streams(egress: &Egress, playlist: &str) -> Vec<Vec<u8>> {
    let output = egress.hls().unwrap();
    let number = |text: &str| text.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap();
    let mut streams = Vec::new();
    for line in playlist.lines() {
        if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=\"init-") {
            streams.push(output.init(number(map.split('.').next().unwrap())).unwrap().to_vec());
        } else if let Some(segment) = line.strip_prefix("segment-") {
            let bytes = output.segment(number(segment.split('.').next().unwrap())).expect("what is listed is there");
            streams.last_mut().unwrap().extend_from_slice(&bytes);
        }
    }
    streams
}

/// The codes in the tiles as guest 0 was told of them last.
fn persons(world: &World, frame: &I420Frame) -> Vec<Option<u8>> {
    let message = world.guests[0].messages_of("tiles").last().unwrap();
    let read = |tile: &serde_json::Value| {
        let side = |key: &str, length: u32| (tile[key].as_f64().unwrap() * f64::from(length)).round() as usize;
        let (w, h) = (frame.size().width, frame.size().height);
        let code = content::read(frame, (side("x", w), side("y", h), side("width", w), side("height", h)));
        let id: mixdown::ids::ParticipantId = tile["participant"].as_str().unwrap().parse().unwrap();
        let whose = world.guests.iter().find(|guest| guest.id == Some(id)).unwrap().profile.person;
        code.map(|code| {
            assert_eq!(code.person, whose, "somebody else in this tile");
            whose
        })
    };
    message["tiles"].as_array().unwrap().iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_shows_everybody_and_sounds_like_the_room_and_costs_no_encode() {
    let (mut world, board) = room(vec![Profile::new(1), Profile::vp8(2)]);
    let rendition = world.participant(0).unwrap().participant.feed.unwrap().rendition;
    let id = send_out(&mut world, vec![HLS]).unwrap();
    let egress = board.find(id).unwrap();
    world.run_ms(13_000);
    let text = playlist(&egress, 5).await;
    assert_eq!(world.participant(0).unwrap().participant.feed.unwrap().rendition, rendition, "the same encode");
    let [stream] = <[Vec<u8>; 1]>::try_from(streams(&egress, &text)).expect("one stream");
    let (pictures, sound) = decode(&stream);
    assert!(pictures.len() > 250, "{}", pictures.len());
    let gap = pictures.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
    assert!(gap <= 34, "every tick: {gap}");
    let readable = pictures.iter().filter(|(_, frame)| persons(&world, frame) == [Some(1), Some(2)]).count();
    assert!(readable * 10 > pictures.len() * 8, "{readable} of {} pictures show both", pictures.len());
    assert!(loudness(&sound[96_000..480_000], tone(1)) > 0.05, "and their tone is heard");
    let lengths: Vec<f64> = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok()).collect();
    assert!(lengths.iter().all(|seconds| (1.9..=2.6).contains(seconds)), "{lengths:?}");
    assert_eq!(egress.shown().state, State::Active);
    world.ask(|reply| Request::EndEgress { egress: id, reply }).unwrap();
    assert!(board.find(id).is_none(), "it is gone at once");
    let again = world.ask(|reply| Request::EndEgress { egress: id, reply });
    assert!(matches!(again, Err(Refusal::NotFound("egress"))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_of_another_size_is_a_stream_of_its_own_in_the_same_playlist() {
    let (mut world, board) = room(vec![Profile::new(1)]);
    let id = send_out(&mut world, vec![HLS]).unwrap();
    let egress = board.find(id).unwrap();
    world.run_ms(5000);
    let canvas = Canvas { width: 320, height: 180, ..crate::world::small_canvas() };
    let patch = RoomPatch { canvas: Some(canvas), ..RoomPatch::default() };
    world.ask(|reply| Request::PatchRoom { patch: Box::new(patch), if_match: None, reply }).unwrap();
    world.run_ms(6000);
    let text = playlist(&egress, 4).await;
    let sizes: Vec<u32> = streams(&egress, &text).iter().map(|stream| decode(stream).0[0].1.size().width).collect();
    assert_eq!(sizes, [640, 320], "{text}");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stills_come_on_their_interval_and_need_no_encode() {
    let (mut world, board) = room(vec![Profile::new(1)]);
    world.leave(0);
    world.run_ms(500);
    let id = send_out(&mut world, vec![Target::Images(Images { interval: Duration::from_secs(2) })]).unwrap();
    let egress = board.find(id).unwrap();
    world.run_ms(100);
    let first = egress.images().unwrap().still(PATIENCE).await.expect("a still at once");
    assert!(first.jpeg.starts_with(&[0xFF, 0xD8]) && first.number == 0);
    for number in 1..4 {
        world.run_ms(2000);
        let mut newest = first.clone();
        for _ in 0..300 {
            newest = egress.images().unwrap().still(PATIENCE).await.unwrap();
            if newest.number >= number {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(newest.number, number);
    }
    assert!(world.guests[0].gone && egress.shown().state == State::Active, "nobody is here, and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_and_a_room_that_ends_ends_what_leaves_it() {
    let (mut world, board) = room(vec![Profile::new(1)]);
    let ids: Vec<EgressId> = (0..4).map(|_| send_out(&mut world, vec![HLS]).unwrap()).collect();
    assert_eq!(send_out(&mut world, vec![HLS]), Err(Refusal::Busy("egress.max_per_room is 4".into())));
    world.ask(|reply| Request::EndEgress { egress: ids[0], reply }).unwrap();
    assert!(send_out(&mut world, vec![HLS]).is_ok(), "there is place again");
    let left: Vec<Arc<Egress>> = board.list();
    assert_eq!(left.len(), 4);
    assert!(world.conference.empty_since().is_none(), "they keep the room");
    world.end();
    assert!(board.list().is_empty());
    board.finish(PATIENCE).await;
    assert!(left.iter().all(|egress| egress.is_over()));
}
