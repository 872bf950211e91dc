//! The examples run, each by the command that the README names.

#![cfg(all(unix, not(miri)))]

mod common;

use common::{script, text};

/// Runs an example; what it printed, `None` if a tool is missing.
fn run(example: &str) -> Option<String> {
    let output = script("examples/run.sh", &[example])?;
    assert!(output.status.success(), "{}", text(&output));
    Some(text(&output))
}

/// Runs an example with one expected value changed: it must notice.
#[track_caller]
fn assert_notices(example: &str, outputs: usize) {
    let Some(output) = script("examples/run.sh", &[example, "--wrong"]) else { return };
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("FAIL classification_small") && said.contains(&format!("1 of {outputs} outputs differ")),
        "{said}"
    );
}

#[test]
fn a_c_program_refines_a_mask() {
    let Some(said) = run("c") else { return };
    assert!(said.contains("before") && said.contains("####"), "{said}");
}

#[test]
fn a_python_script_refines_a_mask() {
    let Some(said) = run("python") else { return };
    assert!(said.contains("before"), "{said}");
}

#[test]
fn a_python_module_is_pydensecrf() {
    let Some(said) = run("python-crf") else { return };
    assert!(said.contains("ok   dense_crf_small") && said.contains("ok   labels"), "{said}");
}

#[test]
fn a_webassembly_module_passes_the_golden_cases() {
    let Some(said) = run("wasm") else { return };
    assert!(said.contains("all 23 outputs"), "{said}");
    assert_notices("wasm", 23);
}

#[test]
fn a_microcontroller_passes_the_golden_cases() {
    let Some(said) = run("firmware") else { return };
    assert!(said.contains("0 of 20 outputs differ"), "{said}");
    assert_notices("firmware", 20);
}
