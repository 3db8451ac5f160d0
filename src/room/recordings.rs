//! What records the room: subscribers without a connection.
//!
//! A recording watches a view and hears its mix, as all who hear everybody do. Consent is enforced here: where somebody does not allow to be
//! recorded, what is recorded is another content than what is watched, with a canvas and a mix of its own; where all allow, it is the same,
//! and costs no encode. It is in no roster, keeps nobody company, and stays when nobody is left.

use super::model::{Canvas, Consent};
use super::{Error, MAIN_VIEW, Member, Room};
use crate::ids::{ParticipantId, RecordingId};
use mixdown_codecs::VideoCodec;
use mixdown_layouts::Layout;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is recorded: a view, and what stands in place of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Framing {
    pub view: String,
    pub layout: Option<Layout>,
    pub canvas: Option<Canvas>,
}

impl Default for Framing {
    fn default() -> Self {
        Self { view: MAIN_VIEW.to_owned(), layout: None, canvas: None }
    }
}

impl Framing {
    /// Whether it is more than a view as it is watched.
    pub const fn is_its_own(&self) -> bool {
        self.layout.is_some() || self.canvas.is_some()
    }
}

/// One that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    pub id: RecordingId,
    pub framing: Framing,
    pub codec: VideoCodec,
    /// Neither watches nor hears meanwhile.
    pub paused: bool,
    /// Watches and hears; else participants' own tracks alone are recorded.
    pub composite: bool,
}

/// Who is left out of a picture, and who is shown without their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Discretion {
    pub hidden: BTreeSet<ParticipantId>,
    pub masked: BTreeSet<ParticipantId>,
}

impl Room {
    /// Refuses what cannot be recorded: a view that is not there, a canvas that no view can have.
    pub fn check_framing(&self, framing: &Framing) -> Result<(), Error> {
        self.known_view(&framing.view)?;
        framing.canvas.as_ref().map_or(Ok(()), |canvas| canvas.check("/canvas"))
    }

    /// Begins to record a view.
    pub fn record(&mut self, recording: Recording) -> Result<(), Error> {
        self.check_framing(&recording.framing)?;
        self.recordings.retain(|other| other.id != recording.id);
        self.recordings.push(recording);
        self.settle();
        Ok(())
    }

    /// Goes on with another view, layout or canvas, in the same file.
    pub fn frame_recording(&mut self, id: RecordingId, framing: Framing) -> Result<(), Error> {
        self.check_framing(&framing)?;
        if let Some(recording) = self.recordings.iter_mut().find(|recording| recording.id == id) {
            recording.framing = framing;
            self.settle();
        }
        Ok(())
    }

    pub fn pause_recording(&mut self, id: RecordingId, paused: bool) {
        if let Some(recording) = self.recordings.iter_mut().find(|recording| recording.id == id) {
            recording.paused = paused;
            self.settle();
        }
    }

    /// Ends it; unknown ones are ignored, since an end can be told twice.
    pub fn end_recording(&mut self, id: RecordingId) {
        let before = self.recordings.len();
        self.recordings.retain(|recording| recording.id != id);
        if self.recordings.len() != before {
            self.settle();
        }
    }

    /// In the order in which they began.
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// Whether the room is recorded now.
    pub fn is_recorded(&self) -> bool {
        self.recording().next().is_some()
    }

    /// Those that do not pause.
    pub(super) fn recording(&self) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(|recording| !recording.paused)
    }

    /// Those of them that watch and hear.
    pub(super) fn composites(&self) -> impl Iterator<Item = &Recording> {
        self.recording().filter(|recording| recording.composite)
    }

    /// Those of a view that is no more go on with `main`.
    pub(super) fn unview_recordings(&mut self, view: &str) {
        for recording in self.recordings.iter_mut().filter(|recording| recording.framing.view == view) {
            MAIN_VIEW.clone_into(&mut recording.framing.view);
        }
    }

    /// What a recorded picture owes to those whom it would show.
    pub(super) fn discretion(&self, shows: impl Fn(&Member) -> bool) -> Discretion {
        let those = |consents: &[Consent]| {
            let seen = self.members.iter().filter(|member| consents.contains(&member.consent()) && shows(member));
            seen.map(|member| member.id).collect()
        };
        Discretion { hidden: those(&[Consent::AudioOnly, Consent::Deny]), masked: those(&[Consent::Avatar]) }
    }
}

