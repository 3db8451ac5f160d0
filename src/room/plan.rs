//! The plan: everything that must run because of who is in the room and what they asked for, as plain
//! data. Deriving it is a function; running it means applying the difference of two plans.
//!
//! This is the rendition graph: nobody watches a view → it is not in the plan → nothing of it is
//! decoded, composed or encoded; two views of equal content → one canvas; two subscribers with equal wishes
//! → one rendition.

use super::Room;
use super::mixes::{self, SoundPlan};
use super::pictures::{self, Content, Name, Watcher};
use super::sound::{Blend, Chime, Grade, MixId, Voicing};
use super::speaker::Rule;
use super::tiers::{self, Pace};
use crate::ids::{CanvasId, EgressId, ParticipantId, RecordingId, RenditionId, TrackId};
use crate::media::Facts;
use mixdown_codecs::{AudioCodec, EncoderConfig, Size, VideoCodec};
use mixdown_layouts::Scene;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A steered encoder is told of changes that are larger than this share of its rate.
const STEERING: f32 = 0.05;

/// What makes two subscribers share an encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenditionKey {
    pub codec: VideoCodec,
    /// That of the canvas, or smaller.
    pub size: Size,
    /// That of the canvas, or a part of it; 0: a keyframe every few seconds.
    pub fps: u32,
    pub bitrate_bps: u32,
    /// Of a shared screen: letters before motion.
    pub screen: bool,
    /// For those who lose packets: their keyframes cost nobody else anything.
    pub apart: bool,
}

impl RenditionKey {
    pub fn encoder(self) -> EncoderConfig {
        EncoderConfig { size: self.size, fps: self.fps.max(1), bitrate_bps: self.bitrate_bps, screen: self.screen, layered: false }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanvasPlan {
    pub content: Arc<Content>,
    pub scene: Arc<Scene>,
    pub renditions: BTreeMap<RenditionKey, RenditionId>,
    /// Pictures per second, at most those of the canvas.
    pub fps: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is composed, because somebody watches it.
    pub canvases: BTreeMap<CanvasId, CanvasPlan>,
    /// The canvas of each view that is watched, and of each picture of somebody's own.
    pub names: BTreeMap<Name, CanvasId>,
    pub feeds: BTreeMap<ParticipantId, RenditionId>,
    /// The canvas that each of them sees, composed or not.
    pub screens: BTreeMap<ParticipantId, CanvasId>,
    /// Tracks whose pictures are forwarded as they come, each as a rendition of its own, and which of them nobody needs decoded.
    pub passes: BTreeMap<TrackId, RenditionId>,
    pub untouched: BTreeSet<TrackId>,
    /// Who may not see any more what is still forwarded to them: for them it ends before what is composed has come.
    pub cut: BTreeSet<ParticipantId>,
    /// What each recording is of.
    pub recorded: BTreeMap<RecordingId, RenditionId>,
    /// What each egress sends, where it sends coded pictures.
    pub sent: BTreeMap<EgressId, RenditionId>,
    /// Who gets every second picture alone, and the renditions that must be able to do without the others.
    pub halved: BTreeSet<ParticipantId>,
    pub layered: BTreeSet<RenditionId>,
    /// Encoders that follow their subscriber's link, in bits per second.
    pub rates: BTreeMap<RenditionId, u32>,
    /// What each subscriber's connection is to send at least and shall find out that it carries, in bits per second.
    pub aims: BTreeMap<ParticipantId, Range<u32>>,
    /// Video tracks that somebody sees, with the height of their largest tile in pixels.
    pub wanted: BTreeMap<TrackId, u32>,
    pub sound: SoundPlan,
}

impl Plan {
    /// The canvas that `participant` watches, with what encodes it.
    pub fn watched(&self, participant: ParticipantId) -> Option<(CanvasId, RenditionKey, RenditionId)> {
        self.encoded(*self.feeds.get(&participant)?)
    }

    /// How many subscribers, recordings and egresses take a rendition.
    pub fn takers(&self, rendition: RenditionId) -> usize {
        self.feeds.values().chain(self.recorded.values()).chain(self.sent.values()).filter(|taken| **taken == rendition).count()
    }

    /// The canvas that a rendition is of, and how it is encoded.
    pub fn encoded(&self, rendition: RenditionId) -> Option<(CanvasId, RenditionKey, RenditionId)> {
        self.canvases.iter().find_map(|(canvas, plan)| {
            let (key, id) = plan.renditions.iter().find(|(_, id)| **id == rendition)?;
            Some((*canvas, *key, *id))
        })
    }

    /// The canvas that all who watch the view share.
    pub fn shared(&self, view: &str) -> Option<CanvasId> {
        self.names.get(&(view.to_owned(), None)).copied()
    }
}

/// One step from a plan to the next. Openings come before what needs them, closings last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    CanvasOpened {
        canvas: CanvasId,
        fps: u32,
    },
    Scene {
        canvas: CanvasId,
        scene: Arc<Scene>,
    },
    /// So many pictures per second of the canvas are made from now on.
    Pace {
        canvas: CanvasId,
        fps: u32,
    },
    RenditionOpened {
        canvas: CanvasId,
        id: RenditionId,
        key: RenditionKey,
    },
    /// The track's pictures are forwarded as they come; `None`: no longer.
    Pass {
        track: TrackId,
        rendition: Option<RenditionId>,
    },
    /// Whether somebody needs the pictures of a track that is wanted decoded.
    Decode {
        track: TrackId,
        decoded: bool,
    },
    Feed {
        participant: ParticipantId,
        rendition: Option<RenditionId>,
    },
    /// What flows to them and is not what shall flow ends at once.
    Cut(ParticipantId),
    Record {
        recording: RecordingId,
        rendition: Option<RenditionId>,
    },
    Send {
        egress: EgressId,
        rendition: Option<RenditionId>,
    },
    /// Of the rendition that flows to them, only every second picture.
    Halve {
        participant: ParticipantId,
        halved: bool,
    },
    /// Whether every second picture of the rendition must be dispensable.
    Layers {
        canvas: CanvasId,
        id: RenditionId,
        layered: bool,
    },
    Rate {
        canvas: CanvasId,
        id: RenditionId,
        bitrate_bps: u32,
    },
    /// What the participant's connection shall find out that it carries.
    Aim {
        participant: ParticipantId,
        bitrate_bps: Range<u32>,
    },
    /// 0: seen by nobody.
    Wanted {
        track: TrackId,
        height: u32,
    },
    Speaker {
        participant: ParticipantId,
        voicing: Voicing,
    },
    SpeakerLeft(ParticipantId),
    Mix {
        mix: MixId,
        blend: Arc<Blend>,
    },
    Listener {
        participant: ParticipantId,
        codec: AudioCodec,
        mix: MixId,
    },
    /// How much of the sound they get.
    Grade {
        listener: ParticipantId,
        grade: Grade,
    },
    ListenerLeft(ParticipantId),
    MixClosed(MixId),
    /// The chord for the one who waits alone.
    Hold(bool),
    /// How the floor is passed on, for `main` first.
    Floors(Arc<[Rule]>),
    Chime(Chime),
    RenditionClosed {
        canvas: CanvasId,
        id: RenditionId,
    },
    CanvasClosed {
        canvas: CanvasId,
    },
}

