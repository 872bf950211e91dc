//! Pascal VOC with the Semantic Boundaries Dataset, in miniature.

use super::*;

/// A mask as SBD stores it: a MAT file of level 5 with the struct `GTcls`, whose mask is stored column by column.
fn gtcls(mask: &LabelMap) -> Vec<u8> {
    let element = |code: u32, data: &[u8]| {
        let mut bytes = [&code.to_le_bytes(), &(data.len() as u32).to_le_bytes(), data].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let matrix = |class: u8, rows: usize, columns: usize, name: &str, rest: &[u8]| {
        let dims = [(rows as u32).to_le_bytes(), (columns as u32).to_le_bytes()].concat();
        let head = [element(6, &[class, 0, 0, 0, 0, 0, 0, 0]), element(5, &dims), element(1, name.as_bytes())];
        element(14, &[head.concat(), rest.to_vec()].concat())
    };
    let columns = (0..mask.width).flat_map(|x| (0..mask.height).map(move |y| (x, y)));
    let labels: Vec<u8> = columns.map(|(x, y)| mask.labels[y * mask.width + x]).collect();
    let field = matrix(9, mask.height, mask.width, "", &element(2, &labels));
    let names = [element(5, &16_u32.to_le_bytes()), element(1, b"Segmentation\0\0\0\0")].concat();
    let mut bytes = [b"MATLAB 5.0 MAT-file".as_slice(), &[b' '; 105], b"\0\x01IM"].concat();
    bytes.extend(matrix(2, 1, 1, "GTcls", &[names, field].concat()));
    bytes
}

/// A small Pascal VOC (two photos to train on, one to validate), and a small SBD beside it: one photo of each of VOC's
/// splits, and three of its own, one of them only in VOC's folder.
fn voc_and_sbd() -> (DataSet, PathBuf) {
    let set = DataSet::new();
    set.write("ImageSets/Segmentation/train.txt", "t0\nt1\n");
    set.write("ImageSets/Segmentation/val.txt", "v0\n");
    fs::remove_file(set.root.join("classes.txt")).unwrap();
    let release = set.beside("benchmark_RELEASE");
    let dataset = release.join("dataset");
    put(&dataset, "train.txt", "t1\ns0\nt2\n");
    put(&dataset, "val.txt", "s1\nv0\n");
    fs::create_dir_all(dataset.join("cls")).unwrap();
    for (name, class) in [("t1", 7), ("s0", 3), ("t2", 4), ("s1", 5), ("v0", 6)] {
        fs::write(dataset.join(format!("cls/{name}.mat")), gtcls(&mask(WIDTH, HEIGHT, class))).unwrap();
        if name.starts_with('s') {
            put_photo(&dataset, &format!("img/{name}.jpg"), 1);
        }
    }
    (set, release)
}

#[test]
fn pascal_voc_and_sbd_are_merged() {
    let (set, release) = voc_and_sbd();
    let sbd = ["--sbd", release.to_str().unwrap()];
    let (code, findings) = check(&set.root, &sbd);
    assert_eq!((code, &findings["layout"]), (0, &Value::from("VOC layout with SBD")), "{findings:#}");
    // t0 and t1 of VOC, s0, t2 and s1 of SBD; not v0, on which one validates.
    assert_eq!((&findings["splits"][0]["usable"], &findings["splits"][1]["usable"]), (&5.into(), &1.into()));
    assert_eq!(findings["classes"].as_array().unwrap().len(), 21, "Pascal VOC's own");
    let out = set.beside("merged");
    convert(&set.root, &out, &sbd).good();
    assert_eq!(fs::read_to_string(out.join("ImageSets/Segmentation/train.txt")).unwrap(), "t0\nt1\ns0\nt2\ns1\n");
    assert_eq!(fs::read_to_string(out.join("ImageSets/Segmentation/val.txt")).unwrap(), "v0\n");
    // VOC's masks go before SBD's.
    for (name, class) in [("t1", 2), ("s0", 3), ("t2", 4), ("s1", 5), ("v0", 1)] {
        let path = out.join(format!("SegmentationClass/{name}.png"));
        assert_eq!(read_mask(&path).unwrap(), mask(WIDTH, HEIGHT, class), "{name}");
    }
    let labels = fs::read_to_string(out.join("labels.csv")).unwrap();
    assert!(labels.contains("s0,bird\n") && labels.contains("t1,bicycle\n"), "{labels}");
    let run_folder = set.beside("run");
    run([&"train", &"--data", &set.root, &"--out", &run_folder], &[&TINY[..], &sbd].concat()).good();
}

#[test]
fn what_is_wrong_with_sbd_is_named() {
    let (set, release) = voc_and_sbd();
    let sbd = ["--sbd", release.to_str().unwrap()];
    let cls = release.join("dataset/cls");
    let whole = fs::read(cls.join("s0.mat")).unwrap();
    fs::write(cls.join("s0.mat"), &whole[..whole.len() - 8]).unwrap();
    fs::write(cls.join("t2.mat"), gtcls(&mask(WIDTH, HEIGHT + 2, 4))).unwrap();
    fs::remove_file(cls.join("s1.mat")).unwrap();
    fs::remove_file(cls.join("t1.mat")).unwrap();
    let (code, findings) = check(&set.root, &sbd);
    let problems = findings["problems"].to_string();
    assert_eq!((code, findings["problems"].as_array().unwrap().len()), (2, 3), "{findings:#}");
    for part in ["s0.mat: the MATLAB file is cut off", "t2.mat: the mask has 48 x 42 pixels", "s1.mat: no such file"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
    let nowhere = ["--sbd", set.root.to_str().unwrap()];
    run([&"data", &"check", &set.root], &nowhere).refused(&["there is no folder dataset/cls"]);
    run([&"data", &"check", &release], &sbd).refused(&["leave out --sbd"]);
    let share = run([&"data", &"check", &set.root], &["--val-share", "1"]);
    assert!(share.code == 2 && share.err.contains("less than 1"), "{share:?}");
}

#[test]
fn sbd_by_itself_is_a_data_set_and_its_masks_are_truths() {
    let (set, release) = voc_and_sbd();
    for name in ["t1", "t2", "v0"] {
        fs::copy(set.photo(name), release.join(format!("dataset/img/{name}.jpg"))).unwrap();
    }
    let (code, findings) = check(&release, &[]);
    assert_eq!(
        (code, &findings["layout"], &findings["splits"][0]["masks"]),
        (0, &"SBD".into(), &3.into()),
        "{findings:#}"
    );
    let (cls, masks) = (release.join("dataset/cls"), set.beside("predicted"));
    for (name, class) in [("t1", 7), ("t2", 0)] {
        write_mask(&masks.join(format!("{name}.png")), &mask(WIDTH, HEIGHT, class)).unwrap();
    }
    let list = set.beside("list.txt");
    fs::write(&list, "t1\nt2\n").unwrap();
    set.write("names.txt", &format!("background\n{}", wseg::data::VOC_OBJECTS.join("\n")));
    let line: [&dyn AsRef<Path>; 9] =
        [&"eval", &"--pred", &masks, &"--gt", &cls, &"--list", &list, &"--classes", &set.root.join("names.txt")];
    let report: Value = serde_json::from_str(&run(line, &["--json"]).good()).unwrap();
    assert_eq!((&report["classes"][7]["iou"], &report["classes"][4]["iou"]), (&100.0.into(), &0.0.into()));
}
