//! The kernels against loops a reader can check by eye: the same bits on every instruction set.

use kmeans_job::kernel::assign::{assign, nearest};
use kmeans_job::kernel::distance::{squared_distance, squared_distances};
use kmeans_job::kernel::isa::Isa;
use kmeans_job::kernel::pack::Packed;
use kmeans_job::numeric::random::uniform;
use kmeans_job::numeric::scalar::Scalar;
use mapreduce_core::RowBlock;
use proptest::prelude::*;

/// What the numbers in a test look like.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    /// Uniform in -1..1: no ties.
    Uniform,
    /// Small integers: ties everywhere, and duplicate centroids.
    Integers,
    /// Magnitudes from 1e-12 to 1e12.
    Spread,
}

fn numbers<T: Scalar>(kind: Numbers, count: usize, seed: u64) -> Vec<T> {
    let number = |i| {
        let u = 2.0 * uniform(seed, 0, i) - 1.0;
        match kind {
            Numbers::Uniform => u,
            Numbers::Integers => (3.0 * u).round(),
            Numbers::Spread => u * 10_f64.powi((uniform(seed, 1, i) * 24.0) as i32 - 12),
        }
    };
    (0..count as u64).map(number).map(T::from_f64).collect()
}

/// Label and score of each row: the definition, with no packing and no tiles.
fn naive<T: Scalar>(centroids: &[T], rows: &[T], d: usize) -> (Vec<u32>, Vec<T>) {
    let best = rows.chunks_exact(d).map(|row| {
        let mut best = (0, T::INFINITY);
        for (c, centroid) in centroids.chunks_exact(d).enumerate() {
            let norm = centroid.iter().fold(T::ZERO, |sum, &x| x.mul_add(x, sum));
            let score = centroid.iter().zip(row).fold(norm, |sum, (c, &x)| c.minus_twice().mul_add(x, sum));
            if score < best.1 {
                best = (c as u32, score);
            }
        }
        best
    });
    best.unzip()
}

fn bits<T: Scalar>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

fn assert_every_isa_agrees<T: Scalar>(centroids: &[T], rows: &[T], d: usize) {
    let (expected_labels, expected_scores) = naive(centroids, rows, d);
    let packed = Packed::new(centroids, d);
    for isa in Isa::available() {
        let n = rows.len() / d;
        let (mut labels, mut scores) = (vec![u32::MAX; n], vec![T::ZERO; n]);
        assign(isa, &packed, RowBlock { width: d, values: rows }, &mut labels, Some(&mut scores));
        assert_eq!(labels, expected_labels, "labels on {isa}");
        assert_eq!(bits(&scores), bits(&expected_scores), "scores on {isa}");
        labels.fill(u32::MAX);
        assign(isa, &packed, RowBlock { width: d, values: rows }, &mut labels, None);
        assert_eq!(labels, expected_labels, "labels without scores on {isa}");
        // With a weight behind each row, which is of no account.
        let wide: Vec<T> = rows.chunks_exact(d).flat_map(|row| row.iter().copied().chain([T::MAX])).collect();
        labels.fill(u32::MAX);
        assign(isa, &packed, RowBlock { width: d + 1, values: &wide }, &mut labels, Some(&mut scores));
        assert_eq!(labels, expected_labels, "labels of wider rows on {isa}");
        assert_eq!(bits(&scores), bits(&expected_scores), "scores of wider rows on {isa}");
    }
    for ((row, label), score) in rows.chunks_exact(d).zip(expected_labels).zip(expected_scores) {
        let (one_label, one_score) = nearest(&packed, row);
        assert_eq!((one_label, bits(&[one_score])), (label, bits(&[score])), "one row");
    }
}

