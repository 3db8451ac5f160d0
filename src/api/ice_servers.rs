//! STUN and TURN servers for clients, as RFC 9725 §4.6 says them in `Link`.
//!
//! Time-limited credentials follow coturn's REST scheme: the username is `expiry:identity`, the credential
//! Base64(HMAC-SHA1(secret, username)).

use crate::config::IceServer;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One `Link` header per URL.
pub fn link(headers: &mut HeaderMap, servers: &[IceServer], identity: &str, now: SystemTime) {
    for server in servers {
        let credentials = credentials(server, identity, now);
        for url in &server.urls {
            let mut text = format!("<{url}>; rel=\"ice-server\"");
            if let Some((username, credential)) = credentials.as_ref().filter(|_| url.starts_with("turn")) {
                text +=
                    &format!("; username=\"{}\"; credential=\"{}\"; credential-type=\"password\"", quoted(username), quoted(credential));
            }
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(header::LINK, value);
            }
        }
    }
}

/// Username and credential; `None`: the server wants none.
fn credentials(server: &IceServer, identity: &str, now: SystemTime) -> Option<(String, String)> {
    if server.secret.is_empty() {
        return (!server.username.is_empty()).then(|| (server.username.clone(), server.credential.reveal().to_owned()));
    }
    let expiry = now.duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_millis(server.ttl_ms);
    // The colon divides the two parts; control characters do not fit a header.
    let identity: String = identity.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, ':' | '"' | '\\')).take(64).collect();
    let username = format!("{}:{identity}", expiry.as_secs());
    let mac = Hmac::<sha1::Sha1>::new_from_slice(server.secret.reveal().as_bytes()).ok()?;
    let credential = STANDARD.encode(mac.chain_update(&username).finalize().into_bytes());
    Some((username, credential))
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn turn_credentials_are_those_that_coturn_computes() {
        // printf '1700003600:ann' | openssl dgst -sha1 -hmac north -binary | base64
        let server = IceServer {
            urls: vec!["turn:turn.example.org?transport=udp".into(), "stun:turn.example.org".into()],
            secret: Secret::new("north"),
            ttl_ms: 3_600_000,
            ..IceServer::default()
        };
        let mut headers = HeaderMap::new();
        link(&mut headers, &[server], "ann", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let links: Vec<_> = headers.get_all(header::LINK).iter().map(|value| value.to_str().expect("text")).collect();
        assert_eq!(
            links,
            [
                "<turn:turn.example.org?transport=udp>; rel=\"ice-server\"; username=\"1700003600:ann\"; credential=\"TwqKCcbzejRFa1sgGqGS7SEzCGg=\"; credential-type=\"password\"",
                "<stun:turn.example.org>; rel=\"ice-server\"",
            ]
        );
    }
}
