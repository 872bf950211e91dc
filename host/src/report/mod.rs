//! Results for people: tables, overlays, picture sheets.

pub mod evaluation;
pub mod overlay;
pub mod sheet;
pub mod table;
mod text;
