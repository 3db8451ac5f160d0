//! Curves: the same run with more and more of one kind, as numbers and as a picture each.

use super::Bench;
use super::chart::{self, Chart, Point};
use super::run::Error;
use super::setup::{Axis, Setup};
use super::{guard, print};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One curve.
#[derive(Debug, Serialize)]
pub struct Sweep {
    #[serde(rename = "more")]
    pub axis: Axis,
    pub file: PathBuf,
    pub points: Vec<Point>,
    /// Processor milliseconds per second for each one more; `None`: too few points.
    pub slope: Option<f64>,
    /// MiB for each one more.
    pub memory_slope: Option<f64>,
}

/// Measures and draws all `curves` into `folder`. A run that fails is a point that broke.
///
/// # Errors
/// The very first run failed, or a picture cannot be written.
pub async fn run(bench: &Bench, setup: &Setup, curves: &[Axis], folder: &Path) -> Result<Vec<Sweep>, String> {
    if bench.server.is_some() && bench.pid.is_none() {
        return Err("--plot needs --pid beside --server: a curve is of the server's processor time".into());
    }
    let failed = |error: std::io::Error| format!("--plot {}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sweeps = Vec::new();
    for axis in curves.iter().copied() {
        let mut points = Vec::new();
        for count in counts(setup, axis) {
            let point = measure(bench, setup, axis, count).await;
            points.push(match point {
                // Whatever it is, the others would fail for it too.
                Err(error) if sweeps.is_empty() && points.is_empty() => return Err(error.into()),
                Err(error) => Point { count, cpu_ms: None, grown_mib: None, broke: error.to_string() },
                Ok(point) => point,
            });
        }
        let (slope, memory_slope) = (chart::slope(&points), chart::memory_slope(&points));
        let chart = Chart { axis: axis.name(), about: others(setup, axis), points: &points, slope, cores };
        let file = folder.join(format!("{}.png", axis.name()));
        let png = chart::draw(&chart).map_err(|error| error.to_string())?;
        std::fs::write(&file, png).map_err(failed)?;
        sweeps.push(Sweep { axis, file, points, slope, memory_slope });
    }
    Ok(sweeps)
}

/// Where a curve is measured: not with fewer viewers than all renditions need, which would be another curve.
fn counts(setup: &Setup, axis: Axis) -> impl Iterator<Item = u16> {
    let least = if axis == Axis::Viewers { setup.renditions } else { 1 };
    axis.points().iter().copied().filter(move |count| *count >= least)
}

async fn measure(bench: &Bench, setup: &Setup, axis: Axis, count: u16) -> Result<Point, Error> {
    let run = Box::pin(bench.once(&setup.with(axis, count))).await?;
    let cpu_ms = run.cpu_ms.ok_or_else(|| Error::Failed("the server's processor time cannot be read".into()))?;
    let broke = guard::broken(&run.guards).map(print::said).unwrap_or_default();
    Ok(Point { count, cpu_ms: Some(cpu_ms), grown_mib: run.grown_mib, broke })
}

/// The setup, with a word for what varies.
fn others(setup: &Setup, axis: Axis) -> String {
    let all = setup.to_string();
    let (own, word) = match axis {
        Axis::Rooms => return format!("rooms of {all}"),
        Axis::Senders => (setup.senders, "sender"),
        Axis::Viewers => (setup.viewers, "viewer"),
        Axis::Renditions => (setup.renditions, "rendition"),
    };
    let plural = format!("{own} {word}{}", if own == 1 { "" } else { "s" });
    all.replacen(&plural, &format!("n {word}s"), 1)
}

#[cfg(test)]
mod tests {
    use super::super::setup::tests::setup;
    use super::*;

    #[test]
    fn what_varies_is_n() {
        let one = setup("--viewers 1");
        assert_eq!(others(&one, Axis::Senders), "n senders of 360 lines in h264, 3 talking, 1 viewer, 1 rendition, layout grid");
        assert_eq!(others(&one, Axis::Viewers), "4 senders of 360 lines in h264, 3 talking, n viewers, 1 rendition, layout grid");
        assert!(others(&one, Axis::Rooms).starts_with("rooms of 4 senders"));
    }

    #[test]
    fn no_point_has_fewer_renditions_than_its_curve() {
        assert_eq!(counts(&setup("--renditions 4"), Axis::Viewers).collect::<Vec<_>>(), [4, 16, 32, 64]);
        assert_eq!(counts(&setup("--renditions 4"), Axis::Senders).collect::<Vec<_>>(), [1, 2, 4, 9, 16]);
    }
}
