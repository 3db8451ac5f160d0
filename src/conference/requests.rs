//! What the API asks of a conference.

use super::handle::{Join, Joined, ParticipantView, Refusal, Request};
use super::rights::Rights;
use super::session::{Bucket, Session};
use super::{Conference, Input, OBSERVED_FOR, channel};
use crate::egress::life;
use crate::ids::ParticipantId;
use crate::net;
use crate::peer::types::{Answer, CloseReason};
use crate::pipeline::inlet::RoomInlet;
use crate::record::Reason;
use crate::room::member::display_name;
use crate::room::model::{Participant, View, ViewPatch};
use crate::room::sound::{Sidebar, SidebarSettings};
use crate::room::{Arrival, Error, Expect};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;

/// Data-channel messages per second and participant, and at once.
const MESSAGE_RATE: (f32, f32) = (20.0, 60.0);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NoParticipant => Self::NotFound("participant"),
            Error::NoSidebar(_) => Self::NotFound("sidebar"),
            Error::NoView(_) => Self::Unprocessable { pointer: "/view", detail: error.to_string() },
            Error::Stale(current) => Self::Stale { current: format!("\"{current}\"") },
            Error::MainView | Error::ViewExists(_) => Self::Conflict(error.to_string()),
            Error::Full(_) | Error::TooManyViews(_) => Self::Busy(error.to_string()),
            Error::Locked | Error::Unmute | Error::Held => Self::Forbidden(error.to_string()),
            Error::Invalid { pointer, detail } => Self::Unprocessable { pointer, detail },
        }
    }
}

/// A view that is part of the path is looked for, not sent.
fn no_view(error: Error) -> Refusal {
    match error {
        Error::NoView(_) => Refusal::NotFound("view"),
        error => error.into(),
    }
}

/// Nobody waits for the answer any more: that is their choice.
pub(super) fn answer<T>(reply: oneshot::Sender<Result<T, Refusal>>, result: Result<T, Refusal>) {
    let _ = reply.send(result);
}

impl Conference {
    /// Tells the world that the room is there.
    pub fn begun(&mut self, wall: SystemTime) {
        self.wall = wall;
        self.publish("room.created", serde_json::json!({}));
    }

    /// Tells the world that the room is no more: the last event of it.
    pub fn ended(&mut self, wall: SystemTime, failed: bool) {
        self.wall = wall;
        self.stop_ingresses();
        self.drop_recordings();
        self.drop_egresses(failed);
        self.publish("room.ended", serde_json::json!({"reason_code": if failed { "internal_error" } else { "closed" }}));
    }

    pub fn handle_request(&mut self, now: Instant, wall: SystemTime, request: Request) {
        (self.now, self.wall) = (now, wall);
        match request {
            Request::Join(join, reply) => {
                let joined = self.join(*join);
                self.settle();
                return answer(reply, joined);
            }
            Request::Offer { participant, sdp, reply } => self.offer(participant, sdp, reply),
            Request::Trickle { participant, fragment, if_match, reply } => self.trickle(participant, fragment, if_match, reply),
            Request::Patch { participant, patch, reply } => {
                let patched = self.room.patch(participant, *patch);
                self.show_changed(participant, patched, reply);
            }
            Request::Leave { participant, reason, reply } => {
                let for_good = matches!(reason, CloseReason::Removed | CloseReason::Denied);
                answer(reply, if for_good { self.remove(participant, reason) } else { self.leave(participant, reason) });
            }
            Request::Admit { participant, reply } => {
                let admitted = self.room.admit(participant);
                self.show_changed(participant, admitted, reply);
            }
            Request::Transfer { participant, to, token, reply } => answer(reply, self.transfer(participant, &to, token.as_deref())),
            Request::Admitted { identity, reply } => answer(reply, Ok(self.room.is_open_to(&identity))),
            Request::Present { identity, reply } => answer(reply, Ok(self.room.of_identity(Some(&identity)).next().is_some())),
            Request::Rights { participant, reply } => answer(reply, self.rights(participant)),
            Request::Participant { participant, reply } => self.view_of(participant, reply),
            Request::Participants(reply) => answer(reply, Ok(self.participants())),
            Request::Room(reply) => answer(reply, Ok(self.describe_room())),
            Request::Stats(reply) => answer(reply, Ok(self.describe_costs())),
            Request::PatchRoom { patch, if_match, reply } => {
                let patched = fresh(if_match, self.room.revision()).and_then(|()| Ok(self.room.update(*patch)?));
                self.settle();
                answer(reply, patched.map(|()| self.describe_room()));
            }
            Request::View { view, reply } => answer(reply, self.room.view(&view).map_err(|_| Refusal::NotFound("view"))),
            Request::PutView { view, settings, expect, reply } => answer(reply, self.put_view(&view, *settings, expect)),
            Request::DeleteView { view, expect, reply } => {
                let deleted = self.room.delete_view(&view, expect);
                self.observed.remove(&view);
                answer(reply, deleted.map_err(no_view));
            }
            Request::Sidebars(reply) => answer(reply, Ok(self.room.sidebars())),
            Request::PutSidebar { name, settings, expect, reply } => answer(reply, self.put_sidebar(&name, settings, expect)),
            Request::DeleteSidebar { name, expect, reply } => answer(reply, self.room.delete_sidebar(&name, expect).map_err(Refusal::from)),
            Request::Audience { view, reply } => {
                answer(reply, self.room.audience(&view).map(Box::new).map_err(|_| Refusal::NotFound("view")));
            }
            Request::Chat { from, text, reply } => {
                let said = channel::chat_text(&text).map(|text| self.say(None, &from, &text));
                answer(reply, said.map_err(|detail| Refusal::Unprocessable { pointer: "/text", detail }));
            }
            Request::Banner { view, text, time, reply } => answer(reply, self.banner(view, text, time)),
            Request::Snapshot { view, reply } => self.snapshot(view, reply),
            Request::Record { recording, reply } => self.record(*recording, reply),
            Request::ActOnRecording { recording, action, reply } => answer(reply, self.act_on_recording(recording, action)),
            Request::Ingress(request) => self.handle_ingress(request),
            Request::SendOut { egress, reply } => answer(reply, self.send_out(*egress)),
            Request::EndEgress { egress, reply } => answer(reply, self.end_egress(egress)),
            Request::Close { reason, reply } => {
                self.stop_ingresses();
                let shutdown = reason == CloseReason::Shutdown;
                self.stop_egresses(if shutdown { life::Reason::Shutdown } else { life::Reason::RoomEnded });
                self.stop_recordings(if shutdown { Reason::Shutdown } else { Reason::RoomEnded });
                self.empty(reason);
                answer(reply, Ok(()));
            }
        }
        self.settle();
    }

