//! `wseg demo`: the whole path on synthetic photos, from image labels to compared masks.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;
use wseg_core::cam::Cam;
use wseg_cuda_runner::model::{Model, ModelKind};

use crate::{
    Error, Result,
    args::DemoArgs,
    console::{Console, clock},
    data::{Dataset, Sample, loader::Loading},
    files,
    metrics::{Report, Tally},
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

/// Background constants that the baseline is tried with beside the reference's 0.1.
const CAM_BACKGROUNDS: [f64; 5] = [0.2, 0.3, 0.4, 0.5, 0.6];

/// What came of one model.
struct Outcome {
    kind: ModelKind,
    seconds: f64,
    masks: PathBuf,
    report: Report,
    /// The baseline with the background constant that is best on these very masks: what it could reach at most.
    best: Option<(f64, Report)>,
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
        let run = Run {
            settings: &settings,
            preset: PRESET,
            model: kind,
            data: &dataset,
            data_path: &folder,
            masks: None,
            out: &out,
            json: false,
            weights: None,
            resume: false,
            fingerprint: None,
            interruptible: false,
            loading: Loading::default(),
        };
        let model = run.train(console)?;
        let seconds = begun.elapsed().as_secs_f64();
        let masks = out.join("masks");
        let (report, best) = segment(&model, &dataset, &val, &masks, console)?;
        outcomes.push(Outcome { kind, seconds, masks, report, best });
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

/// Predicts the validation split, without ground truth, and evaluates the masks; the baseline with several background
/// constants, of which the best is the second result.
fn segment(
    model: &Model,
    dataset: &Dataset,
    val: &[Sample],
    out: &Path,
    console: &Console,
) -> Result<(Report, Option<(f64, Report)>)> {
    let inference = model.config.inference.clone();
    let (threshold, power) = (inference.threshold, inference.background_power);
    let predictor = Predictor::new(model, inference)?;
    let constants: &[f64] = if model.config.model == ModelKind::Cam { &CAM_BACKGROUNDS } else { &[] };
    // The baseline's background is the same everywhere, so another constant is a power of it.
    let power_of = |constant: f64| constant.ln() / Cam::default().background.ln();
    let mut tallies = vec![Tally::new(dataset.classes().clone()); 1 + constants.len()];
    let progress = console.progress("predict", val.len() as u64);
    for sample in val {
        let photo = picture::read_photo(&sample.photo)?;
        let path = sample.mask.as_ref().ok_or_else(|| Error::failed(&sample.photo, "has no mask"))?;
        let truth = picture::read_mask(path)?;
        let views = predictor.look(&photo)?;
        let powers = std::iter::once(power).chain(constants.iter().map(|&constant| power_of(constant)));
        for (index, (power, tally)) in powers.zip(&mut tallies).enumerate() {
            let mask = mask_of(views.finish(None, threshold, power)?, &photo);
            tally.add(&mask.labels, &truth.labels).map_err(|mistake| Error::failed(path, mistake))?;
            if index == 0 {
                picture::write_mask(&out.join(format!("{}.png", sample.name)), &mask)?;
            }
        }
        progress.advance(1);
    }
    let mut reports = tallies.iter().map(Tally::report);
    let first = reports.next().unwrap_or_else(|| Tally::new(dataset.classes().clone()).report());
    let score = |report: &Report| report.mean_iou.unwrap_or(0.0);
    let best = constants.iter().copied().zip(reports).max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)));
    Ok((first, best))
}

/// Photo, both models' masks and the truth, a row a photo, with one legend.
fn draw(dataset: &Dataset, val: &[Sample], outcomes: &[Outcome]) -> Result<image::RgbImage> {
    let names = dataset.classes().names();
    let mut rows = Vec::new();
    for sample in val.iter().take(SHEET_ROWS) {
        let photo = picture::read_photo(&sample.photo)?;
        let predicted = outcomes.iter().map(|outcome| outcome.masks.join(format!("{}.png", sample.name)));
        let mut row = vec![(sample.name.clone(), photo.clone())];
        for mask in predicted.chain(sample.mask.clone()) {
            row.push((String::new(), overlay::blend(&photo, &picture::read_mask(&mask)?)));
        }
        rows.push(row);
    }
    let objects: Vec<u8> = (1..=dataset.classes().objects() as u8).collect();
    let sheet = sheet::sheet(&rows, &["photo", "CAM", "single-stage", "truth"]);
    Ok(overlay::add_legend(&sheet, &objects, names))
}

fn summary(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(["model", "mIoU %", "objects' mIoU %", "pixel accuracy %", "training"]);
    let mut row = |name: String, report: &Report, training: String| {
        let [miou, objects, pixels] = [report.mean_iou, report.mean_iou_objects, report.pixel_accuracy].map(percent);
        table.row([name, miou, objects, pixels, training]);
    };
    for Outcome { kind, report, seconds, best, .. } in outcomes {
        row(kind.to_string(), report, clock(*seconds));
        if let Some((constant, report)) = best {
            row(format!("{kind}, background {constant} chosen with the truth"), report, "-".to_owned());
        }
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
