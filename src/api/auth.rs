//! Who is calling: API keys (servers) and tokens (participants), RFC 7519 and RFC 8725.
//!
//! A token is HS256 and nothing else, whatever its header says; `iss` names the key that signed it. What a
//! caller may do is in [`super::rules`]. Secrets are compared in constant time.

use super::problem::{Code, Problem};
use crate::conference::rights::{Removals, Rights, Views};
use crate::config::{self, Secret};
use crate::ids::RoomId;
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(30);
/// A longer token is not looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a token allows. Absent means no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Grants {
    /// The one room it is for. None, with `admin`: all rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub join: bool,
    /// Of `audio`, `video`, `data`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub subscribe: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub layout: bool,
    /// The view to watch, besides `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
}

/// A token's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Id of the key that signed it.
    pub iss: String,
    /// Identity.
    pub sub: String,
    pub exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    #[serde(default)]
    pub mixdown: Option<Grants>,
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// `--dev`: nobody is asked.
    Anyone,
    /// Holds an API key, or a token that administers all rooms.
    Server,
    Token(Box<Claims>),
}

impl Caller {
    pub fn identity(&self) -> Option<&str> {
        match self {
            Self::Token(claims) => Some(&claims.sub),
            Self::Anyone | Self::Server => None,
        }
    }

    pub fn grants(&self) -> Option<&Grants> {
        match self {
            Self::Token(claims) => claims.mixdown.as_ref(),
            Self::Anyone | Self::Server => None,
        }
    }

    /// What a session of this caller may do.
    pub fn rights(&self) -> Rights {
        let Some(grants) = self.grants() else {
            // Where nobody is asked who he is, nobody passes the waiting room for who he is.
            return Rights { admitted: *self == Self::Server, ..Rights::all() };
        };
        let publishes = |kind: &str| grants.publish.iter().any(|granted| granted == kind);
        let all = grants.admin || grants.layout || grants.view.as_deref() == Some("*");
        Rights {
            publish_audio: publishes("audio"),
            publish_video: publishes("video"),
            subscribe: grants.subscribe,
            chat: grants.admin || (grants.join && publishes("data")),
            admin: grants.admin,
            layout: grants.layout,
            admitted: grants.admin,
            views: if all { Views::All } else { Views::Main(grants.view.clone()) },
        }
    }

    /// Whether what belongs to `room` exists for this caller: a token's is its own room.
    pub fn reaches(&self, room: &str) -> bool {
        self.holds(|grants| grants.room.as_deref() == Some(room))
    }

    /// Whether `grant` is held; servers hold all.
    pub fn holds(&self, grant: impl FnOnce(&Grants) -> bool) -> bool {
        match self {
            Self::Token(claims) => claims.mixdown.as_ref().is_some_and(grant),
            Self::Anyone | Self::Server => true,
        }
    }
}

/// The configured keys, and who was removed. Keys can be exchanged while the server runs.
pub struct Keys {
    keys: ArcSwap<Vec<config::Key>>,
    max_ttl: Duration,
    removals: Arc<Removals>,
}

impl Keys {
    pub fn new(auth: &config::Auth) -> Self {
        let keys = ArcSwap::from_pointee(auth.keys.clone());
        Self { keys, max_ttl: Duration::from_millis(auth.max_ttl_ms), removals: Arc::default() }
    }

    pub fn with_removals(self, removals: Arc<Removals>) -> Self {
        Self { removals, ..self }
    }

    /// From now on these keys count and no others. `false`: they are the same as before.
    pub fn replace(&self, keys: &[config::Key]) -> bool {
        let changed = self.keys.load().as_slice() != keys;
        if changed {
            self.keys.store(Arc::new(keys.to_vec()));
        }
        changed
    }

