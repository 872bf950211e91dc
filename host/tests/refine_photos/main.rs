//! PAMR and the dense CRF on photos: coarse, noisy masks come closer to the truth, in their regions and their borders.

mod degrade;

use std::path::Path;

use degrade::Degradation;
use image::RgbImage;
use wseg::{
    data::Classes,
    metrics::{Evaluator, Measures},
    picture::{self, LabelMap},
    refine::Refinement,
    synth::{Split, Synth, picture},
};
use wseg_core::pamr::Pamr;
use wseg_cuda_runner::crf::DenseCrf;

/// Coarse masks about as bad as those the method has to do with: 60 to 75 % mIoU.
const COARSE: Degradation = Degradation { blur: 1.5, noise: 2.0, floor: 1e-4 };

/// mIoU and boundary F-score, in per cent.
#[derive(Debug, Clone, Copy)]
struct Score {
    miou: f64,
    boundary: f64,
}

/// Scores without refinement, with PAMR, the CRF, and both.
fn scores(photos: &[(RgbImage, LabelMap)], classes: &Classes) -> [Score; 4] {
    let (pamr, crf) = (Some(Pamr::default()), Some(DenseCrf::default()));
    let ways = [("neither", None, None), ("PAMR", pamr.clone(), None), ("CRF", None, crf), ("both", pamr, crf)];
    ways.map(|(name, pamr, crf)| {
        let refinement = Refinement { pamr, crf };
        let mut evaluator = Evaluator::new(classes.clone(), Measures::default());
        for (seed, (photo, truth)) in photos.iter().enumerate() {
            let refined = refinement.apply(COARSE.apply(truth, seed as u64), photo).unwrap().most_likely();
            evaluator.add("", &refined, truth).unwrap();
        }
        let evaluation = evaluator.finish();
        let score = Score { miou: evaluation.report.mean_iou.unwrap(), boundary: evaluation.boundary.mean_f.unwrap() };
        println!("{name}: mIoU {:.1}, boundary F {:.1}", score.miou, score.boundary);
        score
    })
}

/// Each way of refinement improves both measures by more than `points`.
fn assert_each_improves(scores: [Score; 4], points: f64) {
    let [none, refined @ ..] = scores;
    for (name, score) in ["PAMR", "CRF", "both"].into_iter().zip(refined) {
        let better = score.miou > none.miou + points && score.boundary > none.boundary + points;
        assert!(better, "{name}: {score:?}, without {none:?}");
    }
}

#[test]
fn coarse_noisy_masks_of_synthetic_photos_improve() {
    let settings = Synth { size: 160, ..Synth::default() };
    let classes = Classes::new(settings.class_names()).unwrap();
    let photos: Vec<_> = (0..6)
        .map(|number| picture(&settings, Split::Val, number))
        .map(|picture| (picture.photo, picture.mask))
        .collect();
    assert_each_improves(scores(&photos, &classes), 2.0);
}

/// True borders of real photos.
#[test]
fn coarse_noisy_masks_of_real_photos_improve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/voc24");
    let Ok(list) = std::fs::read_to_string(root.join("ImageSets/Segmentation/val.txt")) else {
        println!("skipped: there are no photos at {}", root.display());
        return;
    };
    let read = |name: &str| {
        let photo = picture::read_photo(&root.join(format!("JPEGImages/{name}.jpg"))).unwrap();
        (photo, picture::read_mask(&root.join(format!("SegmentationClass/{name}.png"))).unwrap())
    };
    let photos: Vec<_> = list.lines().map(read).collect();
    let names = (0..21).map(|class| if class == 0 { "background".to_owned() } else { format!("class {class}") });
    assert_each_improves(scores(&photos, &Classes::new(names.collect()).unwrap()), 5.0);
}
