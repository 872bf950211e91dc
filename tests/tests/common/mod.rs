//! What the tests of this crate share.

#![allow(dead_code, unused_macros, unused_imports, reason = "each test binary uses its part of this module")]

use std::path::PathBuf;

use proptest::{
    prelude::{Strategy, TestCaseError},
    test_runner::{Config, RngSeed, TestRunner},
};
use safetensors::{Dtype, SafeTensors};
use wseg_core::Shape;
use wseg_tests::{bench::Bench, failure::Failure, golden::Golden, report::Distance};

/// The golden files of the repository, sorted.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let folder = fixture_folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    files.sort();
    files
}

/// Where the golden files are.
pub(crate) fn fixture_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A golden file of the repository.
pub(crate) fn fixture(name: &str) -> PathBuf {
    fixture_folder().join(format!("{name}.safetensors"))
}

/// Holds a claim for random cases, the same in every run: a suite that gates changes must not fail by chance.
/// `PROPTEST_RNG_SEED` explores others, `PROPTEST_CASES` more.
pub(crate) fn for_all<S: Strategy>(
    strategy: S,
    claim: impl Fn(S::Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for_all_of(24, strategy, claim)
}

/// As [`for_all`], with that many cases.
pub(crate) fn for_all_of<S: Strategy>(
    cases: u32,
    strategy: S,
    claim: impl Fn(S::Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let explore = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config { failure_persistence: None, ..Config::default() };
    let cases = if explore { config.cases } else { cases };
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2020),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    TestRunner::new(Config { cases, rng_seed, ..config })
        .run(&strategy, |case| claim(case).map_err(|failure| TestCaseError::fail(failure.into_reason())))
        .map_err(|error| Failure::new(error.to_string()))
}

/// Small shapes and a seed for what fills them.
pub(crate) fn maps() -> impl Strategy<Value = (Shape, u64)> {
    ((1_usize..=2, 1_usize..=5, 1_usize..=9, 1_usize..=9), proptest::num::u64::ANY)
        .prop_map(|((n, c, h, w), seed)| (Shape::new(n, c, h, w), seed))
}

/// Mostly small shapes, sometimes maps of more pixels or channels than a kernel works on at once.
pub(crate) fn maps_beyond_a_tile() -> impl Strategy<Value = (Shape, u64)> {
    let large = ((1_usize..=2, 1_usize..=23, 20_usize..=30, 20_usize..=40), proptest::num::u64::ANY)
        .prop_map(|((n, c, h, w), seed)| (Shape::new(n, c, h, w), seed));
    proptest::prelude::prop_oneof![3 => maps(), 1 => large]
}

/// The file's bytes with the middle element of one array moved by a thousandth of the array's largest value, or of 1
/// where all are 0.
pub(crate) fn with_wrong_value(bytes: &[u8], array: &str) -> Vec<u8> {
    let (header, metadata) = SafeTensors::read_metadata(bytes).expect("a fixture");
    let info = metadata.info(array).expect("an array of the fixture");
    let (start, end) = (8 + header + info.data_offsets.0, 8 + header + info.data_offsets.1);
    let mut wrong = bytes.to_vec();
    let data = &mut wrong[start..end];
    match info.dtype {
        Dtype::U8 => {
            let middle = data.len() / 2;
            data[middle] ^= 1;
        }
        Dtype::F32 => {
            let (values, _) = data.as_chunks_mut::<4>();
            let largest = values.iter().map(|value| f32::from_le_bytes(*value).abs()).fold(0.0, f32::max);
            let middle = values.len() / 2;
            values[middle] = (f32::from_le_bytes(values[middle]) + 1e-3 * largest).to_le_bytes();
        }
        Dtype::F64 => {
            let (values, _) = data.as_chunks_mut::<8>();
            let largest = values.iter().map(|value| f64::from_le_bytes(*value).abs()).fold(0.0, f64::max);
            let largest = if largest == 0.0 { 1.0 } else { largest };
            let middle = values.len() / 2;
            values[middle] = (f64::from_le_bytes(values[middle]) + 1e-3 * largest).to_le_bytes();
        }
        other => panic!("{array} is {other:?}"),
    }
    wrong
}

/// A fixture with one text of its header replaced by another; the header's length follows.
pub(crate) fn rewritten(name: &str, from: &str, to: &str) -> Golden {
    let file = fixture(name);
    let bytes = std::fs::read(&file).expect("a fixture");
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length) as usize).expect("a header");
    let header = std::str::from_utf8(&bytes[8..8 + length]).expect("a text header").replace(from, to);
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header.as_bytes());
    changed.extend(&bytes[8 + length..]);
    Golden::from_bytes(&file, changed).expect("still a golden file")
}