/// What must run for this room as it is now.
pub(super) fn derive(room: &Room) -> Plan {
    let mut plan = Plan::default();
    let mut composed = BTreeMap::new();
    let wishes = pictures::wishes(room);
    for (id, wish) in pictures::identify(room, &wishes).into_iter().zip(wishes) {
        let before = room.plan.canvases.get(&id);
        let scene = arrange(room, &wish.content, before);
        want(room, &scene, &mut plan.wanted);
        let mut renditions = BTreeMap::new();
        let fps = room.pace(&scene, wish.content.canvas.fps);
        let forwarded = room.forwarded(id, &scene);
        for (watcher, codec) in wish.watchers {
            if let Watcher::Participant(participant) = watcher {
                plan.screens.insert(participant, id);
                if let Some(track) = pass(room, &mut plan, participant, codec, forwarded) {
                    // What is composed flows until the sender's keyframe has come.
                    renditions.extend(before.and_then(|canvas| held(room, canvas, participant, track)));
                    continue;
                }
                go_back(room, &mut plan, participant, &wish.content);
            }
            let rung = match watcher {
                Watcher::Participant(id) => room.member(id).and_then(|member| member.tier.rung()),
                // Disks are not thin, and what is sent on is sent as it is: all of the view.
                Watcher::Recording(_) | Watcher::Egress(_) => {
                    let rungs = tiers::ladder(&wish.content.canvas, room.settings.video_bitrate_bps, tiers::is_screen(&scene));
                    tiers::best(&rungs, room.step())
                }
            };
            let Some((rung, key)) = rung.and_then(|rung| Some((rung, rung.key(codec)?))) else { continue };
            let running = before.and_then(|canvas| canvas.renditions.get(&key)).copied();
            let fresh = || RenditionId(room.next_rendition.fetch_add(1, Ordering::Relaxed));
            let id = *renditions.entry(key).or_insert_with(|| running.unwrap_or_else(fresh));
            match watcher {
                Watcher::Participant(participant) => {
                    plan.feeds.insert(participant, id);
                    if rung.pace == Pace::Halved && !is_halved_already(key, fps) {
                        plan.halved.insert(participant);
                        plan.layered.insert(id);
                    }
                    steer(room, &mut plan, id, key, participant);
                }
                Watcher::Recording(recording) => {
                    plan.recorded.insert(recording, id);
                    plan.rates.remove(&id);
                }
                Watcher::Egress(egress) => {
                    plan.sent.insert(egress, id);
                    plan.rates.remove(&id);
                }
            }
        }
        if wish.observed || !renditions.is_empty() {
            want(room, &scene, &mut composed);
        }
        plan.names.extend(wish.names.into_iter().map(|name| (name, id)));
        plan.canvases.insert(id, CanvasPlan { content: Arc::new(wish.content), scene, renditions, fps });
    }
    plan.untouched = plan.passes.keys().filter(|track| !composed.contains_key(track)).copied().collect();
    plan.aims = room.members.iter().map(|member| (member.id, member.tier.aim())).filter(|(_, aim)| aim.end > 0).collect();
    plan.sound = mixes::derive(room);
    plan
}

