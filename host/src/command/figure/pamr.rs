//! Figure 10: masks at iterations of PAMR.

use std::path::Path;

use image::{RgbImage, imageops};
use wseg_core::{activation::sigmoid, pamr::Pamr};
use wseg_cuda_runner::{
    dense::Dense,
    infer::{Inference, kept_classes},
    model::ModelKind,
    nn::Pass,
};

use crate::{
    Error, Result,
    args::PamrFigureArgs,
    console::Console,
    data::augment,
    palette, picture,
    plot::{Legend, stages},
    predictor::{self, Predictor, class_names},
    refine::{Masks, Reading, Refinement},
    report::overlay,
};

/// The longer side of a drawn photo, in pixels: sharp at the figure's size.
const SIDE: u32 = 660;
/// Stride of the masks that are refined for the CAM baseline, as of the single-stage network's own.
const STRIDE: usize = 4;
/// How sure the labels of a mask are, as in `wseg refine`.
const CONFIDENCE: f64 = 0.7;

/// Masks, the photo at their size, and the names of the classes.
struct Start {
    masks: Masks,
    guide: RgbImage,
    classes: Vec<String>,
}

pub(super) fn run(args: &PamrFigureArgs, console: &Console) -> Result<()> {
    crate::command::use_threads(args.threads)?;
    let photo = picture::read_photo(&args.image)?;
    let Start { mut masks, guide, classes } = match (&args.mask, &args.checkpoint) {
        (Some(mask), _) => of_file(mask, &photo)?,
        (None, Some(checkpoint)) => of_network(checkpoint, &photo)?,
        (None, None) => return Err(Error::Input("a mask is needed: --mask or --checkpoint".to_owned())),
    };
    let mut iterations = args.iterations.clone();
    iterations.sort_unstable();
    iterations.dedup();
    let longest = photo.width().max(photo.height()).max(1);
    let side = |pixels: u32| (u64::from(pixels) * u64::from(SIDE.min(longest)) / u64::from(longest)).max(1) as u32;
    let small = imageops::thumbnail(&photo, side(photo.width()), side(photo.height()));
    let mut pictures = vec![("photo".to_owned(), small.clone())];
    let (mut done, mut drawn) = (0, [false; 256]);
    let progress = console.progress("pamr", iterations.last().copied().unwrap_or(0) as u64);
    for count in iterations {
        // One after the other: the image alone decides what an iteration does, so that they add up.
        let pamr = Pamr { iterations: count - done, ..Pamr::default() };
        let refinement = Refinement { pamr: (count > done).then_some(pamr), crf: None };
        masks = refinement.apply(masks, &guide).map_err(|error| named(&args.image, error))?;
        progress.advance((count - done) as u64);
        done = count;
        // Without a refinement, masks are only brought to the photo's size.
        let mask = Refinement::default().apply(masks.clone(), &small)?.most_likely();
        mask.present().iter().zip(&mut drawn).for_each(|(here, drawn)| *drawn |= here);
        let caption = match count {
            0 => "initial mask".to_owned(),
            1 => "1 iteration".to_owned(),
            count => format!("{count} iterations"),
        };
        pictures.push((caption, overlay::blend(&small, &mask)));
    }
    drop(progress);
    let legend: Vec<Legend> = (1..palette::VOID)
        .filter(|&label| drawn[usize::from(label)] && !classes.is_empty())
        .map(|label| Legend {
            colour: palette::colour(label),
            name: classes.get(usize::from(label)).cloned().unwrap_or_else(|| format!("class {label}")),
        })
        .collect();
    let drawing = stages(pictures, &legend).ok_or_else(|| Error::input(&args.image, "the photo is empty"))?;
    super::write(&drawing, &args.out, "pamr", args.json, console)
}

fn named(path: &Path, error: Error) -> Error {
    match error {
        Error::Input(problem) => Error::input(path, problem),
        other => other,
    }
}

/// A mask as it is, at the photo's size.
fn of_file(path: &Path, photo: &RgbImage) -> Result<Start> {
    let masks = Masks::read(path, Reading { confidence: CONFIDENCE, grey_labels: false, array: None })?;
    if masks.from_labels && (masks.width, masks.height) != (photo.width() as usize, photo.height() as usize) {
        let (width, height) = photo.dimensions();
        let problem = format!("{} x {} pixels, but the photo has {width} x {height}", masks.width, masks.height);
        return Err(Error::input(path, problem));
    }
    Ok(Start { masks, guide: photo.clone(), classes: Vec::new() })
}

/// The network's mask of the photo in one view, with the classes that it takes for present.
fn of_network(path: &Path, photo: &RgbImage) -> Result<Start> {
    let model = predictor::load(path)?;
    let inference = Inference { scales: vec![1.0], flip: false, ..model.config.inference.clone() };
    let threshold = inference.threshold;
    let view = Predictor::new(&model, inference)?.view(photo, 1.0, false)?;
    let classified = model.forward(&view, &Pass::evaluation())?;
    let (_, _, h, w) = view.dims4()?;
    let masks: Dense = match model.config.model {
        ModelKind::SingleStage | ModelKind::DeepLab => classified.masks.clone(),
        ModelKind::Cam => model.masks_at(&classified, h.div_ceil(STRIDE), w.div_ceil(STRIDE))?,
    };
    let (_, channels, height, width) = masks.tensor().dims4()?;
    let confidence: Option<Vec<f32>> = match &classified.scores {
        Some(scores) => Some(sigmoid(scores)?.tensor().flatten_all()?.to_vec1()?),
        None => None,
    };
    let present = kept_classes(channels - 1, None, confidence.as_deref(), threshold);
    let all: Vec<f32> = masks.tensor().flatten_all()?.to_vec1()?;
    let pixels = height * width;
    let kept: Vec<usize> = (0..channels).filter(|&channel| channel == 0 || present[channel - 1]).collect();
    let values = kept.iter().flat_map(|channel| &all[channel * pixels..][..pixels]).copied().collect();
    let labels = kept.iter().map(|&channel| channel as u8).collect();
    let masks = Masks { labels, width, height, values, from_labels: false };
    let guide = RgbImage::from_raw(width as u32, height as u32, augment::resize(photo, width, height)?)
        .ok_or_else(|| Error::Failed("the photo cannot be resized".to_owned()))?;
    Ok(Start { masks, guide, classes: class_names(&model) })
}
