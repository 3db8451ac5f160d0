//! A curve of what the server costs by the number of something, as a picture. Pure.

use crate::chart::{self, Curve, Panel};
use serde::Serialize;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    pub count: u16,
    /// Processor milliseconds per second; `None`: the run came to nothing.
    pub cpu_ms: Option<f64>,
    /// What the server took in memory beyond what it has at rest; `None`: not known.
    pub grown_mib: Option<f64>,
    /// The guard that broke, or why there was no run; empty: all held.
    pub broke: String,
}

/// What is drawn.
pub struct Chart<'a> {
    /// What there is more and more of, in the plural.
    pub axis: &'a str,
    /// Everything else about the runs.
    pub about: String,
    pub points: &'a [Point],
    pub slope: Option<f64>,
    /// Of the machine.
    pub cores: usize,
}

impl Point {
    pub fn held(&self) -> bool {
        self.broke.is_empty()
    }

    fn place(&self) -> Option<(f64, f64)> {
        Some((self.count.into(), self.cpu_ms?))
    }

    fn memory(&self) -> Option<(f64, f64)> {
        Some((self.count.into(), self.grown_mib?))
    }
}

/// Milliseconds for each one more, by least squares over the runs whose guards held; `None`: there are fewer than two.
pub fn slope(points: &[Point]) -> Option<f64> {
    rise(points, Point::place)
}

/// As [`slope`], MiB.
pub fn memory_slope(points: &[Point]) -> Option<f64> {
    rise(points, Point::memory)
}

fn rise(points: &[Point], place: impl Fn(&Point) -> Option<(f64, f64)>) -> Option<f64> {
    let held: Vec<(f64, f64)> = points.iter().filter(|point| point.held()).filter_map(place).collect();
    let n = (held.len() > 1).then_some(held.len() as f64)?;
    let (x, y) = (held.iter().map(|p| p.0).sum::<f64>() / n, held.iter().map(|p| p.1).sum::<f64>() / n);
    let spread = held.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    (spread > 0.0).then(|| held.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread)
}

/// A PNG.
pub fn draw(chart: &Chart<'_>) -> Result<Vec<u8>, chart::Error> {
    chart::png(&plot(chart))
}

/// One panel: the curve, a dot over each point whose guards broke, and where the machine ends if it comes near.
fn plot(chart: &Chart<'_>) -> chart::Chart {
    let places: Vec<_> = chart.points.iter().filter_map(Point::place).collect();
    let name = chart.slope.map_or_else(|| "measured".into(), |slope| format!("measured: {slope:.1} ms for each one more"));
    let mut curves = vec![Curve { name, points: places.clone() }];
    let broken = chart.points.iter().filter(|point| !point.held()).filter_map(Point::place);
    // What is not finite parts two dots.
    let dots: Vec<_> = broken.flat_map(|place| [place, (place.0, f64::NAN)]).collect();
    if !dots.is_empty() {
        curves.push(Curve { name: "a guard broke".into(), points: dots });
    }
    let all = chart.cores as f64 * 1000.0;
    if let (Some(first), Some(last)) = (places.first(), places.last())
        && places.iter().any(|place| place.1 >= all * 0.8)
    {
        curves.push(Curve { name: format!("all {} cores", chart.cores), points: vec![(first.0, all), (last.0, all)] });
    }
    chart::Chart {
        title: format!("Mixdown: processor time by {}", chart.axis),
        across: format!("{}: {}", chart.axis, chart.about),
        panels: vec![Panel { up: "ms per second".into(), curves }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(count: u16, cpu_ms: f64, held: bool) -> Point {
        let broke = if held { String::new() } else { "frame rate".into() };
        Point { count, cpu_ms: Some(cpu_ms), grown_mib: Some(cpu_ms / 5.0), broke }
    }

    fn refused(count: u16) -> Point {
        Point { count, cpu_ms: None, grown_mib: None, broke: "503: full".into() }
    }

    #[test]
    fn the_slope_is_of_what_held_alone() {
        let line = [point(1, 110.0, true), point(4, 140.0, true), point(16, 260.0, true), refused(32)];
        assert!((slope(&line).unwrap() - 10.0).abs() < 1e-9 && (memory_slope(&line).unwrap() - 2.0).abs() < 1e-9);
        let two = [line[0].clone(), line[1].clone(), point(16, 150.0, false)];
        assert!((slope(&two).unwrap() - 10.0).abs() < 1e-9);
        assert_eq!((slope(&line[..1]), slope(&[])), (None, None));
    }

    #[test]
    fn what_broke_has_a_dot_of_its_own_and_what_was_refused_none() {
        let points = [point(1, 250.0, true), point(2, 500.0, true), point(4, 1_000.0, false), refused(8)];
        let chart = Chart { axis: "senders", about: "in a test".into(), points: &points, slope: Some(250.0), cores: 1 };
        let plot = plot(&chart);
        let names: Vec<_> = plot.panels[0].curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["measured: 250.0 ms for each one more", "a guard broke", "all 1 cores"]);
        assert_eq!(plot.panels[0].curves[0].points, [(1.0, 250.0), (2.0, 500.0), (4.0, 1_000.0)]);
        assert_eq!(plot.panels[0].curves[1].points[0], (4.0, 1_000.0));
        assert!(!draw(&chart).unwrap().is_empty());
        assert!(!draw(&Chart { points: &points[3..], ..chart }).unwrap().is_empty(), "a curve of nothing is one too");
    }
}
