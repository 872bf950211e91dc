//! The formulas, against values computed by hand on the arena.

mod support;

use support::{assert_close, values, with_arena};
use wseg_core::{
    Corners, Kernels, Shape, Tensor,
    activation::{log_softmax, relu, sigmoid, softmax, softplus, with_background},
    cam::{Cam, cam_masks},
    gate::{Gate, deterministic_gate, gci, stochastic_gate},
    loss::{class_weights, gated_segmentation_loss, gated_segmentation_loss_mean, segmentation_loss, soft_margin},
    merge::{finish_merge, restore_view},
    pamr::{Affinity, Pamr, refine, stdev},
    pooling::{Pooling, class_scores, classify, focal_penalty, ngwp},
    pseudo::{Cutoff, drop_absent, pseudo_labels},
};

const LN_2: f64 = core::f64::consts::LN_2;

fn row(len: usize) -> Shape {
    Shape::new(1, 1, 1, len)
}

fn channels(c: usize) -> Shape {
    Shape::new(1, c, 1, 1)
}

#[test]
fn softmax_of_logarithms_is_their_share() {
    with_arena(|arena| {
        let logits = arena.tensor(channels(3), &[0.0, LN_2, 5.0_f64.ln()]).unwrap();
        assert_close(&values(&softmax(&logits).unwrap()), &[0.125, 0.25, 0.625], 1e-15);
        let expected = [0.125_f64.ln(), 0.25_f64.ln(), 0.625_f64.ln()];
        assert_close(&values(&log_softmax(&logits).unwrap()), &expected, 1e-15);
    });
}

#[test]
fn activations_at_hand_computed_points() {
    with_arena(|arena| {
        let x = arena.tensor(row(3), &[-3.0_f64.ln(), 0.0, 3.0_f64.ln()]).unwrap();
        assert_eq!(values(&relu(&x).unwrap()), [0.0, 0.0, 3.0_f64.ln()]);
        let expected = [(4.0_f64 / 3.0).ln(), LN_2, 4.0_f64.ln()];
        assert_close(&values(&softplus(&x).unwrap()), &expected, 1e-15);
        assert_close(&values(&sigmoid(&x).unwrap()), &[0.25, 0.5, 0.75], 1e-15);
        assert_eq!(values(&with_background(&x, 1.0).unwrap())[..3], [1.0; 3]);
    });
}

#[test]
fn ngwp_weighs_scores_by_their_mask() {
    with_arena(|arena| {
        let scores = arena.tensor(row(2), &[1.0, 3.0]).unwrap();
        let masks = arena.tensor(row(2), &[0.5, 0.25]).unwrap();
        assert_close(&values(&ngwp(&scores, &masks, 1.0).unwrap()), &[1.25 / 1.75], 1e-15);
        assert_close(&values(&ngwp(&scores, &masks, 0.0).unwrap()), &[1.25 / 0.75], 1e-15);
    });
}

#[test]
fn focal_penalty_fades_as_the_mask_grows() {
    with_arena(|arena| {
        let masks = arena.tensor(Shape::new(1, 3, 1, 2), &[0.0, 0.0, 0.25, 0.75, 1.0, 1.0]).unwrap();
        let expected = [0.01_f64.ln(), 0.125 * 0.51_f64.ln(), 0.0];
        assert_close(&values(&focal_penalty(&masks, 3.0, 0.01).unwrap()), &expected, 1e-15);
        let flat = [0.01_f64.ln(), 0.51_f64.ln(), 1.01_f64.ln()];
        assert_close(&values(&focal_penalty(&masks, 0.0, 0.01).unwrap()), &flat, 1e-15);
    });
}

#[test]
fn class_scores_are_the_sum_of_both_terms() {
    with_arena(|arena| {
        // A score equal to the background's shares the pixel: m = 1/2.
        let scores = arena.tensor(row(2), &[1.0, 1.0]).unwrap();
        let result = classify(&scores, &Pooling::default()).unwrap();
        assert_eq!(values(&result.masks), [0.5; 4]);
        let expected = 1.0 / 2.0 + 0.125 * 0.51_f64.ln();
        assert_close(&values(&result.scores), &[expected], 1e-15);
        let masks = arena.tensor(row(2), &[0.5; 2]).unwrap();
        assert_close(&values(&class_scores(&scores, &masks, &Pooling::default()).unwrap()), &[expected], 1e-15);
    });
}

