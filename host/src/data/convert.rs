//! Any data set in VOC layout: photos copied as they are, masks as palettised PNG, labels, classes and splits as text.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{Classes, Dataset, ImageLabels, Problems, Sample, labels::check_values, photos::bare_name};
use crate::{Error, Result, files, picture};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Photos by split.
    pub splits: Vec<(&'static str, usize)>,
    /// Masks.
    pub masks: usize,
}

/// A photo and what it is called in the new folder.
struct Copy {
    sample: Sample,
    labels: ImageLabels,
    name: String,
}

/// A data set about to be written in VOC layout: its lists, labels and sizes are checked.
pub struct Conversion<'a> {
    data: &'a Dataset,
    splits: Splits<Copy>,
}

impl<'a> Conversion<'a> {
    /// Reads the splits and labels, and finds a file name for each photo.
    ///
    /// # Errors
    /// If a list, label or file cannot be used, or two photos would have the same name.
    pub fn plan(data: &'a Dataset) -> Result<Self> {
        Ok(Self { splits: names(splits(data)?, data.root())?, data })
    }

    /// How many photos there are to copy.
    #[must_use]
    pub fn photos(&self) -> usize {
        self.splits.iter().map(|(_, copies)| copies.len()).sum()
    }

    /// Writes the data set to the folder `out`, which must not hold anything: whole, or not at all. `done` is called after
    /// each photo.
    ///
    /// # Errors
    /// If `out` cannot be made or holds something, or photos or masks cannot be read (all of them are named).
    pub fn write(&self, out: &Path, done: impl Fn() + Sync) -> Result<Written> {
        // Made beside its place, so that the last step is a renaming.
        let parent = files::folder_of(out);
        files::create_folder(parent)?;
        let refuse =
            |error: std::io::Error| Error::input(out, format!("cannot be written ({error}); choose another --out"));
        let temporary = tempfile::Builder::new().prefix(".wseg-").suffix(".part").tempdir_in(parent).map_err(refuse)?;
        let (root, classes) = (temporary.path(), self.data.classes());
        let mut problems = Problems::default();
        let (mut written, mut masks) = (Vec::new(), 0);
        let mut labels = vec![["image".to_owned(), "labels".to_owned()]];
        for (split, copies) in &self.splits {
            let results: Vec<Result<()>> = copies
                .par_iter()
                .map(|copy| {
                    let result = copy.write(root, classes);
                    done();
                    result
                })
                .collect();
            results.iter().filter_map(|result| result.as_ref().err()).for_each(|error| problems.push_error(error));
            let list: String = copies.iter().map(|copy| format!("{}\n", copy.name)).collect();
            files::write_atomic(&root.join(format!("ImageSets/Segmentation/{split}.txt")), list.as_bytes())?;
            labels.extend(copies.iter().map(|copy| copy.row(classes)));
            written.push((*split, copies.len()));
            masks += copies.iter().filter(|copy| copy.sample.mask.is_some()).count();
        }
        let from = self.data.root().display();
        problems.into_result_with_all(|count| {
            format!("{from}: {count} of its files cannot be used, so nothing was written")
        })?;
        files::write_atomic_with(&root.join("labels.csv"), |file| {
            let mut csv = ::csv::Writer::from_writer(file);
            labels.iter().try_for_each(|row| csv.write_record(row))?;
            csv.flush()
        })?;
        files::write_atomic(&root.join("classes.txt"), (classes.names().join("\n") + "\n").as_bytes())?;
        put(temporary, out)?;
        Ok(Written { splits: written, masks })
    }
}

