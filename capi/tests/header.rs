//! The header is what cbindgen makes of the sources.

#![cfg(not(miri))]

use std::{fs, path::Path};

#[test]
fn the_header_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("the configuration");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["status", "constants", "masks", "losses", "refinement", "gates", "crf"] {
        builder = builder.with_src(folder.join("src").join(file).with_extension("rs"));
    }
    let mut generated = Vec::new();
    builder.generate().expect("a header").write(&mut generated);
    let generated = String::from_utf8(generated).expect("text");
    let path = folder.join("include/wseg.h");
    if std::env::var_os("WSEG_BLESS").is_some() {
        fs::write(&path, &generated).expect("the header can be written");
    }
    let current = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == generated,
        "include/wseg.h is not what the sources say: WSEG_BLESS=1 cargo test -p wseg-capi --test header writes it anew"
    );
}
