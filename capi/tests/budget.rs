//! The release build of the C library: how much code each call brings, and that none of it panics.

#![cfg(all(unix, not(miri)))]

mod common;

use common::{script, text};

/// KiB of code that the documentation of the core allows for a call.
fn allowed(call: &str) -> usize {
    let name = call.strip_prefix("wseg_").unwrap_or("the whole C library");
    let linked = format!("[`{name}`]");
    let rows = include_str!("../../core/src/slices/mod.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let row = rows.filter(|row| row.starts_with(&linked) || row.starts_with(name)).filter_map(|row| {
        let mut cells = row.trim_end_matches(['|', ' ']).rsplit('|');
        cells.next()?.trim().parse().ok()
    });
    row.max().unwrap_or_else(|| panic!("no budget for {call}"))
}

/// Measures the library of a target: every call keeps to its budget, and (the script sees to it) none can panic.
#[track_caller]
fn assert_budgets(target: &[&str]) {
    let Some(output) = script("budget.sh", target) else { return };
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let mut measured = 0;
    for line in said.lines() {
        let (call, bytes) = line.split_once(' ').expect("a call and its bytes");
        let helper = call.ends_with("_scratch") || call.ends_with("_fast") || call.ends_with("_default");
        if helper || ["wseg_version", "wseg_status_text"].contains(&call) {
            continue;
        }
        let (bytes, budget): (usize, usize) = (bytes.parse().expect("a number"), 1024 * allowed(call));
        assert!(bytes <= budget, "{call} has {bytes} bytes of code, more than {budget}");
        // A budget that says nothing is none.
        assert!(3 * bytes > budget, "{call} has {bytes} bytes of code, far less than {budget}");
        measured += 1;
    }
    assert_eq!(measured, 13, "twelve calls and all together: {said}");
}

#[test]
fn code_keeps_to_its_budget_and_cannot_panic_here() {
    if cfg!(target_arch = "x86_64") {
        assert_budgets(&[]);
    } else {
        println!("skipped: the budgets are those of x86-64");
    }
}

#[test]
fn code_keeps_to_its_budget_and_cannot_panic_on_a_microcontroller() {
    assert_budgets(&["thumbv7em-none-eabihf"]);
}

/// A library whose arithmetic is checked can panic: the script must say so.
#[test]
fn a_panic_would_be_found() {
    let Some(output) = script("budget.sh", &["thumbv7em-none-eabihf", "--control"]) else { return };
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a panic can be reached from: wseg_"), "{said}");
}
