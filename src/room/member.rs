//! One participant as the room sees them.

use super::sound::Gain;
use super::tiers::{Tier, Wishes};
use super::{Arrival, Error, model};
use crate::ids::{ParticipantId, Source, TrackId};
use crate::media::Facts;
use crate::peer::types::{Codec, Kind, Negotiated};
use mixdown_codecs::{Size, VideoCodec};
use mixdown_layouts::draw::is_hidden;
use mixdown_layouts::{Person, PersonId, SourceId};
use model::Selector;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Connecting,
    Up,
    /// Silent for some seconds; may come back.
    Silent,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub id: ParticipantId,
    pub kind: Kind,
    pub name: String,
    pub identity: Option<String>,
    pub role: Option<String>,
    pub view: String,
    pub link: Link,
    pub negotiated: Negotiated,
    pub muted_audio: bool,
    pub muted_video: bool,
    pub gain: Gain,
    /// `None`: as the room has it.
    pub noise_suppression: Option<bool>,
    pub auto_gain: Option<bool>,
    pub held_audio: bool,
    pub held_video: bool,
    /// Waits to be admitted.
    pub waiting: bool,
    pub pinned: bool,
    pub speaking: bool,
    /// Of the microphone, dBov; `None`: nothing heard yet.
    pub level: Option<i8>,
    /// How loud all others are while this announcement sounds.
    pub(super) ducks: Gain,
    pub max_size: Option<Size>,
    /// Of the player, as the client says.
    pub hint: Option<Size>,
    pub max_bitrate_bps: Option<u32>,
    pub(super) own_consent: model::Consent,
    pub(super) operator_consent: model::Consent,
    /// Their window is hidden; they asked to save data.
    pub hidden: bool,
    pub save_data: bool,
    /// What they see is a shared screen above all.
    pub(super) screen: bool,
    /// What of the view's picture and sound they get.
    pub(super) tier: Tier,
    pub(super) last_spoke: u64,
    /// Upright sizes of the pictures decoded last.
    pub(super) sizes: BTreeMap<Source, Size>,
    /// What the pictures are like as they come.
    pub(super) facts: BTreeMap<Source, Facts>,
}

