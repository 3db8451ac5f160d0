//! Rate tiers: which step of the rate ladder one subscriber is on. Pure: estimates, wishes and time in, a rung out.
//!
//! [`ladder()`] says what rungs a canvas has. A [`Tier`] holds one subscriber's place on it. Wishes (limits, size of the player,
//! hidden, to save data) bound it and count at once, in both directions. The link's estimate bounds it too: what does not fit is left at
//! once, for the best rung that fits; a better one is taken after headroom that lasted, and each time that this turns out
//! to have been too much the next attempt waits twice as long. Whether there is headroom is found out by aiming higher for
//! a moment, every few seconds: the connection then probes.
//!
//! Deliberately absent: what else runs in the room, and any clock.

mod ladder;
mod room;
#[cfg(test)]
mod tests;

pub use ladder::{Pace, Rung, best, bitrate, ladder};
pub(super) use room::is_screen;

use super::model::Canvas;
use super::sound::Grade;
use crate::overload::Step;
use mixdown_codecs::Size;
use mixdown_codecs::video::BASE_SHARE;
use std::ops::Range;
use std::time::{Duration, Instant};

/// What the sound needs of a link, with the headers of its packets: the whole, and the lean and the thin one of the lowest rungs.
const SOUND_BPS: u32 = 80_000;
const LEAN_BPS: u32 = 45_000;
const THIN_BPS: u32 = 33_000;
/// What "save data" is worth, picture and sound.
const SAVING_BPS: u32 = 350_000;
/// How long the first estimates of a connection are not believed where they are about what it began with.
const GRACE: Duration = Duration::from_secs(2);
/// A rung is left when its share of what it needs is not there: encoders seldom use all of their bits, and who is alone on a
/// rung has its encoder follow.
const SHARED: f32 = 0.85;
const ALONE: f32 = 0.7;
/// What pictures took of late counts so many times over, for they may soon take more: where a rung is to be taken, and where it is to be kept. And for no
/// less than that share of the bits of their rung, so that a keyframe has not far to go.
const AMPLE: f32 = 2.0;
const ENOUGH: f32 = 1.25;
const LEAST_LOAD: f32 = 0.6;
/// What is left after each report of what they once took.
const REMEMBERED: f32 = 0.93;
/// The lowest rung that moves is as thin as its link has it, and an estimate follows what little is sent: below this share it is believed all the same.
const ELASTIC: f32 = 0.7;
/// A rung is taken when there is this much of what it needs, for that long.
const HEADROOM: f32 = 1.1;
const SUSTAINED: Duration = Duration::from_millis(1_500);
/// Where that is so many times of what the present one needs, it takes longer until the estimator knows that so much gets through. Until then the first
/// sign of a queue would throw the estimate back to what was sent before.
const FAR: u32 = 4;
const LONG_SUSTAINED: Duration = Duration::from_millis(2_250);
/// How long a look for headroom takes, and the pause after a vain one. Each begins with a probe, which finds nothing where it is disturbed.
const LOOK: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(1_000);
/// The pause where a probe of a few packets holds the sound up.
const LONG_PAUSE: Duration = Duration::from_secs(3);
/// Pictures that take less than this stand still; the pause then, in which nothing is gained by a better rung: each look costs the link a second of padding.
const STILL_BPS: u32 = 20_000;
const STILL_PAUSE: Duration = Duration::from_secs(20);
/// No more than so many times of what such a link is thought to carry is probed for.
const THIN_AIM: u32 = 3;
/// A step up that is taken back within this time was one too many.
const TRIAL: Duration = Duration::from_secs(8);
const FIRST_BACKOFF: Duration = Duration::from_secs(2);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// A link that is reported congested is given this long before it is believed to be so still.
const RELIEF: Duration = Duration::from_millis(600);
/// Who loses pictures that others receive too is served apart, for this long after the last loss, and twice as long each time: to come back costs the
/// others a keyframe. What is asked for within a moment of the first wish of all is that of somebody who has just come.
const APART: Duration = Duration::from_secs(60);
const LONGEST_APART: Duration = Duration::from_secs(960);
const COMING: Duration = Duration::from_secs(2);
/// Of an estimate, how much an encoder that follows it may use.
const STEERED: f32 = 0.85;

