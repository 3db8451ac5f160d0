//! What participants ask for over the data channel, and what they are told there.
//!
//! Every command is checked against the rights that its sender joined with. Who waits to be admitted hears nothing of the room and
//! may only mute himself and hint at the size of his player.

use super::Conference;
use super::channel::{self, Up};
use super::handle::Refusal;
use crate::ids::{ParticipantId, RoomId};
use crate::net;
use crate::peer::types::CloseReason;
use crate::room::Error;
use crate::room::model::ParticipantPatch;
use mixdown_codecs::Size;
use std::sync::Arc;
use std::time::Duration;

/// How long somebody who was sent to another room may take to go.
const TRANSFER_WITHIN: Duration = Duration::from_secs(10);

/// Status as in HTTP, and the words.
type Refused = (u16, String);

impl Conference {
    /// The data channel has opened, or the waiting room's door: who you are, who is here, what you see, what was said.
    pub(super) fn greet(&mut self, id: ParticipantId) {
        let Some(member) = self.room.member(id) else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.channel_open = true;
        let mut messages: Vec<Arc<str>> = vec![channel::hello(self.room.id().as_str(), member).into()];
        if !member.waiting {
            messages.push(channel::roster(self.room.members().iter()).into());
            let watched = self.room.plan().screens.get(&id);
            if let Some((scene, rtp_time)) = watched.and_then(|canvas| self.shown.get(canvas)) {
                messages.push(channel::tiles(scene, *rtp_time, &|person| self.room.by_person(person)).into());
            }
            messages.extend(self.room.speaker().map(|speaker| channel::speaker(speaker).into()));
            messages.extend(self.chat.iter().cloned());
            messages.extend(self.has_recordings().then(|| self.recordings_message().into()));
        }
        for text in messages {
            self.tell_net(net::Command::Message { to: net::Recipients::One(id), text });
        }
        self.tell_waiting();
    }

    pub(super) fn send_roster(&self) {
        self.send(self.channels(), channel::roster(self.room.members().iter()).into());
    }

    /// Tells those who may admit who waits.
    pub(super) fn tell_waiting(&self) {
        if !self.room.settings().waiting_room {
            return;
        }
        let doorkeeper = |id: &ParticipantId| self.sessions.get(id).is_some_and(|session| session.rights.admin);
        let doorkeepers: Arc<[ParticipantId]> = self.channels().iter().copied().filter(doorkeeper).collect();
        self.send(doorkeepers, channel::waiting(self.room.members().iter()).into());
    }

