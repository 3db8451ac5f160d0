//! Figures of one connection.

use super::doubt::{Doubt, Known};
use super::types::{Event, Stats};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Meter {
    stats: Stats,
    /// Byte counts and time at the last report.
    mark: Option<(u64, u64, Instant)>,
    /// Bytes of pictures since then; `None`: a keyframe is among them.
    pictures: Option<usize>,
    /// Loss and round-trip time out of receiver reports since the last report.
    reported_loss: Option<f32>,
    reported_rtt: Option<Duration>,
    /// The estimate that the room knows.
    told: Option<(u32, Instant)>,
    /// The stack's estimate before it is averaged over seconds.
    latest: Option<Latest>,
    average: Option<u32>,
    /// What was last found, and whether it is believed.
    found: u32,
    doubt: Doubt,
    anew: Option<Anew>,
    /// What the link shall be found to carry.
    wanted: u32,
    /// Round trips by receivers' reports, and the stack's own: the former wait in a queue with everything else, and tell of one late.
    reported: RoundTrips,
    own: RoundTrips,
}

/// The stack began anew: what it averages is of before for a while.
#[derive(Debug, Clone, Copy)]
struct Anew {
    at: Instant,
    /// What it began with, and what had been found.
    with: u32,
    found: u32,
}

#[derive(Debug, Clone, Copy)]
struct Latest {
    bps: u32,
    /// The lower of this and the one before: where there is enough already, what a probe has found for a moment is not yet there.
    held: u32,
    at: Instant,
    /// The highest average since.
    average: u32,
}

impl Latest {
    /// What counts of it beside that average.
    fn beside(&self, average: u32) -> u32 {
        if average <= THIN { self.bps } else { self.held }
    }
}

/// The last round trip and the shortest of late, in milliseconds.
#[derive(Debug, Default)]
struct RoundTrips {
    last: Option<f32>,
    least: Option<f32>,
}

impl RoundTrips {
    /// Once a second.
    fn note(&mut self, ms: Option<f32>) {
        self.last = ms;
        self.least = ms.into_iter().chain(self.least.map(|least| least + FORGET_MS)).reduce(f32::min);
    }

    /// By how much the last one was longer than it would have to be.
    fn waits(&self) -> Option<f32> {
        Some(self.last? - self.least?)
    }
}

/// Over how long the stack averages.
const AVERAGED: Duration = Duration::from_secs(3);
/// How long an estimate that is not averaged counts.
const LATEST: Duration = Duration::from_millis(1_500);
/// On a link that is thought to carry no more than this, what was found last counts at once: there is much to gain.
const THIN: u32 = 400_000;
/// A link whose round trips are no longer than by this, and that loses no more than this share, carries what is sent.
const CALM_MS: f32 = 60.0;
const CALM_LOSS: f32 = 0.1;
/// More than this is no chance.
const CHANCE_LOSS: f32 = 0.02;
/// Where little is sent an estimate that follows what arrives goes down by chance and not up again: up to here it does not fall below what goes out.
const LITTLE: u32 = 200_000;
/// A link that carries little, and on which packets wait for so long, is given no more than this until they are through: what a thin picture and a thin
/// sound take. The estimator is content with a queue that grows no more.
const QUEUE_MS: f32 = 300.0;
const DRAINS: u32 = 75_000;
/// By so much the shortest round trip is forgotten with each report, each second: the way may have become a longer one.
const FORGET_MS: f32 = 5.0;

impl Meter {
    pub fn received(&mut self, bytes: usize) {
        self.stats.received_bytes += bytes as u64;
        self.stats.received_packets += 1;
    }

    pub fn sent(&mut self, bytes: usize) {
        self.stats.sent_bytes += bytes as u64;
        self.stats.sent_packets += 1;
    }

    /// A picture goes out.
    pub fn picture(&mut self, bytes: usize, keyframe: bool) {
        self.pictures = self.pictures.filter(|_| !keyframe).map(|before| before + bytes);
    }