#[test]
fn soft_margin_is_the_mean_of_equation_12() {
    with_arena(|arena| {
        let scores = arena.tensor(channels(2), &[0.0, 3.0_f64.ln()]).unwrap();
        // -(ln 1/2 + ln 1/4) / 2, then -(ln 1/2 + ln 3/4) / 2.
        for (labels, expected) in [([1.0, 0.0], 1.5 * LN_2), ([1.0, 1.0], (LN_2 + (4.0_f64 / 3.0).ln()) / 2.0)] {
            let labels = arena.tensor(channels(2), &labels).unwrap();
            assert_close(&values(&soft_margin(&scores, &labels).unwrap()), &[expected], 1e-15);
        }
    });
}

/// One sample of four pixels: two background, one object, one unclaimed.
const CLAIMS: [f64; 8] = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];

#[test]
fn class_weights_are_equation_22() {
    with_arena(|arena| {
        let pseudo = arena.tensor(Shape::new(1, 2, 1, 4), &CLAIMS).unwrap();
        assert_eq!(values(&class_weights(&pseudo).unwrap()), [0.25, 0.5]);
    });
}

#[test]
fn segmentation_loss_weighs_samples_by_their_claims() {
    with_arena(|arena| {
        let one = arena.tensor(Shape::new(1, 2, 1, 4), &CLAIMS).unwrap();
        let even = one.fill(Shape::new(1, 2, 1, 1), 3.0).unwrap();
        // ln 2 at every pixel: (2 * 1/4 + 1 * 1/2) ln 2 over 4 pixels.
        assert_close(&values(&segmentation_loss(&even, &one).unwrap()), &[LN_2 / 4.0], 1e-15);
        // A second sample with one claim: q = 0 for its class, so it only dilutes: 3/4 of the first.
        let mut two = CLAIMS.to_vec();
        two.extend([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let two = arena.tensor(Shape::new(2, 2, 1, 4), &two).unwrap();
        let even = two.fill(Shape::new(2, 2, 2, 2), 3.0).unwrap();
        assert_close(&values(&segmentation_loss(&even, &two).unwrap()), &[0.75 * LN_2 / 4.0], 1e-15);
    });
}

#[test]
fn gated_loss_counts_samples_that_claim_what_is_labelled() {
    with_arena(|arena| {
        let pseudo = CLAIMS.repeat(2);
        let pseudo = arena.tensor(Shape::new(2, 2, 1, 4), &pseudo).unwrap();
        let logits = pseudo.fill(Shape::new(2, 2, 1, 4), 0.0).unwrap();
        let labels = arena.tensor(Shape::new(2, 1, 1, 1), &[1.0, 0.0]).unwrap();
        // The second sample claims an object that its labels exclude.
        let expected = [LN_2 / 4.0, 0.0];
        assert_close(&values(&gated_segmentation_loss(&logits, &pseudo, &labels).unwrap()), &expected, 1e-15);
        let mean = gated_segmentation_loss_mean(&logits, &pseudo, &labels).unwrap();
        assert_close(&values(&mean), &[LN_2 / 8.0], 1e-15);
    });
}

#[test]
fn the_gate_keeps_the_deep_feature_in_expectation() {
    with_arena(|arena| {
        let deep = arena.tensor(row(2), &[2.0, 2.0]).unwrap();
        let shallow = arena.tensor(row(2), &[1.0, 1.0]).unwrap();
        let drawn = arena.tensor(row(2), &[1.0, 0.0]).unwrap();
        let gate = Gate { psi: 0.25 };
        let trained = values(&stochastic_gate(&deep, &shallow, &drawn, gate).unwrap());
        assert_close(&trained, &[7.0 / 3.0, 1.0], 1e-15);
        assert_close(&[0.75 * trained[0] + 0.25 * trained[1]], &[2.0], 1e-15);
        assert_eq!(values(&deterministic_gate(&deep, &shallow, gate).unwrap()), [1.75; 2]);
    });
}

#[test]
fn gci_modulates_each_channel() {
    with_arena(|arena| {
        let shallow = arena.tensor(row(2), &[2.0, -2.0]).unwrap();
        let gamma = arena.tensor(row(1), &[0.5]).unwrap();
        let beta = arena.tensor(row(1), &[-1.0]).unwrap();
        assert_eq!(values(&gci(&shallow, &gamma, &beta).unwrap()), [2.0, 0.0]);
    });
}

#[test]
fn cam_masks_are_shares_of_the_largest_activation() {
    with_arena(|arena| {
        let activations = arena.tensor(Shape::new(1, 2, 1, 2), &[-1.0, 3.0, -2.0, -5.0]).unwrap();
        let expected = [0.1, 0.1, 0.0, 3.0 / 3.00001, 0.0, 0.0];
        assert_close(&values(&cam_masks(&activations, &Cam::default()).unwrap()), &expected, 1e-15);
    });
}

#[test]
fn pseudo_labels_are_strict_and_uncontested() {
    with_arena(|arena| {
        // Thresholds: background max(1/4, 3/4 * 1), object max(1/4, 1/2 * 1/2), faint max(1/4, 1/2 * 1/4).
        let cutoff = Cutoff { low: 0.25, background: 0.75, class: 0.5 };
        let masks = [1.0, 0.75, 0.8, 0.1, 0.1, 0.25, 0.3, 0.5, 0.25, 0.25, 0.1, 0.25];
        let masks = arena.tensor(Shape::new(1, 3, 1, 4), &masks).unwrap();
        // Claimed by the background, at the threshold only, contested, claimed by the object.
        let expected = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(values(&pseudo_labels(&masks, &cutoff).unwrap()), expected);
        assert_eq!(values(&masks.pseudo_labels(&cutoff).unwrap()), expected);
    });
}

#[test]
fn absent_classes_are_dropped_and_the_background_stays() {
    with_arena(|arena| {
        let masks = arena.tensor(channels(3), &[0.2, 0.3, 0.5]).unwrap();
        let labels = arena.tensor(channels(2), &[0.0, 1.0]).unwrap();
        assert_eq!(values(&drop_absent(&masks, &labels).unwrap()), [0.2, 0.0, 0.5]);
        assert!(drop_absent(&masks, &masks).is_err());
    });
}

#[test]
fn merging_unflips_averages_and_shrinks_the_background() {
    with_arena(|arena| {
        let view = arena.tensor(Shape::new(1, 2, 1, 2), &[0.2, 0.6, 0.8, 0.4]).unwrap();
        let plain = restore_view(&view, 1, 2, false).unwrap();
        let mirrored = restore_view(&view, 1, 2, true).unwrap();
        assert_eq!(values(&mirrored), [0.6, 0.2, 0.4, 0.8]);
        let sum = plain.add(&mirrored).unwrap();
        let labels = arena.tensor(channels(1), &[1.0]).unwrap();
        let merged = finish_merge(&sum, 2, &labels, 3.0).unwrap();
        assert_close(&values(&merged), &[0.064, 0.064, 0.6, 0.6], 1e-14);
        let absent = arena.tensor(channels(1), &[0.0]).unwrap();
        assert_eq!(values(&finish_merge(&sum, 2, &absent, 1.0).unwrap())[2..], [0.0, 0.0]);
    });
}

fn neighbourhood(dilations: &[usize], iterations: usize) -> Pamr {
    Pamr { dilations: dilations.iter().copied().collect(), iterations, ..Pamr::default() }
}

#[test]
fn stdev_counts_every_position_of_every_dilation() {
    with_arena(|arena| {
        let image = arena.tensor(row(3), &[0.0, 1.0, 1.0]).unwrap();
        // Nine positions around the middle: three 0 and six 1, variance (3 * 4/9 + 6 * 1/9) / 8 = 1/4. At the right
        // edge all nine are 1. At the left edge six 0 and three 1.
        assert_close(&values(&stdev(&image, &neighbourhood(&[1], 1)).unwrap()), &[0.5, 0.5, 0.0], 1e-15);
        // With a second dilation the middle sees the same columns again: 18 samples, 2 * 2 / 17.
        let twice = values(&stdev(&image, &neighbourhood(&[1, 1], 1)).unwrap());
        assert_close(&twice[1..2], &[(4.0_f64 / 17.0).sqrt()], 1e-15);
    });
}

#[test]
fn affinity_is_a_softmax_over_the_neighbours() {
    with_arena(|arena| {
        let image = arena.tensor(row(3), &[0.0, 1.0, 1.0]).unwrap();
        let pamr = neighbourhood(&[1], 1);
        let affinity = Affinity::new(&image, &pamr).unwrap();
        // At the middle: three neighbours differ by 1 at sigma 1/2 and w 0.1, five do not differ.
        let far = (-1.0 / (1e-8 + 0.05_f64)).exp();
        let total = 5.0 + 3.0 * far;
        assert_close(&values(&affinity.at(0, 1).unwrap())[1..2], &[1.0 / total], 1e-14);
        assert_close(&values(&affinity.at(0, -1).unwrap())[1..2], &[far / total], 1e-14);
    });
}

#[test]
fn pamr_keeps_a_uniform_mask() {
    with_arena(|arena| {
        let mut random = support::Random(5);
        let shape = Shape::new(1, 3, 9, 8);
        let image = arena.tensor(shape, &random.values(shape, 1.0)).unwrap();
        let masks = image.fill(Shape::new(1, 2, 5, 5), 0.3).unwrap();
        assert_close(&values(&refine(&masks, &image, &Pamr::default()).unwrap()), &[0.3; 144], 1e-14);
    });
}

#[test]
fn pamr_on_a_flat_image_is_the_mean_of_the_neighbours() {
    with_arena(|arena| {
        let image = arena.tensor(Shape::new(1, 3, 3, 3), &[0.7; 27]).unwrap();
        let mut masks = [0.0; 9];
        masks[4] = 8.0;
        let masks = arena.tensor(Shape::new(1, 1, 3, 3), &masks).unwrap();
        let refined = values(&refine(&masks, &image, &neighbourhood(&[1], 1)).unwrap());
        // The centre is not its own neighbour; everyone else sees it once.
        assert_close(&refined, &[1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0], 1e-14);
    });
}

#[test]
fn pamr_keeps_an_infinite_pixel_out_of_its_own_average() {
    with_arena(|arena| {
        let image = arena.tensor(Shape::new(1, 1, 5, 5), &[0.5; 25]).unwrap();
        let mut masks = [0.0; 25];
        masks[12] = f64::INFINITY;
        let masks = arena.tensor(Shape::new(1, 1, 5, 5), &masks).unwrap();
        let refined = values(&refine(&masks, &image, &neighbourhood(&[1], 1)).unwrap());
        assert_eq!((refined[12], refined[0], refined[7]), (0.0, 0.0, f64::INFINITY));
    });
}

#[test]
fn pamr_resizes_masks_with_aligned_corners() {
    with_arena(|arena| {
        let image = arena.tensor(Shape::new(1, 1, 3, 3), &[0.5; 9]).unwrap();
        let masks = arena.tensor(Shape::new(1, 1, 2, 2), &[0.0, 1.0, 2.0, 3.0]).unwrap();
        let resized = masks.resize(3, 3, Corners::Aligned).unwrap();
        assert_eq!(values(&refine(&masks, &image, &neighbourhood(&[1], 0)).unwrap()), values(&resized));
    });
}

#[test]
fn wrong_shapes_are_errors() {
    with_arena(|arena| {
        let make = |shape: Shape| arena.tensor(shape, &vec![0.0; shape.count()]).unwrap();
        let (map, wide) = (make(Shape::new(1, 2, 3, 3)), make(Shape::new(1, 3, 3, 3)));
        let (two, none) = (make(Shape::new(2, 2, 3, 3)), make(Shape::new(1, 2, 0, 3)));
        assert!(ngwp(&map, &wide, 1.0).is_err());
        assert!(soft_margin(&map, &wide).is_err());
        assert!(segmentation_loss(&map, &wide).is_err());
        assert!(segmentation_loss(&map, &none).is_err());
        assert!(gated_segmentation_loss(&map, &map, &make(channels(2))).is_err());
        assert!(deterministic_gate(&map, &wide, Gate::default()).is_err());
        assert!(gci(&map, &map, &make(channels(2))).is_err());
        assert!(refine(&map, &two, &Pamr::default()).is_err());
        assert!(refine(&map, &map, &neighbourhood(&[], 1)).is_err());
        assert!(refine(&map, &none, &Pamr::default()).is_err());
        assert!(finish_merge(&map, 1, &make(channels(2)), 1.0).is_err());
    });
}
