//! Rows that are near those that follow them: [`are_near`] finds out whether they come so, [`arrange`] puts them into such an
//! order. Lloyd's iterations then look at runs of them rather than at each (see [`Lloyd`](crate::jobs::lloyd::Lloyd)): sums do
//! not depend on the order.
//!
//! To arrange them, space is cut into cells, and the cells are put into Morton's order ("A computer oriented geodetic data base", IBM, 1966):
//! again and again the widest side is halved, where half of a sample of the rows lies on either side. Rows go to their cells
//! by counting.

use crate::{data::Matrix, numeric::scalar::Scalar};
use mapreduce_core::rayon::{self, prelude::*};

/// In more dimensions a cell has more neighbours than there are centroids to pass over.
const COLUMNS_MAX: usize = 8;
/// Fewer rows are clustered in no time as they are.
const ROWS_MIN: usize = 1 << 15;
/// Fewer centroids are all tried in no more time than it takes to find out which need not be.
const K_MIN: usize = 32;
/// Arranging a row takes as long as this many multiply-adds of the assignment kernel, at the most.
const MULTIPLY_ADDS_MIN: usize = 4000;
/// Rows of a cell, on the average.
const CELL: usize = 16;
/// Beyond, rows would go to more places than the cache that cores share has lines: 16 MiB.
const CELL_BITS_MAX: u32 = 18;
/// Rows that a thread goes through between two looks at whether somebody asks for an end.
const BETWEEN_STOPS: usize = 1 << 16;
/// Rows that are looked at together for those that go to the cells of a thread.
const TOGETHER: usize = 1 << 10;
/// Rows that are looked at to see how rows are spread.
const SAMPLE: usize = 1 << 12;
/// Steps into which the range of a column is divided to look up the side of a cell.
const STEPS: usize = 1 << 11;

/// Of rows as they are, runs of so many are looked at,
const RUNS: usize = 64;
/// each of so many rows.
const RUN: usize = 96;
/// Fewer centroids are all tried in no more time than it takes to find out which need not be.
const K_OF_RUNS_MIN: usize = 3;
/// How much of the variance of all may be within the runs. What boxes around them rule out is seen as soon as there are some.
const WITHIN_MAX: f64 = 0.5;

/// Whether the rows as they are, of which `d` columns are coordinates, are near those that follow them, so that this saves
/// time in `iterations` with `k` centroids: rows of files that are ordered by class, by time or by place.
pub(crate) fn are_near<T: Scalar>(rows: &Matrix<T>, d: usize, k: usize, iterations: u32) -> bool {
    let n = rows.rows();
    // Boxes are made in a second iteration.
    if n < ROWS_MIN || k < K_OF_RUNS_MIN || iterations < 3 {
        return false;
    }
    let width = rows.d();
    let runs = (0..RUNS).map(|run| &rows.values()[run * (n - RUN) / (RUNS - 1) * width..][..RUN * width]);
    let (mut all, mut within) = (0.0, 0.0);
    for j in 0..d {
        let columns: Vec<Vec<f64>> =
            runs.clone().map(|run| run.iter().skip(j).step_by(width).map(|x| x.to_f64()).collect()).collect();
        all += deviation(&columns.concat()).powi(2);
        within += columns.iter().map(|run| deviation(run).powi(2)).sum::<f64>() / RUNS as f64;
    }
    within < all * WITHIN_MAX
}