    /// An averaged estimate: what the room shall hear, if anything. Small changes wait for a second. The average follows late, so that the latest values count,
    /// unless the average has gone down since, or there is so little that chance has its say.
    pub fn estimate(&mut self, average: u32, now: Instant) -> Option<u32> {
        self.average = Some(average);
        let anew = self.anew.filter(|anew| now < anew.at + AVERAGED);
        let found = match self.latest.as_mut().filter(|latest| now < latest.at + LATEST) {
            // What it begins with is no answer.
            Some(latest) if anew.is_some_and(|anew| latest.bps > anew.with) => latest.bps,
            Some(latest) if average < latest.average || latest.beside(average) <= LITTLE => latest.beside(average).min(average),
            Some(latest) => {
                latest.average = average;
                latest.beside(average)
            }
            None => average,
        };
        let found = anew.filter(|anew| found <= anew.with).map_or(found, |anew| found.min(anew.found));
        let carried = found.max(self.carried());
        self.found = if carried <= LITTLE && self.stands() { carried.min(DRAINS) } else { carried };
        self.tell(now)
    }

    /// What the room shall hear of what was found, if anything.
    fn tell(&mut self, now: Instant) -> Option<u32> {
        // What was sent since the last report may be more already.
        let (sent, at) = self.mark.map_or((0, now), |(_, sent, at)| (self.stats.sent_bytes - sent, at));
        let sent_bps = self.stats.send_bitrate_bps.max(u32::try_from(sent * 8).unwrap_or(u32::MAX));
        let (wanted_bps, calm) = (self.wanted, self.is_calm() && self.stats.loss_down <= CHANCE_LOSS);
        let known = self.told.map(|(bps, _)| Known { bps, sent_bps, wanted_bps, calm, at });
        let bps = known.map_or(self.found, |known| self.doubt.weigh(self.found, known, now));
        self.stats.estimate_bps = Some(bps);
        let news = self.told.is_none_or(|(told, at)| {
            let change = told.abs_diff(bps);
            change > told / 20 || (change > 0 && now >= at + Duration::from_millis(1_000))
        });
        news.then(|| {
            self.told = Some((bps, now));
            bps
        })
    }

    /// An estimate that is not averaged.
    pub fn latest(&mut self, bps: u32, now: Instant) -> Option<u32> {
        let average = self.average?;
        let before = self.latest.filter(|before| now < before.at + LATEST).map_or(average, |before| before.bps);
        self.latest = Some(Latest { bps, held: bps.min(before), at: now, average });
        self.estimate(average, now)
    }

    /// What the link shall be found to carry, in bits per second.
    pub fn aim(&mut self, bps: u32) {
        self.wanted = bps;
    }

    /// Whether what was found is not believed yet.
    pub fn doubts(&self) -> bool {
        self.doubt.is_open()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.doubt.deadline()
    }

    /// What the stack is to begin with anew, in bits per second; `None`: it is not to.
    pub fn asks(&mut self, now: Instant) -> Option<u32> {
        let with = self.doubt.asked()?;
        (self.latest, self.anew) = (None, Some(Anew { at: now, with, found: self.found }));
        Some(with)
    }

