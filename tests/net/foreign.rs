//! A client that is not ours, as far as its own settings of the stack go: what no client of ours sends.

use crate::world::{config, epoch, number, picture, server};
use mixdown::peer::Peer;
use mixdown::peer::types::{Codec, Datagram, Event, Kind, Output, Transport};
use mixdown_codecs::VideoCodec;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Input, Rtc, RtcConfig};

struct Foreign {
    client: Rtc,
    peer: Peer,
    camera: Mid,
    answer: String,
    address: SocketAddr,
    now: Instant,
    events: Vec<Event>,
}

impl Foreign {
    fn new(mut settings: RtcConfig) -> Self {
        let now = epoch();
        let address: SocketAddr = "192.0.4.78:7878".parse().unwrap();
        mixdown::peer::dtls::hurry(&mut settings);
        let mut client = settings.build(now);
        client.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut api = client.sdp_api();
        let camera = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let (peer, answer) = Peer::accept(&config(), Kind::Publisher, &offer.to_sdp_string(), now).unwrap();
        client.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer.sdp).unwrap()).unwrap();
        Self { client, peer, camera, answer: answer.sdp, address, now, events: Vec::new() }
    }

    /// Passes on what either side sends, for so long.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let _ = self.client.handle_input(Input::Timeout(self.now));
            while let Ok(output) = self.client.poll_output() {
                match output {
                    str0m::Output::Transmit(transmit) => {
                        let contents = &transmit.contents;
                        let (source, destination) = (self.address, server());
                        self.peer.handle_datagram(&Datagram { transport: Transport::Udp, source, destination, contents }, self.now);
                    }
                    str0m::Output::Timeout(_) => break,
                    str0m::Output::Event(_) => {}
                }
            }
            self.peer.handle_timeout(self.now);
            loop {
                match self.peer.poll_output() {
                    Output::Transmit(transmit) => {
                        let receive = Receive::new(Protocol::Udp, server(), self.address, &transmit.contents).unwrap();
                        let _ = self.client.handle_input(Input::Receive(self.now, receive));
                    }
                    Output::Event(event) => self.events.push(event),
                    Output::Timeout(_) => break,
                }
            }
            self.now += Duration::from_millis(5);
        }
    }
}

/// Hardware encoders and SIP gateways: each NAL unit in a packet of its own (RFC 6184 §6.2).
#[test]
fn h264_in_packetization_mode_0_is_understood_from_a_sender() {
    let mut settings = RtcConfig::new().clear_codecs();
    settings.codec_config().add_h264(108.into(), None, false, 0x42_e01f);
    let mut foreign = Foreign::new(settings);
    assert!(foreign.answer.contains("packetization-mode=0") && !foreign.answer.contains("packetization-mode=1"), "{}", foreign.answer);
    foreign.run(Duration::from_secs(1));
    for n in 0..10 {
        let data = picture(VideoCodec::H264, n, n == 0, 640, 360, 300);
        let now = foreign.now;
        let writer = foreign.client.writer(foreign.camera).expect("a camera");
        let pt = writer.payload_params().next().expect("a codec").pt();
        writer.write(pt, now, MediaTime::from_90khz(n * 3000), data).unwrap();
        foreign.run(Duration::from_millis(35));
    }
    let sends = |event: &Event| matches!(event, Event::Negotiated(agreed) if agreed.sends.iter().any(|(_, codec)| *codec == Codec::Video(VideoCodec::H264)));
    assert!(foreign.events.iter().any(sends), "H.264 is agreed on");
    let numbers: Vec<u64> = foreign
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Video(picture) => Some(number(&picture.data)),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}
