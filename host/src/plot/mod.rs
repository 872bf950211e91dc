//! The curves of one or several runs as one picture, in SVG and PNG.
//!
//! [`figure`] decides what is drawn where and leaves a [`Drawing`], a list of lines, dots and words; `svg` and `raster`
//! turn it into files. The PNG needs no font of the system: its letters are in the program.

mod axis;
mod drawing;
mod figure;
mod font;
mod raster;
mod series;
mod svg;

pub use drawing::Drawing;
pub use figure::{MAX_RUNS, figure};
pub use series::Curves;
