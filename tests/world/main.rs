//! Whole rooms on a virtual clock: real peers, codecs and stages, an impaired network in between, and a
//! content oracle that says who is in which tile, which tone is in whose ear, and for how long a picture
//! stood still. Guests start their media shortly before the RTP time wraps.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

mod content;
mod egress;
mod faults;
mod guest;
mod links;
mod long;
mod network;
mod overload;
mod passing;
mod recording_faults;
mod recordings;
mod rooms;
mod sessions;
mod sound;
mod thin;
mod trace;
mod tracks;
mod views;
mod world;
