//! candle on the CPU through [`Dense`], in f32 and f64, with automatic differentiation.

use candle_core::{DType, Device, Tensor as Candle, Var};
use wseg_core::Shape;
use wseg_cuda_runner::dense::Dense;

use super::{Bench, ScalarOf};
use crate::failure::Failure;

/// candle on the CPU in f32.
#[derive(Clone, Copy, Debug, Default)]
pub struct CandleF32;

/// candle on the CPU in f64.
#[derive(Clone, Copy, Debug, Default)]
pub struct CandleF64;

pub(super) fn tensor(shape: Shape, values: &[f64], dtype: DType, device: &Device) -> Result<Candle, Failure> {
    // Rounded here: devices differ in which conversions they have.
    Ok(Candle::from_slice(values, &shape.extents()[..], &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}

pub(super) fn values(tensor: &Candle) -> Result<Vec<f64>, Failure> {
    Ok(tensor.flatten_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1()?)
}

pub(super) fn gradient(
    shape: Shape,
    at: &[f64],
    dtype: DType,
    device: &Device,
    scalar: &ScalarOf<'_, Dense>,
) -> Result<Option<Vec<f64>>, Failure> {
    let variable = Var::from_tensor(&tensor(shape, at, dtype, device)?)?;
    let result = scalar(&Dense::new(variable.as_tensor().clone())?)?;
    let gradients = result.tensor().backward()?;
    match gradients.get(&variable) {
        Some(gradient) => Ok(Some(values(gradient)?)),
        // candle leaves out what the scalar does not depend on.
        None => Ok(Some(vec![0.0; at.len()])),
    }
}

macro_rules! candle_bench {
    ($bench:ident, $dtype:expr, $name:literal, $tolerance:literal) => {
        impl Bench for $bench {
            type T = Dense;
            const NAME: &'static str = $name;
            const TOLERANCE: f64 = $tolerance;

            fn load(&self, shape: Shape, values: &[f64]) -> Result<Dense, Failure> {
                Ok(Dense::new(tensor(shape, values, $dtype, &Device::Cpu)?)?)
            }

            fn read(&self, tensor: &Dense) -> Result<Vec<f64>, Failure> {
                values(tensor.tensor())
            }

            fn gradient(
                &self,
                shape: Shape,
                values: &[f64],
                scalar: &ScalarOf<'_, Dense>,
            ) -> Result<Option<Vec<f64>>, Failure> {
                gradient(shape, values, $dtype, &Device::Cpu, scalar)
            }
        }
    };
}

candle_bench!(CandleF32, DType::F32, "candle_f32", 1e-5);
candle_bench!(CandleF64, DType::F64, "candle_f64", 1e-10);
