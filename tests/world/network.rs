//! A network on virtual time: seeded loss, bursts, delay, jitter, reordering, duplicates, a rate limit with
//! a queue, and blackouts. The same seed gives the same run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// SplitMix64: small, seeded, good enough to throw dice.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 ≤ x < 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

/// What one direction of one guest's link does to packets.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub loss: f64,
    /// Mean length of a loss burst in packets; 1 is independent loss.
    pub burst: f64,
    pub delay: Duration,
    /// Uniform, on top of the delay. Reorders where it exceeds the packets' spacing, unless `in_order`.
    pub jitter: Duration,
    pub in_order: bool,
    /// Share of packets that arrive late by `reorder_by`.
    pub reorder: f64,
    pub reorder_by: Duration,
    pub duplicate: f64,
    /// Bits per second; `None`: unlimited.
    pub rate_bps: Option<u64>,
    pub queue: Duration,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            loss: 0.0,
            burst: 1.0,
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            in_order: true,
            reorder: 0.0,
            reorder_by: Duration::from_millis(20),
            duplicate: 0.0,
            rate_bps: None,
            queue: Duration::from_millis(300),
        }
    }
}

impl Link {
    pub fn lossy(loss: f64) -> Self {
        Self { loss, delay: Duration::from_millis(25), ..Self::default() }
    }
}

/// A packet in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub contents: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Flight {
    at: Instant,
    order: u64,
    packet: Packet,
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// State of one direction.
#[derive(Default)]
pub struct Channel {
    pub link: Link,
    in_burst: bool,
    last_arrival: Option<Instant>,
    free_at: Option<Instant>,
    pub dark_until: Option<Instant>,
    /// Bytes that were sent into it, and that came out or will.
    pub offered: u64,
    pub carried: u64,
    /// When each packet came, and how long it waited for the ones before it.
    waits: Vec<(Instant, Duration)>,
}

impl Channel {
    /// How long a packet of now waits for those before it.
    pub fn waits(&self, now: Instant) -> Duration {
        self.free_at.map_or(Duration::ZERO, |free| free.saturating_duration_since(now))
    }

    /// The longest that one waited since then.
    pub fn longest_since(&self, from: Instant) -> Duration {
        self.waits.iter().filter(|(at, _)| *at >= from).map(|(_, wait)| *wait).max().unwrap_or_default()
    }
}

/// All packets in flight.
pub struct Network {
    dice: Dice,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    pub lost: u64,
    pub carried: u64,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), flights: BinaryHeap::new(), order: 0, lost: 0, carried: 0 }
    }

    pub fn send(&mut self, now: Instant, channel: &mut Channel, packet: Packet) {
        channel.offered += packet.contents.len() as u64;
        if channel.dark_until.is_some_and(|until| now < until) || self.drops(channel) {
            self.lost += 1;
            return;
        }
        let Some(at) = self.arrival(now, channel, packet.contents.len()) else {
            self.lost += 1;
            return;
        };
        self.carried += 1;
        channel.carried += packet.contents.len() as u64;
        if self.dice.chance(channel.link.duplicate) {
            self.push(at + Duration::from_millis(1), packet.clone());
        }
        self.push(at, packet);
    }

    /// Gilbert–Elliott with loss-free good and lossy bad state.
    fn drops(&mut self, channel: &mut Channel) -> bool {
        let Link { loss, burst, .. } = channel.link;
        if loss <= 0.0 {
            return false;
        }
        let leave = 1.0 / burst;
        let enter = loss * leave / (1.0 - loss).max(1e-9);
        let stays = if channel.in_burst { !self.dice.chance(leave) } else { self.dice.chance(enter) };
        channel.in_burst = stays;
        stays
    }

    fn arrival(&mut self, now: Instant, channel: &mut Channel, bytes: usize) -> Option<Instant> {
        let mut departs = now;
        if let Some(rate) = channel.link.rate_bps {
            let free = channel.free_at.unwrap_or(now).max(now);
            channel.waits.push((now, free.saturating_duration_since(now)));
            if free.saturating_duration_since(now) > channel.link.queue {
                return None;
            }
            departs = free + Duration::from_secs_f64(bytes as f64 * 8.0 / rate as f64);
            channel.free_at = Some(departs);
        }
        let mut at = departs + channel.link.delay + channel.link.jitter.mul_f64(self.dice.unit());
        if channel.link.in_order {
            at = at.max(channel.last_arrival.unwrap_or(at));
            channel.last_arrival = Some(at);
        }
        if self.dice.chance(channel.link.reorder) {
            at += channel.link.reorder_by;
        }
        Some(at)
    }

    fn push(&mut self, at: Instant, packet: Packet) {
        self.order += 1;
        self.flights.push(Reverse(Flight { at, order: self.order, packet }));
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse(flight)| flight.at)
    }

    pub fn deliver(&mut self, now: Instant) -> Option<Packet> {
        if self.next_arrival()? > now {
            return None;
        }
        self.flights.pop().map(|Reverse(flight)| flight.packet)
    }
}
