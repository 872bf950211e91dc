//! candle on a GPU through [`Dense`], in f32 and f64: the same definitions and overrides as on the CPU, by our kernels.

use candle_core::{DType, Device};
use wseg_core::Shape;
use wseg_cuda_runner::{DeviceChoice, dense::Dense};

use super::{
    Bench, ScalarOf,
    candle::{gradient, tensor, values},
};
use crate::failure::Failure;

/// candle on a GPU in f32.
#[derive(Clone, Debug)]
pub struct CandleCudaF32(Device);

/// candle on a GPU in f64.
#[derive(Clone, Debug)]
pub struct CandleCudaF64(Device);

macro_rules! candle_cuda_bench {
    ($bench:ident, $dtype:expr, $name:literal, $tolerance:literal) => {
        impl $bench {
            /// The backend on the GPU of this number.
            ///
            /// # Errors
            /// Why it cannot be used, in a sentence.
            pub fn open(number: usize) -> Result<Self, Failure> {
                Ok(Self(DeviceChoice::Cuda(number).open()?))
            }

            /// Calls `body` with the backend on the first GPU; where there is none, prints so and does nothing: a test
            /// that is skipped.
            ///
            /// # Errors
            /// Those of `body`.
            pub fn where_there_is_one(body: impl FnOnce(&Self) -> Result<(), Failure>) -> Result<(), Failure> {
                match Self::open(0) {
                    Ok(bench) => body(&bench),
                    Err(problem) => {
                        println!("skipped: {}", problem.into_reason());
                        Ok(())
                    }
                }
            }
        }

        impl Bench for $bench {
            type T = Dense;
            const NAME: &'static str = $name;
            const TOLERANCE: f64 = $tolerance;

            fn load(&self, shape: Shape, values: &[f64]) -> Result<Dense, Failure> {
                Ok(Dense::new(tensor(shape, values, $dtype, &self.0)?)?)
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
                gradient(shape, values, $dtype, &self.0, scalar)
            }
        }
    };
}

candle_cuda_bench!(CandleCudaF32, DType::F32, "cuda_f32", 1e-5);
candle_cuda_bench!(CandleCudaF64, DType::F64, "cuda_f64", 1e-10);
