//! Evaluation: `cargo bench -p wseg --bench eval`. As many masks as Pascal VOC's validation split has, 1,449 of 500x375
//! pixels, read from files: blobs of a few classes with border strips to ignore, and predictions that are off by some
//! pixels.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wseg::{
    data::Classes,
    metrics::{Measures, Pair, evaluate},
    palette::VOID,
    picture::{LabelMap, write_mask},
};

const IMAGES: usize = 1449;
const WIDTH: usize = 500;
const HEIGHT: usize = 375;

/// Two or three wavy discs of different classes; `off` moves and deforms them, `strip` is the width of their borders.
fn mask(number: usize, off: f64, strip: f64) -> LabelMap {
    let mut labels = vec![0; WIDTH * HEIGHT];
    for object in 0..2 + number % 2 {
        let seed = number * 31 + object * 17;
        let class = (1 + seed % 20) as u8;
        let (x, y) = (60.0 + (seed * 53 % 380) as f64 + off, 50.0 + (seed * 29 % 275) as f64 - off);
        let size = 30.0 + (seed * 7 % 90) as f64;
        for (index, label) in labels.iter_mut().enumerate() {
            let (dx, dy) = ((index % WIDTH) as f64 - x, (index / WIDTH) as f64 - y);
            let waves = (5.0 + off) * ((dx + off) / 9.0).sin() + 6.0 * (dy / 7.0).cos();
            let inside = size + waves - dx.hypot(dy);
            if inside > 0.0 {
                *label = class;
            } else if inside > -strip {
                *label = VOID;
            }
        }
    }
    LabelMap { width: WIDTH, height: HEIGHT, labels }
}

fn evaluation(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pairs: Vec<Pair> = (0..IMAGES)
        .map(|number| {
            let [prediction, truth] =
                ["prediction", "truth"].map(|kind| folder.path().join(format!("{kind}{number}.png")));
            write_mask(&prediction, &mask(number, 3.0, 0.0)).expect("a mask");
            write_mask(&truth, &mask(number, 0.0, 5.0)).expect("a mask");
            Pair { name: number.to_string(), prediction, truth }
        })
        .collect();
    let classes = Classes::voc();
    let mut group = c.benchmark_group(format!("{IMAGES} masks of {WIDTH}x{HEIGHT}"));
    group.sample_size(10);
    for (name, trimap) in [("regions and boundaries", vec![]), ("and four trimaps", vec![1, 2, 5, 10])] {
        let measures = Measures { trimap, ..Measures::default() };
        group.bench_function(name, |b| b.iter(|| evaluate(black_box(&pairs), &classes, &measures).expect("masks")));
    }
    group.finish();
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
