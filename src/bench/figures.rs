//! From what was noted to what is printed: rates, gaps, latencies, each beside its goal. Pure.

use super::sender::Sender;
use super::viewer::{Counts, Heard, Reader, Sighting};
use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, Instant},
};

/// A gap between two pictures that a person notices.
const FREEZE: Duration = Duration::from_millis(150);
/// Without anything for so long at the end of the window a stream has stopped.
const STOPPED: Duration = Duration::from_millis(500);

/// The stretch of time that counts.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub from: Instant,
    pub to: Instant,
}

impl Window {
    fn holds(self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }

    /// For how long there was nothing before the first and after the last, where that is longer than a step: a stream that
    /// begins late or ends early is no shorter one.
    fn silence(self, first: Instant, last: Instant) -> (Duration, Duration) {
        let counted = |silence: Duration| if silence > STOPPED { silence } else { Duration::ZERO };
        (counted(first.saturating_duration_since(self.from)), counted(self.to.saturating_duration_since(last)))
    }
}

/// What one viewer received of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reception {
    pub fps: f64,
    /// Share of the canvas's ticks of which no picture came, 0–1.
    pub missed: f64,
    pub freezes: usize,
    pub longest_gap: Duration,
}

/// `None`: hardly anything was received.
pub fn reception(counts: &Counts, window: Window, fps: u32) -> Option<Reception> {
    let pictures: Vec<_> = counts.pictures.iter().filter(|picture| window.holds(picture.1)).collect();
    let (first, last) = (pictures.first()?, pictures.last()?);
    let ticks = (last.0.saturating_sub(first.0)) as f64 * f64::from(fps) / 90_000.0;
    let (late, stopped) = window.silence(first.1, last.1);
    let span = (last.1.saturating_duration_since(first.1) + late + stopped).as_secs_f64();
    let ticks = ticks + (late + stopped).as_secs_f64() * f64::from(fps);
    if ticks < 1.0 || span <= 0.0 {
        return None;
    }
    let gaps = pictures.windows(2).map(|pair| pair[1].1.saturating_duration_since(pair[0].1)).chain([late, stopped]);
    Some(Reception {
        fps: (pictures.len() - 1) as f64 / span,
        missed: (1.0 - (pictures.len() - 1) as f64 / ticks).max(0.0),
        freezes: gaps.clone().filter(|gap| *gap > FREEZE).count(),
        longest_gap: gaps.max().unwrap_or_default(),
    })
}

/// 20 ms packets of sound that never came; `None`: there was none.
pub fn audio_gaps(counts: &Counts, window: Window) -> Option<u64> {
    let packets: Vec<_> = counts.packets.iter().filter(|packet| window.holds(packet.1)).collect();
    let (late, stopped) = window.silence(packets.first()?.1, packets.last()?.1);
    let steps = packets.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0) / 960);
    Some(steps.map(|step| step.saturating_sub(1)).sum::<u64>() + ((late + stopped).as_millis() / 20) as u64)
}

/// What the senders of one room noted, by person.
type Senders<'a> = &'a [Sender];

/// When each frame of each person was sent, in order.
fn sent(senders: Senders<'_>) -> BTreeMap<(u8, u16), Vec<Instant>> {
    let mut sent: BTreeMap<(u8, u16), Vec<Instant>> = BTreeMap::new();
    for (person, sender) in senders.iter().enumerate() {
        sender.sent.iter().for_each(|(frame, at)| sent.entry((person as u8, *frame)).or_default().push(*at));
    }
    sent
}

/// Each sighting of the window with when its frame was sent.
fn seen<'a>(senders: Senders<'_>, reader: &'a Reader, window: Window) -> Vec<(&'a Sighting, Instant)> {
    let sent = sent(senders);
    let origin = |sighting: &'a Sighting| {
        let times = sent.get(&(sighting.mark.person, sighting.mark.frame))?;
        let before = times.iter().rev().find(|at| **at <= sighting.at)?;
        // A loop of the clip later is not a latency.
        (sighting.at.saturating_duration_since(*before) < Duration::from_secs(5)).then_some((sighting, *before))
    };
    reader.sightings.iter().filter(|sighting| window.holds(sighting.at)).filter_map(origin).collect()
}

