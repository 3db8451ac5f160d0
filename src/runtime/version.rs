//! What this build consists of.

use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub mixdown: &'static str,
    /// Name and value of each fact about codecs, assembly and processor.
    pub parts: Vec<(String, String)>,
}

pub fn report() -> Report {
    Report { mixdown: env!("CARGO_PKG_VERSION"), parts: mixdown_codecs::versions::report() }
}
