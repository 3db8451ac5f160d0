//! The stack is brought to rest after each change: all output is taken out, what events asked for is done, and timeouts
//! that are due are served.

use super::types::{CloseReason, Output};
use super::{Peer, stun};
use std::time::{Duration, Instant};
use str0m::{Input, PacerReason, Reason};

/// More outputs than this from one input are a spin.
const MAX_POLLS: usize = 20_000;
/// Timeouts that are already due are served at once, this many times.
const MAX_ROUNDS: usize = 64;
/// Between two packets of a picture the stack's pacer wants to be called, a microsecond later; so many leave at once: enough for a keyframe.
const MAX_PACKETS: u32 = 64;
const PACER_STEP: Duration = Duration::from_micros(1);
/// A timeout this near is due.
const SOON: Duration = Duration::from_micros(500);
/// Where less goes than 50 kb/s, the stack fills up with the smallest of packets, 60 per second: more than what a voice takes. It is called for that,
/// and for accounts of a link on which nothing waits, no sooner than after this; what else it waits for in the meantime can be so late.
const QUIET: Duration = Duration::from_millis(250);
/// The same on a link that is thought to carry less than that: what is believed of it stands on the little that it is sent.
const QUIET_ON_THIN: Duration = Duration::from_millis(100);
const THIN_BPS: u32 = 300_000;
/// And where sound comes from the other side, whose arrivals are to be told.
const QUIET_BESIDE_SOUND: Duration = Duration::from_millis(100);
/// And no later than after this where pictures do, whose losses are too.
const QUIET_BESIDE: Duration = Duration::from_millis(20);
/// A timeout that is still due after that comes back no sooner.
const SPIN_BRAKE: Duration = Duration::from_millis(1);

impl Peer {
    /// Brings the stack to rest: drain, do what events asked for, serve timeouts that are due, until nothing is left.
    pub fn settle(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        for _ in 0..MAX_ROUNDS {
            self.drain(now);
            if self.closing.is_none() {
                self.closing = self.link.expired(now);
            }
            if let Some(reason) = self.closing {
                return self.finish(reason, now);
            }
            if self.channel.tidy(&mut self.rtc) || self.tracks.ask(&mut self.rtc, now) || self.repeat() {
                self.drained = false;
                continue;
            }
            if let Some(event) = self.link.reachable(now) {
                self.outputs.push_back(Output::Event(event));
            }
            if self.timeout > now + SOON {
                return;
            }
            let result = self.rtc.handle_input(Input::Timeout(self.timeout.max(now)));
            self.drained = false;
            self.note(result, now);
        }
        self.drain(now);
        if self.timeout <= now + SOON {
            metrics::counter!("mixdown_peer_spins_total").increment(1);
            self.timeout = now + SPIN_BRAKE;
        }
    }

    /// Brings the stack to whether the mix is sent redundantly. True: it was touched.
    fn repeat(&mut self) -> bool {
        let changed = self.session.redundant != self.redundancy.is_on();
        if changed {
            self.session.set_redundant(&mut self.rtc, self.redundancy.is_on());
        }
        changed
    }

    /// Takes everything out of the stack.
    pub(super) fn drain(&mut self, now: Instant) {
        let mut packets = 0;
        for _ in 0..MAX_POLLS {
            match self.rtc.poll_output() {
                Ok(str0m::Output::Timeout(at)) => {
                    self.timeout = self.sparingly(at, now);
                    self.drained = true;
                    if !self.rtc.is_alive() {
                        self.closing.get_or_insert(CloseReason::InternalError);
                    }
                    return;
                }
                Ok(str0m::Output::Transmit(transmit)) => {
                    let paced = stun::kind(&transmit.contents) == Some(stun::Kind::Rtp);
                    self.transmit(transmit, now);
                    if paced && packets < MAX_PACKETS {
                        packets += 1;
                        // It would say so with its next timeout: half of the cost of a packet.
                        let result = self.rtc.handle_input(Input::Timeout(now + PACER_STEP * packets));
                        self.note(result, now);
                    }
                }
                Ok(str0m::Output::Event(event)) => self.on_event(event, now),
                Err(error) => self.note(Err(error), now),
            }
        }
        metrics::counter!("mixdown_peer_spins_total").increment(1);
        self.closing.get_or_insert(CloseReason::InternalError);
    }

    /// When the stack that wants to be called `at` a time is.
    fn sparingly(&mut self, at: Instant, now: Instant) -> Instant {
        let can_wait = match self.rtc.last_timeout_reason() {
            _ if !self.can_wait() => false,
            Reason::Pacer(PacerReason::Padding) => true,
            Reason::Pacer(PacerReason::Handle) | Reason::BweDelayControl => !self.waits(),
            _ => false,
        };
        match can_wait {
            true if self.tracks.pictures_come(now) => at.max(now + QUIET_BESIDE),
            true if self.is_thin() => at.max(now + QUIET_ON_THIN),
            true if self.tracks.come(now) => at.max(now + QUIET_BESIDE_SOUND),
            true => at.max(now + QUIET),
            false => at,
        }
    }

    /// Whether nothing is being found out about the link.
    pub(super) fn can_wait(&self) -> bool {
        !self.fill.fills() && !self.meter.doubts()
    }

    /// Whether the link is thought to carry little, or nothing is known of it.
    pub(super) fn is_thin(&self) -> bool {
        self.meter.stats().estimate_bps.is_none_or(|bps| bps < THIN_BPS)
    }

    /// Whether something waits in the stack until it may be sent.
    fn waits(&mut self) -> bool {
        let down = [self.session.video_down.map(|down| down.mid), self.session.audio_down.map(|down| down.mid)];
        let mut api = self.rtc.direct_api();
        let mut queued = |mid| api.stream_tx_by_mid(mid, None)?.queue_info().map(|queue| queue.packet_count());
        down.into_iter().flatten().any(|mid| queued(mid).is_some_and(|packets| packets > 0))
    }
}
