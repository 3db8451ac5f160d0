//! Bad links: loss, bursts, jitter, reordering, duplicates, blackouts (docs/faults.md, F8–F10, F13).

use crate::guest::Profile;
use crate::network::Link;
use crate::world::World;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Two guests; the first one's uplink is `up`, its downlink `down`, once both are there (a handshake that is lost is repeated after seconds, and without the
/// tile map it could not be told who is seen).
fn pair(seed: u64, up: Link, down: Link) -> World {
    let mut world = World::new(seed);
    world.join(Profile::new(1));
    world.join(Profile::vp8(2));
    world.connect(PATIENCE);
    world.run_ms(500);
    world.links(0, up, down);
    world.run_ms(2000);
    world
}

/// F8, upwards: share of frames, longest freeze; a picture is never put together from several.
#[test]
fn loss_on_the_way_up_costs_no_more_than_its_share() {
    for (loss, share, freeze_ms) in [(0.01, 0.98, 200), (0.05, 0.95, 500), (0.10, 0.85, 1000), (0.20, 0.60, 2000)] {
        let mut world = pair(31, Link::lossy(loss), Link::default());
        let from = world.now;
        world.run_ms(8000);
        let quality = world.quality(1, 0, from);
        assert!(quality.share >= share && quality.wrong == 0, "{loss}: {quality:?}");
        assert!(quality.longest_freeze <= Duration::from_millis(freeze_ms), "{loss}: {quality:?}");
        assert!(quality.median_age_ms < 400.0, "{loss}: pictures are shown evenly, not late: {quality:?}");
        assert!(world.quality(1, 1, from).share > 0.95, "{loss}: somebody else's tile suffered");
        assert!(world.quality(1, 1, from).median_age_ms < 70.0, "{loss}: somebody else's tile is late");
        assert!(world.hears(1, 0, 1000) > 0.08, "{loss}: the tone is gone");
    }
}

/// F8, downwards: at 20 % it may be every second picture for a while, where the estimate takes the losses for a link that is full (F12), and that is shown evenly.
#[test]
fn loss_on_the_way_down_is_repaired() {
    for (loss, share, freeze_ms) in [(0.01, 0.98, 200), (0.05, 0.95, 500), (0.10, 0.85, 1000), (0.20, 0.45, 2000)] {
        for seed in [13, 14] {
            let mut world = pair(seed, Link::default(), Link::lossy(loss));
            // Of the first packets a few lost ones are many.
            world.run_ms(3000);
            let (from, keyframes) = (world.now, world.guests[0].record.keyframes);
            world.run_ms(8000);
            let quality = world.quality(0, 1, from);
            println!("{loss}, {seed}: {quality:?}");
            assert!(quality.share >= share && quality.wrong == 0, "{loss}: {quality:?}");
            assert!(quality.longest_freeze <= Duration::from_millis(freeze_ms), "{loss}: {quality:?}");
            let keyframes = world.guests[0].record.keyframes - keyframes;
            assert!(keyframes <= 8, "{loss}: {keyframes} keyframes in eight seconds");
        }
    }
}

/// F9: as 10 % of independent loss.
#[test]
fn bursts_of_loss_are_survived() {
    let burst = Link { burst: 5.0, ..Link::lossy(0.05) };
    let mut world = pair(33, burst, Link::default());
    let from = world.now;
    world.run_ms(8000);
    let quality = world.quality(1, 0, from);
    assert!(quality.share >= 0.85 && quality.longest_freeze <= Duration::from_millis(1000) && quality.wrong == 0, "{quality:?}");
}

/// F10.
#[test]
fn duplicates_and_reordering_alone_cause_no_keyframe_request() {
    let shaken = Link { duplicate: 0.05, reorder: 0.05, in_order: false, ..Link::default() };
    let mut world = pair(14, shaken, Link::default());
    let before = world.guests[0].peer.stats().keyframe_requests_received;
    let from = world.now;
    world.run_ms(6000);
    assert_eq!(world.guests[0].peer.stats().keyframe_requests_received, before);
    let quality = world.quality(1, 0, from);
    assert!(quality.share > 0.9 && quality.longest_freeze < Duration::from_millis(500), "{quality:?}");
}

