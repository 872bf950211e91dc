//! Every golden file of the repository, on every backend.

mod common;

use std::{path::Path, sync::LazyLock};

use common::{fixture, fixtures, rewritten, with_wrong_value};
use wseg_tests::{
    bench::naive::NaiveBench,
    case,
    golden::Golden,
    verify::{Backend, Backends, Row, Verdict, verify, verify_golden},
};

/// Every fixture on every backend; two tests look at it.
static ROWS: LazyLock<Vec<Row>> =
    LazyLock::new(|| verify(&[common::fixture_folder()], Backends::All).expect("the fixtures are readable"));

#[test]
fn every_fixture_is_ok_on_every_backend() {
    for row in ROWS.iter().filter(|row| !without_networks(row)) {
        assert_eq!(row.verdict, Verdict::Ok, "{} on {:?}", row.file.display(), row.backend);
    }
    let alone = |backend| ROWS.iter().filter(|row| row.backend == Some(backend)).count();
    let (on_slices, on_pixels) = (alone(Backend::Slices), alone(Backend::Pixels));
    let tensor_files = fixtures().len() - on_slices - on_pixels;
    assert_eq!(ROWS.len(), 4 * tensor_files + on_slices + on_pixels, "four backends a file, the others once");
    assert!(on_slices >= 3 && on_pixels >= 1, "`metrics`, two of `dense_crf`, `resize`");
}

/// Whether a row is a network's on a backend that has none.
fn without_networks(row: &Row) -> bool {
    case::is_network_op(&row.op) && matches!(row.backend, Some(Backend::ArenaF32 | Backend::ArenaF64))
}

#[test]
fn the_arena_leaves_networks_to_candle() {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| without_networks(row)).collect();
    assert!(rows.len() >= 2, "no network among the fixtures");
    for row in rows {
        assert_eq!(row.verdict, Verdict::Skipped("the arena has no networks".to_owned()), "{}", row.file.display());
    }
}

#[test]
fn candle_checks_every_output_and_the_arena_all_but_gradients() {
    for row in ROWS.iter() {
        let gradients_only = row.not_applicable.iter().all(|output| output.starts_with("grad_"));
        let expected = match row.backend {
            Some(Backend::ArenaF32 | Backend::ArenaF64) => gradients_only,
            _ => row.not_applicable.is_empty(),
        };
        assert!(expected, "{} on {:?} leaves out {:?}", row.file.display(), row.backend, row.not_applicable);
    }
}

/// If a case fails here as well as on a backend, the definition is wrong. The largest files are left to the
/// backends: they hold nothing new and the naive loops are slow.
#[test]
fn the_definitions_alone_agree_with_the_fixtures() {
    const SMALL: usize = 800_000;
    for file in fixtures() {
        let golden = Golden::read(&file).expect("a fixture");
        if case::is_tensor_op(golden.op()) && golden.data_bytes() < SMALL {
            let report = case::run(&NaiveBench, &golden).expect("a case that runs");
            assert!(report.complaints.is_empty(), "{}: {:?}", file.display(), report.complaints);
        }
    }
}

#[test]
fn a_wrong_expected_value_fails_on_every_backend() {
    const SMALL: usize = 130_000;
    let mut tried = 0;
    for file in fixtures() {
        let bytes = std::fs::read(&file).expect("a fixture");
        if bytes.len() > SMALL {
            continue;
        }
        for output in Golden::read(&file).expect("a fixture").outputs() {
            let wrong = with_wrong_value(&bytes, &format!("out.{output}"));
            let golden = Golden::from_bytes(&file, wrong).expect("still a golden file");
            for row in verify_golden(&golden, Backends::All) {
                let caught = row.failed() || row.not_applicable.contains(&output);
                assert!(caught, "{} on {:?}: a wrong `{output}` went unnoticed", file.display(), row.backend);
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} wrong values tried");
}

#[test]
fn a_wrong_value_is_reported_with_its_output_and_size() {
    let file = fixture("stochastic_gate");
    let wrong = with_wrong_value(&std::fs::read(&file).expect("a fixture"), "out.train");
    let golden = Golden::from_bytes(&file, wrong).expect("still a golden file");
    let rows = verify_golden(&golden, Backends::Candle);
    let Verdict::Fail(reason) = &rows[0].verdict else { panic!("{:?}", rows[0]) };
    assert!(reason.contains("`train` (definition)") && reason.contains("allowed 1e-5"), "{reason}");
    let relative = rows[0].relative_error.expect("compared");
    assert!((relative - 1e-3).abs() < 2e-5, "{relative}");
}

#[test]
fn a_file_whose_op_is_not_implemented_fails_and_says_so() {
    let golden = rewritten("stochastic_gate", "stochastic_gate", "perfectly_new_op");
    let rows = verify_golden(&golden, Backends::All);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].verdict, Verdict::Fail("op `perfectly_new_op` is not implemented".to_owned()));
}

#[test]
fn an_output_that_no_check_knows_fails() {
    let golden = rewritten("stochastic_gate", "out.train", "out.tr_in");
    for row in verify_golden(&golden, Backends::All) {
        let Verdict::Fail(reason) = row.verdict else { panic!("{row:?}") };
        assert!(reason.contains("`tr_in` is not known"), "{reason}");
    }
}

#[test]
fn what_runs_on_slices_is_not_meant_for_candle() {
    let rows = verify(&[fixture("metrics"), fixture("dense_crf_small")], Backends::Candle).expect("a fixture");
    assert!(rows.iter().all(|row| matches!(row.verdict, Verdict::Skipped(_))), "{rows:?}");
}

#[test]
fn a_resize_must_be_equal_and_of_the_size_in_its_name() {
    let file = fixture("resize");
    let golden = Golden::read(&file).expect("a fixture");
    assert!(verify_golden(&golden, Backends::Arena).iter().all(|row| matches!(row.verdict, Verdict::Skipped(_))));
    let mut wrong = std::fs::read(&file).expect("a fixture");
    // The last byte of the file is one of `bicubic_96x72`.
    *wrong.last_mut().expect("a fixture") ^= 1;
    let golden = Golden::from_bytes(&file, wrong).expect("still a golden file");
    let Verdict::Fail(reason) = &verify_golden(&golden, Backends::All)[0].verdict else { panic!("it passed") };
    assert!(reason.contains("`bicubic_96x72`"), "{reason}");
    let renamed = rewritten("resize", "out.bicubic_64x48", "out.bicubic_48x64");
    let Verdict::Fail(reason) = &verify_golden(&renamed, Backends::Candle)[0].verdict else { panic!("it passed") };
    assert!(reason.contains("has shape [64, 48, 3], expected [48, 64, 3]"), "{reason}");
    let nameless = rewritten("resize", "out.bicubic_64x48", "out.bicubic_huge!");
    let Verdict::Fail(reason) = &verify_golden(&nameless, Backends::Candle)[0].verdict else { panic!("it passed") };
    assert!(reason.contains("not called bicubic_WIDTHxHEIGHT"), "{reason}");
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    let error = verify(&["nowhere/at/all".into()], Backends::All).expect_err("no such path").to_string();
    assert!(error.starts_with("nowhere/at/all: cannot be read: "), "{error}");
}

#[test]
fn a_folder_without_golden_files_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let error = verify(&[folder], Backends::All).expect_err("only sources in there").to_string();
    assert!(error.ends_with("holds no .safetensors file"), "{error}");
}
