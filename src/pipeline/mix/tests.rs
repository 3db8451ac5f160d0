//! Stories of whole rooms' sound on a virtual clock, with a codec that lets the test hear what listeners hear.

mod changes;
mod mixes;
mod silence;

use super::{Codecs, Event, Input, Mix, Settings};
use crate::audio::fake::{Decoder, Encoder, Faults, Sender, heard, tone_level};
use crate::audio::{MS, samples_since};
use crate::ids::{ParticipantId, RenditionId, Source, TrackId};
use crate::media::{AudioOut, VideoOut};
use crate::pipeline::Outlet;
use crate::room::sound::{Blend, Gain, MixId, Place, Voicing};
use crate::room::speaker::Rule;
use crate::runtime::clock;
use mixdown_codecs::{AudioCodec, AudioDecodeError, AudioDecoder, AudioEncodeError, AudioEncoder};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Sent = (Arc<[ParticipantId]>, Arc<AudioOut>);

#[derive(Default)]
struct Ears(Mutex<Vec<Sent>>);

impl Outlet for Ears {
    fn video(&self, _: RenditionId, _: Arc<VideoOut>) -> bool {
        true
    }
    fn audio(&self, listeners: &Arc<[ParticipantId]>, packet: Arc<AudioOut>) {
        self.0.lock().unwrap().push((Arc::clone(listeners), packet));
    }
    fn request_keyframe(&self, _: TrackId) {}
}

fn decoder(_: AudioCodec) -> Result<Box<dyn AudioDecoder>, AudioDecodeError> {
    Ok(Box::new(Decoder::default()))
}

fn encoder(_: AudioCodec, _: u32) -> Result<Box<dyn AudioEncoder>, AudioEncodeError> {
    Ok(Box::new(Encoder))
}

const RULE: Rule = Rule { attack_ms: 600, hold_ms: 2000, min_level_dbov: -50 };
const MAIN: MixId = MixId(1);
const SIDE: MixId = MixId(2);
const HERE: Place = Place { gain: Gain::UNITY, position: 0 };

fn id(n: usize) -> ParticipantId {
    ParticipantId(n as u128 + 1)
}

/// Tones far enough apart for half a second to tell them.
fn hz(n: usize) -> f32 {
    300.0 + 90.0 * n as f32
}

/// A room of `n` people who send tones and listen.
struct World {
    epoch: Instant,
    mix: Mix,
    ears: Arc<Ears>,
    senders: BTreeMap<usize, Sender>,
    tick: u64,
    events: Vec<(u64, Event)>,
    /// What each hears, interleaved, and how many packets of how many encodes.
    heard: BTreeMap<ParticipantId, Vec<f32>>,
    times: BTreeMap<ParticipantId, Vec<u64>>,
    encodes: usize,
    largest: f32,
}

impl World {
    fn new(people: usize, settings: Settings) -> Self {
        Self::with(people, Settings { codecs: Codecs { decoder, encoder }, ..settings })
    }

    /// In codecs of one's own.
    fn with(people: usize, settings: Settings) -> Self {
        let epoch = clock::now();
        let ears = Arc::new(Ears::default());
        let mix = Mix::new(settings, epoch, Arc::clone(&ears) as Arc<dyn Outlet>);
        let mut world = Self {
            epoch,
            mix,
            ears,
            senders: BTreeMap::new(),
            tick: 0,
            events: Vec::new(),
            heard: BTreeMap::new(),
            times: BTreeMap::new(),
            encodes: 0,
            largest: 0.0,
        };
        (0..people).for_each(|n| world.join(n));
        world
    }

    fn join(&mut self, n: usize) {
        let mut sender = Sender::new(hz(n), n as u64);
        sender.amplitude = 0.2;
        sender.sent = self.tick as i64 * 960;
        self.claim(&mut sender);
        self.senders.insert(n, sender);
        self.mix.handle(Input::Speaker { participant: id(n), voicing: Voicing::default() });
        let blend: Blend = self.senders.keys().map(|n| (id(*n), Place::default())).collect();
        self.mix.handle(Input::Mix { mix: MAIN, blend: Arc::new(blend) });
        self.listen_to(n, MAIN);
    }

    fn listen_to(&mut self, n: usize, mix: MixId) {
        self.mix.handle(Input::Listener { participant: id(n), codec: AudioCodec::Opus, mix });
    }

    fn blend(&mut self, mix: MixId, people: &[(usize, Place)]) {
        let blend = people.iter().map(|(n, place)| (id(*n), *place)).collect();
        self.mix.handle(Input::Mix { mix, blend: Arc::new(blend) });
    }

    /// The sender goes on in another codec, with other counters.
    fn codec(&mut self, n: usize, codec: AudioCodec) {
        let sender = self.senders.get_mut(&n).unwrap();
        sender.codec = codec;
        sender.sequence = 7;
    }

