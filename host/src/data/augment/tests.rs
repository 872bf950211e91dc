//! The augmentation against torchvision's on Pillow images (`fixtures/augment`), what its random numbers may do, and masks
//! in step with photos.

use std::path::Path;

use image::RgbImage;
use rand::SeedableRng as _;
use wseg_cuda_runner::infer::Base;
use wseg_tests::golden::Golden;

use super::*;
use crate::picture::LabelMap;

fn golden() -> Golden {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/augment/augment.safetensors");
    Golden::read(&file).unwrap()
}

fn golden_photo(golden: &Golden) -> RgbImage {
    RgbImage::from_raw(64, 48, golden.bytes_of("in.image").unwrap()).unwrap()
}

const FRAME: Frame = Frame { side: 32, base: Base::Photo };

fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]))
}

/// The change of a name such as `hue_0.05`.
fn change(name: &str) -> Option<Change> {
    let (kind, factor) = name.split_once('_')?;
    Some(match kind {
        "brightness" => Change::Brightness(factor.parse().unwrap()),
        "contrast" => Change::Contrast(factor.parse().unwrap()),
        "saturation" => Change::Saturation(factor.parse().unwrap()),
        "hue" => Change::Hue(factor.parse().unwrap()),
        _ => return None,
    })
}

#[test]
fn colours_are_those_of_torchvision_and_pillow() {
    let golden = golden();
    let mut compared = 0;
    for name in golden.outputs() {
        let Some(changes) = name.split('+').map(change).collect::<Option<Vec<_>>>() else { continue };
        let mut pixels = golden_photo(&golden).into_raw();
        changes.iter().for_each(|change| change.apply(&mut pixels));
        assert_eq!(pixels, golden.bytes_of(&format!("out.{name}")).unwrap(), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 23);
}

#[test]
fn every_colour_there_is_changes_as_in_pillow() {
    let golden = golden();
    for name in ["hue_0.1", "saturation_1.3"] {
        let mut pixels: Vec<u8> =
            (0..1 << 24).flat_map(|colour: u32| [colour >> 16, colour >> 8, colour].map(|c| c as u8)).collect();
        change(name).unwrap().apply(&mut pixels);
        let expected = golden.number(&format!("cube_{name}")).unwrap();
        assert_eq!(f64::from(crc32fast::hash(&pixels)), expected, "{name}");
    }
}

#[test]
fn crops_are_those_of_torchvision_and_pillow() {
    let golden = golden();
    let mut compared = 0;
    for name in golden.outputs() {
        let Some(numbers) = name.strip_prefix("crop_") else { continue };
        let numbers: Vec<usize> = numbers.split('_').map(|number| number.parse().unwrap()).collect();
        let [top, left, height, width, side] = numbers[..] else { panic!("{name}") };
        let window = Window { left, top, width, height };
        let variation = Variation { crop: Crop::whole(window, side), changes: Vec::new(), mirrored: true };
        let varied = variation.apply(&golden_photo(&golden), side).unwrap();
        let expected = golden.bytes_of(&format!("out.{name}")).unwrap();
        assert_eq!(varied, Varied { pixels: expected, mirrored: true }, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 6);
}

#[test]
fn normalised_values_are_those_of_torchvision_to_the_last_bit() {
    let golden = golden();
    let expected: Vec<f32> = golden.array("out.normalised").unwrap().values.iter().map(|&value| value as f32).collect();
    let pixels = golden_photo(&golden).into_raw();
    assert_eq!(normalise(&pixels, 64, 48, false), expected);
    let mirrored: Vec<f32> =
        expected.chunks(64).flat_map(|row| row.iter().rev().copied().collect::<Vec<_>>()).collect();
    assert_eq!(normalise(&pixels, 64, 48, true), mirrored);
}

#[test]
fn crops_stay_inside_photos_of_any_shape_and_reach_every_border() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let narrow = Augment { area: [0.01, 0.02], aspect: [2.0, 3.0], ..Augment::default() };
    for augment in [Augment::default(), narrow] {
        for (width, height) in [(1, 1), (1, 50), (320, 213), (40, 400), (17, 16)] {
            let mut touched = [false; 4];
            for _ in 0..300 {
                let Window { left, top, width: w, height: h } = augment.window((width, height), &mut rng);
                assert!(w > 0 && h > 0 && left + w <= width && top + h <= height);
                let now = [left == 0, top == 0, left + w == width, top + h == height];
                touched.iter_mut().zip(now).for_each(|(seen, now)| *seen |= now);
            }
            let aspect = width as f64 / height as f64;
            assert!(touched == [true; 4] || !(0.5..2.0).contains(&aspect) || width > 300, "{width} x {height}");
        }
    }
}

#[test]
fn areas_and_aspects_are_those_asked_for() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let augment = Augment { area: [0.3, 0.5], ..Augment::default() };
    let (mut least, mut most) = (1.0_f64, 0.0_f64);
    for _ in 0..500 {
        let Window { width, height, .. } = augment.window((500, 375), &mut rng);
        let share = (width * height) as f64 / (500.0 * 375.0);
        let aspect = width as f64 / height as f64;
        // Sides are whole pixels.
        assert!((0.298..=0.502).contains(&share) && (0.745..=1.342).contains(&aspect), "{width} x {height}");
        (least, most) = (least.min(share), most.max(share));
    }
    assert!(least < 0.31 && most > 0.49, "{least} to {most}");
}

