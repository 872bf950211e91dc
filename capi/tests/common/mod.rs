//! Runs the scripts of this folder.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The exit code by which a script says that a tool is missing.
const MISSING: i32 = 77;

/// What a script did, `None` if a tool is missing: then the test says so and is skipped, but with `WSEG_NO_SKIP` set it
/// fails.
pub(crate) fn script(name: &str, arguments: &[&str]) -> Option<Output> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let output = Command::new("sh").arg(&path).args(arguments).output().expect("a shell");
    if output.status.code() != Some(MISSING) {
        return Some(output);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let reason = said.lines().last().unwrap_or_default();
    assert!(std::env::var_os("WSEG_NO_SKIP").is_none(), "{name} {arguments:?}: {reason}");
    println!("skipped: {name} {arguments:?}: {reason}");
    None
}

/// What a script printed, both ways.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}
