//! A drawing as SVG.

use std::fmt::Write as _;

use image::ImageFormat;

use super::{
    drawing::{Anchor, Colour, Drawing, Mark, Weight},
    font, theme,
};
use crate::{
    Result,
    markup::{data_uri, escaped},
};

/// The fonts that a viewer may choose from; the first one is what the drawing was measured with.
const FONTS: &str = "Roboto, 'Helvetica Neue', Helvetica, Arial, sans-serif";

/// Where the colours of an SVG come from.
#[derive(Clone, Copy)]
enum Colours {
    /// They are in the file.
    Own,
    /// The page around it sets them, so that it can be light or dark.
    Page,
}

/// A file of its own, on white paper.
pub(super) fn write(drawing: &Drawing) -> Result<String> {
    let Drawing { width, height, .. } = drawing;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    draw(&mut svg, drawing, Colours::Own)?;
    Ok(svg)
}

/// An element of a page.
pub(super) fn element(drawing: &Drawing, label: &str) -> Result<String> {
    let Drawing { width, height, .. } = drawing;
    let label = escaped(label).replace('"', "&quot;");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{label}\" font-family=\"{FONTS}\">\n"
    );
    draw(&mut svg, drawing, Colours::Page)?;
    Ok(svg)
}

fn draw(svg: &mut String, drawing: &Drawing, colours: Colours) -> Result<()> {
    for mark in &drawing.marks {
        // Writing to a string does not fail.
        let _ = match mark {
            Mark::Line { points, width, dashed, colour } => {
                let dash = if *dashed { " stroke-dasharray=\"6 4\"" } else { "" };
                let points = listed(points);
                let stroke = colours.attribute("stroke", *colour);
                writeln!(
                    svg,
                    "<polyline points=\"{points}\" fill=\"none\" {stroke} stroke-width=\"{width}\" \
                     stroke-linejoin=\"round\"{dash}/>"
                )
            }
            Mark::Dot { at, dot, colour } => {
                let fill = colours.attribute("fill", *colour);
                match dot.corners(*at) {
                    Ok(corners) => writeln!(svg, "<polygon points=\"{}\" {fill}/>", listed(&corners)),
                    Err(radius) => {
                        let (x, y) = at;
                        writeln!(svg, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius}\" {fill}/>")
                    }
                }
            }
            Mark::Text { at: (x, y), text, size, weight: heavy, anchor, colour } => {
                let weight = match heavy {
                    Weight::Regular => "",
                    Weight::Medium => " font-weight=\"500\"",
                };
                let anchor = match anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                // As wide as it was measured, whatever font the viewer has.
                let length = match font::width(text, *heavy, *size) {
                    width if width > 0.0 => format!(" textLength=\"{width:.2}\" lengthAdjust=\"spacingAndGlyphs\""),
                    _ => String::new(),
                };
                let (fill, text) = (colours.attribute("fill", *colour), escaped(text));
                writeln!(
                    svg,
                    "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\"{weight}{anchor}{length} {fill}>{text}</text>"
                )
            }
            Mark::Picture { at: (x, y), size: (width, height), picture } => {
                let data = data_uri(picture, ImageFormat::Png)?;
                writeln!(
                    svg,
                    "<image x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
                     preserveAspectRatio=\"none\" href=\"{data}\"/>"
                )
            }
        };
    }
    svg.push_str("</svg>\n");
    Ok(())
}

impl Colours {
    /// A colour as an attribute.
    fn attribute(self, property: &str, colour: Colour) -> String {
        match self {
            Self::Own => format!("{property}=\"{}\"", hex(colour)),
            Self::Page => format!("style=\"{property}:var({})\"", theme::variable(colour)),
        }
    }
}

fn listed(points: &[(f32, f32)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn hex(Colour([red, green, blue]): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
