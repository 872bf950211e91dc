//! The synthetic data set: its layout, its promises about repeatability, and that it is fit for its purpose.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wseg::picture::{read_mask, read_photo};
use wseg::synth::{Kind, Split, Synth, generate, picture};

const VOID: u8 = 255;

fn small() -> Synth {
    Synth { images: 7, val: 3, classes: 4, size: 64, seed: 5 }
}

/// Every file below a folder, by its name from there.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_set_has_the_layout_of_pascal_voc() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/data");
    let mut reports = Vec::new();
    generate(&small(), &out, |done, total| reports.push((done, total))).unwrap();
    assert_eq!(reports, (1..=10).map(|done| (done, 10)).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1, "something was left beside the set");

    let classes = fs::read_to_string(out.join("classes.txt")).unwrap();
    assert_eq!(classes, "background\nzebra-fish\nladybird\nsunflower\nbottle\n");
    for (split, count) in [("train", 7), ("val", 3)] {
        let list = fs::read_to_string(out.join(format!("ImageSets/Segmentation/{split}.txt"))).unwrap();
        assert_eq!(list.lines().count(), count);
        for name in list.lines() {
            let photo = read_photo(&out.join(format!("JPEGImages/{name}.jpg"))).unwrap();
            let path = out.join(format!("SegmentationClass/{name}.png"));
            let mask = read_mask(&path).unwrap();
            assert_eq!(photo.dimensions(), (64, 64));
            assert_eq!((mask.width, mask.height), (64, 64));
            assert!(mask.labels.iter().all(|&label| label <= 4 || label == VOID));
            assert_eq!(fs::read(&path).unwrap()[25], 3, "the mask is not palettised");
        }
    }
    assert_eq!(contents(&out).len(), 2 * 10 + 4);
}

#[test]
fn a_set_depends_on_its_settings_alone() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, settings: &Synth, threads: usize| {
        let out = folder.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| generate(settings, &out, |_, _| {})).unwrap();
        contents(&out)
    };
    let once = make("one-thread", &small(), 1);
    assert_eq!(once, make("three-threads", &small(), 3));
    let other = make("other-seed", &Synth { seed: 6, ..small() }, 2);
    let photos = |set: &BTreeMap<PathBuf, Vec<u8>>| {
        set.iter()
            .filter(|(path, _)| path.starts_with("JPEGImages"))
            .map(|(_, bytes)| bytes.clone())
            .collect::<Vec<_>>()
    };
    assert!(photos(&once).iter().zip(photos(&other)).all(|(a, b)| *a != b));
}

#[test]
fn a_picture_is_the_same_in_a_larger_set_and_no_two_are_alike() {
    let larger = Synth { images: 1000, val: 0, ..small() };
    let mut seen = Vec::new();
    for split in [Split::Train, Split::Val] {
        for number in 0..4 {
            let made = picture(&small(), split, number);
            assert_eq!(made, picture(&larger, split, number));
            assert!(!seen.contains(&made.photo), "{split:?} {number} is there twice");
            seen.push(made.photo);
        }
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("photos");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("holiday.jpg"), "precious").unwrap();
    let error = generate(&small(), &out, |_, _| {}).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("photos") && error.to_string().contains("not empty"), "{error}");
    assert_eq!(contents(&out).len(), 1);
    let file = out.join("holiday.jpg");
    assert_eq!(generate(&small(), &file, |_, _| {}).unwrap_err().exit_code(), 2);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn the_same_set_is_kept_and_another_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("data");
    fs::create_dir(&out).unwrap();
    generate(&small(), &out, |_, _| {}).expect("an empty folder is as good as none");
    fs::write(out.join("classes.txt"), "marked").unwrap();
    let mut reports = Vec::new();
    generate(&small(), &out, |done, total| reports.push((done, total))).unwrap();
    assert_eq!(reports, [(10, 10)]);
    assert_eq!(fs::read(out.join("classes.txt")).unwrap(), b"marked", "the set was made again");
    let error = generate(&Synth { val: 4, ..small() }, &out, |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
}

