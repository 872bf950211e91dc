//! Whole networks on a GPU beside the CPU: the same weights and photos give the same scores, masks, losses and gradients.
//! Where there is no GPU each test says so and is over.

#![cfg(feature = "cuda")]

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};
use wseg_cuda_runner::{
    DeviceChoice, Precision,
    backbone::BackboneConfig,
    dense::Dense,
    infer::Inference,
    model::{Architecture, Model, ModelKind, NetworkConfig},
    nn::Pass,
    train::{Batch, Observer, Recipe, Source, StepReport, Target, losses, train},
};
use wseg_tests::{failure::Failure, sample::Sample};

type Outcome = Result<(), Failure>;

/// Runs a test on the first GPU, if there is one.
fn on_gpu(test: impl FnOnce(&Device) -> Outcome) -> Outcome {
    match DeviceChoice::Cuda(0).open() {
        Ok(device) => test(&device),
        Err(problem) => {
            println!("skipped: {problem}");
            Ok(())
        }
    }
}

const CLASSES: usize = 4;
const SIDE: usize = 97;

fn model(backbone: &str, kind: ModelKind, device: &Device) -> Result<Model, Failure> {
    let config = NetworkConfig {
        model: kind,
        classes: (1..=CLASSES).map(|class| class.to_string()).collect(),
        architecture: Architecture::paper(BackboneConfig::named(backbone)),
        crop: SIDE,
        inference: Inference::default(),
    };
    Ok(Model::new(config, 5, DType::F32, device)?)
}

fn batch(device: &Device) -> Result<Batch, Failure> {
    let mut sample = Sample::new(3);
    let shape = wseg_core::Shape::new(2, 3, SIDE, SIDE);
    let images: Vec<f32> = sample.values(shape, -2.0, 2.0).into_iter().map(|value| value as f32).collect();
    let labels: Vec<f32> = (0..2 * CLASSES).map(|index| (index % 2) as f32).collect();
    let images = Tensor::from_vec(images, (2, 3, SIDE, SIDE), &Device::Cpu)?;
    let labels = Tensor::from_vec(labels, (2, CLASSES, 1, 1), &Device::Cpu)?;
    Ok(Batch { images, target: Target::Labels(labels) }.to_device(device)?)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, Failure> {
    Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// The largest difference, as a share of the largest number.
fn distance(one: &Tensor, other: &Tensor) -> Result<f32, Failure> {
    let (one, other) = (numbers(one)?, numbers(other)?);
    assert_eq!(one.len(), other.len());
    let largest = one.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    Ok(one.iter().zip(&other).fold(0.0, |most, (one, other)| f32::max(most, (one - other).abs())) / largest)
}

#[track_caller]
fn assert_near(what: &str, one: &Tensor, other: &Tensor, tolerance: f32) -> Outcome {
    let distance = distance(one, other)?;
    println!("{what}: {distance:.1e} (at most {tolerance:.0e})");
    assert!(distance <= tolerance, "{what}: {distance:.1e}, more than {tolerance:.0e}");
    Ok(())
}

/// The class scores of a network that has them.
fn scores(scores: Option<Dense>) -> Result<Tensor, Failure> {
    Ok(scores.expect("a network with class scores").into_tensor())
}

/// Outputs in evaluation. Rounding errors of some 1e-7 a layer add up over the layers.
fn evaluates_alike(backbone: &str, kind: ModelKind) -> Outcome {
    on_gpu(|gpu| {
        let (cpu, gpu) = (model(backbone, kind, &Device::Cpu)?, model(backbone, kind, gpu)?);
        let images = batch(&Device::Cpu)?.images;
        let [one, other] = [&cpu, &gpu].map(|model| model.forward(&images, &Pass::evaluation()));
        let (one, other) = (one?, other?);
        assert_near("scores", &scores(one.scores)?, &scores(other.scores)?, 1e-4)?;
        assert_near("masks", one.masks.tensor(), other.masks.tensor(), 1e-3)
    })
}

#[test]
fn resnet50_evaluates_as_on_the_cpu() -> Outcome {
    evaluates_alike("resnet50", ModelKind::SingleStage)
}

#[test]
fn resnet38_evaluates_as_on_the_cpu() -> Outcome {
    evaluates_alike("resnet38", ModelKind::SingleStage)
}

#[test]
fn vgg16_evaluates_as_on_the_cpu() -> Outcome {
    evaluates_alike("vgg16", ModelKind::SingleStage)
}

#[test]
fn the_baseline_evaluates_as_on_the_cpu() -> Outcome {
    evaluates_alike("resnet50", ModelKind::Cam)
}

/// A recipe without drawn numbers: devices draw differently.
fn classification() -> Recipe {
    Recipe::default()
}

#[test]
fn a_gradient_is_that_of_the_cpu() -> Outcome {
    on_gpu(|gpu| {
        let gradients = |device: &Device| {
            let model = model("resnet50", ModelKind::SingleStage, device)?;
            let batch = batch(device)?;
            let classified = model.forward(&batch.images, &Pass::evaluation_with_gradients())?;
            let Target::Labels(labels) = batch.target else { panic!("image labels supervise") };
            let scores = Dense::new(scores(classified.scores)?)?;
            let loss = wseg_core::Kernels::soft_margin(&scores, &Dense::new(labels)?)?;
            let gradients = loss.tensor().backward()?;
            let params = model.params.borrow();
            let of = |(name, entry): (&str, &wseg_cuda_runner::nn::Entry)| {
                Some((name.to_owned(), gradients.get(entry.var.as_tensor())?.clone()))
            };
            Ok::<Vec<(String, Tensor)>, Failure>(params.iter().filter_map(of).collect())
        };
        let (cpu, gpu) = (gradients(&Device::Cpu)?, gradients(gpu)?);
        assert!(cpu.len() > 50 && cpu.len() == gpu.len(), "{} and {} gradients", cpu.len(), gpu.len());
        // An input of a ReLU that rounding puts to the other side of 0 is worth up to 1e-3 of a layer's gradient.
        for ((name, one), (other_name, other)) in cpu.iter().zip(&gpu) {
            assert_eq!(name, other_name);
            assert_near(name, one, other, 2e-2)?;
        }
        Ok(())
    })
}

#[test]
fn shorter_numbers_are_near_the_long_ones() -> Outcome {
    on_gpu(|gpu| {
        let images = batch(gpu)?.images;
        let of = |precision| -> Result<Tensor, Failure> {
            let model = model("resnet50", ModelKind::SingleStage, gpu)?.with_precision(precision)?;
            scores(model.forward(&images, &Pass::evaluation())?.scores)
        };
        let exact = of(Precision::F32)?;
        assert_near("tf32", &exact, &of(Precision::Tf32)?, 2e-2)?;
        assert_near("bf16", &exact, &of(Precision::Bf16)?, 2e-1)?;
        Ok(Precision::F32.prepare(gpu)?)
    })
}

/// The same batch over and over.
struct Again(Batch);

impl Source for Again {
    fn batches(&self) -> usize {
        4
    }

    fn epoch<'a>(&'a self, _: usize) -> Box<dyn Iterator<Item = wseg_cuda_runner::Result<Batch>> + 'a> {
        Box::new((0..self.batches()).map(|_| Ok(self.0.clone())))
    }
}

