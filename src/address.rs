//! Where requests may go: public addresses over TLS, unless the operator says otherwise for one endpoint.
//!
//! A name is checked twice: by its text when the configuration is read, and by what it resolves to whenever a connection is made.
//! That very result is connected to; nothing is looked up again in between.

mod lookup;

pub use lookup::{Unresolved, resolve};
pub use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports of HTTPS that public endpoints may have, and of RTMP.
const PORTS: [u16; 2] = [443, 8443];
const RTMP_PORTS: [u16; 2] = [1935, 443];
/// Where clouds tell their guests' secrets, beside 169.254.0.0/16.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// This machine or its own network: only where the operator allows it.
    Private,
    /// Never a receiver: link-local and metadata services, multicast, reserved, examples.
    Never,
}

impl Reach {
    pub fn is_allowed(self, private: bool) -> bool {
        self == Self::Public || (private && self == Self::Private)
    }
}

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("is not a URL")]
    Url,
    #[error("must begin with https://")]
    Scheme,
    #[error("must not carry a user name or password")]
    Credentials,
    #[error("must not carry a fragment")]
    Fragment,
    #[error("must write its host in ASCII (xn--…)")]
    Homograph,
    #[error("names this machine or its network")]
    Local,
    #[error("is no address that may be asked")]
    Address,
    #[error("must be on port 443 or 8443")]
    Port,
    #[error("must begin with rtmp:// or rtmps://")]
    RtmpScheme,
    #[error("must be on port 1935 or 443")]
    RtmpPort,
    #[error("must name an application and a stream: rtmp://host/application/stream")]
    RtmpPath,
}

/// The URL, if requests may be sent there by what it says. `private`: also within the operator's own network, and without TLS.
pub fn check(text: &str, private: bool) -> Result<Url, NotAllowed> {
    let url = Url::parse(text).map_err(|_| NotAllowed::Url)?;
    if url.scheme() != "https" && !(private && url.scheme() == "http") {
        return Err(NotAllowed::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NotAllowed::Credentials);
    }
    if url.fragment().is_some() {
        return Err(NotAllowed::Fragment);
    }
    if !text.split(['?', '#']).next().is_some_and(str::is_ascii) {
        return Err(NotAllowed::Homograph);
    }
    let host = url.host_str().ok_or(NotAllowed::Url)?;
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) if !reach(ip).is_allowed(private) => return Err(NotAllowed::Address),
        Err(_) if !private && is_local(host) => return Err(NotAllowed::Local),
        _ => {}
    }
    if !private && !PORTS.contains(&url.port_or_known_default().unwrap_or_default()) {
        return Err(NotAllowed::Port);
    }
    Ok(url)
}

/// Where a stream is published over RTMP.
#[derive(Clone, PartialEq, Eq)]
pub struct Rtmp {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// Application, stream and query, beginning with `/`. A secret: it has the stream's key.
    pub path: String,
}

impl std::fmt::Debug for Rtmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Rtmp {
    /// Without what may be secret.
    pub fn shown(&self) -> String {
        format!("{}://{}:{}/{}/…", if self.tls { "rtmps" } else { "rtmp" }, self.host, self.port, self.application())
    }

    pub fn application(&self) -> &str {
        self.path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default()
    }
}

/// As [`check`], of a URL that a stream is published at.
pub fn check_rtmp(text: &str, private: bool) -> Result<Rtmp, NotAllowed> {
    let (tls, rest) = match (text.strip_prefix("rtmp://"), text.strip_prefix("rtmps://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(NotAllowed::RtmpScheme),
    };
    // Read as HTTPS, so that a host is one address however it is written; at a port that says whether one was given.
    let url = Url::parse(&format!("https://{rest}")).map_err(|_| NotAllowed::Url)?;
    let default = if tls { 443 } else { 1935 };
    // 443 is dropped as the default of HTTPS.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = url.port().unwrap_or(if authority.ends_with(":443") { 443 } else { default });
    if !private && !RTMP_PORTS.contains(&port) {
        return Err(NotAllowed::RtmpPort);
    }
    let mut at_home = url.clone();
    // The port has been looked at; all else is as for other requests.
    let _ = at_home.set_port(None);
    check(at_home.as_str(), private)?;
    if !rest.is_ascii() {
        return Err(NotAllowed::Homograph);
    }
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    if url.path().split('/').filter(|part| !part.is_empty()).count() < 2 {
        return Err(NotAllowed::RtmpPath);
    }
    Ok(Rtmp { tls, host: url.host_str().ok_or(NotAllowed::Url)?.to_owned(), port, path })
}

fn is_local(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    !host.contains('.') || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| host.ends_with(end))
}

/// How far `ip` reaches (RFC 6890 and what came after). IPv6 addresses that carry an IPv4 address count as that.
pub fn reach(ip: IpAddr) -> Reach {
    if METADATA.contains(&ip) {
        return Reach::Never;
    }
    match ip {
        IpAddr::V4(ip) => of_v4(ip),
        IpAddr::V6(ip) => of_v6(ip),
    }
}

