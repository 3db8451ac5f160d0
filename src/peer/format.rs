//! Payload formats of an m-line: which are understood, and with what parameters.

use super::offer::{Media, OfferError};
use super::sdp::Line;
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::fmt::Write;

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Constrained baseline; packetization-mode 1 (else 0, which is received but never sent).
    H264 {
        mode: u8,
    },
    Vp8,
    Audio(AudioCodec),
    /// Retransmissions (RFC 4588) of another payload type.
    Rtx {
        of: u8,
    },
    /// Packets of another payload type, each with those before it (RFC 2198).
    Red {
        of: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    pub payload_type: u8,
    pub encoding: Encoding,
    fmtp: Option<String>,
    feedback: Vec<&'static str>,
}

impl Format {
    pub fn video(&self) -> Option<VideoCodec> {
        match self.encoding {
            Encoding::H264 { .. } => Some(VideoCodec::H264),
            Encoding::Vp8 => Some(VideoCodec::Vp8),
            Encoding::Audio(_) | Encoding::Rtx { .. } | Encoding::Red { .. } => None,
        }
    }

    pub fn audio(&self) -> Option<AudioCodec> {
        match self.encoding {
            Encoding::Audio(codec) => Some(codec),
            _ => None,
        }
    }

    pub fn render(&self, text: &mut String) {
        let (pt, map) = (self.payload_type, map(self.encoding));
        let _ = write!(text, "a=rtpmap:{pt} {map}\r\n");
        for feedback in &self.feedback {
            let _ = write!(text, "a=rtcp-fb:{pt} {feedback}\r\n");
        }
        if let Some(fmtp) = &self.fmtp {
            let _ = write!(text, "a=fmtp:{pt} {fmtp}\r\n");
        }
    }
}

fn map(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::H264 { .. } => "H264/90000",
        Encoding::Vp8 => "VP8/90000",
        Encoding::Rtx { .. } => "rtx/90000",
        Encoding::Red { .. } => "red/48000/2",
        Encoding::Audio(AudioCodec::Opus) => "opus/48000/2",
        Encoding::Audio(AudioCodec::Pcmu) => "PCMU/8000",
        Encoding::Audio(AudioCodec::Pcma) => "PCMA/8000",
        Encoding::Audio(AudioCodec::L16) => "L16/48000/2",
    }
}

const FEEDBACK: [&str; 5] = ["transport-cc", "nack", "nack pli", "ccm fir", "goog-remb"];
/// Level 5.2, RFC 6184 §8.1.
const MAX_LEVEL: u8 = 52;

struct Entry<'a> {
    payload_type: u8,
    map: Option<(&'a str, Line<'a>)>,
    fmtp: Option<(&'a str, Line<'a>)>,
    feedback: Vec<&'static str>,
}

/// Gathers the attributes of one section's payload types.
pub struct Collector<'a> {
    media: Media,
    entries: Vec<Entry<'a>>,
}

