//! The layout engine, in two halves that know nothing of each other's insides.
//!
//! * The **rules**: a [`Layout`] and a [`Cast`] (who could be shown) give a [`Scene`] (who is in which
//!   rectangle), and [`motion`] moves one scene into the next. Pure geometry: [`layout`], [`region`], [`cast`], [`scene`], [`presets`].
//! * The **drawing**: a [`Scene`] and the latest pictures give one I420 canvas: [`draw`].
//!
//! Knows no peers, rooms, clocks or threads. People and picture sources are opaque numbers.
//!
//! Flow: `Layout::arrange(&Cast, Size) -> Scene`, then per tick `Canvas::draw(&Scene, &Pictures) -> &I420Frame`.
#![forbid(unsafe_code)]

pub mod cast;
mod check;
pub mod convert;
pub mod draw;
pub mod fraction;
pub mod geometry;
pub mod image;
pub mod layout;
pub mod motion;
pub mod names;
pub mod overlay;
pub mod presets;
pub mod preview;
pub mod region;
pub mod scene;

pub use cast::{Cast, Person, PersonId, Source, SourceId};
pub use check::{Fault, FaultKind};
pub use fraction::Fraction;
pub use geometry::Rect;
pub use layout::{Fit, Layout};
pub use scene::{Scene, Tile};
