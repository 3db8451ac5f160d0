//! The drawing: a [`Scene`](crate::Scene) and the latest pictures give one I420 canvas.
//!
//! [`Canvas::draw`] once per tick: tiles whose picture or place has not changed are not touched, and the returned
//! [`Damage`] says whether anything was. Pictures stay I420 throughout; RGB exists only for text, signs and
//! snapshots ([`rgb`]). Everything is BT.601, limited range.
//!
//! Flow: `Pictures::latest → Scaler (crop, scale, turn) → tile → border, label, badge → overlays → Canvas::frame`.
//!
//! Deliberately absent: threads, clocks, peers. Who shows nothing for too long is decided by whoever implements
//! [`Pictures`] (`None` shows initials).

mod canvas;
mod colour;
mod fonts;
mod kernels;
mod labels;
mod lays;
mod overlay;
mod plane;
pub mod rgb;
mod scale;
mod shared;
mod signs;
pub(crate) mod text;
mod tile;

pub use canvas::{Canvas, Damage};
pub use colour::Yuv;
pub use fonts::{Fonts, NoFont};
pub use scale::Reducer;
pub use shared::Scaled;
pub use text::{Line, Typesetter, is_hidden};

use crate::SourceId;
use mixdown_codecs::I420Frame;
use std::sync::Arc;

/// The newest picture of one source.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Any size, odd ones included.
    pub frame: Arc<I420Frame>,
    /// Different for every new picture of the source; a tile is redrawn when it changes.
    pub sequence: u64,
    /// How often to turn clockwise by 90° for the picture to stand upright (CVO, 3GPP TS 26.114 §7.4.5).
    pub quarter_turns: u8,
    /// Mirror left to right before turning.
    pub flip: bool,
    /// Where several canvases show the source: what they have scaled already. `None` for one canvas alone.
    pub scaled: Option<Arc<Scaled>>,
}

/// When a canvas is drawn: what clocks and tickers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Milliseconds of media time.
    pub ms: u64,
    /// Seconds since 1970, UTC.
    pub unix_s: i64,
}

/// Where the canvas finds the pictures: usually the latest-picture slots of the decoders.
pub trait Pictures {
    /// `None` where there is nothing (any more) to show: initials are drawn instead.
    fn latest(&self, source: SourceId) -> Option<Picture>;
}
