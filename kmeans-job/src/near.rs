//! [`arrange`]: the same rows in an order in which those that follow each other are near each other.
//!
//! Of rows in such an order Lloyd's iterations look at runs rather than at each (see [`Lloyd`](crate::jobs::lloyd::Lloyd)):
//! sums do not depend on the order.
//!
//! Space is cut into cells, and the cells are put into Morton's order ("A computer oriented geodetic data base", IBM, 1966):
//! again and again the widest side is halved, where half of a sample of the rows lies on either side. Rows go to their cells
//! by counting.

use crate::{data::Matrix, numeric::scalar::Scalar};

/// In more dimensions a cell has more neighbours than there are centroids to pass over.
const COLUMNS_MAX: usize = 8;
/// Fewer rows are clustered in no time as they are.
const ROWS_MIN: usize = 1 << 15;
/// Fewer centroids are all tried in no more time than it takes to find out which need not be.
const K_MIN: usize = 32;
/// Arranging a row takes about as long as this many multiply-adds of the assignment kernel.
const MULTIPLY_ADDS_MIN: usize = 4000;
/// Rows of a cell, on the average.
const CELL: usize = 16;
/// Beyond, rows would go to more places than the cache that cores share has lines: 16 MiB.
const CELL_BITS_MAX: u32 = 18;
/// Rows between two looks at whether somebody asks for an end.
const BETWEEN_STOPS: usize = 1 << 16;
/// Rows that are looked at to see how rows are spread.
const SAMPLE: usize = 1 << 12;
/// Steps into which the range of a column is divided to look up the side of a cell.
const STEPS: usize = 1 << 11;

/// The rows, of which `d` columns are coordinates, arranged by cells; in a cell they keep their order. Nothing if that takes
/// longer than it saves in `iterations` with `k` centroids, or `stop` asks for an end.
pub(crate) fn arrange<T: Scalar>(
    rows: &Matrix<T>,
    d: usize,
    k: usize,
    iterations: u32,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Matrix<T>> {
    let n = rows.rows();
    let work = k.saturating_mul(d).saturating_mul(iterations as usize);
    if d > COLUMNS_MAX || n < ROWS_MIN || k < K_MIN || work < MULTIPLY_ADDS_MIN {
        return None;
    }
    let (cells, mut codes) = (Cells::of(rows, d), Vec::with_capacity(n));
    for some in rows.values().chunks(BETWEEN_STOPS * rows.d()) {
        codes.extend(some.chunks_exact(rows.d()).map(|row| cells.code(row)));
        if stop() {
            return None;
        }
    }
    let mut places = vec![0_usize; cells.len() + 1];
    codes.iter().for_each(|&code| places[code as usize + 1] += 1);
    for code in 0..cells.len() {
        places[code + 1] += places[code];
    }
    let width = rows.d();
    let mut arranged = vec![T::ZERO; rows.values().len()];
    for (row, code) in rows.values().chunks_exact(width).zip(codes) {
        let place = &mut places[code as usize];
        arranged[*place * width..][..width].copy_from_slice(row);
        *place += 1;
    }
    Matrix::new(n, width, arranged).ok()
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
        self.bits[(((x - self.low) * self.steps_per_unit) as usize).min(STEPS - 1)]
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
            let arranged = arrange(&rows, d, K_MIN, 300, &|| false).unwrap();
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
        let arranged = arrange(&rows, 2, K_MIN, 300, &|| false).unwrap();
        let by_values = |rows: &Matrix<f32>| {
            let mut rows = rows.values().as_chunks::<3>().0.to_vec();
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
            rows
        };
        // A stable sort: rows that are equal but for the index stay as they were arranged.
        assert_eq!(by_values(&arranged), by_values(&rows));
    }

    #[test]
    fn it_is_left_alone_where_it_does_not_pay() {
        assert!(arrange(&rows(ROWS_MIN, 3, None), 3, 64, 300, &|| false).is_some());
        assert!(arrange(&rows(ROWS_MIN - 1, 3, None), 3, 64, 300, &|| false).is_none(), "too few rows");
        assert!(
            arrange(&rows(ROWS_MIN, 3, None), 3, K_MIN - 1, 300, &|| false).is_none(),
            "too few centroids"
        );
        assert!(arrange(&rows(ROWS_MIN, 3, None), 3, 64, 20, &|| false).is_none(), "too little to do");
        assert!(arrange(&rows(ROWS_MIN, 9, None), 9, 64, 300, &|| false).is_none(), "too many columns");
        assert!(
            arrange(&rows(ROWS_MIN, 3, None), 3, 64, 300, &|| true).is_none(),
            "somebody asks for an end"
        );
    }
}
