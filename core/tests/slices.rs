//! Calls on slices equal the arena's kernels, and refuse what does not fit without writing anything.

mod support;

use support::{Random, random_claims, values};
use wseg_core::{
    Arena, Cam, Cutoff, Gate, Kernels, Pamr, Pooling, Shape, ShapeError, gate, pseudo,
    slices::{self, SliceError},
};

const SHAPE: Shape = Shape::new(2, 3, 9, 11);

fn blank(shape: Shape) -> Vec<f32> {
    vec![f32::NAN; shape.count()]
}

fn random(seed: u64, shape: Shape) -> Vec<f32> {
    Random(seed).values(shape, 1.0).into_iter().map(|value| value as f32).collect()
}

/// Bits, so that equal means equal.
fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

#[test]
fn slices_give_the_bits_of_the_arena() {
    let mut memory = vec![f32::NAN; 1 << 18];
    let arena = Arena::new(&mut memory);
    let (maps, more, image) = (random(1, SHAPE), random(2, SHAPE), random(3, SHAPE.with_size(15, 14)));
    let (x, y) = (arena.tensor(SHAPE, &maps).unwrap(), arena.tensor(SHAPE, &more).unwrap());
    let guide = arena.tensor(SHAPE.with_size(15, 14), &image).unwrap();
    let check = |actual: &[f32], expected: Vec<f64>| {
        assert_eq!(bits(actual.iter().map(|&value| f64::from(value))), bits(expected));
    };

    let (mut masks, mut scores) = (blank(SHAPE.with_channels(4)), vec![f32::NAN; 6]);
    slices::classify(SHAPE, &maps, &Pooling::default(), &mut masks, &mut scores).unwrap();
    let head = x.classify(&Pooling::default()).unwrap();
    check(&masks, values(&head.masks));
    check(&scores, values(&head.scores));

    slices::cam_masks(SHAPE, &maps, &Cam::default(), &mut masks).unwrap();
    check(&masks, values(&x.cam_masks(&Cam::default()).unwrap()));

    let labels = [1.0, 0.0, 0.0, 1.0];
    let (mut kept, mut claims) = (blank(SHAPE), blank(SHAPE));
    slices::drop_absent(SHAPE, &maps, &labels, &mut kept).unwrap();
    let absent = pseudo::drop_absent(&x, &arena.tensor(Shape::new(2, 2, 1, 1), &labels).unwrap()).unwrap();
    check(&kept, values(&absent));
    slices::pseudo_labels(SHAPE, &kept, &Cutoff::default(), &mut claims, &mut [0.0; 7]).unwrap();
    check(&claims, values(&absent.pseudo_labels(&Cutoff::default()).unwrap()));
    assert!(claims.contains(&1.0) && claims.contains(&0.0));

    for extra in [0, 1] {
        let pamr = Pamr { iterations: 3, ..Pamr::default() };
        let (to, mut refined) = (SHAPE.with_size(15, 14), blank(SHAPE.with_size(15, 14)));
        for len in [slices::pamr_streamed_scratch(SHAPE, to), slices::pamr_stored_scratch(SHAPE, to, &pamr)] {
            let mut scratch = vec![f32::NAN; len + extra];
            slices::pamr((SHAPE, &maps), (to, &image), &pamr, &mut refined, &mut scratch).unwrap();
            check(&refined, values(&x.pamr(&guide, &pamr).unwrap()));
        }
    }

    let keep: Vec<f32> = random_claims(&mut Random(5), SHAPE).into_iter().map(|value| value as f32).collect();
    let kept = arena.tensor(SHAPE, &keep).unwrap();
    // The slices round once less: the last bit may differ.
    let close = |actual: &[f32], expected: Vec<f64>| {
        support::assert_close(&actual.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), &expected, 1e-6);
    };
    let mut out = blank(SHAPE);
    slices::stochastic_gate(SHAPE, &maps, &more, &keep, Gate::default(), &mut out).unwrap();
    close(&out, values(&gate::stochastic_gate(&x, &y, &kept, Gate::default()).unwrap()));
    slices::deterministic_gate(SHAPE, &maps, &more, Gate::default(), &mut out).unwrap();
    close(&out, values(&gate::deterministic_gate(&x, &y, Gate::default()).unwrap()));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let maps = random(7, SHAPE);
    let (mut masks, mut scores) = (blank(SHAPE.with_channels(4)), vec![f32::NAN; 6]);
    let pooling = Pooling::default();
    let mut classify =
        |shape: Shape, logits: &[f32]| slices::classify(shape, logits, &pooling, &mut masks, &mut scores).unwrap_err();
    assert_eq!(classify(SHAPE, &maps[1..]), SliceError::Length { shape: SHAPE, given: maps.len() - 1 });
    assert_eq!(classify(SHAPE.with_channels(0), &[]), SliceError::Empty(SHAPE.with_channels(0)));
    let absurd = Shape::new(usize::MAX, 3, usize::MAX, 2);
    assert_eq!(classify(absurd, &maps), SliceError::Length { shape: absurd, given: maps.len() });
    assert!(masks.iter().chain(&scores).all(|value| value.is_nan()));

    let mut out = blank(SHAPE);
    let few = slices::pseudo_labels(SHAPE, &maps, &Cutoff::default(), &mut out, &mut [0.0; 2]);
    assert_eq!(few, Err(SliceError::Scratch { needed: 3, given: 2 }));
    let mut pamr = Pamr::default();
    let needed = slices::pamr_streamed_scratch(SHAPE, SHAPE);
    let mut scratch = vec![0.0; needed - 1];
    let mut refine = |guide: Shape, image: &[f32], pamr: &Pamr| {
        slices::pamr((SHAPE, &maps), (guide, image), pamr, &mut out, &mut scratch)
    };
    assert_eq!(refine(SHAPE, &maps, &pamr), Err(SliceError::Scratch { needed, given: needed - 1 }));
    let single = Shape { n: 1, ..SHAPE };
    let apart = SliceError::Shape(ShapeError { lhs: SHAPE, rhs: single });
    assert_eq!(refine(single, &maps[..single.count()], &pamr), Err(apart));
    pamr.dilations.clear();
    assert_eq!(refine(SHAPE, &maps, &pamr), Err(SliceError::NoDilation));
    assert!(out.iter().all(|value| value.is_nan()));

    let other = slices::segmentation_loss(SHAPE, &maps, SHAPE.with_channels(2), &maps, &mut [0.0; 99]);
    assert!(matches!(other, Err(SliceError::Shape(_))));
    let gated = |labels: &[f32]| slices::gated_segmentation_loss(SHAPE, &maps, SHAPE, &maps, labels, &mut [0.0; 99]);
    let sides = Shape::new(2, 2, 1, 1);
    assert_eq!(gated(&[1.0; 3]), Err(SliceError::Length { shape: sides, given: 3 }));
    assert!(gated(&[1.0; 4]).is_ok());
    let alone = slices::gated_segmentation_loss(
        single.with_channels(1),
        &maps[..99],
        single.with_channels(1),
        &maps[..99],
        &[],
        &mut [0.0; 99],
    );
    assert_eq!(alone, Err(SliceError::Empty(Shape::new(1, 0, 1, 1))));
    assert_eq!(slices::soft_margin::<f32>(&[], &[]), Err(SliceError::Empty(Shape::new(1, 0, 1, 1))));
    for error in [SliceError::NoDilation, apart, SliceError::Scratch { needed: 1, given: 0 }] {
        assert!(!error.to_string().is_empty());
    }
}