/// Keeps the last loss.
#[derive(Default)]
struct Last(Cell<f64>);

impl Observer for Last {
    fn step(&mut self, report: &StepReport) -> wseg_cuda_runner::Result<()> {
        self.0.set(report.classification.unwrap_or(f64::NAN));
        Ok(())
    }

    fn epoch(&mut self, _: usize, _: &Model) -> wseg_cuda_runner::Result<()> {
        Ok(())
    }
}

#[test]
fn a_training_learns_in_every_precision_and_repeats_itself() -> Outcome {
    on_gpu(|gpu| {
        let trained = |precision: Precision| -> Result<(f64, f64), Failure> {
            let model = model("squeezenet1_0", ModelKind::SingleStage, gpu)?.with_precision(precision)?;
            let recipe = Recipe { epochs: 3, classification_epochs: 1, ..classification() };
            let source = Again(batch(&Device::Cpu)?);
            let first = losses(&model, &batch(gpu)?, &recipe, false, 0)?;
            let mut last = Last::default();
            train(&model, &recipe, &source, &mut last)?;
            Ok((f64::from(numbers(&first.total)?[0]), last.0.get()))
        };
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            let (first, last) = trained(precision)?;
            println!("{precision}: {first} to {last}");
            assert!(last < first, "{precision}: {first} to {last}");
        }
        assert_eq!(trained(Precision::F32)?, trained(Precision::F32)?, "the same seed, another result");
        Ok(())
    })
}

#[test]
fn random_masks_have_their_mean_and_follow_from_their_seed() -> Outcome {
    on_gpu(|gpu| {
        let drawn = |seed, keep, dtype| -> Result<Vec<f32>, Failure> {
            numbers(&Pass::training(seed).bernoulli((2, 50, 101, 11), keep, dtype, gpu)?)
        };
        let mask = drawn(1, 0.3, DType::F32)?;
        assert!(mask.iter().all(|&value| value == 0.0 || value == 1.0));
        let mean = mask.iter().sum::<f32>() / mask.len() as f32;
        // Six standard deviations of the mean of 111100 draws.
        assert!((mean - 0.3).abs() < 6.0 * (0.21_f32 / mask.len() as f32).sqrt(), "{mean}");
        assert_eq!(mask, drawn(1, 0.3, DType::F32)?);
        assert_eq!(mask, drawn(1, 0.3, DType::BF16)?, "another type, other numbers");
        assert_ne!(mask, drawn(2, 0.3, DType::F32)?);
        assert!(drawn(1, 1.0, DType::F32)?.iter().all(|&value| value == 1.0));
        Ok(())
    })
}
