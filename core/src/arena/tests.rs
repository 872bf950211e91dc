//! Claims about the memory and the operations of the arena.

use std::vec::Vec;

use super::*;
use crate::{Axes, Corners, Tensor};

fn values<F: Real>(tensor: &ArenaTensor<'_, '_, F>) -> Vec<F> {
    let mut out = std::vec![F::ZERO; tensor.shape().count()];
    tensor.read(&mut out).unwrap();
    out
}

fn row(len: usize) -> Shape {
    Shape::new(1, 1, 1, len)
}

#[test]
fn a_tensor_reads_back_what_it_was_given() {
    let mut memory = [9.0_f32; 8];
    let arena = Arena::new(&mut memory);
    let tensor = arena.tensor(row(3), &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(values(&tensor), [1.0, 2.0, 3.0]);
    assert_eq!((tensor.get(2), tensor.get(3)), (Some(3.0), None));
}

#[test]
fn a_slice_of_another_length_is_refused() {
    let mut memory = [0.0_f32; 8];
    let arena = Arena::new(&mut memory);
    let wrong = ArenaError::Length { shape: row(3), given: 2 };
    assert_eq!(arena.tensor(row(3), &[1.0, 2.0]).unwrap_err(), wrong);
    assert_eq!(arena.tensor(row(3), &[0.0; 3]).unwrap().read(&mut [0.0; 2]).unwrap_err(), wrong);
    assert_eq!(arena.in_use(), 0);
}

#[test]
fn exhaustion_is_an_error_that_says_how_much() {
    let mut memory = [0.0_f64; 10];
    let arena = Arena::new(&mut memory);
    let held = arena.tensor(row(6), &[1.0; 6]).unwrap();
    assert_eq!(held.exp().unwrap_err(), ArenaError::Full { needed: 6, largest: 4 });
    assert_eq!(values(&held), [1.0; 6]);
    assert_eq!(arena.blocks(), 1);
}

#[test]
fn absurd_shapes_are_an_error() {
    let mut memory = [0.0_f64; 10];
    let arena = Arena::new(&mut memory);
    let one = arena.tensor(row(1), &[1.0]).unwrap();
    let half = usize::MAX / 2;
    for shape in [Shape::new(half, half, 1, 1), Shape::new(0, half, half, 1), row(usize::MAX)] {
        assert!(matches!(one.fill(shape, 0.0), Err(ArenaError::Full { needed: usize::MAX, largest: 9 })), "{shape}");
    }
}

#[test]
fn the_block_table_has_an_end() {
    let mut memory = [0.0_f32; 2 * MAX_BLOCKS];
    let arena = Arena::new(&mut memory);
    let held: Vec<_> = (0..MAX_BLOCKS).map(|_| arena.tensor(row(1), &[0.0]).unwrap()).collect();
    let shared = held.clone();
    assert_eq!(arena.tensor(row(1), &[0.0]).unwrap_err(), ArenaError::Blocks { limit: MAX_BLOCKS });
    drop((held, shared));
    assert_eq!(arena.blocks(), 0);
}

#[test]
fn clones_share_their_elements_until_the_last_goes() {
    let mut memory = [0.0_f32; 8];
    let arena = Arena::new(&mut memory);
    let first = arena.tensor(row(4), &[1.0; 4]).unwrap();
    let second = first.clone();
    let third = second.detach();
    assert_eq!((arena.in_use(), arena.peak()), (4, 4));
    drop(first);
    drop(third);
    assert_eq!(values(&second), [1.0; 4]);
    drop(second);
    assert_eq!((arena.in_use(), arena.blocks()), (0, 0));
}

#[test]
fn freed_neighbours_coalesce_and_the_lowest_gap_is_taken() {
    let mut memory = [0.0_f32; 12];
    let arena = Arena::new(&mut memory);
    let make = |len: usize| arena.tensor(row(len), &std::vec![0.0; len]);
    let (a, b, c, d) = (make(3).unwrap(), make(3).unwrap(), make(3).unwrap(), make(3).unwrap());
    drop(b);
    assert_eq!(make(4).unwrap_err(), ArenaError::Full { needed: 4, largest: 3 });
    drop(c);
    let joined = make(6).unwrap();
    assert_eq!(joined.start, 3);
    drop((a, joined));
    assert_eq!(make(2).unwrap().start, 0);
    assert_eq!(make(9).unwrap().start, 0);
    drop(d);
    assert_eq!(make(12).unwrap().shape(), row(12));
}

#[test]
fn peak_is_the_memory_that_suffices() {
    fn work(arena: &Arena<'_, f32>) -> Result<Vec<f32>, ArenaError> {
        let x = arena.tensor(Shape::new(1, 2, 2, 2), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])?;
        Ok(values(&x.exp()?.add(&x)?.sum(Axes::Channel)?))
    }
    let mut roomy = [0.0; 100];
    let arena = Arena::new(&mut roomy);
    let expected = work(&arena).unwrap();
    // The temporaries of a chain live to its end: input, exponential and their sum beside the result.
    assert_eq!(arena.peak(), 28);
    assert_eq!(work(&Arena::new(&mut [0.0; 28])).unwrap(), expected);
    assert!(matches!(work(&Arena::new(&mut [0.0; 27])), Err(ArenaError::Full { .. })));
    arena.reset_peak();
    assert_eq!(arena.peak(), 0);
}

