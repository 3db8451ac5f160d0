//! Sound and picture of the same moment: how far apart they come, live by the timestamps that receivers go by, and in a recording.

use crate::content::Code;
use crate::guest::Profile;
use crate::network::Link;
use crate::recordings::{Studio, new, studio};
use crate::world::World;
use mixdown::ids::RecordingId;
use mixdown_codecs::Size;
use std::time::{Duration, Instant};

/// Sound above this is a beep, and one after so many quiet samples begins it.
const LOUD: f32 = 0.04;
const QUIET: u32 = 14_400;

/// A picture of somebody's with when it was taken and when it is seen, in seconds.
type Seen = (f64, f64);

/// When sound begins after a silence, in samples since the first.
#[derive(Default)]
struct Onsets {
    quiet: u32,
}

impl Onsets {
    fn is_one(&mut self, sample: f32) -> bool {
        let begins = sample.abs() > LOUD && self.quiet > QUIET;
        self.quiet = if sample.abs() > LOUD { 0 } else { self.quiet + 1 };
        begins
    }
}

/// By how many milliseconds the beep of each second comes earlier than its picture: `(second, lead)`. `late`: about how much later than it was
/// made sound is heard.
fn compare(pictures: &[Seen], heard: &[f64], late: f64) -> Vec<(u64, f64)> {
    let lead = |heard: &f64| {
        let beep = (heard - late).round();
        let mut ways: Vec<f64> =
            pictures.iter().filter(|(taken, _)| (taken - beep).abs() < 0.1).map(|(taken, seen)| seen - taken).collect();
        ways.sort_by(f64::total_cmp);
        Some((beep as u64, (ways.get(ways.len() / 2)? - (heard - beep)) * 1000.0))
    };
    heard.iter().filter_map(lead).collect()
}

/// Live, since `from`, by seconds of the sender's life.
fn live(world: &World, viewer: usize, shown: usize, from: Instant) -> Vec<(u64, f64)> {
    let (record, sender) = (&world.guests[viewer].record, &world.guests[shown]);
    let life = |rtp_time: u64, rate: f64| rtp_time as f64 / rate - (sender.born() - world.start).as_secs_f64();
    let pictures = world.sights(viewer, from).filter_map(|sight| {
        let code = sight.codes.iter().find(|(tile, _)| Some(*tile) == sender.id)?.1?;
        Some((taken(sender.profile.fps, code), life(sight.rtp_time, 90_000.0)))
    });
    let (pictures, mut onsets, mut heard): (Vec<Seen>, _, _) = (pictures.collect(), Onsets::default(), Vec::new());
    for ((at, rtp_time), samples) in record.sound_packets.iter().zip(record.sound.chunks(1920)) {
        let begins = samples.iter().step_by(2).enumerate().filter(|(_, sample)| onsets.is_one(**sample));
        heard.extend(begins.filter(|_| *at >= from).map(|(n, _)| life(rtp_time + n as u64, 48_000.0)));
    }
    compare(&pictures, &heard, 0.1)
}

fn taken(fps: u32, code: Code) -> f64 {
    f64::from(code.frame) / f64::from(fps)
}

/// In the film, by seconds of the sender's life.
fn recorded(studio: &mut Studio, id: RecordingId, shown: usize) -> Vec<(u64, f64)> {
    let film = studio.stop(id);
    let sender = &studio.world.guests[shown];
    let pictures = film.codes(0, u64::MAX).into_iter().flat_map(|(at, codes)| codes.into_iter().map(move |code| (at, code)));
    let of_sender = pictures.filter(|(_, (id, _))| Some(*id) == sender.id);
    let pictures: Vec<Seen> =
        of_sender.filter_map(|(at, (_, code))| Some((taken(sender.profile.fps, code?), at as f64 / 1000.0))).collect();
    let mut onsets = Onsets::default();
    let begins = film.sound.iter().step_by(2).enumerate().filter(|(_, sample)| onsets.is_one(**sample));
    let heard: Vec<f64> = begins.map(|(n, _)| n as f64 / 48_000.0).collect();
    // The film's time has its own beginning.
    let late = pictures.first().map_or(0.0, |(taken, seen)| seen - taken);
    compare(&pictures, &heard, late)
}

