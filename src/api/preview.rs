//! `…/layout/preview`: what a layout would look like, what an operator should know about it, and what it costs. Nothing is changed.

use super::app::App;
use super::body::Document;
use super::estimate::quote;
use super::extract::{Query, Room, View, json};
use super::json::{Check, read};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use crate::ids::ParticipantId;
use crate::pipeline::quote::{Quote, Shape};
use crate::room::Audience;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mixdown_codecs::Size;
use mixdown_layouts::draw::rgb::{Format, encode};
use mixdown_layouts::preview::{Place, Preview, Warning, preview};
use mixdown_layouts::scene::TileSource;
use mixdown_layouts::{FaultKind, Layout, Person, PersonId};
use serde::{Deserialize, Serialize};

/// Most invented people.
const MOST_PEOPLE: u32 = 100;
/// What a camera is taken to send whose pictures nobody has seen yet.
const USUAL: Size = Size::new(640, 360);

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// `json` (if absent) or `png`.
    #[serde(default)]
    #[param(inline)]
    format: Shown,
    /// So many invented people in place of those who are here, 0 to 100.
    #[param(minimum = 0, maximum = 100)]
    people: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    #[default]
    Json,
    Png,
}

/// A layout whose regions may overlap and lie off the canvas: the answer warns of it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Sketch(Layout);

impl Check for Sketch {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        let faults = self.0.faults().into_iter().filter(|fault| fault.kind == FaultKind::Value);
        errors.extend(faults.map(|fault| FieldError::new(format!("{at}{}", fault.pointer), fault.detail)));
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    canvas: crate::room::model::Canvas,
    regions: Vec<Region>,
    overflow: u32,
    warnings: Vec<Warning>,
    cost: Quote,
}

/// One rectangle in fractions of the canvas, as in a tile map, and who is seen in it.
#[derive(Debug, Serialize)]
struct Region {
    /// Of a custom layout.
    region: Option<usize>,
    id: Option<String>,
    participant: Option<ParticipantId>,
    name: Option<String>,
    source: Option<&'static str>,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// What the layout would look like, with the people who are here.
#[utoipa::path(post, path = "/v1/rooms/{room}/views/{view}/layout/preview", tag = "views", params(schema::ViewPath, How), request_body = schema::Layout,
    responses((status = 200, content((schema::Preview = "application/json"), (Vec<u8> = "image/png")))))]
pub async fn show(
    State(app): State<App>,
    Room(room): Room,
    View(view): View,
    Query(how): Query<How>,
    Document(document): Document,
) -> Result<Response, Problem> {
    if how.people.is_some_and(|people| people > MOST_PEOPLE) {
        return Err(Problem::validation(vec![FieldError::new("?people", format!("0 to {MOST_PEOPLE}"))]));
    }
    let Sketch(layout) = read(app.layouts.resolve(document).0)?;
    let mut audience = *app.room(&room)?.audience(view).await?;
    if let Some(people) = how.people {
        audience.cast.people = (1..=u64::from(people)).map(invented).collect();
        (audience.cast.active_speaker, audience.cast.previous_speaker) = (Some(PersonId(1)), Some(PersonId(2)));
        audience.people.clear();
    }
    let size = Size::new(audience.canvas.width, audience.canvas.height);
    let shown = preview(&layout, &audience.cast, size, audience.canvas.fps, audience.canvas.rgb());
    if how.format == Shown::Png {
        return drawn(shown).await;
    }
    let cost = quote(&app, &shape(&app, &audience, &shown)).await?;
    let regions = shown.places.iter().map(|place| region(&layout, &audience, size, place)).collect();
    let (canvas, overflow) = (audience.canvas.clone(), shown.scene.overflow);
    Ok(json(&Answer { canvas, regions, overflow, warnings: shown.warnings, cost }, None))
}

fn invented(n: u64) -> Person {
    Person { key: format!("person-{n}"), name: format!("Person {n}"), ..Person::plain(n) }
}

/// The view as it would run: everybody who is seen, one encode at least.
fn shape(app: &App, audience: &Audience, shown: &Preview) -> Shape {
    let seen = shown.scene.tiles.len() as u32;
    let sizes = audience.cast.people.iter().flat_map(|person| [person.camera, person.screen]).flatten().filter_map(|source| source.size);
    let largest = sizes.max_by_key(|size| size.width * size.height).unwrap_or(USUAL);
    Shape {
        senders: seen,
        sender_size: largest,
        viewers: audience.viewers as u32,
        views: 1,
        renditions: audience.renditions.max(1) as u32,
        canvas: Size::new(audience.canvas.width, audience.canvas.height),
        fps: audience.canvas.fps,
        bitrate_bps: app.config.video.bitrate_bps,
    }
}

fn region(layout: &Layout, audience: &Audience, canvas: Size, place: &Place) -> Region {
    let Place { region, person, kind, rect } = *place;
    let named = region.and_then(|index| layout.regions(audience.cast.people.len()).get(index));
    let share = |length: u32, whole: u32| f64::from(length) / f64::from(whole);
    let source = kind.map(|kind| match kind {
        TileSource::Camera => "camera",
        TileSource::Screen => "screen",
    });
    Region {
        region,
        id: named.and_then(|region| region.id.clone()),
        participant: person.and_then(|person| audience.people.iter().find(|(id, _)| *id == person)).map(|(_, id)| *id),
        name: person.and_then(|person| audience.cast.people.iter().find(|known| known.id == person)).map(|known| known.name.clone()),
        source,
        x: share(rect.x, canvas.width),
        y: share(rect.y, canvas.height),
        width: share(rect.width, canvas.width),
        height: share(rect.height, canvas.height),
    }
}

/// As a picture, with initials in place of pictures.
async fn drawn(shown: Preview) -> Result<Response, Problem> {
    let drawn = tokio::task::spawn_blocking(move || encode(&shown.draw(), None, Format::Png)).await.ok().and_then(Result::ok);
    let bytes = drawn.ok_or_else(|| Problem::new(Code::Internal, "the picture cannot be written"))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], bytes).into_response())
}
