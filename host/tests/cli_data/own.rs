//! Photos without a layout: label files and class folders.

use super::*;

/// Photos in folders of days, and a CSV file that says what they show.
fn own_photos() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("mine");
    for (name, class) in [("day1/a.jpg", 1), ("day1/b.jpg", 2), ("day2/a.png", 1), ("day2/c, big.jpg", 2), ("d.jpg", 1)]
    {
        put_photo(&mine, name, class);
    }
    put(
        &mine,
        "labels.csv",
        "image,labels\n# the first day\nday1/a.jpg,cat\nday1/b,dog\nday2/a.png,cat; dog\n\"day2/c, big.jpg\",\"dog\"\nd.jpg,\n",
    );
    (dir, mine)
}

#[test]
fn own_photos_by_a_csv_file_are_learnt_from_and_segmented() {
    let (dir, mine) = own_photos();
    let file = mine.join("labels.csv");
    let (code, findings) = check(&mine, &["--val-share", "0.4"]);
    assert_eq!((code, &findings["layout"]), (0, &Value::from("label file")), "{findings:#}");
    assert_eq!(findings["splits"][0]["usable"], 3);
    assert_eq!(findings["splits"][1]["usable"], 2);
    let (one, other) = (counts(&findings, 0), counts(&findings, 1));
    let total: Vec<_> = one.into_iter().zip(other).map(|((name, a), (_, b))| (name, a + b)).collect();
    assert_eq!(total, counted(&[("background", 1), ("cat", 2), ("dog", 3)]));
    let masks = train_and_predict(&file, &["--val-share", "0.4"], &file, &file, dir.path());
    assert_eq!(files(&masks), ["d.png", "day1/a.png", "day1/b.png", "day2/a.png", "day2/c, big.png"]);
    // What a photo is said not to show is not in its mask.
    let present = |name: &str| read_mask(&masks.join(name)).unwrap().present();
    assert!(!present("day1/a.png")[2] && !present("day1/b.png")[1]);
    assert_eq!(present("d.png").iter().filter(|present| **present).count(), 1, "nothing but background");
}

#[test]
fn own_photos_in_a_folder_for_each_class_are_learnt_from_and_segmented() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("mine");
    for (name, class) in [("cat/1.jpg", 1), ("cat/2.jpg", 1), ("dog/1.jpg", 2), ("dog/2.png", 2), ("dog/3.jpg", 2)] {
        put_photo(&mine, name, class);
    }
    let (code, findings) = check(&mine, &[]);
    assert_eq!((code, &findings["layout"]), (0, &Value::from("a folder for each class")));
    assert_eq!(counts(&findings, 0), counted(&[("background", 0), ("cat", 2), ("dog", 3)]));
    assert!(findings["remarks"][0].as_str().unwrap().contains("--val-share"), "{findings:#}");
    let masks = train_and_predict(&mine, &[], &mine, &mine, dir.path());
    assert_eq!(files(&masks), ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "dog/3.png"]);
    assert!(!read_mask(&masks.join("cat/1.png")).unwrap().present()[2]);

    // As data sets of whole pictures are laid out: train and val, each with such folders.
    let split = dir.path().join("split");
    fs::create_dir(&split).unwrap();
    fs::rename(&mine, split.join("train")).unwrap();
    put_photo(&split, "val/dog/1.jpg", 2);
    let (code, findings) = check(&split, &[]);
    assert_eq!(code, 0, "{findings:#}");
    assert_eq!(counts(&findings, 1), counted(&[("background", 0), ("cat", 0), ("dog", 1)]));
    put(&split, "classes.txt", "background\ndog\n");
    let done = run([&"data", &"check", &split], &["--quiet"]);
    assert_eq!(done.code, 2);
    assert!(done.out.contains("cat: there is no class `cat`"), "{}", done.out);
}