#[test]
fn operands_of_two_arenas_do_not_mix() {
    let (mut here, mut there) = ([0.0_f32; 4], [0.0_f32; 4]);
    let (here, there) = (Arena::new(&mut here), Arena::new(&mut there));
    let lhs = here.tensor(row(1), &[1.0]).unwrap();
    let rhs = there.tensor(row(1), &[1.0]).unwrap();
    assert_eq!(lhs.add(&rhs).unwrap_err(), ArenaError::Foreign);
}

#[test]
fn an_empty_tensor_is_a_tensor() {
    let mut memory = [0.0_f32; 8];
    let arena = Arena::new(&mut memory);
    let empty = arena.tensor(Shape::new(2, 0, 3, 3), &[]).unwrap();
    assert_eq!(values(&empty.exp().unwrap()), []);
    assert_eq!(values(&empty.mirror().unwrap().shift(1, -1).unwrap()), []);
    assert_eq!(values(&empty.sum(Axes::Spatial).unwrap()), []);
    assert_eq!(values(&arena.tensor(Shape::new(1, 0, 1, 2), &[]).unwrap().sum(Axes::Channel).unwrap()), [0.0, 0.0]);
    assert!(matches!(empty.max(Axes::Channel), Err(ArenaError::Shape(_))));
}

/// The definition of broadcasting, one element at a time.
fn broadcast_reference(lhs: (&[f64], Shape), rhs: (&[f64], Shape), f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let shape = lhs.1.broadcast(rhs.1).unwrap();
    let at = |values: &[f64], from: Shape, [n, c, y, x]: [usize; 4]| {
        let pick = |index: usize, extent: usize| if extent == 1 { 0 } else { index };
        values[((pick(n, from.n) * from.c + pick(c, from.c)) * from.h + pick(y, from.h)) * from.w + pick(x, from.w)]
    };
    let mut out = Vec::new();
    for n in 0..shape.n {
        for c in 0..shape.c {
            for y in 0..shape.h {
                for x in 0..shape.w {
                    out.push(f(at(lhs.0, lhs.1, [n, c, y, x]), at(rhs.0, rhs.1, [n, c, y, x])));
                }
            }
        }
    }
    out
}

