//! Every custom operation has its kernels: a forward pass on a GPU, and a gradient that does not go to the host.

use std::{fs, path::Path};

/// The files of a folder and its folders, with what they say.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).expect("a source file")));
        }
    }
    found
}

/// On a GPU the definition stands in for it, whose operations all have kernels: `train::mask_loss`.
const DEFINED: &str = "pixel_cross_entropy.rs";

#[test]
fn every_operation_runs_on_a_gpu() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cuda-runner/src/ops");
    let mut operations = 0;
    for (file, source) in sources(&folder).into_iter().filter(|(file, _)| !file.ends_with(DEFINED)) {
        for block in source.split("\nimpl ").skip(1).filter(|block| block.starts_with("CustomOp")) {
            operations += 1;
            let name = block.lines().next().unwrap_or_default();
            assert!(block.contains("fn cuda_fwd("), "{file}: `impl {name}` has no `cuda_fwd`");
        }
        // Gradients on the host read the memory of tensors by `on_host`.
        if source.contains("on_host::<") && source.contains("fn bwd(") {
            assert!(source.contains("is_cuda()"), "{file}: the gradient is always the CPU's");
        }
    }
    assert!(operations >= 15, "{operations} operations");
}
