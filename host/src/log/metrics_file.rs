//! Reading `metrics.jsonl` back: perhaps of a run that was killed, perhaps no such file at all.

use std::{fs::File, io::Read as _, path::Path};

use super::EpochLog;
use crate::{Error, Result, data::reason};

/// A log of a million epochs takes less; a larger file is none.
const MAX_BYTES: u64 = 256 << 20;
/// So much of a foreign line is quoted.
const QUOTED: usize = 80;

/// What was logged of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// The epochs, in rising order. Where an epoch was logged twice, because a run went on from an earlier one, what
    /// came later counts.
    pub epochs: Vec<EpochLog>,
    /// Whether the last line was cut off and left out, as a killed run leaves it.
    pub cut_off: bool,
}

/// Reads a `metrics.jsonl`.
///
/// # Errors
/// If the file cannot be read, or a line other than a cut-off last one is not an epoch; the error names file and line.
pub fn read_metrics(path: &Path) -> Result<Metrics> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Error::input(path, reason(&error)))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Error::input(path, reason(&error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::input(path, format!("larger than {} MB, so no log of a training", MAX_BYTES >> 20)));
    }
    parse_metrics(&bytes).map_err(|problem| Error::input(path, problem))
}

/// Reads the bytes of a `metrics.jsonl`.
///
/// # Errors
/// What is wrong with which line, as a sentence.
pub fn parse_metrics(bytes: &[u8]) -> Result<Metrics, String> {
    let mut metrics = Metrics { epochs: Vec::new(), cut_off: false };
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<EpochLog>(line) {
            Ok(log) => {
                while metrics.epochs.pop_if(|earlier| earlier.epoch >= log.epoch).is_some() {}
                metrics.epochs.push(log);
            }
            // Every whole line ends in a newline: what comes after the last one was cut off. Zeros are what some file
            // systems leave of a line that did not reach the disk.
            Err(error) if lines.peek().is_none() && (error.is_eof() || line.contains(&0)) => metrics.cut_off = true,
            Err(error) => return Err(foreign(index + 1, line, &error)),
        }
    }
    Ok(metrics)
}

fn foreign(number: usize, line: &[u8], error: &serde_json::Error) -> String {
    // The library adds a place within this one line, which would be taken for a place in the file.
    let problem = error.to_string();
    let problem = quoted(problem.split(" at line ").next().unwrap_or_default().as_bytes());
    format!("line {number} is not an epoch that `wseg train` logged ({problem}): {}", quoted(line))
}

/// The beginning of foreign bytes, fit to be printed.
fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(8 * QUOTED)]);
    text.chars().filter(|letter| !letter.is_control()).take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = r#"{"epoch":1,"step":2,"rate":0.1,"loss_classification":0.7,"photos_per_second":9.5}"#;

    fn read(text: impl AsRef<[u8]>) -> Result<Metrics> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_metrics(file.path())
    }

    fn two() -> String {
        ONE.replace("\"epoch\":1", "\"epoch\":2")
    }

    #[test]
    fn a_log_cut_at_any_byte_gives_its_whole_lines() {
        let text = format!("{ONE}\n{}\n", two());
        for length in 0..=text.len() {
            let metrics = read(&text[..length]).unwrap();
            let whole = usize::from(length >= ONE.len()) + usize::from(length + 1 >= text.len());
            assert_eq!(metrics.epochs.len(), whole, "{length}");
            let within = ![0, ONE.len(), ONE.len() + 1, text.len() - 1, text.len()].contains(&length);
            assert_eq!(metrics.cut_off, within, "{length}");
        }
    }

    #[test]
    fn zeros_at_the_end_are_a_line_that_was_cut_off() {
        let metrics = read(format!("{ONE}\n{{\"epo\0\0\0")).unwrap();
        assert_eq!((metrics.epochs.len(), metrics.cut_off), (1, true));
    }

    #[test]
    fn foreign_content_is_named_with_its_line() {
        for (text, part) in [
            (format!("{ONE}\ndear diary\n"), "line 2 is not an epoch"),
            (format!("{ONE}\n{{\"epoch\":2}}\n"), "missing field"),
            (format!("{ONE}\n{{\"epoch\":2}}"), "missing field"),
            (format!("{{\"epoch\":1,\n{ONE}\n"), "line 1"),
            ("{\"epoch\":-1}".to_owned(), "line 1"),
            ("[".repeat(1 << 20) + "\n", "line 1"),
            (format!("{{\"epoch\":\"{}\"}}\n", "x\\n".repeat(1 << 20)), "invalid type"),
            ("\u{1b}[31mred\n".to_owned(), "[31mred"),
        ] {
            let error = read(&text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(message.contains(part) && message.lines().count() == 1 && message.len() < 400, "{message}");
        }
        assert!(read([0xff, 0xfe, b'\n']).unwrap_err().to_string().contains("line 1"));
        assert!(read_metrics(Path::new("/no/metrics.jsonl")).unwrap_err().to_string().ends_with("no such file"));
    }

    #[test]
    fn what_was_logged_again_counts() {
        let again = ONE.replace("0.7", "0.6");
        let metrics = read(format!("{ONE}\n{}\n{again}\n", two())).unwrap();
        assert_eq!(metrics.epochs.len(), 1);
        assert_eq!(metrics.epochs[0].loss_classification, Some(0.6));
    }

    proptest! {
        #[test]
        fn any_bytes_are_epochs_in_order_or_one_sentence(
            pieces in prop::collection::vec(
                prop_oneof![
                    (0..ONE.len(), 0..ONE.len()).prop_map(|(a, b)| ONE.as_bytes()[a.min(b)..a.max(b)].to_vec()),
                    (0..5_u8).prop_map(|epoch| ONE.replace(":1,", &format!(":{epoch},")).into_bytes()),
                    Just(b"\n".to_vec()),
                    prop::collection::vec(any::<u8>(), 0..20),
                ],
                0..12,
            ),
        ) {
            match parse_metrics(&pieces.concat()) {
                Ok(metrics) => prop_assert!(metrics.epochs.is_sorted_by(|one, next| one.epoch < next.epoch)),
                Err(sentence) => prop_assert!(sentence.lines().count() == 1 && sentence.len() < 1000, "{sentence}"),
            }
        }
    }

    #[test]
    fn fields_of_other_versions_are_no_obstacle() {
        assert_eq!(read(ONE.replace('{', "{\"waited\":0.5,")).unwrap().epochs.len(), 1);
    }
}
