//! The sound of rooms: one [`Mix`] per room, stepped every 20 ms by the mix threads ([`Driver`]).
//!
//! A room has one mix or several ([`Blend`]: who is in it, how loud, on which side). Per tick: choose the loudest voices of each mix,
//! decode these alone, sum them once per mix, encode. All listeners of a mix who are not audible in it share one encode per codec;
//! whoever is audible hears the sum less their own sound. Nobody listens: nothing is decoded, summed or encoded. Time comes from the tick's number: RTP time is n·960 (Opus) or n·160 (G.711).
//! Inputs come over a bounded channel: what does not fit is refused, and dropped and counted by the sender.
//!
//! `Input → Voice (Playout) → Mixer → Limiter → AudioEncoder → Outlet::audio`, and events to the room on the side.

mod blended;
mod driver;
mod encode;
mod outputs;
mod speaker;
mod stage;
#[cfg(test)]
mod tests;
mod voice;

pub use driver::Driver;
pub use stage::Mix;

use crate::ids::ParticipantId;
use crate::media::AudioIn;
use crate::room::sound::{Blend, Chime, Grade, MixId, Voicing};
use crate::room::speaker::Rule;
use crossbeam_channel::{Receiver, Sender};
use mixdown_codecs::{AudioCodec, AudioDecodeError, AudioDecoder, AudioEncodeError, AudioEncoder};
use std::sync::Arc;

/// Ticks per second.
pub const TICKS_PER_SECOND: u32 = 50;
/// Inputs that wait for a tick: 80 senders' packets of a second.
const INPUTS: usize = 4096;

/// What a room's mix is told. Sent over a bounded channel, applied at the next tick.
#[derive(Debug)]
pub enum Input {
    Packet {
        from: ParticipantId,
        packet: AudioIn,
    },
    /// Somebody whose sound may be heard. Muted ones are neither decoded nor mixed.
    Speaker {
        participant: ParticipantId,
        voicing: Voicing,
    },
    SpeakerLeft(ParticipantId),
    /// Who is in a mix from now on; changes glide. A mix nobody was told of is silent.
    Mix {
        mix: MixId,
        blend: Arc<Blend>,
    },
    MixClosed(MixId),
    /// Somebody who hears a mix (without themselves).
    Listener {
        participant: ParticipantId,
        codec: AudioCodec,
        mix: MixId,
    },
    ListenerLeft(ParticipantId),
    /// How much of the sound a listener gets; the whole until this is told.
    Grade {
        listener: ParticipantId,
        grade: Grade,
    },
    /// The chord for the one who waits alone.
    Hold(bool),
    Chime(Chime),
    /// Loss that a listener reports, 0–1: steers FEC.
    Loss {
        listener: ParticipantId,
        loss: f32,
    },
    /// How the floor is passed on; signs of who speaks go by the first.
    Floors(Arc<[Rule]>),
}

/// What a mix tells the room. Only changes, never a message per tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// By this rule, the floor has passed to this participant.
    ActiveSpeaker { rule: Rule, participant: ParticipantId },
    /// This participant began or stopped to be audible (voice, not level, with hold): for the speaking sign.
    Speaking { participant: ParticipantId, speaking: bool },
    /// How loud this participant's microphone is, −127 (silence) to 0 dBov; at most once per second.
    Level { participant: ParticipantId, dbov: i8 },
}

/// How rooms are mixed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Voices heard at once in one mix, 1–32.
    pub loudest: usize,
    /// Sounds below this level are not mixed (dBov, RFC 6464).
    pub gate_dbov: f32,
    /// Of one Opus encode.
    pub bitrate_bps: u32,
    pub codecs: Codecs,
}

impl Default for Settings {
    fn default() -> Self {
        Self { loudest: 4, gate_dbov: -60.0, bitrate_bps: 64_000, codecs: Codecs::default() }
    }
}

/// Where decoders and encoders come from.
#[derive(Debug, Clone, Copy)]
pub struct Codecs {
    pub decoder: fn(AudioCodec) -> Result<Box<dyn AudioDecoder>, AudioDecodeError>,
    pub encoder: fn(AudioCodec, u32) -> Result<Box<dyn AudioEncoder>, AudioEncodeError>,
}

impl Default for Codecs {
    fn default() -> Self {
        Self { decoder: mixdown_codecs::audio::decoder, encoder: mixdown_codecs::audio::encoder }
    }
}

/// The bounded way into a mix.
pub fn channel() -> (Sender<Input>, Receiver<Input>) {
    crossbeam_channel::bounded(INPUTS)
}
