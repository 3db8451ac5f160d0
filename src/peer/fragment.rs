//! Trickled candidates and ICE restarts as fragments of a description (RFC 8840), and which of a
//! client's candidates are ever sent a check.
//!
//! Host names (mDNS) are never resolved: a client behind one is found by its own checks. Addresses of a kind
//! that the server itself does not use (loopback, private, link-local, multicast …) are dropped, so
//! that nobody can point the server's checks at its neighbours.

use super::offer::{Credentials, OfferError};
use super::sdp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Remote candidates that are kept per ICE session.
pub const MAX_CANDIDATES: usize = 32;

/// A remote UDP candidate with an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub address: SocketAddr,
    /// As sent, from `candidate:` on, without extensions.
    pub text: String,
}

/// What a fragment says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fragment {
    /// Those of the generation that the candidates belong to.
    pub ice: Option<Credentials>,
    pub candidates: Vec<Candidate>,
    pub end_of_candidates: bool,
}

/// Reads a fragment. Candidates that cannot be used are left out, as RFC 8838 wants.
pub fn parse(text: &str) -> Result<Fragment, OfferError> {
    let document = sdp::split(text)?;
    let mut fragment = Fragment::default();
    let (mut ufrag, mut pwd) = (None, None);
    for line in document.session.iter().chain(document.sections.iter().flatten()) {
        let Some((name, value)) = line.attribute() else {
            if line.key == 'm' {
                continue;
            }
            return Err(line.malformed("a trickle fragment has a= and m= lines alone"));
        };
        let slot = match name {
            "ice-ufrag" => &mut ufrag,
            "ice-pwd" => &mut pwd,
            "candidate" => {
                fragment.candidates.extend(candidate(value));
                continue;
            }
            "end-of-candidates" => {
                fragment.end_of_candidates = true;
                continue;
            }
            _ => continue,
        };
        if slot.replace(value).is_some_and(|known| known != value) {
            return Err(line.refuse("differs from another m-line, but all share one transport (BUNDLE)"));
        }
    }
    fragment.ice = match (ufrag, pwd) {
        (Some(ufrag), Some(pwd)) => Some(credentials(ufrag, pwd).map_err(OfferError::Malformed)?),
        (None, None) => None,
        _ => return Err(OfferError::Malformed("ice-ufrag and ice-pwd come together".into())),
    };
    Ok(fragment)
}

/// RFC 8839 §5.4: 4–256 and 22–256 ice-chars.
pub fn credentials(ufrag: &str, pwd: &str) -> Result<Credentials, String> {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '='));
    if !(4..=256).contains(&ufrag.len()) || !plain(ufrag) {
        return Err("a=ice-ufrag must be 4 to 256 of A-Z a-z 0-9 + /".into());
    }
    if !(22..=256).contains(&pwd.len()) || !plain(pwd) {
        return Err("a=ice-pwd must be 22 to 256 of A-Z a-z 0-9 + /".into());
    }
    Ok(Credentials { ufrag: ufrag.into(), pwd: pwd.into() })
}

/// Reads the value of `a=candidate`. `None`: not one that a check could ever be sent to (TCP, a host name, port 0, malformed).
pub fn candidate(value: &str) -> Option<Candidate> {
    let mut words = value.split_ascii_whitespace();
    let (foundation, component, transport) = (words.next()?, words.next()?, words.next()?);
    let (priority, address, port) = (words.next()?, words.next()?, words.next()?);
    let (typ, kind) = (words.next()?, words.next()?);
    if foundation.len() > 32
        || !foundation.chars().all(|c| c.is_ascii_graphic())
        || component != "1"
        || !transport.eq_ignore_ascii_case("udp")
    {
        return None;
    }
    if typ != "typ" || !matches!(kind, "host" | "srflx" | "prflx" | "relay") {
        return None;
    }
    let priority = priority.parse::<u32>().ok().filter(|p| (1..=0x7fff_ffff).contains(p))?;
    let address: IpAddr = address.parse().ok()?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let text = format!("candidate:{foundation} 1 udp {priority} {address} {port} typ {kind}");
    Some(Candidate { address: SocketAddr::new(address, port), text })
}