    fn rights(&self, id: ParticipantId) -> Result<Rights, Refusal> {
        self.sessions.get(&id).map(|session| session.rights.clone()).ok_or(Refusal::NotFound("participant"))
    }

    /// Has taken effect when it returns, as with sidebars.
    fn put_view(&mut self, name: &str, settings: ViewPatch, expect: Expect) -> Result<(View, bool), Refusal> {
        let put = self.room.put_view(name, settings, expect).and_then(|made| Ok((self.room.view(name)?, made)));
        self.settle();
        Ok(put?)
    }

    fn put_sidebar(&mut self, name: &str, settings: SidebarSettings, expect: Expect) -> Result<(Sidebar, bool), Refusal> {
        let put = self.room.put_sidebar(name, settings, expect).and_then(|made| Ok((self.room.sidebar(name)?, made)));
        self.settle();
        Ok(put?)
    }

    /// Shows a text over the pictures of a view for `time`.
    fn banner(&mut self, view: String, text: String, time: Duration) -> Result<(), Refusal> {
        let shown = self.room.banner(&view, Some(text.clone()));
        shown.map_err(|_| Refusal::Unprocessable { pointer: "/view", detail: format!("no view named {view:?}") })?;
        self.publish("banner.shown", serde_json::json!({"view": view, "text": text, "duration_ms": time.as_millis() as u64}));
        self.banners.insert(view, self.now + time);
        Ok(())
    }

    fn join(&mut self, join: Join) -> Result<Joined, Refusal> {
        let name = display_name(&join.name)?;
        self.room.admits(join.identity.as_deref(), join.view.as_deref())?;
        let (peer, answer) = crate::peer::Peer::accept(&self.peer, join.kind, &join.offer, self.now)?;
        // Only an offer that is good takes the place of an older connection.
        self.replace(join.identity.as_deref());
        let id = (self.next_id)();
        let [camera, screen] = self.video.open_tracks(id);
        let inlet = self.inlet(id, RoomInlet { participant: id, camera, screen, mix: self.mix.clone() });
        let open =
            net::Command::Open { participant: id, peer: Box::new(peer), inlet: Box::new(inlet), observer: Arc::new(self.inbox.clone()) };
        if self.net.send(open).is_err() {
            self.video.close_tracks(id);
            return Err(Refusal::Busy("the network's command queue is full".into()));
        }
        let waits = !join.rights.admitted;
        let session = Session {
            etag: answer.etag.clone(),
            rights: join.rights,
            channel_open: false,
            fed: false,
            closing: None,
            leaves_at: None,
            messages: Bucket::new(MESSAGE_RATE.0, MESSAGE_RATE.1, self.now),
        };
        self.sessions.insert(id, session);
        self.empty_since = None;
        let (kind, identity, role, view) = (join.kind, join.identity, join.role, join.view);
        self.room.join(Arrival { id, kind, name, identity, role, view, waits, negotiated: Default::default() })?;
        self.room.patch(id, join.limits)?;
        tracing::info!(room = %self.room.id(), participant = %id, ?kind, "participant joins");
        Ok(Joined { participant: id, answer })
    }

