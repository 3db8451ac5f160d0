//! Where one participant's coded media enter the stages.

use super::Inlet;
use super::mix;
use super::video::Track;
use crate::ids::{ParticipantId, Source};
use crate::media::{AudioIn, VideoIn};
use crossbeam_channel::Sender;

/// Sorts a participant's media onto the tracks' decoders and the room's mix.
pub struct RoomInlet {
    pub participant: ParticipantId,
    pub camera: Track,
    pub screen: Track,
    pub mix: Sender<mix::Input>,
}

impl Inlet for RoomInlet {
    fn video(&self, picture: VideoIn) {
        match picture.source {
            Source::Screen => self.screen.push(picture),
            _ => self.camera.push(picture),
        }
    }

    fn audio(&self, packet: AudioIn) {
        if self.mix.try_send(mix::Input::Packet { from: self.participant, packet }).is_err() {
            metrics::counter!("mixdown_drops_total", "reason" => "mix_busy").increment(1);
        }
    }
}
