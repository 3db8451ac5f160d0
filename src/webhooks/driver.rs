//! The task that owns the outbox: events and questions in, requests out, the journal in between.
//!
//! An event is written down before it is sent. Requests run in tasks of their own, one per endpoint at a time.

use super::journal::Message;
use super::outbox::{Delivery, Figures, Now, Outbox, Outcome};
use super::send::Sender;
use super::store::{Error, Store};
use super::{Endpoint, Event, Settings};
use crate::ids::RoomId;
use crate::runtime::clock;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Events that wait for the task; beyond it they are dropped and counted.
const QUEUE: usize = 4096;
/// Questions that wait for it.
const QUESTIONS: usize = 64;
/// Requests at the same time: one per endpoint, and tests.
const REQUESTS: usize = 256;
/// What the journal may grow by beyond four times what waits before it is begun anew.
const SLACK: u64 = 1 << 20;
/// How long a disk that failed is left alone.
const REST: Duration = Duration::from_secs(10);
/// At the end: how long to wait for the rooms' last words, and for the requests that these make.
const LAST_WORDS: Duration = Duration::from_millis(250);
const GRACE: Duration = Duration::from_secs(3);

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Unknown(&'static str),
    Busy,
}

/// An endpoint as it stands.
#[derive(Debug, Clone)]
pub struct Summary {
    pub id: String,
    /// Without its query, which may hold a secret.
    pub url: String,
    pub events: Vec<String>,
    pub figures: Figures,
    /// When it is asked next; `None`: now, or nothing waits.
    pub next: Option<SystemTime>,
}

/// A request of its own, beside what waits.
#[derive(Debug, Clone, Copy)]
pub struct Tested {
    pub outcome: Outcome,
    pub took: Duration,
}

type Answer<T> = oneshot::Sender<Result<T, Fault>>;

enum Question {
    List(Answer<Vec<Summary>>),
    Deliveries(String, Answer<Vec<Delivery>>),
    Retry { endpoint: String, message: String, answer: Answer<Delivery> },
    Test(String, Answer<Tested>),
}

/// Takes events and answers questions. Cheap to clone; without endpoints it does nothing.
#[derive(Clone, Default)]
pub struct Handle(Option<Arc<Edges>>);

struct Edges {
    endpoints: Vec<Endpoint>,
    events: mpsc::Sender<Event>,
    questions: mpsc::Sender<Question>,
}

impl Handle {
    /// Hands an event over and goes on, whatever becomes of it.
    pub fn offer(&self, room: &RoomId, kind: &'static str, at: SystemTime, data: &Value) {
        let Some(edges) = &self.0 else { return };
        if !edges.endpoints.iter().any(|endpoint| endpoint.events.wants(kind)) {
            return;
        }
        if edges.events.try_send(Event { room: room.clone(), kind, at, data: data.clone() }).is_err() {
            metrics::counter!("mixdown_drops_total", "reason" => "webhook_queue").increment(1);
        }
    }

    pub async fn list(&self) -> Result<Vec<Summary>, Fault> {
        if self.0.is_none() {
            return Ok(Vec::new());
        }
        self.ask(Question::List).await
    }

    /// What waits for an endpoint and what was settled lately, the newest first.
    pub async fn deliveries(&self, endpoint: &str) -> Result<Vec<Delivery>, Fault> {
        self.ask(|answer| Question::Deliveries(endpoint.to_owned(), answer)).await
    }

    /// Sends one delivery again: at once if it waits, behind the others if it is settled.
    pub async fn retry(&self, endpoint: &str, message: &str) -> Result<Delivery, Fault> {
        self.ask(|answer| Question::Retry { endpoint: endpoint.to_owned(), message: message.to_owned(), answer }).await
    }

