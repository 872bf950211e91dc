//! Batch norms, with given and with the batch's own statistics, and what follows a convolution.

use candle_core::{DType, Result, Shape, bail};

use super::{Grid, Machine, THREADS, arguments, arithmetic, expect, int, like, run};

/// Elements that a thread does, as in `norm.cu`.
const PER_THREAD: usize = 4;

/// Maps `[n, channels, pixels]`, whose channels have scales, shifts and statistics of the type that sums are made in.
#[derive(Clone, Copy, Debug)]
pub struct Maps {
    /// Images.
    pub n: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a map.
    pub pixels: usize,
    /// Whether what is below 0 is cut, and in a gradient what belongs to it.
    pub relu: bool,
}

/// What [`Maps::batch_norm`] gives.
#[derive(Debug)]
pub struct BatchNorm<M> {
    /// The normalised maps.
    pub output: M,
    /// Mean of each channel.
    pub mean: M,
    /// Biased variance of each channel.
    pub variance: M,
}

impl Maps {
    /// Maps of a shape `[n, channels, h, w]`.
    ///
    /// # Errors
    /// If the rank is another.
    pub fn of(shape: &Shape, relu: bool) -> Result<Self> {
        let (n, channels, h, w) = shape.dims4()?;
        Ok(Self { n, channels, pixels: h * w, relu })
    }

    fn planes(&self) -> usize {
        self.n * self.channels
    }

    /// Fails unless all are maps of this shape and one type, which it returns.
    fn expect<M: Machine>(&self, maps: &[&M::Memory]) -> Result<DType> {
        let Some(first) = maps.first() else { bail!("no maps") };
        let dtype = M::dtype(first);
        for map in maps {
            expect::<M>("a map", map, dtype, self.planes() * self.pixels)?;
        }
        Ok(dtype)
    }

    /// Fails unless all have an element for each channel.
    fn expect_vectors<M: Machine>(&self, dtype: DType, vectors: &[&M::Memory]) -> Result<()> {
        vectors.iter().try_for_each(|vector| expect::<M>("a scale or shift", vector, arithmetic(dtype), self.channels))
    }

    /// Blocks plane by plane.
    fn tiles(&self) -> Result<Grid> {
        let tiles = self.planes() * self.pixels.div_ceil(THREADS as usize * PER_THREAD);
        Ok(Grid { blocks: [int(tiles)? as u32, 1, 1], threads: THREADS })
    }

    fn vector<M: Machine>(&self, m: &M, dtype: DType) -> Result<M::Memory> {
        m.make(arithmetic(dtype), self.channels)
    }

