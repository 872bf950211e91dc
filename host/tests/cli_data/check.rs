//! What `wseg data check` finds, and lists of pairs.

use super::*;

#[test]
fn everything_wrong_is_listed_at_once() {
    let set = DataSet::new();
    let (code, findings) = check(&set.root, &[]);
    assert_eq!((code, findings["problems"].as_array().unwrap().len()), (0, 0), "{findings:#}");
    assert_eq!(counts(&findings, 0), counted(&[("background", 0), ("cat", 2), ("dog", 2)]));
    assert!(run([&"data", &"check", &set.root], &[]).good().ends_with("no problems\n"));

    fs::remove_file(set.photo("t0")).unwrap();
    fs::remove_file(set.mask("t1")).unwrap();
    set.corrupt("t2");
    write_mask(&set.mask("t2"), &mask(WIDTH + 1, HEIGHT, 1)).unwrap();
    write_mask(&set.mask("t3"), &mask(WIDTH, HEIGHT, 9)).unwrap();
    write_mask(&set.mask("v0"), &mask(WIDTH, HEIGHT + 1, 1)).unwrap();
    fs::write(set.mask("v1"), "a poem").unwrap();
    set.write("ImageSets/Segmentation/val.txt", "v0\nv1\nv0\nt0\nt4\n");
    let expected = [
        ("train", "t0.jpg: no such file"),
        ("train", "t1.png: no such file; it is needed for the image labels"),
        ("train", "t2.jpg: the JPEG is cut off"),
        ("train", "t3.png: value 9 is not a class"),
        ("val", "v0.png: the mask has 48 x 41 pixels, its photo 48 x 40"),
        ("val", "v1.png: is not a PNG"),
        ("val", "val.txt: line 3: `v0` is on line 1 already"),
        ("val", "t0.jpg: is in both splits, `train` and `val`"),
        ("val", "t0.jpg: no such file"),
        ("val", "t4.jpg: no such file"),
        ("val", "t4.png: no such file"),
    ];
    let (code, findings) = check(&set.root, &[]);
    assert_eq!(code, 2);
    let problems = findings["problems"].as_array().unwrap();
    for (split, part) in expected {
        let found = problems
            .iter()
            .any(|problem| problem["split"] == split && problem["problem"].as_str().unwrap().contains(part));
        assert!(found, "{split}: {part}: {findings:#}");
    }
    assert_eq!(problems.len(), expected.len(), "{findings:#}");
    assert_eq!((&findings["splits"][0]["usable"], &findings["splits"][1]["usable"]), (&0.into(), &0.into()));
    let done = run([&"data", &"check", &set.root], &["--quiet"]);
    assert_eq!((done.code, done.out.matches("problem:").count()), (2, expected.len()));
    assert!(done.err.starts_with("error: ") && done.err.contains("there are 11 problems"), "{}", done.err);
}

#[test]
fn labels_outside_the_classes_are_listed_with_everything_else() {
    let set = DataSet::new();
    set.write("labels.csv", "t0,cat\nt1,hamster\nt2,dog\nt3\nv0,cat;dogg\nv1,\nextra,cat\n");
    write_mask(&set.mask("v1"), &mask(WIDTH, HEIGHT, 77)).unwrap();
    set.corrupt("t2");
    let (code, findings) = check(&set.root, &[]);
    assert_eq!(code, 2);
    let problems: Vec<&str> =
        findings["problems"].as_array().unwrap().iter().map(|problem| problem["problem"].as_str().unwrap()).collect();
    for part in [
        "labels.csv: line 2: there is no class `hamster`",
        "labels.csv: line 4: no comma in `t3`",
        "labels.csv: line 5: there is no class `dogg`; is `dog` meant?",
        "t2.jpg: the JPEG is cut off",
        "labels.csv: no line for the photo `t3`",
        "v1.png: value 77 is not a class",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
    }
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert!(findings["remarks"].to_string().contains("1 of its photos are in no split"), "{findings:#}");
    // Without classes.txt the label file says which classes there are.
    set.write("labels.csv", "t0,cat\nt1,hamster\nt2,dog\nt3,dog\nv0,cat\nv1,\n");
    fs::remove_file(set.root.join("classes.txt")).unwrap();
    assert_eq!(
        counts(&check(&set.root, &[]).1, 0),
        counted(&[("background", 0), ("cat", 1), ("dog", 1), ("hamster", 1)])
    );
}

#[test]
fn lists_of_pairs_are_splits() {
    let set = DataSet::new();
    fs::rename(set.root.join("SegmentationClass"), set.root.join("Aug")).unwrap();
    let pairs = |names: &[&str]| -> String {
        names.iter().map(|name| format!("/JPEGImages/{name}.jpg /Aug/{name}.png\n")).collect()
    };
    set.write("ImageSets/Segmentation/train.txt", &pairs(&["t0", "t1", "t2", "t3"]));
    set.write("ImageSets/Segmentation/val.txt", &pairs(&["v0", "v1"]));
    let (code, findings) = check(&set.root, &[]);
    assert_eq!((code, &findings["splits"][0]["masks"]), (0, &4.into()), "{findings:#}");
    assert_eq!(counts(&findings, 0), counted(&[("background", 0), ("cat", 2), ("dog", 2)]));
    let list = set.root.join("ImageSets/Segmentation/val.txt");
    let masks = train_and_predict(&set.root, &[], &list, &set.root.join("Aug"), &set.beside("."));
    assert_eq!(files(&masks), ["v0.png", "v1.png"]);
    let report =
        run([&"eval", &"--pred", &masks, &"--gt", &set.root.join("Aug"), &"--list", &list], &["--json"]).good();
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap()["images"], 2);
}

#[test]
fn a_folder_that_holds_no_data_set_is_told_what_would_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["no data set", "ImageSets", "labels.csv", "a folder of photos for each class"];
    run([&"data", &"check", &dir.path()], &[]).refused(&words);
    let poem = dir.path().join("poem.txt");
    fs::write(&poem, "roses").unwrap();
    run([&"data", &"check", &poem], &[]).refused(&["poem.txt: neither a folder nor a label file"]);
    run([&"data", &"check", &dir.path().join("gone")], &[]).refused(&["gone: no such folder"]);
}
