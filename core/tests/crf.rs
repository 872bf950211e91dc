//! The dense CRF: the lattice against the definition, and what both promise.
#![cfg(feature = "alloc")]

mod crf_support;

use crf_support::{Lcg, Odd, argmax, largest, noisy_halves, patches};
use wseg_core::crf::{CrfError, DenseCrf, Executor, Kernel, Lattice, Rgb, Sequential, exact, infer};

const KERNELS: [Kernel; 3] = [
    Kernel::Gaussian { sxy: 3.0 },
    Kernel::Bilateral { sxy: 80.0, srgb: 13.0 },
    Kernel::Bilateral { sxy: 5.0, srgb: 40.0 },
];

/// The lattice's response as a matrix: column j is what it makes of a single 1 at pixel j.
fn response(lattice: &Lattice) -> Vec<f64> {
    let pixels = lattice.pixels();
    let mut ones = vec![0.0; pixels * pixels];
    (0..pixels).for_each(|pixel| ones[pixel * pixels + pixel] = 1.0);
    let columns = lattice.filter(&ones, &Sequential).unwrap();
    (0..pixels * pixels).map(|at| f64::from(columns[at % pixels * pixels + at / pixels])).collect()
}

#[test]
fn inference_is_mean_field_with_the_lattices_response() {
    for (seed, classes) in [(1, 2), (2, 5), (3, 21), (4, 35)] {
        let (width, height) = (19, 14);
        let image = patches(seed, width, height);
        let image = Rgb::new(&image, width, height).unwrap();
        let probabilities = Lcg(seed).masks(classes, width * height);
        let crf = DenseCrf { bilateral_sxy: 9.0, ..DenseCrf::default() };
        let q = infer(&probabilities, classes, image, &crf, &Sequential).unwrap();

        let pixels = width * height;
        let responses = crf.kernels().map(|(weight, kernel)| {
            let response = response(&Lattice::new(image, kernel, &Sequential).unwrap());
            (weight, move |i: usize, j: usize| response[i * pixels + j])
        });
        let terms = responses.each_ref().map(|(weight, affinity)| exact::Term { weight: *weight, affinity });
        let log_p: Vec<f64> = probabilities.iter().map(|&p| f64::from(p).ln()).collect();
        let expected = exact::mean_field(&log_p, classes, crf.iterations, &terms);
        let apart = largest(q.iter().zip(&expected).map(|(&a, b)| f64::from(a) - b));
        assert!(apart <= 1e-4, "{classes} classes: {apart}");
    }
}

/// The filter error that the module's documentation states: a normalised filter's largest and mean difference to the
/// exact Gaussian's, for maps in 0..=1.
#[test]
fn the_lattices_filter_is_as_close_to_the_gaussian_as_it_says() {
    let (width, height) = (40, 30);
    let pixels = width * height;
    let (mut worst, mut mean) = (0.0_f64, 0.0_f64);
    for seed in 1..=4 {
        let bytes = patches(seed, width, height);
        let image = Rgb::new(&bytes, width, height).unwrap();
        let maps = Lcg(seed).masks(3, pixels);
        for kernel in KERNELS {
            let filtered = Lattice::new(image, kernel, &Sequential).unwrap().filter(&maps, &Sequential).unwrap();
            let norms = exact::norms(pixels, |i, j| kernel.affinity(image, i, j));
            let mut total = 0.0;
            for (map, filtered) in maps.chunks(pixels).zip(filtered.chunks(pixels)) {
                for i in 0..pixels {
                    let near = |j: usize| norms[j] * kernel.affinity(image, i, j) * f64::from(map[j]);
                    let apart = (norms[i] * (0..pixels).map(near).sum::<f64>() - f64::from(filtered[i])).abs();
                    worst = worst.max(apart);
                    total += apart;
                }
            }
            mean = mean.max(total / maps.len() as f64);
            println!("{kernel:?}: largest so far {worst}, mean {}", total / maps.len() as f64);
        }
    }
    assert!(worst <= 0.06 + 1e-4 && mean <= 0.01 + 1e-4, "largest {worst}, mean {mean}");
}

