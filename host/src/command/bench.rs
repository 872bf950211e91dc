//! `wseg bench`: how fast this machine trains, predicts and refines.

use std::time::Instant;

use candle_core::{Device, DeviceLocation, Tensor};
use serde::Serialize;
use serde_json::json;
use wseg_core::pamr::Pamr;
use wseg_cuda_runner::{crf::DenseCrf, ops};

use crate::{
    Error, Result,
    args::{BenchArgs, Work},
    console::{Console, Progress},
    report::table::Table,
    settings::Settings,
    workload::{Amount, Edges, Workload},
};

/// What is measured unless asked otherwise: what a CPU trains in hours.
const PRESETS: [&str; 4] = ["small", "squeezenet", "resnet18", "resnet50"];

/// Sides of the maps that PAMR refines: a training step's at stride 4 of 321 pixels, and a whole photo.
const PAMR_SIDES: [usize; 2] = [81, 321];

/// Width and height of the photo whose edges the dense CRF follows: Pascal VOC's.
const CRF_SIZE: (usize, usize) = (500, 375);

/// Measures and prints tables or JSON.
///
/// # Errors
/// There is no such preset, a network does not take photos of this size, or memory runs out.
pub fn run(args: &BenchArgs, console: &Console) -> Result<()> {
    super::use_threads(args.threads)?;
    let device = args.device.open()?;
    let works = [Work::Training, Work::View].into_iter().filter(|&work| args.measures(work)).count();
    let names: Vec<&str> = match args.presets.is_empty() {
        true => PRESETS.to_vec(),
        false => args.presets.iter().map(String::as_str).collect(),
    };
    // A name that is wrong is said before minutes are spent on those that are right.
    let presets: Vec<(&str, Settings)> =
        names.into_iter().map(|name| Ok((name, Settings::preset(name)?))).collect::<Result<_>>()?;
    if works == 0 && !args.presets.is_empty() {
        return Err(Error::Input(format!("`{}`: what --only asks for has no preset", args.presets.join(" "))));
    }
    let sides = match args.size {
        _ if !args.measures(Work::Pamr) => Vec::new(),
        Some(side) => vec![side],
        None => PAMR_SIDES.to_vec(),
    };
    // Of each number there is one run that is not counted.
    let crf = args.measures(Work::Crf);
    let total = (works * presets.len() + sides.len() + usize::from(crf)) * (args.runs + 1);
    let progress = console.progress("bench", total as u64);
    let networks: Vec<Network> = presets
        .iter()
        .filter(|_| works > 0)
        .map(|(name, settings)| Network::measure(name, settings, args, &device, &progress))
        .collect::<Result<_>>()?;
    let refinements: Vec<Refinement> =
        sides.iter().map(|&side| Refinement::measure(side, args, &device, &progress)).collect::<Result<_>>()?;
    let crf = crf.then(|| Crf::measure(args, &progress)).transpose()?;
    drop(progress);
    let threads = rayon::current_num_threads();
    if args.json {
        console.print(json!({
            "version": env!("CARGO_PKG_VERSION"), "device": name_of(&device), "threads": threads, "runs": args.runs,
            "networks": networks, "pamr": refinements, "crf": crf,
        }));
        return Ok(());
    }
    console.print(tables(&networks, &refinements, crf.as_ref(), console));
    console.print(format_args!(
        "wseg {}, {}, {threads} thread{}, medians of {}",
        env!("CARGO_PKG_VERSION"),
        name_of(&device),
        if threads == 1 { "" } else { "s" },
        args.runs
    ));
    Ok(())
}

