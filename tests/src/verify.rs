//! Golden files through backends, one [`Row`] a file and backend: what `wseg verify` prints.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    bench::{
        Bench,
        arena::{ArenaF32, ArenaF64},
        candle::{CandleF32, CandleF64},
        candle_cuda::{CandleCudaF32, CandleCudaF64},
    },
    case,
    failure::Failure,
    golden::Golden,
    report::Report,
};

/// One way to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The arena of `wseg_core` in f32.
    ArenaF32,
    /// The arena of `wseg_core` in f64.
    ArenaF64,
    /// candle on the CPU in f32.
    CandleF32,
    /// candle on the CPU in f64.
    CandleF64,
    /// candle on the GPU of this number in f32.
    CudaF32(usize),
    /// candle on the GPU of this number in f64.
    CudaF64(usize),
    /// The functions of `wseg_core` on plain slices, which count pixels or run the dense CRF: no tensors.
    Slices,
    /// The runner's resizing of photos: bytes, no tensors.
    Pixels,
}

impl Backend {
    /// As reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArenaF32 => ArenaF32::NAME,
            Self::ArenaF64 => ArenaF64::NAME,
            Self::CandleF32 => CandleF32::NAME,
            Self::CandleF64 => CandleF64::NAME,
            Self::CudaF32(_) => CandleCudaF32::NAME,
            Self::CudaF64(_) => CandleCudaF64::NAME,
            Self::Slices => case::metrics::NAME,
            Self::Pixels => case::pil_bicubic::NAME,
        }
    }

    /// Largest error allowed in any output, as a share of the largest expected value of that output.
    #[must_use]
    pub fn tolerance(self) -> f64 {
        match self {
            Self::ArenaF32 => ArenaF32::TOLERANCE,
            Self::ArenaF64 => ArenaF64::TOLERANCE,
            Self::CandleF32 => CandleF32::TOLERANCE,
            Self::CandleF64 => CandleF64::TOLERANCE,
            Self::CudaF32(_) => CandleCudaF32::TOLERANCE,
            Self::CudaF64(_) => CandleCudaF64::TOLERANCE,
            Self::Slices => case::metrics::TOLERANCE,
            Self::Pixels => case::pil_bicubic::TOLERANCE,
        }
    }

    /// Runs a golden file's case.
    fn run(self, golden: &Golden) -> Result<Report, Failure> {
        if case::is_network_op(golden.op()) {
            return match self {
                Self::CandleF32 => case::run_network(&CandleF32, golden),
                Self::CandleF64 => case::run_network(&CandleF64, golden),
                Self::CudaF32(number) => case::run_network(&CandleCudaF32::open(number)?, golden),
                Self::CudaF64(number) => case::run_network(&CandleCudaF64::open(number)?, golden),
                _ => Err(Failure::new(NO_NETWORKS)),
            };
        }
        let memory = arena_elements(golden);
        match self {
            Self::ArenaF32 => ArenaF32::with_memory(memory, |bench| case::run(&bench, golden)),
            Self::ArenaF64 => ArenaF64::with_memory(memory, |bench| case::run(&bench, golden)),
            Self::CandleF32 => case::run(&CandleF32, golden),
            Self::CandleF64 => case::run(&CandleF64, golden),
            Self::CudaF32(number) => case::run(&CandleCudaF32::open(number)?, golden),
            Self::CudaF64(number) => case::run(&CandleCudaF64::open(number)?, golden),
            Self::Slices => case::run_slices(golden),
            Self::Pixels => case::pil_bicubic::run(golden),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why only candle runs networks.
const NO_NETWORKS: &str = "the arena has no networks";

/// Memory for a case: what the file holds, some times over, for intermediate results. Untouched memory costs nothing.
fn arena_elements(golden: &Golden) -> usize {
    (1 << 20) + 4 * golden.data_bytes()
}

/// Which backends to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backends {
    /// `wseg_core` alone: the arena in f32 and f64, and what runs on slices.
    Arena,
    /// candle on the CPU in f32 and f64.
    Candle,
    /// candle on the GPU of this number in f32 and f64.
    Cuda(usize),
    /// All that run on a CPU.
    #[default]
    All,
}

impl Backends {
    /// The names [`from_str`](Self::from_str) knows.
    pub const NAMES: [&'static str; 3] = ["arena", "candle", "all"];

    /// The tensor backends among them.
    #[must_use]
    pub fn tensor_backends(self) -> Vec<Backend> {
        use Backend::{ArenaF32, ArenaF64, CandleF32, CandleF64, CudaF32, CudaF64};
        match self {
            Self::Arena => vec![ArenaF32, ArenaF64],
            Self::Candle => vec![CandleF32, CandleF64],
            Self::Cuda(number) => vec![CudaF32(number), CudaF64(number)],
            Self::All => vec![ArenaF32, ArenaF64, CandleF32, CandleF64],
        }
    }
}

impl FromStr for Backends {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        match name {
            "arena" => Ok(Self::Arena),
            "candle" => Ok(Self::Candle),
            "all" => Ok(Self::All),
            _ => Err(UnknownBackend(name.to_owned())),
        }
    }
}

/// A name that is none of [`Backends::NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("backend `{0}` is unknown, expected arena, candle or all")]
pub struct UnknownBackend(String);

/// What became of a file on a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every output is within the tolerance.
    Ok,
    /// The file cannot be used, its op is not implemented, or an output is off: why, in one sentence.
    Fail(String),
    /// The backend is not meant to have the op: why.
    Skipped(String),
}