    /// What the room shall hear when nothing has come by now, if anything.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<u32> {
        self.doubt.is_open().then(|| self.tell(now)).flatten()
    }

    pub fn end(&mut self) {
        self.doubt = Doubt::default();
    }

    /// What the link is seen to carry, where that is little; else 0.
    fn carried(&self) -> u32 {
        if self.is_calm() { self.stats.send_bitrate_bps.min(LITTLE) } else { 0 }
    }

    /// Packets neither wait nor get lost, by what was last reported.
    fn is_calm(&self) -> bool {
        let short = |ms| ms <= CALM_MS;
        self.own.waits().is_none_or(short) && self.reported.waits().is_some_and(short) && self.stats.loss_down <= CALM_LOSS
    }

    /// A queue stands before the link.
    fn stands(&self) -> bool {
        self.own.waits().is_some_and(|ms| ms > QUEUE_MS)
    }

    /// A receiver report about one of our streams.
    pub fn egress(&mut self, loss: Option<f32>, rtt: Option<Duration>) {
        if let Some(loss) = loss {
            self.reported_loss = Some(self.reported_loss.unwrap_or(0.0).max(loss));
        }
        self.reported_rtt = rtt.or(self.reported_rtt);
    }

    /// Our own report about one of the sender's streams.
    pub fn ingress(&mut self, loss: Option<f32>) {
        if let Some(loss) = loss {
            self.stats.loss_up = loss.clamp(0.0, 1.0);
        }
    }

    /// Once a second: what the room is told.
    pub fn report(&mut self, egress_loss: Option<f32>, rtt: Option<Duration>, now: Instant) -> Option<Event> {
        let mut pictures_bps = None;
        if let Some((received, sent, since)) = self.mark {
            let seconds = now.saturating_duration_since(since).as_secs_f64().max(0.001);
            let rate = |bytes: u64| ((bytes * 8) as f64 / seconds) as u32;
            self.stats.receive_bitrate_bps = rate(self.stats.received_bytes - received);
            self.stats.send_bitrate_bps = rate(self.stats.sent_bytes - sent);
            pictures_bps = self.pictures.map(|bytes| rate(bytes as u64));
        }
        self.mark = Some((self.stats.received_bytes, self.stats.sent_bytes, now));
        self.pictures = Some(0);
        let ms = |rtt: Duration| rtt.as_secs_f32() * 1_000.0;
        self.own.note(rtt.map(ms));
        let loss = self.reported_loss.take().or(egress_loss);
        let rtt = self.reported_rtt.take().or(rtt);
        self.stats.rtt_ms = rtt.map(ms).or(self.stats.rtt_ms);
        self.reported.note(self.stats.rtt_ms);
        if let Some(loss) = loss {
            self.stats.loss_down = loss.clamp(0.0, 1.0);
        }
        (loss.is_some() || rtt.is_some()).then_some(Event::Report { loss: self.stats.loss_down, rtt, pictures_bps })
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second in which so many bytes were sent, and then an estimate of 30 kb/s.
    fn second(meter: &mut Meter, bytes: usize, rtt_ms: u64, loss: f32, now: Instant) -> u32 {
        meter.sent(bytes);
        meter.report(Some(loss), Some(Duration::from_millis(rtt_ms)), now);
        meter.estimate(30_000, now);
        meter.stats().estimate_bps.unwrap()
    }

    #[test]
    fn what_goes_out_without_waiting_is_carried_whatever_the_estimate_says() {
        let start = crate::runtime::clock::now();
        let mut meter = Meter::default();
        let mut at = 0;
        let mut next = |bytes, rtt_ms, loss| {
            at += 1;
            second(&mut meter, bytes, rtt_ms, loss, start + Duration::from_secs(at))
        };
        next(10_000, 50, 0.0);
        assert_eq!(next(10_000, 60, 0.0), 80_000);
        assert_eq!(next(100_000, 60, 0.0), LITTLE);
        assert_eq!(next(10_000, 400, 0.0), 30_000, "it waits");
        assert_eq!(next(10_000, 60, 0.3), 30_000, "it is lost");
    }

    #[test]
    fn what_was_found_counts_before_the_average_knows_of_it_until_that_goes_down() {
        let start = crate::runtime::clock::now();
        let mut meter = Meter::default();
        let ms = |ms| start + Duration::from_millis(ms);
        assert_eq!(meter.estimate(100_000, ms(0)), Some(100_000));
        assert_eq!(meter.latest(1_900_000, ms(500)), Some(1_900_000));
        assert_eq!(meter.latest(1_800_000, ms(1_500)), Some(1_800_000));
        assert_eq!(meter.estimate(150_000, ms(1_700)), None, "rising");
        meter.estimate(140_000, ms(1_900));
        assert_eq!(meter.stats().estimate_bps, Some(140_000), "it falls");
        meter.latest(60_000, ms(2_500));
        assert_eq!(meter.stats().estimate_bps, Some(60_000));
        meter.estimate(80_000, ms(4_100));
        assert_eq!(meter.stats().estimate_bps, Some(80_000), "that was long ago");
    }

    #[test]
    fn on_a_link_that_carries_enough_what_is_found_for_a_moment_does_not_count() {
        let start = crate::runtime::clock::now();
        let mut meter = Meter::default();
        let ms = |ms| start + Duration::from_millis(ms);
        assert_eq!(meter.estimate(600_000, ms(0)), Some(600_000));
        assert_eq!(meter.latest(1_900_000, ms(500)), None, "for a moment");
        assert_eq!(meter.latest(1_800_000, ms(1_500)), Some(1_800_000), "and still");
    }

    /// A link of 2 Mb/s of which a tenth is in use, for eight seconds, and then an estimate of 150 kb/s with this loss, and a report half a second later.
    fn fallen(loss: f32) -> (Meter, Instant) {
        let mut meter = Meter { wanted: 2_000_000, ..Meter::default() };
        let mut now = crate::runtime::clock::now();
        for _ in 0..8 {
            now += Duration::from_secs(1);
            meter.sent(25_000);
            meter.report(Some(loss), Some(Duration::from_millis(50)), now);
            meter.latest(2_000_000, now);
            meter.estimate(2_000_000, now);
        }
        now += Duration::from_millis(500);
        meter.estimate(150_000, now);
        now += Duration::from_millis(500);
        meter.sent(25_000);
        meter.report(Some(loss), Some(Duration::from_millis(50)), now);
        meter.latest(150_000, now);
        (meter, now)
    }

    #[test]
    fn what_the_stack_begins_with_anew_is_no_answer_and_what_it_finds_is() {
        for (answer, told) in [(2_000_000 / 7, 200_000), (1_500_000, 1_500_000)] {
            let (mut meter, now) = fallen(0.0);
            assert_eq!(meter.stats().estimate_bps, Some(2_000_000), "it is doubted");
            assert_eq!(meter.asks(now), Some(2_000_000 / 7));
            let later = now + Duration::from_millis(1_000);
            meter.sent(25_000);
            meter.report(Some(0.0), Some(Duration::from_millis(50)), later);
            meter.latest(answer, later);
            meter.handle_timeout(now + Duration::from_millis(1_300));
            assert_eq!(meter.stats().estimate_bps, Some(told), "{answer}");
        }
        let (mut meter, now) = fallen(0.05);
        assert_eq!((meter.asks(now), meter.stats().estimate_bps), (None, Some(200_000)), "losses are believed");
    }

    /// The receivers' reports wait with everything else, and the stack's own sight of the round trip does not.
    #[test]
    fn a_queue_that_stands_is_noticed_by_the_stacks_own_round_trips_and_let_run_out() {
        let start = crate::runtime::clock::now();
        let mut meter = Meter::default();
        let mut at = 0;
        let mut next = |own_rtt_ms, average| {
            at += 1;
            let now = start + Duration::from_secs(at);
            meter.egress(None, Some(Duration::from_millis(60)));
            meter.sent(10_000);
            meter.report(Some(0.0), Some(Duration::from_millis(own_rtt_ms)), now);
            meter.estimate(average, now);
            meter.stats().estimate_bps.unwrap()
        };
        next(60, 30_000);
        assert_eq!(next(60, 30_000), 80_000, "carried");
        assert_eq!(next(1_100, 30_000), 30_000, "it waits, and the receiver's report as well");
        assert_eq!(next(1_100, 150_000), DRAINS);
        assert_eq!(next(1_100, 900_000), 900_000, "a link that carries more has it through soon");
        assert_eq!(next(60, 150_000), 150_000);
        let longer: Vec<_> = (0..90).map(|_| next(460, 150_000)).collect();
        assert_eq!((longer[0], longer[89]), (DRAINS, 150_000), "another way, and no queue");
    }
}
