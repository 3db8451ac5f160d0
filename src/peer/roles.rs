//! What each m-line is for.
//!
//! The first video m-line that sends is the camera, a further one (or one marked `a=content:slides`)
//! the screen; the first audio m-line that sends is the microphone, a further one the screen's sound. The
//! composite and the mix go down on the first video and audio m-line that can receive. A role
//! stays with its m-line over re-offers. Everything else of an offer is declined by direction.

use super::format::{Encoding, Format};
use super::offer::{Direction, Media, Offer, OfferError, Section};
use super::types::{Config, Kind};
use crate::ids::Source;
use std::collections::BTreeMap;

/// Roles by mid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    pub sources: BTreeMap<String, Source>,
    pub video_down: Option<String>,
    pub audio_down: Option<String>,
}

/// Assigns roles and narrows the offer to them: formats to those of `config`, directions to what is used.
pub fn assign(offer: &mut Offer, kind: Kind, config: &Config, before: &Roles) -> Result<Roles, OfferError> {
    for section in &mut offer.sections {
        narrow(&mut section.formats, config);
    }
    let mut roles = Roles {
        sources: before.sources.clone(),
        video_down: first_receiving(offer, Media::Video, kind),
        audio_down: first_receiving(offer, Media::Audio, kind),
    };
    roles.sources.retain(|mid, _| offer.sections.iter().any(|section| section.mid == *mid && !section.rejected));
    for section in &offer.sections {
        if kind != Kind::Viewer && section.media != Media::Application && section.direction.sends && usable(section) {
            roles.give(section);
        }
    }
    demand(offer, kind, &roles)?;
    for section in &mut offer.sections {
        if section.media == Media::Application {
            continue;
        }
        section.direction = Direction {
            sends: section.direction.sends && kind != Kind::Viewer && roles.sources.contains_key(&section.mid),
            receives: [&roles.video_down, &roles.audio_down].into_iter().flatten().any(|mid| *mid == section.mid),
        };
        if !section.direction.sends {
            section.layers.clear();
        }
    }
    Ok(roles)
}

impl Roles {
    fn give(&mut self, section: &Section) {
        if self.sources.contains_key(&section.mid) {
            return;
        }
        let taken = |source| self.sources.values().any(|known| *known == source);
        let wanted = match section.media {
            Media::Audio => [Source::Microphone, Source::ScreenAudio],
            _ if section.slides => [Source::Screen, Source::Screen],
            _ => [Source::Camera, Source::Screen],
        };
        if let Some(source) = wanted.into_iter().find(|source| !taken(*source)) {
            self.sources.insert(section.mid.clone(), source);
        }
    }
}

fn usable(section: &Section) -> bool {
    !section.rejected && !section.formats.is_empty()
}

fn first_receiving(offer: &Offer, media: Media, kind: Kind) -> Option<String> {
    if kind == Kind::Publisher {
        return None;
    }
    let fits = |section: &&Section| {
        section.media == media && section.direction.receives && !section.rejected && section.formats.iter().any(sendable)
    };
    offer.sections.iter().find(fits).map(|section| section.mid.clone())
}

/// Whether this format can be sent: the packetiser fragments, which H.264 mode 0 does not allow.
fn sendable(format: &Format) -> bool {
    !matches!(format.encoding, Encoding::H264 { mode: 0 } | Encoding::Rtx { .. } | Encoding::Red { .. })
}

fn narrow(formats: &mut Vec<Format>, config: &Config) {
    let allowed = |format: &Format| match format.encoding {
        Encoding::Audio(codec) => config.audio_codecs.contains(&codec),
        Encoding::Rtx { .. } | Encoding::Red { .. } => true,
        _ => format.video().is_some_and(|codec| config.video_codecs.contains(&codec)),
    };
    formats.retain(allowed);
    let mains: Vec<_> = formats.iter().map(|format| format.payload_type).collect();
    formats.retain(|format| !matches!(format.encoding, Encoding::Rtx { of } | Encoding::Red { of } if !mains.contains(&of)));
}

/// Refuses an offer that could not do what the session is for.
fn demand(offer: &Offer, kind: Kind, roles: &Roles) -> Result<(), OfferError> {
    let media: Vec<_> = offer.sections.iter().filter(|section| section.media != Media::Application && !section.rejected).collect();
    let sends = media.iter().any(|section| section.direction.sends);
    let receives = media.iter().any(|section| section.direction.receives);
    let up = media.iter().any(|section| section.direction.sends && roles.sources.contains_key(&section.mid));
    let down = roles.video_down.is_some() || roles.audio_down.is_some();
    let direction = match kind {
        Kind::Publisher if !sends => "direction: a publisher's offer must send audio or video (sendonly or sendrecv)",
        Kind::Viewer if !receives => "direction: a viewer's offer must receive audio or video (recvonly or sendrecv)",
        Kind::Publisher if up => return Ok(()),
        Kind::Viewer if down => return Ok(()),
        Kind::Participant if up || down || media.iter().all(|section| !section.direction.sends && !section.direction.receives) => {
            return Ok(());
        }
        _ => {
            return Err(OfferError::Unprocessable(
                "no common codec: accepted are H.264 constrained baseline (packetization-mode 0 or 1, up to level 5.2), VP8, Opus, PCMU and PCMA".into(),
            ));
        }
    };
    Err(OfferError::Unprocessable(direction.into()))
}

/// Refuses a re-offer that moves or drops m-lines (RFC 8829 §5.2.2): the old session goes on.
pub fn check_continuity(before: &Offer, after: &Offer) -> Result<(), OfferError> {
    if after.sections.len() < before.sections.len() {
        return Err(OfferError::Unprocessable(format!(
            "the offer has {} m-lines, the session has {}; an m-line is dropped by port 0, not by leaving it out",
            after.sections.len(),
            before.sections.len()
        )));
    }
    for (old, new) in before.sections.iter().zip(&after.sections) {
        if old.media != new.media || (old.mid != new.mid && !old.rejected) {
            return Err(OfferError::Unprocessable(format!("line {}: this m-line was mid {} before", new.line, old.mid)));
        }
    }
    if before.fingerprint != after.fingerprint {
        return Err(OfferError::Unprocessable("the certificate fingerprint cannot change within a session".into()));
    }
    Ok(())
}
