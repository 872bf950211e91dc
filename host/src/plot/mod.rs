//! Figures, in SVG and PNG: the curves of one or several runs, and those of the supplement.
//!
//! [`figure`] decides what is drawn where and leaves a [`Drawing`], a list of lines, dots and words; `svg` and `raster`
//! turn it into files. [`loss_figure`] and [`stages`] draw the supplement's Figures 9 and 10. The PNG needs no font of the system: its letters are in the program.

mod axis;
mod drawing;
mod figure;
mod font;
mod loss;
mod raster;
mod series;
mod stages;
mod svg;
mod theme;

pub use drawing::Drawing;
pub use figure::{MAX_RUNS, figure};
pub use loss::{LossPoint, loss_figure};
pub use series::Curves;
pub use stages::{Legend, stages};
pub use theme::theme;
