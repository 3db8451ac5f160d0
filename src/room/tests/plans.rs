//! Any order of commands: whatever a plan opens it closes, and everybody is fed.

use super::*;

/// Runs changes the way the stages do and refuses what they would trip over.
#[derive(Default)]
struct Stages {
    canvases: BTreeMap<CanvasId, u32>,
    renditions: BTreeMap<RenditionId, CanvasId>,
    feeds: BTreeMap<ParticipantId, RenditionId>,
    recorded: BTreeMap<RecordingId, RenditionId>,
    sent: BTreeMap<EgressId, RenditionId>,
    wanted: BTreeSet<TrackId>,
    passes: BTreeMap<TrackId, RenditionId>,
    speakers: BTreeSet<ParticipantId>,
    mixes: BTreeSet<sound::MixId>,
    listeners: BTreeMap<ParticipantId, sound::MixId>,
}

impl Stages {
    fn run(&mut self, change: Change) {
        match change {
            Change::CanvasOpened { canvas, fps } => assert!(self.canvases.insert(canvas, fps).is_none(), "opened twice"),
            Change::Scene { canvas, .. } => assert!(self.canvases.contains_key(&canvas), "scene for a closed canvas"),
            Change::RenditionOpened { canvas, id, key } => {
                assert!(
                    [0, 1, 2, 3, 6].iter().any(|part| self.canvases[&canvas].checked_div(*part).unwrap_or(0) == key.fps),
                    "of another rate"
                );
                assert!(self.renditions.insert(id, canvas).is_none());
            }
            Change::Feed { participant, rendition: Some(id) } => {
                assert!(self.renditions.contains_key(&id) || self.passes.values().any(|pass| *pass == id), "feed of a closed rendition");
                self.feeds.insert(participant, id);
            }
            Change::Pass { track, rendition: Some(id) } => assert!(self.passes.insert(track, id).is_none(), "passed twice"),
            Change::Pass { track, rendition: None } => assert!(self.passes.remove(&track).is_some()),
            Change::Decode { .. } | Change::Cut(_) => {}
            Change::Feed { participant, rendition: None } => assert!(self.feeds.remove(&participant).is_some()),
            Change::Record { recording, rendition: Some(id) } => {
                assert!(self.renditions.contains_key(&id), "a recording of a closed rendition");
                self.recorded.insert(recording, id);
            }
            Change::Record { recording, rendition: None } => assert!(self.recorded.remove(&recording).is_some()),
            Change::Send { egress, rendition: Some(id) } => {
                assert!(self.renditions.contains_key(&id), "an egress of a closed rendition");
                self.sent.insert(egress, id);
            }
            Change::Send { egress, rendition: None } => assert!(self.sent.remove(&egress).is_some()),
            Change::Wanted { track, height: 0 } => assert!(self.wanted.remove(&track)),
            Change::Wanted { track, .. } => _ = self.wanted.insert(track),
            Change::Speaker { participant, .. } => _ = self.speakers.insert(participant),
            Change::SpeakerLeft(id) => assert!(self.speakers.remove(&id)),
            Change::Mix { mix, .. } => _ = self.mixes.insert(mix),
            Change::Listener { participant, mix, .. } => {
                assert!(self.mixes.contains(&mix), "a closed mix is heard");
                self.listeners.insert(participant, mix);
            }
            Change::ListenerLeft(id) => assert!(self.listeners.remove(&id).is_some()),
            Change::MixClosed(mix) => {
                assert!(!self.listeners.values().any(|heard| *heard == mix), "closed with listeners");
                assert!(self.mixes.remove(&mix));
            }
            Change::Pace { canvas, fps } => assert!((1..=self.canvases[&canvas]).contains(&fps)),
            Change::Layers { canvas, id, .. } | Change::Rate { canvas, id, .. } => assert_eq!(self.renditions.get(&id), Some(&canvas)),
            Change::Halve { participant, halved } => {
                assert!(self.feeds.contains_key(&participant) || !halved, "half of nothing");
            }
            Change::Grade { listener, .. } => assert!(self.listeners.contains_key(&listener)),
            Change::Hold(_) | Change::Chime(_) | Change::Floors(_) | Change::Aim { .. } => {}
            Change::RenditionClosed { id, .. } => assert!(self.renditions.remove(&id).is_some()),
            Change::CanvasClosed { canvas } => {
                assert!(!self.renditions.values().any(|of| *of == canvas), "closed with renditions open");
                assert!(self.canvases.remove(&canvas).is_some());
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.canvases.is_empty()
            && self.renditions.is_empty()
            && self.feeds.is_empty()
            && self.recorded.is_empty()
            && self.sent.is_empty()
            && self.wanted.is_empty()
            && self.passes.is_empty()
            && self.speakers.is_empty()
            && self.mixes.is_empty()
            && self.listeners.is_empty()
    }
}

const VIEWS: [&str; 3] = [MAIN_VIEW, "stage", "phone"];

#[derive(Debug, Clone)]
enum Step {
    Join(u128, bool),
    Up(u128),
    Silent(u128),
    Leave(u128),
    Mute(u128, bool),
    Speak(u128),
    Fps(u32),
    Canvas(u32),
    Observe(bool),
    View(u8, bool, bool),
    Watch(u128, u8),
    Delete(u8),
    Hint(u128, bool),
    Record(u128, u8, bool),
    Pause(u128, bool),
    End(u128),
    /// With a layout of its own, and of more than stills.
    SendOut(u128, u8, bool, bool),
    EndEgress(u128),
    Consent(u128, Consent),
    Hide(u128, bool),
    Estimate(u128, u32),
    Wait(u64),
    Degrade(crate::overload::Step),
}

fn steps() -> impl Iterator<Item = crate::overload::Step> {
    std::iter::successors(Some(crate::overload::Step::Whole), |step| step.down())
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1u128..6;
    prop_oneof![
        (who.clone(), any::<bool>()).prop_map(|(n, vp8)| Step::Join(n, vp8)),
        who.clone().prop_map(Step::Up),
        who.clone().prop_map(Step::Silent),
        who.clone().prop_map(Step::Leave),
        (who.clone(), any::<bool>()).prop_map(|(n, muted)| Step::Mute(n, muted)),
        who.clone().prop_map(Step::Speak),
        (0u8..3, any::<bool>(), any::<bool>()).prop_map(|(view, speaker, own)| Step::View(view, speaker, own)),
        (who.clone(), 0u8..3).prop_map(|(n, view)| Step::Watch(n, view)),
        (0u8..3).prop_map(Step::Delete),
        (who.clone(), any::<bool>()).prop_map(|(n, upright)| Step::Hint(n, upright)),
        (who.clone(), 0u8..3, any::<bool>()).prop_map(|(n, view, own)| Step::Record(n, view, own)),
        (who.clone(), any::<bool>()).prop_map(|(n, paused)| Step::Pause(n, paused)),
        who.clone().prop_map(Step::End),
        (who.clone(), 0u8..3, any::<bool>(), any::<bool>()).prop_map(|(n, view, own, coded)| Step::SendOut(n, view, own, coded)),
        who.clone().prop_map(Step::EndEgress),
        (who.clone(), prop_oneof![Just(Consent::Allow), Just(Consent::Avatar), Just(Consent::AudioOnly), Just(Consent::Deny)])
            .prop_map(|(n, consent)| Step::Consent(n, consent)),
        (who.clone(), any::<bool>()).prop_map(|(n, hidden)| Step::Hide(n, hidden)),
        (who, 30u32..3000).prop_map(|(n, kbps)| Step::Estimate(n, kbps * 1000)),
        (0u64..4000).prop_map(Step::Wait),
        (0usize..8).prop_map(|n| Step::Degrade(steps().nth(n).unwrap())),
        (1u32..=60).prop_map(Step::Fps),
        (32u32..400).prop_map(Step::Canvas),
        any::<bool>().prop_map(Step::Observe),
    ]
}

fn perform(room: &mut Room, now: &mut std::time::Instant, step: Step) {
    let id = |n: u128| ParticipantId(n);
    let canvas = |room: &Room, edit: &dyn Fn(&mut Canvas)| {
        let mut canvas = room.view(MAIN_VIEW).unwrap().canvas;
        edit(&mut canvas);
        RoomPatch { canvas: Some(canvas), ..Default::default() }
    };
    match step {
        Step::Join(n, _) if room.member(id(n)).is_some() => {}
        Step::Join(n, vp8) => room.join(arrival(n, if vp8 { VideoCodec::Vp8 } else { VideoCodec::H264 })).unwrap(),
        Step::Up(n) => room.link(id(n), Link::Up),
        Step::Silent(n) => room.link(id(n), Link::Silent),
        Step::Leave(n) => room.leave(id(n), CloseReason::Left),
        Step::Mute(n, muted) => {
            _ = room.patch(id(n), ParticipantPatch { muted_audio: Some(muted), muted_video: Some(muted), ..Default::default() })
        }
        Step::Speak(n) => room.active_speaker(id(n)),
        Step::Fps(fps) => room.update(canvas(room, &|canvas| canvas.fps = fps)).unwrap(),
        Step::Canvas(half) => room.update(canvas(room, &|canvas| canvas.width = half * 2)).unwrap(),
        Step::View(n, speaker, own) => {
            let mut patch = of(if speaker { mixdown_layouts::layout::Kind::Speaker } else { mixdown_layouts::layout::Kind::Auto });
            patch.own = Some(if own { SelfView::Exclude } else { SelfView::Shared });
            patch.alternatives = (n > 0 && speaker).then(|| vec![MAIN_VIEW.to_owned()]);
            patch.exclude = own.then(|| vec![Selector::Participant(id(u128::from(n)))]);
            room.put_view(VIEWS[usize::from(n)], patch, Expect::Anything).unwrap();
        }
        // A view that does not exist is refused, which changes nothing.
        Step::Watch(n, to) => _ = room.patch(id(n), ParticipantPatch { view: Some(VIEWS[usize::from(to)].into()), ..Default::default() }),
        Step::Delete(n) => _ = room.delete_view(VIEWS[usize::from(n)], Expect::Anything),
        Step::Hint(n, upright) => room.hint(id(n), if upright { Size::new(360, 640) } else { Size::new(1280, 720) }),
        Step::Hide(n, hidden) => room.presence(id(n), Some(hidden), None),
        Step::Estimate(n, bps) => room.estimate(id(n), bps, *now),
        Step::Wait(ms) => {
            *now += std::time::Duration::from_millis(ms);
            room.handle_timeout(*now);
        }
        Step::Degrade(step) => room.degrade(step),
        Step::Observe(observed) => room.observe(MAIN_VIEW, observed).unwrap(),
        Step::Record(n, view, own) => {
            let (id, view, codec) = (RecordingId(n << 64), VIEWS[usize::from(view)].to_owned(), VideoCodec::H264);
            let framing = Framing { view, layout: own.then(Layout::default), canvas: None };
            _ = room.record(Recording { id, framing, codec, paused: false, composite: true });
        }
        Step::Pause(n, paused) => room.pause_recording(RecordingId(n << 64), paused),
        Step::SendOut(n, view, own, coded) => {
            let (id, view) = (EgressId(n << 80), VIEWS[usize::from(view)].to_owned());
            _ = room.send_out(Egress { id, view, layout: own.then(Layout::default), codec: coded.then_some(VideoCodec::H264) });
        }
        Step::EndEgress(n) => room.end_egress(EgressId(n << 80)),
        Step::End(n) => room.end_recording(RecordingId(n << 64)),
        Step::Consent(n, consent) => _ = room.patch(id(n), ParticipantPatch { recording: Some(consent), ..Default::default() }),
    }
}

proptest! {
    #[test]
    fn any_order_of_joins_leaves_and_changes_ends_with_everything_closed(steps in proptest::collection::vec(step(), 0..60)) {
        let mut room = room();
        let mut stages = Stages::default();
        let mut now = crate::runtime::clock::now();
        for step in steps {
            perform(&mut room, &mut now, step);
            room.take_changes().into_iter().for_each(|change| stages.run(change));
        }
        room.observe(MAIN_VIEW, false).unwrap();
        for n in 1..6 {
            room.leave(ParticipantId(n), CloseReason::Left);
            room.end_recording(RecordingId(n << 64));
            room.end_egress(EgressId(n << 80));
        }
        room.take_changes().into_iter().for_each(|change| stages.run(change));
        prop_assert!(stages.is_empty());
    }
}
