//! The window of a live HLS stream (RFC 8216): the newest segments in memory, and the playlist of them.
//!
//! Segments are fragments of MP4 as they come from the same encode that people watch. Each begins with a keyframe and is listed when the next one
//! has begun. What falls out of the window can be fetched for a moment still, by those who have an older playlist. All windows of a server share one
//! [`Budget`]; where it is used up, a window forgets earlier, down to what players need.
//!
//! A segment that grows beyond [`Limits::open_bytes`], or four times as long as it should be, for no keyframe comes, is let go and counted: what follows
//! is another stream.

use crate::record::mp4::Ticks;
use crate::record::mp4::fragment::Fragment;
use crate::runtime::clock::rfc3339;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Segments that are no longer listed and can be fetched still.
const SPARE: usize = 3;
/// Lengths of a segment after which it is no longer waited for its end.
pub const LONGEST: u32 = 4;
/// Segments that a window has whatever the budget says: fewer do not play.
const FEWEST: usize = 6;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What a segment should last: how often a keyframe is asked for.
    pub segment: Duration,
    /// How far back a player can go.
    pub window: Duration,
    /// Bytes of a segment that grows.
    pub open_bytes: usize,
}

impl Limits {
    /// Announced for every segment and never changed: a keyframe that somebody else asked for may end a segment after half of its time, and the one
    /// before comes so much later; a canvas that rests makes pictures once a second.
    fn target_seconds(self) -> u64 {
        (self.segment.as_millis() as u64 * 3 / 2 + 1000).div_ceil(1000)
    }
}

/// Bytes of all windows of this server.
#[derive(Debug)]
pub struct Budget {
    used: AtomicU64,
    most: u64,
}

impl Budget {
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), most })
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) {
        let before = self.used.fetch_add(bytes as u64, Ordering::Relaxed);
        metrics::gauge!("mixdown_hls_bytes").set((before + bytes as u64) as f64);
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
        metrics::gauge!("mixdown_hls_bytes").set(before.saturating_sub(bytes as u64) as f64);
    }
}

#[derive(Debug, Clone)]
struct Segment {
    /// The stream that it is of.
    head: u64,
    begins: SystemTime,
    length: Ticks,
    bytes: Bytes,
}

/// A segment that grows.
#[derive(Debug)]
struct Open {
    start: Ticks,
    end: Ticks,
    parts: Vec<Vec<u8>>,
}

impl Open {
    fn bytes(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }
}

/// What has come of a part of the stream; one may do both.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// A segment has come to the playlist.
    pub listed: bool,
    /// The segment that it belongs to was too long or too large, and is let go: begin another stream.
    pub dropped: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Window {
    limits: Limits,
    budget: Arc<Budget>,
    /// Beginnings of streams, as far as segments refer to them, and the number of the first.
    heads: VecDeque<Bytes>,
    first_head: u64,
    segments: VecDeque<Segment>,
    /// The number of the first segment, and how many of the first are no longer listed.
    first: u64,
    unlisted: usize,
    open: Option<Open>,
    /// The stream's time 0 on the wall.
    anchor: SystemTime,
}

