//! Orders one sender's packets and says, stretch by stretch, what becomes of the time they cover.
//!
//! The *wait* of the sound played now is how much later it is played than its packet could have been there at the
//! earliest ([`Delay::baseline`]). All decisions compare it with [`Jitter::target`]: the shortest wait that leaves packets
//! their slack ([`Delay::slack`]) *and* lets blocks end where packets end. Sound is fetched in whole blocks, so any wait between
//! two such ones is longer and saves nobody. Where the sender's packets fall between two ticks is chance: with packets of 20 ms
//! the target is the slack and 0–20 ms. As the clocks drift it moves along, and every 20 ms of drift to the next packet.
//!
//! * nothing there, and the sender spoke a moment ago: conceal **without** moving on, which lengthens the wait and
//!   saves the sound that comes late; after 120 ms give up and be silent;
//! * a gap before the next packet, numbers without a gap: the sender paused (DTX). The pause is played, shortened or
//!   lengthened so that the wait meets the target again;
//! * a gap with numbers missing: a loss. Concealed, and the last lost packet rebuilt from its successor (FEC);
//!   what was concealed while waiting is taken off;
//! * first packet, or sound after silence: silence until it has waited for the target.
//!
//! A stream that jumps (new SSRC, new timestamps) is followed at its second packet. At most [`CAPACITY`] packets are
//! kept. Holds no sound and decodes nothing.

use super::{MS, delay::Delay};
use std::sync::Arc;

/// Packets that fit.
pub const CAPACITY: usize = 512;

/// Concealment lasts this long at most, then silence follows.
pub const LONGEST_CONCEALMENT: i64 = 120 * MS;
/// Concealment comes in multiples of this (2.5 ms).
const GRAIN: i64 = 120;
/// Waiting longer for one missing packet while its successors are there.
const PATIENCE: i64 = 40 * MS;
/// A wait this far above the target is cut down by dropping packets.
const INTOLERABLE: i64 = 200 * MS;
/// Offsets that are off by more than this belong to another stream.
const PLAUSIBLE: i64 = 1000 * MS;
/// Numbers that jump ahead by more than this, too.
const LONGEST_GAP: u64 = 30_000;
/// With losses about, wait for the successor that carries the redundancy.
const LOSSY: f32 = 0.02;
const RECOVERY_SLACK: i64 = 24 * MS;
/// Samples in one block per channel.
const BLOCK: i64 = 20 * MS;
/// Blocks end this much before packets do: what the resampler needs beyond a block, and steers by.
const MARGIN: i64 = MS;
/// How long a shorter target must do for all packets until it is taken.
const CALM: i64 = 5_000 * MS;

/// One packet on its way to the decoder.
#[derive(Debug, Clone)]
pub struct Packet {
    pub sequence: u64,
    /// Media time of its first sample, in samples at 48 kHz.
    pub time: i64,
    /// Samples at 48 kHz, at least 1.
    pub duration: i64,
    pub level_dbov: Option<i8>,
    pub data: Arc<[u8]>,
}

impl Packet {
    fn end(&self) -> i64 {
        self.time + self.duration
    }

    /// Opus says with packets of at most two bytes that nothing follows for a while (RFC 6716 §2.1.9, RFC 7587 §3.1.3).
    fn is_pause(&self) -> bool {
        self.data.len() <= 2
    }
}

/// What became of a packet at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    Stored,
    /// Its time has passed. Dropped.
    Late,
    /// Seen before. Dropped.
    Duplicate,
    /// Does not belong to the stream. Kept until the next packet says whether a new stream has begun.
    Held,
    /// A new stream began with this packet and the one held before.
    Restarted,
}

/// What to do for the next stretch of time. Durations in samples at 48 kHz.
#[derive(Debug)]
pub enum Step {
    /// Decode, and leave out the first `skip` samples. `cut`: packets before it were dropped.
    Decode { packet: Packet, skip: i64, cut: bool },
    /// Rebuild `samples` lost samples from the packet that follows them.
    Recover { next: Arc<[u8]>, samples: i64 },
    /// Nothing is there: carry the sound on. `lost`: something should be there (and not merely the sender have stopped).
    Conceal { samples: i64, lost: bool },
    /// The sender paused (DTX): its decoder's comfort noise.
    Comfort { samples: i64 },
    /// Nothing to play.
    Silence { samples: i64 },
}

#[derive(Clone, Default)]
struct Slot {
    /// Number of the packet seen last in this slot, plus one; 0 for none.
    seen: u64,
    packet: Option<Packet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is playing: the next packet begins wherever suits.
    Idle,
    Playing,
}

