//! An HLS playlist (RFC 8216, fMP4) over the fragments of one file, by ranges of its bytes: nothing is written twice.
//!
//! A segment is some fragments, the first of which begins with a keyframe. While the recording runs the playlist grows; a segment is listed
//! when the next one has begun.

use super::scan::Walk;
use super::{Bytes, Error, Kind, Ticks};
use std::fmt::Write;

/// What a segment lasts at least, where keyframes come more often.
const SHORTEST: Ticks = Ticks::from_ms(2000);
/// Segments are announced as no longer than this (it must not change while the playlist grows), unless one is.
const TARGET_SECONDS: u64 = 12;

struct Segment {
    at: u64,
    start: Ticks,
}

/// `media`: the file's URI, relative to the playlist's.
pub fn write(file: &(impl Bytes + ?Sized), media: &str, ended: bool) -> Result<String, Error> {
    let mut walk = Walk::new(file)?;
    let head = walk.found.end;
    let mut segments: Vec<Segment> = Vec::new();
    loop {
        let at = walk.found.end;
        let Some(runs) = walk.next_fragment()? else { break };
        let Some(start) = runs.iter().map(|run| Ticks::of(run.kind, run.start)).min() else { continue };
        let keyframe = runs.iter().any(|run| run.kind == Kind::Video && run.samples.first().is_some_and(|sample| sample.keyframe));
        if segments.last().is_none_or(|last| keyframe && start.since(last.start) >= SHORTEST) {
            segments.push(Segment { at, start });
        }
    }
    let ends: Vec<(u64, Ticks)> = segments.iter().skip(1).map(|next| (next.at, next.start)).collect();
    let ends = ends.into_iter().chain(ended.then_some((walk.found.end, walk.found.duration)));
    let listed: Vec<(u64, u64, f64)> = segments
        .iter()
        .zip(ends)
        .map(|(segment, (end, until))| (segment.at, end - segment.at, until.since(segment.start).0 as f64 / Ticks::PER_SECOND as f64))
        .collect();
    let longest = listed.iter().map(|(_, _, seconds)| seconds.round() as u64).max().unwrap_or(0);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{media}\",BYTERANGE=\"{head}@0\"\n",
        longest.max(TARGET_SECONDS),
        if ended { "VOD" } else { "EVENT" },
    );
    for (at, bytes, seconds) in listed {
        // Writing to a text does not fail.
        let _ = write!(text, "#EXTINF:{seconds:.5},\n#EXT-X-BYTERANGE:{bytes}@{at}\n{media}\n");
    }
    if ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    Ok(text)
}
