//! Finding photos: a file, a folder, or a list of either paths or names.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use crate::{
    Error, Result,
    data::{Problems, folders::ClassFolders, labels::Rows, list, reason, text::shown},
};

/// Endings that photos have, as they are looked for.
pub const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG"];

/// A photo to segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// Its file name without the ending, for photos of label files and class folders with the folders before it: what the
    /// results are called. It leads nowhere but down.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The photos that files, folders, `.txt` lists and label files name, in the order given; a folder's are sorted by name.
///
/// A folder holds photos, or a folder of photos for each class. A line of a list is a path, as seen from the list's folder
/// or from the working folder, or, for the lists of a data set in VOC layout, the name of one of its photos or a path
/// from its folder.
///
/// # Errors
/// A path or line that leads to no photo, a folder without photos, or two photos of the same name.
pub fn photos(inputs: &[PathBuf]) -> Result<Vec<Photo>> {
    let mut found = Vec::new();
    for input in inputs {
        if input.is_dir() {
            found.extend(in_folder(input)?);
        } else if input.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt")) {
            found.extend(in_list(input)?.into_iter().map(Photo::named_by_file));
        } else if !input.exists() {
            return Err(Error::input(input, "no such file or folder"));
        } else if is_photo(input) {
            found.push(Photo::named_by_file(input.clone()));
        } else if Rows::is_label_file(input) {
            found.extend(in_label_file(input)?);
        } else {
            let problem = "not a photo (.jpg, .png), a folder of them, a .txt list, or a label file (.csv, .jsonl)";
            return Err(Error::input(input, problem));
        }
    }
    distinct(found)
}

/// Photos whose results do not overwrite each other; one that is named twice is there once.
///
/// # Errors
/// Two photos of the same name.
pub fn distinct(found: Vec<Photo>) -> Result<Vec<Photo>> {
    let mut by_name: HashMap<String, PathBuf> = HashMap::new();
    let mut photos = Vec::with_capacity(found.len());
    for photo in found {
        match by_name.insert(photo.name.clone(), photo.path.clone()) {
            // The same file named twice is segmented once.
            Some(earlier) if earlier == photo.path => {}
            Some(earlier) => {
                let problem =
                    format!("has the same name as {}; their results would overwrite each other", earlier.display());
                return Err(Error::input(&photo.path, problem));
            }
            None => photos.push(photo),
        }
    }
    Ok(photos)
}

impl Photo {
    /// A photo whose results are called as its file is.
    #[must_use]
    pub fn named_by_file(path: PathBuf) -> Self {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name, path }
    }
}

/// A photo's name in a data set: its path without the ending, or its file name where the path leads elsewhere.
#[must_use]
pub fn name_of(image: &str) -> String {
    let mut parts = Vec::new();
    for component in Path::new(image).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                let file = Path::new(image).file_name().unwrap_or_default().to_string_lossy();
                return bare_name(&file).to_owned();
            }
        }
    }
    bare_name(&parts.join("/")).to_owned()
}

/// The photo that a label file calls `image`: a path from the file's folder or from JPEGImages in it, with its ending or
/// without.
#[must_use]
pub fn find_labelled(folder: &Path, image: &str) -> Option<PathBuf> {
    let folders = [folder.to_owned(), folder.join("JPEGImages")];
    let as_path = folders.iter().map(|folder| folder.join(image)).find(|path| path.is_file() && is_photo(path));
    as_path.or_else(|| folders.iter().find_map(|folder| find(folder, bare_name(image))))
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

/// Whether a file's name is that of a photo.
pub(crate) fn is_photo(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn in_folder(folder: &Path) -> Result<Vec<Photo>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::input(folder, reason(&error)))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::input(folder, reason(&error)))?.path();
        if is_photo(&path) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    if !paths.is_empty() {
        return Ok(paths.into_iter().map(Photo::named_by_file).collect());
    }
    let Some(folders) = ClassFolders::find(folder)? else {
        return Err(Error::input(folder, "no photos (.jpg, .png) in this folder"));
    };
    Ok(folders.photos().map(|photo| Photo { name: photo.name.clone(), path: photo.path.clone() }).collect())
}

fn in_list(file: &Path) -> Result<Vec<PathBuf>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    // DATA/ImageSets/Segmentation/val.txt names photos in DATA/JPEGImages, or by paths from DATA.
    let data = folder.join("../..");
    let voc = data.join("JPEGImages");
    let mut problems = Problems::default();
    let mut paths = Vec::new();
    for line in list::read_lines(file, &mut problems) {
        let photo = &line.photo;
        let as_path = [folder.join(photo), PathBuf::from(photo), line.photo_in(&data), line.photo_in(folder)];
        let found = as_path.into_iter().find(|path| path.is_file() && is_photo(path));
        match found.or_else(|| find(folder, photo)).or_else(|| find(&voc, photo)) {
            Some(path) => paths.push(path),
            None => problems.push(file, format!("there is no photo `{}`", shown(photo))),
        }
    }
    problems.into_result(|count| format!("{}: {count} lines lead to no photo", file.display()))?;
    Ok(paths)
}

fn in_label_file(file: &Path) -> Result<Vec<Photo>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut problems = Problems::default();
    let mut photos = Vec::new();
    for row in Rows::read(file, &mut problems).rows {
        match find_labelled(folder, &row.image) {
            Some(path) => photos.push(Photo { name: name_of(&row.image), path }),
            None => problems.push(file, format!("line {}: there is no photo `{}`", row.line, shown(&row.image))),
        }
    }
    problems.into_result(|count| format!("{}: {count} lines lead to no photo", file.display()))?;
    Ok(photos)
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

    #[test]
    fn class_folders_label_files_and_pairs_lead_to_photos() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mine/cat/1.jpg", "mine/dog/1.jpg", "voc/JPEGImages/a.jpg", "voc/JPEGImages/b.jpg"] {
            touch(dir.path().join(name));
        }
        let mine = dir.path().join("mine");
        assert_eq!(names(&photos(std::slice::from_ref(&mine)).unwrap()), ["cat/1", "dog/1"]);
        let file = mine.join("labels.csv");
        std::fs::write(&file, "image,labels\ncat/1.jpg,cat\n./dog/1,dog\n../voc/JPEGImages/a.jpg,cat\n").unwrap();
        assert_eq!(names(&photos(std::slice::from_ref(&file)).unwrap()), ["cat/1", "dog/1", "a"]);
        std::fs::write(&file, "cat/1.jpg,cat\ncow/1.jpg,cow\n").unwrap();
        let message = photos(&[file]).unwrap_err().to_string();
        assert!(message.ends_with("labels.csv: line 2: there is no photo `cow/1.jpg`"), "{message}");
        for list in ["voc/pairs.txt", "voc/ImageSets/Segmentation/train.txt"] {
            let list = dir.path().join(list);
            touch(list.clone());
            std::fs::write(&list, "/JPEGImages/a.jpg /SegmentationClass/a.png\n/JPEGImages/b.jpg\n").unwrap();
            assert_eq!(names(&photos(&[list]).unwrap()), ["a", "b"]);
        }
    }

    #[test]
    fn a_name_leads_nowhere_but_down() {
        for (image, name) in [
            ("a.jpg", "a"),
            ("./cat/a.b.png", "cat/a.b"),
            ("cat//a", "cat/a"),
            ("../../etc/a.jpg", "a"),
            ("cat/../../a.jpg", "a"),
            ("/etc/a.jpg", "a"),
            ("..", ""),
        ] {
            assert_eq!(name_of(image), name, "{image}");
        }
    }
}
