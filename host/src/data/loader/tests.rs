//! The loader on photos of a temporary folder.

use std::{fs, path::Path};

use image::RgbImage;
use tempfile::TempDir;
use wseg_cuda_runner::{infer::Base, train::Target};

use super::*;
use crate::{
    data::augment::normalise,
    picture::{LabelMap, write_mask, write_photo},
};

const SIDE: usize = 24;
const SHAPE: Shape = Shape { batch: 4, frame: Frame { side: SIDE, base: Base::Photo } };

/// Photos of several sizes and colours, JPEG and PNG; photo `n` shows class `n % 3`.
fn photos(count: usize) -> (TempDir, Vec<Labelled>) {
    let folder = tempfile::tempdir().unwrap();
    let labelled = (0..count).map(|number| {
        let ending = if number % 3 == 2 { "png" } else { "jpg" };
        let photo = folder.path().join(format!("{number}.{ending}"));
        let shade = (number * 37) as u8;
        let pixel = |x: u32, y: u32| image::Rgb([(x * 5) as u8 ^ shade, (y * 3) as u8, shade]);
        write_photo(&photo, &RgbImage::from_fn(30 + number as u32, 40 - number as u32, pixel)).unwrap();
        Labelled { photo, annotation: Annotation::Labels((0..3).map(|class| class == number % 3).collect()) }
    });
    let labelled = labelled.collect();
    (folder, labelled)
}

fn loader(samples: Vec<Labelled>, workers: usize) -> Loader {
    let loading = Loading { workers: Some(workers), skip_bad: false };
    Loader::new(samples, Augment::default(), SHAPE, 7, loading).unwrap()
}

/// Images and labels of the batches, as plain numbers.
fn numbers(batches: impl Iterator<Item = wseg_cuda_runner::Result<Batch>>) -> Vec<(Vec<f32>, Vec<f32>)> {
    let flat = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    let labels = |batch: &Batch| match &batch.target {
        Target::Labels(labels) => flat(labels),
        Target::Masks(masks) => flat(&masks.to_dtype(candle_core::DType::F32).unwrap()),
    };
    batches.map(|batch| batch.unwrap()).map(|batch| (flat(&batch.images), labels(&batch))).collect()
}

#[test]
fn one_two_and_five_workers_give_identical_batches() {
    let (_folder, samples) = photos(14);
    let expected = [0, 1].map(|epoch| numbers(loader(samples.clone(), 1).epoch(epoch)));
    assert_eq!(expected[0].len(), 3, "14 photos are 3 batches of 4");
    assert_ne!(expected[0], expected[1], "every epoch draws anew");
    for workers in [2, 5] {
        let loader = loader(samples.clone(), workers);
        // The second time, photos come from memory.
        for epoch in [1, 0, 1] {
            assert_eq!(numbers(loader.epoch(epoch)), expected[epoch], "{workers} workers, epoch {epoch}");
        }
    }
}

#[test]
fn a_photo_is_varied_by_seed_epoch_and_its_own_number() {
    let (_folder, samples) = photos(9);
    let varied = |seed, batch, epoch| {
        let shape = Shape { batch, ..SHAPE };
        let loader = Loader::new(samples.clone(), Augment::default(), shape, seed, Loading::default()).unwrap();
        loader.samples.varied(epoch, 5).unwrap()
    };
    assert_eq!(varied(1, 4, 2), varied(1, 3, 2));
    assert_ne!(varied(1, 4, 2), varied(2, 4, 2));
    assert_ne!(varied(1, 4, 2), varied(1, 4, 3));
}

#[test]
fn a_batch_holds_the_varied_photos_and_their_labels_in_order() {
    let (_folder, samples) = photos(6);
    let loader = loader(samples, 2);
    let order = loader.samples.order(3);
    let (images, labels) = numbers(loader.epoch(3)).remove(0);
    let paths: Vec<&Path> = order[..4].iter().map(|&index| loader.samples.get(index).photo.as_path()).collect();
    assert_eq!(loader.photos(3, 0), paths);
    assert!(loader.photos(3, 1).is_empty());
    for (place, &index) in order.iter().enumerate() {
        let varied = loader.samples.varied(3, index).unwrap();
        let expected = normalise(&varied.photo.pixels, SIDE, SIDE, varied.photo.mirrored);
        assert_eq!(images[place * expected.len()..][..expected.len()], expected);
        let shown: Vec<f32> = (0..3).map(|class| if class == index % 3 { 1.0 } else { 0.0 }).collect();
        assert_eq!(labels[3 * place..][..3], shown);
    }
}

