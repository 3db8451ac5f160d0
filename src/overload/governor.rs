//! Which step of the ladder to be on. Pure: the load and the time in, a step out.
//!
//! Down when it was too much for more than a moment, one step at a time, each given a moment to take effect. Up after a calm that lasted;
//! a step up that had to be taken back within [`TRIAL`] makes the next one wait ever longer, so that a load that fits one step exactly does
//! not swing between two. Where next to nothing is left to do nothing is waited for any longer.

use super::{Load, Settings, Step, Ticks};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// For so long the processor must be used up before anything is given up.
const PATIENCE: Duration = Duration::from_millis(200);
/// After a step the load is looked at anew: what was measured across it says nothing. A step up begins encodes anew, with a keyframe each.
const EFFECT_DOWN: Duration = Duration::from_millis(400);
const EFFECT_UP: Duration = Duration::from_millis(1000);
/// Ticks are judged over so many looks, about a second.
const LOOKS: usize = 4;
/// Share of ticks that may be late, and how many may be of however few: a small server has a dozen in a second.
const LATE: f64 = 0.05;
const FEW: u64 = 2;
/// A process that hardly does anything gains nothing by doing less: it is others who keep it from its ticks. In processors, for one thread that is
/// late is late however many there are; of a smaller quota, this share.
const IDLE: f64 = 0.2;
/// Below this share of the processor it is likely others too, and as a rule they are soon done (a browser that starts): so long its ticks must be late.
const OWN: f64 = 0.4;
const OTHERS: Duration = Duration::from_secs(5);
/// How long it must be calm before a step up.
const CALM: Duration = Duration::from_secs(10);
/// A step up that is taken back within this time was one too many.
const TRIAL: Duration = Duration::from_secs(60);
/// How long it must be calm after that, each time twice as long, and at most.
const DAMPED: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(480);
/// Up to this share of what counts as calm the next step up fits for certain; of no video, of which everything else is a multiple, this.
const QUIET: f64 = 0.5;
const QUIET_WITHOUT_VIDEO: f64 = 0.125;

#[derive(Debug, Clone)]
pub struct Governor {
    settings: Settings,
    step: Step,
    /// The last looks since the last step, the oldest first.
    recent: VecDeque<Load>,
    /// Since when the processor is used up, since when ticks are late, since when it is calm, and since when next to nothing is left to do.
    busy: Option<Instant>,
    late: Option<Instant>,
    calm: Option<Instant>,
    quiet: Option<Instant>,
    /// When the last step has taken effect.
    settled: Option<Instant>,
    rose: Option<Instant>,
    /// How long the calm before a step up must last.
    wait: Duration,
}

