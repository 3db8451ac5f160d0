//! The hub and its peers against the project's own client, on virtual time, with a seeded network between them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

mod attack;
mod certificates;
mod driver;
mod foreign;
mod lifecycle;
mod media;
mod offers;
mod world;
