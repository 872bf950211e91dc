//! Several things wrong at once, told together.

use std::path::Path;

use crate::{Error, Result};

/// Collects what is wrong with a set of files, so that a person can mend everything at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// How many problems a message names before it only counts.
    pub const SHOWN: usize = 20;

    /// Notes a problem of a file.
    pub fn push(&mut self, path: &Path, problem: impl std::fmt::Display) {
        self.0.push(Error::input(path, problem).to_string());
    }

    /// Notes a problem that names its file already.
    pub fn push_error(&mut self, error: &Error) {
        self.0.push(error.to_string());
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the collection, naming up to [`Self::SHOWN`] problems.
    ///
    /// # Errors
    /// The problem itself if there is one only; else `summary` of their number, and one a line.
    pub fn into_result(self, summary: impl FnOnce(usize) -> String) -> Result<()> {
        self.into_result_showing(Self::SHOWN, summary)
    }

    /// Ends the collection, naming every problem.
    ///
    /// # Errors
    /// As [`Self::into_result`].
    pub fn into_result_with_all(self, summary: impl FnOnce(usize) -> String) -> Result<()> {
        self.into_result_showing(usize::MAX, summary)
    }

    fn into_result_showing(mut self, shown: usize, summary: impl FnOnce(usize) -> String) -> Result<()> {
        let count = self.0.len();
        match count {
            0 => Ok(()),
            1 => Err(Error::Input(self.0.swap_remove(0))),
            _ => {
                let mut message = summary(count);
                message.push(':');
                for problem in self.0.iter().take(shown) {
                    message.push_str("\n  ");
                    message.push_str(problem);
                }
                if count > shown {
                    message.push_str(&format!("\n  and {} more", count - shown));
                }
                Err(Error::Input(message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(count: usize) -> String {
        let mut problems = Problems::default();
        for index in 0..count {
            problems.push(Path::new(&format!("{index}.png")), "no such file");
        }
        problems.into_result(|count| format!("{count} masks cannot be used")).unwrap_err().to_string()
    }

    #[test]
    fn one_problem_is_one_line() {
        assert_eq!(message(1), "0.png: no such file");
    }

    #[test]
    fn many_problems_are_counted_and_the_first_are_named() {
        let text = message(23);
        assert!(text.starts_with("23 masks cannot be used:\n  0.png: no such file\n"), "{text}");
        assert!(text.ends_with("19.png: no such file\n  and 3 more"), "{text}");
        assert!(!message(20).contains("more"));
    }
}
