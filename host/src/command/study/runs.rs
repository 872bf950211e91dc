//! Training runs that are compared.

use std::path::{Path, PathBuf};

use wseg_cuda_runner::model::Model;

use super::judge::{Question, Score};
use crate::{
    Error, Result,
    console::Console,
    data::{Dataset, Options},
    predictor,
    settings::Config,
    training::{BEST, LAST, RECORD},
};

/// A run that is judged.
pub(super) struct Run {
    /// What it was told.
    pub(super) config: Config,
    /// Its best checkpoint.
    pub(super) model: Model,
    data: PathBuf,
    options: Options,
}

/// Judges runs one after the other, on `data` or else on each run's own. All are opened before the first is judged: a
/// slip in the last one is not told hours later.
///
/// # Errors
/// If a run or its data cannot be used, or one cannot be judged.
pub(super) fn each<J>(
    paths: &[PathBuf],
    data: Option<&Path>,
    judge: impl Fn(&Path, &Run) -> Result<J>,
) -> Result<Vec<J>> {
    for path in paths {
        Run::open(path, data)?;
    }
    paths.iter().map(|path| judge(path, &Run::open(path, data)?)).collect()
}

impl Run {
    /// A run's settings and best checkpoint.
    fn open(path: &Path, data: Option<&Path>) -> Result<Self> {
        let record = path.join(RECORD);
        if !record.is_file() {
            let problem = format!("has no {RECORD}; a run is the folder that `wseg train --out` made");
            return Err(Error::input(path, problem));
        }
        let config = Config::read(&record)?;
        let checkpoint = [BEST, LAST].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
        let checkpoint =
            checkpoint.ok_or_else(|| Error::input(path, "has no checkpoint yet; wait for its first epoch"))?;
        let own = config.run.data.as_ref().map(PathBuf::from);
        let data = data.map(Path::to_owned).or(own);
        let data = data.ok_or_else(|| Error::input(&record, "names no data; give them with --data"))?;
        if !data.exists() {
            return Err(Error::input(
                &data,
                format!("these data of {} are not there; give them with --data", path.display()),
            ));
        }
        let options =
            Options { sbd: config.run.sbd.as_ref().map(PathBuf::from), val_share: config.run.val_share.unwrap_or(0.0) };
        Ok(Self { model: predictor::load(&checkpoint)?, config, data, options })
    }

    /// Its masks of the validation split against the truth; with `labels`, of the classes that each photo shows only.
    ///
    /// # Errors
    /// If the data cannot be used or memory runs out.
    pub(super) fn judge(&self, labels: bool, title: String, console: &Console) -> Result<Score> {
        let data = Dataset::open_with(&self.data, &self.options)?;
        let question = Question { iterations: &[0], labels, title };
        let scores = question.judge(&self.model, &data, console)?;
        Ok(scores.first().copied().unwrap_or(Score { iou: None, iou_crf: None }))
    }
}
