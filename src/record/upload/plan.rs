//! What of a growing file is sent next: a pure function of what was sent and what is there.
//!
//! Parts cut the fragmented form of a file at fixed places, so that they stay what they are when tables are put in front of it. These
//! belong to the first part, which is then sent again.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// After so many parts they become twice as large: buckets take ten thousand.
const DOUBLE_AFTER: usize = 2000;

/// An upload in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The bucket's name for it.
    pub id: String,
    pub parts: Vec<Part>,
}

/// Bytes `from..to` of the fragmented form; the first with `head` bytes in front of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub head: u64,
    pub from: u64,
    pub to: u64,
    /// The bucket's name for it.
    pub tag: String,
}

impl Session {
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.head + part.to - part.from).sum()
    }

    /// Takes in what was sent by [`Step::Put`].
    pub fn sent(&mut self, index: usize, part: Part) {
        match self.parts.get_mut(index) {
            Some(known) => *known = part,
            None => self.parts.push(part),
        }
    }
}

/// A file as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Bytes in front of the fragmented form.
    pub head: u64,
    /// Bytes of the fragmented form.
    pub payload: u64,
    /// Nothing will be added any more.
    pub whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Until there is more of it.
    Wait,
    /// All of it at once.
    Single,
    /// Begin an upload in parts.
    Begin,
    /// Send these bytes of the fragmented form; the first part with the head.
    Put { index: usize, range: Range<u64> },
    /// All parts are there.
    Complete,
}

/// Where part `index` ends.
fn end(index: usize, part: u64) -> u64 {
    let mut end = 0;
    let (mut left, mut size) = (index + 1, part);
    while left > 0 {
        let count = left.min(DOUBLE_AFTER);
        end += count as u64 * size;
        left -= count;
        size *= 2;
    }
    end
}

/// Whether a growing file of so many bytes, with whatever stands in front of its media, may have a part to send.
pub fn may_send(session: Option<&Session>, bytes: u64, part: u64) -> bool {
    bytes >= end(session.map_or(1, |session| session.parts.len()), part)
}

/// `part`: bytes of the first parts. Takes out of the session what was cut off at the end of a file whose process died.
pub fn next(session: Option<&mut Session>, source: Source, part: u64) -> Step {
    let Source { head, payload, whole } = source;
    let Some(session) = session else {
        return match payload >= end(1, part) {
            true => Step::Begin,
            false if whole => Step::Single,
            false => Step::Wait,
        };
    };
    session.parts.retain(|sent| sent.to <= payload);
    let (index, from) = (session.parts.len(), session.parts.last().map_or(0, |sent| sent.to));
    let full = end(index, part);
    match session.parts.first() {
        _ if payload >= full || (whole && from < payload) => Step::Put { index, range: from..full.min(payload) },
        _ if !whole => Step::Wait,
        Some(first) if first.head == head => Step::Complete,
        first => Step::Put { index: 0, range: 0..first.map_or(0, |first| first.to) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: u64 = 100;

    /// What a bucket would put together of all that was sent.
    #[derive(Default)]
    struct Story {
        session: Option<Session>,
        object: Vec<Vec<u8>>,
        sent: u64,
    }

    impl Story {
        /// Sends all that can be sent; true: it is complete.
        fn run(&mut self, file: &[u8], head: usize, whole: bool) -> bool {
            let source = Source { head: head as u64, payload: (file.len() - head) as u64, whole };
            for _ in 0..1000 {
                match next(self.session.as_mut(), source, PART) {
                    Step::Wait => return false,
                    Step::Single => self.object = vec![file.to_vec()],
                    Step::Begin => self.session = Some(Session { id: "u".into(), parts: Vec::new() }),
                    Step::Put { index, range } => self.put(file, head, index, range),
                    Step::Complete => {
                        let parts = self.session.as_ref().map_or(0, |session| session.parts.len());
                        self.object.truncate(parts);
                        return true;
                    }
                }
                if self.session.is_none() {
                    return true;
                }
            }
            panic!("it goes round in circles: {:?}", self.session);
        }

        fn put(&mut self, file: &[u8], head: usize, index: usize, range: Range<u64>) {
            let begin = if index == 0 { 0 } else { head + range.start as usize };
            let bytes = file[begin..head + range.end as usize].to_vec();
            self.sent += bytes.len() as u64;
            self.object.resize(self.object.len().max(index + 1), Vec::new());
            self.object[index] = bytes;
            let head = if index == 0 { head as u64 } else { 0 };
            let part = Part { head, from: range.start, to: range.end, tag: String::new() };
            self.session.as_mut().unwrap().sent(index, part);
        }
    }

    fn bytes(count: usize, salt: usize) -> Vec<u8> {
        (0..count).map(|at| ((at * 7 + salt) % 251) as u8).collect()
    }

    #[test]
    fn what_grows_is_sent_once_and_its_first_part_again_when_tables_are_put_in_front() {
        for total in [0, 1, 99, 100, 150, 199, 200, 201, 250, 300, 1234] {
            for head in [0, 1, 40, 333] {
                let film = bytes(total, 0);
                let mut story = Story::default();
                for so_far in (0..total).step_by(37) {
                    assert!(!story.run(&film[..so_far], 0, false));
                }
                let file = [bytes(head, 5), film].concat();
                assert!(story.run(&file, head, true), "{total} {head}");
                assert_eq!(story.object.concat(), file, "{total} {head}");
                assert!(story.sent <= (total + head) as u64 + PART, "{total} {head}: {} were sent", story.sent);
                let uneven = story.object.iter().skip(1).rev().skip(1).any(|part| part.len() != PART as usize);
                assert!(!uneven, "all parts but the first and the last are equal");
            }
        }
    }

    #[test]
    fn what_a_dead_process_had_cut_off_is_not_kept_from_what_was_sent() {
        for cut in [0, 50, 100, 199, 200, 399, 400, 420] {
            let film = bytes(450, 0);
            let mut story = Story::default();
            assert!(!story.run(&film, 0, false));
            let left = &film[..cut];
            assert!(story.run(left, 0, true));
            assert_eq!(story.object.concat(), left, "{cut}");
        }
    }

    #[test]
    fn a_day_at_40_megabits_per_second_fits_into_ten_thousand_parts() {
        let part = 8 << 20;
        assert_eq!((end(0, part), end(1, part)), (part, 2 * part));
        assert!(end(9999, part) > 24 * 3600 * 40_000_000 / 8 && end(9999, 5 << 20) < 5 << 40);
    }
}
