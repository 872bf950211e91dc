//! The figure: a legend, and a panel for each subject of which something was logged.

use super::{
    axis::Axis,
    drawing::{Anchor, Colour, Dot, Drawing, FAINT, GRID, INK, Mark, Point, Weight},
    font,
    series::{Best, Curves, Line, SUBJECTS, Stage, Subject, best_of},
};

/// Colours that people who are colour-blind tell apart (Okabe and Ito), those that are too pale on white left out.
pub(super) const COLOURS: [Colour; 7] = [
    Colour([0, 114, 178]),
    Colour([213, 94, 0]),
    Colour([0, 158, 115]),
    Colour([204, 121, 167]),
    Colour([230, 159, 0]),
    Colour([86, 180, 233]),
    Colour([0, 0, 0]),
];
/// Where colours begin anew, the dots change.
const DOTS: [Dot; 3] = [Dot::Circle, Dot::Square, Dot::Triangle];
/// So many runs can be told apart.
pub const MAX_RUNS: usize = COLOURS.len() * DOTS.len();

const MARGIN: f32 = 24.0;
/// Width and height of the part of a panel in which curves are.
const INSIDE: (f32, f32) = (300.0, 180.0);
/// Room for the numbers beside a panel.
const LEFT: f32 = 52.0;
/// Room for a panel's title.
const TOP: f32 = 30.0;
/// Room for the numbers below a panel.
const BOTTOM: f32 = 40.0;
/// Between two panels.
const GAP: f32 = 30.0;
const LEGEND_LINE: f32 = 22.0;
/// Length of a line in the legend.
const SAMPLE: f32 = 26.0;
/// Widest name in the legend.
const NAME: f32 = 260.0;
const NUMBERS: f32 = 11.0;
const WORDS: f32 = 12.5;
const TITLE: f32 = 14.0;
/// A line has at most about so many dots.
const MOST_DOTS: usize = 24;

/// How a line is drawn.
#[derive(Clone, Copy)]
struct Style {
    colour: Colour,
    dashed: bool,
    dot: Option<Dot>,
}

/// The curves of runs in one figure; `None` if there is nothing to draw. Runs beyond [`MAX_RUNS`] look like earlier ones.
#[must_use]
pub fn figure(runs: &[Curves]) -> Option<Drawing> {
    let panels: Vec<(&Subject, Vec<Line>)> =
        SUBJECTS.iter().map(|subject| (subject, subject.lines(runs))).filter(|(_, lines)| !lines.is_empty()).collect();
    let everything = || panels.iter().flat_map(|(_, lines)| lines);
    let (first, last) = bounds(everything().flat_map(|line| &line.points).map(|point| point.0))?;
    let epochs = Axis::whole(first, last, 6.0);
    let columns = match panels.len() {
        many if many > 4 => 3,
        few => few.min(2),
    };
    let rows = panels.len().div_ceil(columns);
    let panel_width = LEFT + INSIDE.0;
    let width = 2.0 * MARGIN + columns as f32 * (panel_width + GAP) - GAP;

    let mut marks = Vec::new();
    let top = legend(&mut marks, runs, everything(), width);
    for (index, (subject, lines)) in panels.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let left = MARGIN + column as f32 * (panel_width + GAP) + LEFT;
        let top = top + row as f32 * (TOP + INSIDE.1 + BOTTOM) + TOP;
        panel(&mut marks, (left, top), subject, lines, &epochs, runs.len());
    }
    let height = top + rows as f32 * (TOP + INSIDE.1 + BOTTOM) + MARGIN - 8.0;
    Some(Drawing { width: width.round() as u32, height: height.round() as u32, marks })
}

/// The lowest and the highest of some numbers.
fn bounds(mut numbers: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let first = numbers.next()?;
    Some(numbers.fold((first, first), |(low, high), number| (low.min(number), high.max(number))))
}

/// One run's lines differ by colour and dashes, those of several by dashes alone: there, a colour is a run.
fn style(line: &Line, runs: usize) -> Style {
    let dashed = line.stage == Stage::Validation;
    if runs == 1 {
        return Style { colour: COLOURS[usize::from(dashed)], dashed, dot: dashed.then_some(Dot::Circle) };
    }
    let dot = DOTS[line.run / COLOURS.len() % DOTS.len()];
    // Beyond the first colours, dots are needed to know the run by.
    let dotted = dashed || line.run >= COLOURS.len();
    Style { colour: COLOURS[line.run % COLOURS.len()], dashed, dot: dotted.then_some(dot) }
}

