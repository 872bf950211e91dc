//! Average precision: a ranking of scores against what is positive.

use super::MetricError;
use crate::arena::Real;

/// Average precision of one class: the sum over distinct scores, from the highest, of `(R_n - R_{n-1}) P_n`, where
/// equal scores enter together. `None` if nothing is positive. `order` is scratch memory, one element a score.
///
/// # Errors
/// [`MetricError::Length`] if the three slices differ in length, [`MetricError::Score`] if a score is NaN.
///
/// # Reference
/// scikit-learn's `average_precision_score`.
pub fn average_precision<F: Real>(
    scores: &[F],
    positive: &[bool],
    order: &mut [usize],
) -> Result<Option<f64>, MetricError> {
    for given in [positive.len(), order.len()] {
        if given != scores.len() {
            return Err(MetricError::Length { expected: scores.len(), given });
        }
    }
    if let Some(index) = scores.iter().position(|score| score.to_f64().is_nan()) {
        return Err(MetricError::Score { index });
    }
    order.iter_mut().enumerate().for_each(|(index, place)| *place = index);
    order.sort_unstable_by(|&a, &b| scores[b].to_f64().total_cmp(&scores[a].to_f64()));
    let (mut retrieved, mut hits, mut area) = (0_u64, 0_u64, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let found = equal.iter().filter(|&&index| positive[index]).count() as u64;
        retrieved += equal.len() as u64;
        hits += found;
        area += found as f64 * (hits as f64 / retrieved as f64);
    }
    Ok((hits > 0).then(|| area / hits as f64))
}