#[test]
fn inference_finds_what_the_definition_finds() {
    for seed in 1..=3 {
        let (width, height) = (32, 24);
        let (image, probabilities, _) = noisy_halves(seed, width, height);
        let image = Rgb::new(&image, width, height).unwrap();
        let crf = DenseCrf::default();
        let exact = exact::infer(&probabilities, 2, image, &crf).unwrap();
        let q: Vec<f64> =
            infer(&probabilities, 2, image, &crf, &Sequential).unwrap().into_iter().map(f64::from).collect();
        let pixels = width * height;
        let (one, other) = (argmax(&q, 2), argmax(&exact, 2));
        let agree = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        println!(
            "seed {seed}: {agree} of {pixels} agree, largest {}",
            largest(q.iter().zip(&exact).map(|(a, b)| a - b))
        );
        assert!(agree as f64 >= 0.99 * pixels as f64, "{agree} of {pixels}");
    }
}

#[test]
fn the_filter_is_linear() {
    let bytes = patches(5, 23, 17);
    let image = Rgb::new(&bytes, 23, 17).unwrap();
    for kernel in KERNELS {
        let lattice = Lattice::new(image, kernel, &Sequential).unwrap();
        let (a, b) = (Lcg(6).masks(2, 23 * 17), Lcg(7).masks(2, 23 * 17));
        let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - 0.5 * b).collect();
        let [a, b, mixed] = [a, b, mixed].map(|maps| lattice.filter(&maps, &Sequential).unwrap());
        let apart = largest(a.iter().zip(&b).zip(&mixed).map(|((a, b), m)| f64::from(2.0 * a - 0.5 * b - m)));
        assert!(apart < 1e-5, "{kernel:?}: {apart}");
    }
}

#[test]
fn the_filter_and_its_transpose_are_adjoint() {
    let bytes = patches(8, 21, 16);
    let image = Rgb::new(&bytes, 21, 16).unwrap();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    for kernel in KERNELS {
        let lattice = Lattice::new(image, kernel, &Sequential).unwrap();
        let (a, b) = (Lcg(1).masks(3, 21 * 16), Lcg(2).masks(3, 21 * 16));
        let there = dot(&lattice.filter(&a, &Sequential).unwrap(), &b);
        let back = dot(&a, &lattice.filter_transposed(&b, &Sequential).unwrap());
        assert!((there - back).abs() <= 1e-5 * there, "{kernel:?}: {there}, {back}");
    }
}

/// The blur's axes come one after the other. Where all points exist, their order does not matter, and the filter is its
/// own transpose: the kernel is symmetric. At the lattice's border something is lost on the way.
#[test]
fn the_filter_is_symmetric_away_from_the_lattices_border() {
    let (width, height) = (70, 60);
    let pixels = width * height;
    let bytes = vec![100; 3 * pixels];
    let image = Rgb::new(&bytes, width, height).unwrap();
    let lattice = Lattice::new(image, Kernel::Gaussian { sxy: 3.0 }, &Sequential).unwrap();
    let inside = |i: usize| (24..width - 24).contains(&(i % width)) && (24..height - 24).contains(&(i / width));
    let mut maps: Vec<f32> = Lcg(3).masks(2, pixels);
    maps.iter_mut().enumerate().filter(|(i, _)| !inside(i % pixels)).for_each(|(_, value)| *value = 0.0);
    let there = lattice.filter(&maps, &Sequential).unwrap();
    let back = lattice.filter_transposed(&maps, &Sequential).unwrap();
    let apart = largest(there.iter().zip(&back).map(|(a, b)| f64::from(a - b)));
    assert!(apart < 1e-6 && largest(there.iter().copied().map(f64::from)) > 0.3, "{apart}");
}

#[test]
fn rows_sum_to_1() {
    for (seed, classes) in [(1, 1), (2, 2), (3, 8), (4, 21), (5, 33)] {
        let bytes = patches(seed, 30, 20);
        let probabilities = Lcg(seed).masks(classes, 600);
        let image = Rgb::new(&bytes, 30, 20).unwrap();
        let q = infer(&probabilities, classes, image, &DenseCrf::default(), &Sequential).unwrap();
        for pixel in 0..600 {
            let sum: f64 = (0..classes).map(|class| f64::from(q[class * 600 + pixel])).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{classes} classes, pixel {pixel}: {sum}");
        }
        assert!(q.iter().all(|q| (0.0..=1.0 + 1e-6).contains(q)));
    }
}

#[test]
fn permuted_classes_permute_the_result() {
    let (classes, pixels) = (11, 26 * 18);
    let bytes = patches(9, 26, 18);
    let image = Rgb::new(&bytes, 26, 18).unwrap();
    let probabilities = Lcg(9).masks(classes, pixels);
    let moved = |maps: &[f32]| -> Vec<f32> {
        (0..classes).flat_map(|class| &maps[(7 * class + 3) % classes * pixels..][..pixels]).copied().collect()
    };
    let run = |maps: &[f32]| infer(maps, classes, image, &DenseCrf::default(), &Sequential).unwrap();
    let (one, other) = (moved(&run(&probabilities)), run(&moved(&probabilities)));
    // Sums over classes run in another order.
    let apart = largest(one.iter().zip(&other).map(|(a, b)| f64::from(a - b)));
    assert!(apart < 1e-3, "{apart}");
    assert!(one.iter().zip(&other).filter(|(a, b)| (*a - *b).abs() > 1e-5).count() < pixels / 100);
}

