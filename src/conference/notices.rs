//! What a conference tells the world: events, and messages on the data channels.

use super::handle::RoomEvent;
use super::{Conference, ROSTER_EVERY, channel};
use crate::ids::{CanvasId, ParticipantId};
use crate::room::Notice;
use std::sync::Arc;

impl Conference {
    pub(super) fn notify(&mut self, notice: Notice) {
        self.mark_roster();
        self.note_people();
        match notice {
            Notice::Joined(id) => self.publish_member("participant.joined", id),
            Notice::Connected(id) => self.publish_member("participant.connected", id),
            Notice::Waiting(id) => self.publish_member("participant.waiting", id),
            Notice::Admitted(id) => {
                self.publish_member("participant.admitted", id);
                if self.sessions.get(&id).is_some_and(|session| session.channel_open) {
                    self.greet(id);
                }
            }
            Notice::Updated(id) => self.publish_member("participant.updated", id),
            Notice::Left(id, reason) => {
                let data = serde_json::json!({"participant": id, "reason": reason.to_string(), "reason_code": reason});
                self.publish("participant.left", data);
            }
            Notice::ActiveSpeaker(id) => {
                self.publish("speaker.changed", serde_json::json!({"participant": id}));
                self.note_speaker(id);
                let everybody = self.channels();
                self.send(everybody, channel::speaker(id).into());
            }
            Notice::RoomUpdated => self.publish("room.updated", serde_json::json!({})),
            Notice::ViewCreated(view) => self.publish("view.created", serde_json::json!({"view": view})),
            Notice::ViewUpdated(view) => self.publish("view.updated", serde_json::json!({"view": view})),
            Notice::SidebarUpdated(name) => self.publish("sidebar.updated", serde_json::json!({"sidebar": name})),
            Notice::SidebarDeleted(name) => self.publish("sidebar.deleted", serde_json::json!({"sidebar": name})),
            Notice::ViewDeleted(view) => {
                self.publish("view.deleted", serde_json::json!({"view": view}));
                self.reframe_recordings(&view);
            }
        }
    }

    fn publish_member(&mut self, kind: &'static str, id: ParticipantId) {
        let Some(participant) = self.describe(id) else { return };
        let data = serde_json::to_value(participant).unwrap_or_default();
        self.publish(kind, serde_json::json!({"participant": data}));
    }

    pub(super) fn publish(&mut self, kind: &'static str, data: serde_json::Value) {
        let event = RoomEvent { id: self.next_event, room: self.room.id().clone(), kind, at: self.wall, data };
        self.next_event += 1;
        // Nobody subscribed is fine.
        let _ = self.events.send(event);
    }

    pub(super) fn mark_roster(&mut self) {
        self.roster_due.get_or_insert(self.now + ROSTER_EVERY);
    }

    /// Everybody whose data channel is open and who does not wait to be admitted.
    pub(super) fn channels(&self) -> Arc<[ParticipantId]> {
        let waits = |id: &ParticipantId| self.room.member(*id).is_some_and(|member| member.waiting);
        self.sessions.iter().filter(|(id, session)| session.channel_open && !waits(id)).map(|(id, _)| *id).collect()
    }

    pub(super) fn channels_of(&self, canvas: CanvasId) -> Arc<[ParticipantId]> {
        let watches = |id: &ParticipantId| self.room.plan().screens.get(id) == Some(&canvas);
        self.channels().iter().copied().filter(watches).collect()
    }
}
