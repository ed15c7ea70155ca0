//! Fixed-point sums: the same integers for any order and partition, and the right ones.

use kmeans_job::kernel::distance::squared_distance;
use kmeans_job::kernel::isa::Isa;
use kmeans_job::numeric::cost::cost_from_sums;
use kmeans_job::numeric::exact::ExactSum;
use kmeans_job::numeric::grid::{Grid, accumulate};
use kmeans_job::numeric::random::{bits, uniform};
use kmeans_job::numeric::scalar::Scalar;
use mapreduce_core::RowBlock;
use proptest::prelude::*;

/// `x * 2^exponent` rounded to an integer, ties to even, by shifting the mantissa.
fn round_by_hand(x: f64, exponent: i32) -> i128 {
    let raw = x.to_bits();
    let biased = ((raw >> 52) & 0x7ff) as i32;
    let fraction = (raw & ((1 << 52) - 1)) as i128;
    let (mantissa, shift) = if biased == 0 {
        (fraction, exponent - 1074)
    } else {
        (fraction + (1 << 52), exponent + biased - 1075)
    };
    let magnitude = if shift >= 0 {
        mantissa << shift
    } else if shift < -60 {
        0
    } else {
        let (kept, rest, half) = (mantissa >> -shift, mantissa & ((1 << -shift) - 1), 1 << (-shift - 1));
        kept + i128::from(rest > half || (rest == half && kept & 1 == 1))
    };
    if x < 0.0 { -magnitude } else { magnitude }
}

/// Rows without weights.
fn block<'a, T: Scalar>(values: &'a [T], grid: &Grid<T>) -> RowBlock<'a, T> {
    RowBlock { width: grid.columns(), values }
}

struct Data<T> {
    d: usize,
    k: usize,
    rows: Vec<T>,
    labels: Vec<u32>,
}

impl<T: Scalar> Data<T> {
    fn random(n: usize, d: usize, k: usize, seed: u64) -> Self {
        // Columns of very different magnitudes, and within a column from all of it down to a billionth.
        let value = |i: u64| {
            let column = i % d as u64;
            let magnitude = 10_f64.powi((bits(seed, 2, column) % 30) as i32 - 15);
            (2.0 * uniform(seed, 0, i) - 1.0).powi((bits(seed, 3, i) % 4) as i32 * 2 + 1) * magnitude
        };
        Data {
            d,
            k,
            rows: (0..(n * d) as u64).map(|i| T::from_f64(value(i))).collect(),
            labels: (0..n as u64).map(|i| (bits(seed, 1, i) % k as u64) as u32).collect(),
        }
    }

    fn grid(&self) -> Grid<T> {
        let mut max_abs = vec![0.0_f64; self.d];
        for row in self.rows.chunks_exact(self.d) {
            for (max, x) in max_abs.iter_mut().zip(row) {
                *max = max.max(x.to_f64().abs());
            }
        }
        Grid::new(&max_abs, self.labels.len() as u64)
    }

    fn sums(&self, isa: Isa, grid: &Grid<T>, order: &[usize]) -> (Vec<T::Sum>, Vec<i64>) {
        let rows: Vec<T> = order.iter().flat_map(|&i| &self.rows[i * self.d..][..self.d]).copied().collect();
        let labels: Vec<u32> = order.iter().map(|&i| self.labels[i]).collect();
        let (mut sums, mut counts) = (vec![T::Sum::default(); self.k * self.d], vec![0; self.k]);
        accumulate(isa, RowBlock { width: self.d, values: &rows }, &labels, grid, &mut sums, &mut counts);
        (sums, counts)
    }
}

