//! Where tensors live: the CPU, or a GPU where the build has CUDA.

use std::{fmt, str::FromStr};

use candle_core::Device;

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

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// [`Error::Config`] if a GPU was asked for and there is none, or the build has no CUDA.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) => Err(Error::Config(format!("the device `{self}` needs CUDA, which this build is without"))),
        }
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
    }

    #[test]
    fn a_gpu_that_cannot_be_had_is_an_error_and_never_the_cpu() {
        assert!(DeviceChoice::Auto.open().is_ok());
        let refused = DeviceChoice::Cuda(0).open().map(|_| ()).expect_err("no CUDA here");
        assert!(refused.to_string().contains("cuda:0"), "{refused}");
    }
}
