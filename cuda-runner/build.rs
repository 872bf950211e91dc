//! With the feature `cuda`: compiles `src/ops/kernels/*.cu` to PTX, which the driver of any card of this or a later
//! generation translates when it is loaded. `CUDA_COMPUTE_CAP` (`90` for an H100, `80` for an A100) says which; else the
//! card of this machine does; else 80.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest generation with bfloat16 arithmetic.
const OLDEST: &str = "80";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed=src/ops/kernels");
    for name in ["CUDA_COMPUTE_CAP", "CUDA_HOME", "CUDA_PATH", "NVCC", "PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gives OUT_DIR")?);
    let (nvcc, generation) = (nvcc(), generation()?);
    let mut sources: Vec<PathBuf> = fs::read_dir("src/ops/kernels")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    sources.sort();
    let mut modules = String::new();
    for source in sources {
        let name = source.file_stem().and_then(|name| name.to_str()).ok_or("a kernel's file has a plain name")?;
        let ptx = out.join(format!("{name}.ptx"));
        compile(&nvcc, &generation, &source, &ptx)?;
        modules += &format!(
            "/// `ops/kernels/{name}.cu`.\npub(crate) const {}: Module = Module {{ name: \"wseg_{name}\", \
             ptx: include_str!(concat!(env!(\"OUT_DIR\"), \"/{name}.ptx\")) }};\n",
            name.to_uppercase()
        );
    }
    Ok(fs::write(out.join("modules.rs"), modules)?)
}

/// The compiler: `$NVCC`, that of `$CUDA_HOME` or `$CUDA_PATH`, or the one on the path.
fn nvcc() -> OsString {
    if let Some(nvcc) = env::var_os("NVCC") {
        return nvcc;
    }
    ["CUDA_HOME", "CUDA_PATH"]
        .into_iter()
        .filter_map(|name| Some(Path::new(&env::var_os(name)?).join("bin/nvcc")))
        .find(|path| path.is_file())
        .map_or_else(|| "nvcc".into(), Into::into)
}

/// Digits such as `90`.
fn generation() -> Result<String, Box<dyn Error>> {
    let given = env::var("CUDA_COMPUTE_CAP").ok().or_else(|| {
        let asked = Command::new("nvidia-smi").args(["--query-gpu=compute_cap", "--format=csv,noheader"]).output();
        let output = asked.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().replace('.', ""))
    });
    let generation = given.unwrap_or_else(|| OLDEST.to_owned());
    match generation.parse::<u32>() {
        Ok(number) if number >= 80 => Ok(generation),
        _ => Err(format!("CUDA_COMPUTE_CAP={generation}: give digits such as 80, 90 or 120; 80 is the oldest").into()),
    }
}

fn compile(nvcc: &OsString, generation: &str, source: &Path, ptx: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(nvcc);
    command.args(["--ptx", "-O3", "-std=c++17", "-lineinfo", "-I", "src/ops/kernels", "-arch"]);
    command.arg(format!("compute_{generation}")).arg("-o").arg(ptx).arg(source);
    let output = command.output().map_err(|error| {
        format!(
            "the feature `cuda` needs NVIDIA's compiler, and `{}` cannot be run: {error}. Install the CUDA toolkit \
             (README, \"On a GPU\") and set CUDA_HOME, or build without the feature",
            nvcc.display()
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("nvcc refused {}:\n{}", source.display(), String::from_utf8_lossy(&said)).into())
}
