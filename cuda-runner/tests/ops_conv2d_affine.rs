//! The fused convolution against the operations it stands for, its gradients against theirs and difference quotients.

mod ops_support;

use candle_core::{DType, Result, Tensor, Var};
use ops_support::{Numbers, check_gradients, distance, values};
use proptest::prelude::*;
use wseg_cuda_runner::ops::{
    Binary, Conv2d, binary, conv2d, conv2d_affine, conv2d_affine_onto, relu as rectified, scale_shift,
};

/// The definition: one operation after the other. Inputs are x, weight, scale, shift and, if there is one, residual.
fn unfused(t: &[Tensor], relu: bool, p: Conv2d) -> Result<Tensor> {
    let normed = scale_shift(&conv2d(&t[0], &t[1], None, p)?, &t[2], &t[3], relu && t.len() == 4)?;
    let Some(residual) = t.get(4) else { return Ok(normed) };
    let sum = binary(Binary::Add, &normed, residual)?;
    if relu { rectified(&sum) } else { Ok(sum) }
}

fn fused(t: &[Tensor], relu: bool, p: Conv2d) -> Result<Tensor> {
    match t.get(4) {
        None => conv2d_affine(&t[0], &t[1], &t[2], &t[3], relu, p),
        Some(residual) => conv2d_affine_onto(&t[0], &t[1], &t[2], &t[3], residual, relu, p),
    }
}

/// Shapes of map and kernel, a convolution that fits them, and what follows it.
#[derive(Clone, Debug)]
struct Case {
    map: (usize, usize, usize, usize),
    kernel: (usize, usize, usize),
    p: Conv2d,
    relu: bool,
    residual: bool,
}

impl Case {
    /// Scales of either sign; the first is 0, where nothing can be divided by it.
    fn draw(&self, seed: u64) -> Vec<Tensor> {
        let mut numbers = Numbers(seed);
        let ((n, channels, h, w), (outputs, kh, kw)) = (self.map, self.kernel);
        let (x, weight) = (numbers.tensor(self.map), numbers.tensor((outputs, channels, kh, kw)));
        let mut scale = values(&numbers.tensor(outputs));
        scale[0] = 0.0;
        let scale = Tensor::from_vec(scale, outputs, x.device()).expect("as many scales as outputs");
        let rows = self.p.output(h, kh).expect("a kernel that fits");
        let columns = self.p.output(w, kw).expect("a kernel that fits");
        let mut inputs = vec![x, weight, scale, numbers.tensor(outputs)];
        if self.residual {
            inputs.push(numbers.tensor((n, outputs, rows, columns)));
        }
        inputs
    }
}

fn cases(channels: usize, extent: usize) -> impl Strategy<Value = Case> {
    let map = (1..3usize, 1..=channels, 1..=extent, 1..=extent);
    let kernel = (1..=channels, 1..5usize, 1..5usize);
    let convolution = (1..4usize, 0..5usize, 1..4usize);
    (map, kernel, convolution, any::<[bool; 2]>())
        .prop_map(|(map, kernel, (stride, padding, dilation), [relu, residual])| Case {
            map,
            kernel,
            p: Conv2d { stride, padding, dilation },
            relu,
            residual,
        })
        .prop_filter("the kernel must fit", |case| {
            case.p.output(case.map.2, case.kernel.1).is_some() && case.p.output(case.map.3, case.kernel.2).is_some()
        })
}

/// Output, and the gradient of every input that `tracked` names, of `sum(f(inputs) * cotangent)`.
fn run(
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    inputs: &[Tensor],
    tracked: &[bool],
) -> Result<(Tensor, Vec<Option<Tensor>>)> {
    let variables: Vec<Var> = inputs.iter().map(Var::from_tensor).collect::<Result<_>>()?;
    let given: Vec<Tensor> = variables
        .iter()
        .zip(tracked)
        .map(|(v, &tracked)| if tracked { v.as_tensor().clone() } else { v.as_detached_tensor() })
        .collect();
    let output = f(&given)?;
    let cotangent = Numbers(99).tensor(output.shape()).to_dtype(output.dtype())?;
    let gradients = (&output * &cotangent)?.sum_all()?.backward()?;
    Ok((output, variables.iter().map(|v| gradients.get(v).cloned()).collect()))
}