/// Whether so few pictures are made that all of them fit where every second one of the full rate would. VP8 gives fewer pictures more bits each.
fn is_halved_already(key: RenditionKey, fps: u32) -> bool {
    key.codec == VideoCodec::H264 && fps * 2 <= key.fps
}

/// Feeds a participant with a sender's pictures as they come, where these are all that there is to see.
fn pass(
    room: &Room,
    plan: &mut Plan,
    participant: ParticipantId,
    codec: VideoCodec,
    forwarded: Option<(TrackId, Facts)>,
) -> Option<TrackId> {
    let (track, _) = forwarded.filter(|(track, facts)| room.takes(participant, codec, *track, *facts))?;
    let fresh = || RenditionId(room.next_rendition.fetch_add(1, Ordering::Relaxed));
    let id = *plan.passes.entry(track).or_insert_with(|| room.plan.passes.get(&track).copied().unwrap_or_else(fresh));
    plan.feeds.insert(participant, id);
    Some(track)
}

/// The composed rendition that still flows to a participant who waits for a track's keyframe.
fn held(room: &Room, canvas: &CanvasPlan, participant: ParticipantId, track: TrackId) -> Option<(RenditionKey, RenditionId)> {
    let flowing = room.passing.flowing.get(&participant).filter(|id| room.plan.passes.get(&track) != Some(*id))?;
    canvas.renditions.iter().find(|(_, id)| *id == flowing).map(|(key, id)| (*key, *id))
}

/// Keeps what is forwarded to a participant up until what is composed has come: as long as they may see it, for a camera that is turned off
/// is off at once.
fn go_back(room: &Room, plan: &mut Plan, participant: ParticipantId, content: &Content) {
    let flowing = room.passing.flowing.get(&participant).and_then(|id| Some((room.plan.passed(*id)?, *id)));
    match flowing {
        Some((track, id)) if content.may_show(room, track) => _ = plan.passes.insert(track, id),
        Some(_) => _ = plan.cut.insert(participant),
        None => {}
    }
}

/// The rate of a rendition once `participant` is on it too: one alone has it follow their link; of several it follows the
/// thinnest on the lowest rung, which has nothing below it, and none elsewhere.
fn steer(room: &Room, plan: &mut Plan, id: RenditionId, key: RenditionKey, participant: ParticipantId) {
    let Some(tier) = room.member(participant).map(|member| &member.tier) else { return };
    let slow = tier.rung().is_some_and(|rung| rung.pace == Pace::Slow);
    let others = plan.takers(id) > 1;
    let Some(rate) = tier.steer().filter(|_| key.fps > 0 && (slow || !others)) else {
        plan.rates.remove(&id);
        return;
    };
    let rate = if others { plan.rates.get(&id).copied().unwrap_or(key.bitrate_bps).min(rate) } else { rate };
    let near = |before: &u32| (before.abs_diff(rate) as f32) < rate as f32 * STEERING;
    let rate = room.plan.rates.get(&id).copied().filter(near).unwrap_or(rate);
    if rate == key.bitrate_bps {
        plan.rates.remove(&id)
    } else {
        plan.rates.insert(id, rate)
    };
}

/// The scene of a canvas; the one before where nothing changed, so that equality is cheap downstream.
fn arrange(room: &Room, content: &Content, before: Option<&CanvasPlan>) -> Arc<Scene> {
    let scene = content.arrange(room);
    match before {
        Some(canvas) if *canvas.scene == scene => Arc::clone(&canvas.scene),
        _ => Arc::new(scene),
    }
}