fn assert_any_partition_in_any_order_agrees<T: Scalar>(data: &Data<T>, seed: u64) {
    let grid = data.grid();
    let n = data.labels.len();
    let expected = data.sums(Isa::PORTABLE, &grid, &(0..n).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| bits(seed, 9, i as u64));
    for isa in Isa::available() {
        let (mut sums, mut counts) = (vec![T::Sum::default(); data.k * data.d], vec![0; data.k]);
        let mut rest = &order[..];
        while !rest.is_empty() {
            let cut = 1 + (bits(seed, 8, rest.len() as u64) % rest.len() as u64) as usize;
            let (part_sums, part_counts) = data.sums(isa, &grid, &rest[..cut]);
            sums.iter_mut().zip(part_sums).for_each(|(sum, part)| *sum += part);
            counts.iter_mut().zip(part_counts).for_each(|(count, part)| *count += part);
            rest = &rest[cut..];
        }
        assert_eq!((&sums, &counts), (&expected.0, &expected.1), "on {isa}");
    }
}

fn assert_elements_are_rounded_to_even<T: Scalar>(data: &Data<T>, widen: impl Fn(T::Sum) -> i128) {
    let grid = data.grid();
    for (i, &x) in data.rows.iter().enumerate() {
        let scale = grid.scale(i % data.d);
        let exponent = ((scale.to_bits() >> 52) & 0x7ff) as i32 - 1023;
        assert_eq!(widen(x.quantize(scale)), round_by_hand(x.to_f64(), exponent), "{x:?} * 2^{exponent}");
    }
}

/// Cases, and the most rows, columns and clusters of each: under Miri, which takes ten thousand times as long, few.
const CASES: u32 = if cfg!(miri) { 2 } else { 64 };
const SHAPES: [usize; 3] = if cfg!(miri) { [20, 5, 4] } else { [120, 24, 9] };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_partition_in_any_order_on_any_instruction_set_gives_the_same_integers(
        (n, d, k, seed) in (1..SHAPES[0], 1..=SHAPES[1], 1..SHAPES[2], any::<u64>())
    ) {
        assert_any_partition_in_any_order_agrees(&Data::<f32>::random(n, d, k, seed), seed);
        assert_any_partition_in_any_order_agrees(&Data::<f64>::random(n, d, k, seed), seed);
    }

    #[test]
    fn an_element_is_rounded_once_to_the_nearest_grid_point(
        (n, d, seed) in (1..SHAPES[0] / 2, 1..=6_usize, any::<u64>())
    ) {
        assert_elements_are_rounded_to_even(&Data::<f32>::random(n, d, 1, seed), i128::from);
        assert_elements_are_rounded_to_even(&Data::<f64>::random(n, d, 1, seed), |sum| sum);
    }

    #[test]
    fn the_largest_sum_fits(max in any::<f32>().prop_map(f32::abs), log_n in 0..60_u32) {
        prop_assume!(max.is_finite());
        let n = (1_u64 << log_n) + u64::from(log_n);
        let grid = Grid::<f32>::new(&[f64::from(max)], n);
        let sum = i128::from(max.quantize(grid.scale(0))) * i128::from(n);
        prop_assert!(sum <= 1 << 62);
    }

    #[test]
    fn the_cost_from_sums_is_the_sum_of_squared_distances(
        (n, d, k, seed) in (1..SHAPES[0] * 2 / 3, 1..=8_usize, 1..6_usize, any::<u64>())
    ) {
        let data = Data::<f64>::random(n, d, k, seed);
        let grid = data.grid();
        let (sums, counts) = data.sums(Isa::detect(), &grid, &(0..n).collect::<Vec<_>>());
        let centroids: Vec<f64> = (0..k * d)
            .map(|i| if counts[i / d] == 0 { f64::NAN } else { grid.mean(sums[i], counts[i / d], i % d) })
            .collect();
        let cost = cost_from_sums(&squares(&data.rows), &sums, &counts, &grid, &centroids);
        let direct: ExactSum = data.rows.chunks_exact(d).zip(&data.labels)
            .map(|(row, &label)| squared_distance(row, &centroids[label as usize * d..][..d]))
            .collect();
        let scale = squares(&data.rows).value();
        prop_assert!((cost - direct.value()).abs() <= 1e-14 * direct.value() + 1e-17 * scale,
            "{} is not {}", cost, direct.value());
    }
}

