//! The colours of figures in pages that are light or dark.

use std::fmt::Write as _;

use super::{
    drawing::{Colour, FAINT, GRID, INK},
    figure::COLOURS,
    svg::hex,
};

/// The colours on dark paper, in the order of `COLOURS`: the same hues, lighter.
const DARK: [Colour; 7] = [
    Colour([92, 178, 236]),
    Colour([255, 146, 76]),
    Colour([52, 204, 162]),
    Colour([236, 162, 204]),
    Colour([255, 194, 84]),
    Colour([150, 210, 246]),
    Colour([236, 238, 242]),
];
const DARK_INK: Colour = Colour([232, 234, 238]);
const DARK_FAINT: Colour = Colour([164, 168, 178]);
const DARK_GRID: Colour = Colour([56, 60, 68]);

/// The name of the variable that holds a colour.
pub(super) fn variable(colour: Colour) -> String {
    hex(colour).replacen('#', "--ink-", 1)
}

/// Declarations of the variables that figures within a page use, in CSS: for light paper, and for dark.
#[must_use]
pub fn theme() -> [String; 2] {
    let pairs = || {
        let special = [(INK, DARK_INK), (FAINT, DARK_FAINT), (GRID, DARK_GRID)];
        COLOURS.into_iter().zip(DARK).chain(special)
    };
    let list = |dark: bool| {
        pairs().fold(String::new(), |mut css, (light, other)| {
            // Writing to a string does not fail.
            let _ = write!(css, "{}:{};", variable(light), hex(if dark { other } else { light }));
            css
        })
    };
    [list(false), list(true)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2).
    fn luminance(Colour(rgb): Colour) -> f64 {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2])
    }

    #[test]
    fn words_can_be_read_and_lines_be_seen_on_both_papers() {
        let contrast = |one: f64, other: f64| (one.max(other) + 0.05) / (one.min(other) + 0.05);
        let dark = luminance(Colour([22, 24, 29]));
        for (word, paper) in [(INK, 1.0), (FAINT, 1.0), (DARK_INK, dark), (DARK_FAINT, dark)] {
            assert!(contrast(luminance(word), paper) > 4.5, "{word:?}");
        }
        assert!(DARK.into_iter().all(|line| contrast(luminance(line), dark) > 3.0));
        let [light, dark] = theme();
        assert!(light.matches("--ink-").count() == 10 && dark.matches("--ink-").count() == 10);
        assert!(light.contains("--ink-26282e:#26282e;") && dark.contains("--ink-26282e:#e8eaee;"));
    }
}
