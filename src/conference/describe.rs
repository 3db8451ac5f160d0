//! The conference as the API shows it.

use super::Conference;
use crate::ids::{CanvasId, ParticipantId, RenditionId, TrackId};
use crate::ledger::{Account, Stage};
use crate::room::Room;
use crate::room::model::{Feed, Participant, RenditionStats, RoomState, RoomStats};
use crate::room::plan::RenditionKey;
use mixdown_layouts::Scene;

/// The tracks that a scene shows.
pub fn tracks(room: &Room, scene: &Scene) -> Vec<TrackId> {
    let shown = scene.tiles.iter().filter(|tile| tile.source.is_some());
    let mut tracks: Vec<TrackId> = shown.filter_map(|tile| room.track_of(tile)).collect();
    tracks.sort_unstable();
    tracks.dedup();
    tracks
}

impl Conference {
    pub(super) fn describe(&self, id: ParticipantId) -> Option<Participant> {
        let member = self.room.member(id)?;
        Some(member.describe(self.describe_feed(id)))
    }

    fn describe_feed(&self, id: ParticipantId) -> Option<Feed> {
        let member = self.room.member(id)?;
        let audio_codec = member.negotiated.audio_down.map(|codec| codec.name());
        let watched = self.room.plan().watched(id);
        let passed = self.passed_to(id);
        if watched.is_none() && passed.is_none() && audio_codec.is_none() {
            return None;
        }
        let mut feed = Feed { view: self.room.shown_view(member).to_owned(), audio_codec, ..Feed::default() };
        if let Some((canvas, key, id)) = watched {
            feed.rendition = Some(id.to_string());
            feed.video_codec = Some(key.codec.name());
            (feed.width, feed.height) = (Some(key.size.width), Some(key.size.height));
            let halved = self.room.plan().halved.contains(&member.id);
            let fps = self.room.plan().canvases.get(&canvas).map_or(key.fps, |canvas| canvas.fps.min(key.fps));
            feed.fps = Some(if halved { fps / 2 } else { fps });
            feed.bitrate_bps = Some(self.room.plan().rates.get(&id).copied().unwrap_or(key.bitrate_bps));
        }
        if let Some(track) = passed {
            feed.rendition = self.room.plan().passes.get(&track).map(ToString::to_string);
            let facts = self.room.member(track.participant).and_then(|member| member.facts(track.source));
            feed.video_codec = facts.map(|facts| facts.codec.name());
            (feed.width, feed.height) = (facts.map(|facts| facts.size.width), facts.map(|facts| facts.size.height));
            feed.bitrate_bps = facts.map(|facts| facts.bitrate_bps);
        }
        Some(feed)
    }

    /// What the room costs.
    pub(super) fn describe_costs(&self) -> RoomStats {
        let stage = |stage: Stage| (stage.name(), self.bill.get(stage).as_secs_f64());
        let canvases = self.room.plan().canvases.iter();
        let renditions =
            canvases.flat_map(|(canvas, plan)| plan.renditions.iter().map(|(key, id)| self.describe_rendition(*canvas, *key, *id)));
        let step = self.room.step();
        RoomStats {
            step: step.number(),
            effect: step.name(),
            cpu_seconds: Stage::OF_A_ROOM.into_iter().map(stage).collect(),
            renditions: renditions.collect(),
        }
    }

    fn describe_rendition(&self, canvas: CanvasId, key: RenditionKey, id: RenditionId) -> RenditionStats {
        let plan = self.room.plan();
        let (cpu, pictures, bytes) = self.video.account(canvas, id).map(Account::get).unwrap_or_default();
        let views = plan.names.iter().filter(|((_, own), of)| own.is_none() && **of == canvas).map(|((view, _), _)| view.clone());
        RenditionStats {
            id: id.to_string(),
            views: views.collect(),
            codec: key.codec.name(),
            width: key.size.width,
            height: key.size.height,
            fps: key.fps.min(plan.canvases.get(&canvas).map_or(key.fps, |canvas| canvas.fps)),
            bitrate_bps: plan.rates.get(&id).copied().unwrap_or(key.bitrate_bps),
            subscribers: plan.takers(id),
            cpu_seconds: cpu.as_secs_f64(),
            pictures,
            bytes,
        }
    }

    pub(super) fn describe_room(&self) -> RoomState {
        RoomState {
            room: self.room.id().clone(),
            created_at: crate::runtime::clock::rfc3339(self.created),
            locked: self.room.locked(),
            waiting_room: self.room.settings().waiting_room,
            self_unmute: self.room.settings().self_unmute,
            max_participants: self.room.settings().max_participants,
            participants: self.room.members().len(),
            audio: self.room.audio(),
            auto_record: self.room.settings().auto_record,
            recording_sign: self.room.settings().recording_sign,
            recording: self.room.is_recorded(),
            active_speaker: self.room.speaker(),
            views: self.room.views(),
            etag: self.room.revision(),
        }
    }
}
