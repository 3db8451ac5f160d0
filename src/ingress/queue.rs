//! What has been decoded and not shown yet, and when each of it is due: the child's time against ours.
//!
//! A child decodes as fast as it is read; it is read a little ahead, and everything is let go of when its time has come. The clock is this
//! server's: time begins when enough is there, and begins anew when what was due has not come.

use mixdown_codecs::I420Frame;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So much is read ahead …
const AHEAD: Duration = Duration::from_millis(400);
/// … but of pictures, which are large, no more than these.
const MOST_PICTURES: usize = 10;
const MOST_SOUNDS: usize = 64;
/// So much must be there before time begins.
const PREROLL: Duration = Duration::from_millis(120);
/// Everything is handed over this much before its time; slot and mix let go of it. A task that wakes late delays nothing.
const LEAD: Duration = Duration::from_millis(40);
/// Nothing came for this long after it was due: time stands still.
const LATE: Duration = Duration::from_millis(150);

/// Something with its time since the child began.
#[derive(Debug, Clone)]
pub enum Unit {
    Picture(Arc<I420Frame>),
    /// 16-bit samples, 48 kHz stereo.
    Sound(Arc<[u8]>),
}

#[derive(Debug, Default)]
pub struct Queue {
    pictures: VecDeque<(Duration, Arc<I420Frame>)>,
    sounds: VecDeque<(Duration, Arc<[u8]>)>,
    /// What the child has, as far as it has said.
    has_sound: bool,
    /// When the child's time 0 is.
    zero: Option<Instant>,
    /// The latest time that has come in.
    newest: Duration,
    /// No more comes.
    ended: bool,
}

impl Queue {
    pub fn new(has_sound: bool) -> Self {
        Self { has_sound, ..Self::default() }
    }

    pub fn push(&mut self, time: Duration, unit: Unit) {
        match unit {
            Unit::Picture(frame) => self.pictures.push_back((time, frame)),
            Unit::Sound(samples) => self.sounds.push_back((time, samples)),
        }
        self.newest = self.newest.max(time);
    }

    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether more shall be read now.
    pub fn wants(&self, now: Instant) -> bool {
        let played = self.zero.map_or(Duration::ZERO, |zero| now.saturating_duration_since(zero));
        let full = self.pictures.len() >= MOST_PICTURES || self.sounds.len() >= MOST_SOUNDS;
        // What leads is never held up by what is plenty of.
        let starves = if self.has_sound { self.sounds.is_empty() } else { self.pictures.is_empty() };
        !self.ended && ((!full && self.newest < played + AHEAD) || (starves && self.pictures.len() < 2 * MOST_PICTURES))
    }

    /// Begins time where enough is there. True: it has begun now.
    pub fn begin(&mut self, now: Instant) -> bool {
        let Some(first) = self.first().filter(|_| self.zero.is_none()) else { return false };
        let begins = self.ended || self.newest >= first + PREROLL;
        if begins {
            self.zero = now.checked_sub(first);
        }
        begins
    }

    /// Whether time has to stand still, because what was due has not come. True: it does from now on.
    pub fn runs_dry(&mut self, now: Instant) -> bool {
        let Some(zero) = self.zero.filter(|_| !self.ended) else { return false };
        let leads = if self.has_sound { self.sounds.is_empty() } else { self.pictures.is_empty() };
        let dry = leads && now >= zero + self.newest + LATE;
        if dry {
            self.zero = None;
        }
        dry
    }

