//! SBD's masks: the struct `GTcls`, whose field `Segmentation` holds a class a pixel, column by column.

use std::path::Path;

use super::{Class, MatError, MatFile, Matrix};
use crate::{Error, Result, data::reason, picture::LabelMap};

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Longest side of a mask, in pixels: that of a photo.
const MAX_SIDE: usize = 32_768;

/// Whether a file's name is that of a MAT file.
#[must_use]
pub fn is_mat(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("mat"))
}

/// Reads a mask of SBD.
///
/// # Errors
/// One sentence naming the file if it is missing, too large, no MAT file, corrupt, or holds something else.
pub fn read_gtcls(path: &Path) -> Result<LabelMap> {
    let found = std::fs::metadata(path).map_err(|error| Error::input(path, reason(&error)))?;
    if !found.is_file() {
        return Err(Error::input(path, "is not a file; a MATLAB file is needed"));
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(Error::input(path, format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, reason(&error)))?;
    decode_gtcls(&bytes).map_err(|error| Error::input(path, error))
}

/// The mask in the bytes of a MAT file.
///
/// # Errors
/// [`MatError`] if they are no MAT file of level 5, corrupt, or hold no `GTcls`.
pub fn decode_gtcls(bytes: &[u8]) -> Result<LabelMap, MatError> {
    let mut others = Vec::new();
    for variable in MatFile::open(bytes)?.variables() {
        let variable = variable?;
        let matrix = variable.matrix()?;
        if matrix.name() == "GTcls" {
            let segmentation = matrix.field("Segmentation")?;
            let segmentation = segmentation
                .ok_or_else(|| MatError::NotGtcls("`GTcls` is no struct with a field `Segmentation`".into()))?;
            return mask(&segmentation);
        }
        others.push(matrix.name());
    }
    let held = match others.as_slice() {
        [] => "nothing".into(),
        [shown @ .., last] if others.len() <= 3 => {
            shown.iter().map(|name| format!("`{name}`, ")).collect::<String>() + &format!("`{last}`")
        }
        several => format!("{} other variables", several.len()),
    };
    Err(MatError::NotGtcls(format!("it holds no variable `GTcls`, but {held}")))
}

/// An array of classes, turned from columns to rows.
fn mask(array: &Matrix<'_>) -> Result<LabelMap, MatError> {
    let not = |problem: &str| MatError::NotGtcls(format!("`Segmentation` {problem}"));
    let (height, width) = match (array.class(), array.dims()) {
        (Class::Numeric, &[height, width]) if height > 0 && width > 0 => (height, width),
        (Class::Numeric, _) => return Err(not("has not two axes, or is empty")),
        _ => return Err(not("is no array of numbers")),
    };
    if height > MAX_SIDE || width > MAX_SIDE {
        return Err(MatError::TooMany { what: "pixels in a row or column", limit: MAX_SIDE });
    }
    let numbers = array.numbers()?.ok_or_else(|| not("has complex numbers"))?;
    let mut labels = vec![0; height * width];
    for (place, value) in numbers.enumerate() {
        let label = value as u8;
        // NaN, fractions and what a byte cannot hold are no classes.
        if f64::from(label) != value {
            return Err(not("holds a number that is no class"));
        }
        labels[place % height * width + place / height] = label;
    }
    Ok(LabelMap { width, height, labels })
}
