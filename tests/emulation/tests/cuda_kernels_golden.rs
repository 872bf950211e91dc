//! Kernels on the golden files: whole computations of the method, in f32 and f64; and the same computations on random
//! shapes against their definitions.
#![cfg(emulated)]

mod support;

use std::path::PathBuf;

use candle_core::{DType, Result};
use support::{REALS, in_any_order, memory, near, numbers, tensor, values, variable};
use wseg_core::{
    Corners, Shape, loss,
    pamr::{self, Pamr},
    pooling::{self, Pooling},
    pseudo::Cutoff,
};
use wseg_cuda_runner::{
    dense::Dense,
    ops::kernels::{cross_entropy, head, head::Head, pamr as refinement, pseudo, resize::Resize},
};
use wseg_emulation::{Emulated, Memory};
use wseg_tests::{
    golden::{Array, Golden},
    sample::Sample,
};

fn golden(name: &str) -> Golden {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/{name}.safetensors"));
    Golden::read(&file).expect("a golden file")
}

fn array(golden: &Golden, name: &str) -> (Shape, Array) {
    let array = golden.array(name).expect("an array of a golden file");
    (array.shape(), array)
}

fn number(golden: &Golden, name: &str) -> f64 {
    golden.number(name).expect("a number of a golden file")
}

#[test]
fn bilinear() -> Result<()> {
    for name in ["bilinear_up", "bilinear_down"] {
        let golden = golden(name);
        let ((from, x), (to, cotangent)) = (array(&golden, "in.x"), array(&golden, "in.cotangent"));
        for (corners, suffix) in [(Corners::Aligned, "align_corners"), (Corners::HalfPixel, "half_pixel")] {
            for (dtype, tolerance) in REALS {
                let op = Resize { planes: from.n * from.c, from: (from.h, from.w), to: (to.h, to.w), corners };
                let results = in_any_order(|machine| {
                    let y = op.forward(machine, &memory(dtype, &x.values)?)?;
                    Ok(vec![y, op.backward(machine, &memory(dtype, &cotangent.values)?)?])
                })?;
                near(name, &results[0], &array(&golden, &format!("out.{suffix}")).1.values, tolerance, 0.0);
                near(name, &results[1], &array(&golden, &format!("out.grad_{suffix}")).1.values, tolerance, 0.0);
            }
        }
    }
    Ok(())
}

/// Masks refined on the machine, resized first where they are of another size.
fn refined(
    machine: &Emulated,
    dtype: DType,
    (from, mask): (Shape, &[f64]),
    (guide, image): (Shape, &[f64]),
    pamr: &Pamr,
) -> Result<Memory> {
    let mut masks = memory(dtype, mask)?;
    if (from.h, from.w) != (guide.h, guide.w) {
        let (planes, corners) = (from.n * from.c, Corners::Aligned);
        masks = Resize { planes, from: (from.h, from.w), to: (guide.h, guide.w), corners }.forward(machine, &masks)?;
    }
    let sizes = [from.n, from.c, guide.c, guide.h, guide.w];
    let refined = refinement::refine(machine, &masks, &memory(dtype, image)?, sizes, pamr)?;
    Ok(refined.unwrap_or(masks))
}

#[test]
fn pamr_files() -> Result<()> {
    for name in ["pamr_tiny", "pamr_small", "pamr_flat", "pamr_voc"] {
        let golden = golden(name);
        let mut pamr = Pamr {
            iterations: golden.integer("iterations", 100).expect("iterations"),
            sigma_weight: number(&golden, "sigma_weight"),
            ..Pamr::default()
        };
        pamr.dilations = golden.integers("dilations", 100).expect("dilations").into_iter().collect();
        let ((from, mask), (guide, image)) = (array(&golden, "in.mask"), array(&golden, "in.image"));
        for (dtype, tolerance) in REALS {
            // The largest is slow to emulate: once, in the type that is used.
            if name == "pamr_voc" && dtype == DType::F64 {
                continue;
            }
            let run = |machine: &Emulated| refined(machine, dtype, (from, &mask.values), (guide, &image.values), &pamr);
            let result = match name {
                "pamr_voc" => run(&Emulated::new(1))?.read()?,
                _ => in_any_order(|machine| Ok(vec![run(machine)?]))?.remove(0),
            };
            near(name, &result, &array(&golden, "out.refined").1.values, tolerance, 0.0);
        }
    }
    Ok(())
}

