//! Several files that failed while the others were done, told together at the end.

use crate::{Error, Result};

/// `Ok` if nothing failed; a single failure as itself; else one error that names them all: "3 of 12 photos could not be
/// segmented:", if `what` is "photos could not be segmented". It is bad input only if each of them is.
///
/// # Errors
/// If anything failed.
pub(super) fn one_error(mut failures: Vec<Error>, total: usize, what: &str) -> Result<()> {
    if failures.len() < 2 {
        return failures.pop().map_or(Ok(()), Err);
    }
    let told: Vec<String> = failures.iter().map(|error| format!("\n  {error}")).collect();
    let message = format!("{} of {total} {what}:{}", failures.len(), told.concat());
    match failures.iter().all(|error| error.exit_code() == 2) {
        true => Err(Error::Input(message)),
        false => Err(Error::Failed(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_itself_and_several_are_named_with_the_gravest_code() {
        let input = |name: &str| Error::Input(format!("{name}: no such file"));
        assert!(one_error(Vec::new(), 3, "failed").is_ok());
        assert_eq!(one_error(vec![input("a")], 3, "failed").unwrap_err().to_string(), "a: no such file");
        let both = one_error(vec![input("a"), input("b")], 3, "photos failed").unwrap_err();
        assert_eq!(
            (both.to_string().as_str(), both.exit_code()),
            ("2 of 3 photos failed:\n  a: no such file\n  b: no such file", 2)
        );
        assert_eq!(
            one_error(vec![input("a"), Error::Failed("disk full".to_owned())], 3, "x").unwrap_err().exit_code(),
            1
        );
    }
}
