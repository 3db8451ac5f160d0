//! From what was noted to what is printed: rates, gaps, latencies, each beside its goal.

use super::sender::Sender;
use super::viewer::{Counts, Reader};
use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, Instant},
};

/// A gap between two pictures that a person notices.
const FREEZE: Duration = Duration::from_millis(150);

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
}

/// What one viewer received.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reception {
    pub fps: f64,
    /// Share of the canvas's ticks of which no picture came, 0–1.
    pub missed: f64,
    pub freezes: usize,
    pub longest_gap: Duration,
    /// 20 ms packets that never came.
    pub audio_gaps: u64,
}

/// `None`: hardly anything was received.
pub fn reception(counts: &Counts, window: Window, fps: u32) -> Option<Reception> {
    let pictures: Vec<_> = counts.pictures.iter().filter(|picture| window.holds(picture.1)).collect();
    let packets: Vec<_> = counts.packets.iter().filter(|packet| window.holds(packet.1)).collect();
    let (first, last) = (pictures.first()?, pictures.last()?);
    let span = last.1.saturating_duration_since(first.1).as_secs_f64();
    let ticks = (last.0.saturating_sub(first.0)) as f64 * f64::from(fps) / 90_000.0;
    if ticks < 1.0 || span <= 0.0 {
        return None;
    }
    let gaps = pictures.windows(2).map(|pair| pair[1].1.saturating_duration_since(pair[0].1));
    let steps = packets.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0) / 960);
    Some(Reception {
        fps: (pictures.len() - 1) as f64 / span,
        missed: (1.0 - (pictures.len() - 1) as f64 / ticks).max(0.0),
        freezes: gaps.clone().filter(|gap| *gap > FREEZE).count(),
        longest_gap: gaps.max().unwrap_or_default(),
        audio_gaps: steps.map(|step| step.saturating_sub(1)).sum(),
    })
}

/// Milliseconds from a picture's last packet in to the first packet of the first composite that shows it.
pub fn video_latency(senders: &[Sender], reader: &Reader, window: Window) -> Vec<f64> {
    let mut sent: BTreeMap<(u8, u16), Vec<Instant>> = BTreeMap::new();
    for (person, sender) in senders.iter().enumerate() {
        sender.sent.iter().for_each(|(frame, at)| sent.entry((person as u8, *frame)).or_default().push(*at));
    }
    let latency = |sighting: &super::viewer::Sighting| {
        let times = sent.get(&(sighting.person, sighting.frame))?;
        let before = times.iter().rev().find(|at| **at <= sighting.at)?;
        Some(sighting.at.saturating_duration_since(*before).as_secs_f64() * 1000.0)
    };
    let within = reader.sightings.iter().filter(|sighting| window.holds(sighting.at));
    // A loop of the clip later is not a latency.
    within.filter_map(latency).filter(|ms| *ms < 5_000.0).collect()
}

/// Milliseconds from a beep's sample in to the same sample out.
pub fn audio_latency(senders: &[Sender], reader: &Reader, window: Window) -> Vec<f64> {
    let latency = |(person, at): &(u8, Instant)| {
        let before = senders.get(usize::from(*person))?.beeps.iter().rev().find(|sent| **sent <= *at)?;
        Some(at.saturating_duration_since(*before).as_secs_f64() * 1000.0)
    };
    reader.beeps.iter().filter(|beep| window.holds(beep.1)).filter_map(latency).filter(|ms| *ms < 900.0).collect()
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
        Counts { pictures: pictures.collect(), packets: packets.collect() }
    }

    #[test]
    fn a_steady_stream_has_its_rate_and_no_freeze_and_one_lost_packet_is_one_gap() {
        let from = clock::now();
        let window = Window { from, to: from + Duration::from_secs(60) };
        let steady = reception(&counts(from, &[]), window, 30).unwrap();
        assert!((steady.fps - 30.0).abs() < 0.01);
        assert_eq!((steady.freezes, steady.audio_gaps), (0, 1));
        assert!(steady.missed < 1e-9);
        let broken = reception(&counts(from, &[100, 101, 102, 103, 104, 200]), window, 30).unwrap();
        assert_eq!(broken.freezes, 1);
        assert!((broken.missed - 6.0 / 299.0).abs() < 1e-9);
        assert!(broken.longest_gap > Duration::from_millis(190));
        assert_eq!(reception(&Counts::default(), window, 30), None);
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
