use super::super::mp4::fixtures::{LARGE_H264, units};
use super::super::mp4::scan::{self, Found, Walk};
use super::super::testing::{Medium, coded, media, packet, picture, vp8_picture};
use super::*;
use proptest::prelude::*;
use std::sync::Arc;

const OPTIONS: Options = Options { fragment: Duration::from_secs(1), max_duration: None, tracks: Mode::Composite, sound_late: Ticks(0) };
const WALL: SystemTime = SystemTime::UNIX_EPOCH;

/// A session and what came out of it.
struct Tape {
    session: Session,
    bytes: Vec<u8>,
    lines: Vec<Line>,
    states: Vec<State>,
    broken: usize,
    end: Option<(Reason, Ticks)>,
}

impl Tape {
    fn new(options: Options) -> Self {
        Self { session: Session::new(options), bytes: Vec::new(), lines: Vec::new(), states: Vec::new(), broken: 0, end: None }
    }

    fn handle(&mut self, item: Item) {
        self.handle_at(item, WALL);
    }

    fn handle_at(&mut self, item: Item, wall: SystemTime) {
        self.session.handle(item, wall);
        while let Some(output) = self.session.poll_output() {
            assert!(self.end.is_none(), "after the end: {output:?}");
            match output {
                Output::Head { bytes, .. } => {
                    assert!(self.bytes.is_empty());
                    self.bytes = bytes;
                }
                Output::Fragment(fragment) => self.bytes.extend(fragment.bytes),
                Output::Line(line) => self.lines.push(line),
                Output::State(state) => self.states.push(state),
                Output::Broken => self.broken += 1,
                Output::Track(_) | Output::Framing(_) => {}
                Output::End { reason, duration } => self.end = Some((reason, duration)),
            }
        }
    }

    fn picture(&mut self, picture: VideoOut) {
        self.handle(Item::Picture { picture, lost: 0 });
    }

