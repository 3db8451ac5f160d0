//! `/v1/rooms/{room}/messages`: chat from outside of the room, and texts over its picture.

use super::app::App;
use super::auth::Caller;
use super::body::Json;
use super::extract::Room;
use super::json::Check;
use super::problem::{Code, FieldError, Problem};
use super::schema;
use crate::room::MAIN_VIEW;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    #[default]
    Chat,
    Banner,
}

const BANNER_CHARACTERS: usize = 200;
const BANNER_MS: u64 = 10_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `chat` if absent. `banner`: over the picture, for a while.
    #[serde(default)]
    r#type: Type,
    /// At most 4096 bytes; of a banner at most 200 characters, in one line.
    #[schema(min_length = 1, max_length = 4096)]
    text: String,
    /// Of a banner: the view that it lies over; `main` if absent.
    view: Option<String>,
    /// Of a banner: 1000 to 3600000; 10000 if absent.
    #[schema(minimum = 1000, maximum = 3600000)]
    duration_ms: Option<u64>,
    /// The name it is shown under, at most 256 bytes; with a token it is the token's identity.
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    from: Option<String>,
}

impl Check for Message {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if self.text.trim().is_empty() || self.text.len() > 4096 {
            errors.push(FieldError::new(format!("{at}/text"), "1 to 4096 bytes"));
        }
        if self.r#type == Type::Banner {
            return self.check_banner(at, errors);
        }
        for (field, given) in [("view", self.view.is_some()), ("duration_ms", self.duration_ms.is_some())] {
            if given {
                errors.push(FieldError::new(format!("{at}/{field}"), "has no effect but with the type banner"));
            }
        }
        if self.from.as_ref().is_some_and(|from| from.len() > 256 || from.chars().any(char::is_control)) {
            errors.push(FieldError::new(format!("{at}/from"), "at most 256 bytes, no control characters"));
        }
    }
}

impl Message {
    fn check_banner(&self, at: &str, errors: &mut Vec<FieldError>) {
        if self.text.chars().count() > BANNER_CHARACTERS || self.text.chars().any(char::is_control) {
            errors.push(FieldError::new(format!("{at}/text"), format!("a banner has at most {BANNER_CHARACTERS} characters, in one line")));
        }
        if self.duration_ms.is_some_and(|ms| !(1000..=3_600_000).contains(&ms)) {
            errors.push(FieldError::new(format!("{at}/duration_ms"), "1000 to 3600000"));
        }
        if self.from.is_some() {
            errors.push(FieldError::new(format!("{at}/from"), "has no effect with the type banner"));
        }
    }
}

/// Say something to everybody in the room, or show it over the picture, which needs `layout` or `admin`.
#[utoipa::path(post, path = "/v1/rooms/{room}/messages", tag = "messages", params(schema::RoomPath), request_body = Message,
    responses((status = 204, description = "Said.")))]
pub async fn say(State(app): State<App>, Room(room): Room, caller: Caller, Json(message): Json<Message>) -> Result<Response, Problem> {
    let missing = |grant: &'static str| Problem::new(Code::MissingGrant, format!("this needs the grant {grant}"));
    if message.r#type == Type::Banner {
        if !caller.holds(|grants| grants.layout || grants.admin) {
            return Err(missing("layout (banner)"));
        }
        let (view, time) =
            (message.view.unwrap_or_else(|| MAIN_VIEW.into()), Duration::from_millis(message.duration_ms.unwrap_or(BANNER_MS)));
        app.room(&room)?.banner(view, message.text.trim().to_owned(), time).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if !caller.rights().chat {
        return Err(missing("join with publish: data"));
    }
    let from = caller.identity().map(str::to_owned).or(message.from).unwrap_or_default();
    app.room(&room)?.chat(from, message.text).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
