//! The hot operations at the shapes of the networks: `cargo bench -p wseg-cuda-runner`.

use std::hint::black_box;

use candle_core::{DType, Device, Result, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use wseg_core::{Corners, Kernels, Tensor as _, pamr::Pamr, pooling::Pooling, pseudo::Cutoff};
use wseg_cuda_runner::{
    dense::Dense,
    ops::{self, Conv2d, Rectify, SgdStep},
};

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
    // Batch, channels in and out, kernel, stride, dilation, extent: the small preset, then ResNet-50, its
    // decoder and pyramid, and the widest of WideResNet-38.
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
        (2, 304, 256, 3, 1, 1, 81),
        (2, 2048, 256, 3, 1, 12, 21),
        (1, 1024, 2048, 3, 1, 4, 41),
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

fn depthwise(c: &mut Criterion) {
    // The middle of Xception-65 at stride 16 and 8, and the end of its entry.
    for (n, stride, dilation) in [(1, 1, 1), (1, 1, 2), (1, 2, 1), (4, 1, 1), (4, 1, 2), (4, 2, 1)] {
        let p = Conv2d { stride, padding: dilation, dilation };
        let (x, weight) = (normal((n, 728, 41, 41)), normal((728, 1, 3, 3)));
        let name = format!("{n}x728 3x3 s{stride} d{dilation} 41x41");
        let run = |x: &Tensor, weight: &Tensor| ops::depthwise_conv2d(x, weight, None, Rectify::default(), p);
        let mut group = c.benchmark_group("depthwise_conv2d");
        group.bench_function(format!("{name} forward"), |b| b.iter(|| run(&x, &weight)));
        let (x, weight) = (variable(&x), variable(&weight));
        group.bench_function(format!("{name} both"), |b| b.iter(|| differentiate(run(&x, &weight))));
    }
}

fn frozen_layer(c: &mut Criterion) {
    let (x, residual) = (variable(&normal((2, 256, 41, 41))), normal((2, 256, 41, 41)));
    let (weight, scale, shift) = (variable(&normal((256, 256, 3, 3))), normal(256), normal(256));
    let p = Conv2d { padding: 1, ..Conv2d::default() };
    let mut group = c.benchmark_group("conv2d_affine_onto");
    group.sample_size(10);
    group.bench_function("2x256->256 3x3 41x41 both", |b| {
        b.iter(|| differentiate(ops::conv2d_affine_onto(&x, &weight, &scale, &shift, &residual, true, p)));
    });
}

fn pool(c: &mut Criterion) {
    let x = variable(&normal((2, 64, 161, 161)));
    c.bench_function("max_pool2d 2x64 161x161 both", |b| b.iter(|| differentiate(ops::max_pool2d(&x, 3, 2, 1))));
    let x = variable(&normal((2, 512, 81, 81)));
    c.bench_function("global_max_pool 2x512 81x81 both", |b| b.iter(|| differentiate(ops::global_max_pool(&x))));
}

fn elementwise(c: &mut Criterion) {
    let (x, y) = (variable(&normal((2, 256, 81, 81))), normal((2, 256, 1, 1)));
    let name = |op: &str| format!("{op} 2x256 81x81 both");
    c.bench_function(&name("relu"), |b| b.iter(|| differentiate(ops::relu(&x))));
    c.bench_function(&name("binary mul by channel"), |b| {
        b.iter(|| differentiate(ops::binary(ops::Binary::Mul, &x, &y)));
    });
    // Inputs that have a logarithm and a root.
    let positive = variable(&x.as_tensor().abs().and_then(|x| x + 0.1).expect("memory for a tensor"));
    type Unary = fn(&Tensor) -> Result<Tensor>;
    for (op, of) in [
        ("exp", ops::exp as Unary),
        ("ln", ops::ln),
        ("sqrt", ops::sqrt),
        ("abs", ops::abs),
        ("powf 3", |x| ops::powf(x, 3.0)),
        ("shift", |x| ops::shift(x, 2, -1)),
        ("mirror", ops::mirror),
        ("log_softmax", ops::log_softmax),
    ] {
        c.bench_function(&name(op), |b| b.iter(|| differentiate(of(&positive))));
    }
    let mask = normal((2, 256, 81, 81));
    c.bench_function(&name("dropout"), |b| b.iter(|| differentiate(ops::dropout(&x, &mask))));
}

fn head(c: &mut Criterion) {
    let logits = variable(&normal((2, 21, 81, 81)));
    c.bench_function("softmax 2x21 81x81 both", |b| b.iter(|| differentiate(ops::softmax(&logits))));
    let labels = Dense::new(Tensor::ones((2, 20, 1, 1), DType::F32, &Device::Cpu).expect("labels")).expect("rank four");
    c.bench_function("classification head 2x21 81x81 both", |b| {
        b.iter(|| {
            let scores = Dense::new(logits.as_tensor().clone()).expect("rank four");
            let classified = scores.classify(&Pooling::default()).expect("a classification");
            let loss = classified.scores.narrow_channels(1, 20).and_then(|scores| scores.soft_margin(&labels));
            black_box(loss.expect("a loss").tensor().backward().expect("a backward pass"));
        });
    });
    let masks = ops::softmax(&normal((2, 21, 321, 321))).expect("masks");
    c.bench_function("pseudo_labels 2x21 321x321", |b| {
        b.iter(|| black_box(ops::pseudo_labels(&masks, &Cutoff::default()).expect("pseudo labels")));
    });
}

fn sgd(c: &mut Criterion) {
    let (weight, gradient) = (variable(&normal((512, 512, 3, 3))), normal((512, 512, 3, 3)));
    let velocity = normal((512, 512, 3, 3));
    let step = SgdStep { momentum: 0.9, decay: 5e-4, rate: 1e-6 };
    c.bench_function("sgd_step 512x512x3x3", |b| {
        b.iter(|| ops::sgd_step(&weight, &velocity, &gradient, step).expect("a step"));
    });
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

criterion_group!(
    benches,
    conv2d,
    depthwise,
    frozen_layer,
    batch_norm,
    pool,
    elementwise,
    head,
    resize,
    pamr,
    losses,
    sgd
);
criterion_main!(benches);