/// F27: pictures that leave 200 ms after the sound of the same moment, over a bad link.
#[test]
fn f27_sound_and_picture_meet_though_pictures_leave_late_and_both_are_lost_and_shaken_on_the_way() {
    for (coding, link) in
        [(0, Link::default()), (200, Link::default()), (200, Link { jitter: Duration::from_millis(100), ..Link::lossy(0.05) })]
    {
        let mut world = World::new(49);
        let sender = world.join(Profile { beeps: true, coding: Duration::from_millis(coding), watches: false, ..Profile::new(1) });
        let viewer = world.join(Profile::viewer(2));
        world.links(sender, link, Link::default());
        world.connect(Duration::from_secs(3));
        world.run_ms(15_000);
        let from = world.now;
        world.run_ms(20_000);
        let mut leads: Vec<f64> = live(&world, viewer, sender, from).into_iter().map(|(_, lead)| lead).collect();
        leads.sort_by(f64::total_cmp);
        println!("pictures {coding} ms later: sound leads by {leads:.0?}");
        assert!(leads.len() >= 18, "{leads:?}");
        let within = leads.iter().filter(|lead| lead.abs() <= 60.0).count();
        assert!(within * 100 >= leads.len() * 95, "{leads:?}");
        assert!(leads[0] >= -185.0 && *leads.last().unwrap() <= 90.0, "{leads:?}");
    }
}

/// Of somebody who joins a room that is recorded: how far sound and picture are apart, by the second. `(live, recorded)`.
fn of_who_joins(profile: Profile, jitter_ms: u64, phase_ms: u64, seconds: u64) -> [Vec<(u64, f64)>; 2] {
    let mut studio = studio(vec![Profile::viewer(2)], |_| {});
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(500 + phase_ms);
    let from = studio.world.now;
    let sender = studio.world.join(profile);
    studio.world.links(sender, Link { jitter: Duration::from_millis(jitter_ms), ..Link::default() }, Link::default());
    studio.world.connect(Duration::from_secs(3));
    studio.world.run_ms(seconds * 1000);
    [live(&studio.world, 0, sender, from), recorded(&mut studio, id, sender)]
}

fn beeping(coding_ms: u64, reports_from_ms: u64) -> Profile {
    let (coding, reports_from) = (Duration::from_millis(coding_ms), Duration::from_millis(reports_from_ms));
    Profile { beeps: true, coding, reports_from, watches: false, size: Size::new(160, 90), ..Profile::new(1) }
}

/// F27. The first packets come in a burst, when the connection is there: that is no jitter which sound would have to wait for.
#[test]
fn f27_from_the_first_second_of_a_participant_on_sound_and_picture_are_together_live_and_recorded() {
    const NEVER: u64 = 3_600_000;
    let mut most: f64 = 0.0;
    for (jitter, phases, reports) in
        [(0, &[0, 4, 9, 13, 18][..], NEVER), (10, &[2, 12], 0), (10, &[7], NEVER), (30, &[5, 15], 0), (30, &[0], NEVER)]
    {
        for phase in phases {
            let leads = of_who_joins(beeping(0, reports), jitter, *phase, 4);
            println!("jitter {jitter}, {phase} ms later: live {:.0?}, recorded {:.0?}", leads[0], leads[1]);
            for leads in leads {
                assert!(leads.len() >= 4, "{leads:?}");
                most = leads.iter().skip_while(|(second, _)| *second == 0).fold(most, |most, (_, lead)| most.max(lead.abs()));
            }
        }
    }
    assert!(most <= 40.0, "{most} ms");
}

/// F27. Reports tell of it a second after the first one of the picture and with the first of the sound.
#[test]
fn f27_pictures_that_leave_late_and_their_sound_meet_as_soon_as_there_are_reports() {
    for (coding, reports, from) in [(70, 0, 2), (70, 2500, 4)] {
        let leads = of_who_joins(beeping(coding, reports), 0, 3, 7);
        println!("reports from {reports} ms on: live {:.0?}, recorded {:.0?}", leads[0], leads[1]);
        for leads in leads {
            let met = leads.iter().filter(|(second, _)| *second >= from);
            assert!(leads.len() >= 7 && met.clone().all(|(_, lead)| lead.abs() <= 40.0), "{leads:?}");
        }
    }
}