/// Whether the server may send checks to `address`, given its own advertised addresses: never to
/// itself, and to special addresses only where it has one of the same kind.
pub fn may_check(address: SocketAddr, own: &[SocketAddr]) -> bool {
    let kind = reach(address.ip());
    !own.contains(&address)
        && match kind {
            Reach::Never => false,
            Reach::Global => true,
            Reach::Loopback | Reach::Private => own.iter().any(|own| matches!(reach(own.ip()), Reach::Loopback) || reach(own.ip()) == kind),
        }
}

/// Whether an address can be reached from everywhere.
pub fn is_global(address: IpAddr) -> bool {
    reach(address) == Reach::Global
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Global,
    Private,
    Loopback,
    Never,
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Reach::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Reach::Private,
        (0, ..) | (169, 254, _) | (192, 0, 0) | (192, 0, 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) | (224..=255, ..) => {
            Reach::Never
        }
        _ => Reach::Global,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // Mapped, compatible, NAT64 and 6to4 forms hide an IPv4 address: nobody has them as a candidate.
        [0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0xdb8, ..] => Reach::Never,
        [first, ..] if first & 0xffc0 == 0xfe80 || first & 0xff00 == 0xff00 => Reach::Never,
        [first, ..] if first & 0xfe00 == 0xfc00 => Reach::Private,
        _ => Reach::Global,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_of_rfc_8840_is_read() {
        let fragment = parse(
            "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
             a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
             a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0\r\n\
             a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n\
             a=candidate:1 1 udp 2122260223 0b6b8a2e-1234.local 5000 typ host\r\na=end-of-candidates\r\n",
        )
        .unwrap();
        assert_eq!(fragment.ice.unwrap().ufrag, "EsAw");
        assert_eq!(fragment.candidates.len(), 2);
        assert_eq!(fragment.candidates[0].address, "192.0.2.1:61764".parse().unwrap());
        assert!(fragment.end_of_candidates);
    }

    #[test]
    fn half_of_the_credentials_or_foreign_lines_are_malformed() {
        assert!(matches!(parse("a=ice-ufrag:EsAw\r\n"), Err(OfferError::Malformed(_))));
        assert!(matches!(parse("x=1\r\n"), Err(OfferError::Malformed(_))));
        assert!(matches!(parse("{\"candidate\": 1}"), Err(OfferError::Malformed(_))));
        assert!(matches!(parse(""), Err(OfferError::Malformed(_))));
    }

    #[test]
    fn checks_go_only_where_the_server_itself_could_be() {
        let check = |address: &str, own: &str| may_check(address.parse().unwrap(), &[own.parse().unwrap()]);
        let public = "8.8.8.8:3478";
        assert!(check("9.9.9.9:1000", public));
        for address in [
            "127.0.0.1:1",
            "10.0.0.1:1",
            "192.168.1.1:1",
            "169.254.169.254:80",
            "0.0.0.0:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[::1]:1",
            "[::]:1",
            "[::ffff:127.0.0.1]:1",
            "[fe80::1]:1",
            "[ff02::1]:1",
            "[fd00::1]:1",
            "[64:ff9b::7f00:1]:1",
            "8.8.8.8:3478",
        ] {
            assert!(!check(address, public), "{address}");
        }
        assert!(check("192.168.1.1:1", "192.168.1.2:3478"));
        assert!(!check("127.0.0.1:1", "192.168.1.2:3478"));
        assert!(check("127.0.0.1:1", "127.0.0.1:3478"));
        assert!(check("192.168.1.1:1", "127.0.0.1:3478"));
        assert!(!check("169.254.1.1:1", "127.0.0.1:3478"));
    }
}
