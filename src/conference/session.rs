//! What the conference keeps per connection beyond what the room knows, and who has just gone.

use super::rights::Rights;
use crate::ids::ParticipantId;
use crate::peer::types::CloseReason;
use crate::room::model::{Participant, State};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a failed participant can still be asked why.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub struct Session {
    pub etag: String,
    pub rights: Rights,
    pub channel_open: bool,
    /// Receives a rendition.
    pub fed: bool,
    /// We are closing it for this reason.
    pub closing: Option<CloseReason>,
    /// Was sent to another room and is closed then.
    pub leaves_at: Option<Instant>,
    pub messages: Bucket,
}

/// A token bucket: `rate` per second, up to `burst` at once.
#[derive(Debug)]
pub struct Bucket {
    rate: f32,
    burst: f32,
    tokens: f32,
    last: Instant,
}

impl Bucket {
    pub fn new(rate: f32, burst: f32, now: Instant) -> Self {
        Self { rate, burst, tokens: burst, last: now }
    }

    pub fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.last).as_secs_f32();
        self.last = now;
        self.tokens = (self.tokens + since * self.rate).min(self.burst);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// Participants whose connection ended in a way that somebody may ask about.
#[derive(Debug, Default)]
pub struct Departed(VecDeque<(Instant, Participant)>);

impl Departed {
    pub fn remember(&mut self, now: Instant, participant: Participant, reason: CloseReason) {
        if reason == CloseReason::Left {
            return; // they know; the session is 404 from now on
        }
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        let feed = None;
        let (reason, reason_code) = (Some(reason.to_string()), Some(reason));
        self.0.push_back((
            now,
            Participant { state: State::Disconnected, reason, reason_code, feed, speaking: false, level_dbov: None, ..participant },
        ));
    }

    pub fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > REMEMBERED_FOR) {
            self.0.pop_front();
        }
    }

    pub fn find(&self, id: ParticipantId) -> Option<&Participant> {
        self.0.iter().map(|(_, participant)| participant).find(|participant| participant.id == id)
    }
}
