//! The outbox as text: one JSON record per line. What is half written, or not a record, is left out and counted.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last millisecond of the year 9999: RFC 3339 knows no later time.
const LATEST_MS: u64 = 253_402_300_799_999;

/// One event as it is posted: the same to all endpoints, and at every attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `msg_` and 32 hexadecimal digits: `webhook-id`, by which receivers know what they have seen.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// Empty where it is about no room.
    pub room: String,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: u64,
    /// The body, byte for byte.
    pub body: String,
}

impl Message {
    /// `{"type", "timestamp", "room", "data"}`; `text_at` is the time as RFC 3339.
    pub fn new(id: [u8; 16], kind: &str, room: &str, at: SystemTime, text_at: &str, data: &serde_json::Value) -> Self {
        let mut body = serde_json::json!({"type": kind, "timestamp": text_at, "data": data});
        if !room.is_empty() {
            body["room"] = room.into();
        }
        let at_ms = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let id = id.iter().fold("msg_".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        Self { id, kind: kind.to_owned(), room: room.to_owned(), at_ms, body: body.to_string() }
    }

    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.at_ms.min(LATEST_MS))
    }

    /// Roughly what it takes on disk and in memory.
    pub fn size(&self) -> usize {
        self.body.len() + self.id.len() + self.kind.len() + self.room.len() + 64
    }
}

/// What the outbox remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The message waits for these endpoints.
    Queued { message: Arc<Message>, endpoints: Vec<String> },
    /// It no longer waits for this one.
    Settled { message: String, endpoint: String },
}

/// The records as lines.
pub fn write(records: &[Record]) -> Vec<u8> {
    let mut text = Vec::new();
    for record in records {
        // Maps with text keys and no floats: this does not fail.
        if serde_json::to_writer(&mut text, record).is_ok() {
            text.push(b'\n');
        }
    }
    text
}

/// The records of a file, and how many of its lines are none.
pub fn read(text: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut broken) = (Vec::new(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line != b"\n") {
        match serde_json::from_slice(line) {
            // A line without its end may be the beginning of a longer one.
            Ok(record) if line.ends_with(b"\n") => records.push(record),
            _ => broken += 1,
        }
    }
    (records, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let message =
            Message::new([7; 16], "chat.message", "standup", UNIX_EPOCH, "1970-01-01T00:00:00Z", &serde_json::json!({"text": "a\nb ü"}));
        let settled = Record::Settled { message: message.id.clone(), endpoint: "crm".into() };
        vec![Record::Queued { message: Arc::new(message), endpoints: vec!["crm".into(), "log".into()] }, settled]
    }

    #[test]
    fn what_is_written_is_read() {
        let text = write(&records());
        assert_eq!(read(&text), (records(), 0));
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 2, "one line per record");
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_records_before_the_cut() {
        let text = write(&records());
        let first = text.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        for cut in 0..text.len() {
            let (found, broken) = read(&text[..cut]);
            let whole = usize::from(cut >= first);
            assert_eq!((found.len(), broken), (whole, usize::from(cut != 0 && cut != first)), "cut at {cut}");
        }
    }

    #[test]
    fn a_time_out_of_this_world_is_the_last_that_can_be_written() {
        let text = String::from_utf8(write(&records())).expect("UTF-8").replace("\"at_ms\":0", "\"at_ms\":18446744073709551615");
        let (found, _) = read(text.as_bytes());
        let Some(Record::Queued { message, .. }) = found.first() else { panic!("{found:?}") };
        assert_eq!(crate::runtime::clock::rfc3339(message.at()), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_stands_between_broken_lines_is_kept() {
        let text = write(&records());
        let text = [b"\n{\"queued\":{}}\n\xff\xfe\n".as_slice(), &text, b"garbage".as_slice()].concat();
        assert_eq!(read(&text), (records(), 3));
    }
}