/// The rows, of which `d` columns are coordinates, arranged by cells; in a cell they keep their order. Nothing if that takes
/// longer than it saves in `iterations` with `k` centroids, or more bytes than there is room for, or `stop` asks for an end.
pub(crate) fn arrange<T: Scalar>(
    rows: &Matrix<T>,
    d: usize,
    k: usize,
    iterations: u32,
    room: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Matrix<T>> {
    let n = rows.rows();
    let work = k.saturating_mul(d).saturating_mul(iterations as usize);
    let is_too_large = size_of_val(rows.values()) as u64 > room;
    if d > COLUMNS_MAX || n < ROWS_MIN || k < K_MIN || work < MULTIPLY_ADDS_MIN || is_too_large {
        return None;
    }
    let width = rows.d();
    let (cells, mut codes) = (Cells::of(rows, d), vec![0; n]);
    let at_once = BETWEEN_STOPS * rayon::current_num_threads();
    for (codes, values) in codes.chunks_mut(at_once).zip(rows.values().chunks(at_once * width)) {
        let parts = codes.par_chunks_mut(TOGETHER).zip(values.par_chunks(TOGETHER * width));
        parts.for_each(|(codes, values)| {
            let each = codes.iter_mut().zip(values.chunks_exact(width));
            each.for_each(|(code, row)| *code = cells.code(row));
        });
        if stop() {
            return None;
        }
    }
    let mut places = vec![0_usize; cells.len()];
    codes.iter().for_each(|&code| places[code as usize] += 1);
    let mut arranged = Matrix::zeros(n, width)?;
    let shares = share(&mut places, arranged.values_mut(), n, width);
    shares.into_par_iter().for_each(|share| share.fill(rows, &codes));
    Some(arranged)
}

/// The cells that a thread fills, which are consecutive.
struct Share<'a, T> {
    first: u32,
    /// Of each cell, where its next row goes.
    places: &'a mut [usize],
    arranged: &'a mut [T],
}

/// Shares of about as many rows for each thread, for which the numbers of rows of the cells become their places.
fn share<'a, T>(
    mut cells: &'a mut [usize],
    mut arranged: &'a mut [T],
    n: usize,
    width: usize,
) -> Vec<Share<'a, T>> {
    let (parts, mut shares, mut first) = (rayon::current_num_threads(), Vec::new(), 0);
    while !cells.is_empty() {
        let (mut of_share, mut rows) = (0, 0);
        while of_share < cells.len() && rows < n.div_ceil(parts) {
            let place = rows;
            rows += std::mem::replace(&mut cells[of_share], place);
            of_share += 1;
        }
        let (places, values);
        (places, cells) = cells.split_at_mut(of_share);
        (values, arranged) = arranged.split_at_mut(rows * width);
        shares.push(Share { first, places, arranged: values });
        first += of_share as u32;
    }
    shares
}

impl<T: Scalar> Share<'_, T> {
    /// Copies those rows that have the codes of these cells.
    fn fill(self, rows: &Matrix<T>, codes: &[u32]) {
        let Self { first, places, arranged } = self;
        let width = rows.d();
        let mut own = [0_u16; TOGETHER];
        for (codes, values) in codes.chunks(TOGETHER).zip(rows.values().chunks(TOGETHER * width)) {
            // Without a branch on what cannot be foreseen.
            let mut found = 0;
            for (i, code) in codes.iter().enumerate() {
                own[found] = i as u16;
                found += usize::from((code.wrapping_sub(first) as usize) < places.len());
            }
            for &i in &own[..found] {
                let i = usize::from(i);
                let place = &mut places[(codes[i] - first) as usize];
                let (to, row) = (&mut arranged[*place * width..][..width], &values[i * width..][..width]);
                to.iter_mut().zip(row).for_each(|(to, &x)| *to = x);
                *place += 1;
            }
        }
    }
}

/// A division of space.
struct Cells {
    bits: u32,
    columns: Vec<Column>,
}

/// What a column has to say about the cell of a row.
struct Column {
    low: f64,
    steps_per_unit: f64,
    /// For each step from `low` on, the bits of the code that this column decides.
    bits: Vec<u32>,
}

