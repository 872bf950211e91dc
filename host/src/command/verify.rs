//! `wseg verify`: golden files through the backends.

use candle_core::DeviceLocation;
use serde_json::json;
use wseg_tests::verify::{Backends, Row, Verdict, verify};

use crate::{
    Error, Result,
    args::{BackendChoice, VerifyArgs},
    console::{Console, Paint},
};

/// Prints a line a file and backend.
///
/// # Errors
/// A path cannot be read (bad input), or a line says FAIL (failed).
pub fn run(args: &VerifyArgs, console: &Console) -> Result<()> {
    let device = super::open(args.device, console)?;
    let backends: &[Backends] = match (args.backend, device.location()) {
        (BackendChoice::Arena, _) => &[Backends::Arena],
        (BackendChoice::Candle, DeviceLocation::Cuda { gpu_id }) => &[Backends::Cuda(gpu_id)],
        (BackendChoice::Candle, _) => &[Backends::Candle],
        (BackendChoice::All, DeviceLocation::Cuda { gpu_id }) => &[Backends::All, Backends::Cuda(gpu_id)],
        (BackendChoice::All, _) => &[Backends::All],
    };
    let (mut count, mut failed) = (0, 0);
    // Path by path, so that the lines of the first are seen while the others run.
    for (path, &backends) in args.paths.iter().flat_map(|path| backends.iter().map(move |backends| (path, backends))) {
        let rows = verify(std::slice::from_ref(path), backends).map_err(|error| Error::Input(error.to_string()))?;
        for row in &rows {
            console.print(if args.json { json_line(row) } else { text_line(row, console.paint()) });
        }
        count += rows.len();
        failed += rows.iter().filter(|row| row.failed()).count();
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Error::Failed(format!("{failed} of {count} checks failed")))
}

fn text_line(row: &Row, paint: Paint) -> String {
    let file = row.file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let backend = row.backend.map_or("-", |backend| backend.name());
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1e}"));
    let op = if row.op.is_empty() { "-" } else { &row.op };
    let mut line = format!(
        "{file:<36} {op:<18} {backend:<10}  abs {:>8}  rel {:>8}  tol {:>8}  ",
        number(row.absolute_error),
        number(row.relative_error),
        number(row.tolerance),
    );
    match &row.verdict {
        Verdict::Ok => line.push_str(&paint.good("ok")),
        Verdict::Fail(reason) => line.push_str(&format!("{}: {reason}", paint.bad("FAIL"))),
        Verdict::Skipped(reason) => line.push_str(&paint.faint(format_args!("skipped: {reason}"))),
    }
    if !row.not_applicable.is_empty() {
        line.push_str(&paint.faint(format_args!("  (without {})", row.not_applicable.join(", "))));
    }
    line
}

/// One object; errors that are not finite are `null`.
fn json_line(row: &Row) -> String {
    let (verdict, reason) = match &row.verdict {
        Verdict::Ok => ("ok", None),
        Verdict::Fail(reason) => ("FAIL", Some(reason)),
        Verdict::Skipped(reason) => ("skipped", Some(reason)),
    };
    json!({
        "file": row.file.to_string_lossy(),
        "op": row.op,
        "backend": row.backend.map(|backend| backend.name()),
        "absolute_error": row.absolute_error,
        "relative_error": row.relative_error,
        "tolerance": row.tolerance,
        "not_applicable": row.not_applicable,
        "verdict": verdict,
        "reason": reason,
    })
    .to_string()
}
