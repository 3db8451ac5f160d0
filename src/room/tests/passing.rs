//! What is forwarded as it comes, to whom, and what is kept up meanwhile.

use super::*;
use crate::media::Facts;
use mixdown_layouts::Layout;
use mixdown_layouts::layout::{ActiveSpeaker, Kind as Shape};
use model::ViewPatch;
use std::time::{Duration, Instant};

const CAMERA: TrackId = TrackId { participant: ParticipantId(1), source: Source::Camera };
const FACTS: Facts = Facts { codec: VideoCodec::Vp8, size: Size::new(640, 360), plain: true, bitrate_bps: 600_000 };

fn label(room: &mut Room, labels: bool) {
    let active_speaker = ActiveSpeaker { border: false, ..ActiveSpeaker::default() };
    let layout = Layout { kind: Shape::Single, labels, active_speaker, ..Layout::default() };
    room.update_view(MAIN_VIEW, ViewPatch { layout: Some(layout), ..ViewPatch::default() }).unwrap();
}

/// Rests all canvases in what they show, for long enough.
fn rest(room: &mut Room, now: &mut Instant) {
    let scenes: Vec<_> = room.plan().canvases.iter().map(|(id, canvas)| (*id, Arc::clone(&canvas.scene))).collect();
    for (canvas, scene) in scenes {
        room.rests(canvas, &scene, *now);
    }
    *now += Duration::from_secs(3);
    room.handle_timeout(*now);
}

/// One who shows a camera of [`FACTS`], 2 who takes its codec and 3 who does not.
fn shown() -> (Room, Instant) {
    let (mut room, mut now) = (room(), crate::runtime::clock::now());
    let mut sender = arrival(1, VideoCodec::Vp8);
    (sender.negotiated.video_down, sender.kind) = (None, Kind::Publisher);
    room.join(sender).unwrap();
    room.link(ParticipantId(1), Link::Up);
    for (n, codec) in [(2, VideoCodec::Vp8), (3, VideoCodec::H264)] {
        let mut viewer = arrival(n, codec);
        viewer.negotiated.sends.clear();
        room.join(viewer).unwrap();
        room.link(ParticipantId(n), Link::Up);
    }
    label(&mut room, false);
    flow(&mut room);
    room.facts(CAMERA, Some(FACTS));
    rest(&mut room, &mut now);
    (room, now)
}

/// The keyframes have come.
fn flow(room: &mut Room) {
    let feeds: Vec<_> = room.plan().feeds.iter().map(|(participant, fed)| (*participant, *fed)).collect();
    feeds.into_iter().for_each(|(participant, fed)| room.flows(participant, fed));
}

fn passed_to(room: &Room, n: u128) -> Option<TrackId> {
    room.plan().passed(room.plan().feeds[&ParticipantId(n)])
}

#[test]
fn who_takes_the_sender_s_codec_gets_its_pictures_and_the_composite_flows_until_they_come() {
    let (mut room, mut now) = shown();
    assert_eq!([2, 3].map(|n| passed_to(&room, n)), [Some(CAMERA), None]);
    assert_eq!(renditions(&room), 2, "the composite is kept up");
    flow(&mut room);
    assert_eq!(renditions(&room), 1, "of the other codec");
    assert!(room.plan().untouched.is_empty(), "who does not take it needs it decoded");
    room.leave(ParticipantId(3), CloseReason::Left);
    assert!(renditions(&room) == 0 && room.plan().untouched.contains(&CAMERA) && room.plan().wanted.contains_key(&CAMERA));
    label(&mut room, true);
    assert!(passed_to(&room, 2).is_none() && renditions(&room) == 1 && room.plan().passes.contains_key(&CAMERA), "it goes on until then");
    let composite = room.plan().feeds[&ParticipantId(2)];
    assert!(room.is_gone_over_to(composite));
    flow(&mut room);
    assert!(room.plan().passes.is_empty() && room.plan().untouched.is_empty());
    label(&mut room, false);
    rest(&mut room, &mut now);
    assert_eq!(passed_to(&room, 2), Some(CAMERA));
    room.leave(ParticipantId(1), CloseReason::Left);
    assert!(room.plan().passes.is_empty() && renditions(&room) == 1);
}

#[test]
fn pictures_that_may_not_be_seen_any_more_stop_at_once() {
    let hide: [fn(&mut Room); 2] = [
        |room| {
            room.patch(ParticipantId(1), ParticipantPatch { muted_video: Some(true), ..Default::default() }).unwrap();
        },
        |room| {
            let exclude = Some(vec![Selector::Participant(ParticipantId(1))]);
            room.update_view(MAIN_VIEW, ViewPatch { exclude, ..ViewPatch::default() }).unwrap();
        },
    ];
    for hide in hide {
        let (mut room, _) = shown();
        flow(&mut room);
        assert!(room.plan().passes.contains_key(&CAMERA));
        hide(&mut room);
        assert!(room.plan().passes.is_empty() && renditions(&room) == 2);
    }
}

#[test]
fn pictures_that_do_not_fit_are_composed() {
    let unfit = [
        None,
        Some(Facts { plain: false, ..FACTS }),
        Some(Facts { size: Size::new(640, 480), ..FACTS }),
        Some(Facts { size: Size::new(1920, 1080), ..FACTS }),
        Some(Facts { codec: VideoCodec::H264, ..FACTS }),
        Some(Facts { bitrate_bps: 5_000_000, ..FACTS }),
    ];
    for facts in unfit {
        let (mut room, now) = shown();
        room.estimate(ParticipantId(2), 4_000_000, now);
        room.estimate(ParticipantId(3), 4_000_000, now);
        room.facts(CAMERA, facts);
        assert_eq!(passed_to(&room, 2), None, "{facts:?}");
    }
    let (mut room, _) = shown();
    room.link(ParticipantId(1), Link::Silent);
    assert_eq!(passed_to(&room, 2), None, "whose sender is silent is an avatar soon");
}

#[test]
fn nothing_is_forwarded_where_that_is_turned_off() {
    let (mut room, mut now) = shown();
    room.settings.forward_pictures = false;
    label(&mut room, true);
    label(&mut room, false);
    rest(&mut room, &mut now);
    assert!(passed_to(&room, 2).is_none() && renditions(&room) == 2);
}
