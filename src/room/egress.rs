//! What leaves the room for other places: subscribers without a connection, as recordings are.
//!
//! An egress watches a view and hears its mix. It shows what everybody sees: where somebody watches the same, it costs no encode. One
//! without a codec needs the composed picture alone. It is in no roster, keeps nobody company, and stays when nobody is left.

use super::{Error, MAIN_VIEW, Room};
use crate::ids::{CanvasId, EgressId};
use mixdown_codecs::VideoCodec;
use mixdown_layouts::Layout;

/// One that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    pub id: EgressId,
    pub view: String,
    /// In place of the view's.
    pub layout: Option<Layout>,
    /// `None`: it takes stills, and neither coded pictures nor sound.
    pub codec: Option<VideoCodec>,
}

impl Room {
    /// Begins to send a view to other places.
    pub fn send_out(&mut self, egress: Egress) -> Result<(), Error> {
        self.known_view(&egress.view)?;
        self.egresses.retain(|other| other.id != egress.id);
        self.egresses.push(egress);
        self.settle();
        Ok(())
    }

    /// Ends it; unknown ones are ignored, since an end can be told twice.
    pub fn end_egress(&mut self, id: EgressId) {
        let before = self.egresses.len();
        self.egresses.retain(|egress| egress.id != id);
        if self.egresses.len() != before {
            self.settle();
        }
    }

    /// In the order in which they began.
    pub fn egresses(&self) -> &[Egress] {
        &self.egresses
    }

    /// The canvas that an egress shows.
    pub fn canvas_of(&self, id: EgressId) -> Option<CanvasId> {
        let egress = self.egresses.iter().find(|egress| egress.id == id)?;
        self.plan.names.get(&(egress.view.clone(), Some(id.listener()))).copied()
    }

    /// Those of a view that is no more go on with `main`.
    pub(super) fn unview_egresses(&mut self, view: &str) {
        for egress in self.egresses.iter_mut().filter(|egress| egress.view == view) {
            MAIN_VIEW.clone_into(&mut egress.view);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ParticipantId, Source};
    use crate::peer::types::{CloseReason, Codec, Kind, Negotiated};
    use crate::room::member::Link;
    use crate::room::model::{Consent, ParticipantPatch, ViewPatch};
    use crate::room::plan::Change;
    use crate::room::{Arrival, Expect, Settings};
    use mixdown_codecs::AudioCodec;

    const EG: EgressId = EgressId(1 << 64);

    fn room(people: std::ops::RangeInclusive<u128>) -> Room {
        let mut room = Room::new("test".parse().unwrap(), Settings::default(), std::sync::Arc::default());
        for n in people {
            let negotiated = Negotiated {
                sends: vec![(Source::Camera, Codec::Video(VideoCodec::H264)), (Source::Microphone, Codec::Audio(AudioCodec::Opus))],
                video_down: Some(VideoCodec::H264),
                audio_down: Some(AudioCodec::Opus),
            };
            let (id, name) = (ParticipantId(n), n.to_string());
            room.join(Arrival { id, kind: Kind::Participant, name, identity: None, role: None, view: None, waits: false, negotiated })
                .unwrap();
            room.link(id, Link::Up);
        }
        room
    }

    fn egress(view: &str, layout: Option<Layout>, codec: Option<VideoCodec>) -> Egress {
        Egress { id: EG, view: view.into(), layout, codec }
    }

    fn renditions(room: &Room) -> usize {
        room.plan().canvases.values().map(|canvas| canvas.renditions.len()).sum()
    }

    #[test]
    fn what_is_watched_leaves_without_an_encode_or_a_mix_of_its_own() {
        let mut room = room(1..=3);
        let watched = room.plan().feeds[&ParticipantId(1)];
        room.take_changes();
        room.send_out(egress(MAIN_VIEW, None, Some(VideoCodec::H264))).unwrap();
        assert_eq!((renditions(&room), room.plan().sent[&EG], room.plan().sound.mixes.len()), (1, watched, 1));
        assert!(room.take_changes().contains(&Change::Send { egress: EG, rendition: Some(watched) }));
        assert_eq!((room.members().len(), room.is_recorded()), (3, false), "it is nobody, and no recording");
        room.end_egress(EG);
        assert!(room.take_changes().contains(&Change::Send { egress: EG, rendition: None }));
        assert!(!room.plan().sound.listeners.contains_key(&EG.listener()));
    }

    #[test]
    fn it_goes_on_when_nobody_is_left() {
        let mut room = room(1..=1);
        room.send_out(egress(MAIN_VIEW, None, Some(VideoCodec::H264))).unwrap();
        let rendition = room.plan().sent[&EG];
        room.leave(ParticipantId(1), CloseReason::Left);
        assert_eq!((room.plan().sent[&EG], renditions(&room)), (rendition, 1));
        room.end_egress(EG);
        assert!(room.plan().canvases.is_empty());
    }

    #[test]
    fn stills_alone_need_a_canvas_and_no_encode() {
        let mut room = room(0..=0);
        room.leave(ParticipantId(0), CloseReason::Left);
        room.send_out(egress(MAIN_VIEW, None, None)).unwrap();
        assert_eq!((room.plan().canvases.len(), renditions(&room), room.plan().sound.listeners.len()), (1, 0, 0));
        assert_eq!(room.canvas_of(EG), room.plan().canvases.keys().next().copied());
    }

    #[test]
    fn a_layout_of_its_own_is_a_canvas_of_its_own_and_a_deleted_view_leaves_it_with_main() {
        let mut room = room(1..=2);
        room.put_view("stage", ViewPatch::default(), Expect::Anything).unwrap();
        let single = Layout { kind: mixdown_layouts::layout::Kind::Single, ..Layout::default() };
        room.send_out(egress("stage", Some(single), Some(VideoCodec::H264))).unwrap();
        assert_eq!((room.plan().canvases.len(), renditions(&room)), (2, 2));
        assert_ne!(room.canvas_of(EG), room.plan().shared(MAIN_VIEW));
        room.delete_view("stage", Expect::Anything).unwrap();
        assert_eq!((room.egresses()[0].view.as_str(), room.plan().sent.len()), (MAIN_VIEW, 1));
        assert_eq!(room.send_out(egress("nowhere", None, None)), Err(Error::NoView("nowhere".into())));
    }

    #[test]
    fn consent_to_recordings_does_not_concern_it() {
        let mut room = room(1..=2);
        room.send_out(egress(MAIN_VIEW, None, Some(VideoCodec::H264))).unwrap();
        room.patch(ParticipantId(2), ParticipantPatch { recording: Some(Consent::Deny), ..Default::default() }).unwrap();
        assert_eq!(room.plan().sent[&EG], room.plan().feeds[&ParticipantId(1)]);
    }
}
