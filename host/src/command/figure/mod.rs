//! `wseg figure`: the figures of the paper's supplement.

mod loss;
mod pamr;

use std::path::Path;

use serde_json::json;

use crate::{
    Result,
    args::{Figure, FigureArgs},
    console::Console,
    files,
    plot::Drawing,
};

/// Draws a figure.
///
/// # Errors
/// If an input cannot be used or a file cannot be written.
pub fn run(args: &FigureArgs, console: &Console) -> Result<()> {
    match &args.figure {
        Figure::Loss(args) => loss::run(args, console),
        Figure::Pamr(args) => pamr::run(args, console),
    }
}

/// Writes a figure as `NAME.svg` and `NAME.png`, and says where.
fn write(drawing: &Drawing, folder: &Path, name: &str, json: bool, console: &Console) -> Result<()> {
    let [svg, png] = ["svg", "png"].map(|ending| folder.join(format!("{name}.{ending}")));
    let (text, picture) = (drawing.svg()?, drawing.png(super::plot::PNG_SCALE)?);
    files::write_atomic(&svg, text.as_bytes())?;
    files::write_atomic(&png, &picture)?;
    match json {
        true => console.print(json!({ "svg": svg, "png": png })),
        false => console.print(format_args!("Figure: {}, {}", svg.display(), png.display())),
    }
    Ok(())
}
