//! `wseg demo`: the whole path on synthetic photos, from image labels to compared masks.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;
use wseg_cuda_runner::model::{Model, ModelKind};

use crate::{
    Error, Result,
    args::DemoArgs,
    console::{Console, clock},
    data::{Dataset, Sample},
    files,
    metrics::{Pair, Report, evaluate},
    picture,
    predictor::{Predictor, mask_of},
    report::{
        overlay, sheet,
        table::{Table, percent},
    },
    settings::Settings,
    synth::{self, Synth},
    training::Run,
};

/// The preset of both trainings.
const PRESET: &str = "demo";
/// Rows of the picture sheet.
const SHEET_ROWS: usize = 6;

/// What came of one model.
struct Outcome {
    kind: ModelKind,
    seconds: f64,
    masks: PathBuf,
    report: Report,
}

/// Makes the data, trains both networks, compares them.
///
/// # Errors
/// If the folder cannot be used, or a step fails.
pub fn run(args: &DemoArgs, console: &Console) -> Result<()> {
    let started = Instant::now();
    let mut settings = Settings::preset(PRESET)?;
    settings.recipe.seed = args.seed;
    let mut data = Synth { seed: args.seed, ..Synth::default() };
    if args.quick {
        (data.images, data.val) = (32, 8);
        (settings.recipe.epochs, settings.recipe.classification_epochs, settings.cam.epochs) = (2, 1, 1);
    }
    super::use_threads(args.threads)?;
    let folder = args.out.join("data");
    replace(&args.out)?;
    let progress = console.progress("data", (data.images + data.val) as u64);
    synth::generate(&data, &folder, |_, _| progress.advance(1))?;
    drop(progress);
    let dataset = Dataset::open(&folder)?;
    let val = dataset.split("val")?;

    let mut outcomes = Vec::new();
    for kind in [ModelKind::Cam, ModelKind::SingleStage] {
        let out = args.out.join(kind.to_string());
        let begun = Instant::now();
        let run = Run { settings: &settings, model: kind, data: &dataset, out: &out, json: false };
        let model = run.train(console)?;
        let seconds = begun.elapsed().as_secs_f64();
        let masks = out.join("masks");
        let report = segment(&model, &dataset, &val, &masks, console)?;
        outcomes.push(Outcome { kind, seconds, masks, report });
    }

    let sheet = args.out.join("sheet.png");
    picture::write_photo(&sheet, &draw(&dataset, &val, &outcomes)?)?;
    let (summary, classes) = (summary(&outcomes), by_class(&outcomes));
    let text = format!("{}\n\n{}\n", summary.markdown(), classes.markdown());
    files::write_atomic(&args.out.join("table.md"), text.as_bytes())?;
    if args.json {
        let rows: Vec<_> = outcomes
            .iter()
            .map(|o| json!({ "model": o.kind, "training_seconds": o.seconds, "report": o.report }))
            .collect();
        console.print(json!({ "seconds": started.elapsed().as_secs_f64(), "sheet": sheet, "models": rows }));
    } else {
        console.print(format!("{}\n\n{}\n", summary.text(console.paint()), classes.text(console.paint())));
        console.print(format!(
            "Image labels only, no ground truth at prediction. {} in all.\nPictures: {}",
            clock(started.elapsed().as_secs_f64()),
            sheet.display()
        ));
    }
    Ok(())
}

/// Empties the folder of an earlier demo; a folder with anything else in it is left alone.
fn replace(out: &Path) -> Result<()> {
    const OURS: [&str; 5] = ["data", "cam", "single-stage", "sheet.png", "table.md"];
    let Ok(entries) = out.read_dir() else { return super::require_fresh(out, false) };
    for entry in entries {
        let entry = entry.map_err(|error| Error::failed(out, error))?;
        if !OURS.iter().any(|own| entry.file_name() == *own) {
            let problem = format!("holds `{}`, which no demo made; choose another --out", entry.file_name().display());
            return Err(Error::input(out, problem));
        }
    }
    for own in OURS {
        let path = out.join(own);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failed(&path, format!("cannot be removed: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Predicts the validation split, without ground truth, and evaluates the masks.
fn segment(model: &Model, dataset: &Dataset, val: &[Sample], out: &Path, console: &Console) -> Result<Report> {
    let predictor = Predictor::new(model, model.config.inference.clone())?;
    let progress = console.progress("predict", val.len() as u64);
    let mut pairs = Vec::with_capacity(val.len());
    for sample in val {
        let photo = picture::read_photo(&sample.photo)?;
        let mask = mask_of(predictor.predict(&photo, None)?, &photo);
        let prediction = out.join(format!("{}.png", sample.name));
        picture::write_mask(&prediction, &mask)?;
        let truth = sample.mask.clone().ok_or_else(|| Error::failed(&sample.photo, "has no mask"))?;
        pairs.push(Pair { prediction, truth });
        progress.advance(1);
    }
    evaluate(&pairs, dataset.classes())
}

/// Photo, both models' masks and the truth, a row a photo.
fn draw(dataset: &Dataset, val: &[Sample], outcomes: &[Outcome]) -> Result<image::RgbImage> {
    let names = dataset.classes().names();
    let mut rows = Vec::new();
    for sample in val.iter().take(SHEET_ROWS) {
        let photo = picture::read_photo(&sample.photo)?;
        let mut row = vec![(sample.name.clone(), photo.clone())];
        for outcome in outcomes {
            let mask = picture::read_mask(&outcome.masks.join(format!("{}.png", sample.name)))?;
            row.push((String::new(), overlay::overlay(&photo, &mask, names)));
        }
        if let Some(truth) = &sample.mask {
            row.push((String::new(), overlay::overlay(&photo, &picture::read_mask(truth)?, names)));
        }
        rows.push(row);
    }
    Ok(sheet::sheet(&rows, &["photo", "CAM", "single-stage", "truth"]))
}

fn summary(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(["model", "mIoU %", "objects' mIoU %", "pixel accuracy %", "training"]);
    for Outcome { kind, report, seconds, .. } in outcomes {
        table.row([
            kind.to_string(),
            percent(report.mean_iou),
            percent(report.mean_iou_objects),
            percent(report.pixel_accuracy),
            clock(*seconds),
        ]);
    }
    table
}

fn by_class(outcomes: &[Outcome]) -> Table {
    let heading = std::iter::once("IoU %".to_owned()).chain(outcomes.iter().map(|outcome| outcome.kind.to_string()));
    let mut table = Table::new(heading);
    let classes = outcomes.first().map_or(0, |outcome| outcome.report.classes.len());
    for class in 0..classes {
        let name = outcomes[0].report.classes[class].name.clone();
        table.row(std::iter::once(name).chain(outcomes.iter().map(|o| percent(o.report.classes[class].iou))));
    }
    table
}
