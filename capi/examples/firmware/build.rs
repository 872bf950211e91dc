//! Hands the linker the memory map.

use std::{env, fs, path::Path};

fn main() {
    let folder = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&folder).join("memory.x"), include_bytes!("memory.x")).expect("the memory map can be written");
    println!("cargo::rustc-link-search={folder}");
    println!("cargo::rustc-link-arg=--nmagic");
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rerun-if-changed=memory.x");
}
