//! The kernels as the compiler left them.

/// A file of kernels.
pub(crate) struct Module {
    /// What the device knows it as once it is loaded.
    pub name: &'static str,
    /// The kernels in the driver's assembly language.
    pub ptx: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/modules.rs"));
