//! Frames and codecs.
//!
//! Every codec stands behind a trait of a few methods that takes and returns owned plain data, so
//! that a decoder can live in a child process without its callers noticing. The crate knows no
//! rooms, threads, clocks or sockets. All foreign code of Mixdown is called from here and nowhere else.
//!
//! Coded bytes from peers pass a gate in Rust ([`gate`]) before any C code sees them.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

pub mod audio;
pub mod frame;
pub mod g711;
pub mod gate;
#[cfg(feature = "h264")]
pub mod h264;
mod l16;
pub mod memory;
pub mod opus;
pub mod versions;
pub mod video;
pub mod vp8;

pub use audio::{AudioCodec, AudioDecodeError, AudioDecoder, AudioEncodeError, AudioEncoder, FRAME_SAMPLES, SAMPLE_RATE};
pub use frame::{FramePool, I420Frame, Size};
pub use video::{DecodeError, EncodeError, EncodedPicture, EncoderConfig, Intra, VideoCodec, VideoDecoder, VideoEncoder};
