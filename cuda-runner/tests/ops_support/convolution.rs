//! The convolution that others are held against.

use candle_core::{Device, Tensor};
use wseg_cuda_runner::ops::Conv2d;

use super::values;

/// A convolution by its definition, pixel by pixel.
pub fn naive(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, p: Conv2d) -> Tensor {
    let (n, inputs, h, w) = x.dims4().expect("a map");
    let (outputs, _, kh, kw) = weight.dims4().expect("kernels");
    let size = |extent: usize, kernel: usize| (extent + 2 * p.padding - p.dilation * (kernel - 1) - 1) / p.stride + 1;
    let (rows, columns) = (size(h, kh), size(w, kw));
    let (x, weight, bias) = (values(x), values(weight), bias.map(values));
    let mut y = Vec::new();
    for (image, output) in (0..n).flat_map(|image| (0..outputs).map(move |output| (image, output))) {
        for (oy, ox) in (0..rows).flat_map(|oy| (0..columns).map(move |ox| (oy, ox))) {
            let mut sum = bias.as_ref().map_or(0.0, |bias| bias[output]);
            for (input, ky, kx) in
                (0..inputs).flat_map(|i| (0..kh).flat_map(move |ky| (0..kw).map(move |kx| (i, ky, kx))))
            {
                let iy = (oy * p.stride + ky * p.dilation) as isize - p.padding as isize;
                let ix = (ox * p.stride + kx * p.dilation) as isize - p.padding as isize;
                if (0..h as isize).contains(&iy) && (0..w as isize).contains(&ix) {
                    sum += x[((image * inputs + input) * h + iy as usize) * w + ix as usize]
                        * weight[((output * inputs + input) * kh + ky) * kw + kx];
                }
            }
            y.push(sum);
        }
    }
    Tensor::from_vec(y, (n, outputs, rows, columns), &Device::Cpu).expect("as many values as the shape has")
}
