//! `mixdown compose`.

use super::output::{fail, out};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mixdown::compose::{self, Options};
use mixdown::room::model::Canvas;
use mixdown::runtime::clock;
use mixdown_layouts::Layout;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Compose {
    /// A recording's folder, with the tracks of those who were in.
    folder: PathBuf,
    /// A kind such as grid or speaker, or a file with a layout as JSON.
    #[arg(long, default_value = "grid")]
    layout: String,
    #[arg(long, default_value = "1280x720", value_name = "WxH", value_parser = size)]
    canvas: (u32, u32),
    #[arg(long, default_value_t = 30, value_name = "N")]
    fps: u32,
    /// Bits per second of the picture.
    #[arg(long, default_value_t = 2_500_000, value_name = "N", value_parser = clap::value_parser!(u32).range(50_000..=50_000_000))]
    bitrate: u32,
    /// The film, as MP4; replaced when all is done.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// One JSON line per second of film in place of a bar, and one with what has come of it.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Compose) -> ExitCode {
    let layout = match layout(&args.layout) {
        Ok(layout) => layout,
        Err(problem) => return fail(2, format_args!("--layout: {problem}")),
    };
    let (width, height) = args.canvas;
    let canvas = Canvas { width, height, fps: args.fps, ..Canvas::default() };
    let options = Options { layout, canvas, bitrate_bps: args.bitrate };
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(1) };
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {percent} % of {msg}, {eta} left") {
        bar.set_style(style);
    }
    let begun = clock::now();
    let mut progress = |done_ms: u64, total_ms: u64| {
        if args.json {
            let _ = out(&(json!({"done_ms": done_ms, "total_ms": total_ms}).to_string() + "\n"));
        }
        bar.set_length(total_ms);
        bar.set_message(format!("{}:{:02}", total_ms / 60_000, total_ms / 1000 % 60));
        bar.set_position(done_ms);
    };
    if args.output.file_name().is_none() || args.output.is_dir() {
        return fail(2, format_args!("{}: is no file; name one with -o", args.output.display()));
    }
    let made = compose::compose(&args.folder, &options, &args.output, begun, &mut progress);
    bar.finish_and_clear();
    let summary = match made {
        Ok(summary) => summary,
        Err(error) => return fail(1, error),
    };
    let took = clock::now().saturating_duration_since(begun).as_secs_f64();
    let speed = summary.duration_ms as f64 / 1000.0 / took.max(0.001);
    let shown = args.output.display().to_string();
    if args.json {
        let speed = (speed * 10.0).round() / 10.0;
        return out(&(json!({"output": shown, "summary": summary, "speed": speed}).to_string() + "\n"));
    }
    let seconds = summary.duration_ms as f64 / 1000.0;
    out(&format!("{shown}: {seconds:.1} s with {} people, {} bytes, {speed:.1} x real time\n", summary.people, summary.bytes))
}

/// A file where there is one of that name, else a kind.
pub fn layout(text: &str) -> Result<Layout, String> {
    let path = Path::new(text);
    if path.is_file() {
        let json = std::fs::read_to_string(path).map_err(|error| format!("{text}: cannot be read: {error}"))?;
        let layout: Layout = serde_json::from_str(&json).map_err(|error| format!("{text}: {error}"))?;
        return match layout.faults().first() {
            Some(fault) => Err(format!("{text}: {}: {}", fault.pointer, fault.detail)),
            None => Ok(layout),
        };
    }
    serde_json::from_value(json!({"type": text})).map_err(|error| format!("neither a file nor a kind of layout: {error}"))
}

pub fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.ok_or_else(|| "write it as 1280x720".into())
}