/// Each beep of the window with when it was sent.
fn heard<'a>(senders: Senders<'_>, reader: &'a Reader, window: Window) -> Vec<(&'a Heard, Instant)> {
    let origin = |beep: &'a Heard| {
        let before = senders.get(usize::from(beep.person))?.beeps.iter().rev().find(|sent| **sent <= beep.at)?;
        (beep.at.saturating_duration_since(*before) < Duration::from_millis(900)).then_some((beep, *before))
    };
    reader.beeps.iter().filter(|beep| window.holds(beep.at)).filter_map(origin).collect()
}

/// Milliseconds from a picture's last packet in to the first packet of the first composite that shows it.
pub fn video_latency(senders: Senders<'_>, reader: &Reader, window: Window) -> Vec<f64> {
    seen(senders, reader, window).iter().map(|(sighting, sent)| ms(sighting.at.saturating_duration_since(*sent))).collect()
}

/// Milliseconds from a beep's sample in to the same sample out.
pub fn audio_latency(senders: Senders<'_>, reader: &Reader, window: Window) -> Vec<f64> {
    heard(senders, reader, window).iter().map(|(beep, sent)| ms(beep.at.saturating_duration_since(*sent))).collect()
}

/// How much later than its sound a picture is shown by a player that plays both by their RTP times, in milliseconds: what of the
/// same moment went in at once comes out so far apart. `None`: one of them was not read.
pub fn skew(senders: Senders<'_>, reader: &Reader, window: Window) -> Option<f64> {
    // A room's pictures and sound count from one epoch, so that their difference needs no report.
    let age = |rtp_time: u64, rate: f64, sent: Instant| {
        rtp_time as f64 * 1000.0 / rate - ms(sent.saturating_duration_since(window.from)) + ms(window.from.saturating_duration_since(sent))
    };
    let video: Vec<f64> = seen(senders, reader, window).iter().map(|(seen, sent)| age(seen.rtp_time, 90_000.0, *sent)).collect();
    let audio: Vec<f64> = heard(senders, reader, window).iter().map(|(beep, sent)| age(beep.rtp_time, 48_000.0, *sent)).collect();
    Some(percentile(&video, 0.5)? - percentile(&audio, 0.5)?)
}

/// Whether people are seen going back in time, other than around the end of their clip of `length` frames: how often.
pub fn backward(reader: &Reader, window: Window, length: usize) -> usize {
    let mut last: BTreeMap<u8, u16> = BTreeMap::new();
    let length = length.max(1);
    let back = |before: u16, now: u16| (usize::from(now) + length - usize::from(before) % length) % length > length / 2;
    let within = reader.sightings.iter().filter(|sighting| window.holds(sighting.at));
    within.filter(|seen| last.insert(seen.mark.person, seen.mark.frame).is_some_and(|before| back(before, seen.mark.frame))).count()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The value below which `share` of all lie; `None` of none.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

/// One figure beside its goal.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    /// `None`: it could not be measured.
    pub value: Option<f64>,
    /// In words; empty where none is set.
    pub goal: &'static str,
    /// `None`: no goal, or nothing measured.
    pub reached: Option<bool>,
}

impl Row {
    pub fn plain(name: &'static str, unit: &'static str, value: Option<f64>) -> Self {
        Self { name, unit, value, goal: "", reached: None }
    }

    pub fn judged(name: &'static str, unit: &'static str, value: Option<f64>, goal: &'static str, good: impl Fn(f64) -> bool) -> Self {
        Self { name, unit, value, goal, reached: value.map(good) }
    }
}

