//! PAMR and the dense CRF on synthetic photos: coarse, noisy masks come closer to the truth.

use image::RgbImage;
use wseg::{
    data::Classes,
    metrics::Tally,
    palette::VOID,
    picture::LabelMap,
    refine::{Masks, Refinement},
    synth::{Split, Synth, picture},
};
use wseg_core::pamr::Pamr;
use wseg_cuda_runner::crf::DenseCrf;

/// Side of the squares of pixels that a coarse mask tells apart.
const CELL: usize = 8;

/// The truth, averaged over squares, with noise: what a network's small map looks like.
fn degraded(truth: &LabelMap, seed: u64) -> Masks {
    let present = truth.present();
    let labels: Vec<u8> = (0..VOID).filter(|&label| present[usize::from(label)]).collect();
    let (width, height) = (truth.width.div_ceil(CELL), truth.height.div_ceil(CELL));
    let mut values = vec![0.0_f32; labels.len() * width * height];
    for (pixel, label) in truth.labels.iter().enumerate() {
        let cell = pixel / truth.width / CELL * width + pixel % truth.width / CELL;
        // A pixel of no class counts for all.
        for (channel, own) in labels.iter().enumerate() {
            let share = if *label == VOID { 1.0 / labels.len() as f32 } else { f32::from(u8::from(label == own)) };
            values[channel * width * height + cell] += share;
        }
    }
    let mut state = seed;
    for cell in 0..width * height {
        let at = |channel: usize| channel * width * height + cell;
        let total: f32 = (0..labels.len()).map(|channel| values[at(channel)]).sum();
        let mut sum = 0.0;
        for channel in 0..labels.len() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 40) as f32 / (1 << 24) as f32;
            values[at(channel)] = 0.6 * values[at(channel)] / total + 0.8 * noise / labels.len() as f32;
            sum += values[at(channel)];
        }
        (0..labels.len()).for_each(|channel| values[at(channel)] /= sum);
    }
    Masks { labels, width, height, values, from_labels: false }
}

/// mIoU in per cent, without refinement and with PAMR, the CRF, and both.
fn scores(photos: &[(RgbImage, LabelMap)], classes: &Classes) -> [f64; 4] {
    let (pamr, crf) = (Some(Pamr::default()), Some(DenseCrf::default()));
    let ways = [(None, None), (pamr.clone(), None), (None, crf), (pamr, crf)];
    ways.map(|(pamr, crf)| {
        let refinement = Refinement { pamr, crf };
        let mut tally = Tally::new(classes.clone());
        for (seed, (photo, truth)) in photos.iter().enumerate() {
            let refined = refinement.apply(degraded(truth, seed as u64), photo).unwrap().most_likely();
            tally.add(&refined.labels, &truth.labels).unwrap();
        }
        tally.report().mean_iou.unwrap()
    })
}

#[test]
fn coarse_noisy_masks_of_synthetic_photos_improve() {
    let settings = Synth { size: 160, ..Synth::default() };
    let classes = Classes::new(settings.class_names()).unwrap();
    let photos: Vec<_> = (0..6)
        .map(|number| picture(&settings, Split::Val, number))
        .map(|picture| (picture.photo, picture.mask))
        .collect();
    let [none, pamr, crf, both] = scores(&photos, &classes);
    println!("mIoU: {none:.1} without refinement, PAMR {pamr:.1}, CRF {crf:.1}, both {both:.1}");
    for (way, miou) in [("PAMR", pamr), ("CRF", crf), ("both", both)] {
        assert!(miou > none + 2.0, "{way}: {miou}, {none} without");
    }
}
