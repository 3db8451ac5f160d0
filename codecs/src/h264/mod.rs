//! H.264 over OpenH264: one file per direction, nothing of the library visible outside.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;

/// The linked library's version.
pub fn version() -> String {
    // SAFETY: takes no argument and returns a plain struct from a constant.
    let version = unsafe { openh264_sys2::source::APILoader::WelsGetCodecVersion() };
    format!("{}.{}.{}", version.uMajor, version.uMinor, version.uRevision)
}
