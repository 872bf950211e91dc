//! The measures, against values computed by hand.

use wseg_core::metric::{Confusion, MetricError, average_precision, mean};

#[test]
fn a_hand_counted_image() {
    let mut counts = [0; 9];
    let mut confusion = Confusion::new(&mut counts, 3, Some(255)).unwrap();
    // Truth 0 0 0 1 1 and an ignored pixel; class 2 occurs nowhere.
    confusion.add(&[0_u8, 0, 0, 1, 1, 255], &[0_u8, 0, 1, 1, 0, 77]).unwrap();
    assert_eq!(
        (confusion.count(0, 0), confusion.count(0, 1), confusion.count(1, 0), confusion.count(1, 1)),
        (2, 1, 1, 1)
    );
    assert_eq!((confusion.iou(0), confusion.iou(1), confusion.iou(2)), (Some(0.5), Some(1.0 / 3.0), None));
    assert_eq!((confusion.precision(0), confusion.precision(2)), (Some(2.0 / 3.0), None));
    assert_eq!((confusion.recall(1), confusion.recall(2)), (Some(0.5), None));
    assert_eq!(confusion.mean_iou(), Some((0.5 + 1.0 / 3.0) / 2.0));
    assert_eq!(confusion.mean_foreground_iou(), Some(1.0 / 3.0));
    assert_eq!(confusion.pixel_accuracy(), Some(0.6));
    assert_eq!((confusion.count(3, 0), confusion.iou(3)), (0, None));
}

#[test]
fn counting_goes_on_over_images() {
    let mut counts = [0; 4];
    Confusion::new(&mut counts, 2, None).unwrap().add(&[1_u8], &[1_u8]).unwrap();
    Confusion::new(&mut counts, 2, None).unwrap().add(&[1_u16, 0], &[0_u16, 0]).unwrap();
    assert_eq!(counts, [1, 0, 1, 1]);
}

#[test]
fn a_class_predicted_but_absent_has_an_iou_of_zero() {
    let mut counts = [0; 4];
    let mut confusion = Confusion::new(&mut counts, 2, None).unwrap();
    confusion.add(&[0_u8, 0], &[0_u8, 1]).unwrap();
    assert_eq!((confusion.iou(1), confusion.precision(1), confusion.recall(1)), (Some(0.0), Some(0.0), None));
}

#[test]
fn nothing_counted_means_nothing_defined() {
    let mut counts = [0; 4];
    let mut confusion = Confusion::new(&mut counts, 2, Some(255)).unwrap();
    confusion.add(&[255_u8], &[0_u8]).unwrap();
    assert_eq!((confusion.mean_iou(), confusion.mean_foreground_iou(), confusion.pixel_accuracy()), (None, None, None));
    assert_eq!(mean([None, Some(1.0), Some(2.0)]), Some(1.5));
}

#[test]
fn values_outside_the_classes_are_named_and_nothing_is_counted() {
    let mut counts = [0; 4];
    let mut confusion = Confusion::new(&mut counts, 2, Some(255)).unwrap();
    assert_eq!(confusion.add(&[0_u8, 7], &[0_u8, 0]), Err(MetricError::Truth { value: 7, classes: 2 }));
    assert_eq!(confusion.add(&[0_u8, 1], &[0_u8, 255]), Err(MetricError::Prediction { value: 255, classes: 2 }));
    assert_eq!(confusion.add(&[0_u8], &[0_u8, 1]), Err(MetricError::Length { expected: 1, given: 2 }));
    assert_eq!(counts, [0; 4]);
    assert_eq!(Confusion::new(&mut counts, 3, None).unwrap_err(), MetricError::Length { expected: 9, given: 4 });
}

fn precision(scores: &[f64], positive: &[u8]) -> Option<f64> {
    let positive: Vec<bool> = positive.iter().map(|&p| p == 1).collect();
    average_precision(scores, &positive, &mut vec![0; scores.len()]).unwrap()
}

#[test]
fn average_precision_of_a_hand_ranked_list() {
    // scikit-learn's documented example.
    let expected = 1.0 / 2.0 + 1.0 / 2.0 * (2.0 / 3.0);
    assert!((precision(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]).unwrap() - expected).abs() < 1e-15);
    assert_eq!(precision(&[3.0, 2.0, 1.0], &[1, 1, 0]), Some(1.0));
}

#[test]
fn equal_scores_enter_together() {
    // One threshold: recall 1 at precision 1/4, however the ties are ordered.
    for positive in [[1, 0, 0, 0], [0, 0, 0, 1]] {
        assert_eq!(precision(&[0.5; 4], &positive), Some(0.25));
    }
    // Two tied at the top, one of them positive (recall 1/2 at 1/2), then a positive (1/2 at 2/3).
    assert!((precision(&[0.9, 0.9, 0.1], &[0, 1, 1]).unwrap() - (0.25 + 1.0 / 3.0)).abs() < 1e-15);
    assert_eq!(precision(&[0.0, -0.0], &[1, 0]), precision(&[-0.0, 0.0], &[1, 0]));
}

#[test]
fn average_precision_without_positives_is_not_defined() {
    assert_eq!(precision(&[0.5, 0.1], &[0, 0]), None);
    assert_eq!(precision(&[], &[]), None);
}

#[test]
fn scores_that_are_no_numbers_are_refused() {
    let result = average_precision(&[0.5_f32, f32::NAN], &[true, false], &mut [0; 2]);
    assert_eq!(result, Err(MetricError::Score { index: 1 }));
    let result = average_precision(&[0.5_f32], &[true, false], &mut [0; 2]);
    assert_eq!(result, Err(MetricError::Length { expected: 1, given: 2 }));
}

#[test]
fn weighted_iou_and_mean_accuracy_by_hand() {
    let mut counts = [0; 9];
    let mut confusion = Confusion::new(&mut counts, 3, Some(255)).unwrap();
    assert_eq!((confusion.frequency_weighted_iou(), confusion.mean_accuracy()), (None, None));
    // Truth: three of class 0 (IoU 2/4), two of class 1 (IoU 1/3); class 2 is predicted once: IoU 0, no weight.
    confusion.add(&[0_u8, 0, 0, 1, 1, 255], &[0_u8, 0, 2, 1, 0, 77]).unwrap();
    let weighted = confusion.frequency_weighted_iou().unwrap();
    assert!((weighted - (3.0 * 0.5 + 2.0 * 0.5) / 5.0).abs() < 1e-15, "{weighted}");
    let accuracy = confusion.mean_accuracy().unwrap();
    assert!((accuracy - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-15, "{accuracy}");
}

#[test]
fn only_chosen_pixels_are_counted_and_judged() {
    let mut counts = [0; 4];
    let mut confusion = Confusion::new(&mut counts, 2, None).unwrap();
    confusion.add_chosen(&[0_u8, 9, 1], &[1_u8, 9, 1], |index| index != 1).unwrap();
    assert_eq!(counts, [0, 1, 0, 1]);
}
