//! The trainings and the pseudo labels, each of them made once.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use wseg_cuda_runner::{
    Compute,
    infer::Inference,
    model::{Model, ModelKind},
};

use super::plan::Plan;
use crate::{
    Error, Result,
    command::{
        outcomes::Outcomes,
        pseudo::{self, Labeller, Making, Summary},
    },
    console::Console,
    data::{loader::Loading, read_text, reason},
    files,
    predictor::Predictor,
    training::{self, Interrupt, LAST, Run, STATE},
};

/// The folder of the pseudo labels, and what says how they were made.
const LABELS: &str = "pseudo";
const RECORD: &str = "pseudo.json";

/// A training of the study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Stage {
    #[serde(rename = "cam")]
    Cam,
    #[serde(rename = "single-stage")]
    Single,
    #[serde(rename = "two-stage")]
    Two,
    #[serde(rename = "fully-supervised")]
    Full,
}

impl Stage {
    /// In the order in which they are done.
    pub(super) const ALL: [Self; 4] = [Self::Cam, Self::Single, Self::Two, Self::Full];

    /// The name of its run's folder.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cam => "cam",
            Self::Single => "single-stage",
            Self::Two => "two-stage",
            Self::Full => "fully-supervised",
        }
    }

    const fn model(self) -> ModelKind {
        match self {
            Self::Cam => ModelKind::Cam,
            Self::Single => ModelKind::SingleStage,
            Self::Two | Self::Full => ModelKind::DeepLab,
        }
    }
}

/// Does the stages.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) compute: &'a Compute,
    pub(super) console: &'a Console,
    pub(super) interrupt: &'a Interrupt,
}

impl Work<'_> {
    /// Trains a network on image labels or on `masks`, or what is left of its training.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub(super) fn train(&self, stage: Stage, seed: u64, masks: Option<&Path>) -> Result<Model> {
        let Plan { data, first, second, weights, .. } = self.plan;
        let recipe = match stage.model() {
            ModelKind::DeepLab => second,
            ModelKind::Cam | ModelKind::SingleStage => first,
        };
        let mut settings = recipe.settings.clone();
        settings.recipe.seed = seed;
        let out = self.plan.folder(seed).join(stage.name());
        let run = Run {
            settings: &settings,
            preset: &recipe.preset,
            model: stage.model(),
            data,
            data_path: data.root(),
            masks,
            out: &out,
            json: false,
            weights: weights.as_deref(),
            // Without a state, an earlier run in the folder did not come far enough to be kept.
            resume: out.join(STATE).is_file(),
            fingerprint: None,
            interruptible: true,
            compute: self.compute.clone(),
            loading: Loading::default(),
        };
        run.train(self.console).map_err(|error| match error {
            Error::Stopped(_, code) => stopped(code),
            other => other,
        })
    }

    /// Makes the pseudo labels that are missing. Gives their folder and what they are like.
    ///
    /// # Errors
    /// A photo cannot be labelled, or the folder's labels were made in another way.
    pub(super) fn label(&self, model: &Model, seed: u64) -> Result<(PathBuf, Summary)> {
        let Plan { data, refinement, band, .. } = self.plan;
        let folder = self.plan.folder(seed);
        let (out, record) = (folder.join(LABELS), folder.join(RECORD));
        let how = self.record(&folder.join(Stage::Single.name()).join(LAST))?;
        let begun = record.is_file();
        if begun && read_text(&record)? != how {
            let problem = format!(
                "the masks in {} were made by another network or with other settings; remove this file and that folder, \
                 or choose another --out",
                out.display()
            );
            return Err(Error::input(&record, problem));
        }
        files::write_atomic(&record, how.as_bytes())?;
        let inference = Inference { background_power: self.plan.background_power, ..model.config.inference.clone() };
        let predictor = Predictor::new(model, inference)?;
        let making = Making { refinement: refinement.clone(), band: *band, batch: 1, skip_existing: begun };
        let labeller = Labeller { predictor: &predictor, data, making, out: &out, interrupt: self.interrupt };
        let samples = data.split("train")?;
        labeller.check(&samples)?;
        let mut outcomes = Outcomes::new(pseudo::work(&out, false), self.console, samples.len());
        let statistics = labeller.label(&samples, &mut outcomes).map_err(|error| match error {
            Error::Stopped(_, code) => stopped(code),
            other => other,
        })?;
        outcomes.finish(json!({}))?;
        Ok((out, statistics.summary()))
    }

    /// How pseudo labels are made, and by which network.
    fn record(&self, checkpoint: &Path) -> Result<String> {
        let bytes = std::fs::read(checkpoint).map_err(|error| Error::input(checkpoint, reason(&error)))?;
        let Plan { refinement, band, background_power, .. } = self.plan;
        let how = json!({
            "checkpoint": training::fingerprint_of_bytes(&bytes), "crf": refinement.crf.is_some(),
            "background_power": background_power,
            "confidence": band.confidence, "margin": band.margin,
        });
        Ok(format!("{how}\n"))
    }

    /// Ends the study if a signal has asked for it.
    ///
    /// # Errors
    /// If one has.
    pub(super) fn go_on(&self) -> Result<()> {
        self.interrupt.asked().map_or(Ok(()), |(_, code)| Err(stopped(code)))
    }
}

fn stopped(code: u8) -> Error {
    Error::Stopped("stopped by a signal; the same command goes on from there".to_owned(), code)
}