fn of_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        [10 | 127, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Reach::Private,
        [0 | 224..=255, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [198, 18 | 19, ..] => Reach::Never,
        [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => Reach::Never,
        _ => Reach::Public,
    }
}

fn of_v6(ip: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // Mapped, compatible and translated IPv4, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Teredo and others under 2001::/23, examples.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().expect("an address"))
    }

    #[test]
    fn only_public_addresses_are_public_however_they_are_written() {
        for ip in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert_eq!(of(ip), Reach::Public, "{ip}");
        }
        for ip in [
            "10.0.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fc00::1",
            "fdff::1",
        ] {
            assert_eq!(of(ip), Reach::Private, "{ip}");
        }
        for ip in [
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::ffff:0:7f00:1",
            "::ffff:10.0.0.1",
            "2002:c0a8:101::",
        ] {
            assert_eq!(of(ip), Reach::Private, "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "::ffff:0:0",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "64:ff9b:1::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "fd00:ec2::254",
            "100::1",
            "4000::1",
        ] {
            assert_eq!(of(ip), Reach::Never, "{ip}");
        }
    }

    #[test]
    fn a_url_that_leads_inside_is_refused() {
        use NotAllowed::*;
        for (url, why) in [
            ("http://example.org/hook", Scheme),
            ("file:///etc/passwd", Scheme),
            ("gopher://example.org/", Scheme),
            ("ftp://example.org/", Scheme),
            ("example.org", Url),
            ("https://", Url),
            ("https://user:pass@example.org/", Credentials),
            ("https://user@example.org/", Credentials),
            ("https://example.org/#x", Fragment),
            ("https://ехample.org/", Homograph),
            ("https://127.0.0.1/", Address),
            ("https://2130706433/", Address),
            ("https://0x7f.1/", Address),
            ("https://0177.0.0.1/", Address),
            ("https://127.1/", Address),
            ("https://0/", Address),
            ("https://[::]/", Address),
            ("https://[::1]/", Address),
            ("https://[::ffff:7f00:1]/", Address),
            ("https://[::ffff:169.254.169.254]/", Address),
            ("https://169.254.169.254/latest/meta-data", Address),
            ("https://10.0.0.1/", Address),
            ("https://localhost/", Local),
            ("https://localhost./", Local),
            ("https://LOCALHOST/", Local),
            ("https://a.localhost/", Local),
            ("https://printer.local/", Local),
            ("https://metadata.google.internal/", Local),
            ("https://intranet/", Local),
            ("https://example.org:22/", Port),
            ("https://example.org:6379/", Port),
            ("https://example.org:80/", Port),
        ] {
            assert_eq!(check(url, false).expect_err(url), why, "{url}");
        }
        for url in [
            "https://example.org/hook?x=1",
            "https://example.org:8443/",
            "https://xn--e1afmkfd.example/",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(check(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_endpoint_of_ones_own_network_may_be_allowed_but_never_a_metadata_service() {
        for url in
            ["http://127.0.0.1:9000/hook", "http://localhost:9000/", "https://10.0.0.7/", "http://[::1]:80/", "http://crm.internal:6379/"]
        {
            assert!(check(url, true).is_ok(), "{url}");
        }
        for url in [
            "http://169.254.169.254/",
            "http://[::ffff:169.254.169.254]/",
            "http://224.0.0.1/",
            "http://0.0.0.0/",
            "http://[fe80::1]/",
            "ftp://127.0.0.1/",
        ] {
            assert!(check(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn a_stream_goes_to_rtmp_alone_and_its_key_is_not_shown() {
        use NotAllowed::*;
        for (url, why) in [
            ("http://example.org/live/key", RtmpScheme),
            ("-i rtmp://example.org/live/key", RtmpScheme),
            ("file:///etc/passwd", RtmpScheme),
            ("rtmp://example.org/live", RtmpPath),
            ("rtmp://user:pass@example.org/live/key", Credentials),
            ("rtmp://example.org/live/key#x", Fragment),
            ("rtmp://example.org:22/live/key", RtmpPort),
            ("rtmp://2852039166/live/key", Address),
            ("rtmp://127.1/live/key", Address),
            ("rtmps://[::ffff:169.254.169.254]/live/key", Address),
            ("rtmp://localhost/live/key", Local),
            ("rtmp://ехample.org/live/key", Homograph),
        ] {
            assert_eq!(check_rtmp(url, false).expect_err(url), why, "{url}");
        }
        let stream = check_rtmp("rtmp://Example.org/live/se cret?token=x", false).expect("a stream");
        assert_eq!((stream.port, stream.host.as_str(), stream.path.as_str()), (1935, "example.org", "/live/se%20cret?token=x"));
        assert_eq!((stream.shown(), format!("{stream:?}").contains("cret")), ("rtmp://example.org:1935/live/…".into(), false));
        assert_eq!(check_rtmp("rtmps://example.org/live/key", false).map(|stream| (stream.tls, stream.port)), Ok((true, 443)));
        assert_eq!(check_rtmp("rtmp://example.org:443/live/key", false).map(|stream| stream.port), Ok(443));
        assert_eq!(check_rtmp("rtmp://127.0.0.1:19350/live/key", true).map(|stream| stream.port), Ok(19350));
        assert_eq!(check_rtmp("rtmp://169.254.169.254/live/key", true), Err(Address));
    }
}
