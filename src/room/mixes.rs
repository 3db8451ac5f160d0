//! Which mixes a room needs, who hears which, and how everybody's sound is treated: the sound side of the plan.
//!
//! A view has a mix, a sidebar has one; what consists of the same is one mix whatever its names are. A mix keeps its id while it
//! is asked for under any name, whatever it consists of, so that nobody's encoder begins anew because somebody joined.

use super::model::Consent;
use super::plan::Change;
use super::sound::{Blend, Grade, MixId, Place, Voicing};
use super::speaker::Rule;
use super::{Member, Room, pictures};
use crate::ids::{ParticipantId, RecordingId, Source};
use crate::peer::types::Kind;
use mixdown_codecs::AudioCodec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What asks for a mix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    View(String),
    Sidebar(String),
    Recording(RecordingId),
}

/// What of a room's sound must run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoundPlan {
    /// Participants who send sound.
    pub speakers: BTreeMap<ParticipantId, Voicing>,
    /// Mixes that somebody hears, and what asks for each.
    pub mixes: BTreeMap<MixId, Arc<Blend>>,
    names: BTreeMap<Name, MixId>,
    pub listeners: BTreeMap<ParticipantId, (AudioCodec, MixId)>,
    /// Listeners whose links do not carry the whole sound.
    pub grades: BTreeMap<ParticipantId, Grade>,
    /// Somebody waits alone and shall hear it.
    pub hold: bool,
    /// How the floor is passed on in the views that are watched, `main` first.
    pub floors: Arc<[Rule]>,
}

/// What must run for this room as it is now.
pub(super) fn derive(room: &Room) -> SoundPlan {
    let here = || room.members.iter().filter(|member| member.is_in());
    let mut plan = SoundPlan::default();
    let mut speakers = Vec::new();
    for member in here().filter(|member| member.sends(Source::Microphone) || member.sends(Source::ScreenAudio)) {
        plan.speakers.insert(member.id, voicing(room, member));
        speakers.push(member);
    }
    let mut wishes: Vec<(Blend, BTreeSet<Name>)> = Vec::new();
    let mut listeners = Vec::new();
    for member in here() {
        let Some(codec) = member.negotiated.audio_down else { continue };
        if let Some(grade) = member.tier.grade().filter(|grade| *grade != Grade::Whole) {
            plan.grades.insert(member.id, grade);
        }
        listeners.push((member.id, codec, room.heard_in(member)));
    }
    let people = listeners.len();
    listeners.extend(room.composites().map(|recording| (recording.id.listener(), AudioCodec::Opus, Name::Recording(recording.id))));
    let sent = room.egresses().iter().filter(|egress| egress.codec.is_some());
    listeners.extend(sent.map(|egress| (egress.id.listener(), AudioCodec::Opus, Name::View(egress.view.clone()))));
    let mut heard = Vec::with_capacity(listeners.len());
    for (id, codec, name) in listeners {
        let index = match wishes.iter().position(|(_, names)| names.contains(&name)) {
            Some(index) => index,
            None => wish(&mut wishes, announced(room.blend(&name, &speakers), &speakers), name),
        };
        heard.push((id, codec, index));
    }
    let ids = identify(room, &wishes);
    plan.listeners.extend(heard.into_iter().map(|(id, codec, index)| (id, (codec, ids[index]))));
    for (id, (blend, names)) in ids.into_iter().zip(wishes) {
        let before = room.plan.sound.mixes.get(&id).filter(|before| ***before == blend);
        plan.mixes.insert(id, before.cloned().unwrap_or_else(|| Arc::new(blend)));
        plan.names.extend(names.into_iter().map(|name| (name, id)));
    }
    plan.floors = floors(room);
    // A picture keeps nobody company; what sounds does.
    let company = here().filter(|member| member.has_connection() || plan.speakers.contains_key(&member.id)).count();
    plan.hold = room.audio.hold_music && people == 1 && company == 1;
    plan
}

