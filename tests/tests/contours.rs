//! Contours and distances: hand-drawn cases, and everything against its naive definition.

use proptest::prelude::*;
use wseg_core::metric::{ContourMatch, ContourPair, FAR, MetricError, Parabola, contours, squared_distances};

const VOID: u8 = 255;

fn distances(marked: &[bool], width: usize, limit: u32) -> Vec<u32> {
    let (mut out, mut envelope) = (vec![7; marked.len()], vec![Parabola::default(); width]);
    squared_distances(|index| marked[index], width, limit, &mut out, &mut envelope).unwrap();
    out
}

fn naive_distances(marked: &[bool], width: usize, limit: u32) -> Vec<u32> {
    let nearest = |at: usize| {
        let to = |other: usize| {
            ((at % width).abs_diff(other % width).pow(2) + (at / width).abs_diff(other / width).pow(2)) as u32
        };
        (0..marked.len()).filter(|&other| marked[other]).map(to).min().filter(|&d| d <= limit).unwrap_or(FAR)
    };
    (0..marked.len()).map(nearest).collect()
}

fn outline(labels: &[u8], width: usize) -> Vec<u8> {
    let mut out = vec![9; labels.len()];
    contours(labels, width, VOID, &mut out).unwrap();
    out
}

fn naive_outline(labels: &[u8], width: usize) -> Vec<u8> {
    let differs = |at: usize| {
        (0..labels.len()).any(|other| {
            let steps = (at % width).abs_diff(other % width) + (at / width).abs_diff(other / width);
            steps == 1 && labels[other] != labels[at]
        })
    };
    (0..labels.len()).map(|at| if differs(at) { labels[at] } else { VOID }).collect()
}

fn matched(class: u8, truth: &[u8], prediction: &[u8], width: usize, limit: u32) -> ContourMatch {
    let (true_contours, predicted_contours) = (&outline(truth, width), &outline(prediction, width));
    let pair = ContourPair { width, truth, ignore: VOID, true_contours, predicted_contours };
    let (mut distances, mut envelope) = (vec![0; truth.len()], vec![Parabola::default(); width]);
    pair.matched(class, 0..truth.len() / width, limit, &mut distances, &mut envelope).unwrap()
}

/// Every pixel of one contour against every pixel of the other.
fn naive_matched(class: u8, truth: &[u8], prediction: &[u8], width: usize, limit: u32) -> ContourMatch {
    let of = |labels: &[u8]| -> Vec<usize> {
        naive_outline(labels, width).iter().enumerate().filter(|&(_, &l)| l == class).map(|(at, _)| at).collect()
    };
    let (ours, theirs) = (of(prediction), of(truth));
    let near = |at: usize, others: &[usize]| {
        others.iter().any(|&other| {
            let (dx, dy) = ((at % width).abs_diff(other % width), (at / width).abs_diff(other / width));
            dx * dx + dy * dy <= limit as usize
        })
    };
    let predicted_hits = ours.iter().filter(|&&at| near(at, &theirs)).count() as u64;
    let wrong = ours.iter().filter(|&&at| !near(at, &theirs) && truth[at] != VOID).count() as u64;
    ContourMatch {
        true_pixels: theirs.len() as u64,
        true_hits: theirs.iter().filter(|&&at| near(at, &ours)).count() as u64,
        predicted_pixels: predicted_hits + wrong,
        predicted_hits,
    }
}

#[test]
fn distances_of_a_corner_by_hand() {
    let marked = [true, false, false, false, false, false];
    assert_eq!(distances(&marked, 3, 100), [0, 1, 4, 1, 2, 5]);
    assert_eq!(distances(&marked, 3, 2), [0, 1, FAR, 1, 2, FAR]);
    assert_eq!(distances(&[false; 6], 3, 100), [FAR; 6]);
    assert_eq!(distances(&marked, 3, 0), [0, FAR, FAR, FAR, FAR, FAR]);
}

#[test]
fn contours_lie_on_both_sides_and_not_at_the_edge() {
    // A strip of ignored pixels parts the ones from the twos: those beside it are on contours, it is not.
    let labels = [1, 1, 1, 255, 2, 2, 1, 1, 1, 255, 2, 0];
    assert_eq!(outline(&labels, 6), [255, 255, 1, 255, 2, 2, 255, 255, 1, 255, 2, 0]);
    assert_eq!(outline(&[3; 9], 3), [255; 9]);
}

/// A picture of seven columns whose first `left` are of class 1, on background.
fn halves(left: usize) -> Vec<u8> {
    (0..7 * 3).map(|at| u8::from(at % 7 < left)).collect()
}

