//! Finding photos: a file, a folder, or a list of either paths or names.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    data::{Problems, read_list, reason},
};

/// Endings that photos have, as they are looked for.
pub const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG"];

/// A photo to segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// Its file name without the ending: what the results are called.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The photos that files, folders and `.txt` lists name, in the order given; a folder's are sorted by name.
///
/// A line of a list is a path, as seen from the list's folder or from the working folder, or, for the lists of a data set
/// in VOC layout, the name of one of its photos.
///
/// # Errors
/// A path or line that leads to no photo, a folder without photos, or two photos of the same name.
pub fn photos(inputs: &[PathBuf]) -> Result<Vec<Photo>> {
    let mut found = Vec::new();
    for input in inputs {
        if input.is_dir() {
            found.extend(in_folder(input)?);
        } else if input.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt")) {
            found.extend(in_list(input)?);
        } else if !input.exists() {
            return Err(Error::input(input, "no such file or folder"));
        } else if is_photo(input) {
            found.push(input.clone());
        } else {
            return Err(Error::input(input, "not a photo (.jpg, .png), a folder of them, or a .txt list"));
        }
    }
    let mut by_name: HashMap<String, PathBuf> = HashMap::new();
    let mut photos = Vec::with_capacity(found.len());
    for path in found {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        match by_name.insert(name.clone(), path.clone()) {
            // The same file named twice is segmented once.
            Some(earlier) if earlier == path => {}
            Some(earlier) => {
                let problem =
                    format!("has the same name as {}; their results would overwrite each other", earlier.display());
                return Err(Error::input(&path, problem));
            }
            None => photos.push(Photo { name, path }),
        }
    }
    Ok(photos)
}

/// The photo called `name` in a folder, whatever its ending.
#[must_use]
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    ENDINGS.iter().map(|ending| folder.join(format!("{name}.{ending}"))).find(|path| path.is_file())
}

/// A photo's name without its ending, if it has one that photos have.
#[must_use]
pub fn bare_name(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((bare, ending)) if ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)) => bare,
        _ => name,
    }
}

fn is_photo(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::input(folder, reason(&error)))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::input(folder, reason(&error)))?.path();
        if is_photo(&path) && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::input(folder, "no photos (.jpg, .png) in this folder"));
    }
    paths.sort();
    Ok(paths)
}

fn in_list(list: &Path) -> Result<Vec<PathBuf>> {
    let folder = list.parent().unwrap_or(Path::new(""));
    // DATA/ImageSets/Segmentation/val.txt names photos in DATA/JPEGImages.
    let voc = folder.join("../../JPEGImages");
    let mut problems = Problems::default();
    let mut paths = Vec::new();
    for line in read_list(list)? {
        let as_path = [folder.join(&line), PathBuf::from(&line)];
        let found = as_path.into_iter().find(|path| path.is_file() && is_photo(path));
        match found.or_else(|| find(folder, &line)).or_else(|| find(&voc, &line)) {
            Some(path) => paths.push(path),
            None => problems.push(list, format!("there is no photo `{line}`")),
        }
    }
    problems.into_result(|count| format!("{}: {count} lines lead to no photo", list.display()))?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: PathBuf) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    fn names(found: &[Photo]) -> Vec<&str> {
        found.iter().map(|photo| photo.name.as_str()).collect()
    }

    #[test]
    fn a_folder_gives_its_photos_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.jpg", "a.PNG", "notes.txt", "c.jpeg", "deeper/d.jpg"] {
            touch(dir.path().join(name));
        }
        assert_eq!(names(&photos(&[dir.path().into()]).unwrap()), ["a", "b", "c"]);
        let message = photos(&[dir.path().join("deeper"), dir.path().join("nowhere")]).unwrap_err().to_string();
        assert!(message.ends_with("nowhere: no such file or folder"), "{message}");
        let message = photos(&[dir.path().join("notes.txt")]).unwrap_err().to_string();
        assert!(message.contains("the list is empty"), "{message}");
    }

    #[test]
    fn a_list_takes_paths_and_the_names_of_a_data_set() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("JPEGImages/one.jpg"));
        touch(dir.path().join("ImageSets/Segmentation/near.png"));
        let list = dir.path().join("ImageSets/Segmentation/val.txt");
        std::fs::write(&list, "one\nnear.png\n../../JPEGImages/one.jpg\n").unwrap();
        assert_eq!(names(&photos(std::slice::from_ref(&list)).unwrap()), ["one", "near"]);
        std::fs::write(&list, "one\ntwo\nthree\n").unwrap();
        let message = photos(&[list]).unwrap_err().to_string();
        assert!(message.contains("2 lines lead to no photo") && message.contains("no photo `three`"), "{message}");
    }

    #[test]
    fn two_photos_of_one_name_are_refused_and_one_photo_twice_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (jpg, png) = (dir.path().join("a.jpg"), dir.path().join("a.png"));
        touch(jpg.clone());
        touch(png.clone());
        assert_eq!(photos(&[jpg.clone(), jpg.clone()]).unwrap().len(), 1);
        assert!(photos(&[jpg, png]).unwrap_err().to_string().contains("has the same name as"));
    }
}
