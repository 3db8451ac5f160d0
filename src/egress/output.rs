//! One egress and its outputs, as rooms feed them and the API shows them.

use super::edge::Edge;
use super::hls::{Budget, Window};
use super::life::{Life, Reason, State};
use super::target::Target;
use super::{Report, Settings, Start};
use crate::ids::{EgressId, RoomId};
use crate::media::{AudioOut, VideoOut};
use crate::record::Need;
use crate::record::queue;
use crate::runtime::clock::rfc3339;
use bytes::Bytes;
use mixdown_codecs::I420Frame;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How often services that take RTMP want a place to begin.
const RTMP_KEYFRAMES: Duration = Duration::from_secs(2);
/// Who receives WHIP asks for keyframes itself.
const WHIP_KEYFRAMES: Duration = Duration::from_secs(60);

/// One egress.
pub struct Egress {
    pub id: EgressId,
    pub room: RoomId,
    pub view: String,
    started: SystemTime,
    outputs: Vec<Output>,
    repairs: AtomicBool,
    pub(super) stop: CancellationToken,
    why: OnceLock<Reason>,
}

/// One place that it goes to.
pub struct Output {
    pub target: Target,
    pub(super) edge: Edge,
    status: Mutex<Status>,
    window: Option<Mutex<Window>>,
    still: watch::Sender<Option<Still>>,
    /// Whether the HLS playlist has a segment.
    listed: watch::Sender<bool>,
    frames: mpsc::Sender<Arc<I420Frame>>,
    pub(super) taken: Mutex<Option<mpsc::Receiver<Arc<I420Frame>>>>,
}

struct Status {
    life: Life,
    /// When it is tried again.
    again: Option<SystemTime>,
}

/// A picture as JPEG.
#[derive(Debug, Clone)]
pub struct Still {
    pub jpeg: Bytes,
    /// Counts up.
    pub number: u64,
}

/// An egress as the API shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Shown {
    pub id: EgressId,
    pub room: RoomId,
    pub view: String,
    pub state: State,
    /// Of the first output that has one.
    pub reason: Option<Reason>,
    pub started_at: String,
    pub outputs: Vec<ShownOutput>,
}

#[derive(Debug, Clone, serde::Serialize)]
pub struct ShownOutput {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub state: State,
    pub reason: Option<Reason>,
    /// Attempts that failed in a row.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<String>,
    /// Where it goes, or can be fetched.
    pub url: String,
    /// Whoever knows the address may fetch it.
    pub public: bool,
}

impl Egress {
    pub(super) fn new(start: Start, targets: Vec<Target>, settings: &Settings, budget: &Arc<Budget>, now: Instant) -> Self {
        let Start { id, room, view, wall } = start;
        let outputs = targets.into_iter().map(|target| Output::new(target, settings, budget, now)).collect();
        Self {
            id,
            room,
            view,
            started: wall,
            outputs,
            repairs: AtomicBool::new(false),
            stop: CancellationToken::new(),
            why: OnceLock::new(),
        }
    }

    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Offers a picture. Where the answer is [`Need::Keyframe`], the encoder is to be asked for one.
    pub fn video(&self, picture: &VideoOut) -> Need {
        let (mut own, mut asked) = (Need::Nothing, false);
        for output in self.coded() {
            if output.edge.video(picture) == Need::Keyframe {
                own = Need::Keyframe;
            }
            asked |= output.edge.wants_keyframe();
        }
        if own == Need::Nothing && !asked {
            return Need::Nothing;
        }
        self.repairs.store(own == Need::Nothing, Ordering::Relaxed);
        Need::Keyframe
    }

    /// Whether the keyframe that it needed last is for another side alone, which may ask as often as it likes.
    pub fn repairs(&self) -> bool {
        self.repairs.load(Ordering::Relaxed)
    }

    /// Offers a packet of the mix.
    pub fn audio(&self, packet: &AudioOut) {
        self.coded().for_each(|output| output.edge.audio(packet));
    }

    /// Whether it takes coded pictures and sound.
    pub fn is_coded(&self) -> bool {
        self.coded().next().is_some()
    }

    fn coded(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|output| output.target.is_coded())
    }

    /// How often it takes a still; `None`: it takes none.
    pub fn stills_every(&self) -> Option<Duration> {
        let intervals = self.outputs.iter().filter_map(|output| match &output.target {
            Target::Images(images) => Some(images.interval),
            _ => None,
        });
        intervals.min()
    }

    /// Offers the composed picture for a still.
    pub fn picture(&self, frame: &Arc<I420Frame>) {
        for output in self.outputs.iter().filter(|output| !output.target.is_coded()) {
            // The one before is still being written: the next one comes soon.
            if output.frames.try_send(Arc::clone(frame)).is_err() {
                metrics::counter!("mixdown_drops_total", "reason" => "egress_still").increment(1);
            }
        }
    }

    /// Ends it. The outputs end a moment later, each as it should.
    pub fn end(&self, reason: Reason) {
        let _ = self.why.set(reason);
        self.stop.cancel();
    }

    pub(super) fn why(&self) -> Reason {
        self.why.get().copied().unwrap_or(Reason::InternalError)
    }

    /// Whether all outputs have ended.
    pub fn is_over(&self) -> bool {
        self.outputs.iter().all(|output| output.state().is_final())
    }

    /// Whether whoever knows its address may watch it by HLS.
    pub fn is_public(&self) -> bool {
        self.outputs.iter().any(|output| output.target.is_public())
    }

    pub fn hls(&self) -> Option<&Output> {
        self.outputs.iter().find(|output| output.window.is_some())
    }

    pub fn images(&self) -> Option<&Output> {
        self.outputs.iter().find(|output| matches!(output.target, Target::Images(_)))
    }

    pub fn shown(&self) -> Shown {
        let outputs: Vec<ShownOutput> = self.outputs.iter().map(|output| output.shown(self.id)).collect();
        let states: Vec<State> = outputs.iter().map(|output| output.state).collect();
        let over = states.iter().all(|state| state.is_final());
        let state = if self.stop.is_cancelled() && !over { State::Stopping } else { together(&states) };
        let reason = outputs.iter().find(|output| output.state == state).and_then(|output| output.reason);
        let (room, view) = (self.room.clone(), self.view.clone());
        Shown { id: self.id, room, view, state, reason, started_at: rfc3339(self.started), outputs }
    }
}

