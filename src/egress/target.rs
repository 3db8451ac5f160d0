//! What an egress can be asked for: where it goes, checked before anything starts.

use crate::address::{self, NotAllowed, Rtmp, Url};
use std::fmt;
use std::time::Duration;

/// One output.
#[derive(Debug, Clone)]
pub enum Target {
    Hls(Hls),
    Rtmp(Rtmp),
    Whip(Whip),
    Images(Images),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hls {
    /// Whoever knows the address may watch.
    pub public: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Images {
    pub interval: Duration,
}

/// A WHIP endpoint (RFC 9725).
#[derive(Clone)]
pub struct Whip {
    pub url: Url,
    /// Sent as Bearer.
    pub token: Option<String>,
}

impl fmt::Debug for Whip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

impl Whip {
    pub fn check(url: &str, token: Option<String>, private: bool) -> Result<Self, NotAllowed> {
        Ok(Self { url: address::check(url, private)?, token })
    }
}

impl Target {
    /// As it is called in the API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hls(_) => "hls",
            Self::Rtmp(_) => "rtmp",
            Self::Whip(_) => "whip",
            Self::Images(_) => "images",
        }
    }

    /// Whether whoever knows its address may watch.
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::Hls(Hls { public: true }))
    }

    /// Whether it takes coded pictures and sound, or stills alone.
    pub const fn is_coded(&self) -> bool {
        !matches!(self, Self::Images(_))
    }

    /// Where it goes, without what may be secret.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Rtmp(stream) => Some(stream.shown()),
            Self::Whip(whip) => Some(shown(&whip.url)),
            Self::Hls(_) | Self::Images(_) => None,
        }
    }
}

/// A query may hold a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let whip = Whip::check("https://example.org/whip/room?key=secret", Some("secret".into()), false).unwrap();
        assert_eq!(format!("{whip:?}"), "https://example.org/whip/room");
        assert_eq!(Target::Whip(whip).place().as_deref(), Some("https://example.org/whip/room"));
        let rtmp = address::check_rtmp("rtmp://example.org/live/secret", false).unwrap();
        assert!(!format!("{:?}", Target::Rtmp(rtmp)).contains("secret"));
    }
}
