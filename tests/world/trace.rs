//! A chart and a table of each impaired link of a run: what it carries, what is estimated and sent, what is seen and heard at its end. Written to
//! `$MIXDOWN_ARTIFACTS/links` where that is set, under the test's name.

use crate::network::Link;
use crate::world::World;
use mixdown::chart::{Chart, Curve, Panel, png};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);
/// Rates and gaps are of this much time.
const WINDOW: Duration = Duration::from_secs(1);
const COLUMNS: [&str; 7] = ["link bit/s", "estimate bit/s", "sent bit/s", "queue ms", "pictures per s", "freeze ms", "sound gap ms"];

pub struct Traces {
    folder: Option<PathBuf>,
    due: Option<Instant>,
    guests: Vec<Trace>,
}

#[derive(Default)]
struct Trace {
    impaired: bool,
    offered: Vec<(Instant, u64)>,
    rows: Vec<(f64, [f64; COLUMNS.len()])>,
}

impl Traces {
    pub fn new() -> Self {
        let folder = std::env::var_os("MIXDOWN_ARTIFACTS").map(|artifacts| PathBuf::from(artifacts).join("links"));
        Self { folder, due: None, guests: Vec::new() }
    }

    /// When the next row is due at the latest; `None`: nothing is noted.
    pub fn due(&self, now: Instant) -> bool {
        self.folder.is_some() && self.due.is_none_or(|due| now >= due)
    }

    pub fn note(&mut self, world: &mut World) {
        let now = world.now;
        self.due = Some(now + EVERY);
        self.guests.resize_with(world.guests.len(), Trace::default);
        let plain = Link::default();
        for (index, trace) in self.guests.iter_mut().enumerate() {
            let guest = &world.guests[index];
            let dark = [&guest.up, &guest.down].iter().any(|channel| channel.dark_until.is_some_and(|until| now < until));
            trace.impaired |= dark || guest.up.link != plain || guest.down.link != plain;
            trace.offered.push((now, guest.down.offered));
            let row = trace.row(world, index);
            trace.rows.push(((now - world.start).as_secs_f64(), row));
        }
    }

    /// Writes what was noted.
    pub fn write(&self) {
        let Some(folder) = &self.folder else { return };
        let name = std::thread::current().name().unwrap_or("run").replace("::", ".");
        for (index, trace) in self.guests.iter().enumerate().filter(|(_, trace)| trace.impaired) {
            let _ = std::fs::create_dir_all(folder);
            let at = |ending: &str| folder.join(format!("{name}.{}.{ending}", index + 1));
            let _ = std::fs::write(at("csv"), trace.table());
            if let Ok(chart) = png(&trace.chart(&format!("{name}, guest {}", index + 1))) {
                let _ = std::fs::write(at("png"), chart);
            }
        }
    }
}

impl Trace {
    fn row(&self, world: &mut World, index: usize) -> [f64; COLUMNS.len()] {
        let (now, from) = (world.now, world.now.checked_sub(WINDOW).unwrap_or(world.start).max(world.start));
        let estimate = world.estimate(index).map_or(f64::NAN, f64::from);
        let guest = &world.guests[index];
        let link = guest.down.link.rate_bps.map_or(f64::NAN, |rate| rate as f64);
        let before = self.offered.iter().rev().find(|(at, _)| *at <= from).or(self.offered.first()).copied().unwrap_or((now, 0));
        let seconds = (now - before.0).as_secs_f64().max(0.001);
        let sent = guest.down.offered.saturating_sub(before.1) as f64 * 8.0 / seconds;
        let queue = guest.down.waits(now).as_secs_f64() * 1000.0;
        let longest = |times: Vec<Instant>| {
            let all: Vec<Instant> = std::iter::once(from).chain(times).chain([now]).collect();
            all.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default().as_secs_f64() * 1000.0
        };
        let sights: Vec<Instant> = guest.record.sights.iter().rev().take_while(|sight| sight.at >= from).map(|sight| sight.at).collect();
        let packets = guest.record.sound_packets.iter().rev().take_while(|(at, _)| *at >= from);
        let sounds: Vec<Instant> = packets.map(|(at, _)| *at).collect();
        let pictures = sights.len() as f64 / WINDOW.as_secs_f64();
        let ordered = |mut times: Vec<Instant>| {
            times.reverse();
            times
        };
        [link, estimate, sent, queue, pictures, longest(ordered(sights)), longest(ordered(sounds))]
    }

    fn table(&self) -> String {
        let mut text = format!("seconds,{}\n", COLUMNS.join(","));
        for (at, row) in &self.rows {
            let figures: Vec<String> =
                row.iter().map(|figure| if figure.is_finite() { format!("{figure:.0}") } else { String::new() }).collect();
            let _ = writeln!(text, "{at:.1},{}", figures.join(","));
        }
        text
    }

    fn chart(&self, title: &str) -> Chart {
        let curve = |column: usize| Curve {
            name: COLUMNS[column].rsplit_once(' ').map_or("", |(name, _)| name).trim_end_matches(" per").into(),
            points: self.rows.iter().map(|(at, row)| (*at, row[column])).collect(),
        };
        let panel = |up: &str, columns: &[usize]| Panel { up: up.into(), curves: columns.iter().map(|column| curve(*column)).collect() };
        let panels = vec![panel("bit/s", &[0, 1, 2]), panel("pictures per second", &[4]), panel("ms", &[3, 5, 6])];
        Chart { title: title.into(), across: "seconds".into(), panels }
    }
}
