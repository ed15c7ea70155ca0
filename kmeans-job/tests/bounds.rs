//! Bounds on distances against the distances, and rows that are passed over against the kernel.

use kmeans_job::kernel::{
    assign::{assign, assign_with_bounds},
    bounds::{BoundsMut, Drift},
    distance::squared_distance,
    isa::Isa,
    pack::Packed,
};
use kmeans_job::numeric::{random::uniform, scalar::Scalar};
use mapreduce_core::RowBlock;
use proptest::prelude::*;

/// Labels and bounds of rows.
struct Bounded<T> {
    labels: Vec<u32>,
    upper: Vec<T>,
    lower: Vec<T>,
}

impl<T: Scalar> Bounded<T> {
    fn new(isa: Isa, packed: &Packed<T>, rows: RowBlock<'_, T>) -> Self {
        let n = rows.len();
        let mut bounded = Self { labels: vec![0; n], upper: vec![T::ZERO; n], lower: vec![T::ZERO; n] };
        let bounds = BoundsMut { upper: &mut bounded.upper, lower: &mut bounded.lower };
        assign_with_bounds(isa, packed, rows, &mut bounded.labels, bounds);
        bounded
    }

    fn widen(&mut self, isa: Isa, drift: &Drift) -> Vec<u32> {
        let mut uncertain = vec![7; 3]; // what is left of another call
        let bounds = BoundsMut { upper: &mut self.upper, lower: &mut self.lower };
        drift.widen(isa, &self.labels, bounds, &mut uncertain);
        uncertain
    }

    /// Compares with distances that are as good as exact: in `f64`, by differences.
    fn assert_holds(&self, rows: RowBlock<'_, T>, centroids: &[T], d: usize) {
        let centroids: Vec<f64> = centroids.iter().map(|x| x.to_f64()).collect();
        for (i, row) in rows.into_iter().enumerate() {
            let distance = |c: &[f64]| squared_distance(&row[..d], c).sqrt();
            let slack = |x: f64| x * (1.0 + 1e-13);
            for (c, centroid) in centroids.chunks_exact(d).enumerate() {
                let distance = distance(centroid);
                match c as u32 == self.labels[i] {
                    true => assert!(distance <= slack(self.upper[i].to_f64()), "row {i}: {distance} above"),
                    false => assert!(slack(distance) >= self.lower[i].to_f64(), "row {i}: {distance} below"),
                }
            }
        }
    }
}

/// Labels by the kernel alone.
fn labels<T: Scalar>(isa: Isa, packed: &Packed<T>, rows: RowBlock<'_, T>) -> Vec<u32> {
    let mut labels = vec![0; rows.len()];
    assign(isa, packed, rows, &mut labels, None);
    labels
}

/// Rows and centroids that drift less and less: uniform, or whole numbers with ties everywhere; moved and scaled.
fn assert_no_label_is_missed<T: Scalar>(
    (n, d, k): (usize, usize, usize),
    whole: bool,
    place: (f64, f64),
    seed: u64,
) -> usize {
    let number = |stream, i: usize| {
        let x = 8.0 * uniform(seed, stream, i as u64) - 4.0;
        T::from_f64(place.0 + place.1 * if whole { x.round() } else { x })
    };
    let width = d + usize::from(seed.is_multiple_of(2)); // with a weight behind it, or without
    let values: Vec<T> = (0..n * width).map(|i| number(0, i)).collect();
    let rows = RowBlock { width, values: &values };
    let mut certain = 0;
    for isa in Isa::available() {
        let mut centroids: Vec<T> = (0..k * d).map(|i| number(1, i)).collect();
        let mut packed = Packed::new(&centroids, d);
        let mut bounded = Bounded::new(isa, &packed, rows);
        assert_eq!(bounded.labels, labels(isa, &packed, rows));
        bounded.assert_holds(rows, &centroids, d);
        for round in 0..6 {
            let moves =
                |i: usize| place.1 * (uniform(seed, 2 + round, i as u64) - 0.5) * 0.3_f64.powi(round as i32);
            let moved: Vec<T> =
                centroids.iter().enumerate().map(|(i, x)| T::from_f64(x.to_f64() + moves(i))).collect();
            packed = Packed::new(&moved, d);
            let uncertain = bounded.widen(isa, &Drift::new(&centroids, &moved, &packed));
            centroids = moved;
            bounded.assert_holds(rows, &centroids, d);
            let expected = labels(isa, &packed, rows);
            for i in (0..n).filter(|&i| !uncertain.contains(&(i as u32))) {
                certain += 1;
                assert_eq!(bounded.labels[i], expected[i], "row {i} in round {round} on {isa}");
            }
            bounded.labels = expected;
            // As a round does: bounds are found anew for those alone that are uncertain.
            let fresh = Bounded::new(isa, &packed, rows);
            for i in uncertain.into_iter().map(|i| i as usize) {
                (bounded.upper[i], bounded.lower[i]) = (fresh.upper[i], fresh.lower[i]);
            }
        }
    }
    certain
}

