//! Contours of classes, and how well predicted ones agree with true ones.

use core::ops::Range;

use super::{FAR, MetricError, Parabola, check_rows, ratio, squared_distances};

/// Marks the contours in a label map of rows of `width` pixels: `out` gets the label of every pixel that has another
/// label above, below, to the left or to the right, and `none` elsewhere. The picture's edge is no contour. Pixels of
/// label `none` (ignored ones) are on no contour, but those beside them are.
///
/// # Errors
/// [`MetricError::Length`] if `labels` is not of whole rows, or `out` of another length.
pub fn contours<L: Copy + PartialEq>(labels: &[L], width: usize, none: L, out: &mut [L]) -> Result<(), MetricError> {
    check_rows(labels.len(), width)?;
    if out.len() != labels.len() {
        return Err(MetricError::Length { expected: labels.len(), given: out.len() });
    }
    if labels.is_empty() {
        return Ok(());
    }
    out.fill(none);
    let height = labels.len() / width;
    for y in 0..height {
        let row = &labels[y * width..][..width];
        let marks = &mut out[y * width..][..width];
        for x in 1..width {
            if row[x - 1] != row[x] {
                (marks[x - 1], marks[x]) = (row[x - 1], row[x]);
            }
        }
        let neighbours = [y.checked_sub(1), (y + 1 < height).then_some(y + 1)];
        for beside in neighbours.into_iter().flatten() {
            for ((mark, &label), &other) in marks.iter_mut().zip(row).zip(&labels[beside * width..][..width]) {
                if label != other {
                    *mark = label;
                }
            }
        }
    }
    Ok(())
}

/// How many contour pixels of one class in one image lie close enough to the other mask's contour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContourMatch {
    /// Pixels of the true contour.
    pub true_pixels: u64,
    /// Those with a predicted one within reach.
    pub true_hits: u64,
    /// Pixels of the predicted contour that are judged.
    pub predicted_pixels: u64,
    /// Those with a true one within reach.
    pub predicted_hits: u64,
}

impl ContourMatch {
    /// Share of the predicted contour that lies close to the true one; `None` if there is no predicted contour.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.predicted_hits, self.predicted_pixels)
    }

    /// Share of the true contour that lies close to the predicted one; `None` if there is no true contour.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_hits, self.true_pixels)
    }

    /// The boundary F-score: harmonic mean of precision and recall. 0 if one of the masks has no contour of the class,
    /// `None` if neither has.
    #[must_use]
    pub fn f_score(&self) -> Option<f64> {
        match (self.precision(), self.recall()) {
            (None, None) => None,
            (Some(precision), Some(recall)) if precision + recall > 0.0 => {
                Some(2.0 * precision * recall / (precision + recall))
            }
            _ => Some(0.0),
        }
    }
}

/// The contours of a true and a predicted mask, rows of `width` pixels, all of one length.
#[derive(Clone, Copy, Debug)]
pub struct ContourPair<'a, L> {
    /// Pixels in a row.
    pub width: usize,
    /// The true labels.
    pub truth: &'a [L],
    /// The label of true pixels that are not judged.
    pub ignore: L,
    /// [`contours`] of the truth.
    pub true_contours: &'a [L],
    /// [`contours`] of the prediction.
    pub predicted_contours: &'a [L],
}

impl<L: Copy + PartialEq> ContourPair<'_, L> {
    /// Matches the contours of `class`. A contour pixel is a hit if one of the other mask's is within the squared
    /// distance `limit`. On pixels whose truth is ignored a predicted contour can be right, but not wrong: the truth does
    /// not say where, within its border strips, the border is. Only `rows` are looked at, which have to hold all of the
    /// class's contours. `distances` is scratch memory, an element a pixel; `envelope` is too, an element a column.
    ///
    /// # Errors
    /// [`MetricError::Length`] if the slices do not belong to one picture.
    ///
    /// # Reference
    /// Csurka, Larlus & Perronnin, *What is a good evaluation measure for semantic segmentation?*, BMVC 2013. A pixel at
    /// exactly the tolerance is a hit here, so that a tolerance of 0 asks for the same contour.
    pub fn matched(
        &self,
        class: L,
        rows: Range<usize>,
        limit: u32,
        distances: &mut [u32],
        envelope: &mut [Parabola],
    ) -> Result<ContourMatch, MetricError> {
        let (width, expected) = (self.width, self.truth.len());
        check_rows(expected, width)?;
        for given in [self.true_contours.len(), self.predicted_contours.len(), distances.len()] {
            if given != expected {
                return Err(MetricError::Length { expected, given });
            }
        }
        let end = rows.end.saturating_mul(width).min(expected);
        let pixels = rows.start.saturating_mul(width).min(end)..end;
        let distances = &mut distances[pixels.clone()];
        let (truth, ours) = (&self.true_contours[pixels.clone()], &self.predicted_contours[pixels.clone()]);
        let mut found = ContourMatch::default();
        squared_distances(|index| truth[index] == class, width, limit, distances, envelope)?;
        for ((&label, &distance), &judged) in ours.iter().zip(&*distances).zip(&self.truth[pixels]) {
            if label == class {
                let hit = distance != FAR;
                found.predicted_hits += u64::from(hit);
                found.predicted_pixels += u64::from(hit || judged != self.ignore);
            }
        }
        squared_distances(|index| ours[index] == class, width, limit, distances, envelope)?;
        for (&label, &distance) in truth.iter().zip(&*distances) {
            if label == class {
                found.true_hits += u64::from(distance != FAR);
                found.true_pixels += 1;
            }
        }
        Ok(found)
    }
}
