//! `/v1/tokens`: an API key makes participants' tokens.

use super::app::App;
use super::auth::{Claims, Grants};
use super::body::Json;
use super::extract::json;
use super::json::Check;
use super::problem::{Code, FieldError, Problem};
use crate::runtime::clock::rfc3339;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a token lives unless something else is asked for.
pub const DEFAULT_TTL_MS: u64 = 600_000;

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Who the token is for, 1 to 256 bytes.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub identity: String,
    /// At least 1000; 600000 if absent; the session outlives the token.
    #[serde(default = "default_ttl_ms")]
    #[schema(minimum = 1000)]
    pub ttl_ms: u64,
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    pub room: Option<String>,
    #[serde(default)]
    pub join: bool,
    #[serde(default)]
    #[schema(value_type = Vec<super::schema::Publish>)]
    pub publish: Vec<String>,
    #[serde(default)]
    pub subscribe: bool,
    #[serde(default)]
    pub record: bool,
    #[serde(default)]
    pub admin: bool,
    #[serde(default)]
    pub layout: bool,
    #[serde(default)]
    pub view: Option<String>,
}

fn default_ttl_ms() -> u64 {
    DEFAULT_TTL_MS
}

impl Check for TokenRequest {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        let mut fault = |field: &str, detail: &str| errors.push(FieldError::new(format!("{at}/{field}"), detail));
        if self.identity.is_empty() || self.identity.len() > 256 || self.identity.chars().any(char::is_control) {
            fault("identity", "1 to 256 bytes, no control characters");
        }
        if self.ttl_ms < 1000 {
            fault("ttl_ms", "at least 1000");
        }
        match &self.room {
            Some(room) if room.parse::<crate::ids::RoomId>().is_err() => fault("room", "must be a room id"),
            None if !self.admin => fault("room", "is missing; only admin may be for all rooms"),
            _ => {}
        }
        if self.publish.iter().any(|kind| !matches!(kind.as_str(), "audio" | "video" | "data")) {
            fault("publish", "of audio, video, data");
        }
    }
}

impl TokenRequest {
    /// The token's content, signed by the key `issuer` at `now`.
    pub fn claims(self, issuer: &str, now: SystemTime) -> Claims {
        let issued = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Claims {
            iss: issuer.to_owned(),
            sub: self.identity,
            exp: (issued + Duration::from_millis(self.ttl_ms)).as_secs(),
            nbf: None,
            iat: Some(issued.as_secs()),
            mixdown: Some(Grants {
                room: self.room,
                join: self.join,
                publish: self.publish,
                subscribe: self.subscribe,
                record: self.record,
                admin: self.admin,
                layout: self.layout,
                view: self.view,
            }),
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Token {
    pub token: String,
    pub expires_at: String,
}

/// Make a participant's token.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = TokenRequest, responses((status = 201, body = Token)))]
pub async fn create(State(app): State<App>, Json(request): Json<TokenRequest>) -> Result<Response, Problem> {
    let most = app.keys.max_ttl().as_millis();
    if u128::from(request.ttl_ms) > most {
        return Err(Problem::validation(vec![FieldError::new("/ttl_ms", format!("at most {most} (auth.max_ttl_ms)"))]));
    }
    let now = app.wall();
    let issuer =
        app.keys.newest(now).ok_or_else(|| Problem::new(Code::Conflict, "the server has no API key to sign with: set auth.keys"))?;
    let claims = request.claims(&issuer, now);
    let expires_at = rfc3339(UNIX_EPOCH + Duration::from_secs(claims.exp));
    let token = app.keys.sign(&claims).ok_or_else(|| Problem::new(Code::Internal, "the token cannot be signed"))?;
    let mut response = json(&Token { token, expires_at }, None);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
