//! Whether newcomers are welcome. Pure, as the governor is.

use super::{Load, Settings, Step};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// The time over which the processor is looked at.
const SPAN: Duration = Duration::from_secs(5);
/// So far it must have gone down before newcomers are welcome again.
const RELIEF_CPU: f64 = 0.05;
const RELIEF_MEMORY: f64 = 0.95;

/// Why nobody new is let in. Shows the setting, its value and what was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refusal {
    /// Shares of the processor, 0–1.
    Processor {
        used: f64,
        most: f64,
    },
    Memory {
        used_bytes: u64,
        most_bytes: u64,
    },
    /// Pictures of those who are here have been made cheaper already.
    Degraded(Step),
}

impl Refusal {
    /// As metrics and the API name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processor { .. } => "processor",
            Self::Memory { .. } => "memory",
            Self::Degraded(_) => "degraded",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor { used, most } => {
                let percent = |share: &f64| share * 100.0;
                write!(f, "the processor is used to {:.0} %: overload.admission_cpu_percent is {:.0}", percent(used), percent(most))
            }
            Self::Memory { used_bytes, most_bytes } => {
                write!(f, "memory is used to {} MiB: overload.max_memory_bytes is {most_bytes}", used_bytes >> 20)
            }
            Self::Degraded(step) => write!(f, "the server is overloaded: {step}"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Admission {
    settings: Settings,
    /// Shares of the processor of late, the oldest first.
    cpu: VecDeque<(Instant, f64)>,
    refusal: Option<Refusal>,
}

impl Admission {
    pub fn new(settings: Settings) -> Self {
        Self { settings, cpu: VecDeque::new(), refusal: None }
    }

    /// What the load has been until `now`, and what has been given up for it. Returns why newcomers are refused, if they are.
    pub fn handle(&mut self, load: &Load, step: Step, now: Instant) -> Option<Refusal> {
        if !self.settings.admission {
            return None;
        }
        self.refusal = self.memory(load).or_else(|| load.cpu.and_then(|cpu| self.processor(cpu, now))).or_else(|| degraded(step));
        self.refusal
    }

    fn memory(&self, load: &Load) -> Option<Refusal> {
        let (used_bytes, most_bytes) = (load.memory_bytes, load.memory_limit_bytes);
        let already = matches!(self.refusal, Some(Refusal::Memory { .. }));
        let most = if already { most_bytes as f64 * RELIEF_MEMORY } else { most_bytes as f64 };
        (most_bytes > 0 && used_bytes as f64 > most).then_some(Refusal::Memory { used_bytes, most_bytes })
    }

    fn processor(&mut self, cpu: f64, now: Instant) -> Option<Refusal> {
        self.cpu.push_back((now, cpu));
        // The newest of those that are older stays: together they cover the span.
        while self.cpu.get(1).is_some_and(|(at, _)| *at + SPAN <= now) {
            self.cpu.pop_front();
        }
        let covered = self.cpu.front().is_some_and(|(at, _)| *at + SPAN <= now);
        let used = self.cpu.iter().map(|(_, cpu)| cpu).sum::<f64>() / self.cpu.len().max(1) as f64;
        let most = self.settings.admission_cpu;
        let already = matches!(self.refusal, Some(Refusal::Processor { .. }));
        let limit = if already { most - RELIEF_CPU } else { most };
        (covered && used > limit).then_some(Refusal::Processor { used, most })
    }
}

/// Nothing is given up for newcomers: whoever is here keeps what there is.
fn degraded(step: Step) -> Option<Refusal> {
    (step > Step::Whole).then_some(Refusal::Degraded(step))
}

#[cfg(test)]
mod tests {
    use super::super::PERIOD;
    use super::*;

    struct Story(Admission, Instant);

    impl Story {
        fn new() -> Self {
            Self(Admission::new(Settings::default()), crate::runtime::clock::now())
        }

        /// How many of the looks within so many ms ended in a refusal.
        fn live(&mut self, ms: u64, load: Load, step: Step) -> usize {
            let looks = ms / PERIOD.as_millis() as u64;
            (0..looks)
                .filter(|_| {
                    self.1 += PERIOD;
                    self.0.handle(&load, step, self.1).is_some()
                })
                .count()
        }
    }

    fn cpu(cpu: f64) -> Load {
        Load { cpu: Some(cpu), ..Load::default() }
    }

    #[test]
    fn five_seconds_above_85_percent_close_the_door_and_less_does_not() {
        let mut story = Story::new();
        assert_eq!(story.live(60_000, cpu(0.84), Step::Whole), 0);
        story.live(5_000, cpu(0.6), Step::Whole);
        assert_eq!(story.live(2_000, cpu(1.0), Step::Whole) + story.live(5_000, cpu(0.6), Step::Whole), 0, "a peak");
        story.live(5_000, cpu(0.9), Step::Whole);
        assert_eq!(story.live(1_000, cpu(0.9), Step::Whole), 4);
        assert_eq!(story.live(10_000, cpu(0.83), Step::Whole), 40, "a little less is not enough to open it");
        story.live(5_000, cpu(0.6), Step::Whole);
        assert_eq!(story.live(10_000, cpu(0.6), Step::Whole), 0);
    }

    #[test]
    fn a_server_that_has_just_begun_is_given_its_five_seconds() {
        assert_eq!(Story::new().live(5_000, cpu(1.0), Step::Whole), 0);
    }

    #[test]
    fn memory_above_its_limit_closes_it_at_once() {
        let mut story = Story::new();
        let used = |memory_bytes: u64| Load { memory_bytes, memory_limit_bytes: 1000, ..Load::default() };
        assert_eq!(story.live(250, used(1000), Step::Whole), 0);
        assert_eq!(story.live(250, used(1001), Step::Whole), 1);
        assert_eq!(story.live(250, used(960), Step::Whole), 1);
        assert_eq!(story.live(250, used(940), Step::Whole), 0);
        let unknown = Load { memory_bytes: 1 << 40, ..Load::default() };
        assert_eq!(story.live(250, unknown, Step::Whole), 0, "where no limit is known there is none");
    }

    #[test]
    fn nobody_new_comes_while_pictures_are_cheaper_for_those_who_are_here() {
        let mut story = Story::new();
        assert_eq!(story.live(1000, cpu(0.5), Step::Whole), 0);
        assert_eq!(story.live(1000, cpu(0.5), Step::Fps25), 4);
    }

    #[test]
    fn a_refusal_names_the_setting_and_the_limit() {
        let refusals = [Refusal::Processor { used: 0.973, most: 0.85 }, Refusal::Memory { used_bytes: 5 << 20, most_bytes: 7 }];
        let texts = refusals.map(|refusal| refusal.to_string());
        assert_eq!(texts[0], "the processor is used to 97 %: overload.admission_cpu_percent is 85");
        assert_eq!(texts[1], "memory is used to 5 MiB: overload.max_memory_bytes is 7");
    }
}