    /// Who was removed from `room` with tokens that may still be alive at `now`, by identity.
    pub fn removed(&self, room: &RoomId, now: SystemTime) -> Vec<(String, SystemTime)> {
        self.removals.forget(now.checked_sub(self.max_ttl + LEEWAY).unwrap_or(UNIX_EPOCH));
        self.removals.of(room)
    }

    /// Lets somebody come back who was removed. `false`: nobody of this identity was.
    pub fn allow(&self, room: &RoomId, identity: &str) -> bool {
        self.removals.allow(room, identity)
    }

    /// Who the `Authorization` header says is calling, at `now`.
    pub fn authenticate(&self, headers: &HeaderMap, now: SystemTime) -> Result<Caller, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err(challenge(
                Code::Unauthenticated,
                "send Authorization: Bearer with a token, or Basic with an API key's id:secret",
                None,
            ));
        };
        let invalid = || challenge(Code::InvalidToken, "the Authorization header cannot be read", Some("invalid_request"));
        let (scheme, credentials) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(invalid)?;
        let caller = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => self.verify(credentials.trim(), now).map(Caller::from),
            "basic" => self.api_key(credentials.trim(), now),
            _ => Err(challenge(Code::Unauthenticated, "the scheme must be Bearer, or Basic for API keys", Some("invalid_request"))),
        };
        metrics::counter!("mixdown_authentications_total", "result" => if caller.is_ok() { "accepted" } else { "refused" }).increment(1);
        caller
    }

    /// Checks a token and gives its content.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Claims, Problem> {
        let invalid = |detail: &'static str| challenge(Code::InvalidToken, detail, Some("invalid_token"));
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid("the token is longer than 8 KiB"));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| invalid("this is no JWT signed with HS256; API keys are sent as Basic id:secret"))?;
        if header.alg != Algorithm::HS256 {
            return Err(invalid("the token must be signed with HS256"));
        }
        if header.jku.is_some() || header.x5u.is_some() || header.jwk.is_some() || header.x5c.is_some() {
            return Err(invalid("the token brings a key of its own"));
        }
        let keys = self.keys.load();
        let key = issuer(&keys, token, header.kid.as_deref(), now)?;
        let mut rules = Validation::new(Algorithm::HS256);
        // Times are checked below, against the clock that was handed in.
        (rules.validate_exp, rules.validate_nbf, rules.validate_aud) = (false, false, false);
        rules.required_spec_claims.clear();
        let secret = DecodingKey::from_secret(key.secret.reveal().as_bytes());
        let claims = jsonwebtoken::decode::<Claims>(token, &secret, &rules).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => invalid("the token lacks iss, sub or exp, or one of them has the wrong type"),
            _ => invalid("the signature is not that of the key that iss names"),
        })?;
        self.check_times(&claims.claims, now)?;
        self.check_removed(&claims.claims)?;
        metrics::counter!("mixdown_key_uses_total", "key" => key.id.clone()).increment(1);
        Ok(claims.claims)
    }

    /// Whether a token that was good when it was shown is good still: alive, and its holder not removed since.
    pub fn is_still_good(&self, claims: &Claims, now: SystemTime) -> bool {
        self.check_times(claims, now).is_ok() && self.check_removed(claims).is_ok()
    }

    /// A token of this content, signed with the key that `iss` names; `None`: there is none.
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.id == claims.iss)?;
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key.secret.reveal().as_bytes())).ok()
    }

    /// The key that new tokens are signed with.
    pub fn newest(&self, now: SystemTime) -> Option<String> {
        self.keys.load().iter().rev().find(|key| key.valid_at(now)).map(|key| key.id.clone())
    }

    pub fn max_ttl(&self) -> Duration {
        self.max_ttl
    }

    fn check_times(&self, claims: &Claims, now: SystemTime) -> Result<(), Problem> {
        let at = |seconds: u64| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let invalid = |detail: String| Err(challenge(Code::InvalidToken, detail, Some("invalid_token")));
        let Some(expiry) = at(claims.exp) else { return invalid("exp is out of range".into()) };
        if now.checked_sub(LEEWAY).is_some_and(|latest| expiry <= latest) {
            return Err(challenge(Code::TokenExpired, "exp has passed", Some("invalid_token")));
        }
        if expiry > now + self.max_ttl + LEEWAY {
            return invalid(format!("exp is more than {} s away", self.max_ttl.as_secs()));
        }
        for (name, seconds) in [("nbf", claims.nbf), ("iat", claims.iat)] {
            if seconds.is_some_and(|seconds| at(seconds).is_none_or(|time| time > now + LEEWAY)) {
                return invalid(format!("{name} lies in the future"));
            }
        }
        Ok(())
    }

    fn check_removed(&self, claims: &Claims) -> Result<(), Problem> {
        let Some(room) = claims.mixdown.as_ref().and_then(|grants| grants.room.as_ref()?.parse::<RoomId>().ok()) else { return Ok(()) };
        let Some(at) = self.removals.removed_at(&room, &claims.sub) else { return Ok(()) };
        let made = UNIX_EPOCH + Duration::from_secs(claims.iat.unwrap_or(0).min(u64::from(u32::MAX)));
        if made <= at {
            return Err(challenge(Code::Revoked, "its holder was removed from the room", Some("invalid_token")));
        }
        Ok(())
    }

    fn api_key(&self, credentials: &str, now: SystemTime) -> Result<Caller, Problem> {
        let refused = || challenge(Code::Unauthenticated, "no such API key, or a wrong secret", None);
        let decoded = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refused)?;
        let (id, secret) = decoded.split_once(':').ok_or_else(refused)?;
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.id == id).ok_or_else(refused)?;
        if !same(&key.secret, secret) {
            return Err(refused());
        }
        if !key.valid_at(now) {
            return Err(challenge(Code::Revoked, "the API key is retired", None));
        }
        metrics::counter!("mixdown_key_uses_total", "key" => key.id.clone()).increment(1);
        Ok(Caller::Server)
    }
}