    fn play(&mut self, from_ms: u64, to_ms: u64) {
        for medium in media(from_ms, to_ms) {
            match medium {
                Medium::Picture(tick) => self.picture(picture(tick)),
                Medium::Packet(tick) => self.handle(Item::Packet { packet: packet(tick), lost: 0 }),
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.handle(Item::Command { command, wall: WALL });
    }

    fn pause(&mut self, mode: PauseMode) {
        self.command(Command::Pause { mode, slate: None });
    }

    fn stop(mut self) -> Self {
        self.command(Command::Stop(Reason::Requested));
        self
    }

    fn found(&self) -> Found {
        let found = scan::scan(self.bytes.as_slice()).unwrap();
        assert!(!found.torn);
        found
    }

    /// When units of a track begin in the media, in its units.
    fn times(&self, kind: Kind) -> Vec<u64> {
        let mut times = Vec::new();
        let mut walk = Walk::new(self.bytes.as_slice()).unwrap();
        while let Some(runs) = walk.next_fragment().unwrap() {
            for run in runs.iter().filter(|run| run.kind == kind) {
                let mut at = run.start;
                for sample in &run.samples {
                    times.push(at);
                    at += u64::from(sample.duration);
                }
            }
        }
        times
    }

    fn events(&self) -> Vec<(u64, &TimelineEvent)> {
        self.lines.iter().map(|line| (line.at_ms, &line.event)).collect()
    }
}

#[test]
fn pauses_in_which_nothing_is_sent_are_written_as_silence_and_what_was_lost_is_not() {
    let mut tape = Tape::new(OPTIONS);
    let mut lost = 0;
    for medium in media(1000, 4000) {
        match medium {
            Medium::Picture(tick) => tape.picture(picture(tick)),
            // A packet in twenty, as in silence; and later ten that are lost.
            Medium::Packet(tick) if (100..140).contains(&tick) && tick % 20 != 0 => {}
            Medium::Packet(tick) if (160..170).contains(&tick) => lost += 1,
            Medium::Packet(tick) => tape.handle(Item::Packet { packet: packet(tick), lost: std::mem::take(&mut lost) }),
        }
    }
    let tape = tape.stop();
    // From picture 45 on.
    let expected = (75..200).filter(|tick| !(160..170).contains(tick)).map(|tick| (tick - 75) * 960);
    assert_eq!(tape.times(Kind::Audio), expected.collect::<Vec<_>>());
    let gap = TimelineEvent::Gap { track: Kind::Audio, from_ms: 1700, to_ms: 1900, lost: 10 };
    assert!(tape.events().contains(&(1900, &gap)), "{:?}", tape.events());
}

#[test]
fn a_recording_begins_with_a_keyframe_and_the_sound_that_belongs_to_it() {
    let mut tape = Tape::new(OPTIONS);
    // Picture 45 is the first keyframe; its sound has come before it.
    tape.play(1000, 3000);
    let tape = tape.stop();
    assert_eq!(tape.times(Kind::Video), (0..45).map(|n| n * 3000).collect::<Vec<_>>());
    assert_eq!(tape.times(Kind::Audio), (0..75).map(|n| n * 960).collect::<Vec<_>>());
    assert_eq!(tape.end, Some((Reason::Requested, Ticks::from_ms(1500))));
    assert_eq!(tape.states, [State::Active]);
    let stopped = TimelineEvent::Stopped { reason: "requested".into() };
    assert_eq!(tape.events(), [(0, &TimelineEvent::Started), (tape.session.duration().ms(), &stopped)]);
    assert_eq!(tape.broken, 0);
}

#[test]
fn sound_that_is_heard_later_than_its_packets_say_is_placed_earlier() {
    let mut tape = Tape::new(Options { sound_late: MIX_LATE, ..OPTIONS });
    tape.play(1000, 3000);
    let tape = tape.stop();
    // The packet of the first picture's time begins before it.
    assert_eq!(tape.times(Kind::Audio), (1..75).map(|n| n * 960 - 432).collect::<Vec<_>>());
    assert_eq!((tape.times(Kind::Video)[0], tape.end), (0, Some((Reason::Requested, Ticks::from_ms(1500)))));
}

#[test]
fn sound_and_picture_keep_their_distance_whatever_the_tick_of_the_first_picture_is() {
    // At 24 pictures per second keyframes fall between two packets.
    for first in [3750 * 1001, 3750 * 1002, 3750 * 1003 + 7] {
        let mut tape = Tape::new(OPTIONS);
        let keyframe = units(LARGE_H264)[0];
        let first_packet = first * 8 / 15 / 960;
        for n in 0..50 {
            tape.handle(Item::Packet { packet: packet(first_packet + n), lost: 0 });
        }
        tape.picture(VideoOut { rtp_time: first, ..coded(VideoCodec::H264, keyframe, 0) });
        let tape = tape.stop();
        let (video, audio) = (tape.times(Kind::Video)[0], tape.times(Kind::Audio)[0]);
        let in_room = ((first_packet + 1) * 960 * 15) as i64 - first as i64 * 8;
        assert_eq!((audio * 15) as i64 - (video * 8) as i64, in_room, "first picture at {first}");
        assert!(Ticks::of(Kind::Video, video) < Ticks(Ticks::COMMON));
    }
}

#[test]
fn two_hours_end_with_sound_and_picture_in_step() {
    let mut tape = Tape::new(OPTIONS);
    let seconds = 7200;
    // A resting canvas: two pictures per second; the sound goes on.
    for half in 0..seconds * 2 {
        for tick in half * 25..(half + 1) * 25 {
            tape.handle(Item::Packet { packet: packet(tick), lost: 0 });
        }
        let data = if half % 20 == 0 { 0 } else { 1 };
        tape.picture(VideoOut { rtp_time: half * 45_000, ..picture(data) });
    }
    let tape = tape.stop();
    let (video, audio) = (tape.times(Kind::Video), tape.times(Kind::Audio));
    assert_eq!(video, (0..seconds * 2).map(|half| half * 45_000).collect::<Vec<_>>());
    assert_eq!(audio, (0..seconds * 50).map(|tick| tick * 960).collect::<Vec<_>>());
}

#[test]
fn a_clock_of_the_server_that_jumps_moves_neither_picture_nor_sound() {
    let story = |jump: Duration| {
        let mut tape = Tape::new(OPTIONS);
        for (n, medium) in media(0, 6000).into_iter().enumerate() {
            let item = match medium {
                Medium::Picture(tick) => Item::Picture { picture: picture(tick), lost: 0 },
                Medium::Packet(tick) => Item::Packet { packet: packet(tick), lost: 0 },
            };
            // Forwards and back, all the time.
            tape.handle_at(item, WALL + if n % 2 == 0 { jump } else { Duration::ZERO });
        }
        let tape = tape.stop();
        (tape.times(Kind::Video), tape.times(Kind::Audio), tape.end, tape.lines.iter().map(|line| line.at_ms).collect::<Vec<_>>())
    };
    assert_eq!(story(Duration::ZERO), story(Duration::from_secs(86_400)));
}

#[test]
fn a_pause_that_is_cut_out_leaves_no_hole_and_moves_both_tracks_alike() {
    let mut tape = Tape::new(OPTIONS);
    tape.play(0, 2010);
    tape.pause(PauseMode::Cut);
    tape.pause(PauseMode::Cut);
    tape.play(2010, 7000);
    tape.command(Command::Resume);
    tape.play(7000, 9000);
    let tape = tape.stop();
    // Resumed at picture 225, a keyframe, at 7.5 s.
    let (video, audio) = (tape.times(Kind::Video), tape.times(Kind::Audio));
    let before = 61;
    let resumed = video[before];
    assert!((2010..=2100).contains(&Ticks::of(Kind::Video, resumed).ms()), "{resumed}");
    let moved = Ticks::of(Kind::Video, 225 * 3000).since(Ticks::of(Kind::Video, resumed));
    assert_eq!(video[before..], (225..270).map(|n| n * 3000 - moved.units(Kind::Video)).collect::<Vec<_>>());
    let packets = audio.iter().filter(|at| Ticks::of(Kind::Audio, **at) >= Ticks::of(Kind::Video, resumed));
    assert_eq!(packets.copied().collect::<Vec<_>>(), (375..450).map(|n| n * 960 - moved.units(Kind::Audio)).collect::<Vec<_>>());
    assert_eq!(tape.states, [State::Active, State::Paused, State::Active, State::Active]);
    let at = Ticks::of(Kind::Video, resumed).ms();
    assert!(tape.events().contains(&(at, &TimelineEvent::Resumed)));
    assert_eq!(tape.found().pictures, 61 + 45);
}

#[test]
fn a_pause_with_a_slate_takes_its_time_and_shows_it() {
    for slate in [None, Some(units(LARGE_H264)[45])] {
        let mut tape = Tape::new(OPTIONS);
        tape.play(0, 2010);
        tape.command(Command::Pause { mode: PauseMode::Slate, slate: slate.map(Arc::from) });
        tape.command(Command::Resume);
        tape.play(7000, 9000);
        let tape = tape.stop();
        let (video, shown) = (tape.times(Kind::Video), usize::from(slate.is_some()));
        assert_eq!(video[61 + shown..], (225..270).map(|n| n * 3000).collect::<Vec<_>>());
        assert_eq!(video.len(), 61 + shown + 45);
        // Sound goes on as soon as it is resumed.
        assert_eq!(tape.times(Kind::Audio)[101..], (350..450).map(|n| n * 960).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_lost_is_told_with_its_place_and_the_picture_stands() {
    let mut tape = Tape::new(OPTIONS);
    tape.play(0, 1000);
    tape.handle(Item::Picture { picture: picture(45), lost: 15 });
    tape.handle(Item::Packet { packet: packet(76), lost: 26 });
    let tape = tape.stop();
    let gap = |track, from_ms, to_ms, lost| TimelineEvent::Gap { track, from_ms, to_ms, lost };
    let events: Vec<_> = tape.events().into_iter().map(|(_, event)| event.clone()).collect();
    assert!(events.contains(&gap(Kind::Video, 1000, 1500, 15)), "{events:?}");
    assert!(events.contains(&gap(Kind::Audio, 1000, 1520, 26)), "{events:?}");
    assert_eq!(tape.times(Kind::Video)[29..], [29 * 3000, 45 * 3000]);
    assert_eq!(tape.session.count(Kind::Video), (31, 15));
}

#[test]
fn what_was_lost_last_is_told_at_the_end() {
    let mut tape = Tape::new(OPTIONS);
    tape.play(0, 1000);
    tape.handle(Item::Packet { packet: packet(100), lost: 0 });
    tape.handle(Item::Lost { track: Kind::Video, units: 30 });
    let tape = tape.stop();
    let gap = TimelineEvent::Gap { track: Kind::Video, from_ms: 1000, to_ms: 2020, lost: 30 };
    assert!(tape.events().contains(&(2020, &gap)), "{:?}", tape.events());
    assert_eq!(tape.session.count(Kind::Video), (30, 30));
}

#[test]
fn a_picture_that_cannot_be_read_breaks_off_until_a_keyframe() {
    let mut tape = Tape::new(OPTIONS);
    tape.play(0, 1000);
    tape.picture(VideoOut { data: Arc::from([0u8; 0].as_slice()), ..picture(30) });
    tape.picture(picture(31));
    tape.picture(picture(45));
    tape.picture(vp8_picture(46));
    tape.picture(picture(90));
    let tape = tape.stop();
    assert_eq!(tape.times(Kind::Video)[29..], [29 * 3000, 45 * 3000, 90 * 3000]);
    assert_eq!(tape.broken, 3);
    assert_eq!(tape.session.count(Kind::Video), (32, 3));
}

#[test]
fn events_stand_at_the_picture_that_they_belong_to() {
    let mut tape = Tape::new(OPTIONS);
    let note = |rtp_time| Item::Note { event: TimelineEvent::Speaker { participant: None }, rtp_time, wall: WALL };
    tape.handle(note(None));
    tape.play(1500, 3000);
    tape.handle(note(Some(60 * 3000)));
    tape.handle(note(None));
    tape.handle(note(Some(5)));
    let now = tape.session.duration().ms();
    let times: Vec<u64> = tape.lines.iter().filter(|line| line.event != TimelineEvent::Started).map(|line| line.at_ms).collect();
    assert_eq!(times, [0, 500, now, now]);
}

#[test]
fn a_recording_without_a_picture_fails_and_one_that_is_long_enough_ends() {
    let mut tape = Tape::new(OPTIONS);
    tape.handle(Item::Packet { packet: packet(0), lost: 0 });
    let mut tape = tape.stop();
    assert_eq!(tape.end, Some((Reason::NoPicture, Ticks(0))));
    tape.play(0, 1000);
    assert!(tape.bytes.is_empty());

    let mut tape = Tape::new(Options { max_duration: Some(Duration::from_secs(2)), ..OPTIONS });
    tape.play(0, 3000);
    assert_eq!(tape.end.unwrap().0, Reason::MaxDuration);
    assert!((2000..2040).contains(&tape.found().duration.ms()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is paused, resumed, lost or stopped when: times rise, nothing is torn, and the two tracks move alike.
    #[test]
    fn any_story_gives_a_file_that_plays(steps in prop::collection::vec((0u64..6, 1u64..1500), 1..20)) {
        let mut tape = Tape::new(OPTIONS);
        let mut now = 0;
        for (what, ms) in steps {
            match what {
                0 | 1 => tape.play(now, now + ms),
                2 => tape.pause(PauseMode::Cut),
                3 => tape.command(Command::Pause { mode: PauseMode::Slate, slate: Some(units(LARGE_H264)[0].into()) }),
                4 => tape.command(Command::Resume),
                _ => tape.picture(picture(now * 30 / 1000)),
            }
            now += ms;
        }
        let tape = tape.stop();
        if !tape.bytes.is_empty() {
            let found = tape.found();
            prop_assert!(found.duration >= tape.session.duration().since(Ticks::from_ms(1)));
            for kind in [Kind::Video, Kind::Audio] {
                prop_assert!(tape.times(kind).windows(2).all(|pair| pair[0] < pair[1]));
            }
            prop_assert!(tape.lines.iter().all(|line| line.at_ms <= found.duration.ms() + 1));
        }
    }
}
