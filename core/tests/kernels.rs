//! Every override of the arena equals its definition and keeps to its memory budget, in f32 and f64.

mod support;

use support::{Random, assert_close, random_claims, values};
use wseg_core::{
    Kernels, Shape, Tensor, activation,
    arena::{self, Arena, ArenaTensor, Real},
    cam::{self, Cam},
    loss,
    pamr::{self, Pamr},
    pooling::{self, Pooling},
    pseudo::{self, Cutoff},
};

/// Maps with sides of 1, below, at and above the tiles and lanes of the kernels.
const SHAPES: [Shape; 6] = [
    Shape::new(1, 1, 1, 1),
    Shape::new(2, 3, 1, 9),
    Shape::new(1, 4, 17, 1),
    Shape::new(3, 2, 8, 8),
    Shape::new(2, 21, 13, 11),
    Shape::new(1, 5, 9, 70),
];

/// Allowed difference of the two evaluation orders, as a share of the largest value.
trait Tolerance: Real {
    const TOLERANCE: f64;
}

impl Tolerance for f32 {
    const TOLERANCE: f64 = 4e-6;
}

impl Tolerance for f64 {
    const TOLERANCE: f64 = 1e-14;
}

type Handle<'a, 'm, F> = ArenaTensor<'a, 'm, F>;

/// Compares an override with its definition on random tensors of each of the shapes.
fn compare<F: Tolerance>(
    shapes: impl IntoIterator<Item = [Shape; 2]>,
    scale: f64,
    kernel: impl for<'a, 'm> Fn(&Handle<'a, 'm, F>, &Handle<'a, 'm, F>) -> Handle<'a, 'm, F>,
    definition: impl for<'a, 'm> Fn(&Handle<'a, 'm, F>, &Handle<'a, 'm, F>) -> Handle<'a, 'm, F>,
) {
    // Leftovers in the memory must not show.
    let mut memory = vec![F::from_f64(f64::NAN); 1 << 18];
    let mut random = Random(7);
    for [first, second] in shapes {
        let arena = Arena::new(&mut memory);
        let a = arena.tensor_from_f64(first, &random.values(first, scale)).unwrap();
        let b = arena.tensor_from_f64(second, &random_claims(&mut random, second)).unwrap();
        let (actual, expected) = (kernel(&a, &b), definition(&a, &b));
        assert_eq!(actual.shape(), expected.shape());
        assert_close(&values(&actual), &values(&expected), F::TOLERANCE);
        drop((actual, expected, a, b));
        assert_eq!(arena.in_use(), 0, "a temporary stayed");
    }
}

fn alone() -> impl Iterator<Item = [Shape; 2]> {
    SHAPES.into_iter().map(|shape| [shape, Shape::SCALAR])
}

fn every_override_equals_its_definition<F: Tolerance>() {
    for scale in [3.0, 900.0] {
        compare::<F>(alone(), scale, |x, _| x.softmax().unwrap(), |x, _| activation::softmax(x).unwrap());
        compare::<F>(alone(), scale, |x, _| x.log_softmax().unwrap(), |x, _| activation::log_softmax(x).unwrap());
        let head = Pooling::default();
        compare::<F>(
            alone(),
            scale,
            |x, _| x.classify(&head).unwrap().masks,
            |x, _| pooling::classify(x, &head).unwrap().masks,
        );
        compare::<F>(
            alone(),
            scale,
            |x, _| x.classify(&head).unwrap().scores,
            |x, _| pooling::classify(x, &head).unwrap().scores,
        );
        let pairs = SHAPES.map(|shape| [shape.with_size(1, 1); 2]);
        compare::<F>(pairs, scale, |x, z| x.soft_margin(z).unwrap(), |x, z| loss::soft_margin(x, z).unwrap());
        let sizes = [[(1, 1), (5, 4)], [(3, 5), (9, 8)], [(9, 70), (9, 70)], [(6, 6), (2, 3)], [(4, 4), (1, 1)]];
        let pairs = sizes.map(|size| size.map(|(h, w)| Shape::new(3, 4, h, w)));
        compare::<F>(
            pairs,
            scale,
            |x, z| x.segmentation_loss(z).unwrap(),
            |x, z| loss::segmentation_loss(x, z).unwrap(),
        );
        let cam = Cam::default();
        compare::<F>(alone(), scale, |x, _| x.cam_masks(&cam).unwrap(), |x, _| cam::cam_masks(x, &cam).unwrap());
    }
    let cutoff = Cutoff::default();
    compare::<F>(
        alone(),
        1.0,
        |x, _| x.pseudo_labels(&cutoff).unwrap(),
        |x, _| pseudo::pseudo_labels(x, &cutoff).unwrap(),
    );
}

