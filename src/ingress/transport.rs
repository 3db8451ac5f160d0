//! Where a recording, a film or a stream stands, without media and without a clock: `now` is a parameter.
//!
//! Time goes on only while the media flow: not while they pause, and not while they are waited for.

use std::time::{Duration, Instant};

/// Cheap to copy: whoever has one can say where it stands at any time until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// Where it stands, or stood at `since`.
    position: Duration,
    /// Flows since then.
    since: Option<Instant>,
    /// `None`: a live stream, or not known yet.
    pub duration: Option<Duration>,
    looped: bool,
    /// What was asked for last: to play, or to pause.
    pub playing: bool,
}

impl Transport {
    pub fn new(start: Duration, looped: bool) -> Self {
        Self { position: start, since: None, duration: None, looped, playing: true }
    }

    pub fn position(&self, now: Instant) -> Duration {
        let position = self.position + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        match self.duration.filter(|duration| !duration.is_zero()) {
            Some(duration) if self.looped => Duration::from_nanos((position.as_nanos() % duration.as_nanos()) as u64),
            Some(duration) => position.min(duration),
            None => position,
        }
    }

    /// The media flow from here on.
    pub fn run(&mut self, now: Instant) {
        if self.playing && self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// The media do not flow: they are waited for.
    pub fn hold(&mut self, now: Instant) {
        (self.position, self.since) = (self.position(now), None);
    }

    pub fn is_looped(&self) -> bool {
        self.looped
    }

    /// What no longer is ends with the round that it is in.
    pub fn set_looped(&mut self, looped: bool, now: Instant) {
        self.position = self.position(now);
        self.since = self.since.map(|_| now);
        self.looped = looped;
    }

    pub fn flows(&self) -> bool {
        self.since.is_some()
    }

    pub fn pause(&mut self, now: Instant) {
        self.hold(now);
        self.playing = false;
    }

    /// Stands at `position`, or at the end where that comes earlier; flows again with [`Self::run`].
    pub fn seek(&mut self, position: Duration) {
        (self.position, self.since) = (self.duration.map_or(position, |duration| position.min(duration)), None);
    }

    /// Has come to its end; what is looped never does.
    pub fn is_over(&self, now: Instant) -> bool {
        !self.looped && self.duration.is_some_and(|duration| self.position(now) >= duration)
    }

    /// When it comes to its end, if it flows on.
    pub fn end(&self) -> Option<Instant> {
        let left = self.duration.filter(|_| !self.looped)?.saturating_sub(self.position);
        Some(self.since? + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn film(looped: bool) -> (Transport, Instant) {
        let mut film = Transport::new(ms(500), looped);
        film.duration = Some(ms(10_000));
        (film, crate::runtime::clock::now())
    }

    #[test]
    fn time_goes_on_while_media_flow_and_at_no_other_time() {
        let (mut film, now) = film(false);
        assert_eq!(film.position(now + ms(3000)), ms(500), "nothing has come yet");
        film.run(now);
        assert_eq!(film.position(now + ms(3000)), ms(3500));
        film.hold(now + ms(3000));
        assert_eq!((film.position(now + ms(9000)), film.flows()), (ms(3500), false));
        film.run(now + ms(9000));
        film.pause(now + ms(9100));
        film.run(now + ms(9200));
        assert_eq!(film.position(now + ms(60_000)), ms(3600), "what pauses does not run");
    }

    #[test]
    fn a_film_ends_once_and_a_loop_never() {
        let (mut film, now) = film(false);
        film.run(now);
        assert_eq!(film.end(), Some(now + ms(9500)));
        assert!(!film.is_over(now + ms(9499)) && film.is_over(now + ms(9500)));
        assert_eq!(film.position(now + ms(50_000)), ms(10_000));
        film.set_looped(true, now + ms(9400));
        assert_eq!((film.end(), film.is_over(now + ms(50_000)), film.position(now + ms(9600))), (None, false, ms(100)));
    }

    #[test]
    fn a_loop_that_is_ended_comes_to_the_end_of_its_round() {
        let (mut film, now) = film(true);
        film.run(now);
        let later = now + ms(32_000);
        film.set_looped(false, later);
        assert_eq!((film.position(later), film.is_over(later), film.end()), (ms(2500), false, Some(later + ms(7500))));
        film.pause(later + ms(500));
        film.set_looped(true, later + ms(900));
        assert_eq!((film.position(later + ms(9000)), film.flows()), (ms(3000), false), "it pauses as before");
    }

    #[test]
    fn a_seek_stands_still_until_the_media_are_there_and_goes_no_further_than_the_end() {
        let (mut film, now) = film(false);
        film.run(now);
        film.seek(ms(7000));
        assert_eq!(film.position(now + ms(2000)), ms(7000));
        film.run(now + ms(2000));
        assert_eq!(film.position(now + ms(2500)), ms(7500));
        film.seek(ms(99_000));
        assert!(film.is_over(now));
        let mut live = Transport::new(Duration::ZERO, false);
        live.run(now);
        assert_eq!((live.end(), live.is_over(now + ms(1_000_000))), (None, false));
    }
}
