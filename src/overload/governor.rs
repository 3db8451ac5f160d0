//! Which step of the ladder to be on. Pure: the load and the time in, a step out.
//!
//! Down when it was too much twice in a row, one step at a time, each given a moment to take effect. Up after a calm that lasted;
//! a step up that had to be taken back within [`TRIAL`] makes the next one wait ever longer, so that a load that fits one step exactly does
//! not swing between two.

use super::{Load, Settings, Step};
use std::time::{Duration, Instant};

/// For so long it must be too much before anything is given up.
const PATIENCE: Duration = Duration::from_millis(200);
/// After a step down the load is looked at anew: what was measured across it says nothing.
const EFFECT: Duration = Duration::from_millis(400);
/// Share of ticks that may be late.
const LATE: f64 = 0.05;
/// A process that hardly does anything gains nothing by doing less: it is others who keep it from its ticks.
const IDLE_CPU: f64 = 0.2;
/// How long it must be calm before a step up.
const CALM: Duration = Duration::from_secs(10);
/// A step up that is taken back within this time was one too many.
const TRIAL: Duration = Duration::from_secs(60);
/// How long it must be calm after that, each time twice as long, and at most.
const DAMPED: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(480);

#[derive(Debug, Clone)]
pub struct Governor {
    settings: Settings,
    step: Step,
    /// Since when it has been too much, and since when calm.
    strained: Option<Instant>,
    calm: Option<Instant>,
    fell: Option<Instant>,
    rose: Option<Instant>,
    /// How long the calm before a step up must last.
    wait: Duration,
}

impl Governor {
    pub fn new(settings: Settings) -> Self {
        Self { settings, step: Step::Whole, strained: None, calm: None, fell: None, rose: None, wait: CALM }
    }

    pub fn step(&self) -> Step {
        self.step
    }

    /// What the load has been until `now`, every [`PERIOD`](super::PERIOD). Returns the step to be on.
    pub fn handle(&mut self, load: &Load, now: Instant) -> Step {
        if !self.settings.governor || self.fell.is_some_and(|fell| now < fell + EFFECT) {
            return self.step;
        }
        self.strained = self.is_too_much(load).then(|| self.strained.unwrap_or(now));
        self.calm = self.is_calm(load).then(|| self.calm.unwrap_or(now));
        if self.strained.is_some_and(|since| now >= since + PATIENCE) {
            self.fall(now);
        } else if self.calm.is_some_and(|since| now >= since + self.wait) {
            self.rise(now);
        }
        self.step
    }

    fn is_too_much(&self, load: &Load) -> bool {
        let late = load.pictures.lateness() > LATE || load.sounds.lateness() > LATE;
        load.cpu >= self.settings.down_cpu || (late && load.cpu >= IDLE_CPU)
    }

    fn is_calm(&self, load: &Load) -> bool {
        load.cpu <= self.settings.up_cpu && load.pictures.lateness() <= LATE && load.sounds.lateness() <= LATE
    }

    fn fall(&mut self, now: Instant) {
        let Some(lower) = self.step.down() else { return };
        self.wait = match self.rose.take() {
            Some(rose) if now < rose + TRIAL => (self.wait * 2).clamp(DAMPED, LONGEST),
            Some(rose) if now < rose + LONGEST => DAMPED,
            Some(_) => CALM,
            None => self.wait,
        };
        self.step = lower;
        self.fell = Some(now);
        (self.strained, self.calm) = (None, None);
    }

    fn rise(&mut self, now: Instant) {
        let Some(higher) = self.step.up() else { return };
        if self.rose.is_some_and(|rose| now >= rose + TRIAL) {
            self.wait = CALM;
        }
        self.step = higher;
        self.rose = Some(now);
        (self.strained, self.calm) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PERIOD, Ticks};
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
                self.take(&Load { cpu: wanted.min(1.0), pictures, ..Load::default() });
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
        for load in [Load { cpu: 0.4, sounds: late, ..Load::default() }, Load { cpu: 0.4, pictures: late, ..Load::default() }] {
            let mut story = Story::new(Settings::default());
            (0..8).for_each(|_| {
                story.now += PERIOD;
                story.take(&load);
                story.now += PERIOD;
                story.take(&Load { cpu: 0.4, ..Load::default() });
            });
            assert!(story.moves.is_empty(), "single hiccups");
            (0..4).for_each(|_| {
                story.now += PERIOD;
                story.take(&load);
            });
            assert_eq!(story.steps(), [1]);
            let idle = Load { cpu: 0.15, ..load };
            (0..400).for_each(|_| {
                story.now += PERIOD;
                story.take(&idle);
            });
            assert_eq!(story.steps(), [1], "neither down, for it would not help, nor up");
        }
    }

    #[test]
    fn it_can_be_switched_off() {
        let mut story = Story::new(Settings { governor: false, ..Settings::default() });
        story.live(60, 9.0);
        assert!(story.moves.is_empty());
    }
}
