//! What waits for which endpoint, and when it is due. Without clock, disk or network.
//!
//! Per endpoint a queue in the order of events, of which the first alone is under way; the rest waits for it. What is settled
//! stays readable for a while. Every change that must survive a restart comes out of [`Outbox::take_records`].
//! When an endpoint's share is full its oldest event is dropped; when its first event has waited too long, it is given up.
//!
//! Flow: `accept → poll_delivery → handle_outcome → (again, or settled)`.

use super::filter::Filter;
use super::journal::{Message, Record};
use super::retry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Bounds of each endpoint's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of the events that wait.
    pub max_bytes: usize,
    /// How long an event may wait.
    pub max_age: Duration,
    /// Settled deliveries that stay readable.
    pub history: usize,
}

/// Now, on both clocks: waits follow the first, ages survive a restart by the second.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub mono: Instant,
    pub wall: SystemTime,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Taken(u16),
    /// Any other answer. `after`: its `Retry-After`.
    Refused { status: u16, after: Option<Duration> },
    /// No answer, and why.
    Failed(&'static str),
}

impl Outcome {
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Taken(status) | Self::Refused { status, .. } => Some(status),
            Self::Failed(_) => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Delivered,
    /// It has waited too long.
    GivenUp,
    /// The endpoint's share of the outbox was full.
    Dropped,
}

/// One message on its way to one endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its place in the order of events.
    number: u64,
    pub message: Arc<Message>,
    pub state: State,
    /// Since when it waits.
    pub since: SystemTime,
    pub attempts: u32,
    pub last: Option<(SystemTime, Outcome)>,
}

/// An endpoint in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub pending: usize,
    pub delivered: u64,
    pub given_up: u64,
    pub dropped: u64,
    /// In a row, until now.
    pub failures: u32,
    pub last_success: Option<SystemTime>,
}

/// An attempt that is due.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub endpoint: usize,
    pub message: Arc<Message>,
}

pub struct Outbox {
    limits: Limits,
    endpoints: Vec<Endpoint>,
    records: Vec<Record>,
    /// Counts what was queued.
    next: u64,
}

struct Endpoint {
    id: String,
    filter: Filter,
    queue: VecDeque<Delivery>,
    bytes: usize,
    /// The first of the queue is under way.
    sending: bool,
    /// When the first is due; `None`: at once.
    due: Option<Instant>,
    settled: VecDeque<Delivery>,
    figures: Figures,
}

impl Outbox {
    /// `endpoints` by id; their positions name them from then on.
    pub fn new(endpoints: impl IntoIterator<Item = (String, Filter)>, limits: Limits) -> Self {
        let endpoints = endpoints.into_iter().map(|(id, filter)| Endpoint::new(id, filter)).collect();
        Self { limits, endpoints, records: Vec::new(), next: 0 }
    }

    /// Takes up what an earlier run left: everything that was not settled is due at once.
    pub fn restore(&mut self, records: Vec<Record>) {
        for record in records {
            self.next += 1;
            match record {
                Record::Queued { message, endpoints } => {
                    for endpoint in self.endpoints.iter_mut().filter(|endpoint| endpoints.contains(&endpoint.id)) {
                        endpoint.push(Delivery::new(self.next, Arc::clone(&message), message.at()));
                    }
                }
                Record::Settled { message, endpoint } => {
                    if let Some(endpoint) = self.endpoints.iter_mut().find(|known| known.id == endpoint) {
                        endpoint.forget(&message);
                    }
                }
            }
        }
    }

    /// An event for all endpoints that want its kind. `false`: nobody does.
    pub fn accept(&mut self, now: Now, message: Message) -> bool {
        let message = Arc::new(message);
        let wanted: Vec<usize> = (0..self.endpoints.len()).filter(|index| self.endpoints[*index].filter.wants(&message.kind)).collect();
        self.queue(now, message, &wanted);
        !wanted.is_empty()
    }