/// One line of the report: a file on a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The golden file.
    pub file: PathBuf,
    /// Its op, empty if the file could not be read.
    pub op: String,
    /// The backend; `None` where the file failed before any backend ran.
    pub backend: Option<Backend>,
    /// Largest absolute error over all outputs, `None` if nothing was compared.
    pub absolute_error: Option<f64>,
    /// Largest error over all outputs, as a share of the output's largest expected value; where outputs differ in what
    /// they are allowed, the error that used up most of it.
    pub relative_error: Option<f64>,
    /// Largest relative error allowed there, `None` where no backend ran.
    pub tolerance: Option<f64>,
    /// Expected outputs the backend is not meant to produce, such as gradients without automatic differentiation.
    pub not_applicable: Vec<String>,
    /// What became of it.
    pub verdict: Verdict,
}

impl Row {
    /// Whether the run as a whole failed because of this line.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Fail(_))
    }

    fn without_backend(file: &Path, op: &str, reason: String) -> Self {
        Self {
            file: file.to_path_buf(),
            op: op.to_owned(),
            backend: None,
            absolute_error: None,
            relative_error: None,
            tolerance: None,
            not_applicable: Vec::new(),
            verdict: Verdict::Fail(reason),
        }
    }

    fn of(golden: &Golden, backend: Backend) -> Self {
        let mut row = Self {
            file: golden.path().to_path_buf(),
            op: golden.op().to_owned(),
            backend: Some(backend),
            absolute_error: None,
            relative_error: None,
            tolerance: Some(backend.tolerance()),
            not_applicable: Vec::new(),
            verdict: Verdict::Ok,
        };
        match backend.run(golden) {
            Ok(report) => {
                row.absolute_error = Some(report.absolute);
                row.relative_error = Some(report.tightest.relative);
                row.tolerance = Some(report.tightest.tolerance);
                row.not_applicable = report.not_applicable;
                if !report.complaints.is_empty() {
                    row.verdict = Verdict::Fail(report.complaints.join("; "));
                }
            }
            Err(failure) => row.verdict = Verdict::Fail(failure.into_reason()),
        }
        row
    }

    fn skipped(golden: &Golden, backend: Backend, reason: &str) -> Self {
        Self {
            backend: Some(backend),
            tolerance: Some(backend.tolerance()),
            verdict: Verdict::Skipped(reason.to_owned()),
            ..Self::without_backend(golden.path(), golden.op(), String::new())
        }
    }
}

/// A path that holds no golden files.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A path that is neither a file nor a folder, or a folder that cannot be listed.
    #[error("{}: cannot be read: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without golden files.
    #[error("{}: holds no .safetensors file", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// Runs golden files through backends.
///
/// Folders stand for the `*.safetensors` files directly in them, sorted by name. Every file gets at least one row:
/// one a backend, or one without a backend if the file is not a golden file or its op is not implemented. Bad files
/// are rows that failed, never a panic.
///
/// # Errors
/// [`VerifyError`] if a path does not exist or a folder holds no golden file.
pub fn verify(paths: &[PathBuf], backends: Backends) -> Result<Vec<Row>, VerifyError> {
    let mut rows = Vec::new();
    for file in expand(paths)? {
        rows.extend(verify_file(&file, backends));
    }
    Ok(rows)
}

/// The rows of one file.
#[must_use]
pub fn verify_file(file: &Path, backends: Backends) -> Vec<Row> {
    match Golden::read(file) {
        Ok(golden) => verify_golden(&golden, backends),
        Err(error) => vec![Row::without_backend(file, "", error.to_string())],
    }
}

/// The rows of a golden file already in memory.
#[must_use]
pub fn verify_golden(golden: &Golden, backends: Backends) -> Vec<Row> {
    let op = golden.op();
    if case::is_slice_op(op) {
        return match backends {
            Backends::Arena | Backends::All => vec![Row::of(golden, Backend::Slices)],
            Backends::Candle | Backends::Cuda(_) => backends
                .tensor_backends()
                .into_iter()
                .map(|backend| Row::skipped(golden, backend, "computed by wseg_core on slices, without tensors"))
                .collect(),
        };
    }
    if op == case::pil_bicubic::OP {
        return match backends {
            Backends::Candle | Backends::All => vec![Row::of(golden, Backend::Pixels)],
            Backends::Cuda(_) => vec![Row::skipped(golden, Backend::Pixels, "photos are resized on the CPU")],
            Backends::Arena => vec![Row::skipped(golden, Backend::Pixels, "photos are resized by the runner")],
        };
    }
    if case::is_network_op(op) {
        let row = |backend: Backend| match backend {
            Backend::CandleF32 | Backend::CandleF64 | Backend::CudaF32(_) | Backend::CudaF64(_) => {
                Row::of(golden, backend)
            }
            _ => Row::skipped(golden, backend, NO_NETWORKS),
        };
        return backends.tensor_backends().into_iter().map(row).collect();
    }
    if !case::is_tensor_op(op) {
        return vec![Row::without_backend(golden.path(), op, format!("op `{op}` is not implemented"))];
    }
    backends.tensor_backends().into_iter().map(|backend| Row::of(golden, backend)).collect()
}

/// Files as they are, folders as the golden files in them.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, VerifyError> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |source| VerifyError::Path { path: path.clone(), source };
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "safetensors") && file.is_file() {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            return Err(VerifyError::Empty { path: path.clone() });
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}
