//! The masks in a folder, by name, whatever case their endings have.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    data::{mask, reason, require_folder},
};

/// A folder's masks by name.
pub(super) struct Masks {
    folder: PathBuf,
    by_name: BTreeMap<String, PathBuf>,
}

impl Masks {
    /// Looks for true masks: PNG, or MATLAB's files of SBD.
    pub(super) fn truth(folder: &Path) -> Result<Self> {
        Self::open(folder, mask::is_mask)
    }

    /// Looks for predicted masks, which are PNG.
    pub(super) fn predicted(folder: &Path) -> Result<Self> {
        Self::open(folder, |path| mask::is_mask(path) && !crate::data::mat::is_mat(path))
    }

    fn open(folder: &Path, is_mask: impl Fn(&Path) -> bool) -> Result<Self> {
        require_folder(folder)?;
        let refused = |error: std::io::Error| Error::input(folder, reason(&error));
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            if is_mask(&path) {
                paths.push(path);
            }
        }
        // Of several with one name, the first of `mask::ENDINGS`, in small letters, wins, as everywhere else.
        paths.sort_by_key(|path| {
            let ending = path.extension().unwrap_or_default();
            let place = mask::ENDINGS.iter().position(|known| ending == *known);
            (std::cmp::Reverse(place.unwrap_or(usize::MAX)), path.clone())
        });
        let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder: folder.to_owned(), by_name: paths.into_iter().map(|path| (name(&path), path)).collect() })
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// There is no mask.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        if self.by_name.is_empty() {
            return Err(Error::input(&self.folder, "no masks (NAME.png or NAME.mat) in this folder"));
        }
        Ok(self.by_name.keys().cloned().collect())
    }

    /// Whether there is a mask of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name) || mask::find(&self.folder, name).is_some()
    }

    /// The names of masks that `names`, which are sorted, lack.
    pub(super) fn beyond(&self, names: &[String]) -> Vec<&str> {
        self.by_name.keys().filter(|name| names.binary_search(name).is_err()).map(String::as_str).collect()
    }

    /// The path of a mask; for one that is missing, the path it should have.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let found = self.by_name.get(name).cloned().or_else(|| mask::find(&self.folder, name));
        found.unwrap_or_else(|| self.folder.join(format!("{name}.png")))
    }
}
