//! As much XML as a layout file needs: tags with attributes, and text between them. Comments, declarations and CDATA are
//! passed over; entities other than the five are left as they are.

use super::Refused;

#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `<name …>` or, closed at once, `<name …/>`.
    Open {
        name: &'a str,
        attributes: Vec<(&'a str, String)>,
        closed: bool,
    },
    Close {
        name: &'a str,
    },
    Text(String),
}

/// The events of `text`, each with its line.
pub fn events(text: &str) -> Result<Vec<(usize, Event<'_>)>, Refused> {
    let mut events = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let fail = |fault: &str| Refused::new(format!("line {line}"), fault);
        let Some(tag) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let (words, after) = rest.split_at(end);
            if !words.trim().is_empty() {
                events.push((line, Event::Text(unescape(words.trim()))));
            }
            rest = after;
            continue;
        };
        let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>"), ("!", ">")];
        if let Some((start, end)) = skipped.iter().find(|(start, _)| tag.starts_with(start)) {
            let inner = &tag[start.len()..];
            rest = inner.find(end).map(|at| &inner[at + end.len()..]).ok_or_else(|| fail("does not end"))?;
            continue;
        }
        let end = end_of_tag(tag).ok_or_else(|| fail("a tag does not end"))?;
        events.push((line, event(&tag[..end]).ok_or_else(|| fail("a tag cannot be read"))?));
        rest = &tag[end + 1..];
    }
    Ok(events)
}

/// Where the `>` stands that is not in a quoted value.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.char_indices().find_map(|(at, c)| {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '>' => return Some(at),
            _ => {}
        }
        None
    })
}

fn event(tag: &str) -> Option<Event<'_>> {
    if let Some(name) = tag.strip_prefix('/') {
        return Some(Event::Close { name: name.trim() });
    }
    let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let (name, mut rest) = tag.split_at(tag.find(char::is_whitespace).unwrap_or(tag.len()));
    let mut attributes = Vec::new();
    while !rest.trim_start().is_empty() {
        let (key, after) = rest.trim_start().split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        attributes.push((key.trim(), unescape(value)));
        rest = after;
    }
    (!name.is_empty()).then_some(Event::Open { name, attributes, closed })
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}
