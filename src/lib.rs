//! Mixdown: an MCU conferencing server. ARCHITECTURE.md has the map; the way of one picture is
//! `net → peer → pipeline (decode, compose, encode) → net`, the way of one sound
//! `net → peer → audio (jitter buffer, mixer) in pipeline::mix → net`. `conference` turns what
//! happens in a `room` into running stages; `api` is the outside.
#![forbid(unsafe_code)]

pub mod address;
pub mod api;
pub mod audio;
pub mod bench;
pub mod cadence;
pub mod chart;
pub mod client;
pub mod compose;
pub mod conference;
pub mod config;
pub mod demo;
pub mod egress;
pub mod ids;
pub mod ingress;
pub mod ledger;
pub mod media;
pub mod net;
pub mod overload;
pub mod peer;
pub mod pipeline;
pub mod process;
pub mod record;
pub mod room;
pub mod runtime;
pub mod urgency;
pub mod webhooks;