fn squares<T: Scalar>(rows: &[T]) -> ExactSum {
    let mut sum = ExactSum::new();
    rows.iter().for_each(|&x| sum.add_square(x));
    sum
}

#[test]
fn the_mean_of_integers_is_exact() {
    let rows: Vec<f32> = (0..3000).map(|i| (i % 1000) as f32 - 499.0).collect();
    let grid = Grid::new(&[500.0], 3000);
    let (mut sums, mut counts) = ([0], [0]);
    accumulate(Isa::detect(), block(&rows, &grid), &[0; 3000], &grid, &mut sums, &mut counts);
    assert_eq!(grid.mean(sums[0], counts[0], 0), 0.5);
}

fn assert_one_row_is_its_own_mean<T: Scalar>(values: &[T]) {
    let max_abs: Vec<f64> = values.iter().map(|x| x.to_f64().abs()).collect();
    let grid = Grid::new(&max_abs, 1);
    for isa in Isa::available() {
        let (mut sums, mut counts) = (vec![T::Sum::default(); values.len()], [0]);
        accumulate(isa, block(values, &grid), &[0], &grid, &mut sums, &mut counts);
        for (j, (&sum, x)) in sums.iter().zip(values).enumerate() {
            assert!(grid.scale(j).is_normal() && grid.unit(j) > 0.0);
            assert_eq!(grid.mean(sum, 1, j), x.to_f64(), "on {isa}");
        }
    }
}

#[test]
fn zero_tiny_and_huge_columns_survive() {
    assert_one_row_is_its_own_mean(&[
        0.0_f32,
        f32::from_bits(1),
        f32::MIN_POSITIVE,
        -1.0,
        0.1,
        f32::MAX,
        f32::MIN,
    ]);
    assert_one_row_is_its_own_mean(&[0.0_f64, 1e-280, -1.0, 0.1, 1e300, f64::MAX, f64::MIN]);
}

#[test]
fn columns_below_the_smallest_scale_lose_bits_but_nothing_else() {
    let tiny = f64::from_bits(1);
    let grid = Grid::<f64>::new(&[tiny, f64::MIN_POSITIVE], 1);
    assert_eq!(grid.scale(0).to_bits(), 0x7fe << 52); // 2^1023
    assert_eq!(tiny.quantize(grid.scale(0)), 0);
    assert_eq!(grid.mean(f64::MIN_POSITIVE.quantize(grid.scale(1)), 1, 1), f64::MIN_POSITIVE);
}

#[test]
fn magnitudes_that_are_not_finite_count_as_the_largest() {
    let largest = Grid::<f32>::new(&[f64::MAX], 1);
    assert_eq!(Grid::new(&[f64::INFINITY], 1), largest);
    assert_eq!(Grid::new(&[f64::NAN], 1), largest);
}

#[test]
fn a_mean_of_nothing_is_not_a_number() {
    assert!(Grid::<f32>::new(&[1.0], 1).mean(0, 0, 0).is_nan());
}