    fn mute(&mut self, n: usize, muted: bool) {
        self.mix.handle(Input::Speaker { participant: id(n), voicing: Voicing { muted, ..Voicing::default() } });
    }

    fn claim(&self, sender: &mut Sender) {
        sender.level_dbov = Some(if sender.amplitude == 0.0 { -127 } else { (20.0 * sender.amplitude.log10() - 3.0) as i8 });
    }

    fn amplitude(&mut self, n: usize, amplitude: f32) {
        let mut sender = self.senders.remove(&n).unwrap();
        sender.amplitude = amplitude;
        self.claim(&mut sender);
        self.senders.insert(n, sender);
    }

    fn only(&mut self, talkers: &[usize]) {
        for n in self.senders.keys().copied().collect::<Vec<_>>() {
            self.amplitude(n, if talkers.contains(&n) { 0.2 } else { 0.0 });
        }
    }

    fn run(&mut self, ms: u64) {
        self.heard.clear();
        self.times.clear();
        (self.encodes, self.largest) = (0, 0.0);
        for _ in 0..ms / 20 {
            self.step();
            self.listen();
        }
    }

    /// One tick.
    fn step(&mut self) {
        let now = self.epoch + Duration::from_millis(self.tick * 20);
        for (n, sender) in &mut self.senders {
            for (_, packet) in sender.until(samples_since(self.epoch, now), self.epoch) {
                self.mix.handle(Input::Packet { from: id(*n), packet });
            }
        }
        let (tick, events) = (self.tick, &mut self.events);
        self.mix.tick(now, tick, &mut |event| events.push((tick * 20, event)));
        self.tick += 1;
    }

    fn listen(&mut self) {
        for (listeners, packet) in self.ears.0.lock().unwrap().drain(..) {
            self.encodes += 1;
            let sound = heard(&packet.data);
            self.largest = sound.iter().fold(self.largest, |peak, s| peak.max(s.abs()));
            for listener in listeners.iter() {
                self.heard.entry(*listener).or_default().extend(&sound);
                self.times.entry(*listener).or_default().push(packet.rtp_time);
            }
        }
    }

    /// Who got the floor by a rule, in order.
    fn floors(&self, wanted: Rule) -> Vec<ParticipantId> {
        let floor = |event: &Event| match event {
            Event::ActiveSpeaker { rule, participant } if *rule == wanted => Some(*participant),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| floor(event)).collect()
    }

    /// Whether `who` hears the tone of `whom`.
    fn hears(&self, who: usize, whom: usize) -> bool {
        let level = tone_level(&self.heard[&id(who)], f64::from(hz(whom)));
        assert!(!(0.01..=0.1).contains(&level), "{who} hears {whom} at {level}");
        level > 0.1
    }

    fn greatest_step(&self, who: usize) -> f32 {
        let left: Vec<f32> = self.heard[&id(who)].iter().step_by(2).copied().collect();
        left.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }
}

#[test]
fn each_hears_all_the_others_and_not_themselves() {
    let mut world = World::new(4, Settings::default());
    world.run(2000);
    world.run(1000);
    for who in 0..4 {
        for whom in 0..4 {
            assert_eq!(world.hears(who, whom), who != whom, "{who} and {whom}");
        }
    }
}

#[test]
fn those_who_are_silent_share_one_encode() {
    let mut world = World::new(50, Settings::default());
    world.only(&[3, 20, 41]);
    world.run(2000);
    world.run(1000);
    assert_eq!(world.encodes, 50 * 4, "three of their own and one shared");
    for who in [0, 3, 20, 41, 49] {
        for whom in [3, 20, 41] {
            assert_eq!(world.hears(who, whom), who != whom, "{who} and {whom}");
        }
    }
}

#[test]
fn everybody_gets_a_packet_every_tick_whatever_changes() {
    let mut world = World::new(6, Settings::default());
    world.run(1000);
    for round in 0..12 {
        world.only(&[round % 6, (round * 5 + 1) % 6]);
        let first = world.tick;
        world.run(2500);
        for who in 0..6 {
            let expected: Vec<u64> = (first..first + 125).map(|n| n * 960).collect();
            assert_eq!(world.times[&id(who)], expected, "{who} in round {round}");
        }
    }
}

#[test]
fn moving_between_shared_and_own_encode_is_seamless() {
    let mut world = World::new(5, Settings::default());
    world.only(&[0]);
    world.run(3000);
    let natural = 0.2 * hz(0) * std::f32::consts::TAU / 48_000.0;
    for round in 0..4 {
        world.amplitude(1, if round % 2 == 0 { 0.001_5 } else { 0.0 });
        world.run(4000);
        assert!(world.greatest_step(1) < natural * 1.1, "{} in round {round}", world.greatest_step(1));
        assert_eq!(world.heard[&id(1)].len(), 200 * 1920);
    }
}