#[test]
fn a_flat_image_with_confident_masks_stays() {
    let (width, height) = (40, 30);
    let bytes = vec![128; width * height * 3];
    let image = Rgb::new(&bytes, width, height).unwrap();
    let left = |i: usize| i % width < width / 2;
    let probabilities: Vec<f32> = [true, false]
        .iter()
        .flat_map(|&side| (0..width * height).map(move |i| if left(i) == side { 0.999 } else { 0.001 }))
        .collect();
    // Without a message that could outweigh them: confident masks are what they are.
    let crf = DenseCrf { bilateral_weight: 1.0, ..DenseCrf::default() };
    let q = infer(&probabilities, 2, image, &crf, &Sequential).unwrap();
    assert!((0..width * height).all(|i| (q[i] > 0.99) == left(i)));
    // Certain everywhere of one class, it stays so whatever the weights.
    let certain: Vec<f32> = (0..2 * width * height).map(|i| if i < width * height { 1.0 } else { 0.0 }).collect();
    let q = infer(&certain, 2, image, &DenseCrf::default(), &Sequential).unwrap();
    assert!(q[..width * height].iter().all(|&q| q > 0.99999));
}

#[test]
fn the_result_does_not_depend_on_who_computes_what() {
    let (width, height, classes) = (61, 47, 21);
    let bytes = patches(10, width, height);
    let image = Rgb::new(&bytes, width, height).unwrap();
    let probabilities = Lcg(10).masks(classes, width * height);
    let run = |executor: &Odd| infer(&probabilities, classes, image, &DenseCrf::default(), executor).unwrap();
    let alone = infer(&probabilities, classes, image, &DenseCrf::default(), &Sequential).unwrap();
    for units in [1, 7, 64, 1000] {
        assert_eq!(run(&Odd { units }), alone, "pieces of {units}");
    }
    let lattice = |executor: &dyn Fn() -> Vec<f32>| executor();
    let filtered = |units| {
        let kernel = KERNELS[1];
        let executor = Odd { units };
        Lattice::new(image, kernel, &executor).unwrap().filter(&probabilities, &executor).unwrap()
    };
    assert_eq!(lattice(&|| filtered(3)), lattice(&|| filtered(500)));
}

#[test]
fn noise_is_removed_along_the_edge() {
    for seed in 1..=4 {
        let (width, height) = (48, 36);
        let (bytes, probabilities, truth) = noisy_halves(seed, width, height);
        let image = Rgb::new(&bytes, width, height).unwrap();
        let iou = |labels: &[usize]| {
            let both = labels.iter().zip(&truth).filter(|&(&a, &b)| a == 1 && b == 1).count();
            let either = labels.iter().zip(&truth).filter(|&(&a, &b)| a == 1 || b == 1).count();
            both as f64 / either as f64
        };
        let before: Vec<f64> = probabilities.iter().copied().map(f64::from).collect();
        let q = infer(&probabilities, 2, image, &DenseCrf::default(), &Sequential).unwrap();
        let after: Vec<f64> = q.into_iter().map(f64::from).collect();
        let (before, after) = (iou(&argmax(&before, 2)), iou(&argmax(&after, 2)));
        assert!(before < 0.9 && after > 0.97, "seed {seed}: IoU {before} before, {after} after");
    }
}

#[test]
fn without_iterations_or_weights_masks_are_only_normalised() {
    let bytes = patches(11, 12, 9);
    let image = Rgb::new(&bytes, 12, 9).unwrap();
    let masks = Lcg(11).masks(4, 108);
    let doubled: Vec<f32> = masks.iter().map(|p| 0.5 * p).collect();
    let none = DenseCrf { iterations: 0, ..DenseCrf::default() };
    let weightless = DenseCrf { gaussian_weight: 0.0, bilateral_weight: 0.0, ..DenseCrf::default() };
    for crf in [none, weightless] {
        let q = infer(&doubled, 4, image, &crf, &Sequential).unwrap();
        assert!(largest(q.iter().zip(&masks).map(|(q, p)| f64::from(q - p))) < 1e-6);
    }
}