    /// The next that is due soon, with the time at which it is.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, Unit)> {
        let zero = self.zero?;
        if let Some((time, samples)) = self.sounds.pop_front_if(|(time, _)| zero + *time <= now + LEAD) {
            return Some((zero + time, Unit::Sound(samples)));
        }
        let (time, frame) = self.pictures.pop_front_if(|(time, _)| zero + *time <= now + LEAD)?;
        Some((zero + time, Unit::Picture(frame)))
    }

    /// The first picture, whatever its time is.
    pub fn peek(&self) -> Option<&Arc<I420Frame>> {
        self.pictures.front().map(|(_, frame)| frame)
    }

    /// When [`Self::pop`] or [`Self::runs_dry`] has something to say next.
    pub fn next(&self) -> Option<Instant> {
        let zero = self.zero?;
        let sound = self.sounds.front().map(|(time, _)| *time);
        let unit = sound.into_iter().chain(self.pictures.front().map(|(time, _)| *time)).min();
        let dry = (!self.ended).then(|| zero + self.newest + LATE);
        unit.and_then(|time| (zero + time).checked_sub(LEAD)).into_iter().chain(dry).min()
    }

    /// Everything has been let go of, and no more comes.
    pub fn is_over(&self) -> bool {
        self.ended && self.pictures.is_empty() && self.sounds.is_empty()
    }

    fn first(&self) -> Option<Duration> {
        let times = self.pictures.front().map(|(time, _)| *time).into_iter().chain(self.sounds.front().map(|(time, _)| *time));
        times.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixdown_codecs::Size;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn sound() -> Unit {
        Unit::Sound(Arc::from([0; 4]))
    }

    fn picture() -> Unit {
        Unit::Picture(Arc::new(I420Frame::black(Size::new(16, 16))))
    }

    /// Everything that is let go of until `now`, by kind, in ms after `zero`.
    fn let_go(queue: &mut Queue, zero: Instant, now: Instant) -> Vec<(u128, bool)> {
        std::iter::from_fn(|| queue.pop(now)).map(|(at, unit)| ((at - zero).as_millis(), matches!(unit, Unit::Sound(_)))).collect()
    }

    #[test]
    fn time_begins_when_enough_is_there_and_everything_comes_at_its_time() {
        let (mut queue, now) = (Queue::new(true), crate::runtime::clock::now());
        for n in 0..6 {
            queue.push(ms(20 * n), sound());
        }
        assert!(!queue.begin(now) && queue.pop(now).is_none());
        queue.push(ms(100), picture());
        queue.push(ms(120), sound());
        assert!(queue.begin(now) && !queue.begin(now));
        assert_eq!(let_go(&mut queue, now, now + ms(15)), [(0, true), (20, true), (40, true)], "a little before");
        assert_eq!(let_go(&mut queue, now, now + ms(60)), [(60, true), (80, true), (100, true), (100, false)]);
        assert_eq!(queue.next(), Some(now + ms(80)));
    }

    #[test]
    fn reading_stops_a_little_ahead_and_goes_on_with_time() {
        let (mut queue, now) = (Queue::new(true), crate::runtime::clock::now());
        let mut n = 0;
        while queue.wants(now) {
            queue.push(ms(20 * n), sound());
            n += 1;
        }
        assert_eq!(n, 21, "400 ms");
        queue.begin(now);
        let_go(&mut queue, now, now + ms(100));
        assert!(queue.wants(now + ms(100)));
        let mut film = Queue::new(false);
        (0..10).for_each(|n| film.push(ms(n), picture()));
        assert!(!film.wants(now), "pictures are large");
    }

    #[test]
    fn what_does_not_come_lets_time_stand_still_and_what_has_ended_does_not() {
        let (mut queue, now) = (Queue::new(true), crate::runtime::clock::now());
        (0..10).for_each(|n| queue.push(ms(20 * n), sound()));
        queue.begin(now);
        assert_eq!(let_go(&mut queue, now, now + ms(300)).len(), 10);
        assert!(!queue.runs_dry(now + ms(329)) && queue.runs_dry(now + ms(330)));
        (10..20).for_each(|n| queue.push(ms(20 * n), sound()));
        let later = now + ms(5000);
        assert!(queue.begin(later));
        assert_eq!(let_go(&mut queue, later, later), [(0, true), (20, true), (40, true)], "it goes on where it stood");
        queue.end();
        let_go(&mut queue, now, later + ms(1000));
        assert!(queue.is_over() && !queue.runs_dry(later + ms(10_000)));
    }

    #[test]
    fn pictures_without_sound_lead_themselves() {
        let (mut queue, now) = (Queue::new(false), crate::runtime::clock::now());
        (0..5).for_each(|n| queue.push(ms(40 * n), picture()));
        assert!(queue.begin(now));
        assert_eq!(let_go(&mut queue, now, now + ms(1000)).len(), 5);
        assert!(queue.runs_dry(now + ms(1000)));
    }
}
