//! Signatures as Standard Webhooks wants them: HMAC-SHA-256 over `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use std::fmt;

const PREFIX: &str = "whsec_";

/// A key that was shared with an endpoint. Never printed.
#[derive(Clone)]
pub struct Secret(EncodingKey);

/// Why a text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("does not begin with whsec_")]
    Prefix,
    #[error("is not base64 behind whsec_")]
    Base64,
    #[error("is not of 24 to 64 bytes")]
    Length,
}

impl Secret {
    /// `whsec_` and 24 to 64 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?.trim_end_matches('=');
        let key = STANDARD_NO_PAD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !(24..=64).contains(&key.len()) {
            return Err(SecretError::Length);
        }
        Ok(Self(EncodingKey::from_secret(&key)))
    }

    /// `v1,` and the signature in base64. `timestamp` is in seconds since 1970.
    fn sign(&self, id: &str, timestamp: u64, body: &str) -> Option<String> {
        let message = format!("{id}.{timestamp}.{body}");
        // HS256 is HMAC-SHA-256 (RFC 7518 §3.2): this keeps to the one crypto library in the tree.
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.0, Algorithm::HS256).ok()?;
        Some(format!("v1,{}", STANDARD.encode(URL_SAFE_NO_PAD.decode(signature).ok()?)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_***")
    }
}

/// The header `webhook-signature`: one signature per secret, so that secrets can be changed without a gap.
pub fn header(secrets: &[Secret], id: &str, timestamp: u64, body: &str) -> String {
    secrets.iter().filter_map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;

    #[test]
    fn a_signature_is_that_of_other_implementations() {
        // The example of Svix's manual; the second is Python's hmac.
        let first = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let second = Secret::parse("whsec_wLH9oT1nQ0gYx5uB2kR8sT4vZ9mE6hJ3aaaaaaaaaaA=").expect("a secret");
        let header = header(&[first, second], ID, 1_614_265_330, BODY);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,VkbsJcbttyP9O/ptzRPwNW25fQROtUZGmCOet8AKPpc=";
        assert_eq!(header, expected);
    }

    #[test]
    fn what_is_no_secret_says_why_and_no_secret_is_printed() {
        for (text, error) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::Prefix),
            ("whsec_!!!", SecretError::Base64),
            ("whsec_", SecretError::Length),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==", SecretError::Length),
        ] {
            assert_eq!(Secret::parse(text).expect_err("refused"), error, "{text}");
        }
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        assert_eq!(format!("{secret:?}"), "whsec_***");
    }
}