impl<'a> Collector<'a> {
    /// From the m-line.
    pub fn new(head: &Line<'a>, media: Media) -> Result<Self, OfferError> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        if media != Media::Application {
            for word in head.value.split_ascii_whitespace().skip(3) {
                let payload_type = payload_type(word, head)?;
                if entries.iter().any(|entry| entry.payload_type == payload_type) {
                    return Err(head.refuse(format_args!("payload type {payload_type} is listed twice")));
                }
                entries.push(Entry { payload_type, map: None, fmtp: None, feedback: Vec::new() });
            }
        }
        Ok(Self { media, entries })
    }

    /// One of `a=rtpmap`, `a=fmtp` and `a=rtcp-fb`.
    pub fn take(&mut self, name: &str, value: &'a str, line: &Line<'a>) -> Result<(), OfferError> {
        if self.media == Media::Application {
            return Ok(());
        }
        let (pt, rest) = value.split_once(' ').ok_or_else(|| line.malformed(format_args!("a={name} has a payload type and a value")))?;
        if name == "rtcp-fb" {
            let known = FEEDBACK.iter().find(|known| **known == rest.trim());
            for entry in self.entries.iter_mut().filter(|entry| pt == "*" || pt.parse() == Ok(entry.payload_type)) {
                entry.feedback.extend(known.filter(|known| !entry.feedback.contains(known)));
            }
            return Ok(());
        }
        let pt = payload_type(pt, line)?;
        let entry = self.entries.iter_mut().find(|entry| entry.payload_type == pt);
        let entry = entry.ok_or_else(|| line.refuse(format_args!("payload type {pt} is not in the m-line")))?;
        let slot = if name == "rtpmap" { &mut entry.map } else { &mut entry.fmtp };
        if slot.replace((rest.trim(), *line)).is_some() {
            return Err(line.refuse(format_args!("a second a={name} for payload type {pt}")));
        }
        Ok(())
    }

    /// The formats that are understood, each retransmission with its main format.
    pub fn finish(self) -> Result<Vec<Format>, OfferError> {
        let mut formats = Vec::new();
        let mut repairs: Vec<Format> = Vec::new();
        for entry in &self.entries {
            let Some(format) = entry.format(self.media)? else { continue };
            match format.encoding {
                Encoding::Rtx { of } if repairs.iter().any(|other| other.encoding == format.encoding) => {
                    return Err(OfferError::Unprocessable(format!("two rtx formats have apt={of}")));
                }
                Encoding::Red { .. } if repairs.iter().any(|other| other.encoding == format.encoding) => {}
                Encoding::Rtx { .. } | Encoding::Red { .. } => repairs.push(format),
                _ => formats.push(format),
            }
        }
        for repair in repairs {
            if let Encoding::Red { of } = repair.encoding {
                // Of Opus alone; redundancy of something else is as good as none.
                if let Some(at) = formats.iter().position(|format| format.payload_type == of && format.audio() == Some(AudioCodec::Opus)) {
                    formats.insert(at + 1, repair);
                }
                continue;
            }
            let Encoding::Rtx { of } = repair.encoding else { continue };
            if !self.entries.iter().any(|entry| entry.payload_type == of) {
                return Err(OfferError::Unprocessable(format!("the rtx format {} has apt={of}, which is not listed", repair.payload_type)));
            }
            if let Some(at) = formats.iter().position(|format| format.payload_type == of && format.video().is_some()) {
                formats.insert(at + 1, repair);
            }
        }
        Ok(formats)
    }
}

