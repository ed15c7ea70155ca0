//! Centroids that boxes rule out against the kernel.

use kmeans_job::{
    kernel::{
        assign::assign,
        boxes::{Boxes, RivalLists, Rivals},
        isa::Isa,
        pack::Packed,
    },
    numeric::{random::uniform, scalar::Scalar},
};
use mapreduce_core::RowBlock;
use proptest::prelude::*;

/// Boxes around rows that are near each other: uniform, or whole numbers with ties everywhere; moved and scaled. Returns the
/// number of centroids that were ruled out.
fn assert_no_nearest_is_ruled_out<T: Scalar>(
    (boxes, d, k): (usize, usize, usize),
    whole: bool,
    place: (f64, f64),
    seed: u64,
) -> usize {
    let number = |stream, i: usize, size: f64| {
        let x = size * (2.0 * uniform(seed, stream, i as u64) - 1.0);
        if whole { x.round() } else { x }
    };
    let placed = |x: f64| T::from_f64(place.0 + place.1 * x);
    let centroids: Vec<T> = (0..k * d).map(|i| placed(number(0, i, 5.0))).collect();
    let width = d + usize::from(seed.is_multiple_of(2)); // with a weight behind it, or without
    let row = |of_box: usize, i: usize, j: usize| {
        placed(number(1, of_box * d + j % d, 5.0) + number(2, (of_box * ROWS + i) * width + j, 1.0))
    };
    let values: Vec<Vec<T>> = (0..boxes)
        .map(|b| (0..ROWS).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| row(b, i, j)).collect())
        .collect();
    let mut around = Boxes::new(d);
    values.iter().for_each(|values| around.push(RowBlock { width, values }));
    assert_eq!(around.len(), boxes);
    let packed = Packed::new(&centroids, d);
    let (rivals, mut lists) = (Rivals::new(&packed), RivalLists::default());
    let (mut out, mut first) = (0, None);
    for isa in Isa::available() {
        rivals.find(isa, &packed, &around, 0..boxes, &mut lists);
        let lists: Vec<Vec<u32>> = lists.iter().map(<[u32]>::to_vec).collect();
        assert_eq!(lists.len(), boxes);
        for (list, values) in lists.iter().zip(&values) {
            let mut labels = vec![0; ROWS];
            assign(isa, &packed, RowBlock { width, values }, &mut labels, None);
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?} ascends");
            assert!(list.iter().all(|&c| (c as usize) < k), "{list:?} of {k} centroids");
            for label in labels {
                assert!(
                    list.contains(&label),
                    "{label} is the nearest of a row, but not among {list:?} on {isa}"
                );
            }
            out += k - list.len();
        }
        assert_eq!(*first.get_or_insert(lists.clone()), lists, "the same on every instruction set");
    }
    out
}

/// Cases, the most boxes, columns and centroids of each, and the rows of a box: under Miri, which takes ten thousand times as
/// long, few.
const CASES: u32 = if cfg!(miri) { 2 } else { 64 };
const SHAPES: [usize; 3] = if cfg!(miri) { [3, 5, 9] } else { [20, 9, 40] };
const ROWS: usize = if cfg!(miri) { 10 } else { 50 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn no_centroid_that_is_nearest_to_a_row_is_ruled_out(
        shape in (1..SHAPES[0], 1..SHAPES[1], 1..SHAPES[2]),
        whole in any::<bool>(),
        offset in prop_oneof![Just(0.0), -100.0..100.0],
        scale in prop_oneof![Just(1.0), Just(1e-18), Just(1e15), Just(1e19)],
        seed in any::<u64>(),
    ) {
        assert_no_nearest_is_ruled_out::<f32>(shape, whole, (offset * scale, scale), seed);
        assert_no_nearest_is_ruled_out::<f64>(shape, whole, (offset * scale, scale), seed);
    }
}

#[test]
fn most_centroids_are_ruled_out_where_boxes_are_small() {
    let boxes = if cfg!(miri) { 3 } else { 30 };
    let out = assert_no_nearest_is_ruled_out::<f32>((boxes, 2, 64), false, (0.0, 1.0), 3);
    let tried = boxes * 64 * Isa::available().len();
    assert!(out * 2 > tried, "{out} of {tried}");
}

#[test]
fn where_scores_overflow_no_centroid_is_ruled_out() {
    // Norms that overflow; and such that do not, but for scores with them.
    for (centroids, rows) in
        [(&[1e30_f32, -1e30, f32::MAX, 0.0][..], [-1e30, 1e30]), (&[-1.7e19, -0.9e19], [0.2e19, 2.1e19])]
    {
        let packed = Packed::new(centroids, 1);
        let (mut boxes, mut lists) = (Boxes::new(1), RivalLists::default());
        let rows = RowBlock { width: 1, values: &rows };
        boxes.push(rows);
        for isa in Isa::available() {
            Rivals::new(&packed).find(isa, &packed, &boxes, 0..1, &mut lists);
            let mut labels = [0; 2];
            assign(isa, &packed, rows, &mut labels, None);
            let list = lists.iter().next().unwrap();
            assert!(labels.iter().all(|label| list.contains(label)), "{labels:?} among {list:?} on {isa}");
        }
    }
}
