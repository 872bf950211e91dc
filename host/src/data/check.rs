//! Everything that is wrong with a data set, at once.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use rayon::prelude::*;
use serde::Serialize;

use super::{
    Dataset, LabelSource, Options, Problems,
    dataset::check_same_size,
    labels::{ImageLabels, check_values},
    layout::{Entry, Layout},
};
use crate::{Error, Result, picture};

/// The splits that are looked at.
const SPLITS: [&str; 2] = ["train", "val"];

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// What kind of data set it is.
    pub layout: &'static str,
    /// Where image labels come from.
    pub labels: String,
    /// The splits.
    pub splits: Vec<SplitCount>,
    /// The classes, the background first.
    pub classes: Vec<ClassCount>,
    /// What has to be mended.
    pub problems: Vec<Finding>,
    /// Problems beyond those in `problems`, which holds [`Problems::KEPT`] of each kind at most.
    pub problems_left_out: usize,
    /// What may be as it should.
    pub remarks: Vec<String>,
}

/// A split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitCount {
    /// Its name.
    pub name: &'static str,
    /// Photos that its list names.
    pub photos: usize,
    /// Those of them without any problem.
    pub usable: usize,
    /// Those of them that have a mask.
    pub masks: usize,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// Usable photos that show it, by split, in the order of [`Findings::splits`]; of the background, those that show
    /// nothing else.
    pub photos: Vec<usize>,
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The split it is in, if it is in one.
    pub split: Option<&'static str>,
    /// A sentence that names the file, what is wrong, and what to do.
    pub problem: String,
}

/// A data set about to be looked at: its lists and labels are read, its photos and masks are not.
#[derive(Debug)]
pub struct Check {
    data: Dataset,
    problems: Problems,
    splits: Vec<(&'static str, Vec<Entry>, Problems)>,
}

impl Check {
    /// Opens the data set and reads its lists and labels.
    ///
    /// # Errors
    /// If it is no data set, or its classes cannot be read: then nothing more can be told about it.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let mut problems = Problems::default();
        let data = Dataset::open_leniently(path, options, &mut problems)?;
        // Without a split to validate on one can train, without one to train on one cannot.
        let splits = SPLITS.into_iter().filter(|split| *split == "train" || data.has_split(split));
        let splits = splits.map(|split| {
            let mut problems = Problems::default();
            let entries = data.entries(split, &mut problems);
            (split, entries, problems)
        });
        Ok(Self { splits: splits.collect(), data, problems })
    }

    /// How many photos there are to look at.
    #[must_use]
    pub fn photos(&self) -> usize {
        self.splits.iter().map(|(_, entries, _)| entries.len()).sum()
    }

    /// Reads every photo and mask, pixels included. `seen` is called after each photo.
    #[must_use]
    pub fn run(self, seen: impl Fn() + Sync) -> Findings {
        let data = &self.data;
        let classes = data.classes().names().iter();
        let mut findings = Findings {
            layout: data.layout().describe(),
            labels: data.label_source().path().display().to_string(),
            splits: Vec::new(),
            classes: classes.map(|name| ClassCount { name: name.clone(), photos: Vec::new() }).collect(),
            problems: Vec::new(),
            problems_left_out: 0,
            remarks: Vec::new(),
        };
        findings.add(None, self.problems);
        let mut splits = HashMap::new();
        for (split, entries, problems) in self.splits {
            findings.look_at(data, split, &entries, problems, &mut splits, &seen);
        }
        findings.remark(data, &splits);
        findings
    }
}

impl Findings {
    fn add(&mut self, split: Option<&'static str>, problems: Problems) {
        let count = problems.count();
        let told = problems.into_told();
        self.problems_left_out += count - told.len();
        self.problems.extend(told.into_iter().map(|problem| Finding { split, problem }));
    }

