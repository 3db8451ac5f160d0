//! Names to addresses: looked up once, filtered, and waited for only so long.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a name server may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    #[error("the name cannot be resolved: {0}")]
    Unknown(#[from] io::Error),
    #[error("the name leads to no address that may be asked")]
    Refused,
}

/// What a host's name leads to, as far as it `may` be asked; at least one. `host`: a name, or an address as it stands in URLs. Waits five seconds at
/// most.
pub async fn resolve(host: &str, port: u16, may: impl Fn(IpAddr) -> bool) -> Result<Vec<SocketAddr>, Unresolved> {
    within(WITHIN, tokio::net::lookup_host((host.trim_matches(['[', ']']), port)), may).await
}

async fn within<F, A>(time: Duration, found: F, may: impl Fn(IpAddr) -> bool) -> Result<Vec<SocketAddr>, Unresolved>
where
    F: Future<Output = io::Result<A>>,
    A: Iterator<Item = SocketAddr>,
{
    let found = tokio::time::timeout(time, found).await.map_err(io::Error::from)??;
    let allowed: Vec<SocketAddr> = found.filter(|at| may(at.ip())).collect();
    if allowed.is_empty() { Err(Unresolved::Refused) } else { Ok(allowed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Reach, reach};

    #[tokio::test]
    async fn what_a_name_leads_to_is_filtered_and_not_waited_for_forever() {
        for host in ["127.0.0.1", "[::1]"] {
            let found = resolve(host, 7, |ip| reach(ip) == Reach::Private).await.expect("an address");
            assert_eq!(found, [SocketAddr::new(host.trim_matches(['[', ']']).parse().expect("an address"), 7)]);
            assert!(matches!(resolve(host, 7, |_| false).await, Err(Unresolved::Refused)), "{host}");
        }
        let never = std::future::pending::<io::Result<std::iter::Empty<SocketAddr>>>();
        let late = within(Duration::from_millis(1), never, |_| true).await;
        assert!(matches!(&late, Err(Unresolved::Unknown(error)) if error.kind() == io::ErrorKind::TimedOut), "{late:?}");
    }
}
