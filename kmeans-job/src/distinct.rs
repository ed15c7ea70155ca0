//! [`find`]: rows of which many are equal, as fewer rows with weights.
//!
//! The pixels of a photograph have a fraction as many colours as there are pixels. Equal rows have the same label in
//! every iteration, and a row of weight 3 adds to the sums what three rows add, so Lloyd's iterations over the distinct
//! rows give the same bits in less time.

use crate::{data::Matrix, numeric::scalar::Scalar};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Wider rows are seldom equal.
const COLUMNS_MAX: usize = 4;
/// Fewer rows are clustered in no time as they are.
const ROWS_MIN: usize = 1 << 15;
/// Finding an equal row takes about as long as this many multiply-adds of the assignment kernel.
const MULTIPLY_ADDS_MIN: usize = 1000;
/// Beyond, a count is not exact in `f32`.
const WEIGHT_MAX: f64 = 16_777_216.0;
/// Distinct rows among the rows looked at, in percent, beyond which the search is given up.
const DISTINCT_PERCENT_MAX: usize = 60;

/// The distinct ones of `rows` in the order in which they come first, each followed by a weight, the number of rows that
/// are equal to it; unless to find them takes longer than it saves in `iterations` with `k` centroids. After each eighth of
/// the rows it is given up if most of them were distinct, or `stop` asks for it.
pub(crate) fn find<T: Scalar>(
    rows: &Matrix<T>,
    k: usize,
    iterations: u32,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Matrix<T>> {
    let (n, d) = (rows.rows(), rows.d());
    let work = k.saturating_mul(d).saturating_mul(iterations as usize);
    if d > COLUMNS_MAX || n < ROWS_MIN || work < MULTIPLY_ADDS_MIN {
        return None;
    }
    let width = d + 1;
    let part = n.div_ceil(8);
    let (mut values, mut places) = (Vec::<T>::new(), HashMap::with_hasher(FixedState::with_seed(0)));
    for (row, i) in rows.values().chunks_exact(d).zip(1..) {
        let mut key = [0; COLUMNS_MAX];
        key.iter_mut().zip(row).for_each(|(bits, x)| *bits = x.to_f64().to_bits());
        let place = places.entry(key).or_insert(usize::MAX);
        match values.get_mut(place.saturating_add(d)) {
            Some(weight) if weight.to_f64() < WEIGHT_MAX => *weight = T::from_f64(weight.to_f64() + 1.0),
            // Not seen yet, or so often that its row comes once more.
            _ => {
                *place = values.len();
                values.extend_from_slice(row);
                values.push(T::from_f64(1.0));
            }
        }
        if i % part == 0 && (values.len() / width * 100 > i * DISTINCT_PERCENT_MAX || stop()) {
            return None;
        }
    }
    Matrix::new(values.len() / width, width, values).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::bits;

    /// Rows of few values.
    fn rows(n: usize, d: usize, values: u64) -> Matrix<f32> {
        let value = |i| (bits(3, 0, i) % values) as f32 - 2.0;
        Matrix::new(n, d, (0..(n * d) as u64).map(value).collect()).unwrap()
    }

    #[test]
    fn equal_rows_become_one_with_a_weight_where_the_first_was() {
        let rows = rows(ROWS_MIN + 5, 2, 9);
        let distinct = find(&rows, 100, 100, &|| false).unwrap();
        let mut expected: Vec<[f32; 3]> = Vec::new();
        for row in rows.values().as_chunks::<2>().0 {
            match expected.iter_mut().find(|known| known[..2] == row[..]) {
                Some(known) => known[2] += 1.0,
                None => expected.push([row[0], row[1], 1.0]),
            }
        }
        assert_eq!((distinct.d(), distinct.values()), (3, expected.as_flattened()));
    }

    #[test]
    fn it_is_given_up_where_it_does_not_pay() {
        assert!(find(&rows(ROWS_MIN, 3, 4), 16, 300, &|| false).is_some());
        assert!(find(&rows(ROWS_MIN - 1, 3, 4), 16, 300, &|| false).is_none(), "too few rows");
        assert!(find(&rows(ROWS_MIN, 3, 4), 2, 10, &|| false).is_none(), "too little to do");
        assert!(find(&rows(ROWS_MIN, 5, 2), 16, 300, &|| false).is_none(), "too many columns");
        assert!(find(&rows(ROWS_MIN, 3, 1 << 20), 16, 300, &|| false).is_none(), "no two are equal");
        assert!(find(&rows(ROWS_MIN, 3, 4), 16, 300, &|| true).is_none(), "somebody asks for an end");
    }
}