/// The key that the token says has signed it. Nothing here is believed before the signature is checked.
fn issuer<'a>(keys: &'a [config::Key], token: &str, kid: Option<&str>, now: SystemTime) -> Result<&'a config::Key, Problem> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let unknown = || challenge(Code::InvalidToken, "iss does not name a key of this server", Some("invalid_token"));
    let issuer = jsonwebtoken::dangerous::insecure_decode_claims::<Issuer>(token).map_err(|_| unknown())?.iss;
    let key = keys.iter().find(|key| key.id == issuer && kid.is_none_or(|kid| kid == key.id)).ok_or_else(unknown)?;
    if !key.valid_at(now) {
        return Err(challenge(Code::Revoked, "the key that signed the token is retired", Some("invalid_token")));
    }
    Ok(key)
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        let everywhere = claims.mixdown.as_ref().is_some_and(|grants| grants.admin && grants.room.is_none());
        if everywhere { Self::Server } else { Self::Token(Box::new(claims)) }
    }
}

/// Compares in constant time, whatever the lengths: both sides go through a MAC first.
fn same(expected: &Secret, given: &str) -> bool {
    type Mac1 = Hmac<sha1::Sha1>;
    let key: [u8; 32] = rand::random();
    let Ok(mac) = Mac1::new_from_slice(&key) else { return false };
    let expected = mac.clone().chain_update(expected.reveal()).finalize().into_bytes();
    mac.chain_update(given).verify_slice(&expected).is_ok()
}

/// 401 with what RFC 6750 §3 wants to be said.
fn challenge(code: Code, detail: impl Into<std::borrow::Cow<'static, str>>, error: Option<&str>) -> Problem {
    let value = error.map_or("Bearer realm=\"mixdown\"".to_owned(), |error| format!("Bearer realm=\"mixdown\", error=\"{error}\""));
    Problem::new(code, detail).with_header(header::WWW_AUTHENTICATE, &value)
}
