//! Nothing to learn from, maps of one pixel, scores beyond every exponential: finite values and finite gradients, on
//! every backend.

mod common;

use common::{ensure, near, on_every_backend};
use wseg_core::{
    Corners, Kernels, Shape, Tensor,
    activation::{log_softmax, sigmoid, softmax, softplus},
    cam::{Cam, cam_masks},
    loss::{class_weights, gated_segmentation_loss_mean, segmentation_loss, soft_margin},
    merge::finish_merge,
    pamr::{Pamr, refine},
    pooling::{Pooling, classify, ngwp},
    pseudo::{Cutoff, drop_absent, pseudo_labels},
};
use wseg_tests::{bench::Bench, failure::Failure, sample::Sample};

on_every_backend!(
    a_batch_without_a_claimed_pixel_has_loss_0,
    a_sample_without_a_claimed_pixel_adds_nothing,
    one_claimed_class_has_weight_0_and_loss_0,
    an_image_without_a_label_has_a_finite_loss,
    an_image_without_a_label_keeps_its_background,
    one_pixel_is_a_map,
    saturated_scores_have_finite_masks_scores_and_losses,
    saturated_logits_have_finite_segmentation_losses,
    saturated_class_scores_have_the_right_loss,
    a_map_of_equal_scores_has_finite_gradients,
    a_flat_image_averages_the_neighbours,
    an_image_with_one_odd_pixel_refines_to_finite_masks,
    an_activation_map_of_zeros_is_all_background,
    shapes_that_do_not_match_are_errors,
);

type Outcome = Result<(), Failure>;

fn finite<B: Bench>(bench: &B, what: &str, tensor: &B::T) -> Outcome {
    let values = bench.read(tensor)?;
    ensure!(!values.is_empty() && values.iter().all(|value| value.is_finite()), "{what}: {values:?}");
    Ok(())
}

/// The scalar is finite, and so is its gradient where the backend differentiates.
fn finite_with_gradient<B: Bench>(
    bench: &B,
    what: &str,
    shape: Shape,
    at: &[f64],
    scalar: impl Fn(&B::T) -> Result<B::T, Failure>,
) -> Outcome {
    finite(bench, what, &scalar(&bench.load(shape, at)?)?)?;
    if let Some(gradient) = bench.gradient(shape, at, &scalar)? {
        ensure!(gradient.iter().all(|slope| slope.is_finite()), "{what}: gradient {gradient:?}");
    }
    Ok(())
}

/// Classification loss of a score map, by definition and by override.
fn head<B: Bench>(bench: &B, what: &str, shape: Shape, scores: &[f64], labels: &[f64]) -> Outcome {
    let labels = bench.load(shape.with_size(1, 1), labels)?;
    let pooling = Pooling::default();
    finite_with_gradient(bench, what, shape, scores, |x| Ok(soft_margin(&classify(x, &pooling)?.scores, &labels)?))?;
    finite_with_gradient(bench, what, shape, scores, |x| Ok(x.classify(&pooling)?.scores.soft_margin(&labels)?))
}

/// Segmentation losses of logits, by definition and by override.
fn segmentation<B: Bench>(bench: &B, what: &str, from: Shape, logits: &[f64], to: Shape, pseudo: &[f64]) -> Outcome {
    let pseudo = bench.load(to, pseudo)?;
    let labels = bench.load(Shape::new(to.n, to.c - 1, 1, 1), &vec![1.0; to.n * (to.c - 1)])?;
    finite_with_gradient(bench, what, from, logits, |x| Ok(segmentation_loss(x, &pseudo)?))?;
    finite_with_gradient(bench, what, from, logits, |x| Ok(x.segmentation_loss(&pseudo)?))?;
    finite_with_gradient(bench, what, from, logits, |x| Ok(gated_segmentation_loss_mean(x, &pseudo, &labels)?))
}

fn a_batch_without_a_claimed_pixel_has_loss_0<B: Bench>(bench: &B) -> Outcome {
    let (from, to) = (Shape::new(2, 3, 4, 5), Shape::new(2, 3, 9, 8));
    let values = Sample::new(1).values(from, -3.0, 3.0);
    let nothing = vec![0.0; to.count()];
    segmentation(bench, "nothing claimed", from, &values, to, &nothing)?;
    let (logits, pseudo) = (bench.load(from, &values)?, bench.load(to, &nothing)?);
    for loss in [segmentation_loss(&logits, &pseudo)?, logits.segmentation_loss(&pseudo)?] {
        ensure!(bench.read(&loss)? == [0.0], "a loss without supervision");
    }
    let gradient = bench.gradient(from, &values, &|x| Ok(segmentation_loss(x, &pseudo)?))?;
    ensure!(gradient.is_none_or(|slopes| slopes.iter().all(|&slope| slope == 0.0)), "a gradient without supervision");
    Ok(())
}

