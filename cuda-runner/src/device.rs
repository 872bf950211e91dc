//! Where tensors live, the CPU or a GPU where the build has CUDA, and the numbers that are computed with.

#[cfg(feature = "cuda")]
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use std::{fmt, str::FromStr};

use candle_core::{DType, Device, DeviceLocation};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The device that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU if there is one that can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number.
    Cuda(usize),
}

/// The device that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The device.
    pub device: Device,
    /// Why it is the CPU, where [`DeviceChoice::Auto`] looked for a GPU and could use none: a sentence.
    pub passed_over: Option<String>,
}

/// Where and in what numbers a network computes; by default in `f32` on the CPU.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Where.
    pub device: Device,
    /// In what numbers.
    pub precision: Precision,
}

impl Default for Compute {
    fn default() -> Self {
        Self { device: Device::Cpu, precision: Precision::default() }
    }
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// [`Error::Config`] if a GPU was asked for and there is none, or the build has no CUDA.
    pub fn open(self) -> Result<Device> {
        self.find().map(|found| found.device)
    }

    /// The device, and why no GPU was taken.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn find(self) -> Result<Found> {
        let found = |device, passed_over| Ok(Found { device, passed_over });
        match self {
            Self::Cpu => found(Device::Cpu, None),
            // A build without CUDA is one that was wanted so.
            Self::Auto if !cfg!(feature = "cuda") => found(Device::Cpu, None),
            Self::Auto => match gpu(0) {
                Ok(device) => found(device, None),
                Err(problem) => found(Device::Cpu, Some(format!("no GPU is used: {problem}"))),
            },
            Self::Cuda(number) => match gpu(number) {
                Ok(device) => found(device, None),
                Err(problem) => Err(Error::Config(format!("the device `{self}` cannot be used: {problem}"))),
            },
        }
    }
}

/// The GPU of a number, or why there is none.
#[cfg(feature = "cuda")]
fn gpu(number: usize) -> Result<Device, String> {
    /// Those that were opened: a device has one stream, one set of kernels and one cuDNN for the whole process.
    static OPENED: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = opened.get(&number) {
        return Ok(device.clone());
    }
    if let Some(problem) = crate::cuda::libraries::problem() {
        return Err(problem);
    }
    // A stream of its own: whatever thread works with a tensor, the order of work is one.
    let device = Device::new_cuda_with_stream(number).map_err(|error| format!("the driver says: {error}"))?;
    if let Device::Cuda(device) = &device {
        // SAFETY: everything runs on this one stream; the copies that do not are ordered by events of their own.
        unsafe { device.disable_event_tracking() };
        // Slower without, not wrong.
        let _ = crate::cuda::pool::keep(device);
    }
    opened.insert(number, device.clone());
    Ok(device)
}

#[cfg(not(feature = "cuda"))]
fn gpu(_: usize) -> Result<Device, String> {
    Err("this build is without CUDA; build with --features cuda".to_owned())
}

/// The name by which a device is asked for.
#[must_use]
pub fn name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Waits until a device has done all that it was asked to do.
///
/// # Errors
/// What went wrong there.
pub fn finish(device: &Device) -> Result<()> {
    Ok(device.synchronize()?)
}

/// The most bytes of a GPU's memory that were in use at once since the last call, by this process; nothing on the CPU.
#[must_use]
pub fn take_peak(device: &Device) -> Option<u64> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => crate::cuda::pool::take_peak(device).ok(),
        _ => None,
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':').unwrap_or((text, "0")) {
            ("auto", _) if text == "auto" => Ok(Self::Auto),
            ("cpu", _) if text == "cpu" => Ok(Self::Cpu),
            ("cuda", number) if number.parse::<u8>().is_ok() => Ok(Self::Cuda(number.parse().unwrap_or_default())),
            _ => Err("a device is auto, cpu, cuda or cuda:N".into()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// The numbers of a network's maps and products. Weights, losses, softmax and PAMR are in `f32` whatever is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `f32` throughout.
    #[default]
    F32,
    /// Maps of `f32`; products of factors with 10 bits of fraction, summed in `f32`.
    Tf32,
    /// Maps of `bf16`: 7 bits of fraction.
    Bf16,
}

impl Precision {
    /// The type of maps in a network.
    #[must_use]
    pub const fn maps(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Makes the device compute so from now on, in the whole process.
    ///
    /// # Errors
    /// [`Error::Config`] if the device cannot: the CPU has `f32` only.
    pub fn prepare(self, device: &Device) -> Result<()> {
        if !device.is_cuda() && self != Self::F32 {
            let problem = "is for GPUs; the CPU computes in f32 (leave the precision out)";
            return Err(Error::Config(format!("the precision `{self}` {problem}")));
        }
        #[cfg(feature = "cuda")]
        crate::cuda::math::allow_tf32(self == Self::Tf32);
        Ok(())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::F32, Self::Tf32, Self::Bf16].into_iter().find(|precision| precision.to_string() == text);
        known.ok_or_else(|| "a precision is f32, tf32 or bf16".into())
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_people_name_them() {
        let parsed = |text: &str| text.parse::<DeviceChoice>();
        assert_eq!(parsed("auto"), Ok(DeviceChoice::Auto));
        assert_eq!(parsed("cpu"), Ok(DeviceChoice::Cpu));
        assert_eq!((parsed("cuda"), parsed("cuda:3")), (Ok(DeviceChoice::Cuda(0)), Ok(DeviceChoice::Cuda(3))));
        for bad in ["", "gpu", "cpu:1", "auto:0", "cuda:", "cuda:-1", "cuda:999", "CUDA"] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
        assert_eq!(name(&Device::Cpu), "cpu");
    }

    #[test]
    fn a_gpu_that_cannot_be_had_is_an_error_and_never_the_cpu() {
        // No machine has so many.
        let refused = DeviceChoice::Cuda(200).find().map(|_| ()).expect_err("no such GPU");
        assert!(refused.to_string().contains("cuda:200") && refused.is_input(), "{refused}");
    }

    #[test]
    fn auto_always_finds_a_device_and_says_why_it_is_no_gpu() {
        let Found { device, passed_over } = DeviceChoice::Auto.find().expect("a device");
        assert_eq!(passed_over.is_some(), cfg!(feature = "cuda") && !device.is_cuda(), "{passed_over:?}");
        assert!(DeviceChoice::Cpu.find().expect("the CPU").passed_over.is_none());
    }

    #[test]
    fn the_cpu_has_one_precision() {
        assert_eq!("bf16".parse(), Ok(Precision::Bf16));
        assert!("f16".parse::<Precision>().is_err());
        assert!(Precision::F32.prepare(&Device::Cpu).is_ok());
        for precision in [Precision::Tf32, Precision::Bf16] {
            let refused = precision.prepare(&Device::Cpu).expect_err("not on a CPU");
            assert!(refused.to_string().contains(&format!("`{precision}`")) && refused.is_input(), "{refused}");
        }
    }
}