/// F10.
#[test]
fn jitter_of_200_ms_freezes_no_tile_for_half_a_second() {
    let shaky = Link { jitter: Duration::from_millis(200), ..Link::default() };
    let mut world = pair(15, shaky, Link::default());
    world.run_ms(3000);
    let from = world.now;
    world.run_ms(6000);
    let quality = world.quality(1, 0, from);
    assert!(quality.longest_freeze < Duration::from_millis(500), "{quality:?}");
    assert!(world.hears(1, 0, 1000) > 0.08);
}

/// F13: 2 s.
#[test]
fn a_short_blackout_is_over_a_second_after_it_ends() {
    let mut world = pair(16, Link::default(), Link::default());
    let end = world.now + Duration::from_secs(2);
    world.guests[0].up.dark_until = Some(end);
    world.guests[0].down.dark_until = Some(end);
    world.run_ms(3000);
    let from = world.now;
    world.run_ms(2000);
    assert!(world.quality(1, 0, from).share > 0.9, "{:?}", world.quality(1, 0, from));
    assert!(world.quality(0, 1, from).share > 0.9, "{:?}", world.quality(0, 1, from));
    assert!(world.hears(1, 0, 1000) > 0.1);
}

/// F13: 40 s.
#[test]
fn a_long_blackout_ends_the_participant_after_thirty_seconds() {
    let mut world = pair(17, Link::default(), Link::default());
    let dark = world.now;
    world.guests[0].up.dark_until = Some(dark + Duration::from_secs(60));
    world.guests[0].down.dark_until = Some(dark + Duration::from_secs(60));
    world.run_ms(26_000);
    let state = world.participant(0).unwrap().participant.state;
    assert_eq!(state, mixdown::room::model::State::Reconnecting);
    world.run_ms(7_500);
    let gone = world.participant(0).unwrap().participant;
    assert_eq!(gone.state, mixdown::room::model::State::Disconnected);
    assert!(gone.reason.unwrap().contains("consent"));
    let left = world.take_events().into_iter().filter(|kind| *kind == "participant.left").count();
    assert_eq!(left, 1, "told exactly once");
}

/// Wherever in a tick somebody's pictures come, a moment later the tick is where they have just come; of three it is where they wait least.
#[test]
fn pictures_wait_for_the_tick_no_longer_than_they_must() {
    for seed in [0, 2, 5] {
        let mut world = World::new(seed);
        world.join(Profile::viewer(9));
        world.join(Profile::new(1));
        world.connect(PATIENCE);
        world.run_ms(5 * seed);
        let age = |world: &World, from| world.quality(0, 1, from).median_age_ms;
        let way = 2.0 * Link::default().delay.as_secs_f64() * 1000.0;
        world.run_ms(8000);
        let from = world.now;
        world.run_ms(2000);
        assert!(age(&world, from) - way < 8.0, "{seed}: {} ms, of which the way takes {way}", age(&world, from));
        let times: Vec<u64> = world.sights(0, from).map(|sight| sight.rtp_time).collect();
        assert!(times.windows(2).all(|pair| (2900..=3100).contains(&(pair[1] - pair[0]))), "{seed}: {times:?}");
        for other in [2, 3] {
            world.join(Profile::new(other));
            world.connect(PATIENCE);
            world.run_ms(7);
        }
        world.run_ms(10_000);
        let from = world.now;
        world.run_ms(2000);
        let waits: Vec<f64> = (1..4).map(|shown| world.quality(0, shown, from).median_age_ms - way).collect();
        println!("{seed}: {waits:?}");
        assert!(waits.iter().sum::<f64>() / 3.0 < 15.0, "{seed}: {waits:?}");
    }
}
