//! Any text is a label file, CSV or JSON lines, or a list of problems, a sentence each.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wseg::data::{
    Classes, Problems,
    labels::{LabelFile, Rows},
};

fuzz_target!(|text: &str| {
    let classes = Classes::of_objects(["cat", "dog"]).expect("two classes");
    for name in ["labels.csv", "labels.jsonl"] {
        let mut problems = Problems::default();
        let rows = Rows::parse(Path::new(name), text, &mut problems);
        let labels = LabelFile::new(&rows, &classes, &mut problems);
        for image in labels.images() {
            assert_eq!(labels.labels(&image.name).expect("it was read"), &image.labels);
            assert!(!image.name.starts_with('/') && !image.name.split('/').any(|part| part == ".."));
        }
        // Classes or a sentence.
        let _ = rows.classes();
        for problem in problems.into_told() {
            assert!(!problem.contains('\n') && problem.len() < 1000, "{problem}");
        }
    }
});
