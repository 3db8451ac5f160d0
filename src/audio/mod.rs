//! The sound stages without threads: what lies between a sender's packets and the mix.
//!
//! [`jitter`] orders packets and says what to do for every stretch of time, [`delay`] says how long packets must
//! wait, [`playout`] decodes one sender into steady 20 ms blocks, [`resample`] follows the sender's clock, [`offset`] centres,
//! [`level`] measures, [`denoise`] and [`levelling`] treat a voice where that is wanted, [`mixer`] sums, [`ambience`] adds the
//! room's own sounds, [`limiter`] keeps the sum inside −1…1.
//!
//! Time is counted in samples at 48 kHz since the room's epoch (`i64`), which is both the clock of arrivals and
//! the unit of media. Nothing here reads a clock, waits, logs, or allocates once it runs.
//!
//! `AudioIn → Jitter → AudioDecoder → Resampler → Denoise, Levelling → Mixer → Limiter → AudioEncoder`

pub mod ambience;
pub mod delay;
pub mod denoise;
pub mod jitter;
pub mod level;
pub mod levelling;
pub mod limiter;
pub mod mixer;
pub mod offset;
pub mod playout;
pub mod resample;
pub mod stretch;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;

use mixdown_codecs::audio::{CHANNELS, FRAME_SAMPLES};
use std::time::Instant;

/// Interleaved samples in one block: 20 ms of stereo at 48 kHz.
pub const BLOCK: usize = FRAME_SAMPLES * CHANNELS;

/// One block of sound.
pub type Pcm = [f32; BLOCK];

/// Samples at 48 kHz in one millisecond.
pub const MS: i64 = 48;

/// A block of silence on the heap, made once and used again every tick.
pub fn silence() -> Box<Pcm> {
    Box::new([0.0; BLOCK])
}

/// `time` as samples since `epoch`; negative before it.
pub fn samples_since(epoch: Instant, time: Instant) -> i64 {
    let samples = |nanos: u128| i64::try_from(nanos * 48 / 1_000_000).unwrap_or(i64::MAX);
    match time.checked_duration_since(epoch) {
        Some(after) => samples(after.as_nanos()),
        None => -samples(epoch.saturating_duration_since(time).as_nanos()),
    }
}