#[test]
fn a_photo_that_no_crop_fits_is_cut_in_the_middle() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let window = Augment::default().window((40, 400), &mut rng);
    assert_eq!(window, Window { left: 0, top: 173, width: 40, height: 53 });
    let window = Augment::default().window((400, 40), &mut rng);
    assert_eq!(window, Window { left: 173, top: 0, width: 53, height: 40 });
}

#[test]
fn changes_come_in_every_order_and_only_those_that_are_on() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut firsts = std::collections::HashSet::new();
    for _ in 0..100 {
        let variation = Augment::default().draw((60, 40), FRAME, &mut rng);
        assert_eq!(variation.changes.len(), 4);
        firsts.insert(std::mem::discriminant(&variation.changes[0]));
        for change in variation.changes {
            match change {
                Change::Hue(turn) => assert!((-0.1..=0.1).contains(&turn)),
                Change::Brightness(f) | Change::Contrast(f) | Change::Saturation(f) => {
                    assert!((0.7..=1.3).contains(&f));
                }
            }
        }
    }
    assert_eq!(firsts.len(), 4);
    let off = Augment { flip: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0, ..Augment::default() };
    let variation = off.draw((60, 40), FRAME, &mut rng);
    assert!(variation.changes.is_empty() && !variation.mirrored);
}

#[test]
fn the_same_seed_gives_the_same_variation() {
    let vary = |seed| {
        let variation = Augment::default().draw((60, 40), FRAME, &mut ChaCha8Rng::seed_from_u64(seed));
        variation.apply(&photo(60, 40), 32).unwrap()
    };
    assert_eq!(vary(3), vary(3));
    assert_ne!(vary(3), vary(4));
    assert_eq!(vary(5).pixels.len(), 3 * 32 * 32);
}

// Random scale and crop, of photos and masks in step.

/// Colours that the bicubic filter keeps apart, one a label.
const PAINT: [[u8; 3]; 4] = [[20, 30, 40], [200, 40, 60], [60, 190, 50], [40, 70, 210]];

/// A mask of blocks, and the photo painted by it.
fn painted(width: usize, height: usize) -> (RgbImage, LabelMap) {
    let label = |x: usize, y: usize| ((x / 24 + 2 * (y / 18)) % PAINT.len()) as u8;
    let labels = (0..width * height).map(|pixel| label(pixel % width, pixel / width)).collect();
    let paint = |x: u32, y: u32| image::Rgb(PAINT[usize::from(label(x as usize, y as usize))]);
    (RgbImage::from_fn(width as u32, height as u32, paint), LabelMap { width, height, labels })
}

