//! A drawing as SVG.

use std::fmt::Write as _;

use super::drawing::{Anchor, Colour, Drawing, Mark, Weight};

/// The fonts that a viewer may choose from; the first one is what the drawing was measured with.
const FONTS: &str = "Roboto, 'Helvetica Neue', Helvetica, Arial, sans-serif";

pub(super) fn write(drawing: &Drawing) -> String {
    let Drawing { width, height, marks } = drawing;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for mark in marks {
        // Writing to a string does not fail.
        let _ = match mark {
            Mark::Line { points, width, dashed, colour } => {
                let dash = if *dashed { " stroke-dasharray=\"6 4\"" } else { "" };
                let points = listed(points);
                let colour = hex(*colour);
                writeln!(
                    svg,
                    "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
                     stroke-linejoin=\"round\"{dash}/>"
                )
            }
            Mark::Dot { at, dot, colour } => match dot.corners(*at) {
                Ok(corners) => {
                    writeln!(svg, "<polygon points=\"{}\" fill=\"{}\"/>", listed(&corners), hex(*colour))
                }
                Err(radius) => {
                    let (x, y) = at;
                    writeln!(svg, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius}\" fill=\"{}\"/>", hex(*colour))
                }
            },
            Mark::Text { at: (x, y), text, size, weight, anchor, colour } => {
                let weight = match weight {
                    Weight::Regular => "",
                    Weight::Medium => " font-weight=\"500\"",
                };
                let anchor = match anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                let (fill, text) = (hex(*colour), escaped(text));
                writeln!(
                    svg,
                    "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\"{weight}{anchor} fill=\"{fill}\">{text}</text>"
                )
            }
        };
    }
    svg.push_str("</svg>\n");
    svg
}

fn listed(points: &[(f32, f32)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect::<Vec<_>>().join(" ")
}

fn hex(Colour([red, green, blue]): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text as XML holds it; what XML cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_file() {
        assert_eq!(escaped("a<b> & \"c\"\u{1b}\u{ffff}"), "a&lt;b&gt; &amp; \"c\"");
    }
}
