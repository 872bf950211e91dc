//! Values of flags: what is out of range is refused while the command line is read.

use std::str::FromStr;

/// One `KEY=VALUE` of `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// What is set.
    pub key: String,
    /// To what, as written.
    pub value: String,
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || value.is_empty() {
            return Err("write it as KEY=VALUE, neither of them empty".into());
        }
        Ok(Self { key: key.into(), value: value.into() })
    }
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| "not a number".into())
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    number(text).and_then(|value| if value > 0.0 { Ok(value) } else { Err("must be more than 0".into()) })
}

pub(super) fn scale(text: &str) -> Result<f64, String> {
    number(text).and_then(|value| {
        if (0.05..=16.0).contains(&value) { Ok(value) } else { Err("a scale is between 0.05 and 16".into()) }
    })
}

pub(super) fn fraction(text: &str) -> Result<f64, String> {
    number(text)
        .and_then(|value| if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("must be between 0 and 1".into()) })
}

pub(super) fn thread_count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("a whole number from 1 to 1024".into()),
    }
}

pub(super) fn tile_side(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(side @ 64..=16384) => Ok(side),
        _ => Err("a whole number from 64 to 16384".into()),
    }
}

pub(super) fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("a whole number from 1 to 1024".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_needs_a_key_and_a_value() {
        let setting: KeyValue = "pamr.iterations = 5".parse().unwrap();
        assert_eq!((setting.key.as_str(), setting.value.as_str()), ("pamr.iterations", "5"));
        assert_eq!("a=b=c".parse::<KeyValue>().unwrap().value, "b=c");
        for bad in ["rate", "=1", "rate=", " = "] {
            assert!(bad.parse::<KeyValue>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(scale("0").is_err() && scale("nan").is_err() && scale("1.5").is_ok());
        assert!(positive("0").is_err() && positive("inf").is_err() && positive("3").is_ok());
        assert!(fraction("1.01").is_err() && fraction("0.3").is_ok());
        assert!(thread_count("0").is_err() && thread_count("2").is_ok());
    }
}