/// Draws the legend, and returns where it ends.
fn legend<'l>(marks: &mut Vec<Mark>, runs: &[Curves], lines: impl Iterator<Item = &'l Line>, width: f32) -> f32 {
    let stages: Vec<Stage> = lines.map(|line| line.stage).collect();
    let mut entries: Vec<(Style, String)> = Vec::new();
    let mut x = MARGIN;
    let mut y = MARGIN + TITLE;
    if let [run] = runs {
        let name = font::fitted(&run.name, Weight::Medium, TITLE + 2.0, NAME);
        x += font::width(&name, Weight::Medium, TITLE + 2.0) + 2.0 * GAP;
        let (at, weight, anchor) = ((MARGIN, y), Weight::Medium, Anchor::Start);
        marks.push(Mark::Text { at, text: name, size: TITLE + 2.0, weight, anchor, colour: INK });
    } else {
        for (index, run) in runs.iter().enumerate() {
            let line = Line { run: index, stage: Stage::Training, points: Vec::new() };
            entries.push((style(&line, runs.len()), font::fitted(&run.name, Weight::Regular, WORDS, NAME)));
        }
    }
    for (stage, name) in [(Stage::Training, "training"), (Stage::Validation, "validation")] {
        if stages.contains(&stage) {
            let mut style = style(&Line { run: 0, stage, points: Vec::new() }, runs.len());
            if runs.len() > 1 {
                // Of any run: a colour would be one run's.
                style = Style { colour: FAINT, ..style };
            }
            entries.push((style, name.to_owned()));
        }
    }
    let start = x;
    for (style, name) in entries {
        let wide = SAMPLE + 8.0 + font::width(&name, Weight::Regular, WORDS);
        if x > start && x + wide > width - MARGIN {
            (x, y) = (MARGIN, y + LEGEND_LINE);
        }
        curve(marks, &[(x, y - 4.5), (x + SAMPLE, y - 4.5)], Style { dot: None, ..style });
        if let Some(dot) = style.dot {
            marks.push(Mark::Dot { at: (x + SAMPLE / 2.0, y - 4.5), dot, colour: style.colour });
        }
        words(marks, (x + SAMPLE + 8.0, y), &name, WORDS, Anchor::Start, INK);
        x += wide + GAP;
    }
    y + 18.0
}

/// Draws a panel whose curves lie within a box with its top left corner at a point.
fn panel(marks: &mut Vec<Mark>, (left, top): Point, subject: &Subject, lines: &[Line], epochs: &Axis, runs: usize) {
    let Some((low, high)) = bounds(lines.iter().flat_map(|line| &line.points).map(|point| point.1)) else { return };
    let values = Axis::around(low, high, 5.0);
    let (wide, tall) = INSIDE;
    let (right, bottom) = (left + wide, top + tall);
    let across = |epoch: f64| left + wide * epochs.share(epoch) as f32;
    let down = |value: f64| bottom - tall * values.share(value) as f32;
    let rule = |marks: &mut Vec<Mark>, points: [Point; 2], colour| {
        marks.push(Mark::Line { points: points.to_vec(), width: 1.0, dashed: false, colour });
    };

    for (value, number) in values.ticks() {
        let y = down(value);
        rule(marks, [(left, y), (right, y)], GRID);
        words(marks, (left - 8.0, y + 4.0), &number, NUMBERS, Anchor::End, FAINT);
    }
    rule(marks, [(left, bottom), (right, bottom)], FAINT);
    for (epoch, number) in epochs.ticks() {
        let x = across(epoch);
        rule(marks, [(x, bottom), (x, bottom + 4.0)], FAINT);
        words(marks, (x, bottom + 17.0), &number, NUMBERS, Anchor::Middle, FAINT);
    }
    words(marks, (left + wide / 2.0, bottom + 31.0), "epoch", NUMBERS, Anchor::Middle, FAINT);
    let (text, anchor) = (subject.title.to_owned(), Anchor::Start);
    marks.push(Mark::Text { at: (left, top - 12.0), text, size: TITLE, weight: Weight::Medium, anchor, colour: INK });
    if let (1, Some(remark)) = (runs, remark(subject, lines)) {
        words(marks, (right, top - 12.0), &remark, NUMBERS, Anchor::End, FAINT);
    }

    for line in lines {
        let style = style(line, runs);
        let points: Vec<Point> = line.points.iter().map(|(epoch, value)| (across(*epoch), down(*value))).collect();
        curve(marks, &points, style);
        // A single point is no line: it is seen by its dot.
        let dot = style.dot.or((points.len() == 1).then_some(Dot::Circle));
        if let Some(dot) = dot {
            let every = points.len().div_ceil(MOST_DOTS);
            let dots = points.iter().step_by(every);
            marks.extend(dots.map(|at| Mark::Dot { at: *at, dot, colour: style.colour }));
        }
    }
}

