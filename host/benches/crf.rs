//! The dense CRF at the size of a photo of Pascal VOC: `cargo bench -p wseg --bench crf`.
//!
//! With `WSEG_CRF_DUMP=FOLDER` it also leaves the photo and the masks there, for others to be measured on: `image.rgb`
//! (bytes, `[h, w, 3]`) and `probabilities.f32` (little-endian, `[classes, h, w]`).

use std::{env, fs, hint::black_box, path::Path};

use criterion::{Criterion, criterion_group, criterion_main};
use wseg::workload::Edges;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Width, height, and classes with the background.
const WORK: [(usize, usize, usize); 2] = [(500, 375, 21), (500, 375, 2)];

fn crf(c: &mut Criterion) {
    let mut group = c.benchmark_group("crf");
    group.sample_size(10);
    for (width, height, classes) in WORK {
        let work = Edges::new(width, height, classes).expect("a size in range");
        if let Some(folder) = env::var_os("WSEG_CRF_DUMP") {
            dump(&work, &Path::new(&folder).join(format!("{width}x{height}x{classes}")));
        }
        let threads = rayon::current_num_threads();
        group.bench_function(format!("{width}x{height}x{classes} {threads} threads"), |b| {
            b.iter(|| black_box(&work).refine().expect("memory for it"));
        });
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        group.bench_function(format!("{width}x{height}x{classes} 1 thread"), |b| {
            b.iter(|| one.install(|| black_box(&work).refine().expect("memory for it")));
        });
    }
}

fn dump(work: &Edges, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("image.rgb"), work.photo().as_raw()).expect("a file");
    let bytes: Vec<u8> = work.probabilities().iter().flat_map(|p| p.to_le_bytes()).collect();
    fs::write(folder.join("probabilities.f32"), bytes).expect("a file");
}

criterion_group!(benches, crf);
criterion_main!(benches);