#[test]
fn degenerate_pictures_give_finite_results() {
    let crf = DenseCrf::default();
    let run = |probabilities: &[f32], classes, bytes: &[u8], width, height, executor: &Odd| {
        infer(probabilities, classes, Rgb::new(bytes, width, height).unwrap(), &crf, executor)
    };
    let odd = Odd { units: 3 };
    assert_eq!(run(&[], 3, &[], 0, 0, &odd), Ok(vec![]));
    assert_eq!(run(&[], 3, &[], 0, 5, &odd), Ok(vec![]));
    assert_eq!(run(&[], 0, &[7; 6], 2, 1, &odd), Ok(vec![]));
    assert_eq!(run(&[0.25], 1, &[9, 9, 9], 1, 1, &odd), Ok(vec![1.0]));
    let one = run(&[0.2, 0.8], 2, &[0, 128, 255], 1, 1, &odd).unwrap();
    assert!(one[1] > 0.8 && (one[0] + one[1] - 1.0).abs() < 1e-6, "{one:?}");
    // Zero everywhere: no class is preferred.
    assert_eq!(run(&[0.0; 8], 2, &[3; 12], 2, 2, &odd), Ok(vec![0.5; 8]));
    // One row, as wide as a panorama; one column.
    for (width, height) in [(20_000, 1), (1, 20_000)] {
        let bytes = patches(12, width, height);
        let q = run(&Lcg(12).masks(2, 20_000), 2, &bytes, width, height, &odd).unwrap();
        assert!(q.iter().all(|q| q.is_finite()));
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    let bytes = [0; 12];
    let image = Rgb::new(&bytes, 2, 2).unwrap();
    let run = |probabilities: &[f32], crf: &DenseCrf| infer(probabilities, 2, image, crf, &Sequential);
    let crf = DenseCrf::default();
    assert_eq!(Rgb::new(&bytes, 2, 3).unwrap_err(), CrfError::Length { expected: 18, given: 12 });
    assert_eq!(Rgb::new(&bytes, usize::MAX, 3).unwrap_err(), CrfError::Length { expected: usize::MAX, given: 12 });
    assert_eq!(run(&[0.5; 7], &crf), Err(CrfError::Length { expected: 8, given: 7 }));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut probabilities = [0.5; 8];
        probabilities[5] = bad;
        assert_eq!(run(&probabilities, &crf), Err(CrfError::NotFinite { index: 5 }));
    }
    // Finite, but out of range: clamped, as in pydensecrf.
    assert!(run(&[f32::MAX, -1.0, 2.0, 0.0, 1e-40, 1.0, f32::MIN, 0.5], &crf).unwrap().iter().all(|q| q.is_finite()));
    for bad in [f64::NAN, f64::INFINITY, -1e30] {
        let broken = [
            DenseCrf { gaussian_weight: bad, ..crf },
            DenseCrf { gaussian_sxy: bad, ..crf },
            DenseCrf { bilateral_weight: bad, ..crf },
            DenseCrf { bilateral_sxy: bad, ..crf },
            DenseCrf { bilateral_srgb: bad, ..crf },
            DenseCrf { floor: bad, ..crf },
        ];
        for broken in broken {
            assert!(matches!(run(&[0.5; 8], &broken), Err(CrfError::Parameter { .. })), "{broken:?}");
            assert!(matches!(exact::infer(&[0.5; 8], 2, image, &broken), Err(CrfError::Parameter { .. })));
        }
    }
    // Extreme parameters within their ranges: a result, or an error that says why not.
    for (sxy, srgb, weight) in [(1e-2, 1e-2, 1e6), (1e6, 1e6, -1e6), (0.5, 1.0, 1e6)] {
        let extreme = DenseCrf {
            gaussian_sxy: sxy,
            bilateral_sxy: sxy,
            bilateral_srgb: srgb,
            gaussian_weight: weight,
            bilateral_weight: weight,
            ..crf
        };
        match run(&[0.1, 0.2, 0.3, 0.9, 0.5, 0.4, 0.6, 0.7], &extreme) {
            Ok(q) => assert!(q.iter().all(|q| q.is_finite()), "{extreme:?}"),
            Err(error) => assert_eq!(error, CrfError::TooFine),
        }
    }
}

#[test]
fn every_executor_may_be_used_by_reference() {
    fn twice(executor: &impl Executor) -> (u8, u8) {
        executor.both(|| 1, || 2)
    }
    assert_eq!((twice(&Sequential), twice(&Odd { units: 1 })), ((1, 2), (1, 2)));
}