/// The best validation number and its epoch.
fn remark(subject: &Subject, lines: &[Line]) -> Option<String> {
    let kind = subject.best?;
    let line = lines.iter().find(|line| line.stage == Stage::Validation)?;
    let (epoch, value) = best_of(&line.points, kind)?;
    Some(match kind {
        Best::Lowest => format!("lowest {value:.4}, epoch {epoch}"),
        Best::Highest => format!("best {value:.1}, epoch {epoch}"),
    })
}

fn curve(marks: &mut Vec<Mark>, points: &[Point], style: Style) {
    if points.len() > 1 {
        let Style { colour, dashed, .. } = style;
        marks.push(Mark::Line { points: points.to_vec(), width: 1.8, dashed, colour });
    }
}

pub(super) fn words(marks: &mut Vec<Mark>, at: Point, text: &str, size: f32, anchor: Anchor, colour: Colour) {
    marks.push(Mark::Text { at, text: text.to_owned(), size, weight: Weight::Regular, anchor, colour });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::EpochLog;

    fn run(name: &str, epochs: usize) -> Curves {
        let log = |epoch: usize| EpochLog {
            epoch,
            rate: 0.1,
            loss_classification: Some(1.0 / epoch as f64),
            photos_per_second: 50.0,
            validation_loss: Some(1.5 / epoch as f64),
            validation_miou: epoch.is_multiple_of(2).then_some(40.0 + epoch as f64),
            ..EpochLog::default()
        };
        Curves { name: name.to_owned(), epochs: (1..=epochs).map(log).collect() }
    }

    fn texts(drawing: &Drawing) -> Vec<&str> {
        let text = |mark: &'_ Mark| matches!(mark, Mark::Text { .. });
        drawing
            .marks
            .iter()
            .filter(|mark| text(mark))
            .map(|mark| if let Mark::Text { text, .. } = mark { text.as_str() } else { "" })
            .collect()
    }

    #[test]
    fn a_figure_names_what_it_shows_and_stays_on_its_paper() {
        for runs in
            [vec![run("one", 20)], vec![run("a", 20), run("a name that goes on and on & <on>".repeat(9).as_str(), 3)]]
        {
            let drawing = figure(&runs).unwrap();
            let texts = texts(&drawing);
            for title in ["Classification loss", "Mean IoU (%)", "Learning rate", "Photos per second", "validation"] {
                assert!(texts.contains(&title), "{title}: {texts:?}");
            }
            assert!(!texts.contains(&"Segmentation loss"), "nothing was logged of it");
            assert!(texts.contains(&runs[0].name.as_str()));
            assert_eq!(texts.contains(&"best 60.0, epoch 20"), runs.len() == 1);
            let (width, height) = (drawing.width as f32, drawing.height as f32);
            let inside = |(x, y): Point| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
            for mark in &drawing.marks {
                assert!(
                    match mark {
                        Mark::Line { points, .. } => points.iter().all(|point| inside(*point)),
                        Mark::Dot { at, .. } => inside(*at),
                        Mark::Text { at, text, size, weight, anchor, .. } => {
                            let wide = font::width(text, *weight, *size);
                            let left = match anchor {
                                Anchor::Start => at.0,
                                Anchor::Middle => at.0 - wide / 2.0,
                                Anchor::End => at.0 - wide,
                            };
                            inside((left, at.1 - size)) && inside((left + wide, at.1))
                        }
                        Mark::Picture { .. } => false,
                    },
                    "{mark:?}"
                );
            }
        }
    }

    #[test]
    fn runs_are_told_apart_by_colour_and_dot() {
        let mut looks: Vec<(Colour, Option<Dot>)> = (0..MAX_RUNS)
            .map(|run| style(&Line { run, stage: Stage::Validation, points: Vec::new() }, MAX_RUNS))
            .map(|style| (style.colour, style.dot))
            .collect();
        looks.sort_by_key(|(colour, dot)| (colour.0, dot.map(|dot| dot as u8)));
        looks.dedup();
        assert_eq!(looks.len(), MAX_RUNS);
    }

    #[test]
    fn a_run_of_one_epoch_is_dots_and_no_run_is_nothing() {
        let drawing = figure(&[run("short", 1)]).unwrap();
        assert!(drawing.marks.iter().any(|mark| matches!(mark, Mark::Dot { .. })));
        assert!(figure(&[run("empty", 0)]).is_none() && figure(&[]).is_none());
    }

    #[test]
    fn the_same_log_gives_the_same_files() {
        let runs = [run("one", 5), run("two", 5)];
        let [one, other] = [figure(&runs).unwrap(), figure(&runs).unwrap()];
        assert_eq!(one.svg().unwrap(), other.svg().unwrap());
        assert!(one.png(1.0).unwrap() == other.png(1.0).unwrap());
    }
}