#[test]
fn every_pair_of_shapes_broadcasts_as_defined() {
    let mut memory = std::vec![0.0_f64; 1000];
    let arena = Arena::new(&mut memory);
    let shape = |bits: usize| {
        let pick = |bit: usize, extent: usize| if bits >> bit & 1 == 0 { extent } else { 1 };
        Shape::new(pick(0, 2), pick(1, 3), pick(2, 4), pick(3, 5))
    };
    let count = |s: Shape| s.count();
    for left in 0..16 {
        for right in 0..16 {
            let (left, right) = (shape(left), shape(right));
            let a: Vec<f64> = (0..count(left)).map(|i| 1.0 + i as f64).collect();
            let b: Vec<f64> = (0..count(right)).map(|i| 0.5 + 3.0 * i as f64).collect();
            let (l, r) = (arena.tensor(left, &a).unwrap(), arena.tensor(right, &b).unwrap());
            let expected = broadcast_reference((&a, left), (&b, right), |l, r| l - 2.0 * r);
            let actual = l.sub(&r).unwrap().sub(&r).unwrap();
            assert_eq!(values(&actual), expected, "{left} and {right}");
        }
    }
    let (l, r) = (arena.tensor(row(2), &[0.0; 2]).unwrap(), arena.tensor(row(3), &[0.0; 3]).unwrap());
    assert_eq!(l.add(&r).unwrap_err(), ArenaError::Shape(crate::ShapeError { lhs: row(2), rhs: row(3) }));
}

#[test]
fn operations_give_hand_computed_values() {
    let mut memory = [0.0_f64; 200];
    let arena = Arena::new(&mut memory);
    let x = arena.tensor(row(3), &[-2.0, 0.0, 4.0]).unwrap();
    let y = arena.tensor(row(3), &[1.0, 0.0, 2.0]).unwrap();
    assert_eq!(values(&x.add(&y).unwrap()), [-1.0, 0.0, 6.0]);
    assert_eq!(values(&x.mul(&y).unwrap()), [-2.0, 0.0, 8.0]);
    assert_eq!(values(&x.mul(&x).unwrap()), [4.0, 0.0, 16.0]);
    assert_eq!(values(&y.div(&x).unwrap())[2], 0.5);
    assert_eq!(values(&x.maximum(&y).unwrap()), [1.0, 0.0, 4.0]);
    assert_eq!(values(&x.gt(&y).unwrap()), [0.0, 0.0, 1.0]);
    assert_eq!(values(&x.affine(2.0, 1.0).unwrap()), [-3.0, 1.0, 9.0]);
    assert_eq!(values(&x.abs().unwrap().sqrt().unwrap())[2], 2.0);
    assert_eq!(values(&y.exp().unwrap().ln().unwrap()), [1.0, 0.0, 2.0]);
    assert_eq!(values(&y.powf(3.0).unwrap()), [1.0, 0.0, 8.0]);
    assert_eq!(values(&x.fill(row(2), 7.0).unwrap()), [7.0, 7.0]);
    assert_eq!(values(&x.mirror().unwrap()), [4.0, 0.0, -2.0]);
}

#[test]
fn reductions_run_over_their_axes() {
    let mut memory = [0.0_f64; 200];
    let arena = Arena::new(&mut memory);
    let shape = Shape::new(2, 3, 2, 2);
    let data: Vec<f64> = (0..24).map(f64::from).collect();
    let x = arena.tensor(shape, &data).unwrap();
    assert_eq!(values(&x.sum(Axes::Spatial).unwrap()), [6.0, 22.0, 38.0, 54.0, 70.0, 86.0]);
    assert_eq!(values(&x.sum(Axes::Channel).unwrap()), [12.0, 15.0, 18.0, 21.0, 48.0, 51.0, 54.0, 57.0]);
    assert_eq!(values(&x.sum(Axes::Batch).unwrap())[..3], [12.0, 14.0, 16.0]);
    assert_eq!(values(&x.max(Axes::Spatial).unwrap()), [3.0, 7.0, 11.0, 15.0, 19.0, 23.0]);
    assert_eq!(values(&x.max(Axes::Channel).unwrap()), [8.0, 9.0, 10.0, 11.0, 20.0, 21.0, 22.0, 23.0]);
    assert_eq!(x.max(Axes::Batch).unwrap().shape(), Shape::new(1, 3, 2, 2));
    let broken = x.ln().unwrap().sub(&x.fill(shape, f64::NAN).unwrap()).unwrap();
    assert!(values(&broken.max(Axes::Spatial).unwrap()).iter().all(|value| value.is_nan()));
}