#[test]
fn pamr_of_random_maps_is_its_definition() -> Result<()> {
    let shapes = [[1, 1, 1, 1, 1], [2, 3, 3, 9, 11], [1, 5, 1, 30, 25], [3, 2, 2, 1, 40], [1, 20, 3, 23, 24]];
    for (index, &[n, c, k, h, w]) in shapes.iter().enumerate() {
        for (dtype, tolerance) in REALS {
            let mut sample = Sample::new(index as u64);
            let mut pamr = Pamr { iterations: 3, ..Pamr::default() };
            match index {
                1 => pamr.dilations = [1, 3].into_iter().collect(),
                3 => pamr.dilations = [1, 2, 1 << 40].into_iter().collect(),
                _ => {}
            }
            let masks = numbers(&mut sample, dtype, &[n, c, h, w], 0.0, 1.0);
            let image = numbers(&mut sample, dtype, &[n, k, h, w], 0.0, 1.0);
            let dense = |dims: [usize; 4], values: &[f64]| -> Result<Dense> {
                Dense::new(tensor(DType::F64, &dims, values)?).map_err(candle_core::Error::wrap)
            };
            let expected = pamr::refine(&dense([n, c, h, w], &masks)?, &dense([n, k, h, w], &image)?, &pamr)
                .map_err(candle_core::Error::wrap)?;
            let (from, guide) = (Shape::new(n, c, h, w), Shape::new(n, k, h, w));
            let results =
                in_any_order(|machine| Ok(vec![refined(machine, dtype, (from, &masks), (guide, &image), &pamr)?]))?;
            // The kernels of a random image span hundreds, and their exponentials lose as many units.
            let rough = if dtype == DType::F32 { 10.0 } else { 100.0 };
            near("refined", &results[0], &values(expected.tensor())?, rough * tolerance, 1.0);
        }
    }
    Ok(())
}

#[test]
fn pseudo_label_files() -> Result<()> {
    for name in ["pseudo_labels_small", "pseudo_labels_voc"] {
        let golden = golden(name);
        let (shape, masks) = array(&golden, "in.masks");
        let [low, background, class] = ["low", "background", "class"].map(|n| number(&golden, &format!("cutoff_{n}")));
        let cutoff = Cutoff { low, background, class };
        for (dtype, _) in REALS {
            let results = in_any_order(|machine| {
                let masks = memory(dtype, &masks.values)?;
                Ok(vec![pseudo::labels(machine, &masks, shape.c, shape.h * shape.w, &cutoff)?])
            })?;
            near(name, &results[0], &array(&golden, "out.pseudo").1.values, 0.0, 0.0);
        }
    }
    Ok(())
}