    /// Posts a `webhook.test` at once, past all that waits, and tells how it went. Success hurries what waits.
    pub async fn test(&self, endpoint: &str) -> Result<Tested, Fault> {
        self.ask(|answer| Question::Test(endpoint.to_owned(), answer)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Result<T, Fault> {
        let edges = self.0.as_ref().ok_or(Fault::Unknown("webhook"))?;
        let (answer, answered) = oneshot::channel();
        edges.questions.try_send(question(answer)).map_err(|_| Fault::Busy)?;
        answered.await.unwrap_or(Err(Fault::Busy))
    }
}

/// The task. Dropped, it goes on to the end of the process.
pub struct Running {
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Writes down what is queued, sends what can be sent within seconds, and ends; the rest waits for the next start.
    pub async fn end(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}

/// Opens the outbox and starts. Without endpoints nothing is opened. Must be called on the tokio runtime.
pub fn start(settings: Settings) -> Result<(Handle, Running), Error> {
    let stop = CancellationToken::new();
    if settings.endpoints.is_empty() {
        return Ok((Handle::default(), Running { stop, task: None }));
    }
    let (mut store, records) = Store::open(&settings.folder)?;
    let mut outbox = Outbox::new(settings.endpoints.iter().map(|endpoint| (endpoint.id.clone(), endpoint.events.clone())), settings.limits);
    outbox.restore(records);
    store.rewrite(&outbox.live()).map_err(|error| Error::Folder { folder: settings.folder.clone(), error })?;
    let senders = settings.endpoints.iter().cloned().map(Sender::new).collect::<Result<Vec<_>, _>>()?;
    let (events, event_queue) = mpsc::channel(QUEUE);
    let (questions, question_queue) = mpsc::channel(QUESTIONS);
    let driver = Driver {
        endpoints: settings.endpoints.clone(),
        senders: senders.into_iter().map(Arc::new).collect(),
        outbox,
        store: Some(store),
        broken: None,
        requests: JoinSet::new(),
    };
    let run = tokio::spawn(driver.run(event_queue, question_queue, stop.clone()));
    let task = tokio::spawn(async move {
        if run.await.is_err() {
            metrics::counter!("mixdown_panics_total", "unit" => "webhooks").increment(1);
            tracing::error!("webhooks have ended by an internal error: events wait for the next start");
        }
    });
    let edges = Edges { endpoints: settings.endpoints, events, questions };
    Ok((Handle(Some(Arc::new(edges))), Running { stop, task: Some(task) }))
}

struct Driver {
    endpoints: Vec<Endpoint>,
    senders: Vec<Arc<Sender>>,
    outbox: Outbox,
    /// `None` once it is lost.
    store: Option<Store>,
    /// The journal does not hold what it should; until when it is left alone.
    broken: Option<Instant>,
    requests: JoinSet<Done>,
}

enum Done {
    Delivery { endpoint: usize, outcome: Outcome },
    Test { endpoint: usize, outcome: Outcome },
}

impl Driver {
    async fn run(mut self, mut events: mpsc::Receiver<Event>, mut questions: mpsc::Receiver<Question>, stop: CancellationToken) {
        let mut ending: Option<Instant> = None;
        loop {
            self.turn().await;
            let now = now();
            if ending.is_some_and(|since| self.is_done(now, since)) {
                return;
            }
            let due = self.outbox.poll_timeout().into_iter().chain(self.broken).chain(ending.map(|_| now.mono + LAST_WORDS)).min();
            tokio::select! {
                biased;
                Some(done) = self.requests.join_next() => self.done(done),
                Some(question) = questions.recv() => self.answer(question),
                Some(event) = events.recv() => {
                    self.accept(event);
                    // What has come meanwhile is written down with it.
                    while let Ok(event) = events.try_recv() {
                        self.accept(event);
                    }
                }
                () = sleep_until(due) => {}
                () = stop.cancelled(), if ending.is_none() => ending = Some(now.mono),
            }
        }
    }

    /// Writes down what has changed, and begins what is due.
    async fn turn(&mut self) {
        self.remember().await;
        let now = now();
        while let Some(attempt) = self.outbox.poll_delivery(now) {
            let Some(sender) = self.senders.get(attempt.endpoint).map(Arc::clone) else { continue };
            let (endpoint, message) = (attempt.endpoint, attempt.message);
            let request = tokio::spawn(async move { sender.send(&message, clock::wall()).await });
            self.requests.spawn(async move {
                // A request that panics has failed like any other.
                let outcome = request.await.unwrap_or(Outcome::Failed("internal"));
                Done::Delivery { endpoint, outcome }
            });
        }
        metrics::gauge!("mixdown_webhook_outbox_bytes").set(self.outbox.live_bytes() as f64);
    }

    fn is_done(&self, now: Now, since: Instant) -> bool {
        let after = now.mono.saturating_duration_since(since);
        after >= GRACE || (after >= LAST_WORDS && self.outbox.is_idle(now))
    }

    fn accept(&mut self, event: Event) {
        let Event { room, kind, at, data } = event;
        let message = Message::new(rand::random(), kind, &room.to_string(), at, &clock::rfc3339(at), &data);
        self.outbox.accept(now(), message);
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let Ok(done) = done else { return };
        match done {
            Done::Delivery { endpoint, outcome } => {
                let result = if matches!(outcome, Outcome::Taken(_)) { "taken" } else { "failed" };
                metrics::counter!("mixdown_webhook_attempts_total", "result" => result).increment(1);
                self.tell(endpoint, outcome);
                self.outbox.handle_outcome(now(), endpoint, outcome, rand::random());
            }
            Done::Test { endpoint, outcome: Outcome::Taken(_) } => self.outbox.wake(endpoint),
            Done::Test { .. } => {}
        }
    }

    /// The first failure in a row, and the end of the row, are news.
    fn tell(&self, endpoint: usize, outcome: Outcome) {
        let failures = self.outbox.figures(endpoint).failures;
        let id = self.endpoints.get(endpoint).map_or("", |endpoint| endpoint.id.as_str());
        match outcome {
            Outcome::Taken(_) if failures > 0 => tracing::info!(webhook = id, failures, "the webhook takes events again"),
            Outcome::Taken(_) => {}
            outcome if failures == 0 => tracing::warn!(webhook = id, ?outcome, "the webhook does not take an event; it is asked again"),
            outcome => tracing::debug!(webhook = id, failures, ?outcome, "the webhook still takes nothing"),
        }
    }

    fn answer(&mut self, question: Question) {
        // Whoever has asked may have gone.
        match question {
            Question::List(answer) => drop(answer.send(Ok((0..self.endpoints.len()).filter_map(|index| self.summary(index)).collect()))),
            Question::Deliveries(endpoint, answer) => {
                drop(answer.send(self.find(&endpoint).map(|index| self.outbox.deliveries(index))));
            }
            Question::Retry { endpoint, message, answer } => {
                let found = self.find(&endpoint);
                let found = found.and_then(|index| self.outbox.retry(now(), index, &message).ok_or(Fault::Unknown("delivery")));
                drop(answer.send(found));
            }
            Question::Test(endpoint, answer) => match self.find(&endpoint) {
                Err(fault) => drop(answer.send(Err(fault))),
                Ok(_) if self.requests.len() >= REQUESTS => drop(answer.send(Err(Fault::Busy))),
                Ok(index) => self.test(index, answer),
            },
        }
    }

    fn find(&self, id: &str) -> Result<usize, Fault> {
        self.outbox.find(id).ok_or(Fault::Unknown("webhook"))
    }

    fn summary(&self, index: usize) -> Option<Summary> {
        let endpoint = self.endpoints.get(index)?;
        let url = endpoint.url.split('?').next().unwrap_or_default().to_owned();
        let (events, figures) = (endpoint.events.patterns().to_vec(), self.outbox.figures(index));
        Some(Summary { id: endpoint.id.clone(), url, events, figures, next: self.next(index) })
    }

    /// When the endpoint is asked next, on the wall's clock.
    fn next(&self, index: usize) -> Option<SystemTime> {
        let now = now();
        self.outbox.due(index).map(|due| now.wall + due.saturating_duration_since(now.mono))
    }

    fn test(&mut self, endpoint: usize, answer: Answer<Tested>) {
        let Some(sender) = self.senders.get(endpoint).map(Arc::clone) else { return };
        let now = now();
        let data = serde_json::json!({});
        let message = Message::new(rand::random(), "webhook.test", "", now.wall, &clock::rfc3339(now.wall), &data);
        self.requests.spawn(async move {
            let outcome = sender.send(&message, now.wall).await;
            let took = clock::now().saturating_duration_since(now.mono);
            // Whoever has asked may have gone.
            let _ = answer.send(Ok(Tested { outcome, took }));
            Done::Test { endpoint, outcome }
        });
    }

    /// Puts the changes into the journal. A disk that fails costs the promise to survive a restart, no more.
    async fn remember(&mut self) {
        let records = self.outbox.take_records();
        let now = now().mono;
        let Some(mut store) = self.store.take() else { return };
        let rewrite = match self.broken {
            Some(until) if now < until => {
                self.store = Some(store);
                return;
            }
            Some(_) => true,
            None => store.bytes() > SLACK + 4 * self.outbox.live_bytes() as u64,
        };
        if !rewrite && records.is_empty() {
            self.store = Some(store);
            return;
        }
        let all = rewrite.then(|| self.outbox.live());
        let written = tokio::task::spawn_blocking(move || {
            let result = match all {
                Some(all) => store.rewrite(&all),
                None => store.append(&records),
            };
            (store, result)
        });
        match written.await {
            Ok((store, Ok(()))) => (self.store, self.broken) = (Some(store), None),
            Ok((store, Err(error))) => {
                metrics::counter!("mixdown_webhook_disk_errors_total").increment(1);
                tracing::error!(%error, "the webhooks' outbox cannot be written: events that wait would not survive a restart");
                (self.store, self.broken) = (Some(store), Some(now + REST));
            }
            Err(_) => metrics::counter!("mixdown_panics_total", "unit" => "webhook_store").increment(1),
        }
    }
}

fn now() -> Now {
    Now { mono: clock::now(), wall: clock::wall() }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
