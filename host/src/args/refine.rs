//! The flags of `wseg refine`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint, builder::RangedU64ValueParser};
use wseg_core::pamr::Pamr;
use wseg_cuda_runner::{DeviceChoice, crf::DenseCrf};

use super::{
    help,
    value::{fraction, number, positive, thread_count},
};

/// How masks are refined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefineMethod {
    /// Pixel-adaptive mask refinement.
    Pamr,
    /// The dense CRF.
    Crf,
    /// One after the other.
    #[value(name = "pamr+crf")]
    PamrCrf,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MaskFormat {
    /// A palettised PNG with a class number a pixel.
    Png,
    /// A NumPy array of probabilities `[classes, h, w]`, float32.
    Npy,
}

/// `wseg refine`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::REFINE_EXAMPLES)]
pub struct RefineArgs {
    /// The photo, or a folder of photos.
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// Its mask, or a folder of masks with the photos' names.
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub mask: PathBuf,
    /// How masks are refined.
    #[arg(long, value_name = "METHOD", value_enum, default_value = "crf")]
    pub method: RefineMethod,
    /// The refined mask, .png or .npy; of a folder of photos, a folder.
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub out: PathBuf,
    /// What is written into a folder.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "png")]
    pub format: MaskFormat,
    /// How sure the labels of a mask are: the probability that a pixel's label is right.
    #[arg(long, value_name = "P", value_parser = fraction, default_value = "0.7")]
    pub confidence: f64,
    /// Grey PNGs hold class numbers; without this, they hold probabilities.
    #[arg(long)]
    pub grey_labels: bool,
    /// The array to take from an .npz archive [default: its only one].
    #[arg(long, value_name = "NAME")]
    pub array: Option<String>,
    /// PAMR's iterations.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=1000), default_value_t = Pamr::default().iterations)]
    pub pamr_iterations: usize,
    /// The dense CRF's parameters.
    #[command(flatten)]
    pub crf: CrfArgs,
    /// Where PAMR computes: auto, cpu, cuda or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print what was done as JSON, one object a photo.
    #[arg(long)]
    pub json: bool,
}

/// The dense CRF's parameters under pydensecrf's names.
#[derive(Debug, Clone, Args)]
pub struct CrfArgs {
    /// Mean field iterations of the dense CRF.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=1000), default_value_t = DenseCrf::default().iterations)]
    pub crf_iterations: usize,
    /// Standard deviation of the kernel over positions, in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = positive, default_value_t = DenseCrf::default().gaussian_sxy)]
    pub gaussian_sxy: f64,
    /// Weight of the kernel over positions; 0 leaves it out.
    #[arg(long, value_name = "WEIGHT", value_parser = number, allow_negative_numbers = true, default_value_t = DenseCrf::default().gaussian_weight)]
    pub gaussian_compat: f64,
    /// Standard deviation of positions of the kernel over positions and colours, in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = positive, default_value_t = DenseCrf::default().bilateral_sxy)]
    pub bilateral_sxy: f64,
    /// Standard deviation of its colours, in grey levels of 255.
    #[arg(long, value_name = "LEVELS", value_parser = positive, default_value_t = DenseCrf::default().bilateral_srgb)]
    pub bilateral_srgb: f64,
    /// Its weight; 0 leaves it out.
    #[arg(long, value_name = "WEIGHT", value_parser = number, allow_negative_numbers = true, default_value_t = DenseCrf::default().bilateral_weight)]
    pub bilateral_compat: f64,
}

impl CrfArgs {
    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> DenseCrf {
        DenseCrf {
            iterations: self.crf_iterations,
            gaussian_weight: self.gaussian_compat,
            gaussian_sxy: self.gaussian_sxy,
            bilateral_weight: self.bilateral_compat,
            bilateral_sxy: self.bilateral_sxy,
            bilateral_srgb: self.bilateral_srgb,
            ..DenseCrf::default()
        }
    }
}
