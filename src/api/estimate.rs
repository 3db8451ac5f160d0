//! `/v1/estimate`: what a room would cost on this host.

use super::app::App;
use super::body::Json;
use super::extract::json;
use super::json::Check;
use super::problem::{Code, FieldError, Problem};
use crate::pipeline::quote::{Costs, Quote, Shape};
use crate::runtime::clock;
use axum::extract::State;
use axum::response::Response;
use mixdown_codecs::Size;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Who send a camera, 0 to 10000.
    #[schema(maximum = 10000)]
    senders: u32,
    /// `640x360` if absent.
    #[serde(default = "usual_size")]
    #[schema(pattern = "^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$")]
    sender_size: String,
    /// Who receive, senders included who do, 0 to 100000.
    #[schema(maximum = 100000)]
    viewers: u32,
    /// Different pictures, 0 to 1000; 1 if absent.
    #[serde(default = "one")]
    #[schema(maximum = 1000)]
    views: u32,
    /// Encodes of each view, 0 to 100; 1 if absent.
    #[serde(default = "one")]
    #[schema(maximum = 100)]
    renditions: u32,
    /// As a new room has it, if absent.
    #[schema(pattern = "^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$")]
    canvas: Option<String>,
    /// 1 to 60; as a new room has it, if absent.
    #[schema(minimum = 1, maximum = 60)]
    fps: Option<u32>,
}

fn usual_size() -> String {
    "640x360".into()
}

fn one() -> u32 {
    1
}

/// Width × height, such as `640x360`.
fn size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (16..=3840).contains(side));
    Some(Size::new(side(width)?, side(height)?))
}

impl Check for Estimate {
    fn check(&self, at: &str, errors: &mut Vec<FieldError>) {
        for (field, value, most) in [
            ("senders", self.senders, 10_000),
            ("viewers", self.viewers, 100_000),
            ("views", self.views, 1000),
            ("renditions", self.renditions, 100),
        ] {
            if value > most {
                errors.push(FieldError::new(format!("{at}/{field}"), format!("0 to {most}")));
            }
        }
        for (field, text) in [("sender_size", Some(&self.sender_size)), ("canvas", self.canvas.as_ref())] {
            if text.is_some_and(|text| size(text).is_none()) {
                errors.push(FieldError::new(format!("{at}/{field}"), "as 640x360, sides of 16 to 3840"));
            }
        }
        if self.fps.is_some_and(|fps| !(1..=60).contains(&fps)) {
            errors.push(FieldError::new(format!("{at}/fps"), "1 to 60"));
        }
    }
}

/// What a room of this shape would cost here, by a short measurement of this host.
#[utoipa::path(post, path = "/v1/estimate", tag = "node", request_body = Estimate, responses((status = 200, body = super::schema::Quote)))]
pub async fn estimate(State(app): State<App>, Json(wanted): Json<Estimate>) -> Result<Response, Problem> {
    let usual = &app.config.rooms.canvas;
    let shape = Shape {
        senders: wanted.senders,
        sender_size: size(&wanted.sender_size).unwrap_or(Size::new(640, 360)),
        viewers: wanted.viewers,
        views: wanted.views,
        renditions: wanted.renditions,
        canvas: wanted.canvas.as_deref().and_then(size).unwrap_or(Size::new(usual.width, usual.height)),
        fps: wanted.fps.unwrap_or(usual.fps),
        bitrate_bps: app.config.video.bitrate_bps,
    };
    Ok(json(&quote(&app, &shape).await?, None))
}

/// Measures this host the first time that somebody asks.
pub async fn quote(app: &App, shape: &Shape) -> Result<Quote, Problem> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let measure = || tokio::task::spawn_blocking(move || Costs::measure(clock::thread_cpu, cores));
    let costs = app.costs.get_or_try_init(measure).await.map_err(|_| Problem::new(Code::Internal, "this host cannot be measured"))?;
    Ok(costs.quote(shape))
}
