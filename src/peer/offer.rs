//! The gate for offers: what of a session description may reach the WebRTC stack.
//!
//! [`parse`] reads an offer strictly and keeps what is understood, nothing else; [`Offer::render`] (in `render`)
//! writes that back as canonical SDP, the only text that the stack ever parses. An offer that cannot be
//! read is [`OfferError::Malformed`] (400), one that cannot be accepted is
//! [`OfferError::Unprocessable`] (422); both name the line. Codecs that are not decoded here are
//! dropped, not refused: whether enough is left is for [`super::roles`] to say.

use super::format::{self, Format};
use super::fragment::{self, Candidate};
use super::sdp::{self, Line};
use std::collections::{BTreeMap, BTreeSet};

/// Why an offer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The text cannot be read. Answer 400; the session, if there is one, goes on.
    #[error("{0}")]
    Malformed(String),
    /// Readable, but not acceptable. Answer 422; the session, if there is one, goes on.
    #[error("{0}")]
    Unprocessable(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Audio,
    Video,
    /// Data channels over SCTP.
    Application,
}

/// `a=setup`, RFC 8842.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    ActPass,
    Active,
    Passive,
}

/// A direction, seen from the offerer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Direction {
    pub sends: bool,
    pub receives: bool,
}

/// ICE credentials of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

/// One m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub line: usize,
    pub media: Media,
    /// Port 0 and not in the BUNDLE group.
    pub rejected: bool,
    pub mid: String,
    pub direction: Direction,
    /// `a=content:slides`, RFC 4796.
    pub slides: bool,
    /// Those that are understood.
    pub formats: Vec<Format>,
    /// A payload type to answer a section with no understood format by.
    pub first_payload_type: u8,
    pub extensions: Vec<(u8, &'static str)>,
    /// Simulcast layers that the offerer sends, in its order.
    pub layers: Vec<String>,
    /// SSRC, and the SSRC of its retransmissions.
    pub ssrcs: Vec<(u32, Option<u32>)>,
    pub max_message_size: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub ice: Credentials,
    pub ice_lite: bool,
    pub setup: Setup,
    /// SHA-256 as colon-separated hexadecimal.
    pub fingerprint: String,
    pub candidates: Vec<Candidate>,
    pub sections: Vec<Section>,
}

const EXTENSIONS: [&str; 7] = [
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "urn:3gpp:video-orientation",
];
const MAX_LAYERS: usize = 4;
const MAX_SSRCS: usize = 32;

/// What transport attributes of session and sections add up to: one transport, so all must agree.
#[derive(Default)]
struct Transport<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    fingerprint: Option<String>,
    other_fingerprint: Option<Line<'a>>,
    setup: Option<Setup>,
    ice_lite: bool,
    candidates: Vec<Candidate>,
}

/// Reads an offer.
pub fn parse(text: &str) -> Result<Offer, OfferError> {
    let document = sdp::read(text)?;
    if document.sections.is_empty() {
        return Err(OfferError::Unprocessable("the offer has no m-line".into()));
    }
    let mut transport = Transport::default();
    let mut bundle = None;
    for line in &document.session {
        transport.take(line)?;
        if let Some(("group", value)) = line.attribute()
            && let Some(mids) = value.strip_prefix("BUNDLE")
        {
            bundle = Some(mids.split_ascii_whitespace().collect::<Vec<_>>());
        }
    }
    let mut sections = Vec::with_capacity(document.sections.len());
    for lines in &document.sections {
        sections.push(section(lines, &mut transport)?);
    }
    check_mids(&mut sections, bundle.as_deref())?;
    transport.finish(sections)
}

impl<'a> Transport<'a> {
    fn take(&mut self, line: &Line<'a>) -> Result<(), OfferError> {
        let Some((name, value)) = line.attribute() else { return Ok(()) };
        match name {
            "ice-ufrag" => agree(&mut self.ufrag, value, line),
            "ice-pwd" => agree(&mut self.pwd, value, line),
            "ice-lite" => {
                self.ice_lite = true;
                Ok(())
            }
            "setup" => {
                let setup = match value {
                    "actpass" => Setup::ActPass,
                    "active" => Setup::Active,
                    "passive" => Setup::Passive,
                    _ => return Err(line.refuse("a=setup must be actpass, active or passive")),
                };
                agree(&mut self.setup, setup, line)
            }
            "fingerprint" => self.fingerprint(value, line),
            "candidate" => {
                self.candidates.extend(fragment::candidate(value));
                Ok(())
            }
            "crypto" => Err(line.refuse("a=crypto (SDES) is not accepted; keys come from DTLS")),
            _ => Ok(()),
        }
    }

