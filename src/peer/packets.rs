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

/// Sequence numbers of outgoing streams (RFC 3550 §5.1), without gaps whatever rendition flows. A stream that is taken up again goes
/// on with its own: a number that comes twice would be encrypted twice with one key.
#[derive(Debug, Default)]
pub struct Sequence {
    /// One for each m-line that has carried the composite.
    next: Vec<(Ssrc, SeqNo)>,
}

impl Sequence {
    /// Queues all packets of a picture.
    pub fn write(&mut self, stream: &mut StreamTx, packets: &Packets, payload_type: Pt, rtp_time: u64, wallclock: Instant) {
        let next = self.of(stream.ssrc());
        let last = packets.len().saturating_sub(1);
        for (index, payload) in packets.0.iter().enumerate() {
            let packet = RtpWrite::new(payload_type, next.inc(), rtp_time as u32, wallclock, Arc::clone(payload));
            stream.write_rtp(packet.marker(index == last).nackable(true));
        }
    }
    fn of(&mut self, stream: Ssrc) -> &mut SeqNo {
        let place = self.next.iter().position(|(known, _)| *known == stream).unwrap_or_else(|| {
            self.next.push((stream, SeqNo::default()));
            self.next.len() - 1
        });
        &mut self.next[place].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_taken_up_again_goes_on_with_its_own_numbers() {
        let mut sequence = Sequence::default();
        let [first, other] = [Ssrc::from(1), Ssrc::from(2)];
        let begins = sequence.of(first).inc();
        assert!(begins.roc() == 0 && *begins < 1 << 15);
        sequence.of(other).inc();
        assert_eq!(*sequence.of(first).inc(), *begins + 1);
    }
}
