//! What changes in mid-stream is heard by nobody.

use super::*;

#[test]
fn nothing_clicks_when_somebody_is_muted_leaves_changes_codec_or_gain() {
    let natural = 0.2 * hz(1) * std::f32::consts::TAU / 48_000.0;
    let mut world = World::new(3, Settings::default());
    world.only(&[1]);
    world.run(2000);
    for round in 0..12 {
        world.run(40 + 20 * (round % 3));
        match round % 6 {
            0 | 2 => world.mute(1, true),
            1 | 3 => world.mute(1, false),
            4 => world.mix.handle(Input::Speaker {
                participant: id(1),
                voicing: Voicing { gain: Gain::from_db(-20.0).unwrap(), ..Voicing::default() },
            }),
            _ => world.blend(MAIN, &[(0, HERE)]),
        }
        world.run(600);
        assert!(world.greatest_step(0) < natural * 1.3 + 0.2 / 240.0, "{} in round {round}", world.greatest_step(0));
        if round % 6 == 5 {
            world.blend(MAIN, &[(0, HERE), (1, HERE)]);
            world.mute(1, false);
            world.run(600);
        }
    }
    world.mix.handle(Input::SpeakerLeft(id(1)));
    world.run(600);
    assert!(world.greatest_step(0) < natural * 1.3 + 0.2 / 240.0, "{}", world.greatest_step(0));
}

#[test]
fn a_sender_who_changes_codec_in_mid_stream_goes_on_within_100_ms() {
    let mut world = World::new(2, Settings::default());
    world.only(&[1]);
    world.run(3000);
    for codec in [AudioCodec::Pcmu, AudioCodec::Opus, AudioCodec::Pcma] {
        world.codec(1, codec);
        world.run(100);
        world.run(500);
        assert!(tone_level(&world.heard[&id(0)], f64::from(hz(1))) > 0.19, "{codec:?}");
        assert!(world.greatest_step(0) < 0.2 / 120.0 + 0.2 * hz(1) * std::f32::consts::TAU / 48_000.0 * 1.2);
    }
}

#[test]
fn a_listener_who_changes_codec_in_mid_stream_misses_no_tick() {
    let mut world = World::new(2, Settings::default());
    world.run(1000);
    for (codec, step) in [(AudioCodec::Pcmu, 160), (AudioCodec::Opus, 960)] {
        world.mix.handle(Input::Listener { participant: id(0), codec, mix: MAIN });
        let first = world.tick;
        world.run(400);
        assert_eq!(world.times[&id(0)], (first..first + 20).map(|n| n * step).collect::<Vec<u64>>(), "{codec:?}");
    }
}