fn any_numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(Numbers::Uniform), Just(Numbers::Integers), Just(Numbers::Spread)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_instruction_set_gives_the_labels_and_scores_of_the_naive_loop(
        (n, k, d, kind, seed) in (0..140_usize, 1..70_usize, 1..=40_usize, any_numbers(), any::<u64>())
    ) {
        assert_every_isa_agrees::<f32>(&numbers(kind, k * d, seed), &numbers(kind, n * d, seed ^ 1), d);
        assert_every_isa_agrees::<f64>(&numbers(kind, k * d, seed), &numbers(kind, n * d, seed ^ 1), d);
    }

    #[test]
    fn distances_of_rows_to_their_own_centroids_have_the_bits_of_one_distance(
        (n, k, d, kind, seed) in (0..60_usize, 1..9_usize, 1..=20_usize, any_numbers(), any::<u64>())
    ) {
        let rows: Vec<f32> = numbers(kind, n * d, seed);
        let centroids: Vec<f64> = numbers(kind, k * d, seed ^ 1);
        let labels: Vec<u32> = (0..n).map(|i| (i * 7 % k) as u32).collect();
        let expected: Vec<f64> = rows
            .chunks_exact(d)
            .zip(&labels)
            .map(|(row, &label)| squared_distance(row, &centroids[label as usize * d..][..d]))
            .collect();
        for isa in Isa::available() {
            let mut distances = vec![-1.0; n];
            squared_distances(isa, RowBlock { width: d, values: &rows }, d, &labels, &centroids, &mut distances);
            prop_assert_eq!(bits(&distances), bits(&expected), "on {}", isa);
        }
    }
}

#[test]
fn shapes_around_the_edges_of_tiles_and_groups_agree() {
    for n in [0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 47, 48, 49, 96] {
        for k in [1, 3, 4, 5, 8, 33] {
            for d in [1, 2, 3, 4, 5, 9] {
                let kind = Numbers::Uniform;
                assert_every_isa_agrees::<f32>(&numbers(kind, k * d, 1), &numbers(kind, n * d, 2), d);
                assert_every_isa_agrees::<f64>(&numbers(kind, k * d, 1), &numbers(kind, n * d, 2), d);
            }
        }
    }
}

#[test]
fn the_lowest_of_many_equal_centroids_wins() {
    let (k, d) = (37, 3);
    let mut centroids = vec![5.0_f32; k * d];
    // Nearer, and there three times: in the middle of a group, at its end, and in the last, incomplete group.
    for c in [6, 7, 36] {
        centroids[c * d..][..d].fill(1.0);
    }
    let rows = vec![0.5_f32; 50 * d];
    for isa in Isa::available() {
        let mut labels = vec![0; 50];
        assign(isa, &Packed::new(&centroids, d), RowBlock { width: d, values: &rows }, &mut labels, None);
        assert_eq!(labels, [6; 50], "on {isa}");
    }
}

#[test]
fn rows_that_are_not_finite_or_overflow_are_labelled_alike_everywhere() {
    let centroids: Vec<f32> = numbers(Numbers::Uniform, 9 * 2, 1);
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE / 8.0, -0.0, 1.0];
    let rows: Vec<f32> = odd.iter().flat_map(|&a| odd.iter().flat_map(move |&b| [a, b])).collect();
    assert_every_isa_agrees(&centroids, &rows, 2);
    let huge: Vec<f32> = centroids.iter().map(|x| x * 3e38).collect();
    assert_every_isa_agrees(&huge, &rows, 2);
}

#[test]
fn the_fastest_instruction_set_is_the_last_available() {
    assert_eq!(Isa::available().last(), Some(&Isa::detect()));
    assert_eq!(Isa::available()[0].to_string(), "portable");
}

#[test]
fn a_packed_set_knows_its_shape() {
    let packed = Packed::new(&[0.0_f64; 15], 3);
    assert_eq!((packed.k(), packed.d()), (5, 3));
}

#[test]
fn the_distance_of_identical_points_is_exactly_zero() {
    let row: Vec<f32> = numbers(Numbers::Spread, 31, 5);
    let point: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
    assert_eq!(squared_distance(&row, &point).to_bits(), 0);
}

#[test]
#[should_panic(expected = "one label for each row")]
fn a_missing_label_is_refused() {
    assign(
        Isa::detect(),
        &Packed::new(&[0.0_f32; 4], 2),
        RowBlock { width: 2, values: &[0.0; 6] },
        &mut [0; 2],
        None,
    );
}

#[test]
#[should_panic(expected = "one score for each row")]
fn a_missing_score_is_refused() {
    assign(
        Isa::detect(),
        &Packed::new(&[0.0_f32; 4], 2),
        RowBlock { width: 2, values: &[0.0; 6] },
        &mut [0; 3],
        Some(&mut [0.0; 2]),
    );
}