#[test]
fn the_loudest_are_heard_and_keep_their_place_against_slightly_louder_ones() {
    let mut world = World::new(6, Settings { loudest: 3, ..Settings::default() });
    for n in 0..6 {
        world.amplitude(n, if n < 3 { 0.2 } else { 0.0 });
    }
    world.run(2000);
    for n in 3..6 {
        world.amplitude(n, 0.25);
    }
    world.run(2000);
    assert!((0..3).all(|whom| whom == 1 || world.hears(1, whom)));
    assert!((3..6).all(|whom| tone_level(&world.heard[&id(1)], f64::from(hz(whom))) < 0.01));
    world.amplitude(5, 0.6);
    world.run(500);
    world.run(1000);
    assert!(tone_level(&world.heard[&id(1)], f64::from(hz(5))) > 0.5);
}

#[test]
fn fifty_full_scale_talkers_never_clip() {
    let mut world = World::new(50, Settings { loudest: 16, ..Settings::default() });
    for n in 0..50 {
        world.amplitude(n, 1.0);
    }
    world.run(3000);
    assert!(world.largest > 0.8 && world.largest <= 0.98, "{}", world.largest);
}

#[test]
fn a_false_claim_of_silence_is_found_out_and_the_voice_heard() {
    let mut world = World::new(8, Settings::default());
    world.only(&[0]);
    world.run(1000);
    world.senders.get_mut(&5).unwrap().amplitude = 0.2;
    world.run(4000);
    world.run(1000);
    assert!(world.hears(2, 5));
    assert!(!world.hears(5, 5));
}

#[test]
fn a_false_claim_of_loudness_takes_nobody_s_place_for_long() {
    let mut world = World::new(5, Settings { loudest: 3, ..Settings::default() });
    world.only(&[0, 1, 2]);
    for n in 3..5 {
        world.senders.get_mut(&n).unwrap().level_dbov = Some(0);
    }
    world.run(1000);
    world.run(1000);
    assert!((0..3).all(|whom| world.hears(3, whom)));
    assert!(
        !world
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::ActiveSpeaker { participant, .. } if *participant == id(3) || *participant == id(4)))
    );
}

#[test]
fn a_talker_who_spams_levels_is_found_out_and_takes_nobody_s_place() {
    let mut world = World::new(5, Settings { loudest: 3, ..Settings::default() });
    world.only(&[0, 1, 2]);
    for round in 0..400 {
        world.senders.get_mut(&4).unwrap().level_dbov = Some([0, -127, -1, 0][round % 4]);
        world.run(20);
    }
    world.run(1000);
    assert!((0..3).all(|whom| world.hears(3, whom)));
    let of = |who: usize| move |event: &Event| matches!(event, Event::Speaking { participant, .. } | Event::ActiveSpeaker { participant, .. } if *participant == id(who));
    assert!(!world.events.iter().any(|(_, event)| of(4)(event)), "{:?}", world.events);
}

#[test]
fn senders_without_the_extension_are_heard_from_their_first_word() {
    let mut world = World::new(3, Settings::default());
    world.only(&[]);
    world.senders.values_mut().for_each(|sender| sender.level_dbov = None);
    world.run(2000);
    world.senders.get_mut(&1).unwrap().amplitude = 0.2;
    world.run(500);
    assert!(world.hears(0, 1));
    assert!(!world.hears(0, 2));
}

#[test]
fn nobody_listening_means_nothing_is_encoded() {
    let mut world = World::new(3, Settings::default());
    for n in 0..3 {
        world.mix.handle(Input::ListenerLeft(id(n)));
    }
    world.run(1000);
    assert_eq!(world.encodes, 0);
    world.listen_to(9, MAIN);
    world.run(1000);
    assert_eq!(world.encodes, 50);
    let first = world.times[&id(9)][0];
    assert_eq!(first, 50 * 960);
}

#[test]
fn a_muted_speaker_is_silent_and_shares_the_common_encode() {
    let mut world = World::new(3, Settings::default());
    world.run(1000);
    world.mute(1, true);
    world.run(100);
    world.run(1000);
    assert!(!world.hears(0, 1) && world.hears(1, 0) && world.hears(1, 2));
    assert_eq!(world.encodes, 3 * 50);
    world.mute(1, false);
    world.run(300);
    world.run(1000);
    assert!(world.hears(0, 1));
}

