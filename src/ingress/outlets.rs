//! Where what is played goes: pictures into a track's slot, samples into the room's mix.

use crate::ids::{ParticipantId, Source};
use crate::media::{AudioIn, Orientation};
use crate::pipeline::mix;
use crate::pipeline::slot::Shown;
use crate::pipeline::video::Track;
use crossbeam_channel::Sender;
use mixdown_codecs::{AudioCodec, I420Frame};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A picture that stands is shown anew this often, so that nobody takes it for one that has stalled.
const SHOW_AGAIN: Duration = Duration::from_millis(500);
/// By how many samples the times of what is played and the count of it may differ.
const APART: u64 = 960;

pub struct Outlets {
    participant: ParticipantId,
    track: Option<Track>,
    mix: Sender<mix::Input>,
    source: Source,
    epoch: Instant,
    shown: Option<Shown>,
    sequence: u64,
    packets: u64,
    /// The RTP time of the sample that comes next.
    sample: u64,
}

impl Outlets {
    /// `track`: `None` where no picture is wanted; `source`: as what the sound counts; `epoch`: where media time begins.
    pub fn new(participant: ParticipantId, track: Option<Track>, mix: Sender<mix::Input>, source: Source, epoch: Instant) -> Self {
        Self { participant, track, mix, source, epoch, shown: None, sequence: 0, packets: 0, sample: 0 }
    }

    /// Whether pictures are wanted.
    pub fn shows(&self) -> bool {
        self.track.is_some()
    }

    pub fn show(&mut self, frame: Arc<I420Frame>, received: Instant, due: Instant) {
        self.sequence += 1;
        self.put(Shown { frame, orientation: Orientation::default(), sequence: self.sequence, received, due, ready: due });
    }

    /// Shows what stands once more, when it is time to.
    pub fn show_again(&mut self, now: Instant) {
        if let Some(shown) = self.shown.as_ref().filter(|shown| shown.received + SHOW_AGAIN <= now).cloned() {
            self.put(Shown { received: now, due: now, ready: now, ..shown });
        }
    }

    /// When [`Self::show_again`] has something to do.
    pub fn next(&self) -> Option<Instant> {
        self.shown.as_ref().map(|shown| shown.received + SHOW_AGAIN)
    }

    fn put(&mut self, shown: Shown) {
        if let Some(track) = &self.track {
            track.show(shown.clone());
            self.shown = Some(shown);
        }
    }

    /// 16-bit samples, 48 kHz stereo, for `due`; handed over earlier, they count as having come on time.
    pub fn sound(&mut self, data: Arc<[u8]>, due: Instant, now: Instant) {
        let since = due.saturating_duration_since(self.epoch);
        let nominal = u64::try_from(since.as_micros() * 48 / 1000).unwrap_or(u64::MAX);
        if self.sample.abs_diff(nominal) > APART {
            self.sample = nominal;
        }
        let (sequence, rtp_time) = (self.packets, self.sample);
        self.packets += 1;
        self.sample += data.len() as u64 / 4;
        let packet = AudioIn {
            source: self.source,
            codec: AudioCodec::L16,
            data,
            sequence,
            rtp_time,
            level_dbov: None,
            received: due.max(now),
            waits: std::time::Duration::ZERO,
            evenly: std::time::Duration::ZERO,
        };
        if self.mix.try_send(mix::Input::Packet { from: self.participant, packet }).is_err() {
            metrics::counter!("mixdown_drops_total", "reason" => "mix_busy").increment(1);
        }
    }
}
