//! cuDNN's descriptions of what a convolution works on.

use std::ffi::c_int;

use candle_core::{
    DType,
    cuda_backend::cudarc::cudnn::{result, sys},
};

use super::{Algorithm, Asked, Candidate, Direction, Geometry, Key};

/// cuDNN's own descriptions of the tensors and of the convolution.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) input: sys::cudnnTensorDescriptor_t,
    pub(super) filter: sys::cudnnFilterDescriptor_t,
    pub(super) output: sys::cudnnTensorDescriptor_t,
    pub(super) convolution: sys::cudnnConvolutionDescriptor_t,
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: nobody else has them. What cannot be given back is lost, and no reason to stop.
        unsafe {
            let _ = result::destroy_tensor_descriptor(self.input);
            let _ = result::destroy_filter_descriptor(self.filter);
            let _ = result::destroy_tensor_descriptor(self.output);
            let _ = result::destroy_convolution_descriptor(self.convolution);
        }
    }
}

impl Descriptors {
    pub(super) fn new(key: &Key) -> Asked<Self> {
        use sys::{cudnnDataType_t as Type, cudnnMathType_t as Math};
        let (data, sum) = match key.dtype {
            DType::F64 => (Type::CUDNN_DATA_DOUBLE, Type::CUDNN_DATA_DOUBLE),
            DType::BF16 => (Type::CUDNN_DATA_BFLOAT16, Type::CUDNN_DATA_FLOAT),
            _ => (Type::CUDNN_DATA_FLOAT, Type::CUDNN_DATA_FLOAT),
        };
        let math = match key.dtype {
            DType::F32 if key.exact => Math::CUDNN_FMA_MATH,
            DType::BF16 => Math::CUDNN_TENSOR_OP_MATH,
            _ => Math::CUDNN_DEFAULT_MATH,
        };
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let Geometry { input, weight, output, padding, stride, dilation, groups } = key.geometry;
        let dims = |extents: [usize; 4]| extents.map(|extent| extent as c_int);
        let [padding, stride, dilation, groups] = dims([padding, stride, dilation, groups]);
        let made = Self {
            input: result::create_tensor_descriptor()?,
            filter: result::create_filter_descriptor()?,
            output: result::create_tensor_descriptor()?,
            convolution: result::create_convolution_descriptor()?,
        };
        // SAFETY: the descriptors were made just now.
        unsafe {
            result::set_tensor4d_descriptor(made.input, format, data, dims(input))?;
            result::set_filter4d_descriptor(made.filter, data, format, dims(weight))?;
            result::set_tensor4d_descriptor(made.output, format, data, dims(output))?;
            let to = made.convolution;
            result::set_convolution2d_descriptor(to, padding, padding, stride, stride, dilation, dilation, mode, sum)?;
            result::set_convolution_group_count(to, groups)?;
            result::set_convolution_math_type(to, math)?;
        }
        Ok(made)
    }

    /// All algorithms of a direction, the fastest first.
    pub(super) fn candidates(&self, handle: sys::cudnnHandle_t, direction: Direction) -> Asked<Vec<Candidate>> {
        /// More than cuDNN has of any kind.
        const ROOM: usize = 16;
        let Self { input, filter, output, convolution } = *self;
        let mut count: c_int = 0;
        macro_rules! ask {
            ($query:path, $kind:path, $($descriptor:expr),*) => {{
                // SAFETY: zeros are valid values of all fields.
                let mut found = [unsafe { std::mem::zeroed() }; ROOM];
                // SAFETY: handle and descriptors are alive, and there is room for so many answers.
                unsafe { $query(handle, $($descriptor,)* ROOM as c_int, &raw mut count, found.as_mut_ptr()) }?;
                found.iter().take(count as usize).map(|of| Candidate {
                    algorithm: $kind(of.algo),
                    usable: of.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS,
                    memory: of.memory,
                    deterministic: of.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
                    math: of.mathType,
                }).collect()
            }};
        }
        Ok(match direction {
            Direction::Output => {
                ask!(result::get_convolution_forward_algorithm, Algorithm::Output, input, filter, convolution, output)
            }
            Direction::InputGradient => ask!(
                result::get_convolution_backward_data_algorithm,
                Algorithm::InputGradient,
                filter,
                output,
                convolution,
                input
            ),
            Direction::WeightGradient => ask!(
                result::get_convolution_backward_filter_algorithm,
                Algorithm::WeightGradient,
                input,
                output,
                convolution,
                filter
            ),
        })
    }
}