type Splits<T> = Vec<(&'static str, Vec<T>)>;

/// The photos and labels of both splits.
fn splits(data: &Dataset) -> Result<Splits<(Sample, ImageLabels)>> {
    let mut splits = vec![("train", data.split("train")?)];
    splits.extend(data.optional_split("val")?.map(|samples| ("val", samples)));
    let labelled = |(split, samples): (&'static str, Vec<Sample>)| {
        let labels = data.image_labels(&samples)?;
        Ok((split, samples.into_iter().zip(labels).collect()))
    };
    splits.into_iter().map(labelled).collect()
}

/// Gives each photo a file name: its name in the data set, folders joined by `_`.
fn names(splits: Splits<(Sample, ImageLabels)>, root: &Path) -> Result<Splits<Copy>> {
    let mut taken: HashMap<String, PathBuf> = HashMap::new();
    let mut problems = Problems::default();
    let mut named = Vec::new();
    for (split, samples) in splits {
        let mut copies = Vec::new();
        for (sample, labels) in samples {
            let name = file_name(&sample.name);
            if let Some(first) = taken.insert(name.clone(), sample.photo.clone()) {
                problems.push(&sample.photo, format!("would be called `{name}`, as would {}", first.display()));
            }
            copies.push(Copy { sample, labels, name });
        }
        named.push((split, copies));
    }
    problems.into_result_with_all(|count| {
        format!("{}: {count} photos have the names of others, so nothing was written", root.display())
    })?;
    Ok(named)
}

/// A name that leads nowhere but into its folder, and means the same in a list, a label file and on every system.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_control() || r#"/\:*?"<>|,;#"#.contains(c) { '_' } else { c };
    let mut name: String = name.trim().chars().map(safe).collect();
    // `a.jpg.jpg` is called `a.jpg`, which a list would take for `a`.
    while let Some(dot) = name.rfind('.').filter(|_| bare_name(&name) != name) {
        name.replace_range(dot..=dot, "_");
    }
    if name.trim_matches('.').is_empty() { format!("_{name}") } else { name }
}

impl Copy {
    fn write(&self, root: &Path, classes: &Classes) -> Result<()> {
        // What is copied shall be readable, and named for what it is.
        picture::read_photo(&self.sample.photo)?;
        let bytes = std::fs::read(&self.sample.photo)
            .map_err(|error| Error::input(&self.sample.photo, super::reason(&error)))?;
        let ending = if bytes.starts_with(b"\xff\xd8") { "jpg" } else { "png" };
        files::write_atomic(&root.join(format!("JPEGImages/{}.{ending}", self.name)), &bytes)?;
        let Some(path) = &self.sample.mask else { return Ok(()) };
        let mask = picture::read_mask(path)?;
        check_values(&mask.present(), classes).map_err(|problem| Error::input(path, problem))?;
        picture::write_mask(&root.join(format!("SegmentationClass/{}.png", self.name)), &mask)
    }

    /// The row of the label file.
    fn row(&self, classes: &Classes) -> [String; 2] {
        let objects = classes.names().iter().skip(1).zip(&self.labels);
        let shown: Vec<&str> = objects.filter(|(_, shown)| **shown).map(|(class, _)| class.as_str()).collect();
        [self.name.clone(), shown.join(";")]
    }
}

/// Renames the finished folder into its place.
fn put(temporary: tempfile::TempDir, out: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::failed(out, format!("cannot be put in its place ({error})"));
    // Temporary folders are private; this one shall be as any new folder.
    let made = temporary.path().join("ImageSets");
    let like_any = std::fs::metadata(made).map_err(failed)?.permissions();
    std::fs::set_permissions(temporary.path(), like_any).map_err(failed)?;
    if out.is_dir() {
        // Only an empty folder can be removed like that.
        std::fs::remove_dir(out).map_err(failed)?;
    }
    std::fs::rename(temporary.path(), out).map_err(failed)?;
    // It is gone from where it was made, so there is nothing to remove.
    drop(temporary.keep());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_stays_in_its_folder_and_its_line() {
        for (name, expected) in [
            ("2007_000033", "2007_000033"),
            ("cat/day 1/a", "cat_day 1_a"),
            ("../../a", ".._.._a"),
            ("..", "_.."),
            ("", "_"),
            ("a,b;c\n#", "a_b_c__"),
            ("a.jpg", "a_jpg"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(file_name(name), expected, "{name:?}");
        }
    }
}
