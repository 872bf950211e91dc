//! Convolutions by cuDNN: for every shape a plan, with the algorithm that cuDNN's heuristics choose.
//!
//! Heuristics and no measurement: the same shapes get the same algorithms in every run. Algorithms whose results depend
//! on the scheduling of threads come last, and one that fails gives way to the next.

mod descriptors;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    ffi::c_void,
    rc::Rc,
};

use candle_core::{
    CudaDevice, DType, Error, Result, bail,
    cuda_backend::{
        DeviceId,
        cudarc::{
            cudnn::{CudnnError, result, sys},
            driver::{CudaSlice, DevicePtr},
        },
    },
};

use self::descriptors::Descriptors;
use super::{Elements, Output, math};

/// A convolution of given shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    /// `[n, i, h, w]`
    pub input: [usize; 4],
    /// `[o, i / groups, kh, kw]`
    pub weight: [usize; 4],
    /// `[n, o, h', w']`
    pub output: [usize; 4],
    pub padding: usize,
    pub stride: usize,
    pub dilation: usize,
    pub groups: usize,
}

/// Most bytes that an algorithm may work in, beside its inputs and its output.
const MOST_WORKSPACE: usize = 1 << 30;
/// Plans that are kept. Photos of many sizes make many.
const MOST_PLANS: usize = 4096;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    Output,
    InputGradient,
    WeightGradient,
}

/// The output, from input and weights.
///
/// # Errors
/// If cuDNN has no algorithm, or memory runs out.
pub(crate) fn forward(geometry: &Geometry, x: Elements<'_>, weight: Elements<'_>) -> Result<Output> {
    let y = Output::new(NAME, x.device(), x.dtype(), geometry.output.iter().product())?;
    run(geometry, Direction::Output, x, [x.pointer(), weight.pointer(), y.pointer()])?;
    Ok(y)
}

/// The input's gradient, from weights and the output's gradient.
///
/// # Errors
/// As [`forward`].
pub(crate) fn input_gradient(geometry: &Geometry, weight: Elements<'_>, dy: Elements<'_>) -> Result<Output> {
    let dx = Output::new(NAME, dy.device(), dy.dtype(), geometry.input.iter().product())?;
    run(geometry, Direction::InputGradient, dy, [dx.pointer(), weight.pointer(), dy.pointer()])?;
    Ok(dx)
}

/// The weights' gradient, from input and the output's gradient.
///
/// # Errors
/// As [`forward`].
pub(crate) fn weight_gradient(geometry: &Geometry, x: Elements<'_>, dy: Elements<'_>) -> Result<Output> {
    let dweight = Output::new(NAME, x.device(), x.dtype(), geometry.weight.iter().product())?;
    run(geometry, Direction::WeightGradient, x, [x.pointer(), dweight.pointer(), dy.pointer()])?;
    Ok(dweight)
}

const NAME: &str = "conv2d";

/// Runs a plan on input, weights and output, whichever of them it writes.
fn run(geometry: &Geometry, direction: Direction, like: Elements<'_>, addresses: [u64; 3]) -> Result<()> {
    let library = Library::of(like.device())?;
    let key = Key { geometry: *geometry, direction, dtype: like.dtype(), exact: math::is_exact() };
    let plan = library.plan(key)?;
    let addresses = addresses.map(|address| address as *mut c_void);
    loop {
        let Candidate { algorithm, memory, math, .. } = plan.choice();
        let workspace = library.workspace(like.device(), memory);
        let done = workspace.and_then(|workspace| {
            plan.run(library.handle, algorithm, math, addresses, workspace)
                .map_err(|error| told("cannot run", &key, &error))
        });
        match done {
            // What heuristics recommend need not work, or there is no memory for it: the next one, from now on.
            Err(_) if plan.give_up(algorithm) => {}
            done => return done,
        }
    }
}

/// What cuDNN answers.
type Asked<T> = std::result::Result<T, CudnnError>;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    geometry: Geometry,
    direction: Direction,
    dtype: DType,
    /// Products of `f32` are those of `f32`.
    exact: bool,
}