    fn queue(&mut self, now: Now, message: Arc<Message>, wanted: &[usize]) {
        if wanted.is_empty() {
            return;
        }
        let ids = wanted.iter().filter_map(|index| Some(self.endpoints.get(*index)?.id.clone())).collect();
        self.records.push(Record::Queued { message: Arc::clone(&message), endpoints: ids });
        self.next += 1;
        for index in wanted {
            let Some(endpoint) = self.endpoints.get_mut(*index) else { continue };
            endpoint.push(Delivery::new(self.next, Arc::clone(&message), now.wall));
            while endpoint.bytes > self.limits.max_bytes {
                let oldest = usize::from(endpoint.sending);
                let Some(dropped) = endpoint.remove(oldest) else { break };
                metrics::counter!("mixdown_drops_total", "reason" => "webhook_outbox").increment(1);
                endpoint.settle(dropped, State::Dropped, &self.limits, &mut self.records);
            }
        }
    }

    /// The next attempt that is due; its endpoint is busy until [`Outbox::handle_outcome`].
    pub fn poll_delivery(&mut self, now: Now) -> Option<Attempt> {
        let due = |endpoint: &Endpoint| !endpoint.sending && !endpoint.queue.is_empty() && endpoint.due.is_none_or(|due| due <= now.mono);
        let index = self.endpoints.iter().position(due)?;
        let endpoint = self.endpoints.get_mut(index)?;
        let first = endpoint.queue.front_mut()?;
        endpoint.sending = true;
        first.attempts += 1;
        Some(Attempt { endpoint: index, message: Arc::clone(&first.message) })
    }

    /// When the next attempt is due, where none is now.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.endpoints.iter().filter(|endpoint| !endpoint.sending && !endpoint.queue.is_empty()).filter_map(|endpoint| endpoint.due).min()
    }

    /// The attempt at `endpoint` has ended. `random` in 0…1 spreads the wait.
    pub fn handle_outcome(&mut self, now: Now, endpoint: usize, outcome: Outcome, random: f64) {
        let Some(endpoint) = self.endpoints.get_mut(endpoint) else { return };
        endpoint.sending = false;
        if let Some(first) = endpoint.queue.front_mut() {
            first.last = Some((now.wall, outcome));
        }
        let after = match outcome {
            Outcome::Taken(_) => {
                (endpoint.due, endpoint.figures.failures, endpoint.figures.last_success) = (None, 0, Some(now.wall));
                if let Some(first) = endpoint.remove(0) {
                    endpoint.settle(first, State::Delivered, &self.limits, &mut self.records);
                }
                return;
            }
            // It wants to be left alone for good; what it missed is given up in time.
            Outcome::Refused { status: 410, .. } => Some(retry::LONGEST),
            Outcome::Refused { after, .. } => after,
            Outcome::Failed(_) => None,
        };
        endpoint.figures.failures = endpoint.figures.failures.saturating_add(1);
        endpoint.due = Some(now.mono + retry::delay(endpoint.figures.failures, random, after));
        let max_age = self.limits.max_age;
        let old = |first: &Delivery| now.wall.duration_since(first.since).is_ok_and(|age| age >= max_age);
        while endpoint.queue.front().is_some_and(old) {
            let Some(first) = endpoint.remove(0) else { break };
            metrics::counter!("mixdown_drops_total", "reason" => "webhook_given_up").increment(1);
            endpoint.settle(first, State::GivenUp, &self.limits, &mut self.records);
        }
    }

    /// The endpoint is asked at once: it has answered elsewhere, or somebody wants it so.
    pub fn wake(&mut self, endpoint: usize) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.due = None;
        }
    }

    /// Sends a delivery again: one that waits, by asking its endpoint at once; one that is settled, behind what waits now.
    /// `None`: it is not known, or no longer.
    pub fn retry(&mut self, now: Now, endpoint: usize, message: &str) -> Option<Delivery> {
        let known = self.endpoints.get_mut(endpoint)?;
        if let Some(position) = known.settled.iter().rposition(|delivery| delivery.message.id == message) {
            let message = known.settled.remove(position)?.message;
            self.queue(now, message, &[endpoint]);
        }
        self.wake(endpoint);
        self.endpoints.get(endpoint)?.queue.iter().rev().find(|delivery| delivery.message.id == message).cloned()
    }

    /// What must be remembered since the last call.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Everything that waits, as a new journal begins.
    pub fn live(&self) -> Vec<Record> {
        let mut all: BTreeMap<u64, (Arc<Message>, Vec<String>)> = BTreeMap::new();
        for endpoint in &self.endpoints {
            for delivery in &endpoint.queue {
                let waiting = all.entry(delivery.number).or_insert_with(|| (Arc::clone(&delivery.message), Vec::new()));
                waiting.1.push(endpoint.id.clone());
            }
        }
        all.into_values().map(|(message, endpoints)| Record::Queued { message, endpoints }).collect()
    }

    /// Of what waits; events that several endpoints wait for count for each.
    pub fn live_bytes(&self) -> usize {
        self.endpoints.iter().map(|endpoint| endpoint.bytes).sum()
    }

    pub fn find(&self, id: &str) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| endpoint.id == id)
    }

    pub fn figures(&self, endpoint: usize) -> Figures {
        self.endpoints.get(endpoint).map(|endpoint| Figures { pending: endpoint.queue.len(), ..endpoint.figures }).unwrap_or_default()
    }

    /// When the endpoint is asked next; `None`: now, or nothing waits.
    pub fn due(&self, endpoint: usize) -> Option<Instant> {
        self.endpoints.get(endpoint).filter(|endpoint| !endpoint.queue.is_empty() && !endpoint.sending)?.due
    }

    /// What waits and what is settled, the newest first.
    pub fn deliveries(&self, endpoint: usize) -> Vec<Delivery> {
        let Some(endpoint) = self.endpoints.get(endpoint) else { return Vec::new() };
        let mut all: Vec<Delivery> = endpoint.settled.iter().chain(&endpoint.queue).cloned().collect();
        all.sort_by_key(|delivery| std::cmp::Reverse(delivery.number));
        all
    }

    /// Nothing is under way, and nothing could be sent now.
    pub fn is_idle(&self, now: Now) -> bool {
        self.endpoints
            .iter()
            .all(|endpoint| !endpoint.sending && (endpoint.queue.is_empty() || endpoint.due.is_some_and(|due| due > now.mono)))
    }
}