#[test]
fn segmentation_loss_files() -> Result<()> {
    for name in ["segmentation_loss_small", "segmentation_loss_voc"] {
        let golden = golden(name);
        let ((from, logits), (to, labels)) = (array(&golden, "in.logits"), array(&golden, "in.pseudo"));
        let pixels = to.h * to.w;
        let planes = from.n * from.c;
        let op = Resize { planes, from: (from.h, from.w), to: (to.h, to.w), corners: Corners::Aligned };
        for (dtype, tolerance) in REALS {
            let results = in_any_order(|machine| {
                let (logits, labels) = (memory(dtype, &logits.values)?, memory(dtype, &labels.values)?);
                let large = op.forward(machine, &logits)?;
                let weights = cross_entropy::weights(machine, &labels, to.c, pixels)?;
                let loss = cross_entropy::forward(machine, [&large, &labels, &weights], to.c, pixels)?;
                let one = memory(dtype, &[1.0])?;
                let gradient = cross_entropy::backward(machine, [&large, &labels, &weights, &one], to.c, pixels)?;
                Ok(vec![loss, op.backward(machine, &gradient)?])
            })?;
            near(name, &results[0], &array(&golden, "out.loss_seg").1.values, tolerance, 0.0);
            near(name, &results[1], &array(&golden, "out.grad_logits").1.values, tolerance, 0.0);
        }
    }
    Ok(())
}

#[test]
fn a_batch_that_nobody_claims_has_no_loss_and_no_gradient() -> Result<()> {
    let results = in_any_order(|machine| {
        let (logits, labels) = (memory(DType::F32, &[1.0; 24])?, memory(DType::F32, &[0.0; 24])?);
        let weights = cross_entropy::weights(machine, &labels, 3, 4)?;
        let one = memory(DType::F32, &[1.0])?;
        Ok(vec![
            cross_entropy::forward(machine, [&logits, &labels, &weights], 3, 4)?,
            cross_entropy::backward(machine, [&logits, &labels, &weights, &one], 3, 4)?,
        ])
    })?;
    assert!(results.iter().flatten().all(|&value| value == 0.0));
    Ok(())
}

#[test]
fn segmentation_loss_of_random_maps_is_its_definition() -> Result<()> {
    for (index, [n, c, h, w]) in [[1, 1, 1, 1], [3, 4, 17, 19], [2, 21, 9, 30]].into_iter().enumerate() {
        let mut sample = Sample::new(index as u64);
        let logits = numbers(&mut sample, DType::F32, &[n, c, h, w], -8.0, 8.0);
        let labels = sample.pseudo(Shape::new(n, c, h, w));
        for (dtype, tolerance) in REALS {
            let var = variable(DType::F64, &[n, c, h, w], &logits)?;
            let dense = |tensor: candle_core::Tensor| Dense::new(tensor).map_err(candle_core::Error::wrap);
            let pseudo = dense(tensor(DType::F64, &[n, c, h, w], &labels)?)?;
            let expected =
                loss::segmentation_loss(&dense(var.as_tensor().clone())?, &pseudo).map_err(candle_core::Error::wrap)?;
            let wanted = support::gradients(expected.tensor(), &[3.0], &[&var])?;
            let results = in_any_order(|machine| {
                let (logits, labels) = (memory(dtype, &logits)?, memory(dtype, &labels)?);
                let weights = cross_entropy::weights(machine, &labels, c, h * w)?;
                let three = memory(dtype, &[3.0])?;
                Ok(vec![
                    cross_entropy::forward(machine, [&logits, &labels, &weights], c, h * w)?,
                    cross_entropy::backward(machine, [&logits, &labels, &weights, &three], c, h * w)?,
                ])
            })?;
            near("loss", &results[0], &values(expected.tensor())?, tolerance, 1e-3);
            near("gradient", &results[1], &wanted[0], tolerance, 1e-3);
        }
    }
    Ok(())
}

/// Masks, class scores, their loss and its gradient.
fn classified(machine: &Emulated, dtype: DType, head: &Head, logits: &[f64], labels: &[f64]) -> Result<Vec<Memory>> {
    let (x, labels) = (memory(dtype, logits)?, memory(dtype, labels)?);
    let classified = head.forward(machine, &x)?;
    let loss = head::soft_margin(machine, &classified.scores, &labels)?;
    let one = memory(dtype, &[1.0])?;
    let dscores = head::soft_margin_gradient(machine, [&classified.scores, &labels, &one])?;
    let dx = head.backward(machine, &x, [&classified.masks, &classified.sums], None, Some(&dscores))?;
    Ok(vec![classified.masks, classified.scores, loss, dx])
}

