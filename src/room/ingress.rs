//! Participants without a connection: what the server itself plays into the room.
//!
//! They are in the roster, in layouts and in mixes as everybody is. Locks, waiting rooms and the cap of participants are for people:
//! what may be played is limited elsewhere.

use super::member::{Link, Member};
use super::sound::Gain;
use super::{Arrival, Error, Notice, Room};
use crate::ids::ParticipantId;

impl Room {
    /// Lets something in that the server plays.
    pub fn host(&mut self, arrival: Arrival) -> Result<(), Error> {
        self.known_view(arrival.view.as_deref().unwrap_or(super::MAIN_VIEW))?;
        let id = arrival.id;
        self.members.push(Member { link: Link::Up, ..Member::new(arrival) });
        self.notices.push(Notice::Joined(id));
        self.notices.push(Notice::Connected(id));
        self.settle();
        Ok(())
    }

    /// How loud all others are while the announcement `id` sounds.
    pub fn duck(&mut self, id: ParticipantId, others: Gain) {
        let Some(member) = self.find(id) else { return };
        if std::mem::replace(&mut member.ducks, others) != others {
            self.settle();
        }
    }

    /// How loud it is in all mixes.
    pub fn amplify(&mut self, id: ParticipantId, gain: Gain) {
        let Some(member) = self.find(id) else { return };
        if std::mem::replace(&mut member.gain, gain) != gain {
            self.notices.push(Notice::Updated(id));
            self.settle();
        }
    }

    /// Whether somebody hears it.
    pub fn is_heard(&self, id: ParticipantId) -> bool {
        self.plan.sound.mixes.values().any(|blend| blend.contains_key(&id))
            && self.plan.sound.speakers.get(&id).is_some_and(|voicing| !voicing.muted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Source;
    use crate::peer::types::{Codec, Kind, Negotiated};
    use crate::room::model::RoomPatch;
    use crate::room::sound::{RoomAudio, SidebarSettings};
    use crate::room::{Expect, Settings};
    use mixdown_codecs::{AudioCodec, VideoCodec};

    fn arrival(n: u128, kind: Kind, sends: Vec<(Source, Codec)>) -> Arrival {
        let down = kind == Kind::Participant;
        let negotiated = Negotiated { sends, video_down: down.then_some(VideoCodec::Vp8), audio_down: down.then_some(AudioCodec::Opus) };
        let (id, name) = (ParticipantId(n), n.to_string());
        Arrival { id, kind, name, identity: None, role: None, view: None, waits: false, negotiated }
    }

    fn room(people: u128) -> Room {
        let mut room = Room::new("test".parse().unwrap(), Settings::default(), std::sync::Arc::default());
        for n in 1..=people {
            let sends = vec![(Source::Camera, Codec::Video(VideoCodec::Vp8)), (Source::Microphone, Codec::Audio(AudioCodec::Opus))];
            room.join(arrival(n, Kind::Participant, sends)).unwrap();
            room.link(ParticipantId(n), Link::Up);
        }
        room
    }

    fn tiles(room: &Room) -> Vec<u64> {
        room.plan().canvases.values().next().unwrap().scene.tiles.iter().map(|tile| tile.person.0).collect()
    }

    #[test]
    fn a_film_has_a_tile_and_a_voice_in_a_locked_room_and_in_no_chime() {
        let mut room = room(2);
        let audio = RoomAudio { join_tones: true, noise_suppression: true, ..RoomAudio::default() };
        room.update(RoomPatch { locked: Some(true), audio: Some(audio), ..RoomPatch::default() }).unwrap();
        room.take_changes();
        let sends = vec![(Source::Camera, Codec::Raw), (Source::Microphone, Codec::Audio(AudioCodec::L16))];
        room.host(arrival(9, Kind::Ingress, sends)).unwrap();
        assert_eq!(tiles(&room), [1, 2, 9]);
        assert!(room.is_heard(ParticipantId(9)) && !room.plan().sound.speakers[&ParticipantId(9)].noise_suppression);
        assert!(!room.take_changes().iter().any(|change| matches!(change, crate::room::plan::Change::Chime(_))));
        room.leave(ParticipantId(1), crate::peer::types::CloseReason::Left);
        room.leave(ParticipantId(2), crate::peer::types::CloseReason::Left);
        assert!(!room.is_heard(ParticipantId(9)) && room.plan().wanted.is_empty(), "nobody watches");
    }

    #[test]
    fn an_announcement_is_in_every_ear_and_no_tile_and_others_are_quieter_meanwhile() {
        let mut room = room(3);
        let alone = SidebarSettings { participants: vec![ParticipantId(3)], heard_by_all: false };
        room.put_sidebar("aside", alone, Expect::Anything).unwrap();
        room.host(arrival(9, Kind::Announcement, vec![(Source::ScreenAudio, Codec::Audio(AudioCodec::L16))])).unwrap();
        let quiet = Gain::from_db(-20.0).unwrap();
        room.duck(ParticipantId(9), quiet);
        assert_eq!(tiles(&room), [1, 2, 3]);
        let heard = |room: &Room, n| {
            let sound = &room.plan().sound;
            sound.mixes[&sound.listeners[&ParticipantId(n)].1].iter().map(|(id, place)| (id.0, place.gain)).collect::<Vec<_>>()
        };
        assert_eq!(heard(&room, 1), [(1, quiet), (2, quiet), (9, Gain::UNITY)]);
        assert_eq!(heard(&room, 3), [(3, quiet), (9, Gain::UNITY)], "in a sidebar too");
        room.duck(ParticipantId(9), Gain::UNITY);
        assert_eq!(heard(&room, 1)[0], (1, Gain::UNITY));
    }
}