/// Announcements are in every mix, sidebars' too, and all else is quieter meanwhile.
fn announced(mut blend: Blend, speakers: &[&Member]) -> Blend {
    let announcements = || speakers.iter().filter(|member| member.kind == Kind::Announcement);
    let ducked = announcements().map(|member| member.ducks).min().unwrap_or_default();
    blend.values_mut().for_each(|place| place.gain = place.gain.and(ducked));
    blend.extend(announcements().map(|member| (member.id, Place::default())));
    blend
}

fn wish(wishes: &mut Vec<(Blend, BTreeSet<Name>)>, blend: Blend, name: Name) -> usize {
    let index = wishes.iter().position(|(other, _)| *other == blend).unwrap_or_else(|| {
        wishes.push((blend, BTreeSet::new()));
        wishes.len() - 1
    });
    wishes[index].1.insert(name);
    index
}

/// The id of each wish: what did not change keeps its own, then what is asked for under the same name goes on.
fn identify(room: &Room, wishes: &[(Blend, BTreeSet<Name>)]) -> Vec<MixId> {
    let old = &room.plan.sound;
    let mut taken = BTreeSet::new();
    let mut ids: Vec<Option<MixId>> = Vec::with_capacity(wishes.len());
    for (blend, _) in wishes {
        let same = old.mixes.iter().filter(|(_, before)| ***before == *blend).map(|(id, _)| *id);
        ids.push(same.into_iter().find(|id| taken.insert(*id)));
    }
    for ((_, names), id) in wishes.iter().zip(&mut ids).filter(|(_, id)| id.is_none()) {
        *id = names.iter().filter_map(|name| old.names.get(name).copied()).find(|id| taken.insert(*id));
    }
    let fresh = || MixId(room.next_rendition.fetch_add(1, Ordering::Relaxed));
    ids.into_iter().map(|id| id.unwrap_or_else(fresh)).collect()
}