fn a_sample_without_a_claimed_pixel_adds_nothing<B: Bench>(bench: &B) -> Outcome {
    let one = Shape::new(1, 3, 4, 4);
    let two = Shape { n: 2, ..one };
    let mut sample = Sample::new(2);
    let (logits, pseudo) = (sample.values(two, -3.0, 3.0), sample.pseudo(one));
    let alone = segmentation_loss(&bench.load(one, &logits[..one.count()])?, &bench.load(one, &pseudo)?)?;
    let padded: Vec<f64> = pseudo.iter().copied().chain(vec![0.0; one.count()]).collect();
    let (logits, padded) = (bench.load(two, &logits)?, bench.load(two, &padded)?);
    for together in [segmentation_loss(&logits, &padded)?, logits.segmentation_loss(&padded)?] {
        near::<B>("loss", &bench.read(&together)?, &bench.read(&alone)?, 0.0)?;
    }
    Ok(())
}

fn one_claimed_class_has_weight_0_and_loss_0<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 3, 4, 4);
    let background: Vec<f64> = (0..shape.count()).map(|index| f64::from(u8::from(index < 16))).collect();
    let pseudo = bench.load(shape, &background)?;
    near::<B>("weights", &bench.read(&class_weights(&pseudo)?)?, &[0.0, 16.0 / 17.0, 16.0 / 17.0], 0.0)?;
    let logits = bench.load(shape, &Sample::new(3).values(shape, -3.0, 3.0))?;
    for loss in [segmentation_loss(&logits, &pseudo)?, logits.segmentation_loss(&pseudo)?] {
        ensure!(bench.read(&loss)? == [0.0], "nothing to tell apart, and a loss");
    }
    Ok(())
}

fn an_image_without_a_label_has_a_finite_loss<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(2, 4, 5, 6);
    let scores = Sample::new(4).values(shape, -3.0, 3.0);
    head(bench, "no label", shape, &scores, &[0.0; 8])?;
    head(bench, "every label", shape, &scores, &[1.0; 8])
}

fn an_image_without_a_label_keeps_its_background<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 4, 5, 6);
    let masks = bench.load(shape, &Sample::new(5).masks(shape))?;
    let none = bench.load(Shape::new(1, 3, 1, 1), &[0.0; 3])?;
    let kept = drop_absent(&masks, &none)?;
    for claims in [pseudo_labels(&kept, &Cutoff::default())?, kept.pseudo_labels(&Cutoff::default())?] {
        let claims = bench.read(&claims)?;
        ensure!(claims[..30].contains(&1.0), "no background");
        ensure!(claims[30..].iter().all(|&claim| claim == 0.0), "an absent class claims a pixel");
    }
    let merged = bench.read(&finish_merge(&masks, 1, &none, 3.0)?)?;
    ensure!(merged[30..].iter().all(|&mask| mask == 0.0), "an absent class in the merged masks");
    Ok(())
}

fn one_pixel_is_a_map<B: Bench>(bench: &B) -> Outcome {
    let one = Shape::new(1, 3, 1, 1);
    head(bench, "one pixel", one, &[0.5, -1.0, 2.0], &[1.0, 0.0, 0.0])?;
    for to in [one, Shape::new(1, 3, 4, 5)] {
        segmentation(bench, "one pixel", one, &[0.5, -1.0, 2.0], to, &Sample::new(6).pseudo(to))?;
        segmentation(bench, "to one pixel", to, &Sample::new(7).values(to, -1.0, 1.0), one, &[0.0, 1.0, 0.0])?;
    }
    let map = bench.load(one, &[0.5, 0.25, 0.25])?;
    for corners in [Corners::Aligned, Corners::HalfPixel] {
        let grown = bench.read(&map.resize(3, 2, corners)?)?;
        let expected: Vec<f64> = [0.5, 0.25, 0.25].iter().flat_map(|&value| [value; 6]).collect();
        near::<B>("resized", &grown, &expected, 0.0)?;
    }
    // The neighbours of the only pixel are that pixel.
    let image = bench.load(one, &[0.1, 0.2, 0.3])?;
    for refined in [refine(&map, &image, &Pamr::default())?, map.pamr(&image, &Pamr::default())?] {
        near::<B>("refined", &bench.read(&refined)?, &[0.5, 0.25, 0.25], 0.0)?;
    }
    let claims = bench.read(&map.pseudo_labels(&Cutoff::default())?)?;
    ensure!(claims == [0.0; 3], "several classes claim the pixel, and it is claimed: {claims:?}");
    finite(bench, "activation map", &cam_masks(&map, &Cam::default())?)?;
    finite(bench, "activation map override", &map.cam_masks(&Cam::default())?)
}