#[test]
fn a_grid_survives_serialization() {
    let grid = Grid::<f32>::new(&[0.0, 1.0, 1e-30, 1e30], 1000);
    let text = serde_json::to_string(&grid).unwrap();
    assert_eq!(serde_json::from_str::<Grid<f32>>(&text).unwrap(), grid);
    // Exponents no grid has are brought into range rather than trusted.
    let hostile: Grid<f64> = serde_json::from_str(r#"{"columns": [32767, -32768], "weight": 255}"#).unwrap();
    assert!(hostile.scale(0).is_normal() && hostile.scale(1).is_normal());
}

#[test]
#[should_panic(expected = "one label for each row")]
fn rows_without_labels_are_refused() {
    let grid = Grid::<f32>::new(&[1.0, 1.0], 2);
    accumulate(Isa::detect(), block(&[0.0; 4], &grid), &[0], &grid, &mut [0; 2], &mut [0]);
}

#[test]
fn tight_clusters_far_from_the_origin_do_not_cancel() {
    // Two clusters at +-1000, each of width 1e-3: the terms of the cost are 1e10 times the cost.
    let n = 10_000;
    let rows: Vec<f32> =
        (0..n).map(|i| if i % 2 == 0 { 1000.0 } else { -1000.0 } + 1e-3 * uniform(1, 1, i) as f32).collect();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
    let grid = Grid::new(&[1001.0], n);
    let (mut sums, mut counts) = ([0; 2], [0; 2]);
    accumulate(Isa::detect(), block(&rows, &grid), &labels, &grid, &mut sums, &mut counts);
    let centroids = [grid.mean(sums[0], counts[0], 0), grid.mean(sums[1], counts[1], 0)];
    let cost = cost_from_sums(&squares(&rows), &sums, &counts, &grid, &centroids);
    let direct: f64 =
        rows.iter().zip(&labels).map(|(&x, &l)| squared_distance(&[x], &centroids[l as usize..][..1])).sum();
    assert!((cost / direct - 1.0).abs() < 1e-3, "{cost} is not {direct}");
}

#[test]
fn the_cost_of_rows_on_their_centroids_is_zero_and_never_below() {
    let rows = [0.1_f32, 0.7, 0.1, 0.7];
    let grid = Grid::new(&[0.1, 0.7], 2);
    let (mut sums, mut counts) = ([0; 2], [0]);
    accumulate(Isa::detect(), block(&rows, &grid), &[0, 0], &grid, &mut sums, &mut counts);
    let centroids = [f64::from(0.1_f32), f64::from(0.7_f32)];
    assert_eq!(cost_from_sums(&squares(&rows), &sums, &counts, &grid, &centroids), 0.0);
    // Squares that do not belong to the sums would make it negative.
    assert_eq!(cost_from_sums(&ExactSum::new(), &sums, &counts, &grid, &centroids).to_bits(), 0);
}

#[test]
fn the_cost_of_integers_is_exact() {
    let rows: Vec<f32> = (0..400).map(|i| (bits(4, 4, i) % 511) as f32 - 255.0).collect();
    let labels: Vec<u32> = (0..200).map(|i| i % 3).collect();
    let centroids = [3.0, -4.0, 100.0, 7.0, -250.0, 0.0];
    let grid = Grid::new(&[255.0; 2], 200);
    let (mut sums, mut counts) = ([0; 6], [0; 3]);
    accumulate(Isa::detect(), block(&rows, &grid), &labels, &grid, &mut sums, &mut counts);
    let expected: i64 = (0..400)
        .map(|i| (rows[i] as i64 - centroids[labels[i / 2] as usize * 2 + i % 2] as i64).pow(2))
        .sum();
    assert_eq!(cost_from_sums(&squares(&rows), &sums, &counts, &grid, &centroids), expected as f64);
}

proptest! {
    #[test]
    fn the_mean_of_equal_elements_is_the_element(x in -1e6_f64..1e6, count in 1_u64..1 << 40) {
        let grid = Grid::<f64>::new(&[1e6], count);
        let sum = x.quantize(grid.scale(0)) * i128::from(count);
        // The grid keeps all bits of an element that is not tiny beside the largest.
        prop_assume!(x.abs() > 1e3);
        prop_assert_eq!(grid.mean(sum, count as i64, 0), x);
    }

    #[test]
    fn a_mean_is_rounded_once(sum in (1_i128 << 90)..(1 << 110), count in 1_u64..1 << 20) {
        // A column of magnitude 2^62 has a grid of width 1: the mean is in units of the sum.
        let grid = Grid::<f64>::new(&[(1_u64 << 62) as f64], count);
        prop_assert_eq!(grid.unit(0), 1.0);
        let mean = grid.mean(sum, count as i64, 0);
        // So large a mean is an integer, and so are its neighbours.
        let off = |mean: f64| (sum - mean as i128 * i128::from(count)).unsigned_abs();
        prop_assert!(off(mean) <= off(mean.next_up()) && off(mean) <= off(mean.next_down()));
        prop_assert_eq!(grid.mean(-sum, count as i64, 0), -mean);
    }
}
