//! The arena's budgets: golden cases in exactly the memory that the documentation promises, and not one element more.

mod common;

use common::fixture;
use wseg_core::{
    Kernels, Shape, Tensor,
    arena::{
        Arena, ArenaError, ArenaTensor, Real, pamr_stored_scratch, pamr_streamed_scratch, pseudo_labels_scratch,
        segmentation_loss_scratch,
    },
    cam::Cam,
    pamr::Pamr,
    pooling::Pooling,
    pseudo::Cutoff,
};
use wseg_tests::{
    golden::{Array, Golden},
    report::Distance,
};

type Map<'a, 'm, F> = ArenaTensor<'a, 'm, F>;

/// Runs a kernel on two inputs in a memory of `inputs + results + scratch` elements. It must reach that peak and no
/// more, leave nothing behind, fail with one element less, and give the expected values.
fn assert_budget<F: Real>(
    inputs: [&Array; 2],
    results: usize,
    scratch: usize,
    expected: &Array,
    tolerance: f64,
    kernel: impl for<'a, 'm> Fn(&Map<'a, 'm, F>, &Map<'a, 'm, F>) -> Result<Map<'a, 'm, F>, ArenaError>,
) {
    let budget = inputs[0].values.len() + inputs[1].values.len() + results + scratch;
    let run = |elements: usize| {
        let mut memory = vec![F::from_f64(f64::NAN); elements];
        let arena = Arena::new(&mut memory);
        let [first, second] =
            inputs.map(|input| arena.tensor_from_f64(input.shape(), &input.values).expect("room for the inputs"));
        let before = arena.in_use();
        let outcome = kernel(&first, &second).map(|result| {
            let count = result.shape().count();
            (0..count).map(|index| result.get(index).expect("an element").to_f64()).collect::<Vec<f64>>()
        });
        assert_eq!(arena.in_use(), before, "something stayed in the arena");
        (outcome, arena.peak())
    };
    let (outcome, peak) = run(budget);
    let computed = outcome.expect("the promised memory is enough");
    assert_eq!(peak, budget, "the documented budget is not the peak");
    let distance = Distance::between(&computed, &expected.values);
    assert!(distance.relative <= tolerance, "{distance:?}");
    let (outcome, peak) = run(budget - 1);
    assert!(matches!(outcome, Err(ArenaError::Full { .. })), "one element less is enough as well");
    assert!(peak < budget);
}

fn golden(name: &str) -> Golden {
    Golden::read(&fixture(name)).expect("a fixture")
}

fn array(golden: &Golden, name: &str) -> Array {
    golden.array(name).expect("an array of the fixture")
}

/// A second input for kernels of one.
fn nothing() -> Array {
    Array { extents: vec![1], values: vec![0.0] }
}

#[test]
fn pamr_streamed_refines_voc_masks_within_its_budget() {
    let golden = golden("pamr_voc");
    let (mask, image, refined) = (array(&golden, "in.mask"), array(&golden, "in.image"), array(&golden, "out.refined"));
    let scratch = pamr_streamed_scratch(mask.shape(), image.shape());
    let results = refined.values.len();
    assert_budget::<f32>([&mask, &image], results, scratch, &refined, 1e-5, |mask, image| {
        mask.pamr_streamed(image, &Pamr::default())
    });
}

#[test]
fn pamr_stored_refines_voc_masks_within_its_budget() {
    let golden = golden("pamr_voc");
    let (mask, image, refined) = (array(&golden, "in.mask"), array(&golden, "in.image"), array(&golden, "out.refined"));
    let scratch = pamr_stored_scratch(mask.shape(), image.shape(), &Pamr::default());
    let results = refined.values.len();
    assert_budget::<f64>([&mask, &image], results, scratch, &refined, 1e-10, |mask, image| {
        mask.pamr_stored(image, &Pamr::default())
    });
}

