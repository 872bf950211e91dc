//! Any text is a list of photos and a list of class names, or a list of problems, a sentence each.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wseg::data::{Classes, Problems, list};

fuzz_target!(|text: &str| {
    let mut problems = Problems::default();
    for line in list::parse(Path::new("train.txt"), text, &mut problems) {
        assert!(line.photo_in(Path::new("root")).starts_with("root"), "{line:?}");
        assert!(line.mask_in(Path::new("root")).is_none_or(|mask| mask.starts_with("root")), "{line:?}");
    }
    if let Err(error) = Classes::parse(Path::new("classes.txt"), text) {
        problems.push_error(&error);
    }
    for problem in problems.into_told() {
        assert!(!problem.contains('\n') && problem.len() < 1000, "{problem}");
    }
});