    /// One identity has one connection: the newest wins.
    fn replace(&mut self, identity: Option<&str>) {
        let Some(identity) = identity else { return };
        let older: Vec<ParticipantId> = self.room.of_identity(Some(identity)).map(|member| member.id).collect();
        for id in older {
            let _ = self.leave(id, CloseReason::DuplicateIdentity);
        }
        self.settle();
    }

    /// Everybody out.
    pub(super) fn empty(&mut self, reason: CloseReason) {
        let everybody: Vec<ParticipantId> = self.sessions.keys().copied().collect();
        everybody.into_iter().for_each(|id| _ = self.leave(id, reason));
    }

    /// Out at once: the hub is told to close, and the room does not wait for it.
    pub(super) fn leave(&mut self, id: ParticipantId, reason: CloseReason) -> Result<(), Refusal> {
        if self.is_ingress(id) {
            return self.stop_ingress(crate::ids::IngressId(id.0), None);
        }
        let session = self.sessions.get_mut(&id).ok_or(Refusal::NotFound("participant"))?;
        session.closing = Some(reason);
        if session.channel_open && reason.is_for_good() {
            let text = channel::error(410, &reason.to_string()).into();
            self.tell_net(net::Command::Message { to: net::Recipients::One(id), text });
        }
        self.tell_net(net::Command::Close { participant: id, reason });
        self.closed(id, reason);
        Ok(())
    }

    fn offer(&self, participant: ParticipantId, sdp: String, reply: oneshot::Sender<Result<Answer, Refusal>>) {
        if !self.sessions.contains_key(&participant) {
            return answer(reply, Err(Refusal::NotFound("session")));
        }
        let inbox = self.inbox.clone();
        let done = move |result: Result<Answer, net::SessionError>| {
            if let Ok(answered) = &result {
                inbox.put(Input::Etag(participant, answered.etag.clone()));
            }
            answer(reply, result.map_err(Refusal::from));
        };
        self.tell_net(net::Command::Offer { participant, sdp, reply: Box::new(done) });
    }

    fn trickle(
        &self,
        participant: ParticipantId,
        fragment: String,
        if_match: Option<String>,
        reply: oneshot::Sender<Result<Option<Answer>, Refusal>>,
    ) {
        let Some(session) = self.sessions.get(&participant) else {
            return answer(reply, Err(Refusal::NotFound("session")));
        };
        if let Some(wanted) = if_match
            && !matches!(wanted.trim(), "*" | "\"*\"")
            && wanted.trim() != session.etag
        {
            return answer(reply, Err(Refusal::Stale { current: session.etag.clone() }));
        }
        let inbox = self.inbox.clone();
        let done = move |result: Result<Option<Answer>, net::SessionError>| {
            if let Ok(Some(restarted)) = &result {
                inbox.put(Input::Etag(participant, restarted.etag.clone()));
            }
            answer(reply, result.map_err(Refusal::from));
        };
        self.tell_net(net::Command::Trickle { participant, fragment, reply: Box::new(done) });
    }

    /// Runs what a change of somebody asks for and shows them as they are then.
    fn show_changed(&mut self, id: ParticipantId, changed: Result<(), Error>, reply: oneshot::Sender<Result<ParticipantView, Refusal>>) {
        self.settle();
        match changed {
            Ok(()) => self.view_of(id, reply),
            Err(error) => answer(reply, Err(error.into())),
        }
    }

    /// The participant with the figures of the connection, which the hub has.
    fn view_of(&self, id: ParticipantId, reply: oneshot::Sender<Result<ParticipantView, Refusal>>) {
        let Some(participant) = self.describe(id) else {
            let departed = self.departed.find(id).cloned().map(|participant| ParticipantView { participant, stats: None, etag: None });
            return answer(reply, departed.ok_or(Refusal::NotFound("participant")));
        };
        let etag = self.sessions.get(&id).map(|session| session.etag.clone());
        let done = move |stats| answer(reply, Ok(ParticipantView { participant, stats, etag }));
        self.tell_net(net::Command::Stats { participant: id, reply: Box::new(done) });
    }

    fn participants(&self) -> Vec<Participant> {
        self.room.members().iter().filter_map(|member| self.describe(member.id)).collect()
    }

    fn snapshot(&mut self, view: String, reply: oneshot::Sender<Result<Arc<mixdown_codecs::I420Frame>, Refusal>>) {
        if self.room.observe(&view, true).is_err() {
            return answer(reply, Err(Refusal::NotFound("view")));
        }
        self.settle();
        self.observed.insert(view.clone(), self.now + OBSERVED_FOR);
        if let Some(canvas) = self.room.plan().shared(&view) {
            self.video.snapshot(canvas, self.now, Box::new(move |frame| answer(reply, Ok(frame))));
        }
    }
}

fn fresh(if_match: Option<u64>, current: u64) -> Result<(), Refusal> {
    if if_match.is_some_and(|wanted| wanted != current) {
        return Err(Refusal::Stale { current: format!("\"{current}\"") });
    }
    Ok(())
}
