//! Who is in which mix and how loud, as plain data: gains in decibels, places between left and right, and the blends
//! made of them; and the settings that they come from, in the shape that the API shows. Knows no sound.

use super::member::Member;
use super::model::Selector;
use crate::ids::ParticipantId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A gain of −60 to +12 dB in tenths of a decibel; in JSON a number of decibels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Gain(i16);

impl Gain {
    pub const UNITY: Self = Self(0);
    const RANGE: std::ops::RangeInclusive<f64> = -60.0..=12.0;

    /// `None`: outside of −60…12.
    pub fn from_db(db: f64) -> Option<Self> {
        Self::RANGE.contains(&db).then(|| Self((db * 10.0).round() as i16))
    }

    pub fn db(self) -> f32 {
        f32::from(self.0) / 10.0
    }

    /// The factor for samples.
    pub fn factor(self) -> f32 {
        if self.0 == 0 { 1.0 } else { 10f32.powf(self.db() / 20.0) }
    }

    /// Both after each other, within the range.
    pub fn and(self, other: Self) -> Self {
        Self((self.0 + other.0).clamp(-600, 120))
    }
}

impl Serialize for Gain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 10.0)
    }
}

impl<'de> Deserialize<'de> for Gain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_db(f64::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("-60 to 12 dB"))
    }
}

/// How somebody's sound is treated before anybody hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Voicing {
    pub muted: bool,
    pub gain: Gain,
    pub noise_suppression: bool,
    pub auto_gain: bool,
    /// Not for everybody's ears: cannot take the floor.
    pub private: bool,
    /// Is heard whoever else speaks, and never takes the floor.
    pub announcement: bool,
}

/// How loud and where somebody is in one mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub gain: Gain,
    /// −100 (left) to 100 (right).
    pub position: i8,
}

impl Place {
    /// Factors for left and right. Equal power: whoever walks from side to side stays as loud as in the middle.
    pub fn factors(self) -> [f32; 2] {
        let gain = self.gain.factor();
        if self.position == 0 {
            return [gain; 2];
        }
        let angle = (f32::from(self.position.clamp(-100, 100)) / 100.0 + 1.0) * std::f32::consts::FRAC_PI_4;
        [angle.cos(), angle.sin()].map(|side| side * std::f32::consts::SQRT_2 * gain)
    }
}

/// Everybody who is in a mix; whoever is not listed is not heard in it.
pub type Blend = BTreeMap<ParticipantId, Place>;

/// One distinct mix, unique in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MixId(pub u64);

/// A short sound for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chime {
    Joined,
    Left,
}

/// Options of a room's sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomAudio {
    /// Of everybody who does not have it otherwise.
    pub noise_suppression: bool,
    pub auto_gain: bool,
    /// A soft chord for the one who waits alone, instead of silence.
    pub hold_music: bool,
    /// Two notes for all when somebody comes or goes.
    pub join_tones: bool,
}

/// The mix of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewAudio {
    /// Who may be heard; empty: everybody.
    pub include: Vec<Selector>,
    /// Who is not heard all the same.
    pub exclude: Vec<Selector>,
    /// Of the whole mix.
    pub gain_db: Gain,
    /// Of those meant by each entry, on top; the first that means somebody counts.
    pub gains: Vec<GainOf>,
    /// Everybody is heard from where their tile is.
    pub stereo: bool,
}

/// How much of the sound a listener's link carries; of Opus alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Grade {
    #[default]
    Whole,
    /// Beside a picture that has to be thin too.
    Lean,
    /// A voice that can be understood.
    Thin,
}

impl Grade {
    /// Bits per second. At the lower rates Opus is mono by itself.
    pub fn bitrate(self, whole_bps: u32) -> u32 {
        match self {
            Self::Whole => whole_bps,
            Self::Lean => whole_bps.min(24_000),
            Self::Thin => whole_bps.min(12_000),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainOf {
    pub who: Selector,
    pub gain_db: Gain,
}

impl ViewAudio {
    /// `None`: not heard in this mix.
    pub(super) fn gain_of(&self, member: &Member) -> Option<Gain> {
        let listed = |selectors: &[Selector]| selectors.iter().any(|selector| member.is_meant_by(selector));
        if listed(&self.exclude) || !(self.include.is_empty() || listed(&self.include)) {
            return None;
        }
        let own = self.gains.iter().find(|entry| member.is_meant_by(&entry.who)).map_or(Gain::UNITY, |entry| entry.gain_db);
        Some(self.gain_db.and(own))
    }
}

/// Participants who hear each other alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sidebar {
    pub name: String,
    pub participants: Vec<ParticipantId>,
    /// Everybody else hears them; they hear each other alone.
    pub heard_by_all: bool,
    #[serde(skip)]
    pub etag: u64,
}

/// What makes a sidebar.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SidebarSettings {
    pub participants: Vec<ParticipantId>,
    pub heard_by_all: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_decibels_within_their_range() {
        assert_eq!(serde_json::from_str::<Gain>("-6.02").ok(), Gain::from_db(-6.0));
        assert_eq!(serde_json::to_string(&Gain::from_db(-6.0)).ok().as_deref(), Some("-6.0"));
        assert!((Gain::from_db(-6.0).unwrap_or_default().factor() - 0.501).abs() < 0.001);
        for wrong in ["12.1", "-60.1", "null", "\"3\"", "1e300"] {
            assert!(serde_json::from_str::<Gain>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Gain(-400).and(Gain(-400)), Gain(-600));
    }

    #[test]
    fn a_place_changes_the_side_and_not_the_loudness() {
        for position in -100..=100 {
            let [left, right] = Place { gain: Gain::UNITY, position }.factors();
            assert!((left * left + right * right - 2.0).abs() < 1e-4);
            assert!(position == 0 || (left > right) == (position < 0));
        }
        assert_eq!(Place::default().factors(), [1.0; 2]);
        assert!(Place { position: -100, ..Place::default() }.factors()[1].abs() < 1e-6);
    }
}
