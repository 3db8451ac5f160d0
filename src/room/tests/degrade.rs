//! What a room gives up where the server is overloaded.

use super::*;
use crate::overload::Step;
use crate::room::tiers::Wishes;

const REC: RecordingId = RecordingId(1 << 64);

fn full(people: std::ops::RangeInclusive<u128>) -> Room {
    let mut room = room();
    people.for_each(|n| connect(&mut room, n, VideoCodec::H264));
    room
}

/// Changes that a step brings, but for scenes and what depends on them.
fn degrade(room: &mut Room, step: Step) -> Vec<Change> {
    room.take_changes();
    room.degrade(step);
    room.take_changes()
}

/// The one canvas: its rate, and size and rate of its encodes.
fn made(room: &Room) -> (u32, Vec<(u32, u32)>) {
    let canvas = room.plan().canvases.values().next().unwrap();
    (canvas.fps, canvas.renditions.keys().map(|key| (key.size.height, key.fps)).collect())
}

fn seen(room: &Room) -> Vec<u64> {
    let tiles = &room.plan().canvases.values().next().unwrap().scene.tiles;
    tiles.iter().filter(|tile| tile.source.is_some()).map(|tile| tile.person.0).collect()
}

#[test]
fn rate_costs_no_encode_and_no_keyframe_and_size_goes_after_it() {
    let mut room = full(1..=2);
    assert_eq!(made(&room), (30, vec![(720, 30)]));
    for (step, fps) in [(Step::Fps25, 25), (Step::Fps15, 15), (Step::Fps10, 10)] {
        let changes = degrade(&mut room, step);
        let canvas = *room.plan().canvases.keys().next().unwrap();
        assert_eq!(changes, [Change::Pace { canvas, fps }]);
    }
    for (step, lines) in [(Step::Lines540, 540), (Step::Lines360, 360)] {
        degrade(&mut room, step);
        assert_eq!(made(&room), (10, vec![(lines, 30)]), "{step:?}");
    }
    degrade(&mut room, Step::Whole);
    assert_eq!(made(&room), (30, vec![(720, 30)]));
    let canvas = Canvas { fps: 12, ..Canvas::default() };
    room.update(RoomPatch { canvas: Some(canvas), ..RoomPatch::default() }).unwrap();
    assert!(degrade(&mut room, Step::Fps15).is_empty(), "who makes fewer anyway");
    degrade(&mut room, Step::Fps10);
    assert_eq!(made(&room).0, 10);
}

#[test]
fn a_canvas_that_comes_under_load_is_paced_from_the_beginning() {
    let mut room = room();
    room.degrade(Step::Fps15);
    connect(&mut room, 1, VideoCodec::H264);
    assert!(room.take_changes().iter().any(|change| matches!(change, Change::Pace { fps: 15, .. })));
}

#[test]
fn recordings_and_egresses_follow_for_an_encode_of_their_own_would_cost_more() {
    let mut room = full(1..=2);
    let view = MAIN_VIEW.to_owned();
    room.record(Recording { id: REC, framing: Framing::default(), codec: VideoCodec::H264, paused: false, composite: true }).unwrap();
    room.send_out(Egress { id: EgressId(1 << 80), view, layout: None, codec: Some(VideoCodec::H264) }).unwrap();
    for step in std::iter::successors(Some(Step::Whole), |step| step.down()) {
        room.degrade(step);
        assert_eq!(renditions(&room), 1, "{step:?}");
    }
    assert_eq!(made(&room).1, [(360, 0)], "a still now and then, large enough to be read");
}

#[test]
fn a_thin_link_stays_where_it_is_and_sound_is_whole_on_every_step() {
    let mut room = full(1..=2);
    room.patch(ParticipantId(2), ParticipantPatch { max_height: Some(180), ..Default::default() }).unwrap();
    for step in std::iter::successors(Some(Step::Whole), |step| step.down()) {
        room.degrade(step);
        let sound = [1, 2].map(|n| room.member(ParticipantId(n)).unwrap().tier.grade());
        assert_eq!(sound, [Some(sound::Grade::Whole); 2], "{step:?}");
        let shown = room.member(ParticipantId(2)).unwrap().tier.rung().unwrap().size.height;
        assert_eq!(shown, 180, "{step:?}");
    }
}