/// What a subscriber asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    pub max_bps: Option<u32>,
    /// The picture must not be larger.
    pub max_size: Option<Size>,
    /// It need not be larger: the size in which it is shown.
    pub shown: Option<Size>,
    /// Nobody looks.
    pub hidden: bool,
    pub save_data: bool,
    /// What the server gives up for lack of time.
    pub step: Step,
}

impl Wishes {
    fn most_bps(&self) -> u32 {
        let saving = if self.save_data { SAVING_BPS } else { u32::MAX };
        self.max_bps.unwrap_or(u32::MAX).min(saving)
    }
}

/// What a ladder was made for.
#[derive(Debug, Clone, PartialEq)]
struct Basis {
    canvas: Canvas,
    hd_bps: u32,
    /// Most of it is a shared screen.
    screen: bool,
}

/// One subscriber's place.
#[derive(Debug, Clone, Default)]
pub struct Tier {
    basis: Option<Basis>,
    rungs: Vec<Rung>,
    wishes: Wishes,
    /// The best rung that wishes allow, and the best that their sizes alone allow.
    top: usize,
    fitting: usize,
    /// The best rung that wishes would allow if the server were not overloaded.
    free: usize,
    /// The best rung that the link is believed to carry.
    at: usize,
    estimate: Option<u32>,
    /// The most that it was since the link last turned out to carry less than was sent.
    proven: u32,
    /// The share of a rung's bits that pictures took of late; `None`: nothing is known of them.
    load: Option<f32>,
    /// What the last report was about, and whether pictures stood still.
    reported: Option<Rung>,
    still: bool,
    /// There is an estimator.
    heard: bool,
    /// The first estimate since more was sent than before, and until when it is taken for a guess.
    first: Option<u32>,
    settling: Option<Instant>,
    /// Since when there is enough for a better rung, and until when there must be.
    headroom: Option<(Instant, Instant)>,
    looking: Option<Instant>,
    /// No look for headroom before.
    rests: Option<Instant>,
    /// After a fall nothing better is tried before this.
    fell: Option<Instant>,
    rose: Option<Instant>,
    backoff: Option<Duration>,
    congested: Option<Instant>,
    /// When pictures were first lost, until when what is sent is encoded apart from what others receive, and for how long.
    lost: Option<Instant>,
    apart: Option<Instant>,
    apart_for: Duration,
}

impl Tier {
    /// The canvas that is watched and what is asked for, as of now.
    pub fn follow(&mut self, canvas: &Canvas, hd_bps: u32, screen: bool, wishes: Wishes) {
        let same = |basis: &Basis| basis.canvas == *canvas && basis.hd_bps == hd_bps && basis.screen == screen;
        let known = self.basis.as_ref().is_some_and(same);
        if known && self.wishes == wishes {
            return;
        }
        let before = self.needs(self.place());
        if !known {
            let at_top = self.at == 0;
            let carried = self.needs(self.at);
            // Cameras take as much on another canvas; what they take says nothing of a screen.
            self.load = self.load.filter(|_| self.basis.as_ref().is_some_and(|basis| basis.screen == screen));
            self.basis = Some(Basis { canvas: canvas.clone(), hd_bps, screen });
            self.rungs = ladder(canvas, hd_bps, screen);
            self.at = if at_top { 0 } else { self.fit(carried, 0) };
        }
        let shows = std::mem::replace(&mut self.wishes, wishes).hidden && !wishes.hidden;
        // A server without time encodes nothing twice.
        self.apart = self.apart.filter(|_| wishes.step == Step::Whole);
        self.free = self.fit(wishes.most_bps(), self.fits(Step::Whole));
        self.fitting = self.fits(wishes.step);
        self.top = self.fit(wishes.most_bps(), self.fitting);
        // More is wished for than before: as much as the link has been found to carry, and a look for the rest at once.
        if let Some(estimate) = self.estimate.filter(|_| self.needs(self.place()) > before || shows) {
            let carried = estimate.max(self.proven);
            if (carried as f32) < self.demand(self.place(), ENOUGH) as f32 * SHARED {
                self.at = self.carried(carried, self.top);
            }
            // What has been estimated since is about what was sent, which was less.
            (self.first, self.settling) = (None, None);
            (self.rests, self.fell, self.looking) = (None, None, None);
        }
    }