impl Delivery {
    fn new(number: u64, message: Arc<Message>, since: SystemTime) -> Self {
        Self { number, message, state: State::Pending, since, attempts: 0, last: None }
    }
}

impl Endpoint {
    fn new(id: String, filter: Filter) -> Self {
        let (queue, settled) = (VecDeque::new(), VecDeque::new());
        Self { id, filter, queue, bytes: 0, sending: false, due: None, settled, figures: Figures::default() }
    }

    fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.size();
        self.queue.push_back(delivery);
    }

    fn remove(&mut self, position: usize) -> Option<Delivery> {
        let delivery = self.queue.remove(position)?;
        self.bytes -= delivery.message.size();
        Some(delivery)
    }

    /// Takes a message out, as an earlier run has settled it.
    fn forget(&mut self, message: &str) {
        if let Some(position) = self.queue.iter().position(|delivery| delivery.message.id == message) {
            self.remove(position);
        }
    }

    fn settle(&mut self, mut delivery: Delivery, state: State, limits: &Limits, records: &mut Vec<Record>) {
        let (figure, result) = match state {
            State::Dropped => (&mut self.figures.dropped, "dropped"),
            State::GivenUp => (&mut self.figures.given_up, "given_up"),
            State::Pending | State::Delivered => (&mut self.figures.delivered, "delivered"),
        };
        *figure += 1;
        metrics::counter!("mixdown_webhook_events_total", "result" => result).increment(1);
        records.push(Record::Settled { message: delivery.message.id.clone(), endpoint: self.id.clone() });
        delivery.state = state;
        self.settled.push_back(delivery);
        if self.settled.len() > limits.history {
            self.settled.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    struct World {
        outbox: Outbox,
        start: Instant,
        seconds: u64,
        next: u8,
    }

    impl World {
        fn new(limits: Limits) -> Self {
            let outbox = Outbox::new(["crm", "log"].map(|id| (id.to_owned(), Filter::default())), limits);
            Self { outbox, start: crate::runtime::clock::now(), seconds: 0, next: 0 }
        }

        fn now(&self) -> Now {
            let since = Duration::from_secs(self.seconds);
            Now { mono: self.start + since, wall: UNIX_EPOCH + since }
        }

        fn happen(&mut self) -> String {
            self.next += 1;
            let message = message(self.next, self.now().wall);
            let id = message.id.clone();
            self.outbox.accept(self.now(), message);
            id
        }

        /// What is sent now to each endpoint.
        fn sent(&mut self) -> Vec<(usize, String)> {
            let now = self.now();
            std::iter::from_fn(|| self.outbox.poll_delivery(now)).map(|attempt| (attempt.endpoint, attempt.message.id.clone())).collect()
        }

        fn outcome(&mut self, endpoint: usize, outcome: Outcome) {
            self.outbox.handle_outcome(self.now(), endpoint, outcome, 0.5);
        }

        /// The other endpoint is out of the way.
        fn settle_log(&mut self) {
            while self.sent().contains(&(1, String::new())) || self.outbox.endpoints[1].sending {
                self.outcome(1, TAKEN);
                self.sent();
            }
        }
    }

    const TAKEN: Outcome = Outcome::Taken(204);
    const DOWN: Outcome = Outcome::Failed("connect");

    fn message(number: u8, at: SystemTime) -> Message {
        Message::new([number; 16], "room.updated", "standup", at, "then", &serde_json::json!({}))
    }

    fn limits() -> Limits {
        Limits { max_bytes: 100_000, max_age: Duration::from_secs(86_400), history: 4 }
    }

    #[test]
    fn events_go_out_in_order_one_at_a_time_and_endpoints_do_not_wait_for_each_other() {
        let mut world = World::new(limits());
        let (a, b) = (world.happen(), world.happen());
        assert_eq!(world.sent(), [(0, a.clone()), (1, a.clone())]);
        assert_eq!(world.sent(), [], "both are busy");
        world.outcome(1, TAKEN);
        assert_eq!(world.sent(), [(1, b.clone())]);
        world.outcome(0, DOWN);
        world.outcome(1, TAKEN);
        assert_eq!(world.sent(), [], "the first waits for its retry, and the second behind it");
        assert_eq!((world.outbox.figures(0).pending, world.outbox.figures(1).pending), (2, 0));
        world.seconds += 5;
        assert_eq!(world.outbox.poll_timeout(), Some(world.now().mono));
        assert_eq!(world.sent(), [(0, a)]);
        world.outcome(0, TAKEN);
        assert_eq!(world.sent(), [(0, b)], "after a success the rest follows at once");
    }

    #[test]
    fn an_endpoint_that_stays_down_is_asked_ever_more_slowly_and_given_up_after_a_day() {
        let mut world = World::new(limits());
        world.happen();
        world.settle_log();
        let mut attempts = vec![];
        loop {
            world.outcome(0, DOWN);
            let Some(due) = world.outbox.poll_timeout() else { break };
            attempts.push((due - world.now().mono).as_secs());
            world.seconds = (due - world.start).as_secs();
            assert_eq!(world.sent().len(), 1);
        }
        assert_eq!(attempts[..5], [5, 30, 300, 1800, 3600]);
        assert!((86_400..86_400 + 3600).contains(&world.seconds), "{}", world.seconds);
        let figures = world.outbox.figures(0);
        assert_eq!((figures.pending, figures.given_up, world.outbox.deliveries(0)[0].state), (0, 1, State::GivenUp));
        // What comes later does not hammer it either.
        world.happen();
        world.settle_log();
        assert_eq!(world.sent(), []);
        assert!(world.outbox.poll_timeout().is_some_and(|due| due > world.now().mono + Duration::from_secs(3000)));
    }

    #[test]
    fn what_an_endpoint_asks_for_is_heeded_and_one_that_is_gone_is_left_alone_for_long() {
        for (outcome, wait) in [
            (Outcome::Refused { status: 503, after: Some(Duration::from_secs(120)) }, 120),
            (Outcome::Refused { status: 500, after: None }, 5),
            (Outcome::Refused { status: 301, after: None }, 5),
            (Outcome::Refused { status: 410, after: None }, 3600),
        ] {
            let mut world = World::new(limits());
            world.happen();
            world.settle_log();
            world.outcome(0, outcome);
            assert_eq!(world.outbox.poll_timeout(), Some(world.now().mono + Duration::from_secs(wait)), "{outcome:?}");
        }
    }

    #[test]
    fn a_full_share_drops_its_oldest_event_that_is_not_under_way() {
        let size = message(1, UNIX_EPOCH).size();
        let mut world = World::new(Limits { max_bytes: 3 * size, ..limits() });
        let ids: Vec<String> = (0..5)
            .map(|_| {
                let id = world.happen();
                world.settle_log();
                id
            })
            .collect();
        assert_eq!(
            world.outbox.endpoints[0].queue.iter().map(|waiting| waiting.message.id.clone()).collect::<Vec<_>>(),
            [&ids[0], &ids[3], &ids[4]].map(Clone::clone)
        );
        assert_eq!((world.outbox.figures(0).dropped, world.outbox.figures(1).dropped), (2, 0));
        assert!(world.outbox.live_bytes() <= 3 * size);
    }

    #[test]
    fn a_restart_at_any_point_forgets_nothing_that_was_not_taken_and_keeps_the_order() {
        let mut world = World::new(limits());
        let (a, b, c) = (world.happen(), world.happen(), world.happen());
        world.sent();
        world.outcome(1, TAKEN);
        world.sent();
        world.outcome(0, TAKEN);
        world.outcome(1, DOWN);
        let journal = world.outbox.take_records();
        let live = world.outbox.live();
        assert!(live.len() < journal.len());
        for records in [journal, live] {
            let mut again = World::new(limits());
            again.outbox.restore(records);
            let waiting = |endpoint: usize| {
                again.outbox.endpoints[endpoint].queue.iter().map(|waiting| waiting.message.id.clone()).collect::<Vec<_>>()
            };
            assert_eq!((waiting(0), waiting(1)), (vec![b.clone(), c.clone()], vec![b.clone(), c.clone()]));
            assert_eq!(again.sent(), [(0, b.clone()), (1, b.clone())], "due at once");
        }
        assert_ne!(a, b);
    }

    #[test]
    fn what_was_given_up_or_delivered_can_be_sent_again_and_what_waits_is_hurried() {
        let mut world = World::new(limits());
        let (a, b) = (world.happen(), world.happen());
        world.settle_log();
        world.outcome(0, TAKEN);
        assert_eq!(world.sent(), [(0, b.clone())]);
        world.outcome(0, DOWN);
        assert_eq!(world.sent(), []);
        let again = world.outbox.retry(world.now(), 0, &a).expect("known");
        assert_eq!((again.state, again.message.id.clone()), (State::Pending, a.clone()));
        assert_eq!(world.sent(), [(0, b)], "in order, and at once");
        world.outcome(0, TAKEN);
        assert_eq!(world.sent(), [(0, a)]);
        assert!(world.outbox.retry(world.now(), 0, "msg_unknown").is_none());
    }

    #[test]
    fn the_history_is_bounded_and_newest_first() {
        let mut world = World::new(limits());
        let ids: Vec<String> = (0..9).map(|_| world.happen()).collect();
        for _ in 0..8 {
            world.sent();
            world.outcome(0, TAKEN);
        }
        let known: Vec<String> = world.outbox.deliveries(0).into_iter().map(|delivery| delivery.message.id.clone()).collect();
        assert_eq!(known, ids[4..].iter().rev().cloned().collect::<Vec<_>>());
    }
}
