//! Text that never appears in a log, an error or a printed configuration.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A secret. Empty: none is set. In the file, `$NAME` stands for the environment variable `NAME`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for signing and comparing, never for printing.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why it is too easy to guess, if it is.
    pub(super) fn weakness(&self) -> Option<&'static str> {
        const KNOWN: [&str; 8] = ["secret", "password", "changeme", "change-me", "change_me", "example", "mixdown", "default"];
        let lower = self.0.to_lowercase();
        let distinct: std::collections::BTreeSet<char> = lower.chars().collect();
        match () {
            () if self.0.len() < 32 => Some("is shorter than 32 bytes"),
            () if distinct.len() < 8 => Some("repeats too few characters"),
            () if KNOWN.iter().any(|word| lower.starts_with(word) || lower.ends_with(word)) => Some("looks like an example"),
            () => None,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}