    /// What the link carries, by estimate. `alone`: the rendition's encoder follows it.
    pub fn estimate(&mut self, bps: u32, alone: bool, now: Instant) {
        self.estimate = Some(bps);
        self.proven = self.proven.max(bps);
        self.heard = true;
        if self.first.is_none() {
            self.settling = Some(now + GRACE);
        }
        let first = *self.first.get_or_insert(bps);
        let guess = self.settling.is_some_and(|until| now < until) && bps as f32 >= first as f32 * 0.8;
        if !guess {
            self.settling = None;
            self.judge(alone, now);
        }
    }

    /// The pictures of the present rung took `bps`, keyframes aside. What a shared screen takes says nothing of what it takes next.
    pub fn pictures(&mut self, bps: u32, alone: bool, now: Instant) {
        let moves = |rung: &Rung| matches!(rung.pace, Pace::Whole | Pace::Halved) && !rung.screen;
        let Some(rung) = self.rung().filter(moves).filter(|_| !self.wishes.hidden) else {
            self.still = false;
            return;
        };
        if self.reported.replace(rung) != Some(rung) {
            // It is about the rung before as well.
            return;
        }
        let moves_again = std::mem::replace(&mut self.still, bps < STILL_BPS) && !self.still;
        if moves_again && self.fell.is_none_or(|until| now >= until) {
            self.rests = None;
        }
        let load = bps as f32 / (rung.needs_bps - SOUND_BPS) as f32;
        self.load = Some(load.max(self.load.unwrap_or(1.0) * REMEMBERED).min(1.0));
        if self.settling.is_none() {
            self.judge(alone, now);
        }
    }

    /// Pictures wait for the link, which takes `bps`.
    pub fn congested(&mut self, bps: u32, now: Instant) {
        if self.congested.is_some_and(|before| now < before + RELIEF) {
            return;
        }
        self.congested = Some(now);
        // They take more than they did.
        self.load = None;
        self.estimate = Some(self.estimate.map_or(bps, |estimate| estimate.min(bps)));
        let place = self.place();
        if self.rung().is_some_and(|rung| rung.pace == Pace::Slow && bps >= rung.needs_bps) {
            // It gets thinner where it is.
            return;
        }
        let to = self.carried(bps, place + 1);
        self.fall(to, now);
    }

    /// Pictures were lost on the way, and a keyframe is wanted. `shared`: what others receive too.
    pub fn lost(&mut self, shared: bool, now: Instant) {
        if self.rung().is_some_and(|rung| rung.pace >= Pace::Still) {
            // Nothing refers to a still.
            return;
        }
        let first = *self.lost.get_or_insert(now);
        if self.apart.is_some() {
            self.apart = Some(now + self.apart_for);
        } else if shared && now >= first + COMING && self.wishes.step == Step::Whole {
            self.apart_for = (self.apart_for * 2).clamp(APART, LONGEST_APART);
            self.apart = Some(now + self.apart_for);
        }
    }

    /// Time has come, at or after [`Tier::deadline`].
    pub fn handle_timeout(&mut self, alone: bool, now: Instant) {
        self.apart = self.apart.filter(|until| now < *until);
        if self.settling.is_none_or(|until| now >= until) {
            self.settling = None;
            self.judge(alone, now);
        }
    }

