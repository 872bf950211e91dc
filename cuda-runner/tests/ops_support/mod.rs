//! What the tests of the operations share: drawn tensors and finite differences.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part")]

pub mod convolution;

use candle_core::{Device, Result, Tensor, Var};

/// Numbers that look random and are the same on every run (splitmix64), in [-1, 1).
#[derive(Clone)]
pub struct Numbers(pub u64);

impl Numbers {
    pub fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// A tensor of `f64`.
    pub fn tensor(&mut self, shape: impl Into<candle_core::Shape>) -> Tensor {
        let shape = shape.into();
        let values: Vec<f64> = (0..shape.elem_count()).map(|_| self.draw()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape has")
    }
}

/// All elements.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().and_then(|t| t.to_dtype(candle_core::DType::F64));
    flat.and_then(|t| t.to_vec1::<f64>()).expect("a tensor of floats")
}

/// The largest difference of two tensors of the same shape.
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    values(a)
        .iter()
        .zip(values(b))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, d| if d.is_nan() { d } else { f64::max(m, d) })
}

/// Checks the gradients of `sum(f(inputs) * cotangent)` against central differences: every element of every input.
///
/// The step of 1e-5 leaves an error of about 1e-10 of a third derivative and 1e-11 of rounding, so `tolerance` is for
/// the function's curvature.
pub fn check_gradients(f: impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor], tolerance: f64) {
    const STEP: f64 = 1e-5;
    let variables: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).expect("an input")).collect();
    let tracked: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let output = f(&tracked).expect("a forward pass");
    let cotangent = Numbers(99).tensor(output.shape());
    let objective = |output: &Tensor| (output * &cotangent).and_then(|p| p.sum_all());
    let gradients = objective(&output).and_then(|o| o.backward()).expect("a backward pass");
    for (index, variable) in variables.iter().enumerate() {
        let gradient = gradients.get(variable).unwrap_or_else(|| panic!("no gradient for input {index}"));
        assert_eq!(gradient.dims(), variable.dims());
        let (gradient, original) = (values(gradient), values(&inputs[index]));
        for (element, &analytic) in gradient.iter().enumerate() {
            let at = |delta: f64| {
                let mut moved = original.clone();
                moved[element] += delta;
                let mut inputs = inputs.to_vec();
                inputs[index] = Tensor::from_vec(moved, inputs[index].shape(), &Device::Cpu).expect("an input");
                let output = f(&inputs).expect("a forward pass");
                objective(&output).and_then(|o| o.to_scalar::<f64>()).expect("a scalar")
            };
            let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(
                (numeric - analytic).abs() <= tolerance * (1.0 + numeric.abs()),
                "input {index}, element {element}: difference quotient {numeric}, gradient {analytic}"
            );
        }
    }
}
