//! Depthwise convolution: each channel has its own kernel.

use candle_core::Result;

use super::{Argument, Grid, Machine, arguments, arithmetic, expect, run};

/// A depthwise convolution of maps `[n, channels, from]` with kernels `[channels, kernel]`.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise {
    /// Images.
    pub n: usize,
    /// Channels.
    pub channels: usize,
    /// Rows and columns of the input.
    pub from: (usize, usize),
    /// Rows and columns of the output.
    pub to: (usize, usize),
    /// Rows and columns of a kernel.
    pub kernel: (usize, usize),
    /// Input pixels between outputs.
    pub stride: usize,
    /// Zeros around the map.
    pub padding: usize,
    /// Input pixels between taps.
    pub dilation: usize,
    /// Whether what is below 0 is cut, of the input and of the output.
    pub cut: (bool, bool),
}

impl Depthwise {
    fn extents<'a, M>(&self) -> Result<[Argument<'a, M>; 10]> {
        let &Self { channels, from, to, kernel, stride, padding, dilation, .. } = self;
        let extents = [channels, from.0, from.1, to.0, to.1, kernel.0, kernel.1, stride, padding, dilation];
        let mut arguments = [const { Argument::Int(0) }; 10];
        for (argument, extent) in arguments.iter_mut().zip(extents) {
            *argument = Argument::Int(super::int(extent)?);
        }
        Ok(arguments)
    }

    /// Elements of input, output and weights.
    fn counts(&self) -> [usize; 3] {
        let planes = self.n * self.channels;
        [planes * self.from.0 * self.from.1, planes * self.to.0 * self.to.1, self.taps()]
    }

    fn taps(&self) -> usize {
        self.channels * self.kernel.0 * self.kernel.1
    }

    /// The output `[n, channels, to]`. Weights and bias are of the type that sums of elements are made in.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn forward<M: Machine>(
        &self,
        m: &M,
        x: &M::Memory,
        weight: &M::Memory,
        bias: Option<&M::Memory>,
    ) -> Result<M::Memory> {
        let ([from, to, taps], dtype) = (self.counts(), M::dtype(x));
        expect::<M>("a map to convolve", x, dtype, from)?;
        expect::<M>("depthwise weights", weight, arithmetic(dtype), taps)?;
        let bias = match bias {
            Some(bias) => {
                expect::<M>("a bias", bias, arithmetic(dtype), self.channels)?;
                Argument::In(bias)
            }
            None => Argument::NoIn(arithmetic(dtype)),
        };
        let y = m.make(dtype, to)?;
        let (inputs, outputs): (&[_], &[_]) =
            (arguments![in x, in weight], arguments![out &y, int to, flag self.cut.0, flag self.cut.1]);
        let first = [inputs, &[bias], outputs].concat();
        let arguments = [first, self.extents()?.to_vec()].concat();
        // SAFETY: the sizes are checked; taps outside the map are left out.
        unsafe { run(m, "depthwise", "depthwise", dtype, Grid::over(to), &arguments) }?;
        Ok(y)
    }

    /// The gradient of the input; `dy` is what the output's cut lets pass.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn input_gradient<M: Machine>(
        &self,
        m: &M,
        x: &M::Memory,
        weight: &M::Memory,
        dy: &M::Memory,
    ) -> Result<M::Memory> {
        let ([from, to, taps], dtype) = (self.counts(), M::dtype(dy));
        expect::<M>("a map that was convolved", x, dtype, from)?;
        expect::<M>("an output's gradient", dy, dtype, to)?;
        expect::<M>("depthwise weights", weight, arithmetic(dtype), taps)?;
        let dx = m.make(dtype, from)?;
        let first: &[_] = arguments![in x, in weight, in dy, out &dx, int from, flag self.cut.0];
        let arguments = [first, &self.extents()?].concat();
        // SAFETY: the sizes are checked; outputs outside the map are left out.
        unsafe { run(m, "depthwise", "depthwise_input", dtype, Grid::over(from), &arguments) }?;
        Ok(dx)
    }

    /// The gradient of the weights, in their type; `dy` is what the output's cut lets pass.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn weight_gradient<M: Machine>(&self, m: &M, x: &M::Memory, dy: &M::Memory) -> Result<M::Memory> {
        let ([from, to, taps], dtype) = (self.counts(), M::dtype(dy));
        expect::<M>("a map that was convolved", x, dtype, from)?;
        expect::<M>("an output's gradient", dy, dtype, to)?;
        let dweight = m.make(arithmetic(dtype), taps)?;
        let first: &[_] = arguments![in x, in dy, out &dweight, int self.n, flag self.cut.0];
        let arguments = [first, &self.extents()?].concat();
        // SAFETY: a block does a tap of a channel.
        unsafe { run(m, "depthwise", "depthwise_weight", dtype, Grid::each(taps)?, &arguments) }?;
        Ok(dweight)
    }
}
