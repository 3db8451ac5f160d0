//! Whether the connection lives: how far it has come, when it was last heard, and why it ends.

use super::types::{CloseReason, Event};
use std::time::{Duration, Instant};

/// RFC 7675 §5.1.
const CONSENT: Duration = Duration::from_secs(30);
/// Silence after which the room is told: of somebody who sent media until then, and of somebody who sent ICE checks alone
/// (every 2.5 to 6 s, depending on the browser).
const SILENCE: Duration = Duration::from_secs(3);
const SILENCE_OF_CHECKS: Duration = Duration::from_secs(9);
/// A handshake that failed at the certificate does not recover; time for a retransmission to prove it.
const CERTIFICATE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Link {
    deadline: Option<Instant>,
    connected: bool,
    ice: bool,
    checked: bool,
    dtls_failed: bool,
    heard: Instant,
    /// Something else than an ICE check.
    media: Instant,
    consent: Instant,
    reachable: bool,
    ended: bool,
}

impl Link {
    pub fn new(now: Instant, connect_deadline: Duration) -> Self {
        Self {
            deadline: Some(now + connect_deadline),
            connected: false,
            ice: false,
            checked: false,
            dtls_failed: false,
            heard: now,
            media: now,
            consent: now,
            reachable: true,
            ended: false,
        }
    }

    /// A datagram of this peer's has arrived.
    pub fn heard(&mut self, authenticated: bool, now: Instant) {
        self.heard = now;
        if authenticated {
            self.checked = true;
            self.consent = now;
        } else {
            self.media = now;
        }
    }

    fn silent_from(&self) -> Instant {
        (self.media + SILENCE).max(self.heard + if self.media + SILENCE < self.heard { SILENCE_OF_CHECKS } else { SILENCE })
    }

    pub fn ice(&mut self, up: bool) {
        self.ice |= up;
    }

    pub fn connected(&mut self, now: Instant) {
        self.connected = true;
        self.deadline = None;
        self.heard = now;
    }

    pub fn is_connected(&self) -> bool {
        self.connected && !self.ended
    }

    /// The handshake reported `error`. Single bad records are survived: they may be anybody's.
    pub fn dtls_failed(&mut self, error: &str, now: Instant) {
        if self.connected {
            return;
        }
        self.dtls_failed = true;
        let certificate = ["ertificate", "public key", "ublicKey", "ignature"].iter().any(|word| error.contains(word));
        if certificate {
            let sooner = now + CERTIFICATE;
            self.deadline = self.deadline.map(|deadline| deadline.min(sooner));
        }
    }

    /// Why the connection must end now, if it must.
    pub fn expired(&self, now: Instant) -> Option<CloseReason> {
        if self.connected {
            return (now >= self.consent + CONSENT).then_some(CloseReason::ConsentLost);
        }
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        late.then_some(match (self.checked, self.ice, self.dtls_failed) {
            (false, ..) => CloseReason::IceNoChecks,
            (true, false, _) => CloseReason::IceFailed,
            (true, true, true) => CloseReason::DtlsFailed,
            (true, true, false) => CloseReason::DtlsTimeout,
        })
    }

    /// The change of reachability to report, if there is one.
    pub fn reachable(&mut self, now: Instant) -> Option<Event> {
        let reachable = now < self.silent_from();
        if !self.connected || reachable == self.reachable {
            return None;
        }
        self.reachable = reachable;
        Some(Event::Reachable(reachable))
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        if !self.connected {
            return self.deadline;
        }
        let silence = self.reachable.then(|| self.silent_from());
        Some(silence.map_or(self.consent + CONSENT, |silence| silence.min(self.consent + CONSENT)))
    }

    pub fn end(&mut self) {
        self.ended = true;
    }
}