fn name_of(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

fn tables(networks: &[Network], refinements: &[Refinement], crf: Option<&Crf>, console: &Console) -> String {
    let mut speeds = Table::new(["preset", "pixels", "batch", "training ms", "img/s", "one view ms", "views/s"]);
    for network in networks {
        speeds.row([
            network.preset.clone(),
            network.size.to_string(),
            network.batch.to_string(),
            optional(milliseconds, network.training_ms),
            optional(rate, network.training_images_per_second),
            optional(milliseconds, network.view_ms),
            optional(rate, network.views_per_second),
        ]);
    }
    let name = format!("PAMR, {} iterations", Pamr::default().iterations);
    let mut pamr = Table::new([name.as_str(), "classes", "ms"]);
    for refinement in refinements {
        let side = refinement.side;
        pamr.row([format!("{side}x{side}"), refinement.classes.to_string(), milliseconds(refinement.ms)]);
    }
    let name = format!("dense CRF, {} iterations", DenseCrf::default().iterations);
    let mut edges = Table::new([name.as_str(), "classes", "ms"]);
    if let Some(&Crf { width, height, classes, ms }) = crf {
        edges.row([format!("{width}x{height}"), classes.to_string(), milliseconds(ms)]);
    }
    let tables = [(networks.is_empty(), speeds), (refinements.is_empty(), pamr), (crf.is_none(), edges)];
    let measured = tables.iter().filter(|(empty, _)| !empty);
    measured.map(|(_, table)| format!("{}\n", table.text(console.paint()))).collect::<Vec<_>>().join("\n")
}

/// A number, or a dash where it was not measured.
fn optional(print: fn(f64) -> String, value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), print)
}

fn milliseconds(value: f64) -> String {
    format!("{value:.1}")
}

fn rate(value: f64) -> String {
    format!("{value:.2}")
}

/// Speeds of a preset's network.
#[derive(Debug, Serialize)]
struct Network {
    preset: String,
    size: usize,
    batch: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_images_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    views_per_second: Option<f64>,
}

impl Network {
    fn measure(
        name: &str,
        settings: &Settings,
        args: &BenchArgs,
        device: &Device,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let amount = Amount { batch: args.batch, size: args.size, classes: args.classes };
        let mut work = Workload::new(settings, amount, device)?;
        let size = work.size()?;
        progress.message(format!("{name} training"));
        let training = || work.train();
        let training_ms = args.measures(Work::Training).then(|| median(args.runs, progress, training)).transpose()?;
        progress.message(format!("{name} prediction"));
        let view_ms = args.measures(Work::View).then(|| median(args.runs, progress, || work.look())).transpose()?;
        Ok(Self {
            preset: name.to_owned(),
            size,
            batch: args.batch,
            training_ms,
            training_images_per_second: training_ms.map(|ms| args.batch as f64 * 1e3 / ms),
            view_ms,
            views_per_second: view_ms.map(|ms| 1e3 / ms),
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
    fn measure(side: usize, args: &BenchArgs, device: &Device, progress: &Progress<'_>) -> Result<Self> {
        let classes = args.classes + 1;
        let image = Tensor::rand(0_f32, 1_f32, (1, 3, side, side), device)?;
        let scores = Tensor::randn(0_f32, 1_f32, (1, classes, side, side), device)?;
        let masks = ops::softmax(&scores)?;
        progress.message(format!("PAMR {side}x{side}"));
        let refine = || {
            ops::pamr_stored(&masks, &image, &Pamr::default())?;
            Ok(())
        };
        Ok(Self { side, classes, ms: median(args.runs, progress, refine)? })
    }
}

/// The time of the dense CRF.
#[derive(Debug, Serialize)]
struct Crf {
    width: usize,
    height: usize,
    /// With the background.
    classes: usize,
    ms: f64,
}

impl Crf {
    fn measure(args: &BenchArgs, progress: &Progress<'_>) -> Result<Self> {
        let ((width, height), classes) = (CRF_SIZE, args.classes + 1);
        let work = Edges::new(width, height, classes)?;
        progress.message(format!("dense CRF {width}x{height}"));
        let ms = median(args.runs, progress, || work.refine().map(drop))?;
        Ok(Self { width, height, classes, ms })
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