impl Cells {
    fn of<T: Scalar>(rows: &Matrix<T>, d: usize) -> Self {
        let (n, width) = (rows.rows(), rows.d());
        let mut sample: Vec<Vec<f64>> = (0..d)
            .map(|j| (0..SAMPLE).map(|i| rows.values()[i * n / SAMPLE * width + j].to_f64()).collect())
            .collect();
        sample.iter_mut().for_each(|column| column.sort_unstable_by(f64::total_cmp));
        let bits = (n / CELL).ilog2().clamp(1, CELL_BITS_MAX);
        // Which column each bit of a code is of, the highest first.
        let mut widths: Vec<f64> = sample.iter().map(|column| deviation(column)).collect();
        let deciding: Vec<usize> = (0..bits)
            .map(|_| {
                let widest = (0..d).reduce(|a, b| if widths[b] > widths[a] { b } else { a }).unwrap_or(0);
                widths[widest] /= 2.0;
                widest
            })
            .collect();
        let columns = sample.iter().enumerate().map(|(j, column)| Column::of(column, j, &deciding)).collect();
        Self { bits, columns }
    }

    fn len(&self) -> usize {
        1 << self.bits
    }

    fn code<T: Scalar>(&self, row: &[T]) -> u32 {
        row.iter()
            .zip(&self.columns)
            .map(|(x, column)| column.bits(x.to_f64()))
            .fold(0, |code, bits| code | bits)
    }
}

impl Column {
    /// A column that decides the bits for which `deciding` names it, with the values of the sample in ascending order.
    fn of(sample: &[f64], index: usize, deciding: &[usize]) -> Self {
        let (low, high) = (sample[0], sample[sample.len() - 1]);
        let own: Vec<usize> = (0..deciding.len()).rev().filter(|&bit| deciding[bit] == index).collect();
        let per_step = (high - low) / STEPS as f64;
        let bits = (0..STEPS).map(|step| {
            // The part of the sample that is below, in halves, quarters, ...
            let below = sample.partition_point(|&x| x < low + step as f64 * per_step);
            let side = (below << own.len()) / (sample.len() + 1);
            let spread = own.iter().enumerate().map(|(i, bit)| (side >> i & 1) << (deciding.len() - 1 - bit));
            spread.sum::<usize>() as u32
        });
        let bits = bits.collect();
        Self { low, steps_per_unit: if per_step > 0.0 { 1.0 / per_step } else { 0.0 }, bits }
    }

    fn bits(&self, x: f64) -> u32 {
        self.bits[(((x - self.low) * self.steps_per_unit) as u32 as usize).min(STEPS - 1)]
    }
}

