//! `wseg bench`: how fast this machine trains, predicts and refines.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde_json::json;
use wseg_core::pamr::Pamr;
use wseg_cuda_runner::{
    model::{Model, ModelKind},
    nn::Pass,
    ops,
    train::{Batch, Sgd, losses},
};

use crate::{
    Result,
    args::BenchArgs,
    console::{Console, Progress},
    report::table::Table,
    settings::{Settings, numbered_classes},
};

/// What is measured unless asked otherwise: what a CPU trains in hours.
const PRESETS: [&str; 4] = ["small", "squeezenet", "resnet18", "resnet50"];

/// Sides of the maps that PAMR refines: a training step's at stride 4 of 321 pixels, and a whole photo.
const PAMR_SIDES: [usize; 2] = [81, 321];

/// Measures and prints tables or JSON.
///
/// # Errors
/// There is no such preset, a network does not take photos of this size, or memory runs out.
pub fn run(args: &BenchArgs, console: &Console) -> Result<()> {
    super::use_threads(args.threads)?;
    let names: Vec<&str> = match args.presets.is_empty() {
        true => PRESETS.to_vec(),
        false => args.presets.iter().map(String::as_str).collect(),
    };
    // A name that is wrong is said before minutes are spent on those that are right.
    let presets: Vec<(&str, Settings)> =
        names.into_iter().map(|name| Ok((name, Settings::preset(name)?))).collect::<Result<_>>()?;
    // Of each number there is one run that is not counted.
    let total = (2 * presets.len() + PAMR_SIDES.len()) * (args.runs + 1);
    let progress = console.progress("bench", total as u64);
    let networks: Vec<Network> = presets
        .iter()
        .map(|(name, settings)| Network::measure(name, settings, args, &progress))
        .collect::<Result<_>>()?;
    let refinements: Vec<Refinement> =
        PAMR_SIDES.iter().map(|&side| Refinement::measure(side, args, &progress)).collect::<Result<_>>()?;
    drop(progress);
    let threads = rayon::current_num_threads();
    if args.json {
        console.print(json!({
            "version": env!("CARGO_PKG_VERSION"), "device": "cpu", "threads": threads, "runs": args.runs,
            "networks": networks, "pamr": refinements,
        }));
        return Ok(());
    }
    console.print(tables(&networks, &refinements, console));
    console.print(format_args!(
        "wseg {}, CPU, {threads} thread{}, medians of {}",
        env!("CARGO_PKG_VERSION"),
        if threads == 1 { "" } else { "s" },
        args.runs
    ));
    Ok(())
}

fn tables(networks: &[Network], refinements: &[Refinement], console: &Console) -> String {
    let mut speeds = Table::new(["preset", "pixels", "batch", "training ms", "img/s", "one view ms", "views/s"]);
    for network in networks {
        speeds.row([
            network.preset.clone(),
            network.size.to_string(),
            network.batch.to_string(),
            milliseconds(network.training_ms),
            rate(network.training_images_per_second),
            milliseconds(network.view_ms),
            rate(network.views_per_second),
        ]);
    }
    let name = format!("PAMR, {} iterations", Pamr::default().iterations);
    let mut pamr = Table::new([name.as_str(), "classes", "ms"]);
    for refinement in refinements {
        let side = refinement.side;
        pamr.row([format!("{side}x{side}"), refinement.classes.to_string(), milliseconds(refinement.ms)]);
    }
    format!("{}\n\n{}\n", speeds.text(console.paint()), pamr.text(console.paint()))
}

fn milliseconds(value: f64) -> String {
    format!("{value:.1}")
}

fn rate(value: f64) -> String {
    format!("{value:.2}")
}

/// Speeds of a preset's single-stage network.
#[derive(Debug, Serialize)]
struct Network {
    preset: String,
    size: usize,
    batch: usize,
    training_ms: f64,
    training_images_per_second: f64,
    view_ms: f64,
    views_per_second: f64,
}

impl Network {
    fn measure(name: &str, settings: &Settings, args: &BenchArgs, progress: &Progress<'_>) -> Result<Self> {
        let kind = ModelKind::SingleStage;
        let config = settings.network_for(kind, numbered_classes(args.classes));
        let model = Model::new(config, 1, DType::F32, &Device::Cpu)?;
        let recipe = settings.recipe_for(kind);
        let size = args.size.unwrap_or(model.config.crop);
        let photos = |count| Tensor::rand(-1_f32, 1_f32, (count, 3, size, size), &Device::Cpu);

        // The whole step, as in training: both losses, pseudo labels and PAMR, gradients, the optimiser.
        let images = photos(args.batch)?;
        // Every other class is there.
        let present = (0..args.batch * args.classes).map(|index| (index % 2) as f32).collect();
        let labels = Tensor::from_vec(present, (args.batch, args.classes, 1, 1), &Device::Cpu)?;
        let batch = Batch { images, labels };
        let mut optimiser = Sgd::new(&model.params.borrow(), &recipe);
        progress.message(format!("{name} training"));
        let training_ms = median(args.runs, progress, || {
            let losses = losses(&model, &batch, &recipe, true, 0)?;
            // At rate 0 the values stay finite, whatever the preset's rate does to random photos.
            optimiser.step(&losses.total.backward()?, 0.0)?;
            Ok(())
        })?;
        let view = photos(1)?;
        progress.message(format!("{name} prediction"));
        let view_ms = median(args.runs, progress, || {
            model.forward(&view, &Pass::evaluation())?;
            Ok(())
        })?;
        Ok(Self {
            preset: name.to_owned(),
            size,
            batch: args.batch,
            training_ms,
            training_images_per_second: args.batch as f64 * 1e3 / training_ms,
            view_ms,
            views_per_second: 1e3 / view_ms,
        })
    }
}

/// The time of one refinement.
#[derive(Debug, Serialize)]
struct Refinement {
    side: usize,
    /// With the background.
    classes: usize,
    ms: f64,
}

impl Refinement {
    fn measure(side: usize, args: &BenchArgs, progress: &Progress<'_>) -> Result<Self> {
        let classes = args.classes + 1;
        let image = Tensor::rand(0_f32, 1_f32, (1, 3, side, side), &Device::Cpu)?;
        let scores = Tensor::randn(0_f32, 1_f32, (1, classes, side, side), &Device::Cpu)?;
        let masks = ops::softmax(&scores)?;
        progress.message(format!("PAMR {side}x{side}"));
        let refine = || {
            ops::pamr_stored(&masks, &image, &Pamr::default())?;
            Ok(())
        };
        Ok(Self { side, classes, ms: median(args.runs, progress, refine)? })
    }
}

/// The median time of `runs` runs in milliseconds, after one that fills caches and the allocator's lists.
fn median(runs: usize, progress: &Progress<'_>, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    progress.advance(1);
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        progress.advance(1);
    }
    times.sort_by(f64::total_cmp);
    Ok(f64::midpoint(times[(runs - 1) / 2], times[runs / 2]))
}
