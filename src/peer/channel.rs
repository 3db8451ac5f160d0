//! The data channel `mixdown`: text, at most 16 KiB a message; what is beyond the limits closes a channel, never the call.

use std::time::{Duration, Instant};
use str0m::Rtc;
use str0m::channel::{ChannelData, ChannelId};

/// The label by which clients open it.
pub const LABEL: &str = "mixdown";
/// Bytes of one message, in either direction.
pub const MAX_MESSAGE: usize = 16 * 1024;
/// A channel with more unread bytes than this is closed.
pub const MAX_BUFFERED: usize = 1024 * 1024;
/// Channels of any label.
const MAX_CHANNELS: usize = 16;
/// Messages per second that are listened to, and how many at once.
const RATE: u32 = 100;
const BURST: u32 = 200;

#[derive(Debug, Default)]
pub struct Channel {
    id: Option<ChannelId>,
    open: Vec<ChannelId>,
    doomed: Vec<ChannelId>,
    tokens: Option<(u32, Instant)>,
}

impl Channel {
    /// True: the channel `mixdown` has opened.
    pub fn opened(&mut self, id: ChannelId, label: &str) -> bool {
        if self.open.len() >= MAX_CHANNELS || (label == LABEL && self.id.is_some()) {
            return self.doom(id, "channel_cap");
        }
        self.open.push(id);
        if label != LABEL {
            return false;
        }
        self.id = Some(id);
        true
    }

    pub fn closed(&mut self, id: ChannelId) {
        self.open.retain(|known| *known != id);
        if self.id == Some(id) {
            self.id = None;
        }
    }

    /// The text of an incoming message, if it is one that counts.
    pub fn message(&mut self, data: ChannelData, now: Instant) -> Option<String> {
        if self.id != Some(data.id) {
            drop_message("channel_label");
            return None;
        }
        if data.data.len() > MAX_MESSAGE {
            self.doom(data.id, "message_size");
            return None;
        }
        if !self.spend(now) {
            drop_message("message_rate");
            return None;
        }
        let text = if data.binary { None } else { String::from_utf8(data.data).ok() };
        if text.is_none() {
            drop_message("message_not_text");
        }
        text
    }

    /// False: not sent, because there is no channel or the other side does not read it.
    pub fn send(&mut self, rtc: &mut Rtc, text: &str) -> bool {
        let Some(id) = self.id else { return false };
        let Some(mut channel) = rtc.channel(id) else { return false };
        let sent = text.len() <= MAX_MESSAGE
            && channel.buffered_amount() <= MAX_BUFFERED
            && channel.write(false, text.as_bytes()).unwrap_or(false);
        if !sent && text.len() <= MAX_MESSAGE {
            self.doom(id, "message_unread");
        }
        sent
    }

    /// Closes what must be closed. True: the stack was touched.
    pub fn tidy(&mut self, rtc: &mut Rtc) -> bool {
        let Some(id) = self.doomed.pop() else { return false };
        rtc.direct_api().close_data_channel(id);
        self.closed(id);
        true
    }

    fn doom(&mut self, id: ChannelId, reason: &'static str) -> bool {
        drop_message(reason);
        if !self.doomed.contains(&id) {
            self.doomed.push(id);
        }
        if self.id == Some(id) {
            self.id = None;
        }
        false
    }

    fn spend(&mut self, now: Instant) -> bool {
        let (tokens, since) = self.tokens.unwrap_or((BURST, now));
        let passed = now.saturating_duration_since(since);
        let earned = u32::try_from(passed.as_millis()).unwrap_or(u32::MAX).saturating_mul(RATE) / 1_000;
        let since = since + Duration::from_millis(u64::from(earned) * 1_000 / u64::from(RATE));
        let tokens = tokens.saturating_add(earned).min(BURST);
        self.tokens = Some((tokens.saturating_sub(1), since));
        tokens > 0
    }
}

fn drop_message(reason: &'static str) {
    metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
}
