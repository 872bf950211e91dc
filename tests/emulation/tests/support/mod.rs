//! What the tests of the kernels share: numbers, the machine in several orders, and the CPU's operations beside it.

#![allow(dead_code, reason = "each test binary uses its part of this module")]

use candle_core::{DType, Device, Result, Tensor, Var};
use wseg_core::Shape;
use wseg_emulation::{Emulated, Memory};
use wseg_tests::sample::Sample;

/// Maps smaller than a warp, than a block and than what a block does, and larger; sizes that nothing divides.
pub(crate) const SHAPES: [[usize; 4]; 7] =
    [[1, 1, 1, 1], [2, 3, 5, 7], [1, 2, 33, 29], [3, 4, 16, 16], [1, 1, 1, 300], [2, 5, 13, 1], [1, 2, 41, 40]];

/// Element types, and the largest error allowed, as a share of the largest expected value.
pub(crate) const REALS: [(DType, f64); 2] = [(DType::F32, 1e-5), (DType::F64, 1e-12)];

/// As [`REALS`], and the type for storage alone, whose results are off by half a unit in its last place, 2^-9.
pub(crate) const ALL: [(DType, f64); 3] = [(DType::F32, 1e-5), (DType::F64, 1e-12), (DType::BF16, 4e-3)];

/// The type in which the CPU computes what it is compared with.
pub(crate) fn reference(dtype: DType) -> DType {
    if dtype == DType::BF16 { DType::F32 } else { dtype }
}

/// Numbers that the type holds exactly.
pub(crate) fn numbers(sample: &mut Sample, dtype: DType, dims: &[usize], low: f64, high: f64) -> Vec<f64> {
    let count = dims.iter().product();
    let values = sample.values(Shape::new(1, 1, 1, count), low, high);
    match dtype {
        DType::BF16 => values.into_iter().map(|value| half::bf16::from_f64(value).to_f64()).collect(),
        _ => values,
    }
}

/// A tensor of the CPU that wants a gradient.
pub(crate) fn variable(dtype: DType, dims: &[usize], values: &[f64]) -> Result<Var> {
    Var::from_tensor(&tensor(dtype, dims, values)?)
}

/// A tensor of the CPU.
pub(crate) fn tensor(dtype: DType, dims: &[usize], values: &[f64]) -> Result<Tensor> {
    Tensor::from_slice(values, dims, &Device::Cpu)?.to_dtype(reference(dtype))
}

/// The elements of a tensor.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

/// Gradients of `y . cotangent` for each of some variables.
pub(crate) fn gradients(y: &Tensor, cotangent: &[f64], of: &[&Var]) -> Result<Vec<Vec<f64>>> {
    let cotangent = tensor(y.dtype(), y.dims(), cotangent)?;
    let gradients = y.mul(&cotangent)?.sum_all()?.backward()?;
    of.iter()
        .map(|variable| match gradients.get(variable) {
            Some(gradient) => values(gradient),
            None => Ok(vec![0.0; variable.elem_count()]),
        })
        .collect()
}

/// Memory of the machine.
pub(crate) fn memory(dtype: DType, values: &[f64]) -> Result<Memory> {
    Memory::of(dtype, values)
}

/// What an operation leaves, run in three orders of blocks and threads, which must not matter to the last bit.
pub(crate) fn in_any_order(run: impl Fn(&Emulated) -> Result<Vec<Memory>>) -> Result<Vec<Vec<f64>>> {
    let once = |seed: u64| -> Result<Vec<Vec<f64>>> {
        let machine = Emulated::new(seed);
        let results = run(&machine)?.iter().map(Memory::read).collect();
        assert!(machine.launches() > 0, "nothing was launched");
        results
    };
    let first = once(1)?;
    for seed in 2..4 {
        let bits = |results: &[Vec<f64>]| -> Vec<Vec<u64>> {
            results.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
        };
        assert_eq!(bits(&once(seed)?), bits(&first), "the order of blocks and threads matters");
    }
    Ok(first)
}

/// Fails unless `computed` is `expected` but for `tolerance`, as a share of the largest expected value or of `scale`,
/// the size of the terms they are sums of, where that is larger.
pub(crate) fn near(what: &str, computed: &[f64], expected: &[f64], tolerance: f64, scale: f64) {
    assert_eq!(computed.len(), expected.len(), "{what}");
    let allowed = tolerance * expected.iter().fold(scale, |peak, value| peak.max(value.abs()));
    for (index, (computed, expected)) in computed.iter().zip(expected).enumerate() {
        let same = computed == expected || (computed.is_nan() && expected.is_nan());
        let close = (computed - expected).abs() <= allowed;
        assert!(same || close, "{what}: element {index} is {computed}, not {expected}; allowed is {allowed:e}");
    }
}