    /// When something happens without an estimate.
    pub fn deadline(&self) -> Option<Instant> {
        self.apart.into_iter().chain(self.moves_at()).min()
    }

    fn moves_at(&self) -> Option<Instant> {
        if self.settling.is_some() || self.wishes.hidden || self.place() <= self.top {
            return self.settling;
        }
        self.headroom.map(|(_, until)| until).or(self.looking).or(self.rests)
    }

    /// The rung to be on; `None`: nobody looks, and no canvas is watched.
    pub fn rung(&self) -> Option<Rung> {
        let rung = Rung { apart: self.apart.is_some(), ..*self.rungs.get(self.place())? };
        let slate = self.wishes.step == Step::NoVideo && rung.pace == Pace::Still;
        Some(if slate { rung.slate(self.rungs[self.whole(Step::NoVideo)].size) } else { rung })
    }

    /// How much of the sound; `None`: as yet unknown.
    pub fn grade(&self) -> Option<Grade> {
        // Sound is never given up for lack of time.
        let rung = self.rungs.get(self.at.max(self.free).min(self.rungs.len().saturating_sub(1)))?;
        Some(match self.estimate.filter(|_| self.wishes.hidden) {
            None if self.wishes.hidden => Grade::Whole,
            None if rung.pace == Pace::Slow && self.estimate.is_some_and(|bps| (bps as f32) < ladder::LEAN_FROM_BPS as f32 * HEADROOM) => {
                Grade::Thin
            }
            None if rung.pace == Pace::Still
                && self.estimate.is_some_and(|bps| bps as f32 >= (ladder::STILL_BPS + LEAN_BPS) as f32 * SHARED) =>
            {
                Grade::Lean
            }
            None => rung.grade(),
            // Beside no picture the sound has all of the link.
            Some(estimate) if estimate as f32 >= SOUND_BPS as f32 * SHARED => Grade::Whole,
            Some(estimate) if estimate as f32 >= LEAN_BPS as f32 * SHARED => Grade::Lean,
            Some(_) => Grade::Thin,
        })
    }

    /// Whether a picture is to be sent at all.
    pub fn has_picture(&self) -> bool {
        !self.wishes.hidden && self.rung().is_none_or(|rung| rung.pace != Pace::Voice)
    }

    /// What the connection is to send at least, with padding, and what it shall find out that it carries, in bits per second; 0: nothing in particular.
    pub fn aim(&self) -> Range<u32> {
        // Where wishes alone hold it down the link is kept known, so that more can be sent the moment it is wished for.
        let place = match (self.looking.is_some() || self.headroom.is_some(), self.wishes.save_data) {
            (true, _) => self.top,
            (false, true) => self.place(),
            (false, false) => self.at.min(self.place()),
        };
        // A rung is taken with headroom: to find no more than it needs would keep everybody below it.
        let ample = |bps: u32| (bps as f32 * HEADROOM * 1.1) as u32;
        let aim = |place| ample(self.needs(place));
        // Padding beyond what is wished for would be of no use to anybody.
        let wished = if self.wishes.hidden { SOUND_BPS } else { ample(self.wishes.most_bps()) };
        let thin = self.rung().is_some_and(|rung| rung.pace >= Pace::Still) && self.wishes.step != Step::NoVideo;
        // In powers of two: each rise is a probe. A probe for all of it would hold the sound up for as long as it takes to go through.
        let most = self
            .estimate
            .filter(|_| thin)
            .map_or(u32::MAX, |bps| aim(self.place().saturating_sub(1)).max(1 << bps.saturating_mul(THIN_AIM).max(1).ilog2()));
        // The stack's own probes are twice of what is aimed at, and what they find is what it believes: they must not find less than is known, as far as that
        // is of use.
        let known = self.estimate.map_or(0, |bps| 1 << bps.max(1).ilog2()).min(aim(self.top));
        let end = aim(place).max(known).min(most).min(wished);
        // What a better rung needs is sent before it is taken: an estimate falls to what got through of late, and while its first, large picture is on the way
        // that must not be next to nothing. Below what moves the padding would be felt by the voice.
        let least = self
            .headroom
            .and(self.estimate)
            .filter(|_| !thin)
            .and_then(|estimate| self.better(estimate))
            .map_or(0, |place| self.demand(place, AMPLE));
        least.min(end)..end
    }

