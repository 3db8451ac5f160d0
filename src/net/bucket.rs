//! Token buckets: how many datagrams a source may send before anything is computed for it.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// A rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f32,
    pub burst: f32,
}

/// Datagrams per second before anything is computed for them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Per address of strangers, sources that no peer has proved yet: room for an office that joins at once.
    pub stranger: Rate,
    /// Per peer: several times what camera, screen and sound need together.
    pub peer: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stranger: Rate { per_second: 1_000.0, burst: 2_000.0 }, peer: Rate { per_second: 6_000.0, burst: 6_000.0 } }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f32,
    filled: Instant,
}

impl Bucket {
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, filled: now }
    }

    /// False: over the rate.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f32();
        self.tokens = (self.tokens + passed * rate.per_second).min(rate.burst);
        self.filled = now.max(self.filled);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// Buckets for sources that belong to nobody yet: a fixed number, shared by hash of the address (IPv6: of its /64),
/// so that strangers cause no state.
pub struct Strangers {
    buckets: Box<[Option<Bucket>]>,
    rate: Rate,
    hash: RandomState,
}

const BUCKETS: usize = 4_096;

impl Strangers {
    pub fn new(rate: Rate) -> Self {
        Self { buckets: vec![None; BUCKETS].into(), rate, hash: RandomState::new() }
    }

    /// False: over the rate of its address.
    pub fn take(&mut self, source: SocketAddr, now: Instant) -> bool {
        let network: u128 = match source.ip().to_canonical() {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
        };
        let at = usize::try_from(self.hash.hash_one(network) % BUCKETS as u64).unwrap_or(0);
        let Some(slot) = self.buckets.get_mut(at) else { return false };
        slot.get_or_insert_with(|| Bucket::new(self.rate, now)).take(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_gets_the_burst_and_then_the_rate() {
        let start = crate::runtime::clock::now();
        let mut strangers = Strangers::new(Rate { per_second: 100.0, burst: 50.0 });
        let source = "192.0.2.1:1000".parse().unwrap();
        let passed = (0..50_000u64).filter(|n| strangers.take(source, start + Duration::from_micros(n * 20))).count();
        assert!((148..=151).contains(&passed), "{passed}");
    }
}
