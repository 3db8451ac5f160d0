//! Events to other systems: each is kept on disk and posted to the configured endpoints until they have taken it.
//!
//! The scheme is that of Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`. Delivery is at least once
//! and in order per endpoint; an endpoint that fails is asked again ever more slowly ([`retry`]), and what has waited longer
//! than the outbox keeps is given up and counted. Endpoints know nothing of each other: one that is down fills its own share of
//! the outbox alone. Requests leave for addresses that [`crate::address`] lets pass and for no others, whatever a name resolves to.
//!
//! Nobody waits for any of it: [`Handle::offer`] puts into a bounded queue, and drops and counts where that is full. Losing the
//! disk costs the promise to survive a restart, nothing else. Leaves out: subscriptions over the API, other transports.
//!
//! Flow: `Handle::offer → queue → driver: Outbox (what is due) → Store (disk) → send (HTTP)`.

mod driver;
pub mod filter;
pub mod journal;
pub mod outbox;
pub mod retry;
mod send;
pub mod sign;
mod store;

pub use driver::{Fault, Handle, Running, Summary, Tested, start};
pub use send::guard;
pub use store::Error;

use crate::ids::RoomId;
use filter::Filter;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What the driver is made from. Every endpoint has passed [`crate::address::check`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the outbox lies on disk. One process at a time.
    pub folder: PathBuf,
    pub limits: outbox::Limits,
    pub endpoints: Vec<Endpoint>,
}

/// Where events are posted.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Names it in the outbox and the API: the same from start to start.
    pub id: String,
    pub url: String,
    /// Every request is signed with each of them.
    pub secrets: Vec<sign::Secret>,
    pub events: Filter,
    /// Also `http://`, any port, and addresses that are not public.
    pub allow_private_networks: bool,
    /// For the whole exchange.
    pub timeout: Duration,
}

/// Something happened in a room.
#[derive(Debug, Clone)]
pub struct Event {
    pub room: RoomId,
    pub kind: &'static str,
    pub at: SystemTime,
    pub data: serde_json::Value,
}

#[cfg(test)]
mod tests;
