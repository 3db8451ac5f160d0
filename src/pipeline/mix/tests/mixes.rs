//! Several mixes of one room: views, sidebars, announcements and the room's own sounds.

use super::*;

#[test]
fn each_mix_has_its_people_and_costs_one_encode() {
    let mut world = World::new(6, Settings::default());
    world.only(&[0, 1]);
    world.blend(MAIN, &[(0, HERE)]);
    world.blend(SIDE, &[(1, HERE)]);
    for n in 3..6 {
        world.listen_to(n, SIDE);
    }
    world.run(2000);
    world.run(1000);
    for who in 0..6 {
        let heard = usize::from(who >= 3);
        for whom in 0..2 {
            assert_eq!(world.hears(who, whom), whom == heard && who != whom, "{who} and {whom}");
        }
    }
    assert_eq!(world.encodes, 50 * 3, "two mixes, and the first without one who is audible in it");
    for n in 0..6 {
        world.listen_to(n, SIDE);
    }
    world.mix.handle(Input::MixClosed(MAIN));
    world.run(1000);
    world.run(1000);
    assert_eq!(world.encodes, 50 * 2);
    assert!(world.hears(0, 1) && !world.hears(1, 1));
}

#[test]
fn a_quiet_sidebar_is_heard_however_loud_the_room_is() {
    let mut world = World::new(8, Settings { loudest: 2, ..Settings::default() });
    for n in 0..6 {
        world.amplitude(n, 0.6);
    }
    world.amplitude(6, 0.03);
    world.amplitude(7, 0.0);
    world.blend(MAIN, &[(0, HERE), (1, HERE), (2, HERE), (3, HERE), (4, HERE), (5, HERE)]);
    world.blend(SIDE, &[(6, HERE), (7, HERE)]);
    world.listen_to(6, SIDE);
    world.listen_to(7, SIDE);
    world.run(2000);
    world.run(1000);
    let level = tone_level(&world.heard[&id(7)], f64::from(hz(6)));
    assert!((level - 0.03).abs() < 0.005, "{level}");
    assert!((0..6).all(|whom| tone_level(&world.heard[&id(7)], f64::from(hz(whom))) < 0.001));
}

#[test]
fn gains_and_places_are_heard_and_nobody_hears_themselves_whatever_they_are() {
    let mut world = World::new(3, Settings::default());
    let place = |db: f64, position| Place { gain: Gain::from_db(db).unwrap(), position };
    world.blend(MAIN, &[(0, place(-12.0, -100)), (1, place(3.0, 30)), (2, place(6.0, 100))]);
    world.mix.handle(Input::Speaker { participant: id(0), voicing: Voicing { gain: Gain::from_db(6.0).unwrap(), ..Voicing::default() } });
    world.run(2000);
    world.run(1000);
    let left = |who: usize, whom: usize| tone_level(&world.heard[&id(who)], f64::from(hz(whom)));
    let expected = 0.2 * 10f64.powf(-6.0 / 20.0) * 2f64.sqrt();
    assert!((left(1, 0) - expected).abs() < 0.01 && (left(2, 0) - expected).abs() < 0.01, "{}", left(1, 0));
    assert!(left(0, 2) < 0.002 && left(1, 2) < 0.002, "on the right alone: {}", left(0, 2));
    for who in 0..3 {
        let both: Vec<f32> = world.heard[&id(who)].chunks_exact(2).flat_map(|frame| [frame[0] + frame[1]; 2]).collect();
        assert!(tone_level(&both, f64::from(hz(who))) < 0.001, "{who} hears themselves");
    }
}

#[test]
fn the_one_who_is_alone_hears_the_chord_and_signals_are_for_all() {
    let mut world = World::new(2, Settings::default());
    world.only(&[]);
    world.mix.handle(Input::Hold(true));
    world.run(3000);
    world.run(1000);
    assert!(tone_level(&world.heard[&id(0)], 220.0) > 0.004);
    world.mix.handle(Input::Hold(false));
    world.run(3000);
    world.run(200);
    assert!(world.heard[&id(0)].iter().all(|s| *s == 0.0));
    world.mix.handle(Input::Chime(crate::room::sound::Chime::Joined));
    world.run(240);
    assert!(tone_level(&world.heard[&id(0)], 659.26) > 0.005 && tone_level(&world.heard[&id(1)], 880.0) > 0.005);
}

#[test]
fn who_comes_back_to_a_mix_that_nobody_heard_hears_nothing_of_what_was_said_when_they_left() {
    for all_leave in [false, true] {
        let mut world = World::new(3, Settings::default());
        world.only(&[1]);
        world.blend(SIDE, &[(1, HERE)]);
        world.listen_to(0, SIDE);
        world.run(1000);
        assert!(tone_level(&world.heard[&id(0)], f64::from(hz(1))) > 0.1);
        if all_leave {
            (0..3).for_each(|n| world.mix.handle(Input::ListenerLeft(id(n))));
        } else {
            world.listen_to(0, MAIN);
        }
        world.run(100);
        world.only(&[]);
        world.run(4000);
        world.listen_to(0, SIDE);
        world.run(1000);
        assert_eq!(world.heard[&id(0)].iter().fold(0.0f32, |most, s| most.max(s.abs())), 0.0, "all had left: {all_leave}");
    }
}

#[test]
fn a_private_voice_does_not_take_the_floor() {
    let mut world = World::new(3, Settings::default());
    world.mix.handle(Input::Speaker { participant: id(1), voicing: Voicing { private: true, ..Voicing::default() } });
    world.only(&[1]);
    world.run(4000);
    assert!(world.events.is_empty(), "{:?}", world.events);
}

#[test]
fn an_announcement_is_heard_whoever_else_speaks_and_takes_no_floor() {
    let mut world = World::new(7, Settings::default());
    world.amplitude(5, 0.15);
    world.mix.handle(Input::Speaker { participant: id(5), voicing: Voicing { announcement: true, ..Voicing::default() } });
    world.run(2000);
    world.run(1000);
    assert!(world.hears(6, 5), "though four others are louder");
    assert_eq!((0..5).filter(|whom| world.hears(6, *whom)).count(), 3);
    world.only(&[5]);
    world.events.clear();
    world.run(6000);
    assert!(!world.floors(RULE).contains(&id(5)));
}

#[test]
fn views_with_rules_of_their_own_have_speakers_of_their_own() {
    let mut world = World::new(3, Settings::default());
    let slow = Rule { attack_ms: 3000, hold_ms: 2000, min_level_dbov: -50 };
    let deaf = Rule { attack_ms: 600, hold_ms: 2000, min_level_dbov: -10 };
    world.mix.handle(Input::Floors(Arc::new([RULE, slow, deaf])));
    for round in 0..4 {
        world.only(&[round % 2]);
        world.run(if round == 3 { 6000 } else { 2700 });
    }
    assert_eq!(world.floors(RULE), [id(0), id(1), id(0), id(1)]);
    assert_eq!(world.floors(slow), [id(1)], "the others did not speak long enough");
    assert!(world.floors(deaf).is_empty());
    let signs = world.events.iter().filter(|(_, event)| matches!(event, Event::Speaking { speaking: true, .. })).count();
    assert_eq!(signs, 4, "signs go by the first rule alone: {:?}", world.events);
}
