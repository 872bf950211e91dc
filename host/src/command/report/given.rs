//! Masks that were predicted before, in a folder.

use std::path::Path;

use super::judge::{Judge, Outcome};
use crate::{
    Error, Result,
    args::ReportArgs,
    command::eval::{classes_file, masks_in},
    console::Console,
    data::{Classes, Problems, mask, photos, read_list, require_folder},
    metrics::Mistake,
    picture::{self, LabelMap},
};

/// Compares the masks of two folders.
pub(super) fn judge(args: &ReportArgs, pred: &Path, gt: &Path, console: &Console) -> Result<Outcome> {
    require_folder(pred)?;
    require_folder(gt)?;
    let classes = match &args.classes {
        Some(file) => Classes::read(file)?,
        None => Classes::read(&classes_file(gt)?)?,
    };
    let names = match &args.list {
        Some(list) => read_list(list)?,
        None => masks_in(gt)?,
    };
    let photos = args.images.clone().unwrap_or_else(|| gt.join("../JPEGImages"));
    let mut judge = Judge::new(classes, names.len(), args.photos);
    let mut problems = Problems::default();
    let progress = console.progress("compare", names.len() as u64);
    for name in &names {
        if let Err(error) = add(&mut judge, name, pred, gt, &photos) {
            problems.push_error(&error);
        }
        progress.advance(1);
    }
    drop(progress);
    problems.into_result_with_all(|count| format!("{count} masks cannot be used, so nothing was reported"))?;
    Ok(judge.finish(format!("Masks of {} against those of {}.", pred.display(), gt.display())))
}

fn add(judge: &mut Judge, name: &str, pred: &Path, gt: &Path, folder: &Path) -> Result<()> {
    let prediction = pred.join(format!("{name}.png"));
    let truth = mask::find(gt, name).unwrap_or_else(|| gt.join(format!("{name}.png")));
    let (predicted, true_mask) = (picture::read_mask(&prediction)?, picture::read_mask(&truth)?);
    let size = |mask: &LabelMap| (mask.width, mask.height);
    if size(&predicted) != size(&true_mask) {
        let (width, height) = size(&true_mask);
        let its = format!("{} has {width} x {height}", truth.display());
        let (width, height) = size(&predicted);
        return Err(Error::input(&prediction, format!("{width} x {height} pixels, but its true mask {its}")));
    }
    let photo = match judge.shows_next() {
        true => photos::find(folder, name).map(|path| picture::read_photo(&path)).transpose()?,
        false => None,
    };
    judge.add(name, photo.as_ref(), predicted, Some(true_mask)).map_err(|mistake| match mistake {
        Mistake::Prediction(problem) => Error::input(&prediction, problem),
        Mistake::Truth(problem) => Error::input(&truth, problem),
    })
}
