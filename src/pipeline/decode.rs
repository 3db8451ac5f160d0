//! One track's decoder: coded pictures in, raw ones into the slot, each with the time from which on it is shown.
//!
//! Shows only what is whole: after a loss or an error the last good picture stays until the next
//! keyframe, which is asked for at once (and again by the stall ladder). Errors rebuild the decoder;
//! five of them within ten seconds give the track up for a minute, and so do, for a while, pictures that cost too much.
//! Flow: `VideoIn → (visible? keyframe seen?) → VideoDecoder → Slot`.

use super::cost::Cost;
use super::pool::Stage;
use super::slot::{Shown, Slot};
use super::{Outlet, StageEvent, Watch};
use crate::ids::{Source, TrackId};
use crate::ledger::{self, Bill, Spent};
use crate::media::VideoIn;
use metrics::Counter;
use mixdown_codecs::gate::{Limits, SizeChanges};
use mixdown_codecs::{DecodeError, FramePool, Size, VideoCodec, VideoDecoder};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Failures within [`FAILURE_WINDOW`] after which a track is given up for [`QUARANTINE`].
const FAILURES: usize = 5;
const FAILURE_WINDOW: Duration = Duration::from_secs(10);
const QUARANTINE: Duration = Duration::from_secs(60);

pub enum Input {
    Picture(VideoIn),
    /// Whether some canvas shows the track may have changed. Where this does not fit the inbox, what is in it does as well.
    Visibility,
}

pub struct Decode {
    track: TrackId,
    limits: Limits,
    slot: Arc<Slot>,
    outlet: Arc<dyn Outlet>,
    watch: Arc<dyn Watch>,
    decoder: Option<(VideoCodec, Box<dyn VideoDecoder>)>,
    pool: FramePool,
    /// Whether some canvas shows the track. What is not shown is not decoded.
    wanted: Arc<AtomicBool>,
    visible: bool,
    /// Nothing can be decoded before the next keyframe.
    needs_keyframe: bool,
    sequence: u64,
    size: Option<Size>,
    size_changes: SizeChanges,
    failures: VecDeque<Instant>,
    quarantined_until: Option<Instant>,
    cost: Cost,
    /// When the picture came that reached the decoder in this step.
    decoded: Option<Instant>,
    /// How long it is until one is there, smoothed: it waits for a worker and is decoded.
    takes: Duration,
    bill: Arc<Bill>,
    decodes: Counter,
}

impl Decode {
    /// `wanted`: whether some canvas shows the track, `slot`: where its pictures go.
    pub fn new(
        track: TrackId,
        limits: Limits,
        wanted: Arc<AtomicBool>,
        slot: Arc<Slot>,
        outlet: Arc<dyn Outlet>,
        watch: Arc<dyn Watch>,
        bill: Arc<Bill>,
    ) -> Self {
        Self {
            track,
            limits,
            wanted,
            slot,
            outlet,
            watch,
            decoder: None,
            pool: FramePool::default(),
            visible: false,
            needs_keyframe: true,
            sequence: 0,
            size: None,
            size_changes: SizeChanges::default(),
            failures: VecDeque::with_capacity(FAILURES),
            quarantined_until: None,
            cost: Cost::default(),
            decoded: None,
            takes: Duration::ZERO,
            bill,
            decodes: metrics::counter!("mixdown_decodes_total", "kind" => "video"),
        }
    }

    fn set_visible(&mut self, visible: bool) {
        self.visible = visible;
        if visible {
            self.needs_keyframe = true;
            self.outlet.request_keyframe(self.track);
        } else {
            self.decoder = None;
            self.size = None;
            self.slot.clear();
        }
    }

    fn picture(&mut self, picture: &VideoIn) {
        if let Err(reason) = self.admit(picture) {
            metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
            return;
        }
        match self.decode(picture) {
            Ok(()) => {}
            Err(DecodeError::Damaged(_)) => self.wait_for_keyframe("decode_damaged"),
            Err(DecodeError::Unsupported(_)) => self.failed(picture.received, "decode_unsupported"),
            Err(DecodeError::Failed(_)) => {
                self.decoder = None;
                self.failed(picture.received, "decoder_failed");
            }
        }
    }

