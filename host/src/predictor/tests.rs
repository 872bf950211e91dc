//! Tiles, batches and working files against the photo looked at as a whole.

use wseg_cuda_runner::{infer::Base, model::ModelKind};

use super::*;
use crate::settings::Settings;

fn model(kind: ModelKind) -> Model {
    let changes = ["network.backbone.small.widths=4,6,8,8,10", "recipe.crop=48"].map(|change| change.parse().unwrap());
    let preset = if kind == ModelKind::DeepLab { "deeplab-small" } else { "small" };
    let settings = Settings::preset(preset).unwrap().with(&changes).unwrap();
    let config = settings.network_for(kind, vec!["cat".to_owned(), "dog".to_owned()]);
    Model::new(config, 3, DType::F32, &Device::Cpu).unwrap()
}

fn inference() -> Inference {
    Inference { base: Base::Photo, scales: vec![1.0, 0.7], flip: true, threshold: 0.0, background_power: 2.0 }
}

fn photo(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 5 + seed) as u8, (y * 3) as u8, ((x / 8 + y / 8 + seed) % 2 * 200) as u8])
    })
}

fn planes(masks: &mut Masks) -> Vec<f32> {
    (0..masks.shape()[0]).flat_map(|channel| masks.plane(channel).unwrap()).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The path of large photos with one tile, in memory and in a file, is the other path with another order of loops.
#[test]
fn a_photo_of_one_tile_is_as_if_looked_at_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [ModelKind::SingleStage, ModelKind::Cam, ModelKind::DeepLab] {
        let model = model(kind);
        let predictor = Predictor::new(&model, inference()).unwrap();
        let photo = photo(53, 37, 1);
        for present in [None, Some(&[false, true][..])] {
            let prediction = predictor.predict(&photo, present).unwrap();
            let mut whole = Masks::whole(&prediction).unwrap();
            assert_eq!(whole.labels().unwrap().labels, prediction.labels);
            for in_memory in [1 << 20, 0] {
                let mut tiled = predictor.look_tiled(&photo, present, dir.path(), in_memory).unwrap();
                assert_eq!(tiled.shape(), [3, 37, 53]);
                // Powers are taken by another function.
                assert!(largest_difference(&planes(&mut tiled), &planes(&mut whole)) < 1e-6, "{kind} {present:?}");
                assert_eq!(tiled.confidence(), whole.confidence());
                assert_eq!(tiled.labels().unwrap().labels, prediction.labels, "{kind} {present:?}");
            }
        }
    }
}

/// Of a photo that is the same everywhere, all tiles say the same but for the zeros that pad the network's maps at their
/// borders: blended, they leave no seam.
#[test]
fn tiles_of_a_uniform_photo_leave_no_seam() {
    let model = model(ModelKind::SingleStage);
    let grey = RgbImage::from_pixel(300, 40, image::Rgb([120; 3]));
    let inference = Inference { scales: vec![1.0], flip: false, ..inference() };
    let predictor = Predictor::new(&model, inference).unwrap().with_tile(100);
    assert!(predictor.is_large((40, 300)) && !predictor.is_large((40, 200)));
    let mut masks = predictor.segment(&[(&grey, Some(&[true, true]))], Path::new(".")).unwrap().remove(0);
    let plane = masks.plane(1).unwrap();
    let row = &plane[20 * 300..21 * 300];
    let (low, high) = row.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let step = row.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
    assert!(high > low, "the maps' borders are seen: {low}");
    // Where one tile ended and the next began without a blend, the whole difference would be one step.
    assert!(step < 0.2 * (high - low), "a step of {step} where all lies in {low} to {high}");
}

#[test]
fn a_class_that_one_tile_shows_is_kept_in_all() {
    let model = model(ModelKind::SingleStage);
    let predictor = Predictor::new(&model, inference()).unwrap().with_tile(64);
    let photo = photo(200, 90, 7);
    let tiled = predictor.look_tiled(&photo, None, Path::new("."), 1 << 20).unwrap();
    let confidence = tiled.confidence().unwrap().to_vec();
    let between = f64::midpoint(f64::from(confidence[0]), f64::from(confidence[1]));
    let strict = Inference { threshold: between, ..inference() };
    let mut masks =
        Predictor::new(&model, strict).unwrap().with_tile(64).segment(&[(&photo, None)], Path::new(".")).unwrap();
    let shown: Vec<bool> = (1..3).map(|channel| masks[0].plane(channel).unwrap().iter().any(|&v| v > 0.0)).collect();
    assert_eq!(shown, [confidence[0] > confidence[1], confidence[1] > confidence[0]]);
}

#[test]
fn a_batch_says_what_its_photos_say_alone() {
    let model = model(ModelKind::SingleStage);
    let predictor = Predictor::new(&model, inference()).unwrap();
    let photos = [photo(40, 31, 1), photo(40, 31, 90), photo(40, 31, 200)];
    let denied = [false, true];
    let asked = [(&photos[0], None), (&photos[1], Some(&denied[..])), (&photos[2], None)];
    let mut together = predictor.segment(&asked, Path::new(".")).unwrap();
    for (one, (photo, present)) in together.iter_mut().zip(asked) {
        let mut alone = predictor.segment(&[(photo, present)], Path::new(".")).unwrap().remove(0);
        // Sums over a batch may be taken in another order.
        assert!(largest_difference(&planes(one), &planes(&mut alone)) < 1e-5);
    }
    assert!(planes(&mut together[0]) != planes(&mut together[2]), "photos are mixed up");
    let other = photo(41, 31, 1);
    assert!(predictor.segment(&[(&photos[0], None), (&other, None)], Path::new(".")).is_err());
}
