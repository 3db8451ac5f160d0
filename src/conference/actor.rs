//! Steps one conference in the server: waits, reads the clock once, steps, goes on.

use super::handle::Request;
use super::{Conference, Input};
use crate::overload::Step as Load;
use crate::runtime::clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How a room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    /// By an internal error.
    Failed,
}

/// When a room ends of which everybody is out.
#[derive(Debug, Clone, Default)]
pub struct Linger {
    /// So long after the last one left; `None`: never of itself.
    pub time: Option<Duration>,
    /// Not as long as this is set.
    pub kept: Arc<AtomicBool>,
}

impl Linger {
    fn end(&self, empty_since: Option<Instant>) -> Option<Instant> {
        self.time.filter(|_| !self.kept.load(Ordering::Relaxed)).and_then(|time| Some(empty_since? + time))
    }
}

/// Runs until the room is closed: by [`Request::Close`], because nobody came back within `linger` after the
/// last one left, or by an internal error, which ends this room alone and tells its peers.
/// `load` says what is given up for lack of time.
pub async fn run(
    mut conference: Conference,
    requests: mpsc::Receiver<Request>,
    mut inputs: mpsc::Receiver<Input>,
    load: watch::Receiver<Load>,
    linger: Linger,
) -> End {
    conference.begun(clock::wall());
    let end = live(&mut conference, requests, &mut inputs, load, linger).await;
    match catch_unwind(AssertUnwindSafe(|| close(&mut conference, &mut inputs, end))) {
        Ok(()) => end,
        Err(_) => {
            // A room that cannot even be closed is over all the same, and its name is free.
            metrics::counter!("mixdown_panics_total", "unit" => "room").increment(1);
            tracing::error!(room = %conference.id(), "the room cannot be closed in order");
            End::Failed
        }
    }
}

fn close(conference: &mut Conference, inputs: &mut mpsc::Receiver<Input>, end: End) {
    // From here on recordings tell the library themselves that they have ended; those that have told it here are not lost.
    inputs.close();
    while let Ok(input) = inputs.try_recv() {
        if let Input::Recording(..) = input {
            conference.handle_input(clock::now(), clock::wall(), input);
        }
    }
    conference.ended(clock::wall(), end == End::Failed);
}

async fn live(
    conference: &mut Conference,
    mut requests: mpsc::Receiver<Request>,
    inputs: &mut mpsc::Receiver<Input>,
    mut load: watch::Receiver<Load>,
    linger: Linger,
) -> End {
    load.mark_changed();
    loop {
        let next = [conference.poll_timeout(), linger.end(conference.empty_since())].into_iter().flatten().min();
        let idle = clock::now() + Duration::from_secs(3600);
        let step = tokio::select! {
            biased;
            Ok(()) = load.changed() => Some(Step::Load(*load.borrow_and_update())),
            input = inputs.recv() => input.map(Step::Input),
            request = requests.recv() => request.map(Step::Request),
            () = tokio::time::sleep_until(next.unwrap_or(idle).into()) => Some(Step::Timeout),
        };
        let Some(step) = step else { return End::Closed };
        let last = match &step {
            Step::Request(request) => matches!(request, Request::Close { .. }),
            Step::Timeout => linger.end(conference.empty_since()).is_some_and(|at| at <= clock::now()),
            Step::Input(_) | Step::Load(_) => false,
        };
        if catch_unwind(AssertUnwindSafe(|| take(conference, step))).is_err() {
            metrics::counter!("mixdown_panics_total", "unit" => "room").increment(1);
            tracing::error!(room = %conference.id(), "the room ends by an internal error");
            // What the panic left behind may not hold together: closing in order is an attempt.
            let _ = catch_unwind(AssertUnwindSafe(|| conference.fail()));
            conference.abandon();
            return End::Failed;
        }
        if conference.has_failed() {
            return End::Failed;
        }
        if last {
            return End::Closed;
        }
    }
}

enum Step {
    Input(Input),
    Request(Request),
    Load(Load),
    Timeout,
}

