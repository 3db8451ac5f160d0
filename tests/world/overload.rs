//! Too little processor time (docs/faults.md, F2): pictures give way, in order, and come back; sound does not notice.

use crate::guest::Profile;
use crate::recordings::{new, studio_of};
use crate::world::{Options, World};
use mixdown::overload::{Guard, Load, PERIOD, Settings, Step, Ticks};
use mixdown::record::State;
use mixdown::room::model::Canvas;
use std::time::{Duration, Instant, SystemTime};

const PATIENCE: Duration = Duration::from_secs(3);

/// People in a room of this canvas, all of whom send; the last one alone looks.
fn room(people: u8, canvas: Canvas) -> World {
    let mut world = World::with(Options { seed: 91, canvas, ..Options::default() });
    for person in 1..=people {
        world.join(Profile { looks: person == people, ..Profile::new(person) });
    }
    world.connect(PATIENCE);
    world.run_ms(2000);
    world
}

fn degrade(world: &mut World, step: Step) {
    let (now, wall) = (world.now, SystemTime::UNIX_EPOCH + world.at());
    world.conference.degrade(now, wall, step);
    world.run_ms(0);
}

/// A processor that the viewer's pictures need so many times over when they are whole.
struct Processor {
    guard: Guard,
    viewer: usize,
    /// When it went to which step.
    moves: Vec<(Instant, Step)>,
}

impl Processor {
    /// What was made of pictures in the last half of a second decides what is made of them in the next.
    fn live(&mut self, world: &mut World, time: Duration, demand: f64) {
        let end = world.now + time;
        while world.now < end {
            world.run(PERIOD);
            let from = world.now - 2 * PERIOD;
            let pixels: u64 = world.sights(self.viewer, from).map(|sight| sight.size.pixels() as u64).sum();
            let whole = 1280.0 * 720.0 * 30.0 * (2 * PERIOD).as_secs_f64();
            let wanted = demand * pixels as f64 / whole;
            let pictures = Ticks { due: 100, late: ((1.0 - 1.0 / wanted).max(0.0) * 100.0) as u64 };
            let status = self.guard.handle(Load { cpu: Some(wanted.min(1.0)), pictures, ..Load::default() }, world.now);
            if self.moves.last().map_or(Step::Whole, |(_, step)| *step) != status.step {
                self.moves.push((world.now, status.step));
                degrade(world, status.step);
            }
        }
    }
}

/// Packets of sound since `from`, and the longest time between two.
fn sound(world: &World, viewer: usize, from: Instant) -> (usize, Duration) {
    let times: Vec<Instant> = world.guests[viewer].record.sound_packets.iter().map(|(at, _)| *at).filter(|at| *at >= from).collect();
    (times.len(), times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX))
}

fn whole_sound(world: &World, viewer: usize, from: Instant) {
    let (packets, gap) = sound(world, viewer, from);
    let expected = (world.now - from).as_millis() as usize / 20;
    assert!(packets.abs_diff(expected) <= 1 && gap <= Duration::from_millis(25), "{packets} of {expected}, {gap:?} apart");
}

#[test]
fn f2_under_too_much_load_rate_goes_before_size_sound_stays_whole_and_all_comes_back() {
    let mut world = room(2, Canvas::default());
    let mut processor = Processor { guard: Guard::new(Settings::default()), viewer: 1, moves: Vec::new() };
    let start = world.now;
    processor.live(&mut world, Duration::from_secs(1), 0.5);
    let keyframes = world.guests[1].record.keyframes;
    let loaded = world.now;
    processor.live(&mut world, Duration::from_secs(4), 1.5);
    let steps = |processor: &Processor| processor.moves.iter().map(|(_, step)| *step).collect::<Vec<_>>();
    assert_eq!(steps(&processor), [Step::Fps25, Step::Fps15]);
    let from = world.now - Duration::from_secs(1);
    assert!((14..=16).contains(&world.sights(1, from).count()), "{}", world.sights(1, from).count());
    assert_eq!(world.guests[1].record.keyframes, keyframes, "fewer pictures need no keyframe");

    processor.live(&mut world, Duration::from_secs(3), 3.0);
    assert_eq!(steps(&processor)[2..], [Step::Fps10, Step::Lines540]);
    let from = world.now - Duration::from_millis(500);
    assert!(world.sights(1, from).all(|sight| sight.size.height == 540));
    let times: Vec<Instant> = std::iter::once(loaded).chain(processor.moves[..2].iter().map(|(at, _)| *at)).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= Duration::from_secs(1)), "each decision within a second");

    processor.live(&mut world, Duration::from_secs(43), 0.4);
    assert_eq!(steps(&processor)[4..], [Step::Fps10, Step::Fps15, Step::Fps25, Step::Whole]);
    assert!(processor.moves[3..].windows(2).all(|pair| pair[1].0 - pair[0].0 >= Duration::from_secs(10)), "each after ten calm seconds");
    let from = world.now - Duration::from_secs(1);
    assert!(world.sights(1, from).count() >= 29 && world.sights(1, from).all(|sight| sight.size.height == 720));
    let quality = world.quality(1, 0, start);
    assert!(quality.wrong == 0 && quality.backwards == 0 && quality.longest_freeze < Duration::from_millis(300), "{quality:?}");
    whole_sound(&world, 1, start);
}

