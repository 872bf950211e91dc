//! What moving and resizing maps promises, for random shapes and values, on every backend.

mod common;

use common::{ensure, for_all, maps, near, near_tensors, on_every_backend};
use wseg_core::{Corners, Tensor};
use wseg_tests::{bench::Bench, failure::Failure, sample::Sample};

on_every_backend!(
    a_resize_to_the_same_size_is_the_identity,
    a_resize_stays_within_the_range,
    aligned_corners_keep_the_corners,
    a_mirror_image_of_a_mirror_image_is_the_image,
    shifts_add_up_within_the_border,
);

const BOTH: [Corners; 2] = [Corners::Aligned, Corners::HalfPixel];

fn a_resize_to_the_same_size_is_the_identity<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(maps(), |(shape, seed)| {
        let map = bench.load(shape, &Sample::new(seed).values(shape, -3.0, 3.0))?;
        for corners in BOTH {
            near_tensors(bench, "map", &map.resize(shape.h, shape.w, corners)?, &map, 0.0)?;
        }
        Ok(())
    })
}

fn a_resize_stays_within_the_range<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all((maps(), 1_usize..=20, 1_usize..=20), |((shape, seed), h, w)| {
        let values = Sample::new(seed).values(shape, -3.0, 3.0);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min) - 3.0 * B::TOLERANCE;
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 3.0 * B::TOLERANCE;
        let map = bench.load(shape, &values)?;
        for corners in BOTH {
            let resized = map.resize(h, w, corners)?;
            ensure!(resized.shape() == shape.with_size(h, w), "shape {}", resized.shape());
            ensure!(bench.read(&resized)?.iter().all(|value| (low..=high).contains(value)), "outside {low}..={high}");
        }
        Ok(())
    })
}

fn aligned_corners_keep_the_corners<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all((maps(), 2_usize..=20, 2_usize..=20), |((shape, seed), h, w)| {
        let values = Sample::new(seed).values(shape, -3.0, 3.0);
        let resized = bench.read(&bench.load(shape, &values)?.resize(h, w, Corners::Aligned)?)?;
        let corners = |values: &[f64], h: usize, w: usize| -> Vec<f64> {
            let planes = values.chunks_exact(h * w);
            planes.flat_map(|map| [map[0], map[w - 1], map[(h - 1) * w], map[h * w - 1]]).collect()
        };
        near::<B>("corners", &corners(&resized, h, w), &corners(&values, shape.h, shape.w), 3.0)
    })
}

fn a_mirror_image_of_a_mirror_image_is_the_image<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(maps(), |(shape, seed)| {
        let values = Sample::new(seed).values(shape, -3.0, 3.0);
        let map = bench.load(shape, &values)?;
        let mirrored = map.mirror()?;
        let reversed: Vec<f64> = values.chunks_exact(shape.w).flat_map(|row| row.iter().rev().copied()).collect();
        near::<B>("mirror image", &bench.read(&mirrored)?, &reversed, 0.0)?;
        ensure!(bench.read(&mirrored.mirror()?)? == bench.read(&map)?, "not the image");
        Ok(())
    })
}

fn shifts_add_up_within_the_border<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all((maps(), 0_isize..12, 0_isize..12), |((shape, seed), dy, dx)| {
        let map = bench.load(shape, &Sample::new(seed).values(shape, -3.0, 3.0))?;
        let at_once = bench.read(&map.shift(dy, -dx)?)?;
        let in_steps = bench.read(&map.shift(dy, 0)?.shift(0, -dx)?)?;
        ensure!(at_once == in_steps, "another map");
        ensure!(bench.read(&map.shift(0, 0)?)? == bench.read(&map)?, "a shift by nothing moves something");
        let beyond = bench.read(&map.shift(isize::MAX, isize::MIN)?)?;
        let corner = bench.read(&map.shift(shape.h as isize, -(shape.w as isize))?)?;
        ensure!(beyond == corner, "beyond the border lies something else");
        Ok(())
    })
}
