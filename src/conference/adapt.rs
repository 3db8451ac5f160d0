//! What is sent follows the links of those who get it.

use super::Conference;
use crate::ids::ParticipantId;
use crate::net;
use crate::pipeline::keyframes::Need;
use crate::pipeline::mix;
use crate::room::plan::Change;

impl Conference {
    /// Runs the changes that open and close nothing.
    pub(super) fn adapt(&self, change: &Change) {
        match *change {
            Change::Pace { canvas, fps } => self.video.pace_view(canvas, fps),
            Change::Halve { participant, halved } => self.tell_net(net::Command::Halve { participant, halved }),
            Change::Aim { participant, ref bitrate_bps } => {
                self.tell_net(net::Command::Aim { participant, bitrate_bps: bitrate_bps.clone() });
            }
            Change::Layers { canvas, id, layered } => self.video.set_layered(canvas, id, layered),
            Change::Rate { canvas, id, bitrate_bps } => self.video.set_bitrate(canvas, id, bitrate_bps),
            Change::Grade { listener, grade } => self.tell_mix(mix::Input::Grade { listener, grade }),
            _ => {}
        }
    }

    /// What a participant's receiver says is lost, and what their pictures took of late, where that is known.
    pub(super) fn reported(&mut self, participant: ParticipantId, loss: f32, pictures_bps: Option<u32>) {
        self.tell_mix(mix::Input::Loss { listener: participant, loss });
        if let Some(bps) = pictures_bps {
            self.room.pictures(participant, bps, self.now);
        }
    }

    pub(super) fn request_keyframe(&self, participant: ParticipantId, need: Need) {
        if let Some((canvas, _, rendition)) = self.room.plan().watched(participant) {
            self.video.request_keyframe(canvas, rendition, need);
        } else if let Some(track) = self.passed_to(participant).filter(|track| self.may_ask(*track, need)) {
            self.tell_net(net::Command::RequestKeyframe(track));
        }
    }
}