/// The best that some output is in.
fn together(states: &[State]) -> State {
    let order = [State::Active, State::Starting, State::Interrupted, State::Stopping, State::Complete];
    order.into_iter().find(|state| states.contains(state)).unwrap_or(State::Failed)
}

impl Output {
    fn new(target: Target, settings: &Settings, budget: &Arc<Budget>, now: Instant) -> Self {
        let keyframe_every = match &target {
            Target::Hls(_) => settings.hls.segment,
            Target::Rtmp(_) => RTMP_KEYFRAMES,
            Target::Whip(_) | Target::Images(_) => WHIP_KEYFRAMES,
        };
        let window = matches!(target, Target::Hls(_)).then(|| Mutex::new(Window::new(settings.hls, Arc::clone(budget))));
        let (frames, taken) = mpsc::channel(1);
        Self {
            target,
            edge: Edge::new(queue::Limits { bytes: settings.queue_bytes, span: settings.queue_span, keyframe_every }),
            status: Mutex::new(Status { life: Life::new(settings.give_up, now), again: None }),
            window,
            still: watch::Sender::new(None),
            listed: watch::Sender::new(false),
            frames,
            taken: Mutex::new(Some(taken)),
        }
    }

    pub fn state(&self) -> State {
        self.status().life.state()
    }

    /// It has come up.
    pub(super) fn up(&self, now: Instant) -> bool {
        let mut status = self.status();
        status.again = None;
        status.life.up(now)
    }

    /// An attempt has failed; how long to wait for the next.
    pub(super) fn down(&self, now: Instant, wall: SystemTime, reason: Reason, random: f64) -> Option<Duration> {
        let mut status = self.status();
        let wait = status.life.down(now, reason, random);
        status.again = wait.map(|wait| wall + wait);
        wait
    }

    pub(super) fn end(&self, state: State, reason: Reason) {
        let mut status = self.status();
        status.again = None;
        status.life.end(state, reason);
    }

    pub(super) fn window(&self) -> Option<MutexGuard<'_, Window>> {
        self.window.as_ref().map(|window| window.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn listed(&self) {
        self.listed.send_if_modified(|listed| !std::mem::replace(listed, true));
    }

    pub(super) fn still_made(&self, jpeg: Vec<u8>) {
        self.still.send_modify(|still| {
            let number = still.as_ref().map_or(0, |still| still.number + 1);
            *still = Some(Still { jpeg: jpeg.into(), number });
        });
    }

    /// The HLS playlist; waits for its first segment, at most so long.
    pub async fn playlist(&self, patience: Duration) -> Option<String> {
        let mut listed = self.listed.subscribe();
        let _ = tokio::time::timeout(patience, listed.wait_for(|listed| *listed)).await;
        self.window().filter(|window| !window.is_empty()).map(|window| window.playlist())
    }

    pub fn init(&self, number: u64) -> Option<Bytes> {
        self.window()?.init(number)
    }

    pub fn segment(&self, number: u64) -> Option<Bytes> {
        self.window()?.segment(number)
    }

    /// The newest still; waits for the first one, at most so long.
    pub async fn still(&self, patience: Duration) -> Option<Still> {
        let mut still = self.still.subscribe();
        let first = tokio::time::timeout(patience, still.wait_for(Option::is_some)).await;
        first.ok()?.ok()?.clone()
    }

    fn shown(&self, id: EgressId) -> ShownOutput {
        let status = self.status();
        let url = self.target.place().unwrap_or_else(|| match self.target {
            Target::Images(_) => format!("/v1/egress/{id}/image.jpg"),
            _ => format!("/v1/egress/{id}/hls/index.m3u8"),
        });
        ShownOutput {
            kind: self.target.kind(),
            state: status.life.state(),
            reason: status.life.reason(),
            failures: status.life.failures(),
            retry_at: status.again.map(rfc3339),
            url,
            public: self.target.is_public(),
        }
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an output's task works with.
pub(super) struct Work {
    pub egress: Arc<Egress>,
    pub index: usize,
    pub settings: Arc<Settings>,
    pub report: Arc<dyn Report>,
}

impl Work {
    pub fn output(&self) -> Option<&Output> {
        self.egress.outputs.get(self.index)
    }

    pub fn stop(&self) -> &CancellationToken {
        &self.egress.stop
    }

    pub fn changed(&self) {
        self.report.changed(self.egress.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_egress_is_as_well_as_its_best_output() {
        use State::*;
        for (states, all) in [
            (&[Active, Failed][..], Active),
            (&[Interrupted, Starting], Starting),
            (&[Interrupted, Failed], Interrupted),
            (&[Complete, Failed], Complete),
            (&[Failed, Failed], Failed),
        ] {
            assert_eq!(together(states), all, "{states:?}");
        }
    }
}
