//! Which addresses to listen on and which to tell clients.

use crate::peer::fragment;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One socket to bind, and the addresses by which clients know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub bind: IpAddr,
    pub advertised: Vec<IpAddr>,
}

/// What the settings say about addresses.
#[derive(Debug, Clone, Default)]
pub struct Wishes<'a> {
    /// Listen on these alone.
    pub bind: &'a [IpAddr],
    /// Tell clients these (1:1 NAT).
    pub advertised: &'a [IpAddr],
    /// Listen on loopback too.
    pub loopback: bool,
}

/// Decides from the settings and the machine's own addresses. Empty: there is nothing to listen on.
pub fn plan(wishes: &Wishes<'_>, own: &[IpAddr]) -> Vec<Listen> {
    if !wishes.advertised.is_empty() {
        return behind_nat(wishes);
    }
    let usable: Vec<_> = match wishes.bind {
        [] => own.iter().copied().filter(|ip| !ip.is_loopback() && !is_link_local(*ip)).collect(),
        // A wildcard means: whatever the machine has.
        list if list.iter().all(|ip| ip.is_unspecified()) => own
            .iter()
            .copied()
            .filter(|ip| !ip.is_loopback() && !is_link_local(*ip) && list.iter().any(|any| any.is_ipv4() == ip.is_ipv4()))
            .collect(),
        list => list.iter().copied().filter(|ip| !ip.is_unspecified()).collect(),
    };
    let mut listen: Vec<_> = usable.into_iter().map(|ip| Listen { bind: ip, advertised: vec![ip] }).collect();
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if (wishes.loopback || listen.is_empty()) && listen.iter().all(|known| known.bind != loopback) {
        listen.push(Listen { bind: loopback, advertised: vec![loopback] });
    }
    listen.dedup();
    listen
}

fn behind_nat(wishes: &Wishes<'_>) -> Vec<Listen> {
    let mut listen: Vec<Listen> = Vec::new();
    for advertised in wishes.advertised {
        let any = if advertised.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let bind = wishes.bind.iter().copied().find(|ip| ip.is_ipv4() == advertised.is_ipv4()).unwrap_or(any);
        match listen.iter_mut().find(|known| known.bind == bind) {
            Some(known) => known.advertised.push(*advertised),
            None => listen.push(Listen { bind, advertised: vec![*advertised] }),
        }
    }
    listen
}

/// Publicly reachable: then the server answers checks and sends none (ICE-lite).
pub fn is_public(listen: &[Listen]) -> bool {
    listen.iter().flat_map(|listen| &listen.advertised).any(|ip| fragment::is_global(*ip))
}

/// The machine's own addresses, IPv4 first.
pub fn own() -> Vec<IpAddr> {
    let mut own: Vec<_> = if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip()).collect();
    own.sort_by_key(|ip| ip.is_ipv6());
    own.dedup();
    own
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_wishes_every_own_address_but_loopback_and_link_local_is_used() {
        let own = [ip("127.0.0.1"), ip("192.168.1.5"), ip("169.254.3.4"), ip("::1"), ip("fe80::1"), ip("2a00::5")];
        let listen = plan(&Wishes::default(), &own);
        assert_eq!(listen.iter().map(|l| l.bind).collect::<Vec<_>>(), [ip("192.168.1.5"), ip("2a00::5")]);
        assert!(is_public(&listen));
        let dev = plan(&Wishes { loopback: true, ..Wishes::default() }, &own[..2]);
        assert_eq!(dev.iter().map(|l| l.bind).collect::<Vec<_>>(), [ip("192.168.1.5"), ip("127.0.0.1")]);
        assert!(!is_public(&dev));
    }

    #[test]
    fn an_advertised_address_replaces_the_own_ones() {
        let listen = plan(&Wishes { advertised: &[ip("203.0.114.7")], bind: &[ip("10.0.0.4")], loopback: true }, &[ip("10.0.0.4")]);
        assert_eq!(listen, [Listen { bind: ip("10.0.0.4"), advertised: vec![ip("203.0.114.7")] }]);
        assert!(is_public(&listen));
    }

    #[test]
    fn a_machine_without_a_network_listens_on_loopback() {
        assert_eq!(plan(&Wishes::default(), &[]).len(), 1);
    }
}