#[test]
fn the_most_active_keep_their_tiles_and_the_others_their_places() {
    let mut room = full(1..=8);
    let places = |room: &Room| -> Vec<_> {
        room.plan().canvases.values().next().unwrap().scene.tiles.iter().map(|tile| (tile.person, tile.rect)).collect()
    };
    let before = places(&room);
    for n in [3, 7, 5] {
        room.active_speaker(ParticipantId(n));
    }
    room.patch(ParticipantId(8), ParticipantPatch { pinned: Some(true), ..Default::default() }).unwrap();
    let changes = degrade(&mut room, Step::FewTiles);
    assert_eq!(seen(&room).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([3, 5, 7, 8]));
    let unwanted = changes.iter().filter(|change| matches!(change, Change::Wanted { height: 0, .. })).count();
    assert_eq!((room.plan().wanted.len(), unwanted), (4, 4), "the others are not decoded");
    assert_eq!(places(&room).len(), before.len());
    room.active_speaker(ParticipantId(1));
    assert!(seen(&room).contains(&1) && !seen(&room).contains(&3), "who speaks is seen, in place of who has not spoken for longest");
    degrade(&mut room, Step::NoVideo);
    assert!(seen(&room).is_empty() && room.plan().wanted.is_empty());
    let scene = &room.plan().canvases.values().next().unwrap().scene;
    assert!(scene.overlays.len() == 1 && scene.tiles.len() == 8, "a still that says why");
    degrade(&mut room, Step::Whole);
    assert_eq!(seen(&room).len(), 8);
}

#[test]
fn a_seat_with_a_rate_keeps_it_until_there_is_no_video() {
    let mut room = full(1..=6);
    let layout = r#"{"type": "custom", "regions": [{"id": "sign", "width": "1/2", "seat": {"participant": "pt_00000000000000000000000000000002"}, "min_fps": 25},
        {"id": "rest", "x": "1/2", "width": "1/2", "seat": "any", "tiles": 5}]}"#;
    let layout: mixdown_layouts::Layout = serde_json::from_str(layout).unwrap();
    room.update(RoomPatch { layout: Some(layout), ..RoomPatch::default() }).unwrap();
    for n in [3, 4, 5, 6] {
        room.active_speaker(ParticipantId(n));
    }
    let rates = std::iter::successors(Some(Step::Whole), |step| step.down()).map(|step| {
        room.degrade(step);
        (made(&room).0, step < Step::FewTiles || seen(&room).contains(&2) || step == Step::NoVideo)
    });
    let rates: Vec<(u32, bool)> = rates.collect();
    assert_eq!(rates, [(30, true), (25, true), (25, true), (25, true), (25, true), (25, true), (25, true), (10, true)]);
}

#[test]
fn where_few_pictures_are_made_anyway_a_thin_link_gets_all_of_them() {
    let (mut room, _) = linked(&[4_000_000, 220_000]);
    let halved = BTreeSet::from([ParticipantId(2)]);
    assert_eq!(room.plan().halved, halved);
    degrade(&mut room, Step::Fps25);
    assert_eq!(room.plan().halved, halved);
    degrade(&mut room, Step::Fps10);
    assert!(room.plan().halved.is_empty() && room.plan().layered.is_empty(), "not 5 per second");
    degrade(&mut room, Step::Whole);
    assert_eq!(room.plan().halved, halved);
}

#[test]
fn a_picture_that_is_forwarded_is_no_load_and_stays_so() {
    let mut tier = tiers::Tier::default();
    let follow = |tier: &mut tiers::Tier, step| {
        tier.follow(&Canvas::default(), 1_500_000, false, Wishes { step, ..Wishes::default() });
        tier.takes(1_000_000, true)
    };
    assert!([Step::Whole, Step::Lines540, Step::FewTiles].into_iter().all(|step| follow(&mut tier, step)));
}

#[test]
fn who_loses_pictures_costs_an_encode_where_that_is_wanted_and_there_is_time() {
    for (wanted, step, encodes) in [(true, Step::Whole, 2), (true, Step::Fps25, 1), (false, Step::Whole, 1)] {
        let mut room = full(1..=3);
        room.settings.repair_encodes = wanted;
        room.degrade(step);
        let now = crate::runtime::clock::now();
        for seconds in [0, 5] {
            room.lost(ParticipantId(2), now + std::time::Duration::from_secs(seconds));
        }
        assert_eq!(renditions(&room), encodes, "{wanted} {step:?}");
    }
}
