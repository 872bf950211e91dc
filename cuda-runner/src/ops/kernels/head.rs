//! The classification head: masks, class scores and their loss.

use candle_core::{DType, Result, bail};
use wseg_core::pooling::Pooling;

use super::{Argument, Grid, Machine, arguments, expect, like, run};

/// What the head makes of a score map `[n, classes, pixels]`.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Images.
    pub n: usize,
    /// Classes, the background not among them.
    pub classes: usize,
    /// Pixels of a map.
    pub pixels: usize,
    /// Constants of the class scores.
    pub pooling: Pooling,
}

/// The results.
#[derive(Debug)]
pub struct Classified<M> {
    /// Softmax over background and classes, `[n, classes + 1, pixels]`.
    pub masks: M,
    /// Class scores, `[n, classes]`.
    pub scores: M,
    /// What the gradient needs: the sum of each mask, and of mask times score, `[n, classes, 2]` in `f64`.
    pub sums: M,
}

impl Head {
    /// Masks and class scores.
    ///
    /// # Errors
    /// If the size does not fit or is 0, and the machine's.
    pub fn forward<M: Machine>(&self, m: &M, x: &M::Memory) -> Result<Classified<M::Memory>> {
        let &Self { n, classes, pixels, pooling } = self;
        let Pooling { epsilon, p, lambda, background } = pooling;
        if n * classes * pixels == 0 {
            bail!("the classification head of an empty map: {n} images, {classes} classes, {pixels} pixels");
        }
        let dtype = M::dtype(x);
        expect::<M>("a score map", x, dtype, n * classes * pixels)?;
        let masks = m.make(dtype, n * (classes + 1) * pixels)?;
        let (scores, sums) = (m.make(dtype, n * classes)?, m.make(DType::F64, 2 * n * classes)?);
        let arguments = arguments![in x, out &masks, int n * pixels, int classes, int pixels, real background];
        // SAFETY: a thread does the channels of a pixel.
        unsafe { run(m, "head", "head_masks", dtype, Grid::over(n * pixels), arguments) }?;
        let arguments = arguments![
            in x, in &masks, out &scores, out &sums, int classes, int pixels, real epsilon, real p, real lambda
        ];
        // SAFETY: a block does a class of an image.
        unsafe { run(m, "head", "head_scores", dtype, Grid::each(n * classes)?, arguments) }?;
        Ok(Classified { masks, scores, sums })
    }

    /// The score map's gradient, from the results and the gradients of masks and of class scores, as far as there are.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn backward<M: Machine>(
        &self,
        m: &M,
        x: &M::Memory,
        [masks, sums]: [&M::Memory; 2],
        dmasks: Option<&M::Memory>,
        dscores: Option<&M::Memory>,
    ) -> Result<M::Memory> {
        let &Self { n, classes, pixels, .. } = self;
        let dtype = M::dtype(x);
        expect::<M>("a score map", x, dtype, n * classes * pixels)?;
        for masks in [Some(masks), dmasks].into_iter().flatten() {
            expect::<M>("masks", masks, dtype, n * (classes + 1) * pixels)?;
        }
        let factors = dscores.map(|dscores| self.factors(m, sums, dscores)).transpose()?;
        let dx = like(m, x)?;
        let (name, given) = match (dmasks, &factors) {
            (Some(dmasks), Some(factors)) => ("head_gradient", vec![Argument::In(dmasks), Argument::In(factors)]),
            (Some(dmasks), None) => ("head_gradient_of_masks", vec![Argument::In(dmasks)]),
            (None, Some(factors)) => ("head_gradient_of_scores", vec![Argument::In(factors)]),
            (None, None) => bail!("no gradient of masks and none of class scores"),
        };
        let first: &[_] = arguments![in x, in masks];
        let last: &[_] = arguments![out &dx, int n * pixels, int classes, int pixels];
        // SAFETY: a thread does the channels of a pixel.
        unsafe { run(m, "head", name, dtype, Grid::over(n * pixels), &[first, &given, last].concat()) }?;
        Ok(dx)
    }

    /// What each class's gradient is made of.
    fn factors<M: Machine>(&self, m: &M, sums: &M::Memory, dscores: &M::Memory) -> Result<M::Memory> {
        let &Self { n, classes, pixels, pooling: Pooling { epsilon, p, lambda, .. } } = self;
        let dtype = M::dtype(dscores);
        expect::<M>("sums of masks", sums, DType::F64, 2 * n * classes)?;
        expect::<M>("a gradient of class scores", dscores, dtype, n * classes)?;
        let factors = m.make(dtype, 2 * n * classes)?;
        let arguments = arguments![
            in sums, in dscores, out &factors, int n * classes, int pixels, real epsilon, real p, real lambda
        ];
        // SAFETY: a thread does a class of an image.
        unsafe { run(m, "head", "head_factors", dtype, Grid::rows(n * classes, 1)?, arguments) }?;
        Ok(factors)
    }
}

/// The multi-label soft-margin loss of class scores, one element.
///
/// # Errors
/// If there is none or the labels are not as many, and the machine's.
pub fn soft_margin<M: Machine>(m: &M, scores: &M::Memory, labels: &M::Memory) -> Result<M::Memory> {
    let (count, dtype) = (M::count(scores), M::dtype(scores));
    expect::<M>("image labels", labels, dtype, count.max(1))?;
    let loss = m.make(dtype, 1)?;
    let arguments = arguments![in scores, in labels, out &loss, int count];
    // SAFETY: the block reads `count` elements.
    unsafe { run(m, "head", "soft_margin", dtype, Grid::ONE, arguments) }?;
    Ok(loss)
}

/// The class scores' gradient from the loss's, one element.
///
/// # Errors
/// As [`soft_margin`].
pub fn soft_margin_gradient<M: Machine>(m: &M, [scores, labels, d]: [&M::Memory; 3]) -> Result<M::Memory> {
    let (count, dtype) = (M::count(scores), M::dtype(scores));
    expect::<M>("image labels", labels, dtype, count)?;
    expect::<M>("a loss's gradient", d, dtype, 1)?;
    let dscores = like(m, scores)?;
    let arguments = arguments![in scores, in labels, in d, out &dscores, int count];
    // SAFETY: all have `count` elements but the last, which has one.
    unsafe { run(m, "head", "soft_margin_gradient", dtype, Grid::over(count), arguments) }?;
    Ok(dscores)
}
