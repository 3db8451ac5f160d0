//! `/v1/rooms/{room}/sidebars`: who hears each other alone.

use super::app::App;
use super::body::Json;
use super::extract::{IfMatch, Query, Room, Sidebar, etag, json};
use super::json::Check;
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use crate::conference::handle::RoomHandle;
use crate::room::Expect;
use crate::room::sound::{Sidebar as Model, SidebarSettings};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Participants of one sidebar.
const MOST: usize = 256;

/// The room's sidebars.
#[utoipa::path(get, path = "/v1/rooms/{room}/sidebars", tag = "sidebars", params(schema::RoomPath, Paging),
    responses((status = 200, body = Page<schema::Sidebar>)))]
pub async fn list(State(app): State<App>, Room(room): Room, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    let sidebars = app.room(&room)?.sidebars().await?;
    Ok(json(&paging.page(&format!("sidebars:{room}"), sidebars, |sidebar| sidebar.name.clone())?, None))
}

/// One sidebar.
#[utoipa::path(get, path = "/v1/rooms/{room}/sidebars/{sidebar}", tag = "sidebars", params(schema::SidebarPath),
    responses((status = 200, body = schema::Sidebar, headers(("ETag" = String)))))]
pub async fn get(State(app): State<App>, Room(room): Room, Sidebar(name): Sidebar) -> Result<Response, Problem> {
    let sidebar = find(&app.room(&room)?, &name).await?.ok_or_else(|| Problem::not_found("sidebar"))?;
    Ok(json(&sidebar, Some(&etag(sidebar.etag))))
}

/// Make a sidebar, or give an existing one exactly these settings. Its participants hear each other alone from then on.
#[utoipa::path(put, path = "/v1/rooms/{room}/sidebars/{sidebar}", tag = "sidebars", params(schema::SidebarPath), request_body = schema::SidebarSettings,
    responses((status = 201, body = schema::Sidebar, headers(("Location" = String), ("ETag" = String))), (status = 200, body = schema::Sidebar)))]
pub async fn put(
    State(app): State<App>,
    Room(id): Room,
    Sidebar(name): Sidebar,
    if_match: IfMatch,
    Json(settings): Json<SidebarSettings>,
) -> Result<Response, Problem> {
    let room = app.room(&id)?;
    let expect = expected(&room, &name, &if_match).await?;
    let (sidebar, made) = room.put_sidebar(name, settings, expect).await?;
    let mut response = json(&sidebar, Some(&etag(sidebar.etag)));
    if made {
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/rooms/{id}/sidebars/{}", sidebar.name)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    Ok(response)
}

/// End a sidebar: its participants hear the room again.
#[utoipa::path(delete, path = "/v1/rooms/{room}/sidebars/{sidebar}", tag = "sidebars", params(schema::SidebarPath),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, Room(room): Room, Sidebar(name): Sidebar, if_match: IfMatch) -> Result<Response, Problem> {
    let room = app.room(&room)?;
    let expect = expected(&room, &name, &if_match).await?;
    room.delete_sidebar(name, expect).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn find(room: &RoomHandle, name: &str) -> Result<Option<Model>, Problem> {
    Ok(room.sidebars().await?.into_iter().find(|sidebar| sidebar.name == name))
}

/// The revision that `If-Match` names, if there is one.
async fn expected(room: &RoomHandle, name: &str, if_match: &IfMatch) -> Result<Expect, Problem> {
    if if_match.is_absent() {
        return Ok(Expect::Anything);
    }
    let sidebar = find(room, name).await?.ok_or_else(|| Problem::new(Code::PreconditionFailed, "the sidebar does not exist"))?;
    if_match.check(&etag(sidebar.etag))?;
    Ok(Expect::Revision(sidebar.etag))
}

impl Check for SidebarSettings {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        if self.participants.len() > MOST {
            errors.push(FieldError::new(format!("{at}/participants"), format!("at most {MOST}")));
        }
    }
}