#[test]
fn every_override_equals_its_definition_in_f32() {
    every_override_equals_its_definition::<f32>();
}

#[test]
fn every_override_equals_its_definition_in_f64() {
    every_override_equals_its_definition::<f64>();
}

fn neighbourhood(dilations: &[usize], iterations: usize) -> Pamr {
    Pamr { dilations: dilations.iter().copied().collect(), iterations, ..Pamr::default() }
}

fn both_variants_of_pamr_equal_the_definition<F: Tolerance>() {
    let mut memory = vec![F::from_f64(f64::NAN); 1 << 18];
    let mut random = Random(11);
    let cases = [
        (Shape::new(1, 1, 1, 1), Shape::new(1, 3, 1, 1), neighbourhood(&[1], 1)),
        (Shape::new(2, 3, 6, 5), Shape::new(2, 3, 12, 9), neighbourhood(&[1, 2, 4], 3)),
        (Shape::new(1, 2, 9, 7), Shape::new(1, 1, 9, 7), neighbourhood(&[1, 100], 2)),
        (Shape::new(1, 4, 13, 17), Shape::new(1, 3, 13, 17), Pamr::default()),
        (Shape::new(1, 2, 3, 4), Shape::new(1, 3, 6, 8), neighbourhood(&[2], 0)),
        (Shape::new(1, 2, 3, 4), Shape::new(1, 3, 3, 4), neighbourhood(&[usize::MAX], 1)),
    ];
    for (from, guide, pamr) in cases {
        let arena = Arena::new(&mut memory);
        let masks: Vec<f64> = random.values(from, 0.5).into_iter().map(|value| value + 0.5).collect();
        let masks = arena.tensor_from_f64(from, &masks).unwrap();
        let image = arena.tensor_from_f64(guide, &random.values(guide, 0.5)).unwrap();
        let expected = values(&pamr::refine(&masks, &image, &pamr).unwrap());
        let stored = values(&masks.pamr_stored(&image, &pamr).unwrap());
        assert_close(&stored, &expected, F::TOLERANCE);
        assert_eq!(values(&masks.pamr_streamed(&image, &pamr).unwrap()), stored);
        assert_eq!(values(&masks.pamr(&image, &pamr).unwrap()), stored);
    }
}

#[test]
fn both_variants_of_pamr_equal_the_definition_in_f32() {
    both_variants_of_pamr_equal_the_definition::<f32>();
}

#[test]
fn both_variants_of_pamr_equal_the_definition_in_f64() {
    both_variants_of_pamr_equal_the_definition::<f64>();
}

/// Runs `kernel` in a memory of exactly inputs, result and scratch, and once more in one element less.
#[track_caller]
fn assert_budget(
    inputs: [Shape; 2],
    result: usize,
    scratch: usize,
    kernel: impl for<'a, 'm> Fn(&Handle<'a, 'm, f32>, &Handle<'a, 'm, f32>) -> Result<(), arena::ArenaError>,
) {
    let budget = inputs[0].count() + inputs[1].count() + result + scratch;
    let run = |len: usize| {
        let mut memory = vec![f32::NAN; len];
        let arena = Arena::new(&mut memory);
        let mut random = Random(3);
        let a = arena.tensor_from_f64(inputs[0], &random.values(inputs[0], 1.0)).unwrap();
        let b = arena.tensor_from_f64(inputs[1], &random_claims(&mut random, inputs[1])).unwrap();
        kernel(&a, &b).map(|()| arena.peak())
    };
    assert_eq!(run(budget), Ok(budget));
    assert!(matches!(run(budget - 1), Err(arena::ArenaError::Full { .. })), "one element less is enough as well");
}