/// Fails with a sentence unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)+) => {
        // Bound first, so that a comparison with NaN fails and does not pass.
        let holds: bool = $condition;
        if !holds {
            return Err(wseg_tests::failure::Failure::new(format!($($sentence)+)));
        }
    };
}
pub(crate) use ensure;

/// Two lists of values that differ by at most the backend's tolerance, as a share of the largest expected value or
/// of `scale`, the size of the terms they are sums of, where that is larger.
pub(crate) fn near<B: Bench>(what: &str, computed: &[f64], expected: &[f64], scale: f64) -> Result<(), Failure> {
    let allowed = B::TOLERANCE * expected.iter().fold(scale, |peak, value| peak.max(value.abs()));
    let distance = Distance::between(computed, expected).absolute;
    ensure!(distance <= allowed, "{what}: off by {distance:e}, allowed {allowed:e}");
    Ok(())
}

/// As [`near`], for tensors, which must agree in shape.
pub(crate) fn near_tensors<B: Bench>(
    bench: &B,
    what: &str,
    computed: &B::T,
    expected: &B::T,
    scale: f64,
) -> Result<(), Failure> {
    use wseg_core::Tensor;
    ensure!(computed.shape() == expected.shape(), "{what}: shape {} for {}", computed.shape(), expected.shape());
    near::<B>(what, &bench.read(computed)?, &bench.read(expected)?, scale)
}

/// Turns functions generic over the backend, `fn claim<B: Bench>(bench: &B) -> Result<(), Failure>`, into one test
/// a backend.
macro_rules! on_every_backend {
    ($($claim:ident),+ $(,)?) => {
        on_every_backend!(@arena arena_f32, ArenaF32, $($claim),+);
        on_every_backend!(@arena arena_f64, ArenaF64, $($claim),+);
        on_every_backend!(@plain candle_f32, candle::CandleF32, $($claim),+);
        on_every_backend!(@plain candle_f64, candle::CandleF64, $($claim),+);
        on_every_backend!(@plain naive_f64, naive::NaiveBench, $($claim),+);
        on_every_backend!(@cuda cuda_f32, CandleCudaF32, $($claim),+);
        on_every_backend!(@cuda cuda_f64, CandleCudaF64, $($claim),+);
    };
    (@cuda $name:ident, $bench:ident, $($claim:ident),+) => {
        #[cfg(feature = "cuda")]
        mod $name {
            $(#[test]
            fn $claim() -> Result<(), wseg_tests::failure::Failure> {
                wseg_tests::bench::candle_cuda::$bench::where_there_is_one(super::$claim)
            })+
        }
    };
    (@arena $name:ident, $bench:ident, $($claim:ident),+) => {
        mod $name {
            $(#[test]
            fn $claim() -> Result<(), wseg_tests::failure::Failure> {
                wseg_tests::bench::arena::$bench::with_memory(1 << 20, |bench| super::$claim(&bench))
            })+
        }
    };
    (@plain $name:ident, $module:ident::$bench:ident, $($claim:ident),+) => {
        mod $name {
            $(#[test]
            fn $claim() -> Result<(), wseg_tests::failure::Failure> {
                super::$claim(&wseg_tests::bench::$module::$bench)
            })+
        }
    };
}

pub(crate) use on_every_backend;
