//! Where rooms and the API see how the server stands.

use super::{Governor, Load, Settings, Status, Step, Ticks};
use crate::ledger::Bill;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Cheap to clone. Until something is [set](Monitor::set), nothing is given up and everybody is welcome.
#[derive(Debug, Clone, Default)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    settings: Settings,
    status: Mutex<Status>,
    rooms: Mutex<Vec<Seat>>,
}

/// A room, and its own part in it.
#[derive(Debug)]
struct Seat {
    room: String,
    bill: Weak<Bill>,
    /// As if its heaviest view had one processor and nobody else were there.
    governor: Governor,
    step: watch::Sender<Step>,
}

impl Monitor {
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared { settings, ..Shared::default() }))
    }

    pub fn status(&self) -> Status {
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A room comes, and goes with its bill. Returns the step that it is to be on, now and whenever it changes.
    pub fn enter(&self, room: &str, bill: &Arc<Bill>) -> watch::Receiver<Step> {
        let (step, steps) = watch::channel(self.status().step);
        self.rooms().push(Seat { room: room.to_owned(), bill: Arc::downgrade(bill), governor: Governor::new(self.0.settings), step });
        steps
    }

    /// The ticks of all views in the `span` until `now`. A view that takes more than one processor can do is to blame for its own
    /// lateness: its room goes on a step by itself, and nobody else's load it is.
    pub fn look(&self, span: Duration, now: Instant) -> Ticks {
        let (most, mut all) = (self.0.settings.down_cpu, Ticks::default());
        self.rooms().retain_mut(|seat| {
            let Some(bill) = seat.bill.upgrade() else { return false };
            let (mut heaviest, mut due) = (0.0_f64, 0);
            bill.beats(|beats| {
                let demand = beats.demand(span);
                let late = if demand < most { beats.late } else { 0 };
                all = all + Ticks { due: beats.due, late };
                (heaviest, due) = (heaviest.max(demand), due + beats.due);
            });
            seat.look(heaviest, due, now);
            true
        });
        all
    }

    /// Tells everybody, and returns how it stood before.
    pub fn set(&self, status: Status) -> Status {
        let before = std::mem::replace(&mut *self.0.status.lock().unwrap_or_else(PoisonError::into_inner), status);
        for seat in self.rooms().iter() {
            let now = status.step.max(seat.governor.step());
            seat.step.send_if_modified(|step| std::mem::replace(step, now) != now);
        }
        before
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// `demand`: of the heaviest view, in processors.
    fn look(&mut self, demand: f64, due: u64, now: Instant) {
        let before = self.governor.step();
        let pictures = Ticks { due, late: 0 };
        let step = self.governor.handle(&Load { cpu: Some(demand), cores: 1.0, pictures, ..Load::default() }, now);
        let (room, percent) = (&self.room, (demand * 100.0).round());
        if step > before {
            tracing::warn!(%room, percent, "a view takes more than one processor can do: {step}; lower its canvas, or its frame rate");
        } else if step < before {
            tracing::info!(%room, percent, "a view takes less than one processor can do: {step}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PERIOD;
    use super::*;
    use crate::ledger::Pulse;

    struct Story {
        monitor: Monitor,
        now: Instant,
    }

    impl Story {
        /// So many looks at views that are due, done, and late so often and take so many ms per tick.
        fn live(&mut self, looks: usize, views: &[(&Pulse, u64, u64, u64)]) -> Ticks {
            let mut last = Ticks::default();
            for _ in 0..looks {
                for (pulse, due, done, each) in views {
                    (0..*due).for_each(|n| pulse.due(n >= *done));
                    (0..*done).for_each(|_| pulse.done(Duration::from_millis(*each)));
                }
                self.now += PERIOD;
                last = self.monitor.look(PERIOD, self.now);
                self.monitor.set(self.monitor.status());
            }
            last
        }
    }

    #[test]
    fn a_room_whose_view_takes_more_than_a_processor_steps_alone_and_is_no_load_of_the_server() {
        let bills = [Arc::<Bill>::default(), Arc::default()];
        let monitor = Monitor::default();
        let steps = [0, 1].map(|n| monitor.enter("a", &bills[n]));
        let (heavy, light) = (bills[0].pulse(), bills[1].pulse());
        let mut story = Story { monitor: monitor.clone(), now: crate::runtime::clock::now() };
        let on = || [0, 1].map(|n| *steps[n].borrow());
        let ticks = story.live(3, &[(&*heavy, 15, 8, 25), (&*light, 8, 8, 5)]);
        assert_eq!((on(), ticks), ([Step::Fps25, Step::Whole], Ticks { due: 23, late: 0 }));
        // It fits: no further. One that is late for want of processors is the server's.
        let ticks = story.live(8, &[(&*heavy, 6, 6, 25), (&*light, 8, 5, 5)]);
        assert_eq!((on(), ticks), ([Step::Fps25, Step::Whole], Ticks { due: 14, late: 3 }));
        monitor.set(Status { step: Step::Fps10, ..Status::default() });
        assert_eq!(on(), [Step::Fps10; 2], "the server's own step holds for all");
        monitor.set(Status::default());
        assert_eq!(on(), [Step::Fps25, Step::Whole]);
        story.live(48, &[(&*heavy, 7, 7, 10), (&*light, 8, 8, 5)]);
        assert_eq!(on(), [Step::Whole; 2], "back after ten calm seconds");
        drop(bills);
        assert_eq!(story.live(1, &[]), Ticks::default());
        assert!(monitor.rooms().is_empty(), "rooms go with their bills");
    }

    #[test]
    fn where_the_governor_is_off_no_room_steps_either() {
        let (bill, monitor) = (Arc::<Bill>::default(), Monitor::new(Settings { governor: false, ..Settings::default() }));
        let steps = monitor.enter("a", &bill);
        let pulse = bill.pulse();
        Story { monitor, now: crate::runtime::clock::now() }.live(20, &[(&*pulse, 15, 4, 60)]);
        assert_eq!(*steps.borrow(), Step::Whole);
    }
}
