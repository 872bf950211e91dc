//! Networks whose weights come from elsewhere: a preset says which network they are the weights of.

use std::path::Path;

use candle_core::{DType, Device};
use wseg_cuda_runner::{
    model::{Model, ModelKind},
    weights::{self, Report, StateDict},
};

use crate::{
    Error, Result,
    data::{Classes, VOC_OBJECTS},
    settings::Settings,
};

/// The layers that make the class scores, one row of weights a class, and whose network each belongs to. DeepLab's has a
/// row for the background, too.
const SCORES: [(&str, ModelKind); 3] = [
    ("last_conv.8.weight", ModelKind::SingleStage),
    ("fc8.weight", ModelKind::Cam),
    ("decoder.last_conv.8.weight", ModelKind::DeepLab),
];

/// The network of `preset` with the weights in `path`. Its classes are named in the file `classes`; without one, twenty
/// classes are Pascal VOC's.
///
/// # Errors
/// If a file cannot be read, there is no such preset, or the weights are not those of its network.
pub fn adopt(path: &Path, preset: &str, classes: Option<&Path>) -> Result<(Model, Report)> {
    let settings = Settings::preset(preset)?;
    let state = weights::read(path)?;
    let (kind, count) = scores(&state).ok_or_else(|| {
        let [(single_stage, _), (cam, _), (deeplab, _)] = SCORES;
        let problem = format!(
            "holds no layer of class scores (`{single_stage}`, `{cam}` of the baseline, or `{deeplab}`): it can start a \
             training with `wseg train --weights`, but not predict"
        );
        Error::input(path, problem)
    })?;
    if (kind == ModelKind::DeepLab) != (settings.kind() == ModelKind::DeepLab) {
        let problem = format!("these are the weights of a {kind}, which the preset `{preset}` is not for");
        return Err(Error::input(path, problem));
    }
    let config = settings.network_for(kind, names(path, count, classes)?);
    weights::model(state, config, DType::F32, &Device::Cpu).map_err(|error| match error {
        wseg_cuda_runner::Error::Config(problem) => {
            Error::input(path, format!("{problem} (as the {kind} network of the preset `{preset}`)"))
        }
        other => other.into(),
    })
}

/// Which network the weights are of, and its number of classes.
fn scores(state: &StateDict) -> Option<(ModelKind, usize)> {
    SCORES.iter().find_map(|&(name, kind)| {
        let rows = *state.get(name)?.shape().first()?;
        Some((kind, if kind == ModelKind::DeepLab { rows.saturating_sub(1) } else { rows }))
    })
}

/// The names of `count` classes.
fn names(path: &Path, count: usize, classes: Option<&Path>) -> Result<Vec<String>> {
    let Some(file) = classes else {
        return match count == VOC_OBJECTS.len() {
            true => Ok(VOC_OBJECTS.map(str::to_owned).to_vec()),
            false => Err(Error::input(path, format!("tells {count} classes apart; name them with --classes FILE"))),
        };
    };
    let classes = Classes::read(file)?;
    match classes.objects() == count {
        true => Ok(classes.names()[1..].to_vec()),
        false => {
            let problem = format!("names {} classes, but {} tells {count} apart", classes.objects(), path.display());
            Err(Error::input(file, problem))
        }
    }
}
