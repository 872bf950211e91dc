//! What the tests of this crate share.

use std::path::PathBuf;

use proptest::test_runner::{Config, RngSeed, TestRunner};

/// The golden files of the repository, sorted.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
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
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn fixture_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A golden file of the repository.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn fixture(name: &str) -> PathBuf {
    fixture_folder().join(format!("{name}.safetensors"))
}

/// A property runner whose random cases are the same in every run: a suite that gates changes must not fail by
/// chance. `PROPTEST_RNG_SEED` explores others.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2020),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    TestRunner::new(Config { rng_seed, ..config })
}

/// Turns functions generic over the backend, `fn claim<B: Bench>(bench: &B) -> Result<(), Failure>`, into one test
/// a backend. Backends that differentiate and those that do not are told apart by `Bench::gradient`.
#[allow(unused_macros, reason = "each test binary uses its part of this module")]
macro_rules! on_every_backend {
    ($($claim:ident),+ $(,)?) => {
        on_every_backend!(@arena arena_f32, ArenaF32, $($claim),+);
        on_every_backend!(@arena arena_f64, ArenaF64, $($claim),+);
        on_every_backend!(@plain candle_f32, candle::CandleF32, $($claim),+);
        on_every_backend!(@plain candle_f64, candle::CandleF64, $($claim),+);
        on_every_backend!(@plain naive_f64, naive::NaiveBench, $($claim),+);
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

#[allow(unused_imports, reason = "each test binary uses its part of this module")]
pub(crate) use on_every_backend;
