//! Names of things: newtypes that cannot be mixed up, parsed once at the border.

use std::{fmt, str::FromStr, sync::Arc};

/// A room's id: 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("a room id has 1 to 128 characters")]
    Length,
    #[error("a room id consists of A-Z a-z 0-9 . _ - and begins with a letter or digit")]
    Characters,
    #[error("not an id of this kind")]
    Malformed,
}

impl FromStr for RoomId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > 128 {
            return Err(IdError::Length);
        }
        let plain = |c: char| c.is_ascii_alphanumeric();
        if !text.starts_with(plain) || !text.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-')) {
            return Err(IdError::Characters);
        }
        Ok(Self(text.into()))
    }
}

impl RoomId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A participant, and the one peer connection that belongs to them: 128 random bits, since
/// the id is part of the URL that controls the session (RFC 9725 §5). Text: `pt_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub u128);

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pt_{:032x}", self.0)
    }
}

impl FromStr for ParticipantId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("pt_").filter(|d| d.len() == 32 && !d.starts_with('+')).ok_or(IdError::Malformed)?;
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| IdError::Malformed)
    }
}

impl serde::Serialize for ParticipantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ParticipantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a participant's id: pt_ and 32 hexadecimal digits"))
    }
}

impl serde::Serialize for RoomId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A recording, and the folder that holds it: 128 random bits. Text: `rec_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u128);

impl RecordingId {
    /// As whom it listens to a mix and watches a view: ids of both kinds are random, so no participant has it.
    pub fn listener(self) -> ParticipantId {
        ParticipantId(self.0)
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rec_{:032x}", self.0)
    }
}

impl FromStr for RecordingId {
    type Err = IdError;

    /// Takes nothing but what [`fmt::Display`] gives: it names a folder.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("rec_").filter(|digits| digits.len() == 32).ok_or(IdError::Malformed)?;
        if !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(IdError::Malformed);
        }
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| IdError::Malformed)
    }
}

impl serde::Serialize for RecordingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RecordingId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a recording's id: rec_ and 32 hexadecimal digits"))
    }
}

/// A file, stream or picture that is played into a room: 128 random bits. Text: `in_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IngressId(pub u128);

impl IngressId {
    /// As whom it is in the room.
    pub fn participant(self) -> ParticipantId {
        ParticipantId(self.0)
    }
}

impl fmt::Display for IngressId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in_{:032x}", self.0)
    }
}

impl FromStr for IngressId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("in_").filter(|d| d.len() == 32 && !d.starts_with('+')).ok_or(IdError::Malformed)?;
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| IdError::Malformed)
    }
}

impl serde::Serialize for IngressId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What leaves a room for other places: 128 random bits. Text: `eg_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EgressId(pub u128);

impl EgressId {
    /// As [`RecordingId::listener`].
    pub fn listener(self) -> ParticipantId {
        ParticipantId(self.0)
    }
}

impl fmt::Display for EgressId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eg_{:032x}", self.0)
    }
}

impl FromStr for EgressId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("eg_").filter(|digits| digits.len() == 32 && !digits.starts_with('+')).ok_or(IdError::Malformed)?;
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| IdError::Malformed)
    }
}

impl serde::Serialize for EgressId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a track shows or sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Camera,
    Microphone,
    Screen,
    ScreenAudio,
}

/// One track of one participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId {
    pub participant: ParticipantId,
    pub source: Source,
}

/// One canvas that is composed: of one view, or of several whose pictures are the same. Unique in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanvasId(pub u64);

/// One encode of one canvas, unique in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenditionId(pub u64);

impl fmt::Display for RenditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rn_{}", self.0)
    }
}
