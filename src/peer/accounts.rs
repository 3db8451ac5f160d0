//! A receiver's accounts of what has arrived (transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01) wait until something is sent.
//!
//! Where less goes than 50 kb/s the stack adds padding whenever it is called while nothing waits to be sent, and the receiver answers each padding with
//! an account, for which the stack is called: in a quiet room most of what the network costs, on both sides. After a packet of sound there is nothing to
//! add. An account of many packets, those of pictures or of a probe, is taken at once, and so is one that finds another waiting, and all on thin
//! links. Pure.

use super::types::{Datagram, Transport};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// An account of no more bytes, encrypted, tells of a dozen packets at most: of sound and padding.
const SHORT: usize = 56;
/// Where nothing is sent an account waits no longer than this.
const LONGEST: Duration = Duration::from_millis(250);
/// First two bytes, but for the padding bit: version 2, format 15; RTPFB (RFC 4585 §6.1).
const FORMAT: (u8, u8) = (0x8f, 205);
const PADDED: u8 = 0x20;

#[derive(Debug, Default)]
pub struct Accounts {
    waiting: Option<Waiting>,
    contents: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    arrived: Instant,
}

pub fn is_account(contents: &[u8]) -> bool {
    matches!(contents, [first, second, ..] if (first & !PADDED, *second) == FORMAT)
}

impl Accounts {
    /// True: the account waits from now on, for [`Accounts::take`]. False: it is to be taken now, after the one that waits.
    pub fn wait(&mut self, account: &Datagram<'_>, now: Instant) -> bool {
        if account.contents.len() > SHORT || self.waiting.is_some() {
            return false;
        }
        let Datagram { transport, source, destination, contents } = *account;
        self.contents.clear();
        self.contents.extend_from_slice(contents);
        self.waiting = Some(Waiting { transport, source, destination, arrived: now });
        true
    }

    /// The account that waits, and when it arrived.
    pub fn take(&mut self) -> Option<(Datagram<'_>, Instant)> {
        let Waiting { transport, source, destination, arrived } = self.waiting.take()?;
        Some((Datagram { transport, source, destination, contents: &self.contents }, arrived))
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.map(|waiting| waiting.arrived + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: [u8; SHORT + 1] = {
        let mut bytes = [0; SHORT + 1];
        (bytes[0], bytes[1]) = FORMAT;
        bytes
    };

    fn account(length: usize) -> Datagram<'static> {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        Datagram { transport: Transport::Udp, source: address, destination: address, contents: &ACCOUNT[..length] }
    }

    #[test]
    fn a_short_account_waits_and_neither_a_long_one_nor_a_second_one_does() {
        let now = crate::runtime::clock::now();
        let mut accounts = Accounts::default();
        assert!(!accounts.wait(&account(SHORT + 1), now) && accounts.deadline().is_none(), "a picture's");
        assert!(accounts.wait(&account(44), now) && accounts.deadline() == Some(now + LONGEST));
        assert!(!accounts.wait(&account(SHORT), now), "one waits already");
        let (taken, arrived) = accounts.take().unwrap();
        assert_eq!((taken.contents, arrived), (&ACCOUNT[..44], now));
        assert!(accounts.take().is_none() && accounts.deadline().is_none());
        assert!(accounts.wait(&account(SHORT), now));
    }

    #[test]
    fn nothing_else_is_an_account() {
        assert!(is_account(&ACCOUNT) && is_account(&[0xaf, 205]));
        let others: [&[u8]; 6] = [&[], &[0x8f], &[0x81, 205], &[0x8f, 206], &[0x80, 200], &[0x90, 111]];
        assert!(others.iter().all(|other| !is_account(other)));
    }
}