#[test]
fn a_border_that_is_moved_is_within_reach_or_not() {
    // True contour of the class: column 2; predicted: column 4, two pixels away.
    let (truth, prediction) = (halves(3), halves(5));
    let near = matched(1, &truth, &prediction, 7, 4);
    assert_eq!(near, ContourMatch { true_pixels: 3, true_hits: 3, predicted_pixels: 3, predicted_hits: 3 });
    assert_eq!(near.f_score(), Some(1.0));
    let far = matched(1, &truth, &prediction, 7, 3);
    assert_eq!((far.precision(), far.recall(), far.f_score()), (Some(0.0), Some(0.0), Some(0.0)));
    assert_eq!(matched(1, &truth, &truth, 7, 0).f_score(), Some(1.0));
}

#[test]
fn half_a_contour_by_hand() {
    // The class is a row of two, predicted as a row of four from its left: of the prediction's four pixels the two at
    // the right have no true one within a pixel but the third, which touches the second.
    let truth = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let prediction = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
    let found = matched(1, &truth, &prediction, 6, 1);
    assert_eq!(found, ContourMatch { true_pixels: 2, true_hits: 2, predicted_pixels: 4, predicted_hits: 3 });
    assert!((found.f_score().unwrap() - 2.0 * 0.75 / 1.75).abs() < 1e-15);
}

#[test]
fn a_class_without_a_contour_on_one_side_scores_nothing_and_on_both_is_not_defined() {
    let (none, some) = (halves(0), halves(3));
    assert_eq!(matched(1, &none, &some, 7, 4).f_score(), Some(0.0));
    assert_eq!(matched(1, &some, &none, 7, 4).f_score(), Some(0.0));
    assert_eq!(matched(1, &none, &none, 7, 4).f_score(), None);
    assert_eq!(matched(1, &halves(7), &halves(7), 7, 4).f_score(), None, "it fills both pictures");
}

#[test]
fn a_predicted_border_on_ignored_pixels_may_be_right_but_is_never_wrong() {
    // Columns 2 to 4 are ignored; the predicted contour is column 4, and column 1 the true one, three pixels away.
    let truth: Vec<u8> =
        (0..21).map(|at| if (2..5).contains(&(at % 7)) { VOID } else { u8::from(at % 7 < 2) }).collect();
    let far = matched(1, &truth, &halves(5), 7, 8);
    assert_eq!((far.precision(), far.recall(), far.f_score()), (None, Some(0.0), Some(0.0)));
    let near = matched(1, &truth, &halves(5), 7, 9);
    assert_eq!((near.precision(), near.recall(), near.f_score()), (Some(1.0), Some(1.0), Some(1.0)));
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    let mut out = [0; 6];
    let refused = |result: Result<(), MetricError>| matches!(result, Err(MetricError::Length { .. }));
    assert!(refused(squared_distances(|_| true, 4, 1, &mut out, &mut [Parabola::default(); 4])));
    assert!(refused(squared_distances(|_| true, 3, 1, &mut out, &mut [Parabola::default(); 2])));
    assert!(refused(squared_distances(|_| true, 0, 1, &mut out, &mut [])));
    assert!(squared_distances(|_| true, 0, 1, &mut [], &mut []).is_ok());
    assert!(refused(contours(&[1_u8, 2, 3], 2, VOID, &mut [0; 3])));
    assert!(refused(contours(&[1_u8, 2], 2, VOID, &mut [0; 3])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn distances_are_those_of_the_naive_definition(
        width in 1_usize..12, height in 1_usize..12, bits in prop::collection::vec(0_u8..10, 144), dense in 1_u8..9,
        limit in prop_oneof![Just(u32::MAX - 1), 0_u32..60],
    ) {
        let marked: Vec<bool> = bits[..width * height].iter().map(|&bit| bit < dense).collect();
        prop_assert_eq!(distances(&marked, width, limit), naive_distances(&marked, width, limit));
    }

    #[test]
    fn contours_and_their_match_are_those_of_the_naive_definition(
        width in 1_usize..10, height in 1_usize..10, limit in 0_u32..12,
        truth in prop::collection::vec(prop_oneof![4 => 0_u8..3, 1 => Just(VOID)], 100),
        prediction in prop::collection::vec(0_u8..3, 100),
    ) {
        let (truth, prediction) = (&truth[..width * height], &prediction[..width * height]);
        prop_assert_eq!(outline(truth, width), naive_outline(truth, width));
        for class in 0..3 {
            let (ours, naive) = (
                matched(class, truth, prediction, width, limit), naive_matched(class, truth, prediction, width, limit),
            );
            prop_assert_eq!(ours, naive);
        }
    }
}
