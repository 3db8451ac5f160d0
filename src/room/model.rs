//! What a room consists of, in the shape that the API shows.

use super::sound::{Gain, RoomAudio, ViewAudio};
use crate::ids::{ParticipantId, RoomId, Source};
use crate::peer::types::{CloseReason, Kind};
use mixdown_layouts::Layout;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Canvas of a view. Width and height are even, 64–3840; fps 1–60.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Canvas {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    /// `#rrggbb`.
    pub background: String,
}

impl Default for Canvas {
    fn default() -> Self {
        Self { width: 1280, height: 720, fps: 30, background: "#101014".into() }
    }
}

impl Canvas {
    /// Refuses what no view can have. `pointer`: where the canvas stands in the request.
    pub fn check(&self, pointer: &'static str) -> Result<(), super::Error> {
        let refuse = |detail: String| Err(super::Error::Invalid { pointer, detail });
        for (field, value) in [("width", self.width), ("height", self.height)] {
            if !(64..=3840).contains(&value) || value % 2 != 0 {
                return refuse(format!("{field} is {value}: it must be even and 64 to 3840"));
            }
        }
        if self.width * self.height > 3840 * 2160 {
            return refuse("width x height is at most 3840x2160".to_owned());
        }
        if !(1..=60).contains(&self.fps) {
            return refuse(format!("fps is {}: it must be 1 to 60", self.fps));
        }
        if self.parse_background().is_none() {
            return refuse(format!("background is {:?}: it must be #rrggbb", self.background));
        }
        Ok(())
    }

    /// The background as red, green, blue; black where it cannot be read.
    pub fn rgb(&self) -> [u8; 3] {
        self.parse_background().unwrap_or_default()
    }

    fn parse_background(&self) -> Option<[u8; 3]> {
        let digits = self.background.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        Some([byte(0)?, byte(2)?, byte(4)?])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Connecting,
    Connected,
    /// In the waiting room: neither sees nor is seen.
    Waiting,
    /// Nothing has arrived for some seconds; may come back.
    Reconnecting,
    Disconnected,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Track {
    pub source: Source,
    pub codec: &'static str,
    /// Pixels, of the layer that is decoded; absent before the first picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// What a subscriber receives now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Feed {
    pub view: String,
    pub rendition: Option<String>,
    pub video_codec: Option<&'static str>,
    pub audio_codec: Option<&'static str>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub fps: Option<u32>,
    pub bitrate_bps: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    pub id: ParticipantId,
    pub name: String,
    /// Token subject, where a token was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    pub kind: ParticipantKind,
    pub role: Option<String>,
    pub state: State,
    /// Why the state is `disconnected`, in words and as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<CloseReason>,
    pub muted_audio: bool,
    pub muted_video: bool,
    pub gain_db: Gain,
    /// `None`: as the room has it.
    pub noise_suppression: Option<bool>,
    pub auto_gain: Option<bool>,
    /// Muted by an operator, who alone can take it back.
    pub operator_muted_audio: bool,
    pub operator_muted_video: bool,
    pub pinned: bool,
    pub speaking: bool,
    /// How loud the microphone is, −127 (silence) to 0; `None`: there is none, or it is muted.
    pub level_dbov: Option<i8>,
    /// What they asked for; `None`: no limit.
    pub max_width: Option<u32>,
    pub max_height: Option<u32>,
    pub max_bitrate_bps: Option<u32>,
    /// The stricter of what they said and what an operator said.
    pub recording: Consent,
    pub tracks: Vec<Track>,
    pub feed: Option<Feed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Kind)]
pub enum ParticipantKind {
    Participant,
    Publisher,
    Viewer,
    Ingress,
    Announcement,
}

impl From<Kind> for ParticipantKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Participant => Self::Participant,
            Kind::Publisher => Self::Publisher,
            Kind::Viewer => Self::Viewer,
            Kind::Ingress => Self::Ingress,
            Kind::Announcement => Self::Announcement,
        }
    }
}

/// Merge-patch (RFC 7396) of a participant: absent fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParticipantPatch {
    pub name: Option<String>,
    pub muted_audio: Option<bool>,
    pub muted_video: Option<bool>,
    pub gain_db: Option<Gain>,
    /// `null`: as the room has it.
    #[serde(deserialize_with = "or_null")]
    pub noise_suppression: Option<Option<bool>>,
    #[serde(deserialize_with = "or_null")]
    pub auto_gain: Option<Option<bool>>,
    /// Empty: none.
    pub role: Option<String>,
    pub pinned: Option<bool>,
    pub view: Option<String>,
    /// `u32::MAX` in the limits takes them back.
    pub max_width: Option<u32>,
    pub max_height: Option<u32>,
    pub max_bitrate_bps: Option<u32>,
    /// An operator can make it stricter than the participant says, not laxer.
    pub recording: Option<Consent>,
    /// Comes from somebody else, who may.
    #[serde(skip)]
    pub operator: bool,
}

