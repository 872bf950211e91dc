//! Several things wrong at once, told together.

use std::path::Path;

use crate::{Error, Result};

/// Collects what is wrong with a set of files, so that a person can mend everything at once.
#[derive(Debug, Default)]
pub struct Problems {
    told: Vec<String>,
    count: usize,
}

impl Problems {
    /// How many problems a message names before it only counts.
    pub const SHOWN: usize = 20;
    /// How many problems are kept before they are only counted: a file that is something else has one a line.
    pub const KEPT: usize = 10_000;

    /// Notes a problem of a file.
    pub fn push(&mut self, path: &Path, problem: impl std::fmt::Display) {
        self.push_error(&Error::input(path, problem));
    }

    /// Notes a problem that names its file already.
    pub fn push_error(&mut self, error: &Error) {
        self.count += 1;
        if self.told.len() < Self::KEPT {
            self.told.push(error.to_string());
        }
    }

    /// Adds the problems of another collection.
    pub fn append(&mut self, other: Self) {
        self.count += other.count;
        self.told.extend(other.told);
        self.told.truncate(Self::KEPT);
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many problems there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The problems, one line each: up to [`Self::KEPT`] of them.
    #[must_use]
    pub fn into_told(self) -> Vec<String> {
        self.told
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
        let count = self.count;
        match count {
            0 => Ok(()),
            1 => Err(Error::Input(self.told.swap_remove(0))),
            _ => {
                let mut message = summary(count);
                message.push(':');
                for problem in self.told.iter().take(shown) {
                    message.push_str("\n  ");
                    message.push_str(problem);
                }
                let shown = shown.min(self.told.len());
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
