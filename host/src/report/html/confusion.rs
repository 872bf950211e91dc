//! The confusion matrix as a table whose cells are as dark as they are full.

use std::fmt::Write as _;

use super::{
    Judged,
    markup::{escaped, grouped, swatch},
};

/// Rows are true classes, columns predicted ones; a cell is the share of its row. Classes that are neither there nor
/// predicted are left out.
pub(super) fn matrix(judged: &Judged) -> String {
    let all = &judged.report.classes;
    let occurs = |index: &usize| all[*index].true_pixels + all[*index].predicted_pixels > 0;
    let drawn: Vec<usize> = (0..all.len()).filter(occurs).collect();
    let count = |truth: usize, prediction: usize| {
        judged.report.confusion.get(truth).and_then(|row| row.get(prediction)).copied().unwrap_or(0)
    };
    let mut rows = String::new();
    for &truth in &drawn {
        let total = all[truth].true_pixels;
        let mut cells = String::new();
        for &prediction in &drawn {
            let pixels = count(truth, prediction);
            // Writing to a string does not fail.
            let _ = match total {
                0 => write!(cells, "<td class=\"none\"></td>"),
                _ => {
                    let share = 100.0 * pixels as f64 / total as f64;
                    let shown = if share < 0.5 { String::new() } else { format!("{share:.0}") };
                    let kind = match (truth == prediction, share >= 55.0) {
                        (true, true) => "right full",
                        (true, false) => "right",
                        (false, true) => "wrong full",
                        (false, false) => "wrong",
                    };
                    write!(
                        cells,
                        "<td class=\"{kind}\" style=\"--share:{share:.1}%\" title=\"{} seen as {}: {share:.2} %, {} \
                         pixels\">{shown}</td>",
                        escaped(&all[truth].name),
                        escaped(&all[prediction].name),
                        grouped(pixels)
                    )
                }
            };
        }
        let name = escaped(&all[truth].name);
        let _ = writeln!(rows, "<tr><th scope=\"row\">{}{name}</th>{cells}</tr>", swatch(truth as u8));
    }
    let heading: String = drawn
        .iter()
        .map(|&class| format!("<th scope=\"col\"><span>{}</span></th>", escaped(&all[class].name)))
        .collect();
    format!(
        "<p class=\"about\">Rows are true classes, columns what their pixels were taken for, in percent of the row; \
         what is below half a percent is left blank.</p>\n<div class=\"wide\"><table class=\"confusion\">\n\
         <thead><tr><th></th>{heading}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>"
    )
}