impl Window {
    pub fn new(limits: Limits, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            budget,
            heads: VecDeque::new(),
            first_head: 0,
            segments: VecDeque::new(),
            first: 0,
            unlisted: 0,
            open: None,
            anchor: SystemTime::UNIX_EPOCH,
        }
    }

    /// Another stream begins, at `wall`.
    pub fn head(&mut self, bytes: Vec<u8>, wall: SystemTime) -> Taken {
        let listed = self.close();
        self.forget_unused_head();
        self.budget.take(bytes.len());
        self.heads.push_back(bytes.into());
        self.anchor = wall;
        Taken { listed, dropped: false }
    }

    /// Takes the next part of the stream.
    pub fn fragment(&mut self, fragment: Fragment) -> Taken {
        let shortest = Ticks::from_ms(self.limits.segment.as_millis() as u64 / 2);
        let ends = self.open.as_ref().is_some_and(|open| fragment.keyframe && fragment.start.since(open.start) >= shortest);
        if let Some(open) = self.open.as_mut().filter(|_| ends) {
            // One begins where the other ends, whatever of the next one's time came early: nothing adds up.
            open.end = fragment.start;
        }
        let listed = ends && self.close();
        self.budget.take(fragment.bytes.len());
        match &mut self.open {
            Some(open) => {
                open.end = open.end.max(fragment.end);
                open.parts.push(fragment.bytes);
            }
            None => self.open = Some(Open { start: fragment.start, end: fragment.end, parts: vec![fragment.bytes] }),
        }
        Taken { listed, dropped: self.drop_endless() }
    }

    /// Lets go of the segment that grows where it has grown too much. False: it has not.
    fn drop_endless(&mut self) -> bool {
        let longest = Ticks::from_ms((self.limits.segment * LONGEST).as_millis() as u64);
        let is_endless = |open: &Open| open.end.since(open.start) >= longest || open.bytes() > self.limits.open_bytes;
        let Some(open) = self.open.take_if(|open| is_endless(open)) else { return false };
        metrics::counter!("mixdown_drops_total", "reason" => "hls_segment").increment(1);
        self.budget.give_back(open.bytes());
        true
    }

    /// A stream of which no segment was made leaves nothing.
    fn forget_unused_head(&mut self) {
        let newest = (self.first_head + self.heads.len() as u64).checked_sub(1);
        if self.segments.back().map(|segment| segment.head) != newest
            && let Some(head) = self.heads.pop_back()
        {
            self.budget.give_back(head.len());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The playlist; its URIs are relative to it.
    pub fn playlist(&self) -> String {
        let listed = self.segments.iter().skip(self.unlisted);
        let mut head = listed.clone().next().map_or(0, |first| first.head);
        let (target, sequence) = (self.limits.target_seconds(), self.first + self.unlisted as u64);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n#EXT-X-DISCONTINUITY-SEQUENCE:{head}\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        );
        // Writing to a text does not fail.
        for (at, segment) in listed.enumerate() {
            if segment.head != head {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            if at == 0 || segment.head != head {
                head = segment.head;
                let _ = write!(text, "#EXT-X-MAP:URI=\"init-{head}.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:{}\n", rfc3339(segment.begins));
            }
            let seconds = segment.length.0 as f64 / Ticks::PER_SECOND as f64;
            let _ = write!(text, "#EXTINF:{seconds:.5},\nsegment-{}.m4s\n", sequence + at as u64);
        }
        text
    }

    /// The beginning of a stream.
    pub fn init(&self, number: u64) -> Option<Bytes> {
        self.heads.get(usize::try_from(number.checked_sub(self.first_head)?).ok()?).cloned()
    }

    pub fn segment(&self, number: u64) -> Option<Bytes> {
        self.segments.get(usize::try_from(number.checked_sub(self.first)?).ok()?).map(|segment| segment.bytes.clone())
    }

    /// Ends the segment that grows. False: there is none.
    fn close(&mut self) -> bool {
        let Some(open) = self.open.take() else { return false };
        let bytes = match <[Vec<u8>; 1]>::try_from(open.parts) {
            Ok([whole]) => whole.into(),
            Err(parts) => parts.concat().into(),
        };
        let head = self.first_head + self.heads.len().saturating_sub(1) as u64;
        let begins = self.anchor + Duration::from_millis(open.start.ms());
        self.segments.push_back(Segment { head, begins, length: open.end.since(open.start), bytes });
        self.forget();
        true
    }

    /// What is too old, or too much.
    fn forget(&mut self) {
        let window = Ticks::from_ms(self.limits.window.as_millis() as u64);
        let listed = |window: &Self| window.segments.len() - window.unlisted;
        let span = |window: &Self| window.segments.iter().skip(window.unlisted).fold(0, |sum, segment| sum + segment.length.0);
        while listed(self) > FEWEST && (span(self) > window.0 || self.budget.used() > self.budget.most) {
            self.unlisted += 1;
            while self.unlisted > SPARE {
                self.drop_first();
            }
        }
    }

    fn drop_first(&mut self) {
        let Some(gone) = self.segments.pop_front() else { return };
        self.budget.give_back(gone.bytes.len());
        self.first += 1;
        self.unlisted = self.unlisted.saturating_sub(1);
        let oldest = self.segments.front().map_or(gone.head, |segment| segment.head);
        while self.first_head < oldest
            && let Some(head) = self.heads.pop_front()
        {
            self.budget.give_back(head.len());
            self.first_head += 1;
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let open = self.open.iter().map(Open::bytes);
        let bytes = self.segments.iter().map(|segment| segment.bytes.len()).chain(self.heads.iter().map(Bytes::len)).chain(open);
        self.budget.give_back(bytes.sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { segment: Duration::from_secs(2), window: Duration::from_secs(20), open_bytes: 1000 };

    const OPEN: Taken = Taken { listed: false, dropped: false };
    const LISTED: Taken = Taken { listed: true, dropped: false };
    const DROPPED: Taken = Taken { listed: false, dropped: true };

    fn window(most: u64) -> (Window, Arc<Budget>) {
        let budget = Budget::new(most);
        let mut window = Window::new(LIMITS, Arc::clone(&budget));
        window.head(b"head".to_vec(), SystemTime::UNIX_EPOCH);
        (window, budget)
    }

    fn part(from_ms: u64, to_ms: u64, keyframe: bool) -> Fragment {
        let bytes = format!("{from_ms};").into_bytes();
        Fragment { bytes, start: Ticks::from_ms(from_ms), end: Ticks::from_ms(to_ms), keyframe, pictures: 1, packets: 1 }
    }

    fn run(window: &mut Window, from: u64, to: u64) {
        (from..to).for_each(|n| _ = window.fragment(part(n * 2000, n * 2000 + 2000, true)));
    }

    #[test]
    fn a_segment_is_listed_when_the_next_has_begun() {
        let (mut window, _) = window(1 << 20);
        assert!(window.fragment(part(0, 2100, true)) == OPEN && window.is_empty());
        assert_eq!(window.fragment(part(2100, 4000, true)), LISTED);
        assert_eq!(
            window.playlist(),
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init-0.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00Z\n#EXTINF:2.10000,\nsegment-0.m4s\n"
        );
        assert_eq!((window.init(0).unwrap(), window.segment(0).unwrap()), ("head".into(), "0;".into()));
        assert_eq!((window.init(1), window.segment(1)), (None, None), "the second one grows");
    }

    #[test]
    fn what_lists_a_segment_and_what_lets_one_go_are_both_said() {
        let (mut window, _) = window(1 << 20);
        window.fragment(part(0, 2000, true));
        let large = Fragment { bytes: vec![0; LIMITS.open_bytes + 1], ..part(2000, 4000, true) };
        assert_eq!(window.fragment(large), Taken { listed: true, dropped: true });
        window.head(b"next".to_vec(), SystemTime::UNIX_EPOCH);
        window.fragment(part(0, 2000, true));
        assert_eq!(window.head(b"last".to_vec(), SystemTime::UNIX_EPOCH), LISTED, "the end of a stream lists its last segment");
    }

    #[test]
    fn segments_begin_with_keyframes_and_are_neither_shorter_than_half_nor_longer_than_announced() {
        let (mut window, _) = window(1 << 20);
        // Others ask for keyframes too: at 0.5 s, just before the half, and the next one comes after two seconds of its own.
        for (from, to) in [(0, 500), (500, 990), (990, 3100), (3100, 4100), (4100, 6000)] {
            window.fragment(part(from, to, true));
        }
        window.fragment(part(6000, 6500, false));
        window.fragment(part(6500, 8000, true));
        let text = window.playlist();
        let lengths: Vec<f64> = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok()).collect();
        assert_eq!(lengths, [3.1, 1.0, 2.4]);
        assert_eq!(window.segment(0).unwrap(), "0;500;990;");
        assert!(lengths.iter().all(|seconds| seconds.round() <= 4.0));
    }

    #[test]
    fn what_falls_out_of_the_window_can_be_fetched_for_a_moment() {
        let (mut window, budget) = window(1 << 20);
        run(&mut window, 0, 16);
        let text = window.playlist();
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:5\n") && text.contains("segment-14.m4s") && !text.contains("segment-4."), "{text}");
        assert_eq!(window.segment(1), None);
        assert_eq!(window.segment(2).unwrap(), "4000;", "three more than are listed");
        let used = budget.used();
        run(&mut window, 16, 100);
        assert!(budget.used() < used + 40, "it does not grow");
        drop(window);
        assert_eq!(budget.used(), 0, "all is given back");
    }

    #[test]
    fn a_used_up_budget_shortens_the_window_to_what_plays() {
        let (mut window, _) = window(10);
        run(&mut window, 0, 30);
        assert_eq!(window.playlist().matches("#EXTINF").count(), FEWEST);
        assert_eq!(window.segments.len(), FEWEST + SPARE);
    }

    #[test]
    fn a_segment_without_an_end_or_of_too_many_bytes_is_let_go_and_another_stream_begins() {
        let (mut window, budget) = window(1 << 20);
        run(&mut window, 0, 2);
        for round in 0..50 {
            window.head(b"next".to_vec(), SystemTime::UNIX_EPOCH);
            // No keyframe but the first.
            let taken: Vec<_> = (0..4).map(|n| window.fragment(part(n * 2000, n * 2000 + 2000, n == 0))).collect();
            assert_eq!(taken, [OPEN, OPEN, OPEN, DROPPED], "{round}");
            window.head(b"next".to_vec(), SystemTime::UNIX_EPOCH);
            let large = Fragment { bytes: vec![0; 600], ..part(500, 1000, false) };
            window.fragment(part(0, 500, true));
            assert_eq!((window.fragment(large.clone()), window.fragment(large)), (OPEN, DROPPED), "{round}");
        }
        assert!(budget.used() < 100, "{} bytes are left of what is let go", budget.used());
        window.head(b"last".to_vec(), SystemTime::UNIX_EPOCH);
        run(&mut window, 0, 3);
        let text = window.playlist();
        assert!(text.contains("segment-1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\""), "{text}");
        assert_eq!((text.matches("#EXTINF").count(), window.init(1).unwrap()), (4, "last".into()));
        drop(window);
        assert_eq!(budget.used(), 0, "all is given back");
    }

    #[test]
    fn a_new_stream_is_a_discontinuity_and_counts_when_it_is_gone() {
        let (mut window, _) = window(1 << 20);
        run(&mut window, 0, 2);
        window.head(b"next".to_vec(), SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        run(&mut window, 0, 3);
        let text = window.playlist();
        assert!(
            text.contains(
                "segment-1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:40"
            ),
            "{text}"
        );
        run(&mut window, 3, 30);
        assert_eq!((window.init(0), window.init(1).unwrap()), (None, "next".into()));
        assert!(window.playlist().contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{}", window.playlist());
    }
}