/// The jitter buffer of one sender.
pub struct Jitter {
    slots: Box<[Slot]>,
    stored: usize,
    delay: Delay,
    /// Greatest common divisor of blocks and packets, and the wait that lets both end together.
    grid: i64,
    aligned: i64,
    calm: i64,
    /// What is waited for the picture, and what at least.
    extra: i64,
    least: i64,
    /// (number, end of its media time) of the newest packet.
    newest: Option<(u64, i64)>,
    odd: Option<(Packet, i64)>,
    next: u64,
    /// Media time up to which everything has been handed out.
    cursor: i64,
    phase: Phase,
    /// No packet of the stream has been taken out yet.
    fresh: bool,
    /// The last packet announced a pause.
    paused: bool,
    cut: bool,
    /// Nothing was there when it was wanted last.
    starved: bool,
    /// Concealed in one go until now.
    concealed: i64,
    /// Of that, without moving on.
    credit: i64,
    loss: f32,
    lost: u64,
    trimmed: u64,
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Jitter {
    pub fn new() -> Self {
        Self {
            slots: vec![Slot::default(); CAPACITY].into_boxed_slice(),
            stored: 0,
            delay: Delay::new(),
            grid: BLOCK,
            aligned: 0,
            calm: 0,
            extra: 0,
            least: 0,
            newest: None,
            odd: None,
            next: 0,
            cursor: 0,
            phase: Phase::Idle,
            fresh: true,
            paused: false,
            cut: false,
            starved: false,
            concealed: 0,
            credit: 0,
            loss: 0.0,
            lost: 0,
            trimmed: 0,
        }
    }

    /// The picture comes so much later than the sound, in samples: the target is that much longer. Pictures wait so long to be shown evenly: no less is
    /// kept for what comes late.
    pub fn wait_for_picture(&mut self, extra: i64, least: i64) {
        (self.extra, self.least) = (extra, least);
    }

    /// Takes a packet that arrived at `arrival`.
    pub fn insert(&mut self, packet: Packet, arrival: i64) -> Inserted {
        let offset = arrival.wrapping_sub(packet.time);
        if self.newest.is_none() {
            self.begin(&packet, arrival, offset);
        } else if !self.belongs(&packet, offset) {
            return self.hold(packet, arrival, offset);
        }
        self.odd = None;
        self.store(packet, arrival, offset)
    }

    /// What to play next. `now`: time of the tick. `queued`: samples handed out before that have not been played at
    /// `now`. `need`: how many are wanted; a step may be shorter or longer.
    pub fn step(&mut self, now: i64, queued: i64, need: i64) -> Step {
        let need = (need.max(1) + GRAIN - 1) / GRAIN * GRAIN;
        self.trim(now, queued);
        let Some((sequence, time)) = self.peek() else { return self.starve(need) };
        self.starved = false;
        if self.phase == Phase::Idle {
            return self.rise(sequence, time, now, queued, need);
        }
        if time - self.cursor < GRAIN {
            return self.deliver(sequence);
        }
        let surplus = self.wait(now, queued) - self.target();
        if self.paused || sequence == self.next {
            self.pause(sequence, time, surplus, need)
        } else {
            self.mend(sequence, time, surplus, need)
        }
    }

    /// Lets time pass without playing: afterwards, sound begins anew at the target.
    pub fn skip(&mut self, now: i64) {
        self.cursor = now - self.delay.baseline() - self.target();
        self.phase = Phase::Idle;
        self.paused = true;
        self.concealed = 0;
        self.credit = 0;
        while let Some((sequence, _)) = self.peek() {
            let cursor = self.cursor;
            if self.slot(sequence).packet.as_ref().is_some_and(|packet| packet.end() > cursor) {
                break;
            }
            self.take(sequence);
        }
    }

    /// How much later than possible the sound is played at `now`, in samples.
    pub fn wait(&self, now: i64, queued: i64) -> i64 {
        now - (self.cursor - queued) - self.delay.baseline()
    }

    /// What [`Self::wait`] should be.
    pub fn target(&self) -> i64 {
        self.aligned + MARGIN
    }

    /// Whether sound is playing, so that its wait means something.
    pub fn is_playing(&self) -> bool {
        self.phase == Phase::Playing && !self.starved
    }

    /// Samples from the next one to be handed out to the end of the newest packet.
    pub fn span(&self) -> i64 {
        self.newest.map_or(0, |(_, end)| end - self.cursor).max(0)
    }

    /// Packets that never came in time.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets dropped because too many were waiting.
    pub fn trimmed(&self) -> u64 {
        self.trimmed
    }

    fn slot(&mut self, sequence: u64) -> &mut Slot {
        &mut self.slots[(sequence % CAPACITY as u64) as usize]
    }

    fn begin(&mut self, packet: &Packet, arrival: i64, offset: i64) {
        self.slots.fill(Slot::default());
        self.stored = 0;
        self.newest = Some((packet.sequence, packet.end()));
        self.next = packet.sequence;
        self.cursor = packet.time;
        self.phase = Phase::Idle;
        self.fresh = true;
        self.paused = true;
        self.concealed = 0;
        self.credit = 0;
        self.delay.rebase(arrival, offset);
        self.grid = BLOCK;
        self.aligned = 0;
    }

    /// Brings the target to where blocks (which begin at multiples of [`BLOCK`]) end with packets like this one.
    fn align(&mut self, packet: &Packet) {
        self.grid = gcd(self.grid, packet.duration);
        let slack = self.delay.slack().max(self.least).max(if self.loss > LOSSY { RECOVERY_SLACK } else { 0 });
        let least = slack + self.extra + BLOCK - self.grid;
        let phase = self.delay.baseline().wrapping_add(packet.time).wrapping_neg();
        let ahead = phase.wrapping_sub(self.aligned).rem_euclid(self.grid);
        let near = self.aligned + if ahead > self.grid / 2 { ahead - self.grid } else { ahead };
        // Of great jitter the slack is a rough estimate: a little less of it moves nothing.
        let little = ((slack - 20 * MS) / 10).clamp(0, 4 * MS);
        let grids = (near - (least - little)).div_euclid(self.grid);
        self.calm = if grids == 1 { self.calm + packet.duration } else { 0 };
        let stays = grids == 0 || grids == 1 && self.calm < CALM;
        self.aligned = if stays { near } else { least + phase.wrapping_sub(least).rem_euclid(self.grid) };
    }

    fn belongs(&self, packet: &Packet, offset: i64) -> bool {
        let newest = self.newest.map_or(0, |(sequence, _)| sequence);
        let near = offset.saturating_sub(self.delay.baseline()).saturating_abs() < PLAUSIBLE;
        near && packet.sequence.saturating_add(CAPACITY as u64) > newest && packet.sequence < newest.saturating_add(LONGEST_GAP)
    }

    fn hold(&mut self, packet: Packet, arrival: i64, offset: i64) -> Inserted {
        if let Some((first, first_arrival)) = self.odd.take() {
            let follows = packet.sequence.wrapping_sub(first.sequence).wrapping_sub(1) < 4;
            let first_offset = first_arrival.wrapping_sub(first.time);
            if follows && offset.saturating_sub(first_offset).saturating_abs() < PLAUSIBLE {
                self.begin(&first, first_arrival, first_offset);
                self.store(first, first_arrival, first_offset);
                self.store(packet, arrival, offset);
                return Inserted::Restarted;
            }
        }
        self.odd = Some((packet, arrival));
        Inserted::Held
    }

    fn store(&mut self, packet: Packet, arrival: i64, offset: i64) -> Inserted {
        let slot = self.slot(packet.sequence);
        if slot.seen == packet.sequence.wrapping_add(1) {
            return Inserted::Duplicate;
        }
        slot.seen = packet.sequence.wrapping_add(1);
        let displaced = slot.packet.take().is_some();
        self.delay.observe(arrival, offset);
        self.align(&packet);
        if displaced {
            self.stored -= 1;
            self.trimmed += 1;
        }
        if !self.fresh && (packet.sequence < self.next || packet.end() <= self.cursor) {
            return Inserted::Late;
        }
        if packet.sequence < self.next {
            self.next = packet.sequence;
        }
        if self.newest.is_none_or(|(sequence, _)| packet.sequence > sequence) {
            self.newest = Some((packet.sequence, packet.end()));
        }
        self.stored += 1;
        let sequence = packet.sequence;
        self.slot(sequence).packet = Some(packet);
        Inserted::Stored
    }

    /// Number and media time of the earliest packet.
    fn peek(&mut self) -> Option<(u64, i64)> {
        let (newest, _) = self.newest?;
        if self.stored == 0 {
            return None;
        }
        let first = self.next.max(newest.saturating_sub(CAPACITY as u64 - 1));
        (first..=newest).find_map(|sequence| {
            let packet = self.slot(sequence).packet.as_ref().filter(|packet| packet.sequence == sequence)?;
            Some((sequence, packet.time))
        })
    }

    fn take(&mut self, sequence: u64) -> Option<Packet> {
        let packet = self.slot(sequence).packet.take()?;
        self.stored -= 1;
        let missing = sequence.saturating_sub(self.next);
        self.lost += missing;
        for _ in 0..missing.min(50) {
            self.loss += (1.0 - self.loss) * 0.01;
        }
        self.loss *= 0.99;
        self.next = sequence.saturating_add(1);
        self.fresh = false;
        Some(packet)
    }

    fn deliver(&mut self, sequence: u64) -> Step {
        let Some(packet) = self.take(sequence) else { return self.starve(GRAIN) };
        let skip = (self.cursor - packet.time).clamp(0, packet.duration);
        self.cursor = packet.end();
        self.phase = Phase::Playing;
        self.paused = packet.is_pause();
        self.concealed = 0;
        self.credit = 0;
        Step::Decode { packet, skip, cut: std::mem::take(&mut self.cut) }
    }

    /// Nothing to play: the sender paused, or its packets are late.
    fn starve(&mut self, need: i64) -> Step {
        self.starved = true;
        if self.phase == Phase::Playing && self.paused {
            return Step::Comfort { samples: need };
        }
        if self.phase == Phase::Idle || self.concealed >= LONGEST_CONCEALMENT {
            self.phase = Phase::Idle;
            return Step::Silence { samples: need };
        }
        self.concealed += need;
        self.credit += need;
        Step::Conceal { samples: need, lost: true }
    }

    /// Sound after silence: it begins when it has waited for the target.
    fn rise(&mut self, sequence: u64, time: i64, now: i64, queued: i64, need: i64) -> Step {
        let wanted = now + queued - self.delay.baseline() - self.target();
        let silence = time - wanted;
        if silence <= 0 {
            self.cursor = if self.paused { wanted.max(time) } else { time };
            return self.deliver(sequence);
        }
        Step::Silence { samples: silence.min(need) }
    }

    /// The sender paused between two packets.
    fn pause(&mut self, sequence: u64, time: i64, surplus: i64, need: i64) -> Step {
        self.cursor += surplus.clamp(0, time - self.cursor);
        let gap = time - self.cursor;
        if gap < GRAIN {
            return self.deliver(sequence);
        }
        let samples = if surplus < 0 {
            need.min((GRAIN - 1 - surplus) / GRAIN * GRAIN)
        } else {
            let samples = need.min(gap / GRAIN * GRAIN);
            self.cursor += samples;
            samples
        };
        self.fill(samples, true)
    }

    /// Packets are missing before the next one.
    fn mend(&mut self, sequence: u64, time: i64, surplus: i64, need: i64) -> Step {
        let far_behind = surplus > INTOLERABLE;
        let owed = if far_behind { surplus } else { self.credit.min(surplus) }.clamp(0, time - self.cursor);
        self.cursor += owed;
        self.credit = (self.credit - owed).max(0);
        self.cut |= far_behind;
        let gap = time - self.cursor;
        if gap < GRAIN {
            return self.deliver(sequence);
        }
        if surplus < -5 * MS && self.credit < PATIENCE {
            let samples = need.min(PATIENCE);
            self.credit += samples;
            return self.fill(samples, false);
        }
        let packet = self.slot(sequence).packet.as_ref();
        let Some((next, duration)) = packet.map(|packet| (packet.data.clone(), packet.duration)) else { return self.starve(need) };
        let whole = gap / GRAIN * GRAIN;
        if gap < duration + GRAIN {
            self.cursor += whole;
            self.concealed += whole;
            return Step::Recover { next, samples: whole };
        }
        let samples = need.min((gap - duration).max(GRAIN) / GRAIN * GRAIN);
        self.cursor += samples;
        self.fill(samples, false)
    }

    fn fill(&mut self, samples: i64, pause: bool) -> Step {
        if pause && self.paused {
            return Step::Comfort { samples };
        }
        if self.concealed >= LONGEST_CONCEALMENT {
            return Step::Silence { samples };
        }
        self.concealed += samples;
        Step::Conceal { samples, lost: !pause }
    }

    /// Drops packets when far more wait than need to.
    fn trim(&mut self, now: i64, queued: i64) {
        let bound = self.target() + INTOLERABLE;
        while self.stored > 1 && self.phase == Phase::Playing && self.wait(now, queued) > bound && self.span() > self.target() {
            let Some((sequence, _)) = self.peek() else { return };
            let Some(packet) = self.take(sequence) else { return };
            self.cursor = self.cursor.max(packet.end());
            self.cut = true;
            self.trimmed += 1;
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
