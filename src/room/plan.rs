//! The plan: everything that must run because of who is in the room and what they asked for, as plain
//! data. Deriving it is a function; running it means applying the difference of two plans.
//!
//! This is the rendition graph: nobody watches a view → it is not in the plan → nothing of it is
//! decoded, composed or encoded; two views of equal content → one canvas; two subscribers with equal wishes
//! → one rendition.

use super::Room;
use super::mixes::{self, SoundPlan};
use super::model::Canvas;
use super::pictures::{self, Content, Name};
use super::sound::{Blend, Chime, MixId, Voicing};
use super::speaker::Rule;
use crate::ids::{CanvasId, ParticipantId, RenditionId, Source, TrackId};
use mixdown_codecs::{AudioCodec, EncoderConfig, Size, VideoCodec};
use mixdown_layouts::Scene;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a picture gets at least, in bits per second, and what the sound beside it takes.
const LEAST_BPS: u32 = 50_000;
const SOUND_BPS: u32 = 40_000;

/// What makes two subscribers share an encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenditionKey {
    pub codec: VideoCodec,
    pub size: Size,
    pub fps: u32,
    pub bitrate_bps: u32,
}

impl RenditionKey {
    pub fn encoder(self) -> EncoderConfig {
        EncoderConfig { size: self.size, fps: self.fps, bitrate_bps: self.bitrate_bps, screen: false, layered: false }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanvasPlan {
    pub content: Arc<Content>,
    pub scene: Arc<Scene>,
    pub renditions: BTreeMap<RenditionKey, RenditionId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is composed, because somebody watches it.
    pub canvases: BTreeMap<CanvasId, CanvasPlan>,
    /// The canvas of each view that is watched, and of each picture of somebody's own.
    pub names: BTreeMap<Name, CanvasId>,
    pub feeds: BTreeMap<ParticipantId, RenditionId>,
    /// Video tracks that somebody sees, with the height of their largest tile in pixels.
    pub wanted: BTreeMap<TrackId, u32>,
    pub sound: SoundPlan,
}

impl Plan {
    /// The canvas that `participant` watches, with what encodes it.
    pub fn watched(&self, participant: ParticipantId) -> Option<(CanvasId, RenditionKey, RenditionId)> {
        let rendition = *self.feeds.get(&participant)?;
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
    RenditionOpened {
        canvas: CanvasId,
        id: RenditionId,
        key: RenditionKey,
    },
    Feed {
        participant: ParticipantId,
        rendition: Option<RenditionId>,
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
    let wishes = pictures::wishes(room);
    for (id, wish) in pictures::identify(room, &wishes).into_iter().zip(wishes) {
        let before = room.plan.canvases.get(&id);
        let scene = arrange(room, &wish.content, before);
        want(room, &scene, &mut plan.wanted);
        let mut renditions = BTreeMap::new();
        for (participant, codec) in wish.watchers {
            let most = room.member(participant).and_then(|member| member.max_bitrate_bps);
            let bitrate_bps = afford(bitrate(room, &wish.content.canvas), most);
            let key = RenditionKey { codec, size: wish.content.size(), fps: wish.content.canvas.fps, bitrate_bps };
            let running = before.and_then(|canvas| canvas.renditions.get(&key)).copied();
            let fresh = || RenditionId(room.next_rendition.fetch_add(1, Ordering::Relaxed));
            plan.feeds.insert(participant, *renditions.entry(key).or_insert_with(|| running.unwrap_or_else(fresh)));
        }
        plan.names.extend(wish.names.into_iter().map(|name| (name, id)));
        plan.canvases.insert(id, CanvasPlan { content: Arc::new(wish.content), scene, renditions });
    }
    plan.sound = mixes::derive(room);
    plan
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
        let Some(member) = room.by_person(tile.person) else { continue };
        let source = match tile.kind {
            mixdown_layouts::scene::TileSource::Camera => Source::Camera,
            mixdown_layouts::scene::TileSource::Screen => Source::Screen,
        };
        let height = wanted.entry(TrackId { participant: member.id, source }).or_default();
        *height = (*height).max(tile.rect.height);
    }
}

/// The canvas's share of the configured bitrate: by pixels to the power of ¾ (larger pictures cost less per
/// pixel at equal quality) and by the square root of the frame rate.
fn bitrate(room: &Room, canvas: &Canvas) -> u32 {
    let pixels = f64::from(canvas.width) * f64::from(canvas.height) / (1280.0 * 720.0);
    let fps = f64::from(canvas.fps) / 30.0;
    let share = pixels.powf(0.75) * fps.sqrt();
    ((f64::from(room.settings.video_bitrate_bps) * share / 10_000.0).round() as u32 * 10_000).max(LEAST_BPS)
}

/// `full`, or the first step of √2 below it that leaves room for the sound in `most` bits per second: a ladder that
/// subscribers share, in place of an encode for each wish.
fn afford(full: u32, most: Option<u32>) -> u32 {
    let Some(most) = most.map(|most| most.saturating_sub(SOUND_BPS).max(LEAST_BPS)) else { return full };
    let steps = (0..).map(|step| (f64::from(full) * 0.5_f64.powf(f64::from(step) / 2.0)) as u32 / 1_000 * 1_000);
    steps.take_while(|rate| *rate > LEAST_BPS).find(|rate| *rate <= most).unwrap_or(LEAST_BPS)
}

/// The steps from `old` to `new`.
pub(super) fn difference(old: &Plan, new: &Plan, out: &mut Vec<Change>) {
    for (canvas, plan) in &new.canvases {
        let (canvas, before) = (*canvas, old.canvases.get(canvas));
        if before.is_none() {
            out.push(Change::CanvasOpened { canvas, fps: plan.content.canvas.fps });
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
    for (participant, rendition) in &new.feeds {
        if old.feeds.get(participant) != Some(rendition) {
            out.push(Change::Feed { participant: *participant, rendition: Some(*rendition) });
        }
    }
    for participant in old.feeds.keys().filter(|id| !new.feeds.contains_key(id)) {
        out.push(Change::Feed { participant: *participant, rendition: None });
    }
    for (track, height) in &new.wanted {
        if old.wanted.get(track) != Some(height) {
            out.push(Change::Wanted { track: *track, height: *height });
        }
    }
    for track in old.wanted.keys().filter(|track| !new.wanted.contains_key(track)) {
        out.push(Change::Wanted { track: *track, height: 0 });
    }
    mixes::difference(&old.sound, &new.sound, out);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_for_a_lower_bitrate_meet_on_few_steps() {
        assert_eq!(afford(1_000_000, None), 1_000_000);
        assert_eq!(afford(1_000_000, Some(5_000_000)), 1_000_000);
        assert_eq!(afford(1_000_000, Some(1_000_000)), 707_000, "the sound needs its share");
        assert_eq!(afford(1_000_000, Some(600_000)), afford(1_000_000, Some(700_000)));
        assert_eq!(afford(1_000_000, Some(30_000)), LEAST_BPS);
        for most in (60_000..2_000_000).step_by(10_000) {
            assert!(afford(1_000_000, Some(most)) <= (most - SOUND_BPS).max(LEAST_BPS));
        }
    }
}
