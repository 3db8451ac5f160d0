//! What the WebRTC stack says, in the words of the room.

use super::Peer;
use super::tracks::Unit;
use super::types::{CloseReason, Event, Output};
use std::time::Instant;
use str0m::bwe::{Bitrate, BweKind};

impl Peer {
    /// Only notes things down: the stack must not be touched while it is drained.
    pub(super) fn on_event(&mut self, event: str0m::Event, now: Instant) {
        let event = match event {
            str0m::Event::Connected => {
                self.link.connected(now);
                Some(Event::Connected)
            }
            str0m::Event::IceConnectionStateChange(state) => {
                self.link.ice(state.is_connected());
                None
            }
            str0m::Event::MediaData(data) => self.tracks.unit(data, self.config.limits, now).map(|unit| match unit {
                Unit::Video(picture) => Event::Video(picture),
                Unit::Audio(packet) => Event::Audio(packet),
            }),
            str0m::Event::ChannelOpen(id, label) => self.channel.opened(id, &label).then_some(Event::ChannelOpen),
            str0m::Event::ChannelClose(id) => {
                self.channel.closed(id);
                None
            }
            str0m::Event::ChannelData(data) => self.channel.message(data, now).map(Event::Message),
            str0m::Event::KeyframeRequest(_) => Some(Event::KeyframeRequested),
            str0m::Event::EgressBitrateEstimate(kind) => self.estimate(&kind, now),
            str0m::Event::PeerStats(stats) => {
                let rtt = stats.rtt.or(stats.selected_candidate_pair.and_then(|pair| pair.current_round_trip_time));
                let report = self.meter.report(stats.egress_loss_fraction, rtt, now);
                if let Some(bps) = stats.bwe_tx.filter(|_| self.session.transport_cc) {
                    let news = self.meter.latest(self.bounded(bps), now).map(Event::Estimate);
                    self.outputs.extend(news.map(Output::Event));
                }
                if let Some(Event::Report { loss, .. }) = report {
                    self.redundancy.report(loss, self.meter.stats().estimate_bps, now);
                }
                report
            }
            str0m::Event::MediaEgressStats(stats) => {
                self.meter.egress(stats.loss, stats.rtt);
                None
            }
            str0m::Event::MediaIngressStats(stats) => {
                self.meter.ingress(stats.loss);
                None
            }
            str0m::Event::Closed => {
                self.closing.get_or_insert(CloseReason::ClosedByPeer);
                None
            }
            _ => None,
        };
        self.outputs.extend(event.map(Output::Event));
    }

    fn estimate(&mut self, kind: &BweKind, now: Instant) -> Option<Event> {
        let estimate = match kind {
            BweKind::Twcc { estimate, can_probe: true } => estimate,
            BweKind::Remb { estimate, .. } if !self.session.transport_cc => estimate,
            _ => return None,
        };
        let bps = self.bounded(*estimate);
        self.meter.estimate(bps, now).map(Event::Estimate)
    }

    fn bounded(&self, estimate: Bitrate) -> u32 {
        let most = u64::from(self.config.max_bitrate_bps).max(MIN_ESTIMATE);
        u32::try_from(estimate.as_u64().clamp(MIN_ESTIMATE, most)).unwrap_or(u32::MAX)
    }
}

const MIN_ESTIMATE: u64 = 30_000;
