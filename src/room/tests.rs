mod degrade;
mod passing;
mod plans;

use super::*;
use crate::ids::{CanvasId, EgressId, RecordingId, RenditionId, Source, TrackId};
use crate::peer::types::Codec;
use mixdown_codecs::{AudioCodec, VideoCodec};
use mixdown_layouts::Layout;
use model::{Canvas, Consent, Selector, SelfView};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn room() -> Room {
    Room::new("test".parse().unwrap(), Settings::default(), Arc::default())
}

fn arrival(n: u128, video: VideoCodec) -> Arrival {
    Arrival {
        id: ParticipantId(n),
        kind: Kind::Participant,
        name: format!("person {n}"),
        identity: None,
        role: None,
        view: None,
        waits: false,
        negotiated: Negotiated {
            sends: vec![(Source::Camera, Codec::Video(video)), (Source::Microphone, Codec::Audio(AudioCodec::Opus))],
            video_down: Some(video),
            audio_down: Some(AudioCodec::Opus),
        },
    }
}

fn connect(room: &mut Room, n: u128, video: VideoCodec) {
    room.join(arrival(n, video)).unwrap();
    room.link(ParticipantId(n), Link::Up);
}

/// How many encodes run.
fn renditions(room: &Room) -> usize {
    room.plan().canvases.values().map(|canvas| canvas.renditions.len()).sum()
}