fn take(conference: &mut Conference, step: Step) {
    let (now, wall) = (clock::now(), clock::wall());
    match step {
        Step::Input(input) => conference.handle_input(now, wall, input),
        Step::Request(request) => conference.handle_request(now, wall, request),
        Step::Load(step) => conference.degrade(now, wall, step),
        Step::Timeout => conference.handle_timeout(now, wall),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conference::{Inbox, Parts};
    use crate::overload::{self, Guard, Monitor};
    use crate::peer::types;
    use crate::pipeline::pool::Pool;
    use crate::pipeline::{StageEvent, Watch, mix, ticker, video};
    use crate::room::{Room, Settings};
    use mixdown_codecs::gate::Limits;

    /// A room that nobody has joined, and the way its stages report to it.
    fn room(net: &mpsc::Sender<crate::net::Command>) -> (Conference, Inbox, mpsc::Receiver<Input>) {
        let (inputs, input_queue) = mpsc::channel(16);
        let inbox = Inbox(inputs);
        let peer = types::Config {
            ice_lite: true,
            candidates: Vec::new(),
            video_codecs: Vec::new(),
            audio_codecs: Vec::new(),
            limits: Limits::default(),
            connect_deadline: Duration::from_secs(15),
            initial_bitrate_bps: 1,
            max_bitrate_bps: 1,
        };
        let conference = Conference::new(Parts {
            room: Room::new("a".parse().unwrap(), Settings::default(), std::sync::Arc::default()),
            stages: video::Shared { pool: Pool::Inline, ticker: ticker::schedule().0, limits: Limits::default() },
            net: crate::net::Handle::new(net.clone()),
            taps: std::sync::Arc::new(crate::conference::taps::Taps::new(crate::net::Handle::new(net.clone()))),
            library: crate::conference::library::Library::disabled(),
            station: crate::conference::station::Station::new(crate::ingress::Settings::default()),
            board: crate::egress::Board::new(crate::config::Egress::default().settings()),
            mix: mix::channel().0,
            inbox: inbox.clone(),
            events: tokio::sync::broadcast::channel(16).0,
            peer: std::sync::Arc::new(peer),
            bill: std::sync::Arc::default(),
            sharing: std::sync::Arc::default(),
            removals: std::sync::Arc::default(),
            epoch: clock::now(),
            created: clock::wall(),
            next_id: Box::new(|| crate::ids::ParticipantId(1)),
        });
        (conference, inbox, input_queue)
    }

    #[tokio::test]
    async fn a_room_whose_sound_died_ends_as_failed_and_one_that_is_closed_does_not() {
        let (net, _commands) = mpsc::channel(16);
        let (conference, inbox, inputs) = room(&net);
        let (_requests, request_queue) = mpsc::channel(1);
        inbox.event(StageEvent::Failed("mix"));
        assert_eq!(run(conference, request_queue, inputs, watch::channel(Load::Whole).1, Linger::default()).await, End::Failed);

        let (conference, _inbox, inputs) = room(&net);
        let (requests, request_queue) = mpsc::channel(1);
        let (reply, _answer) = tokio::sync::oneshot::channel();
        requests.try_send(Request::Close { reason: types::CloseReason::Left, reply }).unwrap();
        assert_eq!(run(conference, request_queue, inputs, watch::channel(Load::Whole).1, Linger::default()).await, End::Closed);
    }

    #[tokio::test]
    async fn a_step_goes_from_the_load_to_the_room_and_the_room_tells_of_it() {
        let (net, _commands) = mpsc::channel(16);
        let (conference, _inbox, inputs) = room(&net);
        let (mut events, bill) = (conference.events.subscribe(), Arc::clone(&conference.bill));
        let (monitor, mut guard, mut now) = (Monitor::default(), Guard::new(overload::Settings::default()), clock::now());
        let mut live = |cpu: f64, looks: u32| {
            for _ in 0..looks {
                now += overload::PERIOD;
                monitor.set(guard.handle(overload::Load { cpu: Some(cpu), ..overload::Load::default() }, now));
            }
        };
        // Where it is on a step already, a new room begins on it.
        live(1.0, 2);
        let steps = monitor.enter("a", &bill);
        let (requests, queue) = mpsc::channel(1);
        let room = run(conference, queue, inputs, steps, Linger::default());
        let story = async {
            let mut told = async || loop {
                let event = events.recv().await.unwrap();
                if event.kind.starts_with("server.") {
                    return (event.kind, event.data["step"].as_u64().unwrap(), event.data["effect"].as_str().unwrap().to_owned());
                }
            };
            assert_eq!(told().await, ("server.overloaded", 1, "fps_25".to_owned()));
            live(1.0, 4);
            assert_eq!(told().await, ("server.overloaded", 2, "fps_15".to_owned()));
            live(0.3, 44);
            assert_eq!(told().await, ("server.overloaded", 1, "fps_25".to_owned()), "a step up is told too");
            live(0.3, 44);
            assert_eq!(told().await, ("server.recovered", 0, "whole".to_owned()));
            let (reply, _answer) = tokio::sync::oneshot::channel();
            requests.send(Request::Close { reason: types::CloseReason::Left, reply }).await.unwrap();
        };
        let alive = async { tokio::join!(room, story).0 };
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), alive).await, Ok(End::Closed));
    }

    #[test]
    fn a_room_that_was_prepared_outlives_its_emptiness() {
        let linger = Linger { time: Some(Duration::from_secs(60)), ..Linger::default() };
        let now = clock::now();
        assert_eq!(linger.end(Some(now)), Some(now + Duration::from_secs(60)));
        assert_eq!(linger.end(None), None, "somebody is here");
        linger.kept.store(true, Ordering::Relaxed);
        assert_eq!(linger.end(Some(now)), None);
    }
}
