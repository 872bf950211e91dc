//! What the definitions need on the arena: the table in the documentation of `wseg_core::arena`.

mod support;

use wseg_core::{
    Arena, ArenaError, ArenaTensor, Cam, Cutoff, Pamr, Pooling, Shape, Tensor, activation, cam, loss, pamr, pooling,
    pseudo,
};

type Handle<'a, 'm> = ArenaTensor<'a, 'm, f32>;

/// Elements that `definition` needs beside its inputs: logits, pseudo labels (or masks) and labels of 20 channels,
/// and an image.
fn needed(
    definition: impl for<'a, 'm> Fn(&Handle<'a, 'm>, &Handle<'a, 'm>, &Handle<'a, 'm>) -> Result<(), ArenaError>,
) -> usize {
    let shape = Shape::new(1, 20, 16, 16);
    let mut memory = vec![f32::NAN; 30 * shape.count()];
    let arena = Arena::new(&mut memory);
    let logits = arena.tensor(shape, &vec![0.5; shape.count()]).unwrap();
    let masks = logits.fill(shape, 0.05).unwrap();
    let image = logits.fill(shape.with_channels(3), 0.5).unwrap();
    let inputs = arena.peak();
    definition(&logits, &masks, &image).unwrap();
    arena.peak() - inputs
}

/// A plane of the map above.
const PLANE: usize = 16 * 16;

#[test]
fn definitions_need_what_the_documentation_says() {
    let pamr = Pamr::default();
    // Whole planes; what is left are values of a channel or a sample, together less than a plane.
    let planes = [
        ("softmax", needed(|x, _, _| activation::softmax(x).map(drop)), 2 * 20 + 1),
        ("log_softmax", needed(|x, _, _| activation::log_softmax(x).map(drop)), 3 * 20 + 2),
        ("classify", needed(|x, _, _| pooling::classify(x, &Pooling::default()).map(drop)), 3 * 20 + 4),
        ("segmentation_loss", needed(|x, m, _| loss::segmentation_loss(x, m).map(drop)), 4 * 20 + 2),
        ("pseudo_labels", needed(|_, m, _| pseudo::pseudo_labels(m, &Cutoff::default()).map(drop)), 2 * 20 + 2),
        ("cam_masks", needed(|x, _, _| cam::cam_masks(x, &Cam::default()).map(drop)), 3 * 20 + 2),
        ("stdev", needed(|_, _, i| pamr::stdev(i, &pamr).map(drop)), 6 * 3),
        ("refine", needed(|_, m, i| pamr::refine(m, i, &pamr).map(drop)), 5 * 20 + 10),
    ];
    for (name, needed, expected) in planes {
        assert_eq!(needed / PLANE, expected, "{name}: {needed} elements");
    }
}