/// A photo's red tells its number; its mask is that number all over, and differs from the others' in size as the photo does.
#[test]
fn masks_come_with_their_photos_whoever_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = std::iter::once("background".to_owned()).chain((1..8).map(|n| format!("n{n}"))).collect();
    let classes = crate::data::Classes::new(names).unwrap();
    let masks = crate::data::GivenMasks::open(folder.path(), &classes).unwrap();
    let samples: Vec<Labelled> = (0..8_u8)
        .map(|number| {
            let photo = folder.path().join(format!("{number}-photo.png"));
            let (width, height) = (30 + u32::from(number), 40 - u32::from(number));
            write_photo(&photo, &RgbImage::from_pixel(width, height, image::Rgb([10 * number, 0, 0]))).unwrap();
            let labels = vec![number; (width * height) as usize];
            let mask = LabelMap { width: width as usize, height: height as usize, labels };
            write_mask(&folder.path().join(format!("{number}.png")), &mask).unwrap();
            Labelled { photo, annotation: Annotation::Mask(masks.find(&number.to_string()).unwrap()) }
        })
        .collect();
    let still = Augment { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0, ..Augment::default() };
    let augment = Augment { scale: Some([0.4, 1.2]), ..still };
    let with = |workers| {
        let loading = Loading { workers: Some(workers), skip_bad: false };
        Loader::new(samples.clone(), augment.clone(), SHAPE, 7, loading).unwrap()
    };
    let expected = numbers(with(1).epoch(2));
    assert_eq!(expected, numbers(with(3).epoch(2)));
    let pixels = SIDE * SIDE;
    let red: [f32; 8] = std::array::from_fn(|number| normalise(&[10 * number as u8, 0, 0], 1, 1, false)[0]);
    let mut labelled = 0;
    for (images, masks) in expected {
        assert_eq!(masks.len(), 4 * pixels);
        for (at, &label) in masks.iter().enumerate().filter(|(_, label)| **label != 255.0) {
            let (sample, pixel) = (at / pixels, at % pixels);
            assert!((images[3 * sample * pixels + pixel] - red[label as usize]).abs() < 1e-6, "{label}");
            labelled += 1;
        }
    }
    assert!(labelled > pixels, "{labelled}");
    // A mask that changes under way is named.
    let victim = samples[with(2).samples.order(0)[0]].clone();
    let Annotation::Mask(mask) = victim.annotation else { panic!("a mask") };
    write_mask(&mask.path, &LabelMap { width: 1, height: 1, labels: vec![0] }).unwrap();
    let told = with(2).epoch(0).next().unwrap().unwrap_err();
    assert!(told.is_input() && told.to_string().starts_with(&format!("{}: the mask has 1 x 1", mask.path.display())));
}

#[test]
fn too_few_photos_for_a_batch_are_one_smaller_batch() {
    let (_folder, samples) = photos(3);
    let batches: Vec<Batch> = loader(samples, 2).epoch(0).map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].photos().unwrap(), 3);
}

#[test]
fn an_epoch_started_late_is_the_rest_of_it_and_reads_nothing_else() {
    let (_folder, samples) = photos(13);
    let full = numbers(loader(samples.clone(), 2).epoch(4));
    let fresh = loader(samples.clone(), 2);
    for index in &fresh.samples.order(4)[..4] {
        fs::remove_file(&samples[*index].photo).unwrap();
    }
    assert_eq!(numbers(fresh.epoch_from(4, 1)), full[1..]);
    assert_eq!(numbers(fresh.epoch_from(4, 2)), full[2..]);
    assert!(fresh.epoch_from(4, 3).next().is_none() && fresh.epoch_from(4, usize::MAX).next().is_none());
    assert!(fresh.epoch(4).next().unwrap().is_err());
}