fn floors(room: &Room) -> Arc<[Rule]> {
    let mut rules = vec![room.rule_of(super::MAIN_VIEW)];
    for member in room.members.iter().filter(|member| member.is_in()) {
        let rule = room.rule_of(room.shown_view(member));
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    let recorded = room.composites().map(|recording| (&recording.framing.layout, &recording.framing.view));
    for (layout, view) in recorded.chain(room.egresses().iter().map(|egress| (&egress.layout, &egress.view))) {
        let rule = layout.as_ref().map_or_else(|| room.rule_of(view), |layout| layout.active_speaker.into());
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules.into()
}

fn voicing(room: &Room, member: &Member) -> Voicing {
    Voicing {
        muted: member.muted_audio,
        gain: member.gain,
        // What cleans voices would ruin music, unless somebody asks for it.
        noise_suppression: member.noise_suppression.unwrap_or(room.audio.noise_suppression && member.has_connection()),
        auto_gain: member.auto_gain.unwrap_or(room.audio.auto_gain && member.has_connection()),
        announcement: member.kind == Kind::Announcement,
        private: room.is_private(member.id),
    }
}

impl Room {
    /// In a sidebar that nobody else hears.
    pub fn is_private(&self, id: ParticipantId) -> bool {
        self.sidebar_of(id).is_some_and(|(_, sidebar)| !sidebar.heard_by_all)
    }

    /// How the floor is passed on in a view.
    pub(super) fn rule_of(&self, view: &str) -> Rule {
        self.views.get(view).map_or_else(Default::default, |view| view.layout.active_speaker).into()
    }

    /// The mix that a participant hears: their sidebar's, or that of the view they chose.
    fn heard_in(&self, member: &Member) -> Name {
        match self.sidebar_of(member.id) {
            Some((name, _)) => Name::Sidebar(name.to_owned()),
            None => Name::View(member.view.clone()),
        }
    }

    /// Who is in a mix, of those who send sound.
    fn blend(&self, name: &Name, speakers: &[&Member]) -> Blend {
        match name {
            Name::Sidebar(name) => {
                let within = |member: &&&Member| self.sidebars.get(name).is_some_and(|sidebar| sidebar.participants.contains(&member.id));
                speakers.iter().filter(within).map(|member| (member.id, Place::default())).collect()
            }
            Name::Recording(id) => {
                let Some(recording) = self.recordings().iter().find(|recording| recording.id == *id) else { return Blend::new() };
                let willing: Vec<&Member> = speakers.iter().copied().filter(|member| member.consent() != Consent::Deny).collect();
                self.blend(&Name::View(recording.framing.view.clone()), &willing)
            }
            Name::View(name) => {
                let Some(view) = self.views.get(name) else { return Blend::new() };
                let positions = if view.audio.stereo { pictures::positions(self, view) } else { BTreeMap::new() };
                let public = |member: &&&Member| self.sidebar_of(member.id).is_none_or(|(_, sidebar)| sidebar.heard_by_all);
                let place = |member: &&Member| {
                    let gain = view.audio.gain_of(member)?;
                    Some((member.id, Place { gain, position: positions.get(&member.id).copied().unwrap_or(0) }))
                };
                speakers.iter().filter(public).filter_map(place).collect()
            }
        }
    }
}

/// The steps from `old` to `new`: mixes before who hears them, and closed after.
pub(super) fn difference(old: &SoundPlan, new: &SoundPlan, out: &mut Vec<Change>) {
    for (participant, voicing) in &new.speakers {
        if old.speakers.get(participant) != Some(voicing) {
            out.push(Change::Speaker { participant: *participant, voicing: *voicing });
        }
    }
    for (mix, blend) in &new.mixes {
        if !old.mixes.get(mix).is_some_and(|before| Arc::ptr_eq(before, blend)) {
            out.push(Change::Mix { mix: *mix, blend: Arc::clone(blend) });
        }
    }
    for participant in old.speakers.keys().filter(|id| !new.speakers.contains_key(id)) {
        out.push(Change::SpeakerLeft(*participant));
    }
    for (participant, (codec, mix)) in &new.listeners {
        if old.listeners.get(participant) != Some(&(*codec, *mix)) {
            out.push(Change::Listener { participant: *participant, codec: *codec, mix: *mix });
        }
    }
    for listener in new.listeners.keys().filter(|listener| old.grades.get(listener) != new.grades.get(listener)) {
        out.push(Change::Grade { listener: *listener, grade: new.grades.get(listener).copied().unwrap_or_default() });
    }
    for participant in old.listeners.keys().filter(|id| !new.listeners.contains_key(id)) {
        out.push(Change::ListenerLeft(*participant));
    }
    for mix in old.mixes.keys().filter(|mix| !new.mixes.contains_key(mix)) {
        out.push(Change::MixClosed(*mix));
    }
    if old.floors != new.floors {
        out.push(Change::Floors(Arc::clone(&new.floors)));
    }
    if old.hold != new.hold {
        out.push(Change::Hold(new.hold));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::types::{CloseReason, Codec, Negotiated};
    use crate::room::member::Link;
    use crate::room::model::{ParticipantPatch, RoomPatch, Selector, ViewPatch};
    use crate::room::sound::{Chime, Gain, GainOf, RoomAudio, SidebarSettings, ViewAudio};
    use crate::room::{Arrival, Error, Expect, Settings};
    use mixdown_codecs::VideoCodec;

    fn id(n: u128) -> ParticipantId {
        ParticipantId(n)
    }

    fn room(people: std::ops::RangeInclusive<u128>) -> Room {
        let mut room = Room::new("test".parse().unwrap(), Settings::default(), Arc::default());
        people.for_each(|n| join(&mut room, n, "main"));
        room.take_changes();
        room
    }

    fn join(room: &mut Room, n: u128, view: &str) {
        let negotiated = Negotiated {
            sends: vec![(Source::Camera, Codec::Video(VideoCodec::Vp8)), (Source::Microphone, Codec::Audio(AudioCodec::Opus))],
            video_down: Some(VideoCodec::Vp8),
            audio_down: Some(AudioCodec::Opus),
        };
        let role = Some(if n == 1 { "interpreter" } else { "guest" }.to_owned());
        let arrival = Arrival {
            id: id(n),
            kind: Kind::Participant,
            name: n.to_string(),
            identity: None,
            role,
            view: Some(view.into()),
            waits: false,
            negotiated,
        };
        room.join(arrival).unwrap();
        room.link(id(n), Link::Up);
    }

    fn view(room: &mut Room, name: &str, audio: ViewAudio) {
        room.put_view(name, ViewPatch { audio: Some(audio), ..ViewPatch::default() }, Expect::Anything).unwrap();
    }

    fn sidebar(room: &mut Room, name: &str, people: &[u128], heard_by_all: bool) -> Result<bool, Error> {
        let participants = people.iter().map(|n| id(*n)).collect();
        room.put_sidebar(name, SidebarSettings { participants, heard_by_all }, Expect::Anything)
    }

    /// The mix that `n` hears, and whom in it.
    fn heard(room: &Room, n: u128) -> (MixId, Vec<u128>) {
        let sound = &room.plan().sound;
        let (_, mix) = sound.listeners[&id(n)];
        (mix, sound.mixes[&mix].keys().map(|id| id.0).collect())
    }

    #[test]
    fn everybody_shares_one_mix_whatever_view_they_watch_until_its_sound_differs() {
        let mut room = room(1..=3);
        view(&mut room, "small", ViewAudio::default());
        room.patch(id(3), ParticipantPatch { view: Some("small".into()), ..Default::default() }).unwrap();
        assert_eq!(room.plan().sound.mixes.len(), 1);
        let (common, _) = heard(&room, 1);
        let without = ViewAudio { exclude: vec![Selector::Role("interpreter".into())], ..ViewAudio::default() };
        view(&mut room, "small", without);
        assert_eq!((heard(&room, 1), heard(&room, 2).0), ((common, vec![1, 2, 3]), common), "who did not change keeps the mix");
        assert_eq!(heard(&room, 3).1, [2, 3]);
        view(&mut room, "small", ViewAudio::default());
        assert_eq!((room.plan().sound.mixes.len(), heard(&room, 3).0), (1, common));
    }

    #[test]
    fn a_mix_goes_on_under_its_id_when_people_come_and_go() {
        let mut room = room(1..=2);
        let (mix, _) = heard(&room, 1);
        join(&mut room, 3, "main");
        assert_eq!(heard(&room, 1), (mix, vec![1, 2, 3]));
        room.leave(id(1), CloseReason::Left);
        assert_eq!(heard(&room, 2), (mix, vec![2, 3]));
        let changes = room.take_changes();
        let moved = changes.iter().filter(|change| matches!(change, Change::Listener { participant, .. } if *participant == id(2)));
        assert_eq!(moved.count(), 0);
    }

    #[test]
    fn gains_of_the_view_and_of_its_people_add_up() {
        let mut room = room(1..=2);
        let db = |db| Gain::from_db(db).unwrap();
        let gains = vec![GainOf { who: Selector::Role("interpreter".into()), gain_db: db(3.0) }];
        view(&mut room, "main", ViewAudio { gain_db: db(-10.0), gains, ..ViewAudio::default() });
        let sound = &room.plan().sound;
        let blend = sound.mixes.values().next().unwrap();
        assert_eq!((blend[&id(1)].gain, blend[&id(2)].gain), (db(-7.0), db(-10.0)));
        room.patch(id(2), ParticipantPatch { gain_db: Some(db(12.0)), ..Default::default() }).unwrap();
        assert_eq!(room.plan().sound.speakers[&id(2)].gain, db(12.0), "the operator's gain holds in all mixes");
    }

    #[test]
    fn a_sidebar_hears_itself_and_is_heard_by_nobody_or_by_all() {
        let mut room = room(1..=4);
        sidebar(&mut room, "whisper", &[1, 2], false).unwrap();
        assert_eq!((heard(&room, 1).1, heard(&room, 3).1), (vec![1, 2], vec![3, 4]));
        assert!(room.plan().sound.speakers[&id(1)].private && !room.plan().sound.speakers[&id(3)].private);
        sidebar(&mut room, "whisper", &[1, 2], true).unwrap();
        assert_eq!((heard(&room, 1).1, heard(&room, 3).1), (vec![1, 2], vec![1, 2, 3, 4]));
        assert!(!room.plan().sound.speakers[&id(1)].private);
        assert!(matches!(sidebar(&mut room, "other", &[2, 3, 9], false), Err(Error::Invalid { pointer: "/participants", .. })));
        room.leave(id(1), CloseReason::Left);
        assert_eq!(room.sidebar("whisper").unwrap().participants, [id(2)]);
        room.delete_sidebar("whisper", Expect::Anything).unwrap();
        assert_eq!((heard(&room, 2).1, room.plan().sound.mixes.len()), (vec![2, 3, 4], 1));
    }

    #[test]
    fn in_stereo_everybody_is_heard_from_where_their_tile_is() {
        let mut room = room(1..=2);
        view(&mut room, "main", ViewAudio { stereo: true, ..ViewAudio::default() });
        let blend = room.plan().sound.mixes.values().next().unwrap().clone();
        assert!(blend[&id(1)].position < -20 && blend[&id(2)].position > 20, "{blend:?}");
        room.leave(id(1), CloseReason::Left);
        let blend = room.plan().sound.mixes.values().next().unwrap();
        assert_eq!(blend[&id(2)].position, 0, "alone in the middle");
    }

    #[test]
    fn defaults_of_the_room_hold_where_nobody_says_otherwise() {
        let mut room = room(1..=2);
        room.patch(id(1), ParticipantPatch { noise_suppression: Some(Some(false)), ..Default::default() }).unwrap();
        let audio = RoomAudio { noise_suppression: true, auto_gain: true, ..RoomAudio::default() };
        room.update(RoomPatch { audio: Some(audio), ..RoomPatch::default() }).unwrap();
        let of = |room: &Room, n| (room.plan().sound.speakers[&id(n)].noise_suppression, room.plan().sound.speakers[&id(n)].auto_gain);
        assert_eq!((of(&room, 1), of(&room, 2)), ((false, true), (true, true)));
        room.patch(id(1), ParticipantPatch { noise_suppression: Some(None), ..Default::default() }).unwrap();
        assert_eq!(of(&room, 1), (true, true));
    }

    #[test]
    fn who_is_alone_hears_the_chord_and_signals_tell_of_people_and_not_of_viewers() {
        let mut room = room(1..=1);
        let audio = RoomAudio { hold_music: true, join_tones: true, ..RoomAudio::default() };
        room.update(RoomPatch { audio: Some(audio), ..RoomPatch::default() }).unwrap();
        assert!(room.take_changes().contains(&Change::Hold(true)));
        join(&mut room, 2, "main");
        let changes = room.take_changes();
        assert!(changes.contains(&Change::Hold(false)) && changes.contains(&Change::Chime(Chime::Joined)));
        room.leave(id(2), CloseReason::Left);
        let changes = room.take_changes();
        assert!(changes.contains(&Change::Hold(true)) && changes.contains(&Change::Chime(Chime::Left)));
        let mut viewer = room.member(id(1)).cloned().unwrap();
        viewer.kind = Kind::Viewer;
        room.chime(&viewer, Chime::Joined);
        assert!(room.take_changes().is_empty());
    }

    #[test]
    fn a_view_with_a_rule_of_its_own_has_a_speaker_of_its_own() {
        let mut room = room(1..=3);
        let mut layout = room.view("main").unwrap().layout;
        layout.active_speaker.attack_ms = 3000;
        let patch = ViewPatch { layout: Some(layout), ..ViewPatch::default() };
        room.put_view("stage", patch, Expect::Anything).unwrap();
        let (main, stage) = (room.rule_of("main"), room.rule_of("stage"));
        assert_eq!(*room.plan().sound.floors, [main], "nobody watches it");
        room.patch(id(3), ParticipantPatch { view: Some("stage".into()), ..Default::default() }).unwrap();
        assert_eq!(*room.plan().sound.floors, [main, stage]);
        room.floor_passed(main, id(1));
        assert_eq!(room.floor(stage).speaker, Some(id(1)), "until its own rule says otherwise");
        room.floor_passed(stage, id(2));
        assert_eq!((room.speaker(), room.floor(stage).speaker), (Some(id(1)), Some(id(2))));
        room.leave(id(2), CloseReason::Left);
        assert_eq!((room.speaker(), room.floor(stage).speaker), (Some(id(1)), None));
        room.delete_view("stage", Expect::Anything).unwrap();
        room.floor_passed(stage, id(3));
        assert_eq!((room.speaker(), room.plan().sound.floors.len()), (Some(id(1)), 1));
    }
}