impl Member {
    pub(super) fn new(arrival: Arrival) -> Self {
        Self {
            id: arrival.id,
            kind: arrival.kind,
            name: arrival.name,
            identity: arrival.identity,
            role: arrival.role,
            view: arrival.view.unwrap_or_else(|| super::MAIN_VIEW.to_owned()),
            link: Link::Connecting,
            negotiated: arrival.negotiated,
            muted_audio: false,
            muted_video: false,
            gain: Gain::UNITY,
            noise_suppression: None,
            auto_gain: None,
            held_audio: false,
            held_video: false,
            waiting: false,
            pinned: false,
            speaking: false,
            level: None,
            ducks: Gain::UNITY,
            max_size: None,
            hint: None,
            max_bitrate_bps: None,
            own_consent: model::Consent::default(),
            operator_consent: model::Consent::default(),
            hidden: false,
            save_data: false,
            screen: false,
            tier: Tier::default(),
            last_spoke: 0,
            sizes: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    /// The number that the layouts know this participant by.
    pub fn person(&self) -> PersonId {
        PersonId(self.id.0 as u64)
    }

    /// Whether this participant sends `source`.
    pub fn sends(&self, source: Source) -> bool {
        self.negotiated.sends.iter().any(|(sent, _)| *sent == source)
    }

    /// Whether this is somebody else's device, and not something that the server plays.
    pub fn has_connection(&self) -> bool {
        !matches!(self.kind, Kind::Ingress | Kind::Announcement)
    }

    /// Whether the conference is open to this participant: what they send may be seen and heard, and they may see and hear.
    pub fn is_in(&self) -> bool {
        self.link != Link::Connecting && !self.waiting
    }

    /// Whether a view shows this participant: they are in and send something.
    pub fn is_seen(&self) -> bool {
        self.is_in() && !self.negotiated.sends.is_empty() && self.kind != Kind::Announcement
    }

    /// What the pictures of a track are like as they come, where they are coded and some have come.
    pub fn facts(&self, source: Source) -> Option<Facts> {
        self.facts.get(&source).copied()
    }

    /// The codec of the composite for this participant, if they take one now.
    pub fn watches(&self) -> Option<VideoCodec> {
        self.negotiated.video_down.filter(|_| self.is_in() && self.tier.has_picture())
    }

    /// Which step of the rate ladder they are on.
    pub fn tier(&self) -> &Tier {
        &self.tier
    }

    pub(super) fn wishes(&self) -> Wishes {
        let Self { hidden, save_data, .. } = *self;
        let hidden = hidden || self.negotiated.video_down.is_none();
        let max_bps = self.max_bitrate_bps.filter(|most| *most != u32::MAX);
        Wishes { max_bps, max_size: self.max_size, shown: self.hint, hidden, save_data, ..Wishes::default() }
    }

    /// Pixels in which they show the picture, as far as they told; `u32::MAX`: of unknown extent.
    pub fn screen(&self) -> Option<Size> {
        match (self.hint, self.max_size) {
            (Some(hint), Some(most)) => Some(Size::new(hint.width.min(most.width), hint.height.min(most.height))),
            (hint, most) => hint.or(most),
        }
    }

    /// Whether an entry of a view's filter means this participant.
    pub fn is_meant_by(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Participant(id) => self.id == *id,
            Selector::Identity(identity) => self.identity.as_ref() == Some(identity),
            Selector::Role(role) => self.role.as_ref() == Some(role),
            Selector::Kind(kind) => model::ParticipantKind::from(self.kind) == *kind,
        }
    }

    pub fn cast(&self) -> Person {
        let picture = |source: Source| {
            let track = TrackId { participant: self.id, source };
            self.sends(source).then(|| mixdown_layouts::Source { id: source_id(track), size: self.sizes.get(&source).copied() })
        };
        Person {
            id: self.person(),
            key: self.id.to_string(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            role: self.role.clone(),
            camera: picture(Source::Camera).filter(|_| !self.muted_video),
            screen: picture(Source::Screen),
            muted: self.muted_audio || !self.sends(Source::Microphone),
            pinned: self.pinned,
            last_spoke: self.last_spoke,
        }
    }

    /// Applies a merge-patch whose view is known, or nothing of it. `Ok(false)`: nothing changed.
    pub(super) fn apply(&mut self, patch: model::ParticipantPatch, self_unmute: bool) -> Result<bool, Error> {
        let before = self.clone();
        let name = patch.name.as_deref().map(display_name).transpose()?;
        let mute = |muted, held, wanted| mute((muted, held), wanted, patch.operator, self_unmute);
        let audio = mute(self.muted_audio, self.held_audio, patch.muted_audio)?;
        let video = mute(self.muted_video, self.held_video, patch.muted_video)?;
        ((self.muted_audio, self.held_audio), (self.muted_video, self.held_video)) = (audio, video);
        self.name = name.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.gain = patch.gain_db.unwrap_or(self.gain);
        self.noise_suppression = patch.noise_suppression.unwrap_or(self.noise_suppression);
        self.auto_gain = patch.auto_gain.unwrap_or(self.auto_gain);
        self.pinned = patch.pinned.unwrap_or(self.pinned);
        if let Some(role) = patch.role {
            self.role = Some(role).filter(|role| !role.is_empty());
        }
        self.view = patch.view.unwrap_or_else(|| self.view.clone());
        if patch.max_width.is_some() || patch.max_height.is_some() {
            let now = self.max_size.unwrap_or(Size::new(u32::MAX, u32::MAX));
            self.max_size = Some(Size::new(patch.max_width.unwrap_or(now.width), patch.max_height.unwrap_or(now.height)));
        }
        self.max_bitrate_bps = patch.max_bitrate_bps.or(self.max_bitrate_bps);
        let consent = if patch.operator { &mut self.operator_consent } else { &mut self.own_consent };
        *consent = patch.recording.unwrap_or(*consent);
        let same = before.name == self.name
            && (before.muted_audio, before.muted_video, before.pinned) == (self.muted_audio, self.muted_video, self.pinned)
            && (before.gain, before.noise_suppression, before.auto_gain) == (self.gain, self.noise_suppression, self.auto_gain)
            && (before.held_audio, before.held_video) == (self.held_audio, self.held_video)
            && (&before.role, &before.view) == (&self.role, &self.view)
            && before.consent() == self.consent()
            && (before.max_size, before.max_bitrate_bps) == (self.max_size, self.max_bitrate_bps);
        Ok(!same)
    }

    /// The participant as the API shows them; `feed` comes from the plan.
    pub fn describe(&self, feed: Option<model::Feed>) -> model::Participant {
        let tracks = self.negotiated.sends.iter().map(|(source, codec)| {
            let size = self.sizes.get(source);
            model::Track {
                source: *source,
                codec: match codec {
                    Codec::Video(codec) => codec.name(),
                    Codec::Audio(codec) => codec.name(),
                    Codec::Raw => "raw",
                },
                width: size.map(|size| size.width),
                height: size.map(|size| size.height),
            }
        });
        model::Participant {
            id: self.id,
            name: self.name.clone(),
            identity: self.identity.clone(),
            kind: self.kind.into(),
            role: self.role.clone(),
            state: match self.link {
                Link::Connecting => model::State::Connecting,
                Link::Up | Link::Silent if self.waiting => model::State::Waiting,
                Link::Up => model::State::Connected,
                Link::Silent => model::State::Reconnecting,
            },
            reason: None,
            reason_code: None,
            muted_audio: self.muted_audio,
            muted_video: self.muted_video,
            gain_db: self.gain,
            noise_suppression: self.noise_suppression,
            auto_gain: self.auto_gain,
            operator_muted_audio: self.held_audio,
            operator_muted_video: self.held_video,
            pinned: self.pinned,
            speaking: self.speaking,
            level_dbov: self.level.filter(|_| self.sends(Source::Microphone) && !self.muted_audio),
            max_width: self.max_size.map(|size| size.width).filter(|width| *width != u32::MAX),
            max_height: self.max_size.map(|size| size.height).filter(|height| *height != u32::MAX),
            max_bitrate_bps: self.max_bitrate_bps.filter(|most| *most != u32::MAX),
            recording: self.consent(),
            tracks: tracks.collect(),
            feed,
        }
    }
}

/// Whether a track is muted, and held so by an operator, after somebody wished something of it. Nobody's
/// microphone or camera is opened by somebody else: an operator only lets go of what an operator held.
fn mute((muted, held): (bool, bool), wanted: Option<bool>, operator: bool, self_unmute: bool) -> Result<(bool, bool), Error> {
    match (wanted, operator) {
        (None, _) => Ok((muted, held)),
        (Some(true), operator) => Ok((true, held || operator)),
        (Some(false), true) if held || !muted => Ok((muted, false)),
        (Some(false), true) => Err(Error::Unmute),
        (Some(false), false) if held && !self_unmute => Err(Error::Held),
        (Some(false), false) => Ok((false, false)),
    }
}

/// The number that the layouts know a video track by.
pub fn source_id(track: TrackId) -> SourceId {
    SourceId((track.participant.0 as u64) << 1 | u64::from(track.source == Source::Screen))
}

/// A display name: at most 256 bytes, trimmed, without controls and without what turns the direction of the text behind it.
pub fn display_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let refuse = |detail: &str| Err(Error::Invalid { pointer: "/name", detail: detail.to_owned() });
    if name.len() > 256 {
        return refuse("name has at most 256 bytes");
    }
    if name.chars().any(is_hidden) {
        return refuse("name has no control characters, nor any that turn the direction of what follows");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_what_hides_or_turns_text_is_refused() {
        assert_eq!(display_name("  Zoë 👩‍💻 ").unwrap(), "Zoë 👩‍💻", "joiners within an emoji are part of it");
        assert_eq!(display_name("שלום").unwrap(), "שלום");
        for name in ["a\nb", "Ann\u{202e}nimda", "\u{2066}x", "\u{feff}Ann"] {
            assert!(display_name(name).is_err(), "{name:?}");
        }
        assert!(display_name(&"x".repeat(257)).is_err());
    }
}
