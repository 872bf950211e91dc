//! Tables of text with aligned columns.

use crate::console::Paint;

/// A table: a heading, rows, and groups of rows parted by a rule. The first column is words, the others are numbers.
#[derive(Debug, Clone, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
enum Row {
    Cells(Vec<String>),
    Rule,
}

impl Table {
    /// A table with the names of its columns.
    pub fn new<S: Into<String>>(heading: impl IntoIterator<Item = S>) -> Self {
        Self { heading: heading.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, cells beyond the heading are left out.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.heading.len(), String::new());
        self.rows.push(Row::Cells(cells));
        self
    }

    /// Adds a rule: what follows is of another kind, such as means.
    pub fn rule(&mut self) -> &mut Self {
        self.rows.push(Row::Rule);
        self
    }

    /// The table for a terminal: columns aligned, no newline at the end.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        let widths = self.widths();
        let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let mut lines = vec![paint.strong(aligned(&self.heading, &widths))];
        lines.push(paint.faint("-".repeat(total)));
        for row in &self.rows {
            lines.push(match row {
                Row::Cells(cells) => aligned(cells, &widths),
                Row::Rule => paint.faint("-".repeat(total)),
            });
        }
        lines.join("\n")
    }

    /// The table in Markdown; rules are left out, no newline at the end.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | ").replace('\n', " "));
        let columns = self.heading.len();
        let mut lines = vec![line(&self.heading)];
        lines.push(format!("|---|{}", "---:|".repeat(columns.saturating_sub(1))));
        lines.extend(self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(line(cells)),
            Row::Rule => None,
        }));
        lines.join("\n")
    }

    /// The table as CSV; rules are left out, no newline at the end.
    #[must_use]
    pub fn csv(&self) -> String {
        let quoted = |cell: &String| {
            let plain = !cell.contains([',', '"', '\n', '\r']);
            if plain { cell.clone() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
        };
        let line = |cells: &[String]| cells.iter().map(quoted).collect::<Vec<_>>().join(",");
        let rows = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(line(cells)),
            Row::Rule => None,
        });
        std::iter::once(line(&self.heading)).chain(rows).collect::<Vec<_>>().join("\n")
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            if let Row::Cells(cells) = row {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = (*width).max(cell.chars().count());
                }
            }
        }
        widths
    }
}

/// The first cell to the left, the others to the right.
fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if index == 0 {
            line.push_str(&format!("{cell:<width$}"));
        } else {
            line.push_str(&format!("  {cell:>width$}"));
        }
    }
    line.trim_end().to_owned()
}

/// A percentage with one digit, or a dash where there is none.
#[must_use]
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["class", "IoU %"]);
        table.row(["cat", "7.0"]).row(["sheep dog", "100.0"]).rule().row(["mean"]);
        table
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_blank_ends() {
        let expected = "class      IoU %\n----------------\ncat          7.0\nsheep dog  100.0\n----------------\nmean";
        assert_eq!(table().text(Paint::PLAIN), expected);
    }

    #[test]
    fn markdown_has_the_same_cells() {
        let expected = "| class | IoU % |\n|---|---:|\n| cat | 7.0 |\n| sheep dog | 100.0 |\n| mean |  |";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn csv_quotes_what_holds_a_comma() {
        let mut table = Table::new(["a", "b"]);
        table.row(["x, \"y\"", "1"]).rule().row(["z"]);
        assert_eq!(table.csv(), "a,b\n\"x, \"\"y\"\"\",1\nz,");
    }

    #[test]
    fn a_measure_of_nothing_is_a_dash() {
        assert_eq!(percent(None), "-");
        assert_eq!(percent(Some(66.666)), "66.7");
    }
}
