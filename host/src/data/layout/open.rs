//! Telling which layout a path holds, and reading what all splits share: classes and labels.

use std::path::{Path, PathBuf};

use super::{Layout, Sbd, Table, Voc};
use crate::{
    Error, Result,
    data::{
        Classes, LabelSource, Problems,
        labels::{LabelFile, Rows},
        require_folder,
    },
};

/// What is read when a data set is opened.
#[derive(Debug)]
pub(in crate::data) struct Opened {
    pub(in crate::data) layout: Layout,
    pub(in crate::data) classes: Classes,
    pub(in crate::data) labels: LabelSource,
}

/// Opens a folder or a label file. What is wrong with single lines or folders is added to `problems`.
pub(in crate::data) fn open(path: &Path, sbd: Option<&Path>, problems: &mut Problems) -> Result<Opened> {
    if path.is_file() {
        refuse_sbd(path, sbd)?;
        if !Rows::is_label_file(path) {
            let problem = "neither a folder nor a label file (.csv, .jsonl) of photos and their classes";
            return Err(Error::input(path, problem));
        }
        return table(path, problems);
    }
    require_folder(path)?;
    let labels = label_file(path);
    if path.join("ImageSets").is_dir() || (path.join("JPEGImages").is_dir() && labels.is_none()) {
        return voc(path, labels.as_deref(), sbd, problems);
    }
    refuse_sbd(path, sbd)?;
    if let Some(sbd) = Sbd::find(path) {
        let classes = classes_file(path).transpose()?.unwrap_or_else(Classes::voc);
        return Ok(Opened { labels: LabelSource::Masks(sbd.masks()), layout: Layout::Sbd(sbd), classes });
    }
    if let Some(file) = labels {
        return table(&file, problems);
    }
    let classes = classes_file(path).transpose()?;
    let (table, labels, classes) = Table::of_folders(path, classes, problems)?.ok_or_else(|| {
        let problem = "no data set: neither ImageSets and JPEGImages (VOC layout), nor labels.csv or labels.jsonl, nor a \
                       folder of photos for each class";
        Error::input(path, problem)
    })?;
    Ok(Opened { layout: Layout::Table(table), classes, labels: LabelSource::File(labels) })
}

fn table(file: &Path, problems: &mut Problems) -> Result<Opened> {
    let classes = classes_file(file.parent().unwrap_or(Path::new(""))).transpose()?;
    let (table, labels, classes) = Table::of_label_file(file, classes, problems)?;
    Ok(Opened { layout: Layout::Table(table), classes, labels: LabelSource::File(labels) })
}

fn voc(root: &Path, labels: Option<&Path>, sbd: Option<&Path>, problems: &mut Problems) -> Result<Opened> {
    let voc = Voc::new(root);
    let rows = labels.map(|file| Rows::read(file, problems));
    let classes = match (classes_file(root), &rows) {
        (Some(classes), _) => classes?,
        (None, _) if sbd.is_some() || voc.is_pascal() => Classes::voc(),
        (None, Some(rows)) => rows.classes()?,
        (None, None) => {
            let problem = "no such file; write the class names there, one a line, line 1 is `background`";
            return Err(Error::input(&root.join("classes.txt"), problem));
        }
    };
    require_folder(&voc.photos())?;
    let labels = match rows {
        Some(rows) => LabelSource::File(LabelFile::new(&rows, &classes, problems)),
        None if sbd.is_some() || voc.masks().is_dir() || voc.lists_masks("train") => LabelSource::Masks(voc.masks()),
        None => {
            let problem = "neither labels.csv nor SegmentationClass: there are no image labels to learn from";
            return Err(Error::input(root, problem));
        }
    };
    let layout = match sbd {
        None => Layout::Voc(voc),
        Some(folder) => {
            require_folder(folder)?;
            let problem = "not the Semantic Boundaries Dataset: there is no folder dataset/cls in it";
            Layout::Merged(voc, Sbd::find(folder).ok_or_else(|| Error::input(folder, problem))?)
        }
    };
    Ok(Opened { layout, classes, labels })
}

fn refuse_sbd(path: &Path, sbd: Option<&Path>) -> Result<()> {
    match sbd {
        None => Ok(()),
        Some(_) => Err(Error::input(path, "not Pascal VOC's folder, which --sbd adds to; leave out --sbd")),
    }
}

/// The label file in a folder.
fn label_file(folder: &Path) -> Option<PathBuf> {
    Rows::ENDINGS.iter().map(|ending| folder.join(format!("labels.{ending}"))).find(|file| file.is_file())
}

/// The class names in a folder, if they are written down there.
fn classes_file(folder: &Path) -> Option<Result<Classes>> {
    let file = folder.join("classes.txt");
    file.is_file().then(|| Classes::read(&file))
}