/// How far a sample is spread.
fn deviation(sample: &[f64]) -> f64 {
    let mean = sample.iter().sum::<f64>() / sample.len() as f64;
    (sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / sample.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::uniform;

    /// Rows of `width`, the first columns of which are uniform in a cube; and constant ones, if asked for.
    fn rows(n: usize, width: usize, constant: Option<usize>) -> Matrix<f32> {
        let value = |i| match constant {
            Some(j) if i % width == j => 7.0,
            _ => (uniform(5, 0, i as u64) * 100.0).round() as f32,
        };
        Matrix::new(n, width, (0..n * width).map(value).collect()).unwrap()
    }

    /// The mean squared distance of rows to those that follow them, in the first `d` columns.
    fn mean_step(rows: &Matrix<f32>, d: usize) -> f64 {
        let pairs = rows.values().chunks_exact(rows.d()).zip(rows.values().chunks_exact(rows.d()).skip(1));
        let square = |(a, b): (&[f32], &[f32])| -> f64 {
            a.iter().zip(b).take(d).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        pairs.map(square).sum::<f64>() / rows.rows() as f64
    }

    #[test]
    fn rows_that_follow_each_other_are_near_each_other() {
        for (width, d, constant) in [(1, 1, None), (3, 3, None), (4, 3, None), (5, 5, Some(2))] {
            let rows = rows(ROWS_MIN, width, constant);
            let arranged = arrange(&rows, d, K_MIN, 300, u64::MAX, &|| false).unwrap();
            let (before, after) = (mean_step(&rows, d), mean_step(&arranged, d));
            assert!(after < before / 8.0, "{before} became {after} in {d} dimensions");
        }
    }

    #[test]
    fn all_rows_are_there_and_equal_ones_in_their_order() {
        let mut rows = rows(ROWS_MIN + 3, 2, None);
        // A column that is no coordinate says which row it was.
        let indexes = (0..rows.rows()).map(|i| i as f32);
        let values =
            rows.values().chunks_exact(2).zip(indexes).flat_map(|(row, i)| [row[0], row[1], i]).collect();
        rows = Matrix::new(rows.rows(), 3, values).unwrap();
        let arranged = arrange(&rows, 2, K_MIN, 300, u64::MAX, &|| false).unwrap();
        let by_values = |rows: &Matrix<f32>| {
            let mut rows = rows.values().as_chunks::<3>().0.to_vec();
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
            rows
        };
        // A stable sort: rows that are equal but for the index stay as they were arranged.
        assert_eq!(by_values(&arranged), by_values(&rows));
    }

    #[test]
    fn any_number_of_threads_arranges_rows_alike() {
        let rows = rows(ROWS_MIN + 3, 3, None);
        let of_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| arrange(&rows, 3, 64, 300, u64::MAX, &|| false).unwrap())
        };
        let one = of_threads(1);
        assert!([2, 3, 7].into_iter().all(|threads| of_threads(threads) == one));
    }

    #[test]
    fn it_is_left_alone_where_it_does_not_pay() {
        let is_arranged =
            |n, d, k, iterations| arrange(&rows(n, d, None), d, k, iterations, u64::MAX, &|| false).is_some();
        assert!(is_arranged(ROWS_MIN, 3, 64, 300));
        assert!(!is_arranged(ROWS_MIN - 1, 3, 64, 300), "too few rows");
        assert!(!is_arranged(ROWS_MIN, 3, K_MIN - 1, 300), "too few centroids");
        assert!(!is_arranged(ROWS_MIN, 3, 64, 20), "too little to do");
        assert!(!is_arranged(ROWS_MIN, 9, 64, 300), "too many columns");
    }

    #[test]
    fn it_is_left_alone_where_there_is_no_room_or_somebody_asks_for_an_end() {
        let (rows, bytes) = (rows(ROWS_MIN, 3, None), ROWS_MIN as u64 * 12);
        assert!(arrange(&rows, 3, 64, 300, bytes, &|| false).is_some());
        assert!(arrange(&rows, 3, 64, 300, bytes - 1, &|| false).is_none());
        assert!(arrange(&rows, 3, 64, 300, bytes, &|| true).is_none());
    }

    /// Rows of `d` columns and a weight: `clusters` that are apart, one after the other if `in_order`, or in turns.
    fn clusters(n: usize, d: usize, clusters: usize, in_order: bool) -> Matrix<f64> {
        let value = |i: usize| {
            let (row, column) = (i / (d + 1), i % (d + 1));
            let cluster = if in_order { row * clusters / n } else { row % clusters };
            let middle = uniform(6, 1, (cluster * d + column) as u64);
            // A weight tells nothing of where a row is.
            if column == d { row as f64 } else { middle + 0.2 * uniform(6, 0, i as u64) }
        };
        Matrix::new(n, d + 1, (0..n * (d + 1)).map(value).collect()).unwrap()
    }

    #[test]
    fn rows_that_are_near_those_behind_them_as_they_are_are_recognized() {
        for (d, k) in [(1, 3), (3, 5), (20, 10), (50, 200)] {
            let n = ROWS_MIN + 7;
            assert!(are_near(&clusters(n, d, k, true), d, k, 300), "{k} clusters of {d} columns in order");
            assert!(!are_near(&clusters(n, d, k, false), d, k, 300), "{k} clusters of {d} columns in turns");
        }
        let rows = clusters(ROWS_MIN, 2, 3, true);
        assert!(are_near(&rows, 2, 3, 3));
        assert!(!are_near(&rows, 2, 2, 3), "too few centroids");
        assert!(!are_near(&rows, 2, 3, 2), "too few iterations");
        assert!(!are_near(&clusters(ROWS_MIN - 1, 2, 3, true), 2, 3, 3), "too few rows");
        let same = Matrix::new(ROWS_MIN, 2, vec![7.0; 2 * ROWS_MIN]).unwrap();
        assert!(!are_near(&same, 2, 3, 3), "nothing tells rows apart");
    }
}