/// +-1000 in every arrangement: one class everywhere, none anywhere, a chequerboard, random signs.
fn saturated(shape: Shape) -> Vec<Vec<f64>> {
    let mut sample = Sample::new(8);
    let random = (0..shape.count()).map(|_| if sample.below(2) == 0 { -1000.0 } else { 1000.0 }).collect();
    let chequered = (0..shape.count()).map(|index| if index % 2 == 0 { 1000.0 } else { -1000.0 }).collect();
    vec![vec![1000.0; shape.count()], vec![-1000.0; shape.count()], chequered, random]
}

fn saturated_scores_have_finite_masks_scores_and_losses<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(2, 3, 5, 4);
    for scores in saturated(shape) {
        for labels in [[0.0; 6], [1.0; 6], [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]] {
            head(bench, "saturated", shape, &scores, &labels)?;
        }
        let map = bench.load(shape, &scores)?;
        for classified in [classify(&map, &Pooling::default())?, map.classify(&Pooling::default())?] {
            finite(bench, "masks", &classified.masks)?;
            finite(bench, "scores", &classified.scores)?;
        }
        finite(bench, "sigmoid", &sigmoid(&map)?)?;
        finite(bench, "softplus", &softplus(&map)?)?;
        finite(bench, "activation maps", &map.cam_masks(&Cam::default())?)?;
    }
    Ok(())
}

fn saturated_logits_have_finite_segmentation_losses<B: Bench>(bench: &B) -> Outcome {
    let (from, to) = (Shape::new(2, 3, 5, 4), Shape::new(2, 3, 7, 9));
    for logits in saturated(from) {
        for size in [from, to] {
            segmentation(bench, "saturated", from, &logits, size, &Sample::new(9).pseudo(size))?;
        }
        let map = bench.load(from, &logits)?;
        finite(bench, "log-softmax", &log_softmax(&map)?)?;
        finite(bench, "log-softmax override", &map.log_softmax()?)?;
        finite(bench, "softmax", &softmax(&map)?)?;
        finite(bench, "softmax override", &map.softmax()?)?;
    }
    Ok(())
}

fn saturated_class_scores_have_the_right_loss<B: Bench>(bench: &B) -> Outcome {
    let pair = Shape::new(1, 2, 1, 1);
    for (scores, labels, expected) in [
        ([1000.0, -1000.0], [1.0, 0.0], 0.0),
        ([-1000.0, 1000.0], [1.0, 0.0], 1000.0),
        ([-1000.0, -1000.0], [1.0, 0.0], 500.0),
    ] {
        let (scores, labels) = (bench.load(pair, &scores)?, bench.load(pair, &labels)?);
        for loss in [soft_margin(&scores, &labels)?, scores.soft_margin(&labels)?] {
            near::<B>("loss", &bench.read(&loss)?, &[expected], 0.0)?;
        }
    }
    Ok(())
}

fn a_map_of_equal_scores_has_finite_gradients<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 3, 4, 4);
    for level in [0.0, 1.0, -2.0] {
        let equal = vec![level; shape.count()];
        head(bench, "equal scores", shape, &equal, &[1.0, 0.0, 0.0])?;
        segmentation(bench, "equal scores", shape, &equal, shape, &Sample::new(10).pseudo(shape))?;
        let weights = bench.load(shape.with_channels(4), &Sample::new(11).values(shape.with_channels(4), -1.0, 1.0))?;
        let masks = |x: &B::T| Ok(wseg_tests::bench::total(&x.cam_masks(&Cam::default())?.mul(&weights)?)?);
        finite_with_gradient(bench, "activation maps", shape, &equal, masks)?;
    }
    Ok(())
}

