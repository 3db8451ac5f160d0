//! As much of STUN (RFC 8489) as the demultiplexer needs: class, transaction, ufrag, nomination, integrity.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const USE_CANDIDATE: u16 = 0x0025;
const MAX_ATTRIBUTES: usize = 32;

/// What the first byte of a datagram says it is (RFC 7983).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Stun,
    Dtls,
    /// RTP or RTCP.
    Rtp,
}

/// The kind of a datagram; `None`: no kind that is spoken here.
pub fn kind(datagram: &[u8]) -> Option<Kind> {
    match *datagram.first()? {
        0..=3 if datagram.len() >= HEADER => Some(Kind::Stun),
        20..=63 if datagram.len() >= 13 => Some(Kind::Dtls),
        128..=191 if datagram.len() >= 8 => Some(Kind::Rtp),
        _ => None,
    }
}

/// Whether it is RTP, and not RTCP (RFC 5761 §4).
pub fn is_media(datagram: &[u8]) -> bool {
    kind(datagram) == Some(Kind::Rtp) && !(64..96).contains(&(datagram[1] & 0x7f))
}

/// The method Binding in its three classes that matter; indications and other methods are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Request,
    Success,
    Error,
}

pub type Transaction = [u8; 12];

/// A Binding message, not yet authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub class: Class,
    pub transaction: Transaction,
    /// The way that this came is the one to use from now on (RFC 8445 §7.1.2).
    pub nominates: bool,
    username: Option<&'a str>,
    integrity_at: Option<usize>,
    bytes: &'a [u8],
}

/// Reads a Binding message. `None`: not one, or malformed.
pub fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let header = bytes.first_chunk::<HEADER>()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if !length.is_multiple_of(4) || length + HEADER != bytes.len() || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    let class = match u16::from_be_bytes([header[0], header[1]]) {
        0x0001 => Class::Request,
        0x0101 => Class::Success,
        0x0111 => Class::Error,
        _ => return None,
    };
    let mut transaction = Transaction::default();
    transaction.copy_from_slice(&header[8..]);
    let mut message = Message { class, transaction, nominates: false, username: None, integrity_at: None, bytes };
    let mut at = HEADER;
    for _ in 0..MAX_ATTRIBUTES {
        let Some(head) = bytes.get(at..at + 4) else { return (at == bytes.len()).then_some(message) };
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = bytes.get(at + 4..at + 4 + length)?;
        match kind {
            USERNAME if message.username.is_none() => message.username = Some(std::str::from_utf8(value).ok()?),
            USE_CANDIDATE => message.nominates = true,
            // What follows the integrity is not covered by it (but FINGERPRINT, which proves nothing).
            MESSAGE_INTEGRITY => {
                message.integrity_at = (length == 20).then_some(at);
                return Some(message);
            }
            _ => {}
        }
        at += 4 + length.next_multiple_of(4);
    }
    None
}

impl<'a> Message<'a> {
    /// The receiver's part of USERNAME: in a request to us, our own ufrag.
    pub fn receiver_ufrag(&self) -> Option<&'a str> {
        self.username?.split_once(':').map(|(receiver, _)| receiver)
    }

    /// Whether MESSAGE-INTEGRITY was made with `password`.
    pub fn verify(&self, password: &str) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let (Some(tag), Some(before)) = (self.bytes.get(at + 4..at + 24), self.bytes.get(..at)) else { return false };
        let Ok(length) = u16::try_from(at + 24 - HEADER) else { return false };
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(password.as_bytes()) else { return false };
        mac.update(&before[..2]);
        mac.update(&length.to_be_bytes());
        mac.update(&before[4..]);
        mac.verify_slice(tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 5769 §2.1, sample request with short-term credentials.
    const REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\
\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

    #[test]
    fn the_sample_of_rfc_5769_is_read_and_verified() {
        let message = parse(REQUEST).unwrap();
        assert_eq!(message.class, Class::Request);
        assert_eq!(message.receiver_ufrag(), Some("evtj"));
        assert!(!message.nominates);
        assert!(message.verify("VOkJxbRl1RmTxUk/WvJxBt"));
        assert!(!message.verify("VOkJxbRl1RmTxUk/WvJxBx"));
    }

    #[test]
    fn a_changed_byte_fails_the_integrity_or_the_reading() {
        for at in 0..REQUEST.len() - 8 {
            let mut bytes = REQUEST.to_vec();
            bytes[at] ^= 0x40;
            let verified = parse(&bytes).is_some_and(|m| m.verify("VOkJxbRl1RmTxUk/WvJxBt"));
            assert!(!verified, "byte {at}");
        }
    }

    #[test]
    fn truncated_and_overlong_messages_are_not_read() {
        for end in 0..REQUEST.len() {
            assert!(parse(&REQUEST[..end]).is_none());
        }
        let mut many = REQUEST[..HEADER].to_vec();
        many.extend_from_slice(&[0x80, 0x30, 0, 0].repeat(500));
        many[2..4].copy_from_slice(&2_000u16.to_be_bytes());
        assert!(parse(&many).is_none());
    }

    #[test]
    fn first_bytes_that_are_not_spoken_here_have_no_kind() {
        assert_eq!(kind(&[]), None);
        for first in (4..20).chain(64..128).chain(192..=255) {
            assert_eq!(kind(&[first; 64]), None);
        }
        assert_eq!(kind(&[0; 64]), Some(Kind::Stun));
        assert_eq!(kind(&[22; 64]), Some(Kind::Dtls));
        assert_eq!(kind(&[128; 64]), Some(Kind::Rtp));
    }
}
