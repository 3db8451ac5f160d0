//! What a viewer costs at least: what the kernel of this machine takes to send such datagrams, handed to it as the server does, and nothing else.

use crate::net::{Listen, Outbox, Sockets};
use crate::runtime::clock;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Datagrams of a composite picture of 1.5 Mb/s at 30 per second, and of 20 ms of the mix, in bytes.
const PICTURE: [usize; 6] = [1_170, 1_170, 1_170, 1_170, 1_170, 700];
const SOUND: usize = 180;
/// Beats per second; pictures leave at each fifth, sound at each third.
const BEATS: u32 = 150;
pub const SECONDS: u32 = 5;

/// Processor milliseconds per second and viewer. Sends for [`SECONDS`] to so many sockets of this process.
///
/// # Errors
/// The sockets cannot be opened.
pub async fn cost(viewers: u16) -> io::Result<f64> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let sockets = Sockets::bind(&[Listen { bind: here, advertised: vec![here] }], 0)?;
    let source = sockets.iter().next().map(|socket| socket.local).ok_or(io::ErrorKind::NotFound)?;
    let mut readers = JoinSet::new();
    let mut destinations = Vec::new();
    for _ in 0..viewers {
        let socket = UdpSocket::bind((here, 0)).await?;
        destinations.push(socket.local_addr()?);
        readers.spawn(async move {
            let mut datagram = [0; 2_048];
            while socket.recv(&mut datagram).await.is_ok() {}
        });
    }
    let (mut outbox, mut spent) = (Outbox::default(), Duration::ZERO);
    let mut beat = tokio::time::interval(Duration::from_secs(1) / BEATS);
    for n in 0..BEATS * SECONDS {
        beat.tick().await;
        let begin = clock::thread_cpu();
        if n % 5 == 0 {
            send(&mut outbox, &sockets, source, &destinations, &PICTURE);
        }
        if n % 3 == 0 {
            send(&mut outbox, &sockets, source, &destinations, &[SOUND]);
        }
        spent += clock::thread_cpu().saturating_sub(begin);
    }
    Ok(spent.as_secs_f64() * 1000.0 / f64::from(SECONDS) / f64::from(viewers.max(1)))
}

fn send(outbox: &mut Outbox, sockets: &Sockets, source: SocketAddr, destinations: &[SocketAddr], lengths: &[usize]) {
    const CONTENTS: [u8; 1_170] = [0; 1_170];
    for destination in destinations {
        for contents in lengths.iter().filter_map(|length| CONTENTS.get(..*length)) {
            outbox.send(sockets, source, *destination, contents);
        }
    }
    outbox.flush(sockets);
}

/// What a viewer may cost where its datagrams take `sends` and the bare loop of the codecs `floor`: 2 where these are 0.3 and 140 milliseconds per second.
pub fn goal(sends: Option<f64>, floor: Option<f64>) -> f64 {
    let of_the_loop = |floor: f64| floor * (2.0 - 0.3) / 140.0;
    sends.zip(floor).map_or(2.0, |(sends, floor)| sends + of_the_loop(floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_costs_something_and_more_the_more_there_is() {
        let [few, many] = [cost(1).await.unwrap(), 8.0 * cost(8).await.unwrap()];
        assert!(few > 0.0 && many > few, "{few} {many}");
    }

    #[test]
    fn a_viewer_may_cost_what_machines_differ_by() {
        assert!((goal(Some(0.3), Some(140.0)) - 2.0).abs() < 1e-9);
        assert!((goal(Some(1.3), Some(280.0)) - 4.7).abs() < 1e-9);
        assert!((goal(None, Some(280.0)) - 2.0).abs() < 1e-9);
    }
}