/// From ten pictures a second down to none and back, a second on each.
#[test]
fn f2_a_recording_goes_down_all_steps_and_back_without_a_hole_in_its_sound_or_a_picture_that_cannot_be_decoded() {
    const WAY: [Step; 9] = [
        Step::Fps10,
        Step::Lines540,
        Step::Lines360,
        Step::FewTiles,
        Step::NoVideo,
        Step::FewTiles,
        Step::Lines360,
        Step::Lines540,
        Step::Whole,
    ];
    let blind = |person| Profile { looks: false, ..Profile::new(person) };
    let mut studio = studio_of(Canvas::default(), (1..=5).map(blind).collect(), |_| {});
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    for step in WAY {
        degrade(&mut studio.world, step);
        studio.world.run_ms(if step == Step::NoVideo { 5000 } else { 1000 });
    }
    let film = studio.stop(id);
    assert_eq!((film.manifest.state, film.manifest.lost_pictures, film.manifest.lost_packets), (State::Complete, 0, 0));
    assert!((13_700..=14_100).contains(&film.manifest.duration_ms), "{}", film.manifest.duration_ms);
    let mut sizes: Vec<u32> = film.pictures.iter().map(|(_, frame)| frame.size().height).collect();
    sizes.dedup();
    assert_eq!(sizes, [720, 540, 360, 540, 720], "a still is as large as the last moving picture, and can be read");
    let silent: Vec<u64> = (200..13_600).step_by(20).filter(|ms| !film.hears(1, *ms, ms + 20)).collect();
    assert!(silent.is_empty(), "sound has holes at {silent:?} ms");
    let gap = |from: u64, to: u64| {
        let times = film.pictures.iter().map(|(at, _)| *at).filter(|at| (from..to).contains(at)).collect::<Vec<_>>();
        times.windows(2).map(|pair| pair[1].checked_sub(pair[0]).expect("in order")).max().unwrap()
    };
    assert!(gap(0, 5000) <= 150 && gap(10_000, 14_000) <= 150 && gap(4900, 10_200) <= 4100, "a still every four seconds");
    let seen = |ms: u64| film.codes(ms, ms + 500).into_iter().next_back().unwrap().1.iter().filter(|(_, code)| code.is_some()).count();
    assert_eq!([500, 4500, 8800, 10_500, 13_400].map(seen), [5, 4, 0, 4, 5]);
}

#[test]
fn f2_at_last_the_least_active_are_avatars_and_then_a_still_says_why() {
    let mut world = room(6, Canvas { width: 640, height: 360, ..Canvas::default() });
    let (start, viewer) = (world.now, 5);
    let shown = |world: &World| {
        let last = world.guests[5].record.sights.last().unwrap();
        last.codes.iter().filter(|(_, code)| code.is_some()).count()
    };
    assert_eq!(shown(&world), 6);
    degrade(&mut world, Step::FewTiles);
    world.run_ms(1000);
    assert_eq!(shown(&world), 4);
    degrade(&mut world, Step::NoVideo);
    world.run_ms(1000);
    let from = world.now;
    world.run_ms(8000);
    assert!((1..=3).contains(&world.sights(viewer, from).count()), "{} stills in eight seconds", world.sights(viewer, from).count());
    assert_eq!(shown(&world), 0);
    degrade(&mut world, Step::Whole);
    world.run_ms(1500);
    assert_eq!(shown(&world), 6, "everybody is back within one and a half seconds");
    assert_eq!(world.guests[5].record.sights.last().unwrap().size.height, 360);
    whole_sound(&world, viewer, start);
    let told: Vec<&str> = world.take_events().into_iter().filter(|kind| kind.starts_with("server.")).collect();
    assert_eq!(told, ["server.overloaded", "server.overloaded", "server.recovered"]);
}