#[test]
fn classification_files() -> Result<()> {
    for name in ["classification_small", "classification_voc", "classification_eps0", "classification_saturated"] {
        let golden = golden(name);
        let ((shape, logits), (_, labels)) = (array(&golden, "in.logits"), array(&golden, "in.labels"));
        let [epsilon, p, lambda, background] =
            ["epsilon", "p", "lambda", "background"].map(|parameter| number(&golden, parameter));
        let pooling = Pooling { epsilon, p, lambda, background };
        let head = Head { n: shape.n, classes: shape.c, pixels: shape.h * shape.w, pooling };
        for (dtype, tolerance) in REALS {
            let results = in_any_order(|machine| classified(machine, dtype, &head, &logits.values, &labels.values))?;
            for (result, output) in results.iter().zip(["masks", "scores", "loss_cls", "grad_logits"]) {
                let expected = array(&golden, &format!("out.{output}")).1.values;
                near(&format!("{name} {output} {dtype:?}"), result, &expected, tolerance, 0.0);
            }
        }
    }
    Ok(())
}

#[test]
fn the_head_of_random_maps_is_its_definition() -> Result<()> {
    for (index, [n, c, h, w]) in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 20, 17, 19], [3, 2, 1, 300]].into_iter().enumerate() {
        for (number, p) in [0.0, 1.0, 2.5, 3.0].into_iter().enumerate() {
            let (dtype, tolerance) = REALS[(index + number) % 2];
            let size = [1.0, 8.0][number % 2];
            let mut sample = Sample::new((8 * index + number) as u64);
            let pooling = Pooling { epsilon: 1.0, p, lambda: 0.01, background: sample.uniform(-1.0, 2.0) };
            let dims = [n, c, h, w];
            let logits = numbers(&mut sample, DType::F32, &dims, -size, size);
            let dmasks = numbers(&mut sample, DType::F32, &[n, c + 1, h, w], -1.0, 1.0);
            let mut dscores = numbers(&mut sample, DType::F32, &[n, c, 1, 1], -1.0, 1.0);
            dscores.iter_mut().step_by(3).for_each(|d| *d = 0.0);
            let var = variable(DType::F64, &dims, &logits)?;
            let dense = |tensor: candle_core::Tensor| Dense::new(tensor).map_err(candle_core::Error::wrap);
            let expected =
                pooling::classify(&dense(var.as_tensor().clone())?, &pooling).map_err(candle_core::Error::wrap)?;
            let (masks, scores) = (expected.masks.tensor(), expected.scores.tensor());
            let by_masks = support::gradients(masks, &dmasks, &[&var])?;
            let by_scores = support::gradients(scores, &dscores, &[&var])?;
            let wanted: Vec<f64> = by_masks[0].iter().zip(&by_scores[0]).map(|(a, b)| a + b).collect();
            let head = Head { n, classes: c, pixels: h * w, pooling };
            let results = in_any_order(|machine| {
                let x = memory(dtype, &logits)?;
                let classified = head.forward(machine, &x)?;
                let (dmasks, dscores) = (memory(dtype, &dmasks)?, memory(dtype, &dscores)?);
                let results = [&classified.masks, &classified.sums];
                let dx = head.backward(machine, &x, results, Some(&dmasks), Some(&dscores))?;
                let alone = head.backward(machine, &x, results, Some(&dmasks), None)?;
                Ok(vec![classified.masks, classified.scores, dx, alone])
            })?;
            near("masks", &results[0], &values(masks)?, tolerance, 1.0);
            near("scores", &results[1], &values(scores)?, tolerance, size);
            near("gradient", &results[2], &wanted, tolerance, size);
            near("gradient through the masks", &results[3], &by_masks[0], tolerance, 1.0);
        }
    }
    Ok(())
}