    /// What the rung's encoder may use where it serves this subscriber alone; between the least and the next better rung.
    pub fn steer(&self) -> Option<u32> {
        let (rung, place) = (self.rung()?, self.place());
        let link = self.estimate.map_or(u32::MAX, |estimate| (estimate as f32 * STEERED) as u32);
        let sound = match self.grade() {
            _ if rung.grade() == Grade::Whole => SOUND_BPS,
            Some(Grade::Thin) => THIN_BPS,
            _ => LEAN_BPS,
        };
        let room = link.min(self.wishes.most_bps()).saturating_sub(sound);
        let room = if rung.pace == Pace::Halved { (room as f32 / BASE_SHARE) as u32 } else { room };
        let stretches = rung.pace == Pace::Whole && place > self.fitting;
        let most = if stretches { self.rungs[place - 1].bitrate_bps / 10 * 9 } else { rung.bitrate_bps };
        Some(room.clamp(rung.least_bps().min(most), most))
    }

    /// Whether pictures of this rate may be sent in place of the best rung; `already`: they are.
    pub fn takes(&self, bps: u32, already: bool) -> bool {
        let needs = bps.saturating_add(SOUND_BPS);
        let share = if already { SHARED } else { HEADROOM };
        let carried = self.estimate.is_none_or(|estimate| estimate as f32 >= needs as f32 * share);
        self.at.max(self.free) == 0 && carried && needs <= self.wishes.most_bps()
    }

    fn place(&self) -> usize {
        self.at.max(self.top).min(self.rungs.len().saturating_sub(1))
    }

    fn needs(&self, place: usize) -> u32 {
        self.rungs.get(place).map_or(0, |rung| rung.needs_bps)
    }

    /// What a rung is likely to need of a link, by what pictures took of late, `times` over: no more than [`needs`](Self::needs), and less where they take little.
    fn demand(&self, place: usize, times: f32) -> u32 {
        let needs = self.needs(place);
        let moves = self.rungs.get(place).is_some_and(|rung| rung.pace <= Pace::Halved);
        let share = self.load.filter(|_| moves).map(|load| (load * times).clamp(LEAST_LOAD, 1.0));
        share.map_or(needs, |share| SOUND_BPS + ((needs - SOUND_BPS) as f32 * share) as u32)
    }

    /// The first rung from `from` on that is likely to need no more than this.
    fn carried(&self, bps: u32, from: usize) -> usize {
        let last = self.rungs.len().saturating_sub(1);
        (from..last).find(|place| self.demand(*place, AMPLE) <= bps).unwrap_or(last)
    }

    /// The first rung from `from` on that needs no more than this.
    fn fit(&self, bps: u32, from: usize) -> usize {
        let last = self.rungs.len().saturating_sub(1);
        (from..last).find(|place| self.needs(*place) <= bps).unwrap_or(last)
    }

    /// The best rung that is neither too large nor larger than it is shown.
    fn fits(&self, step: Step) -> usize {
        if step == Step::NoVideo { ladder::still(&self.rungs) } else { self.whole(step) }
    }

