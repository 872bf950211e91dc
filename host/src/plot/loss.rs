//! Figure 9 of the supplement: the classification loss of one class as its score grows.

use super::{
    axis::Axis,
    drawing::{Anchor, Colour, Drawing, FAINT, GRID, INK, Mark, Point, Weight},
    figure::{COLOURS, words},
};

/// The loss at one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// The score `y_c`.
    pub score: f64,
    /// The loss if the photo shows the class.
    pub positive: f64,
    /// The loss if it does not.
    pub negative: f64,
}

/// Blue, as in the supplement.
const POSITIVE: Colour = COLOURS[0];
/// Red.
const NEGATIVE: Colour = COLOURS[1];
const LEFT: f32 = 64.0;
const TOP: f32 = 24.0;
const INSIDE: (f32, f32) = (460.0, 260.0);
const NUMBERS: f32 = 12.0;
const WORDS: f32 = 14.0;

/// The two curves over their scores, in rising order; `None` if there are not two points.
#[must_use]
pub fn loss_figure(points: &[LossPoint]) -> Option<Drawing> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 || last.score <= first.score {
        return None;
    }
    let highest = points.iter().fold(0.0_f64, |high, point| high.max(point.positive).max(point.negative));
    let (scores, losses) = (Axis::whole(first.score, last.score, 6.0), Axis::around(0.0, highest, 6.0));
    let (right, bottom) = (LEFT + INSIDE.0, TOP + INSIDE.1);
    let across = |score: f64| LEFT + INSIDE.0 * scores.share(score) as f32;
    let down = |loss: f64| bottom - INSIDE.1 * losses.share(loss) as f32;
    let mut marks = Vec::new();
    let rule = |marks: &mut Vec<Mark>, points: [Point; 2], dashed, colour| {
        marks.push(Mark::Line { points: points.to_vec(), width: 1.0, dashed, colour });
    };
    for (loss, number) in losses.ticks() {
        rule(&mut marks, [(LEFT, down(loss)), (right, down(loss))], false, GRID);
        words(&mut marks, (LEFT - 10.0, down(loss) + 4.0), &number, NUMBERS, Anchor::End, FAINT);
    }
    for (score, number) in scores.ticks() {
        let x = across(score);
        rule(&mut marks, [(x, bottom), (x, bottom + 4.0)], false, FAINT);
        words(&mut marks, (x, bottom + 19.0), &number, NUMBERS, Anchor::Middle, FAINT);
    }
    rule(&mut marks, [(LEFT, bottom), (right, bottom)], false, FAINT);
    // The score that tells present from absent.
    rule(&mut marks, [(across(0.0), TOP), (across(0.0), bottom)], true, FAINT);
    for (of, colour) in [(LossPoint::positive as fn(&LossPoint) -> f64, POSITIVE), (LossPoint::negative, NEGATIVE)] {
        let points = points.iter().map(|point| (across(point.score), down(of(point)))).collect();
        marks.push(Mark::Line { points, width: 2.4, dashed: false, colour });
    }
    let label = |marks: &mut Vec<Mark>, at, text: &str, anchor, colour| {
        let (text, size, weight) = (text.to_owned(), WORDS, Weight::Medium);
        marks.push(Mark::Text { at, text, size, weight, anchor, colour });
    };
    let beside = TOP + 0.1 * INSIDE.1;
    label(&mut marks, (across(0.62 * first.score), beside), "positive classes", Anchor::Start, POSITIVE);
    label(&mut marks, (across(0.62 * last.score), beside), "negative classes", Anchor::End, NEGATIVE);
    words(&mut marks, (LEFT + INSIDE.0 / 2.0, bottom + 42.0), "class score", WORDS, Anchor::Middle, INK);
    words(&mut marks, (LEFT - 36.0, TOP - 8.0), "loss", WORDS, Anchor::Start, INK);
    Some(Drawing { width: (right + 28.0) as u32, height: (bottom + 60.0) as u32, marks })
}

impl LossPoint {
    fn positive(&self) -> f64 {
        self.positive
    }

    fn negative(&self) -> f64 {
        self.negative
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_curves_that_mirror_each_other() {
        let point = |step: i32| {
            let score = f64::from(step) / 10.0;
            LossPoint { score, positive: (-score).exp().ln_1p(), negative: score.exp().ln_1p() }
        };
        let drawing = loss_figure(&(-50..=50).map(point).collect::<Vec<_>>()).unwrap();
        let curves: Vec<&Vec<Point>> = drawing
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Line { points, .. } if points.len() > 2 => Some(points),
                _ => None,
            })
            .collect();
        assert_eq!(curves.len(), 2);
        let (left, right) = (LEFT, LEFT + INSIDE.0);
        assert!((curves[0][0].0 - left).abs() < 0.01 && (curves[0][100].0 - right).abs() < 0.01);
        // Down in a picture is up in numbers: the positive curve falls, the negative one mirrors it.
        assert!(curves[0].windows(2).all(|pair| pair[1].1 >= pair[0].1));
        for (one, other) in curves[0].iter().zip(curves[1].iter().rev()) {
            assert!((one.1 - other.1).abs() < 0.01);
        }
        assert!(loss_figure(&[]).is_none() && loss_figure(&[point(0)]).is_none());
    }
}
