//! The HTTP side against a stand-in for the rooms: every refusal, every grant, every header that is promised.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

mod auth;
mod bad_inputs;
mod cli;
mod config;
mod drain;
mod egress;
mod events;
mod ingress;
mod kills;
mod moderation;
mod openapi;
mod overload;
mod recordings;
mod rooms;
mod s3;
mod server;
mod sessions;
mod tracks;
mod uploads;
mod webhooks;
mod world;
