//! Coded pictures as payloads of RTP packets: cut once for all subscribers of a rendition, and shared by them.
//!
//! A connection adds to each what is its own: header, sequence number, encryption. What it keeps to send again is the same
//! memory too.

use crate::media::VideoOut;
use std::sync::Arc;
use std::time::Instant;

use mixdown_codecs::VideoCodec;
use str0m::media::Pt;
use str0m::rtp::{RtpWrite, SeqNo, Ssrc, StreamTx};
use str0m::unversioned::{H264Packetizer, Packetizer, Vp8Packetizer};

/// Bytes of one payload at most. With header and extensions, a repair's own header and the tag of SRTP a datagram stays
/// below the 1232 bytes that pass everywhere (IPv6's smallest MTU), also through a relay.
const MAX_PAYLOAD: usize = 1_120;

/// One picture, cut: payloads of RFC 6184 (packetization mode 1) or RFC 7741 in order, the last of which ends it.
#[derive(Debug, Clone)]
pub struct Packets(Vec<Arc<[u8]>>);

impl Packets {
    /// Cuts a picture. Nothing comes of one without content.
    pub fn of(picture: &VideoOut) -> Self {
        let payloads = match picture.codec {
            VideoCodec::H264 => H264Packetizer::default().packetize(MAX_PAYLOAD, &picture.data),
            VideoCodec::Vp8 => Vp8Packetizer::default().packetize(MAX_PAYLOAD, &picture.data),
        };
        Self(payloads.unwrap_or_default().into_iter().map(Arc::from).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sequence numbers of one outgoing stream (RFC 3550 §5.1), without gaps whatever rendition flows.
#[derive(Debug, Default)]
pub struct Sequence {
    stream: Option<Ssrc>,
    next: SeqNo,
}

impl Sequence {
    /// Queues all packets of a picture.
    pub fn write(&mut self, stream: &mut StreamTx, packets: &Packets, payload_type: Pt, rtp_time: u64, wallclock: Instant) {
        if self.stream.replace(stream.ssrc()) != Some(stream.ssrc()) {
            // Of a new stream the receiver believes that its number has never wrapped around.
            self.next = SeqNo::default();
        }
        let last = packets.len().saturating_sub(1);
        for (index, payload) in packets.0.iter().enumerate() {
            let packet = RtpWrite::new(payload_type, self.next.inc(), rtp_time as u32, wallclock, Arc::clone(payload));
            stream.write_rtp(packet.marker(index == last).nackable(true));
        }
    }
}
