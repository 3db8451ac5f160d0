//! Views: changed while people watch, chosen, filtered; and the door in front of them.

use crate::content;
use crate::guest::Profile;
use crate::world::World;
use mixdown::client;
use mixdown::conference::handle::{Join, Request};
use mixdown::conference::rights::{Rights, Views};
use mixdown::peer::types::CloseReason;
use mixdown::room::model::{Canvas, RoomPatch, Selector, SelfView, State, ViewPatch};
use mixdown::room::{Expect, MAIN_VIEW};
use mixdown_codecs::Size;
use mixdown_layouts::layout::{Kind, Transition};
use mixdown_layouts::{Fit, Layout};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

fn room(profiles: Vec<Profile>) -> World {
    let mut world = World::new(11);
    for profile in profiles {
        world.join(profile);
    }
    world.connect(PATIENCE);
    world.run_ms(2000);
    world
}

fn put(world: &mut World, view: &str, settings: ViewPatch) {
    let view = view.to_owned();
    world.ask(|reply| Request::PutView { view, settings: Box::new(settings), expect: Expect::Anything, reply }).unwrap();
}

fn small(layout: Kind) -> ViewPatch {
    // At once, so that what is in the map is where it stands.
    let transition = Transition { ms: 0, ..Transition::default() };
    let layout = Layout { kind: layout, transition, ..Layout::default() };
    ViewPatch { canvas: Some(crate::world::small_canvas()), layout: Some(layout), ..ViewPatch::default() }
}

fn say(world: &mut World, guest: usize, text: &str) {
    let now = world.now;
    world.guests[guest].peer.send_message(now, text).unwrap();
    world.run_ms(300);
}

/// Whose codes `viewer` has read since `from`, in the tiles that the map names.
fn seen(world: &World, viewer: usize, from: std::time::Instant) -> BTreeSet<u8> {
    world.sights(viewer, from).flat_map(|sight| &sight.codes).filter_map(|(_, code)| code.as_ref().map(|code| code.person)).collect()
}

/// Whether `viewer`'s newest picture is of `layout`, whatever the tile maps say.
fn is_composed_as(world: &World, viewer: usize, layout: &Layout, people: u64) -> bool {
    world.guests[viewer].record.last_picture.as_ref().is_some_and(|picture| content::is_composed_as(picture, layout, people))
}

#[test]
fn a_change_of_layout_is_drawn_at_the_next_tick_seen_soon_and_costs_neither_keyframe_nor_freeze() {
    /// Two ticks, and the way to the viewer: a picture that is all new takes long to be sent. The encoder of VP8 skips one after it, or blurs it.
    const SEEN: [Duration; 3] = [Duration::from_millis(67 + 15), Duration::from_millis(67 + 15), Duration::from_millis(100 + 5)];
    /// At 90 kHz; a tick comes up to one sooner than its time.
    const TICK: u64 = 90_000 / 30;
    let mut world = room(vec![Profile::new(1), Profile::new(2), Profile::vp8(3)]);
    let keyframes: Vec<u32> = world.guests.iter().map(|guest| guest.record.keyframes).collect();
    let from = world.now;
    for n in 0..10 {
        let mut settings = small(if n % 2 == 0 { Kind::Speaker } else { Kind::Grid });
        let layout = Layout { fit: Fit::Contain, ..settings.layout.take().unwrap() };
        assert!(!is_composed_as(&world, 0, &layout, 3), "change {n} changes nothing");
        put(&mut world, MAIN_VIEW, ViewPatch { layout: Some(layout.clone()), ..settings });
        let (at, asked) = (world.now, world.at().as_micros() as u64 * 9 / 100);
        let mut shown = [None; 3];
        while shown.contains(&None) && world.now < at + PATIENCE {
            world.run_ms(1);
            for (viewer, shown) in shown.iter_mut().enumerate().filter(|(_, shown)| shown.is_none()) {
                *shown = is_composed_as(&world, viewer, &layout, 3).then(|| world.now - at);
            }
        }
        assert!(
            shown.iter().zip(SEEN).all(|(time, most)| time.is_some_and(|time| time <= most)),
            "change {n} is in the pictures after {shown:?}"
        );
        let drawn = world.guests[0].messages_of("tiles").last().unwrap()["rtp_timestamp"].as_u64().unwrap();
        assert!((asked..=asked + 2 * TICK).contains(&drawn), "change {n} was asked for at {asked} and drawn at {drawn}");
        // Not in step with the ticks.
        world.run_ms(300 + 7 * n);
    }
    for (viewer, keyframes) in keyframes.iter().enumerate() {
        assert_eq!(world.guests[viewer].record.keyframes, *keyframes, "viewer {viewer} was sent a keyframe");
        let times: Vec<_> = world.sights(viewer, from).map(|sight| sight.at).collect();
        let freeze = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(freeze < Duration::from_millis(150), "viewer {viewer} waited {freeze:?}");
    }
    put(&mut world, MAIN_VIEW, ViewPatch { canvas: Some(Canvas { width: 480, height: 270, ..Canvas::default() }), ..ViewPatch::default() });
    let from = world.now + Duration::from_millis(300);
    world.run_ms(1300);
    for (viewer, keyframes) in keyframes.iter().enumerate() {
        let sizes: Vec<_> = world.sights(viewer, from).map(|sight| sight.size).collect();
        assert_eq!(
            world.guests[viewer].record.keyframes,
            keyframes + 1,
            "viewer {viewer}: another size begins with one keyframe; {sizes:?}"
        );
        assert!(world.sights(viewer, from).all(|sight| sight.size == Size::new(480, 270)));
        assert!(world.sights(viewer, from).count() > 20);
    }
}