#[test]
fn screen_sound_is_heard_by_others_and_not_by_whoever_shares_it() {
    let mut world = World::new(3, Settings::default());
    let mut screen = Sender::new(2500.0, 77);
    screen.level_dbov = Some(-13);
    for tick in 0..150u64 {
        let now = screen.until(tick as i64 * 960, world.epoch);
        for (_, mut packet) in now {
            packet.source = Source::ScreenAudio;
            world.mix.handle(Input::Packet { from: id(1), packet });
        }
        if tick < 100 {
            world.run(20);
        } else {
            let kept = std::mem::take(&mut world.heard);
            world.run(20);
            for (who, mut before) in kept {
                before.extend(&world.heard[&who]);
                world.heard.insert(who, before);
            }
        }
    }
    assert!(tone_level(&world.heard[&id(0)], 2500.0) > 0.1);
    assert!(tone_level(&world.heard[&id(1)], 2500.0) < 0.01);
    assert!(world.hears(0, 1) && !world.hears(1, 1));
}

#[test]
fn the_floor_passes_and_signs_go_on_and_off() {
    let mut world = World::new(3, Settings::default());
    world.only(&[0]);
    world.run(4000);
    world.only(&[2]);
    world.run(4000);
    assert_eq!(world.floors(RULE), [id(0), id(2)]);
    let signs = world.events.iter().filter(|(_, event)| matches!(event, Event::Speaking { .. })).count();
    assert_eq!(signs, 3, "{:?}", world.events);
}

#[test]
fn g711_listeners_get_their_own_shared_encode_with_their_own_clock() {
    let mut world = World::new(2, Settings::default());
    world.mix.handle(Input::Listener { participant: id(7), codec: AudioCodec::Pcmu, mix: MAIN });
    world.mix.handle(Input::Listener { participant: id(8), codec: AudioCodec::Pcmu, mix: MAIN });
    world.run(1000);
    assert_eq!(world.times[&id(7)], (0..50).map(|n| n * 160).collect::<Vec<u64>>());
    assert_eq!(world.times[&id(7)], world.times[&id(8)]);
}

#[test]
fn skipped_ticks_do_not_delay_the_sound_that_follows() {
    let mut world = World::new(3, Settings::default());
    world.run(2000);
    world.tick += 500;
    for sender in world.senders.values_mut() {
        sender.until((world.tick as i64 - 5) * 960, world.epoch);
    }
    world.run(15_000);
    world.run(1000);
    assert!(world.hears(0, 1) && world.hears(0, 2) && !world.hears(0, 0));
    assert_eq!(world.times[&id(0)].len(), 50);
}

#[test]
fn a_room_under_loss_and_jitter_still_hears_the_right_people() {
    let mut world = World::new(5, Settings::default());
    world.only(&[0, 1, 2]);
    for sender in world.senders.values_mut() {
        sender.faults = Faults { loss: 0.05, jitter: 40 * MS, reorder: 0.02, duplicate: 0.05 };
    }
    world.run(5000);
    world.run(1000);
    for who in 0..5 {
        for whom in 0..3 {
            assert_eq!(world.hears(who, whom), who != whom, "{who} and {whom}");
        }
    }
}

#[test]
fn a_word_is_in_the_mix_as_soon_as_its_packet_can_be_played() {
    let mut waits = Vec::new();
    for phase in (0..20).step_by(4) {
        let mut world = World::new(2, Settings::default());
        world.senders.values_mut().for_each(|sender| sender.way = (10 + phase) * MS + 5);
        world.only(&[]);
        world.run(25_000);
        world.amplitude(1, 0.2);
        let arrival = world.senders[&1].sent + 960 + world.senders[&1].way;
        let begin = world.tick as i64 * 960;
        world.run(200);
        let onset = world.heard[&id(0)].chunks_exact(2).position(|frame| frame[0].abs() > 0.001).unwrap();
        waits.push(begin + onset as i64 - arrival);
    }
    let mean = waits.iter().sum::<i64>() / waits.len() as i64;
    assert!(waits.iter().all(|wait| (0..30 * MS).contains(wait)) && mean < 20 * MS, "{waits:?}");
}

#[test]
fn levels_are_told_once_per_second_and_only_when_they_change() {
    let mut world = World::new(2, Settings::default());
    world.only(&[0]);
    world.run(4000);
    world.only(&[]);
    world.run(8000);
    let levels = |who: usize| -> Vec<(u64, i8)> {
        let level = |(n, event): &(u64, Event)| match event {
            Event::Level { participant, dbov } if *participant == id(who) => Some((*n, *dbov)),
            _ => None,
        };
        world.events.iter().filter_map(level).collect()
    };
    let told = levels(0);
    // A tone of 0.2: −14 dBov at its peaks, −17 on average.
    assert!(told.iter().any(|(_, dbov)| (-20..=-12).contains(dbov)), "{told:?}");
    assert!(told.is_sorted_by(|a, b| a.0 + 50 <= b.0 && a.1 != b.1), "{told:?}");
    assert!(told.last().is_some_and(|(_, dbov)| *dbov < -90), "{told:?}");
    assert!(levels(1).len() <= 1, "{:?}", levels(1));
}