fn told(what: &str, key: &Key, error: &dyn std::fmt::Debug) -> Error {
    Error::Cuda(format!("cuDNN {what} the convolution {key:?}: {error:?}").into())
}

/// cuDNN on a device, for one thread. Its handle is given back by the end of the process.
struct Library {
    handle: sys::cudnnHandle_t,
    plans: RefCell<HashMap<Key, Rc<Plan>>>,
    /// Where algorithms work, one after the other on the one stream.
    workspace: RefCell<Option<CudaSlice<u8>>>,
    size: Cell<usize>,
}

thread_local! {
    static LIBRARIES: RefCell<HashMap<DeviceId, Rc<Library>>> = RefCell::default();
}

impl Library {
    fn of(device: &CudaDevice) -> Result<Rc<Self>> {
        LIBRARIES.with_borrow_mut(|libraries| {
            if let Some(library) = libraries.get(&device.id()) {
                return Ok(library.clone());
            }
            let stream = device.cuda_stream();
            let begun = stream.context().bind_to_thread().map_err(|error| format!("{error}")).and_then(|()| {
                let handle = result::create_handle().map_err(|error| format!("{error:?}"))?;
                // SAFETY: both are alive; the stream lives as long as its device.
                unsafe { result::set_stream(handle, stream.cu_stream().cast()) }
                    .map_err(|error| format!("{error:?}"))?;
                Ok(handle)
            });
            let handle = begun.map_err(|error| Error::Cuda(format!("cuDNN cannot be started: {error}").into()))?;
            let library = Rc::new(Self {
                handle,
                plans: RefCell::default(),
                workspace: RefCell::default(),
                size: Cell::default(),
            });
            libraries.insert(device.id(), library.clone());
            Ok(library)
        })
    }

    fn plan(&self, key: Key) -> Result<Rc<Plan>> {
        if let Some(plan) = self.plans.borrow().get(&key) {
            return Ok(plan.clone());
        }
        let plan = Rc::new(Plan::new(self.handle, &key).map_err(|error| told("has no way to compute", &key, &error))?);
        let mut plans = self.plans.borrow_mut();
        if plans.len() >= MOST_PLANS {
            plans.clear();
        }
        plans.insert(key, plan.clone());
        Ok(plan)
    }

    /// The address of so many bytes, and their number.
    fn workspace(&self, device: &CudaDevice, bytes: usize) -> Result<(*mut c_void, usize)> {
        let mut workspace = self.workspace.borrow_mut();
        if bytes > self.size.get() || workspace.is_none() {
            // The old one is given back behind the algorithms that use it.
            *workspace = None;
            // SAFETY: algorithms write it before they read it.
            *workspace = Some(unsafe { device.alloc::<u8>(bytes.max(1)) }?);
            self.size.set(bytes);
        }
        match &*workspace {
            Some(slice) => Ok((slice.device_ptr(slice.stream()).0 as *mut c_void, bytes)),
            None => bail!("{NAME}: no workspace"),
        }
    }
}

/// An algorithm, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Output(sys::cudnnConvolutionFwdAlgo_t),
    InputGradient(sys::cudnnConvolutionBwdDataAlgo_t),
    WeightGradient(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// What cuDNN says of an algorithm.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    algorithm: Algorithm,
    usable: bool,
    memory: usize,
    deterministic: bool,
    math: sys::cudnnMathType_t,
}

/// Those that may be taken, the best first, of candidates in the order of their speed.
fn ranked(candidates: &[Candidate], exact: bool) -> VecDeque<Candidate> {
    use sys::cudnnMathType_t::{CUDNN_DEFAULT_MATH, CUDNN_FMA_MATH};
    let plain = |of: &Candidate| !exact || [CUDNN_DEFAULT_MATH, CUDNN_FMA_MATH].contains(&of.math);
    let rank = |of: &Candidate| (!plain(of), !of.deterministic);
    let mut allowed: Vec<Candidate> =
        candidates.iter().filter(|of| of.usable && of.memory <= MOST_WORKSPACE).copied().collect();
    // A stable sort: by speed among equals.
    allowed.sort_by_key(rank);
    allowed.into()
}

