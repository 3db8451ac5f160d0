//! What of participants' tracks goes into a recording's queue, and when their senders owe a keyframe.

use super::{Medium, Unit};
use crate::ids::TrackId;
use crate::record::mp4::{Kind, Ticks};
use crate::record::queue::Need;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a sender has for a keyframe before it is asked again.
const ASK_AGAIN: Ticks = Ticks::from_ms(500);

/// The tracks of one recording.
#[derive(Debug, Default)]
pub struct Gates(BTreeMap<TrackId, Gate>);

#[derive(Debug, Default)]
struct Gate {
    /// Pictures are taken; else only a keyframe is.
    open: bool,
    /// Since the last unit that was taken.
    lost: u64,
    keyframe: Ticks,
    asked: Option<Ticks>,
    quarter_turns: u8,
    /// A unit that resumes the track was not taken: the next one does.
    resumes: bool,
}

/// A unit that is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Pictures that were not, before it. Of sound the numbers say so.
    pub lost: u64,
    pub resumes: bool,
}

impl Gates {
    /// Whether the unit is to be taken. `fits`: there is room for it.
    pub fn offer(&mut self, unit: &Unit, fits: bool, keyframe_every: Duration) -> (Option<Taken>, Need) {
        let gate = self.0.entry(unit.track()).or_default();
        gate.resumes |= unit.resumes;
        let Medium::Picture(picture) = &unit.medium else {
            return (fits.then(|| gate.take()), Need::Nothing);
        };
        let follows = gate.open && picture.contiguous && !unit.resumes;
        if !fits || !(picture.keyframe || follows) {
            gate.lost += u64::from(gate.open || gate.lost > 0);
            gate.open = false;
            return (None, if fits { gate.ask(unit.at) } else { Need::Nothing });
        }
        let turned = std::mem::replace(&mut gate.quarter_turns, picture.orientation.quarter_turns) != picture.orientation.quarter_turns;
        gate.open = true;
        if picture.keyframe {
            (gate.keyframe, gate.asked) = (unit.at, None);
        }
        let due = unit.at.since(gate.keyframe) >= Ticks::from_ms(keyframe_every.as_millis() as u64);
        let wants = !picture.keyframe && (turned || due);
        (Some(gate.take()), if wants { gate.ask(unit.at) } else { Need::Nothing })
    }

    /// A picture could not be used.
    pub fn break_off(&mut self, track: TrackId) {
        if let Some(gate) = self.0.get_mut(&track) {
            gate.open = false;
        }
    }

    /// What comes next begins anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Gate {
    fn take(&mut self) -> Taken {
        Taken { lost: std::mem::take(&mut self.lost), resumes: std::mem::take(&mut self.resumes) }
    }

    fn ask(&mut self, now: Ticks) -> Need {
        if self.asked.is_some_and(|asked| now.since(asked) < ASK_AGAIN) {
            return Need::Nothing;
        }
        self.asked = Some(now);
        Need::Keyframe
    }
}

/// The drop's reason, for metrics.
pub const fn reason(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "recording_queue_video",
        Kind::Audio => "recording_queue_audio",
    }
}