/// Cases, and the most rows, columns and centroids of each: under Miri, which takes ten thousand times as long, few.
const CASES: u32 = if cfg!(miri) { 2 } else { 48 };
const SHAPES: [usize; 3] = if cfg!(miri) { [20, 4, 4] } else { [70, 20, 12] };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn rows_that_bounds_are_sure_of_keep_their_labels(
        shape in (1..SHAPES[0], 1..SHAPES[1], 1..SHAPES[2]),
        whole in any::<bool>(),
        offset in prop_oneof![Just(0.0), -100.0..100.0],
        scale in prop_oneof![Just(1.0), Just(1e-18), Just(1e15)],
        seed in any::<u64>(),
    ) {
        assert_no_label_is_missed::<f32>(shape, whole, (offset * scale, scale), seed);
        assert_no_label_is_missed::<f64>(shape, whole, (offset * scale, scale), seed);
    }
}

#[test]
fn bounds_are_sure_of_most_rows_once_centroids_hardly_move() {
    let n = if cfg!(miri) { 20 } else { 500 };
    for seed in [1, 2] {
        let certain = assert_no_label_is_missed::<f32>((n, 4, 8), false, (0.0, 1.0), seed);
        let asked = 6 * n * Isa::available().len();
        assert!(certain * 2 > asked, "{certain} of {asked}");
    }
}

#[test]
fn what_rounding_makes_of_scores_is_reckoned_with() {
    // On a line bounds are as good as distances. Two centroids come to lie about as far from a row, far from the
    // origin, where scores have few digits left: which is nearer, the kernel may see the other way round.
    let (mut flipped, seeds) = (0, if cfg!(miri) { 50 } else { 5000 });
    for seed in 0..seeds {
        let u = |stream| uniform(seed, stream, 0);
        let (x, distance) = (8.0 + 4.0 * u(0), 0.5 + u(1));
        let before = [x - distance, x + distance + 0.2].map(|c| c as f32);
        let after = [x - distance - 0.1, x + distance + 0.1 + 4e-6 * u(2)].map(|c| c as f32);
        let rows = RowBlock { width: 1, values: &[x as f32] };
        let packed = Packed::new(&after, 1);
        let mut bounded = Bounded::new(Isa::detect(), &Packed::new(&before, 1), rows);
        let expected = labels(Isa::detect(), &packed, rows);
        flipped += u64::from(expected != bounded.labels);
        let uncertain = bounded.widen(Isa::detect(), &Drift::new(&before, &after, &packed));
        assert!(expected == bounded.labels || uncertain == [0], "x = {x} between {after:?}");
    }
    assert!(flipped > seeds / 50, "{flipped} labels are others: too few to show anything");
}

#[test]
fn a_cluster_alone_is_certain_of_all_rows() {
    let (before, after) = ([1.0_f32, 2.0], [-50.0, 2.0]);
    let values = [0.0, 0.0, 9.0, 9.0, 1.0, 2.0];
    let rows = RowBlock { width: 2, values: &values };
    let mut bounded = Bounded::new(Isa::detect(), &Packed::new(&before, 2), rows);
    let drift = Drift::new(&before, &after, &Packed::new(&after, 2));
    assert!(bounded.widen(Isa::detect(), &drift).is_empty());
}

#[test]
fn coinciding_centroids_leave_every_row_in_doubt() {
    let centroids = [1.0_f64, 1.0];
    let rows = RowBlock { width: 1, values: &[0.0, 1.0, 5.0] };
    let packed = Packed::new(&centroids, 1);
    let mut bounded = Bounded::new(Isa::detect(), &packed, rows);
    assert_eq!(bounded.widen(Isa::detect(), &Drift::new(&centroids, &centroids, &packed)), [0, 1, 2]);
}

#[test]
#[should_panic(expected = "bounds for each row")]
fn missing_bounds_are_refused() {
    let packed = Packed::new(&[0.0_f32; 4], 2);
    let rows = RowBlock { width: 2, values: &[0.0; 6] };
    let bounds = BoundsMut { upper: &mut [0.0; 3], lower: &mut [0.0; 2] };
    assign_with_bounds(Isa::detect(), &packed, rows, &mut [0; 3], bounds);
}