    fn fingerprint(&mut self, value: &'a str, line: &Line<'a>) -> Result<(), OfferError> {
        let (hash, hex) = value.split_once(' ').unwrap_or((value, ""));
        if !hash.eq_ignore_ascii_case("sha-256") {
            self.other_fingerprint = Some(*line);
            return Ok(());
        }
        let hex = hex.trim().to_ascii_uppercase();
        let bytes = hex.split(':').filter(|b| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit())).count();
        if bytes != 32 || hex.len() != 95 {
            return Err(line.refuse("a sha-256 fingerprint has 32 bytes in hexadecimal, separated by colons"));
        }
        agree(&mut self.fingerprint, hex, line)
    }

    fn finish(self, sections: Vec<Section>) -> Result<Offer, OfferError> {
        let missing = |what: &str| OfferError::Unprocessable(format!("the offer has no {what}"));
        let (ufrag, pwd) = (self.ufrag.ok_or_else(|| missing("a=ice-ufrag"))?, self.pwd.ok_or_else(|| missing("a=ice-pwd"))?);
        let fingerprint = match (self.fingerprint, self.other_fingerprint) {
            (Some(fingerprint), _) => fingerprint,
            (None, Some(line)) => return Err(line.refuse("only sha-256 certificate fingerprints are accepted")),
            (None, None) => return Err(missing("a=fingerprint")),
        };
        Ok(Offer {
            ice: fragment::credentials(ufrag, pwd).map_err(OfferError::Unprocessable)?,
            ice_lite: self.ice_lite,
            setup: self.setup.ok_or_else(|| missing("a=setup"))?,
            fingerprint,
            candidates: self.candidates,
            sections,
        })
    }
}

fn agree<T: PartialEq>(slot: &mut Option<T>, value: T, line: &Line<'_>) -> Result<(), OfferError> {
    match slot {
        Some(known) if *known != value => Err(line.refuse("differs from another m-line, but all share one transport (BUNDLE)")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn section<'a>(lines: &[Line<'a>], transport: &mut Transport<'a>) -> Result<Section, OfferError> {
    let Some((head, attributes)) = lines.split_first() else {
        return Err(OfferError::Malformed("an m-line is missing".into()));
    };
    let mut section = media_line(head)?;
    let mut formats = format::Collector::new(head, section.media)?;
    let mut rids = BTreeMap::new();
    let mut simulcast: Option<(Line<'a>, &str)> = None;
    let mut groups = Vec::new();
    for line in attributes {
        transport.take(line)?;
        let Some((name, value)) = line.attribute() else { continue };
        match name {
            "mid" => section.mid = identifier(value, 16, line)?,
            "sendrecv" => section.direction = Direction { sends: true, receives: true },
            "sendonly" => section.direction = Direction { sends: true, receives: false },
            "recvonly" => section.direction = Direction { sends: false, receives: true },
            "inactive" => section.direction = Direction::default(),
            "content" => section.slides = value.split(',').any(|c| c.trim() == "slides"),
            "rtpmap" | "fmtp" | "rtcp-fb" => formats.take(name, value, line)?,
            "ptime" | "maxptime" => packet_time(name, value, line)?,
            "extmap" => extension(value, line, &mut section.extensions)?,
            "rid" => drop(rids.insert(rid(value, line)?, ())),
            "simulcast" => simulcast = Some((*line, value)),
            "ssrc" => ssrc(value, line, &mut section.ssrcs)?,
            "ssrc-group" => groups.extend(repair_group(value, line)?),
            "max-message-size" => section.max_message_size = value.trim().parse().ok(),
            _ => {}
        }
    }
    section.formats = formats.finish()?;
    for (ssrc, repair) in groups {
        section.ssrcs.retain(|(known, _)| *known != repair);
        section.ssrcs.iter_mut().filter(|(known, _)| *known == ssrc).for_each(|entry| entry.1 = Some(repair));
    }
    if let Some((line, value)) = simulcast {
        section.layers = layers(value, &rids, &line)?;
    }
    if section.mid.is_empty() {
        return Err(head.refuse("a=mid is missing"));
    }
    Ok(section)
}

fn media_line(head: &Line<'_>) -> Result<Section, OfferError> {
    let mut words = head.value.split_ascii_whitespace();
    let (Some(media), Some(port), Some(protocol), Some(first)) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(head.malformed("an m-line has a kind, a port, a protocol and formats"));
    };
    let media = match media {
        "audio" => Media::Audio,
        "video" => Media::Video,
        "application" => Media::Application,
        other => return Err(head.refuse(format_args!("m={other} is not supported; audio, video and application are"))),
    };
    let port: u16 = port.parse().map_err(|_| head.malformed("the port is not a number up to 65535"))?;
    match (media, protocol) {
        (Media::Application, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP") => {}
        (Media::Audio | Media::Video, "UDP/TLS/RTP/SAVPF" | "TCP/TLS/RTP/SAVPF") => {}
        _ => return Err(head.refuse(format_args!("protocol {protocol} is not accepted; media must use UDP/TLS/RTP/SAVPF"))),
    }
    Ok(Section {
        line: head.number,
        media,
        rejected: port == 0,
        mid: String::new(),
        direction: Direction { sends: true, receives: true },
        slides: false,
        formats: Vec::new(),
        first_payload_type: first.parse().unwrap_or(0),
        extensions: Vec::new(),
        layers: Vec::new(),
        ssrcs: Vec::new(),
        max_message_size: None,
    })
}

fn packet_time(name: &str, value: &str, line: &Line<'_>) -> Result<(), OfferError> {
    let fits = value.trim().parse::<f32>().is_ok_and(|ms| (1.0..=1_000.0).contains(&ms));
    fits.then_some(()).ok_or_else(|| line.refuse(format_args!("a={name} must be 1 to 1000")))
}

/// The stack replaces other characters and cuts longer ones off, so that two could become one.
fn identifier(value: &str, longest: usize, line: &Line<'_>) -> Result<String, OfferError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if value.is_empty() || value.len() > longest || !value.chars().all(plain) {
        return Err(line.refuse(format_args!("must be 1 to {longest} of A-Z a-z 0-9 _")));
    }
    Ok(value.into())
}

fn extension(value: &str, line: &Line<'_>, known: &mut Vec<(u8, &'static str)>) -> Result<(), OfferError> {
    let (id, uri) = value.split_once(' ').ok_or_else(|| line.malformed("a=extmap has an id and a URI"))?;
    let id = id.split('/').next().unwrap_or(id);
    // 15 means "stop" in the one-byte form, RFC 8285 §4.2.
    let id = id.parse::<u8>().ok().filter(|id| !matches!(id, 0 | 15)).ok_or_else(|| line.refuse("an extmap id is 1 to 14 or 16 to 255"))?;
    if known.iter().any(|(other, _)| *other == id) {
        return Err(line.refuse(format_args!("extmap id {id} is used twice")));
    }
    let uri = uri.split_ascii_whitespace().next().unwrap_or_default();
    if let Some(uri) = EXTENSIONS.iter().find(|name| **name == uri).filter(|_| id < 15) {
        known.push((id, uri));
    }
    Ok(())
}

