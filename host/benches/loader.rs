//! Photos on their way to the network: `cargo bench -p wseg --bench loader`. They are synthetic JPEGs of the size of Pascal
//! VOC's, varied to crops of 321 pixels. Whole epochs are loaded by two workers, without a network beside them, and from
//! files: nothing is kept in memory from one epoch to the next.

use std::{hint::black_box, path::PathBuf};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use image::{RgbImage, codecs::jpeg::JpegEncoder, imageops};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use wseg::{
    data::{
        augment::{Augment, Change, Frame, Variation, normalise},
        loader::{Annotation, Labelled, Loader, Loading, Shape},
    },
    picture,
    synth::{self, Split, Synth},
};
use wseg_cuda_runner::{infer::Base, train::Source as _};

const PHOTOS: usize = 64;
const SIDE: usize = 321;
const FRAME: Frame = Frame { side: SIDE, base: Base::Photo };
const QUALITY: u8 = 90;

/// Synthetic photos of 500x375 pixels, grained like a camera's so that their files are as large as those of real photos.
fn photos(folder: &std::path::Path) -> Vec<Labelled> {
    let settings = Synth { size: 500, ..Synth::default() };
    let photo = |number: usize| {
        let mut photo =
            imageops::crop_imm(&synth::picture(&settings, Split::Train, number).photo, 0, 60, 500, 375).to_image();
        grain(&mut photo, number as u64);
        let path = folder.join(format!("{number}.jpg"));
        let file = std::fs::File::create(&path).expect("a file in a temporary folder");
        JpegEncoder::new_with_quality(file, QUALITY).encode_image(&photo).expect("an RGB photo");
        Labelled { photo: path, annotation: Annotation::Labels(vec![true; 20]) }
    };
    (0..PHOTOS).map(photo).collect()
}

/// A few grey levels of noise.
fn grain(photo: &mut RgbImage, seed: u64) {
    let mut state = seed | 1;
    for pixel in photo.pixels_mut() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = ((state >> 33) % 9) as i16 - 4;
        pixel.0 = pixel.0.map(|value| (i16::from(value) + noise).clamp(0, 255) as u8);
    }
}

fn stages(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let samples = photos(folder.path());
    let paths: Vec<PathBuf> = samples.iter().map(|sample| sample.photo.clone()).collect();
    let bytes: u64 = paths.iter().map(|path| std::fs::metadata(path).expect("a photo").len()).sum();
    eprintln!("{PHOTOS} photos of {} kB on average", bytes / PHOTOS as u64 / 1000);

    let mut group = c.benchmark_group("one photo");
    let mut next = paths.iter().cycle();
    group.bench_function("decode", |b| {
        b.iter(|| picture::read_photo(next.next().expect("a cycle")).expect("a photo"));
    });
    let photo = picture::read_photo(&paths[0]).expect("a photo");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let drawn = Augment::default().draw((500, 375), FRAME, &mut rng);
    let crop = Variation { changes: Vec::new(), ..drawn.clone() };
    group.bench_function("crop and resize", |b| b.iter(|| crop.apply(black_box(&photo), SIDE).expect("a crop")));
    let pixels = crop.apply(&photo, SIDE).expect("a crop").pixels;
    for change in [Change::Brightness(1.2), Change::Contrast(0.8), Change::Saturation(1.2), Change::Hue(0.05)] {
        let mut pixels = pixels.clone();
        group.bench_function(format!("{change:?}"), |b| b.iter(|| change.apply(black_box(&mut pixels))));
    }
    group.bench_function("normalise", |b| b.iter(|| normalise(black_box(&pixels), SIDE, SIDE, true)));
    group.finish();

    let mut group = c.benchmark_group("epoch");
    group.throughput(Throughput::Elements(PHOTOS as u64)).sample_size(10);
    for workers in [1, 2] {
        group.bench_function(format!("{PHOTOS} photos, {workers} workers"), |b| {
            let loading = Loading { workers: Some(workers), skip_bad: false };
            let shape = Shape { batch: 16, frame: FRAME };
            let load = || Loader::new(samples.clone(), Augment::default(), shape, 1, loading).expect("photos");
            // A fresh loader has no photo in memory yet.
            let run = |loader: Loader| {
                for batch in loader.epoch(0) {
                    black_box(batch.expect("a batch"));
                }
            };
            b.iter_batched(load, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