/// Columns for people.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let value = row.value.map_or_else(|| "not measured".into(), |value| format!("{value:.2} {}", row.unit));
        let verdict = match row.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        let goal = if row.goal.is_empty() { String::new() } else { format!("goal {}", row.goal) };
        let line = format!("{:width$}  {value:>18}  {goal:<28}  {verdict}", row.name);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    fn counts(from: Instant, skip: &[u64]) -> Counts {
        let pictures = (0..300_u64).filter(|n| !skip.contains(n)).map(|n| (n * 3_000, from + Duration::from_micros(n * 33_333)));
        let packets = (0..500_u64).filter(|n| *n != 77).map(|n| (n * 960, from + Duration::from_millis(n * 20)));
        Counts { pictures: pictures.collect(), packets: packets.collect(), broken: 0 }
    }

    #[test]
    fn a_steady_stream_has_its_rate_and_no_freeze_and_one_lost_packet_is_one_gap() {
        let from = clock::now();
        let window = Window { from, to: from + Duration::from_secs(10) };
        let steady = reception(&counts(from, &[]), window, 30).unwrap();
        assert!((steady.fps - 30.0).abs() < 0.01);
        assert_eq!((steady.freezes, audio_gaps(&counts(from, &[]), window)), (0, Some(1)));
        assert!(steady.missed < 1e-9);
        let broken = reception(&counts(from, &[100, 101, 102, 103, 104, 200]), window, 30).unwrap();
        assert_eq!(broken.freezes, 1);
        assert!((broken.missed - 6.0 / 299.0).abs() < 1e-9);
        assert!(broken.longest_gap > Duration::from_millis(190));
        assert_eq!((reception(&Counts::default(), window, 30), audio_gaps(&Counts::default(), window)), (None, None));
    }

    #[test]
    fn a_stream_that_ends_early_is_missed_from_there_on() {
        let from = clock::now();
        let window = Window { from, to: from + Duration::from_secs(20) };
        let half = reception(&counts(from, &[]), window, 30).unwrap();
        assert!((half.fps - 15.0).abs() < 0.1 && (half.missed - 0.5).abs() < 0.01 && half.freezes == 1, "{half:?}");
        assert_eq!(audio_gaps(&counts(from, &[]), window), Some(502));
    }

    #[test]
    fn a_stream_that_begins_late_is_missed_until_then() {
        let from = clock::now();
        let window = Window { from: from.checked_sub(Duration::from_secs(10)).unwrap(), to: from + Duration::from_secs(10) };
        let half = reception(&counts(from, &[]), window, 30).unwrap();
        assert!((half.fps - 15.0).abs() < 0.1 && (half.missed - 0.5).abs() < 0.01 && half.freezes == 1, "{half:?}");
        assert!(audio_gaps(&counts(from, &[]), window).unwrap() >= 500);
    }

    /// Everything sent at 33 ms × n is shown `video_ms` later, and what is said `audio_ms` later, by RTP times and on the clock.
    fn room(from: Instant, video_ms: u64, audio_ms: u64) -> (Vec<Sender>, Reader) {
        let after = |ms: u64| from + Duration::from_millis(ms);
        let clip = std::sync::Arc::new(super::super::clip::Clip::new(Vec::new(), 0, 1, true).unwrap());
        let mut sender = Sender::new(clip, from);
        let mut reader = *super::super::viewer::Viewer::reading(1, None).reader.unwrap();
        for n in 0..90 {
            sender.sent.push((n as u16 % 60, after(n * 40)));
            let (at, rtp_time) = (after(n * 40 + video_ms), (n * 40 + video_ms) * 90);
            reader.sightings.push(Sighting { mark: crate::demo::marker::Mark { person: 0, frame: n as u16 % 60 }, at, rtp_time });
        }
        for n in 0..3 {
            sender.beeps.push(after(n * 1_000 + 100));
            let said = n * 1_000 + 100 + audio_ms;
            reader.beeps.push(Heard { person: 0, at: after(said), rtp_time: said * 48 });
        }
        (vec![sender], reader)
    }

    #[test]
    fn latency_and_skew_are_those_that_were_put_in() {
        let from = clock::now();
        let window = Window { from, to: from + Duration::from_secs(10) };
        let (senders, mut reader) = room(from, 55, 25);
        assert_eq!(percentile(&video_latency(&senders, &reader, window), 0.5).map(f64::round), Some(55.0));
        assert_eq!(percentile(&audio_latency(&senders, &reader, window), 0.5).map(f64::round), Some(25.0));
        assert_eq!(skew(&senders, &reader, window).map(f64::round), Some(30.0), "the picture comes later");
        assert_eq!(backward(&reader, window, 60), 0, "the loop's end is no step back");
        reader.sightings.swap(10, 11);
        assert_eq!(backward(&reader, window, 60), 1);
        reader.beeps.clear();
        assert_eq!(skew(&senders, &reader, window), None);
    }

    #[test]
    fn percentiles_of_a_hundred_numbers_are_those_numbers() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.99), percentile(&[], 0.5)), (Some(50.0), Some(99.0), None));
    }

    #[test]
    fn a_table_says_what_was_reached_missed_and_not_measured() {
        let rows = [
            Row::judged("frame rate", "fps", Some(29.98), "30 ± 1 %", |fps| fps > 29.7),
            Row::judged("audio gaps", "", Some(3.0), "0", |gaps| gaps == 0.0),
            Row::plain("memory", "MiB", None),
        ];
        let text = table(&rows);
        assert!(text.contains("29.98 fps") && text.contains("reached") && text.contains("MISSED") && text.contains("not measured"));
    }
}