fn rid(value: &str, line: &Line<'_>) -> Result<String, OfferError> {
    let mut words = value.split_ascii_whitespace();
    let id = identifier(words.next().unwrap_or_default(), 8, line)?;
    match words.next() {
        Some("send" | "recv") => Ok(id),
        _ => Err(line.refuse("a=rid has an id and a direction")),
    }
}

/// `send h;m,alternative;~l [recv …]`: the first alternative of each layer that the offerer sends.
fn layers(value: &str, rids: &BTreeMap<String, ()>, line: &Line<'_>) -> Result<Vec<String>, OfferError> {
    let words: Vec<_> = value.split_ascii_whitespace().collect();
    let Some(at) = words.iter().position(|word| *word == "send") else { return Ok(Vec::new()) };
    let list = words.get(at + 1).ok_or_else(|| line.malformed("a=simulcast:send has no layers"))?;
    let mut layers = Vec::new();
    for layer in list.split(';') {
        let first = layer.split(',').next().unwrap_or_default();
        let id = first.strip_prefix('~').unwrap_or(first);
        if !rids.contains_key(id) {
            return Err(line.refuse(format_args!("a=simulcast names {id:.16}, for which there is no a=rid")));
        }
        if layers.iter().any(|known| known == id) {
            return Err(line.refuse(format_args!("a=simulcast names {id:.16} twice")));
        }
        layers.push(id.to_owned());
    }
    if layers.len() > MAX_LAYERS {
        return Err(line.refuse(format_args!("more than {MAX_LAYERS} simulcast layers")));
    }
    Ok(layers)
}

fn ssrc(value: &str, line: &Line<'_>, known: &mut Vec<(u32, Option<u32>)>) -> Result<(), OfferError> {
    let id = value.split_ascii_whitespace().next().unwrap_or_default();
    let id: u32 = id.parse().map_err(|_| line.malformed("an SSRC is a number up to 4294967295"))?;
    if known.iter().all(|(other, _)| *other != id) {
        if known.len() == MAX_SSRCS {
            return Err(line.refuse(format_args!("more than {MAX_SSRCS} SSRCs in one m-line")));
        }
        known.push((id, None));
    }
    Ok(())
}

fn repair_group(value: &str, line: &Line<'_>) -> Result<Option<(u32, u32)>, OfferError> {
    let Some(list) = value.strip_prefix("FID ") else { return Ok(None) };
    let ids: Result<Vec<u32>, _> = list.split_ascii_whitespace().map(str::parse).collect();
    match ids.as_deref() {
        Ok([main, repair]) if main != repair => Ok(Some((*main, *repair))),
        _ => Err(line.malformed("a=ssrc-group:FID has two different SSRCs")),
    }
}

fn check_mids(sections: &mut [Section], bundle: Option<&[&str]>) -> Result<(), OfferError> {
    let mut seen = BTreeSet::new();
    for section in sections.iter() {
        if !seen.insert(section.mid.as_str()) {
            return Err(OfferError::Unprocessable(format!("line {}: mid {} is used twice", section.line, section.mid)));
        }
    }
    let single = sections.len() == 1;
    for section in sections {
        let bundled = bundle.is_some_and(|mids| mids.contains(&section.mid.as_str()));
        section.rejected &= !bundled;
        let alone = single && bundle.is_none();
        if !(section.rejected || bundled || alone) {
            return Err(OfferError::Unprocessable(format!(
                "line {}: mid {} is not in a=group:BUNDLE; all media share one transport",
                section.line, section.mid
            )));
        }
    }
    Ok(())
}