#[test]
fn equal_subscribers_share_one_rendition_and_codecs_part_them() {
    let mut room = room();
    for n in 1..=3 {
        connect(&mut room, n, VideoCodec::H264);
    }
    assert_eq!(renditions(&room), 1);
    connect(&mut room, 4, VideoCodec::Vp8);
    assert_eq!(renditions(&room), 2);
    assert_eq!(room.plan().feeds.values().collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn nobody_watching_means_nothing_runs() {
    let mut room = room();
    let mut publisher = arrival(1, VideoCodec::H264);
    publisher.kind = Kind::Publisher;
    publisher.negotiated.video_down = None;
    publisher.negotiated.audio_down = None;
    room.join(publisher).unwrap();
    room.link(ParticipantId(1), Link::Up);
    assert!(room.plan().canvases.is_empty() && room.plan().wanted.is_empty() && room.plan().sound.listeners.is_empty());
}

#[test]
fn a_muted_camera_is_not_wanted() {
    let mut room = room();
    connect(&mut room, 1, VideoCodec::H264);
    let track = TrackId { participant: ParticipantId(1), source: Source::Camera };
    assert!(room.plan().wanted.contains_key(&track));
    room.take_changes();
    room.patch(ParticipantId(1), ParticipantPatch { muted_video: Some(true), ..Default::default() }).unwrap();
    assert!(room.take_changes().contains(&Change::Wanted { track, height: 0 }));
}

#[test]
fn a_locked_or_full_room_admits_nobody() {
    let mut room = room();
    room.update(RoomPatch { max_participants: Some(1), ..Default::default() }).unwrap();
    connect(&mut room, 1, VideoCodec::H264);
    assert_eq!(room.join(arrival(2, VideoCodec::H264)), Err(Error::Full(1)));
    room.update(RoomPatch { max_participants: Some(9), locked: Some(true), ..Default::default() }).unwrap();
    assert_eq!(room.join(arrival(2, VideoCodec::H264)), Err(Error::Locked));
}

#[test]
fn an_invalid_canvas_is_refused_whole() {
    let mut room = room();
    let canvas = Canvas { width: 1281, ..Canvas::default() };
    let patch = RoomPatch { canvas: Some(canvas), locked: Some(true), ..Default::default() };
    assert!(matches!(room.update(patch), Err(Error::Invalid { pointer: "/canvas", .. })));
    assert!(!room.locked());
}

fn view(room: &mut Room, name: &str, patch: ViewPatch) {
    room.put_view(name, patch, Expect::Anything).unwrap();
}

fn watch(room: &mut Room, n: u128, view: &str) {
    room.patch(ParticipantId(n), ParticipantPatch { view: Some(view.into()), ..Default::default() }).unwrap();
}

fn of(kind: mixdown_layouts::layout::Kind) -> ViewPatch {
    ViewPatch { layout: Some(Layout { kind, ..Layout::default() }), ..Default::default() }
}

/// Who has a tile in what `n` watches.
fn seen_by(room: &Room, n: u128) -> BTreeSet<u128> {
    let (canvas, ..) = room.plan().watched(ParticipantId(n)).unwrap();
    room.plan().canvases[&canvas].scene.tiles.iter().map(|tile| u128::from(tile.person.0)).collect()
}

#[test]
fn views_of_equal_content_share_canvas_and_encode_whatever_their_names() {
    let mut room = room();
    view(&mut room, "stage", ViewPatch::default());
    view(&mut room, "lobby", of(mixdown_layouts::layout::Kind::Speaker));
    for n in 1..=3 {
        connect(&mut room, n, VideoCodec::H264);
    }
    watch(&mut room, 2, "stage");
    assert_eq!((room.plan().canvases.len(), renditions(&room)), (1, 1));
    assert_eq!(room.plan().shared("main"), room.plan().shared("stage"));
    watch(&mut room, 3, "lobby");
    assert_eq!(room.plan().canvases.len(), 2);
    view(&mut room, "lobby", ViewPatch::default());
    assert_eq!((room.plan().canvases.len(), renditions(&room)), (1, 1), "what becomes equal is one again");
}

#[test]
fn a_change_of_layout_keeps_canvas_and_encode_and_who_did_not_change_notices_nothing() {
    let mut room = room();
    view(&mut room, "stage", ViewPatch::default());
    connect(&mut room, 1, VideoCodec::H264);
    room.take_changes();
    room.update_view(MAIN_VIEW, of(mixdown_layouts::layout::Kind::Speaker)).unwrap();
    assert!(
        !room.take_changes().iter().any(|change| !matches!(change, Change::Scene { .. })),
        "no stage is opened or closed, no feed moves"
    );
    room.update_view(MAIN_VIEW, of(mixdown_layouts::layout::Kind::Auto)).unwrap();
    connect(&mut room, 2, VideoCodec::H264);
    watch(&mut room, 2, "stage");
    let before = room.plan().feeds.clone();
    room.update_view(MAIN_VIEW, of(mixdown_layouts::layout::Kind::Speaker)).unwrap();
    assert_eq!(before[&ParticipantId(2)], room.plan().feeds[&ParticipantId(2)], "the other view stays where it is");
    assert_ne!(before[&ParticipantId(1)], room.plan().feeds[&ParticipantId(1)]);
}

#[test]
fn filters_show_who_is_meant_and_nobody_else() {
    let mut room = room();
    for n in 1..=4 {
        connect(&mut room, n, VideoCodec::H264);
    }
    room.patch(ParticipantId(2), ParticipantPatch { role: Some("panel".into()), ..Default::default() }).unwrap();
    room.patch(ParticipantId(3), ParticipantPatch { role: Some("panel".into()), ..Default::default() }).unwrap();
    let panel = vec![Selector::Role("panel".into()), Selector::Participant(ParticipantId(4))];
    view(
        &mut room,
        "stage",
        ViewPatch { include: Some(panel), exclude: Some(vec![Selector::Participant(ParticipantId(3))]), ..Default::default() },
    );
    watch(&mut room, 1, "stage");
    assert_eq!(seen_by(&room, 1), BTreeSet::from([2, 4]));
    assert_eq!(seen_by(&room, 2), BTreeSet::from([1, 2, 3, 4]), "main is as before");
    room.patch(ParticipantId(1), ParticipantPatch { role: Some("panel".into()), ..Default::default() }).unwrap();
    assert_eq!(seen_by(&room, 1), BTreeSet::from([1, 2, 4]), "who gets the role is shown at once");
    view(&mut room, "stage", ViewPatch { include: Some(vec![Selector::Kind(model::ParticipantKind::Viewer)]), ..Default::default() });
    assert_eq!(seen_by(&room, 1), BTreeSet::new());
}

#[test]
fn without_me_is_a_picture_each_for_those_who_are_visible_up_to_the_cap() {
    let mut room = Room::new("test".parse().unwrap(), Settings { max_private_pictures: 2, ..Settings::default() }, Arc::default());
    for n in 1..=3 {
        connect(&mut room, n, VideoCodec::H264);
    }
    let mut viewer = arrival(9, VideoCodec::H264);
    (viewer.kind, viewer.negotiated.sends) = (Kind::Viewer, Vec::new());
    room.join(viewer).unwrap();
    room.link(ParticipantId(9), Link::Up);
    room.update_view(MAIN_VIEW, ViewPatch { own: Some(SelfView::Exclude), ..Default::default() }).unwrap();
    assert_eq!((seen_by(&room, 1), seen_by(&room, 2)), (BTreeSet::from([2, 3]), BTreeSet::from([1, 3])));
    for n in [3, 9] {
        assert_eq!(seen_by(&room, n), BTreeSet::from([1, 2, 3]), "beyond the cap and out of the picture people share");
    }
    assert_eq!(room.plan().canvases.len(), 3);
    room.active_speaker(ParticipantId(2));
    room.active_speaker(ParticipantId(1));
    room.update_view(MAIN_VIEW, of(mixdown_layouts::layout::Kind::Speaker)).unwrap();
    let (canvas, ..) = room.plan().watched(ParticipantId(1)).unwrap();
    let largest = room.plan().canvases[&canvas].scene.tiles.iter().max_by_key(|tile| tile.rect.width).unwrap().person;
    assert_eq!(largest, PersonId(2), "who has the floor sees who had it before");
}

#[test]
fn who_watches_a_view_that_is_deleted_watches_main() {
    let mut room = room();
    connect(&mut room, 1, VideoCodec::H264);
    view(&mut room, "stage", of(mixdown_layouts::layout::Kind::Speaker));
    watch(&mut room, 1, "stage");
    room.delete_view("stage", Expect::Anything).unwrap();
    assert_eq!(room.member(ParticipantId(1)).unwrap().view, MAIN_VIEW);
    assert_eq!(room.plan().names.keys().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [MAIN_VIEW]);
    assert_eq!(room.delete_view(MAIN_VIEW, Expect::Anything), Err(Error::MainView));
}

#[test]
fn a_small_upright_screen_is_given_the_alternative_that_suits_it() {
    let mut room = room();
    connect(&mut room, 1, VideoCodec::H264);
    let phone = Canvas { width: 360, height: 640, ..Canvas::default() };
    view(&mut room, "phone", ViewPatch { canvas: Some(phone), ..Default::default() });
    let width = |room: &Room| room.plan().canvases[&room.plan().watched(ParticipantId(1)).unwrap().0].content.canvas.width;
    room.hint(ParticipantId(1), Size::new(390, 760));
    assert_eq!(width(&room), 1280, "only what the view names as its alternative");
    room.update_view(MAIN_VIEW, ViewPatch { alternatives: Some(vec!["phone".into()]), ..Default::default() }).unwrap();
    assert_eq!(width(&room), 360);
    room.hint(ParticipantId(1), Size::new(1600, 900));
    assert_eq!(width(&room), 1280, "the phone was turned");
}

/// A room of so many whose links are known to carry so much.
fn linked(links: &[u32]) -> (Room, std::time::Instant) {
    let (mut room, now) = (room(), crate::runtime::clock::now());
    for (n, bps) in (1..).zip(links) {
        connect(&mut room, n, VideoCodec::H264);
        room.estimate(ParticipantId(n), 4_000_000, now);
        room.estimate(ParticipantId(n), *bps, now);
    }
    (room, now)
}

/// Size, frame rate and steered rate of what `n` is fed.
fn fed(room: &Room, n: u128) -> (u32, u32, Option<u32>) {
    let (_, key, id) = room.plan().watched(ParticipantId(n)).unwrap();
    (key.size.height, key.fps, room.plan().rates.get(&id).copied())
}

#[test]
fn ten_subscribers_on_three_rungs_cost_three_encodes_and_half_the_rate_costs_none() {
    let (mut room, now) = linked(&[4_000_000, 4_000_000, 4_000_000, 650_000, 650_000, 650_000, 300_000, 300_000, 300_000, 220_000]);
    assert_eq!(renditions(&room), 3);
    assert_eq!([1, 4, 7, 10].map(|n| fed(&room, n).0), [720, 360, 180, 180]);
    assert_eq!(room.plan().feeds[&ParticipantId(7)], room.plan().feeds[&ParticipantId(10)]);
    assert_eq!(room.plan().halved, BTreeSet::from([ParticipantId(10)]));
    assert_eq!(room.plan().layered, BTreeSet::from([room.plan().feeds[&ParticipantId(10)]]));
    for n in 4..=10 {
        room.estimate(ParticipantId(n), 40_000, now);
    }
    assert_eq!(renditions(&room), 1, "rungs that nobody is on are gone");
    assert!(room.plan().sound.grades.len() == 7 && room.plan().sound.grades.values().all(|grade| *grade == sound::Grade::Thin));
    assert_eq!(room.plan().feeds.len(), 3);
}

#[test]
fn an_encoder_follows_the_link_of_the_one_it_serves_and_of_nobody_where_there_are_several() {
    let (mut room, now) = linked(&[4_000_000, 500_000]);
    assert_eq!(fed(&room, 1).2, None);
    let (height, _, rate) = fed(&room, 2);
    assert!(height == 270 && (330_000..400_000).contains(&rate.unwrap()), "{height} {rate:?}");
    room.take_changes();
    room.estimate(ParticipantId(2), 495_000, now);
    assert!(!room.take_changes().iter().any(|change| matches!(change, Change::Rate { .. })), "small changes are not told");
    room.estimate(ParticipantId(2), 400_000, now);
    assert!(room.take_changes().iter().any(|change| matches!(change, Change::Rate { .. })));
    assert_eq!(fed(&room, 2).0, 270, "the encoder follows, the rung stays");
    room.estimate(ParticipantId(1), 420_000, now);
    assert_eq!((fed(&room, 1), fed(&room, 2)), ((270, 30, None), (270, 30, None)));
}

#[test]
fn on_the_lowest_rung_all_get_what_the_thinnest_link_carries() {
    let (room, _) = linked(&[4_000_000, 170_000, 130_000]);
    assert_eq!(room.plan().feeds[&ParticipantId(2)], room.plan().feeds[&ParticipantId(3)]);
    let (height, fps, rate) = fed(&room, 3);
    assert_eq!((height, fps), (180, 15));
    assert!((60_000..70_000).contains(&rate.unwrap()), "{rate:?}");
}

#[test]
fn who_looks_away_is_sent_sound_alone_and_alone_in_the_room_costs_no_picture() {
    let mut room = room();
    connect(&mut room, 1, VideoCodec::H264);
    room.presence(ParticipantId(1), Some(true), None);
    assert!(room.plan().canvases.is_empty() && room.plan().sound.listeners.len() == 1 && room.plan().sound.grades.is_empty());
    room.presence(ParticipantId(1), Some(false), None);
    assert_eq!(fed(&room, 1).0, 720);
    room.presence(ParticipantId(1), None, Some(true));
    assert_eq!(fed(&room, 1).0, 180);
}