impl Entry<'_> {
    fn format(&self, media: Media) -> Result<Option<Format>, OfferError> {
        let Some(encoding) = self.encoding(media)? else { return Ok(None) };
        let fmtp = match encoding {
            Encoding::H264 { mode } => Some(format!(
                "level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={}",
                self.parameter("profile-level-id").unwrap_or("42e01f")
            )),
            Encoding::Rtx { of } => Some(format!("apt={of}")),
            Encoding::Red { of } => Some(format!("{of}/{of}")),
            Encoding::Audio(AudioCodec::Opus) => Some("minptime=10;useinbandfec=1;usedtx=1;stereo=1;sprop-stereo=1".into()),
            Encoding::Vp8 | Encoding::Audio(_) => None,
        };
        let feedback = if matches!(encoding, Encoding::Rtx { .. } | Encoding::Red { .. }) { Vec::new() } else { self.feedback.clone() };
        Ok(Some(Format { payload_type: self.payload_type, encoding, fmtp, feedback }))
    }

    fn encoding(&self, media: Media) -> Result<Option<Encoding>, OfferError> {
        let Some((map, line)) = self.map else {
            // Static payload types need no rtpmap, RFC 3551 §6.
            return Ok(match (media, self.payload_type) {
                (Media::Audio, 0) => Some(Encoding::Audio(AudioCodec::Pcmu)),
                (Media::Audio, 8) => Some(Encoding::Audio(AudioCodec::Pcma)),
                _ => None,
            });
        };
        let mut words = map.split('/');
        let name = words.next().unwrap_or_default().to_ascii_lowercase();
        let rate = words.next().and_then(|rate| rate.parse::<u32>().ok()).ok_or_else(|| line.malformed("a=rtpmap has no clock rate"))?;
        let channels = match words.next() {
            Some(channels) => {
                channels.parse::<u8>().ok().filter(|n| *n > 0).ok_or_else(|| line.malformed("a=rtpmap has no number of channels"))?
            }
            // RFC 7587 wants "/2"; GStreamer pipelines are often written without.
            None if name == "opus" => 2,
            None => 1,
        };
        let expect = |wanted: (u32, u8), encoding| {
            if (rate, channels) == wanted {
                return Ok(Some(encoding));
            }
            Err(line.refuse(format_args!("{name} has a clock rate of {} and {} channels", wanted.0, wanted.1)))
        };
        match (media, name.as_str()) {
            (Media::Audio, "opus") => expect((48_000, 2), Encoding::Audio(AudioCodec::Opus)),
            (Media::Audio, "red") if (rate, channels) == (48_000, 2) => self.red(&line),
            (Media::Audio, "pcmu") => expect((8_000, 1), Encoding::Audio(AudioCodec::Pcmu)),
            (Media::Audio, "pcma") => expect((8_000, 1), Encoding::Audio(AudioCodec::Pcma)),
            (Media::Video, "vp8") => expect((90_000, 1), Encoding::Vp8),
            (Media::Video, "h264") => Ok(self.h264()?.and(expect((90_000, 1), Encoding::H264 { mode: self.mode() })?)),
            (Media::Video, "rtx") => self.rtx(&line),
            _ => Ok(None),
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let (fmtp, _) = self.fmtp?;
        fmtp.split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    fn mode(&self) -> u8 {
        u8::from(self.parameter("packetization-mode") == Some("1"))
    }

    /// `Ok(None)`: a profile, level or packetization mode that is not decoded here. No profile at all stands for
    /// baseline (RFC 6184 §8.1), of which the constrained one is a part.
    fn h264(&self) -> Result<Option<()>, OfferError> {
        let known = matches!(self.parameter("packetization-mode").unwrap_or("0"), "0" | "1");
        let Some((_, line)) = self.fmtp else { return Ok(Some(())) };
        let Some(id) = self.parameter("profile-level-id") else { return Ok(known.then_some(())) };
        let bytes = u32::from_str_radix(id, 16).ok().filter(|_| id.len() == 6 && !id.starts_with('+'));
        let [_, profile, constraints, level] =
            bytes.ok_or_else(|| line.refuse("profile-level-id has six hexadecimal digits"))?.to_be_bytes();
        // Constrained baseline: baseline with constraint_set1, or main with constraint_set0, RFC 6184 table 5.
        let constrained = matches!((profile, constraints & 0x8f), (0x42, _) if constraints & 0x40 != 0)
            || (profile == 0x4d && constraints & 0x8f == 0x80);
        Ok((constrained && level <= MAX_LEVEL && known).then_some(()))
    }

    fn rtx(&self, line: &Line<'_>) -> Result<Option<Encoding>, OfferError> {
        let Some(of) = self.parameter("apt") else { return Ok(None) };
        Ok(Some(Encoding::Rtx { of: payload_type(of, line)? }))
    }

    /// `a=fmtp:63 111/111`: the primary's payload type, and that of each packet before it. Without it nobody knows of what.
    fn red(&self, line: &Line<'_>) -> Result<Option<Encoding>, OfferError> {
        let Some((of, _)) = self.fmtp.and_then(|(fmtp, _)| fmtp.split_once('/')) else { return Ok(None) };
        Ok(Some(Encoding::Red { of: payload_type(of.trim(), line)? }))
    }
}

fn payload_type(text: &str, line: &Line<'_>) -> Result<u8, OfferError> {
    text.parse::<u8>().ok().filter(|pt| *pt < 128).ok_or_else(|| line.refuse(format_args!("{text:.16} is not a payload type (0 to 127)")))
}