    /// Whether the picture may reach the decoder; `Err` is the reason for dropping it.
    fn admit(&mut self, picture: &VideoIn) -> Result<(), &'static str> {
        if !self.visible {
            return Err("not_visible");
        }
        if self.quarantined_until.is_some_and(|until| picture.received < until) {
            return Err("track_quarantined");
        }
        if !picture.contiguous && !picture.keyframe {
            self.wait_for_keyframe("pictures_lost");
            return Err("after_loss");
        }
        if self.needs_keyframe && !picture.keyframe {
            return Err("before_keyframe");
        }
        if let Some(size) = picture.size
            && !self.size_changes.allow(size, picture.received)
        {
            self.needs_keyframe = true;
            return Err("size_changes");
        }
        Ok(())
    }

    fn decode(&mut self, picture: &VideoIn) -> Result<(), DecodeError> {
        if self.decoder.as_ref().is_none_or(|(codec, _)| *codec != picture.codec) {
            let built = mixdown_codecs::video::decoder(picture.codec, self.limits);
            self.decoder = Some((picture.codec, built.ok_or(DecodeError::Unsupported("codec not in this build"))??));
        }
        let Some((_, decoder)) = &mut self.decoder else { return Err(DecodeError::Failed("no decoder")) };
        self.decodes.increment(1);
        self.decoded = Some(picture.received);
        let frame = decoder.decode(&picture.data, &mut self.pool)?;
        self.needs_keyframe = false;
        let Some(frame) = frame else { return Ok(()) };
        self.announce(frame.size(), picture.orientation.quarter_turns);
        self.sequence += 1;
        let (sequence, orientation, received) = (self.sequence, picture.orientation, picture.received);
        // A screen stands still most of the time, and then changes at once: waiting would only make it late.
        let due = if self.track.source == Source::Screen { received } else { received + picture.waits };
        let ready = received + self.takes;
        self.slot.put(Shown { frame, orientation, sequence, received, due, ready });
        Ok(())
    }

    /// Tells the room when the upright size changes: layouts follow ratios.
    fn announce(&mut self, size: Size, quarter_turns: u8) {
        let upright = if quarter_turns % 2 == 1 { Size::new(size.height, size.width) } else { size };
        if self.size.replace(upright) != Some(upright) {
            self.watch.event(StageEvent::TrackSize { track: self.track, size: upright });
        }
    }

    fn wait_for_keyframe(&mut self, reason: &'static str) {
        metrics::counter!("mixdown_decode_errors_total", "reason" => reason).increment(1);
        self.needs_keyframe = true;
        self.outlet.request_keyframe(self.track);
    }

    fn failed(&mut self, now: Instant, reason: &'static str) {
        self.wait_for_keyframe(reason);
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|first| now.saturating_duration_since(*first) > FAILURE_WINDOW) {
            self.failures.pop_front();
        }
        if self.failures.len() >= FAILURES {
            self.quarantine(now, QUARANTINE, reason);
        }
    }

    /// Gives the track up for a while: an avatar stands for it.
    fn quarantine(&mut self, now: Instant, rest: Duration, reason: &'static str) {
        metrics::counter!("mixdown_track_quarantines_total", "reason" => reason).increment(1);
        self.failures.clear();
        self.decoder = None;
        self.needs_keyframe = true;
        self.slot.clear();
        self.quarantined_until = Some(now + rest);
        self.watch.event(StageEvent::TrackQuarantined { track: self.track, reason });
    }
}

impl Stage for Decode {
    type Input = Input;

    fn step(&mut self, input: Input) {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted != self.visible {
            self.set_visible(wanted);
        }
        if let Input::Picture(picture) = input {
            self.picture(&picture);
        }
    }

    const MEASURED: bool = true;

    fn spent(&mut self, spent: &Spent) {
        if let Some(received) = self.decoded.take() {
            self.takes = (self.takes * 7 + spent.done.saturating_duration_since(received)) / 8;
            self.bill.charge(ledger::Stage::Decode, spent);
        } else {
            self.bill.cpu(ledger::Stage::Decode, spent.cpu);
        }
        if let Some(rest) = self.cost.spent(spent.cpu, spent.done) {
            self.quarantine(spent.done, rest, "too_slow");
        }
    }

    /// The track is given up until its sender comes back: everybody else sees an avatar.
    fn failed(&self) {
        self.slot.clear();
        self.watch.event(StageEvent::TrackQuarantined { track: self.track, reason: "internal_error" });
    }
}