/// With the memory of the streamed variant, the override takes it instead of failing.
#[test]
fn pamr_makes_do_with_the_memory_of_the_streamed_variant() {
    let golden = golden("pamr_flat");
    let (mask, image, refined) = (array(&golden, "in.mask"), array(&golden, "in.image"), array(&golden, "out.refined"));
    let scratch = pamr_streamed_scratch(mask.shape(), image.shape());
    let results = refined.values.len();
    assert_budget::<f64>([&mask, &image], results, scratch, &refined, 1e-10, |mask, image| {
        mask.pamr(image, &Pamr::default())
    });
}

/// The reference keeps `P` maps of affinities and `P C` of shifted masks; streamed, memory does not grow with `P`.
#[test]
fn the_streamed_budget_does_not_depend_on_the_number_of_neighbours() {
    let (masks, image) = (Shape::new(1, 21, 65, 65), Shape::new(1, 3, 65, 65));
    let streamed = pamr_streamed_scratch(masks, image);
    assert_eq!(streamed, (21 + 3 + 2) * 65 * 65 + 65);
    let mut few = Pamr::default();
    few.dilations.truncate(1);
    assert_eq!(pamr_stored_scratch(masks, image, &few), streamed + 8 * 65 * 65);
    assert_eq!(pamr_stored_scratch(masks, image, &Pamr::default()), streamed + 48 * 65 * 65);
}

#[test]
fn the_classification_head_needs_its_results_and_nothing_else() {
    let golden = golden("classification_voc");
    let (logits, scores) = (array(&golden, "in.logits"), array(&golden, "out.scores"));
    let results = array(&golden, "out.masks").values.len() + scores.values.len();
    assert_budget::<f32>([&logits, &nothing()], results, 0, &scores, 1e-5, |logits, _| {
        Ok(logits.classify(&Pooling::default())?.scores)
    });
}

#[test]
fn the_classification_loss_needs_its_result_and_nothing_else() {
    let golden = golden("classification_voc");
    let (scores, labels) = (array(&golden, "out.scores"), array(&golden, "in.labels"));
    assert_budget::<f32>([&scores, &labels], 1, 0, &array(&golden, "out.loss_cls"), 1e-5, |scores, labels| {
        scores.soft_margin(labels)
    });
}

#[test]
fn the_segmentation_loss_needs_a_row_and_the_class_weights() {
    let golden = golden("segmentation_loss_voc");
    let (logits, pseudo) = (array(&golden, "in.logits"), array(&golden, "in.pseudo"));
    let scratch = segmentation_loss_scratch(pseudo.shape());
    assert!(scratch < pseudo.values.len() / 50, "{scratch} elements are not a row");
    assert_budget::<f64>([&logits, &pseudo], 1, scratch, &array(&golden, "out.loss_seg"), 1e-10, |logits, pseudo| {
        logits.segmentation_loss(pseudo)
    });
}

#[test]
fn pseudo_labels_need_their_thresholds() {
    let golden = golden("pseudo_labels_voc");
    let (masks, pseudo) = (array(&golden, "in.masks"), array(&golden, "out.pseudo"));
    let scratch = pseudo_labels_scratch(masks.shape());
    let results = pseudo.values.len();
    assert_budget::<f32>([&masks, &nothing()], results, scratch, &pseudo, 0.0, |masks, _| {
        masks.pseudo_labels(&Cutoff::default())
    });
}

#[test]
fn activation_maps_need_their_result_and_nothing_else() {
    let activations = Array { extents: vec![1, 1, 2, 2], values: vec![-1.0, 0.0, 1.0, 2.0] };
    let expected = Array { extents: vec![1, 2, 2, 2], values: vec![0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.5, 1.0] };
    // The divisor is 2 + 1e-5.
    assert_budget::<f64>([&activations, &nothing()], 8, 0, &expected, 1e-5, |activations, _| {
        activations.cam_masks(&Cam::default())
    });
}
