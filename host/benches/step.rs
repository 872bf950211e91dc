//! Whole training steps and forward passes: `cargo bench -p wseg`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wseg::{
    settings::Settings,
    workload::{Amount, Workload},
};
use wseg_cuda_runner::Compute;

/// Preset, photos in a step, and their size: small photos for the small networks, those of the paper for the others.
const WORK: [(&str, usize, usize); 5] =
    [("demo", 8, 96), ("small", 8, 112), ("squeezenet", 8, 128), ("resnet50", 2, 321), ("resnet38", 1, 321)];

fn step(c: &mut Criterion) {
    for (preset, batch, size) in WORK {
        let settings = Settings::preset(preset).expect("a preset of this name");
        let amount = Amount { batch, size: Some(size), classes: 20 };
        let mut work = Workload::new(&settings, amount, &Compute::default()).expect("memory for the network");
        let mut group = c.benchmark_group(preset);
        group.sample_size(10);
        group.bench_function(format!("training {batch}x{size}x{size}"), |b| {
            b.iter(|| work.train().expect("memory for a step"));
        });
        group.bench_function(format!("view {size}x{size}"), |b| {
            b.iter(|| black_box(&work).look().expect("memory for a pass"));
        });
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
