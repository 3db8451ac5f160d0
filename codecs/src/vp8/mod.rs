//! VP8 over libvpx: one file per direction, nothing of the library visible outside.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;

use std::ffi::{CStr, c_char};

/// The linked library's version and how it was configured.
pub fn version() -> (String, String) {
    use vpx_sys::{vpx_codec_build_config, vpx_codec_version_str};
    // SAFETY: both take no argument and return pointers to constant strings.
    unsafe { (constant(vpx_codec_version_str()), constant(vpx_codec_build_config())) }
}

/// # Safety
/// `text` is null or points to a string that is never freed.
unsafe fn constant(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
