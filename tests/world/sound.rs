//! Sound as an operator directs it, through the whole server.

use crate::guest::Profile;
use crate::world::World;
use mixdown::conference::handle::Request;
use mixdown::room::Expect;
use mixdown::room::model::{ParticipantPatch, RoomPatch, Selector, ViewPatch};
use mixdown::room::sound::{Gain, RoomAudio, SidebarSettings, ViewAudio};
use std::time::Duration;

fn room(people: u8) -> World {
    let mut world = World::new(9);
    for person in 1..=people {
        let mut profile = Profile::new(person);
        profile.camera = false;
        world.join(profile);
    }
    world.connect(Duration::from_secs(3));
    world.run_ms(2000);
    world
}

/// Who of `people` hears whom, over the last 400 ms.
fn heard(world: &World, people: usize) -> Vec<Vec<usize>> {
    let hears = |listener: usize| (0..people).filter(|singer| world.hears(listener, *singer, 400) > 0.05).collect();
    (0..people).map(hears).collect()
}

#[test]
fn a_sidebar_hears_itself_alone_and_the_room_goes_on_without_it() {
    let mut world = room(4);
    assert_eq!(heard(&world, 4), [vec![1, 2, 3], vec![0, 2, 3], vec![0, 1, 3], vec![0, 1, 2]]);
    let participants: Vec<_> = (0..2).map(|guest| world.guests[guest].id.unwrap()).collect();
    for (heard_by_all, expected) in
        [(false, [vec![1], vec![0], vec![3], vec![2]]), (true, [vec![1], vec![0], vec![0, 1, 3], vec![0, 1, 2]])]
    {
        let settings = SidebarSettings { participants: participants.clone(), heard_by_all };
        world.ask(|reply| Request::PutSidebar { name: "aside".into(), settings, expect: Expect::Anything, reply }).unwrap();
        world.run_ms(1000);
        assert_eq!(heard(&world, 4), expected, "heard by all: {heard_by_all}");
    }
    world.ask(|reply| Request::DeleteSidebar { name: "aside".into(), expect: Expect::Anything, reply }).unwrap();
    world.run_ms(1000);
    assert_eq!(heard(&world, 4)[3], [0, 1, 2]);
    for guest in &world.guests {
        let packets = &guest.record.sound_packets;
        let late: Vec<_> = packets.windows(2).skip(50).filter(|pair| pair[1].1 - pair[0].1 != 960).collect();
        assert!(late.is_empty(), "nobody's sound was interrupted: {late:?}");
    }
}

#[test]
fn who_watches_a_view_hears_its_mix() {
    let mut world = room(3);
    let exclude = vec![Selector::Participant(world.guests[0].id.unwrap())];
    let audio = ViewAudio { exclude, gain_db: Gain::from_db(-6.0).unwrap(), ..ViewAudio::default() };
    let settings = Box::new(ViewPatch { audio: Some(audio), ..ViewPatch::default() });
    world.ask(|reply| Request::PutView { view: "quiet".into(), settings, expect: Expect::Anything, reply }).unwrap();
    world.patch(2, ParticipantPatch { view: Some("quiet".into()), ..Default::default() });
    world.run_ms(1000);
    assert_eq!(heard(&world, 3), [vec![1, 2], vec![0, 2], vec![1]]);
    let (soft, plain) = (world.hears(2, 1, 400), world.hears(0, 1, 400));
    assert!((soft / plain - 0.5).abs() < 0.1, "{soft} and {plain}");
    world.patch(1, ParticipantPatch { gain_db: Gain::from_db(-20.0), ..Default::default() });
    world.run_ms(1000);
    assert!((world.hears(0, 1, 400) / plain - 0.1).abs() < 0.03, "{}", world.hears(0, 1, 400));
}

#[test]
fn the_first_to_come_hears_the_chord_until_the_second_does() {
    let mut world = World::new(3);
    let audio = RoomAudio { hold_music: true, ..RoomAudio::default() };
    let patch = Box::new(RoomPatch { audio: Some(audio), ..RoomPatch::default() });
    world.ask(|reply| Request::PatchRoom { patch, if_match: None, reply }).unwrap();
    let mut first = Profile::new(1);
    (first.camera, first.sings_from) = (false, u64::MAX);
    world.join(first.clone());
    world.connect(Duration::from_secs(3));
    world.run_ms(4000);
    let chord =
        |world: &World| crate::content::loudness(&world.guests[0].record.sound[world.guests[0].record.sound.len() - 96_000..], 220.0);
    assert!(chord(&world) > 0.004, "{}", chord(&world));
    first.person = 2;
    world.join(first);
    world.connect(Duration::from_secs(3));
    world.run_ms(4000);
    let before = world.guests[0].record.sound.len();
    world.run_ms(500);
    assert!(world.guests[0].record.sound.len() - before < 96 * 500, "silence is not sent");
}