#[test]
fn any_data_set_is_converted_to_voc_layout() {
    let (dir, mine) = own_photos();
    let out = dir.path().join("voc");
    // True masks of some photos are taken along.
    write_mask(&mine.join("SegmentationClass/day1/a.png"), &mask(WIDTH, HEIGHT, 1)).unwrap();
    let told = convert(&mine.join("labels.csv"), &out, &["--val-share", "0.2", "--json"]).good();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["photos"], &told["masks"], &told["splits"]["val"]), (&5.into(), &1.into(), &1.into()));
    assert_eq!(
        files(&out),
        [
            "ImageSets/Segmentation/train.txt",
            "ImageSets/Segmentation/val.txt",
            "JPEGImages/d.jpg",
            "JPEGImages/day1_a.jpg",
            "JPEGImages/day1_b.jpg",
            "JPEGImages/day2_a.png",
            "JPEGImages/day2_c_ big.jpg",
            "SegmentationClass/day1_a.png",
            "classes.txt",
            "labels.csv",
        ]
    );
    assert_eq!(fs::read(out.join("JPEGImages/day1_b.jpg")).unwrap(), fs::read(mine.join("day1/b.jpg")).unwrap());
    assert_eq!(fs::read_to_string(out.join("classes.txt")).unwrap(), "background\ncat\ndog\n");
    let labels = fs::read_to_string(out.join("labels.csv")).unwrap();
    for line in ["day1_a,cat\n", "day2_a,cat;dog\n", "day2_c_ big,dog\n", "d,\n"] {
        assert!(labels.contains(line), "{labels}");
    }
    let (code, findings) = check(&out, &[]);
    assert_eq!((code, &findings["layout"]), (0, &Value::from("VOC layout")), "{findings:#}");
    assert_eq!(findings["splits"][0]["usable"], 4);
    // Nothing is overwritten, and a second conversion of the same gives the same.
    convert(&mine, &out, &[]).refused(&["voc: the folder holds files already"]);
    let again = dir.path().join("again");
    convert(&out, &again, &[]).good();
    assert_eq!(files(&again), files(&out));
    assert_eq!(fs::read_to_string(again.join("labels.csv")).unwrap(), labels);
}

#[test]
fn a_data_set_with_a_broken_file_is_not_converted_in_part() {
    let (dir, mine) = own_photos();
    let bytes = fs::read(mine.join("day1/b.jpg")).unwrap();
    let middle = bytes.len() / 2;
    fs::write(mine.join("day2/c, big.jpg"), b"a poem").unwrap();
    fs::write(mine.join("d.jpg"), &bytes[..middle]).unwrap();
    let done = convert(&mine, &dir.path().join("out/voc"), &[]);
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert!(
        done.err.contains("c, big.jpg: is neither") && done.err.contains("d.jpg: the JPEG is cut off"),
        "{}",
        done.err
    );
    let left = dir.path().join("out");
    assert!(!left.exists() || fs::read_dir(&left).unwrap().next().is_none(), "something was left behind");
}

#[test]
fn json_lines_name_photos_and_lists_beside_them_the_splits() {
    let (_dir, mine) = own_photos();
    fs::remove_file(mine.join("labels.csv")).unwrap();
    let lines =
        ["{\"image\": \"day1/a.jpg\", \"labels\": [\"cat\"]}", "{\"image\": \"d\", \"labels\": [\"owl\", \"cat\"]}"];
    put(&mine, "labels.jsonl", &lines.join("\n"));
    put(&mine, "val.txt", "d.jpg\n");
    let (code, findings) = check(&mine, &[]);
    assert_eq!(code, 0, "{findings:#}");
    assert_eq!(counts(&findings, 0), counted(&[("background", 0), ("cat", 1), ("owl", 0)]));
    assert_eq!(counts(&findings, 1), counted(&[("background", 0), ("cat", 1), ("owl", 1)]));
    assert_eq!(findings["remarks"][0], "no usable training photo shows owl");
    put(&mine, "classes.txt", "background\ncat\n");
    put(&mine, "val.txt", "d\nday9/z.jpg\n");
    let done = run([&"data", &"check", &mine], &["--quiet"]);
    assert_eq!(done.code, 2);
    for expected in ["labels.jsonl: line 2: there is no class `owl`", "val.txt: `day9/z.jpg` is not in "] {
        assert!(done.out.contains(expected), "{}", done.out);
    }
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}