#[test]
fn who_chooses_another_view_sees_it_with_the_right_tile_map_and_the_others_notice_nothing() {
    let mut world = room(vec![Profile::new(1), Profile::new(2), Profile::viewer(3)]);
    let first = world.guests[0].id.unwrap();
    put(&mut world, "stage", ViewPatch { include: Some(vec![Selector::Participant(first)]), ..small(Kind::Grid) });
    let keyframes = world.guests[0].record.keyframes;
    let from = world.now;
    say(&mut world, 2, r#"{"type":"view","view":"stage"}"#);
    let there = world.now + Duration::from_millis(300);
    world.run_ms(1500);
    assert_eq!(seen(&world, 2, there), BTreeSet::from([1]));
    assert_eq!(seen(&world, 0, there), BTreeSet::from([1, 2]));
    assert_eq!((world.quality(2, 0, from).wrong, world.quality(2, 1, from).wrong), (0, 0), "a tile map came too early or too late");
    assert_eq!(world.guests[0].record.keyframes, keyframes, "whoever stayed was sent a keyframe");
    let view = "stage".to_owned();
    world.ask(|reply| Request::DeleteView { view, expect: Expect::Anything, reply }).unwrap();
    world.run_ms(700);
    let back = world.now;
    world.run_ms(1000);
    assert_eq!(seen(&world, 2, back), BTreeSet::from([1, 2]), "main is what remains");
}

#[test]
fn without_me_means_that_nobody_sees_himself_and_everybody_the_others() {
    let mut world = room(vec![Profile::new(1), Profile::new(2), Profile::viewer(3)]);
    put(&mut world, MAIN_VIEW, ViewPatch { own: Some(SelfView::Exclude), ..small(Kind::Grid) });
    world.run_ms(1000);
    let from = world.now;
    world.run_ms(1500);
    assert_eq!([0, 1, 2].map(|viewer| seen(&world, viewer, from)), [BTreeSet::from([2]), BTreeSet::from([1]), BTreeSet::from([1, 2])]);
}

#[test]
fn a_phone_that_says_so_is_shown_the_upright_alternative_and_turned_the_other() {
    let mut world = room(vec![Profile::new(1), Profile::viewer(2)]);
    put(&mut world, "phone", ViewPatch { canvas: Some(Canvas { width: 270, height: 480, ..Canvas::default() }), ..ViewPatch::default() });
    put(&mut world, MAIN_VIEW, ViewPatch { alternatives: Some(vec!["phone".into()]), ..small(Kind::Auto) });
    say(&mut world, 1, r#"{"type":"hint","width":390,"height":760}"#);
    world.run_ms(1000);
    assert_eq!(world.guests[1].record.sights.last().unwrap().size, Size::new(270, 480));
    assert_eq!(world.participant(1).unwrap().participant.feed.unwrap().view, "phone");
    assert_eq!(world.guests[0].record.sights.last().unwrap().size, Size::new(640, 360));
    say(&mut world, 1, r#"{"type":"hint","width":760,"height":390}"#);
    world.run_ms(1000);
    assert_eq!(world.guests[1].record.sights.last().unwrap().size, Size::new(640, 360));
}

/// May publish, watch `main`, and nothing else.
fn guest_rights() -> Rights {
    Rights { admin: false, layout: false, admitted: false, chat: false, publish_video: false, views: Views::Main(None), ..Rights::all() }
}

#[test]
fn who_waits_neither_sees_nor_hears_nor_is_heard_until_a_moderator_opens() {
    let mut world = room(vec![Profile::new(1)]);
    let patch = Box::new(RoomPatch { waiting_room: Some(true), ..RoomPatch::default() });
    world.ask(|reply| Request::PatchRoom { patch, if_match: None, reply }).unwrap();
    say(&mut world, 0, r#"{"type":"chat","text":"between us"}"#);
    let late = world.join_as(Profile::new(2), Rights { publish_video: true, chat: true, ..guest_rights() });
    world.connect(PATIENCE);
    world.run_ms(1500);
    say(&mut world, late, r#"{"type":"chat","text":"let me in"}"#);
    let record = &world.guests[late].record;
    assert!(record.sights.is_empty() && record.sound.is_empty(), "the door leaks");
    let kinds: BTreeSet<&str> = record.messages.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["error", "hello"]));
    assert_eq!(world.guests[late].messages_of("hello").next().unwrap()["waiting"], true);
    assert!(world.hears(0, late, 1000) < 0.01 && world.guests[0].messages_of("chat").count() == 1);
    let id = world.guests[late].id.unwrap().to_string();
    let asked = world.guests[0].messages_of("waiting").last().unwrap();
    assert_eq!(asked["participants"][0]["id"], id.as_str());
    say(&mut world, late, &format!(r#"{{"type":"admit","participant":"{id}"}}"#));
    assert!(world.guests[late].record.sights.is_empty(), "nobody admits himself");
    say(&mut world, 0, &format!(r#"{{"type":"admit","participant":"{id}"}}"#));
    world.run_ms(2000);
    assert!(world.guests[late].record.sights.len() > 30 && world.hears(0, late, 1000) > 0.1);
    assert_eq!(world.guests[late].messages_of("hello").last().unwrap()["waiting"], false);
    assert!(world.guests[late].messages_of("chat").any(|message| message["text"] == "between us"));
    let denied = world.join_as(Profile::new(3), guest_rights());
    world.connect(PATIENCE);
    world.run_ms(500);
    let id = world.guests[denied].id.unwrap();
    say(&mut world, 0, &format!(r#"{{"type":"deny","participant":"{id}"}}"#));
    assert!(world.guests[denied].record.closed);
    assert_eq!(world.guests[denied].messages_of("error").last().unwrap()["status"], 410);
}

#[test]
fn commands_on_the_data_channel_need_what_they_need_over_http() {
    let mut world = room(vec![Profile::new(1)]);
    put(&mut world, "backstage", small(Kind::Speaker));
    let other = world.join_as(Profile::new(2), guest_rights());
    world.connect(PATIENCE);
    world.run_ms(500);
    let id = world.guests[0].id.unwrap();
    for text in [
        r#"{"type":"chat","text":"hi"}"#.to_owned(),
        r#"{"type":"view","view":"backstage"}"#.into(),
        format!(r#"{{"type":"mute","participant":"{id}","audio":true}}"#),
        format!(r#"{{"type":"pin","participant":"{id}"}}"#),
        format!(r#"{{"type":"remove","participant":"{id}"}}"#),
    ] {
        say(&mut world, other, &text);
        assert_eq!(world.guests[other].messages_of("error").last().map(|error| error["status"].clone()), Some(403.into()), "{text}");
        world.guests[other].record.messages.clear();
    }
    let from = world.now;
    world.run_ms(1000);
    assert!(!seen(&world, 0, from).contains(&2), "a camera that was not granted is shown");
    let him = world.guests[other].id.unwrap();
    say(&mut world, 0, &format!(r#"{{"type":"mute","participant":"{him}","audio":true}}"#));
    say(&mut world, other, r#"{"type":"mute","audio":false}"#);
    assert_eq!(world.guests[other].messages_of("error").last().unwrap()["status"], 403, "an operator's mute holds");
    world.run_ms(500);
    // Silence is not sent: what was heard last would stay.
    world.guests[0].record.sound.clear();
    world.run_ms(1000);
    assert!(world.hears(0, other, 500) < 0.01);
    say(&mut world, 0, &format!(r#"{{"type":"mute","participant":"{him}","audio":false}}"#));
    say(&mut world, other, r#"{"type":"mute","audio":false}"#);
    world.run_ms(1500);
    assert!(world.hears(0, other, 1000) > 0.1);
}

#[test]
fn who_is_sent_to_another_room_is_told_where_and_is_out_when_he_stays() {
    let mut world = room(vec![Profile::new(1), Profile::new(2)]);
    let participant = world.guests[1].id.unwrap();
    let (to, token) = ("lounge".parse().unwrap(), Some("key".to_owned()));
    world.ask(|reply| Request::Transfer { participant, to, token, reply }).unwrap();
    world.run_ms(500);
    let told = world.guests[1].messages_of("transfer").last().unwrap();
    assert_eq!((told["room"].as_str(), told["token"].as_str()), (Some("lounge"), Some("key")));
    assert!(!world.guests[1].record.closed);
    world.run_ms(10_000);
    assert!(world.guests[1].record.closed);
    assert_eq!(world.participant(1).unwrap().participant.state, State::Disconnected);
}

#[test]
fn of_two_sessions_of_one_identity_the_newest_stays_and_nobody_else_notices() {
    let mut world = room(vec![Profile::new(1), Profile::viewer(2)]);
    let come = |world: &mut World| {
        let offer = client::Peer::new(client::Config::default(), world.now).offer().unwrap();
        let kind = mixdown::peer::types::Kind::Participant;
        let join = Join {
            kind,
            offer,
            name: "Ann".into(),
            identity: Some("ann".into()),
            view: None,
            role: None,
            rights: Rights::all(),
            limits: Default::default(),
        };
        world.ask(|reply| Request::Join(Box::new(join), reply)).unwrap().participant
    };
    let (first, second) = (come(&mut world), come(&mut world));
    let mut of = |participant| world.ask(|reply| Request::Participant { participant, reply }).unwrap();
    let (first, second) = (of(first), of(second));
    assert_eq!((first.participant.state, first.participant.reason_code), (State::Disconnected, Some(CloseReason::DuplicateIdentity)));
    assert_ne!(second.participant.state, State::Disconnected, "never both, never neither");
    let from = world.now;
    world.run_ms(1000);
    assert!(world.guests.iter().all(|guest| !guest.record.closed));
    assert!(seen(&world, 1, from).contains(&1), "the others go on");
}

#[test]
fn a_banner_lies_over_the_picture_for_its_time_and_costs_no_keyframe() {
    let mut world = room(vec![Profile::new(1), Profile::viewer(2)]);
    let keyframes = world.guests[1].record.keyframes;
    let lower_left = |world: &World| {
        let picture = world.guests[1].record.last_picture.as_ref().unwrap();
        let planes = picture.planes();
        (280..350).flat_map(|y| (20..300).map(move |x| y * 640 + x)).map(|at| u64::from(planes.y[at])).sum::<u64>()
    };
    world.run_ms(500);
    let plain = lower_left(&world);
    let (view, text, time) = (MAIN_VIEW.to_owned(), "Back at ten".to_owned(), Duration::from_secs(3));
    world.ask(|reply| Request::Banner { view, text, time, reply }).unwrap();
    world.run_ms(1500);
    let covered = lower_left(&world);
    assert!(covered.abs_diff(plain) > plain / 20, "no banner is seen: {plain} {covered}");
    world.run_ms(3000);
    assert!(lower_left(&world).abs_diff(plain) < plain / 20, "the banner stays");
    assert_eq!(world.guests[1].record.keyframes, keyframes);
}
