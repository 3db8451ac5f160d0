//! Handshakes that must fail, each with the reason that tells what to do about it.

use crate::world::{World, config, epoch, server};
use mixdown::client::Config;
use mixdown::peer::Peer;
use mixdown::peer::types::{CloseReason, Datagram, Event, Kind, Output, Transport};
use std::net::SocketAddr;
use std::time::Duration;
use str0m::change::SdpAnswer;
use str0m::config::DtlsCert;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Input, RtcConfig};

#[test]
fn a_certificate_that_does_not_match_the_offer_ends_the_call_with_that_reason() {
    let mut world = World::new(60);
    let edit = |offer: String| {
        let at = offer.find("a=fingerprint:sha-256 ").unwrap() + 22;
        let other = if &offer[at..at + 2] == "00" { "01" } else { "00" };
        let line = offer[at..].lines().next().unwrap().to_owned();
        offer.replace(&line, &format!("{other}{}", &line[2..]))
    };
    let ann = world.try_join(Kind::Participant, Config::default(), edit).unwrap();
    world.run(2_000);
    assert_eq!(world.seen(ann, |seen| seen.closed).map(|(_, reason)| reason), Some(CloseReason::FingerprintMismatch));
    assert!(world.hub.is_empty());
}

/// A client whose certificate has an RSA key, as GStreamer's webrtcbin has by default.
#[test]
fn a_client_with_an_rsa_certificate_is_told_so_within_seconds() {
    let own = str0m::crypto::from_feature_flags().dtls_provider.generate_certificate().unwrap();
    let certificate = DtlsCert { certificate: include_bytes!("rsa.der").to_vec(), private_key: own.private_key };
    let mut now = epoch();
    let address: SocketAddr = "192.0.4.77:7777".parse().unwrap();
    let mut client = RtcConfig::new().set_dtls_cert(certificate).build(now);
    client.add_local_candidate(Candidate::host(address, "udp").unwrap());
    let mut api = client.sdp_api();
    api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    let (mut peer, answer) = Peer::accept(&config(), Kind::Participant, &offer.to_sdp_string(), now).unwrap();
    client.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer.sdp).unwrap()).unwrap();
    let mut reason = None;
    for _ in 0..1_000 {
        let _ = client.handle_input(Input::Timeout(now));
        while let Ok(output) = client.poll_output() {
            match output {
                str0m::Output::Transmit(transmit) => {
                    let contents = &transmit.contents;
                    peer.handle_datagram(&Datagram { transport: Transport::Udp, source: address, destination: server(), contents }, now);
                }
                str0m::Output::Timeout(_) => break,
                str0m::Output::Event(_) => {}
            }
        }
        peer.handle_timeout(now);
        loop {
            match peer.poll_output() {
                Output::Transmit(transmit) => {
                    let receive = Receive::new(Protocol::Udp, server(), address, &transmit.contents).unwrap();
                    let _ = client.handle_input(Input::Receive(now, receive));
                }
                Output::Event(Event::Closed(why)) => reason = Some(why),
                Output::Event(_) => {}
                Output::Timeout(_) => break,
            }
        }
        if reason.is_some() {
            break;
        }
        now += Duration::from_millis(10);
    }
    assert_eq!(reason, Some(CloseReason::DtlsFailed));
    assert!(now - epoch() < Duration::from_secs(4), "{:?}", now - epoch());
    assert!(CloseReason::DtlsFailed.to_string().contains("RSA"));
}
