//! The player of the other side: what a browser does, in Rust.
//!
//! * [`Peer`] — pure: makes the offer, takes the answer, sends coded pictures and sound, receives the
//!   composite. Bots, `mixdown join`, the load generator and the virtual-world tests all play it.
//! * [`Script`] — pure: what such a client does with its connection.
//! * [`session`] — TOKIO: a socket, HTTP signalling, and the loop that steps a peer and its script.
//! * [`sdp`] — pure: the few texts around an offer (slides mark, trickle fragments) that str0m leaves out.
//!
//! Leaves out: codecs (it moves coded bytes), reconnecting, and every decision about what to send.

mod lines;
pub mod peer;
pub mod script;
pub mod sdp;
pub mod session;
pub mod signalling;
pub mod types;

pub use peer::Peer;
pub use script::{Idle, Script};
pub use session::{Ended, Session};
pub use signalling::{Endpoint, Target};
pub use types::{Camera, Change, Config, Error, Event, Output, Packet, Picture, Received, Screen, Stats};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