/// Notes the tracks that the scene shows, each with its largest tile.
fn want(room: &Room, scene: &Scene, wanted: &mut BTreeMap<TrackId, u32>) {
    for tile in scene.tiles.iter().filter(|tile| tile.source.is_some()) {
        let Some(track) = room.track_of(tile) else { continue };
        let height = wanted.entry(track).or_default();
        *height = (*height).max(tile.rect.height);
    }
}

/// The steps from `old` to `new`.
pub(super) fn difference(old: &Plan, new: &Plan, out: &mut Vec<Change>) {
    for (canvas, plan) in &new.canvases {
        let (canvas, before) = (*canvas, old.canvases.get(canvas));
        if before.is_none() {
            out.push(Change::CanvasOpened { canvas, fps: plan.content.canvas.fps });
        }
        if before.map_or(plan.content.canvas.fps, |before| before.fps) != plan.fps {
            out.push(Change::Pace { canvas, fps: plan.fps });
        }
        if before.is_none_or(|before| !Arc::ptr_eq(&before.scene, &plan.scene)) {
            out.push(Change::Scene { canvas, scene: Arc::clone(&plan.scene) });
        }
        for (key, id) in &plan.renditions {
            if before.and_then(|before| before.renditions.get(key)) != Some(id) {
                out.push(Change::RenditionOpened { canvas, id: *id, key: *key });
            }
        }
    }
    encoding(old, new, out);
    for (track, id) in new.passes.iter().filter(|(track, id)| old.passes.get(track) != Some(id)) {
        out.push(Change::Pass { track: *track, rendition: Some(*id) });
    }
    compare(&old.feeds, &new.feeds, |participant, rendition| out.push(Change::Feed { participant, rendition }));
    out.extend(new.cut.difference(&old.cut).map(|participant| Change::Cut(*participant)));
    compare(&old.recorded, &new.recorded, |recording, rendition| out.push(Change::Record { recording, rendition }));
    compare(&old.sent, &new.sent, |egress, rendition| out.push(Change::Send { egress, rendition }));
    for participant in old.halved.symmetric_difference(&new.halved) {
        out.push(Change::Halve { participant: *participant, halved: new.halved.contains(participant) });
    }
    for (participant, bitrate_bps) in new.aims.iter().filter(|(participant, aim)| old.aims.get(participant) != Some(aim)) {
        out.push(Change::Aim { participant: *participant, bitrate_bps: bitrate_bps.clone() });
    }
    compare(&old.wanted, &new.wanted, |track, height| out.push(Change::Wanted { track, height: height.unwrap_or(0) }));
    for track in old.untouched.symmetric_difference(&new.untouched) {
        out.push(Change::Decode { track: *track, decoded: !new.untouched.contains(track) });
    }
    mixes::difference(&old.sound, &new.sound, out);
    for track in old.passes.keys().filter(|track| !new.passes.contains_key(track)) {
        out.push(Change::Pass { track: *track, rendition: None });
    }
    for (canvas, plan) in &old.canvases {
        let after = new.canvases.get(canvas);
        for (_, id) in plan.renditions.iter().filter(|(key, _)| !after.is_some_and(|after| after.renditions.contains_key(key))) {
            out.push(Change::RenditionClosed { canvas: *canvas, id: *id });
        }
        if after.is_none() {
            out.push(Change::CanvasClosed { canvas: *canvas });
        }
    }
}

/// Tells what is new or different, and then what is gone.
fn compare<K: Ord + Copy, V: PartialEq + Copy>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>, mut tell: impl FnMut(K, Option<V>)) {
    for (key, value) in new.iter().filter(|(key, value)| old.get(key) != Some(value)) {
        tell(*key, Some(*value));
    }
    for key in old.keys().filter(|key| !new.contains_key(key)) {
        tell(*key, None);
    }
}

/// How renditions are encoded from now on.
fn encoding(old: &Plan, new: &Plan, out: &mut Vec<Change>) {
    for (canvas, plan) in &new.canvases {
        for (key, id) in &plan.renditions {
            let (canvas, id, layered) = (*canvas, *id, new.layered.contains(id));
            if old.layered.contains(&id) != layered {
                out.push(Change::Layers { canvas, id, layered });
            }
            if old.rates.get(&id) != new.rates.get(&id) {
                let bitrate_bps = new.rates.get(&id).copied().unwrap_or(key.bitrate_bps);
                out.push(Change::Rate { canvas, id, bitrate_bps });
            }
        }
    }
}