    /// The same of those that move.
    fn whole(&self, step: Step) -> usize {
        let whole = self.rungs.iter().filter(|rung| rung.pace == Pace::Whole).count();
        let within = |size: Size| self.wishes.max_size.is_none_or(|most| size.width <= most.width && size.height <= most.height);
        let fits = |rung: &Rung| within(rung.size) && rung.lines() <= step.lines();
        let first = (0..whole).find(|place| fits(&self.rungs[*place])).unwrap_or(whole.saturating_sub(1));
        let Some(shown) = self.wishes.shown.filter(|shown| shown.width > 0 && shown.height > 0) else { return first };
        // A player shows a picture as large as both sides allow; a tenth too small is not seen.
        let covers = |size: Size| {
            let (width, height) =
                (u64::from(size.width) * 10 >= u64::from(shown.width) * 9, u64::from(size.height) * 10 >= u64::from(shown.height) * 9);
            width || height
        };
        let last = (first..whole).take_while(|place| covers(self.rungs[*place].size)).last().unwrap_or(first);
        // Of one size the best.
        (first..last).find(|place| self.rungs[*place].size == self.rungs[last].size).unwrap_or(last)
    }

    fn judge(&mut self, alone: bool, now: Instant) {
        let (Some(estimate), Some(rung)) = (self.estimate, self.rung()) else { return };
        if self.wishes.hidden {
            // Next to nothing is sent, and what is estimated is about that.
            (self.headroom, self.looking) = (None, None);
            return;
        }
        let share = match rung.pace {
            Pace::Slow => ELASTIC,
            Pace::Whole if alone => ALONE,
            _ => SHARED,
        };
        // Without an estimator a congested link alone says what does not fit, and trying what does.
        let blind = !self.heard;
        if !blind && (estimate as f32) < self.demand(self.place(), ENOUGH) as f32 * share {
            return self.fall(self.carried(estimate, self.place() + 1), now);
        }
        if self.place() <= self.top {
            (self.headroom, self.looking) = (None, None);
            return;
        }
        let estimate = if blind { self.demand(self.place() - 1, AMPLE) * 2 } else { estimate };
        self.climb(estimate, now);
    }

    fn fall(&mut self, to: usize, now: Instant) {
        let first = self.backoff.unwrap_or(FIRST_BACKOFF);
        let backoff = match self.rose.take() {
            Some(rose) if now < rose + TRIAL => (first * 2).min(LONGEST_BACKOFF),
            Some(_) => FIRST_BACKOFF,
            None => first,
        };
        self.at = to;
        self.proven = self.estimate.unwrap_or(0);
        self.backoff = Some(backoff);
        (self.headroom, self.looking) = (None, None);
        (self.rests, self.fell) = (Some(now + backoff), Some(now + backoff));
    }

    /// The best rung above for which there is enough, with headroom.
    fn better(&self, estimate: u32) -> Option<usize> {
        (self.top..self.place()).find(|place| self.demand(*place, AMPLE) as f32 * HEADROOM <= estimate as f32)
    }

    fn climb(&mut self, estimate: u32, now: Instant) {
        let Some(better) = self.better(estimate) else {
            self.headroom = None;
            return self.look(now);
        };
        if self.fell.is_some_and(|until| now < until) {
            return;
        }
        let since = self.headroom.map_or(now, |(since, _)| since);
        let far = self.needs(better) > self.needs(self.place()).saturating_mul(FAR);
        let until = since + if far { LONG_SUSTAINED } else { SUSTAINED };
        self.headroom = Some((since, until));
        if now >= until {
            self.at = better;
            (self.headroom, self.rose) = (None, Some(now));
            self.looking = (self.place() > self.top).then_some(now + LOOK);
        }
    }

    /// Looks for headroom, or rests from it.
    fn look(&mut self, now: Instant) {
        match self.looking {
            Some(until) if now < until => {}
            Some(_) => {
                let thin = self.rung().is_some_and(|rung| rung.pace >= Pace::Still);
                let pause = if thin { LONG_PAUSE } else { PAUSE };
                (self.looking, self.rests) = (None, Some(now + if self.still { STILL_PAUSE } else { pause }));
            }
            None if self.rests.is_none_or(|until| now >= until) => (self.looking, self.rests) = (Some(now + LOOK), None),
            None => {}
        }
    }
}