fn one_iteration() -> Pamr {
    let mut pamr = Pamr { iterations: 1, ..Pamr::default() };
    pamr.dilations = [1].into_iter().collect();
    pamr
}

fn a_flat_image_averages_the_neighbours<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 1, 3, 3);
    let image = bench.load(shape.with_channels(3), &[0.5; 27])?;
    let masks = bench.load(shape, &[0.0, 1.0, 2.0, 3.0, 40.0, 5.0, 6.0, 7.0, 8.0])?;
    for refined in [refine(&masks, &image, &one_iteration())?, masks.pamr(&image, &one_iteration())?] {
        let centre = bench.read(&refined)?[4];
        // All eight neighbours alike, the centre not among them.
        near::<B>("centre", &[centre], &[4.0], 40.0)?;
    }
    for refined in [refine(&masks, &image, &Pamr::default())?, masks.pamr(&image, &Pamr::default())?] {
        finite(bench, "refined", &refined)?;
    }
    Ok(())
}

fn an_image_with_one_odd_pixel_refines_to_finite_masks<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 2, 9, 9);
    let mut image = vec![0.0; 3 * 81];
    image[40] = 1.0;
    let image = bench.load(shape.with_channels(3), &image)?;
    let values = Sample::new(12).masks(shape);
    let masks = bench.load(shape, &values)?;
    finite(bench, "override", &masks.pamr(&image, &Pamr::default())?)?;
    let mut small = Pamr { iterations: 2, ..Pamr::default() };
    small.dilations = [1, 2].into_iter().collect();
    finite_with_gradient(bench, "definition", shape, &values, |masks| {
        Ok(wseg_tests::bench::total(&refine(masks, &image, &small)?)?)
    })
}

fn an_activation_map_of_zeros_is_all_background<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 2, 3, 3);
    for level in [0.0, -5.0] {
        let map = bench.load(shape, &[level; 18])?;
        for masks in [cam_masks(&map, &Cam::default())?, map.cam_masks(&Cam::default())?] {
            let values = bench.read(&masks)?;
            near::<B>("background", &values[..9], &[0.1; 9], 0.0)?;
            ensure!(values[9..].iter().all(|&value| value == 0.0), "a class out of nothing");
        }
    }
    Ok(())
}

fn shapes_that_do_not_match_are_errors<B: Bench>(bench: &B) -> Outcome {
    let load = |shape: Shape| bench.load(shape, &vec![0.5; shape.count()]);
    let map = load(Shape::new(2, 3, 4, 5))?;
    let others = [Shape::new(3, 3, 4, 5), Shape::new(2, 2, 4, 5), Shape::new(2, 3, 3, 5), Shape::new(2, 3, 4, 4)];
    for other in others {
        let rhs = load(other)?;
        ensure!(map.add(&rhs).is_err() && map.maximum(&rhs).is_err() && map.gt(&rhs).is_err(), "{other} broadcasts");
        ensure!(ngwp(&map, &rhs, 1.0).is_err(), "{other} weights the scores");
        ensure!(soft_margin(&map, &rhs).is_err() && map.soft_margin(&rhs).is_err(), "{other} labels the scores");
    }
    for other in &others[..2] {
        let pseudo = load(*other)?;
        ensure!(segmentation_loss(&map, &pseudo).is_err(), "{other} supervises by definition");
        ensure!(map.segmentation_loss(&pseudo).is_err(), "{other} supervises by override");
    }
    let other_batch = load(others[0])?;
    ensure!(refine(&map, &other_batch, &one_iteration()).is_err(), "another batch guides by definition");
    ensure!(map.pamr(&other_batch, &one_iteration()).is_err(), "another batch guides by override");
    let no_neighbour = Pamr { dilations: Default::default(), ..Pamr::default() };
    ensure!(refine(&map, &map, &no_neighbour).is_err() && map.pamr(&map, &no_neighbour).is_err(), "no neighbour");
    ensure!(drop_absent(&map, &load(Shape::new(2, 3, 1, 1))?).is_err(), "three labels for two classes");
    ensure!(map.cat_channels(&load(others[2])?).is_err(), "another height is appended");
    ensure!(map.narrow_channels(2, 2).is_err() && map.narrow_channels(usize::MAX, 2).is_err(), "a channel too many");
    ensure!(map.resize(0, 3, Corners::Aligned).is_err(), "a map without rows");
    Ok(())
}