#[test]
fn a_photo_that_breaks_later_stops_the_epoch_and_is_named() {
    let (_folder, samples) = photos(12);
    for workers in [1, 3] {
        let loader = loader(samples.clone(), workers);
        let victim = &samples[loader.samples.order(0)[6]].photo;
        let whole = fs::read(victim).unwrap();
        fs::write(victim, "not a photo").unwrap();
        let mut epoch = loader.epoch(0);
        assert!(epoch.next().unwrap().is_ok(), "the batch before it is fine");
        let error = epoch.next().unwrap().unwrap_err();
        assert!(error.is_input(), "{error}");
        let told = error.to_string();
        let expected = format!("{}: is neither a JPEG nor a PNG", victim.display());
        assert!(told.starts_with(&expected), "{told}");
        assert!(epoch.next().is_none(), "nothing comes after an error");
        fs::write(victim, whole).unwrap();
    }
}

#[test]
fn leaving_an_epoch_early_ends_its_workers() {
    let (_folder, samples) = photos(12);
    let loader = loader(samples, 3);
    let mut epoch = loader.epoch(0);
    epoch.next().unwrap().unwrap();
    drop(epoch);
    assert_eq!(Arc::strong_count(&loader.samples), 1, "a worker is still there");
}

fn broken(folder: &Path, samples: &mut [Labelled]) {
    fs::write(&samples[1].photo, "not a photo").unwrap();
    let whole = fs::read(&samples[4].photo).unwrap();
    fs::write(&samples[4].photo, &whole[..whole.len() / 2]).unwrap();
    samples[6].photo = folder.join("gone.jpg");
}

#[test]
fn all_bad_photos_are_named_before_the_first_epoch() {
    let (folder, mut samples) = photos(12);
    broken(folder.path(), &mut samples);
    let error = Loader::new(samples, Augment::default(), SHAPE, 7, Loading::default()).unwrap_err();
    let told = error.to_string();
    assert_eq!(error.exit_code(), 2);
    assert!(told.starts_with("3 of 12 training photos cannot be used (--skip-bad trains without them):"), "{told}");
    for problem in ["1.jpg: is neither a JPEG nor a PNG", "4.jpg: the JPEG is cut off", "gone.jpg: no such file"] {
        assert!(told.contains(problem), "{told}");
    }
}

#[test]
fn bad_photos_are_skipped_if_asked() {
    let (folder, mut samples) = photos(12);
    broken(folder.path(), &mut samples);
    // Damage inside the pixels, which only decoding finds.
    let mut bytes = fs::read(&samples[8].photo).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&samples[8].photo, bytes).unwrap();
    let good: Vec<Labelled> =
        samples.iter().enumerate().filter(|(n, _)| ![1, 4, 6, 8].contains(n)).map(|(_, s)| s.clone()).collect();
    let loading = Loading { skip_bad: true, ..Loading::default() };
    let skipping = Loader::new(samples.clone(), Augment::default(), SHAPE, 7, loading).unwrap();
    let names: Vec<String> = skipping.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().any(|name| name.contains("8.png")), "{names:?}");
    assert_eq!(numbers(skipping.epoch(0)), numbers(loader(good, 1).epoch(0)));
    let none = Loader::new(samples[6..7].to_vec(), Augment::default(), SHAPE, 7, loading).unwrap_err().to_string();
    assert!(none.starts_with("none of the training photos can be used; the first: "), "{none}");
}

#[test]
fn without_photos_there_is_nothing_to_train_on() {
    let error = Loader::new(Vec::new(), Augment::default(), SHAPE, 7, Loading::default()).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().as_str()), (2, "there is no photo to train on"));
}

#[test]
fn speed_counts_the_photos_that_were_handed_over() {
    let (_folder, samples) = photos(12);
    let loader = loader(samples, 2);
    assert_eq!(loader.epoch(0).count(), 3);
    let busy = loader.speed();
    assert!(busy.photos_per_second > 0.0 && busy.waiting > 0.0, "{busy}");
    let mut epoch = loader.epoch(1);
    epoch.next().unwrap().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    epoch.next().unwrap().unwrap();
    let idle = loader.speed();
    assert!(idle.photos_per_second < 8.0 / 0.2, "{idle}");
    assert!(idle.waiting < 0.7, "the next batch was ready: {idle}");
}
