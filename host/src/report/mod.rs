//! Results for people: tables, overlays, picture sheets, pages.

pub mod evaluation;
pub mod html;
pub mod overlay;
pub mod sheet;
pub mod table;
mod text;
