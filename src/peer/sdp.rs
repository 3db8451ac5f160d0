//! Reads the text of a session description (RFC 8866) into numbered lines, within limits.
//!
//! The gate before everything else: whoever comes after can rely on the number, the length and the
//! characters of the lines. It judges no content; [`super::offer`] does.

use super::offer::OfferError;

/// Bytes of one description.
pub const MAX_BYTES: usize = 256 * 1024;
/// m-lines of one description.
pub const MAX_SECTIONS: usize = 64;
/// `a=` lines of one description.
pub const MAX_ATTRIBUTES: usize = 1_000;
/// Bytes of one line.
pub const MAX_LINE: usize = 8 * 1024;

/// One `k=value` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    pub key: char,
    pub value: &'a str,
}

impl<'a> Line<'a> {
    /// `a=name` or `a=name:value`: its name and value.
    pub fn attribute(&self) -> Option<(&'a str, &'a str)> {
        (self.key == 'a').then(|| self.value.split_once(':').unwrap_or((self.value, "")))
    }

    /// A refusal that names this line: the text can be read but not accepted (422).
    pub fn refuse(&self, what: impl std::fmt::Display) -> OfferError {
        OfferError::Unprocessable(format!("line {}: {what}", self.number))
    }

    /// A refusal that names this line: the text cannot be read (400).
    pub fn malformed(&self, what: impl std::fmt::Display) -> OfferError {
        OfferError::Malformed(format!("line {}: {what}", self.number))
    }
}

/// A description split at its m-lines: the session part, then each section with its `m=` line first.
#[derive(Debug, Clone, Default)]
pub struct Document<'a> {
    pub session: Vec<Line<'a>>,
    pub sections: Vec<Vec<Line<'a>>>,
}

/// Splits a whole description. It must begin with `v=0` and have a session part.
pub fn read(text: &str) -> Result<Document<'_>, OfferError> {
    let document = split(text)?;
    match document.session.first() {
        Some(Line { key: 'v', value: "0", .. }) => Ok(document),
        _ => Err(OfferError::Malformed("line 1: a session description begins with v=0".into())),
    }
}

/// Splits a description or a fragment of one (RFC 8840), which has attributes and pseudo m-lines alone.
pub fn split(text: &str) -> Result<Document<'_>, OfferError> {
    if text.is_empty() {
        return Err(OfferError::Malformed("the body is empty".into()));
    }
    if text.len() > MAX_BYTES {
        return Err(OfferError::Malformed(format!("the body has {} bytes, the limit is {MAX_BYTES}", text.len())));
    }
    let mut document = Document::default();
    let mut attributes = 0;
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let (raw, tail) = rest.split_once('\n').unwrap_or((rest, ""));
        let ended = raw.len() < rest.len();
        rest = tail;
        let line = line(number, raw, ended)?;
        match line.key {
            'm' if document.sections.len() == MAX_SECTIONS => {
                return Err(line.malformed(format_args!("more than {MAX_SECTIONS} m-lines")));
            }
            'm' => document.sections.push(vec![line]),
            key => {
                attributes += usize::from(key == 'a');
                if attributes > MAX_ATTRIBUTES {
                    return Err(line.malformed(format_args!("more than {MAX_ATTRIBUTES} attributes")));
                }
                document.sections.last_mut().unwrap_or(&mut document.session).push(line);
            }
        }
    }
    Ok(document)
}

fn line(number: usize, raw: &str, ended: bool) -> Result<Line<'_>, OfferError> {
    let malformed = |what: &str| OfferError::Malformed(format!("line {number}: {what}"));
    if raw.len() > MAX_LINE {
        return Err(malformed(&format!("longer than {MAX_LINE} bytes")));
    }
    let text = match (raw.strip_suffix('\r'), ended) {
        (Some(text), _) => text,
        (None, true) => return Err(malformed("ends with LF alone; lines end with CRLF")),
        (None, false) => raw,
    };
    if text.chars().any(|c| c.is_control()) {
        return Err(malformed("has a control character"));
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(key @ 'a'..='z'), Some('=')) => Ok(Line { number, key, value: chars.as_str() }),
        _ => Err(malformed("is not of the form k=value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(text: &str) -> String {
        match read(text) {
            Err(OfferError::Malformed(detail)) => detail,
            other => panic!("expected a malformed description, got {other:?}"),
        }
    }

    #[test]
    fn lines_are_numbered_and_split_at_m_lines() {
        let document = read("v=0\r\ns=-\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 1\r\n").unwrap();
        assert_eq!(document.session.len(), 2);
        assert_eq!(document.sections.len(), 2);
        assert_eq!(document.sections[0][1].attribute(), Some(("mid", "0")));
        assert_eq!(document.sections[1][0].number, 5);
    }

    #[test]
    fn every_limit_is_named_with_its_line() {
        assert!(detail("v=0\ns=-\n").contains("line 1: ends with LF alone"));
        assert!(detail("v=0\r\na=x\0y\r\n").contains("line 2: has a control character"));
        assert!(detail(&format!("v=0\r\na={}\r\n", "x".repeat(10_000))).contains("line 2: longer than"));
        assert!(detail(&format!("v=0\r\n{}", "m=audio 9 X 0\r\n".repeat(65))).contains("line 66: more than 64 m-lines"));
        assert!(detail(&format!("v=0\r\n{}", "a=x\r\n".repeat(1_001))).contains("line 1002: more than 1000 attributes"));
        assert!(detail(&"v".repeat(MAX_BYTES + 1)).contains("the limit is 262144"));
        assert!(detail("hello\r\n").contains("line 1"));
        assert!(detail("o=- 1 1 IN IP4 0\r\n").contains("begins with v=0"));
    }
}
