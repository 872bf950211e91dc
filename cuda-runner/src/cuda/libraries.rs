//! Whether the driver and the libraries are there, asked before they are used: candle panics where they are not.

use std::{env::consts::DLL_SUFFIX, path::Path};

use libloading::Library;

/// What is missing, in a sentence; nothing if all is there.
pub(crate) fn problem() -> Option<String> {
    // NVIDIA's numbers of the versions that the bindings look for.
    let there = |name: &str, versions: &[&str]| versions.iter().any(|version| loads(name, version));
    if !there("cuda", &["1", ""]) {
        return Some("there is no NVIDIA driver (libcuda.so.1 cannot be loaded)".to_owned());
    }
    let libraries = [("cublas", ["13", "12"]), ("curand", ["10", ""]), ("cudnn", ["9", ""])];
    let missing: Vec<String> = libraries
        .iter()
        .filter(|(name, versions)| !there(name, versions) && !there(name, &[""]))
        .map(|(name, versions)| format!("lib{name}.so.{}", versions[0]))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "{} cannot be loaded; install CUDA's libraries and cuDNN, or name the folders of PyTorch's in LD_LIBRARY_PATH \
         (site-packages/nvidia/cu13/lib and site-packages/nvidia/cudnn/lib)",
        missing.join(", ")
    ))
}

/// Whether a shared library can be loaded, of this version or of whatever version.
fn loads(name: &str, version: &str) -> bool {
    let file = match version {
        "" => format!("lib{name}{DLL_SUFFIX}"),
        version => format!("lib{name}{DLL_SUFFIX}.{version}"),
    };
    // SAFETY: what NVIDIA's libraries do when they are loaded, they would do anyway as soon as they are used.
    unsafe { Library::new(Path::new(&file)) }.is_ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_there_loads_and_another_does_not() {
        assert!(loads("c", "6"));
        assert!(!loads("no-such-library", "1") && !loads("no-such-library", ""));
    }
}
