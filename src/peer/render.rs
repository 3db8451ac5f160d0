//! The text of an offer that the WebRTC stack gets to read: what the gate understood, in canonical form.

use super::offer::{Direction, Media, Offer, Section, Setup};
use std::fmt::Write;

impl Offer {
    /// Canonical SDP of what was understood, with these credentials; candidates are left out (they are given to the stack one by one).
    pub fn render(&self) -> String {
        let mut text = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
        for section in self.sections.iter().filter(|section| !section.rejected) {
            let _ = write!(text, " {}", section.mid);
        }
        text.push_str("\r\n");
        if self.ice_lite {
            text.push_str("a=ice-lite\r\n");
        }
        let setup = match self.setup {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        for section in &self.sections {
            section.head(&mut text);
            let _ = write!(
                text,
                "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=mid:{}\r\n",
                self.ice.ufrag, self.ice.pwd, self.fingerprint, section.mid
            );
            section.attributes(&mut text);
        }
        text
    }
}

impl Section {
    fn head(&self, text: &mut String) {
        let port = if self.rejected { 0 } else { 9 };
        match self.media {
            Media::Application => {
                let _ = write!(text, "m=application {port} UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n");
                return;
            }
            Media::Audio => text.push_str("m=audio "),
            Media::Video => text.push_str("m=video "),
        }
        let _ = write!(text, "{port} UDP/TLS/RTP/SAVPF");
        for format in &self.formats {
            let _ = write!(text, " {}", format.payload_type);
        }
        if self.formats.is_empty() {
            let _ = write!(text, " {}", self.first_payload_type);
        }
        text.push_str("\r\nc=IN IP4 0.0.0.0\r\n");
    }

    fn attributes(&self, text: &mut String) {
        if self.media == Media::Application {
            let _ = write!(text, "a=sctp-port:5000\r\na=max-message-size:{}\r\n", self.max_message_size.unwrap_or(65_536));
            return;
        }
        let direction = match self.direction {
            Direction { sends: true, receives: true } => "sendrecv",
            Direction { sends: true, receives: false } => "sendonly",
            Direction { sends: false, receives: true } => "recvonly",
            Direction { sends: false, receives: false } => "inactive",
        };
        // The stack answers with what it is given. One stream for all: receivers synchronise what is in one stream.
        let _ = write!(text, "a={direction}\r\na=msid:mixdown {}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n", self.mid);
        for (id, uri) in &self.extensions {
            let _ = write!(text, "a=extmap:{id} {uri}\r\n");
        }
        for format in &self.formats {
            format.render(text);
        }
        if self.formats.is_empty() {
            // The stack wants a name for every payload type; this one it will not know.
            let _ = write!(text, "a=rtpmap:{} none/90000\r\n", self.first_payload_type);
        }
        for layer in &self.layers {
            let _ = write!(text, "a=rid:{layer} send\r\n");
        }
        if !self.layers.is_empty() {
            let _ = write!(text, "a=simulcast:send {}\r\n", self.layers.join(";"));
            return;
        }
        for (ssrc, repair) in &self.ssrcs {
            let _ = write!(text, "a=ssrc:{ssrc} cname:c\r\n");
            if let Some(repair) = repair {
                let _ = write!(text, "a=ssrc:{repair} cname:c\r\na=ssrc-group:FID {ssrc} {repair}\r\n");
            }
        }
    }
}
