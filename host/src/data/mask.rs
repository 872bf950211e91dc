//! Masks as files: PNG, or MATLAB's files as SBD has them.

use std::path::{Path, PathBuf};

use super::mat;
use crate::{Result, picture};

/// Endings that masks have, as they are looked for.
pub const ENDINGS: [&str; 2] = ["png", "mat"];

/// The mask called `name` in a folder, whatever its ending.
#[must_use]
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    ENDINGS.iter().map(|ending| folder.join(format!("{name}.{ending}"))).find(|path| path.is_file())
}

/// Whether a file's name is that of a mask.
#[must_use]
pub fn is_mask(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Width and height of a mask. Of a PNG only the header is decoded.
///
/// # Errors
/// As [`picture::read_mask`].
pub fn mask_size(path: &Path) -> Result<(u32, u32)> {
    if !mat::is_mat(path) {
        return picture::photo_size(path);
    }
    let mask = picture::read_mask(path)?;
    // The reader's limits are far below what u32 holds.
    Ok((mask.width as u32, mask.height as u32))
}