/// The numbers in a row of the documentation's table of budgets.
fn budget(call: &str) -> Vec<usize> {
    let start = format!("//! | {call} | ");
    let rows = include_str!("../src/slices/mod.rs").lines().filter_map(|line| line.strip_prefix(&start));
    let numbers = |row: &str| row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect::<Vec<_>>();
    rows.map(numbers).find(|row| row.len() == 4).expect("a row of four numbers")
}

#[test]
fn the_documentation_states_the_scratch_memory() {
    let sizes = [Shape::new(1, 4, 64, 64), Shape::new(1, 6, 128, 128), Shape::new(1, 21, 321, 321)];
    let bytes = |call: &str, scratch: &dyn Fn(Shape) -> usize| {
        assert_eq!(budget(call)[..3], sizes.map(|shape| 4 * scratch(shape)), "{call}");
    };
    let image = |shape: Shape| shape.with_channels(3);
    bytes("[`class_scores_gradient`]", &slices::class_scores_gradient_scratch);
    bytes("[`segmentation_loss`] and its gradient", &slices::segmentation_loss_scratch);
    bytes("[`gated_segmentation_loss`] and its gradient", &slices::segmentation_loss_scratch);
    bytes("[`pseudo_labels`]", &slices::pseudo_labels_scratch);
    bytes("[`pamr`]", &|shape| slices::pamr_streamed_scratch(shape, image(shape)));
    bytes("[`pamr`] with stored weights", &|shape| slices::pamr_stored_scratch(shape, image(shape), &Pamr::default()));
    let without = ["classify", "drop_absent", "cam_masks", "stochastic_gate", "deterministic_gate"];
    for call in without.map(|call| format!("[`{call}`]")).iter().chain([&"[`soft_margin`] and its gradient".to_owned()])
    {
        bytes(call, &|_| 0);
    }
}