impl Member {
    /// The stricter of what they say themselves and what an operator says.
    pub fn consent(&self) -> Consent {
        self.own_consent.max(self.operator_consent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Source;
    use crate::peer::types::{CloseReason, Codec, Kind, Negotiated};
    use crate::room::member::Link;
    use crate::room::model::{ParticipantPatch, RoomPatch, ViewPatch};
    use crate::room::plan::Change;
    use crate::room::sound::RoomAudio;
    use crate::room::{Arrival, Expect, Settings};
    use mixdown_codecs::{AudioCodec, Size};

    const REC: RecordingId = RecordingId(1 << 64);

    fn room(people: std::ops::RangeInclusive<u128>) -> Room {
        let mut room = Room::new("test".parse().unwrap(), Settings::default(), std::sync::Arc::default());
        people.for_each(|n| join(&mut room, n));
        room
    }

    fn join(room: &mut Room, n: u128) {
        let negotiated = Negotiated {
            sends: vec![(Source::Camera, Codec::Video(VideoCodec::H264)), (Source::Microphone, Codec::Audio(AudioCodec::Opus))],
            video_down: Some(VideoCodec::H264),
            audio_down: Some(AudioCodec::Opus),
        };
        let (id, name) = (ParticipantId(n), n.to_string());
        let arrival = Arrival { id, kind: Kind::Participant, name, identity: None, role: None, view: None, waits: false, negotiated };
        room.join(arrival).unwrap();
        room.link(id, Link::Up);
    }

    fn record(room: &mut Room, layout: Option<Layout>) {
        let framing = Framing { layout, ..Framing::default() };
        room.record(Recording { id: REC, framing, codec: VideoCodec::H264, paused: false, composite: true }).unwrap();
    }

    fn consents(room: &mut Room, n: u128, consent: Consent, operator: bool) {
        room.patch(ParticipantId(n), ParticipantPatch { recording: Some(consent), operator, ..Default::default() }).unwrap();
    }

    fn renditions(room: &Room) -> usize {
        room.plan().canvases.values().map(|canvas| canvas.renditions.len()).sum()
    }

    /// People with a tile in what is recorded, and of these who is shown with their camera.
    fn seen(room: &Room) -> (Vec<u64>, Vec<u64>) {
        let plan = room.plan();
        let (canvas, ..) = plan.encoded(plan.recorded[&REC]).unwrap();
        let tiles = &plan.canvases[&canvas].scene.tiles;
        let camera = tiles.iter().filter(|tile| tile.source.is_some());
        (tiles.iter().map(|tile| tile.person.0).collect(), camera.map(|tile| tile.person.0).collect())
    }

    fn heard(room: &Room) -> Vec<u128> {
        let sound = &room.plan().sound;
        sound.mixes[&sound.listeners[&REC.listener()].1].keys().map(|id| id.0).collect()
    }

    #[test]
    fn a_recording_of_what_is_watched_costs_neither_an_encode_nor_a_mix() {
        let mut room = room(1..=3);
        let before = room.plan().feeds[&ParticipantId(1)];
        record(&mut room, None);
        assert_eq!((renditions(&room), room.plan().recorded[&REC], room.plan().sound.mixes.len()), (1, before, 1));
        assert_eq!((seen(&room).0, heard(&room)), (vec![1, 2, 3], vec![1, 2, 3]));
        assert_eq!(room.members().len(), 3, "it is nobody");
        join(&mut room, 4);
        assert_eq!((renditions(&room), room.plan().recorded[&REC]), (1, before), "late joiners change nothing");
    }

    #[test]
    fn it_goes_on_when_nobody_is_left_and_starts_no_music() {
        let mut room = room(1..=1);
        let audio = RoomAudio { hold_music: true, ..RoomAudio::default() };
        room.update(RoomPatch { audio: Some(audio), ..RoomPatch::default() }).unwrap();
        record(&mut room, None);
        assert!(room.plan().sound.hold, "who waits alone waits alone, recorded or not");
        let rendition = room.plan().recorded[&REC];
        room.leave(ParticipantId(1), CloseReason::Left);
        assert_eq!((room.plan().recorded[&REC], renditions(&room), room.plan().sound.hold), (rendition, 1, false));
        room.end_recording(REC);
        assert!(room.plan().canvases.is_empty() && room.plan().sound.listeners.is_empty());
    }

    #[test]
    fn one_with_a_layout_of_its_own_has_its_own_canvas_and_the_same_sound() {
        let mut room = room(1..=2);
        record(&mut room, Some(Layout { kind: mixdown_layouts::layout::Kind::Speaker, ..Layout::default() }));
        assert_eq!((room.plan().canvases.len(), renditions(&room), room.plan().sound.mixes.len()), (2, 2, 1));
        let patch = ViewPatch { canvas: Some(crate::room::model::Canvas { fps: 15, ..Default::default() }), ..ViewPatch::default() };
        room.update_view(MAIN_VIEW, patch).unwrap();
        assert_eq!(room.plan().encoded(room.plan().recorded[&REC]).unwrap().1.fps, 15, "its canvas is the view's");
    }

    #[test]
    fn another_view_layout_or_canvas_is_taken_while_it_runs_and_what_is_watched_stays() {
        let mut room = room(1..=3);
        room.put_view("stage", ViewPatch::default(), Expect::Anything).unwrap();
        record(&mut room, None);
        let (shared, watched) = (room.plan().recorded[&REC], renditions(&room));
        let canvas = Canvas { width: 640, height: 640, ..Canvas::default() };
        room.frame_recording(REC, Framing { view: "stage".into(), canvas: Some(canvas.clone()), ..Framing::default() }).unwrap();
        let (of, ..) = room.plan().encoded(room.plan().recorded[&REC]).unwrap();
        assert_eq!(room.plan().canvases[&of].content.size(), Size::new(640, 640));
        assert_eq!(renditions(&room), watched + 1);
        let wrong = Framing { canvas: Some(Canvas { width: 63, ..canvas }), ..Framing::default() };
        assert!(matches!(room.frame_recording(REC, wrong), Err(Error::Invalid { pointer: "/canvas", .. })));
        assert_eq!(room.frame_recording(REC, Framing { view: "no".into(), ..Framing::default() }), Err(Error::NoView("no".into())));
        assert_eq!(room.recordings()[0].framing.view, "stage", "what is refused changes nothing");
        room.frame_recording(REC, Framing::default()).unwrap();
        assert_eq!((room.plan().recorded[&REC], renditions(&room)), (shared, watched), "back to what is watched, at no encode");
    }

    #[test]
    fn consent_decides_who_is_in_the_recorded_picture_and_sound_alone() {
        let mut room = room(1..=2);
        record(&mut room, None);
        let shared = room.plan().recorded[&REC];
        for (consent, tiles, cameras, sound) in [
            (Consent::Avatar, vec![1, 2], vec![1], vec![1, 2]),
            (Consent::AudioOnly, vec![1], vec![1], vec![1, 2]),
            (Consent::Deny, vec![1], vec![1], vec![1]),
        ] {
            consents(&mut room, 2, consent, false);
            assert_eq!((seen(&room), heard(&room)), ((tiles, cameras), sound), "{consent:?}");
            let (watched, ..) = room.plan().watched(ParticipantId(1)).unwrap();
            assert_eq!(room.plan().canvases[&watched].scene.tiles.len(), 2, "the others see and hear everybody");
            assert_eq!(room.plan().sound.mixes[&room.plan().sound.listeners[&ParticipantId(1)].1].len(), 2);
            assert_eq!(room.plan().feeds[&ParticipantId(1)], shared, "and are sent no keyframe for it");
        }
        consents(&mut room, 2, Consent::Allow, false);
        assert_eq!((room.plan().recorded[&REC], renditions(&room), room.plan().sound.mixes.len()), (shared, 1, 1));
        consents(&mut room, 1, Consent::Deny, false);
        room.leave(ParticipantId(1), CloseReason::Left);
        assert_eq!(renditions(&room), 1, "who has gone forbids nothing");
    }

    #[test]
    fn an_operator_makes_consent_stricter_and_never_laxer() {
        let mut room = room(1..=1);
        let consent = |room: &Room| room.member(ParticipantId(1)).unwrap().consent();
        consents(&mut room, 1, Consent::Avatar, false);
        consents(&mut room, 1, Consent::Allow, true);
        assert_eq!(consent(&room), Consent::Avatar);
        consents(&mut room, 1, Consent::Deny, true);
        consents(&mut room, 1, Consent::Allow, false);
        assert_eq!(consent(&room), Consent::Deny);
        consents(&mut room, 1, Consent::Allow, true);
        assert_eq!(consent(&room), Consent::Allow);
    }

    #[test]
    fn a_view_that_is_deleted_leaves_its_recording_with_main() {
        let mut room = room(1..=1);
        room.put_view("stage", ViewPatch::default(), Expect::Anything).unwrap();
        let framing = |view: &str| Framing { view: view.into(), ..Framing::default() };
        let of = |view: &str| Recording { id: REC, framing: framing(view), codec: VideoCodec::H264, paused: false, composite: true };
        assert_eq!(room.record(of("nowhere")), Err(Error::NoView("nowhere".into())));
        room.record(of("stage")).unwrap();
        room.delete_view("stage", Expect::Anything).unwrap();
        assert_eq!((room.recordings()[0].framing.view.as_str(), room.plan().recorded.len()), (MAIN_VIEW, 1));
    }

    #[test]
    fn the_picture_says_that_it_is_recorded_unless_the_room_does_not_want_it() {
        let mut room = room(1..=1);
        let signs = |room: &Room| room.plan().canvases.values().next().unwrap().scene.overlays.len();
        record(&mut room, None);
        room.take_changes();
        assert_eq!(signs(&room), 1);
        room.pause_recording(REC, true);
        assert_eq!((signs(&room), room.is_recorded()), (0, false));
        let changes = room.take_changes();
        assert!(changes.contains(&Change::Record { recording: REC, rendition: None }));
        assert!(changes.contains(&Change::ListenerLeft(REC.listener())), "a pause costs nothing");
        room.pause_recording(REC, false);
        room.update(RoomPatch { recording_sign: Some(false), ..RoomPatch::default() }).unwrap();
        assert_eq!((signs(&room), room.is_recorded()), (0, true));
    }
}