    /// How many problems there are.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problems.len() + self.problems_left_out
    }

    fn look_at(
        &mut self,
        data: &Dataset,
        split: &'static str,
        entries: &[Entry],
        mut problems: Problems,
        splits: &mut HashMap<String, &'static str>,
        seen: &(impl Fn() + Sync),
    ) {
        let looks: Vec<Look> = entries
            .par_iter()
            .map(|entry| {
                let look = look(data, entry);
                seen();
                look
            })
            .collect();
        let mut count = SplitCount { name: split, photos: entries.len(), usable: 0, masks: 0 };
        let mut shown = vec![0; data.classes().len()];
        for (entry, look) in entries.iter().zip(looks) {
            count.masks += usize::from(look.mask);
            if let Some(other) = splits.insert(entry.name.clone(), split) {
                problems.push(&entry.photo, format!("is in both splits, `{other}` and `{split}`"));
            } else if let (Some(labels), true) = (&look.labels, look.problems.is_empty()) {
                count.usable += 1;
                shown[0] += usize::from(!labels.contains(&true));
                shown[1..].iter_mut().zip(labels).for_each(|(count, shown)| *count += usize::from(*shown));
            }
            problems.append(look.problems);
        }
        self.add(Some(split), problems);
        self.splits.push(count);
        self.classes.iter_mut().zip(shown).for_each(|(class, shown)| class.photos.push(shown));
    }

    fn remark(&mut self, data: &Dataset, splits: &HashMap<String, &'static str>) {
        if !data.has_split("val") {
            self.remarks
                .push("there is no split to validate on; --val-share 0.1 holds out a tenth of the photos".into());
        }
        let train = self.splits.first().map_or(0, |split| split.photos);
        if matches!(data.layout(), Layout::Merged(..)) && train != Layout::MERGED_PHOTOS {
            let all = Layout::MERGED_PHOTOS;
            self.remarks
                .push(format!("{train} photos are listed to train on; the complete VOC 2012 with SBD has {all}"));
        }
        let never: Vec<&str> = self
            .classes
            .iter()
            .skip(1)
            .filter(|class| class.photos.first() == Some(&0))
            .map(|class| class.name.as_str())
            .collect();
        if !never.is_empty() {
            self.remarks.push(format!("no usable training photo shows {}", never.join(", ")));
        }
        if let LabelSource::File(file) = data.label_source() {
            let named: HashSet<usize> = splits.keys().filter_map(|name| file.position(name)).collect();
            let unused = file.images().len() - named.len();
            if unused > 0 {
                let path = file.path().display();
                self.remarks.push(format!("{path}: {unused} of its photos are in no split"));
            }
        }
    }
}

/// What a look at a photo and its mask told.
struct Look {
    problems: Problems,
    labels: Option<ImageLabels>,
    mask: bool,
}

fn look(data: &Dataset, entry: &Entry) -> Look {
    let mut problems = Problems::default();
    let mut note = |error: &Error| problems.push_error(error);
    let photo = picture::read_photo(&entry.photo).inspect_err(&mut note).ok();
    let mask = entry.mask.as_deref().and_then(|path| {
        let read = data.require_mask(path).and_then(|()| picture::read_mask(path));
        Some((path, read.inspect_err(&mut note).ok()?))
    });
    if let (Some(photo), Some((path, mask))) = (&photo, &mask) {
        let size = (mask.width as u32, mask.height as u32);
        // An error is all that is of interest.
        let _ = check_same_size(path, size, photo.dimensions()).inspect_err(&mut note);
    }
    let of_mask = mask.as_ref().map(|(path, mask)| {
        let present = mask.present();
        let checked = check_values(&present, data.classes()).map_err(|problem| Error::input(path, problem));
        checked.map(|()| present[1..data.classes().len()].to_vec())
    });
    let of_mask = of_mask.and_then(|labels| labels.inspect_err(&mut note).ok());
    let labels = match data.label_source() {
        LabelSource::Masks(_) => of_mask,
        LabelSource::File(file) => file.labels(&entry.name).cloned().inspect_err(&mut note).ok(),
    };
    Look { problems, labels, mask: mask.is_some() }
}
