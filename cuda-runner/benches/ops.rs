//! The hot operations at the shapes of the networks: `cargo bench -p wseg-cuda-runner`.

use std::hint::black_box;

use candle_core::{Device, Result, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use wseg_core::{Corners, pamr::Pamr, pseudo::Cutoff};
use wseg_cuda_runner::ops::{self, Conv2d};

fn normal(shape: impl Into<candle_core::Shape>) -> Tensor {
    Tensor::randn(0f32, 1f32, shape, &Device::Cpu).expect("memory for a tensor")
}

fn variable(tensor: &Tensor) -> Var {
    Var::from_tensor(tensor).expect("memory for a tensor")
}

/// Forward and backward, the cotangent being ones.
fn differentiate(y: Result<Tensor>) {
    black_box(y.and_then(|y| y.backward()).expect("a backward pass"));
}

fn conv2d(c: &mut Criterion) {
    // Batch, channels in and out, kernel, stride, dilation, extent: the small preset, then ResNet-50.
    for (n, from, to, kernel, stride, dilation, extent) in [
        (16, 3, 16, 3, 2, 1, 96),
        (16, 16, 16, 3, 1, 1, 48),
        (16, 32, 32, 3, 1, 1, 24),
        (16, 64, 64, 3, 1, 1, 12),
        (16, 96, 96, 3, 1, 2, 12),
        (16, 152, 64, 3, 1, 1, 24),
        (4, 64, 64, 3, 1, 1, 80),
        (4, 128, 128, 3, 2, 1, 80),
        (4, 256, 256, 3, 1, 2, 41),
        (4, 512, 512, 3, 1, 4, 41),
        (4, 1024, 256, 1, 1, 1, 41),
        (4, 256, 512, 1, 2, 1, 80),
        (4, 3, 64, 7, 2, 1, 321),
    ] {
        let p = Conv2d { stride, padding: dilation * (kernel - 1) / 2, dilation };
        let (x, weight) = (normal((n, from, extent, extent)), normal((to, from, kernel, kernel)));
        let name = format!("{n}x{from}->{to} {kernel}x{kernel} s{stride} d{dilation} {extent}x{extent}");
        let mut group = c.benchmark_group("conv2d");
        group.sample_size(10);
        group.bench_function(format!("{name} forward"), |b| b.iter(|| ops::conv2d(&x, &weight, None, p)));
        let (x, weight) = (variable(&x), variable(&weight));
        group.bench_function(format!("{name} both"), |b| b.iter(|| differentiate(ops::conv2d(&x, &weight, None, p))));
    }
}

fn batch_norm(c: &mut Criterion) {
    let x = variable(&normal((16, 32, 48, 48)));
    let (gamma, beta) = (variable(&normal(32)), variable(&normal(32)));
    c.bench_function("batch_norm 16x32x48x48 both", |b| {
        b.iter(|| differentiate(ops::batch_norm_train(&x, &gamma, &beta, 1e-5, true).map(|norm| norm.output)));
    });
    c.bench_function("scale_shift 16x32x48x48 both", |b| {
        b.iter(|| differentiate(ops::scale_shift(&x, &gamma, &beta, true)));
    });
}

fn resize(c: &mut Criterion) {
    let x = variable(&normal((8, 21, 24, 24)));
    c.bench_function("resize 8x21 24x24->96x96 both", |b| {
        b.iter(|| differentiate(ops::resize(&x, 96, 96, Corners::Aligned)));
    });
}

fn pamr(c: &mut Criterion) {
    let mut group = c.benchmark_group("pamr");
    group.sample_size(10);
    for (n, classes, extent) in [(8, 6, 24), (8, 21, 81), (1, 21, 321)] {
        let image = Tensor::rand(0f32, 1f32, (n, 3, extent, extent), &Device::Cpu).expect("an image");
        let masks = ops::softmax(&normal((n, classes, extent, extent))).expect("masks");
        group.bench_function(format!("{n}x{classes} {extent}x{extent}"), |b| {
            b.iter(|| ops::pamr_stored(&masks, &image, &Pamr::default()));
        });
    }
}

fn losses(c: &mut Criterion) {
    let logits = variable(&normal((8, 21, 96, 96)));
    let masks = ops::softmax(&logits.as_detached_tensor()).expect("masks");
    let pseudo = ops::pseudo_labels(&masks, &Cutoff::default()).expect("pseudo labels");
    c.bench_function("balanced_cross_entropy 8x21x96x96 both", |b| {
        b.iter(|| differentiate(ops::balanced_cross_entropy(&logits, &pseudo)));
    });
}

criterion_group!(benches, conv2d, batch_norm, resize, pamr, losses);
criterion_main!(benches);