/// `null` is a value of its own.
fn or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<bool>>, D::Error> {
    Option::<bool>::deserialize(deserializer).map(Some)
}

/// What of somebody goes into recordings: everything; their sound and a tile with their name; their sound alone; nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    #[default]
    Allow,
    /// Their sound, and a tile with their name in place of their pictures.
    Avatar,
    /// Their sound alone.
    AudioOnly,
    Deny,
}

/// Whom an entry of a view's filter means: an id as text, or an object with one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// A token's subject.
    Identity(String),
    Role(String),
    Kind(ParticipantKind),
    #[serde(untagged)]
    Participant(ParticipantId),
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Tagged {
            Participant(ParticipantId),
            Identity(String),
            Role(String),
            Kind(ParticipantKind),
        }
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Selector;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a participant's id, or an object with one of participant, identity, role, kind")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Selector, E> {
                text.parse().map(Selector::Participant).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Selector, A::Error> {
                if map.size_hint() == Some(0) {
                    return Err(serde::de::Error::invalid_length(0, &self));
                }
                Ok(match Tagged::deserialize(serde::de::value::MapAccessDeserializer::new(map))? {
                    Tagged::Participant(id) => Selector::Participant(id),
                    Tagged::Identity(identity) => Selector::Identity(identity),
                    Tagged::Role(role) => Selector::Role(role),
                    Tagged::Kind(kind) => Selector::Kind(kind),
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `exclude`: a subscriber who is visible sees a picture without himself, at the cost of an encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelfView {
    #[default]
    Shared,
    Exclude,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    pub name: String,
    pub canvas: Canvas,
    pub layout: Layout,
    pub audio: ViewAudio,
    /// Who may be shown; empty: everybody.
    pub include: Vec<Selector>,
    /// Who is not shown all the same.
    pub exclude: Vec<Selector>,
    #[serde(rename = "self")]
    pub own: SelfView,
    /// Views that subscribers may be shown instead where these suit their screen better.
    pub alternatives: Vec<String>,
    #[serde(skip)]
    pub etag: u64,
}

impl From<&View> for ViewPatch {
    fn from(view: &View) -> Self {
        let View { name: _, canvas, layout, audio, include, exclude, own, alternatives, etag: _ } = view.clone();
        Self {
            canvas: Some(canvas),
            layout: Some(layout),
            audio: Some(audio),
            include: Some(include),
            exclude: Some(exclude),
            own: Some(own),
            alternatives: Some(alternatives),
        }
    }
}

/// Settings of a view; what is absent stays, or takes its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewPatch {
    pub canvas: Option<Canvas>,
    pub layout: Option<Layout>,
    pub audio: Option<ViewAudio>,
    pub include: Option<Vec<Selector>>,
    pub exclude: Option<Vec<Selector>>,
    #[serde(rename = "self")]
    pub own: Option<SelfView>,
    pub alternatives: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomState {
    pub room: RoomId,
    pub created_at: String,
    pub locked: bool,
    pub waiting_room: bool,
    pub self_unmute: bool,
    pub max_participants: u32,
    pub participants: usize,
    pub audio: RoomAudio,
    pub auto_record: bool,
    pub recording_sign: bool,
    /// Whether it is recorded now.
    pub recording: bool,
    pub active_speaker: Option<ParticipantId>,
    pub views: Vec<View>,
    #[serde(skip)]
    pub etag: u64,
}

/// What a room has cost since it began, and what is given up in it now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoomStats {
    /// As `GET /v1/node` has them: the server's step, or one of the room's own.
    pub step: u8,
    pub effect: &'static str,
    /// Processor time by stage; what is done for all rooms together (network, API) is not in it.
    pub cpu_seconds: BTreeMap<&'static str, f64>,
    pub renditions: Vec<RenditionStats>,
}

/// One encode, and what it has cost since it began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RenditionStats {
    pub id: String,
    /// Views that it is of; none: a picture of somebody's own.
    pub views: Vec<String>,
    pub codec: &'static str,
    pub width: u32,
    pub height: u32,
    /// 0: a still every few seconds.
    pub fps: u32,
    pub bitrate_bps: u32,
    /// Subscribers, recordings and egresses.
    pub subscribers: usize,
    pub cpu_seconds: f64,
    pub pictures: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomPatch {
    pub locked: Option<bool>,
    /// Who joins waits until admitted; `false` admits everybody who waits.
    pub waiting_room: Option<bool>,
    /// Whether people may unmute themselves after an operator muted them.
    pub self_unmute: Option<bool>,
    pub max_participants: Option<u32>,
    pub audio: Option<RoomAudio>,
    /// Whether it records `main` whenever somebody is here.
    pub auto_record: Option<bool>,
    /// Whether pictures say that they are recorded.
    pub recording_sign: Option<bool>,
    /// Of the view `main`.
    pub canvas: Option<Canvas>,
    pub layout: Option<Layout>,
}