/// Whether all labels around a pixel are its own, so that no filter mixes two colours there. Beyond the picture's edge
/// the photo may go on in another colour.
fn is_inside(mask: &[u8], side: usize, (x, y): (usize, usize), reach: usize) -> bool {
    let around = |at: usize| at - reach..at + reach + 1;
    let whole = |at: usize| (reach..side - reach).contains(&at);
    whole(x) && whole(y) && around(y).all(|row| around(x).all(|column| mask[row * side + column] == mask[y * side + x]))
}

#[test]
fn a_photo_painted_by_its_mask_stays_so() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let side = 40;
    let still = Augment { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0, ..Augment::default() };
    let mean = pixels::mean_colour();
    let (mut inside, mut around, mut mirrored) = (0, 0, 0);
    for scale in [None, Some([0.5, 2.0])] {
        for (width, height) in [(60, 45), (200, 90), (33, 130)] {
            let (photo, mask) = painted(width, height);
            for base in [Base::Photo, Base::Crop] {
                for _ in 0..12 {
                    let augment = Augment { scale, area: [0.3, 1.0], ..still.clone() };
                    let variation = augment.draw((width, height), Frame { side, base }, &mut rng);
                    let varied = variation.apply(&photo, side).unwrap();
                    let labels = variation.apply_mask(&mask, side);
                    assert_eq!((varied.pixels.len(), labels.len()), (3 * side * side, side * side));
                    mirrored += usize::from(varied.mirrored);
                    for (x, y) in (0..side * side).map(|pixel| (pixel % side, pixel / side)) {
                        let column = if varied.mirrored { side - 1 - x } else { x };
                        let colour = &varied.pixels[3 * (y * side + column)..][..3];
                        match labels[y * side + x] {
                            // Around the photo there is neither photo nor label.
                            255 => {
                                assert_eq!(colour, mean, "{scale:?} {base:?} at {x}, {y}");
                                around += 1;
                            }
                            // Twice as large, a pixel is mixed with those up to four away.
                            label if is_inside(&labels, side, (x, y), 5) => {
                                assert_eq!(colour, PAINT[usize::from(label)], "{scale:?} {base:?} at {x}, {y}");
                                inside += 1;
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    assert!(inside > 5000 && around > 5000 && mirrored > 20, "{inside} {around} {mirrored}");
}

#[test]
fn the_mask_of_an_unscaled_crop_is_the_masks_part() {
    let (_, mask) = painted(60, 45);
    let window = Window { left: 7, top: 3, width: 32, height: 32 };
    for mirrored in [false, true] {
        let variation = Variation { crop: Crop::whole(window, 32), changes: Vec::new(), mirrored };
        let labels = variation.apply_mask(&mask, 32);
        for (pixel, label) in labels.into_iter().enumerate() {
            let (x, y) = (pixel % 32, pixel / 32);
            let x = if mirrored { 31 - x } else { x };
            assert_eq!(label, mask.labels[(3 + y) * 60 + 7 + x]);
        }
    }
}

#[test]
fn scaled_crops_are_squares_of_the_scale_or_all_of_a_side() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for base in [Base::Photo, Base::Crop] {
        let (mut padded, mut cut) = (0, 0);
        for index in 0..400 {
            let (size, scale) = ((30 + index % 90, 20 + index % 70), 0.5 + (index % 16) as f64 / 10.0);
            let Crop { window, place } = Crop::scaled(size, Frame { side: 64, base }, scale, &mut rng);
            assert!(window.left + window.width <= size.0 && window.top + window.height <= size.1);
            assert!(place.left + place.width <= 64 && place.top + place.height <= 64);
            let factor = scale * base.unit((size.1, size.0), 64);
            for (seen, all, placed) in [(window.width, size.0, place.width), (window.height, size.1, place.height)] {
                assert!(seen == all || placed == 64, "a side is neither whole nor full");
                // Whole pixels on both sides.
                let bound = 0.5 * factor + 0.5;
                assert!((placed as f64 - seen as f64 * factor).abs() <= bound, "{seen} {placed} {factor}");
                padded += usize::from(placed < 64);
                cut += usize::from(seen < all);
            }
        }
        assert!(padded > 50 && cut > 50, "{base:?}: {padded} {cut}");
    }
}
