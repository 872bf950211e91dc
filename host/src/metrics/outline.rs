//! One image's contours: the boundary F-score of its classes, and distances to its true borders.

use std::ops::Range;

use wseg_core::metric::{ContourPair, MetricError, Parabola, contours, squared_distances};

use crate::{palette::VOID, picture::LabelMap};

/// A pair of masks with their contours, and memory to measure distances in.
pub(super) struct Outline<'m> {
    truth: &'m LabelMap,
    true_contours: Vec<u8>,
    predicted_contours: Vec<u8>,
    distances: Vec<u32>,
    envelope: Vec<Parabola>,
}

impl<'m> Outline<'m> {
    /// Finds the contours of two masks of one size.
    pub(super) fn new(prediction: &LabelMap, truth: &'m LabelMap) -> Result<Self, MetricError> {
        let outlined = |mask: &LabelMap| {
            let mut marks = vec![VOID; mask.labels.len()];
            contours(&mask.labels, mask.width, VOID, &mut marks).map(|()| marks)
        };
        Ok(Self {
            truth,
            true_contours: outlined(truth)?,
            predicted_contours: outlined(prediction)?,
            distances: vec![0; truth.labels.len()],
            envelope: vec![Parabola::default(); truth.width],
        })
    }

    /// The boundary F-score of every class with a contour, with `tolerance` as a share of the image's diagonal.
    pub(super) fn f_scores(&mut self, tolerance: f64) -> Result<Vec<(u8, f64)>, MetricError> {
        let (width, height) = (self.truth.width as f64, self.truth.height as f64);
        // Squared distances are whole numbers; the largest picture's diagonal squared is below 2^32.
        let limit = (tolerance * tolerance * (width * width + height * height)).floor() as u32;
        let pair = ContourPair {
            width: self.truth.width,
            truth: &self.truth.labels,
            ignore: VOID,
            true_contours: &self.true_contours,
            predicted_contours: &self.predicted_contours,
        };
        let mut scores = Vec::new();
        for (class, rows) in rows_of_contours([&self.true_contours, &self.predicted_contours], self.truth.width) {
            let found = pair.matched(class, rows, limit, &mut self.distances, &mut self.envelope)?;
            scores.extend(found.f_score().map(|score| (class, score)));
        }
        Ok(scores)
    }

    /// Squared distances to the truth's contours, exact below the square of `width` pixels.
    pub(super) fn near_true_borders(&mut self, width: u32) -> Result<&[u32], MetricError> {
        let contour = &self.true_contours;
        let limit = (width * width).saturating_sub(1);
        let border = |index: usize| contour[index] != VOID;
        squared_distances(border, self.truth.width, limit, &mut self.distances, &mut self.envelope)?;
        Ok(&self.distances)
    }
}

/// The classes that have contours, in order, with the rows that these lie in.
fn rows_of_contours(maps: [&[u8]; 2], width: usize) -> Vec<(u8, Range<usize>)> {
    let mut spans: [Option<Range<usize>>; 256] = [const { None }; 256];
    for map in maps {
        for (y, row) in map.chunks_exact(width).enumerate() {
            let mut present = [false; 256];
            row.iter().for_each(|label| present[usize::from(*label)] = true);
            for (span, _) in spans.iter_mut().zip(present).filter(|(_, present)| *present) {
                let (first, end) = span.as_ref().map_or((y, y + 1), |span| (span.start.min(y), span.end.max(y + 1)));
                *span = Some(first..end);
            }
        }
    }
    (0..VOID).zip(spans).filter_map(|(class, span)| span.map(|span| (class, span))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_span_the_contours_of_both_masks() {
        let (first, second) = ([1, VOID, VOID, VOID, 2, 1], [VOID, VOID, 0, VOID, VOID, VOID]);
        assert_eq!(rows_of_contours([&first, &second], 2), [(0, 1..2), (1, 0..3), (2, 2..3)]);
    }
}
