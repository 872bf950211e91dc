//! Where and in what numbers commands compute.

use clap::Args;
use wseg_cuda_runner::{DeviceChoice, Precision};

/// Where a network computes.
#[derive(Debug, Clone, Copy, Args)]
pub struct ComputeArgs {
    /// Where to compute: auto, cpu, cuda or cuda:N; auto takes a GPU where the build and the machine have one.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Numbers of the network's maps and products on a GPU: f32, tf32 or bf16 [default: f32].
    #[arg(long, value_name = "NUMBERS")]
    pub precision: Option<Precision>,
}