/// The largest difference relative to the largest value, if both are there or neither.
fn difference(a: &Option<Tensor>, b: &Option<Tensor>) -> f64 {
    match (a, b) {
        (None, None) => 0.0,
        (Some(a), Some(b)) => distance(a, b) / values(a).iter().fold(1.0, |m, v| f64::max(m, v.abs())),
        _ => f64::INFINITY,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_fused_convolution_is_its_definition(case in cases(20, 30), seed: u64) {
        let inputs = case.draw(seed);
        let expected = unfused(&inputs, case.relu, case.p).expect("a convolution that fits");
        let got = fused(&inputs, case.relu, case.p).expect("a convolution that fits");
        prop_assert!(distance(&expected, &got) < 1e-12);
        let single: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32).expect("a conversion")).collect();
        let got = fused(&single, case.relu, case.p).expect("a convolution that fits");
        // Up to 20 * 16 products of rounding error 6e-8 each.
        prop_assert!(distance(&expected, &got) < 1e-4);
    }

    /// Whichever inputs are tracked: the same gradients are there, with the same values.
    #[test]
    fn its_gradients_are_those_of_its_definition(case in cases(20, 24), tracked: [bool; 5], seed: u64) {
        let inputs = case.draw(seed);
        let mut tracked = tracked;
        tracked[1] |= !tracked[..inputs.len()].contains(&true);
        // Where rounding decides on which side of 0 a value lies, the gradients may differ.
        let linear = unfused(&inputs, false, case.p).expect("a convolution that fits");
        prop_assume!(!case.relu || values(&linear).iter().all(|z| z.abs() > 1e-12));
        let (_, expected) = run(|t| unfused(t, case.relu, case.p), &inputs, &tracked).expect("two passes");
        let (_, got) = run(|t| fused(t, case.relu, case.p), &inputs, &tracked).expect("two passes");
        for (index, (expected, got)) in expected.iter().zip(&got).enumerate() {
            let difference = difference(expected, got);
            prop_assert!(difference < 1e-10, "input {index}: {difference}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn its_gradients_are_difference_quotients(case in cases(3, 6), seed: u64) {
        let inputs = case.draw(seed);
        // No value may cross 0, where the rectification bends, within the step of 1e-5 of any input.
        let linear = unfused(&inputs, false, case.p).expect("a convolution that fits");
        prop_assume!(!case.relu || values(&linear).iter().all(|z| z.abs() > 1e-4));
        // A product of two inputs at most: the difference quotient is exact but for rounding.
        check_gradients(|t| fused(t, case.relu, case.p), &inputs, 1e-8);
        // Constant scale and shift are another operation.
        let (affine, free) = (inputs[2..4].to_vec(), [&inputs[..2], &inputs[4..]].concat());
        let with_constants = |t: &[Tensor]| fused(&[&t[..2], &affine, &t[2..]].concat(), case.relu, case.p);
        check_gradients(with_constants, &free, 1e-8);
    }
}

/// Shapes of real layers: several blocks of channels, several tiles of rows, wide dilation.
#[test]
fn real_layers_agree_with_their_definition() {
    let conv = |stride, padding, dilation| Conv2d { stride, padding, dilation };
    for (map, kernel, p) in [
        ((2, 64, 41, 41), (70, 3, 3), conv(1, 2, 2)),
        ((1, 3, 65, 64), (64, 7, 7), conv(2, 3, 1)),
        ((2, 300, 13, 13), (64, 1, 1), conv(1, 0, 1)),
        ((1, 130, 12, 12), (96, 3, 3), conv(1, 12, 12)),
        ((1, 33, 9, 10), (65, 3, 3), conv(2, 1, 1)),
    ] {
        for (relu, residual) in [(true, false), (true, true), (false, true)] {
            let inputs = Case { map, kernel, p, relu, residual }.draw(5);
            let tracked = [true, true, false, false, true];
            let (y, expected) = run(|t| unfused(t, relu, p), &inputs, &tracked).expect("two passes");
            let (fused_y, got) = run(|t| fused(t, relu, p), &inputs, &tracked).expect("two passes");
            assert!(distance(&y, &fused_y) < 1e-11, "{map:?} {kernel:?} {p:?}");
            for (index, (expected, got)) in expected.iter().zip(&got).enumerate() {
                assert!(difference(expected, got) < 1e-10, "{map:?} {kernel:?} {p:?}, input {index}");
            }
        }
    }
}

const PLAIN: Case = Case {
    map: (2, 3, 7, 6),
    kernel: (4, 3, 3),
    p: Conv2d { stride: 1, padding: 1, dilation: 1 },
    relu: true,
    residual: true,
};

#[test]
fn untracked_inputs_build_no_graph() -> Result<()> {
    let inputs = PLAIN.draw(1);
    for count in [4, 5] {
        assert!(!fused(&inputs[..count], true, PLAIN.p)?.track_op());
    }
    let mut inputs = inputs;
    inputs[1] = Var::from_tensor(&inputs[1])?.into_inner();
    assert!(fused(&inputs, true, PLAIN.p)?.track_op(), "a weight that is trained");
    Ok(())
}

/// With a constant scale and shift the graph is the output and the variables, where the definition keeps every step.
#[test]
fn the_graph_keeps_the_output_alone() -> Result<()> {
    let inputs = PLAIN.draw(2);
    let (x, weight) = (Var::from_tensor(&inputs[0])?, Var::from_tensor(&inputs[1])?);
    let given = |count: usize| [&[x.as_tensor().clone(), weight.as_tensor().clone()], &inputs[2..count]].concat();
    for (count, steps) in [(4, 2), (5, 4)] {
        let maps = |y: Tensor| y.sorted_nodes().iter().filter(|node| !node.is_variable()).count();
        assert_eq!(maps(fused(&given(count), true, PLAIN.p)?), 1);
        assert_eq!(maps(unfused(&given(count), true, PLAIN.p)?), steps);
    }
    Ok(())
}

#[test]
fn only_tracked_inputs_get_a_gradient() -> Result<()> {
    let inputs = PLAIN.draw(3);
    for index in 0..inputs.len() {
        let tracked: Vec<bool> = (0..inputs.len()).map(|input| input == index).collect();
        let (_, gradients) = run(|t| fused(t, true, PLAIN.p), &inputs, &tracked)?;
        for (input, gradient) in gradients.iter().enumerate() {
            assert_eq!(gradient.is_some(), input == index, "input {input} of {index}");
        }
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let [x, weight, scale, shift, residual] = <[Tensor; 5]>::try_from(PLAIN.draw(4)).expect("five inputs");
    let mut numbers = Numbers(0);
    let (p, long) = (PLAIN.p, numbers.tensor(5));
    assert!(conv2d_affine(&x, &weight, &long, &shift, true, p).is_err(), "scale of another length");
    assert!(conv2d_affine(&x, &weight, &scale, &long, true, p).is_err(), "shift of another length");
    assert!(conv2d_affine(&x, &numbers.tensor((4, 2, 3, 3)), &scale, &shift, true, p).is_err(), "other channels");
    let narrow = residual.narrow(3, 0, 5).expect("a part");
    assert!(conv2d_affine_onto(&x, &weight, &scale, &shift, &narrow, true, p).is_err(), "a narrower residual");
    let single = residual.to_dtype(DType::F32).expect("a conversion");
    assert!(conv2d_affine_onto(&x, &weight, &scale, &shift, &single, true, p).is_err(), "another element type");
    let transposed = residual.transpose(2, 3).and_then(|t| t.contiguous()).and_then(|t| t.transpose(2, 3));
    let onto = |residual: &Tensor| conv2d_affine_onto(&x, &weight, &scale, &shift, residual, true, p).expect("it fits");
    assert_eq!(distance(&onto(&residual), &onto(&transposed.expect("a view"))), 0.0, "the layout is no matter");
}