/// Descriptors of a convolution, and the algorithms that are left, the best first.
struct Plan {
    descriptors: Descriptors,
    dtype: DType,
    exact: bool,
    choices: RefCell<VecDeque<Candidate>>,
    first: Candidate,
}

impl Plan {
    fn new(handle: sys::cudnnHandle_t, key: &Key) -> Asked<Self> {
        let descriptors = Descriptors::new(key)?;
        let exact = key.exact && key.dtype == DType::F32;
        let choices = ranked(&descriptors.candidates(handle, key.direction)?, exact);
        let Some(&first) = choices.front() else {
            return Err(CudnnError(sys::cudnnStatus_t::CUDNN_STATUS_NOT_SUPPORTED));
        };
        Ok(Self { descriptors, dtype: key.dtype, exact, choices: RefCell::new(choices), first })
    }

    /// The best algorithm that is left.
    fn choice(&self) -> Candidate {
        self.choices.borrow().front().copied().unwrap_or(self.first)
    }

    /// Strikes out an algorithm; false if there is no other.
    fn give_up(&self, algorithm: Algorithm) -> bool {
        let mut choices = self.choices.borrow_mut();
        if choices.len() < 2 {
            return false;
        }
        choices.retain(|candidate| candidate.algorithm != algorithm);
        !choices.is_empty()
    }

    fn run(
        &self,
        handle: sys::cudnnHandle_t,
        algorithm: Algorithm,
        math: sys::cudnnMathType_t,
        [x, weight, y]: [*mut c_void; 3],
        (workspace, bytes): (*mut c_void, usize),
    ) -> Asked<()> {
        let Descriptors { input, filter, output, convolution } = self.descriptors;
        let (single, double) = ([1.0_f32, 0.0], [1.0_f64, 0.0]);
        let [one, zero]: [*const c_void; 2] = match self.dtype {
            DType::F64 => [(&raw const double[0]).cast(), (&raw const double[1]).cast()],
            _ => [(&raw const single[0]).cast(), (&raw const single[1]).cast()],
        };
        // SAFETY: the descriptors are alive and say how large the tensors at these addresses are; the workspace is as
        // large as the algorithm asked for.
        unsafe {
            if !self.exact {
                // Otherwise it stays as strict as it was made.
                result::set_convolution_math_type(convolution, math)?;
            }
            match algorithm {
                Algorithm::Output(algorithm) => result::convolution_forward(
                    handle,
                    one,
                    input,
                    x,
                    filter,
                    weight,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    zero,
                    output,
                    y,
                ),
                Algorithm::InputGradient(algorithm) => result::convolution_backward_data(
                    handle,
                    one,
                    filter,
                    weight,
                    output,
                    y,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    zero,
                    input,
                    x,
                ),
                Algorithm::WeightGradient(algorithm) => result::convolution_backward_filter(
                    handle,
                    one,
                    input,
                    x,
                    output,
                    y,
                    convolution,
                    algorithm,
                    workspace,
                    bytes,
                    zero,
                    filter,
                    weight,
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::cudnnMathType_t::{CUDNN_FMA_MATH, CUDNN_TENSOR_OP_MATH};

    #[test]
    fn the_fastest_that_gives_the_same_in_every_run_comes_first() {
        let candidate = |memory, deterministic, math| Candidate {
            algorithm: Algorithm::Output(sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_GEMM),
            usable: true,
            memory,
            deterministic,
            math,
        };
        let all = [
            Candidate { usable: false, ..candidate(1, true, CUDNN_FMA_MATH) },
            candidate(2, false, CUDNN_FMA_MATH),
            candidate(3, true, CUDNN_TENSOR_OP_MATH),
            candidate(MOST_WORKSPACE + 1, true, CUDNN_FMA_MATH),
            candidate(5, true, CUDNN_FMA_MATH),
        ];
        let order = |exact| ranked(&all, exact).iter().map(|candidate| candidate.memory).collect::<Vec<_>>();
        assert_eq!(order(false), [3, 5, 2]);
        assert_eq!(order(true), [5, 2, 3], "rather products of f32 in any order than shorter ones");
        assert!(ranked(&all[..1], true).is_empty());
    }
}