impl Governor {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            step: Step::Whole,
            recent: VecDeque::with_capacity(LOOKS),
            busy: None,
            late: None,
            calm: None,
            quiet: None,
            settled: None,
            rose: None,
            wait: CALM,
        }
    }

    pub fn step(&self) -> Step {
        self.step
    }

    /// What the load has been until `now`, every [`PERIOD`](super::PERIOD). Returns the step to be on.
    pub fn handle(&mut self, load: &Load, now: Instant) -> Step {
        if !self.settings.governor || self.settled.is_some_and(|at| now < at) {
            return self.step;
        }
        if self.recent.len() == LOOKS {
            self.recent.pop_front();
        }
        self.recent.push_back(*load);
        self.late = self.is_late().then(|| self.late.unwrap_or(now));
        self.busy = load.cpu.is_some_and(|cpu| cpu >= self.settings.down_cpu).then(|| self.busy.unwrap_or(now));
        self.calm = (self.late.is_none() && self.cpu().is_none_or(|cpu| cpu <= self.settings.up_cpu)).then(|| self.calm.unwrap_or(now));
        self.quiet = (self.calm.is_some() && self.is_quiet()).then(|| self.quiet.unwrap_or(now));
        self.relent(now);
        if self.busy.is_some_and(|since| now >= since + PATIENCE) || self.is_to_blame(now) {
            self.fall(now);
        } else if self.calm.is_some_and(|since| now >= since + self.wait) {
            self.rise(now);
        }
        self.step
    }

    /// Mean share of the processor over the last looks, where the system says.
    fn cpu(&self) -> Option<f64> {
        let known = || self.recent.iter().filter_map(|load| load.cpu);
        let count = known().count();
        (count > 0).then(|| known().sum::<f64>() / count as f64)
    }

    /// Whether ticks are late that would not be, as far as is known, if this process did less.
    fn is_to_blame(&self, now: Instant) -> bool {
        let cores = self.recent.back().map_or(0.0, |load| load.cores).max(1.0);
        let enough = |cpu: f64, since: Instant| cpu * cores >= IDLE && (cpu >= OWN || now >= since + OTHERS);
        self.late.is_some_and(|since| self.cpu().is_none_or(|cpu| enough(cpu, since)))
    }

    /// Whether too many ticks were late, and in more than one look: one alone is a hiccup.
    fn is_late(&self) -> bool {
        let late = |ticks: fn(&Load) -> Ticks| {
            let sum = self.recent.iter().map(ticks).fold(Ticks::default(), |sum, ticks| sum + ticks);
            let looks = self.recent.iter().filter(|load| ticks(load).late > 0).count();
            sum.late > FEW && sum.lateness() > LATE && looks > 1
        };
        late(|load| load.pictures) || late(|load| load.sounds)
    }

    fn is_quiet(&self) -> bool {
        let share = if self.step == Step::NoVideo { QUIET_WITHOUT_VIDEO } else { QUIET };
        self.cpu().is_some_and(|cpu| cpu <= self.settings.up_cpu * share)
    }

    /// Whether nobody has seen a picture for a while: there is nothing to be made good again.
    fn is_deserted(&self) -> bool {
        self.recent.len() == LOOKS && self.recent.iter().all(|load| load.pictures.due == 0)
    }

    /// Ends a long wait that has nothing to wait for any more.
    fn relent(&mut self, now: Instant) {
        let held = self.rose.is_some_and(|rose| now >= rose + TRIAL);
        let quiet = self.quiet.is_some_and(|since| now >= since + DAMPED);
        if held || quiet || self.is_deserted() {
            self.wait = CALM;
        }
    }

    fn fall(&mut self, now: Instant) {
        let Some(lower) = self.step.down() else { return };
        self.wait = match self.rose.take() {
            Some(rose) if now < rose + TRIAL => (self.wait * 2).clamp(DAMPED, LONGEST),
            Some(rose) if now < rose + LONGEST => DAMPED,
            Some(_) => CALM,
            None => self.wait,
        };
        self.go(lower, now + EFFECT_DOWN);
        (self.calm, self.quiet) = (None, None);
    }

    fn rise(&mut self, now: Instant) {
        let Some(higher) = self.step.up() else { return };
        self.rose = Some(now);
        self.go(higher, now + EFFECT_UP);
        // It goes on until a look says otherwise.
        self.calm = Some(now);
    }

    fn go(&mut self, step: Step, settled: Instant) {
        (self.step, self.settled, self.busy) = (step, Some(settled), None);
        self.late = None;
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::PERIOD;
    use super::*;

    /// What each step costs of what pictures cost whole.
    fn cost(step: Step) -> f64 {
        match step {
            Step::Whole => 1.0,
            Step::Fps25 => 0.86,
            Step::Fps15 => 0.56,
            Step::Fps10 => 0.4,
            Step::Lines540 => 0.31,
            Step::Lines360 => 0.24,
            Step::FewTiles => 0.15,
            Step::NoVideo => 0.03,
        }
    }

    struct Story {
        governor: Governor,
        start: Instant,
        now: Instant,
        /// When it moved, in ms, and where to.
        moves: Vec<(u64, Step)>,
    }

    impl Story {
        fn new(settings: Settings) -> Self {
            let start = crate::runtime::clock::now();
            Self { governor: Governor::new(settings), start, now: start, moves: Vec::new() }
        }

        /// Lives for so many seconds under a load that whole pictures would make `demand` times what there is.
        fn live(&mut self, seconds: u64, demand: f64) {
            let end = self.now + Duration::from_secs(seconds);
            while self.now < end {
                self.now += PERIOD;
                let wanted = demand * cost(self.governor.step());
                let missed = (1.0 - 1.0 / wanted).max(0.0);
                let pictures = Ticks { due: 100, late: (missed * 100.0) as u64 };
                self.take(&Load { cpu: Some(wanted.min(1.0)), pictures, ..Load::default() });
            }
        }

        /// Sees these loads, one after the other.
        fn see(&mut self, loads: impl IntoIterator<Item = Load>) {
            for load in loads {
                self.now += PERIOD;
                self.take(&load);
            }
        }

        fn take(&mut self, load: &Load) {
            let before = self.governor.step();
            if self.governor.handle(load, self.now) != before {
                self.moves.push(((self.now - self.start).as_millis() as u64, self.governor.step()));
            }
        }

        fn steps(&self) -> Vec<u8> {
            self.moves.iter().map(|(_, step)| step.number()).collect()
        }

        /// The most steps down in any minute that took a step up back.
        fn oscillations(&self) -> usize {
            let turn = |moves: &[(u64, Step)]| (moves[0].1 > moves[1].1 && moves[1].1 < moves[2].1).then_some(moves[2].0);
            let turns: Vec<u64> = self.moves.windows(3).filter_map(turn).collect();
            turns.iter().map(|at| turns.iter().filter(|other| (*at..at + 60_000).contains(*other)).count()).max().unwrap_or(0)
        }
    }

    #[test]
    fn down_one_step_at_a_time_each_within_a_second_until_it_fits() {
        for (demand, last) in [(1.5, 2), (3.0, 4), (30.0, 7), (0.9, 0)] {
            let mut story = Story::new(Settings::default());
            story.live(5, 0.5);
            story.live(10, demand);
            assert_eq!(story.steps(), (1..=last).collect::<Vec<u8>>(), "{demand}");
            let times = std::iter::once(5000).chain(story.moves.iter().map(|(at, _)| *at)).collect::<Vec<_>>();
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 1000), "{demand}: {times:?}");
        }
    }

    #[test]
    fn up_again_one_step_after_ten_seconds_of_calm_each() {
        let mut story = Story::new(Settings::default());
        story.live(10, 3.0);
        assert_eq!(story.governor.step(), Step::Lines540);
        let calm = (story.now - story.start).as_millis() as u64;
        story.live(60, 0.3);
        let ups = &story.moves[4..];
        assert_eq!(ups.iter().map(|(_, step)| step.number()).collect::<Vec<_>>(), [3, 2, 1, 0]);
        let times = std::iter::once(calm).chain(ups.iter().map(|(at, _)| *at)).collect::<Vec<_>>();
        assert!(times.windows(2).all(|pair| (10_000..11_000).contains(&(pair[1] - pair[0]))), "{times:?}");
    }

    #[test]
    fn a_load_that_fits_one_step_exactly_does_not_swing() {
        // Calm at 15 pictures, too much at 25; and the same at each other step.
        for demand in [1.2, 1.7, 2.1, 2.8, 4.0] {
            let mut story = Story::new(Settings::default());
            story.live(1800, demand);
            assert!(story.oscillations() <= 1, "{demand}: {:?}", story.moves);
            let turns = story.steps().windows(2).filter(|pair| pair[0] < pair[1]).count();
            assert!(turns <= 14, "{demand}: ever more rarely: {:?}", story.moves);
        }
    }

    #[test]
    fn a_load_that_comes_and_goes_swings_once_a_minute_at_most() {
        for (up, down) in [(8, 12), (15, 12), (30, 11), (3, 20), (5, 80)] {
            let mut story = Story::new(Settings::default());
            (0..60).for_each(|_| {
                story.live(up, 1.5);
                story.live(down, 0.4);
            });
            assert!(story.oscillations() <= 1, "{up}/{down}: {:?}", story.moves);
        }
    }

    #[test]
    fn late_sound_and_late_pictures_count_where_this_process_does_the_work_and_a_hiccup_does_not() {
        let late = Ticks { due: 12, late: 3 };
        for load in [Load { cpu: Some(0.4), sounds: late, ..Load::default() }, Load { cpu: Some(0.4), pictures: late, ..Load::default() }] {
            let mut story = Story::new(Settings::default());
            let punctual = Load { cpu: Some(0.4), ..Load::default() };
            (0..8).for_each(|_| story.see([load, punctual, punctual, punctual, punctual]));
            assert!(story.moves.is_empty(), "single hiccups");
            story.see([load; 3]);
            assert_eq!(story.steps(), [1]);
            story.see([Load { cpu: Some(0.15), ..load }; 400]);
            assert_eq!(story.steps(), [1], "neither down, for it would not help, nor up");
        }
    }

    #[test]
    fn a_tick_that_comes_late_now_and_then_does_not_keep_it_down() {
        for seed in 1..=8_u64 {
            let mut story = Story::new(Settings::default());
            story.live(3, 1.5);
            assert_eq!(story.steps(), [1, 2]);
            // One late tick every second or two, of a server so small that it is a large part of them.
            let mut random = seed;
            let mut late_in = 3;
            story.see((0..240).map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                late_in = if late_in == 0 { 3 + random % 5 } else { late_in - 1 };
                let ticks = |due| Ticks { due, late: u64::from(late_in == 0) };
                Load { cpu: Some(0.5), pictures: ticks(3), sounds: ticks(12), ..Load::default() }
            }));
            assert_eq!(story.steps(), [1, 2, 1, 0], "{seed}: {:?}", story.moves);
        }
    }

    #[test]
    fn what_a_step_up_costs_at_first_does_not_take_it_back() {
        let mut story = Story::new(Settings::default());
        story.live(3, 1.5);
        while story.steps() != [1, 2, 1] {
            story.see([Load { cpu: Some(0.3), ..Load::default() }]);
        }
        let spike = Load { cpu: Some(1.0), pictures: Ticks { due: 8, late: 4 }, ..Load::default() };
        story.see([spike; 3]);
        story.live(11, 0.3);
        assert_eq!(story.steps(), [1, 2, 1, 0]);
    }

    #[test]
    fn where_next_to_nothing_is_left_to_do_all_comes_back_within_about_a_minute() {
        let mut story = Story::new(Settings::default());
        story.live(1800, 1.7);
        assert!(story.governor.step() > Step::Whole);
        let mut empty = Story { governor: story.governor.clone(), start: story.start, now: story.now, moves: Vec::new() };
        story.live(85, 0.05);
        assert_eq!(story.governor.step(), Step::Whole, "{:?}", story.moves);
        empty.see([Load { cpu: Some(0.01), ..Load::default() }; 100]);
        assert_eq!(empty.governor.step(), Step::Whole, "nobody is there");
    }

    #[test]
    fn a_step_up_that_held_ends_the_long_wait() {
        let mut story = Story::new(Settings::default());
        story.live(1800, 1.7);
        let before = story.moves.len();
        // Calm on each step, and far from idle.
        story.see((0..2400).map(|_| Load { cpu: Some(0.6), pictures: Ticks { due: 30, late: 0 }, ..Load::default() }));
        let ups = &story.moves[before..];
        assert!(ups.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 61_000), "{ups:?}");
        assert_eq!(story.governor.step(), Step::Whole);
    }

    #[test]
    fn one_thread_that_is_late_is_late_among_however_many_processors() {
        let pictures = Ticks { due: 30, late: 10 };
        for (load, looks, steps) in [
            (Load { cpu: Some(7.0 / 16.0), cores: 16.0, pictures, ..Load::default() }, 3, vec![1]),
            (Load { cpu: Some(3.0 / 16.0), cores: 16.0, pictures, ..Load::default() }, 22, vec![1]),
            (Load { cpu: Some(0.1 / 16.0), cores: 16.0, pictures, ..Load::default() }, 100, vec![]),
            (Load { cpu: Some(0.45), cores: 0.5, pictures, ..Load::default() }, 3, vec![1]),
            (Load { cpu: None, pictures, ..Load::default() }, 3, vec![1]),
        ] {
            let mut story = Story::new(Settings::default());
            story.see(vec![load; looks]);
            assert_eq!(story.steps(), steps, "{load:?}");
        }
    }

    #[test]
    fn others_who_take_all_there_is_for_a_moment_cost_no_step_and_those_who_stay_do() {
        let late = Load {
            cpu: Some(0.18),
            cores: 2.0,
            sounds: Ticks { due: 12, late: 3 },
            pictures: Ticks { due: 8, late: 2 },
            ..Load::default()
        };
        let punctual = Load { sounds: Ticks { due: 12, late: 0 }, pictures: Ticks { due: 8, late: 0 }, ..late };
        let mut story = Story::new(Settings::default());
        (0..5).for_each(|_| story.see([late; 16].into_iter().chain([punctual; 8])));
        assert!(story.moves.is_empty(), "a browser starts, again and again: {:?}", story.moves);
        story.see([late; 70]);
        let times: Vec<_> = story.moves.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(story.steps() == [1, 2, 3] && times.iter().all(|ms| (5000..6500).contains(ms)), "{:?}", story.moves);
    }

    #[test]
    fn where_the_system_does_not_say_what_is_used_ticks_alone_count() {
        let mut story = Story::new(Settings::default());
        story.see([Load { sounds: Ticks { due: 12, late: 4 }, ..Load::default() }; 6]);
        assert_eq!(story.steps(), [1, 2]);
        story.see([Load { pictures: Ticks { due: 8, late: 0 }, ..Load::default() }; 100]);
        assert_eq!(story.steps(), [1, 2, 1, 0]);
    }

    #[test]
    fn it_can_be_switched_off() {
        let mut story = Story::new(Settings { governor: false, ..Settings::default() });
        story.live(60, 9.0);
        assert!(story.moves.is_empty());
    }
}
