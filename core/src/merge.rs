//! Merging the masks of several views (scales, mirror images) of one photo.

use crate::{Corners, Tensor, pseudo::drop_absent};

/// Brings the masks of one view back to the photo: resized, and mirrored if the view was.
///
/// # Shapes
/// masks `[n, c + 1, h', w']` -> `[n, c + 1, h, w]`
///
/// # Errors
/// The backend's.
pub fn restore_view<T: Tensor>(masks: &T, h: usize, w: usize, mirrored: bool) -> Result<T, T::Error> {
    let masks = masks.resize(h, w, Corners::HalfPixel)?;
    if mirrored { masks.mirror() } else { Ok(masks) }
}

/// Ends a merge: the mean of `views` summed views, absent classes zeroed, the background to the power
/// `background_power`, which makes the objects' masks a little larger.
///
/// # Shapes
/// sum of restored views `[n, c + 1, h, w]`, labels `[n, c, 1, 1]` in {0, 1} -> `[n, c + 1, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes do not match.
///
/// # Reference
/// METHOD.md, "Inference".
pub fn finish_merge<T: Tensor>(sum: &T, views: usize, labels: &T, background_power: f64) -> Result<T, T::Error> {
    let mean = drop_absent(&sum.affine(1.0 / views.max(1) as f64, 0.0)?, labels)?;
    let background = mean.narrow_channels(0, 1)?.powf(background_power)?;
    background.cat_channels(&mean.narrow_channels(1, mean.shape().c.saturating_sub(1))?)
}
