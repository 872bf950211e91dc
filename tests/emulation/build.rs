//! Compiles the kernels as plain C++, with `src/emulation.hpp` in CUDA's place. Without a C++ compiler, or where there
//! are no contexts to switch between, the package is empty and its tests say so.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(emulated)");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=../../cuda-runner/src/ops/kernels");
    // Contexts to switch between are a matter of the C library.
    let of = |name: &str| env::var(name).unwrap_or_default();
    if (of("CARGO_CFG_TARGET_OS"), of("CARGO_CFG_TARGET_ENV")) != ("linux".into(), "gnu".into()) {
        return;
    }
    let compiled = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/emulation.cpp")
        .include("src")
        .include("../../cuda-runner/src/ops/kernels")
        // Optimised whatever the profile: a test runs millions of threads.
        .opt_level(2)
        .flag("-fno-strict-aliasing")
        // The kernels' hints to nvcc.
        .flag("-Wno-unknown-pragmas")
        .warnings(true)
        .try_compile("wseg_emulation");
    match compiled {
        Ok(()) => println!("cargo::rustc-cfg=emulated"),
        Err(error) => {
            println!("cargo::warning=the CUDA kernels are not emulated, for want of a C++17 compiler: {error}")
        }
    }
}