#[test]
fn long_sums_keep_their_digits() {
    let data = std::vec![0.1_f32; 1_000_003];
    let mut memory = std::vec![0.0_f32; 1_000_100];
    let arena = Arena::new(&mut memory);
    let exact = 1_000_003.0 * f64::from(0.1_f32);
    for (shape, axes) in [
        (Shape::new(1, 1, 1, data.len()), Axes::Spatial),
        (Shape::new(1, data.len(), 1, 1), Axes::Channel),
        (Shape::new(data.len(), 1, 1, 1), Axes::Batch),
    ] {
        let total = arena.tensor(shape, &data).unwrap().sum(axes).unwrap().get(0).unwrap();
        assert!((f64::from(total) / exact - 1.0).abs() < 1e-6, "{axes:?}: {total}");
    }
    // Columns: a million rows of which every sixteenth is one sample's.
    let rows = data.len() / 17;
    let x = arena.tensor(Shape::new(1, rows, 1, 17), &data[..rows * 17]).unwrap();
    for total in values(&x.sum(Axes::Channel).unwrap()) {
        assert!((f64::from(total) / (rows as f64 * f64::from(0.1_f32)) - 1.0).abs() < 1e-6, "{total}");
    }
}

#[test]
fn shift_repeats_the_border() {
    let mut memory = [0.0_f32; 100];
    let arena = Arena::new(&mut memory);
    let x = arena.tensor(Shape::new(1, 1, 2, 3), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    assert_eq!(values(&x.shift(0, 1).unwrap()), [2.0, 3.0, 3.0, 5.0, 6.0, 6.0]);
    assert_eq!(values(&x.shift(1, -1).unwrap()), [4.0, 4.0, 5.0, 4.0, 4.0, 5.0]);
    assert_eq!(values(&x.shift(-9, 9).unwrap()), [3.0; 6]);
    assert_eq!(values(&x.shift(isize::MAX, isize::MIN).unwrap()), [4.0; 6]);
}

#[test]
fn resize_places_its_taps_as_the_corners_say() {
    let mut memory = [0.0_f64; 100];
    let arena = Arena::new(&mut memory);
    let x = arena.tensor(row(2), &[0.0, 4.0]).unwrap();
    assert_eq!(values(&x.resize(1, 5, Corners::Aligned).unwrap()), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(&x.resize(1, 4, Corners::HalfPixel).unwrap()), [0.0, 1.0, 3.0, 4.0]);
    assert_eq!(values(&x.resize(1, 1, Corners::Aligned).unwrap()), [0.0]);
    assert_eq!(values(&x.resize(1, 1, Corners::HalfPixel).unwrap()), [2.0]);
    let one = arena.tensor(row(1), &[3.0]).unwrap();
    assert_eq!(values(&one.resize(2, 2, Corners::HalfPixel).unwrap()), [3.0; 4]);
    assert!(matches!(one.resize(0, 2, Corners::Aligned), Err(ArenaError::Shape(_))));
}

#[test]
fn channels_join_and_part_again() {
    let mut memory = [0.0_f64; 100];
    let arena = Arena::new(&mut memory);
    let x = arena.tensor(Shape::new(2, 1, 1, 2), &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let y = arena.tensor(Shape::new(2, 2, 1, 2), &[5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]).unwrap();
    let both = x.cat_channels(&y).unwrap();
    assert_eq!(values(&both), [1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 3.0, 4.0, 9.0, 10.0, 11.0, 12.0]);
    assert_eq!(values(&both.narrow_channels(0, 1).unwrap()), values(&x));
    assert_eq!(values(&both.narrow_channels(1, 2).unwrap()), values(&y));
    assert_eq!(both.narrow_channels(3, 0).unwrap().shape().c, 0);
    for (start, len) in [(2, 2), (4, 0), (usize::MAX, 1), (1, usize::MAX)] {
        assert!(matches!(both.narrow_channels(start, len), Err(ArenaError::Shape(_))), "{start}, {len}");
    }
}
