//! What leaves a room for other places: begun, fed, ended, and who is told of it.
//!
//! It joins the room's plan at once, keeps the room, and goes on when nobody is left. Its outputs come up, fail and come back on tasks of their own; the
//! room hears of it and tells.

use super::handle::{NewEgress, Refusal};
use super::taps::{Tap, Taps};
use super::{Conference, Inbox, Input};
use crate::egress::life::Reason;
use crate::egress::{Board, Egress, Report, Shown, Start, Target};
use crate::ids::{EgressId, RenditionId};
use crate::pipeline::keyframes::Need;
use crate::room;
use mixdown_codecs::VideoCodec;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Egresses {
    board: Board,
    taps: Arc<Taps>,
    running: BTreeMap<EgressId, Running>,
}

struct Running {
    tap: Arc<Tap<Arc<Egress>>>,
    /// When the next still is due; `None`: it takes none.
    still: Option<Instant>,
    fed: bool,
    /// It has left the plan; its outputs end.
    ending: bool,
}

impl Running {
    fn egress(&self) -> &Arc<Egress> {
        &self.tap.sink
    }
}

impl Egresses {
    pub fn new(board: Board, taps: Arc<Taps>) -> Self {
        Self { board, taps, running: BTreeMap::new() }
    }

    /// Nobody wants the room to go on for it.
    pub fn is_empty(&self) -> bool {
        self.running.values().all(|running| running.ending)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.running.values().filter(|running| !running.ending).filter_map(|running| running.still).min()
    }

    fn connect(&self) {
        self.taps.send_out(self.running.values().map(|running| Arc::clone(&running.tap) as _));
    }
}

impl Report for Inbox {
    fn changed(&self, egress: EgressId) {
        self.put(Input::Egress(egress));
    }
}

impl Conference {
    /// Begins an egress, and gives it as it is then.
    pub(super) fn send_out(&mut self, new: NewEgress) -> Result<Shown, Refusal> {
        let NewEgress { view, layout, outputs } = new;
        self.room.view(&view)?;
        let most = self.egresses.board.settings().most_per_room;
        if self.egresses.running.values().filter(|running| !running.ending).count() >= most {
            return Err(Refusal::Busy(format!("egress.max_per_room is {most}")));
        }
        let h264 = cfg!(feature = "h264") && self.peer.video_codecs.contains(&VideoCodec::H264);
        if !h264 && outputs.iter().any(|output| matches!(output, Target::Rtmp(_))) {
            let detail = "RTMP needs H.264, which this server does not make (video.codecs)".into();
            return Err(Refusal::Unprocessable { pointer: "/outputs", detail });
        }
        let id = EgressId((self.next_id)().0);
        let start = Start { id, room: self.room.id().clone(), view: view.clone(), wall: self.wall };
        let report: Arc<dyn Report> = Arc::new(self.inbox.clone());
        let egress = self.egresses.board.start(start, outputs, &report).map_err(|full| Refusal::Busy(full.to_string()))?;
        let codec = egress.is_coded().then_some(if h264 { VideoCodec::H264 } else { VideoCodec::Vp8 });
        tracing::info!(room = %self.room.id(), egress = %id, view, "an egress begins");
        let running = Running {
            still: egress.stills_every().map(|_| self.now),
            tap: Arc::new(Tap::new(Arc::clone(&egress), self.inbox.clone())),
            fed: false,
            ending: false,
        };
        self.egresses.running.insert(id, running);
        self.egresses.connect();
        self.room.send_out(room::Egress { id, view, layout, codec })?;
        let shown = egress.shown();
        self.publish("egress.started", json!({"egress": shown}));
        Ok(shown)
    }

    pub(super) fn end_egress(&mut self, id: EgressId) -> Result<(), Refusal> {
        if self.egresses.running.get(&id).is_none_or(|running| running.ending) {
            return Err(Refusal::NotFound("egress"));
        }
        self.stop_egress(id, Reason::Requested);
        Ok(())
    }

    /// Ends all of them; they are told of when their outputs have ended.
    pub(super) fn stop_egresses(&mut self, reason: Reason) {
        let ids: Vec<EgressId> = self.egresses.running.keys().copied().collect();
        ids.into_iter().for_each(|id| self.stop_egress(id, reason));
    }

    fn stop_egress(&mut self, id: EgressId, reason: Reason) {
        if let Some(running) = self.egresses.running.get_mut(&id) {
            running.ending = true;
        }
        self.egresses.board.end(id, reason);
        self.room.end_egress(id);
        if self.sessions.is_empty() && self.egresses.is_empty() {
            self.empty_since = Some(self.now);
        }
    }

    /// The room is no more: what still runs ends.
    pub(super) fn drop_egresses(&mut self, failed: bool) {
        self.stop_egresses(if failed { Reason::InternalError } else { Reason::RoomEnded });
        let ids: Vec<EgressId> = self.egresses.running.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget_egress(id));
    }

    /// An output has come up, failed or ended.
    pub(super) fn egress_changed(&mut self, id: EgressId) {
        let Some(running) = self.egresses.running.get(&id) else { return };
        if running.egress().is_over() {
            self.stop_egress(id, Reason::Requested);
            self.forget_egress(id);
        } else if !running.ending {
            let shown = running.egress().shown();
            self.publish("egress.updated", json!({"egress": shown}));
        }
    }

    fn forget_egress(&mut self, id: EgressId) {
        let Some(running) = self.egresses.running.remove(&id) else { return };
        self.egresses.connect();
        if running.fed {
            self.sharing.feeds(-1);
        }
        let shown = running.egress().shown();
        tracing::info!(room = %self.room.id(), egress = %id, state = ?shown.state, reason = ?shown.reason, "an egress has ended");
        self.publish("egress.ended", json!({"egress": shown, "reason": shown.reason}));
    }

    /// The plan says what an egress sends.
    pub(super) fn feed_egress(&mut self, id: EgressId, rendition: Option<RenditionId>) {
        let Some(running) = self.egresses.running.get_mut(&id) else { return };
        running.tap.want(rendition);
        let had = std::mem::replace(&mut running.fed, rendition.is_some());
        self.sharing.feeds(i64::from(rendition.is_some()) - i64::from(had));
        self.ask_for_egress(id, Need::Joins);
    }

    pub(super) fn request_keyframe_for_egress(&self, id: EgressId) {
        let repairs = self.egresses.running.get(&id).is_some_and(|running| running.egress().repairs());
        self.ask_for_egress(id, if repairs { Need::Repairs } else { Need::Joins });
    }

    fn ask_for_egress(&self, id: EgressId, need: Need) {
        let Some(running) = self.egresses.running.get(&id) else { return };
        running.tap.passed_on();
        if let Some((canvas, _, rendition)) = self.room.plan().sent.get(&id).and_then(|id| self.room.plan().encoded(*id)) {
            self.video.request_keyframe(canvas, rendition, need);
        }
    }

    /// Asks the canvases for the stills that are due.
    pub(super) fn take_stills(&mut self) {
        let now = self.now;
        for (id, running) in self.egresses.running.iter_mut().filter(|(_, running)| !running.ending && running.still <= Some(now)) {
            let (Some(every), Some(due)) = (running.egress().stills_every(), running.still) else { continue };
            // As often as is wanted on average, and never several at once.
            running.still = Some((due + every).max(now));
            let (egress, canvas) = (Arc::clone(running.egress()), self.room.canvas_of(*id));
            if let Some(canvas) = canvas {
                self.video.snapshot(canvas, now, Box::new(move |frame| egress.picture(&frame)));
            }
        }
    }
}