    /// `x * scale + shift`, plus the residual if there is one, cut.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn scale_shift<M: Machine>(
        &self,
        m: &M,
        x: &M::Memory,
        [scale, shift]: [&M::Memory; 2],
        residual: Option<&M::Memory>,
    ) -> Result<M::Memory> {
        let &Self { channels, pixels, relu, .. } = self;
        let dtype = self.expect::<M>(&[x, residual.unwrap_or(x)])?;
        self.expect_vectors::<M>(dtype, &[scale, shift])?;
        let y = like(m, x)?;
        let first: &[_] = arguments![in x, in scale, in shift];
        let last: &[_] = arguments![out &y, int channels, int pixels, flag relu];
        let (name, arguments) = match residual {
            Some(residual) => ("scale_shift_onto", [first, arguments![in residual], last].concat()),
            None => ("scale_shift", [first, last].concat()),
        };
        // SAFETY: a block does a part of a plane.
        unsafe { run(m, "norm", name, dtype, self.tiles()?, &arguments) }?;
        Ok(y)
    }

    /// The gradient that the rectification lets pass, from output and its gradient.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn rectify<M: Machine>(&self, m: &M, y: &M::Memory, dy: &M::Memory) -> Result<M::Memory> {
        let &Self { channels, pixels, relu, .. } = self;
        let dtype = self.expect::<M>(&[y, dy])?;
        let passed = like(m, dy)?;
        let arguments = arguments![in y, in dy, out &passed, int channels, int pixels, flag relu];
        // SAFETY: a block does a part of a plane.
        unsafe { run(m, "norm", "rectify", dtype, self.tiles()?, arguments) }?;
        Ok(passed)
    }

    /// As [`rectify`](Self::rectify), times the channel's scale: the gradient of what was scaled.
    ///
    /// # Errors
    /// As [`rectify`](Self::rectify).
    pub fn rectify_scaled<M: Machine>(
        &self,
        m: &M,
        y: &M::Memory,
        dy: &M::Memory,
        scale: &M::Memory,
    ) -> Result<M::Memory> {
        let &Self { channels, pixels, relu, .. } = self;
        let dtype = self.expect::<M>(&[y, dy])?;
        self.expect_vectors::<M>(dtype, &[scale])?;
        let scaled = like(m, dy)?;
        let arguments = arguments![in y, in dy, in scale, out &scaled, int channels, int pixels, flag relu];
        // SAFETY: a block does a part of a plane.
        unsafe { run(m, "norm", "rectify_scaled", dtype, self.tiles()?, arguments) }?;
        Ok(scaled)
    }

    /// [`rectify`](Self::rectify) and [`rectify_scaled`](Self::rectify_scaled) in one pass.
    ///
    /// # Errors
    /// As [`rectify`](Self::rectify).
    pub fn rectify_both<M: Machine>(
        &self,
        m: &M,
        y: &M::Memory,
        dy: &M::Memory,
        scale: &M::Memory,
    ) -> Result<[M::Memory; 2]> {
        let &Self { channels, pixels, relu, .. } = self;
        let dtype = self.expect::<M>(&[y, dy])?;
        self.expect_vectors::<M>(dtype, &[scale])?;
        let (passed, scaled) = (like(m, dy)?, like(m, dy)?);
        let arguments =
            arguments![in y, in dy, in scale, out &passed, out &scaled, int channels, int pixels, flag relu];
        // SAFETY: a block does a part of a plane.
        unsafe { run(m, "norm", "rectify_both", dtype, self.tiles()?, arguments) }?;
        Ok([passed, scaled])
    }

    /// Sums over each channel of the gradients that the rectification lets pass: of their products with x, and plain.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn sums<M: Machine>(&self, m: &M, [x, y, dy]: [&M::Memory; 3]) -> Result<[M::Memory; 2]> {
        let &Self { n, channels, pixels, relu } = self;
        let dtype = self.expect::<M>(&[x, y, dy])?;
        let sums = m.make(DType::F64, 2 * self.planes())?;
        let arguments = arguments![in x, in y, in dy, out &sums, int channels, int pixels, flag relu];
        // SAFETY: a block does a plane.
        unsafe { run(m, "norm", "plane_sums", dtype, Grid::each(self.planes())?, arguments) }?;
        let (products, plain) = (self.vector(m, dtype)?, self.vector(m, dtype)?);
        let arguments = arguments![in &sums, out &products, out &plain, int n, int channels];
        // SAFETY: a thread does a channel.
        unsafe { run(m, "norm", "sum_planes", arithmetic(dtype), Grid::rows(channels, 1)?, arguments) }?;
        Ok([products, plain])
    }

    /// `gamma (x - mean) / sqrt(variance + eps) + beta` with the batch's own mean and variance, cut.
    ///
    /// # Errors
    /// If a size does not fit or there is no pixel, and the machine's.
    pub fn batch_norm<M: Machine>(
        &self,
        m: &M,
        x: &M::Memory,
        [gamma, beta]: [&M::Memory; 2],
        eps: f64,
    ) -> Result<BatchNorm<M::Memory>> {
        let &Self { n, channels, pixels, .. } = self;
        if n * pixels == 0 {
            bail!("batch norm of an empty map");
        }
        let dtype = self.expect::<M>(&[x])?;
        self.expect_vectors::<M>(dtype, &[gamma, beta])?;
        let moments = m.make(DType::F64, 2 * self.planes())?;
        // SAFETY: a block does a plane.
        unsafe {
            let arguments = arguments![in x, out &moments, int pixels];
            run(m, "norm", "plane_moments", dtype, Grid::each(self.planes())?, arguments)
        }?;
        let (mean, variance) = (self.vector(m, dtype)?, self.vector(m, dtype)?);
        let (scale, shift) = (self.vector(m, dtype)?, self.vector(m, dtype)?);
        let arguments = arguments![
            in &moments, in gamma, in beta, out &mean, out &variance, out &scale, out &shift, int n, int channels,
            int pixels, real eps
        ];
        // SAFETY: a thread does a channel.
        unsafe { run(m, "norm", "statistics", arithmetic(dtype), Grid::rows(channels, 1)?, arguments) }?;
        let output = self.scale_shift(m, x, [&scale, &shift], None)?;
        Ok(BatchNorm { output, mean, variance })
    }

    /// The gradients of x, gamma and beta, from input, output, its gradient, gamma and the batch's statistics.
    ///
    /// # Errors
    /// As [`batch_norm`](Self::batch_norm).
    pub fn batch_norm_gradient<M: Machine>(
        &self,
        m: &M,
        [x, y, dy]: [&M::Memory; 3],
        [gamma, mean, variance]: [&M::Memory; 3],
        eps: f64,
    ) -> Result<[M::Memory; 3]> {
        let &Self { n, channels, pixels, relu } = self;
        let dtype = self.expect::<M>(&[x, y, dy])?;
        self.expect_vectors::<M>(dtype, &[gamma, mean, variance])?;
        let sums = m.make(DType::F64, 2 * self.planes())?;
        let arguments = arguments![in x, in y, in dy, in mean, out &sums, int channels, int pixels, flag relu];
        // SAFETY: a block does a plane.
        unsafe { run(m, "norm", "plane_sums_centred", dtype, Grid::each(self.planes())?, arguments) }?;
        let (dgamma, dbeta) = (self.vector(m, dtype)?, self.vector(m, dtype)?);
        let factors = m.make(arithmetic(dtype), 4 * channels)?;
        let arguments = arguments![
            in &sums, in gamma, in mean, in variance, out &dgamma, out &dbeta, out &factors, int n, int channels,
            int pixels, real eps
        ];
        // SAFETY: a thread does a channel.
        unsafe { run(m, "norm", "batch_factors", arithmetic(dtype), Grid::rows(channels, 1)?, arguments) }?;
        let dx = like(m, x)?;
        let arguments = arguments![in x, in y, in dy, in &factors, out &dx, int channels, int pixels, flag relu];
        // SAFETY: a block does a part of a plane.
        unsafe { run(m, "norm", "combine", dtype, self.tiles()?, arguments) }?;
        Ok([dx, dgamma, dbeta])
    }
}

/// The weights' gradient of a convolution whose outputs are scaled, and that of the scale, from the weights `[outputs,
/// kernel]` and the gradient that they would have without the scale. All are of the type that sums are made in.
///
/// # Errors
/// If a size does not fit, and the machine's.
pub fn weight_scale<M: Machine>(
    m: &M,
    [weight, bare]: [&M::Memory; 2],
    scale: &M::Memory,
    outputs: usize,
) -> Result<[M::Memory; 2]> {
    let (dtype, count) = (M::dtype(weight), M::count(weight));
    expect::<M>("a weights' gradient", bare, dtype, count)?;
    expect::<M>("a scale", scale, dtype, outputs)?;
    if outputs == 0 || count % outputs != 0 {
        bail!("{count} weights are no kernels of {outputs} outputs");
    }
    let (dweight, dscale) = (like(m, weight)?, like(m, scale)?);
    let arguments = arguments![in weight, in bare, in scale, out &dweight, out &dscale, int count / outputs];
    // SAFETY: a block does an output.
    unsafe { run(m, "norm", "weight_scale", dtype, Grid::each(outputs)?, arguments) }?;
    Ok([dweight, dscale])
}