#[test]
fn an_interrupted_run_leaves_no_set() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("data");
    let interrupted =
        std::panic::catch_unwind(|| generate(&small(), &out, |done, _| assert!(done < 4, "interrupted on purpose")));
    assert!(interrupted.is_err());
    assert!(!out.exists());
    generate(&small(), &out, |_, _| {}).unwrap();
    assert_eq!(contents(&out).len(), 2 * 10 + 4);
}

#[test]
fn settings_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, word) in [
        (Synth { classes: 0, ..small() }, "classes"),
        (Synth { classes: Kind::ALL.len() + 1, ..small() }, "classes"),
        (Synth { size: 31, ..small() }, "size"),
        (Synth { size: 5000, ..small() }, "size"),
        (Synth { images: 0, ..small() }, "training"),
        (Synth { val: usize::MAX, ..small() }, "million"),
    ] {
        let error = generate(&settings, &folder.path().join("data"), |_, _| {}).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn classes_are_balanced_and_tied_to_no_place() {
    let settings = Synth { size: 48, ..Synth::default() };
    let count = 180;
    let mut pictures_with = [0; 7];
    let mut places = [(0.0, 0.0, 0.0); 7];
    let mut together = 0;
    let (mut objects, mut void) = (0, 0);
    for number in 0..count {
        let mask = picture(&settings, Split::Train, number).mask;
        let present = mask.present();
        let kinds = (1..=6).filter(|&label| present[label]).count();
        assert!(kinds > 0, "picture {number} shows nothing");
        together += usize::from(kinds > 1);
        for (label, pictures) in pictures_with.iter_mut().enumerate() {
            *pictures += usize::from(present[label]);
        }
        for (at, &label) in mask.labels.iter().enumerate() {
            void += usize::from(label == VOID);
            if (1..=6).contains(&label) {
                objects += 1;
                let (x, y) = ((at % 48) as f64 / 48.0, (at / 48) as f64 / 48.0);
                let place = &mut places[usize::from(label)];
                *place = (place.0 + x, place.1 + y, place.2 + 1.0);
            }
        }
    }
    let pixels = (count * 48 * 48) as f64;
    let share = objects as f64 / pixels;
    assert!((0.1..0.35).contains(&share), "objects cover {share}");
    // A border of one pixel is much at this size, and still thin.
    assert!((void as f64 / pixels) < 0.1, "void covers {}", void as f64 / pixels);
    assert!((60..=130).contains(&together), "{together} of {count} pictures show several kinds");
    for label in 1..=6 {
        assert!((36..=90).contains(&pictures_with[label]), "class {label} is in {} pictures", pictures_with[label]);
        let (x, y, area) = places[label];
        let centre = (x / area, y / area);
        assert!((0.38..0.62).contains(&centre.0) && (0.38..0.62).contains(&centre.1), "class {label} is at {centre:?}");
    }
}

#[test]
fn every_kind_can_be_drawn_and_mask_borders_lie_on_edges() {
    let settings = Synth { classes: Kind::ALL.len(), size: 96, ..Synth::default() };
    for number in 0..Kind::ALL.len() {
        let made = picture(&settings, Split::Val, number);
        assert!(made.mask.present()[number + 1], "{} is missing", Kind::ALL[number].name());
        // Mean difference to the neighbours, on the border and elsewhere.
        let mut steps = [(0, 0); 2];
        for y in 0..95 {
            for x in 0..95 {
                let here = made.photo.get_pixel(x, y).0;
                let step: u32 = [made.photo.get_pixel(x + 1, y), made.photo.get_pixel(x, y + 1)]
                    .iter()
                    .flat_map(|next| next.0.into_iter().zip(here).map(|(a, b)| u32::from(a.abs_diff(b))))
                    .sum();
                let on_border = made.mask.labels[(y * 96 + x) as usize] == VOID;
                let (sum, pixels) = &mut steps[usize::from(on_border)];
                (*sum, *pixels) = (*sum + step, *pixels + 1);
            }
        }
        let [elsewhere, border] = steps.map(|(sum, pixels)| f64::from(sum) / f64::from(pixels));
        assert!(border > 2.0 * elsewhere, "{number}: {border} on the border, {elsewhere} elsewhere");
    }
}