    pub(super) fn channel_message(&mut self, id: ParticipantId, text: &str) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if !session.messages.take(now) {
            metrics::counter!("mixdown_drops_total", "reason" => "message_rate").increment(1);
            return;
        }
        let done = channel::parse(text).map_err(|detail| (422, detail)).and_then(|message| self.obey(id, message));
        if let Err((status, detail)) = done {
            let text = channel::error(status, &detail).into();
            self.tell_net(net::Command::Message { to: net::Recipients::One(id), text });
        }
    }

    fn obey(&mut self, id: ParticipantId, message: Up) -> Result<(), Refused> {
        let Some(session) = self.sessions.get(&id) else { return Ok(()) };
        let rights = &session.rights;
        let missing = |grant: &str| Err((403, format!("this needs the grant {grant}")));
        if self.room.member(id).is_some_and(|member| member.waiting)
            && !matches!(message, Up::Hint { .. } | Up::Mute { participant: None, .. })
        {
            return Err((403, "you are not admitted yet".into()));
        }
        match message {
            Up::Chat { .. } if !rights.chat => missing("publish: data"),
            Up::Chat { text } => {
                let text = channel::chat_text(&text).map_err(|detail| (422, detail))?;
                let name = self.room.member(id).map(|member| member.name.clone()).unwrap_or_default();
                self.say(Some(id), &name, &text);
                Ok(())
            }
            Up::Mute { participant, audio, video } => {
                let target = target(participant.as_deref(), id)?;
                let operator = target != id;
                if operator && !rights.admin {
                    return missing("admin (mute others)");
                }
                self.change(target, ParticipantPatch { muted_audio: audio, muted_video: video, operator, ..Default::default() })
            }
            Up::Pin { .. } if !rights.admin && !rights.layout => missing("layout (pin)"),
            Up::Pin { participant, pinned } => {
                self.change(target(Some(&participant), id)?, ParticipantPatch { pinned: Some(pinned), ..Default::default() })
            }
            Up::View { view } if !rights.may_watch(&view) => missing("view"),
            Up::View { view } => self.change(id, ParticipantPatch { view: Some(view), ..Default::default() }),
            Up::Hint { width, height, hidden, save_data } => {
                if width.is_some() || height.is_some() {
                    self.room.hint(id, Size::new(width.unwrap_or(u32::MAX), height.unwrap_or(u32::MAX)));
                }
                self.room.presence(id, hidden, save_data);
                Ok(())
            }
            Up::Admit { .. } | Up::Deny { .. } | Up::Remove { .. } if !rights.admin => missing("admin"),
            Up::Admit { participant } => self.room.admit(target(Some(&participant), id)?).map_err(refused),
            Up::Deny { participant } => self.turn_out(target(Some(&participant), id)?, CloseReason::Denied),
            Up::Remove { participant } => self.turn_out(target(Some(&participant), id)?, CloseReason::Removed),
        }
    }

    fn change(&mut self, target: ParticipantId, patch: ParticipantPatch) -> Result<(), Refused> {
        self.room.patch(target, patch).map_err(refused)
    }

    fn turn_out(&mut self, target: ParticipantId, reason: CloseReason) -> Result<(), Refused> {
        self.remove(target, reason)
            .map_err(|refusal| (if matches!(refusal, Refusal::Conflict(_)) { 409 } else { 404 }, refusal.to_string()))
    }

    /// Out, and not back with a token of before. Who has been let in meanwhile is not turned away from the door.
    pub(super) fn remove(&mut self, id: ParticipantId, reason: CloseReason) -> Result<(), Refusal> {
        let Some(member) = self.room.member(id) else { return Err(Refusal::NotFound("participant")) };
        if reason == CloseReason::Denied && !member.waiting {
            return Err(Refusal::Conflict("the participant is in the room: only removing ends that".into()));
        }
        if let Some(identity) = member.identity.clone() {
            self.removals.remove(self.room.id(), &identity, self.wall);
        }
        self.leave(id, reason)
    }

    /// Asks the client to go to another room, and closes the connection if it is still here a while later.
    pub(super) fn transfer(&mut self, id: ParticipantId, to: &RoomId, token: Option<&str>) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(Refusal::NotFound("participant"))?;
        if !session.channel_open {
            return Err(Refusal::Conflict("the participant has no data channel, and cannot be told where to go".into()));
        }
        session.leaves_at = Some(self.now + TRANSFER_WITHIN);
        self.tell_net(net::Command::Message { to: net::Recipients::One(id), text: channel::transfer(to, token).into() });
        Ok(())
    }

    /// Closes the connections of those who were sent away and have not gone.
    pub(super) fn close_transferred(&mut self) {
        let now = self.now;
        let late = self.sessions.iter().filter(|(_, session)| session.leaves_at.is_some_and(|at| at <= now));
        let late: Vec<ParticipantId> = late.map(|(id, _)| *id).collect();
        late.into_iter().for_each(|id| _ = self.leave(id, CloseReason::Transferred));
    }

    /// Passes a chat line to everybody and keeps it for those who come later.
    pub(super) fn say(&mut self, from: Option<ParticipantId>, name: &str, text: &str) {
        let at = crate::runtime::clock::rfc3339(self.wall);
        self.chat.push_back(channel::chat(from, name, text, &at, true).into());
        while self.chat.len() > self.room.settings().chat_history {
            self.chat.pop_front();
        }
        self.send(self.channels(), channel::chat(from, name, text, &at, false).into());
        self.note_chat(from, name, text);
        self.publish("chat.message", serde_json::json!({"participant": from, "name": name, "text": text}));
    }
}

fn refused(error: Error) -> Refused {
    let status = match error {
        Error::NoParticipant => 404,
        Error::Unmute | Error::Held => 403,
        _ => 422,
    };
    (status, error.to_string())
}

/// The participant that a message names, or its sender.
fn target(named: Option<&str>, sender: ParticipantId) -> Result<ParticipantId, Refused> {
    named.map_or(Ok(sender), |text| text.parse().map_err(|_| (404, "no such participant".to_owned())))
}