#[test]
fn every_kernel_needs_exactly_its_budget() {
    let shape = Shape::new(2, 4, 6, 5);
    let masks = shape.with_channels(5).count();
    let none = [shape, Shape::SCALAR];
    assert_budget(none, shape.count(), 0, |x, _| x.softmax().map(drop));
    assert_budget(none, shape.count(), 0, |x, _| x.log_softmax().map(drop));
    assert_budget(none, masks + 8, 0, |x, _| x.classify(&Pooling::default()).map(drop));
    assert_budget(none, masks, 0, |x, _| x.cam_masks(&Cam::default()).map(drop));
    let scratch = arena::pseudo_labels_scratch(shape);
    assert_budget(none, shape.count(), scratch, |x, _| x.pseudo_labels(&Cutoff::default()).map(drop));
    assert_budget([shape.with_size(1, 1); 2], 1, 0, |x, z| x.soft_margin(z).map(drop));
    let scratch = arena::segmentation_loss_scratch(shape);
    assert_budget([shape.with_size(3, 3), shape], 1, scratch, |x, z| x.segmentation_loss(z).map(drop));
    let (image, pamr) = (shape.with_channels(3), neighbourhood(&[1, 2], 2));
    let streamed = arena::pamr_streamed_scratch(shape, image);
    assert_budget([shape, image], shape.count(), streamed, |x, z| x.pamr(z, &pamr).map(drop));
    let stored = arena::pamr_stored_scratch(shape, image, &pamr);
    assert_eq!(stored - streamed, 16 * 30);
    assert_budget([shape, image], shape.count(), stored, |x, z| x.pamr_stored(z, &pamr).map(drop));
}

#[test]
fn empty_and_mismatched_inputs_are_refused_alike() {
    support::with_arena(|arena| {
        let make = |shape: Shape| arena.tensor_from_f64(shape, &vec![0.0; shape.count()]).unwrap();
        let (empty, flat) = (make(Shape::new(1, 0, 2, 2)), make(Shape::new(1, 2, 0, 3)));
        let map = make(Shape::new(1, 2, 2, 2));
        let pamr = Pamr::default();
        assert_eq!(empty.softmax().unwrap_err(), activation::softmax(&empty).unwrap_err());
        assert_eq!(empty.log_softmax().unwrap_err(), activation::log_softmax(&empty).unwrap_err());
        assert_eq!(flat.softmax().unwrap().shape(), flat.shape());
        assert_eq!(flat.classify(&Pooling::default()).unwrap().scores.shape(), Shape::new(1, 2, 1, 1));
        assert_eq!(empty.classify(&Pooling::default()).unwrap().masks.get(0), Some(1.0));
        assert_eq!(map.soft_margin(&flat).unwrap_err(), loss::soft_margin(&map, &flat).unwrap_err());
        for (logits, pseudo) in [(&map, &flat), (&map, &empty), (&flat, &map)] {
            let expected = loss::segmentation_loss(logits, pseudo).unwrap_err();
            assert_eq!(logits.segmentation_loss(pseudo).unwrap_err(), expected);
        }
        let pair = make(Shape::new(2, 2, 2, 2));
        assert_eq!(map.pamr(&pair, &pamr).unwrap_err(), pamr::refine(&map, &pair, &pamr).unwrap_err());
        let none = neighbourhood(&[], 1);
        assert_eq!(map.pamr(&map, &none).unwrap_err(), pamr::refine(&map, &map, &none).unwrap_err());
        assert_eq!(map.pamr(&flat, &pamr).unwrap_err(), pamr::refine(&map, &flat, &pamr).unwrap_err());
    });
}
