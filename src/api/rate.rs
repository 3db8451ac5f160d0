//! Token buckets per client address.

use super::problem::{Code, Problem};
use axum::http::HeaderName;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Addresses that are remembered; beyond it those whose bucket is full again are forgotten.
const MAX_ADDRESSES: usize = 4096;
/// How many seconds' worth of requests may come at once.
const BURST_SECONDS: f64 = 10.0;

pub struct Buckets {
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    /// 0: no limit.
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), buckets: Mutex::default() }
    }

    /// Takes one token of `client`'s bucket; 429 where none is left. Loopback is never limited:
    /// proxies and tools on this machine speak for many.
    pub fn take(&self, client: Option<IpAddr>, now: Instant) -> Result<(), Problem> {
        let Some(client) = client.map(network).filter(|ip| !ip.is_loopback() && self.per_second > 0.0) else { return Ok(()) };
        let burst = self.per_second * BURST_SECONDS;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_ADDRESSES && !buckets.contains_key(&client) {
            buckets.retain(|_, bucket| bucket.refilled(self.per_second, burst, now) < burst);
        }
        let bucket = buckets.entry(client).or_insert(Bucket { tokens: burst, at: now });
        bucket.tokens = bucket.refilled(self.per_second, burst, now);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            let seconds = ((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0) as u64;
            metrics::counter!("mixdown_drops_total", "reason" => "join_rate").increment(1);
            let problem = Problem::new(Code::RateLimited, format!("limits.joins_per_second_per_ip is {}", self.per_second));
            return Err(told(problem.retry_after(seconds), burst, seconds));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// With what a client may do and when it may again: draft-ietf-httpapi-ratelimit-headers, as most clients read it.
fn told(problem: Problem, burst: f64, seconds: u64) -> Problem {
    problem
        .with_header(HeaderName::from_static("ratelimit-limit"), &burst.to_string())
        .with_header(HeaderName::from_static("ratelimit-remaining"), "0")
        .with_header(HeaderName::from_static("ratelimit-reset"), &seconds.to_string())
}

impl Bucket {
    fn refilled(&self, per_second: f64, burst: f64, now: Instant) -> f64 {
        (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * per_second).min(burst)
    }
}

/// What one client has: an IPv4 address or an IPv6 /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_a_neighbour_is_not_hurt() {
        let buckets = Buckets::new(2);
        let start = crate::runtime::clock::now();
        let client: IpAddr = "192.0.2.1".parse().expect("address");
        assert_eq!((0..30).filter(|_| buckets.take(Some(client), start).is_ok()).count(), 20);
        assert!(buckets.take(Some("192.0.2.2".parse().expect("address")), start).is_ok());
        let later = start + Duration::from_secs(1);
        assert_eq!((0..30).filter(|_| buckets.take(Some(client), later).is_ok()).count(), 2);
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_share_a_bucket_and_loopback_has_none() {
        let buckets = Buckets::new(1);
        let now = crate::runtime::clock::now();
        let address = |last: u16| Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last)));
        assert_eq!((0..30).filter(|n| buckets.take(address(*n), now).is_ok()).count(), 10);
        assert!((0..100).all(|_| buckets.take(Some(IpAddr::from([127, 0, 0, 1])), now).is_ok()));
    }

    #[test]
    fn many_addresses_do_not_grow_the_table_without_bound() {
        let buckets = Buckets::new(100);
        let start = crate::runtime::clock::now();
        for n in 0..20_000_u32 {
            let now = start + Duration::from_millis(u64::from(n) * 100);
            let _ = buckets.take(Some(IpAddr::from((0x0a00_0000 + n).to_be_bytes())), now);
        }
        assert!(buckets.buckets.lock().expect("lock").len() <= MAX_ADDRESSES);
    }
}
